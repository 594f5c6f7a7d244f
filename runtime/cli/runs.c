/* runs, inspect: looking at runs. */
#include "cli/cli.h"

enum { WAIT_MS = 50000 };

static const struct option_spec run_list_options[] = {
    {"-w, --workflow", "ID", "only of this workflow"},
    {"-s, --status", "STATUS",
     "only queued, running, waiting (for a retry), paused, succeeded, failed or cancelled"},
    {"-n, --limit", "N", "how many, 1 to 1000 (50)"},
};
enum { WORKFLOW, STATUS, LIMIT };

static int run_runs(const struct args *args)
{
    static const struct column columns[] = {
        {"ID", "id"},           {"STATUS", "status"},    {"WORKFLOW", "workflow"},
        {"CREATED", "created"}, {"TOOK", "duration_ms"}, {"ERROR", "error_text"}};
    int64_t limit = 0;
    char count[24];
    struct client *client = NULL;
    struct json *list = NULL;
    struct err err = ERR_INIT;
    if (!cli_number(args, LIMIT, 50, 1, 1000, &limit) ||
        (args->options[STATUS] && !show_is_status(args, args->options[STATUS])))
        return 2;
    if (!(client = client_open(args->project, true)))
        return 1;
    (void)snprintf(count, sizeof(count), "%lld", (long long)limit);
    char *path = client_path("runs", "limit", count, "workflow", args->options[WORKFLOW], "status",
                             args->options[STATUS], NULL);
    int rc = client_call(client, "GET", path, NULL, &list, &err);
    client_close(client);
    free(path);
    if (rc)
        return out_error(&err);
    if (args->is_json) {
        out_json(list);
    } else if (json_count(list) == 0) {
        fprintf(stderr, args->options[WORKFLOW] || args->options[STATUS]
                            ? "no such runs\n"
                            : "no runs yet: send an event (`runnel endpoints`), or try `runnel run "
                              "WORKFLOW`\n");
    } else {
        for (struct json *r = json_first_mut(list); r; r = json_next_mut(r))
            json_set_string(r, "error_text", json_get_c(json_get(r, "error"), "text"));
        out_table(list, columns, COUNT_OF(columns));
    }
    json_free(list);
    return 0;
}

const struct command command_runs = {
    .name = "runs",
    .usage = "[--workflow ID] [--status STATUS] [--limit N]",
    .summary = "the runs, newest first",
    .help = "A run is one event going through one workflow.",
    .examples = "runnel runs\n"
                "runnel runs --status failed              # what went wrong\n"
                "runnel runs -w segment-to-discord -n 5",
    .options = run_list_options,
    .option_count = COUNT_OF(run_list_options),
    .run = run_runs,
};

static const struct option_spec inspect_options[] = {
    {"--wait", NULL, "wait until it has ended (50 s at most)"},
};

static bool newest_run(struct client *client, char id[64])
{
    struct json *list = NULL;
    bool found = false;
    if (client_call(client, "GET", "runs?limit=1", NULL, &list, NULL) == 0 &&
        json_get_c(json_first(list), "id")) {
        (void)snprintf(id, 64, "%s", json_get_c(json_first(list), "id"));
        found = true;
    }
    json_free(list);
    return found;
}

static int run_inspect(const struct args *args)
{
    struct client *client = client_open(args->project, true);
    struct json *run = NULL;
    struct err err = ERR_INIT;
    char newest[64] = "";
    if (!client)
        return 1;
    int rc = 0;
    if (!args->count && !newest_run(client, newest))
        rc = err_set(&err, RN_ENOTFOUND,
                     "no runs yet: send an event (`runnel endpoints`), or try `runnel run "
                     "WORKFLOW`");
    if (rc == 0) {
        char *path = xasprintf("runs/%s?wait_ms=%d", args->count ? args->positional[0] : newest,
                               args->options[0] ? WAIT_MS : 0);
        rc = client_call(client, "GET", path, NULL, &run, &err);
        free(path);
    }
    client_close(client);
    if (rc)
        return out_error(&err);
    if (args->is_json)
        out_json(run);
    else
        show_run(run);
    json_free(run);
    return 0;
}

const struct command command_inspect = {
    .name = "inspect",
    .usage = "[RUN] [--wait]",
    .summary = "one run step by step: inputs, exports, logs, attempts, timings",
    .help = "Without RUN: the newest.",
    .examples = "runnel inspect\n"
                "runnel inspect run_1m887w9920000\n"
                "runnel inspect --json | jq '.steps[0].exports'",
    .options = inspect_options,
    .option_count = COUNT_OF(inspect_options),
    .max_args = 1,
    .run = run_inspect,
};
