/* The admin routes: JSON over HTTP for the command line and, later, the console. Every route but
 * /healthz and /readyz wants the token; Host must be this listener's own name, and an Origin its
 * own too, so that no web page that a browser has open can reach it. Errors are
 * application/problem+json. Thread: the listener's. */
#include "api/routes.h"

#include "base/clock.h"
#include "base/encode.h"
#include "crypto/hmac.h"

#include <unistd.h>

enum { UPCOMING_MAX = 100, LIST_DEFAULT = 50, LIST_MAX = 1000, WAIT_MAX_MS = 60000 };
struct call {
    struct server *server;
    struct engine *engine;
    const struct http_request *request;
    struct http_response *response;
    struct str segments[6]; /* of the path behind /api/v1/ */
    size_t segment_count;
    struct json *query; /* object of strings */
    struct json *body;  /* NULL: none */
};

static void answer(struct http_response *response, int status, const char *type, struct json *value)
{
    struct buf text = BUF_INIT(LIMIT_FRAME_BYTES);
    json_write(&text, value);
    http_response_set(response, status, type, buf_str(&text));
    buf_release(&text);
    json_free(value);
}

static void problem(struct http_response *response, int status, const char *code,
                    const char *detail)
{
    struct json *value = json_new_object();
    json_set_string(value, "type", "about:blank");
    json_set_string(value, "title", http_status_text(status));
    json_set_integer(value, "status", status);
    json_set_string(value, "code", code);
    json_set_string(value, "detail", detail);
    answer(response, status, "application/problem+json", value);
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

static void finish(struct call *call, int rc, struct json *value, const struct err *err)
{
    if (rc)
        problem(call->response, status_of(rc), err_word(rc), err->text);
    else
        answer(call->response, 200, "application/json", value ? value : json_new_object());
}

static const char *query(const struct call *call, const char *name)
{
    const char *value = json_get_c(call->query, name);
    return value && *value ? value : NULL;
}

static size_t limit_of(const struct call *call)
{
    uint64_t limit = LIST_DEFAULT;
    if (query(call, "limit") && num_parse_u64(str_from(query(call, "limit")), &limit))
        limit = LIST_DEFAULT;
    return limit > LIST_MAX ? LIST_MAX : (size_t)limit;
}

static char *segment(const struct call *call, size_t index)
{
    struct buf text = BUF_INIT(KIB(4));
    if (decode_percent(&text, call->segments[index], false))
        buf_clear(&text);
    return buf_take(&text, NULL);
}

/* ---- reading */

static void get_list(struct call *call, struct json *list)
{
    finish(call, 0, list, NULL);
}

static void get_status(struct call *call)
{
    get_list(call, engine_status(call->engine));
}

static void get_workflows(struct call *call)
{
    get_list(call, engine_workflows(call->engine));
}

static void get_sources(struct call *call)
{
    get_list(call, engine_sources(call->engine));
}

static void get_endpoints(struct call *call)
{
    get_list(call, engine_endpoints(call->engine));
}

static void get_components(struct call *call)
{
    get_list(call, engine_components(call->engine));
}

static void get_accounts(struct call *call)
{
    get_list(call, engine_accounts(call->engine));
}

static void get_component(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    char *key = segment(call, 1);
    int rc = engine_component(call->engine, key, &value, &err);
    finish(call, rc, value, &err);
    free(key);
}

static void get_events(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    int rc = engine_events(call->engine, query(call, "source"), query(call, "before"),
                           limit_of(call), &value, &err);
    finish(call, rc, value, &err);
}

static void get_event(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    char *id = segment(call, 1);
    int rc = engine_event(call->engine, id, &value, &err);
    finish(call, rc, value, &err);
    free(id);
}

static void get_runs(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    int64_t since_ms = 0;
    int rc = 0;
    if (query(call, "since") && num_parse_i64(str_from(query(call, "since")), &since_ms))
        rc = err_set(&err, RN_EINVAL, "since is a time in ms");
    rc = rc ? rc
            : engine_runs(call->engine, query(call, "workflow"), query(call, "status"), since_ms,
                          query(call, "before"), limit_of(call), &value, &err);
    finish(call, rc, value, &err);
}

static void get_run(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    uint64_t wait_ms = 0;
    char *id = segment(call, 1);
    if (query(call, "wait_ms") && num_parse_u64(str_from(query(call, "wait_ms")), &wait_ms) == 0 &&
        wait_ms)
        (void)!engine_wait_run(call->engine, id,
                               wait_ms > WAIT_MAX_MS ? WAIT_MAX_MS : (int64_t)wait_ms, NULL);
    int rc = engine_run_detail(call->engine, id, &value, &err);
    finish(call, rc, value, &err);
    free(id);
}

static void get_logs(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    int rc = engine_logs(call->engine, query(call, "of"), limit_of(call), &value, &err);
    finish(call, rc, value, &err);
}

/* ---- acting */

static void post_run(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = json_new_object();
    char run[32] = "";
    char *name = segment(call, 1);
    const struct json *event = json_get(call->body, "event");
    struct json *empty = json_new_object();
    int rc = engine_run_workflow(call->engine, name, event ? event : empty, run, &err);
    json_set_string(value, "run", run);
    finish(call, rc, rc ? NULL : value, &err);
    if (rc)
        json_free(value);
    json_free(empty);
    free(name);
}

static void get_schedules(struct call *call)
{
    uint64_t next = 1;
    if (query(call, "next"))
        (void)!num_parse_u64(str_from(query(call, "next")), &next);
    get_list(call, engine_schedules(call->engine, next < UPCOMING_MAX ? next : UPCOMING_MAX));
}

static void post_fire(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    const char *id = json_get_c(call->body, "id");
    int rc = id ? engine_fire(call->engine, id, &value, &err)
                : err_set(&err, RN_EINVAL, "`id` is missing: a schedule's or a source's id");
    finish(call, rc, value, &err);
}

static void post_cancel(struct call *call)
{
    struct err err = ERR_INIT;
    char *id = segment(call, 1);
    int rc = engine_cancel_run(call->engine, id, &err);
    finish(call, rc, NULL, &err);
    free(id);
}

static void post_replay(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    const char *id = json_get_c(call->body, "id");
    int rc = id ? engine_replay(call->engine, id, json_get_c(call->body, "workflow"), &value, &err)
                : err_set(&err, RN_EINVAL, "`id` is missing: a run's or an event's id");
    finish(call, rc, value, &err);
}

static void post_reload(struct call *call)
{
    struct err err = ERR_INIT;
    struct problems problems = PROBLEMS_INIT;
    int rc = engine_reload(call->engine, &problems, &err);
    finish(call, rc, rc ? NULL : problems_to_json(&problems), &err);
    problems_release(&problems);
}

static void post_account(struct call *call)
{
    struct err err = ERR_INIT;
    const char *name = json_get_c(call->body, "name"), *app = json_get_c(call->body, "app");
    int rc = name && app
                 ? engine_account_add(call->engine, name, app, json_get(call->body, "auth"), &err)
                 : err_set(&err, RN_EINVAL, "`name` and `app` are needed");
    finish(call, rc, NULL, &err);
}

static void delete_account(struct call *call)
{
    struct err err = ERR_INIT;
    char *name = segment(call, 1);
    int rc = engine_account_remove(call->engine, name, &err);
    finish(call, rc, NULL, &err);
    free(name);
}

static void post_account_test(struct call *call)
{
    struct err err = ERR_INIT;
    char *name = segment(call, 1);
    int rc = engine_account_test(call->engine, name, &err);
    finish(call, rc, NULL, &err);
    free(name);
}

static void post_options(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    const struct json *body = call->body;
    const char *component = json_get_c(body, "component"), *prop = json_get_c(body, "prop");
    int rc =
        component && prop
            ? engine_prop_options(call->engine, component, prop, json_get(body, "props"),
                                  (int)json_get_i64(body, "page", 0), json_get_c(body, "query"),
                                  json_get(body, "context"), &value, &err)
            : err_set(&err, RN_EINVAL, "`component` and `prop` are needed");
    finish(call, rc, value, &err);
}

static void post_props(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    const char *component = json_get_c(call->body, "component");
    int rc = component ? engine_dynamic_props(call->engine, component,
                                              json_get(call->body, "props"), &value, &err)
                       : err_set(&err, RN_EINVAL, "`component` is needed");
    finish(call, rc, value, &err);
}

static void post_shutdown(struct call *call)
{
    bool deactivates = json_get_bool(call->body, "deactivate", false);
    struct err err = ERR_INIT;
    int rc = deactivates ? engine_deactivate_all(call->engine, &err) : 0;
    finish(call, rc, NULL, &err);
    if (rc == 0)
        server_request_shutdown(call->server, deactivates);
}

/* "*" stands for one segment. */
static const struct route {
    const char *method;
    const char *pattern;
    void (*handle)(struct call *call);
} routes[] = {
    {"GET", "status", get_status},
    {"GET", "workflows", get_workflows},
    {"POST", "workflows/*/run", post_run},
    {"GET", "sources", get_sources},
    {"GET", "endpoints", get_endpoints},
    {"GET", "schedules", get_schedules},
    {"POST", "fire", post_fire},
    {"GET", "components", get_components},
    {"GET", "components/*", get_component},
    {"GET", "events", get_events},
    {"GET", "events/*", get_event},
    {"GET", "runs", get_runs},
    {"GET", "runs/*", get_run},
    {"POST", "runs/*/cancel", post_cancel},
    {"POST", "replay", post_replay},
    {"GET", "logs", get_logs},
    {"POST", "reload", post_reload},
    {"GET", "accounts", get_accounts},
    {"POST", "accounts", post_account},
    {"DELETE", "accounts/*", delete_account},
    {"POST", "accounts/*/test", post_account_test},
    {"POST", "options", post_options},
    {"POST", "props", post_props},
    {"POST", "shutdown", post_shutdown},
};

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
    return str_starts(value, "Bearer ") &&
           crypto_equal(str_n(value.ptr + 7, value.len - 7), str_from(server->token));
}

static void add_query(void *ctx, struct str name, struct str value)
{
    char *key = str_dup(name);
    json_set_str(ctx, key, value);
    free(key);
}

static void dispatch(struct call *call)
{
    bool is_known = false;
    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        if (!matches(call, routes[i].pattern))
            continue;
        is_known = true;
        if (strcmp(routes[i].method, call->request->method) == 0) {
            routes[i].handle(call);
            return;
        }
    }
    problem(call->response, is_known ? 405 : 404, is_known ? "method" : "not_found",
            is_known ? "this route does not take that method" : "there is no such route");
}

void admin_handle(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct server *server = ctx;
    struct call call = {
        .server = server, .engine = server->engine, .request = request, .response = response};
    struct err err = ERR_INIT;
    if (str_eq_c(request->path, "/healthz") || str_eq_c(request->path, "/readyz")) {
        http_response_set(response, 200, "text/plain", STR("ok\n"));
        return;
    }
    if (!is_own_host(request->host) || !is_own_origin(request)) {
        problem(response, 403, "refused", "this Host or Origin is not the admin listener's own");
        return;
    }
    if (!has_token(server, request)) {
        problem(response, 401, "auth",
                "the Authorization header has to bear the token of .runnel/admin-token");
        (void)!http_response_header(response, "WWW-Authenticate", STR("Bearer"));
        return;
    }
    struct str rest = request->path, part = STR_NONE;
    if (!str_starts(rest, "/api/v1/")) {
        problem(response, 404, "not_found", "the routes are at /api/v1/");
        return;
    }
    rest = str_n(rest.ptr + 8, rest.len - 8);
    while (call.segment_count < COUNT_OF(call.segments) && str_cut(&rest, '/', &part))
        call.segments[call.segment_count++] = part;
    call.query = json_new_object();
    if (http_form_parse(request->query, add_query, call.query))
        problem(response, 400, "invalid", "the query string cannot be read");
    else if (request->body.len && json_parse(request->body, &call.body, &err))
        problem(response, 400, "invalid", err.text);
    else
        dispatch(&call);
    json_free(call.query);
    json_free(call.body);
}
