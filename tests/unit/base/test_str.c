/* Views, UTF-8, numbers and units, edit distance. */
#include "base/str.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_views(void **state)
{
    (void)state;
    assert_int_equal(str_from(NULL).len, 0);
    assert_true(str_eq(STR_NONE, STR("")));
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_false(str_eq(STR("a"), STR("ab")));
    assert_true(str_eq_c(STR("abc"), "abc"));
    assert_false(str_eq_c(STR("abc"), "ab"));
    assert_true(str_eq_c(STR_NONE, NULL));
    assert_true(str_eq_nocase(STR("Content-Type"), STR("content-TYPE")));
    assert_false(str_eq_nocase(STR("a"), STR("b")));
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("ab"), STR("a")) > 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
    assert_true(str_cmp(STR("\x7f"), STR("\x80")) < 0); /* bytes have no sign */
    assert_true(str_starts(STR("abc"), "ab") && str_starts(STR("abc"), "") &&
                !str_starts(STR("a"), "ab"));
    assert_true(str_ends(STR("abc"), "bc") && str_ends(STR("abc"), "") &&
                !str_ends(STR("c"), "bc"));
    assert_true(str_eq_c(str_trim(STR(" \t\r\na b\n ")), "a b"));
    assert_int_equal(str_trim(STR(" \n")).len, 0);
    assert_int_equal(str_trim(STR_NONE).len, 0);
    assert_int_equal(str_find(STR("abcabc"), "bc", 0), 1);
    assert_int_equal(str_find(STR("abcabc"), "bc", 2), 4);
    assert_int_equal(str_find(STR("abcabc"), "bc", 5), -1);
    assert_int_equal(str_find(STR("abc"), "c", 99), -1);
    assert_int_equal(str_find(STR("a\0b"), "b", 0), 2);
    char *copy = str_dup(STR("a\0b"));
    assert_memory_equal(copy, "a\0b", 4);
    free(copy);
    copy = str_dup(STR_NONE);
    assert_string_equal(copy, "");
    free(copy);
}

static void test_cut(void **state)
{
    (void)state;
    struct str text = STR("a,,b,"), part;
    static const char *const parts[] = {"a", "", "b", ""};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        assert_true(str_cut(&text, ',', &part));
        assert_true(str_eq_c(part, parts[i]));
    }
    assert_false(str_cut(&text, ',', &part));
    text = STR("");
    assert_true(str_cut(&text, ',', &part)); /* an empty text is one empty part */
    assert_int_equal(part.len, 0);
    assert_false(str_cut(&text, ',', &part));
    text = STR_NONE;
    assert_false(str_cut(&text, ',', &part));
}

static void test_utf8_is_valid(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "ascii",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "a\xc3\xa9z"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2z",
                                      "\xe0\x9f\xbf",
                                      "\xe0\xa0",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xfe",
                                      "\xe2\x82z",
                                      "\xf0\x9f\x98",
                                      "ok\xc3"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(utf8_is_valid(str_from(good[i])));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(utf8_is_valid(str_from(bad[i])));
    assert_true(utf8_is_valid(STR("a\0b")));
}

/* Every code point is written and read back; surrogates are not read. */
static void test_utf8_round_trip(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        char text[4];
        size_t n = utf8_encode(c, text), at = 0;
        struct str view = str_n(text, n);
        if (c >= 0xD800 && c <= 0xDFFF) {
            assert_false(utf8_is_valid(view));
            continue;
        }
        if (!utf8_is_valid(view) || utf8_length(view, 0) != n || utf8_decode(view, &at) != c ||
            at != n)
            fail_msg("U+%04X", c);
    }
    size_t at = 0;
    assert_int_equal(utf8_decode(STR("\xffz"), &at), 0xFFFD);
    assert_int_equal(at, 1);
    assert_int_equal(utf8_length(STR("\xc3"), 0), 1);
}

static void check_i64(const char *text, int rc, int64_t expected)
{
    int64_t value = 77;
    assert_int_equal(num_parse_i64(str_from(text), &value), rc);
    assert_int_equal(value, rc ? 77 : expected);
}

static void test_integers(void **state)
{
    (void)state;
    check_i64("0", 0, 0);
    check_i64("-0", 0, 0);
    check_i64("007", 0, 7);
    check_i64("9223372036854775807", 0, INT64_MAX);
    check_i64("-9223372036854775808", 0, INT64_MIN);
    check_i64("9223372036854775808", RN_ETOOBIG, 0);
    check_i64("-9223372036854775809", RN_ETOOBIG, 0);
    check_i64("99999999999999999999999", RN_ETOOBIG, 0);
    static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "1a", "--1", "1.0", "0x1", "1e3"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        check_i64(bad[i], RN_EINVAL, 0);
    uint64_t value = 77;
    assert_int_equal(num_parse_u64(STR("18446744073709551615"), &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(num_parse_u64(STR("18446744073709551616"), &value), RN_ETOOBIG);
    assert_int_equal(num_parse_u64(STR("-1"), &value), RN_EINVAL);
    assert_int_equal(num_parse_u64(STR("1\0"), &value), RN_EINVAL);
    assert_int_equal(num_parse_u64(STR_NONE, &value), RN_EINVAL);
}

static void test_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        uint64_t value;
    } rows[] = {
        {"0", 0, 0},
        {"100", 0, 100},
        {"7B", 0, 7},
        {"512KiB", 0, 524288},
        {"10MiB", 0, 10485760},
        {"4GiB", 0, 4294967296u},
        {"2TiB", 0, 2199023255552u},
        {"1KB", 0, 1000},
        {"1MB", 0, 1000000},
        {"3GB", 0, 3000000000u},
        {"", RN_EINVAL, 0},
        {"MiB", RN_EINVAL, 0},
        {"10 MiB", RN_EINVAL, 0},
        {"10mib", RN_EINVAL, 0},
        {"1.5GiB", RN_EINVAL, 0},
        {"-1", RN_EINVAL, 0},
        {"10MiBs", RN_EINVAL, 0},
        {"99999999999999999999", RN_ETOOBIG, 0},
        {"18446744073709551615KiB", RN_ETOOBIG, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t value = 0;
        if (num_parse_bytes(str_from(rows[i].text), &value) != rows[i].rc || value != rows[i].value)
            fail_msg("%s gave %llu", rows[i].text, (unsigned long long)value);
    }
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        int64_t ms;
    } rows[] = {
        {"0s", 0, 0},
        {"500ms", 0, 500},
        {"30s", 0, 30000},
        {"5m", 0, 300000},
        {"2h", 0, 7200000},
        {"30d", 0, 2592000000},
        {"1w", 0, 604800000},
        {"30", RN_EINVAL, 0},
        {"", RN_EINVAL, 0},
        {"s", RN_EINVAL, 0},
        {"-1s", RN_EINVAL, 0},
        {"1.5s", RN_EINVAL, 0},
        {"1 s", RN_EINVAL, 0},
        {"1y", RN_EINVAL, 0},
        {"1S", RN_EINVAL, 0},
        {"99999999999999999999s", RN_ETOOBIG, 0},
        {"9223372036854775807w", RN_ETOOBIG, 0},
        {"9223372036854775807ms", RN_ETOOBIG, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t ms = 0;
        if (num_parse_duration(str_from(rows[i].text), &ms) != rows[i].rc || ms != rows[i].ms)
            fail_msg("%s gave %lld", rows[i].text, (long long)ms);
    }
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(str_distance(STR("message"), STR("message"), 3), 0);
    assert_int_equal(str_distance(STR("mesage"), STR("message"), 3), 1);
    assert_int_equal(str_distance(STR("massage"), STR("message"), 3), 1);
    assert_int_equal(str_distance(STR("kitten"), STR("sitting"), 3), 3);
    assert_int_equal(str_distance(STR("kitten"), STR("sitting"), 2), 3);
    assert_int_equal(str_distance(STR("abcdef"), STR("uvwxyz"), 2), 3);
    assert_int_equal(str_distance(STR(""), STR("ab"), 5), 2);
    assert_int_equal(str_distance(STR_NONE, STR_NONE, 5), 0);
    char longer[200];
    memset(longer, 'a', sizeof(longer));
    assert_int_equal(str_distance(str_n(longer, 128), str_n(longer, 127), 3), 1);
    assert_int_equal(str_distance(str_n(longer, 129), str_n(longer, 129), 3), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),         cmocka_unit_test(test_cut),
        cmocka_unit_test(test_utf8_is_valid), cmocka_unit_test(test_utf8_round_trip),
        cmocka_unit_test(test_integers),      cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_durations),     cmocka_unit_test(test_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
