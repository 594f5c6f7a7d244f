/* Pages of events and runs. Runs and queue entries share one row of ids, so a page of runs is the
 * newest of both, merged. Filters without an index are a scan with a budget: the cursor goes on
 * where it ended. Thread: any but the loop's. */
#include "engine/browse.h"

#include "engine/internal.h"

enum { SCAN_RECORDS = 20000, SCAN_BYTES = MIB(8), LIMIT_PAGE = 1000 };

struct item {
    uint64_t id;
    struct json *json;
};

struct page {
    const struct engine_query *query;
    struct store_view *view;
    uint64_t event_id; /* of query->event */
    size_t limit;
    struct item *items;
    size_t count;
    size_t records, bytes; /* looked at */
    uint64_t last;         /* the last id looked at */
    bool is_cut;           /* there may be more behind `last` */
};

/* ---- text */

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* Whether `text` holds `needle`, letters of either case; ASCII only. */
static bool holds(struct page *page, struct str text, const char *needle)
{
    size_t size = strlen(needle);
    page->bytes += text.len;
    if (!needle[0])
        return true;
    for (size_t at = 0; at + size <= text.len; at++) {
        size_t n = 0;
        while (n < size && lower(text.ptr[at + n]) == lower(needle[n]))
            n++;
        if (n == size)
            return true;
    }
    return false;
}

static bool event_holds(struct page *page, const struct event_record *event, const char *needle)
{
    char id[ID_TEXT_MAX];
    id_format("evt", event->id, id);
    return holds(page, event->summary, needle) || holds(page, event->event, needle) ||
           holds(page, event->emit_id, needle) || holds(page, event->emitter, needle) ||
           holds(page, str_from(id), needle);
}

static bool run_holds(struct page *page, uint64_t run_id, uint64_t event_id, struct str workflow,
                      struct str detail)
{
    const char *needle = page->query->text;
    struct event_record event;
    char id[ID_TEXT_MAX];
    id_format("run", run_id, id);
    return holds(page, workflow, needle) || holds(page, detail, needle) ||
           holds(page, str_from(id), needle) ||
           (event_get(STORE_VIEW(page->view), event_id, &event) == 0 &&
            event_holds(page, &event, needle));
}

/* ---- pages */

static void add(struct page *page, uint64_t id, struct json *json)
{
    page->items[page->count++] = (struct item){id, json};
}

/* 1: the walk ends here. */
static int look(struct page *page, uint64_t id)
{
    const struct engine_query *query = page->query;
    if (query->since_ms && id_ms(id) < query->since_ms)
        return 1;
    if (page->records++ >= SCAN_RECORDS || page->bytes > SCAN_BYTES || page->count >= page->limit) {
        page->is_cut = true;
        return 1;
    }
    page->last = id;
    return 0;
}

static uint64_t first_id(const struct engine_query *query, uint64_t cursor)
{
    uint64_t until =
        query->until_ms > 0 ? (uint64_t)query->until_ms << ID_COUNTER_BITS : UINT64_MAX;
    return cursor && cursor < until ? cursor : until;
}

static struct json *finish(struct page *page, const char *prefix)
{
    struct json *result = json_new_object();
    struct json *data = json_set(result, "data", json_new_array());
    for (size_t i = 0; i < page->count; i++)
        (void)json_append(data, page->items[i].json);
    free(page->items);
    char cursor[ID_TEXT_MAX];
    id_format(prefix, page->last, cursor);
    (void)json_set(result, "next",
                   page->is_cut && page->last ? json_new_string_c(cursor) : json_new_null());
    return result;
}

static size_t page_limit(const struct engine_query *query)
{
    return query->limit == 0 ? 1 : query->limit > LIMIT_PAGE ? LIMIT_PAGE : query->limit;
}

/* ---- events */

static int each_event(void *ctx, const struct event_record *record)
{
    struct page *page = ctx;
    const struct engine_query *query = page->query;
    if (look(page, record->id))
        return 1;
    if ((query->channel && !str_eq_c(record->name, query->channel)) ||
        (query->text && !event_holds(page, record, query->text)))
        return 0;
    add(page, record->id, report_event(record, false));
    return 0;
}

int engine_events(struct engine *engine, const struct engine_query *query, struct json **ret,
                  struct err *err)
{
    uint64_t cursor = 0;
    struct page page = {.query = query, .limit = page_limit(query)};
    int rc = report_read_id("evt", query->cursor, &cursor, err);
    rc = rc ? rc : store_view_begin(engine->store, &page.view, err);
    if (rc)
        return rc;
    page.items = xcalloc(page.limit, sizeof(*page.items));
    (void)event_each(STORE_VIEW(page.view), str_from(query->source), first_id(query, cursor),
                     SIZE_MAX, each_event, &page);
    store_view_end(page.view);
    *ret = finish(&page, "evt");
    return 0;
}

/* ---- runs */

static void set_summary(struct page *page, struct json *item, uint64_t event_id)
{
    struct event_record event;
    if (event_get(STORE_VIEW(page->view), event_id, &event) == 0)
        json_set_str(item, "summary", event.summary);
}

static int each_run(void *ctx, const struct run_record *record)
{
    struct page *page = ctx;
    const struct engine_query *query = page->query;
    if (look(page, record->id))
        return 1;
    if ((query->status && !str_eq_c(record->status, query->status)) ||
        (page->event_id && record->event_id != page->event_id) ||
        (query->text &&
         !run_holds(page, record->id, record->event_id, record->workflow, record->detail)))
        return 0;
    struct json *item = report_run(record);
    set_summary(page, item, record->event_id);
    add(page, record->id, item);
    return 0;
}

/* Queue entries go into a page of their own first. */
struct queues {
    struct page *page; /* of runs */
    struct page own;
    uint64_t before;
};

static int each_queued(void *ctx, const struct queue_entry *entry)
{
    struct queues *queues = ctx;
    struct page *page = &queues->own;
    const struct engine_query *query = page->query;
    if (query->since_ms && id_ms(entry->run_id) < query->since_ms)
        return 1;
    if (page->is_cut && entry->run_id < page->last)
        return 1; /* behind what this page can say */
    if (page->records++ >= SCAN_RECORDS || page->bytes > SCAN_BYTES) {
        page->is_cut = true;
        page->last = entry->run_id + 1 > page->last ? entry->run_id + 1 : page->last;
        return 1;
    }
    if ((page->event_id && entry->event_id != page->event_id) ||
        (query->text &&
         !run_holds(page, entry->run_id, entry->event_id, entry->workflow, STR_NONE)))
        return 0;
    page->items = xrealloc(page->items, (page->count + 1) * sizeof(*page->items));
    struct json *item = report_queued(entry);
    set_summary(page, item, entry->event_id);
    add(page, entry->run_id, item);
    return 0;
}

static int each_queue(void *ctx, struct str workflow)
{
    struct queues *queues = ctx;
    return queue_each_newest(STORE_VIEW(queues->own.view), workflow, queues->before,
                             queues->own.limit + 1, each_queued, queues) < 0;
}

static int by_newest(const void *a, const void *b)
{
    const struct item *left = a, *right = b;
    return left->id < right->id ? 1 : left->id > right->id ? -1 : 0;
}

/* Both lists as one page: nothing older than where either was cut. */
static void merge(struct page *page, struct page *queued)
{
    uint64_t floor = page->is_cut ? page->last : 0;
    if (queued->is_cut && queued->last > floor)
        floor = queued->last;
    size_t total = page->count + queued->count, kept = 0;
    page->items = xrealloc(page->items, (total + 1) * sizeof(*page->items));
    if (queued->count)
        memcpy(page->items + page->count, queued->items, queued->count * sizeof(*queued->items));
    if (total)
        qsort(page->items, total, sizeof(*page->items), by_newest);
    for (size_t i = 0; i < total; i++) {
        if (page->items[i].id >= floor && kept < page->limit)
            page->items[kept++] = page->items[i];
        else
            json_free(page->items[i].json);
    }
    page->is_cut = page->is_cut || queued->is_cut || kept < total;
    page->count = kept;
    page->last = kept == page->limit ? page->items[kept - 1].id : floor;
    free(queued->items);
}

int engine_runs(struct engine *engine, const struct engine_query *query, struct json **ret,
                struct err *err)
{
    uint64_t cursor = 0;
    struct page page = {.query = query, .limit = page_limit(query)};
    bool is_queued = query->status && strcmp(query->status, "queued") == 0;
    int rc = report_read_id("run", query->cursor, &cursor, err);
    rc = rc ? rc : report_read_id("evt", query->event, &page.event_id, err);
    rc = rc ? rc : store_view_begin(engine->store, &page.view, err);
    if (rc)
        return rc;
    uint64_t before = first_id(query, cursor);
    page.items = xcalloc(page.limit, sizeof(*page.items));
    if (!is_queued)
        (void)run_each(STORE_VIEW(page.view), str_from(query->workflow), STR_NONE, before, SIZE_MAX,
                       each_run, &page);
    struct queues queues = {.page = &page, .own = page, .before = before};
    queues.own.items = NULL;
    queues.own.count = queues.own.records = queues.own.bytes = 0;
    if (!query->status || is_queued) {
        if (query->workflow)
            (void)each_queue(&queues, str_from(query->workflow));
        else
            (void)queue_workflows(STORE_VIEW(page.view), each_queue, &queues);
    }
    merge(&page, &queues.own);
    store_view_end(page.view);
    *ret = finish(&page, "run");
    return 0;
}
