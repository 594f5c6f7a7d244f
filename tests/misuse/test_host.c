/* The calls of plugin/protocol.h against a real plugin host; and installing. This program is its
 * own plugin host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "crypto/hmac.h"
#include "ipc/supervisor.h"
#include "plugin/catalog.h"
#include "json/json.h"

#define PROBE MISUSE_DIR "/probe.so"
#define REQUEST                                                                                    \
    "\"request\":{\"method\":\"POST\",\"path\":\"/\",\"query\":\"q=a%20b&q=c\",\"url\":\"https://" \
    "h.test/\","                                                                                   \
    "\"client_ip\":\"203.0.113.7\",\"headers\":{\"content-type\":\"application/"                   \
    "json\",\"x-signature\":\"s1\"}}"
#define SNAPSHOT                                                                                   \
    "{\"props\":{},\"auth\":{\"probe\":{\"key\":\"k-123456\"}},\"endpoints\":{\"http\":\"https://" \
    "h.test/e\"},"                                                                                 \
    "\"db\":{\"count\":41,\"old\":true}}"

struct fixture {
    struct supervisor *supervisor;
    struct host *host;
    char sha256[65];
    char log[4096];
    /* of the last answer */
    struct buf bytes;
    struct frame frame;
    struct str sections[8];
    struct json *json;
};

static int start_host(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err err = ERR_INIT;
    assert_int_equal(crypto_hash_file(PROBE, f->sha256, &err), 0);
    const char *argv[] = {"plugin-host", "--plugin", PROBE, "--sha256", f->sha256, NULL};
    struct host_options options = {.name = "probe", .argv = argv};
    f->supervisor = supervisor_new(NULL);
    f->host = host_new(f->supervisor, &options);
    buf_init(&f->bytes, MIB(8));
    *state = f;
    return 0;
}

static int stop_host(void **state)
{
    struct fixture *f = *state;
    supervisor_free(f->supervisor, 2000);
    json_free(f->json);
    buf_release(&f->bytes);
    free(f);
    return 0;
}

static void take_log(void *ctx, struct str level, struct str text)
{
    struct fixture *f = ctx;
    (void)snprintf(f->log, sizeof(f->log), STR_FMT ": " STR_FMT, STR_ARG(level), STR_ARG(text));
}

/* The answer's JSON; it stands until the next call. */
static const struct json *ask(struct fixture *f, const char *message, const struct str *sections,
                              uint32_t count)
{
    struct call call = {
        .frame = {.json = str_from(message), .sections = sections, .section_count = count},
        .timeout_ms = 20000,
        .log = take_log,
        .ctx = f,
    };
    struct err err = ERR_INIT;
    json_free(f->json);
    f->json = NULL;
    buf_clear(&f->bytes);
    int code = host_call_wait(f->host, &call, &f->bytes, &f->frame, f->sections, 8, &err);
    if (code)
        print_error("%s: %s\n", err_name(code), err.text);
    assert_int_equal(code, 0);
    assert_int_equal(json_parse(f->frame.json, &f->json, &err), 0);
    return f->json;
}

static void expect_error(const struct json *answer, const char *code, const char *part)
{
    const struct json *error = json_get(answer, "error");
    assert_non_null(error);
    assert_string_equal(json_get_c(error, "code"), code);
    if (!strstr(json_get_c(error, "text"), part))
        print_error("%s\n", json_get_c(error, "text"));
    assert_non_null(strstr(json_get_c(error, "text"), part));
    assert_null(json_get(answer, "writes"));
    assert_null(json_get(answer, "emits"));
}

static void expect_json(const char *wanted, const struct json *value)
{
    char *text = value ? json_text(value, NULL) : xstrdup("(nothing)");
    assert_string_equal(text, wanted);
    free(text);
}

static void expect_section(const struct fixture *f, const struct json *owner, const char *wanted)
{
    int64_t index = json_get_i64(owner, "section", -1);
    assert_true(index >= 0 && index < (int64_t)f->frame.section_count);
    assert_int_equal(f->sections[index].len, strlen(wanted));
    assert_memory_equal(f->sections[index].ptr, wanted, strlen(wanted));
}

static void source_run_is_one_transaction(void **state)
{
    struct fixture *f = *state;
    /* A number and a string that a double or a C string could not hold, and spaces: byte for byte.
     */
    const char *body = "{ \"id\": 12345678901234567890, \"nul\":\"a\\u0000b\" }";
    struct str sections[] = {str_from(body), STR(SNAPSHOT)};
    const char *message = "{\"op\":\"source_run\",\"component\":\"probe-source\",\"instance\":"
                          "\"i1\",\"version\":7," REQUEST "}";
    expect_error(ask(f, message, sections, 1), "RN_ECONFLICT", "version 7 of instance i1");
    const char *with = "{\"op\":\"source_run\",\"component\":\"probe-source\",\"instance\":\"i1\","
                       "\"version\":7,\"snapshot\":1," REQUEST "}";
    for (int round = 0; round < 2; round++) {
        const struct json *answer = ask(f, round ? message : with, sections, round ? 1 : 2);
        assert_true(json_get_bool(answer, "ok", false));
        const struct json *write = json_first(json_get(answer, "writes"));
        assert_string_equal(json_get_c(write, "key"), "count");
        expect_section(f, write, "42");
        expect_json("{\"key\":\"old\",\"delete\":true}", json_next(write));
        const struct json *emit = json_first(json_get(answer, "emits"));
        assert_string_equal(json_get_c(emit, "id"), "a");
        assert_string_equal(json_get_c(emit, "summary"), "older");
        expect_section(f, emit, "12345678901234567890");
        emit = json_next(emit);
        assert_string_equal(json_get_c(emit, "id"), "b");
        assert_int_equal(json_get_i64(emit, "ts", 0), 2000);
        expect_json("[0,48]", json_get(emit, "body"));
        const struct json *response = json_get(answer, "response");
        assert_int_equal(json_get_i64(response, "status", 0), 202);
        expect_json("[[\"X-Signature\",\"s1\"],[\"X-Query\",\"a b\"]]",
                    json_get(response, "headers"));
        expect_section(f, response, "https://h.test/e");
    }
    struct str wrong[] = {STR("{not json"), STR(SNAPSHOT)};
    const struct json *answer = ask(f, message, wrong, 1);
    assert_int_equal(json_get_i64(json_get(answer, "response"), "status", 0), 400);
    expect_section(f, json_get(answer, "response"), "{not json");
    assert_null(json_get(answer, "emits"));
}

static void failed_hook_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct str fails = STR("{\"props\":{\"fails\":true},\"auth\":{},\"endpoints\":{},\"db\":{}}");
    struct str works = STR("{\"props\":{},\"auth\":{},\"endpoints\":{},\"db\":{}}");
    expect_error(ask(f,
                     "{\"op\":\"hook\",\"hook\":\"activate\",\"component\":\"probe-source\","
                     "\"instance\":\"i2\",\"version\":1,\"snapshot\":0}",
                     &fails, 1),
                 "RN_ECONFIG", "as told");
    const struct json *answer = ask(f,
                                    "{\"op\":\"hook\",\"hook\":\"activate\",\"component\":\"probe-"
                                    "source\",\"instance\":\"i2\",\"version\":2,\"snapshot\":0}",
                                    &works, 1);
    const struct json *write = json_first(json_get(answer, "writes"));
    assert_string_equal(json_get_c(write, "key"), "hook");
    expect_section(f, write, "\"default\"");
    /* A hook that is not there is done. */
    answer = ask(f,
                 "{\"op\":\"hook\",\"hook\":\"deploy\",\"component\":\"probe-source\",\"instance\":"
                 "\"i2\",\"version\":2}",
                 NULL, 0);
    assert_true(json_get_bool(answer, "ok", false));
}

static void configure_time(void **state)
{
    struct fixture *f = *state;
    struct str props = STR("{\"url\":\"board 9\"}");
    const struct json *answer =
        ask(f,
            "{\"op\":\"options\",\"component\":\"probe-fetch\",\"prop\":\"list\",\"page\":1,"
            "\"query\":\"que\",\"context\":{\"next\":5}}",
            &props, 1);
    expect_json("[{\"label\":\"searched\",\"value\":\"que\"},{\"label\":\"board "
                "9\",\"value\":\"board 9\"}]",
                json_get(answer, "options"));
    expect_json("{\"next\":7}", json_get(answer, "context"));
    expect_error(
        ask(f, "{\"op\":\"options\",\"component\":\"probe-fetch\",\"prop\":\"url\"}", &props, 1),
        "RN_EINVAL", "prop \"url\" of probe-fetch has no options()");
    answer = ask(f, "{\"op\":\"additional_props\",\"component\":\"probe-fetch\"}", &props, 1);
    expect_json("[{\"name\":\"extra\",\"type\":\"integer\",\"label\":\"board 9\",\"min\":1}]",
                json_get(answer, "props"));
}

static void secrets_stay_out_of_logs_and_errors(void **state)
{
    struct fixture *f = *state;
    const struct json *answer = ask(f,
                                    "{\"op\":\"test\",\"app\":\"probe\",\"auth\":{\"probe\":{"
                                    "\"key\":\"k-secret-1\",\"note\":\"public note\"}}}",
                                    NULL, 0);
    expect_error(answer, "RN_EAUTH", "the key [redacted] was refused");
    assert_string_equal(f->log, "warn: key [redacted] note public note");
}

static void requests_meet_the_egress_policy(void **state)
{
    struct fixture *f = *state;
    struct str props = STR("{\"url\":\"http://127.0.0.1:9/secret?x=1\"}");
    const struct json *answer =
        ask(f, "{\"op\":\"action_run\",\"component\":\"probe-fetch\",\"attempt\":3}", &props, 1);
    expect_error(answer, "RN_EPERM", "GET http://127.0.0.1:9/secret");
    /* What was exported before the failure is kept. */
    assert_int_equal(json_get_i64(answer, "exports", -1), 0);
    assert_int_equal(f->frame.section_count, 1);
    assert_true(str_eq_c(f->sections[0], "{\"before\":3}"));
}

static void wrong_calls_are_answered(void **state)
{
    struct fixture *f = *state;
    expect_error(ask(f, "{\"op\":\"dance\"}", NULL, 0), "RN_EPROTOCOL",
                 "does not know the call \"dance\"");
    expect_error(ask(f, "{\"op\":\"action_run\",\"component\":\"probe-fetch\"}", NULL, 0),
                 "RN_EPROTOCOL", "names section 0 and has 0");
    expect_error(ask(f, "{\"op\":", NULL, 0), "RN_EPROTOCOL", "line 1");
}

/* ---------------------------------------------------------------- catalog */

static void install_and_uninstall(void **state)
{
    (void)state;
    char dir[] = "/tmp/runnel-install-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct json *description = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(catalog_install(dir, MISUSE_DIR "/null_run.so", &description, &err),
                     RN_EINVAL);
    assert_non_null(strstr(err.text, "component misuse-one has no run()"));
    assert_int_equal(catalog_install(dir, PROBE, &description, &err), 0);
    json_free(description);
    struct catalog *catalog = NULL;
    assert_int_equal(catalog_open("/nowhere", dir, &catalog, &err), 0);
    assert_null(catalog_problem(catalog, 0));
    const struct component_def *def = catalog_component(catalog, STR("probe-fetch"), NULL);
    assert_non_null(def);
    assert_true(def->has_additional_props && !def->is_source && def->plugin->is_installed);
    const struct prop_def *list = component_prop(def, STR("list"));
    assert_int_equal(list->type, RN_STRING);
    assert_string_equal(list->label, "List");
    assert_string_equal(list->description, "own");
    assert_true(list->has_remote_options && list->flags == (RN_OPTIONAL | RN_USE_QUERY));
    assert_string_equal(catalog_nearest(catalog, STR("probe-fetsh")), "probe-fetch");
    assert_null(catalog_nearest(catalog, STR("something-else-altogether")));
    catalog_unref(catalog);
    assert_int_equal(catalog_uninstall(dir, "probe", &err), 0);
    assert_int_equal(catalog_uninstall(dir, "probe", &err), RN_ENOTFOUND);
    assert_int_equal(catalog_open("/nowhere", dir, &catalog, &err), 0);
    assert_int_equal(catalog_component_count(catalog), 0);
    catalog_unref(catalog);
    char *command = xasprintf("rm -rf %s", dir);
    assert_int_equal(system(command), 0);
    free(command);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "plugin-host") == 0)
        return plugin_host_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(source_run_is_one_transaction, start_host, stop_host),
        cmocka_unit_test_setup_teardown(failed_hook_leaves_nothing, start_host, stop_host),
        cmocka_unit_test_setup_teardown(configure_time, start_host, stop_host),
        cmocka_unit_test_setup_teardown(secrets_stay_out_of_logs_and_errors, start_host, stop_host),
        cmocka_unit_test_setup_teardown(requests_meet_the_egress_policy, start_host, stop_host),
        cmocka_unit_test_setup_teardown(wrong_calls_are_answered, start_host, stop_host),
        cmocka_unit_test(install_and_uninstall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
