/* The components of @TITLE@ in the SDK's fake host: nothing leaves this process. */
#include <runnel/testing.h>

static void test_create_note(struct rn_test *t)
{
    rn_test_set_props(t, "{\"text\":\"hello\"}");
    rn_test_set_auth(t, "account", "{\"api_key\":\"k-secret\"}");
    rn_test_expect_json(t, "POST", "https://api.example.com/notes",
                        "{\"text\":\"hello\",\"pinned\":false}", 201, "{\"id\":\"n1\"}");
    RN_TEST_OK(t, rn_test_action(t, "@NAME@-create-note"));
    RN_TEST_JSON(t, rn_test_export(t, "$return_value"), "{\"id\":\"n1\"}");
    RN_TEST_JSON(t, rn_test_export(t, "$summary"), "\"Successfully created a note\"");

    rn_test_expect_json(t, "POST", "https://api.example.com/notes", NULL, 400,
                        "{\"error\":\"text is too long\"}");
    RN_TEST_CODE(t, rn_test_action(t, "@NAME@-create-note"), RN_EHTTP);
    RN_TEST_CONTAINS(t, rn_test_error(t), "text is too long");
}

static void test_new_note(struct rn_test *t)
{
    struct rn_pair headers[] = {{"Content-Type", "application/json"}};
    struct rn_test_request request = {
        .body = "{\"id\":\"n1\"}", .headers = headers, .header_count = 1};
    rn_test_set_props(t, "{}");
    RN_TEST_OK(t, rn_test_source_request(t, "@NAME@-new-note", &request));
    RN_TEST_JSON(t, rn_test_emits(t),
                 "[{\"event\":{\"id\":\"n1\"},\"id\":\"n1\",\"summary\":\"Note n1\"}]");
    RN_TEST_JSON(t, rn_test_response(t), "{\"status\":204,\"headers\":{},\"body\":\"\"}");
    RN_TEST_JSON(t, rn_test_db(t), "{\"count\":1}");

    request.body = "{}";
    RN_TEST_OK(t, rn_test_source_request(t, "@NAME@-new-note", &request));
    RN_TEST_TRUE(t, rn_test_emit_count(t) == 0);
}

int main(void)
{
    struct rn_test *t = rn_test_new(&runnel_plugin);
    if (t) {
        test_create_note(t);
        test_new_note(t);
    }
    return rn_test_done(t); /* the number of failures */
}
