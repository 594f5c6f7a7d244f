/* The rules that a plugin's tables have to keep; tables.c asks them in order. Each returns 0 or
 * sets one sentence. */
#ifndef RUNNEL_PLUGIN_CHECK_H
#define RUNNEL_PLUGIN_CHECK_H

#include "plugin/tables.h"

#define PLUGIN_COMPONENTS_MAX 1024
#define PLUGIN_APPS_MAX 64
#define PLUGIN_AUTHS_MAX 16
#define PLUGIN_AUTH_FIELDS_MAX 64
#define PLUGIN_INPUTS_MAX 32

int check_plugin_head(const struct rn_plugin *plugin, struct err *err) MUST_USE;
int check_app_head(const struct rn_app *app, struct err *err) MUST_USE;
int check_component_head(const struct plugin *plugin, const struct rn_component *component,
                         struct err *err) MUST_USE;
/* Entry `index` of a table: its name is there, an identifier, and no earlier entry's. */
int check_prop_name(const struct rn_prop *props, uint32_t index, struct err *err) MUST_USE;
/* What a prop says about others: app, inputs, reloadProps. `own`: the component's props, as many as
 * it has. */
int check_prop_links(const struct plugin *plugin, const struct rn_component *component,
                     const struct rn_prop *own, const struct rn_prop *prop, const char *where,
                     struct err *err) MUST_USE;
bool check_is_semver(const char *text);

#endif
