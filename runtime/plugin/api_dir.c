/* Files of the run: what an RN_DIR prop gives. */
#include "plugin/run.h"

#include "base/folder.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct rn_prop *find_prop(const struct run *run, const char *name)
{
    for (size_t i = 0; name && i < run->component->prop_count; i++) {
        const struct rn_prop *prop = &run->component->props[i].def;
        if (prop->type == RN_DIR && strcmp(prop->name, name) == 0)
            return prop;
    }
    return NULL;
}

/* The file's name in the run's folder. */
static int32_t find(struct run *run, const char *prop, const char *name, bool is_write,
                    struct str *ret)
{
    struct err why = ERR_INIT;
    if (run->op != RUN_ACTION || !run->files)
        return run_fail(run, RN_EINVAL, "files of a run are for actions with a dir prop");
    const struct rn_prop *def = find_prop(run, prop);
    if (!def)
        return run_fail(run, RN_EINVAL, "the component has no dir prop \"%s\"", prop ? prop : "");
    if (is_write && def->format && strcmp(def->format, "read") == 0)
        return run_fail(run, RN_EPERM, "the dir prop \"%s\" is for reading", prop);
    int code = folder_name(run->files, name, ret, &why);
    return code ? run_fail(run, code, "%s", why.text) : 0;
}

const char *api_dir_path(struct rn_run *rn, const char *prop, const char *name)
{
    struct run *run = run_of(rn);
    struct str inner;
    if (find(run, prop, name, false, &inner))
        return NULL;
    return arena_printf(&run->arena, "%s/" STR_FMT, run->files, STR_ARG(inner));
}

static int32_t read_all(struct run *run, int fd, char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return run_fail(run, RN_EIO, "a file of the run cannot be read: %s",
                            n ? strerrordesc_np(errno) : "it got shorter meanwhile");
        done += (size_t)n;
    }
    return 0;
}

int32_t api_dir_read(struct rn_run *rn, const char *prop, const char *name, const void **ret_data,
                     size_t *ret_size)
{
    struct run *run = run_of(rn);
    struct str inner;
    struct stat st;
    struct err why = ERR_INIT;
    int fd = -1;
    int32_t code = find(run, prop, name, false, &inner);
    if (code)
        return code;
    code = folder_open(run->files, inner, O_RDONLY, &fd, &why);
    if (code)
        return run_fail(run, code, "%s", why.text);
    if (fstat(fd, &st))
        code = run_fail(run, RN_EIO, "a file of the run cannot be looked at");
    else if ((uint64_t)st.st_size > LIMIT_FILE_READ)
        code = run_fail(run, RN_ETOOBIG, "\"" STR_FMT "\" has %lld bytes; at most %zu are read",
                        STR_ARG(inner), (long long)st.st_size, (size_t)LIMIT_FILE_READ);
    if (!code) {
        size_t size = (size_t)st.st_size;
        char *data = arena_alloc(&run->arena, size + 1);
        code = read_all(run, fd, data, size);
        *ret_data = data;
        *ret_size = size;
    }
    close(fd);
    return code;
}

static int32_t write_all(struct run *run, int fd, const char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return run_fail(run, errno == ENOSPC ? RN_ENOSPACE : RN_EIO,
                            "a file of the run cannot be written: %s", strerrordesc_np(errno));
        done += (size_t)n;
    }
    return 0;
}

int32_t api_dir_write(struct rn_run *rn, const char *prop, const char *name, const void *data,
                      size_t size)
{
    struct run *run = run_of(rn);
    struct str inner;
    struct folder_use use;
    struct err why = ERR_INIT;
    int fd = -1;
    int32_t code = find(run, prop, name, true, &inner);
    if (code)
        return code;
    run->services->may_block(run->services_ctx);
    code = folder_measure(run->files, run->files_limit, INT64_MAX, &use, &why);
    if (!code && size > run->files_limit - use.bytes)
        code = err_set(&why, RN_ETOOBIG,
                       "%zu bytes more would be over the %llu of `limits: { files: … }` in "
                       "runnel.yaml: the run's files have %llu",
                       size, (unsigned long long)run->files_limit, (unsigned long long)use.bytes);
    if (!code)
        code = folder_open(run->files, inner, O_WRONLY | O_CREAT | O_TRUNC, &fd, &why);
    if (code)
        return run_fail(run, code, "%s", why.text);
    code = write_all(run, fd, data, size); /* synced at the step's end */
    close(fd);
    return code;
}
