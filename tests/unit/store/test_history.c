/* The bounds: pruning by bytes and by age, what must stay, the quota. */
#include "unit/store/fixture.h"

#define DAY_MS 86400000ll

static struct store_stats stats_of(struct store *store)
{
    struct store_stats stats;
    store_get_stats(store, &stats);
    return stats;
}

static bool has_event(struct store *store, uint64_t id)
{
    struct store_view *view = must_view(store);
    struct event_record record;
    int rc = event_get(STORE_VIEW(view), id, &record);
    store_view_end(view);
    return rc == 0;
}

static bool has_run(struct store *store, uint64_t id)
{
    struct store_view *view = must_view(store);
    struct run_record record;
    int rc = run_get(STORE_VIEW(view), id, &record);
    store_view_end(view);
    return rc == 0;
}

static void test_by_bytes(void **state)
{
    struct fixture *f = *state;
    struct store_options options = {.history_bytes = 200000};
    fixture_open(f, &options);
    struct put_event waiting = {.emitter = STR("e"), .workflow = STR("w"), .size = 1000};
    must_run(f->store, put_event_apply, &waiting);
    struct put_event put = waiting, first = {0}, last = {0};
    for (int i = 0; i < 500; i++) {
        must_run(f->store, put_event_apply, &put);
        must_run(f->store, finish_run_apply, &put);
        last = put;
        if (i == 0)
            first = put;
    }
    must_run(f->store, put_event_apply, &waiting);
    assert_int_equal(store_prune(f->store, NULL), 0);
    struct store_stats stats = stats_of(f->store);
    assert_true(stats.used_bytes < 210000);
    assert_true(stats.events > 50 && stats.events < 200); /* pruned, and no more than needed */
    assert_false(has_event(f->store, first.event_id));
    assert_false(has_run(f->store, first.run_id));
    assert_true(has_event(f->store, last.event_id));
    assert_true(has_run(f->store, last.run_id));
    assert_true(has_event(f->store, waiting.event_id));
    must_be_exact(f->store);

    /* What is freed late, and is older than all, is the next to go. */
    options.history_bytes = 1;
    fixture_reopen(f, &options);
    assert_int_equal(store_prune(f->store, NULL), 0);
    assert_int_equal(stats_of(f->store).events, 2);
    assert_int_equal(stats_of(f->store).runs, 0);
    must_run(f->store, finish_run_apply, &waiting);
    assert_int_equal(store_prune(f->store, NULL), 0);
    assert_false(has_event(f->store, waiting.event_id));
    assert_int_equal(stats_of(f->store).events, 1);
    must_be_exact(f->store);
}

static void test_by_age(void **state)
{
    struct fixture *f = *state;
    struct store_options options = {.history_age_ms = 3 * DAY_MS};
    int64_t now = 1700000000000;
    clock_fake(now);
    fixture_open(f, &options);
    struct put_event old = {.emitter = STR("e"), .workflow = STR("w"), .size = 100};
    struct put_event waiting = old, young = old;
    must_run(f->store, put_event_apply, &old);
    must_run(f->store, finish_run_apply, &old);
    must_run(f->store, put_event_apply, &waiting);
    clock_fake(now + 2 * DAY_MS);
    must_run(f->store, put_event_apply, &young);
    must_run(f->store, finish_run_apply, &young);
    assert_int_equal(store_prune(f->store, NULL), 0);
    assert_true(has_event(f->store, old.event_id));
    clock_fake(now + 3 * DAY_MS + 1);
    assert_int_equal(store_prune(f->store, NULL), 0);
    assert_false(has_event(f->store, old.event_id));
    assert_false(has_run(f->store, old.run_id));
    assert_true(has_event(f->store, waiting.event_id)); /* old, and needed */
    assert_true(has_event(f->store, young.event_id) && has_run(f->store, young.run_id));
    must_be_exact(f->store);
}

/* More than goes into one transaction, all of it due at once. */
static void test_many(void **state)
{
    struct fixture *f = *state;
    clock_fake(1700000000000);
    struct store_options options = {.history_age_ms = DAY_MS};
    fixture_open(f, &options);
    struct put_event put = {.emitter = STR("e"), .workflow = STR("w"), .size = 100};
    for (int i = 0; i < 400; i++) {
        must_run(f->store, put_event_apply, &put);
        if (i % 2)
            must_run(f->store, finish_run_apply, &put);
    }
    clock_fake(1700000000000 + 2 * DAY_MS);
    assert_int_equal(store_prune(f->store, NULL), 0);
    assert_int_equal(stats_of(f->store).events, 200);
    assert_int_equal(stats_of(f->store).runs, 0);
    must_be_exact(f->store);
}

static int late_step(struct store_tx *tx, void *ctx, struct err *err)
{
    struct step_record step = {
        .run_id = *(uint64_t *)ctx, .position = 1, .attempt = 1, .result = STR("late")};
    return step_put_result(tx, &step, err);
}

static void test_step_after_its_run(void **state)
{
    struct fixture *f = *state;
    fixture_open(f, NULL);
    uint64_t run = 12345;
    must_run(f->store, late_step, &run);
    must_be_exact(f->store);
    assert_true(stats_of(f->store).used_bytes > 0);
    assert_int_equal(store_prune(f->store, NULL), 0);
    assert_int_equal(stats_of(f->store).used_bytes, 0);
}

static void test_quota(void **state)
{
    struct fixture *f = *state;
    struct store_options options = {.quota_bytes = MIB(1)};
    fixture_open(f, &options);
    /* Queued events are not history: they fill the store. */
    struct put_event puts[200];
    struct err err = ERR_INIT;
    int count = 0, rc = 0;
    while (count < (int)COUNT_OF(puts)) {
        puts[count] = (struct put_event){.emitter = STR("e"), .workflow = STR("w"), .size = 10000};
        rc = store_run(f->store, put_event_apply, &puts[count], true, &err);
        if (rc)
            break;
        count++;
    }
    assert_int_equal(rc, RN_ENOSPACE);
    assert_non_null(strstr(err.text, "quota"));
    assert_true(count > 50);
    struct store_stats stats = stats_of(f->store);
    assert_true(stats.is_full);
    assert_true(stats.used_bytes < MIB(1) + 20000);
    assert_int_equal(stats.events, count);

    /* Running work goes on; what it frees is pruned, though history is far below its own share, and
     * new work comes in again. */
    for (int i = 0; i < count / 2; i++)
        must_run(f->store, finish_run_apply, &puts[i]);
    assert_int_equal(store_prune(f->store, NULL), 0);
    stats = stats_of(f->store);
    assert_true(stats.events < (uint64_t)count);
    assert_int_equal(store_run(f->store, put_event_apply, &puts[count], true, &err), 0);
    must_be_exact(f->store);
}

/* With history to give up, the quota is never met. */
static void test_quota_with_history(void **state)
{
    struct fixture *f = *state;
    struct store_options options = {.quota_bytes = MIB(1)};
    fixture_open(f, &options);
    struct put_event put = {.emitter = STR("e"), .workflow = STR("w"), .size = 10000};
    for (int i = 0; i < 500; i++) {
        struct err err = ERR_INIT;
        if (store_run(f->store, put_event_apply, &put, true, &err))
            fail_msg("%d: %s", i, err.text);
        must_run(f->store, finish_run_apply, &put);
    }
    assert_true(stats_of(f->store).used_bytes < MIB(1));
    must_be_exact(f->store);
    assert_true(stats_of(f->store).file_bytes < MIB(8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_bytes, fixture_setup_dir, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_by_age, fixture_setup_dir, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_many, fixture_setup_dir, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_step_after_its_run, fixture_setup_dir,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_quota, fixture_setup_dir, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_quota_with_history, fixture_setup_dir,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
