#include "code/exchange.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LOOK_MS = 50,       /* how soon a cancellation is seen */
    READS_AT_ONCE = 64, /* of one pipe, so that endless output does not keep us from the rest */
    MESSAGE_HEAD = 4 + 4 * EXCHANGE_PARTS
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

struct message {
    uint32_t number;
    size_t size; /* with its head */
    struct str parts[EXCHANGE_PARTS];
};

static void add_u32(struct buf *out, size_t value)
{
    const unsigned char bytes[4] = {(unsigned char)value, (unsigned char)(value >> 8),
                                    (unsigned char)(value >> 16), (unsigned char)(value >> 24)};
    buf_add(out, bytes, sizeof(bytes));
}

void exchange_say(struct exchange *x, uint32_t number, const struct str parts[EXCHANGE_PARTS])
{
    add_u32(&x->out, number);
    for (size_t i = 0; i < EXCHANGE_PARTS; i++)
        add_u32(&x->out, parts[i].len);
    for (size_t i = 0; i < EXCHANGE_PARTS; i++)
        buf_add_str(&x->out, parts[i]);
}

static uint32_t read_u32(const char *bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* 1: the first message is whole; 0: not yet; −1: it is none. */
static int read_message(struct str bytes, struct message *ret)
{
    if (bytes.len < MESSAGE_HEAD)
        return 0;
    *ret = (struct message){.number = read_u32(bytes.ptr), .size = MESSAGE_HEAD};
    for (size_t i = 0; i < EXCHANGE_PARTS; i++) {
        size_t size = read_u32(bytes.ptr + 4 + 4 * i);
        if (size > LIMIT_EXPORT_BYTES)
            return -1;
        ret->parts[i] = str_n(bytes.ptr + ret->size, size);
        ret->size += size;
    }
    return bytes.len >= ret->size;
}

void exchange_answer(const struct exchange *x, struct str *ret_json, struct str *ret_exports)
{
    struct message message = {.size = 0};
    (void)read_message(buf_str(&x->in), &message);
    *ret_json = message.parts[0];
    *ret_exports = message.parts[1];
}

/* One ask, from its message to the one with its answer. It waits for the runtime, which answers each
 * ask once, and a late one with an error. */
static void pass_ask(struct exchange *x, const struct message *message)
{
    struct answer_frame *answer = NULL;
    struct str parts[EXCHANGE_PARTS] = {STR_NONE};
    struct buf refusal = BUF_INIT(KIB(64));
    struct err err = ERR_INIT;
    uint32_t sections = message->parts[2].len ? 2 : message->parts[1].len ? 1 : 0;
    int code =
        frame_server_ask(x->call, message->parts[0], &message->parts[1], sections, &answer, &err);
    if (code) {
        buf_addf(&refusal, "{\"error\":{\"code\":\"%s\",\"text\":", err_name(code));
        json_write_string(&refusal, str_from(err.text));
        buf_add_c(&refusal, "}}");
        parts[0] = buf_str(&refusal);
    } else {
        parts[0] = answer->frame.json;
        if (answer->frame.section_count)
            parts[1] = answer->frame.sections[0];
    }
    exchange_say(x, message->number, parts);
    buf_release(&refusal);
    frame_server_answer_free(answer);
}

/* 1: the answer is whole; 0: go on; −1: the worker says what makes no sense. */
static int look_at_messages(struct exchange *x)
{
    struct message message;
    int state = read_message(buf_str(&x->in), &message);
    if (state <= 0)
        return state;
    if (message.number == 0)
        return x->in.len == message.size ? 1 : -1;
    pass_ask(x, &message);
    buf_drop(&x->in, message.size);
    return 0;
}

/* As look_at_messages(); −1 also when the other end is closed. One ask at most: the deadline is looked
 * at between two. */
static int receive(struct exchange *x)
{
    struct message message;
    while (read_message(buf_str(&x->in), &message) == 0) {
        char part[65536];
        ssize_t n = recv(x->child->socket_fd, part, sizeof(part), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        if (n == 0)
            return -1;
        buf_add(&x->in, part, (size_t)n);
        if (buf_is_overflowed(&x->in))
            return -1;
    }
    return look_at_messages(x);
}

static bool has_unsent(const struct exchange *x)
{
    return x->sent < x->out.len;
}

static void send_more(struct exchange *x)
{
    while (has_unsent(x)) {
        ssize_t n = send(x->child->socket_fd, x->out.ptr + x->sent, x->out.len - x->sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return; /* full; or gone, which the reading notices */
        x->sent += (size_t)n;
    }
    buf_clear(&x->out);
    x->sent = 0;
}

/* Whether a message lies in `in` that came with the one before. */
static bool has_more(const struct exchange *x)
{
    struct message message;
    return !has_unsent(x) && read_message(buf_str(&x->in), &message) != 0;
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
    if (has_socket && has_unsent(x))
        send_more(x);
    read_output(x, &child->out, false, false);
    read_output(x, &child->err, true, false);
    if (has_socket && (events[0].revents & ~POLLOUT || has_more(x))) {
        int state = receive(x);
        *ret = state > 0 ? EXCHANGE_ANSWERED : EXCHANGE_BROKEN;
        if (state > 0)
            return true;
        if (state == 0)
            send_more(x);
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
        int64_t left = has_more(x) ? 0 : x->deadline_mono_ms - clock_mono_ms();
        /* No further ask is taken while the worker has not read the answer to the last. */
        short wanted = has_unsent(x) ? POLLOUT : POLLIN;
        struct pollfd events[4] = {{.fd = child->socket_fd, .events = wanted},
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
