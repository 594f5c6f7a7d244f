#ifndef RUNNEL_CLI_PROMPT_H
#define RUNNEL_CLI_PROMPT_H

#include "base/str.h"

/* Asks on stderr and reads a line of stdin, not echoed on a terminal if `is_secret`. NULL at the
 * end of the input. The caller frees. */
char *prompt_line(const char *question, bool is_secret);

#endif
