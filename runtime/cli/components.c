/* `runnel components`, `runnel options`. */
#include "cli/cli.h"

#include "plugin/catalog.h"

#include <errno.h>
#include <sys/stat.h>

static const struct option_spec options[] = {
    {"--json", NULL, "as JSON"},
    {"--project", "DIR", "the project's folder (the current one)"},
};

static int list(const struct args *args)
{
    static const struct column columns[] = {
        {"KEY", "key"}, {"VERSION", "version"}, {"TYPE", "type"}, {"NAME", "name"}};
    return cli_list(cli_project(args->options[1]), "components", args->options[0], columns,
                    COUNT_OF(columns), "no plugin was found");
}

static int show(const struct args *args)
{
    struct client *client = client_open(cli_project(args->options[1]), true);
    struct json *component = NULL;
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    char *path = xasprintf("components/%s", args->positional[1]);
    int rc = client_call(client, "GET", path, NULL, &component, &err);
    free(path);
    client_close(client);
    if (rc)
        return out_error(&err);
    if (args->options[0]) {
        out_json(component);
    } else {
        static const struct column columns[] = {{"PROP", "name"},
                                                {"TYPE", "type"},
                                                {"OPTIONAL", "optional"},
                                                {"DESCRIPTION", "description"}};
        printf("%s%s@%s%s  %s\n%s\n\n", out_bold(), json_get_c(component, "key"),
               json_get_c(component, "version"), out_reset(), json_get_c(component, "name"),
               json_get_c(component, "description"));
        out_table(json_get(component, "props"), columns, COUNT_OF(columns));
    }
    json_free(component);
    return 0;
}

static int install(const struct args *args)
{
    const char *project = cli_project(args->options[1]);
    char *data = xasprintf("%s/.runnel", project);
    struct json *description = NULL;
    struct err err = ERR_INIT;
    if (mkdir(data, 0700) && errno != EEXIST)
        (void)err_set(&err, RN_EIO, "%s cannot be made", data);
    int rc = err.code ? err.code : catalog_install(data, args->positional[1], &description, &err);
    free(data);
    if (rc)
        return out_error(&err);
    if (args->options[0]) {
        out_json(description);
    } else {
        printf("installed %s\n", json_get_c(description, "name"));
        for (const struct json *c = json_first(json_get(description, "components")); c;
             c = json_next(c))
            printf("  %s@%s\n", json_get_c(c, "key"), json_get_c(c, "version"));
    }
    json_free(description);
    return 0;
}

static int uninstall(const struct args *args)
{
    char *data = xasprintf("%s/.runnel", cli_project(args->options[1]));
    struct err err = ERR_INIT;
    int rc = catalog_uninstall(data, args->positional[1], &err);
    free(data);
    if (rc)
        return out_error(&err);
    printf("%s is out of use\n", args->positional[1]);
    return 0;
}

static int run_components(const struct args *args)
{
    static const struct {
        const char *name;
        size_t args;
        int (*run)(const struct args *args);
    } verbs[] = {
        {"list", 1, list}, {"show", 2, show}, {"install", 2, install}, {"uninstall", 2, uninstall}};
    if (args->count == 0)
        return list(args);
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        if (strcmp(args->positional[0], verbs[i].name) == 0 && args->count == verbs[i].args)
            return verbs[i].run(args);
    fprintf(stderr, "runnel components: list, show KEY, install FILE or uninstall APP\n");
    return 2;
}

const struct command command_components = {
    .name = "components",
    .usage = "components [list | show KEY | install FILE | uninstall APP] [--json]",
    .summary = "the components there are; install a plugin into the project",
    .help = "install checks the plugin in a throw-away process and stores it under its content "
            "hash; a runtime that is up takes it at once.",
    .options = options,
    .option_count = COUNT_OF(options),
    .max_args = 2,
    .run = run_components,
};

static const struct option_spec option_options[] = {
    {"--json", NULL, "as JSON"},
    {"--project", "DIR", "the project's folder (the current one)"},
    {"--props", "JSON",
     "the props configured so far, e.g. '{\"segmentApp\":{\"account\":\"segment\"}}'"},
    {"--page", "N", "0 unless given"},
    {"--query", "TEXT", "search text, for props that take one"},
};

static int run_options(const struct args *args)
{
    struct client *client = client_open(cli_project(args->options[1]), true);
    struct json *body = json_new_object(), *props = NULL, *answer = NULL;
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    int rc = args->options[2] ? json_parse(str_from(args->options[2]), &props, &err) : 0;
    int64_t page = 0;
    if (rc == 0 && args->options[3] && num_parse_i64(str_from(args->options[3]), &page))
        rc = err_set(&err, RN_EINVAL, "--page is a number");
    json_set_string(body, "component", args->positional[0]);
    json_set_string(body, "prop", args->positional[1]);
    json_set_string(body, "query", args->options[4]);
    json_set_integer(body, "page", page);
    (void)json_set(body, "props", props ? props : json_new_object());
    rc = rc ? rc : client_call(client, "POST", "options", body, &answer, &err);
    client_close(client);
    json_free(body);
    if (rc)
        return out_error(&err);
    static const struct column columns[] = {{"LABEL", "label"}, {"VALUE", "value"}};
    if (args->options[0])
        out_json(answer);
    else
        out_table(json_get(answer, "options"), columns, COUNT_OF(columns));
    json_free(answer);
    return 0;
}

const struct command command_options = {
    .name = "options",
    .usage = "options COMPONENT PROP [--props JSON] [--page N] [--query TEXT] [--json]",
    .summary = "the live options of a component's prop",
    .options = option_options,
    .option_count = COUNT_OF(option_options),
    .min_args = 2,
    .max_args = 2,
    .run = run_options,
};
