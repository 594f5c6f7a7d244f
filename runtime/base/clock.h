/* Time. Wall time in ms since the Unix epoch for what people read; monotonic ms for deadlines. [any
 * thread] */
#ifndef RUNNEL_BASE_CLOCK_H
#define RUNNEL_BASE_CLOCK_H

#include "base/str.h"

#define CLOCK_TEXT_MAX 32

int64_t clock_now_ms(void);
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
/* ISO 8601 in UTC with milliseconds: 2026-11-23T10:00:00.123Z. */
void clock_format(int64_t ms, char out[CLOCK_TEXT_MAX]);
/* ISO 8601 date and time with any offset (Z, +01:00) and fraction, or a date alone. RN_EINVAL
 * otherwise. */
int clock_parse(struct str text, int64_t *ret_ms) MUST_USE;
/* For tests: clock_now_ms() and clock_mono_ms() return what was set; ms < 0 brings the real clock
 * back. */
void clock_fake(int64_t now_ms);

#endif
