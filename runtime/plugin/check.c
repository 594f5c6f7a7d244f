/* The rules for plugins, apps and components; check_prop.c has those for props. */
#include "plugin/check.h"

#include "base/limits.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_slug(const char *text)
{
    if (!text || !text[0])
        return false;
    for (const char *c = text; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || is_digit(*c) || *c == '_'))
            return false;
    return true;
}

/* MAJOR.MINOR.PATCH, then -pre.release and +build of [0-9A-Za-z.-]. */
bool check_is_semver(const char *text)
{
    if (!text)
        return false;
    const char *c = text;
    for (int part = 0; part < 3; part++) {
        const char *start = c;
        while (is_digit(*c))
            c++;
        if (c == start || c - start > 9 || (*start == '0' && c - start > 1))
            return false;
        if (part < 2 && *c++ != '.')
            return false;
    }
    if (*c && *c != '-' && *c != '+')
        return false;
    for (; *c; c++)
        if (!(is_digit(*c) || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '.' ||
              *c == '-' || *c == '+'))
            return false;
    return c[-1] != '-' && c[-1] != '+' && c[-1] != '.';
}

int check_plugin_head(const struct rn_plugin *plugin, struct err *err)
{
    if (!is_slug(plugin->name))
        return err_set(err, RN_EINVAL,
                       "the plugin's name %s%s%s is no app slug: lower case letters, digits and "
                       "underscores",
                       plugin->name ? "\"" : "", plugin->name ? plugin->name : "(NULL)",
                       plugin->name ? "\"" : "");
    if (!check_is_semver(plugin->version))
        return err_set(err, RN_EINVAL, "plugin %s: the version \"%s\" is not like 1.2.3",
                       plugin->name, plugin->version ? plugin->version : "(NULL)");
    if (plugin->app_count > PLUGIN_APPS_MAX || plugin->component_count > PLUGIN_COMPONENTS_MAX)
        return err_set(
            err, RN_ETOOBIG,
            "plugin %s says that it has %u apps and %u components; %d and %d are allowed",
            plugin->name, plugin->app_count, plugin->component_count, PLUGIN_APPS_MAX,
            PLUGIN_COMPONENTS_MAX);
    if ((plugin->app_count && !plugin->apps) || (plugin->component_count && !plugin->components))
        return err_set(err, RN_EINVAL, "plugin %s counts %s but has no table of them (NULL)",
                       plugin->name, plugin->app_count && !plugin->apps ? "apps" : "components");
    if (!plugin->component_count)
        return err_set(err, RN_EINVAL, "plugin %s has no component", plugin->name);
    return 0;
}

static bool has_field(const struct rn_auth *auth, const char *name)
{
    for (uint32_t i = 0; i < auth->field_count; i++)
        if (strcmp(auth->fields[i].name, name) == 0)
            return true;
    return false;
}

static int check_auth_kind(const struct rn_auth *auth, struct err *err)
{
    static const char *const oauth[] = {"client_id", "client_secret", "refresh_token"};
    switch (auth->kind) {
    case RN_AUTH_KEYS:
        if (!auth->field_count)
            return err_set(err, RN_EINVAL, "has no fields");
        return 0;
    case RN_AUTH_OAUTH2_REFRESH:
        for (size_t i = 0; i < COUNT_OF(oauth) && auth->field_count; i++)
            if (!has_field(auth, oauth[i]))
                return err_set(err, RN_EINVAL, "lacks the field \"%s\" of RN_AUTH_OAUTH2_REFRESH",
                               oauth[i]);
        if (!auth->token_url)
            return err_set(err, RN_EINVAL, "needs a token_url");
        return 0;
    case RN_AUTH_GOOGLE_SERVICE_ACCOUNT:
        if (auth->field_count && !has_field(auth, "service_account"))
            return err_set(err, RN_EINVAL,
                           "lacks the field \"service_account\" of RN_AUTH_GOOGLE_SERVICE_ACCOUNT");
        return 0;
    default:
        return err_set(err, RN_EINVAL, "has the unknown kind %d", auth->kind);
    }
}

static int check_auth(const struct rn_auth *auth, struct err *err)
{
    if (auth->field_count > PLUGIN_AUTH_FIELDS_MAX || (auth->field_count && !auth->fields))
        return err_set(err, RN_EINVAL, "counts %u fields and has %s", auth->field_count,
                       auth->fields ? "at most 64 allowed" : "no table of them (NULL)");
    for (uint32_t i = 0; i < auth->field_count; i++) {
        const struct rn_auth_field *field = &auth->fields[i];
        if (!plugin_is_identifier(field->name))
            return err_set(err, RN_EINVAL, "the name of field %u is no identifier: \"%s\"", i,
                           field->name ? field->name : "(NULL)");
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(auth->fields[j].name, field->name) == 0)
                return err_set(err, RN_EINVAL, "the field \"%s\" is there twice", field->name);
        if (field->flags & ~(RN_OPTIONAL | RN_SECRET))
            return err_set(err, RN_EINVAL,
                           "field %s: the flags 0x%x are not for auth fields (only RN_OPTIONAL, "
                           "RN_SECRET)",
                           field->name, field->flags & ~(RN_OPTIONAL | RN_SECRET));
    }
    return check_auth_kind(auth, err);
}

int check_app_head(const struct rn_app *app, struct err *err)
{
    if (!is_slug(app->slug))
        return err_set(err, RN_EINVAL,
                       "the app slug \"%s\" is wrong: lower case letters, digits and underscores",
                       app->slug ? app->slug : "(NULL)");
    if (!app->name || !app->name[0])
        return err_set(err, RN_EINVAL, "app %s has no name", app->slug);
    if (app->auth_count > PLUGIN_AUTHS_MAX || (app->auth_count && !app->auths))
        return err_set(err, RN_EINVAL, "app %s counts %u auths and has %s", app->slug,
                       app->auth_count,
                       app->auths ? "at most 16 allowed" : "no table of them (NULL)");
    for (uint32_t i = 0; i < app->auth_count; i++) {
        int code = check_auth(&app->auths[i], err);
        if (code)
            return err_prefix(err, "app %s, auth %u", app->slug, i);
    }
    if (app->prop_definition_count > LIMIT_PROPS ||
        (app->prop_definition_count && !app->prop_definitions))
        return err_set(err, RN_EINVAL, "app %s counts %u prop definitions and has %s", app->slug,
                       app->prop_definition_count,
                       app->prop_definitions ? "at most 128 allowed" : "no table of them (NULL)");
    if (app->account_prop && !plugin_is_identifier(app->account_prop))
        return err_set(err, RN_EINVAL, "app %s: account_prop \"%s\" is no identifier", app->slug,
                       app->account_prop);
    return 0;
}

static bool key_has_app(const struct plugin *plugin, const char *key)
{
    struct str text = str_from(key);
    for (size_t i = 0; i <= plugin->app_count; i++) {
        const char *slug = i < plugin->app_count ? plugin->apps[i].def.slug : plugin->def.name;
        if (str_starts(text, slug) && key[strlen(slug)] == '-' && key[strlen(slug) + 1])
            return true;
    }
    return false;
}

static int check_key(const struct plugin *plugin, const char *key, struct err *err)
{
    size_t index = plugin->component_count - 1;
    if (!key || !key[0])
        return err_set(err, RN_EINVAL, "component %zu of plugin %s has no key", index,
                       plugin->def.name);
    for (const char *c = key; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || is_digit(*c) || *c == '_' || *c == '-'))
            return err_set(err, RN_EINVAL,
                           "component %s: a key has only lower case letters, digits, - and _", key);
    if (strlen(key) > 128)
        return err_set(err, RN_ETOOBIG, "component %s: a key has at most 128 characters", key);
    if (!key_has_app(plugin, key))
        return err_set(err, RN_EINVAL, "component %s: the key does not start with \"%s-\"", key,
                       plugin->def.name);
    return 0;
}

static int check_callbacks(const struct rn_component *c, struct err *err)
{
    if (!c->run)
        return err_set(err, RN_EINVAL, "component %s has no run() (NULL)", c->key);
    if (c->type == RN_SOURCE) {
        if (c->annotations)
            return err_set(err, RN_EINVAL, "component %s: only actions have annotations", c->key);
        if (c->dedupe < RN_DEDUPE_NONE || c->dedupe > RN_DEDUPE_LAST)
            return err_set(err, RN_EINVAL, "component %s has the unknown dedupe strategy %d",
                           c->key, c->dedupe);
        return 0;
    }
    if (c->deploy || c->activate || c->deactivate)
        return err_set(err, RN_EINVAL,
                       "component %s: only sources have hooks (deploy, activate, deactivate)",
                       c->key);
    if (c->dedupe)
        return err_set(err, RN_EINVAL, "component %s: only sources have a dedupe strategy", c->key);
    if (c->sample_emit_json)
        return err_set(err, RN_EINVAL, "component %s: only sources have a sample event", c->key);
    uint32_t known = RN_READ_ONLY | RN_DESTRUCTIVE | RN_OPEN_WORLD;
    if (c->annotations & ~known)
        return err_set(err, RN_EINVAL, "component %s has the unknown annotations 0x%x", c->key,
                       c->annotations & ~known);
    return 0;
}

int check_component_head(const struct plugin *plugin, const struct rn_component *c, struct err *err)
{
    int code = check_key(plugin, c->key, err);
    if (code)
        return code;
    if (!c->name || !c->name[0])
        return err_set(err, RN_EINVAL, "component %s has no name", c->key);
    if (!check_is_semver(c->version))
        return err_set(err, RN_EINVAL, "component %s: the version \"%s\" is not like 0.0.1", c->key,
                       c->version ? c->version : "(NULL)");
    if (c->type != RN_SOURCE && c->type != RN_ACTION)
        return err_set(err, RN_EINVAL,
                       "component %s: the type %d is neither RN_SOURCE nor RN_ACTION", c->key,
                       c->type);
    code = check_callbacks(c, err);
    if (code)
        return code;
    if (c->prop_count > LIMIT_PROPS)
        return err_set(err, RN_ETOOBIG, "component %s has %u props; %d are allowed", c->key,
                       c->prop_count, LIMIT_PROPS);
    if (c->prop_count && !c->props)
        return err_set(err, RN_EINVAL,
                       "component %s counts %u props but has no table of them (NULL)", c->key,
                       c->prop_count);
    struct err why = ERR_INIT;
    if (c->sample_emit_json && json_check(str_from(c->sample_emit_json), &why))
        return err_set(err, RN_EINVAL, "component %s: sample_emit_json is no JSON: %s", c->key,
                       why.text);
    return 0;
}
