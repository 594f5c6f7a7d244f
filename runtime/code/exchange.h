/* One call's conversation with its interpreter. With a worker it is messages: a u32 number, u32
 * sizes of four parts, the parts. Number 0: the call (its JSON, code, inputs, steps), and what ends
 * it, the worker's answer (its JSON, exports). Any other number, of the worker's choice: what it
 * asks the runtime for meanwhile (the JSON of plugin/protocol.h's ASK, up to two sections), and the
 * answer to that (JSON, a section). Private to the room. */
#ifndef RUNNEL_CODE_EXCHANGE_H
#define RUNNEL_CODE_EXCHANGE_H

#include "code/child.h"
#include "ipc/supervisor.h"

#include <pthread.h>

enum exchange_end {
    EXCHANGE_ANSWERED, /* a worker has sent its answer: it is whole in `answer` */
    EXCHANGE_EXITED,   /* the process has ended: `status`, `usage` */
    EXCHANGE_BROKEN,   /* it sent bytes that are no answer, or closed its socket */
    EXCHANGE_OVERDUE,
    EXCHANGE_CANCELLED
};

/* What the worker has asked and not been told. */
struct asked {
    struct frame_ask ask; /* first */
    struct exchange *x;
    uint32_t number; /* the worker's */
    bool is_open;
    bool is_answered; /* under the exchange's lock */
};

struct exchange {
    struct served_call *call;
    struct child *child;
    int64_t deadline_mono_ms;
    struct buf out; /* what is sent to a worker; empty for bash */
    size_t sent;    /* of it */
    struct buf in;  /* of the worker; the answer's message when it has answered */
    struct asked asked[LIMIT_ASKS];
    pthread_mutex_t lock; /* guards is_answered */
    int answered_fd;      /* an eventfd; there is something to tell */
    int status;           /* wait()'s */
    size_t log_bytes;
    bool is_log_cut;
    bool has_run_out;  /* it said that it is out of memory */
    const char *files; /* the run's folder; NULL: none */
    uint64_t files_limit;
    int64_t began_ms;
    char last_line[256]; /* of stderr */
};

#define EXCHANGE_PARTS 4

/* The call, and whether it needs a worker's conversation; before all else. RN_EUNAVAILABLE. */
int exchange_init(struct exchange *x, struct served_call *call, bool is_worker,
                  struct err *err) MUST_USE;
void exchange_release(struct exchange *x);
/* Puts a message behind what is to be sent. */
void exchange_say(struct exchange *x, uint32_t number, const struct str parts[EXCHANGE_PARTS]);
enum exchange_end exchange_run(struct exchange *x);
/* The parts of a whole answer. */
void exchange_answer(const struct exchange *x, struct str *ret_json, struct str *ret_exports);

#endif
