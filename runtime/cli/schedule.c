/* `runnel schedule` and `runnel fire`: what the clock fires. */
#include "cli/cli.h"

static const struct option_spec schedule_options[] = {
    {"-n, --next", "N", "so many firings ahead, 5 unless given (100 at most)"},
};
enum { NEXT };

static void print_schedule(const struct json *item)
{
    const char *error = json_get_c(item, "error"), *last = json_get_c(item, "last"),
               *run = json_get_c(item, "run");
    printf("%s%s%s  %s%s%s\n", out_bold(), json_get_c(item, "id"), out_reset(),
           json_get_c(item, "schedule"), json_get_bool(item, "active", false) ? "" : "  ",
           json_get_bool(item, "active", false) ? "" : "not active");
    if (last)
        printf("  last  %s%s%s\n", last, run ? "  " : "", run ? run : "");
    for (const struct json *n = json_first(json_get(item, "next")); n; n = json_next(n))
        printf("  next  %s\n", json_c(n));
    printf("  fired %lld, left out %lld, waiting %lld\n", (long long)json_get_i64(item, "fired", 0),
           (long long)json_get_i64(item, "skipped", 0),
           (long long)json_get_i64(item, "waiting", 0));
    if (error)
        printf("  %s%s%s\n", out_red(), error, out_reset());
}

static bool is_named(const struct json *item, const char *name)
{
    struct str id = json_get_text(item, "id");
    return str_eq_c(id, name) || str_find(id, name, 0) >= 0;
}

static int run_schedule(const struct args *args)
{
    struct client *client = client_open(args->project, false);
    struct json *list = NULL;
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    char *path = xasprintf("schedules?next=%s", args->options[NEXT] ? args->options[NEXT] : "5");
    int rc = client_call(client, "GET", path, NULL, &list, &err);
    free(path);
    client_close(client);
    if (rc)
        return out_error(&err);
    struct json *chosen = json_new_array();
    for (const struct json *i = json_first(list); i; i = json_next(i))
        if (!args->count || is_named(i, args->positional[0]))
            (void)json_append(chosen, json_copy(i));
    size_t count = json_count(chosen);
    if (args->is_json)
        out_json(chosen);
    for (const struct json *i = json_first(chosen); i && !args->is_json; i = json_next(i))
        print_schedule(i);
    if (count == 0 && !args->is_json)
        fprintf(stderr,
                args->count ? "runnel: nothing that the clock fires is called \"%s\"\n"
                            : "runnel: no trigger and no source has a timer\n",
                args->positional[0]);
    json_free(chosen);
    json_free(list);
    return count == 0 && args->count ? 1 : 0;
}

const struct command command_schedule = {
    .name = "schedule",
    .usage = "[NAME] [--next N]",
    .summary = "what the clock fires, and when next",
    .help = "NAME is an id, or a part of it (the workflow's name). Asks the runtime, so it must be "
            "up. Moments are\nshown in the schedule's own time zone.",
    .examples = "runnel schedule\nrunnel schedule report --next 10",
    .options = schedule_options,
    .option_count = COUNT_OF(schedule_options),
    .max_args = 1,
    .run = run_schedule,
};

static int run_fire(const struct args *args)
{
    struct client *client = client_open(args->project, false);
    struct json *result = NULL, *body = json_new_object();
    struct err err = ERR_INIT;
    json_set_string(body, "id", args->positional[0]);
    if (!client) {
        json_free(body);
        return 1;
    }
    int rc = client_call(client, "POST", "fire", body, &result, &err);
    json_free(body);
    client_close(client);
    if (rc)
        return out_error(&err);
    if (args->is_json)
        out_json(result);
    else
        printf("%s fired%s%s\n", args->positional[0], json_get_c(result, "run") ? ": " : "",
               json_get_c(result, "run") ? json_get_c(result, "run") : "");
    json_free(result);
    return 0;
}

const struct command command_fire = {
    .name = "fire",
    .usage = "ID",
    .summary = "fire a schedule trigger or the timer of a source now",
    .help =
        "ID as `runnel schedule` shows it: workflows/NAME/trigger or sources/NAME. The schedule "
        "itself goes on as it was.",
    .examples = "runnel fire workflows/report/trigger\nrunnel fire sources/status",
    .min_args = 1,
    .max_args = 1,
    .run = run_fire,
};
