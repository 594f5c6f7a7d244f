/* A store in a folder of its own, and short ways to write to it, for the tests of the room. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/private.h"

#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    struct store *store;
};

static inline void fixture_dir(struct fixture *f)
{
    const char *temp = getenv("TMPDIR");
    (void)snprintf(f->dir, sizeof(f->dir), "%s/runnel-store-XXXXXX",
                   temp && strlen(temp) < 30 ? temp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
}

static inline void fixture_open(struct fixture *f, const struct store_options *options)
{
    struct err err = ERR_INIT;
    if (store_open(f->dir, options, &f->store, &err))
        fail_msg("store_open: %s", err.text);
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    fixture_dir(f);
    fixture_open(f, NULL);
    *state = f;
    return 0;
}

/* A folder without a store. */
static inline int fixture_setup_dir(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    fixture_dir(f);
    *state = f;
    return 0;
}

static inline int fixture_remove(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    clock_fake(-1);
    store_close(f->store);
    (void)nftw(f->dir, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static inline void fixture_reopen(struct fixture *f, const struct store_options *options)
{
    store_close(f->store);
    f->store = NULL;
    fixture_open(f, options);
}

/* Runs `apply` and wants it to go well. */
static inline void must_run(struct store *store,
                            int (*apply)(struct store_tx *, void *, struct err *), void *ctx)
{
    struct err err = ERR_INIT;
    if (store_run(store, apply, ctx, false, &err))
        fail_msg("store_run: %s", err.text);
}

static inline struct store_view *must_view(struct store *store)
{
    struct store_view *view = NULL;
    assert_int_equal(store_view_begin(store, &view, NULL), 0);
    return view;
}

/* The books against the records: every count and byte that the store keeps is what a walk over its
 * tables finds. */
static inline void must_be_exact(struct store *store)
{
    struct store_view *view = must_view(store);
    struct store_reader reader = STORE_VIEW(view);
    uint64_t counts[TABLE_COUNT] = {0}, used = 0, history = 0, live = 0;
    struct str key, value;
    for (int table = TABLE_NAMES; table < TABLE_COUNT; table++) {
        struct table_walk walk;
        assert_int_equal(
            table_walk_init(&walk, reader, (enum table)table, STR_NONE, STR_NONE, false), 0);
        while (table_walk_next(&walk, &key, &value) == 0) {
            uint64_t bytes = table_footprint(key.len, value.len);
            counts[table]++;
            used += table == TABLE_CHANGES ? 0 : bytes; /* a ring: not counted */
            struct run_record run;
            if (table == TABLE_EVENTS) {
                struct table_walk needs;
                struct str k, v;
                assert_int_equal(table_walk_init(&needs, reader, TABLE_LIVE, key, key, false), 0);
                if (table_walk_next(&needs, &k, &v) == RN_ENOTFOUND)
                    history += event_footprint(value.len);
                table_walk_release(&needs);
            } else if (table == TABLE_RUNS) {
                assert_int_equal(run_get(reader, get_u64(key.ptr), &run), 0);
                live += run.phase == RUN_LIVE;
                if (run.phase == RUN_ENDED)
                    history += bytes + table_footprint(KEY_NAMED, 0);
            } else if (table == TABLE_STEPS && run_get(reader, get_u64(key.ptr), &run) == 0 &&
                       run.phase == RUN_ENDED) {
                history += bytes;
            }
        }
        table_walk_release(&walk);
    }
    struct store_meta meta;
    assert_int_equal(table_get(reader, TABLE_META, STR("store"), &value), 0);
    assert_int_equal(value.len, sizeof(meta));
    memcpy(&meta, value.ptr, sizeof(meta));
    store_view_end(view);
    assert_int_equal(meta.used_bytes, used);
    assert_int_equal(meta.history_bytes, history);
    assert_int_equal(meta.events, counts[TABLE_EVENTS]);
    assert_int_equal(meta.events, counts[TABLE_EMITTERS]);
    assert_int_equal(meta.runs, counts[TABLE_RUNS]);
    assert_int_equal(meta.runs, counts[TABLE_WORKFLOWS]);
    assert_int_equal(meta.queued, counts[TABLE_QUEUE]);
    assert_int_equal(meta.live, live);
}

/* An event with `size` bytes of text; its queue entry if `workflow` is set. Ids come back. */
struct put_event {
    struct str emitter, emit_id, workflow;
    size_t size;
    uint64_t event_id, run_id;
};

static inline int put_event_apply(struct store_tx *tx, void *ctx, struct err *err)
{
    struct put_event *put = ctx;
    char *text = xcalloc(1, put->size + 1);
    memset(text, 'x', put->size);
    struct event_record record = {.ts = 1,
                                  .received_ms = 2,
                                  .emitter = put->emitter,
                                  .emit_id = put->emit_id,
                                  .event = str_n(text, put->size)};
    int rc = event_put(tx, &record, err);
    put->event_id = record.id;
    if (!rc && put->workflow.len) {
        struct queue_entry entry = {
            .event_id = record.id, .workflow = put->workflow, .detail = STR("{}")};
        rc = queue_push(tx, &entry, err);
        put->run_id = entry.run_id;
    }
    free(text);
    return rc;
}

/* Takes the run out of the queue, gives it a step, ends it. */
static inline int finish_run_apply(struct store_tx *tx, void *ctx, struct err *err)
{
    struct put_event *put = ctx;
    struct run_record run = {.id = put->run_id,
                             .event_id = put->event_id,
                             .phase = RUN_LIVE,
                             .workflow = put->workflow,
                             .status = STR("running"),
                             .detail = STR("{}")};
    struct step_record step = {.run_id = put->run_id,
                               .position = 1,
                               .attempt = 1,
                               .intent = STR("{\"a\":1}"),
                               .result = STR("{\"b\":2}")};
    int rc = queue_remove(tx, put->workflow, put->run_id, err);
    if (!rc)
        rc = run_put(tx, &run, err);
    if (!rc)
        rc = step_put_intent(tx, &step, err);
    if (!rc)
        rc = step_put_result(tx, &step, err);
    run.phase = RUN_ENDED;
    run.status = STR("succeeded");
    return rc ? rc : run_put(tx, &run, err);
}

#endif
