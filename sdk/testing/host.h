/* Private to the fake host: its state. testing.c has the calls, script.c the HTTP side, checks.c
 * failures and text. */
#ifndef RUNNEL_TESTING_HOST_H
#define RUNNEL_TESTING_HOST_H

#include "base/limits.h"
#include "net/http_client.h"
#include "plugin/run.h"
#include "plugin/tables.h"
#include "json/json.h"

#include <runnel/testing.h>

#define RN_TEST_START_MS 1767225600000 /* 2026-01-01T00:00:00Z */

/* A scripted request and its answer; all text is a copy. */
struct exchange {
    char *method, *url, *body; /* NULL: any */
    struct json *headers;      /* {name: value} that must be there */
    int32_t status;
    struct json *answer_headers; /* {lower-case name: value} */
    char *answer;
    size_t answer_size;
    int32_t error;
    struct exchange *next;
};

/* One for each function that returns text. */
enum slot {
    SLOT_ERROR,
    SLOT_EXPORTS,
    SLOT_EXPORT,
    SLOT_EXIT,
    SLOT_FLOW,
    SLOT_SENDS,
    SLOT_STORE,
    SLOT_FILE,
    SLOT_EMITS,
    SLOT_RESPONSE,
    SLOT_DB,
    SLOT_OFFERED,
    SLOT_CONTEXT,
    SLOT_ADDED,
    SLOT_LOGS,
    SLOT_REQUESTS,
    SLOT_DESCRIPTION,
    SLOT_COUNT
};

struct rn_test {
    struct plugin *plugin;
    int failures;
    int64_t now_ms;
    int64_t timeout_ms;
    uint32_t attempt, runs;
    struct json *rerun;
    atomic_bool cancelled;
    /* state */
    struct json *props, *auth, *endpoints, *db;
    struct json *stores; /* {store: {key: {"value", "expires_ms"?}}} */
    char *files;         /* the folder; NULL: not made yet */
    struct exchange *script, **script_end;
    struct json *requests;
    /* of the last call; NULL: nothing of that kind */
    char *error, *exit_reason;
    struct json *flow, *sends;
    int64_t retry_after_ms, slept_ms;
    struct json *exports, *emits, *response, *offered, *context, *added, *logs;
    char *texts[SLOT_COUNT];
};

extern const struct run_services test_services;

/* Counts a failure and prints it. */
void test_fail(struct rn_test *test, const char *format, ...) PRINTF_LIKE(2, 3);
/* `text` (taken) as what the function of this slot returns. */
const char *test_keep(struct rn_test *test, enum slot slot, char *text);
/* The compact text of `value`; NULL gives NULL. */
const char *test_json(struct rn_test *test, enum slot slot, const struct json *value);
/* Parses JSON text of this kind; a failure of the test and an empty value otherwise. */
struct json *test_parse(struct rn_test *test, const char *what, const char *text, enum json_kind);
/* stores.c: the runtime's answers to asks, from test->stores. */
int test_ask(void *ctx, const struct json *request, const struct json *const *values, size_t count,
             struct json **ret_answer, struct json **ret_value, struct err *err);
/* files.c */
void test_remove_files(struct rn_test *test);
void exchange_free(struct exchange *exchange);

#endif
