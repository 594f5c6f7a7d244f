/* segment-webhook-destination: Segment sends the events of one of its sources here, signed with a
 * secret that this source made up when it was activated.
 *
 * Segment signs a single event with HMAC-SHA1 over the body, and a batch over its first element
 * alone, as it stands in the body. The scheme has no time in it, so a captured request stays good
 * for ever: dedupe by messageId is also the guard against replays.
 */
#include "segment.h"

#include <string.h>

#define MESSAGE_ID_MAX 200

static const char default_trigger[] =
    "type = \"identify\" or type = \"track\" or type = \"group\" or type = \"page\" or "
    "type = \"screen\" or type = \"alias\"";

/* ------------------------------------------------------------------ hooks */

/* Paths of the Config API go into a URL as they are, slashes and all. */
static bool is_path(const char *text)
{
    static const char good[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~/";
    return text[0] && text[strspn(text, good)] == '\0' && !strstr(text, "..");
}

static bool uses_config_api(struct rn_run *run, const char *workspace, const char *source)
{
    const char *api = rn_prop_string(run, "api");
    if (api && api[0])
        return strcmp(api, "config") == 0;
    return segment_is_config_id(workspace) || segment_is_config_id(source);
}

static int32_t remove_hook(struct rn_run *run)
{
    const char *api = rn_json_text(run, rn_db_get(run, SEGMENT_DB_API), NULL);
    int32_t err = 0;
    if (api)
        err = strcmp(api, "config") == 0 ? segment_config_remove(run) : segment_public_remove(run);
    if (err)
        return err;
    static const char *const keys[] = {SEGMENT_DB_API, SEGMENT_DB_SECRET, SEGMENT_DB_DESTINATION,
                                       SEGMENT_DB_SUBSCRIPTION, SEGMENT_DB_ENDPOINT};
    for (size_t i = 0; i < RN_COUNT(keys) && !err; i++)
        if (rn_db_get(run, keys[i]))
            err = rn_db_delete(run, keys[i]);
    return err;
}

static int32_t activate(struct rn_run *run)
{
    const char *workspace = rn_prop_string(run, "workspace");
    const char *source = rn_prop_string(run, "source");
    if (!source || !source[0])
        return rn_fail(run, RN_ECONFIG, "the prop `source` is empty: choose a Segment source");

    /* A removal that failed left its ids behind: what they name would go on sending to us. */
    if (rn_db_get(run, SEGMENT_DB_API)) {
        int32_t err = remove_hook(run);
        if (err)
            return err;
    }

    const char *endpoint = rn_endpoint(run, "http");
    const char *trigger = rn_prop_string(run, "trigger");
    const char *name = rn_prop_string(run, "name");
    char mark[9];
    memcpy(mark, rn_hash_hex(run, RN_SHA256, endpoint, strlen(endpoint)), 8);
    mark[8] = '\0';
    struct segment_hook hook = {
        .source = source,
        .endpoint = endpoint,
        .name = RN_TEXT(run, name && name[0] ? name : "runnel", " ", mark),
        .trigger = trigger && trigger[0] ? trigger : default_trigger,
        .batching = rn_prop_boolean(run, "batching"),
    };
    if (!uses_config_api(run, workspace, source))
        return segment_public_add(run, &hook);

    if (!segment_is_config_id(source)) {
        if (!workspace || !workspace[0])
            return rn_fail(run, RN_ECONFIG,
                           "the prop `workspace` is empty: the Config API needs it");
        hook.source = RN_TEXT(run, segment_is_config_id(workspace) ? NULL : "workspaces/",
                              workspace, "/sources/", source);
    }
    if (!is_path(hook.source))
        return rn_fail(run, RN_ECONFIG,
                       RN_TEXT(run, "\"", hook.source,
                               "\" is no source of the Config API: it looks like "
                               "workspaces/acme/sources/web"));
    return segment_config_add(run, &hook);
}

/* -------------------------------------------------------------------- run */

static int32_t respond_error(struct rn_run *run, int32_t status, const char *message)
{
    static const struct rn_pair headers[] = {{"content-type", "application/json"}};
    struct rn_json *error = rn_json_object(run);
    segment_set(run, error, "error", message);
    size_t size;
    const char *text = rn_json_print(run, error, &size);
    return rn_respond(run, status, headers, RN_COUNT(headers), text, size);
}

/* An id for dedupe: the event's own, else `otherwise`. */
static const char *event_id(struct rn_run *run, const struct rn_json *event, const char *otherwise)
{
    size_t size = 0;
    const char *id = rn_json_text(run, rn_json_get(run, event, "messageId"), &size);
    if (!id || !size)
        return otherwise;
    if (size > MESSAGE_ID_MAX || strlen(id) != size)
        return rn_hash_hex(run, RN_SHA256, id, size);
    return id;
}

static int32_t emit(struct rn_run *run, const struct rn_json *event, const char *id)
{
    const char *type = segment_get(run, event, "type");
    struct rn_emit_meta meta = {
        .struct_size = (uint32_t)sizeof(meta),
        .id = id,
        .summary = type && type[0] ? RN_TEXT(run, "Received ", type, " event")
                                   : "Received event without a type",
    };
    if (!rn_parse_time(run, segment_get(run, event, "timestamp"), &meta.ts))
        meta.ts = 0;
    return rn_emit(run, event, &meta);
}

static int32_t emit_batch(struct rn_run *run, const struct rn_json *batch, const char *raw)
{
    size_t index = 0;
    for (const struct rn_json *e = rn_json_first(run, batch); e;
         e = rn_json_next(run, e), index++) {
        const char *id = event_id(run, e, NULL);
        if (!id) {
            size_t offset, size;
            int32_t err = rn_request_element_span(run, index, &offset, &size);
            if (err)
                return rn_fail(run, err, "an element of the batch could not be found in the body");
            id = rn_hash_hex(run, RN_SHA256, raw + offset, size);
        }
        int32_t err = emit(run, e, id);
        if (err)
            return err;
    }
    return 0;
}

static bool is_array(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size && strchr(" \t\r\n", text[at]) && text[at])
        at++;
    return at < size && text[at] == '[';
}

static int32_t run_source(struct rn_run *run)
{
    const char *secret = rn_json_text(run, rn_db_get(run, SEGMENT_DB_SECRET), NULL);
    if (!secret || !secret[0])
        return rn_fail(run, RN_ECONFIG, "this source has no secret: it was never activated");

    size_t size = 0;
    const char *raw = rn_request_body_raw(run, &size);
    if (!raw)
        raw = "";
    const char *signed_text = raw;
    size_t signed_size = size;
    size_t offset, span;
    if (is_array(raw, size) && rn_request_element_span(run, 0, &offset, &span) == 0) {
        signed_text = raw + offset;
        signed_size = span;
    }
    const char *expected =
        rn_hmac_hex(run, RN_SHA1, secret, strlen(secret), signed_text, signed_size);
    const char *signature = rn_request_header(run, "x-signature");
    if (!rn_equal_constant_time(run, expected, signature))
        return respond_error(run, 401,
                             signature ? "the signature does not fit the body"
                                       : "the request has no x-signature header");

    const struct rn_json *body = rn_request_body(run);
    int32_t kind = rn_json_kind(run, body);
    if (kind != RN_JSON_OBJECT && kind != RN_JSON_ARRAY) {
        body = rn_json_parse(run, raw, size);
        kind = rn_json_kind(run, body);
    }
    if (kind != RN_JSON_OBJECT && kind != RN_JSON_ARRAY)
        return respond_error(run, 400, "the body is neither a JSON object nor a JSON array");

    int32_t err = kind == RN_JSON_ARRAY ? emit_batch(run, body, raw)
                                        : emit(run, body, event_id(run, body, signature));
    if (err)
        return err;
    const struct rn_pair headers[] = {{"x-signature", signature}};
    return rn_respond(run, 200, headers, RN_COUNT(headers), NULL, 0);
}

/* ------------------------------------------------------------------ table */

static const struct rn_input workspace_inputs[] = {{"api", "api"}, {NULL, NULL}};
static const struct rn_input source_inputs[] = {
    {"api", "api"}, {"workspace", "workspace"}, {NULL, NULL}};

static const struct rn_prop props[] = {
    {.name = SEGMENT_PROP,
     .type = RN_APP,
     .app = &segment_app,
     .label = "Segment account",
     .description = "The account whose token may create destinations."},
    {.name = "db", .type = RN_DB_SERVICE},
    {.name = "http", .type = RN_HTTP_INTERFACE, .flags = RN_CUSTOM_RESPONSE},
    {.name = "api",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "API",
     .description = "Which of Segment's APIs registers the webhook. Seldom needed: ids that begin "
                    "with `workspaces/` are the Config API's, all others the Public API's.",
     .options_json = "[{\"label\":\"Config API (classic Webhooks)\",\"value\":\"config\"},"
                     "{\"label\":\"Public API (Webhooks Actions)\",\"value\":\"public\"}]"},
    {.name = "workspace",
     .definition_of = SEGMENT_PROP,
     .definition = "workspace",
     .inputs = workspace_inputs},
    {.name = "source",
     .definition_of = SEGMENT_PROP,
     .definition = "source",
     .inputs = source_inputs},
    {.name = "name",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Name",
     .description = "How the destination is called in Segment (Public API only). A short mark is "
                    "added, by which this source knows its own."},
    {.name = "trigger",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Trigger",
     .description = "Which events are sent, in Segment's [filter query "
                    "language](https://segment.com/docs/api/public-api/fql/) (Public API only). "
                    "All six types of events if left out."},
    {.name = "batching",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Batching",
     .description = "Lets Segment send many events in one request (Public API only). It signs the "
                    "first event of each batch and none of the others.",
     .default_json = "false"},
};

const struct rn_component segment_webhook_destination = {
    .key = "segment-webhook-destination",
    .name = "Webhook Destination (Instant)",
    .version = "0.0.1",
    .description =
        "Emit new event for each event of a Segment source, through a webhook destination "
        "that is made on activation. Signatures are checked. [See the "
        "documentation](https://segment.com/docs/connections/destinations/catalog/webhooks/)",
    .type = RN_SOURCE,
    .dedupe = RN_DEDUPE_UNIQUE,
    .props = props,
    .prop_count = RN_COUNT(props),
    .sample_emit_json =
        "{\"type\":\"track\",\"event\":\"Order Completed\",\"userId\":\"u-1042\","
        "\"anonymousId\":\"a7c3f0d2\",\"messageId\":\"ajs-next-5b0a2c1e\","
        "\"properties\":{\"orderId\":\"9007199254740993\",\"total\":27.50,\"currency\":\"EUR\"},"
        "\"context\":{\"library\":{\"name\":\"analytics.js\",\"version\":\"next-1.70.0\"}},"
        "\"integrations\":{},\"timestamp\":\"2026-11-23T10:00:00.123Z\","
        "\"sentAt\":\"2026-11-23T10:00:00.300Z\",\"receivedAt\":\"2026-11-23T10:00:00.412Z\","
        "\"originalTimestamp\":\"2026-11-23T10:00:00.120Z\",\"version\":2}",
    .activate = activate,
    .deactivate = remove_hook,
    .run = run_source,
};
