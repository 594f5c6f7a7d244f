/* The messages of $.send.sse: the newest LIMIT_SSE_KEPT of each workflow, on disk, numbered from 1.
 * Who follows them is the api room's (streams). */
#ifndef RUNNEL_ENGINE_SSE_H
#define RUNNEL_ENGINE_SSE_H

#include "engine/engine.h"

struct store_tx;

/* Writer thread. */
int sse_put(struct store_tx *tx, const char *workflow, struct str channel,
            const struct json *payload, struct err *err) MUST_USE;

/* Gives each message of the workflow behind number `after` to `each`, oldest first; `data` is JSON
 * text of one line. [any thread but the loop's] */
int engine_sse(struct engine *engine, const char *workflow, uint64_t after,
               void (*each)(void *ctx, uint64_t number, struct str channel, struct str data),
               void *ctx, struct err *err) MUST_USE;

#endif
