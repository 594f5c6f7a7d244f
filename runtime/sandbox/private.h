/* What the sandbox's files share. The state is one JSON object under one lock; each vendor owns the
 * member of its name. */
#ifndef RUNNEL_SANDBOX_PRIVATE_H
#define RUNNEL_SANDBOX_PRIVATE_H

#include "net/http_client.h"
#include "net/http_server.h"
#include "sandbox/sandbox.h"
#include "json/json.h"

#include <pthread.h>

struct sandbox {
    struct http_server *server;
    struct egress *egress;
    struct http_client *client; /* for deliveries */
    char *state_file;
    struct sandbox_rewrite rewrites[16];
    size_t rewrite_count;
    pthread_mutex_t lock; /* guards state */
    struct json *state;   /* {"segment":{…}, "discord":…, "received":[…]} */
    uint64_t next_id;
};

/* A request to a vendor: `path` is what follows the vendor's prefix, cut at its slashes and
 * decoded. */
struct visit {
    struct sandbox *sandbox;
    const struct http_request *request;
    struct http_response *response;
    char *segments[12];
    size_t count;
    struct json *query; /* object of strings */
    struct json *body;  /* parsed JSON or form; NULL */
};

bool visit_is(const struct visit *visit, const char *method,
              const char *pattern); /* "webhooks/ * / *" without the blanks; * is any segment */
void reply(struct visit *visit, int status, struct json *value); /* takes `value` */
void reply_text(struct visit *visit, int status, const char *json);
struct str visit_bearer(const struct visit *visit);
/* The member of the state, made if missing; under the lock. */
struct json *state_member(struct sandbox *sandbox, const char *name, bool is_list);
/* Notes what a vendor took in, and saves the state. Under the lock. Takes `value`. */
void note_received(struct sandbox *sandbox, const char *vendor, struct json *value);
void state_save(struct sandbox *sandbox);
char *new_id(struct sandbox *sandbox, const char *prefix);

void segment_config_visit(struct visit *visit);
void segment_tracking_visit(struct visit *visit);
void segment_send(struct visit *visit); /* POST /_sandbox/segment/send */
void discord_visit(struct visit *visit);
void google_visit(struct visit *visit);
void sheets_visit(struct visit *visit);
void airtable_visit(struct visit *visit);
void swapi_visit(struct visit *visit);

#endif
