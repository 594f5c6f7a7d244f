/* A client that says exactly what a test wants it to say. */
#ifndef RUNNEL_TEST_RAW_H
#define RUNNEL_TEST_RAW_H

#include "base/buf.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int raw_connect(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static inline void raw_send(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server has closed: what it answered is the test's business */
        at += n;
        size -= (size_t)n;
    }
}

static inline void raw_say(int fd, const char *text)
{
    raw_send(fd, text, strlen(text));
}

/* Reads until the other side closes (true) or nothing comes for `wait_ms` (false). */
static inline bool raw_read_to_end(int fd, struct buf *out, int wait_ms)
{
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, wait_ms) <= 0)
            return false;
        ssize_t n = recv(fd, buf_reserve(out, 65536), 65536, 0);
        if (n <= 0)
            return true;
        buf_grew(out, (size_t)n);
    }
}

/* Reads one answer with a Content-Length, and leaves what is behind it. False when there is none.
 */
static inline bool raw_read_answer(int fd, struct buf *out, bool has_body)
{
    size_t whole = 0;
    buf_clear(out);
    while (!whole || out->len < whole) {
        size_t want = whole ? whole - out->len : 1;
        ssize_t n = recv(fd, buf_reserve(out, want), want, 0);
        if (n <= 0)
            return false;
        buf_grew(out, (size_t)n);
        ptrdiff_t end = whole ? -1 : str_find(buf_str(out), "\r\n\r\n", 0);
        if (end >= 0) {
            ptrdiff_t at = str_find(buf_str(out), "Content-Length: ", 0);
            uint64_t length = 0;
            for (const char *p = at < 0 ? "" : out->ptr + at + 16; *p >= '0' && *p <= '9'; p++)
                length = length * 10 + (uint64_t)(*p - '0');
            whole = (size_t)end + 4 + (has_body ? length : 0);
        }
    }
    return true;
}

static inline int raw_status(const struct buf *answer)
{
    if (!str_starts(buf_str(answer), "HTTP/1.1 ") || answer->len < 12)
        return 0;
    const char *at = answer->ptr + 9;
    return (at[0] - '0') * 100 + (at[1] - '0') * 10 + at[2] - '0';
}

#endif
