/* QuickJS, compiled from WebAssembly to C, as one sandbox: a linear memory with a cap, no I/O, and
 * a way back to a snapshot after each use. Private to the room; the only file that knows the
 * engine.
 *
 * Life cycle: quickjs_new (starts the engine, runs the prelude, takes the snapshot) → per use:
 * quickjs_run(body) → quickjs_reset. All on one thread, one instance a process: traps jump through
 * one global buffer. What runs inside quickjs_run() may be left by a jump at any call of the
 * engine, so the body owns nothing that is not reachable from its ctx.
 *
 * Two things stop what does not end: the engine asks every few thousand steps whether its time is
 * over; and a timer's signal jumps out of loops inside built-ins, which ask nobody. */
#ifndef RUNNEL_EXPR_QUICKJS_H
#define RUNNEL_EXPR_QUICKJS_H

#include "base/err.h"
#include "base/str.h"

struct quickjs;

/* A value of the engine, by its place in the sandbox; 0 is none. Good until quickjs_reset(). */
typedef uint32_t quickjs_value;

/* `prelude` evaluates to an object of functions; those in `names` (NULL at the end) can be called
 * by index. */
int quickjs_new(struct str prelude, const char *const *names, size_t memory_limit,
                struct quickjs **ret, struct err *err) MUST_USE;
void quickjs_free(struct quickjs *q);

/* Runs body(q, ctx) for at most limit_ms. 0: the body ran to its end. RN_ETIMEDOUT; RN_EFAILED: the
 * sandbox trapped, which is a stack overflow in C or a bug of the engine. */
int quickjs_run(struct quickjs *q, int64_t limit_ms, void (*body)(struct quickjs *q, void *ctx),
                void *ctx, struct err *err) MUST_USE;
/* Back to the snapshot: nothing of the last use is left. */
void quickjs_reset(struct quickjs *q);

/* ---- inside a body */

/* Evaluates a script; `compile_only` just compiles. 0: it threw, and *ret_thrown is what. */
quickjs_value quickjs_eval(struct quickjs *q, struct str text, bool compile_only,
                           quickjs_value *ret_thrown);
/* Calls a function of the prelude. 0: it threw. */
quickjs_value quickjs_call(struct quickjs *q, size_t index, const quickjs_value *args, size_t count,
                           quickjs_value *ret_thrown);
/* UTF-8 without U+0000. 0: no memory left. */
quickjs_value quickjs_string(struct quickjs *q, struct str text);
quickjs_value quickjs_boolean(struct quickjs *q, bool value);
/* The bytes of a string value up to its first U+0000, in the sandbox: good until the next call.
 * {NULL, 0}: no memory left. */
struct str quickjs_text(struct quickjs *q, quickjs_value value);
/* Lifts the engine's own memory limit to what the linear memory still gives: to describe an
 * out-of-memory error. */
void quickjs_use_reserve(struct quickjs *q);
/* Whether the time of quickjs_run() is over; what was thrown then is the interruption. */
bool quickjs_is_expired(const struct quickjs *q);

#endif
