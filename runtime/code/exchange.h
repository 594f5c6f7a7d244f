/* One call's conversation with its interpreter. Private to the room. */
#ifndef RUNNEL_CODE_EXCHANGE_H
#define RUNNEL_CODE_EXCHANGE_H

#include "code/child.h"
#include "ipc/supervisor.h"

enum exchange_end {
    EXCHANGE_ANSWERED, /* a worker has sent its answer: it is whole in `answer` */
    EXCHANGE_EXITED,   /* the process has ended: `status`, `usage` */
    EXCHANGE_BROKEN,   /* it sent bytes that are no answer, or closed its socket */
    EXCHANGE_OVERDUE,
    EXCHANGE_CANCELLED
};

struct exchange {
    struct served_call *call;
    struct child *child;
    int64_t deadline_mono_ms;
    struct str request; /* what is sent to a worker; empty for bash */
    size_t sent;
    struct buf answer; /* u32 size of the JSON, u32 size of the exports, both */
    int status;        /* wait()'s */
    size_t log_bytes;
    bool is_log_cut;
    bool has_run_out;    /* it said that it is out of memory */
    char last_line[256]; /* of stderr */
};

enum exchange_end exchange_run(struct exchange *x);
/* The parts of a whole answer. */
void exchange_answer(const struct exchange *x, struct str *ret_json, struct str *ret_exports);

#endif
