/* Private to the api room. */
#ifndef RUNNEL_API_ROUTES_H
#define RUNNEL_API_ROUTES_H

#include "api/server.h"

struct server {
    struct engine *engine;
    struct http_server *ingest, *admin;
    char token[65];
    char *data_dir;
    int shutdown_pipe[2];
    bool deactivates;
};

void ingest_handle(void *ctx, const struct http_request *request, struct http_response *response);
void admin_handle(void *ctx, const struct http_request *request, struct http_response *response);

#endif
