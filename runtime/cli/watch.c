/* `runnel events` and `runnel logs`, once or following (-f). What is there when the stream begins
 * is looked up; the stream may tell the newest of it, too. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/map.h"

enum { SHOWN_FIRST = 10 };

static const char *count_text(int64_t count, char out[24])
{
    (void)snprintf(out, 24, "%lld", (long long)count);
    return out;
}

/* Takes the elements out and gives them back in the other order. */
static struct json *reversed(struct json *list)
{
    size_t count = 0, total = json_count(list);
    struct json **items = xcalloc(total ? total : 1, sizeof(struct json *));
    for (struct json *item; (item = json_take_first(list));)
        items[count++] = item;
    while (count)
        (void)json_append(list, items[--count]);
    free(items);
    return list;
}

static void print(const struct args *args, const struct json *list, const struct column *columns,
                  size_t count)
{
    if (!args->is_json) {
        out_rows(list, columns, count);
        return;
    }
    for (const struct json *item = json_first(list); item; item = json_next(item)) {
        char *text = json_text(item, NULL); /* one line each: what jq and grep read */
        printf("%s\n", text);
        free(text);
    }
    fflush(stdout);
}

/* ---- events */

static const struct option_spec event_options[] = {
    {"-f, --follow", NULL, "go on printing events as they come, until Ctrl-C"},
    {"-s, --source", "ID", "only of this source (`runnel sources`)"},
    {"-n, --limit", "N", "how many, 1 to 1000 (50; 10 with -f)"},
};
enum { FOLLOW, SOURCE, LIMIT };

static const struct column event_columns[] = {
    {"ID", "id"}, {"RECEIVED", "received"}, {"SOURCE", "source"}, {"SUMMARY", "summary"}};

struct watch {
    const struct args *args;
    int64_t limit;
    char last[64];      /* events: the newest that was shown */
    struct map shown;   /* logs: what was there in the beginning */
    struct json *fresh; /* to be printed */
};

static int get_events(struct client *client, const struct args *args, int64_t limit,
                      struct json **ret, struct err *err)
{
    char count[24];
    char *path = client_path("events", "limit", count_text(limit, count), "source",
                             args->options[SOURCE], NULL);
    int rc = client_call(client, "GET", path, NULL, ret, err);
    free(path);
    return rc;
}

static void flush_events(void *ctx)
{
    struct watch *watch = ctx;
    print(watch->args, watch->fresh, event_columns, COUNT_OF(event_columns));
    json_free(watch->fresh);
    watch->fresh = json_new_array();
}

/* Ids rise with the order in which events were stored. */
static void each_event(void *ctx, const char *topic, const struct json *event)
{
    struct watch *watch = ctx;
    const char *id = json_get_c(event, "id");
    if (strcmp(topic, "event") != 0 || !id || strcmp(id, watch->last) <= 0)
        return;
    (void)snprintf(watch->last, sizeof(watch->last), "%s", id);
    (void)json_append(watch->fresh, json_copy(event));
}

static int begin_events(void *ctx, struct client *client, struct err *err)
{
    struct watch *watch = ctx;
    struct json *list = NULL;
    int rc = get_events(client, watch->args, watch->limit, &list, err);
    if (rc)
        return rc;
    list = reversed(list);
    for (const struct json *e = json_first(list); e; e = json_next(e))
        each_event(watch, "event", e);
    json_free(list);
    flush_events(watch);
    return 0;
}

static int follow_events(const struct args *args, int64_t limit)
{
    struct watch watch = {.args = args, .limit = limit, .fresh = json_new_array()};
    char *path = client_path("stream", "topics", "events", "source", args->options[SOURCE], NULL);
    struct follower follower = {.path = path,
                                .begin = begin_events,
                                .each = each_event,
                                .flush = flush_events,
                                .ctx = &watch};
    int code = stream_follow(args, &follower);
    free(path);
    json_free(watch.fresh);
    return code;
}

static int one_event(struct client *client, const char *id, struct err *err)
{
    struct json *event = NULL;
    char *path = xasprintf("events/%s", id);
    int rc = client_call(client, "GET", path, NULL, &event, err);
    if (rc == 0)
        out_json(event);
    json_free(event);
    free(path);
    return rc;
}

static int run_events(const struct args *args)
{
    bool follows = args->options[FOLLOW];
    struct err err = ERR_INIT;
    struct json *list = NULL;
    int64_t limit = 0;
    if (!cli_number(args, LIMIT, follows ? SHOWN_FIRST : 50, 1, 1000, &limit))
        return 2;
    if (follows && !args->count)
        return follow_events(args, limit);
    struct client *client = client_open(args->project, true);
    if (!client)
        return 1;
    int rc = args->count ? one_event(client, args->positional[0], &err)
                         : get_events(client, args, limit, &list, &err);
    if (rc == 0 && !args->count && args->is_json)
        out_json(list);
    else if (rc == 0 && !args->count && json_count(list) == 0)
        fprintf(stderr, "no events yet: `runnel endpoints` says where to send them\n");
    else if (rc == 0)
        out_table(list, event_columns, COUNT_OF(event_columns));
    json_free(list);
    client_close(client);
    return rc ? out_error(&err) : 0;
}

const struct command command_events = {
    .name = "events",
    .usage = "[EVENT] [-f] [--source ID] [--limit N]",
    .summary = "the accepted events, newest first; with an id, that one whole",
    .help = "With -f the newest are printed, oldest first, and then each one as it is accepted, "
            "over restarts of the\nruntime as well: none is left out, none comes twice. -f --json "
            "prints one JSON object a line.",
    .examples = "runnel events -n 5\n"
                "runnel events -f\n"
                "runnel events evt_1m887w9920000          # its body too\n"
                "runnel events -f --json | jq .summary",
    .options = event_options,
    .option_count = COUNT_OF(event_options),
    .max_args = 1,
    .run = run_events,
};

/* ---- logs */

static const struct option_spec log_options[] = {
    {"-f, --follow", NULL, "go on printing lines as they come, until Ctrl-C"},
    {"-n, --limit", "N", "how many, 1 to 1000 (50; 10 with -f)"},
};
enum { LOG_FOLLOW, LOG_LIMIT };

static const struct column log_columns[] = {{"TIME", "time"},     {"LEVEL", "level"},
                                            {"SOURCE", "source"}, {"RUN", "run"},
                                            {"STEP", "step"},     {"TEXT", "text"}};

static void add_times(struct json *list)
{
    for (struct json *l = json_first_mut(list); l; l = json_next_mut(l)) {
        char text[CLOCK_TEXT_MAX];
        if (json_get(l, "ts") && !json_get(l, "time")) {
            clock_format(json_get_i64(l, "ts", 0), text);
            json_set_string(l, "time", text);
        }
    }
}

static int get_logs(struct client *client, const struct args *args, int64_t limit,
                    struct json **ret, struct err *err)
{
    char count[24];
    char *path = client_path("logs", "limit", count_text(limit, count), "of",
                             args->count ? args->positional[0] : NULL, NULL);
    int rc = client_call(client, "GET", path, NULL, ret, err);
    free(path);
    return rc;
}

static void flush_logs(void *ctx)
{
    struct watch *watch = ctx;
    add_times(watch->fresh);
    print(watch->args, watch->fresh, log_columns, COUNT_OF(log_columns));
    json_free(watch->fresh);
    watch->fresh = json_new_array();
}

/* Lines have no ids: what they say, and when, tells one from another. */
static char *line_key(const struct json *line)
{
    const char *run = json_get_c(line, "run"), *source = json_get_c(line, "source"),
               *step = json_get_c(line, "step");
    return xasprintf("%lld\n%s\n%s\n%s\n%s", (long long)json_get_i64(line, "ts", 0), run ? run : "",
                     source ? source : "", step ? step : "", json_get_c(line, "text"));
}

static void each_log(void *ctx, const char *topic, const struct json *line)
{
    struct watch *watch = ctx;
    char *key = line_key(line);
    if (strcmp(topic, "log") == 0 && !map_get(&watch->shown, str_from(key)))
        (void)json_append(watch->fresh, json_copy(line));
    free(key);
}

static int begin_logs(void *ctx, struct client *client, struct err *err)
{
    struct watch *watch = ctx;
    struct json *list = NULL;
    int rc = get_logs(client, watch->args, watch->limit, &list, err);
    if (rc)
        return rc;
    for (const struct json *l = json_first(list); l; l = json_next(l)) {
        char *key = line_key(l);
        (void)map_put(&watch->shown, str_from(key), watch);
        free(key);
    }
    json_free(watch->fresh);
    watch->fresh = list;
    flush_logs(watch);
    return 0;
}

static int follow_logs(const struct args *args, int64_t limit)
{
    const char *of = args->count ? args->positional[0] : NULL;
    bool is_run = of && str_starts(str_from(of), "run_");
    struct watch watch = {
        .args = args, .limit = limit, .shown = MAP_INIT, .fresh = json_new_array()};
    char *path = client_path("stream", "topics", "logs", is_run ? "run" : "source", of, NULL);
    struct follower follower = {
        .path = path, .begin = begin_logs, .each = each_log, .flush = flush_logs, .ctx = &watch};
    int code = stream_follow(args, &follower);
    free(path);
    map_release(&watch.shown, NULL);
    json_free(watch.fresh);
    return code;
}

static int run_logs(const struct args *args)
{
    bool follows = args->options[LOG_FOLLOW];
    struct json *lines = NULL;
    struct err err = ERR_INIT;
    int64_t limit = 0;
    if (!cli_number(args, LOG_LIMIT, follows ? SHOWN_FIRST : 50, 1, 1000, &limit))
        return 2;
    if (follows)
        return follow_logs(args, limit);
    struct client *client = client_open(args->project, true);
    if (!client)
        return 1;
    int rc = get_logs(client, args, limit, &lines, &err);
    client_close(client);
    if (rc)
        return out_error(&err);
    add_times(lines);
    if (args->is_json)
        out_json(lines);
    else if (json_count(lines) == 0)
        fprintf(stderr,
                args->count ? "no log lines of %s (`runnel runs`, `runnel sources`)\n"
                            : "no log lines yet: steps and sources have written none\n",
                args->count ? args->positional[0] : "");
    else
        out_table(lines, log_columns, COUNT_OF(log_columns));
    json_free(lines);
    return 0;
}

const struct command command_logs = {
    .name = "logs",
    .usage = "[RUN|SOURCE] [-f] [--limit N]",
    .summary = "log lines of steps and sources, oldest first",
    .help = "What components log, of all or of one run or source. The runtime's own log is on "
            "the standard error of\n`runnel up`. A step's lines are there when it has ended. With "
            "-f new lines are printed as they come, each once,\nover restarts of the runtime as "
            "well; -f --json prints one JSON object a line.",
    .examples = "runnel logs -f\n"
                "runnel logs run_1m887w9920000\n"
                "runnel logs workflows/segment-to-discord/segment -n 20",
    .options = log_options,
    .option_count = COUNT_OF(log_options),
    .max_args = 1,
    .run = run_logs,
};
