/* A folder of files: what is counted, what is removed, and that no name leads out of it. */
#include "base/folder.h"

#include "base/buf.h"
#include "base/limits.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char dir[64];

static char *at(const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

static void put(const char *name, const char *text)
{
    struct err err = ERR_INIT;
    int fd = -1;
    assert_int_equal(folder_open(dir, str_from(name), O_WRONLY | O_CREAT | O_TRUNC, &fd, &err), 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/runnel-folder-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    return folder_remove(dir, &err);
}

static void what_is_in_it_is_counted(void **state)
{
    struct folder_use use;
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(folder_measure(dir, 8, 0, &use, &err), 0);
    assert_int_equal(use.files, 0);
    put("a", "12345");
    put("b/c/d", "123");
    char *link = at("link");
    assert_int_equal(symlink("/etc", link), 0);
    free(link);
    assert_int_equal(folder_measure(dir, 8, 0, &use, &err), 0);
    assert_int_equal(use.files, 2);
    assert_int_equal(use.bytes, 8);
    assert_int_equal(folder_measure(dir, 7, 0, &use, &err), RN_ETOOBIG);
    assert_non_null(strstr(err.text, "8 bytes, more than the 7 of `limits: { files"));
    assert_int_equal(folder_measure("/tmp/runnel-folder-that-is-not-there", 0, 0, &use, &err), 0);
    assert_int_equal(use.files, 0);
}

static void too_many_and_too_deep_is_said(void **state)
{
    struct folder_use use;
    struct err err = ERR_INIT;
    struct buf name = BUF_INIT(KIB(4));
    (void)state;
    for (int i = 0; i <= LIMIT_FOLDER_DEPTH; i++)
        buf_add_c(&name, "d/");
    buf_add_c(&name, "file");
    put(buf_c(&name), "x");
    assert_int_equal(folder_measure(dir, 8, 0, &use, &err), RN_ETOOBIG);
    assert_non_null(strstr(err.text, "more than 32 deep"));
    buf_release(&name);
    assert_int_equal(folder_remove(dir, &err), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    for (int i = 0; i <= LIMIT_FOLDER_ENTRIES; i++) {
        char one[32];
        (void)snprintf(one, sizeof(one), "%d", i);
        put(one, "");
    }
    assert_int_equal(folder_measure(dir, 8, INT64_MAX, &use, &err), RN_ETOOBIG);
    assert_non_null(strstr(err.text, "more than 10000 files"));
}

static void all_of_it_is_removed(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    put("a/b/c", "x");
    put("locked/file", "x");
    char *outside = xasprintf("%s.outside", dir), *link = at("link"), *locked = at("locked");
    int fd = open(outside, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(chmod(locked, 0), 0);
    assert_int_equal(folder_remove(dir, &err), 0);
    assert_int_equal(access(dir, F_OK), -1);
    assert_int_equal(access(outside, F_OK), 0);
    assert_int_equal(folder_remove(dir, &err), 0);
    (void)unlink(outside);
    free(outside);
    free(link);
    free(locked);
}

static void check_name(const char *name, const char *expected)
{
    struct str got;
    struct err err = ERR_INIT;
    assert_int_equal(folder_name(dir, name, &got, &err), 0);
    assert_true(str_eq_c(got, expected));
}

static void names_stay_inside(void **state)
{
    static const char *const bad[] = {
        "",   "/",           "..",   "../x",  "a/../../x",          "a/./b",  "a//b",
        "a/", "/etc/passwd", "/tmp", "/tmp/", "/tmp/../etc/passwd", "/tmpx/a"};
    struct str got;
    struct err err = ERR_INIT;
    (void)state;
    check_name("a.csv", "a.csv");
    check_name("a/b.csv", "a/b.csv");
    check_name("...", "...");
    check_name("/tmp/a.csv", "a.csv");
    char *whole = at("x/y");
    check_name(whole, "x/y");
    free(whole);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(folder_name(dir, bad[i], &got, &err), RN_EINVAL);
    assert_int_equal(folder_name(dir, NULL, &got, &err), RN_EINVAL);
    char *beside = xasprintf("%sx/a", dir);
    /* "/tmp/NAMEx/a" is a folder of that name inside, as every path in /tmp is. */
    assert_int_equal(folder_name(dir, beside, &got, &err), 0);
    assert_ptr_equal(got.ptr, beside + strlen("/tmp/"));
    free(beside);
}

static void links_are_not_followed(void **state)
{
    int fd = -1;
    struct err err = ERR_INIT;
    char *file = at("file"), *folder = at("folder"), *fifo = at("fifo");
    (void)state;
    assert_int_equal(symlink("/etc/passwd", file), 0);
    assert_int_equal(symlink("/etc", folder), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(folder_open(dir, STR("file"), O_RDONLY, &fd, &err), RN_EINVAL);
    assert_int_equal(folder_open(dir, STR("file"), O_WRONLY | O_CREAT, &fd, &err), RN_EINVAL);
    assert_int_equal(folder_open(dir, STR("folder/passwd"), O_RDONLY, &fd, &err), RN_EINVAL);
    assert_int_equal(folder_open(dir, STR("folder/new"), O_WRONLY | O_CREAT, &fd, &err), RN_EINVAL);
    assert_int_equal(folder_open(dir, STR("fifo"), O_RDONLY, &fd, &err), RN_EINVAL);
    assert_int_equal(folder_open(dir, STR("missing"), O_RDONLY, &fd, &err), RN_ENOTFOUND);
    assert_string_equal(err.text, "the run has no file \"missing\"");
    free(file);
    free(folder);
    free(fifo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_in_it_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_and_too_deep_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_of_it_is_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_stay_inside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_are_not_followed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
