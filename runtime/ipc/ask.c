/* Asks of a host during its calls: each is answered once, on whichever thread the answer comes. An
 * ask knows its call by id only, so it may outlive the call, the process and the supervisor: it
 * holds a reference to the host, and an answer whose call is gone is dropped. */
#include "ipc/host.h"

#include "json/json.h"

struct ask {
    struct host *host; /* a reference */
    uint64_t call_id;
    uint16_t number;
};

void ask_answer(struct ask *ask, struct str json, const struct str *sections, uint32_t count)
{
    struct host *host = ask->host;
    struct frame frame = {.id = ask->call_id,
                          .kind = FRAME_ANSWER,
                          .number = ask->number,
                          .json = json,
                          .sections = sections,
                          .section_count = count};
    size_t size = frame_size(&frame);
    if (size == 0) {
        frame.json = STR("{\"error\":{\"code\":\"RN_ETOOBIG\",\"text\":\"the answer is over the "
                         "limit of a frame\"}}");
        frame.section_count = 0;
        size = frame_size(&frame);
    }
    struct chunk *alone = size >= CHUNK_ALONE_BYTES ? chunk_new(&frame, size) : NULL;
    pthread_mutex_lock(&host->lock);
    struct slot *slot = calls_find(host, ask->call_id);
    bool is_wanted = slot && !slot->waiting && host->phase == PROCESS_READY;
    if (slot)
        slot->asks--;
    if (is_wanted && alone)
        outbox_push(&host->outbox, alone);
    else if (is_wanted)
        outbox_add(&host->outbox, &frame, size);
    if (is_wanted && !host_is_corked(host))
        host_flush(host);
    pthread_mutex_unlock(&host->lock);
    if (!is_wanted)
        free(alone);
    free(ask);
    host_free(host);
}

void ask_refuse(struct ask *ask, int code, const char *text)
{
    struct buf json = BUF_INIT(ERR_TEXT_MAX * 6 + 256);
    buf_addf(&json, "{\"error\":{\"code\":\"%s\",\"text\":", err_name(code));
    json_write_string(&json, str_from(text));
    buf_add_c(&json, "}}");
    ask_answer(ask, buf_str(&json), NULL, 0);
    buf_release(&json);
}

void calls_take_ask(struct host *host, const struct frame *frame)
{
    pthread_mutex_lock(&host->lock);
    struct slot *slot = calls_find(host, frame->id);
    if (!slot || slot->waiting) {
        pthread_mutex_unlock(&host->lock);
        return; /* of a call that has ended, or that the host cannot know */
    }
    struct ask *ask = xmalloc(sizeof(*ask));
    *ask = (struct ask){.host = host, .call_id = frame->id, .number = frame->number};
    atomic_fetch_add(&host->refs, 1);
    bool is_full = slot->asks >= LIMIT_ASKS, is_late = slot->is_late;
    slot->asks++;
    void (*handler)(void *, struct ask *, const struct frame *) = slot->ask;
    void *ctx = slot->ctx;
    pthread_mutex_unlock(&host->lock);
    /* The call cannot end meanwhile but for this thread. */
    if (!handler)
        ask_refuse(ask, RN_EPROTOCOL, "this call cannot ask for anything");
    else if (is_full)
        ask_refuse(ask, RN_ETOOBIG, "the call has too many open requests to the runtime");
    else if (is_late)
        ask_refuse(ask, RN_ETIMEDOUT, "the call's deadline has passed");
    else
        handler(ctx, ask, frame);
}
