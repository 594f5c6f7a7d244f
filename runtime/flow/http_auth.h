/* Who may call an HTTP trigger: a bearer token, or a signature over the request with a shared
 * secret. The schemes of vendors are presets of the one general scheme. */
#ifndef RUNNEL_FLOW_HTTP_AUTH_H
#define RUNNEL_FLOW_HTTP_AUTH_H

#include "base/limits.h"
#include "crypto/hmac.h"
#include "net/http_server.h"
#include "json/json.h"

enum http_auth_kind { HTTP_AUTH_NONE, HTTP_AUTH_BEARER, HTTP_AUTH_SIGNATURE };
enum text_encoding { ENCODING_TEXT, ENCODING_HEX, ENCODING_BASE64 };

struct http_auth {
    enum http_auth_kind kind;
    /* bearer: tokens; signature: keys. Bytes. Any of them will do. */
    struct str secrets[LIMIT_SIGNATURE_SECRETS];
    size_t secret_count;
    /* signature */
    char *header; /* lower case: where the signature stands */
    char
        *field; /* its part of "t=…,v1=…"; NULL: the whole, or one of several with spaces between */
    char *prefix; /* in front of each signature; may be "" */
    enum crypto_digest digest;
    enum text_encoding encoding;
    /* What is signed: text with {body}, {method}, {path}, {query}, {header.NAME}, {field.NAME}. */
    char *content;
    char *timestamp; /* the same, giving seconds since the epoch; NULL: there is none */
    int64_t tolerance_ms;
};

/* Reads the `auth` of an HTTP trigger: "none", { bearer: … }, { hmac: { … } } or a preset by its
 * name. With `is_draft` secrets may still be {{ … }}. RN_EINVAL and *ret_where. */
int http_auth_parse(const struct json *config, bool is_draft, struct http_auth *ret,
                    const struct json **ret_where, struct err *err) MUST_USE;
void http_auth_release(struct http_auth *auth);

/* RN_EAUTH, with a text for the sender that gives nothing away. */
int http_auth_check(const struct http_auth *auth, const struct http_request *request,
                    struct str path, int64_t now_ms, struct err *err) MUST_USE;

#endif
