/* Airtable: bases, tables, and records: list, get, create, update, upsert, delete. Shapes and
 * limits: Airtable's Web API reference. One base with two tables of the same columns. */
#include "sandbox/private.h"

#include "base/clock.h"

enum {
    RECORDS_MAX = 10,
    BASE_PER_SECOND = 5,
    USER_PER_SECOND = 50,
    PENALTY_MS = 30000,
    MERGE_MAX = 3,
    PAGE_MAX = 100,
    KEPT_MAX = 5000, /* records a table; the oldest go */
};

enum kind { TEXT, NUMBER, CHECKBOX };

static const struct column {
    const char *id, *name, *type;
    enum kind kind;
} columns[] = {
    {"fldName", "Name", "singleLineText", TEXT},
    {"fldUser", "User", "singleLineText", TEXT},
    {"fldType", "Type", "singleLineText", TEXT},
    {"fldMessageId", "Message ID", "singleLineText", TEXT},
    {"fldEmail", "Email", "email", TEXT},
    {"fldNotes", "Notes", "multilineText", TEXT},
    {"fldWhen", "When", "dateTime", TEXT},
    {"fldCount", "Count", "number", NUMBER},
    {"fldDone", "Done", "checkbox", CHECKBOX},
};

static const struct {
    const char *id, *name;
} tables[] = {{"tblEvents", "Events"}, {"tblContacts", "Contacts"}};

static void error(struct visit *visit, int status, const char *type, const char *message)
{
    struct json *answer = json_new_object(), *inner = json_set(answer, "error", json_new_object());
    json_set_string(inner, "type", type);
    json_set_string(inner, "message", message);
    reply(visit, status, answer);
}

static void invalid(struct visit *visit)
{
    error(visit, 422, "INVALID_REQUEST_UNKNOWN",
          "Invalid request: parameter validation failed. Check your request data.");
}

void airtable_refuse(struct visit *visit, int status, const char *message)
{
    if (status == 404)
        reply_text(visit, 404, "{\"error\":\"NOT_FOUND\"}");
    else
        error(visit, status,
              status == 401   ? "AUTHENTICATION_REQUIRED"
              : status == 429 ? "RATE_LIMIT_REACHED"
              : status >= 500 ? "SERVER_ERROR"
                              : "INVALID_REQUEST_UNKNOWN",
              message);
}

/* Five requests a second and base, fifty a user; over it everything is refused for 30 s. */
static bool is_limited(struct visit *visit, bool is_base)
{
    struct rate_result rate = rate_take(visit->sandbox, is_base ? "airtable-base" : "airtable-user",
                                        is_base ? BASE_PER_SECOND : USER_PER_SECOND, 1000);
    if (!rate.is_limited)
        return false;
    rate_punish(visit->sandbox, is_base ? "airtable-base" : "airtable-user", PENALTY_MS);
    error(visit, 429, "RATE_LIMIT_REACHED", "Rate limit exceeded. Please try again later");
    return true;
}

/* ---- fields */

static const struct column *find_column(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(columns); i++)
        if (str_eq_c(name, columns[i].name) || str_eq_c(name, columns[i].id))
            return &columns[i];
    return NULL;
}

/* The value as the column keeps it, or NULL where it cannot. */
static struct json *cast(const struct column *column, const struct json *value, bool typecast)
{
    struct json *read = NULL;
    if (json_is(value, JSON_NULL))
        return json_new_null();
    if ((column->kind == TEXT && json_is(value, JSON_STRING)) ||
        (column->kind == NUMBER && json_is(value, JSON_NUMBER)) ||
        (column->kind == CHECKBOX && json_is(value, JSON_BOOLEAN)))
        return json_copy(value);
    if (!typecast)
        return NULL;
    if (column->kind == TEXT) {
        char *text = json_text(value, NULL);
        read = json_new_string_c(text);
        free(text);
    } else if (column->kind == CHECKBOX) {
        read = json_new_boolean(!str_eq_nocase(json_str(value), STR("false")));
    } else if (json_parse(json_str(value), &read, NULL) || !json_is(read, JSON_NUMBER)) {
        json_free(read);
        read = NULL;
    }
    return read;
}

/* The fields of one record by the columns' names; NULL after an answer that says what is wrong. */
static struct json *read_fields(struct visit *visit, const struct json *fields)
{
    bool typecast = json_get_bool(visit->body, "typecast", false);
    struct json *read = json_new_object();
    if (!json_is(fields, JSON_OBJECT)) {
        error(visit, 422, "INVALID_REQUEST_MISSING_FIELDS",
              "Could not find field \"fields\" in the request body");
        json_free(read);
        return NULL;
    }
    for (const struct json *f = json_first(fields); f; f = json_next(f)) {
        const struct column *column = find_column(str_from(json_name(f)));
        struct json *value = column ? cast(column, f, typecast) : NULL;
        if (!value) {
            char *message =
                column ? xasprintf("Field \"%s\" cannot accept the provided value", column->name)
                       : xasprintf("Unknown field name: \"%s\"", json_name(f));
            error(visit, 422, column ? "INVALID_VALUE_FOR_COLUMN" : "UNKNOWN_FIELD_NAME", message);
            free(message);
            json_free(read);
            return NULL;
        }
        (void)json_set(read, column->name, value);
    }
    return read;
}

/* As the API shows a record: empty cells are left out, columns by id where that is asked for. */
static struct json *shown(const struct visit *visit, const struct json *record)
{
    struct json *copy = json_new_object(), *fields = json_new_object();
    bool by_id = json_get_bool(visit->body, "returnFieldsByFieldId", false) ||
                 str_eq_c(json_get_text(visit->query, "returnFieldsByFieldId"), "true");
    json_set_string(copy, "id", json_get_c(record, "id"));
    json_set_string(copy, "createdTime", json_get_c(record, "createdTime"));
    for (const struct json *f = json_first(json_get(record, "fields")); f; f = json_next(f)) {
        const struct column *column = find_column(str_from(json_name(f)));
        if (json_is(f, JSON_NULL) || (json_is(f, JSON_BOOLEAN) && !json_is_true(f)) ||
            (json_is(f, JSON_STRING) && json_str(f).len == 0))
            continue;
        (void)json_set(fields, by_id && column ? column->id : json_name(f), json_copy(f));
    }
    (void)json_set(copy, "fields", fields);
    return copy;
}

/* ---- records */

static struct json *records_of(struct sandbox *sandbox, const char *table)
{
    return object_member(state_member(sandbox, "airtable"), table, json_new_array);
}

static struct json *find_record(struct json *records, struct str id)
{
    for (struct json *r = json_first_mut(records); r; r = json_next_mut(r))
        if (str_eq(json_get_text(r, "id"), id))
            return r;
    return NULL;
}

static void note(struct sandbox *sandbox, const char *table, const struct json *record)
{
    struct json *noted = json_copy(record);
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        if (strcmp(tables[i].id, table) == 0)
            json_set_string(noted, "table", tables[i].name);
    note_received(sandbox, "airtable", noted);
}

/* Takes `fields`. */
static struct json *add_record(struct sandbox *sandbox, const char *table, struct json *fields)
{
    struct json *records = records_of(sandbox, table);
    struct json *record = json_append(records, json_new_object());
    char *id = new_id(sandbox, "rec"), now[CLOCK_TEXT_MAX];
    clock_format(clock_now_ms(), now);
    json_set_string(record, "id", id);
    json_set_string(record, "createdTime", now);
    (void)json_set(record, "fields", fields);
    free(id);
    note(sandbox, table, record);
    if (json_count(records) > KEPT_MAX)
        json_free(json_take_first(records));
    return record;
}

/* Takes `fields`. PUT forgets the columns that are not named. */
static void change_record(struct sandbox *sandbox, const char *table, struct json *record,
                          struct json *fields, bool is_replaced)
{
    struct json *old = json_get_mut(record, "fields");
    if (is_replaced) {
        (void)json_set(record, "fields", fields);
    } else {
        for (const struct json *f = json_first(fields); f; f = json_next(f))
            (void)json_set(old, json_name(f), json_copy(f));
        json_free(fields);
    }
    note(sandbox, table, record);
}

/* Whether two cells are the same to an upsert: an empty one is like a missing one. */
static bool is_same(const struct json *a, const struct json *b)
{
    bool no_a = !a || json_is(a, JSON_NULL), no_b = !b || json_is(b, JSON_NULL);
    return no_a || no_b ? no_a && no_b : json_equal(a, b);
}

/* How many records have the same values in the columns to merge on; the first of them. */
static size_t find_matches(struct json *records, const struct json *merge_on,
                           const struct json *fields, struct json **ret)
{
    size_t count = 0;
    for (struct json *r = json_first_mut(records); r; r = json_next_mut(r)) {
        bool matches = true;
        for (const struct json *m = json_first(merge_on); m && matches; m = json_next(m)) {
            const char *name = find_column(json_str(m))->name;
            matches = is_same(json_get(json_get(r, "fields"), name), json_get(fields, name));
        }
        if (matches && count++ == 0)
            *ret = r;
    }
    return count;
}

static bool is_good_merge(struct visit *visit, const struct json *merge_on)
{
    if (json_count(merge_on) == 0 || json_count(merge_on) > MERGE_MAX) {
        invalid(visit);
        return false;
    }
    for (const struct json *m = json_first(merge_on); m; m = json_next(m)) {
        if (!find_column(json_str(m))) {
            error(visit, 422, "UNKNOWN_FIELD_NAME", "Unknown field name in fieldsToMergeOn");
            return false;
        }
    }
    return true;
}

/* All of a request's records are read and judged before the first is written: all or nothing. Each
 * read item is {"fields", "id" (of the one to change)}. NULL after an answer. */
static struct json *read_records(struct visit *visit, const char *table, const struct json *given,
                                 const struct json *merge_on, bool is_create)
{
    struct json *records = records_of(visit->sandbox, table), *list = json_new_array();
    if (json_count(given) == 0 || json_count(given) > RECORDS_MAX) {
        invalid(visit);
        json_free(list);
        return NULL;
    }
    for (const struct json *r = json_first(given); r; r = json_next(r)) {
        struct json *fields = read_fields(visit, json_get(r, "fields")), *found = NULL;
        struct json *item = json_append(list, json_new_object());
        if (!fields)
            break;
        (void)json_set(item, "fields", fields);
        if (merge_on && !json_get(r, "id")) {
            if (find_matches(records, merge_on, fields, &found) > 1) {
                error(visit, 422, "INVALID_REQUEST_UNKNOWN",
                      "Cannot upsert: more than one record matches fieldsToMergeOn");
                break;
            }
        } else if (!is_create) {
            found = find_record(records, json_get_text(r, "id"));
            if (!found) {
                error(visit, 404, "MODEL_ID_NOT_FOUND", "Record not found");
                break;
            }
        }
        if (found)
            json_set_string(item, "id", json_get_c(found, "id"));
        if (!json_next(r))
            return list;
    }
    json_free(list);
    return NULL;
}

/* POST creates; PATCH and PUT change, or upsert with performUpsert. */
static void write_records(struct visit *visit, const char *table, const struct json *given)
{
    struct sandbox *sandbox = visit->sandbox;
    bool is_create = is_method(visit, "POST");
    const struct json *upsert = is_create ? NULL : json_get(visit->body, "performUpsert");
    const struct json *merge_on = upsert ? json_get(upsert, "fieldsToMergeOn") : NULL;
    if (upsert && !is_good_merge(visit, merge_on))
        return;
    struct json *read = read_records(visit, table, given, merge_on, is_create);
    if (!read)
        return;
    struct json *answer = json_new_object();
    struct json *shown_list = json_set(answer, "records", json_new_array());
    struct json *created = upsert ? json_set(answer, "createdRecords", json_new_array()) : NULL;
    struct json *updated = upsert ? json_set(answer, "updatedRecords", json_new_array()) : NULL;
    for (struct json *i = json_first_mut(read); i; i = json_next_mut(i)) {
        struct json *fields = json_take(i, "fields"), *record = NULL;
        if (json_get(i, "id"))
            record = find_record(records_of(sandbox, table), json_get_text(i, "id"));
        else if (upsert) /* an earlier record of this request may have made it */
            (void)find_matches(records_of(sandbox, table), merge_on, fields, &record);
        bool is_new = !record;
        if (is_new)
            record = add_record(sandbox, table, fields);
        else
            change_record(sandbox, table, record, fields, is_method(visit, "PUT"));
        if (upsert)
            (void)json_append(is_new ? created : updated, json_copy(json_get(record, "id")));
        (void)json_append(shown_list, shown(visit, record));
    }
    json_free(read);
    if (json_get(visit->body, "records")) {
        reply(visit, 200, answer);
    } else { /* the single form */
        reply(visit, 200, json_copy(json_first(shown_list)));
        json_free(answer);
    }
}

static void list_records(struct visit *visit, const char *table)
{
    int64_t size = query_number(visit, "pageSize", PAGE_MAX),
            most = query_number(visit, "maxRecords", INT32_MAX), at = 0;
    struct str offset = json_get_text(visit->query, "offset");
    if (json_get(visit->query, "filterByFormula")) {
        error(visit, 422, "INVALID_FILTER_BY_FORMULA", "The sandbox computes no formulas");
        return;
    }
    if (size < 1 || size > PAGE_MAX || most < 1 || (offset.len && num_parse_i64(offset, &at))) {
        error(visit, 422,
              offset.len ? "LIST_RECORDS_ITERATOR_NOT_AVAILABLE" : "INVALID_REQUEST_UNKNOWN",
              "Invalid pageSize, maxRecords or offset");
        return;
    }
    struct json *answer = json_new_object(), *list = json_set(answer, "records", json_new_array());
    int64_t i = 0, end = at + size < most ? at + size : most;
    const struct json *r = json_first(records_of(visit->sandbox, table));
    for (; r && i < end; r = json_next(r), i++)
        if (i >= at)
            (void)json_append(list, shown(visit, r));
    if (r && end < most) {
        char text[24];
        (void)snprintf(text, sizeof(text), "%lld", (long long)end);
        json_set_string(answer, "offset", text);
    }
    reply(visit, 200, answer);
}

static void one_record(struct visit *visit, const char *table, const char *id)
{
    struct json *records = records_of(visit->sandbox, table);
    struct json *record = find_record(records, str_from(id));
    if (!record) {
        reply_text(visit, 404, "{\"error\":\"NOT_FOUND\"}");
    } else if (is_method(visit, "GET")) {
        reply(visit, 200, shown(visit, record));
    } else if (is_method(visit, "DELETE")) {
        struct json *kept = json_new_array(), *answer = json_new_object();
        json_set_string(answer, "id", id);
        json_set_boolean(answer, "deleted", true);
        for (struct json *r; (r = json_take_first(records));) {
            if (str_eq_c(json_get_text(r, "id"), id))
                json_free(r);
            else
                (void)json_append(kept, r);
        }
        (void)json_set(state_member(visit->sandbox, "airtable"), table, kept);
        state_changed(visit->sandbox);
        reply(visit, 200, answer);
    } else if (is_method(visit, "PATCH") || is_method(visit, "PUT")) {
        struct json *fields = read_fields(visit, json_get(visit->body, "fields"));
        if (!fields)
            return;
        change_record(visit->sandbox, table, record, fields, is_method(visit, "PUT"));
        reply(visit, 200, shown(visit, record));
    } else {
        reply_text(visit, 404, "{\"error\":\"NOT_FOUND\"}");
    }
}

static void records(struct visit *visit, const char *table)
{
    struct json *single = NULL;
    const struct json *given = json_get(visit->body, "records");
    if (visit->count == 4) {
        one_record(visit, table, visit->segments[3]);
    } else if (is_method(visit, "GET")) {
        list_records(visit, table);
    } else if (!json_is(visit->body, JSON_OBJECT)) {
        error(visit, 400, "INVALID_JSON", "The request body is no JSON object");
    } else if (is_method(visit, "POST") || is_method(visit, "PATCH") || is_method(visit, "PUT")) {
        if (!given) {
            single = json_new_array();
            struct json *only = json_append(single, json_new_object());
            if (json_get(visit->body, "fields"))
                (void)json_set(only, "fields", json_copy(json_get(visit->body, "fields")));
        }
        write_records(visit, table, given ? given : single);
        json_free(single);
    } else {
        reply_text(visit, 404, "{\"error\":\"NOT_FOUND\"}");
    }
}

/* ---- the base */

static void list_tables(struct visit *visit)
{
    struct json *answer = json_new_object(), *list = json_set(answer, "tables", json_new_array());
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        struct json *table = json_append(list, json_new_object());
        json_set_string(table, "id", tables[i].id);
        json_set_string(table, "name", tables[i].name);
        json_set_string(table, "primaryFieldId", columns[0].id);
        struct json *fields = json_set(table, "fields", json_new_array());
        for (size_t j = 0; j < COUNT_OF(columns); j++) {
            struct json *field = json_append(fields, json_new_object());
            json_set_string(field, "id", columns[j].id);
            json_set_string(field, "name", columns[j].name);
            json_set_string(field, "type", columns[j].type);
        }
    }
    reply(visit, 200, answer);
}

/* Two bases, on pages of one: who does not turn pages does not see the second, which is empty. */
static void list_bases(struct visit *visit)
{
    if (str_eq_c(json_get_text(visit->query, "offset"), "itr1"))
        reply_text(visit, 200,
                   "{\"bases\":[{\"id\":\"appArchive\",\"name\":\"Archive\","
                   "\"permissionLevel\":\"read\"}]}");
    else
        reply_text(visit, 200,
                   "{\"bases\":[{\"id\":\"appSandbox\",\"name\":\"Sandbox\","
                   "\"permissionLevel\":\"create\"}],\"offset\":\"itr1\"}");
}

static void base(struct visit *visit)
{
    const char *table = NULL;
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        if (visit_has(visit, 2, tables[i].id) || visit_has(visit, 2, tables[i].name))
            table = tables[i].id;
    if (is_limited(visit, true))
        return;
    if (table)
        records(visit, table);
    else
        error(visit, 403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
              "Invalid permissions, or the requested model was not found. Check that both your "
              "user and your token have the required permissions, and that the model names and/or "
              "ids are correct.");
}

void airtable_visit(struct visit *visit)
{
    struct str bearer = visit_bearer(visit);
    if (!bearer.len) {
        error(visit, 401, "AUTHENTICATION_REQUIRED", "Authentication required");
    } else if (!str_eq_c(bearer, SANDBOX_TOKEN)) {
        error(visit, 401, "UNAUTHORIZED", "Invalid authentication token");
    } else if (is_limited(visit, false)) {
        return;
    } else if (visit_is(visit, "GET", "v0/meta/whoami")) {
        reply_text(visit, 200, "{\"id\":\"usrSandbox\"}");
    } else if (visit_is(visit, "GET", "v0/meta/bases")) {
        list_bases(visit);
    } else if (visit_is(visit, "GET", "v0/meta/bases/appSandbox/tables")) {
        list_tables(visit);
    } else if (visit_is(visit, "GET", "v0/meta/bases/appArchive/tables")) {
        reply_text(visit, 200, "{\"tables\":[]}");
    } else if ((visit->count == 3 || visit->count == 4) && visit_has(visit, 0, "v0") &&
               visit_has(visit, 1, "appSandbox")) {
        base(visit);
    } else {
        reply_text(visit, 404, "{\"error\":\"NOT_FOUND\"}");
    }
}
