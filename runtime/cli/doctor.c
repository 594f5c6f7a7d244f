/* `runnel doctor`: what usually goes wrong, and what to do about it. */
#include "cli/check.h"
#include "cli/cli.h"
#include "code/code.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

static const struct option_spec options[] = {
    {"--accounts", NULL, "test every account too: one call to each vendor"},
};

enum { FILES_WANTED = 1024 };
#define DISK_WANTED (256ull << 20)

/* A finding: "ok", "note" (worth knowing), "bad"; `fix`: what to do. */
struct report {
    const struct args *args;
    struct json *list;
    size_t bad;
};

static void add(struct report *report, const char *state, const char *what, const char *fix,
                const char *format, ...) PRINTF_LIKE(5, 6);

static void add(struct report *report, const char *state, const char *what, const char *fix,
                const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    struct json *item = json_append(report->list, json_new_object());
    json_set_string(item, "check", what);
    json_set_string(item, "state", state);
    json_set_string(item, "text", text);
    json_set_string(item, "fix", fix);
    report->bad += strcmp(state, "bad") == 0;
}

/* ---- the machine */

static bool is_on_path(const char *program)
{
    struct str rest = str_from(getenv("PATH")), dir = STR_NONE;
    while (str_cut(&rest, ':', &dir)) {
        char *path = xasprintf(STR_FMT "/%s", STR_ARG(dir), program);
        bool is_there = access(path, X_OK) == 0;
        free(path);
        if (is_there)
            return true;
    }
    return false;
}

static void check_machine(struct report *report)
{
    static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                          "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    bool has_bundle = false;
    struct rlimit files = {0, 0};
    for (size_t i = 0; i < COUNT_OF(bundles); i++)
        has_bundle |= access(bundles[i], R_OK) == 0;
    add(report, has_bundle ? "ok" : "bad", "certificates",
        has_bundle ? NULL : "install the package ca-certificates",
        has_bundle ? "the vendors' TLS certificates can be verified"
                   : "there are no CA certificates: every https request would fail");
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES_WANTED)
        add(report, "note", "open files", "raise it with `ulimit -n 4096` before `runnel up`",
            "at most %llu open files: fewer connections than runnel serves at once",
            (unsigned long long)files.rlim_cur);
    bool has_node = is_on_path("node") || is_on_path("nodejs"), has_npm = is_on_path("npm");
    if (has_node && has_npm)
        add(report, "ok", "node, npm", NULL, "both are on the PATH");
    else
        add(report, "note", "node, npm", "install the packages nodejs and npm",
            "%s not on the PATH: components and expressions work without; building runnel needs "
            "both",
            has_node  ? "npm is"
            : has_npm ? "node is"
                      : "neither is");
}

/* The interpreters of code steps: their version, as they say it themselves. */
static void check_interpreters(struct report *report, const char *dir)
{
    for (int i = 0; i < CODE_LANGUAGES; i++) {
        char what[32], line[128] = "";
        char *program = code_interpreter((enum code_language)i, dir);
        (void)snprintf(what, sizeof(what), "%s steps", code_language_name((enum code_language)i));
        int code = program ? code_version(program, line, sizeof(line)) : 0;
        if (!program)
            add(report, "note", what, code_install_hint((enum code_language)i),
                "%s is not installed: only code steps in it need it",
                code_language_name((enum code_language)i));
        else
            add(report, code ? "bad" : "ok", what,
                code ? code_install_hint((enum code_language)i) : NULL, "%s, %s",
                code ? "it does not run" : line, program);
        free(program);
    }
}

/* ---- the data folder */

static void check_mode(struct report *report, const char *what, const char *path)
{
    struct stat info;
    if (stat(path, &info))
        return;
    if (info.st_mode & 077) {
        char *fix = xasprintf("chmod %s %s", S_ISDIR(info.st_mode) ? "700" : "600", path);
        add(report, "bad", what, fix, "others can read %s (mode %03o)", path,
            (unsigned)info.st_mode & 0777);
        free(fix);
    } else {
        add(report, "ok", what, NULL, "%s is yours alone", path);
    }
}

static void check_data(struct report *report)
{
    static const struct {
        long magic;
        const char *name;
    } remote[] = {{0x6969, "NFS"}, {0xFF534D42, "CIFS"}, {0xFE534D42, "SMB"}, {0x01021997, "9p"}};
    const char *data = report->args->data;
    struct statvfs disk;
    struct statfs kind;
    struct stat info;
    if (stat(data, &info)) {
        add(report, "ok", "data folder", NULL, "%s is made by the first `runnel up`", data);
        data = report->args->project;
    } else if (access(data, W_OK | X_OK)) {
        add(report, "bad", "data folder", "run runnel as its owner, or choose another with --data",
            "%s cannot be written by this user", data);
    } else {
        check_mode(report, "data folder", data);
    }
    for (size_t i = 0; statfs(data, &kind) == 0 && i < COUNT_OF(remote); i++)
        if (((unsigned long)kind.f_type & 0xFFFFFFFF) == (unsigned long)remote[i].magic)
            add(report, "bad", "file system", "use a local disk: --data DIR, or $RUNNEL_DATA",
                "%s is on %s, where the store's locks and memory maps are not safe", data,
                remote[i].name);
    if (statvfs(data, &disk) == 0) {
        unsigned long long left = (unsigned long long)disk.f_bavail * disk.f_frsize;
        add(report, left < DISK_WANTED ? "bad" : "ok", "disk",
            left < DISK_WANTED ? "make room, or move the data folder with --data" : NULL,
            "%llu MiB free%s", left >> 20,
            left < DISK_WANTED ? ": new events are refused (503) when it is full" : "");
    }
    static const char *const names[][2] = {{"seal key", "keys/seal.key"},
                                           {"admin token", "admin-token"}};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char *path = xasprintf("%s/%s", report->args->data, names[i][1]);
        check_mode(report, names[i][0], path);
        free(path);
    }
    char *env = xasprintf("%s/.env", report->args->project);
    check_mode(report, ".env", env);
    free(env);
}

/* ---- the project */

static void check_project(struct report *report, const struct project *project,
                          const struct catalog *catalog, const struct problems *problems)
{
    size_t errors = problems_errors(problems), components = catalog_component_count(catalog);
    add(report, errors ? "bad" : "ok", "files", errors ? "`runnel check` lists them" : NULL,
        errors ? "%zu error%s" : "%zu workflow%s without errors",
        errors ? errors : project->workflow_count,
        (errors ? errors : project->workflow_count) == 1 ? "" : "s");
    if (components)
        add(report, "ok", "components", NULL, "%zu of %zu apps", components,
            catalog_app_count(catalog));
    else
        add(report, "bad", "components",
            "they belong beside the binary (components/) or in <prefix>/lib/…/runnel/components: "
            "`cmake --install` puts them there",
            "no plugin was found");
    for (size_t i = 0; catalog_problem(catalog, i); i++)
        add(report, "bad", "plugin", "`runnel components install FILE` with a good build of it",
            "%s", catalog_problem(catalog, i));
}

/* Whether a listener could be opened at "host:port"; "" or what is in the way. */
static const char *port_problem(const char *address)
{
    struct str rest = str_from(address), host = STR_NONE;
    struct sockaddr_in at = {.sin_family = AF_INET};
    uint64_t port = 0;
    (void)str_cut(&rest, ':', &host);
    char *name = str_dup(host);
    bool is_known = inet_pton(AF_INET, name, &at.sin_addr) == 1 &&
                    num_parse_u64(rest, &port) == 0 && port <= 65535;
    free(name);
    int fd = is_known ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1, one = 1;
    if (fd < 0)
        return ""; /* IPv6 and the like: `runnel up` says */
    at.sin_port = htons((uint16_t)port);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    const char *problem = bind(fd, (const struct sockaddr *)(const void *)&at, sizeof(at)) == 0 ? ""
                          : errno == EADDRINUSE    ? "another program has this port"
                          : errno == EACCES        ? "ports below 1024 need root or a capability"
                          : errno == EADDRNOTAVAIL ? "this machine has no such address"
                                                   : "a listener cannot be opened there";
    close(fd);
    return problem;
}

static void check_ports(struct report *report, const struct project *project)
{
    const char *const addresses[][2] = {{"listen", project->listen}, {"admin", project->admin}};
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        const char *problem = port_problem(addresses[i][1]);
        char *fix = xasprintf("change `%s` in runnel.yaml, or use `runnel up --%s ADDR`",
                              addresses[i][0], addresses[i][0]);
        add(report, *problem ? "bad" : "ok", addresses[i][0], *problem ? fix : NULL, "%s %s",
            addresses[i][1], *problem ? problem : "is free");
        free(fix);
    }
}

static void check_mail(struct report *report, const struct project *project)
{
    const struct smtp *smtp = &project->smtp;
    if (smtp->url)
        add(report, "ok", "mail", NULL, "by %s, from %s, to %s unless a step says otherwise",
            smtp->url, smtp->from ? smtp->from : "nobody", smtp->to ? smtp->to : "nobody");
    else
        add(report, "note", "mail", "add `smtp: { url, from, to }` to runnel.yaml if they are to",
            "steps cannot send mail ($.send.email)");
}

/* ---- the runtime */

static void check_store(struct report *report, const struct json *status)
{
    const struct json *store = json_get(status, "store");
    bool is_full = json_get_bool(store, "full", false);
    add(report, is_full ? "bad" : "ok", "store",
        is_full ? "raise limits.store in runnel.yaml, or lower limits.history" : NULL,
        "%lld of %lld MiB, %lld events, %lld runs, %lld queued%s",
        (long long)json_get_i64(store, "used_bytes", 0) >> 20,
        (long long)json_get_i64(store, "quota_bytes", 0) >> 20,
        (long long)json_get_i64(store, "events", 0), (long long)json_get_i64(store, "runs", 0),
        (long long)json_get_i64(store, "queued", 0), is_full ? "; new events are refused" : "");
}

static void check_sources(struct report *report, struct client *client, bool has_public_url)
{
    struct json *sources = NULL;
    bool is_unreachable = false;
    if (client_call(client, "GET", "sources", NULL, &sources, NULL))
        return;
    for (const struct json *s = json_first(sources); s; s = json_next(s)) {
        const char *error = json_get_c(s, "error"), *id = json_get_c(s, "id"),
                   *endpoint = json_get_c(s, "endpoint");
        if (error)
            add(report, "bad", "source", "it is tried again; `runnel logs` has its lines", "%s: %s",
                id, error);
        is_unreachable |= endpoint && strstr(endpoint, "://127.") && !has_public_url;
    }
    if (is_unreachable)
        add(report, "note", "public_url",
            "put a tunnel or a reverse proxy before it and set public_url in runnel.yaml",
            "endpoints begin with 127.0.0.1: the sandbox reaches them, vendors cannot");
    json_free(sources);
}

static void check_accounts(struct report *report, struct client *client)
{
    struct json *accounts = NULL;
    if (client_call(client, "GET", "accounts", NULL, &accounts, NULL))
        return;
    for (const struct json *a = json_first(accounts); a; a = json_next(a)) {
        struct err err = ERR_INIT;
        const char *name = json_get_c(a, "name");
        char *path = xasprintf("accounts/%s/test", name);
        int rc = client_call(client, "POST", path, NULL, NULL, &err);
        add(report, rc ? "bad" : "ok", "account",
            rc ? "check its values in runnel.yaml and .env, or `runnel accounts add` it anew"
               : NULL,
            "%s %s", name, rc ? err.text : "works");
        free(path);
    }
    json_free(accounts);
}

static void check_runtime(struct report *report, const struct project *project)
{
    struct json *status = NULL;
    struct err err = ERR_INIT;
    struct client *client = client_open(report->args->project, true);
    int rc = client ? client_call(client, "GET", "status", NULL, &status, &err)
                    : err_set(&err, RN_EUNAVAILABLE, "the store cannot be opened (see above)");
    if (rc) {
        add(report, "bad", "runtime", "stop it (`runnel down`, or by its pid) and start it again",
            "%s", err.text);
        client_close(client);
        return;
    }
    check_store(report, status);
    if (client_is_own(client)) {
        check_ports(report, project);
        add(report, "note", "runtime", "`runnel up` starts it", "not up");
    } else {
        add(report, "ok", "runtime", NULL, "up, ingest %s", json_get_c(status, "ingest"));
    }
    for (const struct json *p = json_first(json_get(status, "plugins")); p; p = json_next(p)) {
        const char *error = json_get_c(p, "last_error");
        bool is_bad = str_eq_c(json_get_text(p, "state"), "quarantined");
        add(report, is_bad ? "bad" : "ok", "plugin host",
            is_bad ? "install a mended build (`runnel components install`), or restart runnel"
                   : NULL,
            "%s: %s%s%s", json_get_c(p, "plugin"), json_get_c(p, "state"),
            error ? ", last crash: " : "", error ? error : "");
    }
    check_sources(report, client, project->public_url != NULL);
    if (report->args->options[0])
        check_accounts(report, client);
    json_free(status);
    client_close(client);
}

static void print(const struct report *report)
{
    for (const struct json *i = json_first(report->list); i; i = json_next(i)) {
        const char *state = json_get_c(i, "state"), *fix = json_get_c(i, "fix");
        printf("%s%-5s%s%-13s ", out_status_color(state), state, out_reset(),
               json_get_c(i, "check"));
        char *text = out_clean(json_get_c(i, "text"));
        printf("%s\n", text);
        free(text);
        if (fix)
            printf("%19s→ %s\n", "", fix);
    }
    if (report->bad)
        printf("\n%zu thing%s to mend\n", report->bad, report->bad == 1 ? "" : "s");
    else
        printf("\nall is in order\n");
}

static int run_doctor(const struct args *args)
{
    struct problems problems = PROBLEMS_INIT;
    struct catalog *catalog = NULL;
    struct project *project = NULL;
    struct err err = ERR_INIT;
    struct report report = {.args = args, .list = json_new_array()};
    int rc = check_load(args, &catalog, &project, &problems, &err);
    check_machine(&report);
    check_interpreters(&report, rc ? NULL : project->dir);
    if (rc) {
        add(&report, "bad", "project", "`runnel init DIR` makes one; --project DIR names one", "%s",
            err.text);
    } else {
        add(&report, "ok", "project", NULL, "%s", project->dir);
        check_project(&report, project, catalog, &problems);
        check_mail(&report, project);
        check_data(&report);
        check_runtime(&report, project);
    }
    if (args->is_json)
        out_json(report.list);
    else
        print(&report);
    json_free(report.list);
    problems_release(&problems);
    project_unref(project);
    catalog_unref(catalog);
    return report.bad ? 1 : 0;
}

const struct command command_doctor = {
    .name = "doctor",
    .usage = "[--accounts]",
    .summary = "is everything in order? machine, project, plugins, store, runtime",
    .help = "Each line is ok, a note, or bad with what to do about it. Exits with 1 if something "
            "is bad.",
    .examples = "runnel doctor\n"
                "runnel doctor --accounts      # are the credentials still good?",
    .options = options,
    .option_count = COUNT_OF(options),
    .run = run_doctor,
};
