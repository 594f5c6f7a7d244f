/* Small records by space and key. A space goes into the key as its number, so that any key up to
 * LIMIT_DB_KEY fits as it is and the order is that of the keys' bytes. */
#include "store/private.h"

#define KV_KEY_MAX (STORE_KEY_MAX - 4)

static struct str kv_key(unsigned char out[STORE_KEY_MAX], uint32_t space, struct str key)
{
    put_u32(out, space);
    if (key.len)
        memcpy(out + 4, key.ptr, key.len);
    return str_n(out, 4 + key.len);
}

int kv_put(struct store_tx *tx, const char *space, struct str key, struct str value,
           struct err *err)
{
    unsigned char bytes[STORE_KEY_MAX];
    uint32_t number = 0;
    if (key.len > KV_KEY_MAX)
        return err_set(err, RN_ETOOBIG, "a key of %zu bytes is too long (%d at most)", key.len,
                       KV_KEY_MAX);
    if (value.len > LIMIT_FRAME_BYTES)
        return err_set(err, RN_ETOOBIG, "a value of %zu bytes is too big to store", value.len);
    int rc = name_make(tx, str_from(space), &number, err);
    if (rc)
        return rc;
    return table_put(tx, TABLE_KV, kv_key(bytes, number, key), value, PUT_REPLACE, err);
}

int kv_delete(struct store_tx *tx, const char *space, struct str key, struct err *err)
{
    unsigned char bytes[STORE_KEY_MAX];
    uint32_t number = 0;
    if (key.len > KV_KEY_MAX)
        return 0;
    int rc = name_find(STORE_TX(tx), str_from(space), &number);
    if (!rc)
        rc = table_delete(tx, TABLE_KV, kv_key(bytes, number, key), err);
    return rc == RN_ENOTFOUND ? 0 : rc;
}

int kv_delete_space(struct store_tx *tx, const char *space, struct err *err)
{
    unsigned char prefix[4], copy[STORE_KEY_MAX];
    uint32_t number = 0;
    MDB_cursor *cursor = NULL;
    int rc = name_find(STORE_TX(tx), str_from(space), &number);
    if (rc)
        return rc == RN_ENOTFOUND ? 0 : rc;
    put_u32(prefix, number);
    rc = table_cursor(tx, TABLE_KV, &cursor, err);
    while (!rc) {
        MDB_val k = {.mv_size = 4, .mv_data = prefix}, v;
        int found = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
        if (found == MDB_NOTFOUND)
            return 0;
        if (found)
            return table_failed(tx, found, err, "reading");
        if (k.mv_size < 4 || memcmp(k.mv_data, prefix, 4) != 0)
            return 0;
        memcpy(copy, k.mv_data, k.mv_size);
        rc = table_delete(tx, TABLE_KV, str_n(copy, k.mv_size), err);
    }
    return rc;
}

int kv_get(struct store_reader reader, const char *space, struct str key, struct str *ret)
{
    unsigned char bytes[STORE_KEY_MAX];
    uint32_t number = 0;
    if (key.len > KV_KEY_MAX)
        return RN_ENOTFOUND;
    int rc = name_find(reader, str_from(space), &number);
    return rc ? rc : table_get(reader, TABLE_KV, kv_key(bytes, number, key), ret);
}

int kv_each(struct store_reader reader, const char *space,
            int (*each)(void *ctx, struct str key, struct str value), void *ctx)
{
    return kv_each_from(reader, space, STR_NONE, each, ctx);
}

int kv_each_from(struct store_reader reader, const char *space, struct str from,
                 int (*each)(void *ctx, struct str key, struct str value), void *ctx)
{
    unsigned char prefix[4], start[STORE_KEY_MAX];
    uint32_t number = 0;
    struct table_walk walk;
    struct str key, value;
    int rc = name_find(reader, str_from(space), &number);
    if (rc)
        return rc == RN_ENOTFOUND ? 0 : rc;
    if (from.len > KV_KEY_MAX)
        return RN_ETOOBIG;
    put_u32(prefix, number);
    rc = table_walk_init(&walk, reader, TABLE_KV, str_n(prefix, 4), kv_key(start, number, from),
                         false);
    while (!rc) {
        rc = table_walk_next(&walk, &key, &value);
        if (rc)
            break;
        rc = each(ctx, str_n(key.ptr + 4, key.len - 4), value);
        if (rc) {
            table_walk_release(&walk);
            return rc;
        }
    }
    table_walk_release(&walk);
    return rc == RN_ENOTFOUND ? 0 : rc;
}
