#include "engine/respond.h"

#include "base/encode.h"

enum { SLICE_MS = 200 }; /* how soon a waiting thread sees that runnel stops */

struct responders {
    pthread_mutex_t lock; /* guards the list and what hangs on it */
    struct expected_answer *list;
    size_t count;
};

struct responders *responders_new(void)
{
    struct responders *responders = xcalloc(1, sizeof(*responders));
    pthread_mutex_init(&responders->lock, NULL);
    return responders;
}

void responders_free(struct responders *responders)
{
    if (!responders)
        return;
    pthread_mutex_destroy(&responders->lock);
    free(responders);
}

int respond_expect(struct engine *engine, struct expected_answer *expected)
{
    struct responders *r = engine->responders;
    pthread_condattr_t attr;
    pthread_mutex_lock(&r->lock);
    bool has_room = r->count < LIMIT_RESPOND_WAITERS;
    if (has_room) {
        *expected = (struct expected_answer){.next = r->list, .is_waiting = true};
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&expected->cond, &attr);
        pthread_condattr_destroy(&attr);
        r->list = expected;
        r->count++;
    }
    pthread_mutex_unlock(&r->lock);
    return has_room ? 0 : RN_EUNAVAILABLE;
}

void respond_bind(struct engine *engine, struct expected_answer *expected, uint64_t run_id)
{
    pthread_mutex_lock(&engine->responders->lock);
    expected->run_id = run_id;
    pthread_mutex_unlock(&engine->responders->lock);
}

int respond_wait(struct engine *engine, struct expected_answer *expected, int64_t wait_ms)
{
    struct responders *r = engine->responders;
    int64_t until = clock_mono_ms() + wait_ms;
    pthread_mutex_lock(&r->lock);
    while (!expected->is_ready && clock_mono_ms() < until && atomic_load(&engine->is_accepting)) {
        struct timespec slice;
        clock_gettime(CLOCK_MONOTONIC, &slice);
        slice.tv_nsec += SLICE_MS * 1000000l;
        slice.tv_sec += slice.tv_nsec / 1000000000;
        slice.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&expected->cond, &r->lock, &slice);
    }
    bool is_ready = expected->is_ready;
    pthread_mutex_unlock(&r->lock);
    if (is_ready)
        return 0;
    return atomic_load(&engine->is_accepting) ? RN_ETIMEDOUT : RN_ECANCELED;
}

void respond_forget(struct engine *engine, struct expected_answer *expected)
{
    struct responders *r = engine->responders;
    if (!expected->is_waiting)
        return;
    pthread_mutex_lock(&r->lock);
    for (struct expected_answer **at = &r->list; *at; at = &(*at)->next) {
        if (*at == expected) {
            *at = expected->next;
            r->count--;
            break;
        }
    }
    pthread_mutex_unlock(&r->lock);
    pthread_cond_destroy(&expected->cond);
    json_free(expected->answer);
}

static struct expected_answer *find(struct responders *r, uint64_t run_id)
{
    struct expected_answer *expected = r->list;
    while (expected && expected->run_id != run_id)
        expected = expected->next;
    return expected;
}

void respond_give(struct engine *engine, uint64_t run_id, const struct json *response)
{
    struct responders *r = engine->responders;
    pthread_mutex_lock(&r->lock);
    struct expected_answer *expected = find(r, run_id);
    if (expected && !expected->answer && !expected->is_ready) {
        expected->answer = json_copy(response);
        expected->is_ready = json_get_bool(response, "immediate", false);
        if (expected->is_ready)
            pthread_cond_signal(&expected->cond);
    }
    pthread_mutex_unlock(&r->lock);
}

void respond_end(struct engine *engine, uint64_t run_id)
{
    struct responders *r = engine->responders;
    pthread_mutex_lock(&r->lock);
    struct expected_answer *expected = find(r, run_id);
    if (expected) {
        expected->is_ready = true;
        pthread_cond_signal(&expected->cond);
    }
    pthread_mutex_unlock(&r->lock);
}

/* ---- writing it */

static bool write_headers(const struct json *headers, struct http_response *response)
{
    bool has_type = false;
    for (const struct json *h = json_first(headers); h; h = json_next(h)) {
        struct buf text = BUF_INIT(KIB(8));
        if (json_is(h, JSON_STRING))
            buf_add_str(&text, json_str(h));
        else
            json_write(&text, h);
        if (http_response_header(response, json_name(h), buf_str(&text)))
            log_warn("a workflow's answer: HTTP does not allow the header \"%.60s\"; left out",
                     json_name(h));
        else
            has_type |= str_eq_nocase(str_from(json_name(h)), STR("content-type"));
        buf_release(&text);
    }
    return has_type;
}

void respond_write(const struct json *answer, struct http_response *response)
{
    const struct json *body = json_get(answer, "body"), *bytes = json_get(body, "$base64");
    const char *type = "application/json";
    response->status = (int)json_get_i64(answer, "status", 200);
    if (response->status < 200) /* those are no final answers */
        response->status = 200;
    if (json_is(bytes, JSON_STRING) && decode_base64(&response->body, json_str(bytes)) == 0) {
        type = "application/octet-stream";
    } else if (json_is(body, JSON_STRING)) {
        buf_add_str(&response->body, json_str(body));
        type = "text/plain; charset=utf-8";
    } else if (body && !json_is(body, JSON_NULL)) {
        json_write(&response->body, body);
    } else {
        type = NULL;
    }
    if (!write_headers(json_get(answer, "headers"), response) && type)
        (void)!http_response_header(response, "content-type", str_from(type));
}
