/* Data stores: named, project-wide records by key, each with a time to live if it has one. A record
 * whose time is over is not there for anybody; data_sweep() removes it. All verbs of one operation
 * are one transaction, so that an increment and a compare-and-set are atomic. In the kv:
 *   "data/<store>"  key → expires_ms (8 bytes, 0: never), JSON text; "data/<store>/<place>" if the
 *                   store has moved to another place
 *   "data-stores"   store → count of records (8), their bytes (8): keys and values, with those that
 *                   are over and not swept; its place (8)
 *   "data-expiry"   expires_ms (8) store NUL key → nothing: the order of the sweep
 *   "data-dropped"  <store>[/<place>] → nothing: a place that a cleared store has left, not empty */
#ifndef RUNNEL_STORE_DATA_STORE_H
#define RUNNEL_STORE_DATA_STORE_H

#include "store/store.h"

enum data_verb {
    DATA_GET,
    DATA_HAS,
    DATA_KEYS,
    DATA_ITEMS,
    DATA_SET, /* the first that writes */
    DATA_SET_TTL,
    DATA_DELETE,
    DATA_CLEAR,
    DATA_INCREMENT,
    DATA_COMPARE_AND_SET,
};

struct data_request {
    enum data_verb verb;
    struct str store;
    struct str key;      /* keys, items: what comes behind it; empty: from the start */
    struct str value;    /* JSON text; ptr NULL (compare_and_set): delete */
    struct str prefix;   /* keys, items: only those that begin with it */
    struct str expected; /* JSON text; ptr NULL: the record is not there */
    int64_t ttl_ms; /* set, set_ttl: 0: for ever. -1 (set, increment, compare_and_set): as it was */
    int64_t by;     /* increment */
    size_t limit;   /* keys, items: at most LIMIT_DATA_PAGE */
    int64_t now_ms;
};

struct data_result {
    bool is_found;   /* get, has, set_ttl, delete, compare_and_set: the record is, or was, there */
    bool is_swapped; /* compare_and_set */
    bool has_more;   /* keys, items */
    int64_t number;  /* increment: the new value; clear: how many */
    int64_t expires_ms; /* get; 0: never */
    struct buf
        text; /* JSON text: of get the value, of compare_and_set the one that is there now (if
                           any); of keys [key, …], of items [[key, value], …] */
};

#define DATA_RESULT_INIT                                                                           \
    {                                                                                              \
        .text = BUF_INIT(LIMIT_FRAME_BYTES)                                                        \
    }

/* RN_EINVAL, RN_ETOOBIG: the name, the key or the value. */
int data_check(const struct data_request *request, struct err *err) MUST_USE;
/* A checked request; what does not write. */
int data_read(struct store_reader reader, const struct data_request *request,
              struct data_result *ret, struct err *err) MUST_USE;
/* A checked request that writes. RN_ETOOBIG: over a limit of the store; RN_EINVAL: an increment of
 * what is no integer. The result is the last one's if it runs again. */
int data_write(struct store_tx *tx, const struct data_request *request, struct data_result *ret,
               struct err *err) MUST_USE;
/* Removes up to `budget` records whose time is over; *ret_has_more (may be NULL): there are others. */
int data_sweep(struct store_tx *tx, int64_t now_ms, size_t budget, bool *ret_has_more,
               struct err *err) MUST_USE;
/* Removes up to `budget` records of stores that were cleared. */
int data_drain(struct store_tx *tx, size_t budget, bool *ret_has_more, struct err *err) MUST_USE;
/* Whether there is anything for the two. */
bool data_has_old(struct store_reader reader, int64_t now_ms);
/* Every store that holds something. */
int data_each(struct store_reader reader,
              int (*each)(void *ctx, struct str store, uint64_t count, uint64_t bytes), void *ctx);

#endif
