/* The functions that a component calls. Included by runnel/component.h; do not include it yourself.
 *
 * All are [worker] and since ABI 1.0 unless they say otherwise. A const char * that is returned is
 * never NULL unless the contract says so, and lives until the callback returns.
 */
#ifndef RUNNEL_COMPONENT_INLINE_H
#define RUNNEL_COMPONENT_INLINE_H

#include <string.h>

/* ------------------------------------------------------------------- JSON */

/* Parses one JSON text, strictly (RFC 8259, no duplicate keys). NULL if it is not one; log or fail
 * as you see fit. */
static inline struct rn_json *rn_json_parse(struct rn_run *run, const char *text, size_t size)
{
    return run->api->json_parse(run, text, size);
}

/* The compact JSON text of `value`, its length in *ret_size (which may be NULL). Numbers come out
 * digit for digit. */
static inline const char *rn_json_print(struct rn_run *run, const struct rn_json *value,
                                        size_t *ret_size)
{
    return run->api->json_print(run, value, ret_size);
}

/* A deep copy, free to be changed and to become part of another value. */
static inline struct rn_json *rn_json_copy(struct rn_run *run, const struct rn_json *value)
{
    return run->api->json_copy(run, value);
}

static inline struct rn_json *rn_json_null(struct rn_run *run)
{
    return run->api->json_null(run);
}

static inline struct rn_json *rn_json_boolean(struct rn_run *run, bool value)
{
    return run->api->json_boolean(run, value);
}

static inline struct rn_json *rn_json_integer(struct rn_run *run, int64_t value)
{
    return run->api->json_integer(run, value);
}

/* NaN and infinities, which JSON lacks, become null. */
static inline struct rn_json *rn_json_number(struct rn_run *run, double value)
{
    return run->api->json_number(run, value);
}

/* A string; NULL gives null. Bytes that are not UTF-8 are replaced by U+FFFD. */
static inline struct rn_json *rn_json_string(struct rn_run *run, const char *text)
{
    return text ? run->api->json_string(run, text, strlen(text)) : run->api->json_null(run);
}

/* A string that may hold U+0000. */
static inline struct rn_json *rn_json_string_n(struct rn_run *run, const char *text, size_t size)
{
    return run->api->json_string(run, text, size);
}

static inline struct rn_json *rn_json_array(struct rn_run *run)
{
    return run->api->json_array(run);
}

static inline struct rn_json *rn_json_object(struct rn_run *run)
{
    return run->api->json_object(run);
}

/* Sets or replaces a member. `value` becomes part of `object` and must not be part of another
 * value; NULL is ignored. RN_EINVAL: `object` is no object. */
static inline int32_t rn_json_set(struct rn_run *run, struct rn_json *object, const char *key,
                                  struct rn_json *value)
{
    return run->api->json_set(run, object, key, value);
}

/* Appends an element; as rn_json_set(). */
static inline int32_t rn_json_append(struct rn_run *run, struct rn_json *array,
                                     struct rn_json *value)
{
    return run->api->json_append(run, array, value);
}

/* RN_JSON_NULL … RN_JSON_OBJECT; -1 for NULL (undefined). */
static inline int32_t rn_json_kind(struct rn_run *run, const struct rn_json *value)
{
    return value ? run->api->json_kind(value) : -1;
}

/* The number of elements or members; 0 for anything else. */
static inline size_t rn_json_size(struct rn_run *run, const struct rn_json *value)
{
    return value ? run->api->json_size(value) : 0;
}

/* A member by its name, or NULL: also when `object` is NULL or no object, so that calls may be
 * nested. */
static inline const struct rn_json *rn_json_get(struct rn_run *run, const struct rn_json *object,
                                                const char *key)
{
    return object ? run->api->json_get(object, key) : NULL;
}

/* The first element or member, then the next: for (v = rn_json_first(run, a); v; v =
 * rn_json_next(run, v)). */
static inline const struct rn_json *rn_json_first(struct rn_run *run, const struct rn_json *value)
{
    return value ? run->api->json_first(value) : NULL;
}

static inline const struct rn_json *rn_json_next(struct rn_run *run, const struct rn_json *value)
{
    return run->api->json_next(value);
}

/* The member's name; NULL for an element. */
static inline const char *rn_json_key(struct rn_run *run, const struct rn_json *value)
{
    return run->api->json_key(value);
}

/* The text of a string, its length in *ret_size (which may be NULL); NULL if it is no string. */
static inline const char *rn_json_text(struct rn_run *run, const struct rn_json *value,
                                       size_t *ret_size)
{
    return value ? run->api->json_text(value, ret_size) : NULL;
}

/* The literal of a number, digit for digit; NULL if it is no number. */
static inline const char *rn_json_number_text(struct rn_run *run, const struct rn_json *value)
{
    return value ? run->api->json_number_text(value) : NULL;
}

/* False if it is no number, has a fraction or does not fit. */
static inline bool rn_json_to_integer(struct rn_run *run, const struct rn_json *value, int64_t *ret)
{
    return value && run->api->json_to_integer(value, ret);
}

static inline bool rn_json_to_double(struct rn_run *run, const struct rn_json *value, double *ret)
{
    return value && run->api->json_to_double(value, ret);
}

/* True for `true` only. */
static inline bool rn_json_is_true(struct rn_run *run, const struct rn_json *value)
{
    return value && run->api->json_to_boolean(value);
}

/* ---------------------------------------------------- props and accounts */

/* The configured value of a prop, of the type it was declared with; NULL: not set (optional props
 * only). */
static inline const struct rn_json *rn_prop(struct rn_run *run, const char *name)
{
    return run->api->prop(run, name);
}

/* The value of a string prop; NULL: not set. */
static inline const char *rn_prop_string(struct rn_run *run, const char *name)
{
    return rn_json_text(run, run->api->prop(run, name), NULL);
}

/* The value of an integer prop, or `otherwise`. */
static inline int64_t rn_prop_integer(struct rn_run *run, const char *name, int64_t otherwise)
{
    int64_t value = otherwise;
    return rn_json_to_integer(run, run->api->prop(run, name), &value) ? value : otherwise;
}

/* The value of a boolean prop; false if not set. */
static inline bool rn_prop_boolean(struct rn_run *run, const char *name)
{
    return rn_json_is_true(run, run->api->prop(run, name));
}

/* One value of the account behind an RN_APP prop: a field of the app's auth, or oauth_access_token
 * (fresh). NULL: the account has no such field. */
static inline const char *rn_auth(struct rn_run *run, const char *app_prop, const char *field)
{
    return run->api->auth(run, app_prop, field);
}

/* The public URL of an RN_HTTP_INTERFACE prop. */
static inline const char *rn_endpoint(struct rn_run *run, const char *http_prop)
{
    return run->api->endpoint(run, http_prop);
}

/* ---------------------------------------------------------- configure time */

/* Offers an option: in options(). `label` NULL: the value's text. RN_ETOOBIG past 1,000 options a
 * page. */
static inline int32_t rn_option(struct rn_run *run, const char *label, struct rn_json *value)
{
    return run->api->option(run, label, value);
}

/* Says that there is a next page, and what to hand to it: in options(). */
static inline int32_t rn_options_context(struct rn_run *run, struct rn_json *context)
{
    return run->api->options_context(run, context);
}

/* Adds a prop: in additional_props(). The definition is copied; it may not have options() or
 * inputs_fn. */
static inline int32_t rn_add_prop(struct rn_run *run, const struct rn_prop *prop)
{
    return run->api->add_prop(run, prop);
}

/* ---------------------------------------------------------------- sources */

/* A value of the instance's db, with the writes of this callback applied; NULL: none. */
static inline const struct rn_json *rn_db_get(struct rn_run *run, const char *key)
{
    return run->api->db_get(run, key);
}

/* Sets a value; it takes effect when the callback returns 0. Key: 1 to 256 bytes. RN_ETOOBIG: over
 * 1 MiB in all. */
static inline int32_t rn_db_set(struct rn_run *run, const char *key, const struct rn_json *value)
{
    return run->api->db_set(run, key, value);
}

static inline int32_t rn_db_delete(struct rn_run *run, const char *key)
{
    return run->api->db_delete(run, key);
}

/* The keys, an array of strings, with the writes of this callback applied. */
static inline const struct rn_json *rn_db_keys(struct rn_run *run)
{
    return run->api->db_keys(run);
}

/* The event that run() was called with. HTTP: {method, path, query, headers, body, bodyRaw, url,
 * client_ip}, header names in lower case; timer: {timestamp, interval_seconds | cron}; run by hand:
 * {timestamp} or what was given. */
static inline const struct rn_json *rn_event(struct rn_run *run)
{
    return run->api->event(run);
}

/* The HTTP request of the event, without building the JSON. NULL where the event is no HTTP
 * request. */
static inline const char *rn_request_method(struct rn_run *run)
{
    return run->api->request_method(run);
}

static inline const char *rn_request_path(struct rn_run *run)
{
    return run->api->request_path(run);
}

/* A query parameter, decoded; NULL: none. */
static inline const char *rn_request_query(struct rn_run *run, const char *name)
{
    return run->api->request_query(run, name);
}

/* A header by its name in any case; NULL: none. Repeated headers are joined with ", ". */
static inline const char *rn_request_header(struct rn_run *run, const char *name)
{
    return run->api->request_header(run, name);
}

/* The body, byte for byte. */
static inline const void *rn_request_body_raw(struct rn_run *run, size_t *ret_size)
{
    return run->api->request_body_raw(run, ret_size);
}

/* The body parsed: JSON by its content type or, for lack of one, its look; an object for forms;
 * else a string. NULL: it says that it is JSON and is not, or there is none. */
static inline const struct rn_json *rn_request_body(struct rn_run *run)
{
    return run->api->request_body(run);
}

/* Where element `index` of a JSON-array body stands in the raw body. RN_EINVAL: the body is no JSON
 * array; RN_ENOTFOUND: it has no such element. */
static inline int32_t rn_request_element_span(struct rn_run *run, size_t index, size_t *ret_offset,
                                              size_t *ret_size)
{
    return run->api->request_element_span(run, index, ret_offset, ret_size);
}

/* Answers the HTTP request. A source needs RN_CUSTOM_RESPONSE; its answer goes out after the run's
 * commit. An action (since 1.1) answers for its workflow, at the end of the workflow's run; it
 * counts if the action returns 0 and the trigger says `respond: workflow`. The first answer counts.
 * RN_EINVAL: status outside 100 to 599, or a header that HTTP does not allow. [worker] */
static inline int32_t rn_respond(struct rn_run *run, int32_t status, const struct rn_pair *headers,
                                 size_t header_count, const void *body, size_t size)
{
    return run->api->respond(run, status, headers, header_count, body, size);
}

/* As rn_respond(), but an action's answer goes out as soon as the action has returned 0; the
 * workflow goes on. On a runtime without it: at the end of the run. [worker], since 1.1 */
static inline int32_t rn_respond_now(struct rn_run *run, int32_t status,
                                     const struct rn_pair *headers, size_t header_count,
                                     const void *body, size_t size)
{
    if (run->api->struct_size <
        offsetof(struct rn_api, respond_now) + sizeof(run->api->respond_now))
        return run->api->respond(run, status, headers, header_count, body, size);
    return run->api->respond_now(run, status, headers, header_count, body, size);
}

/* Emits an event to whoever listens; it is delivered when the callback returns 0. `meta` may be
 * NULL. RN_EINVAL: the dedupe strategy needs an id, or a numeric one. RN_ETOOBIG: over 10,000
 * events or 32 MiB in one run. */
static inline int32_t rn_emit(struct rn_run *run, const struct rn_json *event,
                              const struct rn_emit_meta *meta)
{
    return run->api->emit(run, event, meta);
}

/* ---------------------------------------------------------------- actions */

/* Sets steps.<namespace>.<name>. Names that start with $ are reserved, but for those below. */
static inline int32_t rn_export(struct rn_run *run, const char *name, const struct rn_json *value)
{
    return run->api->export_value(run, name, value);
}

/* The step's result: steps.<namespace>.$return_value. */
static inline int32_t rn_return(struct rn_run *run, const struct rn_json *value)
{
    return run->api->export_value(run, "$return_value", value);
}

/* The line shown on the step: "Successfully sent …". */
static inline int32_t rn_summary(struct rn_run *run, const char *text)
{
    return run->api->export_value(run, "$summary", rn_json_string(run, text));
}

/* Ends the workflow after this step, as a success; `reason` is shown with the run. */
static inline int32_t rn_flow_exit(struct rn_run *run, const char *reason)
{
    return run->api->flow_exit(run, reason);
}

/* The workflow waits at the end of this step: it goes on after `ms` (1 to 366 days), or as soon as
 * rn_resume_url() is called. Takes effect when the action returns 0; the last of these three calls
 * counts, and rn_flow_exit() goes before them. While it waits, a restart of the runtime loses
 * nothing. RN_EINVAL: `ms`. [worker], since 1.2 */
static inline int32_t rn_flow_delay(struct rn_run *run, int64_t ms)
{
    return run->api->flow_wait(run, RN_FLOW_DELAY, ms, NULL, 0);
}

/* The same, until rn_resume_url() is called, whose request becomes steps.<namespace>.$resume_data.
 * After `timeout_ms` (0: 24 hours) without it the run is cancelled. [worker], since 1.2 */
static inline int32_t rn_flow_suspend(struct rn_run *run, int64_t timeout_ms)
{
    return run->api->flow_wait(run, RN_FLOW_SUSPEND, timeout_ms, NULL, 0);
}

/* This step is run again after `ms`, or as soon as rn_resume_url() is called, at most `max` times
 * (0: 10): past them the workflow goes on with the next step, no error. `context` (at most 64 KiB
 * of JSON; NULL: none) is what rn_rerun_context() gives then. [worker], since 1.2 */
static inline int32_t rn_flow_rerun(struct rn_run *run, int64_t ms, const struct rn_json *context,
                                    uint32_t max)
{
    return run->api->flow_wait(run, RN_FLOW_RERUN, ms, context, max);
}

/* The URL whose call ends a wait of this attempt of the step; valid once the step has ended with a
 * wait. Whoever has it can resume the run, so hand it on with care. [worker], since 1.2 */
static inline const char *rn_resume_url(struct rn_run *run)
{
    return run->api->flow_url(run, false);
}

/* The URL whose call cancels the waiting run. [worker], since 1.2 */
static inline const char *rn_cancel_url(struct rn_run *run)
{
    return run->api->flow_url(run, true);
}

/* 1, and one more with each rerun of the step. [worker], since 1.2 */
static inline uint32_t rn_runs(struct rn_run *run)
{
    return run->api->runs(run);
}

/* What the rn_flow_rerun() before this run of the step passed; NULL: it is the first run, or there
 * was no context. [worker], since 1.2 */
static inline const struct rn_json *rn_rerun_context(struct rn_run *run)
{
    return run->api->rerun_value(run, false);
}

/* The HTTP request that called rn_resume_url(), where that is what started this run of the step:
 * {method, path, query, headers, body}; NULL: it was the time. [worker], since 1.2 */
static inline const struct rn_json *rn_callback_request(struct rn_run *run)
{
    return run->api->rerun_value(run, true);
}

/* ------------------------------------------------------------------- sends
 *
 * What is to go out when the run has ended, in the background. It is kept if the step succeeds, and
 * dropped if it fails. Values are copied. A run sends 10,000 things and 16 MiB at most: RN_ETOOBIG.
 * RN_EINVAL: no action, no object. What is wrong in a value itself (no "url") fails the step when
 * it has returned 0. */

/* An HTTP request: {"url", "method", "headers": {…}, "params": {…}, "data", "auth": {"username",
 * "password"}}. `data` that is a text goes out as it is, {"$base64", "mimetype"} as these bytes,
 * all else as JSON. At least once, always with the same Idempotency-Key. [worker], since 1.5 */
static inline int32_t rn_send_http(struct rn_run *run, const struct rn_json *request)
{
    return run->api->send(run, RN_SEND_HTTP, request, NULL);
}

/* Mail: {"subject", "text", "html", "to"}; text or html, or both; without `to` to the owner.
 * [worker], since 1.5 */
static inline int32_t rn_send_email(struct rn_run *run, const struct rn_json *mail)
{
    return run->api->send(run, RN_SEND_EMAIL, mail, NULL);
}

/* An event of the workflow, for the workflows that listen to the channel (NULL: the default one).
 * [worker], since 1.5 */
static inline int32_t rn_send_emit(struct rn_run *run, const struct rn_json *event,
                                   const char *channel)
{
    return run->api->send(run, RN_SEND_EMIT, event, channel);
}

/* A message for those who follow the workflow's stream. [worker], since 1.5 */
static inline int32_t rn_send_sse(struct rn_run *run, const char *channel,
                                  const struct rn_json *payload)
{
    return run->api->send(run, RN_SEND_SSE, payload, channel);
}

/* The same for every attempt of this step of this run, and different for any other; `index` tells
 * apart the requests of one step. 32 hexadecimal digits. Hand it to vendors that take one. */
static inline const char *rn_idempotency_key(struct rn_run *run, uint32_t index)
{
    return run->api->idempotency_key(run, index);
}

/* 1 for the first attempt of the step. */
static inline uint32_t rn_attempt(struct rn_run *run)
{
    return run->api->attempt(run);
}

/* ------------------------------------------------------------ data stores
 *
 * `prop` is the name of an RN_DATA_STORE prop: it names one of the project's stores, which all
 * workflows share. Each call goes to the runtime and waits for it; what it writes is on disk when
 * it returns, and stays when the step fails later. A step is called at least once, so what is not
 * to be done twice must be safe to repeat (set is; increment is not). Keys: 1 to 256 bytes. Values:
 * JSON of at most 1 MiB; 100,000 records and 256 MiB a store. On failure rn_fail() has been called.
 * options() and additional_props() may read the stores that their props name.
 *   RN_EINVAL        the prop names no store; the key; an increment of what is no integer
 *   RN_ETOOBIG       a limit above
 *   RN_EPERM         the store is not one of this step's
 *   RN_EUNAVAILABLE  the runtime is going down
 *   RN_ENOSPACE      the project's store is at its quota */

/* One request with everything that can be asked. [worker], since 1.3 */
static inline int32_t rn_store(struct rn_run *run, const char *prop,
                               const struct rn_store_request *request, struct rn_store_answer *ret)
{
    return run->api->store(run, prop, request, ret);
}

#define RN_STORE_REQUEST_(op_)                                                                     \
    {                                                                                              \
        (uint32_t)sizeof(struct rn_store_request), (op_), NULL, NULL, NULL, 0                      \
    }
#define RN_STORE_ANSWER_                                                                           \
    {                                                                                              \
        (uint32_t)sizeof(struct rn_store_answer), 0, 0, NULL                                       \
    }

/* *ret: the record's value, a copy; NULL: there is none. [worker], since 1.3 */
static inline int32_t rn_store_get(struct rn_run *run, const char *prop, const char *key,
                                   const struct rn_json **ret)
{
    struct rn_store_request request = RN_STORE_REQUEST_(RN_STORE_GET);
    struct rn_store_answer answer = RN_STORE_ANSWER_;
    request.key = key;
    int32_t err = rn_store(run, prop, &request, &answer);
    *ret = answer.value;
    return err;
}

/* Sets the record. `ttl_ms`: how long it lives; 0: until it is deleted. [worker], since 1.3 */
static inline int32_t rn_store_set(struct rn_run *run, const char *prop, const char *key,
                                   const struct rn_json *value, int64_t ttl_ms)
{
    struct rn_store_request request = RN_STORE_REQUEST_(RN_STORE_SET);
    struct rn_store_answer answer = RN_STORE_ANSWER_;
    request.key = key;
    request.value = value;
    request.number = ttl_ms;
    return rn_store(run, prop, &request, &answer);
}

/* How long the record lives from now on; 0: until it is deleted. *ret_found: whether it is there.
 * [worker], since 1.3 */
static inline int32_t rn_store_set_ttl(struct rn_run *run, const char *prop, const char *key,
                                       int64_t ttl_ms, bool *ret_found)
{
    struct rn_store_request request = RN_STORE_REQUEST_(RN_STORE_SET_TTL);
    struct rn_store_answer answer = RN_STORE_ANSWER_;
    request.key = key;
    request.number = ttl_ms;
    int32_t err = rn_store(run, prop, &request, &answer);
    *ret_found = (answer.flags & RN_STORE_FOUND) != 0;
    return err;
}

/* Whether there is such a record. [worker], since 1.3 */
static inline int32_t rn_store_has(struct rn_run *run, const char *prop, const char *key,
                                   bool *ret_found)
{
    struct rn_store_request request = RN_STORE_REQUEST_(RN_STORE_HAS);
    struct rn_store_answer answer = RN_STORE_ANSWER_;
    request.key = key;
    int32_t err = rn_store(run, prop, &request, &answer);
    *ret_found = (answer.flags & RN_STORE_FOUND) != 0;
    return err;
}

/* The keys behind `after` (NULL: all), in the order of their bytes, as an array; at most 1,000, and
 * *ret_more says whether there are more behind the last. [worker], since 1.3 */
static inline int32_t rn_store_keys(struct rn_run *run, const char *prop, const char *after,
                                    const struct rn_json **ret, bool *ret_more)
{
    struct rn_store_request request = RN_STORE_REQUEST_(RN_STORE_KEYS);
    struct rn_store_answer answer = RN_STORE_ANSWER_;
    request.key = after;
    int32_t err = rn_store(run, prop, &request, &answer);
    *ret = answer.value;
    *ret_more = (answer.flags & RN_STORE_MORE) != 0;
    return err;
}

/* The same with their values: an array of [key, value]; a page ends at 4 MiB, too. [worker], since
 * 1.3 */
static inline int32_t rn_store_items(struct rn_run *run, const char *prop, const char *after,
                                     const struct rn_json **ret, bool *ret_more)
{
    struct rn_store_request request = RN_STORE_REQUEST_(RN_STORE_ITEMS);
    struct rn_store_answer answer = RN_STORE_ANSWER_;
    request.key = after;
    int32_t err = rn_store(run, prop, &request, &answer);
    *ret = answer.value;
    *ret_more = (answer.flags & RN_STORE_MORE) != 0;
    return err;
}

/* Deletes the record. *ret_found: whether it was there. [worker], since 1.3 */
static inline int32_t rn_store_delete(struct rn_run *run, const char *prop, const char *key,
                                      bool *ret_found)
{
    struct rn_store_request request = RN_STORE_REQUEST_(RN_STORE_DELETE);
    struct rn_store_answer answer = RN_STORE_ANSWER_;
    request.key = key;
    int32_t err = rn_store(run, prop, &request, &answer);
    *ret_found = (answer.flags & RN_STORE_FOUND) != 0;
    return err;
}

/* Deletes all records. [worker], since 1.3 */
static inline int32_t rn_store_clear(struct rn_run *run, const char *prop)
{
    struct rn_store_request request = RN_STORE_REQUEST_(RN_STORE_CLEAR);
    struct rn_store_answer answer = RN_STORE_ANSWER_;
    return rn_store(run, prop, &request, &answer);
}

/* Adds `by` to the record, an integer (0 if it is not there), in one step that no other run can get
 * between. Its time to live stays. [worker], since 1.3 */
static inline int32_t rn_store_increment(struct rn_run *run, const char *prop, const char *key,
                                         int64_t by, int64_t *ret)
{
    struct rn_store_request request = RN_STORE_REQUEST_(RN_STORE_INCREMENT);
    struct rn_store_answer answer = RN_STORE_ANSWER_;
    request.key = key;
    request.number = by;
    int32_t err = rn_store(run, prop, &request, &answer);
    *ret = answer.number;
    return err;
}

/* Sets the record to `value` (NULL: deletes it) if it equals `expected` (NULL: if there is none),
 * in one step. If it does not, *ret_swapped is false and *ret_now is what is there (NULL: nothing).
 * [worker], since 1.3 */
static inline int32_t rn_store_compare_and_set(struct rn_run *run, const char *prop,
                                               const char *key, const struct rn_json *expected,
                                               const struct rn_json *value, bool *ret_swapped,
                                               const struct rn_json **ret_now)
{
    struct rn_store_request request = RN_STORE_REQUEST_(RN_STORE_COMPARE_AND_SET);
    struct rn_store_answer answer = RN_STORE_ANSWER_;
    request.key = key;
    request.value = value;
    request.expected = expected;
    int32_t err = rn_store(run, prop, &request, &answer);
    *ret_swapped = (answer.flags & RN_STORE_SWAPPED) != 0;
    *ret_now = answer.value;
    return err;
}

/* ------------------------------------------------------- actions: files
 *
 * The folder of a run, which all of its steps share, over retries, pauses and restarts; it goes
 * when the run has ended. `prop` is an RN_DIR prop of the component. `name` is a file in the
 * folder, or in a folder in it; "/tmp/NAME", as files from Pipedream have it, and the full path are
 * the same file. Names that lead out of the folder, links, and what is no regular file are
 * RN_EINVAL. What has been written is on disk before the step's result is. On failure each has
 * called rn_fail().
 */

/* The full path of a file, which need not be there. NULL after rn_fail(). [worker], since 1.4 */
static inline const char *rn_dir_path(struct rn_run *run, const char *prop, const char *name)
{
    return run->api->dir_path(run, prop, name);
}

/* The file's bytes, at most 32 MiB, and a NUL behind them. RN_ENOTFOUND, RN_ETOOBIG. [worker],
 * since 1.4 */
static inline int32_t rn_dir_read(struct rn_run *run, const char *prop, const char *name,
                                  const void **ret_data, size_t *ret_size)
{
    return run->api->dir_read(run, prop, name, ret_data, ret_size);
}

/* Makes the file, or replaces what is in it; folders on its way are made. RN_ETOOBIG past
 * `limits.files` of runnel.yaml, RN_EPERM if the prop is for reading. [worker], since 1.4 */
static inline int32_t rn_dir_write(struct rn_run *run, const char *prop, const char *name,
                                   const void *data, size_t size)
{
    return run->api->dir_write(run, prop, name, data, size);
}

/* ------------------------------------------------------------ HTTP client */

/* Performs a request under the host's egress policy (http and https; private addresses only where
 * runnel.yaml allows them; at most 5 redirects; answers of at most 32 MiB). On failure it has
 * called rn_fail() with a text that names the request and the answer, so that `return err` is
 * enough.
 *   RN_EHTTP         status >= 400 (*ret is set); RN_EAUTH: 401; RN_ERATE: 429
 *   RN_EUNAVAILABLE  5xx, or no connection
 *   RN_EUNKNOWN      the request went out and no answer came
 *   RN_EPERM         refused by the policy
 *   RN_ETIMEDOUT, RN_ECANCELED */
static inline int32_t rn_http(struct rn_run *run, const struct rn_http_request *request,
                              const struct rn_http_response **ret)
{
    return run->api->http(run, request, ret);
}

/* Performs the request that an RN_HTTP_REQUEST prop holds; as rn_http(). */
static inline int32_t rn_execute(struct rn_run *run, const char *http_request_prop,
                                 const struct rn_http_response **ret)
{
    return run->api->execute(run, http_request_prop, ret);
}

/* ---------------------------------------------------------------- helpers */

/* HMAC as lower-case hexadecimal digits; RN_SHA1 or RN_SHA256. */
static inline const char *rn_hmac_hex(struct rn_run *run, int32_t digest, const void *key,
                                      size_t key_size, const void *data, size_t size)
{
    return run->api->hmac_hex(run, digest, key, key_size, data, size);
}

static inline const char *rn_hash_hex(struct rn_run *run, int32_t digest, const void *data,
                                      size_t size)
{
    return run->api->hash_hex(run, digest, data, size);
}

/* Compares two strings in a time that does not depend on where they differ. False if one is NULL.
 * */
static inline bool rn_equal_constant_time(struct rn_run *run, const char *a, const char *b)
{
    return a && b && run->api->equal_constant_time(a, strlen(a), b, strlen(b));
}

/* `bytes` random bytes (at most 1,024) from the system, as 2 × bytes hexadecimal digits. */
static inline const char *rn_random_hex(struct rn_run *run, size_t bytes)
{
    return run->api->random_hex(run, bytes);
}

/* A random UUID (version 4). */
static inline const char *rn_uuid(struct rn_run *run)
{
    return run->api->uuid(run);
}

static inline const char *rn_base64(struct rn_run *run, const void *data, size_t size)
{
    return run->api->base64(run, data, size);
}

/* NULL if it is not base64. */
static inline const void *rn_base64_decode(struct rn_run *run, const char *text, size_t *ret_size)
{
    return run->api->base64_decode(run, text, ret_size);
}

/* Percent-encodes all but the unreserved characters of RFC 3986: for one path segment or query
 * value. */
static inline const char *rn_url_encode(struct rn_run *run, const char *text)
{
    return run->api->url_encode(run, text);
}

static inline int64_t rn_now_ms(struct rn_run *run)
{
    return run->api->now_ms();
}

/* ISO 8601 (2026-11-23T10:00:00.123Z, any offset) to ms. False if it is not one. */
static inline bool rn_parse_time(struct rn_run *run, const char *iso8601, int64_t *ret_ms)
{
    return iso8601 && run->api->parse_time(iso8601, ret_ms);
}

/* ms to ISO 8601 in UTC, with milliseconds. */
static inline const char *rn_format_time(struct rn_run *run, int64_t ms)
{
    return run->api->format_time(run, ms);
}

/* -------------------------------------------------------------- the call */

/* When the call is to end, in ms since the epoch. */
static inline int64_t rn_deadline_ms(struct rn_run *run)
{
    return run->api->deadline_ms(run);
}

/* Whether the call has been cancelled; long loops ask. */
static inline bool rn_is_cancelled(struct rn_run *run)
{
    return run->api->is_cancelled(run);
}

/* Waits. RN_ETIMEDOUT (at once) if the deadline is nearer, RN_ECANCELED when the call is cancelled.
 * */
static inline int32_t rn_sleep_ms(struct rn_run *run, int64_t ms)
{
    return run->api->sleep_ms(run, ms);
}

/* Writes a line to the run's log (64 KiB a line, 1 MiB a call; more is cut). Secrets of the account
 * are redacted. */
static inline void rn_log(struct rn_run *run, int32_t level, const char *text)
{
    run->api->log(run, level, text);
}

/* Says why the callback fails, and returns `code`: return rn_fail(run, RN_EFAILED, "…"). The last
 * text counts. */
static inline int32_t rn_fail(struct rn_run *run, int32_t code, const char *text)
{
    return (run->api->fail)(run, code, text); /* in parentheses: cmocka has a macro of that name */
}

/* Joins texts: rn_text(run, (const char *[]){"a", b, "c"}, 3). NULLs are left out. */
static inline const char *rn_text(struct rn_run *run, const char *const *parts, size_t count)
{
    return run->api->text(run, parts, count);
}

/* RN_TEXT(run, "a", b, "c"): the same in C. */
#ifndef __cplusplus
#define RN_TEXT(run_, ...)                                                                         \
    rn_text((run_), (const char *const[]){__VA_ARGS__},                                            \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))
#endif

/* A folder of the run's own for files, removed after it. NULL if it could not be made. */
static inline const char *rn_temp_dir(struct rn_run *run)
{
    return run->api->temp_dir(run);
}

#endif
