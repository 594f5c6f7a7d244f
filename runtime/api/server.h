/* A running runtime: the engine behind its two listeners. Life cycle: server_start →
 * (server_wait_shutdown) → server_stop. */
#ifndef RUNNEL_API_SERVER_H
#define RUNNEL_API_SERVER_H

#include "engine/engine.h"

struct server;

struct server_options {
    struct engine_options engine;
    const char *listen, *admin; /* NULL: as runnel.yaml says */
    bool has_no_ingest;         /* passive servers of one-off commands */
    const char *sandbox;        /* the URL of the sandbox beside it, for runtime.json; or NULL */
};

/* Opens the project and listens; problems of the files are in *problems. Returns when the endpoints
 * work: sources are active or have failed. */
int server_start(const struct server_options *options, struct server **ret,
                 struct problems *problems, struct err *err) MUST_USE;
struct engine *server_engine(struct server *server);
const char *server_ingest_url(const struct server *server); /* "" without one */
const char *server_admin_url(const struct server *server);
const char *server_token(const struct server *server);
/* A link to the console that signs in whoever opens it first, within 15 minutes; the caller frees. */
char *server_link(struct server *server);
/* Asks for the end, as POST /api/v1/shutdown does. Safe in a signal handler: writes one byte to a
 * pipe. */
void server_request_shutdown(struct server *server, bool deactivates);
/* A descriptor that becomes readable when the end was asked for. */
int server_shutdown_fd(const struct server *server);
/* Answers what is in flight, parks runs, closes. NULL is fine. */
void server_stop(struct server *server);

#endif
