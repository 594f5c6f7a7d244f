/* A fake host for the tests of components: link -lrunnel_testing -lcjson -lcrypto -lpthread.
 *
 * It calls the hooks, run() and options() of a plugin exactly as the runtime does (the same
 * implementation of the run api), but nothing leaves the process: every HTTP request of the
 * component must have been scripted with rn_test_expect(), in the order in which it comes. There is
 * no waiting: rn_sleep_ms() and the pauses of RN_HTTP_RETRY_RATE_LIMIT only move the test's clock.
 *
 *     struct rn_test *t = rn_test_new(&runnel_plugin);
 *     rn_test_set_props(t, "{\"message\":\"hello\"}");
 *     rn_test_set_auth(t, "discordWebhook",
 * "{\"oauth_uid\":\"https://discord.test/api/webhooks/1/x\"}"); rn_test_expect_json(t, "POST",
 * "https://discord.test/api/webhooks/1/x?wait=true", "{\"content\":\"hello\"}", 200,
 * "{\"id\":\"7\"}"); RN_TEST_OK(t, rn_test_action(t, "discord_webhook-send-message"));
 *     RN_TEST_JSON(t, rn_test_export(t, "$summary"), "\"Message sent\"");
 *     return rn_test_done(t);
 *
 * State: props, accounts, endpoints, db and scripted answers stay from call to call; what a call
 * gave is there until the next call. A call that returned 0 has its db writes applied, any other
 * leaves the db as it was. Dedupe is the store's work and not done here: every emit is listed.
 * Failures: each is printed to stderr at once ("file:line: …" from the macros) and counted;
 * rn_test_done() returns the count, so that it can be main()'s result. All text that is returned
 * lives until the next call of the same function or rn_test_free(). JSON comes out compact, members
 * in the order in which they were set. One thread.
 */
#ifndef RUNNEL_TESTING_H
#define RUNNEL_TESTING_H

#include <runnel/component.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rn_test;

/* Checks the plugin's tables as the loader does. On a bad table it prints what is wrong and returns
 * NULL. */
struct rn_test *rn_test_new(const struct rn_plugin *plugin);
/* What is wrong with a plugin's tables, as the loader says it; NULL: nothing. Lives until the next
 * call. */
const char *rn_test_check_plugin(const struct rn_plugin *plugin);
void rn_test_free(struct rn_test *test);
/* Complains about scripted requests that never came, frees the test, returns the number of
 * failures. NULL: 1. */
int rn_test_done(struct rn_test *test);
/* Failures so far. */
int rn_test_failures(const struct rn_test *test);

/* ------------------------------------------------------------------ state */

/* All props at once, a JSON object without app, db and interface props. Replaces what was set. Text
 * that is no such JSON is a failure of the test; so everywhere below. */
void rn_test_set_props(struct rn_test *test, const char *object);
/* One prop; `value` is JSON text ("\"hello\"", "5", "[1,2]"); NULL takes it out. */
void rn_test_set_prop(struct rn_test *test, const char *name, const char *value);
/* The account behind an app prop: {"field":"value", …}. */
void rn_test_set_auth(struct rn_test *test, const char *app_prop, const char *object);
/* The URL of an RN_HTTP_INTERFACE prop; https://endpoint.test/<prop> unless set. */
void rn_test_set_endpoint(struct rn_test *test, const char *http_prop, const char *url);
/* The whole db, a JSON object. */
void rn_test_set_db(struct rn_test *test, const char *object);
/* All records of a data store, a JSON object. A prop that names it: {"store":"name"}. */
void rn_test_set_store(struct rn_test *test, const char *store, const char *records);
/* A file of the run: what rn_dir_read() finds, by an RN_DIR prop. */
void rn_test_set_file(struct rn_test *test, const char *name, const void *data, size_t size);
/* The test's clock (it stands still but for sleeps): what rn_now_ms() gives. 2026-01-01T00:00:00Z
 * unless set. */
void rn_test_set_time(struct rn_test *test, int64_t now_ms);
/* How long a call has until its deadline; 30 s unless set. */
void rn_test_set_timeout(struct rn_test *test, int64_t timeout_ms);
/* The number of the attempt, for actions; 1 unless set. */
void rn_test_set_attempt(struct rn_test *test, uint32_t attempt);
/* Which run of its step an action is in, with what the rerun passed and the request that woke it
 * (JSON; NULL: none); 1 and nothing unless set. */
void rn_test_set_runs(struct rn_test *test, uint32_t runs, const char *context,
                      const char *callback);
/* From now on rn_is_cancelled() is true. */
void rn_test_set_cancelled(struct rn_test *test, bool is_cancelled);

/* ------------------------------------------------------- scripted requests */

struct rn_test_exchange {
    const char *method;            /* "GET" …; NULL: any */
    const char *url;               /* whole, with its query; NULL: any */
    const struct rn_pair *headers; /* must be there with these values, names in any case */
    size_t header_count;
    const char *body; /* NULL: any. Where both are JSON they are compared as values */
    /* the answer */
    int32_t status; /* 0: 200 */
    const struct rn_pair *answer_headers;
    size_t answer_header_count;
    const char
        *answer; /* NULL: empty. Content-Type: application/json if it is JSON and none is given */
    size_t answer_size; /* 0: strlen(answer) */
    /* or, instead of an answer */
    int32_t error; /* RN_EUNKNOWN, RN_EUNAVAILABLE, RN_ETIMEDOUT …; 0: there is an answer */
};

/* The next request has to look like this and gets this answer. Copied. */
void rn_test_expect(struct rn_test *test, const struct rn_test_exchange *exchange);
/* The same in short: `body` and `answer` as above. */
void rn_test_expect_json(struct rn_test *test, const char *method, const char *url,
                         const char *body, int32_t status, const char *answer);
/* What was asked since rn_test_new() or the last rn_test_clear_requests(), a JSON list:
 * [{"method","url","headers":{},"body"}]. `body` is a string. */
const char *rn_test_requests(struct rn_test *test);
void rn_test_clear_requests(struct rn_test *test);

/* ------------------------------------------------------------------- calls
 *
 * Each returns what the component returned: 0 or a negative RN_E… code. An unknown key or prop, a
 * required prop that is not set and a value of the wrong type are failures of the test and return
 * RN_EINVAL. */

#define RN_TEST_DEPLOY 1
#define RN_TEST_ACTIVATE 2
#define RN_TEST_DEACTIVATE 3

int32_t rn_test_hook(struct rn_test *test, const char *key, int32_t hook);

/* The HTTP request that a source is run with. */
struct rn_test_request {
    const char *method; /* NULL: POST */
    const char *path;   /* NULL: "/" */
    const char *query;  /* raw: "a=1&b=2"; NULL: none */
    const struct rn_pair *headers;
    size_t header_count;
    const void *body;
    size_t size; /* 0 with a body: its strlen() */
};

int32_t rn_test_source_request(struct rn_test *test, const char *key,
                               const struct rn_test_request *request);
/* Runs a source with any other event: {"timestamp":1767225600} … */
int32_t rn_test_source_event(struct rn_test *test, const char *key, const char *event);
int32_t rn_test_action(struct rn_test *test, const char *key);
/* `query` and `prev_context` (JSON text) may be NULL. */
int32_t rn_test_options(struct rn_test *test, const char *key, const char *prop, uint32_t page,
                        const char *query, const char *prev_context);
/* `previous`: a JSON list of prop descriptions; NULL: []. */
int32_t rn_test_additional_props(struct rn_test *test, const char *key, const char *previous);
/* The test() of an app; the account is the one set for the app's account_prop (or slug). */
int32_t rn_test_account(struct rn_test *test, const char *app);

/* ------------------------------------------------- what the last call gave */

/* The text of the error, as a user sees it (secrets redacted); "" after a success. */
const char *rn_test_error(struct rn_test *test);
/* The vendor's hint in ms, -1: none. */
int64_t rn_test_retry_after_ms(struct rn_test *test);
/* JSON object of all exports, also of a call that failed. */
const char *rn_test_exports(struct rn_test *test);
/* One export as JSON text, "$return_value" and "$summary" too; NULL: not exported. */
const char *rn_test_export(struct rn_test *test, const char *name);
/* rn_flow_exit()'s reason ("" if it gave none); NULL: not called. */
const char *rn_test_exit_reason(struct rn_test *test);
/* The wait that the action asked for: {"kind":"delay","ms":1000}, "suspend", or "rerun" with "max"
 * and "context"; NULL: none. The URLs are https://runnel.test/r/run_test/resume and …/cancel. */
const char *rn_test_flow(struct rn_test *test);
/* What the action wants to be sent when its run has ended, a JSON list: [{"kind":"http","url":…},
 * {"kind":"emit","event":…,"channel":…}, …]. */
const char *rn_test_sends(struct rn_test *test);
size_t rn_test_emit_count(struct rn_test *test);
/* JSON list in the order of delivery: [{"event":…,"id":…,"name":…,"summary":…,"ts":…}], members
 * only where given. */
const char *rn_test_emits(struct rn_test *test);
/* {"status":200,"headers":{"name":"value"},"body":"…"}; NULL: rn_respond() was not called. */
const char *rn_test_response(struct rn_test *test);
/* The db as it stands: JSON object. */
const char *rn_test_db(struct rn_test *test);
/* The records of a data store, a JSON object, without those whose time is over. What a call wrote
 * stays, also if it failed. */
const char *rn_test_store(struct rn_test *test, const char *store);
/* A file of the run as text; NULL: there is none. What calls wrote stays until the test's end. */
const char *rn_test_file(struct rn_test *test, const char *name);
/* The path of the folder that they are in. */
const char *rn_test_dir(struct rn_test *test);
/* JSON list [{"label","value"}] of the last rn_test_options(), and its context as JSON text or
 * NULL. */
const char *rn_test_offered(struct rn_test *test);
const char *rn_test_context(struct rn_test *test);
/* JSON list of prop descriptions of the last rn_test_additional_props(). */
const char *rn_test_added_props(struct rn_test *test);
/* JSON list [{"level":"info","text":"…"}], secrets redacted. */
const char *rn_test_logs(struct rn_test *test);
/* How long the last call slept or paused in all, ms. */
int64_t rn_test_slept_ms(struct rn_test *test);
/* The whole description of the plugin, as `runnel components show --json` prints it. */
const char *rn_test_description(struct rn_test *test);

/* ------------------------------------------------------------------ checks
 *
 * Return whether the check held; if not, they print it and count a failure. */

/* Whether two JSON texts have the same value (members in any order); `actual` may be NULL. */
bool rn_test_check_json(struct rn_test *test, const char *file, int line, const char *what,
                        const char *actual, const char *expected);
bool rn_test_check_code(struct rn_test *test, const char *file, int line, const char *what,
                        int32_t actual, int32_t expected);
/* Whether `actual` contains `part`. */
bool rn_test_check_contains(struct rn_test *test, const char *file, int line, const char *what,
                            const char *actual, const char *part);
bool rn_test_check_true(struct rn_test *test, const char *file, int line, const char *what,
                        bool is_true);

#define RN_TEST_JSON(test_, actual_, expected_)                                                    \
    rn_test_check_json((test_), __FILE__, __LINE__, #actual_, (actual_), (expected_))
#define RN_TEST_OK(test_, call_)                                                                   \
    rn_test_check_code((test_), __FILE__, __LINE__, #call_, (call_), RN_OK)
#define RN_TEST_CODE(test_, call_, code_)                                                          \
    rn_test_check_code((test_), __FILE__, __LINE__, #call_, (call_), (code_))
#define RN_TEST_CONTAINS(test_, actual_, part_)                                                    \
    rn_test_check_contains((test_), __FILE__, __LINE__, #actual_, (actual_), (part_))
#define RN_TEST_TRUE(test_, condition_)                                                            \
    rn_test_check_true((test_), __FILE__, __LINE__, #condition_, (condition_))

#ifdef __cplusplus
}
#endif

#endif
