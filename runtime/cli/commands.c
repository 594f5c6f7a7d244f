/* `runnel`: finding the command, its options, its help. */
#include "cli/commands.h"

#include "cli/cli.h"

static const struct command *const commands[] = {
    &command_init,      &command_up,       &command_down,      &command_check,
    &command_run,       &command_events,   &command_runs,      &command_inspect,
    &command_replay,    &command_logs,     &command_workflows, &command_sources,
    &command_endpoints, &command_schedule, &command_fire,      &command_components,
    &command_accounts,  &command_options,  &command_configure, &command_sandbox,
    &command_new,       &command_doctor,   &command_console,
};

static void print_overview(FILE *out)
{
    fprintf(out, "runnel runs workflow files: webhooks, timers and manual events in, component "
                 "plugins out.\n\n"
                 "Usage: runnel COMMAND [ARGUMENTS]        runnel COMMAND --help\n\nCommands:\n");
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    fputc('\n', out);
    fprintf(out, "A project is a folder with runnel.yaml; commands work on the current one (or "
                 "--project DIR).\n"
                 "Start with: runnel init my-project && cd my-project && runnel up --sandbox\n");
}

static void print_help(const struct command *command)
{
    printf("Usage: runnel %s\n\n%s\n", command->usage, command->summary);
    if (command->help)
        printf("\n%s\n", command->help);
    if (command->option_count)
        printf("\nOptions:\n");
    for (size_t i = 0; i < command->option_count; i++) {
        char left[64];
        (void)snprintf(left, sizeof(left), "%s%s%s", command->options[i].name,
                       command->options[i].value ? " " : "",
                       command->options[i].value ? command->options[i].value : "");
        printf("  %-22s %s\n", left, command->options[i].help);
    }
}

static int wrong(const struct command *command, const char *what, const char *text)
{
    fprintf(stderr, "runnel %s: %s%s\nUsage: runnel %s\n(more: runnel %s --help)\n", command->name,
            what, text, command->usage, command->name);
    return 2;
}

/* --name VALUE or --name=VALUE. */
static int read_option(const struct command *command, char **argv, int argc, int *i,
                       struct args *args)
{
    struct str rest = str_from(argv[*i]), name = STR_NONE;
    (void)str_cut(&rest, '=', &name);
    for (size_t o = 0; o < command->option_count; o++) {
        if (!str_eq_c(name, command->options[o].name))
            continue;
        if (!command->options[o].value) {
            args->options[o] = "";
            return 0;
        }
        if (rest.ptr) {
            args->options[o] = rest.ptr;
            return 0;
        }
        if (*i + 1 >= argc)
            return wrong(command, "a value is missing behind ", argv[*i]);
        args->options[o] = argv[++*i];
        return 0;
    }
    return wrong(command, "there is no option ", argv[*i]);
}

static int run_command(const struct command *command, int argc, char **argv)
{
    struct args args = {.count = 0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(command);
            return 0;
        }
        if (argv[i][0] == '-' && argv[i][1]) {
            int rc = read_option(command, argv, argc, &i, &args);
            if (rc)
                return rc;
        } else if (args.count >= command->max_args) {
            return wrong(command, "one argument too many: ", argv[i]);
        } else {
            args.positional[args.count++] = argv[i];
        }
    }
    if (args.count < command->min_args)
        return wrong(command, "an argument is missing", "");
    return command->run(&args);
}

int cli_main(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_overview(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("runnel %s\n", RUNNEL_VERSION);
        return 0;
    }
    size_t nearest = 0, distance = 4;
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        if (strcmp(argv[1], commands[i]->name) == 0)
            return run_command(commands[i], argc - 1, argv + 1);
        size_t d = str_distance(str_from(argv[1]), str_from(commands[i]->name), 3);
        if (d < distance) {
            distance = d;
            nearest = i;
        }
    }
    fprintf(stderr, "runnel: there is no command \"%s\"", argv[1]);
    if (distance < 4)
        fprintf(stderr, "; did you mean `runnel %s`?\n", commands[nearest]->name);
    else
        fprintf(stderr, " (see `runnel --help`)\n");
    return 2;
}
