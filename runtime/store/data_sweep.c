/* What becomes of old records: those whose time is over are swept, those of a store that was
 * cleared are drained. Both in pieces, so that the commits of others do not wait for 100,000
 * deletions (0.1 to 0.3 s in one transaction).
 *
 * A store that is cleared reads as empty at once: its records lie in one of DATA_PLACES spaces, and
 * the clearing names another one. The old space's name goes into "data-dropped", and data_drain()
 * empties it. An entry of the index of times may point to a record that was dropped, while another
 * record of the same key lives: an entry counts only if the live record has its very time. */
#include "store/data_record.h"
#include "store/data_store.h"

enum {
    AT_ONCE_RECORDS = 256, /* a store of so few is emptied where it stands */
    PIECE_BYTES = 2 << 20, /* of records that one piece removes, about */
};

/* ---- the sweep */

struct due {
    int64_t now_ms;
    size_t budget, count;
    bool has_more;
    struct data_expiry *list;
};

static int collect_due(void *ctx, struct str key, struct str value)
{
    struct due *due = ctx;
    (void)value;
    if (key.len < 10 || key.len > sizeof(due->list->bytes) ||
        (int64_t)get_u64(key.ptr) > due->now_ms)
        return 1;
    due->has_more = due->count == due->budget;
    if (due->has_more)
        return 1;
    memcpy(due->list[due->count].bytes, key.ptr, key.len);
    due->list[due->count++].size = key.len;
    return 0;
}

static int sweep_one(struct store_tx *tx, const struct data_expiry *at, struct err *err)
{
    struct str whole = str_n(at->bytes, at->size), rest = str_n(at->bytes + 8, at->size - 8);
    struct str store = STR_NONE;
    struct data_record record;
    int64_t expires = (int64_t)get_u64(at->bytes);
    if (!str_cut(&rest, '\0', &store))
        return kv_delete(tx, DATA_SPACE_EXPIRY, whole, err);
    int rc = data_record_get(STORE_TX(tx), store, rest, expires, &record);
    if (rc)
        return err_set(err, rc, "the data store cannot be read");
    if (record.is_stored && record.expires_ms == expires)
        return data_record_remove(tx, store, rest, &record, err);
    return kv_delete(tx, DATA_SPACE_EXPIRY, whole, err);
}

int data_sweep(struct store_tx *tx, int64_t now_ms, size_t budget, bool *ret_has_more,
               struct err *err)
{
    struct due due = {.now_ms = now_ms, .budget = budget};
    due.list = xcalloc(budget, sizeof(*due.list));
    int rc = kv_each(STORE_TX(tx), DATA_SPACE_EXPIRY, collect_due, &due);
    rc = rc < 0 ? err_set(err, rc, "the data stores cannot be read") : 0;
    for (size_t i = 0; i < due.count && !rc; i++)
        rc = sweep_one(tx, &due.list[i], err);
    free(due.list);
    if (ret_has_more)
        *ret_has_more = due.has_more;
    return rc;
}

/* ---- removing the records of a space */

struct doomed {
    int64_t expires_ms;
    size_t size;
    char key[LIMIT_DB_KEY];
};

struct piece {
    size_t budget, count, bytes;
    bool has_more;
    struct doomed *list;
};

static int collect_piece(void *ctx, struct str key, struct str raw)
{
    struct piece *piece = ctx;
    struct data_record record;
    piece->has_more = piece->count == piece->budget || piece->bytes > PIECE_BYTES;
    if (piece->has_more || key.len > LIMIT_DB_KEY)
        return 1;
    (void)data_record_parse(raw, 0, &record);
    struct doomed *doomed = &piece->list[piece->count++];
    doomed->expires_ms = record.expires_ms;
    doomed->size = key.len;
    memcpy(doomed->key, key.ptr, key.len);
    piece->bytes += raw.len;
    return 0;
}

/* Its entry in the index stays if it is the one of a live record. */
static int remove_doomed(struct store_tx *tx, const char *space, struct str store,
                         const struct doomed *doomed, bool is_live, struct err *err)
{
    struct str key = str_n(doomed->key, doomed->size);
    struct data_expiry at;
    struct data_record live = {.is_stored = false};
    int rc = kv_delete(tx, space, key, err);
    if (rc || !doomed->expires_ms)
        return rc;
    if (!is_live && data_record_get(STORE_TX(tx), store, key, 0, &live))
        return err_set(err, RN_EIO, "the data store cannot be read");
    return live.expires_ms == doomed->expires_ms
               ? 0
               : kv_delete(tx, DATA_SPACE_EXPIRY,
                           data_expiry_key(&at, doomed->expires_ms, store, key), err);
}

static int remove_piece(struct store_tx *tx, const char *space, struct str store, size_t budget,
                        bool is_live, bool *ret_has_more, struct err *err)
{
    struct piece piece = {.budget = budget};
    piece.list = xcalloc(budget, sizeof(*piece.list));
    int rc = kv_each(STORE_TX(tx), space, collect_piece, &piece);
    rc = rc < 0 ? err_set(err, rc, "the data store cannot be read") : 0;
    for (size_t i = 0; i < piece.count && !rc; i++)
        rc = remove_doomed(tx, space, store, &piece.list[i], is_live, err);
    free(piece.list);
    *ret_has_more = piece.has_more;
    return rc;
}

/* ---- clearing */

static const char *dropped_key(const struct data_space *space)
{
    return space->name + strlen("data/");
}

/* A space of the store that holds nothing, or its own if there is none. */
static uint64_t free_place(struct store_tx *tx, struct str store, uint64_t now)
{
    struct str raw;
    for (uint64_t i = 1; i < DATA_PLACES; i++) {
        struct data_space space = data_space_of(store, (now + i) % DATA_PLACES);
        if (kv_get(STORE_TX(tx), DATA_SPACE_DROPPED, str_from(dropped_key(&space)), &raw) ==
            RN_ENOTFOUND)
            return (now + i) % DATA_PLACES;
    }
    return now;
}

int data_empty(struct store_tx *tx, struct str store, struct data_totals *totals, struct err *err)
{
    struct data_space space = data_space_of(store, totals->place);
    bool is_little = totals->count <= AT_ONCE_RECORDS && totals->bytes <= PIECE_BYTES;
    uint64_t place = is_little ? totals->place : free_place(tx, store, totals->place);
    bool has_more = place == totals->place;
    int rc = 0;
    while (has_more && !rc)
        rc = remove_piece(tx, space.name, store, LIMIT_DATA_PAGE, true, &has_more, err);
    if (!rc && place != totals->place)
        rc = kv_put(tx, DATA_SPACE_DROPPED, str_from(dropped_key(&space)), STR("1"), err);
    totals->count = totals->bytes = 0;
    totals->place = place;
    return rc ? rc : data_totals_put(tx, store, totals, err);
}

/* A store that holds nothing goes back to its first place where that is empty, and so is forgotten. */
static int go_home(struct store_tx *tx, struct str store, struct err *err)
{
    struct data_totals totals;
    struct str raw;
    struct data_space home = data_space_of(store, 0);
    int rc = data_totals_get(STORE_TX(tx), store, &totals);
    if (rc)
        return err_set(err, rc, "the data store cannot be read");
    if (totals.count || kv_get(STORE_TX(tx), DATA_SPACE_DROPPED, str_from(dropped_key(&home)),
                               &raw) != RN_ENOTFOUND)
        return 0;
    totals = (struct data_totals){.place = 0};
    return data_totals_put(tx, store, &totals, err);
}

struct first {
    char name[16 + LIMIT_DATA_NAME];
    size_t count;
};

static int take_first(void *ctx, struct str key, struct str value)
{
    struct first *first = ctx;
    (void)value;
    if (first->count++ == 0)
        (void)snprintf(first->name, sizeof(first->name), "data/" STR_FMT, STR_ARG(key));
    return first->count > 1;
}

int data_drain(struct store_tx *tx, size_t budget, bool *ret_has_more, struct err *err)
{
    struct first first = {.count = 0};
    bool has_more = false;
    *ret_has_more = false;
    int rc = kv_each(STORE_TX(tx), DATA_SPACE_DROPPED, take_first, &first);
    if (rc < 0)
        return err_set(err, rc, "the data stores cannot be read");
    if (first.count == 0)
        return 0;
    struct str key = str_from(first.name + strlen("data/")), rest = key, store = STR_NONE;
    if (!str_cut(&rest, '/', &store))
        store = key;
    rc = remove_piece(tx, first.name, store, budget, false, &has_more, err);
    if (!rc && !has_more)
        rc = kv_delete(tx, DATA_SPACE_DROPPED, key, err);
    if (!rc && !has_more)
        rc = go_home(tx, store, err);
    *ret_has_more = has_more || first.count > 1;
    return rc;
}

static int note(void *ctx, struct str key, struct str value)
{
    (void)key;
    (void)value;
    *(bool *)ctx = true;
    return 1;
}

bool data_has_old(struct store_reader reader, int64_t now_ms)
{
    struct due due = {.now_ms = now_ms}; /* without room: only whether there is one */
    bool has_dropped = false;
    (void)kv_each(reader, DATA_SPACE_DROPPED, note, &has_dropped);
    (void)kv_each(reader, DATA_SPACE_EXPIRY, collect_due, &due);
    return has_dropped || due.has_more;
}
