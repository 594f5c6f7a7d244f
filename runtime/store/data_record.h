/* Records of data stores as they lie in the kv, for data_store.c (what one asks of them) and
 * data_sweep.c (what becomes of old ones). Private to the room. */
#ifndef RUNNEL_STORE_DATA_RECORD_H
#define RUNNEL_STORE_DATA_RECORD_H

#include "store/private.h"

#define DATA_SPACE_STORES "data-stores"
#define DATA_SPACE_EXPIRY "data-expiry"
#define DATA_SPACE_DROPPED "data-dropped"
#define DATA_HEAD 8 /* of a record: when it expires */

enum { DATA_PLACES = 16 };

/* What a store holds, with what is over and not swept; and which of its spaces holds it. One that
 * holds nothing is none, and has a record only as long as it is not at its first place. */
struct data_totals {
    bool is_new;
    uint64_t count, bytes, place;
};
int data_totals_get(struct store_reader reader, struct str store, struct data_totals *ret) MUST_USE;
int data_totals_put(struct store_tx *tx, struct str store, const struct data_totals *totals,
                    struct err *err) MUST_USE;

struct data_space {
    char name[16 + LIMIT_DATA_NAME];
};
struct data_space data_space_of(struct str store, uint64_t place);

struct data_record {
    bool is_stored; /* something lies there */
    bool is_there;  /* and its time is not over */
    int64_t expires_ms;
    struct str value; /* a view */
};
/* False: the bytes are no record. */
bool data_record_parse(struct str raw, int64_t now_ms, struct data_record *ret);
int data_record_get(struct store_reader reader, struct str store, struct str key, int64_t now_ms,
                    struct data_record *ret) MUST_USE;
/* Writes over `old`, which is what lies there; `value` may be a view of it. `totals` are the new
 * ones.
 */
int data_record_put(struct store_tx *tx, struct str store, struct str key, struct str value,
                    int64_t expires_ms, const struct data_record *old,
                    const struct data_totals *totals, struct err *err) MUST_USE;
int data_record_remove(struct store_tx *tx, struct str store, struct str key,
                       const struct data_record *record, struct err *err) MUST_USE;

/* A key of the index of times. */
struct data_expiry {
    unsigned char bytes[8 + LIMIT_DATA_NAME + 1 + LIMIT_DB_KEY];
    size_t size;
};
struct str data_expiry_key(struct data_expiry *out, int64_t expires_ms, struct str store,
                           struct str key);

/* ---- data_sweep.c */

/* Empties the store: at once where that is little work, else its records are left to data_drain()
 * and those that come go elsewhere. */
int data_empty(struct store_tx *tx, struct str store, struct data_totals *totals,
               struct err *err) MUST_USE;

#endif
