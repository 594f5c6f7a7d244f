/* Data stores: each request of a component is one ask of the runtime. */
#include "plugin/run.h"

#include "base/limits.h"

static const char *const ops[] = {
    [RN_STORE_GET] = "store_get",
    [RN_STORE_HAS] = "store_has",
    [RN_STORE_KEYS] = "store_keys",
    [RN_STORE_ITEMS] = "store_items",
    [RN_STORE_SET] = "store_set",
    [RN_STORE_SET_TTL] = "store_set_ttl",
    [RN_STORE_DELETE] = "store_delete",
    [RN_STORE_CLEAR] = "store_clear",
    [RN_STORE_INCREMENT] = "store_increment",
    [RN_STORE_COMPARE_AND_SET] = "store_compare_and_set",
};

/* The name of the store that the prop holds: {"store":NAME}, {"storeId":…}, or the name itself. */
static struct str store_of(struct run *run, const char *prop)
{
    const struct json *value = prop ? run_prop(run, prop) : NULL;
    if (json_is(value, JSON_STRING))
        return json_str(value);
    struct str name = json_get_text(value, "store");
    return name.ptr ? name : json_get_text(value, "storeId");
}

static int32_t fill_in(struct run *run, const struct rn_store_request *request,
                       struct json *message)
{
    bool is_page = request->op == RN_STORE_KEYS || request->op == RN_STORE_ITEMS;
    if (is_page) {
        json_set_string(message, "after", request->key);
    } else if (request->op != RN_STORE_CLEAR) {
        if (!request->key || !request->key[0] || strlen(request->key) > LIMIT_DB_KEY)
            return run_fail(run, RN_EINVAL, "a data store's key has 1 to %d bytes", LIMIT_DB_KEY);
        json_set_string(message, "key", request->key);
    }
    if (request->op == RN_STORE_SET && !request->value)
        return run_fail(run, RN_EINVAL, "rn_store_set: the value is NULL");
    bool may_live = request->op == RN_STORE_SET || request->op == RN_STORE_COMPARE_AND_SET;
    if (request->op == RN_STORE_SET_TTL || (may_live && request->number))
        json_set_integer(message, "ttl_ms", request->number);
    if (request->op == RN_STORE_INCREMENT)
        json_set_integer(message, "by", request->number);
    return 0;
}

static void read_answer(const struct json *answer, struct rn_store_answer *ret)
{
    ret->flags = (json_get_bool(answer, "found", false) ? RN_STORE_FOUND : 0) |
                 (json_get_bool(answer, "swapped", false) ? RN_STORE_SWAPPED : 0) |
                 (json_get_bool(answer, "more", false) ? RN_STORE_MORE : 0);
    ret->number = json_get_i64(answer, "value", json_get_i64(answer, "count", 0));
}

int32_t api_store(struct rn_run *rn, const char *prop, const struct rn_store_request *request,
                  struct rn_store_answer *ret)
{
    struct run *run = run_of(rn);
    struct str store = store_of(run, prop);
    const struct json *values[2];
    size_t count = 0;
    bool is_configuring = run->op == RUN_OPTIONS || run->op == RUN_ADDITIONAL_PROPS;
    if (run->op != RUN_ACTION && !is_configuring)
        return run_fail(run, RN_EINVAL, "data stores are for actions only");
    if (is_configuring && request->op >= RN_STORE_SET)
        return run_fail(run, RN_EPERM, "what offers options only reads data stores");
    if (request->op < RN_STORE_GET || request->op > RN_STORE_COMPARE_AND_SET)
        return run_fail(run, RN_EINVAL, "a data store does not know the request %d", request->op);
    if (!store.len)
        return run_fail(run, RN_EINVAL, "the prop \"%s\" names no data store: { store: NAME }",
                        prop ? prop : "");
    if (run_is_cancelled(run))
        return run_fail(run, RN_ECANCELED, "the call was cancelled");
    struct json *message = json_new_object(), *answer = NULL, *value = NULL;
    run_track(run, message);
    json_set_string(message, "op", ops[request->op]);
    json_set_str(message, "store", store);
    int32_t code = fill_in(run, request, message);
    if (code)
        return code;
    bool is_swap = request->op == RN_STORE_COMPARE_AND_SET;
    if (request->value && (is_swap || request->op == RN_STORE_SET)) {
        if (is_swap)
            json_set_integer(message, "value", (int64_t)count);
        values[count++] = json_of(request->value);
    }
    if (request->expected && is_swap) {
        json_set_integer(message, "expected", (int64_t)count);
        values[count++] = json_of(request->expected);
    }
    struct err why = ERR_INIT;
    run->services->may_block(run->services_ctx);
    code = run->services->ask(run->services_ctx, message, values, count, &answer, &value, &why);
    if (code)
        return run_fail(run, code, "data store \"" STR_FMT "\": %s", STR_ARG(store), why.text);
    run_track(run, answer);
    run_track(run, value);
    read_answer(answer, ret);
    ret->value = rn_of(value);
    return 0;
}
