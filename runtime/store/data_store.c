#include "store/data_store.h"

#include "store/private.h"
#include "json/json.h"

#define SPACE_STORES "data-stores"
#define SPACE_EXPIRY "data-expiry"
#define HEAD 8 /* of a record: when it expires */

enum { SWEEP_BUDGET = 32 }; /* with each write */

struct space {
    char name[8 + LIMIT_DATA_NAME];
};

static struct space space_of(struct str store)
{
    struct space space;
    (void)snprintf(space.name, sizeof(space.name), "data/" STR_FMT, STR_ARG(store));
    return space;
}

/* ---- checking */

static int check_value(struct str value, struct err *err)
{
    if (value.len > LIMIT_DATA_VALUE)
        return err_set(err, RN_ETOOBIG, "a value of %zu bytes; %zu are allowed", value.len,
                       LIMIT_DATA_VALUE);
    int rc = json_check(value, err);
    return rc ? err_prefix(err, "the value is not JSON") : 0;
}

int data_check(const struct data_request *request, struct err *err)
{
    bool is_page = request->verb == DATA_KEYS || request->verb == DATA_ITEMS;
    bool needs_key = !is_page && request->verb != DATA_CLEAR;
    bool needs_value = request->verb == DATA_SET;
    if (!str_is_name(request->store, LIMIT_DATA_NAME))
        return err_set(err, RN_EINVAL,
                       "a data store's name has 1 to %d letters, digits, - _ . and not \"" STR_FMT
                       "\"",
                       LIMIT_DATA_NAME, STR_ARG(request->store));
    if (request->key.len > LIMIT_DB_KEY || (needs_key && request->key.len < 1))
        return err_set(err, RN_EINVAL, "a key has 1 to %d bytes, not %zu", LIMIT_DB_KEY,
                       request->key.len);
    if (!utf8_is_valid(request->key) ||
        (request->key.len && memchr(request->key.ptr, '\0', request->key.len)))
        return err_set(err, RN_EINVAL, "the key is not UTF-8, or has U+0000 in it");
    if (needs_value && !request->value.ptr)
        return err_set(err, RN_EINVAL, "there is no value to set");
    if (request->ttl_ms < -1 || request->ttl_ms > LIMIT_DATA_TTL_MS)
        return err_set(err, RN_EINVAL, "a time to live of %lld ms is not from 1 to %lld",
                       (long long)request->ttl_ms, (long long)LIMIT_DATA_TTL_MS);
    int rc = request->value.ptr ? check_value(request->value, err) : 0;
    return rc || !request->expected.ptr ? rc : check_value(request->expected, err);
}

/* ---- reading */

/* A record as it is in the kv; `value` is a view. False: there is none, or its time is over (then
 * *ret_bytes and *ret_expires tell what lies there). */
struct record {
    bool is_stored, is_there;
    int64_t expires_ms;
    struct str value;
};

static int read_record(struct store_reader reader, struct str store, struct str key, int64_t now_ms,
                       struct record *ret)
{
    struct space space = space_of(store);
    struct str raw;
    *ret = (struct record){0};
    int rc = kv_get(reader, space.name, key, &raw);
    if (rc == RN_ENOTFOUND)
        return 0;
    if (rc || raw.len < HEAD)
        return rc ? rc : RN_EPROTOCOL;
    ret->is_stored = true;
    ret->expires_ms = (int64_t)get_u64(raw.ptr);
    ret->is_there = ret->expires_ms == 0 || ret->expires_ms > now_ms;
    ret->value = str_n(raw.ptr + HEAD, raw.len - HEAD);
    return 0;
}

struct page {
    const struct data_request *request;
    struct data_result *ret;
    size_t count;
};

static int add_to_page(void *ctx, struct str key, struct str raw)
{
    struct page *page = ctx;
    const struct data_request *request = page->request;
    struct buf *out = &page->ret->text;
    bool is_items = request->verb == DATA_ITEMS;
    int64_t expires = raw.len >= HEAD ? (int64_t)get_u64(raw.ptr) : 0;
    if (raw.len < HEAD)
        return RN_EPROTOCOL;
    if ((expires && expires <= request->now_ms) || str_eq(key, request->key))
        return 0;
    if (page->count == request->limit || out->len > LIMIT_DATA_PAGE_BYTES) {
        page->ret->has_more = true;
        return 1;
    }
    buf_add_c(out, page->count++ ? (is_items ? ",[" : ",") : (is_items ? "[" : ""));
    json_write_string(out, key);
    if (is_items) {
        buf_add_char(out, ',');
        buf_add_str(out, str_n(raw.ptr + HEAD, raw.len - HEAD));
        buf_add_char(out, ']');
    }
    return 0;
}

static int read_page(struct store_reader reader, const struct data_request *request,
                     struct data_result *ret)
{
    struct space space = space_of(request->store);
    struct data_request asked = *request;
    if (asked.limit < 1 || asked.limit > LIMIT_DATA_PAGE)
        asked.limit = LIMIT_DATA_PAGE;
    struct page page = {.request = &asked, .ret = ret};
    buf_add_char(&ret->text, '[');
    int rc = kv_each_from(reader, space.name, request->key, add_to_page, &page);
    buf_add_char(&ret->text, ']');
    return rc > 0 ? 0 : rc;
}

int data_read(struct store_reader reader, const struct data_request *request,
              struct data_result *ret, struct err *err)
{
    struct record record;
    int rc;
    buf_clear(&ret->text);
    if (request->verb == DATA_KEYS || request->verb == DATA_ITEMS) {
        rc = read_page(reader, request, ret);
        return rc ? err_set(err, rc, "the data store cannot be read") : 0;
    }
    rc = read_record(reader, request->store, request->key, request->now_ms, &record);
    if (rc)
        return err_set(err, rc, "the data store cannot be read");
    ret->is_found = record.is_there;
    ret->expires_ms = record.expires_ms;
    if (record.is_there && request->verb == DATA_GET)
        buf_add_str(&ret->text, record.value);
    return 0;
}

/* ---- writing */

struct totals {
    bool is_new;
    uint64_t count, bytes;
};

static int read_totals(struct store_tx *tx, struct str store, struct totals *ret)
{
    struct str raw;
    int rc = kv_get(STORE_TX(tx), SPACE_STORES, store, &raw);
    *ret = (struct totals){.is_new = rc == RN_ENOTFOUND};
    if (rc == RN_ENOTFOUND)
        return 0;
    if (rc || raw.len != 16)
        return rc ? rc : RN_EPROTOCOL;
    ret->count = get_u64(raw.ptr);
    ret->bytes = get_u64(raw.ptr + 8);
    return 0;
}

static int put_totals(struct store_tx *tx, struct str store, const struct totals *totals,
                      struct err *err)
{
    unsigned char raw[16];
    put_u64(raw, totals->count);
    put_u64(raw + 8, totals->bytes);
    return kv_put(tx, SPACE_STORES, store, str_n(raw, sizeof(raw)), err);
}

static int count_store(void *ctx, struct str key, struct str value)
{
    (void)key;
    (void)value;
    ++*(size_t *)ctx;
    return 0;
}

/* What is over a limit is refused before anything is written. */
static int check_limits(struct store_tx *tx, const struct totals *after, struct err *err)
{
    size_t stores = 0;
    if (after->count > LIMIT_DATA_KEYS)
        return err_set(err, RN_ETOOBIG, "the data store has %d keys already, and takes no more",
                       LIMIT_DATA_KEYS);
    if (after->bytes > LIMIT_DATA_BYTES)
        return err_set(err, RN_ETOOBIG,
                       "the data store would have %llu bytes of keys and values; %llu are allowed",
                       (unsigned long long)after->bytes, (unsigned long long)LIMIT_DATA_BYTES);
    if (!after->is_new)
        return 0;
    (void)kv_each(STORE_TX(tx), SPACE_STORES, count_store, &stores);
    return stores < LIMIT_DATA_STORES
               ? 0
               : err_set(err, RN_ETOOBIG, "there are %d data stores already", LIMIT_DATA_STORES);
}

/* The key of the index of times. */
struct expiry {
    unsigned char bytes[8 + LIMIT_DATA_NAME + 1 + LIMIT_DB_KEY];
    size_t size;
};

static struct str expiry_key(struct expiry *out, int64_t expires_ms, struct str store,
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

/* Takes the record out of the totals and of the index. */
static int drop_expiry(struct store_tx *tx, struct str store, struct str key, int64_t expires_ms,
                       struct err *err)
{
    struct expiry at;
    return expires_ms ? kv_delete(tx, SPACE_EXPIRY, expiry_key(&at, expires_ms, store, key), err)
                      : 0;
}

static int remove_record(struct store_tx *tx, struct str store, struct str key,
                         const struct record *record, struct err *err)
{
    struct space space = space_of(store);
    struct totals totals;
    size_t bytes = key.len + record->value.len;
    int64_t expires = record->expires_ms;
    int rc = read_totals(tx, store, &totals);
    if (rc)
        return err_set(err, rc, "the data store cannot be read");
    totals.count -= totals.count > 0;
    totals.bytes -= totals.bytes < bytes ? totals.bytes : bytes;
    rc = kv_delete(tx, space.name, key, err);
    if (!rc)
        rc = drop_expiry(tx, store, key, expires, err);
    return rc ? rc : put_totals(tx, store, &totals, err);
}

/* Sets the record; `old` is what lies there, and `value` may be a view of it. */
static int put_record(struct store_tx *tx, const struct data_request *request, struct str value,
                      int64_t expires_ms, const struct record *old, struct err *err)
{
    struct space space = space_of(request->store);
    struct totals totals;
    int64_t old_expires = old->expires_ms;
    int rc = read_totals(tx, request->store, &totals);
    if (rc)
        return err_set(err, rc, "the data store cannot be read");
    totals.count += !old->is_stored;
    totals.bytes += request->key.len + value.len;
    if (old->is_stored)
        totals.bytes -= request->key.len + old->value.len;
    rc = check_limits(tx, &totals, err);
    if (rc)
        return rc;
    struct buf raw = BUF_INIT(HEAD + LIMIT_DATA_VALUE + 64);
    unsigned char head[HEAD];
    put_u64(head, (uint64_t)expires_ms);
    buf_add_str(&raw, str_n(head, HEAD));
    buf_add_str(&raw, value);
    rc = kv_put(tx, space.name, request->key, buf_str(&raw), err);
    buf_release(&raw);
    if (!rc && old_expires != expires_ms)
        rc = drop_expiry(tx, request->store, request->key, old_expires, err);
    struct expiry at;
    if (!rc && expires_ms)
        rc = kv_put(tx, SPACE_EXPIRY, expiry_key(&at, expires_ms, request->store, request->key),
                    STR("1"), err);
    return rc ? rc : put_totals(tx, request->store, &totals, err);
}

static int64_t expires_of(const struct data_request *request, const struct record *old)
{
    if (request->ttl_ms < 0)
        return old->is_there ? old->expires_ms : 0;
    return request->ttl_ms ? request->now_ms + request->ttl_ms : 0;
}

static int increment(struct store_tx *tx, const struct data_request *request,
                     const struct record *old, struct data_result *ret, struct err *err)
{
    struct json *value = NULL;
    int64_t number = 0;
    char text[32];
    if (old->is_there && json_parse(old->value, &value, NULL) == 0 &&
        !json_to_i64(value, &number)) {
        int rc = err_set(err, RN_EINVAL, "the record \"" STR_FMT "\" is no integer: its type is %s",
                         STR_ARG(request->key), json_kind_name(json_kind(value)));
        json_free(value);
        return rc;
    }
    json_free(value);
    if (__builtin_add_overflow(number, request->by, &number))
        return err_set(err, RN_EINVAL, "the record \"" STR_FMT "\" would leave 64 bits",
                       STR_ARG(request->key));
    (void)snprintf(text, sizeof(text), "%lld", (long long)number);
    ret->number = number;
    return put_record(tx, request, str_from(text), expires_of(request, old), old, err);
}

static bool is_expected(const struct data_request *request, const struct record *old)
{
    struct json *a = NULL, *b = NULL;
    if (!request->expected.ptr || !old->is_there)
        return !request->expected.ptr && !old->is_there;
    bool is_same = json_parse(request->expected, &a, NULL) == 0 &&
                   json_parse(old->value, &b, NULL) == 0 && json_equal(a, b);
    json_free(a);
    json_free(b);
    return is_same;
}

static int compare_and_set(struct store_tx *tx, const struct data_request *request,
                           const struct record *old, struct data_result *ret, struct err *err)
{
    ret->is_swapped = is_expected(request, old);
    if (!ret->is_swapped) {
        if (old->is_there)
            buf_add_str(&ret->text, old->value);
        return 0;
    }
    if (!request->value.ptr)
        return old->is_stored ? remove_record(tx, request->store, request->key, old, err) : 0;
    buf_add_str(&ret->text, request->value);
    return put_record(tx, request, request->value, expires_of(request, old), old, err);
}

static int clear(struct store_tx *tx, const struct data_request *request, struct data_result *ret,
                 struct err *err)
{
    struct space space = space_of(request->store);
    struct totals totals;
    int rc = read_totals(tx, request->store, &totals);
    if (rc)
        return err_set(err, rc, "the data store cannot be read");
    ret->number = (int64_t)totals.count;
    if (totals.count == 0)
        return 0;
    totals.count = totals.bytes = 0;
    rc = kv_delete_space(tx, space.name, err); /* the sweep forgets their times */
    return rc ? rc : put_totals(tx, request->store, &totals, err);
}

static int apply(struct store_tx *tx, const struct data_request *request, struct data_result *ret,
                 struct err *err)
{
    struct record old;
    if (request->verb == DATA_CLEAR)
        return clear(tx, request, ret, err);
    int rc = read_record(STORE_TX(tx), request->store, request->key, request->now_ms, &old);
    if (rc)
        return err_set(err, rc, "the data store cannot be read");
    ret->is_found = old.is_there;
    switch (request->verb) {
    case DATA_SET:
        return put_record(tx, request, request->value, expires_of(request, &old), &old, err);
    case DATA_SET_TTL:
        return old.is_there
                   ? put_record(tx, request, old.value, expires_of(request, &old), &old, err)
                   : 0;
    case DATA_DELETE:
        return old.is_stored ? remove_record(tx, request->store, request->key, &old, err) : 0;
    case DATA_INCREMENT:
        return increment(tx, request, &old, ret, err);
    default:
        return compare_and_set(tx, request, &old, ret, err);
    }
}

int data_write(struct store_tx *tx, const struct data_request *request, struct data_result *ret,
               struct err *err)
{
    buf_clear(&ret->text);
    ret->is_found = ret->is_swapped = false;
    ret->number = 0;
    int rc = apply(tx, request, ret, err);
    return rc ? rc : data_sweep(tx, request->now_ms, SWEEP_BUDGET, err);
}

/* ---- the sweep */

struct due {
    int64_t now_ms;
    size_t budget, count;
    struct expiry *list;
};

static int collect_due(void *ctx, struct str key, struct str value)
{
    struct due *due = ctx;
    (void)value;
    if (due->count == due->budget || key.len < 10 || key.len > sizeof(due->list->bytes) ||
        (int64_t)get_u64(key.ptr) > due->now_ms)
        return 1;
    memcpy(due->list[due->count].bytes, key.ptr, key.len);
    due->list[due->count++].size = key.len;
    return 0;
}

static int sweep_one(struct store_tx *tx, const struct expiry *at, struct err *err)
{
    struct str whole = str_n(at->bytes, at->size), rest = str_n(at->bytes + 8, at->size - 8);
    struct str store = STR_NONE;
    struct record record;
    int64_t expires = (int64_t)get_u64(at->bytes);
    if (!str_cut(&rest, '\0', &store))
        return kv_delete(tx, SPACE_EXPIRY, whole, err);
    int rc = read_record(STORE_TX(tx), store, rest, expires, &record);
    if (rc)
        return err_set(err, rc, "the data store cannot be read");
    if (record.is_stored && record.expires_ms == expires)
        return remove_record(tx, store, rest, &record, err);
    return kv_delete(tx, SPACE_EXPIRY, whole, err);
}

int data_sweep(struct store_tx *tx, int64_t now_ms, size_t budget, struct err *err)
{
    struct due due = {.now_ms = now_ms, .budget = budget};
    due.list = xcalloc(budget, sizeof(*due.list));
    int rc = kv_each(STORE_TX(tx), SPACE_EXPIRY, collect_due, &due);
    rc = rc < 0 ? err_set(err, rc, "the data stores cannot be read") : 0;
    for (size_t i = 0; i < due.count && !rc; i++)
        rc = sweep_one(tx, &due.list[i], err);
    free(due.list);
    return rc;
}

struct each {
    int (*each)(void *ctx, struct str store, uint64_t count, uint64_t bytes);
    void *ctx;
};

static int each_store(void *ctx, struct str key, struct str value)
{
    const struct each *each = ctx;
    return value.len == 16 ? each->each(each->ctx, key, get_u64(value.ptr), get_u64(value.ptr + 8))
                           : RN_EPROTOCOL;
}

int data_each(struct store_reader reader,
              int (*fn)(void *ctx, struct str store, uint64_t count, uint64_t bytes), void *ctx)
{
    struct each each = {fn, ctx};
    return kv_each(reader, SPACE_STORES, each_store, &each);
}
