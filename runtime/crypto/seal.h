/* Sealing of secrets at rest: AES-256-GCM under the installation's key.
 *
 * A sealed text is: 1 byte version (1), 12 bytes nonce, the ciphertext, 16 bytes tag. The nonce is
 * random: a key is good for 2^32 seals (NIST SP 800-38D, 8.3), far more than accounts are ever
 * saved. `aad` is bound to the text without being in it: name the place that the text belongs to,
 * so that one account's secret cannot be put in another's place. Life cycle: seal_key_load → seal,
 * unseal (any thread) → seal_key_free. */
#ifndef RUNNEL_CRYPTO_SEAL_H
#define RUNNEL_CRYPTO_SEAL_H

#include "base/buf.h"
#include "base/err.h"

#define SEAL_OVERHEAD (1 + 12 + 16)
#define SEAL_TEXT_MAX ((size_t)64 << 20)

struct seal_key;

/* Reads the key from the environment variable `env_name` (64 hexadecimal digits, or base64 of 32
 * bytes) where that is set and not empty; else from the file, which holds 64 hexadecimal digits and
 * a line feed. A missing file is made with a new random key: mode 0600, on disk before the call
 * returns, and complete or not there at all; of two processes that make it at once both get the
 * same key. `env_name` may be NULL. RN_ECONFIG: the variable or the file's content is no key,
 * others may read the file, or it is no file; RN_EPERM, RN_EIO. No message shows any of the key. */
int seal_key_load(const char *path, const char *env_name, struct seal_key **ret,
                  struct err *err) MUST_USE;
/* Wipes it. NULL is fine. */
void seal_key_free(struct seal_key *key);

/* Appends the sealed text to `out`. RN_ETOOBIG: over SEAL_TEXT_MAX, or over what `out` takes. */
int seal(const struct seal_key *key, struct str plain, struct str aad, struct buf *out,
         struct err *err) MUST_USE;
/* Appends the plain text to `out`, which is left as it was on failure. RN_EAUTH: another key,
 * another `aad`, or the bytes were changed (which of them cannot be told). RN_EPROTOCOL: too short,
 * or a version that is not known. RN_ETOOBIG as above. */
int unseal(const struct seal_key *key, struct str sealed, struct str aad, struct buf *out,
           struct err *err) MUST_USE;

#endif
