/* Server-sent events. All streams of both listeners are one thread's: a connection that asks for
 * one is taken over from its listener (net/http_server.h), so a stream costs a descriptor and a
 * place in the store, no thread. LIMIT_STREAMS at once; more are answered 503. Private to the api
 * room. */
#ifndef RUNNEL_API_STREAMS_H
#define RUNNEL_API_STREAMS_H

#include "engine/feed.h"

struct streams;

struct stream_options {
    const char *topics; /* "events,runs,logs,totals" */
    const char *workflow, *source, *run;
    struct str from; /* Last-Event-ID; empty: from now on */
    bool is_brief;   /* leaves out what comes too fast to be read, and says so */
    const char *sse; /* instead of all this: the messages of $.send.sse of this workflow */
    bool is_public;  /* on the ingest listener: LIMIT_SSE_PUBLIC at once */
};

int streams_start(struct engine *engine, struct streams **ret, struct err *err) MUST_USE;
/* Fills in the response; the stream begins when the connection is handed over. RN_EINVAL,
 * RN_EUNAVAILABLE. [any thread] */
int streams_begin(struct streams *streams, const struct stream_options *options,
                  struct http_response *response, struct err *err) MUST_USE;
/* Ends all streams. After the listener has stopped. NULL is fine. */
void streams_stop(struct streams *streams);
/* After the store has closed: its writer tells us of commits until then. NULL is fine. */
void streams_free(struct streams *streams);

#endif
