/* The part of a run's last transaction that sends: events with a queue entry for each workflow that
 * listens, messages for streams, entries of the outbox. Who listens is settled when the run ends,
 * by the files as they are then. Thread: apply on the store's writer, the rest on the loop's. */
#include "engine/metrics.h"
#include "engine/sends.h"
#include "engine/sse.h"

enum { EVENT_SHOWN = 4096 }; /* bytes */

/* A workflow that an emit (or the run's failure) starts. */
struct target {
    const struct send *send; /* NULL: the run's failure */
    char *workflow, *trigger;
};

struct ending {
    uint64_t run_id;
    char *workflow, *emitter; /* "workflows/<id>" */
    int hops;
    struct send *sends;
    struct target *targets;
    size_t target_count;
    char *error_event; /* for channel $errors; NULL: nobody listens, or nothing failed */
    char *why_not;     /* emits are refused; NULL: they are not */
    bool is_held;      /* nothing is sent: a test, a dry replay */
    bool has_deliveries;
};

static void add_targets(struct ending *ending, const struct project *project,
                        const struct send *send, const char *channel)
{
    struct listening l = {.project = project, .emitter = ending->emitter, .channel = channel};
    while (listening_next(&l)) {
        ending->targets =
            xrealloc(ending->targets, (ending->target_count + 1) * sizeof(*ending->targets));
        ending->targets[ending->target_count++] =
            (struct target){send, xstrdup(l.workflow->id), xstrdup(l.trigger->namespace_)};
    }
}

static void refuse(const struct run *run, struct send *send, const char *why)
{
    struct log_at at = {.workflow = run->workflow->id,
                        .run = run->id_text,
                        .step = json_get_c(send->record, "path")};
    log_line(LOG_WARN, &at, "not emitted: %s", why);
    json_set_string(send->record, "state", "refused");
    json_set_string(send->record, "error", why);
}

/* Why the run's emits cannot be; NULL: they can. Workflows that multiply what they emit fill a
 * store however few hops they have. */
static char *why_not(const struct run *run)
{
    struct store_stats stats;
    if (run->hops >= LIMIT_SEND_HOPS)
        return xasprintf("workflows have started each other %d times already, the most there is",
                         run->hops);
    store_get_stats(run->engine->store, &stats);
    return stats.is_full ? xstrdup("the store is full (limits.store of runnel.yaml)") : NULL;
}

static void settle(struct ending *ending, const struct run *run, const struct project *project,
                   struct send *send)
{
    struct str kind = json_get_text(send->record, "kind");
    if (ending->is_held) {
        json_set_string(send->record, "state", "not sent");
    } else if (str_eq_c(kind, "emit") && ending->why_not) {
        refuse(run, send, ending->why_not);
    } else if (str_eq_c(kind, "emit")) {
        const char *channel = json_get_c(send->record, "channel");
        json_set_string(send->record, "state", "sent");
        add_targets(ending, project, send, channel ? channel : "");
    } else if (str_eq_c(kind, "sse")) {
        json_set_string(send->record, "state", "sent");
    } else {
        json_set_string(send->record, "state", "queued");
        ending->has_deliveries = true;
    }
}

struct ending *ending_new(struct run *run)
{
    bool has_failed = strcmp(run->end_status, "failed") == 0 && !run->engine->holds_sends;
    if (!run->sends && !has_failed)
        return NULL;
    struct ending *ending = xcalloc(1, sizeof(*ending));
    struct project *project = engine_project(run->engine);
    ending->run_id = run->id;
    ending->workflow = xstrdup(run->workflow->id);
    ending->emitter = xasprintf("workflows/%s", run->workflow->id);
    ending->hops = run->hops;
    ending->is_held = run->engine->holds_sends;
    ending->sends = run->sends;
    run->sends = NULL;
    run->sends_end = &run->sends;
    ending->why_not = why_not(run);
    if (has_failed && !ending->why_not)
        add_targets(ending, project, NULL, "$errors");
    if (ending->target_count)
        ending->error_event = run_error_event(run);
    for (struct send *s = ending->sends; s; s = s->next)
        settle(ending, run, project, s);
    project_unref(project);
    if (ending->sends || ending->error_event)
        return ending;
    ending_free(ending);
    return NULL;
}

void ending_free(struct ending *ending)
{
    if (!ending)
        return;
    sends_free(ending->sends);
    for (size_t i = 0; i < ending->target_count; i++) {
        free(ending->targets[i].workflow);
        free(ending->targets[i].trigger);
    }
    free(ending->targets);
    free(ending->error_event);
    free(ending->why_not);
    free(ending->workflow);
    free(ending->emitter);
    free(ending);
}

/* ---- writing */

static int put_event(struct store_tx *tx, const struct ending *ending, const struct send *send,
                     struct event_record *record, struct err *err)
{
    record->ts = record->received_ms = clock_now_ms();
    record->emitter = str_from(ending->emitter);
    int rc = event_put(tx, record, err);
    char hops[32];
    uint64_t run_id = 0;
    (void)snprintf(hops, sizeof(hops), ",\"hops\":%d", ending->hops + 1);
    for (size_t i = 0; i < ending->target_count && rc == 0; i++) {
        const struct target *target = &ending->targets[i];
        if (target->send == send)
            rc = queue_run(tx, record->id, target->workflow, target->trigger, hops, &run_id, err);
    }
    return rc;
}

static int put_emit(struct store_tx *tx, const struct ending *ending, struct send *send,
                    struct err *err)
{
    size_t size = 0;
    char id[ID_TEXT_MAX], run[ID_TEXT_MAX];
    char *event = json_text(json_get(send->record, "event"), &size);
    id_format("run", ending->run_id, run);
    char *summary = xasprintf("emitted by %s of %s", json_get_c(send->record, "path"), run);
    struct event_record record = {.name = json_get_text(send->record, "channel"),
                                  .summary = str_from(summary),
                                  .event = str_n(event, size)};
    int rc = put_event(tx, ending, send, &record, err);
    id_format("evt", record.id, id);
    json_set_string(send->record, "event_id", id);
    send->is_long = size > EVENT_SHOWN;
    free(summary);
    free(event);
    return rc;
}

static int put_error(struct store_tx *tx, const struct ending *ending, struct err *err)
{
    struct event_record record = {.name = STR("$errors"),
                                  .summary = STR("a run failed"),
                                  .event = str_from(ending->error_event)};
    return put_event(tx, ending, NULL, &record, err);
}

static int put_delivery(struct store_tx *tx, const struct ending *ending, const struct send *send,
                        struct err *err)
{
    struct json *entry = json_new_object();
    json_set_integer(entry, "run", (int64_t)ending->run_id);
    json_set_integer(entry, "position", send->position);
    json_set_integer(entry, "attempt", send->attempt);
    json_set_integer(entry, "index", send->index);
    json_set_string(entry, "workflow", ending->workflow);
    json_set_string(entry, "path", json_get_c(send->record, "path"));
    json_set_string(entry, "kind", json_get_c(send->record, "kind"));
    json_set_string(entry, "url", json_get_c(send->record, "url"));
    json_set_string(entry, "idempotency_key", json_get_c(send->record, "idempotency_key"));
    json_set_string(entry, "sealed", send->sealed);
    int rc = outbox_put(tx, entry, clock_now_ms(), err);
    json_free(entry);
    return rc;
}

/* The lists of the attempts, as they are now. */
static int put_records(struct store_tx *tx, const struct ending *ending, struct err *err)
{
    int rc = 0;
    for (const struct send *s = ending->sends; s && rc == 0;) {
        struct step_record step = {
            .run_id = ending->run_id, .position = s->position, .attempt = s->attempt};
        struct json *list = json_new_array();
        for (; s && s->position == step.position && s->attempt == step.attempt; s = s->next) {
            struct json *record = json_append(list, json_copy(s->record));
            if (s->is_long)
                json_remove(record, "event");
        }
        size_t size = 0;
        char *text = json_text(list, &size);
        step.sends = str_n(text, size);
        rc = step_put_sends(tx, &step, err);
        json_free(list);
        free(text);
    }
    return rc;
}

int ending_apply(struct store_tx *tx, struct ending *ending, struct err *err)
{
    int rc = ending->error_event ? put_error(tx, ending, err) : 0;
    for (struct send *s = ending->sends; s && rc == 0; s = s->next) {
        struct str kind = json_get_text(s->record, "kind"),
                   state = json_get_text(s->record, "state");
        if (str_eq_c(state, "queued"))
            rc = put_delivery(tx, ending, s, err);
        else if (str_eq_c(state, "sent") && str_eq_c(kind, "emit"))
            rc = put_emit(tx, ending, s, err);
        else if (str_eq_c(state, "sent"))
            rc = sse_put(tx, ending->workflow, json_get_text(s->record, "channel"),
                         json_get(s->record, "payload"), err);
    }
    return rc ? rc : put_records(tx, ending, err);
}

void ending_committed(struct engine *engine, const struct ending *ending)
{
    for (const struct send *s = ending->sends; s; s = s->next)
        metrics_send(engine->metrics, json_get_c(s->record, "kind"),
                     json_get_c(s->record, "state"));
    for (size_t i = 0; i < ending->target_count; i++)
        dispatcher_wake(engine, ending->targets[i].workflow);
    if (ending->has_deliveries)
        outbox_wake(engine->outbox, ending->run_id);
}
