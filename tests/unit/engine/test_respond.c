/* Answers of runs to senders who wait: which counts, when it goes out, and who waits in vain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/respond.h"

enum { LONG_MS = 60000, SHORT_MS = 1 };

static struct engine *start(void)
{
    struct engine *engine = xcalloc(1, sizeof(*engine));
    atomic_store(&engine->is_accepting, true);
    engine->responders = responders_new();
    return engine;
}

static void finish(struct engine *engine)
{
    responders_free(engine->responders);
    free(engine);
}

static void give(struct engine *engine, uint64_t run, const char *text)
{
    struct json *json = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(json_parse(str_from(text), &json, &err), 0);
    respond_give(engine, run, json);
    json_free(json);
}

static void test_first_at_the_end(void **state)
{
    struct engine *engine = start();
    struct expected_answer a, b;
    (void)state;
    assert_int_equal(respond_expect(engine, &a), 0);
    assert_int_equal(respond_expect(engine, &b), 0);
    respond_bind(engine, &a, 7);
    respond_bind(engine, &b, 8);
    give(engine, 7, "{\"status\":201}");
    give(engine, 7, "{\"status\":202,\"immediate\":true}");
    give(engine, 9, "{\"status\":203}"); /* nobody waits for that run */
    assert_int_equal(respond_wait(engine, &a, SHORT_MS), RN_ETIMEDOUT);
    respond_end(engine, 7);
    assert_int_equal(respond_wait(engine, &a, LONG_MS), 0);
    assert_int_equal(json_get_i64(a.answer, "status", 0), 201);
    respond_end(engine, 8);
    assert_int_equal(respond_wait(engine, &b, LONG_MS), 0);
    assert_null(b.answer);
    respond_forget(engine, &a);
    respond_forget(engine, &b);
    respond_end(engine, 7);
    finish(engine);
}

static void test_immediate(void **state)
{
    struct engine *engine = start();
    struct expected_answer a;
    (void)state;
    assert_int_equal(respond_expect(engine, &a), 0);
    respond_bind(engine, &a, 7);
    give(engine, 7, "{\"status\":200,\"immediate\":true,\"body\":\"now\"}");
    give(engine, 7, "{\"status\":500}");
    assert_int_equal(respond_wait(engine, &a, LONG_MS), 0);
    assert_int_equal(json_get_i64(a.answer, "status", 0), 200);
    respond_forget(engine, &a);
    finish(engine);
}

static void test_bounds(void **state)
{
    struct engine *engine = start();
    struct expected_answer *many = xcalloc(LIMIT_RESPOND_WAITERS, sizeof(*many)), one = {0};
    (void)state;
    for (size_t i = 0; i < LIMIT_RESPOND_WAITERS; i++)
        assert_int_equal(respond_expect(engine, &many[i]), 0);
    assert_int_equal(respond_expect(engine, &one), RN_EUNAVAILABLE);
    respond_forget(engine, &one); /* harmless */
    respond_forget(engine, &many[0]);
    assert_int_equal(respond_expect(engine, &one), 0);
    atomic_store(&engine->is_accepting, false);
    assert_int_equal(respond_wait(engine, &one, LONG_MS), RN_ECANCELED);
    respond_forget(engine, &one);
    for (size_t i = 1; i < LIMIT_RESPOND_WAITERS; i++)
        respond_forget(engine, &many[i]);
    free(many);
    finish(engine);
}

static void check_written(const char *answer, int status, const char *headers, const char *body)
{
    struct http_response response = {.headers = BUF_INIT(KIB(64)), .body = BUF_INIT(KIB(64))};
    struct json *json = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(json_parse(str_from(answer), &json, &err), 0);
    respond_write(json, &response);
    assert_int_equal(response.status, status);
    assert_string_equal(buf_c(&response.headers), headers);
    assert_string_equal(buf_c(&response.body), body);
    json_free(json);
    buf_release(&response.headers);
    buf_release(&response.body);
}

static void test_written(void **state)
{
    (void)state;
    check_written("{\"status\":204}", 204, "", "");
    check_written("{\"status\":100,\"body\":null}", 200, "", "");
    check_written("{\"status\":200,\"body\":\"hi\"}", 200,
                  "content-type: text/plain; charset=utf-8\r\n", "hi");
    check_written("{\"status\":200,\"body\":{\"a\":1.10}}", 200,
                  "content-type: application/json\r\n", "{\"a\":1.10}");
    check_written("{\"status\":200,\"headers\":{\"Content-Type\":\"text/html\",\"x-n\":7,\"bad "
                  "name\":\"x\",\"x-evil\":\"a\\r\\nb: c\"},\"body\":\"<p>\"}",
                  200, "Content-Type: text/html\r\nx-n: 7\r\n", "<p>");
    check_written("{\"status\":200,\"body\":{\"$base64\":\"aGk=\"}}", 200,
                  "content-type: application/octet-stream\r\n", "hi");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_at_the_end), cmocka_unit_test(test_immediate),
        cmocka_unit_test(test_bounds), cmocka_unit_test(test_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
