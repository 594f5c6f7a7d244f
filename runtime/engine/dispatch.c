/* From the queues to runs: which workflow may begin how many, waking, recovery after a restart.
 * Thread: the loop's, but for dispatcher_wake.
 *
 * A queue stays on disk; only what may begin is read. `cursor` is the last entry taken: entries
 * behind it are new, entries before it are being taken out by the first commit of their run. Run
 * ids grow, so that the queue's order is the order of arrival.
 */
#include "engine/run.h"

enum { BATCH = 64 }; /* entries read from a queue at once */

/* A workflow's place here; it stays when its file goes, as long as runs of it are live. */
struct slot {
    char *id;
    const struct workflow *workflow; /* NULL: gone, broken or inactive: its queue waits */
    size_t active;
    uint64_t cursor;
    bool has_more; /* its queue may have entries behind the cursor */
};

struct ended_waiter {
    struct ended_waiter *next;
    uint64_t run_id;
    loop_fn fn;
    void *ctx;
};

struct dispatcher {
    struct engine *engine;
    struct project *project; /* a reference: what slots point into */
    struct map slots;        /* id → struct slot */
    struct run *runs;        /* in memory */
    size_t active;
    size_t calls;
    bool is_stopping;
    bool was_stopped_by_limit; /* LIMIT_ACTIVE_RUNS was met: try the others when one ends */
    struct ended_waiter *waiters;
    pthread_mutex_t wake_lock; /* guards woken, is_posted */
    struct map woken;          /* workflow ids */
    bool is_posted;
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
    free(slot->id);
    free(slot);
}

void dispatcher_free(struct dispatcher *d)
{
    if (!d)
        return;
    while (d->runs) {
        struct run *run = d->runs;
        d->runs = run->next;
        run_drop(run);
    }
    map_release(&d->slots, slot_free);
    map_release(&d->woken, NULL);
    project_unref(d->project);
    pthread_mutex_destroy(&d->wake_lock);
    free(d);
}

static struct slot *slot_of(struct dispatcher *d, struct str id)
{
    struct slot *slot = map_get(&d->slots, id);
    if (!slot) {
        slot = xcalloc(1, sizeof(*slot));
        slot->id = str_dup(id);
        (void)map_put(&d->slots, id, slot);
    }
    return slot;
}

static void add_run(struct dispatcher *d, struct run *run, struct slot *slot)
{
    run->slot = slot;
    slot->active++;
    d->active++;
    run->next = d->runs;
    d->runs = run;
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

struct taken {
    struct dispatcher *d;
    struct slot *slot;
    struct store_view *view;
    struct run *list[BATCH];
    size_t count;
};

/* A run for a queue entry. What is wrong with its event shows as the run's error. */
static int take_entry(void *ctx, const struct queue_entry *entry)
{
    struct taken *taken = ctx;
    struct dispatcher *d = taken->d;
    struct json *detail = NULL;
    if (json_parse(entry->detail, &detail, NULL))
        detail = NULL;
    struct run *run = run_make(d, entry->run_id, entry->event_id);
    run->engine = d->engine;
    run->project = project_ref(d->project);
    run->workflow = taken->slot->workflow;
    run->is_queued = true;
    record_read_detail(run, detail);
    run->started_ms = clock_now_ms();
    json_free(detail);
    struct event_record event;
    struct err err = ERR_INIT;
    int rc = event_get(STORE_VIEW(taken->view), entry->event_id, &event);
    rc = rc ? err_set(&err, rc, "the event is not in the store") : run_set_event(run, &event, &err);
    if (rc) {
        run->error = json_new_object();
        json_set_string(run->error, "code", err_word(rc));
        json_set_string(run->error, "text", err.text);
    }
    taken->slot->cursor = entry->run_id;
    taken->list[taken->count++] = run;
    return 0;
}

static size_t room(const struct dispatcher *d, const struct slot *slot)
{
    size_t left = d->active < LIMIT_ACTIVE_RUNS ? LIMIT_ACTIVE_RUNS - d->active : 0;
    size_t workers = slot->workflow->workers > 0 ? (size_t)slot->workflow->workers : left;
    size_t own = workers > slot->active ? workers - slot->active : 0;
    size_t n = own < left ? own : left;
    return n < BATCH ? n : BATCH;
}

static void dispatch(struct dispatcher *d, struct slot *slot)
{
    while (slot->workflow && slot->has_more && !d->is_stopping) {
        struct taken taken = {.d = d, .slot = slot};
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
        slot->has_more = taken.count == limit;
        for (size_t i = 0; i < taken.count; i++)
            add_run(d, taken.list[i], slot);
        for (size_t i = 0; i < taken.count; i++) {
            if (taken.list[i]->error)
                run_end(taken.list[i], "failed");
            else
                run_advance(taken.list[i]);
        }
    }
}

static void dispatch_all(struct dispatcher *d)
{
    d->was_stopped_by_limit = false;
    size_t at = 0;
    for (const struct map_entry *e; (e = map_next(&d->slots, &at));)
        dispatch(d, e->value);
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
        dispatch(d, slot);
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
    slot->cursor = run_id - 1;
    slot->has_more = true;
    dispatch(d, slot);
}

/* ---- the project */

void dispatcher_set_project(struct dispatcher *d, struct project *project)
{
    size_t at = 0;
    for (const struct map_entry *e; (e = map_next(&d->slots, &at));)
        ((struct slot *)e->value)->workflow = NULL;
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

void dispatcher_run_ended(struct dispatcher *d, struct run *run)
{
    struct slot *slot = run->slot;
    for (struct run **at = &d->runs; *at; at = &(*at)->next) {
        if (*at == run) {
            *at = run->next;
            break;
        }
    }
    uint64_t id = run->id;
    slot->active--;
    d->active--;
    run_drop(run);
    notify(d, id);
    if (d->was_stopped_by_limit)
        dispatch_all(d);
    else
        dispatch(d, slot);
}

static struct run *find_run(struct dispatcher *d, uint64_t id)
{
    struct run *run = d->runs;
    while (run && run->id != id)
        run = run->next;
    return run;
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

bool dispatcher_cancel(struct dispatcher *d, uint64_t run_id)
{
    struct run *run = find_run(d, run_id);
    if (!run || run->state == RUN_ENDING)
        return false;
    run->is_cancelled = true;
    if (run->state == RUN_WAITING && loop_cancel(d->engine->loop, run->timer))
        run_end_failed(run, NULL, RN_ECANCELED, "cancelled");
    else if (run->state == RUN_CALLING)
        call_cancel(run->host, run->call_id);
    return true;
}

/* ---- stopping */

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
    struct run *next;
    for (struct run *run = d->runs; run; run = next) {
        next = run->next;
        if (run->state == RUN_WAITING && loop_cancel(d->engine->loop, run->timer))
            dispatcher_run_ended(d, run); /* parked: the store has its wake-up time */
    }
}

void dispatcher_counts(struct dispatcher *d, const char *workflow, size_t *ret_running)
{
    struct slot *slot = map_get(&d->slots, str_from(workflow));
    *ret_running = slot ? slot->active : 0;
}
