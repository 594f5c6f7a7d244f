/* The table of a host's calls: registering, ending exactly once, deadlines. A call's id carries its
 * slot's index, so that an answer is found without searching; the scan for deadlines runs only when
 * the earliest one is due. */
#include "ipc/host.h"

#include "base/clock.h"
#include "json/json.h"

#include <sys/socket.h>

#define NO_SLOT UINT32_MAX

/* The host whose thread is in a batch of callbacks; its frames are sent together (host_uncork). */
static _Thread_local struct host *corked;

struct slot *calls_find(struct host *host, uint64_t id)
{
    uint32_t index = (uint32_t)(id & 0xFFFF);
    if (id == 0 || index >= host->slot_capacity || host->slots[index].id != id)
        return NULL;
    return &host->slots[index];
}

static struct slot *take_slot(struct host *host)
{
    if (host->calls == host->slot_capacity) {
        uint32_t old = host->slot_capacity;
        host->slot_capacity = old ? old * 2 : 64;
        host->slots = xrealloc(host->slots, host->slot_capacity * sizeof(*host->slots));
        for (uint32_t i = old; i < host->slot_capacity; i++)
            host->slots[i] =
                (struct slot){.next_free = i + 1 < host->slot_capacity ? i + 1 : NO_SLOT};
        host->first_free = old;
    }
    uint32_t index = host->first_free;
    struct slot *slot = &host->slots[index];
    host->first_free = slot->next_free;
    host->sequence++;
    *slot = (struct slot){.id = host->sequence << 16 | index};
    host->calls++;
    return slot;
}

static void give_slot(struct host *host, struct slot *slot)
{
    host->calls--;
    host->call_bytes -= slot->size;
    free(slot->waiting);
    *slot = (struct slot){.next_free = host->first_free};
    host->first_free = (uint32_t)(slot - host->slots);
}

void calls_end(struct host *host, struct slot *slot, int code, bool was_host_lost,
               struct ended_calls *ended)
{
    if (ended->count == ended->capacity) {
        ended->capacity = ended->capacity ? ended->capacity * 2 : 16;
        ended->items = xrealloc(ended->items, ended->capacity * sizeof(*ended->items));
    }
    ended->items[ended->count++] = (struct ended_call){
        .done = slot->done, .ctx = slot->ctx, .code = code, .was_host_lost = was_host_lost};
    give_slot(host, slot);
}

static void tell_failure(const struct host *host, const struct ended_call *call, const char *reason)
{
    struct call_result result = {
        .code = call->code, .was_host_lost = call->was_host_lost, .has_run_out = call->has_run_out};
    if (call->code == RN_ETIMEDOUT)
        reason = "the call's deadline passed";
    else if (call->code == RN_ECANCELED)
        reason = "the call was cancelled";
    (void)err_set(&result.err, call->code, "%s: %s", host->name, reason);
    call->done(call->ctx, &result);
}

void calls_tell(struct host *host, struct ended_calls *ended, const char *reason)
{
    for (size_t i = 0; i < ended->count; i++)
        tell_failure(host, &ended->items[i], reason);
    free(ended->items);
    *ended = (struct ended_calls){0};
}

static void add_cancel(struct host *host, uint64_t id)
{
    const struct frame frame = {.id = id, .kind = FRAME_CANCEL};
    outbox_add(&host->outbox, &frame, frame_size(&frame));
}

bool calls_expire(struct host *host, int64_t now_ms, struct ended_calls *ended)
{
    if (now_ms < host->next_deadline_ms)
        return false;
    bool has_outlived = false;
    int64_t next = HOST_NEVER;
    for (uint32_t i = 0; i < host->slot_capacity; i++) {
        struct slot *slot = &host->slots[i];
        if (slot->id == 0)
            continue;
        if (slot->deadline_ms <= now_ms) {
            if (slot->waiting) {
                calls_end(host, slot, slot->is_canceled ? RN_ECANCELED : RN_EUNAVAILABLE, false,
                          ended);
                continue;
            }
            has_outlived = has_outlived || slot->is_late;
            if (!slot->is_late)
                add_cancel(host, slot->id);
            slot->is_late = true;
            slot->deadline_ms = now_ms + LIMIT_CANCEL_GRACE_MS;
        }
        if (slot->deadline_ms < next)
            next = slot->deadline_ms;
    }
    host->next_deadline_ms = next;
    return has_outlived;
}

static int by_id(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

void calls_send_waiting(struct host *host)
{
    uint64_t *ids = xmalloc((host->calls ? host->calls : 1) * sizeof(*ids));
    size_t count = 0;
    for (uint32_t i = 0; i < host->slot_capacity; i++)
        if (host->slots[i].id && host->slots[i].waiting)
            ids[count++] = host->slots[i].id;
    qsort(ids, count, sizeof(*ids), by_id);
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = calls_find(host, ids[i]);
        outbox_push(&host->outbox, slot->waiting);
        slot->waiting = NULL;
        slot->outbox_end = host->outbox.added;
    }
    free(ids);
}

void calls_cancel_all(struct host *host, int code, struct ended_calls *ended)
{
    for (uint32_t i = 0; i < host->slot_capacity; i++) {
        struct slot *slot = &host->slots[i];
        if (slot->id == 0)
            continue;
        if (slot->waiting)
            calls_end(host, slot, code, false, ended);
        else
            add_cancel(host, slot->id);
    }
}

void calls_lose(struct host *host, bool with_waiting, struct ended_calls *ended)
{
    for (uint32_t i = 0; i < host->slot_capacity; i++) {
        struct slot *slot = &host->slots[i];
        if (slot->id == 0 || (slot->waiting && !with_waiting))
            continue;
        if (slot->is_late)
            calls_end(host, slot, RN_ETIMEDOUT, false, ended);
        else if (host->is_stopping)
            calls_end(host, slot, RN_ECANCELED, false, ended);
        else if (slot->waiting)
            calls_end(host, slot, RN_EUNAVAILABLE, false, ended);
        else if (slot->outbox_end > host->outbox.sent)
            calls_end(host, slot, RN_EUNAVAILABLE, true, ended);
        else
            calls_end(host, slot, RN_EUNKNOWN, true, ended);
    }
}

void calls_take_result(struct host *host, const struct frame *frame)
{
    pthread_mutex_lock(&host->lock);
    struct slot *slot = calls_find(host, frame->id);
    if (!slot || slot->waiting) {
        pthread_mutex_unlock(&host->lock);
        return;
    }
    struct ended_call call = {.done = slot->done, .ctx = slot->ctx};
    if (slot->is_late)
        call.code = RN_ETIMEDOUT;
    give_slot(host, slot);
    host->crashes_in_row = 0;
    pthread_mutex_unlock(&host->lock);

    struct call_result result;
    result.code = call.code;
    result.was_host_lost = result.has_run_out = false;
    result.frame = frame;
    result.err.code = call.code;
    result.err.text[0] = '\0';
    if (call.code)
        (void)err_set(&result.err, call.code, "%s: the call's deadline passed", host->name);
    call.done(call.ctx, &result);
}

void calls_take_log(struct host *host, const struct frame *frame)
{
    pthread_mutex_lock(&host->lock);
    struct slot *slot = calls_find(host, frame->id);
    void (*log)(void *, struct str, struct str) = slot ? slot->log : NULL;
    void *ctx = slot ? slot->ctx : NULL;
    pthread_mutex_unlock(&host->lock);
    struct json *line = NULL;
    if (!log || json_parse(frame->json, &line, NULL) != 0)
        return;
    /* The call cannot end meanwhile but for this thread. */
    log(ctx, json_get_text(line, "level"), json_get_text(line, "text"));
    json_free(line);
}

bool host_is_corked(const struct host *host)
{
    return corked == host;
}

void host_cork(struct host *host)
{
    corked = host;
}

void host_uncork(struct host *host)
{
    corked = NULL;
    pthread_mutex_lock(&host->lock);
    host_flush(host);
    pthread_mutex_unlock(&host->lock);
}

/* ---- calls from outside */

/* Whether a new call may begin; else why not. A quarantine whose time is over ends here, for one
 * try. */
static int check_state(struct host *host, int64_t now_ms, size_t size, struct err *err)
{
    if (host->is_retiring || host->is_stopping)
        return err_set(err, RN_EUNAVAILABLE, "%s: is being ended", host->name);
    if (host->quarantined_until_ms > now_ms)
        return err_set(err, RN_EUNAVAILABLE,
                       "%s: quarantined after %d crashes in a row; the last: %s", host->name,
                       host->crashes_in_row, host->last_error);
    if (host->calls >= HOST_CALLS_MAX)
        return err_set(err, RN_EUNAVAILABLE, "%s: %zu calls are in flight already", host->name,
                       host->calls);
    if (host->calls && host->call_bytes + size > HOST_CALL_BYTES_MAX)
        return err_set(err, RN_EUNAVAILABLE, "%s: calls with %zu bytes are in flight already",
                       host->name, host->call_bytes);
    if (host->quarantined_until_ms) {
        host->quarantined_until_ms = 0;
        host->crashes_in_row = LIMIT_PLUGIN_CRASHES - 1;
    }
    if (host_ensure_thread(host) != 0)
        return err_set(err, RN_EUNAVAILABLE, "%s: no thread could be started", host->name);
    return 0;
}

static uint64_t refuse(const struct call *call, struct call_result *result)
{
    result->code = result->err.code;
    call->done(call->ctx, result);
    return 0;
}

/* Puts the frame where it belongs and wakes whom it concerns. [lock held; drops it while it sends]
 */
static void dispatch(struct host *host, struct slot *slot, struct frame *frame, struct chunk *alone)
{
    frame->id = slot->id;
    if (alone)
        chunk_set_id(alone, slot->id);
    /* One that was told to end for being idle takes nothing more: the next process will. */
    bool is_ready = host->phase == PROCESS_READY && !host->is_shut;
    if (!is_ready)
        slot->waiting = alone ? alone : chunk_new(frame, slot->size);
    else if (alone)
        outbox_push(&host->outbox, alone);
    else
        outbox_add(&host->outbox, frame, slot->size);
    slot->outbox_end = host->outbox.added;
    if (slot->deadline_ms < host->next_deadline_ms)
        host->next_deadline_ms = slot->deadline_ms;
    bool must_start = host->phase == PROCESS_NONE && !host->wants_start;
    if (must_start)
        host->wants_start = true;
    if (must_start || slot->deadline_ms < host->wakes_at_ms)
        host_wake(host);
    if (is_ready && corked != host)
        host_flush(host);
}

uint64_t host_call(struct host *host, const struct call *call)
{
    struct call_result refused = {.code = 0};
    struct frame frame = call->frame;
    frame.kind = FRAME_CALL;
    frame.id = 0;
    size_t size = frame_size(&frame);
    if (size == 0) {
        (void)err_set(&refused.err, RN_ETOOBIG, "%s: the call is over %zu bytes or %d sections",
                      host->name, LIMIT_FRAME_BYTES, LIMIT_FRAME_SECTIONS);
        return refuse(call, &refused);
    }
    int64_t timeout = call->timeout_ms < 0 ? 0 : call->timeout_ms;
    if (timeout > LIMIT_STEP_MS_MAX)
        timeout = LIMIT_STEP_MS_MAX;
    struct chunk *alone = size >= CHUNK_ALONE_BYTES ? chunk_new(&frame, size) : NULL;
    int64_t now = clock_mono_ms();

    pthread_mutex_lock(&host->lock);
    if (check_state(host, now, size, &refused.err) != 0) {
        pthread_mutex_unlock(&host->lock);
        free(alone);
        return refuse(call, &refused);
    }
    struct slot *slot = take_slot(host);
    uint64_t id = slot->id;
    slot->done = call->done;
    slot->log = call->log;
    slot->ask = call->ask;
    slot->ctx = call->ctx;
    slot->deadline_ms = now + timeout;
    host->used_at_ms = now;
    slot->size = size;
    host->call_bytes += size;
    dispatch(host, slot, &frame, alone);
    pthread_mutex_unlock(&host->lock);
    return id;
}

void call_cancel(struct host *host, uint64_t id)
{
    pthread_mutex_lock(&host->lock);
    struct slot *slot = calls_find(host, id);
    if (slot && slot->waiting) {
        slot->is_canceled = true;
        slot->deadline_ms = host->next_deadline_ms = 0;
        host_wake(host);
    } else if (slot) {
        add_cancel(host, id);
        if (corked != host)
            host_flush(host);
    }
    pthread_mutex_unlock(&host->lock);
}
