/* What a host asks the runtime while it has a call, and who hears the answer. */
#include "fixture.h"

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

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "test-host") == 0)
        return echo_host_main(argc, argv);
    const struct CMUnitTest tests[] = {
        HOST_TEST(test_asks_are_answered),
        HOST_TEST(test_asks_are_bounded_and_outlive_their_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
