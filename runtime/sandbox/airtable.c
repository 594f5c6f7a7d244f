/* Airtable: bases and tables, creating and upserting records. Shapes and limits: Airtable's Web API
 * reference. */
#include "sandbox/private.h"

#include "base/clock.h"

enum { RECORDS_MAX = 10, PER_SECOND = 5 };

static void airtable_error(struct visit *visit, int status, const char *type, const char *message)
{
    struct json *answer = json_new_object(), *error = json_set(answer, "error", json_new_object());
    json_set_string(error, "type", type);
    json_set_string(error, "message", message);
    reply(visit, status, answer);
}

/* Five requests a second and base; over it everything is refused for 30 s. */
static bool is_limited(struct visit *visit)
{
    struct json *base = state_member(visit->sandbox, "airtable", false);
    int64_t now = clock_now_ms(), second = now / 1000,
            used = json_get_i64(base, "second", 0) == second ? json_get_i64(base, "used", 0) : 0;
    if (json_get_i64(base, "penalty_until", 0) > now)
        return true;
    json_set_integer(base, "second", second);
    json_set_integer(base, "used", used + 1);
    if (used < PER_SECOND)
        return false;
    json_set_integer(base, "penalty_until", now + 30000);
    return true;
}

static void create(struct visit *visit)
{
    const struct json *records = json_get(visit->body, "records");
    char now[CLOCK_TEXT_MAX];
    clock_format(clock_now_ms(), now);
    if (json_count(records) == 0 || json_count(records) > RECORDS_MAX) {
        airtable_error(visit, 422, "INVALID_REQUEST_UNKNOWN",
                       "Invalid request: parameter validation failed. Check your request data.");
        return;
    }
    for (const struct json *r = json_first(records); r; r = json_next(r)) {
        if (!json_is(json_get(r, "fields"), JSON_OBJECT)) {
            airtable_error(visit, 422, "INVALID_REQUEST_MISSING_FIELDS",
                           "Could not find field \"fields\" in the request body");
            return;
        }
    }
    struct json *answer = json_new_object(), *made = json_set(answer, "records", json_new_array());
    for (const struct json *r = json_first(records); r; r = json_next(r)) {
        struct json *record = json_append(made, json_new_object());
        char *id = new_id(visit->sandbox, "rec");
        json_set_string(record, "id", id);
        json_set_string(record, "createdTime", now);
        (void)json_set(record, "fields", json_copy(json_get(r, "fields")));
        struct json *noted = json_copy(record);
        json_set_string(noted, "table", visit->segments[2]);
        note_received(visit->sandbox, "airtable", noted);
        free(id);
    }
    reply(visit, 200, answer);
}

void airtable_visit(struct visit *visit)
{
    if (!str_eq_c(visit_bearer(visit), "sandbox-token")) {
        airtable_error(visit, 401, "AUTHENTICATION_REQUIRED", "Authentication required");
    } else if (visit_is(visit, "GET", "v0/meta/whoami")) {
        reply_text(visit, 200, "{\"id\":\"usrSandbox\"}");
    } else if (visit_is(visit, "GET", "v0/meta/bases")) {
        reply_text(visit, 200,
                   "{\"bases\":[{\"id\":\"appSandbox\",\"name\":\"Sandbox\",\"permissionLevel\":"
                   "\"create\"}]}");
    } else if (visit_is(visit, "GET", "v0/meta/bases/appSandbox/tables")) {
        reply_text(visit, 200,
                   "{\"tables\":[{\"id\":\"tblEvents\",\"name\":\"Events\",\"fields\":[{\"id\":"
                   "\"fldName\",\"name\":\"Name\",\"type\":"
                   "\"singleLineText\"},{\"id\":\"fldUser\",\"name\":\"User\",\"type\":"
                   "\"singleLineText\"}]}]}");
    } else if (visit->count != 3 || strcmp(visit->segments[1], "appSandbox") != 0) {
        reply_text(visit, 404, "{\"error\":\"NOT_FOUND\"}");
    } else if (strcmp(visit->segments[2], "Events") != 0 &&
               strcmp(visit->segments[2], "tblEvents") != 0) {
        airtable_error(visit, 403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
                       "Invalid permissions, or the requested model was not found.");
    } else {
        pthread_mutex_lock(&visit->sandbox->lock);
        if (is_limited(visit))
            airtable_error(visit, 429, "RATE_LIMIT_REACHED",
                           "Rate limit exceeded. Please try again later");
        else
            create(visit);
        pthread_mutex_unlock(&visit->sandbox->lock);
    }
}
