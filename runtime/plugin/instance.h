/* What the host knows of source instances: the snapshot of each at a version, so that a source run
 * needs no more than its event. Snapshots are immutable and counted: a run keeps the one that it
 * began with. [any thread] */
#ifndef RUNNEL_PLUGIN_INSTANCE_H
#define RUNNEL_PLUGIN_INSTANCE_H

#include "base/err.h"
#include "base/str.h"
#include "json/json.h"

struct instance {
    char *id;
    int64_t version;
    const struct json *props, *auth, *endpoints, *db; /* parts of `root` */
    struct json *root;
    unsigned references;
    uint64_t used; /* when it was last asked for, by a counter */
};

struct instance_cache;

struct instance_cache *instance_cache_new(size_t max);
void instance_cache_free(struct instance_cache *cache);
/* The snapshot of exactly this version, with a reference; NULL: not known. */
struct instance *instance_get(struct instance_cache *cache, struct str id, int64_t version);
/* Takes a snapshot's JSON text and gives it with a reference; it stays in the cache unless there is
 * a newer one. RN_EPROTOCOL. */
int instance_put(struct instance_cache *cache, struct str id, int64_t version, struct str snapshot,
                 struct instance **ret, struct err *err) MUST_USE;
void instance_unref(struct instance_cache *cache, struct instance *instance);

#endif
