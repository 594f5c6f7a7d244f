/* The host's end: leader and followers.
 *
 * One thread, the leader, reads the socket and works off what it has read, call after call, without
 * any hand-over: that is what makes calls of microseconds cheap. Their results leave together when
 * the batch is done (or after FLUSH_US). Before a handler waits it says so (frame_server_may_block)
 * and the reading goes to an idle thread. If it does not say so, the monitor notices that the
 * leader has been in one handler for a tick and takes the reading away from it.
 *
 * Invariants: a leader works on a call itself only when there is an idle thread to take the reading
 * over; when all max_threads are working, the leader only reads and queues, so that cancellations
 * are always seen. Calls are queued only while nobody is idle, and whoever gets done looks at the
 * queue first. The inbox belongs to the leader; the lock guards all else. The views of a call point
 * into the batch that it was read into, which the call keeps alive. */
#include "ipc/stream.h"
#include "ipc/supervisor.h"

#include "base/clock.h"
#include "json/json.h"

#include <errno.h>
#include <sys/socket.h>

#define TICK_MS 5          /* the monitor's, while calls come in */
#define QUIET_TICKS 50     /* without a call: the monitor sleeps until the next one */
#define FLUSH_US 1000      /* results wait no longer for the end of their batch */
#define IDLE_THREADS_MAX 4 /* more of them end after IDLE_MS */
#define IDLE_MS 10000
#define TABLE_SIZE 256
/* A thread's stack counts as data under RLIMIT_DATA: 64 of them are 64 MiB. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_BYTES MIB(8)
#else
#define STACK_BYTES MIB(1)
#endif

struct worker {
    bool is_main;
};

/* A call on its way through the server. */
struct serving {
    struct served_call call; /* first: handlers see this */
    struct serving *next_in_table;
    struct serving *next_in_queue;
    struct batch *batch;
    struct worker *worker; /* NULL: in the queue */
    bool is_answered;
    struct str sections[];
};

struct frame_server {
    int fd;
    int max_threads;
    frame_handler handler;
    void *ctx;

    pthread_mutex_t lock; /* guards all below but the inbox */
    pthread_cond_t idle_changed;
    pthread_cond_t monitor_changed;
    pthread_cond_t thread_ended;

    _Atomic(struct worker *) leader; /* written under the lock; NULL: the role is free */
    struct inbox inbox;              /* the leader's */
    struct err err;                  /* why the reading ended */
    struct outbox outbox;
    int64_t unsent_since_us; /* the first result that waits for the end of the batch; 0: none */

    struct serving *table[TABLE_SIZE];
    struct serving *queue_first, *queue_last;
    struct frame_ask *asking;
    uint16_t last_ask;
    int threads, idle; /* threads: without the monitor */
    bool is_stopping;

    uint64_t begun;      /* calls that leaders began to work on */
    bool is_leader_busy; /* the leader is in a handler */
    bool is_monitor_quiet;
};

static void *worker_main(void *server);

static void init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* False: the time is over. [lock held] */
static bool wait_for(struct frame_server *server, pthread_cond_t *cond, int ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return pthread_cond_timedwait(cond, &server->lock, &until) != ETIMEDOUT;
}

/* A detached thread; frame_server_run() counts them out. */
static bool start_thread(void *(*main)(void *), struct frame_server *server)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &attributes, main, server);
    pthread_attr_destroy(&attributes);
    return error == 0;
}

/* ---- the table of calls [lock held] */

static struct serving *find_call(struct frame_server *server, uint64_t id)
{
    struct serving *at = server->table[id % TABLE_SIZE];
    while (at && at->call.frame.id != id)
        at = at->next_in_table;
    return at;
}

static struct serving *add_call(struct frame_server *server, const struct frame *frame)
{
    struct serving *serving =
        xmalloc(sizeof(*serving) + frame->section_count * sizeof(serving->sections[0]));
    *serving = (struct serving){
        .call = {.frame = *frame, .received_mono_ms = clock_mono_ms(), .server = server},
        .batch = batch_ref(server->inbox.batch)};
    if (frame->section_count)
        memcpy(serving->sections, frame->sections,
               frame->section_count * sizeof(serving->sections[0]));
    serving->call.frame.sections = serving->sections;
    struct serving **head = &server->table[frame->id % TABLE_SIZE];
    serving->next_in_table = *head;
    *head = serving;
    return serving;
}

static void drop_call(struct frame_server *server, struct serving *serving)
{
    struct serving **at = &server->table[serving->call.frame.id % TABLE_SIZE];
    while (*at != serving)
        at = &(*at)->next_in_table;
    *at = serving->next_in_table;
    batch_unref(serving->batch);
    free(serving);
}

static void push_queue(struct frame_server *server, struct serving *serving)
{
    if (server->queue_last)
        server->queue_last->next_in_queue = serving;
    else
        server->queue_first = serving;
    server->queue_last = serving;
}

static struct serving *pop_queue(struct frame_server *server)
{
    struct serving *serving = server->queue_first;
    if (!serving)
        return NULL;
    server->queue_first = serving->next_in_queue;
    if (!server->queue_first)
        server->queue_last = NULL;
    return serving;
}

static void cancel_all(struct frame_server *server)
{
    for (size_t i = 0; i < TABLE_SIZE; i++)
        for (struct serving *at = server->table[i]; at; at = at->next_in_table)
            atomic_store(&at->call.cancelled, true);
}

/* ---- what goes out [lock held; dropped while sending] */

static void flush(struct frame_server *server)
{
    server->unsent_since_us = 0;
    /* An error means that the runtime is gone: the leader reads the same. */
    (void)outbox_flush(&server->outbox, &server->lock, server->fd, 0);
}

/* Sends now, or leaves it to the end of the leader's batch. */
static void send_soon(struct frame_server *server, const struct worker *worker)
{
    if (atomic_load_explicit(&server->leader, memory_order_relaxed) != worker)
        flush(server);
    else if (server->unsent_since_us == 0)
        server->unsent_since_us = clock_mono_us();
}

static void send_frame(struct served_call *call, const struct frame *frame, size_t size)
{
    struct frame_server *server = call->server;
    const struct serving *serving = (const struct serving *)call;
    struct chunk *alone = size >= CHUNK_ALONE_BYTES ? chunk_new(frame, size) : NULL;
    pthread_mutex_lock(&server->lock);
    if (alone)
        outbox_push(&server->outbox, alone);
    else
        outbox_add(&server->outbox, frame, size);
    send_soon(server, serving->worker);
    pthread_mutex_unlock(&server->lock);
}

void frame_server_result(struct served_call *call, struct str json, const struct str *sections,
                         uint32_t count)
{
    struct serving *serving = (struct serving *)call;
    struct frame frame = {.id = call->frame.id,
                          .kind = FRAME_RESULT,
                          .json = json,
                          .sections = sections,
                          .section_count = count};
    size_t size = frame_size(&frame);
    if (size == 0) {
        frame.json =
            STR("{\"error\":{\"code\":-5,\"text\":\"the answer is over the limit of a frame\"}}");
        frame.section_count = 0;
        size = frame_size(&frame);
    }
    serving->is_answered = true;
    send_frame(call, &frame, size);
}

void frame_server_log(struct served_call *call, const char *level, struct str text)
{
    if (text.len > LIMIT_LOG_LINE)
        text.len = LIMIT_LOG_LINE;
    struct buf json = BUF_INIT(LIMIT_LOG_LINE * 6 + 256);
    buf_add_c(&json, "{\"level\":");
    json_write_string(&json, str_from(level));
    buf_add_c(&json, ",\"text\":");
    json_write_string(&json, text);
    buf_add_char(&json, '}');
    const struct frame frame = {.id = call->frame.id, .kind = FRAME_LOG, .json = buf_str(&json)};
    send_frame(call, &frame, frame_size(&frame));
    buf_release(&json);
}

int frame_server_hello(int fd, const struct err *failure)
{
    struct buf json = BUF_INIT(ERR_TEXT_MAX * 6 + 256);
    if (failure) {
        buf_addf(&json, "{\"error\":{\"code\":%d,\"text\":", failure->code);
        json_write_string(&json, str_from(failure->text));
        buf_add_c(&json, "}}");
    } else {
        buf_add_c(&json, "{\"ready\":true}");
    }
    const struct frame frame = {.kind = FRAME_HELLO, .json = buf_str(&json)};
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct outbox outbox;
    outbox_init(&outbox);
    outbox_add(&outbox, &frame, frame_size(&frame));
    pthread_mutex_lock(&lock);
    int code = outbox_flush(&outbox, &lock, fd, 0);
    pthread_mutex_unlock(&lock);
    outbox_release(&outbox);
    buf_release(&json);
    return code;
}

/* ---- roles [lock held] */

/* The role is free now: whoever is idle takes it once idle_changed is signalled, or the next thread
 * that gets done. */
static void leave_lead(struct frame_server *server)
{
    atomic_store_explicit(&server->leader, NULL, memory_order_relaxed);
    server->is_leader_busy = false;
}

void frame_server_may_block(struct served_call *call)
{
    struct frame_server *server = call->server;
    const struct serving *serving = (const struct serving *)call;
    if (atomic_load_explicit(&server->leader, memory_order_relaxed) != serving->worker)
        return;
    pthread_mutex_lock(&server->lock);
    bool leaves = atomic_load_explicit(&server->leader, memory_order_relaxed) == serving->worker &&
                  (server->idle > 0 || server->is_stopping);
    if (leaves) {
        leave_lead(server);
        flush(server);
    }
    pthread_mutex_unlock(&server->lock);
    /* Not before: who is woken needs the lock. */
    if (leaves)
        pthread_cond_signal(&server->idle_changed);
}

/* Whether there is somebody to take the reading over; starts a thread where that is allowed. */
static bool has_spare(struct frame_server *server)
{
    if (server->idle > 0)
        return true;
    if (server->threads > server->max_threads || !start_thread(worker_main, server))
        return false;
    server->threads++;
    server->idle++; /* until it runs, and then it decides for itself */
    return true;
}

/* ---- asks */

/* A copy, since the batch that it was read into goes on. */
static struct answer_frame *copy_answer(const struct frame *frame)
{
    size_t bytes = frame->json.len, count = frame->section_count;
    for (size_t i = 0; i < count; i++)
        bytes += frame->sections[i].len;
    struct answer_frame *answer =
        xmalloc(sizeof(*answer) + count * sizeof(answer->sections[0]) + bytes + 1);
    char *at = (char *)&answer->sections[count];
    answer->frame = *frame;
    answer->frame.sections = answer->sections;
    answer->frame.json = str_n(at, frame->json.len);
    memcpy(at, frame->json.ptr, frame->json.len);
    at += frame->json.len;
    for (size_t i = 0; i < count; i++) {
        struct str from = frame->sections[i];
        answer->sections[i] = str_n(at, from.len);
        if (from.len)
            memcpy(at, from.ptr, from.len);
        at += from.len;
    }
    *at = '\0';
    return answer;
}

/* [lock held] */
static void take_answer(struct frame_server *server, const struct frame *frame)
{
    struct frame_ask **at = &server->asking;
    while (*at && ((*at)->id != frame->id || (*at)->number != frame->number))
        at = &(*at)->next;
    struct frame_ask *ask = *at;
    if (!ask)
        return;
    *at = ask->next;
    ask->answer = copy_answer(frame);
    ask->answered(ask);
}

/* [lock held] */
static void end_asks(struct frame_server *server)
{
    while (server->asking) {
        struct frame_ask *ask = server->asking;
        server->asking = ask->next;
        ask->answered(ask);
    }
}

static uint16_t ask_number(struct frame_server *server)
{
    if (++server->last_ask == 0)
        server->last_ask = 1;
    return server->last_ask;
}

/* Whether somebody else reads the socket, or can: the answer must not wait for the asker. [lock
 * held] */
static bool is_read_by_another(const struct frame_server *server, const struct worker *worker)
{
    return atomic_load_explicit(&server->leader, memory_order_relaxed) != worker;
}

int frame_server_ask_start(struct served_call *call, struct str json, const struct str *sections,
                           uint32_t count, struct frame_ask *ask, struct err *err)
{
    struct frame_server *server = call->server;
    const struct serving *serving = (const struct serving *)call;
    struct frame frame = {.id = call->frame.id,
                          .kind = FRAME_ASK,
                          .json = json,
                          .sections = sections,
                          .section_count = count};
    size_t size = frame_size(&frame);
    if (size == 0)
        return err_set(err, RN_ETOOBIG, "what is asked for is over the limit of a frame");
    ask->answer = NULL;
    ask->id = frame.id;
    frame_server_may_block(call);
    pthread_mutex_lock(&server->lock);
    bool can_ask = is_read_by_another(server, serving->worker) && !server->is_stopping;
    if (can_ask) {
        frame.number = ask->number = ask_number(server);
        ask->next = server->asking;
        server->asking = ask;
        outbox_add(&server->outbox, &frame, size);
        flush(server);
    }
    pthread_mutex_unlock(&server->lock);
    return can_ask ? 0 : err_set(err, RN_EUNAVAILABLE, "the runtime cannot be asked any more");
}

void frame_server_forget(struct served_call *call)
{
    struct frame_server *server = call->server;
    pthread_mutex_lock(&server->lock);
    struct frame_ask **at = &server->asking;
    while (*at) {
        if ((*at)->id == call->frame.id)
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
    pthread_mutex_unlock(&server->lock);
}

/* An ask that its thread waits for. */
struct waiting {
    struct frame_ask ask; /* first */
    bool is_over;
    pthread_cond_t changed;
};

static void wake(struct frame_ask *ask)
{
    struct waiting *waiting = (struct waiting *)ask;
    waiting->is_over = true;
    pthread_cond_signal(&waiting->changed);
}

int frame_server_ask(struct served_call *call, struct str json, const struct str *sections,
                     uint32_t count, struct answer_frame **ret, struct err *err)
{
    struct frame_server *server = call->server;
    struct waiting waiting = {.ask = {.answered = wake}};
    init_cond(&waiting.changed);
    int code = frame_server_ask_start(call, json, sections, count, &waiting.ask, err);
    if (!code) {
        pthread_mutex_lock(&server->lock);
        while (!waiting.is_over)
            pthread_cond_wait(&waiting.changed, &server->lock);
        pthread_mutex_unlock(&server->lock);
    }
    pthread_cond_destroy(&waiting.changed);
    if (!code && !waiting.ask.answer)
        code = err_set(err, RN_EUNAVAILABLE, "the runtime cannot be asked any more");
    if (!code)
        *ret = waiting.ask.answer;
    return code;
}

void frame_server_answer_free(struct answer_frame *answer)
{
    free(answer);
}

/* ---- working */

/* Runs the handler; drops the lock meanwhile. [lock held] */
static void work(struct frame_server *server, struct worker *worker, struct serving *serving)
{
    serving->worker = worker;
    pthread_mutex_unlock(&server->lock);
    server->handler(server->ctx, &serving->call);
    if (!serving->is_answered)
        frame_server_result(&serving->call,
                            STR("{\"error\":{\"code\":-17,\"text\":\"the host gave no answer\"}}"),
                            NULL, 0);
    pthread_mutex_lock(&server->lock);
    drop_call(server, serving);
}

static void wake_monitor(struct frame_server *server)
{
    server->begun++;
    if (!server->is_monitor_quiet)
        return;
    server->is_monitor_quiet = false;
    pthread_cond_signal(&server->monitor_changed);
}

/* One frame. [lock held; the leader's, who may not be it any more afterwards] */
static int lead_frame(struct frame_server *server, struct worker *worker, const struct frame *frame)
{
    struct serving *serving;
    switch (frame->kind) {
    case FRAME_CANCEL:
        serving = find_call(server, frame->id);
        if (serving)
            atomic_store(&serving->call.cancelled, true);
        return 0;
    case FRAME_ANSWER:
        take_answer(server, frame);
        return 0;
    case FRAME_CALL:
        serving = add_call(server, frame);
        /* A server that can have one thread only works on what it reads. */
        if (!has_spare(server) && server->threads > 1) {
            push_queue(server, serving);
            return 0;
        }
        wake_monitor(server);
        server->is_leader_busy = true;
        work(server, worker, serving);
        if (atomic_load_explicit(&server->leader, memory_order_relaxed) == worker)
            server->is_leader_busy = false;
        return 0;
    default:
        return err_set(&server->err, RN_EPROTOCOL, "frame: kind %u is not for a host", frame->kind);
    }
}

static void stop(struct frame_server *server)
{
    server->is_stopping = true;
    cancel_all(server);
    end_asks(server);
    for (struct serving *at = pop_queue(server); at; at = pop_queue(server))
        drop_call(server, at);
    pthread_cond_broadcast(&server->idle_changed);
    pthread_cond_broadcast(&server->monitor_changed);
}

/* Reads and works until the role or the stream is gone. [lock held] */
static void lead(struct frame_server *server, struct worker *worker)
{
    atomic_store_explicit(&server->leader, worker, memory_order_relaxed);
    server->is_leader_busy = false;
    flush(server); /* what the one before left */
    while (atomic_load_explicit(&server->leader, memory_order_relaxed) == worker) {
        struct frame frame;
        int code = inbox_next(&server->inbox, &frame, &server->err);
        if (code == 1) {
            code = lead_frame(server, worker, &frame);
            if (server->unsent_since_us && clock_mono_us() - server->unsent_since_us > FLUSH_US)
                flush(server);
            if (code == 0)
                continue;
        }
        flush(server);
        ssize_t n = 0;
        bool is_full;
        if (code == 0) {
            inbox_make_room(&server->inbox);
            pthread_mutex_unlock(&server->lock);
            n = inbox_receive(&server->inbox, server->fd, 0, &is_full);
            pthread_mutex_lock(&server->lock);
        }
        if (n <= 0) {
            if (n < 0 && errno != ECONNRESET)
                code = err_set(&server->err, RN_EIO, "recv: %s", strerrordesc_np(errno));
            server->err.code = code;
            stop(server);
            leave_lead(server);
        }
    }
}

/* What a thread does next when it has nothing. False: it shall end. [lock held] */
static bool idle(struct frame_server *server, const struct worker *worker)
{
    server->idle++;
    bool is_in_time = true;
    while (!server->is_stopping && is_in_time && !server->queue_first &&
           atomic_load_explicit(&server->leader, memory_order_relaxed))
        is_in_time = wait_for(server, &server->idle_changed, IDLE_MS);
    server->idle--;
    bool is_surplus = !is_in_time && !worker->is_main && server->idle >= IDLE_THREADS_MAX &&
                      atomic_load_explicit(&server->leader, memory_order_relaxed);
    return !server->is_stopping && !is_surplus;
}

static void run_worker(struct frame_server *server, struct worker *worker)
{
    do {
        struct serving *serving;
        while (!server->is_stopping && (serving = pop_queue(server)))
            work(server, worker, serving);
        if (!server->is_stopping && !atomic_load_explicit(&server->leader, memory_order_relaxed))
            lead(server, worker);
    } while (!server->is_stopping && (server->queue_first || idle(server, worker)));
}

static void end_thread(struct frame_server *server)
{
    server->threads--;
    pthread_cond_broadcast(&server->thread_ended);
    pthread_mutex_unlock(&server->lock);
}

static void *worker_main(void *arg)
{
    struct frame_server *server = arg;
    struct worker worker = {.is_main = false};
    pthread_mutex_lock(&server->lock);
    server->idle--; /* has_spare() counted it */
    run_worker(server, &worker);
    end_thread(server);
    return NULL;
}

/* Takes the reading away from a leader that is in one handler for a whole tick. */
static void *monitor_main(void *arg)
{
    struct frame_server *server = arg;
    uint64_t seen = 0;
    int quiet = 0;
    pthread_mutex_lock(&server->lock);
    while (!server->is_stopping) {
        if (server->is_monitor_quiet) {
            pthread_cond_wait(&server->monitor_changed, &server->lock);
            continue;
        }
        (void)wait_for(server, &server->monitor_changed, TICK_MS);
        if (server->begun != seen) {
            seen = server->begun;
            quiet = 0;
        } else if (server->is_leader_busy && server->idle > 0) {
            leave_lead(server);
            pthread_cond_signal(&server->idle_changed);
        } else if (!server->is_leader_busy && ++quiet >= QUIET_TICKS) {
            server->is_monitor_quiet = true;
            quiet = 0;
        }
    }
    end_thread(server);
    return NULL;
}

int frame_server_run(int fd, int max_threads, frame_handler handler, void *ctx, struct err *err)
{
    struct frame_server server = {.fd = fd,
                                  .max_threads = max_threads > 0 ? max_threads : 1,
                                  .handler = handler,
                                  .ctx = ctx,
                                  .err = ERR_INIT};
    pthread_mutex_init(&server.lock, NULL);
    init_cond(&server.idle_changed);
    init_cond(&server.monitor_changed);
    init_cond(&server.thread_ended);
    inbox_init(&server.inbox);
    outbox_init(&server.outbox);

    pthread_mutex_lock(&server.lock);
    int others = start_thread(monitor_main, &server) ? 1 : 0;
    struct worker worker = {.is_main = true};
    server.threads = 1;
    run_worker(&server, &worker);
    while (server.threads + others > 1)
        pthread_cond_wait(&server.thread_ended, &server.lock);
    flush(&server);
    pthread_mutex_unlock(&server.lock);

    int code = server.err.code;
    if (code)
        (void)err_set(err, code, "%s", server.err.text);
    inbox_release(&server.inbox);
    outbox_release(&server.outbox);
    pthread_cond_destroy(&server.thread_ended);
    pthread_cond_destroy(&server.monitor_changed);
    pthread_cond_destroy(&server.idle_changed);
    pthread_mutex_destroy(&server.lock);
    return code;
}
