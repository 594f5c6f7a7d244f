/* Which firings are due after a pause, and which of them fire, on a clock that the test sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/schedule_state.h"

#define MAX 10
#define HOUR_MS 3600000ll
#define DAY_MS (24 * HOUR_MS)

static struct schedule *parse(const char *text)
{
    struct json *json = NULL;
    struct schedule *schedule = NULL;
    const struct json *where = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(json_parse(str_from(text), &json, &err), 0);
    if (schedule_parse(json, false, &schedule, &where, &err))
        fail_msg("%s: %s", text, err.text);
    json_free(json);
    return schedule;
}

static int64_t moment(const char *text)
{
    int64_t ms = 0;
    assert_int_equal(clock_parse(str_from(text), &ms), 0);
    return ms;
}

static void test_interval(void **state)
{
    struct schedule *schedule = parse("{\"every\":\"10s\"}");
    struct schedule_state at;
    int64_t due[MAX];
    bool dropped = true;
    (void)state;
    schedule_state_begin(&at, schedule, 1000000);
    assert_int_equal(schedule_due(schedule, "x", &at, 1009999, due, MAX, &dropped), 0);
    assert_int_equal(schedule_due(schedule, "x", &at, 1010000, due, MAX, &dropped), 1);
    assert_int_equal(due[0], 1010000);
    assert_int_equal(schedule_due(schedule, "x", &at, 1100000, due, MAX, &dropped), 10);
    assert_int_equal(due[0], 1010000);
    assert_int_equal(due[9], 1100000);
    assert_false(dropped);
    /* a year away: the newest ten, without counting three million */
    at.last_ms = 1020000;
    int64_t now = 1000000 + 365 * DAY_MS + 5000;
    assert_int_equal(schedule_due(schedule, "x", &at, now, due, MAX, &dropped), 10);
    assert_true(dropped);
    assert_int_equal(due[9], now - 5000);
    for (int i = 1; i < 10; i++)
        assert_int_equal(due[i] - due[i - 1], 10000);
    schedule_free(schedule);
}

static void test_cron(void **state)
{
    struct schedule *schedule =
        parse("{\"cron\":\"30 2 * * *\",\"timezone\":\"Europe/Berlin\",\"on_missed\":\"all\"}");
    struct schedule_state at;
    int64_t due[MAX];
    bool dropped = true;
    (void)state;
    schedule_state_begin(&at, schedule, moment("2026-03-27T12:00:00Z"));
    size_t count =
        schedule_due(schedule, "x", &at, moment("2026-03-31T12:00:00Z"), due, MAX, &dropped);
    assert_int_equal(count, 4);
    assert_false(dropped);
    assert_int_equal(due[0], moment("2026-03-28T01:30:00Z"));
    assert_int_equal(due[1], moment("2026-03-29T01:00:00Z")); /* the hour that is left out */
    assert_int_equal(due[2], moment("2026-03-30T00:30:00Z"));
    assert_int_equal(schedule_choose(schedule, moment("2026-03-31T12:00:00Z"), due, count), 4);
    count = schedule_due(schedule, "x", &at, moment("2027-03-31T12:00:00Z"), due, MAX, &dropped);
    assert_int_equal(count, MAX);
    assert_true(dropped);
    assert_int_equal(due[MAX - 1], moment("2027-03-31T00:30:00Z"));
    assert_int_equal(due[0], moment("2027-03-22T01:30:00Z"));
    schedule_free(schedule);
}

static void check_choice(const char *policy, int64_t late_ms, size_t count, size_t chosen)
{
    char text[100];
    (void)snprintf(text, sizeof(text), "{\"every\":\"1h\",\"on_missed\":\"%s\"}", policy);
    struct schedule *schedule = parse(text);
    int64_t due[MAX] = {HOUR_MS, 2 * HOUR_MS, 3 * HOUR_MS};
    int64_t newest = (int64_t)count * HOUR_MS;
    assert_int_equal(schedule_choose(schedule, newest + late_ms, due, count), chosen);
    if (chosen == 1)
        assert_int_equal(due[0], newest);
    schedule_free(schedule);
}

static void test_choices(void **state)
{
    (void)state;
    check_choice("once", 5, 1, 1);
    check_choice("once", DAY_MS, 3, 1);
    check_choice("once", 5, 3, 1);
    check_choice("skip", 5, 1, 1);
    check_choice("skip", LIMIT_SCHEDULE_LATE_MS, 1, 1);
    check_choice("skip", LIMIT_SCHEDULE_LATE_MS + 1, 1, 0);
    check_choice("skip", 5, 3, 1);
    check_choice("skip", HOUR_MS / 2, 3, 0);
    check_choice("all", HOUR_MS / 2, 3, 3);
}

static void test_jitter(void **state)
{
    struct schedule *schedule = parse("{\"every\":\"1h\",\"jitter\":\"10m\"}");
    struct schedule_state at;
    int64_t due[MAX];
    bool dropped;
    (void)state;
    schedule_state_begin(&at, schedule, 0);
    int64_t put_off = schedule_jitter(schedule, STR("x"), HOUR_MS);
    assert_int_equal(schedule_due(schedule, "x", &at, HOUR_MS + put_off, due, MAX, &dropped), 1);
    assert_int_equal(due[0], HOUR_MS);
    if (put_off > 0)
        assert_int_equal(
            schedule_due(schedule, "x", &at, HOUR_MS + put_off - 1, due, MAX, &dropped), 0);
    schedule_free(schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_interval), cmocka_unit_test(test_cron),
                                       cmocka_unit_test(test_choices),
                                       cmocka_unit_test(test_jitter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
