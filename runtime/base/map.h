/* A hash map from text to pointers. Keys are copied; values are the caller's. Not for threads to
 * share unlocked. Iteration is in no order; do not add while iterating. */
#ifndef RUNNEL_BASE_MAP_H
#define RUNNEL_BASE_MAP_H

#include "base/str.h"

struct map_entry {
    char *key; /* NULL: free */
    size_t key_len;
    uint64_t hash;
    void *value;
};

struct map {
    struct map_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

#define MAP_INIT                                                                                   \
    {                                                                                              \
        .entries = NULL, .capacity = 0, .count = 0                                                 \
    }

void *map_get(const struct map *map, struct str key);
/* Returns the value that was there before, or NULL. `value` is not NULL. */
void *map_put(struct map *map, struct str key, void *value);
void *map_remove(struct map *map, struct str key);
/* Calls release (may be NULL) for each value, and empties the map. */
void map_release(struct map *map, void (*release)(void *value));
/* The first entry at or behind slot *at, which moves behind it; NULL at the end. Start with *at =
 * 0. */
const struct map_entry *map_next(const struct map *map, size_t *at);

#endif
