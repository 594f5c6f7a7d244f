/* The steps of a workflow, in their order. */
#include "flow/load.h"

enum { RETRY_MS_MAX = 24 * 3600 * 1000 };

static const char *const control_flow[] = {"if",   "else",    "switch", "parallel", "branch",
                                           "loop", "foreach", "while",  "delay"};

static void read_namespace(struct file *file, const struct json *item, struct workflow *workflow,
                           struct step *step)
{
    static const char *const reserved[] = {"trigger",     "steps",     "process",
                                           "constructor", "prototype", "__proto__"};
    const struct json *value = json_get(item, "namespace");
    const char *name = field_text(file, item, "namespace");
    if (!name) {
        if (!value || json_is(value, JSON_NULL))
            at_value(
                file, item,
                "a step needs a \"namespace\": the name under which later steps see its result");
        return;
    }
    step->namespace_ = xstrdup(name);
    if (!is_identifier(str_from(name)) || strlen(name) > 100)
        at_value(
            file, value,
            "a namespace has letters, digits and '_', no digit first, 100 at most; \"%s\" is none",
            name);
    for (size_t i = 0; i < COUNT_OF(reserved); i++)
        if (strcmp(name, reserved[i]) == 0)
            at_value(file, value, "\"%s\" is a reserved name: choose another", name);
    for (size_t i = 0; i < workflow->step_count; i++)
        if (workflow->steps[i].namespace_ && strcmp(workflow->steps[i].namespace_, name) == 0)
            at_value(file, value, "another step has the namespace \"%s\" already", name);
    for (size_t i = 0; i < workflow->trigger_count; i++)
        if (strcmp(workflow->triggers[i].namespace_, name) == 0)
            at_value(file, value, "a trigger has the namespace \"%s\" already", name);
}

/* One of two words; the index, or 0 after a problem. */
static int read_word(struct file *file, const struct json *object, const char *name,
                     const char *first, const char *second)
{
    const char *text = field_text(file, object, name);
    if (!text || strcmp(text, first) == 0)
        return 0;
    if (strcmp(text, second) == 0)
        return 1;
    at_value(file, json_get(object, name), "\"%s\" is \"%s\" or \"%s\", not \"%s\"", name, first,
             second, text);
    return 0;
}

static void read_retry(struct file *file, const struct json *item, struct retry_policy *retry)
{
    static const char *const keys[] = {"attempts", "backoff", "on", NULL};
    static const char *const backoff_keys[] = {"initial", "max", NULL};
    *retry = (struct retry_policy){.attempts = 3, .initial_ms = 1000, .max_ms = 5 * 60 * 1000};
    retry->on_unknown =
        read_word(file, item, "on_unknown", "retry", "fail") ? ON_UNKNOWN_FAIL : ON_UNKNOWN_RETRY;
    const struct json *object = field(file, item, "retry", JSON_OBJECT);
    if (!object)
        return;
    check_keys(file, object, keys, "\"retry\"");
    retry->attempts =
        (int)field_count(file, object, "attempts", 1, LIMIT_ATTEMPTS_MAX, retry->attempts);
    retry->on =
        read_word(file, object, "on", "retryable", "all") ? RETRY_ON_ALL : RETRY_ON_RETRYABLE;
    const struct json *backoff = field(file, object, "backoff", JSON_OBJECT);
    if (!backoff)
        return;
    check_keys(file, backoff, backoff_keys, "\"backoff\"");
    retry->initial_ms = field_duration(file, backoff, "initial", RETRY_MS_MAX, retry->initial_ms);
    retry->max_ms = field_duration(file, backoff, "max", RETRY_MS_MAX, retry->max_ms);
    if (retry->initial_ms > retry->max_ms) {
        if (json_get(backoff, "max"))
            at_value(file, json_get(backoff, "max"),
                     "\"max\" is the longest pause: it cannot be shorter than \"initial\"");
        retry->max_ms = retry->initial_ms;
    }
}

/* True if the step is something that this version does not have, which has been said. */
static bool is_of_another_version(struct file *file, const struct json *item)
{
    for (size_t i = 0; i < COUNT_OF(control_flow); i++) {
        const struct json *member = json_get(item, control_flow[i]);
        if (!member)
            continue;
        at_name(file, member,
                "\"%s\": there is no control flow in this version of runnel, steps run one after "
                "the other",
                control_flow[i]);
        return true;
    }
    return false;
}

static void read_step(struct file *file, const struct json *item, struct workflow *workflow,
                      const struct names *names)
{
    static const char *const keys[] = {"namespace", "disabled",      "notes",         "runtime",
                                       "uses",      "_props_cursor", "props",         "timeout",
                                       "retry",     "on_unknown",    "dynamic_props", NULL};
    struct step *step = &workflow->steps[workflow->step_count];
    read_namespace(file, item, workflow, step);
    if (is_of_another_version(file, item))
        return;
    check_keys(file, item, keys, "a step");
    step->disabled = field_bool(file, item, "disabled", false);
    const char *notes = field_text(file, item, "notes");
    step->notes = notes ? xstrdup(notes) : NULL;
    (void)field_text(file, item, "runtime");
    (void)field_text(file, item, "_props_cursor");
    step->timeout_ms =
        field_duration(file, item, "timeout", LIMIT_STEP_MS_MAX, workflow->timeout_ms);
    read_retry(file, item, &step->retry);
    const struct json *uses = json_get(item, "uses");
    if (!uses || json_is(uses, JSON_NULL))
        at_value(file, item, "a step needs \"uses\": the key of an action");
    use_read(file, item, false, names, step->disabled, &step->use);
}

/* The names of all triggers and steps; those of steps are LATER until they are passed. */
static struct names names_of(const struct json *steps, const struct workflow *workflow)
{
    struct names names = {.count = 0};
    names.list = xcalloc(workflow->trigger_count + json_count(steps) + 1, sizeof(*names.list));
    names.list[names.count++] = (struct known_name){"trigger", NAME_READY};
    for (size_t i = 0; i < workflow->trigger_count; i++)
        names.list[names.count++] =
            (struct known_name){workflow->triggers[i].namespace_, NAME_READY};
    for (const struct json *item = json_first(steps); item; item = json_next(item)) {
        const char *name = json_get_c(item, "namespace");
        names.list[names.count++] = (struct known_name){name ? name : "", NAME_LATER};
    }
    return names;
}

void workflow_read_steps(struct file *file, const struct json *root, struct workflow *workflow)
{
    const struct json *list = field(file, root, "steps", JSON_ARRAY);
    if (json_count(list) == 0)
        return;
    if (json_count(list) > LIMIT_STEPS) {
        at_name(file, list, "more than %d steps", LIMIT_STEPS);
        return;
    }
    struct names names = names_of(list, workflow);
    struct known_name *own = &names.list[1 + workflow->trigger_count];
    workflow->steps = xcalloc(json_count(list), sizeof(*workflow->steps));
    for (const struct json *item = json_first(list); item; item = json_next(item), own++) {
        own->state = NAME_SELF;
        if (json_is(item, JSON_OBJECT))
            read_step(file, item, workflow, &names);
        else
            at_value(file, item, "a step is a mapping: namespace, uses, props");
        own->state = json_get_bool(item, "disabled", false) ? NAME_DISABLED : NAME_READY;
        workflow->step_count++;
    }
    free(names.list);
}
