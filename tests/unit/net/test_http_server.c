/* The listener, spoken to with raw sockets: what it accepts, and every trap of library-traps.md §1
 * that it must refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/http_server.h"
#include "raw.h"

#include <pthread.h>
#include <stdatomic.h>

struct seen {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int count;
    char method[16];
    struct buf path, query, headers, body;
    bool is_held; /* the handler waits */
    int held;
    int streams[64]; /* sockets taken over; mutex */
    int stream_count;
};

static struct seen seen = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                           .changed = PTHREAD_COND_INITIALIZER,
                           .path = BUF_INIT(MIB(1)),
                           .query = BUF_INIT(MIB(1)),
                           .headers = BUF_INIT(MIB(1)),
                           .body = BUF_INIT(MIB(64))};

static void take_over(void *ctx, int fd)
{
    struct seen *s = ctx;
    pthread_mutex_lock(&s->mutex);
    s->streams[s->stream_count++] = fd;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

static void handle(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct seen *s = ctx;
    pthread_mutex_lock(&s->mutex);
    s->count++;
    (void)snprintf(s->method, sizeof(s->method), "%s", request->method);
    buf_clear(&s->path);
    buf_add_str(&s->path, request->path);
    buf_clear(&s->query);
    buf_add_str(&s->query, request->query);
    buf_clear(&s->headers);
    for (size_t i = 0; i < request->header_count; i++)
        buf_addf(&s->headers, STR_FMT "=" STR_FMT "\n", STR_ARG(request->headers[i].name),
                 STR_ARG(request->headers[i].value));
    buf_clear(&s->body);
    buf_add_str(&s->body, request->body);
    s->held++;
    pthread_cond_broadcast(&s->changed);
    while (s->is_held)
        pthread_cond_wait(&s->changed, &s->mutex);
    s->held--;
    pthread_mutex_unlock(&s->mutex);
    if (str_eq_c(request->path, "/none"))
        return;
    if (str_eq_c(request->path, "/stream")) {
        response->status = 200;
        response->take_over = take_over;
        response->take_over_ctx = s;
        return;
    }
    if (str_eq_c(request->path, "/empty")) {
        response->status = 204;
        return;
    }
    int code = http_response_header(response, "X-Ip", request->client_ip);
    if (code == 0)
        code = http_response_header(response, "X-Host", request->host);
    http_response_set(response, code ? 500 : 200, "text/plain", request->body);
}

static size_t limit_of(void *ctx, const struct http_request *request)
{
    (void)ctx;
    return str_eq_c(request->path, "/small") ? 10 : 0;
}

static struct http_server *start(int threads, int request_ms, int idle_ms)
{
    struct http_server *server = NULL;
    struct err err = ERR_INIT;
    struct http_server_options options = {.listen = "127.0.0.1:0",
                                          .threads = threads,
                                          .body_limit = 100000,
                                          .request_ms = request_ms,
                                          .idle_ms = idle_ms,
                                          .handler = handle,
                                          .body_limit_of = limit_of,
                                          .ctx = &seen};
    int code = http_server_start(&options, &server, &err);
    if (code)
        print_error("%s\n", err.text);
    assert_int_equal(code, 0);
    seen.count = 0;
    seen.is_held = false;
    return server;
}

static int set_up(void **state)
{
    *state = start(8, 0, 0);
    return 0;
}

static int tear_down(void **state)
{
    http_server_stop(*state, 2000);
    return 0;
}

static int seen_count(void)
{
    pthread_mutex_lock(&seen.mutex);
    int count = seen.count;
    pthread_mutex_unlock(&seen.mutex);
    return count;
}

/* Sends the bytes, and behind them a request that must never be served; the answer's status. */
static int refused_n(struct http_server *server, const void *bytes, size_t size)
{
    static const char smuggled[] = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    struct buf answer = BUF_INIT(MIB(1));
    int before = seen_count();
    int fd = raw_connect(http_server_port(server));
    raw_send(fd, bytes, size);
    raw_send(fd, smuggled, sizeof(smuggled) - 1);
    assert_true(raw_read_to_end(fd, &answer, 30000));
    int status = raw_status(&answer);
    if (status) {
        assert_true(str_find(buf_str(&answer), "Connection: close\r\n", 0) > 0);
        assert_int_equal(str_find(buf_str(&answer), "HTTP/1.1 ", 9), -1);
    }
    assert_int_equal(seen_count(), before);
    buf_release(&answer);
    (void)close(fd);
    return status;
}

static int refused(struct http_server *server, const char *text)
{
    return refused_n(server, text, strlen(text));
}

/* Sends a request that is served; returns the answer's status. */
static int served(struct http_server *server, const char *text, struct buf *answer)
{
    int before = seen_count();
    int fd = raw_connect(http_server_port(server));
    raw_say(fd, text);
    assert_true(raw_read_answer(fd, answer, true));
    assert_int_equal(seen_count(), before + 1);
    (void)close(fd);
    return raw_status(answer);
}

static void test_headers_are_lowered_and_joined(void **state)
{
    struct buf answer = BUF_INIT(MIB(1));
    int fd = raw_connect(http_server_port(*state));
    static const char request[] = "POST /e/k%2Fx%20y?a=1&b=%41 HTTP/1.1\r\nHost: example.org:81\r\n"
                                  "X-Signature:  abc \r\nX-Dup: 1\r\nCookie: a=1\r\nx-dup: 2\r\n"
                                  "Cookie: b=2\r\nX-DUP: 3\r\nX-Empty:\r\n"
                                  "Content-Length: 5\r\n\r\nhe\0\xff"
                                  "o";
    raw_send(fd, request, sizeof(request) - 1);
    assert_true(raw_read_answer(fd, &answer, true));
    assert_int_equal(raw_status(&answer), 200);
    assert_true(str_ends(buf_str(&answer), "o"));
    assert_true(str_find(buf_str(&answer), "X-Ip: 127.0.0.1\r\nX-Host: example.org:81\r\n", 0) > 0);
    assert_true(str_find(buf_str(&answer), "Content-Length: 5\r\n", 0) > 0);
    assert_true(str_find(buf_str(&answer), "Date: ", 0) > 0);
    assert_int_equal(str_find(buf_str(&answer), "Connection:", 0), -1);
    assert_string_equal(buf_c(&seen.path), "/e/k%2Fx%20y");
    assert_string_equal(buf_c(&seen.query), "a=1&b=%41");
    assert_string_equal(buf_c(&seen.headers),
                        "host=example.org:81\nx-signature=abc\nx-dup=1, 2, 3\ncookie=a=1; b=2\n"
                        "x-empty=\ncontent-length=5\n");
    assert_int_equal(seen.body.len, 5);
    assert_memory_equal(seen.body.ptr,
                        "he\0\xff"
                        "o",
                        5);
    (void)close(fd);
    buf_release(&answer);
}

static void test_connections_are_kept(void **state)
{
    struct buf answer = BUF_INIT(MIB(1));
    int fd = raw_connect(http_server_port(*state));
    /* three in one packet, then one more; HEAD and 204 have no body */
    raw_say(fd, "GET /one HTTP/1.1\r\nHost: h\r\n\r\n"
                "POST /two HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\n0002\r\nde\r\n0\r\n\r\n"
                "HEAD /three HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
    assert_true(raw_read_answer(fd, &answer, true));
    assert_true(str_ends(buf_str(&answer), "\r\n\r\n"));
    assert_true(raw_read_answer(fd, &answer, true));
    assert_true(str_ends(buf_str(&answer), "\r\n\r\nabcde"));
    assert_true(raw_read_answer(fd, &answer, false));
    assert_true(str_find(buf_str(&answer), "Content-Length: 4\r\n", 0) > 0);
    raw_say(fd, "GET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(raw_read_answer(fd, &answer, true));
    assert_int_equal(raw_status(&answer), 204);
    assert_int_equal(str_find(buf_str(&answer), "Content-Length", 0), -1);
    raw_say(fd, "GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    buf_clear(&answer);
    assert_true(raw_read_to_end(fd, &answer, 30000));
    assert_int_equal(raw_status(&answer), 500);
    assert_true(str_find(buf_str(&answer), "Connection: close\r\n", 0) > 0);
    assert_int_equal(seen_count(), 5);
    (void)close(fd);
    buf_release(&answer);
}

static void test_http10(void **state)
{
    struct buf answer = BUF_INIT(MIB(1));
    int fd = raw_connect(http_server_port(*state));
    raw_say(fd, "GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
    assert_true(raw_read_answer(fd, &answer, true));
    assert_true(str_find(buf_str(&answer), "Connection: keep-alive\r\n", 0) > 0);
    raw_say(fd, "GET / HTTP/1.0\r\nHost: h\r\n\r\n");
    buf_clear(&answer);
    assert_true(raw_read_to_end(fd, &answer, 30000));
    assert_int_equal(raw_status(&answer), 200);
    (void)close(fd);
    buf_release(&answer);
}

#define POST "POST /p HTTP/1.1\r\nHost: h\r\n"

static void test_ambiguous_lengths_are_refused(void **state)
{
    assert_int_equal(refused(*state, POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
                     400);
    assert_int_equal(refused(*state, POST "Content-Length: 3\r\ncontent-length: 40\r\n\r\nabc"),
                     400);
    assert_int_equal(refused(*state, POST "Content-Length: 5abc\r\n\r\nabcde"), 400);
    assert_int_equal(refused(*state, POST "Content-Length: +3\r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, POST "Content-Length: -3\r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, POST "Content-Length: 3, 3\r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, POST "Content-Length: 0x3\r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, POST "Content-Length: \r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, POST "Content-Length: abc\r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, POST "Content-Length: 99999999999999999999999\r\n\r\nabc"),
                     400);
    assert_int_equal(refused(*state, POST "Content-Length: 18446744073709551619\r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, POST "\r\nabc"), 411);
    assert_int_equal(refused(*state, "PUT / HTTP/1.1\r\nHost: h\r\n\r\n"), 411);
    assert_int_equal(refused(*state, "PATCH / HTTP/1.1\r\nHost: h\r\n\r\n"), 411);
}

static void test_bad_codings_are_refused(void **state)
{
    assert_int_equal(refused(*state, POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                                          "0\r\n\r\n"),
                     400);
    assert_int_equal(refused(*state, POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
                                          "0\r\n\r\n"),
                     400);
    assert_int_equal(refused(*state, POST "Transfer-Encoding: chunked\r\n"
                                          "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                     400);
    assert_int_equal(refused(*state, POST "Transfer-Encoding: chunked\r\n"
                                          "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
                     400);
    assert_int_equal(refused(*state, POST "Transfer-Encoding: identity\r\n\r\n"), 501);
    assert_int_equal(refused(*state, POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
                     501);
    assert_int_equal(refused(*state, POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 501);
    assert_int_equal(refused(*state, "POST / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n"
                                     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                     400);
    assert_int_equal(
        refused(*state, POST "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nabcde\r\n0\r\n\r\n"), 400);
    assert_int_equal(
        refused(*state, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n"), 400);
    assert_int_equal(refused(*state, POST "Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 400);
    assert_int_equal(
        refused(*state, POST "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nab"), 400);
    assert_int_equal(refused(*state, POST "Transfer-Encoding: chunked\r\n\r\n-1\r\nab"), 400);
}

static void add_headers(struct buf *out, int count)
{
    for (int i = 0; i < count; i++)
        buf_addf(out, "X-%d: v\r\n", i);
}

static void test_header_65_is_not_dropped(void **state)
{
    struct buf request = BUF_INIT(MIB(1)), answer = BUF_INIT(MIB(1));
    for (int total = 62; total <= 70; total++) {
        buf_clear(&request);
        buf_add_c(&request, POST);
        add_headers(&request, total - 2);
        buf_add_c(&request, "Content-Length: 3\r\n\r\nabc");
        if (total < 64)
            assert_int_equal(served(*state, buf_c(&request), &answer), 200);
        else
            assert_int_equal(refused(*state, buf_c(&request)), 431);
    }
    buf_release(&request);
    buf_release(&answer);
}

static void test_large_heads(void **state)
{
    static const int sizes[] = {16000, 16500, 30000, 40000};
    struct buf request = BUF_INIT(MIB(1)), answer = BUF_INIT(MIB(1));
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        buf_clear(&request);
        buf_add_c(&request, "GET / HTTP/1.1\r\nHost: h\r\nX-Long: ");
        for (int n = 0; n < sizes[i]; n++)
            buf_add_char(&request, 'x');
        buf_add_c(&request, "\r\n\r\n");
        if (sizes[i] < 16384 - 100)
            assert_int_equal(served(*state, buf_c(&request), &answer), 200);
        else
            assert_int_equal(refused(*state, buf_c(&request)), sizes[i] < 32000 ? 431 : 400);
    }
    buf_release(&request);
    buf_release(&answer);
}

static void test_odd_heads_are_refused(void **state)
{
    assert_int_equal(refused(*state, "GET / HTTP/1.1\r\n\r\n"), 400);
    assert_int_equal(refused(*state, "GET / HTTP/1.1\r\nX-A: b\r\n\r\n"), 400);
    assert_int_equal(refused(*state, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
    assert_int_equal(refused(*state, "GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400);
    /* a folded line hides the headers behind it from civetweb */
    assert_int_equal(refused(*state, POST "X-A: b\r\n c\r\nContent-Length: 3\r\n\r\nabc"), 400);
    assert_int_equal(
        refused(*state, POST "Content-Length: 3\r\nX-A: b\r\n\tc\r\nX-B: c\r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, "POST / HTTP/1.1\r\n Host: h\r\nContent-Length: 3\r\n\r\nabc"),
                     400);
    assert_int_equal(refused(*state, POST "Content-Length : 3\r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, POST ": x\r\nContent-Length: 3\r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, POST "Content-Length: 3\r\n: x\r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, POST "Con(tent: 1\r\nContent-Length: 3\r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, POST "X-A: b\nContent-Length: 3\r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, POST "Content-Length: 3\n\nabc"), 400);
    assert_int_equal(refused(*state, "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    assert_int_equal(refused(*state, "GET /  HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    assert_int_equal(refused(*state, "GET /?a  HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    assert_int_equal(refused(*state, "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"), 400);
    assert_int_equal(refused(*state, "GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505);
    assert_int_equal(refused(*state, "BREW / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    assert_int_equal(refused(*state, "\r\n\r\n" POST "Content-Length: 3\r\n\r\nabc"), 400);
    assert_int_equal(refused(*state, "nonsense\r\n\r\n"), 400);
}

static void test_control_characters_are_refused(void **state)
{
    static const char nul[] = "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\0b\r\n\r\n";
    static const char nul_line[] =
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\0\r\nContent-Length: 4\r\n\r\n";
    assert_int_equal(refused_n(*state, nul, sizeof(nul) - 1), 400);
    assert_int_equal(refused_n(*state, nul_line, sizeof(nul_line) - 1), 400);
    assert_int_equal(refused(*state, "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\x01"
                                     "b\r\n\r\n"),
                     400);
    assert_int_equal(refused(*state, "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\x7f\r\n\r\n"), 400);
    assert_int_equal(refused(*state, "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\rb\r\n\r\n"), 400);
}

static void test_bad_paths_are_refused(void **state)
{
    struct buf answer = BUF_INIT(MIB(1));
    assert_int_equal(refused(*state, "GET /a%00b HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    assert_int_equal(refused(*state, "GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    assert_int_equal(refused(*state, "GET /a%4 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    assert_int_equal(refused(*state, "GET a HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    /* a target that is not ours gets no answer at all from civetweb, but is not served either */
    assert_int_equal(refused(*state, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    assert_int_equal(served(*state, "GET /a/../%2e%2e/b HTTP/1.1\r\nHost: h\r\n\r\n", &answer),
                     200);
    assert_string_equal(buf_c(&seen.path), "/a/../%2e%2e/b");
    buf_release(&answer);
}

static void test_expect(void **state)
{
    struct buf answer = BUF_INIT(MIB(1));
    assert_int_equal(refused(*state, POST "Expect: fly\r\nContent-Length: 3\r\n\r\nabc"), 417);
    int fd = raw_connect(http_server_port(*state));
    raw_say(fd, POST "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n");
    assert_true(raw_read_answer(fd, &answer, true));
    assert_string_equal(buf_c(&answer), "HTTP/1.1 100 Continue\r\n\r\n");
    raw_say(fd, "abc");
    assert_true(raw_read_answer(fd, &answer, true));
    assert_int_equal(raw_status(&answer), 200);
    /* too large: the final answer at once */
    raw_say(fd, POST "Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n");
    assert_true(raw_read_answer(fd, &answer, true));
    assert_int_equal(raw_status(&answer), 413);
    (void)close(fd);
    buf_release(&answer);
}

static void test_body_limits(void **state)
{
    struct buf request = BUF_INIT(MIB(1)), answer = BUF_INIT(MIB(1));
    assert_int_equal(refused(*state, POST "Content-Length: 100001\r\n\r\nabc"), 413);
    assert_int_equal(refused(*state, "POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n"
                                     "hello world"),
                     413);
    assert_int_equal(refused(*state,
                             "POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "b\r\nhello world\r\n0\r\n\r\n"),
                     413);
    assert_int_equal(served(*state,
                            "POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "a\r\nhelloworld\r\n0\r\n\r\n",
                            &answer),
                     200);
    buf_addf(&request, POST "Content-Length: %d\r\n\r\n", 100000);
    for (int i = 0; i < 100000; i++)
        buf_add_char(&request, (char)('a' + i % 26));
    assert_int_equal(served(*state, buf_c(&request), &answer), 200);
    assert_int_equal(seen.body.len, 100000);
    assert_memory_equal(seen.body.ptr, request.ptr + request.len - 100000, 100000);
    assert_memory_equal(answer.ptr + answer.len - 100000, seen.body.ptr, 100000);
    buf_release(&request);
    buf_release(&answer);
}

static void test_a_short_body_is_no_request(void **state)
{
    struct buf answer = BUF_INIT(MIB(1));
    static const char *const cut[] = {POST "Content-Length: 100\r\n\r\nhello",
                                      POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
                                      POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"};
    for (size_t i = 0; i < COUNT_OF(cut); i++) {
        int fd = raw_connect(http_server_port(*state));
        raw_say(fd, cut[i]);
        (void)shutdown(fd, SHUT_WR);
        buf_clear(&answer);
        assert_true(raw_read_to_end(fd, &answer, 30000));
        assert_int_equal(raw_status(&answer), 400);
        (void)close(fd);
    }
    assert_int_equal(seen_count(), 0);
    buf_release(&answer);
}

/* Sends `head`, then a byte every 20 ms until the server answers; returns how long that took. */
static int64_t trickle(struct http_server *server, const char *head, struct buf *answer)
{
    int fd = raw_connect(http_server_port(server));
    int64_t start_ms = clock_mono_ms();
    raw_say(fd, head);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (poll(&ready, 1, 20) == 0)
        raw_say(fd, "1");
    int64_t took_ms = clock_mono_ms() - start_ms;
    assert_true(raw_read_to_end(fd, answer, 30000));
    (void)close(fd);
    return took_ms;
}

static void test_slow_senders(void **state)
{
    (void)state;
    static const char *const heads[] = {
        POST "Content-Length: 50000\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: ", POST "Transfer-Encoding: chunked\r\n\r\n1000\r\n"};
    struct buf answer = BUF_INIT(MIB(1));
    struct http_server *server = start(8, 500, 30000);
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        buf_clear(&answer);
        int64_t took_ms = trickle(server, heads[i], &answer);
        assert_int_equal(raw_status(&answer), 408);
        assert_true(took_ms >= 400 && took_ms < 30000);
        /* and one that says nothing more at all */
        int fd = raw_connect(http_server_port(server));
        int64_t start_ms = clock_mono_ms();
        raw_say(fd, heads[i]);
        buf_clear(&answer);
        assert_true(raw_read_to_end(fd, &answer, 30000));
        assert_int_equal(raw_status(&answer), 408);
        assert_true(clock_mono_ms() - start_ms < 30000);
        (void)close(fd);
    }
    assert_int_equal(seen_count(), 0);
    http_server_stop(server, 0);
    buf_release(&answer);
}

static void test_silent_connections_make_room(void **state)
{
    (void)state;
    enum { THREADS = 4, SILENT = 40 };
    struct buf answer = BUF_INIT(MIB(1));
    struct http_server *server = start(THREADS, 120000, 120000);
    int fds[SILENT];
    for (int i = 0; i < SILENT; i++) {
        fds[i] = raw_connect(http_server_port(server));
        if (i % 2)
            raw_say(fds[i], "GET / HTTP/1.1\r\nHost");
    }
    int64_t start_ms = clock_mono_ms();
    assert_int_equal(served(server, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &answer), 200);
    assert_true(clock_mono_ms() - start_ms < 60000);
    for (int i = 0; i < SILENT; i++)
        (void)close(fds[i]);
    http_server_stop(server, 0);
    buf_release(&answer);
}

static void hold(bool is_held)
{
    pthread_mutex_lock(&seen.mutex);
    seen.is_held = is_held;
    pthread_cond_broadcast(&seen.changed);
    pthread_mutex_unlock(&seen.mutex);
}

static void wait_held(int count)
{
    pthread_mutex_lock(&seen.mutex);
    while (seen.held < count)
        pthread_cond_wait(&seen.changed, &seen.mutex);
    pthread_mutex_unlock(&seen.mutex);
}

static void test_answers_close_when_threads_are_short(void **state)
{
    (void)state;
    enum { THREADS = 4, OPEN = 6 };
    struct buf answer = BUF_INIT(MIB(1));
    struct http_server *server = start(THREADS, 0, 0);
    int fds[OPEN], closed = 0;
    hold(true);
    for (int i = 0; i < OPEN; i++) {
        fds[i] = raw_connect(http_server_port(server));
        raw_say(fds[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    wait_held(OPEN);
    hold(false);
    for (int i = 0; i < OPEN; i++) {
        assert_true(raw_read_answer(fds[i], &answer, true));
        assert_int_equal(raw_status(&answer), 200);
        closed += str_find(buf_str(&answer), "Connection: close\r\n", 0) > 0;
        (void)close(fds[i]);
    }
    assert_true(closed >= OPEN - THREADS);
    http_server_stop(server, 2000);
    buf_release(&answer);
}

static void *stop_server(void *server)
{
    http_server_stop(server, 60000);
    return NULL;
}

static void test_stop_lets_requests_finish(void **state)
{
    (void)state;
    struct buf answer = BUF_INIT(MIB(1));
    struct http_server *server = start(8, 0, 0);
    int idle = raw_connect(http_server_port(server));
    int fd = raw_connect(http_server_port(server));
    hold(true);
    raw_say(fd, "POST /last HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok");
    wait_held(1);
    pthread_t thread;
    int64_t start_ms = clock_mono_ms();
    assert_int_equal(pthread_create(&thread, NULL, stop_server, server), 0);
    /* the idle connection ends while the request is still being handled */
    buf_clear(&answer);
    assert_true(raw_read_to_end(idle, &answer, 30000));
    hold(false);
    assert_true(raw_read_answer(fd, &answer, true));
    assert_int_equal(raw_status(&answer), 200);
    assert_true(str_find(buf_str(&answer), "Connection: close\r\n", 0) > 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(clock_mono_ms() - start_ms < 30000);
    (void)close(fd);
    (void)close(idle);
    buf_release(&answer);
}

static int taken_stream(int index)
{
    pthread_mutex_lock(&seen.mutex);
    while (seen.stream_count <= index)
        pthread_cond_wait(&seen.changed, &seen.mutex);
    int fd = seen.streams[index];
    pthread_mutex_unlock(&seen.mutex);
    return fd;
}

static void read_until(int fd, struct buf *answer, const char *text)
{
    while (str_find(buf_str(answer), text, 0) < 0) {
        ssize_t n = recv(fd, buf_reserve(answer, 4096), 4096, 0);
        assert_true(n > 0);
        buf_grew(answer, (size_t)n);
    }
}

/* Ten times as many streams as threads: each connection goes on after its thread has left it, and
 * outlives the server. */
static void test_streams_leave_their_threads(void **state)
{
    enum { STREAMS = 40 };
    (void)state;
    struct buf answer = BUF_INIT(MIB(1));
    struct http_server *server = start(4, 0, 0);
    int clients[STREAMS];
    seen.stream_count = 0;
    for (int i = 0; i < STREAMS; i++) {
        clients[i] = raw_connect(http_server_port(server));
        raw_say(clients[i], "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(taken_stream(i) >= 0);
    }
    int fd = raw_connect(http_server_port(server));
    raw_say(fd, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(raw_read_answer(fd, &answer, true));
    (void)close(fd);
    http_server_stop(server, 1000);
    for (int i = 0; i < STREAMS; i++) {
        /* which client it is shows by its address: the order of arrival may be another */
        assert_int_equal(send(taken_stream(i), "data: 1\n\n", 9, MSG_NOSIGNAL), 9);
    }
    for (int i = 0; i < STREAMS; i++) {
        buf_clear(&answer);
        read_until(clients[i], &answer, "data: 1\n\n");
        assert_true(str_find(buf_str(&answer), "Connection: close\r\n", 0) > 0);
        assert_int_equal(str_find(buf_str(&answer), "Content-Length", 0), -1);
        (void)close(clients[i]);
        (void)close(taken_stream(i));
    }
    buf_release(&answer);
}

static void test_no_stream_for_head(void **state)
{
    struct buf answer = BUF_INIT(MIB(1));
    seen.stream_count = 0;
    int fd = raw_connect(http_server_port(*state));
    raw_say(fd, "HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(taken_stream(0), -1);
    assert_true(raw_read_to_end(fd, &answer, 30000));
    (void)close(fd);
    buf_release(&answer);
}

static void test_bad_addresses(void **state)
{
    static const char *const bad[] = {"",
                                      "8080",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:70000",
                                      "::1:80",
                                      "[::1]",
                                      "host:80",
                                      "127.0.0.1:80,127.0.0.1:81",
                                      "127.0.0.1:80s"};
    struct http_server *other = NULL;
    struct err err = ERR_INIT;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct http_server_options options = {.listen = bad[i], .handler = handle};
        assert_int_equal(http_server_start(&options, &other, &err), RN_EINVAL);
    }
    char taken[64];
    (void)snprintf(taken, sizeof(taken), "127.0.0.1:%d", http_server_port(*state));
    struct http_server_options options = {.listen = taken, .handler = handle};
    assert_int_equal(http_server_start(&options, &other, &err), RN_EEXISTS);
    assert_non_null(strstr(err.text, taken));
    options.listen = "192.0.2.1:0";
    assert_int_equal(http_server_start(&options, &other, &err), RN_EINVAL);
    assert_null(other);
}

static void test_ipv6(void **state)
{
    (void)state;
    struct http_server *server = NULL;
    struct err err = ERR_INIT;
    struct http_server_options options = {
        .listen = "[::1]:0", .threads = 4, .handler = handle, .ctx = &seen};
    int code = http_server_start(&options, &server, &err);
    if (code) { /* Debian's civetweb is built without IPv6 */
        assert_int_equal(code, RN_EINVAL);
        assert_non_null(strstr(err.text, "without IPv6"));
        skip();
    }
    assert_int_equal(code, 0);
    assert_true(str_starts(str_from(http_server_url(server)), "http://[::1]:"));
    struct sockaddr_in6 to = {.sin6_family = AF_INET6,
                              .sin6_port = htons((uint16_t)http_server_port(server)),
                              .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    struct buf answer = BUF_INIT(MIB(1));
    raw_say(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(raw_read_answer(fd, &answer, true));
    assert_true(str_find(buf_str(&answer), "X-Ip: ::1\r\n", 0) > 0);
    (void)close(fd);
    http_server_stop(server, 0);
    buf_release(&answer);
}

static void add_pair(void *ctx, struct str name, struct str value)
{
    buf_addf(ctx, "[" STR_FMT "|" STR_FMT "]", STR_ARG(name), STR_ARG(value));
}

static void test_forms(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(MIB(1)), many = BUF_INIT(MIB(1));
    assert_int_equal(http_form_parse(STR("a=1&b=x+y%21&&c&=d&e=f=g"), add_pair, &out), 0);
    assert_string_equal(buf_c(&out), "[a|1][b|x y!][c|][|d][e|f=g]");
    assert_int_equal(http_form_parse(STR("a=%4"), add_pair, &out), RN_EINVAL);
    assert_int_equal(http_form_parse(STR("%zz=1"), add_pair, &out), RN_EINVAL);
    assert_int_equal(http_form_parse(STR_NONE, add_pair, &out), 0);
    for (int i = 0; i < LIMIT_HTTP_QUERY_PARAMS; i++)
        buf_add_c(&many, "a=1&");
    assert_int_equal(http_form_parse(buf_str(&many), add_pair, &out), 0);
    buf_add_c(&many, "a=1");
    assert_int_equal(http_form_parse(buf_str(&many), add_pair, &out), RN_ETOOBIG);
    buf_release(&out);
    buf_release(&many);
}

static void test_response_headers(void **state)
{
    (void)state;
    struct http_response response = {.status = 500};
    assert_int_equal(http_response_header(&response, "X-A", STR("b\tc \xc3\xa9")), 0);
    assert_int_equal(http_response_header(&response, "X A", STR("b")), RN_EINVAL);
    assert_int_equal(http_response_header(&response, "", STR("b")), RN_EINVAL);
    assert_int_equal(http_response_header(&response, "X-A:", STR("b")), RN_EINVAL);
    assert_int_equal(http_response_header(&response, "X-A", STR("b\r\nSet-Cookie: c")), RN_EINVAL);
    assert_int_equal(http_response_header(&response, "X-A", STR("b\0c")), RN_EINVAL);
    assert_int_equal(http_response_header(&response, "Content-Length", STR("1")), RN_EINVAL);
    assert_int_equal(http_response_header(&response, "connection", STR("close")), RN_EINVAL);
    assert_int_equal(http_response_header(&response, "Transfer-Encoding", STR("chunked")),
                     RN_EINVAL);
    assert_int_equal(http_response_header(&response, "DATE", STR("now")), RN_EINVAL);
    assert_string_equal(buf_c(&response.headers), "X-A: b\tc \xc3\xa9\r\n");
    http_response_set(&response, 201, "text/plain", STR("hi"));
    assert_int_equal(response.status, 201);
    assert_string_equal(buf_c(&response.body), "hi");
    buf_release(&response.headers);
    buf_release(&response.body);
    assert_string_equal(http_status_text(404), "Not Found");
    assert_string_equal(http_status_text(299), "");
}

#define SERVED(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED(test_headers_are_lowered_and_joined),
        SERVED(test_connections_are_kept),
        SERVED(test_http10),
        SERVED(test_ambiguous_lengths_are_refused),
        SERVED(test_bad_codings_are_refused),
        SERVED(test_header_65_is_not_dropped),
        SERVED(test_large_heads),
        SERVED(test_odd_heads_are_refused),
        SERVED(test_control_characters_are_refused),
        SERVED(test_bad_paths_are_refused),
        SERVED(test_expect),
        SERVED(test_body_limits),
        SERVED(test_a_short_body_is_no_request),
        cmocka_unit_test(test_slow_senders),
        cmocka_unit_test(test_silent_connections_make_room),
        cmocka_unit_test(test_answers_close_when_threads_are_short),
        cmocka_unit_test(test_stop_lets_requests_finish),
        cmocka_unit_test(test_streams_leave_their_threads),
        SERVED(test_no_stream_for_head),
        SERVED(test_bad_addresses),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_response_headers),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_release(&seen.path);
    buf_release(&seen.query);
    buf_release(&seen.headers);
    buf_release(&seen.body);
    return failed;
}
