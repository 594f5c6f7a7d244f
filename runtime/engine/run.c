/* The life of a run (run.h has the picture). Thread: the loop's. */
#include "engine/run.h"
#include "base/fault.h"

#include <unistd.h>

enum { COMMIT_AGAIN_MS = 1000 };

struct run *run_make(struct dispatcher *dispatcher, uint64_t id, uint64_t event_id)
{
    struct run *run = xcalloc(1, sizeof(*run));
    run->dispatcher = dispatcher;
    run->id = id;
    run->event_id = event_id;
    id_format("run", id, run->id_text);
    run->created_ms = id_ms(id);
    run->attempt = 1;
    pthread_mutex_init(&run->log_lock, NULL);
    return run;
}

void run_drop(struct run *run)
{
    if (!run)
        return;
    workflow_free(run->own_workflow);
    project_unref(run->project);
    free(run->trigger);
    free(run->replay_of);
    free(run->exit_reason);
    free(run->pending_result);
    json_free(run->steps);
    json_free(run->error);
    json_free(run->props);
    json_free(run->auth);
    json_free(run->logs);
    pthread_mutex_destroy(&run->log_lock);
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
    struct json *trigger = json_new_object();
    (void)json_add(trigger, "event", event);
    (void)json_add(trigger, "context", record_context(run, record));
    run->steps = json_new_object();
    if (strcmp(run->trigger, "trigger") != 0)
        (void)json_set(run->steps, run->trigger, json_copy(trigger));
    (void)json_set(run->steps, "trigger", trigger);
    return 0;
}

void run_keep_result(struct run *run, struct json *result)
{
    free(run->pending_result);
    run->pending_result = json_text(result, NULL);
    run->pending_position = (uint32_t)run->position;
    run->pending_attempt = run->attempt;
    json_free(result);
}

/* ---- committing */

struct commit {
    struct store_op op;
    struct run *run;
    struct run_record record;
    char *detail;
    char *intent;
    char *result;
    uint32_t result_position, result_attempt;
    bool takes_from_queue;
    int code;
    struct err err;
    void (*then)(struct run *run);
};

static int apply_commit(struct store_tx *tx, void *ctx, struct err *err)
{
    const struct commit *c = ctx;
    int rc = c->takes_from_queue ? queue_remove(tx, c->record.workflow, c->record.id, err) : 0;
    if (rc == 0 && c->result) {
        struct step_record step = {.run_id = c->record.id,
                                   .position = c->result_position,
                                   .attempt = c->result_attempt,
                                   .result = str_from(c->result)};
        rc = step_put_result(tx, &step, err);
    }
    if (rc == 0 && c->intent) {
        struct step_record step = {.run_id = c->record.id,
                                   .position = (uint32_t)c->run->position,
                                   .attempt = c->run->attempt,
                                   .intent = str_from(c->intent)};
        rc = step_put_intent(tx, &step, err);
    }
    return rc ? rc : run_put(tx, &c->record, err);
}

static void commit_again(void *ctx);

static void commit_settled(void *ctx)
{
    struct commit *c = ctx;
    struct run *run = c->run;
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
    void (*then)(struct run *) = c->then;
    bool is_gone = c->code == RN_ENOTFOUND;
    free(c->detail);
    free(c->intent);
    free(c->result);
    free(c);
    if (is_gone) /* somebody took it out of the queue meanwhile */
        dispatcher_run_ended(run->dispatcher, run);
    else
        then(run);
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
    c->op = (struct store_op){.apply = apply_commit, .done = commit_done, .ctx = c};
    int rc = store_submit(c->run->engine->store, &c->op);
    if (rc) {
        c->code = rc;
        (void)err_set(&c->err, rc, "%s", err_sentence(rc));
        commit_settled(c);
    }
}

void run_commit(struct run *run, enum run_phase phase, const char *status, const char *intent,
                void (*then)(struct run *run))
{
    struct commit *c = xcalloc(1, sizeof(*c));
    c->run = run;
    c->detail = record_detail(run);
    c->record = (struct run_record){
        .id = run->id,
        .event_id = run->event_id,
        .phase = phase,
        .workflow = str_from(run->workflow->id),
        .status = str_from(status),
        .detail = str_from(c->detail),
    };
    c->intent = intent ? xstrdup(intent) : NULL;
    c->result = run->pending_result;
    c->result_position = run->pending_position;
    c->result_attempt = run->pending_attempt;
    run->pending_result = NULL;
    c->takes_from_queue = run->is_queued;
    run->is_queued = false;
    c->then = then;
    commit_again(c);
}

/* ---- the end */

static void ended(struct run *run)
{
    dispatcher_run_ended(run->dispatcher, run);
}

void run_end(struct run *run, const char *status)
{
    run->state = RUN_ENDING;
    run->ended_ms = clock_now_ms();
    run->wake_ms = 0;
    fault_point("run.before_end");
    run_commit(run, RUN_ENDED, status, NULL, ended);
}

void run_end_failed(struct run *run, const char *step, int code, const char *text)
{
    json_free(run->error);
    run->error = json_new_object();
    json_set_string(run->error, "code", err_word(code));
    json_set_string(run->error, "text", text);
    json_set_string(run->error, "step", step);
    struct log_at at = {.workflow = run->workflow->id, .run = run->id_text, .step = step};
    log_line(LOG_WARN, &at, "run failed: %s", text);
    run_end(run, code == RN_ECANCELED ? "cancelled" : "failed");
}

/* ---- going on */

static void parked(struct run *run)
{
    dispatcher_run_ended(run->dispatcher, run);
}

void run_advance(struct run *run)
{
    const struct workflow *workflow = run->workflow;
    while (run->position < workflow->step_count && workflow->steps[run->position].disabled)
        run->position++;
    if (run->is_cancelled) {
        run_end_failed(run, NULL, RN_ECANCELED, "cancelled");
    } else if (run->position >= workflow->step_count) {
        run_end(run, "succeeded");
    } else if (dispatcher_is_stopping(run->dispatcher)) {
        run->state = RUN_COMMITTING;
        if (run->is_queued) /* it never began: it stays in the queue */
            parked(run);
        else
            run_commit(run, RUN_LIVE, "running", NULL, parked);
    } else {
        step_begin(run);
    }
}

static void woken(void *ctx)
{
    struct run *run = ctx;
    run->timer = 0;
    run->wake_ms = 0;
    run->attempt++;
    run_advance(run);
}

static void begin_wait(struct run *run)
{
    if (run->is_cancelled) {
        run_end_failed(run, NULL, RN_ECANCELED, "cancelled");
    } else if (dispatcher_is_stopping(run->dispatcher)) {
        parked(run);
    } else {
        run->state = RUN_WAITING;
        run->timer = loop_timer(run->engine->loop, run->wake_ms, woken, run);
    }
}

void run_wait(struct run *run)
{
    run->state = RUN_COMMITTING;
    if (run->pending_result)
        run_commit(run, RUN_LIVE, "waiting", NULL, begin_wait);
    else
        begin_wait(run);
}
