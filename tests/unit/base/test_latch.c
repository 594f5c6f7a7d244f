#include "base/latch.h"

#include "base/mem.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ROUNDS = 20000 };

static void open_before_wait(void **state)
{
    (void)state;
    struct latch latch = LATCH_INIT;
    latch_open(&latch);
    latch_wait(&latch);
}

/* Two threads hand a number to and fro; each latch lives on the stack of the one that waits. */
struct turn {
    struct latch *latch;
    int *number;
};

static _Atomic(struct turn *) offered;

static void *answer(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < ROUNDS; i++) {
        struct turn *turn;
        do
            turn = atomic_exchange(&offered, NULL);
        while (!turn);
        struct latch *latch = turn->latch;
        *turn->number += 1;
        latch_open(latch);
    }
    return NULL;
}

static void hands_over_what_was_written(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct latch latch = LATCH_INIT;
        int number = i;
        struct turn turn = {&latch, &number};
        atomic_store(&offered, &turn);
        latch_wait(&latch);
        assert_int_equal(number, i + 1);
    }
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_before_wait),
        cmocka_unit_test(hands_over_what_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
