/* Segment: the Config API (v1beta), the Tracking API, and the delivery of events to the registered
 * hooks, signed with the destination's secret. Shapes and codes: docs of Segment's Config API and
 * of the Webhooks destination. */
#include "sandbox/private.h"

#include "base/clock.h"
#include "base/ids.h"
#include "crypto/hmac.h"

enum {
    HOOKS_MAX = 5,
    DELIVERY_TIMEOUT_MS = 5000,
    DELIVERY_TRIES = 4,
    TRACKING_EVENT_MAX = 32 * 1024,
};

static bool is_authorized(struct visit *visit)
{
    if (str_eq_c(visit_bearer(visit), "sandbox-token"))
        return true;
    reply_text(visit, 401, "{\"error\":\"invalid access token\",\"code\":16}");
    return false;
}

static void list_sources(struct visit *visit)
{
    static const char *const names[] = {"web", "ios", "android", "server"};
    struct json *answer = json_new_object(), *list = json_set(answer, "sources", json_new_array());
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct json *source = json_append(list, json_new_object());
        char *name = xasprintf("workspaces/%s/sources/%s", visit->segments[2], names[i]);
        json_set_string(source, "name", name);
        json_set_string(source, "catalog_name", "catalog/sources/javascript");
        (void)json_append(json_set(source, "write_keys", json_new_array()),
                          json_new_string_c("sandbox-write-key"));
        free(name);
    }
    json_set_string(answer, "next_page_token", "");
    reply(visit, 200, answer);
}

static void create_destination(struct visit *visit, struct json *all, const char *name)
{
    const struct json *wanted = json_get(visit->body, "destination");
    if (!json_is(wanted, JSON_OBJECT)) {
        reply_text(visit, 400, "{\"error\":\"destination is missing\",\"code\":3}");
    } else if (json_get(all, name)) {
        reply_text(visit, 409, "{\"error\":\"destination already exists\",\"code\":6}");
    } else {
        struct json *made = json_set(all, name, json_copy(wanted));
        char now[CLOCK_TEXT_MAX];
        clock_format(clock_now_ms(), now);
        json_set_string(made, "name", name);
        json_set_string(made, "connection_mode", "CLOUD");
        json_set_string(made, "create_time", now);
        state_save(visit->sandbox);
        reply(visit, 200, json_copy(made));
    }
}

static void patch_destination(struct visit *visit, struct json *made)
{
    const struct json *given = json_get(visit->body, "destination");
    for (const struct json *p = json_first(json_get(json_get(visit->body, "update_mask"), "paths"));
         p; p = json_next(p)) {
        const char *path = json_c(p);
        const char *member = path && str_starts(str_from(path), "destination.")
                                 ? path + strlen("destination.")
                                 : path;
        if (member && json_get(given, member))
            (void)json_set(made, member, json_copy(json_get(given, member)));
        else if (member)
            json_remove(made, member);
    }
    state_save(visit->sandbox);
    reply(visit, 200, json_copy(made));
}

void segment_config_visit(struct visit *visit)
{
    struct sandbox *sandbox = visit->sandbox;
    if (!is_authorized(visit))
        return;
    if (visit_is(visit, "GET", "v1beta/workspaces")) {
        reply_text(visit, 200,
                   "{\"workspaces\":[{\"name\":\"workspaces/"
                   "acme\",\"display_name\":\"Acme\",\"id\":\"e5bdb0902b\"}]}");
        return;
    }
    if (visit_is(visit, "GET", "v1beta/workspaces/*/sources")) {
        list_sources(visit);
        return;
    }
    bool is_collection = visit->count == 6, is_item = visit->count == 7;
    if ((!is_collection && !is_item) || strcmp(visit->segments[5], "destinations") != 0) {
        reply_text(visit, 404, "{\"error\":\"not found\",\"code\":5}");
        return;
    }
    char *name = xasprintf("workspaces/%s/sources/%s/destinations/%s", visit->segments[2],
                           visit->segments[4], is_item ? visit->segments[6] : "webhooks");
    pthread_mutex_lock(&sandbox->lock);
    struct json *all = state_member(sandbox, "segment", false), *made = json_get_mut(all, name);
    const char *method = visit->request->method;
    if (is_collection && strcmp(method, "POST") == 0) {
        create_destination(visit, all, name);
    } else if (!made) {
        reply_text(visit, 404, "{\"error\":\"destination not found\",\"code\":5}");
    } else if (strcmp(method, "GET") == 0) {
        reply(visit, 200, json_copy(made));
    } else if (strcmp(method, "PATCH") == 0) {
        patch_destination(visit, made);
    } else if (strcmp(method, "DELETE") == 0) {
        json_remove(all, name);
        state_save(sandbox);
        reply_text(visit, 200, "{}");
    } else {
        reply_text(visit, 501, "{\"error\":\"not implemented\",\"code\":12}");
    }
    pthread_mutex_unlock(&sandbox->lock);
    free(name);
}

void segment_tracking_visit(struct visit *visit)
{
    if (!visit->body) {
        reply_text(visit, 400, "{\"success\":false,\"message\":\"malformed JSON\"}");
    } else if (visit->request->body.len > TRACKING_EVENT_MAX &&
               !(visit->count == 2 && strcmp(visit->segments[1], "batch") == 0)) {
        reply_text(visit, 400, "{\"success\":false,\"message\":\"Exceed payload limit\"}");
    } else {
        struct json *event = json_copy(visit->body);
        json_set_string(event, "$call", visit->count > 1 ? visit->segments[1] : "");
        pthread_mutex_lock(&visit->sandbox->lock);
        note_received(visit->sandbox, "segment", event);
        pthread_mutex_unlock(&visit->sandbox->lock);
        reply_text(visit, 200, "{\"success\":true}");
    }
}

/* ---- delivery */

static const struct json *config_value(const struct json *destination, const char *suffix)
{
    for (const struct json *c = json_first(json_get(destination, "config")); c; c = json_next(c))
        if (str_ends(json_get_text(c, "name"), suffix))
            return json_get(c, "value");
    return NULL;
}

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

static bool is_tried_again(int status)
{
    return status == 0 || status == 408 || status == 423 || status == 429 ||
           (status >= 500 && status != 501);
}

static struct json *deliver(struct sandbox *sandbox, const char *hook, const char *signature,
                            struct str body)
{
    struct fetch_header headers[] = {{"content-type", "application/json"},
                                     {"x-signature", signature}};
    struct json *result = json_new_object();
    json_set_string(result, "hook", hook);
    int status = 0, tries = 0;
    while (tries < DELIVERY_TRIES && is_tried_again(status)) {
        struct fetch_request request = {.method = "POST",
                                        .url = hook,
                                        .headers = headers,
                                        .header_count = *signature ? 2 : 1,
                                        .body = body,
                                        .timeout_ms = DELIVERY_TIMEOUT_MS};
        struct fetch_response response = {0};
        struct err err = ERR_INIT;
        status =
            http_client_fetch(sandbox->client, &request, &response, &err) ? 0 : response.status;
        if (status)
            json_set_str(result, "answer", buf_str(&response.body));
        else
            json_set_string(result, "error", err.text);
        fetch_response_release(&response);
        tries++;
    }
    json_set_integer(result, "status", status);
    json_set_integer(result, "tries", tries);
    return result;
}

/* The text that is sent, and its signature: of the whole, or of the first element of a batch. */
static void sign(const struct json *destination, struct str body, bool is_batch, char out[129])
{
    struct str secret = json_str(config_value(destination, "/sharedSecret"));
    size_t offset = 0, size = body.len;
    out[0] = '\0';
    if (!secret.len || (is_batch && json_element_span(body, 0, &offset, &size)))
        return;
    crypto_hmac_hex(CRYPTO_SHA1, secret, str_n(body.ptr + offset, size), out);
}

void segment_send(struct visit *visit)
{
    struct sandbox *sandbox = visit->sandbox;
    const char *source = json_get_c(visit->body, "source");
    const struct json *batch = json_get(visit->body, "batch");
    struct json *payload = batch ? json_copy(batch)
                           : json_get(visit->body, "event")
                               ? json_copy(json_get(visit->body, "event"))
                               : json_new_object();
    if (batch) {
        for (struct json *e = json_first_mut(payload); e; e = json_next_mut(e))
            fill_in(e);
    } else {
        fill_in(payload);
    }
    char *name =
        xasprintf("%s/destinations/webhooks", source ? source : "workspaces/acme/sources/web");
    pthread_mutex_lock(&sandbox->lock);
    struct json *destination =
        json_copy(json_get(state_member(sandbox, "segment", false), name)
                      ? json_get(state_member(sandbox, "segment", false), name)
                      : sandbox->state);
    bool is_there = json_get(json_get(sandbox->state, "segment"), name) != NULL;
    pthread_mutex_unlock(&sandbox->lock);
    struct json *answer = json_new_object(),
                *results = json_set(answer, "deliveries", json_new_array());
    size_t size = 0;
    char *text = json_text(payload, &size), signature[129];
    sign(destination, str_n(text, size), batch != NULL, signature);
    const struct json *hooks = is_there && json_get_bool(destination, "enabled", false)
                                   ? config_value(destination, "/hooks")
                                   : NULL;
    size_t count = 0;
    for (const struct json *h = json_first(hooks); h && count < HOOKS_MAX;
         h = json_next(h), count++)
        if (json_get_c(h, "hook"))
            (void)json_append(
                results, deliver(sandbox, json_get_c(h, "hook"), signature, str_n(text, size)));
    (void)json_set(answer, "sent", payload);
    reply(visit, 200, answer);
    free(text);
    free(name);
    json_free(destination);
}
