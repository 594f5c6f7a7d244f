/* What starts a workflow: a source of its own, a shared source, the native HTTP trigger, or only a
 * person. */
#include "flow/http_trigger.h"
#include "flow/load.h"
#include "flow/schedule.h"

enum { TRIGGERS_MAX = 100 };

static const char *const kinds[] = {"uses", "source", "workflow", "http", "schedule", "manual"};

static bool has_kind(const struct json *item, const char *kind)
{
    const struct json *value = json_get(item, kind);
    if (json_is(value, JSON_NULL))
        return strcmp(kind, "http") == 0; /* "http:" is a likely slip for "http: {}" */
    return value && !(json_is(value, JSON_BOOLEAN) && !json_is_true(value));
}

/* Says what a parser of options found, at the member's name if it is the name that is wrong. */
static void report_place(const struct file *file, const struct json *where, const struct err *err)
{
    if (str_starts(str_from(err->text), "unknown key"))
        at_name(file, where, "%s", err->text);
    else
        at_value(file, where, "%s", err->text);
}

static void read_namespace(struct file *file, const struct json *item, struct workflow *workflow,
                           struct trigger *trigger)
{
    size_t index = workflow->trigger_count;
    const struct json *value = json_get(item, "namespace");
    const char *name = field_text(file, item, "namespace");
    if (!name) {
        if (!value && index > 0)
            at_value(file, item,
                     "a trigger needs a \"namespace\"; only the first may do without (it is "
                     "\"trigger\" then)");
        trigger->namespace_ = index == 0 ? xstrdup("trigger") : xasprintf("trigger_%zu", index + 1);
        return;
    }
    trigger->namespace_ = xstrdup(name);
    if (!is_identifier(str_from(name)) || strlen(name) > 100)
        at_value(
            file, value,
            "a namespace has letters, digits and '_', no digit first, 100 at most; \"%s\" is none",
            name);
    else if (index > 0 && strcmp(name, "trigger") == 0)
        at_value(file, value, "\"trigger\" is the first trigger's name: choose another");
    for (size_t i = 0; i < index; i++)
        if (strcmp(workflow->triggers[i].namespace_, name) == 0)
            at_value(file, value, "another trigger has the namespace \"%s\" already", name);
}

static void read_shared(struct file *file, const struct json *item, struct workflow *workflow,
                        struct trigger *trigger)
{
    static const char *const not_here[] = {"props", "dynamic_props", "dedupe"};
    struct load *load = file->load;
    const struct json *value = json_get(item, "source");
    const char *name = field_text(file, item, "source");
    for (size_t i = 0; i < COUNT_OF(not_here); i++)
        if (json_get(item, not_here[i]))
            at_name(file, json_get(item, not_here[i]),
                    "\"%s\" of a shared source stands in sources/%s.yaml", not_here[i],
                    name ? name : "NAME");
    if (!name)
        return;
    trigger->source =
        str_starts(str_from(name), "sources/") ? xstrdup(name) : xasprintf("sources/%s", name);
    for (size_t i = 0; i < workflow->trigger_count; i++)
        if (workflow->triggers[i].source &&
            strcmp(workflow->triggers[i].source, trigger->source) == 0 &&
            strcmp(workflow->triggers[i].channel, trigger->channel) == 0)
            at_value(file, value,
                     "another trigger of this workflow has the source \"%s\" already: each event "
                     "would run it twice",
                     name);
    if (load->is_kept || project_source(load->project, str_from(trigger->source)))
        return;
    if (map_get(&load->broken_sources, str_from(trigger->source))) {
        at_value(file, value, "the source \"%s\" has mistakes: see %s.yaml", name, trigger->source);
        return;
    }
    struct nearest nearest;
    nearest_init(&nearest, str_from(name));
    for (size_t i = 0; i < load->project->source_count; i++)
        if (str_starts(str_from(load->project->sources[i]->id), "sources/"))
            nearest_offer(&nearest, load->project->sources[i]->id + strlen("sources/"));
    char hint[NEAREST_TEXT_MAX];
    at_value(file, value, "there is no source \"%s\"%s", name,
             nearest.best ? nearest_text(&nearest, hint)
                          : ": a shared source is a file of the folder sources/");
}

static void read_own(struct file *file, const struct json *item, struct workflow *workflow,
                     struct trigger *trigger)
{
    struct load *load = file->load;
    trigger->source = xasprintf("workflows/%s/%s", workflow->id, trigger->namespace_);
    struct source *source = source_new(xstrdup(trigger->source), file->name);
    use_read(file, item, true, NULL, false, &source->use);
    source->inactive = workflow->inactive;
    source->env = workflow->env ? json_copy(workflow->env) : NULL;
    source_read_dedupe(file, item, source);
    if (load->is_kept)
        source_free(source);
    else
        project_add_source(load->project, source);
}

/* Each option by itself, so that a mistake in one does not hide those of the others. */
static void check_http_option(struct file *file, const struct json *option)
{
    struct json *alone = json_new_object();
    const struct json *where = NULL,
                      *shown = json_set(alone, json_name(option), json_borrow(option));
    struct http_trigger *parsed = NULL;
    struct err err = ERR_INIT;
    if (http_trigger_parse(alone, true, &parsed, &where, &err))
        report_place(file, where == shown || where == alone ? option : where, &err);
    http_trigger_free(parsed);
    json_free(alone);
}

/* The options hold for a text kept earlier, too: its runs have begun. */
static void read_http(struct file *file, const struct json *item, struct trigger *trigger)
{
    const struct json *http = field(file, item, "http", JSON_OBJECT);
    trigger->config = http ? json_copy(http) : json_new_object();
    if (json_is(json_get(item, "http"), JSON_NULL))
        at_name(file, json_get(item, "http"), "the HTTP trigger is written \"http: {}\"");
    if (!http || file->load->is_kept)
        return;
    struct known_name event = {.name = "trigger", .state = NAME_READY};
    struct names names = {&event, 1};
    for (const struct json *option = json_first(http); option; option = json_next(option)) {
        check_http_option(file, option);
        (void)templates_check(file, option,
                              strcmp(json_name(option), "dedupe") == 0 ? &names : NULL);
    }
}

static void read_schedule(struct file *file, const struct json *item, struct trigger *trigger)
{
    const struct json *value = json_get(item, "schedule"), *where = NULL;
    struct schedule *schedule = NULL;
    struct err err = ERR_INIT;
    trigger->config = json_copy(value);
    if (!file->load->is_kept && schedule_parse(value, false, &schedule, &where, &err))
        report_place(file, where, &err);
    schedule_free(schedule);
}

static void read_manual(struct file *file, const struct json *item, struct trigger *trigger)
{
    static const char *const keys[] = {"sample", NULL};
    const struct json *value = json_get(item, "manual");
    if (json_is(value, JSON_OBJECT)) {
        check_keys(file, value, keys, "\"manual\"");
        trigger->config = json_copy(value);
    } else {
        (void)field_bool(file, item, "manual", true);
    }
}

static void check_trigger_keys(struct file *file, const struct json *item)
{
    static const char *const keys[] = {"namespace", "uses",   "props",  "dynamic_props", "source",
                                       "channel",   "id",     "dedupe", "workflow",      "http",
                                       "schedule",  "manual", NULL};
    static const char *const slips[][2] = {{"timer", "schedule: { every: 15m }"},
                                           {"cron", "schedule: { cron: \"0 9 * * 1-5\" }"},
                                           {"every", "schedule: { every: 15m }"}};
    bool has_slip = false;
    for (size_t i = 0; i < COUNT_OF(slips); i++) {
        const struct json *member = json_get(item, slips[i][0]);
        if (member)
            at_name(file, member, "a trigger that the clock fires is written %s", slips[i][1]);
        has_slip = has_slip || member;
    }
    if (json_get(item, "email"))
        at_name(file, json_get(item, "email"),
                "there is no email trigger in this version of runnel");
    if (!has_slip && !json_get(item, "email"))
        check_keys(file, item, keys, "a trigger");
}

static void read_trigger(struct file *file, const struct json *item, struct workflow *workflow)
{
    struct trigger *trigger = &workflow->triggers[workflow->trigger_count];
    size_t errors = problems_errors(file->load->problems), found = 0;
    check_trigger_keys(file, item);
    bool has_later_kind = problems_errors(file->load->problems) > errors;
    read_namespace(file, item, workflow, trigger);
    if (json_get(item, "id") && !file->load->is_kept)
        warn_name(file, json_get(item, "id"),
                  "\"id\" is Pipedream's own name for this trigger: it is ignored here");
    const char *channel = field_text(file, item, "channel");
    trigger->channel = xstrdup(channel ? channel : "");
    const char *kind = NULL;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (!has_kind(item, kinds[i]))
            continue;
        if (found++ == 0)
            kind = kinds[i];
        else
            at_name(file, json_get(item, kinds[i]),
                    "a trigger has one of \"uses\", \"source\", \"workflow\", \"http\", "
                    "\"schedule\" and "
                    "\"manual\": \"%s\" is here beside \"%s\"",
                    kinds[i], kind);
    }
    trigger->kind = TRIGGER_MANUAL;
    if (!kind) {
        if (!has_later_kind)
            at_value(file, item,
                     "a trigger needs \"uses\" (a source's key), \"source\" (a file of sources/), "
                     "\"workflow\" (one that emits), \"http: {}\", \"schedule: { … }\" or "
                     "\"manual: true\"");
    } else if (strcmp(kind, "manual") == 0) {
        read_manual(file, item, trigger);
    } else if (strcmp(kind, "schedule") == 0) {
        trigger->kind = TRIGGER_SCHEDULE;
        read_schedule(file, item, trigger);
    } else if (strcmp(kind, "http") == 0) {
        trigger->kind = TRIGGER_HTTP;
        read_http(file, item, trigger);
    } else if (strcmp(kind, "workflow") == 0) {
        trigger->kind = TRIGGER_WORKFLOW;
        listen_read(file, item, workflow, trigger);
    } else {
        trigger->kind = TRIGGER_SOURCE;
        if (strcmp(kind, "source") == 0)
            read_shared(file, item, workflow, trigger);
        else
            read_own(file, item, workflow, trigger);
    }
    static const char *const of_sources[] = {"props", "dynamic_props", "dedupe", "channel"};
    if (kind && strcmp(kind, "http") == 0 && json_get(item, "dedupe"))
        at_name(file, json_get(item, "dedupe"),
                "\"dedupe\" of an HTTP trigger stands inside: http: { dedupe: { id: … } }");
    bool has_channel = trigger->kind == TRIGGER_WORKFLOW;
    for (size_t i = 0; kind && trigger->kind != TRIGGER_SOURCE && i < COUNT_OF(of_sources); i++)
        if (json_get(item, of_sources[i]) &&
            !(has_channel && strcmp(of_sources[i], "channel") == 0))
            at_name(file, json_get(item, of_sources[i]),
                    "\"%s\" belongs to a source; a trigger with \"%s\" has none", of_sources[i],
                    kind);
}

void workflow_read_triggers(struct file *file, const struct json *root, struct workflow *workflow)
{
    const struct json *list = field(file, root, "triggers", JSON_ARRAY);
    if (json_count(list) == 0) {
        if (!json_get(root, "triggers") || list || json_is(json_get(root, "triggers"), JSON_NULL))
            warn_name(file, json_get(root, "triggers"),
                      "the workflow has no trigger: only `runnel run` starts it");
        return;
    }
    if (json_count(list) > TRIGGERS_MAX) {
        at_name(file, list, "more than %d triggers", TRIGGERS_MAX);
        return;
    }
    workflow->triggers = xcalloc(json_count(list), sizeof(*workflow->triggers));
    for (const struct json *item = json_first(list); item; item = json_next(item)) {
        if (json_is(item, JSON_OBJECT))
            read_trigger(file, item, workflow);
        else
            at_value(file, item, "a trigger is a mapping: namespace, uses, props");
        struct trigger *trigger = &workflow->triggers[workflow->trigger_count++];
        if (!trigger->namespace_)
            trigger->namespace_ = xstrdup("");
        if (!trigger->channel)
            trigger->channel = xstrdup("");
    }
}
