/* Events that a person makes or removes. Thread: any but the loop's. */
#include "engine/browse.h"
#include "engine/internal.h"

struct emission {
    struct instance *instance;
    const char *channel;
    struct str summary, event;
    struct subscriber *subscribers; /* a copy */
    size_t subscriber_count;
    uint64_t event_id;
    uint64_t *run_ids;
};

static int apply_emission(struct store_tx *tx, void *ctx, struct err *err)
{
    struct emission *e = ctx;
    int64_t now = clock_now_ms();
    struct event_record record = {.ts = now,
                                  .received_ms = now,
                                  .emitter = str_from(e->instance->id),
                                  .name = str_from(e->channel),
                                  .summary = e->summary,
                                  .event = e->event};
    int rc = event_put(tx, &record, err);
    e->event_id = record.id;
    for (size_t i = 0; i < e->subscriber_count && rc == 0; i++) {
        const struct subscriber *s = &e->subscribers[i];
        rc = queue_run(tx, record.id, s->workflow, s->trigger, "", &e->run_ids[i], err);
    }
    return rc;
}

static struct json *emission_result(struct engine *engine, const struct emission *e)
{
    struct json *result = json_new_object();
    char id[ID_TEXT_MAX];
    id_format("evt", e->event_id, id);
    json_set_string(result, "event", id);
    struct json *runs = json_set(result, "runs", json_new_array());
    for (size_t i = 0; i < e->subscriber_count; i++) {
        struct json *item = json_append(runs, json_new_object());
        id_format("run", e->run_ids[i], id);
        json_set_string(item, "run", id);
        json_set_string(item, "workflow", e->subscribers[i].workflow);
        dispatcher_wake(engine, e->subscribers[i].workflow);
    }
    return result;
}

int engine_emit(struct engine *engine, const char *source, const char *channel, struct str summary,
                const struct json *event, struct json **ret, struct err *err)
{
    struct emission e = {.instance = instance_by_id(engine, source), .channel = channel};
    if (!e.instance)
        return err_set(err, RN_ENOTFOUND, "there is no source \"%s\" (see `runnel sources`)",
                       source);
    if (channel && strlen(channel) > LIMIT_EMIT_ID) {
        source_instance_unref(e.instance);
        return err_set(err, RN_ETOOBIG, "a channel's name has at most %d bytes", LIMIT_EMIT_ID);
    }
    size_t size = 0;
    char *text = event ? json_text(event, &size) : NULL;
    e.event = text ? str_n(text, size) : STR("{}");
    e.summary = summary.len ? summary : STR("test event");
    if (e.summary.len > LIMIT_SUMMARY)
        e.summary.len = LIMIT_SUMMARY;
    e.subscribers =
        instance_copy_subscribers(e.instance, channel ? channel : "", &e.subscriber_count);
    e.run_ids = xcalloc(e.subscriber_count, sizeof(*e.run_ids));
    int rc = store_run(engine->store, apply_emission, &e, true, err);
    if (rc == 0)
        *ret = emission_result(engine, &e);
    free(e.subscribers);
    free(e.run_ids);
    free(text);
    source_instance_unref(e.instance);
    return rc;
}

static int apply_delete(struct store_tx *tx, void *ctx, struct err *err)
{
    return event_delete(tx, *(const uint64_t *)ctx, err);
}

int engine_event_delete(struct engine *engine, const char *text, struct err *err)
{
    uint64_t id = 0;
    if (id_parse("evt", str_from(text), &id))
        return err_set(err, RN_EINVAL, "\"%s\" is no event's id (evt_…)", text);
    int rc = store_run(engine->store, apply_delete, &id, false, err);
    if (rc == RN_ENOTFOUND)
        return err_set(err, rc, "there is no event %s (any more)", text);
    if (rc == RN_EEXISTS)
        return err_set(err, rc, "%s cannot go yet: a run that has not ended needs it", text);
    return rc;
}
