/* Records by key: the only place where LMDB's put, get and delete are called, so that bytes are
 * counted in one place and a failure in the middle of a transaction is never overlooked. Values are
 * written in place (MDB_RESERVE): no copy is made. Invariant: meta.used_bytes of a transaction is
 * the sum of table_footprint() over all records but those of meta and of changes, which are
 * bounded. */
#include "store/private.h"

#define PAGE 4096u
/* LMDB's, for pages of 4 KiB: a larger node keeps its value in pages of its own */
#define NODE_MAX 2038u

uint64_t table_footprint(size_t key_size, size_t value_size)
{
    uint64_t node = 8 + 2 + (uint64_t)key_size;
    if (node + value_size <= NODE_MAX)
        return (node + value_size + 1) & ~1ull;
    return ((node + 8 + 1) & ~1ull) + (16 + (uint64_t)value_size + PAGE - 1) / PAGE * PAGE;
}

MDB_txn *reader_txn(struct store_reader reader)
{
    return reader.tx ? reader.tx->txn : reader.view->txn;
}

struct store *reader_store(struct store_reader reader)
{
    return reader.tx ? reader.tx->store : reader.view->store;
}

/* LMDB wants mutable pointers and does not write through them. */
static MDB_val val_of(struct str text)
{
    union {
        const char *in;
        void *out;
    } ptr = {.in = text.ptr ? text.ptr : ""};
    return (MDB_val){.mv_size = text.len, .mv_data = ptr.out};
}

int table_failed(struct store_tx *tx, int rc, struct err *err, const char *what)
{
    if (!tx->failed_code)
        tx->failed_code = store_error(rc, &tx->failed_err, what);
    return store_error(rc, err, what);
}

int table_get(struct store_reader reader, enum table table, struct str key, struct str *ret)
{
    MDB_val k = val_of(key), v;
    int rc = mdb_get(reader_txn(reader), reader_store(reader)->tables[table], &k, &v);
    if (rc == MDB_NOTFOUND)
        return RN_ENOTFOUND;
    if (rc)
        return reader.tx ? table_failed(reader.tx, rc, NULL, "reading")
                         : store_error(rc, NULL, "reading");
    *ret = str_n(v.mv_data, v.mv_size);
    return 0;
}

static bool is_counted(enum table table)
{
    return table != TABLE_META && table != TABLE_CHANGES;
}

int table_reserve(struct store_tx *tx, enum table table, struct str key, size_t size,
                  enum put_mode mode, unsigned char **ret, struct err *err)
{
    static const unsigned flags[] = {
        [PUT_APPEND] = MDB_APPEND | MDB_RESERVE,
        [PUT_NEW] = MDB_NOOVERWRITE | MDB_RESERVE,
        [PUT_REPLACE] = MDB_RESERVE,
    };
    if (key.len == 0 || key.len > STORE_KEY_MAX)
        return err_set(err, RN_ETOOBIG, "a key of %zu bytes is not possible (1 to %d)", key.len,
                       STORE_KEY_MAX);
    if (size > UINT32_MAX)
        return err_set(err, RN_ETOOBIG, "a record of %zu bytes is not possible", size);
    MDB_dbi dbi = tx->store->tables[table];
    MDB_val k = val_of(key), v;
    uint64_t before = 0;
    if (mode == PUT_REPLACE && mdb_get(tx->txn, dbi, &k, &v) == 0)
        before = table_footprint(key.len, v.mv_size);
    v = (MDB_val){.mv_size = size, .mv_data = NULL};
    tx->writes++;
    int rc = mdb_put(tx->txn, dbi, &k, &v, flags[mode]);
    if (rc)
        return table_failed(tx, rc, err, "writing");
    uint64_t after = table_footprint(key.len, size);
    tx->written_bytes += after;
    if (is_counted(table))
        tx->meta.used_bytes += after - before;
    *ret = v.mv_data;
    return 0;
}

int table_put(struct store_tx *tx, enum table table, struct str key, struct str value,
              enum put_mode mode, struct err *err)
{
    unsigned char *room = NULL;
    if (mode == PUT_REPLACE && value.len) {
        struct buf *scratch = &tx->store->writer.scratch;
        buf_clear(scratch);
        buf_add_str(scratch, value);
        value = buf_str(scratch);
    }
    int rc = table_reserve(tx, table, key, value.len, mode, &room, err);
    if (!rc && value.len)
        memcpy(room, value.ptr, value.len);
    return rc;
}

int table_delete(struct store_tx *tx, enum table table, struct str key, struct err *err)
{
    MDB_dbi dbi = tx->store->tables[table];
    MDB_val k = val_of(key), v;
    int rc = mdb_get(tx->txn, dbi, &k, &v);
    if (rc == MDB_NOTFOUND)
        return RN_ENOTFOUND;
    if (rc)
        return table_failed(tx, rc, err, "reading");
    uint64_t before = table_footprint(key.len, v.mv_size);
    tx->writes++;
    rc = mdb_del(tx->txn, dbi, &k, NULL);
    if (rc)
        return table_failed(tx, rc, err, "removing");
    if (is_counted(table))
        tx->meta.used_bytes -= before;
    return 0;
}

int table_cursor(struct store_tx *tx, enum table table, MDB_cursor **ret, struct err *err)
{
    if (!tx->cursors[table]) {
        int rc = mdb_cursor_open(tx->txn, tx->store->tables[table], &tx->cursors[table]);
        if (rc) {
            tx->cursors[table] = NULL;
            return table_failed(tx, rc, err, "reading");
        }
    }
    *ret = tx->cursors[table];
    return 0;
}

int table_walk_init(struct table_walk *walk, struct store_reader reader, enum table table,
                    struct str prefix, struct str from, bool is_backward)
{
    *walk = (struct table_walk){.prefix = prefix, .is_backward = is_backward};
    if (from.len > sizeof(walk->start))
        return RN_ETOOBIG;
    if (from.len)
        memcpy(walk->start, from.ptr, from.len);
    walk->start_size = from.len;
    int rc =
        mdb_cursor_open(reader_txn(reader), reader_store(reader)->tables[table], &walk->cursor);
    return rc ? store_error(rc, NULL, "reading") : 0;
}

/* The first step of a walk: SET_RANGE finds the first key that is not before `start`. */
static int walk_begin(struct table_walk *walk, MDB_val *k, MDB_val *v)
{
    walk->has_begun = true;
    *k = (MDB_val){.mv_size = walk->start_size, .mv_data = walk->start};
    if (walk->start_size == 0)
        return mdb_cursor_get(walk->cursor, k, v, walk->is_backward ? MDB_LAST : MDB_FIRST);
    int rc = mdb_cursor_get(walk->cursor, k, v, MDB_SET_RANGE);
    if (!walk->is_backward)
        return rc;
    return mdb_cursor_get(walk->cursor, k, v, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
}

int table_walk_init_newest(struct table_walk *walk, struct store_reader reader, enum table all,
                           enum table named, struct str name, unsigned char prefix[4],
                           uint64_t before)
{
    unsigned char from[KEY_NAMED];
    uint64_t end = before ? before : UINT64_MAX;
    uint32_t number = 0;
    if (!name.len)
        return table_walk_init(walk, reader, all, STR_NONE, key_id(from, end), true);
    int rc = name_find(reader, name, &number);
    if (rc)
        return rc;
    put_u32(prefix, number);
    return table_walk_init(walk, reader, named, str_n(prefix, 4), key_named(from, number, end),
                           true);
}

int table_walk_next(struct table_walk *walk, struct str *ret_key, struct str *ret_value)
{
    MDB_val k, v;
    int rc = walk->has_begun
                 ? mdb_cursor_get(walk->cursor, &k, &v, walk->is_backward ? MDB_PREV : MDB_NEXT)
                 : walk_begin(walk, &k, &v);
    if (rc == MDB_NOTFOUND)
        return RN_ENOTFOUND;
    if (rc)
        return store_error(rc, NULL, "reading");
    if (k.mv_size < walk->prefix.len ||
        (walk->prefix.len && memcmp(k.mv_data, walk->prefix.ptr, walk->prefix.len) != 0))
        return RN_ENOTFOUND;
    *ret_key = str_n(k.mv_data, k.mv_size);
    *ret_value = str_n(v.mv_data, v.mv_size);
    return 0;
}

void table_walk_release(struct table_walk *walk)
{
    if (walk->cursor)
        mdb_cursor_close(walk->cursor);
    walk->cursor = NULL;
}

/* ---- names */

static struct str name_key(unsigned char out[1 + STORE_NAME_MAX], struct str name)
{
    out[0] = 'n';
    if (name.len)
        memcpy(out + 1, name.ptr, name.len);
    return str_n(out, 1 + name.len);
}

static struct str number_key(unsigned char out[5], uint32_t number)
{
    out[0] = 'i';
    put_u32(out + 1, number);
    return str_n(out, 5);
}

int name_find(struct store_reader reader, struct str name, uint32_t *ret)
{
    unsigned char key[1 + STORE_NAME_MAX];
    struct str value;
    if (name.len > STORE_NAME_MAX)
        return RN_ENOTFOUND;
    if (reader.tx) {
        void *known = map_get(&reader.tx->store->writer.names, name);
        if (known) {
            *ret = (uint32_t)(uintptr_t)known;
            return 0;
        }
    }
    int rc = table_get(reader, TABLE_NAMES, name_key(key, name), &value);
    if (rc)
        return rc;
    if (value.len != 4 || get_u32(value.ptr) == 0)
        return RN_EPROTOCOL;
    *ret = get_u32(value.ptr);
    if (reader.tx)
        (void)map_put(&reader.tx->store->writer.names, name, (void *)(uintptr_t)*ret);
    return 0;
}

int name_make(struct store_tx *tx, struct str name, uint32_t *ret, struct err *err)
{
    if (name.len > STORE_NAME_MAX)
        return err_set(err, RN_ETOOBIG, "a name of %zu bytes is too long (%d at most)", name.len,
                       STORE_NAME_MAX);
    int rc = name_find(STORE_TX(tx), name, ret);
    if (rc != RN_ENOTFOUND)
        return rc ? err_set(err, rc, "the store's table of names cannot be read") : 0;

    unsigned char key[1 + STORE_NAME_MAX], number[5];
    uint32_t next = tx->meta.last_name + 1;
    struct str by_number = number_key(number, next);
    rc = table_put(tx, TABLE_NAMES, name_key(key, name), str_n(number + 1, 4), PUT_NEW, err);
    if (!rc)
        rc = table_put(tx, TABLE_NAMES, by_number, name, PUT_NEW, err);
    if (rc)
        return rc;
    tx->meta.last_name = next;
    tx->has_new_names = true;
    (void)map_put(&tx->store->writer.names, name, (void *)(uintptr_t)next);
    *ret = next;
    return 0;
}

int name_text(struct store_reader reader, uint32_t number, struct str *ret)
{
    unsigned char key[5];
    return table_get(reader, TABLE_NAMES, number_key(key, number), ret);
}
