#include "code/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WORKER_FD = 3,
    LIFTED_FD_MIN = 32, /* so that no descriptor is overwritten before it was used */
};

/* The process groups that live; for the signal handler. 0: free. */
static atomic_int groups[LIMIT_CODE_PROCESSES + 8];

static void note_group(int pid, int value)
{
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        int expected = pid;
        if (atomic_compare_exchange_strong(&groups[i], &expected, value))
            return;
    }
}

static void end_all(int signal_number)
{
    (void)signal_number;
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        int pid = atomic_load(&groups[i]);
        if (pid > 0)
            (void)kill(-pid, SIGKILL);
    }
    _exit(0);
}

/* ---- the starter's thread */

struct start {
    const struct child_options *options;
    int fds[4];   /* of the child: 0, 1, 2, 3 */
    int error_fd; /* takes an errno */
    int pid;
    int error;
    bool is_done;
    struct start *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards `first` and what it leads to */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct start *first;

static void limit(__rlimit_resource_t what, rlim_t value)
{
    struct rlimit both = {value, value};
    (void)setrlimit(what, &both);
}

/* V8 sets up more than its heap: code space, its threads' stacks. Its heap's limit is an argument;
 * this one catches buffers outside of it. */
static rlim_t data_limit(const struct child_options *options)
{
    return options->language == CODE_NODE ? options->memory + LIMIT_CODE_NODE_OVERHEAD
                                          : options->memory;
}

/* Between fork and exec: only what is safe for a signal handler. */
static _Noreturn void become(const struct start *start, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, LIMIT_CODE_FILES);
    limit(RLIMIT_DATA, data_limit(start->options));
    limit(RLIMIT_FSIZE, start->options->file_bytes);
    int error = 0;
    for (int i = 0; i <= WORKER_FD && !error; i++)
        if (start->fds[i] >= 0 && dup2(start->fds[i], i) < 0)
            error = errno;
    if (start->fds[WORKER_FD] < 0)
        (void)close(WORKER_FD);
    (void)close_range(WORKER_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    if (!error && chdir(start->options->dir) != 0)
        error = errno;
    if (!error)
        (void)execve(start->options->program, (char *const *)(uintptr_t)start->options->argv,
                     (char *const *)(uintptr_t)start->options->env);
    if (!error)
        error = errno;
    ssize_t ignored = write(start->error_fd, &error, sizeof(error));
    (void)ignored;
    _exit(127);
}

static void *starter_main(void *arg)
{
    (void)arg;
    pid_t self = getpid();
    pthread_mutex_lock(&lock);
    for (;;) {
        struct start *start = first;
        if (!start) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }
        first = start->next;
        pthread_mutex_unlock(&lock);
        pid_t pid = fork();
        if (pid == 0)
            become(start, self);
        int error = pid < 0 ? errno : 0;
        if (pid > 0)
            note_group(0, pid);
        pthread_mutex_lock(&lock);
        start->pid = pid;
        start->error = error;
        start->is_done = true;
        pthread_cond_broadcast(&changed);
    }
    return NULL;
}

void children_init(void)
{
    pthread_t thread;
    struct sigaction action = {.sa_handler = end_all};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &attributes, starter_main, NULL);
    pthread_attr_destroy(&attributes);
    if (error) {
        fprintf(stderr, "code host: cannot start a thread: %s\n", strerrordesc_np(error));
        abort();
    }
}

/* ---- starting */

/* A pair of descriptors past those that the child's are dup2()ed over. */
static int lift(int fds[2])
{
    for (int i = 0; i < 2; i++) {
        int lifted = fcntl(fds[i], F_DUPFD_CLOEXEC, LIFTED_FD_MIN);
        int error = errno;
        close(fds[i]);
        fds[i] = lifted;
        if (lifted < 0)
            return error;
    }
    return 0;
}

static int open_pipe(int fds[2])
{
    if (pipe2(fds, O_CLOEXEC) != 0)
        return errno;
    return lift(fds);
}

static int open_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return errno;
    return lift(fds);
}

static int run_start(struct start *start)
{
    pthread_mutex_lock(&lock);
    start->next = first;
    first = start;
    pthread_cond_broadcast(&changed);
    while (!start->is_done)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return start->error;
}

static void close_pair(int fds[2])
{
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void take_end(int *to, int *from)
{
    *to = *from;
    *from = -1;
}

int child_start(const struct child_options *options, struct child **ret, struct err *err)
{
    int null_fd[2] = {-1, -1}, out[2] = {-1, -1}, errors[2] = {-1, -1}, report[2] = {-1, -1},
        pair[2] = {-1, -1};
    struct child *child = xcalloc(1, sizeof(*child));
    child->pid_fd = child->socket_fd = child->out.fd = child->err.fd = -1;
    child->language = options->language;
    child->memory = options->memory;
    buf_init(&child->out.line, LIMIT_LOG_LINE + KIB(64));
    buf_init(&child->err.line, LIMIT_LOG_LINE + KIB(64));
    null_fd[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int error = null_fd[0] < 0 ? errno : open_pipe(out);
    error = error ? error : open_pipe(errors);
    error = error ? error : open_pipe(report);
    if (!error && options->language != CODE_BASH)
        error = open_pair(pair);
    if (!error) {
        struct start start = {.options = options,
                              .fds = {null_fd[0], out[1], errors[1], pair[1]},
                              .error_fd = report[1]};
        error = run_start(&start);
        child->pid = start.pid > 0 ? start.pid : 0;
    }
    if (report[1] >= 0)
        close(report[1]);
    report[1] = -1;
    int exec_error = 0;
    if (!error && read(report[0], &exec_error, sizeof(exec_error)) == sizeof(exec_error))
        error = exec_error;
    if (child->pid) {
        child->pid_fd = pidfd_open(child->pid, 0);
        if (child->pid_fd < 0 && !error)
            error = errno;
    }
    take_end(&child->out.fd, &out[0]);
    take_end(&child->err.fd, &errors[0]);
    take_end(&child->socket_fd, &pair[0]);
    close_pair(null_fd);
    close_pair(out);
    close_pair(errors);
    close_pair(report);
    close_pair(pair);
    if (error) {
        child_free(child);
        return err_set(err, RN_EUNAVAILABLE, "cannot start %s: %s", options->program,
                       strerrordesc_np(error));
    }
    (void)fcntl(child->out.fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(child->err.fd, F_SETFL, O_NONBLOCK);
    *ret = child;
    return 0;
}

/* ---- ending */

bool child_wait(struct child *child, int ms, int *ret_status)
{
    struct pollfd end = {.fd = child->pid_fd, .events = POLLIN};
    if (child->pid == 0)
        return true;
    if (child->pid_fd >= 0 && poll(&end, 1, ms) != 1)
        return false;
    /* What it has started and left behind goes with it, before its number is free again. */
    (void)kill(-child->pid, SIGKILL);
    while (waitpid(child->pid, ret_status, 0) < 0 && errno == EINTR) {
    }
    note_group(child->pid, 0);
    child->pid = 0;
    return true;
}

bool child_has_ended(struct child *child, int *ret_status)
{
    return child_wait(child, 0, ret_status);
}

void child_free(struct child *child)
{
    int status = 0;
    if (!child)
        return;
    if (child->pid) {
        (void)kill(-child->pid, SIGKILL);
        (void)kill(child->pid, SIGKILL);
        (void)child_wait(child, -1, &status);
    }
    int *fds[] = {&child->pid_fd, &child->socket_fd, &child->out.fd, &child->err.fd};
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        if (*fds[i] >= 0)
            close(*fds[i]);
    buf_release(&child->out.line);
    buf_release(&child->err.line);
    free(child->key);
    free(child);
}
