#include "plugin/instance.h"

#include "base/map.h"

#include <pthread.h>

struct instance_cache {
    pthread_mutex_t lock; /* guards all below, and every instance's references and used */
    struct map by_id;     /* holds one reference of each */
    size_t max;
    uint64_t clock;
};

static void instance_free(struct instance *instance)
{
    json_free(instance->root);
    free(instance->id);
    free(instance);
}

/* Under the lock. The tree is freed outside of it where that matters: nowhere so far. */
static void drop(struct instance *instance)
{
    if (instance && --instance->references == 0)
        instance_free(instance);
}

struct instance_cache *instance_cache_new(size_t max)
{
    struct instance_cache *cache = xcalloc(1, sizeof(*cache));
    (void)pthread_mutex_init(&cache->lock, NULL);
    cache->max = max;
    return cache;
}

static void drop_value(void *value)
{
    drop(value);
}

void instance_cache_free(struct instance_cache *cache)
{
    if (!cache)
        return;
    map_release(&cache->by_id, drop_value);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

struct instance *instance_get(struct instance_cache *cache, struct str id, int64_t version)
{
    (void)pthread_mutex_lock(&cache->lock);
    struct instance *found = map_get(&cache->by_id, id);
    if (found && found->version != version)
        found = NULL;
    if (found) {
        found->references++;
        found->used = ++cache->clock;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return found;
}

static void evict_oldest(struct instance_cache *cache)
{
    size_t at = 0;
    const struct map_entry *entry;
    struct instance *oldest = NULL;
    while ((entry = map_next(&cache->by_id, &at))) {
        struct instance *each = entry->value;
        if (!oldest || each->used < oldest->used)
            oldest = each;
    }
    if (oldest)
        drop(map_remove(&cache->by_id, str_from(oldest->id)));
}

int instance_put(struct instance_cache *cache, struct str id, int64_t version, struct str snapshot,
                 struct instance **ret, struct err *err)
{
    struct json *root = NULL;
    int code = json_parse(snapshot, &root, err);
    if (code)
        return err_prefix(err, "the snapshot of instance " STR_FMT, STR_ARG(id));
    struct instance *instance = xcalloc(1, sizeof(*instance));
    instance->id = str_dup(id);
    instance->version = version;
    instance->root = root;
    instance->props = json_get(root, "props");
    instance->auth = json_get(root, "auth");
    instance->endpoints = json_get(root, "endpoints");
    instance->db = json_get(root, "db");
    instance->references = 1;
    (void)pthread_mutex_lock(&cache->lock);
    const struct instance *known = map_get(&cache->by_id, id);
    if (!known || known->version < version) {
        if (!known && cache->by_id.count >= cache->max)
            evict_oldest(cache);
        instance->references++;
        instance->used = ++cache->clock;
        drop(map_put(&cache->by_id, id, instance));
    }
    (void)pthread_mutex_unlock(&cache->lock);
    *ret = instance;
    return 0;
}

void instance_unref(struct instance_cache *cache, struct instance *instance)
{
    if (!instance)
        return;
    (void)pthread_mutex_lock(&cache->lock);
    drop(instance);
    (void)pthread_mutex_unlock(&cache->lock);
}
