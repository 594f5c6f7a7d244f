/* Props, accounts, and what is asked at configure time. */
#include "plugin/run.h"

#include "base/limits.h"
#include "plugin/describe.h"

/* An explicit null is "not set", and keeps the default away. */
const struct json *run_prop(struct run *run, const char *name)
{
    const struct json *value = json_get(run->props, name);
    if (value)
        return json_is(value, JSON_NULL) ? NULL : value;
    const struct plugin_prop *prop = run->component ? plugin_prop(run->component, name) : NULL;
    return prop ? prop->default_value : NULL;
}

const struct rn_json *api_prop(struct rn_run *rn, const char *name)
{
    return name ? rn_of(run_prop(run_of(rn), name)) : NULL;
}

const char *api_auth(struct rn_run *rn, const char *app_prop, const char *field)
{
    if (!app_prop || !field)
        return NULL;
    return json_get_c(json_get(run_of(rn)->auth, app_prop), field);
}

/* "" where the prop is no http interface: the contract promises a text. */
const char *api_endpoint(struct rn_run *rn, const char *http_prop)
{
    const char *url = http_prop ? json_get_c(run_of(rn)->endpoints, http_prop) : NULL;
    return url ? url : "";
}

int32_t api_option(struct rn_run *rn, const char *label, struct rn_json *value)
{
    struct run *run = run_of(rn);
    if (!run->options)
        return run_fail(run, RN_EINVAL, "rn_option() is for options() only");
    if (!value)
        return run_fail(run, RN_EINVAL, "rn_option: the value is NULL");
    if (json_count(run->options) >= LIMIT_OPTIONS)
        return run_fail(run, RN_ETOOBIG,
                        "more than %d options on one page; give the rest by rn_options_context()",
                        LIMIT_OPTIONS);
    struct json *own = run_take(run, value);
    struct json *option = json_append(run->options, json_new_object());
    if (label)
        json_set_string(option, "label", label);
    else if (json_is(own, JSON_STRING))
        json_set_str(option, "label", json_str(own));
    else
        json_set_str(option, "label", run_print(run, own));
    json_add(option, "value", own);
    return 0;
}

int32_t api_options_context(struct rn_run *rn, struct rn_json *context)
{
    struct run *run = run_of(rn);
    if (!run->options)
        return run_fail(run, RN_EINVAL, "rn_options_context() is for options() only");
    json_free(run->options_context);
    run->options_context = run_take(run, context);
    return 0;
}

static bool is_dynamic_type(int32_t type)
{
    switch (type & ~RN_LIST) {
    case RN_DB_SERVICE:
    case RN_SQL:
    case RN_DIR:
        return false;
    default:
        return true;
    }
}

int32_t api_add_prop(struct rn_run *rn, const struct rn_prop *def)
{
    struct run *run = run_of(rn);
    if (!run->added_props)
        return run_fail(run, RN_EINVAL, "rn_add_prop() is for additional_props() only");
    if (!def || !plugin_is_identifier(def->name))
        return run_fail(run, RN_EINVAL, "rn_add_prop: the prop's name \"%s\" is no identifier",
                        def && def->name ? def->name : "(NULL)");
    if (json_count(run->added_props) >= LIMIT_PROPS)
        return run_fail(run, RN_ETOOBIG, "rn_add_prop: more than %d props", LIMIT_PROPS);
    char where[192];
    (void)snprintf(where, sizeof(where), "rn_add_prop: prop %s", def->name);
    if (def->options || def->inputs_fn || def->inputs)
        return run_fail(run, RN_EINVAL, "%s may not have options() or inputs", where);
    if (def->definition || def->definition_of)
        return run_fail(run, RN_EINVAL, "%s may not have a prop definition", where);
    struct err why = ERR_INIT;
    int code = plugin_check_prop(def, run->component->def.type == RN_SOURCE, where, &why);
    if (!code && !is_dynamic_type(def->type))
        code = err_set(&why, RN_EINVAL, "%s: the type %s cannot be added", where,
                       plugin_type_name(def->type));
    if (code)
        return run_fail(run, code, "%s", why.text);
    struct plugin_prop prop = {.def = *def};
    plugin_prop_fill(&prop);
    struct json *description = describe_prop(run->plugin, &prop);
    plugin_prop_release(&prop);
    for (struct json *v = json_first_mut(run->added_props); v; v = json_next_mut(v)) {
        if (strcmp(json_get_c(v, "name"), def->name) == 0) {
            json_free(description);
            return run_fail(run, RN_EEXISTS, "%s was added already", where);
        }
    }
    json_append(run->added_props, description);
    return 0;
}
