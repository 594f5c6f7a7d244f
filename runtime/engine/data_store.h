/* Data stores as the engine gives them out: to hosts that ask during a step's call, and to people. */
#ifndef RUNNEL_ENGINE_DATA_STORE_H
#define RUNNEL_ENGINE_DATA_STORE_H

#include "engine/engine.h"

/* {"op":"store_…", …} as plugin/protocol.h has it, with `value` and `expected` as JSON values in
 * it; *ret likewise, `value` a member (`keys`, `items` for those). Blocks until what it writes is
 * on disk. */
int engine_data(struct engine *engine, const struct json *request, struct json **ret,
                struct err *err) MUST_USE;
/* [{name, keys, bytes}] */
int engine_data_stores(struct engine *engine, struct json **ret, struct err *err) MUST_USE;

#endif
