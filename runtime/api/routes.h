/* Private to the api room. */
#ifndef RUNNEL_API_ROUTES_H
#define RUNNEL_API_ROUTES_H

#include "api/server.h"

#include <pthread.h>

struct streams;

#define LINK_CODES 4

struct server {
    struct engine *engine;
    struct http_server *ingest, *admin;
    struct streams *streams;
    char token[65];
    char *data_dir;
    int shutdown_pipe[2];
    bool deactivates;
    pthread_mutex_t code_lock; /* guards: */
    struct link_code {
        char code[33];
        int64_t until_ms; /* monotonic; 0: used */
    } codes[LINK_CODES];
    size_t next_code;
};

void ingest_handle(void *ctx, const struct http_request *request, struct http_response *response);
void ingest_refused(void *ctx, int status);
void admin_handle(void *ctx, const struct http_request *request, struct http_response *response);

/* The console's files, from inside the binary. False: the path is none of theirs. */
bool assets_answer(const struct http_request *request, struct http_response *response);

#endif
