/* Signing in. The console never keeps the admin token: it exchanges it, or the code of a one-time
 * link, for a session, which is its expiry signed with the token. So nothing has to be kept, a
 * restart signs nobody out, and a new token signs everybody out. A session is sent in the
 * Authorization header like the token: no cookie that a browser would send for another page. */
#include "api/call.h"

#include "base/clock.h"
#include "base/ids.h"
#include "crypto/hmac.h"

#define SESSION_MS (30ll * 86400000)
#define LINK_MS (15ll * 60000)

static void sign(const struct server *server, struct str expiry, char out[CRYPTO_HEX_MAX])
{
    char *text = xasprintf("session " STR_FMT, STR_ARG(expiry));
    crypto_hmac_hex(CRYPTO_SHA256, str_from(server->token), str_from(text), out);
    free(text);
}

/* "rs_<expiry in ms>_<signature>" */
bool session_is_valid(const struct server *server, struct str text)
{
    struct str prefix = STR_NONE, expiry = STR_NONE;
    char signature[CRYPTO_HEX_MAX];
    int64_t until_ms = 0;
    if (!str_cut(&text, '_', &prefix) || !str_eq_c(prefix, "rs") || !str_cut(&text, '_', &expiry) ||
        num_parse_i64(expiry, &until_ms))
        return false;
    sign(server, expiry, signature);
    return crypto_equal(text, str_from(signature)) && until_ms > clock_now_ms();
}

static char *session_new(const struct server *server, int64_t until_ms)
{
    char expiry[24], signature[CRYPTO_HEX_MAX];
    int n = snprintf(expiry, sizeof(expiry), "%lld", (long long)until_ms);
    sign(server, str_n(expiry, (size_t)n), signature);
    return xasprintf("rs_%s_%s", expiry, signature);
}

static bool use_code(struct server *server, const char *code)
{
    bool is_good = false;
    pthread_mutex_lock(&server->code_lock);
    for (size_t i = 0; i < LINK_CODES; i++) {
        struct link_code *own = &server->codes[i];
        if (own->until_ms > clock_mono_ms() && crypto_equal(str_from(own->code), str_from(code))) {
            own->until_ms = 0;
            is_good = true;
        }
    }
    pthread_mutex_unlock(&server->code_lock);
    return is_good;
}

char *server_link(struct server *server)
{
    pthread_mutex_lock(&server->code_lock);
    struct link_code *own = &server->codes[server->next_code++ % LINK_CODES];
    random_key(own->code, sizeof(own->code) - 1);
    own->until_ms = clock_mono_ms() + LINK_MS;
    char *link = xasprintf("%s/#code=%s", server_admin_url(server), own->code);
    pthread_mutex_unlock(&server->code_lock);
    return link;
}

static void post_session(struct call *call)
{
    const char *token = json_get_c(call->body, "token"), *code = json_get_c(call->body, "code");
    bool is_good = (token && crypto_equal(str_from(token), str_from(call->server->token))) ||
                   (code && use_code(call->server, code));
    if (!is_good) {
        call_problem(call->response, 401, "auth",
                     code ? "this link has been used or has run out: `runnel console` makes a new "
                            "one"
                          : "that is not the token of .runnel/admin-token");
        return;
    }
    int64_t until_ms = clock_now_ms() + SESSION_MS;
    char *session = session_new(call->server, until_ms), expires[CLOCK_TEXT_MAX];
    clock_format(until_ms, expires);
    struct json *value = json_new_object();
    json_set_string(value, "session", session);
    json_set_string(value, "expires", expires);
    call_answer(call, value);
    free(session);
}

static void post_link(struct call *call)
{
    struct json *value = json_new_object();
    char *link = server_link(call->server);
    json_set_string(value, "url", link);
    call_answer(call, value);
    free(link);
}

const struct route session_routes[] = {
    {"POST", "session", post_session, true},
    {"POST", "session/link", post_link, false},
    {0},
};
