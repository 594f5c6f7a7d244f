/* What a run's steps have asked for and nobody has sent yet: taken when an attempt has succeeded,
 * kept in the run until it ends, read again when the run is loaded. Thread: the loop's. */
#include "engine/sends.h"

#include "base/encode.h"

char *sends_seal_place(uint64_t run_id, uint32_t position, uint32_t attempt, uint32_t index)
{
    return xasprintf("send/%llx/%u.%u.%u", (unsigned long long)run_id, position, attempt, index);
}

void sends_free(struct send *list)
{
    for (struct send *next; list; list = next) {
        next = list->next;
        json_free(list->record);
        free(list->sealed);
        free(list);
    }
}

static void append(struct run *run, struct send *list)
{
    *run->sends_end = list;
    for (; list; list = list->next) {
        run->sends_end = &list->next;
        run->send_count++;
    }
}

static int seal_request(struct strand *strand, struct send *send, const struct json *request,
                        struct err *err)
{
    const struct seal_key *key = NULL;
    size_t size = 0;
    int rc = engine_seal_key(strand->run->engine, &key, err);
    if (rc)
        return rc;
    char *text = json_text(request, &size);
    char *place = sends_seal_place(strand->run->id, send->position, send->attempt, send->index);
    struct buf bytes = BUF_INIT(LIMIT_SEND_BYTES + KIB(1)), out = BUF_INIT(2 * LIMIT_SEND_BYTES);
    rc = seal(key, str_n(text, size), str_from(place), &bytes, err);
    if (rc == 0) {
        encode_base64(&out, bytes.ptr, bytes.len, false);
        send->sealed = buf_take(&out, NULL);
    }
    buf_release(&bytes);
    mem_wipe(text, size);
    free(text);
    free(place);
    return rc;
}

/* What nobody is to see twice at the other end. */
static void add_key(const struct strand *strand, const struct send *send)
{
    char step[33], hex[CRYPTO_HEX_MAX];
    strand_idempotency_key(strand, step);
    char *text = xasprintf("%s/send/%u", step, send->index);
    crypto_hash_hex(CRYPTO_SHA256, str_from(text), hex);
    free(text);
    hex[32] = '\0';
    json_set_string(send->record, "idempotency_key", hex);
}

static int check_email(const struct run *run, const struct json *request, struct err *err)
{
    if (run->engine->holds_sends || run->engine->smtp_url)
        return 0;
    if (!run->project->smtp.url)
        return err_set(err, RN_ECONFIG,
                       "$.send.email: runnel.yaml says nothing of mail; add: smtp: { url: "
                       "\"smtps://HOST\", from: \"runnel@example.com\", to: \"you@example.com\" }");
    if (!json_get(request, "to") && !run->project->smtp.to)
        return err_set(err, RN_ECONFIG,
                       "$.send.email: there is no \"to\", and `smtp:` of runnel.yaml has none");
    return 0;
}

static int take_one(struct strand *strand, const struct json *asked, struct send *send,
                    struct err *err)
{
    struct json *request = NULL, *shown = NULL;
    int rc = send_check(asked, &request, &shown, err);
    if (rc)
        return rc;
    struct str kind = json_get_text(request, "kind");
    bool is_delivered = str_eq_c(kind, "http") || str_eq_c(kind, "email");
    send->record = strand_redact(strand, shown);
    if (!json_is(send->record, JSON_OBJECT)) { /* a secret that was part of JSON's own syntax */
        json_free(send->record);
        send->record = json_new_object();
        json_set_str(send->record, "kind", kind);
    }
    json_set_string(send->record, "path", strand->path);
    json_set_string(send->record, "state", "waiting");
    if (str_eq_c(kind, "email"))
        rc = check_email(strand->run, request, err);
    if (is_delivered)
        add_key(strand, send);
    if (rc == 0 && is_delivered && !strand->run->engine->holds_sends)
        rc = seal_request(strand, send, request, err);
    json_free(request);
    return rc;
}

static void keep(struct strand *strand, struct send *list)
{
    struct json *records = json_new_array();
    for (const struct send *s = list; s; s = s->next) {
        struct json *record = json_append(records, json_copy(s->record));
        json_set_string(record, "sealed", s->sealed);
    }
    run_keep_sends(strand->run, strand->position, strand->attempt, records);
}

int sends_take(struct strand *strand, const struct json *asked, struct err *err)
{
    struct run *run = strand->run;
    struct send *list = NULL, **end = &list;
    size_t bytes = 0;
    uint32_t index = 0;
    int rc = 0;
    if (json_count(asked) == 0)
        return 0;
    if (run->send_count + json_count(asked) > LIMIT_SENDS)
        return err_set(err, RN_ETOOBIG, "$.send: a run sends %d things at most", LIMIT_SENDS);
    for (const struct json *a = json_first(asked); a && rc == 0; a = json_next(a)) {
        struct send *send = xcalloc(1, sizeof(*send));
        size_t size = 0;
        *end = send;
        end = &send->next;
        send->position = strand->position;
        send->attempt = strand->attempt;
        send->index = index++;
        free(json_text(a, &size));
        bytes += size;
        if (run->send_bytes + bytes > LIMIT_SEND_BYTES)
            rc = err_set(err, RN_ETOOBIG, "$.send: what a run sends has %zu MiB at most",
                         (size_t)LIMIT_SEND_BYTES >> 20);
        rc = rc ? rc : take_one(strand, a, send, err);
    }
    if (rc) {
        sends_free(list);
        return rc;
    }
    run->send_bytes += bytes;
    keep(strand, list);
    append(run, list);
    return 0;
}

static int load_step(void *ctx, const struct step_record *step)
{
    struct run *run = ctx;
    struct json *records = NULL;
    struct send *list = NULL, **end = &list;
    uint32_t index = 0;
    if (!step->sends.len || json_parse_own(step->sends, &records, NULL))
        return 0;
    for (struct json *r; (r = json_take_first(records));) {
        struct send *send = xcalloc(1, sizeof(*send));
        struct json *sealed = json_take(r, "sealed");
        *send = (struct send){.position = step->position,
                              .attempt = step->attempt,
                              .index = index++,
                              .record = r,
                              .sealed = sealed ? str_dup(json_str(sealed)) : NULL};
        json_free(sealed);
        *end = send;
        end = &send->next;
    }
    json_free(records);
    run->send_bytes += step->sends.len;
    append(run, list);
    return 0;
}

void sends_load(struct run *run, struct store_view *view)
{
    (void)step_each(STORE_VIEW(view), run->id, load_step, run);
}
