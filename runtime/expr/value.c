#include "expr/value.h"

#include <float.h>
#include <math.h>

struct value value_of(const struct json *json)
{
    struct value value = {.kind = VALUE_UNDEFINED, .json = json};
    if (json == NULL)
        return value;
    switch (json_kind(json)) {
    case JSON_NULL:
        value.kind = VALUE_NULL;
        break;
    case JSON_BOOLEAN:
        value.kind = VALUE_BOOLEAN;
        value.boolean = json_is_true(json);
        break;
    case JSON_NUMBER:
        if (json_is_exact_double(json) && json_to_double(json, &value.number))
            value.kind = VALUE_NUMBER;
        else
            value.kind = VALUE_EXACT;
        break;
    case JSON_STRING:
        value.kind = VALUE_STRING;
        value.string = json_str(json);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        value.kind = VALUE_CONTAINER;
        break;
    }
    return value;
}

bool value_is_nullish(const struct value *value)
{
    return value->kind == VALUE_UNDEFINED || value->kind == VALUE_NULL;
}

bool value_is_truthy(const struct value *value)
{
    switch (value->kind) {
    case VALUE_UNDEFINED:
    case VALUE_NULL:
        return false;
    case VALUE_BOOLEAN:
        return value->boolean;
    case VALUE_NUMBER:
        return value->number != 0 && !isnan(value->number);
    case VALUE_STRING:
        return value->string.len > 0;
    case VALUE_EXACT: /* zero is exact */
    case VALUE_CONTAINER:
        return true;
    }
    return false;
}

int value_strictly_equals(const struct value *a, const struct value *b, bool *ret)
{
    if (a->kind != b->kind) {
        *ret = false;
        return 0;
    }
    switch (a->kind) {
    case VALUE_UNDEFINED:
    case VALUE_NULL:
        *ret = true;
        return 0;
    case VALUE_BOOLEAN:
        *ret = a->boolean == b->boolean;
        return 0;
    case VALUE_NUMBER:
        *ret = a->number == b->number;
        return 0;
    case VALUE_STRING:
        *ret = str_eq(a->string, b->string);
        return 0;
    case VALUE_CONTAINER:
        *ret = a->json == b->json;
        return 0;
    case VALUE_EXACT:
        break;
    }
    return RN_EAGAIN;
}

/* ---- strings as numbers */

static size_t trim_start(struct str text, size_t at)
{
    while (at < text.len) {
        unsigned char c = (unsigned char)text.ptr[at];
        if (c == ' ' || (c >= '\t' && c <= '\r'))
            at++;
        else
            break;
    }
    return at;
}

static bool is_decimal(const char *p, const char *end)
{
    bool has_digits = false;
    if (p < end && (*p == '+' || *p == '-'))
        p++;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        has_digits = true;
    if (p < end && *p == '.')
        for (p++; p < end && *p >= '0' && *p <= '9'; p++)
            has_digits = true;
    if (!has_digits)
        return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        if (p == end)
            return false;
        while (p < end && *p >= '0' && *p <= '9')
            p++;
    }
    return p == end;
}

/* Text that starts or ends with a character past ASCII (it may be white space), 0x, 0o and 0b forms
 * are left to the engine. */
static int string_to_number(struct str text, double *ret)
{
    size_t start = trim_start(text, 0);
    size_t end = text.len;
    while (end > start && trim_start(str_n(text.ptr + end - 1, 1), 0) == 1)
        end--;
    if (start == end) {
        *ret = 0;
        return 0;
    }
    const char *p = text.ptr + start;
    size_t size = end - start;
    if ((unsigned char)p[0] >= 0x80 || (unsigned char)p[size - 1] >= 0x80)
        return RN_EAGAIN;
    if (size > 1 && p[0] == '0' && strchr("xXoObB", p[1]) != NULL)
        return RN_EAGAIN;
    size_t sign = p[0] == '-' || p[0] == '+';
    if (str_eq_c(str_n(p + sign, size - sign), "Infinity")) {
        *ret = p[0] == '-' ? -INFINITY : INFINITY;
        return 0;
    }
    if (!is_decimal(p, p + size)) {
        *ret = NAN;
        return 0;
    }
    char *copy = xmemdup(p, size);
    *ret = strtod(copy, NULL);
    free(copy);
    return 0;
}

/* ToNumber of a primitive. */
static int to_number(const struct value *value, double *ret)
{
    switch (value->kind) {
    case VALUE_UNDEFINED:
        *ret = NAN;
        return 0;
    case VALUE_NULL:
        *ret = 0;
        return 0;
    case VALUE_BOOLEAN:
        *ret = value->boolean ? 1 : 0;
        return 0;
    case VALUE_NUMBER:
        *ret = value->number;
        return 0;
    case VALUE_STRING:
        return string_to_number(value->string, ret);
    case VALUE_EXACT:
    case VALUE_CONTAINER:
        break;
    }
    return RN_EAGAIN;
}

int value_loosely_equals(const struct value *a, const struct value *b, bool *ret)
{
    if (value_is_nullish(a) || value_is_nullish(b)) {
        *ret = value_is_nullish(a) && value_is_nullish(b);
        return 0;
    }
    if (a->kind == b->kind)
        return value_strictly_equals(a, b, ret);
    double x = 0;
    double y = 0;
    int code = to_number(a, &x);
    if (code == 0)
        code = to_number(b, &y);
    if (code == 0)
        *ret = x == y;
    return code;
}

/* ---- order */

/* The UTF-16 units of a text, one after the other; -1 at the end. */
struct units {
    struct str text;
    size_t at;
    int pending;
};

/* utf8_decode() that also reads the three bytes of a lone surrogate. */
static uint32_t decode(struct str text, size_t *at)
{
    const unsigned char *p = (const unsigned char *)text.ptr + *at;
    if (text.len - *at >= 3 && p[0] == 0xED && p[1] >= 0xA0) {
        *at += 3;
        return 0xD000u | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3Fu);
    }
    return utf8_decode(text, at);
}

static int units_next(struct units *units)
{
    if (units->pending >= 0) {
        int unit = units->pending;
        units->pending = -1;
        return unit;
    }
    if (units->at >= units->text.len)
        return -1;
    uint32_t c = decode(units->text, &units->at);
    if (c < 0x10000)
        return (int)c;
    units->pending = (int)(0xDC00 + ((c - 0x10000) & 0x3FF));
    return (int)(0xD800 + ((c - 0x10000) >> 10));
}

static bool is_string_less(struct str a, struct str b)
{
    struct units x = {.text = a, .pending = -1};
    struct units y = {.text = b, .pending = -1};
    for (;;) {
        int p = units_next(&x);
        int q = units_next(&y);
        if (p != q)
            return p < q;
        if (p < 0)
            return false;
    }
}

int value_is_less(const struct value *a, const struct value *b, int *ret)
{
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING) {
        *ret = is_string_less(a->string, b->string);
        return 0;
    }
    double x = 0;
    double y = 0;
    int code = to_number(a, &x);
    if (code == 0)
        code = to_number(b, &y);
    if (code == 0)
        *ret = isnan(x) || isnan(y) ? -1 : x < y;
    return code;
}

/* ---- text */

/* Shortest digits that read back the same, then laid out as ECMAScript's Number::toString says. */
void number_text(struct buf *out, double number)
{
    if (isnan(number) || isinf(number) || number == 0) {
        buf_add_c(out, isnan(number) ? "NaN"
                       : number == 0 ? "0"
                       : number < 0  ? "-Infinity"
                                     : "Infinity");
        return;
    }
    char text[40];
    for (int precision = 1; precision <= DBL_DECIMAL_DIG; precision++) {
        (void)snprintf(text, sizeof(text), "%.*e", precision - 1, fabs(number));
        if (strtod(text, NULL) == fabs(number))
            break;
    }
    char digits[20];
    int count = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (*p != '.')
            digits[count++] = *p;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    bool is_negative_exponent = p[1] == '-';
    int exponent = 0;
    for (p += 2; *p != '\0'; p++)
        exponent = exponent * 10 + (*p - '0');
    int n = (is_negative_exponent ? -exponent : exponent) + 1; /* digits before the point */

    if (number < 0)
        buf_add_char(out, '-');
    if (count <= n && n <= 21) {
        buf_add(out, digits, (size_t)count);
        for (int i = count; i < n; i++)
            buf_add_char(out, '0');
    } else if (n > 0 && n <= 21) {
        buf_add(out, digits, (size_t)n);
        buf_add_char(out, '.');
        buf_add(out, digits + n, (size_t)(count - n));
    } else if (n > -6 && n <= 0) {
        buf_add_c(out, "0.");
        for (int i = n; i < 0; i++)
            buf_add_char(out, '0');
        buf_add(out, digits, (size_t)count);
    } else {
        buf_add(out, digits, 1);
        if (count > 1) {
            buf_add_char(out, '.');
            buf_add(out, digits + 1, (size_t)count - 1);
        }
        buf_addf(out, "e%c%d", n > 0 ? '+' : '-', n > 0 ? n - 1 : 1 - n);
    }
}

size_t utf16_length(struct str text)
{
    size_t length = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        length += (c & 0xC0) == 0x80 ? 0 : c >= 0xF0 ? 2 : 1;
    }
    return length;
}

struct str utf16_at(struct arena *arena, struct str text, size_t index)
{
    struct units units = {.text = text, .pending = -1};
    int unit = -1;
    for (size_t i = 0; i <= index; i++) {
        unit = units_next(&units);
        if (unit < 0)
            return STR_NONE;
    }
    char bytes[4];
    size_t size = utf8_encode((uint32_t)unit, bytes);
    if (unit >= 0xD800 && unit <= 0xDFFF) {
        bytes[0] = (char)0xED;
        bytes[1] = (char)(0x80 | ((unit >> 6) & 0x3F));
        bytes[2] = (char)(0x80 | (unit & 0x3F));
        size = 3;
    }
    return str_n(arena_dup(arena, str_n(bytes, size)), size);
}

struct json *json_of_utf16_safe(struct str text)
{
    if (text.len == 3 && (unsigned char)text.ptr[0] == 0xED && (unsigned char)text.ptr[1] >= 0xA0)
        return json_new_string_c("\xEF\xBF\xBD");
    return json_new_string(text);
}
