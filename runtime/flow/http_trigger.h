/* The native HTTP trigger of a workflow: `http: { … }`. What it lets in, who may call it, and what
 * the sender gets. */
#ifndef RUNNEL_FLOW_HTTP_TRIGGER_H
#define RUNNEL_FLOW_HTTP_TRIGGER_H

#include "expr/template.h"
#include "flow/http_auth.h"

enum respond_mode {
    RESPOND_IMMEDIATE, /* 200 once the event is on disk */
    RESPOND_WORKFLOW,  /* what the workflow's run responds */
    RESPOND_FIXED,     /* status, headers and body of the file, once the event is on disk */
};

struct http_answer {
    int status;
    struct json *headers; /* [[name, value], …] */
    char *body;
    size_t body_size;
};

struct http_cors {
    bool is_on;
    bool any_origin;
    struct json *origins;             /* list; NULL with any_origin */
    char *methods, *headers, *expose; /* as the answer has them; headers NULL: those asked for */
    bool credentials;
    int64_t max_age_s; /* -1: not said */
};

struct http_trigger {
    enum respond_mode respond;
    struct http_answer answer; /* RESPOND_FIXED */
    struct json *methods;      /* list of verbs; NULL: any */
    struct json *paths;        /* list of "/a", "/a/…*"; NULL: any */
    struct http_auth auth;
    struct http_cors cors;
    struct expr_template *dedupe_id; /* NULL: no dedupe */
    uint32_t remember;
};

/* `config`: the mapping behind `http:`. With `is_draft`, as the file has it: secrets may be {{ …
 * }}. RN_EINVAL: the text says what is wrong, *ret_where is the member. */
int http_trigger_parse(const struct json *config, bool is_draft, struct http_trigger **ret,
                       const struct json **ret_where, struct err *err) MUST_USE;
void http_trigger_free(struct http_trigger *trigger); /* NULL is fine */

bool http_trigger_takes_method(const struct http_trigger *trigger, const char *method);
bool http_trigger_takes_path(const struct http_trigger *trigger, struct str path);
/* The origin to be named in Access-Control-Allow-Origin; empty: none. */
struct str http_cors_origin(const struct http_cors *cors, struct str origin);
/* "bearer", "hmac" or "none", for lists. */
const char *http_trigger_auth_name(const struct http_trigger *trigger);

#endif
