/* The only place that knows libdl. Constructors of a plugin run inside dlopen(), before any check
 * is possible: that is why the runtime itself never gets here, and why the hash is compared first,
 * on the descriptor that is then loaded. */
#include "plugin/loader.h"

#include "base/limits.h"
#include "crypto/hmac.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_file(int fd, const char *file, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st))
        return err_set(err, RN_EIO, "%s: %s", file, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, RN_EINVAL, "%s is no regular file", file);
    if ((unsigned long long)st.st_size > LIMIT_PLUGIN_FILE)
        return err_set(err, RN_ETOOBIG, "%s has %lld bytes; a plugin has at most %zu", file,
                       (long long)st.st_size, (size_t)LIMIT_PLUGIN_FILE);
    unsigned char magic[4] = {0};
    if (pread(fd, magic, sizeof(magic), 0) != (ssize_t)sizeof(magic) || memcmp(magic,
                                                                               "\x7f"
                                                                               "ELF",
                                                                               4) != 0)
        return err_set(err, RN_EINVAL,
                       "%s is no shared object (ELF): a plugin is built with -shared -fPIC", file);
    return 0;
}

static int check_hash(const char *path, const char *file, const char *sha256, struct err *err)
{
    char found[65];
    int code = crypto_hash_file(path, found, err);
    if (code)
        return code;
    if (strcmp(found, sha256) != 0)
        return err_set(err, RN_EPERM,
                       "%s is not the file that was checked: its SHA-256 is %.12s…, not %.12s…",
                       file, found, sha256);
    return 0;
}

/* dlerror() begins with the /proc path that was opened, which tells nobody anything. */
static int load_failed(const char *path, const char *file, struct err *err)
{
    const char *why = dlerror();
    struct str text = str_from(why ? why : "unknown error");
    if (str_starts(text, path)) {
        text = str_n(text.ptr + strlen(path), text.len - strlen(path));
        if (str_starts(text, ": "))
            text = str_n(text.ptr + 2, text.len - 2);
    }
    return err_set(err, RN_EINVAL, "%s cannot be loaded: " STR_FMT, file, STR_ARG(text));
}

int plugin_load(const char *file, const char *sha256, struct plugin **ret, struct err *err)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno == ENOENT ? RN_ENOTFOUND : RN_EIO, "%s: %s", file,
                       strerror(errno));
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int code = check_file(fd, file, err);
    if (!code && sha256)
        code = check_hash(path, file, sha256, err);
    void *library = NULL;
    if (!code) {
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library)
            code = load_failed(path, file, err);
    }
    if (code) {
        (void)close(fd);
        return code;
    }
    /* The descriptor stays open: the linker knows the library by its /proc path, and another file
     * under the same number would be taken for this one. */
    const struct rn_plugin *tables = dlsym(library, "runnel_plugin");
    if (!tables)
        return err_set(err, RN_EINVAL,
                       "%s exports no symbol \"runnel_plugin\": it is no runnel plugin (is the "
                       "definition there, and is the version script sdk/plugin.map used?)",
                       file);
    code = plugin_tables_new(tables, ret, err);
    return code ? err_prefix(err, "%s", file) : 0;
}
