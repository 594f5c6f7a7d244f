/* Wrong plugins are refused with the right sentence; plugins that misbehave harm only the call they
 * hold. This program is its own plugin host: it is started again with "plugin-host" as its first
 * argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/hmac.h"
#include "ipc/supervisor.h"
#include "plugin/catalog.h"
#include "json/json.h"

#define PLUGIN(name_) MISUSE_DIR "/" name_ ".so"

struct refusal {
    const char *name;
    int code;
    const char *part;
};

static const struct refusal refusals[] = {
    {"old_major", RN_EABI, "built for ABI 0.9 and this runnel has ABI 1.5"},
    {"newer_minor", RN_EABI, "built for ABI 1.99, which is newer than this runnel's ABI 1.5"},
    {"short_struct", RN_EABI, "struct rn_prop is 16 bytes in the plugin"},
    {"no_symbol", RN_EINVAL, "exports no symbol \"runnel_plugin\""},
    {"null_table", RN_EINVAL, "counts components but has no table of them"},
    {"null_component", RN_EINVAL, "component 1 is NULL"},
    {"duplicate_key", RN_EINVAL, "the key misuse-one is there twice"},
    {"foreign_key", RN_EINVAL, "component other-one: the key does not start with \"misuse-\""},
    {"bad_version", RN_EINVAL, "component misuse-one: the version \"1.0\" is not like 0.0.1"},
    {"unknown_component_type", RN_EINVAL, "component misuse-one: the type 7 is neither"},
    {"null_run", RN_EINVAL, "component misuse-one has no run()"},
    {"action_with_hook", RN_EINVAL, "component misuse-one: only sources have hooks"},
    {"prop_count", RN_ETOOBIG, "component misuse-one has 5000 props"},
    {"no_prop_name", RN_EINVAL, "component misuse-one, prop 1: it has no name"},
    {"bad_prop_name", RN_EINVAL, "the name \"a-b\" is no identifier"},
    {"duplicate_prop", RN_EINVAL, "the name \"misuse\" is that of prop 0 already"},
    {"no_type", RN_EINVAL, "component misuse-one, prop a has no type"},
    {"unknown_type", RN_EINVAL, "component misuse-one, prop a has the unknown type 99"},
    {"source_only_type", RN_EINVAL, "prop db: the type $.service.db is for sources only"},
    {"list_of_objects", RN_EINVAL, "prop a: there are no lists of object"},
    {"default_no_json", RN_EINVAL, "prop a: default_json is no JSON: line 1"},
    {"default_wrong_type", RN_EINVAL, "does not fit the type integer[]: element 1"},
    {"default_out_of_range", RN_EINVAL, "6 is more than the maximum 5"},
    {"options_no_list", RN_EINVAL, "prop a: options_json is no list"},
    {"option_wrong_type", RN_EINVAL, "options_json, option 1: is a number, not a string"},
    {"no_definition", RN_EINVAL, "prop a: app misuse has no prop definition \"lists\""},
    {"definition_of_no_app", RN_EINVAL,
     "prop b: takes its definition from \"a\", which is no app prop"},
    {"definition_of_nothing", RN_EINVAL, "\"other\", which is no prop of the component"},
    {"definition_loop", RN_EINVAL, "the prop definition \"loop\" is made of itself"},
    {"unknown_input", RN_EINVAL, "input \"board\" is taken from \"bord\", which is no prop"},
    {"strange_app", RN_EINVAL, "prop a: its app is not in the plugin's table of apps"},
    {"app_without_app", RN_EINVAL, "prop a is an app prop without .app"},
    {"secret_number", RN_EINVAL, "prop a: RN_SECRET is for strings only"},
    {"unknown_flag", RN_EINVAL, "prop a has the unknown flags 0x40000000"},
    {"reload_without", RN_EINVAL,
     "has RN_RELOAD_PROPS but the component has no additional_props()"},
    {"alert_without_content", RN_EINVAL, "prop a is an alert without .content"},
    {"crashing_constructor", RN_EFAILED, "crashed while it was loaded"},
    {"exiting_constructor", RN_EFAILED, "ended its process while it was loaded (exit status 3)"},
};

static void expect_refusal(const char *file, int code, const char *part)
{
    struct json *description = NULL;
    struct err err = ERR_INIT;
    int found = plugin_describe_file(file, &description, &err);
    if (found != code || !strstr(err.text, part))
        print_error("%s: %s: %s\n", file, err_name(found), err.text);
    assert_int_equal(found, code);
    assert_non_null(strstr(err.text, part));
    assert_null(description);
}

static void wrong_tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        char *file = xasprintf("%s/%s.so", MISUSE_DIR, refusals[i].name);
        expect_refusal(file, refusals[i].code, refusals[i].part);
        free(file);
    }
}

static void no_plugin_at_all(void **state)
{
    (void)state;
    expect_refusal(RUNNEL_SOURCE_DIR "/README.md", RN_EINVAL, "is no shared object");
    expect_refusal(RUNNEL_SOURCE_DIR "/tests", RN_EINVAL, "is no regular file");
    expect_refusal("/nowhere/at/all.so", RN_ENOTFOUND, "/nowhere/at/all.so: No such file");
}

static void hanging_constructor(void **state)
{
    (void)state;
    expect_refusal(PLUGIN("hanging_constructor"), RN_ETIMEDOUT, "did not load within 10 s");
}

static void good_plugin(void **state)
{
    (void)state;
    struct json *description = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(plugin_describe_file(PLUGIN("right"), &description, &err), 0);
    assert_string_equal(json_get_c(description, "name"), "misuse");
    const struct json *component = json_first(json_get(description, "components"));
    assert_string_equal(json_get_c(component, "key"), "misuse-one");
    json_free(description);
}

/* ----------------------------------------------------------- misbehaviour */

struct fixture {
    struct supervisor *supervisor;
    struct host *host;
    char sha256[65];
};

static int start_host(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err err = ERR_INIT;
    assert_int_equal(crypto_hash_file(PLUGIN("bad_run"), f->sha256, &err), 0);
    const char *argv[] = {"plugin-host", "--plugin", PLUGIN("bad_run"),
                          "--sha256",    f->sha256,  NULL};
    struct host_options options = {.name = "bad_run", .argv = argv, .memory_limit = MIB(128)};
    f->supervisor = supervisor_new(NULL);
    f->host = host_new(f->supervisor, &options);
    *state = f;
    return 0;
}

static int stop_host(void **state)
{
    struct fixture *f = *state;
    supervisor_free(f->supervisor, 2000);
    free(f);
    return 0;
}

/* Runs an action; the code it ended with, and its error's text or its return value's JSON in
 * `text`. */
static int act(struct fixture *f, const char *action, int64_t timeout_ms, char text[ERR_TEXT_MAX])
{
    char *message =
        xasprintf("{\"op\":\"action_run\",\"component\":\"bad_run-%s\",\"timeout_ms\":%lld}",
                  action, (long long)timeout_ms);
    struct str props = STR("{}"), sections[4];
    struct call call = {
        .frame = {.json = str_from(message), .sections = &props, .section_count = 1},
        .timeout_ms = timeout_ms,
    };
    struct buf bytes = BUF_INIT(MIB(1));
    struct frame frame = {0};
    struct err err = ERR_INIT;
    text[0] = '\0';
    int code = host_call_wait(f->host, &call, &bytes, &frame, sections, 4, &err);
    if (code) {
        (void)snprintf(text, ERR_TEXT_MAX, "%s", err.text);
    } else {
        struct json *result = NULL;
        assert_int_equal(json_parse(frame.json, &result, NULL), 0);
        const struct json *error = json_get(result, "error");
        if (error) {
            code = err_from_name(json_get_c(error, "code"));
            (void)snprintf(text, ERR_TEXT_MAX, "%s", json_get_c(error, "text"));
        } else {
            assert_true(frame.section_count == 1);
            (void)snprintf(text, ERR_TEXT_MAX, STR_FMT, STR_ARG(frame.sections[0]));
        }
        json_free(result);
    }
    buf_release(&bytes);
    free(message);
    return code;
}

static void expect_good(struct fixture *f)
{
    char text[ERR_TEXT_MAX];
    assert_int_equal(act(f, "good", 20000, text), 0);
    assert_string_equal(text, "{\"$return_value\":\"good\"}");
}

static void crash_costs_its_call(void **state)
{
    char text[ERR_TEXT_MAX];
    expect_good(*state);
    assert_int_equal(act(*state, "crash", 10000, text), RN_EUNKNOWN);
    /* A sanitizer's runtime ends the process with a status of its own. */
    assert_true(strstr(text, "signal 11") || strstr(text, "exited with status"));
    expect_good(*state);
}

static void endless_loop_is_killed(void **state)
{
    char text[ERR_TEXT_MAX];
    assert_int_equal(act(*state, "spin", 200, text), RN_ETIMEDOUT);
    assert_true(text[0] != '\0');
    expect_good(*state);
}

static void cancelled_call_keeps_its_process(void **state)
{
    struct fixture *f = *state;
    char text[ERR_TEXT_MAX];
    expect_good(f);
    uint64_t generation = host_generation(f->host);
    int code = act(f, "wait", 200, text);
    assert_true(code == RN_ETIMEDOUT || code == RN_ECANCELED);
    expect_good(f);
    assert_true(host_generation(f->host) == generation);
}

static void memory_eater_meets_its_limit(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)state;
    skip(); /* the limit is off under a sanitizer, which maps far more */
#else
    char text[ERR_TEXT_MAX];
    assert_int_equal(act(*state, "eat", 20000, text), RN_EUNKNOWN);
    assert_non_null(strstr(text, "signal 6"));
    expect_good(*state);
#endif
}

static void wrong_codes_and_values_are_named(void **state)
{
    char text[ERR_TEXT_MAX];
    assert_int_equal(act(*state, "odd", 10000, text), RN_EFAILED);
    assert_non_null(strstr(text, "run() returned 42"));
    assert_int_equal(act(*state, "json", 10000, text), 0);
    assert_string_equal(text, "{\"$return_value\":[\"shared\"]}");
    assert_int_equal(act(*state, "nothing", 10000, text), RN_ENOTFOUND);
    assert_non_null(strstr(text, "has no component \"bad_run-nothing\""));
}

static void changed_file_is_refused(void **state)
{
    struct fixture *f = *state;
    char text[ERR_TEXT_MAX], wrong[65];
    memset(wrong, '0', 64);
    wrong[64] = '\0';
    const char *argv[] = {"plugin-host", "--plugin", PLUGIN("bad_run"), "--sha256", wrong, NULL};
    struct host_options options = {.name = "changed", .argv = argv};
    struct fixture changed = {.supervisor = f->supervisor,
                              .host = host_new(f->supervisor, &options)};
    assert_int_equal(act(&changed, "good", 10000, text), RN_EUNAVAILABLE);
    assert_non_null(strstr(text, "is not the file that was checked"));
    expect_good(f);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "plugin-host") == 0)
        return plugin_host_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_plugin),
        cmocka_unit_test(wrong_tables),
        cmocka_unit_test(no_plugin_at_all),
        cmocka_unit_test(hanging_constructor),
        cmocka_unit_test_setup_teardown(crash_costs_its_call, start_host, stop_host),
        cmocka_unit_test_setup_teardown(endless_loop_is_killed, start_host, stop_host),
        cmocka_unit_test_setup_teardown(cancelled_call_keeps_its_process, start_host, stop_host),
        cmocka_unit_test_setup_teardown(memory_eater_meets_its_limit, start_host, stop_host),
        cmocka_unit_test_setup_teardown(wrong_codes_and_values_are_named, start_host, stop_host),
        cmocka_unit_test_setup_teardown(changed_file_is_refused, start_host, stop_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
