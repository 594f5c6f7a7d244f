/* Form bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plugin/form.h"

static void expect(struct json *value, const char *wanted)
{
    assert_non_null(value);
    char *text = json_text(value, NULL);
    assert_string_equal(text, wanted);
    free(text);
    json_free(value);
}

static void urlencoded(void **state)
{
    (void)state;
    expect(form_parse(STR("")), "{}");
    expect(form_parse(STR("a=1&b=x+y&c=%C3%A9&d=&e")),
           "{\"a\":\"1\",\"b\":\"x y\",\"c\":\"é\",\"d\":\"\",\"e\":\"\"}");
    expect(form_parse(STR("t=1&t=2&t=3&u=4")), "{\"t\":[\"1\",\"2\",\"3\"],\"u\":\"4\"}");
    expect(form_parse(STR("bad=%zz&&=x")), "{\"bad\":\"%zz\",\"\":\"x\"}");
}

#define TYPE STR("multipart/form-data; charset=utf-8; boundary=\"XyZ\"")

static void multipart(void **state)
{
    (void)state;
    expect(
        form_parse_multipart(
            TYPE, STR("--XyZ\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--XyZ\r\n"
                      "content-disposition: form-data; name=f; filename=\"x.txt\"\r\nContent-Type: "
                      "text/plain\r\n\r\nhi\r\n"
                      "--XyZ--\r\n")),
        "{\"a\":\"one\",\"f\":{\"filename\":\"x.txt\",\"mimetype\":\"text/"
        "plain\",\"data\":\"aGk=\"}}");
}

static void broken_multipart_is_none(void **state)
{
    (void)state;
    assert_null(form_parse_multipart(TYPE, STR("")));
    assert_null(form_parse_multipart(TYPE, STR("--XyZ")));
    assert_null(form_parse_multipart(
        TYPE, STR("--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\none")));
    assert_null(form_parse_multipart(TYPE, STR("--XyZ\r\n\r\n--XyZ--")));
    assert_null(form_parse_multipart(STR("multipart/form-data"), STR("--XyZ--")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urlencoded),
        cmocka_unit_test(multipart),
        cmocka_unit_test(broken_multipart_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
