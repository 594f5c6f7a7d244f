/* Runs and the attempts of their steps. An intent and its result are two records, so that a result
 * is written without rewriting the intent. Invariant: an ended run and its steps are history
 * (counted in meta.history_bytes); a live run has an entry in `live`. */
#include "store/private.h"

#include "base/clock.h"
#include "base/ids.h"

enum { TEXT_WORKFLOW, TEXT_STATUS, TEXT_DETAIL, TEXT_COUNT };

struct run_head {
    uint64_t event_id;
    uint32_t phase;
    uint32_t lengths[TEXT_COUNT];
};

static struct str *text_at(struct run_record *record, int i)
{
    struct str *const texts[TEXT_COUNT] = {&record->workflow, &record->status, &record->detail};
    return texts[i];
}

static int read_record(uint64_t id, struct str value, struct run_record *ret)
{
    struct run_head head;
    if (value.len < sizeof(head))
        return RN_EPROTOCOL;
    memcpy(&head, value.ptr, sizeof(head));
    if (head.phase > RUN_ENDED)
        return RN_EPROTOCOL;
    struct run_record record = {
        .id = id, .event_id = head.event_id, .phase = (enum run_phase)head.phase};
    size_t at = sizeof(head);
    for (int i = 0; i < TEXT_COUNT; i++) {
        if (head.lengths[i] > value.len - at)
            return RN_EPROTOCOL;
        *text_at(&record, i) = str_n(value.ptr + at, head.lengths[i]);
        at += head.lengths[i];
    }
    if (at != value.len)
        return RN_EPROTOCOL;
    *ret = record;
    return 0;
}

int run_peek(struct str value, uint64_t *ret_event, enum run_phase *ret_phase)
{
    struct run_record record;
    int rc = read_record(0, value, &record);
    if (rc)
        return rc;
    *ret_event = record.event_id;
    *ret_phase = record.phase;
    return 0;
}

static uint64_t run_footprint(size_t value_size)
{
    return table_footprint(KEY_ID, value_size) + table_footprint(KEY_NAMED, 0);
}

/* What the steps of a run occupy. */
static int steps_bytes(struct store_tx *tx, uint64_t run_id, uint64_t *ret, struct err *err)
{
    MDB_cursor *cursor = NULL;
    int rc = table_cursor(tx, TABLE_STEPS, &cursor, err);
    if (rc)
        return rc;
    unsigned char start[KEY_ID];
    put_u64(start, run_id);
    MDB_val k = {.mv_size = sizeof(start), .mv_data = start}, v;
    uint64_t bytes = 0;
    int found = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (found == 0 && k.mv_size >= KEY_ID && get_u64(k.mv_data) == run_id) {
        bytes += table_footprint(k.mv_size, v.mv_size);
        found = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    if (found && found != MDB_NOTFOUND)
        return table_failed(tx, found, err, "reading");
    *ret = bytes;
    return 0;
}

static int write_record(struct store_tx *tx, const struct run_record *record, struct err *err)
{
    struct run_record copy = *record;
    struct run_head head = {.event_id = record->event_id, .phase = record->phase};
    unsigned char key[KEY_ID];
    for (int i = 0; i < TEXT_COUNT; i++)
        head.lengths[i] = (uint32_t)text_at(&copy, i)->len;
    /* Put together first: the texts may be those of run_get(), in the page that is about to change.
     */
    struct buf *scratch = &tx->store->writer.scratch;
    buf_clear(scratch);
    buf_add(scratch, &head, sizeof(head));
    for (int i = 0; i < TEXT_COUNT; i++)
        buf_add_str(scratch, *text_at(&copy, i));
    unsigned char *room = NULL;
    size_t size = scratch->len;
    int rc = table_reserve(tx, TABLE_RUNS, key_id(key, record->id), size, PUT_REPLACE, &room, err);
    if (rc)
        return rc;
    memcpy(room, scratch->ptr, size);
    if (record->phase == RUN_ENDED)
        tx->meta.history_bytes += run_footprint(size);
    return 0;
}

/* Moves the run's steps and its hold on the event when its phase changes. */
static int change_phase(struct store_tx *tx, const struct run_record *record, bool is_new,
                        enum run_phase before, struct err *err)
{
    uint64_t bytes = 0;
    if (!is_new && before == record->phase)
        return 0;
    int rc = steps_bytes(tx, record->id, &bytes, err);
    if (rc)
        return rc;
    if (record->phase == RUN_LIVE) {
        if (!is_new)
            tx->meta.history_bytes -= bytes;
        tx->meta.live++;
        return live_add(tx, record->event_id, record->id, RUN_LIVE, false, err);
    }
    tx->meta.history_bytes += bytes;
    if (!is_new)
        tx->meta.live--;
    if (record->id < tx->store->writer.prune_run)
        tx->store->writer.prune_run = record->id;
    return live_remove(tx, record->event_id, record->id, err);
}

int run_put(struct store_tx *tx, const struct run_record *record, struct err *err)
{
    unsigned char key[KEY_ID], named[KEY_NAMED];
    struct str value;
    struct run_record old = {0};
    uint32_t workflow = 0;
    if (record->id == 0 || record->phase > RUN_ENDED)
        return err_set(err, RN_EINVAL, "a run needs an id and a phase");
    if (record->workflow.len > STORE_NAME_MAX || record->status.len > LIMIT_FRAME_BYTES ||
        record->detail.len > LIMIT_FRAME_BYTES)
        return err_set(err, RN_ETOOBIG, "the run's record is too big to store");
    int rc = table_get(STORE_TX(tx), TABLE_RUNS, key_id(key, record->id), &value);
    bool is_new = rc == RN_ENOTFOUND;
    if (!rc)
        rc = read_record(record->id, value, &old);
    if (rc && !is_new)
        return err_set(err, rc, "the run's record cannot be read");
    if (!is_new && old.event_id != record->event_id)
        return err_set(err, RN_EINVAL, "a run keeps its event");
    if (!is_new && !str_eq(old.workflow, record->workflow))
        return err_set(err, RN_EINVAL, "a run keeps its workflow");

    /* `old` points into the map: what is needed of it is taken before the first write. */
    enum run_phase before = old.phase;
    if (is_new) {
        rc = name_make(tx, record->workflow, &workflow, err);
        if (!rc)
            rc = table_put(tx, TABLE_WORKFLOWS, key_named(named, workflow, record->id), STR_NONE,
                           PUT_NEW, err);
        if (rc)
            return rc;
        tx->meta.runs++;
    } else if (before == RUN_ENDED) {
        tx->meta.history_bytes -= run_footprint(value.len);
    }
    rc = write_record(tx, record, err);
    rc = rc ? rc : change_phase(tx, record, is_new, before, err);
    return rc ? rc : change_note_run(tx, record->id, 0, 0, err);
}

int run_get(struct store_reader reader, uint64_t id, struct run_record *ret)
{
    unsigned char key[KEY_ID];
    struct str value;
    int rc = table_get(reader, TABLE_RUNS, key_id(key, id), &value);
    return rc ? rc : read_record(id, value, ret);
}

uint64_t run_new_id(struct store_tx *tx)
{
    tx->meta.last_run_id = id_next(tx->meta.last_run_id, clock_now_ms());
    tx->writes++; /* it must be remembered, even if nothing else is written */
    return tx->meta.last_run_id;
}

int run_forget(struct store_tx *tx, uint64_t event_id, uint64_t run_id, struct err *err)
{
    return live_remove(tx, event_id, run_id, err);
}

int run_delete(struct store_tx *tx, uint64_t id, struct err *err)
{
    unsigned char key[KEY_ID], named[KEY_NAMED], copy[STORE_KEY_MAX];
    struct run_record record;
    uint32_t workflow = 0;
    uint64_t before = tx->meta.used_bytes;
    int rc = run_get(STORE_TX(tx), id, &record);
    if (rc)
        return err_set(err, rc, "the run cannot be read");
    if (record.phase != RUN_ENDED)
        return err_set(err, RN_EEXISTS, "the run has not ended");
    if (name_find(STORE_TX(tx), record.workflow, &workflow) == 0) {
        rc = table_delete(tx, TABLE_WORKFLOWS, key_named(named, workflow, id), err);
        if (rc && rc != RN_ENOTFOUND)
            return rc;
    }
    rc = table_delete(tx, TABLE_RUNS, key_id(key, id), err);
    MDB_cursor *cursor = NULL;
    if (!rc)
        rc = table_cursor(tx, TABLE_STEPS, &cursor, err);
    while (!rc) {
        MDB_val k = {.mv_size = KEY_ID, .mv_data = key}, v;
        int found = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
        if (found && found != MDB_NOTFOUND)
            return table_failed(tx, found, err, "reading");
        if (found || k.mv_size < KEY_ID || get_u64(k.mv_data) != id)
            break;
        memcpy(copy, k.mv_data, k.mv_size);
        rc = table_delete(tx, TABLE_STEPS, str_n(copy, k.mv_size), err);
    }
    if (rc)
        return rc;
    tx->meta.runs--;
    tx->meta.history_bytes -= before - tx->meta.used_bytes;
    return 0;
}

static bool is_wanted(const struct run_record *record, struct str status)
{
    return status.len == 0 || str_eq(record->status, status);
}

int run_each(struct store_reader reader, struct str workflow, struct str status, uint64_t before,
             size_t limit, int (*each)(void *ctx, const struct run_record *record), void *ctx)
{
    struct table_walk walk = {0};
    unsigned char prefix[4];
    int rc = table_walk_init_newest(&walk, reader, TABLE_RUNS, TABLE_WORKFLOWS, workflow, prefix,
                                    before);
    if (rc == RN_ENOTFOUND)
        return 0; /* nobody has that name */
    struct str key, value;
    size_t matches = 0;
    while (!rc && matches < limit) {
        struct run_record record;
        rc = table_walk_next(&walk, &key, &value);
        if (rc)
            break;
        if (key.len == KEY_ID)
            rc = read_record(get_u64(key.ptr), value, &record);
        else
            rc = key.len == KEY_NAMED ? run_get(reader, get_u64(key.ptr + 4), &record)
                                      : RN_EPROTOCOL;
        if (rc || !is_wanted(&record, status))
            continue;
        matches++;
        rc = each(ctx, &record);
        if (rc) {
            table_walk_release(&walk);
            return rc;
        }
    }
    table_walk_release(&walk);
    return rc == RN_ENOTFOUND ? 0 : rc;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

int run_each_live(struct store_reader reader,
                  int (*each)(void *ctx, const struct run_record *record), void *ctx)
{
    struct buf ids = BUF_INIT(SIZE_MAX / 2);
    struct table_walk walk;
    struct str key, value;
    int rc = table_walk_init(&walk, reader, TABLE_LIVE, STR_NONE, STR_NONE, false);
    while (!rc) {
        rc = table_walk_next(&walk, &key, &value);
        if (!rc && str_eq_c(value, "0") && key.len == 16) {
            uint64_t id = get_u64(key.ptr + 8);
            buf_add(&ids, &id, sizeof(id));
        }
    }
    table_walk_release(&walk);
    if (rc == RN_ENOTFOUND)
        rc = 0;
    if (ids.len)
        qsort(ids.ptr, ids.len / sizeof(uint64_t), sizeof(uint64_t), compare_ids);
    for (size_t at = 0; !rc && at < ids.len; at += sizeof(uint64_t)) {
        struct run_record record;
        uint64_t id;
        memcpy(&id, ids.ptr + at, sizeof(id));
        rc = run_get(reader, id, &record);
        if (!rc)
            rc = each(ctx, &record);
    }
    buf_release(&ids);
    return rc;
}

/* ---- steps */

enum { STEP_INTENT = 0, STEP_RESULT = 1, STEP_SENDS = 2, STEP_OUTCOME = 3 };

#define KEY_STEP 17
static struct str step_key(unsigned char out[KEY_STEP], const struct step_record *record, int kind)
{
    put_u64(out, record->run_id);
    put_u32(out + 8, record->position);
    put_u32(out + 12, record->attempt);
    out[16] = (unsigned char)kind;
    return str_n(out, KEY_STEP);
}

#define KEY_OUTCOME (KEY_STEP + 4) /* and the send's place */

/* A record of the run's, wherever that stands now. */
static int step_put_key(struct store_tx *tx, uint64_t run_id, struct str key, struct str text,
                        struct err *err)
{
    unsigned char run_key[KEY_ID];
    struct str run;
    uint64_t event = 0, before = tx->meta.used_bytes;
    enum run_phase phase = RUN_LIVE;
    if (text.len > LIMIT_FRAME_BYTES)
        return err_set(err, RN_ETOOBIG, "a step's record of %zu bytes is too big", text.len);
    int rc = table_get(STORE_TX(tx), TABLE_RUNS, key_id(run_key, run_id), &run);
    if (!rc)
        rc = run_peek(run, &event, &phase);
    if (rc && rc != RN_ENOTFOUND)
        return err_set(err, rc, "the run's record cannot be read");
    rc = table_put(tx, TABLE_STEPS, key, text, PUT_REPLACE, err);
    if (!rc && phase == RUN_ENDED)
        tx->meta.history_bytes += tx->meta.used_bytes - before;
    return rc;
}

static int step_put(struct store_tx *tx, const struct step_record *record, int kind,
                    struct err *err)
{
    unsigned char key[KEY_STEP];
    struct str text = kind == STEP_INTENT   ? record->intent
                      : kind == STEP_RESULT ? record->result
                                            : record->sends;
    return step_put_key(tx, record->run_id, step_key(key, record, kind), text, err);
}

int step_put_intent(struct store_tx *tx, const struct step_record *record, struct err *err)
{
    return step_put(tx, record, STEP_INTENT, err);
}

int step_put_result(struct store_tx *tx, const struct step_record *record, struct err *err)
{
    int rc = step_put(tx, record, STEP_RESULT, err);
    return rc ? rc : change_note_run(tx, record->run_id, record->position, record->attempt, err);
}

int step_put_sends(struct store_tx *tx, const struct step_record *record, struct err *err)
{
    int rc = step_put(tx, record, STEP_SENDS, err);
    return rc ? rc : change_note_run(tx, record->run_id, 0, 0, err);
}

int step_put_outcome(struct store_tx *tx, const struct step_record *record, uint32_t index,
                     struct str text, struct err *err)
{
    unsigned char key[KEY_OUTCOME];
    (void)step_key(key, record, STEP_OUTCOME);
    put_u32(key + KEY_STEP, index);
    int rc = step_put_key(tx, record->run_id, str_n(key, sizeof(key)), text, err);
    return rc ? rc : change_note_run(tx, record->run_id, 0, 0, err);
}

int step_each_outcome(struct store_reader reader, uint64_t run_id,
                      int (*each)(void *ctx, const struct step_record *record, uint32_t index,
                                  struct str text),
                      void *ctx)
{
    unsigned char prefix[KEY_ID];
    struct table_walk walk;
    struct str key, value;
    put_u64(prefix, run_id);
    int rc = table_walk_init(&walk, reader, TABLE_STEPS, str_n(prefix, KEY_ID),
                             str_n(prefix, KEY_ID), false);
    while (!rc) {
        rc = table_walk_next(&walk, &key, &value);
        if (rc || key.len != KEY_OUTCOME)
            continue;
        const struct step_record record = {
            .run_id = run_id, .position = get_u32(key.ptr + 8), .attempt = get_u32(key.ptr + 12)};
        rc = each(ctx, &record, get_u32(key.ptr + KEY_STEP), value);
    }
    table_walk_release(&walk);
    return rc == RN_ENOTFOUND ? 0 : rc;
}

int step_each(struct store_reader reader, uint64_t run_id,
              int (*each)(void *ctx, const struct step_record *record), void *ctx)
{
    unsigned char prefix[KEY_ID];
    struct table_walk walk;
    struct str key, value;
    struct step_record record = {0};
    bool has_record = false;
    put_u64(prefix, run_id);
    int rc = table_walk_init(&walk, reader, TABLE_STEPS, str_n(prefix, KEY_ID),
                             str_n(prefix, KEY_ID), false);
    /* An attempt is handed out when the next one begins: what it has stands behind its intent. */
    while (!rc) {
        rc = table_walk_next(&walk, &key, &value);
        if (!rc && key.len == KEY_OUTCOME)
            continue;
        if (!rc && key.len != KEY_STEP)
            rc = RN_EPROTOCOL;
        if (rc)
            break;
        uint32_t position = get_u32(key.ptr + 8), attempt = get_u32(key.ptr + 12);
        if (has_record && (record.position != position || record.attempt != attempt)) {
            rc = each(ctx, &record);
            if (rc) {
                table_walk_release(&walk);
                return rc;
            }
            record = (struct step_record){0};
        }
        has_record = true;
        record.run_id = run_id;
        record.position = position;
        record.attempt = attempt;
        *(key.ptr[16] == STEP_INTENT   ? &record.intent
          : key.ptr[16] == STEP_RESULT ? &record.result
                                       : &record.sends) = value;
    }
    table_walk_release(&walk);
    if (rc != RN_ENOTFOUND)
        return rc;
    return has_record ? each(ctx, &record) : 0;
}

int step_get(struct store_reader reader, uint64_t run_id, uint32_t position, uint32_t attempt,
             struct step_record *ret)
{
    unsigned char key[KEY_STEP];
    struct step_record record = {.run_id = run_id, .position = position, .attempt = attempt};
    int intent =
        table_get(reader, TABLE_STEPS, step_key(key, &record, STEP_INTENT), &record.intent);
    int result =
        table_get(reader, TABLE_STEPS, step_key(key, &record, STEP_RESULT), &record.result);
    if (intent && result)
        return intent;
    (void)!table_get(reader, TABLE_STEPS, step_key(key, &record, STEP_SENDS), &record.sends);
    *ret = record;
    return 0;
}
