/* `runnel check` and `runnel doctor`. */
#include "cli/cli.h"

#include "flow/project.h"

#include <unistd.h>

static const struct option_spec options[] = {
    {"--json", NULL, "as JSON"},
    {"--project", "DIR", "the project's folder (the current one)"},
};
enum { JSON, PROJECT };

/* The app of an account that is sealed in the store: asked of the runtime, which has the store
 * open. `ctx`: its list of accounts. */
static const char *find_account(void *ctx, struct str name)
{
    for (const struct json *a = json_first(ctx); a; a = json_next(a))
        if (str_eq(json_get_text(a, "name"), name))
            return json_get_c(a, "app");
    return NULL;
}

/* NULL where nothing was ever stored, or where it cannot be read. */
static struct json *stored_accounts(const char *dir, const char *data)
{
    struct json *accounts = NULL;
    char *store = xasprintf("%s/store", data);
    struct client *client = access(store, F_OK) == 0 ? client_open(dir, true) : NULL;
    if (client && client_call(client, "GET", "accounts", NULL, &accounts, NULL))
        accounts = NULL;
    client_close(client);
    free(store);
    return accounts;
}

static int load(const char *dir, struct catalog **ret_catalog, struct project **ret,
                struct problems *problems, struct err *err)
{
    char *data = xasprintf("%s/.runnel", dir);
    int rc = catalog_open(NULL, access(data, F_OK) == 0 ? data : NULL, ret_catalog, err);
    struct json *accounts = stored_accounts(dir, data);
    struct project_options project_options = {
        .dir = dir, .catalog = *ret_catalog, .accounts = find_account, .accounts_ctx = accounts};
    rc = rc ? rc : project_load(&project_options, ret, problems, err);
    json_free(accounts);
    free(data);
    return rc;
}

static int run_check(const struct args *args)
{
    const char *dir = cli_project(args->count ? args->positional[0] : args->options[PROJECT]);
    struct problems problems = PROBLEMS_INIT;
    struct catalog *catalog = NULL;
    struct project *project = NULL;
    struct err err = ERR_INIT;
    int rc = load(dir, &catalog, &project, &problems, &err);
    if (rc) {
        catalog_unref(catalog);
        return out_error(&err);
    }
    problems_sort(&problems);
    size_t errors = problems_errors(&problems);
    if (args->options[JSON]) {
        struct json *list = problems_to_json(&problems);
        out_json(list);
        json_free(list);
    } else {
        struct buf text = BUF_INIT(MIB(4));
        problems_write(&text, &problems);
        fputs(buf_c(&text), stdout);
        buf_release(&text);
        if (errors)
            printf("%zu error%s\n", errors, errors == 1 ? "" : "s");
        else
            printf("%zu workflow%s and %zu source%s are good\n", project->workflow_count,
                   project->workflow_count == 1 ? "" : "s", project->source_count,
                   project->source_count == 1 ? "" : "s");
    }
    problems_release(&problems);
    project_unref(project);
    catalog_unref(catalog);
    return errors ? 1 : 0;
}

const struct command command_check = {
    .name = "check",
    .usage = "check [DIR] [--json]",
    .summary = "find every mistake in the project's files, without deploying anything",
    .help = "Prints file:line:column, what is wrong and the nearest right name. Exits with 1 if "
            "there is an error.",
    .options = options,
    .option_count = COUNT_OF(options),
    .max_args = 1,
    .run = run_check,
};

static int line(bool is_good, const char *what, const char *text)
{
    printf("%s%-4s%s %-14s %s\n", is_good ? out_green() : out_red(), is_good ? "ok" : "bad",
           out_reset(), what, text);
    return is_good ? 0 : 1;
}

static int run_doctor(const struct args *args)
{
    const char *dir = cli_project(args->options[PROJECT]);
    struct problems problems = PROBLEMS_INIT;
    struct catalog *catalog = NULL;
    struct project *project = NULL;
    struct err err = ERR_INIT;
    char text[512];
    int bad = 0;
    int rc = load(dir, &catalog, &project, &problems, &err);
    bad += line(rc == 0, "project", rc ? err.text : project->dir);
    if (catalog) {
        (void)snprintf(text, sizeof(text), "%zu components of %zu apps",
                       catalog_component_count(catalog), catalog_app_count(catalog));
        bad += line(catalog_component_count(catalog) > 0, "components",
                    catalog_component_count(catalog) ? text : "no plugin was found");
        for (size_t i = 0; catalog_problem(catalog, i); i++)
            bad += line(false, "plugin", catalog_problem(catalog, i));
    }
    if (project) {
        (void)snprintf(text, sizeof(text), "%zu error%s (`runnel check` lists them)",
                       problems_errors(&problems), problems_errors(&problems) == 1 ? "" : "s");
        bad += line(problems_errors(&problems) == 0, "files", text);
    }
    struct client *client = rc ? NULL : client_open(dir, true);
    struct json *status = NULL;
    if (client) {
        rc = client_call(client, "GET", "status", NULL, &status, &err);
        const struct json *store = json_get(status, "store");
        (void)snprintf(text, sizeof(text), "%lld of %lld MiB, %lld events, %lld runs, %lld queued",
                       (long long)json_get_i64(store, "used_bytes", 0) >> 20,
                       (long long)json_get_i64(store, "quota_bytes", 0) >> 20,
                       (long long)json_get_i64(store, "events", 0),
                       (long long)json_get_i64(store, "runs", 0),
                       (long long)json_get_i64(store, "queued", 0));
        bad += line(rc == 0 && !json_get_bool(store, "full", false), "store", rc ? err.text : text);
        bad += line(true, "runtime",
                    client_is_own(client) ? "not up (start it with `runnel up`)"
                                          : json_get_c(status, "ingest"));
        for (const struct json *p = json_first(json_get(status, "plugins")); p; p = json_next(p)) {
            const char *error = json_get_c(p, "last_error");
            (void)snprintf(text, sizeof(text), "%s: %s%s%s", json_get_c(p, "plugin"),
                           json_get_c(p, "state"), error ? ", last crash: " : "",
                           error ? error : "");
            bad += line(!str_eq_c(json_get_text(p, "state"), "quarantined"), "host", text);
        }
    } else {
        bad++;
    }
    json_free(status);
    client_close(client);
    problems_release(&problems);
    project_unref(project);
    catalog_unref(catalog);
    return bad ? 1 : 0;
}

const struct command command_doctor = {
    .name = "doctor",
    .usage = "doctor",
    .summary = "is everything in order? project, plugins, store, runtime",
    .options = options,
    .option_count = COUNT_OF(options),
    .run = run_doctor,
};
