/* The HTTP side of the fake host: each request meets the next scripted one. */
#include "host.h"

#include "base/clock.h"
#include "base/encode.h"

static char *dup_or_null(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

static struct json *header_object(const struct rn_pair *headers, size_t count)
{
    struct json *object = json_new_object();
    for (size_t i = 0; i < count; i++) {
        char *name = xstrdup(headers[i].name);
        for (char *c = name; *c; c++)
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
        json_set_string(object, name, headers[i].value);
        free(name);
    }
    return object;
}

void exchange_free(struct exchange *exchange)
{
    free(exchange->method);
    free(exchange->url);
    free(exchange->body);
    free(exchange->answer);
    json_free(exchange->headers);
    json_free(exchange->answer_headers);
    free(exchange);
}

void rn_test_expect(struct rn_test *test, const struct rn_test_exchange *from)
{
    struct exchange *to = xcalloc(1, sizeof(*to));
    to->method = dup_or_null(from->method);
    to->url = dup_or_null(from->url);
    to->body = dup_or_null(from->body);
    to->headers = header_object(from->headers, from->header_count);
    to->status = from->status ? from->status : 200;
    to->answer_headers = header_object(from->answer_headers, from->answer_header_count);
    to->answer_size = from->answer_size ? from->answer_size
                      : from->answer    ? strlen(from->answer)
                                        : 0;
    to->answer = xmemdup(from->answer ? from->answer : "", to->answer_size);
    to->error = from->error;
    bool is_json = to->answer_size && json_check(str_n(to->answer, to->answer_size), NULL) == 0;
    if (is_json && !json_get(to->answer_headers, "content-type"))
        json_set_string(to->answer_headers, "content-type", "application/json");
    *test->script_end = to;
    test->script_end = &to->next;
}

void rn_test_expect_json(struct rn_test *test, const char *method, const char *url,
                         const char *body, int32_t status, const char *answer)
{
    struct rn_test_exchange exchange = {
        .method = method,
        .url = url,
        .body = body,
        .status = status,
        .answer = answer,
    };
    rn_test_expect(test, &exchange);
}

/* -------------------------------------------------------------- comparing */

static const char *request_header(const struct fetch_request *request, const char *lower_name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (str_eq_nocase(str_from(request->headers[i].name), str_from(lower_name)))
            return request->headers[i].value;
    return NULL;
}

static bool is_same_body(struct str is, const char *wanted)
{
    struct json *a = NULL, *b = NULL;
    bool is_same = false;
    if (!json_parse(is, &a, NULL) && !json_parse(str_from(wanted), &b, NULL))
        is_same = json_equal(a, b);
    else
        is_same = str_eq_c(is, wanted);
    json_free(a);
    json_free(b);
    return is_same;
}

static bool compare(struct rn_test *test, const struct exchange *wanted,
                    const struct fetch_request *request)
{
    int before = test->failures;
    if (wanted->method && strcmp(wanted->method, request->method) != 0)
        test_fail(test, "the request %s %s has the wrong method, expected %s", request->method,
                  request->url, wanted->method);
    if (wanted->url && strcmp(wanted->url, request->url) != 0)
        test_fail(test, "a %s went to\n  %s\nexpected\n  %s", request->method, request->url,
                  wanted->url);
    for (const struct json *h = json_first(wanted->headers); h; h = json_next(h)) {
        const char *value = request_header(request, json_name(h));
        if (!value || !str_eq(str_from(value), json_str(h)))
            test_fail(test, "%s %s: the header %s is \"%s\", expected \"%s\"", request->method,
                      request->url, json_name(h), value ? value : "(not there)", json_c(h));
    }
    if (wanted->body && !is_same_body(request->body, wanted->body))
        test_fail(test, "%s %s: the body is\n  " STR_FMT "\nexpected\n  %s", request->method,
                  request->url, STR_ARG(request->body), wanted->body);
    return test->failures == before;
}

static void record(struct rn_test *test, const struct fetch_request *request)
{
    struct json *entry = json_append(test->requests, json_new_object());
    json_set_string(entry, "method", request->method);
    json_set_string(entry, "url", request->url);
    struct rn_pair *pairs = xcalloc(request->header_count + 1, sizeof(*pairs));
    for (size_t i = 0; i < request->header_count; i++)
        pairs[i] = (struct rn_pair){request->headers[i].name, request->headers[i].value};
    json_set(entry, "headers", header_object(pairs, request->header_count));
    free(pairs);
    json_set_str(entry, "body", request->body.ptr ? request->body : STR(""));
}

/* -------------------------------------------------------------- answering */

static void answer(const struct exchange *from, const struct fetch_request *request,
                   struct fetch_response *response)
{
    response->status = from->status;
    buf_init(&response->body, LIMIT_FETCH_RESPONSE);
    buf_add(&response->body, from->answer, from->answer_size);
    response->header_count = json_count(from->answer_headers);
    response->headers = xcalloc(response->header_count + 1, sizeof(*response->headers));
    size_t i = 0;
    for (const struct json *h = json_first(from->answer_headers); h; h = json_next(h), i++)
        response->headers[i] = (struct fetch_header){xstrdup(json_name(h)), str_dup(json_str(h))};
    response->url = xstrdup(request->url);
}

static int meet(struct rn_test *test, const struct fetch_request *request,
                struct fetch_response *response, struct err *err)
{
    record(test, request);
    if (!str_starts(str_from(request->url), "http://") &&
        !str_starts(str_from(request->url), "https://"))
        return err_set(err, RN_EPERM, "%s %s: only http and https URLs are allowed",
                       request->method, request->url);
    struct exchange *wanted = test->script;
    if (!wanted) {
        test_fail(test, "a request that was not expected: %s %s " STR_FMT, request->method,
                  request->url, STR_ARG(request->body));
        return err_set(err, RN_EFAILED, "%s %s: the test has no answer for it", request->method,
                       request->url);
    }
    test->script = wanted->next;
    if (!test->script)
        test->script_end = &test->script;
    int code = 0;
    if (!compare(test, wanted, request))
        code = err_set(err, RN_EFAILED, "%s %s: not the request that the test expected",
                       request->method, request->url);
    else if (wanted->error)
        code = err_set(err, wanted->error, "%s %s: %s", request->method, request->url,
                       err_sentence(wanted->error));
    else
        answer(wanted, request, response);
    exchange_free(wanted);
    return code;
}

/* On the wire basic credentials are a header: so they are for the test. */
static int test_fetch(void *ctx, const struct fetch_request *request,
                      struct fetch_response *response, struct err *err)
{
    if (!request->basic_user)
        return meet(ctx, request, response, err);
    struct buf pair = BUF_INIT(KIB(64)), value = BUF_INIT(KIB(96));
    buf_addf(&pair, "%s:%s", request->basic_user,
             request->basic_password ? request->basic_password : "");
    buf_add_c(&value, "Basic ");
    encode_base64(&value, buf_c(&pair), pair.len, false);
    struct fetch_request whole = *request;
    struct fetch_header *headers = xcalloc(request->header_count + 1, sizeof(*headers));
    if (request->header_count)
        memcpy(headers, request->headers, request->header_count * sizeof(*headers));
    headers[whole.header_count++] = (struct fetch_header){"Authorization", buf_c(&value)};
    whole.headers = headers;
    int code = meet(ctx, &whole, response, err);
    free(headers);
    buf_release(&pair);
    buf_release(&value);
    return code;
}

static void test_fetch_release(struct fetch_response *response)
{
    /* The names are xstrdup'ed here, though the struct has them const. */
    for (size_t i = 0; i < response->header_count; i++) {
        free((void *)(uintptr_t)response->headers[i].name);
        free((void *)(uintptr_t)response->headers[i].value);
    }
    free(response->headers);
    free(response->url);
    buf_release(&response->body);
}

/* Seconds only: a date would depend on the clock. */
static int64_t test_retry_after_ms(const struct fetch_response *response)
{
    int64_t seconds = 0;
    for (size_t i = 0; i < response->header_count; i++)
        if (strcmp(response->headers[i].name, "retry-after") == 0 &&
            num_parse_i64(str_from(response->headers[i].value), &seconds) == 0 && seconds >= 0)
            return seconds * 1000;
    return -1;
}

static int test_sleep(void *ctx, int64_t ms, const atomic_bool *cancelled)
{
    struct rn_test *test = ctx;
    (void)cancelled; /* asked before */
    test->slept_ms += ms;
    test->now_ms += ms;
    clock_fake(test->now_ms);
    return 0;
}

static void test_may_block(void *ctx)
{
    (void)ctx;
}

static void test_log(void *ctx, int32_t level, struct str text)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    struct rn_test *test = ctx;
    struct json *line = json_append(test->logs, json_new_object());
    json_set_string(line, "level", names[level]);
    json_set_str(line, "text", text);
}

const struct run_services test_services = {
    .fetch = test_fetch,
    .fetch_release = test_fetch_release,
    .retry_after_ms = test_retry_after_ms,
    .sleep = test_sleep,
    .may_block = test_may_block,
    .ask = test_ask,
    .log = test_log,
};
