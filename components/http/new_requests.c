/* http-new-requests: emits every request that reaches its URL, and gives a configured answer. */
#include "http.h"

#include <string.h>

static int32_t run_source(struct rn_run *run)
{
    int32_t status;
    int32_t err = http_status_prop(run, "resStatusCode", 200, &status);
    if (err)
        return err;
    const char *type = http_text_prop(run, "resContentType", "application/json");
    const char *body = http_text_prop(run, "resBody", "{ \"success\": true }");
    const struct rn_pair headers[] = {{"content-type", type}};
    err = rn_respond(run, status, headers, type[0] ? 1 : 0, body, strlen(body));
    if (err)
        return rn_fail(run, RN_ECONFIG, "resContentType is no header value that HTTP allows");

    const struct rn_json *event = rn_event(run);
    if (rn_prop_boolean(run, "emitBodyOnly"))
        event = rn_json_get(run, event, "body");
    struct rn_emit_meta meta = {
        .struct_size = (uint32_t)sizeof(meta),
        .summary = RN_TEXT(run, rn_request_method(run), " ", rn_request_path(run)),
    };
    return rn_emit(run, event ? event : rn_json_null(run), &meta);
}

static const struct rn_prop props[] = {
    {.name = "httpInterface", .type = RN_HTTP_INTERFACE, .flags = RN_CUSTOM_RESPONSE},
    {.name = "emitBodyOnly",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Body Only",
     .description = "Emit the body of the request alone, instead of the whole request.",
     .default_json = "false"},
    {.name = "resStatusCode",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Response Status Code",
     .description = "The status that the sender gets.",
     .default_json = "\"200\""},
    {.name = "resContentType",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Response Content-Type",
     .description = "The `Content-Type` of the body that the sender gets.",
     .default_json = "\"application/json\""},
    {.name = "resBody",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Response Body",
     .description = "The body that the sender gets.",
     .default_json = "\"{ \\\"success\\\": true }\""},
    {.name = HTTP_PROP, .type = RN_APP, .app = &http_app, .flags = RN_OPTIONAL},
};

const struct rn_component http_new_requests = {
    .key = "http-new-requests",
    .name = "New Requests",
    .version = "0.0.1",
    .description = "Emit new event for every HTTP request to a URL of its own, with headers, query "
                   "and body. Status, type and body of the answer can be chosen.",
    .type = RN_SOURCE,
    .dedupe = RN_DEDUPE_NONE,
    .props = props,
    .prop_count = RN_COUNT(props),
    .sample_emit_json = HTTP_SAMPLE_REQUEST,
    .run = run_source,
};
