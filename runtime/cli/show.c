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

/* What the step is: an action's key, or the kind with what it decided: `if → else`. */
static char *what_of(const struct json *step)
{
    const char *component = json_get_c(step, "component"), *kind = json_get_c(step, "kind"),
               *branch = json_get_c(step, "branch"), *run = json_get_c(step, "run");
    const struct json *items = json_get(json_get(step, "inputs"), "items");
    struct buf what = BUF_INIT(SIZE_MAX / 2);
    buf_add_c(&what, component ? component : kind ? kind : "");
    if (branch && strcmp(branch, "else") == 0 && str_eq_c(json_get_text(step, "kind"), "switch"))
        buf_add_c(&what, " → default");
    else if (branch) /* the number of an entry, or "else" */
        buf_addf(&what, " → %s%s", strcmp(branch, "else") == 0 ? "" : "entry ", branch);
    else if (json_get(step, "branches"))
        buf_add_c(&what, json_count(json_get(step, "branches")) ? " → " : " → no branch");
    for (const struct json *b = json_first(json_get(step, "branches")); b; b = json_next(b))
        buf_addf(&what, "%s%s", json_c(b), json_next(b) ? ", " : "");
    if (str_eq_c(json_get_text(step, "kind"), "for_each") && items)
        buf_addf(&what, " → %zu item%s", json_count(items), json_count(items) == 1 ? "" : "s");
    if (run)
        buf_addf(&what, " → %s", run);
    if (json_get_bool(step, "replayed", false))
        buf_add_c(&what, "  (taken over from the run before)");
    return buf_take(&what, NULL);
}

static void print_moment(const char *what, int64_t ms)
{
    char *moment = out_moment(ms);
    printf("    %s%s %s%s\n", out_dim(), what, moment, out_reset());
    free(moment);
}

/* What the step waits or has waited for. */
static void print_wait(const struct json *step)
{
    const struct json *wait = json_get(step, "wait"), *resumed = json_get(step, "resumed");
    int64_t until = json_get_i64(wait, "until_ms", 0);
    bool is_rerun = str_eq_c(json_get_text(wait, "kind"), "rerun"),
         is_paused = str_eq_c(json_get_text(step, "status"), "paused");
    if (json_get(step, "retry_ms"))
        print_moment("is tried again at", json_get_i64(step, "retry_ms", 0));
    if (resumed)
        print_moment("resumed at", json_get_i64(resumed, "at_ms", 0));
    else if (until)
        print_moment(is_rerun    ? "runs again at"
                     : is_paused ? "waits until"
                                 : "waited until",
                     until);
}

/* "http  POST https://… 200", "emit  orders evt_…". */
void show_sends(const struct json *step, bool with_path)
{
    static const char *const what[] = {"method", "url", "subject", "channel", "event_id"};
    const struct json *sends = json_get(step, "sends");
    if (json_count(sends) && with_path)
        printf("\n  %s%s%s  sends\n", out_bold(), json_get_c(step, "path"), out_reset());
    else if (json_count(sends))
        printf("    %ssends%s\n", out_dim(), out_reset());
    for (const struct json *s = json_first(sends); s; s = json_next(s)) {
        const char *state = json_get_c(s, "state"), *error = json_get_c(s, "error");
        struct buf line = BUF_INIT(SIZE_MAX / 2);
        buf_addf(&line, "%-5s  %s", json_get_c(s, "kind"), state);
        for (size_t i = 0; i < COUNT_OF(what); i++)
            if (json_get_c(s, what[i]))
                buf_addf(&line, "  %s", json_get_c(s, what[i]));
        if (json_get(s, "status"))
            buf_addf(&line, "  %lld", (long long)json_get_i64(s, "status", 0));
        if (json_get_i64(s, "tries", 1) > 1)
            buf_addf(&line, "  try %lld", (long long)json_get_i64(s, "tries", 1));
        if (json_get(s, "next_ms")) {
            char *moment = out_moment(json_get_i64(s, "next_ms", 0));
            buf_addf(&line, "  again at %s", moment);
            free(moment);
        }
        out_lines("      ", buf_c(&line));
        buf_release(&line);
        if (error)
            print_red("        ", error);
    }
}

void show_step(const struct json *step)
{
    const char *status = json_get_c(step, "status"),
               *summary = json_get_c(json_get(step, "exports"), "$summary"),
               *error = json_get_c(json_get(step, "error"), "text");
    char *took = json_get(step, "duration_ms") ? out_duration(json_get_i64(step, "duration_ms", 0))
                                               : xstrdup("");
    const char *path = json_get_c(step, "path");
    printf("\n  %s%s%s  %s%s%s", out_bold(), path ? path : json_get_c(step, "namespace"),
           out_reset(), out_status_color(status), status ? status : "", out_reset());
    if (json_get_i64(step, "attempt", 1) > 1)
        printf("  attempt %lld", (long long)json_get_i64(step, "attempt", 1));
    char *what = what_of(step);
    printf("  %s  %s%s%s\n", took, out_dim(), what, out_reset());
    free(what);
    free(took);
    if (summary)
        out_lines("    ", summary);
    if (error)
        print_red("    ", error);
    print_wait(step);
    print_value("inputs", json_get(step, "inputs"));
    print_value("exports", json_get(step, "exports"));
    print_value("$resume_data", json_get(json_get(json_get(step, "resumed"), "data"), "body"));
    if (json_get(step, "files"))
        printf("    %sfiles of the run%s  %lld, %lld bytes\n", out_dim(), out_reset(),
               (long long)json_get_i64(json_get(step, "files"), "count", 0),
               (long long)json_get_i64(json_get(step, "files"), "bytes", 0));
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
    printf("%s%s%s  %s  %s%s%s  %s", out_bold(), json_get_c(run, "id"), out_reset(),
           json_get_c(run, "workflow"), out_status_color(status), status, out_reset(), took);
    if (json_get_c(run, "version"))
        printf("  %sversion %.12s%s", out_dim(), json_get_c(run, "version"), out_reset());
    printf("\n");
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

static const char *const statuses[] = {"queued",    "running", "waiting",  "paused",
                                       "succeeded", "failed",  "cancelled"};

bool show_is_status(const struct args *args, const char *given)
{
    struct nearest nearest = {given, NULL, 0};
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        if (strcmp(statuses[i], given) == 0)
            return true;
        nearest_try(&nearest, statuses[i]);
    }
    if (nearest.best)
        (void)cli_wrong(args, "there is no status \"%s\"; did you mean %s?", given, nearest.best);
    else
        (void)cli_wrong(args,
                        "there is no status \"%s\", only queued, running, waiting, paused, "
                        "succeeded, failed and cancelled",
                        given);
    return false;
}

bool show_has_ended(const struct json *run)
{
    static const char *const ends[] = {"succeeded", "failed", "cancelled"};
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        if (str_eq_c(json_get_text(run, "status"), ends[i]))
            return true;
    return false;
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
    for (const struct json *s = json_first(json_get(run, "steps")); s; s = json_next(s)) {
        show_step(s);
        show_sends(s, false);
    }
}
