#include "engine/metrics.h"

#include "engine/browse.h"
#include "engine/internal.h"
#include "engine/sends.h"

enum { COMPONENTS_MAX = 200, BUCKETS = 12, REASONS_MAX = 32 };

/* Upper bounds in ms; the last bucket is everything. */
static const int64_t bounds_ms[BUCKETS - 1] = {1, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30000};
static const char *const statuses[] = {"succeeded", "failed", "cancelled"};
static const char *const send_kinds[] = {"http", "email", "emit", "sse"};
static const char *const send_states[] = {"sent", "retrying", "failed", "refused"};

struct component_steps {
    char name[128];
    uint64_t buckets[BUCKETS];
    uint64_t sum_ms, failures;
};

struct reason {
    char word[32];
    int status;
    uint64_t count;
};

struct metrics {
    atomic_ullong accepted, refused;
    atomic_ullong runs[COUNT_OF(statuses)];
    atomic_ullong sends[COUNT_OF(send_kinds)][COUNT_OF(send_states)];
    pthread_mutex_t lock; /* guards: */
    struct component_steps *components;
    size_t component_count;
    struct reason reasons[REASONS_MAX];
    size_t reason_count;
};

struct metrics *metrics_new(void)
{
    struct metrics *metrics = xcalloc(1, sizeof(*metrics));
    pthread_mutex_init(&metrics->lock, NULL);
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    pthread_mutex_destroy(&metrics->lock);
    free(metrics->components);
    free(metrics);
}

static struct component_steps *component_of(struct metrics *metrics, const char *name)
{
    for (size_t i = 0; i < metrics->component_count; i++)
        if (strcmp(metrics->components[i].name, name) == 0)
            return &metrics->components[i];
    if (metrics->component_count >= COMPONENTS_MAX && strcmp(name, "other") != 0)
        return component_of(metrics, "other");
    metrics->components = xrealloc(metrics->components,
                                   (metrics->component_count + 1) * sizeof(*metrics->components));
    struct component_steps *steps = &metrics->components[metrics->component_count++];
    *steps = (struct component_steps){0};
    (void)snprintf(steps->name, sizeof(steps->name), "%s", name);
    return steps;
}

void metrics_step(struct metrics *metrics, const char *component, const char *status, int64_t ms)
{
    size_t bucket = 0;
    while (bucket < BUCKETS - 1 && ms > bounds_ms[bucket])
        bucket++;
    pthread_mutex_lock(&metrics->lock);
    struct component_steps *steps = component_of(metrics, component ? component : "none");
    steps->buckets[bucket]++;
    steps->sum_ms += ms > 0 ? (uint64_t)ms : 0;
    steps->failures += strcmp(status, "succeeded") != 0;
    pthread_mutex_unlock(&metrics->lock);
}

void metrics_run_ended(struct metrics *metrics, const char *status)
{
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        if (strcmp(status, statuses[i]) == 0)
            atomic_fetch_add(&metrics->runs[i], 1);
}

void metrics_send(struct metrics *metrics, const char *kind, const char *state)
{
    for (size_t k = 0; k < COUNT_OF(send_kinds); k++)
        for (size_t s = 0; s < COUNT_OF(send_states); s++)
            if (strcmp(kind, send_kinds[k]) == 0 && strcmp(state, send_states[s]) == 0)
                atomic_fetch_add(&metrics->sends[k][s], 1);
}

void engine_count_answer(struct engine *engine, int status, const char *reason)
{
    struct metrics *metrics = engine->metrics;
    if (status >= 200 && status < 300) {
        atomic_fetch_add(&metrics->accepted, 1);
        return;
    }
    const char *word = reason ? reason : "source";
    atomic_fetch_add(&metrics->refused, 1);
    pthread_mutex_lock(&metrics->lock);
    size_t i = 0;
    while (i < metrics->reason_count &&
           (metrics->reasons[i].status != status || strcmp(metrics->reasons[i].word, word) != 0))
        i++;
    if (i == metrics->reason_count && i < REASONS_MAX) {
        metrics->reasons[i].status = status;
        (void)snprintf(metrics->reasons[i].word, sizeof(metrics->reasons[i].word), "%s", word);
        metrics->reason_count++;
    }
    if (i < REASONS_MAX)
        metrics->reasons[i].count++;
    pthread_mutex_unlock(&metrics->lock);
}

/* ---- as text */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(struct buf *out, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    head(out, name, type, help);
    buf_addf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void write_requests(struct buf *out, struct metrics *metrics)
{
    single(out, "runnel_ingest_accepted_total", "counter",
           "Requests of endpoints, resume and cancel URLs answered with 2xx: what they brought is "
           "on disk.",
           atomic_load(&metrics->accepted));
    head(out, "runnel_ingest_refused_total", "counter",
         "Requests that were not accepted, by status and reason (\"source\": the source's own "
         "answer; "
         "\"resume\": a resume or cancel URL; \"listener\": refused before it was read).");
    pthread_mutex_lock(&metrics->lock);
    for (size_t i = 0; i < metrics->reason_count; i++)
        buf_addf(out, "runnel_ingest_refused_total{status=\"%d\",reason=\"%s\"} %llu\n",
                 metrics->reasons[i].status, metrics->reasons[i].word,
                 (unsigned long long)metrics->reasons[i].count);
    pthread_mutex_unlock(&metrics->lock);
}

static void write_steps(struct buf *out, struct metrics *metrics)
{
    head(out, "runnel_step_duration_seconds", "histogram",
         "How long attempts of steps took, by component.");
    pthread_mutex_lock(&metrics->lock);
    for (size_t i = 0; i < metrics->component_count; i++) {
        const struct component_steps *steps = &metrics->components[i];
        uint64_t sum = 0;
        for (size_t b = 0; b < BUCKETS; b++) {
            sum += steps->buckets[b];
            buf_addf(out, "runnel_step_duration_seconds_bucket{component=\"%s\",le=\"",
                     steps->name);
            if (b < BUCKETS - 1)
                buf_addf(out, "%g", (double)bounds_ms[b] / 1000);
            else
                buf_add_c(out, "+Inf");
            buf_addf(out, "\"} %llu\n", (unsigned long long)sum);
        }
        buf_addf(out,
                 "runnel_step_duration_seconds_sum{component=\"%s\"} %.3f\n"
                 "runnel_step_duration_seconds_count{component=\"%s\"} %llu\n",
                 steps->name, (double)steps->sum_ms / 1000, steps->name, (unsigned long long)sum);
    }
    head(out, "runnel_step_failures_total", "counter",
         "Attempts of steps that did not succeed, by component.");
    for (size_t i = 0; i < metrics->component_count; i++)
        buf_addf(out, "runnel_step_failures_total{component=\"%s\"} %llu\n",
                 metrics->components[i].name, (unsigned long long)metrics->components[i].failures);
    pthread_mutex_unlock(&metrics->lock);
}

struct queue_ages {
    struct buf *out;
    struct store_view *view;
    int64_t now_ms;
    struct str workflow;
};

static int each_oldest(void *ctx, const struct queue_entry *entry)
{
    const struct queue_ages *ages = ctx;
    int64_t age = ages->now_ms - id_ms(entry->run_id);
    buf_addf(ages->out, "runnel_queue_age_seconds{workflow=\"" STR_FMT "\"} %.3f\n",
             STR_ARG(entry->workflow), (double)(age > 0 ? age : 0) / 1000);
    return 0;
}

static int each_age(void *ctx, struct str workflow)
{
    struct queue_ages *ages = ctx;
    return queue_each(STORE_VIEW(ages->view), workflow, 0, 1, each_oldest, ages);
}

static int each_depth(void *ctx, struct str workflow)
{
    struct queue_ages *ages = ctx;
    buf_addf(ages->out, "runnel_queue_depth{workflow=\"" STR_FMT "\"} %llu\n", STR_ARG(workflow),
             (unsigned long long)queue_count(STORE_VIEW(ages->view), workflow));
    return 0;
}

static void write_queues(struct engine *engine, struct buf *out)
{
    struct queue_ages ages = {.out = out, .now_ms = clock_now_ms()};
    head(out, "runnel_queue_depth", "gauge", "Events that wait for a workflow.");
    if (store_view_begin(engine->store, &ages.view, NULL))
        return;
    (void)queue_workflows(STORE_VIEW(ages.view), each_depth, &ages);
    head(out, "runnel_queue_age_seconds", "gauge", "How long the oldest of them has waited.");
    (void)queue_workflows(STORE_VIEW(ages.view), each_age, &ages);
    store_view_end(ages.view);
}

struct places {
    struct dispatcher *dispatcher;
    size_t count;
};

static void count_places(void *ctx)
{
    struct places *places = ctx;
    places->count = dispatcher_places(places->dispatcher);
}

static void write_runs(struct engine *engine, const struct store_stats *stats, struct buf *out)
{
    struct places places = {.dispatcher = engine->dispatcher};
    loop_call(engine->loop, count_places, &places);
    uint64_t running = places.count < stats->live ? places.count : stats->live;
    head(out, "runnel_runs", "gauge",
         "Runs that have not ended: queued, running (they hold a place, between retries, too), "
         "paused (delay, suspend, rerun).");
    buf_addf(out, "runnel_runs{state=\"queued\"} %llu\n", (unsigned long long)stats->queued);
    buf_addf(out, "runnel_runs{state=\"running\"} %llu\n", (unsigned long long)running);
    buf_addf(out, "runnel_runs{state=\"paused\"} %llu\n",
             (unsigned long long)(stats->live - running));
    head(out, "runnel_runs_ended_total", "counter", "Runs that ended since start, by outcome.");
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        buf_addf(out, "runnel_runs_ended_total{status=\"%s\"} %llu\n", statuses[i],
                 (unsigned long long)atomic_load(&engine->metrics->runs[i]));
}

static int count_entry(void *ctx, struct str key, struct str value)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)ctx;
    return 0;
}

static void write_sends(struct engine *engine, struct buf *out)
{
    struct store_view *view = NULL;
    uint64_t waiting = 0;
    head(out, "runnel_sends_total", "counter",
         "What runs sent ($.send) since start, by kind and state (\"retrying\": a try that "
         "failed).");
    for (size_t k = 0; k < COUNT_OF(send_kinds); k++)
        for (size_t s = 0; s < COUNT_OF(send_states); s++)
            buf_addf(out, "runnel_sends_total{kind=\"%s\",state=\"%s\"} %llu\n", send_kinds[k],
                     send_states[s],
                     (unsigned long long)atomic_load(&engine->metrics->sends[k][s]));
    if (store_view_begin(engine->store, &view, NULL) == 0)
        (void)kv_each(STORE_VIEW(view), SPACE_OUTBOX, count_entry, &waiting);
    store_view_end(view);
    single(out, "runnel_sends_waiting", "gauge", "Requests and mail that are to be delivered.",
           waiting);
}

static void write_plugins(struct engine *engine, struct buf *out)
{
    struct json *plugins = hosts_report(engine->hosts);
    static const struct {
        const char *name, *member, *help;
    } counters[] = {
        {"runnel_plugin_starts_total", "starts",
         "Starts of a plugin's process (memory: of workflows with settings.memory, else 0)."},
        {"runnel_plugin_crashes_total", "crashes", "Ends of it that nobody asked for."},
    };
    for (size_t i = 0; i < COUNT_OF(counters); i++) {
        head(out, counters[i].name, "counter", counters[i].help);
        for (const struct json *p = json_first(plugins); p; p = json_next(p))
            buf_addf(out, "%s{plugin=\"%s\",build=\"%.12s\",memory=\"%lld\"} %lld\n",
                     counters[i].name, json_get_c(p, "plugin"), json_get_c(p, "sha256"),
                     (long long)json_get_i64(p, "memory", 0),
                     (long long)json_get_i64(p, counters[i].member, 0));
    }
    json_free(plugins);
}

static void write_store(const struct store_stats *stats, struct buf *out)
{
    single(out, "runnel_store_bytes", "gauge", "Bytes that records occupy.", stats->used_bytes);
    single(out, "runnel_store_quota_bytes", "gauge", "At this many new events are refused.",
           stats->quota_bytes);
    single(out, "runnel_store_file_bytes", "gauge", "Size of the store's file.", stats->file_bytes);
    single(out, "runnel_store_full", "gauge", "1 while new events are refused for want of room.",
           stats->is_full);
    single(out, "runnel_store_operations_total", "counter",
           "Operations committed; divided by the commits: the size of a batch.", stats->operations);
    single(out, "runnel_store_pending_operations", "gauge", "Operations that wait for a commit.",
           stats->pending);
    head(out, "runnel_store_commit_seconds", "histogram", "How long commits (with fsync) took.");
    uint64_t sum = 0;
    for (size_t i = 0; i < STORE_COMMIT_BUCKETS; i++) {
        sum += stats->commit_buckets[i];
        buf_add_c(out, "runnel_store_commit_seconds_bucket{le=\"");
        if (i < STORE_COMMIT_BUCKETS - 1)
            buf_addf(out, "%g", (double)store_commit_bounds_us[i] / 1e6);
        else
            buf_add_c(out, "+Inf");
        buf_addf(out, "\"} %llu\n", (unsigned long long)sum);
    }
    buf_addf(out, "runnel_store_commit_seconds_sum %.6f\nrunnel_store_commit_seconds_count %llu\n",
             (double)stats->commit_us / 1e6, (unsigned long long)sum);
}

void engine_metrics(struct engine *engine, struct buf *out)
{
    struct store_stats stats;
    store_get_stats(engine->store, &stats);
    write_requests(out, engine->metrics);
    write_queues(engine, out);
    write_runs(engine, &stats, out);
    write_steps(out, engine->metrics);
    write_sends(engine, out);
    write_plugins(engine, out);
    write_store(&stats, out);
    single(out, "runnel_start_time_seconds", "gauge", "When the runtime started (Unix time).",
           (uint64_t)engine->started_ms / 1000);
}

struct json *engine_totals(struct engine *engine)
{
    struct store_stats stats;
    struct json *totals = json_new_object();
    store_get_stats(engine->store, &stats);
    json_set_integer(totals, "ts", clock_now_ms());
    json_set_integer(totals, "accepted", (int64_t)atomic_load(&engine->metrics->accepted));
    json_set_integer(totals, "refused", (int64_t)atomic_load(&engine->metrics->refused));
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        json_set_integer(totals, statuses[i], (int64_t)atomic_load(&engine->metrics->runs[i]));
    json_set_integer(totals, "queued", (int64_t)stats.queued);
    json_set_integer(totals, "live", (int64_t)stats.live);
    json_set_integer(totals, "events", (int64_t)stats.events);
    json_set_integer(totals, "used_bytes", (int64_t)stats.used_bytes);
    return totals;
}

bool engine_is_ready(struct engine *engine, const char **ret_why)
{
    struct store_stats stats;
    store_get_stats(engine->store, &stats);
    *ret_why = !atomic_load(&engine->is_accepting) ? "the runtime is starting or stopping"
               : stats.has_failed ? "the store has failed: the runtime must be started again"
               : stats.is_full    ? "the store is full: new events are refused"
                                  : NULL;
    return *ret_why == NULL;
}
