/* The actions of Segment's Tracking API: identify, group, alias, page, screen, track.
 *
 * The API answers 200 to nearly everything and drops what is wrong later, in silence, so what can
 * be checked is checked here. Each event carries our idempotency key as its messageId, which
 * Segment dedupes by: a repeated call does no harm.
 */
#include "segment.h"

#include <string.h>

#define TRACKING_US "https://api.segment.io/v1/"
#define TRACKING_EU "https://events.eu1.segmentapis.com/v1/"
#define EVENT_MAX (32 * 1024)
#define MESSAGE_ID_MAX 100

/* Copies a prop into the message under the same name, if it is set and not an empty string. */
static void copy_prop(struct rn_run *run, struct rn_json *message, const char *name)
{
    const struct rn_json *value = rn_prop(run, name);
    size_t size = 1;
    if (rn_json_kind(run, value) == RN_JSON_NULL || !value)
        return;
    if (rn_json_text(run, value, &size) && size == 0)
        return;
    rn_json_set(run, message, name, rn_json_copy(run, value));
}

/* Sends the message that the props in `names` (a list that ends in NULL) make up. */
static int32_t send(struct rn_run *run, const char *type, const char *const *names)
{
    const char *key = rn_auth(run, SEGMENT_PROP, "write_key");
    if (!key || !key[0])
        return rn_fail(run, RN_ECONFIG,
                       "the Segment account has no write_key; it is in the source's settings, "
                       "under API Keys");
    struct rn_json *message = rn_json_object(run);
    for (; *names; names++)
        copy_prop(run, message, *names);
    const char *message_id = rn_idempotency_key(run, 0);
    if (strlen(message_id) > MESSAGE_ID_MAX)
        message_id = rn_hash_hex(run, RN_SHA256, message_id, strlen(message_id));
    segment_set(run, message, "messageId", message_id);

    const char *timestamp = segment_get(run, message, "timestamp");
    int64_t ms;
    if (timestamp && !rn_parse_time(run, timestamp, &ms))
        return rn_fail(run, RN_EINVAL,
                       RN_TEXT(run, "timestamp \"", timestamp,
                               "\" is not ISO 8601, like 2026-11-23T10:00:00.123Z"));
    size_t size;
    (void)rn_json_print(run, message, &size);
    if (size > EVENT_MAX)
        return rn_fail(run, RN_ETOOBIG, "the event is larger than the 32 KB that Segment takes");

    struct rn_http_request request =
        RN_HTTP_REQUEST_INIT(RN_TEXT(run, segment_is_eu(run) ? TRACKING_EU : TRACKING_US, type));
    request.method = "POST";
    request.basic_user = key;
    request.basic_password = "";
    request.json = message;
    request.flags = RN_HTTP_SAFE | RN_HTTP_RETRY_RATE_LIMIT;
    const struct rn_http_response *response = NULL;
    int32_t err = rn_http(run, &request, &response);
    if (err)
        return err;
    rn_summary(run, RN_TEXT(run, "Successfully sent ", type, " event ", message_id));
    return rn_return(run, response->json ? rn_json_copy(run, response->json)
                                         : rn_json_string_n(run, response->body, response->size));
}

/* Whether a string prop has a text in it. */
static bool is_set(struct rn_run *run, const char *name)
{
    const char *text = rn_prop_string(run, name);
    return text && text[0];
}

static int32_t need_user(struct rn_run *run)
{
    if (is_set(run, "userId") || is_set(run, "anonymousId"))
        return 0;
    return rn_fail(run, RN_EINVAL,
                   "give a userId or an anonymousId: Segment drops an event that has neither");
}

static int32_t need(struct rn_run *run, const char *name)
{
    if (is_set(run, name))
        return 0;
    return rn_fail(run, RN_EINVAL,
                   RN_TEXT(run, name, " is empty: Segment drops an event without it"));
}

/* ---------------------------------------------------------------- actions */

static int32_t identify(struct rn_run *run)
{
    static const char *const names[] = {"userId",       "anonymousId", "traits", "context",
                                        "integrations", "timestamp",   NULL};
    int32_t err = need_user(run);
    return err ? err : send(run, "identify", names);
}

static int32_t group(struct rn_run *run)
{
    static const char *const names[] = {"userId",  "anonymousId",  "groupId",   "traits",
                                        "context", "integrations", "timestamp", NULL};
    int32_t err = need_user(run);
    if (!err)
        err = need(run, "groupId");
    return err ? err : send(run, "group", names);
}

static int32_t alias(struct rn_run *run)
{
    static const char *const names[] = {"userId",       "previousId", "context",
                                        "integrations", "timestamp",  NULL};
    int32_t err = need(run, "previousId");
    if (!err)
        err = need(run, "userId");
    return err ? err : send(run, "alias", names);
}

static const char *const view_names[] = {"userId",  "anonymousId",  "name",      "properties",
                                         "context", "integrations", "timestamp", NULL};

static int32_t page(struct rn_run *run)
{
    int32_t err = need_user(run);
    return err ? err : send(run, "page", view_names);
}

static int32_t screen(struct rn_run *run)
{
    int32_t err = need_user(run);
    return err ? err : send(run, "screen", view_names);
}

static int32_t track(struct rn_run *run)
{
    static const char *const names[] = {"userId",  "anonymousId",  "event",     "properties",
                                        "context", "integrations", "timestamp", NULL};
    int32_t err = need_user(run);
    if (!err)
        err = need(run, "event");
    return err ? err : send(run, "track", names);
}

/* ----------------------------------------------------------------- tables */

#define APP                                                                                        \
    {                                                                                              \
        .name = SEGMENT_PROP, .type = RN_APP, .app = &segment_app, .label = "Segment account",     \
        .description = "The account whose write key the event is sent with."                       \
    }
#define SHARED(name_)                                                                              \
    {                                                                                              \
        .name = (name_), .definition_of = SEGMENT_PROP, .definition = (name_)                      \
    }
#define TAIL SHARED("context"), SHARED("integrations"), SHARED("timestamp")

static const struct rn_prop identify_props[] = {
    APP,
    SHARED("userId"),
    SHARED("anonymousId"),
    {.name = "traits",
     .type = RN_OBJECT,
     .flags = RN_OPTIONAL,
     .label = "Traits",
     .description = "What is known of the user: `email`, `name`, …"},
    TAIL,
};

static const struct rn_prop group_props[] = {
    APP,
    SHARED("userId"),
    SHARED("anonymousId"),
    {.name = "groupId",
     .type = RN_STRING,
     .label = "Group ID",
     .description = "The id of the group (a company, a team) in your own database."},
    {.name = "traits",
     .type = RN_OBJECT,
     .flags = RN_OPTIONAL,
     .label = "Traits",
     .description = "What is known of the group: `name`, `plan`, …"},
    TAIL,
};

static const struct rn_prop alias_props[] = {
    APP,
    {.name = "previousId",
     .type = RN_STRING,
     .label = "Previous ID",
     .description = "The id by which the user was known until now."},
    {.name = "userId",
     .type = RN_STRING,
     .label = "User ID",
     .description = "The id by which the user is known from now on."},
    TAIL,
};

#define VIEW_PROPS(what_)                                                                          \
    APP, SHARED("userId"), SHARED("anonymousId"),                                                  \
        {.name = "name",                                                                           \
         .type = RN_STRING,                                                                        \
         .flags = RN_OPTIONAL,                                                                     \
         .label = "Name",                                                                          \
         .description = "The name of the " what_ "."},                                             \
        {.name = "properties",                                                                     \
         .type = RN_OBJECT,                                                                        \
         .flags = RN_OPTIONAL,                                                                     \
         .label = "Properties",                                                                    \
         .description = "Properties of the " what_ ", e.g. `url` and `referrer`."},                \
        TAIL

static const struct rn_prop page_props[] = {VIEW_PROPS("page")};
static const struct rn_prop screen_props[] = {VIEW_PROPS("screen")};

static const struct rn_prop track_props[] = {
    APP,
    SHARED("userId"),
    SHARED("anonymousId"),
    {.name = "event",
     .type = RN_STRING,
     .label = "Event",
     .description = "What the user did, e.g. `Order Completed`."},
    {.name = "properties",
     .type = RN_OBJECT,
     .flags = RN_OPTIONAL,
     .label = "Properties",
     .description = "Properties of the event, e.g. `revenue`."},
    TAIL,
};

#define SPEC "https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/"

#define ACTION(key_, name_, what_, run_)                                                           \
    {                                                                                              \
        .key = "segment-" key_, .name = (name_), .version = "0.0.1",                               \
        .description = what_ " [See the documentation](" SPEC "#" key_ ")", .type = RN_ACTION,     \
        .annotations = RN_OPEN_WORLD, .props = run_##_props, .prop_count = RN_COUNT(run_##_props), \
        .run = run_                                                                                \
    }

const struct rn_component segment_identify =
    ACTION("identify", "Identify User", "Ties a user to an id and records traits.", identify);
const struct rn_component segment_group =
    ACTION("group", "Associate User with Group", "Puts a user into a group.", group);
const struct rn_component segment_alias =
    ACTION("alias", "Alias User", "Joins two identities of one user.", alias);
const struct rn_component segment_page =
    ACTION("page", "Record Page View", "Records that a user saw a page.", page);
const struct rn_component segment_screen =
    ACTION("screen", "Record Screen View", "Records that a user saw a screen of an app.", screen);
const struct rn_component segment_track =
    ACTION("track", "Track Event", "Records something that a user did.", track);
