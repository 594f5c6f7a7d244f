/* Discord: a channel's webhook. Shapes, limits and codes: Discord's developer documentation,
 * "Webhook", "Rate Limits" and "Opcodes and Status Codes". */
#include "sandbox/private.h"

#include "base/clock.h"
#include "net/http_multipart.h"

enum {
    CONTENT_MAX = 2000,
    EMBEDS_MAX = 10,
    EMBEDS_TEXT_MAX = 6000, /* of all embeds together */
    USERNAME_MAX = 80,
    BUCKET = 5,
    BUCKET_MS = 2000,
    MESSAGES_MAX = 1000, /* that can be fetched again */
    FILES_MAX = 10,
    FILE_BYTES_MAX = 10 << 20,
};

#define WEBHOOK_ID "1234567890"
#define CHANNEL_ID "1161888007138310000"
#define THREAD_ID "1161888007138310001"
#define FIRST_MESSAGE 1161888007138312192u

static void error(struct visit *visit, int status, int code, const char *message)
{
    struct json *answer = json_new_object();
    json_set_string(answer, "message", message);
    json_set_integer(answer, "code", code);
    reply(visit, status, answer);
}

void discord_refuse(struct visit *visit, int status, const char *message)
{
    if (status != 429) {
        error(visit, status, 0, message);
        return;
    }
    struct json *answer = json_new_object();
    json_set_string(answer, "message", "You are being rate limited.");
    (void)json_set(answer, "retry_after", json_new_double(0.5));
    json_set_boolean(answer, "global", false);
    reply(visit, 429, answer);
    reply_header(visit, "Retry-After", "1");
    reply_header(visit, "X-RateLimit-Scope", "user");
}

/* Invalid Form Body, with the place in it: {"content":{"_errors":[{…}]}} for "content", and for
 * "embeds/0/title" as deep as that. */
static void form_error(struct visit *visit, const char *place, const char *code,
                       const char *message)
{
    struct json *answer = json_new_object();
    json_set_string(answer, "message", "Invalid Form Body");
    json_set_integer(answer, "code", 50035);
    struct json *at = json_set(answer, "errors", json_new_object());
    struct str rest = str_from(place), part = STR_NONE;
    while (str_cut(&rest, '/', &part)) {
        char *name = str_dup(part);
        at = json_set(at, name, json_new_object());
        free(name);
    }
    struct json *item = json_append(json_set(at, "_errors", json_new_array()), json_new_object());
    json_set_string(item, "code", code);
    json_set_string(item, "message", message);
    reply(visit, 400, answer);
}

static size_t characters(struct str text)
{
    size_t count = 0;
    for (size_t at = 0; at < text.len; at += utf8_length(text, at))
        count++;
    return count;
}

/* Whether a text is longer than it may be; then the answer says so. */
static bool is_too_long(struct visit *visit, const char *place, struct str text, size_t most,
                        size_t *total)
{
    char message[64];
    size_t count = characters(text);
    *total += count;
    if (count <= most)
        return false;
    (void)snprintf(message, sizeof(message), "Must be %zu or fewer in length.", most);
    form_error(visit, place, "BASE_TYPE_MAX_LENGTH", message);
    return true;
}

static bool is_good_embed(struct visit *visit, const struct json *embed, size_t index,
                          size_t *total)
{
    static const struct {
        const char *name, *inner;
        size_t most;
    } texts[] = {{"title", NULL, 256},
                 {"description", NULL, 4096},
                 {"footer", "text", 2048},
                 {"author", "name", 256}};
    char place[64];
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const struct json *value = json_get(embed, texts[i].name);
        (void)snprintf(place, sizeof(place), "embeds/%zu/%s%s%s", index, texts[i].name,
                       texts[i].inner ? "/" : "", texts[i].inner ? texts[i].inner : "");
        struct str text = texts[i].inner ? json_get_text(value, texts[i].inner) : json_str(value);
        if (is_too_long(visit, place, text, texts[i].most, total))
            return false;
    }
    const struct json *fields = json_get(embed, "fields");
    if (json_count(fields) > 25) {
        (void)snprintf(place, sizeof(place), "embeds/%zu/fields", index);
        form_error(visit, place, "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.");
        return false;
    }
    size_t at = 0;
    for (const struct json *f = json_first(fields); f; f = json_next(f), at++) {
        (void)snprintf(place, sizeof(place), "embeds/%zu/fields/%zu/name", index, at);
        if (is_too_long(visit, place, json_get_text(f, "name"), 256, total))
            return false;
        (void)snprintf(place, sizeof(place), "embeds/%zu/fields/%zu/value", index, at);
        if (is_too_long(visit, place, json_get_text(f, "value"), 1024, total))
            return false;
    }
    return true;
}

static bool is_good_message(struct visit *visit)
{
    const struct json *body = visit->body, *embeds = json_get(body, "embeds");
    size_t total = 0, index = 0, scrap = 0;
    if (!json_is(body, JSON_OBJECT)) {
        error(visit, 400, 50109, "The request body contains invalid JSON.");
        return false;
    }
    if (!json_get_text(body, "content").len && !json_count(embeds) &&
        !json_count(json_get(body, "attachments"))) {
        error(visit, 400, 50006, "Cannot send an empty message");
        return false;
    }
    if (is_too_long(visit, "content", json_get_text(body, "content"), CONTENT_MAX, &scrap) ||
        is_too_long(visit, "username", json_get_text(body, "username"), USERNAME_MAX, &scrap))
        return false;
    if (json_count(embeds) > EMBEDS_MAX) {
        form_error(visit, "embeds", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.");
        return false;
    }
    for (const struct json *e = json_first(embeds); e; e = json_next(e), index++)
        if (!is_good_embed(visit, e, index, &total))
            return false;
    if (total > EMBEDS_TEXT_MAX) {
        form_error(visit, "embeds", "MAX_EMBED_SIZE_EXCEEDED",
                   "Embed size exceeds maximum size of 6000");
        return false;
    }
    return true;
}

/* ---- files */

struct upload {
    struct visit *visit;
    struct json *attachments;
    bool is_too_big;
};

/* payload_json is the message; every part with a file name is a file of it. */
static int take_part(void *ctx, const struct http_part *part)
{
    struct upload *upload = ctx;
    struct json *body = NULL;
    char id[32], *url;
    if (str_eq_c(part->name, "payload_json")) {
        if (json_parse(part->data, &body, NULL))
            return RN_EPROTOCOL;
        json_free(upload->visit->body);
        upload->visit->body = body;
    }
    if (!part->filename.ptr)
        return 0;
    upload->is_too_big |= part->data.len > FILE_BYTES_MAX;
    struct json *file = json_append(upload->attachments, json_new_object());
    (void)snprintf(id, sizeof(id), "%llu",
                   (unsigned long long)(FIRST_MESSAGE + ++upload->visit->sandbox->next_id));
    json_set_string(file, "id", id);
    json_set_str(file, "filename", part->filename);
    json_set_integer(file, "size", (int64_t)part->data.len);
    if (part->content_type.len)
        json_set_str(file, "content_type", part->content_type);
    url = xasprintf("https://cdn.discordapp.com/attachments/" CHANNEL_ID "/%s/" STR_FMT, id,
                    STR_ARG(part->filename));
    json_set_string(file, "url", url);
    json_set_string(file, "proxy_url", url);
    free(url);
    return 0;
}

/* A multipart body becomes the message that its JSON says, with "attachments". */
static bool read_upload(struct visit *visit)
{
    struct str type = http_request_header(visit->request, "content-type");
    struct upload upload = {.visit = visit, .attachments = json_new_array()};
    struct err err = ERR_INIT;
    if (!str_starts(type, "multipart/form-data")) {
        json_free(upload.attachments);
        return true;
    }
    int rc = http_multipart_parse(type, visit->request->body, take_part, &upload, &err);
    bool is_good = false;
    if (rc == 0 && !visit->body)
        visit->body = json_new_object();
    if (rc || !json_is(visit->body, JSON_OBJECT))
        error(visit, 400, 50109, "The request body contains invalid JSON.");
    else if (upload.is_too_big)
        error(visit, 413, 40005, "Request entity too large");
    else if (json_count(upload.attachments) > FILES_MAX)
        form_error(visit, "files", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.");
    else
        is_good = true;
    if (is_good && json_count(upload.attachments))
        (void)json_set(visit->body, "attachments", json_copy(upload.attachments));
    json_free(upload.attachments);
    return is_good;
}

/* The bucket of the webhook. */
static bool is_limited(struct visit *visit)
{
    struct rate_result rate = rate_take(visit->sandbox, "discord", BUCKET, BUCKET_MS);
    double left = (double)rate.left_ms / 1000;
    if (rate.is_limited) {
        struct json *answer = json_new_object();
        json_set_string(answer, "message", "You are being rate limited.");
        (void)json_set(answer, "retry_after", json_new_double(left));
        json_set_boolean(answer, "global", false);
        reply(visit, 429, answer);
        reply_header(visit, "Retry-After", "%lld", (long long)((rate.left_ms + 999) / 1000));
        reply_header(visit, "X-RateLimit-Scope", "user");
    }
    reply_header(visit, "X-RateLimit-Limit", "%d", rate.limit);
    reply_header(visit, "X-RateLimit-Remaining", "%d",
                 rate.limit > rate.used ? rate.limit - rate.used : 0);
    reply_header(visit, "X-RateLimit-Reset", "%.3f", (double)clock_now_ms() / 1000 + left);
    reply_header(visit, "X-RateLimit-Reset-After", "%.3f", left);
    reply_header(visit, "X-RateLimit-Bucket", "5f0e5c1a6b2d4e3f9a8b7c6d5e4f3a2b");
    return rate.is_limited;
}

static struct json *messages_of(struct sandbox *sandbox)
{
    return object_member(state_member(sandbox, "discord"), "messages", json_new_object);
}

static void execute(struct visit *visit)
{
    struct sandbox *sandbox = visit->sandbox;
    struct str thread = json_get_text(visit->query, "thread_id");
    if (is_limited(visit) || !read_upload(visit) || !is_good_message(visit))
        return;
    if (thread.ptr && !str_eq_c(thread, THREAD_ID)) {
        uint64_t number;
        if (num_parse_u64(thread, &number))
            form_error(visit, "thread_id", "NUMBER_TYPE_COERCE", "Value is not snowflake.");
        else
            error(visit, 404, 10003, "Unknown Channel");
        return;
    }
    struct json *messages = messages_of(sandbox), *message = json_copy(visit->body);
    char now[CLOCK_TEXT_MAX], id[32];
    clock_format(clock_now_ms(), now);
    (void)snprintf(id, sizeof(id), "%llu",
                   (unsigned long long)(FIRST_MESSAGE + ++sandbox->next_id));
    while (json_get(messages, id)) /* the counter starts anew with each process */
        (void)snprintf(id, sizeof(id), "%llu",
                       (unsigned long long)(FIRST_MESSAGE + ++sandbox->next_id));
    json_set_string(message, "id", id);
    json_set_string(message, "channel_id", thread.len ? THREAD_ID : CHANNEL_ID);
    json_set_string(message, "webhook_id", WEBHOOK_ID);
    json_set_string(message, "timestamp", now);
    (void)json_add(messages, id, json_copy(message));
    if (json_count(messages) > MESSAGES_MAX)
        json_free(json_take_first(messages));
    note_received(sandbox, "discord", json_copy(message));
    if (str_eq_c(json_get_text(visit->query, "wait"), "true")) {
        reply(visit, 200, message);
    } else {
        json_free(message);
        visit->response->status = 204;
    }
}

/* GET, PATCH and DELETE of a message that the webhook has posted. */
static void message(struct visit *visit, const char *id)
{
    struct json *messages = messages_of(visit->sandbox), *kept = json_get_mut(messages, id);
    if (is_limited(visit))
        return;
    if (!kept) {
        error(visit, 404, 10008, "Unknown Message");
    } else if (is_method(visit, "GET")) {
        reply(visit, 200, json_copy(kept));
    } else if (is_method(visit, "PATCH")) {
        if (!is_good_message(visit))
            return;
        for (const struct json *m = json_first(visit->body); m; m = json_next(m))
            (void)json_set(kept, json_name(m), json_copy(m));
        reply(visit, 200, json_copy(kept));
    } else if (is_method(visit, "DELETE")) {
        json_remove(messages, id);
        visit->response->status = 204;
    } else {
        error(visit, 405, 0, "405: Method Not Allowed");
    }
}

static void webhook(struct visit *visit)
{
    struct json *discord = state_member(visit->sandbox, "discord");
    if (is_method(visit, "GET")) {
        reply_text(visit, 200,
                   "{\"id\":\"" WEBHOOK_ID "\",\"type\":1,\"name\":\"sandbox\",\"avatar\":null,"
                   "\"channel_id\":\"" CHANNEL_ID "\",\"guild_id\":\"1161888007138300000\","
                   "\"application_id\":null,\"token\":\"" SANDBOX_TOKEN "\"}");
    } else if (is_method(visit, "POST")) {
        execute(visit);
    } else if (is_method(visit, "DELETE")) {
        json_set_boolean(discord, "is_deleted", true); /* until the sandbox is reset */
        state_save(visit->sandbox);
        visit->response->status = 204;
    } else {
        error(visit, 405, 0, "405: Method Not Allowed");
    }
}

/* /api/webhooks/… and /api/v10/webhooks/… */
void discord_visit(struct visit *visit)
{
    size_t at = 1;
    if (visit->count > 1 && visit->segments[1][0] == 'v' && visit->segments[1][1] >= '1' &&
        visit->segments[1][1] <= '9')
        at = 2;
    bool is_deleted = json_get_bool(state_member(visit->sandbox, "discord"), "is_deleted", false);
    if (!visit_has(visit, 0, "api") || !visit_has(visit, at, "webhooks") || visit->count < at + 2) {
        error(visit, 404, 0, "404: Not Found");
    } else if (!visit_has(visit, at + 1, WEBHOOK_ID) || is_deleted) {
        error(visit, 404, 10015, "Unknown Webhook");
    } else if (!visit_has(visit, at + 2, SANDBOX_TOKEN)) {
        error(visit, 401, 50027, "Invalid Webhook Token");
    } else if (visit->count == at + 3) {
        webhook(visit);
    } else if (visit->count == at + 5 && visit_has(visit, at + 3, "messages")) {
        message(visit, visit->segments[at + 4]);
    } else {
        error(visit, 404, 0, "404: Not Found");
    }
}
