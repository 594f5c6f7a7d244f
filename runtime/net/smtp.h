/* Sending mail: one message to one server, by libcurl, under the egress policy. [any thread] */
#ifndef RUNNEL_NET_SMTP_H
#define RUNNEL_NET_SMTP_H

#include "base/buf.h"
#include "base/err.h"
#include "net/egress.h"

#include <stdatomic.h>

struct smtp_server {
    const char *url; /* smtp://host[:port] or smtps://host[:port] */
    bool needs_tls;  /* smtp: STARTTLS or nothing; otherwise it is taken where it is offered */
    const char *username, *password; /* NULL: none */
};

/* Addresses: "name@example.com" or "Some Name <name@example.com>". */
struct mail {
    const char *from;
    const char *const *to;
    size_t to_count;
    const char *subject;
    struct str text, html; /* UTF-8; ptr NULL: none; both: multipart/alternative */
    const char *id;        /* letters and digits; Message-ID is made of it */
    int64_t date_ms;
};

/* The address of an envelope, without name and brackets, in `out`. RN_EINVAL: it is none, or has
 * what a line of SMTP must not have. */
int mail_address(const char *text, struct buf *out, struct err *err) MUST_USE;
/* The message as it goes over the wire (RFC 5322, MIME), line ends CR LF. RN_EINVAL. */
int mail_write(const struct mail *mail, struct buf *out, struct err *err) MUST_USE;
/* *ret_status: the server's last reply code, 0: none. RN_EPERM policy; RN_EUNAVAILABLE not reached,
 * or the server says "later" (4xx); RN_ETIMEDOUT; RN_EAUTH; RN_EFAILED refused (5xx). */
int smtp_send(const struct egress *egress, const struct smtp_server *server,
              const struct mail *mail, int64_t timeout_ms, const atomic_bool *cancelled,
              int *ret_status, struct err *err) MUST_USE;

#endif
