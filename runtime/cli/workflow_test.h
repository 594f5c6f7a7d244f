/* Tests of workflows: what `runnel test` runs and `runnel record` writes. The format is in
 * docs/testing-workflows.md. Each test has an engine and a store of its own, in a folder that is
 * removed afterwards; its steps reach nobody but the mocks. */
#ifndef RUNNEL_CLI_WORKFLOW_TEST_H
#define RUNNEL_CLI_WORKFLOW_TEST_H

#include "base/err.h"
#include "json/json.h"

/* How one event goes through a workflow when nothing outside is reached. */
struct simulation {
    const char *project, *workflow;
    const struct json *event;
    const struct json *step_mocks; /* mock.h of the engine; NULL: none */
    const struct json *http_mocks; /* mock_server.h; NULL: none */
    const struct json *stores;     /* {store: {key: value}}; NULL: all data stores are empty */
    bool calls_nothing;            /* a step without a mock is not called */
};

/* *ret: the run as `inspect --json` has it, with "calls": what was asked of the mocked hosts, and
 * "data_stores": what they hold afterwards (the first 1,000 records of each). */
int simulate(const struct simulation *simulation, struct json **ret, struct err *err) MUST_USE;

/* Runs the tests of a file. *ret [{"name", "ok", "failures": [text], "run": {…}}]. RN_EINVAL: the
 * file is none; the text says where. */
int workflow_test_file(const char *project, const char *path, struct json **ret,
                       struct err *err) MUST_USE;
/* Whether `actual` has what `expected` says: members of objects may be more, everything else is
 * equal. Appends a sentence for each difference. */
void expect_value(const char *where, const struct json *expected, const struct json *actual,
                  struct json *failures);
/* The mock that answers as the step of a run did; NULL: it needs none. `with_code`: code steps are
 * not to run either. */
struct json *workflow_test_mock(const struct json *step, bool with_code);
/* The text of a test file made of a run (`inspect --json`); the caller frees. */
char *workflow_test_of_run(const struct json *run);

#endif
