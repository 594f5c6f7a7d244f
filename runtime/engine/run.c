/* The life of a run as a whole: its commits, its end, leaving memory (run.h has the picture).
 * Thread: the loop's. */
#include "engine/run.h"
#include "base/fault.h"
#include "engine/metrics.h"
#include "engine/respond.h"
#include "engine/sends.h"

#include <assert.h>
#include <unistd.h>

enum {
    COMMIT_AGAIN_MS = 1000,
    PARK_MIN_MS = 2000, /* a run whose next step is sooner stays in memory */
};

struct run *run_make(struct dispatcher *dispatcher, uint64_t id, uint64_t event_id)
{
    struct run *run = xcalloc(1, sizeof(*run));
    run->dispatcher = dispatcher;
    run->engine = dispatcher_engine(dispatcher);
    run->id = id;
    run->event_id = event_id;
    id_format("run", id, run->id_text);
    run->created_ms = id_ms(id);
    run->pending_end = &run->pending;
    run->sends_end = &run->sends;
    return run;
}

static void drop_pending(struct run *run)
{
    for (struct pending *p = run->pending, *next; p; p = next) {
        next = p->next;
        free(p->intent);
        free(p->result);
        free(p->sends);
        free(p);
    }
    run->pending = NULL;
    run->pending_end = &run->pending;
}

void run_drop(struct run *run)
{
    if (!run)
        return;
    assert(!run->strands);
    workflow_free(run->own_workflow);
    project_unref(run->project);
    progress_free(run->progress);
    drop_pending(run);
    sends_free(run->sends);
    free(run->trigger);
    free(run->replay_of);
    free(run->replay_from);
    free(run->parent);
    free(run->key);
    free(run->exit_reason);
    json_free(run->trigger_value);
    json_free(run->env);
    json_free(run->error);
    json_free(run->response);
    free(run);
}

int run_set_event(struct run *run, const struct event_record *record, struct err *err)
{
    struct json *event = NULL;
    int rc = json_parse_own(record->event, &event, err);
    if (rc)
        return err_prefix(err, "the event is not JSON");
    if (record->raw.len && json_is(event, JSON_OBJECT) && utf8_is_valid(record->raw))
        json_set_str(event, "bodyRaw", record->raw);
    run->trigger_value = json_new_object();
    (void)json_add(run->trigger_value, "event", event);
    (void)json_add(run->trigger_value, "context", record_context(run, record));
    return 0;
}

const struct json *run_env(const struct run *run)
{
    return run->env ? run->env : run->project->env;
}

struct json *run_error(int code, const char *text, const char *step)
{
    struct json *error = json_new_object();
    json_set_string(error, "code", err_word(code));
    json_set_string(error, "text", text);
    json_set_string(error, "step", step);
    return error;
}

void run_respond(struct run *run, struct json *response)
{
    respond_give(run->engine, run->id, response);
    if (run->response)
        json_free(response);
    else
        run->response = response;
}

void run_begin(struct run *run)
{
    struct json *steps = json_new_object();
    (void)json_add(steps, "trigger", json_borrow(run->trigger_value));
    if (strcmp(run->trigger, "trigger") != 0)
        (void)json_add(steps, run->trigger, json_borrow(run->trigger_value));
    if (run->workflow->env)
        run->env = project_env_with(run->project, run->workflow->env);
    run->main = strand_new(run, NULL, &run->workflow->steps, xstrdup(""), steps);
    strand_advance(run->main);
    run_settle(run);
}

/* ---- what the next commit writes */

static struct pending *pending_add(struct run *run, uint32_t position, uint32_t attempt)
{
    struct pending *p = xcalloc(1, sizeof(*p));
    p->position = position;
    p->attempt = attempt;
    *run->pending_end = p;
    run->pending_end = &p->next;
    return p;
}

void run_keep_intent(struct run *run, uint32_t position, uint32_t attempt, char *intent)
{
    pending_add(run, position, attempt)->intent = intent;
}

void run_keep_result(struct run *run, uint32_t position, uint32_t attempt, struct json *result)
{
    pending_add(run, position, attempt)->result = json_text(result, NULL);
    json_free(result);
}

void run_keep_sends(struct run *run, uint32_t position, uint32_t attempt, struct json *sends)
{
    pending_add(run, position, attempt)->sends = json_text(sends, NULL);
    json_free(sends);
}

/* ---- committing */

struct commit {
    struct store_op op;
    struct run *run;
    struct run_record record;
    char *detail, *status;
    struct pending *pending;
    bool takes_from_queue;
    bool keeps_nothing; /* data_retention: false, and the run has ended */
    char *error_workflow, *error_trigger, *error_event; /* for settings.on_error; NULL */
    uint64_t error_run;                                 /* out */
    struct child_call *call;
    struct ending *ending; /* what the run sends; NULL: nothing */
    int code;
    struct err err;
    struct strand *strand;
    void (*then)(struct strand *strand);
    void (*then_run)(struct run *run);
};

static int put_steps(struct store_tx *tx, const struct commit *c, struct err *err)
{
    int rc = 0;
    for (const struct pending *p = c->pending; p && rc == 0; p = p->next) {
        struct step_record step = {.run_id = c->record.id,
                                   .position = p->position,
                                   .attempt = p->attempt,
                                   .intent = str_from(p->intent),
                                   .result = str_from(p->result),
                                   .sends = str_from(p->sends)};
        if (p->intent)
            rc = step_put_intent(tx, &step, err);
        else if (p->result)
            rc = step_put_result(tx, &step, err);
        else
            rc = step_put_sends(tx, &step, err);
    }
    return rc;
}

/* An event and a queue entry for another workflow. */
static int push_event(struct store_tx *tx, const char *emitter, const char *summary,
                      const char *event, const char *workflow, struct json *detail,
                      uint64_t *ret_run, struct err *err)
{
    int64_t now = clock_now_ms();
    struct event_record record = {.ts = now,
                                  .received_ms = now,
                                  .emitter = str_from(emitter),
                                  .summary = str_from(summary),
                                  .event = str_from(event)};
    int rc = event_put(tx, &record, err);
    size_t size = 0;
    char *text = json_text(detail, &size);
    struct queue_entry entry = {
        .event_id = record.id, .workflow = str_from(workflow), .detail = str_n(text, size)};
    rc = rc ? rc : queue_push(tx, &entry, err);
    *ret_run = entry.run_id;
    free(text);
    json_free(detail);
    return rc;
}

/* The other workflow's run is made together with the intent that knows its id. */
static int put_call(struct store_tx *tx, const struct commit *c, struct err *err)
{
    struct child_call *call = c->call;
    struct json *detail = json_new_object();
    json_set_string(detail, "trigger", call->trigger);
    json_set_string(detail, "parent", c->run->id_text);
    json_set_integer(detail, "depth", c->run->depth + 1);
    json_set_integer(detail, "hops", c->run->hops);
    char *emitter = xasprintf("workflows/%s", c->run->workflow->id);
    int rc = push_event(tx, emitter, "called by a workflow", call->event, call->workflow, detail,
                        &call->run_id, err);
    free(emitter);
    for (const struct pending *p = c->pending; p && rc == 0; p = p->next) {
        if (!p->intent || p->position != call->position || p->attempt != call->attempt)
            continue;
        char child[ID_TEXT_MAX];
        id_format("run", call->run_id, child);
        size_t len = strlen(p->intent);
        char *text = xasprintf("%.*s,\"run\":\"%s\"}", (int)len - 1, p->intent, child);
        struct step_record step = {.run_id = c->record.id,
                                   .position = p->position,
                                   .attempt = p->attempt,
                                   .intent = str_from(text)};
        rc = step_put_intent(tx, &step, err);
        free(text);
    }
    return rc;
}

static int put_error_event(struct store_tx *tx, struct commit *c, struct err *err)
{
    struct json *detail = json_new_object();
    json_set_string(detail, "trigger", c->error_trigger);
    json_set_string(detail, "error_of", c->run->id_text);
    char *emitter = xasprintf("workflows/%s/$errors", c->run->workflow->id);
    int rc = push_event(tx, emitter, "a run failed", c->error_event, c->error_workflow, detail,
                        &c->error_run, err);
    free(emitter);
    return rc;
}

static int apply_commit(struct store_tx *tx, void *ctx, struct err *err)
{
    struct commit *c = ctx;
    int rc = c->takes_from_queue ? queue_remove(tx, c->record.workflow, c->record.id, err) : 0;
    rc = rc ? rc : put_steps(tx, c, err);
    rc = rc || !c->call ? rc : put_call(tx, c, err);
    rc = rc || !c->error_workflow ? rc : put_error_event(tx, c, err);
    rc = rc || !c->ending ? rc : ending_apply(tx, c->ending, err);
    rc = rc ? rc : run_put(tx, &c->record, err);
    if (rc == 0 && c->keeps_nothing) {
        rc = run_delete(tx, c->record.id, err);
        if (rc == 0 && event_delete(tx, c->record.event_id, NULL) == RN_EIO)
            rc = RN_EIO; /* other workflows may still need the event */
    }
    return rc;
}

static void commit_again(void *ctx);

static void commit_free(struct commit *c)
{
    for (struct pending *p = c->pending, *next; p; p = next) {
        next = p->next;
        free(p->intent);
        free(p->result);
        free(p->sends);
        free(p);
    }
    if (c->call) {
        free(c->call->workflow);
        free(c->call->trigger);
        free(c->call->event);
        free(c->call);
    }
    ending_free(c->ending);
    free(c->error_workflow);
    free(c->error_trigger);
    free(c->error_event);
    free(c->detail);
    free(c->status);
    free(c);
}

/* What the commit put into another queue. A passive engine begins nothing by itself, but for this. */
static void begin_pushed(struct run *run, const char *workflow, uint64_t run_id)
{
    if (run->engine->is_passive)
        dispatcher_begin_only(run->dispatcher, workflow, run_id);
    else
        dispatcher_wake(run->engine, workflow);
}

static void commit_settled(void *ctx)
{
    struct commit *c = ctx;
    struct run *run = c->run;
    if (dispatcher_is_over(run->dispatcher)) {
        commit_free(c);
        return;
    }
    if (c->code == RN_EIO) {
        log_error("the store failed: %s. Nothing more can be written; start runnel again",
                  c->err.text);
        _exit(1);
    }
    if (c->code && c->code != RN_ENOTFOUND) { /* full: running work waits until there is room */
        log_warn("run %s: not written, tried again: %s", run->id_text, c->err.text);
        (void)loop_timer(run->engine->loop, clock_now_ms() + COMMIT_AGAIN_MS, commit_again, c);
        return;
    }
    run->commits--;
    if (c->code == RN_ENOTFOUND && !run->is_gone) {
        run->is_gone = true; /* somebody took it out of the queue meanwhile */
        run_finish(run, "cancelled", NULL);
    }
    if (c->call && c->code == 0) {
        begin_pushed(run, c->call->workflow, c->call->run_id);
        c->strand->child = c->call->run_id;
    }
    if (c->error_workflow && c->code == 0)
        begin_pushed(run, c->error_workflow, c->error_run);
    if (c->ending && c->code == 0)
        ending_committed(run->engine, c->ending);
    struct strand *strand = c->strand;
    void (*then)(struct strand *) = c->then;
    void (*then_run)(struct run *) = c->then_run;
    commit_free(c);
    if (strand) {
        strand->state = STRAND_READY;
        if (strand_is_wanted(strand))
            then(strand);
        run_settle(run);
    } else {
        then_run(run);
    }
}

static void commit_done(void *ctx, int code, const struct err *err)
{
    struct commit *c = ctx;
    c->code = code;
    if (code)
        c->err = *err;
    loop_post(c->run->engine->loop, commit_settled, c);
}

static void commit_again(void *ctx)
{
    struct commit *c = ctx;
    if (dispatcher_is_over(c->run->dispatcher)) {
        commit_free(c);
        return;
    }
    c->op = (struct store_op){.apply = apply_commit, .done = commit_done, .ctx = c};
    int rc = store_submit(c->run->engine->store, &c->op);
    if (rc) {
        c->code = rc;
        (void)err_set(&c->err, rc, "%s", err_sentence(rc));
        commit_settled(c);
    }
}

/* running, waiting (for a retry or another run) or paused (a delay, a suspend). */
static const char *status_of(const struct run *run)
{
    bool has_wait = false, has_pause = false;
    if (run->end_status)
        return run->end_status;
    for (const struct strand *s = run->strands; s; s = s->next) {
        if (s->state == STRAND_BLOCK)
            continue;
        if (!s->wait.is_on)
            return "running";
        if (s->wait.kind == WAIT_RETRY || s->wait.kind == WAIT_RUN)
            has_wait = true;
        else
            has_pause = true;
    }
    return has_wait ? "waiting" : has_pause ? "paused" : "running";
}

static struct commit *commit_new(struct run *run, enum run_phase phase)
{
    struct commit *c = xcalloc(1, sizeof(*c));
    c->run = run;
    c->detail = record_detail(run);
    c->status = xstrdup(status_of(run));
    c->record = (struct run_record){
        .id = run->id,
        .event_id = run->event_id,
        .phase = phase,
        .workflow = str_from(run->workflow->id),
        .status = str_from(c->status),
        .detail = str_from(c->detail),
    };
    c->pending = run->pending;
    run->pending = NULL;
    run->pending_end = &run->pending;
    c->takes_from_queue = run->is_queued;
    run->is_queued = false;
    run->commits++;
    return c;
}

void run_commit(struct strand *strand, struct child_call *call, void (*then)(struct strand *strand))
{
    strand->state = STRAND_COMMITTING;
    struct commit *c = commit_new(strand->run, RUN_LIVE);
    c->strand = strand;
    c->call = call;
    c->then = then;
    commit_again(c);
}

/* ---- the end */

static void ended(struct run *run)
{
    respond_end(run->engine, run->id);
    if (run->may_have_files)
        files_remove(run->engine->files, run->id_text);
    dispatcher_run_left(run->dispatcher, run, true);
}

char *run_error_event(const struct run *run)
{
    char ts[CLOCK_TEXT_MAX];
    clock_format(run->ended_ms, ts);
    struct json *event = json_new_object();
    (void)json_set(event, "original_event", json_copy(json_get(run->trigger_value, "event")));
    (void)json_set(event, "original_context", json_copy(json_get(run->trigger_value, "context")));
    struct json *error = json_set(event, "error", json_new_object());
    json_set_string(error, "code", json_get_c(run->error, "code"));
    json_set_string(error, "message", json_get_c(run->error, "text"));
    json_set_string(error, "cellId", json_get_c(run->error, "step"));
    json_set_string(error, "ts", ts);
    json_set_string(error, "stack", json_get_c(run->error, "text"));
    char *text = json_text(event, NULL);
    json_free(event);
    return text;
}

/* The event of settings.on_error. */
static void add_error_event(struct commit *c, const struct run *run)
{
    const struct workflow *workflow = run->workflow;
    const struct workflow *target =
        workflow->error_workflow
            ? project_workflow(run->project, str_from(workflow->error_workflow))
            : NULL;
    if (!target || target->inactive || strcmp(run->end_status, "failed") != 0)
        return;
    c->error_event = run_error_event(run);
    c->error_workflow = xstrdup(target->id);
    c->error_trigger = xstrdup(target->trigger_count ? target->triggers[0].namespace_ : "trigger");
}

static void commit_end(struct run *run)
{
    run->is_ending = true;
    metrics_run_ended(run->engine->metrics, run->end_status);
    run->ended_ms = clock_now_ms();
    fault_point("run.before_end");
    struct commit *c = commit_new(run, RUN_ENDED);
    c->keeps_nothing = run->is_unstored || run->workflow->keeps_no_history;
    add_error_event(c, run);
    c->ending = ending_new(run);
    c->then_run = ended;
    commit_again(c);
}

void run_finish(struct run *run, const char *status, struct json *error)
{
    if (run->end_status) {
        json_free(error);
        return;
    }
    run->end_status = status;
    run->error = error;
    if (error) {
        struct log_at at = {
            .workflow = run->workflow->id, .run = run->id_text, .step = json_get_c(error, "step")};
        log_line(LOG_WARN, &at, "run %s: %s", status, json_get_c(error, "text"));
    }
    if (run->main)
        strand_abandon(run->main);
}

void run_cancel(struct run *run)
{
    run->is_cancelled = true;
    run_finish(run, "cancelled", run_error(RN_ECANCELED, "cancelled", NULL));
    run_settle(run);
}

/* ---- leaving memory */

static void leave(struct run *run)
{
    struct dispatcher *dispatcher = run->dispatcher;
    if (!run->is_leaving) { /* resumed meanwhile */
        run_settle(run);
        return;
    }
    int64_t wake_ms = run_next_wake(run);
    run->end_status = "parked"; /* never written: the strands are dropped, not the run */
    if (run->main)
        strand_abandon(run->main);
    assert(!run->strands);
    if (!dispatcher_is_stopping(dispatcher))
        dispatcher_park(dispatcher, run->id, wake_ms, run);
    dispatcher_run_left(dispatcher, run, false);
}

/* Whether nothing of the run is in flight; *ret_can_leave: and nothing will be soon. */
static bool is_idle(const struct run *run, bool is_stopping, bool *ret_can_leave,
                    bool *ret_only_pauses)
{
    int64_t soon = clock_now_ms() + PARK_MIN_MS;
    *ret_can_leave = *ret_only_pauses = true;
    for (const struct strand *s = run->strands; s; s = s->next) {
        if (s->state == STRAND_RESOLVING || s->state == STRAND_COMMITTING ||
            s->state == STRAND_CALLING)
            return false;
        if (s->state == STRAND_READY)
            *ret_can_leave &= is_stopping, *ret_only_pauses = false;
        if (s->state != STRAND_WAITING)
            continue;
        if (s->wait.kind == WAIT_RUN || (s->wait.until_ms && s->wait.until_ms < soon))
            *ret_can_leave &= is_stopping;
        if (s->wait.kind == WAIT_RETRY)
            *ret_only_pauses = false; /* it keeps its place among the workers */
    }
    return true;
}

void run_settle(struct run *run)
{
    bool can_leave = false, only_pauses = false;
    bool is_stopping = dispatcher_is_stopping(run->dispatcher);
    if (run->commits || run->is_ending)
        return;
    if (!run->strands) {
        if (run->is_gone)
            dispatcher_run_left(run->dispatcher, run, true);
        else if (run->end_status)
            commit_end(run);
        return;
    }
    if (run->end_status || run->is_leaving || !is_idle(run, is_stopping, &can_leave, &only_pauses))
        return;
    if (only_pauses)
        dispatcher_release_slot(run);
    if (!can_leave || dispatcher_keeps_runs(run->dispatcher))
        return;
    run->is_leaving = true;
    if (run->pending && !run->is_queued) {
        struct commit *c = commit_new(run, RUN_LIVE);
        c->then_run = leave;
        commit_again(c);
    } else {
        leave(run); /* a run that never began stays in the queue */
    }
}
