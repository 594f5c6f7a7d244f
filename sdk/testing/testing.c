/* The fake host: the run api of the runtime, with a script where the network is. */
#include "host.h"

#include "base/clock.h"
#include "plugin/describe.h"

/* ------------------------------------------------------------- life cycle */

const char *rn_test_check_plugin(const struct rn_plugin *plugin)
{
    static struct err err;
    struct plugin *tables = NULL;
    if (plugin_tables_new(plugin, &tables, &err))
        return err.text;
    plugin_tables_free(tables);
    return NULL;
}

struct rn_test *rn_test_new(const struct rn_plugin *tables)
{
    struct plugin *plugin = NULL;
    struct err err = ERR_INIT;
    if (plugin_tables_new(tables, &plugin, &err)) {
        (void)fprintf(stderr, "runnel test: the plugin would be refused: %s\n", err.text);
        return NULL;
    }
    struct rn_test *test = xcalloc(1, sizeof(*test));
    test->plugin = plugin;
    test->timeout_ms = LIMIT_STEP_MS;
    test->attempt = test->runs = 1;
    test->retry_after_ms = -1;
    test->props = json_new_object();
    test->auth = json_new_object();
    test->endpoints = json_new_object();
    test->db = json_new_object();
    test->stores = json_new_object();
    test->requests = json_new_array();
    test->script_end = &test->script;
    atomic_init(&test->cancelled, false);
    rn_test_set_time(test, RN_TEST_START_MS);
    return test;
}

static void clear_call(struct rn_test *test)
{
    struct json **values[] = {&test->exports, &test->emits,   &test->response,
                              &test->offered, &test->context, &test->added,
                              &test->logs,    &test->flow,    &test->sends};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        json_free(*values[i]);
        *values[i] = NULL;
    }
    free(test->error);
    free(test->exit_reason);
    test->error = test->exit_reason = NULL;
    test->retry_after_ms = -1;
    test->slept_ms = 0;
    test->logs = json_new_array();
}

void rn_test_free(struct rn_test *test)
{
    if (!test)
        return;
    clear_call(test);
    json_free(test->logs);
    json_free(test->props);
    json_free(test->auth);
    json_free(test->endpoints);
    json_free(test->db);
    json_free(test->requests);
    json_free(test->rerun);
    json_free(test->stores);
    while (test->script) {
        struct exchange *next = test->script->next;
        exchange_free(test->script);
        test->script = next;
    }
    for (size_t i = 0; i < SLOT_COUNT; i++)
        free(test->texts[i]);
    test_remove_files(test);
    plugin_tables_free(test->plugin);
    free(test);
    clock_fake(-1);
}

int rn_test_done(struct rn_test *test)
{
    if (!test)
        return 1;
    for (const struct exchange *e = test->script; e; e = e->next)
        test_fail(test, "an expected request never came: %s %s", e->method ? e->method : "(any)",
                  e->url ? e->url : "(any URL)");
    int failures = test->failures;
    rn_test_free(test);
    return failures;
}

int rn_test_failures(const struct rn_test *test)
{
    return test->failures;
}

/* ------------------------------------------------------------------ state */

void rn_test_set_props(struct rn_test *test, const char *object)
{
    json_free(test->props);
    test->props = test_parse(test, "rn_test_set_props", object, JSON_OBJECT);
}

void rn_test_set_prop(struct rn_test *test, const char *name, const char *text)
{
    struct json *value = NULL;
    struct err err = ERR_INIT;
    if (!text)
        json_remove(test->props, name);
    else if (json_parse(str_from(text), &value, &err))
        test_fail(test, "rn_test_set_prop %s: no JSON: %s: %s", name, err.text, text);
    else
        json_set(test->props, name, value);
}

void rn_test_set_auth(struct rn_test *test, const char *app_prop, const char *object)
{
    json_set(test->auth, app_prop, test_parse(test, "rn_test_set_auth", object, JSON_OBJECT));
}

void rn_test_set_endpoint(struct rn_test *test, const char *http_prop, const char *url)
{
    json_set_string(test->endpoints, http_prop, url);
}

void rn_test_set_db(struct rn_test *test, const char *object)
{
    json_free(test->db);
    test->db = test_parse(test, "rn_test_set_db", object, JSON_OBJECT);
}

void rn_test_set_time(struct rn_test *test, int64_t now_ms)
{
    test->now_ms = now_ms;
    clock_fake(now_ms);
}

void rn_test_set_timeout(struct rn_test *test, int64_t timeout_ms)
{
    test->timeout_ms = timeout_ms;
}

void rn_test_set_attempt(struct rn_test *test, uint32_t attempt)
{
    test->attempt = attempt;
}

void rn_test_set_runs(struct rn_test *test, uint32_t runs, const char *context,
                      const char *callback)
{
    json_free(test->rerun);
    test->runs = runs;
    test->rerun = json_new_object();
    if (context)
        json_set(test->rerun, "context",
                 test_parse(test, "rn_test_set_runs", context, JSON_OBJECT));
    if (callback)
        json_set(test->rerun, "callback",
                 test_parse(test, "rn_test_set_runs", callback, JSON_OBJECT));
}

void rn_test_set_cancelled(struct rn_test *test, bool is_cancelled)
{
    atomic_store(&test->cancelled, is_cancelled);
}

/* ------------------------------------------------------------------ calls */

static bool has_value(const struct rn_prop *def)
{
    int32_t base = def->type & ~RN_LIST;
    return base != RN_APP && base != RN_HTTP_INTERFACE && base != RN_TIMER_INTERFACE &&
           base != RN_DB_SERVICE && base != RN_ALERT && base != RN_DIR;
}

/* What the runtime's own checks would say before it called the component. */
static bool check_props(struct rn_test *test, const struct plugin_component *component,
                        bool is_whole)
{
    int before = test->failures;
    for (size_t i = 0; i < component->prop_count; i++) {
        const struct plugin_prop *prop = &component->props[i];
        const struct json *value = json_get(test->props, prop->def.name);
        bool is_set = value && !json_is(value, JSON_NULL);
        struct err err = ERR_INIT;
        if (is_set && !has_value(&prop->def))
            test_fail(test, "%s: the prop %s (%s) is not set by rn_test_set_props()",
                      component->def.key, prop->def.name, plugin_type_name(prop->def.type));
        else if (is_set && plugin_check_value(&prop->def, value, &err))
            test_fail(test, "%s: the prop %s (%s): %s", component->def.key, prop->def.name,
                      plugin_type_name(prop->def.type), err.text);
        else if (is_whole && !is_set && has_value(&prop->def) && !prop->default_value &&
                 !(prop->def.flags & RN_OPTIONAL))
            test_fail(test, "%s: the prop %s is required and not set", component->def.key,
                      prop->def.name);
    }
    for (const struct json *v = json_first(test->props); v && !component->def.additional_props;
         v = json_next(v))
        if (!plugin_prop(component, json_name(v)))
            test_fail(test, "%s has no prop %s", component->def.key, json_name(v));
    return test->failures == before;
}

static void set_endpoints(struct rn_test *test, const struct plugin_component *component)
{
    for (size_t i = 0; i < component->prop_count; i++) {
        const struct rn_prop *def = &component->props[i].def;
        if (def->type != RN_HTTP_INTERFACE || json_get(test->endpoints, def->name))
            continue;
        char *url = xasprintf("https://endpoint.test/%s", def->name);
        json_set_string(test->endpoints, def->name, url);
        free(url);
    }
}

/* Begins a run of a component; NULL component: a failure of the test. */
static bool begin(struct rn_test *test, struct run *run, enum run_op op, const char *key)
{
    clear_call(test);
    run_init(run, op, &test_services, test);
    run->plugin = test->plugin;
    run->cancelled = &test->cancelled;
    run->deadline_mono_ms = clock_mono_ms() + test->timeout_ms;
    run->props = test->props;
    run->auth = test->auth;
    run->endpoints = test->endpoints;
    run->db = test->db;
    run->attempt = test->attempt;
    run->idempotency_key = "run_test:step";
    run->resume_url = "https://runnel.test/r/run_test";
    run->runs = test->runs;
    run->rerun = test->rerun;
    if (op == RUN_TEST)
        return true;
    run->component = plugin_component(test->plugin, str_from(key));
    if (!run->component) {
        test_fail(test, "the plugin has no component %s", key ? key : "(NULL)");
        return false;
    }
    bool wants_source = op == RUN_SOURCE || op == RUN_HOOK;
    bool is_source = run->component->def.type == RN_SOURCE;
    if ((wants_source || op == RUN_ACTION) && wants_source != is_source) {
        test_fail(test, "%s is %s", key, is_source ? "a source" : "an action");
        return false;
    }
    set_endpoints(test, run->component);
    for (size_t i = 0; i < run->component->prop_count; i++)
        if (run->component->props[i].def.type == RN_DIR)
            run->files = rn_test_dir(test);
    run->files_limit = LIMIT_FILES;
    return check_props(test, run->component, op != RUN_OPTIONS && op != RUN_ADDITIONAL_PROPS);
}

static void apply_writes(struct rn_test *test, const struct run *run)
{
    for (const struct run_write *w = run->writes; w; w = w->next) {
        if (w->value)
            json_set(test->db, w->key, json_copy(w->value));
        else
            json_remove(test->db, w->key);
    }
}

static struct json *parse_text(struct str text)
{
    struct json *value = NULL;
    return json_parse(text, &value, NULL) ? json_new_null() : value;
}

static struct json *emits_of(struct run *run)
{
    struct json *list = json_new_array();
    run_sort_emits(run);
    for (size_t i = 0; i < run->emit_count; i++) {
        const struct run_emit *e = &run->emits[i];
        struct json *entry = json_append(list, json_new_object());
        json_set(entry, "event", parse_text(e->text));
        json_set_string(entry, "id", e->id);
        json_set_string(entry, "name", e->name);
        json_set_string(entry, "summary", e->summary);
        if (e->ts)
            json_set_integer(entry, "ts", e->ts);
    }
    return list;
}

static struct json *response_of(const struct run_response *response)
{
    if (!response->is_set)
        return NULL;
    struct json *object = json_new_object();
    json_set_integer(object, "status", response->status);
    struct json *headers = json_set(object, "headers", json_new_object());
    for (size_t i = 0; i < response->header_count; i++)
        json_set_string(headers, response->headers[i].name, response->headers[i].value);
    json_set_str(object, "body", response->body);
    return object;
}

static struct json *flow_of(const struct run *run)
{
    if (!run->flow.kind)
        return NULL;
    struct buf text = BUF_INIT(LIMIT_FRAME_BYTES);
    run_write_flow(run, &text);
    struct json *flow = parse_text(buf_str(&text));
    buf_release(&text);
    return flow;
}

static struct json *sends_of(const struct run *run)
{
    if (!run->sends)
        return NULL;
    struct buf text = BUF_INIT(LIMIT_FRAME_BYTES);
    run_write_sends(run, &text);
    struct json *sends = parse_text(buf_str(&text));
    buf_release(&text);
    return sends;
}

/* Keeps what the call gave; a call that failed gives its error and its exports only. */
static int32_t end(struct rn_test *test, struct run *run, int code)
{
    struct buf exports = BUF_INIT(LIMIT_FRAME_BYTES);
    run_write_exports(run, &exports);
    test->exports = parse_text(buf_str(&exports));
    buf_release(&exports);
    if (code) {
        test->error = xstrdup(run->err.text);
        test->retry_after_ms = run->retry_after_ms;
    } else {
        test->emits = emits_of(run);
        test->response = response_of(&run->response);
        test->exit_reason = run->exit_reason ? xstrdup(run->exit_reason) : NULL;
        test->flow = flow_of(run);
        test->sends = sends_of(run);
        test->offered = run->options ? json_copy(run->options) : NULL;
        test->context = run->options_context ? json_copy(run->options_context) : NULL;
        test->added = run->added_props ? json_copy(run->added_props) : NULL;
        apply_writes(test, run);
    }
    run_release(run);
    return code;
}

static int32_t refuse(struct run *run)
{
    run_release(run);
    return RN_EINVAL;
}

int32_t rn_test_hook(struct rn_test *test, const char *key, int32_t hook)
{
    struct run run;
    if (!begin(test, &run, RUN_HOOK, key))
        return refuse(&run);
    const struct rn_component *def = &run.component->def;
    int32_t (*callback)(struct rn_run *) = hook == RN_TEST_DEPLOY     ? def->deploy
                                           : hook == RN_TEST_ACTIVATE ? def->activate
                                                                      : def->deactivate;
    return end(test, &run, callback ? run_call(&run, callback, "the hook") : 0);
}

int32_t rn_test_source_request(struct rn_test *test, const char *key,
                               const struct rn_test_request *request)
{
    struct run run;
    if (!begin(test, &run, RUN_SOURCE, key))
        return refuse(&run);
    struct json *headers = json_new_object();
    run_track(&run, headers);
    for (size_t i = 0; i < request->header_count; i++) {
        char *name = xstrdup(request->headers[i].name);
        for (char *c = name; *c; c++)
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
        json_set_string(headers, name, request->headers[i].value);
        free(name);
    }
    size_t size = request->size;
    if (request->body && !size)
        size = strlen(request->body);
    run.request = (struct run_request){
        .method = request->method ? request->method : "POST",
        .path = request->path ? request->path : "/",
        .query = str_from(request->query),
        .headers = headers,
        .url = "https://endpoint.test/",
        .client_ip = "203.0.113.7",
        .body = str_n(request->body, request->body ? size : 0),
    };
    return end(test, &run, run_call(&run, run.component->def.run, "run()"));
}

int32_t rn_test_source_event(struct rn_test *test, const char *key, const char *event)
{
    struct run run;
    if (!begin(test, &run, RUN_SOURCE, key))
        return refuse(&run);
    struct json *value = test_parse(test, "rn_test_source_event", event, JSON_OBJECT);
    run_track(&run, value);
    run.event = value;
    return end(test, &run, run_call(&run, run.component->def.run, "run()"));
}

int32_t rn_test_action(struct rn_test *test, const char *key)
{
    struct run run;
    if (!begin(test, &run, RUN_ACTION, key))
        return refuse(&run);
    return end(test, &run, run_call(&run, run.component->def.run, "run()"));
}

int32_t rn_test_options(struct rn_test *test, const char *key, const char *prop, uint32_t page,
                        const char *query, const char *prev_context)
{
    struct run run;
    if (!begin(test, &run, RUN_OPTIONS, key))
        return refuse(&run);
    struct json *context = NULL;
    if (prev_context && json_parse(str_from(prev_context), &context, NULL)) {
        test_fail(test, "rn_test_options: prev_context is no JSON: %s", prev_context);
        return refuse(&run);
    }
    run_track(&run, context);
    return end(test, &run, run_call_options(&run, prop, page, query, context));
}

int32_t rn_test_additional_props(struct rn_test *test, const char *key, const char *previous)
{
    struct run run;
    if (!begin(test, &run, RUN_ADDITIONAL_PROPS, key))
        return refuse(&run);
    struct json *list =
        test_parse(test, "rn_test_additional_props", previous ? previous : "[]", JSON_ARRAY);
    run_track(&run, list);
    return end(test, &run, run_call_additional_props(&run, list));
}

int32_t rn_test_account(struct rn_test *test, const char *app)
{
    struct run run;
    (void)begin(test, &run, RUN_TEST, NULL);
    const struct plugin_app *found = app ? plugin_app(test->plugin, app) : NULL;
    if (!found || !found->def.test) {
        test_fail(test, "the app %s %s", app ? app : "(NULL)",
                  found ? "has no test()" : "is not in the plugin");
        return refuse(&run);
    }
    return end(test, &run, run_call(&run, found->def.test, "test()"));
}

/* ---------------------------------------------------------------- results */

const char *rn_test_error(struct rn_test *test)
{
    return test_keep(test, SLOT_ERROR, xstrdup(test->error ? test->error : ""));
}

int64_t rn_test_retry_after_ms(struct rn_test *test)
{
    return test->retry_after_ms;
}

const char *rn_test_exports(struct rn_test *test)
{
    return test_json(test, SLOT_EXPORTS, test->exports);
}

const char *rn_test_export(struct rn_test *test, const char *name)
{
    return test_json(test, SLOT_EXPORT, json_get(test->exports, name));
}

const char *rn_test_exit_reason(struct rn_test *test)
{
    return test_keep(test, SLOT_EXIT, test->exit_reason ? xstrdup(test->exit_reason) : NULL);
}

const char *rn_test_flow(struct rn_test *test)
{
    return test_json(test, SLOT_FLOW, test->flow);
}

const char *rn_test_sends(struct rn_test *test)
{
    return test->sends ? test_json(test, SLOT_SENDS, test->sends) : "[]";
}

size_t rn_test_emit_count(struct rn_test *test)
{
    return json_count(test->emits);
}

const char *rn_test_emits(struct rn_test *test)
{
    return test->emits ? test_json(test, SLOT_EMITS, test->emits) : "[]";
}

const char *rn_test_response(struct rn_test *test)
{
    return test_json(test, SLOT_RESPONSE, test->response);
}

const char *rn_test_db(struct rn_test *test)
{
    return test_json(test, SLOT_DB, test->db);
}

const char *rn_test_offered(struct rn_test *test)
{
    return test->offered ? test_json(test, SLOT_OFFERED, test->offered) : "[]";
}

const char *rn_test_context(struct rn_test *test)
{
    return test_json(test, SLOT_CONTEXT, test->context);
}

const char *rn_test_added_props(struct rn_test *test)
{
    return test->added ? test_json(test, SLOT_ADDED, test->added) : "[]";
}

const char *rn_test_logs(struct rn_test *test)
{
    return test->logs ? test_json(test, SLOT_LOGS, test->logs) : "[]";
}

int64_t rn_test_slept_ms(struct rn_test *test)
{
    return test->slept_ms;
}

const char *rn_test_requests(struct rn_test *test)
{
    return test_json(test, SLOT_REQUESTS, test->requests);
}

void rn_test_clear_requests(struct rn_test *test)
{
    json_free(test->requests);
    test->requests = json_new_array();
}

const char *rn_test_description(struct rn_test *test)
{
    struct json *description = describe_plugin(test->plugin);
    const char *text = test_json(test, SLOT_DESCRIPTION, description);
    json_free(description);
    return text;
}
