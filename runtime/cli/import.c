/* `runnel import`: workflows of a repository that Pipedream syncs to (docs/from-pipedream.md). The
 * text of a workflow stays as it is but for the values that mean something only at Pipedream, each
 * set by yaml_set(); what the export does not have is said as a list of things to do. */
#include "cli/check.h"
#include "cli/cli.h"
#include "cli/files.h"
#include "flow/yaml.h"

#include "base/file.h"
#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPTION_NAME, OPTION_COUNT };

static const struct option_spec options[] = {
    [OPTION_NAME] = {"--name", "NAME", "the workflow's file; of a single one only"},
};

struct importing {
    const struct args *args;
    struct catalog *catalog;
    const struct project *project;
    struct json *answer; /* [{"workflow","from","files":[…],"todo":[…]}, …] */
    /* the workflow at hand */
    const char *folder;
    char *id;
    char *text;
    struct json *code; /* [[path, text], …], written when all is known */
    struct json *files, *todo;
    struct err *err;
};

static void to_do(struct importing *job, const char *format, ...) PRINTF_LIKE(2, 3);
static void to_do(struct importing *job, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (const struct json *t = json_first(job->todo); t; t = json_next(t))
        if (str_eq_c(json_str(t), text))
            return;
    (void)json_append(job->todo, json_new_string_c(text));
}

/* "greet-people-p_abc123" → "greet-people"; what a file's name cannot have becomes "-". */
static char *id_of(const char *folder)
{
    struct str name = str_from(folder);
    while (name.len > 1 && name.ptr[name.len - 1] == '/')
        name.len--;
    for (size_t i = name.len; i-- > 0;)
        if (name.ptr[i] == '/') {
            name = str_n(name.ptr + i + 1, name.len - i - 1);
            break;
        }
    ptrdiff_t at = str_find(name, "-p_", 0);
    if (at > 0)
        name.len = (size_t)at;
    char *id = str_dup(name);
    for (char *c = id; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              *c == '_' || *c == '-'))
            *c = '-';
    return id;
}

/* ---- values that mean something only there */

static int set(struct importing *job, const char *path, const struct json *value)
{
    char *changed = NULL;
    int rc = yaml_set(str_from(job->text), path, value, &changed, job->err);
    if (rc)
        return err_prefix(job->err, "%s", path);
    free(job->text);
    job->text = changed;
    return 0;
}

static int set_text(struct importing *job, const char *path, const char *text)
{
    struct json *value = json_new_string_c(text);
    int rc = set(job, path, value);
    json_free(value);
    return rc;
}

/* The export has a trigger's id and nothing else of it; the first letters say its kind. */
static int import_trigger(struct importing *job, const struct json *trigger, size_t index)
{
    struct str id = json_get_text(trigger, "id");
    char path[64], name[32];
    if (!id.len)
        return 0;
    (void)snprintf(name, sizeof(name), index ? "trigger_%zu" : "trigger", index + 1);
    (void)snprintf(path, sizeof(path), "triggers[%zu].namespace", index);
    int rc = json_get(trigger, "namespace") ? 0 : set_text(job, path, name);
    bool is_http = str_starts(id, "hi_");
    struct json *value = is_http ? json_new_object() : json_new_boolean(true);
    (void)snprintf(path, sizeof(path), "triggers[%zu].%s", index, is_http ? "http" : "manual");
    rc = rc ? rc : set(job, path, value);
    json_free(value);
    if (is_http)
        to_do(
            job,
            "trigger \"%s\": its URL is a new one (`runnel endpoints`); authorization, answer and "
            "CORS are not in the export",
            name);
    else if (str_starts(id, "ti_"))
        to_do(job,
              "trigger \"%s\" was a timer, whose times are not in the export: write schedule: "
              "{ cron: \"0 9 * * *\", timezone: Europe/Berlin } instead of manual: true",
              name);
    else
        to_do(
            job,
            "trigger \"%s\" was an event source, of which the export has its id only: write uses: "
            "KEY and props: instead of manual: true (`runnel components`)",
            name);
    return rc;
}

static int import_account(struct importing *job, const struct json *prop, size_t step,
                          const struct component_def *component)
{
    const struct prop_def *def =
        component ? component_prop(component, str_from(json_name(prop))) : NULL;
    const char *app = def && def->app ? def->app : json_name(prop), *name = NULL;
    for (size_t i = 0; i < job->project->account_count && !name; i++)
        if (strcmp(job->project->accounts[i].app, app) == 0)
            name = job->project->accounts[i].name;
    if (!name)
        to_do(job, "account \"%s\": runnel accounts add %s%s%s", app, app, def ? " --app " : "",
              def ? app : "");
    char *path = xasprintf("steps[%zu].props.%s", step, json_name(prop));
    struct json *value = json_new_object();
    json_set_string(value, "account", name ? name : app);
    int rc = set(job, path, value);
    json_free(value);
    free(path);
    return rc;
}

/* `uses: ./work/entry.py` is a file of the workflow's own folder there. */
static int import_code(struct importing *job, const char *uses, size_t step)
{
    char *from = xasprintf("%s/%s", job->folder, uses + 2), *text = NULL;
    char *file = xasprintf("workflows/%s/%s", job->id, uses + 2);
    char *path = xasprintf("steps[%zu].uses", step);
    char *own = xasprintf("./%s/%s", job->id, uses + 2);
    int rc = strstr(uses, "..")
                 ? err_set(job->err, RN_EINVAL,
                           "%s: code outside of the workflow's folder is not taken", uses)
                 : file_read(from, from, LIMIT_CODE_TEXT, &text, NULL, job->err);
    if (rc == 0) {
        struct json *pair = json_append(job->code, json_new_array());
        (void)json_append(pair, json_new_string_c(file));
        (void)json_append(pair, json_new_string_c(text));
        rc = set_text(job, path, own);
    }
    free(from);
    free(text);
    free(file);
    free(path);
    free(own);
    return rc;
}

/* Versions of components are counted anew here. */
static int import_version(struct importing *job, struct str uses, size_t step,
                          const struct component_def **ret)
{
    ptrdiff_t at = str_find(uses, "@", 1);
    struct str key = at > 0 ? str_n(uses.ptr, (size_t)at) : uses;
    char path[64];
    *ret = catalog_component(job->catalog, key, NULL);
    if (!*ret) {
        to_do(job,
              "step %zu uses " STR_FMT ", which is not installed: write it (`runnel new "
              "component`), or use an http-* action or a code step",
              step + 1, STR_ARG(key));
        return 0;
    }
    (void)snprintf(path, sizeof(path), "steps[%zu].uses", step);
    char *text = str_dup(key);
    int rc = at > 0 ? set_text(job, path, text) : 0;
    free(text);
    return rc;
}

static int import_step(struct importing *job, const struct json *step, size_t index)
{
    const char *uses = json_get_c(step, "uses");
    const struct component_def *component = NULL;
    bool is_code = uses && strncmp(uses, "./", 2) == 0;
    int rc = 0;
    if (is_code)
        rc = import_code(job, uses, index);
    else if (uses)
        rc = import_version(job, str_from(uses), index, &component);
    if (!is_code && !component)
        return rc; /* nobody knows what its props are */
    for (const struct json *p = json_first(json_get(step, "props")); p && !rc; p = json_next(p))
        if (json_get(p, "authProvisionId"))
            rc = import_account(job, p, index, component);
    return rc;
}

/* ---- a workflow */

static int import_values(struct importing *job)
{
    struct problems problems = PROBLEMS_INIT;
    struct yaml_doc *doc = yaml_parse("workflow.yaml", str_from(job->text), &problems);
    const struct json *root = doc ? yaml_root(doc) : NULL;
    int rc = 0;
    size_t index = 0;
    if (!doc)
        rc = err_set(job->err, RN_EINVAL, "%s/workflow.yaml:%d:%d: %s", job->folder,
                     problems.count ? problems.list[0].line : 1,
                     problems.count ? problems.list[0].column : 1,
                     problems.count ? problems.list[0].text : "this is no YAML");
    /* yaml_set() works on the text: the tree of what it was before stays a guide to it */
    for (const struct json *t = json_first(json_get(root, "triggers")); t && !rc; t = json_next(t))
        rc = import_trigger(job, t, index++);
    index = 0;
    for (const struct json *s = json_first(json_get(root, "steps")); s && !rc; s = json_next(s))
        rc = import_step(job, s, index++);
    yaml_free(doc);
    problems_release(&problems);
    return rc;
}

static int write_one(struct importing *job, const char *file, const char *text)
{
    char *to = xasprintf("%s/%s", job->args->project, file);
    int rc = cli_write_file(to, text, job->err);
    if (rc == 0)
        (void)json_append(job->files, json_new_string_c(file));
    free(to);
    return rc;
}

static int import_one(struct importing *job, const char *folder)
{
    const char *name = job->args->options[OPTION_NAME];
    char *from = xasprintf("%s/workflow.yaml", folder);
    job->folder = folder;
    job->id = name ? xstrdup(name) : id_of(folder);
    char *file = xasprintf("workflows/%s.yaml", job->id);
    char *to = xasprintf("%s/%s", job->args->project, file);
    struct json *entry = json_append(job->answer, json_new_object());
    json_set_string(entry, "workflow", job->id);
    json_set_string(entry, "from", from);
    job->files = json_set(entry, "files", json_new_array());
    job->todo = json_set(entry, "todo", json_new_array());
    int rc = access(to, F_OK) == 0
                 ? err_set(job->err, RN_EEXISTS,
                           "%s is there already: give the workflow another name with --name", file)
                 : file_read(from, from, LIMIT_YAML_BYTES, &job->text, NULL, job->err);
    job->code = json_new_array();
    rc = rc ? rc : import_values(job);
    for (const struct json *c = json_first(job->code); c && !rc; c = json_next(c))
        rc = write_one(job, json_c(json_first(c)), json_c(json_at(c, 1)));
    rc = rc ? rc : write_one(job, file, job->text);
    json_free(job->code);
    free(job->text);
    job->text = NULL;
    free(job->id);
    free(from);
    free(file);
    free(to);
    return rc;
}

static bool has_workflow(const char *folder)
{
    char *path = xasprintf("%s/workflow.yaml", folder);
    bool is_there = access(path, F_OK) == 0;
    free(path);
    return is_there;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Each folder of a repository that holds a workflow, in the order of their names. */
static int import_all(struct importing *job, const char *dir)
{
    char **folders = NULL;
    size_t count = 0;
    DIR *listing = opendir(dir);
    if (!listing)
        return err_set(job->err, RN_ENOTFOUND, "%s: %s", dir, strerrordesc_np(errno));
    for (struct dirent *e; (e = readdir(listing));) {
        char *folder = xasprintf("%s/%s", dir, e->d_name);
        if (e->d_name[0] == '.' || !has_workflow(folder)) {
            free(folder);
            continue;
        }
        folders = xrealloc(folders, (count + 1) * sizeof(*folders));
        folders[count++] = folder;
    }
    (void)closedir(listing);
    if (count)
        qsort(folders, count, sizeof(*folders), by_name);
    int rc = count ? 0
                   : err_set(job->err, RN_ENOTFOUND,
                             "there is no workflow.yaml in %s, nor in a folder of it", dir);
    for (size_t i = 0; i < count; i++) {
        rc = rc ? rc : import_one(job, folders[i]);
        free(folders[i]);
    }
    free(folders);
    return rc;
}

/* ---- the command */

static void print(const struct json *answer)
{
    for (const struct json *w = json_first(answer); w; w = json_next(w)) {
        const struct json *files = json_get(w, "files"), *todo = json_get(w, "todo");
        if (!json_count(files))
            continue;
        printf("%s%s%s\n", out_bold(), json_get_c(w, "workflow"), out_reset());
        for (const struct json *f = json_first(files); f; f = json_next(f))
            printf("  %s\n", json_c(f));
        for (const struct json *t = json_first(todo); t; t = json_next(t)) {
            char *text = out_clean(json_c(t));
            printf("  %sto do:%s %s\n", out_yellow(), out_reset(), text);
            free(text);
        }
    }
}

static int run_import(const struct args *args)
{
    const char *dir = args->positional[0];
    struct problems problems = PROBLEMS_INIT;
    struct err err = ERR_INIT;
    struct catalog *catalog = NULL;
    struct project *project = NULL;
    if (args->options[OPTION_NAME] && !has_workflow(dir))
        return cli_wrong(args, "--name is for the folder of one workflow");
    int rc = check_load(args, &catalog, &project, &problems, &err);
    struct importing job = {.args = args,
                            .catalog = catalog,
                            .project = project,
                            .answer = json_new_array(),
                            .err = &err};
    if (rc == 0)
        rc = has_workflow(dir) ? import_one(&job, dir) : import_all(&job, dir);
    if (args->is_json)
        out_json(job.answer);
    else
        print(job.answer);
    if (rc == 0 && !args->is_json)
        printf("\nNext: runnel check\n");
    json_free(job.answer);
    problems_release(&problems);
    project_unref(project);
    catalog_unref(catalog);
    return rc ? out_error(&err) : 0;
}

const struct command command_import = {
    .name = "import",
    .usage = "DIR",
    .summary = "take workflows from a repository that Pipedream syncs to",
    .help =
        "DIR is the folder of a workflow (with workflow.yaml and its code), or of a repository of "
        "such folders. Writes\nworkflows/NAME.yaml and the code beside it, never over a file that "
        "is there, and lists what the export does\nnot have: a trigger's configuration, accounts, "
        "components that are not installed.",
    .examples = "runnel import ~/my-pipedream-repo\n"
                "runnel import ~/my-pipedream-repo/greet-people-p_abc123 --name greet",
    .options = options,
    .option_count = OPTION_COUNT,
    .min_args = 1,
    .max_args = 1,
    .run = run_import,
};
