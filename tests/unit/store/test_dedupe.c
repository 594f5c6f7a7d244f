/* What is emitted again and what is not, also after a restart and after an undone transaction. */
#include "unit/store/fixture.h"

struct ask {
    const char *emitter, *id;
    uint32_t remember;
    bool is_new;
    bool fails; /* after the id was remembered */
};

static int ask_unique(struct store_tx *tx, void *ctx, struct err *err)
{
    struct ask *ask = ctx;
    int rc = dedupe_unique(tx, str_from(ask->emitter), str_from(ask->id), ask->remember,
                           &ask->is_new, err);
    return rc || !ask->fails ? rc : err_set(err, RN_EFAILED, "on purpose");
}

static int ask_greatest(struct store_tx *tx, void *ctx, struct err *err)
{
    struct ask *ask = ctx;
    return dedupe_greatest(tx, str_from(ask->emitter), str_from(ask->id), &ask->is_new, err);
}

static bool is_new(struct store *store, const char *id, uint32_t remember)
{
    struct ask ask = {.emitter = "e", .id = id, .remember = remember};
    must_run(store, ask_unique, &ask);
    return ask.is_new;
}

static void test_first_in_first_out(void **state)
{
    struct fixture *f = *state;
    struct store *store = f->store;
    assert_true(is_new(store, "a", 3));
    assert_true(is_new(store, "b", 3));
    assert_true(is_new(store, "c", 3));
    assert_false(is_new(store, "a", 3)); /* which does not make it younger */
    assert_true(is_new(store, "d", 3));
    assert_false(is_new(store, "b", 3));
    assert_true(is_new(store, "a", 3));
    assert_true(is_new(store, "b", 3));
    must_be_exact(store);
    fixture_reopen(f, NULL);
    store = f->store;
    assert_false(is_new(store, "d", 3));
    assert_false(is_new(store, "a", 3));
    assert_false(is_new(store, "b", 3));
    assert_true(is_new(store, "c", 3));
    assert_true(is_new(store, "x", 1)); /* the limit was lowered */
    assert_true(is_new(store, "c", 3));
    assert_true(is_new(store, "", 3));
    assert_false(is_new(store, "", 3));
    must_be_exact(store);
    struct ask other = {.emitter = "other", .id = "c", .remember = 3};
    must_run(store, ask_unique, &other);
    assert_true(other.is_new);
}

static void test_many_ids(void **state)
{
    struct fixture *f = *state;
    char id[16];
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(id, sizeof(id), "%d", i % 1500);
        bool wanted = i < 1500;
        if (is_new(f->store, id, 1500) != wanted)
            fail_msg("%d", i);
    }
    for (int i = 1500; i < 1600; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        assert_true(is_new(f->store, id, 1500));
    }
    fixture_reopen(f, NULL);
    assert_true(is_new(f->store, "99", 1500));
    assert_false(is_new(f->store, "101", 1500)); /* 100 went for 99 */
    must_be_exact(f->store);
}

static void test_undone(void **state)
{
    struct fixture *f = *state;
    struct ask ask = {.emitter = "e", .id = "a", .remember = 3, .fails = true};
    struct err err = ERR_INIT;
    assert_int_equal(store_run(f->store, ask_unique, &ask, true, &err), RN_EFAILED);
    assert_string_equal(err.text, "on purpose");
    assert_true(is_new(f->store, "a", 3));
    must_be_exact(f->store);
}

static void test_too_long(void **state)
{
    struct fixture *f = *state;
    char id[400];
    memset(id, 'i', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    struct ask ask = {.emitter = "e", .id = id, .remember = 3};
    assert_int_equal(store_run(f->store, ask_unique, &ask, true, NULL), RN_ETOOBIG);
    id[LIMIT_EMIT_ID] = '\0';
    assert_true(is_new(f->store, id, 3));
    assert_false(is_new(f->store, id, 3));
}

static void test_greatest(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *number;
        int is_new; /* -1: no number */
    } cases[] = {
        {"-5", 1},
        {"-5.0", 0},
        {"-6", 0},
        {"-0.5e1", 0},
        {"-4.99999999999999999999999999", 1},
        {"-0", 1},
        {"0.000", 0},
        {"0e5", 0},
        {"1e-400", 1},
        {"0.01", 1},
        {"9007199254740992", 1},
        {"9007199254740993", 1},
        {"9007199254740992.999", 0},
        {"9007199254740993.0000000000000000000000001", 1},
        {"18446744073709551616", 1},
        {"1.8446744073709551616e19", 0},
        {"1.8446744073709551616001e+19", 1},
        {"1e400", 1},
        {"9e399", 0},
        {"10E399", 0},
        {"00010e400", 1},
        {"abc", -1},
        {"", -1},
        {"-", -1},
        {"1.", -1},
        {"1e", -1},
        {"1 ", -1},
        {"1e99999999999999999999", -1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ask ask = {.emitter = "e", .id = cases[i].number};
        int rc = store_run(f->store, ask_greatest, &ask, true, NULL);
        if (rc != (cases[i].is_new < 0 ? RN_EINVAL : 0) ||
            (rc == 0 && ask.is_new != (cases[i].is_new == 1)))
            fail_msg("%s: %d %d", cases[i].number, rc, ask.is_new);
    }
    must_be_exact(f->store);
}

struct last {
    struct buf id;
    const char *set;
};

static int last_swap(struct store_tx *tx, void *ctx, struct err *err)
{
    struct last *last = ctx;
    int rc = dedupe_last_get(tx, STR("e"), &last->id, err);
    return rc || !last->set ? rc : dedupe_last_set(tx, STR("e"), str_from(last->set), err);
}

static int forget(struct store_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    return dedupe_forget(tx, STR("e"), err);
}

static void test_last_and_forget(void **state)
{
    struct fixture *f = *state;
    struct last last = {.id = BUF_INIT(1000), .set = "one"};
    must_run(f->store, last_swap, &last);
    assert_string_equal(buf_c(&last.id), "");
    last.set = "two";
    must_run(f->store, last_swap, &last);
    assert_string_equal(buf_c(&last.id), "one");
    assert_true(is_new(f->store, "a", 3));
    must_run(f->store, forget, NULL);
    must_be_exact(f->store);
    last.set = NULL;
    must_run(f->store, last_swap, &last);
    assert_string_equal(buf_c(&last.id), "");
    assert_true(is_new(f->store, "a", 3));
    buf_release(&last.id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_in_first_out, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_many_ids, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_undone, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_too_long, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_greatest, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_last_and_forget, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
