/* What a person or the API asks the engine to do. Thread: any but the loop's. */
#include "crypto/hmac.h"
#include "engine/run.h"

/* ---- putting something into a queue */

struct push {
    struct engine *engine;
    struct str event; /* a new event's text; ptr NULL: event_id */
    uint64_t event_id;
    const char *const *workflows;
    char *const *triggers; /* of each workflow, over the detail's; NULL: the detail's */
    size_t workflow_count;
    struct json *detail;
    uint64_t run_ids[64];
};

static int apply_push(struct store_tx *tx, void *ctx, struct err *err)
{
    struct push *push = ctx;
    struct event_record record = {.id = push->event_id};
    int rc = 0;
    if (push->event.ptr) {
        record.ts = record.received_ms = clock_now_ms();
        record.emitter = STR("manual");
        record.summary = STR("run by hand");
        record.event = push->event;
        rc = event_put(tx, &record, err);
    } else {
        rc = event_get(STORE_TX(tx), push->event_id, &record);
        if (rc)
            return err_set(err, rc, "the event is not in the store any more");
    }
    for (size_t i = 0; i < push->workflow_count && rc == 0; i++) {
        size_t size = 0;
        if (push->triggers)
            json_set_string(push->detail, "trigger", push->triggers[i]);
        char *detail = json_text(push->detail, &size);
        struct queue_entry entry = {.event_id = record.id,
                                    .workflow = str_from(push->workflows[i]),
                                    .detail = str_n(detail, size)};
        rc = queue_push(tx, &entry, err);
        push->run_ids[i] = entry.run_id;
        free(detail);
    }
    return rc;
}

static void begin_only(void *ctx)
{
    struct push *push = ctx;
    for (size_t i = 0; i < push->workflow_count; i++)
        dispatcher_begin_only(push->engine->dispatcher, push->workflows[i], push->run_ids[i]);
}

static int push_runs(struct push *push, struct err *err)
{
    if (push->workflow_count > COUNT_OF(push->run_ids))
        return err_set(err, RN_ETOOBIG, "more than %zu workflows at once", COUNT_OF(push->run_ids));
    int rc = store_run(push->engine->store, apply_push, push, true, err);
    if (rc == 0 && push->engine->is_passive)
        loop_call(push->engine->loop, begin_only, push);
    for (size_t i = 0; i < push->workflow_count && rc == 0; i++)
        dispatcher_wake(push->engine, push->workflows[i]);
    return rc;
}

static const char *nearest_workflow(const struct project *project, const char *name)
{
    const char *best = NULL;
    size_t least = 1 + strlen(name) / 3 + 1;
    for (size_t i = 0; i < project->workflow_count; i++) {
        const char *id = project->workflows[i]->id;
        size_t distance = str_distance(str_from(name), str_from(id), least);
        if (distance < least) {
            least = distance;
            best = id;
        }
    }
    return best;
}

/* What a person fires: the manual trigger where there is one, else the first. */
static const struct trigger *by_hand(const struct workflow *workflow)
{
    for (size_t i = 0; i < workflow->trigger_count; i++)
        if (workflow->triggers[i].kind == TRIGGER_MANUAL)
            return &workflow->triggers[i];
    return workflow->trigger_count ? &workflow->triggers[0] : NULL;
}

static int find_workflow(struct engine *engine, const char *name, char **ret_id, char **ret_trigger,
                         struct err *err)
{
    struct project *project = engine_project(engine);
    const struct workflow *workflow = project_workflow(project, str_from(name));
    int rc = 0;
    if (!workflow) {
        const char *near = nearest_workflow(project, name);
        rc = err_set(err, RN_ENOTFOUND, "there is no workflow \"%s\" that can run%s%s%s", name,
                     near ? "; did you mean \"" : "", near ? near : "",
                     near ? "\"?"
                          : " (`runnel workflows` lists them, `runnel check` finds mistakes)");
    } else if (workflow->inactive) {
        rc = err_set(err, RN_EPERM, "the workflow \"%s\" is inactive", name);
    } else {
        *ret_id = xstrdup(workflow->id);
        const struct trigger *trigger = by_hand(workflow);
        *ret_trigger = xstrdup(trigger ? trigger->namespace_ : "trigger");
    }
    project_unref(project);
    return rc;
}

/* The `sample` of the manual trigger, or {}. */
static char *sample_of(struct engine *engine, const char *id, size_t *ret_size)
{
    struct project *project = engine_project(engine);
    const struct workflow *workflow = project_workflow(project, str_from(id));
    const struct trigger *trigger = workflow ? by_hand(workflow) : NULL;
    const struct json *sample =
        trigger && trigger->kind == TRIGGER_MANUAL ? json_get(trigger->config, "sample") : NULL;
    struct json *empty = json_new_object();
    char *text = json_text(sample ? sample : empty, ret_size);
    json_free(empty);
    project_unref(project);
    return text;
}

/* An event that was edited comes in where the run's own came in. */
static void take_trigger_of(struct engine *engine, const char *run_id, const char *workflow,
                            char **trigger)
{
    struct json *run = NULL;
    struct err err = ERR_INIT;
    if (engine_run_detail(engine, run_id, &run, &err) == 0 && json_get_c(run, "trigger") &&
        str_eq_c(json_get_text(run, "workflow"), workflow)) {
        free(*trigger);
        *trigger = xstrdup(json_get_c(run, "trigger"));
    }
    json_free(run);
}

int engine_run_workflow(struct engine *engine, const char *name, const struct json *event,
                        const char *replay_of, char ret_run[32], struct err *err)
{
    char *id = NULL, *trigger = NULL;
    int rc = find_workflow(engine, name, &id, &trigger, err);
    if (rc)
        return rc;
    if (replay_of)
        take_trigger_of(engine, replay_of, id, &trigger);
    size_t size = 0;
    char *text = event ? json_text(event, &size) : sample_of(engine, id, &size);
    const char *workflows[] = {id};
    struct push push = {.engine = engine,
                        .event = str_n(text, size),
                        .workflows = workflows,
                        .workflow_count = 1,
                        .detail = json_new_object()};
    json_set_string(push.detail, "trigger", trigger);
    json_set_string(push.detail, "replay_of", replay_of);
    rc = push_runs(&push, err);
    if (rc == 0)
        id_format("run", push.run_ids[0], ret_run);
    json_free(push.detail);
    free(text);
    free(id);
    free(trigger);
    return rc;
}

enum { REPLAYS_MAX = 64 };

/* The workflows that an event went to: those that listen to its emitter's channel now. */
struct listeners {
    char *workflows[REPLAYS_MAX], *triggers[REPLAYS_MAX];
    size_t count;
};

static void add_listener(struct listeners *list, const char *workflow, const char *trigger)
{
    if (list->count == REPLAYS_MAX)
        return;
    list->workflows[list->count] = xstrdup(workflow);
    list->triggers[list->count++] = xstrdup(trigger);
}

static void listeners_of(struct engine *engine, const struct json *event, struct listeners *list)
{
    const char *emitter = json_get_c(event, "source"), *channel = json_get_c(event, "channel");
    struct instance *instance = instance_by_id(engine, emitter);
    channel = channel ? channel : "";
    if (instance) {
        size_t count = 0;
        struct subscriber *subscribers = instance_copy_subscribers(instance, channel, &count);
        for (size_t i = 0; i < count; i++)
            add_listener(list, subscribers[i].workflow, subscribers[i].trigger);
        free(subscribers);
        source_instance_unref(instance);
        return;
    }
    struct project *project = engine_project(engine);
    struct listening listening = {.project = project, .emitter = emitter, .channel = channel};
    while (listening_next(&listening))
        add_listener(list, listening.workflow->id, listening.trigger->namespace_);
    project_unref(project);
}

static void listeners_release(struct listeners *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->workflows[i]);
        free(list->triggers[i]);
    }
}

/* The path of the step from which a run is replayed: one that it has, or that of its failure. */
static int replay_path(const struct json *run, const char *from_step, const char **ret,
                       struct err *err)
{
    *ret =
        strcmp(from_step, "failed") == 0 ? json_get_c(json_get(run, "error"), "step") : from_step;
    if (!*ret)
        return err_set(err, RN_EINVAL, "%s has no step that failed", json_get_c(run, "id"));
    for (const struct json *s = json_first(json_get(run, "steps")); s; s = json_next(s))
        if (str_eq_c(json_get_text(s, "path"), *ret))
            return 0;
    return err_set(err, RN_ENOTFOUND, "%s has no step \"%s\" (see `runnel inspect %s`)",
                   json_get_c(run, "id"), *ret, json_get_c(run, "id"));
}

int engine_replay(struct engine *engine, const char *text, const char *workflow,
                  const char *from_step, struct json **ret, struct err *err)
{
    uint64_t id = 0;
    char *trigger = NULL, *found = NULL;
    const char *workflows[REPLAYS_MAX];
    struct listeners listeners = {.count = 0};
    struct push push = {.engine = engine, .workflows = workflows, .detail = json_new_object()};
    int rc = 0;
    if (id_parse("run", str_from(text), &id) == 0) {
        struct json *run = NULL;
        rc = engine_run_detail(engine, text, &run, err);
        const char *path = NULL;
        rc = rc || !from_step ? rc : replay_path(run, from_step, &path, err);
        rc = rc ? rc
                : find_workflow(engine, workflow ? workflow : json_get_c(run, "workflow"), &found,
                                &trigger, err);
        json_set_string(push.detail, "replay_from", path);
        if (rc == 0)
            (void)!id_parse("evt", json_get_text(run, "event"), &push.event_id);
        json_set_string(push.detail, "trigger",
                        json_get_c(run, "trigger") ? json_get_c(run, "trigger") : trigger);
        json_free(run);
    } else if (id_parse("evt", str_from(text), &push.event_id) == 0 && from_step) {
        rc = err_set(err, RN_EINVAL, "an event has no steps: name a run to replay from a step");
    } else if (id_parse("evt", str_from(text), &push.event_id) == 0) {
        struct json *event = NULL;
        rc = engine_event(engine, text, &event, err);
        if (rc == 0 && workflow)
            rc = find_workflow(engine, workflow, &found, &trigger, err);
        else if (rc == 0)
            listeners_of(engine, event, &listeners);
        if (rc == 0 && !found && !listeners.count)
            rc = err_set(err, RN_ENOTFOUND,
                         "no workflow listens to the source of %s now: name one with --workflow",
                         text);
        json_set_string(push.detail, "trigger", trigger ? trigger : "trigger");
        json_free(event);
    } else {
        rc = err_set(err, RN_EINVAL, "\"%s\" is neither a run's id (run_…) nor an event's (evt_…)",
                     text);
    }
    if (found) {
        workflows[push.workflow_count++] = found;
    } else {
        push.triggers = listeners.triggers;
        for (; push.workflow_count < listeners.count; push.workflow_count++)
            workflows[push.workflow_count] = listeners.workflows[push.workflow_count];
    }
    json_set_string(push.detail, "replay_of", text);
    rc = rc ? rc : push_runs(&push, err);
    if (rc == 0) {
        *ret = json_new_array();
        for (size_t i = 0; i < push.workflow_count; i++) {
            char run[ID_TEXT_MAX];
            id_format("run", push.run_ids[i], run);
            struct json *item = json_append(*ret, json_new_object());
            json_set_string(item, "run", run);
            json_set_string(item, "workflow", workflows[i]);
        }
    }
    listeners_release(&listeners);
    free(found);
    free(trigger);
    json_free(push.detail);
    return rc;
}

/* ---- runs */

struct cancel {
    struct dispatcher *dispatcher;
    uint64_t id;
    bool was_live;
};

static void cancel_run(void *ctx)
{
    struct cancel *cancel = ctx;
    cancel->was_live = dispatcher_cancel(cancel->dispatcher, cancel->id);
}

int engine_cancel_run(struct engine *engine, const char *text, struct err *err)
{
    struct cancel cancel = {.dispatcher = engine->dispatcher};
    if (id_parse("run", str_from(text), &cancel.id))
        return err_set(err, RN_EINVAL, "\"%s\" is no run's id (run_…)", text);
    loop_call(engine->loop, cancel_run, &cancel);
    if (cancel.was_live)
        return 0;
    struct json *run = NULL;
    bool is_queued = engine_run_detail(engine, text, &run, NULL) == 0 &&
                     str_eq_c(json_get_text(run, "status"), "queued");
    int rc = is_queued ? err_set(err, RN_ECONFLICT,
                                 "%s waits for the workflow \"%s\", which is not active: it can be "
                                 "cancelled once that is",
                                 text, json_get_c(run, "workflow"))
                       : err_set(err, RN_ENOTFOUND, "%s neither runs nor waits", text);
    json_free(run);
    return rc;
}

struct end_wait {
    struct dispatcher *dispatcher;
    uint64_t id;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool has_ended;
};

static void run_has_ended(void *ctx)
{
    struct end_wait *wait = ctx;
    pthread_mutex_lock(&wait->lock);
    wait->has_ended = true;
    pthread_cond_signal(&wait->cond);
    pthread_mutex_unlock(&wait->lock);
}

static void begin_wait(void *ctx)
{
    struct end_wait *wait = ctx;
    dispatcher_when_ended(wait->dispatcher, wait->id, run_has_ended, wait);
}

static void forget_wait(void *ctx)
{
    struct end_wait *wait = ctx;
    dispatcher_forget_waiter(wait->dispatcher, wait);
}

int engine_wait_run(struct engine *engine, const char *text, int64_t wait_ms, struct err *err)
{
    struct end_wait wait = {.dispatcher = engine->dispatcher,
                            .lock = PTHREAD_MUTEX_INITIALIZER,
                            .cond = PTHREAD_COND_INITIALIZER};
    if (id_parse("run", str_from(text), &wait.id))
        return err_set(err, RN_EINVAL, "\"%s\" is no run's id (run_…)", text);
    loop_call(engine->loop, begin_wait, &wait);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    pthread_mutex_lock(&wait.lock);
    int rc = 0;
    while (!wait.has_ended && rc == 0)
        rc = pthread_cond_timedwait(&wait.cond, &wait.lock, &until);
    bool has_ended = wait.has_ended;
    pthread_mutex_unlock(&wait.lock);
    loop_call(engine->loop, forget_wait, &wait);
    pthread_cond_destroy(&wait.cond);
    pthread_mutex_destroy(&wait.lock);
    return has_ended ? 0 : err_set(err, RN_ETIMEDOUT, "%s has not ended yet", text);
}

/* ---- resuming */

struct resume {
    struct engine *engine;
    uint64_t run_id;
    uint32_t position, attempt;
    struct json *data;
    bool can_resume;
    struct end_wait wait;
};

static void begin_resume(void *ctx)
{
    struct resume *resume = ctx;
    resume->can_resume =
        dispatcher_resume(resume->engine->dispatcher, resume->run_id, resume->position,
                          resume->attempt, resume->data, run_has_ended, &resume->wait);
}

/* "<position>.<attempt>" */
static int parse_place(struct str text, struct resume *ret)
{
    struct str first = STR_NONE;
    uint64_t position = 0, attempt = 0;
    if (!str_cut(&text, '.', &first) || num_parse_u64(first, &position) ||
        num_parse_u64(text, &attempt) || position > UINT32_MAX || attempt > UINT32_MAX)
        return RN_EINVAL;
    ret->position = (uint32_t)position;
    ret->attempt = (uint32_t)attempt;
    return 0;
}

int engine_resume(struct engine *engine, struct str run, struct str step, struct str token,
                  struct str verb, struct json *data, struct err *err)
{
    struct resume resume = {
        .engine = engine,
        .data = data,
        .wait = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER}};
    char expected[33];
    bool is_known = id_parse("run", run, &resume.run_id) == 0 && parse_place(step, &resume) == 0;
    if (is_known)
        resume_token(engine, resume.run_id, resume.position, resume.attempt, expected);
    if (!is_known || !crypto_equal(token, str_from(expected)) ||
        (!str_eq_c(verb, "resume") && !str_eq_c(verb, "cancel"))) {
        json_free(data);
        return err_set(err, RN_ENOTFOUND, "there is no such URL");
    }
    if (str_eq_c(verb, "cancel")) {
        struct cancel cancel = {.dispatcher = engine->dispatcher, .id = resume.run_id};
        json_free(data);
        loop_call(engine->loop, cancel_run, &cancel);
        return cancel.was_live ? 0 : err_set(err, RN_ECONFLICT, "the run has ended already");
    }
    loop_call(engine->loop, begin_resume, &resume);
    pthread_mutex_lock(&resume.wait.lock);
    while (resume.can_resume && !resume.wait.has_ended)
        pthread_cond_wait(&resume.wait.cond, &resume.wait.lock);
    pthread_mutex_unlock(&resume.wait.lock);
    pthread_cond_destroy(&resume.wait.cond);
    pthread_mutex_destroy(&resume.wait.lock);
    return resume.can_resume ? 0 : err_set(err, RN_ECONFLICT, "the step does not wait any more");
}

int engine_resume_run(struct engine *engine, const char *id, struct json *data, struct err *err)
{
    struct json *run = NULL;
    char place[48] = "", token[33];
    uint64_t run_id = 0;
    int rc = engine_run_detail(engine, id, &run, err);
    for (const struct json *s = json_first(json_get(run, "steps")); s; s = json_next(s)) {
        int64_t position = json_get_i64(s, "position", 0), attempt = json_get_i64(s, "attempt", 0);
        if (!json_get(s, "wait") || json_get(s, "resumed"))
            continue;
        (void)snprintf(place, sizeof(place), "%lld.%lld", (long long)position, (long long)attempt);
        (void)!id_parse("run", str_from(id), &run_id);
        resume_token(engine, run_id, (uint32_t)position, (uint32_t)attempt, token);
    }
    bool can_wait = str_eq_c(json_get_text(run, "status"), "paused") ||
                    str_eq_c(json_get_text(run, "status"), "waiting");
    json_free(run);
    if (rc == 0 && (!place[0] || !can_wait))
        rc = err_set(err, RN_ECONFLICT, "%s does not wait for a resume", id);
    if (rc) {
        json_free(data);
        return rc;
    }
    return engine_resume(engine, str_from(id), str_from(place), str_from(token), STR("resume"),
                         data, err);
}

/* ---- configure time */

/* Calls a plugin host and parses its answer; the answer's error becomes the caller's. */
static int call_plugin(struct engine *engine, const struct plugin_file *plugin, struct buf *json,
                       struct str section, struct configuring *configuring, struct json **ret,
                       struct err *err)
{
    struct host *host = hosts_get(engine->hosts, plugin->name, plugin->path, plugin->sha256, 0);
    struct call call = {
        .frame = {.json = buf_str(json),
                  .sections = section.ptr ? &section : NULL,
                  .section_count = section.ptr ? 1 : 0},
        .timeout_ms = LIMIT_OPTIONS_MS,
        .ask = configuring ? configure_ask : NULL,
        .ctx = configuring,
    };
    struct buf bytes = BUF_INIT(LIMIT_FRAME_BYTES);
    struct frame frame;
    struct str sections[16];
    struct json *answer = NULL;
    int rc = host_call_wait(host, &call, &bytes, &frame, sections, COUNT_OF(sections), err);
    if (rc == 0)
        rc = json_parse_own(frame.json, &answer, err);
    if (rc == 0) {
        struct call_result result = {.frame = &frame};
        struct plugin_error error;
        plugin_error_of(&result, answer, &error);
        rc = error.code ? err_set(err, error.code, "%s", error.text) : 0;
    }
    buf_release(&bytes);
    if (rc)
        json_free(answer);
    else
        *ret = answer;
    return rc;
}

static const struct component_def *find_component(struct catalog *catalog, const char *key,
                                                  struct err *err)
{
    const struct component_def *component = catalog_component(catalog, str_from(key), NULL);
    if (!component)
        (void)err_set(err, RN_ENOTFOUND, "there is no component \"%s\" (see `runnel components`)",
                      key);
    return component;
}

static int configure_call(struct engine *engine, const struct component_def *component,
                          const struct json *props, struct buf *json, struct json **ret,
                          struct err *err)
{
    struct json *auth = NULL;
    int rc = accounts_of_props(engine->accounts, component, props, &auth, err);
    if (rc)
        return rc;
    buf_addf(json, ",\"component\":\"%s\",\"timeout_ms\":%d,\"auth\":", component->key,
             LIMIT_OPTIONS_MS);
    json_write(json, auth);
    buf_add_char(json, '}');
    size_t size = 0;
    char *section = props ? json_text(props, &size) : xstrdup("{}");
    struct configuring configuring = {.engine = engine, .component = component, .props = props};
    rc = call_plugin(engine, component->plugin, json, str_n(section, props ? size : 2),
                     &configuring, ret, err);
    free(section);
    json_free(auth);
    return rc;
}

static struct json *static_options(const struct prop_def *prop)
{
    struct json *answer = json_new_object();
    (void)json_set(answer, "options", prop->options ? json_copy(prop->options) : json_new_array());
    return answer;
}

int engine_prop_options(struct engine *engine, const char *key, const char *prop_name,
                        const struct json *props, int page, const char *query,
                        const struct json *context, struct json **ret, struct err *err)
{
    struct catalog *catalog = engine_catalog(engine);
    const struct component_def *component = find_component(catalog, key, err);
    const struct prop_def *prop = component ? component_prop(component, str_from(prop_name)) : NULL;
    int rc = component ? 0 : RN_ENOTFOUND;
    if (component && !prop)
        rc = err_set(err, RN_ENOTFOUND, "%s has no prop \"%s\"", key, prop_name);
    if (rc == 0 && !prop->has_remote_options) {
        *ret = static_options(prop);
    } else if (rc == 0) {
        struct buf json = BUF_INIT(MIB(4));
        buf_addf(&json, "{\"op\":\"options\",\"prop\":\"%s\",\"page\":%d,\"query\":", prop->name,
                 page);
        json_write_string(&json, str_from(query ? query : ""));
        if (context) {
            buf_add_c(&json, ",\"context\":");
            json_write(&json, context);
        }
        rc = configure_call(engine, component, props, &json, ret, err);
        if (rc == 0)
            json_remove(*ret, "ok");
        buf_release(&json);
    }
    catalog_unref(catalog);
    return rc;
}

int engine_dynamic_props(struct engine *engine, const char *key, const struct json *props,
                         struct json **ret, struct err *err)
{
    struct catalog *catalog = engine_catalog(engine);
    const struct component_def *component = find_component(catalog, key, err);
    int rc = component ? 0 : RN_ENOTFOUND;
    if (rc == 0 && !component->has_additional_props) {
        *ret = json_new_array();
    } else if (rc == 0) {
        struct buf json = BUF_INIT(MIB(4));
        struct json *answer = NULL;
        buf_add_c(&json, "{\"op\":\"additional_props\",\"previous\":[]");
        rc = configure_call(engine, component, props, &json, &answer, err);
        if (rc == 0) {
            *ret = json_take(answer, "props");
            if (!*ret)
                *ret = json_new_array();
        }
        json_free(answer);
        buf_release(&json);
    }
    catalog_unref(catalog);
    return rc;
}

int engine_account_test(struct engine *engine, const char *name, struct err *err)
{
    struct json *accounts = engine_accounts(engine), *auth = NULL, *answer = NULL;
    const char *slug = NULL;
    for (const struct json *a = json_first(accounts); a && !slug; a = json_next(a))
        if (str_eq_c(json_get_text(a, "name"), name))
            slug = json_get_c(a, "app");
    struct catalog *catalog = engine_catalog(engine);
    const struct app_def *app = slug ? catalog_app(catalog, str_from(slug)) : NULL;
    int rc = 0;
    if (!slug)
        rc = err_set(err, RN_ENOTFOUND, "there is no account \"%s\" (see `runnel accounts`)", name);
    else if (!app)
        rc = err_set(err, RN_ENOTFOUND, "no installed plugin has the app %s", slug);
    else if (!app->has_test)
        rc = err_set(err, RN_EINVAL, "%s has no call to test an account with", app->name);
    rc = rc ? rc : accounts_resolve_wait(engine->accounts, name, slug, &auth, err);
    if (rc == 0) {
        struct buf json = BUF_INIT(MIB(4));
        const char *prop = json_get_c(app->json, "accountProp");
        buf_addf(&json, "{\"op\":\"test\",\"app\":\"%s\",\"timeout_ms\":%d,\"auth\":{\"%s\":", slug,
                 LIMIT_OPTIONS_MS, prop ? prop : slug);
        json_write(&json, auth);
        buf_add_c(&json, "}}");
        rc = call_plugin(engine, app->plugin, &json, STR_NONE, NULL, &answer, err);
        buf_release(&json);
    }
    json_free(answer);
    json_free(auth);
    json_free(accounts);
    catalog_unref(catalog);
    return rc;
}
