/* kill -9 at each named point while eight threads accept events: what was acknowledged is there,
 * once, and the books are exact. The process that dies is this program started again with a folder
 * as its argument. */
#include "unit/store/fixture.h"

#include <fcntl.h>

#define THREADS 8
#define OPERATIONS 500

static struct store *crashing;
static int acks;

struct accept {
    char id[32];
    bool is_new;
};

static int accept_apply(struct store_tx *tx, void *ctx, struct err *err)
{
    struct accept *accept = ctx;
    struct str id = str_from(accept->id);
    struct put_event put = {
        .emitter = STR("source"), .emit_id = id, .workflow = STR("w"), .size = 1200};
    int rc = dedupe_unique(tx, put.emitter, id, 10000, &accept->is_new, err);
    return rc || !accept->is_new ? rc : put_event_apply(tx, &put, err);
}

/* Sends each id twice, as a sender that retries does. */
static void *accept_many(void *arg)
{
    int thread = *(int *)arg;
    for (int i = 0; i < OPERATIONS; i++) {
        struct accept accept;
        memset(&accept, 0, sizeof(accept));
        (void)snprintf(accept.id, sizeof(accept.id), "%d-%d", thread, i / 2);
        if (store_run(crashing, accept_apply, &accept, true, NULL) ||
            write(acks, accept.id, sizeof(accept.id)) != (ssize_t)sizeof(accept.id))
            return arg;
    }
    return NULL;
}

static int crash(const char *dir)
{
    char *path = xasprintf("%s/acks", dir);
    acks = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    free(path);
    if (acks < 0 || store_open(dir, NULL, &crashing, NULL))
        return 2;
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, accept_many, &numbers[i]))
            return 3;
    }
    int rc = 0;
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        rc = failed ? 4 : rc;
    }
    store_close(crashing);
    return rc;
}

static int start_and_wait(const char *role, const char *dir, const char *fault)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (fault)
            setenv("RUNNEL_FAULT", fault, 1);
        execl("/proc/self/exe", "test", role, dir, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int note_event(void *ctx, const struct event_record *record)
{
    /* Twice in the store would be an id processed twice. */
    return map_put(ctx, record->emit_id, ctx) ? RN_EEXISTS : 0;
}

/* Returns how many events are there. */
static size_t verify(struct fixture *f)
{
    char *path = xasprintf("%s/acks", f->dir);
    struct map stored = MAP_INIT;
    fixture_reopen(f, NULL);
    struct store_view *view = must_view(f->store);
    assert_int_equal(event_each(STORE_VIEW(view), STR_NONE, 0, SIZE_MAX, note_event, &stored), 0);
    assert_int_equal(queue_count(STORE_VIEW(view), STR("w")), stored.count);
    store_view_end(view);
    must_be_exact(f->store);

    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char id[32];
    while (fread(id, sizeof(id), 1, file) == 1)
        if (!map_get(&stored, str_from(id)))
            fail_msg("%s was acknowledged and is lost", id);
    (void)fclose(file);
    free(path);
    size_t count = stored.count;
    map_release(&stored, NULL);
    store_close(f->store);
    f->store = NULL;
    return count;
}

static void test_kill_at_points(void **state)
{
    struct fixture *f = *state;
    static const char *const faults[] = {"store.apply:20", "store.commit:20", "store.committed:20",
                                         "store.apply:70", "store.commit:75", "store.committed:80"};
    size_t before = 0;
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        int status = start_and_wait("crash", f->dir, faults[i]);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        size_t count = verify(f);
        assert_true(count >= before);
        before = count;
    }
    /* And to the end: every id once, though each was sent again and again. */
    assert_int_equal(start_and_wait("crash", f->dir, NULL), 0);
    assert_int_equal(verify(f), THREADS * OPERATIONS / 2);
}

/* ---- a reader that died with its view open */

static int hold_view(const char *dir)
{
    struct store *store = NULL;
    struct store_view *view = NULL;
    struct store_options options = {.is_read_only = true};
    if (store_open(dir, &options, &store, NULL) || store_view_begin(store, &view, NULL))
        return 2;
    kill(getpid(), SIGKILL);
    return 3;
}

static int rewrite(struct store_tx *tx, void *ctx, struct err *err)
{
    char value[3000];
    memset(value, *(int *)ctx & 0xFF, sizeof(value));
    for (int i = 0; i < 50; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "%d", i);
        int rc = kv_put(tx, "space", str_from(key), str_n(value, sizeof(value)), err);
        if (rc)
            return rc;
    }
    return 0;
}

static void test_dead_reader_does_not_grow_the_file(void **state)
{
    struct fixture *f = *state;
    int i = 0;
    fixture_open(f, NULL);
    must_run(f->store, rewrite, &i);
    int status = start_and_wait("view", f->dir, NULL);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (i = 0; i < 200; i++)
        must_run(f->store, rewrite, &i);
    /* 200 × 50 pages are 40 MB where nothing is used again. */
    struct store_stats stats;
    store_get_stats(f->store, &stats);
    assert_true(stats.file_bytes < MIB(16));
}

/* ---- the disk is full: RLIMIT_FSIZE says EFBIG where a full disk says ENOSPC */

#include <sys/resource.h>

static int fill_disk(const char *dir)
{
    struct store *store = NULL;
    struct err err = ERR_INIT;
    if (store_open(dir, NULL, &store, NULL))
        return 2;
    struct rlimit limit = {.rlim_cur = MIB(1), .rlim_max = RLIM_INFINITY};
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 3;
    int good = 0, rc = 0;
    struct put_event put = {.emitter = STR("e"), .size = 30000};
    while (!rc && good < 1000) {
        rc = store_run(store, put_event_apply, &put, true, &err);
        good += !rc;
    }
    if (good == 0 || (rc != RN_ENOSPACE && rc != RN_EIO))
        return 4;
    limit.rlim_cur = RLIM_INFINITY;
    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 5;
    /* Out of space: it goes on when there is room. A short write looks like a failing disk: it
     * stays shut. */
    int again = store_run(store, put_event_apply, &put, true, NULL);
    if (again != (rc == RN_ENOSPACE ? 0 : RN_EIO))
        return 6;
    struct store_stats stats;
    store_get_stats(store, &stats);
    if (stats.has_failed != (rc == RN_EIO) || (int)stats.events != good + (again == 0))
        return 7;
    store_close(store);
    return 0;
}

static void test_full_disk(void **state)
{
    struct fixture *f = *state;
    int status = start_and_wait("fill", f->dir, NULL);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    fixture_open(f, NULL);
    must_be_exact(f->store);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "crash") == 0)
        return crash(argv[2]);
    if (argc == 3 && strcmp(argv[1], "view") == 0)
        return hold_view(argv[2]);
    if (argc == 3 && strcmp(argv[1], "fill") == 0)
        return fill_disk(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill_at_points, fixture_setup_dir, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_dead_reader_does_not_grow_the_file, fixture_setup_dir,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, fixture_setup_dir, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
