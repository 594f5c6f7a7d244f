/* What has changed, in the order of the commits: what streams follow and resume from. A ring of the
 * newest LIMIT_CHANGES, each a few dozen bytes, which the quota does not count. Only what no other
 * table has in this order stands here: runs and log lines; events and queue entries have growing
 * ids of their own. */
#include "store/private.h"

enum { TRIM = 256 }; /* the oldest go this many at a time */

#define VALUE_RUN 17

static int trim(struct store_tx *tx, struct err *err)
{
    unsigned char key[KEY_ID];
    if (tx->meta.last_change - tx->meta.first_change < LIMIT_CHANGES + TRIM)
        return 0;
    for (int i = 0; i < TRIM; i++) {
        int rc = table_delete(tx, TABLE_CHANGES, key_id(key, tx->meta.first_change), err);
        if (rc && rc != RN_ENOTFOUND)
            return rc;
        tx->meta.first_change++;
    }
    return 0;
}

static int note(struct store_tx *tx, struct str value, struct err *err)
{
    unsigned char key[KEY_ID];
    uint64_t sequence = tx->meta.last_change + 1;
    int rc = table_put(tx, TABLE_CHANGES, key_id(key, sequence), value, PUT_APPEND, err);
    if (rc)
        return rc;
    tx->meta.last_change = sequence;
    if (tx->meta.first_change == 0)
        tx->meta.first_change = sequence;
    return trim(tx, err);
}

int change_note_run(struct store_tx *tx, uint64_t run_id, uint32_t position, uint32_t attempt,
                    struct err *err)
{
    unsigned char value[VALUE_RUN] = {CHANGE_RUN};
    if (!attempt && tx->noted_run == run_id)
        return 0; /* it is the newest change already */
    put_u64(value + 1, run_id);
    put_u32(value + 9, position);
    put_u32(value + 13, attempt);
    tx->noted_run = run_id;
    return note(tx, str_n(value, sizeof(value)), err);
}

int change_note_log(struct store_tx *tx, struct str key, struct err *err)
{
    unsigned char value[1 + STORE_KEY_MAX] = {CHANGE_LOG};
    if (key.len > STORE_KEY_MAX)
        return err_set(err, RN_ETOOBIG, "a log line's key of %zu bytes is too long", key.len);
    if (key.len)
        memcpy(value + 1, key.ptr, key.len);
    tx->noted_run = 0;
    return note(tx, str_n(value, 1 + key.len), err);
}

static int read_change(struct str key, struct str value, struct change *ret)
{
    if (key.len != KEY_ID || value.len == 0)
        return RN_EPROTOCOL;
    *ret = (struct change){.sequence = get_u64(key.ptr), .kind = (enum change_kind)value.ptr[0]};
    if (ret->kind == CHANGE_LOG) {
        ret->key = str_n(value.ptr + 1, value.len - 1);
        return 0;
    }
    if (ret->kind != CHANGE_RUN || value.len != VALUE_RUN)
        return RN_EPROTOCOL;
    ret->run_id = get_u64(value.ptr + 1);
    ret->position = get_u32(value.ptr + 9);
    ret->attempt = get_u32(value.ptr + 13);
    return 0;
}

int change_each(struct store_reader reader, uint64_t after, size_t limit,
                int (*each)(void *ctx, const struct change *change), void *ctx)
{
    unsigned char from[KEY_ID];
    struct table_walk walk;
    struct str key, value;
    int rc =
        table_walk_init(&walk, reader, TABLE_CHANGES, STR_NONE, key_id(from, after + 1), false);
    for (size_t i = 0; !rc && i < limit; i++) {
        struct change change;
        rc = table_walk_next(&walk, &key, &value);
        if (!rc)
            rc = read_change(key, value, &change);
        if (!rc)
            rc = each(ctx, &change);
    }
    table_walk_release(&walk);
    return rc == RN_ENOTFOUND ? 0 : rc;
}

int store_get_marks(struct store_reader reader, struct store_marks *ret)
{
    struct store_meta meta = {0};
    struct str value;
    int rc = reader.tx ? 0 : table_get(reader, TABLE_META, STR("store"), &value);
    if (rc)
        return rc;
    if (reader.tx)
        meta = reader.tx->meta;
    else
        memcpy(&meta, value.ptr, value.len < sizeof(meta) ? value.len : sizeof(meta));
    *ret = (struct store_marks){.change = meta.last_change,
                                .first_change = meta.first_change,
                                .event = meta.last_event_id,
                                .run = meta.last_run_id};
    return 0;
}
