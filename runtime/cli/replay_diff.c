#include "cli/replay_diff.h"

#include "base/str.h"
#include "cli/workflow_test.h"

/* The last attempt of a step, by its path. */
static const struct json *step_at(const struct json *run, const char *path)
{
    const struct json *found = NULL;
    for (const struct json *s = json_first(json_get(run, "steps")); s; s = json_next(s))
        if (str_eq_c(json_get_text(s, "path"), path))
            found = s;
    return found;
}

/* Each call answers as it did. */
static struct json *mocks_of(const struct json *run)
{
    struct json *mocks = json_new_object();
    for (const struct json *s = json_first(json_get(run, "steps")); s; s = json_next(s)) {
        const char *path = json_get_c(s, "path");
        if (!path || step_at(run, path) != s)
            continue;
        struct json *mock = workflow_test_mock(s, true);
        if (mock)
            (void)json_set(mocks, path, mock);
    }
    return mocks;
}

static void say(struct json *differences, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct json *differences, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)json_append(differences, json_new_string_c(text));
}

static void compare_step(const struct json *before, const struct json *after,
                         struct json *differences)
{
    const char *path = json_get_c(after, "path");
    if (!before) {
        say(differences, "+ %s would run%s%s", path, json_get(after, "component") ? ": " : "",
            json_get(after, "component") ? json_get_c(after, "component") : "");
        return;
    }
    char *place = xasprintf("~ %s.inputs", path);
    if (json_get(before, "inputs") && json_get(after, "inputs") &&
        !json_equal(json_get(before, "inputs"), json_get(after, "inputs")))
        expect_value(place, json_get(before, "inputs"), json_get(after, "inputs"), differences);
    free(place);
    struct str was = json_get_text(before, "status"), is = json_get_text(after, "status");
    if (!str_eq(was, is))
        say(differences, "~ %s would be " STR_FMT ", it was " STR_FMT, path, STR_ARG(is),
            STR_ARG(was));
}

static void compare(const struct json *before, const struct json *after, struct json *differences)
{
    for (const struct json *s = json_first(json_get(after, "steps")); s; s = json_next(s)) {
        const char *path = json_get_c(s, "path");
        if (path && step_at(after, path) == s)
            compare_step(step_at(before, path), s, differences);
    }
    for (const struct json *s = json_first(json_get(before, "steps")); s; s = json_next(s)) {
        const char *path = json_get_c(s, "path");
        if (path && step_at(before, path) == s && !step_at(after, path))
            say(differences, "- %s would not run", path);
    }
    static const char *const members[] = {"status", "exit_reason"};
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        struct str was = json_get_text(before, members[i]), is = json_get_text(after, members[i]);
        if (!str_eq(was, is))
            say(differences, "~ the run's %s would be \"" STR_FMT "\", it was \"" STR_FMT "\"",
                members[i], STR_ARG(is), STR_ARG(was));
    }
}

int replay_diff(const char *project, const struct json *run, const char *workflow,
                struct json **ret, struct err *err)
{
    struct json *mocks = mocks_of(run), *after = NULL, *empty = json_new_object();
    const struct json *event = json_get(json_get(run, "trigger_event"), "event");
    struct simulation simulation = {.project = project,
                                    .workflow = workflow ? workflow : json_get_c(run, "workflow"),
                                    .event = event ? event : empty,
                                    .step_mocks = mocks,
                                    .calls_nothing = true};
    int rc = simulate(&simulation, &after, err);
    if (rc == 0) {
        struct json *answer = json_new_object(), *differences = json_new_array();
        compare(run, after, differences);
        json_set_string(answer, "run", json_get_c(run, "id"));
        json_set_boolean(answer, "same", json_count(differences) == 0);
        (void)json_set(answer, "differences", differences);
        *ret = answer;
    }
    json_free(after);
    json_free(mocks);
    json_free(empty);
    return rc;
}
