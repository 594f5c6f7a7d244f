/* The JavaScript that is in the sandbox before any expression, and how the host talks to it.
 * Private to the room. */
#ifndef RUNNEL_EXPR_PRELUDE_H
#define RUNNEL_EXPR_PRELUDE_H

#include "base/buf.h"

/* Its functions, by index of prelude_names.
 *   load(steps, env, mark, isMarked, seed)  JSON texts; in steps a string `mark` + literal stands
 * for a number that a double cannot hold (only if isMarked); seed: 32 hex digits for Math.random
 *   finish(value, isMixed) → JSON text {"u":true} undefined | {"e":"…"} a value that cannot be
 * passed on |
 *                            {"v":value,"t":"NaN"?,"x":true?}; x: `v` holds marked numbers; t: the
 * text in mixed text describe(thrown) → JSON text {"text":"TypeError:
 * …","line":n,"column":n,"memory":true?} */
enum prelude_function { PRELUDE_LOAD, PRELUDE_FINISH, PRELUDE_DESCRIBE };

extern const char *const prelude_names[];
void prelude_text(struct buf *out);

#endif
