/* A strand: one list of steps, gone through in order (run.h). What a step does is in step.c (actions),
 * block.c and flow_step.c; here is what comes before and after it. Thread: the loop's. */
#include "engine/metrics.h"
#include "engine/run.h"

#include <assert.h>

struct strand *strand_new(struct run *run, struct strand *parent, const struct step_list *list,
                          char *prefix, struct json *steps)
{
    struct strand *strand = xcalloc(1, sizeof(*strand));
    buf_init(&strand->props_text, LIMIT_JSON_BYTES);
    strand->run = run;
    strand->parent = parent;
    strand->list = list;
    strand->prefix = prefix;
    strand->steps = steps;
    strand->attempt = 1;
    strand->runs = 1;
    pthread_mutex_init(&strand->log_lock, NULL);
    strand->next = run->strands;
    run->strands = strand;
    return strand;
}

const struct step *strand_step(const struct strand *strand)
{
    return &strand->list->list[strand->index];
}

void strand_clear_attempt(struct strand *strand)
{
    json_free(strand->props);
    json_free(strand->auth);
    buf_release(&strand->props_text);
    strand->props = NULL;
    strand->auth = NULL;
    strand->host = NULL;
    strand->call_id = 0;
}

/* Forgets the step, for the next one. */
static void clear_step(struct strand *strand)
{
    strand_clear_attempt(strand);
    block_free(strand->block);
    strand->block = NULL;
    free(strand->path);
    strand->path = NULL;
    json_free(strand->rerun);
    strand->rerun = NULL;
    json_free(strand->paused);
    strand->paused = NULL;
    strand->wait = (struct wait){0};
    strand->child = 0;
    strand->position = 0;
    strand->attempt = strand->runs = 1;
    strand->counted = strand->losses = strand->auto_tries = 0;
    strand->was_refreshed = false;
}

static void strand_free(struct strand *strand)
{
    if (strand->resumed)
        strand->resumed(strand->resumed_ctx); /* what it brought is on disk, if for nothing */
    clear_step(strand);
    free(strand->prefix);
    json_free(strand->steps);
    json_free(strand->logs);
    pthread_mutex_destroy(&strand->log_lock);
    free(strand);
}

void strand_drop(struct strand *strand)
{
    struct run *run = strand->run;
    struct strand *parent = strand->parent;
    for (struct strand **at = &run->strands; *at; at = &(*at)->next) {
        if (*at == strand) {
            *at = strand->next;
            break;
        }
    }
    if (run->main == strand)
        run->main = NULL;
    strand_free(strand);
    if (parent)
        block_part_gone(parent);
}

void strands_discard(struct run *run)
{
    while (run->strands) {
        struct strand *strand = run->strands;
        run->strands = strand->next;
        strand_free(strand);
    }
    run->main = NULL;
}

static struct strand *any_child(const struct strand *strand)
{
    for (struct strand *s = strand->run->strands; s; s = s->next)
        if (s->parent == strand && !s->is_abandoned)
            return s;
    return NULL;
}

void strand_abandon(struct strand *strand)
{
    if (strand->is_abandoned)
        return;
    strand->is_abandoned = true;
    switch (strand->state) {
    case STRAND_READY:
        strand_drop(strand);
        break;
    case STRAND_WAITING:
        if (strand->timer)
            (void)loop_cancel(strand->run->engine->loop, strand->timer);
        if (strand->wait.kind == WAIT_RUN)
            dispatcher_forget_waiter(strand->run->dispatcher, strand);
        strand_drop(strand);
        break;
    case STRAND_BLOCK: {
        struct block *block = strand->block;
        bool was_filling = block->is_filling;
        block->is_filling = true; /* it is not dropped under our feet */
        for (struct strand *child; (child = any_child(strand));)
            strand_abandon(child);
        block->is_filling = was_filling;
        if (!was_filling && block->active == 0)
            strand_drop(strand);
        break;
    }
    case STRAND_CALLING:
        if (strand->host)
            call_cancel(strand->host, strand->call_id);
        break;
    case STRAND_RESOLVING:
    case STRAND_COMMITTING:
        break;
    }
}

bool strand_is_wanted(struct strand *strand)
{
    if (!strand->is_abandoned)
        return true;
    strand_drop(strand);
    return false;
}

/* ---- records */

const char *step_kind_name(const struct step *step)
{
    static const char *const names[] = {[STEP_ACTION] = "action",
                                        [STEP_CODE] = "code",
                                        [STEP_IF] = "if",
                                        [STEP_SWITCH] = "switch",
                                        [STEP_PARALLEL] = "parallel",
                                        [STEP_FOR_EACH] = "for_each",
                                        [STEP_WORKFLOW] = "workflow",
                                        [STEP_DELAY] = "delay",
                                        [STEP_SUSPEND] = "suspend",
                                        [STEP_RESPOND] = "respond",
                                        [STEP_END] = "end"};
    return names[step->kind];
}

uint32_t strand_position(struct strand *strand)
{
    if (strand->position == 0)
        strand->position = ++strand->run->last_position;
    return strand->position;
}

void strand_note_tries(const struct strand *strand, struct json *note)
{
    if (strand->counted)
        json_set_integer(note, "counted", strand->counted);
    if (strand->auto_tries)
        json_set_integer(note, "auto_tries", strand->auto_tries);
}

static void take_tries(struct strand *strand, const struct json *note)
{
    strand->counted = (uint32_t)json_get_i64(note, "counted", 0);
    strand->auto_tries = (uint32_t)json_get_i64(note, "auto_tries", 0);
}

struct json *strand_intent(struct strand *strand, const char *kind)
{
    struct json *intent = json_new_object();
    json_set_string(intent, "namespace", strand_step(strand)->namespace_);
    json_set_string(intent, "path", strand->path);
    json_set_string(intent, "kind", kind);
    json_set_integer(intent, "started_ms", strand->attempt_ms);
    strand_note_tries(strand, intent);
    return intent;
}

struct json *strand_result(struct strand *strand, const char *status)
{
    struct json *result = json_new_object();
    json_set_string(result, "namespace", strand_step(strand)->namespace_);
    json_set_string(result, "path", strand->path);
    json_set_string(result, "status", status);
    json_set_integer(result, "started_ms", strand->attempt_ms);
    json_set_integer(result, "ended_ms", clock_now_ms());
    strand_note_tries(strand, result);
    metrics_step(strand->run->engine->metrics, strand_step(strand)->use.key, status,
                 clock_now_ms() - strand->attempt_ms);
    pthread_mutex_lock(&strand->log_lock);
    if (strand->logs)
        (void)json_set(result, "logs", strand->logs);
    strand->logs = NULL;
    strand->log_bytes = 0;
    pthread_mutex_unlock(&strand->log_lock);
    return result;
}

/* ---- waiting */

/* What a delay, suspend or rerun goes on with: the exports of its result, with what the resume
 * brought. */
static struct json *paused_exports(struct strand *strand)
{
    struct json *exports = json_take(strand->paused, "exports");
    const struct json *resumed = json_get(strand->paused, "resumed");
    if (!exports)
        exports = json_new_object();
    if (json_get(resumed, "data"))
        (void)json_set(exports, "$resume_data",
                       json_copy(json_get(json_get(resumed, "data"), "body")));
    return exports;
}

static void rerun(struct strand *strand)
{
    struct json *rerun = json_new_object();
    const struct json *context = json_get(json_get(strand->paused, "wait"), "context");
    const struct json *callback = json_get(json_get(strand->paused, "resumed"), "data");
    if (context)
        (void)json_set(rerun, "context", json_copy(context));
    if (callback)
        (void)json_set(rerun, "callback", json_copy(callback));
    json_free(strand->rerun);
    strand->rerun = rerun;
    json_free(strand->paused);
    strand->paused = NULL;
    strand->runs++;
    strand->attempt++;
    strand_enter(strand);
}

/* The wait is over, by time or by a resume. */
static void go_on(struct strand *strand, bool was_resumed)
{
    struct wait wait = strand->wait;
    strand->wait = (struct wait){0};
    strand->state = STRAND_READY;
    dispatcher_take_slot(strand->run);
    switch (wait.kind) {
    case WAIT_RETRY:
        strand->attempt++;
        strand_enter(strand);
        break;
    case WAIT_SUSPEND:
        if (!was_resumed && !wait.goes_on) {
            run_finish(strand->run, "cancelled",
                       run_error(RN_ETIMEDOUT, "nobody resumed the run in time", strand->path));
            break;
        }
        strand_next(strand, paused_exports(strand));
        break;
    case WAIT_DELAY:
        strand_next(strand, paused_exports(strand));
        break;
    case WAIT_RERUN:
        rerun(strand);
        break;
    case WAIT_RUN:
        break; /* flow_step.c */
    }
}

static void woken(void *ctx)
{
    struct strand *strand = ctx;
    struct run *run = strand->run;
    strand->timer = 0;
    if (dispatcher_is_over(run->dispatcher))
        return;
    run->is_leaving = false;
    if (!dispatcher_is_stopping(run->dispatcher))
        go_on(strand, false);
    else
        strand->state = STRAND_READY;
    run_settle(run);
}

static void no_more(void *ctx)
{
    (void)ctx;
}

static void begin_wait(struct strand *strand)
{
    strand->state = STRAND_WAITING;
    if (strand->run->engine->skips_waits) { /* a test of a workflow */
        struct json *data = strand->paused ? mock_resume(strand) : NULL;
        strand->wait.until_ms = clock_now_ms();
        if (data && strand_resume(strand, data, no_more, NULL))
            return;
    }
    if (strand->wait.until_ms)
        strand->timer = loop_timer(strand->run->engine->loop, strand->wait.until_ms, woken, strand);
}

void strand_wait(struct strand *strand, const struct wait *wait)
{
    strand->wait = *wait;
    strand->wait.is_on = true;
    if (strand->run->pending)
        run_commit(strand, NULL, begin_wait);
    else
        begin_wait(strand);
}

static void resume_committed(struct strand *strand)
{
    loop_fn then = strand->resumed;
    void *ctx = strand->resumed_ctx;
    strand->resumed = NULL;
    go_on(strand, true);
    then(ctx);
}

bool strand_resume(struct strand *strand, struct json *data, loop_fn then, void *ctx)
{
    bool can = strand->state == STRAND_WAITING && strand->paused && !strand->is_abandoned &&
               strand->wait.kind != WAIT_RUN && strand->wait.kind != WAIT_RETRY;
    if (!can) {
        json_free(data);
        return false;
    }
    if (strand->timer)
        (void)loop_cancel(strand->run->engine->loop, strand->timer);
    strand->timer = 0;
    strand->run->is_leaving = false;
    struct json *resumed = json_set(strand->paused, "resumed", json_new_object());
    json_set_integer(resumed, "at_ms", clock_now_ms());
    (void)json_set(resumed, "data", data);
    strand->resumed = then;
    strand->resumed_ctx = ctx;
    strand->wait.is_on = false;
    run_keep_result(strand->run, strand->position, strand->attempt, json_copy(strand->paused));
    run_commit(strand, NULL, resume_committed);
    return true;
}

/* ---- what is on disk already */

static void take_wait(struct strand *strand, struct json *result)
{
    struct wait wait = {0};
    (void)wait_read(json_get(result, "wait"), &wait);
    json_free(strand->paused);
    strand->paused = result;
    strand->wait = wait;
    bool was_resumed = json_get(result, "resumed") != NULL;
    if (was_resumed || (wait.until_ms && wait.until_ms <= clock_now_ms()))
        go_on(strand, was_resumed);
    else
        strand_wait(strand, &wait);
}

static void take_failure(struct strand *strand, struct json *result)
{
    int64_t retry_ms = json_get_i64(result, "retry_ms", 0);
    if (retry_ms) {
        struct wait wait = {.kind = WAIT_RETRY, .until_ms = retry_ms};
        json_free(result);
        strand_wait(strand, &wait);
        return;
    }
    struct json *error = json_take(result, "error"), *exports = json_take(result, "exports");
    if (!json_get(error, "step"))
        json_set_string(error, "step", strand->path);
    json_free(result);
    strand_fail(strand, error ? error : run_error(RN_EFAILED, "the step failed", strand->path),
                exports);
}

static void take_open(struct strand *strand, const struct json *intent)
{
    uint64_t child = 0;
    const struct step *step = strand_step(strand);
    if (step_is_block(step))
        block_go_on(strand, intent);
    else if (id_parse("run", json_get_text(intent, "run"), &child) == 0)
        flow_step_await(strand, child);
    else if (step->kind == STEP_ACTION || step->kind == STEP_CODE)
        step_settle_unknown(strand);
    else
        flow_step_begin(strand);
}

static void take_past(struct strand *strand, struct past *past)
{
    struct json *result = past->result;
    past->result = NULL;
    strand->position = past->position;
    strand->attempt = past->attempt;
    strand->attempt_ms = json_get_i64(past->intent, "started_ms", 0);
    strand->runs = (uint32_t)json_get_i64(past->intent, "runs", 1);
    take_tries(strand, result ? result : past->intent);
    struct str status = json_get_text(result, "status");
    if (!result) {
        take_open(strand, past->intent);
    } else if (json_get(result, "wait")) {
        take_wait(strand, result);
    } else if (json_get(result, "exit")) {
        const char *reason = json_get_c(json_get(result, "exit"), "reason");
        bool is_failure = json_get_bool(json_get(result, "exit"), "failed", false);
        strand->run->exit_reason = reason ? xstrdup(reason) : NULL;
        run_finish(strand->run, is_failure ? "failed" : "succeeded",
                   is_failure ? run_error(RN_EFAILED, reason ? reason : "ended", strand->path)
                              : NULL);
        json_free(result);
    } else if (str_eq_c(status, "succeeded")) {
        struct json *exports = json_take(result, "exports");
        json_free(result);
        strand_next(strand, exports ? exports : json_new_object());
    } else if (str_eq_c(status, "cancelled")) { /* for another branch's sake, or by a stop */
        json_free(result);
        strand->attempt++;
        strand_enter(strand);
    } else {
        take_failure(strand, result);
    }
    past_free(past);
}

/* ---- going on */

/* An attempt of the step. */
void strand_enter(struct strand *strand)
{
    const struct step *step = strand_step(strand);
    strand->state = STRAND_READY;
    strand->attempt_ms = clock_now_ms();
    if (dispatcher_is_stopping(strand->run->dispatcher))
        return; /* it stands still; run_settle lets the run leave */
    if (step_is_block(step))
        block_begin(strand);
    else if (step->kind == STEP_ACTION || step->kind == STEP_CODE)
        step_begin(strand);
    else
        flow_step_begin(strand);
}

static void end_of_list(struct strand *strand)
{
    if (!strand->parent) {
        run_finish(strand->run, "succeeded", NULL);
        return;
    }
    struct json *exports = strand->last ? json_copy(strand->last) : NULL;
    block_part_done(strand->parent, strand->part, exports, NULL);
    strand_drop(strand);
}

void strand_advance(struct strand *strand)
{
    strand->state = STRAND_READY;
    while (strand->index < strand->list->count && strand_step(strand)->disabled)
        strand->index++;
    if (strand->index >= strand->list->count) {
        end_of_list(strand);
        return;
    }
    strand->path = xasprintf("%s%s", strand->prefix, strand_step(strand)->namespace_);
    struct past *past =
        strand->run->progress ? progress_take(strand->run->progress, strand->path) : NULL;
    if (past)
        take_past(strand, past);
    else
        strand_enter(strand);
}

void strand_next(struct strand *strand, struct json *exports)
{
    strand->last = json_set(strand->steps, strand_step(strand)->namespace_, exports);
    clear_step(strand);
    strand->index++;
    strand_advance(strand);
}

/* The workflow's own retries, behind those of the step. */
static bool retry_automatically(struct strand *strand, struct json *error)
{
    const struct workflow *workflow = strand->run->workflow;
    if (strand->auto_tries >= workflow->auto_retry_count || step_is_block(strand_step(strand)) ||
        !strand_failure_ends_run(strand))
        return false;
    struct wait wait = {.kind = WAIT_RETRY,
                        .until_ms = clock_now_ms() + workflow->auto_retry[strand->auto_tries]};
    strand->auto_tries++;
    strand->counted = 0; /* each of them has its own retries */
    struct json *result = strand_result(strand, "failed");
    (void)json_set(result, "error", error);
    json_set_integer(result, "retry_ms", wait.until_ms);
    run_keep_result(strand->run, strand_position(strand), strand->attempt, result);
    strand_clear_attempt(strand);
    strand_wait(strand, &wait);
    return true;
}

void strand_fail(struct strand *strand, struct json *error, struct json *exports)
{
    const struct step *step = strand_step(strand);
    bool is_cancel = str_eq_c(json_get_text(error, "code"), err_word(RN_ECANCELED));
    if (step->on_error == ON_ERROR_FAIL && !is_cancel && retry_automatically(strand, error)) {
        json_free(exports);
        return;
    }
    if (step->on_error == ON_ERROR_FAIL || is_cancel) {
        json_free(exports);
        strand->state = STRAND_READY; /* nothing of it is in flight: it may be dropped */
        if (!strand->parent) {
            run_finish(strand->run, is_cancel ? "cancelled" : "failed", error);
            return;
        }
        block_part_done(strand->parent, strand->part, NULL, error);
        strand_drop(strand);
        return;
    }
    if (!json_is(exports, JSON_OBJECT)) {
        json_free(exports);
        exports = json_new_object();
    }
    (void)json_set(exports, "$error", error);
    if (step->on_error == ON_ERROR_CONTINUE) {
        strand_next(strand, exports);
        return;
    }
    strand->last = json_set(strand->steps, step->namespace_, exports);
    strand_clear_attempt(strand);
    block_begin_error_steps(strand);
}
