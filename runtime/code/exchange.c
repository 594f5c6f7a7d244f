#include "code/exchange.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
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

static struct asked *free_place(struct exchange *x)
{
    for (size_t i = 0; i < LIMIT_ASKS; i++)
        if (!x->asked[i].is_open)
            return &x->asked[i];
    return NULL;
}

/* On the thread that reads what the runtime says. */
static void answered(struct frame_ask *ask)
{
    struct asked *asked = (struct asked *)ask;
    pthread_mutex_lock(&asked->x->lock);
    asked->is_answered = true;
    pthread_mutex_unlock(&asked->x->lock);
    (void)eventfd_write(asked->x->answered_fd, 1);
}

static void say_refusal(struct exchange *x, uint32_t number, int code, const char *text)
{
    struct buf json = BUF_INIT(KIB(64));
    buf_addf(&json, "{\"error\":{\"code\":\"%s\",\"text\":", err_name(code));
    json_write_string(&json, str_from(text));
    buf_add_c(&json, "}}");
    exchange_say(x, number, (const struct str[EXCHANGE_PARTS]){buf_str(&json)});
    buf_release(&json);
}

/* There is a free place. */
static void pass_ask(struct exchange *x, const struct message *message)
{
    struct asked *asked = free_place(x);
    struct err err = ERR_INIT;
    uint32_t sections = message->parts[2].len ? 2 : message->parts[1].len ? 1 : 0;
    *asked = (struct asked){.ask = {.answered = answered}, .x = x, .number = message->number};
    int code = frame_server_ask_start(x->call, message->parts[0], &message->parts[1], sections,
                                      &asked->ask, &err);
    if (code)
        say_refusal(x, message->number, code, err.text);
    else
        asked->is_open = true;
}

/* Tells the worker what has been answered. */
static void tell_answers(struct exchange *x)
{
    eventfd_t count;
    (void)eventfd_read(x->answered_fd, &count);
    for (size_t i = 0; i < LIMIT_ASKS; i++) {
        struct asked *asked = &x->asked[i];
        if (!asked->is_open)
            continue;
        pthread_mutex_lock(&x->lock);
        bool is_answered = asked->is_answered;
        pthread_mutex_unlock(&x->lock);
        if (!is_answered)
            continue;
        struct answer_frame *answer = asked->ask.answer;
        if (answer)
            exchange_say(x, asked->number,
                         (const struct str[EXCHANGE_PARTS]){
                             answer->frame.json,
                             answer->frame.section_count ? answer->sections[0] : STR_NONE});
        else
            say_refusal(x, asked->number, RN_EUNAVAILABLE, "the runtime cannot be asked any more");
        frame_server_answer_free(answer);
        asked->is_open = false;
    }
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
    if (free_place(x)) {
        pass_ask(x, &message);
        buf_drop(&x->in, message.size);
    }
    return 0;
}

/* As look_at_messages(); −1 also when the other end is closed. One ask at most: the deadline is
 * looked at between two. */
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

/* Whether a message can be taken: none is while the worker has not read what it was told, or has
 * all its asks open. */
static bool can_take(struct exchange *x)
{
    return !has_unsent(x) && free_place(x);
}

/* Whether one lies in `in` that came with the one before. */
static bool has_more(struct exchange *x)
{
    struct message message;
    return can_take(x) && read_message(buf_str(&x->in), &message) != 0;
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
    if (events[4].revents)
        tell_answers(x);
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

int exchange_init(struct exchange *x, struct served_call *call, bool is_worker, struct err *err)
{
    *x = (struct exchange){.call = call,
                           .out = BUF_INIT(2 * LIMIT_FRAME_BYTES),
                           .in = BUF_INIT(2 * LIMIT_EXPORT_BYTES + KIB(64)),
                           .lock = PTHREAD_MUTEX_INITIALIZER,
                           .answered_fd = -1};
    if (is_worker)
        x->answered_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return is_worker && x->answered_fd < 0
               ? err_set(err, RN_EUNAVAILABLE, "no eventfd: %s", strerrordesc_np(errno))
               : 0;
}

void exchange_release(struct exchange *x)
{
    frame_server_forget(x->call);
    for (size_t i = 0; i < LIMIT_ASKS; i++)
        if (x->asked[i].is_open)
            frame_server_answer_free(x->asked[i].ask.answer);
    if (x->answered_fd >= 0)
        close(x->answered_fd);
    buf_release(&x->out);
    buf_release(&x->in);
}

enum exchange_end exchange_run(struct exchange *x)
{
    struct child *child = x->child;
    enum exchange_end end = EXCHANGE_BROKEN;
    if (child->socket_fd >= 0)
        send_more(x);
    for (;;) {
        int64_t left = has_more(x) ? 0 : x->deadline_mono_ms - clock_mono_ms();
        short wanted = has_unsent(x) ? POLLOUT : can_take(x) ? POLLIN : 0;
        struct pollfd events[5] = {{.fd = child->socket_fd, .events = wanted},
                                   {.fd = child->out.fd, .events = POLLIN},
                                   {.fd = child->err.fd, .events = POLLIN},
                                   {.fd = child->pid_fd, .events = POLLIN},
                                   {.fd = x->answered_fd, .events = POLLIN}};
        (void)poll(events, COUNT_OF(events), left < 0 ? 0 : left < LOOK_MS ? (int)left : LOOK_MS);
        if (look(x, events, &end))
            break;
    }
    /* What it printed before it answered or ended is in the pipes by now. */
    read_output(x, &child->out, false, true);
    read_output(x, &child->err, true, true);
    return end;
}
