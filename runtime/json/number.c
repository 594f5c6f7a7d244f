/* Numbers as decimals. A literal is compared and converted digit by digit, never through a double,
 * so that nothing is lost on the way; a double is made only where one is asked for. The decimal
 * point is the C locale's whatever setlocale() says. */
#include "json/node.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>

/* |value| = 0.D1D2D3… × 10^exponent, D1 and the last digit not 0. */
struct decimal {
    const char *digits; /* at D1; a point may stand between them */
    size_t count;       /* 0: the value is zero */
    int64_t exponent;
    bool negative;
    bool huge; /* the exponent is past what int64_t holds: only the text says which number it is */
};

static const int64_t exponent_max = INT64_MAX / 4;

static int64_t read_exponent(const char *p, const char *end, bool *ret_huge)
{
    bool negative = *p == '-';
    int64_t value = 0;
    if (*p == '-' || *p == '+')
        p++;
    for (; p < end; p++) {
        value = value * 10 + (*p - '0');
        if (value > exponent_max / 10) {
            *ret_huge = true;
            break;
        }
    }
    return negative ? -value : value;
}

static struct decimal decimal_of(struct str literal)
{
    struct decimal d = {0};
    const char *p = literal.ptr, *end = p + literal.len;
    int64_t index = 0, whole = -1, first = -1, last = -1; /* digits are counted from the left */
    if (*p == '-') {
        d.negative = true;
        p++;
    }
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            whole = index;
            continue;
        }
        if (*p != '0') {
            if (first < 0) {
                first = index;
                d.digits = p;
            }
            last = index;
        }
        index++;
    }
    if (first < 0)
        return (struct decimal){.negative = d.negative};
    d.count = (size_t)(last - first + 1);
    d.exponent = (whole < 0 ? index : whole) - first;
    if (p < end)
        d.exponent += read_exponent(p + 1, end, &d.huge);
    return d;
}

bool number_is_equal(struct str left, struct str right)
{
    if (str_eq(left, right))
        return true;
    struct decimal a = decimal_of(left), b = decimal_of(right);
    if (a.count == 0 || b.count == 0)
        return a.count == b.count;
    if (a.negative != b.negative || a.count != b.count || a.exponent != b.exponent || a.huge ||
        b.huge)
        return false;
    for (size_t i = 0; i < a.count; i++) {
        a.digits += *a.digits == '.';
        b.digits += *b.digits == '.';
        if (*a.digits++ != *b.digits++)
            return false;
    }
    return true;
}

/* The magnitude of a whole number below 2^64. */
static bool to_whole(struct str literal, uint64_t *ret, bool *ret_negative)
{
    struct decimal d = decimal_of(literal);
    uint64_t value = 0;
    *ret_negative = d.negative;
    if (d.count > 0) {
        if (d.huge || d.exponent > 20 || (int64_t)d.count > d.exponent)
            return false;
        for (int64_t i = 0; i < d.exponent; i++) {
            uint64_t digit = 0;
            if (i < (int64_t)d.count) {
                d.digits += *d.digits == '.';
                digit = (uint64_t)(*d.digits++ - '0');
            }
            if (__builtin_mul_overflow(value, 10u, &value) ||
                __builtin_add_overflow(value, digit, &value))
                return false;
        }
    }
    *ret = value;
    return true;
}

bool json_to_i64(const struct json *value, int64_t *ret)
{
    if (!json_is(value, JSON_NUMBER))
        return false;
    struct str literal = json_literal(value);
    int64_t fast;
    if (literal.len < 19 && num_parse_i64(literal, &fast) == 0) {
        *ret = fast;
        return true;
    }
    uint64_t whole;
    bool negative;
    if (!to_whole(literal, &whole, &negative) || whole > (uint64_t)INT64_MAX + (negative ? 1u : 0u))
        return false;
    *ret = negative ? (int64_t)(0u - whole) : (int64_t)whole;
    return true;
}

bool json_to_u64(const struct json *value, uint64_t *ret)
{
    uint64_t whole;
    bool negative;
    if (!json_is(value, JSON_NUMBER) || !to_whole(json_literal(value), &whole, &negative))
        return false;
    if (negative && whole != 0)
        return false;
    *ret = whole;
    return true;
}

/* ---------------------------------------------------------------- doubles */

static locale_t c_locale;

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* `text` ends with a NUL. */
static double read_double(const char *text)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_locale);
    return strtod_l(text, NULL, c_locale);
}

bool json_to_double(const struct json *value, double *ret)
{
    if (!json_is(value, JSON_NUMBER))
        return false;
    double d = read_double(json_literal(value).ptr);
    if (isinf(d))
        return false;
    *ret = d;
    return true;
}

/* The digits of `value` (not 0) rounded to `precision`, without trailing zeros, and the exponent of
 * 0.DIGITS. */
static int round_digits(double value, int precision, char digits[24])
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%.*e", precision - 1, fabs(value));
    size_t n = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (*p >= '0' && *p <= '9') /* the point is the locale's, and may be any bytes */
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = '\0';
    bool negative = *++p == '-';
    int exponent = 0;
    while (*++p)
        exponent = exponent * 10 + (*p - '0');
    return (negative ? -exponent : exponent) + 1;
}

/* The shortest digits that read back as `value`: 15 always fit into a normal double, 17 always tell
 * it apart. */
static int shortest_digits(double value, char digits[24])
{
    int exponent = 0;
    for (int precision = fabs(value) < DBL_MIN ? 1 : 15; precision <= 17; precision++) {
        exponent = round_digits(value, precision, digits);
        char text[64];
        (void)snprintf(text, sizeof(text), "%se%d", digits, exponent - (int)strlen(digits));
        double back = read_double(text);
        if (back == fabs(value))
            break;
    }
    return exponent;
}

void number_format(double value, char out[NUMBER_TEXT_MAX])
{
    if (fabs(value) < 1e15 && fabs(value) >= 1) {
        long long whole = (long long)value;
        if ((double)whole == value) {
            (void)snprintf(out, NUMBER_TEXT_MAX, "%lld", whole);
            return;
        }
    }
    const char *sign = signbit(value) ? "-" : "";
    if (value == 0) {
        (void)snprintf(out, NUMBER_TEXT_MAX, "%s0", sign);
        return;
    }
    char digits[24];
    int exponent = shortest_digits(value, digits);
    int count = (int)strlen(digits);
    if (exponent >= count && exponent <= 21)
        (void)snprintf(out, NUMBER_TEXT_MAX, "%s%s%.*s", sign, digits, exponent - count,
                       "000000000000000000000");
    else if (exponent > 0 && exponent <= 21)
        (void)snprintf(out, NUMBER_TEXT_MAX, "%s%.*s.%s", sign, exponent, digits,
                       digits + exponent);
    else if (exponent > -6 && exponent <= 0)
        (void)snprintf(out, NUMBER_TEXT_MAX, "%s0.%.*s%s", sign, -exponent, "00000", digits);
    else
        (void)snprintf(out, NUMBER_TEXT_MAX, "%s%c%s%se%+d", sign, digits[0], count > 1 ? "." : "",
                       digits + 1, exponent - 1);
}

/* As written means: a program that reads the literal into a double and writes the double back, as
 * JavaScript does, has the same decimal number. 0.1 passes; 9007199254740993 and the 35 digits of
 * what 0.1 is in binary do not. */
bool json_is_exact_double(const struct json *value)
{
    if (!json_is(value, JSON_NUMBER))
        return false;
    struct str literal = json_literal(value);
    struct decimal d = decimal_of(literal);
    if (d.count == 0)
        return true;
    if (d.huge || d.count > 17)
        return false;
    if (d.count <= 15 && d.exponent > -300 && d.exponent <= 308)
        return true;
    double number = read_double(literal.ptr);
    if (isinf(number) || number == 0)
        return false;
    char text[NUMBER_TEXT_MAX];
    number_format(number, text);
    return number_is_equal(literal, str_from(text));
}
