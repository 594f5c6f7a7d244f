/* A host process that nobody calls goes, and nobody who calls notices. */
#include "fixture.h"

#include "base/clock.h"

#include <poll.h>

static struct host *new_idle_host(int64_t idle_ms)
{
    static const char *const argv[] = {"test-host", "", NULL};
    const struct host_options options = {.name = "echo", .argv = argv, .idle_ms = idle_ms};
    return host_new(supervisor, &options);
}

static void echo(struct host *host)
{
    struct call call = {.frame = {.json = STR("{\"op\":\"echo\"}")}, .timeout_ms = LONG_MS};
    struct buf bytes = BUF_INIT(KIB(4));
    struct frame frame;
    struct str sections[2];
    struct err err = ERR_INIT;
    assert_int_equal(host_call_wait(host, &call, &bytes, &frame, sections, 2, &err), 0);
    assert_true(str_eq_c(frame.json, "{\"op\":\"echo\"}"));
    buf_release(&bytes);
}

static void an_idle_process_ends_and_comes_back(void **state)
{
    (void)state;
    struct host *host = new_idle_host(20);
    echo(host);
    int64_t until = clock_mono_ms() + LONG_MS;
    while (status_of(host).pid && clock_mono_ms() < until)
        (void)poll(NULL, 0, 5);
    struct host_status status = status_of(host);
    assert_int_equal(status.pid, 0);
    assert_int_equal(status.state, HOST_IDLE);
    assert_int_equal(host_generation(host), 0);
    echo(host);
    status = status_of(host);
    assert_int_equal(status.starts, 2);
    assert_int_equal(status.crashes, 0);
    assert_string_equal(status.last_error, "");
}

static void a_process_without_the_limit_stays(void **state)
{
    (void)state;
    struct host *stays = new_idle_host(0), *goes = new_idle_host(20);
    echo(stays);
    echo(goes);
    int64_t until = clock_mono_ms() + LONG_MS;
    while (status_of(goes).pid && clock_mono_ms() < until)
        (void)poll(NULL, 0, 5);
    assert_int_equal(status_of(goes).pid, 0);
    assert_true(status_of(stays).pid > 0);
}

/* The call that comes while the process is being told to end goes to the next one. */
static void calls_at_the_moment_of_the_end(void **state)
{
    (void)state;
    struct host *host = new_idle_host(2);
    for (int i = 0; i < 150; i++) {
        echo(host);
        (void)poll(NULL, 0, i % 5);
    }
    struct host_status status = status_of(host);
    assert_true(status.starts > 1);
    assert_int_equal(status.crashes, 0);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "test-host") == 0)
        return echo_host_main(argc, argv);
    const struct CMUnitTest tests[] = {
        HOST_TEST(an_idle_process_ends_and_comes_back),
        HOST_TEST(a_process_without_the_limit_stays),
        HOST_TEST(calls_at_the_moment_of_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
