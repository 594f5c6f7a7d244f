/* Looking through events and runs page by page, and at the files of workflows: what the console and
 * the API show. Thread: any but the loop's. JSON results are new and owned by the caller. */
#ifndef RUNNEL_ENGINE_BROWSE_H
#define RUNNEL_ENGINE_BROWSE_H

#include "engine/engine.h"

/* What is asked for; NULL, 0: any. */
struct engine_query {
    const char *workflow, *status, *event; /* runs */
    const char *source, *channel;          /* events */
    const char *text;           /* in ids, errors, summaries and events, whatever the case */
    int64_t since_ms, until_ms; /* of acceptance; since ≤ t < until */
    const char *cursor;         /* `next` of the page before */
    size_t limit;
};

/* *ret {"data": [newest first], "next": cursor or null}. One call looks at 20,000 records or 8 MiB
 * of text at most, so a page may have fewer entries than `limit`, even none, while `next` says that
 * there is more. RN_EINVAL: a cursor that is none. */
int engine_runs(struct engine *engine, const struct engine_query *query, struct json **ret,
                struct err *err) MUST_USE;
int engine_events(struct engine *engine, const struct engine_query *query, struct json **ret,
                  struct err *err) MUST_USE;

/* Removes an event that no queued or live run needs. RN_EEXISTS, RN_ENOTFOUND. */
int engine_event_delete(struct engine *engine, const char *id, struct err *err) MUST_USE;
/* Emits `event` as if the source had: to every workflow that listens to the channel (NULL: the
 * default one). No dedupe. *ret {"event": id, "runs": [{"run", "workflow"}]}. */
int engine_emit(struct engine *engine, const char *source, const char *channel, struct str summary,
                const struct json *event, struct json **ret, struct err *err) MUST_USE;

/* ---- workflow_files.c */
/* The file: id, name, file, active, version, text, and `definition`: the text as JSON (null if it
 * is no YAML); `problems` of the file as it is now. */
int engine_workflow(struct engine *engine, const char *id, struct json **ret,
                    struct err *err) MUST_USE;
/* [{"version", "ts", "current"}], newest first. */
int engine_workflow_versions(struct engine *engine, const char *id, struct json **ret,
                             struct err *err) MUST_USE;
/* {"version", "text", "definition"} of any version that was ever deployed. */
int engine_version(struct engine *engine, const char *version, struct json **ret,
                   struct err *err) MUST_USE;

struct engine_edit {
    const char *text;           /* the whole file; NULL: changes */
    const struct json *changes; /* [{"path": "steps[0].props.x", "value": …}]; NULL: text */
    const char *base;           /* the version that was edited; NULL: whichever. RN_ECONFLICT */
    bool is_dry;                /* only checks */
};
/* Checks the new text and, unless it has errors or is_dry, writes the file and deploys. *ret
 * {"text", "version", "written", "problems": […]}. */
int engine_workflow_edit(struct engine *engine, const char *id, const struct engine_edit *edit,
                         struct json **ret, struct err *err) MUST_USE;

/* Whether new events are taken; if not, *ret_why is a sentence. */
bool engine_is_ready(struct engine *engine, const char **ret_why);

#endif
