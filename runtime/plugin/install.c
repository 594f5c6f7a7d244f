/* Describing plugins in throw-away processes, and installing them into a project. */
#include "plugin/install.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "crypto/hmac.h"
#include "plugin/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DESCRIBE_MS = 10000 };

/* ---- describing */

static bool read_some(int fd, struct buf *out)
{
    char chunk[16384];
    ssize_t n = read(fd, chunk, sizeof(chunk));
    if (n > 0)
        buf_add(out, chunk, (size_t)n);
    return n > 0;
}

/* Both streams to their end, or until the time is up. */
static bool drain(int out_fd, int err_fd, struct buf *out, struct buf *errors)
{
    struct pollfd fds[] = {{out_fd, POLLIN, 0}, {err_fd, POLLIN, 0}};
    int64_t until = clock_mono_ms() + DESCRIBE_MS;
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        int64_t left = until - clock_mono_ms();
        if (left <= 0)
            return false;
        if (poll(fds, 2, (int)left) < 0 && errno != EINTR)
            return false;
        if (fds[0].revents && !read_some(out_fd, out))
            fds[0].fd = -1;
        if (fds[1].revents && !read_some(err_fd, errors))
            fds[1].fd = -1;
    }
    return true;
}

static int read_failure(int status, bool is_late, const struct buf *errors, struct err *err)
{
    if (is_late)
        return err_set(err, RN_ETIMEDOUT,
                       "the plugin did not load within %d s (a constructor that hangs?)",
                       DESCRIBE_MS / 1000);
    if (WIFSIGNALED(status))
        return err_set(err, RN_EFAILED, "the plugin crashed while it was loaded: signal %d (%s)",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    struct str rest = str_trim(buf_str(errors)), code = STR_NONE;
    if (!str_starts(rest, "RN_E"))
        return err_set(err, RN_EFAILED,
                       "the plugin ended its process while it was loaded (exit status %d)",
                       WEXITSTATUS(status));
    (void)str_cut(&rest, ' ', &code);
    char *name = str_dup(code);
    int rc = err_set(err, err_from_name(name), STR_FMT, STR_ARG(rest));
    free(name);
    return rc;
}

int plugin_describe_file(const char *file, struct json **ret, struct err *err)
{
    int out[2] = {-1, -1}, errors[2] = {-1, -1};
    if (pipe2(out, O_CLOEXEC) || pipe2(errors, O_CLOEXEC))
        return err_set(err, RN_EIO, "pipe: %s", strerror(errno));
    char *program = xstrdup("/proc/self/exe"), *path = xstrdup(file);
    char command[] = "plugin-host", option[] = "--describe";
    char *argv[] = {program, command, option, path, NULL};
    char path_setting[] = "PATH=/usr/bin:/bin", lang[] = "LANG=C.UTF-8";
    char *env[] = {path_setting, lang, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, errors[1], 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    pid_t pid = 0;
    int failed = posix_spawn(&pid, program, &actions, NULL, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(errors[1]);
    struct buf text = BUF_INIT(MIB(8)), complaint = BUF_INIT(KIB(64));
    int rc = 0;
    if (failed) {
        rc = err_set(err, RN_EUNAVAILABLE,
                     "a process to look at the plugin could not be started: %s", strerror(failed));
    } else {
        int status = 0;
        bool is_late = !drain(out[0], errors[0], &text, &complaint);
        if (is_late)
            (void)kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
        if (is_late || !WIFEXITED(status) || WEXITSTATUS(status))
            rc = read_failure(status, is_late, &complaint, err);
        else if ((rc = json_parse(buf_str(&text), ret, err)))
            (void)err_prefix(err, "the plugin ended or disturbed its process while it was loaded");
    }
    close(out[0]);
    close(errors[0]);
    buf_release(&text);
    buf_release(&complaint);
    free(program);
    free(path);
    return rc;
}

/* ---- files */

static int read_json(const char *path, struct json **ret)
{
    char *text = NULL;
    size_t size = 0;
    int rc = file_read(path, path, MIB(8), &text, &size, NULL);
    rc = rc ? rc : json_parse(str_n(text, size), ret, NULL);
    free(text);
    return rc;
}

static int write_json(const char *path, const struct json *value, struct err *err)
{
    char *draft = xasprintf("%s.%d", path, (int)getpid()), *text = json_text(value, NULL);
    FILE *file = fopen(draft, "we");
    bool failed = !file || fputs(text, file) == EOF;
    if (file) {
        failed |= fflush(file) != 0 || fsync(fileno(file)) != 0;
        failed |= fclose(file) != 0;
    }
    failed = failed || rename(draft, path) != 0;
    int rc = failed ? err_set(err, RN_EIO, "%s cannot be written: %s", path, strerror(errno)) : 0;
    free(text);
    free(draft);
    return rc;
}

static void make_dirs(const char *data_dir, const char *first, const char *second)
{
    char *path = xasprintf("%s/%s", data_dir, first);
    (void)mkdir(path, 0700);
    free(path);
    if (second) {
        path = xasprintf("%s/%s/%s", data_dir, first, second);
        (void)mkdir(path, 0700);
        free(path);
    }
}

int describe_cached(const char *path, const char *sha256, const char *data_dir, struct json **ret,
                    struct err *err)
{
    char *cached = data_dir ? xasprintf("%s/cache/describe/%s.json", data_dir, sha256) : NULL;
    int rc = cached && read_json(cached, ret) == 0 ? 0 : plugin_describe_file(path, ret, err);
    if (rc == 0 && cached && access(cached, F_OK)) {
        make_dirs(data_dir, "cache", "describe");
        (void)!write_json(cached, *ret, NULL); /* a cache that cannot be written is only slower */
    }
    free(cached);
    return rc;
}

struct json *install_index(const char *data_dir)
{
    char *path = xasprintf("%s/components/index.json", data_dir);
    struct json *index = NULL;
    if (read_json(path, &index) || !json_is(index, JSON_OBJECT)) {
        json_free(index);
        index = json_new_object();
    }
    free(path);
    return index;
}

static int write_index(const char *data_dir, const struct json *index, struct err *err)
{
    char *path = xasprintf("%s/components/index.json", data_dir);
    int rc = write_json(path, index, err);
    free(path);
    return rc;
}

static int copy_file(const char *from, const char *to, struct err *err)
{
    char *draft = xasprintf("%s.%d", to, (int)getpid());
    int in = open(from, O_RDONLY | O_CLOEXEC),
        out = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0500);
    char chunk[65536];
    size_t total = 0;
    ssize_t n = in < 0 || out < 0 ? -1 : 1;
    while (n > 0 && (n = read(in, chunk, sizeof(chunk))) > 0) {
        total += (size_t)n;
        if (total > LIMIT_PLUGIN_FILE || write(out, chunk, (size_t)n) != n)
            n = -1;
    }
    bool failed = n < 0 || fsync(out) != 0 || rename(draft, to) != 0;
    int rc = failed ? err_set(err, total > LIMIT_PLUGIN_FILE ? RN_ETOOBIG : RN_EIO,
                              "%s cannot be copied to %s", from, to)
                    : 0;
    if (failed)
        (void)unlink(draft);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    free(draft);
    return rc;
}

int catalog_install(const char *data_dir, const char *file, struct json **ret_description,
                    struct err *err)
{
    char sha256[65], copied[65];
    struct json *description = NULL;
    int rc = crypto_hash_file(file, sha256, err);
    if (rc)
        return rc;
    make_dirs(data_dir, "components", NULL);
    char *to = xasprintf("%s/components/%s.so", data_dir, sha256);
    if (access(to, F_OK))
        rc = copy_file(file, to, err);
    /* What is described is the copy, so that nobody changes the file between the look and the use.
     */
    rc = rc ? rc : crypto_hash_file(to, copied, err);
    if (rc == 0 && strcmp(copied, sha256) != 0)
        rc = err_set(err, RN_ECONFLICT, "%s changed while it was copied: try again", file);
    rc = rc ? rc : plugin_describe_file(to, &description, err);
    if (rc) {
        (void)unlink(to);
        if (err && str_starts(str_from(err->text), to)) { /* the user knows it by another name */
            char *text = xasprintf("%s%s", file, err->text + strlen(to));
            (void)err_set(err, rc, "%s", text);
            free(text);
        }
    } else {
        struct json *index = install_index(data_dir);
        json_set_string(index, json_get_c(description, "name"), sha256);
        rc = write_index(data_dir, index, err);
        json_free(index);
    }
    free(to);
    if (rc)
        json_free(description);
    else
        *ret_description = description;
    return rc;
}

int catalog_uninstall(const char *data_dir, const char *name, struct err *err)
{
    struct json *index = install_index(data_dir);
    int rc = json_get(index, name) ? 0
                                   : err_set(err, RN_ENOTFOUND,
                                             "no plugin \"%s\" is installed in this project", name);
    if (rc == 0) {
        json_remove(index, name);
        rc = write_index(data_dir, index, err);
    }
    json_free(index);
    return rc;
}
