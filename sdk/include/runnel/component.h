/* runnel component SDK: the contract between a component plugin and the runtime. ABI 1.5.
 *
 * A plugin is one shared object that holds one app's components and exports one symbol, the
 * constant `runnel_plugin`. Everything it declares is data: to describe a plugin executes none of
 * its code.
 *
 *   1  Load       The host reads abi_major, abi_minor and the sizes; another major, or a minor
 *                 newer than the host's, is refused with both numbers. Then it checks every table
 *                 (docs/components.md).
 *   2  Configure  options() and additional_props() run while a user fills in props.
 *   3  Deploy     (sources) deploy(), then activate().
 *   4  Run        run(), once per event (source) or once per attempt of a step (action).
 *   5  Update     (sources) deactivate() with the old code and props, then activate() with the new.
 *   6  Remove     (sources) deactivate().
 *
 * States of a source instance
 *   state      may be called                 a failure leads to
 *   loaded     deploy                        loaded; the message is shown; tried again with backoff
 *   deployed   activate                      deployed; likewise. What a failed activate left behind
 *                                            it undoes itself
 *   active     run, deactivate               run: nothing is committed. deactivate: removed, with a
 *                                            warning
 *   removed    -
 *   A hook or run is a transaction: db writes and emits take effect together, after it returned 0;
 *   else none does.
 *
 * Ownership  What a callback receives is borrowed until it returns. What an rn_ call returns lives
 *            in the run's arena until the callback returns: nothing here is freed by the component.
 *            JSON values passed to rn_json_set() and rn_json_append() become part of the parent.
 * Threads    [load]    while the host reads the tables; no component code runs.
 *            [worker]  on the thread that the callback was called on, with the run it was given;
 *                      every function below is [worker] unless it says otherwise.
 *            [any]     any thread.
 *            Callbacks of one component run on many threads at once; a component has no mutable
 *            globals.
 * Text       UTF-8, ends in NUL. Where a string may hold U+0000 a length goes with it.
 * Time       milliseconds; points in time since the Unix epoch.
 * Errors     0 or a negative RN_E code (runnel/errors.h). A callback says why with rn_fail().
 */
#ifndef RUNNEL_COMPONENT_H
#define RUNNEL_COMPONENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <runnel/errors.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RN_ABI_MAJOR 1u
#define RN_ABI_MINOR 5u

struct rn_run;  /* one callback in progress; see the end of the tables */
struct rn_json; /* a JSON value, opaque */

/* ------------------------------------------------------------------ props */

/* Types of a prop. RN_LIST is added for the array form: RN_STRING | RN_LIST is `string[]`. */
#define RN_STRING 1
#define RN_INTEGER 2
#define RN_BOOLEAN 3
#define RN_OBJECT 4
#define RN_ANY 5            /* actions only */
#define RN_APP 6            /* an account of the app in .app */
#define RN_HTTP_INTERFACE 7 /* sources only: $.interface.http */
/* sources only: $.interface.timer; default_json {"intervalSeconds":900} or {"cron":"0 * * * *"} */
#define RN_TIMER_INTERFACE 8
#define RN_DB_SERVICE 9  /* sources only: $.service.db */
#define RN_DATA_STORE 10 /* actions only */
/* actions only: a whole request as one value; rn_execute() performs it */
#define RN_HTTP_REQUEST 11
#define RN_ALERT 12 /* no value: a text shown in the form */
#define RN_SQL 13   /* actions only */
#define RN_DIR 14   /* actions only: files of the run, see rn_dir_read(); no value */
#define RN_LIST 0x100

/* Flags of a prop. */
#define RN_OPTIONAL (1u << 0)
#define RN_SECRET (1u << 1)          /* strings: masked, sealed at rest */
#define RN_DISABLED (1u << 2)        /* shown, not to be changed */
#define RN_HIDDEN (1u << 3)          /* not shown */
#define RN_RELOAD_PROPS (1u << 4)    /* a change runs additional_props() again */
#define RN_USE_QUERY (1u << 5)       /* options() takes the user's search text */
#define RN_WITH_LABEL (1u << 6)      /* the label of a chosen option is kept beside its value */
#define RN_CUSTOM_RESPONSE (1u << 7) /* http interface: the component answers with rn_respond() */
#define RN_HAS_MIN (1u << 8)         /* integers: .min counts, inclusive */
#define RN_HAS_MAX (1u << 9)         /* integers: .max counts, inclusive */

/* Kinds of an alert. */
#define RN_ALERT_INFO 0
#define RN_ALERT_NEUTRAL 1
#define RN_ALERT_WARNING 2
#define RN_ALERT_ERROR 3

/* What options() is asked. */
struct rn_options_query {
    uint32_t struct_size;
    uint32_t page;     /* 0, 1, … with each "more" */
    const char *query; /* the user's search text, "" if none */
    /* what rn_options_context() gave for the page before, or NULL */
    const struct rn_json *prev_context;
    /* object: the inputs of the prop definition (rn_input, inputs()) */
    const struct rn_json *params;
};

/* Offers options with rn_option(), and rn_options_context() where there is a next page. */
typedef int32_t (*rn_options_fn)(struct rn_run *run, const struct rn_options_query *query);

/* Fills `params` (an empty object) from the props configured so far. */
typedef int32_t (*rn_inputs_fn)(struct rn_run *run, struct rn_json *params);

/* One input of a prop definition: param `param` is the value of the component's prop `prop`. */
struct rn_input {
    const char *param;
    const char *prop;
};

struct rn_app;

struct rn_prop {
    const char *name; /* required; an identifier */
    /* RN_STRING … RN_DIR, | RN_LIST; 0 with .definition: the definition's */
    int32_t type;
    uint32_t flags;           /* RN_OPTIONAL … */
    const char *label;        /* NULL: the name */
    const char *description;  /* Markdown */
    const char *default_json; /* JSON text, or NULL */
    /* static options: a JSON list of scalars or of {"label","value"}, or NULL */
    const char *options_json;
    rn_options_fn options;    /* async options, or NULL */
    int64_t min, max;         /* with RN_HAS_MIN, RN_HAS_MAX */
    const struct rn_app *app; /* RN_APP: whose accounts */
    /* propDefinition: the prop starts as a copy of app prop `definition_of`'s definition
     * `definition`; what is set here overrides it. */
    const char *definition_of;     /* the name of this component's RN_APP prop */
    const char *definition;        /* the name in that app's prop_definitions */
    const struct rn_input *inputs; /* ends with {NULL, NULL}; or NULL */
    rn_inputs_fn inputs_fn;        /* for inputs that are computed; or NULL */
    int32_t alert_type;            /* RN_ALERT: RN_ALERT_INFO … */
    const char *content;           /* RN_ALERT: its text */
    /* e.g. "file-ref": takes a URL or a path in /tmp; or NULL. RN_DIR: "read", "write" or
     * "read-write", which is what NULL says */
    const char *format;
};

/* ------------------------------------------------------------------- apps */

/* How an app authenticates. The runtime does the work; a component reads the result with rn_auth().
 * */
#define RN_AUTH_KEYS 1 /* the fields as they are */
/* fields client_id, client_secret, refresh_token → oauth_access_token */
#define RN_AUTH_OAUTH2_REFRESH 2
/* field service_account (the key file's JSON) → oauth_access_token */
#define RN_AUTH_GOOGLE_SERVICE_ACCOUNT 3

struct rn_auth_field {
    const char *name;
    const char *label;
    const char *description;
    uint32_t flags;            /* RN_OPTIONAL, RN_SECRET */
    const char *default_value; /* or NULL */
};

struct rn_auth {
    int32_t kind;      /* RN_AUTH_KEYS … */
    const char *label; /* e.g. "Access token" */
    const struct rn_auth_field *fields;
    uint32_t field_count;
    const char *token_url; /* OAuth kinds */
    const char *scope;     /* OAuth kinds: space-separated, or NULL */
};

struct rn_app {
    /* lower case, digits, underscores; the prefix of its components' keys */
    const char *slug;
    const char *name;
    const char *description;
    /* the first whose required fields an account has is used */
    const struct rn_auth *auths;
    uint32_t auth_count; /* 0: the app needs no account */
    const struct rn_prop *prop_definitions;
    uint32_t prop_definition_count;
    /* the name under which test() sees the account; NULL: slug */
    const char *account_prop;
    /* a cheap authenticated call for `runnel accounts test`; or NULL */
    int32_t (*test)(struct rn_run *run);
};

/* ------------------------------------------------------------- components */

#define RN_SOURCE 1
#define RN_ACTION 2

/* Annotations of an action. */
#define RN_READ_ONLY (1u << 0)   /* changes nothing */
#define RN_DESTRUCTIVE (1u << 1) /* may change or delete what exists */
#define RN_OPEN_WORLD (1u << 2)  /* talks to the outside */

/* Dedupe strategies of a source: by the id given to rn_emit(). */
#define RN_DEDUPE_NONE 0
/* emitted unless the id is among the last N (10,000 unless configured) */
#define RN_DEDUPE_UNIQUE 1
#define RN_DEDUPE_GREATEST 2 /* ids are numbers: emitted if greater than all before */
/* of a run's emits only what comes after the last id of the run before; all, if that is not there
 * */
#define RN_DEDUPE_LAST 3

struct rn_component {
    const char *key;             /* <app slug>-<kebab-case> */
    const char *name;            /* Title Case, without the app's name */
    const char *version;         /* semver, starts at 0.0.1 */
    const char *description;     /* Markdown */
    int32_t type;                /* RN_SOURCE or RN_ACTION */
    uint32_t annotations;        /* actions */
    int32_t dedupe;              /* sources */
    const struct rn_prop *props; /* in the order of the form */
    uint32_t prop_count;
    const char *sample_emit_json;          /* sources: a sample event, or NULL */
    int32_t (*deploy)(struct rn_run *run); /* hooks of sources, each may be NULL */
    int32_t (*activate)(struct rn_run *run);
    int32_t (*deactivate)(struct rn_run *run);
    /* Adds props with rn_add_prop(); they replace what it added before. `previous`: the definitions
     * so far, a list. */
    int32_t (*additional_props)(struct rn_run *run, const struct rn_json *previous);
    int32_t (*run)(struct rn_run *run); /* required */
};

struct rn_plugin {
    uint32_t abi_major;   /* RN_ABI_MAJOR; these five never move */
    uint32_t abi_minor;   /* RN_ABI_MINOR */
    uint32_t struct_size; /* sizeof(struct rn_plugin) */
    /* sizeof(struct rn_component), app_size, prop_size: the tables' strides */
    uint32_t component_size;
    uint32_t app_size;
    uint32_t prop_size;
    const char *name; /* the app's slug */
    const char *version;
    const struct rn_app *const *apps;
    uint32_t app_count;
    uint32_t component_count;
    const struct rn_component *const *components;
};

/* The head of a plugin: struct rn_plugin runnel_plugin = { RN_PLUGIN_HEAD, .name = … } */
#define RN_PLUGIN_HEAD                                                                             \
    RN_ABI_MAJOR, RN_ABI_MINOR, (uint32_t)sizeof(struct rn_plugin),                                \
        (uint32_t)sizeof(struct rn_component), (uint32_t)sizeof(struct rn_app),                    \
        (uint32_t)sizeof(struct rn_prop)

#define RN_COUNT(table) ((uint32_t)(sizeof(table) / sizeof((table)[0])))

#if defined(__GNUC__)
#define RN_EXPORT __attribute__((visibility("default")))
#else
#define RN_EXPORT
#endif

/* The one symbol that a plugin exports. [load] */
RN_EXPORT extern const struct rn_plugin runnel_plugin;

/* ----------------------------------------------------------- HTTP request */

struct rn_pair {
    const char *name;
    const char *value;
};

/* One part of a multipart/form-data body. */
struct rn_part {
    const char *name;
    const char *filename;     /* or NULL */
    const char *content_type; /* or NULL */
    const void *data;
    size_t size;
};

/* Flags of a request. */
#define RN_HTTP_ANY_STATUS (1u << 0) /* a status of 400 or more is a response, not an error */
#define RN_HTTP_NO_REDIRECTS (1u << 1)
/* 429: wait as the vendor says (while the deadline allows), try again */
#define RN_HTTP_RETRY_RATE_LIMIT (1u << 2)
/* repeating it does no harm: a lost reply is RN_EUNAVAILABLE, not RN_EUNKNOWN */
#define RN_HTTP_SAFE (1u << 3)

struct rn_http_request {
    uint32_t struct_size; /* set by RN_HTTP_REQUEST_INIT */
    uint32_t flags;
    const char *method;          /* NULL: GET, or POST where there is a body */
    const char *url;             /* http or https */
    const struct rn_pair *query; /* percent-encoded and added to the url */
    size_t query_count;
    const struct rn_pair *headers;
    size_t header_count;
    const char *bearer;     /* Authorization: Bearer …; or NULL */
    const char *basic_user; /* Authorization: Basic …; or NULL */
    const char *basic_password;
    /* At most one of: */
    const struct rn_json *json; /* application/json */
    const struct rn_pair *form; /* application/x-www-form-urlencoded */
    size_t form_count;
    const struct rn_part *parts; /* multipart/form-data */
    size_t part_count;
    const void *body; /* as it is */
    size_t body_size;
    int32_t timeout_ms; /* 0: what is left of the call's deadline, 30 s at most */
    /* RN_HTTP_RETRY_RATE_LIMIT: a key of the JSON answer with seconds, e.g. "retry_after"; or NULL:
     * Retry-After */
    const char *retry_after_path;
};

#define RN_HTTP_REQUEST_INIT(url_)                                                                 \
    {                                                                                              \
        .struct_size = (uint32_t)sizeof(struct rn_http_request), .url = (url_)                     \
    }

struct rn_http_response {
    uint32_t struct_size;
    int32_t status;
    const char *content_type; /* "" if none */
    const void *body;         /* size bytes, and a NUL behind them */
    size_t size;
    const struct rn_json *json;    /* the parsed body of a JSON answer, else NULL */
    const struct rn_pair *headers; /* names in lower case */
    size_t header_count;
};

/* Metadata of an emit. */
struct rn_emit_meta {
    uint32_t struct_size;
    const char *id;      /* what dedupe goes by; NULL: none */
    const char *name;    /* channel; NULL: the default one */
    const char *summary; /* the line in the event list */
    int64_t ts;          /* ms; 0: now. The emits of a run are delivered oldest first */
};

/* Log levels. */
#define RN_LOG_DEBUG 0
#define RN_LOG_INFO 1
#define RN_LOG_WARN 2
#define RN_LOG_ERROR 3

/* Digests. */
#define RN_SHA1 1
#define RN_SHA256 2

/* Kinds of a wait that an action asks for; rn_flow_…() use them. */
#define RN_FLOW_DELAY 1
#define RN_FLOW_SUSPEND 2
#define RN_FLOW_RERUN 3

/* What is asked of a data store; the rn_store_…() functions fill it in. */
#define RN_STORE_GET 1
#define RN_STORE_HAS 2
#define RN_STORE_KEYS 3
#define RN_STORE_ITEMS 4
#define RN_STORE_SET 5
#define RN_STORE_SET_TTL 6
#define RN_STORE_DELETE 7
#define RN_STORE_CLEAR 8
#define RN_STORE_INCREMENT 9
#define RN_STORE_COMPARE_AND_SET 10

struct rn_store_request {
    uint32_t struct_size;
    int32_t op;                     /* RN_STORE_GET … */
    const char *key;                /* keys, items: the key to go on behind, or NULL */
    const struct rn_json *value;    /* set; compare_and_set: NULL deletes */
    const struct rn_json *expected; /* compare_and_set: NULL: no record */
    /* set, set_ttl: ms to live; compare_and_set: the same, 0: as it was; increment: by how much */
    int64_t number;
};

/* Flags of an answer. */
#define RN_STORE_FOUND (1u << 0)   /* the record is (or was) there */
#define RN_STORE_SWAPPED (1u << 1) /* compare_and_set did */
#define RN_STORE_MORE (1u << 2)    /* keys, items: there are more behind the last */

struct rn_store_answer {
    uint32_t struct_size;
    uint32_t flags; /* RN_STORE_FOUND … */
    int64_t number; /* increment: the new value; clear: how many */
    const struct rn_json
        *value; /* get, compare_and_set: the record; keys, items: the list; or NULL */
};

/* What is sent when the run has ended; rn_send_…() use them. */
#define RN_SEND_HTTP 1
#define RN_SEND_EMAIL 2
#define RN_SEND_EMIT 3
#define RN_SEND_SSE 4

/* JSON kinds. */
#define RN_JSON_NULL 0
#define RN_JSON_BOOLEAN 1
#define RN_JSON_NUMBER 2
#define RN_JSON_STRING 3
#define RN_JSON_ARRAY 4
#define RN_JSON_OBJECT 5

/* ------------------------------------------------------------ the run api
 *
 * Append-only; a host of a newer minor version has more at the end. Use the rn_ functions below.
 */
struct rn_api {
    uint32_t struct_size;
    uint32_t reserved;
    /* json */
    struct rn_json *(*json_parse)(struct rn_run *, const char *text, size_t size);
    const char *(*json_print)(struct rn_run *, const struct rn_json *, size_t *ret_size);
    struct rn_json *(*json_copy)(struct rn_run *, const struct rn_json *);
    struct rn_json *(*json_null)(struct rn_run *);
    struct rn_json *(*json_boolean)(struct rn_run *, bool);
    struct rn_json *(*json_integer)(struct rn_run *, int64_t);
    struct rn_json *(*json_number)(struct rn_run *, double);
    struct rn_json *(*json_string)(struct rn_run *, const char *, size_t);
    struct rn_json *(*json_array)(struct rn_run *);
    struct rn_json *(*json_object)(struct rn_run *);
    int32_t (*json_set)(struct rn_run *, struct rn_json *object, const char *key,
                        struct rn_json *value);
    int32_t (*json_append)(struct rn_run *, struct rn_json *array, struct rn_json *value);
    int32_t (*json_kind)(const struct rn_json *);
    size_t (*json_size)(const struct rn_json *);
    const struct rn_json *(*json_get)(const struct rn_json *object, const char *key);
    const struct rn_json *(*json_first)(const struct rn_json *);
    const struct rn_json *(*json_next)(const struct rn_json *);
    const char *(*json_key)(const struct rn_json *);
    const char *(*json_text)(const struct rn_json *, size_t *ret_size);
    const char *(*json_number_text)(const struct rn_json *);
    bool (*json_to_integer)(const struct rn_json *, int64_t *ret);
    bool (*json_to_double)(const struct rn_json *, double *ret);
    bool (*json_to_boolean)(const struct rn_json *);
    /* props and accounts */
    const struct rn_json *(*prop)(struct rn_run *, const char *name);
    const char *(*auth)(struct rn_run *, const char *app_prop, const char *field);
    const char *(*endpoint)(struct rn_run *, const char *http_prop);
    /* configure time */
    int32_t (*option)(struct rn_run *, const char *label, struct rn_json *value);
    int32_t (*options_context)(struct rn_run *, struct rn_json *context);
    int32_t (*add_prop)(struct rn_run *, const struct rn_prop *);
    /* sources: db */
    const struct rn_json *(*db_get)(struct rn_run *, const char *key);
    int32_t (*db_set)(struct rn_run *, const char *key, const struct rn_json *value);
    int32_t (*db_delete)(struct rn_run *, const char *key);
    const struct rn_json *(*db_keys)(struct rn_run *);
    /* sources: the event and the answer */
    const struct rn_json *(*event)(struct rn_run *);
    const char *(*request_method)(struct rn_run *);
    const char *(*request_path)(struct rn_run *);
    const char *(*request_query)(struct rn_run *, const char *name);
    const char *(*request_header)(struct rn_run *, const char *name);
    const void *(*request_body_raw)(struct rn_run *, size_t *ret_size);
    const struct rn_json *(*request_body)(struct rn_run *);
    int32_t (*request_element_span)(struct rn_run *, size_t index, size_t *ret_offset,
                                    size_t *ret_size);
    int32_t (*respond)(struct rn_run *, int32_t status, const struct rn_pair *headers,
                       size_t header_count, const void *body, size_t size);
    int32_t (*emit)(struct rn_run *, const struct rn_json *event, const struct rn_emit_meta *);
    /* actions */
    int32_t (*export_value)(struct rn_run *, const char *name, const struct rn_json *value);
    int32_t (*flow_exit)(struct rn_run *, const char *reason);
    const char *(*idempotency_key)(struct rn_run *, uint32_t index);
    uint32_t (*attempt)(struct rn_run *);
    /* http client */
    int32_t (*http)(struct rn_run *, const struct rn_http_request *,
                    const struct rn_http_response **ret);
    int32_t (*execute)(struct rn_run *, const char *http_request_prop,
                       const struct rn_http_response **ret);
    /* helpers */
    const char *(*hmac_hex)(struct rn_run *, int32_t digest, const void *key, size_t key_size,
                            const void *data, size_t size);
    const char *(*hash_hex)(struct rn_run *, int32_t digest, const void *data, size_t size);
    bool (*equal_constant_time)(const void *a, size_t a_size, const void *b, size_t b_size);
    const char *(*random_hex)(struct rn_run *, size_t bytes);
    const char *(*uuid)(struct rn_run *);
    const char *(*base64)(struct rn_run *, const void *data, size_t size);
    const void *(*base64_decode)(struct rn_run *, const char *text, size_t *ret_size);
    const char *(*url_encode)(struct rn_run *, const char *text);
    int64_t (*now_ms)(void);
    bool (*parse_time)(const char *iso8601, int64_t *ret_ms);
    const char *(*format_time)(struct rn_run *, int64_t ms);
    /* the call */
    int64_t (*deadline_ms)(struct rn_run *);
    bool (*is_cancelled)(struct rn_run *);
    int32_t (*sleep_ms)(struct rn_run *, int64_t ms);
    void (*log)(struct rn_run *, int32_t level, const char *text);
    int32_t (*fail)(struct rn_run *, int32_t code, const char *text);
    const char *(*text)(struct rn_run *, const char *const *parts, size_t count);
    const char *(*temp_dir)(struct rn_run *);
    /* since 1.1 */
    int32_t (*respond_now)(struct rn_run *, int32_t status, const struct rn_pair *headers,
                           size_t header_count, const void *body, size_t size);
    /* since 1.2 */
    int32_t (*flow_wait)(struct rn_run *, int32_t kind, int64_t ms, const struct rn_json *context,
                         uint32_t max);
    const char *(*flow_url)(struct rn_run *, bool is_cancel);
    uint32_t (*runs)(struct rn_run *);
    const struct rn_json *(*rerun_value)(struct rn_run *, bool is_callback);
    /* since 1.3 */
    int32_t (*store)(struct rn_run *, const char *prop, const struct rn_store_request *,
                     struct rn_store_answer *ret);
    /* since 1.4 */
    const char *(*dir_path)(struct rn_run *, const char *prop, const char *name);
    int32_t (*dir_read)(struct rn_run *, const char *prop, const char *name, const void **ret_data,
                        size_t *ret_size);
    int32_t (*dir_write)(struct rn_run *, const char *prop, const char *name, const void *data,
                         size_t size);
    /* since 1.5 */
    int32_t (*send)(struct rn_run *, int32_t kind, const struct rn_json *what, const char *channel);
};

/* What a component sees of a run: the first member, for the functions below. */
struct rn_run {
    const struct rn_api *api;
};

#include <runnel/component_inline.h>

#ifdef __cplusplus
}
#endif

#endif
