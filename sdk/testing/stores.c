/* The fake host's data stores: what the runtime would answer, from a tree in memory. */
#include "host.h"

#include "base/clock.h"

static struct json *store_of(struct rn_test *test, const char *name)
{
    struct json *store = json_get_mut(test->stores, name);
    return store ? store : json_set(test->stores, name, json_new_object());
}

void rn_test_set_store(struct rn_test *test, const char *name, const char *records)
{
    struct json *given = test_parse(test, "rn_test_set_store", records, JSON_OBJECT);
    struct json *store = json_set(test->stores, name, json_new_object());
    for (const struct json *v = json_first(given); v; v = json_next(v))
        (void)json_set(json_set(store, json_name(v), json_new_object()), "value", json_copy(v));
    json_free(given);
}

/* NULL: not there, or its time is over. */
static const struct json *find(const struct json *store, const char *key)
{
    const struct json *record = json_get(store, key);
    int64_t expires = json_get_i64(record, "expires_ms", 0);
    return expires && expires <= clock_now_ms() ? NULL : record;
}

const char *rn_test_store(struct rn_test *test, const char *name)
{
    struct json *records = json_new_object();
    const struct json *store = store_of(test, name);
    for (const struct json *v = json_first(store); v; v = json_next(v))
        if (find(store, json_name(v)))
            (void)json_set(records, json_name(v), json_copy(json_get(v, "value")));
    const char *text = test_json(test, SLOT_STORE, records);
    json_free(records);
    return text;
}

static void put(struct json *store, const char *key, struct json *value, int64_t expires_ms)
{
    struct json *record = json_set(store, key, json_new_object());
    (void)json_set(record, "value", value);
    if (expires_ms)
        json_set_integer(record, "expires_ms", expires_ms);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct json *list(const struct json *store, const char *after, bool is_items, bool *ret_more)
{
    struct json *out = json_new_array();
    size_t count = 0;
    const char **names = xcalloc(json_count(store) + 1, sizeof(*names));
    for (const struct json *v = json_first(store); v; v = json_next(v))
        names[count++] = json_name(v);
    qsort(names, count, sizeof(*names), by_name);
    for (size_t i = 0; i < count; i++) {
        const struct json *record = find(store, names[i]);
        if (!record || (after && strcmp(names[i], after) <= 0))
            continue;
        *ret_more = json_count(out) == LIMIT_DATA_PAGE;
        if (*ret_more)
            break;
        if (!is_items) {
            (void)json_append(out, json_new_string_c(names[i]));
            continue;
        }
        struct json *pair = json_append(out, json_new_array());
        (void)json_append(pair, json_new_string_c(names[i]));
        (void)json_append(pair, json_copy(json_get(record, "value")));
    }
    free(names);
    return out;
}

static int increment(struct json *store, const struct json *request, struct json *answer,
                     struct err *err)
{
    const char *key = json_get_c(request, "key");
    const struct json *record = find(store, key);
    int64_t number = 0, expires = json_get_i64(record, "expires_ms", 0);
    if (record && !json_to_i64(json_get(record, "value"), &number))
        return err_set(err, RN_EINVAL, "the record \"%s\" is no integer: its type is %s", key,
                       json_kind_name(json_kind(json_get(record, "value"))));
    if (__builtin_add_overflow(number, json_get_i64(request, "by", 1), &number))
        return err_set(err, RN_EINVAL, "the record \"%s\" would leave 64 bits", key);
    put(store, key, json_new_integer(number), expires);
    json_set_integer(answer, "value", number);
    return 0;
}

static void compare_and_set(struct json *store, const struct json *request,
                            const struct json *const *values, struct json *answer,
                            struct json **ret_value)
{
    const char *key = json_get_c(request, "key");
    const struct json *record = find(store, key);
    int64_t value = json_get_i64(request, "value", -1),
            expected = json_get_i64(request, "expected", -1),
            ttl = json_get_i64(request, "ttl_ms", 0),
            expires = ttl ? clock_now_ms() + ttl : json_get_i64(record, "expires_ms", 0);
    bool is_same = record && expected >= 0 ? json_equal(json_get(record, "value"), values[expected])
                                           : !record && expected < 0;
    json_set_boolean(answer, "swapped", is_same);
    json_set_boolean(answer, "found", record != NULL);
    if (!is_same)
        *ret_value = record ? json_copy(json_get(record, "value")) : NULL;
    else if (value < 0)
        json_remove(store, key);
    else
        put(store, key, json_copy(values[value]), expires);
    if (is_same && value >= 0)
        *ret_value = json_copy(values[value]);
}

int test_ask(void *ctx, const struct json *request, const struct json *const *values, size_t count,
             struct json **ret_answer, struct json **ret_value, struct err *err)
{
    struct rn_test *test = ctx;
    struct str op = json_get_text(request, "op");
    const char *key = json_get_c(request, "key");
    struct json *store = store_of(test, json_get_c(request, "store"));
    const struct json *record = key ? find(store, key) : NULL;
    struct json *answer = json_new_object();
    int64_t ttl = json_get_i64(request, "ttl_ms", 0);
    int64_t expires = ttl ? clock_now_ms() + ttl : 0;
    int code = 0;
    bool has_more = false;
    *ret_value = NULL;
    json_set_boolean(answer, "found", record != NULL);
    if (str_eq_c(op, "store_get"))
        *ret_value = record ? json_copy(json_get(record, "value")) : NULL;
    else if (str_eq_c(op, "store_keys") || str_eq_c(op, "store_items"))
        *ret_value =
            list(store, json_get_c(request, "after"), str_eq_c(op, "store_items"), &has_more);
    else if (str_eq_c(op, "store_set") && count)
        put(store, key, json_copy(values[0]), expires);
    else if (str_eq_c(op, "store_set_ttl") && record)
        put(store, key, json_copy(json_get(record, "value")), expires);
    else if (str_eq_c(op, "store_delete"))
        json_remove(store, key);
    else if (str_eq_c(op, "store_clear"))
        (void)json_set(test->stores, json_get_c(request, "store"), json_new_object());
    else if (str_eq_c(op, "store_increment"))
        code = increment(store, request, answer, err);
    else if (str_eq_c(op, "store_compare_and_set"))
        compare_and_set(store, request, values, answer, ret_value);
    json_set_boolean(answer, "more", has_more);
    if (code)
        json_free(answer);
    else
        *ret_answer = answer;
    return code;
}
