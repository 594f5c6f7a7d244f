#include "code/bash.h"

#include "base/file.h"
#include "base/str.h"
#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARGUMENT_MAX = 120 * 1024 }; /* Linux takes 128 KiB for one */

static int write_file(const char *path, struct str text, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), code = 0;
    while (fd >= 0 && text.len) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        text = str_n(text.ptr + n, text.len - (size_t)n);
    }
    if (fd < 0 || text.len)
        code = err_set(err, RN_EIO, "%s cannot be written: %s", path, strerrordesc_np(errno));
    if (fd >= 0)
        close(fd);
    return code;
}

int bash_files_make(struct bash_files *ret, struct str steps, struct str code, struct err *err)
{
    char dir[] = "/tmp/runnel-code-XXXXXX";
    *ret = (struct bash_files){0};
    if (!mkdtemp(dir))
        return err_set(err, RN_EIO, "a folder in /tmp cannot be made: %s", strerrordesc_np(errno));
    ret->dir = xstrdup(dir);
    ret->steps = xasprintf("%s/steps.json", dir);
    ret->exports = xasprintf("%s/exports", dir);
    if (code.len > ARGUMENT_MAX)
        ret->script = xasprintf("%s/script", dir);
    int rc = write_file(ret->steps, steps, err);
    rc = rc ? rc : write_file(ret->exports, STR(""), err);
    if (rc == 0 && ret->script)
        rc = write_file(ret->script, code, err);
    if (rc)
        bash_files_remove(ret);
    return rc;
}

static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '$' || c == '-'))
            return false;
    }
    return name.len > 0 && name.len <= 200;
}

static int parse_line(struct json *exports, struct str line, size_t number, struct err *err)
{
    struct str value = line, name;
    bool has_value = str_find(line, "=", 0) >= 0;
    (void)str_cut(&value, '=', &name);
    bool is_json = str_ends(name, ":json");
    if (is_json)
        name.len -= 5;
    if (!has_value || !is_name(name))
        return err_set(err, RN_EINVAL,
                       "line %zu of $PIPEDREAM_EXPORTS is neither name=value nor name:json=…: "
                       "\"%.*s\" (a value of several lines needs name:json=)",
                       number, (int)(line.len < 60 ? line.len : 60), line.ptr);
    if (!utf8_is_valid(value))
        return err_set(err, RN_EINVAL, "line %zu of $PIPEDREAM_EXPORTS is not UTF-8", number);
    struct json *parsed = NULL;
    struct err why = ERR_INIT;
    if (is_json && json_parse(value, &parsed, &why))
        return err_set(err, RN_EINVAL, "line %zu of $PIPEDREAM_EXPORTS is not JSON: %s", number,
                       why.text);
    char *member = str_dup(name);
    (void)json_set(exports, member, is_json ? parsed : json_new_string(value));
    free(member);
    return 0;
}

int bash_exports_parse(struct str text, struct buf *out, struct err *err)
{
    struct json *exports = json_new_object();
    struct str line;
    int code = 0;
    for (size_t number = 1; code == 0 && str_cut(&text, '\n', &line); number++)
        if (str_trim(line).len)
            code = parse_line(exports, line, number, err);
    if (code == 0)
        json_write(out, exports);
    json_free(exports);
    return code;
}

int bash_files_exports(const struct bash_files *files, struct buf *out, struct err *err)
{
    char *text = NULL;
    size_t size = 0;
    int fd = open(files->exports, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), code = 0;
    struct stat status;
    if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode))
        code = err_set(err, RN_EINVAL, "the file $PIPEDREAM_EXPORTS is gone or no file any more");
    code =
        code ? code : file_read_fd(fd, "$PIPEDREAM_EXPORTS", LIMIT_EXPORT_BYTES, &text, &size, err);
    if (fd >= 0)
        close(fd);
    code = code ? code : bash_exports_parse(str_n(text, size), out, err);
    free(text);
    return code;
}

void bash_files_remove(struct bash_files *files)
{
    char *paths[] = {files->steps, files->exports, files->script};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        if (paths[i])
            (void)unlink(paths[i]);
        free(paths[i]);
    }
    if (files->dir)
        (void)rmdir(files->dir);
    free(files->dir);
    *files = (struct bash_files){0};
}
