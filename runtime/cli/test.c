/* `runnel test` and `runnel record`. */
#include "cli/cli.h"
#include "cli/workflow_test.h"

#include "base/str.h"

#include <dirent.h>
#include <unistd.h>

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The test files beside the workflows. */
static size_t find_files(const char *project, char ***ret)
{
    char *dir = xasprintf("%s/workflows", project);
    DIR *stream = opendir(dir);
    char **list = NULL;
    size_t count = 0;
    const struct dirent *entry;
    while (stream && (entry = readdir(stream))) {
        if (!str_ends(str_from(entry->d_name), ".test.yaml"))
            continue;
        list = xrealloc(list, (count + 1) * sizeof(*list));
        list[count++] = xasprintf("%s/%s", dir, entry->d_name);
    }
    if (stream)
        closedir(stream);
    free(dir);
    if (count > 1)
        qsort(list, count, sizeof(*list), compare);
    *ret = list;
    return count;
}

/* A path as it is, or a workflow's id. */
static char *file_of(const char *project, const char *text)
{
    return access(text, F_OK) == 0 ? xstrdup(text)
                                   : xasprintf("%s/workflows/%s.test.yaml", project, text);
}

static void print_result(const struct json *result)
{
    bool is_ok = json_get_bool(result, "ok", false);
    printf("  %s%-4s%s %s\n", is_ok ? out_green() : out_red(), is_ok ? "ok" : "FAIL", out_reset(),
           json_get_c(result, "name"));
    for (const struct json *f = json_first(json_get(result, "failures")); f; f = json_next(f))
        printf("       %s\n", json_c(f));
    if (!is_ok && json_get(json_get(result, "run"), "error"))
        printf("       %sthe run: %s%s\n", out_dim(),
               json_get_c(json_get(json_get(result, "run"), "error"), "text"), out_reset());
}

static int run_test(const struct args *args)
{
    const char *project = args->project;
    char **files = NULL;
    size_t count = args->count, tests = 0, failed = 0, broken = 0;
    struct json *all = json_new_array();
    if (count == 0)
        count = find_files(project, &files);
    else
        files = xcalloc(count, sizeof(*files));
    for (size_t i = 0; i < count; i++) {
        struct json *results = NULL;
        struct err err = ERR_INIT;
        if (args->count)
            files[i] = file_of(project, args->positional[i]);
        if (!args->is_json)
            printf("%s%s%s\n", out_bold(), files[i], out_reset());
        fflush(stdout);
        if (workflow_test_file(project, files[i], &results, &err)) {
            (void)out_error(&err);
            broken++;
        }
        for (struct json *r; results && (r = json_take_first(results));) {
            tests++;
            failed += !json_get_bool(r, "ok", false);
            if (!args->is_json)
                print_result(r);
            json_set_string(r, "file", files[i]);
            (void)json_append(all, r);
        }
        json_free(results);
        free(files[i]);
    }
    free(files);
    if (args->is_json)
        out_json(all);
    else if (count == 0)
        printf("there are no tests: a test is a file workflows/NAME.test.yaml (`runnel record RUN` "
               "makes one of a run)\n");
    else
        printf("%zu test%s, %zu failed\n", tests, tests == 1 ? "" : "s", failed);
    json_free(all);
    return failed || broken ? 1 : 0;
}

const struct command command_test = {
    .name = "test",
    .usage = "[FILE|WORKFLOW…]",
    .summary = "run the tests beside the workflows, reaching nobody",
    .help = "A test is an event, mocks of steps or of HTTP requests, and what is expected. Without "
            "arguments: all workflows/*.test.yaml.\n"
            "Exits with 1 if a test failed. docs/testing-workflows.md has the format.",
    .examples =
        "runnel test\nrunnel test orders\nrunnel test --json | jq '.[] | select(.ok | not)'",
    .max_args = CLI_ARGS_MAX,
    .run = run_test,
};

enum { OUT };

static const struct option_spec record_options[] = {
    [OUT] = {"--out", "FILE", "where to (workflows/WORKFLOW.test.yaml; - for standard output)"},
};

static int write_new(const char *path, const char *text, struct err *err)
{
    FILE *file = fopen(path, "wxe");
    if (!file)
        return err_set(err, RN_EEXISTS,
                       "%s cannot be made: it is there already, or its folder is "
                       "not (choose another with --out)",
                       path);
    bool is_written = fputs(text, file) >= 0;
    is_written &= fclose(file) == 0;
    return is_written ? 0 : err_set(err, RN_EIO, "%s cannot be written", path);
}

static int run_record(const struct args *args)
{
    const char *project = args->project;
    struct client *client = client_open(project, true);
    struct json *run = NULL;
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    char *path = xasprintf("runs/%s", args->positional[0]);
    int rc = client_call(client, "GET", path, NULL, &run, &err);
    client_close(client);
    free(path);
    if (rc)
        return out_error(&err);
    char *text = workflow_test_of_run(run);
    char *out = args->options[OUT]
                    ? xstrdup(args->options[OUT])
                    : xasprintf("%s/workflows/%s.test.yaml", project, json_get_c(run, "workflow"));
    if (strcmp(out, "-") == 0)
        fputs(text, stdout);
    else
        rc = write_new(out, text, &err);
    if (rc == 0 && strcmp(out, "-") != 0 && args->is_json) {
        struct json *answer = json_new_object();
        json_set_string(answer, "file", out);
        out_json(answer);
        json_free(answer);
    } else if (rc == 0 && strcmp(out, "-") != 0) {
        printf("%s\nrun it with: runnel test %s\n", out, json_get_c(run, "workflow"));
    }
    free(out);
    free(text);
    json_free(run);
    return rc ? out_error(&err) : 0;
}

const struct command command_record = {
    .name = "record",
    .usage = "RUN [--out FILE]",
    .summary = "make a test of a run: its event, what its steps answered, what came of it",
    .help =
        "The file is a test that passes until the workflow does something else. Secrets are not "
        "in it.",
    .examples = "runnel record run_1m886yaz60000\nrunnel test",
    .options = record_options,
    .option_count = COUNT_OF(record_options),
    .min_args = 1,
    .max_args = 1,
    .run = run_record,
};
