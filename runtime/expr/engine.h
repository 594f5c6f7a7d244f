/* Templates that need JavaScript: resolved in the expression host, a process of its own (QuickJS
 * compiled from wasm to C; memory cap LIMIT_EXPRESSION_MEMORY, time limit LIMIT_EXPRESSION_MS per
 * call, no I/O). A throwing, endless or memory-eating expression fails its call with its text and
 * position and nothing else. [any thread]
 *
 * Offered in expressions: `steps`, `process.env`, the whole of ECMAScript 2023 that QuickJS has,
 * btoa, atob, structuredClone. Not offered (a clear error that names a code step as the way):
 * require, import, Buffer, fetch, Intl, setTimeout. Numbers that a double cannot hold come into the
 * engine as values that print, compare and pass through exactly (docs/expressions.md).
 */
#ifndef RUNNEL_EXPR_ENGINE_H
#define RUNNEL_EXPR_ENGINE_H

#include "expr/template.h"
#include "ipc/supervisor.h"

struct expr_engine;

/* Starts nothing yet: the host process starts with the first call. Free the engine before its
 * supervisor; calls in flight still end. */
struct expr_engine *expr_engine_new(struct supervisor *supervisor);
void expr_engine_free(struct expr_engine *engine);

typedef void (*expr_done)(void *ctx, int code, struct expr_result *result,
                          const struct expr_where *where, const struct err *err);

/* Resolves the whole template in the host; `done` is called once, on any thread; *result is the
 * callee's to release (move out of it). Everything passed is borrowed until this returns.
 * RN_EFAILED it threw; RN_ETIMEDOUT; RN_ENOMEM; RN_EUNAVAILABLE the host is down. */
void expr_engine_resolve(struct expr_engine *engine, const struct expr_template *template,
                         const struct expr_scope *scope, expr_done done, void *ctx);

/* Whether every expression that needs the engine is JavaScript; nothing runs. Waits for the host.
 * RN_EINVAL with *ret_where (may be NULL): it is not; RN_EUNAVAILABLE and the like: the host could
 * not say. */
int expr_engine_check(struct expr_engine *engine, const struct expr_template *template,
                      struct expr_where *ret_where, struct err *err) MUST_USE;

/* What `runnel expression-host` does; returns the exit code. */
int expression_host_main(int argc, char **argv);

#endif
