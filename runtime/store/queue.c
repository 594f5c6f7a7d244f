/* Events that wait for a workflow. An entry's value is the event's id and the engine's detail; how
 * many wait is kept per workflow in meta. An entry holds its event by a row in `live` (events.c),
 * which queue_remove() leaves: the run takes it over. */
#include "store/private.h"

#include "base/clock.h"
#include "base/ids.h"

#define KEY_COUNT 5
static struct str count_key(unsigned char out[KEY_COUNT], uint32_t workflow)
{
    out[0] = 'q';
    put_u32(out + 1, workflow);
    return str_n(out, KEY_COUNT);
}

static uint64_t read_count(struct store_reader reader, uint32_t workflow)
{
    unsigned char key[KEY_COUNT];
    struct str value;
    if (table_get(reader, TABLE_META, count_key(key, workflow), &value) || value.len != 8)
        return 0;
    return get_u64(value.ptr);
}

static int write_count(struct store_tx *tx, uint32_t workflow, uint64_t count, struct err *err)
{
    unsigned char key[KEY_COUNT], value[8];
    if (count == 0) {
        int rc = table_delete(tx, TABLE_META, count_key(key, workflow), err);
        return rc == RN_ENOTFOUND ? 0 : rc;
    }
    put_u64(value, count);
    return table_put(tx, TABLE_META, count_key(key, workflow), str_n(value, 8), PUT_REPLACE, err);
}

static int read_entry(uint64_t run_id, struct str workflow, struct str value,
                      struct queue_entry *ret)
{
    if (value.len < 8)
        return RN_EPROTOCOL;
    *ret = (struct queue_entry){.run_id = run_id,
                                .event_id = get_u64(value.ptr),
                                .workflow = workflow,
                                .detail = str_n(value.ptr + 8, value.len - 8)};
    return 0;
}

int queue_push(struct store_tx *tx, struct queue_entry *entry, struct err *err)
{
    uint32_t workflow = 0;
    if (entry->detail.len > LIMIT_FRAME_BYTES)
        return err_set(err, RN_ETOOBIG, "a queue entry of %zu bytes is too big", entry->detail.len);
    uint64_t run_id = id_next(tx->meta.last_run_id, clock_now_ms());
    int rc = live_add(tx, entry->event_id, run_id, RUN_LIVE, true, err);
    if (!rc)
        rc = name_make(tx, entry->workflow, &workflow, err);
    if (rc)
        return rc;
    unsigned char key[KEY_NAMED];
    unsigned char *room = NULL;
    rc = table_reserve(tx, TABLE_QUEUE, key_named(key, workflow, run_id), 8 + entry->detail.len,
                       PUT_NEW, &room, err);
    if (rc)
        return rc;
    put_u64(room, entry->event_id);
    if (entry->detail.len)
        memcpy(room + 8, entry->detail.ptr, entry->detail.len);
    rc = write_count(tx, workflow, read_count(STORE_TX(tx), workflow) + 1, err);
    if (rc)
        return rc;
    tx->meta.last_run_id = run_id;
    tx->meta.queued++;
    entry->run_id = run_id;
    return 0;
}

int queue_remove(struct store_tx *tx, struct str workflow, uint64_t run_id, struct err *err)
{
    unsigned char key[KEY_NAMED];
    uint32_t number = 0;
    int rc = name_find(STORE_TX(tx), workflow, &number);
    if (!rc)
        rc = table_delete(tx, TABLE_QUEUE, key_named(key, number, run_id), err);
    if (rc == RN_ENOTFOUND)
        return err_set(err, rc, "the queue has no such entry");
    if (rc)
        return rc;
    uint64_t count = read_count(STORE_TX(tx), number);
    tx->meta.queued--;
    return write_count(tx, number, count ? count - 1 : 0, err);
}

int queue_get(struct store_reader reader, struct str workflow, uint64_t run_id,
              struct queue_entry *ret)
{
    unsigned char key[KEY_NAMED];
    uint32_t number = 0;
    struct str value, name;
    int rc = name_find(reader, workflow, &number);
    if (!rc)
        rc = table_get(reader, TABLE_QUEUE, key_named(key, number, run_id), &value);
    if (!rc)
        rc = name_text(reader, number, &name);
    return rc ? rc : read_entry(run_id, name, value, ret);
}

/* Forward from `from`, or backward from before it. */
static int walk_entries(struct store_reader reader, struct str workflow, uint64_t from,
                        bool is_backward, size_t limit,
                        int (*each)(void *ctx, const struct queue_entry *entry), void *ctx)
{
    unsigned char start[KEY_NAMED], prefix[4];
    uint32_t number = 0;
    struct str name, key, value;
    struct table_walk walk = {0};
    int rc = name_find(reader, workflow, &number);
    if (!rc)
        rc = name_text(reader, number, &name);
    if (rc)
        return rc == RN_ENOTFOUND ? 0 : rc;
    put_u32(prefix, number);
    rc = table_walk_init(&walk, reader, TABLE_QUEUE, str_n(prefix, 4),
                         key_named(start, number, from), is_backward);
    for (size_t i = 0; !rc && i < limit; i++) {
        struct queue_entry entry;
        rc = table_walk_next(&walk, &key, &value);
        if (!rc && key.len != KEY_NAMED)
            rc = RN_EPROTOCOL;
        if (!rc)
            rc = read_entry(get_u64(key.ptr + 4), name, value, &entry);
        if (rc)
            break;
        rc = each(ctx, &entry);
        if (rc) {
            table_walk_release(&walk);
            return rc;
        }
    }
    table_walk_release(&walk);
    return rc == RN_ENOTFOUND ? 0 : rc;
}

int queue_each(struct store_reader reader, struct str workflow, uint64_t after, size_t limit,
               int (*each)(void *ctx, const struct queue_entry *entry), void *ctx)
{
    if (after == UINT64_MAX)
        return 0;
    return walk_entries(reader, workflow, after ? after + 1 : 0, false, limit, each, ctx);
}

int queue_each_newest(struct store_reader reader, struct str workflow, uint64_t before,
                      size_t limit, int (*each)(void *ctx, const struct queue_entry *entry),
                      void *ctx)
{
    return walk_entries(reader, workflow, before ? before : UINT64_MAX, true, limit, each, ctx);
}

uint64_t queue_count(struct store_reader reader, struct str workflow)
{
    uint32_t number = 0;
    if (workflow.len)
        return name_find(reader, workflow, &number) ? 0 : read_count(reader, number);
    if (reader.tx)
        return reader.tx->meta.queued;
    struct store_meta meta;
    struct str value;
    if (table_get(reader, TABLE_META, STR("store"), &value) || value.len != sizeof(meta))
        return 0;
    memcpy(&meta, value.ptr, sizeof(meta));
    return meta.queued;
}

int queue_workflows(struct store_reader reader, int (*each)(void *ctx, struct str workflow),
                    void *ctx)
{
    struct table_walk walk;
    struct str key, value, name;
    int rc = table_walk_init(&walk, reader, TABLE_META, STR("q"), STR("q"), false);
    while (!rc) {
        rc = table_walk_next(&walk, &key, &value);
        if (!rc && key.len != KEY_COUNT)
            rc = RN_EPROTOCOL;
        if (!rc && name_text(reader, get_u32(key.ptr + 1), &name))
            rc = RN_EPROTOCOL;
        if (rc)
            break;
        rc = each(ctx, name);
        if (rc) {
            table_walk_release(&walk);
            return rc;
        }
    }
    table_walk_release(&walk);
    return rc == RN_ENOTFOUND ? 0 : rc;
}
