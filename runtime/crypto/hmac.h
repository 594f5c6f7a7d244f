/* Digests: HMAC, hashes, and comparing what was signed. No state of the caller's; nothing here
 * fails but for reading a file. [any thread] */
#ifndef RUNNEL_CRYPTO_HMAC_H
#define RUNNEL_CRYPTO_HMAC_H

#include "base/err.h"
#include "base/str.h"

/* SHA-1 is here for vendors whose signatures are HMAC-SHA1 (Segment); it is used for nothing else.
 */
enum crypto_digest { CRYPTO_SHA1, CRYPTO_SHA256, CRYPTO_SHA512 };

#define CRYPTO_DIGEST_MAX 64                       /* bytes of the longest digest */
#define CRYPTO_HEX_MAX (CRYPTO_DIGEST_MAX * 2 + 1) /* its digits and a NUL */

/* 20, 32 or 64. */
size_t crypto_digest_size(enum crypto_digest digest);

/* The HMAC (RFC 2104) as bytes; out has room for crypto_digest_size(). An empty key is allowed.
 * ret_size may be NULL. */
void crypto_hmac(enum crypto_digest digest, struct str key, struct str data, unsigned char *out,
                 size_t *ret_size);
/* As lower-case hexadecimal digits with a NUL. */
void crypto_hmac_hex(enum crypto_digest digest, struct str key, struct str data,
                     char out[CRYPTO_HEX_MAX]);
void crypto_hash(enum crypto_digest digest, struct str data, unsigned char *out, size_t *ret_size);
void crypto_hash_hex(enum crypto_digest digest, struct str data, char out[CRYPTO_HEX_MAX]);

/* Whether the bytes are the same, in a time that depends on the lengths only: the length of a
 * signature is no secret. */
bool crypto_equal(struct str a, struct str b);

/* SHA-256 of a file's bytes in hexadecimal digits. RN_ENOTFOUND, RN_EPERM, RN_EIO. */
int crypto_hash_file(const char *path, char out[65], struct err *err) MUST_USE;

#endif
