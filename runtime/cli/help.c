/* `runnel --help`, `runnel COMMAND --help`. docs/cli.md is made from what this prints. */
#include "cli/cli.h"

enum { LEFT = 26 };

void cli_overview(FILE *out)
{
    const char *group = NULL, *last = NULL;
    fprintf(out,
            "runnel runs workflow files: webhooks, timers and manual events come in, component "
            "plugins\nact on them. Accepted events are on disk before the sender hears 200.\n\n"
            "Usage: runnel COMMAND [ARGUMENTS]        more: runnel COMMAND --help\n");
    for (size_t i = 0; i < cli_command_count(); i++) {
        const struct command *command = cli_command_at(i, &group);
        if (group != last)
            fprintf(out, "\n%s\n", group);
        last = group;
        fprintf(out, "  %-12s %s\n", command->name, command->summary);
    }
    fprintf(out, "\nA project is a folder with a runnel.yaml. Commands work on the one you are in, "
                 "or on --project DIR.\nLists and results take --json. Exit codes: 0 good, 1 the "
                 "work failed, 2 the call was wrong.\n\n"
                 "Start with:\n  runnel init my-project && cd my-project && runnel up --sandbox\n");
}

/* Long texts go to lines of their own behind the same indent. */
static void row(const char *left, const char *text)
{
    if (strlen(left) > LEFT - 3)
        printf("  %s\n  %*s%s\n", left, LEFT - 2, "", text);
    else
        printf("  %-*s%s\n", LEFT - 2, left, text);
}

static void option_row(const struct option_spec *option)
{
    char left[96];
    (void)snprintf(left, sizeof(left), "%s%s%s%s", option->name[1] == '-' ? "    " : "",
                   option->name, option->value ? " " : "", option->value ? option->value : "");
    row(left, option->help);
}

static bool has_own(const struct command *command, const char *name)
{
    for (size_t i = 0; i < command->option_count; i++)
        if (strcmp(command->options[i].name, name) == 0)
            return true;
    return false;
}

static void title(const char *text)
{
    printf("\n%s%s%s\n", out_bold(), text, out_reset());
}

static void print_usage(const struct command *command)
{
    title("Usage");
    if (!command->verbs) {
        printf("  runnel %s\n", cli_usage(command));
        return;
    }
    for (size_t v = 0; v < command->verb_count; v++) {
        const struct verb *verb = &command->verbs[v];
        printf("  runnel %s %s%s%s\n  %8s%s%s\n", command->name, verb->name,
               *verb->usage ? " " : "", verb->usage, "", verb->summary,
               v ? "" : " (this is what is done without a verb)");
    }
}

void cli_help(const struct command *command)
{
    static const struct option_spec json = {"--json", NULL, "as JSON, for scripts"},
                                    project = {"--project", "DIR",
                                               "the project's folder (else the one you are in)"},
                                    data = {"--data", "DIR",
                                            "its data folder (.runnel, or $RUNNEL_DATA)"},
                                    help = {"-h, --help", NULL, "this text"};
    printf("runnel %s: %s\n", command->name, command->summary);
    print_usage(command);
    if (command->help)
        printf("\n%s\n", command->help);
    if (command->examples) {
        title("Examples");
        out_lines("  ", command->examples);
    }
    title("Options");
    for (size_t i = 0; i < command->option_count; i++)
        option_row(&command->options[i]);
    if (!(command->flags & CLI_NO_JSON) && !has_own(command, "--json"))
        option_row(&json);
    if (!(command->flags & CLI_NO_PROJECT)) {
        if (!has_own(command, "--project"))
            option_row(&project);
        option_row(&data);
    }
    option_row(&help);
}
