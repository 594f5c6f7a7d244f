/* The key file is written under a random name, synced, and then linked to its own name: link(2)
 * fails where that exists, so that nobody's key is overwritten and nobody ever sees half a file. */
#include "crypto/seal.h"

#include "base/encode.h"
#include "base/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION = 1, KEY_SIZE = 32, NONCE_SIZE = 12, TAG_SIZE = 16, KEY_DIGITS = 2 * KEY_SIZE };

struct seal_key {
    unsigned char bytes[KEY_SIZE];
};

/* ---------------------------------------------------------------- the key */

static int io_error(struct err *err, const char *path, const char *what)
{
    int code = errno == EACCES || errno == EPERM || errno == EROFS ? RN_EPERM : RN_EIO;
    return err_set(err, code, "the key file %s could not be %s: %s", path, what, strerror(errno));
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static int sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? xmemdup(path, (size_t)(slash - path) + 1) : xstrdup(".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0)
        return -1;
    int rc = fsync(fd);
    close(fd);
    return rc;
}

/* Makes the file with a new key. 0 as well where somebody else has made it in the meantime. */
static int create_file(const char *path, struct err *err)
{
    int rc = 0;
    unsigned char bytes[KEY_SIZE];
    char digits[KEY_DIGITS + 1], suffix[13];
    random_bytes(bytes, sizeof(bytes));
    encode_hex(bytes, sizeof(bytes), digits);
    digits[KEY_DIGITS] = '\n';
    random_key(suffix, sizeof(suffix) - 1);
    char *draft = xasprintf("%s.%s", path, suffix);
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        rc = io_error(err, path, "made");
        goto out;
    }
    if (fchmod(fd, 0600) || write_all(fd, digits, sizeof(digits)) || fsync(fd))
        rc = io_error(err, path, "written");
    else if ((link(draft, path) && errno != EEXIST) || sync_folder_of(path))
        rc = io_error(err, path, "put in its place");
    close(fd);
    (void)unlink(draft);
out:
    free(draft);
    mem_wipe(bytes, sizeof(bytes));
    mem_wipe(digits, sizeof(digits));
    return rc;
}

/* RN_ENOTFOUND, without a message, where there is no file. */
static int read_file(const char *path, unsigned char bytes[KEY_SIZE], struct err *err)
{
    struct stat st;
    char text[KEY_DIGITS +
              2]; /* the digits, a line feed, and one more to see that there is no more */
    size_t size = 0;
    ssize_t n = 0;
    int rc = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? RN_ENOTFOUND : io_error(err, path, "opened");
    if (fstat(fd, &st)) {
        rc = io_error(err, path, "looked at");
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = err_set(err, RN_ECONFIG, "the key file %s is not a file", path);
        goto out;
    }
    if (st.st_mode & 077) {
        rc = err_set(err, RN_ECONFIG,
                     "others may read or write the key file %s (mode %04o): chmod 600 it, and if "
                     "anybody may have "
                     "read it, replace the secrets that it seals",
                     path, (unsigned)st.st_mode & 07777);
        goto out;
    }
    while (size < sizeof(text) && (n = read(fd, text + size, sizeof(text) - size)) != 0) {
        if (n < 0 && errno != EINTR) {
            rc = io_error(err, path, "read");
            goto out;
        }
        size += n > 0 ? (size_t)n : 0;
    }
    struct str digits = str_n(text, size);
    if (size == KEY_DIGITS + 1 && text[KEY_DIGITS] == '\n')
        digits.len--;
    if (digits.len != KEY_DIGITS || decode_hex(digits, bytes))
        rc =
            err_set(err, RN_ECONFIG,
                    "the key file %s should hold %d hexadecimal digits and a line feed, and does "
                    "not (%lld bytes): "
                    "restore it from a backup; without it the sealed accounts must be entered anew",
                    path, KEY_DIGITS, (long long)st.st_size);
out:
    mem_wipe(text, sizeof(text));
    close(fd);
    return rc;
}

static int key_from_text(struct str text, unsigned char bytes[KEY_SIZE])
{
    if (text.len == KEY_DIGITS)
        return decode_hex(text, bytes);
    struct buf decoded = BUF_INIT(KEY_SIZE);
    int rc = decode_base64(&decoded, text);
    if (rc == 0 && (decoded.len != KEY_SIZE || buf_is_overflowed(&decoded)))
        rc = RN_EINVAL;
    if (rc == 0)
        memcpy(bytes, decoded.ptr, KEY_SIZE);
    mem_wipe(decoded.ptr, decoded.len);
    buf_release(&decoded);
    return rc;
}

int seal_key_load(const char *path, const char *env_name, struct seal_key **ret, struct err *err)
{
    struct seal_key *key = xcalloc(1, sizeof(*key));
    const char *variable = env_name ? getenv(env_name) : NULL;
    int rc = 0;
    if (variable && variable[0]) {
        rc = key_from_text(str_from(variable), key->bytes);
        if (rc)
            rc = err_set(err, RN_ECONFIG,
                         "the environment variable %s should hold a key: 64 hexadecimal digits, or "
                         "base64 of 32 bytes "
                         "(it has %zu characters)",
                         env_name, strlen(variable));
    } else {
        rc = read_file(path, key->bytes, err);
        if (rc == RN_ENOTFOUND) {
            rc = create_file(path, err);
            if (rc == 0)
                rc = read_file(path, key->bytes, err);
            if (rc == RN_ENOTFOUND)
                rc = err_set(err, RN_EIO, "the key file %s has gone while it was made", path);
        }
    }
    if (rc) {
        seal_key_free(key);
        return rc;
    }
    *ret = key;
    return 0;
}

void seal_key_free(struct seal_key *key)
{
    mem_wipe(key, sizeof(*key));
    free(key);
}

/* ---------------------------------------------------------------- sealing */

static const unsigned char *bytes_of(struct str text)
{
    return (const unsigned char *)(text.ptr ? text.ptr : "");
}

static int library_error(struct err *err)
{
    return err_set(err, RN_ENOMEM, "the crypto library could not do AES-256-GCM");
}

int seal(const struct seal_key *key, struct str plain, struct str aad, struct buf *out,
         struct err *err)
{
    if (plain.len > SEAL_TEXT_MAX || aad.len > SEAL_TEXT_MAX)
        return err_set(err, RN_ETOOBIG, "%zu bytes are too many to seal", plain.len);
    unsigned char *to = (unsigned char *)buf_reserve(out, plain.len + SEAL_OVERHEAD);
    if (!to)
        return err_set(err, RN_ETOOBIG, "the sealed text of %zu bytes has no room", plain.len);
    unsigned char *nonce = to + 1, *body = nonce + NONCE_SIZE, *tag = body + plain.len;
    int n = 0, last = 0;
    to[0] = VERSION;
    random_bytes(nonce, NONCE_SIZE);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool good = ctx && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
                EVP_EncryptUpdate(ctx, NULL, &n, to, 1) == 1 &&
                EVP_EncryptUpdate(ctx, NULL, &n, bytes_of(aad), (int)aad.len) == 1 &&
                EVP_EncryptUpdate(ctx, body, &n, bytes_of(plain), (int)plain.len) == 1 &&
                EVP_EncryptFinal_ex(ctx, body + n, &last) == 1 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, tag) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!good)
        return library_error(err);
    buf_grew(out, plain.len + SEAL_OVERHEAD);
    return 0;
}

int unseal(const struct seal_key *key, struct str sealed, struct str aad, struct buf *out,
           struct err *err)
{
    if (sealed.len < SEAL_OVERHEAD)
        return err_set(err, RN_EPROTOCOL, "a sealed text has at least %d bytes, this has %zu",
                       SEAL_OVERHEAD, sealed.len);
    const unsigned char *from = bytes_of(sealed);
    size_t size = sealed.len - SEAL_OVERHEAD;
    if (from[0] != VERSION)
        return err_set(err, RN_EPROTOCOL,
                       "the text is sealed in version %u; this runnel knows version %d", from[0],
                       VERSION);
    if (size > SEAL_TEXT_MAX || aad.len > SEAL_TEXT_MAX)
        return err_set(err, RN_ETOOBIG, "%zu bytes are too many to unseal", size);
    unsigned char *to = (unsigned char *)buf_reserve(out, size);
    if (!to)
        return err_set(err, RN_ETOOBIG, "the unsealed text of %zu bytes has no room", size);
    const unsigned char *nonce = from + 1, *body = nonce + NONCE_SIZE;
    unsigned char tag[TAG_SIZE];
    memcpy(tag, body + size, TAG_SIZE);
    int n = 0, last = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ready = ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
                 EVP_DecryptUpdate(ctx, NULL, &n, from, 1) == 1 &&
                 EVP_DecryptUpdate(ctx, NULL, &n, bytes_of(aad), (int)aad.len) == 1 &&
                 EVP_DecryptUpdate(ctx, to, &n, body, (int)size) == 1 &&
                 EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1;
    bool good = ready && EVP_DecryptFinal_ex(ctx, to + n, &last) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!good) {
        mem_wipe(to, size);
        to[0] = '\0'; /* there is always a NUL behind the buffer's bytes */
        if (!ready)
            return library_error(err);
        return err_set(err, RN_EAUTH,
                       "the sealed text cannot be opened: it was sealed with another key or for "
                       "another place, or it "
                       "has been changed");
    }
    buf_grew(out, size);
    return 0;
}
