/* What the files of the HTTP client share: one hop of a fetch, which is one request to one URL. */
#ifndef RUNNEL_NET_FETCH_PRIVATE_H
#define RUNNEL_NET_FETCH_PRIVATE_H

#include "net/http_client.h"

#include <curl/curl.h>

#define LIMIT_FETCH_HEADER_COUNT 1000

/* Where a fetch is: changed by redirects. */
struct fetch_hop {
    const struct fetch_request *request;
    const char *method;
    struct str body;
    char *
        url; /* as asked for, without user and password: what people see and redirects start from */
    char *target; /* as sent: `url` after the egress policy's rewriting */
    char *user;   /* or NULL */
    char *password;
    bool drops_credentials; /* it is not the first one's origin any more */
    bool drops_body;        /* a redirect has made it a GET */
    /* what came of it */
    const struct egress *egress;
    struct buf head; /* the last answer's header lines, with their line ends */
    struct buf body_in;
    bool is_going_out; /* connected: bytes of the request may have left */
    bool is_head_whole;
    bool is_lost; /* libcurl wanted to send it again on another connection, and may not */
    bool is_too_big;
    bool is_enough; /* for request->take() */
    struct err policy; /* why an address was refused */
    CURL *easy;
    char text[CURL_ERROR_SIZE];
};

/* Takes user and password out of the URL and applies the egress policy. */
int fetch_hop_aim(struct fetch_hop *hop, const char *url, bool takes_user,
                  struct err *err) MUST_USE;
/* The URL that a Location of the last answer stands for; the caller frees. NULL: there is none, or
 * it is no URL. */
char *fetch_hop_location(const struct fetch_hop *hop);
/* Turns the hop into the next one. */
int fetch_hop_redirect(struct fetch_hop *hop, int status, const char *location,
                       struct err *err) MUST_USE;
void fetch_hop_release(struct fetch_hop *hop);
/* The header lines to send. RN_EINVAL. The caller frees with curl_slist_free_all(). */
int fetch_hop_headers(const struct fetch_hop *hop, struct curl_slist **ret,
                      struct err *err) MUST_USE;
/* Reads hop->head into the response. */
int fetch_read_headers(const struct fetch_hop *hop, struct fetch_response *response,
                       struct err *err) MUST_USE;
/* "POST https://host/path", for texts. */
void fetch_hop_name(const struct fetch_hop *hop, char out[256]);

#endif
