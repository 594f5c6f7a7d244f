/* Tokens are small and signed rarely (a service account asks for one an hour): a key is read from
 * its PEM text each time, so that no secret stays in memory longer than the call. */
#include "crypto/jwt.h"

#include "base/encode.h"
#include "json/json.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

enum { KEY_BITS = 2048 };

/* ------------------------------------------------------------------- keys */

/* Without it OpenSSL asks for the passphrase at the terminal. */
static int no_passphrase(char *out, int size, int for_writing, void *ctx)
{
    (void)out;
    (void)size;
    (void)for_writing;
    (void)ctx;
    return -1;
}

/* Names the library's last complaint, and forgets its whole queue, which belongs to the thread. */
static const char *last_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason ? reason : "no reason given";
}

static EVP_PKEY *read_key(struct str pem, bool public_too, struct err *err)
{
    if (pem.len == 0 || pem.len > JWT_TEXT_MAX) {
        (void)err_set(err, RN_ECONFIG, "the RSA key is %s", pem.len ? "too long" : "empty");
        return NULL;
    }
    EVP_PKEY *key = NULL;
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    if (bio && public_too)
        key = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
    if (bio && !key) {
        (void)BIO_reset(bio);
        key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    }
    BIO_free(bio);
    if (!key) {
        (void)err_set(err, RN_ECONFIG, "the RSA key is no PEM text that can be read (%s)",
                      last_reason());
        return NULL;
    }
    ERR_clear_error();
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < KEY_BITS) {
        (void)err_set(err, RN_ECONFIG, "the key is %s of %d bits; RS256 takes RSA of at least %d",
                      EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? "RSA" : "of another kind",
                      EVP_PKEY_get_bits(key), KEY_BITS);
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

/* Moves what was written to memory into `out`, and wipes it. */
static int take_bio(BIO *bio, struct buf *out, struct err *err)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    char *to = size > 0 ? buf_reserve(out, (size_t)size) : NULL;
    if (!to)
        return err_set(err, RN_ETOOBIG, "the key has no room");
    memcpy(to, data, (size_t)size);
    buf_grew(out, (size_t)size);
    mem_wipe(data, (size_t)size);
    return 0;
}

int rsa_generate_pem(struct buf *ret_pem, struct err *err)
{
    int rc = 0;
    EVP_PKEY *key = EVP_RSA_gen(KEY_BITS);
    BIO *bio = BIO_new(BIO_s_mem());
    if (!key || !bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        rc = err_set(err, RN_ENOMEM, "no RSA key could be made (%s)", last_reason());
    else
        rc = take_bio(bio, ret_pem, err);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return rc;
}

int rsa_public_pem(struct str private_key_pem, struct buf *ret_pem, struct err *err)
{
    int rc = 0;
    EVP_PKEY *key = read_key(private_key_pem, false, err);
    if (!key)
        return RN_ECONFIG;
    BIO *bio = BIO_new(BIO_s_mem());
    if (!bio || PEM_write_bio_PUBKEY(bio, key) != 1)
        rc = err_set(err, RN_ENOMEM, "the public key could not be written (%s)", last_reason());
    else
        rc = take_bio(bio, ret_pem, err);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return rc;
}

/* ----------------------------------------------------------------- tokens */

static bool is_object(struct str text)
{
    struct json *value = NULL;
    bool good = json_parse(text, &value, NULL) == 0 && json_is(value, JSON_OBJECT);
    if (value)
        json_free(value);
    return good;
}

static void add_header(struct buf *out, const char *key_id)
{
    struct buf header = BUF_INIT(JWT_TEXT_MAX);
    buf_add_c(&header, "{\"alg\":\"RS256\",\"typ\":\"JWT\"");
    if (key_id) {
        buf_add_c(&header, ",\"kid\":");
        json_write_string(&header, str_from(key_id));
    }
    buf_add_c(&header, "}");
    out->overflowed |= buf_is_overflowed(&header);
    encode_base64(out, header.ptr, header.len, true);
    buf_release(&header);
}

/* Appends the signature of `signed_text`, in base64. */
static int add_signature(struct buf *out, EVP_PKEY *key, struct str signed_text, struct err *err)
{
    int rc = 0;
    unsigned char *signature = NULL;
    size_t size = 0;
    const unsigned char *data = (const unsigned char *)signed_text.ptr;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(ctx, NULL, &size, data, signed_text.len) != 1) {
        rc = err_set(err, RN_ECONFIG, "the token could not be signed (%s)", last_reason());
        goto out;
    }
    signature = xmalloc(size);
    if (EVP_DigestSign(ctx, signature, &size, data, signed_text.len) != 1) {
        rc = err_set(err, RN_ECONFIG, "the token could not be signed (%s)", last_reason());
        goto out;
    }
    encode_base64(out, signature, size, true);
out:
    free(signature);
    EVP_MD_CTX_free(ctx);
    return rc;
}

int jwt_sign_rs256(struct str claims_json, struct str private_key_pem, const char *key_id,
                   struct buf *out, struct err *err)
{
    struct buf token = BUF_INIT(JWT_TEXT_MAX);
    EVP_PKEY *key = NULL;
    int rc = 0;
    if (claims_json.len > JWT_TEXT_MAX)
        return err_set(err, RN_ETOOBIG, "the claims have %zu bytes", claims_json.len);
    if (!is_object(claims_json))
        return err_set(err, RN_EINVAL, "the claims of a token must be a JSON object");
    key = read_key(private_key_pem, false, err);
    if (!key)
        return RN_ECONFIG;
    add_header(&token, key_id);
    buf_add_char(&token, '.');
    encode_base64(&token, claims_json.ptr, claims_json.len, true);
    char *signed_text = str_dup(buf_str(&token)); /* adding the signature may move the buffer */
    size_t signed_size = token.len;
    buf_add_char(&token, '.');
    rc = add_signature(&token, key, str_n(signed_text, signed_size), err);
    free(signed_text);
    if (rc == 0 && (buf_is_overflowed(&token) || !buf_reserve(out, token.len)))
        rc = err_set(err, RN_ETOOBIG, "the token has no room");
    if (rc == 0)
        buf_add_str(out, buf_str(&token));
    EVP_PKEY_free(key);
    buf_release(&token);
    return rc;
}

static int check_header(struct str header, struct err *err)
{
    struct json *value = NULL;
    if (json_parse(header, &value, NULL))
        return err_set(err, RN_EPROTOCOL, "the token's header is no JSON");
    struct str algorithm = json_get_text(value, "alg");
    int rc = 0;
    if (!str_eq_c(algorithm, "RS256"))
        rc = err_set(err, RN_EAUTH, "the token is not signed with RS256");
    else if (json_get(value, "crit")) /* RFC 7515, 4.1.11: what must be understood and is not */
        rc = err_set(err, RN_EAUTH, "the token asks for extensions that are not known");
    json_free(value);
    return rc;
}

static int check_signature(struct str signed_text, struct str signature, EVP_PKEY *key,
                           struct err *err)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(ctx, (const unsigned char *)signature.ptr, signature.len,
                                 (const unsigned char *)signed_text.ptr, signed_text.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good ? 0 : err_set(err, RN_EAUTH, "the token's signature does not fit");
}

int jwt_verify_rs256(struct str token, struct str public_or_private_key_pem, struct buf *ret_claims,
                     struct err *err)
{
    struct str rest = token, part[3] = {STR_NONE, STR_NONE, STR_NONE};
    struct buf decoded[3] = {BUF_INIT(JWT_TEXT_MAX), BUF_INIT(JWT_TEXT_MAX),
                             BUF_INIT(JWT_TEXT_MAX)};
    EVP_PKEY *key = NULL;
    int rc = 0;
    size_t count = 0;
    if (token.len > JWT_TEXT_MAX)
        return err_set(err, RN_EPROTOCOL, "a token of %zu bytes is too long", token.len);
    while (count < 3 && str_cut(&rest, '.', &part[count]))
        count++;
    if (count < 3 || rest.ptr)
        return err_set(err, RN_EPROTOCOL, "a token has three parts with points between them");
    for (size_t i = 0; i < 3; i++) {
        if (part[i].len == 0 || decode_base64(&decoded[i], part[i])) {
            rc = err_set(err, RN_EPROTOCOL, "part %zu of the token is not base64url", i + 1);
            goto out;
        }
    }
    rc = check_header(buf_str(&decoded[0]), err);
    if (rc)
        goto out;
    key = read_key(public_or_private_key_pem, true, err);
    if (!key) {
        rc = RN_ECONFIG;
        goto out;
    }
    rc = check_signature(str_n(token.ptr, part[0].len + 1 + part[1].len), buf_str(&decoded[2]), key,
                         err);
    if (rc)
        goto out;
    if (!is_object(buf_str(&decoded[1])))
        rc = err_set(err, RN_EPROTOCOL, "the token's claims are no JSON object");
    else if (!buf_reserve(ret_claims, decoded[1].len))
        rc = err_set(err, RN_ETOOBIG, "the token's claims have no room");
    else
        buf_add_str(ret_claims, buf_str(&decoded[1]));
out:
    EVP_PKEY_free(key);
    for (size_t i = 0; i < 3; i++)
        buf_release(&decoded[i]);
    return rc;
}
