/* The SWAPI plugin. */
#include "component_test.h"

#define KEY "swapi-get-film"
#define FILMS "https://swapi.dev/api/films/"

static void film_is_asked_for_with_the_slash(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_set_props(t, "{\"film\":\"1\"}");
    rn_test_expect_json(t, "GET", FILMS "1/", NULL, 200,
                        "{\"title\":\"A New Hope\",\"episode_id\":4}");
    RN_TEST_OK(t, rn_test_action(t, KEY));
    RN_TEST_JSON(t, rn_test_export(t, "$return_value"),
                 "{\"title\":\"A New Hope\",\"episode_id\":4}");
    RN_TEST_JSON(t, rn_test_export(t, "$summary"),
                 "\"Successfully retrieved film \\\"A New Hope\\\"\"");
    finish(t);
}

static void missing_film(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_set_props(t, "{\"film\":\"../9\"}");
    rn_test_expect_json(t, "GET", FILMS "..%2F9/", NULL, 404, "{\"detail\":\"Not found\"}");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_ENOTFOUND);
    rn_test_expect_json(t, "GET", FILMS "..%2F9/", NULL, 200, "<html>");
    RN_TEST_CODE(t, rn_test_action(t, KEY), RN_EPROTOCOL);
    finish(t);
}

/* The id is that of the URL, which is neither the episode nor the place in the list. */
static void options(void **state)
{
    (void)state;
    struct rn_test *t = start();
    rn_test_expect_json(t, "GET", FILMS, NULL, 200,
                        "{\"count\":2,\"next\":\"" FILMS "?page=2\",\"results\":["
                        "{\"title\":\"The Phantom "
                        "Menace\",\"episode_id\":1,\"url\":\"http://swapi.dev/api/films/4/\"},"
                        "{\"title\":\"A New Hope\",\"episode_id\":4,\"url\":\"" FILMS "1/\"}]}");
    RN_TEST_OK(t, rn_test_options(t, KEY, "film", 0, NULL, NULL));
    RN_TEST_JSON(t, rn_test_offered(t),
                 "[{\"label\":\"The Phantom Menace\",\"value\":\"4\"},{\"label\":\"A New "
                 "Hope\",\"value\":\"1\"}]");
    RN_TEST_TRUE(t, rn_test_context(t) != NULL);
    rn_test_expect_json(t, "GET", FILMS "?page=2&search=hope", NULL, 200,
                        "{\"next\":null,\"results\":[]}");
    RN_TEST_OK(t, rn_test_options(t, KEY, "film", 1, "hope", "{\"next\":\"x\"}"));
    RN_TEST_JSON(t, rn_test_offered(t), "[]");
    RN_TEST_TRUE(t, rn_test_context(t) == NULL);
    finish(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(film_is_asked_for_with_the_slash),
        cmocka_unit_test(missing_film),
        cmocka_unit_test(options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
