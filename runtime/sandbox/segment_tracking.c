/* Segment's Tracking API. It answers 200 to nearly everything and drops what is wrong later: here
 * what was dropped is listed with the reason, in `$discarded`. Limits: docs of the HTTP API. */
#include "sandbox/segment.h"

enum {
    EVENT_MAX = 32 * 1024,
    BATCH_MAX = 500 * 1024,
    BATCH_EVENTS_MAX = 2500,
    REQUESTS_A_SECOND = 1000,
    SEEN_MAX = 10000, /* messageIds that are remembered */
};

void segment_tracking_refuse(struct visit *visit, int status, const char *message)
{
    struct json *answer = json_new_object();
    json_set_boolean(answer, "success", false);
    json_set_string(answer, "message", message);
    reply(visit, status, answer);
}

static bool has_text(const struct json *event, const char *name)
{
    return json_get_text(event, name).len > 0;
}

/* Whether Segment has seen this messageId lately, as far as the sandbox remembers. */
static bool is_seen(struct sandbox *sandbox, const struct json *event)
{
    struct json *seen = object_member(state_member(sandbox, "segment"), "seen", json_new_object);
    struct str id = json_get_text(event, "messageId");
    if (!id.len || id.len > 100 || memchr(id.ptr, '\0', id.len))
        return false;
    if (json_get_str(seen, id))
        return true;
    char *name = str_dup(id);
    (void)json_add(seen, name, json_new_boolean(true));
    free(name);
    if (json_count(seen) > SEEN_MAX)
        json_free(json_take_first(seen));
    return false;
}

static const char *why_discarded(struct sandbox *sandbox, const struct json *event, struct str call,
                                 bool is_authorized)
{
    bool has_user = has_text(event, "userId") || has_text(event, "anonymousId");
    if (!is_authorized)
        return "unknown_write_key";
    if (!json_is(event, JSON_OBJECT))
        return "invalid_message";
    if (str_eq_c(call, "alias") ? !has_text(event, "previousId") || !has_text(event, "userId")
                                : !has_user)
        return "no_user_anon_id";
    if (str_eq_c(call, "track") && !has_text(event, "event"))
        return "no_event_name";
    if (str_eq_c(call, "group") && !has_text(event, "groupId"))
        return "no_group_id";
    return is_seen(sandbox, event) ? "duplicate" : NULL;
}

static void take_event(struct visit *visit, const struct json *event, struct str call,
                       bool is_authorized)
{
    const char *discarded = why_discarded(visit->sandbox, event, call, is_authorized);
    struct json *noted = json_is(event, JSON_OBJECT) ? json_copy(event) : json_new_object();
    json_remove(noted, "writeKey");
    json_set_str(noted, "$call", call);
    json_set_string(noted, "$discarded", discarded);
    note_received(visit->sandbox, "segment", noted);
}

/* Basic authorization with the write key as the user, a Bearer token, or writeKey in the body. */
static bool is_authorized(const struct visit *visit)
{
    /* base64 of "sandbox-write-key:" */
    static const char basic[] = "Basic c2FuZGJveC13cml0ZS1rZXk6";
    return str_eq_c(http_request_header(visit->request, "authorization"), basic) ||
           str_eq_c(json_get_text(visit->body, "writeKey"), SEGMENT_WRITE_KEY);
}

static void batch(struct visit *visit, bool authorized)
{
    const struct json *events = json_get(visit->body, "batch");
    if (!json_is(events, JSON_ARRAY)) {
        segment_tracking_refuse(visit, 400, "batch is missing");
        return;
    }
    for (const struct json *e = json_first(events); e; e = json_next(e)) {
        size_t size = 0;
        free(json_text(e, &size));
        if (size > EVENT_MAX) {
            segment_tracking_refuse(visit, 400, "Exceed payload limit");
            return;
        }
    }
    /* beyond 2,500 the answer is 200 all the same, and nothing of it is kept */
    if (json_count(events) <= BATCH_EVENTS_MAX)
        for (const struct json *e = json_first(events); e; e = json_next(e))
            take_event(visit, e, json_get_text(e, "type"), authorized);
    reply_text(visit, 200, "{\"success\":true}");
}

void segment_tracking_visit(struct visit *visit)
{
    static const char *const calls[] = {"identify", "track", "page", "screen", "group", "alias"};
    const char *call = visit->count == 2 && visit_has(visit, 0, "v1") ? visit->segments[1] : "";
    bool is_batch = strcmp(call, "batch") == 0 || strcmp(call, "b") == 0, is_call = is_batch;
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        is_call |= strcmp(call, calls[i]) == 0;
    struct rate_result rate =
        rate_take(visit->sandbox, "segment-tracking", REQUESTS_A_SECOND, 1000);
    if (!is_call || !is_method(visit, "POST")) {
        segment_tracking_refuse(visit, 404, "not found");
    } else if (rate.is_limited) {
        segment_tracking_refuse(visit, 429, "rate limit exceeded");
        reply_header(visit, "Retry-After", "1");
        reply_header(visit, "X-RateLimit-Reset", "1");
    } else if (visit->request->body.len > (is_batch ? BATCH_MAX : EVENT_MAX)) {
        segment_tracking_refuse(visit, 400, "Exceed payload limit");
    } else if (!json_is(visit->body, JSON_OBJECT)) {
        segment_tracking_refuse(visit, 400, "malformed JSON");
    } else if (is_batch) {
        batch(visit, is_authorized(visit));
    } else {
        take_event(visit, visit->body, str_from(call), is_authorized(visit));
        reply_text(visit, 200, "{\"success\":true}");
    }
}
