/* What of a run is written down, as JSON texts in the store's records. */
#include "base/redact.h"
#include "crypto/hmac.h"
#include "engine/run.h"

enum { SECRETS_MAX = 64 };

int64_t run_next_wake(const struct run *run)
{
    int64_t wake_ms = 0;
    for (const struct strand *s = run->strands; s; s = s->next)
        if (s->wait.is_on && s->wait.until_ms && (!wake_ms || s->wait.until_ms < wake_ms))
            wake_ms = s->wait.until_ms;
    return wake_ms;
}

char *record_detail(const struct run *run)
{
    struct json *detail = json_new_object();
    json_set_string(detail, "version", run->workflow ? run->workflow->sha256 : NULL);
    json_set_string(detail, "name", run->workflow ? run->workflow->name : NULL);
    json_set_string(detail, "trigger", run->trigger);
    json_set_integer(detail, "created_ms", run->created_ms);
    json_set_integer(detail, "started_ms", run->started_ms);
    if (run->ended_ms)
        json_set_integer(detail, "ended_ms", run->ended_ms);
    if (run_next_wake(run))
        json_set_integer(detail, "wake_ms", run_next_wake(run));
    json_set_string(detail, "replay_of", run->replay_of);
    json_set_string(detail, "replay_from", run->replay_from);
    json_set_string(detail, "parent", run->parent);
    if (run->depth)
        json_set_integer(detail, "depth", run->depth);
    if (run->hops)
        json_set_integer(detail, "hops", run->hops);
    json_set_string(detail, "key", run->key);
    if (run->is_unstored)
        json_set_boolean(detail, "nostore", true);
    json_set_string(detail, "exit_reason", run->exit_reason);
    if (run->error)
        (void)json_set(detail, "error", json_copy(run->error));
    char *text = json_text(detail, NULL);
    json_free(detail);
    return text;
}

static char *copy_of(const struct json *detail, const char *name)
{
    const char *text = json_get_c(detail, name);
    return text ? xstrdup(text) : NULL;
}

void record_read_detail(struct run *run, const struct json *detail)
{
    const char *trigger = json_get_c(detail, "trigger");
    run->trigger = xstrdup(trigger ? trigger : "trigger");
    run->replay_of = copy_of(detail, "replay_of");
    run->replay_from = copy_of(detail, "replay_from");
    run->parent = copy_of(detail, "parent");
    run->key = copy_of(detail, "key");
    run->is_unstored = json_get_bool(detail, "nostore", false);
    run->depth = (int)json_get_i64(detail, "depth", 0);
    run->hops = (int)json_get_i64(detail, "hops", 0);
    run->created_ms = json_get_i64(detail, "created_ms", id_ms(run->id));
    run->started_ms = json_get_i64(detail, "started_ms", 0);
}

/* ---- waits */

static const char *const wait_kinds[] = {[WAIT_RETRY] = "retry",
                                         [WAIT_DELAY] = "delay",
                                         [WAIT_SUSPEND] = "suspend",
                                         [WAIT_RERUN] = "rerun",
                                         [WAIT_RUN] = "run"};

struct json *wait_json(const struct wait *wait)
{
    struct json *json = json_new_object();
    json_set_string(json, "kind", wait_kinds[wait->kind]);
    json_set_integer(json, "until_ms", wait->until_ms);
    if (wait->goes_on)
        json_set_boolean(json, "goes_on", true);
    return json;
}

bool wait_read(const struct json *json, struct wait *ret)
{
    struct str kind = json_get_text(json, "kind");
    for (size_t i = 0; i < COUNT_OF(wait_kinds); i++) {
        if (!str_eq_c(kind, wait_kinds[i]))
            continue;
        *ret = (struct wait){.kind = (enum wait_kind)i,
                             .until_ms = json_get_i64(json, "until_ms", 0),
                             .goes_on = json_get_bool(json, "goes_on", false)};
        return true;
    }
    return false;
}

struct json *record_context(const struct run *run, const struct event_record *event)
{
    char text[CLOCK_TEXT_MAX], id[ID_TEXT_MAX];
    struct json *context = json_new_object();
    id_format("evt", event->id, id);
    clock_format(run->started_ms, text);
    json_set_string(context, "id", run->id_text);
    json_set_string(context, "trace_id", id);
    json_set_string(context, "ts", text);
    json_set_string(context, "workflow_id", run->workflow->id);
    json_set_string(context, "workflow_name", run->workflow->name);
    json_set_string(context, "deployment_id", run->workflow->sha256);
    json_set_str(context, "emitter_id", event->emitter);
    json_set_string(context, "platform_version", "runnel");
    json_set_boolean(context, "replay", run->replay_of != NULL);
    json_set_integer(context, "hops", run->hops);
    return context;
}

void strand_idempotency_key(const struct strand *strand, char out[33])
{
    char hex[CRYPTO_HEX_MAX];
    char *text = xasprintf("%s/%s/%u", strand->run->id_text, strand->path, strand->runs);
    crypto_hash_hex(CRYPTO_SHA256, str_from(text), hex);
    free(text);
    memcpy(out, hex, 32);
    out[32] = '\0';
}

static bool is_secret_field(const struct app_def *app, const char *field)
{
    if (strcmp(field, "oauth_access_token") == 0)
        return true;
    for (const struct json *a = json_first(app ? app->auths : NULL); a; a = json_next(a))
        for (const struct json *f = json_first(json_get(a, "fields")); f; f = json_next(f))
            if (str_eq_c(json_get_text(f, "name"), field) && json_get_bool(f, "secret", false))
                return true;
    return false;
}

/* The app of an account of a code step, by the project's file or the store. */
static const struct app_def *app_of(const struct strand *strand, struct catalog *catalog,
                                    const char *account)
{
    const struct project *project = strand->run->project;
    const char *slug = NULL;
    for (size_t i = 0; account && i < project->account_count; i++)
        if (strcmp(project->accounts[i].name, account) == 0)
            slug = project->accounts[i].app;
    if (account && !slug)
        slug = accounts_lookup(strand->run->engine->accounts, str_from(account));
    return slug ? catalog_app(catalog, str_from(slug)) : NULL;
}

static size_t code_secrets_of(const struct strand *strand, struct catalog *catalog, struct str *out,
                              size_t max)
{
    size_t count = 0;
    for (const struct json *auth = json_first(strand->auth); auth; auth = json_next(auth)) {
        const struct json *prop = json_get(strand->props, json_name(auth));
        const struct app_def *app = app_of(strand, catalog, json_get_c(prop, "account"));
        for (const struct json *f = json_first(auth); f && count < max; f = json_next(f))
            if (is_secret_field(app, json_name(f)) && json_str(f).len)
                out[count++] = json_str(f);
    }
    return count;
}

/* Auth values and secret props; the views point into strand->auth and strand->props. */
static size_t secrets_of(const struct strand *strand, struct str *out, size_t max)
{
    size_t count = 0;
    const struct component_def *component = strand_step(strand)->use.component;
    struct catalog *catalog = engine_catalog(strand->run->engine);
    for (size_t i = 0; component && i < component->prop_count; i++) {
        const struct prop_def *prop = &component->props[i];
        if (prop->flags & RN_SECRET && count < max && json_get_text(strand->props, prop->name).len)
            out[count++] = json_get_text(strand->props, prop->name);
        const struct app_def *app =
            prop->type == RN_APP ? catalog_app(catalog, str_from(prop->app)) : NULL;
        for (const struct json *f = json_first(json_get(strand->auth, prop->name));
             f && count < max; f = json_next(f))
            if (is_secret_field(app, json_name(f)) && json_str(f).len)
                out[count++] = json_str(f);
    }
    if (strand_step(strand)->kind == STEP_CODE)
        count = code_secrets_of(strand, catalog, out, max);
    catalog_unref(catalog);
    return count;
}

void strand_redact_text(const struct strand *strand, struct str text, struct buf *out)
{
    struct str secrets[SECRETS_MAX];
    size_t count = secrets_of(strand, secrets, COUNT_OF(secrets)), at = out->len;
    if (count == 0 || !redact_is_needed(text, secrets, count)) {
        buf_add_str(out, text);
        return;
    }
    redact_text(out, text, secrets, count);
    if (!buf_is_overflowed(out) && json_check(str_n(out->ptr + at, out->len - at), NULL) == 0)
        return;
    out->overflowed = false; /* or a secret is part of JSON's own syntax */
    out->len = at;
    json_write_string(out, STR(REDACTED));
}

struct json *strand_redact(const struct strand *strand, struct json *value)
{
    struct str secrets[SECRETS_MAX];
    size_t count = value ? secrets_of(strand, secrets, COUNT_OF(secrets)) : 0, size = 0;
    if (count == 0)
        return value;
    char *text = json_text(value, &size);
    if (redact_is_needed(str_n(text, size), secrets, count)) {
        struct buf out = BUF_INIT(LIMIT_JSON_BYTES);
        strand_redact_text(strand, str_n(text, size), &out);
        json_free(value);
        value = NULL;
        (void)!json_parse(buf_str(&out), &value, NULL); /* it is JSON: that was seen to */
        buf_release(&out);
    }
    free(text);
    return value;
}
