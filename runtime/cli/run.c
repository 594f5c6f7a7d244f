/* `runnel run`: one event through a workflow, shown while it goes. */
#include "cli/cli.h"

#include "base/encode.h"
#include "base/limits.h"
#include "base/map.h"

#include <time.h>

enum { LOOK_MS = 200, SEEN_MAX = 100000, SENDS_LOOKS = 30 };

static const struct option_spec options[] = {
    {"-e, --event", "FILE", "the event: a JSON file, - for standard input, or the JSON itself"},
    {"--no-wait", NULL, "only start it: print the run's id (a runtime must be up)"},
};
enum { EVENT, NO_WAIT };

/* Shows the attempts that have ended since the last look. */
static void show_new(const struct json *run, struct map *seen)
{
    for (const struct json *s = json_first(json_get(run, "steps")); s; s = json_next(s)) {
        const char *status = json_get_c(s, "status");
        if (!status || strcmp(status, "running") == 0)
            continue;
        const char *path = json_get_c(s, "path");
        char *key = xasprintf("%s/%lld", path ? path : json_get_c(s, "namespace"),
                              (long long)json_get_i64(s, "attempt", 1));
        if (!map_get(seen, str_from(key)) && seen->count < SEEN_MAX) {
            (void)map_put(seen, str_from(key), seen);
            show_step(s);
        }
        free(key);
    }
    fflush(stdout);
}

static bool has_queued_sends(const struct json *run)
{
    for (const struct json *s = json_first(json_get(run, "steps")); s; s = json_next(s))
        for (const struct json *send = json_first(json_get(s, "sends")); send;
             send = json_next(send))
            if (str_eq_c(json_get_text(send, "state"), "queued"))
                return true;
    return false;
}

/* What steps have sent goes out when the run has ended: its first try is waited for. */
static int follow_sends(struct client *client, const char *path, struct json **run, struct err *err)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000};
    int rc = 0;
    for (int i = 0; i < SENDS_LOOKS && rc == 0 && has_queued_sends(*run); i++) {
        (void)nanosleep(&pause, NULL);
        json_free(*run);
        *run = NULL;
        rc = client_call(client, "GET", path, NULL, run, err);
    }
    return rc;
}

/* Until it has ended, however long that takes: Ctrl-C leaves, the run goes on. */
static int follow(struct client *client, const char *id, bool shows, struct json **ret,
                  struct err *err)
{
    char *path = xasprintf("runs/%s?wait_ms=%d", id, LOOK_MS);
    struct map seen = MAP_INIT;
    struct json *run = NULL;
    bool says_waiting = false;
    int rc = 0;
    do {
        json_free(run);
        run = NULL;
        rc = client_call(client, "GET", path, NULL, &run, err);
        if (rc == 0 && shows)
            show_new(run, &seen);
        struct str status = json_get_text(run, "status");
        if (rc == 0 && !says_waiting &&
            (str_eq_c(status, "waiting") || str_eq_c(status, "paused"))) {
            says_waiting = true;
            fprintf(stderr, "%s%s (Ctrl-C leaves; `runnel inspect %s` shows the rest)%s\n",
                    note_style("dim"), json_get_c(run, "status"), id, note_style("reset"));
        }
    } while (rc == 0 && !show_has_ended(run));
    rc = rc ? rc : follow_sends(client, path, &run, err);
    for (const struct json *s = json_first(json_get(run, "steps")); s && shows; s = json_next(s))
        show_sends(s, true);
    map_release(&seen, NULL);
    free(path);
    *ret = run;
    return rc;
}

/* The file as it is now is what is meant, also where the runtime has not seen the last change yet. */
static int read_again(struct client *client, const char *workflow, struct err *err)
{
    char *file = xasprintf("workflows/%s.yaml", workflow);
    struct json *problems = NULL;
    size_t errors = 0;
    int rc = client_call(client, "POST", "reload", NULL, &problems, err);
    for (const struct json *p = json_first(problems); p; p = json_next(p)) {
        if (!str_eq_c(json_get_text(p, "file"), file) ||
            !str_eq_c(json_get_text(p, "severity"), "error"))
            continue;
        errors++;
        fprintf(stderr, "%s:%lld:%lld: error: %s\n", file, (long long)json_get_i64(p, "line", 1),
                (long long)json_get_i64(p, "column", 1), json_get_c(p, "text"));
    }
    if (rc == 0 && errors)
        rc = err_set(err, RN_EINVAL, "%s is not run while it has errors: mend them first", file);
    json_free(problems);
    free(file);
    return rc;
}

static int start(struct client *client, const struct args *args, struct json *event,
                 struct json **ret, struct err *err)
{
    struct json *body = json_new_object();
    if (event)
        (void)json_set(body, "event", event);
    struct buf name = BUF_INIT(KIB(16));
    encode_percent(&name, str_from(args->positional[0]));
    char *path = xasprintf("workflows/%s/run", buf_c(&name));
    int rc = client_call(client, "POST", path, body, ret, err);
    buf_release(&name);
    free(path);
    json_free(body);
    return rc;
}

static int run(const struct args *args)
{
    struct json *event = NULL, *answer = NULL, *shown = NULL;
    struct err err = ERR_INIT;
    bool waits = !args->options[NO_WAIT];
    /* without one: the manual trigger's sample, which the engine knows */
    if (args->options[EVENT] && cli_read_json(args->options[EVENT], &event, &err))
        return out_error(&err);
    struct client *client = client_open(args->project, waits);
    if (!client) {
        json_free(event);
        return 1;
    }
    int rc = read_again(client, args->positional[0], &err);
    rc = rc ? rc : start(client, args, event, &answer, &err);
    const char *id = json_get_c(answer, "run");
    if (rc == 0 && waits && !args->is_json) {
        printf("%s%s%s  %s\n", out_bold(), id, out_reset(), args->positional[0]);
        fflush(stdout);
    }
    if (rc == 0 && waits)
        rc = follow(client, id, !args->is_json, &shown, &err);
    client_close(client);
    bool is_good = rc == 0;
    if (rc) {
        (void)out_error(&err);
    } else if (args->is_json) {
        out_json(waits ? shown : answer);
        is_good = !waits || str_eq_c(json_get_text(shown, "status"), "succeeded");
    } else if (!waits) {
        printf("%s\n", id);
    } else {
        printf("\n");
        show_run_head(shown);
        is_good = str_eq_c(json_get_text(shown, "status"), "succeeded");
    }
    json_free(answer);
    json_free(shown);
    return is_good ? 0 : 1;
}

const struct command command_run = {
    .name = "run",
    .usage = "WORKFLOW [--event FILE] [--no-wait]",
    .summary = "run one event through a workflow now, and watch each step",
    .help =
        "The event becomes steps.trigger.event (unless given: the manual trigger's sample, or "
        "{}). The workflow's file\nis taken as it is now. Each step is shown when it ends, with "
        "its inputs, exports, logs and time; exits with 1\nif the run failed. Works with and "
        "without a runtime up. The steps act for real: they talk to the vendors, or\nto the "
        "sandbox under `runnel up --sandbox`.",
    .examples = "runnel run segment-to-discord --event '{\"type\":\"track\",\"userId\":\"ann\"}'\n"
                "runnel run segment-to-discord --event event.json\n"
                "runnel events EVENT --json | jq .event | runnel run segment-to-discord --event -",
    .options = options,
    .option_count = COUNT_OF(options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
