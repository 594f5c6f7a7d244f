#include "engine/run.h"

static bool is_retryable(int code)
{
    switch (code) {
    case RN_ENOMEM:
    case RN_ERATE:
    case RN_ETIMEDOUT:
    case RN_EUNAVAILABLE:
    case RN_EIO:
    case RN_ENOSPACE:
        return true;
    default:
        return false;
    }
}

/* Exponential backoff with full jitter in its upper half, so that what failed together does not
 * come back together; never before the vendor's own hint. */
int64_t retry_at(const struct retry_policy *policy, int code, uint32_t counted,
                 int64_t retry_after_ms, int64_t now_ms)
{
    if ((int)counted >= policy->attempts || code == RN_ECANCELED)
        return -1;
    if (code == RN_EUNKNOWN ? policy->on_unknown == ON_UNKNOWN_FAIL
                            : !is_retryable(code) && policy->on != RETRY_ON_ALL)
        return -1;
    int64_t pause = policy->initial_ms;
    for (uint32_t i = 1; i < counted && pause < policy->max_ms; i++)
        pause *= 2;
    if (pause > policy->max_ms)
        pause = policy->max_ms;
    uint32_t random = 0;
    random_bytes(&random, sizeof(random));
    pause = pause / 2 + (int64_t)(random % (uint64_t)(pause / 2 + 1));
    if (retry_after_ms > pause)
        pause = retry_after_ms;
    return now_ms + pause;
}
