/* A mail server that takes everything and delivers nothing: what came in is listed with what the
 * vendors received. One thread, one poll; it knows as much of RFC 5321 as a client needs. */
#include "sandbox/private.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 16, LINE_MAX_BYTES = 2000 };
#define MESSAGE_MAX MIB(32)

struct conversation {
    int fd;        /* -1: free */
    struct buf in; /* not yet understood */
    bool is_in_data;
    char *from;
    struct json *to;
};

struct mail_server {
    struct sandbox *sandbox;
    int listen_fd, stop_fd;
    pthread_t thread;
    bool has_thread;
    char url[64];
    struct conversation list[CONNECTIONS];
};

static void say(const struct conversation *c, const char *line)
{
    size_t size = strlen(line);
    ssize_t ignored = send(c->fd, line, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)ignored; /* who does not read his answers gets none */
}

static void forget(struct conversation *c)
{
    free(c->from);
    c->from = NULL;
    json_free(c->to);
    c->to = NULL;
    c->is_in_data = false;
}

static void hang_up(struct conversation *c)
{
    (void)close(c->fd);
    c->fd = -1;
    buf_release(&c->in);
    forget(c);
}

/* "MAIL FROM:<a@b> SIZE=1" → "a@b" */
static char *address_in(struct str line)
{
    ptrdiff_t open = str_find(line, "<", 0), end = str_find(line, ">", 0);
    return open < 0 || end < open ? NULL
                                  : str_dup(str_n(line.ptr + open + 1, (size_t)(end - open) - 1));
}

static bool is_verb(struct str line, const char *verb)
{
    size_t size = strlen(verb);
    return line.len >= size && str_eq_nocase(str_n(line.ptr, size), str_from(verb));
}

static bool take_line(struct conversation *c, struct str line)
{
    if (is_verb(line, "EHLO")) {
        forget(c);
        say(c, "250-sandbox\r\n250-8BITMIME\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 33554432\r\n");
    } else if (is_verb(line, "AUTH PLAIN") && line.len > strlen("AUTH PLAIN ")) {
        say(c, "235 2.7.0 welcome, whoever you are\r\n");
    } else if (is_verb(line, "MAIL FROM:")) {
        forget(c);
        c->from = address_in(line);
        c->to = json_new_array();
        say(c, c->from ? "250 2.1.0 ok\r\n" : "501 5.1.7 an address is wanted\r\n");
    } else if (is_verb(line, "RCPT TO:")) {
        char *to = c->from ? address_in(line) : NULL;
        if (to)
            (void)json_append(c->to, json_new_string_c(to));
        say(c, to ? "250 2.1.5 ok\r\n" : "503 5.5.1 MAIL FROM comes first\r\n");
        free(to);
    } else if (is_verb(line, "DATA")) {
        c->is_in_data = json_count(c->to) > 0;
        say(c, c->is_in_data ? "354 end with a dot\r\n" : "503 5.5.1 RCPT TO comes first\r\n");
    } else if (is_verb(line, "QUIT")) {
        say(c, "221 2.0.0 bye\r\n");
        return false;
    } else if (is_verb(line, "HELO") || is_verb(line, "RSET") || is_verb(line, "NOOP")) {
        forget(c);
        say(c, "250 2.0.0 ok\r\n");
    } else {
        say(c, "502 5.5.2 not here\r\n");
    }
    return true;
}

static void take_message(struct mail_server *server, struct conversation *c, struct str text)
{
    struct json *mail = mail_read(text);
    json_set_string(mail, "from", c->from);
    (void)json_set(mail, "to", json_copy(c->to));
    pthread_mutex_lock(&server->sandbox->lock);
    note_received(server->sandbox, "mail", mail);
    pthread_mutex_unlock(&server->sandbox->lock);
    forget(c);
    say(c, "250 2.0.0 taken, and kept here\r\n");
}

/* What has come in, line by line; a message is one piece. False: it is over. */
static bool understand(struct mail_server *server, struct conversation *c)
{
    for (;;) {
        const char *end = c->is_in_data ? "\r\n.\r\n" : "\r\n";
        ptrdiff_t at = str_find(buf_str(&c->in), end, 0);
        if (at < 0)
            return c->is_in_data || c->in.len < LINE_MAX_BYTES;
        struct str piece = str_n(c->in.ptr, (size_t)at);
        bool goes_on = true;
        if (c->is_in_data)
            take_message(server, c, piece);
        else
            goes_on = take_line(c, piece);
        buf_drop(&c->in, (size_t)at + strlen(end));
        if (!goes_on)
            return false;
    }
}

static void hear(struct mail_server *server, struct conversation *c)
{
    char part[16384];
    ssize_t n = recv(c->fd, part, sizeof(part), MSG_DONTWAIT);
    if (n > 0)
        buf_add(&c->in, part, (size_t)n);
    if (n <= 0 || buf_is_overflowed(&c->in) || !understand(server, c))
        hang_up(c);
}

static void welcome(struct mail_server *server)
{
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    struct conversation *c = server->list;
    while (c < server->list + CONNECTIONS && c->fd >= 0)
        c++;
    if (fd < 0 || c == server->list + CONNECTIONS) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    *c = (struct conversation){.fd = fd, .in = BUF_INIT(MESSAGE_MAX)};
    say(c, "220 sandbox ESMTP\r\n");
}

static void *mail_main(void *arg)
{
    struct mail_server *server = arg;
    for (;;) {
        struct pollfd fds[CONNECTIONS + 2] = {{.fd = server->stop_fd, .events = POLLIN},
                                              {.fd = server->listen_fd, .events = POLLIN}};
        for (size_t i = 0; i < CONNECTIONS; i++)
            fds[i + 2] = (struct pollfd){.fd = server->list[i].fd, .events = POLLIN};
        if (poll(fds, COUNT_OF(fds), -1) < 0)
            continue;
        if (fds[0].revents)
            return NULL;
        for (size_t i = 0; i < CONNECTIONS; i++)
            if (fds[i + 2].revents && server->list[i].fd >= 0)
                hear(server, &server->list[i]);
        if (fds[1].revents)
            welcome(server);
    }
}

/* The port behind the sandbox's own, if it is free; else whichever is. */
static int bind_port(int fd, int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return bind(fd, (const struct sockaddr *)&at, sizeof(at));
}

int mail_server_start(struct sandbox *sandbox, int port, struct mail_server **ret, struct err *err)
{
    struct mail_server *server = xcalloc(1, sizeof(*server));
    struct sockaddr_in at = {.sin_port = 0};
    socklen_t size = sizeof(at);
    const int yes = 1;
    server->sandbox = sandbox;
    for (size_t i = 0; i < CONNECTIONS; i++)
        server->list[i].fd = -1;
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(server->listen_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    bool is_good =
        (bind_port(server->listen_fd, port) == 0 || bind_port(server->listen_fd, 0) == 0) &&
        listen(server->listen_fd, CONNECTIONS) == 0 &&
        getsockname(server->listen_fd, (struct sockaddr *)&at, &size) == 0;
    (void)snprintf(server->url, sizeof(server->url), "smtp://127.0.0.1:%d", ntohs(at.sin_port));
    server->has_thread = is_good && pthread_create(&server->thread, NULL, mail_main, server) == 0;
    if (server->has_thread) {
        *ret = server;
        return 0;
    }
    mail_server_stop(server);
    return err_set(err, RN_EIO, "the sandbox's mail server cannot start");
}

const char *mail_server_url(const struct mail_server *server)
{
    return server->url;
}

void mail_server_stop(struct mail_server *server)
{
    const uint64_t one = 1;
    if (!server)
        return;
    ssize_t ignored = write(server->stop_fd, &one, sizeof(one));
    (void)ignored;
    if (server->has_thread)
        (void)pthread_join(server->thread, NULL);
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (server->list[i].fd >= 0)
            hang_up(&server->list[i]);
    (void)close(server->listen_fd);
    (void)close(server->stop_fd);
    free(server);
}
