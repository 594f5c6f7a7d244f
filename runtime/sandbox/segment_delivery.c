/* Segment's side of a webhook destination: what a source sends reaches every hook of its classic
 * destination and every subscription of its Actions destinations, signed with the destination's
 * secret.
 *
 * Segment's rules: a single event is signed whole, a batch by its first element; five seconds for
 * an answer; 408, 423, 429, 5xx but 501, and no answer at all are tried again. Of the hooks of a
 * classic destination one that takes the event is enough: the others are not tried again. Where
 * Segment tries for four hours, the sandbox tries five times within seconds. */
#include "sandbox/segment.h"

#include "base/clock.h"
#include "base/ids.h"
#include "crypto/hmac.h"

#include <time.h>

enum { TIMEOUT_MS = 5000, TRIES = 5, BACKOFF_MS = 250, EVENTS_MAX = 4000 };

/* One hook and what is to reach it. */
struct delivery {
    struct http_client *client;
    char *hook, *method, *secret, *text;
    size_t size;
    bool is_batch;
    int group; /* deliveries of one classic destination have the same number: one is enough */
    int status, tries;
    struct json *result;
};

struct deliveries {
    struct delivery *items;
    size_t count;
    int groups;
};

/* ---- the event */

static void set_default(struct json *event, const char *name, const char *value)
{
    if (!json_get(event, name))
        json_set_string(event, name, value);
}

static void fill_in(struct json *event)
{
    char now[CLOCK_TEXT_MAX], id[37];
    clock_format(clock_now_ms(), now);
    random_uuid(id);
    set_default(event, "type", "track");
    if (str_eq_c(json_get_text(event, "type"), "track"))
        set_default(event, "event", "Order Completed");
    if (!json_get(event, "userId") && !json_get(event, "anonymousId"))
        json_set_string(event, "userId", "user-1");
    set_default(event, "messageId", id);
    set_default(event, "timestamp", now);
    set_default(event, "sentAt", now);
    set_default(event, "receivedAt", now);
    if (!json_get(event, "version"))
        json_set_integer(event, "version", 2);
}

/* ---- collecting, under the lock */

static struct delivery *add(struct deliveries *all, const char *hook, struct str secret,
                            const struct json *payload, bool is_batch)
{
    if ((all->count & (all->count - 1)) == 0) /* full at each power of two */
        all->items = xrealloc(all->items, (all->count ? all->count * 2 : 1) * sizeof(*all->items));
    struct delivery *delivery = &all->items[all->count++];
    *delivery = (struct delivery){.hook = xstrdup(hook), .is_batch = is_batch};
    delivery->secret = str_dup(secret);
    delivery->text = json_text(payload, &delivery->size);
    delivery->result = json_new_object();
    return delivery;
}

static void collect_classic(struct sandbox *sandbox, const struct segment_source *source,
                            const struct json *payload, bool is_batch, struct deliveries *all)
{
    char *name = xasprintf("workspaces/" SEGMENT_WORKSPACE "/sources/%s/destinations/webhooks",
                           source->slug);
    const struct json *destination = json_get(segment_config_destinations(sandbox), name);
    free(name);
    if (!json_get_bool(destination, "enabled", false))
        return;
    int group = ++all->groups;
    const struct json *hooks = segment_config_value(destination, "hooks");
    for (const struct json *h = json_first(hooks); h; h = json_next(h)) {
        const char *hook = json_get_c(h, "hook") ? json_get_c(h, "hook") : json_c(h);
        if (!hook)
            continue;
        struct delivery *delivery =
            add(all, hook, json_str(segment_config_value(destination, "sharedSecret")), payload,
                is_batch);
        delivery->client = sandbox->classic;
        delivery->group = group;
    }
}

/* What the subscription's mapping makes of an event: {"@path":"$.…"}, a literal, or all of it. */
static const struct json *map_data(const struct json *settings, const struct json *event)
{
    const struct json *data = json_get(settings, "data");
    struct str path = json_get_text(data, "@path"), part = STR_NONE;
    if (!data)
        return event;
    if (!str_starts(path, "$."))
        return data;
    path = str_n(path.ptr + 2, path.len - 2);
    while (path.len && str_cut(&path, '.', &part))
        event = json_get_str(event, part);
    return event;
}

static void add_actions(struct sandbox *sandbox, const struct json *destination,
                        const struct json *settings, const struct json *payload, bool is_batch,
                        struct deliveries *all)
{
    const char *method = json_get_c(settings, "method");
    struct delivery *delivery =
        add(all, json_get_c(settings, "url"),
            json_get_text(json_get(destination, "settings"), "sharedSecret"), payload, is_batch);
    delivery->client = sandbox->actions;
    delivery->method = xstrdup(method ? method : "POST");
    delivery->group = ++all->groups;
}

/* The events that a subscription's trigger selects, one by one or as batches. */
static void collect_subscription(struct sandbox *sandbox, const struct json *destination,
                                 const struct json *subscription, const struct json *events,
                                 struct deliveries *all)
{
    const struct json *settings = json_get(subscription, "settings");
    struct json *selected = json_new_array();
    for (const struct json *e = json_first(events); e; e = json_next(e)) {
        const struct json *mapped = map_data(settings, e);
        if (mapped && segment_fql_selects(json_get_text(subscription, "trigger"), e))
            (void)json_append(selected, json_copy(mapped));
    }
    if (json_get_bool(settings, "enable_batching", false) && json_count(selected) > 0)
        add_actions(sandbox, destination, settings, selected, true, all);
    else
        for (const struct json *e = json_first(selected); e; e = json_next(e))
            add_actions(sandbox, destination, settings, e, false, all);
    json_free(selected);
}

static void collect(struct sandbox *sandbox, const struct segment_source *source,
                    const struct json *events, bool is_batch, struct deliveries *all)
{
    collect_classic(sandbox, source, is_batch ? events : json_first(events), is_batch, all);
    const struct json *destinations = segment_public_destinations(sandbox);
    for (const struct json *d = json_first(destinations); d; d = json_next(d)) {
        if (segment_source_find(json_get_text(d, "sourceId")) != source ||
            !json_get_bool(d, "enabled", false))
            continue;
        for (const struct json *s = json_first(json_get(d, "subscriptions")); s; s = json_next(s))
            if (json_get_bool(s, "enabled", false))
                collect_subscription(sandbox, d, s, events, all);
    }
}

/* ---- sending, without the lock */

static bool is_tried_again(int status)
{
    return status == 0 || status == 408 || status == 423 || status == 429 ||
           (status >= 300 && status < 400) || (status >= 500 && status != 501);
}

static void send_once(struct delivery *delivery)
{
    char signature[CRYPTO_HEX_MAX] = "";
    struct str body = str_n(delivery->text, delivery->size), secret = str_from(delivery->secret);
    size_t offset = 0, size = body.len;
    /* no secret, no signature */
    if (secret.len && !(delivery->is_batch && json_element_span(body, 0, &offset, &size)))
        crypto_hmac_hex(CRYPTO_SHA1, secret, str_n(body.ptr + offset, size), signature);
    struct fetch_header headers[] = {{"content-type", "application/json"},
                                     {"x-signature", signature}};
    struct fetch_request request = {.method = delivery->method ? delivery->method : "POST",
                                    .url = delivery->hook,
                                    .headers = headers,
                                    .header_count = *signature ? 2 : 1,
                                    .body = body,
                                    .timeout_ms = TIMEOUT_MS,
                                    .max_redirects = -1};
    struct fetch_response response = {0};
    struct err err = ERR_INIT;
    bool failed = http_client_fetch(delivery->client, &request, &response, &err) != 0;
    delivery->status = failed ? 0 : response.status;
    delivery->tries++;
    json_remove(delivery->result, failed ? "answer" : "error");
    if (failed)
        json_set_string(delivery->result, "error", err.text);
    else
        json_set_str(delivery->result, "answer", buf_str(&response.body));
    fetch_response_release(&response);
}

static bool is_group_done(const struct deliveries *all, int group)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].group == group && all->items[i].status / 100 == 2)
            return true;
    return false;
}

static void back_off(int round)
{
    uint32_t random = 0;
    random_bytes(&random, sizeof(random));
    int64_t most = (int64_t)BACKOFF_MS << round, ms = most / 2 + random % (most / 2 + 1);
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    (void)nanosleep(&wait, NULL);
}

static void send_all(struct deliveries *all, int most)
{
    for (int round = 0; round < most; round++) {
        bool is_sent = false, is_first = round == 0;
        for (size_t i = 0; i < all->count; i++) {
            struct delivery *delivery = &all->items[i];
            if (!is_first &&
                (!is_tried_again(delivery->status) || is_group_done(all, delivery->group)))
                continue;
            if (!is_first && !is_sent)
                back_off(round - 1);
            send_once(delivery);
            is_sent = true;
        }
        if (!is_sent)
            return;
    }
}

static void finish(struct delivery *delivery, struct json *results)
{
    json_set_string(delivery->result, "hook", delivery->hook);
    json_set_integer(delivery->result, "status", delivery->status);
    json_set_integer(delivery->result, "tries", delivery->tries);
    (void)json_append(results, delivery->result);
    free(delivery->hook);
    free(delivery->method);
    free(delivery->secret);
    free(delivery->text);
}

/* {"source", "event" or "batch", "tries"} → {"deliveries": […], "sent": …}. */
void segment_send(struct visit *visit)
{
    struct sandbox *sandbox = visit->sandbox;
    const struct json *batch = json_get(visit->body, "batch");
    const struct json *event = json_get(visit->body, "event");
    struct str name = json_get_text(visit->body, "source");
    const struct segment_source *source = segment_source_find(name.len ? name : STR("web"));
    int64_t tries = json_get_i64(visit->body, "tries", TRIES);
    if (!source || (batch && (!json_is(batch, JSON_ARRAY) || json_count(batch) == 0 ||
                              json_count(batch) > EVENTS_MAX))) {
        reply_text(visit, 422,
                   source ? "{\"error\":\"batch is a list of 1 to 4000 events\"}"
                          : "{\"error\":\"no such source: web, ios, android or server of "
                            "workspaces/acme\"}");
        return;
    }
    struct json *events = batch ? json_copy(batch) : json_new_array();
    if (!batch)
        (void)json_append(events, event ? json_copy(event) : json_new_object());
    for (struct json *e = json_first_mut(events); e; e = json_next_mut(e)) {
        if (!json_is(e, JSON_OBJECT)) {
            json_free(events);
            reply_text(visit, 422, "{\"error\":\"an event is an object\"}");
            return;
        }
        fill_in(e);
    }
    struct deliveries all = {.count = 0};
    pthread_mutex_lock(&sandbox->lock);
    collect(sandbox, source, events, batch != NULL, &all);
    pthread_mutex_unlock(&sandbox->lock);
    send_all(&all, tries >= 1 && tries <= TRIES ? (int)tries : TRIES);
    struct json *answer = json_new_object(),
                *results = json_set(answer, "deliveries", json_new_array());
    for (size_t i = 0; i < all.count; i++)
        finish(&all.items[i], results);
    (void)json_set(answer, "sent", batch ? events : json_copy(json_first(events)));
    if (!batch)
        json_free(events);
    free(all.items);
    reply(visit, 200, answer);
}
