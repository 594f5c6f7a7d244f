/* Segment's Config API (v1beta): workspaces, sources, destinations. Shapes and codes: Segment's
 * docs of the Config API. One destination "webhooks" a source, with up to five hooks. */
#include "sandbox/segment.h"

#include "base/clock.h"

enum { REQUESTS_A_MINUTE = 200, PAGE_MAX = 100 };

const struct segment_source segment_sources[] = {
    {"web", "srcWeb7kQ2mD", "Website", "javascript"},
    {"ios", "srcIos4tR8bN", "iOS app", "ios"},
    {"android", "srcAnd9pL3cX", "Android app", "android"},
    {"server", "srcSrv1hJ6wZ", "Server", "node.js"},
};
const size_t segment_source_count = COUNT_OF(segment_sources);

const struct segment_source *segment_source_find(struct str text)
{
    static const char prefix[] = "workspaces/" SEGMENT_WORKSPACE "/sources/";
    if (str_starts(text, prefix))
        text = str_n(text.ptr + strlen(prefix), text.len - strlen(prefix));
    for (size_t i = 0; i < COUNT_OF(segment_sources); i++)
        if (str_eq_c(text, segment_sources[i].slug) || str_eq_c(text, segment_sources[i].id))
            return &segment_sources[i];
    return NULL;
}

struct json *segment_config_destinations(struct sandbox *sandbox)
{
    return object_member(state_member(sandbox, "segment"), "config", json_new_object);
}

const struct json *segment_config_value(const struct json *destination, const char *name)
{
    for (const struct json *c = json_first(json_get(destination, "config")); c; c = json_next(c)) {
        struct str path = json_get_text(c, "name"), part = STR_NONE;
        while (str_cut(&path, '/', &part))
            ;
        if (str_eq_c(part, name))
            return json_get(c, "value");
    }
    return NULL;
}

void segment_config_refuse(struct visit *visit, int status, const char *message)
{
    static const struct {
        int status, code;
    } codes[] = {{400, 3}, {401, 16}, {403, 7},  {404, 5}, {409, 6},
                 {429, 8}, {500, 13}, {501, 12}, {503, 14}};
    struct json *answer = json_new_object();
    int code = status >= 500 ? 13 : 3;
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (codes[i].status == status)
            code = codes[i].code;
    json_set_string(answer, "error", message);
    json_set_integer(answer, "code", code);
    reply(visit, status, answer);
}

static struct json *source_json(const struct segment_source *source)
{
    struct json *item = json_new_object();
    char *name = xasprintf("workspaces/" SEGMENT_WORKSPACE "/sources/%s", source->slug);
    char *catalog = xasprintf("catalog/sources/%s", source->catalog);
    json_set_string(item, "name", name);
    json_set_string(item, "parent", "workspaces/" SEGMENT_WORKSPACE);
    json_set_string(item, "catalog_name", catalog);
    (void)json_append(json_set(item, "write_keys", json_new_array()),
                      json_new_string_c(SEGMENT_WRITE_KEY));
    (void)json_set(item, "library_config", json_new_object());
    json_set_string(item, "create_time", "2018-08-08T13:24:02.651Z");
    free(name);
    free(catalog);
    return item;
}

static void list_sources(struct visit *visit)
{
    int64_t size = query_number(visit, "page_size", PAGE_MAX);
    int64_t at = query_number(visit, "page_token", 0);
    if (size < 1 || size > PAGE_MAX || at < 0 || at > (int64_t)segment_source_count) {
        segment_config_refuse(visit, 400, "invalid page_size or page_token");
        return;
    }
    struct json *answer = json_new_object(), *list = json_set(answer, "sources", json_new_array());
    for (int64_t i = 0; i < size && at < (int64_t)segment_source_count; i++, at++)
        (void)json_append(list, source_json(&segment_sources[at]));
    char next[16] = "";
    if (at < (int64_t)segment_source_count)
        (void)snprintf(next, sizeof(next), "%d", (int)at);
    json_set_string(answer, "next_page_token", next);
    reply(visit, 200, answer);
}

/* ---- destinations */

static bool is_good_config(struct visit *visit, const struct json *config)
{
    if (config && !json_is(config, JSON_ARRAY)) {
        segment_config_refuse(visit, 400, "destination.config must be a list");
        return false;
    }
    for (const struct json *c = json_first(config); c; c = json_next(c)) {
        const struct json *value = json_get(c, "value");
        if (str_ends(json_get_text(c, "name"), "/hooks") && json_count(value) > SEGMENT_HOOKS_MAX) {
            segment_config_refuse(visit, 400, "too many hooks: the maximum is 5");
            return false;
        }
    }
    return true;
}

static void create(struct visit *visit, struct json *all)
{
    const struct json *wanted = json_get(visit->body, "destination");
    char *parent = xasprintf("workspaces/%s/sources/%s", visit->segments[2], visit->segments[4]);
    char *name = xasprintf("%s/destinations/webhooks", parent);
    char now[CLOCK_TEXT_MAX];
    if (!json_is(wanted, JSON_OBJECT)) {
        segment_config_refuse(visit, 400, "destination is required");
    } else if (!str_eq_c(json_get_text(wanted, "name"), name)) {
        /* the catalogue of the sandbox has one destination */
        segment_config_refuse(visit, 400,
                              "destination.name must be the source's path and "
                              "/destinations/webhooks");
    } else if (json_get(all, name)) {
        segment_config_refuse(visit, 409, "destination already exists");
    } else if (is_good_config(visit, json_get(wanted, "config"))) {
        struct json *made = json_set(all, name, json_new_object());
        clock_format(clock_now_ms(), now);
        json_set_string(made, "name", name);
        json_set_string(made, "parent", parent);
        json_set_string(made, "display_name", "Webhooks");
        json_set_boolean(made, "enabled", json_get_bool(wanted, "enabled", false));
        json_set_string(made, "connection_mode", "CLOUD");
        (void)json_set(made, "config",
                       json_get(wanted, "config") ? json_copy(json_get(wanted, "config"))
                                                  : json_new_array());
        json_set_string(made, "create_time", now);
        json_set_string(made, "update_time", now);
        state_save(visit->sandbox);
        reply(visit, 200, json_copy(made));
    }
    free(parent);
    free(name);
}

static bool is_paths(const struct json *paths)
{
    static const char *const known[] = {"destination.enabled", "destination.config",
                                        "destination.connection_mode", "destination.display_name"};
    for (const struct json *p = json_first(paths); p; p = json_next(p)) {
        bool is_known = false;
        for (size_t i = 0; i < COUNT_OF(known); i++)
            is_known |= str_eq_c(json_str(p), known[i]);
        if (!is_known)
            return false;
    }
    return json_count(paths) > 0;
}

/* A listed path without a value is cleared; a value without a path is ignored. */
static void patch(struct visit *visit, struct json *made)
{
    const struct json *given = json_get(visit->body, "destination");
    const struct json *paths = json_get(json_get(visit->body, "update_mask"), "paths");
    char now[CLOCK_TEXT_MAX];
    if (!is_paths(paths)) {
        segment_config_refuse(visit, 400, "update_mask.paths must name fields of the destination");
        return;
    }
    if (!is_good_config(visit, json_get(given, "config")))
        return;
    for (const struct json *p = json_first(paths); p; p = json_next(p)) {
        const char *member = json_c(p) + strlen("destination.");
        const struct json *value = json_get(given, member);
        if (value)
            (void)json_set(made, member, json_copy(value));
        else if (strcmp(member, "config") == 0)
            (void)json_set(made, member, json_new_array());
        else if (strcmp(member, "enabled") == 0)
            json_set_boolean(made, member, false);
        else
            json_set_string(made, member, "");
    }
    clock_format(clock_now_ms(), now);
    json_set_string(made, "update_time", now);
    state_save(visit->sandbox);
    reply(visit, 200, json_copy(made));
}

static void list_destinations(struct visit *visit, const struct json *all)
{
    struct json *answer = json_new_object(),
                *list = json_set(answer, "destinations", json_new_array());
    char *parent = xasprintf("workspaces/%s/sources/%s", visit->segments[2], visit->segments[4]);
    for (const struct json *d = json_first(all); d; d = json_next(d))
        if (str_eq_c(json_get_text(d, "parent"), parent))
            (void)json_append(list, json_copy(d));
    json_set_string(answer, "next_page_token", "");
    free(parent);
    reply(visit, 200, answer);
}

static void destinations(struct visit *visit)
{
    struct sandbox *sandbox = visit->sandbox;
    struct json *all = segment_config_destinations(sandbox);
    if (visit->count == 6) {
        if (is_method(visit, "POST"))
            create(visit, all);
        else if (is_method(visit, "GET"))
            list_destinations(visit, all);
        else
            segment_config_refuse(visit, 501, "not implemented");
        return;
    }
    char *name = xasprintf("workspaces/%s/sources/%s/destinations/%s", visit->segments[2],
                           visit->segments[4], visit->segments[6]);
    struct json *made = json_get_mut(all, name);
    if (!made) {
        segment_config_refuse(visit, 404, "destination not found");
    } else if (is_method(visit, "GET")) {
        reply(visit, 200, json_copy(made));
    } else if (is_method(visit, "PATCH")) {
        patch(visit, made);
    } else if (is_method(visit, "DELETE")) {
        json_remove(all, name);
        state_save(sandbox);
        reply_text(visit, 200, "{}");
    } else {
        segment_config_refuse(visit, 501, "not implemented");
    }
    free(name);
}

void segment_config_visit(struct visit *visit)
{
    static const char workspace[] = "{\"name\":\"workspaces/" SEGMENT_WORKSPACE
                                    "\",\"display_name\":\"Acme\",\"id\":\"" SEGMENT_WORKSPACE_ID
                                    "\",\"create_time\":\"2018-08-08T13:24:02.651Z\"}";
    if (!str_eq_c(visit_bearer(visit), SANDBOX_TOKEN)) {
        segment_config_refuse(visit, 401, "invalid access token");
        return;
    }
    if (rate_take(visit->sandbox, "segment-config", REQUESTS_A_MINUTE, 60000).is_limited) {
        segment_config_refuse(visit, 429, "rate limit exceeded");
        return;
    }
    if (visit_is(visit, "GET", "v1beta/workspaces")) {
        char *answer = xasprintf("{\"workspaces\":[%s],\"next_page_token\":\"\"}", workspace);
        reply_text(visit, 200, answer);
        free(answer);
    } else if (!visit_has(visit, 0, "v1beta") || !visit_has(visit, 1, "workspaces")) {
        segment_config_refuse(visit, 404, "not found");
    } else if (!visit_has(visit, 2, SEGMENT_WORKSPACE)) {
        segment_config_refuse(visit, 404, "workspace not found");
    } else if (visit->count == 3) {
        reply_text(visit, 200, workspace);
    } else if (visit_is(visit, "GET", "v1beta/workspaces/*/sources")) {
        list_sources(visit);
    } else if (visit->count >= 5 && !segment_source_find(str_from(visit->segments[4]))) {
        segment_config_refuse(visit, 404, "source not found");
    } else if (visit_is(visit, "GET", "v1beta/workspaces/*/sources/*")) {
        reply(visit, 200, source_json(segment_source_find(str_from(visit->segments[4]))));
    } else if ((visit->count == 6 || visit->count == 7) && visit_has(visit, 5, "destinations")) {
        destinations(visit);
    } else {
        segment_config_refuse(visit, 404, "not found");
    }
}
