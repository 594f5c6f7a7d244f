/* What a source uses: its db, emits and the answer. api_request.c has the request. */
#include "plugin/run.h"

#include "base/clock.h"
#include "base/limits.h"

static bool is_sources(const struct run *run)
{
    return run->op == RUN_SOURCE || run->op == RUN_HOOK;
}

/* --------------------------------------------------------------------- db */

static struct run_write *find_write(struct run *run, const char *key)
{
    for (struct run_write *w = run->writes; w; w = w->next)
        if (strcmp(w->key, key) == 0)
            return w;
    return NULL;
}

const struct rn_json *api_db_get(struct rn_run *rn, const char *key)
{
    struct run *run = run_of(rn);
    if (!key)
        return NULL;
    const struct run_write *write = find_write(run, key);
    return rn_of(write ? write->value : json_get(run->db, key));
}

static size_t text_size(struct run *run, const struct json *value)
{
    (void)run;
    size_t size = 0;
    free(json_text(value, &size));
    return size;
}

/* Bytes of the db with the writes of this run applied and `key` left out. */
static size_t db_bytes_without(struct run *run, const char *key)
{
    if (run->db_bytes == SIZE_MAX) {
        run->db_bytes = 0;
        for (const struct json *v = json_first(run->db); v; v = json_next(v))
            run->db_bytes += strlen(json_name(v)) + text_size(run, v);
    }
    size_t total = run->db_bytes;
    const struct json *old = json_get(run->db, key);
    if (old)
        total -= strlen(key) + text_size(run, old);
    for (const struct run_write *w = run->writes; w; w = w->next) {
        if (strcmp(w->key, key) == 0)
            continue;
        old = json_get(run->db, w->key);
        if (old)
            total -= strlen(w->key) + text_size(run, old);
        total += w->bytes;
    }
    return total;
}

static int32_t check_write(struct run *run, const char *what, const char *key)
{
    if (!is_sources(run))
        return run_fail(run, RN_EINVAL, "%s: only sources have a db", what);
    size_t size = key ? strlen(key) : 0;
    if (size < 1 || size > LIMIT_DB_KEY)
        return run_fail(run, RN_EINVAL, "%s: a key has 1 to %d bytes, not %zu", what, LIMIT_DB_KEY,
                        size);
    if (!utf8_is_valid(str_n(key, size)))
        return run_fail(run, RN_EINVAL, "%s: the key is not UTF-8", what);
    return 0;
}

static void put_write(struct run *run, const char *key, struct json *value, size_t bytes)
{
    struct run_write *write = find_write(run, key);
    if (!write) {
        write = arena_alloc(&run->arena, sizeof(*write));
        write->key = arena_dup(&run->arena, str_from(key));
        *run->writes_end = write;
        run->writes_end = &write->next;
        run->write_count++;
    }
    write->value = value;
    write->bytes = bytes;
}

int32_t api_db_set(struct rn_run *rn, const char *key, const struct rn_json *value)
{
    struct run *run = run_of(rn);
    int32_t code = check_write(run, "rn_db_set", key);
    if (code)
        return code;
    struct json *own = value ? json_copy(json_of(value)) : json_new_null();
    run_track(run, own);
    size_t bytes = strlen(key) + text_size(run, own);
    size_t total = db_bytes_without(run, key) + bytes;
    if (total > LIMIT_DB_BYTES)
        return run_fail(run, RN_ETOOBIG,
                        "rn_db_set: with \"%s\" the db would have %zu bytes; %zu are allowed", key,
                        total, (size_t)LIMIT_DB_BYTES);
    put_write(run, key, own, bytes);
    return 0;
}

int32_t api_db_delete(struct rn_run *rn, const char *key)
{
    struct run *run = run_of(rn);
    int32_t code = check_write(run, "rn_db_delete", key);
    if (!code)
        put_write(run, key, NULL, 0);
    return code;
}

const struct rn_json *api_db_keys(struct rn_run *rn)
{
    struct run *run = run_of(rn);
    struct json *keys = json_new_array();
    for (const struct json *v = json_first(run->db); v; v = json_next(v)) {
        const struct run_write *write = find_write(run, json_name(v));
        if (!write || write->value)
            json_append(keys, json_new_string_c(json_name(v)));
    }
    for (const struct run_write *w = run->writes; w; w = w->next)
        if (w->value && !json_get(run->db, w->key))
            json_append(keys, json_new_string_c(w->key));
    return run_track(run, keys);
}

/* ------------------------------------------------------------------- emit */

static int32_t check_emit_id(struct run *run, const char *id)
{
    static const char *const names[] = {"none", "unique", "greatest", "last"};
    int32_t dedupe = run->component->def.dedupe;
    if (!id || !id[0]) {
        if (dedupe == RN_DEDUPE_NONE)
            return 0;
        return run_fail(run, RN_EINVAL,
                        "rn_emit: the dedupe strategy \"%s\" of %s needs an id with every event",
                        names[dedupe], run->component->def.key);
    }
    if (strlen(id) > LIMIT_EMIT_ID)
        return run_fail(run, RN_ETOOBIG, "rn_emit: the id has %zu bytes; %d are allowed",
                        strlen(id), LIMIT_EMIT_ID);
    if (!utf8_is_valid(str_from(id)))
        return run_fail(run, RN_EINVAL, "rn_emit: the id is not UTF-8");
    if (dedupe != RN_DEDUPE_GREATEST)
        return 0;
    struct json *number = json_new_number(str_from(id));
    if (!number)
        return run_fail(run, RN_EINVAL,
                        "rn_emit: the dedupe strategy \"greatest\" needs ids that are numbers; "
                        "\"%s\" is none",
                        id);
    json_free(number);
    return 0;
}

static const char *dup_limited(struct run *run, const char *text, size_t limit)
{
    if (!text || !text[0])
        return NULL;
    struct str view = str_from(text);
    if (view.len > limit) {
        view.len = limit;
        while (view.len && ((unsigned char)text[view.len] & 0xC0) == 0x80)
            view.len--;
    }
    return arena_dup(&run->arena, view);
}

/* The event's JSON text. A JSON body that is emitted as it came is not written anew. */
static struct str emit_text(struct run *run, const struct json *event)
{
    if (!event)
        return STR("null");
    if (event == run->request.body_json && run->request.body_is_text_json)
        return str_trim(run->request.body);
    return run_print(run, event);
}

int32_t api_emit(struct rn_run *rn, const struct rn_json *event, const struct rn_emit_meta *meta)
{
    static const struct rn_emit_meta nothing = {.struct_size = (uint32_t)sizeof(nothing)};
    struct run *run = run_of(rn);
    if (!is_sources(run))
        return run_fail(run, RN_EINVAL, "rn_emit: only sources emit");
    if (!meta)
        meta = &nothing;
    int32_t code = check_emit_id(run, meta->id);
    if (code)
        return code;
    struct str text = emit_text(run, json_of(event));
    if (run->emit_count >= LIMIT_EMITS || run->emit_bytes + text.len > LIMIT_EMIT_BYTES)
        return run_fail(run, RN_ETOOBIG, "rn_emit: more than %d events or %zu bytes in one run",
                        LIMIT_EMITS, (size_t)LIMIT_EMIT_BYTES);
    if (run->emit_count == run->emit_capacity) {
        run->emit_capacity = run->emit_capacity ? run->emit_capacity * 2 : 4;
        run->emits = xrealloc(run->emits, run->emit_capacity * sizeof(*run->emits));
    }
    run->emits[run->emit_count] = (struct run_emit){
        .id = dup_limited(run, meta->id, LIMIT_EMIT_ID),
        .name = dup_limited(run, meta->name, LIMIT_EMIT_ID),
        .summary = dup_limited(run, meta->summary, LIMIT_SUMMARY),
        .ts = meta->ts,
        .order_ts = meta->ts ? meta->ts : clock_now_ms(),
        .index = run->emit_count,
        .text = text,
    };
    run->emit_count++;
    run->emit_bytes += text.len;
    return 0;
}

/* ---------------------------------------------------------------- respond */

static bool has_custom_response(const struct run *run)
{
    for (size_t i = 0; i < run->component->prop_count; i++)
        if (run->component->props[i].def.flags & RN_CUSTOM_RESPONSE)
            return true;
    return false;
}

bool run_is_header_name(const char *text)
{
    if (!text || !text[0])
        return false;
    for (const char *c = text; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              strchr("!#$%&'*+-.^_`|~", *c)))
            return false;
    return true;
}

bool run_is_header_value(const char *text)
{
    if (!text)
        return false;
    for (const char *c = text; *c; c++)
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7F)
            return false;
    return true;
}

/* Those that frame the answer are the listener's to set. */
static bool is_framing_header(const char *name)
{
    static const char *const framing[] = {"content-length", "transfer-encoding", "connection",
                                          "keep-alive",     "upgrade",           "trailer"};
    for (size_t i = 0; i < COUNT_OF(framing); i++)
        if (str_eq_nocase(str_from(name), str_from(framing[i])))
            return true;
    return false;
}

static int32_t respond(struct rn_run *rn, bool is_immediate, int32_t status,
                       const struct rn_pair *headers, size_t header_count, const void *body,
                       size_t size)
{
    struct run *run = run_of(rn);
    if (run->op != RUN_ACTION && (run->op != RUN_SOURCE || !has_custom_response(run)))
        return run_fail(run, RN_EINVAL,
                        "rn_respond: only an action, or run() of a source whose http prop has "
                        "RN_CUSTOM_RESPONSE, answers");
    if (status < 100 || status > 599)
        return run_fail(run, RN_EINVAL, "rn_respond: the status %d is outside 100 to 599", status);
    for (size_t i = 0; i < header_count; i++) {
        if (!run_is_header_name(headers[i].name) || !run_is_header_value(headers[i].value))
            return run_fail(run, RN_EINVAL, "rn_respond: HTTP does not allow the header \"%s\"",
                            headers[i].name ? headers[i].name : "(NULL)");
        if (is_framing_header(headers[i].name))
            return run_fail(run, RN_EINVAL, "rn_respond: the header \"%s\" is set by the runtime",
                            headers[i].name);
    }
    if (size > LIMIT_HTTP_BODY_MAX)
        return run_fail(run, RN_ETOOBIG, "rn_respond: the body has %zu bytes; %zu are allowed",
                        size, (size_t)LIMIT_HTTP_BODY_MAX);
    if (run->response.is_set)
        return 0;
    struct rn_pair *copy = arena_alloc(&run->arena, (header_count + 1) * sizeof(*copy));
    for (size_t i = 0; i < header_count; i++) {
        copy[i].name = arena_dup(&run->arena, str_from(headers[i].name));
        copy[i].value = arena_dup(&run->arena, str_from(headers[i].value));
    }
    run->response = (struct run_response){
        .is_set = true,
        .status = status,
        .headers = copy,
        .header_count = header_count,
        .body = {arena_dup(&run->arena, str_n(body, body ? size : 0)), body ? size : 0},
        .is_immediate = is_immediate,
    };
    return 0;
}

int32_t api_respond(struct rn_run *rn, int32_t status, const struct rn_pair *headers,
                    size_t header_count, const void *body, size_t size)
{
    return respond(rn, false, status, headers, header_count, body, size);
}

int32_t api_respond_now(struct rn_run *rn, int32_t status, const struct rn_pair *headers,
                        size_t header_count, const void *body, size_t size)
{
    return respond(rn, true, status, headers, header_count, body, size);
}
