/* Pruning. History is what no queued or live run needs: ended runs with their steps, and events. It
 * goes oldest first, by id (an id begins with the time), events and runs together, when it is over
 * its share of bytes, past its age, or the store as a whole nears the quota.
 *
 * Two positions are kept: nothing older than them can be pruned, so that a pass does not look again
 * and again at old events that wait in a queue. Whoever frees something older moves the position
 * back (live_remove, run_put).
 */
#include "store/private.h"

#include "base/clock.h"
#include "base/ids.h"

/* The store nears its quota when a sixteenth is left. */
static bool is_near_quota(const struct store *store, const struct store_meta *meta)
{
    return meta->used_bytes > store->quota_bytes - store->quota_bytes / 16;
}

bool history_is_due(const struct store *store, const struct store_meta *meta)
{
    return meta->history_bytes > store->history_bytes ||
           (meta->history_bytes > 0 && is_near_quota(store, meta));
}

/* The oldest id ≥ *from in `table` that may go; looks at up to *budget records. *ret: UINT64_MAX if
 * none. *from moves to it. */
static int find_oldest(struct store_tx *tx, enum table table, uint64_t *from, size_t *budget,
                       uint64_t *ret, struct err *err)
{
    MDB_cursor *cursor = NULL;
    unsigned char start[KEY_ID];
    put_u64(start, *from);
    int rc = table_cursor(tx, table, &cursor, err);
    if (rc)
        return rc;
    MDB_val k = {.mv_size = sizeof(start), .mv_data = start}, v;
    uint64_t seen = 0;
    int found = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    for (; found == 0 && *budget > 0; found = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        uint64_t event = 0;
        enum run_phase phase = RUN_LIVE;
        bool is_needed = true;
        (*budget)--;
        if (k.mv_size != KEY_ID)
            return table_failed(tx, MDB_CORRUPTED, err, "pruning");
        seen = 1;
        *from = get_u64(k.mv_data);
        if (table == TABLE_EVENTS)
            rc = event_is_needed(tx, *from, &is_needed, err);
        else if (run_peek(str_n(v.mv_data, v.mv_size), &event, &phase) == 0)
            is_needed = phase != RUN_ENDED;
        if (rc)
            return rc;
        if (!is_needed) {
            *ret = *from;
            return 0;
        }
    }
    *ret = UINT64_MAX;
    if (found == MDB_NOTFOUND)
        *from += seen;
    else if (found)
        return table_failed(tx, found, err, "pruning");
    return 0;
}

/* Steps that were written for a run that is not there (its run was pruned before its last word
 * came). */
static int prune_orphans(struct store_tx *tx, size_t *budget, struct err *err)
{
    MDB_cursor *cursor = NULL;
    int rc = table_cursor(tx, TABLE_STEPS, &cursor, err);
    while (!rc && *budget > 0) {
        MDB_val k, v;
        struct str run;
        if (mdb_cursor_get(cursor, &k, &v, MDB_FIRST) != 0 || k.mv_size < KEY_ID)
            return 0;
        unsigned char key[KEY_ID];
        uint64_t id = get_u64(k.mv_data);
        if (table_get(STORE_TX(tx), TABLE_RUNS, key_id(key, id), &run) != RN_ENOTFOUND)
            return 0;
        (*budget)--;
        unsigned char copy[STORE_KEY_MAX];
        memcpy(copy, k.mv_data, k.mv_size);
        rc = table_delete(tx, TABLE_STEPS, str_n(copy, k.mv_size), err);
    }
    return rc;
}

int history_prune(struct store_tx *tx, size_t budget, bool by_age, bool *ret_more, struct err *err)
{
    struct store *store = tx->store;
    struct writer *writer = &store->writer;
    int64_t cutoff_ms = by_age ? clock_now_ms() - store->history_age_ms : INT64_MIN;
    uint64_t event = 0, run = 0; /* 0: to be looked for */
    int rc = 0;
    *ret_more = false;
    for (;;) {
        if (budget == 0) {
            *ret_more = true;
            return 0;
        }
        if (!event)
            rc = find_oldest(tx, TABLE_EVENTS, &writer->prune_event, &budget, &event, err);
        if (!rc && !run)
            rc = find_oldest(tx, TABLE_RUNS, &writer->prune_run, &budget, &run, err);
        if (rc)
            return rc;
        uint64_t oldest = event < run ? event : run;
        if (oldest == UINT64_MAX) {
            *ret_more = budget == 0;
            return prune_orphans(tx, &budget, err);
        }
        if (id_ms(oldest) >= cutoff_ms && !history_is_due(store, &tx->meta))
            return 0;
        if (event <= run) {
            rc = event_delete(tx, event, err);
            event = 0;
        } else {
            rc = run_delete(tx, run, err);
            run = 0;
        }
        if (rc)
            return rc;
    }
}

struct prune_ctx {
    bool has_more;
};

static int prune_apply(struct store_tx *tx, void *ctx, struct err *err)
{
    struct prune_ctx *prune = ctx;
    return history_prune(tx, STORE_PRUNE_BUDGET, true, &prune->has_more, err);
}

int store_prune(struct store *store, struct err *err)
{
    struct prune_ctx prune = {.has_more = true};
    int rc = 0;
    while (!rc && prune.has_more)
        rc = store_run(store, prune_apply, &prune, false, err);
    return rc;
}
