/* `uses` and `props`: which component, with what. */
#include "flow/load.h"

static const char *role(bool is_source)
{
    return is_source ? "source" : "action";
}

/* A known key that this version is not of. */
static void report_version(struct file *file, const struct json *uses, struct str key,
                           const char *version)
{
    const struct lookup *lookup = &file->load->lookup;
    struct buf list = BUF_INIT(500);
    const struct component_def *def;
    for (size_t i = 0; (def = lookup->component_at(lookup->ctx, i)); i++)
        if (str_eq_c(key, def->key))
            buf_addf(&list, "%s%s", list.len ? ", " : "", def->version);
    at_value(file, uses, "there is no version %s of \"" STR_FMT "\", only %s", version,
             STR_ARG(key), buf_c(&list));
    buf_release(&list);
}

static void report_key(struct file *file, const struct json *uses, struct str key, bool is_source)
{
    const struct lookup *lookup = &file->load->lookup;
    struct nearest nearest;
    nearest_init(&nearest, key);
    const struct component_def *def;
    for (size_t i = 0; (def = lookup->component_at(lookup->ctx, i)); i++)
        if (def->is_source == is_source)
            nearest_offer(&nearest, def->key);
    char hint[NEAREST_TEXT_MAX];
    at_value(file, uses, "there is no %s \"" STR_FMT "\"%s", role(is_source), STR_ARG(key),
             nearest.best ? nearest_text(&nearest, hint)
                          : ": `runnel components` lists what there is");
}

static const struct component_def *find_component(struct file *file, const struct json *uses,
                                                  struct str key, const char *version,
                                                  bool is_source)
{
    const struct lookup *lookup = &file->load->lookup;
    if (!lookup->component)
        return NULL;
    const struct component_def *def = lookup->component(lookup->ctx, key, version);
    if (!def && file->load->is_kept)
        return NULL;
    if (!def && version && lookup->component(lookup->ctx, key, NULL)) {
        report_version(file, uses, key, version);
        return NULL;
    }
    if (!def) {
        report_key(file, uses, key, is_source);
        return NULL;
    }
    if (def->is_source != is_source) {
        at_value(file, uses, "\"" STR_FMT "\" is %s: it stands under \"%s\"", STR_ARG(key),
                 def->is_source ? "a source" : "an action", def->is_source ? "triggers" : "steps");
        return NULL;
    }
    return def;
}

static bool is_version(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '.' || c == '-' || c == '+'))
            return false;
    }
    return text.len > 0;
}

static void read_uses(struct file *file, const struct json *object, bool is_source, struct use *ret)
{
    const struct json *value = json_get(object, "uses");
    const char *text = field_text(file, object, "uses");
    if (!text)
        return;
    struct str rest = str_from(text), key;
    if (str_starts(rest, "./") || str_starts(rest, "../")) {
        at_value(file, value,
                 "\"%s\" is a file: code stands in steps; what a trigger uses is a component "
                 "(runnel new component makes one)",
                 text);
        return;
    }
    if (str_starts(rest, "@")) {
        at_value(file, value,
                 "\"%s\" is a private component of a Pipedream workspace: install it as a plugin "
                 "(runnel components install) and use its own key",
                 text);
        return;
    }
    bool has_version = str_find(rest, "@", 0) >= 0;
    (void)str_cut(&rest, '@', &key);
    if (key.len == 0 || key.len > 200 || (has_version && !is_version(rest))) {
        at_value(file, value, "\"uses\" must be a component's key, or key@version, not \"%s\"",
                 text);
        return;
    }
    ret->key = str_dup(key);
    ret->version = has_version ? str_dup(rest) : NULL;
    ret->component = find_component(file, value, key, ret->version, is_source);
}

static void read_dynamic(struct file *file, const struct json *object, struct use *ret)
{
    const struct json *list = field(file, object, "dynamic_props", JSON_ARRAY);
    if (!list)
        return;
    bool ok = true;
    for (const struct json *item = json_first(list); item; item = json_next(item)) {
        const char *name = json_get_c(item, "name");
        if (name && *name && json_get_c(item, "type"))
            continue;
        at_value(
            file, item,
            "an entry of \"dynamic_props\" describes a prop: a mapping with \"name\" and \"type\"");
        ok = false;
    }
    if (ret->component && !ret->component->has_additional_props) {
        at_name(file, list, "\"%s\" has no dynamic props", ret->key);
        return;
    }
    if (!ok)
        return;
    ret->dynamic = prop_defs_from_json(list, &ret->dynamic_count, &ret->dynamic_backing);
    if (!ret->dynamic && json_count(list) > 0)
        at_name(file, list,
                "\"dynamic_props\" has a description that is none: its types are those of `runnel "
                "components show %s`",
                ret->key ? ret->key : "KEY");
}

void use_read(struct file *file, const struct json *object, bool is_source,
              const struct names *known, bool is_draft, struct use *ret)
{
    size_t errors = problems_errors(file->load->problems);
    read_uses(file, object, is_source, ret);
    read_dynamic(file, object, ret);
    const struct json *props = field(file, object, "props", JSON_OBJECT);
    if (props)
        (void)templates_check(file, props, known);
    ret->props = props_check(file, object, props, ret, is_draft);
    if (problems_errors(file->load->problems) > errors)
        return;
    /* Each string has compiled on its own by now; what the whole could still refuse is said at the
     * props. */
    struct err err = ERR_INIT;
    if (expr_compile(ret->props, &ret->template, NULL, &err) != 0)
        at_name(file, props ? props : object, "%s", err.text);
}

void use_release(struct use *use)
{
    free(use->key);
    free(use->version);
    json_free(use->props);
    expr_template_free(use->template);
    if (use->dynamic)
        prop_defs_free(use->dynamic, use->dynamic_backing);
    else
        json_free(use->dynamic_backing);
    *use = (struct use){.key = NULL};
}
