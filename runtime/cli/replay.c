/* `runnel replay`: one past event again, or all runs that a filter names. */
#include "cli/cli.h"
#include "cli/replay_diff.h"

#include "base/clock.h"
#include "base/ids.h"
#include "base/map.h"
#include "base/str.h"

#include <unistd.h>

enum { WORKFLOW, FROM_STEP, STATUS, SINCE, AGAIN, RATE, DRY_RUN, DIFF };
enum { PAGE = 1000, RUNS_MAX = 100000, RATE_MAX = 10000 };

static const struct option_spec options[] = {
    [WORKFLOW] = {"--workflow", "ID", "one run: through this workflow; many: those of this one"},
    [FROM_STEP] = {"--from-step", "PATH",
                   "take over what came before this step (\"failed\": the one that failed)"},
    [STATUS] = {"--status", "STATUS", "many: runs that ended like this (failed, cancelled …)"},
    [SINCE] = {"--since", "TIME", "many: runs of the last 2h, 30m, 1d"},
    [AGAIN] = {"--again", NULL, "many: also runs that were replayed already"},
    [RATE] = {"--rate", "N/s", "many: this many a second, or a minute (10/s, 30/m)"},
    [DRY_RUN] = {"--dry-run", NULL,
                 "call nobody: only say which, and with --diff what would differ"},
    [DIFF] = {"--diff", NULL, "with --dry-run: the past run beside what the files say now"},
};

static const struct column columns[] = {
    {"RUN", "run"}, {"WORKFLOW", "workflow"}, {"REPLAY OF", "replay_of"}};

/* "10/s" or "30/m" → the pause between two, ms. */
static int read_rate(const char *text, int64_t *ret_pause_ms, struct err *err)
{
    struct str rest = str_from(text), number = STR_NONE;
    int64_t count = 0;
    bool has_unit = str_cut(&rest, '/', &number);
    bool is_minute = str_eq_c(rest, "m");
    if (!has_unit || num_parse_i64(number, &count) || count < 1 || count > RATE_MAX ||
        (!is_minute && !str_eq_c(rest, "s")))
        return err_set(err, RN_EINVAL,
                       "--rate is a number a second or a minute (10/s, 30/m), not %s", text);
    *ret_pause_ms = (is_minute ? 60000 : 1000) / count;
    return 0;
}

/* Takes out of the list, newest first, what has another status or was replayed by a run in it. */
static struct json **pick(struct json *newest_first, const char *status, size_t *ret_count,
                          size_t *ret_left_out)
{
    struct map replayed = MAP_INIT;
    struct json **runs = xcalloc(json_count(newest_first) + 1, sizeof(*runs));
    for (struct json *run; (run = json_take_first(newest_first));) {
        struct str of = json_get_text(run, "replay_of"), id = json_get_text(run, "id");
        bool is_named = str_eq_c(json_get_text(run, "status"), status),
             was_replayed = map_get(&replayed, id) != NULL;
        if (of.len)
            (void)map_put(&replayed, of, newest_first);
        *ret_left_out += is_named && was_replayed;
        if (is_named && !was_replayed)
            runs[(*ret_count)++] = run;
        else
            json_free(run);
    }
    map_release(&replayed, NULL);
    return runs;
}

/* The runs that the filter names, oldest first: replayed in the order in which they came. One that
 * was replayed is left out unless --again: what became of its replay is what counts. */
static int find_runs(struct client *client, const struct args *args, struct json **ret,
                     struct err *err)
{
    int64_t since_ms = 0;
    if (args->options[SINCE]) {
        if (num_parse_duration(str_from(args->options[SINCE]), &since_ms))
            return err_set(err, RN_EINVAL, "--since is a time with its unit (30m, 2h, 1d), not %s",
                           args->options[SINCE]);
        since_ms = clock_now_ms() - since_ms;
    }
    const char *status = args->options[STATUS] ? args->options[STATUS] : "failed";
    char since[24], page[24];
    (void)snprintf(since, sizeof(since), "%lld", (long long)since_ms);
    (void)snprintf(page, sizeof(page), "%d", PAGE);
    char *path =
        client_path("runs", "limit", page, "since", since, "workflow", args->options[WORKFLOW],
                    "status", args->options[AGAIN] ? status : NULL, NULL);
    struct json *newest_first = NULL;
    int rc = client_get_all(client, path, RUNS_MAX, &newest_first, err);
    free(path);
    if (rc)
        return rc;
    size_t count = 0, left_out = 0;
    struct json **runs = NULL;
    if (args->options[AGAIN]) {
        runs = xcalloc(json_count(newest_first) + 1, sizeof(*runs));
        for (struct json *run; (run = json_take_first(newest_first));)
            runs[count++] = run;
    } else {
        runs = pick(newest_first, status, &count, &left_out);
    }
    *ret = newest_first; /* empty now */
    while (count)
        (void)json_append(*ret, runs[--count]);
    free(runs);
    if (left_out && !args->is_json)
        fprintf(stderr, "%zu left out, replayed already (--again takes them, too)\n", left_out);
    return 0;
}

static int replay(struct client *client, const char *id, const struct args *args, bool is_one,
                  struct json *list, struct err *err)
{
    struct json *body = json_new_object(), *runs = NULL;
    json_set_string(body, "id", id);
    if (is_one)
        json_set_string(body, "workflow", args->options[WORKFLOW]);
    json_set_string(body, "from_step", args->options[FROM_STEP]);
    int rc = client_call(client, "POST", "replay", body, &runs, err);
    for (struct json *run; rc == 0 && (run = json_take_first(runs));) {
        json_set_string(run, "replay_of", id);
        (void)json_append(list, run);
    }
    json_free(runs);
    json_free(body);
    return rc;
}

static void print(const struct args *args, const struct json *list)
{
    if (args->is_json)
        out_json(list);
    else
        out_table(list, columns, COUNT_OF(columns));
}

/* ---- without calling anyone */

static int print_diff(struct client *client, const char *id, const struct args *args,
                      struct json *all, struct err *err)
{
    struct json *run = NULL, *diff = NULL;
    char *path = xasprintf("runs/%s", id);
    int rc = client_call(client, "GET", path, NULL, &run, err);
    free(path);
    rc = rc ? rc : replay_diff(args->project, run, args->options[WORKFLOW], &diff, err);
    json_free(run);
    if (rc)
        return rc;
    if (!args->is_json) {
        bool is_same = json_get_bool(diff, "same", false);
        printf("%s%s%s%s\n", out_bold(), id, out_reset(), is_same ? "  no difference" : "");
        for (const struct json *d = json_first(json_get(diff, "differences")); d; d = json_next(d))
            printf("  %s\n", json_c(d));
    }
    (void)json_append(all, diff);
    return 0;
}

static int diff_runs(struct client *client, const struct args *args, struct err *err)
{
    struct json *runs = NULL, *all = json_new_array();
    int rc = args->count ? 0 : find_runs(client, args, &runs, err);
    if (args->count)
        rc = print_diff(client, args->positional[0], args, all, err);
    for (const struct json *r = json_first(runs); r && rc == 0; r = json_next(r))
        rc = print_diff(client, json_get_c(r, "id"), args, all, err);
    if (rc == 0 && args->is_json)
        out_json(all);
    json_free(all);
    json_free(runs);
    return rc;
}

static int replay_many(struct client *client, const struct args *args, struct err *err)
{
    static const struct column dry_columns[] = {
        {"RUN", "id"}, {"WORKFLOW", "workflow"}, {"STATUS", "status"}, {"CREATED", "created"}};
    struct json *runs = NULL, *done = json_new_array();
    int64_t pause_ms = 0;
    int rc = args->options[RATE] ? read_rate(args->options[RATE], &pause_ms, err) : 0;
    rc = rc ? rc : find_runs(client, args, &runs, err);
    if (rc == 0 && json_count(runs) == 0 && !args->is_json) {
        fprintf(stderr, "no such runs (`runnel runs` lists what there is)\n");
    } else if (rc == 0 && args->options[DRY_RUN]) {
        if (args->is_json)
            out_json(runs);
        else
            out_table(runs, dry_columns, COUNT_OF(dry_columns));
        fprintf(stderr, "%zu run%s would be replayed\n", json_count(runs),
                json_count(runs) == 1 ? "" : "s");
    } else if (rc == 0) {
        size_t failures = 0;
        for (const struct json *r = json_first(runs); r; r = json_next(r)) {
            struct err one = ERR_INIT;
            if (replay(client, json_get_c(r, "id"), args, false, done, &one)) {
                failures++;
                fprintf(stderr, "runnel: %s: %s\n", json_get_c(r, "id"), one.text);
            }
            if (pause_ms && json_next(r))
                usleep((useconds_t)(pause_ms * 1000));
        }
        print(args, done);
        fprintf(stderr, "%zu of %zu replayed\n", json_count(runs) - failures, json_count(runs));
        if (failures)
            rc = err_set(err, RN_EFAILED, "%zu could not be replayed", failures);
    }
    json_free(runs);
    json_free(done);
    return rc;
}

static int run(const struct args *args)
{
    bool is_one = args->count == 1;
    bool has_filter = args->options[STATUS] || args->options[SINCE];
    struct err err = ERR_INIT;
    if (is_one == has_filter) {
        return cli_wrong(
            args, "name a run or an event, or a filter (--status failed, --since 2h), not %s",
            is_one ? "both" : "neither");
    }
    if (args->options[STATUS] && !show_is_status(args, args->options[STATUS]))
        return 2;
    if (args->options[DIFF] && !args->options[DRY_RUN])
        return cli_wrong(args, "--diff goes with --dry-run");
    struct client *client = client_open(args->project, args->options[DRY_RUN] != NULL);
    if (!client)
        return 1;
    struct json *list = json_new_array();
    if (args->options[DIFF] || (is_one && args->options[DRY_RUN])) {
        int failed = diff_runs(client, args, &err);
        client_close(client);
        json_free(list);
        return failed ? out_error(&err) : 0;
    }
    int rc = is_one ? replay(client, args->positional[0], args, true, list, &err)
                    : replay_many(client, args, &err);
    client_close(client);
    if (rc == 0 && is_one)
        print(args, list);
    json_free(list);
    return rc ? out_error(&err) : 0;
}

const struct command command_replay = {
    .name = "replay",
    .usage = "[RUN|EVENT] [--status STATUS] [--since TIME] [--from-step PATH] [--rate N/s]",
    .summary = "run past events again, through the newest version of the workflow",
    .help =
        "One run or event, or every run that the filter names, oldest first. Of many, those that "
        "were replayed already\nare left out, unless --again: it is their replay that counts.",
    .examples =
        "runnel replay run_1m886yaz60000\n"
        "runnel replay run_1m886yaz60000 --from-step failed\n"
        "runnel replay --status failed --since 2h --dry-run\n"
        "runnel replay --status succeeded --since 1d --dry-run --diff   # what a change would do\n"
        "runnel replay --status failed --since 2h --from-step failed --rate 10/s",
    .options = options,
    .option_count = COUNT_OF(options),
    .max_args = 1,
    .run = run,
};
