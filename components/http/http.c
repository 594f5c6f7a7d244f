/* The HTTP plugin: requests that come in, and requests that go out. */
#include "http.h"

#include <string.h>

const char *http_text_prop(struct rn_run *run, const char *name, const char *otherwise)
{
    const char *text = rn_prop_string(run, name);
    return text ? text : otherwise;
}

int32_t http_status_prop(struct rn_run *run, const char *name, int32_t otherwise, int32_t *ret)
{
    const char *text = rn_prop_string(run, name);
    int64_t status = otherwise;
    if (text && text[0]) {
        const struct rn_json *number = rn_json_parse(run, text, strlen(text));
        if (!rn_json_to_integer(run, number, &status) || status < 100 || status > 599)
            return rn_fail(run, RN_ECONFIG,
                           RN_TEXT(run, name, " \"", text, "\" is no HTTP status (100 to 599)"));
    }
    *ret = (int32_t)status;
    return 0;
}

int32_t http_pairs_prop(struct rn_run *run, const char *prop, struct http_pairs *ret)
{
    const struct rn_json *object = rn_prop(run, prop);
    ret->count = 0;
    for (const struct rn_json *m = rn_json_first(run, object); m; m = rn_json_next(run, m)) {
        bool is_list = rn_json_kind(run, m) == RN_JSON_ARRAY;
        const struct rn_json *v = is_list ? rn_json_first(run, m) : m;
        for (; v; v = is_list ? rn_json_next(run, v) : NULL) {
            if (rn_json_kind(run, v) == RN_JSON_NULL)
                continue;
            if (ret->count == HTTP_PAIRS_MAX)
                return rn_fail(run, RN_ETOOBIG, RN_TEXT(run, prop, " has more than 128 entries"));
            const char *text = rn_json_text(run, v, NULL);
            ret->items[ret->count].name = rn_json_key(run, m);
            ret->items[ret->count].value = text ? text : rn_json_print(run, v, NULL);
            ret->count++;
        }
    }
    return 0;
}

bool http_pairs_name_type(const struct http_pairs *headers)
{
    static const char wanted[] = "content-type";
    for (size_t i = 0; i < headers->count; i++) {
        const char *name = headers->items[i].name;
        size_t n = 0;
        while (name[n] && wanted[n] && (name[n] | 0x20) == wanted[n])
            n++;
        if (!name[n] && !wanted[n])
            return true;
    }
    return false;
}

static const struct rn_prop definitions[] = {
    {.name = "httpRequest",
     .type = RN_HTTP_REQUEST,
     .label = "HTTP Request Configuration",
     .description = "Method, URL, query, headers, authentication and body of the request."},
    {.name = "summary",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Summary",
     .description = "The line in the event list. `${body.id}` and the like stand for what is at "
                    "that path of the event: `New item ${body.id}`."},
};

const struct rn_app http_app = {
    .slug = "http",
    .name = "HTTP",
    .description = "Receives HTTP requests and sends them.",
    .prop_definitions = definitions,
    .prop_definition_count = RN_COUNT(definitions),
};

static const struct rn_app *const apps[] = {&http_app};

static const struct rn_component *const components[] = {
    &http_new_requests,         &http_webhook,     &http_watch_url,
    &http_custom_request,       &http_get_request, &http_post_request,
    &http_return_http_response,
};

const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD,
    .name = "http",
    .version = "0.0.1",
    .apps = apps,
    .app_count = RN_COUNT(apps),
    .component_count = RN_COUNT(components),
    .components = components,
};
