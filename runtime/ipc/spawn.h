/* Starting host processes and saying how they ended. A process's PR_SET_PDEATHSIG is tied to the
 * thread that made it, so that all of them are started by one thread, the keeper's, which lives as
 * long as the supervisor. It also joins the hosts' threads that have ended. */
#ifndef RUNNEL_IPC_SPAWN_H
#define RUNNEL_IPC_SPAWN_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/resource.h>

struct keeper;

struct keeper *keeper_new(void);
/* Joins what is still to be joined. Nobody may be in keeper_spawn(). NULL is fine. */
void keeper_free(struct keeper *keeper);

struct spawn {
    const char *program;
    char *const *argv;
    char *const *env;
    int socket_fd; /* becomes descriptor 3 */
    int output_fd; /* becomes 1 and 2 */
};

/* Starts a process in a process group of its own, with /dev/null as 0 and no descriptor past 3, all
 * signals unblocked and at their default. Waits for the keeper's thread. RN_EUNAVAILABLE. */
int keeper_spawn(struct keeper *keeper, const struct spawn *spawn, int *ret_pid,
                 struct err *err) MUST_USE;
/* The thread is about to end: joins it some time later. [any thread] */
void keeper_join(struct keeper *keeper, pthread_t thread);

/* "killed by signal 11 (Segmentation fault)", "exited with status 3"; with ": ran out of memory
 * (limit 512 MiB)" behind it when the process said so or was near its limit: then true. */
bool spawn_describe_exit(int status, const struct rusage *usage, size_t memory_limit,
                         bool has_said_so, char *out, size_t out_size);

#endif
