/* Rate limits in fixed windows, each opened by its first request. */
#include "sandbox/private.h"

#include "base/clock.h"

enum { KEYS_MAX = 1000 };

struct rate {
    int64_t start_ms, punished_until_ms;
    int used;
};

static struct rate *rate_of(struct sandbox *sandbox, const char *key)
{
    struct rate *rate = map_get(&sandbox->rates, str_from(key));
    if (!rate) {
        if (sandbox->rates.count >= KEYS_MAX)
            map_release(&sandbox->rates, free);
        rate = xcalloc(1, sizeof(*rate));
        rate->start_ms = INT64_MIN / 2;
        (void)map_put(&sandbox->rates, str_from(key), rate);
    }
    return rate;
}

struct rate_result rate_take(struct sandbox *sandbox, const char *key, int limit, int64_t window_ms)
{
    struct rate *rate = rate_of(sandbox, key);
    int64_t now = clock_mono_ms();
    if (sandbox->limits > 0)
        limit = limit > INT32_MAX / sandbox->limits ? INT32_MAX : limit * sandbox->limits;
    if (now - rate->start_ms >= window_ms) {
        rate->start_ms = now;
        rate->used = 0;
    }
    struct rate_result result = {.limit = limit, .left_ms = rate->start_ms + window_ms - now};
    if (sandbox->limits != SANDBOX_LIMITS_OFF) {
        result.is_limited = rate->used >= limit || rate->punished_until_ms > now;
        if (rate->punished_until_ms > now)
            result.left_ms = rate->punished_until_ms - now;
    }
    if (!result.is_limited && rate->used < limit)
        rate->used++;
    result.used = rate->used;
    return result;
}

void rate_punish(struct sandbox *sandbox, const char *key, int64_t ms)
{
    struct rate *rate = rate_of(sandbox, key);
    int64_t until = clock_mono_ms() + ms;
    if (rate->punished_until_ms < clock_mono_ms()) /* it is not made longer by asking again */
        rate->punished_until_ms = until;
}
