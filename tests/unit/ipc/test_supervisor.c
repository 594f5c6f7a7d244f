/* Calls to hosts: when a process starts, how calls end, what a crash costs, what a host is given. */
#include "fixture.h"

#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>

static void test_starts_at_the_first_call(void **state)
{
    struct host *host = *state;
    assert_int_equal(status_of(host).state, HOST_IDLE);
    assert_int_equal(host_generation(host), 0);
    struct waited call;
    assert_int_equal(run_call(host, &call, "echo", LONG_MS), 0);
    assert_string_equal(call.json, "{\"op\":\"echo\"}");
    const struct host_status status = status_of(host);
    assert_int_equal(status.state, HOST_RUNNING);
    assert_int_equal(status.starts, 1);
    assert_int_equal(status.calls, 0);
    assert_true(status.pid > 0);
    assert_int_equal(status.generation, host_generation(host));
    assert_true(status.generation != 0);
}

static void test_call_wait_copies_the_answer(void **state)
{
    struct host *host = *state;
    char *big = xmalloc(MIB(20));
    memset(big, 'b', MIB(20));
    const struct str sections[] = {{"a\0b", 3}, {big, MIB(20)}};
    struct call call = {.frame = {.json = STR("{}"), .sections = sections, .section_count = 2},
                        .timeout_ms = LONG_MS};
    struct buf bytes = BUF_INIT(MIB(32));
    struct frame frame;
    struct str views[4];
    assert_int_equal(host_call_wait(host, &call, &bytes, &frame, views, 4, NULL), 0);
    assert_int_equal(frame.section_count, 2);
    assert_memory_equal(frame.sections[0].ptr, "a\0b", 3);
    assert_int_equal(frame.sections[1].len, MIB(20));
    assert_memory_equal(frame.sections[1].ptr, big, MIB(20));
    struct buf small = BUF_INIT(KIB(1));
    struct err err = ERR_INIT;
    assert_int_equal(host_call_wait(host, &call, &small, &frame, views, 4, &err), RN_ETOOBIG);
    assert_int_equal(err.code, RN_ETOOBIG);
    buf_release(&bytes);
    buf_release(&small);
    free(big);
}

static void test_refuses_what_is_too_big(void **state)
{
    struct host *host = *state;
    char byte = 'x';
    struct call call = {.frame = {.json = {&byte, LIMIT_FRAME_BYTES}}, .timeout_ms = LONG_MS};
    struct buf bytes = BUF_INIT(KIB(1));
    struct frame frame;
    assert_int_equal(host_call_wait(host, &call, &bytes, &frame, NULL, 0, NULL), RN_ETOOBIG);
    buf_release(&bytes);
}

static void test_answers_come_in_any_order(void **state)
{
    struct host *host = *state;
    struct waited slow, stuck, quick;
    start_call(host, &slow, "wait", LONG_MS);
    await_begin(&slow);
    /* This one waits without saying so: the host must notice by itself. */
    start_call(host, &stuck, "stuck", LONG_MS);
    assert_int_equal(run_call(host, &quick, "echo", LONG_MS), 0);
    await_begin(&stuck);
    call_cancel(host, stuck.id);
    assert_int_equal(await_end(&stuck), 0);
    assert_int_equal(slow.ended, 0);
    assert_string_equal(slow.log, "info began");
    call_cancel(host, slow.id);
    assert_int_equal(await_end(&slow), 0);
    assert_string_equal(slow.json, "{\"cancelled\":true}");
}

static void test_cancel_is_seen_when_all_threads_are_busy(void **state)
{
    struct host *host = *state;
    struct waited calls[ECHO_HOST_THREADS], queued;
    for (int i = 0; i < ECHO_HOST_THREADS; i++) {
        start_call(host, &calls[i], "wait", LONG_MS);
        await_begin(&calls[i]);
    }
    start_call(host, &queued, "echo", LONG_MS);
    call_cancel(host, calls[1].id);
    assert_int_equal(await_end(&calls[1]), 0);
    assert_int_equal(await_end(&queued), 0);
    for (int i = 0; i < ECHO_HOST_THREADS; i++)
        if (i != 1)
            call_cancel(host, calls[i].id);
    for (int i = 0; i < ECHO_HOST_THREADS; i++)
        assert_int_equal(await_end(&calls[i]), 0);
    assert_int_equal(status_of(host).starts, 1);
}

static void test_deadline_cancels(void **state)
{
    struct host *host = *state;
    struct waited call;
    assert_int_equal(run_call(host, &call, "echo", LONG_MS), 0);
    uint64_t generation = host_generation(host);
    assert_int_equal(run_call(host, &call, "wait", 30), RN_ETIMEDOUT);
    assert_true(call.has_frame); /* what it answered when it was cancelled */
    assert_false(call.was_host_lost);
    assert_int_equal(host_generation(host), generation);
    assert_int_equal(run_call(host, &call, "echo", LONG_MS), 0);
}

static void test_deadline_kills_who_does_not_listen(void **state)
{
    struct host *host = *state;
    struct waited other, hung, after;
    start_call(host, &other, "wait", LONG_MS);
    await_begin(&other);
    uint64_t generation = host_generation(host);
    int64_t since = clock_mono_ms();
    start_call(host, &hung, "hang", 30);
    assert_int_equal(await_end(&hung), RN_ETIMEDOUT);
    assert_true(clock_mono_ms() - since >= LIMIT_CANCEL_GRACE_MS);
    assert_false(hung.was_host_lost);
    assert_int_equal(await_end(&other), RN_EUNKNOWN);
    assert_true(other.was_host_lost);
    assert_int_equal(run_call(host, &after, "echo", LONG_MS), 0);
    assert_true(host_generation(host) != generation);
    const struct host_status status = status_of(host);
    assert_int_equal(status.starts, 2);
    assert_int_equal(status.crashes, 0);
}

static void test_a_crash_takes_its_calls_along_and_no_more(void **state)
{
    struct host *host = *state;
    struct host *neighbour = new_host("");
    struct waited next_door, held, crash, after;
    start_call(neighbour, &next_door, "wait", LONG_MS);
    await_begin(&next_door);
    start_call(host, &held, "wait", LONG_MS);
    await_begin(&held);
    assert_int_equal(run_call(host, &crash, "crash", LONG_MS), RN_EUNKNOWN);
    assert_true(crash.was_host_lost);
    assert_int_equal(await_end(&held), RN_EUNKNOWN);
    assert_true(held.was_host_lost);
    assert_non_null(strstr(held.text, "echo: the host process ended with the call: "
                                      "killed by signal 11 (Segmentation fault)"));
    assert_int_equal(run_call(host, &after, "echo", LONG_MS), 0);
    assert_int_equal(status_of(host).crashes, 1);
    assert_string_equal(status_of(host).last_error, "killed by signal 11 (Segmentation fault)");
    assert_int_equal(run_call(host, &crash, "exit", LONG_MS), RN_EUNKNOWN);
    assert_string_equal(status_of(host).last_error, "exited with status 3");
    assert_int_equal(next_door.ended, 0);
    call_cancel(neighbour, next_door.id);
    assert_int_equal(await_end(&next_door), 0);
}

static void test_an_answer_before_the_crash_counts(void **state)
{
    struct host *host = *state;
    struct waited call;
    assert_int_equal(run_call(host, &call, "answer-and-crash", LONG_MS), 0);
    assert_string_equal(call.json, "{\"answered\":true}");
    /* Calls may still meet the dying process: it answers them or they are lost, and then there is a
     * new one. */
    int code;
    do {
        code = run_call(host, &call, "echo", LONG_MS);
        assert_true(code == 0 || call.was_host_lost);
    } while (code || status_of(host).starts == 1);
}

static void test_bytes_that_are_no_frame(void **state)
{
    struct host *host = *state;
    struct waited call;
    assert_int_equal(run_call(host, &call, "garbage", LONG_MS), RN_EUNKNOWN);
    assert_non_null(strstr(call.text, "no frame"));
    assert_int_equal(run_call(host, &call, "echo", LONG_MS), 0);
}

static void test_no_answer_is_an_error(void **state)
{
    struct host *host = *state;
    struct waited call;
    assert_int_equal(run_call(host, &call, "none", LONG_MS), 0);
    assert_non_null(strstr(call.json, "the host gave no answer"));
}

static void test_quarantine(void **state)
{
    struct host *host = *state;
    struct waited call;
    for (int i = 0; i < LIMIT_PLUGIN_CRASHES; i++)
        assert_int_equal(run_call(host, &call, "crash", LONG_MS), RN_EUNKNOWN);
    assert_int_equal(run_call(host, &call, "echo", LONG_MS), RN_EUNAVAILABLE);
    assert_non_null(strstr(call.text, "quarantined after 5 crashes in a row"));
    assert_int_equal(call.id, 0);
    assert_int_equal(status_of(host).state, HOST_QUARANTINED);
    assert_int_equal(status_of(host).starts, LIMIT_PLUGIN_CRASHES);
    host_start(host);
    assert_int_equal(status_of(host).starts, LIMIT_PLUGIN_CRASHES);
    host_reset(host);
    assert_int_equal(run_call(host, &call, "echo", LONG_MS), 0);
    assert_int_equal(status_of(host).state, HOST_RUNNING);
}

static void test_a_good_answer_starts_the_count_anew(void **state)
{
    struct host *host = *state;
    struct waited call;
    for (int i = 0; i < LIMIT_PLUGIN_CRASHES + 1; i++) {
        assert_int_equal(run_call(host, &call, "crash", LONG_MS), RN_EUNKNOWN);
        assert_int_equal(run_call(host, &call, "echo", LONG_MS), 0);
    }
}

static void test_quarantine_is_over_after_a_while_for_one_try(void **state)
{
    struct host *host = *state;
    struct waited call;
    for (int i = 0; i < LIMIT_PLUGIN_CRASHES; i++)
        assert_int_equal(run_call(host, &call, "crash", LONG_MS), RN_EUNKNOWN);
    assert_int_equal(run_call(host, &call, "echo", LONG_MS), RN_EUNAVAILABLE);
    clock_fake(clock_mono_ms() + 61000);
    assert_int_equal(run_call(host, &call, "crash", LONG_MS), RN_EUNKNOWN);
    assert_int_equal(run_call(host, &call, "echo", LONG_MS), RN_EUNAVAILABLE);
    clock_fake(-1);
}

static void test_a_host_that_cannot_start(void **state)
{
    (void)state;
    struct waited call;
    struct host *refusing = new_host("refuse");
    assert_int_equal(run_call(refusing, &call, "echo", LONG_MS), RN_EUNAVAILABLE);
    assert_non_null(strstr(call.text, "could not be started: the plugin wants \"ABI\" 9"));
    assert_false(call.was_host_lost);
    struct host *ending = new_host("exit");
    assert_int_equal(run_call(ending, &call, "echo", LONG_MS), RN_EUNAVAILABLE);
    assert_non_null(strstr(call.text, "exited with status 7"));
    assert_int_equal(status_of(ending).crashes, 1);

    struct supervisor *lost = supervisor_new("/nonexistent/runnel");
    const struct host_options options = {.name = "nowhere"};
    struct host *nowhere = host_new(lost, &options);
    assert_int_equal(run_call(nowhere, &call, "echo", LONG_MS), RN_EUNAVAILABLE);
    assert_non_null(strstr(call.text, "No such file"));
    supervisor_free(lost, 0);
}

static void test_a_call_cancelled_before_it_was_sent(void **state)
{
    struct host *host = *state;
    struct waited crash, waits;
    for (int i = 0; i < LIMIT_PLUGIN_CRASHES - 1; i++)
        assert_int_equal(run_call(host, &crash, "crash", LONG_MS), RN_EUNKNOWN);
    /* There is a pause of 80 ms before the next start; if the machine sleeps over it, the host
     * answers the cancellation. */
    start_call(host, &waits, "wait", LONG_MS);
    call_cancel(host, waits.id);
    int code = await_end(&waits);
    assert_true(code == RN_ECANCELED || (code == 0 && waits.has_frame));
}

static void test_inherits_nothing(void **state)
{
    struct host *host = *state;
    /* Descriptors that a careless library left without close-on-exec. */
    int careless[] = {dup(0), dup(0), open("/dev/null", O_RDONLY)};
    struct waited call;
    assert_int_equal(run_call(host, &call, "fds", LONG_MS), 0);
    assert_string_equal(call.json, "{\"fds\":\"0 1 2 3 \"}");
    for (size_t i = 0; i < COUNT_OF(careless); i++)
        close(careless[i]);
}

static void test_environment_is_its_own(void **state)
{
    (void)state;
    assert_int_equal(setenv("SEGMENT_TOKEN", "secret", 1), 0);
    const char *const argv[] = {"test-host", NULL}, *const env[] = {"A=1", NULL};
    const struct host_options options = {
        .name = "env", .argv = argv, .env = env, .memory_limit = MIB(300)};
    struct host *hosts[] = {host_new(supervisor, &options), new_host("")};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct call call = {.frame = {.json = STR("{\"op\":\"env\"}")}, .timeout_ms = LONG_MS};
        struct buf bytes = BUF_INIT(KIB(16));
        struct frame frame;
        struct str text;
        assert_int_equal(host_call_wait(hosts[i], &call, &bytes, &frame, &text, 1, NULL), 0);
        assert_true(str_find(text, "SEGMENT_TOKEN", 0) < 0);
        if (i == 0)
            assert_true(str_eq_c(text, "A=1\nRUNNEL_MEMORY_LIMIT=314572800\n"));
        else
            assert_true(str_find(text, "LANG=C.UTF-8\n", 0) >= 0);
        buf_release(&bytes);
    }
}

static void test_memory_limit(void **state)
{
    (void)state;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const char *const argv[] = {"test-host", NULL};
    const struct host_options options = {.name = "eater", .argv = argv, .memory_limit = MIB(64)};
    struct host *host = host_new(supervisor, &options);
    struct waited call;
    assert_int_equal(run_call(host, &call, "alloc", LONG_MS), RN_EUNKNOWN);
    assert_non_null(strstr(call.text, "ran out of memory (limit 64 MiB)"));
    assert_true(call.was_host_lost && call.has_run_out);
    assert_int_equal(run_call(host, &call, "echo", LONG_MS), 0);
    assert_false(call.has_run_out);
    struct waited held; /* of two calls nobody knows whose fault it is */
    start_call(host, &held, "wait", LONG_MS);
    await_begin(&held);
    assert_int_equal(run_call(host, &call, "alloc", LONG_MS), RN_EUNKNOWN);
    assert_int_equal(await_end(&held), RN_EUNKNOWN);
    assert_false(call.has_run_out || held.has_run_out);
#endif
}

static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t lines_changed = PTHREAD_COND_INITIALIZER;
static bool has_line;

static void on_line(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    pthread_mutex_lock(&lines_lock);
    has_line = has_line || strstr(line, "echo: a line of output");
    pthread_cond_broadcast(&lines_changed);
    pthread_mutex_unlock(&lines_lock);
}

static void test_output_goes_to_the_log(void **state)
{
    struct host *host = *state;
    log_set_sink(on_line, NULL);
    struct waited call;
    assert_int_equal(run_call(host, &call, "output", LONG_MS), 0);
    pthread_mutex_lock(&lines_lock);
    while (!has_line)
        pthread_cond_wait(&lines_changed, &lines_lock);
    pthread_mutex_unlock(&lines_lock);
    log_set_sink(NULL, NULL);
}

/* A host that reads nothing: callers go on, what may wait is bounded, and all is answered when it
 * reads again. */
static void test_a_stopped_host_blocks_nobody(void **state)
{
    enum { BIG = 24, SECTION = 8 << 20 };
    struct host *host = *state;
    struct waited first, calls[BIG];
    assert_int_equal(run_call(host, &first, "echo", LONG_MS), 0);
    int pid = status_of(host).pid;
    assert_int_equal(kill(pid, SIGSTOP), 0);
    siginfo_t stopped;
    assert_int_equal(waitid(P_PID, (id_t)pid, &stopped, WSTOPPED | WNOWAIT), 0);
    char *big = xcalloc(1, SECTION);
    const struct str section = {big, SECTION};
    int accepted = 0;
    for (int i = 0; i < BIG; i++) {
        waited_init(&calls[i]);
        const struct call call = {
            .frame = {.json = STR("{}"), .sections = &section, .section_count = 1},
            .timeout_ms = LONG_MS,
            .done = on_done,
            .ctx = &calls[i]};
        calls[i].id = host_call(host, &call);
        accepted += calls[i].id != 0;
    }
    /* Those that were refused know it already. */
    assert_in_range(accepted, 8, BIG - 1);
    for (int i = 0; i < BIG; i++)
        if (calls[i].id == 0)
            assert_int_equal(calls[i].code, RN_EUNAVAILABLE);
    assert_int_equal(status_of(host).calls, accepted);
    assert_int_equal(kill(pid, SIGCONT), 0);
    for (int i = 0; i < BIG; i++) {
        int code = await_end(&calls[i]);
        assert_int_equal(code, calls[i].id ? 0 : RN_EUNAVAILABLE);
        if (calls[i].id)
            assert_int_equal(calls[i].section_size, SECTION);
    }
    free(big);
}

/* ---- many at once */

#define MANY_THREADS 8
#define MANY_CALLS 2500

static struct host *many_host;
static atomic_int many_answers[MANY_THREADS][MANY_CALLS];
static atomic_int many_left;
static atomic_int many_wrong;

static void on_many_done(void *ctx, const struct call_result *result)
{
    atomic_int *answers = ctx;
    if (result->code || result->frame->section_count != 1 ||
        result->frame->sections[0].len != sizeof(void *) ||
        memcmp(result->frame->sections[0].ptr, &ctx, sizeof(void *)) != 0)
        atomic_fetch_add(&many_wrong, 1);
    atomic_fetch_add(answers, 1);
    pthread_mutex_lock(&lines_lock);
    if (atomic_fetch_sub(&many_left, 1) == 1)
        pthread_cond_broadcast(&lines_changed);
    pthread_mutex_unlock(&lines_lock);
}

static void *many_main(void *arg)
{
    atomic_int *answers = arg;
    for (int i = 0; i < MANY_CALLS; i++) {
        atomic_int *own = &answers[i];
        const struct str section = {(const char *)&own, sizeof(own)};
        const struct call call = {
            .frame = {.json = STR("{\"op\":\"echo\"}"), .sections = &section, .section_count = 1},
            .timeout_ms = LONG_MS,
            .done = on_many_done,
            .ctx = own};
        while (status_of(many_host).calls > 2000) {
            const struct timespec pause = {.tv_nsec =
                                               100000}; /* not to have more than the host takes */
            nanosleep(&pause, NULL);
        }
        (void)host_call(many_host, &call);
    }
    return NULL;
}

static void test_many_calls_each_answered_once(void **state)
{
    many_host = *state;
    atomic_store(&many_left, MANY_THREADS * MANY_CALLS);
    pthread_t threads[MANY_THREADS];
    for (int i = 0; i < MANY_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_main, many_answers[i]), 0);
    for (int i = 0; i < MANY_THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_lock(&lines_lock);
    while (atomic_load(&many_left) > 0)
        pthread_cond_wait(&lines_changed, &lines_lock);
    pthread_mutex_unlock(&lines_lock);
    assert_int_equal(atomic_load(&many_wrong), 0);
    for (int i = 0; i < MANY_THREADS; i++)
        for (int k = 0; k < MANY_CALLS; k++)
            assert_int_equal(atomic_load(&many_answers[i][k]), 1);
    assert_int_equal(status_of(many_host).calls, 0);
    assert_int_equal(status_of(many_host).starts, 1);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "test-host") == 0)
        return echo_host_main(argc, argv);
    const struct CMUnitTest tests[] = {
        HOST_TEST(test_starts_at_the_first_call),
        HOST_TEST(test_call_wait_copies_the_answer),
        HOST_TEST(test_refuses_what_is_too_big),
        HOST_TEST(test_answers_come_in_any_order),
        HOST_TEST(test_cancel_is_seen_when_all_threads_are_busy),
        HOST_TEST(test_deadline_cancels),
        HOST_TEST(test_deadline_kills_who_does_not_listen),
        HOST_TEST(test_a_crash_takes_its_calls_along_and_no_more),
        HOST_TEST(test_an_answer_before_the_crash_counts),
        HOST_TEST(test_bytes_that_are_no_frame),
        HOST_TEST(test_no_answer_is_an_error),
        HOST_TEST(test_quarantine),
        HOST_TEST(test_a_good_answer_starts_the_count_anew),
        HOST_TEST(test_quarantine_is_over_after_a_while_for_one_try),
        HOST_TEST(test_a_host_that_cannot_start),
        HOST_TEST(test_a_call_cancelled_before_it_was_sent),
        HOST_TEST(test_inherits_nothing),
        HOST_TEST(test_environment_is_its_own),
        HOST_TEST(test_memory_limit),
        HOST_TEST(test_output_goes_to_the_log),
        HOST_TEST(test_a_stopped_host_blocks_nobody),
        HOST_TEST(test_many_calls_each_answered_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
