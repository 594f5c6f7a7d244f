/* What the reader takes, what it refuses, and what it says about it. */
#include "json/json.h"

#include "base/limits.h"

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

static void check_refused(struct str text, int code, const char *message)
{
    struct json *value = NULL;
    struct err err = ERR_INIT;
    int rc = json_parse(text, &value, &err);
    if (rc == 0)
        fail_msg("taken, but should be refused: " STR_FMT, STR_ARG(text));
    assert_null(value);
    assert_int_equal(rc, code);
    assert_int_equal(err.code, code);
    if (message)
        assert_string_equal(err.text, message);
    struct err checked = ERR_INIT;
    assert_int_equal(json_check(text, &checked), code);
    assert_string_equal(checked.text, err.text);
}

/* Text in, the same compact text out. */
static void check_same(const char *text)
{
    struct json *value = parse_ok(text);
    size_t size = 0;
    char *written = json_text(value, &size);
    assert_string_equal(written, text);
    assert_int_equal(size, strlen(text));
    assert_int_equal(json_check(str_from(text), NULL), 0);
    free(written);
    json_free(value);
}

static void test_accepts(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1",
        "0.5",
        "1e5",
        "1E+5",
        "1e-5",
        "-12.50e07",
        "\"\"",
        "\"a\"",
        "[]",
        "{}",
        "[[],[[]],{}]",
        "{\"a\":1,\"A\":2,\"\":3}",
        "[1,2,3]",
        "\"\\u0000\"",
        "\"x\\u0000y\"",
        "\"\\\"\\\\\\b\\f\\n\\r\\t\"",
        "\"\\u001f\"",
        "\"\x7f\"",
        "\"/\"",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
        "\"\xe2\x80\xa8\"",
        "{\"\xc3\xa9\":\"\xef\xbf\xbf\"}",
        "9007199254740993",
        "1161888007138312192",
        "1234567890123460",
        "1e400",
        "-1e-400",
        "0.1000000000000000055511151231257827",
        "18446744073709551616",
        "12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "0",
        "{\"a\":{\"b\":[{\"c\":null}]}}",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        check_same(texts[i]);
}

static void test_canonical_text(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {" \t\r\n[ 1 , 2 ]\n", "[1,2]"},
        {"{ \"a\" : { } , \"b\" : [ ] }", "{\"a\":{},\"b\":[]}"},
        {"\"\\u0041\\/\\u00e9\\u20AC\\ud83d\\uDE00\"",
         "\"A/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\"\\u000a\\u0008\"", "\"\\n\\b\""},
        {"{\"\\u0061\":1}", "{\"a\":1}"},
        {"\"\\\\u0000\"", "\"\\\\u0000\""},
        {"{\"\\\\u0000\":1}", "{\"\\\\u0000\":1}"},
        {"\"\\uFFFF\\uD7FF\\uE000\"", "\"\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80\""},
        {"\"\\udbff\\udfff\"", "\"\xf4\x8f\xbf\xbf\""},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct json *value = parse_ok(pairs[i][0]);
        char *text = json_text(value, NULL);
        assert_string_equal(text, pairs[i][1]);
        free(text);
        json_free(value);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "\n\n",
        "nul",
        "nulll",
        "True",
        "tru",
        "NaN",
        "Infinity",
        "-Infinity",
        "undefined",
        "'a'",
        "a",
        "007",
        "00",
        "-01",
        "01",
        "+1",
        "-",
        "--1",
        ".5",
        "1.",
        "1.e1",
        "-.5",
        "1e",
        "1e+",
        "1e-",
        "0x10",
        "1_0",
        "1 2",
        "1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "[",
        "]",
        "[}",
        "{]",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{1:2}",
        "{\"a\"::1}",
        "{\"a\":1} xyz",
        "{\"a\":1}{\"b\":2}",
        "[]]",
        "null null",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\",
        "\"\\x\"",
        "\"\\a\"",
        "\"\\'\"",
        "\"\\0\"",
        "\"\\u\"",
        "\"\\u12\"",
        "\"\\u12G4\"",
        "\"\\U0041\"",
        "\"a\nb\"",
        "\"a\tb\"",
        "\"\x01\"",
        "\"\x1f\"",
        "// c\n1",
        "/* c */1",
        "1 // c",
        "[1,2,,3]",
        "\xef\xbb\xbf{}",
        "\xc2\xa0"
        "1",
        "\f1",
        "\v1",
        /* UTF-8: stray continuation, overlong, surrogate, too high, cut */
        "\"\x80\"",
        "\"\xc0\x80\"",
        "\"\xc1\xbf\"",
        "\"\xe0\x80\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "\"\xff\"",
        "\"\xc3\"",
        "\"\xe2\x82\"",
        "\"\xf0\x9f\x98\"",
        "{\"\x80\":1}",
        "\x80",
        /* surrogates that stand alone */
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\ud800\"",
        "\"\\ud800x\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\u0041\"",
        "\"\\udbff\\ue000\"",
        "{\"\\ud800\":1}",
        /* names */
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"a\\u0000b\":1}",
        "{\"\\u0000\":1}",
        "{\"\\\\\\u0000\":1}",
        "{\"\":1,\"\":1}",
        "[{\"x\":{\"a\":1,\"b\":2,\"a\":1}}]",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        check_refused(str_from(texts[i]), RN_EPROTOCOL, NULL);
    check_refused(STR("\"a\0b\""), RN_EPROTOCOL, NULL);
    check_refused(STR("{\"a\0b\":1}"), RN_EPROTOCOL, NULL);
    check_refused(STR("1\0"), RN_EPROTOCOL, NULL);
    check_refused(STR_NONE, RN_EPROTOCOL, NULL);
}

static void test_messages(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"{\n  \"a\": 1,\n  \"b\": 2, \"a\": 3}",
         "line 3, column 11: the name \"a\" is there twice"},
        {"{\"\\u0000\":1}", "line 1, column 2: a name with U+0000 is not taken"},
        {"[1,]", "line 1, column 4: there should be a value, not ]"},
        {"[1",
         "line 1, column 3: the text ends where there should be a comma or the end of the array"},
        {"{\"a\" 1}", "line 1, column 6: there should be a colon, not 1"},
        {"\"\xc3\xa9\xc3\xa9\\q\"",
         "line 1, column 4: a backslash with what JSON has no escape for"},
        {"007", "line 1, column 2: a number does not start with 0"},
        {"{\"a\":1} x", "line 1, column 9: there should be nothing more behind the value, not x"},
        {"\n\"a\tb\"", "line 2, column 3: a control character (0x09) in a string must be escaped"},
        {"\"\\ud800\"", "line 1, column 2: half of a surrogate pair stands for no character"},
        {"[nil]", "line 1, column 2: there should be a value: did you mean null?"},
        {"\"\xff\"", "line 1, column 2: the byte 0xFF is not UTF-8 here"},
        {"", "line 1, column 1: the text ends where there should be a value"},
        {" \"abc", "line 1, column 2: the string does not end"},
        {"\xef\xbb\xbf{}", "line 1, column 1: a byte order mark stands before the value"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_refused(str_from(rows[i][0]), RN_EPROTOCOL, rows[i][1]);
}

static void nest(struct buf *text, int depth, const char *open, const char *close)
{
    buf_clear(text);
    for (int i = 0; i < depth; i++)
        buf_add_c(text, open);
    buf_add_c(text, "1");
    for (int i = 0; i < depth; i++)
        buf_add_c(text, close);
}

static void test_depth(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"[", "]"}, {"{\"a\":", "}"}};
    struct buf text = BUF_INIT(MIB(4));
    struct json *value = NULL;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        nest(&text, LIMIT_JSON_DEPTH, pairs[i][0], pairs[i][1]);
        assert_int_equal(json_parse(buf_str(&text), &value, NULL), 0);
        char *again = json_text(value, NULL);
        assert_string_equal(again, buf_c(&text));
        free(again);
        json_free(value);
        nest(&text, LIMIT_JSON_DEPTH + 1, pairs[i][0], pairs[i][1]);
        check_refused(buf_str(&text), RN_ETOOBIG, NULL);
        /* what runnel has wrapped itself still goes through */
        assert_int_equal(json_parse_own(buf_str(&text), &value, NULL), 0);
        json_free(value);
    }
    nest(&text, 100000, "[", "]");
    check_refused(buf_str(&text), RN_ETOOBIG,
                  "line 1, column 257: arrays and objects nest deeper than 256");
    nest(&text, 1, "[[],[[]],", "]"); /* siblings do not add up */
    value = NULL;
    assert_int_equal(json_parse(buf_str(&text), &value, NULL), 0);
    json_free(value);
    buf_release(&text);
}

static void test_nodes(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(MIB(16));
    buf_add_c(&text, "[0");
    for (size_t i = 2; i < LIMIT_JSON_NODES; i++) /* the array is one too */
        buf_add(&text, ",0", 2);
    size_t size = text.len;
    buf_add_c(&text, "]");
    assert_int_equal(json_check(buf_str(&text), NULL), 0);
    text.len = size;
    buf_add_c(&text, ",0]");
    assert_int_equal(json_check(buf_str(&text), NULL), RN_ETOOBIG);
    buf_release(&text);
}

static void test_bytes(void **state)
{
    (void)state;
    char *text = xmalloc(LIMIT_JSON_BYTES + 1);
    memset(text, ' ', LIMIT_JSON_BYTES + 1);
    text[0] = '1';
    assert_int_equal(json_check(str_n(text, LIMIT_JSON_BYTES), NULL), 0);
    struct err err = ERR_INIT;
    assert_int_equal(json_check(str_n(text, LIMIT_JSON_BYTES + 1), &err), RN_ETOOBIG);
    assert_string_equal(
        err.text, "line 1, column 1: the text has 67108865 bytes; at most 67108864 are taken");
    free(text);
}

static void add_members(struct buf *text, int count)
{
    buf_clear(text);
    buf_add_c(text, "{");
    for (int i = 0; i < count; i++)
        buf_addf(text, "%s\"name%d\":%d", i ? "," : "", i, i);
}

/* Around the border between the two ways of looking for duplicates, and far beyond it. */
static void test_duplicates_in_large_objects(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(MIB(16));
    static const int counts[] = {14, 15, 16, 17, 1000, 200000};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        add_members(&text, counts[i]);
        size_t size = text.len;
        buf_add_c(&text, "}");
        assert_int_equal(json_check(buf_str(&text), NULL), 0);
        text.len = size;
        buf_addf(&text, ",\"name%d\":0,\"name3\":1}", counts[i] - 1);
        struct err err = ERR_INIT;
        char expected[128];
        (void)snprintf(expected, sizeof(expected),
                       "line 1, column %zu: the name \"name%d\" is there twice", size + 2,
                       counts[i] - 1);
        assert_int_equal(json_check(buf_str(&text), &err), RN_EPROTOCOL);
        assert_string_equal(err.text, expected);
    }
    buf_release(&text);
}

/* Torture: no beginning of a document is a document, and none leaks or reads past its end (each is
 * a block of its own, so that the address sanitizer sees it). */
static void test_every_prefix(void **state)
{
    (void)state;
    static const char *const documents[] = {
        "{\"a\":[1,-2.5e+10,true,false,null,\"x\\u0000\\ud83d\\ude00\xe2\x82\xac\"],\"b\":{\"c\":{}"
        ",\"d\":[[]]}}",
        "[\"\\\\\",{\"n\\\"\":\"\\t\",\"m\":0},[[[\"deep\"]]],1e5]",
        "\"\xf0\x9f\x98\x80\\ud83d\\ude00\"",
    };
    for (size_t d = 0; d < COUNT_OF(documents); d++) {
        size_t size = strlen(documents[d]);
        for (size_t n = 0; n <= size; n++) {
            char *block = xmalloc(n ? n : 1);
            memcpy(block, documents[d], n);
            struct json *value = NULL;
            int rc = json_parse(str_n(block, n), &value, NULL);
            assert_int_equal(rc, n == size ? 0 : RN_EPROTOCOL);
            assert_int_equal(json_check(str_n(block, n), NULL), rc);
            json_free(value);
            free(block);
        }
    }
}

/* Each byte of a document changed to each other byte: taken or refused, and what is taken comes out
 * again as it went in. */
static void test_every_change(void **state)
{
    (void)state;
    static const char document[] = "{\"a\":[1,\"\\u00e9\"],\"b\":-0.5e1}";
    char text[sizeof(document)];
    for (size_t i = 0; i < sizeof(document) - 1; i++) {
        for (int c = 0; c < 256; c++) {
            memcpy(text, document, sizeof(document));
            text[i] = (char)c;
            struct json *value = NULL, *again = NULL;
            int rc = json_parse(str_n(text, sizeof(text) - 1), &value, NULL);
            assert_int_equal(json_check(str_n(text, sizeof(text) - 1), NULL), rc);
            if (rc)
                continue;
            size_t size;
            char *written = json_text(value, &size);
            assert_int_equal(json_parse(str_n(written, size), &again, NULL), 0);
            assert_true(json_equal(value, again));
            json_free(value);
            json_free(again);
            free(written);
        }
    }
}

static void check_span(const char *text, size_t index, int rc, const char *expected)
{
    size_t offset = 0, size = 0;
    assert_int_equal(json_element_span(str_from(text), index, &offset, &size), rc);
    if (rc)
        return;
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(text + offset, expected, size);
}

static void test_element_span(void **state)
{
    (void)state;
    check_span("[{\"cool\":false},{\"cool\":true}]", 0, 0, "{\"cool\":false}");
    check_span("[{\"cool\":false},{\"cool\":true}]", 1, 0, "{\"cool\":true}");
    check_span("[{\"cool\":false},{\"cool\":true}]", 2, RN_ENOTFOUND, NULL);
    check_span(" [ 1.0 , \"a,]\" ]", 0, 0, "1.0");
    check_span(" [ 1.0 , \"a,]\" ]", 1, 0, "\"a,]\"");
    check_span("[]", 0, RN_ENOTFOUND, NULL);
    check_span("{\"a\":1}", 0, RN_EINVAL, NULL);
    check_span("1", 0, RN_EINVAL, NULL);
    check_span("", 0, RN_EINVAL, NULL);
    check_span("[1", 0, 0, "1");
    check_span("[1,oops", 0, 0, "1");
    check_span("[1,oops", 1, RN_EPROTOCOL, NULL);
    check_span("[oops", 0, RN_EPROTOCOL, NULL);
    check_span("[1", 1, RN_EPROTOCOL, NULL);
    check_span("[1 2]", 1, RN_EPROTOCOL, NULL);
    check_span("[{\"a\":1,\"a\":2}]", 0, RN_EPROTOCOL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),      cmocka_unit_test(test_canonical_text),
        cmocka_unit_test(test_refuses),      cmocka_unit_test(test_messages),
        cmocka_unit_test(test_depth),        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_bytes),        cmocka_unit_test(test_duplicates_in_large_objects),
        cmocka_unit_test(test_every_prefix), cmocka_unit_test(test_every_change),
        cmocka_unit_test(test_element_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
