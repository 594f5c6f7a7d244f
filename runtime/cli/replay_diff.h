/* What a past run would be like with the files as they are now, without calling anyone. */
#ifndef RUNNEL_CLI_REPLAY_DIFF_H
#define RUNNEL_CLI_REPLAY_DIFF_H

#include "base/err.h"
#include "json/json.h"

/* Puts the event of `run` (`inspect --json`) through `workflow` (NULL: its own); every step answers
 * as it did then, and one that did not run then is not called. *ret {"run", "same": bool,
 * "differences": [text]}. */
int replay_diff(const char *project, const struct json *run, const char *workflow,
                struct json **ret, struct err *err) MUST_USE;

#endif
