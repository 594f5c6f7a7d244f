/* What the API and the command line show: JSON from the store and from what is in memory. Thread:
 * any but the loop's. */
#include "engine/browse.h"
#include "engine/internal.h"
#include "engine/sse.h"

#include <unistd.h>

struct counts {
    struct dispatcher *dispatcher;
    const char *workflow;
    size_t running;
};

static void count_running(void *ctx)
{
    struct counts *counts = ctx;
    dispatcher_counts(counts->dispatcher, counts->workflow, &counts->running);
}

struct json *engine_status(struct engine *engine)
{
    struct store_stats stats;
    store_get_stats(engine->store, &stats);
    struct json *status = json_new_object();
    json_set_integer(status, "pid", getpid());
    json_set_integer(status, "started_ms", engine->started_ms);
    json_set_string(status, "ingest", engine->ingest_url);
    json_set_boolean(status, "accepting", atomic_load(&engine->is_accepting));
    struct json *store = json_set(status, "store", json_new_object());
    json_set_integer(store, "used_bytes", (int64_t)stats.used_bytes);
    json_set_integer(store, "quota_bytes", (int64_t)stats.quota_bytes);
    json_set_integer(store, "file_bytes", (int64_t)stats.file_bytes);
    json_set_integer(store, "events", (int64_t)stats.events);
    json_set_integer(store, "runs", (int64_t)stats.runs);
    json_set_integer(store, "queued", (int64_t)stats.queued);
    json_set_integer(store, "live", (int64_t)stats.live);
    json_set_integer(store, "commits", (int64_t)stats.commits);
    json_set_integer(store, "operations", (int64_t)stats.operations);
    json_set_boolean(store, "full", stats.is_full);
    (void)json_set(status, "plugins", hosts_report(engine->hosts));
    return status;
}

/* Files of which nothing is deployed, because they have errors. */
static void add_mistaken(struct json *list, const struct json *mistakes, struct project *project)
{
    for (const struct json *m = json_first(mistakes); m; m = json_next(m)) {
        struct str id = workflow_of_file(str_from(json_name(m)));
        if (!id.len || project_workflow(project, id))
            continue;
        struct json *item = json_append(list, json_new_object());
        json_set_str(item, "id", id);
        json_set_str(item, "name", id);
        json_set_string(item, "file", json_name(m));
        json_set_boolean(item, "active", false);
        json_set_integer(item, "steps", 0);
        json_set_integer(item, "running", 0);
        json_set_integer(item, "errors", json_get_i64(mistakes, json_name(m), 0));
    }
}

struct json *engine_workflows(struct engine *engine)
{
    struct json *list = json_new_array();
    struct project *project = engine_project(engine);
    struct store_view *view = NULL;
    int rc = store_view_begin(engine->store, &view, NULL);
    pthread_rwlock_rdlock(&engine->project_lock);
    struct json *mistakes = json_copy(engine->mistakes);
    pthread_rwlock_unlock(&engine->project_lock);
    for (size_t i = 0; i < project->workflow_count; i++) {
        const struct workflow *workflow = project->workflows[i];
        struct counts counts = {engine->dispatcher, workflow->id, 0};
        loop_call(engine->loop, count_running, &counts);
        struct json *item = json_append(list, json_new_object());
        json_set_string(item, "id", workflow->id);
        json_set_string(item, "name", workflow->name);
        json_set_string(item, "file", workflow->file);
        json_set_boolean(item, "active", !workflow->inactive);
        json_set_string(item, "version", workflow->sha256);
        json_set_integer(item, "steps", (int64_t)workflow->step_count);
        if (rc == 0)
            json_set_integer(item, "queued",
                             (int64_t)queue_count(STORE_VIEW(view), str_from(workflow->id)));
        json_set_integer(item, "running", (int64_t)counts.running);
        json_set_integer(item, "errors", json_get_i64(mistakes, workflow->file, 0));
    }
    add_mistaken(list, mistakes, project);
    json_free(mistakes);
    store_view_end(view);
    project_unref(project);
    return list;
}

static int by_id(const void *a, const void *b)
{
    return strcmp((*(struct instance *const *)a)->id, (*(struct instance *const *)b)->id);
}

/* References to all instances, by id; the caller unrefs each and frees the list. */
static struct instance **all_instances(struct engine *engine, size_t *ret_count)
{
    pthread_rwlock_rdlock(&engine->instances_lock);
    struct instance **list = xcalloc(engine->instances.count, sizeof(struct instance *));
    size_t at = 0, count = 0;
    for (const struct map_entry *e; (e = map_next(&engine->instances, &at));)
        list[count++] = source_instance_ref(e->value);
    pthread_rwlock_unlock(&engine->instances_lock);
    if (count)
        qsort(list, count, sizeof(struct instance *), by_id);
    *ret_count = count;
    return list;
}

struct json *engine_sources(struct engine *engine)
{
    size_t count = 0;
    struct instance **instances = all_instances(engine, &count);
    struct json *list = json_new_array();
    for (size_t i = 0; i < count; i++) {
        struct instance *instance = instances[i];
        char *url = instance_endpoint(engine, instance);
        pthread_mutex_lock(&instance->lock);
        struct json *item = json_append(list, json_new_object());
        json_set_string(item, "id", instance->id);
        json_set_string(item, "component",
                        instance->is_schedule ? "schedule"
                        : instance->is_native ? "http"
                                              : instance->component);
        json_set_string(item, "version", instance->version);
        json_set_string(item, "state", instance_state_name(instance->state));
        json_set_string(item, "error", instance->error);
        if ((instance->is_native && !instance->is_schedule) || instance->http_prop)
            json_set_string(item, "endpoint", url);
        struct json *subscribers = json_set(item, "workflows", json_new_array());
        for (size_t s = 0; s < instance->subscriber_count; s++)
            (void)json_append(subscribers, json_new_string_c(instance->subscribers[s].workflow));
        pthread_mutex_unlock(&instance->lock);
        free(url);
        source_instance_unref(instance);
    }
    free(instances);
    return list;
}

struct json *engine_endpoints(struct engine *engine)
{
    struct json *list = json_new_array();
    struct project *project = engine_project(engine);
    for (size_t w = 0; w < project->workflow_count; w++) {
        const struct workflow *workflow = project->workflows[w];
        for (size_t t = 0; t < workflow->trigger_count; t++) {
            const struct trigger *trigger = &workflow->triggers[t];
            char *own = xasprintf("workflows/%s/%s", workflow->id, trigger->namespace_);
            struct instance *instance =
                instance_by_id(engine, trigger->source ? trigger->source : own);
            free(own);
            if (!instance || instance->is_schedule ||
                (!instance->is_native && !instance->http_prop)) {
                source_instance_unref(instance);
                continue;
            }
            char *url = instance_endpoint(engine, instance);
            struct json *item = json_append(list, json_new_object());
            json_set_string(item, "workflow", workflow->id);
            json_set_string(item, "namespace", trigger->namespace_);
            json_set_string(item, "url", url);
            json_set_string(item, "source", instance->id);
            json_set_string(item, "state", instance_state_name(instance->state));
            json_set_string(item, "kind", instance->is_native ? "http" : "source");
            if (instance->http)
                json_set_string(item, "auth", http_trigger_auth_name(instance->http));
            free(url);
            source_instance_unref(instance);
        }
        if (workflow->is_sse_public) {
            char *url = sse_url(engine, workflow->id);
            struct json *item = json_append(list, json_new_object());
            json_set_string(item, "workflow", workflow->id);
            json_set_string(item, "namespace", "$.send.sse");
            json_set_string(item, "url", url);
            json_set_string(item, "state", workflow->inactive ? "inactive" : "active");
            json_set_string(item, "kind", "sse");
            free(url);
        }
    }
    project_unref(project);
    return list;
}

struct json *engine_components(struct engine *engine)
{
    struct catalog *catalog = engine_catalog(engine);
    struct json *list = json_new_array();
    for (size_t i = 0; i < catalog_component_count(catalog); i++) {
        const struct component_def *component = catalog_component_at(catalog, i);
        struct json *item = json_append(list, json_copy(component->json));
        json_set_string(item, "plugin", component->plugin->sha256);
        json_set_boolean(item, "installed", component->plugin->is_installed);
    }
    catalog_unref(catalog);
    return list;
}

int engine_component(struct engine *engine, const char *key, struct json **ret, struct err *err)
{
    struct catalog *catalog = engine_catalog(engine);
    const struct component_def *component = catalog_component(catalog, str_from(key), NULL);
    const char *nearest = component ? NULL : catalog_nearest(catalog, str_from(key));
    int rc = 0;
    if (component)
        *ret = json_copy(component->json);
    else
        rc = err_set(err, RN_ENOTFOUND, "there is no component \"%s\"%s%s%s", key,
                     nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : " (see `runnel components`)");
    catalog_unref(catalog);
    return rc;
}

/* ---- events */

static void set_id(struct json *item, const char *name, const char *prefix, uint64_t id)
{
    char text[ID_TEXT_MAX];
    id_format(prefix, id, text);
    json_set_string(item, name, text);
}

static void set_time(struct json *item, const char *name, int64_t ms)
{
    char text[CLOCK_TEXT_MAX];
    clock_format(ms, text);
    json_set_string(item, name, text);
}

struct json *report_event(const struct event_record *record, bool with_body)
{
    struct json *item = json_new_object();
    set_id(item, "id", "evt", record->id);
    set_time(item, "ts", record->ts);
    set_time(item, "received", record->received_ms);
    json_set_str(item, "source", record->emitter);
    if (record->emit_id.len)
        json_set_str(item, "emit_id", record->emit_id);
    if (record->name.len)
        json_set_str(item, "channel", record->name);
    json_set_str(item, "summary", record->summary);
    struct json *event = NULL;
    if (with_body && json_parse_own(record->event, &event, NULL) == 0)
        (void)json_set(item, "event", event);
    return item;
}

int report_read_id(const char *prefix, const char *before, uint64_t *ret, struct err *err)
{
    *ret = 0;
    if (before && id_parse(prefix, str_from(before), ret))
        return err_set(err, RN_EINVAL, "\"%s\" is no id of the form %s_…", before, prefix);
    return 0;
}

int engine_event(struct engine *engine, const char *text, struct json **ret, struct err *err)
{
    uint64_t id = 0;
    struct store_view *view = NULL;
    struct event_record record;
    if (id_parse("evt", str_from(text), &id))
        return err_set(err, RN_EINVAL, "\"%s\" is no event's id (evt_…)", text);
    int rc = store_view_begin(engine->store, &view, err);
    if (rc)
        return rc;
    rc = event_get(STORE_VIEW(view), id, &record);
    if (rc == 0)
        *ret = report_event(&record, true);
    store_view_end(view);
    return rc ? err_set(err, rc, "there is no event %s (any more)", text) : 0;
}

/* ---- runs */

struct json *report_run(const struct run_record *record)
{
    struct json *item = json_new_object(), *detail = NULL;
    if (json_parse_own(record->detail, &detail, NULL))
        detail = json_new_object();
    set_id(item, "id", "run", record->id);
    json_set_str(item, "workflow", record->workflow);
    json_set_str(item, "status", record->status);
    set_id(item, "event", "evt", record->event_id);
    set_time(item, "created", json_get_i64(detail, "created_ms", id_ms(record->id)));
    int64_t started = json_get_i64(detail, "started_ms", 0),
            ended = json_get_i64(detail, "ended_ms", 0);
    if (started)
        set_time(item, "started", started);
    if (ended) {
        set_time(item, "ended", ended);
        json_set_integer(item, "duration_ms", ended - started);
    }
    static const char *const kept[] = {"name",        "version",     "trigger", "replay_of",
                                       "replay_from", "parent",      "depth",   "key",
                                       "hops",        "exit_reason", "error",   "wake_ms"};
    for (size_t i = 0; i < COUNT_OF(kept); i++)
        if (json_get(detail, kept[i]))
            (void)json_set(item, kept[i], json_copy(json_get(detail, kept[i])));
    json_free(detail);
    return item;
}

struct json *report_queued(const struct queue_entry *entry)
{
    struct json *item = json_new_object();
    set_id(item, "id", "run", entry->run_id);
    json_set_str(item, "workflow", entry->workflow);
    json_set_string(item, "status", "queued");
    set_id(item, "event", "evt", entry->event_id);
    set_time(item, "created", id_ms(entry->run_id));
    struct json *detail = NULL;
    if (entry->detail.len && json_parse(entry->detail, &detail, NULL) == 0)
        json_set_string(item, "replay_of", json_get_c(detail, "replay_of"));
    json_free(detail);
    return item;
}

struct told_steps {
    struct json *list;
    bool is_live; /* the run has not ended */
};

/* A delay, suspend or rerun has done its part when it begins to wait; what it waits for has not
 * come. */
static bool still_waits(const struct json *result)
{
    return json_get(result, "wait") && !json_get(result, "resumed") &&
           json_get_i64(json_get(result, "wait"), "until_ms", INT64_MAX) > clock_now_ms();
}

static int each_step(void *ctx, const struct step_record *record)
{
    struct told_steps *told = ctx;
    struct json *intent = NULL, *result = NULL, *sends = NULL;
    struct json *item = json_append(told->list, json_new_object());
    if (json_parse_own(record->intent, &intent, NULL))
        intent = NULL;
    if (record->result.len == 0 || json_parse_own(record->result, &result, NULL))
        result = NULL;
    const char *namespace_ = json_get_c(intent, "namespace");
    json_set_string(item, "namespace", namespace_ ? namespace_ : json_get_c(result, "namespace"));
    json_set_string(item, "component", json_get_c(intent, "component"));
    json_set_integer(item, "position", record->position);
    json_set_integer(item, "attempt", record->attempt);
    const char *status = json_get_c(result, "status");
    json_set_string(item, "status",
                    !status                                ? "running"
                    : told->is_live && still_waits(result) ? "paused"
                                                           : status);
    int64_t started = json_get_i64(intent, "started_ms", json_get_i64(result, "started_ms", 0)),
            ended = json_get_i64(result, "ended_ms", 0);
    set_time(item, "started", started);
    if (ended)
        json_set_integer(item, "duration_ms", ended - started);
    static const char *const asked[] = {"path", "kind", "branch", "branches", "run", "replayed"};
    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        const struct json *value = json_get(intent, asked[i]);
        value = value ? value : json_get(result, asked[i]);
        if (value)
            (void)json_set(item, asked[i], json_copy(value));
    }
    static const char *const kept[] = {"exports", "files",   "error",      "logs",    "exit",
                                       "wait",    "resumed", "auto_tries", "retry_ms"};
    if (json_get(intent, "inputs"))
        (void)json_set(item, "inputs", json_copy(json_get(intent, "inputs")));
    json_set_string(item, "idempotency_key", json_get_c(intent, "idempotency_key"));
    for (size_t i = 0; i < COUNT_OF(kept); i++)
        if (json_get(result, kept[i]))
            (void)json_set(item, kept[i], json_copy(json_get(result, kept[i])));
    if (record->sends.len && json_parse_own(record->sends, &sends, NULL) == 0) {
        for (struct json *s = json_first_mut(sends); s; s = json_next_mut(s)) {
            json_remove(s, "sealed");
            json_remove(s, "path");
        }
        (void)json_set(item, "sends", sends);
    }
    json_free(intent);
    json_free(result);
    return 0;
}

/* Where each_outcome() is: outcomes come in the order of the steps and of their sends. */
struct outcomes {
    struct json *step, *send;
    uint32_t index; /* of the send */
};

/* What came of a send, into the step's list of them. */
static int each_outcome(void *ctx, const struct step_record *record, uint32_t index,
                        struct str text)
{
    struct outcomes *at = ctx;
    struct json *outcome = NULL;
    while (at->step && (json_get_i64(at->step, "position", 0) != record->position ||
                        json_get_i64(at->step, "attempt", 0) != record->attempt)) {
        at->step = json_next_mut(at->step);
        at->send = NULL;
    }
    if (!at->send) {
        at->send = json_first_mut(json_get_mut(at->step, "sends"));
        at->index = 0;
    }
    for (; at->send && at->index < index; at->index++)
        at->send = json_next_mut(at->send);
    if (!at->send || json_parse_own(text, &outcome, NULL))
        return 0;
    for (const struct json *m = json_first(outcome); m; m = json_next(m))
        (void)json_set(at->send, json_name(m), json_copy(m));
    json_free(outcome);
    return 0;
}

struct find_queued {
    uint64_t run_id;
    struct json *found;
    struct store_view *view;
};

static int each_queue_find(void *ctx, struct str workflow)
{
    struct find_queued *find = ctx;
    struct queue_entry entry;
    if (queue_get(STORE_VIEW(find->view), workflow, find->run_id, &entry))
        return 0;
    find->found = report_queued(&entry);
    return 1;
}

int engine_run_detail(struct engine *engine, const char *text, struct json **ret, struct err *err)
{
    uint64_t id = 0;
    struct store_view *view = NULL;
    struct run_record record;
    if (id_parse("run", str_from(text), &id))
        return err_set(err, RN_EINVAL, "\"%s\" is no run's id (run_…)", text);
    int rc = store_view_begin(engine->store, &view, err);
    if (rc)
        return rc;
    rc = run_get(STORE_VIEW(view), id, &record);
    if (rc == 0) {
        struct json *run = report_run(&record);
        struct event_record event;
        if (event_get(STORE_VIEW(view), record.event_id, &event) == 0)
            (void)json_set(run, "trigger_event", report_event(&event, true));
        struct told_steps told = {.list = json_set(run, "steps", json_new_array()),
                                  .is_live = !json_get(run, "ended")};
        rc = step_each(STORE_VIEW(view), id, each_step, &told);
        struct outcomes at = {.step = json_first_mut(told.list)};
        rc = rc ? rc : step_each_outcome(STORE_VIEW(view), id, each_outcome, &at);
        *ret = run;
    } else if (rc == RN_ENOTFOUND) {
        struct find_queued find = {id, NULL, view};
        (void)queue_workflows(STORE_VIEW(view), each_queue_find, &find);
        if (find.found) {
            *ret = find.found;
            rc = 0;
        }
    }
    store_view_end(view);
    return rc ? err_set(err, rc, "there is no run %s (any more)", text) : 0;
}

/* ---- logs */

struct log_list {
    struct json *list;
    const char *what;
};

static void add_lines(struct json *list, const struct json *lines, const char *name,
                      const char *value, const char *step)
{
    for (const struct json *l = json_first(lines); l; l = json_next(l)) {
        struct json *line = json_append(list, json_copy(l));
        json_set_string(line, name, value);
        json_set_string(line, "step", step);
    }
}

static int each_source_log(void *ctx, struct str key, struct str value)
{
    struct log_list *logs = ctx;
    struct json *line = NULL;
    struct str id = STR_NONE;
    (void)str_cut(&key, '\x01', &id);
    if ((logs->what && !str_eq_c(id, logs->what)) || json_parse_own(value, &line, NULL))
        return 0;
    json_set_str(line, "source", id);
    (void)json_append(logs->list, line);
    return 0;
}

/* What came of the deliveries, as lines of the step's log. */
static void add_send_lines(struct json *list, const struct json *sends, const char *run,
                           const char *step)
{
    for (const struct json *s = json_first(sends); s; s = json_next(s)) {
        const char *kind = json_get_c(s, "kind"), *error = json_get_c(s, "error"),
                   *url = json_get_c(s, "url");
        if (!json_get(s, "done_ms") && !error)
            continue;
        bool is_sent = str_eq_c(json_get_text(s, "state"), "sent");
        struct json *line = json_append(list, json_new_object());
        char *text = xasprintf("$.send.%s %s%s%s%s%s", kind, json_get_c(s, "state"), url ? " " : "",
                               url ? url : "", error ? ": " : "", error ? error : "");
        json_set_integer(line, "ts", json_get_i64(s, "done_ms", 0));
        json_set_string(line, "level", is_sent ? "info" : "warn");
        json_set_string(line, "text", text);
        json_set_string(line, "run", run);
        json_set_string(line, "step", step);
        free(text);
    }
}

static void run_logs(struct engine *engine, const char *id, struct json *list)
{
    struct json *run = NULL;
    if (engine_run_detail(engine, id, &run, NULL))
        return;
    for (const struct json *s = json_first(json_get(run, "steps")); s; s = json_next(s)) {
        add_lines(list, json_get(s, "logs"), "run", id, json_get_c(s, "namespace"));
        add_send_lines(list, json_get(s, "sends"), id, json_get_c(s, "namespace"));
    }
    json_free(run);
}

static int by_time(const void *a, const void *b)
{
    int64_t left = json_get_i64(*(struct json *const *)a, "ts", 0),
            right = json_get_i64(*(struct json *const *)b, "ts", 0);
    return left < right ? -1 : left > right;
}

/* The newest `limit` lines, oldest first. Takes `list`. */
static struct json *sorted(struct json *list, size_t limit)
{
    size_t count = 0, total = json_count(list);
    struct json **lines = xcalloc(total, sizeof(struct json *));
    for (struct json *l; (l = json_take_first(list));)
        lines[count++] = l;
    if (count)
        qsort(lines, count, sizeof(struct json *), by_time);
    for (size_t i = 0; i < count; i++) {
        if (count - i > limit)
            json_free(lines[i]);
        else
            (void)json_append(list, lines[i]);
    }
    free(lines);
    return list;
}

int engine_logs(struct engine *engine, const char *what, size_t limit, struct json **ret,
                struct err *err)
{
    struct log_list logs = {json_new_array(), what};
    struct store_view *view = NULL;
    if (what && str_starts(str_from(what), "run_")) {
        run_logs(engine, what, logs.list);
    } else {
        int rc = store_view_begin(engine->store, &view, err);
        if (rc) {
            json_free(logs.list);
            return rc;
        }
        (void)kv_each(STORE_VIEW(view), SPACE_SOURCE_LOGS, each_source_log, &logs);
        store_view_end(view);
        struct json *runs = NULL;
        struct engine_query newest = {.limit = 100};
        if (!what && engine_runs(engine, &newest, &runs, NULL) == 0)
            for (const struct json *r = json_first(json_get(runs, "data")); r; r = json_next(r))
                run_logs(engine, json_get_c(r, "id"), logs.list);
        json_free(runs);
    }
    *ret = sorted(logs.list, limit);
    return 0;
}
