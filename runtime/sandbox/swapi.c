/* SWAPI: the six films, as swapi.dev lists them. The id is not the episode: 1 → 4, 2 → 5, 3 → 6,
 * 4 → 1, 5 → 2, 6 → 3. The opening crawls are left out of this copy. */
#include "sandbox/private.h"

enum { REQUESTS_A_DAY = 10000 };

static const struct film {
    const char *title;
    int episode;
    const char *director, *producer;
    const char *release_date;
} films[] = {
    {"A New Hope", 4, "George Lucas", "Gary Kurtz, Rick McCallum", "1977-05-25"},
    {"The Empire Strikes Back", 5, "Irvin Kershner", "Gary Kurtz, Rick McCallum", "1980-05-17"},
    {"Return of the Jedi", 6, "Richard Marquand",
     "Howard G. Kazanjian, George Lucas, Rick McCallum", "1983-05-25"},
    {"The Phantom Menace", 1, "George Lucas", "Rick McCallum", "1999-05-19"},
    {"Attack of the Clones", 2, "George Lucas", "Rick McCallum", "2002-05-16"},
    {"Revenge of the Sith", 3, "George Lucas", "Rick McCallum", "2005-05-19"},
};

void swapi_refuse(struct visit *visit, int status, const char *message)
{
    struct json *answer = json_new_object();
    json_set_string(answer, "detail", message);
    reply(visit, status, answer);
}

static struct json *film_json(size_t index)
{
    static const char *const lists[] = {"characters", "planets", "starships", "vehicles",
                                        "species"};
    struct json *film = json_new_object();
    char url[64];
    (void)snprintf(url, sizeof(url), "https://swapi.dev/api/films/%zu/", index + 1);
    json_set_string(film, "title", films[index].title);
    json_set_integer(film, "episode_id", films[index].episode);
    json_set_string(film, "opening_crawl", "");
    json_set_string(film, "director", films[index].director);
    json_set_string(film, "producer", films[index].producer);
    json_set_string(film, "release_date", films[index].release_date);
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        (void)json_set(film, lists[i], json_new_array());
    json_set_string(film, "created", "2014-12-10T14:23:31.880000Z");
    json_set_string(film, "edited", "2014-12-20T19:49:45.256000Z");
    json_set_string(film, "url", url);
    return film;
}

static bool holds(const char *text, const char *part)
{
    size_t size = strlen(part);
    for (; strlen(text) >= size; text++)
        if (str_eq_nocase(str_n(text, size), str_from(part)))
            return true;
    return false;
}

static void list(struct visit *visit)
{
    const char *search = json_get_c(visit->query, "search");
    if (query_number(visit, "page", 1) != 1) {
        swapi_refuse(visit, 404, "Not found");
        return;
    }
    struct json *answer = json_new_object(), *results = json_new_array();
    for (size_t i = 0; i < COUNT_OF(films); i++)
        if (!search || holds(films[i].title, search))
            (void)json_append(results, film_json(i));
    json_set_integer(answer, "count", (int64_t)json_count(results));
    (void)json_set(answer, "next", json_new_null());
    (void)json_set(answer, "previous", json_new_null());
    (void)json_set(answer, "results", results);
    reply(visit, 200, answer);
}

void swapi_visit(struct visit *visit)
{
    uint64_t id = 0;
    struct rate_result rate = rate_take(visit->sandbox, "swapi", REQUESTS_A_DAY, 86400000);
    if (rate.is_limited) {
        swapi_refuse(visit, 429, "Request was throttled.");
        reply_header(visit, "Retry-After", "%lld", (long long)(rate.left_ms / 1000 + 1));
    } else if (!str_ends(visit->request->path, "/")) {
        struct buf location = BUF_INIT(KIB(16));
        buf_addf(&location, STR_FMT "/%s" STR_FMT, STR_ARG(visit->request->path),
                 visit->request->query.len ? "?" : "", STR_ARG(visit->request->query));
        visit->response->status = 301;
        (void)!http_response_header(visit->response, "Location", buf_str(&location));
        buf_release(&location);
    } else if (visit_is(visit, "GET", "api/films")) {
        list(visit);
    } else if (visit_is(visit, "GET", "api/films/*") &&
               num_parse_u64(str_from(visit->segments[2]), &id) == 0 && id >= 1 &&
               id <= COUNT_OF(films)) {
        reply(visit, 200, film_json((size_t)id - 1));
    } else {
        swapi_refuse(visit, 404, "Not found");
    }
}
