#include "cli/workflow_test.h"

#include "base/file.h"
#include "base/str.h"
#include "engine/data_store.h"
#include "engine/engine.h"
#include "flow/yaml.h"
#include "net/http_client.h"
#include "sandbox/mock_server.h"

#include <ftw.h>
#include <unistd.h>

enum { TEST_MS = 60000, TEXT_MAX = 600, FILE_MAX_BYTES = 4 * 1024 * 1024 };

/* ---- one run that reaches nobody */

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static struct json *store_request(const char *op, const char *store)
{
    struct json *request = json_new_object();
    json_set_string(request, "op", op);
    json_set_string(request, "store", store);
    return request;
}

static int fill_stores(struct engine *engine, const struct json *stores, struct err *err)
{
    int rc = 0;
    for (const struct json *s = json_first(stores); s && rc == 0; s = json_next(s)) {
        for (const struct json *r = json_first(s); r && rc == 0; r = json_next(r)) {
            struct json *request = store_request("store_set", json_name(s)), *answer = NULL;
            json_set_string(request, "key", json_name(r));
            (void)json_set(request, "value", json_copy(r));
            rc = engine_data(engine, request, &answer, err);
            if (rc)
                rc = err_prefix(err, "data_stores.%s.%s", json_name(s), json_name(r));
            json_free(answer);
            json_free(request);
        }
    }
    return rc;
}

static int read_stores(struct engine *engine, struct json **ret, struct err *err)
{
    struct json *list = NULL, *stores = json_new_object();
    int rc = engine_data_stores(engine, &list, err);
    for (const struct json *s = json_first(list); s && rc == 0; s = json_next(s)) {
        const char *name = json_get_c(s, "name");
        struct json *request = store_request("store_items", name), *answer = NULL;
        struct json *records = json_set(stores, name, json_new_object());
        rc = engine_data(engine, request, &answer, err);
        for (const struct json *i = json_first(json_get(answer, "items")); i; i = json_next(i))
            (void)json_set(records, json_c(json_first(i)), json_copy(json_next(json_first(i))));
        json_free(answer);
        json_free(request);
    }
    json_free(list);
    *ret = stores;
    return rc;
}

static int run_once(struct engine *engine, const struct simulation *s, struct json **ret,
                    struct err *err)
{
    char run[32];
    struct json *stores = NULL;
    int rc = engine_start(engine, err);
    rc = rc ? rc : fill_stores(engine, s->stores, err);
    rc = rc ? rc : engine_run_workflow(engine, s->workflow, s->event, NULL, run, err);
    rc = rc ? rc : engine_wait_run(engine, run, TEST_MS, err);
    if (rc == RN_ETIMEDOUT)
        rc = err_set(err, rc, "the run did not end within %d s", TEST_MS / 1000);
    rc = rc ? rc : engine_run_detail(engine, run, ret, err);
    if (rc == 0) {
        rc = read_stores(engine, &stores, err);
        (void)json_set(*ret, "data_stores", stores);
    }
    return rc;
}

/* What the steps wanted to send, in the order of the steps. */
static struct json *all_sends(const struct json *run)
{
    struct json *list = json_new_array();
    for (const struct json *s = json_first(json_get(run, "steps")); s; s = json_next(s))
        for (const struct json *send = json_first(json_get(s, "sends")); send;
             send = json_next(send)) {
            struct json *copy = json_append(list, json_copy(send));
            json_remove(copy, "state");
            json_remove(copy, "idempotency_key");
            json_set_string(copy, "step", json_get_c(s, "path"));
        }
    return list;
}

int simulate(const struct simulation *s, struct json **ret, struct err *err)
{
    char dir[] = "/tmp/runnel-test-XXXXXX";
    struct mock_server *server = NULL;
    struct engine *engine = NULL;
    struct problems problems = PROBLEMS_INIT;
    struct json *run = NULL;
    if (!mkdtemp(dir))
        return err_set(err, RN_EIO, "no folder can be made in /tmp");
    struct json *mocks = s->step_mocks ? json_copy(s->step_mocks) : json_new_object();
    int rc = http_client_global_init(err);
    rc = rc ? rc : mock_server_start(s->http_mocks, &server, err);
    struct engine_options options = {.dir = s->project,
                                     .data_dir = dir,
                                     .is_passive = true,
                                     .mocks = mocks,
                                     .calls_nothing = s->calls_nothing,
                                     .skips_waits = true,
                                     .holds_sends = true};
    if (rc == 0)
        options.catch_all = mock_server_url(server);
    rc = rc ? rc : engine_open(&options, &engine, &problems, err);
    rc = rc ? rc : run_once(engine, s, &run, err);
    if (engine)
        engine_stop(engine, 1000);
    engine_free(engine);
    if (rc == 0) {
        (void)json_set(run, "calls", mock_server_calls(server));
        (void)json_set(run, "sends", all_sends(run));
        *ret = run;
    }
    mock_server_stop(server);
    problems_release(&problems);
    json_free(mocks);
    (void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return rc;
}

/* ---- what is expected */

static void fail(struct json *failures, const char *format, ...) PRINTF_LIKE(2, 3);

static void fail(struct json *failures, const char *format, ...)
{
    char text[TEXT_MAX * 3];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)json_append(failures, json_new_string_c(text));
}

static char *shown_value(const struct json *value)
{
    if (!value)
        return xstrdup("nothing");
    struct buf text = BUF_INIT(MIB(64));
    json_write(&text, value);
    struct str view = buf_str(&text);
    bool is_cut = view.len > TEXT_MAX;
    if (is_cut)
        view.len = TEXT_MAX;
    char *shown = xasprintf(STR_FMT "%s", STR_ARG(view), is_cut ? "…" : "");
    buf_release(&text);
    return shown;
}

static void expect_array(const char *where, const struct json *expected, const struct json *actual,
                         struct json *failures)
{
    if (json_count(expected) != json_count(actual)) {
        fail(failures, "%s: expected a list of %zu, got %zu", where, json_count(expected),
             json_count(actual));
        return;
    }
    size_t i = 0;
    const struct json *a = json_first(actual);
    for (const struct json *e = json_first(expected); e; e = json_next(e), a = json_next(a)) {
        char *place = xasprintf("%s[%zu]", where, i++);
        expect_value(place, e, a, failures);
        free(place);
    }
}

void expect_value(const char *where, const struct json *expected, const struct json *actual,
                  struct json *failures)
{
    if (json_is(expected, JSON_OBJECT) && json_is(actual, JSON_OBJECT)) {
        for (const struct json *e = json_first(expected); e; e = json_next(e)) {
            char *place = xasprintf("%s.%s", where, json_name(e));
            expect_value(place, e, json_get(actual, json_name(e)), failures);
            free(place);
        }
    } else if (json_is(expected, JSON_ARRAY) && json_is(actual, JSON_ARRAY)) {
        expect_array(where, expected, actual, failures);
    } else if (!actual || !json_equal(expected, actual)) {
        char *want = shown_value(expected), *got = shown_value(actual);
        fail(failures, "%s: expected %s, got %s", where, want, got);
        free(want);
        free(got);
    }
}

/* The last attempt of a step, by path or namespace. */
static const struct json *find_step(const struct json *run, const char *name)
{
    const struct json *found = NULL;
    for (const struct json *s = json_first(json_get(run, "steps")); s; s = json_next(s))
        if (str_eq_c(json_get_text(s, "path"), name) ||
            str_eq_c(json_get_text(s, "namespace"), name))
            found = s;
    return found;
}

/* Each of `expected` is like one of `actual`. */
static void expect_some(const char *name, const char *one, const struct json *expected,
                        const struct json *actual, struct json *failures)
{
    size_t i = 0;
    for (const struct json *e = json_first(expected); e; e = json_next(e), i++) {
        bool found = false;
        for (const struct json *c = json_first(actual); c && !found; c = json_next(c)) {
            struct json *differences = json_new_array();
            expect_value(one, e, c, differences);
            found = json_count(differences) == 0;
            json_free(differences);
        }
        if (found)
            continue;
        char *want = shown_value(e), *got = shown_value(actual);
        fail(failures, "%s[%zu]: no %s is like %s; there were %s", name, i, one, want, got);
        free(want);
        free(got);
    }
}

static void check(const struct json *expect, const struct json *run, struct json *failures)
{
    static const char *const direct[] = {"status", "exit_reason", "error", "data_stores"};
    for (size_t i = 0; i < COUNT_OF(direct); i++)
        if (json_get(expect, direct[i]))
            expect_value(direct[i], json_get(expect, direct[i]), json_get(run, direct[i]),
                         failures);
    for (const struct json *s = json_first(json_get(expect, "steps")); s; s = json_next(s)) {
        const struct json *step = find_step(run, json_name(s));
        char *place = xasprintf("steps.%s", json_name(s));
        if (step)
            expect_value(place, s, step, failures);
        else
            fail(failures, "%s: the step did not run", place);
        free(place);
    }
    for (const struct json *n = json_first(json_get(expect, "not_run")); n; n = json_next(n))
        if (json_c(n) && find_step(run, json_c(n)))
            fail(failures, "not_run: the step %s ran", json_c(n));
    expect_some("calls", "call", json_get(expect, "calls"), json_get(run, "calls"), failures);
    expect_some("sends", "send", json_get(expect, "sends"), json_get(run, "sends"), failures);
    if (json_is(json_get(expect, "sends"), JSON_ARRAY) &&
        json_count(json_get(expect, "sends")) == 0 && json_count(json_get(run, "sends")))
        expect_value("sends", json_get(expect, "sends"), json_get(run, "sends"), failures);
    for (const struct json *c = json_first(json_get(run, "calls")); c; c = json_next(c))
        if (!json_get_bool(c, "mocked", false))
            fail(failures, "%s %s has no mock in the test", json_get_c(c, "method"),
                 json_get_c(c, "url"));
    if (!json_get(expect, "status") && !str_eq_c(json_get_text(run, "status"), "succeeded"))
        fail(failures, "status: the run %s: %s", json_get_c(run, "status"),
             json_get_c(json_get(run, "error"), "text"));
}

/* ---- the file */

/* The first member that is not known, as a mistake of the file. */
static int check_members(const char *path, const struct yaml_doc *doc, const struct json *object,
                         const char *const *known, const char *what, struct err *err)
{
    for (const struct json *m = json_first(object); m; m = json_next(m)) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], json_name(m)) != 0)
            i++;
        if (known[i])
            continue;
        struct yaml_place place = yaml_place_of(doc, m, true);
        struct buf all = BUF_INIT(KIB(1));
        for (i = 0; known[i]; i++)
            buf_addf(&all, "%s%s", i ? ", " : "", known[i]);
        (void)err_set(err, RN_EINVAL, "%s:%d:%d: unknown key \"%s\" in %s; there are: %s", path,
                      place.line, place.column, json_name(m), what, buf_c(&all));
        buf_release(&all);
        return RN_EINVAL;
    }
    return 0;
}

static int check_test(const char *path, const struct yaml_doc *doc, const struct json *test,
                      struct err *err)
{
    static const char *const keys[] = {"name", "event", "mocks", "data_stores", "expect", NULL};
    static const char *const mock_keys[] = {"steps", "http", NULL};
    static const char *const expect_keys[] = {"status", "exit_reason", "error", "steps", "not_run",
                                              "calls",  "data_stores", "sends", NULL};
    static const char *const step_keys[] = {"return", "exports", "error", "resume", "exit", NULL};
    int rc = check_members(path, doc, test, keys, "a test", err);
    const struct json *mocks = json_get(json_get(test, "mocks"), "steps");
    for (const struct json *m = json_first(mocks); m && rc == 0; m = json_next(m)) {
        bool is_list = json_is(m, JSON_ARRAY);
        for (const struct json *one = is_list ? json_first(m) : m; one && rc == 0;
             one = is_list ? json_next(one) : NULL)
            rc = check_members(path, doc, one, step_keys, "a step's mock", err);
    }
    rc = rc ? rc : check_members(path, doc, json_get(test, "mocks"), mock_keys, "\"mocks\"", err);
    return rc ? rc
              : check_members(path, doc, json_get(test, "expect"), expect_keys, "\"expect\"", err);
}

static int run_test(const char *project, const char *workflow, const struct json *test,
                    struct json *results, struct err *err)
{
    struct json *empty = json_new_object(), *run = NULL;
    const struct json *event = json_get(test, "event");
    struct simulation simulation = {.project = project,
                                    .workflow = workflow,
                                    .event = event ? event : empty,
                                    .step_mocks = json_get(json_get(test, "mocks"), "steps"),
                                    .http_mocks = json_get(json_get(test, "mocks"), "http"),
                                    .stores = json_get(test, "data_stores")};
    int rc = simulate(&simulation, &run, err);
    if (rc == 0) {
        struct json *result = json_append(results, json_new_object());
        const char *name = json_get_c(test, "name");
        json_set_string(result, "name", name ? name : "(no name)");
        struct json *failures = json_new_array();
        check(json_get(test, "expect"), run, failures);
        json_set_boolean(result, "ok", json_count(failures) == 0);
        (void)json_set(result, "failures", failures);
        (void)json_set(result, "run", run);
    }
    json_free(empty);
    return rc;
}

/* "workflows/a-b.test.yaml" → "a-b" */
static char *workflow_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct str name = str_from(slash ? slash + 1 : path);
    if (str_ends(name, ".test.yaml"))
        name.len -= strlen(".test.yaml");
    return str_dup(name);
}

int workflow_test_file(const char *project, const char *path, struct json **ret, struct err *err)
{
    static const char *const keys[] = {"workflow", "tests", NULL};
    char *text = NULL, *workflow = NULL;
    size_t size = 0;
    struct problems problems = PROBLEMS_INIT;
    struct yaml_doc *doc = NULL;
    int rc = file_read(path, path, FILE_MAX_BYTES, &text, &size, err);
    if (rc)
        return rc;
    doc = yaml_parse(path, str_n(text, size), &problems);
    if (!doc || problems_errors(&problems)) {
        const struct problem *p = problems.list;
        rc = err_set(err, RN_EINVAL, "%s:%d:%d: %s", path, p ? p->line : 1, p ? p->column : 1,
                     p ? p->text : "this is no YAML");
        goto out;
    }
    const struct json *root = yaml_root(doc), *tests = json_get(root, "tests");
    rc = check_members(path, doc, root, keys, "a test file", err);
    if (rc == 0 && (!json_is(tests, JSON_ARRAY) || json_count(tests) == 0))
        rc = err_set(err, RN_EINVAL,
                     "%s: \"tests\" is a list of {name, event, mocks, data_stores, expect}", path);
    workflow =
        json_get_c(root, "workflow") ? xstrdup(json_get_c(root, "workflow")) : workflow_of(path);
    struct json *results = json_new_array();
    for (const struct json *t = json_first(tests); t && rc == 0; t = json_next(t)) {
        rc = check_test(path, doc, t, err);
        rc = rc ? rc : run_test(project, workflow, t, results, err);
    }
    if (rc)
        json_free(results);
    else
        *ret = results;
out:
    free(workflow);
    yaml_free(doc);
    problems_release(&problems);
    free(text);
    return rc;
}

/* ---- recording */

/* JSON is YAML: values stand as JSON, the frame as a person would write it. */
static void add_json(struct buf *out, const char *indent, const char *name,
                     const struct json *value)
{
    if (!value)
        return;
    buf_addf(out, "%s%s: ", indent, name);
    json_write(out, value);
    buf_add_char(out, '\n');
}

struct json *workflow_test_mock(const struct json *step, bool with_code)
{
    struct str kind = json_get_text(step, "kind");
    const struct json *resumed = json_get(step, "resumed"),
                      *body = json_get(json_get(resumed, "data"), "body"),
                      *exit = json_get(step, "exit"), *exports = json_get(step, "exports");
    bool is_call = str_eq_c(kind, "action") || (with_code && str_eq_c(kind, "code"));
    struct json *mock = is_call || resumed ? json_new_object() : NULL;
    if (mock && !is_call) {
        (void)json_set(mock, "resume", body ? json_copy(body) : json_new_null());
    } else if (mock && json_get(step, "error")) {
        (void)json_set(mock, "error", json_copy(json_get(step, "error")));
    } else if (mock) {
        struct json *kept =
            json_set(mock, "exports", exports ? json_copy(exports) : json_new_object());
        if (body)
            (void)json_set(kept, "$resume_data", json_copy(body));
        if (exit)
            (void)json_set(mock, "exit",
                           json_get(exit, "reason") ? json_copy(json_get(exit, "reason"))
                                                    : json_new_boolean(true));
    }
    return mock;
}

char *workflow_test_of_run(const struct json *run)
{
    struct buf out = BUF_INIT(MIB(64));
    const struct json *steps = json_get(run, "steps");
    buf_addf(&out, "# made by `runnel record %s`; secrets were removed when the run was written\n",
             json_get_c(run, "id"));
    buf_addf(&out, "workflow: %s\ntests:\n  - name: as %s was\n", json_get_c(run, "workflow"),
             json_get_c(run, "id"));
    add_json(&out, "    ", "event", json_get(json_get(run, "trigger_event"), "event"));
    buf_add_c(&out, "    mocks:\n      steps:\n");
    for (const struct json *s = json_first(steps); s; s = json_next(s)) {
        if (find_step(run, json_get_c(s, "path")) != s)
            continue; /* the last attempt is what counted */
        struct json *mock = workflow_test_mock(s, false);
        if (!mock)
            continue;
        buf_addf(&out, "        \"%s\": ", json_get_c(s, "path"));
        json_write(&out, mock);
        buf_add_char(&out, '\n');
        json_free(mock);
    }
    buf_addf(&out, "    expect:\n      status: %s\n", json_get_c(run, "status"));
    add_json(&out, "      ", "exit_reason", json_get(run, "exit_reason"));
    buf_add_c(&out, "      steps:\n");
    for (const struct json *s = json_first(steps); s; s = json_next(s)) {
        if (find_step(run, json_get_c(s, "path")) != s)
            continue;
        buf_addf(&out, "        \"%s\":\n          status: %s\n", json_get_c(s, "path"),
                 json_get_c(s, "status"));
        add_json(&out, "          ", "inputs", json_get(s, "inputs"));
    }
    return buf_take(&out, NULL);
}
