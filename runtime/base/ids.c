#include "base/ids.h"

#include "base/err.h"

#include <sys/random.h>

static const char digits32[] = "0123456789abcdefghjkmnpqrstvwxyz";

uint64_t id_next(uint64_t last, int64_t now_ms)
{
    uint64_t now = (uint64_t)now_ms << ID_COUNTER_BITS;
    return now > last ? now : last + 1;
}

int64_t id_ms(uint64_t id)
{
    return (int64_t)(id >> ID_COUNTER_BITS);
}

void id_format(const char *prefix, uint64_t id, char out[ID_TEXT_MAX])
{
    char text[14];
    for (int i = 12; i >= 0; i--) {
        text[i] = digits32[id & 31];
        id >>= 5;
    }
    text[13] = '\0';
    (void)snprintf(out, ID_TEXT_MAX, "%s_%s", prefix, text);
}

int id_parse(const char *prefix, struct str text, uint64_t *ret)
{
    size_t n = strlen(prefix);
    if (!str_starts(text, prefix) || text.len != n + 14 || text.ptr[n] != '_')
        return RN_EINVAL;
    uint64_t id = 0;
    for (size_t i = n + 1; i < text.len; i++) {
        const char *at = text.ptr[i] ? strchr(digits32, text.ptr[i]) : NULL;
        if (!at || (i == n + 1 && at - digits32 > 15))
            return RN_EINVAL;
        id = id << 5 | (uint64_t)(at - digits32);
    }
    *ret = id;
    return 0;
}

void random_bytes(void *data, size_t size)
{
    unsigned char *p = data;
    while (size > 0) {
        ssize_t n = getrandom(p, size, 0);
        if (n < 0) {
            perror("runnel: getrandom");
            abort();
        }
        p += n;
        size -= (size_t)n;
    }
}

void random_key(char *out, size_t length)
{
    random_bytes(out, length);
    for (size_t i = 0; i < length; i++)
        out[i] = digits32[(unsigned char)out[i] & 31];
    out[length] = '\0';
}

void random_uuid(char out[37])
{
    unsigned char b[16];
    random_bytes(b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
    (void)snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                   b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
                   b[13], b[14], b[15]);
}
