/* `runnel configure WORKFLOW`: asks for each prop that a trigger or step still lacks, with the
 * component's live options, and writes the file without touching anything else in it. */
#include "cli/ask.h"

#include "base/file.h"
#include "base/limits.h"
#include "flow/yaml.h"

#include <unistd.h>

static const struct option_spec options[] = {
    {"-a, --all", NULL, "ask for optional props too"},
};

/* One file being configured. */
struct job {
    const struct args *args;
    struct client *client;
    struct catalog *catalog;
    char *text;       /* as it is to be */
    struct json *set; /* [{path, value}]: what was answered */
};

static int write_text(const char *path, const char *text, struct err *err)
{
    char *draft = xasprintf("%s.draft", path);
    FILE *file = fopen(draft, "we");
    int rc = 0;
    if (!file || fputs(text, file) == EOF || fclose(file) || rename(draft, path))
        rc = err_set(err, RN_EIO, "%s cannot be written", path);
    free(draft);
    return rc;
}

static bool has_value_to_ask(const struct prop_def *prop)
{
    return prop->type != RN_ALERT && prop->type != RN_HTTP_INTERFACE &&
           prop->type != RN_TIMER_INTERFACE && prop->type != RN_DB_SERVICE &&
           !(prop->flags & (RN_HIDDEN | RN_DISABLED));
}

/* Takes `value`. */
static int set(struct job *job, const char *path, struct json *value, struct err *err)
{
    char *changed = NULL;
    int rc = yaml_set(str_from(job->text), path, value, &changed, err);
    if (rc) {
        json_free(value);
        return rc;
    }
    free(job->text);
    job->text = changed;
    struct json *item = json_append(job->set, json_new_object());
    json_set_string(item, "path", path);
    (void)json_set(item, "value", value);
    return 0;
}

static int ask_each(struct job *job, const char *component, const struct prop_def *defs,
                    size_t count, const char *where, struct json *props, struct err *err)
{
    bool asks_all = job->args->options[0] != NULL;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct prop_def *prop = &defs[i];
        if (json_get(props, prop->name) || !has_value_to_ask(prop) ||
            (!asks_all && (prop->flags & RN_OPTIONAL || prop->default_value)))
            continue;
        struct json *value = ask_prop(job->client, component, prop, props);
        if (!value)
            continue;
        char *path = xasprintf("%s%sprops.%s", where, *where ? "." : "", prop->name);
        (void)json_set(props, prop->name, json_copy(value));
        rc = set(job, path, value, err);
        free(path);
    }
    return rc;
}

static void show_alert(const struct prop_def *prop)
{
    const char *content = json_get_c(prop->json, "content");
    char *clean = out_clean(content ? content : "");
    fprintf(stderr, "  %s%s: %s%s\n", note_style("dim"), prop->label, clean, note_style("reset"));
    free(clean);
}

/* Props that the component makes of those answered: kept in the file beside their values. */
static int ask_dynamic(struct job *job, const struct component_def *component, const char *where,
                       struct json *props, struct err *err)
{
    struct json *body = json_new_object(), *list = NULL, *backing = NULL;
    json_set_string(body, "component", component->key);
    (void)json_set(body, "props", json_copy(props));
    int rc = client_call(job->client, "POST", "props", body, &list, err);
    json_free(body);
    if (rc) { /* what it needs is not configured, or cannot be reached: the rest still can be */
        char *text = out_clean(err->text);
        fprintf(stderr, "  %s(no further props: %s)%s\n", note_style("dim"), text,
                note_style("reset"));
        free(text);
        *err = (struct err)ERR_INIT;
        return 0;
    }
    size_t count = 0;
    bool has_values = false;
    struct prop_def *defs = prop_defs_from_json(list, &count, &backing);
    for (size_t i = 0; i < count; i++) {
        has_values |= has_value_to_ask(&defs[i]);
        if (defs[i].type == RN_ALERT)
            show_alert(&defs[i]);
    }
    if (has_values) {
        char *path = xasprintf("%s%sdynamic_props", where, *where ? "." : "");
        rc = set(job, path, json_copy(list), err);
        rc = rc ? rc : ask_each(job, component->key, defs, count, where, props, err);
        free(path);
    }
    prop_defs_free(defs, backing);
    json_free(list);
    return rc;
}

static int configure_use(struct job *job, const struct json *item, const char *where,
                         struct err *err)
{
    struct str uses = json_get_text(item, "uses"), key = STR_NONE;
    (void)str_cut(&uses, '@', &key);
    const struct component_def *component = catalog_component(job->catalog, key, NULL);
    if (!component)
        return 0; /* `runnel check` says so */
    const char *namespace_ = json_get_c(item, "namespace");
    struct json *props =
        json_get(item, "props") ? json_copy(json_get(item, "props")) : json_new_object();
    if (!json_is(props, JSON_OBJECT)) {
        json_free(props);
        return 0; /* the same */
    }
    fprintf(stderr, "\n%s%s%s (%s)\n", note_style("bold"), namespace_ ? namespace_ : where,
            note_style("reset"), component->key);
    size_t before = json_count(job->set);
    int rc =
        ask_each(job, component->key, component->props, component->prop_count, where, props, err);
    if (rc == 0 && component->has_additional_props && !json_get(item, "dynamic_props"))
        rc = ask_dynamic(job, component, where, props, err);
    if (rc == 0 && json_count(job->set) == before)
        fprintf(stderr, "  %snothing is missing%s\n", note_style("dim"), note_style("reset"));
    json_free(props);
    return rc;
}

/* Everything in the file that uses a component, however deep blocks are nested. */
static int walk(struct job *job, const struct json *value, const char *where, struct err *err)
{
    int rc = 0;
    size_t index = 0;
    if (json_is(value, JSON_OBJECT) && json_get_text(value, "uses").len)
        return configure_use(job, value, where, err);
    if (!json_is(value, JSON_OBJECT) && !json_is(value, JSON_ARRAY))
        return 0;
    for (const struct json *v = json_first(value); v && rc == 0; v = json_next(v)) {
        char *inner = json_is(value, JSON_ARRAY)
                          ? xasprintf("%s[%zu]", where, index++)
                          : xasprintf("%s%s%s", where, *where ? "." : "", json_name(v));
        rc = walk(job, v, inner, err);
        free(inner);
    }
    return rc;
}

static char *path_of(const struct args *args)
{
    const char *name = args->positional[0];
    const char *folder = strchr(name, '/') ? "" : "workflows/";
    return xasprintf("%s/%s%s%s", args->project, folder, name,
                     str_ends(str_from(name), ".yaml") ? "" : ".yaml");
}

static void report(const struct job *job, const char *path)
{
    size_t count = json_count(job->set);
    if (job->args->is_json) {
        struct json *answer = json_new_object();
        json_set_string(answer, "file", path);
        (void)json_set(answer, "set", json_copy(job->set));
        out_json(answer);
        json_free(answer);
    } else {
        printf("%s: %zu prop%s set\n", path, count, count == 1 ? "" : "s");
    }
}

static int configure(struct job *job, const char *path, struct err *err)
{
    struct problems problems = PROBLEMS_INIT;
    const char *data = job->args->data;
    struct yaml_doc *doc = NULL;
    int rc = 0;
    if ((rc = file_read(path, path, LIMIT_YAML_BYTES, &job->text, NULL, err)))
        return rc;
    if (!(doc = yaml_parse(path, str_from(job->text), &problems)))
        rc = err_set(err, RN_EINVAL, "%s is no YAML: `runnel check` says why", path);
    rc = rc ? rc : catalog_open(NULL, access(data, F_OK) == 0 ? data : NULL, &job->catalog, err);
    if (rc == 0 && !(job->client = client_open(job->args->project, true)))
        rc = err_set(err, RN_EUNAVAILABLE, "without a runtime there are no options");
    rc = rc ? rc : walk(job, yaml_root(doc), "", err);
    if (rc == 0 && json_count(job->set))
        rc = write_text(path, job->text, err);
    yaml_free(doc);
    problems_release(&problems);
    return rc;
}

static int run(const struct args *args)
{
    struct job job = {.args = args, .set = json_new_array()};
    struct err err = ERR_INIT;
    char *path = path_of(args);
    int rc = configure(&job, path, &err);
    if (rc == 0)
        report(&job, path);
    client_close(job.client);
    catalog_unref(job.catalog);
    json_free(job.set);
    free(job.text);
    free(path);
    return rc ? out_error(&err) : 0;
}

const struct command command_configure = {
    .name = "configure",
    .usage = "WORKFLOW [--all]",
    .summary = "ask for the props that a workflow still lacks, with live options",
    .help =
        "Each required prop without a value is asked for; an empty answer leaves it out. Answer "
        "with an option's\nnumber or a value ({{…}} too); for lists with several, divided by "
        "commas. \"+\" shows the next page,\n\"/text\" searches where the component can. The "
        "file keeps its comments and its order. sources/NAME\nconfigures a shared source.",
    .examples = "runnel configure segment-to-discord\n"
                "runnel configure segment-to-discord --all       # optional props too",
    .options = options,
    .option_count = COUNT_OF(options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
