#ifndef RUNNEL_BASE_FILE_H
#define RUNNEL_BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* The bytes of a regular file of at most `max`, with a NUL after them; the caller frees. `subject`
 * begins the text of an error: the path as its reader knows it, or "it". Thread: any.
 * RN_ENOTFOUND, RN_EIO, RN_ETOOBIG. */
int file_read(const char *path, const char *subject, size_t max, char **ret, size_t *ret_size,
              struct err *err) MUST_USE;
/* What is left of an open descriptor, of any kind, in the same way; it stays open. */
int file_read_fd(int fd, const char *subject, size_t max, char **ret, size_t *ret_size,
                 struct err *err) MUST_USE;

#endif
