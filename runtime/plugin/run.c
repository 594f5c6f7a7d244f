/* Beginning and end of a run, its errors, its secrets, and the calls of the callbacks. */
#include "plugin/run.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/redact.h"

#include <ftw.h>
#include <stdarg.h>
#include <unistd.h>

void run_init(struct run *run, enum run_op op, const struct run_services *services, void *ctx)
{
    memset(run, 0, sizeof(*run));
    run->base.api = &run_api;
    run->op = op;
    run->services = services;
    run->services_ctx = ctx;
    run->roots = run->root_space;
    run->root_capacity = RUN_ROOTS_INLINE;
    run->writes_end = &run->writes;
    run->exports_end = &run->exports;
    run->sends_end = &run->sends;
    run->attempt = 1;
    run->resume_url = "";
    run->runs = 1;
    run->idempotency_key = "";
    run->retry_after_ms = -1;
    run->db_bytes = SIZE_MAX;
    run->deadline_mono_ms = clock_mono_ms() + LIMIT_STEP_MS;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    (void)remove(path);
    return 0;
}

void run_release(struct run *run)
{
    if (run->temp_dir) {
        (void)nftw(run->temp_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        free(run->temp_dir);
    }
    for (struct run_fetched *f = run->fetched; f; f = f->next)
        run->services->fetch_release(&f->response);
    for (size_t i = 0; i < run->root_count; i++)
        json_free(run->roots[i]);
    if (run->roots != run->root_space)
        free(run->roots);
    json_free(run->options);
    json_free(run->options_context);
    json_free(run->added_props);
    free(run->emits);
    free(run->secrets);
    arena_release(&run->arena);
}

/* ---------------------------------------------------------------- secrets */

static void add_secret(struct run *run, struct str text)
{
    if (text.len < REDACT_LENGTH_MIN)
        return;
    run->secrets = xrealloc(run->secrets, (run->secret_count + 1) * sizeof(*run->secrets));
    run->secrets[run->secret_count++] = text;
}

/* The path of a secret URL is as secret as the whole: under an egress rewrite only the path shows.
 */
static void add_url_path(struct run *run, struct str url)
{
    ptrdiff_t host = str_find(url, "://", 0);
    if (host < 0)
        return;
    ptrdiff_t path = str_find(url, "/", (size_t)host + 3);
    if (path > 0 && url.len - (size_t)path >= 12)
        add_secret(run, str_n(url.ptr + path, url.len - (size_t)path));
}

static bool is_secret_name(const char *name)
{
    struct str text = str_from(name);
    if (str_ends(text, "_uri") || str_ends(text, "_url"))
        return false;
    return str_find(text, "key", 0) >= 0 || str_find(text, "secret", 0) >= 0 ||
           str_find(text, "token", 0) >= 0 || str_find(text, "password", 0) >= 0;
}

/* A key file as one field: its secrets are inside. */
static void add_key_file(struct run *run, struct str text)
{
    struct json *file = NULL;
    if (!text.len || text.ptr[0] != '{' || json_parse(text, &file, NULL))
        return;
    for (const struct json *v = json_first(file); v; v = json_next(v))
        if (json_is(v, JSON_STRING) && is_secret_name(json_name(v)))
            add_secret(run, (struct str){arena_dup(&run->arena, json_str(v)), json_str(v).len});
    json_free(file);
}

/* Whether the app says that this field may be seen. A field that it does not know (a fetched token)
 * may not. */
static bool is_public_field(const struct run *run, const char *app_prop, const char *field)
{
    const struct rn_app *app = NULL;
    if (run->component) {
        const struct plugin_prop *prop = plugin_prop(run->component, app_prop);
        app = prop ? prop->def.app : NULL;
    } else if (run->plugin && run->plugin->app_count) {
        app = run->plugin->apps[0].origin;
    }
    const struct plugin_app *known = app && run->plugin ? plugin_app_of(run->plugin, app) : NULL;
    bool is_known = false;
    for (uint32_t i = 0; known && i < known->def.auth_count; i++) {
        const struct rn_auth *auth = &known->def.auths[i];
        for (uint32_t j = 0; j < auth->field_count; j++) {
            if (strcmp(auth->fields[j].name, field) != 0)
                continue;
            if (auth->fields[j].flags & RN_SECRET)
                return false;
            is_known = true;
        }
    }
    return is_known;
}

static void gather_secrets(struct run *run)
{
    run->has_secrets = true;
    for (const struct json *a = json_first(run->auth); a; a = json_next(a)) {
        for (const struct json *f = json_first(a); f; f = json_next(f)) {
            if (!json_is(f, JSON_STRING) || is_public_field(run, json_name(a), json_name(f)))
                continue;
            struct str text = json_str(f);
            add_secret(run, text);
            add_url_path(run, text);
            add_key_file(run, text);
        }
    }
    for (size_t i = 0; run->component && i < run->component->prop_count; i++) {
        const struct rn_prop *def = &run->component->props[i].def;
        if (def->flags & RN_SECRET)
            add_secret(run, json_get_text(run->props, def->name));
    }
}

struct str run_redact(struct run *run, struct str text)
{
    if (!run->has_secrets)
        gather_secrets(run);
    if (!redact_is_needed(text, run->secrets, run->secret_count))
        return text;
    struct buf out = BUF_INIT(LIMIT_JSON_BYTES);
    redact_text(&out, text, run->secrets, run->secret_count);
    struct str clean = {arena_dup(&run->arena, buf_str(&out)), out.len};
    buf_release(&out);
    return clean;
}

/* ----------------------------------------------------------------- errors */

int32_t run_fail(struct run *run, int32_t code, const char *format, ...)
{
    char text[ERR_TEXT_MAX * 4]; /* redacted before it is cut, or half a secret might stay */
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    size_t size = n < 0 ? 0 : (size_t)n;
    if (size >= sizeof(text))
        size = sizeof(text) - 1;
    struct str clean = run_redact(run, str_n(text, size));
    return err_set(&run->err, code, STR_FMT, STR_ARG(clean));
}

/* What the callback returned, with a text in any case. */
static int settle(struct run *run, int32_t code, const char *what)
{
    if (!code) {
        run->err.code = 0;
        run->err.text[0] = '\0';
        return 0;
    }
    if (code > 0 || strcmp(err_name(code), "RN_E?") == 0)
        return run_fail(run, RN_EFAILED, "%s returned %d, which is neither 0 nor an RN_E… code%s%s",
                        what, code, run->err.text[0] ? ": " : "", run->err.text);
    if (!run->err.text[0])
        return run_fail(run, code, "%s failed: %s", what, err_sentence(code));
    run->err.code = code;
    return code;
}

int run_call(struct run *run, int32_t (*callback)(struct rn_run *run), const char *what)
{
    return settle(run, callback(&run->base), what);
}

/* ---------------------------------------------------------------- options */

static int make_params(struct run *run, const struct rn_prop *def, struct json *params)
{
    for (const struct rn_input *input = def->inputs; input && input->param; input++) {
        const struct json *value = run_prop(run, input->prop);
        if (value)
            json_set(params, input->param, json_copy(value));
    }
    if (!def->inputs_fn)
        return 0;
    return settle(run, def->inputs_fn(&run->base, (struct rn_json *)params), "inputs()");
}

int run_call_options(struct run *run, const char *prop, uint32_t page, const char *query,
                     const struct json *prev_context)
{
    const struct plugin_prop *found = plugin_prop(run->component, prop);
    if (!found || !found->def.options)
        return run_fail(run, RN_EINVAL, "prop \"%s\" of %s has no options() to ask", prop,
                        run->component->def.key);
    run->options = json_new_array();
    struct json *params = json_new_object();
    run_track(run, params);
    int code = make_params(run, &found->def, params);
    if (code)
        return code;
    struct rn_options_query ask = {
        .struct_size = (uint32_t)sizeof(ask),
        .page = page,
        .query = query ? query : "",
        .prev_context = rn_of(prev_context),
        .params = rn_of(params),
    };
    return settle(run, found->def.options(&run->base, &ask), "options()");
}

int run_call_additional_props(struct run *run, const struct json *previous)
{
    if (!run->component->def.additional_props)
        return run_fail(run, RN_EINVAL, "%s has no additional_props()", run->component->def.key);
    run->added_props = json_new_array();
    return settle(run, run->component->def.additional_props(&run->base, rn_of(previous)),
                  "additional_props()");
}

/* ------------------------------------------------------------------- time */

int64_t run_left_ms(const struct run *run)
{
    return run->deadline_mono_ms - clock_mono_ms();
}

bool run_is_cancelled(const struct run *run)
{
    return run->cancelled && atomic_load_explicit(run->cancelled, memory_order_relaxed);
}

int run_sleep(struct run *run, int64_t ms)
{
    if (run_is_cancelled(run))
        return run_fail(run, RN_ECANCELED, "the call was cancelled");
    if (ms <= 0)
        return 0;
    if (ms >= run_left_ms(run))
        return run_fail(run, RN_ETIMEDOUT,
                        "a wait of %lld ms would pass the call's deadline, which is %lld ms away",
                        (long long)ms, (long long)run_left_ms(run));
    run->services->may_block(run->services_ctx);
    int code = run->services->sleep(run->services_ctx, ms, run->cancelled);
    return code ? run_fail(run, code, "the call was cancelled while it waited") : 0;
}

/* ---------------------------------------------------------------- results */

static int by_time(const void *a, const void *b)
{
    const struct run_emit *x = a, *y = b;
    if (x->order_ts != y->order_ts)
        return x->order_ts < y->order_ts ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

void run_sort_emits(struct run *run)
{
    if (run->emit_count > 1)
        qsort(run->emits, run->emit_count, sizeof(*run->emits), by_time);
}

void run_write_exports(const struct run *run, struct buf *out)
{
    buf_add_char(out, '{');
    for (const struct run_export *e = run->exports; e; e = e->next) {
        json_write_string(out, str_from(e->name));
        buf_add_char(out, ':');
        buf_add_str(out, e->text);
        if (e->next)
            buf_add_char(out, ',');
    }
    buf_add_char(out, '}');
}

/* ------------------------------------------------------------------ table */

const struct rn_api run_api = {
    .struct_size = (uint32_t)sizeof(struct rn_api),
    .json_parse = api_json_parse,
    .json_print = api_json_print,
    .json_copy = api_json_copy,
    .json_null = api_json_null,
    .json_boolean = api_json_boolean,
    .json_integer = api_json_integer,
    .json_number = api_json_number,
    .json_string = api_json_string,
    .json_array = api_json_array,
    .json_object = api_json_object,
    .json_set = api_json_set,
    .json_append = api_json_append,
    .json_kind = api_json_kind,
    .json_size = api_json_size,
    .json_get = api_json_get,
    .json_first = api_json_first,
    .json_next = api_json_next,
    .json_key = api_json_key,
    .json_text = api_json_text,
    .json_number_text = api_json_number_text,
    .json_to_integer = api_json_to_integer,
    .json_to_double = api_json_to_double,
    .json_to_boolean = api_json_to_boolean,
    .prop = api_prop,
    .auth = api_auth,
    .endpoint = api_endpoint,
    .option = api_option,
    .options_context = api_options_context,
    .add_prop = api_add_prop,
    .db_get = api_db_get,
    .db_set = api_db_set,
    .db_delete = api_db_delete,
    .db_keys = api_db_keys,
    .event = api_event,
    .request_method = api_request_method,
    .request_path = api_request_path,
    .request_query = api_request_query,
    .request_header = api_request_header,
    .request_body_raw = api_request_body_raw,
    .request_body = api_request_body,
    .request_element_span = api_request_element_span,
    .respond = api_respond,
    .emit = api_emit,
    .export_value = api_export,
    .flow_exit = api_flow_exit,
    .idempotency_key = api_idempotency_key,
    .attempt = api_attempt,
    .http = api_http,
    .execute = api_execute,
    .hmac_hex = api_hmac_hex,
    .hash_hex = api_hash_hex,
    .equal_constant_time = api_equal,
    .random_hex = api_random_hex,
    .uuid = api_uuid,
    .base64 = api_base64,
    .base64_decode = api_base64_decode,
    .url_encode = api_url_encode,
    .now_ms = api_now_ms,
    .parse_time = api_parse_time,
    .format_time = api_format_time,
    .deadline_ms = api_deadline_ms,
    .is_cancelled = api_is_cancelled,
    .sleep_ms = api_sleep_ms,
    .log = api_log,
    .fail = api_fail,
    .text = api_text,
    .temp_dir = api_temp_dir,
    .respond_now = api_respond_now,
    .flow_wait = api_flow_wait,
    .flow_url = api_flow_url,
    .runs = api_runs,
    .rerun_value = api_rerun_value,
    .store = api_store,
    .dir_path = api_dir_path,
    .dir_read = api_dir_read,
    .dir_write = api_dir_write,
    .send = api_send,
};
