/* What the stand-ins of Segment's three APIs share: one workspace, its sources, and the
 * destinations, which the Config API and the Public API see each in its own way. */
#ifndef RUNNEL_SANDBOX_SEGMENT_H
#define RUNNEL_SANDBOX_SEGMENT_H

#include "sandbox/private.h"

#define SEGMENT_WORKSPACE "acme"
#define SEGMENT_WORKSPACE_ID "e5bdb0902b"
#define SEGMENT_WRITE_KEY "sandbox-write-key"
#define SEGMENT_HOOKS_MAX 5
#define SEGMENT_SUBSCRIPTIONS_MAX 50

struct segment_source {
    const char *slug, *id, *name, *catalog; /* "web", "srcWeb…", "Website", "javascript" */
};

extern const struct segment_source segment_sources[];
extern const size_t segment_source_count;

/* By slug ("web"), Public API id, or Config API path (workspaces/acme/sources/web). NULL. */
const struct segment_source *segment_source_find(struct str text);

/* {path of the Config API: destination}; {id of the Public API: destination}. */
struct json *segment_config_destinations(struct sandbox *sandbox);
struct json *segment_public_destinations(struct sandbox *sandbox);
/* The value of one entry of a Config API destination. */
const struct json *segment_config_value(const struct json *destination, const char *name);

/* Whether a Destination FQL statement can be read; and whether it selects an event. What this reads
 * of the language: comparisons (=, !=, <, <=, >, >=) of a path with a literal, contains(path,
 * text), match(path, glob), a path alone (is it there), and, or, !, not, parentheses. */
bool segment_fql_is_good(struct str statement);
bool segment_fql_selects(struct str statement, const struct json *event);

#endif
