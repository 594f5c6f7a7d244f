/* A run in memory: one event through one workflow. Thread: the loop's, but for a strand's `logs`.
 * Private to the engine.
 *
 * A run is a tree of strands. A strand goes through one list of steps; at a block (if, switch,
 * parallel, for_each) it waits for the strands of the block's branches or items. Per step:
 *
 *   enter → resolve → accounts → commit(results so far + intent) → call → answer → next step …
 *
 * What a step was asked and what it answered is on disk under the step's path ("loop[3].fetch"), a
 * block's decision too. A restart goes through the workflow from its first step and takes what is
 * on disk for done (progress.h), so that memory is only ever what the store says plus the
 * transitions in flight. For the same reason a run that only waits leaves memory and is loaded
 * again when its time comes (dispatch.c).
 *
 * A strand that is not wanted any more (the run was cancelled or has ended, another branch failed)
 * is abandoned: it is dropped at once, or when the call that it waits for has come back. The run
 * ends when its last strand is gone.
 */
#ifndef RUNNEL_ENGINE_RUN_H
#define RUNNEL_ENGINE_RUN_H

#include "engine/internal.h"

struct slot;
struct strand;
struct progress;

enum strand_state {
    STRAND_READY,      /* its code is running, or it stands still because runnel stops */
    STRAND_RESOLVING,  /* expressions, accounts */
    STRAND_COMMITTING, /* the store */
    STRAND_CALLING,    /* a host process */
    STRAND_WAITING,    /* a time, a resume, another run: see `wait` */
    STRAND_BLOCK       /* its own strands */
};

/* What a waiting strand waits for. */
enum wait_kind { WAIT_RETRY, WAIT_DELAY, WAIT_SUSPEND, WAIT_RERUN, WAIT_RUN };

/* What a step record says of a wait: "wait": {kind, until_ms, …}. */
struct wait {
    enum wait_kind kind;
    int64_t until_ms;
    bool goes_on; /* WAIT_SUSPEND: the time-out is no cancellation */
    bool is_on;
};

/* A block in progress. */
struct block {
    size_t count;    /* parts: items, or branches of the block */
    size_t next;     /* parts begun */
    size_t active;   /* strands that are not gone */
    bool is_filling; /* block_continue is at work up the stack */
    bool is_failing; /* nothing new begins; it fails when the last strand is gone */
    bool
        is_error_steps; /* the on_error steps of the strand's step, which are no block of the file */
    bool *is_taken;     /* parallel: which branches run */
    size_t chosen;      /* if, switch */
    struct json *items;      /* for_each */
    const struct json *item; /* the next one */
    struct json **results;   /* of each part; NULL: none */
    struct json *error;      /* the first failure: {code, text, step} */
};

struct strand {
    struct run *run;
    struct strand *next;   /* in run->strands */
    struct strand *parent; /* NULL: the main one */
    size_t part;           /* of the parent's block */
    const struct step_list *list;
    size_t index;            /* of the step */
    char *prefix;            /* of its steps' paths: "", "loop[3]." */
    struct json *steps;      /* what expressions see */
    const struct json *last; /* exports of the last step that ran here; in `steps` */
    enum strand_state state;
    bool is_abandoned;
    /* the step */
    char *path;
    uint32_t position; /* of its records; 0: it has none yet */
    uint32_t attempt;  /* from 1 */
    uint32_t counted;  /* attempts that count against the policy */
    uint32_t losses;   /* host processes lost under this step */
    uint32_t auto_tries;
    bool was_refreshed; /* a token was fetched anew for this step */
    uint32_t runs;      /* of $.flow.rerun, from 1 */
    struct json *rerun; /* {context, callback}: for the next run of the step; NULL */
    struct wait wait;
    struct json *paused; /* delay, suspend, rerun: the step's result as it is on disk */
    uint64_t timer;
    uint64_t child;  /* WAIT_RUN: the other run */
    loop_fn resumed; /* for strand_resume */
    void *resumed_ctx;
    struct block *block;
    /* the attempt in progress */
    struct json *props;
    struct buf props_text; /* as JSON, from the intent to the call */
    struct json *auth;
    size_t auth_pending; /* app props whose account is being resolved */
    struct err auth_err;
    struct host *host;
    uint64_t call_id;
    int64_t attempt_ms; /* when it began */
    pthread_mutex_t log_lock;
    struct json *logs; /* log_lock */
    size_t log_bytes;
};

/* A record of a step that the next commit writes. */
struct pending {
    struct pending *next;
    uint32_t position, attempt;
    char *intent, *result, *sends; /* JSON texts; NULL: not this one */
};

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
    char *trigger;       /* namespace */
    char *replay_of;     /* NULL: no replay */
    char *replay_from;   /* the path of the step from which on it is a replay; NULL: all */
    char *parent;        /* the run that called this workflow; NULL */
    int depth;           /* of such calls */
    int hops;            /* workflows that started each other by what they emit, up to this run */
    char *key;           /* settings.concurrency.key; NULL */
    bool holds_slot;     /* counts against the workflow's workers */
    bool may_have_files; /* a folder of its own: made now, or perhaps before a restart */
    bool is_unstored;    /* nothing of it is kept once it has ended (runnel-nostore) */
    bool is_cancelled;
    bool is_queued;             /* still in the queue: the first commit takes it out */
    bool is_leaving;            /* only waits: it leaves memory after the commit in flight */
    bool is_gone;               /* somebody took it out of the queue */
    bool is_ending;             /* its last commit is in flight */
    struct json *trigger_value; /* {event, context} */
    struct json *env;           /* process.env; NULL: the project's */
    struct strand *strands;
    struct strand *main;
    uint32_t last_position;
    struct progress *progress; /* what is on disk and not yet gone through; NULL */
    struct pending *pending, **pending_end;
    size_t commits; /* in flight */
    int64_t created_ms, started_ms, ended_ms;
    /* how it ends, once decided */
    const char *end_status; /* NULL: not yet */
    struct json *error;     /* {code, text, step} */
    char *exit_reason;
    struct send *sends,
        **sends_end; /* what its steps want to be sent when it has ended (sends.h) */
    size_t send_count, send_bytes;
    struct json *response;    /* the first $.respond: {status, headers, body, immediate} */
    struct run *next, **self; /* in the dispatcher's list */
};

/* ---- dispatch.c */
/* The run is not in memory any more (ended, parked or taken away); frees it. */
void dispatcher_run_left(struct dispatcher *dispatcher, struct run *run, bool has_ended);
struct engine *dispatcher_engine(struct dispatcher *dispatcher);
/* Takes a run that does not come from the queue (recovered, woken). */
void dispatcher_adopt(struct dispatcher *dispatcher, struct run *run, const char *workflow);
/* A run that waits leaves memory; it is loaded again at wake_ms (0: only when it is asked for). A
 * place that `run` (NULL: none) holds among the workers is held on in its name. */
void dispatcher_park(struct dispatcher *dispatcher, uint64_t run_id, int64_t wake_ms,
                     struct run *run);
/* A paused run stops counting against the workers; a going-on one counts again. */
void dispatcher_release_slot(struct run *run);
void dispatcher_take_slot(struct run *run);
void dispatcher_call_began(struct dispatcher *dispatcher);
void dispatcher_call_ended(struct dispatcher *dispatcher);
/* While it does, a run that only waits does not leave memory. */
bool dispatcher_keeps_runs(const struct dispatcher *dispatcher);
bool dispatcher_is_stopping(const struct dispatcher *dispatcher);
/* What comes back to a strand is dropped: nothing goes on any more. */
bool dispatcher_is_over(const struct dispatcher *dispatcher);

/* ---- run.c */
struct run *run_make(struct dispatcher *dispatcher, uint64_t id, uint64_t event_id);
void run_drop(struct run *run);
/* Puts the event into steps.trigger. */
int run_set_event(struct run *run, const struct event_record *event, struct err *err) MUST_USE;
const struct json *run_env(const struct run *run);
/* Begins, or goes on with what is on disk. The run may be gone when this returns. */
void run_begin(struct run *run);
/* The next commit writes this: JSON. All are taken; `result` is written at once, so that it may
 * borrow. */
void run_keep_intent(struct run *run, uint32_t position, uint32_t attempt, char *intent);
void run_keep_result(struct run *run, uint32_t position, uint32_t attempt, struct json *result);
void run_keep_sends(struct run *run, uint32_t position, uint32_t attempt, struct json *sends);
/* Commits what is pending, then calls `then` on the loop with the strand, or drops it if it was
 * abandoned meanwhile. `call`: see struct child_call; taken; NULL: none. */
struct child_call {
    char *workflow, *trigger;
    char *event;                /* JSON text */
    uint32_t position, attempt; /* of the intent that gets the child's id */
    uint64_t run_id;            /* out */
};
void run_commit(struct strand *strand, struct child_call *call,
                void (*then)(struct strand *strand));
/* The run ends like this as soon as every strand is gone; abandons them. `error` is taken. */
void run_finish(struct run *run, const char *status, struct json *error);
/* After every step of the loop that touched the run: ends it or lets it leave memory if nothing is
 * left to do. The run may be gone when this returns. */
void run_settle(struct run *run);
void run_cancel(struct run *run);
struct json *run_error(int code, const char *text, const char *step);
/* The model's event of a run that has failed, as text; the caller frees. */
char *run_error_event(const struct run *run);
/* What a response step or an action said; the first one counts. Takes `response`. */
void run_respond(struct run *run, struct json *response);

/* ---- strand.c */
struct strand *strand_new(struct run *run, struct strand *parent, const struct step_list *list,
                          char *prefix, struct json *steps);
const struct step *strand_step(const struct strand *strand);
/* "action", "if", …: what a step's records call it. */
const char *step_kind_name(const struct step *step);
/* Begins an attempt of the step. */
void strand_enter(struct strand *strand);
/* Goes on at `index`: the next step, or the end of the list. */
void strand_advance(struct strand *strand);
/* The step has succeeded; takes `exports`. */
void strand_next(struct strand *strand, struct json *exports);
/* The step has failed for good: on_error, auto_retry, or the block or run fails. Takes `error`
 * ({code, text, step}) and `exports` (may be NULL). */
void strand_fail(struct strand *strand, struct json *error, struct json *exports);
/* Waits as `wait` says; what is pending is committed first. */
void strand_wait(struct strand *strand, const struct wait *wait);
/* The strand is not wanted any more; it and those below it are dropped, now or later. */
void strand_abandon(struct strand *strand);
/* Takes it out of the tree and frees it; tells its block. */
void strand_drop(struct strand *strand);
/* Frees every strand of a run that is not going on: only when nothing can come back any more. */
void strands_discard(struct run *run);
/* To be called first when something asynchronous has come back: false if the strand was abandoned,
 * and then it is gone. */
bool strand_is_wanted(struct strand *strand);
/* A resume from outside: `data` is exported as $resume_data (taken); `then` is called when that is
 * on disk. False if it does not wait for one. */
bool strand_resume(struct strand *strand, struct json *data, loop_fn then, void *ctx);
void strand_clear_attempt(struct strand *strand);
/* The position of the step's records; given at the first one. */
uint32_t strand_position(struct strand *strand);
/* What was tried in vain so far, so that a restart does not begin to count anew: `counted` and
 * `auto_tries`, where they are not 0. */
void strand_note_tries(const struct strand *strand, struct json *note);
/* {namespace, path, status, started_ms, ended_ms, logs}. */
struct json *strand_result(struct strand *strand, const char *status);
/* {namespace, path, started_ms, …}. */
struct json *strand_intent(struct strand *strand, const char *kind);

/* ---- block.c */
bool step_is_block(const struct step *step);
void block_begin(struct strand *strand);
/* The on_error steps of the strand's step. */
void block_begin_error_steps(struct strand *strand);
/* A part has reached its end (error NULL) or failed. `exports` and `error` are taken. */
void block_part_done(struct strand *strand, size_t part, struct json *exports, struct json *error);
void block_part_gone(struct strand *strand);
void block_free(struct block *block);
/* Goes on with a block that was begun before: `intent` is its record. */
void block_go_on(struct strand *strand, const struct json *intent);
/* False if a block around the strand deals with the failure of the strand's step. */
bool strand_failure_ends_run(const struct strand *strand);

/* ---- step.c: one attempt of an action */
void step_begin(struct strand *strand);
/* Nobody knows what became of an attempt that was on disk without a result. */
void step_settle_unknown(struct strand *strand);
/* The attempt has failed before anything was called; its result is its only record. The step's
 * retry policy decides what follows. */
void step_fail_attempt(struct strand *strand, int code, const char *text);
/* Resolves a template; `then` gets the value (taken) on the loop, or the step has failed. */
void step_resolve(struct strand *strand, const struct expr_template *template,
                  void (*then)(struct strand *strand, struct expr_result *result));

/* Sends the attempt's call to a host process; what it answers is the attempt's result. */
void step_call_host(struct strand *strand, struct host *host, struct frame frame);

/* ---- code.c: what a code step is called with */
void code_step_call(struct strand *strand, const struct json *files);

/* ---- files.c */
/* What a host is told of the run's folder, which is made if it is not there: {"dir", "limit"}.
 * RN_EIO. */
int files_of_run(struct run *run, struct json **ret, struct err *err) MUST_USE;

/* ---- flow_step.c: workflow, delay, suspend, respond, end */
/* The wait that an action asked for ($.flow.delay, suspend, rerun), as its frame says; false: none.
 */
bool flow_wait_of(const struct strand *strand, const struct json *flow, struct wait *ret);
void flow_step_begin(struct strand *strand);
/* Waits for the run that the step has started before. */
void flow_step_await(struct strand *strand, uint64_t child);
/* The start of the URLs that resume and cancel what the strand waits for; the caller frees. */
char *strand_url(const struct strand *strand);
/* Tokens of the URLs under which a waiting step is resumed or cancelled. */
void resume_token(struct engine *engine, uint64_t run_id, uint32_t position, uint32_t attempt,
                  char out[33]);

/* ---- record.c: the JSON in the store */
char *record_detail(const struct run *run);
void record_read_detail(struct run *run, const struct json *detail);
struct json *record_context(const struct run *run, const struct event_record *event);
void strand_idempotency_key(const struct strand *strand, char out[33]);
/* The earliest time that a strand waits for; 0: none. */
int64_t run_next_wake(const struct run *run);
struct json *wait_json(const struct wait *wait);
bool wait_read(const struct json *json, struct wait *ret);
/* What a host asks for during a step's call (data_store.c): `ask` of a struct call whose ctx is the
 * strand. [the host's reader thread] */
void step_ask(void *strand, struct ask *ask, const struct frame *frame);
/* A call for options or dynamic props: the ctx of configure_ask(), which answers its asks. It may
 * read the stores that `props` name. [the host's reader thread] */
struct configuring {
    struct engine *engine;
    const struct component_def *component;
    const struct json *props;
};
void configure_ask(void *configuring, struct ask *ask, const struct frame *frame);
/* Takes a value, and gives it back with the secrets of the attempt in progress (auth values, secret
 * props) redacted. NULL for NULL. */
struct json *strand_redact(const struct strand *strand, struct json *value);
/* The same with JSON text, which is appended to `out`. */
void strand_redact_text(const struct strand *strand, struct str text, struct buf *out);

/* ---- progress.c: what the store knows of the steps of a run */
struct past {
    char *path;
    uint32_t position, attempt;   /* the newest attempt */
    struct json *intent, *result; /* result NULL: its outcome is not known */
};
struct progress *progress_read(struct store_view *view, uint64_t run_id,
                               uint32_t *ret_last_position);
/* The same of another run, up to (without) the step at `from`, for a replay; they are pending in
 * `run` then, so that its first commit makes them its own. */
struct progress *progress_import(struct store_view *view, uint64_t run_id, const char *from,
                                 struct run *run);
/* Takes the step's record out; NULL: it has none. The caller frees with past_free. */
struct past *progress_take(struct progress *progress, const char *path);
void past_free(struct past *past);
void progress_free(struct progress *progress);

/* ---- mock.c */
/* Whether the step is not to be called: it has a mock, or nothing is called at all. */
bool mock_is_for(const struct strand *strand);
/* What its call gives: exports and an end of the workflow (owned by the caller), or a code. */
struct mock_answer {
    int code;
    char text[ERR_TEXT_MAX];
    struct json *exports;
    bool is_exit;
    char *exit_reason;
};
void mock_answer(const struct strand *strand, struct mock_answer *ret);
/* What resumes it; NULL: nothing. Owned by the caller. */
struct json *mock_resume(const struct strand *strand);

/* ---- recover.c */
/* Loads a run from the store and goes on with it. */
void run_load(struct dispatcher *dispatcher, uint64_t run_id, bool is_cancelled);

/* ---- retry.c */
/* Whether and when the step is tried again after `code`; -1: not at all. */
int64_t retry_at(const struct retry_policy *policy, int code, uint32_t counted,
                 int64_t retry_after_ms, int64_t now_ms);

#endif
