/* The listener on civetweb: start, stop, and the way of one request: head, body, handler, answer.
 *
 * begin_request() answers everything, so nothing of civetweb's own (files, CGI, WebDAV) is ever
 * reached. What it must get right: when it refuses a request, what follows on the connection was
 * never understood, so the connection is closed and no byte more is read as a request. See
 * http_server_private.h for the time limits. */
#include "net/http_server.h"

#include "base/log.h"
#include "net/http_head.h"
#include "net/http_server_private.h"

#include <arpa/inet.h>
#include <assert.h>
#include <civetweb.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Twice the limit, so that a head that is a little too large is still understood and answered 431.
 */
#define REQUEST_BUFFER "32768"
/* of a worker's buffers, from one request to the next; also: written in one piece */
#define KEEP_BYTES KIB(16)
#define SPARE_MIN 4
#define SPARE_MAX 16
#define DRAIN_MS 300
#define DRAIN_BYTES KIB(512)
#define WRITE_BYTES_PER_MS 16 /* the slowest reader of a large answer */
#define TEXT_MAX 512

struct http_server {
    struct http_server_options options;
    struct mg_context *context;
    struct http_slots slots;
    atomic_int busy; /* requests past their head */
    char url[128];
    char log_text[TEXT_MAX]; /* what civetweb said while it started */
    atomic_bool is_started;
};

struct http_worker {
    struct http_head head;
    struct buf body;
    struct buf out;
    struct http_response response;
    time_t date_s;
    char date[40];
};

/* ---- answers ---- */

static void trim_buf(struct buf *buf)
{
    if (buf->capacity > KEEP_BYTES)
        buf_release(buf);
    buf_clear(buf);
}

static const char *date_now(struct http_worker *worker)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != worker->date_s) {
        struct tm tm;
        (void)gmtime_r(&now.tv_sec, &tm);
        /* The process never leaves the C locale, so these are HTTP's names of days and months. */
        (void)strftime(worker->date, sizeof(worker->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        worker->date_s = now.tv_sec;
    }
    return worker->date;
}

static void add_number(struct buf *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    buf_add(out, digits + at, sizeof(digits) - at);
}

/* The head of an answer, into worker->out. */
static void add_head(struct http_worker *worker, const struct http_response *response, bool close)
{
    struct buf *out = &worker->out;
    int status = response->status;
    buf_clear(out);
    out->max = SIZE_MAX / 2;
    buf_add_c(out, "HTTP/1.1 ");
    add_number(out, (uint64_t)status);
    buf_add_char(out, ' ');
    buf_add_c(out, http_status_text(status));
    buf_add_c(out, "\r\nDate: ");
    buf_add_c(out, date_now(worker));
    buf_add(out, "\r\n", 2);
    buf_add_str(out, buf_str(&response->headers));
    if (status >= 200 && status != 204 && status != 304 && !response->take_over) {
        buf_add_c(out, "Content-Length: ");
        add_number(out, response->body.len);
        buf_add(out, "\r\n", 2);
    }
    if (close)
        buf_add_c(out, "Connection: close\r\n");
    else if (worker->head.is_http10)
        buf_add_c(out, "Connection: keep-alive\r\n");
    buf_add(out, "\r\n", 2);
}

static bool write_all(struct mg_connection *conn, struct str data)
{
    while (data.len) {
        size_t part = data.len < MIB(1) ? data.len : MIB(1);
        if (mg_write(conn, data.ptr, part) != (int)part)
            return false;
        data = str_n(data.ptr + part, data.len - part);
    }
    return true;
}

/* A socket that is closed with bytes unread resets the connection, and the sender may never see our
 * answer: so say that nothing more will come, and read on for a little while. */
static void drain(struct http_server *server, struct mg_connection *conn)
{
    const struct mg_request_info *info = mg_get_request_info(conn);
    int fd =
        http_socket_find(atomic_load(&server->slots.port), info->remote_addr, info->remote_port);
    int64_t until_ms = http_now_ms() + DRAIN_MS;
    size_t left = DRAIN_BYTES;
    char scrap[4096];
    if (fd < 0)
        return;
    if (!info->is_ssl)
        (void)shutdown(fd, SHUT_WR);
    while (left > sizeof(scrap)) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int64_t wait_ms = until_ms - http_now_ms();
        if (wait_ms <= 0 || poll(&ready, 1, (int)wait_ms) <= 0)
            return;
        ssize_t n = recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT);
        if (n <= 0)
            return;
        left -= (size_t)n;
    }
}

static void refuse(struct http_server *server, struct http_slot *slot, struct mg_connection *conn,
                   int status, const char *why)
{
    struct http_worker *worker = slot->worker;
    struct http_response *response = &worker->response;
    bool is_head = mg_get_request_info(conn)->request_method &&
                   strcmp(mg_get_request_info(conn)->request_method, "HEAD") == 0;
    int64_t now_ms = http_now_ms();
    if (server->options.on_refused)
        server->options.on_refused(server->options.ctx, status);
    buf_release(&response->headers);
    buf_release(&response->body);
    *response = (struct http_response){
        .status = status, .headers = BUF_INIT(LIMIT_HTTP_HEADERS), .body = BUF_INIT(KEEP_BYTES)};
    int code = http_response_header(response, "Content-Type", STR("text/plain; charset=utf-8"));
    if (code == 0 && status == 503)
        code = http_response_header(response, "Retry-After", STR("1"));
    assert(code == 0);
    (void)code;
    buf_addf(&response->body, "%d %s: %s\n", status, http_status_text(status), why);
    add_head(worker, response, true);
    if (!is_head)
        buf_add_str(&worker->out, buf_str(&response->body));
    (void)http_slot_set(slot, HTTP_SLOT_WRITING, now_ms, now_ms + server->options.request_ms);
    mg_disable_connection_keep_alive(conn);
    if (write_all(conn, buf_str(&worker->out)))
        drain(server, conn);
}

/* The connection becomes the handler's. civetweb closes what it finds under its own descriptor,
 * and shuts it down before, which a duplicate would feel: so another socket is put in its place. */
static void hand_over(struct http_server *server, struct http_slot *slot,
                      struct mg_connection *conn)
{
    const struct mg_request_info *info = mg_get_request_info(conn);
    struct http_worker *worker = slot->worker;
    int fd = -1;
    mg_disable_connection_keep_alive(conn);
    add_head(worker, &worker->response, true);
    if (write_all(conn, buf_str(&worker->out)) && strcmp(info->request_method, "HEAD") != 0 &&
        !info->is_ssl)
        fd = http_slot_take_socket(&server->slots, slot, info->remote_addr, info->remote_port);
    worker->response.take_over(worker->response.take_over_ctx, fd);
}

static void answer(struct http_server *server, struct http_slot *slot, struct mg_connection *conn)
{
    struct http_worker *worker = slot->worker;
    struct http_response *response = &worker->response;
    int64_t now_ms = http_now_ms();
    if (response->hangs_up) {
        mg_disable_connection_keep_alive(conn);
        return;
    }
    if (response->status < 200 || response->status > 599) {
        log_warn("a handler answered with the status %d, which is none", response->status);
        response->status = 500;
    }
    if (response->take_over) {
        hand_over(server, slot, conn);
        return;
    }
    bool close = response->close || !worker->head.keeps_alive ||
                 http_slots_are_short(&server->slots) ||
                 atomic_load_explicit(&server->slots.is_stopping, memory_order_relaxed);
    bool has_body = response->status >= 200 && response->status != 204 && response->status != 304 &&
                    strcmp(worker->head.request.method, "HEAD") != 0;
    struct str body = has_body ? buf_str(&response->body) : STR("");
    add_head(worker, response, close);
    if (close)
        mg_disable_connection_keep_alive(conn);
    if (body.len <= KEEP_BYTES) {
        buf_add_str(&worker->out, body);
        body = STR("");
    } else {
        (void)http_slot_set(slot, HTTP_SLOT_WRITING, now_ms,
                            now_ms + server->options.request_ms +
                                (int64_t)(body.len / WRITE_BYTES_PER_MS));
    }
    if (!write_all(conn, buf_str(&worker->out)) || !write_all(conn, body))
        mg_disable_connection_keep_alive(conn);
}

/* ---- requests ---- */

static size_t body_limit(struct http_server *server, const struct http_request *request)
{
    const struct http_server_options *options = &server->options;
    size_t limit = options->body_limit_of ? options->body_limit_of(options->ctx, request) : 0;
    return limit ? limit : options->body_limit;
}

/* Reads the body whole, or returns a status. */
static int read_body(struct http_server *server, struct http_slot *slot, struct mg_connection *conn,
                     const char **ret_why)
{
    struct http_worker *worker = slot->worker;
    struct http_head *head = &worker->head;
    struct buf *body = &worker->body;
    size_t limit = body_limit(server, &head->request);
    size_t whole = head->is_chunked ? limit + 1 : (size_t)head->length;
    *ret_why = "the body is larger than this endpoint takes";
    if (head->length > limit)
        return 413;
    if (head->expects_continue && whole && !write_all(conn, STR("HTTP/1.1 100 Continue\r\n\r\n")))
        return 400;
    buf_clear(body);
    body->max = whole;
    for (size_t slice = KEEP_BYTES; body->len < whole; slice = slice < MIB(1) ? slice * 2 : slice) {
        size_t want = slice < whole - body->len ? slice : whole - body->len;
        int n = mg_read(conn, buf_reserve(body, want), want);
        if (n == 0 && head->is_chunked)
            break;
        if (n <= 0 || n > (int)want) {
            bool is_late = http_now_ms() - slot->since_ms >= server->options.request_ms;
            *ret_why = "the body is not complete";
            return is_late ? 408 : 400;
        }
        buf_grew(body, (size_t)n);
    }
    head->request.body = buf_str(body);
    return body->len > limit ? 413 : 0;
}

/* 0, or the status with which the request was refused. */
static int take_request(struct http_server *server, struct http_slot *slot,
                        struct mg_connection *conn, const char **ret_why)
{
    struct http_worker *worker = slot->worker;
    struct http_head *head = &worker->head;
    int64_t now_ms = http_now_ms();
    /* The slot's fields are only written by this thread and, when it expires, by the reaper. */
    int64_t start_ms = slot->is_first ? slot->since_ms : now_ms;
    slot->is_first = false;
    int status = http_head_read(mg_get_request_info(conn), head, ret_why);
    if (status)
        return status;
    if (atomic_load_explicit(&server->slots.is_stopping, memory_order_relaxed)) {
        *ret_why = "runnel is being stopped";
        return 503;
    }
    if (head->is_chunked || head->length) {
        (void)http_slot_set(slot, HTTP_SLOT_READING, start_ms,
                            start_ms + server->options.request_ms);
        status = read_body(server, slot, conn, ret_why);
        if (status && status != 413 && !http_slot_set(slot, HTTP_SLOT_READING, start_ms, 0))
            status = 408;
    }
    /* A silent connection may have been chosen to go in the moment in which a request came: what
     * has arrived whole is served, and the connection closed behind it. */
    if (!status && !http_slot_set(slot, HTTP_SLOT_HANDLING, now_ms, 0))
        head->keeps_alive = false;
    if (status == 408)
        *ret_why = "the request did not arrive in time";
    return status;
}

static struct http_worker *worker_of(struct http_slot *slot)
{
    if (!slot->worker)
        slot->worker = xcalloc(1, sizeof(struct http_worker));
    return slot->worker;
}

/* civetweb fills in a new connection's addresses before on_connection(), but gives them away only
 * once a request has been read. Without them the reaper could not find a connection that never says
 * anything. They stand at the same distance in every connection, so the first request of the
 * process, which introduce() makes, teaches where. */
static atomic_ptrdiff_t info_distance;

static void learn_distance(const struct mg_connection *conn)
{
    const char *info = (const char *)mg_get_request_info(conn);
    if (!atomic_load_explicit(&info_distance, memory_order_relaxed))
        atomic_store(&info_distance, info - (const char *)conn);
}

static int on_request(struct mg_connection *conn)
{
    struct http_slot *slot = mg_get_thread_pointer(conn);
    struct http_server *server = mg_get_request_info(conn)->user_data;
    struct http_worker *worker = worker_of(slot);
    struct http_response *response = &worker->response;
    const char *why = NULL;
    learn_distance(conn);
    atomic_fetch_add(&server->busy, 1);
    int status = take_request(server, slot, conn, &why);
    if (status) {
        refuse(server, slot, conn, status, why);
    } else {
        struct buf headers = response->headers, body = response->body;
        buf_clear(&headers);
        buf_clear(&body);
        headers.max = LIMIT_HTTP_HEADERS;
        body.max = LIMIT_HTTP_RESPONSE;
        *response = (struct http_response){.status = 500, .headers = headers, .body = body};
        server->options.handler(server->options.ctx, &worker->head.request, response);
        status = response->status;
        answer(server, slot, conn);
    }
    trim_buf(&response->headers);
    trim_buf(&response->body);
    trim_buf(&worker->body);
    trim_buf(&worker->out);
    int64_t now_ms = http_now_ms();
    (void)http_slot_set(slot, HTTP_SLOT_IDLE, now_ms,
                        now_ms + server->options.idle_ms + server->options.request_ms);
    atomic_fetch_sub(&server->busy, 1);
    return status;
}

/* What civetweb itself turns down, in our words: it has no whole head, or one that it does not
 * understand. */
static int on_error(struct mg_connection *conn, int status, const char *text)
{
    struct http_slot *slot = mg_get_thread_pointer(conn);
    const struct mg_request_info *info = mg_get_request_info(conn);
    struct http_server *server = info->user_data;
    int64_t limit_ms = slot->is_first ? server->options.request_ms : server->options.idle_ms;
    int64_t waited_ms = http_now_ms() - slot->since_ms;
    const char *why = text;
    bool is_coded = false;
    for (int i = 0; i < info->num_headers; i++)
        is_coded |= mg_strcasecmp(info->http_headers[i].name, "transfer-encoding") == 0;
    if (!http_slot_set(slot, HTTP_SLOT_WRITING, http_now_ms(), 0) ||
        (!info->request_method && waited_ms >= limit_ms)) {
        status = 408;
        why = "the request did not arrive in time";
    } else if (is_coded && status == 400) {
        status = 501;
        why = "the only Transfer-Encoding understood here is chunked";
    } else if (status == 411) {
        status = 400;
        why = "Content-Length is not a number";
    } else if (status == 413) {
        status = 431;
    }
    learn_distance(conn);
    (void)worker_of(slot);
    refuse(server, slot, conn, status, why);
    return 0;
}

/* ---- threads and connections ---- */

static void *on_thread(const struct mg_context *context, int kind)
{
    struct http_server *server = mg_get_user_data(context);
    return kind == 1 ? http_slots_take(&server->slots) : NULL;
}

static int on_connection(const struct mg_connection *conn, void **ret_data)
{
    ptrdiff_t distance = atomic_load(&info_distance);
    const struct mg_request_info *info = (const void *)((const char *)conn + distance);
    struct http_server *server = mg_get_user_data(mg_get_context(conn));
    (void)ret_data;
    http_slot_open(&server->slots, mg_get_thread_pointer(conn), distance ? info->remote_addr : "",
                   distance ? info->remote_port : 0, http_now_ms() + server->options.request_ms);
    return 0;
}

static void on_close(const struct mg_connection *conn)
{
    struct http_server *server = mg_get_user_data(mg_get_context(conn));
    http_slot_close(&server->slots, mg_get_thread_pointer(conn));
}

static int on_log(const struct mg_connection *conn, const char *message)
{
    struct http_server *server = mg_get_user_data(mg_get_context(conn));
    if (!server->is_started && !server->log_text[0])
        (void)snprintf(server->log_text, sizeof(server->log_text), "%s", message);
    else
        log_debug("civetweb: %s", message);
    return 1;
}

static const struct mg_callbacks callbacks = {
    .begin_request = on_request,
    .http_error = on_error,
    .init_thread = on_thread,
    .init_connection = on_connection,
    .connection_close = on_close,
    .log_message = on_log,
};

/* ---- start and stop ---- */

static int add_file(int fd, const char *path, struct err *err)
{
    char block[4096];
    int from = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    while (from >= 0 && (n = read(from, block, sizeof(block))) > 0)
        if (write(fd, block, (size_t)n) != n)
            break;
    int code = n == 0 && write(fd, "\n", 1) == 1
                   ? 0
                   : err_set(err, errno == EACCES ? RN_EPERM : RN_EIO, "%s cannot be read: %s",
                             path, strerror(errno));
    if (from >= 0)
        (void)close(from);
    mem_wipe(block, sizeof(block));
    return code;
}

/* civetweb takes certificate and key from one file: made in memory, so that the key is nowhere else
 * on disk. */
static int join_pem(const struct http_server_options *options, int *ret_fd, struct err *err)
{
    int fd = memfd_create("runnel-tls", MFD_CLOEXEC);
    if (fd < 0)
        return err_set(err, RN_EIO, "no memory file for the certificate: %s", strerror(errno));
    int code = add_file(fd, options->tls_certificate, err);
    if (!code)
        code = add_file(fd, options->tls_key, err);
    if (code)
        (void)close(fd);
    else
        *ret_fd = fd;
    return code;
}

/* Checks "a.b.c.d:port" or "[v6]:port". */
static int check_listen(const char *listen, char host[64], struct err *err)
{
    unsigned char address[sizeof(struct in6_addr)];
    const char *colon = strrchr(listen, ':');
    size_t len = colon ? (size_t)(colon - listen) : 0;
    uint64_t port;
    bool is_v6 = len > 2 && listen[0] == '[' && listen[len - 1] == ']';
    if (is_v6 && !mg_check_feature(MG_FEATURES_IPV6))
        return err_set(err, RN_EINVAL, "cannot listen on %s: this civetweb is built without IPv6",
                       listen);
    if (len && len < 60 && num_parse_u64(str_from(colon + 1), &port) == 0 && port <= 65535) {
        (void)snprintf(host, 64, "%.*s", (int)(is_v6 ? len - 2 : len), listen + is_v6);
        if (inet_pton(is_v6 ? AF_INET6 : AF_INET, host, address) == 1)
            return 0;
    }
    return err_set(err, RN_EINVAL,
                   "\"%s\" is no address to listen on: write 127.0.0.1:8080 or [::1]:8080", listen);
}

static int start_error(const struct http_server *server, struct err *err)
{
    static const struct {
        int number;
        int code;
        const char *text;
    } known[] = {
        {EADDRINUSE, RN_EEXISTS, "another program has this port"},
        {EACCES, RN_EPERM, "this port needs more rights (ports under 1024 are root's)"},
        {EADDRNOTAVAIL, RN_EINVAL, "this machine has no such address"},
    };
    const char *said = server->log_text;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (strstr(said, "cannot bind") && strstr(said, strerror(known[i].number)))
            return err_set(err, known[i].code, "cannot listen on %s: %s", server->options.listen,
                           known[i].text);
    if (strstr(said, "certificate") || strstr(said, "private key"))
        return err_set(err, RN_EINVAL, "%s and %s are no PEM certificate and its private key",
                       server->options.tls_certificate, server->options.tls_key);
    return err_set(err, RN_EIO, "cannot listen on %s: %s", server->options.listen,
                   said[0] ? said : "civetweb does not say why");
}

static int start_civetweb(struct http_server *server, int workers, int tls_fd, struct err *err)
{
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    static unsigned ready;
    const struct http_server_options *options = &server->options;
    char listen[80], threads[16], request_ms[16], idle_ms[16], pem[32];
    (void)snprintf(listen, sizeof(listen), "%s%s", options->listen, tls_fd >= 0 ? "s" : "");
    (void)snprintf(threads, sizeof(threads), "%d", workers);
    (void)snprintf(request_ms, sizeof(request_ms), "%d", options->request_ms);
    (void)snprintf(idle_ms, sizeof(idle_ms), "%d", options->idle_ms);
    (void)snprintf(pem, sizeof(pem), "/proc/self/fd/%d", tls_fd);
    const char *settings[] = {"listening_ports",
                              listen,
                              "num_threads",
                              threads,
                              "request_timeout_ms",
                              request_ms,
                              "keep_alive_timeout_ms",
                              idle_ms,
                              "enable_keep_alive",
                              "yes",
                              "tcp_nodelay",
                              "1",
                              "max_request_size",
                              REQUEST_BUFFER,
                              "connection_queue",
                              "64",
                              "listen_backlog",
                              "1024",
                              "decode_url",
                              "no",
                              "enable_auth_domain_check",
                              "no",
                              tls_fd < 0 ? NULL : "ssl_certificate",
                              pem,
                              NULL};
    struct mg_init_data init = {
        .callbacks = &callbacks, .user_data = server, .configuration_options = settings};
    unsigned wanted = tls_fd < 0 ? MG_FEATURES_FILES : MG_FEATURES_TLS;
    pthread_mutex_lock(&once);
    int code = ready & wanted || tls_fd < 0 ? 0 : http_tls_prepare(err);
    if (!code && !(ready & wanted))
        ready |= mg_init_library(wanted);
    bool is_ready = ready & wanted;
    if (is_ready)
        server->context = mg_start2(&init, NULL);
    pthread_mutex_unlock(&once);
    if (code)
        return code;
    if (!is_ready)
        return err_set(err, RN_EIO, "the HTTP library cannot be initialized%s",
                       tls_fd < 0 ? "" : ": libssl.so and libcrypto.so are needed (libssl-dev)");
    return server->context ? 0 : start_error(server, err);
}

static void set_url(struct http_server *server, const char *host, bool is_tls)
{
    bool is_v6 = strchr(host, ':');
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    (void)snprintf(server->url, sizeof(server->url), "%s://%s%s%s:%d", is_tls ? "https" : "http",
                   is_v6 ? "[" : "", host, is_v6 ? "]" : "", http_server_port(server));
}

/* One empty request to ourselves, answered 400: see learn_distance(). TLS listeners go without. */
static void introduce(const struct http_server *server, const char *host)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to = {.any.sa_family = AF_UNSPEC};
    in_port_t port = htons((uint16_t)http_server_port(server));
    struct timeval wait = {.tv_usec = 200000};
    char scrap[256];
    if (inet_pton(AF_INET, host, &to.v4.sin_addr) == 1) {
        to.v4.sin_family = AF_INET;
        to.v4.sin_port = port;
    } else if (inet_pton(AF_INET6, host, &to.v6.sin6_addr) == 1) {
        to.v6.sin6_family = AF_INET6;
        to.v6.sin6_port = port;
    }
    int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    if (connect(fd, &to.any, sizeof(to)) == 0 && send(fd, "\r\n\r\n", 4, MSG_NOSIGNAL) == 4)
        while (recv(fd, scrap, sizeof(scrap), 0) > 0)
            continue;
    (void)close(fd);
}

static void server_free(struct http_server *server)
{
    for (int i = 0; i < server->slots.count; i++) {
        struct http_worker *worker = server->slots.slots[i].worker;
        if (!worker)
            continue;
        buf_release(&worker->head.text);
        buf_release(&worker->body);
        buf_release(&worker->out);
        buf_release(&worker->response.headers);
        buf_release(&worker->response.body);
        free(worker);
    }
    http_slots_release(&server->slots);
    free(server);
}

int http_server_start(const struct http_server_options *options, struct http_server **ret,
                      struct err *err)
{
    char host[64];
    int tls_fd = -1;
    int code = check_listen(options->listen, host, err);
    if (code)
        return code;
    if (!options->tls_certificate != !options->tls_key)
        return err_set(err, RN_EINVAL, "TLS needs both a certificate and a key");
    if (options->tls_certificate && (code = join_pem(options, &tls_fd, err)))
        return code;
    struct http_server *server = xcalloc(1, sizeof(*server));
    struct http_server_options *own = &server->options;
    *own = *options;
    own->threads = own->threads ? own->threads : LIMIT_HTTP_THREADS;
    own->body_limit = own->body_limit ? own->body_limit : LIMIT_HTTP_BODY;
    own->request_ms = own->request_ms ? own->request_ms : LIMIT_HTTP_REQUEST_MS;
    own->idle_ms = own->idle_ms ? own->idle_ms : LIMIT_HTTP_IDLE_MS;
    int spare = own->threads / 16;
    spare = spare < SPARE_MIN ? SPARE_MIN : spare > SPARE_MAX ? SPARE_MAX : spare;
    code = http_slots_start(&server->slots, own->threads + spare, own->threads, err);
    if (!code)
        code = start_civetweb(server, own->threads + spare, tls_fd, err);
    if (tls_fd >= 0)
        (void)close(tls_fd);
    if (code) {
        server_free(server);
        return code;
    }
    struct mg_server_port port;
    int ports = mg_get_server_ports(server->context, 1, &port);
    assert(ports == 1);
    (void)ports;
    atomic_store(&server->slots.port, port.port);
    set_url(server, host, own->tls_certificate);
    if (!own->tls_certificate && !atomic_load(&info_distance))
        introduce(server, host);
    own->listen = own->tls_certificate = own->tls_key = NULL;
    server->is_started = true;
    *ret = server;
    return 0;
}

int http_server_port(const struct http_server *server)
{
    return atomic_load(&server->slots.port);
}

const char *http_server_url(const struct http_server *server)
{
    return server->url;
}

void http_server_stop(struct http_server *server, int grace_ms)
{
    if (!server)
        return;
    int64_t until_ms = http_now_ms() + grace_ms;
    atomic_store(&server->slots.is_stopping, HTTP_STOP_IDLE);
    http_slots_wake(&server->slots);
    while (atomic_load(&server->busy) && http_now_ms() < until_ms)
        (void)poll(NULL, 0, 2);
    atomic_store(&server->slots.is_stopping, HTTP_STOP_ALL);
    http_slots_wake(&server->slots);
    /* civetweb's threads look at its stop flag every two seconds; without a listener the master
     * comes back at once. */
    int listener = http_listener_find(http_server_port(server));
    if (listener >= 0)
        (void)shutdown(listener, SHUT_RDWR);
    mg_stop(server->context);
    server_free(server);
}
