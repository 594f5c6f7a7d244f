/* http-return-http-response: what the sender of the workflow's HTTP trigger gets. */
#include "http.h"

#include <stdio.h>

static int32_t run_action(struct rn_run *run)
{
    struct http_pairs headers;
    int64_t status = 200;
    int32_t err = http_pairs_prop(run, "resHeaders", &headers);
    if (err)
        return err;
    rn_json_to_integer(run, rn_prop(run, "resStatusCode"), &status);
    const struct rn_json *value = rn_prop(run, "resBody");
    size_t size = 0;
    const char *text = rn_json_text(run, value, &size), *type = NULL;
    const char *base64 = rn_json_text(run, rn_json_get(run, value, "$base64"), NULL);
    const void *body = text;
    if (base64) {
        body = rn_base64_decode(run, base64, &size);
        const char *known = rn_json_text(run, rn_json_get(run, value, "mimetype"), NULL);
        type = known ? known : "application/octet-stream";
        if (!body)
            return rn_fail(run, RN_EINVAL, "the $base64 of resBody is not base64");
    } else if (text) {
        type = rn_json_parse(run, text, size) ? "application/json" : "text/plain; charset=utf-8";
    } else if (value && rn_json_kind(run, value) != RN_JSON_NULL) {
        body = rn_json_print(run, value, &size);
        type = "application/json";
    }
    if (type && !http_pairs_name_type(&headers) && headers.count < HTTP_PAIRS_MAX) {
        headers.items[headers.count].name = "content-type";
        headers.items[headers.count].value = type;
        headers.count++;
    }
    bool is_now = rn_prop_boolean(run, "immediate");
    err = is_now ? rn_respond_now(run, (int32_t)status, headers.items, headers.count, body, size)
                 : rn_respond(run, (int32_t)status, headers.items, headers.count, body, size);
    if (err)
        return err;
    char number[24];
    (void)snprintf(number, sizeof(number), "%lld", (long long)status);
    rn_summary(run, RN_TEXT(run, "Responded with status ", number));
    return 0;
}

static const struct rn_prop props[] = {
    {.name = HTTP_PROP, .type = RN_APP, .app = &http_app, .flags = RN_OPTIONAL},
    {.name = "resStatusCode",
     .type = RN_INTEGER,
     .flags = RN_OPTIONAL | RN_HAS_MIN | RN_HAS_MAX,
     .label = "Response Status Code",
     .description = "The status that the sender gets.",
     .default_json = "200",
     .min = 100,
     .max = 599},
    {.name = "resHeaders",
     .type = RN_OBJECT,
     .flags = RN_OPTIONAL,
     .label = "Response Headers",
     .description = "The headers that the sender gets."},
    {.name = "resBody",
     .type = RN_ANY,
     .flags = RN_OPTIONAL,
     .label = "Response Body",
     .description = "The body that the sender gets: text, JSON, or bytes ({\"$base64\"}).",
     .default_json = "\"{ \\\"success\\\": true }\""},
    {.name = "immediate",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Immediately",
     .description = "Answer now, and not when the workflow has ended.",
     .default_json = "false"},
};

const struct rn_component http_return_http_response = {
    .key = "http-return-http-response",
    .name = "Return HTTP Response",
    .version = "0.0.3",
    .description = "Answers the sender of the HTTP trigger. The trigger has to say `respond: "
                   "workflow`.",
    .type = RN_ACTION,
    .annotations = RN_OPEN_WORLD,
    .props = props,
    .prop_count = RN_COUNT(props),
    .run = run_action,
};
