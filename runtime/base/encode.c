#include "base/encode.h"

#include "base/err.h"

static const char base64_standard[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void encode_hex(const void *data, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * size] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int decode_hex(struct str text, unsigned char *out)
{
    if (text.len % 2)
        return RN_EINVAL;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_value(text.ptr[i]), low = hex_value(text.ptr[i + 1]);
        if (high < 0 || low < 0)
            return RN_EINVAL;
        out[i / 2] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

void encode_base64(struct buf *out, const void *data, size_t size, bool url)
{
    const char *alphabet = url ? base64_url : base64_standard;
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i += 3) {
        size_t n = size - i < 3 ? size - i : 3;
        uint32_t v =
            (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0u);
        char four[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63],
                        alphabet[v & 63]};
        buf_add(out, four, n + 1);
        if (!url)
            buf_add(out, "==", 3 - n);
    }
}

static int base64_value(char c)
{
    const char *at = c ? strchr(base64_standard, c) : NULL;
    if (at)
        return (int)(at - base64_standard);
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int decode_base64(struct buf *out, struct str text)
{
    size_t n = text.len;
    while (n > 0 && text.len - n < 2 && text.ptr[n - 1] == '=')
        n--;
    if (n % 4 == 1 || (n != text.len && text.len % 4 != 0))
        return RN_EINVAL;
    uint32_t bits = 0;
    int count = 0;
    for (size_t i = 0; i < n; i++) {
        int v = base64_value(text.ptr[i]);
        if (v < 0)
            return RN_EINVAL;
        bits = bits << 6 | (uint32_t)v;
        count += 6;
        if (count >= 8) {
            count -= 8;
            buf_add_char(out, (char)(bits >> count & 0xFF));
        }
    }
    return (bits & ((1u << count) - 1)) ? RN_EINVAL : 0;
}

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void encode_percent(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_unreserved(text.ptr[i]))
            buf_add_char(out, text.ptr[i]);
        else
            buf_addf(out, "%%%02X", (unsigned char)text.ptr[i]);
    }
}

int decode_percent(struct buf *out, struct str text, bool form)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '+' && form) {
            c = ' ';
        } else if (c == '%') {
            unsigned char byte;
            if (text.len - i < 3 || decode_hex(str_n(text.ptr + i + 1, 2), &byte))
                return RN_EINVAL;
            c = (char)byte;
            i += 2;
        }
        buf_add_char(out, c);
    }
    return 0;
}
