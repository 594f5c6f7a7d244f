/* A receiver for plain HTTP requests, under /http: it answers with what it was sent, and notes it.
 * No vendor's host leads here; give its URL to the http actions. */
#include "sandbox/private.h"

void echo_refuse(struct visit *visit, int status, const char *message)
{
    struct json *answer = json_new_object();
    json_set_string(answer, "error", message);
    reply(visit, status, answer);
}

void echo_visit(struct visit *visit)
{
    const struct http_request *request = visit->request;
    struct json *answer = json_new_object();
    struct str path =
        str_n(request->path.ptr + strlen("/http"), request->path.len - strlen("/http"));
    json_set_string(answer, "method", request->method);
    json_set_str(answer, "path", path.len ? path : STR("/"));
    (void)json_set(answer, "query", json_copy(visit->query));
    struct json *headers = json_set(answer, "headers", json_new_object());
    for (size_t i = 0; i < request->header_count; i++) {
        char *name = str_dup(request->headers[i].name);
        json_set_str(headers, name, request->headers[i].value);
        free(name);
    }
    (void)json_set(answer, "body",
                   visit->body         ? json_copy(visit->body)
                   : request->body.len ? json_new_string(request->body)
                                       : json_new_null());
    note_received(visit->sandbox, "http", json_copy(answer));
    reply(visit, 200, answer);
}
