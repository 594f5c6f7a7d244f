/* Google: the token endpoint, the description of a token, and Drive's list of spreadsheets.
 *
 * A service account's assertion is verified: its signature with the public key of the account, its
 * claims by Google's rules. The sandbox has one service account, whose key is made when it is first
 * asked for. Shapes: Google's "OAuth 2.0 for Server to Server Applications". */
#include "sandbox/private.h"

#include "base/clock.h"
#include "base/ids.h"
#include "crypto/hmac.h"
#include "crypto/jwt.h"

enum { TOKEN_S = 3599, ASSERTION_S_MAX = 3600, SKEW_S = 300, TOKENS_MAX = 100 };

#define ACCOUNT_EMAIL "runnel@sandbox-project.iam.gserviceaccount.com"
#define TOKEN_URL "https://oauth2.googleapis.com/token"
#define SHEETS_SCOPE "https://www.googleapis.com/auth/spreadsheets"
#define GRANT_JWT "urn:ietf:params:oauth:grant-type:jwt-bearer"

void google_refuse(struct visit *visit, int status, const char *message)
{
    struct json *answer = json_new_object();
    json_set_string(answer, "error", status >= 500 ? "server_error" : "invalid_request");
    json_set_string(answer, "error_description", message);
    reply(visit, status, answer);
}

static void refuse(struct visit *visit, int status, const char *code, const char *description)
{
    struct json *answer = json_new_object();
    json_set_string(answer, "error", code);
    json_set_string(answer, "error_description", description);
    reply(visit, status, answer);
}

/* ---- the service account */

static int make_key(struct sandbox *sandbox, struct err *err)
{
    struct json *google = state_member(sandbox, "google");
    if (json_get(google, "private_key"))
        return 0;
    struct buf pem = BUF_INIT(KIB(16));
    int rc = rsa_generate_pem(&pem, err);
    if (rc == 0) {
        char id[CRYPTO_HEX_MAX];
        crypto_hash_hex(CRYPTO_SHA256, buf_str(&pem), id);
        id[40] = '\0';
        json_set_str(google, "private_key", buf_str(&pem));
        json_set_string(google, "private_key_id", id);
        state_save(sandbox);
    }
    buf_release(&pem);
    return rc;
}

int google_service_account(struct sandbox *sandbox, struct json **ret, struct err *err)
{
    int rc = make_key(sandbox, err);
    if (rc)
        return rc;
    const struct json *google = state_member(sandbox, "google");
    struct json *account = json_new_object();
    json_set_string(account, "type", "service_account");
    json_set_string(account, "project_id", "sandbox-project");
    json_set_str(account, "private_key_id", json_get_text(google, "private_key_id"));
    json_set_str(account, "private_key", json_get_text(google, "private_key"));
    json_set_string(account, "client_email", ACCOUNT_EMAIL);
    json_set_string(account, "client_id", "100000000000000000001");
    json_set_string(account, "auth_uri", "https://accounts.google.com/o/oauth2/auth");
    json_set_string(account, "token_uri", TOKEN_URL);
    *ret = account;
    return 0;
}

/* ---- tokens */

static struct json *tokens_of(struct sandbox *sandbox)
{
    return object_member(state_member(sandbox, "google"), "tokens", json_new_object);
}

static void grant(struct visit *visit, struct str scope)
{
    struct json *tokens = tokens_of(visit->sandbox), *answer = json_new_object();
    char key[41], *token;
    random_key(key, 40);
    token = xasprintf("ya29.sandbox-%s", key);
    struct json *kept = json_add(tokens, token, json_new_object());
    json_set_str(kept, "scope", scope);
    json_set_integer(kept, "until", clock_now_ms() / 1000 + TOKEN_S);
    if (json_count(tokens) > TOKENS_MAX)
        json_free(json_take_first(tokens));
    state_changed(visit->sandbox);
    json_set_string(answer, "access_token", token);
    json_set_integer(answer, "expires_in", TOKEN_S);
    json_set_str(answer, "scope", scope);
    json_set_string(answer, "token_type", "Bearer");
    reply(visit, 200, answer);
    free(token);
}

bool google_token_is_good(struct sandbox *sandbox, struct str token, struct str *ret_scope)
{
    const struct json *kept = token.ptr ? json_get_str(tokens_of(sandbox), token) : NULL;
    if (str_eq_c(token, SANDBOX_TOKEN)) {
        *ret_scope = STR(SHEETS_SCOPE);
        return true;
    }
    *ret_scope = json_get_text(kept, "scope");
    return kept && json_get_i64(kept, "until", 0) > clock_now_ms() / 1000;
}

static bool is_audience(struct str audience)
{
    return str_eq_c(audience, TOKEN_URL) ||
           str_eq_c(audience, "https://www.googleapis.com/oauth2/v4/token") ||
           str_eq_c(audience, "https://accounts.google.com/o/oauth2/token");
}

static void judge_claims(struct visit *visit, const struct json *claims)
{
    int64_t now = clock_now_ms() / 1000, from = 0, until = 0;
    struct str scope = json_get_text(claims, "scope");
    if (!str_eq_c(json_get_text(claims, "iss"), ACCOUNT_EMAIL)) {
        refuse(visit, 400, "invalid_grant", "Invalid grant: account not found");
    } else if (!is_audience(json_get_text(claims, "aud"))) {
        refuse(visit, 400, "invalid_grant", "Invalid JWT: Failed audience check.");
    } else if (!json_to_i64(json_get(claims, "iat"), &from) ||
               !json_to_i64(json_get(claims, "exp"), &until) || from > now + SKEW_S ||
               until <= now - SKEW_S || until <= from || until - from > ASSERTION_S_MAX) {
        refuse(visit, 400, "invalid_grant",
               "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
               "timeframe. Check your iat and exp values in the JWT claim.");
    } else if (!scope.len) {
        refuse(visit, 400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.");
    } else {
        grant(visit, scope);
    }
}

static void grant_by_assertion(struct visit *visit)
{
    struct str assertion = json_get_text(visit->body, "assertion");
    const struct json *google = state_member(visit->sandbox, "google");
    struct str key = json_get_text(google, "private_key");
    struct buf text = BUF_INIT(JWT_TEXT_MAX);
    struct json *claims = NULL;
    struct err err = ERR_INIT;
    int rc = key.len ? jwt_verify_rs256(assertion, key, &text, &err) : RN_EAUTH;
    if (rc == RN_EPROTOCOL)
        refuse(visit, 400, "invalid_grant", "Bad Request");
    else if (rc || json_parse(buf_str(&text), &claims, NULL))
        refuse(visit, 400, "invalid_grant", "Invalid JWT Signature.");
    else
        judge_claims(visit, claims);
    json_free(claims);
    buf_release(&text);
}

static void grant_by_refresh(struct visit *visit)
{
    const struct json *body = visit->body;
    if (!str_eq_c(json_get_text(body, "client_id"), "sandbox-client"))
        refuse(visit, 401, "invalid_client", "The OAuth client was not found.");
    else if (!str_eq_c(json_get_text(body, "client_secret"), "sandbox-secret"))
        refuse(visit, 401, "invalid_client", "Unauthorized");
    else if (!str_eq_c(json_get_text(body, "refresh_token"), "sandbox-refresh"))
        refuse(visit, 400, "invalid_grant", "Token has been expired or revoked.");
    else
        grant(visit, STR(SHEETS_SCOPE));
}

static void describe(struct visit *visit)
{
    struct str token = json_get_text(visit->query, "access_token"), scope = STR_NONE;
    if (!google_token_is_good(visit->sandbox, token.len ? token : visit_bearer(visit), &scope)) {
        refuse(visit, 400, "invalid_token", "Invalid Value");
        return;
    }
    struct json *answer = json_new_object();
    json_set_str(answer, "scope", scope);
    json_set_string(answer, "expires_in", "3599");
    reply(visit, 200, answer);
}

static void files(struct visit *visit)
{
    const char *search = json_get_c(visit->query, "q");
    bool is_found = !search || !strstr(search, "name contains") ||
                    strstr(search, "name contains 'Sandbox") ||
                    strstr(search, "name contains 'sandbox");
    reply_text(visit, 200,
               is_found ? "{\"files\":[{\"id\":\"sandbox-sheet\",\"name\":\"Sandbox sheet\"}]}"
                        : "{\"files\":[]}");
}

static void drive(struct visit *visit)
{
    struct str scope = STR_NONE;
    if (!google_token_is_good(visit->sandbox, visit_bearer(visit), &scope))
        sheets_refuse(visit, 401, "Request had invalid authentication credentials.");
    else if (visit_is(visit, "GET", "drive/v3/files"))
        files(visit);
    else if (visit_is(visit, "GET", "drive/v3/drives"))
        reply_text(visit, 200,
                   "{\"drives\":[{\"id\":\"0ASandboxDrive\",\"name\":\"Sandbox team\"}]}");
    else
        sheets_refuse(visit, 404, "Not Found");
}

void google_visit(struct visit *visit)
{
    struct str type = json_get_text(visit->body, "grant_type");
    if (visit_is(visit, "POST", "token") || visit_is(visit, "POST", "oauth2/v4/token")) {
        if (str_eq_c(type, GRANT_JWT))
            grant_by_assertion(visit);
        else if (str_eq_c(type, "refresh_token"))
            grant_by_refresh(visit);
        else
            refuse(visit, 400, "unsupported_grant_type", "Invalid grant_type");
    } else if (visit_is(visit, "GET", "oauth2/v3/tokeninfo") ||
               visit_is(visit, "GET", "tokeninfo")) {
        describe(visit);
    } else if (visit_has(visit, 0, "drive")) {
        drive(visit);
    } else {
        google_refuse(visit, 404, "Not Found");
    }
}
