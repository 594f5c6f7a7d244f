/* The languages' names, and what a bash step exports. */
#include "code/bash.h"
#include "code/code.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void languages_have_pipedreams_names_too(void **state)
{
    static const struct {
        const char *text;
        enum code_language language;
    } good[] = {{"node", CODE_NODE},      {"nodejs20.x", CODE_NODE},   {"python", CODE_PYTHON},
                {"python3", CODE_PYTHON}, {"python3.12", CODE_PYTHON}, {"bash", CODE_BASH}};
    enum code_language language;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_true(code_language_parse(good[i].text, &language));
        assert_int_equal(language, good[i].language);
    }
    assert_false(code_language_parse("perl", &language));
    assert_false(code_language_parse("", &language));
    assert_false(code_language_parse("golang1.21", &language));
}

static void check_exports(const char *text, const char *expected)
{
    struct buf out = BUF_INIT(KIB(64));
    struct err err = ERR_INIT;
    assert_int_equal(bash_exports_parse(str_from(text), &out, &err), 0);
    assert_string_equal(buf_c(&out), expected);
    buf_release(&out);
}

static void exports_are_lines(void **state)
{
    (void)state;
    check_exports("", "{}");
    check_exports("\n\na=1\n", "{\"a\":\"1\"}");
    check_exports("a= b = c \nurl=x:json=1", "{\"a\":\" b = c \",\"url\":\"x:json=1\"}");
    check_exports("a=1\nb=2\na=3\n", "{\"a\":\"3\",\"b\":\"2\"}");
    check_exports("a:json={\"id\":9007199254740993,\"x\":1.10}\n",
                  "{\"a\":{\"id\":9007199254740993,\"x\":1.10}}");
    check_exports("$return_value:json=[1]\n", "{\"$return_value\":[1]}");
}

static void check_refused(const char *text, const char *words)
{
    struct buf out = BUF_INIT(KIB(64));
    struct err err = ERR_INIT;
    assert_int_equal(bash_exports_parse(str_from(text), &out, &err), RN_EINVAL);
    assert_non_null(strstr(err.text, words));
    buf_release(&out);
}

static void wrong_lines_are_named(void **state)
{
    (void)state;
    check_refused("a=1\nb:json={\n", "line 2 of $PIPEDREAM_EXPORTS is not JSON");
    check_refused("a=1\n\nsecond line\n", "line 3 of $PIPEDREAM_EXPORTS is neither");
    check_refused("=1\n", "line 1 ");
    check_refused("a b=1\n", "line 1 ");
    check_refused("a=\xff\n", "not UTF-8");
    check_refused(":json=1\n", "line 1 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(languages_have_pipedreams_names_too),
        cmocka_unit_test(exports_are_lines),
        cmocka_unit_test(wrong_lines_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
