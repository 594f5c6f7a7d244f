/* Calls of a source's component: hooks, and runs for HTTP requests. Each blocks its thread from the
 * call to the commit; the work between is done on the host's reader thread (reading the answer) and
 * the store's writer thread (committing), so that a request costs two wake-ups here. */
#include "base/fault.h"
#include "base/latch.h"
#include "engine/ingest.h"
#include "engine/internal.h"

enum {
    CONFLICT_TRIES = 20, /* runs of one source that change its db at the same time */
    LOG_LINES = 200,     /* of one run */
    HEAD_BYTES = 256,    /* what a call's JSON usually has beside the request */
    ANSWER_BYTES = 1024, /* what an answer usually has beside the event */
};

/* One try of a call. Lives on the caller's stack; `done` hands it back. */
struct source_call {
    struct engine *engine;
    struct instance *instance;
    struct latch done;
    struct err err; /* code 0: committed */
    int64_t retry_after_ms;
    /* What emits and writes point to, but for what stands in the request's body: the answer's
     * sections and texts, copied. */
    struct buf bytes;
    struct emit *emits;
    struct db_write *writes;
    struct str body;                /* of the request; {NULL, 0} without one */
    struct source_answer *response; /* NULL: a hook */
    struct acceptance acceptance;
    pthread_mutex_t log_lock;
    struct json *logs; /* log_lock while the call runs */
};

static void finish(struct source_call *call, int code, const char *text)
{
    if (code)
        (void)err_set(&call->err, code, "%s", text);
    latch_open(&call->done);
}

static void committed(struct acceptance *acceptance, int code, const struct err *err)
{
    finish(acceptance->ctx, code, code ? err->text : "");
}

static struct str keep(struct source_call *call, struct str text)
{
    size_t at = call->bytes.len;
    buf_add_str(&call->bytes, text);
    return str_n(call->bytes.ptr + at, text.len);
}

static struct str keep_section(struct source_call *call, const struct frame *frame,
                               const struct json *item)
{
    return keep(call, frame_section(frame, json_get_i64(item, "section", -1)));
}

/* No text in the JSON is longer than the JSON. */
static size_t total_of(const struct frame *frame)
{
    size_t total = frame->json.len;
    for (uint32_t i = 0; i < frame->section_count; i++)
        total += frame->sections[i].len;
    return total;
}

static void read_response(struct source_call *call, const struct frame *frame, struct json *answer)
{
    struct json *response = json_get_mut(answer, "response");
    if (!response || !call->response)
        return;
    call->response->status = (int)json_get_i64(response, "status", 200);
    json_free(call->response->headers);
    call->response->headers = json_take(response, "headers");
    buf_clear(&call->response->body);
    buf_add_str(&call->response->body, frame_section(frame, json_get_i64(response, "section", -1)));
}

/* A section, or a part of the request's body, which stays where it is until the call is over. */
static int read_event(struct source_call *call, const struct frame *frame, const struct json *emit,
                      struct str *ret)
{
    const struct json *place = json_get(emit, "body");
    uint64_t offset = 0, size = 0;
    if (!place) {
        *ret = keep_section(call, frame, emit);
        return 0;
    }
    if (!json_to_u64(json_at(place, 0), &offset) || !json_to_u64(json_at(place, 1), &size) ||
        size > call->body.len || offset > call->body.len - size)
        return RN_EPROTOCOL;
    *ret = str_n(call->body.ptr + offset, size);
    return 0;
}

static int read_effects(struct source_call *call, const struct frame *frame,
                        const struct json *answer)
{
    struct acceptance *a = &call->acceptance;
    const struct json *emits = json_get(answer, "emits"), *writes = json_get(answer, "writes");
    (void)buf_reserve(&call->bytes,
                      total_of(frame)); /* so that the views stay valid while it fills */
    call->emits = xcalloc(json_count(emits), sizeof(*call->emits));
    for (const struct json *e = json_first(emits); e; e = json_next(e)) {
        struct emit *emit = &call->emits[a->emit_count++];
        *emit = (struct emit){
            .id = keep(call, json_get_text(e, "id")),
            .name = keep(call, json_get_text(e, "name")),
            .summary = keep(call, json_get_text(e, "summary")),
            .ts = json_get_i64(e, "ts", 0),
        };
        int rc = read_event(call, frame, e, &emit->event);
        if (rc)
            return rc;
    }
    call->writes = xcalloc(json_count(writes), sizeof(*call->writes));
    for (const struct json *w = json_first(writes); w; w = json_next(w))
        call->writes[a->write_count++] = (struct db_write){
            .key = keep(call, json_get_text(w, "key")),
            .value = json_get_bool(w, "delete", false) ? STR_NONE : keep_section(call, frame, w),
        };
    a->emits = call->emits;
    a->writes = call->writes;
    return 0;
}

/* The answer's tree is freed here, where it was made: freed by the request's thread it would keep
 * the two at the allocator's lock. */
static bool read_answer(struct source_call *call, const struct call_result *result)
{
    struct json *answer = NULL;
    struct plugin_error error;
    if (result->code == 0 && json_parse_own(result->frame->json, &answer, NULL))
        answer = NULL;
    plugin_error_of(result, answer, &error);
    call->retry_after_ms = error.retry_after_ms;
    if (!error.code) {
        read_response(call, result->frame, answer);
        error.code = read_effects(call, result->frame, answer);
        if (error.code)
            (void)snprintf(error.text, sizeof(error.text),
                           "the plugin's answer names a part of the body that is not there");
    }
    json_free(answer);
    if (error.code)
        finish(call, error.code, error.text);
    return error.code == 0;
}

/* On the host's reader thread. */
static void answered(void *ctx, const struct call_result *result)
{
    struct source_call *call = ctx;
    if (!read_answer(call, result))
        return;
    struct acceptance *a = &call->acceptance;
    pthread_mutex_lock(&call->log_lock);
    a->logs = call->logs;
    pthread_mutex_unlock(&call->log_lock);
    if (a->emit_count == 0 && a->write_count == 0 && json_count(a->logs) == 0 && !a->effect) {
        finish(call, 0, "");
        return;
    }
    fault_point("source.before_commit");
    int rc = acceptance_submit(a);
    if (rc)
        finish(call, rc, "more work waits for the store than it can take");
}

static void logged(void *ctx, struct str level, struct str text)
{
    struct source_call *call = ctx;
    pthread_mutex_lock(&call->log_lock);
    if (!call->logs)
        call->logs = json_new_array();
    if (json_count(call->logs) < LOG_LINES) {
        struct json *line = json_append(call->logs, json_new_object());
        json_set_integer(line, "ts", clock_now_ms());
        json_set_str(line, "level", level);
        json_set_str(line, "text", text);
    }
    pthread_mutex_unlock(&call->log_lock);
}

/* What is called. */
struct wanted_call {
    const struct buf *head; /* the frame's JSON with op and component, without its closing brace */
    struct str body;        /* section 0 of a run; ptr NULL for a hook */
    int64_t timeout_ms;
    struct source_answer *response; /* NULL: nobody is to be answered */
    bool is_hook;
    int (*effect)(struct store_tx *tx, struct acceptance *acceptance, struct err *err);
    void *effect_ctx;
};

static int call_once(struct engine *engine, struct instance *instance,
                     const struct wanted_call *wanted, bool force_snapshot,
                     int64_t *ret_retry_after_ms, struct err *err)
{
    struct source_call call = {
        .engine = engine,
        .instance = instance,
        .done = LATCH_INIT,
        .log_lock = PTHREAD_MUTEX_INITIALIZER,
        .retry_after_ms = -1,
        .bytes = BUF_INIT(LIMIT_FRAME_BYTES),
        .body = wanted->body,
        .response = wanted->response,
    };
    call.acceptance = (struct acceptance){.engine = engine,
                                          .instance = instance,
                                          .ignores_quota = wanted->is_hook,
                                          .starts_nothing = wanted->is_hook,
                                          .effect = wanted->effect,
                                          .effect_ctx = wanted->effect_ctx,
                                          .done = committed,
                                          .ctx = &call};
    struct str sections[2];
    uint32_t section_count = 0;
    if (wanted->body.ptr)
        sections[section_count++] = wanted->body;
    struct buf json = BUF_INIT(MIB(2)), snapshot = BUF_INIT(LIMIT_JSON_BYTES);
    /* Enough for the usual answer; made here for the same reason that the answer is freed there. */
    (void)buf_reserve(&call.bytes, ANSWER_BYTES);
    (void)buf_reserve(&json, wanted->head->len + HEAD_BYTES);
    buf_add_str(&json, buf_str(wanted->head));
    int rc =
        instance_prepare_call(engine, instance, force_snapshot, &json, sections, &section_count,
                              &snapshot, &call.acceptance.seen_db_version, err);
    if (rc == 0) {
        buf_add_char(&json, '}');
        struct call request = {
            .frame = {.json = buf_str(&json), .sections = sections, .section_count = section_count},
            .timeout_ms = wanted->timeout_ms,
            .done = answered,
            .log = logged,
            .ctx = &call,
        };
        (void)host_call(instance->host, &request);
        latch_wait(&call.done);
        rc = call.err.code;
        if (rc)
            (void)err_set(err, rc, "%s", call.err.text);
        *ret_retry_after_ms = call.retry_after_ms;
    }
    if (rc)
        for (const struct json *l = json_first(call.logs); l; l = json_next(l))
            source_log(engine, instance->id, json_get_c(l, "level"), json_get_c(l, "text"));
    buf_release(&json);
    buf_release(&snapshot);
    buf_release(&call.bytes);
    free(call.emits);
    free(call.writes);
    json_free(call.logs);
    pthread_mutex_destroy(&call.log_lock);
    return rc;
}

/* Tries again where the db has moved on, where the host had lost the instance, and once where the
 * host went for another call's sake. */
static int call_until_settled(struct engine *engine, struct instance *instance,
                              const struct wanted_call *wanted, struct err *err)
{
    bool was_refreshed = false;
    int rc = RN_ECONFLICT;
    for (int tries = 0; tries < CONFLICT_TRIES && rc == RN_ECONFLICT; tries++) {
        int64_t retry_after_ms = -1;
        struct err why = ERR_INIT;
        if (wanted->response)
            wanted->response->status = 0;
        rc = call_once(engine, instance, wanted, tries > 0, &retry_after_ms, &why);
        if (rc == RN_EAUTH && !was_refreshed) {
            was_refreshed = true;
            pthread_mutex_lock(&instance->lock);
            bool can_refresh = false;
            for (const struct json *a = json_first(instance->app_props); a; a = json_next(a))
                can_refresh |= accounts_invalidate(engine->accounts, json_c(a));
            pthread_mutex_unlock(&instance->lock);
            instance_touch(instance);
            if (can_refresh)
                rc = RN_ECONFLICT;
        }
        if (rc)
            (void)err_set(err, rc, "%s", why.text);
    }
    return rc;
}

int source_hook(struct engine *engine, struct instance *instance, const char *hook, struct err *err)
{
    struct buf head = BUF_INIT(KIB(4));
    buf_addf(&head, "{\"op\":\"hook\",\"hook\":\"%s\",\"component\":\"%s\",\"timeout_ms\":%d", hook,
             instance->component, LIMIT_HOOK_MS);
    struct wanted_call wanted = {.head = &head, .timeout_ms = LIMIT_HOOK_MS, .is_hook = true};
    int rc = call_until_settled(engine, instance, &wanted, err);
    buf_release(&head);
    return rc;
}

static void add_member(struct buf *out, const char *name, struct str value)
{
    buf_addf(out, ",\"%s\":", name);
    json_write_string(out, value);
}

static void add_request(struct buf *out, struct str path, const struct http_request *request)
{
    buf_add_c(out, ",\"request\":{\"method\":");
    json_write_string(out, str_from(request->method));
    add_member(out, "path", path);
    add_member(out, "query", request->query);
    add_member(out, "client_ip", request->client_ip);
    http_event_add_place(out, request, false);
    buf_add_char(out, '}');
}

int source_run_http(struct engine *engine, struct instance *instance, struct str path,
                    const struct http_request *request, struct source_answer *answer,
                    struct err *err)
{
    struct buf head = BUF_INIT(MIB(1));
    buf_addf(&head, "{\"op\":\"source_run\",\"component\":\"%s\",\"timeout_ms\":%d",
             instance->component, LIMIT_SOURCE_RUN_MS);
    add_request(&head, path, request);
    struct wanted_call wanted = {.head = &head,
                                 .body = request->body.ptr ? request->body : str_n("", 0),
                                 .timeout_ms = LIMIT_SOURCE_RUN_MS,
                                 .response = answer};
    int rc = call_until_settled(engine, instance, &wanted, err);
    buf_release(&head);
    return rc;
}

int source_run_timer(struct engine *engine, struct instance *instance, struct str event,
                     int (*effect)(struct store_tx *tx, struct acceptance *acceptance,
                                   struct err *err),
                     void *effect_ctx, struct err *err)
{
    struct buf head = BUF_INIT(KIB(4));
    buf_addf(&head, "{\"op\":\"source_run\",\"component\":\"%s\",\"timeout_ms\":%d,\"event\":0",
             instance->component, LIMIT_SOURCE_RUN_MS);
    struct wanted_call wanted = {.head = &head,
                                 .body = event,
                                 .timeout_ms = LIMIT_SOURCE_RUN_MS,
                                 .effect = effect,
                                 .effect_ctx = effect_ctx};
    int rc = call_until_settled(engine, instance, &wanted, err);
    buf_release(&head);
    return rc;
}
