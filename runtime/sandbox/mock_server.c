#include "sandbox/mock_server.h"

#include "net/http_server.h"

#include <pthread.h>

enum { THREADS = 32, CALLS_MAX = 10000 };

struct mock_server {
    struct http_server *http;
    pthread_mutex_t lock; /* guards mocks, calls */
    struct json *mocks;
    struct json *calls;
    size_t call_count;
};

static bool url_fits(struct str pattern, struct str url)
{
    if (str_ends(pattern, "*")) {
        pattern.len--;
        return url.len >= pattern.len && memcmp(url.ptr, pattern.ptr, pattern.len) == 0;
    }
    ptrdiff_t query = str_find(url, "?", 0);
    if (query >= 0 && str_find(pattern, "?", 0) < 0)
        url.len = (size_t)query; /* a pattern without a query takes any */
    return str_eq(pattern, url);
}

static bool fits(const struct json *mock, const struct json *call)
{
    struct str method = json_get_text(mock, "method");
    return json_get_i64(mock, "times", 1) > 0 &&
           (!method.len || str_eq_nocase(method, json_get_text(call, "method"))) &&
           url_fits(json_get_text(mock, "url"), json_get_text(call, "url"));
}

/* "/https/host/path" → "https://host/path" */
static char *asked_url(const struct http_request *request)
{
    struct str path = request->path, scheme = STR_NONE;
    if (path.len)
        path = str_n(path.ptr + 1, path.len - 1);
    (void)str_cut(&path, '/', &scheme);
    return xasprintf(STR_FMT "://" STR_FMT "%s" STR_FMT, STR_ARG(scheme), STR_ARG(path),
                     request->query.len ? "?" : "", STR_ARG(request->query));
}

static struct json *call_of(const struct http_request *request)
{
    struct json *call = json_new_object(), *body = NULL;
    char *url = asked_url(request);
    json_set_string(call, "method", request->method);
    json_set_string(call, "url", url);
    free(url);
    struct json *headers = json_set(call, "headers", json_new_object());
    for (size_t i = 0; i < request->header_count; i++) {
        char *name = str_dup(request->headers[i].name);
        if (strcmp(name, "authorization") != 0) /* a secret is no one's to compare with */
            json_set_str(headers, name, request->headers[i].value);
        free(name);
    }
    if (request->body.len && json_parse(request->body, &body, NULL))
        body = json_new_string(request->body);
    (void)json_set(call, "body", body);
    return call;
}

static void answer(const struct json *mock, struct http_response *response)
{
    const struct json *body = json_get(mock, "body");
    int status = (int)json_get_i64(mock, "status", 200);
    if (json_is(body, JSON_STRING)) {
        http_response_set(response, status, "text/plain; charset=utf-8", json_str(body));
    } else {
        size_t size = 0;
        char *text = body ? json_text(body, &size) : NULL;
        http_response_set(response, status, "application/json", str_n(text, size));
        free(text);
    }
    for (const struct json *h = json_first(json_get(mock, "headers")); h; h = json_next(h))
        (void)!http_response_header(response, json_name(h), json_str(h));
}

static void handle(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct mock_server *server = ctx;
    struct json *call = call_of(request);
    pthread_mutex_lock(&server->lock);
    struct json *mock = json_first_mut(server->mocks);
    while (mock && !fits(mock, call))
        mock = json_next_mut(mock);
    if (mock) {
        answer(mock, response);
        if (json_get(mock, "times"))
            json_set_integer(mock, "times", json_get_i64(mock, "times", 1) - 1);
    } else {
        http_response_set(response, 501, "application/json",
                          STR("{\"error\":\"this request has no mock in the test\"}"));
    }
    json_set_boolean(call, "mocked", mock != NULL);
    if (server->call_count++ < CALLS_MAX)
        (void)json_append(server->calls, call);
    else
        json_free(call);
    pthread_mutex_unlock(&server->lock);
}

int mock_server_start(const struct json *mocks, struct mock_server **ret, struct err *err)
{
    struct mock_server *server = xcalloc(1, sizeof(*server));
    pthread_mutex_init(&server->lock, NULL);
    server->mocks = mocks ? json_copy(mocks) : json_new_array();
    server->calls = json_new_array();
    struct http_server_options options = {
        .listen = "127.0.0.1:0", .threads = THREADS, .handler = handle, .ctx = server};
    int rc = http_server_start(&options, &server->http, err);
    if (rc)
        mock_server_stop(server);
    else
        *ret = server;
    return rc;
}

const char *mock_server_url(const struct mock_server *server)
{
    return http_server_url(server->http);
}

struct json *mock_server_calls(struct mock_server *server)
{
    pthread_mutex_lock(&server->lock);
    struct json *calls = json_copy(server->calls);
    pthread_mutex_unlock(&server->lock);
    return calls;
}

void mock_server_stop(struct mock_server *server)
{
    if (!server)
        return;
    http_server_stop(server->http, 1000);
    json_free(server->mocks);
    json_free(server->calls);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
