/* Steps that are no calls of a component: workflow, delay, suspend, respond, end; and the waits
 * that actions ask for. Thread: the loop's. */
#include "crypto/hmac.h"
#include "engine/run.h"

enum { SUSPEND_MS = 24 * 3600 * 1000, RERUNS_MAX = 10 };

void resume_token(struct engine *engine, uint64_t run_id, uint32_t position, uint32_t attempt,
                  char out[33])
{
    char text[64], hex[CRYPTO_HEX_MAX];
    int n =
        snprintf(text, sizeof(text), "%llx/%u.%u", (unsigned long long)run_id, position, attempt);
    crypto_hmac_hex(CRYPTO_SHA256, str_n(engine->resume_key, sizeof(engine->resume_key)),
                    str_n(text, (size_t)n), hex);
    memcpy(out, hex, 32);
    out[32] = '\0';
}

/* ---- records: intent and result in one, since nothing is called in between */

static void keep_intent(struct strand *strand, const struct json *inputs)
{
    struct json *intent = strand_intent(strand, step_kind_name(strand_step(strand)));
    if (inputs)
        (void)json_set(intent, "inputs", json_copy(inputs));
    run_keep_intent(strand->run, strand_position(strand), strand->attempt, json_text(intent, NULL));
    json_free(intent);
}

static void succeed(struct strand *strand, struct json *exports)
{
    struct json *result = strand_result(strand, "succeeded");
    (void)json_set(result, "exports", json_copy(exports));
    run_keep_result(strand->run, strand->position, strand->attempt, result);
    strand_next(strand, exports);
}

/* ---- waits */

char *strand_url(const struct strand *strand)
{
    const struct run *run = strand->run;
    char token[33];
    resume_token(run->engine, run->id, strand->position, strand->attempt, token);
    return xasprintf("%s/r/%s/%u.%u/%s", engine_public_url(run->engine, run->project), run->id_text,
                     strand->position, strand->attempt, token);
}

static void add_urls(const struct strand *strand, struct json *object)
{
    char *url = strand_url(strand);
    char *resume = xasprintf("%s/resume", url), *cancel = xasprintf("%s/cancel", url);
    json_set_string(object, "resume_url", resume);
    json_set_string(object, "cancel_url", cancel);
    free(resume);
    free(cancel);
    free(url);
}

static void pause_step(struct strand *strand, const struct wait *wait)
{
    struct json *result = strand_result(strand, "succeeded");
    struct json *exports = json_set(result, "exports", json_new_object());
    add_urls(strand, json_set(exports, "$return_value", json_new_object()));
    (void)json_set(result, "wait", wait_json(wait));
    run_keep_result(strand->run, strand->position, strand->attempt, json_copy(result));
    strand->paused = result;
    strand_wait(strand, wait);
}

bool flow_wait_of(const struct strand *strand, const struct json *flow, struct wait *ret)
{
    struct str kind = json_get_text(flow, "kind");
    int64_t ms = json_get_i64(flow, "ms", 0);
    if (ms > LIMIT_DELAY_MS) /* hosts check it; nobody here trusts them */
        ms = LIMIT_DELAY_MS;
    if (ms < 0)
        ms = 0;
    *ret = (struct wait){.until_ms = clock_now_ms() + ms};
    if (str_eq_c(kind, "delay")) {
        ret->kind = WAIT_DELAY;
    } else if (str_eq_c(kind, "suspend")) {
        ret->kind = WAIT_SUSPEND;
        if (ms <= 0)
            ret->until_ms = clock_now_ms() + SUSPEND_MS;
    } else if (str_eq_c(kind, "rerun")) {
        ret->kind = WAIT_RERUN;
        /* past the limit the workflow goes on with the next step */
        return strand->runs <= (uint32_t)json_get_i64(flow, "max", RERUNS_MAX);
    } else {
        return false;
    }
    return true;
}

/* A duration as text, or milliseconds. */
static int read_duration(const struct json *value, int64_t *ret)
{
    int64_t ms = 0;
    if (json_is(value, JSON_NUMBER) && json_to_i64(value, &ms)) {
        *ret = ms;
        return ms >= 1 && ms <= LIMIT_DELAY_MS ? 0 : RN_EINVAL;
    }
    if (!json_is(value, JSON_STRING) || num_parse_duration(json_str(value), &ms) || ms < 1 ||
        ms > LIMIT_DELAY_MS)
        return RN_EINVAL;
    *ret = ms;
    return 0;
}

static void take_duration(struct strand *strand, struct expr_result *result)
{
    const struct step *step = strand_step(strand);
    bool is_delay = step->kind == STEP_DELAY;
    int64_t ms = 0;
    const struct json *value = json_get(result->value, is_delay ? "delay" : "timeout");
    int rc = read_duration(value, &ms);
    if (rc) {
        char *text = xasprintf("a time from 1ms to 366d is wanted, as \"5m\" or as a number of "
                               "milliseconds, and it is %s",
                               value ? json_kind_name(json_kind(value)) : "undefined");
        expr_result_release(result);
        step_fail_attempt(strand, RN_EINVAL, text);
        free(text);
        return;
    }
    keep_intent(strand, result->value);
    expr_result_release(result);
    struct wait wait = {.kind = is_delay ? WAIT_DELAY : WAIT_SUSPEND,
                        .until_ms = clock_now_ms() + ms,
                        .goes_on = !is_delay && step->flag};
    pause_step(strand, &wait);
}

/* ---- respond, end */

static void take_response(struct strand *strand, struct expr_result *result)
{
    struct json *response = result->value;
    int64_t status = 200;
    const struct json *value = json_get(response, "status");
    result->value = NULL;
    expr_result_release(result);
    if (value && !json_to_i64(value, &status) && num_parse_i64(json_str(value), &status))
        status = 0;
    if (status < 100 || status > 599) {
        json_free(response);
        step_fail_attempt(strand, RN_EINVAL,
                          "the status of a response is a number from 100 to 599");
        return;
    }
    keep_intent(strand, response);
    json_set_integer(response, "status", status);
    json_set_boolean(response, "immediate", strand_step(strand)->flag);
    run_respond(strand->run, response);
    succeed(strand, json_new_object());
}

static void finish(struct strand *strand, const char *reason)
{
    struct run *run = strand->run;
    bool is_failure = strand_step(strand)->flag;
    struct json *result = strand_result(strand, "succeeded");
    struct json *exit = json_set(result, "exit", json_new_object());
    json_set_string(exit, "reason", reason);
    json_set_boolean(exit, "failed", is_failure);
    run_keep_result(run, strand->position, strand->attempt, result);
    run->exit_reason = reason ? xstrdup(reason) : NULL;
    run_finish(run, is_failure ? "failed" : "succeeded",
               is_failure ? run_error(RN_EFAILED, reason ? reason : "ended", strand->path) : NULL);
}

static void take_reason(struct strand *strand, struct expr_result *result)
{
    struct buf text = BUF_INIT(KIB(4));
    const struct json *value = json_get(result->value, "reason");
    if (value)
        expr_to_text(&text, value);
    keep_intent(strand, result->value);
    expr_result_release(result);
    finish(strand, value ? buf_c(&text) : NULL);
    buf_release(&text);
}

/* ---- another workflow */

static struct json *last_exports_of(const struct json *run)
{
    const struct json *found = NULL;
    for (const struct json *s = json_first(json_get(run, "steps")); s; s = json_next(s)) {
        struct str path = json_get_text(s, "path");
        if (str_eq_c(json_get_text(s, "status"), "succeeded") && json_get(s, "exports") &&
            str_find(path, ".", 0) < 0 && str_find(path, "[", 0) < 0)
            found = s;
    }
    return found ? json_copy(json_get(found, "exports")) : json_new_object();
}

static void take_child(void *ctx)
{
    struct strand *strand = ctx;
    struct run *run = strand->run;
    struct json *child = NULL;
    char id[ID_TEXT_MAX];
    id_format("run", strand->child, id);
    strand->wait = (struct wait){0};
    strand->state = STRAND_READY;
    dispatcher_take_slot(run);
    if (engine_run_detail(run->engine, id, &child, NULL) == 0 &&
        str_eq_c(json_get_text(child, "status"), "succeeded")) {
        struct json *exports = json_new_object(), *last = last_exports_of(child);
        (void)json_set(exports, "$return_value", json_take(last, "$return_value"));
        (void)json_set(exports, "exports", last);
        json_set_string(exports, "run", id);
        succeed(strand, exports);
    } else {
        const char *text = json_get_c(json_get(child, "error"), "text");
        char *message =
            xasprintf("%s of the workflow \"%s\" %s%s%s", id, strand_step(strand)->workflow,
                      child ? json_get_c(child, "status") : "is not in the store any more",
                      text ? ": " : "", text ? text : "");
        struct json *error = run_error(RN_EFAILED, message, strand->path);
        struct json *result = strand_result(strand, "failed");
        (void)json_set(result, "error", json_copy(error));
        run_keep_result(run, strand->position, strand->attempt, result);
        strand_fail(strand, error, NULL);
        free(message);
    }
    json_free(child);
    run_settle(run);
}

void flow_step_await(struct strand *strand, uint64_t child)
{
    strand->child = child;
    strand->state = STRAND_WAITING;
    strand->wait = (struct wait){.kind = WAIT_RUN, .is_on = true};
    dispatcher_when_ended(strand->run->dispatcher, child, take_child, strand);
}

static void called(struct strand *strand)
{
    char id[ID_TEXT_MAX];
    if (strand_step(strand)->flag) {
        flow_step_await(strand, strand->child);
        return;
    }
    id_format("run", strand->child, id);
    struct json *exports = json_new_object();
    json_set_string(exports, "run", id);
    strand->state = STRAND_READY;
    succeed(strand, exports);
}

static void take_event(struct strand *strand, struct expr_result *result)
{
    struct run *run = strand->run;
    const struct step *step = strand_step(strand);
    const struct workflow *target = project_workflow(run->project, str_from(step->workflow));
    struct json *event = json_take(result->value, "event");
    expr_result_release(result);
    if (!target || target->inactive || run->depth >= LIMIT_CALL_DEPTH) {
        char *text = !target ? xasprintf("there is no workflow \"%s\" that can run", step->workflow)
                     : target->inactive
                         ? xasprintf("the workflow \"%s\" is inactive", step->workflow)
                         : xasprintf("workflows call each other deeper than %d", LIMIT_CALL_DEPTH);
        json_free(event);
        step_fail_attempt(strand, RN_ECONFIG, text);
        free(text);
        return;
    }
    struct json *intent = strand_intent(strand, "workflow");
    json_set_string(intent, "workflow", target->id);
    struct json *inputs = json_set(intent, "inputs", json_new_object());
    if (!event)
        event = json_new_object();
    struct child_call *call = xcalloc(1, sizeof(*call));
    call->workflow = xstrdup(target->id);
    call->trigger = xstrdup(target->trigger_count ? target->triggers[0].namespace_ : "trigger");
    call->event = json_text(event, NULL);
    call->position = strand_position(strand);
    call->attempt = strand->attempt;
    (void)json_set(inputs, "event", event);
    run_keep_intent(run, call->position, call->attempt, json_text(intent, NULL));
    json_free(intent);
    run_commit(strand, call, called);
}

void flow_step_begin(struct strand *strand)
{
    const struct step *step = strand_step(strand);
    switch (step->kind) {
    case STEP_WORKFLOW:
        step_resolve(strand, step->config, take_event);
        break;
    case STEP_DELAY:
    case STEP_SUSPEND:
        step_resolve(strand, step->config, take_duration);
        break;
    case STEP_RESPOND:
        step_resolve(strand, step->config, take_response);
        break;
    default: /* STEP_END */
        if (step->config) {
            step_resolve(strand, step->config, take_reason);
        } else {
            keep_intent(strand, NULL);
            finish(strand, NULL);
        }
        break;
    }
}
