#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_read_fd(int fd, const char *subject, size_t max, char **ret, size_t *ret_size,
                 struct err *err)
{
    struct buf text = BUF_INIT(max);
    ssize_t n = 1;
    int rc = 0;
    while (rc == 0 && n != 0) {
        char part[16384];
        n = read(fd, part, sizeof(part));
        if (n > 0)
            buf_add(&text, part, (size_t)n);
        if (n < 0 && errno != EINTR)
            rc = err_set(err, RN_EIO, "%s cannot be read: %s", subject, strerrordesc_np(errno));
        else if (buf_is_overflowed(&text))
            rc = err_set(err, RN_ETOOBIG, "%s has more than %zu bytes", subject, max);
    }
    if (rc == 0)
        *ret = buf_take(&text, ret_size);
    buf_release(&text);
    return rc;
}

int file_read(const char *path, const char *subject, size_t max, char **ret, size_t *ret_size,
              struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, errno == ENOENT ? RN_ENOTFOUND : RN_EIO, "%s cannot be read: %s",
                       subject, strerrordesc_np(errno));
    struct stat status;
    int rc = fstat(fd, &status) || !S_ISREG(status.st_mode)
                 ? err_set(err, RN_EIO, "%s is not a file", subject)
                 : file_read_fd(fd, subject, max, ret, ret_size, err);
    close(fd);
    return rc;
}
