/* Segment's Public API: the "Webhooks (Actions)" destination, and on it a subscription that says
 * which events go where.
 *
 * Two things are created, one after the other, and the second is often refused (it is an alpha
 * feature, five requests a minute): then the first is deleted again. A destination carries a mark
 * of our endpoint in its name, by which a try that did not get to its commit is found and replaced.
 */
#include "segment.h"

#include <string.h>

#define PUBLIC_US "https://api.segmentapis.com"
#define PUBLIC_EU "https://eu1.api.segmentapis.com"
#define PUBLIC_PAGES_MAX 100
#define WAIT_MS 2000 /* where the API does not say how long */
#define WAIT_SLACK_MS 100
#define LIMITED_TRIES 4
#define DESTINATION_SLUG "actions-webhook"
#define ACTION_SLUG "send"

static const char *public_url(struct rn_run *run, const char *path)
{
    return RN_TEXT(run, segment_is_eu(run) ? PUBLIC_EU : PUBLIC_US, path);
}

/* How long the API asks us to wait: it has no Retry-After, but says it in the answer. */
static int64_t wait_of(struct rn_run *run, const struct rn_http_response *response)
{
    const struct rn_json *error =
        rn_json_first(run, rn_json_get(run, response ? response->json : NULL, "errors"));
    int64_t ms = 0;
    if (!rn_json_to_integer(run, rn_json_get(run, rn_json_get(run, error, "data"), "msBeforeNext"),
                            &ms) ||
        ms < 0)
        return WAIT_MS;
    return ms + WAIT_SLACK_MS;
}

/* A request that waits where the rate is limited, as long as the call has time for it. */
static int32_t patient_request(struct rn_run *run, const struct rn_http_request *request,
                               const struct rn_http_response **ret)
{
    for (int tries = 1;; tries++) {
        const struct rn_http_response *response = NULL;
        int32_t err = rn_http(run, request, &response);
        bool is_limited = response && response->status == 429;
        int64_t wait = is_limited ? wait_of(run, response) : 0;
        if (response)
            *ret = response;
        if (!is_limited || tries == LIMITED_TRIES ||
            rn_now_ms(run) + wait + WAIT_SLACK_MS >= rn_deadline_ms(run))
            return err;
        err = rn_sleep_ms(run, wait);
        if (err)
            return err;
    }
}

static int32_t public_request(struct rn_run *run, const char *method, const char *path,
                              const struct rn_json *json, uint32_t flags,
                              const struct rn_http_response **ret)
{
    const char *token = segment_access_token(run);
    if (!token)
        return RN_ECONFIG;
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(public_url(run, path));
    request.method = method;
    request.bearer = token;
    request.json = json;
    request.flags = flags;
    return patient_request(run, &request, ret);
}

/* One page of a list: the answer's data object, and the next cursor or NULL. */
static int32_t public_page(struct rn_run *run, const char *path, const char *count,
                           const char *cursor, const struct rn_json **ret_data,
                           const char **ret_next)
{
    const char *token = segment_access_token(run);
    if (!token)
        return RN_ECONFIG;
    const struct rn_pair pairs[] = {{"pagination[count]", count}, {"pagination[cursor]", cursor}};
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(public_url(run, path));
    request.bearer = token;
    request.query = pairs;
    request.query_count = cursor ? 2 : 1;
    request.flags = RN_HTTP_SAFE;
    const struct rn_http_response *response = NULL;
    int32_t err = patient_request(run, &request, &response);
    if (err)
        return err;
    const struct rn_json *data = rn_json_get(run, response->json, "data");
    if (!data)
        return rn_fail(run, RN_EPROTOCOL, "Segment's Public API answered without `data`");
    const char *next = segment_get(run, rn_json_get(run, data, "pagination"), "next");
    *ret_next = next && next[0] ? next : NULL;
    *ret_data = data;
    return 0;
}

/* ---------------------------------------------------------------- options */

/* A token belongs to one workspace, so there is no list. */
int32_t segment_public_workspaces(struct rn_run *run, const struct rn_options_query *query,
                                  const char *suffix)
{
    const struct rn_http_response *response = NULL;
    int32_t err = public_request(run, "GET", "/", NULL, RN_HTTP_SAFE, &response);
    if (err)
        return err;
    const struct rn_json *workspace =
        rn_json_get(run, rn_json_get(run, response->json, "data"), "workspace");
    segment_offer(run, query, segment_get(run, workspace, "name"), suffix,
                  segment_get(run, workspace, "id"));
    return 0;
}

int32_t segment_public_sources(struct rn_run *run, const struct rn_options_query *query)
{
    const struct rn_json *data = NULL;
    const char *next = NULL;
    const char *cursor = segment_get(run, query->prev_context, "cursor");
    int32_t err = public_page(run, "/sources", "100", cursor, &data, &next);
    if (err)
        return err;
    const struct rn_json *sources = rn_json_get(run, data, "sources");
    for (const struct rn_json *s = rn_json_first(run, sources); s; s = rn_json_next(run, s)) {
        const char *name = segment_get(run, s, "name");
        segment_offer(run, query, name ? name : segment_get(run, s, "slug"), NULL,
                      segment_get(run, s, "id"));
    }
    if (next) {
        struct rn_json *context = rn_json_object(run);
        segment_set(run, context, "cursor", next);
        rn_options_context(run, context);
    }
    return 0;
}

/* ----------------------------------------------------------- the catalogue */

static const char *action_id(struct rn_run *run, const struct rn_json *metadata)
{
    const struct rn_json *actions = rn_json_get(run, metadata, "actions");
    for (const struct rn_json *a = rn_json_first(run, actions); a; a = rn_json_next(run, a)) {
        const char *slug = segment_get(run, a, "slug");
        if (slug && strcmp(slug, ACTION_SLUG) == 0)
            return segment_get(run, a, "id");
    }
    return NULL;
}

/* The ids of the destination type and of its action, by their slugs. */
static int32_t find_in_catalog(struct rn_run *run, const char **ret_metadata,
                               const char **ret_action)
{
    const char *cursor = NULL;
    const struct rn_json *found = NULL;
    for (int page = 0; page < PUBLIC_PAGES_MAX && !found; page++) {
        const struct rn_json *data = NULL;
        const char *next = NULL;
        int32_t err = public_page(run, "/catalog/destinations", "200", cursor, &data, &next);
        if (err)
            return err;
        const struct rn_json *entries = rn_json_get(run, data, "destinationsCatalog");
        for (const struct rn_json *e = rn_json_first(run, entries); e && !found;
             e = rn_json_next(run, e)) {
            const char *slug = segment_get(run, e, "slug");
            if (slug && strcmp(slug, DESTINATION_SLUG) == 0)
                found = e;
        }
        if (!next)
            break;
        cursor = next;
    }
    const char *metadata = segment_get(run, found, "id");
    if (!metadata)
        return rn_fail(run, RN_ENOTFOUND,
                       "Segment's catalogue has no destination \"" DESTINATION_SLUG
                       "\" for this workspace");
    const char *action = action_id(run, found);
    if (!action) {
        const struct rn_http_response *response = NULL;
        const char *path = RN_TEXT(run, "/catalog/destinations/", rn_url_encode(run, metadata));
        int32_t err = public_request(run, "GET", path, NULL, RN_HTTP_SAFE, &response);
        if (err)
            return err;
        const struct rn_json *data = rn_json_get(run, response->json, "data");
        action = action_id(run, rn_json_get(run, data, "destinationMetadata"));
    }
    if (!action)
        return rn_fail(run, RN_ENOTFOUND,
                       "Segment's destination \"" DESTINATION_SLUG "\" has no action \"" ACTION_SLUG
                       "\"");
    *ret_metadata = metadata;
    *ret_action = action;
    return 0;
}

/* ------------------------------------------------------- the destination */

static const char *destination_path(struct rn_run *run, const char *id)
{
    return RN_TEXT(run, "/destinations/", rn_url_encode(run, id));
}

/* Deletes a thing; that it is gone already counts as deleted. */
static int32_t delete_at(struct rn_run *run, const char *path)
{
    const struct rn_http_response *response = NULL;
    int32_t err = public_request(run, "DELETE", path, NULL, RN_HTTP_SAFE, &response);
    return err == RN_EHTTP && response && response->status == 404 ? 0 : err;
}

/* Deletes what a try before this one left behind: a destination of this source with our name. Its
 * secret cannot be read back for certain, so it is not taken over. A token that may not list
 * destinations is no obstacle. */
static int32_t delete_leftovers(struct rn_run *run, const struct segment_hook *hook)
{
    const char *cursor = NULL;
    for (int page = 0; page < PUBLIC_PAGES_MAX; page++) {
        const struct rn_json *data = NULL;
        const char *next = NULL;
        int32_t err = public_page(run, "/destinations", "200", cursor, &data, &next);
        if (err == RN_EHTTP || err == RN_EPROTOCOL)
            return 0;
        if (err)
            return err;
        const struct rn_json *all = rn_json_get(run, data, "destinations");
        for (const struct rn_json *d = rn_json_first(run, all); d; d = rn_json_next(run, d)) {
            const char *name = segment_get(run, d, "name");
            const char *source = segment_get(run, d, "sourceId");
            const char *id = segment_get(run, d, "id");
            if (!id || !name || strcmp(name, hook->name) != 0 || !source ||
                strcmp(source, hook->source) != 0)
                continue;
            rn_log(run, RN_LOG_INFO,
                   RN_TEXT(run, "replacing destination ", id, " of an earlier try"));
            err = delete_at(run, destination_path(run, id));
            if (err)
                return err;
        }
        if (!next)
            return 0;
        cursor = next;
    }
    return 0;
}

static int32_t create_destination(struct rn_run *run, const struct segment_hook *hook,
                                  const char *metadata, const char *secret, const char **ret_id)
{
    struct rn_json *settings = rn_json_object(run);
    segment_set(run, settings, "sharedSecret", secret);
    struct rn_json *body = rn_json_object(run);
    segment_set(run, body, "sourceId", hook->source);
    segment_set(run, body, "metadataId", metadata);
    segment_set(run, body, "name", hook->name);
    rn_json_set(run, body, "enabled", rn_json_boolean(run, true));
    rn_json_set(run, body, "settings", settings);
    const struct rn_http_response *response = NULL;
    int32_t err = public_request(run, "POST", "/destinations", body, 0, &response);
    if (err)
        return err;
    const struct rn_json *data = rn_json_get(run, response->json, "data");
    const char *id = segment_get(run, rn_json_get(run, data, "destination"), "id");
    if (!id)
        return rn_fail(run, RN_EPROTOCOL, "Segment created a destination and did not say its id");
    *ret_id = id;
    return 0;
}

/* The mapping is written out rather than left to defaults: the whole event as the body. Batches are
 * signed by their first event only, so they are off unless the user wants them. */
static int32_t create_subscription(struct rn_run *run, const struct segment_hook *hook,
                                   const char *destination, const char *action, const char **ret_id)
{
    struct rn_json *data = rn_json_object(run);
    segment_set(run, data, "@path", "$.");
    struct rn_json *settings = rn_json_object(run);
    segment_set(run, settings, "url", hook->endpoint);
    segment_set(run, settings, "method", "POST");
    rn_json_set(run, settings, "data", data);
    rn_json_set(run, settings, "enable_batching", rn_json_boolean(run, hook->batching));
    rn_json_set(run, settings, "batch_size", rn_json_integer(run, 1000));
    struct rn_json *body = rn_json_object(run);
    segment_set(run, body, "name", hook->name);
    segment_set(run, body, "actionId", action);
    segment_set(run, body, "trigger", hook->trigger);
    rn_json_set(run, body, "enabled", rn_json_boolean(run, true));
    rn_json_set(run, body, "settings", settings);

    const char *token = segment_access_token(run);
    if (!token)
        return RN_ECONFIG;
    const struct rn_pair headers[] = {{"Content-Type", "application/vnd.segment.v1alpha+json"}};
    const char *path = RN_TEXT(run, destination_path(run, destination), "/subscriptions");
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(public_url(run, path));
    request.method = "POST";
    request.bearer = token;
    request.headers = headers;
    request.header_count = RN_COUNT(headers);
    request.body = rn_json_print(run, body, &request.body_size);
    const struct rn_http_response *response = NULL;
    int32_t err = patient_request(run, &request, &response);
    if (err)
        return err;
    const struct rn_json *answer = rn_json_get(run, response->json, "data");
    const char *id = segment_get(run, rn_json_get(run, answer, "destinationSubscription"), "id");
    if (!id)
        return rn_fail(run, RN_EPROTOCOL, "Segment created a subscription and did not say its id");
    *ret_id = id;
    return 0;
}

/* Takes back the destination, after `err`: its text stays unless this fails too. */
static int32_t undo_create(struct rn_run *run, const char *destination, int32_t err)
{
    const struct rn_http_response *response = NULL;
    int32_t undo = public_request(run, "DELETE", destination_path(run, destination), NULL,
                                  RN_HTTP_ANY_STATUS | RN_HTTP_SAFE, &response);
    if (undo == 0 && (response->status < 400 || response->status == 404))
        return err;
    return rn_fail(run, err,
                   RN_TEXT(run, "the subscription failed, and the destination ", destination,
                           " that was made for it could not be deleted; the next try replaces it"));
}

int32_t segment_public_add(struct rn_run *run, const struct segment_hook *hook)
{
    const char *metadata = NULL, *action = NULL, *destination = NULL, *subscription = NULL;
    const char *secret = rn_random_hex(run, 32);

    int32_t err = find_in_catalog(run, &metadata, &action);
    if (!err)
        err = delete_leftovers(run, hook);
    if (!err)
        err = create_destination(run, hook, metadata, secret, &destination);
    if (err)
        return err;
    err = rn_db_set(run, SEGMENT_DB_API, rn_json_string(run, "public"));
    if (!err)
        err = rn_db_set(run, SEGMENT_DB_DESTINATION, rn_json_string(run, destination));
    if (!err)
        err = rn_db_set(run, SEGMENT_DB_ENDPOINT, rn_json_string(run, hook->endpoint));
    if (!err)
        err = rn_db_set(run, SEGMENT_DB_SECRET, rn_json_string(run, secret));
    if (!err)
        err = create_subscription(run, hook, destination, action, &subscription);
    if (!err)
        err = rn_db_set(run, SEGMENT_DB_SUBSCRIPTION, rn_json_string(run, subscription));
    return err ? undo_create(run, destination, err) : 0;
}

int32_t segment_public_remove(struct rn_run *run)
{
    const char *destination = rn_json_text(run, rn_db_get(run, SEGMENT_DB_DESTINATION), NULL);
    const char *subscription = rn_json_text(run, rn_db_get(run, SEGMENT_DB_SUBSCRIPTION), NULL);
    if (!destination)
        return 0;
    const char *path = destination_path(run, destination);
    if (subscription) {
        int32_t err =
            delete_at(run, RN_TEXT(run, path, "/subscriptions/", rn_url_encode(run, subscription)));
        /* The destination takes its subscriptions with it: a refusal here decides nothing. */
        if (err)
            rn_log(run, RN_LOG_WARN, "the subscription could not be deleted by itself");
    }
    return delete_at(run, path);
}
