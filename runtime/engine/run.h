/* A run in memory: one event through one workflow. Thread: the loop's, but for `logs`. Private to
 * the engine.
 *
 *   begin → (skip disabled) → resolve props → accounts → commit(result of the step before + intent)
 * → call → answer → next step … → commit(end)
 *
 * A failed attempt that is to be tried again is committed as "waiting" with the time at which it
 * goes on. What is in memory is only ever what the store says plus the one transition in progress,
 * so that a crash at any point leaves a run that dispatcher_recover can continue.
 */
#ifndef RUNNEL_ENGINE_RUN_H
#define RUNNEL_ENGINE_RUN_H

#include "engine/internal.h"

enum run_state { RUN_RESOLVING, RUN_COMMITTING, RUN_CALLING, RUN_WAITING, RUN_ENDING };

struct slot;

struct run {
    uint64_t id;
    uint64_t event_id;
    char id_text[ID_TEXT_MAX];
    struct dispatcher *dispatcher;
    struct engine *engine;
    struct slot *slot;
    struct project *project;       /* a reference; owns `workflow` unless own_workflow */
    struct workflow *own_workflow; /* of an older version */
    const struct workflow *workflow;
    char *trigger;   /* namespace */
    char *replay_of; /* NULL: no replay */
    enum run_state state;
    bool is_cancelled;
    bool is_queued;     /* still in the queue: the first commit takes it out */
    struct json *steps; /* what expressions see */
    size_t position;    /* of the step */
    uint32_t attempt;   /* of the step, from 1 */
    uint32_t counted;   /* attempts that count against the policy */
    uint32_t losses;    /* host processes lost under this step */
    bool was_refreshed; /* a token was fetched anew for this step */
    uint64_t timer;
    int64_t created_ms, started_ms, ended_ms, wake_ms;
    struct json *error; /* of the run: {code, text, step} */
    char *exit_reason;
    /* the attempt in progress */
    struct json *props;
    struct json *auth;
    size_t auth_pending; /* app props whose account is being resolved */
    struct err auth_err;
    struct host *host;
    uint64_t call_id;
    int64_t attempt_ms; /* when it began */
    pthread_mutex_t log_lock;
    struct json *logs; /* log_lock */
    size_t log_bytes;
    /* results that the next commit writes */
    char *pending_result; /* JSON text, of pending_position and pending_attempt */
    uint32_t pending_position, pending_attempt;
    struct run *next; /* in the dispatcher's list */
};

/* ---- dispatch.c */
void dispatcher_run_ended(struct dispatcher *dispatcher, struct run *run); /* frees the run */
struct engine *dispatcher_engine(struct dispatcher *dispatcher);
/* Counts a recovered run under its workflow. */
void dispatcher_adopt(struct dispatcher *dispatcher, struct run *run, const char *workflow);
bool dispatcher_is_stopping(const struct dispatcher *dispatcher);
void dispatcher_call_began(struct dispatcher *dispatcher);
void dispatcher_call_ended(struct dispatcher *dispatcher);

/* ---- run.c */
struct run *run_make(struct dispatcher *dispatcher, uint64_t id, uint64_t event_id);
void run_drop(struct run *run);
/* Puts the event into steps.trigger. */
int run_set_event(struct run *run, const struct event_record *event, struct err *err) MUST_USE;
/* Goes on at `position`: the next step, or the end. */
void run_advance(struct run *run);
void run_end(struct run *run, const char *status);
void run_end_failed(struct run *run, const char *step, int code, const char *text);
/* Commits the pending result, and the intent of the current attempt if there is one, then calls
 * `then` on the loop. */
void run_commit(struct run *run, enum run_phase phase, const char *status, const char *intent,
                void (*then)(struct run *run));
/* Waits until wake_ms, then tries the step again. */
void run_wait(struct run *run);
void run_keep_result(struct run *run,
                     struct json *result); /* takes `result`; pending until the next commit */

/* ---- step.c: one attempt */
void step_begin(struct run *run);

/* ---- record.c: the JSON in the store */
char *record_detail(const struct run *run);
void record_read_detail(struct run *run, const struct json *detail);
struct json *record_context(const struct run *run, const struct event_record *event);
void run_idempotency_key(const struct run *run, char out[33]);
/* Secrets of the attempt in progress: auth values and secret props. The views point into run->auth
 * and run->props. */
size_t run_secrets(const struct run *run, struct str *out, size_t max);
/* A copy of `value` with the run's secrets redacted. */
struct json *run_redacted(const struct run *run, const struct json *value);

/* ---- retry.c */
/* Whether and when the step is tried again after `code`; -1: not at all. */
int64_t retry_at(const struct retry_policy *policy, int code, uint32_t counted,
                 int64_t retry_after_ms, int64_t now_ms);

#endif
