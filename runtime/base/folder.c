#include "base/folder.h"

#include "base/buf.h"
#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
    CLOCK_COARSE_MS = 100, /* a file's times come from the kernel's coarse clock */
    SYNCS_MAX = 32,        /* of single files; more of them are synced with all their neighbours */
};

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int fail(const char *what, const char *name, struct err *err)
{
    return err_set(err, RN_EIO, "%s cannot be %s: %s", name, what, strerrordesc_np(errno));
}

/* ---- measuring */

struct measure {
    int64_t since_ms;
    uint64_t entries, changed;
    struct folder_use use;
};

static bool has_changed(const struct measure *m, const struct stat *st)
{
    int64_t ms = (int64_t)st->st_ctim.tv_sec * 1000 + st->st_ctim.tv_nsec / 1000000;
    return ms + CLOCK_COARSE_MS >= m->since_ms;
}

static int measure_folder(struct measure *m, int fd, int depth, struct err *err);

static int measure_entry(struct measure *m, int dir, const char *name, int depth, struct err *err)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT ? 0 : fail("looked at", name, err);
    if (++m->entries > LIMIT_FOLDER_ENTRIES)
        return err_set(err, RN_ETOOBIG, "there are more than %d files", LIMIT_FOLDER_ENTRIES);
    if (S_ISDIR(st.st_mode)) {
        if (depth >= LIMIT_FOLDER_DEPTH)
            return err_set(err, RN_ETOOBIG, "folders are nested more than %d deep",
                           LIMIT_FOLDER_DEPTH);
        int fd = openat(dir, name, FOLDER_FLAGS);
        return fd < 0 ? fail("opened", name, err) : measure_folder(m, fd, depth + 1, err);
    }
    if (!S_ISREG(st.st_mode))
        return 0;
    m->use.files++;
    m->use.bytes += (uint64_t)st.st_size;
    if (!has_changed(m, &st) || ++m->changed > SYNCS_MAX)
        return 0;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int rc = fd < 0 ? 0 : fsync(fd); /* one that cannot be read is the code's own affair */
    if (rc)
        rc = fail("written to the disk", name, err);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Takes `fd`. */
static int measure_folder(struct measure *m, int fd, int depth, struct err *err)
{
    DIR *dir = fdopendir(fd);
    struct stat st;
    int rc = 0;
    if (!dir) {
        close(fd);
        return fail("read", "a folder", err);
    }
    for (struct dirent *e; rc == 0 && (e = readdir(dir));)
        if (!is_dots(e->d_name))
            rc = measure_entry(m, dirfd(dir), e->d_name, depth, err);
    if (rc == 0 && fstat(dirfd(dir), &st) == 0 && has_changed(m, &st) && m->entries)
        rc = fsync(dirfd(dir)) ? fail("written to the disk", "a folder", err) : 0;
    (void)closedir(dir);
    return rc;
}

/* The folder's own name in the one above it; or everything, where that is less work. */
static int sync_above(const char *path, bool is_all, struct err *err)
{
    char *above = xasprintf("%s/..", path);
    int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    if (fd < 0 || (is_all ? syncfs(fd) : fsync(fd)))
        rc = fail("written to the disk", path, err);
    if (fd >= 0)
        close(fd);
    free(above);
    return rc;
}

int folder_measure(const char *path, uint64_t limit, int64_t since_ms, struct folder_use *ret,
                   struct err *err)
{
    struct measure m = {.since_ms = since_ms};
    int fd = open(path, FOLDER_FLAGS), rc = 0;
    if (fd >= 0)
        rc = measure_folder(&m, fd, 0, err);
    else if (errno != ENOENT) /* the code may have removed it */
        rc = fail("opened", path, err);
    if (rc == 0 && m.changed)
        rc = sync_above(path, m.changed > SYNCS_MAX, err);
    if (rc == 0 && m.use.bytes > limit)
        rc =
            err_set(err, RN_ETOOBIG,
                    "the run's files have %llu bytes, more than the %llu of `limits: { files: … }` "
                    "in runnel.yaml",
                    (unsigned long long)m.use.bytes, (unsigned long long)limit);
    if (rc == 0)
        *ret = m.use;
    return rc;
}

/* ---- removing */

static int remove_inside(int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    int failed = 0;
    if (!dir) {
        close(fd);
        return -1;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        if (is_dots(e->d_name) || unlinkat(dirfd(dir), e->d_name, 0) == 0)
            continue;
        /* A folder may have been left without the right to look into it. */
        (void)!fchmodat(dirfd(dir), e->d_name, 0700, 0);
        int inner =
            depth < 2 * LIMIT_FOLDER_DEPTH ? openat(dirfd(dir), e->d_name, FOLDER_FLAGS) : -1;
        if (inner >= 0)
            failed |= remove_inside(inner, depth + 1);
        failed |= unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
    }
    (void)closedir(dir);
    return failed;
}

int folder_remove(const char *path, struct err *err)
{
    if (rmdir(path) == 0 || errno == ENOENT)
        return 0;
    (void)!fchmodat(AT_FDCWD, path, 0700, 0);
    int fd = open(path, FOLDER_FLAGS);
    if (fd < 0 || remove_inside(fd, 0) || rmdir(path))
        return fail("removed", path, err);
    return 0;
}

/* ---- names */

int folder_name(const char *path, const char *name, struct str *ret, struct err *err)
{
    struct str rest = str_from(name ? name : "");
    const char *const roots[] = {path, "/tmp"};
    for (size_t i = 0; i < COUNT_OF(roots); i++) {
        size_t length = strlen(roots[i]);
        if (!str_starts(rest, roots[i]) || rest.len <= length || rest.ptr[length] != '/')
            continue;
        rest = str_n(rest.ptr + length, rest.len - length);
        while (rest.len && rest.ptr[0] == '/')
            rest = str_n(rest.ptr + 1, rest.len - 1);
        break;
    }
    if (!rest.len)
        return err_set(err, RN_EINVAL, "the name of a file is empty");
    if (rest.ptr[0] == '/')
        return err_set(err, RN_EINVAL,
                       "\"%.200s\" is no file of this run: it is to be a name, or a path in %s",
                       name, path);
    *ret = rest;
    struct str left = rest, part;
    while (str_cut(&left, '/', &part)) {
        if (part.len == 0 || str_eq_c(part, ".") || str_eq_c(part, ".."))
            return err_set(err, RN_EINVAL,
                           "\"%.200s\" is no file of this run: \"" STR_FMT
                           "\" may not be part of its name",
                           name, STR_ARG(part));
    }
    return 0;
}

static int say_open(const char *name, struct err *err)
{
    if (errno == ENOENT)
        return err_set(err, RN_ENOTFOUND, "the run has no file \"%.200s\"", name);
    if (errno == ELOOP || errno == ENOTDIR)
        return err_set(err, RN_EINVAL, "\"%.200s\" goes through a link or a file", name);
    return fail("opened", name, err);
}

int folder_open(const char *path, struct str name, int flags, int *ret_fd, struct err *err)
{
    char *whole = str_dup(name), *part = whole;
    int dir = open(path, FOLDER_FLAGS), fd = -1, rc = 0;
    struct stat st;
    if (dir < 0)
        rc = fail("opened", path, err);
    for (char *slash; rc == 0 && (slash = strchr(part, '/')); part = slash + 1) {
        *slash = '\0';
        if (flags & O_CREAT && mkdirat(dir, part, 0700) && errno != EEXIST)
            rc = fail("made", part, err);
        int next = rc ? -1 : openat(dir, part, FOLDER_FLAGS);
        if (rc == 0 && next < 0)
            rc = say_open(part, err);
        close(dir);
        dir = next;
    }
    if (rc == 0) {
        fd = openat(dir, part, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        if (fd < 0)
            rc = say_open(part, err);
        else if (fstat(fd, &st) || !S_ISREG(st.st_mode))
            rc = err_set(err, RN_EINVAL, "\"%.200s\" is no regular file", part);
    }
    if (dir >= 0)
        close(dir);
    free(whole);
    if (rc == 0)
        *ret_fd = fd;
    else if (fd >= 0)
        close(fd);
    return rc;
}
