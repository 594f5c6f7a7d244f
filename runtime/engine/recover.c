/* Runs that a restart interrupted go on where they were: from the results on disk, with an attempt
 * whose outcome nobody knows treated as the step says. Thread: the loop's, before anything is
 * dispatched. */
#include "engine/run.h"

struct interrupted {
    uint64_t id, event_id;
    char *workflow;
    char *status;
    struct json *detail;
};

struct interrupted_list {
    struct interrupted *list;
    size_t count;
};

static int each_live(void *ctx, const struct run_record *record)
{
    struct interrupted_list *found = ctx;
    struct json *detail = NULL;
    if (json_parse(record->detail, &detail, NULL))
        detail = NULL;
    found->list = xrealloc(found->list, (found->count + 1) * sizeof(*found->list));
    found->list[found->count++] = (struct interrupted){
        record->id, record->event_id, str_dup(record->workflow), str_dup(record->status), detail};
    return 0;
}

/* What the steps left: exports in run->steps, and where the run stands. */
struct progress {
    struct run *run;
    bool has_open_attempt; /* the last record has an intent and no result */
    bool has_failed;       /* the last result is a failure */
    bool has_exited;
    char *exit_reason;
    struct json *last_result;
};

static int each_step(void *ctx, const struct step_record *record)
{
    struct progress *progress = ctx;
    struct run *run = progress->run;
    struct json *result = NULL;
    json_free(progress->last_result);
    progress->last_result = NULL;
    progress->has_open_attempt = record->result.len == 0;
    progress->has_failed = false;
    run->position = record->position;
    run->attempt = record->attempt;
    if (record->result.len == 0 || json_parse(record->result, &result, NULL))
        return 0;
    struct str status = json_get_text(result, "status");
    if (str_eq_c(status, "succeeded")) {
        const char *namespace_ = json_get_c(result, "namespace");
        struct json *exports = json_take(result, "exports");
        if (namespace_)
            (void)json_set(run->steps, namespace_, exports ? exports : json_new_object());
        run->position++;
        run->attempt = 1;
        const struct json *exit = json_get(result, "exit");
        progress->has_exited = exit != NULL;
        if (json_get_c(exit, "reason"))
            progress->exit_reason = xstrdup(json_get_c(exit, "reason"));
        json_free(result);
    } else {
        progress->has_failed = true;
        progress->last_result = result;
    }
    return 0;
}

/* The workflow as the run began with it: the current file if it is the same text, else the kept
 * one. */
static bool find_workflow(struct run *run, struct store_view *view, const char *id,
                          const char *version, struct catalog *catalog)
{
    const struct workflow *current = project_workflow(run->project, str_from(id));
    struct str text;
    if (current && version && strcmp(current->sha256, version) == 0) {
        run->workflow = current;
        return true;
    }
    if (!version || kv_get(STORE_VIEW(view), SPACE_VERSIONS, str_from(version), &text))
        return false;
    struct problems problems = PROBLEMS_INIT;
    run->own_workflow = workflow_parse(id, text, run->project, catalog, &problems);
    problems_release(&problems);
    run->workflow = run->own_workflow;
    return run->workflow != NULL;
}

/* Nobody knows what became of the attempt: it is recorded so, and the step's policy decides. */
static void settle_open_attempt(struct run *run)
{
    const struct step *step = &run->workflow->steps[run->position];
    struct json *result = json_new_object();
    json_set_string(result, "namespace", step->namespace_);
    json_set_string(result, "status", "unknown");
    json_set_integer(result, "ended_ms", clock_now_ms());
    struct json *error = json_set(result, "error", json_new_object());
    json_set_string(error, "code", err_word(RN_EUNKNOWN));
    json_set_string(error, "text", "runnel ended during the call");
    run_keep_result(run, result);
    if (step->retry.on_unknown == ON_UNKNOWN_FAIL) {
        run_end_failed(run, step->namespace_, RN_EUNKNOWN,
                       "runnel ended during the call, and nobody knows whether it was done "
                       "(on_unknown: fail)");
    } else {
        run->attempt++;
        run_advance(run);
    }
}

static void go_on(struct run *run, const struct progress *progress, bool was_waiting)
{
    if (progress->has_exited) {
        run->exit_reason = progress->exit_reason ? xstrdup(progress->exit_reason) : NULL;
        run_end(run, "succeeded");
    } else if (progress->has_open_attempt && run->position < run->workflow->step_count) {
        settle_open_attempt(run);
    } else if (progress->has_failed && was_waiting) {
        if (run->wake_ms == 0)
            run->wake_ms = clock_now_ms();
        run_wait(run);
    } else if (progress->has_failed && !json_get(progress->last_result, "retry_ms")) {
        const struct json *error = json_get(progress->last_result, "error");
        const char *text = json_get_c(error, "text");
        run_end_failed(run, run->workflow->steps[run->position].namespace_, RN_EFAILED,
                       text ? text : "the step failed");
    } else {
        if (progress->has_failed)
            run->attempt++;
        run_advance(run);
    }
}

/* A run that cannot go on is ended as failed, with the reason. */
static void give_up(struct run *run, const char *workflow, const char *why)
{
    run->own_workflow = xcalloc(1, sizeof(*run->own_workflow));
    run->own_workflow->id = xstrdup(workflow);
    run->own_workflow->name = xstrdup(workflow);
    run->workflow = run->own_workflow;
    run_end_failed(run, NULL, RN_ECONFIG, why);
}

static void recover_run(struct dispatcher *d, struct engine *engine, struct project *project,
                        struct catalog *catalog, const struct interrupted *found)
{
    struct run *run = run_make(d, found->id, found->event_id);
    struct progress progress = {.run = run};
    struct store_view *view = NULL;
    struct event_record event;
    struct err err = ERR_INIT;
    run->engine = engine;
    run->project = project_ref(project);
    record_read_detail(run, found->detail);
    dispatcher_adopt(d, run, found->workflow);
    if (store_view_begin(engine->store, &view, &err)) {
        give_up(run, found->workflow, err.text);
        return;
    }
    bool is_known =
        find_workflow(run, view, found->workflow, json_get_c(found->detail, "version"), catalog);
    int rc = is_known ? event_get(STORE_VIEW(view), found->event_id, &event) : RN_ENOTFOUND;
    if (rc == 0)
        rc = run_set_event(run, &event, &err);
    if (rc == 0)
        rc = step_each(STORE_VIEW(view), found->id, each_step, &progress);
    store_view_end(view);
    if (!is_known)
        give_up(run, found->workflow,
                "the version of the workflow that it began with cannot be used any more");
    else if (rc)
        give_up(run, found->workflow, err.text[0] ? err.text : "its event is not in the store");
    else
        go_on(run, &progress, strcmp(found->status, "waiting") == 0);
    free(progress.exit_reason);
    json_free(progress.last_result);
}

void dispatcher_recover(struct dispatcher *d)
{
    struct engine *engine = dispatcher_engine(d);
    struct interrupted_list found = {0};
    struct store_view *view = NULL;
    struct err err = ERR_INIT;
    if (store_view_begin(engine->store, &view, &err)) {
        log_error("interrupted runs cannot be read: %s", err.text);
        return;
    }
    (void)run_each_live(STORE_VIEW(view), each_live, &found);
    store_view_end(view);
    struct project *project = engine_project(engine);
    struct catalog *catalog = engine_catalog(engine);
    for (size_t i = 0; i < found.count; i++) {
        recover_run(d, engine, project, catalog, &found.list[i]);
        free(found.list[i].workflow);
        free(found.list[i].status);
        json_free(found.list[i].detail);
    }
    if (found.count)
        log_info("%zu interrupted run%s taken up", found.count, found.count == 1 ? "" : "s");
    free(found.list);
    catalog_unref(catalog);
    project_unref(project);
}
