/* `runnel new`: a component project from the SDK's template; a workflow file to begin with. */
#include "cli/cli.h"

#include "cli/files.h"
#include "plugin/scaffold.h"

#include <unistd.h>

static const struct option_spec options[] = {
    {"--into", "DIR", "component: the folder in which the new one is made (the current one)"},
    {"--trigger", "KIND", "workflow: http (unless given), schedule or manual"},
};
enum { INTO, TRIGGER };

static int run_component(const struct args *args)
{
    struct err err = ERR_INIT;
    char *dir = NULL;
    const char *name = args->positional[0];
    int code =
        component_scaffold(args->options[INTO] ? args->options[INTO] : ".", name, &dir, &err);
    if (code) {
        (void)out_error(&err);
        return code == RN_EINVAL ? 2 : 1;
    }
    if (args->is_json) {
        struct json *answer = json_new_object();
        json_set_string(answer, "name", name);
        json_set_string(answer, "dir", dir);
        out_json(answer);
        json_free(answer);
    } else {
        printf("%s: an action, a source and their test. Next:\n"
               "  make -C %s test                         builds the plugin and runs its test\n"
               "  runnel components install %s/%s.so      puts it into a project\n",
               dir, dir, dir, name);
    }
    free(dir);
    return 0;
}

/* ---- a workflow */

static const struct beginning {
    const char *trigger, *text, *next;
} beginnings[] = {
    {"http",
     "  - namespace: hook\n"
     "    http: { respond: workflow } # the sender gets what `answer` says; docs/triggers.md has "
     "the "
     "options\n"
     "steps: # docs/workflow-files.md, docs/control-flow.md, docs/code-steps.md\n"
     "  - namespace: answer\n"
     "    respond:\n"
     "      status: 200\n"
     "      body: { hello: \"{{steps.trigger.event.body?.name ?? 'world'}}\" }\n",
     "  runnel up                  # in another terminal, unless it is up\n"
     "  curl -H 'content-type: application/json' -d '{\"name\":\"Ann\"}' \"$(runnel endpoints "
     "--json "
     "| jq -r '.[] | select(.workflow == \"NAME\").url')\"\n"},
    {"schedule",
     "  - namespace: clock\n"
     "    schedule: { every: 15m } # or { cron: \"0 9 * * 1-5\", timezone: Europe/Berlin }; "
     "docs/triggers.md\n"
     "steps: # docs/workflow-files.md, docs/control-flow.md, docs/code-steps.md\n"
     "  - namespace: done\n"
     "    end: \"it is {{steps.trigger.event.timezone_utc.iso8601.timestamp}}\"\n",
     "  runnel up                  # in another terminal, unless it is up\n"
     "  runnel fire workflows/NAME/clock   # now, beside the schedule\n"},
    {"manual",
     "  - namespace: hand\n"
     "    manual: { sample: { name: Ann } } # what `runnel run` takes without --event\n"
     "steps: # docs/workflow-files.md, docs/control-flow.md, docs/code-steps.md\n"
     "  - namespace: done\n"
     "    end: \"hello {{steps.trigger.event.name}}\"\n",
     "  runnel run NAME\n"},
};

static const struct beginning *beginning_of(const struct args *args)
{
    const char *kind = args->options[TRIGGER] ? args->options[TRIGGER] : "http";
    for (size_t i = 0; i < COUNT_OF(beginnings); i++)
        if (strcmp(beginnings[i].trigger, kind) == 0)
            return &beginnings[i];
    return NULL;
}

static bool is_file_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    return len > 0 && len <= 100 && !name[len];
}

static int run_workflow(const struct args *args)
{
    const struct beginning *beginning = beginning_of(args);
    const char *name = args->positional[0];
    struct err err = ERR_INIT;
    if (!beginning)
        return cli_wrong(args, "--trigger is http, schedule or manual, not \"%s\"",
                         args->options[TRIGGER]);
    if (!is_file_name(name))
        return cli_wrong(args, "a workflow's name has letters, digits, - and _, 100 at most");
    const char *project = cli_project(NULL);
    char *marker = xasprintf("%s/runnel.yaml", project),
         *path = xasprintf("%s/workflows/%s.yaml", project, name);
    char *text = xasprintf("name: %s\ntriggers:\n%s", name, beginning->text);
    int rc = 0;
    if (access(marker, F_OK))
        rc = err_set(&err, RN_ENOTFOUND,
                     "there is no project here (no runnel.yaml): `runnel init` makes one");
    else if (access(path, F_OK) == 0)
        rc = err_set(&err, RN_EEXISTS, "%s is there already", path);
    rc = rc ? rc : cli_write_file(path, text, &err);
    free(marker);
    if (rc == 0 && args->is_json) {
        struct json *answer = json_new_object();
        json_set_string(answer, "name", name);
        json_set_string(answer, "file", path);
        out_json(answer);
        json_free(answer);
    } else if (rc == 0) {
        printf("%s is a workflow that runs as it is. Next:\n", path);
        const char *mark = strstr(beginning->next, "NAME");
        printf("%.*s%s%s", (int)(mark - beginning->next), beginning->next, name,
               mark + strlen("NAME"));
    }
    free(path);
    free(text);
    return rc ? out_error(&err) : 0;
}

static const struct verb verbs[] = {
    {"component", "NAME [--into DIR]", "a project for a component plugin, in a folder NAME", 1, 1,
     run_component},
    {"workflow", "NAME [--trigger KIND]", "a workflow file to begin with, in this project", 1, 1,
     run_workflow},
};

const struct command command_new = {
    .name = "new",
    .usage = "component NAME [--into DIR]",
    .summary = "write a workflow file that runs, or a component project that passes its own test",
    .help =
        "A component's NAME is the app's: lower case letters, digits and underscores. The project "
        "has an action, a source,\ntheir test against the SDK's fake host, a Makefile and a "
        "CMakeLists.txt. docs/components.md goes on from there.",
    .examples = "runnel new workflow hello\n"
                "runnel new workflow report --trigger schedule\n"
                "runnel new component notes && make -C notes test\n"
                "runnel components install notes/notes.so",
    .options = options,
    .option_count = COUNT_OF(options),
    .verbs = verbs,
    .verb_count = COUNT_OF(verbs),
    .flags = CLI_NO_PROJECT,
};
