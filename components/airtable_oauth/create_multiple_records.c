/* airtable_oauth-create-multiple-records: adds records to a table, ten a request, as Airtable takes
 * no more.
 *
 * A request of ten is made whole or not at all, but a job of several requests can stop between
 * them, and creating is not idempotent: run again, the records of the first requests would be there
 * twice. So once something was created a failure is final and says what is there, unless `mergeOn`
 * makes each request an upsert, which may be repeated.
 */
#include "airtable_oauth.h"

#include <stdio.h>
#include <string.h>

#define CHUNK 10
#define MERGE_MAX 3
/* between two requests: Airtable takes five a second, and shuts the base for 30 s at the sixth */
#define PACE_MS 210
#define NAMED_MAX 10 /* ids in an error's text; all are in the export `created` */

struct job {
    const char *path;
    struct rn_json *records;        /* what came back, in order */
    struct rn_json *created;        /* ids */
    struct rn_json *updated;        /* ids; upserts only */
    const struct rn_json *merge_on; /* or NULL */
    size_t total;
};

static const char *count_text(struct rn_run *run, size_t count)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%zu", count);
    return RN_TEXT(run, text);
}

/* ------------------------------------------------------------------ input */

/* Text as JSON, anything else as it is. NULL if the text is no JSON. */
static const struct rn_json *unwrap(struct rn_run *run, const struct rn_json *value)
{
    size_t size;
    const char *text = rn_json_text(run, value, &size);
    return text ? rn_json_parse(run, text, size) : value;
}

/* The records as a list of {"fields": …}. */
static int32_t read_records(struct rn_run *run, struct rn_json **ret)
{
    const struct rn_json *value = unwrap(run, rn_prop(run, "records"));
    int32_t kind = rn_json_kind(run, value);
    if (kind != RN_JSON_ARRAY && kind != RN_JSON_OBJECT)
        return rn_fail(run, RN_EINVAL,
                       "records is to be a list of objects (or the JSON text of one)");
    struct rn_json *list = rn_json_array(run);
    const struct rn_json *r = kind == RN_JSON_ARRAY ? rn_json_first(run, value) : value;
    for (size_t i = 0; r; i++) {
        const struct rn_json *fields = unwrap(run, r);
        if (rn_json_kind(run, fields) != RN_JSON_OBJECT)
            return rn_fail(run, RN_EINVAL,
                           RN_TEXT(run, "record ", count_text(run, i),
                                   " (counted from 0) is no object of column names and values"));
        struct rn_json *record = rn_json_object(run);
        rn_json_set(run, record, "fields", rn_json_copy(run, fields));
        rn_json_append(run, list, record);
        r = kind == RN_JSON_ARRAY ? rn_json_next(run, r) : NULL;
    }
    if (rn_json_size(run, list) == 0)
        return rn_fail(run, RN_EINVAL, "records is empty: give at least one record");
    *ret = list;
    return 0;
}

static int32_t read_merge_on(struct rn_run *run, const struct rn_json **ret)
{
    const struct rn_json *merge_on = rn_prop(run, "mergeOn");
    *ret = NULL;
    if (rn_json_size(run, merge_on) == 0)
        return 0;
    if (rn_json_size(run, merge_on) > MERGE_MAX)
        return rn_fail(run, RN_EINVAL,
                       "mergeOn names more than the three columns that Airtable takes");
    *ret = merge_on;
    return 0;
}

/* --------------------------------------------------------------- requests */

static void append_all(struct rn_run *run, struct rn_json *to, const struct rn_json *from)
{
    for (const struct rn_json *v = rn_json_first(run, from); v; v = rn_json_next(run, v))
        rn_json_append(run, to, rn_json_copy(run, v));
}

static int32_t send_chunk(struct rn_run *run, struct job *job, struct rn_json *records)
{
    struct rn_json *body = rn_json_object(run);
    if (job->merge_on) {
        struct rn_json *upsert = rn_json_object(run);
        rn_json_set(run, upsert, "fieldsToMergeOn", rn_json_copy(run, job->merge_on));
        rn_json_set(run, body, "performUpsert", upsert);
    }
    rn_json_set(run, body, "records", records);
    if (rn_prop_boolean(run, "typecast"))
        rn_json_set(run, body, "typecast", rn_json_boolean(run, true));
    if (rn_prop_boolean(run, "returnFieldsByFieldId"))
        rn_json_set(run, body, "returnFieldsByFieldId", rn_json_boolean(run, true));

    struct rn_http_request request = RN_HTTP_REQUEST_INIT(NULL);
    request.method = job->merge_on ? "PATCH" : "POST";
    request.json = body;
    request.flags = job->merge_on ? RN_HTTP_SAFE : 0;
    const struct rn_http_response *response;
    int32_t err = airtable_request(run, job->path, &request, &response);
    if (err)
        return err;
    const struct rn_json *answer = rn_json_get(run, response->json, "records");
    append_all(run, job->records, answer);
    if (job->merge_on) {
        append_all(run, job->created, rn_json_get(run, response->json, "createdRecords"));
        append_all(run, job->updated, rn_json_get(run, response->json, "updatedRecords"));
        return 0;
    }
    for (const struct rn_json *r = rn_json_first(run, answer); r; r = rn_json_next(run, r)) {
        const struct rn_json *id = rn_json_get(run, r, "id");
        if (id)
            rn_json_append(run, job->created, rn_json_copy(run, id));
    }
    return 0;
}

/* Sends record after record, ten at a time; what is done is in the job, also on failure. */
static int32_t send_all(struct rn_run *run, struct job *job, const struct rn_json *records)
{
    size_t chunks = 0;
    const struct rn_json *r = rn_json_first(run, records);
    while (r) {
        struct rn_json *chunk = rn_json_array(run);
        for (int i = 0; i < CHUNK && r; i++, r = rn_json_next(run, r))
            rn_json_append(run, chunk, rn_json_copy(run, r));
        if (chunks++ > 0) {
            int32_t err = rn_sleep_ms(run, PACE_MS);
            if (err)
                return err;
        }
        int32_t err = send_chunk(run, job, chunk);
        if (err)
            return err;
    }
    return 0;
}

/* After a failure with something done: says what. */
static int32_t fail_half_way(struct rn_run *run, struct job *job, int32_t err)
{
    size_t done = rn_json_size(run, job->records);
    rn_export(run, "created", job->created);
    if (done == 0 || job->merge_on)
        return err;
    const char *ids = NULL;
    size_t named = 0;
    for (const struct rn_json *id = rn_json_first(run, job->created); id && named < NAMED_MAX;
         id = rn_json_next(run, id), named++)
        ids = RN_TEXT(run, ids, ids ? ", " : NULL, rn_json_text(run, id, NULL));
    const char *more = rn_json_size(run, job->created) > named ? ", …" : NULL;
    const char *why = err == RN_EUNKNOWN    ? "got no answer, so that its records may be there, too"
                      : err == RN_ERATE     ? "was refused as too many (429)"
                      : err == RN_ECANCELED ? "was cancelled"
                                            : "failed";
    return rn_fail(
        run, err == RN_ECANCELED ? err : RN_EFAILED,
        RN_TEXT(run, "the first ", count_text(run, done), " of ", count_text(run, job->total),
                " records were created (", ids, more, "), and the request after them ", why,
                "; it is not tried again, as they would be created twice. Set mergeOn to "
                "make the step repeatable"));
}

static int32_t create_records(struct rn_run *run)
{
    const char *base = rn_prop_string(run, "baseId");
    const char *table = rn_prop_string(run, "tableId");
    if (!base || !base[0] || !table || !table[0])
        return rn_fail(run, RN_ECONFIG, "baseId and tableId are needed: choose a base and a table");
    struct rn_json *records = NULL;
    struct job job = {
        .path = RN_TEXT(run, "/", rn_url_encode(run, base), "/", rn_url_encode(run, table)),
        .records = rn_json_array(run),
        .created = rn_json_array(run),
        .updated = rn_json_array(run),
    };
    int32_t err = read_records(run, &records);
    if (!err)
        err = read_merge_on(run, &job.merge_on);
    if (err)
        return err;
    job.total = rn_json_size(run, records);
    err = send_all(run, &job, records);
    if (err)
        return fail_half_way(run, &job, err);

    size_t updated = rn_json_size(run, job.updated);
    size_t added = job.merge_on ? rn_json_size(run, job.created) : rn_json_size(run, job.records);
    const char *changed =
        job.merge_on ? RN_TEXT(run, " and updated ", count_text(run, updated)) : NULL;
    rn_summary(run,
               RN_TEXT(run, "Added ", count_text(run, added), added == 1 ? " record" : " records",
                       changed, " in ", base, "/", table));
    if (job.merge_on) {
        rn_export(run, "createdRecords", job.created);
        rn_export(run, "updatedRecords", job.updated);
    }
    return rn_return(run, job.records);
}

/* ------------------------------------------------------------------ table */

static const struct rn_input table_inputs[] = {{"baseId", "baseId"}, {NULL, NULL}};

static const struct rn_prop props[] = {
    {.name = AIRTABLE_PROP,
     .type = RN_APP,
     .app = &airtable_oauth_app,
     .label = "Airtable account",
     .description = "The account that may write to the table."},
    {.name = "baseId", .definition_of = AIRTABLE_PROP, .definition = "baseId"},
    {.name = "tableId",
     .definition_of = AIRTABLE_PROP,
     .definition = "tableId",
     .inputs = table_inputs},
    {.name = "records", .definition_of = AIRTABLE_PROP, .definition = "records"},
    {.name = "customExpressionInfo",
     .type = RN_ALERT,
     .alert_type = RN_ALERT_INFO,
     .content =
         "An expression may give the whole list, e.g. `{{steps.rows.$return_value}}`, or one "
         "record of it."},
    {.name = "typecast", .definition_of = AIRTABLE_PROP, .definition = "typecast"},
    {.name = "returnFieldsByFieldId",
     .definition_of = AIRTABLE_PROP,
     .definition = "returnFieldsByFieldId"},
    {.name = "mergeOn",
     .type = RN_STRING | RN_LIST,
     .flags = RN_OPTIONAL,
     .label = "Merge On",
     .description = "Up to three columns that tell records apart. A record whose values are there "
                    "already is updated instead of added, so that the step may be repeated."},
};

const struct rn_component airtable_create_multiple_records = {
    .key = "airtable_oauth-create-multiple-records",
    .name = "Create Multiple Records",
    .version = "0.0.1",
    .description = "Adds records to a table. [See the "
                   "documentation](https://airtable.com/developers/web/api/create-records)",
    .type = RN_ACTION,
    .annotations = RN_OPEN_WORLD,
    .props = props,
    .prop_count = RN_COUNT(props),
    .run = create_records,
};
