/* A plugin's tables, checked and made whole: what the rest of the room works with instead of the
 * plugin's own structs.
 *
 * The tables come from another binary: their strides are the plugin's sizes, so each entry is
 * copied into a struct of this host's size with zeros behind what an older plugin does not know.
 * Prop definitions are merged into the props that name them. Life cycle: plugin_tables_new → read
 * by many threads → plugin_tables_free (tests only; a host keeps its plugin for ever). */
#ifndef RUNNEL_PLUGIN_TABLES_H
#define RUNNEL_PLUGIN_TABLES_H

#include "base/err.h"
#include "base/map.h"
#include "json/json.h"

#include <runnel/component.h>

struct plugin_prop {
    struct rn_prop def;         /* merged: type, flags, label … are the ones that count */
    struct json *default_value; /* parsed, or NULL */
    struct json *options;       /* static options as [{label, value}], or NULL */
};

struct plugin_app {
    struct rn_app def;
    const struct rn_app *origin; /* the plugin's own struct: what rn_prop.app points to */
    struct rn_prop *definitions;
};

struct plugin_component {
    struct rn_component def;
    struct plugin_prop *props;
    size_t prop_count;
};

struct plugin {
    struct rn_plugin def;
    struct plugin_app *apps;
    struct plugin_component *components;
    size_t app_count;
    size_t component_count;
};

/* Checks every table of `tables`, which stays in use. RN_EABI: another ABI, with both numbers;
 * RN_EINVAL, RN_ETOOBIG: one sentence that says which component, which prop and what is wrong. */
int plugin_tables_new(const struct rn_plugin *tables, struct plugin **ret,
                      struct err *err) MUST_USE;
void plugin_tables_free(struct plugin *plugin);

const struct plugin_component *plugin_component(const struct plugin *plugin, struct str key);
const struct plugin_app *plugin_app(const struct plugin *plugin, const char *slug);
const struct plugin_app *plugin_app_of(const struct plugin *plugin, const struct rn_app *origin);
const struct plugin_prop *plugin_prop(const struct plugin_component *component, const char *name);

/* Used for dynamic props too. `where` starts each sentence ("component x"); `component` NULL: no
 * inputs or definitions to look up. */
int plugin_check_prop(const struct rn_prop *prop, bool is_source, const char *where,
                      struct err *err) MUST_USE;
/* "$.interface.http", "string[]" … */
const char *plugin_type_name(int32_t type);
bool plugin_is_identifier(const char *text);
/* Whether `value` fits a prop of this type; says why not. */
int plugin_check_value(const struct rn_prop *prop, const struct json *value,
                       struct err *err) MUST_USE;
/* Reads default_json and options_json into `prop`; the texts were checked before. */
void plugin_prop_fill(struct plugin_prop *prop);
void plugin_prop_release(struct plugin_prop *prop);

#endif
