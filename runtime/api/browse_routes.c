/* The routes that only look. */
#include "api/call.h"
#include "api/streams.h"
#include "engine/browse.h"
#include "engine/metrics.h"

enum { UPCOMING_MAX = 100, LIST_DEFAULT = 50, LIST_MAX = 1000, WAIT_MAX_MS = 60000 };

static size_t limit_of(const struct call *call)
{
    uint64_t limit = LIST_DEFAULT;
    if (call_query(call, "limit") &&
        (num_parse_u64(str_from(call_query(call, "limit")), &limit) || limit == 0))
        limit = LIST_DEFAULT;
    return limit > LIST_MAX ? LIST_MAX : (size_t)limit;
}

static int query_of(struct call *call, struct engine_query *ret, struct err *err)
{
    *ret = (struct engine_query){
        .workflow = call_query(call, "workflow"),
        .status = call_query(call, "status"),
        .event = call_query(call, "event"),
        .source = call_query(call, "source"),
        .channel = call_query(call, "channel"),
        .text = call_query(call, "text"),
        .cursor = call_query(call, "cursor"),
        .limit = limit_of(call),
    };
    int rc = call_time(call, "since", &ret->since_ms, err);
    return rc ? rc : call_time(call, "until", &ret->until_ms, err);
}

static void get_status(struct call *call)
{
    struct json *status = engine_status(call->engine);
    (void)json_set(status, "totals", engine_totals(call->engine));
    call_answer(call, status);
}

static void get_workflows(struct call *call)
{
    call_answer_list(call, engine_workflows(call->engine));
}

static void get_workflow(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    char *id = call_segment(call, 1);
    int rc = engine_workflow(call->engine, id, &value, &err);
    call_finish(call, rc, value, &err);
    free(id);
}

static void get_workflow_versions(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *list = NULL;
    char *id = call_segment(call, 1);
    int rc = engine_workflow_versions(call->engine, id, &list, &err);
    if (rc)
        call_finish(call, rc, NULL, &err);
    else
        call_answer_list(call, list);
    free(id);
}

static void get_version(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    char *version = call_segment(call, 1);
    int rc = engine_version(call->engine, version, &value, &err);
    call_finish(call, rc, value, &err);
    free(version);
}

static void get_sources(struct call *call)
{
    call_answer_list(call, engine_sources(call->engine));
}

static void get_source(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *found = NULL, *list = engine_sources(call->engine);
    char *id = call_segment(call, 1);
    for (const struct json *s = json_first(list); s && !found; s = json_next(s))
        if (str_eq_c(json_get_text(s, "id"), id))
            found = json_copy(s);
    int rc = found ? 0 : err_set(&err, RN_ENOTFOUND, "there is no source \"%s\"", id);
    call_finish(call, rc, found, &err);
    json_free(list);
    free(id);
}

static void get_endpoints(struct call *call)
{
    call_answer_list(call, engine_endpoints(call->engine));
}

static void get_schedules(struct call *call)
{
    uint64_t next = 1;
    if (call_query(call, "next"))
        (void)!num_parse_u64(str_from(call_query(call, "next")), &next);
    call_answer_list(call,
                     engine_schedules(call->engine, next < UPCOMING_MAX ? next : UPCOMING_MAX));
}

static void get_components(struct call *call)
{
    call_answer_list(call, engine_components(call->engine));
}

static void get_component(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    char *key = call_segment(call, 1);
    int rc = engine_component(call->engine, key, &value, &err);
    call_finish(call, rc, value, &err);
    free(key);
}

static void get_accounts(struct call *call)
{
    call_answer_list(call, engine_accounts(call->engine));
}

static void get_events(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    struct engine_query query;
    int rc = query_of(call, &query, &err);
    rc = rc ? rc : engine_events(call->engine, &query, &value, &err);
    call_finish(call, rc, value, &err);
}

static void get_event(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    char *id = call_segment(call, 1);
    int rc = engine_event(call->engine, id, &value, &err);
    call_finish(call, rc, value, &err);
    free(id);
}

static void get_runs(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    struct engine_query query;
    int rc = query_of(call, &query, &err);
    rc = rc ? rc : engine_runs(call->engine, &query, &value, &err);
    call_finish(call, rc, value, &err);
}

static void get_run(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    uint64_t wait_ms = 0;
    char *id = call_segment(call, 1);
    const char *wait = call_query(call, "wait_ms");
    if (wait && num_parse_u64(str_from(wait), &wait_ms) == 0 && wait_ms)
        (void)!engine_wait_run(call->engine, id,
                               wait_ms > WAIT_MAX_MS ? WAIT_MAX_MS : (int64_t)wait_ms, NULL);
    int rc = engine_run_detail(call->engine, id, &value, &err);
    call_finish(call, rc, value, &err);
    free(id);
}

static void get_logs(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *list = NULL;
    int rc = engine_logs(call->engine, call_query(call, "of"), limit_of(call), &list, &err);
    if (rc)
        call_finish(call, rc, NULL, &err);
    else
        call_answer_list(call, list);
}

static void get_stream(struct call *call)
{
    struct err err = ERR_INIT;
    struct stream_options options = {
        .topics = call_query(call, "topics"),
        .workflow = call_query(call, "workflow"),
        .source = call_query(call, "source"),
        .run = call_query(call, "run"),
        .from = http_request_header(call->request, "last-event-id"),
        .is_brief = call_query(call, "brief") != NULL,
    };
    if (!options.from.len)
        options.from = json_get_text(call->query, "from");
    int rc = streams_begin(call->server->streams, &options, call->response, &err);
    if (rc)
        call_finish(call, rc, NULL, &err);
}

static void get_sse(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *workflow = NULL;
    char *id = call_segment(call, 1);
    struct stream_options options = {.sse = id,
                                     .from = http_request_header(call->request, "last-event-id")};
    if (!options.from.len)
        options.from = json_get_text(call->query, "from");
    int rc = engine_workflow(call->engine, id, &workflow, &err);
    rc = rc ? rc : streams_begin(call->server->streams, &options, call->response, &err);
    if (rc)
        call_finish(call, rc, NULL, &err);
    json_free(workflow);
    free(id);
}

const struct route browse_routes[] = {
    {"GET", "status", get_status, false},
    {"GET", "workflows", get_workflows, false},
    {"GET", "workflows/*", get_workflow, false},
    {"GET", "workflows/*/versions", get_workflow_versions, false},
    {"GET", "workflows/*/sse", get_sse, false},
    {"GET", "versions/*", get_version, false},
    {"GET", "sources", get_sources, false},
    {"GET", "sources/*", get_source, false},
    {"GET", "endpoints", get_endpoints, false},
    {"GET", "schedules", get_schedules, false},
    {"GET", "components", get_components, false},
    {"GET", "components/*", get_component, false},
    {"GET", "events", get_events, false},
    {"GET", "events/*", get_event, false},
    {"GET", "runs", get_runs, false},
    {"GET", "runs/*", get_run, false},
    {"GET", "logs", get_logs, false},
    {"GET", "accounts", get_accounts, false},
    {"GET", "stream", get_stream, false},
    {0},
};
