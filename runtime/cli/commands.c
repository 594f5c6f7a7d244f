/* `runnel`: finding the command. */
#include "cli/commands.h"

#include "cli/cli.h"

#include <locale.h>

static const struct {
    const char *group;
    const struct command *command;
} commands[] = {
    {"Begin", &command_init},
    {"Begin", &command_doctor},
    {"Begin", &command_import},
    {"Begin", &command_sandbox},
    {"Write workflows", &command_check},
    {"Write workflows", &command_test},
    {"Write workflows", &command_record},
    {"Write workflows", &command_configure},
    {"Write workflows", &command_components},
    {"Write workflows", &command_options},
    {"Write workflows", &command_accounts},
    {"Write workflows", &command_new},
    {"Run them", &command_up},
    {"Run them", &command_down},
    {"Run them", &command_run},
    {"Run them", &command_replay},
    {"Run them", &command_cancel},
    {"Run them", &command_resume},
    {"Run them", &command_schedule},
    {"Run them", &command_fire},
    {"See what they do", &command_runs},
    {"See what they do", &command_inspect},
    {"See what they do", &command_events},
    {"See what they do", &command_data},
    {"See what they do", &command_logs},
    {"See what they do", &command_console},
    {"See what they do", &command_workflows},
    {"See what they do", &command_sources},
    {"See what they do", &command_endpoints},
    {"For your shell", &command_completion},
};

size_t cli_command_count(void)
{
    return COUNT_OF(commands);
}

const struct command *cli_command_at(size_t index, const char **ret_group)
{
    if (ret_group)
        *ret_group = commands[index].group;
    return commands[index].command;
}

static int unknown_command(const char *name)
{
    struct nearest nearest = {name, NULL, 0};
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        nearest_try(&nearest, commands[i].command->name);
    if (nearest.best)
        fprintf(stderr, "runnel: there is no command \"%s\"; did you mean `runnel %s`?\n", name,
                nearest.best);
    else
        fprintf(stderr, "runnel: there is no command \"%s\" (`runnel --help` lists them)\n", name);
    return 2;
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (strcmp(name, commands[i].command->name) == 0)
            return commands[i].command;
    return NULL;
}

int cli_main(int argc, char **argv)
{
    const char *project = NULL, *data = NULL;
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* how wide a character is */
    int i = 1;
    for (; i + 1 < argc; i += 2) { /* before the command: for aliases */
        if (strcmp(argv[i], "--project") == 0)
            project = argv[i + 1];
        else if (strcmp(argv[i], "--data") == 0)
            data = argv[i + 1];
        else
            break;
    }
    if (i >= argc) {
        cli_overview(stderr);
        return 2;
    }
    const char *name = argv[i];
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0 || strcmp(name, "version") == 0) {
        printf("runnel %s\n", RUNNEL_VERSION);
        return 0;
    }
    bool is_help =
        strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0;
    if (is_help && i + 1 >= argc) {
        cli_overview(stdout);
        return 0;
    }
    const struct command *command = find(is_help ? argv[i + 1] : name);
    if (!command)
        return unknown_command(is_help ? argv[i + 1] : name);
    if (is_help) {
        cli_help(command);
        return 0;
    }
    return cli_run_command(command, argc - i, argv + i, project, data);
}
