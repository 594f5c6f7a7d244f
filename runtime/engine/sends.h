/* What the steps of a run send when it has ended ($.send): http, email, emit, sse. Private to the
 * engine.
 *
 *   a step's attempt succeeds → sends_take: checked, secrets taken out of what is shown, the request
 *   itself sealed; on disk with the attempt's result → the run ends → ending_…: in its last
 *   transaction emits become events and queue entries, sse messages are written, http and email go
 *   into the outbox → outbox.c performs them.
 *
 * An attempt that fails sends nothing. What a record of an attempt's sends looks like: a list of
 * {kind, path, state, …what is sent, without secrets…, sealed?, event?, status?, error?, tries?,
 * done_ms?, next_ms?}; `sealed` only until the run has ended. */
#ifndef RUNNEL_ENGINE_SENDS_H
#define RUNNEL_ENGINE_SENDS_H

#include "engine/run.h"

/* In the store's kv: due ms, run, position, attempt, index, host → an entry (outbox.c). */
#define SPACE_OUTBOX "outbox"

/* One thing to be sent. Loop thread. */
struct send {
    struct send *next;
    uint32_t position, attempt, index; /* of the list of the attempt */
    struct json *record;               /* without `sealed` */
    char *sealed;                      /* base64; NULL: emit, sse */
    bool is_long; /* an emit's event: it stands in the event, not in the record, too */
};

/* Takes what the strand's attempt asks for; what is wrong with it is the step's failure (RN_EINVAL,
 * RN_ETOOBIG, RN_ECONFIG), and nothing of it is kept then. */
int sends_take(struct strand *strand, const struct json *asked, struct err *err) MUST_USE;
/* What the steps of a run that is loaded have asked for. */
void sends_load(struct run *run, struct store_view *view);
void sends_free(struct send *list); /* NULL is fine */
/* What a sealed request is bound to; the caller frees. */
char *sends_seal_place(uint64_t run_id, uint32_t position, uint32_t attempt, uint32_t index);

/* ---- sends_check.c */
/* What is to be sent as it will be sent (*ret_request) and what of it is shown, secrets that stand
 * in the request itself left out. RN_EINVAL. */
int send_check(const struct json *asked, struct json **ret_request, struct json **ret_shown,
               struct err *err) MUST_USE;

/* ---- sends_end.c: the part of a run's last transaction that sends */
struct ending;
/* NULL: nothing is to be sent. Takes the run's sends. Loop thread. */
struct ending *ending_new(struct run *run);
void ending_free(struct ending *ending); /* NULL is fine */
/* Writer thread. */
int ending_apply(struct store_tx *tx, struct ending *ending, struct err *err) MUST_USE;
/* It is on disk: wakes those whom it concerns. Loop thread. */
void ending_committed(struct engine *engine, const struct ending *ending);

/* ---- outbox.c: deliveries, on threads of their own */
struct outbox *outbox_new(struct engine *engine);
/* Ends the deliveries: those in flight have until grace_ms. */
void outbox_stop(struct outbox *outbox, int grace_ms);
void outbox_free(struct outbox *outbox); /* NULL is fine */
/* There is something in the outbox. A passive engine delivers only what runs of its own have sent.
 * `run_id` 0: whatever is there. [any thread] */
void outbox_wake(struct outbox *outbox, uint64_t run_id);
/* Puts an entry in; `due_ms`: when it is tried. Writer thread. */
int outbox_put(struct store_tx *tx, const struct json *entry, int64_t due_ms,
               struct err *err) MUST_USE;

#endif
