/* The interpreters of a code host: warm ones wait for their workflow's next call. Private to the
 * room. */
#ifndef RUNNEL_CODE_POOL_H
#define RUNNEL_CODE_POOL_H

#include "code/child.h"

/* A child that has everything that `key` says (language, workflow, memory, environment): an idle
 * one, or a new one by `options`. While LIMIT_CODE_PROCESSES are busy it waits, until
 * `deadline_mono_ms` (RN_ETIMEDOUT) or while `is_cancelled` says no (RN_ECANCELED). */
int pool_take(const char *key, const struct child_options *options, int64_t deadline_mono_ms,
              bool (*is_cancelled)(void *ctx), void *ctx, struct child **ret,
              struct err *err) MUST_USE;
/* Back into the pool, warm. */
void pool_give(struct child *child);
/* It is of no use any more: ends it. */
void pool_drop(struct child *child);
/* Ends those that have been idle for LIMIT_CODE_IDLE_MS. */
void pool_sweep(void);
void pool_release(void);

#endif
