/* What the actions on single records share. */
#include "data_stores.h"

#include <stdio.h>
#include <string.h>

struct rn_json *ds_parse(struct rn_run *run, const struct rn_json *value)
{
    size_t size = 0;
    const char *text = rn_json_text(run, value, &size);
    struct rn_json *parsed = text ? rn_json_parse(run, text, size) : NULL;
    return parsed ? parsed : rn_json_copy(run, value);
}

int32_t ds_ttl(struct rn_run *run, int64_t *ret_ms)
{
    int64_t seconds = rn_prop_integer(run, "ttl", 0);
    if (seconds < 0 || seconds > 315360000)
        return rn_fail(run, RN_ECONFIG,
                       "the prop `ttl` is a number of seconds from 0 to 315360000");
    *ret_ms = seconds * 1000;
    return 0;
}

/* The largest unit that it is a whole number of. */
const char *ds_expiry_text(struct rn_run *run, int64_t ttl_ms)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    int64_t seconds = ttl_ms / 1000;
    size_t i = 0;
    if (ttl_ms == 0)
        return "";
    while (seconds % units[i].seconds)
        i++;
    char number[32];
    (void)snprintf(number, sizeof(number), "%lld", (long long)(seconds / units[i].seconds));
    return RN_TEXT(run, " (expires in ", number, " ", units[i].name,
                   strcmp(number, "1") == 0 ? ")" : "s)");
}

struct rn_json *ds_ttl_json(struct rn_run *run, int64_t ttl_ms)
{
    return ttl_ms ? rn_json_integer(run, ttl_ms / 1000) : rn_json_null(run);
}

const char *ds_key_text(struct rn_run *run)
{
    return RN_TEXT(run, "`", rn_prop_string(run, "key"), "`");
}

bool ds_may_create(struct rn_run *run)
{
    const char *answer = rn_prop_string(run, "addRecordIfNotFound");
    return answer && strcmp(answer, "Yes") == 0;
}

int32_t ds_create(struct rn_run *run, const struct rn_json **ret_there,
                  const struct rn_json **ret_value, int64_t *ret_ttl_ms)
{
    const struct rn_json *value = rn_prop(run, "value");
    if (!value)
        return rn_fail(run, RN_ECONFIG, "`addRecordIfNotFound: \"Yes\"` needs the prop `value`");
    int32_t err = ds_ttl(run, ret_ttl_ms);
    if (err)
        return err;
    *ret_value = ds_parse(run, value);
    struct rn_store_request request = {.struct_size = (uint32_t)sizeof(request),
                                       .op = RN_STORE_COMPARE_AND_SET,
                                       .key = rn_prop_string(run, "key"),
                                       .value = *ret_value,
                                       .number = *ret_ttl_ms};
    struct rn_store_answer answer = {.struct_size = (uint32_t)sizeof(answer)};
    err = rn_store(run, DATA_STORE, &request, &answer);
    *ret_there = answer.flags & RN_STORE_SWAPPED ? NULL : answer.value;
    return err;
}
