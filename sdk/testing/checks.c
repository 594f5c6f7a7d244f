/* Failures, checks, and text that is handed out. */
#include "host.h"

#include <stdarg.h>

void test_fail(struct rn_test *test, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("runnel test: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    test->failures++;
}

const char *test_keep(struct rn_test *test, enum slot slot, char *text)
{
    free(test->texts[slot]);
    test->texts[slot] = text;
    return text;
}

const char *test_json(struct rn_test *test, enum slot slot, const struct json *value)
{
    return test_keep(test, slot, value ? json_text(value, NULL) : NULL);
}

struct json *test_parse(struct rn_test *test, const char *what, const char *text,
                        enum json_kind kind)
{
    struct json *value = NULL;
    struct err err = ERR_INIT;
    if (json_parse(str_from(text), &value, &err)) {
        test_fail(test, "%s: no JSON: %s: %s", what, err.text, text ? text : "(NULL)");
    } else if (!json_is(value, kind)) {
        test_fail(test, "%s: %s is no %s", what, text, json_kind_name(kind));
        json_free(value);
        value = NULL;
    }
    if (value)
        return value;
    return kind == JSON_ARRAY ? json_new_array() : json_new_object();
}

bool rn_test_check_json(struct rn_test *test, const char *file, int line, const char *what,
                        const char *actual, const char *expected)
{
    struct json *is = NULL, *wanted = NULL;
    struct err err = ERR_INIT;
    bool holds = false;
    if (json_parse(str_from(expected), &wanted, &err))
        test_fail(test, "%s:%d: what is expected of %s is no JSON: %s", file, line, what, err.text);
    else if (!actual)
        test_fail(test, "%s:%d: %s is NULL, expected %s", file, line, what, expected);
    else if (json_parse(str_from(actual), &is, &err))
        test_fail(test, "%s:%d: %s is no JSON (%s): %s", file, line, what, err.text, actual);
    else if (!json_equal(is, wanted))
        test_fail(test, "%s:%d: %s is\n  %s\nexpected\n  %s", file, line, what, actual, expected);
    else
        holds = true;
    json_free(is);
    json_free(wanted);
    return holds;
}

bool rn_test_check_code(struct rn_test *test, const char *file, int line, const char *what,
                        int32_t actual, int32_t expected)
{
    if (actual == expected)
        return true;
    const char *why = rn_test_error(test);
    test_fail(test, "%s:%d: %s gave %s, expected %s%s%s", file, line, what, err_name(actual),
              err_name(expected), why[0] ? ": " : "", why);
    return false;
}

bool rn_test_check_contains(struct rn_test *test, const char *file, int line, const char *what,
                            const char *actual, const char *part)
{
    if (actual && strstr(actual, part))
        return true;
    test_fail(test, "%s:%d: %s is \"%s\", without \"%s\"", file, line, what,
              actual ? actual : "(NULL)", part);
    return false;
}

bool rn_test_check_true(struct rn_test *test, const char *file, int line, const char *what,
                        bool is_true)
{
    if (!is_true)
        test_fail(test, "%s:%d: not true: %s", file, line, what);
    return is_true;
}
