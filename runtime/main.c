/* Which of runnel's processes this is: a host process that the runtime started, or the command
 * line. */
#include "cli/commands.h"
#include "code/code.h"
#include "expr/engine.h"
#include "plugin/catalog.h"

#include <signal.h>

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && strcmp(argv[1], "plugin-host") == 0)
        return plugin_host_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "expression-host") == 0)
        return expression_host_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], CODE_HOST_COMMAND) == 0)
        return code_host_main(argc, argv);
    return cli_main(argc, argv);
}
