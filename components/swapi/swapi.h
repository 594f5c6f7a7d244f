/* What the files of the SWAPI plugin share. */
#ifndef SWAPI_SWAPI_H
#define SWAPI_SWAPI_H

#include <runnel/component.h>

/* With the slash: without it the server answers with a redirect. */
#define SWAPI_FILMS "https://swapi.dev/api/films/"

extern const struct rn_app swapi_app;
extern const struct rn_component swapi_get_film;

#endif
