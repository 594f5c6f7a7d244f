/* Reading a file whole: its bytes, its bound, and what is said when it cannot be read. */
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char path[64];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/runnel-file-XXXXXX");
    int fd = mkstemp(path);
    int rc = fd < 0 || write(fd, "a\0bc", 4) != 4;
    if (fd >= 0)
        close(fd);
    return rc;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void test_bytes(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    struct err err = ERR_INIT;
    assert_int_equal(file_read(path, "it", 4, &text, &size, &err), 0);
    assert_int_equal(size, 4);
    assert_memory_equal(text, "a\0bc", 5); /* and the NUL after them */
    free(text);
}

static void test_bound(void **state)
{
    (void)state;
    char *text = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(file_read(path, "it", 3, &text, NULL, &err), RN_ETOOBIG);
    assert_null(text);
    assert_string_equal(err.text, "it has more than 3 bytes");
}

static void test_no_file(void **state)
{
    (void)state;
    char *text = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(file_read("/tmp", "/tmp", 4, &text, NULL, &err), RN_EIO);
    assert_string_equal(err.text, "/tmp is not a file");
    assert_int_equal(file_read("/tmp/runnel/none", "none", 4, &text, NULL, &err), RN_ENOTFOUND);
    assert_string_equal(err.text, "none cannot be read: No such file or directory");
    assert_null(text);
}

static void test_pipe(void **state)
{
    (void)state;
    int ends[2];
    char *text = NULL;
    size_t size = 0;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "abc", 3), 3);
    close(ends[1]);
    assert_int_equal(file_read_fd(ends[0], "the pipe", 3, &text, &size, NULL), 0);
    assert_int_equal(size, 3);
    assert_string_equal(text, "abc");
    free(text);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bound, set_up, tear_down),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
