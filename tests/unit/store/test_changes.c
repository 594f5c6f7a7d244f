/* What a stream follows: changes in the order of the commits, merged within a transaction, bounded;
 * and the walks forward over events and backward over queues. */
#include "unit/store/fixture.h"

struct seen {
    struct buf text;
    uint64_t last;
    size_t count;
};

static int see_change(void *ctx, const struct change *change)
{
    struct seen *seen = ctx;
    seen->last = change->sequence;
    seen->count++;
    if (change->kind == CHANGE_LOG)
        buf_addf(&seen->text, "log:" STR_FMT ";", STR_ARG(change->key));
    else
        buf_addf(&seen->text, "run%llu:%u.%u;", (unsigned long long)change->run_id,
                 change->position, change->attempt);
    return 0;
}

static int put_run(struct store_tx *tx, uint64_t id, enum run_phase phase, struct err *err)
{
    struct run_record run = {
        .id = id, .phase = phase, .workflow = STR("w"), .status = STR("s"), .detail = STR("{}")};
    return run_put(tx, &run, err);
}

static int one_commit(struct store_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    struct step_record step = {
        .run_id = 7, .position = 2, .attempt = 3, .intent = STR("{}"), .result = STR("{}")};
    int rc = put_run(tx, 7, RUN_LIVE, err);
    rc = rc ? rc : put_run(tx, 7, RUN_LIVE, err); /* nothing new to say */
    rc = rc ? rc : step_put_intent(tx, &step, err);
    rc = rc ? rc : step_put_result(tx, &step, err);
    rc = rc ? rc : put_run(tx, 7, RUN_ENDED, err);
    rc = rc ? rc
            : change_note_log(tx,
                              STR("x\x01"
                                  "0001"),
                              err);
    return rc ? rc : put_run(tx, 7, RUN_ENDED, err);
}

static void read_all(struct store *store, uint64_t after, size_t limit, struct seen *seen)
{
    struct store_view *view = must_view(store);
    buf_clear(&seen->text);
    seen->count = 0;
    assert_int_equal(change_each(STORE_VIEW(view), after, limit, see_change, seen), 0);
    store_view_end(view);
}

static void test_changes(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.text = BUF_INIT(1000)};
    must_run(f->store, one_commit, NULL);
    read_all(f->store, 0, 100, &seen);
    assert_string_equal(buf_c(&seen.text), "run7:0.0;run7:2.3;log:x\x01"
                                           "0001;run7:0.0;");
    read_all(f->store, 2, 1, &seen);
    assert_string_equal(buf_c(&seen.text), "log:x\x01"
                                           "0001;");
    fixture_reopen(f, NULL);
    must_run(f->store, one_commit, NULL);
    read_all(f->store, 4, 100, &seen);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.last, 8);
    must_be_exact(f->store);
    buf_release(&seen.text);
}

static int many(struct store_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    int rc = 0;
    for (int i = 0; i < 10000 && !rc; i++)
        rc = change_note_log(tx, STR("k"), err);
    return rc;
}

static void test_only_the_newest_stay(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.text = BUF_INIT(1)};
    struct store_marks marks;
    for (int i = 0; i < 10; i++)
        must_run(f->store, many, NULL);
    read_all(f->store, 0, SIZE_MAX, &seen);
    assert_true(seen.count >= LIMIT_CHANGES && seen.count < LIMIT_CHANGES + 1000);
    assert_int_equal(seen.last, 100000);
    struct store_view *view = must_view(f->store);
    assert_int_equal(store_get_marks(STORE_VIEW(view), &marks), 0);
    store_view_end(view);
    assert_int_equal(marks.change, 100000);
    assert_int_equal(marks.change - marks.first_change + 1, seen.count);
    must_be_exact(f->store);
    buf_release(&seen.text);
}

struct ids {
    uint64_t events[6], runs[6];
    size_t count;
};

static int fill(struct store_tx *tx, void *ctx, struct err *err)
{
    struct ids *ids = ctx;
    int rc = 0;
    for (int i = 0; i < 6 && !rc; i++) {
        struct event_record event = {.emitter = STR("e"), .event = STR("{}")};
        rc = event_put(tx, &event, err);
        struct queue_entry entry = {
            .event_id = event.id, .workflow = i % 2 ? STR("a") : STR("b"), .detail = STR("{}")};
        rc = rc ? rc : queue_push(tx, &entry, err);
        ids->events[i] = event.id;
        ids->runs[i] = entry.run_id;
    }
    return rc;
}

static int see_event(void *ctx, const struct event_record *record)
{
    struct ids *ids = ctx;
    ids->events[ids->count++] = record->id;
    return 0;
}

static int see_entry(void *ctx, const struct queue_entry *entry)
{
    struct ids *ids = ctx;
    ids->runs[ids->count++] = entry->run_id;
    return 0;
}

static void test_walks(void **state)
{
    struct fixture *f = *state;
    struct ids ids = {0}, got = {0};
    must_run(f->store, fill, &ids);
    struct store_view *view = must_view(f->store);
    assert_int_equal(event_each_after(STORE_VIEW(view), ids.events[3], 10, see_event, &got), 0);
    assert_int_equal(got.count, 2);
    assert_true(got.events[0] == ids.events[4] && got.events[1] == ids.events[5]);
    got.count = 0;
    assert_int_equal(
        queue_each_newest(STORE_VIEW(view), STR("a"), ids.runs[5], 10, see_entry, &got), 0);
    assert_int_equal(got.count, 2);
    assert_true(got.runs[0] == ids.runs[3] && got.runs[1] == ids.runs[1]);
    got.count = 0;
    assert_int_equal(queue_each_newest(STORE_VIEW(view), STR("a"), 0, 1, see_entry, &got), 0);
    assert_true(got.count == 1 && got.runs[0] == ids.runs[5]);
    store_view_end(view);
}

static atomic_int commits_seen;

static void saw_commit(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&commits_seen, 1);
}

static void test_watch(void **state)
{
    struct fixture *f = *state;
    struct store_stats stats;
    struct ids ids;
    store_watch(f->store, saw_commit, NULL);
    must_run(f->store, fill, &ids);
    assert_true(atomic_load(&commits_seen) >= 1);
    store_get_stats(f->store, &stats);
    uint64_t sum = 0;
    for (int i = 0; i < STORE_COMMIT_BUCKETS; i++)
        sum += stats.commit_buckets[i];
    assert_int_equal(sum, stats.commits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_changes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_only_the_newest_stay, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_walks, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_watch, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
