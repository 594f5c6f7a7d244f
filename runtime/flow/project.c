/* A project as a whole: its files in the order in which they need each other — .env, runnel.yaml,
 * sources, workflows. */
#include "flow/load.h"

#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* What callers do not see of a project. */
struct owned {
    struct project project; /* first */
    atomic_int references;
    struct catalog *catalog; /* its component_defs are pointed to */
};

static struct owned *owned_of(struct project *project)
{
    return (struct owned *)(void *)project;
}

struct project *project_new(void)
{
    struct owned *owned = xcalloc(1, sizeof(*owned));
    atomic_init(&owned->references, 1);
    owned->project.listen = xstrdup("127.0.0.1:8080");
    owned->project.admin = xstrdup("127.0.0.1:8081");
    owned->project.limits.body = LIMIT_HTTP_BODY;
    owned->project.limits.store = LIMIT_STORE_BYTES;
    owned->project.limits.history_bytes = LIMIT_HISTORY_BYTES;
    owned->project.limits.history_age_ms = LIMIT_HISTORY_AGE_MS;
    owned->project.limits.plugin_memory = LIMIT_PLUGIN_MEMORY;
    owned->project.limits.files = LIMIT_FILES;
    return &owned->project;
}

struct project *project_ref(struct project *project)
{
    atomic_fetch_add(&owned_of(project)->references, 1);
    return project;
}

static void release_accounts(struct project *project)
{
    for (size_t i = 0; i < project->account_count; i++) {
        for (const struct json *item = json_first(project->accounts[i].auth); item;
             item = json_next(item))
            mem_wipe((void *)(uintptr_t)json_str(item).ptr, json_str(item).len);
        free(project->accounts[i].name);
        free(project->accounts[i].app);
        json_free(project->accounts[i].auth);
    }
    free(project->accounts);
}

void project_unref(struct project *project)
{
    if (!project || atomic_fetch_sub(&owned_of(project)->references, 1) > 1)
        return;
    free(project->dir);
    free(project->data_dir);
    free(project->listen);
    free(project->admin);
    free(project->public_url);
    free(project->tls_certificate);
    free(project->tls_key);
    release_accounts(project);
    names_free(project->egress_allow, project->egress_allow_count);
    for (size_t i = 0; i < project->rewrite_count; i++) {
        free(project->rewrites[i].from);
        free(project->rewrites[i].to);
    }
    free(project->rewrites);
    smtp_release(&project->smtp);
    json_free(project->env);
    for (size_t i = 0; i < project->workflow_count; i++)
        workflow_free(project->workflows[i]);
    free(project->workflows);
    for (size_t i = 0; i < project->source_count; i++)
        source_free(project->sources[i]);
    free(project->sources);
    if (owned_of(project)->catalog)
        catalog_unref(owned_of(project)->catalog);
    free(project);
}

void project_add_source(struct project *project, struct source *source)
{
    project->sources =
        xrealloc(project->sources, (project->source_count + 1) * sizeof(*project->sources));
    project->sources[project->source_count++] = source;
}

/* ------------------------------------------------------------------ load */

static void load_env(struct load *load)
{
    char *path = xasprintf("%s/.env", load->project->dir), *text = NULL;
    size_t size = 0;
    struct err err = ERR_INIT;
    int result = file_read(path, "it", LIMIT_YAML_BYTES, &text, &size, &err);
    if (result == 0)
        env_parse(".env", str_n(text, size), load->dotenv, load->problems);
    else if (result != RN_ENOTFOUND)
        problem_add(load->problems, ".env", 0, 0, "%s", err.text);
    if (text)
        mem_wipe(text, size);
    free(text);
    free(path);
}

static int load_settings(struct load *load, struct err *err)
{
    char *path = xasprintf("%s/runnel.yaml", load->project->dir), *text = NULL;
    size_t size = 0;
    int result = file_read(path, "it", LIMIT_YAML_BYTES, &text, &size, err);
    if (result == RN_ENOTFOUND) {
        result = err_set(err, RN_ENOTFOUND,
                         "there is no runnel.yaml in %s: run `runnel init` there to make a project",
                         load->project->dir);
        goto out;
    }
    if (result != 0) {
        (void)err_prefix(err, "runnel.yaml");
        goto out;
    }
    struct file file = {.load = load, .name = "runnel.yaml"};
    file.doc = yaml_parse(file.name, str_n(text, size), load->problems);
    if (file.doc)
        settings_read(&file, yaml_root(file.doc));
    yaml_free(file.doc);
out:
    free(text);
    free(path);
    return result;
}

/* The text of <folder>/<name>.yaml, or NULL and a problem. */
static char *read_text(struct load *load, const char *folder, const char *name, size_t *ret_size)
{
    char *shown_name = xasprintf("%s/%s.yaml", folder, name);
    char *path = xasprintf("%s/%s", load->project->dir, shown_name), *text = NULL;
    struct err err = ERR_INIT;
    if (load->draft_of && strcmp(load->draft_of, shown_name) == 0) {
        text = str_dup(load->draft);
        *ret_size = load->draft.len;
    } else if (file_read(path, "it", LIMIT_YAML_BYTES, &text, ret_size, &err) != 0)
        problem_add(load->problems, shown_name, 0, 0, "%s", err.text);
    free(path);
    free(shown_name);
    return text;
}

static void load_sources(struct load *load)
{
    char *dir = xasprintf("%s/sources", load->project->dir), **names = NULL;
    size_t count = files_list(load, dir, "sources", &names);
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        char *text = read_text(load, "sources", names[i], &size);
        struct source *source = text ? source_parse(load, names[i], str_n(text, size)) : NULL;
        if (source) {
            project_add_source(load->project, source);
        } else {
            char *id = xasprintf("sources/%s", names[i]);
            map_put(&load->broken_sources, str_from(id), load);
            free(id);
        }
        free(text);
    }
    names_free(names, count);
    free(dir);
}

static void load_workflows(struct load *load)
{
    struct project *project = load->project;
    char *dir = xasprintf("%s/workflows", project->dir), **names = NULL;
    size_t count = files_list(load, dir, "workflows", &names);
    project->workflows = xcalloc(count + 1, sizeof(struct workflow *));
    load->workflow_ids = names;
    load->workflow_id_count = count;
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        char *text = read_text(load, "workflows", names[i], &size);
        char *shown_name = xasprintf("workflows/%s.yaml", names[i]);
        struct workflow *workflow =
            text ? workflow_read(load, names[i], shown_name, str_n(text, size)) : NULL;
        if (workflow)
            project->workflows[project->workflow_count++] = workflow;
        free(shown_name);
        free(text);
    }
    load->workflow_ids = NULL;
    load->workflow_id_count = 0;
    names_free(names, count);
    free(dir);
}

static int resolve_dirs(const struct project_options *options, struct project *project,
                        struct err *err)
{
    const char *dir = options->dir ? options->dir : ".";
    char real[PATH_MAX];
    struct stat status;
    if (!realpath(dir, real) || stat(real, &status) != 0)
        return err_set(err, RN_ENOTFOUND,
                       "the folder %s: %s; run `runnel init %s` to make a project there", dir,
                       strerror(errno), dir);
    if (!S_ISDIR(status.st_mode))
        return err_set(err, RN_ENOTFOUND,
                       "%s is no folder; name a project's folder, or run `runnel init` to make one",
                       dir);
    project->dir = xstrdup(real);
    if (!options->data_dir) {
        project->data_dir = xasprintf("%s/.runnel", real);
    } else if (options->data_dir[0] == '/') {
        project->data_dir = xstrdup(options->data_dir);
    } else {
        char here[PATH_MAX];
        project->data_dir = xasprintf("%s/%s", realpath(".", here) ? here : ".", options->data_dir);
    }
    return 0;
}

int project_load_with(const struct project_options *options, const struct lookup *lookup,
                      struct project **ret, struct problems *problems, struct err *err)
{
    struct load load = {.project = project_new(),
                        .problems = problems,
                        .lookup = *lookup,
                        .accounts = options->accounts,
                        .accounts_ctx = options->accounts_ctx,
                        .expressions = options->expressions,
                        .checks_code = options->checks_code,
                        .broken_sources = MAP_INIT,
                        .env_names = MAP_INIT,
                        .dotenv = json_new_object(),
                        .draft_of = options->draft_of,
                        .draft = options->draft};
    int result = resolve_dirs(options, load.project, err);
    if (result != 0)
        goto out;
    load_env(&load);
    result = load_settings(&load, err);
    if (result != 0)
        goto out;
    load_sources(&load);
    load_workflows(&load);
    load.project->env = env_collect(&load);
    listens_check(&load);
    problems_sort(problems);
    *ret = load.project;
    load.project = NULL;
out:
    project_unref(load.project);
    json_free(load.dotenv);
    map_release(&load.broken_sources, NULL);
    map_release(&load.env_names, NULL);
    return result;
}

int project_load(const struct project_options *options, struct project **ret,
                 struct problems *problems, struct err *err)
{
    struct lookup lookup = lookup_of_catalog(options->catalog);
    int result = project_load_with(options, &lookup, ret, problems, err);
    if (result == 0 && options->catalog)
        owned_of(*ret)->catalog = catalog_ref(options->catalog);
    return result;
}

/* The variables that a kept text names, and none of today's files, are its own. */
static void keep_env(const struct load *load, struct workflow *workflow)
{
    size_t at = 0;
    for (const struct map_entry *e; (e = map_next(&load->env_names, &at));) {
        const char *value = env_value(load, e->key);
        if (!value || json_get(load->project->env, e->key) || json_get(workflow->env, e->key))
            continue;
        if (!workflow->env)
            workflow->env = json_new_object();
        json_set_string(workflow->env, e->key, value);
    }
}

struct workflow *workflow_parse_with(const char *id, struct str text, const struct project *project,
                                     const struct lookup *lookup, struct problems *problems)
{
    /* A kept text adds nothing to the project (is_kept), which is only read here. */
    struct load load = {.project = (struct project *)(uintptr_t)project,
                        .problems = problems,
                        .lookup = *lookup,
                        .is_kept = true,
                        .broken_sources = MAP_INIT,
                        .env_names = MAP_INIT,
                        .dotenv = project->env ? json_copy(project->env) : json_new_object()};
    char *name = xasprintf("workflows/%s.yaml", id);
    struct workflow *workflow = workflow_read(&load, id, name, text);
    if (workflow)
        keep_env(&load, workflow);
    free(name);
    json_free(load.dotenv);
    map_release(&load.env_names, NULL);
    return workflow;
}

struct workflow *workflow_parse(const char *id, struct str text, const struct project *project,
                                struct catalog *catalog, struct problems *problems)
{
    struct lookup lookup = lookup_of_catalog(catalog);
    return workflow_parse_with(id, text, project, &lookup, problems);
}

void project_keep(struct project *project, struct workflow *workflow)
{
    size_t at = project->workflow_count;
    project->workflows = xrealloc(project->workflows, (at + 1) * sizeof(struct workflow *));
    while (at > 0 && strcmp(project->workflows[at - 1]->id, workflow->id) > 0) {
        project->workflows[at] = project->workflows[at - 1];
        at--;
    }
    workflow->is_kept = true;
    project->workflows[at] = workflow;
    project->workflow_count++;
}

struct json *project_env_with(const struct project *project, const struct json *own)
{
    struct json *env = project->env ? json_copy(project->env) : json_new_object();
    for (const struct json *v = json_first(own); v; v = json_next(v))
        (void)json_set(env, json_name(v), json_copy(v));
    return env;
}

/* --------------------------------------------------------------- lookups */

const struct workflow *project_workflow(const struct project *project, struct str id_or_name)
{
    for (size_t i = 0; i < project->workflow_count; i++)
        if (str_eq_c(id_or_name, project->workflows[i]->id))
            return project->workflows[i];
    for (size_t i = 0; i < project->workflow_count; i++)
        if (str_eq_c(id_or_name, project->workflows[i]->name))
            return project->workflows[i];
    return NULL;
}

const struct source *project_source(const struct project *project, struct str id)
{
    for (size_t i = 0; i < project->source_count; i++)
        if (str_eq_c(id, project->sources[i]->id))
            return project->sources[i];
    return NULL;
}

size_t project_watched_dirs(const struct project *project, char ***ret)
{
    static const char *const folders[] = {"", "/workflows", "/sources"};
    char **list = xcalloc(COUNT_OF(folders), sizeof(*list));
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        list[i] = xasprintf("%s%s", project->dir, folders[i]);
    *ret = list;
    return COUNT_OF(folders);
}
