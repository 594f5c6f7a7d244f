/* Steps that are not calls of a component: workflow, delay, suspend, respond, end. */
#include "flow/load.h"

/* Compiles {name: value} as the step's config. */
static void read_config(struct steps_reader *reader, const char *name, const struct json *value,
                        struct step *step)
{
    struct json *object = json_new_object();
    (void)json_set(object, name, json_copy(value));
    step->config = template_read(reader, value, object);
}

static bool is_expression(const struct json *value)
{
    return json_is(value, JSON_STRING) && has_expression(json_str(value));
}

/* A duration as text, or an expression that gives one or milliseconds. */
static void check_duration(struct steps_reader *reader, const struct json *value, const char *name)
{
    int64_t ms = 0;
    char text[SHOWN_MAX];
    if (is_expression(value))
        return;
    if (!json_is(value, JSON_STRING) || num_parse_duration(json_str(value), &ms) || ms < 1 ||
        ms > LIMIT_DELAY_MS)
        at_value(reader->file, value,
                 "\"%s\" is a time with its unit from 1ms to 366d (500ms, 30s, 5m, 2h, 30d), or an "
                 "expression that gives one or a number of milliseconds, not %s",
                 name, shown(value, text));
}

static void read_delay(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const char *const keys[] = {"delay", NULL};
    step->kind = STEP_DELAY;
    step_check_keys(reader->file, item, keys, "a \"delay\"");
    check_duration(reader, json_get(item, "delay"), "delay");
    read_config(reader, "delay", json_get(item, "delay"), step);
}

static void read_suspend(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const char *const keys[] = {"suspend", NULL};
    static const char *const suspend_keys[] = {"timeout", "on_timeout", NULL};
    const struct json *value = field(reader->file, item, "suspend", JSON_OBJECT);
    step->kind = STEP_SUSPEND;
    step_check_keys(reader->file, item, keys, "a \"suspend\"");
    check_keys(reader->file, value, suspend_keys, "\"suspend\"");
    const struct json *timeout = json_get(value, "timeout");
    if (timeout)
        check_duration(reader, timeout, "timeout");
    const char *then = field_text(reader->file, value, "on_timeout");
    step->flag = then && strcmp(then, "continue") == 0;
    if (then && !step->flag && strcmp(then, "cancel") != 0)
        at_value(reader->file, json_get(value, "on_timeout"),
                 "\"on_timeout\" is \"cancel\" or \"continue\", not \"%s\"", then);
    struct json *standard = json_new_string_c("24h");
    read_config(reader, "timeout", timeout ? timeout : standard, step);
    json_free(standard);
}

static bool has_waiting_sender(const struct workflow *workflow)
{
    for (size_t i = 0; i < workflow->trigger_count; i++)
        if (workflow->triggers[i].kind == TRIGGER_HTTP &&
            str_eq_c(json_get_text(workflow->triggers[i].config, "respond"), "workflow"))
            return true;
    return false;
}

static void read_respond(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const char *const keys[] = {"respond", NULL};
    static const char *const respond_keys[] = {"status", "headers", "body", "immediate", NULL};
    const struct json *value = field(reader->file, item, "respond", JSON_OBJECT);
    step->kind = STEP_RESPOND;
    step_check_keys(reader->file, item, keys, "a \"respond\"");
    check_keys(reader->file, value, respond_keys, "\"respond\"");
    if (!has_waiting_sender(reader->workflow) && !reader->file->load->is_kept)
        warn_name(reader->file, json_get(item, "respond"),
                  "nobody waits for this response: no trigger says http: { respond: workflow }");
    const struct json *status = json_get(value, "status");
    if (status && !is_expression(status))
        (void)field_count(reader->file, value, "status", 100, 599, 200);
    if (json_get(value, "headers") && !is_expression(json_get(value, "headers")))
        (void)field(reader->file, value, "headers", JSON_OBJECT);
    step->flag = field_bool(reader->file, value, "immediate", false);
    struct json *config = value ? json_copy(value) : json_new_object();
    json_remove(config, "immediate");
    step->config = template_read(reader, value, config);
}

static void read_end(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const char *const keys[] = {"end", NULL};
    static const char *const end_keys[] = {"reason", "status", NULL};
    const struct json *value = json_get(item, "end");
    step->kind = STEP_END;
    step_check_keys(reader->file, item, keys, "an \"end\"");
    const struct json *reason = value;
    if (json_is(value, JSON_OBJECT)) {
        check_keys(reader->file, value, end_keys, "\"end\"");
        reason = json_get(value, "reason");
        const char *status = field_text(reader->file, value, "status");
        step->flag = status && strcmp(status, "failed") == 0;
        if (status && !step->flag && strcmp(status, "succeeded") != 0)
            at_value(reader->file, json_get(value, "status"),
                     "\"status\" is \"succeeded\" or \"failed\", not \"%s\"", status);
    } else if (!json_is(value, JSON_STRING) && !json_is(value, JSON_NULL)) {
        char text[SHOWN_MAX];
        at_value(reader->file, value, "\"end\" is a reason, or { reason, status }, not %s",
                 shown(value, text));
    }
    if (reason && !json_is(reason, JSON_NULL))
        read_config(reader, "reason", reason, step);
}

/* The other workflow is looked for when all files have been read (project.c). */
static void read_call(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const char *const keys[] = {"workflow", "event", "wait", "timeout", NULL};
    const char *name = field_text(reader->file, item, "workflow");
    step->kind = STEP_WORKFLOW;
    step_check_keys(reader->file, item, keys, "a \"workflow\" step");
    step->workflow = xstrdup(name ? name : "");
    if (name)
        workflow_check_id(reader->file, json_get(item, "workflow"));
    step->flag = field_bool(reader->file, item, "wait", true);
    const struct json *event = json_get(item, "event");
    struct json *standard = json_new_string_c("{{steps.trigger.event}}");
    read_config(reader, "event", event ? event : standard, step);
    json_free(standard);
}

bool flow_step_read(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const struct {
        const char *name;
        void (*read)(struct steps_reader *reader, const struct json *item, struct step *step);
    } kinds[] = {{"workflow", read_call},
                 {"delay", read_delay},
                 {"suspend", read_suspend},
                 {"respond", read_respond},
                 {"end", read_end}};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (!json_get(item, kinds[i].name))
            continue;
        kinds[i].read(reader, item, step);
        return true;
    }
    return false;
}
