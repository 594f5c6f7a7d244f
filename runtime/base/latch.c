/* The wake comes after the state is set, when the waiter may have gone on and its stack may hold
 * something else: then nobody waits at that address, or somebody looks again for nothing. */
#include "base/latch.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LATCH_SHUT, LATCH_OPEN, LATCH_ASLEEP /* shut, and the waiter sleeps */ };

void latch_open(struct latch *latch)
{
    atomic_uint *state = &latch->state;
    if (atomic_exchange(state, LATCH_OPEN) == LATCH_ASLEEP)
        (void)syscall(SYS_futex, state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void latch_wait(struct latch *latch)
{
    while (atomic_load(&latch->state) != LATCH_OPEN) {
        unsigned expected = LATCH_SHUT;
        if (atomic_compare_exchange_strong(&latch->state, &expected, LATCH_ASLEEP) ||
            expected == LATCH_ASLEEP)
            (void)syscall(SYS_futex, &latch->state, FUTEX_WAIT_PRIVATE, LATCH_ASLEEP, NULL, NULL,
                          0);
    }
}
