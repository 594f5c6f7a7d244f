#ifndef RUNNEL_CLI_COMMANDS_H
#define RUNNEL_CLI_COMMANDS_H

#define RUNNEL_VERSION "0.1.0"

/* `runnel` with its arguments; returns the exit code. */
int cli_main(int argc, char **argv);

#endif
