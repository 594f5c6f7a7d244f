/* One host process per plugin file, by its hash: a new build of a plugin is a new host. The old one
 * stays, idle, until the runtime ends: runs in progress may need it. Workflows with settings.memory
 * have hosts with that limit beside it, so that what they ask for is theirs alone. */
#include "engine/internal.h"

struct entry {
    struct host *host;
    char *name;
    char *sha256;
    size_t memory; /* 0: limits.plugin_memory */
};

struct hosts {
    struct engine *engine;
    size_t memory_limit;
    pthread_mutex_t lock; /* guards by_hash */
    struct map by_hash;   /* sha256, " memory" → struct entry */
    char *egress;         /* RUNNEL_EGRESS=… */
    struct host *code;    /* lock; NULL: no code step has run yet */
};

struct hosts *hosts_new(struct engine *engine, size_t memory_limit)
{
    struct hosts *hosts = xcalloc(1, sizeof(*hosts));
    hosts->engine = engine;
    hosts->memory_limit = memory_limit;
    pthread_mutex_init(&hosts->lock, NULL);
    char *json = egress_to_json(engine->egress);
    hosts->egress = xasprintf("%s=%s", PLUGIN_ENV_EGRESS, json);
    free(json);
    return hosts;
}

static void entry_free(void *value)
{
    struct entry *entry = value;
    free(entry->name);
    free(entry->sha256);
    free(entry);
}

void hosts_free(struct hosts *hosts)
{
    if (!hosts)
        return;
    map_release(&hosts->by_hash, entry_free); /* the processes are the supervisor's to end */
    pthread_mutex_destroy(&hosts->lock);
    free(hosts->egress);
    free(hosts);
}

struct host *hosts_get(struct hosts *hosts, const char *name, const char *path, const char *sha256,
                       size_t memory)
{
    char key[128];
    (void)snprintf(key, sizeof(key), "%s %zu", sha256, memory);
    pthread_mutex_lock(&hosts->lock);
    struct entry *entry = map_get(&hosts->by_hash, str_from(key));
    if (!entry) {
        const char *argv[] = {"plugin-host", "--plugin", path, "--sha256", sha256, NULL};
        const char *env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", hosts->egress,
                             NULL};
        struct host_options options = {.name = name,
                                       .argv = argv,
                                       .env = env,
                                       .memory_limit = memory ? memory : hosts->memory_limit,
                                       .idle_ms = LIMIT_HOST_IDLE_MS};
        entry = xcalloc(1, sizeof(*entry));
        entry->host = host_new(hosts->engine->supervisor, &options);
        entry->name = xstrdup(name);
        entry->sha256 = xstrdup(sha256);
        entry->memory = memory;
        (void)map_put(&hosts->by_hash, str_from(key), entry);
    }
    pthread_mutex_unlock(&hosts->lock);
    return entry->host;
}

struct host *hosts_code(struct hosts *hosts)
{
    pthread_mutex_lock(&hosts->lock);
    if (!hosts->code) {
        const char *argv[] = {CODE_HOST_COMMAND, NULL};
        const char *path = getenv("PATH"), *zone = getenv("TZ");
        char *path_text = xasprintf("PATH=%s", path ? path : "/usr/local/bin:/usr/bin:/bin");
        char *zone_text = xasprintf("TZ=%s", zone ? zone : "");
        const char *env[] = {path_text, "LANG=C.UTF-8", zone ? zone_text : NULL, NULL};
        struct host_options options = {.name = "code steps", .argv = argv, .env = env};
        hosts->code = host_new(hosts->engine->supervisor, &options);
        free(path_text);
        free(zone_text);
    }
    struct host *host = hosts->code;
    pthread_mutex_unlock(&hosts->lock);
    return host;
}

struct json *hosts_report(struct hosts *hosts)
{
    static const char *const states[] = {"idle", "running", "restarting", "quarantined"};
    struct json *list = json_new_array();
    pthread_mutex_lock(&hosts->lock);
    size_t at = 0;
    for (const struct map_entry *e; (e = map_next(&hosts->by_hash, &at));) {
        const struct entry *entry = e->value;
        struct host_status status;
        host_get_status(entry->host, &status);
        struct json *item = json_append(list, json_new_object());
        json_set_string(item, "plugin", entry->name);
        json_set_string(item, "sha256", entry->sha256);
        if (entry->memory)
            json_set_integer(item, "memory", (int64_t)entry->memory);
        json_set_string(item, "state", states[status.state]);
        json_set_integer(item, "pid", status.pid);
        json_set_integer(item, "starts", (int64_t)status.starts);
        json_set_integer(item, "crashes", (int64_t)status.crashes);
        json_set_integer(item, "calls", status.calls);
        if (status.last_error[0])
            json_set_string(item, "last_error", status.last_error);
    }
    pthread_mutex_unlock(&hosts->lock);
    return list;
}
