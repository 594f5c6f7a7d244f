#ifndef RUNNEL_CLI_FILES_H
#define RUNNEL_CLI_FILES_H

#include "base/err.h"

/* Writes a new file and the folders on its way. RN_EEXISTS: it is there already. */
int cli_write_file(const char *path, const char *text, struct err *err) MUST_USE;

#endif
