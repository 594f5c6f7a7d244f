/* Time zones and the calendar, over GLib: the only file pair that knows it.
 *
 * GTimeZone reads the system's zone data (/usr/share/zoneinfo, Debian's tzdata), is immutable and
 * keeps no process-wide state as TZ and localtime() do. A zone may be used by any thread. */
#ifndef RUNNEL_FLOW_ZONE_H
#define RUNNEL_FLOW_ZONE_H

#include "base/err.h"
#include "base/str.h"

struct zone;

/* By its IANA name ("Europe/Berlin", "UTC"). RN_ENOTFOUND: there is none; the text has the nearest
 * name. */
int zone_open(struct str name, struct zone **ret, struct err *err) MUST_USE;
void zone_free(struct zone *zone); /* NULL is fine */
const char *zone_name(const struct zone *zone);

/* Seconds to be added to UTC at this moment. */
int64_t zone_offset(const struct zone *zone, int64_t utc_s);
/* The first second behind `utc_s` to which another rule applies (its offset may be the same), or
 * `until_s` if none does before that. */
int64_t zone_next_change(const struct zone *zone, int64_t utc_s, int64_t until_s);

/* A day of the Gregorian calendar, counted from 1970-01-01. */
struct calendar_day {
    int year, month, day; /* from 1 */
    int weekday;          /* 0: Sunday */
    int days_in_month;
};
void calendar_day(int64_t day, struct calendar_day *ret);

/* A moment as the wall clocks of a zone show it. */
struct wall_time {
    struct calendar_day date;
    int hour, minute, second;
    int64_t offset_s;
    int64_t day; /* of the calendar */
};
void wall_time(const struct zone *zone, int64_t utc_s, struct wall_time *ret);
/* "2026-03-29T03:00:00+02:00". */
#define WALL_TEXT_MAX 40
void wall_format(const struct wall_time *wall, char out[WALL_TEXT_MAX]);

#endif
