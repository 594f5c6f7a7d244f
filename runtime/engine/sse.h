/* The messages of $.send.sse: the newest LIMIT_SSE_KEPT of each workflow, on disk, numbered from 1.
 * Who follows them is the api room's (streams). */
#ifndef RUNNEL_ENGINE_SSE_H
#define RUNNEL_ENGINE_SSE_H

#include "engine/engine.h"

struct project;
struct store_tx;

/* Writer thread. */
int sse_put(struct store_tx *tx, const char *workflow, struct str channel,
            const struct json *payload, struct err *err) MUST_USE;

/* Gives each message of the workflow behind number `after` to `each`, oldest first, until that says
 * false; `data` is JSON text of one line. [any thread but the loop's] */
int engine_sse(struct engine *engine, const char *workflow, uint64_t after,
               bool (*each)(void *ctx, uint64_t number, struct str channel, struct str data),
               void *ctx, struct err *err) MUST_USE;

/* Removes the messages of workflows whose files are gone. [any thread but the loop's] */
void sse_forget_gone(struct engine *engine, const struct project *project);

/* The workflow whose messages are open to the world under this key, and may be read by a page of
 * this origin (empty: no browser's request). *ret is freed by the caller; *ret_is_any: pages of any
 * origin may. RN_ENOTFOUND; RN_EPERM: not from there. */
int engine_sse_public(struct engine *engine, struct str key, struct str origin, char **ret,
                      bool *ret_is_any, struct err *err) MUST_USE;
/* The URL of a workflow's messages for the world; the caller frees. */
char *sse_url(struct engine *engine, const char *workflow);

#endif
