/* The tree and the writer. */
#include "json/json.h"

#include "base/limits.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct json *parse_ok(const char *text)
{
    struct json *value = NULL;
    struct err err = ERR_INIT;
    if (json_parse(str_from(text), &value, &err))
        fail_msg("%s: %s", text, err.text);
    return value;
}

/* Writes and frees `value`. */
static void check_text(struct json *value, const char *expected)
{
    char *text = json_text(value, NULL);
    assert_string_equal(text, expected);
    free(text);
    json_free(value);
}

static void test_making(void **state)
{
    (void)state;
    check_text(json_new_null(), "null");
    check_text(json_new_boolean(true), "true");
    check_text(json_new_boolean(false), "false");
    check_text(json_new_integer(0), "0");
    check_text(json_new_integer(INT64_MIN), "-9223372036854775808");
    check_text(json_new_integer(INT64_MAX), "9223372036854775807");
    check_text(json_new_unsigned(UINT64_MAX), "18446744073709551615");
    check_text(json_new_string(STR("a\0b")), "\"a\\u0000b\"");
    check_text(json_new_string(STR_NONE), "\"\"");
    check_text(json_new_string(STR("\xffz\xc3\xa9\xe2\x82")),
               "\"\xef\xbf\xbdz\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"");
    check_text(json_new_string_c("x"), "\"x\"");
    check_text(json_new_string_c(NULL), "null");
    check_text(json_new_array(), "[]");
    check_text(json_new_object(), "{}");
    check_text(json_new_number(STR("1.50e+3")), "1.50e+3");
    static const char *const not_numbers[] = {"",   "01",  "1 ", " 1",  "+1",
                                              "1e", "NaN", "-",  "1,2", "\"1\""};
    for (size_t i = 0; i < COUNT_OF(not_numbers); i++)
        assert_null(json_new_number(str_from(not_numbers[i])));
    assert_null(json_new_number(STR_NONE));
    assert_null(json_new_number(STR("1\0")));
}

static void test_objects(void **state)
{
    (void)state;
    struct json *o = json_new_object();
    json_set_integer(o, "a", 1);
    json_set_string(o, "b", "x");
    json_set_string(o, "none", NULL);
    json_set_str(o, "c", STR("p\0q"));
    json_set_boolean(o, "d", true);
    assert_null(json_set(o, "e", NULL));
    assert_int_equal(json_count(o), 4);
    /* in its place: at the front, in the middle, at the end */
    json_set_integer(o, "a", 10);
    json_set_integer(o, "c", 30);
    json_set_integer(o, "d", 40);
    struct json *list = json_set(o, "b", json_new_array());
    assert_ptr_equal(list, json_get(o, "b"));
    json_append(list, json_new_null());
    json_add(o, "f", json_new_integer(6));
    json_set_integer(o, "A", 7);
    char *text = json_text(o, NULL);
    assert_string_equal(text, "{\"a\":10,\"b\":[null],\"c\":30,\"d\":40,\"f\":6,\"A\":7}");
    free(text);
    /* taking out */
    assert_null(json_take(o, "zzz"));
    struct json *a = json_take(o, "a");
    json_remove(o, "A");
    json_remove(o, "A");
    json_remove(o, "c");
    json_append(list, a);
    assert_null(json_name(a));
    json_set(o, "again", json_take_first(list));
    json_set_integer(o, "last", 1);
    check_text(o, "{\"b\":[10],\"d\":40,\"f\":6,\"again\":null,\"last\":1}");
}

/* A parsed member keeps its name in its own block; moved elsewhere it gets another. */
static void test_moving_parsed_values(void **state)
{
    (void)state;
    struct json *from = parse_ok("{\"x\":{\"deep\":[1,\"two\"]},\"y\":\"why\",\"z\":1}");
    struct json *to = json_new_object();
    json_set(to, "moved", json_take(from, "x"));
    json_set(to, "moved too", json_take(from, "z"));
    json_set(to, "moved", json_take(from, "y"));
    json_add(from, "\xff", json_new_integer(1));
    check_text(from, "{\"\xef\xbf\xbd\":1}");
    check_text(to, "{\"moved\":\"why\",\"moved too\":1}");
}

static void test_take_first(void **state)
{
    (void)state;
    struct json *array = parse_ok("[1,2,3]");
    for (int i = 1; i <= 3; i++) {
        struct json *value = json_take_first(array);
        int64_t n = 0;
        assert_true(json_to_i64(value, &n));
        assert_int_equal(n, i);
        json_free(value);
    }
    assert_null(json_take_first(array));
    json_append(array, json_new_integer(4));
    check_text(array, "[4]");
    struct json *object = parse_ok("{\"a\":1,\"b\":2}");
    json_free(json_take_first(object));
    check_text(object, "{\"b\":2}");
    assert_null(json_take_first(NULL));
}

static void test_reading(void **state)
{
    (void)state;
    struct json *o =
        parse_ok("{\"s\":\"text\",\"z\":\"a\\u0000b\",\"n\":12,\"t\":true,\"f\":false,\"nil\":null,"
                 "\"l\":[1,[2],{\"k\":3}],\"o\":{\"k\":\"v\"},\"\":0}");
    assert_int_equal(json_kind(o), JSON_OBJECT);
    assert_true(json_is(json_get(o, "nil"), JSON_NULL));
    assert_true(json_is(json_get(o, "t"), JSON_BOOLEAN) && json_is(json_get(o, "f"), JSON_BOOLEAN));
    assert_true(json_is(json_get(o, "l"), JSON_ARRAY));
    assert_true(json_is_true(json_get(o, "t")));
    assert_false(json_is_true(json_get(o, "f")) || json_is_true(json_get(o, "n")) ||
                 json_is_true(NULL));
    assert_string_equal(json_get_c(o, "s"), "text");
    assert_null(json_get_c(o, "z"));
    assert_int_equal(json_get_text(o, "z").len, 3);
    assert_memory_equal(json_get_text(o, "z").ptr, "a\0b", 4);
    assert_null(json_get_text(o, "n").ptr);
    assert_null(json_get_text(o, "missing").ptr);
    assert_null(json_c(json_get(o, "n")));
    assert_true(str_eq_c(json_literal(json_get(o, "n")), "12"));
    assert_null(json_literal(json_get(o, "s")).ptr);
    assert_int_equal(json_get_i64(o, "n", -1), 12);
    assert_int_equal(json_get_i64(o, "s", -1), -1);
    assert_int_equal(json_get_i64(o, "missing", -1), -1);
    assert_true(json_get_bool(o, "t", false) && !json_get_bool(o, "f", true) &&
                json_get_bool(o, "n", true));
    assert_int_equal(json_count(json_get(o, "l")), 3);
    assert_int_equal(json_count(json_get(o, "s")), 0);
    assert_int_equal(json_count(NULL), 0);
    assert_true(json_is(json_at(json_get(o, "l"), 2), JSON_OBJECT));
    assert_null(json_at(json_get(o, "l"), 3));
    assert_null(json_at(o, 0));
    assert_ptr_equal(json_get_str(o, str_n("nil, and more", 3)), json_get(o, "nil"));
    assert_null(json_get_str(o, STR("s\0x")));
    assert_non_null(json_get_str(o, STR_NONE)); /* the name "" */
    assert_non_null(json_get(o, ""));
    assert_null(json_get(o, "S"));
    assert_null(json_get(o, "nilx"));
    assert_null(json_get(NULL, "a"));
    assert_null(json_get(json_get(o, "l"), "a"));
    assert_string_equal(json_name(json_first(o)), "s");
    assert_null(json_name(json_first(json_get(o, "l"))));
    assert_null(json_name(o));
    assert_null(json_first(NULL));
    assert_null(json_next(NULL));
    assert_null(json_first_mut(json_get_mut(o, "s")));
    assert_ptr_equal(json_next_mut(json_first_mut(o)), json_get(o, "z"));
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};
    for (int i = 0; i < 6; i++)
        assert_string_equal(json_kind_name((enum json_kind)i), names[i]);
    json_free(o);
    json_free(NULL);
}

static void check_equal(const char *a, const char *b, bool equal)
{
    struct json *left = parse_ok(a), *right = parse_ok(b);
    if (json_equal(left, right) != equal || json_equal(right, left) != equal)
        fail_msg("%s and %s: should be %s", a, b, equal ? "equal" : "different");
    json_free(left);
    json_free(right);
}

static void test_equal(void **state)
{
    (void)state;
    static const char *const equal[][2] = {
        {"1", "1.0"},
        {"1000", "1e3"},
        {"0.001", "1E-3"},
        {"-0", "0.000e99"},
        {"10.50", "1.05e+1"},
        {"123456789012345678901234567890", "1.2345678901234567890123456789e29"},
        {"1e400", "10e399"},
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}"},
        {"\"\\u0061\"", "\"a\""},
        {"[]", "[ ]"},
        {"1e99999999999999999999", "1e99999999999999999999"},
        {"100e-2", "1"},
    };
    static const char *const different[][2] = {
        {"1", "2"},
        {"1", "-1"},
        {"9007199254740993", "9007199254740992"},
        {"1", "\"1\""},
        {"1", "10"},
        {"true", "false"},
        {"null", "false"},
        {"[1]", "[1,1]"},
        {"[1,2]", "[2,1]"},
        {"{\"a\":1}", "{\"a\":2}"},
        {"{\"a\":1}", "{\"A\":1}"},
        {"{\"a\":1}", "{\"a\":1,\"b\":1}"},
        {"{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":2}"},
        {"\"a\\u0000b\"", "\"a\\u0000c\""},
        {"\"a\"", "\"a\\u0000\""},
        {"[]", "{}"},
        {"1e400", "1e401"},
        {"1e99999999999999999999", "1e99999999999999999998"},
        {"0", "1e-999999"},
        {"0.1", "0.1000000000000000055511151231257827"},
    };
    for (size_t i = 0; i < COUNT_OF(equal); i++)
        check_equal(equal[i][0], equal[i][1], true);
    for (size_t i = 0; i < COUNT_OF(different); i++)
        check_equal(different[i][0], different[i][1], false);
    assert_true(json_equal(NULL, NULL));
    struct json *null = json_new_null();
    assert_false(json_equal(null, NULL));
    json_free(null);
}

static void test_copy(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":[1.50,\"x\\u0000y\",{\"b\":null}],\"c\":true,\"\xc3\xa9\":\"\"}";
    struct json *o = parse_ok(text);
    struct json *copy = json_copy(o), *part = json_copy(json_get(o, "a"));
    assert_true(json_equal(o, copy));
    json_free(o);
    assert_null(json_name(part));
    json_set(copy, "a", part);
    check_text(copy, text);
    assert_null(json_copy(NULL));
}

/* The members of one object that was read: numbers, and now and then a long text. */
static struct json *read_many(int count)
{
    struct buf text = BUF_INIT(MIB(1));
    buf_add_char(&text, '{');
    for (int i = 0; i < count; i++)
        buf_addf(&text, "%s\"m%d\":[%d,\"%0*d\"]", i ? "," : "", i, i, i % 50 ? 3 : 900, i);
    buf_add_char(&text, '}');
    struct json *object = NULL;
    assert_int_equal(json_parse(buf_str(&text), &object, NULL), 0);
    buf_release(&text);
    return object;
}

static void check_one_of_many(const struct json *value, int i)
{
    char name[16];
    (void)snprintf(name, sizeof(name), "m%d", i);
    assert_string_equal(json_name(value), name);
    assert_int_equal(json_count(value), 2);
    int64_t number = -1;
    assert_true(json_to_i64(json_first(value), &number));
    assert_int_equal(number, i);
    assert_int_equal(json_str(json_at(value, 1)).len, i % 50 ? (i > 999 ? 4 : 3) : 900);
}

enum { MANY = 1500 };

static void *free_every_other(void *ctx)
{
    struct json **values = ctx;
    for (int i = 1; i < MANY; i += 2)
        json_free(values[i]);
    return NULL;
}

/* What is taken out of a tree lives on without it, and may be freed by two threads. */
static void test_parts_outlive_the_whole(void **state)
{
    (void)state;
    struct json *object = read_many(MANY), *values[MANY];
    for (int i = 0; i < MANY; i++)
        values[i] = json_take_first(object);
    json_free(object);
    for (int i = 0; i < MANY; i++)
        check_one_of_many(values[i], i);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, free_every_other, values), 0);
    for (int i = 0; i < MANY; i += 2) {
        check_one_of_many(values[i], i);
        json_free(values[i]);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_replacing(void **state)
{
    (void)state;
    for (int at = 0; at < 3; at++) {
        struct json *object = parse_ok("{\"a\":[1],\"b\":[2],\"c\":[3]}");
        char name[] = {(char)('a' + at), '\0'};
        json_set_integer(object, name, 7);
        json_set_integer(object, "d", 8); /* the last one is known */
        json_free(json_take(object, at ? "a" : "c"));
        size_t size;
        char *text = json_text(object, &size);
        static const char *const wanted[] = {"{\"a\":7,\"b\":[2],\"d\":8}",
                                             "{\"b\":7,\"c\":[3],\"d\":8}",
                                             "{\"b\":[2],\"c\":7,\"d\":8}"};
        assert_string_equal(text, wanted[at]);
        free(text);
        json_free(object);
    }
    struct json *only = parse_ok("{\"a\":1}");
    json_set_integer(only, "a", 2);
    json_set_integer(only, "b", 3);
    assert_int_equal(json_count(only), 2);
    assert_int_equal(json_get_i64(only, "b", 0), 3);
    json_free(only);
}

static void test_writing(void **state)
{
    (void)state;
    struct json *o = parse_ok("{\"a\":[1,{\"b\":[]},{}],\"c\":\"\\u0001\\u001f\\n\\\"\\\\/\x7f\"}");
    struct buf out = BUF_INIT(1024);
    json_write_pretty(&out, o);
    assert_string_equal(buf_c(&out),
                        "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    },\n    {}\n  ],\n"
                        "  \"c\": \"\\u0001\\u001f\\n\\\"\\\\/\x7f\"\n}");
    struct json *again = parse_ok(buf_c(&out));
    assert_true(json_equal(o, again));
    buf_release(&out);
    /* a buffer that is too small says so */
    struct buf small = BUF_INIT(10);
    json_write(&small, o);
    assert_true(buf_is_overflowed(&small));
    buf_release(&small);
    json_free(again);
    json_free(o);
}

static void test_write_string(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        const char *out;
    } rows[] = {
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"plain text of more than eight", 29}, "\"plain text of more than eight\""},
        {{"12345678\"", 9}, "\"12345678\\\"\""},
        {{"\0", 1}, "\"\\u0000\""},
        {{"\b\f\n\r\t\v", 6}, "\"\\b\\f\\n\\r\\t\\u000b\""},
        {{"\xc3\xa9", 2}, "\"\xc3\xa9\""},
        {{"a\xc3", 2}, "\"a\xef\xbf\xbd\""},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\x80", 1}, "\"\xef\xbf\xbd\""},
        {{"\xff\"\xff", 3}, "\"\xef\xbf\xbd\\\"\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = BUF_INIT(256);
        json_write_string(&out, rows[i].in);
        assert_string_equal(buf_c(&out), rows[i].out);
        buf_release(&out);
    }
    /* each special byte at each place of a word is seen */
    for (size_t at = 0; at < 20; at++) {
        char text[20];
        memset(text, 'x', sizeof(text));
        text[at] = '\n';
        struct buf out = BUF_INIT(256);
        json_write_string(&out, str_n(text, sizeof(text)));
        assert_int_equal(out.len, sizeof(text) + 3);
        assert_memory_equal(buf_c(&out) + 1 + at, "\\n", 2);
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_making),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_moving_parsed_values),
        cmocka_unit_test(test_take_first),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_parts_outlive_the_whole),
        cmocka_unit_test(test_replacing),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_write_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
