/* multipart/form-data (RFC 7578) that a sender has posted: its parts, as views into the body. [any
 * thread] */
#ifndef RUNNEL_NET_HTTP_MULTIPART_H
#define RUNNEL_NET_HTTP_MULTIPART_H

#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

struct http_part {
    struct str name;         /* as sent: %22 for a quote */
    struct str filename;     /* ptr NULL: a field, no file */
    struct str content_type; /* empty: not said */
    struct str data;
};

/* Calls `each` for every part in order; a non-zero return ends it and is returned. RN_EINVAL for
 * what is no whole multipart body, RN_ETOOBIG past LIMIT_MULTIPART_PARTS. */
int http_multipart_parse(struct str content_type, struct str body,
                         int (*each)(void *ctx, const struct http_part *part), void *ctx,
                         struct err *err) MUST_USE;

#endif
