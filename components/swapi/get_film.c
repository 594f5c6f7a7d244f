/* swapi-get-film: one film by its id. */
#include "swapi.h"

static int32_t get_film(struct rn_run *run)
{
    const char *film = rn_prop_string(run, "film");
    if (!film || !film[0])
        return rn_fail(run, RN_EINVAL, "the prop `film` is empty: choose a film");
    struct rn_http_request request =
        RN_HTTP_REQUEST_INIT(RN_TEXT(run, SWAPI_FILMS, rn_url_encode(run, film), "/"));
    request.flags = RN_HTTP_SAFE;
    const struct rn_http_response *response = NULL;
    int32_t err = rn_http(run, &request, &response);
    if (err == RN_EHTTP && response && response->status == 404)
        return rn_fail(run, RN_ENOTFOUND, RN_TEXT(run, "SWAPI has no film with the id ", film));
    if (err)
        return err;
    if (!response->json)
        return rn_fail(run, RN_EPROTOCOL, "SWAPI answered without JSON");
    const char *title = rn_json_text(run, rn_json_get(run, response->json, "title"), NULL);
    rn_summary(run, RN_TEXT(run, "Successfully retrieved film \"", title ? title : film, "\""));
    return rn_return(run, response->json);
}

static const struct rn_prop props[] = {
    {.name = "swapi", .type = RN_APP, .app = &swapi_app, .flags = RN_OPTIONAL},
    {.name = "film", .definition_of = "swapi", .definition = "film"},
};

const struct rn_component swapi_get_film = {
    .key = "swapi-get-film",
    .name = "Get Film",
    .version = "0.0.1",
    .description = "Gets one film. [See the documentation](https://swapi.dev/documentation#films)",
    .type = RN_ACTION,
    .annotations = RN_READ_ONLY | RN_OPEN_WORLD,
    .props = props,
    .prop_count = RN_COUNT(props),
    .run = get_film,
};
