/* Source instances and native triggers: who they are, and what the plugin host must know of them.
 */
#include "engine/internal.h"

struct instance *source_instance_new(const char *id, const char *key, bool is_native)
{
    struct instance *instance = xcalloc(1, sizeof(*instance));
    atomic_init(&instance->refs, 1);
    instance->id = xstrdup(id);
    instance->key = xstrdup(key);
    instance->is_native = is_native;
    pthread_mutex_init(&instance->lock, NULL);
    return instance;
}

struct instance *source_instance_ref(struct instance *instance)
{
    atomic_fetch_add(&instance->refs, 1);
    return instance;
}

static void subscribers_free(struct subscriber *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].workflow);
        free(list[i].trigger);
        free(list[i].channel);
    }
    free(list);
}

void source_instance_unref(struct instance *instance)
{
    if (!instance || atomic_fetch_sub(&instance->refs, 1) != 1)
        return;
    subscribers_free(instance->subscribers, instance->subscriber_count);
    free(instance->id);
    free(instance->key);
    free(instance->error);
    free(instance->config);
    free(instance->component);
    free(instance->version);
    free(instance->plugin);
    free(instance->plugin_path);
    free(instance->http_prop);
    free(instance->snapshot);
    http_trigger_free(instance->http);
    schedule_free(instance->schedule);
    json_free(instance->props);
    json_free(instance->app_props);
    pthread_mutex_destroy(&instance->lock);
    free(instance);
}

const char *instance_state_name(enum instance_state state)
{
    static const char *const names[] = {"new", "deployed", "active", "inactive", "failed"};
    return names[state];
}

struct instance *instance_by_key(struct engine *engine, struct str key)
{
    pthread_rwlock_rdlock(&engine->instances_lock);
    struct instance *instance = map_get(&engine->endpoints, key);
    if (instance)
        (void)source_instance_ref(instance);
    pthread_rwlock_unlock(&engine->instances_lock);
    return instance;
}

struct instance *instance_by_id(struct engine *engine, const char *id)
{
    pthread_rwlock_rdlock(&engine->instances_lock);
    struct instance *instance = map_get(&engine->instances, str_from(id));
    if (instance)
        (void)source_instance_ref(instance);
    pthread_rwlock_unlock(&engine->instances_lock);
    return instance;
}

void instance_set_subscribers(struct instance *instance, struct subscriber *list, size_t count)
{
    pthread_mutex_lock(&instance->lock);
    struct subscriber *old = instance->subscribers;
    size_t old_count = instance->subscriber_count;
    instance->subscribers = list;
    instance->subscriber_count = count;
    pthread_mutex_unlock(&instance->lock);
    subscribers_free(old, old_count);
}

static char *copy_text(char **room, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*room, text, size);
    *room += size;
    return copy;
}

struct subscriber *instance_copy_subscribers(struct instance *instance, const char *channel,
                                             size_t *ret_count)
{
    pthread_mutex_lock(&instance->lock);
    const struct subscriber *list = instance->subscribers;
    size_t all = instance->subscriber_count, size = all * sizeof(*list), count = 0;
    for (size_t i = 0; i < all; i++)
        size += strlen(list[i].workflow) + strlen(list[i].trigger) + strlen(list[i].channel) + 3;
    struct subscriber *copy = all ? xmalloc(size) : NULL;
    char *room = (char *)(copy + all);
    for (size_t i = 0; i < all; i++) {
        if (channel && strcmp(list[i].channel, channel) != 0)
            continue;
        copy[count] = list[i];
        copy[count].workflow = copy_text(&room, list[i].workflow);
        copy[count].trigger = copy_text(&room, list[i].trigger);
        copy[count++].channel = copy_text(&room, list[i].channel);
    }
    pthread_mutex_unlock(&instance->lock);
    *ret_count = count;
    return copy;
}

char *instance_endpoint(struct engine *engine, const struct instance *instance)
{
    struct project *project = engine_project(engine);
    char *url = xasprintf("%s/e/%s", engine_public_url(engine, project), instance->key);
    project_unref(project);
    return url;
}

void instance_touch(struct instance *instance)
{
    pthread_mutex_lock(&instance->lock);
    instance->config_version++;
    pthread_mutex_unlock(&instance->lock);
}

/* What the host is told as the version: the db's and the configuration's together, so that either's
 * change is noticed. */
static uint64_t version_of(const struct instance *instance)
{
    return instance->db_version << 20 | (instance->config_version & 0xFFFFF);
}

static int add_db(void *ctx, struct str key, struct str value)
{
    struct buf *out = ctx;
    if (out->ptr[out->len - 1] != '{')
        buf_add_char(out, ',');
    json_write_string(out, key);
    buf_add_char(out, ':');
    buf_add_str(out, value);
    return 0;
}

/* Builds the snapshot: props, accounts, endpoint and db, the db from one view together with its
 * version. Called without the instance's lock: fetching a token may take long. */
static int build_snapshot(struct engine *engine, struct instance *instance, char **ret,
                          uint64_t *ret_db_version, struct err *err)
{
    pthread_mutex_lock(&instance->lock);
    struct json *props = json_copy(instance->props);
    struct json *app_props = json_copy(instance->app_props);
    char *http_prop = instance->http_prop ? xstrdup(instance->http_prop) : NULL;
    pthread_mutex_unlock(&instance->lock);
    struct buf out = BUF_INIT(LIMIT_JSON_BYTES);
    struct json *auth = json_new_object();
    struct store_view *view = NULL;
    int rc = 0;
    for (const struct json *p = json_first(app_props); p && rc == 0; p = json_next(p)) {
        struct json *fields = NULL;
        rc = accounts_resolve_wait(engine->accounts, json_c(p), NULL, &fields, err);
        if (rc == 0)
            (void)json_set(auth, json_name(p), fields);
    }
    if (rc == 0)
        rc = store_view_begin(engine->store, &view, err);
    if (rc == 0) {
        struct str text;
        uint64_t version = 0;
        if (kv_get(STORE_VIEW(view), SPACE_DB_VERSION, str_from(instance->id), &text) == 0)
            (void)!num_parse_u64(text, &version);
        buf_add_c(&out, "{\"props\":");
        json_write(&out, props);
        buf_add_c(&out, ",\"auth\":");
        json_write(&out, auth);
        buf_add_c(&out, ",\"endpoints\":{");
        if (http_prop) {
            char *url = instance_endpoint(engine, instance);
            json_write_string(&out, str_from(http_prop));
            buf_add_char(&out, ':');
            json_write_string(&out, str_from(url));
            free(url);
        }
        buf_add_c(&out, "},\"db\":{");
        char *space = xasprintf("db/%s", instance->id);
        (void)kv_each(STORE_VIEW(view), space, add_db, &out);
        free(space);
        buf_add_c(&out, "}}");
        *ret_db_version = version;
        *ret = buf_take(&out, NULL);
    }
    store_view_end(view);
    buf_release(&out);
    json_free(auth);
    json_free(props);
    json_free(app_props);
    free(http_prop);
    return rc;
}

int instance_prepare_call(struct engine *engine, struct instance *instance, bool force_snapshot,
                          struct buf *json, struct str *sections, uint32_t *section_count,
                          struct buf *snapshot_copy, uint64_t *ret_db_version, struct err *err)
{
    pthread_mutex_lock(&instance->lock);
    while (!instance->snapshot || instance->snapshot_version != version_of(instance)) {
        uint64_t config_version = instance->config_version, db_version = 0;
        pthread_mutex_unlock(&instance->lock);
        char *snapshot = NULL;
        int rc = build_snapshot(engine, instance, &snapshot, &db_version, err);
        if (rc)
            return rc;
        pthread_mutex_lock(&instance->lock);
        if (db_version < instance->db_version || config_version != instance->config_version) {
            free(snapshot); /* it has moved on meanwhile */
            continue;
        }
        instance->db_version = db_version;
        free(instance->snapshot);
        instance->snapshot = snapshot;
        instance->snapshot_version = version_of(instance);
    }
    uint64_t version = instance->snapshot_version;
    uint64_t generation = host_generation(instance->host);
    bool is_known = !force_snapshot && generation && instance->sent_generation == generation &&
                    instance->sent_version == version;
    if (!is_known) {
        buf_add_c(snapshot_copy, instance->snapshot);
        instance->sent_generation = generation;
        instance->sent_version = version;
    }
    *ret_db_version = instance->db_version;
    pthread_mutex_unlock(&instance->lock);
    buf_addf(json, ",\"instance\":\"%s\",\"version\":%llu", instance->id,
             (unsigned long long)version);
    if (!is_known) {
        buf_addf(json, ",\"snapshot\":%u", *section_count);
        sections[(*section_count)++] = buf_str(snapshot_copy);
    }
    return 0;
}
