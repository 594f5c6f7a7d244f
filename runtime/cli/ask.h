/* Asking for one prop, for `runnel configure`. */
#ifndef RUNNEL_CLI_ASK_H
#define RUNNEL_CLI_ASK_H

#include "cli/cli.h"

#include "plugin/catalog.h"

/* Shows what the prop is and its options (pages, search), reads an answer and gives it in the
 * prop's type. `props`: what is set so far. NULL: it is left out (an empty answer, the end of the
 * input). */
struct json *ask_prop(struct client *client, const char *component, const struct prop_def *prop,
                      const struct json *props);

#endif
