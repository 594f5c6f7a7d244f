/* JSON values of a component. A value is a root of the run until json_set or json_append gives it a
 * parent; so nothing leaks and nothing is freed twice, whatever the component does with it. */
#include "plugin/run.h"

#include "base/limits.h"

struct rn_json *run_track(struct run *run, struct json *value)
{
    if (!value)
        return NULL;
    if (run->root_count == run->root_capacity) {
        size_t capacity = run->root_capacity * 2;
        struct json **roots = xmalloc(capacity * sizeof(*roots));
        memcpy(roots, run->roots, run->root_count * sizeof(*roots));
        if (run->roots != run->root_space)
            free(run->roots);
        run->roots = roots;
        run->root_capacity = capacity;
    }
    run->roots[run->root_count++] = value;
    return (struct rn_json *)value;
}

/* What was made last is given a parent first, nearly always: so from the end. */
bool run_untrack(struct run *run, const struct json *value)
{
    for (size_t i = run->root_count; i-- > 0;) {
        if (run->roots[i] == value) {
            run->roots[i] = run->roots[--run->root_count];
            return true;
        }
    }
    return false;
}

struct json *run_take(struct run *run, struct rn_json *value)
{
    struct json *own = json_of_mut(value);
    if (!own || run_untrack(run, own))
        return own;
    return json_copy(own);
}

struct str run_print(struct run *run, const struct json *value)
{
    struct buf out = BUF_INIT(LIMIT_JSON_BYTES);
    json_write(&out, value);
    struct str text = {arena_dup(&run->arena, buf_str(&out)), out.len};
    buf_release(&out);
    return text;
}

struct rn_json *api_json_parse(struct rn_run *rn, const char *text, size_t size)
{
    struct json *value = NULL;
    struct err why = ERR_INIT;
    if (!text || json_parse(str_n(text, size), &value, &why))
        return NULL;
    return run_track(run_of(rn), value);
}

const char *api_json_print(struct rn_run *rn, const struct rn_json *value, size_t *ret_size)
{
    struct str text = value ? run_print(run_of(rn), json_of(value)) : STR("null");
    if (ret_size)
        *ret_size = text.len;
    return text.ptr;
}

struct rn_json *api_json_copy(struct rn_run *rn, const struct rn_json *value)
{
    return value ? run_track(run_of(rn), json_copy(json_of(value))) : NULL;
}

struct rn_json *api_json_null(struct rn_run *rn)
{
    return run_track(run_of(rn), json_new_null());
}

struct rn_json *api_json_boolean(struct rn_run *rn, bool value)
{
    return run_track(run_of(rn), json_new_boolean(value));
}

struct rn_json *api_json_integer(struct rn_run *rn, int64_t value)
{
    return run_track(run_of(rn), json_new_integer(value));
}

struct rn_json *api_json_number(struct rn_run *rn, double value)
{
    return run_track(run_of(rn), json_new_double(value));
}

struct rn_json *api_json_string(struct rn_run *rn, const char *text, size_t size)
{
    return run_track(run_of(rn), text ? json_new_string(str_n(text, size)) : json_new_null());
}

struct rn_json *api_json_array(struct rn_run *rn)
{
    return run_track(run_of(rn), json_new_array());
}

struct rn_json *api_json_object(struct rn_run *rn)
{
    return run_track(run_of(rn), json_new_object());
}

static int32_t check_child(struct run *run, const struct json *parent, struct json *value,
                           const char *what)
{
    if (value == parent)
        return run_fail(run, RN_EINVAL, "%s: a value cannot be part of itself", what);
    if (!run_untrack(run, value))
        return run_fail(run, RN_EINVAL,
                        "%s: the value is part of another already; rn_json_copy() makes one that "
                        "is free",
                        what);
    return 0;
}

int32_t api_json_set(struct rn_run *rn, struct rn_json *object, const char *key,
                     struct rn_json *value)
{
    struct run *run = run_of(rn);
    struct json *parent = json_of_mut(object);
    if (!parent || !json_is(parent, JSON_OBJECT) || !key)
        return run_fail(run, RN_EINVAL, "rn_json_set: %s",
                        key ? "the value to set a member of is no object" : "the key is NULL");
    if (!value)
        return 0;
    int32_t code = check_child(run, parent, json_of_mut(value), "rn_json_set");
    if (code)
        return code;
    /* What was there stays valid until the callback returns, as the contract has it for all values.
     */
    run_track(run, json_take(parent, key));
    json_add(parent, key, json_of_mut(value));
    return 0;
}

int32_t api_json_append(struct rn_run *rn, struct rn_json *array, struct rn_json *value)
{
    struct run *run = run_of(rn);
    struct json *parent = json_of_mut(array);
    if (!parent || !json_is(parent, JSON_ARRAY))
        return run_fail(run, RN_EINVAL, "rn_json_append: the value to append to is no array");
    if (!value)
        return 0;
    int32_t code = check_child(run, parent, json_of_mut(value), "rn_json_append");
    if (!code)
        json_append(parent, json_of_mut(value));
    return code;
}

int32_t api_json_kind(const struct rn_json *value)
{
    switch (json_kind(json_of(value))) {
    case JSON_BOOLEAN:
        return RN_JSON_BOOLEAN;
    case JSON_NUMBER:
        return RN_JSON_NUMBER;
    case JSON_STRING:
        return RN_JSON_STRING;
    case JSON_ARRAY:
        return RN_JSON_ARRAY;
    case JSON_OBJECT:
        return RN_JSON_OBJECT;
    case JSON_NULL:
        break;
    }
    return RN_JSON_NULL;
}

size_t api_json_size(const struct rn_json *value)
{
    return json_count(json_of(value));
}

const struct rn_json *api_json_get(const struct rn_json *object, const char *key)
{
    return key ? rn_of(json_get(json_of(object), key)) : NULL;
}

const struct rn_json *api_json_first(const struct rn_json *value)
{
    return rn_of(json_first(json_of(value)));
}

const struct rn_json *api_json_next(const struct rn_json *value)
{
    return value ? rn_of(json_next(json_of(value))) : NULL;
}

const char *api_json_key(const struct rn_json *value)
{
    return value ? json_name(json_of(value)) : NULL;
}

const char *api_json_text(const struct rn_json *value, size_t *ret_size)
{
    if (!json_is(json_of(value), JSON_STRING))
        return NULL;
    struct str text = json_str(json_of(value));
    if (ret_size)
        *ret_size = text.len;
    return text.ptr ? text.ptr : "";
}

/* The literal stands in the tree with a NUL behind it (json/json.h keeps numbers as text). */
const char *api_json_number_text(const struct rn_json *value)
{
    return json_is(json_of(value), JSON_NUMBER) ? json_literal(json_of(value)).ptr : NULL;
}

bool api_json_to_integer(const struct rn_json *value, int64_t *ret)
{
    return json_to_i64(json_of(value), ret);
}

bool api_json_to_double(const struct rn_json *value, double *ret)
{
    return json_to_double(json_of(value), ret);
}

bool api_json_to_boolean(const struct rn_json *value)
{
    return json_is_true(json_of(value));
}
