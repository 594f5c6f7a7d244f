/* OpenSSL 3 looks an algorithm up by its name, behind locks, whenever one is named; at 30,000
 * signatures a second on several threads that costs more than the digest. So each algorithm is
 * fetched once and a call copies a context that has it already. */
#include "crypto/hmac.h"

#include "base/encode.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <unistd.h>

static struct algorithm {
    const char *name;
    size_t size;
    EVP_MD *md;        /* made once, lives as long as the process */
    EVP_MAC_CTX *hmac; /* the same: has its digest, has no key */
} algorithms[] = {
    [CRYPTO_SHA1] = {"SHA1", 20, NULL, NULL},
    [CRYPTO_SHA256] = {"SHA256", 32, NULL, NULL},
    [CRYPTO_SHA512] = {"SHA512", 64, NULL, NULL},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Only a broken installation or the lack of memory gets here. */
static void must(bool good)
{
    if (good)
        return;
    fprintf(stderr, "runnel: the crypto library does not do its digests\n");
    abort();
}

static void fetch_all(void)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(mac != NULL);
    for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
        struct algorithm *a = &algorithms[i];
        char *name = xstrdup(a->name); /* the parameter's pointer is not const */
        OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                               OSSL_PARAM_construct_end()};
        a->md = EVP_MD_fetch(NULL, a->name, NULL);
        a->hmac = EVP_MAC_CTX_new(mac);
        must(a->md && a->hmac && EVP_MAC_CTX_set_params(a->hmac, params) == 1);
        free(name);
    }
    EVP_MAC_free(mac);
}

static const struct algorithm *algorithm_of(enum crypto_digest digest)
{
    must(pthread_once(&once, fetch_all) == 0 && (size_t)digest < COUNT_OF(algorithms));
    return &algorithms[digest];
}

static const unsigned char *bytes_of(struct str text)
{
    return (const unsigned char *)(text.ptr ? text.ptr : "");
}

size_t crypto_digest_size(enum crypto_digest digest)
{
    return algorithm_of(digest)->size;
}

void crypto_hmac(enum crypto_digest digest, struct str key, struct str data, unsigned char *out,
                 size_t *ret_size)
{
    const struct algorithm *a = algorithm_of(digest);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(a->hmac);
    size_t size = 0;
    must(ctx && EVP_MAC_init(ctx, bytes_of(key), key.len, NULL) == 1 &&
         EVP_MAC_update(ctx, bytes_of(data), data.len) == 1 &&
         EVP_MAC_final(ctx, out, &size, a->size) == 1);
    EVP_MAC_CTX_free(ctx);
    if (ret_size)
        *ret_size = size;
}

void crypto_hash(enum crypto_digest digest, struct str data, unsigned char *out, size_t *ret_size)
{
    const struct algorithm *a = algorithm_of(digest);
    unsigned int size = 0;
    must(EVP_Digest(bytes_of(data), data.len, out, &size, a->md, NULL) == 1);
    if (ret_size)
        *ret_size = size;
}

void crypto_hmac_hex(enum crypto_digest digest, struct str key, struct str data,
                     char out[CRYPTO_HEX_MAX])
{
    unsigned char bytes[CRYPTO_DIGEST_MAX];
    size_t size = 0;
    crypto_hmac(digest, key, data, bytes, &size);
    encode_hex(bytes, size, out);
}

void crypto_hash_hex(enum crypto_digest digest, struct str data, char out[CRYPTO_HEX_MAX])
{
    unsigned char bytes[CRYPTO_DIGEST_MAX];
    size_t size = 0;
    crypto_hash(digest, data, bytes, &size);
    encode_hex(bytes, size, out);
}

bool crypto_equal(struct str a, struct str b)
{
    return a.len == b.len && CRYPTO_memcmp(bytes_of(a), bytes_of(b), a.len) == 0;
}

static int io_error(const char *path, const char *what, struct err *err)
{
    int code = errno == ENOENT ? RN_ENOTFOUND : errno == EACCES ? RN_EPERM : RN_EIO;
    return err_set(err, code, "%s: it could not be %s: %s", path, what, strerror(errno));
}

int crypto_hash_file(const char *path, char out[65], struct err *err)
{
    int rc = 0;
    EVP_MD_CTX *ctx = NULL;
    unsigned char block[16384], bytes[CRYPTO_DIGEST_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error(path, "opened", err);
    ctx = EVP_MD_CTX_new();
    must(ctx && EVP_DigestInit_ex(ctx, algorithm_of(CRYPTO_SHA256)->md, NULL) == 1);
    for (;;) {
        ssize_t n = read(fd, block, sizeof(block));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = io_error(path, "read", err);
            goto out;
        }
        if (n == 0)
            break;
        must(EVP_DigestUpdate(ctx, block, (size_t)n) == 1);
    }
    must(EVP_DigestFinal_ex(ctx, bytes, NULL) == 1);
    encode_hex(bytes, 32, out);
out:
    EVP_MD_CTX_free(ctx);
    close(fd);
    return rc;
}
