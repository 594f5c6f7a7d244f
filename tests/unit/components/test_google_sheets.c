/* The Google Sheets plugin. */
#include "component_test.h"

#define KEY "google_sheets-add-multiple-rows"
#define SHEET "https://sheets.googleapis.com/v4/spreadsheets/id1"
#define PROPERTIES SHEET "?fields=sheets.properties"
#define QUERY(option_) "?valueInputOption=" option_ "&insertDataOption=INSERT_ROWS"
#define APPEND_LOG SHEET "/values/%27Log%27%21A%3AA:append"
#define SHEETS                                                                                     \
    "{\"sheets\":[{\"properties\":{\"sheetId\":0,\"title\":\"Log\",\"sheetType\":\"GRID\"}},"      \
    "{\"properties\":{\"sheetId\":42,\"title\":\"Bob's Data\"}},"                                  \
    "{\"properties\":{\"sheetId\":7,\"title\":\"Chart\",\"sheetType\":\"OBJECT\"}}]}"
#define UPDATES                                                                                    \
    "{\"spreadsheetId\":\"id1\",\"updatedRange\":\"Log!A4:C5\",\"updatedRows\":2,"                 \
    "\"updatedColumns\":3,\"updatedCells\":6}"
#define ANSWER "{\"spreadsheetId\":\"id1\",\"tableRange\":\"Log!A1:C3\",\"updates\":" UPDATES "}"

static struct rn_test *start_sheets(const char *worksheet, const char *rows)
{
    struct rn_test *t = start();
    rn_test_set_props(t, "{\"sheetId\":\"id1\",\"writeOnce\":false}");
    rn_test_set_prop(t, "worksheetId", worksheet);
    rn_test_set_prop(t, "rows", rows);
    rn_test_set_auth(t, "googleSheets", "{\"oauth_access_token\":\"ya29\"}");
    return t;
}

static void rows_are_appended(void **state)
{
    (void)state;
    struct rn_test *t = start_sheets("0", "[[\"a\",1,true],[null,{\"k\":[1]},9007199254740993]]");
    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
    rn_test_expect_json(
        t, "POST", APPEND_LOG QUERY("RAW"),
        "{\"range\":\"'Log'!A:A\",\"majorDimension\":\"ROWS\",\"values\":[[\"a\",1,true],"
        "[null,\"{\\\"k\\\":[1]}\",\"9007199254740993\"]]}",
        200, ANSWER);
    RN_TEST_OK(t, rn_test_action(t, KEY));
    RN_TEST_JSON(t, rn_test_export(t, "$return_value"), UPDATES);
    RN_TEST_JSON(t, rn_test_export(t, "$summary"), "\"Successfully added 2 rows to Log\"");
    RN_TEST_CONTAINS(t, rn_test_requests(t), "Bearer ya29");
    finish(t);
}

/* The id and value of the mark, of a SHA-256 of the test's idempotency key: 31 bits, and the 16
 * digits behind them. The test's clock is 2026-01-01. */
#define MARK_ID "1501696110"
#define MARK_VALUE "e40244cb1b12a2f1"
#define MARK_URL SHEET "/developerMetadata/" MARK_ID
#define ONCE                                                                                       \
    "{\"requests\":[{\"appendCells\":{\"sheetId\":42,\"rows\":[{\"values\":[{"                     \
    "\"userEnteredValue\":{\"stringValue\":\"=a\"}},{\"userEnteredValue\":{\"numberValue\":1.5}}," \
    "{\"userEnteredValue\":{\"boolValue\":true}},{}]},{\"values\":[]}],\"fields\":"                \
    "\"userEnteredValue\"}},{\"createDeveloperMetadata\":{\"developerMetadata\":{"                 \
    "\"metadataId\":" MARK_ID ",\"metadataKey\":\"rn945376\",\"metadataValue\":\"" MARK_VALUE      \
    "\",\"location\":{\"spreadsheet\":true},\"visibility\":\"PROJECT\"}}},"                        \
    "{\"deleteDeveloperMetadata\":{\"dataFilter\":{\"developerMetadataLookup\":"                   \
    "{\"metadataKey\":\"rn945374\"}}}}]}"

static struct rn_test *start_once(void)
{
    struct rn_test *t = start_sheets("42", "[[\"=a\",1.5,true,null],[]]");
    rn_test_set_prop(t, "writeOnce", NULL); /* on by default */
    return t;
}

static void rows_are_written_once(void **state)
{
    (void)state;
    static const char refusal[] =
        "{\"error\":{\"code\":400,\"message\":\"exists\",\"status\":\"INVALID_ARGUMENT\"}}";
    struct rn_test *t = start_once();
    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
    rn_test_expect_json(t, "POST", SHEET ":batchUpdate", ONCE, 200, "{\"replies\":[{},{},{}]}");
    RN_TEST_OK(t, rn_test_action(t, KEY));
    RN_TEST_JSON(t, rn_test_export(t, "$return_value"),
                 "{\"spreadsheetId\":\"id1\",\"updatedRows\":2,\"updatedColumns\":4,"
                 "\"updatedCells\":3}");
    /* the answer is lost; the attempt after it finds its mark and adds nothing */
    const struct rn_test_exchange lost = {.method = "POST", .error = RN_EUNKNOWN};
    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
    rn_test_expect(t, &lost);
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EUNKNOWN);
    rn_test_set_attempt(t, 2);
    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
    rn_test_expect_json(t, "POST", SHEET ":batchUpdate", ONCE, 400, refusal);
    rn_test_expect_json(t, "GET", MARK_URL, NULL, 200,
                        "{\"metadataId\":" MARK_ID ",\"metadataValue\":\"" MARK_VALUE "\"}");
    RN_TEST_OK(t, rn_test_action(t, KEY));
    RN_TEST_JSON(
        t, rn_test_export(t, "$summary"),
        "\"Successfully added 2 rows to Bob's Data (by an earlier attempt of this step)\"");
    /* another's mark under the same id, or Google refuses marks: appended without one */
    static const char *const marks[] = {"{\"metadataValue\":\"0123456789abcdef\"}", "{}"};
    for (int i = 0; i < 2; i++) {
        rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
        rn_test_expect_json(t, "POST", SHEET ":batchUpdate", ONCE, 400, refusal);
        rn_test_expect_json(t, "GET", MARK_URL, NULL, i ? 404 : 200, marks[i]);
        rn_test_expect_json(t, "POST", NULL, NULL, 200, ANSWER);
        RN_TEST_OK(t, rn_test_action(t, KEY));
        RN_TEST_CONTAINS(t, rn_test_logs(t), "refused");
        RN_TEST_JSON(t, rn_test_export(t, "$return_value"), UPDATES);
    }
    /* what cannot be found out is tried again later, not appended */
    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
    rn_test_expect_json(t, "POST", SHEET ":batchUpdate", ONCE, 400, refusal);
    rn_test_expect_json(t, "GET", MARK_URL, NULL, 503, "{}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EUNAVAILABLE);
    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
    rn_test_expect_json(t, "POST", SHEET ":batchUpdate", ONCE, 403, "{\"error\":{\"code\":403}}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EHTTP);
    finish(t);
}

static void worksheet_by_text_and_by_title(void **state)
{
    (void)state;
    static const char *const names[] = {"\"42\"", "42", "\"Bob's Data\""};
    for (size_t i = 0; i < 3; i++) {
        struct rn_test *t = start_sheets(names[i], "\"[[\\\"x\\\"]]\"");
        rn_test_set_prop(t, "valueInputOption", "\"USER_ENTERED\"");
        rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
        rn_test_expect_json(
            t, "POST", SHEET "/values/%27Bob%27%27s%20Data%27%21A%3AA:append" QUERY("USER_ENTERED"),
            "{\"range\":\"'Bob''s Data'!A:A\",\"majorDimension\":\"ROWS\",\"values\":[[\"x\"]]}",
            200, "{\"updates\":{\"updatedRows\":1}}");
        RN_TEST_OK(t, rn_test_action(t, KEY));
        RN_TEST_JSON(t, rn_test_export(t, "$summary"),
                     "\"Successfully added 1 row to Bob's Data\"");
        finish(t);
    }
    /* a worksheet that is no grid takes no rows */
    struct rn_test *t = start_sheets("7", "[[1]]");
    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_ENOTFOUND);
    RN_TEST_CONTAINS(t, rn_test_error(t), "Log (0), Bob's Data (42)");
    finish(t);
}

static void rows_are_checked(void **state)
{
    (void)state;
    static const char *const wrong[] = {"[1,2]", "{\"a\":1}", "\"no json\"", "[[1],2]", "\"5\""};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct rn_test *t = start_sheets("0", wrong[i]);
        RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EINVAL);
        RN_TEST_CONTAINS(t, rn_test_error(t), "list of lists");
        finish(t);
    }
    struct rn_test *t = start_sheets("0", "[]");
    RN_TEST_OK(t, rn_test_action(t, KEY));
    RN_TEST_JSON(t, rn_test_export(t, "$summary"), "\"No rows to add\"");
    finish(t);
}

static void errors_are_told_apart(void **state)
{
    (void)state;
    struct rn_test *t = start_sheets("0", "[[1]]");
    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 404,
                        "{\"error\":{\"code\":404,\"status\":\"NOT_FOUND\"}}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_ECONFIG);
    RN_TEST_CONTAINS(t, rn_test_error(t), "share it");
    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 401, "{\"error\":{\"code\":401}}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EAUTH);

    static const struct rn_pair wait[] = {{"Retry-After", "3"}};
    const struct rn_test_exchange limited = {.method = "POST",
                                             .status = 429,
                                             .answer =
                                                 "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\"}}",
                                             .answer_headers = wait,
                                             .answer_header_count = 1};
    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
    rn_test_expect(t, &limited);
    rn_test_expect_json(t, "POST", APPEND_LOG QUERY("RAW"), NULL, 200, ANSWER);
    RN_TEST_OK(t, rn_test_action(t, KEY));
    RN_TEST_TRUE(t, rn_test_slept_ms(t) >= 3000);

    const struct rn_test_exchange lost = {.method = "POST", .error = RN_EUNKNOWN};
    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
    rn_test_expect(t, &lost);
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EUNKNOWN);
    finish(t);
}

/* Failing to reset the format must not fail the step: the rows are there. */
static void format_is_reset(void **state)
{
    (void)state;
    static const char body[] =
        "{\"requests\":[{\"repeatCell\":{\"range\":{\"sheetId\":0,\"startRowIndex\":3,"
        "\"endRowIndex\":5,\"startColumnIndex\":0,\"endColumnIndex\":3},\"cell\":{},"
        "\"fields\":\"userEnteredFormat\"}}]}";
    struct rn_test *t = start_sheets("0", "[[1]]");
    rn_test_set_prop(t, "resetRowFormat", "true");
    for (int i = 0; i < 2; i++) {
        rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
        rn_test_expect_json(t, "POST", APPEND_LOG QUERY("RAW"), NULL, 200, ANSWER);
        rn_test_expect_json(t, "POST", SHEET ":batchUpdate", body, i ? 403 : 200, "{}");
        RN_TEST_OK(t, rn_test_action(t, KEY));
        RN_TEST_JSON(t, rn_test_export(t, "$return_value"), UPDATES);
    }
    RN_TEST_CONTAINS(t, rn_test_logs(t), "format could not be reset");
    finish(t);
}

static void options(void **state)
{
    (void)state;
    static const char drives[] = "https://www.googleapis.com/drive/v3/drives?pageSize=100";
    struct rn_test *t = start_sheets("0", "[]");
    rn_test_expect_json(
        t, "GET", drives, NULL, 200,
        "{\"nextPageToken\":\"p2\",\"drives\":[{\"id\":\"0A\",\"name\":\"Team\"}]}");
    RN_TEST_OK(t, rn_test_options(t, KEY, "drive", 0, NULL, NULL));
    RN_TEST_JSON(t, rn_test_offered(t),
                 "[{\"label\":\"My Drive\",\"value\":\"My Drive\"},{\"label\":\"Team\",\"value\":"
                 "\"0A\"}]");
    RN_TEST_JSON(t, rn_test_context(t), "{\"pageToken\":\"p2\"}");
    rn_test_expect_json(t, "GET", drives, NULL, 403, "{\"error\":{\"code\":403}}");
    RN_TEST_OK(t, rn_test_options(t, KEY, "drive", 0, NULL, NULL));
    RN_TEST_JSON(t, rn_test_offered(t), "[{\"label\":\"My Drive\",\"value\":\"My Drive\"}]");
    rn_test_expect_json(
        t, "GET", NULL, NULL, 200,
        "{\"nextPageToken\":\"n2\",\"files\":[{\"id\":\"id1\",\"name\":\"Budget\"}]}");
    RN_TEST_OK(t, rn_test_options(t, KEY, "sheetId", 0, "Bob's", NULL));
    RN_TEST_JSON(t, rn_test_offered(t), "[{\"label\":\"Budget\",\"value\":\"id1\"}]");
    RN_TEST_JSON(t, rn_test_context(t), "{\"pageToken\":\"n2\"}");
    RN_TEST_CONTAINS(t, rn_test_requests(t), "https://www.googleapis.com/drive/v3/files?q=");
    RN_TEST_CONTAINS(t, rn_test_requests(t), "name%20contains%20%27Bob%5C%27s%27");
    rn_test_clear_requests(t);
    rn_test_set_prop(t, "drive", "\"0ABC\"");
    rn_test_expect_json(t, "GET", NULL, NULL, 200, "{\"files\":[]}");
    RN_TEST_OK(t, rn_test_options(t, KEY, "sheetId", 1, NULL, "{\"pageToken\":\"n2\"}"));
    RN_TEST_CONTAINS(t, rn_test_requests(t),
                     "&corpora=drive&driveId=0ABC&includeItemsFromAllDrives=true&pageToken=n2");
    RN_TEST_TRUE(t, rn_test_context(t) == NULL);

    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
    RN_TEST_OK(t, rn_test_options(t, KEY, "worksheetId", 0, NULL, NULL));
    RN_TEST_JSON(t, rn_test_offered(t),
                 "[{\"label\":\"Log\",\"value\":0},{\"label\":\"Bob's Data\",\"value\":42}]");
    finish(t);
}

static void headers_are_shown(void **state)
{
    (void)state;
    struct rn_test *t = start_sheets("0", "[]");
    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
    rn_test_expect_json(t, "GET", SHEET "/values/%27Log%27%211%3A1", NULL, 200,
                        "{\"range\":\"Log!A1:Z1\",\"values\":[[\"Id\",\"Type\",3]]}");
    RN_TEST_OK(t, rn_test_additional_props(t, KEY, NULL));
    RN_TEST_CONTAINS(t, rn_test_added_props(t), "\"name\":\"headersDisplay\"");
    RN_TEST_CONTAINS(t, rn_test_added_props(t), "A `Id`, B `Type`, C `3`");
    rn_test_expect_json(t, "GET", PROPERTIES, NULL, 200, SHEETS);
    rn_test_expect_json(t, "GET", SHEET "/values/%27Log%27%211%3A1", NULL, 200,
                        "{\"range\":\"Log!A1:Z1\"}");
    RN_TEST_OK(t, rn_test_additional_props(t, KEY, NULL));
    RN_TEST_CONTAINS(t, rn_test_added_props(t), "is empty");
    rn_test_set_props(t, "{}");
    RN_TEST_OK(t, rn_test_additional_props(t, KEY, NULL));
    RN_TEST_JSON(t, rn_test_added_props(t), "[]");
    finish(t);
}

static void account_test(void **state)
{
    (void)state;
    static const char url[] = "https://www.googleapis.com/oauth2/v3/tokeninfo?access_token=ya29";
    struct rn_test *t = start_sheets("0", "[]");
    rn_test_expect_json(
        t, "GET", url, NULL, 200,
        "{\"scope\":\"https://www.googleapis.com/auth/spreadsheets\",\"expires_in\":\"3599\"}");
    RN_TEST_OK(t, rn_test_account(t, "google_sheets"));
    rn_test_expect_json(t, "GET", url, NULL, 400, "{\"error_description\":\"Invalid Value\"}");
    RN_TEST_CODE(t, rn_test_account(t, "google_sheets"), RN_EAUTH);
    rn_test_expect_json(t, "GET", url, NULL, 200, "{\"scope\":\"openid\"}");
    RN_TEST_CODE(t, rn_test_account(t, "google_sheets"), RN_ECONFIG);
    finish(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_appended),
        cmocka_unit_test(rows_are_written_once),
        cmocka_unit_test(worksheet_by_text_and_by_title),
        cmocka_unit_test(rows_are_checked),
        cmocka_unit_test(errors_are_told_apart),
        cmocka_unit_test(format_is_reset),
        cmocka_unit_test(options),
        cmocka_unit_test(headers_are_shown),
        cmocka_unit_test(account_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
