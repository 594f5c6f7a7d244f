/* The actions that send requests: http-custom-request takes a whole request as one prop
 * (httpRequest); http-get-request and http-post-request take that as well, or plain props (url,
 * params, headers, data, username, password), which are easier to write by hand.
 */
#include "http.h"

#include <stdio.h>
#include <string.h>

/* Returns the answer's body, parsed where it is JSON, and the headers if they are wanted. */
static int32_t give_back(struct rn_run *run, const struct rn_http_response *response)
{
    if (rn_prop_boolean(run, "includeHeaders")) {
        struct rn_json *headers = rn_json_object(run);
        for (size_t i = 0; i < response->header_count; i++)
            rn_json_set(run, headers, response->headers[i].name,
                        rn_json_string(run, response->headers[i].value));
        rn_export(run, "headers", headers);
    }
    char status[16];
    (void)snprintf(status, sizeof(status), "%d", (int)response->status);
    rn_summary(run, RN_TEXT(run, "Request answered with status ", status));
    return rn_return(run, response->json ? rn_json_copy(run, response->json)
                                         : rn_json_string_n(run, response->body, response->size));
}

static int32_t execute(struct rn_run *run)
{
    const struct rn_http_response *response = NULL;
    int32_t err = rn_execute(run, "httpRequest", &response);
    return err ? err : give_back(run, response);
}

/* Bytes, as a file of a form: {"$base64", "mimetype"?}. */
static void add_type(struct rn_run *run, const struct rn_json *data, struct http_pairs *headers)
{
    const char *type = rn_json_text(run, rn_json_get(run, data, "mimetype"), NULL);
    if (http_pairs_name_type(headers) || headers->count == HTTP_PAIRS_MAX)
        return;
    headers->items[headers->count].name = "content-type";
    headers->items[headers->count].value = type ? type : "application/octet-stream";
    headers->count++;
}

/* Sends what the plain props say; where there is no url, what httpRequest says. */
static int32_t send_with(struct rn_run *run, const char *method)
{
    const char *url = rn_prop_string(run, "url");
    if (!url || !url[0]) {
        const char *other =
            rn_json_text(run, rn_json_get(run, rn_prop(run, "httpRequest"), "url"), NULL);
        if (!other || !other[0])
            return rn_fail(run, RN_ECONFIG, "there is no URL: set `url`, or one in `httpRequest`");
        return execute(run);
    }
    struct http_pairs params, headers;
    int32_t err = http_pairs_prop(run, "params", &params);
    if (!err)
        err = http_pairs_prop(run, "headers", &headers);
    if (err)
        return err;
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(url);
    request.method = method;
    request.query = params.items;
    request.query_count = params.count;
    request.headers = headers.items;
    const char *user = rn_prop_string(run, "username");
    const char *password = rn_prop_string(run, "password");
    if ((user && user[0]) || (password && password[0])) {
        request.basic_user = user ? user : "";
        request.basic_password = password ? password : "";
    }
    if (strcmp(method, "GET") == 0)
        request.flags = RN_HTTP_SAFE;

    const struct rn_json *data = strcmp(method, "POST") == 0 ? rn_prop(run, "data") : NULL;
    size_t size = 0;
    const char *text = rn_json_text(run, data, &size);
    const char *bytes = rn_json_text(run, rn_json_get(run, data, "$base64"), NULL);
    if (bytes) {
        request.body = rn_base64_decode(run, bytes, &size);
        request.body_size = size;
        if (!request.body)
            return rn_fail(run, RN_EINVAL, "the $base64 of the body is not base64");
        add_type(run, data, &headers);
    } else if (text || http_pairs_name_type(&headers)) {
        request.body = text ? text : data ? rn_json_print(run, data, &size) : NULL;
        request.body_size = size;
        if (text && !http_pairs_name_type(&headers) && headers.count < HTTP_PAIRS_MAX) {
            const struct rn_json *parsed = rn_json_parse(run, text, size);
            headers.items[headers.count].name = "content-type";
            headers.items[headers.count].value =
                parsed ? "application/json" : "text/plain; charset=utf-8";
            headers.count++;
        }
    } else if (data && rn_json_kind(run, data) != RN_JSON_NULL) {
        request.json = data;
    }
    request.header_count = headers.count;
    const struct rn_http_response *response = NULL;
    err = rn_http(run, &request, &response);
    return err ? err : give_back(run, response);
}

static int32_t get_request(struct rn_run *run)
{
    return send_with(run, "GET");
}

static int32_t post_request(struct rn_run *run)
{
    return send_with(run, "POST");
}

/* ----------------------------------------------------------------- tables */

#define APP                                                                                        \
    {                                                                                              \
        .name = HTTP_PROP, .type = RN_APP, .app = &http_app, .flags = RN_OPTIONAL                  \
    }
#define INCLUDE_HEADERS                                                                            \
    {                                                                                              \
        .name = "includeHeaders", .type = RN_BOOLEAN, .flags = RN_OPTIONAL,                        \
        .label = "Include Response Headers",                                                       \
        .description = "Export the headers of the answer, too, as `headers`."                      \
    }
#define REQUEST(default_)                                                                          \
    {                                                                                              \
        .name = "httpRequest", .definition_of = HTTP_PROP, .definition = "httpRequest",            \
        .flags = RN_OPTIONAL, .default_json = (default_)                                           \
    }
#define PLAIN                                                                                      \
    {.name = "url",                                                                                \
     .type = RN_STRING,                                                                            \
     .flags = RN_OPTIONAL,                                                                         \
     .label = "URL",                                                                               \
     .description = "Where to send the request. Leave it out to use the request configuration."},  \
        {.name = "params",                                                                         \
         .type = RN_OBJECT,                                                                        \
         .flags = RN_OPTIONAL,                                                                     \
         .label = "Query Parameters",                                                              \
         .description = "Added to the URL."},                                                      \
        {.name = "headers",                                                                        \
         .type = RN_OBJECT,                                                                        \
         .flags = RN_OPTIONAL,                                                                     \
         .label = "Headers",                                                                       \
         .description = "Sent with the request."},                                                 \
        {.name = "username",                                                                       \
         .type = RN_STRING,                                                                        \
         .flags = RN_OPTIONAL,                                                                     \
         .label = "Username",                                                                      \
         .description = "For basic authentication."},                                              \
    {                                                                                              \
        .name = "password", .type = RN_STRING, .flags = RN_OPTIONAL | RN_SECRET,                   \
        .label = "Password", .description = "For basic authentication."                            \
    }

static const struct rn_prop custom_props[] = {
    APP,
    {.name = "httpRequest", .definition_of = HTTP_PROP, .definition = "httpRequest"},
    INCLUDE_HEADERS,
};

static const struct rn_prop get_props[] = {
    APP,
    REQUEST("{\"method\":\"GET\"}"),
    PLAIN,
    INCLUDE_HEADERS,
};

static const struct rn_prop post_props[] = {
    APP,
    REQUEST("{\"method\":\"POST\"}"),
    PLAIN,
    {.name = "data",
     .type = RN_ANY,
     .flags = RN_OPTIONAL,
     .label = "Body",
     .description =
         "The body: a string is sent as it is, bytes ({\"$base64\"}, as a file of a form) "
         "as bytes, anything else as JSON."},
    INCLUDE_HEADERS,
};

const struct rn_component http_custom_request = {
    .key = "http-custom-request",
    .name = "Send any HTTP Request",
    .version = "0.0.1",
    .description = "Sends a request with any method to any URL, with query parameters, headers, "
                   "authentication and a body.",
    .type = RN_ACTION,
    .annotations = RN_OPEN_WORLD | RN_DESTRUCTIVE,
    .props = custom_props,
    .prop_count = RN_COUNT(custom_props),
    .run = execute,
};

const struct rn_component http_get_request = {
    .key = "http-get-request",
    .name = "Send GET Request",
    .version = "0.0.1",
    .description = "Sends a GET request to any URL, with query parameters, headers and "
                   "authentication.",
    .type = RN_ACTION,
    .annotations = RN_OPEN_WORLD,
    .props = get_props,
    .prop_count = RN_COUNT(get_props),
    .run = get_request,
};

const struct rn_component http_post_request = {
    .key = "http-post-request",
    .name = "Send POST Request",
    .version = "0.0.1",
    .description = "Sends a POST request to any URL, with query parameters, headers, "
                   "authentication and a body.",
    .type = RN_ACTION,
    .annotations = RN_OPEN_WORLD,
    .props = post_props,
    .prop_count = RN_COUNT(post_props),
    .run = post_request,
};
