/* The sandbox's token endpoint: a service account's assertion is really verified. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/limits.h"
#include "crypto/jwt.h"
#include "net/http_client.h"
#include "sandbox/sandbox.h"
#include "json/json.h"

#define EMAIL "runnel@sandbox-project.iam.gserviceaccount.com"
#define AUDIENCE "https://oauth2.googleapis.com/token"
#define SCOPE "https://www.googleapis.com/auth/spreadsheets"

struct world {
    struct sandbox *sandbox;
    struct egress *egress;
    struct http_client *client;
    struct json *account;
};

static struct json *call(struct world *world, const char *method, const char *path,
                         const char *bearer, const char *form, int *ret_status)
{
    char *url = xasprintf("%s%s", sandbox_url(world->sandbox), path);
    char *authorization = xasprintf("Bearer %s", bearer ? bearer : "");
    struct fetch_header headers[] = {{"content-type", "application/x-www-form-urlencoded"},
                                     {"authorization", authorization}};
    struct fetch_request request = {.method = method,
                                    .url = url,
                                    .headers = headers,
                                    .header_count = bearer ? 2 : 1,
                                    .body = form ? str_from(form) : STR_NONE};
    struct fetch_response response = {0};
    struct json *answer = NULL;
    struct err err = ERR_INIT;
    if (http_client_fetch(world->client, &request, &response, &err))
        fail_msg("%s", err.text);
    assert_int_equal(json_parse(buf_str(&response.body), &answer, NULL), 0);
    *ret_status = response.status;
    fetch_response_release(&response);
    free(authorization);
    free(url);
    return answer;
}

static int set_up(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    struct sandbox_options options = {.listen = "127.0.0.1:0"};
    struct err err = ERR_INIT;
    int status = 0;
    world->egress = egress_new();
    if (egress_allow(world->egress, STR("127.0.0.1"), &err) || http_client_global_init(&err) ||
        sandbox_start(&options, &world->sandbox, &err))
        return -1;
    world->client = http_client_new(world->egress, "test");
    world->account = call(world, "GET", "/_sandbox/google/service-account", NULL, NULL, &status);
    *state = world;
    return status == 200 ? 0 : -1;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    json_free(world->account);
    http_client_free(world->client);
    sandbox_stop(world->sandbox);
    egress_free(world->egress);
    free(world);
    return 0;
}

/* Asks for a token with these claims, signed with `key` (NULL: the account's own). */
static struct json *ask(struct world *world, const char *claims, const char *key, int *ret_status)
{
    struct buf token = BUF_INIT(JWT_TEXT_MAX), form = BUF_INIT(JWT_TEXT_MAX);
    struct err err = ERR_INIT;
    if (jwt_sign_rs256(str_from(claims),
                       key ? str_from(key) : json_get_text(world->account, "private_key"), NULL,
                       &token, &err))
        fail_msg("%s", err.text);
    buf_add_c(&form, "grant_type=");
    encode_percent(&form, STR("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    buf_add_c(&form, "&assertion=");
    encode_percent(&form, buf_str(&token));
    struct json *answer = call(world, "POST", "/google/token", NULL, buf_c(&form), ret_status);
    buf_release(&token);
    buf_release(&form);
    return answer;
}

static char *claims(const char *issuer, const char *audience, const char *scope, int64_t from,
                    int64_t until)
{
    int64_t now = clock_now_ms() / 1000;
    return xasprintf("{\"iss\":\"%s\",\"aud\":\"%s\",\"scope\":\"%s\",\"iat\":%lld,\"exp\":%lld}",
                     issuer, audience, scope, (long long)(now + from), (long long)(now + until));
}

static void expect_refused(struct world *world, char *text, const char *key, const char *error,
                           const char *part)
{
    int status = 0;
    struct json *answer = ask(world, text, key, &status);
    assert_int_equal(status, 400);
    assert_string_equal(json_get_c(answer, "error"), error);
    assert_non_null(strstr(json_get_c(answer, "error_description"), part));
    json_free(answer);
    free(text);
}

static void test_assertions(void **state)
{
    struct world *world = *state;
    int status = 0;
    char *text = claims(EMAIL, AUDIENCE, SCOPE, 0, 3600);
    struct json *answer = ask(world, text, NULL, &status);
    free(text);
    assert_int_equal(status, 200);
    const char *token = json_get_c(answer, "access_token");
    assert_non_null(token);
    struct json *sheet =
        call(world, "GET", "/sheets/v4/spreadsheets/sandbox-sheet", token, NULL, &status);
    assert_int_equal(status, 200);
    json_free(sheet);
    json_free(answer);
    sheet =
        call(world, "GET", "/sheets/v4/spreadsheets/sandbox-sheet", "ya29.other", NULL, &status);
    assert_int_equal(status, 401);
    json_free(sheet);

    struct buf other = BUF_INIT(KIB(16));
    assert_int_equal(rsa_generate_pem(&other, NULL), 0);
    expect_refused(world, claims(EMAIL, AUDIENCE, SCOPE, 0, 3600), buf_c(&other), "invalid_grant",
                   "Signature");
    buf_release(&other);
    expect_refused(world, claims("x@y.iam", AUDIENCE, SCOPE, 0, 3600), NULL, "invalid_grant",
                   "account not found");
    expect_refused(world, claims(EMAIL, "https://else", SCOPE, 0, 3600), NULL, "invalid_grant",
                   "audience");
    expect_refused(world, claims(EMAIL, AUDIENCE, SCOPE, 0, 7200), NULL, "invalid_grant",
                   "short-lived");
    expect_refused(world, claims(EMAIL, AUDIENCE, SCOPE, -7200, -3601), NULL, "invalid_grant",
                   "short-lived");
    expect_refused(world, claims(EMAIL, AUDIENCE, SCOPE, 3600, 7200), NULL, "invalid_grant",
                   "short-lived");
    expect_refused(world, claims(EMAIL, AUDIENCE, "", 0, 3600), NULL, "invalid_scope", "scope");
}

static void test_scope(void **state)
{
    struct world *world = *state;
    int status = 0;
    char *text = claims(EMAIL, AUDIENCE, "https://www.googleapis.com/auth/calendar", 0, 3600);
    struct json *answer = ask(world, text, NULL, &status);
    free(text);
    assert_int_equal(status, 200);
    struct json *sheet = call(world, "GET", "/sheets/v4/spreadsheets/sandbox-sheet",
                              json_get_c(answer, "access_token"), NULL, &status);
    assert_int_equal(status, 403);
    assert_string_equal(json_get_c(json_get(sheet, "error"), "status"), "PERMISSION_DENIED");
    json_free(sheet);
    json_free(answer);
}

static void test_refresh(void **state)
{
    static const struct {
        const char *form;
        int status;
    } cases[] = {
        {"grant_type=refresh_token&client_id=sandbox-client&client_secret=sandbox-secret&"
         "refresh_token=sandbox-refresh",
         200},
        {"grant_type=refresh_token&client_id=sandbox-client&client_secret=sandbox-secret&"
         "refresh_token=old",
         400},
        {"grant_type=refresh_token&client_id=sandbox-client&client_secret=x&refresh_token="
         "sandbox-refresh",
         401},
        {"grant_type=refresh_token&client_id=x", 401},
        {"grant_type=password", 400},
        {"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b", 400},
    };
    struct world *world = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int status = 0;
        struct json *answer = call(world, "POST", "/google/token", NULL, cases[i].form, &status);
        assert_int_equal(status, cases[i].status);
        assert_true((json_get_c(answer, "access_token") != NULL) == (status == 200));
        json_free(answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_assertions),
                                       cmocka_unit_test(test_scope),
                                       cmocka_unit_test(test_refresh)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
