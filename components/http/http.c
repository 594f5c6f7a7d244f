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
    &http_new_requests, &http_webhook, &http_custom_request, &http_get_request, &http_post_request,
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
