/* Segment's filter query language, as the sandbox reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sandbox/segment.h"

static const char event_text[] = "{\"type\":\"track\",\"event\":\"Order "
                                 "Completed\",\"userId\":\"ann\",\"properties\":{\"total\":"
                                 "27.5,\"plan\":null,\"is_new\":true,\"tags\":[\"a\"]}}";

static const struct {
    const char *statement;
    bool selects;
} good[] = {
    {"type = \"track\"", true},
    {"type = \"identify\" or type = \"track\" or type = \"group\"", true},
    {"type = \"identify\" or type = 'page'", false},
    {"type = \"track\" and event = \"Order Completed\"", true},
    {"type = \"track\" and event = \"Order\"", false},
    {"type=\"track\"AND userId!=\"bob\"", true},
    {"not type = \"track\"", false},
    {"!(type = \"track\" and userId = \"bob\")", true},
    {"properties.total > 27", true},
    {"properties.total >= 27.5 and properties.total <= 27.5", true},
    {"properties.total < 27.5", false},
    {"properties.total = 27.50", true},
    {"properties.plan = null", true},
    {"properties.nothing = null", true},
    {"properties.is_new = true", true},
    {"properties.is_new", true},
    {"properties.nothing", false},
    {"event != null", true},
    {"contains(event, \"Completed\")", true},
    {"contains(event, \"completed\")", false},
    {"match(event, \"Order*\")", true},
    {"match(event, \"*Shipped\")", false},
    {"contains(properties.total, \"27\")", false},
    {"event = \"a \\\"quoted\\\" one\"", false},
};

static const char *const bad[] = {"",
                                  "=",
                                  "type =",
                                  "type = \"track",
                                  "(type",
                                  "type)",
                                  "type = track or",
                                  "and type",
                                  "type = \"a\" \"b\"",
                                  "contains(event)",
                                  "contains(event, 1)",
                                  "1 = 1",
                                  "type == \"a\"",
                                  "type = \"a\" or",
                                  "length(x) > 1",
                                  "((((((((((((((((((((((((((((((((((((((((type"};

static void test_statements(void **state)
{
    (void)state;
    struct json *event = NULL;
    assert_int_equal(json_parse(str_from(event_text), &event, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        if (!segment_fql_is_good(str_from(good[i].statement)) ||
            segment_fql_selects(str_from(good[i].statement), event) != good[i].selects)
            fail_msg("%s", good[i].statement);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (segment_fql_is_good(str_from(bad[i])) || segment_fql_selects(str_from(bad[i]), event))
            fail_msg("%s", bad[i]);
    json_free(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_statements)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
