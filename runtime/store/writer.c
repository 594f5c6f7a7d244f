/* The writer: one thread that takes what waits, applies it in one transaction, commits with fsync,
 * and tells each operation.
 *
 * Submitting is a push on a lock-free stack; the writer takes the whole stack at once and turns it
 * over, so that operations are applied in the order of submission. While a commit syncs, the next
 * batch gathers: no window is needed, and a lone operation does not wait.
 *
 * A batch is a range [first, limit) of the operations that were taken. When LMDB fails at one, or
 * an operation fails after it wrote, the transaction is undone; then the operations before it go
 * again, it goes alone, and the others follow: an operation harms only itself, and the order stays.
 * done() is called in order too, after the last of the batch.
 *
 * Waking: the writer sets is_sleeping and then looks at the stack; a submitter pushes and then
 * looks at is_sleeping (all sequentially consistent), so one of them sees the other.
 */
#include "store/private.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/ids.h"
#include "base/latch.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <sys/statvfs.h>

#define DISK_CHECK_MS 1000
/* How much the file may grow before dead readers are looked for: they are what keeps old pages from
 * being used again. */
#define GROWN_PAGES 1024u

struct slot {
    struct store_op *op;
    int code;
    struct err *err; /* of an operation that failed */
};

struct batch {
    struct slot slots[LIMIT_STORE_BATCH];
    size_t count;
};

/* ---- submitting */

static void wake_writer(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
}

int store_submit(struct store *store, struct store_op *op)
{
    if (store->is_read_only)
        return RN_EPERM;
    if (atomic_load_explicit(&store->has_failed, memory_order_relaxed))
        return RN_EIO;
    if (atomic_fetch_add(&store->pending, 1) >= LIMIT_STORE_PENDING && op->is_new_work) {
        atomic_fetch_sub(&store->pending, 1);
        return RN_EUNAVAILABLE;
    }
    struct store_op *head = atomic_load_explicit(&store->submitted, memory_order_relaxed);
    do {
        op->next = head;
    } while (!atomic_compare_exchange_weak(&store->submitted, &head, op));
    if (atomic_load(&store->is_sleeping))
        wake_writer(store);
    return 0;
}

struct waiter {
    struct store_op op;
    int (*apply)(struct store_tx *tx, void *ctx, struct err *err);
    void *ctx;
    struct err *err;
    int code;
    struct latch done;
};

static int waiter_apply(struct store_tx *tx, void *ctx, struct err *err)
{
    struct waiter *waiter = ctx;
    return waiter->apply(tx, waiter->ctx, err);
}

static void waiter_done(void *ctx, int code, const struct err *err)
{
    struct waiter *waiter = ctx;
    waiter->code = code;
    if (code && waiter->err)
        *waiter->err = *err;
    latch_open(&waiter->done);
}

int store_run(struct store *store, int (*apply)(struct store_tx *, void *, struct err *), void *ctx,
              bool is_new_work, struct err *err)
{
    assert(!store->has_thread || !pthread_equal(pthread_self(), store->thread));
    struct waiter waiter = {.apply = apply, .ctx = ctx, .err = err, .done = LATCH_INIT};
    waiter.op = (struct store_op){
        .apply = waiter_apply, .done = waiter_done, .ctx = &waiter, .is_new_work = is_new_work};
    int rc = store_submit(store, &waiter.op);
    if (rc == RN_EUNAVAILABLE)
        return err_set(err, rc, "the store is overloaded (%d operations wait)",
                       LIMIT_STORE_PENDING);
    if (rc == RN_EPERM)
        return err_set(err, rc, "the store is open for reading only");
    if (rc)
        return err_set(err, rc, "the store has failed; restart the runtime");
    latch_wait(&waiter.done);
    return waiter.code;
}

/* ---- taking */

/* Moves what was submitted behind what the writer has. */
static void take_submitted(struct store *store)
{
    struct writer *writer = &store->writer;
    struct store_op *newest = atomic_exchange(&store->submitted, NULL);
    struct store_op *oldest = NULL, **tail = newest ? &newest->next : NULL;
    while (newest) {
        struct store_op *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    if (oldest) {
        *writer->last = oldest;
        writer->last = tail;
    }
}

static void fill_batch(struct store *store, struct batch *batch)
{
    struct writer *writer = &store->writer;
    take_submitted(store);
    batch->count = 0;
    while (writer->first && batch->count < LIMIT_STORE_BATCH) {
        struct store_op *op = writer->first;
        writer->first = op->next;
        if (!writer->first)
            writer->last = &writer->first;
        batch->slots[batch->count++] = (struct slot){.op = op};
    }
}

/* False when the store is closing and nothing waits. */
static bool wait_for_work(struct store *store, int64_t until_ms)
{
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    bool goes_on = true;
    pthread_mutex_lock(&store->lock);
    atomic_store(&store->is_sleeping, true);
    while (!atomic_load(&store->submitted)) {
        if (atomic_load(&store->is_closing)) {
            goes_on = false;
            break;
        }
        if (pthread_cond_timedwait(&store->wake, &store->lock, &until) == ETIMEDOUT)
            break;
    }
    atomic_store(&store->is_sleeping, false);
    pthread_mutex_unlock(&store->lock);
    return goes_on;
}

/* ---- applying */

static void slot_fail(struct slot *slot, int code, const struct err *err)
{
    slot->code = code;
    if (!slot->err)
        slot->err = xcalloc(1, sizeof(*slot->err));
    if (err && err->code)
        *slot->err = *err;
    else
        (void)err_set(slot->err, code, "%s", err_sentence(code));
}

static void slot_succeed(struct slot *slot)
{
    slot->code = 0;
    free(slot->err);
    slot->err = NULL;
}

static void store_fail(struct store *store, const struct err *err)
{
    atomic_store(&store->has_failed, true);
    log_error("the store has failed and takes nothing more until the runtime is started again: %s",
              err->text);
}

static int tx_begin(struct store *store, struct store_tx *tx, struct err *err)
{
    *tx = (struct store_tx){.store = store, .meta = store->committed};
    int rc = mdb_txn_begin(store->env, NULL, 0, &tx->txn);
    if (rc)
        return store_error(rc, err, "beginning a transaction");
    return 0;
}

/* What is in memory may come from the transaction: it is read again when it is needed. */
static void forget_memory(struct store *store)
{
    map_release(&store->writer.names, NULL);
    dedupe_drop(&store->writer);
    store->writer.prune_event = store->writer.prune_run = 0;
}

static void tx_undo(struct store_tx *tx)
{
    if (tx->txn)
        mdb_txn_abort(tx->txn);
    tx->txn = NULL;
    forget_memory(tx->store);
}

const uint64_t store_commit_bounds_us[STORE_COMMIT_BUCKETS - 1] = {100,  250,   500,   1000,  2500,
                                                                   5000, 10000, 50000, 250000};

static void count_commit(struct store *store, uint64_t us)
{
    int bucket = 0;
    while (bucket < STORE_COMMIT_BUCKETS - 1 && us > store_commit_bounds_us[bucket])
        bucket++;
    atomic_fetch_add(&store->commit_buckets[bucket], 1);
    atomic_fetch_add(&store->commit_us, us);
    atomic_fetch_add(&store->commits, 1);
}

static int tx_commit(struct store_tx *tx, struct err *err)
{
    struct store *store = tx->store;
    int rc = store_put_meta(tx, err);
    if (rc) {
        tx_undo(tx);
        return rc;
    }
    fault_point("store.commit");
    int64_t began_us = clock_mono_us();
    rc = mdb_txn_commit(tx->txn);
    tx->txn = NULL;
    if (rc) {
        forget_memory(store);
        return store_error(rc, err, "committing");
    }
    count_commit(store, (uint64_t)(clock_mono_us() - began_us));
    fault_point("store.committed");
    pthread_mutex_lock(&store->stats_lock);
    store->committed = tx->meta;
    pthread_mutex_unlock(&store->stats_lock);
    store_watch_fn watch = atomic_load_explicit(&store->watch, memory_order_acquire);
    if (watch)
        watch(store->watch_ctx);
    return 0;
}

static bool is_refused(const struct store_tx *tx, const struct store_op *op, struct err *err)
{
    struct store *store = tx->store;
    if (!op->is_new_work)
        return false;
    if (store->writer.is_disk_low)
        return err_set(err, RN_ENOSPACE, "less than %zu MiB are free on the store's disk",
                       STORE_DISK_RESERVE >> 20) != 0;
    if (tx->meta.used_bytes >= store->quota_bytes)
        return err_set(err, RN_ENOSPACE, "the store is at its quota (%llu bytes)",
                       (unsigned long long)store->quota_bytes) != 0;
    return false;
}

/* Applies [first, limit). Returns how far it came without a need to undo: `limit`, or less where
 * the transaction has become large (then *ret_bad is false), or the operation that made undoing
 * necessary (*ret_bad). */
static size_t apply_range(struct store_tx *tx, struct batch *batch, size_t first, size_t limit,
                          bool *ret_bad)
{
    *ret_bad = false;
    for (size_t i = first; i < limit; i++) {
        struct slot *slot = &batch->slots[i];
        struct err err = ERR_INIT;
        if (is_refused(tx, slot->op, &err)) {
            slot_fail(slot, RN_ENOSPACE, &err);
            continue;
        }
        uint64_t writes = tx->writes;
        int code = slot->op->apply(tx, slot->op->ctx, &err);
        if (code)
            slot_fail(slot, code, &err);
        else
            slot_succeed(slot);
        if (tx->failed_code || (code && tx->writes != writes)) {
            if (tx->failed_code)
                slot_fail(slot, tx->failed_code, &tx->failed_err);
            *ret_bad = true;
            return i;
        }
        if (tx->written_bytes > STORE_TX_BYTES)
            return i + 1;
    }
    return limit;
}

/* History goes out with the batch that drives it out: no sync of its own. */
static int prune_with_batch(struct store_tx *tx, size_t operations, struct err *err)
{
    struct store *store = tx->store;
    if (store->writer.is_prune_failing || !history_is_due(store, &tx->meta))
        return 0;
    bool more = false;
    int rc = history_prune(tx, STORE_PRUNE_BUDGET + 8 * operations, false, &more, err);
    return rc ? rc : tx->failed_code;
}

/* Commits what was applied; a code says that it was undone. */
static int finish_range(struct store_tx *tx, size_t operations, struct err *err)
{
    if (prune_with_batch(tx, operations, err)) {
        log_warn("history cannot be pruned: %s", err->text);
        tx->store->writer.is_prune_failing = true;
        tx_undo(tx);
        return RN_EAGAIN;
    }
    if (tx->writes == 0) { /* all refused, or nothing to do */
        mdb_txn_abort(tx->txn);
        tx->txn = NULL;
        return 0;
    }
    return tx_commit(tx, err);
}

static bool free_dead_readers(struct store *store)
{
    int dead = 0;
    if (mdb_reader_check(store->env, &dead) == 0 && dead > 0)
        log_info("%d readers of the store had died", dead);
    return dead > 0;
}

/* One step: as much of [first, limit) as goes into one transaction. Returns the new `first`; *limit
 * shrinks where something must go alone. */
static size_t commit_range(struct store *store, struct batch *batch, size_t first, size_t *limit)
{
    struct store_tx tx;
    struct err err = ERR_INIT;
    bool is_bad = false;
    size_t reached = first;
    int rc = atomic_load(&store->has_failed)
                 ? err_set(&err, RN_EIO, "the store has failed; restart the runtime")
                 : tx_begin(store, &tx, &err);
    if (!rc) {
        fault_point("store.apply");
        reached = apply_range(&tx, batch, first, *limit, &is_bad);
        if (is_bad) {
            tx_undo(&tx);
            if (tx.failed_code == RN_ENOSPACE && free_dead_readers(store))
                return first;
            if (reached == first) /* it was alone, or the first: its error stands */
                return first + 1;
            *limit = reached; /* those before it again */
            return first;
        }
        rc = finish_range(&tx, reached - first, &err);
        if (!rc)
            return reached;
        if (rc == RN_EAGAIN || (rc == RN_ENOSPACE && free_dead_readers(store)))
            return first;
    }
    if (rc == RN_EIO || rc == RN_EPROTOCOL) {
        if (!atomic_load(&store->has_failed))
            store_fail(store, &err);
        reached = *limit;
    }
    if (reached > first + 1 && !atomic_load(&store->has_failed)) {
        *limit = first + 1; /* too much for the file or the disk: one at a time */
        return first;
    }
    if (reached == first)
        reached = first + 1;
    for (size_t i = first; i < reached; i++)
        slot_fail(&batch->slots[i], rc, &err);
    return reached;
}

static void process(struct store *store, struct batch *batch)
{
    size_t first = 0, limit = batch->count;
    while (first < batch->count) {
        if (first >= limit)
            limit = batch->count;
        first = commit_range(store, batch, first, &limit);
    }
    atomic_fetch_add(&store->operations, batch->count);
    if (store->telling)
        store->telling(store->telling_ctx, true);
    for (size_t i = 0; i < batch->count; i++) {
        struct slot *slot = &batch->slots[i];
        atomic_fetch_sub(&store->pending, 1);
        if (slot->op->done) /* it may free the op */
            slot->op->done(slot->op->ctx, slot->code, slot->code ? slot->err : NULL);
        free(slot->err);
    }
    if (store->telling)
        store->telling(store->telling_ctx, false);
}

/* ---- what the writer does by itself */

struct own_prune {
    bool by_age, has_more;
};

static int own_prune_apply(struct store_tx *tx, void *ctx, struct err *err)
{
    struct own_prune *prune = ctx;
    return history_prune(tx, 4 * STORE_PRUNE_BUDGET, prune->by_age, &prune->has_more, err);
}

static void own_prune_done(void *ctx, int code, const struct err *err)
{
    struct own_prune *prune = ctx;
    if (code) {
        prune->has_more = false;
        log_warn("history cannot be pruned: %s", err->text);
    }
}

/* One transaction of pruning; true if there is more to do. */
static bool prune_alone(struct store *store, struct batch *batch, bool by_age)
{
    struct own_prune prune = {.by_age = by_age};
    struct store_op op = {.apply = own_prune_apply, .done = own_prune_done, .ctx = &prune};
    atomic_fetch_add(&store->pending, 1);
    batch->count = 1;
    batch->slots[0] = (struct slot){.op = &op};
    process(store, batch);
    return prune.has_more;
}

static void check_disk(struct store *store)
{
    struct statvfs disk;
    if (fstatvfs(store->data_fd, &disk) != 0)
        return;
    bool is_low = (uint64_t)disk.f_bavail * disk.f_frsize < STORE_DISK_RESERVE;
    if (is_low != store->writer.is_disk_low)
        log_warn(is_low ? "the store's disk is nearly full: new events are refused"
                        : "the store's disk has room again");
    store->writer.is_disk_low = is_low;
}

static void check_readers(struct store *store)
{
    MDB_envinfo info;
    if (mdb_env_info(store->env, &info) != 0 ||
        info.me_last_pgno < store->writer.pages_at_check + GROWN_PAGES)
        return;
    store->writer.pages_at_check = info.me_last_pgno;
    (void)free_dead_readers(store);
}

static void publish_fullness(struct store *store)
{
    bool is_full = store->writer.is_disk_low || store->committed.used_bytes >= store->quota_bytes;
    pthread_mutex_lock(&store->stats_lock);
    bool was_full = store->is_full;
    store->is_full = is_full;
    pthread_mutex_unlock(&store->stats_lock);
    if (is_full != was_full)
        log_warn(is_full ? "the store is full: new events are refused until history is pruned or "
                           "runs end"
                         : "the store takes new events again");
}

/* Between batches. Returns whether an age pass is under way. */
static bool housekeep(struct store *store, struct batch *batch, bool is_ageing)
{
    struct writer *writer = &store->writer;
    int64_t now = store_real_ms();
    if (now >= writer->disk_at_ms) {
        writer->disk_at_ms = now + DISK_CHECK_MS;
        check_disk(store);
    }
    if (now >= writer->timer_at_ms) {
        writer->timer_at_ms = now + STORE_TIMER_MS;
        writer->pages_at_check = 0;
        writer->is_prune_failing = false;
        is_ageing = true;
    }
    check_readers(store);
    publish_fullness(store);
    if (is_ageing && !atomic_load(&store->has_failed))
        is_ageing = prune_alone(store, batch, true);
    return is_ageing;
}

static void *writer_main(void *arg)
{
    struct store *store = arg;
    struct batch *batch = xcalloc(1, sizeof(*batch));
    bool is_ageing = false, has_more = false;
    for (;;) {
        if (atomic_load(&store->is_closing))
            is_ageing = has_more = false;
        bool is_busy = store->writer.first || is_ageing || has_more;
        if (!is_busy && !wait_for_work(store, store->writer.timer_at_ms))
            break;
        fill_batch(store, batch);
        bool had_work = batch->count > 0;
        if (had_work)
            process(store, batch);
        is_ageing = housekeep(store, batch, is_ageing);
        /* With work coming in, its own transactions prune. */
        has_more = !had_work && !atomic_load(&store->has_failed) &&
                   history_is_due(store, &store->committed) && prune_alone(store, batch, false);
        if (had_work && history_is_due(store, &store->committed))
            has_more = !store->writer.is_prune_failing;
    }
    free(batch);
    return NULL;
}

int writer_start(struct store *store, struct err *err)
{
    struct writer *writer = &store->writer;
    writer->last = &writer->first;
    writer->timer_at_ms = store_real_ms();
    random_bytes(writer->dedupe_key, sizeof(writer->dedupe_key));
    int rc = pthread_create(&store->thread, NULL, writer_main, store);
    if (rc)
        return err_set(err, RN_ENOMEM, "the store's thread cannot be started: %s", strerror(rc));
    store->has_thread = true;
    return 0;
}

void writer_stop(struct store *store)
{
    if (!store->has_thread)
        return;
    pthread_mutex_lock(&store->lock);
    atomic_store(&store->is_closing, true);
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    store->has_thread = false;
    forget_memory(store);
    free(store->writer.sets);
    store->writer.sets = NULL;
}
