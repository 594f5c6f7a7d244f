/* A request to a native HTTP trigger: who may send it, its event on disk, and the answer: at once,
 * or what the workflow's run responds. Thread: the listener's. */
#include "base/latch.h"
#include "engine/ingest.h"
#include "engine/respond.h"

#define DEFAULT_CORS_METHODS "GET,HEAD,PUT,PATCH,POST,DELETE"

struct native {
    struct engine *engine;
    struct instance *instance;
    const struct http_trigger *http;
    const struct http_request *request;
    struct http_response *response;
    struct str path;
    bool is_unstored, starts_nothing;
    struct expected_answer expected;
    char *dedupe_id;
    struct latch done;
    int code;
};

static void add_header(struct http_response *response, const char *name, const char *value)
{
    if (value)
        (void)!http_response_header(response, name, str_from(value));
}

/* ---- CORS */

static void add_cors(const struct native *n)
{
    const struct http_cors *cors = &n->http->cors;
    struct str origin = http_cors_origin(cors, http_request_header(n->request, "origin"));
    if (!cors->is_on)
        return;
    if (!cors->any_origin)
        add_header(n->response, "Vary", "Origin");
    if (!origin.len)
        return;
    (void)!http_response_header(n->response, "Access-Control-Allow-Origin", origin);
    if (cors->credentials)
        add_header(n->response, "Access-Control-Allow-Credentials", "true");
    add_header(n->response, "Access-Control-Expose-Headers", cors->expose);
}

static void answer_options(const struct native *n)
{
    const struct http_cors *cors = &n->http->cors;
    struct str wanted = http_request_header(n->request, "access-control-request-headers");
    char age[24];
    n->response->status = 204;
    if (!cors->is_on)
        add_header(n->response, "Access-Control-Allow-Origin", "*");
    add_header(n->response, "Access-Control-Allow-Methods",
               cors->methods ? cors->methods : DEFAULT_CORS_METHODS);
    if (cors->headers)
        add_header(n->response, "Access-Control-Allow-Headers", cors->headers);
    else if (cors->is_on && wanted.len)
        (void)!http_response_header(n->response, "Access-Control-Allow-Headers", wanted);
    if (cors->max_age_s >= 0) {
        (void)snprintf(age, sizeof(age), "%lld", (long long)cors->max_age_s);
        add_header(n->response, "Access-Control-Max-Age", age);
    }
}

/* ---- who and what gets in */

static void answer_method(const struct native *n)
{
    struct buf allowed = BUF_INIT(KIB(4)), text = BUF_INIT(KIB(4));
    for (const struct json *m = json_first(n->http->methods); m; m = json_next(m))
        buf_addf(&allowed, "%s%s", allowed.len ? ", " : "", json_c(m));
    buf_addf(&text, "this endpoint takes %s", buf_c(&allowed));
    ingest_answer_error(n->response, 405, "method", buf_c(&text));
    add_header(n->response, "Allow", buf_c(&allowed));
    buf_release(&allowed);
    buf_release(&text);
}

/* False: it is answered already. */
static bool is_let_in(const struct native *n)
{
    struct err err = ERR_INIT;
    add_cors(n);
    bool wants_options = n->http->methods && http_trigger_takes_method(n->http, n->request->method);
    if (strcmp(n->request->method, "OPTIONS") == 0 && !wants_options) {
        answer_options(n);
        return false;
    }
    if (!http_trigger_takes_path(n->http, n->path)) {
        ingest_answer_error(n->response, 404, "not_found", "this endpoint does not take this path");
        return false;
    }
    if (!http_trigger_takes_method(n->http, n->request->method)) {
        answer_method(n);
        return false;
    }
    if (http_auth_check(&n->http->auth, n->request, n->path, clock_now_ms(), &err)) {
        ingest_answer_error(n->response, 401, "unauthorized", err.text);
        if (n->http->auth.kind == HTTP_AUTH_BEARER)
            add_header(n->response, "WWW-Authenticate", "Bearer");
        return false;
    }
    return true;
}

/* `name: 1` as a header or in the query. */
static bool has_flag(const struct http_request *request, const char *name)
{
    if (str_eq_c(str_trim(http_request_header(request, name)), "1"))
        return true;
    if (str_find(request->query, name, 0) < 0)
        return false;
    struct json *query = json_new_object();
    bool is_set = http_form_parse(request->query, http_event_add_pair, query) == 0 &&
                  str_eq_c(json_get_text(query, name), "1");
    json_free(query);
    return is_set;
}

/* ---- the event */

static int find_dedupe_id(struct native *n, struct str event, struct err *err)
{
    struct json *value = NULL;
    int rc = n->http->dedupe_id ? json_parse_own(event, &value, err) : 0;
    if (rc || !value)
        return rc;
    struct json *steps = json_new_object();
    (void)json_set(json_set(steps, "trigger", json_new_object()), "event", value);
    struct project *project = engine_project(n->engine);
    struct expr_scope scope = {.steps = steps, .env = project->env};
    struct expr_result result = {0};
    /* an id that cannot be read is none: nothing is lost for want of it */
    if (expr_resolve(n->http->dedupe_id, &scope, &result, NULL, NULL) == 0) {
        struct buf id = BUF_INIT(LIMIT_EMIT_ID);
        expr_to_text(&id, result.value);
        if (result.value && !json_is(result.value, JSON_NULL) && id.len)
            n->dedupe_id = str_dup(buf_str(&id));
        if (buf_is_overflowed(&id))
            rc = err_set(err, RN_ETOOBIG, "the id of \"dedupe\" has more than %d bytes",
                         LIMIT_EMIT_ID);
        buf_release(&id);
        json_free(result.value);
        result.value = NULL;
        expr_result_release(&result);
    }
    project_unref(project);
    json_free(steps);
    return rc;
}

static void native_done(struct acceptance *acceptance, int code, const struct err *err)
{
    struct native *n = acceptance->ctx;
    (void)err;
    n->code = code;
    latch_open(&n->done);
}

/* Before the run can begin. */
static void native_committed(struct acceptance *acceptance)
{
    struct native *n = acceptance->ctx;
    if (n->expected.is_waiting && acceptance->run_id)
        respond_bind(n->engine, &n->expected, acceptance->run_id);
}

static int commit(struct native *n, struct acceptance *acceptance, struct str event, struct str raw,
                  struct err *err)
{
    char summary[128];
    int size = snprintf(summary, sizeof(summary), "%s " STR_FMT, n->request->method,
                        (int)(n->path.len < 100 ? n->path.len : 100), n->path.ptr);
    struct emit emit = {.id = str_from(n->dedupe_id),
                        .summary = str_n(summary, (size_t)size),
                        .event = event,
                        .raw = raw};
    *acceptance = (struct acceptance){.engine = n->engine,
                                      .instance = n->instance,
                                      .emits = &emit,
                                      .emit_count = 1,
                                      .starts_nothing = n->starts_nothing,
                                      .is_unstored = n->is_unstored,
                                      .committed = native_committed,
                                      .done = native_done,
                                      .ctx = n};
    int rc = acceptance_submit(acceptance);
    if (rc == 0)
        latch_wait(&n->done);
    rc = rc ? rc : n->code;
    return rc ? err_set(err, rc, "not accepted: try again") : 0;
}

/* ---- the answer */

static void answer_fixed(const struct http_answer *answer, struct http_response *response)
{
    response->status = answer->status;
    for (const struct json *h = json_first(answer->headers); h; h = json_next(h))
        (void)!http_response_header(response, json_c(json_first(h)), json_str(json_at(h, 1)));
    buf_add(&response->body, answer->body, answer->body_size);
}

static void answer_of_workflow(struct native *n)
{
    int rc = respond_wait(n->engine, &n->expected, LIMIT_RESPOND_WAIT_MS);
    if (rc == 0 && n->expected.answer)
        respond_write(n->expected.answer, n->response);
    else if (rc == 0)
        ingest_answer_error(n->response, 400, "no_response",
                            "the workflow has run and did not respond: the event is accepted");
    else if (rc == RN_ETIMEDOUT)
        ingest_answer_error(n->response, 504, "timeout",
                            "the workflow has not responded in time: the event is accepted and the "
                            "run goes on");
    else
        ingest_answer_error(n->response, 503, "unavailable",
                            "runnel stops: the event is accepted and the run goes on");
}

static void answer(struct native *n, const struct acceptance *acceptance)
{
    if (acceptance->is_duplicate)
        http_response_set(n->response, 200, "application/json",
                          STR("{\"accepted\":true,\"duplicate\":true}"));
    else if (n->expected.is_waiting && acceptance->run_id)
        answer_of_workflow(n);
    else if (n->http->respond == RESPOND_FIXED)
        answer_fixed(&n->http->answer, n->response);
    else
        ingest_answer_accepted(n->response);
}

void ingest_native(struct engine *engine, struct instance *instance, struct str path,
                   const struct http_request *request, struct http_response *response)
{
    struct native n = {.engine = engine,
                       .instance = instance,
                       .http = instance->http,
                       .request = request,
                       .response = response,
                       .path = path,
                       .done = LATCH_INIT};
    struct buf event = BUF_INIT(LIMIT_JSON_BYTES);
    struct acceptance acceptance = {.engine = engine};
    struct err err = ERR_INIT;
    if (!is_let_in(&n))
        goto out;
    /* Pipedream's names, too: senders that were written for it go on working */
    n.is_unstored = has_flag(request, "runnel-nostore") || has_flag(request, "x-pd-nostore");
    n.starts_nothing = has_flag(request, "runnel-notrigger") || has_flag(request, "x-pd-notrigger");
    struct str raw = STR_NONE;
    int rc =
        http_event_write(&event, path, request, n.http->auth.kind == HTTP_AUTH_BEARER, &raw, &err);
    rc = rc ? rc : find_dedupe_id(&n, buf_str(&event), &err);
    if (rc == 0 && n.http->respond == RESPOND_WORKFLOW && !n.starts_nothing) {
        rc = respond_expect(engine, &n.expected);
        if (rc)
            (void)err_set(&err, rc, "too many senders wait for an answer: try again");
    }
    rc = rc ? rc : commit(&n, &acceptance, buf_str(&event), raw, &err);
    if (rc == 0)
        answer(&n, &acceptance);
    else
        ingest_answer_error(response, ingest_status_of(rc), err_word(rc), err.text);
    respond_forget(engine, &n.expected);
out:
    buf_release(&event);
    free(n.dedupe_id);
}
