/* Makes OpenSSL 3 look like what Debian's civetweb expects: see tls/openssl3.c, whose library is
 * held here as bytes. The loader knows a library by the name that it gives itself, so civetweb's
 * own dlopen("libssl.so") then finds this one. */
#include "net/http_server_private.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

__asm__(".section .rodata\n"
        ".balign 16\n"
        "http_tls_library:\n"
        ".incbin \"" RUNNEL_TLS_LIBRARY "\"\n"
        "http_tls_library_end:\n"
        ".byte 0\n"
        ".previous\n");

extern const char http_tls_library[], http_tls_library_end[];

int http_tls_prepare(struct err *err)
{
    char path[32];
    size_t size = (size_t)(http_tls_library_end - http_tls_library);
    int fd = memfd_create("libssl.so", MFD_CLOEXEC);
    if (fd < 0 || write(fd, http_tls_library, size) != (ssize_t)size) {
        if (fd >= 0)
            (void)close(fd);
        return err_set(err, RN_EIO, "no memory file for TLS: %s", strerror(errno));
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    int code = library ? 0 : err_set(err, RN_EIO, "TLS cannot be loaded: %s", dlerror());
    (void)close(fd);
    return code;
}
