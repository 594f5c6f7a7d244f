/* The names of prop types, and which value fits which. */
#include "plugin/catalog.h"
#include "plugin/tables.h"

static const char *const names[] = {
    [RN_STRING] = "string",
    [RN_INTEGER] = "integer",
    [RN_BOOLEAN] = "boolean",
    [RN_OBJECT] = "object",
    [RN_ANY] = "any",
    [RN_APP] = "app",
    [RN_HTTP_INTERFACE] = "$.interface.http",
    [RN_TIMER_INTERFACE] = "$.interface.timer",
    [RN_DB_SERVICE] = "$.service.db",
    [RN_DATA_STORE] = "data_store",
    [RN_HTTP_REQUEST] = "http_request",
    [RN_ALERT] = "alert",
    [RN_SQL] = "sql",
    [RN_DIR] = "dir",
};

static const char *const list_names[] = {
    [RN_STRING] = "string[]",
    [RN_INTEGER] = "integer[]",
    [RN_BOOLEAN] = "boolean[]",
};

const char *prop_type_name(int type, bool is_list)
{
    size_t at = type < 0 ? 0 : (size_t)type;
    const char *name = NULL;
    if (is_list)
        name = at < COUNT_OF(list_names) ? list_names[at] : NULL;
    else
        name = at < COUNT_OF(names) ? names[at] : NULL;
    return name ? name : "?";
}

const char *plugin_type_name(int32_t type)
{
    return prop_type_name(type & ~RN_LIST, (type & RN_LIST) != 0);
}

bool plugin_is_identifier(const char *text)
{
    if (!text || (text[0] >= '0' && text[0] <= '9') || !text[0])
        return false;
    for (const char *c = text; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              *c == '_' || *c == '$'))
            return false;
    return true;
}

static int check_integer(const struct rn_prop *prop, const struct json *value, struct err *err)
{
    int64_t number = 0;
    if (!json_to_i64(value, &number))
        return err_set(err, RN_EINVAL, "is no integer of 64 bits");
    if ((prop->flags & RN_HAS_MIN) && number < prop->min)
        return err_set(err, RN_EINVAL, "%lld is less than the minimum %lld", (long long)number,
                       (long long)prop->min);
    if ((prop->flags & RN_HAS_MAX) && number > prop->max)
        return err_set(err, RN_EINVAL, "%lld is more than the maximum %lld", (long long)number,
                       (long long)prop->max);
    return 0;
}

static int check_timer(const struct json *value, struct err *err)
{
    int64_t seconds = 0;
    const struct json *interval = json_get(value, "intervalSeconds");
    if (json_to_i64(interval, &seconds) && seconds > 0)
        return 0;
    if (!interval && json_get_text(value, "cron").len)
        return 0;
    return err_set(err, RN_EINVAL, "needs {\"intervalSeconds\": N} or {\"cron\": \"…\"}");
}

static int check_scalar(const struct rn_prop *prop, int32_t type, const struct json *value,
                        struct err *err)
{
    enum json_kind want = JSON_OBJECT;
    switch (type) {
    case RN_STRING:
        want = JSON_STRING;
        break;
    case RN_INTEGER:
        return check_integer(prop, value, err);
    case RN_BOOLEAN:
        want = JSON_BOOLEAN;
        break;
    case RN_OBJECT:
    case RN_HTTP_REQUEST:
        break;
    case RN_TIMER_INTERFACE:
        return check_timer(value, err);
    default:
        return 0;
    }
    if (json_is(value, want))
        return 0;
    return err_set(err, RN_EINVAL, "is %s %s, not %s %s",
                   json_kind(value) == JSON_ARRAY || json_kind(value) == JSON_OBJECT ? "an" : "a",
                   json_kind_name(json_kind(value)), want == JSON_OBJECT ? "an" : "a",
                   json_kind_name(want));
}

int plugin_check_value(const struct rn_prop *prop, const struct json *value, struct err *err)
{
    if (!(prop->type & RN_LIST))
        return check_scalar(prop, prop->type, value, err);
    if (!json_is(value, JSON_ARRAY))
        return err_set(err, RN_EINVAL, "is no list");
    size_t index = 0;
    for (const struct json *v = json_first(value); v; v = json_next(v), index++) {
        int code = check_scalar(prop, prop->type & ~RN_LIST, v, err);
        if (code)
            return err_prefix(err, "element %zu", index);
    }
    return 0;
}
