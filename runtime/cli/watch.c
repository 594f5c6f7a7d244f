/* `runnel events` and `runnel logs`, once or following (-f). Following asks again and again; what a
 * look has shown is not shown by the next. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/map.h"

#include <time.h>

enum { LOOK_MS = 500, PAGE = 1000, SHOWN_FIRST = 10 };

static const char *count_text(int64_t count, char out[24])
{
    (void)snprintf(out, 24, "%lld", (long long)count);
    return out;
}

static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
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

/* The events newer than `last`, oldest first; all pages of them. Ids rise with the order in which
 * events were stored. */
static int newer_events(struct client *client, const struct args *args, const char *last,
                        struct json **ret, struct err *err)
{
    struct json *all = json_new_array(), *page = NULL;
    char before[64] = "", count[24];
    bool is_done = false;
    int rc = 0;
    while (rc == 0 && !is_done) {
        char *path = client_path("events", "limit", count_text(PAGE, count), "source",
                                 args->options[SOURCE], "before", *before ? before : NULL, NULL);
        rc = client_call(client, "GET", path, NULL, &page, err);
        free(path);
        is_done = rc != 0 || json_count(page) < PAGE;
        for (struct json *e; rc == 0 && (e = json_take_first(page));) {
            const char *id = json_get_c(e, "id");
            if (!id || strcmp(id, last) <= 0) {
                is_done = true;
                json_free(e);
                continue;
            }
            (void)snprintf(before, sizeof(before), "%s", id);
            (void)json_append(all, e);
        }
        json_free(page);
        page = NULL;
    }
    *ret = reversed(all);
    return rc;
}

static int follow_events(struct client *client, const struct args *args, struct json *list,
                         struct err *err)
{
    char last[64] = "";
    int rc = 0;
    for (;;) {
        for (const struct json *e = json_first(list); e; e = json_next(e))
            (void)snprintf(last, sizeof(last), "%s", json_get_c(e, "id"));
        print(args, list, event_columns, COUNT_OF(event_columns));
        json_free(list);
        list = NULL;
        pause_ms(LOOK_MS);
        rc = newer_events(client, args, last, &list, err);
        if (rc) {
            json_free(list);
            return rc;
        }
    }
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
    char count[24];
    if (!cli_number(args, LIMIT, follows ? SHOWN_FIRST : 50, 1, 1000, &limit))
        return 2;
    struct client *client = client_open(args->project, !follows);
    if (!client)
        return 1;
    int rc = 0;
    if (args->count) {
        rc = one_event(client, args->positional[0], &err);
    } else {
        char *path = client_path("events", "limit", count_text(limit, count), "source",
                                 args->options[SOURCE], NULL);
        rc = client_call(client, "GET", path, NULL, &list, &err);
        free(path);
        if (rc == 0 && follows) {
            rc = follow_events(client, args, reversed(list), &err);
            list = NULL;
        } else if (rc == 0 && args->is_json) {
            out_json(list);
        } else if (rc == 0 && json_count(list) == 0) {
            fprintf(stderr, "no events yet: `runnel endpoints` says where to send them\n");
        } else if (rc == 0) {
            out_table(list, event_columns, COUNT_OF(event_columns));
        }
    }
    json_free(list);
    client_close(client);
    return rc ? out_error(&err) : 0;
}

const struct command command_events = {
    .name = "events",
    .usage = "[EVENT] [-f] [--source ID] [--limit N]",
    .summary = "the accepted events, newest first; with an id, that one whole",
    .help = "With -f the newest are printed, oldest first, and then each one as it is accepted. "
            "-f --json prints\none JSON object a line.",
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

/* How often the line is in the map; then `change` (1, -1) is applied. */
static uintptr_t line_count(struct map *map, const struct json *line, int change)
{
    size_t size = 0;
    char *text = json_text(line, &size);
    uintptr_t count = (uintptr_t)map_get(map, str_n(text, size));
    if (change > 0 || (change < 0 && count > 1))
        (void)map_put(map, str_n(text, size), (void *)(change > 0 ? count + 1 : count - 1));
    else if (change < 0 && count == 1)
        (void)map_remove(map, str_n(text, size));
    free(text);
    return count;
}

/* A step's lines are stored when it ends, so that a new line can be older than one that was shown:
 * what is new is what the last look did not have. `first`: only that many of the newest. */
static void print_new_lines(const struct args *args, struct json *list, struct map *shown,
                            size_t first)
{
    struct map now = MAP_INIT;
    struct json *fresh = json_new_array();
    size_t left = json_count(list);
    for (const struct json *l = json_first(list); l; l = json_next(l)) {
        (void)line_count(&now, l, 1);
        if (line_count(shown, l, -1) == 0 && left <= first)
            (void)json_append(fresh, json_copy(l));
        left--;
    }
    add_times(fresh);
    print(args, fresh, log_columns, COUNT_OF(log_columns));
    json_free(fresh);
    map_release(shown, NULL);
    *shown = now;
}

static int follow_logs(struct client *client, const struct args *args, int64_t limit,
                       struct err *err)
{
    struct map shown = MAP_INIT;
    struct json *list = NULL;
    size_t first = (size_t)limit;
    int rc = 0;
    while ((rc = get_logs(client, args, PAGE, &list, err)) == 0) {
        print_new_lines(args, list, &shown, first);
        first = SIZE_MAX;
        json_free(list);
        list = NULL;
        pause_ms(LOOK_MS);
    }
    map_release(&shown, NULL);
    return rc;
}

static int run_logs(const struct args *args)
{
    bool follows = args->options[LOG_FOLLOW];
    struct json *lines = NULL;
    struct err err = ERR_INIT;
    int64_t limit = 0;
    if (!cli_number(args, LOG_LIMIT, follows ? SHOWN_FIRST : 50, 1, 1000, &limit))
        return 2;
    struct client *client = client_open(args->project, !follows);
    if (!client)
        return 1;
    int rc = follows ? follow_logs(client, args, limit, &err)
                     : get_logs(client, args, limit, &lines, &err);
    client_close(client);
    if (rc)
        return out_error(&err);
    add_times(lines);
    if (args->is_json)
        out_json(lines);
    else if (json_count(lines) == 0)
        fprintf(stderr, "no log lines yet: steps and sources have written none\n");
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
            "-f new lines are printed as they come (of\nthe 100 newest runs); -f --json prints "
            "one JSON object a line.",
    .examples = "runnel logs -f\n"
                "runnel logs run_1m887w9920000\n"
                "runnel logs workflows/segment-to-discord/segment -n 20",
    .options = log_options,
    .option_count = COUNT_OF(log_options),
    .max_args = 1,
    .run = run_logs,
};
