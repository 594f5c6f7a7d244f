/* Host processes: starting, calling, cancelling, killing, starting again, quarantine.
 *
 * A host is `runnel plugin-host …` or `runnel expression-host`: this binary again, with one end of
 * a socketpair as descriptor 3, stdin /dev/null, stdout and stderr a pipe whose lines go to the
 * log, no other descriptor, an environment of its own, and PR_SET_PDEATHSIG so that it never
 * outlives the runtime. It starts at the first call. Many calls are in flight at once.
 *
 * A call ends exactly once, with its `done`, on the host's reader thread (or the caller's thread
 * when it cannot even be sent): with the result, or with
 *   RN_ETIMEDOUT     its deadline passed, the host was asked to cancel and did so, or was killed
 *                    after the grace time
 *   RN_EUNKNOWN      the host died (or was killed for another call's sake) while it held the call:
 *                    `was_host_lost`
 *   RN_EUNAVAILABLE  the host could not be started, or is quarantined: the call never began
 * RN_ETIMEDOUT comes with `frame` when the host did answer within the grace time: what it says then
 * is the call's true outcome. A call whose frame had not left when the host died is RN_EUNAVAILABLE
 * with `was_host_lost`: it did not begin. A call that was cancelled by call_cancel() ends with what
 * the host answers (RN_ECANCELED when it had not been sent); the host is not killed for it before
 * the call's deadline. At supervisor_free() likewise: an answer within the grace time counts, all
 * others are RN_ECANCELED. At most 16,384 calls and LIMIT_FRAME_BYTES + 32 MiB of their frames are
 * in flight per host: more are RN_EUNAVAILABLE at once. A `done` or `log` does not wait: it holds
 * up the host's other answers. It may call anything here but host_call_wait() and
 * supervisor_free().
 *
 * A crash: a host that ends without having said hello, or while it holds calls, unless we killed it
 * for a passed deadline. LIMIT_PLUGIN_CRASHES of them in a row (a good result in between starts the
 * count anew) quarantine it: calls fail at once until host_reset() or 60 s have passed, then one
 * try. Before each new start after a crash there is a short growing pause (10 ms … 5 s).
 */
#ifndef RUNNEL_IPC_SUPERVISOR_H
#define RUNNEL_IPC_SUPERVISOR_H

#include "ipc/frame.h"

#include <stdatomic.h>

struct supervisor;
struct host;

struct host_options {
    const char *name; /* for messages: "segment (segment.so)" */
    /* behind the program's own path: {"plugin-host", "--plugin", …, NULL}; copied */
    const char *const *argv;
    /* "NAME=value" …, NULL; copied. NULL: only PATH, LANG=C.UTF-8, TZ */
    const char *const *env;
    /* bytes of data (RLIMIT_DATA); 0: LIMIT_PLUGIN_MEMORY. Set by the host process itself from
     * RUNNEL_MEMORY_LIMIT */
    size_t memory_limit;
    /* A process that has had no call for so long is ended; the next call starts a new one. 0: it
     * stays */
    int64_t idle_ms;
};

enum host_state { HOST_IDLE, HOST_RUNNING, HOST_RESTARTING, HOST_QUARANTINED };

struct call_result {
    /* 0: `frame` holds the answer; else `err` says why there is none */
    int code;
    /* RN_EUNKNOWN because the process went, not because of the call itself */
    bool was_host_lost;
    /* with was_host_lost: the process ran out of memory, and held no other call */
    bool has_run_out;
    /* borrowed until `done` returns; NULL: none. Also with RN_ETIMEDOUT, see above */
    const struct frame *frame;
    struct err err;
};

/* What a host asks for during a call. */
struct ask;

struct call {
    /* kind and id are filled in by host_call(); the views are borrowed until host_call() returns */
    struct frame frame;
    int64_t timeout_ms; /* from now; at most LIMIT_STEP_MS_MAX */
    void (*done)(void *ctx, const struct call_result *result);
    /* lines of this call; may be NULL. On the reader thread */
    void (*log)(void *ctx, struct str level, struct str text);
    /* The host asks for something (frame.h); NULL: it is told that nothing can be asked. On the
     * reader thread, before `done`; it does not wait. It answers, now or later, with ask_answer();
     * `frame` is borrowed until it returns. */
    void (*ask)(void *ctx, struct ask *ask, const struct frame *frame);
    void *ctx;
};

/* `program`: NULL for /proc/self/exe. */
struct supervisor *supervisor_new(const char *program);
/* Ends every host (cancel, grace_ms, kill) and every thread; calls in flight end with RN_ECANCELED.
 * */
void supervisor_free(struct supervisor *supervisor, int grace_ms);

/* A host; it stays until supervisor_free() or host_retire(). [any thread] */
struct host *host_new(struct supervisor *supervisor, const struct host_options *options);
/* Takes no new calls, lets those in flight end, then ends the process and frees. */
void host_retire(struct host *host);
/* Starts a call; never blocks on the host (frames are queued). Returns its id for call_cancel().
 * [any thread] */
uint64_t host_call(struct host *host, const struct call *call);
/* Starts the process if it is not there, without a call: to have it warm. */
void host_start(struct host *host);
void call_cancel(struct host *host, uint64_t id);
/* Answers and frees the ask: exactly once, at any time, also when the call has ended or the
 * supervisor is gone (then nobody hears it). The views are borrowed. [any thread] */
void ask_answer(struct ask *ask, struct str json, const struct str *sections, uint32_t count);
/* The same with an error. */
void ask_refuse(struct ask *ask, int code, const char *text);
/* The same, waiting for the end; the frame's bytes are copied to *ret_bytes, `ret` points into
 * them. */
int host_call_wait(struct host *host, struct call *call, struct buf *ret_bytes, struct frame *ret,
                   struct str *sections, uint32_t section_max, struct err *err) MUST_USE;

struct host_status {
    enum host_state state;
    int pid;          /* 0: none */
    uint64_t starts;  /* how often the process was started */
    uint64_t crashes; /* in all */
    /* changes with each new process: what one process knew the next one does not */
    uint64_t generation;
    int calls; /* in flight */
    /* of the last crash or failed start: "killed by signal 11 (Segmentation fault)" */
    char last_error[256];
};
void host_get_status(struct host *host, struct host_status *ret);
/* The current process's generation; 0 while there is none. Cheap. */
uint64_t host_generation(struct host *host);
void host_reset(struct host *host); /* ends a quarantine */

/* ---- the other end, inside a host process */

struct frame_server;

/* A call as the host sees it; valid until frame_server_result() for it was called. */
struct served_call {
    struct frame frame;
    int64_t received_mono_ms;
    atomic_bool cancelled;
    struct frame_server *server;
};

/* Handles a call on one of the server's threads; answers with frame_server_result() before it
 * returns. */
typedef void (*frame_handler)(void *ctx, struct served_call *call);

/* Serves calls on descriptor `fd` until it ends (then returns 0), with at most `max_threads` at
 * once. One thread reads and works until it says that it may block; then another takes the reading
 * over, so that short calls cost no hand-over. */
int frame_server_run(int fd, int max_threads, frame_handler handler, void *ctx,
                     struct err *err) MUST_USE;
/* To be called by a handler before it waits for anything (I/O, sleep): lets another thread go on
 * reading. Cheap when called again. */
void frame_server_may_block(struct served_call *call);
void frame_server_result(struct served_call *call, struct str json, const struct str *sections,
                         uint32_t count);
void frame_server_log(struct served_call *call, const char *level, struct str text);
/* Asks the runtime for something and waits for the answer; `frame` is valid until
 * frame_server_answer_free(). At most LIMIT_ASKS at once. RN_EUNAVAILABLE: the runtime is gone, or
 * there is no thread that could read the answer; RN_ETOOBIG. */
struct answer_frame {
    struct frame frame;
    struct str sections[];
};
int frame_server_ask(struct served_call *call, struct str json, const struct str *sections,
                     uint32_t count, struct answer_frame **ret, struct err *err) MUST_USE;
void frame_server_answer_free(struct answer_frame *answer); /* NULL is fine */
/* The same without waiting. `ask` is the caller's, with `answered` set; it stays where it is until
 * that is called, once, or frame_server_forget(). */
struct frame_ask {
    /* On another thread, with the server's lock held: it neither blocks nor calls the server. */
    void (*answered)(struct frame_ask *ask);
    struct answer_frame *answer; /* the caller's; NULL: the runtime cannot be asked any more */
    /* the server's */
    struct frame_ask *next;
    uint64_t id;
    uint16_t number;
};
int frame_server_ask_start(struct served_call *call, struct str json, const struct str *sections,
                           uint32_t count, struct frame_ask *ask, struct err *err) MUST_USE;
/* From now on no ask of the call is answered. */
void frame_server_forget(struct served_call *call);
/* Before frame_server_run(): tells the runtime that the host is ready, or why it is not. */
int frame_server_hello(int fd, const struct err *failure) MUST_USE;

#endif
