/* A workflow file: its head and settings. Triggers and steps have files of their own. */
#include "flow/load.h"

#include "crypto/hmac.h"

enum { WORKERS_MAX = 10000 };

static void read_settings(struct file *file, const struct json *root, struct workflow *workflow)
{
    static const char *const keys[] = {"timeout", "concurrency", "lambda_timeout",
                                       "error_notification", NULL};
    static const char *const concurrency_keys[] = {"workers", NULL};
    const struct json *settings = field(file, root, "settings", JSON_OBJECT);
    if (!settings)
        return;
    check_keys(file, settings, keys, "\"settings\"");
    (void)field_bool(file, settings, "error_notification", false);
    const struct json *seconds = json_get(settings, "lambda_timeout");
    workflow->timeout_ms = field_count(file, settings, "lambda_timeout", 1,
                                       LIMIT_STEP_MS_MAX / 1000, workflow->timeout_ms / 1000) *
                           1000;
    if (seconds && json_get(settings, "timeout"))
        at_name(file, seconds, "\"lambda_timeout\" and \"timeout\" say the same thing: keep one");
    workflow->timeout_ms =
        field_duration(file, settings, "timeout", LIMIT_STEP_MS_MAX, workflow->timeout_ms);
    const struct json *concurrency = field(file, settings, "concurrency", JSON_OBJECT);
    check_keys(file, concurrency, concurrency_keys, "\"concurrency\"");
    workflow->workers = (int)field_count(file, concurrency, "workers", 1, WORKERS_MAX, 0);
}

static void read_root(struct file *file, const struct json *root, struct workflow *workflow)
{
    static const char *const keys[] = {"schema",   "name",  "inactive", "settings",
                                       "triggers", "steps", NULL};
    if (!json_is(root, JSON_OBJECT)) {
        at_value(file, root, "a workflow is a mapping with \"triggers\" and \"steps\"");
        return;
    }
    check_keys(file, root, keys, "a workflow");
    const char *schema = field_text(file, root, "schema");
    if (schema && strcmp(schema, "workflow/2022.04") != 0)
        warn_value(file, json_get(root, "schema"),
                   "the schema \"%s\" is not known; the file is read as workflow/2022.04", schema);
    const char *name = field_text(file, root, "name");
    if (name && *name) {
        free(workflow->name);
        workflow->name = xstrdup(name);
    }
    workflow->inactive = field_bool(file, root, "inactive", false);
    read_settings(file, root, workflow);
    workflow_read_triggers(file, root, workflow);
    workflow_read_steps(file, root, workflow);
}

struct workflow *workflow_read(struct load *load, const char *id, const char *name, struct str text)
{
    size_t errors = problems_errors(load->problems), sources = load->project->source_count;
    struct file file = {.load = load, .name = name};
    struct workflow *workflow = xcalloc(1, sizeof(*workflow));
    workflow->id = xstrdup(id);
    workflow->name = xstrdup(id);
    workflow->file = xstrdup(name);
    workflow->text = xmemdup(text.len ? text.ptr : "", text.len);
    workflow->timeout_ms = LIMIT_STEP_MS;
    char hex[CRYPTO_HEX_MAX];
    crypto_hash_hex(CRYPTO_SHA256, text, hex);
    memcpy(workflow->sha256, hex, sizeof(workflow->sha256));
    file.doc = yaml_parse(name, text, load->problems);
    if (file.doc)
        read_root(&file, yaml_root(file.doc), workflow);
    yaml_free(file.doc);
    if (problems_errors(load->problems) == errors)
        return workflow;
    while (!load->is_kept && load->project->source_count > sources)
        source_free(load->project->sources[--load->project->source_count]);
    workflow_free(workflow);
    return NULL;
}

void workflow_free(struct workflow *workflow)
{
    if (!workflow)
        return;
    for (size_t i = 0; i < workflow->trigger_count; i++) {
        free(workflow->triggers[i].namespace_);
        free(workflow->triggers[i].source);
        free(workflow->triggers[i].channel);
        json_free(workflow->triggers[i].config);
    }
    for (size_t i = 0; i < workflow->step_count; i++) {
        free(workflow->steps[i].namespace_);
        free(workflow->steps[i].notes);
        use_release(&workflow->steps[i].use);
    }
    free(workflow->triggers);
    free(workflow->steps);
    free(workflow->id);
    free(workflow->name);
    free(workflow->file);
    free(workflow->text);
    free(workflow);
}
