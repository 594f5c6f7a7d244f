/* What a request to an endpoint gets: a source's run, or a native trigger's event; and the answer,
 * which goes out after the commit. Thread: the listener's. */
#include "base/encode.h"
#include "engine/internal.h"

enum { RETRY_AFTER_S = 5 };

static void answer_error(struct http_response *response, int status, const char *word,
                         const char *text)
{
    struct json *body = json_new_object();
    response->reason = word;
    json_set_string(body, "error", word);
    json_set_string(body, "message", text);
    size_t size = 0;
    char *json = json_text(body, &size);
    http_response_set(response, status, "application/json", str_n(json, size));
    if (status == 503) {
        char seconds[8];
        int n = snprintf(seconds, sizeof(seconds), "%d", RETRY_AFTER_S);
        (void)!http_response_header(response, "Retry-After", str_n(seconds, (size_t)n));
    }
    free(json);
    json_free(body);
}

/* Which status says what went wrong: 4xx only where sending the same request again cannot help. */
static int status_of(int code)
{
    switch (code) {
    case RN_EINVAL:
    case RN_EPROTOCOL:
        return 400;
    case RN_ETOOBIG:
        return 413;
    case RN_EUNAVAILABLE:
    case RN_ETIMEDOUT:
    case RN_EUNKNOWN:
    case RN_ENOSPACE:
    case RN_ECONFLICT:
    case RN_ECANCELED:
    case RN_ENOMEM:
    case RN_EIO:
    case RN_EAGAIN:
    case RN_EAUTH:
    case RN_ERATE:
        return 503;
    default:
        return 500;
    }
}

static void answer_accepted(struct http_response *response)
{
    http_response_set(response, 200, "application/json", STR("{\"accepted\":true}"));
}

static void answer_source(const struct source_answer *answer, struct http_response *response)
{
    if (answer->status == 0) {
        answer_accepted(response);
        return;
    }
    response->status = answer->status;
    for (const struct json *h = json_first(answer->headers); h; h = json_next(h)) {
        const char *name = json_c(json_first(h));
        if (name)
            (void)!http_response_header(response, name, json_str(json_at(h, 1)));
    }
    buf_add_str(&response->body, buf_str(&answer->body));
}

static void ingest_source(struct engine *engine, struct instance *instance, struct str path,
                          const struct http_request *request, struct http_response *response)
{
    struct source_answer answer = {.body = BUF_INIT(LIMIT_EMIT_BYTES)};
    struct err err = ERR_INIT;
    int rc = source_run_http(engine, instance, path, request, &answer, &err);
    if (rc == 0) {
        answer_source(&answer, response);
    } else {
        char *line = xasprintf("run failed: %s", err.text);
        source_log(engine, instance->id, "error", line);
        log_warn("source %s: %s", instance->id, line);
        free(line);
        answer_error(response, status_of(rc), err_word(rc),
                     rc == RN_EINVAL || rc == RN_EPROTOCOL || rc == RN_ETOOBIG ? err.text
                     : status_of(rc) == 503 ? "not accepted: try again"
                                            : "the source failed; see `runnel logs`");
    }
    json_free(answer.headers);
    buf_release(&answer.body);
}

/* ---- native triggers */

struct query_ctx {
    struct json *object;
};

static void add_query(void *ctx, struct str name, struct str value)
{
    struct json *object = ((struct query_ctx *)ctx)->object;
    char *key = str_dup(name);
    if (!memchr(key, '\0', name.len)) {
        struct json *before = json_get_mut(object, key);
        if (!before) {
            json_set_str(object, key, value);
        } else if (json_is(before, JSON_ARRAY)) {
            (void)json_append(before, json_new_string(value));
        } else {
            struct json *list = json_new_array();
            (void)json_append(list, json_copy(before));
            (void)json_append(list, json_new_string(value));
            (void)json_set(object, key, list);
        }
    }
    free(key);
}

static bool is_json_type(struct str type)
{
    ptrdiff_t end = str_find(type, ";", 0);
    struct str name = str_trim(end >= 0 ? str_n(type.ptr, (size_t)end) : type);
    return str_eq_nocase(name, STR("application/json")) || str_ends(name, "+json");
}

/* The event's body: JSON stands in the event as it came, character for character; forms become
 * objects, other text a string, other bytes {"$base64": …}. */
static int add_body(struct buf *out, const struct http_request *request, struct err *err)
{
    struct str type = http_request_header(request, "content-type");
    struct str body = request->body;
    struct str trimmed = str_trim(body);
    buf_add_c(out, ",\"body\":");
    if (body.len == 0) {
        buf_add_c(out, "null");
        return 0;
    }
    if (is_json_type(type) || (type.len == 0 && (trimmed.ptr[0] == '{' || trimmed.ptr[0] == '['))) {
        int rc = json_check(body, err);
        if (rc == 0) {
            buf_add_str(out, trimmed);
            return 0;
        }
        if (type.len)
            return err_prefix(err, "the body is not the JSON that its content-type announces");
    }
    if (str_starts(type, "application/x-www-form-urlencoded")) {
        struct query_ctx query = {json_new_object()};
        int rc = http_form_parse(body, add_query, &query);
        if (rc == 0)
            json_write(out, query.object);
        json_free(query.object);
        return rc ? err_set(err, rc, "the form in the body cannot be read") : 0;
    }
    if (utf8_is_valid(body)) {
        json_write_string(out, body);
    } else {
        buf_add_c(out, "{\"$base64\":\"");
        encode_base64(out, body.ptr, body.len, false);
        buf_add_c(out, "\"}");
    }
    return 0;
}

static int native_event(struct buf *out, struct str path, const struct http_request *request,
                        struct err *err)
{
    struct query_ctx query = {json_new_object()};
    if (http_form_parse(request->query, add_query, &query)) {
        json_free(query.object);
        return err_set(err, RN_EINVAL, "the query string cannot be read");
    }
    buf_add_c(out, "{\"method\":");
    json_write_string(out, str_from(request->method));
    buf_add_c(out, ",\"path\":");
    json_write_string(out, path);
    buf_add_c(out, ",\"query\":");
    json_write(out, query.object);
    json_free(query.object);
    buf_add_c(out, ",\"client_ip\":");
    json_write_string(out, request->client_ip);
    buf_addf(out, ",\"url\":\"%s://", request->is_tls ? "https" : "http");
    struct buf rest = BUF_INIT(KIB(64));
    buf_addf(&rest, STR_FMT STR_FMT "%s" STR_FMT, STR_ARG(request->host), STR_ARG(request->path),
             request->query.len ? "?" : "", STR_ARG(request->query));
    struct buf quoted = BUF_INIT(KIB(256));
    json_write_string(&quoted, buf_str(&rest));
    buf_add(out, quoted.ptr + 1, quoted.len - 1); /* behind its opening quote */
    buf_release(&rest);
    buf_release(&quoted);
    buf_add_c(out, ",\"headers\":{");
    for (size_t i = 0; i < request->header_count; i++) {
        if (i)
            buf_add_char(out, ',');
        json_write_string(out, request->headers[i].name);
        buf_add_char(out, ':');
        json_write_string(out, request->headers[i].value);
    }
    buf_add_char(out, '}');
    int rc = add_body(out, request, err);
    buf_add_char(out, '}');
    return rc;
}

struct native {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_done;
    int code;
};

static void native_done(struct acceptance *acceptance, int code, const struct err *err)
{
    struct native *native = acceptance->ctx;
    (void)err;
    pthread_mutex_lock(&native->lock);
    native->code = code;
    native->is_done = true;
    pthread_cond_signal(&native->cond);
    pthread_mutex_unlock(&native->lock);
}

static void ingest_native(struct engine *engine, struct instance *instance, struct str path,
                          const struct http_request *request, struct http_response *response)
{
    struct native native = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct buf event = BUF_INIT(LIMIT_FRAME_BYTES);
    struct err err = ERR_INIT;
    int rc = native_event(&event, path, request, &err);
    if (rc == 0) {
        char summary[128];
        int n = snprintf(summary, sizeof(summary), "%s " STR_FMT, request->method,
                         (int)(path.len < 100 ? path.len : 100), path.ptr);
        struct emit emit = {
            .summary = str_n(summary, (size_t)n), .event = buf_str(&event), .raw = request->body};
        struct acceptance acceptance = {.engine = engine,
                                        .instance = instance,
                                        .emits = &emit,
                                        .emit_count = 1,
                                        .done = native_done,
                                        .ctx = &native};
        rc = acceptance_submit(&acceptance);
        pthread_mutex_lock(&native.lock);
        while (rc == 0 && !native.is_done)
            pthread_cond_wait(&native.cond, &native.lock);
        pthread_mutex_unlock(&native.lock);
        rc = rc ? rc : native.code;
        if (rc)
            (void)err_set(&err, rc, "not accepted: try again");
    }
    if (rc == 0)
        answer_accepted(response);
    else
        answer_error(response, status_of(rc), err_word(rc), err.text);
    buf_release(&event);
    pthread_cond_destroy(&native.cond);
    pthread_mutex_destroy(&native.lock);
}

void engine_ingest(struct engine *engine, struct str key, struct str path,
                   const struct http_request *request, struct http_response *response)
{
    struct instance *instance = instance_by_key(engine, key);
    if (!instance || instance->is_schedule) {
        source_instance_unref(instance);
        answer_error(response, 404, "not_found", "there is no such endpoint");
        return;
    }
    pthread_mutex_lock(&instance->lock);
    bool is_active = instance->state == INSTANCE_ACTIVE;
    /* A vendor may call the endpoint while activate() is still running: the instance has what it
     * needs to answer then. */
    bool is_activating = instance->state == INSTANCE_DEPLOYED && !instance->is_native;
    pthread_mutex_unlock(&instance->lock);
    if (!is_active && !is_activating)
        answer_error(response, 404, "not_active", "this endpoint is not active");
    else if (!atomic_load(&engine->is_accepting))
        answer_error(response, 503, "unavailable", "runnel is starting or stopping: try again");
    else if (instance->is_native)
        ingest_native(engine, instance, path, request, response);
    else
        ingest_source(engine, instance, path, request, response);
    source_instance_unref(instance);
}
