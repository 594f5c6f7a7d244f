/* Reconciling the files with what is deployed: new → deploy, activate; changed → deactivate (old
 * code, old props), activate (new); gone → deactivate.
 *
 * What is deployed stands in the store (SPACE_INSTANCES), so that a restart knows it without asking
 * a vendor. A struct instance is made anew for each configuration and not changed afterwards, but
 * for its state, subscribers and versions. A file that is broken changes nothing: what was deployed
 * from it stays as it was. Thread: the caller's, under deploy_lock; the hooks of different sources
 * run side by side.
 */
#include "engine/deploy.h"
#include "base/encode.h"
#include "base/fault.h"
#include "crypto/hmac.h"
#include "engine/sse.h"

#include <unistd.h>

enum {
    DEPLOYS_AT_ONCE = 8,
    TIMER_DEFAULT_S = 900,
    RETRY_FIRST_MS = 5000,
    RETRY_LONGEST_MS = 300000,
};

/* One source as the files want it. */
struct wanted {
    struct engine *engine;
    struct catalog *catalog;
    const struct project *project;
    const struct source *source;
    struct json *props;
    char config[CRYPTO_HEX_MAX];
    int code; /* of its deploy */
};

/* ---- records */

struct record_write {
    const char *id;
    char *text; /* NULL: delete */
};

static int apply_record(struct store_tx *tx, void *ctx, struct err *err)
{
    const struct record_write *write = ctx;
    if (write->text)
        return kv_put(tx, SPACE_INSTANCES, str_from(write->id), str_from(write->text), err);
    char *space = xasprintf("db/%s", write->id);
    int rc = kv_delete(tx, SPACE_INSTANCES, str_from(write->id), err);
    rc = rc ? rc : kv_delete(tx, SPACE_DB_VERSION, str_from(write->id), err);
    rc = rc ? rc : kv_delete(tx, SPACE_SCHEDULES, str_from(write->id), err);
    rc = rc ? rc : kv_delete_space(tx, space, err);
    rc = rc ? rc : dedupe_forget(tx, str_from(write->id), err);
    free(space);
    return rc;
}

static int write_record(struct engine *engine, const char *id, const struct json *record,
                        struct err *err)
{
    struct record_write write = {id, record ? json_text(record, NULL) : NULL};
    int rc = store_run(engine->store, apply_record, &write, false, err);
    free(write.text);
    return rc;
}

/* Props may hold secrets: they are sealed in the record. */
static int seal_props(struct engine *engine, const char *id, const struct json *props,
                      struct json *record, struct err *err)
{
    struct buf sealed = BUF_INIT(MIB(8)), text = BUF_INIT(MIB(16));
    const struct seal_key *key = NULL;
    int rc = engine_seal_key(engine, &key, err);
    size_t size = 0;
    char *plain = json_text(props, &size);
    rc = rc ? rc : seal(key, str_n(plain, size), str_from(id), &sealed, err);
    if (rc == 0) {
        encode_base64(&text, sealed.ptr, sealed.len, false);
        json_set_str(record, "props", buf_str(&text));
    }
    mem_wipe(plain, size);
    free(plain);
    buf_release(&sealed);
    buf_release(&text);
    return rc;
}

static struct json *unseal_props(struct engine *engine, const char *id, const struct json *record,
                                 struct err *err)
{
    struct buf sealed = BUF_INIT(MIB(8)), plain = BUF_INIT(MIB(8));
    struct json *props = NULL;
    const struct seal_key *key = NULL;
    int rc = engine_seal_key(engine, &key, err);
    rc = rc ? rc : decode_base64(&sealed, json_get_text(record, "props"));
    rc = rc ? rc : unseal(key, buf_str(&sealed), str_from(id), &plain, err);
    if (rc == 0 && json_parse(buf_str(&plain), &props, err))
        props = NULL;
    if (plain.ptr)
        mem_wipe(plain.ptr, plain.len);
    buf_release(&sealed);
    buf_release(&plain);
    return props;
}

static struct json *record_of(const struct instance *instance)
{
    struct json *record = json_new_object();
    json_set_string(record, "key", instance->key);
    json_set_string(record, "state", instance_state_name(instance->state));
    json_set_string(record, "error", instance->error);
    json_set_string(record, "config", instance->config);
    json_set_string(record, "component", instance->component);
    json_set_string(record, "version", instance->version);
    json_set_string(record, "plugin", instance->plugin);
    json_set_string(record, "plugin_path", instance->plugin_path);
    json_set_boolean(record, "native", instance->is_native);
    json_set_boolean(record, "schedule", instance->is_schedule);
    return record;
}

int deploy_keep_record(struct engine *engine, struct instance *instance, struct err *err)
{
    pthread_mutex_lock(&instance->lock);
    struct json *record = record_of(instance);
    pthread_mutex_unlock(&instance->lock);
    int rc = instance->props ? seal_props(engine, instance->id, instance->props, record, err) : 0;
    rc = rc ? rc : write_record(engine, instance->id, record, err);
    json_free(record);
    return rc;
}

/* ---- instances */

void deploy_set_state(struct instance *instance, enum instance_state state, const char *error)
{
    pthread_mutex_lock(&instance->lock);
    instance->state = state;
    free(instance->error);
    instance->error = error ? xstrdup(error) : NULL;
    pthread_mutex_unlock(&instance->lock);
}

void deploy_publish(struct engine *engine, struct instance *instance)
{
    pthread_rwlock_wrlock(&engine->instances_lock);
    struct instance *old =
        map_put(&engine->instances, str_from(instance->id), source_instance_ref(instance));
    if (old)
        (void)map_remove(&engine->endpoints, str_from(old->key));
    (void)map_put(&engine->endpoints, str_from(instance->key), instance);
    pthread_rwlock_unlock(&engine->instances_lock);
    source_instance_unref(old);
}

static void withdraw(struct engine *engine, struct instance *instance)
{
    pthread_rwlock_wrlock(&engine->instances_lock);
    (void)map_remove(&engine->endpoints, str_from(instance->key));
    struct instance *old = map_remove(&engine->instances, str_from(instance->id));
    pthread_rwlock_unlock(&engine->instances_lock);
    source_instance_unref(old);
}

/* When the source's timer fires: as its prop says, as the component does where it is not set, or
 * every 15 minutes. */
static struct schedule *timer_schedule(const struct instance *instance, const struct prop_def *prop)
{
    const struct json *value = json_get(instance->props, prop->name), *where = NULL;
    struct json *otherwise = json_new_object();
    json_set_integer(otherwise, "intervalSeconds", TIMER_DEFAULT_S);
    struct schedule *schedule = NULL;
    struct err err = ERR_INIT;
    value = value ? value : prop->default_value ? prop->default_value : otherwise;
    if (schedule_parse(value, true, &schedule, &where, &err))
        log_error("source %s: its timer cannot be used: %s", instance->id, err.text);
    json_free(otherwise);
    return schedule;
}

static void fill_from_component(struct engine *engine, struct instance *instance,
                                const struct component_def *component)
{
    instance->dedupe = component->dedupe;
    instance->app_props = json_new_object();
    for (size_t i = 0; i < component->prop_count; i++) {
        const struct prop_def *prop = &component->props[i];
        if (prop->type == RN_HTTP_INTERFACE && !instance->http_prop) {
            instance->http_prop = xstrdup(prop->name);
            instance->has_custom_response = prop->flags & RN_CUSTOM_RESPONSE;
        } else if (prop->type == RN_TIMER_INTERFACE && !instance->schedule) {
            instance->schedule = timer_schedule(instance, prop);
        } else if (prop->type == RN_APP) {
            json_set_string(instance->app_props, prop->name,
                            json_get_c(json_get(instance->props, prop->name), "account"));
        }
    }
    instance->host = hosts_get(engine->hosts, component->plugin->name, instance->plugin_path,
                               instance->plugin, 0);
}

static uint64_t stored_db_version(struct engine *engine, const char *id)
{
    struct store_view *view = NULL;
    struct str text;
    uint64_t version = 0;
    if (store_view_begin(engine->store, &view, NULL) == 0 &&
        kv_get(STORE_VIEW(view), SPACE_DB_VERSION, str_from(id), &text) == 0)
        (void)!num_parse_u64(text, &version);
    store_view_end(view);
    return version;
}

static struct instance *instance_of_wanted(const struct wanted *wanted, const char *key)
{
    const struct component_def *component = wanted->source->use.component;
    struct instance *instance = source_instance_new(wanted->source->id, key, false);
    instance->config = xstrdup(wanted->config);
    instance->component = xstrdup(component->key);
    instance->version = xstrdup(component->version);
    instance->plugin = xstrdup(component->plugin->sha256);
    instance->plugin_path = xstrdup(component->plugin->path);
    instance->props = json_copy(wanted->props);
    instance->remember = wanted->source->remember;
    instance->db_version = stored_db_version(wanted->engine, instance->id);
    fill_from_component(wanted->engine, instance, component);
    return instance;
}

static enum instance_state state_from_name(const char *name)
{
    for (int s = INSTANCE_NEW; s <= INSTANCE_FAILED; s++)
        if (name && strcmp(name, instance_state_name(s)) == 0)
            return s;
    return INSTANCE_NEW;
}

/* An instance as the store has it; what its plugin lacks meanwhile shows when it is called. */
static struct instance *instance_of_record(struct engine *engine, struct catalog *catalog,
                                           const char *id, const struct json *record)
{
    const char *key = json_get_c(record, "key");
    if (!key)
        return NULL;
    struct instance *instance =
        source_instance_new(id, key, json_get_bool(record, "native", false));
    instance->state = state_from_name(json_get_c(record, "state"));
    if (json_get_c(record, "error"))
        instance->error = xstrdup(json_get_c(record, "error"));
    if (instance->is_native) {
        struct err why = ERR_INIT;
        instance->is_schedule = json_get_bool(record, "schedule", false);
        if (json_get_c(record, "props"))
            instance->props = unseal_props(engine, id, record, &why);
        if (json_get_c(record, "config"))
            instance->config = xstrdup(json_get_c(record, "config"));
        if (native_configure(instance, &why)) {
            log_warn("trigger %s: its record cannot be used: %s", id, why.text);
            instance->state = INSTANCE_FAILED;
        }
        return instance;
    }
    const char *component = json_get_c(record, "component"),
               *version = json_get_c(record, "version");
    const char *plugin = json_get_c(record, "plugin"), *path = json_get_c(record, "plugin_path"),
               *config = json_get_c(record, "config");
    struct err err = ERR_INIT;
    instance->props = component && version && plugin && path && config
                          ? unseal_props(engine, id, record, &err)
                          : NULL;
    if (!instance->props) {
        log_warn("source %s: its record cannot be used (%s); it is deployed anew", id, err.text);
        source_instance_unref(instance);
        return NULL;
    }
    instance->config = xstrdup(config);
    instance->component = xstrdup(component);
    instance->version = xstrdup(version);
    instance->plugin = xstrdup(plugin);
    instance->plugin_path = xstrdup(path);
    instance->remember = LIMIT_DEDUPE_IDS;
    instance->db_version = stored_db_version(engine, id);
    const struct component_def *def = catalog_component(catalog, str_from(component), version);
    if (def) {
        fill_from_component(engine, instance, def);
    } else {
        instance->app_props = json_new_object();
        instance->host = hosts_get(engine->hosts, component, path, plugin, 0);
    }
    return instance;
}

/* ---- hooks */

static int run_hook(struct engine *engine, struct instance *instance, const char *hook,
                    bool has_hook, struct err *err)
{
    return has_hook ? source_hook(engine, instance, hook, err) : 0;
}

static void fail(struct engine *engine, struct instance *instance, enum instance_state reached,
                 const char *hook, const struct err *err)
{
    char *text = xasprintf("%s failed: %s", hook, err->text);
    deploy_set_state(instance, reached, text);
    source_log(engine, instance->id, "error", text);
    log_error("source %s: %s", instance->id, text);
    free(text);
}

/* deploy (if it never ran), then activate. The instance is published before, because a vendor may
 * call the endpoint while it is being registered. */
static int bring_up(struct engine *engine, struct instance *instance,
                    const struct component_def *component, bool was_deployed)
{
    struct err err = ERR_INIT;
    deploy_publish(engine, instance);
    int rc = deploy_keep_record(engine, instance, &err);
    if (rc == 0 && !was_deployed) {
        rc = run_hook(engine, instance, "deploy", component->has_deploy, &err);
        if (rc)
            fail(engine, instance, INSTANCE_NEW, "deploy", &err);
    }
    if (rc == 0) {
        deploy_set_state(instance, INSTANCE_DEPLOYED, NULL);
        fault_point("deploy.before_activate");
        rc = run_hook(engine, instance, "activate", component->has_activate, &err);
        fault_point("deploy.after_activate");
        if (rc)
            fail(engine, instance, INSTANCE_DEPLOYED, "activate", &err);
    }
    if (rc == 0) {
        deploy_set_state(instance, INSTANCE_ACTIVE, NULL);
        log_info("source %s: active", instance->id);
    }
    struct err ignored = ERR_INIT;
    if (deploy_keep_record(engine, instance, &ignored))
        log_error("source %s: %s", instance->id, ignored.text);
    return rc;
}

static bool has_deactivate(struct catalog *catalog, const struct instance *instance)
{
    const struct component_def *def =
        catalog_component(catalog, str_from(instance->component), instance->version);
    return !def || def->has_deactivate;
}

/* Takes an instance off its vendor. A hook that fails is reported and does not keep the instance.
 */
static void bring_down(struct engine *engine, struct catalog *catalog, struct instance *instance)
{
    struct err err = ERR_INIT;
    if (instance->is_native)
        return;
    if (instance->state == INSTANCE_ACTIVE || instance->state == INSTANCE_DEPLOYED) {
        if (run_hook(engine, instance, "deactivate", has_deactivate(catalog, instance), &err)) {
            char *text = xasprintf(
                "deactivate failed; what it set up at the vendor may still be there: %s", err.text);
            source_log(engine, instance->id, "warn", text);
            log_warn("source %s: %s", instance->id, text);
            free(text);
        }
    }
    deploy_set_state(instance, INSTANCE_INACTIVE, NULL);
}

/* The workflows that a source feeds. */
static void give_subscribers(const struct project *project, struct instance *instance)
{
    struct subscriber *list = NULL;
    size_t count = 0;
    for (size_t w = 0; w < project->workflow_count; w++) {
        const struct workflow *workflow = project->workflows[w];
        for (size_t t = 0; t < workflow->trigger_count && !workflow->inactive; t++) {
            const struct trigger *trigger = &workflow->triggers[t];
            if (!trigger->source || strcmp(trigger->source, instance->id) != 0)
                continue;
            list = xrealloc(list, (count + 1) * sizeof(*list));
            list[count++] = (struct subscriber){xstrdup(workflow->id), xstrdup(trigger->namespace_),
                                                xstrdup(trigger->channel ? trigger->channel : ""),
                                                workflow->queue_size};
        }
    }
    instance_set_subscribers(instance, list, count);
}

static void deploy_source(struct wanted *wanted)
{
    struct engine *engine = wanted->engine;
    const struct source *source = wanted->source;
    struct instance *old = instance_by_id(engine, source->id);
    bool is_same =
        old && !old->is_native && old->config && strcmp(old->config, wanted->config) == 0;
    if (source->inactive) {
        if (old && old->state != INSTANCE_INACTIVE) {
            bring_down(engine, wanted->catalog, old);
            struct err err = ERR_INIT;
            if (deploy_keep_record(engine, old, &err))
                log_error("source %s: %s", old->id, err.text);
        }
    } else if (!is_same || old->state != INSTANCE_ACTIVE) {
        char key[DEPLOY_KEY_LENGTH + 1];
        random_key(key, DEPLOY_KEY_LENGTH);
        bool was_deployed = old && !old->is_native && old->state != INSTANCE_NEW;
        if (old && !is_same)
            bring_down(engine, wanted->catalog, old);
        struct instance *instance = instance_of_wanted(wanted, old ? old->key : key);
        /* before anybody can call it: what it accepts has to run */
        give_subscribers(wanted->project, instance);
        wanted->code = bring_up(engine, instance, source->use.component, was_deployed);
        source_instance_unref(instance);
    } else {
        pthread_mutex_lock(&old->lock);
        old->remember = source->remember;
        pthread_mutex_unlock(&old->lock);
    }
    source_instance_unref(old);
}

/* ---- what the files want */

struct resolve_wait {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_done;
    int code;
    struct json *value;
    struct err *err;
};

static void resolved(void *ctx, int code, struct expr_result *result,
                     const struct expr_where *where, const struct err *err)
{
    struct resolve_wait *wait = ctx;
    pthread_mutex_lock(&wait->lock);
    wait->code = code;
    if (code == 0) {
        wait->value = result->value;
        result->value = NULL;
        expr_result_release(result);
    } else {
        (void)err_set(wait->err, code, "%s: %s", where ? where->path : "props", err->text);
    }
    wait->is_done = true;
    pthread_cond_signal(&wait->cond);
    pthread_mutex_unlock(&wait->lock);
}

int deploy_resolve(struct engine *engine, const struct project *project, const struct json *env,
                   const struct expr_template *template, struct json **ret, struct err *err)
{
    struct json *steps = json_new_object(), *merged = project_env_with(project, env);
    struct expr_scope scope = {.steps = steps, .env = merged};
    struct expr_result result = {0};
    int rc = expr_resolve(template, &scope, &result, NULL, err);
    if (rc == RN_EAGAIN) {
        struct resolve_wait wait = {
            .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER, .err = err};
        expr_engine_resolve(engine->expressions, template, &scope, resolved, &wait);
        pthread_mutex_lock(&wait.lock);
        while (!wait.is_done)
            pthread_cond_wait(&wait.cond, &wait.lock);
        pthread_mutex_unlock(&wait.lock);
        rc = wait.code;
        *ret = wait.value;
    } else if (rc == 0) {
        *ret = result.value;
        result.value = NULL;
        expr_result_release(&result);
    }
    json_free(merged);
    json_free(steps);
    return rc;
}

static void hash_config(struct wanted *wanted)
{
    const struct component_def *component = wanted->source->use.component;
    struct buf text = BUF_INIT(MIB(16));
    buf_addf(&text, "%s@%s %s ", component->key, component->version, component->plugin->sha256);
    json_write(&text, wanted->props);
    /* The vendor was given our address: another one has to be told to it. */
    const struct project *project = wanted->project;
    const char *base = project->public_url ? project->public_url : wanted->engine->ingest_url;
    for (size_t i = 0; i < component->prop_count && base; i++)
        if (component->props[i].type == RN_HTTP_INTERFACE)
            buf_addf(&text, " %s", base);
    crypto_hash_hex(CRYPTO_SHA256, buf_str(&text), wanted->config);
    buf_release(&text);
}

/* Also of those whose own file has errors, and which are there from before. */
static void set_all_subscribers(struct engine *engine, const struct project *project)
{
    size_t at = 0;
    pthread_rwlock_rdlock(&engine->instances_lock);
    for (const struct map_entry *e; (e = map_next(&engine->instances, &at));)
        if (!((struct instance *)e->value)->is_native)
            give_subscribers(project, e->value);
    pthread_rwlock_unlock(&engine->instances_lock);
}

/* "workflows/x/trigger" or "sources/x" whose file is there but could not be used: what it deployed
 * before stays. */
static bool is_of_broken_file(const struct project *project, const char *id)
{
    struct str rest = str_from(id), kind, name;
    if (!str_cut(&rest, '/', &kind) || !str_cut(&rest, '/', &name))
        return false;
    const struct workflow *workflow =
        str_eq_c(kind, "workflows") ? project_workflow(project, name) : NULL;
    if (workflow && !workflow->is_kept)
        return false;
    if (str_eq_c(kind, "sources") && project_source(project, str_from(id)))
        return false;
    char *path =
        xasprintf("%s/" STR_FMT "/" STR_FMT ".yaml", project->dir, STR_ARG(kind), STR_ARG(name));
    bool exists = access(path, F_OK) == 0;
    free(path);
    return exists;
}

static void remove_gone(struct engine *engine, struct catalog *catalog,
                        const struct project *project)
{
    struct instance **gone = NULL;
    size_t count = 0, at = 0;
    pthread_rwlock_rdlock(&engine->instances_lock);
    for (const struct map_entry *e; (e = map_next(&engine->instances, &at));) {
        if (project_source(project, str_from(e->key)) || native_is_wanted(project, e->key) ||
            is_of_broken_file(project, e->key))
            continue;
        gone = xrealloc(gone, (count + 1) * sizeof(*gone));
        gone[count++] = source_instance_ref(e->value);
    }
    pthread_rwlock_unlock(&engine->instances_lock);
    for (size_t i = 0; i < count; i++) {
        struct err err = ERR_INIT;
        bring_down(engine, catalog, gone[i]);
        withdraw(engine, gone[i]);
        if (write_record(engine, gone[i]->id, NULL, &err))
            log_error("source %s: %s", gone[i]->id, err.text);
        else
            log_info("source %s: removed", gone[i]->id);
        source_instance_unref(gone[i]);
    }
    free(gone);
}

static void *deploy_thread(void *ctx)
{
    deploy_source(ctx);
    return NULL;
}

static int deploy_sources(struct engine *engine, struct catalog *catalog,
                          const struct project *project)
{
    struct wanted *list = xcalloc(project->source_count, sizeof(*list));
    int failures = 0;
    for (size_t first = 0; first < project->source_count; first += DEPLOYS_AT_ONCE) {
        pthread_t threads[DEPLOYS_AT_ONCE];
        bool is_started[DEPLOYS_AT_ONCE] = {false};
        for (size_t i = first; i < project->source_count && i < first + DEPLOYS_AT_ONCE; i++) {
            struct err err = ERR_INIT;
            list[i] = (struct wanted){.engine = engine,
                                      .catalog = catalog,
                                      .project = project,
                                      .source = project->sources[i]};
            list[i].code = deploy_resolve(engine, project, project->sources[i]->env,
                                          project->sources[i]->use.template, &list[i].props, &err);
            if (list[i].code) {
                log_error("source %s: %s", project->sources[i]->id, err.text);
                continue;
            }
            hash_config(&list[i]);
            is_started[i - first] =
                pthread_create(&threads[i - first], NULL, deploy_thread, &list[i]) == 0;
        }
        for (size_t i = first; i < project->source_count && i < first + DEPLOYS_AT_ONCE; i++)
            if (is_started[i - first])
                pthread_join(threads[i - first], NULL);
    }
    for (size_t i = 0; i < project->source_count; i++) {
        failures += list[i].code ? 1 : 0;
        json_free(list[i].props);
    }
    free(list);
    return failures;
}

static void load_record(struct engine *engine, struct catalog *catalog, const char *id,
                        struct str text)
{
    struct json *record = NULL;
    if (json_parse(text, &record, NULL))
        return;
    struct instance *instance = instance_of_record(engine, catalog, id, record);
    if (instance)
        deploy_publish(engine, instance);
    source_instance_unref(instance);
    json_free(record);
}

struct loaded {
    struct json *records;
};

static int each_record(void *ctx, struct str key, struct str value)
{
    char *name = str_dup(key);
    (void)json_add(((struct loaded *)ctx)->records, name, json_new_string(value));
    free(name);
    return 0;
}

int deploy_load(struct engine *engine, struct err *err)
{
    struct loaded loaded = {json_new_object()};
    struct store_view *view = NULL;
    int rc = store_view_begin(engine->store, &view, err);
    if (rc == 0)
        (void)kv_each(STORE_VIEW(view), SPACE_INSTANCES, each_record, &loaded);
    store_view_end(view);
    struct catalog *catalog = engine_catalog(engine);
    for (const struct json *r = json_first(loaded.records); r; r = json_next(r))
        load_record(engine, catalog, json_name(r), json_str(r));
    catalog_unref(catalog);
    json_free(loaded.records);
    return rc;
}

int deploy(struct engine *engine, struct err *err)
{
    struct project *project = engine_project(engine);
    struct catalog *catalog = engine_catalog(engine);
    int failures = 0;
    int rc = versions_keep(engine, project, err);
    if (rc == 0) {
        remove_gone(engine, catalog, project);
        set_all_subscribers(engine, project);
        failures = deploy_sources(engine, catalog, project);
        set_all_subscribers(engine, project);
        failures += native_deploy_all(engine, project);
        scheduler_set(engine);
        sse_forget_gone(engine, project);
    }
    catalog_unref(catalog);
    project_unref(project);
    if (failures)
        deploy_schedule_retry(engine);
    return rc;
}

/* ---- trying failed ones again */

static void *retry_main(void *ctx)
{
    struct engine *engine = ctx;
    struct err err = ERR_INIT;
    pthread_mutex_lock(&engine->deploy_lock);
    if (!atomic_load(&engine->is_stopping) && deploy(engine, &err))
        log_error("deploy: %s", err.text);
    pthread_mutex_unlock(&engine->deploy_lock);
    atomic_fetch_sub(&engine->retries, 1);
    return NULL;
}

static void retry_due(void *ctx)
{
    struct engine *engine = ctx;
    pthread_t thread;
    engine->deploy_retry = 0;
    atomic_fetch_add(&engine->retries, 1);
    if (pthread_create(&thread, NULL, retry_main, engine))
        atomic_fetch_sub(&engine->retries, 1);
    else
        pthread_detach(thread);
}

static void schedule(void *ctx)
{
    struct engine *engine = ctx;
    if (engine->deploy_retry || atomic_load(&engine->is_stopping))
        return;
    int64_t pause = RETRY_FIRST_MS << (engine->deploy_failures < 6 ? engine->deploy_failures : 6);
    engine->deploy_failures++;
    engine->deploy_retry = loop_timer(
        engine->loop, clock_now_ms() + (pause < RETRY_LONGEST_MS ? pause : RETRY_LONGEST_MS),
        retry_due, engine);
}

void deploy_schedule_retry(struct engine *engine)
{
    loop_post(engine->loop, schedule, engine);
}

int engine_deactivate_all(struct engine *engine, struct err *err)
{
    struct catalog *catalog = engine_catalog(engine);
    struct instance **list = NULL;
    size_t count = 0, at = 0;
    int rc = 0;
    pthread_mutex_lock(&engine->deploy_lock);
    pthread_rwlock_rdlock(&engine->instances_lock);
    for (const struct map_entry *e; (e = map_next(&engine->instances, &at));) {
        list = xrealloc(list, (count + 1) * sizeof(*list));
        list[count++] = source_instance_ref(e->value);
    }
    pthread_rwlock_unlock(&engine->instances_lock);
    for (size_t i = 0; i < count; i++) {
        bring_down(engine, catalog, list[i]);
        if (!list[i]->is_native && rc == 0)
            rc = deploy_keep_record(engine, list[i], err);
        source_instance_unref(list[i]);
    }
    pthread_mutex_unlock(&engine->deploy_lock);
    free(list);
    catalog_unref(catalog);
    return rc;
}
