/* The filter plugin: each condition both ways, and what its values may be. */
#include "component_test.h"

#define CONTINUE "filter-continue-based-on-condition"
#define EXIT "filter-exit-based-on-condition"
#define CUSTOM "filter-exit-based-on-custom-condition"

struct sample {
    const char *condition, *first, *second; /* JSON; NULL: not set */
    bool holds;
};

static void check(const struct sample *sample, const char *extra)
{
    struct rn_test *t = start();
    char props[512];
    (void)snprintf(props, sizeof(props), "{\"condition\":\"%s\"%s}", sample->condition, extra);
    rn_test_set_props(t, props);
    rn_test_set_prop(t, "initialValue", sample->first);
    rn_test_set_prop(t, "secondValue", sample->second);
    RN_TEST_OK(t, rn_test_action(t, CONTINUE));
    bool goes_on = rn_test_exit_reason(t) == NULL;
    if (goes_on != sample->holds)
        print_error("%s %s %s\n", sample->condition, sample->first ? sample->first : "-",
                    sample->second ? sample->second : "-");
    RN_TEST_TRUE(t, goes_on == sample->holds);
    RN_TEST_JSON(t, rn_test_export(t, "$return_value"), sample->holds ? "true" : "false");
    RN_TEST_OK(t, rn_test_action(t, EXIT));
    RN_TEST_TRUE(t, (rn_test_exit_reason(t) != NULL) == sample->holds);
    finish(t);
}

static void check_all(const struct sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(&samples[i], "");
}

static void texts(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"CONTAINS", "\"Hello World\"", "\"o w\"", true},
        {"CONTAINS", "\"Hello\"", "\"\"", true},
        {"CONTAINS", "\"Hello\"", "\"Hello!\"", false},
        {"CONTAINS", NULL, "\"a\"", false},
        {"CONTAINS", "1234", "23", true},
        {"NOT_CONTAINS", "\"Hello\"", "\"ell\"", false},
        {"NOT_CONTAINS", "\"Hello\"", "\"xyz\"", true},
        {"NOT_CONTAINS", "null", "\"xyz\"", true},
        {"TEXT_EQUALS", "\"ABC\"", "\"abc\"", true},
        {"TEXT_EQUALS", "\"ABC\"", "\"abcd\"", false},
        {"TEXT_EQUALS", "true", "\"true\"", true},
        {"TEXT_EQUALS", NULL, NULL, false},
        {"TEXT_NOT_EQUALS", "\"a\"", "\"b\"", true},
        {"TEXT_NOT_EQUALS", "\"a\"", "\"A\"", false},
        {"STARTS_WITH", "\"order-7\"", "\"ORDER\"", true},
        {"STARTS_WITH", "\"or\"", "\"order\"", false},
        {"NOT_STARTS_WITH", "\"order-7\"", "\"der\"", true},
        {"NOT_STARTS_WITH", "\"order-7\"", "\"o\"", false},
        {"ENDS_WITH", "\"a.PDF\"", "\".pdf\"", true},
        {"ENDS_WITH", "\"df\"", "\".pdf\"", false},
        {"NOT_ENDS_WITH", "\"a.pdf\"", "\".doc\"", true},
        {"NOT_ENDS_WITH", "\"a.pdf\"", "\"f\"", false},
    };
    check_all(samples, RN_COUNT(samples));
    const struct sample strict = {"TEXT_EQUALS", "\"ABC\"", "\"abc\"", false};
    check(&strict, ",\"caseSensitive\":true");
}

static void numbers(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"GREATER_THAN", "11", "\"9\"", true},
        {"GREATER_THAN", "9", "9", false},
        {"GREATER_THAN", "9007199254740993", "9007199254740992", true},
        {"GREATER_THAN_EQUALS", "9.5", "9.5", true},
        {"GREATER_THAN_EQUALS", "9.4", "9.5", false},
        {"LESS_THAN", "-1", "0", true},
        {"LESS_THAN", "0", "-1", false},
        {"LESS_THAN_EQUALS", "\"2\"", "2", true},
        {"LESS_THAN_EQUALS", "3", "2", false},
        {"EQUALS", "1.0", "\"1\"", true},
        {"EQUALS", "1", "2", false},
    };
    check_all(samples, RN_COUNT(samples));
}

static void containers(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"IN_ARRAY", "\"b\"", "[\"a\",\"b\"]", true},
        {"IN_ARRAY", "1", "\"[1.0, 2]\"", true},
        {"IN_ARRAY", "\"1\"", "[1,2]", false},
        {"IN_ARRAY", NULL, "[null]", true},
        {"NOT_IN_ARRAY", "\"c\"", "[\"a\",\"b\"]", true},
        {"NOT_IN_ARRAY", "\"a\"", "[\"a\",\"b\"]", false},
        {"KEY_EXISTS", "\"id\"", "{\"id\":0}", true},
        {"KEY_EXISTS", "\"id\"", "{\"id\":null}", false},
        {"KEY_EXISTS", "\"id\"", "\"{\\\"id\\\":7}\"", true},
        {"KEY_NOT_EXISTS", "\"id\"", "{\"ID\":1}", true},
        {"KEY_NOT_EXISTS", "\"id\"", "{\"id\":null}", true},
        {"KEY_NOT_EXISTS", "\"id\"", "{\"id\":1}", false},
    };
    check_all(samples, RN_COUNT(samples));
}

static void truth_and_null(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"TRUE", "true", NULL, true},
        {"TRUE", "\"x\"", NULL, true},
        {"TRUE", "0", NULL, false},
        {"TRUE", "\"\"", NULL, false},
        {"TRUE", NULL, NULL, false},
        {"TRUE", "[]", NULL, true},
        {"FALSE", "false", NULL, true},
        {"FALSE", "1", NULL, false},
        {"IS_NULL", "null", NULL, true},
        {"IS_NULL", NULL, NULL, true},
        {"IS_NULL", "\"undefined\"", NULL, true},
        {"IS_NULL", "0", NULL, false},
        {"NOT_NULL", "\"\"", NULL, true},
        {"NOT_NULL", "null", NULL, false},
    };
    check_all(samples, RN_COUNT(samples));
}

static void what_cannot_be_compared(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_set_props(t, "{\"condition\":\"EQUALS\",\"initialValue\":\"x1\",\"secondValue\":1}");
    RN_TEST_CODE(t, rn_test_action(t, CONTINUE), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "the first value is no number");
    rn_test_set_props(t, "{\"condition\":\"LESS_THAN\",\"initialValue\":1}");
    RN_TEST_CODE(t, rn_test_action(t, CONTINUE), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "the second value is no number");
    rn_test_set_props(t, "{\"condition\":\"IN_ARRAY\",\"initialValue\":1,\"secondValue\":\"{}\"}");
    RN_TEST_CODE(t, rn_test_action(t, CONTINUE), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "is no list");
    rn_test_set_props(t,
                      "{\"condition\":\"KEY_EXISTS\",\"initialValue\":\"a\",\"secondValue\":[]}");
    RN_TEST_CODE(t, rn_test_action(t, CONTINUE), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "is no object");
    finish(t);
}

static void reasons(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_set_props(t, "{\"condition\":\"TRUE\",\"initialValue\":false}");
    RN_TEST_OK(t, rn_test_action(t, CONTINUE));
    RN_TEST_CONTAINS(t, rn_test_exit_reason(t), "The condition TRUE is not met");
    rn_test_set_prop(t, "messageOnEnd", "\"too small\"");
    rn_test_set_prop(t, "messageOnContinue", "\"big enough\"");
    RN_TEST_OK(t, rn_test_action(t, CONTINUE));
    RN_TEST_CONTAINS(t, rn_test_exit_reason(t), "too small");
    RN_TEST_OK(t, rn_test_action(t, EXIT));
    RN_TEST_JSON(t, rn_test_export(t, "$summary"), "\"Workflow continued. big enough\"");
    rn_test_set_props(t, "{\"condition\":true}");
    RN_TEST_OK(t, rn_test_action(t, CUSTOM));
    RN_TEST_CONTAINS(t, rn_test_exit_reason(t), "The condition is true");
    rn_test_set_props(t, "{\"condition\":false}");
    RN_TEST_OK(t, rn_test_action(t, CUSTOM));
    RN_TEST_TRUE(t, rn_test_exit_reason(t) == NULL);
    finish(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(numbers),
        cmocka_unit_test(containers),
        cmocka_unit_test(truth_and_null),
        cmocka_unit_test(what_cannot_be_compared),
        cmocka_unit_test(reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
