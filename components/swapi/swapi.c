/* The SWAPI plugin: the Star Wars API, which needs no account. */
#include "swapi.h"

#include <stdio.h>
#include <string.h>

/* "4" of "https://swapi.dev/api/films/4/", which is not the number of the episode. NULL if there is
 * none. */
static const char *id_of_url(struct rn_run *run, const char *url)
{
    const char *at = url ? strstr(url, "/films/") : NULL;
    if (!at)
        return NULL;
    at += strlen("/films/");
    size_t size = strspn(at, "0123456789");
    return size ? rn_json_text(run, rn_json_string_n(run, at, size), NULL) : NULL;
}

static int32_t film_options(struct rn_run *run, const struct rn_options_query *query)
{
    char page[16];
    (void)snprintf(page, sizeof(page), "%u", (unsigned)(query->page + 1));
    struct rn_pair pairs[2];
    size_t count = 0;
    if (query->page > 0)
        pairs[count++] = (struct rn_pair){"page", page};
    if (query->query && query->query[0])
        pairs[count++] = (struct rn_pair){"search", query->query};

    struct rn_http_request request = RN_HTTP_REQUEST_INIT(SWAPI_FILMS);
    request.query = pairs;
    request.query_count = count;
    request.flags = RN_HTTP_SAFE;
    const struct rn_http_response *response = NULL;
    int32_t err = rn_http(run, &request, &response);
    if (err)
        return err;
    const struct rn_json *results = rn_json_get(run, response->json, "results");
    if (rn_json_kind(run, results) != RN_JSON_ARRAY)
        return rn_fail(run, RN_EPROTOCOL, "SWAPI's list of films has no `results`");
    for (const struct rn_json *f = rn_json_first(run, results); f; f = rn_json_next(run, f)) {
        const char *id = id_of_url(run, rn_json_text(run, rn_json_get(run, f, "url"), NULL));
        const char *title = rn_json_text(run, rn_json_get(run, f, "title"), NULL);
        if (id)
            rn_option(run, title, rn_json_string(run, id));
    }
    const char *next = rn_json_text(run, rn_json_get(run, response->json, "next"), NULL);
    if (next && next[0]) {
        struct rn_json *context = rn_json_object(run);
        rn_json_set(run, context, "next", rn_json_string(run, next));
        rn_options_context(run, context);
    }
    return 0;
}

static const struct rn_prop definitions[] = {
    {.name = "film",
     .type = RN_STRING,
     .flags = RN_USE_QUERY | RN_WITH_LABEL,
     .label = "Film",
     .description = "The film's id, which is not the number of its episode: 1 is A New Hope.",
     .options = film_options},
};

const struct rn_app swapi_app = {
    .slug = "swapi",
    .name = "SWAPI",
    .description = "The Star Wars API: films, people, planets.",
    .prop_definitions = definitions,
    .prop_definition_count = RN_COUNT(definitions),
};

static const struct rn_app *const apps[] = {&swapi_app};
static const struct rn_component *const components[] = {&swapi_get_film};

const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD,
    .name = "swapi",
    .version = "0.0.1",
    .apps = apps,
    .app_count = RN_COUNT(apps),
    .component_count = RN_COUNT(components),
    .components = components,
};
