/* The engine: what is deployed, what is accepted, what runs. The runtime's heart; everything above
 * it (api, cli) goes through this header.
 *
 * Life cycle: engine_open → engine_set_ingest_url → engine_start → verbs → engine_stop →
 * engine_free. All functions may be called from any thread but the engine's own; those that read
 * the store or wait for a plugin block the caller. JSON results are new and owned by the caller.
 */
#ifndef RUNNEL_ENGINE_ENGINE_H
#define RUNNEL_ENGINE_ENGINE_H

#include "base/err.h"
#include "flow/problem.h"
#include "net/http_server.h"
#include "json/json.h"

struct engine;

struct engine_rewrite {
    const char *from, *to;
};

struct engine_options {
    const char *dir;      /* the project */
    const char *data_dir; /* NULL: <dir>/.runnel */
    const struct engine_rewrite
        *rewrites; /* beside runnel.yaml's (the sandbox); their targets are allowed */
    size_t rewrite_count;
    bool is_passive; /* deploys nothing and takes nothing from the queue: for one-off commands */
    /* For tests of workflows (mock.h); NULL: nothing is mocked. Copied. */
    const struct json *mocks;
    const char *catch_all; /* every request goes there (egress_catch), runnel.yaml's rewrites do not
                              count; NULL: as runnel.yaml says. Copied */
    bool calls_nothing;    /* a step without a mock fails instead of being called */
    bool skips_waits;      /* delays and pauses between attempts take no time */
    bool holds_sends;      /* what steps send ($.send) is written down and not sent */
    const char *smtp_url;  /* mail goes there, whatever runnel.yaml says (the sandbox). Copied */
};

/* What the project says of the listeners; NULL where it says nothing that counts. Owned by the
 * engine, valid until engine_free. */
struct engine_listen {
    const char *listen, *admin, *tls_certificate, *tls_key;
    const char *data_dir;
    size_t body_limit;
};

/* Reads the project and opens the store. Problems of the files are in *problems (the engine opens
 * all the same; only a broken runnel.yaml is an error). */
int engine_open(const struct engine_options *options, struct engine **ret,
                struct problems *problems, struct err *err) MUST_USE;
void engine_get_listen(const struct engine *engine, struct engine_listen *ret);
/* Where the ingest listener is; endpoints are made from public_url or, without one, from this. */
void engine_set_ingest_url(struct engine *engine, const char *url);
/* Recovers interrupted runs, deploys (hooks run; returns when each source is active or has failed),
 * begins to run the queue. */
int engine_start(struct engine *engine, struct err *err) MUST_USE;
/* Takes no new events, waits up to grace_ms for steps in progress, leaves the rest parked on disk.
 */
void engine_stop(struct engine *engine, int grace_ms);
void engine_free(struct engine *engine);

/* ---- ingest (ingest.c). The request of an endpoint; blocks until it is on disk. `path` is what
 * follows the key. */
void engine_ingest(struct engine *engine, struct str key, struct str path,
                   const struct http_request *request, struct http_response *response);

/* ---- deploying (deploy.c) */
/* Reads the files and the installed plugins again and deploys what has changed. Problems go to
 * *problems (NULL: to the log). */
int engine_reload(struct engine *engine, struct problems *problems, struct err *err) MUST_USE;
/* Removes every source from its vendor (hooks) and marks it inactive: `runnel down --deactivate`.
 */
int engine_deactivate_all(struct engine *engine, struct err *err) MUST_USE;

/* ---- looking (report.c; the lists of events and runs: browse.h). */
struct json *engine_status(struct engine *engine); /* version, pid, urls, counts, store, hosts */
struct json *engine_workflows(
    struct engine *engine); /* [{id, name, active, version, queued, running, problems}] */
struct json *
engine_sources(struct engine *engine); /* [{id, component, state, endpoint, error, subscribers}] */
struct json *
engine_endpoints(struct engine *engine); /* [{workflow, namespace, url, kind, state}] */
/* [{id, kind, schedule, active, last, next:[…], fired, skipped, waiting, error}], each with its
 * next `upcoming` firings. */
struct json *engine_schedules(struct engine *engine, size_t upcoming);
struct json *engine_components(struct engine *engine); /* the descriptions, one list */
int engine_component(struct engine *engine, const char *key, struct json **ret,
                     struct err *err) MUST_USE;
int engine_event(struct engine *engine, const char *id, struct json **ret,
                 struct err *err) MUST_USE;
/* Everything about a run: event, steps with attempts, inputs, exports, logs, timings. */
int engine_run_detail(struct engine *engine, const char *id, struct json **ret,
                      struct err *err) MUST_USE;
/* Log lines of runs and sources, oldest first: [{ts, level, text, run?, step?, source?}]. `what`: a
 * run id, source id or NULL for all. */
int engine_logs(struct engine *engine, const char *what, size_t limit, struct json **ret,
                struct err *err) MUST_USE;

/* ---- acting (command.c) */
/* Puts an event into a workflow's queue at once and returns the run's id. `event` is
 * steps.trigger.event; NULL: the sample of the manual trigger, or {}. `replay_of`: the run or event
 * that `event` was edited from; NULL: none. Ignores pauses, but not `workers`. */
int engine_run_workflow(struct engine *engine, const char *workflow, const struct json *event,
                        const char *replay_of, char ret_run[32], struct err *err) MUST_USE;
/* Runs an event or a run's event again against the newest version of the workflow. `id`: run or
 * event. `workflow` NULL: the same (run) or all subscribers (event). `from_step` (of a run; NULL:
 * all): the path of the step from which on it runs again; what came before it is taken over from
 * the run. "failed": the step that failed. *ret: [{run, workflow}]. */
int engine_replay(struct engine *engine, const char *id, const char *workflow,
                  const char *from_step, struct json **ret, struct err *err) MUST_USE;
/* Fires a schedule trigger or the timer of a source now: *ret {id, run?}. */
int engine_fire(struct engine *engine, const char *id, struct json **ret, struct err *err) MUST_USE;
int engine_cancel_run(struct engine *engine, const char *id, struct err *err) MUST_USE;
/* What a resume or cancel URL asks for (/r/<run>/<step>/<token>/<verb>); `data` (taken) is what the
 * request brought. Waits until it is on disk. RN_ENOTFOUND: there is no such URL; RN_ECONFLICT: it
 * does not wait any more. */
int engine_resume(struct engine *engine, struct str run, struct str step, struct str token,
                  struct str verb, struct json *data, struct err *err) MUST_USE;
/* The same for the newest step of the run that waits, by someone who needs no URL. RN_ECONFLICT. */
int engine_resume_run(struct engine *engine, const char *id, struct json *data,
                      struct err *err) MUST_USE;
/* Waits until the run has ended, at most wait_ms. RN_ETIMEDOUT. */
int engine_wait_run(struct engine *engine, const char *id, int64_t wait_ms,
                    struct err *err) MUST_USE;
/* Options of a prop: `props` are the values configured so far. *ret {"options":[…], "context":…}.
 */
int engine_prop_options(struct engine *engine, const char *component, const char *prop,
                        const struct json *props, int page, const char *query,
                        const struct json *context, struct json **ret, struct err *err) MUST_USE;
/* additional_props(): *ret a list of described props. */
int engine_dynamic_props(struct engine *engine, const char *component, const struct json *props,
                         struct json **ret, struct err *err) MUST_USE;

/* ---- accounts (accounts.c) */
struct json *engine_accounts(struct engine *engine); /* [{name, app, from:"file"|"store", kind,
                                                        fields:[names]}]: never values */
/* Seals an account into the store. RN_EEXISTS if runnel.yaml has one of that name; RN_EINVAL for
 * unknown or missing fields. */
int engine_account_add(struct engine *engine, const char *name, const char *app,
                       const struct json *fields, struct err *err) MUST_USE;
int engine_account_remove(struct engine *engine, const char *name, struct err *err) MUST_USE;
/* The app's cheap authenticated call. */
int engine_account_test(struct engine *engine, const char *name, struct err *err) MUST_USE;

#endif
