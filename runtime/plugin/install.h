/* Private to the room: descriptions from throw-away processes, and the index of installed plugins.
 */
#ifndef RUNNEL_PLUGIN_INSTALL_H
#define RUNNEL_PLUGIN_INSTALL_H

#include "json/json.h"

/* The description of a file whose hash is known, from <data_dir>/cache/describe or a throw-away
 * process. `data_dir` NULL: no cache. */
int describe_cached(const char *path, const char *sha256, const char *data_dir, struct json **ret,
                    struct err *err) MUST_USE;
/* {"<plugin name>": "<sha256>"}; empty if there is none. The caller frees. */
struct json *install_index(const char *data_dir);

#endif
