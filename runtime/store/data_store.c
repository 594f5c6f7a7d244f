#include "store/data_store.h"

#include "store/data_record.h"
#include "json/json.h"

enum { SWEEP_BUDGET = 32 }; /* with each write */

/* ---- checking */

static int check_value(struct str value, struct err *err)
{
    if (value.len > LIMIT_DATA_VALUE)
        return err_set(err, RN_ETOOBIG, "a value of %zu bytes; %zu are allowed", value.len,
                       LIMIT_DATA_VALUE);
    struct err why = ERR_INIT;
    return json_check(value, &why) ? err_set(err, RN_EINVAL, "the value is not JSON: %s", why.text)
                                   : 0;
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
    if (request->key.len > LIMIT_DB_KEY || request->prefix.len > LIMIT_DB_KEY ||
        (needs_key && request->key.len < 1))
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
    struct data_record record;
    if (!data_record_parse(raw, request->now_ms, &record))
        return RN_EPROTOCOL;
    if (key.len < request->prefix.len ||
        !str_eq(str_n(key.ptr, request->prefix.len), request->prefix))
        return 1;
    if (!record.is_there || str_eq(key, request->key))
        return 0;
    if (page->count == request->limit || out->len > LIMIT_DATA_PAGE_BYTES) {
        page->ret->has_more = true;
        return 1;
    }
    buf_add_c(out, page->count++ ? (is_items ? ",[" : ",") : (is_items ? "[" : ""));
    json_write_string(out, key);
    if (is_items) {
        buf_add_char(out, ',');
        buf_add_str(out, record.value);
        buf_add_char(out, ']');
    }
    return 0;
}

static int read_page(struct store_reader reader, const struct data_request *request,
                     struct data_result *ret)
{
    struct data_totals totals;
    struct data_request asked = *request;
    if (asked.limit < 1 || asked.limit > LIMIT_DATA_PAGE)
        asked.limit = LIMIT_DATA_PAGE;
    struct page page = {.request = &asked, .ret = ret};
    int rc = data_totals_get(reader, request->store, &totals);
    if (rc)
        return rc;
    buf_add_char(&ret->text, '[');
    struct str from = str_cmp(request->key, request->prefix) < 0 ? request->prefix : request->key;
    rc = kv_each_from(reader, data_space_of(request->store, totals.place).name, from, add_to_page,
                      &page);
    buf_add_char(&ret->text, ']');
    return rc > 0 ? 0 : rc;
}

int data_read(struct store_reader reader, const struct data_request *request,
              struct data_result *ret, struct err *err)
{
    struct data_record record;
    int rc;
    buf_clear(&ret->text);
    if (request->verb == DATA_KEYS || request->verb == DATA_ITEMS) {
        rc = read_page(reader, request, ret);
        return rc ? err_set(err, rc, "the data store cannot be read") : 0;
    }
    rc = data_record_get(reader, request->store, request->key, request->now_ms, &record);
    if (rc)
        return err_set(err, rc, "the data store cannot be read");
    ret->is_found = record.is_there;
    ret->expires_ms = record.expires_ms;
    if (record.is_there && request->verb == DATA_GET)
        buf_add_str(&ret->text, record.value);
    return 0;
}

/* ---- writing */

static int count_store(void *ctx, struct str key, struct str value)
{
    (void)key;
    *(size_t *)ctx += value.len >= 16 && get_u64(value.ptr) > 0;
    return 0;
}

/* What is over a limit is refused before anything is written. */
static int check_limits(struct store_tx *tx, const struct data_totals *after, struct err *err)
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
    (void)kv_each(STORE_TX(tx), DATA_SPACE_STORES, count_store, &stores);
    return stores < LIMIT_DATA_STORES
               ? 0
               : err_set(err, RN_ETOOBIG, "there are %d data stores already", LIMIT_DATA_STORES);
}

/* Sets the record; `old` is what lies there, and `value` may be a view of it. */
static int put_record(struct store_tx *tx, const struct data_request *request, struct str value,
                      int64_t expires_ms, const struct data_record *old, struct err *err)
{
    struct data_totals totals;
    int rc = data_totals_get(STORE_TX(tx), request->store, &totals);
    if (rc)
        return err_set(err, rc, "the data store cannot be read");
    totals.count += !old->is_stored;
    totals.bytes += request->key.len + value.len;
    if (old->is_stored)
        totals.bytes -= request->key.len + old->value.len;
    rc = check_limits(tx, &totals, err);
    return rc ? rc
              : data_record_put(tx, request->store, request->key, value, expires_ms, old, &totals,
                                err);
}

static int64_t expires_of(const struct data_request *request, const struct data_record *old)
{
    if (request->ttl_ms < 0)
        return old->is_there ? old->expires_ms : 0;
    return request->ttl_ms ? request->now_ms + request->ttl_ms : 0;
}

static int increment(struct store_tx *tx, const struct data_request *request,
                     const struct data_record *old, struct data_result *ret, struct err *err)
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

static bool is_expected(const struct data_request *request, const struct data_record *old)
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
                           const struct data_record *old, struct data_result *ret, struct err *err)
{
    ret->is_swapped = is_expected(request, old);
    if (!ret->is_swapped) {
        if (old->is_there)
            buf_add_str(&ret->text, old->value);
        return 0;
    }
    if (!request->value.ptr)
        return old->is_stored ? data_record_remove(tx, request->store, request->key, old, err) : 0;
    buf_add_str(&ret->text, request->value);
    return put_record(tx, request, request->value, expires_of(request, old), old, err);
}

static int clear(struct store_tx *tx, const struct data_request *request, struct data_result *ret,
                 struct err *err)
{
    struct data_totals totals;
    int rc = data_totals_get(STORE_TX(tx), request->store, &totals);
    if (rc)
        return err_set(err, rc, "the data store cannot be read");
    ret->number = (int64_t)totals.count;
    return totals.count ? data_empty(tx, request->store, &totals, err) : 0;
}

static int apply(struct store_tx *tx, const struct data_request *request, struct data_result *ret,
                 struct err *err)
{
    struct data_record old;
    if (request->verb == DATA_CLEAR)
        return clear(tx, request, ret, err);
    int rc = data_record_get(STORE_TX(tx), request->store, request->key, request->now_ms, &old);
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
        return old.is_stored ? data_record_remove(tx, request->store, request->key, &old, err) : 0;
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
    return rc ? rc : data_sweep(tx, request->now_ms, SWEEP_BUDGET, NULL, err);
}

struct each {
    int (*each)(void *ctx, struct str store, uint64_t count, uint64_t bytes);
    void *ctx;
};

static int each_store(void *ctx, struct str key, struct str value)
{
    const struct each *each = ctx;
    if (value.len < 16)
        return RN_EPROTOCOL;
    uint64_t count = get_u64(value.ptr);
    return count ? each->each(each->ctx, key, count, get_u64(value.ptr + 8)) : 0;
}

int data_each(struct store_reader reader,
              int (*fn)(void *ctx, struct str store, uint64_t count, uint64_t bytes), void *ctx)
{
    struct each each = {fn, ctx};
    return kv_each(reader, DATA_SPACE_STORES, each_store, &each);
}
