/* The description of a plugin as JSON: what `components show --json` prints, what the catalog is
 * built from. Names are Pipedream's. */
#ifndef RUNNEL_PLUGIN_DESCRIBE_H
#define RUNNEL_PLUGIN_DESCRIBE_H

#include "plugin/tables.h"

/* {"name","version","abi","apps":[…],"components":[…]}; the caller frees. */
struct json *describe_plugin(const struct plugin *plugin);
/* One prop: {"name","type","label","description", …}. */
struct json *describe_prop(const struct plugin *plugin, const struct plugin_prop *prop);

#endif
