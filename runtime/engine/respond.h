/* Answers of workflows to senders who wait: `respond: workflow` of an HTTP trigger. Private to the
 * engine.
 *
 * The listener's thread expects an answer before the event is committed, so that the run cannot be
 * faster; the run gives it (respond_give) and ends (respond_end), both by its id. What is given
 * counts once; it goes out at the end of the run, or at once if it is immediate. Nobody waiting
 * (the sender is gone, runnel was started again, a replay) is no error: the answer is dropped and
 * the run goes on. */
#ifndef RUNNEL_ENGINE_RESPOND_H
#define RUNNEL_ENGINE_RESPOND_H

#include "engine/internal.h"

struct expected_answer {
    struct expected_answer *next;
    uint64_t run_id;     /* 0: not yet known */
    struct json *answer; /* {status, headers, body, …}; NULL: none so far */
    bool is_ready, is_waiting;
    pthread_cond_t cond;
};

struct responders *responders_new(void);
void responders_free(struct responders *responders); /* NULL is fine */

/* RN_EUNAVAILABLE: LIMIT_RESPOND_WAITERS wait already. Otherwise respond_forget() must follow. */
int respond_expect(struct engine *engine, struct expected_answer *expected) MUST_USE;
void respond_bind(struct engine *engine, struct expected_answer *expected, uint64_t run_id);
/* 0: expected->answer, or NULL if the run ended without one. RN_ETIMEDOUT; RN_ECANCELED: runnel
 * stops. */
int respond_wait(struct engine *engine, struct expected_answer *expected, int64_t wait_ms) MUST_USE;
void respond_forget(struct engine *engine, struct expected_answer *expected);

/* `response`: {status, headers: {}, body, immediate}; body text, JSON, or {"$base64": …}. [any] */
void respond_give(struct engine *engine, uint64_t run_id, const struct json *response);
void respond_end(struct engine *engine, uint64_t run_id); /* [any] */

/* Puts an answer into an HTTP response. */
void respond_write(const struct json *answer, struct http_response *response);

#endif
