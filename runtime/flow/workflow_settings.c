/* `settings:` and `env:` of a workflow file. */
#include "flow/load.h"

enum {
    WORKERS_MAX = 10000,
    THROTTLE_MAX = 10000,
    QUEUE_MAX = 10 * 1000 * 1000,
    RETRIES_MAX = 50,
    ENV_MAX = 500,
};

static void read_timeout(struct file *file, const struct json *settings, struct workflow *workflow)
{
    const struct json *seconds = json_get(settings, "lambda_timeout");
    workflow->timeout_ms = field_count(file, settings, "lambda_timeout", 1,
                                       LIMIT_STEP_MS_MAX / 1000, workflow->timeout_ms / 1000) *
                           1000;
    if (seconds && json_get(settings, "timeout"))
        at_name(file, seconds, "\"lambda_timeout\" and \"timeout\" say the same thing: keep one");
    workflow->timeout_ms =
        field_duration(file, settings, "timeout", LIMIT_STEP_MS_MAX, workflow->timeout_ms);
}

/* The key sees the event only. */
static void read_key(struct file *file, const struct json *concurrency, struct workflow *workflow)
{
    const struct json *key = json_get(concurrency, "key");
    struct known_name trigger = {"trigger", NAME_READY, NULL};
    struct names names = {&trigger, 1};
    struct err err = ERR_INIT;
    char text[SHOWN_MAX];
    if (!key || json_is(key, JSON_NULL))
        return;
    if (!json_is(key, JSON_STRING) || !has_expression(json_str(key))) {
        at_value(file, key,
                 "\"key\" is an expression of the event, such as "
                 "\"{{steps.trigger.event.userId}}\", not %s",
                 shown(key, text));
        return;
    }
    if (!templates_check(file, key, &names))
        return;
    struct json *object = json_new_object();
    (void)json_set(object, "key", json_copy(key));
    if (expr_compile(object, &workflow->key, NULL, &err))
        at_value(file, key, "%s", err.text);
    json_free(object);
    if (workflow->workers == 0)
        workflow->workers = 1; /* a key without workers: strict order per key */
}

static void read_concurrency(struct file *file, const struct json *settings,
                             struct workflow *workflow)
{
    static const char *const keys[] = {"workers", "key", "total", NULL};
    const struct json *concurrency = field(file, settings, "concurrency", JSON_OBJECT);
    check_keys(file, concurrency, keys, "\"concurrency\"");
    workflow->workers = (int)field_count(file, concurrency, "workers", 1, WORKERS_MAX, 0);
    workflow->workers_total = (int)field_count(file, concurrency, "total", 1, WORKERS_MAX, 0);
    if (json_get(concurrency, "total") && !json_get(concurrency, "key"))
        at_name(
            file, json_get(concurrency, "total"),
            "\"total\" is for all values of a \"key\" together: without one, \"workers\" is it");
    read_key(file, concurrency, workflow);
}

static void read_throttle(struct file *file, const struct json *settings, struct workflow *workflow)
{
    static const char *const keys[] = {"limit", "interval", "mode", NULL};
    const struct json *throttle = field(file, settings, "throttle", JSON_OBJECT);
    if (!throttle)
        return;
    check_keys(file, throttle, keys, "\"throttle\"");
    if (!json_get(throttle, "limit"))
        at_value(file, throttle, "\"throttle\" needs \"limit\": how many runs begin per interval");
    workflow->throttle.limit = field_count(file, throttle, "limit", 0, THROTTLE_MAX, 1);
    workflow->throttle.interval_ms =
        field_duration(file, throttle, "interval", 10000ll * 3600 * 1000, 1000);
    const char *mode = field_text(file, throttle, "mode");
    workflow->throttle.is_spaced = mode && strcmp(mode, "spaced") == 0;
    if (mode && !workflow->throttle.is_spaced && strcmp(mode, "window") != 0)
        at_value(file, json_get(throttle, "mode"),
                 "\"mode\" is \"window\" or \"spaced\", not \"%s\"", mode);
}

/* true: 8 tries over 10 hours, each pause twice the one before; or a list of pauses. */
static void read_auto_retry(struct file *file, const struct json *settings,
                            struct workflow *workflow)
{
    enum { STANDARD_TRIES = 8 };
    const int64_t standard_first_ms = 10ll * 3600 * 1000 / ((1 << STANDARD_TRIES) - 1);
    const struct json *value = json_get(settings, "auto_retry");
    char text[SHOWN_MAX];
    if (!value || json_is(value, JSON_NULL) ||
        (json_is(value, JSON_BOOLEAN) && !json_is_true(value)))
        return;
    size_t count = json_is(value, JSON_ARRAY) ? json_count(value) : STANDARD_TRIES;
    if ((!json_is(value, JSON_ARRAY) && !json_is_true(value)) || count == 0 ||
        count > RETRIES_MAX) {
        at_value(file, value,
                 "\"auto_retry\" is true (8 tries over 10 hours) or a list of 1 to %d pauses "
                 "([1m, 10m, 1h]), not %s",
                 RETRIES_MAX, shown(value, text));
        return;
    }
    workflow->auto_retry = xcalloc(count, sizeof(*workflow->auto_retry));
    workflow->auto_retry_count = count;
    size_t i = 0;
    if (json_is_true(value))
        for (; i < count; i++)
            workflow->auto_retry[i] = standard_first_ms << i;
    for (const struct json *pause = json_first(value); pause; pause = json_next(pause), i++)
        if (num_parse_duration(json_str(pause), &workflow->auto_retry[i]) ||
            workflow->auto_retry[i] < 1 || workflow->auto_retry[i] > LIMIT_DELAY_MS)
            at_value(file, pause, "a pause is a time with its unit (30s, 5m, 2h), not %s",
                     shown(pause, text));
}

static void read_sse(struct file *file, const struct json *settings, struct workflow *workflow)
{
    static const char *const keys[] = {"public", "origins", NULL};
    const struct json *sse = field(file, settings, "sse", JSON_OBJECT);
    const struct json *origins = field(file, sse, "origins", JSON_ARRAY);
    check_keys(file, sse, keys, "\"sse\"");
    workflow->is_sse_public = field_bool(file, sse, "public", false);
    if (origins && !workflow->is_sse_public)
        at_name(file, origins, "\"origins\" without \"public: true\": nobody can follow it there");
    if (!origins)
        return;
    workflow->sse_origins = json_copy(origins);
    for (const struct json *o = json_first(origins); o; o = json_next(o)) {
        struct str text = json_str(o), rest = text, scheme = STR_NONE;
        char value[SHOWN_MAX];
        bool is_good = json_is(o, JSON_STRING) && str_cut(&rest, ':', &scheme) &&
                       str_starts(rest, "//") && rest.len > 2 && str_find(rest, "/", 2) < 0;
        if (!is_good)
            at_value(file, o,
                     "an origin is scheme://host[:port], such as https://example.com, not %s",
                     shown(o, value));
    }
}

static void read_settings(struct file *file, const struct json *settings, struct workflow *workflow)
{
    static const char *const keys[] = {
        "timeout",  "memory",         "concurrency",    "throttle",           "queue", "auto_retry",
        "on_error", "data_retention", "lambda_timeout", "error_notification", "sse",   NULL};
    static const char *const queue_keys[] = {"size", NULL};
    check_keys(file, settings, keys, "\"settings\"");
    (void)field_bool(file, settings, "error_notification", false);
    read_timeout(file, settings, workflow);
    workflow->memory =
        (size_t)field_bytes(file, settings, "memory", LIMIT_CODE_MEMORY_MAX, workflow->memory);
    if (workflow->memory && workflow->memory < LIMIT_CODE_MEMORY_MIN)
        at_value(file, json_get(settings, "memory"), "\"memory\" is %zu MiB at least",
                 (size_t)LIMIT_CODE_MEMORY_MIN >> 20);
    read_concurrency(file, settings, workflow);
    read_sse(file, settings, workflow);
    read_throttle(file, settings, workflow);
    const struct json *queue = field(file, settings, "queue", JSON_OBJECT);
    check_keys(file, queue, queue_keys, "\"queue\"");
    workflow->queue_size = (uint64_t)field_count(file, queue, "size", 1, QUEUE_MAX, 0);
    read_auto_retry(file, settings, workflow);
    const char *error_workflow = field_text(file, settings, "on_error");
    workflow->error_workflow = error_workflow ? xstrdup(error_workflow) : NULL;
    if (error_workflow && strcmp(error_workflow, workflow->id) == 0)
        at_value(file, json_get(settings, "on_error"),
                 "a workflow cannot be told of its own errors: name another one");
    else if (error_workflow)
        workflow_check_id(file, json_get(settings, "on_error"));
    workflow->keeps_no_history = !field_bool(file, settings, "data_retention", true);
}

static void read_env(struct file *file, const struct json *env, struct workflow *workflow)
{
    char text[SHOWN_MAX];
    if (json_count(env) > ENV_MAX)
        at_name(file, env, "more than %d variables", ENV_MAX);
    workflow->env = json_new_object();
    for (const struct json *item = json_first(env); item; item = json_next(item)) {
        if (!is_identifier(str_from(json_name(item))))
            at_name(file, item, "the name of a variable has letters, digits and '_', not \"%s\"",
                    json_name(item));
        if (!json_is(item, JSON_STRING)) {
            at_value(file, item, "the value of a variable is a text: put %s in quotes",
                     shown(item, text));
            continue;
        }
        char *value = env_expand(file, item);
        if (value)
            json_set_string(workflow->env, json_name(item), value);
        free(value);
    }
}

void workflow_read_settings(struct file *file, const struct json *root, struct workflow *workflow)
{
    const struct json *settings = field(file, root, "settings", JSON_OBJECT);
    const struct json *env = field(file, root, "env", JSON_OBJECT);
    if (settings)
        read_settings(file, settings, workflow);
    if (env)
        read_env(file, env, workflow);
}
