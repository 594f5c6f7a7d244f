/* What a host process does to itself first of all, before it opens a plugin. */
#ifndef RUNNEL_IPC_HOST_PROCESS_H
#define RUNNEL_IPC_HOST_PROCESS_H

/* The descriptor of the socketpair to the runtime in a host process. */
#define HOST_PROCESS_FD 3
/* Its environment variable with the limit of its data in bytes. */
#define HOST_PROCESS_MEMORY_ENV "RUNNEL_MEMORY_LIMIT"

/* The first thing in a host process's main, while it has one thread: it dies with the thread of the
 * runtime that started it, leaves no core, cannot be read by other processes of the user, opens at
 * most LIMIT_PLUGIN_FILES descriptors, has at most RUNNEL_MEMORY_LIMIT bytes of data (thread stacks
 * count; not under a sanitizer, which maps far more), and ignores SIGPIPE and SIGINT. Exits when
 * the runtime is gone already. */
void host_process_init(void);
/* The same without the limits of memory and descriptors: for a host that starts processes with
 * limits of their own. */
void host_process_bind(void);

#endif
