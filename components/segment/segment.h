/* What the files of the Segment plugin share: the app, its components, and the two management APIs
 * that the webhook source can be registered with. Facts about the APIs: segment.com/docs, "Config
 * API" and "Public API". */
#ifndef SEGMENT_SEGMENT_H
#define SEGMENT_SEGMENT_H

#include <runnel/component.h>

/* The name of the app's prop in every component, and the account's name in test(). */
#define SEGMENT_PROP "segmentApp"

extern const struct rn_app segment_app;

extern const struct rn_component segment_webhook_destination;
extern const struct rn_component segment_identify;
extern const struct rn_component segment_group;
extern const struct rn_component segment_alias;
extern const struct rn_component segment_page;
extern const struct rn_component segment_screen;
extern const struct rn_component segment_track;

/* What the source asks of either API. All strings are borrowed from the run. */
struct segment_hook {
    const char *source;   /* Config API: workspaces/W/sources/S; Public API: an id */
    const char *endpoint; /* where Segment is to send events */
    const char *name;     /* Public API: the destination's display name, unique for this endpoint */
    const char *trigger;  /* Public API: an FQL statement */
    bool batching;        /* Public API: whether Segment may send arrays */
};

/* The keys of the source's db. */
#define SEGMENT_DB_API "api"                     /* "config" or "public" */
#define SEGMENT_DB_SECRET "secret"               /* the key of the signatures */
#define SEGMENT_DB_DESTINATION "destinationId"   /* Config API: its path; Public API: its id */
#define SEGMENT_DB_SUBSCRIPTION "subscriptionId" /* Public API */
#define SEGMENT_DB_ENDPOINT "endpoint"           /* the URL that was registered */

/* Registers the hook and puts what run() and the removal need into the db. On failure nothing of it
 * is left at Segment, or the error's text says what is. Safe to repeat after a crash: what an
 * earlier try left behind is taken over or replaced. */
int32_t segment_config_add(struct rn_run *run, const struct segment_hook *hook);
int32_t segment_public_add(struct rn_run *run, const struct segment_hook *hook);

/* Removes what the db says was registered; what is no longer there counts as removed. */
int32_t segment_config_remove(struct rn_run *run);
int32_t segment_public_remove(struct rn_run *run);

/* Options of the workspace and source props, one page a call. `suffix`: added to each label, or
 * NULL. */
int32_t segment_config_workspaces(struct rn_run *run, const struct rn_options_query *query,
                                  const char *suffix);
int32_t segment_public_workspaces(struct rn_run *run, const struct rn_options_query *query,
                                  const char *suffix);
int32_t segment_config_sources(struct rn_run *run, const struct rn_options_query *query,
                               const char *workspace);
int32_t segment_public_sources(struct rn_run *run, const struct rn_options_query *query);

/* Offers an option unless the user is searching for something else. */
void segment_offer(struct rn_run *run, const struct rn_options_query *query, const char *label,
                   const char *suffix, const char *value);

/* Whether an id is of the Config API: workspaces/… */
bool segment_is_config_id(const char *id);

/* Whether the account is of Segment's European region. */
bool segment_is_eu(struct rn_run *run);

/* The account's access token, or NULL after rn_fail(). */
const char *segment_access_token(struct rn_run *run);

/* Puts a text into an object; NULL leaves it out. */
void segment_set(struct rn_run *run, struct rn_json *object, const char *key, const char *text);

/* The text of a member, or NULL. */
const char *segment_get(struct rn_run *run, const struct rn_json *object, const char *key);

#endif
