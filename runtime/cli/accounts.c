/* `runnel accounts`: list, add (asks each field, secrets not echoed), remove, test. */
#include "cli/cli.h"
#include "cli/prompt.h"

#include "plugin/catalog.h"

#include <unistd.h>

static const struct option_spec options[] = {
    {"--app", "SLUG", "add: the app, e.g. discord_webhook (else it is asked for)"},
    {"--method", "N", "add: which way of authenticating, where the app has several (1, 2, …)"},
};
enum { APP, METHOD };

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

static const struct app_def *find_app(const struct catalog *catalog, const char *slug,
                                      struct err *err)
{
    struct nearest nearest = {slug, NULL, 0};
    const struct app_def *app = catalog_app(catalog, str_from(slug));
    for (size_t i = 0; i < catalog_app_count(catalog) && !app; i++)
        nearest_try(&nearest, catalog_app_at(catalog, i)->slug);
    if (!app)
        (void)err_set(err, RN_ENOTFOUND, "there is no app \"%s\"%s%s%s", slug,
                      nearest.best ? "; did you mean \"" : "", nearest.best ? nearest.best : "",
                      nearest.best ? "\"?" : "");
    return app;
}

static char *ask_app(const struct catalog *catalog)
{
    fprintf(stderr, "Apps:");
    for (size_t i = 0; i < catalog_app_count(catalog); i++)
        if (json_count(catalog_app_at(catalog, i)->auths))
            fprintf(stderr, " %s", catalog_app_at(catalog, i)->slug);
    fprintf(stderr, "\n");
    return prompt_line("App: ", false);
}

/* The body that adds the account; NULL and *err. */
static struct json *ask_account(const struct args *args, const struct catalog *catalog,
                                struct err *err)
{
    char *asked = args->options[APP] ? xstrdup(args->options[APP]) : ask_app(catalog);
    const struct app_def *app = asked ? find_app(catalog, asked, err) : NULL;
    const struct json *method = app ? choose_method(app, args->options[METHOD]) : NULL;
    struct json *fields = NULL, *body = NULL;
    if (!asked)
        (void)err_set(err, RN_EINVAL, "the input ended before an app was named");
    else if (app && !json_count(app->auths))
        (void)err_set(err, RN_EINVAL, "%s needs no account", app->name);
    else if (app && !method)
        (void)err_set(err, RN_EINVAL, "%s has no such way of authenticating", app->name);
    else if (app && !(fields = ask_fields(method)))
        (void)err_set(err, RN_EINVAL, "the input ended before all fields were given");
    if (fields) {
        body = json_new_object();
        json_set_string(body, "name", args->positional[0]);
        json_set_string(body, "app", asked);
        (void)json_set(body, "auth", fields);
    }
    free(asked);
    return body;
}

static int report(const struct args *args, const char *what, const char *text)
{
    if (args->is_json) {
        struct json *answer = json_new_object();
        json_set_string(answer, "account", args->positional[0]);
        json_set_boolean(answer, what, true);
        out_json(answer);
        json_free(answer);
    } else {
        printf("account %s %s\n", args->positional[0], text);
    }
    return 0;
}

static int add(const struct args *args)
{
    struct err err = ERR_INIT;
    struct catalog *catalog = NULL;
    struct client *client = client_open(args->project, true);
    if (!client)
        return 1;
    int rc = catalog_open(NULL, access(args->data, F_OK) == 0 ? args->data : NULL, &catalog, &err);
    struct json *body = rc == 0 ? ask_account(args, catalog, &err) : NULL;
    rc = body ? client_call(client, "POST", "accounts", body, NULL, &err) : err.code;
    json_free(body);
    catalog_unref(catalog);
    client_close(client);
    return rc ? out_error(&err) : report(args, "added", "is sealed in the store");
}

static int act(const struct args *args, const char *method, const char *suffix, const char *what,
               const char *text)
{
    struct err err = ERR_INIT;
    struct client *client = client_open(args->project, true);
    if (!client)
        return 1;
    char *path = xasprintf("accounts/%s%s", args->positional[0], suffix);
    int rc = client_call(client, method, path, NULL, NULL, &err);
    free(path);
    client_close(client);
    return rc ? out_error(&err) : report(args, what, text);
}

static int test(const struct args *args)
{
    return act(args, "POST", "/test", "works", "works");
}

static int remove_account(const struct args *args)
{
    return act(args, "DELETE", "", "removed", "is removed");
}

static int list(const struct args *args)
{
    static const struct column columns[] = {
        {"NAME", "name"}, {"APP", "app"}, {"FROM", "from"}, {"FIELDS", "fields"}};
    return cli_list(args, "accounts", columns, COUNT_OF(columns),
                    "no accounts: add one with `runnel accounts add NAME`");
}

static const struct verb verbs[] = {
    {"list", "", "the accounts of runnel.yaml and of the store; never their values", 0, 0, list},
    {"add", "NAME [--app SLUG]", "ask for each field of the app and seal them in the store", 1, 1,
     add},
    {"test", "NAME", "make the app's cheap authenticated call", 1, 1, test},
    {"remove", "NAME", "forget an account of the store", 1, 1, remove_account},
};

const struct command command_accounts = {
    .name = "accounts",
    .usage = "[list | add NAME | test NAME | remove NAME]",
    .summary = "named credentials: list, add (sealed in the store), test, remove",
    .help = "add asks for each field; what is secret is not echoed. Without a terminal the answers "
            "are read line by\nline from standard input. A workflow names an account in an app "
            "prop: `segmentApp: { account: segment }`.",
    .examples = "runnel accounts add team-discord --app discord_webhook\n"
                "runnel accounts test team-discord",
    .options = options,
    .option_count = COUNT_OF(options),
    .verbs = verbs,
    .verb_count = COUNT_OF(verbs),
};
