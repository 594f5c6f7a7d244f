/* Hosts as processes: this program, started again as "test-host" (echo_host.h). What a test waits
 * for is a callback or a process's end; nothing is timed but the deadlines themselves. For test
 * programs of this folder. */
#ifndef TESTS_IPC_FIXTURE_H
#define TESTS_IPC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "echo_host.h"

#include <pthread.h>

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

static inline void waited_init(struct waited *waited)
{
    *waited = (struct waited){.code = 1};
    pthread_mutex_init(&waited->lock, NULL);
    pthread_cond_init(&waited->changed, NULL);
}

static inline void on_done(void *ctx, const struct call_result *result)
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

static inline void on_log(void *ctx, struct str level, struct str text)
{
    struct waited *waited = ctx;
    pthread_mutex_lock(&waited->lock);
    waited->logs++;
    (void)snprintf(waited->log, sizeof(waited->log), STR_FMT " " STR_FMT, STR_ARG(level),
                   STR_ARG(text));
    pthread_cond_broadcast(&waited->changed);
    pthread_mutex_unlock(&waited->lock);
}

static inline void start_call(struct host *host, struct waited *waited, const char *op,
                              int64_t timeout_ms)
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

static inline void await_begin(struct waited *waited)
{
    pthread_mutex_lock(&waited->lock);
    while (!waited->logs && !waited->ended)
        pthread_cond_wait(&waited->changed, &waited->lock);
    assert_int_equal(waited->ended, 0);
    pthread_mutex_unlock(&waited->lock);
}

static inline int await_end(struct waited *waited)
{
    pthread_mutex_lock(&waited->lock);
    while (!waited->ended)
        pthread_cond_wait(&waited->changed, &waited->lock);
    assert_int_equal(waited->ended, 1);
    int code = waited->code;
    pthread_mutex_unlock(&waited->lock);
    return code;
}

static inline int run_call(struct host *host, struct waited *waited, const char *op,
                           int64_t timeout_ms)
{
    start_call(host, waited, op, timeout_ms);
    return await_end(waited);
}

/* ---- fixtures */

static struct supervisor *supervisor;

static inline struct host *new_host(const char *mode)
{
    const char *const argv[] = {"test-host", mode, NULL};
    const struct host_options options = {.name = "echo", .argv = argv};
    return host_new(supervisor, &options);
}

static inline int set_up(void **state)
{
    supervisor = supervisor_new(NULL);
    *state = new_host("");
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    supervisor_free(supervisor, 500);
    return 0;
}

static inline struct host_status status_of(struct host *host)
{
    struct host_status status;
    host_get_status(host, &status);
    return status;
}

#define HOST_TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)

#endif
