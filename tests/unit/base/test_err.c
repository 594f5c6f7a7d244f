/* Errors and the log. */
#include "base/err.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_set(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(err_set(&err, RN_EINVAL, "%s is wrong (%d)", "it", 3), RN_EINVAL);
    assert_int_equal(err.code, RN_EINVAL);
    assert_string_equal(err.text, "it is wrong (3)");
    assert_int_equal(err_set(&err, RN_EIO, "again: %s", err.text),
                     RN_EIO); /* its own text as an argument */
    assert_string_equal(err.text, "again: it is wrong (3)");
    assert_int_equal(err_prefix(&err, "file %d", 7), RN_EIO);
    assert_string_equal(err.text, "file 7: again: it is wrong (3)");
    assert_int_equal(err_set(NULL, RN_ERATE, "dropped"), RN_ERATE);
    assert_true(err_prefix(NULL, "dropped") < 0);
}

/* A text that is too long is cut, and never within a character. */
static void test_cut(void **state)
{
    (void)state;
    char text[ERR_TEXT_MAX * 2];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', sizeof(text));
        for (size_t i = shift; i + 4 < sizeof(text); i += 4)
            memcpy(text + i, "\xf0\x9f\x98\x80", 4);
        text[sizeof(text) - 1] = '\0';
        struct err err = ERR_INIT;
        (void)err_set(&err, RN_EINVAL, "%s", text);
        size_t length = strlen(err.text);
        assert_in_range(length, ERR_TEXT_MAX - 4, ERR_TEXT_MAX - 1);
        assert_true(utf8_is_valid(str_n(err.text, length)));
        (void)err_set(&err, RN_EINVAL, "short");
        (void)err_prefix(&err, "%s", text);
        assert_true(utf8_is_valid(str_from(err.text)));
        assert_true(str_ends(str_from(err.text), ": short"));
    }
    struct err err = ERR_INIT;
    memset(text, 'y', sizeof(text) - 1);
    (void)err_set(&err, RN_EINVAL, "%s", text);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    (void)err_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static void test_codes(void **state)
{
    (void)state;
    for (int code = 0; code >= RN_EAGAIN; code--) {
        const char *name = err_name(code);
        assert_string_not_equal(name, "RN_E?");
        assert_int_equal(err_from_name(name), code);
        assert_true(err_word(code)[0] && err_sentence(code)[0]);
        for (int other = code + 1; other <= 0; other++)
            assert_string_not_equal(err_word(code), err_word(other));
    }
    assert_string_equal(err_name(-999), "RN_E?");
    assert_int_equal(err_from_name("RN_E?"), RN_EFAILED);
    assert_int_equal(err_from_name(""), RN_EFAILED);
    assert_non_null(err_word(5));
    assert_non_null(err_sentence(5));
}

struct heard {
    int count;
    enum log_level level;
    char line[LOG_LINE_MAX + 1];
};

static void hear(void *ctx, enum log_level level, const char *line)
{
    struct heard *heard = ctx;
    heard->count++;
    heard->level = level;
    assert_true(strlen(line) <= LOG_LINE_MAX);
    memcpy(heard->line, line, strlen(line) + 1);
}

static void test_log(void **state)
{
    (void)state;
    struct heard heard = {0};
    log_set_sink(hear, &heard);
    clock_fake(1700000000123);
    log_debug("not heard");
    assert_int_equal(heard.count, 0);
    log_info("one %d", 1);
    assert_string_equal(heard.line, "2023-11-14T22:13:20.123Z info  one 1");
    struct log_at at = {.workflow = "w", .run = "run_1", .step = NULL, .component = "c"};
    log_line(LOG_ERROR, &at, "two");
    assert_int_equal(heard.level, LOG_ERROR);
    assert_string_equal(heard.line,
                        "2023-11-14T22:13:20.123Z error two workflow=w run=run_1 component=c");
    log_warn("a\nb\r\033[31m\x7f");
    assert_string_equal(heard.line, "2023-11-14T22:13:20.123Z warn  a b  [31m ");
    char *longer = xmalloc(3 * LOG_LINE_MAX);
    memset(longer, 'x', 3 * LOG_LINE_MAX);
    longer[3 * LOG_LINE_MAX - 1] = '\0';
    log_line(LOG_INFO, &at, "%s", longer);
    assert_int_equal(strlen(heard.line), LOG_LINE_MAX - 1);
    at.step = longer;
    log_line(LOG_INFO, &at, "short");
    assert_int_equal(strlen(heard.line), LOG_LINE_MAX - 1);
    free(longer);
    int before = heard.count;
    log_set_level(LOG_ERROR);
    log_warn("not heard");
    assert_int_equal(heard.count, before);
    log_set_level(LOG_DEBUG);
    log_debug("heard");
    assert_int_equal(heard.count, before + 1);
    log_set_level(LOG_INFO);
    log_set_sink(NULL, NULL);
    clock_fake(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
