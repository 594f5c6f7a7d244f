#include "ipc/host_process.h"

#include "base/limits.h"
#include "base/str.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static void set_limit(__rlimit_resource_t what, rlim_t most)
{
    struct rlimit limit;
    if (getrlimit(what, &limit) != 0)
        return;
    if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > most)
        limit.rlim_max = most;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(what, &limit);
}

static void limit_memory(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const char *text = getenv(HOST_PROCESS_MEMORY_ENV);
    uint64_t bytes = 0;
    if (text && num_parse_u64(str_from(text), &bytes) == 0 && bytes > 0)
        set_limit(RLIMIT_DATA, bytes);
#endif
}

void host_process_bind(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The runtime may have died before the line above took effect; then the socketpair has no other
     * end any more. */
    struct pollfd parent = {.fd = HOST_PROCESS_FD};
    if (poll(&parent, 1, 0) == 1 && (parent.revents & POLLHUP))
        _exit(0);
    (void)prctl(PR_SET_DUMPABLE, 0);
    set_limit(RLIMIT_CORE, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
}

void host_process_init(void)
{
    host_process_bind();
    set_limit(RLIMIT_NOFILE, LIMIT_PLUGIN_FILES);
    limit_memory();
}
