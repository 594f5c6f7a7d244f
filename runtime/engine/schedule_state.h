/* What is on disk of a schedule, and which firings are due. Private to schedule*.c. */
#ifndef RUNNEL_ENGINE_SCHEDULE_STATE_H
#define RUNNEL_ENGINE_SCHEDULE_STATE_H

#include "engine/internal.h"

#define SCHEDULE_CONFIG_MAX 256

/* Written in the transaction that fires. */
struct schedule_state {
    char config[SCHEDULE_CONFIG_MAX]; /* another one begins anew */
    int64_t anchor_ms;                /* intervals count from here */
    int64_t last_ms;                  /* the last firing that was decided on */
    bool is_paused;
    uint64_t run_id; /* of the last firing */
    int64_t owed[LIMIT_SCHEDULE_OWED];
    size_t owed_count; /* firings that wait for the run before */
    int64_t fired, skipped;
    char error[ERR_TEXT_MAX]; /* of a source's last run; "" */
};

void schedule_state_begin(struct schedule_state *state, const struct schedule *schedule,
                          int64_t now_ms);
/* False: there is none, or it is of another configuration. */
bool schedule_state_load(struct engine *engine, const char *id, struct schedule_state *ret);
int schedule_state_put(struct store_tx *tx, const char *id, const struct schedule_state *state,
                       struct err *err) MUST_USE;
void schedule_config_text(const struct schedule *schedule, char out[SCHEDULE_CONFIG_MAX]);

/* The firings that came due behind `last_ms` until now, oldest first, the newest `max` of them.
 * *ret_dropped: how many were too many to be counted out. */
size_t schedule_due(const struct schedule *schedule, const char *id,
                    const struct schedule_state *state, int64_t now_ms, int64_t *out, size_t max,
                    bool *ret_dropped);
/* Those of `due` that are to fire, by on_missed: moved to the front. Returns their number. */
size_t schedule_choose(const struct schedule *schedule, int64_t now_ms, int64_t *due, size_t count);

#endif
