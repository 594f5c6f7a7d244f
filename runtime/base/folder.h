/* A folder that code of others writes into: a run's files. Nothing in it is trusted: no symbolic
 * link is followed, no name leaves it. [any thread] */
#ifndef RUNNEL_BASE_FOLDER_H
#define RUNNEL_BASE_FOLDER_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

struct folder_use {
    uint64_t bytes;
    uint64_t files;
};

/* What is in the folder, those below it included; nothing, if it is not there. What changed at
 * `since_ms` or later is synced to the disk. RN_ETOOBIG past `limit` bytes, LIMIT_FOLDER_ENTRIES or
 * LIMIT_FOLDER_DEPTH; RN_EIO. */
int folder_measure(const char *path, uint64_t limit, int64_t since_ms, struct folder_use *ret,
                   struct err *err) MUST_USE;
/* Removes it with all that is in it; one that is not there is fine. RN_EIO. */
int folder_remove(const char *path, struct err *err) MUST_USE;

/* `name` as it is used below: the name of a file in the folder, or in a folder in it. Its full path
 * and "/tmp/NAME", which is what Pipedream's files say, are taken, too. *ret is a part of `name`.
 * RN_EINVAL: empty, absolute elsewhere, or with "." or ".." in it. */
int folder_name(const char *path, const char *name, struct str *ret, struct err *err) MUST_USE;
/* Opens a file of the folder; flags as of open(2). With O_CREAT the folders on its way are made.
 * `name` as folder_name() gives it. RN_ENOTFOUND; RN_EINVAL: a link, or no regular file; RN_EIO. */
int folder_open(const char *path, struct str name, int flags, int *ret_fd,
                struct err *err) MUST_USE;

#endif
