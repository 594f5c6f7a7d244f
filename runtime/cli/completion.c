/* `runnel completion bash`: the script is made from the commands' tables. */
#include "cli/cli.h"

static void print_words(const struct command *command)
{
    for (size_t v = 0; v < command->verb_count; v++)
        printf("%s ", command->verbs[v].name);
    for (size_t o = 0; o < command->option_count; o++)
        printf("%s ", strstr(command->options[o].name, "--"));
    printf("%s%s--help", command->flags & CLI_NO_JSON ? "" : "--json ",
           command->flags & CLI_NO_PROJECT ? "" : "--project --data ");
}

static int bash(const struct args *args)
{
    (void)args;
    printf(
        "# bash completion of runnel: source <(runnel completion bash)\n"
        "_runnel() {\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
        "    case $before in\n"
        "        --project|--data|--into) COMPREPLY=($(compgen -d -- \"$word\")); return ;;\n"
        "        --event|--state|--props|install) COMPREPLY=($(compgen -f -- \"$word\")); return "
        ";;\n"
        "        --status) words='queued running waiting succeeded failed cancelled' ;;\n"
        "        run|configure|--workflow|-w)\n"
        "            words=$(for f in workflows/*.yaml; do f=${f##*/}; echo \"${f%%.yaml}\"; "
        "done) ;;\n"
        "        show|options) words=$(runnel components 2>/dev/null | cut -f1) ;;\n"
        "    esac\n"
        "    if [ -z \"$words\" ] || [ \"${word:0:1}\" = - ]; then\n"
        "        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < cli_command_count(); i++) {
        const struct command *command = cli_command_at(i, NULL);
        printf("            %s) words='", command->name);
        print_words(command);
        printf("' ;;\n");
    }
    printf("        esac\n"
           "    fi\n"
           "    [ \"$COMP_CWORD\" = 1 ] && words='");
    for (size_t i = 0; i < cli_command_count(); i++)
        printf("%s ", cli_command_at(i, NULL)->name);
    printf("help --version'\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
           "}\n"
           "complete -F _runnel runnel\n");
    return 0;
}

static const struct verb verbs[] = {
    {"bash", "", "print the script for bash", 0, 0, bash},
};

const struct command command_completion = {
    .name = "completion",
    .usage = "bash",
    .summary = "completion of commands, options and workflows",
    .examples = "source <(runnel completion bash)                                   # now\n"
                "runnel completion bash > /etc/bash_completion.d/runnel             # for good",
    .verbs = verbs,
    .verb_count = COUNT_OF(verbs),
    .flags = CLI_NO_PROJECT | CLI_NO_JSON,
};
