/* Mistakes in the user's files: every one that can be found, each with its place. Not for threads
 * to share. */
#ifndef RUNNEL_FLOW_PROBLEM_H
#define RUNNEL_FLOW_PROBLEM_H

#include "base/buf.h"
#include "base/err.h"
#include "json/json.h"

struct problem {
    char *file; /* as the user names it: relative to the project */
    int line;   /* from 1; 0: the file as a whole */
    int column; /* from 1, in characters */
    bool is_warning;
    /* one sentence: what is wrong, the offending text, the nearest right name, what to do */
    char *text;
};

struct problems {
    struct problem *list;
    size_t count;
};

#define PROBLEMS_INIT                                                                              \
    {                                                                                              \
        .list = NULL, .count = 0                                                                   \
    }
#define PROBLEMS_MAX 1000

void problem_add(struct problems *problems, const char *file, int line, int column,
                 const char *format, ...) PRINTF_LIKE(5, 6);
void problem_warn(struct problems *problems, const char *file, int line, int column,
                  const char *format, ...) PRINTF_LIKE(5, 6);
size_t problems_errors(const struct problems *problems); /* without the warnings */
/* by file, line, column; equal ones once */
void problems_sort(struct problems *problems);
/* "file:line:column: error: text\n" lines. */
void problems_write(struct buf *out, const struct problems *problems);
struct json *problems_to_json(const struct problems *problems);
void problems_release(struct problems *problems);

#endif
