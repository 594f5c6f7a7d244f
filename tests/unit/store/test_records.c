/* What goes in comes out: kv, events, queue, runs, steps; and the books are exact after each. */
#include "unit/store/fixture.h"

static struct fixture *fix(void **state)
{
    return *state;
}

/* Texts seen by an `each`, joined. */
struct seen {
    struct buf text;
    int stop_after;
};

static int see(struct seen *seen, struct str a, struct str b)
{
    buf_addf(&seen->text, "%.*s=%.*s;", STR_ARG(a), STR_ARG(b));
    return --seen->stop_after == 0 ? 7 : 0;
}

/* ---- kv */

static int see_kv(void *ctx, struct str key, struct str value)
{
    return see(ctx, key, value);
}

static int kv_write(struct store_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    int rc = kv_put(tx, "space", STR("b"), STR("2"), err);
    if (!rc)
        rc = kv_put(tx, "space", STR("a"), STR("1"), err);
    if (!rc)
        rc = kv_put(tx, "space", STR("a"), STR("one"), err);
    if (!rc)
        rc = kv_put(tx, "spac", STR("ea"), STR("other"), err);
    if (!rc)
        rc = kv_put(tx, "space", STR("c\0d"), STR_NONE, err);
    if (!rc)
        rc = kv_delete(tx, "space", STR("absent"), err);
    struct str value;
    if (!rc)
        rc = kv_get(STORE_TX(tx), "space", STR("a"), &value);
    assert_true(str_eq_c(value, "one"));
    return rc;
}

static int kv_remove(struct store_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    int rc = kv_delete(tx, "space", STR("b"), err);
    return rc ? rc : kv_delete_space(tx, "spac", err);
}

static int kv_long(struct store_tx *tx, void *ctx, struct err *err)
{
    size_t *size = ctx;
    char key[600];
    memset(key, 'k', sizeof(key));
    return kv_put(tx, "space", str_n(key, *size), STR("long"), err);
}

static int kv_self(struct store_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    struct str value;
    int rc = kv_get(STORE_TX(tx), "space", STR("a"), &value);
    return rc ? rc : kv_put(tx, "space", STR("a"), str_n(value.ptr + 1, value.len - 1), err);
}

static void test_kv(void **state)
{
    struct store *store = fix(state)->store;
    must_run(store, kv_write, NULL);
    must_be_exact(store);
    struct store_view *view = must_view(store);
    struct seen seen = {.text = BUF_INIT(1000)};
    assert_int_equal(kv_each(STORE_VIEW(view), "space", see_kv, &seen), 0);
    assert_memory_equal(buf_c(&seen.text), "a=one;b=2;c\0d=;", 9);
    seen.stop_after = 1;
    buf_clear(&seen.text);
    assert_int_equal(kv_each(STORE_VIEW(view), "space", see_kv, &seen), 7);
    assert_string_equal(buf_c(&seen.text), "a=one;");
    assert_int_equal(kv_each(STORE_VIEW(view), "unheard", see_kv, &seen), 0);
    struct str value;
    assert_int_equal(kv_get(STORE_VIEW(view), "space", STR("x"), &value), RN_ENOTFOUND);
    assert_int_equal(kv_get(STORE_VIEW(view), "space", STR("c\0d"), &value), 0);
    assert_int_equal(value.len, 0);
    store_view_end(view);

    must_run(store, kv_remove, NULL);
    must_run(store, kv_self, NULL);
    must_be_exact(store);
    view = must_view(store);
    assert_int_equal(kv_get(STORE_VIEW(view), "space", STR("b"), &value), RN_ENOTFOUND);
    assert_int_equal(kv_get(STORE_VIEW(view), "spac", STR("ea"), &value), RN_ENOTFOUND);
    assert_int_equal(kv_get(STORE_VIEW(view), "space", STR("a"), &value), 0);
    assert_true(str_eq_c(value, "ne"));
    store_view_end(view);
    buf_release(&seen.text);
}

static void test_kv_long_keys(void **state)
{
    struct store *store = fix(state)->store;
    size_t size = LIMIT_DB_KEY;
    must_run(store, kv_long, &size);
    size = 500;
    must_run(store, kv_long, &size);
    size = 600;
    struct err err = ERR_INIT;
    assert_int_equal(store_run(store, kv_long, &size, false, &err), RN_ETOOBIG);
    assert_non_null(strstr(err.text, "600 bytes"));
    must_be_exact(store);
}

/* ---- events */

static int see_event(void *ctx, const struct event_record *record)
{
    return see(ctx, record->emitter, record->summary);
}

static int events_write(struct store_tx *tx, void *ctx, struct err *err)
{
    uint64_t *ids = ctx;
    static const char *const emitters[] = {"one", "two", "one"};
    static const char *const summaries[] = {"1", "2", "3"};
    for (int i = 0; i < 3; i++) {
        struct event_record record = {.ts = -5,
                                      .received_ms = 77,
                                      .emitter = str_from(emitters[i]),
                                      .emit_id = STR("id\0x"),
                                      .name = STR("channel"),
                                      .summary = str_from(summaries[i]),
                                      .event = STR("{\"n\":12345678901234567890}"),
                                      .raw = STR("\x00\xff\x01")};
        if (i == 2)
            record.raw = str_n(record.event.ptr + 5, 20);
        int rc = event_put(tx, &record, err);
        if (rc)
            return rc;
        ids[i] = record.id;
    }
    return 0;
}

static void test_events(void **state)
{
    struct store *store = fix(state)->store;
    uint64_t ids[3];
    must_run(store, events_write, ids);
    assert_true(ids[0] < ids[1] && ids[1] < ids[2]);
    must_be_exact(store);
    struct store_view *view = must_view(store);
    struct event_record record;
    assert_int_equal(event_get(STORE_VIEW(view), ids[1], &record), 0);
    assert_int_equal(record.ts, -5);
    assert_int_equal(record.received_ms, 77);
    assert_true(str_eq_c(record.emitter, "two"));
    assert_true(str_eq(record.emit_id, STR("id\0x")));
    assert_true(str_eq_c(record.name, "channel"));
    assert_true(str_eq_c(record.event, "{\"n\":12345678901234567890}"));
    assert_true(str_eq(record.raw, STR("\x00\xff\x01")));
    assert_int_equal(event_get(STORE_VIEW(view), 5, &record), RN_ENOTFOUND);

    assert_int_equal(event_get(STORE_VIEW(view), ids[2], &record), 0);
    assert_true(str_eq(record.raw, STR("12345678901234567890")));
    assert_ptr_equal(record.raw.ptr, record.event.ptr + 5);

    struct seen seen = {.text = BUF_INIT(1000)};
    struct {
        struct str emitter;
        uint64_t before;
        size_t limit;
        const char *wanted;
    } const cases[] = {
        {STR_NONE, 0, 10, "one=3;two=2;one=1;"},
        {STR_NONE, 0, 2, "one=3;two=2;"},
        {STR_NONE, ids[2], 10, "two=2;one=1;"},
        {STR("one"), 0, 10, "one=3;one=1;"},
        {STR("one"), ids[2], 10, "one=1;"},
        {STR("one"), ids[0], 10, ""},
        {STR("nobody"), 0, 10, ""},
        {STR("two"), 0, 10, "two=2;"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buf_clear(&seen.text);
        assert_int_equal(event_each(STORE_VIEW(view), cases[i].emitter, cases[i].before,
                                    cases[i].limit, see_event, &seen),
                         0);
        assert_string_equal(buf_c(&seen.text), cases[i].wanted);
    }
    store_view_end(view);
    buf_release(&seen.text);
}

static int event_remove(struct store_tx *tx, void *ctx, struct err *err)
{
    return event_delete(tx, *(uint64_t *)ctx, err);
}

static int forget(struct store_tx *tx, void *ctx, struct err *err)
{
    struct put_event *put = ctx;
    int rc = queue_remove(tx, put->workflow, put->run_id, err);
    return rc ? rc : run_forget(tx, put->event_id, put->run_id, err);
}

static void test_event_delete(void **state)
{
    struct store *store = fix(state)->store;
    struct put_event put = {.emitter = STR("e"), .workflow = STR("w"), .size = 5000};
    must_run(store, put_event_apply, &put);
    must_be_exact(store);
    struct err err = ERR_INIT;
    assert_int_equal(store_run(store, event_remove, &put.event_id, false, &err), RN_EEXISTS);
    must_run(store, forget, &put);
    must_be_exact(store);
    must_run(store, event_remove, &put.event_id);
    must_be_exact(store);
    assert_int_equal(store_run(store, event_remove, &put.event_id, false, &err), RN_ENOTFOUND);
    struct store_stats stats;
    store_get_stats(store, &stats);
    assert_int_equal(stats.events, 0);
}

/* ---- queue */

static int see_entry(void *ctx, const struct queue_entry *entry)
{
    return see(ctx, entry->workflow, entry->detail);
}

static int see_workflow(void *ctx, struct str workflow)
{
    return see(ctx, workflow, STR_NONE);
}

struct queue_ids {
    uint64_t event, runs[4];
};

static int queue_write(struct store_tx *tx, void *ctx, struct err *err)
{
    struct queue_ids *ids = ctx;
    struct event_record record = {.emitter = STR("e"), .event = STR("1")};
    int rc = event_put(tx, &record, err);
    ids->event = record.id;
    static const char *const workflows[] = {"w1", "w2", "w1", "w1"};
    static const char *const details[] = {"a", "b", "c", "d"};
    for (int i = 0; !rc && i < 4; i++) {
        struct queue_entry entry = {.event_id = record.id,
                                    .workflow = str_from(workflows[i]),
                                    .detail = str_from(details[i])};
        rc = queue_push(tx, &entry, err);
        ids->runs[i] = entry.run_id;
    }
    return rc;
}

static int queue_drop(struct store_tx *tx, void *ctx, struct err *err)
{
    struct queue_ids *ids = ctx;
    int rc = queue_remove(tx, STR("w2"), ids->runs[1], err);
    if (!rc)
        rc = run_forget(tx, ids->event, ids->runs[1], err);
    return rc;
}

static int queue_push_lost(struct store_tx *tx, void *ctx, struct err *err)
{
    (void)ctx;
    struct queue_entry entry = {.event_id = 99, .workflow = STR("w1"), .detail = STR("{}")};
    return queue_push(tx, &entry, err);
}

static void test_queue(void **state)
{
    struct store *store = fix(state)->store;
    struct queue_ids ids;
    must_run(store, queue_write, &ids);
    must_be_exact(store);
    struct store_view *view = must_view(store);
    struct store_reader reader = STORE_VIEW(view);
    struct seen seen = {.text = BUF_INIT(1000)};
    assert_int_equal(queue_each(reader, STR("w1"), 0, 10, see_entry, &seen), 0);
    assert_string_equal(buf_c(&seen.text), "w1=a;w1=c;w1=d;");
    buf_clear(&seen.text);
    assert_int_equal(queue_each(reader, STR("w1"), ids.runs[0], 1, see_entry, &seen), 0);
    assert_string_equal(buf_c(&seen.text), "w1=c;");
    buf_clear(&seen.text);
    assert_int_equal(queue_workflows(reader, see_workflow, &seen), 0);
    assert_string_equal(buf_c(&seen.text), "w1=;w2=;");
    assert_int_equal(queue_count(reader, STR("w1")), 3);
    assert_int_equal(queue_count(reader, STR("w9")), 0);
    assert_int_equal(queue_count(reader, STR_NONE), 4);
    struct queue_entry entry;
    assert_int_equal(queue_get(reader, STR("w2"), ids.runs[1], &entry), 0);
    assert_true(str_eq_c(entry.workflow, "w2") && str_eq_c(entry.detail, "b"));
    assert_int_equal(entry.event_id, ids.event);
    assert_int_equal(queue_get(reader, STR("w1"), ids.runs[1], &entry), RN_ENOTFOUND);
    store_view_end(view);

    must_run(store, queue_drop, &ids);
    must_be_exact(store);
    struct err err = ERR_INIT;
    assert_int_equal(store_run(store, queue_drop, &ids, false, &err), RN_ENOTFOUND);
    assert_int_equal(store_run(store, queue_push_lost, NULL, false, &err), RN_ENOTFOUND);
    must_be_exact(store);
    view = must_view(store);
    buf_clear(&seen.text);
    assert_int_equal(queue_workflows(STORE_VIEW(view), see_workflow, &seen), 0);
    assert_string_equal(buf_c(&seen.text), "w1=;");
    store_view_end(view);
    buf_release(&seen.text);
}

/* ---- runs and steps */

static int see_run(void *ctx, const struct run_record *record)
{
    return see(ctx, record->workflow, record->status);
}

static int see_step(void *ctx, const struct step_record *record)
{
    struct seen *seen = ctx;
    buf_addf(&seen->text, "%u.%u" STR_FMT " ", record->position, record->attempt,
             STR_ARG(record->sends));
    return see(ctx, record->intent, record->result);
}

static int see_outcome(void *ctx, const struct step_record *record, uint32_t index, struct str text)
{
    struct seen *seen = ctx;
    buf_addf(&seen->text, "%u.%u.%u " STR_FMT " ", record->position, record->attempt, index,
             STR_ARG(text));
    return see(ctx, STR_NONE, STR_NONE);
}

static int runs_write(struct store_tx *tx, void *ctx, struct err *err)
{
    uint64_t *ids = ctx;
    static const char *const workflows[] = {"w1", "w2", "w1"};
    int rc = 0;
    for (int i = 0; !rc && i < 3; i++) {
        struct run_record run = {.id = run_new_id(tx),
                                 .workflow = str_from(workflows[i]),
                                 .status = STR("running"),
                                 .detail = STR("{}")};
        rc = run_put(tx, &run, err);
        ids[i] = run.id;
    }
    return rc;
}

static int run_end(struct store_tx *tx, void *ctx, struct err *err)
{
    struct run_record run;
    int rc = run_get(STORE_TX(tx), *(uint64_t *)ctx, &run);
    run.phase = RUN_ENDED;
    run.status = STR("failed");
    return rc ? rc : run_put(tx, &run, err); /* the other texts are still those in the map */
}

static int run_again(struct store_tx *tx, void *ctx, struct err *err)
{
    struct run_record run;
    int rc = run_get(STORE_TX(tx), *(uint64_t *)ctx, &run);
    run.phase = RUN_LIVE;
    run.status = STR("running");
    return rc ? rc : run_put(tx, &run, err);
}

static int steps_write(struct store_tx *tx, void *ctx, struct err *err)
{
    uint64_t run = *(uint64_t *)ctx;
    const struct step_record steps[] = {
        {run, 2, 1, STR("i21"), STR_NONE, STR_NONE},
        {run, 1, 2, STR("i12"), STR("r12"), STR("s12")},
        {run, 1, 1, STR("i11"), STR("r11"), STR_NONE},
    };
    int rc = 0;
    for (size_t i = 0; !rc && i < COUNT_OF(steps); i++) {
        rc = step_put_intent(tx, &steps[i], err);
        if (!rc && steps[i].result.len)
            rc = step_put_result(tx, &steps[i], err);
        if (!rc && steps[i].sends.len)
            rc = step_put_sends(tx, &steps[i], err);
    }
    rc = rc ? rc : step_put_outcome(tx, &steps[1], 7, STR("o1"), err);
    rc = rc ? rc : step_put_outcome(tx, &steps[1], 0, STR("an older one"), err);
    return rc ? rc : step_put_outcome(tx, &steps[1], 0, STR("o2"), err);
}

static void test_runs(void **state)
{
    struct store *store = fix(state)->store;
    uint64_t ids[3];
    must_run(store, runs_write, ids);
    must_be_exact(store);
    must_run(store, steps_write, &ids[0]);
    must_be_exact(store);
    must_run(store, run_end, &ids[0]);
    must_be_exact(store);
    must_run(store, steps_write, &ids[0]); /* the last word of a cancelled call */
    must_be_exact(store);

    struct store_view *view = must_view(store);
    struct store_reader reader = STORE_VIEW(view);
    struct seen seen = {.text = BUF_INIT(1000)};
    struct {
        struct str workflow, status;
        uint64_t before;
        size_t limit;
        const char *wanted;
    } const cases[] = {
        {STR_NONE, STR_NONE, 0, 9, "w1=running;w2=running;w1=failed;"},
        {STR("w1"), STR_NONE, 0, 9, "w1=running;w1=failed;"},
        {STR("w1"), STR("failed"), 0, 1, "w1=failed;"},
        {STR_NONE, STR("running"), ids[2], 9, "w2=running;"},
        {STR("w9"), STR_NONE, 0, 9, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buf_clear(&seen.text);
        assert_int_equal(run_each(reader, cases[i].workflow, cases[i].status, cases[i].before,
                                  cases[i].limit, see_run, &seen),
                         0);
        assert_string_equal(buf_c(&seen.text), cases[i].wanted);
    }
    buf_clear(&seen.text);
    assert_int_equal(run_each_live(reader, see_run, &seen), 0);
    assert_string_equal(buf_c(&seen.text), "w2=running;w1=running;");
    buf_clear(&seen.text);
    assert_int_equal(step_each(reader, ids[0], see_step, &seen), 0);
    assert_string_equal(buf_c(&seen.text), "1.1 i11=r11;1.2s12 i12=r12;2.1 i21=;");
    buf_clear(&seen.text);
    assert_int_equal(step_each_outcome(reader, ids[0], see_outcome, &seen), 0);
    assert_string_equal(buf_c(&seen.text), "1.2.0 o2 =;1.2.7 o1 =;");
    struct run_record run;
    assert_int_equal(run_get(reader, ids[0], &run), 0);
    assert_true(run.phase == RUN_ENDED && str_eq_c(run.detail, "{}"));
    assert_int_equal(run_get(reader, 1, &run), RN_ENOTFOUND);
    store_view_end(view);

    must_run(store, run_again, &ids[0]);
    must_be_exact(store);
    must_run(store, run_end, &ids[0]);
    must_be_exact(store);
    buf_release(&seen.text);
}

static void test_queue_to_history(void **state)
{
    struct store *store = fix(state)->store;
    struct put_event put = {.emitter = STR("e"), .workflow = STR("w"), .size = 3000};
    must_run(store, put_event_apply, &put);
    must_run(store, finish_run_apply, &put);
    must_be_exact(store);
    struct store_stats stats;
    store_get_stats(store, &stats);
    assert_int_equal(stats.queued + stats.live, 0);
    assert_int_equal(stats.runs, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kv, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_kv_long_keys, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_events, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_event_delete, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_queue, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_runs, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_queue_to_history, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
