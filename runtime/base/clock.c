#include "base/clock.h"

#include "base/err.h"

#include <stdatomic.h>

static _Atomic int64_t fake_ms = -1;

static int64_t read_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_now_ms(void)
{
    int64_t fake = atomic_load_explicit(&fake_ms, memory_order_relaxed);
    return fake >= 0 ? fake : read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_ms(void)
{
    int64_t fake = atomic_load_explicit(&fake_ms, memory_order_relaxed);
    return fake >= 0 ? fake : read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
    int64_t fake = atomic_load_explicit(&fake_ms, memory_order_relaxed);
    return fake >= 0 ? fake * 1000 : read_us(CLOCK_MONOTONIC);
}

void clock_fake(int64_t now_ms)
{
    atomic_store(&fake_ms, now_ms);
}

void clock_format(int64_t ms, char out[CLOCK_TEXT_MAX])
{
    time_t seconds = (time_t)(ms / 1000);
    int fraction = (int)(ms % 1000);
    if (fraction < 0) {
        fraction += 1000;
        seconds--;
    }
    struct tm tm;
    if (!gmtime_r(&seconds, &tm) || tm.tm_year > 8099) {
        (void)snprintf(out, CLOCK_TEXT_MAX, "?");
        return;
    }
    size_t n = strftime(out, CLOCK_TEXT_MAX - 8, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out + n, CLOCK_TEXT_MAX - n, ".%03dZ", fraction);
}

/* Exactly `digits` digits at *at. */
static bool read_digits(struct str text, size_t *at, size_t digits, int *ret)
{
    int value = 0;
    if (*at + digits > text.len)
        return false;
    for (size_t i = 0; i < digits; i++) {
        char c = text.ptr[*at + i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *at += digits;
    *ret = value;
    return true;
}

static bool read_char(struct str text, size_t *at, char c)
{
    if (*at >= text.len || text.ptr[*at] != c)
        return false;
    (*at)++;
    return true;
}

static bool read_time(struct str text, size_t *at, struct tm *tm, int64_t *ret_ms)
{
    if (!read_digits(text, at, 2, &tm->tm_hour) || !read_char(text, at, ':') ||
        !read_digits(text, at, 2, &tm->tm_min))
        return false;
    if (read_char(text, at, ':') && !read_digits(text, at, 2, &tm->tm_sec))
        return false;
    if (read_char(text, at, '.')) {
        int64_t scale = 100;
        size_t start = *at;
        for (; *at < text.len && text.ptr[*at] >= '0' && text.ptr[*at] <= '9'; (*at)++) {
            *ret_ms += (text.ptr[*at] - '0') * scale;
            scale /= 10;
        }
        if (*at == start)
            return false;
    }
    return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 61;
}

static bool read_offset(struct str text, size_t *at, int64_t *ret_ms)
{
    if (read_char(text, at, 'Z') || read_char(text, at, 'z'))
        return true;
    int sign = read_char(text, at, '+') ? 1 : read_char(text, at, '-') ? -1 : 0;
    int hours = 0, minutes = 0;
    if (sign == 0 || !read_digits(text, at, 2, &hours))
        return false;
    (void)read_char(text, at, ':');
    if (!read_digits(text, at, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_ms -= (int64_t)sign * (hours * 60 + minutes) * 60000;
    return true;
}

int clock_parse(struct str text, int64_t *ret_ms)
{
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct tm tm = {0};
    int year = 0, month = 0;
    int64_t extra_ms = 0;
    size_t at = 0;
    if (!read_digits(text, &at, 4, &year) || !read_char(text, &at, '-') ||
        !read_digits(text, &at, 2, &month) || !read_char(text, &at, '-') ||
        !read_digits(text, &at, 2, &tm.tm_mday))
        return RN_EINVAL;
    if (month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > month_days[month - 1])
        return RN_EINVAL;
    if (month == 2 && tm.tm_mday == 29 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0)))
        return RN_EINVAL;
    if (at < text.len) {
        if (!read_char(text, &at, 'T') && !read_char(text, &at, ' '))
            return RN_EINVAL;
        if (!read_time(text, &at, &tm, &extra_ms) || !read_offset(text, &at, &extra_ms) ||
            at != text.len)
            return RN_EINVAL;
    }
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    *ret_ms = (int64_t)timegm(&tm) * 1000 + extra_ms;
    return 0;
}
