#include "code/ask.h"

#include "base/clock.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct talk {
    int in, out; /* −1: closed */
    struct str rest;
    struct buf *answer;
};

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* False: nothing more comes. */
static bool go_on(struct talk *talk, int64_t until_mono_ms)
{
    struct pollfd ends[2] = {{.fd = talk->out, .events = POLLIN},
                             {.fd = talk->in, .events = POLLOUT}};
    int64_t left_ms = until_mono_ms - clock_mono_ms();
    if (left_ms <= 0 || (poll(ends, 2, (int)left_ms) < 0 && errno != EINTR))
        return false;
    if (talk->in >= 0 && ends[1].revents) {
        ssize_t n = send(talk->in, talk->rest.ptr, talk->rest.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            talk->rest = str_n(talk->rest.ptr + n, talk->rest.len - (size_t)n);
        if ((n < 0 && errno != EAGAIN && errno != EINTR) || talk->rest.len == 0)
            close_end(&talk->in);
    }
    if (!ends[0].revents)
        return true;
    char part[4096];
    ssize_t n = read(talk->out, part, sizeof(part));
    if (n > 0)
        buf_add(talk->answer, part, (size_t)n);
    return (n > 0 && !buf_is_overflowed(talk->answer)) || (n < 0 && errno == EINTR);
}

int code_ask(const char *const *argv, struct str text, int answer_fd, struct buf *answer)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, status = -1;
    pid_t pid = 0;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) || pipe2(out, O_CLOEXEC)) {
        close_end(&in[0]);
        close_end(&in[1]);
        return -1;
    }
    char *path = xasprintf("PATH=%s", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    char *const env[] = {path, NULL}; /* nothing of ours is its business */
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_init(&actions);
    int error = posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    for (int fd = 1; fd <= 2 && !error; fd++)
        error = fd == answer_fd
                    ? posix_spawn_file_actions_adddup2(&actions, out[1], fd)
                    : posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
    error = error ? error
                  : posix_spawn(&pid, argv[0], &actions, &attributes,
                                (char *const *)(uintptr_t)argv, env);
    free(path);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close_end(&in[0]);
    close_end(&out[1]);
    struct talk talk = {.in = in[1], .out = out[0], .rest = text, .answer = answer};
    int64_t until = clock_mono_ms() + LIMIT_CODE_ASK_MS;
    while (!error && go_on(&talk, until)) {
    }
    close_end(&talk.in);
    close_end(&talk.out);
    if (error)
        return -1;
    if (clock_mono_ms() >= until)
        (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
