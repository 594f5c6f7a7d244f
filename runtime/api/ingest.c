/* Which endpoint a request is for: /e/<key>/any/path, or <key>.localhost/any/path. */
#include "api/routes.h"
#include "api/streams.h"
#include "engine/metrics.h"
#include "engine/sse.h"

static bool split_host(struct str host, struct str *ret_key)
{
    struct str name = STR_NONE;
    (void)str_cut(&host, ':', &name);
    if (!str_ends(name, ".localhost"))
        return false;
    *ret_key = str_n(name.ptr, name.len - strlen(".localhost"));
    return ret_key->len > 0 && !memchr(ret_key->ptr, '.', ret_key->len);
}

/* /sse/<key>: the messages of a workflow whose file opens them to the world. */
static void follow(struct server *server, struct str key, const struct http_request *request,
                   struct http_response *response)
{
    struct str origin = http_request_header(request, "origin");
    struct err err = ERR_INIT;
    char *workflow = NULL;
    bool is_any = false;
    int rc = engine_sse_public(server->engine, key, origin, &workflow, &is_any, &err);
    struct stream_options options = {
        .sse = workflow, .is_public = true, .from = http_request_header(request, "last-event-id")};
    if (rc == 0 && strcmp(request->method, "GET") != 0) {
        http_response_error(response, 405, "method", "a stream is read with GET");
        (void)!http_response_header(response, "Allow", STR("GET"));
    } else if (rc == 0 && request->is_tls) {
        http_response_error(
            response, 501, "unavailable",
            "streams are not given over runnel's own TLS: a reverse proxy before it can");
    } else {
        rc = rc ? rc : streams_begin(server->streams, &options, response, &err);
        if (rc)
            http_response_error(response,
                                rc == RN_ENOTFOUND ? 404
                                : rc == RN_EPERM   ? 403
                                : rc == RN_EINVAL  ? 400
                                                   : 503,
                                err_word(rc), err.text);
        if (rc == 0 && origin.len)
            (void)!http_response_header(response, "Access-Control-Allow-Origin",
                                        is_any ? STR("*") : origin);
    }
    free(workflow);
}

/* /r/<run>/<step>/<token>/resume or /cancel: what a waiting step was given. */
static void resume(struct server *server, struct str rest, const struct http_request *request,
                   struct http_response *response)
{
    struct str parts[4] = {STR_NONE, STR_NONE, STR_NONE, STR_NONE}, part = STR_NONE;
    struct err err = ERR_INIT;
    size_t count = 0;
    while (count < COUNT_OF(parts) && str_cut(&rest, '/', &part))
        parts[count++] = part;
    struct json *data = json_new_object(), *body = NULL;
    json_set_string(data, "method", request->method);
    json_set_str(data, "query", request->query);
    if (request->body.len && json_parse(request->body, &body, NULL))
        body = json_new_string(request->body);
    (void)json_set(data, "body", body);
    int rc = engine_resume(server->engine, parts[0], parts[1], parts[2], parts[3], data, &err);
    if (rc == 0) {
        http_response_set(response, 200, "application/json",
                          str_eq_c(parts[3], "cancel") ? STR("{\"cancelled\":true}")
                                                       : STR("{\"resumed\":true}"));
        return;
    }
    http_response_error(response, rc == RN_ECONFLICT ? 409 : 404, err_word(rc), err.text);
}

void ingest_handle(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct server *server = ctx;
    struct str path = request->path, key = STR_NONE;
    if (str_starts(path, "/r/")) {
        resume(server, str_n(path.ptr + 3, path.len - 3), request, response);
        engine_count_answer(server->engine, response->status, "resume");
        return;
    }
    if (!split_host(request->host, &key)) {
        if (str_starts(path, "/sse/")) {
            follow(server, str_n(path.ptr + 5, path.len - 5), request, response);
            return;
        }
        if (!str_starts(path, "/e/")) {
            engine_count_answer(server->engine, 404, "no_endpoint");
            http_response_set(
                response, 404, "application/json",
                STR("{\"error\":\"not_found\",\"message\":\"endpoints are at /e/<key>\"}"));
            return;
        }
        path = str_n(path.ptr + 3, path.len - 3);
        const char *slash = path.len ? memchr(path.ptr, '/', path.len) : NULL;
        key = str_n(path.ptr, slash ? (size_t)(slash - path.ptr) : path.len);
        path = slash ? str_n(slash, path.len - key.len) : STR("/");
    }
    engine_ingest(server->engine, key, path, request, response);
    engine_count_answer(server->engine, response->status, response->reason);
}

void ingest_refused(void *ctx, int status)
{
    engine_count_answer(((struct server *)ctx)->engine, status, "listener");
}
