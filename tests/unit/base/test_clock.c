/* ISO 8601 both ways, and the fake clock. */
#include "base/clock.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_format(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-1000, "1969-12-31T23:59:59.000Z"},
        {1700000000123, "2023-11-14T22:13:20.123Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {253402300800000, "?"},
        {INT64_MAX, "?"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[CLOCK_TEXT_MAX];
        clock_format(rows[i].ms, text);
        assert_string_equal(text, rows[i].text);
        int64_t ms = 0;
        assert_int_equal(clock_parse(str_from(text), &ms), text[0] == '?' ? RN_EINVAL : 0);
        if (text[0] != '?')
            assert_int_equal(ms, rows[i].ms);
    }
}

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"2026-11-23T10:00:00.123Z", 1795428000123},
        {"2026-11-23T10:00:00Z", 1795428000000},
        {"2026-11-23T10:00Z", 1795428000000},
        {"2026-11-23 10:00:00Z", 1795428000000},
        {"2026-11-23T11:00:00+01:00", 1795428000000},
        {"2026-11-23T11:00:00+0100", 1795428000000},
        {"2026-11-23T04:30:00-05:30", 1795428000000},
        {"2026-11-23T10:00:00.1Z", 1795428000100},
        {"2026-11-23T10:00:00.123999999Z", 1795428000123},
        {"2026-11-23T10:00:00-00:00", 1795428000000},
        {"2026-11-23", 1795392000000},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"1969-12-31T23:59:59.999Z", -1},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        int64_t ms = 77;
        if (clock_parse(str_from(good[i].text), &ms) || ms != good[i].ms)
            fail_msg("%s gave %lld", good[i].text, (long long)ms);
    }
    static const char *const bad[] = {
        "",
        "now",
        "2026",
        "2026-11",
        "2026-11-2",
        "2026-13-01",
        "2026-00-10",
        "2026-01-00",
        "2026-01-32",
        "2026-04-31",
        "2026-02-29",
        "1900-02-29",
        "2026-02-30",
        "2026-11-23T",
        "2026-11-23T10",
        "2026-11-23T10:00:00",
        "2026-11-23T24:00:00Z",
        "2026-11-23T10:60:00Z",
        "2026-11-23T10:00:61Z",
        "2026-11-23T10:00:00.Z",
        "2026-11-23T10:00:00+25:00",
        "2026-11-23T10:00:00+01:60",
        "2026-11-23T10:00:00+1",
        "2026-11-23T10:00:00ZZ",
        "2026-11-23T10:00:00Z ",
        " 2026-11-23",
        "26-11-23",
        "2026/11/23",
        "2026-11-23T1:00:00Z",
        "2026-11-23T10:00:00X",
        "+2026-11-23",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int64_t ms = 77;
        if (clock_parse(str_from(bad[i]), &ms) != RN_EINVAL || ms != 77)
            fail_msg("%s was taken as %lld", bad[i], (long long)ms);
    }
}

static void test_fake(void **state)
{
    (void)state;
    clock_fake(1700000000123);
    assert_int_equal(clock_now_ms(), 1700000000123);
    assert_int_equal(clock_mono_ms(), 1700000000123);
    assert_int_equal(clock_mono_us(), 1700000000123000);
    clock_fake(0);
    assert_int_equal(clock_now_ms(), 0);
    clock_fake(-1);
    assert_true(clock_now_ms() > 1700000000123);
    int64_t before = clock_mono_us();
    assert_true(clock_mono_us() >= before);
    assert_true(clock_mono_ms() >= before / 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_fake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
