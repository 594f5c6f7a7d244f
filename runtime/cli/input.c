/* Reading what an option names. */
#include "cli/cli.h"

#include "base/file.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int cli_read(const char *given, char **ret, size_t *ret_size, struct err *err)
{
    bool is_stdin = strcmp(given, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(given, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, RN_ENOTFOUND, "%s cannot be read: %s", given, strerrordesc_np(errno));
    int rc =
        file_read_fd(fd, is_stdin ? "standard input" : given, LIMIT_JSON_BYTES, ret, ret_size, err);
    if (!is_stdin)
        close(fd);
    return rc;
}

int cli_read_json(const char *given, struct json **ret, struct err *err)
{
    if (!given) {
        *ret = json_new_object();
        return 0;
    }
    if (*given == '{' || *given == '[')
        return json_parse(str_from(given), ret, err) ? err_prefix(err, "the JSON given") : 0;
    char *text = NULL;
    size_t size = 0;
    struct err why = ERR_INIT;
    int rc = cli_read(given, &text, &size, &why);
    if (rc == RN_ENOTFOUND)
        return err_set(err, rc, "%s (give a file, - for standard input, or the JSON itself)",
                       why.text);
    if (rc)
        return err_set(err, rc, "%s", why.text);
    rc = json_parse(str_n(text, size), ret, err);
    free(text);
    return rc ? err_prefix(err, "%s", strcmp(given, "-") == 0 ? "standard input" : given) : 0;
}
