/* Inside the ipc room: a host's state, shared by host.c (its thread, the process), host_calls.c
 * (the table of calls) and supervisor.c.
 *
 * One lock per host guards everything here that is not marked otherwise; it is held for
 * microseconds and never while a callback, a system call that may wait, or the socket is used. A
 * call that waits for the process to become ready keeps its frame in its slot (`waiting`); it has
 * certainly not begun. With the process ready, frames go to the outbox at once, and a call whose
 * frame the socket has not taken whole has not begun either. */
#ifndef RUNNEL_IPC_HOST_H
#define RUNNEL_IPC_HOST_H

#include "ipc/spawn.h"
#include "ipc/stream.h"
#include "ipc/supervisor.h"

#define HOST_CALLS_MAX 16384
#define HOST_CALL_BYTES_MAX (LIMIT_FRAME_BYTES + MIB(32)) /* of frames of calls in flight */
#define HOST_NEVER INT64_MAX

struct slot {
    uint64_t id; /* sequence << 16 | index; 0: free */
    void (*done)(void *ctx, const struct call_result *result);
    void (*log)(void *ctx, struct str level, struct str text);
    void (*ask)(void *ctx, struct ask *ask, const struct frame *frame);
    void *ctx;
    unsigned asks;         /* open */
    int64_t deadline_ms;   /* late: of the grace time */
    uint64_t outbox_end;   /* the outbox's `added` behind its frame */
    struct chunk *waiting; /* its frame while there is no process to take it */
    size_t size;
    uint32_t next_free;
    bool is_late;     /* its deadline has passed and the host was asked to cancel */
    bool is_canceled; /* call_cancel() before it was sent */
};

/* A call that has left the table and is to be told so, without the lock. */
struct ended_call {
    void (*done)(void *ctx, const struct call_result *result);
    void *ctx;
    int code;
    bool was_host_lost, has_run_out;
};

struct ended_calls {
    struct ended_call *items;
    size_t count, capacity;
};

enum process_phase { PROCESS_NONE, PROCESS_STARTING, PROCESS_READY, PROCESS_ENDING };
enum kill_reason { KILL_NONE, KILL_DEADLINE, KILL_STOP, KILL_HELLO, KILL_PROTOCOL, KILL_SILENT };

struct output_line {
    char text[1024];
    size_t length;
    int64_t second; /* of the clock: lines are counted per second */
    unsigned count, dropped;
};

struct host {
    struct supervisor *supervisor;
    struct host *next; /* in the supervisor's list, under its lock */

    /* its making, and each ask that is open */
    atomic_int refs;

    /* constant */
    char *name;
    char **argv, **env;
    size_t memory_limit;
    int64_t idle_ms; /* 0: an idle process stays */
    int wake_fd, epoll_fd;

    pthread_mutex_t lock;
    pthread_cond_t writer_left; /* the outbox's writer's role became free while `phase` is ENDING */
    pthread_t thread;
    bool has_thread;
    int64_t wakes_at_ms; /* when the thread looks next by itself; earlier: write wake_fd */

    struct slot *slots;
    uint32_t slot_capacity, first_free;
    uint64_t sequence;
    size_t calls, call_bytes;
    int64_t next_deadline_ms; /* no call's is earlier */
    int64_t used_at_ms;       /* the last call's beginning, or the start of the process */

    enum process_phase phase;
    enum kill_reason killed_for;
    struct outbox outbox;
    bool is_stuck;             /* the socket was full: the thread flushes when it is writable */
    bool is_shut;              /* we have closed our direction */
    int64_t kill_at_ms;        /* HOST_NEVER: not planned */
    enum kill_reason kill_for; /* what is planned */
    int pid, fd;
    atomic_uint_fast64_t generation; /* read without the lock */

    uint64_t starts, crashes;
    int crashes_in_row;
    int64_t start_at_ms;          /* not before */
    int64_t quarantined_until_ms; /* 0: not */
    char last_error[256];

    bool wants_start, is_retiring, is_stopping;
    bool has_canceled_all;
    int64_t stop_by_ms;

    /* the thread's own */
    int pid_fd, output_fd;
    bool waits_writable, has_socket_ended, said_memory, said_hello;
    struct inbox inbox;
    struct output_line output;
    char hello_error[ERR_TEXT_MAX];
};

/* host.c */
void *host_main(void *host);
/* Sends what is queued if somebody may. [lock held; drops it meanwhile] */
void host_flush(struct host *host);
/* Makes the thread look again now. */
void host_wake(struct host *host);
/* Starts the host's thread if it has none. RN_EUNAVAILABLE. [lock held] */
int host_ensure_thread(struct host *host) MUST_USE;
void host_free(struct host *host); /* drops a reference; the last one frees */

/* host_calls.c; all [lock held] unless they say otherwise */
struct slot *calls_find(struct host *host, uint64_t id);
/* Takes the call out of the table and puts it into `ended`. */
void calls_end(struct host *host, struct slot *slot, int code, bool was_host_lost,
               struct ended_calls *ended);
/* Ends those whose time is over or asks for their cancellation. True: one has outlived its grace
 * time. */
bool calls_expire(struct host *host, int64_t now_ms, struct ended_calls *ended);
/* The process is ready: what waited goes to the outbox, in the order of the calls. */
void calls_send_waiting(struct host *host);
/* Asks for the cancellation of all calls that were sent; ends the others with `code`. */
void calls_cancel_all(struct host *host, int code, struct ended_calls *ended);
/* The process is gone: ends the calls it held, and with `with_waiting` those that wait for a
 * process, too. */
void calls_lose(struct host *host, bool with_waiting, struct ended_calls *ended);
/* Calls `done` of all and empties the list; `reason` is the text behind the code. [no lock] */
void calls_tell(struct host *host, struct ended_calls *ended, const char *reason);
/* A frame of the host's about a call. [no lock; the host's thread] */
void calls_take_result(struct host *host, const struct frame *frame);
void calls_take_log(struct host *host, const struct frame *frame);
void calls_take_ask(struct host *host, const struct frame *frame);
/* While a host's own thread is inside callbacks for one batch of frames, what they call is sent
 * together at its end (or after this long, in µs). */
#define HOST_CORK_US 500
bool host_is_corked(const struct host *host);
void host_cork(struct host *host);
void host_uncork(struct host *host);

/* supervisor.c */
const char *supervisor_program(const struct supervisor *supervisor);
struct keeper *supervisor_keeper(struct supervisor *supervisor);
/* The host's thread is done with it: takes it out of the list, frees it, and lets the keeper join
 * the thread. */
void supervisor_host_ended(struct supervisor *supervisor, struct host *host);

#endif
