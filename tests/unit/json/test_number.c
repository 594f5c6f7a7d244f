/* Numbers: what converts exactly, what does not, and that no locale changes it. */
#include "json/json.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct json *number(const char *literal)
{
    struct json *value = json_new_number(str_from(literal));
    if (!value)
        fail_msg("%s is no number", literal);
    return value;
}

static void test_to_i64(void **state)
{
    (void)state;
    static const struct {
        const char *literal;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"0.0", 0},
        {"0e999999999999999999999", 0},
        {"1", 1},
        {"1.0", 1},
        {"1e3", 1000},
        {"1.5e1", 15},
        {"-12.50e1", -125},
        {"1000e-3", 1},
        {"100.00", 100},
        {"9007199254740993", 9007199254740993},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"9.223372036854775807e18", INT64_MAX},
        {"-922337203685477580800e-2", INT64_MIN},
        {"1e18", 1000000000000000000},
    };
    static const char *const bad[] = {
        "1.5",
        "0.1",
        "1e-1",
        "9223372036854775808",
        "-9223372036854775809",
        "1e19",
        "1e400",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "18446744073709551615",
        "-1.00000000000000000000001",
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct json *value = number(good[i].literal);
        int64_t got = 77;
        if (!json_to_i64(value, &got) || got != good[i].value)
            fail_msg("%s gave %lld", good[i].literal, (long long)got);
        json_free(value);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct json *value = number(bad[i]);
        int64_t got = 77;
        if (json_to_i64(value, &got) || got != 77)
            fail_msg("%s gave %lld", bad[i], (long long)got);
        json_free(value);
    }
    struct json *text = json_new_string(STR("1"));
    int64_t got;
    assert_false(json_to_i64(text, &got));
    assert_false(json_to_i64(NULL, &got));
    json_free(text);
}

static void test_to_u64(void **state)
{
    (void)state;
    static const struct {
        const char *literal;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"18446744073709551615", true, UINT64_MAX},
        {"1.8446744073709551615e19", true, UINT64_MAX},
        {"1e19", true, 10000000000000000000u},
        {"18446744073709551616", false, 0},
        {"99999999999999999999", false, 0},
        {"1e20", false, 0},
        {"-1", false, 0},
        {"0.5", false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json *value = number(rows[i].literal);
        uint64_t got = 0;
        if (json_to_u64(value, &got) != rows[i].good || got != rows[i].value)
            fail_msg("%s gave %llu", rows[i].literal, (unsigned long long)got);
        json_free(value);
    }
}

static void check_doubles(void)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1, "-1"},
        {0.1, "0.1"},
        {-0.5, "-0.5"},
        {1.5, "1.5"},
        {100, "100"},
        {123456.789, "123456.789"},
        {1.0 / 3, "0.3333333333333333"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e15, "1000000000000000"},
        {123456789012345680, "123456789012345680"},
        {1e20, "100000000000000000000"},
        {1e21, "1e+21"},
        {1.5e300, "1.5e+300"},
        {1e-6, "0.000001"},
        {1e-7, "1e-7"},
        {1.25e-7, "1.25e-7"},
        {9007199254740992, "9007199254740992"},
        {9007199254740993, "9007199254740992"},
        {5e-324, "5e-324"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {1e23, "1e+23"},
        {1161888007138312192.0, "1161888007138312200"},
        {2.5e-310, "2.5e-310"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json *value = json_new_double(rows[i].value);
        assert_true(str_eq_c(json_literal(value), rows[i].text));
        double back = 77;
        assert_true(json_to_double(value, &back));
        assert_memory_equal(&back, &rows[i].value, sizeof(back));
        json_free(value);
    }
    struct json *point = number("2.25e1");
    double d = 0;
    assert_true(json_to_double(point, &d));
    assert_true(d > 22.4 && d < 22.6);
    json_free(point);
}

static void test_doubles(void **state)
{
    (void)state;
    check_doubles();
    static const double none[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        struct json *value = json_new_double(none[i]);
        assert_int_equal(json_kind(value), JSON_NULL);
        json_free(value);
    }
    struct json *large = number("1e400"), *tiny = number("1e-400");
    double d = 77;
    assert_false(json_to_double(large, &d));
    assert_true(d > 76);
    assert_true(json_to_double(tiny, &d));
    assert_true(d < 1e-300 && d > -1e-300);
    json_free(large);
    json_free(tiny);
}

/* Every double comes back from its text; a fixed sequence, so that a failure can be repeated. */
static void test_round_trip(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint64_t bits = i % 3 == 0 ? x : i % 3 == 1 ? x >> 12 : (x & 0x7FF0000000000000u);
        double value, back = 0;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        struct json *json = json_new_double(value);
        assert_true(json_to_double(json, &back));
        assert_memory_equal(&back, &value, sizeof(value));
        assert_true(json_is_exact_double(json));
        json_free(json);
    }
}

static void test_locale(void **state)
{
    (void)state;
    /* a test machine may have none of them; then the C locale is tested twice */
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "C"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (setlocale(LC_ALL, names[i]))
            break;
    check_doubles();
    (void)setlocale(LC_ALL, "C");
}

static void test_exact(void **state)
{
    (void)state;
    static const char *const exact[] = {
        "0",
        "-0",
        "0.0e5",
        "1",
        "1.0",
        "1e3",
        "0.1",
        "0.30000000000000004",
        "9007199254740992",
        "123456789012345",
        "1e22",
        "1e23",
        "5e-324",
        "1.7976931348623157e308",
        "1000000000000000000000",
        "3.14159265358979",
        "100000000000000000000000",
        "1161888007138312200",
        "2.2250738585072014e-308",
    };
    static const char *const inexact[] = {
        "9007199254740993",
        "1161888007138312192",
        "1e400",
        "1e-400",
        "0.1000000000000000055511151231257827",
        "0.30000000000000000004",
        "3.14159265358979323846",
        "1e99999999999999999999",
        "9223372036854775807",
        "1.7976931348623159e308",
        "4e-324",
        "1234567890123456.78",
    };
    for (size_t i = 0; i < COUNT_OF(exact); i++) {
        struct json *value = number(exact[i]);
        if (!json_is_exact_double(value))
            fail_msg("%s should be exact", exact[i]);
        json_free(value);
    }
    for (size_t i = 0; i < COUNT_OF(inexact); i++) {
        struct json *value = number(inexact[i]);
        if (json_is_exact_double(value))
            fail_msg("%s should not be exact", inexact[i]);
        json_free(value);
    }
    assert_false(json_is_exact_double(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_i64),  cmocka_unit_test(test_to_u64),
        cmocka_unit_test(test_doubles), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_locale),  cmocka_unit_test(test_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
