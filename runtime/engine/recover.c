/* Runs that a restart interrupted, or that left memory to wait, go on where they were: from what is
 * on disk (progress.h). Thread: the loop's. */
#include "engine/run.h"
#include "engine/sends.h"

/* The workflow as the run began with it: the current file if it is the same text, else the kept
 * one. */
static bool find_workflow(struct run *run, struct store_view *view, const char *id,
                          const char *version)
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
    struct catalog *catalog = engine_catalog(run->engine);
    run->own_workflow = workflow_parse(id, text, run->project, catalog, &problems);
    catalog_unref(catalog);
    problems_release(&problems);
    run->workflow = run->own_workflow;
    return run->workflow != NULL;
}

/* A run that cannot go on is ended as failed, with the reason. */
static void give_up(struct run *run, const char *workflow, const char *why)
{
    if (!run->workflow) {
        run->own_workflow = xcalloc(1, sizeof(*run->own_workflow));
        run->own_workflow->id = xstrdup(workflow);
        run->own_workflow->name = xstrdup(workflow);
        run->workflow = run->own_workflow;
    }
    run_finish(run, "failed", run_error(RN_ECONFIG, why, NULL));
    run_settle(run);
}

void run_load(struct dispatcher *d, uint64_t run_id, bool is_cancelled)
{
    struct engine *engine = dispatcher_engine(d);
    struct store_view *view = NULL;
    struct run_record record;
    struct event_record event;
    struct json *detail = NULL;
    struct err err = ERR_INIT;
    if (store_view_begin(engine->store, &view, &err)) {
        log_error("a run cannot be read: %s", err.text);
        return;
    }
    int rc = run_get(STORE_VIEW(view), run_id, &record);
    if (rc || record.phase == RUN_ENDED) {
        store_view_end(view);
        return;
    }
    if (json_parse_own(record.detail, &detail, NULL))
        detail = NULL;
    struct run *run = run_make(d, run_id, record.event_id);
    char *workflow = str_dup(record.workflow);
    run->project = engine_project(engine);
    record_read_detail(run, detail);
    bool is_known = find_workflow(run, view, workflow, json_get_c(detail, "version"));
    rc = is_known ? event_get(STORE_VIEW(view), record.event_id, &event) : RN_ENOTFOUND;
    if (rc == 0)
        rc = run_set_event(run, &event, &err);
    if (rc == 0)
        run->progress = progress_read(view, run_id, &run->last_position);
    run->may_have_files = true;
    sends_load(run, view);
    store_view_end(view);
    dispatcher_adopt(d, run, workflow);
    if (!is_known)
        give_up(run, workflow,
                "the version of the workflow that it began with cannot be used any more");
    else if (rc)
        give_up(run, workflow, err.text[0] ? err.text : "its event is not in the store");
    else if (is_cancelled)
        run_cancel(run);
    else
        run_begin(run);
    json_free(detail);
    free(workflow);
}

/* ---- at the start */

struct interrupted {
    uint64_t id;
    int64_t wake_ms; /* it only waits, for this or (0) for a resume; -1: it goes on at once */
};

struct interrupted_list {
    struct interrupted *list;
    size_t count;
    int64_t now_ms;
};

static int each_live(void *ctx, const struct run_record *record)
{
    struct interrupted_list *found = ctx;
    struct json *detail = NULL;
    if (json_parse_own(record->detail, &detail, NULL))
        detail = NULL;
    int64_t wake_ms = json_get_i64(detail, "wake_ms", 0);
    bool only_waits =
        str_eq_c(record->status, "paused") && (wake_ms == 0 || wake_ms > found->now_ms);
    json_free(detail);
    found->list = xrealloc(found->list, (found->count + 1) * sizeof(*found->list));
    found->list[found->count++] = (struct interrupted){record->id, only_waits ? wake_ms : -1};
    return 0;
}

void dispatcher_recover(struct dispatcher *d)
{
    struct engine *engine = dispatcher_engine(d);
    struct interrupted_list found = {.now_ms = clock_now_ms()};
    struct store_view *view = NULL;
    struct err err = ERR_INIT;
    if (store_view_begin(engine->store, &view, &err)) {
        log_error("interrupted runs cannot be read: %s", err.text);
        return;
    }
    (void)run_each_live(STORE_VIEW(view), each_live, &found);
    store_view_end(view);
    files_sweep(engine);
    size_t parked = 0;
    for (size_t i = 0; i < found.count; i++) {
        struct interrupted *run = &found.list[i];
        if (run->wake_ms >= 0) {
            dispatcher_park(d, run->id, run->wake_ms, NULL);
            parked++;
        } else {
            run_load(d, run->id, false);
        }
    }
    if (found.count - parked)
        log_info("%zu interrupted run%s taken up", found.count - parked,
                 found.count - parked == 1 ? "" : "s");
    if (parked)
        log_info("%zu paused run%s", parked, parked == 1 ? "" : "s");
    free(found.list);
}
