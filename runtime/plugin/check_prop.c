/* The rules for props. */
#include "plugin/check.h"

#include "base/limits.h"

#define FLAGS_KNOWN                                                                                \
    (RN_OPTIONAL | RN_SECRET | RN_DISABLED | RN_HIDDEN | RN_RELOAD_PROPS | RN_USE_QUERY |          \
     RN_WITH_LABEL | RN_CUSTOM_RESPONSE | RN_HAS_MIN | RN_HAS_MAX)

int check_prop_name(const struct rn_prop *props, uint32_t index, struct err *err)
{
    const char *name = props[index].name;
    if (!name)
        return err_set(err, RN_EINVAL, "it has no name");
    if (!plugin_is_identifier(name))
        return err_set(
            err, RN_EINVAL,
            "the name \"%s\" is no identifier (letters, digits, _ and $, no digit first)", name);
    if (strlen(name) > 128)
        return err_set(err, RN_ETOOBIG, "the name \"%s\" has more than 128 characters", name);
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(props[i].name, name) == 0)
            return err_set(err, RN_EINVAL, "the name \"%s\" is that of prop %u already", name, i);
    return 0;
}

static bool is_source_only(int32_t base)
{
    return base == RN_HTTP_INTERFACE || base == RN_TIMER_INTERFACE || base == RN_DB_SERVICE;
}

static bool is_action_only(int32_t base)
{
    return base == RN_ANY || base == RN_DATA_STORE || base == RN_HTTP_REQUEST || base == RN_SQL ||
           base == RN_DIR;
}

static bool is_listable(int32_t base)
{
    return base == RN_STRING || base == RN_INTEGER || base == RN_BOOLEAN;
}

static int check_type(const struct rn_prop *prop, bool is_source, const char *where,
                      struct err *err)
{
    int32_t base = prop->type & ~RN_LIST;
    if (!prop->type)
        return err_set(err, RN_EINVAL, "%s has no type", where);
    if (base < RN_STRING || base > RN_DIR)
        return err_set(err, RN_EINVAL, "%s has the unknown type %d", where, prop->type);
    if ((prop->type & RN_LIST) && !is_listable(base))
        return err_set(err, RN_EINVAL,
                       "%s: there are no lists of %s (only of string, integer and boolean)", where,
                       plugin_type_name(base));
    if (is_source && is_action_only(base))
        return err_set(err, RN_EINVAL, "%s: the type %s is for actions only", where,
                       plugin_type_name(base));
    if (!is_source && is_source_only(base))
        return err_set(err, RN_EINVAL, "%s: the type %s is for sources only", where,
                       plugin_type_name(base));
    if (base == RN_APP && !prop->app)
        return err_set(err, RN_EINVAL, "%s is an app prop without .app", where);
    if (base != RN_APP && prop->app)
        return err_set(err, RN_EINVAL, "%s has .app, which is for app props only (it is %s)", where,
                       plugin_type_name(prop->type));
    if (base == RN_ALERT && (!prop->content || !prop->content[0]))
        return err_set(err, RN_EINVAL, "%s is an alert without .content", where);
    if (prop->alert_type < RN_ALERT_INFO || prop->alert_type > RN_ALERT_ERROR)
        return err_set(err, RN_EINVAL, "%s has the unknown alert_type %d", where, prop->alert_type);
    return 0;
}

static int check_flags(const struct rn_prop *prop, const char *where, struct err *err)
{
    int32_t base = prop->type & ~RN_LIST;
    if (prop->flags & ~FLAGS_KNOWN)
        return err_set(err, RN_EINVAL, "%s has the unknown flags 0x%x", where,
                       prop->flags & ~FLAGS_KNOWN);
    if ((prop->flags & RN_SECRET) && base != RN_STRING)
        return err_set(err, RN_EINVAL, "%s: RN_SECRET is for strings only (it is %s)", where,
                       plugin_type_name(prop->type));
    if ((prop->flags & RN_CUSTOM_RESPONSE) && base != RN_HTTP_INTERFACE)
        return err_set(err, RN_EINVAL, "%s: RN_CUSTOM_RESPONSE is for $.interface.http only",
                       where);
    if ((prop->flags & (RN_HAS_MIN | RN_HAS_MAX)) && base != RN_INTEGER)
        return err_set(err, RN_EINVAL, "%s: min and max are for integers only (it is %s)", where,
                       plugin_type_name(prop->type));
    if ((prop->flags & RN_HAS_MIN) && (prop->flags & RN_HAS_MAX) && prop->min > prop->max)
        return err_set(err, RN_EINVAL, "%s: min %lld is greater than max %lld", where,
                       (long long)prop->min, (long long)prop->max);
    if ((prop->flags & RN_USE_QUERY) && !prop->options)
        return err_set(err, RN_EINVAL, "%s has RN_USE_QUERY but no options()", where);
    return 0;
}

static int check_format(const struct rn_prop *prop, const char *where, struct err *err)
{
    static const char *const modes[] = {"read", "write", "read-write"};
    if (prop->type != RN_DIR || !prop->format)
        return 0;
    for (size_t i = 0; i < COUNT_OF(modes); i++)
        if (strcmp(prop->format, modes[i]) == 0)
            return 0;
    return err_set(err, RN_EINVAL,
                   "%s: the format of a dir prop is \"read\", \"write\" or \"read-write\", not "
                   "\"%s\"",
                   where, prop->format);
}

static bool takes_value(int32_t base)
{
    return base != RN_APP && base != RN_HTTP_INTERFACE && base != RN_DB_SERVICE &&
           base != RN_ALERT && base != RN_DIR;
}

static int check_default(const struct rn_prop *prop, const char *where, struct err *err)
{
    if (!prop->default_json)
        return 0;
    if (!takes_value(prop->type & ~RN_LIST))
        return err_set(err, RN_EINVAL, "%s: a prop of type %s has no default", where,
                       plugin_type_name(prop->type));
    struct json *value = NULL;
    struct err why = ERR_INIT;
    int code = json_parse(str_from(prop->default_json), &value, &why);
    if (code)
        return err_set(err, RN_EINVAL, "%s: default_json is no JSON: %s", where, why.text);
    code = plugin_check_value(prop, value, &why);
    json_free(value);
    if (code)
        return err_set(err, RN_EINVAL, "%s: default_json does not fit the type %s: %s", where,
                       plugin_type_name(prop->type), why.text);
    return 0;
}

static int check_option(const struct rn_prop *element, const struct json *option, struct err *why)
{
    const struct json *value = option;
    if (json_is(option, JSON_OBJECT)) {
        value = json_get(option, "value");
        if (!value || !json_is(json_get(option, "label"), JSON_STRING))
            return err_set(why, RN_EINVAL, "is no {\"label\": \"…\", \"value\": …}");
    }
    return plugin_check_value(element, value, why);
}

static int check_options_json(const struct rn_prop *prop, const char *where, struct err *err)
{
    if (!prop->options_json)
        return 0;
    struct json *list = NULL;
    struct err why = ERR_INIT;
    int code = json_parse(str_from(prop->options_json), &list, &why);
    if (code)
        return err_set(err, RN_EINVAL, "%s: options_json is no JSON: %s", where, why.text);
    if (!json_is(list, JSON_ARRAY) || !json_count(list)) {
        code = err_set(err, RN_EINVAL, "%s: options_json is no list, or an empty one", where);
    } else if (json_count(list) > LIMIT_OPTIONS) {
        code = err_set(err, RN_ETOOBIG, "%s: options_json has %zu options; %d are allowed", where,
                       json_count(list), LIMIT_OPTIONS);
    }
    struct rn_prop element = *prop;
    element.type &= ~RN_LIST;
    size_t index = 0;
    for (const struct json *v = json_first(list); v && !code; v = json_next(v), index++) {
        code = check_option(&element, v, &why);
        if (code)
            code =
                err_set(err, RN_EINVAL, "%s: options_json, option %zu: %s", where, index, why.text);
    }
    json_free(list);
    return code;
}

int plugin_check_prop(const struct rn_prop *prop, bool is_source, const char *where,
                      struct err *err)
{
    int code = check_type(prop, is_source, where, err);
    if (!code)
        code = check_flags(prop, where, err);
    if (!code)
        code = check_format(prop, where, err);
    if (code)
        return code;
    int32_t base = prop->type & ~RN_LIST;
    bool has_choice = base == RN_STRING || base == RN_INTEGER || base == RN_BOOLEAN ||
                      base == RN_OBJECT || base == RN_ANY;
    if ((prop->options || prop->options_json) && !has_choice)
        return err_set(err, RN_EINVAL, "%s: a prop of type %s has no options", where,
                       plugin_type_name(prop->type));
    if (prop->options && prop->options_json)
        return err_set(err, RN_EINVAL, "%s has both options() and options_json", where);
    code = check_default(prop, where, err);
    if (!code)
        code = check_options_json(prop, where, err);
    return code;
}

static bool has_prop(const struct rn_component *component, const struct rn_prop *own,
                     const char *name)
{
    for (uint32_t i = 0; i < component->prop_count; i++)
        if (strcmp(own[i].name, name) == 0)
            return true;
    return false;
}

static int check_inputs(const struct rn_component *component, const struct rn_prop *own,
                        const struct rn_prop *prop, const char *where, struct err *err)
{
    if ((prop->inputs || prop->inputs_fn) && !prop->options)
        return err_set(err, RN_EINVAL, "%s has inputs but no options() to take them", where);
    for (uint32_t i = 0; prop->inputs && prop->inputs[i].param; i++) {
        const struct rn_input *input = &prop->inputs[i];
        if (i == PLUGIN_INPUTS_MAX)
            return err_set(err, RN_ETOOBIG,
                           "%s has more than %d inputs; does the table end with {NULL, NULL}?",
                           where, PLUGIN_INPUTS_MAX);
        if (!plugin_is_identifier(input->param))
            return err_set(err, RN_EINVAL, "%s: the input's name \"%s\" is no identifier", where,
                           input->param);
        if (!input->prop || !has_prop(component, own, input->prop))
            return err_set(err, RN_EINVAL,
                           "%s: input \"%s\" is taken from \"%s\", which is no prop of the "
                           "component",
                           where, input->param, input->prop ? input->prop : "(NULL)");
        if (strcmp(input->prop, prop->name) == 0)
            return err_set(err, RN_EINVAL, "%s: input \"%s\" is taken from the prop itself", where,
                           input->param);
    }
    return 0;
}

int check_prop_links(const struct plugin *plugin, const struct rn_component *component,
                     const struct rn_prop *own, const struct rn_prop *prop, const char *where,
                     struct err *err)
{
    if (prop->app && !plugin_app_of(plugin, prop->app))
        return err_set(err, RN_EINVAL, "%s: its app is not in the plugin's table of apps", where);
    if ((prop->flags & RN_RELOAD_PROPS) && !component->additional_props)
        return err_set(err, RN_EINVAL,
                       "%s has RN_RELOAD_PROPS but the component has no additional_props()", where);
    return check_inputs(component, own, prop, where, err);
}

void plugin_prop_fill(struct plugin_prop *prop)
{
    if (prop->def.default_json)
        (void)!json_parse(str_from(prop->def.default_json), &prop->default_value, NULL);
    if (!prop->def.options_json)
        return;
    struct json *list = NULL;
    if (json_parse(str_from(prop->def.options_json), &list, NULL))
        return;
    prop->options = json_new_array();
    for (struct json *v = json_take_first(list); v; v = json_take_first(list)) {
        if (json_is(v, JSON_OBJECT) && json_get(v, "label")) {
            json_append(prop->options, v);
            continue;
        }
        struct json *option = json_append(prop->options, json_new_object());
        size_t size = 0;
        char *text = json_is(v, JSON_STRING) ? NULL : json_text(v, &size);
        json_set_str(option, "label", text ? str_n(text, size) : json_str(v));
        json_set(option, "value", v);
        free(text);
    }
    json_free(list);
}

void plugin_prop_release(struct plugin_prop *prop)
{
    json_free(prop->default_value);
    json_free(prop->options);
}
