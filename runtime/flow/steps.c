/* The steps of a workflow: lists in lists. What every step has is read here; blocks.c and
 * flow_steps.c read what only some have. */
#include "flow/load.h"

enum { RETRY_MS_MAX = 24 * 3600 * 1000 };

/* ---- names */

struct known_name *names_find(struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i].name, name) == 0)
            return &names->list[i];
    return NULL;
}

static void read_namespace(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const char *const reserved[] = {"trigger",     "steps",     "process",
                                           "constructor", "prototype", "__proto__"};
    struct file *file = reader->file;
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
    const struct known_name *first = names_find(&reader->names, name);
    if (!first || first->state == NAME_LATER)
        return;
    bool is_trigger = (size_t)(first - reader->names.list) <= reader->workflow->trigger_count;
    at_value(file, value, "%s has the namespace \"%s\" already",
             is_trigger ? "a trigger" : "another step", name);
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

void step_check_keys(const struct file *file, const struct json *item, const char *const *own,
                     const char *where)
{
    static const char *const common[] = {"namespace", "disabled",      "notes",
                                         "runtime",   "_props_cursor", "on_error"};
    const char *keys[64];
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(common); i++)
        keys[count++] = common[i];
    for (size_t i = 0; own[i] && count + 1 < COUNT_OF(keys); i++)
        keys[count++] = own[i];
    keys[count] = NULL;
    check_keys(file, item, keys, where);
}

struct expr_template *template_read(struct steps_reader *reader, const struct json *at,
                                    struct json *value)
{
    struct expr_template *template = NULL;
    struct err err = ERR_INIT;
    bool ok = true;
    if (at)
        ok = templates_check(reader->file, at, &reader->names);
    if (ok && expr_compile(value, &template, NULL, &err) != 0)
        at_value(reader->file, at, "%s", err.text);
    json_free(value);
    return template;
}

/* ---- one step */

static void read_action(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const char *const keys[] = {"uses",       "props",         "timeout", "retry",
                                       "on_unknown", "dynamic_props", NULL};
    struct file *file = reader->file;
    step_check_keys(file, item, keys, "a step");
    const struct json *uses = json_get(item, "uses");
    if (!uses || json_is(uses, JSON_NULL))
        at_value(
            file, item,
            "a step needs \"uses\" (the key of an action) or one of \"code\", \"if\", \"switch\", "
            "\"parallel\", \"for_each\", \"workflow\", \"delay\", \"suspend\", \"respond\" and "
            "\"end\"");
    use_read(file, item, false, &reader->names, step->disabled, &step->use);
}

/* on_error: fail, continue, or a list of steps. */
static void read_on_error(struct steps_reader *reader, const struct json *item, struct step *step)
{
    const struct json *value = json_get(item, "on_error");
    if (!value || json_is(value, JSON_NULL) || str_eq_c(json_str(value), "fail"))
        return;
    char text[SHOWN_MAX];
    if (json_is(value, JSON_ARRAY)) {
        step->on_error = ON_ERROR_STEPS;
        struct known_name *own =
            step->namespace_ ? names_find(&reader->names, step->namespace_) : NULL;
        enum name_state state = own ? own->state : NAME_READY;
        if (own)
            own->state = NAME_READY; /* its $error can be seen */
        steps_read(reader, value, step->namespace_ ? step->namespace_ : "", &step->error_steps);
        if (own)
            own->state = state;
    } else if (str_eq_c(json_str(value), "continue")) {
        step->on_error = ON_ERROR_CONTINUE;
    } else {
        at_value(reader->file, value,
                 "\"on_error\" is fail, continue, or a list of steps to run then, not %s",
                 shown(value, text));
    }
}

static void read_step(struct steps_reader *reader, const struct json *item, struct step *step)
{
    struct file *file = reader->file;
    struct workflow *workflow = reader->workflow;
    read_namespace(reader, item, step);
    struct known_name *own = step->namespace_ ? names_find(&reader->names, step->namespace_) : NULL;
    if (own)
        own->state = NAME_SELF;
    step->disabled = field_bool(file, item, "disabled", false);
    const char *notes = field_text(file, item, "notes");
    step->notes = notes ? xstrdup(notes) : NULL;
    (void)field_text(file, item, "runtime");
    (void)field_text(file, item, "_props_cursor");
    step->timeout_ms =
        field_duration(file, item, "timeout", LIMIT_STEP_MS_MAX, workflow->timeout_ms);
    read_retry(file, item, &step->retry);
    if (!block_read(reader, item, step) && !flow_step_read(reader, item, step) &&
        !code_step_read(reader, item, step))
        read_action(reader, item, step);
    read_on_error(reader, item, step);
    if (own) {
        own->state = step->disabled ? NAME_DISABLED : NAME_READY;
        own->block = NULL;
    }
}

void steps_read(struct steps_reader *reader, const struct json *list, const char *block,
                struct step_list *ret)
{
    ret->list = xcalloc(json_count(list) + 1, sizeof(*ret->list));
    for (const struct json *item = json_first(list); item; item = json_next(item)) {
        struct step *step = &ret->list[ret->count++];
        if (reader->workflow->step_count++ >= LIMIT_STEPS) {
            at_value(reader->file, item, "more than %d steps", LIMIT_STEPS);
            break;
        }
        if (json_is(item, JSON_OBJECT))
            read_step(reader, item, step);
        else
            at_value(reader->file, item, "a step is a mapping: namespace, uses, props");
        if (!step->namespace_)
            step->namespace_ = xstrdup("");
    }
    for (size_t i = 0; *block && i < ret->count; i++) {
        struct known_name *name = names_find(&reader->names, ret->list[i].namespace_);
        if (name) {
            name->state = NAME_INSIDE;
            name->block = block;
        }
    }
}

static void branch_release(struct branch *branch)
{
    free(branch->name);
    expr_template_free(branch->when);
    steps_release(&branch->steps);
}

void steps_release(struct step_list *steps)
{
    for (size_t i = 0; i < steps->count; i++) {
        struct step *step = &steps->list[i];
        free(step->namespace_);
        free(step->notes);
        use_release(&step->use);
        code_free(step->code);
        steps_release(&step->error_steps);
        expr_template_free(step->config);
        for (size_t b = 0; b < step->branch_count; b++)
            branch_release(&step->branches[b]);
        free(step->branches);
        free(step->workflow);
    }
    free(steps->list);
    *steps = (struct step_list){0};
}

/* ---- all of them */

static void add_name(struct names *names, const char *name, enum name_state state)
{
    names->list = xrealloc(names->list, (names->count + 1) * sizeof(*names->list));
    names->list[names->count++] = (struct known_name){name, state, NULL};
}

/* The namespaces of a list and of all lists below it: wherever a mapping with a namespace is. */
static void add_names(struct names *names, const struct json *value, int depth)
{
    if (depth > LIMIT_YAML_DEPTH)
        return;
    if (json_is(value, JSON_OBJECT)) {
        const char *name = json_get_c(value, "namespace");
        if (name && !names_find(names, name))
            add_name(names, name, NAME_LATER);
    }
    if (json_is(value, JSON_OBJECT) || json_is(value, JSON_ARRAY))
        for (const struct json *item = json_first(value); item; item = json_next(item))
            if (!json_name(item) || strcmp(json_name(item), "props") != 0)
                add_names(names, item, depth + 1);
}

void workflow_read_steps(struct file *file, const struct json *root, struct workflow *workflow)
{
    const struct json *list = field(file, root, "steps", JSON_ARRAY);
    struct steps_reader reader = {.file = file, .workflow = workflow};
    add_name(&reader.names, "trigger", NAME_READY);
    for (size_t i = 0; i < workflow->trigger_count; i++)
        add_name(&reader.names, workflow->triggers[i].namespace_, NAME_READY);
    add_names(&reader.names, list, 0);
    steps_read(&reader, list, "", &workflow->steps);
    free(reader.names.list);
}
