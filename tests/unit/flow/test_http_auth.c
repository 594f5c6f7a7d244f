/* Signatures of the vendors. GitHub's and Standard Webhooks' are their own published examples, the
 * one with version and timestamp is Slack's, read as a scheme of one's own. Stripe and Segment
 * publish no complete example: theirs were made with Python's hmac from what their documentation
 * says is signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "flow/http_auth.h"
#include "flow/http_trigger.h"

#define STRIPE "2a797cc659c03c9f53fcdfc8ef3fa07da22374e002bef5b95c10bd158523d5d2"
#define SEGMENT "d41a04064038d281ef9724df2beba323c950cdce"

struct given {
    const char *names[4], *values[4];
    const char *body;
    int64_t now_ms;
};

static int check(const char *config, const struct given *given, struct err *err)
{
    struct json *json = NULL;
    struct http_auth auth;
    const struct json *where = NULL;
    struct http_header headers[4];
    struct http_request request = {.method = "POST", .headers = headers, .path = STR("/")};
    *err = (struct err)ERR_INIT;
    assert_int_equal(json_parse(str_from(config), &json, err), 0);
    if (http_auth_parse(json, false, &auth, &where, err))
        fail_msg("%s: %s", config, err->text);
    while (request.header_count < 4 && given->names[request.header_count]) {
        headers[request.header_count] =
            (struct http_header){str_from(given->names[request.header_count]),
                                 str_from(given->values[request.header_count])};
        request.header_count++;
    }
    request.body = str_from(given->body);
    int rc = http_auth_check(&auth, &request, STR("/"), given->now_ms, err);
    http_auth_release(&auth);
    json_free(json);
    return rc;
}

/* The example passes; with another body, another secret or without the header it does not. */
static void check_scheme(const char *config, const char *other_secret, struct given given)
{
    struct err err = ERR_INIT;
    if (check(config, &given, &err))
        fail_msg("%s: %s", config, err.text);
    struct given changed = given;
    changed.body = "{\"test\": 2432232315}";
    assert_int_equal(check(config, &changed, &err), RN_EAUTH);
    assert_int_equal(check(other_secret, &given, &err), RN_EAUTH);
    changed = given;
    changed.names[0] = "x-other";
    assert_int_equal(check(config, &changed, &err), RN_EAUTH);
    assert_non_null(strstr(err.text, given.names[0]));
    changed = given;
    char cut[256];
    (void)snprintf(cut, sizeof(cut), "%.*s", (int)strlen(given.values[0]) - 2, given.values[0]);
    changed.values[0] = cut;
    assert_int_equal(check(config, &changed, &err), RN_EAUTH);
}

static void test_github(void **state)
{
    (void)state;
    check_scheme(
        "{\"github\":{\"secret\":\"It's a Secret to Everybody\"}}", "{\"github\":\"another\"}",
        (struct given){
            .names = {"x-hub-signature-256"},
            .values = {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
            .body = "Hello, World!"});
}

static void test_standard_webhooks(void **state)
{
    const struct given given = {.names = {"webhook-signature", "webhook-id", "webhook-timestamp"},
                                .values = {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                                           "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"},
                                .body = "{\"test\": 2432232314}",
                                .now_ms = 1614265330000};
    const char *config =
        "{\"standard-webhooks\":{\"secret\":\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"}}";
    struct err err;
    (void)state;
    check_scheme(config, "{\"standard-webhooks\":\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx\"}",
                 given);
    struct given changed = given;
    changed.values[0] = "v1a,AAAA v1,dGhlIG90aGVyIG9uZQ== "
                        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_int_equal(check(config, &changed, &err), 0);
    changed = given;
    changed.now_ms += 299000;
    assert_int_equal(check(config, &changed, &err), 0);
    changed.now_ms += 2000;
    assert_int_equal(check(config, &changed, &err), RN_EAUTH);
    assert_non_null(strstr(err.text, "301s away"));
    changed.now_ms = given.now_ms - 301000;
    assert_int_equal(check(config, &changed, &err), RN_EAUTH);
    changed = given;
    changed.values[2] = "soon";
    assert_int_equal(check(config, &changed, &err), RN_EAUTH);
    assert_int_equal(check("{\"standard-webhooks\":{\"secret\":[\"whsec_AAAA\","
                           "\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]}}",
                           &given, &err),
                     0);
}

static void test_stripe(void **state)
{
    struct given given = {.names = {"stripe-signature"},
                          .values = {"t=1492774577,v1=" STRIPE
                                     ",v0=6ffbb59b2300aae63f272406069a9788598b792a944a07ab"},
                          .body = "{\"id\":\"evt_1\"}",
                          .now_ms = 1492774577000};
    struct err err;
    (void)state;
    assert_int_equal(check("{\"stripe\":\"whsec_stripe_example\"}", &given, &err), 0);
    assert_int_equal(check("{\"stripe\":\"whsec_other\"}", &given, &err), RN_EAUTH);
    given.values[0] = "t=1492774577,v1=00ff,v1=" STRIPE;
    assert_int_equal(check("{\"stripe\":\"whsec_stripe_example\"}", &given, &err), 0);
    given.values[0] = "t=1492774577,v0=" STRIPE; /* a downgrade */
    assert_int_equal(check("{\"stripe\":\"whsec_stripe_example\"}", &given, &err), RN_EAUTH);
    given.values[0] = "t=1492774578,v1=" STRIPE;
    assert_int_equal(check("{\"stripe\":\"whsec_stripe_example\"}", &given, &err), RN_EAUTH);
    given.values[0] = "t=1492774577,v1=" STRIPE;
    given.now_ms += 400000;
    assert_int_equal(check("{\"stripe\":\"whsec_stripe_example\"}", &given, &err), RN_EAUTH);
    assert_int_equal(
        check("{\"stripe\":{\"secret\":\"whsec_stripe_example\",\"tolerance\":\"10m\"}}", &given,
              &err),
        0);
}

static void test_segment(void **state)
{
    (void)state;
    check_scheme("{\"segment\":{\"secret\":\"segment-shared-secret\"}}", "{\"segment\":\"x\"}",
                 (struct given){.names = {"x-signature"},
                                .values = {SEGMENT},
                                .body = "{\"type\":\"track\"}"});
}

static void test_own_scheme(void **state)
{
    (void)state;
    check_scheme(
        "{\"hmac\":{\"header\":\"X-Slack-Signature\",\"prefix\":\"v0=\",\"secret\":"
        "\"8f742231b10e8888abcd99yyyzzz85a5\",\"signed\":"
        "\"v0:{header.X-Slack-Request-Timestamp}:{body}\",\"timestamp\":"
        "\"{header.x-slack-request-timestamp}\"}}",
        "{\"hmac\":{\"header\":\"x-slack-signature\",\"prefix\":\"v0=\",\"secret\":\"s\"}}",
        (struct given){
            .names = {"x-slack-signature", "x-slack-request-timestamp"},
            .values = {"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
                       "1531420618"},
            .body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&"
                    "channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name="
                    "roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks."
                    "slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
                    "trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
            .now_ms = 1531420620000});
}

static void test_bearer(void **state)
{
    struct err err;
    struct given given = {.names = {"authorization"}, .values = {"Bearer open sesame"}, .body = ""};
    (void)state;
    assert_int_equal(check("{\"bearer\":\"open sesame\"}", &given, &err), 0);
    assert_int_equal(check("{\"bearer\":[\"old\",\"open sesame\"]}", &given, &err), 0);
    assert_int_equal(check("{\"bearer\":\"open\"}", &given, &err), RN_EAUTH);
    given.values[0] = "bearer open sesame";
    assert_int_equal(check("{\"bearer\":\"open sesame\"}", &given, &err), 0);
    given.values[0] = "Basic open sesame";
    assert_int_equal(check("{\"bearer\":\"open sesame\"}", &given, &err), RN_EAUTH);
    given.names[0] = NULL;
    assert_int_equal(check("{\"bearer\":\"open sesame\"}", &given, &err), RN_EAUTH);
    assert_int_equal(check("\"none\"", &given, &err), 0);
}

static void check_refused(const char *config, const char *expected)
{
    struct json *json = NULL;
    struct http_trigger *trigger = NULL;
    const struct json *where = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(json_parse(str_from(config), &json, &err), 0);
    assert_int_equal(http_trigger_parse(json, false, &trigger, &where, &err), RN_EINVAL);
    if (!strstr(err.text, expected))
        fail_msg("%s: \"%s\" is not in \"%s\"", config, expected, err.text);
    assert_non_null(where);
    json_free(json);
}

static void test_refused(void **state)
{
    (void)state;
    check_refused("{\"auth\":{\"githup\":{\"secret\":\"x\"}}}", "did you mean \"github\"");
    check_refused("{\"auth\":{\"github\":{\"secret\":\"\"}}}", "a secret is a text");
    check_refused("{\"auth\":{\"github\":{}}}", "a secret is missing");
    check_refused("{\"auth\":{\"bearer\":[]}}", "a secret is missing");
    check_refused("{\"auth\":{\"github\":\"a\",\"stripe\":\"b\"}}", "one of");
    check_refused("{\"auth\":\"open\"}", "there is no auth");
    check_refused("{\"auth\":{\"standard-webhooks\":\"not base64!\"}}", "not base64");
    check_refused("{\"auth\":{\"hmac\":{\"secret\":\"x\"}}}", "needs \"header\"");
    check_refused("{\"auth\":{\"hmac\":{\"secret\":\"x\",\"header\":\"h\",\"signed\":\"{path}\"}}}",
                  "no {body}");
    check_refused("{\"auth\":{\"hmac\":{\"secret\":\"x\",\"header\":\"h\",\"signed\":"
                  "\"{body}{bdy}\"}}}",
                  "may have {body}");
    check_refused("{\"auth\":{\"hmac\":{\"secret\":\"x\",\"header\":\"h\",\"algorithm\":"
                  "\"sha265\"}}}",
                  "did you mean \"sha256\"");
    check_refused("{\"auth\":{\"github\":{\"secret\":\"x\",\"tolerance\":\"5m\"}}}",
                  "needs a \"timestamp\"");
    check_refused("{\"respond\":\"workflw\"}", "did you mean \"workflow\"");
    check_refused("{\"respond\":{\"status\":99}}", "200 to 599");
    check_refused("{\"respond\":{\"headers\":{\"content-length\":\"1\"}}}", "does not allow");
    check_refused("{\"respond\":{\"headers\":{\"x\":\"a\\nb\"}}}", "does not allow");
    check_refused("{\"methods\":[\"POSTT\"]}", "did you mean \"POST\"");
    check_refused("{\"methods\":[]}", "nothing would get in");
    check_refused("{\"path\":\"orders\"}", "begins with");
    check_refused("{\"path\":\"/a*\"}", "at the end only");
    check_refused("{\"cors\":{\"origins\":\"app.example.com\"}}", "scheme and host");
    check_refused("{\"cors\":{\"credentials\":true}}", "must be named");
    check_refused("{\"dedupe\":{\"id\":\"x\"}}", "is written");
    check_refused("{\"dedupe\":{\"id\":\"{{steps.trigger.event.body.a.map(x => x)}}\"}}",
                  "plain path");
    check_refused("{\"mehtods\":\"GET\"}", "did you mean \"methods\"");
}

static void test_filters(void **state)
{
    struct json *json = NULL;
    struct http_trigger *trigger = NULL;
    const struct json *where = NULL;
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(json_parse(STR("{\"methods\":[\"POST\",\"PUT\"],\"path\":[\"/a\",\"/b/*\"],"
                                    "\"cors\":{\"origins\":[\"https://app.example.com\"]}}"),
                                &json, &err),
                     0);
    assert_int_equal(http_trigger_parse(json, false, &trigger, &where, &err), 0);
    assert_true(http_trigger_takes_method(trigger, "PUT"));
    assert_false(http_trigger_takes_method(trigger, "GET"));
    assert_true(http_trigger_takes_path(trigger, STR("/a")));
    assert_false(http_trigger_takes_path(trigger, STR("/a/")));
    assert_true(http_trigger_takes_path(trigger, STR("/b/c/d")));
    assert_false(http_trigger_takes_path(trigger, STR("/b")));
    assert_true(str_eq_c(http_cors_origin(&trigger->cors, STR("https://app.example.com")),
                         "https://app.example.com"));
    assert_int_equal(
        http_cors_origin(&trigger->cors, STR("https://app.example.com.evil.example")).len, 0);
    http_trigger_free(trigger);
    json_free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_github),     cmocka_unit_test(test_standard_webhooks),
        cmocka_unit_test(test_stripe),     cmocka_unit_test(test_segment),
        cmocka_unit_test(test_own_scheme), cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
