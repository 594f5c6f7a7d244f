/* `runnel options`: what a prop can be set to. */
#include "cli/cli.h"

static const struct option_spec options[] = {
    {"--props", "JSON", "the props set so far: JSON, a file, or - for standard input"},
    {"--page", "N", "which page, from 0"},
    {"-q, --query", "TEXT", "search text, for props that take one"},
};
enum { PROPS, PAGE, QUERY };

/* The only account of the app, where an app prop has no value: most calls need it. */
static void fill_account(struct client *client, const struct json *prop, struct json *props)
{
    const char *name = json_get_c(prop, "name"), *app = json_get_c(prop, "app"), *found = NULL;
    struct json *accounts = NULL;
    size_t count = 0;
    if (!app || !name || json_get(props, name) ||
        client_call(client, "GET", "accounts", NULL, &accounts, NULL))
        return;
    for (const struct json *a = json_first(accounts); a; a = json_next(a)) {
        if (str_eq_c(json_get_text(a, "app"), app)) {
            found = json_get_c(a, "name");
            count++;
        }
    }
    if (count == 1) {
        struct json *value = json_set(props, name, json_new_object());
        json_set_string(value, "account", found);
        fprintf(stderr, "%swith the account %s%s\n", note_style("dim"), found, note_style("reset"));
    }
    json_free(accounts);
}

static int check_prop(const struct json *component, const char *name, struct err *err)
{
    struct nearest nearest = {name, NULL, 0};
    for (const struct json *p = json_first(json_get(component, "props")); p; p = json_next(p)) {
        if (str_eq_c(json_get_text(p, "name"), name))
            return 0;
        nearest_try(&nearest, json_get_c(p, "name"));
    }
    return err_set(err, RN_ENOTFOUND, "%s has no prop \"%s\"%s%s%s", json_get_c(component, "key"),
                   name, nearest.best ? "; did you mean \"" : "", nearest.best ? nearest.best : "",
                   nearest.best ? "\"?" : " (`runnel components show` lists them)");
}

/* Asks for a page. Vendors that page by tokens give the next one with each page, so that the pages
 * before it are asked for first. Takes `body`. */
static int ask_page(struct client *client, struct json *body, int64_t page, struct json **ret,
                    struct err *err)
{
    struct json *answer = NULL;
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i <= page; i++) {
        struct json *context = answer ? json_take(answer, "context") : NULL;
        if (i == 1 && !context) /* paged by number */
            i = page;
        if (i > 1 && !context && json_get(body, "context")) { /* that was the last one */
            (void)json_set(answer, "options", json_new_array());
            break;
        }
        json_remove(body, "context");
        (void)json_set(body, "context", context);
        json_set_integer(body, "page", i);
        json_free(answer);
        answer = NULL;
        rc = client_call(client, "POST", "options", body, &answer, err);
    }
    json_free(body);
    *ret = answer;
    return rc;
}

static int run_options(const struct args *args)
{
    static const struct column columns[] = {{"LABEL", "label"}, {"VALUE", "value"}};
    struct json *props = NULL, *component = NULL, *answer = NULL;
    struct err err = ERR_INIT;
    int64_t page = 0;
    if (!cli_number(args, PAGE, 0, 0, 1000000, &page))
        return 2;
    if (cli_read_json(args->options[PROPS], &props, &err))
        return out_error(&err);
    struct client *client = client_open(args->project, true);
    if (!client) {
        json_free(props);
        return 1;
    }
    char *path = xasprintf("components/%s", args->positional[0]);
    int rc = client_call(client, "GET", path, NULL, &component, &err);
    rc = rc ? rc : check_prop(component, args->positional[1], &err);
    for (const struct json *p = json_first(json_get(component, "props")); p && rc == 0;
         p = json_next(p))
        fill_account(client, p, props);
    struct json *body = json_new_object();
    json_set_string(body, "component", args->positional[0]);
    json_set_string(body, "prop", args->positional[1]);
    json_set_string(body, "query", args->options[QUERY]);
    (void)json_set(body, "props", props);
    if (rc == 0)
        rc = ask_page(client, body, page, &answer, &err);
    else
        json_free(body);
    client_close(client);
    json_free(component);
    free(path);
    if (rc)
        return out_error(&err);
    if (args->is_json)
        out_json(answer);
    else if (json_count(json_get(answer, "options")) == 0)
        fprintf(stderr, "no options%s\n", page ? " on this page" : "");
    else
        out_table(json_get(answer, "options"), columns, COUNT_OF(columns));
    json_free(answer);
    return 0;
}

const struct command command_options = {
    .name = "options",
    .usage = "COMPONENT PROP [--props JSON] [--page N] [--query TEXT]",
    .summary = "the live options of a component's prop, from the vendor",
    .help = "What a workflow file can say for the prop. Options often depend on props before it: "
            "give those with\n--props. An account that is not given is filled in where the project "
            "has only one of that app.",
    .examples = "runnel options segment-webhook-destination workspace\n"
                "runnel options segment-webhook-destination source --props "
                "'{\"workspace\":\"workspaces/acme\"}'",
    .options = options,
    .option_count = COUNT_OF(options),
    .min_args = 2,
    .max_args = 2,
    .run = run_options,
};
