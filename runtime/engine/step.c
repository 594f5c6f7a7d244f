/* One attempt of a step: props, accounts, intent on disk, call, answer. Thread: the loop's; what
 * comes from elsewhere is posted to it. */
#include "base/fault.h"
#include "engine/run.h"
#include "engine/sends.h"

enum {
    LOSSES_MAX = 3,      /* attempts lost with a host process that do not count */
    CALL_SLACK_MS = 500, /* between the component's deadline and the host's */
};

/* ---- results */

/* What an action asked for beside its exports. */
struct answer {
    struct strand *strand;
    struct plugin_error error;
    bool was_host_lost; /* not for want of memory of its own */
    bool has_run_out;
    struct json *exports;
    bool is_exit;
    char *exit_reason;
    struct json *flow;     /* {"kind":"delay"|"suspend"|"rerun", …}; NULL */
    struct json *response; /* of $.respond; NULL */
    struct json *sends;    /* of $.send; NULL */
    struct json *files;    /* {"count", "bytes"} in the run's folder now; NULL: none */
};

static struct json *take_exports(struct answer *answer)
{
    struct json *exports = answer->exports;
    answer->exports = NULL;
    return exports;
}

static void succeed(struct strand *strand, struct answer *answer)
{
    struct run *run = strand->run;
    struct json *result = strand_result(strand, "succeeded");
    struct json *kept = strand_redact(strand, take_exports(answer));
    struct wait wait;
    if (answer->files)
        (void)json_set(result, "files", json_copy(answer->files));
    if (!kept)
        kept = json_new_object();
    (void)json_set(result, "exports", json_borrow(kept));
    strand_clear_attempt(strand);
    if (answer->response) {
        run_respond(run, answer->response);
        answer->response = NULL;
    }
    if (answer->is_exit) {
        json_set_string(json_set(result, "exit", json_new_object()), "reason", answer->exit_reason);
        run_keep_result(run, strand->position, strand->attempt, result);
        json_free(kept);
        run->exit_reason = answer->exit_reason;
        answer->exit_reason = NULL;
        run_finish(run, "succeeded", NULL);
    } else if (flow_wait_of(strand, answer->flow, &wait)) {
        (void)json_set(result, "wait", wait_json(&wait));
        if (json_get(answer->flow, "context"))
            (void)json_set(json_get_mut(result, "wait"), "context",
                           json_copy(json_get(answer->flow, "context")));
        (void)json_set(result, "exports", kept);
        run_keep_result(run, strand->position, strand->attempt, json_copy(result));
        json_free(strand->paused);
        strand->paused = result;
        strand_wait(strand, &wait);
    } else {
        run_keep_result(run, strand->position, strand->attempt, result);
        strand_next(strand, kept);
    }
}

/* Takes `exports`. */
static struct json *failure_result(struct strand *strand, int code, const char *text,
                                   int64_t retry_after_ms, struct json *exports)
{
    struct json *result = strand_result(strand, code == RN_EUNKNOWN ? "unknown" : "failed");
    struct json *error = json_set(result, "error", json_new_object());
    json_set_string(error, "code", err_word(code));
    json_set_string(error, "text", text);
    if (retry_after_ms >= 0)
        json_set_integer(error, "retry_after_ms", retry_after_ms);
    (void)json_set(result, "exports", strand_redact(strand, exports));
    return result;
}

/* A token that was refused is fetched anew, once a step. */
static bool refresh_tokens(struct strand *strand)
{
    bool can_refresh = false;
    if (strand->was_refreshed)
        return false;
    strand->was_refreshed = true;
    for (const struct json *p = json_first(strand->props); p; p = json_next(p)) {
        const char *account = json_get_c(p, "account");
        if (account)
            can_refresh |= accounts_invalidate(strand->run->engine->accounts, account);
    }
    return can_refresh;
}

/* Takes `exports`. */
static void fail_attempt(struct strand *strand, int code, const char *text, int64_t retry_after_ms,
                         bool was_host_lost, struct json *exports)
{
    const struct step *step = strand_step(strand);
    struct json *result = failure_result(strand, code, text, retry_after_ms, exports);
    bool is_auth_again = code == RN_EAUTH && refresh_tokens(strand);
    /* The process went, perhaps for another call's sake: that does not count, unless it happens
     * again and again under this step. */
    bool is_loss = was_host_lost && step->retry.on_unknown == ON_UNKNOWN_RETRY &&
                   strand->losses++ < LOSSES_MAX;
    if (!is_loss && !is_auth_again)
        strand->counted++;
    struct wait wait = {.kind = WAIT_RETRY};
    wait.until_ms = is_loss || is_auth_again ? clock_now_ms()
                                             : retry_at(&step->retry, code, strand->counted,
                                                        retry_after_ms, clock_now_ms());
    strand_note_tries(strand, result);
    if (wait.until_ms >= 0)
        json_set_integer(result, "retry_ms", wait.until_ms);
    struct json *kept = json_get(result, "exports") ? json_copy(json_get(result, "exports")) : NULL;
    run_keep_result(strand->run, strand_position(strand), strand->attempt, result);
    strand_clear_attempt(strand);
    if (wait.until_ms < 0) {
        strand_fail(strand, run_error(code, text, strand->path), kept);
        return;
    }
    json_free(kept);
    if (is_loss || is_auth_again) {
        strand->attempt++;
        strand_enter(strand);
    } else {
        strand_wait(strand, &wait);
    }
}

void step_fail_attempt(struct strand *strand, int code, const char *text)
{
    fail_attempt(strand, code, text, -1, false, NULL);
}

void step_settle_unknown(struct strand *strand)
{
    bool is_final = strand_step(strand)->retry.on_unknown == ON_UNKNOWN_FAIL;
    const char *text = is_final ? "runnel ended during the call, and nobody knows whether it was "
                                  "done (on_unknown: fail)"
                                : "runnel ended during the call";
    struct json *result = failure_result(strand, RN_EUNKNOWN, text, -1, NULL);
    if (!is_final)
        json_set_integer(result, "retry_ms", clock_now_ms());
    run_keep_result(strand->run, strand->position, strand->attempt, result);
    if (is_final) {
        strand_fail(strand, run_error(RN_EUNKNOWN, text, strand->path), NULL);
    } else {
        strand->attempt++;
        strand_enter(strand);
    }
}

/* ---- the call */

static void answer_free(struct answer *answer)
{
    json_free(answer->exports);
    json_free(answer->flow);
    json_free(answer->response);
    json_free(answer->sends);
    json_free(answer->files);
    free(answer->exit_reason);
    free(answer);
}

/* The answer of a strand that is not wanted any more is still what happened. */
static void keep_abandoned(struct strand *strand, struct answer *answer)
{
    struct json *result;
    if (answer->error.code == RN_ECANCELED) {
        result = strand_result(strand, "cancelled");
    } else if (answer->error.code) {
        result = failure_result(strand, answer->error.code, answer->error.text, -1, NULL);
    } else {
        result = strand_result(strand, "succeeded");
        (void)json_set(result, "exports", strand_redact(strand, take_exports(answer)));
    }
    run_keep_result(strand->run, strand->position, strand->attempt, result);
}

static void say_timeout(const struct strand *strand, struct plugin_error *error)
{
    char *text = xasprintf("the step's deadline (%lld ms) passed: %s",
                           (long long)strand_step(strand)->timeout_ms, error->text);
    error->code = RN_ETIMEDOUT;
    (void)snprintf(error->text, sizeof(error->text), "%s", text);
    free(text);
}

/* What it wants to send is part of what it has done: if that cannot be, it has failed. */
static void check_sends(struct answer *answer)
{
    struct err err = ERR_INIT;
    if (answer->error.code || !answer->sends)
        return;
    answer->error.code = sends_take(answer->strand, answer->sends, &err);
    (void)snprintf(answer->error.text, sizeof(answer->error.text), "%s", err.text);
}

static void take_answer(void *ctx)
{
    struct answer *answer = ctx;
    struct strand *strand = answer->strand;
    struct run *run = strand->run;
    if (dispatcher_is_over(run->dispatcher)) {
        answer_free(answer);
        return;
    }
    dispatcher_call_ended(run->dispatcher);
    fault_point("step.after_call");
    strand->state = STRAND_READY;
    check_sends(answer);
    if (strand->is_abandoned) {
        keep_abandoned(strand, answer);
        strand_drop(strand);
    } else if (answer->error.code) {
        /* Whether it was done nobody knows: who does not want it done twice is told just that. */
        if (answer->has_run_out && strand_step(strand)->retry.on_unknown == ON_UNKNOWN_RETRY)
            answer->error.code = RN_ENOMEM;
        /* Nobody cancelled this run: the component stopped because its time was over. */
        if (answer->error.code == RN_ECANCELED)
            say_timeout(strand, &answer->error);
        fail_attempt(strand, answer->error.code, answer->error.text, answer->error.retry_after_ms,
                     answer->was_host_lost, take_exports(answer));
    } else {
        succeed(strand, answer);
    }
    answer_free(answer);
    run_settle(run);
}

/* On the host's reader thread. */
static void answered(void *ctx, const struct call_result *result)
{
    struct answer *answer = xcalloc(1, sizeof(*answer));
    struct json *json = NULL;
    answer->strand = ctx;
    answer->was_host_lost = result->was_host_lost && !result->has_run_out;
    answer->has_run_out = result->has_run_out;
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
    answer->flow = json_take(json, "flow");
    answer->response = json_take(json, "respond");
    answer->sends = json_take(json, "sends");
    answer->files = json_take(json, "files");
    json_free(json);
    loop_post(answer->strand->run->engine->loop, take_answer, answer);
}

/* On the host's reader thread. */
static void logged(void *ctx, struct str level, struct str text)
{
    struct strand *strand = ctx;
    pthread_mutex_lock(&strand->log_lock);
    if (!strand->logs)
        strand->logs = json_new_array();
    if (strand->log_bytes + text.len <= LIMIT_LOG_BYTES) {
        struct json *line = json_append(strand->logs, json_new_object());
        json_set_integer(line, "ts", clock_now_ms());
        json_set_str(line, "level", level);
        json_set_str(line, "text", text);
        strand->log_bytes += text.len;
    }
    pthread_mutex_unlock(&strand->log_lock);
}

/* A mocked step: its answer comes by the loop as a real one does. */
static void call_mock(struct strand *strand)
{
    struct answer *answer = xcalloc(1, sizeof(*answer));
    answer->strand = strand;
    answer->error.retry_after_ms = -1;
    struct mock_answer mock;
    mock_answer(strand, &mock);
    answer->error.code = mock.code;
    (void)snprintf(answer->error.text, sizeof(answer->error.text), "%s", mock.text);
    answer->exports = mock.exports;
    answer->is_exit = mock.is_exit;
    answer->exit_reason = mock.exit_reason;
    strand->state = STRAND_CALLING;
    strand->host = NULL;
    dispatcher_call_began(strand->run->dispatcher);
    loop_post(strand->run->engine->loop, take_answer, answer);
}

void step_call_host(struct strand *strand, struct host *host, struct frame frame)
{
    struct call call = {
        .frame = frame,
        .timeout_ms = strand_step(strand)->timeout_ms + CALL_SLACK_MS,
        .done = answered,
        .log = logged,
        .ask = step_ask,
        .ctx = strand,
    };
    strand->state = STRAND_CALLING;
    dispatcher_call_began(strand->run->dispatcher);
    strand->host = host;
    strand->call_id = host_call(host, &call);
}

static bool wants_files(const struct component_def *component)
{
    for (size_t i = 0; i < component->prop_count; i++)
        if (component->props[i].type == RN_DIR)
            return true;
    return false;
}

/* `files`: see files_of_run(); NULL: it gets none. */
static void call_plugin(struct strand *strand, const struct json *files)
{
    struct run *run = strand->run;
    const struct step *step = strand_step(strand);
    const struct component_def *component = step->use.component;
    char key[33], *url = strand_url(strand);
    strand_idempotency_key(strand, key);
    struct buf json = BUF_INIT(LIMIT_FRAME_BYTES);
    buf_addf(
        &json,
        "{\"op\":\"action_run\",\"component\":\"%s\",\"run\":\"%s\",\"step\":\"%s\",\"attempt\":%u,"
        "\"idempotency_key\":\"%s\",\"timeout_ms\":%lld,\"runs\":%u,",
        component->key, run->id_text, step->namespace_, strand->attempt, key,
        (long long)step->timeout_ms, strand->runs);
    buf_addf(&json, "\"resume_url\":\"%s\",\"auth\":", url);
    free(url);
    json_write(&json, strand->auth);
    if (strand->rerun) {
        buf_add_c(&json, ",\"rerun\":");
        json_write(&json, strand->rerun);
    }
    if (files) {
        buf_add_c(&json, ",\"files\":");
        json_write(&json, files);
    }
    buf_add_char(&json, '}');
    struct str section = buf_str(&strand->props_text);
    struct host *host =
        hosts_get(run->engine->hosts, component->plugin->name, component->plugin->path,
                  component->plugin->sha256, run->workflow->memory);
    step_call_host(
        strand, host,
        (struct frame){.json = buf_str(&json), .sections = &section, .section_count = 1});
    buf_release(&json);
}

static void call_step(struct strand *strand)
{
    if (mock_is_for(strand)) {
        call_mock(strand);
        return;
    }
    const struct step *step = strand_step(strand);
    bool is_code = step->kind == STEP_CODE;
    struct json *files = NULL;
    struct err err = ERR_INIT;
    if ((is_code || wants_files(step->use.component)) && files_of_run(strand->run, &files, &err)) {
        step_fail_attempt(strand, err.code, err.text);
        return;
    }
    fault_point("step.before_call");
    if (is_code)
        code_step_call(strand, files);
    else
        call_plugin(strand, files);
    json_free(files);
}

static void commit_intent(struct strand *strand)
{
    const struct step *step = strand_step(strand);
    char key[33];
    buf_clear(&strand->props_text);
    json_write(&strand->props_text, strand->props);
    if (buf_is_overflowed(&strand->props_text)) {
        step_fail_attempt(strand, RN_ETOOBIG, "the props are too big for a call");
        return;
    }
    strand_idempotency_key(strand, key);
    struct json *intent = strand_intent(strand, step_kind_name(step));
    if (step->kind == STEP_CODE) {
        json_set_string(intent, "language", code_language_name(step->code->language));
        json_set_string(intent, "file", step->code->file);
    } else {
        char *uses = xasprintf("%s@%s", step->use.component->key, step->use.component->version);
        json_set_string(intent, "component", uses);
        free(uses);
    }
    json_set_string(intent, "idempotency_key", key);
    if (strand->runs > 1)
        json_set_integer(intent, "runs", strand->runs);
    struct buf text = BUF_INIT(LIMIT_FRAME_BYTES);
    json_write(&text, intent);
    json_free(intent);
    text.len--; /* the closing brace */
    buf_add_c(&text, ",\"inputs\":");
    strand_redact_text(strand, buf_str(&strand->props_text), &text);
    buf_add_char(&text, '}');
    run_keep_intent(strand->run, strand_position(strand), strand->attempt, buf_take(&text, NULL));
    run_commit(strand, NULL, call_step);
}

/* ---- accounts */

struct auth_wait {
    struct strand *strand;
    char *prop;
    int code;
    struct json *auth;
    struct err err;
};

static void all_accounts(struct strand *strand)
{
    strand->state = STRAND_READY;
    if (strand->auth_err.code)
        step_fail_attempt(strand, strand->auth_err.code, strand->auth_err.text);
    else
        commit_intent(strand);
}

static void take_account(void *ctx)
{
    struct auth_wait *wait = ctx;
    struct strand *strand = wait->strand;
    struct run *run = strand->run;
    bool is_over = dispatcher_is_over(run->dispatcher);
    if (is_over)
        json_free(wait->auth);
    else if (wait->code)
        (void)err_set(&strand->auth_err, wait->code, "%s", wait->err.text);
    else
        (void)json_set(strand->auth, wait->prop, wait->auth);
    free(wait->prop);
    free(wait);
    if (is_over)
        return;
    if (--strand->auth_pending == 0 && strand_is_wanted(strand))
        all_accounts(strand);
    run_settle(run);
}

static void account_resolved(void *ctx, int code, const struct json *auth, const struct err *err)
{
    struct auth_wait *wait = ctx;
    wait->code = code;
    wait->auth = auth ? json_copy(auth) : NULL;
    if (code)
        wait->err = *err;
    loop_post(wait->strand->run->engine->loop, take_account, wait);
}

static void resolve_account(struct strand *strand, const char *prop, const char *app)
{
    const char *name = json_get_c(json_get(strand->props, prop), "account");
    if (!name)
        return;
    struct auth_wait *wait = xcalloc(1, sizeof(*wait));
    wait->strand = strand;
    wait->prop = xstrdup(prop);
    strand->auth_pending++;
    accounts_resolve(strand->run->engine->accounts, name, app, account_resolved, wait);
}

/* The file has no definitions of a code step's props: { account: name } is one whatever the app. */
static void resolve_code_accounts(struct strand *strand)
{
    const struct json *written = strand_step(strand)->use.props;
    for (const struct json *prop = json_first(written); prop; prop = json_next(prop))
        if (json_count(prop) == 1 && json_get_c(prop, "account"))
            resolve_account(strand, json_name(prop), NULL);
}

static void resolve_accounts(struct strand *strand)
{
    const struct component_def *component = strand_step(strand)->use.component;
    strand->state = STRAND_RESOLVING;
    strand->auth = json_new_object();
    strand->auth_err = (struct err)ERR_INIT;
    strand->auth_pending = 1; /* this function's own, so that the last one cannot come too early */
    bool is_mocked = mock_is_for(strand);
    for (size_t i = 0; component && i < component->prop_count && !is_mocked; i++)
        if (component->props[i].type == RN_APP)
            resolve_account(strand, component->props[i].name, component->props[i].app);
    if (!component && !is_mocked)
        resolve_code_accounts(strand);
    if (--strand->auth_pending == 0)
        all_accounts(strand);
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

static void take_props(struct strand *strand, struct expr_result *result)
{
    const struct use *use = &strand_step(strand)->use;
    struct err err = ERR_INIT;
    int rc = 0;
    strand->props = result->value;
    result->value = NULL;
    for (size_t i = 0; use->component && i < use->component->prop_count && rc == 0; i++)
        rc = check_prop(strand->props, &use->component->props[i], result, &err);
    for (size_t i = 0; i < use->dynamic_count && rc == 0; i++)
        rc = check_prop(strand->props, &use->dynamic[i], result, &err);
    expr_result_release(result);
    if (rc)
        step_fail_attempt(strand, rc, err.text);
    else
        resolve_accounts(strand);
}

struct resolution {
    struct strand *strand;
    void (*then)(struct strand *strand, struct expr_result *result);
    int code;
    struct expr_result result;
    struct expr_where where;
    struct err err;
};

static void fail_expression(struct strand *strand, int code, const struct expr_where *where,
                            const char *text)
{
    struct err err = ERR_INIT;
    if (where->path[0])
        (void)err_set(&err, code, "%s `%s`, {{%s}}: %s",
                      strand_step(strand)->use.template ? "prop" : "value", where->path,
                      where->expression, text);
    else
        (void)err_set(&err, code, "%s", text);
    step_fail_attempt(strand, code, err.text);
}

static void take_resolution(void *ctx)
{
    struct resolution *r = ctx;
    struct run *run = r->strand->run;
    if (dispatcher_is_over(run->dispatcher)) {
        expr_result_release(&r->result);
        free(r);
        return;
    }
    r->strand->state = STRAND_READY;
    if (!strand_is_wanted(r->strand))
        expr_result_release(&r->result);
    else if (r->code)
        fail_expression(r->strand, r->code, &r->where, r->err.text);
    else
        r->then(r->strand, &r->result);
    free(r);
    run_settle(run);
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
    loop_post(r->strand->run->engine->loop, take_resolution, r);
}

void step_resolve(struct strand *strand, const struct expr_template *template,
                  void (*then)(struct strand *strand, struct expr_result *result))
{
    /* props go before what they are made of */
    struct expr_scope scope = {
        .steps = strand->steps, .env = run_env(strand->run), .borrows = then == take_props};
    struct expr_result result = {0};
    struct expr_where where = {0};
    struct err err = ERR_INIT;
    int rc = expr_resolve(template, &scope, &result, &where, &err);
    if (rc == RN_EAGAIN) {
        struct resolution *r = xcalloc(1, sizeof(*r));
        r->strand = strand;
        r->then = then;
        strand->state = STRAND_RESOLVING;
        expr_engine_resolve(strand->run->engine->expressions, template, &scope, resolved, r);
    } else if (rc) {
        fail_expression(strand, rc, &where, err.text);
    } else {
        then(strand, &result);
    }
}

void step_begin(struct strand *strand)
{
    const struct use *use = &strand_step(strand)->use;
    if (use->component || strand_step(strand)->kind == STEP_CODE) {
        step_resolve(strand, use->template, take_props);
        return;
    }
    char *text = xasprintf("no installed plugin has the component %s", use->key);
    step_fail_attempt(strand, RN_ECONFIG, text);
    free(text);
}
