/* The user's project as its files say it: runnel.yaml, .env, workflows/ (*.yaml), sources/
 * (*.yaml). Read, checked, immutable afterwards. Deploying it is the engine's. */
#ifndef RUNNEL_FLOW_PROJECT_H
#define RUNNEL_FLOW_PROJECT_H

#include "base/map.h"
#include "code/code.h"
#include "expr/template.h"
#include "flow/problem.h"
#include "flow/yaml.h"
#include "plugin/catalog.h"

struct expr_engine;

struct account_file { /* an account in runnel.yaml */
    char *name;
    char *app;         /* slug */
    struct json *auth; /* {"field": "value"}, ${ENV} filled in */
};

struct rewrite {
    char *from, *to;
};

/* `smtp:` of runnel.yaml. */
struct smtp {
    char *url;                 /* smtp:// or smtps://; NULL: no mail */
    char *from;                /* address, with or without a name */
    char *to;                  /* who gets what has no `to`; NULL: nobody */
    char *username, *password; /* NULL: none */
    bool needs_tls;            /* smtp:// with STARTTLS or not at all */
};

struct project {
    char *dir;        /* absolute */
    char *data_dir;   /* absolute; <dir>/.runnel unless said otherwise */
    char *listen;     /* "127.0.0.1:8080" */
    char *admin;      /* "127.0.0.1:8081" */
    char *public_url; /* without a slash at its end; NULL: the ingest listener's own */
    char *tls_certificate, *tls_key; /* absolute; NULL: plain http */
    struct account_file *accounts;
    size_t account_count;
    char **egress_allow; /* CIDR or address[:port] */
    size_t egress_allow_count;
    struct rewrite *rewrites;
    size_t rewrite_count;
    struct smtp smtp;
    struct {
        size_t body;
        uint64_t store;
        uint64_t history_bytes;
        int64_t history_age_ms;
        size_t plugin_memory;
        uint64_t files; /* of a run */
    } limits;
    /* Object of strings: .env, then the process's environment, which wins. {{process.env.NAME}}
     * sees the names in .env and those that the workflow files and runnel.yaml's `env:` list name,
     * never the whole environment. */
    struct json *env;
    struct workflow **workflows;
    size_t workflow_count;
    /* sources/ (*.yaml), and the sources that triggers declare for themselves */
    struct source **sources;
    size_t source_count;
};

/* What a component is used with. */
struct use {
    char *key;
    char *version; /* NULL: the newest */
    /* object: as in the file; app props {"account": "name"}, options with labels {"__lv":{…}}
     * reduced to their value */
    struct json *props;
    struct expr_template *template; /* of props; a source's props may use process.env only */
    /* of the catalog given to project_load; NULL in a project with problems */
    const struct component_def *component;
    struct prop_def *dynamic; /* kept dynamic props (`dynamic_props:` in the file), NULL if none */
    size_t dynamic_count;
    struct json *dynamic_backing;
};

/* A source instance to be: declared in sources/<name>.yaml, or by a trigger's `uses`. */
struct source {
    char *id; /* "sources/<name>" or "workflows/<workflow>/<namespace>" */
    char *file;
    bool inactive;
    struct use use;
    uint32_t remember; /* `dedupe: { remember: N }` */
    struct json *env;  /* the variables of the workflow that declares it; NULL */
};

enum trigger_kind {
    TRIGGER_SOURCE,
    TRIGGER_WORKFLOW, /* what another workflow emits */
    TRIGGER_HTTP,
    TRIGGER_SCHEDULE,
    TRIGGER_MANUAL
};

struct trigger {
    /* the first trigger's event is steps.trigger whatever its namespace; also steps.<namespace> */
    char *namespace_;
    enum trigger_kind kind;
    char *source;     /* TRIGGER_SOURCE: a source's id; TRIGGER_WORKFLOW: "workflows/<id>" */
    char *channel;    /* of the emits; "" the default one */
    int line, column; /* TRIGGER_WORKFLOW: where it stands in the file */
    /* HTTP, schedule: the mapping behind the kind, as the file has it; manual: {"sample":…} or NULL
     */
    struct json *config;
};

enum retry_on { RETRY_ON_RETRYABLE, RETRY_ON_ALL };
enum on_unknown { ON_UNKNOWN_RETRY, ON_UNKNOWN_FAIL };

struct retry_policy {
    int attempts;       /* in all; 3 unless the file says otherwise */
    int64_t initial_ms; /* first pause, 1s; doubles */
    int64_t max_ms;     /* longest pause, 5m */
    enum retry_on on;
    enum on_unknown on_unknown;
};

struct step;

struct step_list {
    struct step *list;
    size_t count;
};

/* What a step is. Those from STEP_IF to STEP_FOR_EACH are blocks: they hold lists of steps. */
enum step_kind {
    STEP_ACTION,   /* a component's action */
    STEP_CODE,     /* node, python or bash */
    STEP_IF,       /* the first branch whose `when` is true */
    STEP_SWITCH,   /* the first branch whose `is` holds the value */
    STEP_PARALLEL, /* every branch whose `when` is true, at once */
    STEP_FOR_EACH, /* its one branch once for each item of a list */
    STEP_WORKFLOW, /* another workflow, with an event of its own */
    STEP_DELAY,
    STEP_SUSPEND,
    STEP_RESPOND, /* answers the HTTP request that started the run */
    STEP_END      /* ends the run */
};

struct branch {
    char *name;                 /* of parallel: the user's; of if and switch: "1", "2", "else" */
    struct expr_template *when; /* {"when": …} or {"is": […]}; NULL: always */
    struct step_list steps;
};

/* The code of a step. */
struct code {
    enum code_language language;
    char *file; /* relative to the project; NULL: it stands in the workflow file */
    char *name; /* as tracebacks call it: the file, or "workflows/x.yaml:namespace" */
    char *text;
};

/* `NAME` of a prop { store: NAME } (Pipedream's storeId is taken, too) as a file has it; NULL: it
 * is none. What an expression makes is no such prop, whatever it looks like. */
const struct json *data_store_name(const struct json *prop);

/* What becomes of the run when a step has failed for good. */
enum on_error {
    ON_ERROR_FAIL,
    ON_ERROR_CONTINUE, /* goes on with the next step; the error is the step's export `$error` */
    ON_ERROR_STEPS     /* runs error_steps first, then goes on */
};

/* What becomes of a block when one of its branches or items has failed. */
enum on_part_error {
    ON_PART_WAIT,    /* the others still run; then the block fails */
    ON_PART_CANCEL,  /* the others are cancelled and nothing new begins; then the block fails */
    ON_PART_CONTINUE /* the others run; the block succeeds, with the error among its results */
};

struct step {
    char *namespace_;
    char *notes;
    bool disabled;
    enum step_kind kind;
    struct use use;    /* STEP_ACTION; of STEP_CODE props and template only */
    struct code *code; /* STEP_CODE */
    int64_t timeout_ms;
    struct retry_policy retry;
    enum on_error on_error;
    struct step_list error_steps;
    /* What is resolved when the step begins, an object; NULL for actions and `if`: switch {value};
     * for_each {items}; workflow {event}; delay {delay}; suspend {timeout}; respond {status,
     * headers, body}; end {reason}. */
    struct expr_template *config;
    struct branch *branches;
    size_t branch_count;
    enum on_part_error on_part_error; /* parallel, for_each */
    int concurrency;                  /* for_each: items at once; 1: in order */
    char *workflow;                   /* STEP_WORKFLOW: the other's id */
    /* workflow: wait for its end; respond: at once; suspend: go on after the timeout; end: as
     * failed */
    bool flag;
};

/* settings.throttle: how many runs begin in a time. */
struct throttle {
    int64_t limit;       /* runs per interval; 0: none begins (the queue is paused) */
    int64_t interval_ms; /* 0: no throttle */
    bool is_spaced;      /* evenly apart; otherwise fixed windows from the first event in them */
};

struct workflow {
    char *id; /* the file's name without .yaml */
    char *name;
    char *file;      /* relative to the project */
    char *text;      /* the file, byte for byte; behind it those of its code steps (code.c) */
    char sha256[65]; /* of the text: the version */
    bool is_kept;    /* not the file as it is now, which has errors, but the version before */
    bool inactive;
    int64_t timeout_ms; /* settings.timeout: of each step */
    size_t memory;      /* settings.memory: of each process of its steps, bytes; 0: not set */
    int workers;        /* settings.concurrency.workers; 0: unlimited */
    int workers_total;  /* settings.concurrency.total, beside a key; 0: unlimited */
    /* settings.concurrency.key, {"key": …}: `workers` counts per value of it; NULL: for all */
    struct expr_template *key;
    struct throttle throttle;
    uint64_t queue_size; /* settings.queue.size: entries; 0: as many as the store takes */
    int64_t *auto_retry; /* pauses before each try, ms; NULL: off */
    size_t auto_retry_count;
    char *error_workflow;     /* settings.on_error: the workflow that is fed with $errors; NULL */
    bool keeps_no_history;    /* settings.data_retention: false */
    bool is_sse_public;       /* settings.sse.public: whoever has the URL may follow $.send.sse */
    struct json *sse_origins; /* whose pages may; NULL: all */
    struct json *env;         /* object of strings: `env:` of the file; over the project's. NULL */
    struct trigger *triggers;
    size_t trigger_count;
    struct step_list steps;
    size_t step_count; /* all of them, those in blocks too */
};

/* Finds an account that is not in runnel.yaml (those sealed in the store): its app's slug, or NULL.
 * */
typedef const char *(*account_lookup)(void *ctx, struct str name);

struct project_options {
    const char *dir;
    const char *data_dir; /* NULL: <dir>/.runnel */
    /* NULL: components are not looked up (only runnel.yaml is wanted) */
    struct catalog *catalog;
    account_lookup accounts; /* may be NULL */
    void *accounts_ctx;
    struct expr_engine *expressions; /* compiles what only it can read; NULL: that is not checked */
    /* Starts the interpreters of code steps, to have the code parsed; of the draft only, if there
     * is one. */
    bool checks_code;
    /* "workflows/x.yaml": what is to be checked in its place, before it is written. NULL: none */
    const char *draft_of;
    struct str draft;
};

/* Reads and checks everything. Always returns a project as far as it could be read, but for a
 * folder that is none (RN_ENOTFOUND: the text says to run `runnel init`); mistakes are in
 * *problems. A workflow with an error among its problems is left out of project->workflows; the
 * others are usable. */
int project_load(const struct project_options *options, struct project **ret,
                 struct problems *problems, struct err *err) MUST_USE;
/* One workflow from a text kept earlier (a run's version), checked against the catalog as far as
 * its components still exist. NULL and *problems. */
struct workflow *workflow_parse(const char *id, struct str text, const struct project *project,
                                struct catalog *catalog, struct problems *problems);
/* Puts a workflow (taken) of workflow_parse() in the place of its file, which has errors. Before
 * the project is shared. */
void project_keep(struct project *project, struct workflow *workflow);
/* Of a version's text: the size of the workflow file alone; and {path: text} of the code files
 * behind it. */
size_t workflow_own_size(struct str text);
struct json *workflow_text_files(struct str text);
struct project *project_ref(struct project *project);
void project_unref(struct project *project);
/* process.env with a workflow's own variables (`env:`, may be NULL) over the project's. The caller
 * frees. */
struct json *project_env_with(const struct project *project, const struct json *own);
void workflow_free(struct workflow *workflow);

const struct workflow *project_workflow(const struct project *project, struct str id_or_name);
/* The triggers that listen to what a workflow emits on a channel ("" the default one), those of
 * inactive workflows left out. Set the first three; false: there is no further one. */
struct listening {
    const struct project *project;
    const char *emitter; /* "workflows/<id>" */
    const char *channel;
    const struct workflow *workflow;
    const struct trigger *trigger;
    size_t next_workflow, next_trigger;
};
bool listening_next(struct listening *listening);
const struct source *project_source(const struct project *project, struct str id);
/* The files whose change means that the project is to be read again (paths, freed with free each
 * and the list). */
size_t project_watched_dirs(const struct project *project, char ***ret);

#endif
