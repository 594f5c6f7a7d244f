/* Multipart bodies as browsers and curl send them, and ones that are not whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "net/http_multipart.h"

static int gather(void *ctx, const struct http_part *part)
{
    struct buf *out = ctx;
    buf_addf(out, "[" STR_FMT "|" STR_FMT "|" STR_FMT "|%zu|", STR_ARG(part->name),
             STR_ARG(part->filename), STR_ARG(part->content_type), part->data.len);
    buf_add_str(out, part->data);
    buf_add_char(out, ']');
    return 0;
}

static void check(const char *type, struct str body, struct str expected)
{
    struct buf out = BUF_INIT(KIB(64));
    struct err err = ERR_INIT;
    if (http_multipart_parse(str_from(type), body, gather, &out, &err))
        fail_msg("%s", err.text);
    if (!str_eq(buf_str(&out), expected))
        fail_msg("%s", buf_c(&out));
    buf_release(&out);
}

static void test_parts(void **state)
{
    (void)state;
    check("multipart/form-data; boundary=b",
          STR("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n"
              "--b\r\ncontent-disposition: form-data; name=\"f\"; filename=\"x y.bin\"\r\n"
              "Content-Type: image/png\r\n\r\n\0\x01\r\n--\r\n\xff\r\n--b--\r\n"),
          STR("[a|||3|one][f|x y.bin|image/png|9|\0\x01\r\n--\r\n\xff]"));
    check("multipart/form-data; charset=utf-8; boundary=\"--=_x\"",
          STR("preamble\r\n----=_x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n----=_x--"),
          STR("[a|||0|]"));
    check("multipart/form-data; boundary=b",
          STR("--b  \r\nContent-Disposition: form-data; name=\"a;b=c\"; "
              "filename=\"\"\r\n\r\nx\r\n--b--"),
          STR("[a;b=c|||1|x]"));
    check("multipart/form-data; boundary=b", STR("--b--\r\n"), STR(""));
    /* a part that begins with what looks like a boundary's start */
    check("multipart/form-data; boundary=bb",
          STR("--bb\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--b\r\n--b\r\n--bb--"),
          STR("[a|||8|--b\r\n--b]"));
}

static void test_broken(void **state)
{
    static const char *const bodies[] = {
        "",
        "--b",
        "--b\r\n",
        "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none",
        "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--b",
        "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n--b--",
        "--b\r\n\r\none\r\n--b--",
        "--b\r\nContent-Disposition: form-data\r\n\r\none\r\n--b--",
        "--b\r\nContent-Disposition: form-data; name=\"a\r\n\r\none\r\n--b--",
        "--b\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\none\r\n--b--",
        "--c\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--c--",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        struct buf out = BUF_INIT(KIB(64));
        struct err err = ERR_INIT;
        if (http_multipart_parse(STR("multipart/form-data; boundary=b"), str_from(bodies[i]),
                                 gather, &out, &err) != RN_EINVAL)
            fail_msg("body %zu was taken", i);
        buf_release(&out);
    }
    struct err err = ERR_INIT;
    assert_int_equal(
        http_multipart_parse(STR("multipart/form-data"), STR("--\r\n"), gather, NULL, &err),
        RN_EINVAL);
    struct buf many = BUF_INIT(MIB(1)), out = BUF_INIT(MIB(1));
    for (int i = 0; i <= LIMIT_MULTIPART_PARTS; i++)
        buf_add_c(&many, "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n");
    buf_add_c(&many, "--b--");
    assert_int_equal(http_multipart_parse(STR("multipart/form-data; boundary=b"), buf_str(&many),
                                          gather, &out, &err),
                     RN_ETOOBIG);
    buf_release(&many);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts), cmocka_unit_test(test_broken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
