/* `runnel cancel` and `runnel resume`: runs that wait or go on, steered by hand. */
#include "cli/cli.h"

enum { WORKFLOW, STATUS, DRY_RUN };
enum { RUNS_MAX = 100000 };

static const struct option_spec cancel_options[] = {
    [WORKFLOW] = {"-w, --workflow", "ID", "many: those of this workflow"},
    [STATUS] = {"-s, --status", "STATUS", "many: queued, running, waiting or paused"},
    [DRY_RUN] = {"--dry-run", NULL, "many: only say which"},
};

static const struct column columns[] = {{"RUN", "id"}, {"WORKFLOW", "workflow"}, {"WAS", "status"}};

static int cancel_one(struct client *client, const char *id, struct err *err)
{
    char *path = xasprintf("runs/%s/cancel", id);
    int rc = client_call(client, "POST", path, NULL, NULL, err);
    free(path);
    return rc;
}

/* The runs to cancel: those named, or those that the filter finds. */
static int find(struct client *client, const struct args *args, struct json **ret, struct err *err)
{
    if (!args->count) {
        char *path = client_path("runs", "limit", "1000", "status", args->options[STATUS],
                                 "workflow", args->options[WORKFLOW], NULL);
        int rc = client_get_all(client, path, RUNS_MAX, ret, err);
        free(path);
        return rc;
    }
    *ret = json_new_array();
    for (size_t i = 0; i < args->count; i++) {
        struct json *run = json_append(*ret, json_new_object());
        json_set_string(run, "id", args->positional[i]);
    }
    return 0;
}

static int cancel_all(struct client *client, const struct args *args, struct json *runs,
                      struct err *err)
{
    struct json *done = json_new_array();
    size_t failures = 0, count = json_count(runs);
    for (struct json *run; (run = json_take_first(runs));) {
        struct err one = ERR_INIT;
        if (!args->options[DRY_RUN] && cancel_one(client, json_get_c(run, "id"), &one)) {
            failures++;
            fprintf(stderr, "runnel: %s\n", one.text);
            json_free(run);
        } else {
            (void)json_append(done, run);
        }
    }
    if (args->is_json)
        out_json(done);
    else if (!args->count)
        out_table(done, columns, COUNT_OF(columns));
    if (!args->is_json)
        fprintf(stderr,
                args->options[DRY_RUN] ? "%zu of %zu would be cancelled\n"
                                       : "%zu of %zu cancelled\n",
                json_count(done), count);
    json_free(done);
    return failures ? err_set(err, RN_EFAILED, "%zu could not be cancelled", failures) : 0;
}

static int run_cancel(const struct args *args)
{
    static const char *const open_states[] = {"queued", "running", "waiting", "paused"};
    const char *status = args->options[STATUS];
    struct err err = ERR_INIT;
    struct json *runs = NULL;
    if ((args->count > 0) == (status != NULL) || (args->count && args->options[WORKFLOW]))
        return cli_wrong(args,
                         "name runs, or a filter (--status queued, with --workflow ID), not "
                         "%s",
                         args->count ? "both" : "neither");
    bool is_open = !status;
    for (size_t i = 0; status && i < COUNT_OF(open_states); i++)
        is_open |= strcmp(status, open_states[i]) == 0;
    if (!is_open)
        return show_is_status(args, status)
                   ? cli_wrong(args, "runs that have %s have ended", status)
                   : 2;
    struct client *client = client_open(args->project, false);
    if (!client)
        return 1;
    int rc = find(client, args, &runs, &err);
    rc = rc ? rc : cancel_all(client, args, runs, &err);
    json_free(runs);
    client_close(client);
    return rc ? out_error(&err) : 0;
}

const struct command command_cancel = {
    .name = "cancel",
    .usage = "[RUN…] [--status STATUS] [--workflow ID]",
    .summary = "end runs that wait or go on",
    .help = "A run that is queued does not begin; one that waits or pauses ends; of one that runs, "
            "the call in progress is\ntold to stop and what it did stays done. They are shown as "
            "cancelled, and can be replayed.",
    .examples = "runnel cancel run_1m886yaz60000\n"
                "runnel cancel --status queued --workflow orders --dry-run",
    .options = cancel_options,
    .option_count = COUNT_OF(cancel_options),
    .max_args = CLI_ARGS_MAX,
    .run = run_cancel,
};

static const struct option_spec resume_options[] = {
    {"-d, --data", "FILE",
     "what steps.<namespace>.$resume_data is to be: a JSON file, - or the JSON itself"},
};

static int run_resume(const struct args *args)
{
    struct err err = ERR_INIT;
    struct json *data = NULL;
    if (args->options[0] && cli_read_json(args->options[0], &data, &err))
        return out_error(&err);
    struct client *client = client_open(args->project, false);
    if (!client) {
        json_free(data);
        return 1;
    }
    char *path = xasprintf("runs/%s/resume", args->positional[0]);
    int rc = client_call(client, "POST", path, data, NULL, &err);
    free(path);
    client_close(client);
    json_free(data);
    if (rc)
        return out_error(&err);
    if (!args->is_json)
        fprintf(stderr, "it goes on: runnel inspect %s --wait\n", args->positional[0]);
    return 0;
}

const struct command command_resume = {
    .name = "resume",
    .usage = "RUN [--data FILE]",
    .summary = "let a run go on that waits: what its resume URL does",
    .help = "For a run that a delay, a suspend or a rerun holds up. (To run a failed one again: "
            "`runnel replay`.)",
    .examples = "runnel resume run_1m886yaz60000\n"
                "runnel resume run_1m886yaz60000 --data '{\"approved\":true}'",
    .options = resume_options,
    .option_count = COUNT_OF(resume_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_resume,
};
