/* Named points at which a test makes the process die or fail: RUNNEL_FAULT=name[:n] ends the
 * process with SIGKILL at the n-th passage (1 unless given) of fault_point("name"). The names are
 * in docs/ARCHITECTURE.md. Costs one load where nothing is set. [any thread] */
#ifndef RUNNEL_BASE_FAULT_H
#define RUNNEL_BASE_FAULT_H

void fault_point(const char *name);

#endif
