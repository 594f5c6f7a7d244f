/* Adds rows so that a repeated call adds nothing.
 *
 * values:append cannot tell a repetition from another call: after a lost answer the rows would be
 * there twice. A batchUpdate is done whole or not at all, and the ids of developer metadata are
 * unique in a spreadsheet: so one request both adds the cells and leaves a mark, whose id is a hash
 * of our idempotency key. Where the mark is there already, the request is refused whole; the mark's
 * value then says whether it is ours (31 bits of a hash may meet another's).
 *
 * Google keeps 30,000 characters of metadata in a spreadsheet, so marks are short and are deleted
 * after ten to twenty minutes; a retry that comes later may add its rows again.
 */
#include "google_sheets.h"

#include <stdio.h>
#include <string.h>

#define MARK_MS (10 * 60 * 1000)

/* ------------------------------------------------------------------ cells */

static struct rn_json *new_cell(struct rn_run *run, const struct rn_json *value)
{
    static const char *const names[] = {
        [RN_JSON_STRING] = "stringValue",
        [RN_JSON_NUMBER] = "numberValue",
        [RN_JSON_BOOLEAN] = "boolValue",
    };
    struct rn_json *cell = rn_json_object(run);
    int32_t kind = rn_json_kind(run, value);
    if (!value || kind == RN_JSON_NULL || kind > RN_JSON_STRING || !names[kind])
        return cell; /* an empty one */
    struct rn_json *entered = rn_json_object(run);
    rn_json_set(run, entered, names[kind], rn_json_copy(run, value));
    rn_json_set(run, cell, "userEnteredValue", entered);
    return cell;
}

static struct rn_json *append_cells(struct rn_run *run, const struct rn_json *worksheet,
                                    const struct rn_json *rows)
{
    struct rn_json *list = rn_json_array(run);
    for (const struct rn_json *r = rn_json_first(run, rows); r; r = rn_json_next(run, r)) {
        struct rn_json *values = rn_json_array(run);
        for (const struct rn_json *c = rn_json_first(run, r); c; c = rn_json_next(run, c))
            rn_json_append(run, values, new_cell(run, c));
        struct rn_json *row = rn_json_object(run);
        rn_json_set(run, row, "values", values);
        rn_json_append(run, list, row);
    }
    const struct rn_json *id = rn_json_get(run, worksheet, "sheetId");
    struct rn_json *append = rn_json_object(run);
    rn_json_set(run, append, "sheetId", id ? rn_json_copy(run, id) : rn_json_integer(run, 0));
    rn_json_set(run, append, "rows", list);
    rn_json_set(run, append, "fields", rn_json_string(run, "userEnteredValue"));
    struct rn_json *request = rn_json_object(run);
    rn_json_set(run, request, "appendCells", append);
    return request;
}

/* ------------------------------------------------------------------ marks */

struct mark {
    int64_t id;
    const char *value, *key, *old_key;
};

static const char *bucket_key(struct rn_run *run, int64_t bucket)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "rn%lld", (long long)(bucket % 1000000));
    return RN_TEXT(run, text);
}

static struct mark new_mark(struct rn_run *run)
{
    const char *key = rn_idempotency_key(run, 0);
    const char *hash = rn_hash_hex(run, RN_SHA256, key, strlen(key));
    struct mark mark = {.id = 0};
    char value[17];
    for (int i = 0; i < 8; i++)
        mark.id = mark.id * 16 + (hash[i] <= '9' ? hash[i] - '0' : hash[i] - 'a' + 10);
    mark.id &= INT32_MAX;
    memcpy(value, hash + 8, 16);
    value[16] = '\0';
    mark.value = RN_TEXT(run, value);
    int64_t bucket = rn_now_ms(run) / MARK_MS;
    mark.key = bucket_key(run, bucket);
    mark.old_key = bucket_key(run, bucket - 2);
    return mark;
}

static struct rn_json *create_mark(struct rn_run *run, const struct mark *mark)
{
    struct rn_json *location = rn_json_object(run);
    rn_json_set(run, location, "spreadsheet", rn_json_boolean(run, true));
    struct rn_json *metadata = rn_json_object(run);
    rn_json_set(run, metadata, "metadataId", rn_json_integer(run, mark->id));
    rn_json_set(run, metadata, "metadataKey", rn_json_string(run, mark->key));
    rn_json_set(run, metadata, "metadataValue", rn_json_string(run, mark->value));
    rn_json_set(run, metadata, "location", location);
    rn_json_set(run, metadata, "visibility", rn_json_string(run, "PROJECT"));
    struct rn_json *create = rn_json_object(run);
    rn_json_set(run, create, "developerMetadata", metadata);
    struct rn_json *request = rn_json_object(run);
    rn_json_set(run, request, "createDeveloperMetadata", create);
    return request;
}

static struct rn_json *delete_old_marks(struct rn_run *run, const struct mark *mark)
{
    struct rn_json *lookup = rn_json_object(run);
    rn_json_set(run, lookup, "metadataKey", rn_json_string(run, mark->old_key));
    struct rn_json *filter = rn_json_object(run);
    rn_json_set(run, filter, "developerMetadataLookup", lookup);
    struct rn_json *delete = rn_json_object(run);
    rn_json_set(run, delete, "dataFilter", filter);
    struct rn_json *request = rn_json_object(run);
    rn_json_set(run, request, "deleteDeveloperMetadata", delete);
    return request;
}

/* Whether the mark of this very call is in the spreadsheet. */
static int32_t find_mark(struct rn_run *run, const char *spreadsheet, const struct mark *mark,
                         bool *ret_found)
{
    char id[32];
    (void)snprintf(id, sizeof(id), "%lld", (long long)mark->id);
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(NULL);
    request.flags = RN_HTTP_SAFE | RN_HTTP_ANY_STATUS;
    const struct rn_http_response *response = NULL;
    int32_t err =
        sheets_request(run, sheets_url(run, spreadsheet, RN_TEXT(run, "/developerMetadata/", id)),
                       &request, &response);
    if (err)
        return err;
    if (response->status == 429 || response->status >= 500)
        return rn_fail(run, RN_EUNAVAILABLE,
                       "whether the rows were added before could not be asked of Google");
    const char *value = rn_json_text(run, rn_json_get(run, response->json, "metadataValue"), NULL);
    *ret_found = response->status < 400 && value && strcmp(value, mark->value) == 0;
    return 0;
}

int32_t sheets_write_once(struct rn_run *run, const char *spreadsheet,
                          const struct rn_json *worksheet, const struct rn_json *rows,
                          enum sheets_written *ret)
{
    struct mark mark = new_mark(run);
    struct rn_json *requests = rn_json_array(run);
    rn_json_append(run, requests, append_cells(run, worksheet, rows));
    rn_json_append(run, requests, create_mark(run, &mark));
    rn_json_append(run, requests, delete_old_marks(run, &mark));
    struct rn_json *body = rn_json_object(run);
    rn_json_set(run, body, "requests", requests);
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(NULL);
    request.method = "POST";
    request.json = body;
    const struct rn_http_response *response = NULL;
    int32_t err =
        sheets_request(run, sheets_url(run, spreadsheet, ":batchUpdate"), &request, &response);
    *ret = SHEETS_WRITTEN;
    if (err != RN_EHTTP || !response || response->status != 400)
        return err;
    bool is_found = false;
    err = find_mark(run, spreadsheet, &mark, &is_found);
    *ret = is_found ? SHEETS_WRITTEN_BEFORE : SHEETS_REFUSED;
    return err;
}
