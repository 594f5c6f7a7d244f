/* What the sandbox's files share. All state is under one lock, which a vendor's visit holds from
 * beginning to end: a stand-in answers from memory and never waits. Only deliveries of Segment and
 * the delays of faults happen outside of it. */
#ifndef RUNNEL_SANDBOX_PRIVATE_H
#define RUNNEL_SANDBOX_PRIVATE_H

#include "base/map.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "sandbox/sandbox.h"
#include "json/json.h"

#include <pthread.h>

#define SANDBOX_TOKEN "sandbox-token"
#define RECEIVED_MAX 10000
#define RECEIVED_BYTES MIB(16)
#define FAULTS_MAX 64
#define FAULT_DELAY_MS_MAX 120000

/* What a vendor took in, as JSON text. */
struct received {
    struct received *next;
    const char *vendor; /* a literal */
    size_t size;
    char text[];
};

/* A vendor that is made to fail. */
struct fault {
    char *vendor;          /* "discord"; "segment" is all three of Segment's APIs */
    char *method;          /* NULL: any */
    char *path;            /* part of the path; NULL: any */
    int status;            /* refused with it, before anything is done; 0: not refused */
    int64_t retry_after_s; /* -1: no Retry-After */
    int64_t delay_ms;      /* answered that much later */
    bool loses_reply;      /* done, but the connection ends without an answer */
    int64_t left;          /* times; 0: until healed */
};

struct sandbox {
    struct http_server *server;
    struct mail_server *mail;
    struct egress *egress;
    struct http_client *classic, *actions; /* deliveries, one for each product of Segment */
    int limits;                            /* see sandbox_options */
    struct sandbox_rewrite rewrites[16];
    size_t rewrite_count;

    pthread_mutex_t lock; /* guards: */
    struct json *state;   /* one member a vendor */
    uint64_t next_id;
    struct received *first, *last; /* the oldest first */
    size_t received_count, received_bytes;
    struct fault faults[FAULTS_MAX];
    size_t fault_count;
    struct map rates; /* of struct rate */
    bool is_dirty, is_stopping;
    uint64_t version; /* of what is saved */
    pthread_cond_t changed;

    char *state_file;
    bool has_saver;
    pthread_t saver;
    pthread_mutex_t file_lock; /* guards the file and: */
    uint64_t saved_version;
};

/* A request to a vendor: `segments` is what follows the vendor's prefix, cut at its slashes and
 * decoded. */
struct visit {
    struct sandbox *sandbox;
    const struct http_request *request;
    struct http_response *response;
    char *segments[12];
    size_t count;
    struct json *query; /* object of strings; a name that is given twice has its last value */
    struct json *body;  /* parsed JSON or form; NULL */
};

struct vendor {
    const char *prefix;   /* its path here, and its name for faults */
    const char *hosts[4]; /* what is sent here instead */
    void (*visit)(struct visit *visit);
    /* An error in the vendor's own form. */
    void (*refuse)(struct visit *visit, int status, const char *message);
};

/* ---- server.c */
const struct vendor *vendor_find(struct str prefix);
/* Whether it is this method and path: "webhooks/ * / *" without the blanks; * is any segment. */
bool visit_is(const struct visit *visit, const char *method, const char *pattern);
bool visit_has(const struct visit *visit, size_t index, const char *segment);
bool is_method(const struct visit *visit, const char *method);
void reply(struct visit *visit, int status, struct json *value); /* takes `value` */
void reply_text(struct visit *visit, int status, const char *json);
void reply_header(struct visit *visit, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct str visit_bearer(const struct visit *visit);
int64_t query_number(const struct visit *visit, const char *name, int64_t otherwise);

/* ---- state.c, all under the lock */
/* The member of the state, made if missing. */
struct json *state_member(struct sandbox *sandbox, const char *name);
struct json *object_member(struct json *parent, const char *name, struct json *(*make)(void));
void state_changed(struct sandbox *sandbox); /* saved soon */
void state_save(struct sandbox *sandbox);    /* saved now: what must survive a kill */
void state_load(struct sandbox *sandbox);    /* before any other thread */
void state_reset(struct sandbox *sandbox);
void state_start_saver(struct sandbox *sandbox);
void state_stop(struct sandbox *sandbox); /* saves what is unsaved, frees; not under the lock */
/* Notes what a vendor took in. Takes `value`; `vendor` is a literal. */
void note_received(struct sandbox *sandbox, const char *vendor, struct json *value);
/* The last `count` (0: all) that one vendor (NULL: all of them) took in, as a JSON list. */
void list_received(const struct sandbox *sandbox, const char *vendor, size_t count,
                   struct buf *out);
char *new_id(struct sandbox *sandbox, const char *prefix); /* "rec" and 14 letters and digits */

/* ---- rate.c, under the lock */
struct rate_result {
    bool is_limited;
    int limit, used; /* of this window */
    int64_t left_ms; /* of this window */
};
/* Takes one of the `limit` requests that `key` has in a window, which opens with its first. */
struct rate_result rate_take(struct sandbox *sandbox, const char *key, int limit,
                             int64_t window_ms);
/* From now on everything under `key` is refused for a while. */
void rate_punish(struct sandbox *sandbox, const char *key, int64_t ms);

/* ---- fault.c, under the lock */
void fault_add(struct visit *visit);  /* POST /_sandbox/faults */
void fault_list(struct visit *visit); /* GET */
void fault_clear(struct sandbox *sandbox);
/* The fault for this request, counted down; false: none. What `ret` points to stays good for the
 * visit only as long as the lock is held. */
bool fault_take(struct visit *visit, const struct vendor *vendor, struct fault *ret);

/* ---- control.c: /_sandbox/… */
void control_visit(struct visit *visit);

/* ---- mail.c, mail_read.c */
struct mail_server;
/* On `port` of 127.0.0.1 if that is free, else on another. */
int mail_server_start(struct sandbox *sandbox, int port, struct mail_server **ret,
                      struct err *err) MUST_USE;
const char *mail_server_url(const struct mail_server *server); /* "smtp://127.0.0.1:9401" */
void mail_server_stop(struct mail_server *server);             /* NULL is fine */
/* {"subject", "text", "html", "headers": {…}} of a message as it came over the wire. */
struct json *mail_read(struct str text);

/* ---- the vendors */
void segment_config_visit(struct visit *visit);
void segment_config_refuse(struct visit *visit, int status, const char *message);
void segment_public_visit(struct visit *visit);
void segment_public_refuse(struct visit *visit, int status, const char *message);
void segment_tracking_visit(struct visit *visit);
void segment_tracking_refuse(struct visit *visit, int status, const char *message);
void segment_send(struct visit *visit); /* POST /_sandbox/segment/send; without the lock */
void discord_visit(struct visit *visit);
void discord_refuse(struct visit *visit, int status, const char *message);
void google_visit(struct visit *visit);
void google_refuse(struct visit *visit, int status, const char *message);
/* The key file of the sandbox's service account; RSA takes a moment, the first time. */
int google_service_account(struct sandbox *sandbox, struct json **ret, struct err *err) MUST_USE;
/* Whether an access token is one that was given and has not ended, and what for. */
bool google_token_is_good(struct sandbox *sandbox, struct str token, struct str *ret_scope);
void sheets_visit(struct visit *visit);
void sheets_refuse(struct visit *visit, int status, const char *message);
void airtable_visit(struct visit *visit);
void airtable_refuse(struct visit *visit, int status, const char *message);
void swapi_visit(struct visit *visit);
void swapi_refuse(struct visit *visit, int status, const char *message);
void echo_visit(struct visit *visit);
void echo_refuse(struct visit *visit, int status, const char *message);

#endif
