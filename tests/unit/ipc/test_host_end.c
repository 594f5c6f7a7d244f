/* How a host ends: with its supervisor, when it is retired, with its parent. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

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
static pthread_t main_thread;

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

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "test-host") == 0)
        return echo_host_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "test-parent") == 0)
        parent_main();
    main_thread = pthread_self();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dies_with_its_parent),    HOST_TEST(test_free_lets_calls_answer),
        HOST_TEST(test_free_kills_who_does_not_listen), HOST_TEST(test_retire_lets_calls_end),
        HOST_TEST(test_retire_while_a_caller_sends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
