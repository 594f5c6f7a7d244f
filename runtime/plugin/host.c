/* One call after the other: read, run, answer. Threads: plugin_host_handle() runs on many at once;
 * what they share is the plugin's tables (constant), the instances (locked) and the HTTP client
 * (made at first use, under a lock). */
#include "plugin/host.h"

#include "base/clock.h"
#include "base/limits.h"
#include "net/http_client.h"
#include "plugin/instance.h"
#include "plugin/result.h"
#include "plugin/run.h"

#include <pthread.h>
#include <time.h>

enum { INSTANCES_MAX = 4096, SLEEP_SLICE_MS = 25 };

struct plugin_host {
    struct plugin *plugin;
    struct instance_cache *instances;
    struct egress *egress;
    pthread_mutex_t client_lock; /* guards the making of `client` */
    struct http_client *_Atomic client;
};

/* One call and what it works with. */
struct handling {
    struct plugin_host *host;
    struct served_call *call;
    struct json *message; /* the frame's JSON */
    struct instance *instance;
    struct json *values[3]; /* parsed for this call, freed with it */
    size_t value_count;
};

/* --------------------------------------------------------------- services */

static struct http_client *client_of(struct plugin_host *host, struct err *err)
{
    struct http_client *client = atomic_load(&host->client);
    if (client)
        return client;
    (void)pthread_mutex_lock(&host->client_lock);
    client = atomic_load(&host->client);
    if (!client && http_client_global_init(err) == 0) {
        client = http_client_new(host->egress, "runnel");
        atomic_store(&host->client, client);
    }
    (void)pthread_mutex_unlock(&host->client_lock);
    return client;
}

static int host_fetch(void *ctx, const struct fetch_request *request,
                      struct fetch_response *response, struct err *err)
{
    struct handling *h = ctx;
    struct http_client *client = client_of(h->host, err);
    return client ? http_client_fetch(client, request, response, err) : err->code;
}

static int host_sleep(void *ctx, int64_t ms, const atomic_bool *cancelled)
{
    (void)ctx;
    int64_t end = clock_mono_ms() + ms;
    for (int64_t left = ms; left > 0; left = end - clock_mono_ms()) {
        if (atomic_load_explicit(cancelled, memory_order_relaxed))
            return RN_ECANCELED;
        int64_t slice = left < SLEEP_SLICE_MS ? left : SLEEP_SLICE_MS;
        struct timespec time = {.tv_sec = 0, .tv_nsec = (long)slice * 1000000};
        (void)nanosleep(&time, NULL);
    }
    return 0;
}

static void host_may_block(void *ctx)
{
    struct handling *h = ctx;
    frame_server_may_block(h->call);
}

static int host_ask(void *ctx, const struct json *request, const struct json *const *values,
                    size_t count, struct json **ret_answer, struct json **ret_value,
                    struct err *err)
{
    struct handling *h = ctx;
    struct answer_frame *frame = NULL;
    struct json *answer = NULL, *value = NULL;
    struct str sections[2] = {STR_NONE, STR_NONE};
    char *texts[2] = {NULL, NULL};
    size_t size = 0;
    for (size_t i = 0; i < count && i < COUNT_OF(sections); i++) {
        texts[i] = json_text(values[i], &size);
        sections[i] = str_n(texts[i], size);
    }
    char *text = json_text(request, &size);
    int code = frame_server_ask(h->call, str_n(text, size), sections, (uint32_t)count, &frame, err);
    free(text);
    free(texts[0]);
    free(texts[1]);
    if (!code)
        code = json_parse(frame->frame.json, &answer, err);
    const struct json *error = json_get(answer, "error");
    if (!code && error)
        code =
            err_set(err, err_from_name(json_get_c(error, "code") ? json_get_c(error, "code") : ""),
                    STR_FMT, STR_ARG(json_get_text(error, "text")));
    if (!code && frame->frame.section_count)
        code = json_parse_own(frame->frame.sections[0], &value, err);
    frame_server_answer_free(frame);
    if (code) {
        json_free(answer);
        return code;
    }
    *ret_answer = answer;
    *ret_value = value;
    return 0;
}

static void host_log(void *ctx, int32_t level, struct str text)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    struct handling *h = ctx;
    frame_server_log(h->call, names[level], text);
}

static const struct run_services services = {
    .fetch = host_fetch,
    .fetch_release = fetch_response_release,
    .retry_after_ms = fetch_retry_after_ms,
    .sleep = host_sleep,
    .may_block = host_may_block,
    .ask = host_ask,
    .log = host_log,
};

/* ------------------------------------------------------------------ inputs */

static int section_of(const struct handling *h, int64_t index, struct str *ret, struct err *err)
{
    const struct frame *frame = &h->call->frame;
    if (index < 0 || index >= (int64_t)frame->section_count)
        return err_set(err, RN_EPROTOCOL, "the call names section %lld and has %u",
                       (long long)index, frame->section_count);
    *ret = frame->sections[index];
    return 0;
}

static int json_section(struct handling *h, int64_t index, const struct json **ret, struct err *err)
{
    struct str text = STR_NONE;
    int code = section_of(h, index, &text, err);
    struct json *value = NULL;
    if (!code)
        code = json_parse(text, &value, err);
    if (code)
        return code;
    h->values[h->value_count++] = value;
    *ret = value;
    return 0;
}

static void begin(struct run *run, struct handling *h, enum run_op op)
{
    run_init(run, op, &services, h);
    run->cancelled = &h->call->cancelled;
    run->plugin = h->host->plugin;
    int64_t timeout = json_get_i64(h->message, "timeout_ms", LIMIT_STEP_MS);
    run->deadline_mono_ms = h->call->received_mono_ms + timeout;
}

static int find_component(struct run *run, struct handling *h, struct err *err)
{
    struct str key = json_get_text(h->message, "component");
    run->component = plugin_component(h->host->plugin, key);
    if (run->component)
        return 0;
    return err_set(err, RN_ENOTFOUND, "plugin %s has no component \"" STR_FMT "\"",
                   h->host->plugin->def.name, STR_ARG(key));
}

static int load_instance(struct run *run, struct handling *h, struct err *err)
{
    struct str id = json_get_text(h->message, "instance");
    int64_t version = json_get_i64(h->message, "version", 0);
    const struct json *snapshot = json_get(h->message, "snapshot");
    struct str text = STR_NONE;
    int64_t index = -1;
    int code = 0;
    if (snapshot) {
        code = json_to_i64(snapshot, &index) ? section_of(h, index, &text, err) : RN_EPROTOCOL;
        if (!code)
            code = instance_put(h->host->instances, id, version, text, &h->instance, err);
    } else {
        h->instance = instance_get(h->host->instances, id, version);
        if (!h->instance)
            code =
                err_set(err, RN_ECONFLICT, "version %lld of instance " STR_FMT " is not known here",
                        (long long)version, STR_ARG(id));
    }
    if (code)
        return code;
    run->props = h->instance->props;
    run->auth = h->instance->auth;
    run->endpoints = h->instance->endpoints;
    run->db = h->instance->db;
    return 0;
}

static int load_event(struct run *run, struct handling *h, struct err *err)
{
    int64_t index = 0;
    const struct json *event = json_get(h->message, "event");
    if (event)
        return json_to_i64(event, &index)
                   ? json_section(h, index, &run->event, err)
                   : err_set(err, RN_EPROTOCOL, "the call's event is no section's number");
    const struct json *request = json_get(h->message, "request");
    if (!request)
        return err_set(err, RN_EPROTOCOL, "the call has neither a request nor an event");
    const char *method = json_get_c(request, "method"), *path = json_get_c(request, "path");
    const char *url = json_get_c(request, "url"), *ip = json_get_c(request, "client_ip");
    run->request.method = method ? method : "";
    run->request.path = path ? path : "/";
    run->request.query = json_get_text(request, "query");
    run->request.headers = json_get(request, "headers");
    run->request.url = url ? url : "";
    run->request.client_ip = ip ? ip : "";
    return section_of(h, 0, &run->request.body, err);
}

/* --------------------------------------------------------------------- ops */

static int do_source_run(struct run *run, struct handling *h, struct err *err)
{
    begin(run, h, RUN_SOURCE);
    int code = find_component(run, h, err);
    if (!code && run->component->def.type != RN_SOURCE)
        code = err_set(err, RN_EINVAL, "%s is no source", run->component->def.key);
    if (!code)
        code = load_instance(run, h, err);
    if (!code)
        code = load_event(run, h, err);
    return code ? code : run_call(run, run->component->def.run, "run()");
}

static int do_hook(struct run *run, struct handling *h, struct err *err)
{
    begin(run, h, RUN_HOOK);
    int code = find_component(run, h, err);
    if (!code)
        code = load_instance(run, h, err);
    if (code)
        return code;
    struct str hook = json_get_text(h->message, "hook");
    const struct rn_component *def = &run->component->def;
    if (str_eq_c(hook, "deploy"))
        return def->deploy ? run_call(run, def->deploy, "deploy()") : 0;
    if (str_eq_c(hook, "activate"))
        return def->activate ? run_call(run, def->activate, "activate()") : 0;
    if (str_eq_c(hook, "deactivate"))
        return def->deactivate ? run_call(run, def->deactivate, "deactivate()") : 0;
    return err_set(err, RN_EPROTOCOL, "there is no hook \"" STR_FMT "\"", STR_ARG(hook));
}

/* What actions, options and additional props share: component, account, props in section 0. */
static int begin_with_props(struct run *run, struct handling *h, enum run_op op, struct err *err)
{
    begin(run, h, op);
    int code = find_component(run, h, err);
    if (!code)
        code = json_section(h, 0, &run->props, err);
    run->auth = json_get(h->message, "auth");
    return code;
}

static int do_action_run(struct run *run, struct handling *h, struct err *err)
{
    int code = begin_with_props(run, h, RUN_ACTION, err);
    if (!code && run->component->def.type != RN_ACTION)
        code = err_set(err, RN_EINVAL, "%s is no action", run->component->def.key);
    if (code)
        return code;
    const char *key = json_get_c(h->message, "idempotency_key");
    run->idempotency_key = key ? key : "";
    run->attempt = (uint32_t)json_get_i64(h->message, "attempt", 1);
    const char *resume_url = json_get_c(h->message, "resume_url");
    run->resume_url = resume_url ? resume_url : "";
    run->runs = (uint32_t)json_get_i64(h->message, "runs", 1);
    run->rerun = json_get(h->message, "rerun");
    const struct json *files = json_get(h->message, "files");
    run->files = json_get_c(files, "dir");
    run->files_limit = (uint64_t)json_get_i64(files, "limit", 0);
    run->began_ms = clock_now_ms();
    code = run_call(run, run->component->def.run, "run()");
    if (!code && run->files)
        code = folder_measure(run->files, run->files_limit, run->began_ms, &run->files_use, err);
    return code;
}

static int do_options(struct run *run, struct handling *h, struct err *err)
{
    int code = begin_with_props(run, h, RUN_OPTIONS, err);
    if (code)
        return code;
    const char *prop = json_get_c(h->message, "prop");
    int64_t page = json_get_i64(h->message, "page", 0);
    return run_call_options(run, prop ? prop : "", page < 0 ? 0 : (uint32_t)page,
                            json_get_c(h->message, "query"), json_get(h->message, "context"));
}

static int do_additional_props(struct run *run, struct handling *h, struct err *err)
{
    int code = begin_with_props(run, h, RUN_ADDITIONAL_PROPS, err);
    if (code)
        return code;
    const struct json *previous = json_get(h->message, "previous");
    if (!previous) {
        struct json *none = json_new_array();
        run_track(run, none);
        previous = none;
    }
    return run_call_additional_props(run, previous);
}

static int do_test(struct run *run, struct handling *h, struct err *err)
{
    begin(run, h, RUN_TEST);
    const char *slug = json_get_c(h->message, "app");
    const struct plugin_app *app = slug ? plugin_app(h->host->plugin, slug) : NULL;
    if (!app || !app->def.test)
        return err_set(err, RN_ENOTFOUND, "app \"%s\" %s", slug ? slug : "",
                       app ? "has no test of its accounts" : "is not in this plugin");
    run->auth = json_get(h->message, "auth");
    return run_call(run, app->def.test, "test()");
}

static int dispatch(struct run *run, struct handling *h, struct err *err)
{
    static const struct {
        const char *op;
        int (*handle)(struct run *run, struct handling *h, struct err *err);
    } ops[] = {
        {"source_run", do_source_run},
        {"action_run", do_action_run},
        {"hook", do_hook},
        {"options", do_options},
        {"additional_props", do_additional_props},
        {"test", do_test},
    };
    struct str op = json_get_text(h->message, "op");
    for (size_t i = 0; i < COUNT_OF(ops); i++)
        if (str_eq_c(op, ops[i].op))
            return ops[i].handle(run, h, err);
    begin(run, h, RUN_TEST);
    return err_set(err, RN_EPROTOCOL, "a plugin host does not know the call \"" STR_FMT "\"",
                   STR_ARG(op));
}

void plugin_host_handle(void *ctx, struct served_call *call)
{
    struct handling h = {.host = ctx, .call = call};
    struct run run;
    struct err err = ERR_INIT;
    int code = json_parse(call->frame.json, &h.message, &err);
    if (code)
        begin(&run, &h, RUN_TEST);
    else
        code = dispatch(&run, &h, &err);
    if (code && err.code)
        run.err = err; /* it failed before the component was called */
    result_send(&run, code, call);
    run_release(&run);
    for (size_t i = 0; i < h.value_count; i++)
        json_free(h.values[i]);
    instance_unref(h.host->instances, h.instance);
    json_free(h.message);
}

int plugin_host_new(struct plugin *plugin, const char *egress_json, struct plugin_host **ret,
                    struct err *err)
{
    struct egress *egress = NULL;
    if (egress_json && egress_json[0]) {
        int code = egress_from_json(str_from(egress_json), &egress, err);
        if (code)
            return code;
    } else {
        egress = egress_new();
    }
    struct plugin_host *host = xcalloc(1, sizeof(*host));
    host->plugin = plugin;
    host->egress = egress;
    host->instances = instance_cache_new(INSTANCES_MAX);
    (void)pthread_mutex_init(&host->client_lock, NULL);
    *ret = host;
    return 0;
}
