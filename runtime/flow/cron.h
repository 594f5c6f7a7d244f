/* Cron expressions of five fields, and when they fire in a time zone.
 *
 * Fields: minute 0–59, hour 0–23, day of month 1–31 or L (the last), month 1–12 or JAN–DEC, day of
 * week 0–7 or SUN–SAT (0 and 7 are Sunday), also 5#2 (the second Friday) and 5L (the last). Each
 * takes *, lists, ranges and steps (1-5, 0,30, 10-50/20, and * with a step). Where both day fields
 * are restricted, either is enough. @hourly, @daily, @midnight, @weekly, @monthly, @yearly,
 * @annually stand for what they stand for in cron(8).
 *
 * When the clocks change, as in Debian's cron(8): an expression with neither minute nor hour
 * beginning with "*" names times of the day. One that the change skips fires once, at the moment of
 * the change; one that comes twice fires the first time only. Any other expression goes by the
 * clock as it is: nothing in the skipped hour, and again in the repeated one. */
#ifndef RUNNEL_FLOW_CRON_H
#define RUNNEL_FLOW_CRON_H

#include "flow/zone.h"

struct cron {
    uint64_t minutes;
    uint32_t hours, days; /* bit n: the value n */
    uint16_t months;
    uint8_t weekdays;      /* every such day of the month */
    uint8_t nth[7];        /* weekday → bits 1…5: the first … fifth of the month */
    uint8_t last_weekdays; /* the last such day of the month */
    bool last_day;
    bool any_day, any_weekday; /* the field begins with "*" */
    bool is_by_clock;          /* the minute or the hour begins with "*" */
};

/* RN_EINVAL, with the field that is wrong and what it takes. */
int cron_parse(struct str text, struct cron *ret, struct err *err) MUST_USE;
/* The first firing behind `after_s`. False: there is none within 50 years. */
bool cron_next(const struct cron *cron, const struct zone *zone, int64_t after_s, int64_t *ret_s);

#endif
