/* Events and who needs them. A record is a fixed head and its texts behind one another; lengths are
 * checked when it is read, so that a damaged record is RN_EPROTOCOL and nothing worse. Invariant:
 * an event is history (counted in meta.history_bytes) exactly while it has no entry in `live`. */
#include "store/private.h"

#include "base/clock.h"
#include "base/ids.h"

enum { TEXT_EMITTER, TEXT_EMIT_ID, TEXT_NAME, TEXT_SUMMARY, TEXT_EVENT, TEXT_RAW, TEXT_COUNT };

struct event_head {
    int64_t ts, received_ms;
    uint32_t lengths[TEXT_COUNT];
};

/* Set in the length of TEXT_RAW: the text is where in the event the raw body stands. */
#define IS_IN_EVENT (1u << 31)
struct raw_place {
    uint32_t offset, length;
};

uint64_t event_footprint(size_t value_size)
{
    return table_footprint(KEY_ID, value_size) + table_footprint(KEY_NAMED, 0);
}

static struct str *text_at(struct event_record *record, int i)
{
    struct str *const texts[TEXT_COUNT] = {&record->emitter, &record->emit_id, &record->name,
                                           &record->summary, &record->event,   &record->raw};
    return texts[i];
}

static bool is_within(struct str part, struct str whole)
{
    return part.len && whole.ptr && part.ptr >= whole.ptr && part.len <= whole.len &&
           part.ptr <= whole.ptr + whole.len - part.len;
}

/* `record->raw` has been read as the place. */
static int find_raw(struct event_record *record)
{
    struct raw_place place;
    if (record->raw.len != sizeof(place))
        return RN_EPROTOCOL;
    memcpy(&place, record->raw.ptr, sizeof(place));
    if (place.length > record->event.len || place.offset > record->event.len - place.length)
        return RN_EPROTOCOL;
    record->raw = str_n(record->event.ptr + place.offset, place.length);
    return 0;
}

static int read_record(uint64_t id, struct str value, struct event_record *ret)
{
    struct event_head head;
    if (value.len < sizeof(head))
        return RN_EPROTOCOL;
    memcpy(&head, value.ptr, sizeof(head));
    struct event_record record = {.id = id, .ts = head.ts, .received_ms = head.received_ms};
    size_t at = sizeof(head);
    bool is_in_event = head.lengths[TEXT_RAW] & IS_IN_EVENT;
    head.lengths[TEXT_RAW] &= ~IS_IN_EVENT;
    for (int i = 0; i < TEXT_COUNT; i++) {
        if (head.lengths[i] > value.len - at)
            return RN_EPROTOCOL;
        *text_at(&record, i) = str_n(value.ptr + at, head.lengths[i]);
        at += head.lengths[i];
    }
    if (at != value.len || (is_in_event && find_raw(&record)))
        return RN_EPROTOCOL;
    *ret = record;
    return 0;
}

int event_put(struct store_tx *tx, struct event_record *record, struct err *err)
{
    struct event_head head = {.ts = record->ts, .received_ms = record->received_ms};
    struct str texts[TEXT_COUNT];
    size_t size = sizeof(head);
    for (int i = 0; i < TEXT_COUNT; i++) {
        texts[i] = *text_at(record, i);
        if (texts[i].len > LIMIT_FRAME_BYTES)
            return err_set(err, RN_ETOOBIG, "an event of %zu bytes is too big to store",
                           texts[i].len);
    }
    bool is_in_event = is_within(record->raw, record->event);
    struct raw_place place = {.length = (uint32_t)record->raw.len};
    if (is_in_event) {
        place.offset = (uint32_t)(record->raw.ptr - record->event.ptr);
        texts[TEXT_RAW] = str_n(&place, sizeof(place));
    }
    for (int i = 0; i < TEXT_COUNT; i++) {
        head.lengths[i] = (uint32_t)texts[i].len;
        size += texts[i].len;
    }
    if (is_in_event)
        head.lengths[TEXT_RAW] |= IS_IN_EVENT;
    uint32_t emitter = 0;
    int rc = name_make(tx, record->emitter, &emitter, err);
    if (rc)
        return rc;

    uint64_t id = id_next(tx->meta.last_event_id, clock_now_ms());
    unsigned char key[KEY_ID], named[KEY_NAMED];
    unsigned char *room = NULL;
    rc = table_reserve(tx, TABLE_EVENTS, key_id(key, id), size, PUT_APPEND, &room, err);
    if (rc)
        return rc;
    memcpy(room, &head, sizeof(head));
    room += sizeof(head);
    for (int i = 0; i < TEXT_COUNT; i++) {
        if (texts[i].len)
            memcpy(room, texts[i].ptr, texts[i].len);
        room += texts[i].len;
    }
    rc = table_put(tx, TABLE_EMITTERS, key_named(named, emitter, id), STR_NONE, PUT_NEW, err);
    if (rc)
        return rc;
    tx->meta.last_event_id = id;
    tx->meta.events++;
    tx->fresh_event = id;
    tx->fresh_bytes = event_footprint(size);
    tx->is_fresh_needed = false;
    tx->meta.history_bytes += tx->fresh_bytes;
    record->id = id;
    return 0;
}

int event_get(struct store_reader reader, uint64_t id, struct event_record *ret)
{
    unsigned char key[KEY_ID];
    struct str value;
    int rc = table_get(reader, TABLE_EVENTS, key_id(key, id), &value);
    return rc ? rc : read_record(id, value, ret);
}

/* One key of `events` or `emitters`: the event and its record. */
static int record_of(struct store_reader reader, struct str key, struct str value,
                     struct event_record *ret)
{
    if (key.len == KEY_ID)
        return read_record(get_u64(key.ptr), value, ret);
    if (key.len == KEY_NAMED)
        return event_get(reader, get_u64(key.ptr + 4), ret);
    return RN_EPROTOCOL;
}

int event_each(struct store_reader reader, struct str emitter, uint64_t before, size_t limit,
               int (*each)(void *ctx, const struct event_record *record), void *ctx)
{
    struct table_walk walk = {0};
    unsigned char prefix[4];
    int rc = table_walk_init_newest(&walk, reader, TABLE_EVENTS, TABLE_EMITTERS, emitter, prefix,
                                    before);
    if (rc == RN_ENOTFOUND)
        return 0; /* nobody has that name */
    struct str key, value;
    for (size_t i = 0; !rc && i < limit; i++) {
        struct event_record record;
        rc = table_walk_next(&walk, &key, &value);
        if (!rc)
            rc = record_of(reader, key, value, &record);
        if (rc)
            break;
        rc = each(ctx, &record);
        if (rc) {
            table_walk_release(&walk);
            return rc;
        }
    }
    table_walk_release(&walk);
    return rc == RN_ENOTFOUND ? 0 : rc;
}

int event_each_after(struct store_reader reader, uint64_t after, size_t limit,
                     int (*each)(void *ctx, const struct event_record *record), void *ctx)
{
    unsigned char from[KEY_ID];
    struct table_walk walk;
    struct str key, value;
    int rc = table_walk_init(&walk, reader, TABLE_EVENTS, STR_NONE, key_id(from, after + 1), false);
    for (size_t i = 0; !rc && i < limit; i++) {
        struct event_record record;
        rc = table_walk_next(&walk, &key, &value);
        if (!rc)
            rc = record_of(reader, key, value, &record);
        if (!rc)
            rc = each(ctx, &record);
    }
    table_walk_release(&walk);
    return rc == RN_ENOTFOUND ? 0 : rc;
}

int event_delete(struct store_tx *tx, uint64_t id, struct err *err)
{
    unsigned char key[KEY_ID], named[KEY_NAMED];
    struct str value;
    struct event_record record;
    uint32_t emitter = 0;
    bool is_needed = false;
    int rc = event_is_needed(tx, id, &is_needed, err);
    if (rc)
        return rc;
    if (is_needed)
        return err_set(err, RN_EEXISTS, "a run still needs the event");
    rc = table_get(STORE_TX(tx), TABLE_EVENTS, key_id(key, id), &value);
    if (rc == RN_ENOTFOUND)
        return err_set(err, rc, "there is no such event");
    if (rc)
        return err_set(err, rc, "the event cannot be read");
    uint64_t bytes = event_footprint(value.len);
    /* A record that cannot be read goes all the same, without its place in the index. */
    if (read_record(id, value, &record) == 0 &&
        name_find(STORE_TX(tx), record.emitter, &emitter) == 0) {
        rc = table_delete(tx, TABLE_EMITTERS, key_named(named, emitter, id), err);
        if (rc && rc != RN_ENOTFOUND)
            return rc;
    }
    rc = table_delete(tx, TABLE_EVENTS, key_id(key, id), err);
    if (rc)
        return rc;
    if (tx->fresh_event == id)
        tx->fresh_event = 0;
    tx->meta.events--;
    tx->meta.history_bytes -= bytes;
    return 0;
}

/* ---- live: who needs an event */

#define KEY_LIVE 16
static struct str key_live(unsigned char out[KEY_LIVE], uint64_t event_id, uint64_t run_id)
{
    put_u64(out, event_id);
    put_u64(out + 8, run_id);
    return str_n(out, KEY_LIVE);
}

int event_is_needed(struct store_tx *tx, uint64_t event_id, bool *ret, struct err *err)
{
    if (event_id && tx->fresh_event == event_id) {
        *ret = tx->is_fresh_needed;
        return 0;
    }
    MDB_cursor *cursor = NULL;
    int rc = table_cursor(tx, TABLE_LIVE, &cursor, err);
    if (rc)
        return rc;
    unsigned char start[KEY_LIVE];
    (void)key_live(start, event_id, 0);
    MDB_val k = {.mv_size = KEY_LIVE, .mv_data = start}, v;
    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    if (rc && rc != MDB_NOTFOUND)
        return table_failed(tx, rc, err, "reading");
    *ret = rc == 0 && k.mv_size == KEY_LIVE && get_u64(k.mv_data) == event_id;
    return 0;
}

/* What the event occupies; RN_ENOTFOUND. */
static int event_bytes(struct store_tx *tx, uint64_t event_id, uint64_t *ret)
{
    unsigned char key[KEY_ID];
    struct str value;
    if (event_id && tx->fresh_event == event_id) {
        *ret = tx->fresh_bytes;
        return 0;
    }
    int rc = table_get(STORE_TX(tx), TABLE_EVENTS, key_id(key, event_id), &value);
    if (!rc)
        *ret = event_footprint(value.len);
    return rc;
}

int live_add(struct store_tx *tx, uint64_t event_id, uint64_t run_id, enum run_phase phase,
             bool is_queued, struct err *err)
{
    unsigned char key[KEY_LIVE];
    char value = is_queued ? 'q' : (char)('0' + phase);
    uint64_t bytes = 0;
    bool is_needed = false;
    int rc = event_bytes(tx, event_id, &bytes);
    if (rc == RN_ENOTFOUND && is_queued && event_id)
        return err_set(err, rc, "the event is no longer in the store");
    if (rc && rc != RN_ENOTFOUND)
        return err_set(err, rc, "the event cannot be read");
    rc = event_is_needed(tx, event_id, &is_needed, err);
    if (!rc)
        rc = table_put(tx, TABLE_LIVE, key_live(key, event_id, run_id), str_n(&value, 1),
                       is_queued ? PUT_NEW : PUT_REPLACE, err);
    if (rc)
        return rc;
    if (!is_needed)
        tx->meta.history_bytes -= bytes;
    if (tx->fresh_event == event_id)
        tx->is_fresh_needed = true;
    return 0;
}

int live_remove(struct store_tx *tx, uint64_t event_id, uint64_t run_id, struct err *err)
{
    unsigned char key[KEY_LIVE];
    uint64_t bytes = 0;
    bool is_needed = false;
    int rc = table_delete(tx, TABLE_LIVE, key_live(key, event_id, run_id), err);
    if (rc)
        return rc == RN_ENOTFOUND ? 0 : rc;
    if (tx->fresh_event == event_id)
        tx->fresh_event = 0; /* look again */
    rc = event_is_needed(tx, event_id, &is_needed, err);
    if (rc || is_needed)
        return rc;
    rc = event_bytes(tx, event_id, &bytes);
    if (rc)
        return rc == RN_ENOTFOUND ? 0 : err_set(err, rc, "the event cannot be read");
    tx->meta.history_bytes += bytes;
    if (event_id < tx->store->writer.prune_event)
        tx->store->writer.prune_event = event_id;
    return 0;
}
