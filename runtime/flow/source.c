/* Sources: declared in a file of their own, or by a trigger. */
#include "flow/load.h"

enum { REMEMBER_MAX = 1000000 };

struct source *source_new(char *id, const char *file_name)
{
    struct source *source = xcalloc(1, sizeof(*source));
    source->id = id;
    source->file = xstrdup(file_name);
    source->remember = LIMIT_DEDUPE_IDS;
    return source;
}

void source_free(struct source *source)
{
    if (!source)
        return;
    use_release(&source->use);
    json_free(source->env);
    free(source->id);
    free(source->file);
    free(source);
}

void source_read_dedupe(const struct file *file, const struct json *object, struct source *source)
{
    static const char *const keys[] = {"remember", NULL};
    const struct json *dedupe = field(file, object, "dedupe", JSON_OBJECT);
    if (!dedupe)
        return;
    check_keys(file, dedupe, keys, "\"dedupe\"");
    source->remember =
        (uint32_t)field_count(file, dedupe, "remember", 1, REMEMBER_MAX, LIMIT_DEDUPE_IDS);
    const struct component_def *component = source->use.component;
    if (component && component->dedupe != RN_DEDUPE_UNIQUE && json_get(dedupe, "remember"))
        warn_name(file, json_get(dedupe, "remember"),
                  "%s does not dedupe by remembered ids: \"remember\" changes nothing",
                  component->key);
}

struct source *source_parse(struct load *load, const char *name, struct str text)
{
    static const char *const keys[] = {"uses",     "props",  "dynamic_props",
                                       "inactive", "dedupe", NULL};
    char *file_name = xasprintf("sources/%s.yaml", name);
    size_t errors = problems_errors(load->problems);
    struct source *source = NULL;
    struct file file = {.load = load, .name = file_name};
    file.doc = yaml_parse(file_name, text, load->problems);
    if (!file.doc)
        goto out;
    const struct json *root = yaml_root(file.doc);
    if (!json_is(root, JSON_OBJECT)) {
        at_value(&file, root, "a source is a mapping: uses: KEY, props: { … }");
        goto out;
    }
    check_keys(&file, root, keys, "a source");
    source = source_new(xasprintf("sources/%s", name), file_name);
    if (!json_get(root, "uses"))
        at_value(&file, root, "a source needs \"uses\": the key of its component");
    use_read(&file, root, true, NULL, false, &source->use);
    source->inactive = field_bool(&file, root, "inactive", false);
    source_read_dedupe(&file, root, source);
out:
    if (problems_errors(load->problems) > errors) {
        source_free(source);
        source = NULL;
    }
    yaml_free(file.doc);
    free(file_name);
    return source;
}
