/* Takes secrets out of text before it is written to logs and history. [any thread] */
#ifndef RUNNEL_BASE_REDACT_H
#define RUNNEL_BASE_REDACT_H

#include "base/buf.h"

/* Shorter values are not looked for: they would hit by chance. */
#define REDACT_LENGTH_MIN 6
#define REDACTED "[redacted]"

/* Appends `text` with every occurrence of a secret replaced by REDACTED; also of its form inside
 * JSON strings (escaped), percent-encoded and base64 forms. */
void redact_text(struct buf *out, struct str text, const struct str *secrets, size_t count);
bool redact_is_needed(struct str text, const struct str *secrets, size_t count);

#endif
