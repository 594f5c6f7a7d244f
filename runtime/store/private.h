/* What the files of the store share. Nobody else includes this: LMDB ends here.
 *
 * Tables and their keys (numbers big-endian, so that they sort and grow at the end):
 *   meta      "store" → struct store_meta; 'q' workflow:4 → entries queued:8
 *   names     'n' text → number:4; 'i' number:4 → text     emitters, workflows and spaces by a
 * short number kv        space:4 key → value events    event:8 → record emitters  emitter:4 event:8
 * → nothing dedupe    emitter:4 'u' sequence:8 → id; emitter:4 'g' → number; emitter:4 'l' → id
 *   queue     workflow:4 run:8 → record
 *   live      event:8 run:8 → phase                        an event is needed while it has an entry
 *   runs      run:8 → record                               workflows workflow:4 run:8 → nothing
 *   steps     run:8 position:4 attempt:4 kind:1 → JSON     kind 0: intent, 1: result, 2: sends
 *             … kind 3, index:4 → JSON                   what came of a send
 *   changes   sequence:8 → kind:1 …                        see changes.c
 *
 * Counters live in struct store_meta, which each transaction writes with what it counts: they are
 * exact after a crash.
 */
#ifndef RUNNEL_STORE_PRIVATE_H
#define RUNNEL_STORE_PRIVATE_H

#include "store/store.h"

#include "base/map.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

enum table {
    TABLE_META,
    TABLE_NAMES,
    TABLE_KV,
    TABLE_EVENTS,
    TABLE_EMITTERS,
    TABLE_DEDUPE,
    TABLE_QUEUE,
    TABLE_LIVE,
    TABLE_RUNS,
    TABLE_WORKFLOWS,
    TABLE_STEPS,
    TABLE_CHANGES,
    TABLE_COUNT
};

#define STORE_MAGIC "runnel\0\0"
#define STORE_KEY_MAX 511          /* LMDB's */
#define STORE_NAME_MAX 500         /* an emitter, a workflow's id, a space */
#define STORE_READERS 512          /* open views, all processes together */
#define STORE_VIEWS_KEPT 16        /* views that keep their reader slot for the next caller */
#define STORE_TX_BYTES MIB(16)     /* a transaction is committed when it has written this much */
#define STORE_TIMER_MS 60000       /* dead readers, age of history */
#define STORE_DISK_RESERVE MIB(32) /* free space on the disk below which new work is refused */
/* records looked at in one transaction, beside what the batch adds */
#define STORE_PRUNE_BUDGET 256

struct store_meta {
    char magic[8];
    uint32_t schema;
    uint32_t last_name;
    uint64_t last_event_id, last_run_id;
    uint64_t used_bytes;    /* what the records of all tables but meta and changes occupy */
    uint64_t history_bytes; /* of them: what may be pruned */
    uint64_t events, runs, queued, live;
    uint64_t first_change, last_change; /* 0: none yet */
};

struct dedupe_set; /* dedupe.c */

/* Only the writer thread looks at what is in here. */
struct writer {
    struct map names;         /* text → number; dropped when a transaction is undone */
    struct dedupe_set **sets; /* by the emitter's number */
    size_t set_count;
    size_t set_bytes;
    uint64_t dedupe_key[2];
    uint64_t tick;
    struct buf scratch; /* for values that may point into the page that they will be written to */
    uint64_t prune_event, prune_run; /* nothing older is to be pruned but what became so since */
    struct store_op *first, **last;  /* taken from the submitters, oldest first */
    int64_t timer_at_ms,
        disk_at_ms; /* on the real monotonic clock: a test's clock may stand still */
    size_t pages_at_check;
    bool is_prune_failing;
    bool is_disk_low;
};

struct store_view {
    struct store *store;
    MDB_txn *txn;
    struct store_view *next;
};

struct store {
    MDB_env *env;
    MDB_dbi tables[TABLE_COUNT];
    int lock_fd;
    int data_fd; /* LMDB's */
    bool is_read_only;
    uint64_t quota_bytes, history_bytes;
    int64_t history_age_ms;
    void (*telling)(void *ctx, bool begins); /* store_options; NULL: none */
    void *telling_ctx;
    size_t page_bytes;

    struct writer writer;
    pthread_t thread;
    bool has_thread;

    _Atomic(struct store_op *) submitted; /* newest first */
    atomic_uint pending;
    atomic_bool has_failed;
    atomic_bool is_sleeping; /* the writer waits for `wake`; set under `lock` */
    atomic_bool is_closing;  /* set under `lock` */
    pthread_mutex_t lock;
    pthread_cond_t wake;

    pthread_mutex_t view_lock; /* guards the views that are kept */
    struct store_view *views;
    size_t view_count;

    pthread_mutex_t stats_lock; /* guards `committed` and `is_full` */
    struct store_meta committed;
    bool is_full;
    atomic_ullong commits, operations, commit_us;
    atomic_ullong commit_buckets[STORE_COMMIT_BUCKETS];
    _Atomic(store_watch_fn) watch; /* see store_watch() */
    void *watch_ctx;
};

struct store_tx {
    struct store *store;
    MDB_txn *txn;
    struct store_meta meta;
    MDB_cursor
        *cursors[TABLE_COUNT]; /* opened when first needed; LMDB frees them with the transaction */
    int failed_code;           /* the first failure of LMDB: the transaction is to be undone */
    struct err failed_err;
    uint64_t writes;
    uint64_t written_bytes;
    bool has_new_names;
    /* The event of the last event_put() and whether a run needs it: spares the queue a look. */
    uint64_t fresh_event, fresh_bytes;
    bool is_fresh_needed;
    uint64_t noted_run; /* whose change is the newest one */
};

/* env.c */
/* Translates an LMDB (or errno) code. */
int store_error(int rc, struct err *err, const char *what);
int64_t store_real_ms(void);
/* Sets what a new process must know; writes the first meta record of a new store. */
int store_put_meta(struct store_tx *tx, struct err *err) MUST_USE;

/* writer.c */
int writer_start(struct store *store, struct err *err) MUST_USE;
void writer_stop(struct store *store);

/* table.c: reads give 0, RN_ENOTFOUND or another error; the value is LMDB's memory. */
MDB_txn *reader_txn(struct store_reader reader);
struct store *reader_store(struct store_reader reader);
int table_get(struct store_reader reader, enum table table, struct str key,
              struct str *ret) MUST_USE;

enum put_mode {
    PUT_APPEND,  /* behind every key that there is */
    PUT_NEW,     /* the key is not there */
    PUT_REPLACE, /* it may be */
};
/* Room for `size` bytes in the map, to be filled by the caller before anything else is written. */
int table_reserve(struct store_tx *tx, enum table table, struct str key, size_t size,
                  enum put_mode mode, unsigned char **ret, struct err *err) MUST_USE;
int table_put(struct store_tx *tx, enum table table, struct str key, struct str value,
              enum put_mode mode, struct err *err) MUST_USE;
/* RN_ENOTFOUND without a text if it is not there. */
int table_delete(struct store_tx *tx, enum table table, struct str key, struct err *err) MUST_USE;
/* What a record occupies: node and value, whole pages where the value has its own. */
uint64_t table_footprint(size_t key_size, size_t value_size);
/* Notes that LMDB failed in the transaction, which will be undone. */
int table_failed(struct store_tx *tx, int rc, struct err *err, const char *what);
/* The transaction's own cursor, for functions that call nobody while they use it. */
int table_cursor(struct store_tx *tx, enum table table, MDB_cursor **ret, struct err *err) MUST_USE;

/* A walk over the keys that start with `prefix`. The key must be compared by the caller no more. */
struct table_walk {
    MDB_cursor *cursor;
    struct str prefix;
    bool is_backward;
    bool has_begun;
    unsigned char start[STORE_KEY_MAX];
    size_t start_size;
};
/* Forward from the first key ≥ `from`, or backward from the last key < `from`; `prefix` must live
 * as long as the walk. */
int table_walk_init(struct table_walk *walk, struct store_reader reader, enum table table,
                    struct str prefix, struct str from, bool is_backward) MUST_USE;
/* Backward from before id `before` (0: from the newest): all of `all`, or those of a name in
 * `named`, whose keys are the name's number, kept in `prefix`, and the id. RN_ENOTFOUND: no such
 * name. */
int table_walk_init_newest(struct table_walk *walk, struct store_reader reader, enum table all,
                           enum table named, struct str name, unsigned char prefix[4],
                           uint64_t before) MUST_USE;
int table_walk_next(struct table_walk *walk, struct str *ret_key, struct str *ret_value) MUST_USE;
void table_walk_release(struct table_walk *walk);

/* The number of a name; names are never removed. */
int name_find(struct store_reader reader, struct str name, uint32_t *ret) MUST_USE;
int name_make(struct store_tx *tx, struct str name, uint32_t *ret, struct err *err) MUST_USE;
int name_text(struct store_reader reader, uint32_t number, struct str *ret) MUST_USE;

/* dedupe.c */
/* Forgets what is in memory, which may come from a transaction that was undone. */
void dedupe_drop(struct writer *writer);

/* events.c */
uint64_t event_footprint(size_t value_size);
/* Adds or removes a run's need of the event, moving the event out of or into history. */
int live_add(struct store_tx *tx, uint64_t event_id, uint64_t run_id, enum run_phase phase,
             bool is_queued, struct err *err) MUST_USE;
int live_remove(struct store_tx *tx, uint64_t event_id, uint64_t run_id, struct err *err) MUST_USE;
int event_is_needed(struct store_tx *tx, uint64_t event_id, bool *ret, struct err *err) MUST_USE;

/* runs.c */
/* The event and phase in a run's record. */
int run_peek(struct str value, uint64_t *ret_event, enum run_phase *ret_phase) MUST_USE;

/* changes.c */
/* `attempt` 0: no step's result is new. */
int change_note_run(struct store_tx *tx, uint64_t run_id, uint32_t position, uint32_t attempt,
                    struct err *err) MUST_USE;

/* history.c */
/* Whether there is history that bytes or the quota want gone. */
bool history_is_due(const struct store *store, const struct store_meta *meta);
/* Removes history, looking at up to `budget` records; *ret_more: there may be more to remove. */
int history_prune(struct store_tx *tx, size_t budget, bool by_age, bool *ret_more,
                  struct err *err) MUST_USE;

/* Numbers in keys and records. */
static inline void put_u32(unsigned char *out, uint32_t n)
{
    n = __builtin_bswap32(n);
    memcpy(out, &n, 4);
}

static inline void put_u64(unsigned char *out, uint64_t n)
{
    n = __builtin_bswap64(n);
    memcpy(out, &n, 8);
}

static inline uint32_t get_u32(const void *from)
{
    uint32_t n;
    memcpy(&n, from, 4);
    return __builtin_bswap32(n);
}

static inline uint64_t get_u64(const void *from)
{
    uint64_t n;
    memcpy(&n, from, 8);
    return __builtin_bswap64(n);
}

/* A name's number and an id: the key of queue, emitters and workflows. */
#define KEY_NAMED 12
static inline struct str key_named(unsigned char out[KEY_NAMED], uint32_t name, uint64_t id)
{
    put_u32(out, name);
    put_u64(out + 4, id);
    return str_n(out, KEY_NAMED);
}

#define KEY_ID 8
static inline struct str key_id(unsigned char out[KEY_ID], uint64_t id)
{
    put_u64(out, id);
    return str_n(out, KEY_ID);
}

#endif
