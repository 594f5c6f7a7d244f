/* The calls of plugin/protocol.h, carried out: what a plugin host does between reading a call and
 * sending its result. */
#ifndef RUNNEL_PLUGIN_HOST_H
#define RUNNEL_PLUGIN_HOST_H

#include "ipc/supervisor.h"
#include "plugin/tables.h"

struct plugin_host;

/* `egress_json`: what the environment says, NULL for the strict default. `plugin` is kept. */
int plugin_host_new(struct plugin *plugin, const char *egress_json, struct plugin_host **ret,
                    struct err *err) MUST_USE;
/* A frame_handler: ctx is the plugin host. */
void plugin_host_handle(void *ctx, struct served_call *call);

#endif
