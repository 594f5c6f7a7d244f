/* Reading a section of a file whose mistakes are shown one at a time, where they are. Private to
 * the room. */
#ifndef RUNNEL_FLOW_READING_H
#define RUNNEL_FLOW_READING_H

#include "base/err.h"
#include "json/json.h"

struct reading {
    bool is_draft;            /* what is still missing is no mistake */
    const struct json *where; /* of the mistake */
    struct err *err;
};

/* Says what is wrong and where; returns RN_EINVAL. */
int reading_wrong(struct reading *r, const struct json *where, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
