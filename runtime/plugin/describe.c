/* Tables to JSON. A member that would only say "no" or "none" is left out. */
#include "plugin/describe.h"

static void set_flag(struct json *out, const char *name, bool is_set)
{
    if (is_set)
        json_set_boolean(out, name, true);
}

static void describe_flags(struct json *out, const struct rn_prop *def)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } flags[] = {
        {RN_OPTIONAL, "optional"},        {RN_SECRET, "secret"},
        {RN_DISABLED, "disabled"},        {RN_HIDDEN, "hidden"},
        {RN_RELOAD_PROPS, "reloadProps"}, {RN_USE_QUERY, "useQuery"},
        {RN_WITH_LABEL, "withLabel"},     {RN_CUSTOM_RESPONSE, "customResponse"},
    };
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        set_flag(out, flags[i].name, (def->flags & flags[i].flag) != 0);
    if (def->flags & RN_HAS_MIN)
        json_set_integer(out, "min", def->min);
    if (def->flags & RN_HAS_MAX)
        json_set_integer(out, "max", def->max);
}

static void describe_definition(struct json *out, const struct rn_prop *def)
{
    if (!def->definition)
        return;
    struct json *from = json_set(out, "propDefinition", json_new_object());
    json_set_string(from, "app", def->definition_of);
    json_set_string(from, "name", def->definition);
    if (!def->inputs)
        return;
    struct json *inputs = json_set(from, "inputs", json_new_object());
    for (const struct rn_input *input = def->inputs; input->param; input++)
        json_set_string(inputs, input->param, input->prop);
}

struct json *describe_prop(const struct plugin *plugin, const struct plugin_prop *prop)
{
    static const char *const alerts[] = {"info", "neutral", "warning", "error"};
    const struct rn_prop *def = &prop->def;
    struct json *out = json_new_object();
    json_set_string(out, "name", def->name);
    json_set_string(out, "type", plugin_type_name(def->type));
    if (def->app) {
        const struct plugin_app *app = plugin ? plugin_app_of(plugin, def->app) : NULL;
        json_set_string(out, "app", app ? app->def.slug : def->app->slug);
    }
    json_set_string(out, "label", def->label ? def->label : def->name);
    json_set_string(out, "description", def->description);
    describe_flags(out, def);
    if (prop->default_value)
        json_set(out, "default", json_copy(prop->default_value));
    if (prop->options)
        json_set(out, "options", json_copy(prop->options));
    set_flag(out, "remoteOptions", def->options != NULL);
    if (def->type == RN_ALERT) {
        json_set_string(out, "alertType", alerts[def->alert_type]);
        json_set_string(out, "content", def->content);
    }
    json_set_string(out, "format", def->format);
    describe_definition(out, def);
    return out;
}

static void add_field(struct json *fields, const char *name, const char *label,
                      const char *description, uint32_t flags, const char *default_value)
{
    struct json *out = json_append(fields, json_new_object());
    json_set_string(out, "name", name);
    json_set_string(out, "label", label ? label : name);
    json_set_string(out, "description", description);
    set_flag(out, "secret", (flags & RN_SECRET) != 0);
    set_flag(out, "optional", (flags & RN_OPTIONAL) != 0);
    json_set_string(out, "default", default_value);
}

static void describe_fields(struct json *out, const struct rn_auth *auth)
{
    struct json *fields = json_set(out, "fields", json_new_array());
    for (uint32_t i = 0; i < auth->field_count; i++) {
        const struct rn_auth_field *f = &auth->fields[i];
        add_field(fields, f->name, f->label, f->description, f->flags, f->default_value);
    }
    if (auth->field_count)
        return;
    if (auth->kind == RN_AUTH_OAUTH2_REFRESH) {
        add_field(fields, "client_id", "Client id", NULL, 0, NULL);
        add_field(fields, "client_secret", "Client secret", NULL, RN_SECRET, NULL);
        add_field(fields, "refresh_token", "Refresh token", NULL, RN_SECRET, NULL);
    } else if (auth->kind == RN_AUTH_GOOGLE_SERVICE_ACCOUNT) {
        add_field(fields, "service_account", "Service account",
                  "The JSON of the service account's key file", RN_SECRET, NULL);
    }
}

static struct json *describe_auth(const struct rn_auth *auth)
{
    struct json *out = json_new_object();
    const char *kind = auth->kind == RN_AUTH_OAUTH2_REFRESH           ? "oauth2_refresh"
                       : auth->kind == RN_AUTH_GOOGLE_SERVICE_ACCOUNT ? "google_service_account"
                                                                      : "keys";
    json_set_string(out, "kind", kind);
    json_set_string(out, "label", auth->label ? auth->label : kind);
    describe_fields(out, auth);
    json_set_string(out, "token_url", auth->token_url);
    json_set_string(out, "scope", auth->scope);
    return out;
}

static struct json *describe_app(const struct plugin_app *app)
{
    struct json *out = json_new_object();
    json_set_string(out, "slug", app->def.slug);
    json_set_string(out, "name", app->def.name);
    json_set_string(out, "description", app->def.description);
    json_set_string(out, "accountProp",
                    app->def.account_prop ? app->def.account_prop : app->def.slug);
    set_flag(out, "hasTest", app->def.test != NULL);
    struct json *auths = json_set(out, "auths", json_new_array());
    for (uint32_t i = 0; i < app->def.auth_count; i++)
        json_append(auths, describe_auth(&app->def.auths[i]));
    struct json *definitions = json_set(out, "propDefinitions", json_new_array());
    for (uint32_t i = 0; i < app->def.prop_definition_count; i++)
        json_append(definitions, json_new_string_c(app->definitions[i].name));
    return out;
}

static void describe_source(struct json *out, const struct rn_component *def)
{
    static const char *const dedupe[] = {NULL, "unique", "greatest", "last"};
    json_set_string(out, "dedupe", dedupe[def->dedupe]);
    struct json *hooks = json_set(out, "hooks", json_new_array());
    if (def->deploy)
        json_append(hooks, json_new_string_c("deploy"));
    if (def->activate)
        json_append(hooks, json_new_string_c("activate"));
    if (def->deactivate)
        json_append(hooks, json_new_string_c("deactivate"));
    struct json *sample = NULL;
    if (def->sample_emit_json && !json_parse(str_from(def->sample_emit_json), &sample, NULL))
        json_set(out, "sampleEmit", sample);
}

static void describe_action(struct json *out, const struct rn_component *def)
{
    struct json *hints = json_set(out, "annotations", json_new_object());
    json_set_boolean(hints, "readOnlyHint", (def->annotations & RN_READ_ONLY) != 0);
    json_set_boolean(hints, "destructiveHint", (def->annotations & RN_DESTRUCTIVE) != 0);
    json_set_boolean(hints, "openWorldHint", (def->annotations & RN_OPEN_WORLD) != 0);
}

static struct json *describe_component(const struct plugin *plugin,
                                       const struct plugin_component *component)
{
    const struct rn_component *def = &component->def;
    struct json *out = json_new_object();
    json_set_string(out, "key", def->key);
    json_set_string(out, "version", def->version);
    json_set_string(out, "name", def->name);
    json_set_string(out, "description", def->description);
    json_set_string(out, "type", def->type == RN_SOURCE ? "source" : "action");
    if (def->type == RN_SOURCE)
        describe_source(out, def);
    else
        describe_action(out, def);
    set_flag(out, "additionalProps", def->additional_props != NULL);
    struct json *props = json_set(out, "props", json_new_array());
    for (size_t i = 0; i < component->prop_count; i++)
        json_append(props, describe_prop(plugin, &component->props[i]));
    return out;
}

struct json *describe_plugin(const struct plugin *plugin)
{
    struct json *out = json_new_object();
    json_set_string(out, "name", plugin->def.name);
    json_set_string(out, "version", plugin->def.version);
    char abi[32];
    (void)snprintf(abi, sizeof(abi), "%u.%u", plugin->def.abi_major, plugin->def.abi_minor);
    json_set_string(out, "abi", abi);
    struct json *apps = json_set(out, "apps", json_new_array());
    for (size_t i = 0; i < plugin->app_count; i++)
        json_append(apps, describe_app(&plugin->apps[i]));
    struct json *components = json_set(out, "components", json_new_array());
    for (size_t i = 0; i < plugin->component_count; i++)
        json_append(components, describe_component(plugin, &plugin->components[i]));
    return out;
}
