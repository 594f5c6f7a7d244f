/* When schedules fire: cron fields, and what the clocks' changes do, against moments worked out by
 * hand (Python's zoneinfo agrees with each offset used here). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "flow/schedule.h"

/* The firings behind `from`, each as the zone's clock shows it, up to `count`. */
static void check_firings(const char *cron, const char *timezone, const char *from,
                          const char *const *expected, size_t count)
{
    struct cron parsed;
    struct zone *zone = NULL;
    struct err err = ERR_INIT;
    int64_t after_ms = 0, at = 0;
    assert_int_equal(cron_parse(str_from(cron), &parsed, &err), 0);
    assert_int_equal(zone_open(str_from(timezone), &zone, &err), 0);
    assert_int_equal(clock_parse(str_from(from), &after_ms), 0);
    at = after_ms / 1000;
    for (size_t i = 0; i < count; i++) {
        struct wall_time wall;
        char text[WALL_TEXT_MAX];
        assert_true(cron_next(&parsed, zone, at, &at));
        wall_time(zone, at, &wall);
        wall_format(&wall, text);
        if (strcmp(text, expected[i]) != 0)
            fail_msg("%s %s: firing %zu is %s, not %s", cron, timezone, i, text, expected[i]);
        int64_t ms = 0;
        assert_int_equal(clock_parse(str_from(text), &ms), 0);
        assert_int_equal(ms / 1000, at);
    }
    zone_free(zone);
}
#define CHECK(cron_, timezone_, from_, ...)                                                        \
    do {                                                                                           \
        const char *const expected_[] = {__VA_ARGS__};                                             \
        check_firings(cron_, timezone_, from_, expected_, sizeof(expected_) / sizeof(*expected_)); \
    } while (0)

static void test_fields(void **state)
{
    (void)state;
    CHECK("0 9 * * 1-5", "UTC", "2026-03-06T08:00:00Z", "2026-03-06T09:00:00+00:00",
          "2026-03-09T09:00:00+00:00", "2026-03-10T09:00:00+00:00");
    CHECK("*/20 * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:20:00+00:00",
          "2026-01-01T00:40:00+00:00", "2026-01-01T01:00:00+00:00");
    CHECK("5,10-12 8 1 JAN,jul *", "UTC", "2026-01-01T08:10:00Z", "2026-01-01T08:11:00+00:00",
          "2026-01-01T08:12:00+00:00", "2026-07-01T08:05:00+00:00");
    CHECK("0 0 13 * FRI", "UTC", "2026-03-01T00:00:00Z", "2026-03-06T00:00:00+00:00",
          "2026-03-13T00:00:00+00:00", "2026-03-20T00:00:00+00:00");
    CHECK("0 0 13 * *", "UTC", "2026-03-01T00:00:00Z", "2026-03-13T00:00:00+00:00",
          "2026-04-13T00:00:00+00:00");
    CHECK("0 0 * * 7", "UTC", "2026-03-01T00:00:00Z", "2026-03-08T00:00:00+00:00");
    CHECK("0 0 * * SAT-SUN", "UTC", "2026-03-01T00:00:00Z", "2026-03-07T00:00:00+00:00",
          "2026-03-08T00:00:00+00:00");
    CHECK("30 6 L * *", "UTC", "2026-01-31T07:00:00Z", "2026-02-28T06:30:00+00:00",
          "2026-03-31T06:30:00+00:00", "2026-04-30T06:30:00+00:00");
    CHECK("0 8 * * 5#2", "UTC", "2026-01-01T00:00:00Z", "2026-01-09T08:00:00+00:00",
          "2026-02-13T08:00:00+00:00");
    CHECK("0 8 * * MON#5", "UTC", "2026-01-01T00:00:00Z", "2026-03-30T08:00:00+00:00",
          "2026-06-29T08:00:00+00:00");
    CHECK("0 8 * * FRIL", "UTC", "2026-01-01T00:00:00Z", "2026-01-30T08:00:00+00:00",
          "2026-02-27T08:00:00+00:00");
    CHECK("@weekly", "UTC", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00+00:00");
    CHECK("10-50/20 3 * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T03:10:00+00:00",
          "2026-01-01T03:30:00+00:00", "2026-01-01T03:50:00+00:00", "2026-01-02T03:10:00+00:00");
}

static void test_leap_days(void **state)
{
    (void)state;
    CHECK("0 12 29 2 *", "Europe/Berlin", "2026-01-01T00:00:00Z", "2028-02-29T12:00:00+01:00",
          "2032-02-29T12:00:00+01:00");
    CHECK("0 0 L 2 *", "Asia/Tokyo", "2027-01-01T00:00:00Z", "2027-02-28T00:00:00+09:00",
          "2028-02-29T00:00:00+09:00", "2029-02-28T00:00:00+09:00");
    CHECK("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00+00:00");
}

/* 2:00 → 3:00 on 29 March 2026, 3:00 → 2:00 on 25 October. */
static void test_berlin(void **state)
{
    (void)state;
    CHECK("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-28T02:30:00+01:00",
          "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00");
    CHECK("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T03:00:00+02:00",
          "2026-03-29T03:30:00+02:00", "2026-03-30T02:00:00+02:00");
    CHECK("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:30:00+01:00",
          "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00");
    CHECK("30 * * * *", "Europe/Berlin", "2026-03-28T23:45:00Z", "2026-03-29T01:30:00+01:00",
          "2026-03-29T03:30:00+02:00");
    CHECK("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00",
          "2026-10-26T02:30:00+01:00");
    /* asked in the middle of the repeated hour */
    CHECK("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-26T02:30:00+01:00");
    CHECK("0 3 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T03:00:00+01:00");
    CHECK("30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", "2026-10-25T02:30:00+02:00",
          "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00");
    CHECK("*/30 2 * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", "2026-10-25T02:00:00+02:00",
          "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00",
          "2026-10-26T02:00:00+01:00");
    CHECK("0 9 * * 1-5", "Europe/Berlin", "2026-03-27T12:00:00Z", "2026-03-30T09:00:00+02:00");
}

static void test_new_york(void **state)
{
    (void)state;
    CHECK("15 2 * * *", "America/New_York", "2026-03-08T00:00:00Z", "2026-03-08T03:00:00-04:00",
          "2026-03-09T02:15:00-04:00");
    CHECK("15 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", "2026-11-01T01:15:00-04:00",
          "2026-11-02T01:15:00-05:00");
    CHECK("0 0 1 * *", "America/New_York", "2026-02-15T00:00:00Z", "2026-03-01T00:00:00-05:00",
          "2026-04-01T00:00:00-04:00");
}

/* Half an hour, in the south: 2:00 → 2:30 on 4 October 2026, 2:00 → 1:30 on 5 April. */
static void test_lord_howe(void **state)
{
    (void)state;
    CHECK("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-04T02:30:00+11:00",
          "2026-10-05T02:15:00+11:00");
    CHECK("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-05T01:45:00+11:00",
          "2026-04-06T01:45:00+10:30");
    CHECK("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:35:00Z",
          "2026-04-05T01:45:00+11:00", "2026-04-05T01:30:00+10:30", "2026-04-05T01:45:00+10:30",
          "2026-04-05T02:00:00+10:30");
}

/* A change at midnight (Cairo, 24 April 2026: 0:00 → 1:00), a zone without one, and one that went a
 * whole day ahead (Samoa left out 30 December 2011). */
static void test_others(void **state)
{
    (void)state;
    CHECK("0 0 * * *", "Africa/Cairo", "2026-04-22T23:00:00Z", "2026-04-24T01:00:00+03:00",
          "2026-04-25T00:00:00+03:00");
    CHECK("45 5 * * *", "Asia/Kathmandu", "2026-01-01T00:30:00Z", "2026-01-02T05:45:00+05:45");
    CHECK("0 9 * * *", "Pacific/Apia", "2011-12-29T20:00:00Z", "2011-12-31T00:00:00+14:00",
          "2011-12-31T09:00:00+14:00");
    CHECK("0 9 * * *", "Europe/Dublin", "2036-10-25T00:00:00Z", "2036-10-25T09:00:00+01:00",
          "2036-10-26T09:00:00+00:00");
}

static void check_refused(const char *config, bool is_timer, const char *expected,
                          const char *where)
{
    struct json *json = NULL;
    struct schedule *schedule = NULL;
    const struct json *place = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(json_parse(str_from(config), &json, &err), 0);
    assert_int_equal(schedule_parse(json, is_timer, &schedule, &place, &err), RN_EINVAL);
    if (!strstr(err.text, expected))
        fail_msg("%s: \"%s\" is not in \"%s\"", config, expected, err.text);
    if (where)
        assert_string_equal(json_name(place), where);
    else
        assert_ptr_equal(place, json);
    json_free(json);
}

static void test_refused(void **state)
{
    (void)state;
    check_refused("{\"cron\":\"0 9 * *\"}", false, "five fields", "cron");
    check_refused("{\"cron\":\"0 9 * * * *\"}", false, "no seconds", "cron");
    check_refused("{\"cron\":\"60 9 * * *\"}", false, "no minute", "cron");
    check_refused("{\"cron\":\"0 24 * * *\"}", false, "no hour", "cron");
    check_refused("{\"cron\":\"0 9 * FEV *\"}", false, "did you mean \"FEB\"", "cron");
    check_refused("{\"cron\":\"0 9 5-2 * *\"}", false, "backwards", "cron");
    check_refused("{\"cron\":\"*/0 9 * * *\"}", false, "step", "cron");
    check_refused("{\"cron\":\"0 9 , * *\"}", false, "no day of month", "cron");
    check_refused("{\"cron\":\"0 9 * * 5#6\"}", false, "1 to 5", "cron");
    check_refused("{\"cron\":\"0 0 31 2 *\"}", false, "never fires", "cron");
    check_refused("{\"cron\":\"@dayly\"}", false, "@daily", "cron");
    check_refused("{\"cron\":\"0 9 * * *\",\"timezone\":\"Europe/Berlin2\"}", false,
                  "did you mean \"Europe/Berlin\"", "timezone");
    check_refused("{\"cron\":\"0 9 * * *\",\"timezone\":\"europe/berlin\"}", false,
                  "did you mean \"Europe/Berlin\"", "timezone");
    check_refused("{\"cron\":\"0 9 * * *\",\"timezone\":\"../../etc/passwd\"}", false,
                  "no time zone", "timezone");
    check_refused("{\"cron\":\"0 9 * * *\",\"timezone\":\"+02:00\"}", false, "no time zone",
                  "timezone");
    check_refused("{\"every\":\"15\"}", false, "unit", "every");
    check_refused("{\"every\":\"10ms\"}", false, "from 1s", "every");
    check_refused("{\"every\":\"1m\",\"cron\":\"* * * * *\"}", false, "not both", "every");
    check_refused("{}", false, "\"every\" or \"cron\"", NULL);
    check_refused("{\"evry\":\"1m\"}", false, "did you mean \"every\"", "evry");
    check_refused("{\"every\":\"1m\",\"overlap\":\"quue\"}", false, "did you mean \"queue\"",
                  "overlap");
    check_refused("{\"intervalSeconds\":0}", true, "1 at least", "intervalSeconds");
    check_refused("{\"every\":\"1m\"}", true, "unknown key", "every");
}

static void test_interval(void **state)
{
    struct json *json = NULL;
    struct schedule *schedule = NULL;
    const struct json *where = NULL;
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(json_parse(STR("{\"every\":\"15m\",\"jitter\":\"30s\"}"), &json, &err), 0);
    assert_int_equal(schedule_parse(json, false, &schedule, &where, &err), 0);
    const int64_t anchor = 1000000007, every = 900000;
    assert_int_equal(schedule_next(schedule, anchor, anchor), anchor + every);
    assert_int_equal(schedule_next(schedule, anchor, anchor + every - 1), anchor + every);
    assert_int_equal(schedule_next(schedule, anchor, anchor + every), anchor + 2 * every);
    assert_int_equal(schedule_next(schedule, anchor, anchor + 100 * every + 5),
                     anchor + 101 * every);
    bool differ = false;
    for (int i = 0; i < 50; i++) {
        int64_t put_off = schedule_jitter(schedule, STR("a"), anchor + i * every);
        assert_true(put_off >= 0 && put_off < 30000);
        assert_int_equal(put_off, schedule_jitter(schedule, STR("a"), anchor + i * every));
        differ |= put_off != schedule_jitter(schedule, STR("b"), anchor + i * every);
    }
    assert_true(differ);
    schedule_free(schedule);
    json_free(json);
}

static void test_event(void **state)
{
    struct json *json = NULL;
    struct schedule *schedule = NULL;
    const struct json *where = NULL;
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(
        json_parse(STR("{\"cron\":\"0 9 * * *\",\"timezone\":\"Asia/Kathmandu\"}"), &json, &err),
        0);
    assert_int_equal(schedule_parse(json, false, &schedule, &where, &err), 0);
    struct json *event = schedule_event(schedule, false, 1772421300000); /* Monday */
    char *text = json_text(event, NULL);
    assert_string_equal(
        text,
        "{\"timestamp\":1772421300,\"cron\":\"0 9 * * *\",\"timezone_configured\":{\"date\":{"
        "\"day\":2,\"month\":3,\"year\":2026},\"iso8601\":{\"date\":\"2026-03-02\",\"time\":"
        "\"09:00:00+05:45\",\"timestamp\":\"2026-03-02T09:00:00+05:45\"},\"metadata\":{"
        "\"day_name\":\"Monday\",\"day_of_week\":1,\"start_of_week\":\"2026-03-02\"},\"pretty\":{"
        "\"date\":\"Mar 2, 2026\",\"time\":\"9:00 AM\",\"time_24h\":\"09:00\"},\"time\":{"
        "\"hour\":9,\"minute\":0,\"second\":0,\"millisecond\":0},\"timezone\":\"Asia/Kathmandu\"},"
        "\"timezone_utc\":{\"date\":{\"day\":2,\"month\":3,\"year\":2026},\"iso8601\":{\"date\":"
        "\"2026-03-02\",\"time\":\"03:15:00+00:00\",\"timestamp\":\"2026-03-02T03:15:00+00:00\"},"
        "\"metadata\":{\"day_name\":\"Monday\",\"day_of_week\":1,\"start_of_week\":\"2026-03-02\"},"
        "\"pretty\":{\"date\":\"Mar 2, 2026\",\"time\":\"3:15 AM\",\"time_24h\":\"03:15\"},"
        "\"time\":{\"hour\":3,\"minute\":15,\"second\":0,\"millisecond\":0},\"timezone\":\"UTC\"}"
        "}");
    free(text);
    json_free(event);
    schedule_free(schedule);
    json_free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),    cmocka_unit_test(test_leap_days),
        cmocka_unit_test(test_berlin),    cmocka_unit_test(test_new_york),
        cmocka_unit_test(test_lord_howe), cmocka_unit_test(test_others),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_interval),
        cmocka_unit_test(test_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
