/* "Did you mean": the nearest right name. Private to the room. */
#ifndef RUNNEL_FLOW_NAMES_H
#define RUNNEL_FLOW_NAMES_H

#include "base/str.h"

/* Collects the best of several candidates. Only close ones count: a third of the letters may
 * differ, case does not. */
struct nearest {
    struct str wrong;
    const char *best; /* borrowed; NULL if none is close */
    size_t distance;
};

void nearest_init(struct nearest *nearest, struct str wrong);
void nearest_offer(struct nearest *nearest, const char *candidate); /* NULL is ignored */
/* ": did you mean \"x\"?" or "", in a buffer of the caller's. */
#define NEAREST_TEXT_MAX 200
const char *nearest_text(const struct nearest *nearest, char out[NEAREST_TEXT_MAX]);

/* Letters, digits and underscores, not a digit first. */
bool is_identifier(struct str name);

/* Letters, digits, and _ - . at most 100 of them: of accounts and of files. */
bool is_plain_name(struct str name);

#endif
