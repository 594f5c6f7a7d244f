/* What the files of the HTTP listener share: the rules of a header, and the slots, one for each
 * worker thread, through which the reaper sees what a connection is doing. Only http_server.c and
 * http_head.c know civetweb.
 *
 * Why a reaper: civetweb's own timeout starts anew with every byte that arrives, so that a body
 * sent one byte at a time holds a thread for as long as the sender likes, and a keep-alive
 * connection that says nothing holds one while others wait. The reaper shuts such a connection's
 * socket down; the read that the worker is waiting in then ends, and the worker answers 408 or
 * closes. civetweb does not give the socket away, so it is found by its addresses, which happens
 * only then.
 *
 * Locks: slot->mutex guards the fields of the slot named below. A worker takes it for each change
 * of state and before its socket is closed, so the socket that the reaper finds under it is still
 * that worker's. */
#ifndef RUNNEL_NET_HTTP_SERVER_PRIVATE_H
#define RUNNEL_NET_HTTP_SERVER_PRIVATE_H

#include "net/http_server.h"

#include <pthread.h>
#include <stdatomic.h>

/* the body of an answer, unless the handler gives its buffer another maximum */
#define LIMIT_HTTP_RESPONSE MIB(64)
#define HTTP_PEER_MAX 48

bool http_is_token_char(unsigned char c);
bool http_is_token(const char *text);
/* No control characters but tabs. */
bool http_is_field_value(struct str value);

enum http_slot_state {
    HTTP_SLOT_CLOSED,   /* the worker has no connection */
    HTTP_SLOT_IDLE,     /* no whole head yet: a new or a kept connection */
    HTTP_SLOT_READING,  /* a body */
    HTTP_SLOT_HANDLING, /* the handler has it */
    HTTP_SLOT_WRITING,
};

enum { HTTP_STOP_NOT, HTTP_STOP_IDLE, HTTP_STOP_ALL };

struct http_slot {
    pthread_mutex_t mutex; /* guards: */
    enum http_slot_state state;
    int64_t since_ms;    /* of the state */
    int64_t deadline_ms; /* 0: none */
    bool is_expired;     /* the reaper has shut the socket down */
    int peer_port;
    char peer[HTTP_PEER_MAX];
    /* the worker's own: */
    bool is_first; /* no request was read on this connection yet */
    void *worker;
};

struct http_slots {
    struct http_slot *slots;
    int count;
    int keep; /* connections up to which keep-alive is granted */
    atomic_int taken;
    atomic_int open;
    atomic_int is_stopping; /* HTTP_STOP_… */
    atomic_int port;
    pthread_mutex_t mutex; /* guards is_quitting */
    pthread_cond_t wake;
    bool is_quitting;
    pthread_t thread;
};

/* Real monotonic time: clock_mono_ms() may be a test's. */
int64_t http_now_ms(void);
/* `count` slots, and the reaper's thread. */
int http_slots_start(struct http_slots *slots, int count, int keep, struct err *err) MUST_USE;
void http_slots_release(struct http_slots *slots);
/* The reaper looks at once. */
void http_slots_wake(struct http_slots *slots);
/* The next slot for a worker that starts. NULL: there are more workers than slots. */
struct http_slot *http_slots_take(struct http_slots *slots);
/* Whether answers should close their connections, because others have none. */
bool http_slots_are_short(const struct http_slots *slots);

void http_slot_open(struct http_slots *slots, struct http_slot *slot, const char *peer,
                    int peer_port, int64_t deadline_ms);
void http_slot_close(struct http_slots *slots, struct http_slot *slot);
/* False if the connection has been shut down. */
bool http_slot_set(struct http_slot *slot, enum http_slot_state state, int64_t now_ms,
                   int64_t deadline_ms);

/* This process's socket between the local port and the peer, or -1. Walks all descriptors: not for
 * the usual path. */
int http_socket_find(int local_port, const char *peer, int peer_port);
/* Takes the slot's socket out of the hands of the server: the new descriptor, or -1. The old one
 * then stands for a socket that is connected to nothing. */
int http_slot_take_socket(struct http_slots *slots, struct http_slot *slot, const char *peer,
                          int peer_port);
/* This process's socket that listens on the port, or -1. */
int http_listener_find(int port);

/* Before civetweb is asked for TLS for the first time. */
int http_tls_prepare(struct err *err) MUST_USE;

#endif
