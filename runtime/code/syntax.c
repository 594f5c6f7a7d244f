/* The workers of node and python are started with --check: they read [code, …] and answer with
 * [null | {text, line, column}, …]. Bash is asked for each piece of code with -n. */
#include "code/syntax.h"

#include "base/clock.h"
#include "base/limits.h"
#include "code/worker.h"
#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MAX = 1 << 20 };

/* ---- one process: text in, text out */

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

/* What it prints to the descriptor; its status, -1 if it did not come to its end in time. */
static int ask(char *const *argv, struct str text, int answer_fd, struct buf *answer)
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
    error = error ? error : posix_spawn(&pid, argv[0], &actions, &attributes, argv, env);
    free(path);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close_end(&in[0]);
    close_end(&out[1]);
    struct talk talk = {.in = in[1], .out = out[0], .rest = text, .answer = answer};
    int64_t until = clock_mono_ms() + LIMIT_CODE_SYNTAX_MS;
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

/* ---- node and python */

static void take_answers(struct str text, enum code_language language, struct syntax_check *checks,
                         size_t count)
{
    struct json *answers = NULL;
    if (json_parse(text, &answers, NULL))
        return;
    const struct json *answer = json_first(answers);
    for (size_t i = 0; i < count; i++) {
        if (checks[i].language != language)
            continue;
        if (json_get_c(answer, "text"))
            checks[i].error = xstrdup(json_get_c(answer, "text"));
        checks[i].line = (size_t)json_get_i64(answer, "line", 0);
        checks[i].column = (size_t)json_get_i64(answer, "column", 0);
        answer = json_next(answer);
    }
    json_free(answers);
}

static void ask_worker(const char *program, enum code_language language,
                       struct syntax_check *checks, size_t count)
{
    struct json *codes = json_new_array();
    for (size_t i = 0; i < count; i++)
        if (checks[i].language == language)
            (void)json_append(codes, json_new_string(checks[i].text));
    const char *node[] = {program,
                          "--experimental-vm-modules",
                          "--no-warnings",
                          "--input-type=module",
                          "-e",
                          code_node_worker,
                          "--",
                          "--check",
                          NULL};
    const char *python[] = {program, "-c", code_python_worker, "--check", NULL};
    const char **argv = language == CODE_NODE ? node : python;
    struct buf answer = BUF_INIT(ANSWER_MAX);
    size_t size = 0;
    char *text = json_text(codes, &size);
    if (ask((char *const *)(uintptr_t)argv, str_n(text, size), 1, &answer) == 0)
        take_answers(buf_str(&answer), language, checks, count);
    buf_release(&answer);
    free(text);
    json_free(codes);
}

/* ---- bash: "PROGRAM: line 3: syntax error near …" */

static void ask_bash(const char *program, struct syntax_check *check)
{
    const char *argv[] = {program, "-n", NULL};
    struct buf answer = BUF_INIT(ANSWER_MAX);
    int status = ask((char *const *)(uintptr_t)argv, check->text, 2, &answer);
    struct str rest = buf_str(&answer), line = STR_NONE;
    (void)str_cut(&rest, '\n', &line); /* the first of them */
    ptrdiff_t at = status > 0 ? str_find(line, ": line ", 0) : -1;
    if (at >= 0) {
        struct str where = str_n(line.ptr + at + 7, line.len - (size_t)at - 7), number = STR_NONE;
        uint64_t value = 0;
        if (str_cut(&where, ':', &number) && num_parse_u64(number, &value) == 0) {
            struct str text = str_trim(where);
            check->line = (size_t)value;
            check->error = str_dup(text);
        }
    }
    buf_release(&answer);
}

void syntax_check_all(const char *dir, struct syntax_check *checks, size_t count)
{
    for (int language = 0; language < CODE_LANGUAGES; language++) {
        size_t of_it = 0;
        for (size_t i = 0; i < count; i++)
            of_it += checks[i].language == (enum code_language)language;
        char *program = of_it ? code_interpreter((enum code_language)language, dir) : NULL;
        if (program && language != CODE_BASH)
            ask_worker(program, (enum code_language)language, checks, count);
        for (size_t i = 0; program && language == CODE_BASH && i < count; i++)
            if (checks[i].language == CODE_BASH)
                ask_bash(program, &checks[i]);
        free(program);
    }
}
