/* SWAPI: the six films. The id is not the episode: 1 → 4, 2 → 5, 3 → 6, 4 → 1, 5 → 2, 6 → 3. */
#include "sandbox/private.h"

static const struct film {
    const char *title;
    int episode;
    const char *director;
    const char *release_date;
} films[] = {
    {"A New Hope", 4, "George Lucas", "1977-05-25"},
    {"The Empire Strikes Back", 5, "Irvin Kershner", "1980-05-17"},
    {"Return of the Jedi", 6, "Richard Marquand", "1983-05-25"},
    {"The Phantom Menace", 1, "George Lucas", "1999-05-19"},
    {"Attack of the Clones", 2, "George Lucas", "2002-05-16"},
    {"Revenge of the Sith", 3, "George Lucas", "2005-05-19"},
};

static struct json *film_json(size_t index)
{
    struct json *film = json_new_object();
    char url[64];
    (void)snprintf(url, sizeof(url), "https://swapi.dev/api/films/%zu/", index + 1);
    json_set_string(film, "title", films[index].title);
    json_set_integer(film, "episode_id", films[index].episode);
    json_set_string(film, "director", films[index].director);
    json_set_string(film, "release_date", films[index].release_date);
    json_set_string(film, "url", url);
    return film;
}

void swapi_visit(struct visit *visit)
{
    uint64_t id = 0;
    if (!str_ends(visit->request->path, "/")) {
        struct buf location = BUF_INIT(KIB(8));
        buf_addf(&location, STR_FMT "/", STR_ARG(visit->request->path));
        visit->response->status = 301;
        (void)!http_response_header(visit->response, "Location", buf_str(&location));
        buf_release(&location);
    } else if (visit_is(visit, "GET", "api/films")) {
        struct json *answer = json_new_object();
        json_set_integer(answer, "count", COUNT_OF(films));
        (void)json_set(answer, "next", json_new_null());
        (void)json_set(answer, "previous", json_new_null());
        struct json *list = json_set(answer, "results", json_new_array());
        for (size_t i = 0; i < COUNT_OF(films); i++)
            (void)json_append(list, film_json(i));
        reply(visit, 200, answer);
    } else if (visit_is(visit, "GET", "api/films/*") &&
               num_parse_u64(str_from(visit->segments[2]), &id) == 0 && id >= 1 &&
               id <= COUNT_OF(films)) {
        reply(visit, 200, film_json((size_t)id - 1));
    } else {
        reply_text(visit, 404, "{\"detail\":\"Not found\"}");
    }
}
