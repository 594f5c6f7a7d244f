/* The set of hosts, their making and ending, and the calls that wait. The supervisor's lock guards
 * the list of hosts; it is never taken while a host's lock is held. */
#include "ipc/supervisor.h"

#include "base/clock.h"
#include "ipc/host.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct supervisor {
    char *program;
    struct keeper *keeper;
    pthread_mutex_t lock; /* guards hosts */
    pthread_cond_t host_ended;
    struct host *hosts;
};

struct supervisor *supervisor_new(const char *program)
{
    struct supervisor *supervisor = xcalloc(1, sizeof(*supervisor));
    supervisor->program = xstrdup(program ? program : "/proc/self/exe");
    pthread_mutex_init(&supervisor->lock, NULL);
    pthread_cond_init(&supervisor->host_ended, NULL);
    supervisor->keeper = keeper_new();
    return supervisor;
}

const char *supervisor_program(const struct supervisor *supervisor)
{
    return supervisor->program;
}

struct keeper *supervisor_keeper(struct supervisor *supervisor)
{
    return supervisor->keeper;
}

static void unlink_host(struct supervisor *supervisor, struct host *host)
{
    struct host **at = &supervisor->hosts;
    while (*at != host)
        at = &(*at)->next;
    *at = host->next;
}

void supervisor_host_ended(struct supervisor *supervisor, struct host *host)
{
    pthread_t thread = host->thread;
    pthread_mutex_lock(&supervisor->lock);
    unlink_host(supervisor, host);
    keeper_join(supervisor->keeper, thread);
    /* Whoever is just leaving a function with this host's lock leaves it first. */
    pthread_mutex_lock(&host->lock);
    pthread_mutex_unlock(&host->lock);
    host_free(host);
    pthread_cond_broadcast(&supervisor->host_ended);
    pthread_mutex_unlock(&supervisor->lock);
}

void supervisor_free(struct supervisor *supervisor, int grace_ms)
{
    if (!supervisor)
        return;
    int64_t stop_by = clock_mono_ms() + (grace_ms > 0 ? grace_ms : 0);
    pthread_mutex_lock(&supervisor->lock);
    struct host **at = &supervisor->hosts;
    while (*at) {
        struct host *host = *at;
        pthread_mutex_lock(&host->lock);
        bool has_thread = host->has_thread;
        host->is_stopping = true;
        host->stop_by_ms = stop_by;
        host_wake(host);
        pthread_mutex_unlock(&host->lock);
        if (has_thread) {
            at = &host->next;
        } else {
            *at = host->next;
            host_free(host);
        }
    }
    while (supervisor->hosts)
        pthread_cond_wait(&supervisor->host_ended, &supervisor->lock);
    pthread_mutex_unlock(&supervisor->lock);
    keeper_free(supervisor->keeper);
    pthread_cond_destroy(&supervisor->host_ended);
    pthread_mutex_destroy(&supervisor->lock);
    free(supervisor->program);
    free(supervisor);
}

/* A copy of the strings with `first` (may be NULL) in front. */
static char **copy_strings(const char *first, const char *const *strings)
{
    size_t count = 0, from = first ? 1 : 0;
    while (strings[count])
        count++;
    char **copy = xcalloc(count + from + 1, sizeof(*copy));
    if (first)
        copy[0] = xstrdup(first);
    for (size_t i = 0; i < count; i++)
        copy[from + i] = xstrdup(strings[i]);
    return copy;
}

static char **default_env(void)
{
    const char *path = getenv("PATH"), *zone = getenv("TZ");
    char **env = xcalloc(4, sizeof(*env));
    size_t count = 0;
    env[count++] = xasprintf("PATH=%s", path ? path : "/usr/local/bin:/usr/bin:/bin");
    env[count++] = xstrdup("LANG=C.UTF-8");
    if (zone)
        env[count++] = xasprintf("TZ=%s", zone);
    return env;
}

struct host *host_new(struct supervisor *supervisor, const struct host_options *options)
{
    static const char *const no_arguments[] = {NULL};
    struct host *host = xcalloc(1, sizeof(*host));
    host->supervisor = supervisor;
    atomic_init(&host->refs, 1);
    host->name = xstrdup(options->name ? options->name : "host");
    host->argv = copy_strings("runnel", options->argv ? options->argv : no_arguments);
    host->env = options->env ? copy_strings(NULL, options->env) : default_env();
    host->memory_limit = options->memory_limit ? options->memory_limit : LIMIT_PLUGIN_MEMORY;
    host->idle_ms = options->idle_ms;
    host->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    host->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (host->wake_fd < 0 || host->epoll_fd < 0) {
        fprintf(stderr, "runnel: no descriptors are left for %s\n", host->name);
        abort();
    }
    pthread_mutex_init(&host->lock, NULL);
    pthread_cond_init(&host->writer_left, NULL);
    host->fd = host->pid_fd = host->output_fd = -1;
    host->kill_at_ms = host->next_deadline_ms = HOST_NEVER;
    pthread_mutex_lock(&supervisor->lock);
    host->next = supervisor->hosts;
    supervisor->hosts = host;
    pthread_mutex_unlock(&supervisor->lock);
    return host;
}

void host_retire(struct host *host)
{
    if (!host)
        return;
    struct supervisor *supervisor = host->supervisor;
    pthread_mutex_lock(&supervisor->lock);
    pthread_mutex_lock(&host->lock);
    bool has_thread = host->has_thread;
    host->is_retiring = true;
    host_wake(host);
    pthread_mutex_unlock(&host->lock);
    if (!has_thread) {
        unlink_host(supervisor, host);
        host_free(host);
    }
    pthread_mutex_unlock(&supervisor->lock);
}

void host_start(struct host *host)
{
    pthread_mutex_lock(&host->lock);
    bool may_start = !host->is_retiring && !host->is_stopping && !host->quarantined_until_ms &&
                     host->phase == PROCESS_NONE;
    if (may_start && host_ensure_thread(host) == 0) {
        host->wants_start = true;
        host_wake(host);
    }
    pthread_mutex_unlock(&host->lock);
}

void host_reset(struct host *host)
{
    pthread_mutex_lock(&host->lock);
    host->quarantined_until_ms = 0;
    host->crashes_in_row = 0;
    host->start_at_ms = 0;
    host_wake(host);
    pthread_mutex_unlock(&host->lock);
}

uint64_t host_generation(struct host *host)
{
    return atomic_load_explicit(&host->generation, memory_order_relaxed);
}

static enum host_state find_state(const struct host *host)
{
    if (host->quarantined_until_ms)
        return HOST_QUARANTINED;
    bool is_wanted = host->calls || host->wants_start;
    switch (host->phase) {
    case PROCESS_READY:
        return HOST_RUNNING;
    case PROCESS_STARTING:
        return host->crashes_in_row ? HOST_RESTARTING : HOST_RUNNING;
    case PROCESS_ENDING:
        return HOST_RESTARTING;
    default:
        return is_wanted && host->crashes_in_row ? HOST_RESTARTING : HOST_IDLE;
    }
}

void host_get_status(struct host *host, struct host_status *ret)
{
    pthread_mutex_lock(&host->lock);
    *ret = (struct host_status){.state = find_state(host),
                                .pid = host->pid,
                                .starts = host->starts,
                                .crashes = host->crashes,
                                .generation = atomic_load(&host->generation),
                                .calls = (int)host->calls};
    memcpy(ret->last_error, host->last_error, sizeof(ret->last_error));
    pthread_mutex_unlock(&host->lock);
}

/* ---- calls that wait */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
    int code;
    struct err *err;
    struct buf *bytes;
    void (*log)(void *ctx, struct str level, struct str text);
    void (*ask)(void *ctx, struct ask *ask, const struct frame *frame);
    void *ctx; /* of both */
};

static void waiter_log(void *ctx, struct str level, struct str text)
{
    const struct waiter *waiter = ctx;
    waiter->log(waiter->ctx, level, text);
}

static void waiter_ask(void *ctx, struct ask *ask, const struct frame *frame)
{
    const struct waiter *waiter = ctx;
    waiter->ask(waiter->ctx, ask, frame);
}

static void waiter_done(void *ctx, const struct call_result *result)
{
    struct waiter *waiter = ctx;
    int code = result->code;
    if (code)
        (void)err_set(waiter->err, code, "%s", result->err.text);
    else if (frame_write(waiter->bytes, result->frame) != 0)
        code = err_set(waiter->err, RN_ETOOBIG, "the host's answer is over %zu bytes",
                       waiter->bytes->max);
    pthread_mutex_lock(&waiter->lock);
    waiter->code = code;
    waiter->is_done = true;
    pthread_cond_signal(&waiter->changed);
    pthread_mutex_unlock(&waiter->lock);
}

int host_call_wait(struct host *host, struct call *call, struct buf *ret_bytes, struct frame *ret,
                   struct str *sections, uint32_t section_max, struct err *err)
{
    struct waiter waiter = {
        .err = err, .bytes = ret_bytes, .log = call->log, .ask = call->ask, .ctx = call->ctx};
    pthread_mutex_init(&waiter.lock, NULL);
    pthread_cond_init(&waiter.changed, NULL);
    struct call inner = *call;
    inner.done = waiter_done;
    inner.log = call->log ? waiter_log : NULL;
    inner.ask = call->ask ? waiter_ask : NULL;
    inner.ctx = &waiter;
    buf_clear(ret_bytes);
    (void)host_call(host, &inner);
    pthread_mutex_lock(&waiter.lock);
    while (!waiter.is_done)
        pthread_cond_wait(&waiter.changed, &waiter.lock);
    pthread_mutex_unlock(&waiter.lock);
    pthread_cond_destroy(&waiter.changed);
    pthread_mutex_destroy(&waiter.lock);
    size_t size = 0;
    if (waiter.code)
        return waiter.code;
    return frame_read(buf_str(ret_bytes), ret, sections, section_max, &size, err);
}
