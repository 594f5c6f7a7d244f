/* What the runtime counts of itself, for Prometheus. Counting is an atomic addition, or for steps a
 * short lock. [any thread] */
#ifndef RUNNEL_ENGINE_METRICS_H
#define RUNNEL_ENGINE_METRICS_H

#include "engine/engine.h"

struct metrics;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);
/* A step's attempt is over. `component` NULL: no component's (a block). Past 200 components the
 * others are counted as "other". */
void metrics_step(struct metrics *metrics, const char *component, const char *status, int64_t ms);
/* Something that a run sends ($.send) has come to this; states that are none of "sent", "retrying",
 * "failed" and "refused" do not count. */
void metrics_send(struct metrics *metrics, const char *kind, const char *state);
void metrics_run_ended(struct metrics *metrics, const char *status);

/* An endpoint's answer has gone out: 2xx is accepted; else `reason` (NULL: the source's own
 * answer). */
void engine_count_answer(struct engine *engine, int status, const char *reason);
/* The text of GET /metrics (Prometheus text format 0.0.4). */
void engine_metrics(struct engine *engine, struct buf *out);
/* For the console's overview: {"accepted", "refused", "succeeded", "failed", "cancelled", "queued",
 * "running"}. */
struct json *engine_totals(struct engine *engine);

#endif
