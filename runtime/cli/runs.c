/* runs, inspect, replay, run: looking at runs and making them. */
#include "cli/cli.h"

#include "base/limits.h"

enum { WAIT_MS = 50000 };

static const struct option_spec run_list_options[] = {
    {"--json", NULL, "as JSON"},
    {"--project", "DIR", "the project's folder (the current one)"},
    {"--workflow", "ID", "only of this workflow"},
    {"--status", "STATUS", "queued, running, waiting, succeeded, failed or cancelled"},
    {"--limit", "N", "how many, 50 unless given"},
};

static int run_runs(const struct args *args)
{
    static const struct column columns[] = {{"ID", "id"},
                                            {"STATUS", "status"},
                                            {"WORKFLOW", "workflow"},
                                            {"CREATED", "created"},
                                            {"MS", "duration_ms"}};
    char *path = xasprintf(
        "runs?limit=%s&workflow=%s&status=%s", args->options[4] ? args->options[4] : "50",
        args->options[2] ? args->options[2] : "", args->options[3] ? args->options[3] : "");
    int code = cli_list(cli_project(args->options[1]), path, args->options[0], columns,
                        COUNT_OF(columns), "no runs yet");
    free(path);
    return code;
}

const struct command command_runs = {
    .name = "runs",
    .usage = "runs [--workflow ID] [--status STATUS] [--limit N] [--json]",
    .summary = "the runs, newest first",
    .options = run_list_options,
    .option_count = COUNT_OF(run_list_options),
    .run = run_runs,
};

static void print_value(const char *title, const struct json *value)
{
    if (!value || (json_is(value, JSON_OBJECT) && json_count(value) == 0))
        return;
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    json_write_pretty(&text, value);
    struct str rest = buf_str(&text), line = STR_NONE;
    printf("    %s%s%s\n", out_dim(), title, out_reset());
    while (str_cut(&rest, '\n', &line))
        printf("      " STR_FMT "\n", STR_ARG(line));
    buf_release(&text);
}

static void print_step(const struct json *step)
{
    const char *status = json_get_c(step, "status"),
               *summary = json_get_c(json_get(step, "exports"), "$summary");
    const char *component = json_get_c(step, "component");
    printf("\n  %s%s%s  %s%s%s", out_bold(), json_get_c(step, "namespace"), out_reset(),
           out_status_color(status), status, out_reset());
    if (json_get_i64(step, "attempt", 1) > 1)
        printf("  attempt %lld", (long long)json_get_i64(step, "attempt", 1));
    printf("  %lld ms  %s%s%s\n", (long long)json_get_i64(step, "duration_ms", 0), out_dim(),
           component ? component : "", out_reset());
    if (summary)
        printf("    %s\n", summary);
    const char *error = json_get_c(json_get(step, "error"), "text");
    if (error)
        printf("    %s%s%s\n", out_red(), error, out_reset());
    print_value("inputs", json_get(step, "inputs"));
    print_value("exports", json_get(step, "exports"));
    for (const struct json *l = json_first(json_get(step, "logs")); l; l = json_next(l))
        printf("    %s%s%s %s\n", out_dim(), json_get_c(l, "level"), out_reset(),
               json_get_c(l, "text"));
}

static void print_run(const struct json *run)
{
    const char *status = json_get_c(run, "status"),
               *error = json_get_c(json_get(run, "error"), "text"),
               *step = json_get_c(json_get(run, "error"), "step");
    printf("%s%s%s  %s  %s%s%s  %lld ms\n", out_bold(), json_get_c(run, "id"), out_reset(),
           json_get_c(run, "workflow"), out_status_color(status), status, out_reset(),
           (long long)json_get_i64(run, "duration_ms", 0));
    if (error)
        printf("  %s%s%s%s%s\n", out_red(), step ? step : "", step ? ": " : "", error, out_reset());
    if (json_get_c(run, "exit_reason"))
        printf("  ended by a step: %s\n", json_get_c(run, "exit_reason"));
    const struct json *event = json_get(run, "trigger_event");
    const char *trigger = json_get_c(run, "trigger");
    printf("\n  %s%s%s  %s  %s\n", out_bold(), trigger ? trigger : "trigger", out_reset(),
           json_get_c(event, "id"), json_get_c(event, "summary"));
    print_value("event", json_get(event, "event"));
    for (const struct json *s = json_first(json_get(run, "steps")); s; s = json_next(s))
        print_step(s);
}

static const struct option_spec inspect_options[] = {
    {"--json", NULL, "as JSON"},
    {"--project", "DIR", "the project's folder (the current one)"},
    {"--wait", NULL, "wait until it has ended (50 s at most)"},
};

static int fetch_run(struct client *client, const char *id, bool waits, struct json **ret,
                     struct err *err)
{
    char *path = xasprintf("runs/%s?wait_ms=%d", id, waits ? WAIT_MS : 0);
    int rc = client_call(client, "GET", path, NULL, ret, err);
    free(path);
    return rc;
}

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
    struct client *client = client_open(cli_project(args->options[1]), true);
    struct json *run = NULL;
    struct err err = ERR_INIT;
    char newest[64] = "";
    if (!client)
        return 1;
    int rc = 0;
    if (!args->count && !newest_run(client, newest))
        rc = err_set(&err, RN_ENOTFOUND, "no runs yet");
    rc = rc ? rc
            : fetch_run(client, args->count ? args->positional[0] : newest, args->options[2], &run,
                        &err);
    client_close(client);
    if (rc)
        return out_error(&err);
    if (args->options[0])
        out_json(run);
    else
        print_run(run);
    json_free(run);
    return 0;
}

const struct command command_inspect = {
    .name = "inspect",
    .usage = "inspect [RUN] [--wait] [--json]",
    .summary = "one run step by step: inputs, exports, logs, attempts, timings",
    .help = "Without RUN: the newest.",
    .options = inspect_options,
    .option_count = COUNT_OF(inspect_options),
    .max_args = 1,
    .run = run_inspect,
};

static const struct option_spec run_options[] = {
    {"--json", NULL, "as JSON"},
    {"--project", "DIR", "the project's folder (the current one)"},
    {"--event", "FILE", "the event's JSON (- for standard input); {} unless given"},
};

static int read_event(const char *path, struct json **ret, struct err *err)
{
    if (!path) {
        *ret = json_new_object();
        return 0;
    }
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!file)
        return err_set(err, RN_ENOTFOUND, "%s cannot be read", path);
    struct buf text = BUF_INIT(LIMIT_JSON_BYTES);
    char chunk[65536];
    size_t n;
    while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_add(&text, chunk, n);
    if (file != stdin)
        fclose(file);
    int rc = buf_is_overflowed(&text) ? err_set(err, RN_ETOOBIG, "it is too big")
                                      : json_parse(buf_str(&text), ret, err);
    buf_release(&text);
    return rc ? err_prefix(err, "%s", path) : 0;
}

static int run_run(const struct args *args)
{
    struct json *event = NULL, *answer = NULL, *run = NULL;
    struct err err = ERR_INIT;
    int rc = read_event(args->options[2], &event, &err);
    if (rc)
        return out_error(&err);
    struct client *client = client_open(cli_project(args->options[1]), true);
    struct json *body = json_new_object();
    (void)json_set(body, "event", event);
    char *path = xasprintf("workflows/%s/run", args->positional[0]);
    bool was_open = client != NULL;
    rc = client ? client_call(client, "POST", path, body, &answer, &err) : 0;
    if (client && rc == 0)
        rc = fetch_run(client, json_get_c(answer, "run"), true, &run, &err);
    client_close(client);
    free(path);
    json_free(body);
    json_free(answer);
    if (!was_open)
        return 1;
    if (rc)
        return out_error(&err);
    if (args->options[0])
        out_json(run);
    else
        print_run(run);
    bool succeeded = str_eq_c(json_get_text(run, "status"), "succeeded");
    json_free(run);
    return succeeded ? 0 : 1;
}

const struct command command_run = {
    .name = "run",
    .usage = "run WORKFLOW [--event FILE] [--json]",
    .summary = "run one event through a workflow now, and show each step",
    .help = "The event becomes steps.trigger.event. Works with and without a runtime up. Exits "
            "with 1 if the run failed.\n\n"
            "  echo '{\"type\":\"track\"}' | runnel run segment-to-discord --event -",
    .options = run_options,
    .option_count = COUNT_OF(run_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_run,
};
