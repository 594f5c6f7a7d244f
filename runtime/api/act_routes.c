/* The routes that do something. */
#include "api/call.h"
#include "engine/browse.h"
#include "engine/data_store.h"

enum { REPLAY_MAX = 1000 };

static void post_run(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = json_new_object();
    char run[32] = "";
    char *name = call_segment(call, 1);
    const struct json *event = json_get(call->body, "event");
    int rc = engine_run_workflow(call->engine, name, event, NULL, run, &err);
    json_set_string(value, "run", run);
    call_finish(call, rc, rc ? NULL : value, &err);
    if (rc)
        json_free(value);
    free(name);
}

static void edit(struct call *call, const struct engine_edit *edit)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    char *id = call_segment(call, 1);
    int rc = engine_workflow_edit(call->engine, id, edit, &value, &err);
    call_finish(call, rc, value, &err);
    free(id);
}

static void put_workflow(struct call *call)
{
    struct err err = ERR_INIT;
    const struct json *changes = json_get(call->body, "changes");
    struct engine_edit change = {
        .text = json_get_c(call->body, "text"),
        .changes = changes,
        .base = json_get_c(call->body, "base"),
        .is_dry = json_get_bool(call->body, "dry_run", false),
    };
    if (!change.text == !json_is(changes, JSON_ARRAY))
        call_finish(call,
                    err_set(&err, RN_EINVAL, "either `text`, or `changes` as a list, is needed"),
                    NULL, &err);
    else
        edit(call, &change);
}

static void set_inactive(struct call *call, bool is_inactive)
{
    struct json *changes = json_new_array();
    struct json *change = json_append(changes, json_new_object());
    json_set_string(change, "path", "inactive");
    json_set_boolean(change, "value", is_inactive);
    edit(call, &(struct engine_edit){.changes = changes});
    json_free(changes);
}

static void post_enable(struct call *call)
{
    set_inactive(call, false);
}

static void post_disable(struct call *call)
{
    set_inactive(call, true);
}

static void post_emit(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    char *id = call_segment(call, 1);
    int rc = engine_emit(call->engine, id, json_get_c(call->body, "channel"),
                         json_get_text(call->body, "summary"), json_get(call->body, "event"),
                         &value, &err);
    call_finish(call, rc, value, &err);
    free(id);
}

static void post_fire(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL;
    const char *id = json_get_c(call->body, "id");
    int rc = id ? engine_fire(call->engine, id, &value, &err)
                : err_set(&err, RN_EINVAL, "`id` is missing: a schedule's or a source's id");
    call_finish(call, rc, value, &err);
}

/* {"op":"get"|"set"|…, "store", "key", …}: one request to a data store (plugin/protocol.h, without
 * "store_"). */
static void post_data(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *value = NULL, *request = json_copy(call->body);
    const char *op = json_get_c(request, "op");
    int rc = op ? 0 : err_set(&err, RN_EINVAL, "`op` is missing: get, set, delete, keys …");
    if (rc == 0) {
        char *name = xasprintf("store_%s", op);
        json_set_string(request, "op", name);
        rc = engine_data(call->engine, request, &value, &err);
        free(name);
    }
    call_finish(call, rc, value, &err);
    json_free(request);
}

static void get_data(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *list = NULL;
    if (engine_data_stores(call->engine, &list, &err))
        call_finish(call, err.code, NULL, &err);
    else
        call_answer_list(call, list);
}

static void delete_event(struct call *call)
{
    struct err err = ERR_INIT;
    char *id = call_segment(call, 1);
    int rc = engine_event_delete(call->engine, id, &err);
    call_finish(call, rc, NULL, &err);
    free(id);
}

static void post_cancel(struct call *call)
{
    struct err err = ERR_INIT;
    char *id = call_segment(call, 1);
    int rc = engine_cancel_run(call->engine, id, &err);
    call_finish(call, rc, NULL, &err);
    free(id);
}

static void post_resume(struct call *call)
{
    struct err err = ERR_INIT;
    char *id = call_segment(call, 1);
    struct json *data = json_new_object();
    if (call->body)
        (void)json_set(data, "body", json_copy(call->body));
    int rc = engine_resume_run(call->engine, id, data, &err);
    call_finish(call, rc, NULL, &err);
    free(id);
}

/* A run's event, changed by hand, as a new event of the same workflow. */
static int replay_edited(struct call *call, const char *id, const struct json *event,
                         struct json *list, struct err *err)
{
    const char *workflow = json_get_c(call->body, "workflow");
    struct json *run = NULL;
    char run_id[32] = "";
    int rc = 0;
    if (!workflow)
        rc = str_starts(str_from(id), "run_")
                 ? engine_run_detail(call->engine, id, &run, err)
                 : err_set(err, RN_EINVAL, "with an edited event, `workflow` is needed");
    if (!workflow)
        workflow = json_get_c(run, "workflow");
    rc = rc ? rc : engine_run_workflow(call->engine, workflow, event, id, run_id, err);
    if (rc == 0) {
        struct json *item = json_append(list, json_new_object());
        json_set_string(item, "run", run_id);
        json_set_string(item, "workflow", workflow);
    }
    json_free(run);
    return rc;
}

static int replay_one(struct call *call, const char *id, struct json *list, struct err *err)
{
    const struct json *event = json_get(call->body, "event");
    struct json *runs = NULL;
    if (!id)
        return err_set(err, RN_EINVAL, "an id is a run's (run_…) or an event's (evt_…)");
    if (event)
        return replay_edited(call, id, event, list, err);
    int rc = engine_replay(call->engine, id, json_get_c(call->body, "workflow"),
                           json_get_c(call->body, "from_step"), &runs, err);
    for (struct json *r; rc == 0 && (r = json_take_first(runs));)
        (void)json_append(list, r);
    json_free(runs);
    return rc;
}

/* Many: in their order; what fails is said beside the others. */
static void replay_many(struct call *call, const struct json *ids, struct json *list)
{
    for (const struct json *id = json_first(ids); id; id = json_next(id)) {
        struct err err = ERR_INIT;
        if (replay_one(call, json_c(id), list, &err) == 0)
            continue;
        struct json *item = json_append(list, json_new_object());
        json_set_string(item, "id", json_c(id));
        json_set_string(item, "error", err.text);
    }
}

static void post_replay(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *list = json_new_array();
    const struct json *ids = json_get(call->body, "ids");
    int rc = 0;
    if (json_count(ids) > REPLAY_MAX)
        rc = err_set(&err, RN_ETOOBIG, "at most %d at once", REPLAY_MAX);
    else if (json_is(ids, JSON_ARRAY))
        replay_many(call, ids, list);
    else
        rc = replay_one(call, json_get_c(call->body, "id"), list, &err);
    if (rc) {
        json_free(list);
        call_finish(call, rc, NULL, &err);
    } else {
        call_answer_list(call, list);
    }
}

static void post_reload(struct call *call)
{
    struct err err = ERR_INIT;
    struct problems problems = PROBLEMS_INIT;
    int rc = engine_reload(call->engine, &problems, &err);
    if (rc)
        call_finish(call, rc, NULL, &err);
    else
        call_answer_list(call, problems_to_json(&problems));
    problems_release(&problems);
}

static void post_account(struct call *call)
{
    struct err err = ERR_INIT;
    const char *name = json_get_c(call->body, "name"), *app = json_get_c(call->body, "app");
    int rc = name && app
                 ? engine_account_add(call->engine, name, app, json_get(call->body, "auth"), &err)
                 : err_set(&err, RN_EINVAL, "`name` and `app` are needed");
    call_finish(call, rc, NULL, &err);
}

static void delete_account(struct call *call)
{
    struct err err = ERR_INIT;
    char *name = call_segment(call, 1);
    int rc = engine_account_remove(call->engine, name, &err);
    call_finish(call, rc, NULL, &err);
    free(name);
}

static void post_account_test(struct call *call)
{
    struct err err = ERR_INIT;
    char *name = call_segment(call, 1);
    int rc = engine_account_test(call->engine, name, &err);
    call_finish(call, rc, NULL, &err);
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
    call_finish(call, rc, value, &err);
}

static void post_props(struct call *call)
{
    struct err err = ERR_INIT;
    struct json *list = NULL;
    const char *component = json_get_c(call->body, "component");
    int rc = component ? engine_dynamic_props(call->engine, component,
                                              json_get(call->body, "props"), &list, &err)
                       : err_set(&err, RN_EINVAL, "`component` is needed");
    if (rc)
        call_finish(call, rc, NULL, &err);
    else
        call_answer_list(call, list);
}

static void post_shutdown(struct call *call)
{
    bool deactivates = json_get_bool(call->body, "deactivate", false);
    struct err err = ERR_INIT;
    int rc = deactivates ? engine_deactivate_all(call->engine, &err) : 0;
    call_finish(call, rc, NULL, &err);
    if (rc == 0)
        server_request_shutdown(call->server, deactivates);
}

const struct route act_routes[] = {
    {"PUT", "workflows/*", put_workflow, false},
    {"POST", "workflows/*/run", post_run, false},
    {"POST", "workflows/*/enable", post_enable, false},
    {"POST", "workflows/*/disable", post_disable, false},
    {"POST", "sources/*/emit", post_emit, false},
    {"POST", "fire", post_fire, false},
    {"GET", "data-stores", get_data, false},
    {"POST", "data-stores", post_data, false},
    {"DELETE", "events/*", delete_event, false},
    {"POST", "runs/*/cancel", post_cancel, false},
    {"POST", "runs/*/resume", post_resume, false},
    {"POST", "replay", post_replay, false},
    {"POST", "reload", post_reload, false},
    {"POST", "accounts", post_account, false},
    {"DELETE", "accounts/*", delete_account, false},
    {"POST", "accounts/*/test", post_account_test, false},
    {"POST", "options", post_options, false},
    {"POST", "props", post_props, false},
    {"POST", "shutdown", post_shutdown, false},
    {0},
};
