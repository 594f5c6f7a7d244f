/* Hosts as processes: this program, started again as "test-host" (echo_host.h). What a test waits
 * for is a callback or a process's end; nothing is timed but the deadlines themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "echo_host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define LONG_MS 120000

/* ---- a call that the test waits for */

struct waited {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int ended, logs;
    int code;
    bool was_host_lost, has_run_out, has_frame;
    char json[256], text[ERR_TEXT_MAX], log[128];
    size_t section_size;
    uint64_t id;
};

static void waited_init(struct waited *waited)
{
    *waited = (struct waited){.code = 1};
    pthread_mutex_init(&waited->lock, NULL);
    pthread_cond_init(&waited->changed, NULL);
}

static void on_done(void *ctx, const struct call_result *result)
{
    struct waited *waited = ctx;
    pthread_mutex_lock(&waited->lock);
    waited->ended++;
    waited->code = result->code;
    waited->was_host_lost = result->was_host_lost;
    waited->has_run_out = result->has_run_out;
    waited->has_frame = result->frame != NULL;
    (void)snprintf(waited->text, sizeof(waited->text), "%s", result->err.text);
    if (result->frame) {
        (void)snprintf(waited->json, sizeof(waited->json), STR_FMT, STR_ARG(result->frame->json));
        if (result->frame->section_count)
            waited->section_size = result->frame->sections[0].len;
    }
    pthread_cond_broadcast(&waited->changed);
    pthread_mutex_unlock(&waited->lock);
}

static void on_log(void *ctx, struct str level, struct str text)
{
    struct waited *waited = ctx;
    pthread_mutex_lock(&waited->lock);
    waited->logs++;
    (void)snprintf(waited->log, sizeof(waited->log), STR_FMT " " STR_FMT, STR_ARG(level),
                   STR_ARG(text));
    pthread_cond_broadcast(&waited->changed);
    pthread_mutex_unlock(&waited->lock);
}

static void start_call(struct host *host, struct waited *waited, const char *op, int64_t timeout_ms)
{
    char json[64];
    (void)snprintf(json, sizeof(json), "{\"op\":\"%s\"}", op);
    waited_init(waited);
    const struct call call = {.frame = {.json = str_from(json)},
                              .timeout_ms = timeout_ms,
                              .done = on_done,
                              .log = on_log,
                              .ctx = waited};
    waited->id = host_call(host, &call);
}

static void await_begin(struct waited *waited)
{
    pthread_mutex_lock(&waited->lock);
    while (!waited->logs && !waited->ended)
        pthread_cond_wait(&waited->changed, &waited->lock);
    assert_int_equal(waited->ended, 0);
    pthread_mutex_unlock(&waited->lock);
}

static int await_end(struct waited *waited)
{
    pthread_mutex_lock(&waited->lock);
    while (!waited->ended)
        pthread_cond_wait(&waited->changed, &waited->lock);
    assert_int_equal(waited->ended, 1);
    int code = waited->code;
    pthread_mutex_unlock(&waited->lock);
    return code;
}

static int run_call(struct host *host, struct waited *waited, const char *op, int64_t timeout_ms)
{
    start_call(host, waited, op, timeout_ms);
    return await_end(waited);
}

/* ---- fixtures */

static struct supervisor *supervisor;
static pthread_t main_thread;

static struct host *new_host(const char *mode)
{
    const char *const argv[] = {"test-host", mode, NULL};
    const struct host_options options = {.name = "echo", .argv = argv};
    return host_new(supervisor, &options);
}

static int set_up(void **state)
{
    supervisor = supervisor_new(NULL);
    *state = new_host("");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    supervisor_free(supervisor, 500);
    return 0;
}

static struct host_status status_of(struct host *host)
{
    struct host_status status;
    host_get_status(host, &status);
    return status;
}

/* ---- tests */

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

static struct host *new_host_of(struct supervisor *own)
{
    static const char *const argv[] = {"test-host", NULL};
    const struct host_options options = {.name = "ending", .argv = argv};
    return host_new(own, &options);
}

static void test_free_lets_calls_answer(void **state)
{
    (void)state;
    struct supervisor *own = supervisor_new(NULL);
    struct host *host = new_host_of(own), *unused = new_host_of(own), *starting = new_host_of(own);
    assert_int_equal(status_of(unused).state, HOST_IDLE);
    struct waited listens, waits;
    start_call(host, &listens, "wait", LONG_MS);
    await_begin(&listens);
    int pid_fd = pidfd_open(status_of(host).pid, 0);
    start_call(starting, &waits, "wait", LONG_MS);
    supervisor_free(own, LONG_MS); /* it is over when they have answered */
    assert_int_equal(listens.ended, 1);
    assert_string_equal(listens.json, "{\"cancelled\":true}");
    assert_int_equal(waits.ended, 1);
    assert_true(waits.code == RN_ECANCELED || waits.has_frame);
    struct pollfd gone = {.fd = pid_fd, .events = POLLIN};
    assert_int_equal(poll(&gone, 1, 0), 1);
    close(pid_fd);
}

static void test_free_kills_who_does_not_listen(void **state)
{
    (void)state;
    struct supervisor *own = supervisor_new(NULL);
    struct host *host = new_host_of(own);
    struct waited hangs;
    start_call(host, &hangs, "hang", LONG_MS);
    await_begin(&hangs);
    int pid_fd = pidfd_open(status_of(host).pid, 0);
    supervisor_free(own, 50);
    assert_int_equal(hangs.ended, 1);
    assert_int_equal(hangs.code, RN_ECANCELED);
    struct pollfd gone = {.fd = pid_fd, .events = POLLIN};
    assert_int_equal(poll(&gone, 1, 0), 1);
    close(pid_fd);
}

static void test_retire_lets_calls_end(void **state)
{
    struct host *host = *state;
    struct waited call, refused;
    start_call(host, &call, "wait", LONG_MS);
    await_begin(&call);
    int pid_fd = pidfd_open(status_of(host).pid, 0);
    host_retire(host);
    assert_int_equal(run_call(host, &refused, "echo", LONG_MS), RN_EUNAVAILABLE);
    assert_int_equal(call.ended, 0);
    call_cancel(host, call.id);
    assert_int_equal(await_end(&call), 0);
    struct pollfd gone = {.fd = pid_fd, .events = POLLIN};
    assert_int_equal(poll(&gone, 1, 30000), 1);
    close(pid_fd);
}

/* Between the caller's send and its return the host answers, and its thread looks whether it may
 * end while the caller still stands in the outbox. The send below makes that order certain. */
static struct waited *hold_until_ended;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t n = syscall(SYS_sendmsg, fd, message, flags);
    struct waited *waited = hold_until_ended;
    if (waited && pthread_equal(pthread_self(), main_thread)) {
        hold_until_ended = NULL;
        int sent_errno = errno;
        (void)await_end(waited);
        /* Not for anything to happen in: the longer, the more certainly the thread has looked. */
        const struct timespec pause = {.tv_nsec = 50000000};
        nanosleep(&pause, NULL);
        errno = sent_errno;
    }
    return n;
}

static void test_retire_while_a_caller_sends(void **state)
{
    struct host *host = *state;
    struct waited call;
    start_call(host, &call, "wait", LONG_MS);
    await_begin(&call);
    int pid_fd = pidfd_open(status_of(host).pid, 0);
    host_retire(host);
    hold_until_ended = &call;
    call_cancel(host, call.id);
    struct pollfd gone = {.fd = pid_fd, .events = POLLIN};
    assert_int_equal(poll(&gone, 1, 30000), 1);
    close(pid_fd);
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

/* ---- the parent's death */

/* A parent for the test below: starts a host with a call that never ends, prints the host's pid,
 * and waits to be killed. */
static _Noreturn void parent_main(void)
{
    supervisor = supervisor_new(NULL);
    struct host *host = new_host("");
    struct waited call;
    start_call(host, &call, "hang", LONG_MS);
    await_begin(&call);
    printf("%d\n", status_of(host).pid);
    (void)fflush(stdout);
    for (;;)
        pause();
}

static void test_dies_with_its_parent(void **state)
{
    (void)state;
    int output[2];
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    pid_t parent = fork();
    if (parent == 0) {
        dup2(output[1], STDOUT_FILENO);
        execl("/proc/self/exe", "test", "test-parent", (char *)NULL);
        _exit(127);
    }
    close(output[1]);
    char text[32];
    ssize_t n = read(output[0], text, sizeof(text));
    assert_true(n > 1);
    int64_t pid = 0;
    assert_int_equal(num_parse_i64(str_n(text, (size_t)n - 1), &pid), 0);
    int pid_fd = pidfd_open((pid_t)pid, 0);
    assert_true(pid_fd >= 0);
    struct pollfd gone = {.fd = pid_fd, .events = POLLIN};
    assert_int_equal(poll(&gone, 1, 0), 0);
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_int_equal(poll(&gone, 1, 30000), 1);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    close(pid_fd);
    close(output[0]);
}

/* ---- asks */

#define ASKS_MAX 64

/* What was asked, for the test to answer when it likes. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ask *open[ASKS_MAX];
    int count;
    bool answers_itself;
} asks = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void answer_twice(struct ask *ask)
{
    const struct str sections[] = {STR("bytes"), STR("bytes")};
    ask_answer(ask, STR("{\"ok\":true}"), sections, 2);
}

static void on_ask(void *ctx, struct ask *ask, const struct frame *frame)
{
    (void)ctx;
    if (asks.answers_itself) {
        assert_true(frame->section_count == 1 && str_eq_c(frame->sections[0], "bytes"));
        answer_twice(ask);
        return;
    }
    pthread_mutex_lock(&asks.lock);
    assert_true(asks.count < ASKS_MAX);
    asks.open[asks.count++] = ask;
    pthread_cond_broadcast(&asks.changed);
    pthread_mutex_unlock(&asks.lock);
}

static void start_asking(struct host *host, struct waited *waited, const char *op,
                         bool with_handler)
{
    char json[64];
    (void)snprintf(json, sizeof(json), "{\"op\":\"%s\"}", op);
    waited_init(waited);
    const struct call call = {.frame = {.json = str_from(json)},
                              .timeout_ms = LONG_MS,
                              .done = on_done,
                              .log = on_log,
                              .ask = with_handler ? on_ask : NULL,
                              .ctx = waited};
    waited->id = host_call(host, &call);
}

static void await_asks(int count)
{
    pthread_mutex_lock(&asks.lock);
    while (asks.count < count)
        pthread_cond_wait(&asks.changed, &asks.lock);
    pthread_mutex_unlock(&asks.lock);
}

static void *answer_all(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&asks.lock);
    for (int i = 0; i < asks.count; i++)
        answer_twice(asks.open[i]);
    asks.count = 0;
    pthread_mutex_unlock(&asks.lock);
    return NULL;
}

static void test_asks_are_answered(void **state)
{
    struct host *host = *state;
    struct waited waited[8];
    asks.answers_itself = true; /* on the host's own thread */
    for (size_t i = 0; i < COUNT_OF(waited); i++)
        start_asking(host, &waited[i], "ask", true);
    for (size_t i = 0; i < COUNT_OF(waited); i++) {
        assert_int_equal(await_end(&waited[i]), 0);
        assert_string_equal(waited[i].json, "{\"ok\":true}");
        assert_int_equal(waited[i].section_size, 5);
    }
    asks.answers_itself = false; /* on another, all threads of the host waiting */
    for (int i = 0; i < ECHO_HOST_THREADS; i++)
        start_asking(host, &waited[i], "ask", true);
    await_asks(ECHO_HOST_THREADS);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_all, NULL), 0);
    for (int i = 0; i < ECHO_HOST_THREADS; i++)
        assert_int_equal(await_end(&waited[i]), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    start_asking(host, &waited[0], "ask", false);
    assert_int_equal(await_end(&waited[0]), 0);
    assert_non_null(strstr(waited[0].json, "cannot ask"));
}

static void test_asks_are_bounded_and_outlive_their_call(void **state)
{
    struct host *host = *state;
    struct waited waited;
    start_asking(host, &waited, "ask-much", true);
    assert_int_equal(await_end(&waited), 0);
    await_asks(LIMIT_ASKS);
    assert_int_equal(asks.count, LIMIT_ASKS); /* the others were refused at once */
    (void)answer_all(NULL);
    start_asking(host, &waited, "ask", true);
    await_asks(1);
    struct host_status status = status_of(host);
    assert_int_equal(kill(status.pid, SIGKILL), 0);
    assert_int_equal(await_end(&waited), RN_EUNKNOWN);
    (void)answer_all(NULL); /* nobody hears it */
    assert_int_equal(run_call(host, &waited, "echo", LONG_MS), 0);
    /* an answer after the supervisor's end */
    start_asking(host, &waited, "ask", true);
    await_asks(1);
    supervisor_free(supervisor, 0);
    supervisor = NULL;
    assert_int_equal(await_end(&waited), RN_ECANCELED);
    (void)answer_all(NULL);
}

#define HOST_TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "test-host") == 0)
        return echo_host_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "test-parent") == 0)
        parent_main();
    main_thread = pthread_self();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dies_with_its_parent),
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
        HOST_TEST(test_free_lets_calls_answer),
        HOST_TEST(test_free_kills_who_does_not_listen),
        HOST_TEST(test_retire_lets_calls_end),
        HOST_TEST(test_retire_while_a_caller_sends),
        HOST_TEST(test_a_stopped_host_blocks_nobody),
        HOST_TEST(test_asks_are_answered),
        HOST_TEST(test_asks_are_bounded_and_outlive_their_call),
        HOST_TEST(test_many_calls_each_answered_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
