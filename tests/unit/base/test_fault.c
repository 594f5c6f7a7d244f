/* Fault points: the process dies by SIGKILL at the n-th passage and at no other. Each case is a
 * child of its own, because the setting is read once. */
#include "base/fault.h"

#include "base/str.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Passes "commit" `times` times with RUNNEL_FAULT as given; whether that killed the child. */
static bool is_killed(const char *setting, int times)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (setting)
            (void)setenv("RUNNEL_FAULT", setting, 1);
        else
            (void)unsetenv("RUNNEL_FAULT");
        for (int i = 0; i < times; i++) {
            fault_point("commit");
            fault_point("commit-other");
            fault_point("comm");
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

static void test_fault(void **state)
{
    (void)state;
    assert_false(is_killed(NULL, 10));
    assert_false(is_killed("", 10));
    assert_true(is_killed("commit", 1));
    assert_true(is_killed("commit:1", 1));
    assert_true(is_killed("commit:3", 3));
    assert_false(is_killed("commit:3", 2));
    assert_false(is_killed("another", 10));
    assert_false(is_killed("commit:x", 10));
    assert_false(is_killed("commi", 10));
    char longer[200];
    memset(longer, 'c', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_false(is_killed(longer, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fault)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
