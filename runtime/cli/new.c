/* `runnel new`: a component project from the SDK's template. */
#include "cli/cli.h"

#include "plugin/scaffold.h"

static const struct option_spec options[] = {
    {"--into", "DIR", "the folder in which the new one is made (the current one)"},
};

static int run_component(const struct args *args)
{
    struct err err = ERR_INIT;
    char *dir = NULL;
    const char *name = args->positional[0];
    int code = component_scaffold(args->options[0] ? args->options[0] : ".", name, &dir, &err);
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

static const struct verb verbs[] = {
    {"component", "NAME [--into DIR]", "a project for a component plugin, in a folder NAME", 1, 1,
     run_component},
};

const struct command command_new = {
    .name = "new",
    .usage = "component NAME [--into DIR]",
    .summary = "write a project for a component plugin that builds and passes its own test",
    .help =
        "NAME is the app's name: lower case letters, digits and underscores. The project has an "
        "action, a source,\ntheir test against the SDK's fake host, a Makefile and a "
        "CMakeLists.txt. docs/components.md goes on from there.",
    .examples = "runnel new component notes && make -C notes test\n"
                "runnel components install notes/notes.so",
    .options = options,
    .option_count = COUNT_OF(options),
    .verbs = verbs,
    .verb_count = COUNT_OF(verbs),
    .flags = CLI_NO_PROJECT,
};
