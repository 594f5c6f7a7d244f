/* Deliveries: HTTP requests and mail that runs have sent. What is to be done stands in the store,
 * sorted by when: whatever happens to this process, the next one finds it there. An entry goes, or
 * is put where its next try is, in the same transaction that writes into the run what came of it;
 * so a delivery is made at least once, and again if the process ends between the two (that is what
 * the idempotency key is for).
 *
 * Threads come with the work, up to LIMIT_SEND_THREADS, and stay. Each takes the first entry that
 * is due, that no other has, and whose host has not got its share of them yet. Lock: `lock` guards
 * all that is not atomic. */
#include "base/encode.h"
#include "base/fault.h"
#include "base/redact.h"
#include "engine/metrics.h"
#include "engine/sends.h"
#include "net/smtp.h"

enum { KEY_MAX = 96, STOP_SLICE_MS = 20 };
/* for projects that are tried out with the sandbox and have no `smtp:` yet */
#define SANDBOX_FROM "runnel@example.com"
#define SANDBOX_OWNER "owner@example.com"

/* Pauses between the tries. */
static const int64_t pauses_ms[LIMIT_SEND_TRIES - 1] = {5000, 30000, 180000, 900000};

struct outbox {
    struct engine *engine;
    atomic_bool is_stopping, is_cancelled;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t threads[LIMIT_SEND_THREADS];
    size_t thread_count, in_flight;
    struct map busy;   /* keys of entries in flight */
    struct map own;    /* passive: ids of the runs whose entries are ours (8 bytes) */
    bool is_held_back; /* an entry is due and waits for its host's share */
    int64_t next_ms;   /* when somebody is to look again; INT64_MAX: when woken */
};

/* One entry in the hands of a thread. */
struct delivery {
    struct outbox *outbox;
    char key[KEY_MAX];
    struct json *entry, *request;
    uint64_t run_id;
    uint32_t position, attempt, index;
    int64_t tries; /* with this one */
    /* what came of it */
    int code, status;
    int64_t retry_after_ms, next_ms; /* next_ms 0: it is over */
    struct err err;
    bool was_stopped;
};

struct outbox *outbox_new(struct engine *engine)
{
    struct outbox *outbox = xcalloc(1, sizeof(*outbox));
    outbox->engine = engine;
    pthread_mutex_init(&outbox->lock, NULL);
    pthread_cond_init(&outbox->wake, NULL);
    outbox->next_ms = INT64_MAX;
    return outbox;
}

/* FNV-1a of scheme, host and port; all mail is one server's. */
static uint32_t host_hash(const struct json *entry)
{
    struct str url = json_get_text(entry, "url");
    ptrdiff_t start = str_find(url, "://", 0);
    size_t end = start < 0 ? 0 : (size_t)start + 3;
    uint32_t hash = 2166136261u;
    while (end < url.len && !strchr("/?#", url.ptr[end]))
        end++;
    for (size_t i = 0; i < end; i++)
        hash = (hash ^ (unsigned char)url.ptr[i]) * 16777619u;
    return hash;
}

int outbox_put(struct store_tx *tx, const struct json *entry, int64_t due_ms, struct err *err)
{
    char key[KEY_MAX];
    size_t size = 0;
    int n = snprintf(key, sizeof(key), "%013lld.%016llx.%08x.%08x.%04x.%08x", (long long)due_ms,
                     (unsigned long long)json_get_i64(entry, "run", 0),
                     (unsigned)json_get_i64(entry, "position", 0),
                     (unsigned)json_get_i64(entry, "attempt", 0),
                     (unsigned)json_get_i64(entry, "index", 0), host_hash(entry));
    char *text = json_text(entry, &size);
    int rc = kv_put(tx, SPACE_OUTBOX, str_n(key, (size_t)n), str_n(text, size), err);
    free(text);
    return rc;
}

/* ---- taking */

struct picking {
    struct outbox *outbox;
    int64_t now_ms, next_ms; /* next_ms: of the first entry that is not due */
    struct delivery *found;
    bool has_more; /* another entry is due */
};

/* Whether the host that the key's end names has its share of the threads already. */
static bool is_host_busy(const struct outbox *outbox, struct str key)
{
    size_t count = 0, at = 0;
    const size_t size = sizeof(".00000000") - 1;
    for (const struct map_entry *e; (e = map_next(&outbox->busy, &at));)
        count += e->key_len > size && key.len > size &&
                 memcmp(e->key + e->key_len - size, key.ptr + key.len - size, size) == 0;
    return count >= LIMIT_SEND_PER_HOST;
}

static bool is_ours(const struct outbox *outbox, const struct json *entry)
{
    uint64_t run_id = (uint64_t)json_get_i64(entry, "run", 0);
    return !outbox->engine->is_passive ||
           (map_get(&outbox->own, str_n((const char *)&run_id, sizeof(run_id))) &&
            json_get_i64(entry, "tries", 0) == 0);
}

static int each_entry(void *ctx, struct str key, struct str value)
{
    struct picking *picking = ctx;
    struct json *entry = NULL;
    struct str due = STR_NONE, rest = key;
    int64_t due_ms = 0;
    if (map_get(&picking->outbox->busy, key) || key.len >= KEY_MAX)
        return 0;
    (void)str_cut(&rest, '.', &due);
    if (num_parse_i64(due, &due_ms) || due_ms > picking->now_ms) {
        picking->next_ms = due_ms;
        return 1;
    }
    if (is_host_busy(picking->outbox, key)) {
        picking->outbox->is_held_back = true;
        return 0;
    }
    if (picking->found) {
        picking->has_more = true;
        return 1;
    }
    if (json_parse_own(value, &entry, NULL))
        return 0;
    if (!is_ours(picking->outbox, entry)) {
        json_free(entry);
        return 0;
    }
    struct delivery *d = picking->found = xcalloc(1, sizeof(*d));
    d->outbox = picking->outbox;
    memcpy(d->key, key.ptr, key.len);
    d->entry = entry;
    d->run_id = (uint64_t)json_get_i64(entry, "run", 0);
    d->position = (uint32_t)json_get_i64(entry, "position", 0);
    d->attempt = (uint32_t)json_get_i64(entry, "attempt", 0);
    d->index = (uint32_t)json_get_i64(entry, "index", 0);
    d->tries = json_get_i64(entry, "tries", 0) + 1;
    d->retry_after_ms = -1;
    return 0;
}

/* The first entry that is due; NULL: none, and next_ms says when to look again. Under the lock. */
static struct delivery *pick(struct outbox *outbox, bool *ret_more)
{
    struct picking picking = {.outbox = outbox, .now_ms = clock_now_ms(), .next_ms = INT64_MAX};
    struct store_view *view = NULL;
    struct err err = ERR_INIT;
    if (store_view_begin(outbox->engine->store, &view, &err)) {
        log_error("what is to be sent cannot be read: %s", err.text);
        outbox->next_ms = picking.now_ms + pauses_ms[0];
        return NULL;
    }
    outbox->is_held_back = false;
    (void)kv_each(STORE_VIEW(view), SPACE_OUTBOX, each_entry, &picking);
    store_view_end(view);
    *ret_more = picking.has_more;
    outbox->next_ms = picking.has_more ? picking.now_ms : picking.next_ms;
    if (picking.found)
        (void)map_put(&outbox->busy, str_from(picking.found->key), picking.found);
    return picking.found;
}

/* ---- doing */

static int open_request(struct delivery *d)
{
    const struct seal_key *key = NULL;
    struct buf sealed = BUF_INIT(2 * LIMIT_SEND_BYTES), plain = BUF_INIT(2 * LIMIT_SEND_BYTES);
    char *place = sends_seal_place(d->run_id, d->position, d->attempt, d->index);
    int rc = engine_seal_key(d->outbox->engine, &key, &d->err);
    if (rc == 0 && decode_base64(&sealed, json_get_text(d->entry, "sealed")))
        rc = err_set(&d->err, RN_EPROTOCOL, "what is to be sent is damaged");
    rc = rc ? rc : unseal(key, buf_str(&sealed), str_from(place), &plain, &d->err);
    rc = rc ? rc : json_parse(buf_str(&plain), &d->request, &d->err);
    free(place);
    if (plain.ptr)
        mem_wipe(plain.ptr, plain.len);
    buf_release(&sealed);
    buf_release(&plain);
    return rc;
}

static bool has_header(const struct json *headers, const char *name)
{
    for (const struct json *h = json_first(headers); h; h = json_next(h))
        if (str_eq_nocase(str_from(json_name(h)), str_from(name)))
            return true;
    return false;
}

/* Texts go out as they are, {"$base64": …} as these bytes, everything else as JSON. */
static char *body_of(const struct json *data, size_t *ret_size, const char **ret_type)
{
    struct buf bytes = BUF_INIT(LIMIT_SEND_BYTES);
    if (!data)
        return NULL;
    if (json_is(json_get(data, "$base64"), JSON_STRING) &&
        decode_base64(&bytes, json_get_text(data, "$base64")) == 0) {
        const char *type = json_get_c(data, "mimetype");
        *ret_type = type ? type : "application/octet-stream";
        return buf_take(&bytes, ret_size);
    }
    buf_release(&bytes);
    bool is_text = json_is(data, JSON_STRING);
    *ret_type = is_text ? "text/plain; charset=utf-8" : "application/json";
    if (!is_text)
        return json_text(data, ret_size);
    *ret_size = json_str(data).len;
    return str_dup(json_str(data));
}

static void send_http(struct delivery *d)
{
    const struct json *given = json_get(d->request, "headers"),
                      *auth = json_get(d->request, "auth");
    struct fetch_header *headers = xcalloc(json_count(given) + 2, sizeof(*headers));
    size_t count = 0, size = 0;
    const char *type = NULL;
    char *body = body_of(json_get(d->request, "data"), &size, &type);
    for (const struct json *h = json_first(given); h; h = json_next(h))
        headers[count++] = (struct fetch_header){json_name(h), json_c(h)};
    if (body && !has_header(given, "content-type"))
        headers[count++] = (struct fetch_header){"Content-Type", type};
    if (!has_header(given, "idempotency-key"))
        headers[count++] =
            (struct fetch_header){"Idempotency-Key", json_get_c(d->entry, "idempotency_key")};
    struct fetch_request request = {
        .method = json_get_c(d->request, "method"),
        .url = json_get_c(d->request, "url"),
        .headers = headers,
        .header_count = count,
        .body = body ? str_n(body, size) : STR_NONE,
        .basic_user = json_get_c(auth, "username"),
        .basic_password = json_get_c(auth, "password"),
        .timeout_ms = LIMIT_SEND_MS,
        .response_limit = LIMIT_SEND_ANSWER,
        .cancelled = &d->outbox->is_cancelled,
    };
    struct fetch_response response = {.status = 0};
    d->code = http_client_fetch(d->outbox->engine->client, &request, &response, &d->err);
    d->status = response.status;
    if (d->code == 0 && d->status >= 400) {
        d->code = d->status == 429                       ? RN_ERATE
                  : d->status == 408 || d->status >= 500 ? RN_EUNAVAILABLE
                                                         : RN_EHTTP;
        (void)err_set(&d->err, d->code, "answered %d %s", d->status, http_status_text(d->status));
        d->retry_after_ms = fetch_retry_after_ms(&response);
    }
    if (d->code == RN_ETOOBIG) /* it has been received; nobody wants the answer */
        d->code = 0;
    fetch_response_release(&response);
    free(body);
    free(headers);
}

static void send_email(struct delivery *d)
{
    struct engine *engine = d->outbox->engine;
    struct project *project = engine_project(engine);
    const struct smtp *smtp = &project->smtp;
    const struct json *to = json_get(d->request, "to");
    const char **list = xcalloc(json_count(to) + 1, sizeof(*list));
    size_t count = 0;
    for (const struct json *t = json_first(to); t; t = json_next(t))
        list[count++] = json_c(t);
    if (!to)
        list[count++] = smtp->to ? smtp->to : engine->smtp_url ? SANDBOX_OWNER : NULL;
    struct smtp_server server = {.url = engine->smtp_url ? engine->smtp_url : smtp->url,
                                 .needs_tls = smtp->needs_tls && !engine->smtp_url,
                                 .username = engine->smtp_url ? NULL : smtp->username,
                                 .password = engine->smtp_url ? NULL : smtp->password};
    struct mail mail = {.from = smtp->from         ? smtp->from
                                : engine->smtp_url ? SANDBOX_FROM
                                                   : NULL,
                        .to = list,
                        .to_count = count,
                        .subject = json_get_c(d->request, "subject"),
                        .text = json_get_text(d->request, "text"),
                        .html = json_get_text(d->request, "html"),
                        .id = json_get_c(d->entry, "idempotency_key"),
                        .date_ms = id_ms(d->run_id)};
    if (!server.url || !mail.from || !list[0])
        d->code = err_set(&d->err, RN_ECONFIG, "runnel.yaml has no complete `smtp:` any more");
    else
        d->code = smtp_send(engine->egress, &server, &mail, LIMIT_SEND_MS, &d->outbox->is_cancelled,
                            &d->status, &d->err);
    free(list);
    project_unref(project);
}

/* When it is tried again; 0: never. */
static int64_t next_try(const struct delivery *d)
{
    bool is_retryable = d->code == RN_EUNAVAILABLE || d->code == RN_ETIMEDOUT ||
                        d->code == RN_EUNKNOWN || d->code == RN_ERATE;
    if (!is_retryable || d->tries >= LIMIT_SEND_TRIES)
        return 0;
    int64_t pause_ms = d->retry_after_ms >= 0 ? d->retry_after_ms : pauses_ms[d->tries - 1];
    if (pause_ms > LIMIT_SEND_PAUSE_MS)
        pause_ms = LIMIT_SEND_PAUSE_MS;
    return clock_now_ms() + pause_ms;
}

/* The URL of a request may hold what the run does not show. */
static void hide_url(struct delivery *d)
{
    struct str url = json_get_text(d->request, "url");
    if (!d->err.text[0] || !url.len || str_eq(url, json_get_text(d->entry, "url")))
        return;
    ptrdiff_t query = str_find(url, "?", 0);
    struct str bare = query < 0 ? url : str_n(url.ptr, (size_t)query);
    struct buf text = BUF_INIT(KIB(64));
    redact_text(&text, str_from(d->err.text), &bare, 1);
    (void)snprintf(d->err.text, sizeof(d->err.text), "%s", buf_c(&text));
    buf_release(&text);
}

static void perform(struct delivery *d)
{
    d->code = open_request(d);
    if (d->code == 0 && str_eq_c(json_get_text(d->entry, "kind"), "email"))
        send_email(d);
    else if (d->code == 0)
        send_http(d);
    d->was_stopped = d->code == RN_ECANCELED;
    d->next_ms = next_try(d);
    hide_url(d);
}

/* ---- writing down what came of it */

static struct json *outcome_of(const struct delivery *d)
{
    struct json *outcome = json_new_object();
    json_set_string(outcome, "state", d->code == 0 ? "sent" : d->next_ms ? "retrying" : "failed");
    json_set_integer(outcome, "tries", d->tries);
    if (d->status)
        json_set_integer(outcome, "status", d->status);
    if (d->code)
        json_set_string(outcome, "error", d->err.text);
    if (d->next_ms)
        json_set_integer(outcome, "next_ms", d->next_ms);
    json_set_integer(outcome, "done_ms", clock_now_ms());
    return outcome;
}

/* Into the run, which may be gone already. */
static int put_outcome(struct store_tx *tx, const struct delivery *d, struct err *err)
{
    const struct step_record step = {
        .run_id = d->run_id, .position = d->position, .attempt = d->attempt};
    struct run_record run;
    if (run_get(STORE_TX(tx), d->run_id, &run))
        return 0;
    size_t size = 0;
    struct json *outcome = outcome_of(d);
    char *text = json_text(outcome, &size);
    int rc = step_put_outcome(tx, &step, d->index, str_n(text, size), err);
    free(text);
    json_free(outcome);
    return rc;
}

static int apply_outcome(struct store_tx *tx, void *ctx, struct err *err)
{
    struct delivery *d = ctx;
    int rc = kv_delete(tx, SPACE_OUTBOX, str_from(d->key), err);
    if (rc == 0 && d->next_ms) {
        json_set_integer(d->entry, "tries", d->tries);
        rc = outbox_put(tx, d->entry, d->next_ms, err);
    }
    return rc ? rc : put_outcome(tx, d, err);
}

static void say(const struct delivery *d)
{
    char run[ID_TEXT_MAX];
    id_format("run", d->run_id, run);
    struct log_at at = {.workflow = json_get_c(d->entry, "workflow"),
                        .run = run,
                        .step = json_get_c(d->entry, "path")};
    const char *kind = json_get_c(d->entry, "kind");
    metrics_send(d->outbox->engine->metrics, kind,
                 d->code == 0 ? "sent"
                 : d->next_ms ? "retrying"
                              : "failed");
    if (d->code == 0)
        log_line(LOG_DEBUG, &at, "$.send.%s: sent", kind);
    else if (d->next_ms)
        log_line(LOG_INFO, &at, "$.send.%s: try %lld of %d failed, tried again in %lld s: %s", kind,
                 (long long)d->tries, LIMIT_SEND_TRIES,
                 (long long)(d->next_ms - clock_now_ms() + 999) / 1000, d->err.text);
    else
        log_line(LOG_WARN, &at, "$.send.%s failed: %s", kind, d->err.text);
}

static void finish(struct delivery *d)
{
    struct err err = ERR_INIT;
    fault_point("outbox.sent");
    if (!d->was_stopped) {
        say(d);
        if (store_run(d->outbox->engine->store, apply_outcome, d, false, &err)) {
            log_error("what came of a $.send cannot be written, it is sent again: %s", err.text);
            d->next_ms = clock_now_ms() + pauses_ms[0];
        }
    }
    json_free(d->request);
    json_free(d->entry);
}

/* ---- the threads */

static void wait_until(struct outbox *outbox, int64_t until_ms)
{
    if (until_ms == INT64_MAX) {
        pthread_cond_wait(&outbox->wake, &outbox->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t left_ms = until_ms - clock_now_ms();
    left_ms = left_ms < 1 ? 1 : left_ms;
    until.tv_sec += left_ms / 1000;
    until.tv_nsec += (left_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&outbox->wake, &outbox->lock, &until);
}

static void add_thread(struct outbox *outbox);

static void *outbox_main(void *arg)
{
    struct outbox *outbox = arg;
    pthread_mutex_lock(&outbox->lock);
    while (!atomic_load(&outbox->is_stopping)) {
        bool has_more = false;
        struct delivery *d = outbox->next_ms <= clock_now_ms() ? pick(outbox, &has_more) : NULL;
        if (!d) {
            wait_until(outbox, outbox->next_ms);
            continue;
        }
        if (has_more)
            add_thread(outbox);
        outbox->in_flight++;
        pthread_mutex_unlock(&outbox->lock);
        fault_point("outbox.before_send");
        perform(d);
        finish(d);
        pthread_mutex_lock(&outbox->lock);
        outbox->in_flight--;
        (void)map_remove(&outbox->busy, str_from(d->key));
        if (outbox->is_held_back)
            outbox->next_ms = 0;
        if (d->next_ms && d->next_ms < outbox->next_ms)
            outbox->next_ms = d->next_ms;
        free(d);
    }
    pthread_mutex_unlock(&outbox->lock);
    return NULL;
}

/* Under the lock. */
static void add_thread(struct outbox *outbox)
{
    pthread_cond_signal(&outbox->wake);
    if (outbox->thread_count < LIMIT_SEND_THREADS && !atomic_load(&outbox->is_stopping) &&
        pthread_create(&outbox->threads[outbox->thread_count], NULL, outbox_main, outbox) == 0)
        outbox->thread_count++;
}

void outbox_wake(struct outbox *outbox, uint64_t run_id)
{
    pthread_mutex_lock(&outbox->lock);
    if (outbox->engine->is_passive && run_id)
        (void)map_put(&outbox->own, str_n((const char *)&run_id, sizeof(run_id)), outbox);
    outbox->next_ms = 0;
    if (outbox->thread_count == 0)
        add_thread(outbox);
    else
        pthread_cond_signal(&outbox->wake);
    pthread_mutex_unlock(&outbox->lock);
}

/* Whether something is under way, or (passive) about to be. */
static bool is_at_work(struct outbox *outbox)
{
    pthread_mutex_lock(&outbox->lock);
    bool is_looking = outbox->engine->is_passive && outbox->next_ms <= clock_now_ms();
    bool is_at_work = outbox->thread_count && (outbox->in_flight || is_looking);
    pthread_mutex_unlock(&outbox->lock);
    return is_at_work;
}

/* Until nothing is under way; in a passive engine: until what its runs have sent was tried. */
static void drain(struct outbox *outbox, int wait_ms)
{
    struct timespec slice = {.tv_nsec = STOP_SLICE_MS * 1000000};
    int64_t until = clock_mono_ms() + wait_ms;
    while (is_at_work(outbox) && clock_mono_ms() < until)
        (void)nanosleep(&slice, NULL);
}

void outbox_stop(struct outbox *outbox, int grace_ms)
{
    if (!outbox->engine->is_passive)
        atomic_store(&outbox->is_stopping, true);
    else if (grace_ms < LIMIT_SEND_MS)
        grace_ms = LIMIT_SEND_MS; /* what this command's run has sent gets its first try */
    drain(outbox, grace_ms);
    atomic_store(&outbox->is_stopping, true);
    atomic_store(&outbox->is_cancelled, true);
    pthread_mutex_lock(&outbox->lock);
    pthread_cond_broadcast(&outbox->wake);
    pthread_mutex_unlock(&outbox->lock);
    for (size_t i = 0; i < outbox->thread_count; i++)
        (void)pthread_join(outbox->threads[i], NULL);
    outbox->thread_count = 0;
}

void outbox_free(struct outbox *outbox)
{
    if (!outbox)
        return;
    outbox_stop(outbox, 0);
    map_release(&outbox->busy, NULL);
    map_release(&outbox->own, NULL);
    pthread_mutex_destroy(&outbox->lock);
    pthread_cond_destroy(&outbox->wake);
    free(outbox);
}
