/* Writes a run's outcome as the RESULT of plugin/protocol.h: JSON by hand, the component's values
 * as sections. */
#ifndef RUNNEL_PLUGIN_RESULT_H
#define RUNNEL_PLUGIN_RESULT_H

#include "ipc/supervisor.h"
#include "plugin/run.h"

/* `code` 0: the success; else run->err. Sorts the emits. Sends exactly one result. */
void result_send(struct run *run, int code, struct served_call *call);

#endif
