/* `runnel new`: a component project from the SDK's template. */
#include "cli/cli.h"

#include "plugin/scaffold.h"

static const struct option_spec options[] = {
    {"--into", "DIR", "the folder in which the new one is made (the current one)"},
};

static int run_new(const struct args *args)
{
    struct err err = ERR_INIT;
    char *dir = NULL;
    if (strcmp(args->positional[0], "component") != 0) {
        (void)fprintf(stderr, "runnel new: only `runnel new component NAME` is there, not \"%s\"\n",
                      args->positional[0]);
        return 2;
    }
    int code = component_scaffold(args->options[0] ? args->options[0] : ".", args->positional[1],
                                  &dir, &err);
    if (code) {
        (void)out_error(&err);
        return code == RN_EINVAL ? 2 : 1;
    }
    printf("%s: an action, a source and their test. Next:\n"
           "  make -C %s test                         builds the plugin and runs its test\n"
           "  runnel components install %s/%s.so      puts it into a project\n",
           dir, dir, dir, args->positional[1]);
    free(dir);
    return 0;
}

const struct command command_new = {
    .name = "new",
    .usage = "new component NAME [--into DIR]",
    .summary = "write a project for a component plugin that builds and passes its own test",
    .help = "NAME is the app's name: lower case letters, digits and underscores. The project has "
            "an action, a source, their test against the\n"
            "SDK's fake host, a Makefile and a CMakeLists.txt.",
    .options = options,
    .option_count = COUNT_OF(options),
    .min_args = 2,
    .max_args = 2,
    .run = run_new,
};
