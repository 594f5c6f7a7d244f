/* The client against our own listener, and against sockets that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "raw.h"

#include <pthread.h>

static struct {
    struct http_server *server, *other;
    struct egress *egress;
    struct http_client *client;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int count;
    struct buf last; /* method, path, query, headers and body of the last request */
    bool is_held;
} t = {.mutex = PTHREAD_MUTEX_INITIALIZER,
       .changed = PTHREAD_COND_INITIALIZER,
       .last = BUF_INIT(MIB(16))};

static void add(struct http_response *response, const char *name, const char *value)
{
    assert_int_equal(http_response_header(response, name, str_from(value)), 0);
}

static void handle(void *ctx, const struct http_request *request, struct http_response *response)
{
    (void)ctx;
    pthread_mutex_lock(&t.mutex);
    t.count++;
    buf_clear(&t.last);
    buf_addf(&t.last, "%s " STR_FMT "?" STR_FMT "\n", request->method, STR_ARG(request->path),
             STR_ARG(request->query));
    for (size_t i = 0; i < request->header_count; i++)
        buf_addf(&t.last, STR_FMT "=" STR_FMT "\n", STR_ARG(request->headers[i].name),
                 STR_ARG(request->headers[i].value));
    buf_addf(&t.last, "\n" STR_FMT, STR_ARG(request->body));
    pthread_cond_broadcast(&t.changed);
    while (t.is_held && str_eq_c(request->path, "/slow"))
        pthread_cond_wait(&t.changed, &t.mutex);
    pthread_mutex_unlock(&t.mutex);
    if (str_starts(request->path, "/to/")) { /* /to/STATUS?LOCATION */
        http_response_set(response, 0, NULL, STR("elsewhere"));
        for (size_t i = 4; i < request->path.len; i++)
            response->status = response->status * 10 + (request->path.ptr[i] - '0');
        assert_int_equal(http_response_header(response, "Location", request->query), 0);
        return;
    }
    if (str_eq_c(request->path, "/loop")) {
        http_response_set(response, 302, NULL, STR(""));
        add(response, "Location", "/loop");
        return;
    }
    if (str_eq_c(request->path, "/big")) {
        response->status = 200;
        for (int i = 0; i < 100000; i++)
            buf_add_char(&response->body, 'x');
        return;
    }
    http_response_set(response, str_eq_c(request->path, "/404") ? 404 : 200, "text/plain",
                      request->body);
    add(response, "X-Many", "a");
    add(response, "x-many", "b");
}

static struct http_server *start(void)
{
    struct http_server *server = NULL;
    struct err err = ERR_INIT;
    struct http_server_options options = {.listen = "127.0.0.1:0", .threads = 8, .handler = handle};
    assert_int_equal(http_server_start(&options, &server, &err), 0);
    return server;
}

static int set_up(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(http_client_global_init(&err), 0);
    t.server = start();
    t.other = start();
    t.egress = egress_new();
    assert_int_equal(egress_allow(t.egress, STR("127.0.0.1"), &err), 0);
    t.client = http_client_new(t.egress, "runnel-test/1");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http_client_free(t.client);
    egress_free(t.egress);
    http_server_stop(t.server, 1000);
    http_server_stop(t.other, 1000);
    buf_release(&t.last);
    return 0;
}

static int fetch(const struct fetch_request *request, struct fetch_response *response,
                 struct err *err)
{
    *response = (struct fetch_response){.status = 0};
    err->text[0] = '\0';
    return http_client_fetch(t.client, request, response, err);
}

static int get(const char *url, struct fetch_response *response, struct err *err)
{
    struct fetch_request request = {.method = "GET", .url = url, .timeout_ms = 5000};
    return fetch(&request, response, err);
}

static const char *url_of(struct http_server *server, const char *path)
{
    static _Thread_local char urls[4][256];
    static _Thread_local int next;
    char *url = urls[next++ % 4];
    (void)snprintf(url, 256, "%s%s", http_server_url(server), path);
    return url;
}

static int arrived(void)
{
    pthread_mutex_lock(&t.mutex);
    int count = t.count;
    pthread_mutex_unlock(&t.mutex);
    return count;
}

static void test_a_request_and_its_answer(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct fetch_response response;
    struct fetch_header headers[] = {{"X-One", "1"},
                                     {"X-Empty", ""},
                                     {"Content-Type", "application/json"},
                                     {"Content-Length", "999"},
                                     {"Expect", "100-continue"}};
    struct fetch_request request = {.method = "PUT",
                                    .url = url_of(t.server, "/a%2Fb/../c?x=1&y=%20#part"),
                                    .headers = headers,
                                    .header_count = COUNT_OF(headers),
                                    .body = STR("{\"a\":1}"),
                                    .basic_user = "me",
                                    .basic_password = "pass"};
    assert_int_equal(fetch(&request, &response, &err), 0);
    assert_int_equal(response.status, 200);
    assert_string_equal(buf_c(&response.body), "{\"a\":1}");
    assert_string_equal(fetch_response_header(&response, "x-many"), "a, b");
    assert_string_equal(fetch_response_header(&response, "content-type"), "text/plain");
    assert_null(fetch_response_header(&response, "x-none"));
    assert_true(str_starts(buf_str(&t.last), "PUT /a%2Fb/../c?x=1&y=%20\n"));
    assert_true(
        str_find(buf_str(&t.last), "x-one=1\nx-empty=\ncontent-type=application/json\n", 0) > 0);
    assert_true(str_find(buf_str(&t.last), "authorization=Basic bWU6cGFzcw==\n", 0) > 0);
    assert_true(str_find(buf_str(&t.last), "user-agent=runnel-test/1\n", 0) > 0);
    assert_true(str_find(buf_str(&t.last), "content-length=7\n", 0) > 0);
    assert_int_equal(str_find(buf_str(&t.last), "expect", 0), -1);
    fetch_response_release(&response);
    /* no body: a POST says so, a GET and a DELETE say nothing */
    request = (struct fetch_request){.method = "POST", .url = url_of(t.server, "/p")};
    assert_int_equal(fetch(&request, &response, &err), 0);
    assert_true(str_find(buf_str(&t.last), "content-length=0\n", 0) > 0);
    assert_int_equal(str_find(buf_str(&t.last), "content-type", 0), -1);
    fetch_response_release(&response);
    request.method = "DELETE";
    assert_int_equal(fetch(&request, &response, &err), 0);
    assert_int_equal(str_find(buf_str(&t.last), "content-length", 0), -1);
    fetch_response_release(&response);
    request.method = "HEAD";
    assert_int_equal(fetch(&request, &response, &err), 0);
    assert_true(str_starts(buf_str(&t.last), "HEAD /p"));
    assert_int_equal(response.body.len, 0);
    fetch_response_release(&response);
    assert_int_equal(get(url_of(t.server, "/404"), &response, &err), 0);
    assert_int_equal(response.status, 404);
    fetch_response_release(&response);
}

static void test_user_and_password_in_the_url(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct fetch_response response;
    char url[128];
    (void)snprintf(url, sizeof(url), "http://write%%3Akey:@127.0.0.1:%d/x?secret=1",
                   http_server_port(t.server));
    assert_int_equal(get(url, &response, &err), 0);
    assert_true(str_find(buf_str(&t.last), "authorization=Basic d3JpdGU6a2V5Og==\n", 0) > 0);
    assert_null(strstr(response.url, "write"));
    fetch_response_release(&response);
}

static void test_bad_requests(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct fetch_response response;
    assert_int_equal(get("nonsense", &response, &err), RN_EINVAL);
    assert_int_equal(get("file:///etc/passwd", &response, &err), RN_EPERM);
    assert_int_equal(get("ftp://127.0.0.1/", &response, &err), RN_EPERM);
    struct fetch_header bad[] = {{"X A", "b"}, {"X-A", "b\r\nX-B: c"}, {"", "b"}};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct fetch_request request = {
            .method = "GET", .url = url_of(t.server, "/"), .headers = &bad[i], .header_count = 1};
        assert_int_equal(fetch(&request, &response, &err), RN_EINVAL);
    }
    struct fetch_request request = {.method = "GET /x", .url = url_of(t.server, "/")};
    assert_int_equal(fetch(&request, &response, &err), RN_EINVAL);
}

static void test_policy(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct fetch_response response;
    int before = arrived();
    assert_int_equal(get("http://127.0.0.2:9/a?secret", &response, &err), RN_EPERM);
    assert_non_null(strstr(err.text, "127.0.0.2"));
    assert_non_null(strstr(err.text, "GET http://127.0.0.2:9/a"));
    assert_null(strstr(err.text, "secret"));
    assert_int_equal(get("http://169.254.169.254/latest", &response, &err), RN_EPERM);
    /* other spellings of the same address */
    assert_int_equal(get("http://0x7f.2:9/", &response, &err), RN_EPERM);
    assert_int_equal(get("http://2130706434:9/", &response, &err), RN_EPERM);
    assert_int_equal(get("http://[::ffff:127.0.0.2]:9/", &response, &err), RN_EPERM);
    char path[128];
    (void)snprintf(path, sizeof(path), "/to/302?http://127.0.0.2:%d/x", http_server_port(t.server));
    assert_int_equal(get(url_of(t.server, path), &response, &err), RN_EPERM);
    assert_int_equal(arrived(), before + 1);
    assert_int_equal(get(url_of(t.server, "/to/302?file:///etc/passwd"), &response, &err),
                     RN_EPERM);
    /* a name is judged by what it leads to, when it is connected to */
    struct egress *egress = egress_new();
    struct http_client *client = http_client_new(egress, NULL);
    (void)snprintf(path, sizeof(path), "http://localhost:%d/x", http_server_port(t.server));
    struct fetch_request request = {.method = "GET", .url = path};
    response = (struct fetch_response){.status = 0};
    assert_int_equal(http_client_fetch(client, &request, &response, &err), RN_EPERM);
    assert_non_null(strstr(err.text, "egress.allow"));
    assert_int_equal(arrived(), before + 2);
    fetch_response_release(&response);
    http_client_free(client);
    egress_free(egress);
}

static void test_rewrites(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct fetch_response response;
    struct egress *egress = egress_new();
    assert_int_equal(egress_allow(egress, STR("127.0.0.1"), &err), 0);
    assert_int_equal(egress_rewrite(egress, STR("https://vendor.example"),
                                    str_from(url_of(t.server, "/vendor")), &err),
                     0);
    struct http_client *client = http_client_new(egress, NULL);
    struct fetch_request request = {.method = "GET", .url = "https://k:s@vendor.example/to?a=1"};
    response = (struct fetch_response){.status = 0};
    assert_int_equal(http_client_fetch(client, &request, &response, &err), 0);
    assert_true(str_starts(buf_str(&t.last), "GET /vendor/to?a=1\n"));
    assert_true(str_find(buf_str(&t.last), "authorization=Basic azpz\n", 0) > 0);
    assert_string_equal(response.url, "https://vendor.example/to?a=1");
    fetch_response_release(&response);
    http_client_free(client);
    egress_free(egress);
}

static void test_redirects(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct fetch_response response;
    static const struct {
        const char *method;
        int status;
        const char *becomes;
    } cases[] = {{"POST", 301, "GET /end"},  {"POST", 302, "GET /end"},  {"POST", 303, "GET /end"},
                 {"PUT", 303, "GET /end"},   {"PUT", 302, "PUT /end"},   {"POST", 307, "POST /end"},
                 {"POST", 308, "POST /end"}, {"HEAD", 303, "HEAD /end"}, {"GET", 302, "GET /end"}};
    struct fetch_header headers[] = {{"Content-Type", "text/x"},
                                     {"Authorization", "Bearer t"},
                                     {"X-Api-Key", "k"},
                                     {"X-Plain", "p"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/to/%d?../end", cases[i].status);
        bool has_body = strcmp(cases[i].method, "HEAD") && strcmp(cases[i].method, "GET");
        struct fetch_request request = {.method = cases[i].method,
                                        .url = url_of(t.server, path),
                                        .headers = headers,
                                        .header_count = COUNT_OF(headers),
                                        .body = has_body ? STR("data") : STR_NONE};
        assert_int_equal(fetch(&request, &response, &err), 0);
        assert_true(str_starts(buf_str(&t.last), cases[i].becomes));
        bool keeps = has_body && strncmp(cases[i].becomes, "P", 1) == 0;
        assert_int_equal(str_ends(buf_str(&t.last), "\ndata"), keeps);
        if (has_body)
            assert_int_equal(str_find(buf_str(&t.last), "content-type=text/x", 0) > 0, keeps);
        assert_true(str_find(buf_str(&t.last), "authorization=Bearer t", 0) > 0);
        assert_true(str_ends(str_from(response.url), "/end"));
        fetch_response_release(&response);
    }
    /* another port is another origin */
    char path[128];
    (void)snprintf(path, sizeof(path), "/to/307?%s", url_of(t.other, "/end"));
    struct fetch_request request = {.method = "POST",
                                    .url = url_of(t.server, path),
                                    .headers = headers,
                                    .header_count = COUNT_OF(headers),
                                    .body = STR("data"),
                                    .basic_user = "u",
                                    .basic_password = "p"};
    assert_int_equal(fetch(&request, &response, &err), 0);
    assert_int_equal(str_find(buf_str(&t.last), "authorization", 0), -1);
    assert_int_equal(str_find(buf_str(&t.last), "x-api-key", 0), -1);
    assert_true(str_find(buf_str(&t.last), "x-plain=p", 0) > 0);
    fetch_response_release(&response);
    /* bounded, and not at all when asked so */
    int before = arrived();
    request =
        (struct fetch_request){.method = "GET", .url = url_of(t.server, "/to/302?/to/302?/x")};
    assert_int_equal(get(url_of(t.server, "/loop"), &response, &err), RN_EPERM);
    assert_int_equal(arrived(), before + 1 + LIMIT_FETCH_REDIRECTS);
    request.max_redirects = -1;
    assert_int_equal(fetch(&request, &response, &err), 0);
    assert_int_equal(response.status, 302);
    assert_string_equal(buf_c(&response.body), "elsewhere");
    fetch_response_release(&response);
}

/* ---- servers that misbehave ---- */

struct script {
    int listener;
    int port;
    const char *answers[3]; /* one a connection: NULL ends */
    bool keeps_first;       /* the second answer goes to the first connection, which was kept */
    int requests;
    pthread_t thread;
};

static int read_request(int fd)
{
    struct buf in = BUF_INIT(MIB(1));
    int got = 0;
    while (str_find(buf_str(&in), "\r\n\r\n", 0) < 0) {
        ssize_t n = recv(fd, buf_reserve(&in, 4096), 4096, 0);
        if (n <= 0)
            break;
        buf_grew(&in, (size_t)n);
    }
    got = str_find(buf_str(&in), "\r\n\r\n", 0) >= 0;
    buf_release(&in);
    return got;
}

static void *script_run(void *arg)
{
    struct script *s = arg;
    int fd = -1;
    for (int i = 0; i < 3 && s->answers[i]; i++) {
        if (fd < 0)
            fd = accept(s->listener, NULL, NULL);
        s->requests += read_request(fd);
        raw_say(fd, s->answers[i]);
        if (s->keeps_first && i == 0)
            continue;
        (void)close(fd);
        fd = -1;
    }
    return NULL;
}

static void script_start(struct script *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(s->listener, 4), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &len), 0);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, script_run, s), 0);
}

static void script_end(struct script *s)
{
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    (void)close(s->listener);
}

static int ask(struct script *s, const char *method, bool is_safe, struct err *err)
{
    char url[64];
    struct fetch_response response;
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/x?q", s->port);
    struct fetch_request request = {.method = method,
                                    .url = url,
                                    .is_safe = is_safe,
                                    .timeout_ms = 5000,
                                    .response_limit = 1000};
    int code = fetch(&request, &response, err);
    fetch_response_release(&response);
    return code;
}

static void test_lost_answers(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const char *const lost[] = {
        "", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"};
    for (size_t i = 0; i < COUNT_OF(lost); i++) {
        struct script s = {.answers = {lost[i], lost[i]}};
        script_start(&s);
        assert_int_equal(ask(&s, "POST", false, &err), RN_EUNKNOWN);
        assert_null(strstr(err.text, "?q"));
        assert_int_equal(ask(&s, "POST", true, &err), RN_EUNAVAILABLE);
        script_end(&s);
        assert_int_equal(s.requests, 2);
    }
}

#define OK_KEPT "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static void test_a_kept_connection_dies(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    /* The second request is read and never answered: libcurl would send it again, and we must not
     * know better than to say so. */
    struct script s = {.answers = {OK_KEPT, ""}, .keeps_first = true};
    script_start(&s);
    assert_int_equal(ask(&s, "POST", false, &err), 0);
    assert_int_equal(ask(&s, "POST", false, &err), RN_EUNKNOWN);
    script_end(&s);
    assert_int_equal(s.requests, 2);
    /* what does no harm is sent again */
    struct script safe = {.answers = {OK_KEPT, "", OK_KEPT}, .keeps_first = true};
    script_start(&safe);
    assert_int_equal(ask(&safe, "GET", true, &err), 0);
    assert_int_equal(ask(&safe, "GET", true, &err), 0);
    script_end(&safe);
    assert_int_equal(safe.requests, 3);
}

static void test_sizes(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct buf chunks = BUF_INIT(MIB(1)), head = BUF_INIT(MIB(1)), many = BUF_INIT(MIB(1));
    buf_add_c(&chunks, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 300; i++)
        buf_add_c(&chunks, "4\r\nabcd\r\n");
    buf_add_c(&chunks, "0\r\n\r\n");
    buf_add_c(&head, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < 40; i++)
        buf_addf(&head, "X-%d: %08000d\r\n", i, i);
    buf_add_c(&head, "\r\n");
    buf_add_c(&many, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < 1001; i++)
        buf_addf(&many, "X-%d: v\r\n", i);
    buf_add_c(&many, "\r\n");
    struct script s = {.answers = {buf_c(&chunks), buf_c(&head), buf_c(&many)}};
    script_start(&s);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(&s, "GET", true, &err), RN_ETOOBIG);
    script_end(&s);
    struct fetch_response response;
    struct fetch_request request = {
        .method = "GET", .url = url_of(t.server, "/big"), .response_limit = 99999};
    assert_int_equal(fetch(&request, &response, &err), RN_ETOOBIG);
    request.response_limit = 100000;
    assert_int_equal(fetch(&request, &response, &err), 0);
    assert_int_equal(response.body.len, 100000);
    fetch_response_release(&response);
    buf_release(&chunks);
    buf_release(&head);
    buf_release(&many);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct script s = {.answers = {NULL}};
    script_start(&s);
    script_end(&s);
    assert_int_equal(ask(&s, "POST", false, &err), RN_EUNAVAILABLE);
    struct fetch_response response;
    assert_int_equal(get("http://name.invalid/", &response, &err), RN_EUNAVAILABLE);
}

static void release_slow(void)
{
    pthread_mutex_lock(&t.mutex);
    t.is_held = false;
    pthread_cond_broadcast(&t.changed);
    pthread_mutex_unlock(&t.mutex);
}

static void test_timeouts(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct fetch_response response;
    struct fetch_request request = {
        .method = "POST", .url = url_of(t.server, "/slow"), .timeout_ms = 200, .body = STR("x")};
    pthread_mutex_lock(&t.mutex);
    t.is_held = true;
    pthread_mutex_unlock(&t.mutex);
    int64_t start_ms = clock_mono_ms();
    assert_int_equal(fetch(&request, &response, &err), RN_EUNKNOWN);
    request.is_safe = true;
    assert_int_equal(fetch(&request, &response, &err), RN_ETIMEDOUT);
    assert_true(clock_mono_ms() - start_ms < 30000);
    release_slow();
    /* nobody takes the connection for https: TLS never begins, so nothing was sent */
    struct script s = {.answers = {NULL}};
    script_start(&s);
    char url[64];
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/", s.port);
    request = (struct fetch_request){.method = "POST", .url = url, .timeout_ms = 200};
    assert_int_equal(fetch(&request, &response, &err), RN_ETIMEDOUT);
    script_end(&s);
}

static void *cancel_when_arrived(void *flag)
{
    pthread_mutex_lock(&t.mutex);
    while (!str_starts(buf_str(&t.last), "POST /slow"))
        pthread_cond_wait(&t.changed, &t.mutex);
    pthread_mutex_unlock(&t.mutex);
    atomic_store((atomic_bool *)flag, true);
    return NULL;
}

static void test_cancel(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct fetch_response response;
    atomic_bool cancelled = false;
    pthread_t thread;
    struct fetch_request request = {.method = "POST",
                                    .url = url_of(t.server, "/slow"),
                                    .timeout_ms = 120000,
                                    .cancelled = &cancelled};
    pthread_mutex_lock(&t.mutex);
    t.is_held = true;
    buf_clear(&t.last);
    pthread_mutex_unlock(&t.mutex);
    assert_int_equal(pthread_create(&thread, NULL, cancel_when_arrived, &cancelled), 0);
    int64_t start_ms = clock_mono_ms();
    assert_int_equal(fetch(&request, &response, &err), RN_ECANCELED);
    assert_true(clock_mono_ms() - start_ms < 30000);
    assert_int_equal(pthread_join(thread, NULL), 0);
    release_slow();
}

static void *fetch_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        struct fetch_response response = {.status = 0};
        struct err err = ERR_INIT;
        struct fetch_request request = {
            .method = "POST", .url = url_of(i % 2 ? t.server : t.other, "/m"), .body = STR("body")};
        assert_int_equal(http_client_fetch(t.client, &request, &response, &err), 0);
        assert_string_equal(buf_c(&response.body), "body");
        fetch_response_release(&response);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fetch_many, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void test_tls(void **state)
{
    (void)state;
    char dir[] = "/tmp/runnel-tls-XXXXXX", command[512], key[64], certificate[64];
    struct err err = ERR_INIT;
    struct fetch_response response;
    struct http_server *server = NULL;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(key, sizeof(key), "%s/key.pem", dir);
    (void)snprintf(certificate, sizeof(certificate), "%s/cert.pem", dir);
    struct http_server_options options = {.listen = "127.0.0.1:0",
                                          .threads = 4,
                                          .handler = handle,
                                          .tls_certificate = certificate,
                                          .tls_key = key};
    assert_int_not_equal(http_server_start(&options, &server, &err), 0);
    assert_non_null(strstr(err.text, certificate));
    (void)snprintf(command, sizeof(command),
                   "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                   "-subj /CN=localhost -keyout %s -out %s 2>/dev/null",
                   key, certificate);
    assert_int_equal(system(command), 0);
    if (http_server_start(&options, &server, &err))
        fail_msg("%s", err.text);
    assert_true(str_starts(str_from(http_server_url(server)), "https://127.0.0.1:"));
    int before = arrived();
    struct fetch_request request = {
        .method = "POST", .url = url_of(server, "/t"), .body = STR("x")};
    assert_int_equal(fetch(&request, &response, &err), RN_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "certificate"));
    assert_int_equal(arrived(), before);
    (void)snprintf(
        command, sizeof(command),
        "printf 'POST /t HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\nContent-Length: 5\\r\\n"
        "\\r\\nhello' | openssl s_client -quiet -connect 127.0.0.1:%d 2>/dev/null "
        "| grep -q hello",
        http_server_port(server));
    assert_int_equal(system(command), 0);
    assert_int_equal(arrived(), before + 1);
    http_server_stop(server, 1000);
    server = NULL;
    options.tls_key = certificate;
    assert_int_equal(http_server_start(&options, &server, &err), RN_EINVAL);
    options.tls_key = NULL;
    assert_int_equal(http_server_start(&options, &server, &err), RN_EINVAL);
    (void)unlink(key);
    (void)unlink(certificate);
    (void)rmdir(dir);
}

static int64_t retry_after(const char *value)
{
    struct fetch_header header = {"retry-after", value};
    struct fetch_response response = {.headers = &header, .header_count = value ? 1 : 0};
    return fetch_retry_after_ms(&response);
}

static void test_retry_after(void **state)
{
    (void)state;
    int64_t now_ms;
    assert_int_equal(clock_parse(STR("2026-11-23T10:00:00Z"), &now_ms), 0);
    clock_fake(now_ms);
    assert_int_equal(retry_after(NULL), -1);
    assert_int_equal(retry_after("0"), 0);
    assert_int_equal(retry_after("120"), 120000);
    assert_int_equal(retry_after("0.35"), 350);
    assert_int_equal(retry_after("-5"), -1);
    assert_int_equal(retry_after("soon"), -1);
    assert_int_equal(retry_after("Mon, 23 Nov 2026 10:01:30 GMT"), 90000);
    assert_int_equal(retry_after("Mon, 23 Nov 2026 09:00:00 GMT"), 0);
    assert_true(retry_after("99999999999999999999") > 0);
    clock_fake(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_and_its_answer),
        cmocka_unit_test(test_user_and_password_in_the_url),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_rewrites),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_lost_answers),
        cmocka_unit_test(test_a_kept_connection_dies),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_retry_after),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
