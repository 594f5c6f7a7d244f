/* `runnel new component NAME`: a copy of sdk/template with the name filled in. */
#ifndef RUNNEL_PLUGIN_SCAFFOLD_H
#define RUNNEL_PLUGIN_SCAFFOLD_H

#include "base/err.h"

/* Makes <parent>/<name> with the template's files: NAME in file names and @NAME@, @TITLE@ and @SDK@
 * in them are replaced; @SDK@ is the SDK of the build tree that this program runs from, and empty
 * in an installation, where pkg-config finds it. `name`: an app's slug. The caller frees *ret_dir.
 * RN_EINVAL: no slug; RN_EEXISTS: the folder is there; RN_ENOTFOUND: no template; RN_EIO. */
int component_scaffold(const char *parent, const char *name, char **ret_dir,
                       struct err *err) MUST_USE;

#endif
