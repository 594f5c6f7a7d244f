/* Secrets in every form in which they get into text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/encode.h"
#include "base/redact.h"

static const struct str secrets[] = {
    {"s3cr3t/\"key\"+x", 14},
    {"short", 5},
    {"abcdefgh", 8},
    {"efghijkl", 8},
};

static void expect(struct str text, const char *wanted)
{
    struct buf out = BUF_INIT(4096);
    redact_text(&out, text, secrets, COUNT_OF(secrets));
    assert_string_equal(buf_c(&out), wanted);
    bool is_changed = !str_eq_c(text, wanted);
    assert_true(redact_is_needed(text, secrets, COUNT_OF(secrets)) == is_changed);
    buf_release(&out);
}

static void as_it_is_and_escaped(void **state)
{
    (void)state;
    expect(STR("nothing to see"), "nothing to see");
    expect(STR(""), "");
    expect(STR("a s3cr3t/\"key\"+x b s3cr3t/\"key\"+x"), "a [redacted] b [redacted]");
    expect(STR("{\"k\":\"s3cr3t/\\\"key\\\"+x\"}"), "{\"k\":\"[redacted]\"}");
    expect(STR("?k=s3cr3t%2F%22key%22%2Bx&z"), "?k=[redacted]&z");
    expect(STR("short ones stay"), "short ones stay");
}

static void overlapping_secrets_go_whole(void **state)
{
    (void)state;
    expect(STR("-abcdefghijkl-"), "-[redacted]-");
}

/* Basic credentials put the secret at any place of a group of three bytes. */
static void in_base64(void **state)
{
    (void)state;
    static const char *const before[] = {"", "u", "us", "usr:", "user:"};
    for (size_t i = 0; i < COUNT_OF(before); i++) {
        for (int url = 0; url < 2; url++) {
            struct buf plain = BUF_INIT(256), coded = BUF_INIT(256), out = BUF_INIT(256);
            buf_addf(&plain, "%s%.*s!", before[i], (int)secrets[0].len, secrets[0].ptr);
            encode_base64(&coded, plain.ptr, plain.len, url != 0);
            redact_text(&out, buf_str(&coded), secrets, 1);
            assert_true(strstr(buf_c(&out), REDACTED) != NULL);
            /* What is left decodes to nothing of the secret but, at most, bits of its ends. */
            assert_true(out.len < strlen(REDACTED) + 14);
            buf_release(&plain);
            buf_release(&coded);
            buf_release(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_it_is_and_escaped),
        cmocka_unit_test(overlapping_secrets_go_whole),
        cmocka_unit_test(in_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
