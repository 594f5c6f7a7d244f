/* The Segment plugin: signatures (vectors of vendor-apis.md, section 1), batches, both ways to
 * register the webhook, and the tracking actions. */
#include "component_test.h"

#define KEY "segment-webhook-destination"
#define CONFIG "https://platform.segmentapis.com/v1beta/"
#define SOURCE "workspaces/acme/sources/web"
#define DESTINATIONS CONFIG SOURCE "/destinations"
#define WEBHOOKS DESTINATIONS "/webhooks"
#define NAME SOURCE "/destinations/webhooks"
#define PUBLIC "https://api.segmentapis.com"
#define ENDPOINT "https://endpoint.test/http"

/* HMAC-SHA1 with the key "abc123". */
#define SIGNATURE_TRUE "5099cab379b3be52908387457007040cc934ef86"
#define SIGNATURE_FALSE "c702b94a2569dd8d2f7185ce0ae951021bef4706"
/* the same of the texts in the tests that use them, from OpenSSL's command line */
#define SIGNATURE_TRACK "6bf12343ab670e50ac21af47d308fda9fc4eabc2"
#define SIGNATURE_HELLO "4554cf46e8c9c14cb4a4aec331e2a04b8f6bca33"

static struct rn_test *start_segment(const char *props)
{
    struct rn_test *t = start();
    rn_test_set_props(t, props);
    rn_test_set_auth(t, "segmentApp", "{\"access_token\":\"token-1\",\"write_key\":\"key-1\"}");
    return t;
}

static struct rn_test *start_config(void)
{
    return start_segment("{\"workspace\":\"workspaces/acme\",\"source\":\"" SOURCE "\"}");
}

static struct rn_test *start_public(void)
{
    return start_segment("{\"workspace\":\"w1\",\"source\":\"s1\"}");
}

/* ----------------------------------------------------------------- events */

static struct rn_test *start_active(void)
{
    struct rn_test *t = start_config();
    rn_test_set_db(t, "{\"api\":\"config\",\"secret\":\"abc123\",\"destinationId\":\"" NAME
                      "\",\"endpoint\":\"" ENDPOINT "\"}");
    return t;
}

static void deliver(struct rn_test *t, const char *body, const char *signature)
{
    const struct rn_pair headers[] = {{"Content-Type", "application/json"},
                                      {"X-Signature", signature}};
    const struct rn_test_request request = {
        .headers = headers, .header_count = signature ? 2 : 1, .body = body, .size = strlen(body)};
    RN_TEST_OK(t, rn_test_source_request(t, KEY, &request));
}

static void signed_event_is_emitted(void **state)
{
    (void)state;
    struct rn_test *t = start_active();
    deliver(t, "{\"cool\":true}", SIGNATURE_TRUE);
    RN_TEST_JSON(t, rn_test_emits(t),
                 "[{\"event\":{\"cool\":true},\"id\":\"" SIGNATURE_TRUE
                 "\",\"summary\":\"Received event without a type\"}]");
    RN_TEST_JSON(t, rn_test_response(t),
                 "{\"status\":200,\"headers\":{\"x-signature\":\"" SIGNATURE_TRUE
                 "\"},\"body\":\"\"}");
    finish(t);
}

static void bad_signature_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {NULL,
                                        "",
                                        SIGNATURE_FALSE,
                                        "5099CAB379B3BE52908387457007040CC934EF86",
                                        SIGNATURE_TRUE "0",
                                        "5099cab379b3be52908387457007040cc934ef8"};
    struct rn_test *t = start_active();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        deliver(t, "{\"cool\":true}", wrong[i]);
        RN_TEST_TRUE(t, rn_test_emit_count(t) == 0);
        RN_TEST_CONTAINS(t, rn_test_response(t), "\"status\":401");
        RN_TEST_CONTAINS(t, rn_test_response(t), "\\\"error\\\":");
        RN_TEST_TRUE(t, !strstr(rn_test_response(t), "x-signature\":"));
    }
    /* The signature of the first element is not one of an object around it. */
    deliver(t, "{\"a\":[{\"cool\":true}]}", SIGNATURE_TRUE);
    RN_TEST_TRUE(t, rn_test_emit_count(t) == 0);
    finish(t);
}

static void batch_is_signed_by_its_first_element(void **state)
{
    (void)state;
    struct rn_test *t = start_active();
    deliver(t, "[{\"cool\":false},{\"cool\":true}]", SIGNATURE_FALSE);
    RN_TEST_TRUE(t, rn_test_emit_count(t) == 2);
    /* ids: SHA-256 of each element's text */
    RN_TEST_CONTAINS(t, rn_test_emits(t), "{\"event\":{\"cool\":false},\"id\":\"");
    RN_TEST_CONTAINS(t, rn_test_emits(t), "{\"event\":{\"cool\":true},\"id\":\"");
    RN_TEST_CONTAINS(t, rn_test_response(t), "\"x-signature\":\"" SIGNATURE_FALSE "\"");

    /* spaces around the element are not part of it */
    deliver(t, " [ {\"cool\":false} , {\"cool\":true} ] ", SIGNATURE_FALSE);
    RN_TEST_TRUE(t, rn_test_emit_count(t) == 2);
    /* the second element's signature counts for nothing */
    deliver(t, "[{\"cool\":false},{\"cool\":true}]", SIGNATURE_TRUE);
    RN_TEST_TRUE(t, rn_test_emit_count(t) == 0);
    RN_TEST_CONTAINS(t, rn_test_response(t), "\"status\":401");
    finish(t);
}

static void metadata_comes_from_the_event(void **state)
{
    (void)state;
    static const char body[] =
        "{\"type\":\"track\",\"messageId\":\"m-1\",\"n\":12345678901234567890.10,"
        "\"timestamp\":\"2026-01-02T03:04:05.678Z\"}";
    struct rn_test *t = start_active();
    deliver(t, body, SIGNATURE_TRACK);
    RN_TEST_CONTAINS(t, rn_test_emits(t), "12345678901234567890.10");
    RN_TEST_CONTAINS(t, rn_test_emits(t), "\"id\":\"m-1\"");
    RN_TEST_CONTAINS(t, rn_test_emits(t), "\"summary\":\"Received track event\"");
    RN_TEST_CONTAINS(t, rn_test_emits(t), "\"ts\":1767323045678");
    finish(t);
}

static void signed_text_that_is_no_json_is_refused_for_good(void **state)
{
    (void)state;
    struct rn_test *t = start_active();
    deliver(t, "hello", SIGNATURE_HELLO);
    RN_TEST_CONTAINS(t, rn_test_response(t), "\"status\":400");
    RN_TEST_TRUE(t, rn_test_emit_count(t) == 0);
    finish(t);
}

static void source_without_a_secret_fails(void **state)
{
    (void)state;
    struct rn_test *t = start_config();
    const struct rn_test_request request = {.body = "{}"};
    RN_TEST_CODE(t, rn_test_source_request(t, KEY, &request), RN_ECONFIG);
    RN_TEST_TRUE(t, rn_test_response(t) == NULL);
    finish(t);
}

/* ------------------------------------------------------------- Config API */

#define ENABLED "{\"name\":\"" NAME "\",\"enabled\":true,\"config\":[]}"

/* The secret in the db, or "". */
static const char *secret_of(struct rn_test *t, char out[65])
{
    const char *at = strstr(rn_test_db(t), "\"secret\":\"");
    out[0] = '\0';
    if (at) {
        memcpy(out, at + strlen("\"secret\":\""), 64);
        out[64] = '\0';
    }
    return out;
}

static void config_activation(void **state)
{
    (void)state;
    char secret[65];
    struct rn_test *t = start_config();
    rn_test_expect_json(t, "POST", DESTINATIONS, NULL, 200, ENABLED);
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE));
    RN_TEST_TRUE(t, strlen(secret_of(t, secret)) == 64);
    RN_TEST_TRUE(t, strspn(secret, "0123456789abcdef") == 64);
    const char *sent = rn_test_requests(t);
    RN_TEST_CONTAINS(t, sent, secret);
    RN_TEST_CONTAINS(t, sent, "\\\"hook\\\":\\\"" ENDPOINT "\\\"");
    RN_TEST_CONTAINS(t, sent, "\\\"connection_mode\\\":\\\"UNSPECIFIED\\\"");
    RN_TEST_CONTAINS(t, sent, "\\\"enabled\\\":true");
    RN_TEST_CONTAINS(t, sent, NAME "/config/sharedSecret");
    RN_TEST_CONTAINS(t, sent, "Bearer token-1");

    /* and away: the only hook takes the destination with it */
    rn_test_expect_json(t, "GET", WEBHOOKS, NULL, 200,
                        "{\"name\":\"" NAME "\",\"enabled\":true,\"config\":[{\"name\":\"" NAME
                        "/config/hooks\",\"type\":\"mixed\",\"value\":[{\"hook\":\"" ENDPOINT
                        "\"}]}]}");
    rn_test_expect_json(t, "DELETE", WEBHOOKS, NULL, 200, "{}");
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_DEACTIVATE));
    RN_TEST_JSON(t, rn_test_db(t), "{}");
    finish(t);
}

static void config_refusal_leaves_nothing(void **state)
{
    (void)state;
    struct rn_test *t = start_config();
    rn_test_expect_json(t, "POST", DESTINATIONS, NULL, 403,
                        "{\"error\":\"insufficient scope\",\"code\":7}");
    RN_TEST_CODE(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE), RN_EHTTP);
    RN_TEST_CONTAINS(t, rn_test_error(t), "insufficient scope");
    RN_TEST_JSON(t, rn_test_db(t), "{}");
    finish(t);
}

static void config_second_request_refused_undoes_the_first(void **state)
{
    (void)state;
    struct rn_test *t = start_config();
    rn_test_expect_json(t, "POST", DESTINATIONS, NULL, 200,
                        "{\"name\":\"" NAME "\",\"enabled\":false}");
    rn_test_expect_json(t, "PATCH", WEBHOOKS, NULL, 400, "{\"error\":\"no such mode\",\"code\":3}");
    rn_test_expect_json(t, "DELETE", WEBHOOKS, NULL, 200, "{}");
    RN_TEST_CODE(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE), RN_EHTTP);
    RN_TEST_CONTAINS(t, rn_test_error(t), "no such mode");
    RN_TEST_JSON(t, rn_test_db(t), "{}");

    /* and when that is refused, too, the text says what is left */
    rn_test_expect_json(t, "POST", DESTINATIONS, NULL, 200,
                        "{\"name\":\"" NAME "\",\"enabled\":false}");
    rn_test_expect_json(t, "PATCH", WEBHOOKS, NULL, 400, "{\"error\":\"no such mode\",\"code\":3}");
    rn_test_expect_json(t, "DELETE", WEBHOOKS, NULL, 403, "{\"error\":\"not yours\",\"code\":7}");
    RN_TEST_CODE(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE), RN_EHTTP);
    RN_TEST_CONTAINS(t, rn_test_error(t), NAME);
    RN_TEST_CONTAINS(t, rn_test_error(t), "could not be deleted");
    finish(t);
}

#define SHARED(hooks_)                                                                             \
    "{\"name\":\"" NAME "\",\"enabled\":true,\"config\":[{\"name\":\"" NAME                        \
    "/config/sharedSecret\",\"type\":\"string\",\"value\":\"theirs\"},{\"name\":\"" NAME           \
    "/config/hooks\",\"type\":\"mixed\",\"value\":[" hooks_ "]}]}"
#define MASK "\"update_mask\":{\"paths\":[\"destination.enabled\",\"destination.config\"]}"
#define PATCH_BODY(hooks_) "{\"destination\":" SHARED(hooks_) "," MASK "}"
#define HOOK_OTHER "{\"hook\":\"https://other.test/\",\"headers\":[]}"
#define HOOK_OURS "{\"hook\":\"" ENDPOINT "\"}"

static void config_destination_is_shared(void **state)
{
    (void)state;
    struct rn_test *t = start_config();
    rn_test_expect_json(t, "POST", DESTINATIONS, NULL, 409, "{\"error\":\"exists\",\"code\":6}");
    rn_test_expect_json(t, "GET", WEBHOOKS, NULL, 200, SHARED(HOOK_OTHER));
    rn_test_expect_json(t, "PATCH", WEBHOOKS, PATCH_BODY(HOOK_OTHER "," HOOK_OURS), 200, ENABLED);
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE));
    RN_TEST_CONTAINS(t, rn_test_db(t), "\"secret\":\"theirs\"");

    rn_test_expect_json(t, "GET", WEBHOOKS, NULL, 200, SHARED(HOOK_OURS "," HOOK_OTHER));
    rn_test_expect_json(t, "PATCH", WEBHOOKS, PATCH_BODY(HOOK_OTHER), 200, ENABLED);
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_DEACTIVATE));
    RN_TEST_JSON(t, rn_test_db(t), "{}");
    finish(t);
}

/* A crash between Segment's answer and our commit: the hook is there, the db is empty. */
static void config_activation_is_repeatable(void **state)
{
    (void)state;
    struct rn_test *t = start_config();
    rn_test_expect_json(t, "POST", DESTINATIONS, NULL, 409, "{\"error\":\"exists\",\"code\":6}");
    rn_test_expect_json(t, "GET", WEBHOOKS, NULL, 200, SHARED(HOOK_OURS));
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE));
    RN_TEST_JSON(t, rn_test_db(t),
                 "{\"api\":\"config\",\"destinationId\":\"" NAME "\",\"endpoint\":\"" ENDPOINT
                 "\",\"secret\":\"theirs\"}");
    finish(t);
}

static void config_destination_without_a_secret_gets_one(void **state)
{
    (void)state;
    char secret[65];
    struct rn_test *t = start_config();
    rn_test_expect_json(t, "POST", DESTINATIONS, NULL, 409, "{\"error\":\"exists\",\"code\":6}");
    rn_test_expect_json(t, "GET", WEBHOOKS, NULL, 200, ENABLED);
    rn_test_expect_json(t, "PATCH", WEBHOOKS, NULL, 200, ENABLED);
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE));
    RN_TEST_TRUE(t, strlen(secret_of(t, secret)) == 64);
    RN_TEST_CONTAINS(t, rn_test_requests(t), secret);
    finish(t);
}

static void config_five_hooks_are_the_limit(void **state)
{
    (void)state;
    struct rn_test *t = start_config();
    rn_test_expect_json(t, "POST", DESTINATIONS, NULL, 409, "{\"error\":\"exists\",\"code\":6}");
    rn_test_expect_json(
        t, "GET", WEBHOOKS, NULL, 200,
        SHARED(HOOK_OTHER "," HOOK_OTHER "," HOOK_OTHER "," HOOK_OTHER "," HOOK_OTHER));
    RN_TEST_CODE(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE), RN_ECONFIG);
    RN_TEST_CONTAINS(t, rn_test_error(t), "five hooks");
    finish(t);
}

static void config_removal_of_what_is_gone(void **state)
{
    (void)state;
    struct rn_test *t = start_active();
    rn_test_expect_json(t, "GET", WEBHOOKS, NULL, 404, "{\"error\":\"not found\",\"code\":5}");
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_DEACTIVATE));
    RN_TEST_JSON(t, rn_test_db(t), "{}");

    finish(t);
    t = start_active();
    rn_test_expect_json(t, "GET", WEBHOOKS, NULL, 200, SHARED(HOOK_OTHER));
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_DEACTIVATE));
    RN_TEST_JSON(t, rn_test_db(t), "{}");
    finish(t);
}

static void source_ids_are_checked(void **state)
{
    (void)state;
    struct rn_test *t =
        start_segment("{\"workspace\":\"workspaces/acme\",\"source\":\"workspaces/../x?y\"}");
    RN_TEST_CODE(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE), RN_ECONFIG);
    finish(t);
    /* a slug under a workspace of the Config API */
    t = start_segment("{\"workspace\":\"workspaces/acme\",\"source\":\"web\"}");
    rn_test_expect_json(t, "POST", DESTINATIONS, NULL, 200, ENABLED);
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE));
    finish(t);
    t = start();
    rn_test_set_props(t, "{\"workspace\":\"w\",\"source\":\"s\"}");
    rn_test_set_auth(t, "segmentApp", "{\"write_key\":\"only\"}");
    RN_TEST_CODE(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE), RN_ECONFIG);
    RN_TEST_CONTAINS(t, rn_test_error(t), "access_token");
    finish(t);
}

/* ------------------------------------------------------------- Public API */

#define CATALOG PUBLIC "/catalog/destinations?pagination%5Bcount%5D=200"
#define WEBHOOK_ENTRY                                                                              \
    "{\"id\":\"m-hook\",\"slug\":\"actions-webhook\",\"actions\":[{\"id\":\"a-0\",\"slug\":"       \
    "\"other\"},{\"id\":\"a-send\",\"slug\":\"send\"}]}"
#define NO_DESTINATIONS "{\"data\":{\"destinations\":[],\"pagination\":{\"totalEntries\":0}}}"
#define LIST PUBLIC "/destinations?pagination%5Bcount%5D=200"

static void expect_catalog(struct rn_test *t)
{
    rn_test_expect_json(t, "GET", CATALOG, NULL, 200,
                        "{\"data\":{\"destinationsCatalog\":[{\"id\":\"x\",\"slug\":\"mixpanel\"}],"
                        "\"pagination\":{\"next\":\"c2\"}}}");
    rn_test_expect_json(t, "GET", CATALOG "&pagination%5Bcursor%5D=c2", NULL, 200,
                        "{\"data\":{\"destinationsCatalog\":[" WEBHOOK_ENTRY
                        "],\"pagination\":{}}}");
}

static void expect_subscription(struct rn_test *t, int32_t status, const char *answer)
{
    static const struct rn_pair headers[] = {
        {"Content-Type", "application/vnd.segment.v1alpha+json"}};
    const struct rn_test_exchange exchange = {.method = "POST",
                                              .url = PUBLIC "/destinations/d-1/subscriptions",
                                              .headers = headers,
                                              .header_count = 1,
                                              .status = status,
                                              .answer = answer};
    rn_test_expect(t, &exchange);
}

static void public_activation(void **state)
{
    (void)state;
    char secret[65];
    struct rn_test *t = start_public();
    expect_catalog(t);
    rn_test_expect_json(t, "GET", LIST, NULL, 200, NO_DESTINATIONS);
    rn_test_expect_json(t, "POST", PUBLIC "/destinations", NULL, 200,
                        "{\"data\":{\"destination\":{\"id\":\"d-1\"}}}");
    expect_subscription(t, 200, "{\"data\":{\"destinationSubscription\":{\"id\":\"sub-1\"}}}");
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE));
    RN_TEST_CONTAINS(t, rn_test_db(t), "\"destinationId\":\"d-1\"");
    RN_TEST_CONTAINS(t, rn_test_db(t), "\"subscriptionId\":\"sub-1\"");
    const char *sent = rn_test_requests(t);
    RN_TEST_CONTAINS(t, sent, secret_of(t, secret));
    RN_TEST_CONTAINS(t, sent, "\\\"metadataId\\\":\\\"m-hook\\\"");
    RN_TEST_CONTAINS(t, sent, "\\\"actionId\\\":\\\"a-send\\\"");
    RN_TEST_CONTAINS(t, sent, "\\\"data\\\":{\\\"@path\\\":\\\"$.\\\"}");
    RN_TEST_CONTAINS(t, sent, "\\\"url\\\":\\\"" ENDPOINT "\\\"");
    RN_TEST_CONTAINS(t, sent, "\\\"enable_batching\\\":false");
    RN_TEST_CONTAINS(t, sent, "or type = \\\\\\\"alias\\\\\\\"");

    rn_test_expect_json(t, "DELETE", PUBLIC "/destinations/d-1/subscriptions/sub-1", NULL, 200,
                        "{\"data\":{\"status\":\"SUCCESS\"}}");
    rn_test_expect_json(t, "DELETE", PUBLIC "/destinations/d-1", NULL, 200,
                        "{\"data\":{\"status\":\"SUCCESS\"}}");
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_DEACTIVATE));
    RN_TEST_JSON(t, rn_test_db(t), "{}");
    finish(t);
}

static void public_second_request_refused_undoes_the_first(void **state)
{
    (void)state;
    struct rn_test *t = start_public();
    expect_catalog(t);
    rn_test_expect_json(t, "GET", LIST, NULL, 200, NO_DESTINATIONS);
    rn_test_expect_json(t, "POST", PUBLIC "/destinations", NULL, 200,
                        "{\"data\":{\"destination\":{\"id\":\"d-1\"}}}");
    expect_subscription(t, 403,
                        "{\"errors\":[{\"type\":\"forbidden\",\"message\":\"feature is off\"}]}");
    rn_test_expect_json(t, "DELETE", PUBLIC "/destinations/d-1", NULL, 200,
                        "{\"data\":{\"status\":\"SUCCESS\"}}");
    RN_TEST_CODE(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE), RN_EHTTP);
    RN_TEST_CONTAINS(t, rn_test_error(t), "feature is off");
    RN_TEST_JSON(t, rn_test_db(t), "{}");
    finish(t);
}

/* Five subscriptions a minute: the API says in its answer, in no header, when to come again. */
static void public_limit_is_waited_for(void **state)
{
    (void)state;
    static const char limited[] =
        "{\"errors\":[{\"type\":\"RequestError\",\"message\":\"Too many requests\",\"data\":"
        "{\"remainingPoints\":0,\"msBeforeNext\":17647,\"consumedPoints\":6}}]}";
    struct rn_test *t = start_public();
    rn_test_set_timeout(t, 60000);
    expect_catalog(t);
    rn_test_expect_json(t, "GET", LIST, NULL, 200, NO_DESTINATIONS);
    rn_test_expect_json(t, "POST", PUBLIC "/destinations", NULL, 200,
                        "{\"data\":{\"destination\":{\"id\":\"d-1\"}}}");
    expect_subscription(t, 429, limited);
    expect_subscription(t, 200, "{\"data\":{\"destinationSubscription\":{\"id\":\"sub-1\"}}}");
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE));
    RN_TEST_TRUE(t, rn_test_slept_ms(t) >= 17647 && rn_test_slept_ms(t) < 19000);
    /* longer than the call has: undone, and given back as a limit */
    rn_test_set_db(t, "{}");
    rn_test_set_timeout(t, 10000);
    expect_catalog(t);
    rn_test_expect_json(t, "GET", LIST, NULL, 200, NO_DESTINATIONS);
    rn_test_expect_json(t, "POST", PUBLIC "/destinations", NULL, 200,
                        "{\"data\":{\"destination\":{\"id\":\"d-1\"}}}");
    expect_subscription(t, 429, limited);
    rn_test_expect_json(t, "DELETE", PUBLIC "/destinations/d-1", NULL, 200,
                        "{\"data\":{\"status\":\"SUCCESS\"}}");
    RN_TEST_CODE(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE), RN_ERATE);
    RN_TEST_JSON(t, rn_test_db(t), "{}");
    finish(t);
}

/* The destination that a crash left behind has our mark in its name: it is replaced; others stay.
 */
static void public_leftover_is_replaced(void **state)
{
    (void)state;
    struct rn_test *t = start_public();
    expect_catalog(t);
    rn_test_expect_json(t, "GET", LIST, NULL, 403, "{\"errors\":[{\"message\":\"may not list\"}]}");
    rn_test_expect_json(t, "POST", PUBLIC "/destinations", NULL, 200,
                        "{\"data\":{\"destination\":{\"id\":\"d-1\"}}}");
    expect_subscription(t, 200, "{\"data\":{\"destinationSubscription\":{\"id\":\"sub-1\"}}}");
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE));
    char name[64] = "", list[512];
    const char *at = strstr(rn_test_requests(t), "\\\"name\\\":\\\"runnel ");
    assert_non_null(at);
    memcpy(name, at + strlen("\\\"name\\\":\\\""), strlen("runnel 12345678"));
    finish(t);

    (void)snprintf(
        list, sizeof(list),
        "{\"data\":{\"destinations\":[{\"id\":\"d-7\",\"name\":\"%s\",\"sourceId\":\"s2\"},"
        "{\"id\":\"d-8\",\"name\":\"Mine\",\"sourceId\":\"s1\"},"
        "{\"id\":\"d-9\",\"name\":\"%s\",\"sourceId\":\"s1\"}]}}",
        name, name);
    t = start_public();
    expect_catalog(t);
    rn_test_expect_json(t, "GET", LIST, NULL, 200, list);
    rn_test_expect_json(t, "DELETE", PUBLIC "/destinations/d-9", NULL, 200, "{\"data\":{}}");
    rn_test_expect_json(t, "POST", PUBLIC "/destinations", NULL, 200,
                        "{\"data\":{\"destination\":{\"id\":\"d-1\"}}}");
    expect_subscription(t, 200, "{\"data\":{\"destinationSubscription\":{\"id\":\"sub-1\"}}}");
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE));
    finish(t);
}

static void public_removal_of_what_is_gone(void **state)
{
    (void)state;
    struct rn_test *t = start_public();
    rn_test_set_db(t, "{\"api\":\"public\",\"secret\":\"x\",\"destinationId\":\"d-1\","
                      "\"subscriptionId\":\"sub-1\",\"endpoint\":\"" ENDPOINT "\"}");
    rn_test_expect_json(t, "DELETE", PUBLIC "/destinations/d-1/subscriptions/sub-1", NULL, 404,
                        "{\"errors\":[{\"status\":404}]}");
    rn_test_expect_json(t, "DELETE", PUBLIC "/destinations/d-1", NULL, 404,
                        "{\"errors\":[{\"status\":404}]}");
    RN_TEST_OK(t, rn_test_hook(t, KEY, RN_TEST_DEACTIVATE));
    RN_TEST_JSON(t, rn_test_db(t), "{}");
    finish(t);
}

static void public_catalog_without_webhooks(void **state)
{
    (void)state;
    struct rn_test *t = start_public();
    rn_test_expect_json(t, "GET", CATALOG, NULL, 200,
                        "{\"data\":{\"destinationsCatalog\":[],\"pagination\":{}}}");
    RN_TEST_CODE(t, rn_test_hook(t, KEY, RN_TEST_ACTIVATE), RN_ENOTFOUND);
    RN_TEST_CONTAINS(t, rn_test_error(t), "actions-webhook");
    finish(t);
}

/* ---------------------------------------------------------------- options */

static void workspace_options(void **state)
{
    (void)state;
    static const char workspace[] =
        "{\"data\":{\"workspace\":{\"id\":\"w1\",\"slug\":\"acme\",\"name\":\"Acme\"}}}";
    static const char list[] = "{\"workspaces\":[{\"name\":\"acme\",\"display_name\":\"Acme\"}]}";
    struct rn_test *t = start_segment("{}");
    rn_test_expect_json(t, "GET", PUBLIC "/", NULL, 200, workspace);
    rn_test_expect_json(t, "GET", CONFIG "workspaces?page_size=100", NULL, 200, list);
    RN_TEST_OK(t, rn_test_options(t, KEY, "workspace", 0, NULL, NULL));
    RN_TEST_JSON(t, rn_test_offered(t),
                 "[{\"label\":\"Acme\",\"value\":\"w1\"},"
                 "{\"label\":\"Acme (Config API)\",\"value\":\"workspaces/acme\"}]");

    rn_test_expect_json(t, "GET", PUBLIC "/", NULL, 401, "{\"errors\":[]}");
    rn_test_expect_json(t, "GET", CONFIG "workspaces?page_size=100", NULL, 200, list);
    RN_TEST_OK(t, rn_test_options(t, KEY, "workspace", 0, NULL, NULL));
    RN_TEST_TRUE(t, count_of(rn_test_offered(t), "\"value\"") == 1);

    rn_test_expect_json(t, "GET", PUBLIC "/", NULL, 401, "{\"errors\":[]}");
    rn_test_expect_json(t, "GET", CONFIG "workspaces?page_size=100", NULL, 401,
                        "{\"error\":\"bad token\",\"code\":16}");
    RN_TEST_CODE(t, rn_test_options(t, KEY, "workspace", 0, NULL, NULL), RN_EAUTH);

    rn_test_set_props(t, "{\"api\":\"public\"}");
    rn_test_expect_json(t, "GET", PUBLIC "/", NULL, 200, workspace);
    RN_TEST_OK(t, rn_test_options(t, KEY, "workspace", 0, NULL, NULL));
    RN_TEST_JSON(t, rn_test_offered(t), "[{\"label\":\"Acme\",\"value\":\"w1\"}]");
    finish(t);
}

static void source_options_page_and_search(void **state)
{
    (void)state;
    struct rn_test *t = start_segment("{\"workspace\":\"workspaces/acme\"}");
    rn_test_expect_json(t, "GET", CONFIG "workspaces/acme/sources?page_size=100", NULL, 200,
                        "{\"sources\":[{\"name\":\"" SOURCE
                        "\"},{\"name\":\"workspaces/acme/sources/ios\"}],"
                        "\"next_page_token\":\"p2\"}");
    RN_TEST_OK(t, rn_test_options(t, KEY, "source", 0, NULL, NULL));
    RN_TEST_JSON(t, rn_test_offered(t),
                 "[{\"label\":\"web\",\"value\":\"" SOURCE "\"},"
                 "{\"label\":\"ios\",\"value\":\"workspaces/acme/sources/ios\"}]");
    RN_TEST_JSON(t, rn_test_context(t), "{\"pageToken\":\"p2\"}");
    rn_test_expect_json(t, "GET", CONFIG "workspaces/acme/sources?page_size=100&page_token=p2",
                        NULL, 200,
                        "{\"sources\":[{\"name\":\"workspaces/acme/sources/Android\"},"
                        "{\"name\":\"workspaces/acme/sources/tv\"}],\"next_page_token\":\"\"}");
    RN_TEST_OK(t, rn_test_options(t, KEY, "source", 1, "droid", "{\"pageToken\":\"p2\"}"));
    RN_TEST_JSON(t, rn_test_offered(t),
                 "[{\"label\":\"Android\",\"value\":\"workspaces/acme/sources/Android\"}]");
    RN_TEST_TRUE(t, rn_test_context(t) == NULL);

    rn_test_set_props(t, "{\"workspace\":\"w1\"}");
    rn_test_expect_json(
        t, "GET", PUBLIC "/sources?pagination%5Bcount%5D=100&pagination%5Bcursor%5D=c9", NULL, 200,
        "{\"data\":{\"sources\":[{\"id\":\"s1\",\"slug\":\"web\",\"name\":\"Web\"}],"
        "\"pagination\":{\"next\":\"c10\"}}}");
    RN_TEST_OK(t, rn_test_options(t, KEY, "source", 1, NULL, "{\"cursor\":\"c9\"}"));
    RN_TEST_JSON(t, rn_test_offered(t), "[{\"label\":\"Web\",\"value\":\"s1\"}]");
    RN_TEST_JSON(t, rn_test_context(t), "{\"cursor\":\"c10\"}");
    finish(t);
}

static void account_test(void **state)
{
    (void)state;
    struct rn_test *t = start_segment("{}");
    rn_test_expect_json(t, "GET", PUBLIC "/", NULL, 200,
                        "{\"data\":{\"workspace\":{\"id\":\"w\"}}}");
    RN_TEST_OK(t, rn_test_account(t, "segment"));
    rn_test_expect_json(t, "GET", PUBLIC "/", NULL, 401, "{}");
    rn_test_expect_json(t, "GET", CONFIG "workspaces?page_size=100", NULL, 401, "{}");
    RN_TEST_CODE(t, rn_test_account(t, "segment"), RN_EAUTH);
    finish(t);
}

/* ---------------------------------------------------------------- actions */

static void track_is_sent(void **state)
{
    (void)state;
    /* base64 of "key-1:" */
    static const struct rn_pair headers[] = {{"Authorization", "Basic a2V5LTE6"}};
    struct rn_test *t = start_segment(
        "{\"event\":\"Order\",\"userId\":\"u1\",\"properties\":{\"id\":9007199254740993},"
        "\"timestamp\":\"2026-01-02T03:04:05Z\"}");
    const struct rn_test_exchange exchange = {.method = "POST",
                                              .url = "https://api.segment.io/v1/track",
                                              .headers = headers,
                                              .header_count = 1,
                                              .answer = "{\"success\":true}"};
    rn_test_expect(t, &exchange);
    RN_TEST_OK(t, rn_test_action(t, "segment-track"));
    RN_TEST_JSON(t, rn_test_export(t, "$return_value"), "{\"success\":true}");
    RN_TEST_CONTAINS(t, rn_test_export(t, "$summary"), "Successfully sent track event ");
    RN_TEST_CONTAINS(t, rn_test_requests(t), "9007199254740993");
    RN_TEST_CONTAINS(t, rn_test_requests(t), "\\\"messageId\\\":\\\"");

    /* the second attempt of the same step carries the same messageId */
    char first[4096], *cut;
    (void)snprintf(first, sizeof(first), "%s", strstr(rn_test_requests(t), "messageId"));
    cut = strchr(first, '}');
    assert_non_null(cut);
    *cut = '\0';
    rn_test_clear_requests(t);
    rn_test_set_attempt(t, 2);
    rn_test_expect(t, &exchange);
    RN_TEST_OK(t, rn_test_action(t, "segment-track"));
    RN_TEST_CONTAINS(t, rn_test_requests(t), first);
    finish(t);
}

static void each_action_has_its_path(void **state)
{
    (void)state;
    static const char *const actions[][3] = {
        {"segment-identify", "identify", "{\"userId\":\"u\",\"traits\":{\"email\":\"a@b.c\"}}"},
        {"segment-group", "group", "{\"anonymousId\":\"a\",\"groupId\":\"g\"}"},
        {"segment-alias", "alias", "{\"previousId\":\"p\",\"userId\":\"u\"}"},
        {"segment-page", "page", "{\"userId\":\"u\",\"name\":\"Home\"}"},
        {"segment-screen", "screen", "{\"userId\":\"u\",\"name\":\"Start\"}"},
    };
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        char url[128];
        struct rn_test *t = start_segment(actions[i][2]);
        (void)snprintf(url, sizeof(url), "https://api.segment.io/v1/%s", actions[i][1]);
        rn_test_expect_json(t, "POST", url, NULL, 200, "{\"success\":true}");
        RN_TEST_OK(t, rn_test_action(t, actions[i][0]));
        rn_test_set_auth(t, "segmentApp", "{\"write_key\":\"k\",\"region\":\"eu\"}");
        (void)snprintf(url, sizeof(url), "https://events.eu1.segmentapis.com/v1/%s", actions[i][1]);
        rn_test_expect_json(t, "POST", url, NULL, 200, "{\"success\":true}");
        RN_TEST_OK(t, rn_test_action(t, actions[i][0]));
        finish(t);
    }
}

static void events_are_checked_before_they_are_sent(void **state)
{
    (void)state;
    static char big[34 * 1024];
    struct rn_test *t = start_segment("{\"event\":\"x\"}");
    RN_TEST_CODE(t, rn_test_action(t, "segment-track"), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "anonymousId");
    rn_test_set_props(t, "{\"event\":\"\",\"userId\":\"u\"}");
    RN_TEST_CODE(t, rn_test_action(t, "segment-track"), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "event is empty");
    rn_test_set_props(t, "{\"event\":\"x\",\"userId\":\"u\",\"timestamp\":\"yesterday\"}");
    RN_TEST_CODE(t, rn_test_action(t, "segment-track"), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "yesterday");
    int n =
        snprintf(big, sizeof(big), "{\"event\":\"x\",\"userId\":\"u\",\"properties\":{\"t\":\"");
    memset(big + n, 'x', 33 * 1024);
    (void)snprintf(big + n + 33 * 1024, sizeof(big) - (size_t)n - 33 * 1024, "\"}}");
    rn_test_set_props(t, big);
    RN_TEST_CODE(t, rn_test_action(t, "segment-track"), RN_ETOOBIG);
    rn_test_set_props(t, "{\"event\":\"x\",\"userId\":\"u\"}");
    rn_test_set_auth(t, "segmentApp", "{\"access_token\":\"t\"}");
    RN_TEST_CODE(t, rn_test_action(t, "segment-track"), RN_ECONFIG);
    finish(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signed_event_is_emitted),
        cmocka_unit_test(bad_signature_is_refused),
        cmocka_unit_test(batch_is_signed_by_its_first_element),
        cmocka_unit_test(metadata_comes_from_the_event),
        cmocka_unit_test(signed_text_that_is_no_json_is_refused_for_good),
        cmocka_unit_test(source_without_a_secret_fails),
        cmocka_unit_test(config_activation),
        cmocka_unit_test(config_refusal_leaves_nothing),
        cmocka_unit_test(config_second_request_refused_undoes_the_first),
        cmocka_unit_test(config_destination_is_shared),
        cmocka_unit_test(config_activation_is_repeatable),
        cmocka_unit_test(config_destination_without_a_secret_gets_one),
        cmocka_unit_test(config_five_hooks_are_the_limit),
        cmocka_unit_test(config_removal_of_what_is_gone),
        cmocka_unit_test(source_ids_are_checked),
        cmocka_unit_test(public_activation),
        cmocka_unit_test(public_second_request_refused_undoes_the_first),
        cmocka_unit_test(public_limit_is_waited_for),
        cmocka_unit_test(public_leftover_is_replaced),
        cmocka_unit_test(public_removal_of_what_is_gone),
        cmocka_unit_test(public_catalog_without_webhooks),
        cmocka_unit_test(workspace_options),
        cmocka_unit_test(source_options_page_and_search),
        cmocka_unit_test(account_test),
        cmocka_unit_test(track_is_sent),
        cmocka_unit_test(each_action_has_its_path),
        cmocka_unit_test(events_are_checked_before_they_are_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
