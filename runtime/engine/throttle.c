/* settings.throttle: how many runs of a workflow begin in a time. Fixed windows are anchored at the
 * first run in them, as Pipedream's are; spaced runs begin evenly apart. After a restart the window
 * is counted again from the runs in the store. Thread: the loop's. */
#include "engine/dispatch.h"

struct recent {
    struct slot *slot;
    int64_t from_ms;
};

static int each_run(void *ctx, const struct run_record *record)
{
    struct recent *recent = ctx;
    struct json *detail = NULL;
    if (json_parse_own(record->detail, &detail, NULL))
        return 0;
    int64_t started_ms = json_get_i64(detail, "started_ms", 0);
    json_free(detail);
    if (started_ms < recent->from_ms)
        return 1;
    recent->slot->window_ms = started_ms;
    recent->slot->begun++;
    return 0;
}

static void read_window(struct slot *slot, const struct throttle *throttle, int64_t now_ms)
{
    struct store_view *view = NULL;
    slot->has_window = true;
    if (store_view_begin(slot->d->engine->store, &view, NULL))
        return;
    struct recent recent = {slot, now_ms - throttle->interval_ms};
    (void)run_each(STORE_VIEW(view), str_from(slot->id), STR_NONE, 0, (size_t)throttle->limit,
                   each_run, &recent);
    store_view_end(view);
}

static void again(void *ctx)
{
    struct slot *slot = ctx;
    slot->timer = 0;
    dispatch(slot);
}

static size_t later(struct slot *slot, int64_t at_ms)
{
    if (!slot->timer)
        slot->timer = loop_timer(slot->d->engine->loop, at_ms, again, slot);
    return 0;
}

size_t throttle_allows(struct slot *slot, size_t wanted)
{
    const struct throttle *throttle = &slot->workflow->throttle;
    int64_t now_ms = clock_now_ms();
    if (throttle->interval_ms == 0)
        return wanted;
    if (throttle->limit == 0)
        return 0; /* paused */
    if (throttle->is_spaced)
        return now_ms >= slot->next_ms ? 1 : later(slot, slot->next_ms);
    if (!slot->has_window)
        read_window(slot, throttle, now_ms);
    if (now_ms >= slot->window_ms + throttle->interval_ms || now_ms < slot->window_ms)
        slot->begun = 0;
    if (slot->begun >= throttle->limit)
        return later(slot, slot->window_ms + throttle->interval_ms);
    size_t left = (size_t)(throttle->limit - slot->begun);
    return left < wanted ? left : wanted;
}

void throttle_count(struct slot *slot, size_t begun)
{
    const struct throttle *throttle = &slot->workflow->throttle;
    int64_t now_ms = clock_now_ms();
    if (begun == 0 || throttle->interval_ms == 0 || throttle->limit == 0)
        return;
    if (slot->begun == 0)
        slot->window_ms = now_ms;
    slot->begun += (int64_t)begun;
    slot->next_ms = now_ms + throttle->interval_ms / throttle->limit;
}
