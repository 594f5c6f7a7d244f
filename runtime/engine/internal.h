/* What the files of the engine share. Not for other rooms.
 *
 * Locks, in the order in which they are taken: deploy_lock → project_lock → instances_lock →
 * instance.lock → accounts.lock.
 */
#ifndef RUNNEL_ENGINE_INTERNAL_H
#define RUNNEL_ENGINE_INTERNAL_H

#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "crypto/seal.h"
#include "engine/engine.h"
#include "engine/loop.h"
#include "expr/engine.h"
#include "flow/http_trigger.h"
#include "flow/project.h"
#include "flow/schedule.h"
#include "ipc/supervisor.h"
#include "net/egress.h"
#include "net/http_client.h"
#include "plugin/catalog.h"
#include "plugin/protocol.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

/* Spaces of the store's kv that are the engine's. */
/* id → {key, state, config, component, version, plugin, plugin_path, props} */
#define SPACE_INSTANCES "instance"
/* id → decimal: grows with each committed change of the instance's db */
#define SPACE_DB_VERSION "db-version"
#define SPACE_VERSIONS "workflow-version" /* sha256 → text */
#define SPACE_RUNTIME "runtime"           /* "resume-key": 32 bytes */
#define SPACE_SCHEDULES "schedule"        /* instance id → what has fired (schedule.c) */
#define SPACE_ACCOUNTS "account"          /* name → sealed {app, auth} */
#define SPACE_TOKENS "account-token"      /* name → sealed rotated refresh token */
/* workflow \x01 ms, 13 digits → sha256: when a version was first deployed */
#define SPACE_VERSION_LOG "workflow-version-log"
/* id \x01 slot → {ts, level, text}: a ring of SOURCE_LOG_LINES */
#define SPACE_SOURCE_LOGS "source-log"
#define SPACE_SOURCE_LOG_NEXT "source-log-next" /* id → lines so far, decimal */
#define SOURCE_LOG_LINES 500u
/* The db of a source instance has a space of its own: "db/<instance id>". */

struct accounts;
struct files;
struct hosts;
struct metrics;
struct dispatcher;
struct deployer;
struct scheduler;
struct responders;
struct outbox;
struct sweeper;

struct engine {
    char *dir;
    char *data_dir;
    bool is_passive;
    struct engine_rewrite *rewrites; /* owned copies */
    size_t rewrite_count;
    char *ingest_url;      /* set once, before engine_start */
    struct egress *egress; /* of the project as it was opened; a change of egress needs a restart */
    struct http_client *client; /* for tokens */
    pthread_mutex_t seal_lock;  /* guards seal_key */
    struct seal_key *seal_key;  /* NULL until first needed, then for good */
    struct store *store;
    struct files *files; /* files.c */
    struct supervisor *supervisor;
    struct hosts *hosts;
    struct expr_engine *expressions;
    struct loop *loop;
    struct accounts *accounts;
    struct metrics *metrics;
    struct dispatcher *dispatcher; /* loop thread */
    struct scheduler *scheduler;   /* schedule.c */
    struct responders *responders; /* respond.c */
    struct outbox *outbox;         /* outbox.c */
    struct sweeper *sweeper;       /* sweeper.c */

    pthread_rwlock_t project_lock; /* guards project, catalog, file_problems */
    struct project *project;
    struct project *first; /* a reference: the project as it was at the start */
    struct json *mistakes; /* file → how many errors it had when it was last read */
    struct catalog *catalog;
    struct problems file_problems;

    pthread_mutex_t deploy_lock;     /* one deploy at a time */
    pthread_rwlock_t instances_lock; /* guards the two maps */
    struct map instances;            /* id → struct instance, holds a reference */
    struct map endpoints;            /* key → struct instance, borrowed from instances */
    atomic_bool is_accepting;
    atomic_bool is_stopping;
    uint64_t deploy_retry; /* loop timer; 0: none. loop thread */
    int deploy_failures;   /* in a row; loop thread */
    atomic_int retries;    /* threads that deploy again now */
    int64_t started_ms;
    struct json *mocks; /* NULL: none; loop thread */
    char *catch_all;    /* NULL: none */
    bool calls_nothing, skips_waits, holds_sends;
    char *smtp_url;      /* instead of runnel.yaml's; NULL */
    char resume_key[32]; /* of the tokens in resume and cancel URLs; set once, at open */
};

/* The key that secrets at rest are sealed with; made at first use. [any thread] */
int engine_seal_key(struct engine *engine, const struct seal_key **ret, struct err *err) MUST_USE;
struct project *engine_project(struct engine *engine); /* a reference */
/* The start of the URLs that the world is given. Borrowed from the two. */
const char *engine_public_url(const struct engine *engine, const struct project *project);
struct catalog *engine_catalog(struct engine *engine); /* a reference */

/* ---- hosts.c: one host per plugin file and memory limit */
struct hosts *hosts_new(struct engine *engine, size_t memory_limit);
void hosts_free(struct hosts *hosts); /* before supervisor_free */
/* The host of a plugin file, made at first use; owned by hosts. `memory`: the limit of its process
 * (0: limits.plugin_memory); each limit has a host of its own. [any] */
struct host *hosts_get(struct hosts *hosts, const char *name, const char *path, const char *sha256,
                       size_t memory);
/* The host of code steps, made at first use. [any] */
struct host *hosts_code(struct hosts *hosts);
struct json *hosts_report(struct hosts *hosts);

/* ---- sweeper.c: removes old records of data stores. [loop thread, but for new and free] */
struct sweeper *sweeper_new(struct engine *engine);
void sweeper_start(void *sweeper);
void sweeper_stop(struct sweeper *sweeper);
void sweeper_free(struct sweeper *sweeper); /* after the store is closed and the loop has ended */

/* ---- files.c: the folders of runs */
struct files *files_new(const char *data_dir);
void files_free(struct files *files); /* removes what is still to be removed */
/* The run (its id) has ended. */
void files_remove(struct files *files, const char *run);
/* Removes those of runs that have ended, at the start. */
void files_sweep(struct engine *engine);

/* ---- wire.c: reading a plugin host's answers */
struct plugin_error {
    int code;
    char text[ERR_TEXT_MAX];
    int64_t retry_after_ms; /* -1: none */
};
/* The error of a call, from its result's code or its JSON; code 0 if it succeeded. `answer` is the
 * parsed JSON of the frame (NULL if there is none). */
void plugin_error_of(const struct call_result *result, const struct json *answer,
                     struct plugin_error *ret);
/* Section `index` of a frame, or empty. */
struct str frame_section(const struct frame *frame, int64_t index);

/* ---- accounts.c */
/* `auth`: object field → value (oauth kinds: oauth_access_token, fresh). Owned by the callee's
 * caller only during the call. */
typedef void (*account_done)(void *ctx, int code, const struct json *auth, const struct err *err);
struct accounts *accounts_new(struct engine *engine);
void accounts_free(struct accounts *accounts);
void accounts_forget_file(struct accounts *accounts); /* the project was read anew */
/* Resolves the account for `app` (NULL: whichever it is of); `done` is called once, at once where
 * nothing must be fetched. */
void accounts_resolve(struct accounts *accounts, const char *name, const char *app,
                      account_done done, void *ctx);
int accounts_resolve_wait(struct accounts *accounts, const char *name, const char *app,
                          struct json **ret, struct err *err) MUST_USE;
/* A vendor refused the token: the next resolve fetches a new one. False if the account has none to
 * fetch. */
bool accounts_invalidate(struct accounts *accounts, const char *name);
/* {"<app prop>": {fields}} for the app props among `props` ({"account": name}). */
int accounts_of_props(struct accounts *accounts, const struct component_def *component,
                      const struct json *props, struct json **ret, struct err *err) MUST_USE;
/* The app of a sealed account, for project_load. */
const char *accounts_lookup(void *ctx, struct str name);

/* ---- instances (instance.c): source instances and native HTTP triggers */
struct subscriber {
    char *workflow;
    char *trigger;       /* namespace */
    char *channel;       /* "" the default one */
    uint64_t queue_size; /* of the workflow: entries; 0: as many as the store takes */
};

enum instance_state {
    INSTANCE_NEW,
    INSTANCE_DEPLOYED,
    INSTANCE_ACTIVE,
    INSTANCE_INACTIVE,
    INSTANCE_FAILED
};

struct instance {
    atomic_int refs;
    char *id;
    char *key;        /* of the endpoint */
    bool is_native;   /* a trigger without a component: HTTP or schedule */
    bool is_schedule; /* native, without an endpoint */
    /* native: what its file says; never changed in an instance */
    struct http_trigger *http;
    struct schedule *schedule; /* also of a source with a timer */
    pthread_mutex_t lock;      /* guards all below */
    enum instance_state state;
    char *error; /* why it is not active; NULL */
    struct subscriber *subscribers;
    size_t subscriber_count;
    /* sources */
    char *config;    /* hash of what it is deployed with */
    char *component; /* key */
    char *version;
    char *plugin, *plugin_path; /* sha256; the file */
    struct host *host;
    struct json *props;     /* resolved: without {{…}} */
    struct json *app_props; /* {"<app prop>": "<account>"} */
    char *http_prop;        /* the name of its $.interface.http prop; NULL: it has none */
    bool has_custom_response;
    int dedupe;
    uint32_t remember;
    uint64_t db_version;     /* committed */
    uint64_t config_version; /* grows when props or accounts change in this process */
    char *snapshot;          /* JSON text for snapshot_version; NULL: to be built */
    uint64_t snapshot_version;
    uint64_t sent_version; /* what the host of sent_generation has got */
    uint64_t sent_generation;
};

struct instance *source_instance_new(const char *id, const char *key, bool is_native);
struct instance *source_instance_ref(struct instance *instance);
void source_instance_unref(struct instance *instance);
const char *instance_state_name(enum instance_state state);
struct instance *instance_by_key(struct engine *engine, struct str key); /* a reference, or NULL */
struct instance *instance_by_id(struct engine *engine, const char *id);
void instance_set_subscribers(struct instance *instance, struct subscriber *list,
                              size_t count); /* takes the list */
/* A copy as they are now, of those of a channel (NULL: all), in one block: the caller, on whichever
 * thread, frees it. */
struct subscriber *instance_copy_subscribers(struct instance *instance, const char *channel,
                                             size_t *ret_count);
/* The URL that a vendor is given; the caller frees. */
char *instance_endpoint(struct engine *engine, const struct instance *instance);
/* A call to the component of the instance: fills in instance, version and, if the host is behind,
 * the snapshot. `json` holds the frame's JSON up to but without its closing brace; `sections` has
 * room for one more. *ret_db_version: what the call will have seen. */
int instance_prepare_call(struct engine *engine, struct instance *instance, bool force_snapshot,
                          struct buf *json, struct str *sections, uint32_t *section_count,
                          struct buf *snapshot_copy, uint64_t *ret_db_version,
                          struct err *err) MUST_USE;
/* Account values or db have changed: the next call sends a snapshot. */
void instance_touch(struct instance *instance);

/* ---- commit.c: the transaction of a source run (or of a native trigger's event) */
struct emit {
    struct str id, name, summary, event, raw; /* views into owned memory of the acceptance */
    int64_t ts;
};
struct db_write {
    struct str key, value; /* value.ptr NULL: delete */
};
struct acceptance {
    struct engine *engine;
    struct instance *instance; /* a reference */
    const struct emit *emits;
    size_t emit_count;
    const struct db_write *writes;
    size_t write_count;
    uint64_t seen_db_version;
    struct json *logs;  /* [{ts, level, text}] or NULL */
    bool ignores_quota; /* hooks: their db writes are running work */
    void (*done)(struct acceptance *acceptance, int code,
                 const struct err *err); /* writer thread */
    void *ctx;
    /* Each may be NULL. `effect` writes more in the same transaction, behind the events;
     * `committed` comes before anybody hears of the runs. Writer thread. */
    int (*effect)(struct store_tx *tx, struct acceptance *acceptance, struct err *err);
    void *effect_ctx;
    void (*committed)(struct acceptance *acceptance);
    bool starts_nothing; /* the events are kept, but no workflow runs */
    bool is_unstored;    /* the events and their runs go when the runs have ended */
    /* results, for effect() and later */
    uint64_t event_id, run_id; /* of the last; 0: none */
    bool is_duplicate;         /* dedupe kept an event back */
    /* private */
    struct store_op op;
    size_t queued;                  /* queue entries made */
    struct subscriber *subscribers; /* a copy */
    size_t subscriber_count;
    uint64_t new_db_version;
};
/* A run of the event in the workflow's queue; `more`: members of its detail, each behind a comma. */
int queue_run(struct store_tx *tx, uint64_t event_id, const char *workflow, const char *trigger,
              const char *more, uint64_t *ret_run, struct err *err) MUST_USE;
/* Commits; done() is called if this returns 0. */
int acceptance_submit(struct acceptance *acceptance) MUST_USE;
/* Lines of a source's log, outside a transaction of its own. */
void source_log(struct engine *engine, const char *instance, const char *level, const char *text);

/* ---- call.c: one call of a source's component (run or hook), with commit */
struct source_answer {
    int status;           /* 0: the component did not answer */
    struct json *headers; /* [[name, value], …] or NULL */
    struct buf body;
};
int source_hook(struct engine *engine, struct instance *instance, const char *hook,
                struct err *err) MUST_USE;
/* A run for a firing of its timer; `event` JSON text. `effect` as in an acceptance. */
int source_run_timer(struct engine *engine, struct instance *instance, struct str event,
                     int (*effect)(struct store_tx *tx, struct acceptance *acceptance,
                                   struct err *err),
                     void *effect_ctx, struct err *err) MUST_USE;
int source_run_http(struct engine *engine, struct instance *instance, struct str path,
                    const struct http_request *request, struct source_answer *answer,
                    struct err *err) MUST_USE;

/* ---- dispatch.c, run.c (loop thread unless said otherwise) */
struct dispatcher *dispatcher_new(struct engine *engine);
void dispatcher_free(struct dispatcher *dispatcher);
/* The set of workflows has changed; runs in progress keep theirs. */
void dispatcher_set_project(struct dispatcher *dispatcher, struct project *project);
void dispatcher_recover(struct dispatcher *dispatcher);
/* There is something new in a workflow's queue. [any thread] */
void dispatcher_wake(struct engine *engine, const char *workflow);
void dispatcher_begin_only(struct dispatcher *dispatcher, const char *workflow, uint64_t run_id);
void dispatcher_stop(struct dispatcher *dispatcher); /* begins nothing new; parks what waits */
/* What steps are still waited for is given up: the next start finds their outcome unknown. Before
 * the hosts are ended and the store is closed. */
void dispatcher_end(struct dispatcher *dispatcher);
size_t dispatcher_calls(struct dispatcher *dispatcher);  /* steps being called now */
size_t dispatcher_active(struct dispatcher *dispatcher); /* runs in memory */
bool dispatcher_cancel(struct dispatcher *dispatcher, uint64_t run_id);
/* A step that waits for it goes on; `data` (taken) is what the resume brought; `then` is called
 * when it is on disk. False: nothing waits there (any more). */
bool dispatcher_resume(struct dispatcher *dispatcher, uint64_t run_id, uint32_t position,
                       uint32_t attempt, struct json *data, loop_fn then, void *ctx);
void dispatcher_counts(struct dispatcher *dispatcher, const char *workflow, size_t *ret_running);
size_t dispatcher_places(struct dispatcher *dispatcher); /* that runs hold, in all workflows */
/* Calls fn(ctx) once, on the loop thread, when the run ends; at once if it is not live here. */
void dispatcher_when_ended(struct dispatcher *dispatcher, uint64_t run_id, loop_fn fn, void *ctx);
void dispatcher_forget_waiter(struct dispatcher *dispatcher, void *ctx);

/* ---- schedule.c: what the clock fires */
struct scheduler *scheduler_new(struct engine *engine);
void scheduler_free(struct scheduler *scheduler);
/* The instances have changed. [any thread] */
void scheduler_set(struct engine *engine);
/* Fires nothing any more. [loop thread] */
void scheduler_stop(struct scheduler *scheduler);
size_t scheduler_running(struct scheduler *scheduler); /* runs of timed sources. [any thread] */

/* ---- report.c: records as JSON */
struct json *report_event(const struct event_record *record, bool with_body);
struct json *report_run(const struct run_record *record);
struct json *report_queued(const struct queue_entry *entry);
int report_read_id(const char *prefix, const char *text, uint64_t *ret,
                   struct err *err) MUST_USE; /* NULL: 0 */

/* ---- deploy.c */
/* What is deployed, from the store into the maps: at start, before deploy(). */
int deploy_load(struct engine *engine, struct err *err) MUST_USE;
/* ---- versions.c */
int versions_keep(struct engine *engine, const struct project *project, struct err *err) MUST_USE;
/* Of a file with errors the version that was deployed last goes on, if there is one. */
void versions_stand_in(struct engine *engine, struct catalog *catalog, struct project *project,
                       const struct problems *problems);
/* "workflows/ID.yaml" → ID; empty: it is no workflow's file. */
struct str workflow_of_file(struct str file);
int deploy(struct engine *engine,
           struct err *err) MUST_USE; /* the current project; under deploy_lock */
void deploy_schedule_retry(struct engine *engine);

#endif
