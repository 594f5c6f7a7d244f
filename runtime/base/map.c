/* Open addressing with linear probing and backward-shift deletion: no tombstones, so that a map
 * that lives for months does not slow down. FNV-1a: keys here are our own names, not an attacker's
 * choice of millions. */
#include "base/map.h"

static uint64_t hash_of(struct str key)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.ptr[i]) * 1099511628211u;
    return hash;
}

static struct map_entry *find(const struct map *map, struct str key, uint64_t hash)
{
    if (map->capacity == 0)
        return NULL;
    size_t mask = map->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_entry *entry = &map->entries[i];
        if (!entry->key)
            return NULL;
        if (entry->hash == hash && str_eq(str_n(entry->key, entry->key_len), key))
            return entry;
    }
}

void *map_get(const struct map *map, struct str key)
{
    struct map_entry *entry = find(map, key, hash_of(key));
    return entry ? entry->value : NULL;
}

static void place(struct map *map, struct map_entry entry)
{
    size_t mask = map->capacity - 1;
    size_t i = entry.hash & mask;
    while (map->entries[i].key)
        i = (i + 1) & mask;
    map->entries[i] = entry;
}

static void grow(struct map *map)
{
    struct map_entry *old = map->entries;
    size_t count = map->capacity;
    map->capacity = count ? count * 2 : 16;
    map->entries = xcalloc(map->capacity, sizeof(*map->entries));
    for (size_t i = 0; i < count; i++)
        if (old[i].key)
            place(map, old[i]);
    free(old);
}

void *map_put(struct map *map, struct str key, void *value)
{
    uint64_t hash = hash_of(key);
    struct map_entry *entry = find(map, key, hash);
    if (entry) {
        void *before = entry->value;
        entry->value = value;
        return before;
    }
    if ((map->count + 1) * 4 > map->capacity * 3)
        grow(map);
    place(map, (struct map_entry){str_dup(key), key.len, hash, value});
    map->count++;
    return NULL;
}

void *map_remove(struct map *map, struct str key)
{
    struct map_entry *entry = find(map, key, hash_of(key));
    if (!entry)
        return NULL;
    void *value = entry->value;
    free(entry->key);
    size_t mask = map->capacity - 1;
    size_t hole = (size_t)(entry - map->entries);
    for (size_t i = (hole + 1) & mask; map->entries[i].key; i = (i + 1) & mask) {
        size_t home = map->entries[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole] = (struct map_entry){0};
    map->count--;
    return value;
}

void map_release(struct map *map, void (*release)(void *value))
{
    for (size_t i = 0; i < map->capacity; i++) {
        if (!map->entries[i].key)
            continue;
        free(map->entries[i].key);
        if (release)
            release(map->entries[i].value);
    }
    free(map->entries);
    *map = (struct map)MAP_INIT;
}

const struct map_entry *map_next(const struct map *map, size_t *at)
{
    while (*at < map->capacity) {
        const struct map_entry *entry = &map->entries[(*at)++];
        if (entry->key)
            return entry;
    }
    return NULL;
}
