/* One callback in progress, as the host sees it: what struct rn_run is the first member of.
 *
 * Inputs are borrowed from the caller (host.c, or the fake host of sdk/testing) and outlive the
 * run. Everything that the component makes lives in the run: bytes in its arena, JSON values in its
 * table of roots until they get a parent. Outputs are gathered here; nothing takes effect before
 * the caller has looked at the result. One thread, but for `cancelled`. Life cycle: run_init → set
 * the inputs → run_component_…() → read the outputs → run_release. */
#ifndef RUNNEL_PLUGIN_RUN_H
#define RUNNEL_PLUGIN_RUN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/folder.h"
#include "net/http_client.h"
#include "plugin/tables.h"
#include "json/json.h"

#include <stdatomic.h>

#include <runnel/component.h>

/* What a run needs from outside. The host uses net/http_client.h and ipc/supervisor.h, the fake
 * host scripts and lists. */
struct run_services {
    /* As http_client_fetch(); may block. */
    int (*fetch)(void *ctx, const struct fetch_request *request, struct fetch_response *response,
                 struct err *err);
    void (*fetch_release)(struct fetch_response *response);
    int64_t (*retry_after_ms)(const struct fetch_response *response);
    /* Waits; RN_ECANCELED when the run was cancelled meanwhile. */
    int (*sleep)(void *ctx, int64_t ms, const atomic_bool *cancelled);
    /* The run is about to wait for something. */
    void (*may_block)(void *ctx);
    /* Asks the runtime (plugin/protocol.h); may block. `values` become sections. The results are
     * the run's to free; *ret_value NULL: the answer has no value. */
    int (*ask)(void *ctx, const struct json *request, const struct json *const *values,
               size_t count, struct json **ret_answer, struct json **ret_value, struct err *err);
    /* A line of the run's log, redacted and cut. */
    void (*log)(void *ctx, int32_t level, struct str text);
};

enum run_op { RUN_SOURCE, RUN_HOOK, RUN_ACTION, RUN_OPTIONS, RUN_ADDITIONAL_PROPS, RUN_TEST };

enum { RUN_ROOTS_INLINE = 32 };

struct run_request {
    const char *method; /* NULL: the event is no HTTP request */
    const char *path;
    struct str query;           /* raw */
    const struct json *headers; /* object, names in lower case */
    const char *url;
    const char *client_ip;
    struct str body;
    bool is_parsed; /* body_json was tried */
    struct json *body_json;
    bool body_is_text_json; /* body_json is the parsed text of `body`, byte for byte */
    struct json *query_json;
};

struct run_write {
    const char *key;
    struct json *value; /* NULL: delete */
    size_t bytes;
    struct run_write *next;
};

struct run_emit {
    const char *id, *name, *summary; /* or NULL */
    int64_t ts;                      /* what was given; 0: none */
    int64_t order_ts;
    size_t index;
    struct str text; /* JSON */
};

struct run_export {
    const char *name;
    struct str text; /* JSON */
    struct run_export *next;
};

struct run_response {
    bool is_set;
    int32_t status;
    const struct rn_pair *headers;
    size_t header_count;
    struct str body;
    bool is_immediate; /* an action's */
};

/* A wait that the action asked for. */
struct run_flow {
    int32_t kind; /* RN_FLOW_DELAY …; 0: none */
    int64_t ms;
    uint32_t max;
    struct str context; /* JSON text; empty: none */
};

/* Something to be sent when the workflow's run has ended. */
struct run_send {
    struct str text; /* {"kind": …, …} */
    struct run_send *next;
};

struct run_fetched {
    struct fetch_response response;
    struct run_fetched *next;
};

struct run {
    struct rn_run base; /* must be first */
    const struct run_services *services;
    void *services_ctx;
    const atomic_bool *cancelled; /* may be NULL */
    const struct plugin *plugin;
    const struct plugin_component *component; /* NULL: an app's test() */
    enum run_op op;
    int64_t deadline_mono_ms;

    /* inputs */
    const struct json *props;
    const struct json *auth;      /* {app prop: {field: value}} */
    const struct json *endpoints; /* {http prop: url} */
    const struct json *db;
    const struct json *event; /* given, or built from the request */
    struct run_request request;
    const char *idempotency_key;
    uint32_t attempt;
    const char *resume_url;   /* the base: /resume and /cancel are added */
    uint32_t runs;            /* of the step, from 1 */
    const struct json *rerun; /* {context?, callback?}; NULL: none */
    const char *files;        /* the run's folder; NULL: the component has no RN_DIR prop */
    uint64_t files_limit;     /* bytes */
    int64_t began_ms;         /* of the call: what is newer in the folder is its own */

    /* outputs */
    struct run_write *writes, **writes_end;
    size_t write_count;
    struct run_emit *emits; /* malloc'd */
    size_t emit_count, emit_capacity, emit_bytes;
    struct run_response response;
    struct run_export *exports, **exports_end;
    size_t export_bytes;
    const char *exit_reason; /* NULL: not called */
    struct run_flow flow;
    struct folder_use files_use; /* of `files` at the end */
    struct run_send *sends, **sends_end;
    size_t send_count, send_bytes;
    struct json *options;         /* list, or NULL */
    struct json *options_context; /* or NULL */
    struct json *added_props;     /* list of descriptions, or NULL */
    struct err err;               /* the last text of rn_fail() and of the functions below */
    int64_t retry_after_ms;       /* -1: no hint */
    int32_t http_status;          /* of the last answer of 400 or more; 0: none */

    /* the run's own */
    struct arena arena;
    struct json *root_space[RUN_ROOTS_INLINE];
    struct json **roots;
    size_t root_count, root_capacity;
    struct run_fetched *fetched;
    struct str *secrets;
    size_t secret_count;
    bool has_secrets;
    size_t log_bytes;
    size_t db_bytes; /* of `db`; SIZE_MAX: not yet known */
    char *temp_dir;
};

extern const struct rn_api run_api;

void run_init(struct run *run, enum run_op op, const struct run_services *services, void *ctx);
void run_release(struct run *run);

/* The callbacks. Each returns 0, or a code with run->err set to a text without secrets. */
int run_call(struct run *run, int32_t (*callback)(struct rn_run *run), const char *what) MUST_USE;
int run_call_options(struct run *run, const char *prop, uint32_t page, const char *query,
                     const struct json *prev_context) MUST_USE;
int run_call_additional_props(struct run *run, const struct json *previous) MUST_USE;
/* Brings the emits into the order of delivery: by ts, those of the same ts as they came. */
void run_sort_emits(struct run *run);
/* Appends {"name":value,…}. */
void run_write_exports(const struct run *run, struct buf *out);

/* ---- for the files of the api */

static inline struct run *run_of(struct rn_run *run)
{
    return (struct run *)run;
}

static inline const struct json *json_of(const struct rn_json *value)
{
    return (const struct json *)value;
}

static inline struct json *json_of_mut(struct rn_json *value)
{
    return (struct json *)value;
}

static inline const struct rn_json *rn_of(const struct json *value)
{
    return (const struct rn_json *)value;
}

/* Sets run->err; returns `code`. */
int32_t run_fail(struct run *run, int32_t code, const char *format, ...) PRINTF_LIKE(3, 4);
/* A value of the run's own: freed at its end unless it gets a parent. NULL gives NULL. */
struct rn_json *run_track(struct run *run, struct json *value);
/* Takes a root out of the run's keeping. False: it is none (it has a parent, or is borrowed). */
bool run_untrack(struct run *run, const struct json *value);
/* `value` for keeping: taken if it is a root, else copied. */
struct json *run_take(struct run *run, struct rn_json *value);
/* The compact text in the arena. */
struct str run_print(struct run *run, const struct json *value);
/* The text without the secrets of the run's accounts, in the arena (or `text` itself). */
struct str run_redact(struct run *run, struct str text);
const struct json *run_prop(struct run *run, const char *name);
int64_t run_left_ms(const struct run *run);
bool run_is_cancelled(const struct run *run);
int run_sleep(struct run *run, int64_t ms) MUST_USE;
const struct json *run_request_body(struct run *run);
/* Whether a header's name or value is one that HTTP allows. */
bool run_is_header_name(const char *text);
bool run_is_header_value(const char *text);

/* The families of the api. */
struct rn_json *api_json_parse(struct rn_run *, const char *text, size_t size);
const char *api_json_print(struct rn_run *, const struct rn_json *, size_t *ret_size);
struct rn_json *api_json_copy(struct rn_run *, const struct rn_json *);
struct rn_json *api_json_null(struct rn_run *);
struct rn_json *api_json_boolean(struct rn_run *, bool value);
struct rn_json *api_json_integer(struct rn_run *, int64_t value);
struct rn_json *api_json_number(struct rn_run *, double value);
struct rn_json *api_json_string(struct rn_run *, const char *text, size_t size);
struct rn_json *api_json_array(struct rn_run *);
struct rn_json *api_json_object(struct rn_run *);
int32_t api_json_set(struct rn_run *, struct rn_json *object, const char *key, struct rn_json *);
int32_t api_json_append(struct rn_run *, struct rn_json *array, struct rn_json *value);
int32_t api_json_kind(const struct rn_json *);
size_t api_json_size(const struct rn_json *);
const struct rn_json *api_json_get(const struct rn_json *object, const char *key);
const struct rn_json *api_json_first(const struct rn_json *);
const struct rn_json *api_json_next(const struct rn_json *);
const char *api_json_key(const struct rn_json *);
const char *api_json_text(const struct rn_json *, size_t *ret_size);
const char *api_json_number_text(const struct rn_json *);
bool api_json_to_integer(const struct rn_json *, int64_t *ret);
bool api_json_to_double(const struct rn_json *, double *ret);
bool api_json_to_boolean(const struct rn_json *);

const struct rn_json *api_prop(struct rn_run *, const char *name);
const char *api_auth(struct rn_run *, const char *app_prop, const char *field);
const char *api_endpoint(struct rn_run *, const char *http_prop);
int32_t api_option(struct rn_run *, const char *label, struct rn_json *value);
int32_t api_options_context(struct rn_run *, struct rn_json *context);
int32_t api_add_prop(struct rn_run *, const struct rn_prop *);

const struct rn_json *api_db_get(struct rn_run *, const char *key);
int32_t api_db_set(struct rn_run *, const char *key, const struct rn_json *value);
int32_t api_db_delete(struct rn_run *, const char *key);
const struct rn_json *api_db_keys(struct rn_run *);

const struct rn_json *api_event(struct rn_run *);
const char *api_request_method(struct rn_run *);
const char *api_request_path(struct rn_run *);
const char *api_request_query(struct rn_run *, const char *name);
const char *api_request_header(struct rn_run *, const char *name);
const void *api_request_body_raw(struct rn_run *, size_t *ret_size);
const struct rn_json *api_request_body(struct rn_run *);
int32_t api_request_element_span(struct rn_run *, size_t index, size_t *ret_offset,
                                 size_t *ret_size);
int32_t api_respond(struct rn_run *, int32_t status, const struct rn_pair *headers,
                    size_t header_count, const void *body, size_t size);
int32_t api_respond_now(struct rn_run *, int32_t status, const struct rn_pair *headers,
                        size_t header_count, const void *body, size_t size);
int32_t api_emit(struct rn_run *, const struct rn_json *event, const struct rn_emit_meta *);

int32_t api_export(struct rn_run *, const char *name, const struct rn_json *value);
int32_t api_flow_exit(struct rn_run *, const char *reason);
const char *api_idempotency_key(struct rn_run *, uint32_t index);
uint32_t api_attempt(struct rn_run *);

int32_t api_flow_wait(struct rn_run *, int32_t kind, int64_t ms, const struct rn_json *context,
                      uint32_t max);
const char *api_flow_url(struct rn_run *, bool is_cancel);
uint32_t api_runs(struct rn_run *);
const struct rn_json *api_rerun_value(struct rn_run *, bool is_callback);
/* Appends the wait as the runtime reads it: {"kind":…,"ms":…,"max":…,"context":…}. */
void run_write_flow(const struct run *run, struct buf *out);

int32_t api_send(struct rn_run *, int32_t kind, const struct rn_json *what, const char *channel);
/* Appends the list of what is to be sent, as the runtime reads it. */
void run_write_sends(const struct run *run, struct buf *out);

int32_t api_store(struct rn_run *, const char *prop, const struct rn_store_request *,
                  struct rn_store_answer *ret);
const char *api_dir_path(struct rn_run *, const char *prop, const char *name);
int32_t api_dir_read(struct rn_run *, const char *prop, const char *name, const void **ret_data,
                     size_t *ret_size);
int32_t api_dir_write(struct rn_run *, const char *prop, const char *name, const void *data,
                      size_t size);

int32_t api_http(struct rn_run *, const struct rn_http_request *, const struct rn_http_response **);
int32_t api_execute(struct rn_run *, const char *prop, const struct rn_http_response **ret);

const char *api_hmac_hex(struct rn_run *, int32_t digest, const void *key, size_t key_size,
                         const void *data, size_t size);
const char *api_hash_hex(struct rn_run *, int32_t digest, const void *data, size_t size);
bool api_equal(const void *a, size_t a_size, const void *b, size_t b_size);
const char *api_random_hex(struct rn_run *, size_t bytes);
const char *api_uuid(struct rn_run *);
const char *api_base64(struct rn_run *, const void *data, size_t size);
const void *api_base64_decode(struct rn_run *, const char *text, size_t *ret_size);
const char *api_url_encode(struct rn_run *, const char *text);
int64_t api_now_ms(void);
bool api_parse_time(const char *text, int64_t *ret_ms);
const char *api_format_time(struct rn_run *, int64_t ms);
int64_t api_deadline_ms(struct rn_run *);
bool api_is_cancelled(struct rn_run *);
int32_t api_sleep_ms(struct rn_run *, int64_t ms);
void api_log(struct rn_run *, int32_t level, const char *text);
int32_t api_fail(struct rn_run *, int32_t code, const char *text);
const char *api_text(struct rn_run *, const char *const *parts, size_t count);
const char *api_temp_dir(struct rn_run *);

#endif
