/* JSON web tokens signed with RSA (RS256, RFC 7515 and RFC 7518 3.3), as service accounts use them,
 * and RSA keys for the sandbox. [any thread] */
#ifndef RUNNEL_CRYPTO_JWT_H
#define RUNNEL_CRYPTO_JWT_H

#include "base/buf.h"
#include "base/err.h"

#define JWT_TEXT_MAX ((size_t)64 << 10)

/* Appends the token for `claims_json`, which must be a JSON object, to `out`. The key is a PEM text
 * (PKCS #8 or PKCS #1, not encrypted), RSA of at least 2,048 bits. `key_id` becomes the header's
 * kid; NULL: none. RN_EINVAL: the claims; RN_ECONFIG: the key; RN_ETOOBIG: over JWT_TEXT_MAX or
 * what `out` takes. No message shows any of the key. */
int jwt_sign_rs256(struct str claims_json, struct str private_key_pem, const char *key_id,
                   struct buf *out, struct err *err) MUST_USE;

/* Checks the token's form, that its header says RS256, and its signature; appends the claims, a
 * JSON object, to `ret_claims`, which is left as it was on failure. What the claims say (exp, aud)
 * is the caller's to judge. RN_EPROTOCOL: no such token; RN_EAUTH: the signature or the algorithm
 * is another; RN_ECONFIG: the key. */
int jwt_verify_rs256(struct str token, struct str public_or_private_key_pem, struct buf *ret_claims,
                     struct err *err) MUST_USE;

/* Appends a new private RSA key of 2,048 bits as PEM (PKCS #8). It takes a fraction of a second. */
int rsa_generate_pem(struct buf *ret_pem, struct err *err) MUST_USE;
/* Appends the public half (SubjectPublicKeyInfo, PEM) of a private key. RN_ECONFIG: the key. */
int rsa_public_pem(struct str private_key_pem, struct buf *ret_pem, struct err *err) MUST_USE;

#endif
