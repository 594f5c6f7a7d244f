/* The Airtable plugin: chunks, half-done jobs, upserts, the rate limit, options. */
#include "component_test.h"

#define KEY "airtable_oauth-create-multiple-records"
#define BASE "https://api.airtable.com/v0"
#define TABLE BASE "/app1/My%20Table"

static struct rn_test *start_airtable(const char *records)
{
    struct rn_test *t = start();
    rn_test_set_props(t, "{\"baseId\":\"app1\",\"tableId\":\"My Table\"}");
    rn_test_set_prop(t, "records", records);
    rn_test_set_auth(t, "airtable", "{\"oauth_access_token\":\"pat1\"}");
    return t;
}

/* [{"n":from}, …], `count` of them, each wrapped as `format` says. */
static char *numbered(char *out, const char *format, int from, int count)
{
    char *at = out + sprintf(out, "[");
    for (int i = from; i < from + count; i++)
        at += sprintf(at, "%s{\"%s\":%d}", i == from ? "" : ",", format, i);
    (void)sprintf(at, "]");
    return out;
}

/* What Airtable answers to records `from` on. */
static char *created(char *out, int from, int count)
{
    char *at = out + sprintf(out, "{\"records\":[");
    for (int i = from; i < from + count; i++)
        at += sprintf(at, "%s{\"id\":\"rec%d\",\"fields\":{\"n\":%d}}", i == from ? "" : ",", i, i);
    (void)sprintf(at, "]}");
    return out;
}

/* The request for records `from` on, to be answered with `status`. */
static void expect_chunk(struct rn_test *t, int from, int count, int status, const char *answer)
{
    char body[1024], *at = body + sprintf(body, "{\"records\":[");
    for (int i = from; i < from + count; i++)
        at += sprintf(at, "%s{\"fields\":{\"n\":%d}}", i == from ? "" : ",", i);
    (void)sprintf(at, "]}");
    rn_test_expect_json(t, "POST", TABLE, body, status, answer);
}

static void records_go_in_chunks_of_ten(void **state)
{
    (void)state;
    char text[2048];
    struct rn_test *t = start_airtable(numbered(text, "n", 0, 25));
    expect_chunk(t, 0, 10, 200, created(text, 0, 10));
    expect_chunk(t, 10, 10, 200, created(text, 10, 10));
    expect_chunk(t, 20, 5, 200, created(text, 20, 5));
    RN_TEST_OK(t, rn_test_action(t, KEY));
    RN_TEST_TRUE(t, count_of(rn_test_export(t, "$return_value"), "\"id\":\"rec") == 25);
    RN_TEST_CONTAINS(t, rn_test_export(t, "$return_value"), "[{\"id\":\"rec0\"");
    RN_TEST_JSON(t, rn_test_export(t, "$summary"), "\"Added 25 records in app1/My Table\"");
    finish(t);
}

static void many_chunks_are_spread(void **state)
{
    (void)state;
    char text[2048];
    struct rn_test *t = start_airtable(numbered(text, "n", 0, 60));
    for (int i = 0; i < 6; i++)
        expect_chunk(t, i * 10, 10, 200, created(text, i * 10, 10));
    RN_TEST_OK(t, rn_test_action(t, KEY));
    RN_TEST_TRUE(t, rn_test_slept_ms(t) >= 1000); /* the sixth is in the next second */
    finish(t);
}

static void half_done_job_says_what_is_there(void **state)
{
    (void)state;
    char text[2048];
    struct rn_test *t = start_airtable(numbered(text, "n", 0, 25));
    expect_chunk(t, 0, 10, 200, created(text, 0, 10));
    expect_chunk(t, 10, 10, 422,
                 "{\"error\":{\"type\":\"INVALID_VALUE_FOR_COLUMN\",\"message\":\"n\"}}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EFAILED);
    RN_TEST_CONTAINS(t, rn_test_error(t), "first 10 of 25 records");
    RN_TEST_CONTAINS(t, rn_test_error(t), "rec9");
    RN_TEST_TRUE(t, count_of(rn_test_export(t, "created"), "\"rec") == 10);

    expect_chunk(t, 0, 10, 200, created(text, 0, 10));
    const struct rn_test_exchange lost = {.method = "POST", .error = RN_EUNKNOWN};
    rn_test_expect(t, &lost);
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EFAILED);
    RN_TEST_CONTAINS(t, rn_test_error(t), "no answer");
    finish(t);
}

static void first_request_fails_as_it_is(void **state)
{
    (void)state;
    struct rn_test *t = start_airtable("[{\"n\":0}]");
    expect_chunk(t, 0, 1, 422, "{\"error\":{\"type\":\"UNKNOWN_FIELD_NAME\",\"message\":\"n\"}}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EHTTP);
    RN_TEST_CONTAINS(t, rn_test_error(t), "UNKNOWN_FIELD_NAME");
    expect_chunk(t, 0, 1, 401, "{\"error\":{\"type\":\"AUTHENTICATION_REQUIRED\"}}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EAUTH);
    expect_chunk(t, 0, 1, 503, "");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EUNAVAILABLE);
    const struct rn_test_exchange lost = {.method = "POST", .error = RN_EUNKNOWN};
    rn_test_expect(t, &lost);
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EUNKNOWN);
    finish(t);
}

static void penalty_is_waited_out_once(void **state)
{
    (void)state;
    static const char limited[] = "{\"errors\":[{\"error\":\"RATE_LIMIT_REACHED\"}]}";
    char text[256];
    struct rn_test *t = start_airtable("[{\"n\":0}]");
    rn_test_set_timeout(t, 120000);
    expect_chunk(t, 0, 1, 429, limited);
    expect_chunk(t, 0, 1, 200, created(text, 0, 1));
    RN_TEST_OK(t, rn_test_action(t, KEY));
    RN_TEST_TRUE(t, rn_test_slept_ms(t) >= 30000);
    RN_TEST_JSON(t, rn_test_export(t, "$summary"), "\"Added 1 record in app1/My Table\"");

    rn_test_set_timeout(t, 10000);
    expect_chunk(t, 0, 1, 429, limited);
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_ERATE);
    RN_TEST_TRUE(t, rn_test_slept_ms(t) == 0);
    RN_TEST_CONTAINS(t, rn_test_error(t), "RATE_LIMIT_REACHED");
    finish(t);
}

static void upsert_may_be_repeated(void **state)
{
    (void)state;
    struct rn_test *t = start_airtable("\"[{\\\"n\\\":0},{\\\"n\\\":1}]\"");
    rn_test_set_prop(t, "mergeOn", "[\"n\"]");
    rn_test_set_prop(t, "typecast", "true");
    rn_test_set_prop(t, "returnFieldsByFieldId", "true");
    rn_test_expect_json(
        t, "PATCH", TABLE,
        "{\"performUpsert\":{\"fieldsToMergeOn\":[\"n\"]},\"records\":[{\"fields\":{\"n\":0}},"
        "{\"fields\":{\"n\":1}}],\"typecast\":true,\"returnFieldsByFieldId\":true}",
        200,
        "{\"records\":[{\"id\":\"rec0\",\"fields\":{}},{\"id\":\"rec1\",\"fields\":{}}],"
        "\"createdRecords\":[\"rec1\"],\"updatedRecords\":[\"rec0\"]}");
    RN_TEST_OK(t, rn_test_action(t, KEY));
    RN_TEST_JSON(t, rn_test_export(t, "createdRecords"), "[\"rec1\"]");
    RN_TEST_JSON(t, rn_test_export(t, "updatedRecords"), "[\"rec0\"]");
    RN_TEST_JSON(t, rn_test_export(t, "$summary"),
                 "\"Added 1 record and updated 1 in app1/My Table\"");

    rn_test_set_prop(t, "mergeOn", "[\"a\",\"b\",\"c\",\"d\"]");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EINVAL);
    finish(t);
}

static void records_in_every_shape(void **state)
{
    (void)state;
    char text[256];
    static const char *const good[] = {"[{\"n\":0}]", "[\"{\\\"n\\\":0}\"]", "{\"n\":0}",
                                       "\"[{\\\"n\\\":0}]\""};
    static const char *const wrong[] = {"[]", "5", "\"no json\"", "[1]", "[\"x\"]", "[[1]]"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct rn_test *t = start_airtable(good[i]);
        expect_chunk(t, 0, 1, 200, created(text, 0, 1));
        RN_TEST_OK(t, rn_test_action(t, KEY));
        finish(t);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct rn_test *t = start_airtable(wrong[i]);
        RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EINVAL);
        finish(t);
    }
}

static void options(void **state)
{
    (void)state;
    struct rn_test *t = start_airtable("[]");
    rn_test_expect_json(t, "GET", BASE "/meta/bases", NULL, 200,
                        "{\"bases\":[{\"id\":\"app1\",\"name\":\"CRM\"}],\"offset\":\"itr/1\"}");
    RN_TEST_OK(t, rn_test_options(t, KEY, "baseId", 0, NULL, NULL));
    RN_TEST_JSON(t, rn_test_offered(t), "[{\"label\":\"CRM\",\"value\":\"app1\"}]");
    RN_TEST_JSON(t, rn_test_context(t), "{\"offset\":\"itr/1\"}");
    rn_test_expect_json(t, "GET", BASE "/meta/bases?offset=itr%2F1", NULL, 200,
                        "{\"bases\":[{\"id\":\"app2\"}]}");
    RN_TEST_OK(t, rn_test_options(t, KEY, "baseId", 1, NULL, "{\"offset\":\"itr/1\"}"));
    RN_TEST_JSON(t, rn_test_offered(t), "[{\"label\":\"app2\",\"value\":\"app2\"}]");
    RN_TEST_TRUE(t, rn_test_context(t) == NULL);
    rn_test_expect_json(t, "GET", BASE "/meta/bases/app1/tables", NULL, 200,
                        "{\"tables\":[{\"id\":\"tbl1\",\"name\":\"People\"}]}");
    RN_TEST_OK(t, rn_test_options(t, KEY, "tableId", 0, NULL, NULL));
    RN_TEST_JSON(t, rn_test_offered(t), "[{\"label\":\"People\",\"value\":\"tbl1\"}]");
    rn_test_set_props(t, "{}");
    RN_TEST_CODE(t, rn_test_options(t, KEY, "tableId", 0, NULL, NULL), RN_ECONFIG);
    finish(t);
}

static void account_test(void **state)
{
    (void)state;
    struct rn_test *t = start_airtable("[]");
    rn_test_expect_json(t, "GET", BASE "/meta/whoami", NULL, 200, "{\"id\":\"usr1\"}");
    RN_TEST_OK(t, rn_test_account(t, "airtable_oauth"));
    rn_test_expect_json(t, "GET", BASE "/meta/whoami", NULL, 401,
                        "{\"error\":\"AUTHENTICATION_REQUIRED\"}");
    RN_TEST_CODE(t, rn_test_account(t, "airtable_oauth"), RN_EAUTH);
    finish(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_go_in_chunks_of_ten),
        cmocka_unit_test(many_chunks_are_spread),
        cmocka_unit_test(half_done_job_says_what_is_there),
        cmocka_unit_test(first_request_fails_as_it_is),
        cmocka_unit_test(penalty_is_waited_out_once),
        cmocka_unit_test(upsert_may_be_repeated),
        cmocka_unit_test(records_in_every_shape),
        cmocka_unit_test(options),
        cmocka_unit_test(account_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
