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
    {"--sandbox", NULL, "start the sandbox and send every vendor's requests there"},
    {"--listen", "ADDR", "ingest listener (127.0.0.1:8080); port 0 picks a free one"},
    {"--admin", "ADDR", "admin listener (127.0.0.1:8081)"},
    {"--sandbox-listen", "ADDR", "where the sandbox listens (127.0.0.1:9400)"},
    {"--sandbox-limits", "N", "its rate limits: real (unless given), off, or N times as much"},
    {"-v, --verbose", NULL, "log debug lines too"},
};
enum { SANDBOX, LISTEN, ADMIN, SANDBOX_LISTEN, SANDBOX_LIMITS, VERBOSE };

static void watch_folder(int fd, const char *dir, const char *folder)
{
    char *path = xasprintf("%s%s", dir, folder);
    (void)inotify_add_watch(fd, path,
                            IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE);
    free(path);
}

/* Adds what is there of the project's folders; those that are watched already stay so. */
static void watch(int fd, const char *dir, const char *data)
{
    static const char *const folders[] = {"", "/workflows", "/sources"};
    for (size_t i = 0; fd >= 0 && i < COUNT_OF(folders); i++)
        watch_folder(fd, dir, folders[i]);
    if (fd >= 0)
        watch_folder(fd, data, "/components");
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

static void serve(struct server *server, int signals, int changes, const char *dir,
                  const char *data)
{
    watch(changes, dir, data); /* a folder may have come with the start */
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
            watch(changes, dir, data); /* folders may have come meanwhile */
        } else if (fds[2].revents) {
            is_changed |= read_changes(changes);
        }
    }
}

static struct sandbox *start_sandbox(const struct args *args, struct engine_rewrite **ret_rewrites,
                                     size_t *ret_count, struct err *err)
{
    char *state = xasprintf("%s/sandbox.json", args->data);
    struct sandbox *sandbox = NULL;
    struct sandbox_options sandbox_options = {
        .listen = args->options[SANDBOX_LISTEN] ? args->options[SANDBOX_LISTEN] : "127.0.0.1:9400",
        .state_file = state};
    (void)mkdir(args->data, 0700);
    if (args->options[SANDBOX_LIMITS] &&
        sandbox_read_limits(args->options[SANDBOX_LIMITS], &sandbox_options.limits, err)) {
        free(state);
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

static void print_problems(struct problems *problems)
{
    struct buf text = BUF_INIT(MIB(1));
    problems_sort(problems);
    problems_write(&text, problems);
    fputs(buf_c(&text), stderr);
    buf_release(&text);
    problems_release(problems);
}

/* The line that scripts wait for; a person at a terminal is told what to do with it. */
static void print_ready(const struct args *args, struct server *server, struct sandbox *sandbox)
{
    const char *ingest = server_ingest_url(server), *admin = server_admin_url(server);
    if (args->is_json) {
        struct json *ready = json_new_object();
        json_set_string(ready, "ingest", ingest);
        json_set_string(ready, "admin", admin);
        json_set_string(ready, "sandbox", sandbox ? sandbox_url(sandbox) : NULL);
        json_set_integer(ready, "pid", getpid());
        char *text = json_text(ready, NULL);
        printf("%s\n", text);
        free(text);
        json_free(ready);
    } else {
        printf("ready ingest=%s admin=%s%s%s\n", ingest, admin, sandbox ? " sandbox=" : "",
               sandbox ? sandbox_url(sandbox) : "");
    }
    fflush(stdout);
    char *link = server_link(server);
    fprintf(stderr, "console: %s (signs in once, within 15 minutes)\n", link);
    free(link);
    if (args->is_json || !isatty(STDOUT_FILENO) || !isatty(STDERR_FILENO))
        return;
    struct json *endpoints = engine_endpoints(server_engine(server));
    for (const struct json *e = json_first(endpoints); e; e = json_next(e))
        fprintf(stderr, "  %s/%s  %s  %s\n", json_get_c(e, "workflow"), json_get_c(e, "namespace"),
                json_get_c(e, "state"), json_get_c(e, "url"));
    json_free(endpoints);
    fprintf(stderr,
            "%sIn another terminal:%s%s runnel runs, runnel events -f, runnel logs -f.  "
            "Ctrl-C stops.\n",
            note_style("dim"), note_style("reset"), sandbox ? " runnel sandbox send," : "");
}

static bool is_up_already(const struct args *args)
{
    struct json *running = client_running(args->data);
    struct err err = ERR_INIT;
    if (!running)
        return false;
    (void)err_set(&err, RN_EEXISTS,
                  "a runtime is up for this project already (pid %lld, ingest %s): `runnel down` "
                  "stops it; a second one needs a folder of its own (--data)",
                  (long long)json_get_i64(running, "pid", 0), json_get_c(running, "ingest"));
    (void)out_error(&err);
    json_free(running);
    return true;
}

static int run(const struct args *given)
{
    struct args args = *given;
    if (args.count) { /* up DIR */
        args.project = args.positional[0];
        args.data = cli_data(args.project);
    }
    struct engine_rewrite *rewrites = NULL;
    struct sandbox *sandbox = NULL;
    struct server *server = NULL;
    struct problems problems = PROBLEMS_INIT;
    struct err err = ERR_INIT;
    struct server_options server_options = {.engine = {.dir = args.project, .data_dir = args.data},
                                            .listen = args.options[LISTEN],
                                            .admin = args.options[ADMIN]};
    if (is_up_already(&args))
        return 1;
    int signals = block_signals(); /* before any thread */
    /* before the files are read: what is changed from then on is seen */
    int changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    watch(changes, args.project, args.data);
    log_set_level(args.options[VERBOSE] ? LOG_DEBUG : LOG_INFO);
    int rc = 0;
    if (args.options[SANDBOX]) {
        sandbox = start_sandbox(&args, &rewrites, &server_options.engine.rewrite_count, &err);
        server_options.engine.rewrites = rewrites;
        server_options.sandbox = sandbox ? sandbox_url(sandbox) : NULL;
        server_options.engine.smtp_url = sandbox ? sandbox_smtp_url(sandbox) : NULL;
        rc = sandbox ? 0 : err.code;
    }
    rc = rc ? rc : server_start(&server_options, &server, &problems, &err);
    print_problems(&problems);
    if (rc == 0) {
        print_ready(&args, server, sandbox);
        serve(server, signals, changes, args.project, args.data);
        log_info("stopping: in-flight requests are answered, runs are parked");
        server_stop(server);
    } else {
        (void)out_error(&err);
    }
    sandbox_stop(sandbox);
    free(rewrites);
    close(changes);
    close(signals);
    return rc ? 1 : 0;
}

const struct command command_up = {
    .name = "up",
    .usage = "[DIR] [--sandbox] [--listen ADDR] [--admin ADDR]",
    .summary = "run the project here until Ctrl-C",
    .help =
        "Deploys what the files say, listens, runs workflows, and follows changes of the files. "
        "Prints one line on\nstdout when it is ready: `ready ingest=URL admin=URL`; the log "
        "goes to stderr. Ctrl-C answers what is in\nflight and parks runs; the next `runnel "
        "up` takes them up again.",
    .examples =
        "runnel up --sandbox                   # every vendor's requests go to the sandbox\n"
        "runnel up --listen 0.0.0.0:8080       # reachable from outside (docs/security.md)\n"
        "runnel up my-project --listen 127.0.0.1:0 --admin 127.0.0.1:0     # free ports",
    .options = options,
    .option_count = COUNT_OF(options),
    .max_args = 1,
    .run = run,
};
