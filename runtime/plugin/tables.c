/* Copies a plugin's tables into structs of this host, checks them, merges prop definitions.
 *
 * Every refusal is one sentence that names the component, the prop and what is wrong: its reader is
 * the plugin's author. What is checked here is all that the rest of the runtime relies on; pointers
 * themselves cannot be checked, so this runs in a throw-away process first (catalog.h). */
#include "plugin/tables.h"

#include "base/limits.h"
#include "plugin/check.h"

enum { DEFINITION_DEPTH = 8 };

static void copy_entry(void *out, size_t out_size, const void *in, size_t in_size)
{
    memset(out, 0, out_size);
    memcpy(out, in, in_size < out_size ? in_size : out_size);
}

/* What a struct had in ABI 1.0: up to the end of its last member then. Later minors only add behind
 * it. */
#define SIZE_1_0(struct_, last_) (offsetof(struct_, last_) + sizeof(((struct_ *)NULL)->last_))

static int check_size(const char *what, uint32_t size, size_t least, size_t host, struct err *err)
{
    if (size >= least && size <= host)
        return 0;
    return err_set(err, RN_EABI,
                   "%s is %u bytes in the plugin where ABI %u.%u has %zu: compile it against the "
                   "runnel/component.h of its ABI, and begin runnel_plugin with RN_PLUGIN_HEAD",
                   what, size, RN_ABI_MAJOR, RN_ABI_MINOR, host);
}

static int check_head(const struct rn_plugin *tables, struct err *err)
{
    if (tables->abi_major != RN_ABI_MAJOR)
        return err_set(err, RN_EABI,
                       "the plugin is built for ABI %u.%u and this runnel has ABI %u.%u: the major "
                       "numbers differ; build it against this runnel's SDK",
                       tables->abi_major, tables->abi_minor, RN_ABI_MAJOR, RN_ABI_MINOR);
    if (tables->abi_minor > RN_ABI_MINOR)
        return err_set(err, RN_EABI,
                       "the plugin is built for ABI %u.%u, which is newer than this runnel's ABI "
                       "%u.%u: update runnel, or build the plugin against this runnel's SDK",
                       tables->abi_major, tables->abi_minor, RN_ABI_MAJOR, RN_ABI_MINOR);
    const struct {
        const char *what;
        uint32_t size;
        size_t least, host;
    } sizes[] = {
        {"struct rn_plugin", tables->struct_size, SIZE_1_0(struct rn_plugin, components),
         sizeof(struct rn_plugin)},
        {"struct rn_component", tables->component_size, SIZE_1_0(struct rn_component, run),
         sizeof(struct rn_component)},
        {"struct rn_app", tables->app_size, SIZE_1_0(struct rn_app, test), sizeof(struct rn_app)},
        {"struct rn_prop", tables->prop_size, SIZE_1_0(struct rn_prop, format),
         sizeof(struct rn_prop)},
    };
    int code = 0;
    for (size_t i = 0; i < COUNT_OF(sizes) && !code; i++)
        code = check_size(sizes[i].what, sizes[i].size, sizes[i].least, sizes[i].host, err);
    return code;
}

static struct rn_prop *copy_props(const struct plugin *plugin, const struct rn_prop *from,
                                  uint32_t count)
{
    struct rn_prop *props = xcalloc(count ? count : 1, sizeof(*props));
    for (uint32_t i = 0; i < count; i++)
        copy_entry(&props[i], sizeof(props[i]),
                   (const unsigned char *)from + (size_t)i * plugin->def.prop_size,
                   plugin->def.prop_size);
    return props;
}

/* What is set in `own` overrides; flags are added. */
static struct rn_prop merge(const struct rn_prop *own, const struct rn_prop *base)
{
    struct rn_prop out = *base;
    out.name = own->name;
    out.flags = base->flags | own->flags;
    if (own->type)
        out.type = own->type;
    if (own->label)
        out.label = own->label;
    if (own->description)
        out.description = own->description;
    if (own->default_json)
        out.default_json = own->default_json;
    if (own->options_json || own->options) {
        out.options_json = own->options_json;
        out.options = own->options;
    }
    if (own->flags & RN_HAS_MIN)
        out.min = own->min;
    if (own->flags & RN_HAS_MAX)
        out.max = own->max;
    if (own->app)
        out.app = own->app;
    if (own->alert_type)
        out.alert_type = own->alert_type;
    if (own->content)
        out.content = own->content;
    if (own->format)
        out.format = own->format;
    out.definition_of = own->definition_of;
    out.definition = own->definition;
    if (own->inputs)
        out.inputs = own->inputs;
    if (own->inputs_fn)
        out.inputs_fn = own->inputs_fn;
    return out;
}

static const struct rn_prop *find_definition(const struct plugin_app *app, const char *name)
{
    for (uint32_t i = 0; i < app->def.prop_definition_count; i++)
        if (strcmp(app->definitions[i].name, name) == 0)
            return &app->definitions[i];
    return NULL;
}

/* The definition itself, with the one it is made of merged in. */
static int resolve_definition(const struct plugin_app *app, const char *name, int depth,
                              struct rn_prop *ret, struct err *err)
{
    const struct rn_prop *found = find_definition(app, name);
    if (!found)
        return err_set(err, RN_EINVAL, "app %s has no prop definition \"%s\"", app->def.slug, name);
    *ret = *found;
    if (!found->definition)
        return 0;
    if (depth == DEFINITION_DEPTH)
        return err_set(err, RN_EINVAL,
                       "app %s: the prop definition \"%s\" is made of itself, or of more than %d "
                       "others",
                       app->def.slug, name, DEFINITION_DEPTH);
    struct rn_prop base;
    int code = resolve_definition(app, found->definition, depth + 1, &base, err);
    if (!code)
        *ret = merge(found, &base);
    return code;
}

static const struct rn_prop *find_own(const struct rn_prop *props, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (props[i].name && strcmp(props[i].name, name) == 0)
            return &props[i];
    return NULL;
}

static int merge_definition(const struct plugin *plugin, const struct rn_prop *own,
                            const struct rn_prop *props, uint32_t count, struct rn_prop *ret,
                            struct err *err)
{
    *ret = *own;
    if (!own->definition && !own->definition_of)
        return 0;
    if (!own->definition || !own->definition_of)
        return err_set(err, RN_EINVAL, "has .%s without .%s",
                       own->definition ? "definition" : "definition_of",
                       own->definition ? "definition_of" : "definition");
    const struct rn_prop *app_prop = find_own(props, count, own->definition_of);
    if (!app_prop)
        return err_set(err, RN_EINVAL,
                       "takes its definition from \"%s\", which is no prop of the "
                       "component",
                       own->definition_of);
    if (app_prop->type != RN_APP || !app_prop->app)
        return err_set(err, RN_EINVAL,
                       "takes its definition from \"%s\", which is no app prop (RN_APP) but %s",
                       own->definition_of, plugin_type_name(app_prop->type));
    const struct plugin_app *app = plugin_app_of(plugin, app_prop->app);
    if (!app)
        return err_set(err, RN_EINVAL,
                       "takes its definition from \"%s\", whose app is not in the "
                       "plugin's table of apps",
                       own->definition_of);
    struct rn_prop base;
    int code = resolve_definition(app, own->definition, 0, &base, err);
    if (!code)
        *ret = merge(own, &base);
    return code;
}

static int load_app(struct plugin *plugin, const struct rn_app *from, struct err *err)
{
    struct plugin_app *app = &plugin->apps[plugin->app_count];
    copy_entry(&app->def, sizeof(app->def), from, plugin->def.app_size);
    app->origin = from;
    plugin->app_count++;
    int code = check_app_head(&app->def, err);
    if (code)
        return code;
    for (size_t i = 0; i + 1 < plugin->app_count; i++)
        if (strcmp(plugin->apps[i].def.slug, app->def.slug) == 0)
            return err_set(err, RN_EINVAL, "app %s is there twice", app->def.slug);
    app->definitions =
        copy_props(plugin, app->def.prop_definitions, app->def.prop_definition_count);
    for (uint32_t i = 0; i < app->def.prop_definition_count; i++) {
        code = check_prop_name(app->definitions, i, err);
        if (code)
            return err_prefix(err, "app %s, prop definition %u", app->def.slug, i);
    }
    for (uint32_t i = 0; i < app->def.prop_definition_count; i++) {
        struct rn_prop whole;
        code = resolve_definition(app, app->definitions[i].name, 0, &whole, err);
        if (code)
            return code;
    }
    return 0;
}

static int load_props(struct plugin *plugin, struct plugin_component *component, struct err *err)
{
    const struct rn_component *def = &component->def;
    bool is_source = def->type == RN_SOURCE;
    struct rn_prop *own = copy_props(plugin, def->props, def->prop_count);
    component->props = xcalloc(def->prop_count ? def->prop_count : 1, sizeof(*component->props));
    char where[256];
    int code = 0;
    for (uint32_t i = 0; i < def->prop_count && !code; i++) {
        code = check_prop_name(own, i, err);
        if (code)
            (void)err_prefix(err, "component %s, prop %u", def->key, i);
    }
    for (uint32_t i = 0; i < def->prop_count && !code; i++) {
        struct plugin_prop *prop = &component->props[i];
        (void)snprintf(where, sizeof(where), "component %s, prop %s", def->key, own[i].name);
        code = merge_definition(plugin, &own[i], own, def->prop_count, &prop->def, err);
        if (code) {
            (void)err_prefix(err, "%s", where);
            break;
        }
        component->prop_count++;
        code = plugin_check_prop(&prop->def, is_source, where, err);
        if (!code)
            code = check_prop_links(plugin, def, own, &prop->def, where, err);
        if (!code)
            plugin_prop_fill(prop);
    }
    free(own);
    return code;
}

static int load_component(struct plugin *plugin, const struct rn_component *from, struct err *err)
{
    struct plugin_component *component = &plugin->components[plugin->component_count];
    copy_entry(&component->def, sizeof(component->def), from, plugin->def.component_size);
    plugin->component_count++;
    int code = check_component_head(plugin, &component->def, err);
    if (code)
        return code;
    for (size_t i = 0; i + 1 < plugin->component_count; i++)
        if (strcmp(plugin->components[i].def.key, component->def.key) == 0)
            return err_set(err, RN_EINVAL, "the key %s is there twice: components %zu and %zu",
                           component->def.key, i, plugin->component_count - 1);
    return load_props(plugin, component, err);
}

static int load_tables(struct plugin *plugin, const struct rn_plugin *tables, struct err *err)
{
    copy_entry(&plugin->def, sizeof(plugin->def), tables, tables->struct_size);
    int code = check_plugin_head(&plugin->def, err);
    if (code)
        return code;
    plugin->apps = xcalloc(plugin->def.app_count + 1, sizeof(*plugin->apps));
    plugin->components = xcalloc(plugin->def.component_count + 1, sizeof(*plugin->components));
    for (uint32_t i = 0; i < plugin->def.app_count && !code; i++) {
        if (!plugin->def.apps[i])
            return err_set(err, RN_EINVAL, "app %u is NULL in the table of apps", i);
        code = load_app(plugin, plugin->def.apps[i], err);
    }
    for (uint32_t i = 0; i < plugin->def.component_count && !code; i++) {
        if (!plugin->def.components[i])
            return err_set(err, RN_EINVAL, "component %u is NULL in the table of components", i);
        code = load_component(plugin, plugin->def.components[i], err);
    }
    return code;
}

int plugin_tables_new(const struct rn_plugin *tables, struct plugin **ret, struct err *err)
{
    int code = check_head(tables, err);
    if (code)
        return code;
    struct plugin *plugin = xcalloc(1, sizeof(*plugin));
    code = load_tables(plugin, tables, err);
    if (code) {
        plugin_tables_free(plugin);
        return code;
    }
    *ret = plugin;
    return 0;
}

void plugin_tables_free(struct plugin *plugin)
{
    if (!plugin)
        return;
    for (size_t i = 0; i < plugin->app_count; i++)
        free(plugin->apps[i].definitions);
    for (size_t i = 0; i < plugin->component_count; i++) {
        struct plugin_component *component = &plugin->components[i];
        for (size_t j = 0; j < component->prop_count; j++)
            plugin_prop_release(&component->props[j]);
        free(component->props);
    }
    free(plugin->apps);
    free(plugin->components);
    free(plugin);
}

const struct plugin_component *plugin_component(const struct plugin *plugin, struct str key)
{
    for (size_t i = 0; i < plugin->component_count; i++)
        if (str_eq_c(key, plugin->components[i].def.key))
            return &plugin->components[i];
    return NULL;
}

const struct plugin_app *plugin_app(const struct plugin *plugin, const char *slug)
{
    for (size_t i = 0; i < plugin->app_count; i++)
        if (strcmp(plugin->apps[i].def.slug, slug) == 0)
            return &plugin->apps[i];
    return NULL;
}

const struct plugin_app *plugin_app_of(const struct plugin *plugin, const struct rn_app *origin)
{
    for (size_t i = 0; i < plugin->app_count; i++)
        if (plugin->apps[i].origin == origin)
            return &plugin->apps[i];
    return NULL;
}

const struct plugin_prop *plugin_prop(const struct plugin_component *component, const char *name)
{
    for (size_t i = 0; i < component->prop_count; i++)
        if (strcmp(component->props[i].def.name, name) == 0)
            return &component->props[i];
    return NULL;
}
