/* What a request to an endpoint gets: a source's run, or a native trigger's event; and the answer,
 * which goes out after the commit. Thread: the listener's. */
#include "engine/ingest.h"

enum { RETRY_AFTER_S = 5 };

void ingest_answer_error(struct http_response *response, int status, const char *word,
                         const char *text)
{
    response->reason = word;
    http_response_error(response, status, word, text);
    if (status == 503) {
        char seconds[8];
        int n = snprintf(seconds, sizeof(seconds), "%d", RETRY_AFTER_S);
        (void)!http_response_header(response, "Retry-After", str_n(seconds, (size_t)n));
    }
}

/* Which status says what went wrong: 4xx only where sending the same request again cannot help. */
int ingest_status_of(int code)
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

void ingest_answer_accepted(struct http_response *response)
{
    http_response_set(response, 200, "application/json", STR("{\"accepted\":true}"));
}

static void answer_source(const struct source_answer *answer, struct http_response *response)
{
    if (answer->status == 0) {
        ingest_answer_accepted(response);
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
        ingest_answer_error(response, ingest_status_of(rc), err_word(rc),
                            rc == RN_EINVAL || rc == RN_EPROTOCOL || rc == RN_ETOOBIG ? err.text
                            : ingest_status_of(rc) == 503 ? "not accepted: try again"
                                                          : "the source failed; see `runnel logs`");
    }
    json_free(answer.headers);
    buf_release(&answer.body);
}

void engine_ingest(struct engine *engine, struct str key, struct str path,
                   const struct http_request *request, struct http_response *response)
{
    struct instance *instance = instance_by_key(engine, key);
    if (!instance || instance->is_schedule) {
        source_instance_unref(instance);
        ingest_answer_error(response, 404, "not_found", "there is no such endpoint");
        return;
    }
    pthread_mutex_lock(&instance->lock);
    bool is_active = instance->state == INSTANCE_ACTIVE;
    /* A vendor may call the endpoint while activate() is still running: the instance has what it
     * needs to answer then. */
    bool is_activating = instance->state == INSTANCE_DEPLOYED && !instance->is_native;
    pthread_mutex_unlock(&instance->lock);
    if (!is_active && !is_activating)
        ingest_answer_error(response, 404, "not_active", "this endpoint is not active");
    else if (!atomic_load(&engine->is_accepting))
        ingest_answer_error(response, 503, "unavailable",
                            "runnel is starting or stopping: try again");
    else if (instance->is_native)
        ingest_native(engine, instance, path, request, response);
    else
        ingest_source(engine, instance, path, request, response);
    source_instance_unref(instance);
}
