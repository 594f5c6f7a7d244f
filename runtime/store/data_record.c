#include "store/data_record.h"

/* ---- the store's own record */

int data_totals_get(struct store_reader reader, struct str store, struct data_totals *ret)
{
    struct str raw;
    int rc = kv_get(reader, DATA_SPACE_STORES, store, &raw);
    *ret = (struct data_totals){.is_new = rc == RN_ENOTFOUND};
    if (rc == RN_ENOTFOUND)
        return 0;
    if (rc || raw.len < 16)
        return rc ? rc : RN_EPROTOCOL;
    ret->count = get_u64(raw.ptr);
    ret->bytes = get_u64(raw.ptr + 8);
    ret->place = raw.len >= 24 ? get_u64(raw.ptr + 16) : 0;
    ret->is_new = ret->count == 0;
    return 0;
}

int data_totals_put(struct store_tx *tx, struct str store, const struct data_totals *totals,
                    struct err *err)
{
    unsigned char raw[24];
    if (totals->count == 0 && totals->place == 0)
        return kv_delete(tx, DATA_SPACE_STORES, store, err);
    put_u64(raw, totals->count);
    put_u64(raw + 8, totals->bytes);
    put_u64(raw + 16, totals->place);
    return kv_put(tx, DATA_SPACE_STORES, store, str_n(raw, sizeof(raw)), err);
}

struct data_space data_space_of(struct str store, uint64_t place)
{
    struct data_space space;
    if (place == 0)
        (void)snprintf(space.name, sizeof(space.name), "data/" STR_FMT, STR_ARG(store));
    else
        (void)snprintf(space.name, sizeof(space.name), "data/" STR_FMT "/%u", STR_ARG(store),
                       (unsigned)(place % DATA_PLACES));
    return space;
}

/* ---- records */

bool data_record_parse(struct str raw, int64_t now_ms, struct data_record *ret)
{
    *ret = (struct data_record){.is_stored = raw.len >= DATA_HEAD};
    if (!ret->is_stored)
        return false;
    ret->expires_ms = (int64_t)get_u64(raw.ptr);
    ret->is_there = ret->expires_ms == 0 || ret->expires_ms > now_ms;
    ret->value = str_n(raw.ptr + DATA_HEAD, raw.len - DATA_HEAD);
    return true;
}

int data_record_get(struct store_reader reader, struct str store, struct str key, int64_t now_ms,
                    struct data_record *ret)
{
    struct data_totals totals;
    struct str raw;
    *ret = (struct data_record){.is_stored = false};
    int rc = data_totals_get(reader, store, &totals);
    if (rc)
        return rc;
    rc = kv_get(reader, data_space_of(store, totals.place).name, key, &raw);
    if (rc == RN_ENOTFOUND)
        return 0;
    return rc ? rc : data_record_parse(raw, now_ms, ret) ? 0 : RN_EPROTOCOL;
}

struct str data_expiry_key(struct data_expiry *out, int64_t expires_ms, struct str store,
                           struct str key)
{
    put_u64(out->bytes, (uint64_t)expires_ms);
    memcpy(out->bytes + 8, store.ptr, store.len);
    out->bytes[8 + store.len] = '\0';
    if (key.len)
        memcpy(out->bytes + 9 + store.len, key.ptr, key.len);
    out->size = 9 + store.len + key.len;
    return str_n(out->bytes, out->size);
}

static int drop_expiry(struct store_tx *tx, struct str store, struct str key, int64_t expires_ms,
                       struct err *err)
{
    struct data_expiry at;
    return expires_ms
               ? kv_delete(tx, DATA_SPACE_EXPIRY, data_expiry_key(&at, expires_ms, store, key), err)
               : 0;
}

int data_record_remove(struct store_tx *tx, struct str store, struct str key,
                       const struct data_record *record, struct err *err)
{
    struct data_totals totals;
    size_t bytes = key.len + record->value.len;
    int64_t expires = record->expires_ms;
    int rc = data_totals_get(STORE_TX(tx), store, &totals);
    if (rc)
        return err_set(err, rc, "the data store cannot be read");
    totals.count -= totals.count > 0;
    totals.bytes -= totals.bytes < bytes ? totals.bytes : bytes;
    rc = kv_delete(tx, data_space_of(store, totals.place).name, key, err);
    if (!rc)
        rc = drop_expiry(tx, store, key, expires, err);
    return rc ? rc : data_totals_put(tx, store, &totals, err);
}

int data_record_put(struct store_tx *tx, struct str store, struct str key, struct str value,
                    int64_t expires_ms, const struct data_record *old,
                    const struct data_totals *totals, struct err *err)
{
    int64_t old_expires = old->expires_ms;
    struct buf raw = BUF_INIT(DATA_HEAD + LIMIT_DATA_VALUE + 64);
    unsigned char head[DATA_HEAD];
    put_u64(head, (uint64_t)expires_ms);
    buf_add_str(&raw, str_n(head, DATA_HEAD));
    buf_add_str(&raw, value);
    int rc = kv_put(tx, data_space_of(store, totals->place).name, key, buf_str(&raw), err);
    buf_release(&raw);
    if (!rc && old_expires != expires_ms)
        rc = drop_expiry(tx, store, key, old_expires, err);
    struct data_expiry at;
    if (!rc && expires_ms)
        rc = kv_put(tx, DATA_SPACE_EXPIRY, data_expiry_key(&at, expires_ms, store, key), STR("1"),
                    err);
    return rc ? rc : data_totals_put(tx, store, totals, err);
}
