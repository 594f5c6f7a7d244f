/* Opening, starting, reloading and stopping: the order in which the parts come and go. */
#include "engine/metrics.h"
#include "engine/respond.h"
#include "engine/sends.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STOP_POLL_MS = 20 };

struct project *engine_project(struct engine *engine)
{
    pthread_rwlock_rdlock(&engine->project_lock);
    struct project *project = project_ref(engine->project);
    pthread_rwlock_unlock(&engine->project_lock);
    return project;
}

struct catalog *engine_catalog(struct engine *engine)
{
    pthread_rwlock_rdlock(&engine->project_lock);
    struct catalog *catalog = engine->catalog ? catalog_ref(engine->catalog) : NULL;
    pthread_rwlock_unlock(&engine->project_lock);
    return catalog;
}

/* The host of a URL of our own may be connected to. */
static int allow_host(struct engine *engine, const char *to, struct err *err)
{
    struct str rest = str_from(to), host = STR_NONE;
    ptrdiff_t start = str_find(rest, "://", 0);
    if (start < 0)
        return 0;
    rest = str_n(rest.ptr + start + 3, rest.len - (size_t)start - 3);
    (void)str_cut(&rest, '/', &host);
    return egress_allow(engine->egress, host, err);
}

static int add_rewrite(struct engine *engine, const char *from, const char *to, bool allow,
                       struct err *err)
{
    int rc = egress_rewrite(engine->egress, str_from(from), str_from(to), err);
    return rc || !allow ? rc : allow_host(engine, to, err);
}

static int make_egress(struct engine *engine, struct err *err)
{
    const struct project *project = engine->project;
    engine->egress = egress_new();
    int rc = 0;
    if (engine->catch_all) {
        rc = egress_catch(engine->egress, str_from(engine->catch_all), err);
        return rc ? rc : allow_host(engine, engine->catch_all, err);
    }
    for (size_t i = 0; i < project->egress_allow_count && rc == 0; i++)
        rc = egress_allow(engine->egress, str_from(project->egress_allow[i]), err);
    for (size_t i = 0; i < project->rewrite_count && rc == 0; i++)
        rc = add_rewrite(engine, project->rewrites[i].from, project->rewrites[i].to, false, err);
    for (size_t i = 0; i < engine->rewrite_count && rc == 0; i++)
        rc = add_rewrite(engine, engine->rewrites[i].from, engine->rewrites[i].to, true, err);
    return rc || !engine->smtp_url ? rc : allow_host(engine, engine->smtp_url, err);
}

static int make_dir(const char *path, struct err *err)
{
    if (mkdir(path, 0700) && errno != EEXIST)
        return err_set(err, RN_EIO, "%s cannot be made: %s", path, strerror(errno));
    return 0;
}

static int load(struct engine *engine, struct catalog *catalog, struct project **ret,
                struct problems *problems, struct err *err)
{
    struct project_options options = {
        .dir = engine->dir,
        .data_dir = engine->data_dir,
        .catalog = catalog,
        .accounts = engine->accounts ? accounts_lookup : NULL,
        .accounts_ctx = engine->accounts,
    };
    return project_load(&options, ret, problems, err);
}

/* Whole batches of commits concern the loop: it is woken once for each. */
static void telling(void *ctx, bool begins)
{
    struct loop *loop = ctx;
    if (begins)
        loop_hold(loop);
    else
        loop_release(loop);
}

static int open_store(struct engine *engine, const struct project *project, struct err *err)
{
    struct store_options options = {
        .quota_bytes = project->limits.store,
        .history_bytes = project->limits.history_bytes,
        .history_age_ms = project->limits.history_age_ms,
        .telling = telling,
        .telling_ctx = engine->loop,
    };
    char *keys = xasprintf("%s/keys", engine->data_dir),
         *components = xasprintf("%s/components", engine->data_dir);
    int rc = make_dir(engine->data_dir, err);
    rc = rc ? rc : make_dir(keys, err);
    rc = rc ? rc : make_dir(components, err); /* there from the start, so that it can be watched */
    free(keys);
    free(components);
    return rc ? rc : store_open(engine->data_dir, &options, &engine->store, err);
}

int engine_seal_key(struct engine *engine, const struct seal_key **ret, struct err *err)
{
    int rc = 0;
    pthread_mutex_lock(&engine->seal_lock);
    if (!engine->seal_key) {
        char *path = xasprintf("%s/keys/seal.key", engine->data_dir);
        rc = seal_key_load(path, "RUNNEL_SEAL_KEY", &engine->seal_key, err);
        free(path);
    }
    *ret = engine->seal_key;
    pthread_mutex_unlock(&engine->seal_lock);
    return rc;
}

static int put_resume_key(struct store_tx *tx, void *ctx, struct err *err)
{
    struct engine *engine = ctx;
    return kv_put(tx, SPACE_RUNTIME, STR("resume-key"),
                  str_n(engine->resume_key, sizeof(engine->resume_key)), err);
}

/* The key lives as long as the store: URLs that were given out stay good over a restart. */
static int load_resume_key(struct engine *engine, struct err *err)
{
    struct store_view *view = NULL;
    struct str key;
    int rc = store_view_begin(engine->store, &view, err);
    if (rc)
        return rc;
    bool has_key = kv_get(STORE_VIEW(view), SPACE_RUNTIME, STR("resume-key"), &key) == 0 &&
                   key.len == sizeof(engine->resume_key);
    if (has_key)
        memcpy(engine->resume_key, key.ptr, key.len);
    store_view_end(view);
    if (has_key)
        return 0;
    random_bytes(engine->resume_key, sizeof(engine->resume_key));
    return store_run(engine->store, put_resume_key, engine, false, err);
}

/* For the lists: a file with errors is not among the project's workflows, or is there as it was. */
static void note_mistakes(struct engine *engine, const struct problems *problems)
{
    struct json *mistakes = json_new_object();
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *p = &problems->list[i];
        if (!p->is_warning)
            json_set_integer(mistakes, p->file, json_get_i64(mistakes, p->file, 0) + 1);
    }
    pthread_rwlock_wrlock(&engine->project_lock);
    struct json *old = engine->mistakes;
    engine->mistakes = mistakes;
    pthread_rwlock_unlock(&engine->project_lock);
    json_free(old);
}

/* The store has to be open before the workflow files are read in full, because it knows the sealed
 * accounts; and runnel.yaml says how large it may be. So runnel.yaml is read twice. */
static int open_parts(struct engine *engine, struct problems *problems, struct err *err)
{
    struct problems first = PROBLEMS_INIT;
    struct project *settings = NULL;
    int rc = load(engine, NULL, &settings, &first, err);
    problems_release(&first);
    if (rc)
        return rc;
    if (!engine->data_dir)
        engine->data_dir = xstrdup(settings->data_dir);
    engine->loop = loop_new();
    rc = open_store(engine, settings, err);
    rc = rc ? rc : load_resume_key(engine, err);
    project_unref(settings);
    rc = rc ? rc : catalog_open(NULL, engine->data_dir, &engine->catalog, err);
    if (rc)
        return rc;
    engine->accounts = accounts_new(engine);
    struct problems own = PROBLEMS_INIT;
    rc = load(engine, engine->catalog, &engine->project, problems ? problems : &own, err);
    note_mistakes(engine, problems ? problems : &own);
    if (rc == 0)
        versions_stand_in(engine, engine->catalog, engine->project, problems ? problems : &own);
    problems_release(&own);
    rc = rc ? rc : make_egress(engine, err);
    if (rc)
        return rc;
    engine->first = project_ref(engine->project);
    engine->client = http_client_new(engine->egress, "runnel");
    engine->files = files_new(engine->data_dir);
    engine->supervisor = supervisor_new(NULL);
    engine->hosts = hosts_new(engine, engine->project->limits.plugin_memory);
    engine->expressions = expr_engine_new(engine->supervisor);
    engine->metrics = metrics_new();
    engine->dispatcher = dispatcher_new(engine);
    engine->scheduler = scheduler_new(engine);
    engine->responders = responders_new();
    engine->outbox = outbox_new(engine);
    engine->sweeper = sweeper_new(engine);
    return deploy_load(engine, err);
}

int engine_open(const struct engine_options *options, struct engine **ret,
                struct problems *problems, struct err *err)
{
    struct engine *engine = xcalloc(1, sizeof(*engine));
    engine->dir = xstrdup(options->dir);
    engine->data_dir = options->data_dir ? xstrdup(options->data_dir) : NULL;
    engine->is_passive = options->is_passive;
    engine->mocks = options->mocks ? json_copy(options->mocks) : NULL;
    engine->catch_all = options->catch_all ? xstrdup(options->catch_all) : NULL;
    engine->calls_nothing = options->calls_nothing;
    engine->skips_waits = options->skips_waits;
    engine->holds_sends = options->holds_sends;
    engine->smtp_url = options->smtp_url ? xstrdup(options->smtp_url) : NULL;
    engine->started_ms = clock_now_ms();
    engine->rewrites = xcalloc(options->rewrite_count, sizeof(*engine->rewrites));
    engine->rewrite_count = options->rewrite_count;
    for (size_t i = 0; i < options->rewrite_count; i++)
        engine->rewrites[i] = (struct engine_rewrite){xstrdup(options->rewrites[i].from),
                                                      xstrdup(options->rewrites[i].to)};
    pthread_rwlock_init(&engine->project_lock, NULL);
    pthread_rwlock_init(&engine->instances_lock, NULL);
    pthread_mutex_init(&engine->deploy_lock, NULL);
    pthread_mutex_init(&engine->seal_lock, NULL);
    int rc = open_parts(engine, problems, err);
    if (rc) {
        engine_free(engine);
        return rc;
    }
    *ret = engine;
    return 0;
}

void engine_get_listen(const struct engine *engine, struct engine_listen *ret)
{
    const struct project *project =
        engine->project; /* before engine_start: nobody replaces it yet */
    *ret = (struct engine_listen){project->listen,  project->admin,   project->tls_certificate,
                                  project->tls_key, engine->data_dir, project->limits.body};
}

const char *engine_public_url(const struct engine *engine, const struct project *project)
{
    return project->public_url ? project->public_url : engine->ingest_url ? engine->ingest_url : "";
}

void engine_set_ingest_url(struct engine *engine, const char *url)
{
    engine->ingest_url = xstrdup(url);
}

static void recover(void *ctx)
{
    dispatcher_recover(ctx);
}

struct project_change {
    struct dispatcher *dispatcher;
    struct project *project;
};

static void change_project(void *ctx)
{
    struct project_change *change = ctx;
    dispatcher_set_project(change->dispatcher, change->project);
}

int engine_start(struct engine *engine, struct err *err)
{
    atomic_store(&engine->is_accepting, true);
    if (!engine->is_passive) {
        loop_call(engine->loop, recover, engine->dispatcher);
        loop_call(engine->loop, sweeper_start, engine->sweeper);
    }
    pthread_mutex_lock(&engine->deploy_lock);
    int rc = engine->is_passive ? 0 : deploy(engine, err);
    pthread_mutex_unlock(&engine->deploy_lock);
    struct project_change change = {engine->dispatcher, engine_project(engine)};
    if (rc == 0)
        loop_call(engine->loop, change_project, &change);
    project_unref(change.project);
    if (rc == 0 && !engine->is_passive)
        outbox_wake(engine->outbox, 0);
    return rc;
}

static void report_problems(const struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *p = &problems->list[i];
        log_warn("%s:%d:%d: %s", p->file, p->line, p->column, p->text);
    }
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_egress(const struct project *a, const struct project *b)
{
    bool same =
        a->egress_allow_count == b->egress_allow_count && a->rewrite_count == b->rewrite_count;
    for (size_t i = 0; same && i < a->egress_allow_count; i++)
        same = is_same(a->egress_allow[i], b->egress_allow[i]);
    for (size_t i = 0; same && i < a->rewrite_count; i++)
        same = is_same(a->rewrites[i].from, b->rewrites[i].from) &&
               is_same(a->rewrites[i].to, b->rewrites[i].to);
    return same;
}

/* What is read at the start only, and is another now: said, since nothing else shows it. */
static void tell_of_restart(const struct engine *engine)
{
    const struct project *a = engine->first, *b = engine->project;
    struct buf keys = BUF_INIT(KIB(1));
    const struct {
        const char *key;
        bool is_same;
    } list[] = {
        {"listen", is_same(a->listen, b->listen)},
        {"admin", is_same(a->admin, b->admin)},
        {"tls", is_same(a->tls_certificate, b->tls_certificate) && is_same(a->tls_key, b->tls_key)},
        {"limits", a->limits.body == b->limits.body && a->limits.store == b->limits.store &&
                       a->limits.history_bytes == b->limits.history_bytes &&
                       a->limits.history_age_ms == b->limits.history_age_ms &&
                       a->limits.plugin_memory == b->limits.plugin_memory},
        {"egress", is_same_egress(a, b)},
    };
    for (size_t i = 0; i < COUNT_OF(list); i++)
        if (!list[i].is_same)
            buf_addf(&keys, "%s%s", keys.len ? ", " : "", list[i].key);
    if (keys.len)
        log_warn("what runnel.yaml says now of %s holds from the next start on (runnel down, "
                 "runnel up)",
                 buf_c(&keys));
    buf_release(&keys);
}

int engine_reload(struct engine *engine, struct problems *problems, struct err *err)
{
    struct problems own = PROBLEMS_INIT;
    struct catalog *catalog = NULL;
    struct project *project = NULL;
    pthread_mutex_lock(&engine->deploy_lock);
    int rc = catalog_open(NULL, engine->data_dir, &catalog, err);
    if (rc == 0) { /* accounts are looked up in the new catalog already */
        pthread_rwlock_wrlock(&engine->project_lock);
        struct catalog *old = engine->catalog;
        engine->catalog = catalog;
        pthread_rwlock_unlock(&engine->project_lock);
        catalog_unref(old);
        rc = load(engine, catalog, &project, problems ? problems : &own, err);
    }
    if (rc == 0) {
        report_problems(&own);
        note_mistakes(engine, problems ? problems : &own);
        versions_stand_in(engine, catalog, project, problems ? problems : &own);
        pthread_rwlock_wrlock(&engine->project_lock);
        struct project *old = engine->project;
        engine->project = project;
        pthread_rwlock_unlock(&engine->project_lock);
        project_unref(old);
        tell_of_restart(engine);
        accounts_forget_file(engine->accounts);
        rc = engine->is_passive ? 0 : deploy(engine, err);
        struct project_change change = {engine->dispatcher, engine_project(engine)};
        loop_call(engine->loop, change_project, &change);
        project_unref(change.project);
    }
    pthread_mutex_unlock(&engine->deploy_lock);
    problems_release(&own);
    return rc;
}

static void stop_dispatch(void *ctx)
{
    struct engine *engine = ctx;
    if (engine->deploy_retry)
        (void)loop_cancel(engine->loop, engine->deploy_retry);
    engine->deploy_retry = 0;
    sweeper_stop(engine->sweeper);
    scheduler_stop(engine->scheduler);
    dispatcher_stop(engine->dispatcher);
}

struct count {
    struct dispatcher *dispatcher;
    size_t active;
};

static void count_active(void *ctx)
{
    struct count *count = ctx;
    count->active = dispatcher_active(count->dispatcher);
}

void engine_stop(struct engine *engine, int grace_ms)
{
    atomic_store(&engine->is_accepting, false);
    atomic_store(&engine->is_stopping, true);
    loop_call(engine->loop, stop_dispatch, engine);
    int64_t until = clock_mono_ms() + grace_ms;
    struct count count = {engine->dispatcher, 1};
    while (count.active && clock_mono_ms() < until) {
        loop_call(engine->loop, count_active, &count);
        count.active += scheduler_running(engine->scheduler);
        if (count.active)
            usleep(STOP_POLL_MS * 1000);
    }
    if (count.active)
        log_warn("%zu step%s still running; their outcome will be unknown after the next start",
                 count.active, count.active == 1 ? " is" : "s are");
    while (atomic_load(&engine->retries))
        usleep(STOP_POLL_MS * 1000);
    int64_t left_ms = until - clock_mono_ms();
    outbox_stop(engine->outbox, left_ms > 0 ? (int)left_ms : 0);
}

static void unref_instance(void *value)
{
    source_instance_unref(value);
}

static void end_dispatch(void *ctx)
{
    struct engine *engine = ctx;
    dispatcher_end(engine->dispatcher);
}

/* Senders first, then what they send to: hosts, loop, store. */
void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    atomic_store(&engine->is_stopping, true);
    if (engine->loop && engine->dispatcher)
        loop_call(engine->loop, end_dispatch, engine);
    outbox_free(engine->outbox);
    accounts_free(engine->accounts);
    expr_engine_free(engine->expressions);
    supervisor_free(engine->supervisor, 1000);
    while (engine->scheduler && scheduler_running(engine->scheduler))
        usleep(STOP_POLL_MS * 1000); /* their calls have failed: they are about to end */
    store_close(engine->store);
    loop_free(engine->loop);
    sweeper_free(engine->sweeper);
    scheduler_free(engine->scheduler);
    responders_free(engine->responders);
    dispatcher_free(engine->dispatcher);
    files_free(engine->files);
    hosts_free(engine->hosts);
    metrics_free(engine->metrics);
    http_client_free(engine->client);
    map_release(&engine->endpoints, NULL);
    map_release(&engine->instances, unref_instance);
    project_unref(engine->project);
    project_unref(engine->first);
    json_free(engine->mistakes);
    catalog_unref(engine->catalog);
    problems_release(&engine->file_problems);
    seal_key_free(engine->seal_key);
    egress_free(engine->egress);
    pthread_rwlock_destroy(&engine->project_lock);
    pthread_rwlock_destroy(&engine->instances_lock);
    pthread_mutex_destroy(&engine->deploy_lock);
    pthread_mutex_destroy(&engine->seal_lock);
    for (size_t i = 0; i < engine->rewrite_count; i++) {
        free((void *)(uintptr_t)engine->rewrites[i].from);
        free((void *)(uintptr_t)engine->rewrites[i].to);
    }
    free(engine->rewrites);
    json_free(engine->mocks);
    free(engine->catch_all);
    free(engine->smtp_url);
    free(engine->ingest_url);
    free(engine->dir);
    free(engine->data_dir);
    free(engine);
}
