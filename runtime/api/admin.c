/* The door of the admin listener: who may come in, and which route it is. Host must be this
 * listener's own name, and an Origin its own too, so that no web page that a browser has open can
 * reach it. Every route but /healthz, /readyz, the console's files and the sign-in wants the token
 * or a session in the Authorization header; there are no cookies, so a browser sends nothing by
 * itself that another page could make use of. Errors are application/problem+json. Thread: the
 * listener's. */
#include "api/call.h"

#include "base/clock.h"
#include "base/encode.h"
#include "crypto/hmac.h"
#include "engine/browse.h"
#include "engine/metrics.h"

static void answer(struct http_response *response, int status, const char *type, struct json *value)
{
    struct buf text = BUF_INIT(LIMIT_FRAME_BYTES);
    json_write(&text, value);
    http_response_set(response, status, type, buf_str(&text));
    (void)!http_response_header(response, "Cache-Control", STR("no-store"));
    buf_release(&text);
    json_free(value);
}

void call_problem(struct http_response *response, int status, const char *code, const char *detail)
{
    struct json *value = json_new_object();
    json_set_string(value, "type", "about:blank");
    json_set_string(value, "title", http_status_text(status));
    json_set_integer(value, "status", status);
    json_set_string(value, "code", code);
    json_set_string(value, "detail", detail);
    answer(response, status, "application/problem+json", value);
    if (status == 503)
        (void)!http_response_header(response, "Retry-After", STR("2"));
}

static int status_of(int code)
{
    switch (code) {
    case RN_ENOTFOUND:
        return 404;
    case RN_EEXISTS:
    case RN_ECONFLICT:
        return 409;
    case RN_EUNAVAILABLE:
    case RN_ENOSPACE:
    case RN_ETIMEDOUT:
        return 503;
    case RN_EIO:
        return 500;
    default:
        return 422;
    }
}

void call_answer(struct call *call, struct json *value)
{
    answer(call->response, 200, "application/json", value);
}

void call_answer_list(struct call *call, struct json *list)
{
    struct json *page = json_new_object();
    (void)json_set(page, "data", list);
    (void)json_set(page, "next", json_new_null());
    call_answer(call, page);
}

void call_finish(struct call *call, int rc, struct json *value, const struct err *err)
{
    if (rc)
        call_problem(call->response, status_of(rc), err_word(rc), err->text);
    else
        call_answer(call, value ? value : json_new_object());
}

const char *call_query(const struct call *call, const char *name)
{
    const char *value = json_get_c(call->query, name);
    return value && *value ? value : NULL;
}

char *call_segment(const struct call *call, size_t index)
{
    struct buf text = BUF_INIT(KIB(4));
    if (decode_percent(&text, call->segments[index], false) || memchr(buf_c(&text), '\0', text.len))
        buf_clear(&text);
    return buf_take(&text, NULL);
}

int call_time(const struct call *call, const char *name, int64_t *ret, struct err *err)
{
    const char *text = call_query(call, name);
    if (!text || num_parse_i64(str_from(text), ret) == 0 || clock_parse(str_from(text), ret) == 0)
        return 0;
    return err_set(err, RN_EINVAL, "`%s` is a time: ISO 8601, or ms since 1970", name);
}

/* ---- routes */

static const struct route *const tables[] = {browse_routes, act_routes, session_routes};

static bool matches(const struct call *call, const char *pattern)
{
    struct str rest = str_from(pattern), part = STR_NONE;
    size_t i = 0;
    while (str_cut(&rest, '/', &part)) {
        if (i >= call->segment_count || (!str_eq_c(part, "*") && !str_eq(part, call->segments[i])))
            return false;
        i++;
    }
    return i == call->segment_count;
}

/* The route; if the path has none with this method, *ret_allow says which it has. */
static const struct route *find_route(const struct call *call, struct buf *ret_allow)
{
    for (size_t t = 0; t < COUNT_OF(tables); t++) {
        for (const struct route *route = tables[t]; route->method; route++) {
            if (!matches(call, route->pattern))
                continue;
            if (strcmp(route->method, call->request->method) == 0)
                return route;
            buf_addf(ret_allow, "%s%s", ret_allow->len ? ", " : "", route->method);
        }
    }
    return NULL;
}

/* What this API has, for those who check it against its description. */
static void answer_index(struct call *call)
{
    struct json *list = json_new_array();
    for (size_t t = 0; t < COUNT_OF(tables); t++) {
        for (const struct route *route = tables[t]; route->method; route++) {
            struct json *item = json_append(list, json_new_object());
            char *path = xasprintf("/api/v1/%s", route->pattern);
            json_set_string(item, "method", route->method);
            json_set_string(item, "path", path);
            free(path);
        }
    }
    call_answer_list(call, list);
}

static void answer_no_route(struct call *call, struct buf *allow)
{
    call_problem(call->response, allow->len ? 405 : 404, allow->len ? "method" : "not_found",
                 allow->len ? "this route does not take that method" : "there is no such route");
    if (allow->len)
        (void)!http_response_header(call->response, "Allow", buf_str(allow));
}

/* ---- who may come in */

/* The name in Host and Origin must be one that this listener goes by: an address or localhost, so
 * that a DNS name pointed at 127.0.0.1 is no way in. */
static bool is_own_host(struct str host)
{
    struct str name = host;
    if (host.len && host.ptr[0] == '[')
        return true; /* an address literal */
    struct str rest = host;
    (void)str_cut(&rest, ':', &name);
    if (str_eq_c(name, "localhost"))
        return true;
    for (size_t i = 0; i < name.len; i++)
        if ((name.ptr[i] < '0' || name.ptr[i] > '9') && name.ptr[i] != '.')
            return false;
    return name.len > 0;
}

static bool is_own_origin(const struct http_request *request)
{
    struct str origin = http_request_header(request, "origin");
    if (!origin.ptr)
        return true;
    ptrdiff_t start = str_find(origin, "://", 0);
    return start >= 0 &&
           str_eq(str_n(origin.ptr + start + 3, origin.len - (size_t)start - 3), request->host);
}

static bool has_token(const struct server *server, const struct http_request *request)
{
    struct str value = http_request_header(request, "authorization");
    if (!str_starts(value, "Bearer "))
        return false;
    value = str_n(value.ptr + 7, value.len - 7);
    return crypto_equal(value, str_from(server->token)) || session_is_valid(server, value);
}

static void refuse_token(struct http_response *response)
{
    call_problem(response, 401, "auth",
                 "the Authorization header has to bear the token of .runnel/admin-token, or a "
                 "session");
    (void)!http_response_header(response, "WWW-Authenticate", STR("Bearer"));
}

static void add_query(void *ctx, struct str name, struct str value)
{
    char *key = str_dup(name);
    json_set_str(ctx, key, value);
    free(key);
}

static void dispatch(struct call *call)
{
    struct err err = ERR_INIT;
    struct buf allow = BUF_INIT(256);
    struct str rest = call->request->path, part = STR_NONE;
    rest = str_n(rest.ptr + 8, rest.len - 8);
    while (call->segment_count < COUNT_OF(call->segments) && str_cut(&rest, '/', &part))
        call->segments[call->segment_count++] = part;
    bool is_index = call->segment_count == 0 || (call->segment_count == 1 && !part.len);
    const struct route *route = rest.len ? NULL : find_route(call, &allow);
    call->query = json_new_object();
    if (!(route && route->is_open) && !has_token(call->server, call->request))
        refuse_token(call->response);
    else if (http_form_parse(call->request->query, add_query, call->query))
        call_problem(call->response, 400, "invalid", "the query string cannot be read");
    else if (call->request->body.len && json_parse(call->request->body, &call->body, &err))
        call_problem(call->response, 400, "invalid", err.text);
    else if (is_index && strcmp(call->request->method, "GET") == 0)
        answer_index(call);
    else if (route)
        route->handle(call);
    else
        answer_no_route(call, &allow);
    json_free(call->query);
    json_free(call->body);
    buf_release(&allow);
}

static void answer_metrics(struct server *server, const struct http_request *request,
                           struct http_response *response)
{
    if (!has_token(server, request)) {
        refuse_token(response);
        return;
    }
    struct buf text = BUF_INIT(MIB(4));
    engine_metrics(server->engine, &text);
    http_response_set(response, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&text));
    buf_release(&text);
}

static void answer_ready(struct server *server, struct http_response *response)
{
    const char *why = NULL;
    if (engine_is_ready(server->engine, &why))
        http_response_set(response, 200, "text/plain", STR("ready\n"));
    else
        call_problem(response, 503, "unavailable", why);
}

void admin_handle(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct server *server = ctx;
    struct call call = {
        .server = server, .engine = server->engine, .request = request, .response = response};
    bool is_get = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (str_eq_c(request->path, "/healthz"))
        http_response_set(response, 200, "text/plain", STR("ok\n"));
    else if (str_eq_c(request->path, "/readyz"))
        answer_ready(server, response);
    else if (!is_own_host(request->host) || !is_own_origin(request))
        call_problem(response, 403, "refused",
                     "this Host or Origin is not the admin listener's own");
    else if (str_starts(request->path, "/api/v1/"))
        dispatch(&call);
    else if (str_eq_c(request->path, "/metrics") && is_get)
        answer_metrics(server, request, response);
    else if (!is_get || !assets_answer(request, response))
        call_problem(response, 404, "not_found", "the routes are at /api/v1/");
}
