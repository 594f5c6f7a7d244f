/* A run as a person reads it: what came in, then each step with its inputs, exports, logs, time. */
#include "cli/cli.h"

static void print_value(const char *title, const struct json *value)
{
    if (!value || (json_is(value, JSON_OBJECT) && json_count(value) == 0))
        return;
    struct buf text = BUF_INIT(SIZE_MAX / 2);
    json_write_pretty(&text, value);
    printf("    %s%s%s\n", out_dim(), title, out_reset());
    out_lines("      ", buf_c(&text));
    buf_release(&text);
}

static void print_red(const char *indent, const char *text)
{
    printf("%s", out_red());
    out_lines(indent, text);
    printf("%s", out_reset());
}

void show_step(const struct json *step)
{
    const char *status = json_get_c(step, "status"), *component = json_get_c(step, "component"),
               *summary = json_get_c(json_get(step, "exports"), "$summary"),
               *error = json_get_c(json_get(step, "error"), "text");
    char *took = json_get(step, "duration_ms") ? out_duration(json_get_i64(step, "duration_ms", 0))
                                               : xstrdup("");
    const char *path = json_get_c(step, "path");
    printf("\n  %s%s%s  %s%s%s", out_bold(), path ? path : json_get_c(step, "namespace"),
           out_reset(), out_status_color(status), status ? status : "", out_reset());
    if (json_get_i64(step, "attempt", 1) > 1)
        printf("  attempt %lld", (long long)json_get_i64(step, "attempt", 1));
    printf("  %s  %s%s%s\n", took, out_dim(), component ? component : "", out_reset());
    free(took);
    if (summary)
        out_lines("    ", summary);
    if (error)
        print_red("    ", error);
    if (json_get(step, "retry_ms")) {
        char *pause = out_duration(json_get_i64(step, "retry_ms", 0));
        printf("    %sis tried again after %s%s\n", out_dim(), pause, out_reset());
        free(pause);
    }
    print_value("inputs", json_get(step, "inputs"));
    print_value("exports", json_get(step, "exports"));
    if (json_count(json_get(step, "logs")))
        printf("    %slogs%s\n", out_dim(), out_reset());
    for (const struct json *l = json_first(json_get(step, "logs")); l; l = json_next(l)) {
        char *line = xasprintf("%s  %s", json_get_c(l, "level"), json_get_c(l, "text"));
        out_lines("      ", line);
        free(line);
    }
}

void show_run_head(const struct json *run)
{
    const char *status = json_get_c(run, "status"),
               *error = json_get_c(json_get(run, "error"), "text"),
               *step = json_get_c(json_get(run, "error"), "step");
    char *took = json_get(run, "duration_ms") ? out_duration(json_get_i64(run, "duration_ms", 0))
                                              : xstrdup("");
    printf("%s%s%s  %s  %s%s%s  %s\n", out_bold(), json_get_c(run, "id"), out_reset(),
           json_get_c(run, "workflow"), out_status_color(status), status, out_reset(), took);
    free(took);
    if (error) {
        char *text = xasprintf("%s%s%s", step ? step : "", step ? ": " : "", error);
        print_red("  ", text);
        free(text);
    }
    if (json_get_c(run, "exit_reason"))
        printf("  ended by a step: %s\n", json_get_c(run, "exit_reason"));
    if (json_get_c(run, "replay_of"))
        printf("  a replay of %s\n", json_get_c(run, "replay_of"));
}

void show_run(const struct json *run)
{
    show_run_head(run);
    const struct json *event = json_get(run, "trigger_event");
    if (event) {
        char *summary = out_clean(json_get_c(event, "summary"));
        const char *trigger = json_get_c(run, "trigger");
        printf("\n  %s%s%s  %s  %s\n", out_bold(), trigger ? trigger : "trigger", out_reset(),
               json_get_c(event, "id"), summary);
        free(summary);
        print_value("event", json_get(event, "event"));
    }
    for (const struct json *s = json_first(json_get(run, "steps")); s; s = json_next(s))
        show_step(s);
}
