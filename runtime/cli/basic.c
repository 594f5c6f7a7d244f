/* The short commands: lists, down, endpoints, logs. */
#include "cli/cli.h"

static const struct option_spec list_options[] = {
    {"--json", NULL, "as JSON"},
    {"--project", "DIR", "the project's folder (the current one)"},
};
enum { JSON, PROJECT };

static int run_endpoints(const struct args *args)
{
    static const struct column columns[] = {
        {"WORKFLOW", "workflow"}, {"TRIGGER", "namespace"}, {"STATE", "state"}, {"URL", "url"}};
    return cli_list(cli_project(args->options[PROJECT]), "endpoints", args->options[JSON], columns,
                    COUNT_OF(columns), "no trigger has an endpoint");
}

const struct command command_endpoints = {
    .name = "endpoints",
    .usage = "endpoints [--json]",
    .summary = "the URLs that senders are to call",
    .options = list_options,
    .option_count = COUNT_OF(list_options),
    .run = run_endpoints,
};

static int run_workflows(const struct args *args)
{
    static const struct column columns[] = {{"ID", "id"},
                                            {"NAME", "name"},
                                            {"ACTIVE", "active"},
                                            {"QUEUED", "queued"},
                                            {"RUNNING", "running"}};
    return cli_list(cli_project(args->options[PROJECT]), "workflows", args->options[JSON], columns,
                    COUNT_OF(columns), "no workflow can run: `runnel check` says why");
}

const struct command command_workflows = {
    .name = "workflows",
    .usage = "workflows [--json]",
    .summary = "the workflows, what waits and what runs",
    .options = list_options,
    .option_count = COUNT_OF(list_options),
    .run = run_workflows,
};

static int run_sources(const struct args *args)
{
    static const struct column columns[] = {{"ID", "id"},
                                            {"COMPONENT", "component"},
                                            {"STATE", "state"},
                                            {"ENDPOINT", "endpoint"},
                                            {"ERROR", "error"}};
    return cli_list(cli_project(args->options[PROJECT]), "sources", args->options[JSON], columns,
                    COUNT_OF(columns), "nothing is deployed");
}

const struct command command_sources = {
    .name = "sources",
    .usage = "sources [--json]",
    .summary = "the deployed sources and their state",
    .options = list_options,
    .option_count = COUNT_OF(list_options),
    .run = run_sources,
};

static const struct option_spec down_options[] = {
    {"--deactivate", NULL, "first take every source off its vendor (deactivate hooks)"},
    {"--project", "DIR", "the project's folder (the current one)"},
};

static int run_down(const struct args *args)
{
    struct client *client = client_open(cli_project(args->options[1]), false);
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    struct json *body = json_new_object();
    json_set_boolean(body, "deactivate", args->options[0] != NULL);
    int rc = client_call(client, "POST", "shutdown", body, NULL, &err);
    json_free(body);
    client_close(client);
    if (rc)
        return out_error(&err);
    printf("stopping%s\n", args->options[0] ? "; the sources are deactivated"
                                            : "; the sources stay registered at their vendors");
    return 0;
}

const struct command command_down = {
    .name = "down",
    .usage = "down [--deactivate]",
    .summary = "stop the project's runtime",
    .help = "Sources stay registered at their vendors, who try again what they cannot deliver "
            "meanwhile; --deactivate takes them off.",
    .options = down_options,
    .option_count = COUNT_OF(down_options),
    .run = run_down,
};

static const struct option_spec event_options[] = {
    {"--json", NULL, "as JSON"},
    {"--project", "DIR", "the project's folder (the current one)"},
    {"--source", "ID", "only of this source (`runnel sources`)"},
    {"--limit", "N", "how many, 50 unless given"},
};

static int run_events(const struct args *args)
{
    static const struct column columns[] = {
        {"ID", "id"}, {"RECEIVED", "received"}, {"SOURCE", "source"}, {"SUMMARY", "summary"}};
    const char *project = cli_project(args->options[PROJECT]);
    if (args->count) {
        struct client *client = client_open(project, true);
        struct json *event = NULL;
        struct err err = ERR_INIT;
        if (!client)
            return 1;
        char *path = xasprintf("events/%s", args->positional[0]);
        int rc = client_call(client, "GET", path, NULL, &event, &err);
        free(path);
        client_close(client);
        if (rc)
            return out_error(&err);
        out_json(event);
        json_free(event);
        return 0;
    }
    const char *source = args->options[2], *limit = args->options[3];
    char *path = xasprintf("events?limit=%s&source=%s", limit ? limit : "50", source ? source : "");
    int code =
        cli_list(project, path, args->options[JSON], columns, COUNT_OF(columns), "no events yet");
    free(path);
    return code;
}

const struct command command_events = {
    .name = "events",
    .usage = "events [ID] [--source ID] [--limit N] [--json]",
    .summary = "the accepted events, newest first; one whole with its ID",
    .options = event_options,
    .option_count = COUNT_OF(event_options),
    .max_args = 1,
    .run = run_events,
};

static const struct option_spec log_options[] = {
    {"--json", NULL, "as JSON"},
    {"--project", "DIR", "the project's folder (the current one)"},
    {"--limit", "N", "how many, 50 unless given"},
};

static int run_logs(const struct args *args)
{
    struct client *client = client_open(cli_project(args->options[PROJECT]), true);
    struct json *lines = NULL;
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    char *path = xasprintf("logs?limit=%s&of=%s", args->options[2] ? args->options[2] : "50",
                           args->count ? args->positional[0] : "");
    int rc = client_call(client, "GET", path, NULL, &lines, &err);
    free(path);
    client_close(client);
    if (rc)
        return out_error(&err);
    static const struct column columns[] = {{"LEVEL", "level"},
                                            {"SOURCE", "source"},
                                            {"RUN", "run"},
                                            {"STEP", "step"},
                                            {"TEXT", "text"}};
    if (args->options[JSON])
        out_json(lines);
    else
        out_table(lines, columns, COUNT_OF(columns));
    json_free(lines);
    return 0;
}

const struct command command_logs = {
    .name = "logs",
    .usage = "logs [RUN|SOURCE] [--limit N] [--json]",
    .summary = "log lines of steps and sources, oldest first",
    .options = log_options,
    .option_count = COUNT_OF(log_options),
    .max_args = 1,
    .run = run_logs,
};
