/* When a schedule fires: every so often, or by a cron expression in a time zone. For the schedule
 * trigger of a workflow and for the timer interface of sources. */
#ifndef RUNNEL_FLOW_SCHEDULE_H
#define RUNNEL_FLOW_SCHEDULE_H

#include "flow/cron.h"
#include "json/json.h"

/* What becomes of firings that came due while nothing could fire. */
enum on_missed { MISSED_ONCE, MISSED_SKIP, MISSED_ALL };
/* What becomes of a firing while the run of the one before has not ended. */
enum overlap { OVERLAP_ALLOW, OVERLAP_SKIP, OVERLAP_QUEUE };

struct schedule {
    int64_t every_ms; /* 0: `cron` */
    char *cron_text;  /* NULL: every_ms */
    struct cron cron;
    struct zone *zone;
    enum on_missed on_missed;
    enum overlap overlap;
    int64_t jitter_ms; /* a firing is put off by up to this */
};

/* Reads {every | cron, timezone, on_missed, overlap, jitter}, with `is_timer` {intervalSeconds |
 * cron, timezone, on_missed}, the value of a source's timer prop. RN_EINVAL: the text says what is
 * wrong, *ret_where is the member, or `config` itself. */
int schedule_parse(const struct json *config, bool is_timer, struct schedule **ret,
                   const struct json **ret_where, struct err *err) MUST_USE;
void schedule_free(struct schedule *schedule); /* NULL is fine */

/* The first firing behind `after_ms`; INT64_MAX: there is none. An interval counts from
 * `anchor_ms`.
 */
int64_t schedule_next(const struct schedule *schedule, int64_t anchor_ms, int64_t after_ms);
/* How long after `at_ms` this firing is to be put off, from 0 up to the jitter. The same each time
 * it is asked for the same `id` and firing. */
int64_t schedule_jitter(const struct schedule *schedule, struct str id, int64_t at_ms);

/* steps.trigger.event of a firing: timestamp, interval_seconds or cron, timezone_configured,
 * timezone_utc. For a source: without the last two. */
struct json *schedule_event(const struct schedule *schedule, bool is_timer, int64_t at_ms);
/* "every 15m", "0 9 * * 1-5 Europe/Berlin". */
void schedule_describe(const struct schedule *schedule, struct buf *out);
/* The moment as the schedule's zone shows it: 2026-03-29T03:00:00+02:00. */
void schedule_format(const struct schedule *schedule, int64_t at_ms, char out[WALL_TEXT_MAX]);

#endif
