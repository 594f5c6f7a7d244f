/* The HTTP client. The only room that knows libcurl. Every request goes through an egress policy;
 * redirects are followed by this code (each target is rewritten and checked anew, credentials are
 * dropped when scheme, host or port change; 303, and 301 and 302 after POST, become GET). TLS is
 * verified. Connections are kept and reused. [any thread]
 */
#ifndef RUNNEL_NET_HTTP_CLIENT_H
#define RUNNEL_NET_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "net/egress.h"

#include <stdatomic.h>

struct fetch_header {
    const char *name;
    const char *value;
};

struct fetch_request {
    const char *method;
    const char *url; /* http or https; may hold user:password@, which becomes Basic authorization */
    const struct fetch_header *headers;
    size_t header_count;
    struct str body;        /* ptr NULL: none */
    const char *basic_user; /* or NULL */
    const char *basic_password;
    int64_t timeout_ms;           /* 0: LIMIT_FETCH_TIMEOUT_MS; over all redirects */
    size_t response_limit;        /* 0: LIMIT_FETCH_RESPONSE */
    int max_redirects;            /* -1: none; 0: LIMIT_FETCH_REDIRECTS */
    bool is_safe;                 /* repeating it does no harm: a lost reply is RN_EUNAVAILABLE */
    const atomic_bool *cancelled; /* looked at while waiting, at least every 200 ms; may be NULL */
    /* Is given the body of a 2xx answer piece by piece, and response->body stays empty: for answers
     * that do not end. Not 0: it has had enough (RN_ECANCELED). */
    int (*take)(void *ctx, struct str piece);
    void *take_ctx;
};

struct fetch_response {
    int status;
    struct buf body;
    struct buf header_text;       /* backing of the headers */
    struct fetch_header *headers; /* names in lower case, repeated ones joined with ", " */
    size_t header_count;
    char *url; /* the last one asked */
};

struct http_client;

/* Call once, before other threads start. */
int http_client_global_init(struct err *err) MUST_USE;
/* `egress` is borrowed and outlives the client. */
struct http_client *http_client_new(const struct egress *egress, const char *user_agent);
void http_client_free(struct http_client *client);

/* Performs a request; any status is a success here. The caller releases *response (zeroed before)
 * in every case. RN_EINVAL bad URL or header; RN_EPERM policy; RN_EUNAVAILABLE it never went out
 * (resolve, connect, TLS) or is_safe; RN_ETIMEDOUT the same by time; RN_EUNKNOWN it may have been
 * acted upon (sent, no full reply); RN_ETOOBIG; RN_ECANCELED. Texts name method and URL without
 * query, user and password. */
int http_client_fetch(struct http_client *client, const struct fetch_request *request,
                      struct fetch_response *response, struct err *err) MUST_USE;
void fetch_response_release(struct fetch_response *response);
const char *fetch_response_header(const struct fetch_response *response,
                                  const char *lower_name); /* NULL if absent */
/* Retry-After in ms (seconds, or an HTTP date); -1 if there is none. */
int64_t fetch_retry_after_ms(const struct fetch_response *response);

#endif
