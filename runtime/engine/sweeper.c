/* The data stores' sweeper: every SWEEP_MS, and as long as there is something left every PAUSE_MS,
 * one operation of the store removes old records. A piece is a few milliseconds of the writer's
 * time; the pause lets others at it. There is no state to survive a restart: what is old is in the
 * store. Thread: the loop's, but for apply() and done(). */
#include "engine/internal.h"

#include "store/data_store.h"

enum { SWEEP_MS = 10000, PAUSE_MS = 20, SWEEP_RECORDS = 500, DRAIN_RECORDS = 500 };

struct sweeper {
    struct engine *engine;
    struct store_op op;
    uint64_t timer; /* 0: an operation is on its way */
    bool has_more;
};

static void look(void *ctx);

static int apply(struct store_tx *tx, void *ctx, struct err *err)
{
    struct sweeper *sweeper = ctx;
    bool has_expired = false, has_dropped = false;
    int rc = data_sweep(tx, clock_now_ms(), SWEEP_RECORDS, &has_expired, err);
    rc = rc ? rc : data_drain(tx, DRAIN_RECORDS, &has_dropped, err);
    sweeper->has_more = has_expired || has_dropped;
    return rc;
}

static void look_again(struct sweeper *sweeper, bool is_soon)
{
    if (!atomic_load(&sweeper->engine->is_stopping))
        sweeper->timer = loop_timer(
            sweeper->engine->loop, clock_now_ms() + (is_soon ? PAUSE_MS : SWEEP_MS), look, sweeper);
}

static void finished(void *ctx)
{
    struct sweeper *sweeper = ctx;
    look_again(sweeper, sweeper->has_more);
}

static void done(void *ctx, int code, const struct err *err)
{
    struct sweeper *sweeper = ctx;
    if (code) {
        log_warn("old records of data stores were not removed: %s", err->text);
        sweeper->has_more = false;
    }
    loop_post(sweeper->engine->loop, finished, sweeper);
}

static bool has_work(const struct sweeper *sweeper)
{
    struct store_view *view = NULL;
    struct err err = ERR_INIT;
    bool has_old = store_view_begin(sweeper->engine->store, &view, &err) == 0 &&
                   data_has_old(STORE_VIEW(view), clock_now_ms());
    store_view_end(view);
    return has_old;
}

static void look(void *ctx)
{
    struct sweeper *sweeper = ctx;
    sweeper->timer = 0;
    sweeper->op = (struct store_op){.apply = apply, .done = done, .ctx = sweeper};
    if (!has_work(sweeper) || store_submit(sweeper->engine->store, &sweeper->op))
        look_again(sweeper, false);
}

struct sweeper *sweeper_new(struct engine *engine)
{
    struct sweeper *sweeper = xcalloc(1, sizeof(*sweeper));
    sweeper->engine = engine;
    return sweeper;
}

void sweeper_start(void *sweeper)
{
    look(sweeper);
}

void sweeper_stop(struct sweeper *sweeper)
{
    if (sweeper->timer)
        (void)loop_cancel(sweeper->engine->loop, sweeper->timer);
    sweeper->timer = 0;
}

void sweeper_free(struct sweeper *sweeper)
{
    free(sweeper);
}
