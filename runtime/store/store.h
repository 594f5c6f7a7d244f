/* The store: one LMDB environment, one writer thread with group commit, many readers.
 *
 * Writing: a caller submits an operation; the writer applies whatever waits (up to
 * LIMIT_STORE_BATCH) in one LMDB transaction, commits it with fsync, and then tells each operation.
 * Nothing is acknowledged before that. An operation is all or nothing on its own: its apply()
 * either returns 0, or returns an error *before it wrote anything*; where LMDB itself fails in the
 * middle (map full, disk full) the batch is undone and each operation is tried again alone. So
 * apply() may run more than once and must not have effects outside the transaction until done() is
 * called. Reading: a view is a snapshot (MDB_NOTLS, so any thread may use it, one at a time); keep
 * it short. An I/O error at commit makes the store refuse everything (RN_EIO) until the process
 * starts again: pages may be marked clean after a failed fsync.
 *
 * Bytes: the quota counts what records occupy in the file (keys, values and indexes of every kind;
 * a value over half a page takes whole pages). At the quota operations marked is_new_work are
 * refused with RN_ENOSPACE; others go on (the map is larger than the quota). History (ended runs,
 * their steps, and events that no queued or live run needs) is pruned oldest first, by bytes and
 * age, in small transactions.
 *
 * Ids: 64 bits, growing, assigned by the writer (base/ids.h): events, runs. Fault points:
 * store.apply (before the batch is applied), store.commit (before the commit), store.committed
 * (after it, before any done()).
 */
#ifndef RUNNEL_STORE_STORE_H
#define RUNNEL_STORE_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

struct store;
struct store_tx;   /* a write transaction; only inside apply() */
struct store_view; /* a read snapshot */

/* 2: the raw body of an event may be a part of its text. A store of an earlier version is taken,
 * and is of this one from the next commit on. */
#define STORE_SCHEMA_VERSION 2

struct store_options {
    uint64_t quota_bytes;   /* 0: LIMIT_STORE_BYTES */
    uint64_t history_bytes; /* 0: LIMIT_HISTORY_BYTES */
    int64_t history_age_ms; /* 0: LIMIT_HISTORY_AGE_MS */
    /* for looking into a store that a runtime has open; no lock, no writer */
    bool is_read_only;
    /* On the writer thread around the done()s of a batch: before the first (`begins`) and after the
     * last, so that a thread that several of them concern is woken once. NULL: nobody is asked. */
    void (*telling)(void *ctx, bool begins);
    void *telling_ctx;
};

/* Opens <dir>/store (made if missing, mode 0700). One process at a time: RN_EEXISTS with the pid of
 * the other runtime. RN_EPROTOCOL: not a runnel store, damaged, or of a newer schema; the text says
 * which and what to do. Checks for dead readers at open and on a timer. */
int store_open(const char *dir, const struct store_options *options, struct store **ret,
               struct err *err) MUST_USE;
/* The pid of the process that has the store of this folder open for writing; 0: nobody has. */
int64_t store_holder(const char *dir);
/* Commits what was submitted, stops the writer, closes. NULL is fine. */
void store_close(struct store *store);

struct store_op {
    /* On the writer thread. 0, or an error with nothing written. */
    int (*apply)(struct store_tx *tx, void *ctx, struct err *err);
    /* On the writer thread, after the commit (code 0) or the failure; must not block. It may free
     * the op. */
    void (*done)(void *ctx, int code, const struct err *err);
    void *ctx;
    /* refused at the quota and when LIMIT_STORE_PENDING operations wait (RN_EUNAVAILABLE, from
     * store_submit itself) */
    bool is_new_work;
    struct store_op *next; /* the store's */
};

/* Queues an operation; `op` lives until done(). If it returns an error, done() is not called:
 * RN_EUNAVAILABLE (see is_new_work), RN_EIO (has_failed), RN_EPERM (read only). [any thread, also
 * inside done()] */
int store_submit(struct store *store, struct store_op *op) MUST_USE;
/* The same, waiting for the commit. Not on the writer thread. */
int store_run(struct store *store, int (*apply)(struct store_tx *, void *, struct err *), void *ctx,
              bool is_new_work, struct err *err) MUST_USE;

int store_view_begin(struct store *store, struct store_view **ret, struct err *err) MUST_USE;
void store_view_end(struct store_view *view); /* NULL is fine */

#define STORE_COMMIT_BUCKETS 10
extern const uint64_t store_commit_bounds_us[STORE_COMMIT_BUCKETS - 1];

struct store_stats {
    uint64_t used_bytes, quota_bytes, file_bytes;
    uint64_t events, runs, queued, live;
    uint64_t commits, operations; /* since start: operations / commits is the batch size */
    uint64_t commit_us;           /* spent in commits since start */
    uint32_t pending;             /* operations that wait now */
    bool is_full;                 /* new work is being refused */
    bool has_failed;              /* an I/O error: nothing is written any more */
    /* commits by how long they took: up to store_commit_bounds_us[i]; the last: longer */
    uint64_t commit_buckets[STORE_COMMIT_BUCKETS];
};
void store_get_stats(struct store *store, struct store_stats *ret);

/* Calls fn after each commit that changed something, on the writer thread: it must not block. Once,
 * for good; what was committed before may go untold. */
typedef void (*store_watch_fn)(void *ctx);
void store_watch(struct store *store, store_watch_fn fn, void *ctx);

/* In what follows: views returned by reads point into the map and are valid until the view ends (in
 * a tx: until its next write). Functions that take a `reader` get either: STORE_VIEW(view) or
 * STORE_TX(tx). */
struct store_reader {
    struct store_view *view;
    struct store_tx *tx;
};
#define STORE_VIEW(view_) ((struct store_reader){.view = (view_), .tx = NULL})
#define STORE_TX(tx_) ((struct store_reader){.view = NULL, .tx = (tx_)})

/* ---- kv.c: small records by space and key: source instances, dbs, accounts, workflow versions. A
 * space has at most 500 bytes, a key at most 507 (so that any of up to LIMIT_DB_KEY fits); longer:
 * RN_ETOOBIG. */
int kv_put(struct store_tx *tx, const char *space, struct str key, struct str value,
           struct err *err) MUST_USE;
/* absent is fine */
int kv_delete(struct store_tx *tx, const char *space, struct str key, struct err *err) MUST_USE;
int kv_delete_space(struct store_tx *tx, const char *space, struct err *err) MUST_USE;
/* RN_ENOTFOUND */
int kv_get(struct store_reader reader, const char *space, struct str key, struct str *ret) MUST_USE;
/* In the keys' order; a non-zero return of `each` ends it and is returned. */
int kv_each(struct store_reader reader, const char *space,
            int (*each)(void *ctx, struct str key, struct str value), void *ctx);

/* The same from `from` on. */
int kv_each_from(struct store_reader reader, const char *space, struct str from,
                 int (*each)(void *ctx, struct str key, struct str value), void *ctx);

/* ---- events.c */
struct event_record {
    uint64_t id;
    int64_t ts;          /* ms: the emit's */
    int64_t received_ms; /* when it was accepted */
    /* source instance id, or "workflows/<id>/<namespace>" of a native trigger, "manual" */
    struct str emitter;
    struct str emit_id; /* what dedupe went by; empty if none */
    struct str name;    /* channel; empty: default */
    struct str summary;
    struct str event; /* JSON text: what steps.trigger.event will be */
    /* the HTTP request's raw body; may be empty. A view into `event` takes no room of its own */
    struct str raw;
};
/* Assigns record->id. */
int event_put(struct store_tx *tx, struct event_record *record, struct err *err) MUST_USE;
/* RN_ENOTFOUND */
int event_get(struct store_reader reader, uint64_t id, struct event_record *ret) MUST_USE;
/* Newest first, from before `before` (0: the newest); `emitter` empty: all. Ends after `limit`
 * matches or when `each` returns non-zero. */
int event_each(struct store_reader reader, struct str emitter, uint64_t before, size_t limit,
               int (*each)(void *ctx, const struct event_record *record), void *ctx);
/* Oldest first, behind `after`. */
int event_each_after(struct store_reader reader, uint64_t after, size_t limit,
                     int (*each)(void *ctx, const struct event_record *record), void *ctx);
/* RN_EEXISTS while a queued or live run needs it. */
int event_delete(struct store_tx *tx, uint64_t id, struct err *err) MUST_USE;

/* Dedupe, per emitter. *ret_is_new says whether the event is to be emitted, and if so it is
 * remembered. */
int dedupe_unique(struct store_tx *tx, struct str emitter, struct str emit_id, uint32_t remember,
                  bool *ret_is_new,
                  struct err *err) MUST_USE; /* the last `remember` ids, first in first out */
/* decimal text, compared exactly */
int dedupe_greatest(struct store_tx *tx, struct str emitter, struct str number, bool *ret_is_new,
                    struct err *err) MUST_USE;
/* `last`: the one id remembered; empty if none. */
int dedupe_last_get(struct store_tx *tx, struct str emitter, struct buf *ret_id,
                    struct err *err) MUST_USE;
int dedupe_last_set(struct store_tx *tx, struct str emitter, struct str emit_id,
                    struct err *err) MUST_USE;
int dedupe_forget(struct store_tx *tx, struct str emitter, struct err *err) MUST_USE;

/* ---- queue.c: events that wait for a workflow, in the order of arrival. An entry is a run that
 * has not begun: it has its run id already. */
struct queue_entry {
    uint64_t run_id;
    uint64_t event_id;
    struct str workflow; /* the workflow's id */
    struct str detail;   /* JSON text of the engine: {"trigger":…, "replay":…} */
};
/* Assigns entry->run_id. RN_ENOTFOUND: the event has been pruned. */
int queue_push(struct store_tx *tx, struct queue_entry *entry, struct err *err) MUST_USE;
/* Takes it out of the queue, to become a run with the same id (run_put follows in the same
 * transaction), or for good (then run_forget follows). RN_ENOTFOUND. */
int queue_remove(struct store_tx *tx, struct str workflow, uint64_t run_id,
                 struct err *err) MUST_USE;
int queue_get(struct store_reader reader, struct str workflow, uint64_t run_id,
              struct queue_entry *ret) MUST_USE;
/* Oldest first, behind `after` (0: from the start). */
int queue_each(struct store_reader reader, struct str workflow, uint64_t after, size_t limit,
               int (*each)(void *ctx, const struct queue_entry *entry), void *ctx);
/* Newest first, from before `before` (0: the newest). */
int queue_each_newest(struct store_reader reader, struct str workflow, uint64_t before,
                      size_t limit, int (*each)(void *ctx, const struct queue_entry *entry),
                      void *ctx);
uint64_t queue_count(struct store_reader reader, struct str workflow); /* empty: of all workflows */
/* Every workflow that has entries. */
int queue_workflows(struct store_reader reader, int (*each)(void *ctx, struct str workflow),
                    void *ctx);

/* ---- runs.c */
enum run_phase { RUN_LIVE = 0, RUN_ENDED = 1 };

struct run_record {
    uint64_t id;
    uint64_t event_id;
    enum run_phase phase;
    struct str workflow; /* id */
    /* the engine's word: "running", "waiting", "succeeded", "failed", "cancelled" … */
    struct str status;
    struct str detail; /* JSON text of the engine: version, times, error, position */
};
/* Makes or replaces the run, which keeps its event and its workflow (RN_EINVAL). Going to RUN_ENDED
 * frees its event for pruning, and the run itself. The texts may be those that run_get() gave in
 * the same transaction. */
int run_put(struct store_tx *tx, const struct run_record *record, struct err *err) MUST_USE;
/* RN_ENOTFOUND */
int run_get(struct store_reader reader, uint64_t id, struct run_record *ret) MUST_USE;
/* Removes an ended run with its steps. RN_ENOTFOUND; RN_EEXISTS: it has not ended. */
int run_delete(struct store_tx *tx, uint64_t id, struct err *err) MUST_USE;
/* A run id for a run that does not come from the queue. */
uint64_t run_new_id(struct store_tx *tx);
/* Frees the event of a queue entry that will never be a run. */
int run_forget(struct store_tx *tx, uint64_t event_id, uint64_t run_id, struct err *err) MUST_USE;
/* Newest first, from before `before` (0: newest). `workflow`, `status` empty: all. By index where
 * `workflow` is given. */
int run_each(struct store_reader reader, struct str workflow, struct str status, uint64_t before,
             size_t limit, int (*each)(void *ctx, const struct run_record *record), void *ctx);
/* Every run that has not ended, oldest first: for recovery. */
int run_each_live(struct store_reader reader,
                  int (*each)(void *ctx, const struct run_record *record), void *ctx);

/* Attempts of steps: what was begun and how it ended. `position` orders the steps of a run (loops
 * and branches: the engine's numbers). */
struct step_record {
    uint64_t run_id;
    uint32_t position;
    uint32_t attempt;  /* from 1 */
    struct str intent; /* JSON text, written before the call */
    struct str result; /* JSON text, written after it; empty: the outcome is not known (yet) */
    struct str sends;  /* JSON text: what it sends when the run has ended; empty: nothing */
};
int step_put_intent(struct store_tx *tx, const struct step_record *record,
                    struct err *err) MUST_USE;
int step_put_result(struct store_tx *tx, const struct step_record *record,
                    struct err *err) MUST_USE;
int step_put_sends(struct store_tx *tx, const struct step_record *record, struct err *err) MUST_USE;
/* What came of one of an attempt's sends, by its place in the list: JSON text, replaces the one
 * before. A record of its own, so that the list, which may be long, is written once. */
int step_put_outcome(struct store_tx *tx, const struct step_record *record, uint32_t index,
                     struct str text, struct err *err) MUST_USE;
/* Those of a run, by position, attempt and index. */
int step_each_outcome(struct store_reader reader, uint64_t run_id,
                      int (*each)(void *ctx, const struct step_record *record, uint32_t index,
                                  struct str text),
                      void *ctx);
/* All attempts of a run, by position and attempt. */
int step_each(struct store_reader reader, uint64_t run_id,
              int (*each)(void *ctx, const struct step_record *record), void *ctx);

/* One attempt; RN_ENOTFOUND without an intent and a result. */
int step_get(struct store_reader reader, uint64_t run_id, uint32_t position, uint32_t attempt,
             struct step_record *ret) MUST_USE;

/* ---- changes.c: what has changed, in the order of the commits; the newest LIMIT_CHANGES. Events
 * and queue entries are not among them: their ids say what is new. */
enum change_kind { CHANGE_RUN = 1, CHANGE_LOG };

struct change {
    uint64_t sequence;
    enum change_kind kind;
    uint64_t run_id;            /* CHANGE_RUN */
    uint32_t position, attempt; /* the step whose result is new; attempt 0: none */
    struct str key;             /* CHANGE_LOG: what change_note_log() was given */
};
/* run_put() and the step_put_…() but that of the intent note their changes themselves. */
int change_note_log(struct store_tx *tx, struct str key, struct err *err) MUST_USE;
/* Oldest first, behind `after`. */
int change_each(struct store_reader reader, uint64_t after, size_t limit,
                int (*each)(void *ctx, const struct change *change), void *ctx);

/* How far the store has come. */
struct store_marks {
    uint64_t change, first_change; /* the newest; the oldest that is still there (0: none) */
    uint64_t event, run;           /* the newest ids given out */
};
int store_get_marks(struct store_reader reader, struct store_marks *ret) MUST_USE;

/* ---- history.c: pruning runs by itself; this asks for it now (tests, `runnel doctor`). Returns
 * when nothing more is to be pruned. */
int store_prune(struct store *store, struct err *err) MUST_USE;

#endif
