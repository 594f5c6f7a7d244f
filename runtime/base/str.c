#include "base/str.h"

#include "base/err.h"

#include <strings.h>

struct str str_from(const char *text)
{
    return (struct str){text, text ? strlen(text) : 0};
}

struct str str_n(const void *data, size_t size)
{
    return (struct str){data, size};
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_eq_c(struct str a, const char *b)
{
    return str_eq(a, str_from(b));
}

bool str_eq_nocase(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (order)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

bool str_starts(struct str text, const char *prefix)
{
    size_t n = strlen(prefix);
    return text.len >= n && memcmp(text.ptr, prefix, n) == 0;
}

bool str_ends(struct str text, const char *suffix)
{
    size_t n = strlen(suffix);
    return text.len >= n && memcmp(text.ptr + text.len - n, suffix, n) == 0;
}

bool str_cut(struct str *text, char c, struct str *ret_part)
{
    if (!text->ptr)
        return false;
    const char *at = text->len ? memchr(text->ptr, c, text->len) : NULL;
    if (!at) {
        *ret_part = *text;
        *text = STR_NONE;
        return true;
    }
    size_t n = (size_t)(at - text->ptr);
    *ret_part = str_n(text->ptr, n);
    *text = str_n(at + 1, text->len - n - 1);
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool str_is_name(struct str text, size_t max)
{
    if (text.len < 1 || text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_letter && c != '-' && c != '_' && (c != '.' || i == 0))
            return false;
    }
    return true;
}

struct str str_trim(struct str text)
{
    while (text.len && is_space(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

ptrdiff_t str_find(struct str text, const char *needle, size_t from)
{
    if (!text.ptr || from > text.len)
        return -1;
    const char *at = memmem(text.ptr + from, text.len - from, needle, strlen(needle));
    return at ? at - text.ptr : -1;
}

char *str_dup(struct str text)
{
    return xmemdup(text.ptr, text.len);
}

size_t utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | (c >> 6));
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | (c >> 12));
        out[1] = (char)(0x80 | ((c >> 6) & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (c >> 18));
    out[1] = (char)(0x80 | ((c >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((c >> 6) & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* The length of the valid character at `at`, or 0 (RFC 3629: no overlong forms, no surrogates, up
 * to U+10FFFF). */
static size_t valid_length(struct str text, size_t at)
{
    const unsigned char *p = (const unsigned char *)text.ptr + at;
    size_t left = text.len - at;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    size_t n = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (left < n)
        return 0;
    unsigned char low = 0x80, high = 0xBF; /* the range of the second byte */
    if (p[0] == 0xE0)
        low = 0xA0;
    else if (p[0] == 0xED)
        high = 0x9F;
    else if (p[0] == 0xF0)
        low = 0x90;
    else if (p[0] == 0xF4)
        high = 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return n;
}

bool utf8_is_valid(struct str text)
{
    size_t at = 0;
    while (at < text.len) {
        size_t n = valid_length(text, at);
        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

size_t utf8_length(struct str text, size_t at)
{
    size_t n = valid_length(text, at);
    return n ? n : 1;
}

uint32_t utf8_decode(struct str text, size_t *at)
{
    const unsigned char *p = (const unsigned char *)text.ptr + *at;
    size_t n = valid_length(text, *at);
    *at += n ? n : 1;
    switch (n) {
    case 1:
        return p[0];
    case 2:
        return ((uint32_t)(p[0] & 0x1F) << 6) | (p[1] & 0x3Fu);
    case 3:
        return ((uint32_t)(p[0] & 0x0F) << 12) | ((uint32_t)(p[1] & 0x3F) << 6) | (p[2] & 0x3Fu);
    case 4:
        return ((uint32_t)(p[0] & 0x07) << 18) | ((uint32_t)(p[1] & 0x3F) << 12) |
               ((uint32_t)(p[2] & 0x3F) << 6) | (p[3] & 0x3Fu);
    default:
        return 0xFFFD;
    }
}

int num_parse_u64(struct str text, uint64_t *ret)
{
    uint64_t value = 0;
    if (text.len == 0)
        return RN_EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return RN_EINVAL;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.ptr[i] - '0'), &value))
            return RN_ETOOBIG;
    }
    *ret = value;
    return 0;
}

int num_parse_i64(struct str text, int64_t *ret)
{
    bool negative = text.len > 0 && text.ptr[0] == '-';
    uint64_t value = 0;
    int rc = num_parse_u64(negative ? str_n(text.ptr + 1, text.len - 1) : text, &value);
    if (rc)
        return rc;
    if (value > (uint64_t)INT64_MAX + (negative ? 1u : 0u))
        return RN_ETOOBIG;
    *ret = negative ? (int64_t)(0u - value) : (int64_t)value;
    return 0;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* A whole number and one of `units`, without a space between them. */
static int parse_with_unit(struct str text, const struct unit *units, size_t count, uint64_t *ret)
{
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    uint64_t value = 0;
    int rc = num_parse_u64(str_n(text.ptr, digits), &value);
    if (rc)
        return rc;
    for (size_t i = 0; i < count; i++) {
        if (!str_eq_c(str_n(text.ptr + digits, text.len - digits), units[i].name))
            continue;
        if (__builtin_mul_overflow(value, units[i].factor, &value))
            return RN_ETOOBIG;
        *ret = value;
        return 0;
    }
    return RN_EINVAL;
}

int num_parse_bytes(struct str text, uint64_t *ret)
{
    static const struct unit units[] = {
        {"", 1},           {"B", 1},          {"KiB", 1u << 10},
        {"MiB", 1u << 20}, {"GiB", 1u << 30}, {"TiB", (uint64_t)1 << 40},
        {"KB", 1000},      {"MB", 1000000},   {"GB", 1000000000},
    };
    return parse_with_unit(text, units, COUNT_OF(units), ret);
}

int num_parse_duration(struct str text, int64_t *ret_ms)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"w", 604800000},
    };
    uint64_t value = 0;
    int rc = parse_with_unit(text, units, COUNT_OF(units), &value);
    if (rc)
        return rc;
    if (value > (uint64_t)INT64_MAX / 2)
        return RN_ETOOBIG;
    *ret_ms = (int64_t)value;
    return 0;
}

size_t str_distance(struct str a, struct str b, size_t limit)
{
    enum { LENGTH_MAX = 128 };
    if (a.len > LENGTH_MAX || b.len > LENGTH_MAX)
        return limit + 1;
    size_t row[LENGTH_MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t above = row[j];
            size_t cost = diagonal + (a.ptr[i - 1] == b.ptr[j - 1] ? 0 : 1);
            if (above + 1 < cost)
                cost = above + 1;
            if (row[j - 1] + 1 < cost)
                cost = row[j - 1] + 1;
            diagonal = above;
            row[j] = cost;
        }
    }
    return row[b.len] <= limit ? row[b.len] : limit + 1;
}
