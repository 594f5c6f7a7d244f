/* The fake host's folder for files of the run: a real one, gone with the test. */
#include "host.h"

#include <fcntl.h>
#include <unistd.h>

const char *rn_test_dir(struct rn_test *test)
{
    char path[] = "/tmp/runnel-test-XXXXXX";
    if (!test->files && mkdtemp(path))
        test->files = xstrdup(path);
    if (!test->files)
        test_fail(test, "no temporary folder could be made");
    return test->files ? test->files : "";
}

void rn_test_set_file(struct rn_test *test, const char *name, const void *data, size_t size)
{
    struct err err = ERR_INIT;
    struct str inner;
    int fd = -1;
    int code = folder_name(rn_test_dir(test), name, &inner, &err);
    code = code ? code : folder_open(test->files, inner, O_WRONLY | O_CREAT | O_TRUNC, &fd, &err);
    if (code)
        test_fail(test, "rn_test_set_file: %s", err.text);
    else if (write(fd, data, size) != (ssize_t)size)
        test_fail(test, "rn_test_set_file: %s was not written", name);
    if (fd >= 0)
        close(fd);
}

const char *rn_test_file(struct rn_test *test, const char *name)
{
    struct err err = ERR_INIT;
    struct str inner;
    struct buf out = BUF_INIT(LIMIT_FILE_READ);
    char part[4096];
    int fd = -1;
    if (folder_name(rn_test_dir(test), name, &inner, &err) ||
        folder_open(test->files, inner, O_RDONLY, &fd, &err))
        return NULL;
    for (ssize_t n; (n = read(fd, part, sizeof(part))) > 0;)
        buf_add(&out, part, (size_t)n);
    close(fd);
    const char *text = test_keep(test, SLOT_FILE, str_dup(buf_str(&out)));
    buf_release(&out);
    return text;
}

void test_remove_files(struct rn_test *test)
{
    struct err err = ERR_INIT;
    if (test->files && folder_remove(test->files, &err))
        (void)fprintf(stderr, "runnel test: %s\n", err.text);
    free(test->files);
}
