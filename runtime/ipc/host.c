/* A host's thread: starts the process, reads its frames and its output, keeps deadlines, kills,
 * notices the end and starts again. All waiting is in one epoll_wait. A process has ended only when
 * its pidfd says so and all that it had written was read, so that a result that came before a crash
 * counts. */
#include "ipc/host.h"

#include "base/clock.h"
#include "base/log.h"
#include "ipc/host_process.h"
#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELLO_MS 20000 /* dlopen and checks; then the start has failed */
#define SILENT_MS 1000 /* between a closed socket and the end of the process */
#define QUARANTINE_MS 60000
#define PAUSE_MS 10
#define PAUSE_MS_MAX 5000
#define SOCKET_BUFFER MIB(1) /* the kernel cuts it at net.core.wmem_max */
#define OUTPUT_LINES_PER_SECOND 100
#define WAIT_MS_MAX 60000

enum event { EVENT_WAKE, EVENT_SOCKET, EVENT_OUTPUT, EVENT_PROCESS, EVENTS };
enum step { STEP_WAIT, STEP_START, STEP_QUIT };

void host_wake(struct host *host)
{
    const uint64_t one = 1;
    ssize_t ignored = write(host->wake_fd, &one, sizeof(one));
    (void)ignored; /* full: it is awake anyway */
}

void host_flush(struct host *host)
{
    if (host->phase != PROCESS_READY || host->is_stuck || outbox_is_empty(&host->outbox))
        return;
    int code = outbox_flush(&host->outbox, &host->lock, host->fd, MSG_DONTWAIT);
    if (code == RN_EAGAIN && host->phase == PROCESS_READY) {
        host->is_stuck = true;
        host_wake(host);
    }
    if (host->phase == PROCESS_ENDING)
        pthread_cond_broadcast(&host->writer_left);
    /* The answer to what was sent may be here before we are: the thread found a writer in the
     * outbox then, did not close the connection, and waits for nothing that will come. */
    if (host->is_retiring || host->is_stopping)
        host_wake(host);
}

int host_ensure_thread(struct host *host)
{
    if (host->has_thread)
        return 0;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    pthread_attr_setstacksize(&attributes, MIB(4));
#else
    pthread_attr_setstacksize(&attributes, KIB(512));
#endif
    int error = pthread_create(&host->thread, &attributes, host_main, host);
    pthread_attr_destroy(&attributes);
    if (error)
        return RN_EUNAVAILABLE;
    host->has_thread = true;
    return 0;
}

void host_free(struct host *host)
{
    if (atomic_fetch_sub(&host->refs, 1) > 1)
        return;
    for (char **at = host->argv; *at; at++)
        free(*at);
    for (char **at = host->env; *at; at++)
        free(*at);
    free(host->argv);
    free(host->env);
    free(host->name);
    free(host->slots);
    outbox_release(&host->outbox);
    close(host->wake_fd);
    close(host->epoll_fd);
    pthread_cond_destroy(&host->writer_left);
    pthread_mutex_destroy(&host->lock);
    free(host);
}

static int watch(struct host *host, int operation, enum event event, int fd, uint32_t events)
{
    struct epoll_event what = {.events = events, .data = {.u32 = event}};
    return epoll_ctl(host->epoll_fd, operation, fd, &what);
}

/* ---- output of the process */

static void end_line(struct host *host)
{
    struct output_line *line = &host->output;
    struct str text = str_trim(str_n(line->text, line->length));
    line->length = 0;
    if (text.len == 0)
        return;
    host->said_memory = host->said_memory || str_find(text, "out of memory", 0) >= 0 ||
                        str_find(text, "bad_alloc", 0) >= 0;
    int64_t second = clock_mono_ms() / 1000;
    if (second != line->second) {
        if (line->dropped)
            log_warn("%s: %u lines of output were dropped", host->name, line->dropped);
        line->second = second;
        line->count = line->dropped = 0;
    }
    if (line->count++ < OUTPUT_LINES_PER_SECOND)
        log_info("%s: " STR_FMT, host->name, STR_ARG(text));
    else
        line->dropped++;
}

static void read_output(struct host *host)
{
    char bytes[4096];
    ssize_t n = read(host->output_fd, bytes, sizeof(bytes));
    for (ssize_t i = 0; i < n; i++) {
        struct output_line *line = &host->output;
        if (bytes[i] != '\n')
            line->text[line->length++] = bytes[i];
        if (bytes[i] == '\n' || line->length == sizeof(line->text))
            end_line(host);
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        (void)epoll_ctl(host->epoll_fd, EPOLL_CTL_DEL, host->output_fd, NULL);
}

static void drain_output(struct host *host)
{
    /* What is left is at most a pipe's capacity; a child of the host that holds the pipe must not
     * keep us here. */
    for (int i = 0; i < 32; i++)
        read_output(host);
    end_line(host);
}

/* ---- ending the process */

/* [lock held] */
static void kill_process(struct host *host, enum kill_reason reason)
{
    if (host->killed_for == KILL_NONE)
        host->killed_for = reason;
    host->kill_at_ms = HOST_NEVER;
    /* It was not waited for yet: its number, and its group's, cannot be somebody else's. */
    (void)kill(-host->pid, SIGKILL);
    (void)kill(host->pid, SIGKILL);
}

/* [lock held] */
static void plan_kill(struct host *host, enum kill_reason reason, int64_t at_ms)
{
    if (at_ms < host->kill_at_ms) {
        host->kill_at_ms = at_ms;
        host->kill_for = reason;
    }
}

/* Whether it ran out of memory. */
static bool describe_end(struct host *host, bool was_ready, int status, const struct rusage *usage,
                         char *out, size_t size)
{
    if (host->killed_for == KILL_DEADLINE)
        (void)snprintf(out, size, "killed: a call did not end when its deadline passed");
    else if (host->killed_for == KILL_PROTOCOL || (!was_ready && host->hello_error[0]))
        (void)snprintf(out, size, "%s", host->hello_error);
    else if (host->killed_for == KILL_HELLO)
        (void)snprintf(out, size, "killed: it was not ready within %d s", HELLO_MS / 1000);
    else if (host->killed_for == KILL_SILENT)
        (void)snprintf(out, size, "killed: it closed its connection and did not end");
    else
        return spawn_describe_exit(status, usage, host->memory_limit, host->said_memory, out, size);
    return false;
}

/* Counts a crash or a failed start. [lock held] */
static void count_crash(struct host *host, int64_t now_ms)
{
    host->crashes++;
    host->crashes_in_row++;
    int64_t pause = PAUSE_MS_MAX;
    if (host->crashes_in_row < 10)
        pause = (int64_t)PAUSE_MS << (host->crashes_in_row - 1);
    host->start_at_ms = now_ms + (pause < PAUSE_MS_MAX ? pause : PAUSE_MS_MAX);
    if (host->crashes_in_row >= LIMIT_PLUGIN_CRASHES)
        host->quarantined_until_ms = now_ms + QUARANTINE_MS;
}

/* Books the end of a process (or of an attempt to start one) and ends the calls that it takes
 * along. */
static void book_end(struct host *host, bool was_ready, bool has_run_out, const char *text)
{
    struct ended_calls ended = {0};
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&host->lock);
    bool was_asked = host->is_stopping || host->is_shut || host->killed_for == KILL_STOP;
    bool is_overdue = host->killed_for == KILL_DEADLINE;
    calls_lose(host, !was_ready || host->is_stopping, &ended);
    if (has_run_out && ended.count == 1)
        ended.items[0].has_run_out = ended.items[0].code == RN_EUNKNOWN;
    bool is_crash = !was_asked && !is_overdue && (!was_ready || ended.count > 0);
    if (is_crash)
        count_crash(host, now);
    if (host->quarantined_until_ms)
        calls_lose(host, true, &ended);
    bool is_quarantined = host->quarantined_until_ms != 0;
    if (is_crash || is_overdue)
        (void)snprintf(host->last_error, sizeof(host->last_error), "%s", text);
    host->phase = PROCESS_NONE;
    host->killed_for = KILL_NONE;
    host->kill_at_ms = HOST_NEVER;
    host->is_stuck = host->is_shut = host->wants_start = false;
    host->pid = 0;
    atomic_store(&host->generation, 0);
    outbox_release(&host->outbox);
    pthread_mutex_unlock(&host->lock);
    if (!was_asked)
        log_warn("%s: %s%s", host->name, text,
                 is_quarantined ? "; quarantined after too many crashes in a row" : "");
    char reason[ERR_TEXT_MAX];
    (void)snprintf(reason, sizeof(reason), "%s: %s",
                   was_ready ? "the host process ended with the call" : "could not be started",
                   text);
    calls_tell(host, &ended, reason);
}

static void read_socket(struct host *host);

static void end_process(struct host *host)
{
    pthread_mutex_lock(&host->lock);
    bool was_ready = host->phase == PROCESS_READY;
    host->phase = PROCESS_ENDING; /* nobody begins to write any more; new calls wait */
    while (host->outbox.writing)
        pthread_cond_wait(&host->writer_left, &host->lock);
    pthread_mutex_unlock(&host->lock);
    read_socket(host);
    drain_output(host);

    int status = 0;
    struct rusage usage = {0};
    while (wait4(host->pid, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    close(host->pid_fd);
    close(host->output_fd);
    close(host->fd);
    host->pid_fd = host->output_fd = host->fd = -1;
    host->waits_writable = false;
    inbox_release(&host->inbox);
    char text[ERR_TEXT_MAX];
    bool has_run_out = describe_end(host, was_ready, status, &usage, text, sizeof(text));
    book_end(host, was_ready, has_run_out, text);
}

/* ---- frames from the process */

static int take_hello(struct host *host, struct str text)
{
    struct json *hello = NULL;
    struct err err = ERR_INIT;
    if (host->said_hello || json_parse(text, &hello, &err) != 0)
        return err_set(&err, RN_EPROTOCOL, "a second or a wrong hello");
    host->said_hello = true;
    const struct json *error = json_get(hello, "error");
    if (error)
        (void)snprintf(host->hello_error, sizeof(host->hello_error), STR_FMT,
                       STR_ARG(json_get_text(error, "text")));
    pthread_mutex_lock(&host->lock);
    if (!error && host->phase == PROCESS_STARTING) {
        host->phase = PROCESS_READY;
        host->kill_at_ms = HOST_NEVER;
        calls_send_waiting(host);
    }
    pthread_mutex_unlock(&host->lock);
    json_free(hello);
    return 0;
}

static int take_frame(struct host *host, const struct frame *frame)
{
    switch (frame->kind) {
    case FRAME_RESULT:
        calls_take_result(host, frame);
        return 0;
    case FRAME_LOG:
        calls_take_log(host, frame);
        return 0;
    case FRAME_ASK:
        calls_take_ask(host, frame);
        return 0;
    case FRAME_HELLO:
        return take_hello(host, frame->json);
    default:
        return RN_EPROTOCOL;
    }
}

/* All whole frames that were read; what the callbacks call is sent together. */
static int take_frames(struct host *host)
{
    struct frame frame;
    struct err err = ERR_INIT;
    int64_t since = clock_mono_us();
    int code;
    host_cork(host);
    while ((code = inbox_next(&host->inbox, &frame, &err)) == 1) {
        code = take_frame(host, &frame);
        if (code)
            break;
        int64_t now = clock_mono_us();
        if (now - since > HOST_CORK_US) {
            host_uncork(host);
            host_cork(host);
            since = now;
        }
    }
    host_uncork(host);
    return code;
}

static void end_socket(struct host *host)
{
    host->has_socket_ended = true;
    (void)epoll_ctl(host->epoll_fd, EPOLL_CTL_DEL, host->fd, NULL);
}

static void read_socket(struct host *host)
{
    bool is_full = true;
    while (is_full && !host->has_socket_ended) {
        inbox_make_room(&host->inbox);
        ssize_t n = inbox_receive(&host->inbox, host->fd, MSG_DONTWAIT, &is_full);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            end_socket(host);
            pthread_mutex_lock(&host->lock);
            plan_kill(host, KILL_SILENT, clock_mono_ms() + SILENT_MS);
            pthread_mutex_unlock(&host->lock);
        } else if (take_frames(host) < 0) {
            end_socket(host);
            pthread_mutex_lock(&host->lock);
            (void)snprintf(host->hello_error, sizeof(host->hello_error),
                           "killed: it sent bytes that are no frame");
            kill_process(host, KILL_PROTOCOL);
            pthread_mutex_unlock(&host->lock);
        }
        if (host->phase == PROCESS_ENDING)
            is_full = true; /* read to the end */
    }
}

/* ---- starting the process */

/* The environment with the memory limit; the caller frees the array and its last string. */
static char **build_env(const struct host *host)
{
    size_t count = 0;
    while (host->env[count])
        count++;
    char **env = xcalloc(count + 2, sizeof(*env));
    memcpy(env, host->env, count * sizeof(*env));
    env[count] = xasprintf("%s=%zu", HOST_PROCESS_MEMORY_ENV, host->memory_limit);
    return env;
}

static int open_pair(int sockets[2], int output[2], struct err *err)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0 ||
        pipe2(output, O_CLOEXEC) != 0 || fcntl(output[0], F_SETFL, O_NONBLOCK) != 0)
        return err_set(err, RN_EUNAVAILABLE, "cannot open a socketpair: %s",
                       strerrordesc_np(errno));
    const int bytes = (int)SOCKET_BUFFER;
    for (size_t i = 0; i < 2; i++)
        (void)setsockopt(sockets[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    return 0;
}

static int spawn_process(struct host *host, int sockets[2], int output[2], int *ret_pid,
                         struct err *err)
{
    int code = open_pair(sockets, output, err);
    if (code)
        return code;
    char **env = build_env(host);
    struct spawn spawn = {.program = supervisor_program(host->supervisor),
                          .argv = host->argv,
                          .env = env,
                          .socket_fd = sockets[1],
                          .output_fd = output[1]};
    code = keeper_spawn(supervisor_keeper(host->supervisor), &spawn, ret_pid, err);
    for (char **at = env; *at; at++)
        if (!at[1])
            free(*at);
    free(env);
    if (code)
        return code;
    host->pid_fd = pidfd_open(*ret_pid, 0);
    if (host->pid_fd < 0) {
        code = err_set(err, RN_EUNAVAILABLE, "pidfd_open: %s", strerrordesc_np(errno));
        (void)kill(*ret_pid, SIGKILL);
        (void)waitpid(*ret_pid, NULL, 0);
    }
    return code;
}

static void start_process(struct host *host)
{
    int sockets[2] = {-1, -1}, output[2] = {-1, -1}, pid = 0;
    struct err err = ERR_INIT;
    int code = spawn_process(host, sockets, output, &pid, &err);
    for (size_t i = 0; i < 2; i++) {
        bool is_theirs = i == 1;
        if ((code || is_theirs) && sockets[i] >= 0)
            close(sockets[i]);
        if ((code || is_theirs) && output[i] >= 0)
            close(output[i]);
    }
    if (code) {
        book_end(host, false, false, err.text);
        return;
    }
    host->fd = sockets[0];
    host->output_fd = output[0];
    host->has_socket_ended = host->said_memory = host->said_hello = false;
    host->hello_error[0] = '\0';
    host->output = (struct output_line){.second = -1};
    inbox_init(&host->inbox);
    pthread_mutex_lock(&host->lock);
    host->phase = PROCESS_STARTING;
    host->pid = pid;
    host->killed_for = KILL_NONE;
    host->kill_at_ms = HOST_NEVER;
    plan_kill(host, KILL_HELLO, clock_mono_ms() + HELLO_MS);
    host->starts++;
    host->used_at_ms = clock_mono_ms();
    atomic_store(&host->generation, host->starts);
    host->wants_start = false;
    outbox_init(&host->outbox);
    pthread_mutex_unlock(&host->lock);
    if (watch(host, EPOLL_CTL_ADD, EVENT_SOCKET, host->fd, EPOLLIN) != 0 ||
        watch(host, EPOLL_CTL_ADD, EVENT_OUTPUT, host->output_fd, EPOLLIN) != 0 ||
        watch(host, EPOLL_CTL_ADD, EVENT_PROCESS, host->pid_fd, EPOLLIN) != 0) {
        log_error("%s: epoll_ctl: %s", host->name, strerrordesc_np(errno));
        abort(); /* without it nobody would notice the process's end */
    }
}

/* ---- the loop */

/* When the process, which has no calls, is to end for it. [lock held] */
static int64_t idle_end(const struct host *host)
{
    bool may_end = host->phase == PROCESS_READY && host->idle_ms && !host->calls && !host->is_shut;
    return may_end ? host->used_at_ms + host->idle_ms : HOST_NEVER;
}

/* Moves a process towards its end where that is wanted. [lock held] */
static void step_process(struct host *host, int64_t now_ms, struct ended_calls *ended)
{
    bool must_end =
        host->is_stopping || (host->is_retiring && host->calls == 0) || idle_end(host) <= now_ms;
    if (host->phase == PROCESS_STARTING && must_end && host->killed_for == KILL_NONE)
        kill_process(host, KILL_STOP);
    if (host->phase == PROCESS_READY && host->is_stopping) {
        if (!host->has_canceled_all)
            calls_cancel_all(host, RN_ECANCELED, ended);
        host->has_canceled_all = true;
        if (host->killed_for == KILL_NONE)
            plan_kill(host, KILL_STOP, host->stop_by_ms);
    }
    host_flush(host);
    if (host->phase == PROCESS_READY && must_end && host->calls == 0 && !host->is_shut &&
        outbox_is_empty(&host->outbox)) {
        (void)shutdown(host->fd, SHUT_WR);
        host->is_shut = true;
        plan_kill(host, KILL_STOP, now_ms + LIMIT_CANCEL_GRACE_MS);
    }
    if (host->kill_at_ms <= now_ms)
        kill_process(host, host->kill_for);
}

/* [lock held] */
static enum step step(struct host *host, int64_t now_ms, struct ended_calls *ended)
{
    if (calls_expire(host, now_ms, ended) && host->phase == PROCESS_READY)
        kill_process(host, KILL_DEADLINE);
    if (host->phase != PROCESS_NONE) {
        step_process(host, now_ms, ended);
        return STEP_WAIT;
    }
    if (host->is_stopping) {
        calls_lose(host, true, ended);
        return STEP_QUIT;
    }
    if (host->is_retiring && host->calls == 0)
        return STEP_QUIT;
    bool is_wanted = host->calls > 0 || (host->wants_start && !host->is_retiring);
    return is_wanted && now_ms >= host->start_at_ms ? STEP_START : STEP_WAIT;
}

/* How long to wait for events, in ms. [lock held] */
static int plan_wait(struct host *host, int64_t now_ms)
{
    int64_t at =
        host->next_deadline_ms < host->kill_at_ms ? host->next_deadline_ms : host->kill_at_ms;
    if (host->phase == PROCESS_NONE && (host->calls || host->wants_start) && host->start_at_ms < at)
        at = host->start_at_ms;
    if (idle_end(host) < at)
        at = idle_end(host);
    if (at > now_ms + WAIT_MS_MAX)
        at = now_ms + WAIT_MS_MAX;
    host->wakes_at_ms = at;
    return at <= now_ms ? 0 : (int)(at - now_ms);
}

static void update_watch(struct host *host, bool is_stuck)
{
    if (host->phase == PROCESS_NONE || host->has_socket_ended || is_stuck == host->waits_writable)
        return;
    host->waits_writable = is_stuck;
    (void)watch(host, EPOLL_CTL_MOD, EVENT_SOCKET, host->fd, EPOLLIN | (is_stuck ? EPOLLOUT : 0u));
}

static void take_events(struct host *host, int wait_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(host->epoll_fd, events, EVENTS, wait_ms);
    uint32_t seen[EVENTS] = {0};
    for (int i = 0; i < count; i++)
        seen[events[i].data.u32] = events[i].events;
    if (seen[EVENT_WAKE]) {
        uint64_t value;
        ssize_t ignored = read(host->wake_fd, &value, sizeof(value));
        (void)ignored;
    }
    if (seen[EVENT_SOCKET] & EPOLLOUT) {
        pthread_mutex_lock(&host->lock);
        host->is_stuck = false;
        host_flush(host);
        pthread_mutex_unlock(&host->lock);
    }
    if (seen[EVENT_SOCKET] & ~(uint32_t)EPOLLOUT)
        read_socket(host);
    if (seen[EVENT_OUTPUT])
        read_output(host);
    if (seen[EVENT_PROCESS])
        end_process(host);
}

void *host_main(void *arg)
{
    struct host *host = arg;
    if (watch(host, EPOLL_CTL_ADD, EVENT_WAKE, host->wake_fd, EPOLLIN) != 0)
        abort();
    for (;;) {
        struct ended_calls ended = {0};
        pthread_mutex_lock(&host->lock);
        int64_t now = clock_mono_ms();
        enum step next = step(host, now, &ended);
        bool is_stuck = host->is_stuck;
        int wait_ms = plan_wait(host, now);
        pthread_mutex_unlock(&host->lock);
        calls_tell(host, &ended, "the host process was not ready in time");
        if (next == STEP_QUIT)
            break;
        update_watch(host, is_stuck);
        if (next == STEP_START)
            start_process(host);
        else
            take_events(host, wait_ms);
    }
    supervisor_host_ended(host->supervisor, host);
    return NULL;
}
