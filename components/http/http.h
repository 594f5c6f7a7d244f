/* What the files of the HTTP plugin share. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <runnel/component.h>

/* The name of the app's prop in every component. It needs no account. */
#define HTTP_PROP "http"

extern const struct rn_app http_app;

extern const struct rn_component http_new_requests;
extern const struct rn_component http_webhook;
extern const struct rn_component http_watch_url;
extern const struct rn_component http_custom_request;
extern const struct rn_component http_get_request;
extern const struct rn_component http_post_request;
extern const struct rn_component http_return_http_response;

/* A request as the sources emit it. */
#define HTTP_SAMPLE_REQUEST                                                                        \
    "{\"method\":\"POST\",\"path\":\"/\",\"query\":{},\"headers\":{"                               \
    "\"content-type\":\"application/json\"},\"bodyRaw\":\"{\\\"id\\\":1}\",\"body\":{\"id\":1},"   \
    "\"url\":\"https://hooks.example.com/e/abc/\",\"client_ip\":\"192.0.2.7\"}"

/* An HTTP status from a prop that holds text ("200"); RN_ECONFIG with a sentence if it is none. */
int32_t http_status_prop(struct rn_run *run, const char *name, int32_t otherwise, int32_t *ret);

#define HTTP_PAIRS_MAX 128

struct http_pairs {
    struct rn_pair items[HTTP_PAIRS_MAX];
    size_t count;
};

/* The members of an object prop as pairs; values that are no strings as JSON text. A list becomes
 * repeated pairs. */
int32_t http_pairs_prop(struct rn_run *run, const char *prop, struct http_pairs *ret);

/* Whether a content-type is among the headers. */
bool http_pairs_name_type(const struct http_pairs *headers);

/* A string prop, or `otherwise` where it is not set. */
const char *http_text_prop(struct rn_run *run, const char *name, const char *otherwise);

#endif
