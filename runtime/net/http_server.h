/* The HTTP listener. The only room that knows civetweb; its types do not leave http_server.c and
 * http_head.c.
 *
 * A listener has its own threads (one per connection for its whole life, so: enough of them, small
 * stacks, a short keep-alive). Their stacks are 100 KiB (civetweb's build), of which a handler
 * has 80. A request reaches the handler whole, within limits, and unambiguous: what is not is
 * answered here (400, 408, 411, 413, 414, 417, 431, 501, 503) and the connection is closed. The
 * handler may block; it runs on the connection's thread.
 *
 * Refused before the handler (library-traps.md §1): 64 headers or more; two Content-Length or one
 * that is not only digits; Content-Length beside Transfer-Encoding; any Transfer-Encoding but
 * chunked; a method with a body (POST, PUT, PATCH) and neither of the two: 411; a short body: 400
 * and close; a body over the limit: 413 and close, without reading it all; a slow sender: 408 and
 * close; %00 or a bad % in the path; a missing or repeated Host; control characters in a header
 * value; an Expect other than 100-continue (that one gets its interim answer).
 */
#ifndef RUNNEL_NET_HTTP_SERVER_H
#define RUNNEL_NET_HTTP_SERVER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

struct http_header {
    struct str name;  /* requests: lower case */
    struct str value; /* requests: repeated headers joined with ", " (cookie: "; ") */
};

struct http_request {
    const char *method;   /* upper case as sent */
    struct str path;      /* as sent, still percent-encoded, without the query; starts with "/" */
    struct str query;     /* as sent, without "?"; empty if none */
    struct str host;      /* the Host header, with its port if it has one */
    struct str client_ip; /* numeric address of the peer */
    bool is_tls;
    const struct http_header *headers; /* in order of first appearance, repeated ones joined */
    size_t header_count;
    struct str body; /* whole, byte for byte (chunked: decoded) */
};

/* The value of a header by its lower-case name; {NULL, 0} if absent. */
struct str http_request_header(const struct http_request *request, const char *lower_name);

/* What the handler fills in. Zeroed before the handler, with status 500. */
struct http_response {
    int status;
    struct buf headers; /* "Name: value\r\n" lines, added by http_response_header(); Content-Length,
                           Date and Connection are the listener's */
    struct buf body;    /* not sent for HEAD, 204 and 304 */
    bool close;         /* close the connection after this answer */
    bool hangs_up;      /* close it without any answer: what a lost reply looks like */
    const char *reason; /* for the handler's own use: why it refused, a word; NULL */
    /* Instead of `body`, for what has no end (server-sent events): the head goes out, then the
     * connection leaves the listener, whose thread is free for others. `take_over` is called once,
     * on that thread, with the socket (non-blocking, the callee's to close), or with -1 when the
     * client is gone, sent HEAD, or speaks TLS, so that it can free its `take_over_ctx`. */
    void (*take_over)(void *ctx, int fd);
    void *take_over_ctx;
};

/* RN_EINVAL for a name or a value that HTTP does not allow (controls, line breaks, spaces in the
 * name) or that the listener itself sends (content-length, transfer-encoding, connection, date). */
int http_response_header(struct http_response *response, const char *name,
                         struct str value) MUST_USE;
/* Status, content type and body in one call. */
void http_response_set(struct http_response *response, int status, const char *content_type,
                       struct str body);
/* The same with {"error": word, "message": text}. */
void http_response_error(struct http_response *response, int status, const char *word,
                         const char *text);

typedef void (*http_handler)(void *ctx, const struct http_request *request,
                             struct http_response *response);
/* Asked once the headers are read, before the body: the most that this request's body may have, or
 * 0 for the listener's default. May be NULL. */
typedef size_t (*http_body_limit)(void *ctx, const struct http_request *request_without_body);

struct http_server_options {
    const char *listen;          /* "127.0.0.1:8080", "0.0.0.0:80"; port 0 picks a free one.
                                         "[::1]:0" where civetweb has IPv6: Debian's has not */
    int threads;                 /* 0: LIMIT_HTTP_THREADS */
    size_t body_limit;           /* 0: LIMIT_HTTP_BODY */
    int request_ms;              /* whole request, first byte to last; 0: LIMIT_HTTP_REQUEST_MS */
    int idle_ms;                 /* keep-alive; 0: LIMIT_HTTP_IDLE_MS */
    const char *tls_certificate; /* PEM files; both or none */
    const char *tls_key;
    http_handler handler;
    http_body_limit body_limit_of;
    /* Told of each request that the listener itself refuses. May be NULL. */
    void (*on_refused)(void *ctx, int status);
    void *ctx;
};

struct http_server;

/* Binds and serves. RN_EINVAL for a bad address, RN_EEXISTS when the port is taken (the text names
 * it), RN_EPERM, RN_EIO. */
int http_server_start(const struct http_server_options *options, struct http_server **ret,
                      struct err *err) MUST_USE;
/* The port that it listens on. */
int http_server_port(const struct http_server *server);
/* "http://127.0.0.1:8080"; owned by the server. */
const char *http_server_url(const struct http_server *server);
/* Takes no new connections, lets requests that are being handled finish (at most `grace_ms`),
 * frees. NULL is fine. */
void http_server_stop(struct http_server *server, int grace_ms);

/* The standard text of a status: "Not Found"; "" for one that has none. */
const char *http_status_text(int status);

/* Splits a query or form body: calls `each` for every name=value, decoded (+ is a space). RN_EINVAL
 * on a bad %, RN_ETOOBIG past LIMIT_HTTP_QUERY_PARAMS. */
int http_form_parse(struct str text, void (*each)(void *ctx, struct str name, struct str value),
                    void *ctx) MUST_USE;

#endif
