/* `runnel plugin-host`: describes one plugin, or serves the calls of one. */
#include "plugin/catalog.h"
#include "plugin/describe.h"
#include "plugin/host.h"
#include "plugin/loader.h"
#include "plugin/protocol.h"

#include "base/limits.h"
#include "ipc/host_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static int usage(void)
{
    (void)fputs(
        "usage: runnel plugin-host --describe FILE\n"
        "       runnel plugin-host --plugin FILE --sha256 HEX   (serves calls on descriptor "
        "3)\n"
        "The runtime starts this itself; nothing here is for people.\n",
        stderr);
    return 2;
}

static void limit(int resource, rlim_t value)
{
    struct rlimit current;
    if (getrlimit((__rlimit_resource_t)resource, &current) == 0 && current.rlim_max < value)
        value = current.rlim_max;
    struct rlimit wanted = {.rlim_cur = value, .rlim_max = value};
    (void)setrlimit((__rlimit_resource_t)resource, &wanted);
}

/* A constructor may do anything: it gets little time, little memory and no core. The parent has a
 * clock of its own. */
static void limit_describe(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, 10);
    limit(RLIMIT_NOFILE, LIMIT_PLUGIN_FILES);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    limit(RLIMIT_DATA, LIMIT_PLUGIN_MEMORY);
#endif
}

/* The description goes to stdout with a newline; what is wrong to stderr as "CODE text". */
static int describe(const char *file)
{
    limit_describe();
    struct plugin *plugin = NULL;
    struct err err = ERR_INIT;
    int code = plugin_load(file, NULL, &plugin, &err);
    if (code) {
        (void)fprintf(stderr, "%s %s\n", err_name(code), err.text);
        return 1;
    }
    struct json *description = describe_plugin(plugin);
    size_t size = 0;
    char *text = json_text(description, &size);
    bool is_written =
        fwrite(text, 1, size, stdout) == size && putchar('\n') == '\n' && fflush(stdout) == 0;
    free(text);
    json_free(description);
    plugin_tables_free(plugin);
    /* The plugin's destructors are not worth a risk. */
    _exit(is_written ? 0 : 1);
}

static int serve(const char *file, const char *sha256)
{
    host_process_init();
    struct plugin *plugin = NULL;
    struct plugin_host *host = NULL;
    struct err err = ERR_INIT;
    int code = plugin_load(file, sha256, &plugin, &err);
    if (!code)
        code = plugin_host_new(plugin, getenv(PLUGIN_ENV_EGRESS), &host, &err);
    if (frame_server_hello(HOST_PROCESS_FD, code ? &err : NULL) || code)
        return 1;
    code = frame_server_run(HOST_PROCESS_FD, LIMIT_PLUGIN_THREADS, plugin_host_handle, host, &err);
    if (code)
        (void)fprintf(stderr, "%s\n", err.text);
    /* Calls may still be running; nothing is freed under them. */
    (void)fflush(stderr);
    _exit(code ? 1 : 0);
}

int plugin_host_main(int argc, char **argv)
{
    const char *file = NULL, *sha256 = NULL, *describe_file = NULL;
    int first = argc > 1 && strcmp(argv[1], "plugin-host") == 0 ? 2 : 1;
    for (int i = first; i < argc; i++) {
        const char **target = strcmp(argv[i], "--describe") == 0 ? &describe_file
                              : strcmp(argv[i], "--plugin") == 0 ? &file
                              : strcmp(argv[i], "--sha256") == 0 ? &sha256
                                                                 : NULL;
        if (!target || i + 1 == argc)
            return usage();
        *target = argv[++i];
    }
    if (describe_file && !file && !sha256)
        return describe(describe_file);
    if (file && sha256 && !describe_file)
        return serve(file, sha256);
    return usage();
}
