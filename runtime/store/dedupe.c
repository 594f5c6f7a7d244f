/* Dedupe. `unique` keeps the last ids in the order of arrival, in rows that are appended and
 * removed at the other end: a batch touches two pages of them, where a tree of ids would touch one
 * or two for each. Which ids there are is answered from memory: a set of (hash, sequence) per
 * emitter, 8 bytes an id, read from the rows when an emitter is first used. A hit is compared with
 * its row, so the hash decides nothing. The hash is keyed (SipHash-1-3 with a key of the process),
 * because ids come from outside.
 *
 * The sets are the writer's. What an undone transaction did to them is undone by dropping them all
 * (dedupe_drop).
 */
#include "store/private.h"

#define SET_BYTES_MAX MIB(16) /* all sets; past it those longest unused are dropped */

struct dedupe_slot {
    uint32_t tag; /* of the hash, odd; 0: free */
    uint32_t sequence;
};

struct dedupe_set {
    struct dedupe_slot *slots;
    size_t capacity; /* a power of two */
    uint64_t next;   /* the sequence of the next id; `count` of them stand before it */
    uint64_t count;
    uint64_t used_at;
};

/* ---- SipHash-1-3 */

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static uint64_t hash_of(const uint64_t key[2], struct str text)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                     key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};
    size_t at = 0;
    for (;;) {
        uint64_t word = 0;
        size_t left = text.len - at;
        if (left)
            memcpy(&word, text.ptr + at, left < 8 ? left : 8);
        if (left < 8)
            word |= (uint64_t)text.len << 56;
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
        if (left < 8)
            break;
        at += 8;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- the set: open addressing, backward-shift deletion */

static size_t home_of(const struct dedupe_set *set, uint32_t tag)
{
    return (tag >> 1) & (set->capacity - 1);
}

static void set_place(struct dedupe_set *set, struct dedupe_slot slot)
{
    size_t mask = set->capacity - 1, i = home_of(set, slot.tag);
    while (set->slots[i].tag)
        i = (i + 1) & mask;
    set->slots[i] = slot;
}

static void set_grow(struct writer *writer, struct dedupe_set *set)
{
    struct dedupe_slot *old = set->slots;
    size_t count = set->capacity;
    set->capacity = count ? count * 2 : 64;
    set->slots = xcalloc(set->capacity, sizeof(*set->slots));
    writer->set_bytes += (set->capacity - count) * sizeof(*set->slots);
    for (size_t i = 0; i < count; i++)
        if (old[i].tag)
            set_place(set, old[i]);
    free(old);
}

static void set_add(struct writer *writer, struct dedupe_set *set, uint32_t tag)
{
    if ((set->count + 1) * 4 > set->capacity * 3)
        set_grow(writer, set);
    set_place(set, (struct dedupe_slot){tag, (uint32_t)set->next});
    set->next++;
    set->count++;
}

/* Removes the oldest. */
static void set_remove(struct dedupe_set *set, uint32_t tag)
{
    size_t mask = set->capacity - 1, hole = home_of(set, tag);
    uint32_t sequence = (uint32_t)(set->next - set->count);
    while (set->slots[hole].tag != tag || set->slots[hole].sequence != sequence) {
        if (!set->slots[hole].tag)
            return;
        hole = (hole + 1) & mask;
    }
    for (size_t i = (hole + 1) & mask; set->slots[i].tag; i = (i + 1) & mask) {
        size_t home = home_of(set, set->slots[i].tag);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            set->slots[hole] = set->slots[i];
            hole = i;
        }
    }
    set->slots[hole] = (struct dedupe_slot){0};
    set->count--;
}

static void set_free(struct writer *writer, struct dedupe_set *set)
{
    if (!set)
        return;
    writer->set_bytes -= set->capacity * sizeof(*set->slots);
    free(set->slots);
    free(set);
}

void dedupe_drop(struct writer *writer)
{
    for (size_t i = 0; i < writer->set_count; i++) {
        set_free(writer, writer->sets[i]);
        writer->sets[i] = NULL;
    }
}

static void drop_unused(struct writer *writer, const struct dedupe_set *keep)
{
    while (writer->set_bytes > SET_BYTES_MAX) {
        size_t oldest = writer->set_count;
        for (size_t i = 0; i < writer->set_count; i++)
            if (writer->sets[i] && writer->sets[i] != keep &&
                (oldest == writer->set_count ||
                 writer->sets[i]->used_at < writer->sets[oldest]->used_at))
                oldest = i;
        if (oldest == writer->set_count)
            return;
        set_free(writer, writer->sets[oldest]);
        writer->sets[oldest] = NULL;
    }
}

/* ---- rows */

#define KEY_ROW 13
static struct str row_key(unsigned char out[KEY_ROW], uint32_t emitter, uint64_t sequence)
{
    put_u32(out, emitter);
    out[4] = 'u';
    put_u64(out + 5, sequence);
    return str_n(out, KEY_ROW);
}

static uint32_t tag_of(const struct writer *writer, struct str id)
{
    return (uint32_t)(hash_of(writer->dedupe_key, id) >> 32) | 1;
}

static int read_set(struct store_tx *tx, uint32_t emitter, struct dedupe_set *set)
{
    unsigned char from[KEY_ROW];
    struct table_walk walk;
    struct str key, value, first = row_key(from, emitter, 0);
    int rc = table_walk_init(&walk, STORE_TX(tx), TABLE_DEDUPE, str_n(from, 5), first, false);
    set->next = 1;
    while (!rc) {
        rc = table_walk_next(&walk, &key, &value);
        if (!rc && key.len != KEY_ROW)
            rc = RN_EPROTOCOL;
        if (rc)
            break;
        if (set->count == 0)
            set->next = get_u64(key.ptr + 5);
        if (get_u64(key.ptr + 5) != set->next)
            rc = RN_EPROTOCOL; /* rows are without gaps */
        else
            set_add(&tx->store->writer, set, tag_of(&tx->store->writer, value));
    }
    table_walk_release(&walk);
    return rc == RN_ENOTFOUND ? 0 : rc;
}

static int find_set(struct store_tx *tx, uint32_t emitter, struct dedupe_set **ret, struct err *err)
{
    struct writer *writer = &tx->store->writer;
    if (emitter >= writer->set_count) {
        size_t count = (size_t)emitter * 2 + 16;
        writer->sets = xrealloc(writer->sets, count * sizeof(struct dedupe_set *));
        for (size_t i = writer->set_count; i < count; i++)
            writer->sets[i] = NULL;
        writer->set_count = count;
    }
    struct dedupe_set *set = writer->sets[emitter];
    if (!set) {
        set = xcalloc(1, sizeof(*set));
        set_grow(writer, set);
        int rc = read_set(tx, emitter, set);
        if (rc) {
            set_free(writer, set);
            return err_set(err, rc, "the emitter's remembered ids cannot be read");
        }
        writer->sets[emitter] = set;
        drop_unused(writer, set);
    }
    set->used_at = ++writer->tick;
    *ret = set;
    return 0;
}

static int set_has(struct store_tx *tx, uint32_t emitter, const struct dedupe_set *set,
                   struct str id, uint32_t tag, bool *ret)
{
    size_t mask = set->capacity - 1;
    *ret = false;
    for (size_t i = home_of(set, tag); set->slots[i].tag; i = (i + 1) & mask) {
        if (set->slots[i].tag != tag)
            continue;
        unsigned char key[KEY_ROW];
        struct str value;
        uint64_t sequence = set->next - (uint32_t)((uint32_t)set->next - set->slots[i].sequence);
        int rc = table_get(STORE_TX(tx), TABLE_DEDUPE, row_key(key, emitter, sequence), &value);
        if (rc)
            return rc == RN_ENOTFOUND ? RN_EPROTOCOL : rc;
        if (str_eq(value, id)) {
            *ret = true;
            return 0;
        }
    }
    return 0;
}

static int drop_oldest(struct store_tx *tx, uint32_t emitter, struct dedupe_set *set,
                       struct err *err)
{
    unsigned char key[KEY_ROW];
    struct str value, oldest = row_key(key, emitter, set->next - set->count);
    int rc = table_get(STORE_TX(tx), TABLE_DEDUPE, oldest, &value);
    if (rc)
        return err_set(err, rc, "the emitter's remembered ids cannot be read");
    set_remove(set, tag_of(&tx->store->writer, value));
    return table_delete(tx, TABLE_DEDUPE, oldest, err);
}

int dedupe_unique(struct store_tx *tx, struct str emitter, struct str emit_id, uint32_t remember,
                  bool *ret_is_new, struct err *err)
{
    unsigned char key[KEY_ROW];
    uint32_t number = 0;
    struct dedupe_set *set = NULL;
    bool is_known = false;
    if (emit_id.len > LIMIT_EMIT_ID)
        return err_set(err, RN_ETOOBIG, "an id of %zu bytes is too long (%d at most)", emit_id.len,
                       LIMIT_EMIT_ID);
    if (remember == 0)
        remember = LIMIT_DEDUPE_IDS;
    int rc = name_make(tx, emitter, &number, err);
    if (!rc)
        rc = find_set(tx, number, &set, err);
    if (rc)
        return rc;
    uint32_t tag = tag_of(&tx->store->writer, emit_id);
    rc = set_has(tx, number, set, emit_id, tag, &is_known);
    if (rc)
        return err_set(err, rc, "the emitter's remembered ids cannot be read");
    if (is_known) {
        *ret_is_new = false;
        return 0;
    }
    while (!rc && set->count >= remember)
        rc = drop_oldest(tx, number, set, err);
    if (!rc)
        rc = table_put(tx, TABLE_DEDUPE, row_key(key, number, set->next), emit_id, PUT_NEW, err);
    if (rc)
        return rc;
    set_add(&tx->store->writer, set, tag);
    *ret_is_new = true;
    return 0;
}

/* ---- greatest: decimal text, compared digit by digit */

struct decimal {
    bool is_negative;
    bool is_zero;
    int64_t exponent; /* of the first digit that is not zero: 1 for 1 to 9.99…, 0 for 0.1… */
    struct str whole, fraction; /* digits, leading zeros of the number still there */
};

static struct str take_digits(struct str *text)
{
    size_t n = 0;
    while (n < text->len && text->ptr[n] >= '0' && text->ptr[n] <= '9')
        n++;
    struct str digits = str_n(text->ptr, n);
    *text = str_n(text->ptr + n, text->len - n);
    return digits;
}

static int digit_at(const struct decimal *d, size_t i)
{
    if (i < d->whole.len)
        return d->whole.ptr[i] - '0';
    i -= d->whole.len;
    return i < d->fraction.len ? d->fraction.ptr[i] - '0' : 0;
}

static size_t first_digit(const struct decimal *d)
{
    size_t i = 0, all = d->whole.len + d->fraction.len;
    while (i < all && digit_at(d, i) == 0)
        i++;
    return i;
}

static int decimal_parse(struct str text, struct decimal *ret)
{
    struct decimal d = {0};
    int64_t exponent = 0;
    if (text.len && text.ptr[0] == '-') {
        d.is_negative = true;
        text = str_n(text.ptr + 1, text.len - 1);
    }
    d.whole = take_digits(&text);
    if (d.whole.len == 0)
        return RN_EINVAL;
    if (text.len && text.ptr[0] == '.') {
        text = str_n(text.ptr + 1, text.len - 1);
        d.fraction = take_digits(&text);
        if (d.fraction.len == 0)
            return RN_EINVAL;
    }
    if (text.len && (text.ptr[0] == 'e' || text.ptr[0] == 'E')) {
        text = str_n(text.ptr + 1, text.len - 1);
        if (text.len && text.ptr[0] == '+')
            text = str_n(text.ptr + 1, text.len - 1);
        if (num_parse_i64(text, &exponent) || exponent > INT32_MAX || exponent < INT32_MIN)
            return RN_EINVAL;
        text = STR_NONE;
    }
    if (text.len)
        return RN_EINVAL;
    size_t first = first_digit(&d);
    d.is_zero = first == d.whole.len + d.fraction.len;
    d.exponent = exponent + (int64_t)d.whole.len - (int64_t)first;
    *ret = d;
    return 0;
}

/* Of two that are neither zero nor negative. */
static int compare_size(const struct decimal *a, const struct decimal *b)
{
    if (a->exponent != b->exponent)
        return a->exponent < b->exponent ? -1 : 1;
    size_t i = first_digit(a), j = first_digit(b);
    size_t a_end = a->whole.len + a->fraction.len, b_end = b->whole.len + b->fraction.len;
    for (; i < a_end || j < b_end; i++, j++) {
        int difference = digit_at(a, i) - digit_at(b, j);
        if (difference)
            return difference;
    }
    return 0;
}

static int decimal_compare(const struct decimal *a, const struct decimal *b)
{
    int a_sign = a->is_zero ? 0 : a->is_negative ? -1 : 1;
    int b_sign = b->is_zero ? 0 : b->is_negative ? -1 : 1;
    if (a_sign != b_sign || a_sign == 0)
        return a_sign - b_sign;
    int size = compare_size(a, b);
    return a_sign > 0 ? size : -size;
}

#define KEY_STATE 5
static struct str state_key(unsigned char out[KEY_STATE], uint32_t emitter, char kind)
{
    put_u32(out, emitter);
    out[4] = (unsigned char)kind;
    return str_n(out, KEY_STATE);
}

int dedupe_greatest(struct store_tx *tx, struct str emitter, struct str number, bool *ret_is_new,
                    struct err *err)
{
    unsigned char key[KEY_STATE];
    uint32_t name = 0;
    struct str value;
    struct decimal now, before;
    if (number.len > LIMIT_EMIT_ID)
        return err_set(err, RN_ETOOBIG, "an id of %zu bytes is too long (%d at most)", number.len,
                       LIMIT_EMIT_ID);
    if (decimal_parse(number, &now))
        return err_set(err, RN_EINVAL, "the id \"" STR_FMT "\" is no number", STR_ARG(number));
    int rc = name_make(tx, emitter, &name, err);
    if (rc)
        return rc;
    rc = table_get(STORE_TX(tx), TABLE_DEDUPE, state_key(key, name, 'g'), &value);
    if (rc && rc != RN_ENOTFOUND)
        return err_set(err, rc, "the emitter's greatest id cannot be read");
    if (!rc && decimal_parse(value, &before))
        return err_set(err, RN_EPROTOCOL, "the emitter's greatest id cannot be read");
    if (!rc && decimal_compare(&now, &before) <= 0) {
        *ret_is_new = false;
        return 0;
    }
    rc = table_put(tx, TABLE_DEDUPE, state_key(key, name, 'g'), number, PUT_REPLACE, err);
    if (!rc)
        *ret_is_new = true;
    return rc;
}

/* ---- last, forget */

int dedupe_last_get(struct store_tx *tx, struct str emitter, struct buf *ret_id, struct err *err)
{
    unsigned char key[KEY_STATE];
    uint32_t name = 0;
    struct str value;
    int rc = name_find(STORE_TX(tx), emitter, &name);
    if (!rc)
        rc = table_get(STORE_TX(tx), TABLE_DEDUPE, state_key(key, name, 'l'), &value);
    if (rc && rc != RN_ENOTFOUND)
        return err_set(err, rc, "the emitter's last id cannot be read");
    buf_clear(ret_id);
    if (!rc)
        buf_add_str(ret_id, value);
    return 0;
}

int dedupe_last_set(struct store_tx *tx, struct str emitter, struct str emit_id, struct err *err)
{
    unsigned char key[KEY_STATE];
    uint32_t name = 0;
    if (emit_id.len > LIMIT_EMIT_ID)
        return err_set(err, RN_ETOOBIG, "an id of %zu bytes is too long (%d at most)", emit_id.len,
                       LIMIT_EMIT_ID);
    int rc = name_make(tx, emitter, &name, err);
    if (rc)
        return rc;
    return table_put(tx, TABLE_DEDUPE, state_key(key, name, 'l'), emit_id, PUT_REPLACE, err);
}

int dedupe_forget(struct store_tx *tx, struct str emitter, struct err *err)
{
    unsigned char prefix[4], copy[STORE_KEY_MAX];
    uint32_t name = 0;
    MDB_cursor *cursor = NULL;
    struct writer *writer = &tx->store->writer;
    int rc = name_find(STORE_TX(tx), emitter, &name);
    if (rc)
        return rc == RN_ENOTFOUND ? 0 : err_set(err, rc, "the emitter cannot be read");
    if (name < writer->set_count) {
        set_free(writer, writer->sets[name]);
        writer->sets[name] = NULL;
    }
    put_u32(prefix, name);
    rc = table_cursor(tx, TABLE_DEDUPE, &cursor, err);
    while (!rc) {
        MDB_val k = {.mv_size = 4, .mv_data = prefix}, v;
        int found = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
        if (found && found != MDB_NOTFOUND)
            return table_failed(tx, found, err, "reading");
        if (found || k.mv_size < 4 || memcmp(k.mv_data, prefix, 4) != 0)
            return 0;
        memcpy(copy, k.mv_data, k.mv_size);
        rc = table_delete(tx, TABLE_DEDUPE, str_n(copy, k.mv_size), err);
    }
    return rc;
}
