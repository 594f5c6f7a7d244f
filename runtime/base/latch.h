/* One thread waits until another says that something is done, once. A word on the waiter's own
 * stack instead of a mutex and a condition: the opener never makes the waiter run into a lock that
 * it still holds, and costs no system call unless the waiter sleeps.
 *
 * Life cycle: LATCH_INIT → latch_open by one thread, latch_wait by one other → nothing. What was
 * written before latch_open is seen after latch_wait. The latch may be gone as soon as latch_wait
 * has returned, even while latch_open is returning. */
#ifndef RUNNEL_BASE_LATCH_H
#define RUNNEL_BASE_LATCH_H

#include <stdatomic.h>

struct latch {
    atomic_uint state; /* LATCH_… of latch.c */
};

#define LATCH_INIT                                                                                 \
    {                                                                                              \
        .state = 0                                                                                 \
    }

void latch_open(struct latch *latch);
void latch_wait(struct latch *latch);

#endif
