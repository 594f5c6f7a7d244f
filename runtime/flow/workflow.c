/* A workflow file: its head and settings. Triggers and steps have files of their own. */
#include "flow/load.h"

#include "crypto/hmac.h"

void workflow_check_id(const struct file *file, const struct json *value)
{
    workflow_check_named(file, value, json_str(value));
}

void workflow_check_named(const struct file *file, const struct json *value, struct str id)
{
    const struct load *load = file->load;
    struct nearest nearest;
    nearest_init(&nearest, id);
    for (size_t i = 0; i < load->workflow_id_count; i++) {
        if (str_eq_c(id, load->workflow_ids[i]))
            return;
        nearest_offer(&nearest, load->workflow_ids[i]);
    }
    char hint[NEAREST_TEXT_MAX], text[SHOWN_MAX];
    if (!load->is_kept)
        at_value(file, value, "there is no workflow %s%s", shown(value, text),
                 nearest.best ? nearest_text(&nearest, hint)
                              : ": name a file of the folder workflows/ without .yaml");
}

static void read_root(struct file *file, const struct json *root, struct workflow *workflow)
{
    static const char *const keys[] = {"schema", "name",     "inactive", "settings",
                                       "env",    "triggers", "steps",    NULL};
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
    workflow_read_settings(file, root, workflow);
    file->env = workflow->env;
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
    file.doc = yaml_parse(name, text, load->problems);
    if (file.doc)
        read_root(&file, yaml_root(file.doc), workflow);
    code_check_syntax(&file);
    yaml_free(file.doc);
    char hex[CRYPTO_HEX_MAX]; /* of the code files, too */
    crypto_hash_hex(CRYPTO_SHA256, str_from(workflow->text), hex);
    memcpy(workflow->sha256, hex, sizeof(workflow->sha256));
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
    steps_release(&workflow->steps);
    expr_template_free(workflow->key);
    free(workflow->auto_retry);
    free(workflow->error_workflow);
    json_free(workflow->sse_origins);
    json_free(workflow->env);
    free(workflow->triggers);
    free(workflow->id);
    free(workflow->name);
    free(workflow->file);
    free(workflow->text);
    free(workflow);
}
