/* http-watch-url: asks a URL again and again, and emits what has changed. */
#include "http.h"

#include <stdio.h>
#include <string.h>

static const struct rn_json *item_of(struct rn_run *run, const struct rn_json *data, int32_t status)
{
    if (rn_prop_boolean(run, "emitBodyOnly"))
        return data;
    struct rn_json *item = rn_json_object(run);
    rn_json_set(run, item, "data", rn_json_copy(run, data));
    rn_json_set(run, item, "status", rn_json_integer(run, status));
    return item;
}

static int32_t emit(struct rn_run *run, const struct rn_json *data, int32_t status, const char *id)
{
    struct rn_emit_meta meta = {
        .struct_size = (uint32_t)sizeof(meta),
        .id = id,
        .summary =
            RN_TEXT(run, http_text_prop(run, "method", "GET"), " ", rn_prop_string(run, "url")),
    };
    return rn_emit(run, item_of(run, data, status), &meta);
}

static const char *digest(struct rn_run *run, const struct rn_json *value)
{
    size_t size = 0;
    const char *text = rn_json_print(run, value, &size);
    return rn_hash_hex(run, RN_SHA256, text, size);
}

/* Each item once: the runtime remembers their digests. */
static int32_t emit_items(struct rn_run *run, const struct rn_http_response *response)
{
    if (!response->json || rn_json_kind(run, response->json) != RN_JSON_ARRAY)
        return rn_fail(run, RN_ECONFIG, "the answer is no JSON array: switch `emitAsArray` off");
    for (const struct rn_json *item = rn_json_first(run, response->json); item;
         item = rn_json_next(run, item)) {
        int32_t err = emit(run, item, response->status, digest(run, item));
        if (err)
            return err;
    }
    return 0;
}

/* The whole answer whenever it is another one than last time, also if it was seen before that. */
static int32_t emit_whole(struct rn_run *run, const struct rn_http_response *response)
{
    const struct rn_json *data =
        response->json ? response->json : rn_json_string_n(run, response->body, response->size);
    const char *now = digest(run, data);
    const char *before = rn_json_text(run, rn_db_get(run, "digest"), NULL);
    int64_t changes = 0;
    if (before && strcmp(now, before) == 0)
        return 0;
    rn_json_to_integer(run, rn_db_get(run, "changes"), &changes);
    char number[24];
    (void)snprintf(number, sizeof(number), "%lld", (long long)(changes + 1));
    int32_t err = rn_db_set(run, "digest", rn_json_string(run, now));
    if (!err)
        err = rn_db_set(run, "changes", rn_json_integer(run, changes + 1));
    return err ? err : emit(run, data, response->status, RN_TEXT(run, number, "-", now));
}

static int32_t run_source(struct rn_run *run)
{
    struct http_pairs params, headers;
    int32_t err = http_pairs_prop(run, "params", &params);
    if (!err)
        err = http_pairs_prop(run, "headers", &headers);
    if (err)
        return err;
    const char *body = rn_prop_string(run, "body");
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(rn_prop_string(run, "url"));
    request.method = http_text_prop(run, "method", "GET");
    request.query = params.items;
    request.query_count = params.count;
    request.headers = headers.items;
    request.header_count = headers.count;
    request.body = body && body[0] ? body : NULL;
    request.body_size = request.body ? strlen(body) : 0;
    request.flags = RN_HTTP_RETRY_RATE_LIMIT | RN_HTTP_SAFE;
    const struct rn_http_response *response = NULL;
    err = rn_http(run, &request, &response);
    if (err)
        return err;
    return rn_prop_boolean(run, "emitAsArray") ? emit_items(run, response)
                                               : emit_whole(run, response);
}

static const struct rn_prop props[] = {
    {.name = "timer",
     .type = RN_TIMER_INTERFACE,
     .label = "Timer",
     .description = "How often to ask the URL.",
     .default_json = "{\"intervalSeconds\":900}"},
    {.name = "db", .type = RN_DB_SERVICE},
    {.name = "url", .type = RN_STRING, .label = "URL", .description = "What to watch."},
    {.name = "method",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Method",
     .description = "The method of the request.",
     .default_json = "\"GET\"",
     .options_json = "[\"GET\",\"POST\",\"PUT\",\"DELETE\"]"},
    {.name = "params",
     .type = RN_OBJECT,
     .flags = RN_OPTIONAL,
     .label = "Query Parameters",
     .description = "Added to the URL."},
    {.name = "body",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Body",
     .description = "Sent as it is."},
    {.name = "headers",
     .type = RN_OBJECT,
     .flags = RN_OPTIONAL,
     .label = "Headers",
     .description = "Sent with the request."},
    {.name = "emitAsArray",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Emit Items",
     .description = "The answer is a JSON array: emit each item that was not there before.",
     .default_json = "false"},
    {.name = "emitBodyOnly",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Body Only",
     .description = "Emit the body of the answer alone, without its status.",
     .default_json = "false"},
    {.name = HTTP_PROP, .type = RN_APP, .app = &http_app, .flags = RN_OPTIONAL},
};

const struct rn_component http_watch_url = {
    .key = "http-watch-url",
    .name = "New Item from Watched URL",
    .version = "0.0.1",
    .description = "Emit new event when the answer of a URL changes, or for each new item of the "
                   "JSON array that it answers with.",
    .type = RN_SOURCE,
    .dedupe = RN_DEDUPE_UNIQUE,
    .props = props,
    .prop_count = RN_COUNT(props),
    .sample_emit_json = "{\"data\":{\"version\":\"1.2.0\"},\"status\":200}",
    .run = run_source,
};
