/* The helper_functions plugin: what comes into the run's folder, and what of it comes out. */
#include "component_test.h"

#define DOWNLOAD "helper_functions-download-file-to-tmp"
#define CSV "helper_functions-csv-file-to-objects"

static void a_url_is_saved(void **state)
{
    (void)state;
    struct rn_test *t = start();
    char expected[256];
    rn_test_set_props(
        t, "{\"url\":\"https://files.test/a/report.csv?x=/y#z\",\"headers\":{\"x-key\":\"k\"}}");
    static const struct rn_pair headers[] = {{"x-key", "k"}};
    rn_test_expect(t, &(struct rn_test_exchange){.method = "GET",
                                                 .url = "https://files.test/a/report.csv?x=/y",
                                                 .headers = headers,
                                                 .header_count = 1,
                                                 .answer = "a,b\n1,2\n"});
    RN_TEST_OK(t, rn_test_action(t, DOWNLOAD));
    (void)snprintf(expected, sizeof(expected), "[\"report.csv\",\"%s/report.csv\"]",
                   rn_test_dir(t));
    RN_TEST_JSON(t, rn_test_export(t, "$return_value"), expected);
    RN_TEST_JSON(t, rn_test_export(t, "$summary"), "\"Saved report.csv (8 bytes)\"");
    assert_string_equal(rn_test_file(t, "report.csv"), "a,b\n1,2\n");
    finish(t);
}

static void an_upload_is_saved(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_set_props(t,
                      "{\"url\":\"{\\\"filename\\\":\\\"C:\\\\\\\\my docs\\\\\\\\a.txt\\\","
                      "\\\"mimetype\\\":\\\"text/plain\\\",\\\"$base64\\\":\\\"aGVsbG8=\\\"}\"}");
    RN_TEST_OK(t, rn_test_action(t, DOWNLOAD));
    assert_string_equal(rn_test_file(t, "a.txt"), "hello");
    rn_test_set_prop(t, "filename", "\"/tmp/in/b.txt\"");
    RN_TEST_OK(t, rn_test_action(t, DOWNLOAD));
    assert_string_equal(rn_test_file(t, "in/b.txt"), "hello");
    rn_test_set_prop(t, "url", "\"{\\\"no\\\":1}\"");
    RN_TEST_CODE(t, rn_test_action(t, DOWNLOAD), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "neither a URL nor a file of an event");
    finish(t);
}

static void names_that_leave_are_refused(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_set_props(t, "{\"url\":\"{\\\"$base64\\\":\\\"aGVsbG8=\\\"}\",\"filename\":\"../x\"}");
    RN_TEST_CODE(t, rn_test_action(t, DOWNLOAD), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "\"../x\" is no file of this run");
    rn_test_set_prop(t, "filename", "\"/etc/passwd\"");
    RN_TEST_CODE(t, rn_test_action(t, DOWNLOAD), RN_EINVAL);
    rn_test_set_prop(t, "filename", NULL);
    RN_TEST_CODE(t, rn_test_action(t, DOWNLOAD), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "set `filename`");
    rn_test_set_props(t, "{\"url\":\"https://files.test/\"}"); /* no name in the path */
    rn_test_expect_json(t, "GET", "https://files.test/", NULL, 200, "x");
    RN_TEST_CODE(t, rn_test_action(t, DOWNLOAD), RN_EINVAL);
    rn_test_set_props(t, "{\"url\":\"https://files.test/gone.txt\"}");
    rn_test_expect_json(t, "GET", "https://files.test/gone.txt", NULL, 404, "no");
    RN_TEST_CODE(t, rn_test_action(t, DOWNLOAD), RN_EHTTP);
    finish(t);
}

struct sample {
    const char *text, *props, *records; /* records NULL: `error` */
    const char *error;
};

static void csv_files_are_read(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"a,b\n1,2\n", "", "[[\"a\",\"b\"],[\"1\",\"2\"]]", NULL},
        {"a,b\r\n1,2\r\n3,4", ",\"hasHeaders\":true",
         "[{\"a\":\"1\",\"b\":\"2\"},{\"a\":\"3\",\"b\":\"4\"}]", NULL},
        {"\xEF\xBB\xBFname\n\"say \"\"hi\"\", you\"\n", ",\"hasHeaders\":true",
         "[{\"name\":\"say \\\"hi\\\", you\"}]", NULL},
        {"\"a\nb\",\n\n", "", "[[\"a\\nb\",\"\"]]", NULL},
        {"", "", "[]", NULL},
        {"a\n\nb\n", ",\"skipEmptyLines\":false", "[[\"a\"],[\"\"],[\"b\"]]", NULL},
        {"a,b\n,\n1,2\n", ",\"skipRecordsWithEmptyValues\":true", "[[\"a\",\"b\"],[\"1\",\"2\"]]",
         NULL},
        {"a,b\n1\n", "", NULL, "line 2 of the file: it has another number of fields"},
        {"a,b\n1\n3,4\n", ",\"skipRecordsWithError\":true", "[[\"a\",\"b\"],[\"3\",\"4\"]]", NULL},
        {"\"a\n\nb\",c\nx\"y,z\n", "", NULL, "line 4 of the file: there is a quote inside"},
        {"\"a\"b,c\n", "", NULL, "line 1 of the file: there is text behind a closing quote"},
        {"a,\"b\n", "", NULL, "line 1 of the file: a quote is not closed"},
        {"a,\xE4\n", "", NULL, "line 1 of the file: it is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct rn_test *t = start();
        char props[256];
        (void)snprintf(props, sizeof(props), "{\"filePath\":\"/tmp/x.csv\"%s}", samples[i].props);
        rn_test_set_props(t, props);
        rn_test_set_file(t, "x.csv", samples[i].text, strlen(samples[i].text));
        if (samples[i].records) {
            RN_TEST_OK(t, rn_test_action(t, CSV));
            RN_TEST_JSON(t, rn_test_export(t, "$return_value"), samples[i].records);
        } else {
            RN_TEST_CODE(t, rn_test_action(t, CSV), RN_EINVAL);
            RN_TEST_CONTAINS(t, rn_test_error(t), samples[i].error);
        }
        finish(t);
    }
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_set_props(t, "{\"filePath\":\"orders.csv\"}");
    RN_TEST_CODE(t, rn_test_action(t, CSV), RN_ENOTFOUND);
    RN_TEST_CONTAINS(t, rn_test_error(t), "the run has no file \"orders.csv\"");
    finish(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_saved),
        cmocka_unit_test(an_upload_is_saved),
        cmocka_unit_test(names_that_leave_are_refused),
        cmocka_unit_test(csv_files_are_read),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
