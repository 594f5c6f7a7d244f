/* A plugin for the integration tests: its source and its action do what the event says, the wrong
 * things too. Installed into a project as any plugin is; built with the sanitizers of the build. */
#include <runnel/component.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is(const char *text, const char *word)
{
    return text && strcmp(text, word) == 0;
}

static void die(void)
{
    abort();
}

static void spin(void)
{
    for (volatile unsigned turns = 0;; turns++) {
    }
}

static void eat(void)
{
    for (;;) {
        volatile char *bytes = malloc((size_t)1 << 20);
        if (!bytes)
            abort();
        for (size_t i = 0; i < (size_t)1 << 20; i += 4096)
            bytes[i] = 1;
    }
}

/* Uses so much memory once. */
static int32_t use_memory(struct rn_run *run)
{
    size_t size = (size_t)rn_prop_integer(run, "max", 1) << 20;
    char *bytes = malloc(size);
    volatile char *touched = bytes;
    if (!bytes)
        return rn_fail(run, RN_ENOMEM, "there is not so much");
    for (size_t i = 0; i < size; i += 4096)
        touched[i] = 1;
    free(bytes);
    return 0;
}

/* Adds a line to a file, in one write. */
static int32_t note(struct rn_run *run, const char *path, const char *line)
{
    FILE *file = path ? fopen(path, "ae") : NULL;
    if (!file)
        return rn_fail(run, RN_EFAILED, RN_TEXT(run, "cannot open ", path ? path : "nothing"));
    (void)fputs(RN_TEXT(run, line, "\n"), file);
    (void)fclose(file);
    return 0;
}

/* ---- the app */

static const struct rn_auth_field fields[] = {{.name = "key", .flags = RN_SECRET}};
static const struct rn_auth auths[] = {
    {.kind = RN_AUTH_KEYS, .fields = fields, .field_count = RN_COUNT(fields)}};
static const struct rn_app app = {
    .slug = "trial", .name = "Trial", .auths = auths, .auth_count = 1};

/* ---- the source: {"do":…, "id":…, "ms":…} */

static int32_t emit_one(struct rn_run *run, const struct rn_json *event, const struct rn_json *id,
                        const struct rn_json *ts)
{
    struct rn_emit_meta meta = {.struct_size = sizeof(meta), .id = rn_json_text(run, id, NULL)};
    if (!meta.id)
        meta.id = rn_json_number_text(run, id);
    if (rn_json_kind(run, event) == RN_JSON_OBJECT)
        meta.name = rn_json_text(run, rn_json_get(run, event, "channel"), NULL);
    (void)rn_json_to_integer(run, ts, &meta.ts);
    return rn_emit(run, event, &meta);
}

/* Reads the count, takes its time, writes it one higher, and emits it. */
static int32_t count_up(struct rn_run *run, const struct rn_json *body)
{
    int64_t count = 0, ms = 0;
    (void)rn_json_to_integer(run, rn_db_get(run, "count"), &count);
    (void)rn_json_to_integer(run, rn_json_get(run, body, "ms"), &ms);
    if (ms && rn_sleep_ms(run, ms))
        return rn_fail(run, RN_ECANCELED, "asked to stop");
    struct rn_json *event = rn_json_object(run);
    int32_t err = rn_db_set(run, "count", rn_json_integer(run, count + 1));
    if (!err)
        err = rn_json_set(run, event, "count", rn_json_integer(run, count + 1));
    if (!err)
        err = emit_one(run, event, rn_json_get(run, body, "id"), NULL);
    return err;
}

static int32_t emit_batch(struct rn_run *run, const struct rn_json *batch)
{
    int32_t err = 0;
    for (const struct rn_json *e = rn_json_first(run, batch); e && !err; e = rn_json_next(run, e))
        err = emit_one(run, e, rn_json_get(run, e, "id"), rn_json_get(run, e, "ts"));
    return err;
}

static int32_t answer(struct rn_run *run, const struct rn_json *value)
{
    size_t size = 0;
    const char *text = rn_json_print(run, value, &size);
    return rn_respond(run, 200, NULL, 0, text, size);
}

static int32_t source_run(struct rn_run *run)
{
    const struct rn_json *body = rn_request_body(run);
    int32_t kind = rn_json_kind(run, body);
    if (kind != RN_JSON_OBJECT && kind != RN_JSON_ARRAY) { /* what came, in base64 */
        size_t size = 0;
        const void *raw = rn_request_body_raw(run, &size);
        struct rn_json *event = rn_json_object(run);
        int32_t err =
            rn_json_set(run, event, "base64", rn_json_string(run, rn_base64(run, raw, size)));
        return err ? err : emit_one(run, event, rn_json_string(run, rn_uuid(run)), NULL);
    }
    if (rn_json_kind(run, body) == RN_JSON_ARRAY)
        return emit_batch(run, body);
    const char *what = rn_json_text(run, rn_json_get(run, body, "do"), NULL);
    if (is(what, "peek"))
        return answer(run, rn_db_get(run, "count"));
    if (is(what, "tell")) {
        rn_log(run, RN_LOG_INFO, RN_TEXT(run, "the key is ", rn_auth(run, "trial", "key")));
        return emit_one(run, body, rn_json_get(run, body, "id"), NULL);
    }
    if (is(what, "small"))
        return emit_one(run, rn_json_null(run), rn_json_get(run, body, "id"), NULL);
    if (is(what, "emit"))
        return emit_one(run, body, rn_json_get(run, body, "id"), NULL);
    int32_t err = count_up(run, body);
    if (!err && is(what, "fail"))
        return rn_fail(run, RN_EFAILED, "as told");
    if (is(what, "crash"))
        die();
    return err;
}

/* Until the file GATE is there; GATE.waiting says that it waits. */
static int32_t gated_activate(struct rn_run *run)
{
    const char *gate = rn_prop_string(run, "gate");
    FILE *file = fopen(RN_TEXT(run, gate, ".waiting"), "we");
    if (file)
        (void)fclose(file);
    while (!(file = fopen(gate, "re")))
        if (rn_sleep_ms(run, 20))
            return rn_fail(run, RN_ECANCELED, "asked to stop");
    (void)fclose(file);
    return 0;
}

#define SOURCE(name_, dedupe_)                                                                     \
    static const struct rn_component name_##_source = {                                            \
        .key = "trial-" #name_,                                                                    \
        .name = "Trial",                                                                           \
        .version = "0.0.1",                                                                        \
        .type = RN_SOURCE,                                                                         \
        .dedupe = dedupe_,                                                                         \
        .props = source_props,                                                                     \
        .prop_count = RN_COUNT(source_props),                                                      \
        .run = source_run,                                                                         \
    }

static const struct rn_prop source_props[] = {
    {.name = "trial", .type = RN_APP, .app = &app},
    {.name = "http", .type = RN_HTTP_INTERFACE, .flags = RN_CUSTOM_RESPONSE},
    {.name = "db", .type = RN_DB_SERVICE},
};

SOURCE(unique, RN_DEDUPE_UNIQUE);
SOURCE(greatest, RN_DEDUPE_GREATEST);
SOURCE(last, RN_DEDUPE_LAST);

static const struct rn_prop gated_props[] = {
    {.name = "trial", .type = RN_APP, .app = &app},
    {.name = "http", .type = RN_HTTP_INTERFACE, .flags = RN_CUSTOM_RESPONSE},
    {.name = "db", .type = RN_DB_SERVICE},
    {.name = "gate", .type = RN_STRING},
};

static const struct rn_component gated_source = {
    .key = "trial-gated",
    .name = "Trial, slowly activated",
    .version = "0.0.1",
    .type = RN_SOURCE,
    .dedupe = RN_DEDUPE_UNIQUE,
    .props = gated_props,
    .prop_count = RN_COUNT(gated_props),
    .activate = gated_activate,
    .run = source_run,
};

/* ---- the action: "what" says what it does */

/* Counts one up in the data store. */
static int32_t count_in_store(struct rn_run *run)
{
    int64_t now = 0;
    int32_t err = rn_store_increment(run, "store", "n", 1, &now);
    return err ? err : rn_return(run, rn_json_integer(run, now));
}

/* Each request of a data store once; fails where an answer is not what it must be. */
static int32_t use_store(struct rn_run *run)
{
    const struct rn_json *value = NULL, *keys = NULL, *items = NULL, *now = NULL;
    bool has = true, had = false, found = false, swapped = true, again = false, more = true;
    struct rn_json *out = rn_json_array(run);
    int32_t err = rn_store_clear(run, "store");
    err = err ? err : rn_store_has(run, "store", "a", &has);
    err = err ? err : rn_store_set(run, "store", "a", rn_prop(run, "value"), 0);
    err = err ? err : rn_store_set(run, "store", "b", rn_json_integer(run, 2), 1);
    err = err ? err : rn_store_set(run, "store", "c", rn_json_integer(run, 3), 60000);
    err = err ? err : rn_sleep_ms(run, 20);
    err = err ? err : rn_store_keys(run, "store", NULL, &keys, &more);
    err = err ? err : rn_store_set_ttl(run, "store", "c", 0, &found);
    err = err ? err : rn_store_items(run, "store", "a", &items, &more);
    err = err ? err
              : rn_store_compare_and_set(run, "store", "c", NULL, rn_json_integer(run, 4), &swapped,
                                         &now);
    err = err ? err
              : rn_store_compare_and_set(run, "store", "c", now, rn_json_integer(run, 4), &again,
                                         &now);
    err = err ? err : rn_store_delete(run, "store", "a", &had);
    err = err ? err : rn_store_get(run, "store", "c", &value);
    if (err)
        return err;
    if (has || !found || swapped || !again || !had || more)
        return rn_fail(run, RN_EFAILED, "a data store answered wrongly");
    (void)rn_json_append(run, out, rn_json_copy(run, keys));
    (void)rn_json_append(run, out, rn_json_copy(run, items));
    (void)rn_json_append(run, out, rn_json_copy(run, value));
    return rn_return(run, out);
}

/* Says where it stands, and asks for a wait; a rerun carries the count of its runs along. */
static int32_t hold_up(struct rn_run *run, const char *what)
{
    int64_t ms = 0, max = 0, seen = 0;
    (void)rn_json_to_integer(run, rn_prop(run, "ms"), &ms);
    (void)rn_json_to_integer(run, rn_prop(run, "max"), &max);
    const struct rn_json *before = rn_rerun_context(run), *callback = rn_callback_request(run);
    (void)rn_json_to_integer(run, rn_json_get(run, before, "seen"), &seen);
    struct rn_json *said = rn_json_object(run), *context = rn_json_object(run);
    int32_t err = rn_json_set(run, said, "runs", rn_json_integer(run, rn_runs(run)));
    if (!err)
        err = rn_json_set(run, said, "seen", rn_json_integer(run, seen));
    if (!err && callback)
        err = rn_json_set(run, said, "callback", rn_json_copy(run, callback));
    if (!err)
        err = rn_json_set(run, said, "resume_url", rn_json_string(run, rn_resume_url(run)));
    if (!err)
        err = rn_json_set(run, said, "cancel_url", rn_json_string(run, rn_cancel_url(run)));
    if (!err)
        err = rn_return(run, said);
    if (!err)
        err = rn_json_set(run, context, "seen", rn_json_integer(run, seen + 1));
    if (err || callback)
        return err;
    if (is(what, "delay"))
        return rn_flow_delay(run, ms);
    if (is(what, "suspend"))
        return rn_flow_suspend(run, ms);
    return rn_flow_rerun(run, ms, context, (uint32_t)max);
}

/* `value`: {http, email, emit, sse, channel}; the account's key goes along as a header. */
static int32_t send_things(struct rn_run *run)
{
    const struct rn_json *value = rn_prop(run, "value"), *http = rn_json_get(run, value, "http"),
                         *email = rn_json_get(run, value, "email"),
                         *emit = rn_json_get(run, value, "emit"),
                         *sse = rn_json_get(run, value, "sse");
    const char *channel = rn_json_text(run, rn_json_get(run, value, "channel"), NULL);
    int32_t err = 0;
    if (http) {
        struct rn_json *request = rn_json_copy(run, http), *headers = rn_json_object(run);
        err =
            rn_json_set(run, headers, "x-what", rn_json_string(run, rn_auth(run, "trial", "key")));
        err = err ? err : rn_json_set(run, request, "headers", headers);
        err = err ? err : rn_send_http(run, request);
    }
    if (!err && email)
        err = rn_send_email(run, email);
    if (!err && emit)
        err = rn_send_emit(run, emit, channel);
    if (!err && sse)
        err = rn_send_sse(run, channel, sse);
    return err || !rn_prop_boolean(run, "fails") ? err : rn_fail(run, RN_EFAILED, "as told");
}

static int32_t action_run(struct rn_run *run)
{
    const char *what = rn_prop_string(run, "what"), *path = rn_prop_string(run, "journal");
    if (path) {
        int32_t err =
            note(run, path,
                 RN_TEXT(run, rn_prop_string(run, "mark") ? rn_prop_string(run, "mark") : "-", " ",
                         rn_idempotency_key(run, 0)));
        if (err)
            return err;
    }
    bool is_first = rn_attempt(run) == 1;
    if (is(what, "crash") || (is(what, "crash-first") && is_first))
        die();
    if (is(what, "fail-first") && is_first)
        return rn_fail(run, RN_EUNAVAILABLE, "as told");
    if (is(what, "spin"))
        spin();
    if (is(what, "eat"))
        eat();
    if (is(what, "use-memory"))
        return use_memory(run);
    if (is(what, "gate")) { /* until the file `value` is there */
        const char *gate = rn_json_text(run, rn_prop(run, "value"), NULL);
        for (FILE *file = NULL; !(file = gate ? fopen(gate, "re") : NULL);)
            if (rn_sleep_ms(run, 20))
                return rn_fail(run, RN_ECANCELED, "asked to stop");
        return 0;
    }
    if (is(what, "wait") || (is(what, "wait-first") && is_first)) {
        while (!rn_is_cancelled(run))
            if (rn_sleep_ms(run, 10))
                break;
        return rn_fail(run, RN_ECANCELED, "asked to stop");
    }
    if (is(what, "tell")) {
        const char *key = rn_auth(run, "trial", "key");
        rn_log(run, RN_LOG_WARN, RN_TEXT(run, "the key is ", key));
        rn_summary(run, RN_TEXT(run, "told ", key));
        if (rn_prop_boolean(run, "fails"))
            return rn_fail(run, RN_EFAILED, RN_TEXT(run, "refused ", key));
        return rn_return(run, rn_json_string(run, RN_TEXT(run, "it is ", key)));
    }
    if (is(what, "count"))
        return count_in_store(run);
    if (is(what, "send"))
        return send_things(run);
    if (is(what, "use-store"))
        return use_store(run);
    if (is(what, "delay") || is(what, "suspend") || is(what, "rerun"))
        return hold_up(run, what);
    const struct rn_json *value = rn_prop(run, "value");
    return rn_return(run, value ? rn_json_copy(run, value) : rn_json_null(run));
}

static const struct rn_prop action_props[] = {
    {.name = "trial", .type = RN_APP, .app = &app},
    {.name = "what", .type = RN_STRING, .flags = RN_OPTIONAL},
    {.name = "value", .type = RN_ANY, .flags = RN_OPTIONAL},
    {.name = "journal", .type = RN_STRING, .flags = RN_OPTIONAL},
    {.name = "mark", .type = RN_STRING, .flags = RN_OPTIONAL},
    {.name = "fails", .type = RN_BOOLEAN, .flags = RN_OPTIONAL},
    {.name = "ms", .type = RN_INTEGER, .flags = RN_OPTIONAL},
    {.name = "max", .type = RN_INTEGER, .flags = RN_OPTIONAL},
    {.name = "store", .type = RN_DATA_STORE, .flags = RN_OPTIONAL},
};

static const struct rn_component action = {
    .key = "trial-do",
    .name = "Do",
    .version = "0.0.1",
    .type = RN_ACTION,
    .props = action_props,
    .prop_count = RN_COUNT(action_props),
    .run = action_run,
};

static const struct rn_app *const apps[] = {&app};
static const struct rn_component *const components[] = {&unique_source, &greatest_source,
                                                        &last_source, &gated_source, &action};

RN_EXPORT const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD,
    .name = "trial",
    .version = "0.0.1",
    .apps = apps,
    .app_count = 1,
    .components = components,
    .component_count = RN_COUNT(components),
};
