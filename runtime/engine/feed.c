#include "engine/feed.h"

#include "engine/internal.h"

#include <inttypes.h>

enum { CHANGES_MAX = 512 };

struct feed {
    struct engine *engine;
    const struct feed_filter *filter;
    struct store_view *view;
    struct feed_cursor *cursor;
    void (*each)(void *ctx, const char *topic, const struct json *value);
    void *ctx;
    size_t limit;
    uint64_t run_id, floor; /* of filter->run; the least id up to which every queue was read */
    size_t count;           /* of what is being read */
    bool has_more;
    struct change changes[CHANGES_MAX];
    char keys[CHANGES_MAX][256]; /* of log changes */
    size_t change_count;
};

void engine_feed_watch(struct engine *engine, void (*fn)(void *ctx), void *ctx)
{
    store_watch(engine->store, fn, ctx);
}

int engine_feed_head(struct engine *engine, struct feed_cursor *ret, struct err *err)
{
    struct store_view *view = NULL;
    struct store_marks marks;
    int rc = store_view_begin(engine->store, &view, err);
    if (rc)
        return rc;
    rc = store_get_marks(STORE_VIEW(view), &marks);
    store_view_end(view);
    if (rc)
        return err_set(err, rc, "the store cannot be read");
    *ret = (struct feed_cursor){marks.change, marks.event, marks.run};
    return 0;
}

void feed_cursor_format(const struct feed_cursor *cursor, char out[FEED_CURSOR_MAX])
{
    (void)snprintf(out, FEED_CURSOR_MAX, "%" PRIx64 "-%" PRIx64 "-%" PRIx64, cursor->change,
                   cursor->event, cursor->run);
}

static bool parse_hex(struct str text, uint64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        *ret = *ret << 4 | (uint64_t)digit;
    }
    return text.len > 0 && text.len <= 16;
}

int feed_cursor_parse(struct str text, struct feed_cursor *ret)
{
    struct str change = STR_NONE, event = STR_NONE, run = STR_NONE;
    struct feed_cursor cursor;
    if (!str_cut(&text, '-', &change) || !str_cut(&text, '-', &event) ||
        !str_cut(&text, '-', &run) || text.len || !parse_hex(change, &cursor.change) ||
        !parse_hex(event, &cursor.event) || !parse_hex(run, &cursor.run))
        return RN_EINVAL;
    *ret = cursor;
    return 0;
}

/* ---- events */

static int each_event(void *ctx, const struct event_record *record)
{
    struct feed *feed = ctx;
    feed->cursor->event = record->id;
    feed->count++;
    if (feed->filter->source && !str_eq_c(record->emitter, feed->filter->source))
        return 0;
    struct json *event = report_event(record, false);
    feed->each(feed->ctx, "event", event);
    json_free(event);
    return 0;
}

static void read_events(struct feed *feed, const struct store_marks *marks)
{
    if (!(feed->filter->topics & FEED_EVENTS)) {
        feed->cursor->event = marks->event;
        return;
    }
    feed->count = 0;
    (void)event_each_after(STORE_VIEW(feed->view), feed->cursor->event, feed->limit, each_event,
                           feed);
    feed->has_more |= feed->count == feed->limit;
}

/* ---- what was queued */

static bool wants_run(const struct feed *feed, uint64_t id, struct str workflow)
{
    return (!feed->run_id || feed->run_id == id) &&
           (!feed->filter->workflow || str_eq_c(workflow, feed->filter->workflow));
}

static int each_entry(void *ctx, const struct queue_entry *entry)
{
    struct feed *feed = ctx;
    if (++feed->count == feed->limit && entry->run_id < feed->floor)
        feed->floor = entry->run_id;
    if (!wants_run(feed, entry->run_id, entry->workflow))
        return 0;
    struct json *run = report_queued(entry);
    struct event_record event;
    if (event_get(STORE_VIEW(feed->view), entry->event_id, &event) == 0)
        json_set_str(run, "summary", event.summary);
    feed->each(feed->ctx, "run", run);
    json_free(run);
    return 0;
}

static int each_queue(void *ctx, struct str workflow)
{
    struct feed *feed = ctx;
    feed->count = 0;
    return queue_each(STORE_VIEW(feed->view), workflow, feed->cursor->run, feed->limit, each_entry,
                      feed);
}

/* The queues are walked one after the other; where one was not read to its end, the others are read
 * again from there. */
static void read_queues(struct feed *feed, const struct store_marks *marks)
{
    feed->floor = marks->run;
    if (feed->filter->topics & FEED_RUNS && feed->cursor->run < marks->run)
        (void)queue_workflows(STORE_VIEW(feed->view), each_queue, feed);
    feed->has_more |= feed->floor < marks->run;
    feed->cursor->run = feed->floor;
}

/* ---- changes */

static int each_change(void *ctx, const struct change *change)
{
    struct feed *feed = ctx;
    feed->cursor->change = change->sequence;
    feed->changes[feed->change_count] = *change;
    if (change->kind == CHANGE_LOG)
        (void)snprintf(feed->keys[feed->change_count], sizeof(feed->keys[0]), STR_FMT,
                       STR_ARG(change->key));
    feed->change_count++;
    return 0;
}

static bool is_last_of_run(const struct feed *feed, size_t index)
{
    for (size_t i = index + 1; i < feed->change_count; i++)
        if (feed->changes[i].kind == CHANGE_RUN &&
            feed->changes[i].run_id == feed->changes[index].run_id)
            return false;
    return true;
}

static void give_run(struct feed *feed, const struct run_record *record)
{
    struct json *run = report_run(record);
    struct event_record event;
    if (event_get(STORE_VIEW(feed->view), record->event_id, &event) == 0)
        json_set_str(run, "summary", event.summary);
    feed->each(feed->ctx, "run", run);
    json_free(run);
}

static void give_step_logs(struct feed *feed, const struct change *change, struct str workflow)
{
    struct step_record step;
    struct json *result = NULL;
    if (step_get(STORE_VIEW(feed->view), change->run_id, change->position, change->attempt,
                 &step) ||
        !step.result.len || json_parse_own(step.result, &result, NULL))
        return;
    char id[ID_TEXT_MAX];
    id_format("run", change->run_id, id);
    for (const struct json *l = json_first(json_get(result, "logs")); l; l = json_next(l)) {
        struct json *line = json_copy(l);
        json_set_string(line, "run", id);
        json_set_str(line, "workflow", workflow);
        json_set_string(line, "step", json_get_c(result, "namespace"));
        feed->each(feed->ctx, "log", line);
        json_free(line);
    }
    json_free(result);
}

static void give_source_log(struct feed *feed, const char *key)
{
    struct str text, rest = str_from(key), id = STR_NONE;
    struct json *line = NULL;
    (void)str_cut(&rest, '\x01', &id);
    if (feed->filter->run || feed->filter->workflow ||
        (feed->filter->source && !str_eq_c(id, feed->filter->source)) ||
        kv_get(STORE_VIEW(feed->view), SPACE_SOURCE_LOGS, str_from(key), &text) ||
        json_parse_own(text, &line, NULL))
        return;
    json_set_str(line, "source", id);
    feed->each(feed->ctx, "log", line);
    json_free(line);
}

static void give_changes(struct feed *feed)
{
    for (size_t i = 0; i < feed->change_count; i++) {
        const struct change *change = &feed->changes[i];
        struct run_record record;
        if (change->kind == CHANGE_LOG) {
            if (feed->filter->topics & FEED_LOGS)
                give_source_log(feed, feed->keys[i]);
            continue;
        }
        if (run_get(STORE_VIEW(feed->view), change->run_id, &record) ||
            !wants_run(feed, change->run_id, record.workflow))
            continue;
        if (feed->filter->topics & FEED_LOGS && change->attempt && !feed->filter->source)
            give_step_logs(feed, change, record.workflow);
        if (feed->filter->topics & FEED_RUNS && is_last_of_run(feed, i))
            give_run(feed, &record);
    }
}

static void read_changes(struct feed *feed, const struct store_marks *marks)
{
    size_t limit = feed->limit < CHANGES_MAX ? feed->limit : CHANGES_MAX;
    if (!(feed->filter->topics & (FEED_RUNS | FEED_LOGS))) {
        feed->cursor->change = marks->change;
        return;
    }
    (void)change_each(STORE_VIEW(feed->view), feed->cursor->change, limit, each_change, feed);
    feed->has_more |= feed->change_count == limit;
    give_changes(feed);
}

static bool is_lost(const struct feed_cursor *cursor, const struct store_marks *marks)
{
    return cursor->change > marks->change || cursor->event > marks->event ||
           cursor->run > marks->run ||
           (marks->first_change && cursor->change + 1 < marks->first_change);
}

int engine_feed(struct engine *engine, const struct feed_filter *filter, struct feed_cursor *cursor,
                size_t limit, void (*each)(void *ctx, const char *topic, const struct json *value),
                void *ctx, bool *ret_more, struct err *err)
{
    struct store_marks marks;
    struct store_view *view = NULL;
    *ret_more = false;
    int rc = store_view_begin(engine->store, &view, err);
    if (rc)
        return rc;
    rc = store_get_marks(STORE_VIEW(view), &marks);
    if (rc == 0 && is_lost(cursor, &marks)) {
        *cursor = (struct feed_cursor){marks.change, marks.event, marks.run};
        rc = err_set(err, RN_ENOTFOUND, "what was missed is not remembered any more");
    } else if (rc == 0) {
        struct feed *feed = xcalloc(1, sizeof(*feed));
        feed->engine = engine;
        feed->filter = filter;
        feed->view = view;
        feed->cursor = cursor;
        feed->each = each;
        feed->ctx = ctx;
        feed->limit = limit;
        if (filter->run)
            (void)!id_parse("run", str_from(filter->run), &feed->run_id);
        read_events(feed, &marks);
        read_queues(feed, &marks);
        read_changes(feed, &marks);
        *ret_more = feed->has_more;
        free(feed);
    }
    store_view_end(view);
    return rc;
}
