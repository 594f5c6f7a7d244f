/* One interpreter process. Private to the room. */
#ifndef RUNNEL_CODE_CHILD_H
#define RUNNEL_CODE_CHILD_H

#include "code/code.h"

#include "base/limits.h"
#include "base/str.h"
#include "json/json.h"

#include <stdint.h>

/* What it prints, as far as it is not a whole line yet. */
struct child_output {
    int fd; /* −1: closed */
    struct buf line;
};

struct child {
    int pid;
    int pid_fd;
    int socket_fd; /* the worker's conversation; −1 for bash */
    struct child_output out, err;
    enum code_language language;
    size_t memory;
    /* the pool's */
    char *key;
    bool is_busy;
    int64_t idle_since_ms;
    struct child *next;
};

struct child_options {
    enum code_language language;
    const char *program; /* absolute */
    const char *const *argv;
    const char *dir;     /* its working folder */
    const char **env;    /* "NAME=value" …, NULL */
    size_t memory;       /* bytes */
    uint64_t file_bytes; /* the most that one file may get */
};

/* Starts the thread that starts all children: PR_SET_PDEATHSIG goes by the thread that made the
 * process, and this one lives as long as the code host. Also makes the host's own death (SIGTERM
 * when the runtime is gone) take along what the children have started. */
void children_init(void);
/* In a process group of its own, /dev/null as 0, pipes as 1 and 2, with a worker's socket as 3, and
 * no other descriptor. RN_EUNAVAILABLE. */
int child_start(const struct child_options *options, struct child **ret, struct err *err) MUST_USE;
/* Kills it and all of its group that is left, waits for it, frees. NULL is fine. */
void child_free(struct child *child);
/* True if it has ended; *ret_status is wait()'s then. */
bool child_has_ended(struct child *child, int *ret_status);
/* Waits for its end at most `ms`. */
bool child_wait(struct child *child, int ms, int *ret_status);

#endif
