/* spreadsheets.batchUpdate, all or nothing: each request is judged first, then all are done.
 * appendCells, createDeveloperMetadata, deleteDeveloperMetadata, repeatCell of formats, addSheet. */
#include "sandbox/sheets.h"

#include "base/ids.h"

enum { REQUESTS_MAX = 1000, METADATA_MAX = 20000, TITLE_MAX = 100, SHEETS_MAX = 50 };

static struct json *metadata_of(struct sandbox *sandbox)
{
    return object_member(state_member(sandbox, "sheets"), "metadata", json_new_object);
}

/* The request's kind and what is in it: {"appendCells": {…}}. */
static const struct json *content(const struct json *request, const char **ret_kind)
{
    const struct json *first = json_first(request);
    *ret_kind = json_is(request, JSON_OBJECT) && first ? json_name(first) : "";
    return first;
}

static void bad(struct visit *visit, size_t index, const char *kind, const char *why)
{
    sheets_error(visit, 400, "INVALID_ARGUMENT", "Invalid requests[%zu].%s: %s", index, kind, why);
}

/* ---- judging */

static const char *judge_append(struct sandbox *sandbox, const struct json *request)
{
    struct str fields = json_get_text(request, "fields");
    if (!sheet_by_id(sandbox, json_get_i64(request, "sheetId", 0)))
        return "No grid with this sheetId";
    if (!fields.len)
        return "At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)";
    for (const struct json *r = json_first(json_get(request, "rows")); r; r = json_next(r))
        for (const struct json *c = json_first(json_get(r, "values")); c; c = json_next(c)) {
            const struct json *value = json_get(c, "userEnteredValue"), *inner = json_first(value);
            if (!value || !inner)
                continue;
            const char *kind = json_name(inner);
            if ((strcmp(kind, "stringValue") == 0 && json_is(inner, JSON_STRING)) ||
                (strcmp(kind, "formulaValue") == 0 && json_is(inner, JSON_STRING)) ||
                (strcmp(kind, "numberValue") == 0 && json_is(inner, JSON_NUMBER)) ||
                (strcmp(kind, "boolValue") == 0 && json_is(inner, JSON_BOOLEAN)))
                continue;
            return "userEnteredValue holds one of stringValue, numberValue, boolValue and "
                   "formulaValue";
        }
    return NULL;
}

static const char *judge_metadata(struct sandbox *sandbox, const struct json *requests,
                                  size_t index, const struct json *request)
{
    const struct json *metadata = json_get(request, "developerMetadata");
    struct str visibility = json_get_text(metadata, "visibility");
    int64_t id = 0;
    char name[24];
    if (!json_get_text(metadata, "metadataKey").len)
        return "metadataKey must be set";
    if (!json_is(json_get(metadata, "location"), JSON_OBJECT))
        return "location must be set";
    if (!str_eq_c(visibility, "PROJECT") && !str_eq_c(visibility, "DOCUMENT"))
        return "visibility must be set";
    if (!json_get(metadata, "metadataId"))
        return NULL;
    if (!json_to_i64(json_get(metadata, "metadataId"), &id) || id < 0 || id > INT32_MAX)
        return "metadataId is no int32";
    (void)snprintf(name, sizeof(name), "%lld", (long long)id);
    if (json_get(metadata_of(sandbox), name))
        return "DeveloperMetadata with this metadataId already exists";
    size_t at = 0;
    for (const struct json *r = json_first(requests); r && at < index; r = json_next(r), at++)
        if (json_get_i64(json_get(json_get(r, "createDeveloperMetadata"), "developerMetadata"),
                         "metadataId", -1) == id)
            return "DeveloperMetadata with this metadataId already exists";
    return NULL;
}

static const char *judge_sheet(struct sandbox *sandbox, const struct json *request)
{
    struct str title = json_get_text(json_get(request, "properties"), "title");
    if (!title.len || title.len > TITLE_MAX)
        return "the sandbox wants properties.title, of at most 100 bytes";
    if (json_count(sheets_list(sandbox)) >= SHEETS_MAX)
        return "the sandbox's spreadsheet has 50 sheets at most";
    for (const struct json *s = json_first(sheets_list(sandbox)); s; s = json_next(s))
        if (str_eq_nocase(json_get_text(s, "title"), title))
            return "A sheet with this name already exists. Please enter another name.";
    return NULL;
}

static bool is_good(struct visit *visit, const struct json *requests)
{
    size_t index = 0;
    for (const struct json *r = json_first(requests); r; r = json_next(r), index++) {
        const char *kind, *why = NULL;
        const struct json *inner = content(r, &kind);
        if (strcmp(kind, "appendCells") == 0)
            why = judge_append(visit->sandbox, inner);
        else if (strcmp(kind, "createDeveloperMetadata") == 0)
            why = judge_metadata(visit->sandbox, requests, index, inner);
        else if (strcmp(kind, "addSheet") == 0)
            why = judge_sheet(visit->sandbox, inner);
        else if (strcmp(kind, "repeatCell") == 0)
            why = json_get_text(inner, "fields").len ? NULL : "At least one field must be listed";
        else if (strcmp(kind, "deleteDeveloperMetadata") != 0)
            why = "the sandbox does not know this kind of request";
        if (why) {
            bad(visit, index, kind[0] ? kind : "request", why);
            return false;
        }
    }
    return true;
}

/* ---- doing */

static void append_cells(struct sandbox *sandbox, const struct json *request)
{
    struct json *sheet = sheet_by_id(sandbox, json_get_i64(request, "sheetId", 0));
    for (const struct json *r = json_first(json_get(request, "rows")); r; r = json_next(r)) {
        struct json *row = json_new_array(), *plain = json_new_array();
        for (const struct json *c = json_first(json_get(r, "values")); c; c = json_next(c)) {
            const struct json *inner = json_first(json_get(c, "userEnteredValue"));
            struct json *cell = inner ? json_copy(inner) : json_new_null();
            (void)json_append(plain, json_copy(cell));
            if (inner && strcmp(json_name(inner), "formulaValue") == 0) {
                struct json *formula = json_new_object();
                (void)json_set(formula, "formula", cell);
                cell = formula;
            }
            (void)json_append(row, cell);
        }
        sheet_note(sandbox, sheet, plain);
        json_free(plain);
        sheet_append(sheet, 0, row);
    }
}

static void create_metadata(struct sandbox *sandbox, const struct json *request,
                            struct json *answer)
{
    struct json *all = metadata_of(sandbox);
    struct json *made = json_copy(json_get(request, "developerMetadata"));
    char name[24];
    int64_t id = json_get_i64(made, "metadataId", -1);
    while (id < 0) {
        uint32_t random = 0;
        random_bytes(&random, sizeof(random));
        id = random & INT32_MAX;
        (void)snprintf(name, sizeof(name), "%lld", (long long)id);
        if (json_get(all, name))
            id = -1;
    }
    (void)snprintf(name, sizeof(name), "%lld", (long long)id);
    json_set_integer(made, "metadataId", id);
    (void)json_set(json_set(answer, "createDeveloperMetadata", json_new_object()),
                   "developerMetadata", json_copy(made));
    (void)json_add(all, name, made);
    if (json_count(all) > METADATA_MAX)
        json_free(json_take_first(all));
}

/* By id, or by key: {"dataFilter":{"developerMetadataLookup":{"metadataId":…}}}. */
static void delete_metadata(struct sandbox *sandbox, const struct json *request,
                            struct json *answer)
{
    const struct json *lookup =
        json_get(json_get(request, "dataFilter"), "developerMetadataLookup");
    struct json *all = metadata_of(sandbox), *gone = json_new_array();
    struct str key = json_get_text(lookup, "metadataKey");
    int64_t id = json_get_i64(lookup, "metadataId", -1);
    for (const struct json *m = json_first(all); m; m = json_next(m))
        if (json_get_i64(m, "metadataId", -2) == id ||
            (key.len && str_eq(json_get_text(m, "metadataKey"), key)))
            (void)json_append(gone, json_copy(m));
    for (const struct json *m = json_first(gone); m; m = json_next(m)) {
        char name[24];
        (void)snprintf(name, sizeof(name), "%lld", (long long)json_get_i64(m, "metadataId", -2));
        json_remove(all, name);
    }
    (void)json_set(json_set(answer, "deleteDeveloperMetadata", json_new_object()),
                   "deletedDeveloperMetadata", gone);
}

static void add_sheet(struct sandbox *sandbox, const struct json *request, struct json *answer)
{
    struct json *list = sheets_list(sandbox), *sheet = json_append(list, json_new_object());
    int64_t id = 100 + (int64_t)json_count(list);
    json_set_integer(sheet, "sheetId", id);
    json_set_str(sheet, "title", json_get_text(json_get(request, "properties"), "title"));
    json_set_integer(sheet, "dropped", 0);
    (void)json_set(sheet, "rows", json_new_array());
    struct json *properties =
        json_set(json_set(answer, "addSheet", json_new_object()), "properties", json_new_object());
    json_set_integer(properties, "sheetId", id);
    json_set_str(properties, "title", json_get_text(sheet, "title"));
}

void sheets_batch_update(struct visit *visit)
{
    struct sandbox *sandbox = visit->sandbox;
    const struct json *requests = json_get(visit->body, "requests");
    if (json_count(requests) == 0 || json_count(requests) > REQUESTS_MAX) {
        sheets_error(visit, 400, "INVALID_ARGUMENT", "Must specify at least one request.");
        return;
    }
    if (!is_good(visit, requests))
        return;
    struct json *answer = json_new_object();
    json_set_string(answer, "spreadsheetId", SPREADSHEET_ID);
    struct json *replies = json_set(answer, "replies", json_new_array());
    for (const struct json *r = json_first(requests); r; r = json_next(r)) {
        const char *kind;
        const struct json *inner = content(r, &kind);
        struct json *one = json_append(replies, json_new_object());
        if (strcmp(kind, "appendCells") == 0)
            append_cells(sandbox, inner);
        else if (strcmp(kind, "createDeveloperMetadata") == 0)
            create_metadata(sandbox, inner, one);
        else if (strcmp(kind, "deleteDeveloperMetadata") == 0)
            delete_metadata(sandbox, inner, one);
        else if (strcmp(kind, "addSheet") == 0)
            add_sheet(sandbox, inner, one);
    }
    state_changed(sandbox);
    reply(visit, 200, answer);
}

void sheets_metadata_get(struct visit *visit, const char *id)
{
    const struct json *found = json_get(metadata_of(visit->sandbox), id);
    if (found)
        reply(visit, 200, json_copy(found));
    else
        sheets_error(visit, 404, "NOT_FOUND", "Requested entity was not found.");
}
