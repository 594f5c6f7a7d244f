/* What actions send when their run has ended, in the SDK's fake host; the plugin is this file's
 * own. */
#include "component_test.h"

static int32_t source_run(struct rn_run *run)
{
    return rn_send_emit(run, rn_json_integer(run, 1), NULL);
}

static int32_t action_run(struct rn_run *run)
{
    int32_t err = rn_send_http(run, rn_prop(run, "request"));
    err = err ? err : rn_send_email(run, rn_json_object(run));
    err = err ? err : rn_send_emit(run, rn_json_null(run), "orders");
    err = err ? err : rn_send_emit(run, rn_json_integer(run, 7), NULL);
    err = err ? err : rn_send_sse(run, "a\"b", rn_json_array(run));
    return err || !rn_prop_boolean(run, "fails") ? err : rn_fail(run, RN_EFAILED, "as told");
}

static const struct rn_prop props[] = {
    {.name = "request", .type = RN_ANY},
    {.name = "fails", .type = RN_BOOLEAN, .flags = RN_OPTIONAL},
};

static const struct rn_component source = {.key = "sends-source",
                                           .name = "Source",
                                           .version = "0.0.1",
                                           .type = RN_SOURCE,
                                           .run = source_run};
static const struct rn_component action = {.key = "sends-do",
                                           .name = "Do",
                                           .version = "0.0.1",
                                           .type = RN_ACTION,
                                           .props = props,
                                           .prop_count = RN_COUNT(props),
                                           .run = action_run};
static const struct rn_component *const components[] = {&source, &action};

RN_EXPORT const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD,
    .name = "sends",
    .version = "0.0.1",
    .components = components,
    .component_count = RN_COUNT(components),
};

static void everything_is_listed(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_set_prop(t, "request", "{\"url\":\"https://example.com\",\"data\":{\"a\":[1]}}");
    RN_TEST_OK(t, rn_test_action(t, "sends-do"));
    RN_TEST_JSON(t, rn_test_sends(t),
                 "[{\"kind\":\"http\",\"url\":\"https://example.com\",\"data\":{\"a\":[1]}},"
                 "{\"kind\":\"email\"},{\"kind\":\"emit\",\"event\":null,\"channel\":\"orders\"},"
                 "{\"kind\":\"emit\",\"event\":7},"
                 "{\"kind\":\"sse\",\"payload\":[],\"channel\":\"a\\\"b\"}]");
    finish(t);
}

static void a_failure_sends_nothing(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_set_props(t, "{\"request\":{\"url\":\"https://example.com\"},\"fails\":true}");
    RN_TEST_CODE(t, rn_test_action(t, "sends-do"), RN_EFAILED);
    RN_TEST_JSON(t, rn_test_sends(t), "[]");
    finish(t);
}

static void wrong_values_are_refused(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_set_prop(t, "request", "\"https://example.com\"");
    RN_TEST_CODE(t, rn_test_action(t, "sends-do"), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "rn_send_http: an object is wanted");
    rn_test_set_props(t, "{}");
    RN_TEST_CODE(t, rn_test_source_event(t, "sends-source", "{}"), RN_EINVAL);
    RN_TEST_CONTAINS(t, rn_test_error(t), "only actions send");
    finish(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_listed),
        cmocka_unit_test(a_failure_sends_nothing),
        cmocka_unit_test(wrong_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
