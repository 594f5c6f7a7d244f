/* The HTTP plugin: two sources and three actions. */
#include "component_test.h"

static void deliver(struct rn_test *t, const char *key, const char *method, const char *path,
                    const char *body)
{
    static const struct rn_pair headers[] = {{"Content-Type", "application/json"}};
    const struct rn_test_request request = {.method = method,
                                            .path = path,
                                            .headers = headers,
                                            .header_count = body ? 1 : 0,
                                            .body = body,
                                            .size = body ? strlen(body) : 0};
    RN_TEST_OK(t, rn_test_source_request(t, key, &request));
}

/* ---------------------------------------------------------------- sources */

static void new_requests(void **state)
{
    (void)state;
    struct rn_test *t = start();
    deliver(t, "http-new-requests", "POST", "/orders", "{\"id\":9007199254740993}");
    RN_TEST_TRUE(t, rn_test_emit_count(t) == 1);
    RN_TEST_CONTAINS(t, rn_test_emits(t), "\"summary\":\"POST /orders\"");
    RN_TEST_CONTAINS(t, rn_test_emits(t), "\"body\":{\"id\":9007199254740993}");
    RN_TEST_CONTAINS(t, rn_test_emits(t), "\"bodyRaw\":\"{\\\"id\\\":9007199254740993}\"");
    RN_TEST_JSON(t, rn_test_response(t),
                 "{\"status\":200,\"headers\":{\"content-type\":\"application/json\"},"
                 "\"body\":\"{ \\\"success\\\": true }\"}");

    rn_test_set_props(
        t, "{\"emitBodyOnly\":true,\"resStatusCode\":\"202\",\"resContentType\":\"text/plain\","
           "\"resBody\":\"got it\"}");
    deliver(t, "http-new-requests", "POST", "/", "{\"id\":1.10}");
    RN_TEST_JSON(t, rn_test_emits(t), "[{\"event\":{\"id\":1.10},\"summary\":\"POST /\"}]");
    RN_TEST_JSON(
        t, rn_test_response(t),
        "{\"status\":202,\"headers\":{\"content-type\":\"text/plain\"},\"body\":\"got it\"}");
    finish(t);
}

static void wrong_status_is_the_users_mistake(void **state)
{
    (void)state;
    static const char *const wrong[] = {"{\"resStatusCode\":\"ok\"}", "{\"resStatusCode\":\"99\"}",
                                        "{\"resStatusCode\":\"600\"}",
                                        "{\"resStatusCode\":\"200.5\"}"};
    const struct rn_test_request request = {.body = "x"};
    struct rn_test *t = start();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        rn_test_set_props(t, wrong[i]);
        RN_TEST_CODE(t, rn_test_source_request(t, "http-new-requests", &request), RN_ECONFIG);
        RN_TEST_CONTAINS(t, rn_test_error(t), "resStatusCode");
        RN_TEST_CODE(t, rn_test_source_request(t, "http-webhook", &request), RN_ECONFIG);
    }
    finish(t);
}

static void webhook_takes_only_its_methods(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_set_props(t, "{\"httpMethod\":[\"POST\",\"PUT\"]}");
    deliver(t, "http-webhook", "GET", "/", NULL);
    RN_TEST_TRUE(t, rn_test_emit_count(t) == 0);
    RN_TEST_JSON(t, rn_test_response(t),
                 "{\"status\":405,\"headers\":{\"content-type\":\"application/"
                 "json\",\"allow\":\"POST, PUT\"},"
                 "\"body\":\"{\\\"error\\\":\\\"Method Not Allowed\\\",\\\"message\\\":"
                 "\\\"This webhook accepts POST, PUT\\\"}\"}");
    deliver(t, "http-webhook", "PUT", "/", "{}");
    RN_TEST_TRUE(t, rn_test_emit_count(t) == 1);
    RN_TEST_CONTAINS(t, rn_test_response(t), "\"status\":200");
    finish(t);
}

static void webhook_emits_what_is_chosen(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_set_props(t,
                      "{\"emitData\":\"body\",\"resRespond\":\"noBody\",\"resStatusCode\":\"202\","
                      "\"summary\":\"item ${body.item.id} of ${ method }${body.none}\"}");
    deliver(t, "http-webhook", "POST", "/", "{\"item\":{\"id\":7}}");
    RN_TEST_JSON(t, rn_test_emits(t),
                 "[{\"event\":{\"item\":{\"id\":7}},\"summary\":\"item 7 of POST\"}]");
    RN_TEST_JSON(t, rn_test_response(t), "{\"status\":202,\"headers\":{},\"body\":\"\"}");

    rn_test_set_props(
        t, "{\"emitData\":\"bodyRaw\",\"resStatusCode\":\"204\",\"summary\":\"${ unfinished\"}");
    deliver(t, "http-webhook", "POST", "/", " {\"a\": 1} ");
    RN_TEST_JSON(t, rn_test_emits(t),
                 "[{\"event\":{\"bodyRaw\":\" {\\\"a\\\": 1} \"},\"summary\":\"${ unfinished\"}]");
    RN_TEST_JSON(t, rn_test_response(t), "{\"status\":204,\"headers\":{},\"body\":\"\"}");
    finish(t);
}

/* ---------------------------------------------------------------- actions */

static void custom_request(void **state)
{
    (void)state;
    static const struct rn_pair headers[] = {{"X-One", "1"}, {"Authorization", "Bearer tok"}};
    static const struct rn_pair answer_headers[] = {{"X-Trace", "t-1"}};
    const struct rn_test_exchange exchange = {.method = "PUT",
                                              .url = "https://api.test/items?a=b%20c",
                                              .headers = headers,
                                              .header_count = 2,
                                              .body = "{\"n\":1}",
                                              .status = 201,
                                              .answer_headers = answer_headers,
                                              .answer_header_count = 1,
                                              .answer = "{\"ok\":true}"};
    struct rn_test *t = start();
    rn_test_set_props(
        t, "{\"includeHeaders\":true,\"httpRequest\":{\"method\":\"PUT\",\"url\":"
           "\"https://api.test/items\",\"params\":[{\"name\":\"a\",\"value\":\"b c\"}],"
           "\"headers\":[{\"name\":\"X-One\",\"value\":\"1\"}],\"auth\":{\"type\":\"bearer\","
           "\"token\":\"tok\"},\"body\":{\"mode\":\"raw\",\"contentType\":\"application/json\","
           "\"raw\":\"{\\\"n\\\":1}\"}}}");
    rn_test_expect(t, &exchange);
    RN_TEST_OK(t, rn_test_action(t, "http-custom-request"));
    RN_TEST_JSON(t, rn_test_export(t, "$return_value"), "{\"ok\":true}");
    RN_TEST_JSON(t, rn_test_export(t, "$summary"), "\"Request answered with status 201\"");
    RN_TEST_CONTAINS(t, rn_test_export(t, "headers"), "\"x-trace\":\"t-1\"");

    rn_test_expect_json(t, "PUT", NULL, NULL, 500, "{\"message\":\"broken\"}");
    RN_TEST_CODE(t, rn_test_action(t, "http-custom-request"), RN_EUNAVAILABLE);
    RN_TEST_CONTAINS(t, rn_test_error(t), "broken");
    finish(t);
}

static void get_request(void **state)
{
    (void)state;
    /* base64 of "ann:pw" */
    static const struct rn_pair headers[] = {{"Authorization", "Basic YW5uOnB3"}, {"X-Two", "2"}};
    const struct rn_test_exchange exchange = {.method = "GET",
                                              .url =
                                                  "https://api.test/find?q=a%26b&tag=x&tag=y&n=5",
                                              .headers = headers,
                                              .header_count = 2,
                                              .answer = "plain text"};
    struct rn_test *t = start();
    rn_test_set_props(
        t,
        "{\"url\":\"https://api.test/"
        "find\",\"params\":{\"q\":\"a&b\",\"tag\":[\"x\",\"y\"],\"n\":5,"
        "\"none\":null},\"headers\":{\"X-Two\":\"2\"},\"username\":\"ann\",\"password\":\"pw\"}");
    rn_test_expect(t, &exchange);
    RN_TEST_OK(t, rn_test_action(t, "http-get-request"));
    RN_TEST_JSON(t, rn_test_export(t, "$return_value"), "\"plain text\"");

    rn_test_set_props(t, "{}");
    RN_TEST_CODE(t, rn_test_action(t, "http-get-request"), RN_ECONFIG);
    rn_test_set_props(t, "{\"httpRequest\":{\"method\":\"GET\",\"url\":\"https://api.test/x\"}}");
    rn_test_expect_json(t, "GET", "https://api.test/x", NULL, 404, "gone");
    RN_TEST_CODE(t, rn_test_action(t, "http-get-request"), RN_EHTTP);
    RN_TEST_CONTAINS(t, rn_test_error(t), "gone");
    finish(t);
}

static void expect_post(struct rn_test *t, const char *type, const char *body)
{
    const struct rn_pair headers[] = {{"Content-Type", type}};
    const struct rn_test_exchange exchange = {.method = "POST",
                                              .url = "https://api.test/in",
                                              .headers = headers,
                                              .header_count = 1,
                                              .body = body,
                                              .answer = "{}"};
    rn_test_expect(t, &exchange);
}

static void post_request(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_set_props(t,
                      "{\"url\":\"https://api.test/in\",\"data\":{\"id\":12345678901234567890}}");
    expect_post(t, "application/json", NULL);
    RN_TEST_OK(t, rn_test_action(t, "http-post-request"));
    RN_TEST_CONTAINS(t, rn_test_requests(t), "12345678901234567890");

    rn_test_set_prop(t, "data", "\"{\\\"a\\\": 1}\"");
    expect_post(t, "application/json", "{\"a\": 1}");
    RN_TEST_OK(t, rn_test_action(t, "http-post-request"));
    rn_test_set_prop(t, "data", "\"just text\"");
    expect_post(t, "text/plain; charset=utf-8", "just text");
    RN_TEST_OK(t, rn_test_action(t, "http-post-request"));
    rn_test_set_prop(t, "headers", "{\"content-TYPE\":\"application/xml\"}");
    expect_post(t, "application/xml", "just text");
    RN_TEST_OK(t, rn_test_action(t, "http-post-request"));
    const struct rn_test_exchange lost = {.method = "POST", .error = RN_EUNKNOWN};
    rn_test_expect(t, &lost);
    RN_TEST_CODE(t, rn_test_action(t, "http-post-request"), RN_EUNKNOWN);
    finish(t);
}

static void watched_url_emits_changes(void **state)
{
    (void)state;
    static const char *const answers[] = {"{\"v\":1}", "{\"v\":1}", "{\"v\":2}", "{\"v\":1}"};
    struct rn_test *t = start();
    rn_test_set_props(t, "{\"url\":\"https://example.test/v\",\"emitBodyOnly\":true}");
    for (size_t i = 0; i < 4; i++) {
        rn_test_expect_json(t, "GET", "https://example.test/v", NULL, 200, answers[i]);
        RN_TEST_OK(t, rn_test_source_event(t, "http-watch-url",
                                           "{\"timestamp\":1700000000,\"interval_seconds\":900}"));
        RN_TEST_TRUE(t, rn_test_emit_count(t) == (i == 1 ? 0 : 1));
    }
    RN_TEST_CONTAINS(t, rn_test_emits(t), "\"event\":{\"v\":1}");
    RN_TEST_CONTAINS(t, rn_test_emits(t), "\"id\":\"3-");
    rn_test_set_props(t, "{\"url\":\"https://example.test/v\",\"emitAsArray\":true}");
    rn_test_expect_json(t, "GET", "https://example.test/v", NULL, 200, "[1,{\"a\":2}]");
    RN_TEST_OK(t, rn_test_source_event(t, "http-watch-url", "{\"timestamp\":1}"));
    RN_TEST_CONTAINS(t, rn_test_emits(t), "\"event\":{\"data\":{\"a\":2},\"status\":200}");
    rn_test_expect_json(t, "GET", "https://example.test/v", NULL, 200, "{}");
    RN_TEST_CODE(t, rn_test_source_event(t, "http-watch-url", "{\"timestamp\":1}"), RN_ECONFIG);
    rn_test_expect_json(t, "GET", "https://example.test/v", NULL, 404, "{}");
    RN_TEST_TRUE(t, rn_test_source_event(t, "http-watch-url", "{\"timestamp\":1}") != 0);
    finish(t);
}

static void an_action_answers_for_its_workflow(void **state)
{
    (void)state;
    struct rn_test *t = start();
    RN_TEST_OK(t, rn_test_action(t, "http-return-http-response"));
    RN_TEST_JSON(t, rn_test_response(t),
                 "{\"status\":200,\"headers\":{\"content-type\":\"application/json\"},"
                 "\"body\":\"{ \\\"success\\\": true }\"}");
    rn_test_set_props(t, "{\"resStatusCode\":404,\"resBody\":\"gone\",\"resHeaders\":{\"x-a\":1}}");
    RN_TEST_OK(t, rn_test_action(t, "http-return-http-response"));
    RN_TEST_JSON(t, rn_test_response(t),
                 "{\"status\":404,\"headers\":{\"x-a\":\"1\",\"content-type\":\"text/plain; "
                 "charset=utf-8\"},\"body\":\"gone\"}");
    rn_test_set_props(t, "{\"resBody\":{\"$base64\":\"aGk=\",\"mimetype\":\"image/png\"}}");
    RN_TEST_OK(t, rn_test_action(t, "http-return-http-response"));
    RN_TEST_JSON(t, rn_test_response(t),
                 "{\"status\":200,\"headers\":{\"content-type\":\"image/png\"},\"body\":\"hi\"}");
    rn_test_set_props(t, "{\"resHeaders\":{\"bad name\":\"x\"}}");
    RN_TEST_CODE(t, rn_test_action(t, "http-return-http-response"), RN_EINVAL);
    finish(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watched_url_emits_changes),
        cmocka_unit_test(an_action_answers_for_its_workflow),
        cmocka_unit_test(new_requests),
        cmocka_unit_test(wrong_status_is_the_users_mistake),
        cmocka_unit_test(webhook_takes_only_its_methods),
        cmocka_unit_test(webhook_emits_what_is_chosen),
        cmocka_unit_test(custom_request),
        cmocka_unit_test(get_request),
        cmocka_unit_test(post_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
