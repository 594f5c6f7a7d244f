/* http-webhook: like http-new-requests, with the methods it accepts, what it emits and how it
 * answers to choose. */
#include "http.h"

#include <string.h>

#define PATH_MAX_BYTES 256

/* Whether the request's method is among those of the prop; an empty list accepts all. */
static bool is_accepted(struct rn_run *run, const struct rn_json *methods)
{
    if (rn_json_size(run, methods) == 0)
        return true;
    const char *method = rn_request_method(run);
    for (const struct rn_json *m = rn_json_first(run, methods); m; m = rn_json_next(run, m)) {
        const char *accepted = rn_json_text(run, m, NULL);
        if (method && accepted && strcmp(method, accepted) == 0)
            return true;
    }
    return false;
}

static int32_t refuse(struct rn_run *run, const struct rn_json *methods)
{
    const char *list = NULL;
    for (const struct rn_json *m = rn_json_first(run, methods); m; m = rn_json_next(run, m))
        list = RN_TEXT(run, list, list ? ", " : NULL, rn_json_text(run, m, NULL));
    struct rn_json *body = rn_json_object(run);
    rn_json_set(run, body, "error", rn_json_string(run, "Method Not Allowed"));
    rn_json_set(run, body, "message",
                rn_json_string(run, RN_TEXT(run, "This webhook accepts ", list)));
    size_t size;
    const char *text = rn_json_print(run, body, &size);
    const struct rn_pair headers[] = {{"content-type", "application/json"}, {"allow", list}};
    return rn_respond(run, 405, headers, RN_COUNT(headers), text, size);
}

/* What is at a dotted path of the event, as text; "" if nothing is. */
static const char *look_up(struct rn_run *run, const struct rn_json *event, const char *path,
                           size_t size)
{
    const struct rn_json *value = event;
    char name[PATH_MAX_BYTES];
    while (value) {
        const char *dot = memchr(path, '.', size);
        size_t length = dot ? (size_t)(dot - path) : size;
        if (length >= sizeof(name))
            return "";
        memcpy(name, path, length);
        name[length] = '\0';
        value = rn_json_get(run, value, name);
        if (!dot)
            break;
        path += length + 1;
        size -= length + 1;
    }
    if (!value || rn_json_kind(run, value) == RN_JSON_NULL)
        return "";
    const char *text = rn_json_text(run, value, NULL);
    return text ? text : rn_json_print(run, value, NULL);
}

/* The summary with each ${path} replaced. */
static const char *fill_in(struct rn_run *run, const char *pattern, const struct rn_json *event)
{
    const char *result = "";
    for (;;) {
        const char *open = strstr(pattern, "${");
        const char *end = open ? strchr(open, '}') : NULL;
        if (!end)
            return RN_TEXT(run, result, pattern);
        const char *path = open + 2;
        size_t size = (size_t)(end - path);
        while (size && *path == ' ')
            path++, size--;
        while (size && path[size - 1] == ' ')
            size--;
        const char *before =
            rn_json_text(run, rn_json_string_n(run, pattern, (size_t)(open - pattern)), NULL);
        result = RN_TEXT(run, result, before, look_up(run, event, path, size));
        pattern = end + 1;
    }
}

static int32_t respond(struct rn_run *run)
{
    int32_t status;
    int32_t err = http_status_prop(run, "resStatusCode", 200, &status);
    if (err)
        return err;
    if (status == 204 || strcmp(http_text_prop(run, "resRespond", "immediately"), "noBody") == 0)
        return rn_respond(run, status, NULL, 0, NULL, 0);
    const char *type = http_text_prop(run, "resContentType", "application/json");
    const char *body = http_text_prop(run, "resBody", "{\"success\": true}");
    const struct rn_pair headers[] = {{"content-type", type}};
    err = rn_respond(run, status, headers, type[0] ? 1 : 0, body, strlen(body));
    return err ? rn_fail(run, RN_ECONFIG, "resContentType is no header value that HTTP allows") : 0;
}

/* The part of the request that is to be emitted. */
static const struct rn_json *payload(struct rn_run *run, const struct rn_json *event)
{
    const char *what = http_text_prop(run, "emitData", "full");
    const struct rn_json *part;
    if (strcmp(what, "body") == 0) {
        part = rn_json_get(run, event, "body");
        return part ? part : rn_json_object(run);
    }
    if (strcmp(what, "bodyRaw") == 0) {
        part = rn_json_get(run, event, "bodyRaw");
        struct rn_json *object = rn_json_object(run);
        rn_json_set(run, object, "bodyRaw",
                    part ? rn_json_copy(run, part) : rn_json_string(run, ""));
        return object;
    }
    return event;
}

static int32_t run_source(struct rn_run *run)
{
    const struct rn_json *methods = rn_prop(run, "httpMethod");
    if (!is_accepted(run, methods))
        return refuse(run, methods);
    int32_t err = respond(run);
    if (err)
        return err;
    const struct rn_json *event = rn_event(run);
    const char *pattern = rn_prop_string(run, "summary");
    struct rn_emit_meta meta = {
        .struct_size = (uint32_t)sizeof(meta),
        .summary = pattern && pattern[0]
                       ? fill_in(run, pattern, event)
                       : RN_TEXT(run, rn_request_method(run), " ", rn_request_path(run)),
    };
    return rn_emit(run, payload(run, event), &meta);
}

static const struct rn_prop props[] = {
    {.name = "httpInterface", .type = RN_HTTP_INTERFACE, .flags = RN_CUSTOM_RESPONSE},
    {.name = "httpMethod",
     .type = RN_STRING | RN_LIST,
     .flags = RN_OPTIONAL,
     .label = "HTTP Method",
     .description = "The methods that are accepted; all of them if none is chosen. Any other is "
                    "answered with 405 and emits nothing.",
     .options_json = "[\"GET\",\"POST\",\"PUT\",\"PATCH\",\"DELETE\",\"HEAD\"]"},
    {.name = "emitData",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Emit",
     .description = "What of the request becomes the event.",
     .default_json = "\"full\"",
     .options_json = "[{\"label\":\"The whole request\",\"value\":\"full\"},"
                     "{\"label\":\"The parsed body\",\"value\":\"body\"},"
                     "{\"label\":\"The body as it came\",\"value\":\"bodyRaw\"}]"},
    {.name = "resRespond",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Respond",
     .description = "Whether the answer has a body.",
     .default_json = "\"immediately\"",
     .options_json = "[{\"label\":\"With a body\",\"value\":\"immediately\"},"
                     "{\"label\":\"With the status alone\",\"value\":\"noBody\"}]"},
    {.name = "resStatusCode",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Response Status Code",
     .description = "The status that the sender gets.",
     .default_json = "\"200\"",
     .options_json = "[\"200\",\"201\",\"202\",\"204\",\"400\"]"},
    {.name = "resContentType",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Response Content-Type",
     .description = "The `Content-Type` of the body that the sender gets.",
     .default_json = "\"application/json\"",
     .options_json = "[\"application/json\",\"text/plain\",\"text/html\"]"},
    {.name = "resBody",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Response Body",
     .description = "The body that the sender gets, unless there is to be none.",
     .default_json = "\"{\\\"success\\\": true}\""},
    {.name = HTTP_PROP, .type = RN_APP, .app = &http_app, .flags = RN_OPTIONAL},
    {.name = "summary", .definition_of = HTTP_PROP, .definition = "summary"},
};

const struct rn_component http_webhook = {
    .key = "http-webhook",
    .name = "New Webhook Request",
    .version = "0.0.1",
    .description =
        "Emit new event when a request reaches the webhook's URL. Choose which methods it "
        "accepts, what it emits and how it answers.",
    .type = RN_SOURCE,
    .dedupe = RN_DEDUPE_NONE,
    .props = props,
    .prop_count = RN_COUNT(props),
    .sample_emit_json = HTTP_SAMPLE_REQUEST,
    .run = run_source,
};
