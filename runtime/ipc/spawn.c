#include "ipc/spawn.h"

#include "base/limits.h"
#include "ipc/host_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

/* Descriptors are lifted to at least this number first, so that none is overwritten before it was
 * used. */
#define LIFTED_FD_MIN 16
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER true
#else
#define HAS_SANITIZER false
#endif

struct spawn_job {
    struct spawn_job *next;
    const struct spawn *spawn;
    struct err *err;
    int code;
    int pid;
    bool is_done;
};

struct keeper {
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct spawn_job *first, *last;
    pthread_t *ended; /* threads to join */
    size_t ended_count, ended_capacity;
    bool is_stopping;
};

static int build_actions(posix_spawn_file_actions_t *actions, int null_fd, int output_fd,
                         int socket_fd)
{
    int error = posix_spawn_file_actions_adddup2(actions, null_fd, 0);
    if (!error)
        error = posix_spawn_file_actions_adddup2(actions, output_fd, 1);
    if (!error)
        error = posix_spawn_file_actions_adddup2(actions, output_fd, 2);
    if (!error)
        error = posix_spawn_file_actions_adddup2(actions, socket_fd, HOST_PROCESS_FD);
    if (!error)
        error = posix_spawn_file_actions_addclosefrom_np(actions, HOST_PROCESS_FD + 1);
    return error;
}

static int build_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (!error)
        error = posix_spawnattr_setsigdefault(attributes, &all);
    if (!error)
        error = posix_spawnattr_setpgroup(attributes, 0);
    if (!error)
        error = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    return error;
}

/* posix_spawn() with our actions and attributes; an errno. */
static int spawn_with(const struct spawn *spawn, int null_fd, int output_fd, int socket_fd,
                      pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    error = build_actions(&actions, null_fd, output_fd, socket_fd);
    if (!error)
        error = build_attributes(&attributes);
    if (!error)
        error =
            posix_spawn(ret_pid, spawn->program, &actions, &attributes, spawn->argv, spawn->env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static int do_spawn(const struct spawn *spawn, int *ret_pid, struct err *err)
{
    int fds[3] = {open("/dev/null", O_RDONLY | O_CLOEXEC), spawn->output_fd, spawn->socket_fd};
    int lifted[3] = {-1, -1, -1};
    int error = fds[0] < 0 ? errno : 0;
    for (size_t i = 0; i < COUNT_OF(fds) && !error; i++) {
        lifted[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, LIFTED_FD_MIN);
        if (lifted[i] < 0)
            error = errno;
    }
    pid_t pid = 0;
    if (!error)
        error = spawn_with(spawn, lifted[0], lifted[1], lifted[2], &pid);
    for (size_t i = 0; i < COUNT_OF(lifted); i++)
        if (lifted[i] >= 0)
            close(lifted[i]);
    if (fds[0] >= 0)
        close(fds[0]);
    if (error)
        return err_set(err, RN_EUNAVAILABLE, "cannot start %s: %s", spawn->program,
                       strerrordesc_np(error));
    *ret_pid = pid;
    return 0;
}

static void *keeper_main(void *arg)
{
    struct keeper *keeper = arg;
    pthread_mutex_lock(&keeper->lock);
    for (;;) {
        if (keeper->first) {
            struct spawn_job *job = keeper->first;
            keeper->first = job->next;
            if (!keeper->first)
                keeper->last = NULL;
            pthread_mutex_unlock(&keeper->lock);
            int code = do_spawn(job->spawn, &job->pid, job->err);
            pthread_mutex_lock(&keeper->lock);
            job->code = code;
            job->is_done = true;
            pthread_cond_broadcast(&keeper->changed);
        } else if (keeper->ended_count) {
            pthread_t thread = keeper->ended[--keeper->ended_count];
            pthread_mutex_unlock(&keeper->lock);
            pthread_join(thread, NULL);
            pthread_mutex_lock(&keeper->lock);
        } else if (keeper->is_stopping) {
            break;
        } else {
            pthread_cond_wait(&keeper->changed, &keeper->lock);
        }
    }
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

struct keeper *keeper_new(void)
{
    struct keeper *keeper = xcalloc(1, sizeof(*keeper));
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->changed, NULL);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, KIB(256));
    int error = pthread_create(&keeper->thread, &attributes, keeper_main, keeper);
    pthread_attr_destroy(&attributes);
    if (error) {
        fprintf(stderr, "runnel: cannot start a thread: %s\n", strerrordesc_np(error));
        abort();
    }
    return keeper;
}

void keeper_free(struct keeper *keeper)
{
    if (!keeper)
        return;
    pthread_mutex_lock(&keeper->lock);
    keeper->is_stopping = true;
    pthread_cond_broadcast(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    pthread_cond_destroy(&keeper->changed);
    pthread_mutex_destroy(&keeper->lock);
    free(keeper->ended);
    free(keeper);
}

int keeper_spawn(struct keeper *keeper, const struct spawn *spawn, int *ret_pid, struct err *err)
{
    struct spawn_job job = {.spawn = spawn, .err = err};
    pthread_mutex_lock(&keeper->lock);
    if (keeper->last)
        keeper->last->next = &job;
    else
        keeper->first = &job;
    keeper->last = &job;
    pthread_cond_broadcast(&keeper->changed);
    while (!job.is_done)
        pthread_cond_wait(&keeper->changed, &keeper->lock);
    pthread_mutex_unlock(&keeper->lock);
    if (job.code == 0)
        *ret_pid = job.pid;
    return job.code;
}

void keeper_join(struct keeper *keeper, pthread_t thread)
{
    pthread_mutex_lock(&keeper->lock);
    if (keeper->ended_count == keeper->ended_capacity) {
        keeper->ended_capacity = keeper->ended_capacity ? keeper->ended_capacity * 2 : 8;
        keeper->ended = xrealloc(keeper->ended, keeper->ended_capacity * sizeof(*keeper->ended));
    }
    keeper->ended[keeper->ended_count++] = thread;
    pthread_cond_broadcast(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
}

bool spawn_describe_exit(int status, const struct rusage *usage, size_t memory_limit,
                         bool has_said_so, char *out, size_t out_size)
{
    if (WIFSIGNALED(status)) {
        const char *name = sigdescr_np(WTERMSIG(status));
        (void)snprintf(out, out_size, "killed by signal %d (%s)", WTERMSIG(status),
                       name ? name : "?");
    } else {
        (void)snprintf(out, out_size, "exited with status %d", WEXITSTATUS(status));
    }
    /* ru_maxrss is in KiB. What a process could not get it does not have, hence "near". Most of
     * what a process has under a sanitizer is the sanitizer's. */
    bool is_near =
        !HAS_SANITIZER && usage && (size_t)usage->ru_maxrss * 1024 >= memory_limit / 10 * 9;
    bool has_failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    size_t length = strlen(out);
    bool has_run_out = has_failed && (has_said_so || is_near);
    if (has_run_out)
        (void)snprintf(out + length, out_size - length, ": ran out of memory (limit %zu MiB)",
                       memory_limit >> 20);
    return has_run_out;
}
