/* console: a link that opens the web console signed in. */
#include "cli/cli.h"

static const struct option_spec options[] = {
    {"--json", NULL, "as JSON"},
    {"--project", "DIR", "the project's folder (the current one)"},
};

static int run(const struct args *args)
{
    struct client *client = client_open(cli_project(args->options[1]), false);
    struct json *link = NULL;
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    int rc = client_call(client, "POST", "session/link", NULL, &link, &err);
    client_close(client);
    if (rc)
        return out_error(&err);
    if (args->options[0])
        out_json(link);
    else
        printf("%s\n", json_get_c(link, "url"));
    json_free(link);
    return 0;
}

const struct command command_console = {
    .name = "console",
    .usage = "console [--json]",
    .summary = "a link to the web console that signs in whoever opens it first",
    .help = "The link works once, within 15 minutes, while the runtime is up.",
    .examples = "runnel console\n"
                "xdg-open \"$(runnel console)\"",
    .options = options,
    .option_count = COUNT_OF(options),
    .run = run,
};
