#include "base/fault.h"

#include "base/str.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char wanted[64];
static atomic_llong left;

static void read_setting(void)
{
    struct str setting = str_from(getenv("RUNNEL_FAULT"));
    struct str name = STR_NONE;
    if (!setting.len || !str_cut(&setting, ':', &name) || name.len >= sizeof(wanted))
        return;
    int64_t count = 1;
    if (setting.ptr && num_parse_i64(setting, &count))
        return;
    memcpy(wanted, name.ptr, name.len);
    atomic_store(&left, count);
}

void fault_point(const char *name)
{
    pthread_once(&once, read_setting);
    if (wanted[0] == '\0' || strcmp(name, wanted) != 0)
        return;
    if (atomic_fetch_sub(&left, 1) == 1)
        kill(getpid(), SIGKILL);
}
