/* One request to the admin API, and the ways to answer it. Private to the api room. Thread: the
 * listener's. */
#ifndef RUNNEL_API_CALL_H
#define RUNNEL_API_CALL_H

#include "api/routes.h"

struct call {
    struct server *server;
    struct engine *engine;
    const struct http_request *request;
    struct http_response *response;
    struct str segments[6]; /* of the path behind /api/v1/ */
    size_t segment_count;
    struct json *query; /* object of strings */
    struct json *body;  /* NULL: none */
};

struct route {
    const char *method;
    const char *pattern; /* "*" stands for one segment */
    void (*handle)(struct call *call);
    bool is_open; /* without a token */
};

/* The routes of each file, ended by one without a method. */
extern const struct route browse_routes[], act_routes[], session_routes[];

/* All take `value`. */
void call_answer(struct call *call, struct json *value);
/* {"data": list, "next": null}. */
void call_answer_list(struct call *call, struct json *list);
/* The value, or the error as application/problem+json. `value` NULL: {}. */
void call_finish(struct call *call, int rc, struct json *value, const struct err *err);
void call_problem(struct http_response *response, int status, const char *code, const char *detail);
/* A parameter of the query; NULL if it is absent or empty. */
const char *call_query(const struct call *call, const char *name);
/* A segment of the path, decoded; the caller frees. */
char *call_segment(const struct call *call, size_t index);
/* A time in ms or ISO 8601; 0 if absent. */
int call_time(const struct call *call, const char *name, int64_t *ret, struct err *err) MUST_USE;

/* ---- session.c */
/* Whether the text is a session that has not run out. */
bool session_is_valid(const struct server *server, struct str text);

#endif
