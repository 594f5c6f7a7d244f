/* What of a run is written down, as JSON texts in the store's records. */
#include "base/redact.h"
#include "crypto/hmac.h"
#include "engine/run.h"

enum { SECRETS_MAX = 64 };

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
    json_set_integer(detail, "position", (int64_t)run->position);
    json_set_integer(detail, "attempt", run->attempt);
    json_set_integer(detail, "counted", run->counted);
    if (run->wake_ms)
        json_set_integer(detail, "wake_ms", run->wake_ms);
    json_set_string(detail, "replay_of", run->replay_of);
    json_set_string(detail, "exit_reason", run->exit_reason);
    if (run->error)
        (void)json_set(detail, "error", json_copy(run->error));
    char *text = json_text(detail, NULL);
    json_free(detail);
    return text;
}

void record_read_detail(struct run *run, const struct json *detail)
{
    const char *trigger = json_get_c(detail, "trigger"),
               *replay_of = json_get_c(detail, "replay_of");
    run->trigger = xstrdup(trigger ? trigger : "trigger");
    run->replay_of = replay_of ? xstrdup(replay_of) : NULL;
    run->created_ms = json_get_i64(detail, "created_ms", id_ms(run->id));
    run->started_ms = json_get_i64(detail, "started_ms", 0);
    run->wake_ms = json_get_i64(detail, "wake_ms", 0);
    run->counted = (uint32_t)json_get_i64(detail, "counted", 0);
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
    return context;
}

void run_idempotency_key(const struct run *run, char out[33])
{
    char text[256], hex[129];
    int n = snprintf(text, sizeof(text), "%s/%s/%zu", run->id_text,
                     run->workflow->steps[run->position].namespace_, run->position);
    crypto_hash_hex(CRYPTO_SHA256, str_n(text, (size_t)n), hex);
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

size_t run_secrets(const struct run *run, struct str *out, size_t max)
{
    size_t count = 0;
    const struct component_def *component = run->workflow->steps[run->position].use.component;
    struct catalog *catalog = engine_catalog(run->engine);
    for (size_t i = 0; component && i < component->prop_count; i++) {
        const struct prop_def *prop = &component->props[i];
        if (prop->flags & RN_SECRET && count < max && json_get_text(run->props, prop->name).len)
            out[count++] = json_get_text(run->props, prop->name);
        const struct app_def *app =
            prop->type == RN_APP ? catalog_app(catalog, str_from(prop->app)) : NULL;
        for (const struct json *f = json_first(json_get(run->auth, prop->name)); f && count < max;
             f = json_next(f))
            if (is_secret_field(app, json_name(f)) && json_str(f).len)
                out[count++] = json_str(f);
    }
    catalog_unref(catalog);
    return count;
}

struct json *run_redacted(const struct run *run, const struct json *value)
{
    struct str secrets[SECRETS_MAX];
    size_t count = run_secrets(run, secrets, COUNT_OF(secrets));
    if (!value)
        return NULL;
    size_t size = 0;
    char *text = json_text(value, &size);
    struct json *redacted = NULL;
    if (redact_is_needed(str_n(text, size), secrets, count)) {
        struct buf out = BUF_INIT(LIMIT_JSON_BYTES);
        redact_text(&out, str_n(text, size), secrets, count);
        if (json_parse(buf_str(&out), &redacted, NULL))
            redacted = json_new_string_c(REDACTED); /* a secret that is part of JSON's own syntax */
        buf_release(&out);
    } else {
        redacted = json_copy(value);
    }
    free(text);
    return redacted;
}
