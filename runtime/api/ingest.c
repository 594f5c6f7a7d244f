/* Which endpoint a request is for: /e/<key>/any/path, or <key>.localhost/any/path. */
#include "api/routes.h"

static bool split_host(struct str host, struct str *ret_key)
{
    struct str name = STR_NONE;
    (void)str_cut(&host, ':', &name);
    if (!str_ends(name, ".localhost"))
        return false;
    *ret_key = str_n(name.ptr, name.len - strlen(".localhost"));
    return ret_key->len > 0 && !memchr(ret_key->ptr, '.', ret_key->len);
}

void ingest_handle(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct server *server = ctx;
    struct str path = request->path, key = STR_NONE;
    if (!split_host(request->host, &key)) {
        if (!str_starts(path, "/e/")) {
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
}
