/* Segment's Config API (v1beta): the classic "Webhooks" destination of a source.
 *
 * A destination is named by its slug under the source, so a source has one "webhooks" destination
 * for everybody, with up to five hooks and one shared secret. Whoever comes second gets 409, adds
 * its hook to the list and signs with the secret that is there; whoever leaves takes its own hook
 * out, and the last one deletes the destination.
 */
#include "segment.h"

#include <string.h>

#define CONFIG_BASE "https://platform.segmentapis.com/v1beta/"
#define CONFIG_HOOKS_MAX 5

/* One request. Repeating any of them does no harm: creation is refused with 409 the second time. */
static int32_t config_request(struct rn_run *run, const char *method, const char *path,
                              const struct rn_json *json, uint32_t flags,
                              const struct rn_http_response **ret)
{
    const char *token = segment_access_token(run);
    if (!token)
        return RN_ECONFIG;
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(RN_TEXT(run, CONFIG_BASE, path));
    request.method = method;
    request.bearer = token;
    request.json = json;
    request.flags = flags | RN_HTTP_SAFE | RN_HTTP_RETRY_RATE_LIMIT;
    return rn_http(run, &request, ret);
}

/* A list request with this API's paging; the token of the next page, or NULL, in *ret_next. */
static int32_t config_list(struct rn_run *run, const struct rn_options_query *query,
                           const char *path, const struct rn_json **ret, const char **ret_next)
{
    const char *token = segment_access_token(run);
    if (!token)
        return RN_ECONFIG;
    const char *page_token = segment_get(run, query->prev_context, "pageToken");
    const struct rn_pair pairs[] = {{"page_size", "100"}, {"page_token", page_token}};
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(RN_TEXT(run, CONFIG_BASE, path));
    request.bearer = token;
    request.query = pairs;
    request.query_count = page_token ? 2 : 1;
    request.flags = RN_HTTP_SAFE | RN_HTTP_RETRY_RATE_LIMIT;
    const struct rn_http_response *response = NULL;
    int32_t err = rn_http(run, &request, &response);
    if (err)
        return err;
    if (!response->json)
        return rn_fail(run, RN_EPROTOCOL, "Segment's Config API answered without JSON");
    const char *next = segment_get(run, response->json, "next_page_token");
    *ret_next = next && next[0] ? next : NULL;
    *ret = response->json;
    return 0;
}

static void config_more(struct rn_run *run, const char *next)
{
    if (!next)
        return;
    struct rn_json *context = rn_json_object(run);
    segment_set(run, context, "pageToken", next);
    rn_options_context(run, context);
}

/* "web" of "workspaces/acme/sources/web". */
static const char *last_segment(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int32_t segment_config_workspaces(struct rn_run *run, const struct rn_options_query *query,
                                  const char *suffix)
{
    const struct rn_json *answer;
    const char *next;
    int32_t err = config_list(run, query, "workspaces", &answer, &next);
    if (err)
        return err;
    const struct rn_json *workspaces = rn_json_get(run, answer, "workspaces");
    for (const struct rn_json *w = rn_json_first(run, workspaces); w; w = rn_json_next(run, w)) {
        const char *name = segment_get(run, w, "name");
        if (!name)
            continue;
        const char *id = segment_is_config_id(name) ? name : RN_TEXT(run, "workspaces/", name);
        const char *label = segment_get(run, w, "display_name");
        segment_offer(run, query, label ? label : last_segment(name), suffix, id);
    }
    config_more(run, next);
    return 0;
}

int32_t segment_config_sources(struct rn_run *run, const struct rn_options_query *query,
                               const char *workspace)
{
    const struct rn_json *answer;
    const char *next;
    const char *prefix = segment_is_config_id(workspace) ? NULL : "workspaces/";
    int32_t err =
        config_list(run, query, RN_TEXT(run, prefix, workspace, "/sources"), &answer, &next);
    if (err)
        return err;
    const struct rn_json *sources = rn_json_get(run, answer, "sources");
    for (const struct rn_json *s = rn_json_first(run, sources); s; s = rn_json_next(run, s)) {
        const char *name = segment_get(run, s, "name");
        if (name)
            segment_offer(run, query, last_segment(name), NULL, name);
    }
    config_more(run, next);
    return 0;
}

/* ------------------------------------------------------- the destination */

/* Whether the entry of a destination's config is the one called `name`: the API gives them as full
 * paths. */
static bool is_entry(struct rn_run *run, const struct rn_json *entry, const char *name)
{
    const char *path = segment_get(run, entry, "name");
    return path && strcmp(last_segment(path), name) == 0;
}

/* The value of one entry of a destination's config, or NULL. */
static const struct rn_json *entry_value(struct rn_run *run, const struct rn_json *destination,
                                         const char *name)
{
    const struct rn_json *config = rn_json_get(run, destination, "config");
    for (const struct rn_json *e = rn_json_first(run, config); e; e = rn_json_next(run, e))
        if (is_entry(run, e, name))
            return rn_json_get(run, e, "value");
    return NULL;
}

/* The URL of a hook; Segment also takes a hook that is a bare string. */
static const char *hook_url(struct rn_run *run, const struct rn_json *hook)
{
    const char *url = segment_get(run, hook, "hook");
    return url ? url : rn_json_text(run, hook, NULL);
}

static bool has_hook(struct rn_run *run, const struct rn_json *hooks, const char *endpoint)
{
    for (const struct rn_json *h = rn_json_first(run, hooks); h; h = rn_json_next(run, h)) {
        const char *url = hook_url(run, h);
        if (url && strcmp(url, endpoint) == 0)
            return true;
    }
    return false;
}

static struct rn_json *new_entry(struct rn_run *run, const char *destination, const char *name,
                                 const char *type, struct rn_json *value)
{
    struct rn_json *entry = rn_json_object(run);
    segment_set(run, entry, "name", RN_TEXT(run, destination, "/config/", name));
    segment_set(run, entry, "type", type);
    rn_json_set(run, entry, "value", value);
    return entry;
}

static struct rn_json *new_hook(struct rn_run *run, const char *endpoint)
{
    struct rn_json *hook = rn_json_object(run);
    segment_set(run, hook, "hook", endpoint);
    return hook;
}

/* Changes the hooks. The whole config is sent: what a listed path does not carry would be cleared.
 */
static int32_t config_patch(struct rn_run *run, const char *path, const struct rn_json *current,
                            struct rn_json *hooks, const char *new_secret)
{
    struct rn_json *config = rn_json_array(run);
    const struct rn_json *old = rn_json_get(run, current, "config");
    for (const struct rn_json *e = rn_json_first(run, old); e; e = rn_json_next(run, e))
        if (!is_entry(run, e, "hooks") && !(new_secret && is_entry(run, e, "sharedSecret")))
            rn_json_append(run, config, rn_json_copy(run, e));
    if (new_secret)
        rn_json_append(
            run, config,
            new_entry(run, path, "sharedSecret", "string", rn_json_string(run, new_secret)));
    rn_json_append(run, config, new_entry(run, path, "hooks", "mixed", hooks));

    struct rn_json *destination = rn_json_object(run);
    segment_set(run, destination, "name", path);
    rn_json_set(run, destination, "enabled", rn_json_boolean(run, true));
    rn_json_set(run, destination, "config", config);
    struct rn_json *paths = rn_json_array(run);
    rn_json_append(run, paths, rn_json_string(run, "destination.enabled"));
    rn_json_append(run, paths, rn_json_string(run, "destination.config"));
    struct rn_json *mask = rn_json_object(run);
    rn_json_set(run, mask, "paths", paths);
    struct rn_json *body = rn_json_object(run);
    rn_json_set(run, body, "destination", destination);
    rn_json_set(run, body, "update_mask", mask);
    const struct rn_http_response *response = NULL;
    return config_request(run, "PATCH", path, body, 0, &response);
}

/* Takes back a creation, after `err`: its text stays unless this fails too. */
static int32_t undo_create(struct rn_run *run, const char *path, int32_t err)
{
    const struct rn_http_response *response = NULL;
    int32_t undo = config_request(run, "DELETE", path, NULL, RN_HTTP_ANY_STATUS, &response);
    if (undo == 0 && (response->status < 400 || response->status == 404))
        return err;
    return rn_fail(run, err,
                   RN_TEXT(run, "the destination ", path,
                           " was created, could not be made ready, and could not be deleted "
                           "again; delete it in Segment if the next try does not take it over"));
}

static int32_t remember(struct rn_run *run, const char *path, const char *endpoint,
                        const char *secret)
{
    int32_t err = rn_db_set(run, SEGMENT_DB_API, rn_json_string(run, "config"));
    if (!err)
        err = rn_db_set(run, SEGMENT_DB_DESTINATION, rn_json_string(run, path));
    if (!err)
        err = rn_db_set(run, SEGMENT_DB_ENDPOINT, rn_json_string(run, endpoint));
    if (!err)
        err = rn_db_set(run, SEGMENT_DB_SECRET, rn_json_string(run, secret));
    return err;
}

/* Adds our hook to the destination that is there. It may be our own, left by a try that did not get
 * to its commit: then the hook is in the list already and only the secret has to be learnt. */
static int32_t join(struct rn_run *run, const char *path, const char *endpoint)
{
    const struct rn_http_response *response = NULL;
    int32_t err = config_request(run, "GET", path, NULL, 0, &response);
    if (err)
        return err;
    const struct rn_json *current = response->json;
    const struct rn_json *hooks = entry_value(run, current, "hooks");
    const char *secret = rn_json_text(run, entry_value(run, current, "sharedSecret"), NULL);
    const char *new_secret = NULL;
    if (!secret || !secret[0])
        secret = new_secret = rn_random_hex(run, 32);

    bool present = has_hook(run, hooks, endpoint);
    if (!present && rn_json_size(run, hooks) >= CONFIG_HOOKS_MAX)
        return rn_fail(run, RN_ECONFIG,
                       RN_TEXT(run, "the destination ", path,
                               " has five hooks already, which is Segment's limit; remove one, "
                               "or let several workflows share one source instance"));
    bool enabled = rn_json_is_true(run, rn_json_get(run, current, "enabled"));
    if (!present || !enabled || new_secret) {
        struct rn_json *all = hooks && rn_json_kind(run, hooks) == RN_JSON_ARRAY
                                  ? rn_json_copy(run, hooks)
                                  : rn_json_array(run);
        if (!present)
            rn_json_append(run, all, new_hook(run, endpoint));
        err = config_patch(run, path, current, all, new_secret);
        if (err)
            return err;
    }
    return remember(run, path, endpoint, secret);
}

int32_t segment_config_add(struct rn_run *run, const struct segment_hook *hook)
{
    const char *parent = RN_TEXT(run, hook->source, "/destinations");
    const char *path = RN_TEXT(run, parent, "/webhooks");
    const char *secret = rn_random_hex(run, 32);

    struct rn_json *hooks = rn_json_array(run);
    rn_json_append(run, hooks, new_hook(run, hook->endpoint));
    struct rn_json *config = rn_json_array(run);
    rn_json_append(run, config,
                   new_entry(run, path, "sharedSecret", "string", rn_json_string(run, secret)));
    rn_json_append(run, config, new_entry(run, path, "hooks", "mixed", rn_json_copy(run, hooks)));
    struct rn_json *destination = rn_json_object(run);
    segment_set(run, destination, "name", path);
    rn_json_set(run, destination, "enabled", rn_json_boolean(run, true));
    segment_set(run, destination, "connection_mode", "UNSPECIFIED");
    rn_json_set(run, destination, "config", config);
    struct rn_json *body = rn_json_object(run);
    rn_json_set(run, body, "destination", destination);

    const struct rn_http_response *response = NULL;
    int32_t err = config_request(run, "POST", parent, body, 0, &response);
    if (err == RN_EHTTP && response && response->status == 409)
        return join(run, path, hook->endpoint);
    if (err)
        return err;
    const struct rn_json *enabled = rn_json_get(run, response->json, "enabled");
    if (enabled && !rn_json_is_true(run, enabled))
        err = config_patch(run, path, destination, hooks, NULL);
    if (!err)
        err = remember(run, path, hook->endpoint, secret);
    return err ? undo_create(run, path, err) : 0;
}

int32_t segment_config_remove(struct rn_run *run)
{
    const char *path = rn_json_text(run, rn_db_get(run, SEGMENT_DB_DESTINATION), NULL);
    const char *endpoint = rn_json_text(run, rn_db_get(run, SEGMENT_DB_ENDPOINT), NULL);
    if (!path || !endpoint)
        return 0;
    const struct rn_http_response *response = NULL;
    int32_t err = config_request(run, "GET", path, NULL, 0, &response);
    if (err == RN_EHTTP && response && response->status == 404)
        return 0;
    if (err)
        return err;
    const struct rn_json *current = response->json;
    const struct rn_json *hooks = entry_value(run, current, "hooks");
    if (!has_hook(run, hooks, endpoint)) {
        rn_log(run, RN_LOG_WARN, RN_TEXT(run, "our hook is no longer among those of ", path));
        return 0;
    }
    struct rn_json *others = rn_json_array(run);
    for (const struct rn_json *h = rn_json_first(run, hooks); h; h = rn_json_next(run, h)) {
        const char *url = hook_url(run, h);
        if (!url || strcmp(url, endpoint) != 0)
            rn_json_append(run, others, rn_json_copy(run, h));
    }
    if (rn_json_size(run, others) > 0)
        return config_patch(run, path, current, others, NULL);
    response = NULL;
    err = config_request(run, "DELETE", path, NULL, 0, &response);
    return err == RN_EHTTP && response && response->status == 404 ? 0 : err;
}
