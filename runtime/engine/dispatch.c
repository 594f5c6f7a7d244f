/* From the queues to runs: which workflow may begin how many, runs in memory and runs that wait
 * outside it, waking. Thread: the loop's, but for dispatcher_wake.
 *
 * A queue stays on disk; only what may begin is read. `cursor` is the last entry taken: entries
 * behind it are new, entries before it are being taken out by the first commit of their run. Run
 * ids grow, so that the queue's order is the order of arrival. A workflow with a concurrency key
 * has a lane per value of it: its entries are read ahead (lanes.c) and each lane keeps the order.
 */
#include "engine/dispatch.h"

#include <malloc.h>

enum {
    BATCH = 64,     /* entries read from a queue at once */
    TRIM_MS = 10000 /* after the last run */
};

struct ended_waiter {
    struct ended_waiter *next;
    uint64_t run_id;
    loop_fn fn;
    void *ctx;
};

/* A run that waits outside memory. */
struct parked {
    struct dispatcher *d;
    uint64_t run_id;
    uint64_t timer;    /* 0: none */
    struct slot *slot; /* where it holds a place; NULL */
    char *key;         /* and in which lane; NULL */
};

struct dispatcher *dispatcher_new(struct engine *engine)
{
    struct dispatcher *d = xcalloc(1, sizeof(*d));
    d->engine = engine;
    pthread_mutex_init(&d->wake_lock, NULL);
    return d;
}

static void slot_free(void *value)
{
    struct slot *slot = value;
    lanes_release(slot);
    free(slot->id);
    free(slot);
}

static void parked_free(void *value)
{
    struct parked *parked = value;
    free(parked->key);
    free(parked);
}

void dispatcher_free(struct dispatcher *d)
{
    if (!d)
        return;
    while (d->runs) {
        struct run *run = d->runs;
        d->runs = run->next;
        strands_discard(run); /* their answers will not come any more */
        run_drop(run);
    }
    map_release(&d->parked, parked_free);
    map_release(&d->taken_back, NULL);
    map_release(&d->slots, slot_free);
    map_release(&d->woken, NULL);
    while (d->waiters) {
        struct ended_waiter *waiter = d->waiters;
        d->waiters = waiter->next;
        free(waiter);
    }
    project_unref(d->project);
    pthread_mutex_destroy(&d->wake_lock);
    free(d);
}

static struct slot *slot_of(struct dispatcher *d, struct str id)
{
    struct slot *slot = map_get(&d->slots, id);
    if (!slot) {
        slot = xcalloc(1, sizeof(*slot));
        slot->d = d;
        slot->id = str_dup(id);
        (void)map_put(&d->slots, id, slot);
    }
    return slot;
}

static void add_run(struct dispatcher *d, struct run *run, struct slot *slot)
{
    run->slot = slot;
    d->active++;
    run->next = d->runs;
    run->self = &d->runs;
    if (run->next)
        run->next->self = &run->next;
    d->runs = run;
    dispatcher_take_slot(run);
}

void dispatcher_take_slot(struct run *run)
{
    if (run->holds_slot || !run->slot)
        return;
    run->holds_slot = true;
    run->slot->active++;
    if (run->key)
        lane_of(run->slot, run->key)->active++;
}

static void give_up_slot(struct run *run)
{
    if (!run->holds_slot)
        return;
    run->holds_slot = false;
    run->slot->active--;
    if (run->key)
        lane_left(run->slot, run->key);
}

void dispatcher_release_slot(struct run *run)
{
    if (!run->holds_slot)
        return;
    give_up_slot(run);
    dispatcher_wake(run->engine,
                    run->slot->id); /* not from here: a run is in the middle of things */
}

struct engine *dispatcher_engine(struct dispatcher *d)
{
    return d->engine;
}

void dispatcher_adopt(struct dispatcher *d, struct run *run, const char *workflow)
{
    add_run(d, run, slot_of(d, str_from(workflow)));
}

/* ---- from the queue */

static struct str id_key(const uint64_t *run_id)
{
    return str_n((const char *)run_id, sizeof(*run_id));
}

bool dispatcher_took_back(const struct dispatcher *d, uint64_t run_id)
{
    return d->taken_back.count && map_get(&d->taken_back, id_key(&run_id));
}

struct taken {
    struct slot *slot;
    struct store_view *view;
    struct run *list[BATCH];
    size_t count, read;
};

/* A run for a queue entry. What is wrong with its event shows as the run's error. */
struct run *run_of_entry(struct slot *slot, struct store_view *view,
                         const struct queue_entry *entry)
{
    struct dispatcher *d = slot->d;
    struct json *detail = NULL;
    if (json_parse(entry->detail, &detail, NULL))
        detail = NULL;
    struct run *run = run_make(d, entry->run_id, entry->event_id);
    run->project = project_ref(d->project);
    run->workflow = slot->workflow;
    run->is_queued = true;
    record_read_detail(run, detail);
    run->started_ms = clock_now_ms();
    json_free(detail);
    struct event_record event;
    struct err err = ERR_INIT;
    int rc = event_get(STORE_VIEW(view), entry->event_id, &event);
    rc = rc ? err_set(&err, rc, "the event is not in the store") : run_set_event(run, &event, &err);
    uint64_t from_run = 0;
    if (rc)
        run_finish(run, "failed", run_error(rc, err.text, NULL));
    else if (run->replay_from && id_parse("run", str_from(run->replay_of), &from_run) == 0)
        run->progress = progress_import(view, from_run, run->replay_from, run);
    return run;
}

void begin_run(struct slot *slot, struct run *run)
{
    add_run(slot->d, run, slot);
    if (run->end_status)
        run_settle(run);
    else
        run_begin(run);
}

static int take_entry(void *ctx, const struct queue_entry *entry)
{
    struct taken *taken = ctx;
    taken->slot->cursor = entry->run_id;
    taken->read++;
    if (!dispatcher_took_back(taken->slot->d, entry->run_id))
        taken->list[taken->count++] = run_of_entry(taken->slot, taken->view, entry);
    return 0;
}

static size_t room(struct dispatcher *d, struct slot *slot)
{
    size_t left = d->active < LIMIT_ACTIVE_RUNS ? LIMIT_ACTIVE_RUNS - d->active : 0;
    size_t workers = slot->workflow->workers > 0 ? (size_t)slot->workflow->workers : left;
    size_t own = workers > slot->active ? workers - slot->active : 0;
    size_t n = own < left ? own : left;
    n = n < BATCH ? n : BATCH;
    return n ? throttle_allows(slot, n) : 0;
}

static void dispatch_in_order(struct slot *slot)
{
    struct dispatcher *d = slot->d;
    while (slot->workflow && slot->has_more && !d->is_stopping) {
        struct taken taken = {.slot = slot};
        size_t limit = room(d, slot);
        struct err err = ERR_INIT;
        if (limit == 0) {
            d->was_stopped_by_limit |= d->active >= LIMIT_ACTIVE_RUNS;
            return;
        }
        if (store_view_begin(d->engine->store, &taken.view, &err)) {
            log_error("the queue cannot be read: %s", err.text);
            return;
        }
        (void)queue_each(STORE_VIEW(taken.view), str_from(slot->id), slot->cursor, limit,
                         take_entry, &taken);
        store_view_end(taken.view);
        slot->has_more = taken.read == limit;
        throttle_count(slot, taken.count);
        /* All count before the first one begins, which may end at once and dispatch again. */
        for (size_t i = 0; i < taken.count; i++)
            add_run(d, taken.list[i], slot);
        for (size_t i = 0; i < taken.count; i++) {
            if (taken.list[i]->end_status)
                run_settle(taken.list[i]);
            else
                run_begin(taken.list[i]);
        }
    }
}

void dispatch(struct slot *slot)
{
    if (slot->workflow && slot->workflow->key)
        lanes_dispatch(slot);
    else
        dispatch_in_order(slot);
}

static void dispatch_all(struct dispatcher *d)
{
    d->was_stopped_by_limit = false;
    size_t at = 0;
    for (const struct map_entry *e; (e = map_next(&d->slots, &at));)
        dispatch(e->value);
}

static void take_woken(void *ctx)
{
    struct dispatcher *d = ctx;
    pthread_mutex_lock(&d->wake_lock);
    struct map woken = d->woken;
    d->woken = (struct map)MAP_INIT;
    d->is_posted = false;
    pthread_mutex_unlock(&d->wake_lock);
    size_t at = 0;
    for (const struct map_entry *e; (e = map_next(&woken, &at));) {
        struct slot *slot = slot_of(d, str_n(e->key, e->key_len));
        slot->has_more = true;
        dispatch(slot);
    }
    map_release(&woken, NULL);
}

void dispatcher_wake(struct engine *engine, const char *workflow)
{
    struct dispatcher *d = engine->dispatcher;
    pthread_mutex_lock(&d->wake_lock);
    (void)map_put(&d->woken, str_from(workflow), d);
    bool must_post = !d->is_posted;
    d->is_posted = true;
    pthread_mutex_unlock(&d->wake_lock);
    if (must_post && !engine->is_passive)
        loop_post(engine->loop, take_woken, d);
}

/* A passive engine begins nothing by itself: only this run, and whatever waits before it in the
 * queue stays there. */
void dispatcher_begin_only(struct dispatcher *d, const char *workflow, uint64_t run_id)
{
    struct slot *slot = slot_of(d, str_from(workflow));
    struct store_view *view = NULL;
    struct queue_entry entry;
    if (!slot->workflow || store_view_begin(d->engine->store, &view, NULL))
        return;
    struct run *run = NULL;
    if (queue_get(STORE_VIEW(view), str_from(workflow), run_id, &entry) == 0)
        run = run_of_entry(slot, view, &entry);
    store_view_end(view);
    if (run)
        begin_run(slot, run);
}

/* ---- outside memory */

/* Gives up the place that it held: the run takes one again when it is loaded. */
static void unpark(struct parked *parked)
{
    if (parked->slot)
        parked->slot->active--;
    if (parked->slot && parked->key)
        lane_left(parked->slot, parked->key);
    parked_free(parked);
}

static void wake_parked(void *ctx)
{
    struct parked *parked = ctx;
    struct dispatcher *d = parked->d;
    uint64_t run_id = parked->run_id;
    (void)map_remove(&d->parked, id_key(&run_id));
    unpark(parked);
    if (!d->is_stopping)
        run_load(d, run_id, false);
}

void dispatcher_park(struct dispatcher *d, uint64_t run_id, int64_t wake_ms, struct run *run)
{
    struct parked *parked = xcalloc(1, sizeof(*parked));
    parked->d = d;
    parked->run_id = run_id;
    if (run && run->holds_slot) {
        parked->slot = run->slot;
        parked->key = run->key ? xstrdup(run->key) : NULL;
        run->holds_slot = false;
    }
    if (wake_ms)
        parked->timer = loop_timer(d->engine->loop, wake_ms, wake_parked, parked);
    struct parked *before = map_put(&d->parked, id_key(&run_id), parked);
    if (before)
        unpark(before);
}

static struct run *find_run(struct dispatcher *d, uint64_t id)
{
    struct run *run = d->runs;
    while (run && run->id != id)
        run = run->next;
    return run;
}

/* The run, loaded if it is parked; NULL: it is neither. */
static struct run *bring_back(struct dispatcher *d, uint64_t run_id, bool is_cancelled)
{
    struct parked *parked = map_remove(&d->parked, id_key(&run_id));
    if (parked) {
        if (parked->timer)
            (void)loop_cancel(d->engine->loop, parked->timer);
        unpark(parked);
        d->is_bringing_back = true; /* it is not to leave again at once */
        run_load(d, run_id, is_cancelled);
        d->is_bringing_back = false;
    }
    return find_run(d, run_id);
}

struct search {
    struct store_view *view;
    uint64_t run_id;
    char *workflow; /* in whose queue it is */
};

static int search_queue(void *ctx, struct str workflow)
{
    struct search *search = ctx;
    struct queue_entry entry;
    if (queue_get(STORE_VIEW(search->view), workflow, search->run_id, &entry))
        return 0;
    search->workflow = str_dup(workflow);
    return 1;
}

/* A run that has not begun ends like any other, with a commit that takes it out of its queue. */
static bool cancel_queued(struct dispatcher *d, uint64_t run_id)
{
    struct search search = {.run_id = run_id};
    struct queue_entry entry;
    struct run *run = NULL;
    if (d->is_stopping || dispatcher_took_back(d, run_id) ||
        store_view_begin(d->engine->store, &search.view, NULL))
        return false;
    (void)queue_workflows(STORE_VIEW(search.view), search_queue, &search);
    struct slot *slot = search.workflow ? slot_of(d, str_from(search.workflow)) : NULL;
    if (slot && slot->workflow &&
        queue_get(STORE_VIEW(search.view), str_from(slot->id), run_id, &entry) == 0)
        run = run_of_entry(slot, search.view, &entry);
    store_view_end(search.view);
    free(search.workflow);
    if (!run)
        return false;
    (void)map_put(&d->taken_back, id_key(&run_id), d);
    add_run(d, run, slot);
    if (run->end_status)
        run_settle(run);
    else
        run_cancel(run);
    return true;
}

bool dispatcher_cancel(struct dispatcher *d, uint64_t run_id)
{
    struct run *run = find_run(d, run_id);
    if (run && run->end_status)
        return false;
    if (run) {
        run_cancel(run);
        return true;
    }
    if (!map_get(&d->parked, id_key(&run_id)))
        return cancel_queued(d, run_id);
    (void)bring_back(d, run_id, true); /* it ends as cancelled when it is loaded */
    return true;
}

bool dispatcher_resume(struct dispatcher *d, uint64_t run_id, uint32_t position, uint32_t attempt,
                       struct json *data, loop_fn then, void *ctx)
{
    struct run *run = d->is_stopping ? NULL : bring_back(d, run_id, false);
    for (struct strand *s = run && !run->end_status ? run->strands : NULL; s; s = s->next)
        if (s->position == position && s->attempt == attempt && s->state == STRAND_WAITING)
            return strand_resume(s, data, then, ctx);
    json_free(data);
    if (run)
        run_settle(run);
    return false;
}

bool dispatcher_keeps_runs(const struct dispatcher *d)
{
    return d->is_bringing_back;
}

/* ---- the project */

void dispatcher_set_project(struct dispatcher *d, struct project *project)
{
    size_t at = 0;
    for (const struct map_entry *e; (e = map_next(&d->slots, &at));) {
        struct slot *slot = e->value;
        slot->workflow = NULL;
        lanes_forget(slot); /* what was read ahead is read again, with the new key */
    }
    for (size_t i = 0; i < project->workflow_count; i++) {
        struct slot *slot = slot_of(d, str_from(project->workflows[i]->id));
        slot->workflow = project->workflows[i]->inactive ? NULL : project->workflows[i];
        slot->has_more = !d->engine->is_passive;
    }
    struct project *old = d->project;
    d->project = project_ref(project);
    project_unref(old);
    dispatch_all(d);
}

/* ---- runs that end */

static void notify(struct dispatcher *d, uint64_t run_id)
{
    struct ended_waiter **at = &d->waiters;
    while (*at) {
        struct ended_waiter *waiter = *at;
        if (waiter->run_id != run_id) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        waiter->fn(waiter->ctx);
        free(waiter);
    }
}

/* What a long loop had in memory goes back to the system: the allocator would keep it. */
static void trim_memory(void *ctx)
{
    struct dispatcher *d = ctx;
    d->will_trim = false;
    if (d->active == 0 && !d->is_stopping)
        (void)malloc_trim(0);
}

void dispatcher_run_left(struct dispatcher *d, struct run *run, bool has_ended)
{
    struct slot *slot = run->slot;
    uint64_t id = run->id;
    *run->self = run->next;
    if (run->next)
        run->next->self = run->self;
    char *key = run->key ? xstrdup(run->key) : NULL;
    give_up_slot(run);
    if (--d->active == 0 && !d->will_trim && !d->is_stopping) {
        d->will_trim = true;
        (void)loop_timer(d->engine->loop, clock_now_ms() + TRIM_MS, trim_memory, d);
    }
    if (d->taken_back.count)
        (void)map_remove(&d->taken_back, id_key(&id));
    run_drop(run);
    if (has_ended)
        notify(d, id);
    if (d->was_stopped_by_limit)
        dispatch_all(d);
    else if (key && slot->workflow && slot->workflow->key)
        lanes_run_left(slot, key);
    else
        dispatch(slot);
    free(key);
}

void dispatcher_when_ended(struct dispatcher *d, uint64_t run_id, loop_fn fn, void *ctx)
{
    struct store_view *view = NULL;
    struct run_record record;
    bool has_ended = false;
    if (!find_run(d, run_id) && store_view_begin(d->engine->store, &view, NULL) == 0)
        has_ended = run_get(STORE_VIEW(view), run_id, &record) == 0 && record.phase == RUN_ENDED;
    store_view_end(view);
    if (has_ended) {
        fn(ctx);
        return;
    }
    struct ended_waiter *waiter = xcalloc(1, sizeof(*waiter));
    *waiter = (struct ended_waiter){d->waiters, run_id, fn, ctx};
    d->waiters = waiter;
}

void dispatcher_forget_waiter(struct dispatcher *d, void *ctx)
{
    for (struct ended_waiter **at = &d->waiters; *at;) {
        struct ended_waiter *waiter = *at;
        if (waiter->ctx == ctx) {
            *at = waiter->next;
            free(waiter);
        } else {
            at = &waiter->next;
        }
    }
}

/* ---- stopping */

bool dispatcher_is_over(const struct dispatcher *d)
{
    return d->is_over;
}

void dispatcher_end(struct dispatcher *d)
{
    d->is_stopping = d->is_over = true;
}

bool dispatcher_is_stopping(const struct dispatcher *d)
{
    return d->is_stopping;
}

void dispatcher_call_began(struct dispatcher *d)
{
    d->calls++;
}

void dispatcher_call_ended(struct dispatcher *d)
{
    d->calls--;
}

size_t dispatcher_calls(struct dispatcher *d)
{
    return d->calls;
}

size_t dispatcher_active(struct dispatcher *d)
{
    return d->active;
}

void dispatcher_stop(struct dispatcher *d)
{
    d->is_stopping = true;
    for (struct run *run = d->runs, *next; run; run = next) {
        next = run->next;
        run_settle(run); /* what only waits leaves: the store has its time */
    }
}

void dispatcher_counts(struct dispatcher *d, const char *workflow, size_t *ret_running)
{
    struct slot *slot = map_get(&d->slots, str_from(workflow));
    *ret_running = slot ? slot->active : 0;
}

size_t dispatcher_places(struct dispatcher *d)
{
    size_t places = 0, at = 0;
    for (const struct map_entry *e; (e = map_next(&d->slots, &at));)
        places += ((const struct slot *)e->value)->active;
    return places;
}
