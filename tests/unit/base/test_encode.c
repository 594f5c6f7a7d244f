/* Hexadecimal, base64 (RFC 4648's vectors), percent-encoding. */
#include "base/encode.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_hex(void **state)
{
    (void)state;
    char text[9];
    unsigned char bytes[4];
    encode_hex("\x00\x0f\xab\xff", 4, text);
    assert_string_equal(text, "000fabff");
    encode_hex("", 0, text);
    assert_string_equal(text, "");
    assert_int_equal(decode_hex(STR("000fABff"), bytes), 0);
    assert_memory_equal(bytes, "\x00\x0f\xab\xff", 4);
    assert_int_equal(decode_hex(STR(""), bytes), 0);
    static const char *const bad[] = {"0", "000", "0g", "g0", " 0", "0x", "-1", "\xff\xff"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(decode_hex(str_from(bad[i]), bytes), RN_EINVAL);
    assert_int_equal(decode_hex(STR("0\0"), bytes), RN_EINVAL);
}

static void check_base64(struct str plain, const char *standard, const char *url)
{
    struct buf out = BUF_INIT(256);
    encode_base64(&out, plain.ptr, plain.len, false);
    assert_string_equal(buf_c(&out), standard);
    buf_clear(&out);
    encode_base64(&out, plain.ptr, plain.len, true);
    assert_string_equal(buf_c(&out), url);
    const char *const texts[] = {standard, url};
    for (size_t i = 0; i < 2; i++) {
        buf_clear(&out);
        assert_int_equal(decode_base64(&out, str_from(texts[i])), 0);
        assert_true(str_eq(buf_str(&out), plain));
    }
    buf_release(&out);
}

static void test_base64(void **state)
{
    (void)state;
    check_base64(STR(""), "", "");
    check_base64(STR("f"), "Zg==", "Zg");
    check_base64(STR("fo"), "Zm8=", "Zm8");
    check_base64(STR("foo"), "Zm9v", "Zm9v");
    check_base64(STR("foob"), "Zm9vYg==", "Zm9vYg");
    check_base64(STR("fooba"), "Zm9vYmE=", "Zm9vYmE");
    check_base64(STR("foobar"), "Zm9vYmFy", "Zm9vYmFy");
    check_base64(STR("\xfb\xff\xfe\0"), "+//+AA==", "-__-AA");
    static const char *const bad[] = {"A",    "AAAAA", "Zg=",      "Zg===", "Z===",
                                      "====", "=",     "Zm9v====", "Zm 9v", "Zm9v\n",
                                      "Zh==", "Zm9=",  "Zg==Zg==", "Z*9v",  "Zm=v"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct buf out = BUF_INIT(256);
        if (decode_base64(&out, str_from(bad[i])) != RN_EINVAL)
            fail_msg("%s was taken", bad[i]);
        buf_release(&out);
    }
    struct buf out = BUF_INIT(256);
    assert_int_equal(decode_base64(&out, STR("AA\0A")), RN_EINVAL);
    buf_release(&out);
    struct buf small = BUF_INIT(3);
    encode_base64(&small, "abc", 3, false);
    assert_true(buf_is_overflowed(&small));
    buf_release(&small);
}

static void check_percent(struct str text, bool form, int rc, struct str expected)
{
    struct buf out = BUF_INIT(256);
    assert_int_equal(decode_percent(&out, text, form), rc);
    if (rc == 0)
        assert_true(str_eq(buf_str(&out), expected));
    buf_release(&out);
}

static void test_percent(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(256);
    encode_percent(&out, STR("aZ09-._~ /?&=+%\xc3\xa9\0"));
    assert_string_equal(buf_c(&out), "aZ09-._~%20%2F%3F%26%3D%2B%25%C3%A9%00");
    buf_release(&out);
    check_percent(STR("a%20b%2fc+d"), false, 0, STR("a b/c+d"));
    check_percent(STR("a+b%2B"), true, 0, STR("a b+"));
    check_percent(STR("%00"), false, 0, STR("\0"));
    check_percent(STR(""), false, 0, STR(""));
    check_percent(STR("%"), false, RN_EINVAL, STR_NONE);
    check_percent(STR("%2"), false, RN_EINVAL, STR_NONE);
    check_percent(STR("%zz"), false, RN_EINVAL, STR_NONE);
    check_percent(STR("abc%4"), true, RN_EINVAL, STR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_percent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
