/* Data stores: limits, pages, times, and what becomes of old records, in pieces and across a kill
 * -9. */
#include "unit/store/fixture.h"

#include "store/data_record.h"
#include "store/data_store.h"
#include "json/json.h"

#define NOW 1800000000000ll
#define MANY 2500

static const struct data_request base = {
    .store = {"visits", 6}, .ttl_ms = 0, .by = 1, .now_ms = NOW};

/* ---- short ways */

struct call {
    struct data_request request;
    struct data_result result;
};

static int apply_call(struct store_tx *tx, void *ctx, struct err *err)
{
    struct call *call = ctx;
    return data_write(tx, &call->request, &call->result, err);
}

static int do_call(struct fixture *f, struct call *call, struct err *err)
{
    int rc = data_check(&call->request, err);
    call->result = (struct data_result)DATA_RESULT_INIT;
    if (!rc && call->request.verb >= DATA_SET)
        return store_run(f->store, apply_call, call, false, err);
    struct store_view *view = must_view(f->store);
    rc = rc ? rc : data_read(STORE_VIEW(view), &call->request, &call->result, err);
    store_view_end(view);
    return rc;
}

/* The caller releases the text. */
static struct data_result must_answer(struct fixture *f, struct data_request request)
{
    struct call call = {.request = request};
    struct err err = ERR_INIT;
    if (do_call(f, &call, &err))
        fail_msg("%s", err.text);
    return call.result;
}

/* Without its text. */
static struct data_result must_do(struct fixture *f, struct data_request request)
{
    struct data_result result = must_answer(f, request);
    buf_release(&result.text);
    return result;
}

static void must_fail(struct fixture *f, struct data_request request, int code, const char *words)
{
    struct call call = {.request = request};
    struct err err = ERR_INIT;
    assert_int_equal(do_call(f, &call, &err), code);
    assert_non_null(strstr(err.text, words));
    buf_release(&call.result.text);
}

static struct data_request asking(enum data_verb verb, const char *key, const char *value)
{
    struct data_request request = base;
    request.verb = verb;
    request.key = str_from(key);
    request.value = str_from(value);
    return request;
}

static void set(struct fixture *f, const char *key, const char *value, int64_t ttl_ms)
{
    struct data_request request = asking(DATA_SET, key, value);
    request.ttl_ms = ttl_ms;
    (void)must_do(f, request);
}

static void must_hold(struct fixture *f, const char *key, const char *value, int64_t now_ms)
{
    struct data_request request = asking(DATA_GET, key, NULL);
    request.now_ms = now_ms;
    struct data_result result = must_answer(f, request);
    assert_int_equal(result.is_found, value != NULL);
    assert_string_equal(buf_c(&result.text), value ? value : "");
    buf_release(&result.text);
}

struct fill {
    int first, count;
    int64_t ttl_ms;
};

static int apply_fill(struct store_tx *tx, void *ctx, struct err *err)
{
    struct fill *fill = ctx;
    struct data_result result = DATA_RESULT_INIT;
    int rc = 0;
    for (int i = fill->first; i < fill->first + fill->count && !rc; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "key-%06d", i);
        struct data_request request = asking(DATA_SET, key, "{\"visits\":1}");
        request.ttl_ms = fill->ttl_ms;
        rc = data_write(tx, &request, &result, err);
    }
    buf_release(&result.text);
    return rc;
}

static void fill(struct fixture *f, int count, int64_t ttl_ms)
{
    for (int i = 0; i < count; i += 1000) {
        struct fill part = {i, count - i < 1000 ? count - i : 1000, ttl_ms};
        must_run(f->store, apply_fill, &part);
    }
}

static int count_page(void *ctx, struct str key, struct str value)
{
    (void)key;
    (void)value;
    ++*(size_t *)ctx;
    return 0;
}

static size_t count_of(struct fixture *f, const char *space)
{
    size_t count = 0;
    struct store_view *view = must_view(f->store);
    assert_int_equal(kv_each(STORE_VIEW(view), space, count_page, &count), 0);
    store_view_end(view);
    return count;
}

static uint64_t totals_of(struct fixture *f, uint64_t *ret_bytes)
{
    struct data_totals totals;
    struct store_view *view = must_view(f->store);
    assert_int_equal(data_totals_get(STORE_VIEW(view), base.store, &totals), 0);
    store_view_end(view);
    if (ret_bytes)
        *ret_bytes = totals.bytes;
    return totals.count;
}

struct old {
    int64_t now_ms;
    size_t budget;
    bool has_more;
};

static int apply_sweep(struct store_tx *tx, void *ctx, struct err *err)
{
    struct old *old = ctx;
    return data_sweep(tx, old->now_ms, old->budget, &old->has_more, err);
}

static int apply_drain(struct store_tx *tx, void *ctx, struct err *err)
{
    struct old *old = ctx;
    return data_drain(tx, old->budget, &old->has_more, err);
}

static bool has_old(struct fixture *f, int64_t now_ms)
{
    struct store_view *view = must_view(f->store);
    bool has = data_has_old(STORE_VIEW(view), now_ms);
    store_view_end(view);
    return has;
}

static int drain_all(struct fixture *f, size_t budget)
{
    struct old old = {.budget = budget, .has_more = true};
    int pieces = 0;
    for (; old.has_more; pieces++)
        must_run(f->store, apply_drain, &old);
    return pieces;
}

/* ---- tests */

static void limits_are_kept(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {
        "",    ".hidden",  "a/b",
        "a b", "\xc3\xa4", "a2345678901234567890123456789012345678901234567890123456789012345"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct data_request request = asking(DATA_SET, "k", "1");
        request.store = str_from(names[i]);
        must_fail(f, request, RN_EINVAL, "a data store's name has 1 to 64");
    }
    char key[LIMIT_DB_KEY + 2];
    memset(key, 'k', sizeof(key));
    key[LIMIT_DB_KEY + 1] = '\0';
    must_fail(f, asking(DATA_SET, key, "1"), RN_EINVAL, "1 to 256 bytes, not 257");
    key[LIMIT_DB_KEY] = '\0';
    set(f, key, "1", 0);
    must_fail(f, asking(DATA_GET, "", NULL), RN_EINVAL, "1 to 256 bytes, not 0");
    must_fail(f, asking(DATA_GET, "\xff", NULL), RN_EINVAL, "not UTF-8");
    struct data_request request = asking(DATA_GET, NULL, NULL);
    request.key = str_n("a\0b", 3);
    must_fail(f, request, RN_EINVAL, "U+0000");
    must_fail(f, asking(DATA_SET, "k", NULL), RN_EINVAL, "no value");
    must_fail(f, asking(DATA_SET, "k", "{"), RN_EINVAL, "not JSON");
    char *big = xcalloc(1, LIMIT_DATA_VALUE + 2);
    memset(big, '1', LIMIT_DATA_VALUE + 1);
    must_fail(f, asking(DATA_SET, "k", big), RN_ETOOBIG, "1048576 are allowed");
    free(big);
    request = asking(DATA_SET, "k", "1");
    request.ttl_ms = LIMIT_DATA_TTL_MS + 1;
    must_fail(f, request, RN_EINVAL, "time to live");
}

struct fake_totals {
    struct data_totals totals;
};

static int apply_totals(struct store_tx *tx, void *ctx, struct err *err)
{
    struct fake_totals *fake = ctx;
    return data_totals_put(tx, base.store, &fake->totals, err);
}

static void full_stores_take_no_more(void **state)
{
    struct fixture *f = *state;
    set(f, "old", "1", 0);
    struct fake_totals fake = {{.count = LIMIT_DATA_KEYS, .bytes = 4}};
    must_run(f->store, apply_totals, &fake);
    must_fail(f, asking(DATA_SET, "new", "1"), RN_ETOOBIG, "100000 keys already");
    set(f, "old", "2", 0);
    must_hold(f, "old", "2", NOW);
    must_hold(f, "new", NULL, NOW);
    fake = (struct fake_totals){{.count = 1, .bytes = LIMIT_DATA_BYTES - 1}};
    must_run(f->store, apply_totals, &fake);
    must_fail(f, asking(DATA_SET, "new", "1"), RN_ETOOBIG, "268435456 are allowed");
    for (int i = 0; i < LIMIT_DATA_STORES - 1; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "store-%d", i);
        struct data_request request = asking(DATA_SET, "k", "1");
        request.store = str_from(name);
        (void)must_do(f, request);
    }
    struct data_request request = asking(DATA_SET, "k", "1");
    request.store = STR("one-too-many");
    must_fail(f, request, RN_ETOOBIG, "256 data stores already");

    /* One that holds nothing is none. */
    request = asking(DATA_DELETE, "k", NULL);
    request.store = STR("store-7");
    (void)must_do(f, request);
    request = asking(DATA_SET, "k", "1");
    request.store = STR("one-too-many");
    (void)must_do(f, request);
    assert_int_equal(count_of(f, DATA_SPACE_STORES), LIMIT_DATA_STORES);
}

static void pages_hold_each_record_once(void **state)
{
    struct fixture *f = *state;
    char after[32] = "";
    int seen = 0, pages = 0;
    bool has_more = true;
    fill(f, MANY, 0);
    for (; has_more; pages++) {
        struct data_result result =
            must_answer(f, asking(pages % 2 ? DATA_ITEMS : DATA_KEYS, after, NULL));
        struct json *list = NULL;
        assert_int_equal(json_parse(buf_str(&result.text), &list, NULL), 0);
        for (const struct json *i = json_first(list); i; i = json_next(i), seen++) {
            (void)snprintf(after, sizeof(after), "%s", json_c(pages % 2 ? json_first(i) : i));
            char expected[32];
            (void)snprintf(expected, sizeof(expected), "key-%06d", seen);
            assert_string_equal(after, expected);
        }
        has_more = result.has_more;
        json_free(list);
        buf_release(&result.text);
    }
    assert_int_equal(seen, MANY);
    assert_int_equal(pages, 3);

    struct data_request request = asking(DATA_KEYS, NULL, NULL);
    request.prefix = STR("key-00012");
    request.limit = 6;
    struct data_result result = must_answer(f, request);
    assert_string_equal(buf_c(&result.text), "[\"key-000120\",\"key-000121\",\"key-000122\","
                                             "\"key-000123\",\"key-000124\",\"key-000125\"]");
    assert_true(result.has_more);
    buf_release(&result.text);
    request.key = STR("key-000125");
    result = must_answer(f, request);
    assert_string_equal(buf_c(&result.text),
                        "[\"key-000126\",\"key-000127\",\"key-000128\",\"key-000129\"]");
    assert_false(result.has_more);
    buf_release(&result.text);
    request = asking(DATA_KEYS, NULL, NULL);
    request.prefix = STR("key-000123"); /* the key itself, too */
    result = must_answer(f, request);
    assert_string_equal(buf_c(&result.text), "[\"key-000123\"]");
    buf_release(&result.text);
}

static void times_end_records(void **state)
{
    struct fixture *f = *state;
    uint64_t bytes = 0;
    set(f, "short", "1", 10);
    set(f, "long", "2", 1000);
    set(f, "ever", "3", 0);
    must_hold(f, "short", "1", NOW + 9);
    must_hold(f, "short", NULL, NOW + 10);
    struct data_request request = asking(DATA_SET_TTL, "short", NULL);
    request.now_ms = NOW + 10;
    assert_false(must_do(f, request).is_found);
    request = asking(DATA_INCREMENT, "long", NULL);
    request.ttl_ms = -1;
    assert_int_equal(must_do(f, request).number, 3);
    must_hold(f, "long", "3", NOW + 999);
    must_hold(f, "long", NULL, NOW + 1000);
    request = asking(DATA_SET_TTL, "ever", NULL);
    request.ttl_ms = 1000;
    assert_true(must_do(f, request).is_found);
    set(f, "ever", "4", 2000); /* the older time does not count any more */

    struct old old = {.now_ms = NOW + 1000, .budget = 1};
    assert_true(has_old(f, old.now_ms));
    must_run(f->store, apply_sweep, &old);
    assert_false(old.has_more);
    assert_false(has_old(f, old.now_ms));
    assert_true(has_old(f, NOW + 2000));
    assert_int_equal(totals_of(f, &bytes), 1);
    assert_int_equal(bytes, 5);
    must_hold(f, "ever", "4", NOW + 1999);
    must_be_exact(f->store);
}

static void the_sweep_goes_in_pieces(void **state)
{
    struct fixture *f = *state;
    fill(f, MANY, 1000);
    struct old old = {.now_ms = NOW + 1000, .budget = 700, .has_more = true};
    for (uint64_t left = MANY; left; left = left > 700 ? left - 700 : 0) {
        assert_true(old.has_more);
        must_run(f->store, apply_sweep, &old);
        assert_int_equal(totals_of(f, NULL), left > 700 ? left - 700 : 0);
    }
    assert_false(old.has_more);
    assert_int_equal(count_of(f, DATA_SPACE_EXPIRY), 0);
    must_be_exact(f->store);
}

static void a_large_store_is_empty_at_once(void **state)
{
    struct fixture *f = *state;
    fill(f, MANY, 1000);
    assert_int_equal(must_do(f, asking(DATA_CLEAR, NULL, NULL)).number, MANY);
    assert_int_equal(totals_of(f, NULL), 0);
    must_hold(f, "key-000001", NULL, NOW);
    struct data_result result = must_answer(f, asking(DATA_KEYS, NULL, NULL));
    assert_string_equal(buf_c(&result.text), "[]");
    buf_release(&result.text);

    set(f, "key-000001", "7", 1000); /* of the very time that the old one had */
    assert_true(has_old(f, NOW));
    assert_int_equal(drain_all(f, 1000), 3);
    assert_false(has_old(f, NOW));
    must_hold(f, "key-000001", "7", NOW);
    assert_int_equal(count_of(f, "data/visits"), 0);
    assert_int_equal(count_of(f, "data/visits/1"), 1);
    assert_int_equal(count_of(f, DATA_SPACE_EXPIRY), 1);
    struct old old = {.now_ms = NOW + 1000, .budget = 10};
    must_run(f->store, apply_sweep, &old);
    assert_int_equal(totals_of(f, NULL), 0);
    must_be_exact(f->store);

    /* Emptied and drained, it is forgotten; what comes then is at home again. */
    fill(f, MANY, 0);
    (void)must_do(f, asking(DATA_CLEAR, NULL, NULL));
    assert_int_equal(count_of(f, DATA_SPACE_STORES), 1);
    (void)drain_all(f, 1000);
    assert_int_equal(count_of(f, DATA_SPACE_STORES), 0);
    set(f, "again", "1", 0);
    assert_int_equal(count_of(f, "data/visits"), 1);
    must_be_exact(f->store);
}

/* More clearings than places, with nothing drained in between. */
static void clearing_goes_on_without_places(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < DATA_PLACES + 4; i++) {
        fill(f, 300, 0);
        assert_int_equal(must_do(f, asking(DATA_CLEAR, NULL, NULL)).number, 300);
        must_hold(f, "key-000001", NULL, NOW);
    }
    set(f, "last", "1", 0);
    assert_int_equal(count_of(f, DATA_SPACE_DROPPED), DATA_PLACES - 1);
    (void)drain_all(f, 1000);
    must_hold(f, "last", "1", NOW);
    assert_int_equal(totals_of(f, NULL), 1);
    must_be_exact(f->store);
}

static void swaps_are_exact(void **state)
{
    struct fixture *f = *state;
    struct data_request request = asking(DATA_COMPARE_AND_SET, "k", "1");
    assert_true(must_do(f, request).is_swapped);
    assert_false(must_do(f, request).is_swapped);
    request.expected = STR("[1]");
    assert_false(must_do(f, request).is_swapped);
    request.expected = STR(" 1.0 "); /* the same number */
    request.value = STR_NONE;
    assert_true(must_do(f, request).is_swapped);
    must_hold(f, "k", NULL, NOW);
    set(f, "k", "9223372036854775807", 0);
    must_fail(f, asking(DATA_INCREMENT, "k", NULL), RN_EINVAL, "would leave 64 bits");
    set(f, "k", "1.5", 0);
    must_fail(f, asking(DATA_INCREMENT, "k", NULL), RN_EINVAL, "its type is number");
}

/* ---- killed in the middle */

static int crash(const char *dir)
{
    struct fixture f = {.store = NULL};
    (void)snprintf(f.dir, sizeof(f.dir), "%s", dir);
    fixture_open(&f, NULL);
    fill(&f, MANY, 1000);
    (void)must_do(&f, asking(DATA_CLEAR, NULL, NULL));
    set(&f, "kept", "1", 0);
    (void)drain_all(&f, 100);
    store_close(f.store);
    return 0;
}

static void a_kill_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    /* Three commits fill, the fourth clears, the fifth sets; then 26 pieces. */
    static const char *const faults[] = {"store.commit:7", "store.committed:15", "store.apply:28"};
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        pid_t pid = fork();
        if (pid == 0) {
            setenv("RUNNEL_FAULT", faults[i], 1);
            execl("/proc/self/exe", "test", f->dir, (char *)NULL);
            _exit(127);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        fixture_open(f, NULL);
        must_hold(f, "kept", "1", NOW);
        must_hold(f, "key-000001", NULL, NOW);
        assert_int_equal(totals_of(f, NULL), 1);
        assert_true(has_old(f, NOW));
        (void)drain_all(f, 1000);
        assert_int_equal(count_of(f, DATA_SPACE_EXPIRY), 0);
        must_be_exact(f->store);
        (void)must_do(f, asking(DATA_CLEAR, NULL, NULL));
        store_close(f->store);
        f->store = NULL;
    }
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return crash(argv[1]);
#define STORE_TEST(name_) cmocka_unit_test_setup_teardown(name_, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(limits_are_kept),
        STORE_TEST(full_stores_take_no_more),
        STORE_TEST(pages_hold_each_record_once),
        STORE_TEST(times_end_records),
        STORE_TEST(the_sweep_goes_in_pieces),
        STORE_TEST(a_large_store_is_empty_at_once),
        STORE_TEST(clearing_goes_on_without_places),
        STORE_TEST(swaps_are_exact),
        cmocka_unit_test_setup_teardown(a_kill_leaves_nothing_behind, fixture_setup_dir,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
