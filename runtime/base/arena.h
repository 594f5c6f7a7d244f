/* Memory that is freed all at once: one arena per call or per request. Not for threads to share. */
#ifndef RUNNEL_BASE_ARENA_H
#define RUNNEL_BASE_ARENA_H

#include "base/str.h"

struct arena_block;

struct arena {
    struct arena_block *blocks;
};

#define ARENA_INIT                                                                                 \
    {                                                                                              \
        .blocks = NULL                                                                             \
    }

/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t size);
/* A copy with a NUL behind it. */
char *arena_dup(struct arena *arena, struct str text);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
void arena_release(struct arena *arena);

#endif
