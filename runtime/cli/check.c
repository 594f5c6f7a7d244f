/* `runnel check`: every mistake in the project's files. */
#include "cli/check.h"

#include "cli/cli.h"
#include "expr/engine.h"

#include <unistd.h>

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
static struct json *stored_accounts(const struct args *args)
{
    struct json *accounts = NULL;
    char *store = xasprintf("%s/store", args->data);
    struct client *client = access(store, F_OK) == 0 ? client_open(args->project, true) : NULL;
    if (client && client_call(client, "GET", "accounts", NULL, &accounts, NULL))
        accounts = NULL;
    client_close(client);
    free(store);
    return accounts;
}

int check_load(const struct args *args, struct catalog **ret_catalog, struct project **ret,
               struct problems *problems, struct err *err)
{
    const char *data = access(args->data, F_OK) == 0 ? args->data : NULL;
    int rc = catalog_open(NULL, data, ret_catalog, err);
    if (rc)
        return rc;
    char *marker = xasprintf("%s/runnel.yaml", args->project);
    struct supervisor *supervisor = supervisor_new(NULL);
    struct expr_engine *expressions = expr_engine_new(supervisor);
    struct json *accounts = access(marker, F_OK) == 0 ? stored_accounts(args) : NULL;
    struct project_options options = {.dir = args->project,
                                      .data_dir = args->data,
                                      .catalog = *ret_catalog,
                                      .accounts = find_account,
                                      .accounts_ctx = accounts,
                                      .expressions = expressions,
                                      .checks_code = true};
    rc = project_load(&options, ret, problems, err);
    expr_engine_free(expressions);
    supervisor_free(supervisor, 0);
    json_free(accounts);
    free(marker);
    return rc;
}

/* file:line:column: error: text, the kind in its colour. */
static void print_problem(const struct problem *problem)
{
    const char *color = problem->is_warning ? out_yellow() : out_red();
    printf("%s%s", out_bold(), problem->file);
    if (problem->line)
        printf(":%d:%d", problem->line, problem->column);
    char *text = out_clean(problem->text);
    printf(":%s %s%s:%s %s\n", out_reset(), color, problem->is_warning ? "warning" : "error",
           out_reset(), text);
    free(text);
}

static void print_summary(const struct project *project, size_t errors, size_t warnings)
{
    if (errors)
        printf("%zu error%s\n", errors, errors == 1 ? "" : "s");
    else
        printf("%zu workflow%s and %zu source%s are good%s\n", project->workflow_count,
               project->workflow_count == 1 ? "" : "s", project->source_count,
               project->source_count == 1 ? "" : "s", warnings ? ", with warnings" : "");
}

static int run_check(const struct args *given)
{
    struct args args = *given;
    struct problems problems = PROBLEMS_INIT;
    struct catalog *catalog = NULL;
    struct project *project = NULL;
    struct err err = ERR_INIT;
    if (args.count) {
        args.project = args.positional[0];
        args.data = cli_data(args.project);
    }
    int rc = check_load(&args, &catalog, &project, &problems, &err);
    if (rc) {
        catalog_unref(catalog);
        return out_error(&err);
    }
    problems_sort(&problems);
    size_t errors = problems_errors(&problems);
    if (args.is_json) {
        struct json *list = problems_to_json(&problems);
        out_json(list);
        json_free(list);
    } else {
        for (size_t i = 0; i < problems.count; i++)
            print_problem(&problems.list[i]);
        print_summary(project, errors, problems.count - errors);
    }
    problems_release(&problems);
    project_unref(project);
    catalog_unref(catalog);
    return errors ? 1 : 0;
}

const struct command command_check = {
    .name = "check",
    .usage = "[DIR]",
    .summary = "find every mistake in the project's files, without deploying anything",
    .help = "Prints file:line:column, what is wrong and the nearest right name. Exits with 1 if "
            "there is an error;\nwarnings alone are no error. The code of code steps is parsed by "
            "node, python and bash, where they\nare there, and not run.",
    .examples = "runnel check\n"
                "runnel check --json | jq -r '.[].text'",
    .max_args = 1,
    .run = run_check,
};
