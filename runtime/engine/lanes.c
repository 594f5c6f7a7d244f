/* Lanes: strict order per value of settings.concurrency.key, and different values side by side.
 *
 * Entries are read ahead of their turn, in the order of the queue, up to AHEAD; of each only its id
 * is kept, in the lane of its key. A lane begins its first entries as long as it has fewer than
 * `workers` runs. A key that needs JavaScript is resolved in the expression host; reading stands
 * still meanwhile, so that the order holds. Thread: the loop's. */
#include "engine/dispatch.h"

enum { AHEAD = 10000, READ = 256 };

static void lane_free(void *value)
{
    struct lane *lane = value;
    for (struct lane_entry *e = lane->first, *next; e; e = next) {
        next = e->next;
        free(e);
    }
    free(lane);
}

struct lane *lane_of(struct slot *slot, const char *key)
{
    struct lane *lane = map_get(&slot->lanes, str_from(key));
    if (!lane) {
        lane = xcalloc(1, sizeof(*lane));
        lane->end = &lane->first;
        (void)map_put(&slot->lanes, str_from(key), lane);
    }
    return lane;
}

static void forget_if_empty(struct slot *slot, const char *key)
{
    struct lane *lane = map_get(&slot->lanes, str_from(key));
    if (lane && lane->active == 0 && !lane->first)
        lane_free(map_remove(&slot->lanes, str_from(key)));
}

void lane_left(struct slot *slot, const char *key)
{
    struct lane *lane = lane_of(slot, key);
    lane->active--;
    forget_if_empty(slot, key);
}

void lanes_release(struct slot *slot)
{
    map_release(&slot->lanes, lane_free);
}

void lanes_forget(struct slot *slot)
{
    size_t at = 0;
    uint64_t first = UINT64_MAX;
    for (const struct map_entry *e; (e = map_next(&slot->lanes, &at));) {
        struct lane *lane = e->value;
        while (lane->first) {
            struct lane_entry *entry = lane->first;
            lane->first = entry->next;
            if (entry->run_id < first)
                first = entry->run_id;
            free(entry);
        }
        lane->end = &lane->first;
    }
    if (slot->waiting && first - 1 < slot->cursor)
        slot->cursor = first - 1;
    slot->waiting = 0;
    slot->is_resolving = false;
    slot->lanes_epoch++;
}

/* ---- beginning */

static bool has_room(const struct slot *slot, const struct lane *lane)
{
    struct dispatcher *d = slot->d;
    if (d->active >= LIMIT_ACTIVE_RUNS) {
        d->was_stopped_by_limit = true;
        return false;
    }
    return slot->workflow && !d->is_stopping && lane->active < (size_t)slot->workflow->workers &&
           (slot->workflow->workers_total == 0 ||
            slot->active < (size_t)slot->workflow->workers_total);
}

static struct run *load_entry(struct slot *slot, const char *key, uint64_t run_id)
{
    struct store_view *view = NULL;
    struct queue_entry entry;
    struct run *run = NULL;
    if (dispatcher_took_back(slot->d, run_id) ||
        store_view_begin(slot->d->engine->store, &view, NULL))
        return NULL;
    if (queue_get(STORE_VIEW(view), str_from(slot->id), run_id, &entry) == 0) {
        run = run_of_entry(slot, view, &entry);
        free(run->key);
        run->key = xstrdup(key);
    }
    store_view_end(view);
    return run;
}

static void lane_dispatch(struct slot *slot, const char *name)
{
    char *key = xstrdup(name); /* the lane may go while its runs begin */
    struct lane *lane;
    while ((lane = map_get(&slot->lanes, str_from(key))) && lane->first && has_room(slot, lane) &&
           throttle_allows(slot, 1)) {
        struct lane_entry *entry = lane->first;
        lane->first = entry->next;
        if (!lane->first)
            lane->end = &lane->first;
        slot->waiting--;
        struct run *run = load_entry(slot, key, entry->run_id);
        free(entry);
        if (!run)
            continue; /* somebody took it out of the queue */
        throttle_count(slot, 1);
        begin_run(slot, run);
    }
    forget_if_empty(slot, key);
    free(key);
}

/* ---- reading ahead */

struct ahead {
    struct slot *slot;
    struct store_view *view;
    size_t count;
    bool has_stopped;
};

static char *key_text(const struct json *value)
{
    struct buf text = BUF_INIT(KIB(1));
    if (json_get(value, "key"))
        expr_to_text(&text, json_get(value, "key"));
    return buf_take(&text, NULL);
}

static void add_entry(struct slot *slot, const char *key, uint64_t run_id)
{
    struct lane *lane = lane_of(slot, key);
    struct lane_entry *entry = xcalloc(1, sizeof(*entry));
    entry->run_id = run_id;
    *lane->end = entry;
    lane->end = &entry->next;
    slot->waiting++;
    slot->cursor = run_id;
}

struct key_wait {
    struct slot *slot;
    struct project *project; /* a reference: the template's */
    uint64_t run_id, epoch;
    char *key;
};

static void take_key(void *ctx)
{
    struct key_wait *wait = ctx;
    struct slot *slot = wait->slot;
    if (wait->epoch == slot->lanes_epoch) {
        slot->is_resolving = false;
        add_entry(slot, wait->key, wait->run_id);
        lanes_dispatch(slot);
    }
    project_unref(wait->project);
    free(wait->key);
    free(wait);
}

static void key_resolved(void *ctx, int code, struct expr_result *result,
                         const struct expr_where *where, const struct err *err)
{
    struct key_wait *wait = ctx;
    (void)where;
    (void)err;
    /* What has no key shares the empty one: its order is kept too. */
    wait->key = code ? xstrdup("") : key_text(result->value);
    if (code == 0)
        expr_result_release(result);
    loop_post(wait->slot->d->engine->loop, take_key, wait);
}

static int read_entry(void *ctx, const struct queue_entry *entry)
{
    struct ahead *ahead = ctx;
    struct slot *slot = ahead->slot;
    struct dispatcher *d = slot->d;
    struct event_record record;
    struct json *event = NULL;
    struct err err = ERR_INIT;
    ahead->count++;
    if (event_get(STORE_VIEW(ahead->view), entry->event_id, &record) ||
        json_parse_own(record.event, &event, &err)) {
        add_entry(slot, "", entry->run_id);
        return 0;
    }
    struct json *steps = json_new_object();
    (void)json_set(json_set(steps, "trigger", json_new_object()), "event", event);
    struct expr_scope scope = {.steps = steps, .env = d->project->env};
    struct expr_result result = {0};
    struct expr_where where;
    int rc = expr_resolve(slot->workflow->key, &scope, &result, &where, &err);
    if (rc == RN_EAGAIN) {
        struct key_wait *wait = xcalloc(1, sizeof(*wait));
        wait->slot = slot;
        wait->project = project_ref(d->project);
        wait->run_id = entry->run_id;
        wait->epoch = slot->lanes_epoch;
        slot->is_resolving = true;
        expr_engine_resolve(d->engine->expressions, slot->workflow->key, &scope, key_resolved,
                            wait);
        ahead->has_stopped = true;
    } else {
        char *key = rc ? xstrdup("") : key_text(result.value);
        add_entry(slot, key, entry->run_id);
        free(key);
        expr_result_release(&result);
    }
    json_free(steps);
    return ahead->has_stopped ? 1 : 0;
}

static void read_ahead(struct slot *slot)
{
    struct dispatcher *d = slot->d;
    while (slot->workflow && slot->has_more && !slot->is_resolving && slot->waiting < AHEAD &&
           !d->is_stopping) {
        struct ahead ahead = {.slot = slot};
        struct err err = ERR_INIT;
        if (store_view_begin(d->engine->store, &ahead.view, &err)) {
            log_error("the queue cannot be read: %s", err.text);
            return;
        }
        (void)queue_each(STORE_VIEW(ahead.view), str_from(slot->id), slot->cursor, READ, read_entry,
                         &ahead);
        store_view_end(ahead.view);
        slot->has_more = ahead.has_stopped || ahead.count == READ;
    }
}

void lanes_dispatch(struct slot *slot)
{
    if (slot->is_dispatching)
        return; /* a run that ended at once, from below */
    slot->is_dispatching = true;
    read_ahead(slot);
    /* The names first: lanes come and go while runs begin. */
    size_t at = 0, count = 0, total = slot->lanes.count;
    char **names = xcalloc(total + 1, sizeof(*names));
    for (const struct map_entry *e; (e = map_next(&slot->lanes, &at));)
        if (((struct lane *)e->value)->first)
            names[count++] = str_dup(str_n(e->key, e->key_len));
    for (size_t i = 0; i < count; i++) {
        lane_dispatch(slot, names[i]);
        free(names[i]);
    }
    free(names);
    slot->is_dispatching = false;
}

void lanes_run_left(struct slot *slot, const char *key)
{
    if (slot->workflow->workers_total || (slot->has_more && slot->waiting < AHEAD / 2))
        lanes_dispatch(slot);
    else if (!slot->is_dispatching)
        lane_dispatch(slot, key);
}
