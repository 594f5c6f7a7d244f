#include "code/exchange.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LOOK_MS = 50,       /* how soon a cancellation is seen */
    READS_AT_ONCE = 64, /* of one pipe, so that endless output does not keep us from the rest */
    ANSWER_HEAD = 8
};

/* ---- what it prints */

static void log_line(struct exchange *x, const char *level, struct str text)
{
    if (x->is_log_cut)
        return;
    if (x->log_bytes + text.len > LIMIT_LOG_BYTES - KIB(1)) {
        x->is_log_cut = true;
        frame_server_log(x->call, "warn", STR("(more output than 1 MiB: the rest is left out)"));
        return;
    }
    x->log_bytes += text.len;
    frame_server_log(x->call, level, text);
}

static void take_line(struct exchange *x, bool is_error, struct str line)
{
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (line.len > LIMIT_LOG_LINE)
        line.len = LIMIT_LOG_LINE;
    if (is_error && str_trim(line).len) {
        struct str trimmed = str_trim(line);
        (void)snprintf(x->last_line, sizeof(x->last_line), "%.*s",
                       (int)(trimmed.len < 240 ? trimmed.len : 240), trimmed.ptr);
        x->has_run_out |=
            str_find(line, "out of memory", 0) >= 0 || str_find(line, "cannot allocate", 0) >= 0;
    }
    log_line(x, is_error ? "error" : "info", line);
}

static void take_lines(struct exchange *x, struct child_output *output, bool is_error, bool is_all)
{
    size_t start = 0;
    for (size_t i = 0; i < output->line.len; i++) {
        if (output->line.ptr[i] != '\n')
            continue;
        take_line(x, is_error, str_n(output->line.ptr + start, i - start));
        start = i + 1;
    }
    size_t left = output->line.len - start;
    if (left && (is_all || left >= LIMIT_LOG_LINE)) {
        take_line(x, is_error, str_n(output->line.ptr + start, left));
        start = output->line.len;
    }
    buf_drop(&output->line, start);
}

static void read_output(struct exchange *x, struct child_output *output, bool is_error, bool is_all)
{
    for (int i = 0; i < READS_AT_ONCE && output->fd >= 0; i++) {
        char part[16384];
        ssize_t n = read(output->fd, part, sizeof(part));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        if (n == 0) {
            close(output->fd);
            output->fd = -1;
            break;
        }
        buf_add(&output->line, part, (size_t)n);
        take_lines(x, output, is_error, false);
    }
    if (is_all)
        take_lines(x, output, is_error, true);
}

/* ---- what is said over the socket */

static uint32_t read_u32(const char *bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* 1: the answer is whole; 0: not yet; −1: it is none. */
static int look_at_answer(const struct exchange *x)
{
    if (x->answer.len < ANSWER_HEAD)
        return 0;
    size_t json = read_u32(x->answer.ptr), exports = read_u32(x->answer.ptr + 4);
    if (json > LIMIT_EXPORT_BYTES || exports > LIMIT_EXPORT_BYTES)
        return -1;
    size_t whole = ANSWER_HEAD + json + exports;
    return x->answer.len == whole ? 1 : x->answer.len < whole ? 0 : -1;
}

void exchange_answer(const struct exchange *x, struct str *ret_json, struct str *ret_exports)
{
    size_t json = read_u32(x->answer.ptr);
    *ret_json = str_n(x->answer.ptr + ANSWER_HEAD, json);
    *ret_exports = str_n(x->answer.ptr + ANSWER_HEAD + json, x->answer.len - ANSWER_HEAD - json);
}

/* As look_at_answer(); −1 also when the other end is closed. */
static int receive(struct exchange *x)
{
    for (;;) {
        char part[65536];
        ssize_t n = recv(x->child->socket_fd, part, sizeof(part), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? look_at_answer(x) : -1;
        if (n == 0)
            return look_at_answer(x) == 1 ? 1 : -1;
        buf_add(&x->answer, part, (size_t)n);
        if (buf_is_overflowed(&x->answer) || look_at_answer(x) != 0)
            return look_at_answer(x);
    }
}

static void send_more(struct exchange *x)
{
    while (x->sent < x->request.len) {
        ssize_t n = send(x->child->socket_fd, x->request.ptr + x->sent, x->request.len - x->sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return; /* full; or gone, which the reading notices */
        x->sent += (size_t)n;
    }
}

/* ---- both */

static bool is_over(struct exchange *x, enum exchange_end *ret)
{
    bool is_late = clock_mono_ms() >= x->deadline_mono_ms;
    if (!is_late && !atomic_load(&x->call->cancelled))
        return false;
    *ret = is_late ? EXCHANGE_OVERDUE : EXCHANGE_CANCELLED;
    return true;
}

static bool look(struct exchange *x, const struct pollfd *events, enum exchange_end *ret)
{
    struct child *child = x->child;
    bool has_socket = child->socket_fd >= 0;
    if (has_socket && events[0].revents & POLLOUT)
        send_more(x);
    read_output(x, &child->out, false, false);
    read_output(x, &child->err, true, false);
    if (has_socket && events[0].revents & ~POLLOUT) {
        int state = receive(x);
        *ret = state > 0 ? EXCHANGE_ANSWERED : EXCHANGE_BROKEN;
        if (state > 0)
            return true;
        /* A socket that is closed is mostly the process's end: that tells more. */
        if (state < 0 && child_wait(child, LOOK_MS * 4, &x->status))
            *ret = EXCHANGE_EXITED;
        if (state < 0)
            return true;
    } else if (events[3].revents && child_has_ended(child, &x->status)) {
        *ret = EXCHANGE_EXITED;
        return true;
    }
    return is_over(x, ret);
}

enum exchange_end exchange_run(struct exchange *x)
{
    struct child *child = x->child;
    enum exchange_end end = EXCHANGE_BROKEN;
    if (child->socket_fd >= 0)
        send_more(x);
    for (;;) {
        int64_t left = x->deadline_mono_ms - clock_mono_ms();
        short out = x->sent < x->request.len ? POLLOUT : 0;
        struct pollfd events[4] = {{.fd = child->socket_fd, .events = (short)(POLLIN | out)},
                                   {.fd = child->out.fd, .events = POLLIN},
                                   {.fd = child->err.fd, .events = POLLIN},
                                   {.fd = child->pid_fd, .events = POLLIN}};
        (void)poll(events, COUNT_OF(events), left < 0 ? 0 : left < LOOK_MS ? (int)left : LOOK_MS);
        if (look(x, events, &end))
            break;
    }
    /* What it printed before it answered or ended is in the pipes by now. */
    read_output(x, &child->out, false, true);
    read_output(x, &child->err, true, true);
    return end;
}
