/* The runtime's own log: one line an entry, to stderr. [any thread]
 *   error  something is broken and a person must act      warn   something went wrong and was dealt
 *                                                                with
 *   info   what an operator wants to see once              debug  for those who work on runnel
 * Only the top of a call chain logs; what is below returns its error. */
#ifndef RUNNEL_BASE_LOG_H
#define RUNNEL_BASE_LOG_H

#include "base/mem.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

#define LOG_LINE_MAX 4096

/* Where a line belongs; any field may be NULL. */
struct log_at {
    const char *workflow;
    const char *run;
    const char *step;
    const char *component;
};

/* Lines below `level` are dropped; the start is info. */
void log_set_level(enum log_level level);
/* For tests and the console: each line goes to `sink` instead of stderr; NULL brings stderr back.
 * */
void log_set_sink(void (*sink)(void *ctx, enum log_level level, const char *line), void *ctx);
/* Control characters become spaces; longer lines are cut at LOG_LINE_MAX. `at` may be NULL. */
void log_line(enum log_level level, const struct log_at *at, const char *format, ...)
    PRINTF_LIKE(3, 4);
const char *log_level_name(enum log_level level);

#define log_debug(...) log_line(LOG_DEBUG, NULL, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, NULL, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, NULL, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, NULL, __VA_ARGS__)

#endif
