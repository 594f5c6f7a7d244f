#include "engine/schedule_state.h"

#define DAY_MS 86400000ll

void schedule_config_text(const struct schedule *schedule, char out[SCHEDULE_CONFIG_MAX])
{
    struct buf text = BUF_INIT(SCHEDULE_CONFIG_MAX - 1);
    schedule_describe(schedule, &text);
    (void)snprintf(out, SCHEDULE_CONFIG_MAX, "%s", buf_c(&text));
    buf_release(&text);
}

void schedule_state_begin(struct schedule_state *state, const struct schedule *schedule,
                          int64_t now_ms)
{
    *state = (struct schedule_state){.anchor_ms = now_ms, .last_ms = now_ms};
    schedule_config_text(schedule, state->config);
}

bool schedule_state_load(struct engine *engine, const char *id, struct schedule_state *ret)
{
    struct store_view *view = NULL;
    struct json *json = NULL;
    struct str text = STR_NONE;
    if (store_view_begin(engine->store, &view, NULL))
        return false;
    if (kv_get(STORE_VIEW(view), SPACE_SCHEDULES, str_from(id), &text) ||
        json_parse(text, &json, NULL))
        json = NULL;
    store_view_end(view);
    const char *config = json_get_c(json, "config"), *error = json_get_c(json, "error");
    if (!config) {
        json_free(json);
        return false;
    }
    *ret = (struct schedule_state){.anchor_ms = json_get_i64(json, "anchor", 0),
                                   .last_ms = json_get_i64(json, "last", 0),
                                   .is_paused = json_get_bool(json, "paused", false),
                                   .fired = json_get_i64(json, "fired", 0),
                                   .skipped = json_get_i64(json, "skipped", 0)};
    (void)snprintf(ret->config, sizeof(ret->config), "%s", config);
    (void)snprintf(ret->error, sizeof(ret->error), "%s", error ? error : "");
    (void)!num_parse_u64(json_get_text(json, "run"), &ret->run_id);
    for (const struct json *o = json_first(json_get(json, "owed"));
         o && ret->owed_count < LIMIT_SCHEDULE_OWED; o = json_next(o))
        (void)json_to_i64(o, &ret->owed[ret->owed_count++]);
    json_free(json);
    return true;
}

int schedule_state_put(struct store_tx *tx, const char *id, const struct schedule_state *state,
                       struct err *err)
{
    struct json *json = json_new_object();
    char run[24];
    (void)snprintf(run, sizeof(run), "%llu", (unsigned long long)state->run_id);
    json_set_string(json, "config", state->config);
    json_set_integer(json, "anchor", state->anchor_ms);
    json_set_integer(json, "last", state->last_ms);
    json_set_boolean(json, "paused", state->is_paused);
    json_set_string(json, "run", run);
    struct json *owed = json_set(json, "owed", json_new_array());
    for (size_t i = 0; i < state->owed_count; i++)
        (void)json_append(owed, json_new_integer(state->owed[i]));
    json_set_integer(json, "fired", state->fired);
    json_set_integer(json, "skipped", state->skipped);
    if (state->error[0])
        json_set_string(json, "error", state->error);
    size_t size = 0;
    char *text = json_text(json, &size);
    int rc = kv_put(tx, SPACE_SCHEDULES, str_from(id), str_n(text, size), err);
    free(text);
    json_free(json);
    return rc;
}

/* The due ones behind `after_ms`; the newest `max` stay. */
static size_t gather(const struct schedule *schedule, const char *id,
                     const struct schedule_state *state, int64_t after_ms, int64_t now_ms,
                     int64_t *out, size_t max, bool *ret_dropped)
{
    size_t count = 0, first = 0;
    for (int64_t at = schedule_next(schedule, state->anchor_ms, after_ms);
         at <= now_ms && at + schedule_jitter(schedule, str_from(id), at) <= now_ms;
         at = schedule_next(schedule, state->anchor_ms, at)) {
        if (count == max) {
            *ret_dropped = true;
            out[first++ % max] = at;
        } else {
            out[count++] = at;
        }
    }
    for (first %= max; first > 0; first--) { /* rotate: the oldest to the front */
        int64_t oldest = out[0];
        memmove(out, out + 1, (count - 1) * sizeof(*out));
        out[count - 1] = oldest;
    }
    return count;
}

/* After a long absence the whole of it would take long to count: it is looked at from its end, in
 * windows that grow until they hold `max` or reach back to the last firing. */
size_t schedule_due(const struct schedule *schedule, const char *id,
                    const struct schedule_state *state, int64_t now_ms, int64_t *out, size_t max,
                    bool *ret_dropped)
{
    int64_t window = schedule->every_ms ? schedule->every_ms * (int64_t)(max + 1) : 2 * DAY_MS;
    for (;; window *= 2) {
        int64_t after = now_ms - window > state->last_ms ? now_ms - window : state->last_ms;
        *ret_dropped = false;
        size_t count = gather(schedule, id, state, after, now_ms, out, max, ret_dropped);
        if (after == state->last_ms)
            return count;
        if (count == max) {
            *ret_dropped = true;
            return count;
        }
    }
}

/* The newest is missed only if it is late; those before it are in any case, since another has come
 * due after them. */
size_t schedule_choose(const struct schedule *schedule, int64_t now_ms, int64_t *due, size_t count)
{
    if (count == 0 || schedule->on_missed == MISSED_ALL)
        return count;
    int64_t newest = due[count - 1];
    if (schedule->on_missed == MISSED_SKIP &&
        now_ms - newest > LIMIT_SCHEDULE_LATE_MS + schedule->jitter_ms)
        return 0;
    due[0] = newest;
    return 1;
}
