/* `runnel components`. */
#include "cli/cli.h"

#include "plugin/catalog.h"

#include <errno.h>
#include <sys/stat.h>

static int list(const struct args *args)
{
    static const struct column columns[] = {
        {"KEY", "key"}, {"VERSION", "version"}, {"TYPE", "type"}, {"NAME", "name"}};
    return cli_list(args, "components", columns, COUNT_OF(columns),
                    "no plugin was found: `runnel doctor` says where they are looked for");
}

/* What the table has no room for: the values that a prop may have. */
static void print_choices(const struct json *props)
{
    for (const struct json *p = json_first(props); p; p = json_next(p)) {
        const struct json *options = json_get(p, "options");
        if (!json_count(options))
            continue;
        printf("\n%s is one of\n", json_get_c(p, "name"));
        for (const struct json *o = json_first(options); o; o = json_next(o)) {
            const struct json *value = json_is(o, JSON_OBJECT) ? json_get(o, "value") : o;
            const char *label = json_is(o, JSON_OBJECT) ? json_get_c(o, "label") : NULL;
            char *text = json_c(value) ? xstrdup(json_c(value)) : json_text(value, NULL);
            char *line =
                xasprintf("%-24s  %s%s%s", text, out_dim(), label ? label : "", out_reset());
            printf("  %s\n", line);
            free(line);
            free(text);
        }
    }
}

static char *need_of(const struct json *prop)
{
    if (!json_get_bool(prop, "optional", false))
        return xstrdup("required");
    const struct json *value = json_get(prop, "default");
    char *text = value ? json_text(value, NULL) : NULL,
         *need = text && strlen(text) <= 24 ? xasprintf("= %s", text) : xstrdup("");
    free(text);
    return need;
}

static int show(const struct args *args)
{
    struct client *client = client_open(args->project, true);
    struct json *component = NULL;
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    char *path = xasprintf("components/%s", args->positional[0]);
    int rc = client_call(client, "GET", path, NULL, &component, &err);
    free(path);
    client_close(client);
    if (rc)
        return out_error(&err);
    if (args->is_json) {
        out_json(component);
    } else {
        static const struct column columns[] = {
            {"PROP", "name"}, {"TYPE", "type"}, {"", "needed"}, {"DESCRIPTION", "description"}};
        struct json *props = json_copy(json_get(component, "props"));
        for (struct json *p = json_first_mut(props); p; p = json_next_mut(p)) {
            char *need = need_of(p);
            json_set_string(p, "needed", need);
            free(need);
        }
        printf("%s%s@%s%s  %s (%s)\n", out_bold(), json_get_c(component, "key"),
               json_get_c(component, "version"), out_reset(), json_get_c(component, "name"),
               json_get_c(component, "type"));
        out_lines("", json_get_c(component, "description"));
        printf("\n");
        out_table(props, columns, COUNT_OF(columns));
        print_choices(props);
        json_free(props);
    }
    json_free(component);
    return 0;
}

static int install(const struct args *args)
{
    const char *data = args->data;
    struct json *description = NULL;
    struct err err = ERR_INIT;
    if (mkdir(data, 0700) && errno != EEXIST)
        (void)err_set(&err, RN_EIO, "%s cannot be made", data);
    int rc = err.code ? err.code : catalog_install(data, args->positional[0], &description, &err);
    if (rc)
        return out_error(&err);
    if (args->is_json) {
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
    struct err err = ERR_INIT;
    int rc = catalog_uninstall(args->data, args->positional[0], &err);
    if (rc)
        return out_error(&err);
    if (args->is_json) {
        struct json *answer = json_new_object();
        json_set_string(answer, "uninstalled", args->positional[0]);
        out_json(answer);
        json_free(answer);
    } else {
        printf("%s is out of use\n", args->positional[0]);
    }
    return 0;
}

static const struct verb verbs[] = {
    {"list", "", "the components: shipped ones and those installed into the project", 0, 0, list},
    {"show", "KEY", "one with its props", 1, 1, show},
    {"install", "FILE", "put a plugin (.so) into the project", 1, 1, install},
    {"uninstall", "APP", "take an installed plugin out of use", 1, 1, uninstall},
};

const struct command command_components = {
    .name = "components",
    .usage = "[list | show KEY | install FILE | uninstall APP]",
    .summary = "what triggers and steps can use; install a plugin",
    .help =
        "install checks the plugin in a throw-away process and keeps it under its content hash; "
        "a runtime that is\nup takes it at once.",
    .examples = "runnel components\n"
                "runnel components show discord_webhook-send-message\n"
                "runnel components install notes/notes.so",
    .verbs = verbs,
    .verb_count = COUNT_OF(verbs),
};
