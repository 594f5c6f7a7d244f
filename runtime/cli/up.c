/* `runnel up`: the runtime in the foreground until Ctrl-C, SIGTERM or `runnel down`. Watches the
 * project's files. */
#include "cli/cli.h"

#include "api/server.h"
#include "base/log.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SETTLE_MS = 150, /* an editor writes a file in several steps */
};

static const struct option_spec options[] = {
    {"--listen", "ADDR", "ingest listener, e.g. 127.0.0.1:8080; port 0 picks a free one"},
    {"--admin", "ADDR", "admin listener"},
    {"--data", "DIR", "data folder instead of .runnel"},
    {"--sandbox", NULL, "start the sandbox and send every vendor's requests there"},
    {"--sandbox-listen", "ADDR", "where the sandbox listens (127.0.0.1:9400)"},
    {"--sandbox-limits", "N", "its rate limits: real (unless given), off, or N times as much"},
    {"--verbose", NULL, "log debug lines too"},
};
enum { LISTEN, ADMIN, DATA, SANDBOX, SANDBOX_LISTEN, SANDBOX_LIMITS, VERBOSE };

static void watch_folder(int fd, const char *dir, const char *folder)
{
    char *path = xasprintf("%s%s", dir, folder);
    (void)inotify_add_watch(fd, path,
                            IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE);
    free(path);
}

static int watch(const char *dir, const char *data)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    static const char *const folders[] = {"", "/workflows", "/sources"};
    for (size_t i = 0; fd >= 0 && i < COUNT_OF(folders); i++)
        watch_folder(fd, dir, folders[i]);
    if (fd >= 0)
        watch_folder(fd, data, "/components");
    return fd;
}

/* Whether what happened concerns the project: *.yaml, .env, the index of installed plugins; not an
 * editor's own files. */
static bool read_changes(int fd)
{
    char data[4096] __attribute__((aligned(8)));
    bool concerns = false;
    ssize_t n;
    while ((n = read(fd, data, sizeof(data))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event =
                (const struct inotify_event *)(const void *)(data + at);
            struct str name = str_from(event->len ? event->name : "");
            concerns |= str_ends(name, ".yaml") || str_eq_c(name, ".env") ||
                        str_eq_c(name, "index.json") || str_eq_c(name, "workflows") ||
                        str_eq_c(name, "sources");
            at += (ssize_t)sizeof(*event) + (ssize_t)event->len;
        }
    }
    return concerns;
}

static void reload(struct server *server)
{
    struct problems problems = PROBLEMS_INIT;
    struct err err = ERR_INIT;
    int rc = engine_reload(server_engine(server), &problems, &err);
    problems_sort(&problems);
    struct buf text = BUF_INIT(MIB(1));
    problems_write(&text, &problems);
    fputs(buf_c(&text), stderr);
    if (rc)
        log_error("the project was not read again: %s", err.text);
    else
        log_info("project read again%s",
                 problems_errors(&problems) ? "; what has errors stays as it was" : "");
    buf_release(&text);
    problems_release(&problems);
}

static void serve(struct server *server, int signals, const char *dir, const char *data)
{
    int changes = watch(dir, data);
    struct pollfd fds[] = {
        {signals, POLLIN, 0}, {server_shutdown_fd(server), POLLIN, 0}, {changes, POLLIN, 0}};
    bool is_changed = false;
    for (;;) {
        int n = poll(fds, COUNT_OF(fds), is_changed ? SETTLE_MS : -1);
        if (n < 0 && errno == EINTR)
            continue;
        if (fds[0].revents || fds[1].revents)
            break;
        if (n == 0 && is_changed) {
            is_changed = false;
            reload(server);
            close(changes); /* folders may have come meanwhile */
            changes = watch(dir, data);
            fds[2].fd = changes;
        } else if (fds[2].revents) {
            is_changed |= read_changes(changes);
        }
    }
    close(changes);
}

static struct sandbox *start_sandbox(const struct args *args, const char *dir,
                                     struct engine_rewrite **ret_rewrites, size_t *ret_count,
                                     struct err *err)
{
    char *state = xasprintf("%s/.runnel/sandbox.json", dir), *data = xasprintf("%s/.runnel", dir);
    struct sandbox *sandbox = NULL;
    struct sandbox_options sandbox_options = {
        .listen = args->options[SANDBOX_LISTEN] ? args->options[SANDBOX_LISTEN] : "127.0.0.1:9400",
        .state_file = state};
    (void)mkdir(data, 0700);
    if (args->options[SANDBOX_LIMITS] &&
        sandbox_read_limits(args->options[SANDBOX_LIMITS], &sandbox_options.limits, err)) {
        free(state);
        free(data);
        return NULL;
    }
    if (sandbox_start(&sandbox_options, &sandbox, err) == 0) {
        size_t count = 0;
        const struct sandbox_rewrite *rewrites = sandbox_rewrites(sandbox, &count);
        *ret_rewrites = xcalloc(count, sizeof(**ret_rewrites));
        *ret_count = count;
        for (size_t i = 0; i < count; i++)
            (*ret_rewrites)[i] = (struct engine_rewrite){rewrites[i].from, rewrites[i].to};
    }
    free(state);
    free(data);
    return sandbox;
}

static int block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int run(const struct args *args)
{
    const char *dir = cli_project(args->count ? args->positional[0] : NULL);
    struct engine_rewrite *rewrites = NULL;
    struct sandbox *sandbox = NULL;
    struct server *server = NULL;
    struct problems problems = PROBLEMS_INIT;
    struct err err = ERR_INIT;
    struct server_options server_options = {.engine = {.dir = dir, .data_dir = args->options[DATA]},
                                            .listen = args->options[LISTEN],
                                            .admin = args->options[ADMIN]};
    int signals = block_signals(); /* before any thread */
    log_set_level(args->options[VERBOSE] ? LOG_DEBUG : LOG_INFO);
    int rc = 0;
    if (args->options[SANDBOX]) {
        sandbox = start_sandbox(args, dir, &rewrites, &server_options.engine.rewrite_count, &err);
        server_options.engine.rewrites = rewrites;
        rc = sandbox ? 0 : err.code;
    }
    rc = rc ? rc : server_start(&server_options, &server, &problems, &err);
    problems_sort(&problems);
    struct buf text = BUF_INIT(MIB(1));
    problems_write(&text, &problems);
    fputs(buf_c(&text), stderr);
    buf_release(&text);
    problems_release(&problems);
    if (rc == 0) {
        printf("ready ingest=%s admin=%s%s%s\n", server_ingest_url(server),
               server_admin_url(server), sandbox ? " sandbox=" : "",
               sandbox ? sandbox_url(sandbox) : "");
        fflush(stdout);
        char *link = server_link(server);
        fprintf(stderr, "console: %s (signs in once, within 15 minutes)\n", link);
        free(link);
        char *data =
            args->options[DATA] ? xstrdup(args->options[DATA]) : xasprintf("%s/.runnel", dir);
        serve(server, signals, dir, data);
        free(data);
        log_info("stopping: in-flight requests are answered, runs are parked");
        server_stop(server);
    } else {
        (void)out_error(&err);
    }
    sandbox_stop(sandbox);
    free(rewrites);
    close(signals);
    return rc ? 1 : 0;
}

const struct command command_up = {
    .name = "up",
    .usage = "up [DIR] [--listen ADDR] [--admin ADDR] [--data DIR] [--sandbox]",
    .summary = "run the project here until Ctrl-C",
    .help = "Deploys what the files say, listens, runs workflows, and follows changes of the "
            "files. Prints one line on stdout when it is\n"
            "ready: `ready ingest=URL admin=URL`; the log goes to stderr. Ctrl-C answers what is "
            "in flight and parks runs; the next\n"
            "`runnel up` takes them up again.",
    .options = options,
    .option_count = COUNT_OF(options),
    .max_args = 1,
    .run = run,
};
