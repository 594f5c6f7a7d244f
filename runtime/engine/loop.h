/* The engine's thread: tasks in the order they were posted, and timers. What the engine owns is
 * touched on this thread only, so that it needs no locks. Life cycle: loop_new →
 * loop_post/loop_timer from anywhere → loop_free (after the last post). */
#ifndef RUNNEL_ENGINE_LOOP_H
#define RUNNEL_ENGINE_LOOP_H

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

typedef void (*loop_fn)(void *ctx);

struct loop;

struct loop *loop_new(void);
/* Runs what is posted until then, drops the timers, joins the thread. NULL is fine. */
void loop_free(struct loop *loop);
/* Calls fn(ctx) soon on the loop's thread. [any thread] */
void loop_post(struct loop *loop, loop_fn fn, void *ctx);
/* Between the two, what this thread posts does not wake the loop; the release does, once. For a
 * thread that posts many tasks in a row and does not wait in between. [any thread but the loop's] */
void loop_hold(struct loop *loop);
void loop_release(struct loop *loop);
/* Calls fn(ctx) once, at wall-clock time `at_ms` or as soon as possible after it. Returns an id for
 * loop_cancel. [any thread] */
uint64_t loop_timer(struct loop *loop, int64_t at_ms, loop_fn fn, void *ctx);
/* False when it has run already or is running. [loop thread] */
bool loop_cancel(struct loop *loop, uint64_t timer);
bool loop_is_current(const struct loop *loop);
/* Posts and waits for the end. Not on the loop's thread. */
void loop_call(struct loop *loop, loop_fn fn, void *ctx);

#endif
