/* What is new since a place in the store: events, runs and log lines, for those who follow. The
 * place is three growing numbers, so a follower that was away goes on from where it was, after a
 * restart too. Thread: any but the loop's. */
#ifndef RUNNEL_ENGINE_FEED_H
#define RUNNEL_ENGINE_FEED_H

#include "engine/engine.h"

#define FEED_EVENTS 1u
#define FEED_RUNS 2u
#define FEED_LOGS 4u
#define FEED_CURSOR_MAX 64

struct feed_cursor {
    uint64_t change, event, run;
};

struct feed_filter {
    unsigned topics;
    const char *workflow, *source, *run; /* NULL: any */
};

/* Calls fn(ctx) after each commit, on the store's writer thread; it must not block. */
void engine_feed_watch(struct engine *engine, void (*fn)(void *ctx), void *ctx);
/* The place behind everything that is there now. */
int engine_feed_head(struct engine *engine, struct feed_cursor *ret, struct err *err) MUST_USE;
void feed_cursor_format(const struct feed_cursor *cursor, char out[FEED_CURSOR_MAX]);
int feed_cursor_parse(struct str text, struct feed_cursor *ret) MUST_USE; /* RN_EINVAL */

/* Gives what is new behind *cursor to `each` (a run may be given several times: its newest state
 * counts), about `limit` of each topic, and moves *cursor. *ret_more: there is more already.
 * RN_ENOTFOUND: the place is older than what the store remembers (LIMIT_CHANGES changes), or not of
 * this store; *cursor is the head then. */
int engine_feed(struct engine *engine, const struct feed_filter *filter, struct feed_cursor *cursor,
                size_t limit, void (*each)(void *ctx, const char *topic, const struct json *value),
                void *ctx, bool *ret_more, struct err *err) MUST_USE;

#endif
