/* Reading the project as `runnel check` does, for `runnel doctor`. */
#ifndef RUNNEL_CLI_CHECK_H
#define RUNNEL_CLI_CHECK_H

#include "flow/project.h"

struct args;

/* The catalog, the project and its problems. *ret_catalog may be there on failure too; the caller
 * unrefs both. */
int check_load(const struct args *args, struct catalog **ret_catalog, struct project **ret,
               struct problems *problems, struct err *err) MUST_USE;

#endif
