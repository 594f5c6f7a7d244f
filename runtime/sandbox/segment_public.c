/* Segment's Public API: the token's workspace, sources, the catalogue, destinations and their
 * subscriptions. Shapes, paging and limits: docs.segmentapis.com. The catalogue has padding before
 * "actions-webhook", so that a client that does not turn pages finds nothing. */
#include "sandbox/segment.h"

#include "base/clock.h"
#include "base/encode.h"

enum {
    REQUESTS_A_MINUTE = 200,
    SUBSCRIPTIONS_A_MINUTE = 5,
    PAGE_DEFAULT = 200,
    PAGE_MAX = 1000,
    CATALOG_PADDING = 250,
    DESTINATIONS_MAX = 1000,
};

#define METADATA_ID "614a3c7d791c91c41bae7599"
#define ACTION_ID "7fm1C4sn7fTXP3zPoM2H3P"

struct json *segment_public_destinations(struct sandbox *sandbox)
{
    return object_member(state_member(sandbox, "segment"), "public", json_new_object);
}

static void refuse_with(struct visit *visit, int status, const char *type, const char *message,
                        struct json *data)
{
    struct json *answer = json_new_object();
    struct json *error =
        json_append(json_set(answer, "errors", json_new_array()), json_new_object());
    json_set_string(error, "type", type);
    json_set_string(error, "message", message);
    (void)json_set(error, "data", data);
    json_set_integer(error, "status", status);
    reply(visit, status, answer);
}

void segment_public_refuse(struct visit *visit, int status, const char *message)
{
    const char *type = status == 401   ? "unauthorized"
                       : status == 403 ? "forbidden"
                       : status == 404 ? "not-found"
                       : status == 429 ? "RequestError"
                       : status >= 500 ? "internal-server-error"
                                       : "bad-request";
    refuse_with(visit, status, type, message, NULL);
}

static void invalid(struct visit *visit, const char *field, const char *message)
{
    struct json *answer = json_new_object();
    struct json *error =
        json_append(json_set(answer, "errors", json_new_array()), json_new_object());
    json_set_string(error, "type", "validation-failure");
    json_set_string(error, "message", message);
    json_set_string(error, "field", field);
    json_set_integer(error, "status", 400);
    reply(visit, 400, answer);
}

static bool is_limited(struct visit *visit, const char *key, int limit)
{
    struct rate_result rate = rate_take(visit->sandbox, key, limit, 60000);
    char reset[64];
    time_t at = (time_t)((clock_now_ms() + rate.left_ms) / 1000);
    struct tm tm;
    (void)gmtime_r(&at, &tm);
    (void)strftime(reset, sizeof(reset), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (rate.is_limited) {
        struct json *data = json_new_object();
        json_set_integer(data, "remainingPoints", 0);
        json_set_integer(data, "msBeforeNext", rate.left_ms);
        json_set_integer(data, "consumedPoints", rate.used + 1);
        refuse_with(visit, 429, "RequestError", "Too many requests", data);
    }
    reply_header(visit, "X-RateLimit-Consumed", "%d", rate.used);
    reply_header(visit, "X-RateLimit-Remaining", "%d",
                 rate.limit > rate.used ? rate.limit - rate.used : 0);
    reply_header(visit, "X-RateLimit-Reset", "%s", reset);
    return rate.is_limited;
}

static void reply_data(struct visit *visit, const char *name, struct json *value)
{
    struct json *answer = json_new_object();
    (void)json_set(json_set(answer, "data", json_new_object()), name, value);
    reply(visit, 200, answer);
}

/* ---- pages */

struct page {
    size_t at, count;
};

static const char *paging(const struct visit *visit, const char *bracketed, const char *dotted)
{
    const char *text = json_get_c(visit->query, bracketed);
    return text ? text : json_get_c(visit->query, dotted);
}

static bool read_page(struct visit *visit, struct page *ret)
{
    const char *count = paging(visit, "pagination[count]", "pagination.count");
    const char *cursor = paging(visit, "pagination[cursor]", "pagination.cursor");
    struct buf text = BUF_INIT(64);
    uint64_t number = PAGE_DEFAULT, at = 0;
    bool is_good = !count || (num_parse_u64(str_from(count), &number) == 0 && number >= 1 &&
                              number <= PAGE_MAX);
    if (!is_good) {
        invalid(visit, "pagination.count", "count must be between 1 and 1000");
    } else if (cursor && (decode_base64(&text, str_from(cursor)) ||
                          num_parse_u64(buf_str(&text), &at) || at > 1000000)) {
        is_good = false;
        invalid(visit, "pagination.cursor", "invalid cursor");
    }
    buf_release(&text);
    *ret = (struct page){(size_t)at, (size_t)number};
    return is_good;
}

static void set_cursor(struct json *paging_object, const char *name, size_t at)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%zu", at);
    struct buf cursor = BUF_INIT(64);
    encode_base64(&cursor, text, (size_t)n, false);
    json_set_string(paging_object, name, buf_c(&cursor));
    buf_release(&cursor);
}

/* Answers with a page of `list`, which it takes. */
static void reply_page(struct visit *visit, const char *name, struct json *list)
{
    struct page page;
    size_t total = json_count(list), i = 0;
    if (read_page(visit, &page)) {
        struct json *answer = json_new_object(),
                    *data = json_set(answer, "data", json_new_object());
        struct json *part = json_set(data, name, json_new_array());
        for (const struct json *v = json_first(list); v; v = json_next(v), i++)
            if (i >= page.at && i < page.at + page.count)
                (void)json_append(part, json_copy(v));
        struct json *info = json_set(data, "pagination", json_new_object());
        set_cursor(info, "current", page.at);
        if (page.at + page.count < total)
            set_cursor(info, "next", page.at + page.count);
        json_set_integer(info, "totalEntries", (int64_t)total);
        reply(visit, 200, answer);
    }
    json_free(list);
}

/* ---- sources and the catalogue */

static struct json *source_json(const struct segment_source *source)
{
    struct json *item = json_new_object();
    json_set_string(item, "id", source->id);
    json_set_string(item, "slug", source->slug);
    json_set_string(item, "name", source->name);
    json_set_string(item, "workspaceId", SEGMENT_WORKSPACE_ID);
    json_set_boolean(item, "enabled", true);
    (void)json_append(json_set(item, "writeKeys", json_new_array()),
                      json_new_string_c(SEGMENT_WRITE_KEY));
    struct json *metadata = json_set(item, "metadata", json_new_object());
    json_set_string(metadata, "slug", source->catalog);
    (void)json_set(item, "settings", json_new_object());
    (void)json_set(item, "labels", json_new_array());
    return item;
}

static struct json *metadata_json(void)
{
    static const char *const fields[] = {"url",  "method",          "batch_size", "headers",
                                         "data", "enable_batching", "batch_keys"};
    struct json *metadata = json_new_object();
    json_set_string(metadata, "id", METADATA_ID);
    json_set_string(metadata, "name", "Webhooks (Actions)");
    json_set_string(metadata, "slug", "actions-webhook");
    struct json *action =
        json_append(json_set(metadata, "actions", json_new_array()), json_new_object());
    json_set_string(action, "id", ACTION_ID);
    json_set_string(action, "slug", "send");
    json_set_string(action, "name", "Send");
    struct json *list = json_set(action, "fields", json_new_array());
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        json_set_string(json_append(list, json_new_object()), "fieldKey", fields[i]);
    struct json *option =
        json_append(json_set(metadata, "options", json_new_array()), json_new_object());
    json_set_string(option, "name", "sharedSecret");
    json_set_string(option, "type", "password");
    return metadata;
}

static struct json *catalog(void)
{
    struct json *list = json_new_array();
    for (int i = 0; i < CATALOG_PADDING; i++) {
        struct json *item = json_append(list, json_new_object());
        char text[40];
        (void)snprintf(text, sizeof(text), "54521fd525e721e32a72e%03d", i);
        json_set_string(item, "id", text);
        (void)snprintf(text, sizeof(text), "Other destination %d", i);
        json_set_string(item, "name", text);
        (void)snprintf(text, sizeof(text), "other-%d", i);
        json_set_string(item, "slug", text);
        (void)json_set(item, "actions", json_new_array());
    }
    (void)json_append(list, metadata_json());
    return list;
}

/* ---- destinations */

/* As the API shows one: what is kept, its metadata, and not the subscriptions. */
static struct json *destination_json(const struct json *kept)
{
    struct json *copy = json_copy(kept);
    json_remove(copy, "subscriptions");
    (void)json_set(copy, "metadata", metadata_json());
    return copy;
}

static void create_destination(struct visit *visit)
{
    struct json *all = segment_public_destinations(visit->sandbox);
    const struct json *body = visit->body, *settings = json_get(body, "settings");
    if (!segment_source_find(json_get_text(body, "sourceId"))) {
        invalid(visit, "sourceId", "source not found");
        return;
    }
    if (!str_eq_c(json_get_text(body, "metadataId"), METADATA_ID)) {
        invalid(visit, "metadataId", "the sandbox has the destination actions-webhook only");
        return;
    }
    if (!json_is(settings, JSON_OBJECT)) {
        invalid(visit, "settings", "settings is required");
        return;
    }
    if (json_count(all) >= DESTINATIONS_MAX) {
        segment_public_refuse(visit, 400, "the sandbox keeps 1000 destinations at most");
        return;
    }
    char *id = new_id(visit->sandbox, "dst");
    struct json *made = json_set(all, id, json_new_object());
    json_set_string(made, "id", id);
    json_set_string(made, "name", json_get_c(body, "name") ? json_get_c(body, "name") : "");
    json_set_boolean(made, "enabled", json_get_bool(body, "enabled", true));
    json_set_string(made, "sourceId", json_get_c(body, "sourceId"));
    (void)json_set(made, "settings", json_copy(settings));
    (void)json_set(made, "subscriptions", json_new_object());
    free(id);
    state_save(visit->sandbox);
    reply_data(visit, "destination", destination_json(made));
}

static void patch_destination(struct visit *visit, struct json *kept)
{
    const struct json *body = visit->body;
    if (json_get_c(body, "name"))
        json_set_string(kept, "name", json_get_c(body, "name"));
    if (json_get(body, "enabled"))
        json_set_boolean(kept, "enabled", json_get_bool(body, "enabled", true));
    if (json_is(json_get(body, "settings"), JSON_OBJECT))
        (void)json_set(kept, "settings", json_copy(json_get(body, "settings")));
    state_save(visit->sandbox);
    reply_data(visit, "destination", destination_json(kept));
}

/* ---- subscriptions: alpha, and five changes a minute */

static bool is_alpha(const struct visit *visit)
{
    struct str type = http_request_header(visit->request, "content-type"),
               accept = http_request_header(visit->request, "accept");
    return str_find(type, "application/vnd.segment.v1alpha+json", 0) >= 0 ||
           str_find(accept, "application/vnd.segment.v1alpha+json", 0) >= 0;
}

static void create_subscription(struct visit *visit, struct json *kept)
{
    struct json *all = json_get_mut(kept, "subscriptions");
    const struct json *body = visit->body, *settings = json_get(body, "settings");
    struct str trigger = json_get_text(body, "trigger"), url = json_get_text(settings, "url");
    if (!is_alpha(visit)) {
        segment_public_refuse(visit, 404,
                              "this endpoint is alpha: send Content-Type: "
                              "application/vnd.segment.v1alpha+json");
    } else if (is_limited(visit, "segment-subscriptions", SUBSCRIPTIONS_A_MINUTE)) {
        return;
    } else if (!str_eq_c(json_get_text(body, "actionId"), ACTION_ID)) {
        invalid(visit, "actionId", "action not found");
    } else if (!json_get_c(body, "name")) {
        invalid(visit, "name", "name is required");
    } else if (!trigger.len || !segment_fql_is_good(trigger)) {
        invalid(visit, "trigger", "trigger is no valid FQL statement");
    } else if (!str_starts(url, "https://") && !str_starts(url, "http://")) {
        invalid(visit, "settings.url", "url is required");
    } else if (json_count(all) >= SEGMENT_SUBSCRIPTIONS_MAX) {
        invalid(visit, "destinationId", "a destination has at most 50 subscriptions");
    } else {
        char *id = new_id(visit->sandbox, "sub");
        struct json *made = json_set(all, id, json_new_object());
        json_set_string(made, "id", id);
        json_set_string(made, "name", json_get_c(body, "name"));
        json_set_string(made, "actionId", ACTION_ID);
        json_set_string(made, "actionSlug", "send");
        json_set_string(made, "destinationId", json_get_c(kept, "id"));
        json_set_boolean(made, "enabled", json_get_bool(body, "enabled", false));
        (void)json_set(made, "settings", json_copy(settings));
        json_set_str(made, "trigger", trigger);
        free(id);
        state_save(visit->sandbox);
        reply_data(visit, "destinationSubscription", json_copy(made));
    }
}

static void subscriptions(struct visit *visit, struct json *kept)
{
    struct json *all = json_get_mut(kept, "subscriptions");
    if (visit->count == 3 && is_method(visit, "POST")) {
        create_subscription(visit, kept);
    } else if (visit->count == 3 && is_method(visit, "GET")) {
        struct json *list = json_new_array();
        for (const struct json *s = json_first(all); s; s = json_next(s))
            (void)json_append(list, json_copy(s));
        reply_page(visit, "subscriptions", list);
    } else if (visit->count != 4 || !json_get(all, visit->segments[3])) {
        segment_public_refuse(visit, 404, "subscription not found");
    } else if (is_method(visit, "GET")) {
        reply_data(visit, "subscription", json_copy(json_get(all, visit->segments[3])));
    } else if (!is_method(visit, "DELETE")) {
        segment_public_refuse(visit, 404, "not found");
    } else if (!is_limited(visit, "segment-subscriptions", SUBSCRIPTIONS_A_MINUTE)) {
        json_remove(all, visit->segments[3]);
        state_save(visit->sandbox);
        reply_data(visit, "status", json_new_string_c("SUCCESS"));
    }
}

static void destinations(struct visit *visit)
{
    struct json *all = segment_public_destinations(visit->sandbox);
    if (visit->count == 1 && is_method(visit, "POST")) {
        create_destination(visit);
        return;
    }
    if (visit->count == 1 && is_method(visit, "GET")) {
        struct json *list = json_new_array();
        for (const struct json *d = json_first(all); d; d = json_next(d))
            (void)json_append(list, destination_json(d));
        reply_page(visit, "destinations", list);
        return;
    }
    struct json *kept = visit->count > 1 ? json_get_mut(all, visit->segments[1]) : NULL;
    if (!kept) {
        segment_public_refuse(visit, 404, "destination not found");
    } else if (visit_has(visit, 2, "subscriptions")) {
        subscriptions(visit, kept);
    } else if (visit->count != 2) {
        segment_public_refuse(visit, 404, "not found");
    } else if (is_method(visit, "GET")) {
        reply_data(visit, "destination", destination_json(kept));
    } else if (is_method(visit, "PATCH")) {
        patch_destination(visit, kept);
    } else if (is_method(visit, "DELETE")) {
        json_remove(all, visit->segments[1]);
        state_save(visit->sandbox);
        reply_data(visit, "status", json_new_string_c("SUCCESS"));
    } else {
        segment_public_refuse(visit, 404, "not found");
    }
}

static void list_sources(struct visit *visit)
{
    struct json *list = json_new_array();
    for (size_t i = 0; i < segment_source_count; i++)
        (void)json_append(list, source_json(&segment_sources[i]));
    reply_page(visit, "sources", list);
}

void segment_public_visit(struct visit *visit)
{
    if (!str_eq_c(visit_bearer(visit), SANDBOX_TOKEN)) {
        segment_public_refuse(visit, 401, "invalid access token");
    } else if (is_limited(visit, "segment-public", REQUESTS_A_MINUTE)) {
        return;
    } else if (visit->count == 0 && is_method(visit, "GET")) {
        struct json *workspace = json_new_object();
        json_set_string(workspace, "id", SEGMENT_WORKSPACE_ID);
        json_set_string(workspace, "slug", SEGMENT_WORKSPACE);
        json_set_string(workspace, "name", "Acme");
        reply_data(visit, "workspace", workspace);
    } else if (visit_is(visit, "GET", "sources")) {
        list_sources(visit);
    } else if (visit_is(visit, "GET", "sources/*") &&
               segment_source_find(str_from(visit->segments[1]))) {
        reply_data(visit, "source", source_json(segment_source_find(str_from(visit->segments[1]))));
    } else if (visit_is(visit, "GET", "catalog/destinations")) {
        reply_page(visit, "destinationsCatalog", catalog());
    } else if (visit_is(visit, "GET", "catalog/destinations/" METADATA_ID)) {
        reply_data(visit, "destinationMetadata", metadata_json());
    } else if (visit_has(visit, 0, "destinations")) {
        destinations(visit);
    } else {
        segment_public_refuse(visit, 404, "not found");
    }
}
