/* Tokens: signed, checked, forged. The keys are made here, so that none stands in the tree. */
#include "crypto/jwt.h"

#include "base/encode.h"
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char claims[] =
    "{\"iss\":\"bot@example.com\",\"exp\":1700003600,\"aud\":\"https://example.com/token\"}";

static struct buf private_pem = BUF_INIT(16384);
static struct buf public_pem = BUF_INIT(16384);
static struct buf other_pem = BUF_INIT(16384);

static int make_keys(void **state)
{
    (void)state;
    return rsa_generate_pem(&private_pem, NULL) ||
           rsa_public_pem(buf_str(&private_pem), &public_pem, NULL) ||
           rsa_generate_pem(&other_pem, NULL);
}

static int release_keys(void **state)
{
    (void)state;
    buf_release(&private_pem);
    buf_release(&public_pem);
    buf_release(&other_pem);
    return 0;
}

static void sign(struct buf *token, const char *key_id)
{
    struct err err = ERR_INIT;
    if (jwt_sign_rs256(str_from(claims), buf_str(&private_pem), key_id, token, &err))
        fail_msg("%s", err.text);
}

static void check_fails(struct str token, int code)
{
    struct buf out = BUF_INIT(4096);
    struct err err = ERR_INIT;
    assert_int_equal(jwt_verify_rs256(token, buf_str(&public_pem), &out, &err), code);
    assert_int_equal(out.len, 0);
    assert_true(err.text[0] != '\0');
    buf_release(&out);
}

static void test_keys(void **state)
{
    (void)state;
    assert_true(str_starts(buf_str(&private_pem), "-----BEGIN PRIVATE KEY-----\n"));
    assert_true(str_starts(buf_str(&public_pem), "-----BEGIN PUBLIC KEY-----\n"));
    assert_false(str_eq(buf_str(&private_pem), buf_str(&other_pem)));
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const key_ids[] = {NULL, "key-1", "a \"quoted\" one"};
    for (size_t i = 0; i < COUNT_OF(key_ids); i++) {
        struct buf token = BUF_INIT(4096), by_public = BUF_INIT(4096), by_private = BUF_INIT(4096);
        struct buf header = BUF_INIT(4096);
        sign(&token, key_ids[i]);
        assert_int_equal(jwt_verify_rs256(buf_str(&token), buf_str(&public_pem), &by_public, NULL),
                         0);
        assert_int_equal(
            jwt_verify_rs256(buf_str(&token), buf_str(&private_pem), &by_private, NULL), 0);
        assert_string_equal(buf_c(&by_public), claims);
        assert_string_equal(buf_c(&by_private), claims);
        struct str rest = buf_str(&token), part;
        assert_true(str_cut(&rest, '.', &part));
        assert_int_equal(decode_base64(&header, part), 0);
        struct json *value = NULL;
        assert_int_equal(json_parse(buf_str(&header), &value, NULL), 0);
        assert_string_equal(json_get_c(value, "alg"), "RS256");
        assert_string_equal(json_get_c(value, "typ"), "JWT");
        if (key_ids[i])
            assert_string_equal(json_get_c(value, "kid"), key_ids[i]);
        else
            assert_null(json_get(value, "kid"));
        assert_null(memchr(token.ptr, '=', token.len));
        json_free(value);
        buf_release(&header);
        buf_release(&token);
        buf_release(&by_public);
        buf_release(&by_private);
    }
}

/* `header`.`claims`.`signature`, the first two as texts. */
static void forge(struct buf *token, const char *header, const char *body, const char *signature)
{
    buf_clear(token);
    encode_base64(token, header, strlen(header), true);
    buf_add_char(token, '.');
    encode_base64(token, body, strlen(body), true);
    buf_add_char(token, '.');
    buf_add_c(token, signature);
}

static void test_forged(void **state)
{
    (void)state;
    struct buf token = BUF_INIT(8192), forged = BUF_INIT(8192);
    sign(&token, NULL);
    struct str rest = buf_str(&token), part;
    assert_true(str_cut(&rest, '.', &part) && str_cut(&rest, '.', &part));
    char *signature = str_dup(rest);
    static const char header[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\"}";
    struct buf out = BUF_INIT(4096);
    forge(&forged, header, claims, signature);
    assert_int_equal(jwt_verify_rs256(buf_str(&forged), buf_str(&public_pem), &out, NULL),
                     0); /* the control */
    buf_release(&out);
    static const char *const headers[] = {"{\"alg\":\"none\"}",
                                          "{\"alg\":\"HS256\"}",
                                          "{}",
                                          "[]",
                                          "{\"alg\":\"rs256\"}",
                                          "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"crit\":[\"b64\"]}",
                                          "{\"alg\":\"RS256\"}"};
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        forge(&forged, headers[i], claims, signature);
        check_fails(buf_str(&forged), RN_EAUTH);
    }
    forge(&forged, header, "{\"iss\":\"mallory\"}", signature);
    check_fails(buf_str(&forged), RN_EAUTH);
    forge(&forged, header, claims, "AAAA");
    check_fails(buf_str(&forged), RN_EAUTH);
    forge(&forged, "{\"alg\":", claims, signature);
    check_fails(buf_str(&forged), RN_EPROTOCOL);
    forge(&forged, header, claims, "");
    check_fails(buf_str(&forged), RN_EPROTOCOL);
    forge(&forged, header, claims, "A.A");
    check_fails(buf_str(&forged), RN_EPROTOCOL);
    forge(&forged, header, claims, "!!!!");
    check_fails(buf_str(&forged), RN_EPROTOCOL);
    check_fails(STR(""), RN_EPROTOCOL);
    check_fails(STR_NONE, RN_EPROTOCOL);
    check_fails(STR("a.b"), RN_EPROTOCOL);
    check_fails(STR(".."), RN_EPROTOCOL);
    /* another key's signature */
    struct buf other = BUF_INIT(8192);
    assert_int_equal(jwt_sign_rs256(str_from(claims), buf_str(&other_pem), NULL, &other, NULL), 0);
    check_fails(buf_str(&other), RN_EAUTH);
    free(signature);
    buf_release(&other);
    buf_release(&token);
    buf_release(&forged);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    static const char *const bad_claims[] = {"", "[]", "1", "{", "\"x\"", "{\"a\":1,\"a\":2}"};
    struct buf out = BUF_INIT(8192);
    for (size_t i = 0; i < COUNT_OF(bad_claims); i++)
        assert_int_equal(
            jwt_sign_rs256(str_from(bad_claims[i]), buf_str(&private_pem), NULL, &out, NULL),
            RN_EINVAL);
    static const char *const bad_keys[] = {
        "",
        "hunter2",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        /* Ed25519, RFC 8410 10.3 */
        "-----BEGIN PRIVATE "
        "KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
        "-----END PRIVATE KEY-----\n",
    };
    for (size_t i = 0; i < COUNT_OF(bad_keys); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(jwt_sign_rs256(str_from(claims), str_from(bad_keys[i]), NULL, &out, &err),
                         RN_ECONFIG);
        assert_true(bad_keys[i][0] == '\0' || !strstr(err.text, bad_keys[i]));
    }
    /* a public key signs nothing */
    assert_int_equal(jwt_sign_rs256(str_from(claims), buf_str(&public_pem), NULL, &out, NULL),
                     RN_ECONFIG);
    assert_int_equal(rsa_public_pem(buf_str(&public_pem), &out, NULL), RN_ECONFIG);
    assert_int_equal(out.len, 0);
    struct buf small = BUF_INIT(100);
    assert_int_equal(jwt_sign_rs256(str_from(claims), buf_str(&private_pem), NULL, &small, NULL),
                     RN_ETOOBIG);
    assert_int_equal(rsa_generate_pem(&small, NULL), RN_ETOOBIG);
    assert_int_equal(small.len, 0);
    buf_release(&small);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_bad_arguments),
    };
    return cmocka_run_group_tests(tests, make_keys, release_keys);
}
