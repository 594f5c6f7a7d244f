/* Helpers that need nothing but the run's arena; time, log and the end of the call. */
#include "plugin/run.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/ids.h"
#include "base/limits.h"
#include "crypto/hmac.h"

#include <errno.h>
#include <unistd.h>

enum { RANDOM_BYTES_MAX = 1024 };

static enum crypto_digest digest_of(struct run *run, int32_t digest)
{
    if (digest == RN_SHA1)
        return CRYPTO_SHA1;
    if (digest != RN_SHA256)
        (void)run_fail(run, RN_EINVAL, "the digest %d is neither RN_SHA1 nor RN_SHA256", digest);
    return CRYPTO_SHA256;
}

const char *api_hmac_hex(struct rn_run *rn, int32_t digest, const void *key, size_t key_size,
                         const void *data, size_t size)
{
    struct run *run = run_of(rn);
    char *out = arena_alloc(&run->arena, CRYPTO_HEX_MAX);
    crypto_hmac_hex(digest_of(run, digest), str_n(key, key_size), str_n(data, size), out);
    return out;
}

const char *api_hash_hex(struct rn_run *rn, int32_t digest, const void *data, size_t size)
{
    struct run *run = run_of(rn);
    char *out = arena_alloc(&run->arena, CRYPTO_HEX_MAX);
    crypto_hash_hex(digest_of(run, digest), str_n(data, size), out);
    return out;
}

bool api_equal(const void *a, size_t a_size, const void *b, size_t b_size)
{
    return crypto_equal(str_n(a, a_size), str_n(b, b_size));
}

const char *api_random_hex(struct rn_run *rn, size_t bytes)
{
    struct run *run = run_of(rn);
    unsigned char data[RANDOM_BYTES_MAX];
    if (bytes > sizeof(data))
        bytes = sizeof(data);
    random_bytes(data, bytes);
    char *out = arena_alloc(&run->arena, 2 * bytes + 1);
    encode_hex(data, bytes, out);
    return out;
}

const char *api_uuid(struct rn_run *rn)
{
    char *out = arena_alloc(&run_of(rn)->arena, 37);
    random_uuid(out);
    return out;
}

static const char *keep(struct run *run, struct buf *text, size_t *ret_size)
{
    char *out = arena_dup(&run->arena, buf_str(text));
    if (ret_size)
        *ret_size = text->len;
    buf_release(text);
    return out;
}

const char *api_base64(struct rn_run *rn, const void *data, size_t size)
{
    struct buf out = BUF_INIT(size / 3 * 4 + 8);
    encode_base64(&out, data, size, false);
    return keep(run_of(rn), &out, NULL);
}

const void *api_base64_decode(struct rn_run *rn, const char *text, size_t *ret_size)
{
    if (!text)
        return NULL;
    struct buf out = BUF_INIT(strlen(text) + 1);
    if (decode_base64(&out, str_from(text))) {
        buf_release(&out);
        return NULL;
    }
    return keep(run_of(rn), &out, ret_size);
}

const char *api_url_encode(struct rn_run *rn, const char *text)
{
    struct str from = str_from(text);
    struct buf out = BUF_INIT(from.len * 3 + 1);
    encode_percent(&out, from);
    return keep(run_of(rn), &out, NULL);
}

int64_t api_now_ms(void)
{
    return clock_now_ms();
}

bool api_parse_time(const char *text, int64_t *ret_ms)
{
    return text && clock_parse(str_from(text), ret_ms) == 0;
}

const char *api_format_time(struct rn_run *rn, int64_t ms)
{
    char *out = arena_alloc(&run_of(rn)->arena, CLOCK_TEXT_MAX);
    clock_format(ms, out);
    return out;
}

int64_t api_deadline_ms(struct rn_run *rn)
{
    return clock_now_ms() + run_left_ms(run_of(rn));
}

bool api_is_cancelled(struct rn_run *rn)
{
    return run_is_cancelled(run_of(rn));
}

int32_t api_sleep_ms(struct rn_run *rn, int64_t ms)
{
    return run_sleep(run_of(rn), ms);
}

void api_log(struct rn_run *rn, int32_t level, const char *text)
{
    struct run *run = run_of(rn);
    struct str line = str_from(text);
    if (!line.len || run->log_bytes >= LIMIT_LOG_BYTES)
        return;
    line = run_redact(run, line); /* before the cut, which might leave half a secret */
    size_t room = LIMIT_LOG_BYTES - run->log_bytes;
    size_t most = room < LIMIT_LOG_LINE ? room : LIMIT_LOG_LINE;
    if (line.len > most) {
        line.len = most;
        while (line.len && ((unsigned char)line.ptr[line.len] & 0xC0) == 0x80)
            line.len--;
    }
    run->log_bytes += line.len;
    if (level < RN_LOG_DEBUG || level > RN_LOG_ERROR)
        level = RN_LOG_INFO;
    run->services->log(run->services_ctx, level, line);
    if (run->log_bytes >= LIMIT_LOG_BYTES)
        run->services->log(run->services_ctx, RN_LOG_WARN,
                           STR("the log of this call is over 1 MiB: the rest is left out"));
}

int32_t api_fail(struct rn_run *rn, int32_t code, const char *text)
{
    return run_fail(run_of(rn), code, "%s", text ? text : "");
}

const char *api_text(struct rn_run *rn, const char *const *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i] ? strlen(parts[i]) : 0;
    char *out = arena_alloc(&run_of(rn)->arena, size + 1), *at = out;
    for (size_t i = 0; i < count; i++) {
        size_t length = parts[i] ? strlen(parts[i]) : 0;
        if (length)
            memcpy(at, parts[i], length);
        at += length;
    }
    return out;
}

const char *api_temp_dir(struct rn_run *rn)
{
    struct run *run = run_of(rn);
    if (run->temp_dir)
        return run->temp_dir;
    const char *base = getenv("TMPDIR");
    char *path = xasprintf("%s/runnel-XXXXXX", base && base[0] ? base : "/tmp");
    if (!mkdtemp(path)) {
        (void)run_fail(run, RN_EIO, "no temporary folder could be made: %s", strerror(errno));
        free(path);
        return NULL;
    }
    run->temp_dir = path;
    return path;
}
