/* One thread, one epoll. The store's writer says that something was committed; at most every
 * PUMP_MS the thread then reads what is new behind each stream's place. Streams that want the same
 * from the same place, the usual case, share one reading. A stream whose client does not read is
 * not read for either: its place stays, and what it missed is still in the store. Locks: `lock`
 * guards `incoming` and `count`; everything else is the thread's. */
#include "api/streams.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/metrics.h"
#include "engine/sse.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PUMP_MS = 100,
    REST_MS = 1000, /* of a brief stream after a reading that had too much */
    TOTALS_MS = 1000,
    KEEPALIVE_MS = 15000,
    STUCK_MS = 60000, /* a client that takes nothing for so long is gone */
    BRIEF_MAX = 50,   /* of each topic, a pump */
    FULL_MAX = 256,
    PENDING_MAX = 65536,  /* bytes not yet taken: nothing more is read for the stream */
    CHUNK_MAX = 64 << 20, /* one reading */
    READY_MAX = 64,
};

struct stream {
    struct streams *streams;
    int fd;
    unsigned topics;
    bool wants_totals, is_brief;
    char *workflow, *source, *run;
    struct feed_cursor cursor;
    char *sse; /* the workflow whose messages it follows; NULL: it follows the feed */
    uint64_t sse_last;
    bool is_public;
    bool is_behind; /* there is more for it already */
    struct buf out;
    bool waits_for_room; /* EPOLLOUT is on */
    int64_t wrote_ms;    /* when bytes last went out, or nothing was pending */
    int64_t rest_until_ms;
    bool is_gone;
    struct stream *next;
};

/* A reading that others may use as well. */
struct reading {
    struct feed_cursor from, to;
    uint64_t sse_from, sse_to;
    const struct stream *of; /* NULL: none */
    struct buf text;
    bool has_more, was_cut;
};

struct streams {
    struct engine *engine;
    int epoll_fd, wake_fd;
    pthread_t thread;
    atomic_bool is_dirty, is_stopping;
    atomic_int watchers; /* streams: nobody is woken without one */
    pthread_mutex_t lock;
    struct stream *incoming;
    int count, public_count;
    struct stream *list;
    int64_t pumped_ms, totals_ms, kept_alive_ms;
    bool is_due;
    struct reading reading;
};

static void wake(struct streams *s)
{
    uint64_t one = 1;
    ssize_t ignored = write(s->wake_fd, &one, sizeof(one));
    (void)ignored;
}

/* On the store's writer thread. */
static void committed(void *ctx)
{
    struct streams *s = ctx;
    if (atomic_load(&s->watchers) && !atomic_exchange(&s->is_dirty, true))
        wake(s);
}

static void stream_free(struct stream *stream)
{
    if (stream->fd >= 0)
        (void)close(stream->fd);
    free(stream->workflow);
    free(stream->source);
    free(stream->run);
    free(stream->sse);
    buf_release(&stream->out);
    free(stream);
}

/* ---- beginning */

static int parse_topics(const char *text, struct stream *stream, struct err *err)
{
    struct str rest = str_from(text ? text : "events,runs,logs"), word = STR_NONE;
    while (str_cut(&rest, ',', &word)) {
        if (str_eq_c(word, "events"))
            stream->topics |= FEED_EVENTS;
        else if (str_eq_c(word, "runs"))
            stream->topics |= FEED_RUNS;
        else if (str_eq_c(word, "logs"))
            stream->topics |= FEED_LOGS;
        else if (str_eq_c(word, "totals"))
            stream->wants_totals = true;
        else
            return err_set(err, RN_EINVAL,
                           "`topics` are events, runs, logs and totals, with commas; \"" STR_FMT
                           "\" is none",
                           STR_ARG(word));
    }
    return 0;
}

static char *copy(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

/* On the listener's thread: the connection is ours now. */
static void taken_over(void *ctx, int fd)
{
    struct stream *stream = ctx;
    struct streams *s = stream->streams;
    stream->fd = fd;
    pthread_mutex_lock(&s->lock);
    bool is_live = fd >= 0 && !atomic_load(&s->is_stopping);
    if (is_live) {
        stream->next = s->incoming;
        s->incoming = stream;
        atomic_fetch_add(&s->watchers, 1);
    } else {
        s->count--;
        s->public_count -= stream->is_public;
    }
    pthread_mutex_unlock(&s->lock);
    if (is_live)
        wake(s);
    else
        stream_free(stream);
}

static int place_feed(struct stream *stream, const struct stream_options *options, struct err *err)
{
    int rc = parse_topics(options->topics, stream, err);
    if (rc == 0 && options->from.len && feed_cursor_parse(options->from, &stream->cursor))
        rc = err_set(err, RN_EINVAL, "the Last-Event-ID is not one that this stream gave");
    else if (rc == 0 && !options->from.len)
        rc = engine_feed_head(stream->streams->engine, &stream->cursor, err);
    return rc;
}

/* A new one begins with the newest messages that are kept. */
static int place_sse(struct stream *stream, const struct stream_options *options, struct err *err)
{
    if (options->from.len && num_parse_u64(options->from, &stream->sse_last))
        return err_set(err, RN_EINVAL, "the Last-Event-ID is not one that this stream gave");
    return 0;
}

static int take_place(struct streams *s, struct stream *stream, struct err *err)
{
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    if (s->count >= LIMIT_STREAMS || (stream->is_public && s->public_count >= LIMIT_SSE_PUBLIC)) {
        rc = err_set(err, RN_EUNAVAILABLE, "%d streams are open already",
                     s->count >= LIMIT_STREAMS ? LIMIT_STREAMS : LIMIT_SSE_PUBLIC);
    } else {
        s->count++;
        s->public_count += stream->is_public;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int streams_begin(struct streams *s, const struct stream_options *options,
                  struct http_response *response, struct err *err)
{
    struct stream *stream = xcalloc(1, sizeof(*stream));
    stream->streams = s;
    stream->fd = -1;
    stream->is_brief = options->is_brief;
    stream->workflow = copy(options->workflow);
    stream->source = copy(options->source);
    stream->run = copy(options->run);
    buf_init(&stream->out, CHUNK_MAX);
    stream->sse = copy(options->sse);
    stream->is_public = options->is_public;
    int rc = stream->sse ? place_sse(stream, options, err) : place_feed(stream, options, err);
    rc = rc ? rc : take_place(s, stream, err);
    if (rc) {
        stream_free(stream);
        return rc;
    }
    http_response_set(response, 200, "text/event-stream", STR(""));
    (void)!http_response_header(response, "Cache-Control", STR("no-store"));
    response->take_over = taken_over;
    response->take_over_ctx = stream;
    stream->is_behind = options->from.len > 0 || stream->sse;
    return 0;
}

/* ---- writing */

static void watch_room(struct stream *stream, bool waits)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (waits ? EPOLLOUT : 0u),
                                .data.ptr = stream};
    if (stream->waits_for_room != waits)
        (void)epoll_ctl(stream->streams->epoll_fd, EPOLL_CTL_MOD, stream->fd, &event);
    stream->waits_for_room = waits;
}

static void flush(struct stream *stream)
{
    while (stream->out.len && !stream->is_gone) {
        ssize_t n = send(stream->fd, stream->out.ptr, stream->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            buf_drop(&stream->out, (size_t)n);
            stream->wrote_ms = clock_mono_ms();
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        } else {
            stream->is_gone = true;
        }
    }
    watch_room(stream, stream->out.len > 0 && !stream->is_gone);
}

static void add_message(struct buf *out, const char *name, const struct json *value)
{
    buf_addf(out, "event: %s\ndata: ", name);
    json_write(out, value); /* on one line: its line breaks are escapes */
    buf_add_c(out, "\n\n");
}

static void add_mark(struct buf *out, const struct feed_cursor *cursor)
{
    char text[FEED_CURSOR_MAX];
    feed_cursor_format(cursor, text);
    buf_addf(out, "id: %s\n\n", text);
}

/* ---- reading */

static void give(void *ctx, const char *topic, const struct json *value)
{
    add_message(ctx, topic, value);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_place(const struct feed_cursor *a, const struct feed_cursor *b)
{
    return a->change == b->change && a->event == b->event && a->run == b->run;
}

static bool can_share(const struct reading *reading, const struct stream *stream)
{
    const struct stream *of = reading->of;
    if (of && (of->sse || stream->sse))
        return same_text(of->sse, stream->sse) && reading->sse_from == stream->sse_last;
    return of && is_same_place(&reading->from, &stream->cursor) && of->topics == stream->topics &&
           of->is_brief == stream->is_brief && same_text(of->workflow, stream->workflow) &&
           same_text(of->source, stream->source) && same_text(of->run, stream->run);
}

static bool give_message(void *ctx, uint64_t number, struct str channel, struct str data)
{
    struct reading *reading = ctx;
    if (reading->text.len > PENDING_MAX) {
        reading->has_more = true;
        return false;
    }
    buf_addf(&reading->text, "id: %llu\nevent: " STR_FMT "\ndata: " STR_FMT "\n\n",
             (unsigned long long)number, STR_ARG(channel), STR_ARG(data));
    reading->sse_to = number;
    return true;
}

static int read_sse(struct streams *s, const struct stream *stream)
{
    struct reading *reading = &s->reading;
    struct err err = ERR_INIT;
    buf_clear(&reading->text);
    reading->of = stream;
    reading->sse_from = reading->sse_to = stream->sse_last;
    reading->has_more = reading->was_cut = false;
    int rc = engine_sse(s->engine, stream->sse, stream->sse_last, give_message, reading, &err);
    if (rc) {
        log_warn("a stream cannot read the store: %s", err.text);
        reading->of = NULL;
    }
    return rc;
}

static int read_for(struct streams *s, const struct stream *stream)
{
    struct reading *reading = &s->reading;
    if (stream->sse)
        return read_sse(s, stream);
    struct feed_filter filter = {stream->topics, stream->workflow, stream->source, stream->run};
    struct err err = ERR_INIT;
    buf_clear(&reading->text);
    reading->of = stream;
    reading->from = reading->to = stream->cursor;
    int rc = engine_feed(s->engine, &filter, &reading->to, stream->is_brief ? BRIEF_MAX : FULL_MAX,
                         give, &reading->text, &reading->has_more, &err);
    if (rc == RN_ENOTFOUND) {
        buf_clear(&reading->text);
        buf_add_c(&reading->text, "event: reset\ndata: {}\n\n");
    } else if (rc) {
        log_warn("a stream cannot read the store: %s", err.text);
        reading->of = NULL;
        return rc;
    }
    reading->was_cut = rc == 0 && reading->has_more && stream->is_brief;
    if (reading->was_cut) {
        /* The lists are loaded anew: what was read would be parsed by each page for nothing. */
        buf_clear(&reading->text);
        buf_add_c(&reading->text, "event: more\ndata: {}\n\n");
        (void)!engine_feed_head(s->engine, &reading->to, &err);
        reading->has_more = false;
    }
    if (!is_same_place(&reading->from, &reading->to))
        add_mark(&reading->text, &reading->to);
    return 0;
}

static void pump(struct streams *s, struct stream *stream)
{
    if (stream->is_gone || (!stream->topics && !stream->sse))
        return;
    if (stream->out.len > PENDING_MAX) {
        stream->is_behind = true;
        return;
    }
    if (!can_share(&s->reading, stream) && read_for(s, stream))
        return;
    buf_add_str(&stream->out, buf_str(&s->reading.text));
    if (stream->sse)
        stream->sse_last = s->reading.sse_to;
    else
        stream->cursor = s->reading.to;
    stream->is_behind = s->reading.has_more;
    stream->rest_until_ms = s->reading.was_cut ? s->pumped_ms + REST_MS : 0;
    if (s->reading.text.len)
        flush(stream);
}

/* ---- the thread */

static void take_incoming(struct streams *s)
{
    pthread_mutex_lock(&s->lock);
    struct stream *list = s->incoming;
    s->incoming = NULL;
    pthread_mutex_unlock(&s->lock);
    while (list) {
        struct stream *stream = list;
        list = stream->next;
        stream->next = s->list;
        s->list = stream;
        stream->wrote_ms = clock_mono_ms();
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = stream};
        if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, stream->fd, &event)) {
            stream->is_gone = true;
            continue;
        }
        buf_add_c(&stream->out, stream->sse ? "retry: 2000\n\n" : "retry: 2000\n");
        if (!stream->sse)
            add_mark(&stream->out, &stream->cursor);
        flush(stream);
        /* What was committed between its place and now was told to nobody. */
        stream->is_behind = true;
        s->is_due = true;
        s->totals_ms = 0;
    }
}

static void heed(struct stream *stream, unsigned events)
{
    char scrap[512];
    if (events & EPOLLIN) {
        ssize_t n = recv(stream->fd, scrap, sizeof(scrap), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            stream->is_gone = true;
    }
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        stream->is_gone = true;
    else if (events & EPOLLOUT)
        flush(stream);
}

static void pump_all(struct streams *s, bool is_dirty)
{
    s->is_due = false;
    s->reading.of = NULL;
    for (struct stream *stream = s->list; stream; stream = stream->next) {
        stream->is_behind |= is_dirty;
        if (stream->is_behind && s->pumped_ms >= stream->rest_until_ms)
            pump(s, stream);
        s->is_due |= stream->is_behind && stream->out.len <= PENDING_MAX;
    }
    s->reading.of = NULL;
}

static void send_totals(struct streams *s)
{
    struct buf text = BUF_INIT(KIB(16));
    for (struct stream *stream = s->list; stream; stream = stream->next) {
        if (!stream->wants_totals || stream->is_gone || stream->out.len > PENDING_MAX)
            continue;
        if (!text.len) {
            struct json *totals = engine_totals(s->engine);
            add_message(&text, "totals", totals);
            json_free(totals);
        }
        buf_add_str(&stream->out, buf_str(&text));
        flush(stream);
    }
    buf_release(&text);
}

static void keep_alive(struct streams *s, int64_t now_ms)
{
    for (struct stream *stream = s->list; stream; stream = stream->next) {
        if (stream->out.len == 0) {
            stream->wrote_ms = now_ms;
            buf_add_c(&stream->out, ": keepalive\n\n");
            flush(stream);
        } else if (now_ms - stream->wrote_ms > STUCK_MS) {
            stream->is_gone = true;
        }
    }
}

static void drop_gone(struct streams *s, bool drops_all)
{
    for (struct stream **at = &s->list; *at;) {
        struct stream *stream = *at;
        if (!stream->is_gone && !drops_all) {
            at = &stream->next;
            continue;
        }
        *at = stream->next;
        atomic_fetch_sub(&s->watchers, 1);
        pthread_mutex_lock(&s->lock);
        s->count--;
        s->public_count -= stream->is_public;
        pthread_mutex_unlock(&s->lock);
        stream_free(stream);
    }
}

static int wait_ms(const struct streams *s, int64_t now_ms)
{
    if (!s->list)
        return -1;
    int64_t until = s->totals_ms + TOTALS_MS;
    if ((s->is_due || atomic_load(&s->is_dirty)) && s->pumped_ms + PUMP_MS < until)
        until = s->pumped_ms + PUMP_MS;
    return until > now_ms ? (int)(until - now_ms) : 0;
}

static void *streams_main(void *arg)
{
    struct streams *s = arg;
    struct epoll_event ready[READY_MAX];
    while (!atomic_load(&s->is_stopping)) {
        int n = epoll_wait(s->epoll_fd, ready, READY_MAX, wait_ms(s, clock_mono_ms()));
        uint64_t ignored;
        for (int i = 0; i < n; i++) {
            if (ready[i].data.ptr)
                heed(ready[i].data.ptr, ready[i].events);
            else
                (void)!read(s->wake_fd, &ignored, sizeof(ignored));
        }
        take_incoming(s);
        int64_t now_ms = clock_mono_ms();
        if ((s->is_due || atomic_load(&s->is_dirty)) && now_ms - s->pumped_ms >= PUMP_MS) {
            s->pumped_ms = now_ms;
            pump_all(s, atomic_exchange(&s->is_dirty, false));
        }
        if (now_ms - s->totals_ms >= TOTALS_MS) {
            s->totals_ms = now_ms;
            send_totals(s);
        }
        if (now_ms - s->kept_alive_ms >= KEEPALIVE_MS) {
            s->kept_alive_ms = now_ms;
            keep_alive(s, now_ms);
        }
        drop_gone(s, false);
    }
    take_incoming(s);
    drop_gone(s, true);
    return NULL;
}

/* A stream is a descriptor, and many systems allow a program 1,024 unless it asks for more. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        log_debug("the limit of open files stays as it is: %s", strerror(errno));
}

int streams_start(struct engine *engine, struct streams **ret, struct err *err)
{
    struct streams *s = xcalloc(1, sizeof(*s));
    s->engine = engine;
    pthread_mutex_init(&s->lock, NULL);
    buf_init(&s->reading.text, CHUNK_MAX);
    raise_descriptor_limit();
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    if (s->epoll_fd < 0 || s->wake_fd < 0 ||
        epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->wake_fd, &event) ||
        pthread_create(&s->thread, NULL, streams_main, s)) {
        int rc = err_set(err, RN_EIO, "streams cannot be started: %s", strerror(errno));
        if (s->epoll_fd >= 0)
            close(s->epoll_fd);
        if (s->wake_fd >= 0)
            close(s->wake_fd);
        free(s);
        return rc;
    }
    engine_feed_watch(engine, committed, s);
    *ret = s;
    return 0;
}

void streams_stop(struct streams *s)
{
    if (!s)
        return;
    atomic_store(&s->is_stopping, true);
    wake(s);
    (void)pthread_join(s->thread, NULL);
}

void streams_free(struct streams *s)
{
    if (!s)
        return;
    close(s->epoll_fd);
    close(s->wake_fd);
    buf_release(&s->reading.text);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
