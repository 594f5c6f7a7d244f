/* The one transaction in which a source run takes effect: db writes, dedupe, events, one queue
 * entry per subscribed workflow. Thread: apply and done on the store's writer. */
#include "engine/internal.h"

static uint64_t read_version(struct store_tx *tx, const char *id)
{
    struct str text;
    uint64_t version = 0;
    if (kv_get(STORE_TX(tx), SPACE_DB_VERSION, str_from(id), &text) == 0)
        (void)!num_parse_u64(text, &version);
    return version;
}

/* Checks come before the first write (store.h). */
static int apply_writes(struct store_tx *tx, struct acceptance *a, struct err *err)
{
    const char *id = a->instance->id;
    uint64_t version = read_version(tx, id);
    if (version != a->seen_db_version)
        return err_set(err, RN_ECONFLICT, "the db of %s has changed during the run", id);
    char *space = xasprintf("db/%s", id);
    int rc = 0;
    for (size_t i = 0; i < a->write_count && rc == 0; i++) {
        const struct db_write *w = &a->writes[i];
        rc = w->value.ptr ? kv_put(tx, space, w->key, w->value, err)
                          : kv_delete(tx, space, w->key, err);
    }
    free(space);
    char text[24];
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)(version + 1));
    a->new_db_version = version + 1;
    return rc ? rc : kv_put(tx, SPACE_DB_VERSION, str_from(id), str_from(text), err);
}

/* Dedupe `last`: everything behind the remembered id, or everything if it is not in this run. */
static size_t first_after_last(struct store_tx *tx, const struct acceptance *a)
{
    struct buf last = BUF_INIT(LIMIT_EMIT_ID);
    size_t first = 0;
    if (dedupe_last_get(tx, str_from(a->instance->id), &last, NULL) == 0 && last.len)
        for (size_t i = 0; i < a->emit_count; i++)
            if (str_eq(a->emits[i].id, buf_str(&last)))
                first = i + 1;
    buf_release(&last);
    return first;
}

static int is_new(struct store_tx *tx, const struct acceptance *a, const struct emit *emit,
                  bool *ret, struct err *err)
{
    struct str emitter = str_from(a->instance->id);
    *ret = true;
    if (emit->id.len == 0) /* a native trigger's, whose expression gave nothing */
        return 0;
    switch (a->instance->dedupe) {
    case RN_DEDUPE_UNIQUE:
        return dedupe_unique(tx, emitter, emit->id, a->instance->remember, ret, err);
    case RN_DEDUPE_GREATEST:
        return dedupe_greatest(tx, emitter, emit->id, ret, err);
    case RN_DEDUPE_LAST:
        return dedupe_last_set(tx, emitter, emit->id, err);
    default:
        return 0;
    }
}

int queue_run(struct store_tx *tx, uint64_t event_id, const char *workflow, const char *trigger,
              const char *more, uint64_t *ret_run, struct err *err)
{
    char detail[160];
    int n = snprintf(detail, sizeof(detail), "{\"trigger\":\"%s\"%s}", trigger, more);
    struct queue_entry entry = {
        .event_id = event_id, .workflow = str_from(workflow), .detail = str_n(detail, (size_t)n)};
    int rc = queue_push(tx, &entry, err);
    *ret_run = entry.run_id;
    return rc;
}

static int apply_emit(struct store_tx *tx, struct acceptance *a, const struct emit *emit,
                      struct err *err)
{
    bool emits = false;
    int rc = is_new(tx, a, emit, &emits, err);
    a->is_duplicate |= !emits;
    if (rc || !emits)
        return rc;
    int64_t now = clock_now_ms();
    struct event_record record = {
        .ts = emit->ts ? emit->ts : now,
        .received_ms = now,
        .emitter = str_from(a->instance->id),
        .emit_id = emit->id,
        .name = emit->name,
        .summary = emit->summary,
        .event = emit->event,
        .raw = emit->raw,
    };
    rc = event_put(tx, &record, err);
    a->event_id = record.id;
    for (size_t i = 0; i < a->subscriber_count && rc == 0 && !a->starts_nothing; i++) {
        const struct subscriber *s = &a->subscribers[i];
        if (!str_eq_c(emit->name, s->channel))
            continue;
        rc = queue_run(tx, record.id, s->workflow, s->trigger,
                       a->is_unstored ? ",\"nostore\":true" : "", &a->run_id, err);
        a->queued++;
    }
    return rc;
}

/* settings.queue.size: a full queue refuses new events, and never drops one that was accepted. */
static int check_queues(struct store_tx *tx, const struct acceptance *a, struct err *err)
{
    for (size_t i = 0; i < a->subscriber_count; i++) {
        const struct subscriber *s = &a->subscribers[i];
        if (s->queue_size && queue_count(STORE_TX(tx), str_from(s->workflow)) >= s->queue_size)
            return err_set(err, RN_EUNAVAILABLE, "the queue of the workflow \"%s\" is full",
                           s->workflow);
    }
    return 0;
}

/* A ring of SOURCE_LOG_LINES per source: slot and sequence number, so that a noisy source cannot
 * fill the store. */
static int put_log(struct store_tx *tx, const char *id, const struct json *line, struct err *err)
{
    struct str text;
    uint64_t sequence = 0;
    if (kv_get(STORE_TX(tx), SPACE_SOURCE_LOG_NEXT, str_from(id), &text) == 0)
        (void)!num_parse_u64(text, &sequence);
    char number[24], key[256];
    int n = snprintf(number, sizeof(number), "%llu", (unsigned long long)(sequence + 1));
    int rc = kv_put(tx, SPACE_SOURCE_LOG_NEXT, str_from(id), str_n(number, (size_t)n), err);
    n = snprintf(key, sizeof(key), "%s\x01%04u", id, (unsigned)(sequence % SOURCE_LOG_LINES));
    size_t size = 0;
    char *value = json_text(line, &size);
    rc = rc ? rc : kv_put(tx, SPACE_SOURCE_LOGS, str_n(key, (size_t)n), str_n(value, size), err);
    free(value);
    return rc ? rc : change_note_log(tx, str_n(key, (size_t)n), err);
}

static int apply(struct store_tx *tx, void *ctx, struct err *err)
{
    struct acceptance *a = ctx;
    a->queued = 0;
    a->event_id = a->run_id = 0;
    a->is_duplicate = false;
    int rc = a->emit_count && !a->starts_nothing ? check_queues(tx, a, err) : 0;
    rc = rc || !a->write_count ? rc : apply_writes(tx, a, err);
    size_t first = a->instance->dedupe == RN_DEDUPE_LAST ? first_after_last(tx, a) : 0;
    for (size_t i = first; i < a->emit_count && rc == 0; i++)
        rc = apply_emit(tx, a, &a->emits[i], err);
    for (const struct json *l = json_first(a->logs); l && rc == 0; l = json_next(l))
        rc = put_log(tx, a->instance->id, l, err);
    return rc || !a->effect ? rc : a->effect(tx, a, err);
}

static void release_subscribers(struct acceptance *a)
{
    free(a->subscribers);
    a->subscribers = NULL;
    a->subscriber_count = 0;
}

static void done(void *ctx, int code, const struct err *err)
{
    struct acceptance *a = ctx;
    if (code == 0 && a->write_count) {
        pthread_mutex_lock(&a->instance->lock);
        if (a->new_db_version > a->instance->db_version)
            a->instance->db_version = a->new_db_version;
        pthread_mutex_unlock(&a->instance->lock);
    }
    if (code == 0 && a->committed)
        a->committed(a);
    if (code == 0 && a->queued)
        for (size_t i = 0; i < a->subscriber_count; i++)
            dispatcher_wake(a->engine, a->subscribers[i].workflow);
    release_subscribers(a);
    a->done(a, code, err);
}

int acceptance_submit(struct acceptance *a)
{
    /* as they are now: a deploy may change them while the operation waits */
    a->subscribers = instance_copy_subscribers(a->instance, NULL, &a->subscriber_count);
    a->op =
        (struct store_op){.apply = apply, .done = done, .ctx = a, .is_new_work = !a->ignores_quota};
    int rc = store_submit(a->engine->store, &a->op);
    if (rc)
        release_subscribers(a);
    return rc;
}

struct log_op {
    struct store_op op;
    char *instance;
    struct json *line;
};

static int apply_log(struct store_tx *tx, void *ctx, struct err *err)
{
    struct log_op *log = ctx;
    return put_log(tx, log->instance, log->line, err);
}

static void free_log(void *ctx, int code, const struct err *err)
{
    struct log_op *log = ctx;
    (void)code;
    (void)err;
    free(log->instance);
    json_free(log->line);
    free(log);
}

void source_log(struct engine *engine, const char *instance, const char *level, const char *text)
{
    struct log_op *log = xcalloc(1, sizeof(*log));
    log->instance = xstrdup(instance);
    log->line = json_new_object();
    json_set_integer(log->line, "ts", clock_now_ms());
    json_set_string(log->line, "level", level);
    json_set_string(log->line, "text", text);
    log->op =
        (struct store_op){.apply = apply_log, .done = free_log, .ctx = log, .is_new_work = true};
    if (store_submit(engine->store, &log->op))
        free_log(log, 0, NULL);
}
