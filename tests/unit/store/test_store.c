/* Opening what is and what is not a store, the lock, views, the writer's rules. */
#include "unit/store/fixture.h"

#include <fcntl.h>

static void write_file(struct fixture *f, const char *name, const void *data, size_t size)
{
    char *path = xasprintf("%s/%s", f->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
    free(path);
}

static void must_refuse(struct fixture *f, int code, const char *text)
{
    struct err err = ERR_INIT;
    struct store *store = NULL;
    int rc = store_open(f->dir, NULL, &store, &err);
    if (rc != code || !strstr(err.text, text))
        fail_msg("got %d: %s", rc, err.text);
    assert_null(store);
}

static void test_garbage(void **state)
{
    struct fixture *f = *state;
    char *folder = xasprintf("%s/store", f->dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    free(folder);
    static const char garbage[10000] = "PK\3\4 something else";
    write_file(f, "store/data.mdb", garbage, sizeof(garbage));
    must_refuse(f, RN_EPROTOCOL, "is not a runnel store");
    write_file(f, "store/data.mdb", garbage, 3);
    must_refuse(f, RN_EPROTOCOL, "is not a runnel store");
    write_file(f, "store/data.mdb", "", 0); /* made, and the disk was full: begun anew */
    fixture_open(f, NULL);
}

static void test_other_program(void **state)
{
    struct fixture *f = *state;
    char *folder = xasprintf("%s/store", f->dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    MDB_val val = {.mv_size = 1, .mv_data = (char[]){"x"}};
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, folder, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &val, &val, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    free(folder);
    must_refuse(f, RN_EPROTOCOL, "database of another program");
}

static int write_schema(struct store_tx *tx, void *ctx, struct err *err)
{
    (void)err;
    tx->meta.schema = *(uint32_t *)ctx;
    tx->writes++;
    return 0;
}

static void test_newer_schema(void **state)
{
    struct fixture *f = *state;
    uint32_t schema = STORE_SCHEMA_VERSION + 1;
    must_run(f->store, write_schema, &schema);
    store_close(f->store);
    f->store = NULL;
    char text[128];
    (void)snprintf(text, sizeof(text),
                   "written by a newer runnel (store schema %d; this one knows %d)",
                   STORE_SCHEMA_VERSION + 1, STORE_SCHEMA_VERSION);
    must_refuse(f, RN_EPROTOCOL, text);
}

static int read_schema(struct store_tx *tx, void *ctx, struct err *err)
{
    (void)err;
    *(uint32_t *)ctx = tx->meta.schema;
    return 0;
}

static void test_older_schema(void **state)
{
    struct fixture *f = *state;
    uint32_t schema = 1;
    must_run(f->store, write_schema, &schema);
    store_close(f->store);
    fixture_open(f, NULL);
    must_run(f->store, read_schema, &schema);
    assert_int_equal(schema, STORE_SCHEMA_VERSION);
}

static void test_truncated(void **state)
{
    struct fixture *f = *state;
    struct put_event put = {.emitter = STR("e"), .size = MIB(8)};
    must_run(f->store, put_event_apply, &put);
    store_close(f->store);
    f->store = NULL;
    char *path = xasprintf("%s/store/data.mdb", f->dir);
    assert_int_equal(truncate(path, 20000), 0);
    must_refuse(f, RN_EPROTOCOL, "it was cut to 20000 of");
    assert_int_equal(truncate(path, 5000), 0);
    must_refuse(f, RN_EPROTOCOL, "damaged");
    free(path);
}

static void test_overwritten_pages(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    f->store = NULL;
    char *path = xasprintf("%s/store/data.mdb", f->dir);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    char zeros[4096] = {0};
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t at = 8192; at < st.st_size; at += 4096)
        assert_int_equal(pwrite(fd, zeros, sizeof(zeros), at), sizeof(zeros));
    must_refuse(f, RN_EPROTOCOL, "damaged");
    assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 4096), sizeof(zeros));
    must_refuse(f, RN_EPROTOCOL, "its first pages cannot be read");
    close(fd);
    free(path);
}

static void test_lock(void **state)
{
    struct fixture *f = *state;
    char text[64];
    (void)snprintf(text, sizeof(text), "another runtime (pid %ld)", (long)getpid());
    must_refuse(f, RN_EEXISTS, text);
    assert_int_equal(store_holder(f->dir), getpid());
    store_close(f->store);
    f->store = NULL;
    assert_int_equal(store_holder(f->dir), 0); /* closing gave it back */
    fixture_reopen(f, NULL);
}

/* ---- read only: in another process, as LMDB wants it */

static int read_event(const char *dir)
{
    struct store *store = NULL;
    struct store_options options = {.is_read_only = true};
    if (store_open(dir, &options, &store, NULL))
        return 2;
    struct store_stats stats;
    store_get_stats(store, &stats);
    struct put_event put = {.emitter = STR("e")};
    int refused = store_run(store, put_event_apply, &put, false, NULL);
    store_close(store);
    return stats.events == 1 && refused == RN_EPERM ? 0 : 3;
}

static void test_read_only(void **state)
{
    struct fixture *f = *state;
    struct put_event put = {.emitter = STR("e"), .size = 10};
    must_run(f->store, put_event_apply, &put);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "test", "read", f->dir, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_read_only_without_store(void **state)
{
    struct fixture *f = *state;
    struct store *store = NULL;
    struct store_options options = {.is_read_only = true};
    struct err err = ERR_INIT;
    assert_int_equal(store_open(f->dir, &options, &store, &err), RN_ENOTFOUND);
    assert_non_null(strstr(err.text, "runnel up"));
}

/* ---- views */

static void test_view_is_a_snapshot(void **state)
{
    struct fixture *f = *state;
    struct put_event put = {.emitter = STR("e"), .emit_id = STR("first"), .size = 4000};
    must_run(f->store, put_event_apply, &put);
    uint64_t first = put.event_id;
    struct store_view *view = must_view(f->store);
    struct event_record record;
    assert_int_equal(event_get(STORE_VIEW(view), first, &record), 0);
    for (int i = 0; i < 200; i++)
        must_run(f->store, put_event_apply, &put);
    assert_true(str_eq_c(record.emit_id, "first"));
    assert_int_equal(record.event.len, 4000);
    for (size_t i = 0; i < record.event.len; i++)
        assert_int_equal(record.event.ptr[i], 'x');
    assert_int_equal(event_get(STORE_VIEW(view), put.event_id, &record), RN_ENOTFOUND);
    store_view_end(view);
    struct store_view *views[40];
    for (size_t i = 0; i < COUNT_OF(views); i++)
        views[i] = must_view(f->store);
    assert_int_equal(event_get(STORE_VIEW(views[39]), put.event_id, &record), 0);
    for (size_t i = 0; i < COUNT_OF(views); i++)
        store_view_end(views[i]);
    view = must_view(f->store);
    assert_int_equal(event_get(STORE_VIEW(view), put.event_id, &record), 0);
    store_view_end(view);
    store_view_end(NULL);
}

/* ---- the writer */

struct order {
    struct store *store;
    struct store_op ops[600];
    int numbers[600];
    int applied, told;
    bool is_wrong;
    pthread_mutex_t lock;
    pthread_cond_t all;
};

static struct order order;

static int order_apply(struct store_tx *tx, void *ctx, struct err *err)
{
    int number = *(int *)ctx;
    char text[16];
    (void)snprintf(text, sizeof(text), "%d", number);
    /* What was submitted before is there, whether in this transaction or not. */
    struct str value;
    if (number > 0 && kv_get(STORE_TX(tx), "order", STR("last"), &value) == 0) {
        int64_t last = -1;
        int want = number - 1 - ((number - 1) % 50 == 7);
        if (num_parse_i64(value, &last) || last != want)
            order.is_wrong = true;
    }
    int rc = kv_put(tx, "order", STR("last"), str_from(text), err);
    return rc || number % 50 != 7 ? rc : err_set(err, RN_EFAILED, "number %d", number);
}

static void order_done(void *ctx, int code, const struct err *err)
{
    int number = *(int *)ctx;
    pthread_mutex_lock(&order.lock);
    char text[32];
    (void)snprintf(text, sizeof(text), "number %d", number);
    if (order.told++ != number || code != (number % 50 == 7 ? RN_EFAILED : 0) ||
        (code && strcmp(err->text, text) != 0) || (!code && err))
        order.is_wrong = true;
    if (order.told == (int)COUNT_OF(order.ops))
        pthread_cond_signal(&order.all);
    pthread_mutex_unlock(&order.lock);
}

/* Every fiftieth writes and then fails: it leaves nothing, the others stand, the order stays. */
static void test_order_and_undo(void **state)
{
    struct fixture *f = *state;
    pthread_mutex_init(&order.lock, NULL);
    pthread_cond_init(&order.all, NULL);
    for (size_t i = 0; i < COUNT_OF(order.ops); i++) {
        order.numbers[i] = (int)i;
        order.ops[i] =
            (struct store_op){.apply = order_apply, .done = order_done, .ctx = &order.numbers[i]};
        assert_int_equal(store_submit(f->store, &order.ops[i]), 0);
    }
    pthread_mutex_lock(&order.lock);
    while (order.told < (int)COUNT_OF(order.ops))
        pthread_cond_wait(&order.all, &order.lock);
    pthread_mutex_unlock(&order.lock);
    assert_false(order.is_wrong);
    struct store_view *view = must_view(f->store);
    struct str value;
    assert_int_equal(kv_get(STORE_VIEW(view), "order", STR("last"), &value), 0);
    assert_true(str_eq_c(value, "599"));
    store_view_end(view);
    must_be_exact(f->store);
}

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_reached, is_open;
    int told;
};

static int gate_apply(struct store_tx *tx, void *ctx, struct err *err)
{
    (void)tx, (void)err;
    struct gate *gate = ctx;
    pthread_mutex_lock(&gate->lock);
    gate->is_reached = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->is_open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    return 0;
}

static int nothing_apply(struct store_tx *tx, void *ctx, struct err *err)
{
    (void)tx, (void)ctx, (void)err;
    return 0;
}

static void gate_done(void *ctx, int code, const struct err *err)
{
    (void)err;
    struct gate *gate = ctx;
    gate->told += code == 0;
}

static void test_overload_and_close(void **state)
{
    struct fixture *f = *state;
    struct gate gate = {.is_open = false};
    pthread_mutex_init(&gate.lock, NULL);
    pthread_cond_init(&gate.changed, NULL);
    struct store_op *ops = xcalloc(LIMIT_STORE_PENDING + 2, sizeof(*ops));
    ops[0] = (struct store_op){.apply = gate_apply, .done = gate_done, .ctx = &gate};
    assert_int_equal(store_submit(f->store, &ops[0]), 0);
    pthread_mutex_lock(&gate.lock);
    while (!gate.is_reached)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    int i = 1;
    for (; i < LIMIT_STORE_PENDING; i++) {
        ops[i] = (struct store_op){
            .apply = nothing_apply, .done = gate_done, .ctx = &gate, .is_new_work = true};
        assert_int_equal(store_submit(f->store, &ops[i]), 0);
    }
    struct store_stats stats;
    store_get_stats(f->store, &stats);
    assert_int_equal(stats.pending, LIMIT_STORE_PENDING);
    ops[i] = ops[i - 1];
    assert_int_equal(store_submit(f->store, &ops[i]), RN_EUNAVAILABLE);
    ops[i].is_new_work = false;
    assert_int_equal(store_submit(f->store, &ops[i]), 0);
    pthread_mutex_lock(&gate.lock);
    gate.is_open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    store_close(f->store); /* which carries out what waits */
    f->store = NULL;
    assert_int_equal(gate.told, LIMIT_STORE_PENDING + 1);
    free(ops);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return read_event(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_garbage, fixture_setup_dir, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_other_program, fixture_setup_dir, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_newer_schema, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_older_schema, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_truncated, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_overwritten_pages, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lock, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_read_only, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_read_only_without_store, fixture_setup_dir,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_view_is_a_snapshot, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_order_and_undo, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_overload_and_close, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
