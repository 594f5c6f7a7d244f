/* What the tests of the shipped components share: cmocka around the SDK's fake host. A test makes a
 * host, scripts the vendor's answers and calls the component; finish() fails it if the host has
 * counted anything. */
#ifndef TESTS_UNIT_COMPONENTS_COMPONENT_TEST_H
#define TESTS_UNIT_COMPONENTS_COMPONENT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Before cmocka.h, whose macro fail() would break the call of the same name in the SDK. */
#include <runnel/testing.h>

#include <cmocka.h>

static inline struct rn_test *start(void)
{
    struct rn_test *t = rn_test_new(&runnel_plugin);
    assert_non_null(t);
    return t;
}

static inline void finish(struct rn_test *t)
{
    assert_int_equal(rn_test_done(t), 0);
}

/* How often `part` is in `text`. */
static inline int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text ? strstr(text, part) : NULL; at; at = strstr(at + 1, part))
        count++;
    return count;
}

#endif
