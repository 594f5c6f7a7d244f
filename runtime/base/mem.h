/* Allocation that aborts when there is no memory: the truth is in the store and a restart is safe.
 * A size from outside meets a named limit before it gets here. */
#ifndef RUNNEL_BASE_MEM_H
#define RUNNEL_BASE_MEM_H

#include "base/banned.h"

#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt_, args_) __attribute__((format(printf, fmt_, args_)))
#define COUNT_OF(array_) (sizeof(array_) / sizeof((array_)[0]))

/* As malloc, calloc, realloc, strdup; never NULL. The caller frees with free(). */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *text);
/* A copy of `size` bytes with a NUL behind them. */
char *xmemdup(const void *data, size_t size);
/* A formatted string of any length. */
char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2);

/* Overwrites secrets in a way that the compiler may not leave out. NULL is fine. */
void mem_wipe(void *data, size_t size);

#endif
