/* Loads a plugin's file into this process: only in `runnel plugin-host`. What is loaded stays for
 * ever: unloading code that may still run crashes, and loading a new file under a known name gives
 * the old code (library-traps: dlopen). */
#ifndef RUNNEL_PLUGIN_LOADER_H
#define RUNNEL_PLUGIN_LOADER_H

#include "plugin/tables.h"

/* Opens `file` once, checks that its SHA-256 is `sha256` (NULL: any) before any of its code runs,
 * loads it and checks its tables. RN_EIO, RN_EPERM (another hash), RN_EINVAL, RN_EABI, RN_ETOOBIG.
 */
int plugin_load(const char *file, const char *sha256, struct plugin **ret,
                struct err *err) MUST_USE;

#endif
