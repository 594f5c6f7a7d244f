/* One attempt of a step: props, accounts, intent on disk, call, answer. Thread: the loop's; what
 * comes from elsewhere is posted to it. */
#include "base/fault.h"
#include "engine/run.h"

enum {
    LOSSES_MAX = 3,      /* attempts lost with a host process that do not count */
    CALL_SLACK_MS = 500, /* between the component's deadline and the host's */
};

static const struct step *current(const struct run *run)
{
    return &run->workflow->steps[run->position];
}

static void clear_attempt(struct run *run)
{
    json_free(run->props);
    json_free(run->auth);
    run->props = NULL;
    run->auth = NULL;
    run->host = NULL;
    run->call_id = 0;
}

/* ---- results */

static struct json *result_new(struct run *run, const char *status)
{
    struct json *result = json_new_object();
    json_set_string(result, "namespace", current(run)->namespace_);
    json_set_string(result, "status", status);
    json_set_integer(result, "started_ms", run->attempt_ms);
    json_set_integer(result, "ended_ms", clock_now_ms());
    pthread_mutex_lock(&run->log_lock);
    if (run->logs)
        (void)json_set(result, "logs", run->logs);
    run->logs = NULL;
    run->log_bytes = 0;
    pthread_mutex_unlock(&run->log_lock);
    return result;
}

static void succeed(struct run *run, struct json *exports, const char *exit_reason, bool is_exit)
{
    struct json *result = result_new(run, "succeeded");
    struct json *kept = run_redacted(run, exports ? exports : NULL);
    if (!kept)
        kept = json_new_object();
    (void)json_set(result, "exports", json_copy(kept));
    if (is_exit)
        json_set_string(json_set(result, "exit", json_new_object()), "reason", exit_reason);
    run_keep_result(run, result);
    (void)json_set(run->steps, current(run)->namespace_, kept);
    clear_attempt(run);
    run->position++;
    run->attempt = 1;
    run->counted = 0;
    run->losses = 0;
    run->was_refreshed = false;
    if (is_exit) {
        run->exit_reason = exit_reason ? xstrdup(exit_reason) : NULL;
        run_end(run, "succeeded");
    } else {
        run_advance(run);
    }
}

static struct json *failure_result(struct run *run, int code, const char *text,
                                   int64_t retry_after_ms, struct json *exports)
{
    struct json *result = result_new(run, code == RN_EUNKNOWN ? "unknown" : "failed");
    struct json *error = json_set(result, "error", json_new_object());
    json_set_string(error, "code", err_word(code));
    json_set_string(error, "text", text);
    if (retry_after_ms >= 0)
        json_set_integer(error, "retry_after_ms", retry_after_ms);
    struct json *kept = run_redacted(run, exports);
    if (kept)
        (void)json_set(result, "exports", kept);
    return result;
}

/* A token that was refused is fetched anew, once a step. */
static bool refresh_tokens(struct run *run)
{
    bool can_refresh = false;
    if (run->was_refreshed)
        return false;
    run->was_refreshed = true;
    for (const struct json *p = json_first(run->props); p; p = json_next(p)) {
        const char *account = json_get_c(p, "account");
        if (account)
            can_refresh |= accounts_invalidate(run->engine->accounts, account);
    }
    return can_refresh;
}

static void try_again_now(struct run *run)
{
    run->attempt++;
    run_advance(run);
}

static void fail_attempt(struct run *run, int code, const char *text, int64_t retry_after_ms,
                         bool was_host_lost, struct json *exports)
{
    const struct step *step = current(run);
    struct json *result = failure_result(run, code, text, retry_after_ms, exports);
    bool is_auth_again = code == RN_EAUTH && refresh_tokens(run);
    /* The process went, perhaps for another call's sake: that does not count, unless it happens
     * again and again under this step. */
    bool is_loss =
        was_host_lost && step->retry.on_unknown == ON_UNKNOWN_RETRY && run->losses++ < LOSSES_MAX;
    if (!is_loss && !is_auth_again)
        run->counted++;
    int64_t at = is_loss || is_auth_again
                     ? clock_now_ms()
                     : retry_at(&step->retry, code, run->counted, retry_after_ms, clock_now_ms());
    if (at >= 0 && !run->is_cancelled)
        json_set_integer(result, "retry_ms", at);
    run_keep_result(run, result);
    clear_attempt(run);
    if (run->is_cancelled) {
        run_end_failed(run, step->namespace_, RN_ECANCELED, "cancelled");
    } else if (at < 0) {
        run_end_failed(run, step->namespace_, code, text);
    } else if (is_loss || is_auth_again) {
        try_again_now(run);
    } else {
        run->wake_ms = at;
        run_wait(run);
    }
}

/* A failure before the call: its intent has not been written, so it goes in with the result. */
static void fail_before_call(struct run *run, int code, const char *text)
{
    fail_attempt(run, code, text, -1, false, NULL);
}

/* ---- the call */

struct answer {
    struct run *run;
    struct plugin_error error;
    bool was_host_lost;
    struct json *exports;
    bool is_exit;
    char *exit_reason;
};

static void take_answer(void *ctx)
{
    struct answer *answer = ctx;
    struct run *run = answer->run;
    dispatcher_call_ended(run->dispatcher);
    fault_point("step.after_call");
    if (answer->error.code) {
        fail_attempt(run, answer->error.code, answer->error.text, answer->error.retry_after_ms,
                     answer->was_host_lost, answer->exports);
        json_free(answer->exports);
    } else {
        succeed(run, answer->exports, answer->exit_reason, answer->is_exit);
        json_free(answer->exports);
    }
    free(answer->exit_reason);
    free(answer);
}

/* On the host's reader thread. */
static void answered(void *ctx, const struct call_result *result)
{
    struct answer *answer = xcalloc(1, sizeof(*answer));
    struct json *json = NULL;
    answer->run = ctx;
    answer->was_host_lost = result->was_host_lost;
    if (result->code == 0 && json_parse_own(result->frame->json, &json, NULL))
        json = NULL;
    plugin_error_of(result, json, &answer->error);
    int64_t section = json_get_i64(json, "exports", -1);
    struct err err = ERR_INIT;
    if (section >= 0 &&
        json_parse_own(frame_section(result->frame, section), &answer->exports, &err) &&
        !answer->error.code) {
        answer->error.code = RN_EPROTOCOL;
        (void)snprintf(answer->error.text, sizeof(answer->error.text),
                       "the exports are not JSON: %.200s", err.text);
    }
    const struct json *exit = json_get(json, "exit");
    answer->is_exit = exit != NULL;
    if (json_get_c(exit, "reason"))
        answer->exit_reason = xstrdup(json_get_c(exit, "reason"));
    json_free(json);
    loop_post(answer->run->engine->loop, take_answer, answer);
}

/* On the host's reader thread. */
static void logged(void *ctx, struct str level, struct str text)
{
    struct run *run = ctx;
    pthread_mutex_lock(&run->log_lock);
    if (!run->logs)
        run->logs = json_new_array();
    if (run->log_bytes + text.len <= LIMIT_LOG_BYTES) {
        struct json *line = json_append(run->logs, json_new_object());
        json_set_integer(line, "ts", clock_now_ms());
        json_set_str(line, "level", level);
        json_set_str(line, "text", text);
        run->log_bytes += text.len;
    }
    pthread_mutex_unlock(&run->log_lock);
}

static void call_plugin(struct run *run)
{
    const struct step *step = current(run);
    const struct component_def *component = step->use.component;
    char key[33];
    run_idempotency_key(run, key);
    fault_point("step.before_call");
    struct buf json = BUF_INIT(MIB(4));
    buf_addf(
        &json,
        "{\"op\":\"action_run\",\"component\":\"%s\",\"run\":\"%s\",\"step\":\"%s\",\"attempt\":%u,"
        "\"idempotency_key\":\"%s\",\"timeout_ms\":%lld,\"auth\":",
        component->key, run->id_text, step->namespace_, run->attempt, key,
        (long long)step->timeout_ms);
    json_write(&json, run->auth);
    buf_add_char(&json, '}');
    size_t size = 0;
    char *props = json_text(run->props, &size);
    struct str section = str_n(props, size);
    struct call call = {
        .frame = {.json = buf_str(&json), .sections = &section, .section_count = 1},
        .timeout_ms = step->timeout_ms + CALL_SLACK_MS,
        .done = answered,
        .log = logged,
        .ctx = run,
    };
    run->state = RUN_CALLING;
    dispatcher_call_began(run->dispatcher);
    run->host = hosts_get(run->engine->hosts, component->plugin->name, component->plugin->path,
                          component->plugin->sha256);
    run->call_id = host_call(run->host, &call);
    free(props);
    buf_release(&json);
}

static void intent_committed(struct run *run)
{
    if (run->is_cancelled)
        fail_before_call(run, RN_ECANCELED, "cancelled");
    else
        call_plugin(run);
}

static void commit_intent(struct run *run)
{
    const struct step *step = current(run);
    char key[33];
    run_idempotency_key(run, key);
    struct json *intent = json_new_object();
    json_set_string(intent, "namespace", step->namespace_);
    char *uses = xasprintf("%s@%s", step->use.component->key, step->use.component->version);
    json_set_string(intent, "component", uses);
    free(uses);
    json_set_integer(intent, "started_ms", run->attempt_ms);
    json_set_string(intent, "idempotency_key", key);
    (void)json_set(intent, "inputs", run_redacted(run, run->props));
    char *text = json_text(intent, NULL);
    json_free(intent);
    run->state = RUN_COMMITTING;
    run_commit(run, RUN_LIVE, "running", text, intent_committed);
    free(text);
}

/* ---- accounts */

struct auth_wait {
    struct run *run;
    char *prop;
    int code;
    struct json *auth;
    struct err err;
};

static void all_accounts(struct run *run)
{
    if (run->auth_err.code)
        fail_before_call(run, run->auth_err.code, run->auth_err.text);
    else
        commit_intent(run);
}

static void take_account(void *ctx)
{
    struct auth_wait *wait = ctx;
    struct run *run = wait->run;
    if (wait->code)
        (void)err_set(&run->auth_err, wait->code, "%s", wait->err.text);
    else
        (void)json_set(run->auth, wait->prop, wait->auth);
    free(wait->prop);
    free(wait);
    if (--run->auth_pending == 0)
        all_accounts(run);
}

static void account_resolved(void *ctx, int code, const struct json *auth, const struct err *err)
{
    struct auth_wait *wait = ctx;
    wait->code = code;
    wait->auth = auth ? json_copy(auth) : NULL;
    if (code)
        wait->err = *err;
    loop_post(wait->run->engine->loop, take_account, wait);
}

static void resolve_accounts(struct run *run)
{
    const struct component_def *component = current(run)->use.component;
    run->auth = json_new_object();
    run->auth_err = (struct err)ERR_INIT;
    run->auth_pending = 1; /* this function's own, so that the last one cannot come too early */
    for (size_t i = 0; i < component->prop_count; i++) {
        const struct prop_def *prop = &component->props[i];
        const char *name =
            prop->type == RN_APP ? json_get_c(json_get(run->props, prop->name), "account") : NULL;
        if (!name)
            continue;
        struct auth_wait *wait = xcalloc(1, sizeof(*wait));
        wait->run = run;
        wait->prop = xstrdup(prop->name);
        run->auth_pending++;
        accounts_resolve(run->engine->accounts, name, prop->app, account_resolved, wait);
    }
    if (--run->auth_pending == 0)
        all_accounts(run);
}

/* ---- props */

static bool has_value_to_give(int type)
{
    return type != RN_APP && type != RN_ALERT && type != RN_HTTP_INTERFACE &&
           type != RN_TIMER_INTERFACE && type != RN_DB_SERVICE && type != RN_DIR;
}

static const char *missing_path(const struct expr_result *result, const char *member)
{
    for (size_t i = 0; i < result->missing_count; i++)
        if (strcmp(result->missing[i].member, member) == 0)
            return result->missing[i].path;
    return NULL;
}

/* "3" for an integer and "true" for a boolean, as Pipedream's files have them, become what the prop
 * declares. */
static int coerce(struct json *props, const struct prop_def *prop, struct err *err)
{
    const struct json *value = json_get(props, prop->name);
    struct str text = json_str(value);
    int64_t integer = 0;
    if (!value || prop->is_list)
        return 0;
    if (prop->type == RN_INTEGER && !json_to_i64(value, &integer)) {
        if (!json_is(value, JSON_STRING) || num_parse_i64(str_trim(text), &integer))
            return err_set(err, RN_EINVAL, "the prop `%s` is to be an integer and is %s",
                           prop->name, json_kind_name(json_kind(value)));
        json_set_integer(props, prop->name, integer);
    } else if (prop->type == RN_BOOLEAN && !json_is(value, JSON_BOOLEAN)) {
        if (!str_eq_c(text, "true") && !str_eq_c(text, "false"))
            return err_set(err, RN_EINVAL, "the prop `%s` is to be true or false and is %s",
                           prop->name, json_kind_name(json_kind(value)));
        json_set_boolean(props, prop->name, str_eq_c(text, "true"));
    } else if (prop->type == RN_STRING && !json_is(value, JSON_STRING)) {
        struct buf out = BUF_INIT(LIMIT_JSON_BYTES);
        expr_to_text(&out, value);
        json_set_str(props, prop->name, buf_str(&out));
        buf_release(&out);
    }
    return 0;
}

static int check_prop(struct json *props, const struct prop_def *prop,
                      const struct expr_result *result, struct err *err)
{
    const struct json *value = json_get(props, prop->name);
    if (json_is(value, JSON_NULL) && prop->flags & RN_OPTIONAL) {
        json_remove(props, prop->name);
        return 0;
    }
    if (!value && prop->default_value &&
        !(prop->flags & RN_OPTIONAL && missing_path(result, prop->name)))
        (void)json_set(props, prop->name, json_copy(prop->default_value));
    if (!json_get(props, prop->name) && !(prop->flags & (RN_OPTIONAL | RN_HIDDEN)) &&
        has_value_to_give(prop->type)) {
        const char *path = missing_path(result, prop->name);
        return path ? err_set(err, RN_EINVAL, "the prop `%s` has no value: %s is undefined",
                              prop->name, path)
                    : err_set(err, RN_EINVAL, "the prop `%s` has no value", prop->name);
    }
    return has_value_to_give(prop->type) ? coerce(props, prop, err) : 0;
}

/* Takes the result's value. */
static void take_props(struct run *run, struct expr_result *result)
{
    const struct component_def *component = current(run)->use.component;
    struct err err = ERR_INIT;
    int rc = 0;
    run->props = result->value;
    result->value = NULL;
    for (size_t i = 0; i < component->prop_count && rc == 0; i++)
        rc = check_prop(run->props, &component->props[i], result, &err);
    for (size_t i = 0; i < current(run)->use.dynamic_count && rc == 0; i++)
        rc = check_prop(run->props, &current(run)->use.dynamic[i], result, &err);
    expr_result_release(result);
    if (rc)
        fail_before_call(run, rc, err.text);
    else
        resolve_accounts(run);
}

struct resolution {
    struct run *run;
    int code;
    struct expr_result result;
    struct expr_where where;
    struct err err;
};

static void fail_expression(struct run *run, int code, const struct expr_where *where,
                            const char *text)
{
    struct err err = ERR_INIT;
    if (where->path[0])
        (void)err_set(&err, code, "prop `%s`, {{%s}}: %s", where->path, where->expression, text);
    else
        (void)err_set(&err, code, "%s", text);
    fail_before_call(run, code, err.text);
}

static void take_resolution(void *ctx)
{
    struct resolution *r = ctx;
    if (r->code)
        fail_expression(r->run, r->code, &r->where, r->err.text);
    else
        take_props(r->run, &r->result);
    free(r);
}

static void resolved(void *ctx, int code, struct expr_result *result,
                     const struct expr_where *where, const struct err *err)
{
    struct resolution *r = ctx;
    r->code = code;
    if (code == 0) {
        r->result = *result;
        *result = (struct expr_result){0};
    } else {
        r->err = *err;
        if (where)
            r->where = *where;
    }
    loop_post(r->run->engine->loop, take_resolution, r);
}

void step_begin(struct run *run)
{
    const struct step *step = current(run);
    run->state = RUN_RESOLVING;
    run->attempt_ms = clock_now_ms();
    struct expr_scope scope = {.steps = run->steps, .env = run->project->env};
    struct expr_result result = {0};
    struct expr_where where = {0};
    struct err err = ERR_INIT;
    int rc =
        step->use.component
            ? expr_resolve(step->use.template, &scope, &result, &where, &err)
            : err_set(&err, RN_ECONFIG, "no installed plugin has the component %s", step->use.key);
    if (rc == RN_EAGAIN) {
        struct resolution *r = xcalloc(1, sizeof(*r));
        r->run = run;
        expr_engine_resolve(run->engine->expressions, step->use.template, &scope, resolved, r);
    } else if (rc) {
        fail_expression(run, rc, &where, err.text);
    } else {
        take_props(run, &result);
    }
}
