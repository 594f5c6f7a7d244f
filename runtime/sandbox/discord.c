/* Discord: executing a channel webhook. Shapes, limits and codes: Discord's developer
 * documentation, "Execute Webhook" and "Rate Limits". */
#include "sandbox/private.h"

#include "base/clock.h"

enum { CONTENT_MAX = 2000, BUCKET = 5, BUCKET_MS = 2000 };

static size_t characters(struct str text)
{
    size_t count = 0;
    for (size_t at = 0; at < text.len; at += utf8_length(text, at))
        count++;
    return count;
}

/* The bucket of a webhook: BUCKET requests in BUCKET_MS. */
static bool is_limited(struct visit *visit, struct json *bucket)
{
    int64_t now = clock_now_ms(), start = json_get_i64(bucket, "start", 0),
            used = json_get_i64(bucket, "used", 0);
    if (now - start >= BUCKET_MS) {
        start = now;
        used = 0;
    }
    double left = (double)(start + BUCKET_MS - now) / 1000;
    char text[32];
    bool limited = used >= BUCKET;
    json_set_integer(bucket, "start", start);
    json_set_integer(bucket, "used", limited ? used : used + 1);
    (void)!http_response_header(visit->response, "X-RateLimit-Limit", STR("5"));
    int n = snprintf(text, sizeof(text), "%d", limited ? 0 : (int)(BUCKET - used - 1));
    (void)!http_response_header(visit->response, "X-RateLimit-Remaining", str_n(text, (size_t)n));
    n = snprintf(text, sizeof(text), "%.3f", left);
    (void)!http_response_header(visit->response, "X-RateLimit-Reset-After", str_n(text, (size_t)n));
    if (limited) {
        struct json *answer = json_new_object();
        json_set_string(answer, "message", "You are being rate limited.");
        (void)json_set(answer, "retry_after", json_new_double(left));
        json_set_boolean(answer, "global", false);
        reply(visit, 429, answer);
        (void)!http_response_header(visit->response, "Retry-After", STR("2"));
        (void)!http_response_header(visit->response, "X-RateLimit-Scope", STR("user"));
    }
    return limited;
}

static void execute(struct visit *visit)
{
    struct str content = json_get_text(visit->body, "content");
    size_t embeds = json_count(json_get(visit->body, "embeds"));
    if (!visit->body) {
        reply_text(visit, 400,
                   "{\"message\":\"The request body contains invalid JSON.\",\"code\":50109}");
    } else if (!content.len && !embeds) {
        reply_text(visit, 400, "{\"message\":\"Cannot send an empty message\",\"code\":50006}");
    } else if (characters(content) > CONTENT_MAX) {
        reply_text(visit, 400,
                   "{\"message\":\"Invalid Form "
                   "Body\",\"code\":50035,\"errors\":{\"content\":{\"_errors\":[{\"code\":\"BASE_"
                   "TYPE_MAX_LENGTH\","
                   "\"message\":\"Must be 2000 or fewer in length.\"}]}}}");
    } else if (!is_limited(visit,
                           json_set(visit->sandbox->state, "discord",
                                    json_get(visit->sandbox->state, "discord")
                                        ? json_copy(json_get(visit->sandbox->state, "discord"))
                                        : json_new_object()))) {
        struct json *message = json_copy(visit->body);
        char now[CLOCK_TEXT_MAX], id[32];
        clock_format(clock_now_ms(), now);
        (void)snprintf(id, sizeof(id), "%llu",
                       (unsigned long long)(1161888007138312192u + ++visit->sandbox->next_id));
        json_set_string(message, "id", id);
        json_set_string(message, "channel_id", "1161888007138310000");
        json_set_string(message, "webhook_id", visit->segments[2]);
        json_set_string(message, "timestamp", now);
        note_received(visit->sandbox, "discord", json_copy(message));
        if (str_eq_c(json_get_text(visit->query, "wait"), "true")) {
            reply(visit, 200, message);
        } else {
            json_free(message);
            visit->response->status = 204;
        }
    }
}

void discord_visit(struct visit *visit)
{
    if (visit->count < 4 || strcmp(visit->segments[0], "api") != 0 ||
        strcmp(visit->segments[1], "webhooks") != 0) {
        reply_text(visit, 404, "{\"message\":\"404: Not Found\",\"code\":0}");
    } else if (strcmp(visit->segments[2], "1234567890") != 0) {
        reply_text(visit, 404, "{\"message\":\"Unknown Webhook\",\"code\":10015}");
    } else if (strcmp(visit->segments[3], "sandbox-token") != 0) {
        reply_text(visit, 401, "{\"message\":\"Invalid Webhook Token\",\"code\":50027}");
    } else if (strcmp(visit->request->method, "GET") == 0) {
        reply_text(visit, 200,
                   "{\"id\":\"1234567890\",\"type\":1,\"name\":\"sandbox\",\"channel_id\":"
                   "\"1161888007138310000\"}");
    } else {
        pthread_mutex_lock(&visit->sandbox->lock);
        execute(visit);
        pthread_mutex_unlock(&visit->sandbox->lock);
    }
}
