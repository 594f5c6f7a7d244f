/* The load generator of bench/run.py, and the vendor that a workflow's HTTP action calls.
 *
 *   bench_load PORT PATH --connections N --seconds S --warmup S --bytes B [--secret S] [--deliver]
 *
 * N keep-alive connections, each with one request in flight. Every request is a Segment event of
 * about B bytes with a messageId of its own and, with --secret, the signature of its body. With
 * --deliver this process listens too, prints "target PORT" first, and waits for one line on its
 * standard input before it begins; a connection then sends its next event only when the one before
 * has come in there, so that rate and latency are those of the whole way. Requests are counted for
 * each connection, because one that a server lets starve shows in no average.
 *
 * One thread, one epoll. Ends by itself: after warm-up and seconds it lets what is in flight end,
 * at most PATIENCE_S more, and prints one line of JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 1024,
    BYTES_MAX = 1 << 20,
    HEAD_MAX = 1024,
    ANSWER_MAX = 64 * 1024,
    SIGNATURE_HEX = 40,
    RUN_HEX = 16,
    INDEX_DIGITS = 4,
    COUNT_DIGITS = 10,
    PATIENCE_S = 30,
    /* latencies in µs, exact to 1 in 32: shift and value, six bits of each */
    STEPS = 64,
    BUCKETS = STEPS * 40,
};

static const char id_mark[] = "bench-";

/* One that we opened. */
struct sender {
    int fd;
    char *request; /* head and body; signature and id are put in place */
    size_t request_size, sent;
    char answer[ANSWER_MAX];
    size_t answer_size;
    uint64_t count;    /* the event in flight; counted through warm-up and all */
    uint64_t measured; /* answers within the measured time */
    int64_t began_us;
    bool waits_writable, is_answered, is_delivered;
};

/* One that a plugin opened to us. */
struct receiver {
    int fd;
    size_t size, capacity;
    char *data;
};

static struct {
    int port, connections, bytes;
    const char *path, *secret;
    double seconds, warmup;
    bool delivers;
} options = {.connections = 64, .bytes = 700, .seconds = 3, .warmup = 0.5};

static struct sender *senders;
static size_t signature_at, id_at, body_at; /* in a request */
static int epoll_fd, listen_fd = -1;
static char run_mark[RUN_HEX + 1];
static uint64_t buckets[BUCKETS];
static uint64_t accepted, refused, errors, reconnects, delivered, repeated, measured;
static int64_t measure_us, stop_us; /* when measuring begins, when sending ends */
static int in_flight;

static _Noreturn void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("bench_load: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void watch(int operation, int fd, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data = {.ptr = what}};
    if (epoll_ctl(epoll_fd, operation, fd, &event))
        fail("epoll_ctl: %s", strerror(errno));
}

/* ---- latencies */

static void record(int64_t us)
{
    uint64_t value = us > 0 ? (uint64_t)us : 0;
    unsigned shift = value < STEPS ? 0 : 58u - (unsigned)__builtin_clzll(value);
    size_t i = shift * STEPS + (value >> shift);
    buckets[i < BUCKETS ? i : BUCKETS - 1]++;
    measured++;
}

static uint64_t percentile(double part)
{
    uint64_t wanted = (uint64_t)((double)measured * part), seen = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += buckets[i];
        if (seen > wanted)
            return (uint64_t)(i % STEPS) << (i / STEPS);
    }
    return 0;
}

/* ---- the event */

static void add(char **at, const char *end, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(*at, (size_t)(end - *at), format, args);
    va_end(args);
    if (n < 0 || n >= end - *at)
        fail("the event does not fit");
    *at += n;
}

/* An event as analytics.js sends it, with as many products as make it `bytes` long. The id comes
 * last but one, so that nobody can do with the first part. */
static size_t write_event(char *body, size_t capacity, size_t *ret_id_at)
{
    char *at = body, *end = body + capacity;
    add(&at, end,
        "{\"type\":\"track\",\"event\":\"Order Completed\",\"userId\":\"user-4711\",\"context\":{"
        "\"ip\":\"203.0.113.7\",\"library\":{\"name\":\"analytics.js\",\"version\":\"4.1.0\"},"
        "\"userAgent\":\"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\"},"
        "\"integrations\":{},\"timestamp\":\"2026-11-24T00:00:00.000Z\",\"properties\":{"
        "\"orderId\":\"9007199254740993\",\"revenue\":49.95,\"currency\":\"EUR\",\"products\":[");
    for (int i = 0; i == 0 || at - body + 150 < options.bytes; i++)
        add(&at, end, "%s{\"product_id\":\"p-%05d\",\"name\":\"A thing\",\"price\":%d.95}",
            i ? "," : "", i, i % 90 + 9);
    add(&at, end, "]},\"messageId\":\"%s%s-%0*d-%0*d\"", id_mark, run_mark, INDEX_DIGITS, 0,
        COUNT_DIGITS, 0);
    *ret_id_at = (size_t)(at - body) - 1 - INDEX_DIGITS - 1 - COUNT_DIGITS;
    add(&at, end, ",\"anonymousId\":\"0b2f9c1e-5d0f-4f43-8a51-2f6f3f9d7c11\"}");
    return (size_t)(at - body);
}

static void write_digits(char *to, int digits, uint64_t value)
{
    while (digits > 0) {
        to[--digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

static void prepare(void)
{
    unsigned char random[RUN_HEX / 2];
    if (RAND_bytes(random, sizeof(random)) != 1)
        fail("no random bytes");
    for (size_t i = 0; i < sizeof(random); i++)
        (void)snprintf(run_mark + 2 * i, 3, "%02x", random[i]);
    size_t capacity = (size_t)options.bytes + 2 * HEAD_MAX, id_in_body = 0;
    char *body = malloc(capacity), *request = malloc(capacity + HEAD_MAX);
    senders = calloc((size_t)options.connections, sizeof(*senders));
    if (!body || !request || !senders)
        fail("out of memory");
    size_t body_size = write_event(body, capacity, &id_in_body);
    char *at = request, *end = request + HEAD_MAX;
    add(&at, end,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: Segment.io/1.0\r\n"
        "Content-Type: application/json\r\nX-Signature: %0*d",
        options.path, options.port, SIGNATURE_HEX, 0);
    signature_at = (size_t)(at - request) - SIGNATURE_HEX;
    add(&at, end, "\r\nContent-Length: %zu\r\n\r\n", body_size);
    body_at = (size_t)(at - request);
    id_at = body_at + id_in_body;
    memcpy(at, body, body_size);
    size_t size = body_at + body_size;
    for (int i = 0; i < options.connections; i++) {
        senders[i].request = malloc(size);
        if (!senders[i].request)
            fail("out of memory");
        memcpy(senders[i].request, request, size);
        senders[i].request_size = size;
        write_digits(senders[i].request + id_at, INDEX_DIGITS, (uint64_t)i);
    }
    free(body);
    free(request);
}

static void sign(struct sender *sender)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!HMAC(EVP_sha1(), options.secret, (int)strlen(options.secret),
              (const unsigned char *)sender->request + body_at, sender->request_size - body_at,
              digest, &size) ||
        size * 2 != SIGNATURE_HEX)
        fail("HMAC failed");
    char *to = sender->request + signature_at;
    for (unsigned i = 0; i < size; i++) {
        *to++ = hex[digest[i] >> 4];
        *to++ = hex[digest[i] & 15];
    }
}

/* ---- sending */

static void open_sender(struct sender *sender)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)options.port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    sender->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sender->fd < 0 || connect(sender->fd, (struct sockaddr *)&address, sizeof(address)))
        fail("connecting to port %d: %s", options.port, strerror(errno));
    sender->waits_writable = false;
    watch(EPOLL_CTL_ADD, sender->fd, EPOLLIN, sender);
}

static void reopen(struct sender *sender)
{
    close(sender->fd);
    open_sender(sender);
}

static void push(struct sender *sender)
{
    while (sender->sent < sender->request_size) {
        ssize_t n = send(sender->fd, sender->request + sender->sent,
                         sender->request_size - sender->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            sender->sent += (size_t)n;
        else if (errno != EINTR)
            break; /* full: later; broken: the read side notices */
    }
    bool is_waiting = sender->sent < sender->request_size;
    if (is_waiting != sender->waits_writable) {
        sender->waits_writable = is_waiting;
        watch(EPOLL_CTL_MOD, sender->fd, EPOLLIN | (is_waiting ? EPOLLOUT : 0u), sender);
    }
}

static void begin(struct sender *sender)
{
    sender->count++;
    write_digits(sender->request + id_at + INDEX_DIGITS + 1, COUNT_DIGITS, sender->count);
    if (options.secret)
        sign(sender);
    sender->sent = sender->answer_size = 0;
    sender->is_answered = false;
    sender->is_delivered = !options.delivers;
    sender->began_us = now_us();
    in_flight++;
    push(sender);
}

/* The event has got as far as it shall: the next one. */
static void go_on(struct sender *sender)
{
    if (!sender->is_answered || !sender->is_delivered)
        return;
    int64_t now = now_us();
    in_flight--;
    if (now >= measure_us && now < stop_us) {
        sender->measured++;
        record(now - sender->began_us);
    }
    if (now < stop_us)
        begin(sender);
}

/* The size of the whole answer, or 0 while it is not there. */
static size_t whole_answer(const struct sender *sender, bool *ret_closes)
{
    const char *end = memmem(sender->answer, sender->answer_size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end - sender->answer) + 4, length = 0;
    *ret_closes = false;
    for (const char *line = sender->answer; line < end; line++) {
        line = memchr(line, '\n', head - (size_t)(line - sender->answer));
        if (strncasecmp(line + 1, "content-length:", 15) == 0)
            length = strtoul(line + 16, NULL, 10);
        else if (strncasecmp(line + 1, "connection: close", 17) == 0)
            *ret_closes = true;
    }
    return sender->answer_size >= head + length ? head + length : 0;
}

static void on_sender(struct sender *sender, uint32_t events)
{
    if (events & EPOLLOUT)
        push(sender);
    if (!(events & ~(uint32_t)EPOLLOUT))
        return;
    ssize_t n = recv(sender->fd, sender->answer + sender->answer_size,
                     sizeof(sender->answer) - 1 - sender->answer_size, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        bool was_idle = sender->is_answered;
        reconnects++;
        reopen(sender);
        if (was_idle)
            return; /* a kept connection may be closed between two requests */
        errors++;
        sender->is_answered = sender->is_delivered = true;
        go_on(sender);
        return;
    }
    sender->answer_size += (size_t)n;
    sender->answer[sender->answer_size] = '\0';
    bool closes = false;
    if (sender->is_answered || !whole_answer(sender, &closes))
        return;
    bool is_good = sender->answer[9] == '2';
    accepted += is_good;
    refused += !is_good;
    if (!is_good)
        sender->is_delivered = true;
    sender->is_answered = true;
    if (closes) {
        reconnects++;
        reopen(sender);
    }
    go_on(sender);
}

/* ---- receiving */

static int listen_here(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listen_fd < 0 || bind(listen_fd, (struct sockaddr *)&address, size) ||
        listen(listen_fd, 512) || getsockname(listen_fd, (struct sockaddr *)&address, &size))
        fail("listening: %s", strerror(errno));
    return ntohs(address.sin_port);
}

static void take_connection(void)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct receiver *receiver = calloc(1, sizeof(*receiver));
    if (!receiver)
        fail("out of memory");
    receiver->fd = fd;
    watch(EPOLL_CTL_ADD, fd, EPOLLIN, (void *)((uintptr_t)receiver | 1));
}

static void take_delivery(const char *request, size_t size)
{
    const char *id = memmem(request, size, id_mark, sizeof(id_mark) - 1);
    size_t need = sizeof(id_mark) - 1 + RUN_HEX + 1 + INDEX_DIGITS + 1 + COUNT_DIGITS;
    if (!id || (size_t)(request + size - id) < need)
        fail("a delivery without an event's id");
    id += sizeof(id_mark) - 1;
    if (memcmp(id, run_mark, RUN_HEX) != 0)
        fail("a delivery of somebody else's event");
    unsigned long index = strtoul(id + RUN_HEX + 1, NULL, 10);
    unsigned long long count = strtoull(id + RUN_HEX + 1 + INDEX_DIGITS + 1, NULL, 10);
    struct sender *sender = index < (unsigned long)options.connections ? &senders[index] : NULL;
    if (!sender || sender->count != count || sender->is_delivered) {
        repeated++;
        return;
    }
    delivered++;
    sender->is_delivered = true;
    go_on(sender);
}

/* The size of the first request, or 0 while it is not whole. */
static size_t whole_request(const struct receiver *receiver)
{
    const char *end = memmem(receiver->data, receiver->size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t length = 0;
    for (const char *line = receiver->data; line && line < end; line = strchr(line + 1, '\n'))
        if (strncasecmp(line + 1, "content-length:", 15) == 0)
            length = strtoul(line + 16, NULL, 10);
    size_t whole = (size_t)(end - receiver->data) + 4 + length;
    return receiver->size >= whole ? whole : 0;
}

static void on_receiver(struct receiver *receiver)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                 "Content-Length: 11\r\n\r\n{\"ok\":true}";
    if (receiver->capacity - receiver->size < 16384) {
        receiver->capacity = receiver->capacity * 2 + 32768;
        receiver->data = realloc(receiver->data, receiver->capacity);
        if (!receiver->data)
            fail("out of memory");
    }
    ssize_t n = recv(receiver->fd, receiver->data + receiver->size,
                     receiver->capacity - receiver->size - 1, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        close(receiver->fd);
        free(receiver->data);
        free(receiver);
        return;
    }
    receiver->size += (size_t)n;
    receiver->data[receiver->size] = '\0';
    size_t whole;
    while ((whole = whole_request(receiver))) {
        if (send(receiver->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) < 0 && errno != EPIPE)
            fail("answering a delivery: %s", strerror(errno));
        take_delivery(receiver->data, whole);
        receiver->size -= whole;
        memmove(receiver->data, receiver->data + whole, receiver->size + 1);
    }
}

/* ---- the run */

static void run(void)
{
    int64_t start = now_us();
    measure_us = start + (int64_t)(options.warmup * 1e6);
    stop_us = measure_us + (int64_t)(options.seconds * 1e6);
    int64_t give_up_us = stop_us + PATIENCE_S * 1000000ll;
    for (int i = 0; i < options.connections; i++)
        begin(&senders[i]);
    while (in_flight > 0 && now_us() < give_up_us) {
        struct epoll_event events[512];
        int count = epoll_wait(epoll_fd, events, 512, 100);
        for (int i = 0; i < count; i++) {
            uintptr_t what = (uintptr_t)events[i].data.ptr;
            if (what == 0)
                take_connection();
            else if (what & 1)
                on_receiver((struct receiver *)(what & ~(uintptr_t)1));
            else
                on_sender((struct sender *)what, events[i].events);
        }
    }
}

static void report(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    long long cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000ll +
                       usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    uint64_t least = UINT64_MAX, most = 0;
    int starved = 0;
    for (int i = 0; i < options.connections; i++) {
        uint64_t count = senders[i].measured;
        least = count < least ? count : least;
        most = count > most ? count : most;
        starved += count == 0;
    }
    printf("{\"rate\":%.1f,\"p50_us\":%llu,\"p99_us\":%llu,\"max_us\":%llu,\"accepted\":%llu,"
           "\"refused\":%llu,\"errors\":%llu,\"reconnects\":%llu,\"delivered\":%llu,"
           "\"repeated\":%llu,\"unanswered\":%d,\"least\":%llu,\"most\":%llu,\"starved\":%d,"
           "\"bytes\":%zu,\"load_cpu_us\":%lld}\n",
           (double)measured / options.seconds, (unsigned long long)percentile(0.5),
           (unsigned long long)percentile(0.99), (unsigned long long)percentile(1 - 1e-12),
           (unsigned long long)accepted, (unsigned long long)refused, (unsigned long long)errors,
           (unsigned long long)reconnects, (unsigned long long)delivered,
           (unsigned long long)repeated, in_flight, (unsigned long long)least,
           (unsigned long long)most, starved, senders[0].request_size - body_at, cpu_us);
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {{"connections", required_argument, NULL, 'c'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"warmup", required_argument, NULL, 'w'},
                                          {"bytes", required_argument, NULL, 'b'},
                                          {"secret", required_argument, NULL, 'k'},
                                          {"deliver", no_argument, NULL, 'd'},
                                          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'c':
            options.connections = (int)strtol(optarg, NULL, 10);
            break;
        case 's':
            options.seconds = strtod(optarg, NULL);
            break;
        case 'w':
            options.warmup = strtod(optarg, NULL);
            break;
        case 'b':
            options.bytes = (int)strtol(optarg, NULL, 10);
            break;
        case 'k':
            options.secret = optarg;
            break;
        case 'd':
            options.delivers = true;
            break;
        default:
            exit(2);
        }
    }
    if (argc - optind == 2) {
        options.port = (int)strtol(argv[optind], NULL, 10);
        options.path = argv[optind + 1];
    }
    if (!options.path || options.connections < 1 || options.connections > CONNECTIONS_MAX ||
        options.bytes < 1 || options.bytes > BYTES_MAX || options.seconds <= 0 ||
        options.seconds > 600 || options.warmup < 0 || options.warmup > 600) {
        (void)fputs("usage: bench_load PORT PATH [--connections N] [--seconds S] [--warmup S] "
                    "[--bytes B] [--secret S] [--deliver]\n",
                    stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        fail("epoll_create1: %s", strerror(errno));
    if (options.delivers) {
        char line[256];
        printf("target %d\n", listen_here());
        (void)fflush(stdout);
        watch(EPOLL_CTL_ADD, listen_fd, EPOLLIN, NULL);
        /* "PORT PATH SECRET" of an endpoint that could not be known before */
        if (!fgets(line, sizeof(line), stdin))
            return 1;
        static char path[128], secret[128];
        int n = sscanf(line, "%d %127s %127s", &options.port, path, secret);
        if (n < 2)
            fail("the line on standard input is not PORT PATH [SECRET]");
        options.path = path;
        options.secret = n == 3 ? secret : NULL;
    }
    prepare();
    for (int i = 0; i < options.connections; i++)
        open_sender(&senders[i]);
    run();
    report();
    return in_flight ? 1 : 0;
}
