/* The Discord webhook plugin. */
#include "component_test.h"

#define KEY "discord_webhook-send-message"
#define URL "https://discord.com/api/webhooks/123/secret-token"
#define SEND URL "?wait=true"

static struct rn_test *start_discord(const char *props)
{
    struct rn_test *t = start();
    rn_test_set_props(t, props);
    rn_test_set_auth(t, "discordWebhook", "{\"oauth_uid\":\"" URL "\"}");
    return t;
}

static void message_is_sent(void **state)
{
    (void)state;
    struct rn_test *t = start_discord("{\"message\":\"hello @everyone\"}");
    rn_test_expect_json(t, "POST", SEND,
                        "{\"content\":\"hello @everyone\",\"allowed_mentions\":{\"parse\":[]}}",
                        200, "{\"id\":\"1300000000000000001\",\"content\":\"hello @everyone\"}");
    RN_TEST_OK(t, rn_test_action(t, KEY));
    RN_TEST_JSON(t, rn_test_export(t, "$summary"), "\"Message sent successfully\"");
    RN_TEST_JSON(t, rn_test_export(t, "$return_value"),
                 "{\"id\":\"1300000000000000001\",\"content\":\"hello @everyone\"}");
    finish(t);
}

static void all_props_are_sent(void **state)
{
    (void)state;
    struct rn_test *t =
        start_discord("{\"message\":\"a\\u0000b\",\"threadID\":\"77\",\"username\":\"Bot\","
                      "\"avatarURL\":\"https://x.test/a.png\","
                      "\"embeds\":{\"title\":\"one\"},\"allowedMentions\":[\"users\"]}");
    rn_test_expect_json(
        t, "POST", SEND "&thread_id=77",
        "{\"content\":\"a\\u0000b\",\"embeds\":[{\"title\":\"one\"}],\"username\":\"Bot\","
        "\"avatar_url\":\"https://x.test/a.png\",\"allowed_mentions\":{\"parse\":[\"users\"]}}",
        200, "{\"id\":\"1\"}");
    RN_TEST_OK(t, rn_test_action(t, KEY));
    /* embeds alone, as JSON text */
    rn_test_set_props(t, "{\"embeds\":\"[{\\\"title\\\":\\\"two\\\"}]\"}");
    rn_test_expect_json(t, "POST", SEND,
                        "{\"embeds\":[{\"title\":\"two\"}],\"allowed_mentions\":{\"parse\":[]}}",
                        200, "{\"id\":\"2\"}");
    RN_TEST_OK(t, rn_test_action(t, KEY));
    finish(t);
}

/* {"message":"xxx…"} with `count` times `character`. */
static const char *long_message(const char *character, int count, char *out)
{
    char *at = out + sprintf(out, "{\"message\":\"");
    for (int i = 0; i < count; i++)
        at += sprintf(at, "%s", character);
    (void)sprintf(at, "\"}");
    return out;
}

static void length_is_counted_in_characters(void **state)
{
    (void)state;
    static char props[16 * 1024];
    struct rn_test *t = start_discord(long_message("\xF0\x9F\x98\x80", 2000, props));
    rn_test_expect_json(t, "POST", SEND, NULL, 200, "{\"id\":\"1\"}");
    RN_TEST_OK(t, rn_test_action(t, KEY));
    rn_test_set_props(t, long_message("x", 2001, props));
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "2001");
    finish(t);
}

static void input_is_checked(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{}",
        "{\"message\":\"\"}",
        "{\"embeds\":[]}",
        "{\"embeds\":\"no json\"}",
        "{\"embeds\":[1]}",
        "{\"embeds\":7}",
        "{\"embeds\":[{},{},{},{},{},{},{},{},{},{},{}]}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct rn_test *t = start_discord(wrong[i]);
        RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EINVAL);
        finish(t);
    }
    struct rn_test *t = start();
    rn_test_set_props(t, "{\"message\":\"x\"}");
    rn_test_set_auth(t, "discordWebhook", "{\"oauth_uid\":\"not a url\"}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_ECONFIG);
    rn_test_set_auth(t, "discordWebhook", "{\"webhook_url\":\"" URL "\"}");
    rn_test_expect_json(t, "POST", SEND, NULL, 200, "{}");
    RN_TEST_OK(t, rn_test_action(t, KEY));
    finish(t);
}

static void rate_limit_is_waited_for(void **state)
{
    (void)state;
    struct rn_test *t = start_discord("{\"message\":\"x\"}");
    rn_test_expect_json(
        t, "POST", SEND, NULL, 429,
        "{\"message\":\"You are being rate limited.\",\"retry_after\":2.5,\"global\":false}");
    rn_test_expect_json(t, "POST", SEND, NULL, 200, "{\"id\":\"1\"}");
    RN_TEST_OK(t, rn_test_action(t, KEY));
    RN_TEST_TRUE(t, rn_test_slept_ms(t) >= 2500 && rn_test_slept_ms(t) < 4000);

    /* longer than the call has: given back with the hint */
    rn_test_expect_json(t, "POST", SEND, NULL, 429,
                        "{\"message\":\"slow down\",\"retry_after\":64.57}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_ERATE);
    RN_TEST_TRUE(t, rn_test_retry_after_ms(t) >= 64570 && rn_test_retry_after_ms(t) < 65000);
    finish(t);
}

static void errors_are_told_apart(void **state)
{
    (void)state;
    struct rn_test *t = start_discord("{\"message\":\"x\"}");
    rn_test_expect_json(t, "POST", SEND, NULL, 400,
                        "{\"message\":\"Invalid Form Body\",\"code\":50035}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EHTTP);
    RN_TEST_CONTAINS(t, rn_test_error(t), "50035");
    RN_TEST_TRUE(t, !strstr(rn_test_error(t), "secret-token"));
    rn_test_expect_json(t, "POST", SEND, NULL, 502, "bad gateway");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EUNAVAILABLE);
    const struct rn_test_exchange lost = {.method = "POST", .url = SEND, .error = RN_EUNKNOWN};
    rn_test_expect(t, &lost);
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EUNKNOWN);
    finish(t);
}

/* The account's webhook is `url` from here on. */
static void use_webhook(struct rn_test *t, const char *url)
{
    char auth[200];
    (void)snprintf(auth, sizeof(auth), "{\"oauth_uid\":\"%s\"}", url);
    rn_test_set_auth(t, "discordWebhook", auth);
}

static void webhook_that_is_gone_is_not_called_again(void **state)
{
    (void)state;
    static const char deleted[] = "https://discord.com/api/webhooks/404/deleted-token";
    static const char wrong[] = "https://discord.com/api/webhooks/123/wrong-token";
    struct rn_test *t = start_discord("{\"message\":\"x\"}");
    use_webhook(t, deleted);
    rn_test_expect_json(t, "POST", NULL, NULL, 404,
                        "{\"message\":\"Unknown Webhook\",\"code\":10015}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_ECONFIG);
    RN_TEST_CONTAINS(t, rn_test_error(t), "does not exist");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_ECONFIG);
    RN_TEST_CONTAINS(t, rn_test_error(t), "nothing was sent");
    RN_TEST_TRUE(t, !strstr(rn_test_error(t), "deleted-token"));
    use_webhook(t, wrong);
    rn_test_expect_json(t, "POST", NULL, NULL, 401,
                        "{\"message\":\"Invalid Webhook Token\",\"code\":50027}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_ECONFIG);
    RN_TEST_CONTAINS(t, rn_test_error(t), "token");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_ECONFIG);
    RN_TEST_CONTAINS(t, rn_test_error(t), "nothing was sent");
    /* others are called as before */
    use_webhook(t, URL);
    rn_test_expect_json(t, "POST", SEND, NULL, 200, "{\"id\":\"1\"}");
    RN_TEST_OK(t, rn_test_action(t, KEY));
    finish(t);
}

/* A thread that is not there says nothing about the webhook, nor does a 404 of a proxy. */
static void other_404s_are_no_verdict(void **state)
{
    (void)state;
    struct rn_test *t = start_discord("{\"message\":\"x\",\"threadID\":\"77\"}");
    rn_test_expect_json(t, "POST", SEND "&thread_id=77", NULL, 404,
                        "{\"message\":\"Unknown Channel\",\"code\":10003}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_ECONFIG);
    RN_TEST_CONTAINS(t, rn_test_error(t), "threadID");
    rn_test_expect_json(t, "POST", SEND "&thread_id=77", NULL, 404, "<html>not here</html>");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_ECONFIG);
    rn_test_expect_json(t, "POST", SEND "&thread_id=77", NULL, 200, "{\"id\":\"1\"}");
    RN_TEST_OK(t, rn_test_action(t, KEY));
    finish(t);
}

static void account_test(void **state)
{
    (void)state;
    struct rn_test *t = start_discord("{}");
    rn_test_expect_json(t, "GET", URL, NULL, 200, "{\"id\":\"123\",\"name\":\"hook\"}");
    RN_TEST_OK(t, rn_test_account(t, "discord_webhook"));
    use_webhook(t, "https://discord.com/api/webhooks/5/other");
    rn_test_expect_json(t, "GET", NULL, NULL, 404, "{\"code\":10015}");
    RN_TEST_CODE(t, rn_test_account(t, "discord_webhook"), RN_ECONFIG);
    finish(t);
}

#define WITH_FILE "discord_webhook-send-message-with-file"

static void a_file_of_the_run_is_sent(void **state)
{
    (void)state;
    struct rn_test *t = start_discord("{\"message\":\"here\",\"filePath\":\"/tmp/in/report.csv\","
                                      "\"threadID\":\"77\"}");
    rn_test_set_file(t, "in/report.csv", "a,b\n", 4);
    rn_test_expect_json(t, "POST", SEND "&thread_id=77", NULL, 200, "{\"id\":\"1\"}");
    RN_TEST_OK(t, rn_test_action(t, WITH_FILE));
    RN_TEST_JSON(t, rn_test_export(t, "$return_value"), "{\"id\":\"1\"}");
    const char *sent = rn_test_requests(t);
    RN_TEST_CONTAINS(t, sent, "name=\\\"payload_json\\\"\\r\\nContent-Type: application/json");
    RN_TEST_CONTAINS(t, sent, "{\\\"content\\\":\\\"here\\\",\\\"allowed_mentions\\\"");
    RN_TEST_CONTAINS(t, sent, "name=\\\"files[0]\\\"; filename=\\\"report.csv\\\"");
    RN_TEST_CONTAINS(t, sent, "\\r\\n\\r\\na,b\\n\\r\\n");
    finish(t);
}

static void a_file_at_a_url_is_sent(void **state)
{
    (void)state;
    struct rn_test *t = start_discord("{\"fileUrl\":\"https://files.test/a%20b.png?x=1\"}");
    rn_test_expect_json(t, "GET", "https://files.test/a%20b.png?x=1", NULL, 200, "PNG");
    rn_test_expect_json(t, "POST", SEND, NULL, 200, "{\"id\":\"1\"}");
    RN_TEST_OK(t, rn_test_action(t, WITH_FILE));
    RN_TEST_CONTAINS(t, rn_test_requests(t), "filename=\\\"a%20b.png\\\"");
    rn_test_set_props(t, "{\"fileUrl\":\"https://files.test\"}");
    rn_test_clear_requests(t);
    rn_test_expect_json(t, "GET", "https://files.test", NULL, 200, "x");
    rn_test_expect_json(t, "POST", SEND, NULL, 200, "{\"id\":\"2\"}");
    RN_TEST_OK(t, rn_test_action(t, WITH_FILE));
    RN_TEST_CONTAINS(t, rn_test_requests(t), "filename=\\\"file\\\"");
    finish(t);
}

static void a_file_is_needed_and_is_not_too_big(void **state)
{
    (void)state;
    static char big[(10 << 20) + 1];
    struct rn_test *t = start_discord("{\"message\":\"here\"}");
    RN_TEST_CODE(t, rn_test_action(t, WITH_FILE), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "there is no file to send");
    rn_test_set_props(t, "{\"filePath\":\"x\",\"fileUrl\":\"https://files.test/x\"}");
    RN_TEST_CODE(t, rn_test_action(t, WITH_FILE), RN_EINVAL);
    rn_test_set_props(t, "{\"filePath\":\"../x\"}");
    RN_TEST_CODE(t, rn_test_action(t, WITH_FILE), RN_EINVAL);
    rn_test_set_props(t, "{\"filePath\":\"missing\"}");
    RN_TEST_CODE(t, rn_test_action(t, WITH_FILE), RN_ENOTFOUND);
    rn_test_set_file(t, "big", big, sizeof(big));
    rn_test_set_props(t, "{\"filePath\":\"big\"}");
    RN_TEST_CODE(t, rn_test_action(t, WITH_FILE), RN_ETOOBIG);
    RN_TEST_CONTAINS(t, rn_test_error(t), "big has more than the 10 MiB");
    finish(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_is_sent),
        cmocka_unit_test(all_props_are_sent),
        cmocka_unit_test(length_is_counted_in_characters),
        cmocka_unit_test(input_is_checked),
        cmocka_unit_test(rate_limit_is_waited_for),
        cmocka_unit_test(errors_are_told_apart),
        cmocka_unit_test(webhook_that_is_gone_is_not_called_again),
        cmocka_unit_test(other_404s_are_no_verdict),
        cmocka_unit_test(account_test),
        cmocka_unit_test(a_file_of_the_run_is_sent),
        cmocka_unit_test(a_file_at_a_url_is_sent),
        cmocka_unit_test(a_file_is_needed_and_is_not_too_big),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
