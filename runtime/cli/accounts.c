/* `runnel accounts`: list, add (asks each field, secrets not echoed), remove, test. */
#include "cli/cli.h"
#include "cli/prompt.h"

#include "plugin/catalog.h"

#include <unistd.h>

static const struct option_spec options[] = {
    {"--json", NULL, "as JSON"},
    {"--project", "DIR", "the project's folder (the current one)"},
    {"--app", "SLUG", "add: the app, e.g. discord_webhook"},
    {"--method", "N", "add: which way of authenticating, where the app has several (1, 2, …)"},
};
enum { JSON, PROJECT, APP, METHOD };

static const struct json *choose_method(const struct app_def *app, const char *given)
{
    int64_t number = 0;
    if (given && num_parse_i64(str_from(given), &number))
        return NULL;
    if (!given && json_count(app->auths) > 1) {
        int64_t n = 1;
        fprintf(stderr, "%s can authenticate in these ways:\n", app->name);
        for (const struct json *a = json_first(app->auths); a; a = json_next(a))
            fprintf(stderr, "  %lld  %s\n", (long long)n++, json_get_c(a, "label"));
        char *line = prompt_line("Which? [1] ", false);
        if (!line || (*line && num_parse_i64(str_from(line), &number)))
            number = -1;
        free(line);
    }
    return json_at(app->auths, number > 0 ? (size_t)number - 1 : number < 0 ? SIZE_MAX : 0);
}

static struct json *ask_fields(const struct json *method)
{
    struct json *fields = json_new_object();
    for (const struct json *f = json_first(json_get(method, "fields")); f; f = json_next(f)) {
        const char *label = json_get_c(f, "label"), *name = json_get_c(f, "name"),
                   *otherwise = json_get_c(f, "default");
        bool is_optional = json_get_bool(f, "optional", false);
        char *question =
            xasprintf("%s%s%s%s%s: ", label ? label : name, is_optional ? " (optional)" : "",
                      otherwise ? " [" : "", otherwise ? otherwise : "", otherwise ? "]" : "");
        char *value = prompt_line(question, json_get_bool(f, "secret", false));
        free(question);
        if (!value) {
            json_free(fields);
            return NULL;
        }
        if (*value)
            json_set_string(fields, name, value);
        else if (otherwise)
            json_set_string(fields, name, otherwise);
        free(value);
    }
    return fields;
}

static int add(const struct args *args, struct client *client, struct err *err)
{
    char *data = xasprintf("%s/.runnel", cli_project(args->options[PROJECT]));
    struct catalog *catalog = NULL;
    struct json *body = NULL, *fields = NULL;
    int rc = catalog_open(NULL, access(data, F_OK) == 0 ? data : NULL, &catalog, err);
    char *asked = NULL;
    const char *slug = args->options[APP];
    if (rc == 0 && !slug) {
        fprintf(stderr, "Apps:");
        for (size_t i = 0; i < catalog_app_count(catalog); i++)
            fprintf(stderr, " %s", catalog_app_at(catalog, i)->slug);
        fprintf(stderr, "\n");
        slug = asked = prompt_line("App: ", false);
    }
    const struct app_def *app = rc == 0 && slug ? catalog_app(catalog, str_from(slug)) : NULL;
    const struct json *method = app ? choose_method(app, args->options[METHOD]) : NULL;
    if (rc == 0 && !app)
        rc = err_set(err, RN_ENOTFOUND, "there is no app \"%s\"", slug ? slug : "");
    else if (rc == 0 && !method)
        rc = err_set(err, RN_EINVAL, "%s has no such way of authenticating", app->name);
    if (rc == 0 && !(fields = ask_fields(method)))
        rc = err_set(err, RN_EINVAL, "the input ended before all fields were given");
    if (rc == 0) {
        body = json_new_object();
        json_set_string(body, "name", args->positional[1]);
        json_set_string(body, "app", slug);
        (void)json_set(body, "auth", fields);
        rc = client_call(client, "POST", "accounts", body, NULL, err);
    }
    if (rc == 0)
        printf("account %s (%s) is sealed in the store\n", args->positional[1], slug);
    json_free(body);
    catalog_unref(catalog);
    free(asked);
    free(data);
    return rc;
}

static int run_accounts(const struct args *args)
{
    static const struct column columns[] = {
        {"NAME", "name"}, {"APP", "app"}, {"FROM", "from"}, {"FIELDS", "fields"}};
    const char *project = cli_project(args->options[PROJECT]);
    const char *verb = args->count ? args->positional[0] : "list";
    if (strcmp(verb, "list") == 0)
        return cli_list(project, "accounts", args->options[JSON], columns, COUNT_OF(columns),
                        "no accounts: add one with `runnel accounts add NAME`");
    if (args->count != 2 ||
        (strcmp(verb, "add") != 0 && strcmp(verb, "remove") != 0 && strcmp(verb, "test") != 0)) {
        fprintf(stderr, "runnel accounts: list, add NAME, remove NAME or test NAME\n");
        return 2;
    }
    struct client *client = client_open(project, true);
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    char *path =
        xasprintf("accounts/%s%s", args->positional[1], strcmp(verb, "test") == 0 ? "/test" : "");
    int rc = 0;
    if (strcmp(verb, "add") == 0) {
        rc = add(args, client, &err);
    } else {
        rc = client_call(client, strcmp(verb, "test") == 0 ? "POST" : "DELETE", path, NULL, NULL,
                         &err);
        if (rc == 0)
            printf(strcmp(verb, "test") == 0 ? "account %s works\n" : "account %s is removed\n",
                   args->positional[1]);
    }
    free(path);
    client_close(client);
    return rc ? out_error(&err) : 0;
}

const struct command command_accounts = {
    .name = "accounts",
    .usage = "accounts [list | add NAME | remove NAME | test NAME] [--app SLUG] [--json]",
    .summary = "named credentials: list, add (sealed in the store), remove, test",
    .help = "add asks for each field of the app; what is secret is not echoed. Without a terminal "
            "the answers are read line by line from\n"
            "standard input. test makes the app's cheap authenticated call.",
    .options = options,
    .option_count = COUNT_OF(options),
    .max_args = 2,
    .run = run_accounts,
};
