/* A request's head as civetweb has split it, checked and in our own terms. Private to the listener.
 */
#ifndef RUNNEL_NET_HTTP_HEAD_H
#define RUNNEL_NET_HTTP_HEAD_H

#include "net/http_server.h"

struct mg_request_info;

struct http_head {
    struct http_request request; /* views into civetweb's buffer and into `text` */
    struct http_header headers[LIMIT_HTTP_HEADER_COUNT];
    struct buf text; /* lower-case names and joined values */
    bool is_chunked;
    bool has_length;
    uint64_t length;
    bool expects_continue;
    bool keeps_alive; /* the sender may go on with this connection */
    bool is_http10;
};

/* 0, or the status to refuse the request with and the reason in *ret_why. head->text is kept from
 * call to call. */
int http_head_read(const struct mg_request_info *info, struct http_head *head,
                   const char **ret_why);

#endif
