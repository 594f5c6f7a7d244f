/* The runtime's side: what the fast path can do is done here, only the other expressions travel,
 * with only the steps that they name. Numbers that a double cannot hold travel as marked strings
 * (prelude.h).
 *
 * Two hosts: the second one starts when the first is busy, so that one endless expression does not
 * hold up all others. An expression has no effects, so a call whose host was lost is made once
 * more. */
#include "expr/engine.h"

#include "base/ids.h"
#include "base/map.h"
#include "expr/compiled.h"
#include "expr/lexer.h"

#define ENGINE_HOSTS 2
#define MARK_LENGTH 20
/* The host keeps the limit of each call itself; this is for a host that hangs, with calls waiting
 * before ours. */
#define BACKSTOP_MS (LIMIT_EXPRESSION_MS + 60000)

struct expr_engine {
    atomic_int references; /* the owner and the calls in flight */
    atomic_bool is_closing;
    struct host *hosts[ENGINE_HOSTS];
    atomic_int busy[ENGINE_HOSTS];
    char mark[MARK_LENGTH + 1];
};

struct engine_call {
    struct expr_engine *engine;
    const struct expr_template *template;
    struct slot_value *values;
    size_t *slots; /* of the expressions that travel */
    size_t count;
    struct buf request, steps, env;
    struct str sections[2];
    size_t host;
    bool is_second_try;
    expr_done done;
    void *ctx;
};

struct expr_engine *expr_engine_new(struct supervisor *supervisor)
{
    struct expr_engine *engine = xcalloc(1, sizeof(*engine));
    static const char *const argv[] = {"expression-host", NULL};
    struct host_options options = {
        .name = "expressions", .argv = argv, .idle_ms = LIMIT_HOST_IDLE_MS};
    atomic_init(&engine->references, 1);
    for (size_t i = 0; i < ENGINE_HOSTS; i++)
        engine->hosts[i] = host_new(supervisor, &options);
    random_key(engine->mark, MARK_LENGTH);
    return engine;
}

static void engine_unref(struct expr_engine *engine)
{
    if (atomic_fetch_sub(&engine->references, 1) == 1)
        free(engine);
}

void expr_engine_free(struct expr_engine *engine)
{
    if (engine == NULL)
        return;
    atomic_store(&engine->is_closing, true);
    for (size_t i = 0; i < ENGINE_HOSTS; i++)
        host_retire(engine->hosts[i]);
    engine_unref(engine);
}

/* ---- what travels */

static bool has_inexact(const struct json *json)
{
    if (json_is(json, JSON_NUMBER))
        return !json_is_exact_double(json);
    for (const struct json *child = json_first(json); child != NULL; child = json_next(child))
        if (has_inexact(child))
            return true;
    return false;
}

static void write_marked(struct buf *out, const struct json *json, const char *mark)
{
    bool is_object = json_is(json, JSON_OBJECT);
    if (!is_object && !json_is(json, JSON_ARRAY)) {
        if (json_is(json, JSON_NUMBER) && !json_is_exact_double(json))
            buf_addf(out, "\"%s" STR_FMT "\"", mark, STR_ARG(json_literal(json)));
        else
            json_write(out, json);
        return;
    }
    buf_add_char(out, is_object ? '{' : '[');
    for (const struct json *child = json_first(json); child != NULL; child = json_next(child)) {
        if (child != json_first(json))
            buf_add_char(out, ',');
        if (is_object) {
            json_write_string(out, str_from(json_name(child)));
            buf_add_char(out, ':');
        }
        write_marked(out, child, mark);
    }
    buf_add_char(out, is_object ? '}' : ']');
}

/* The other way: marked strings in `json` become numbers. Returns what to put in its place, or
 * NULL. */
static struct json *unmark(struct json *json, const char *mark)
{
    if (json_is(json, JSON_STRING)) {
        struct str text = json_str(json);
        if (!str_starts(text, mark))
            return NULL;
        return json_new_number(str_n(text.ptr + strlen(mark), text.len - strlen(mark)));
    }
    if (json_is(json, JSON_ARRAY)) {
        struct json *array = json_new_array();
        for (struct json *child = json_take_first(json); child != NULL;
             child = json_take_first(json)) {
            struct json *other = unmark(child, mark);
            json_append(array, other != NULL ? other : child);
            if (other != NULL)
                json_free(child);
        }
        return array;
    }
    if (!json_is(json, JSON_OBJECT))
        return NULL;
    struct json *object = json_new_object();
    while (json_first(json) != NULL) {
        char *name = xstrdup(json_name(json_first(json)));
        struct json *child = json_take_first(json);
        struct json *other = unmark(child, mark);
        json_add(object, name, other != NULL ? other : child);
        if (other != NULL)
            json_free(child);
        free(name);
    }
    return object;
}

static bool is_reflective(struct str name)
{
    static const char *const names[] = {"globalThis", "this", "eval", "Function", "constructor"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq_c(name, names[i]))
            return true;
    return memchr(name.ptr, '\\', name.len) != NULL;
}

/* Adds the names of the steps that the expression reads; false: they cannot all be read off the
 * text. */
static bool add_steps(struct str text, struct map *names)
{
    struct lexer lexer;
    struct token token = {.kind = TOKEN_PUNCTUATOR};
    lexer_init(&lexer, text, 0, false);
    int wanted = 0; /* 1: `steps` was read, 2: and a dot, 3: and a bracket */
    bool was_dot = false;
    for (;;) {
        if (lexer_next(&lexer, &token, NULL) != 0)
            return false;
        bool is_dot = token_is(&token, ".") || token_is(&token, "?.");
        if (wanted == 1 && is_dot) {
            wanted = 2;
        } else if ((wanted == 1 || wanted == 2) && token_is(&token, "[")) {
            wanted = 3;
        } else if (wanted == 2 && token.kind == TOKEN_NAME && !is_reflective(token.text)) {
            (void)map_put(names, token.text, names);
            wanted = 0;
        } else if (wanted == 3 && token.kind == TOKEN_STRING &&
                   memchr(token.text.ptr, '\\', token.text.len) == NULL) {
            struct str name = str_n(token.text.ptr + 1, token.text.len - 2);
            if (lexer_next(&lexer, &token, NULL) != 0 || !token_is(&token, "]"))
                return false;
            (void)map_put(names, name, names);
            wanted = 0;
        } else if (wanted != 0) {
            return false;
        } else if (token.kind == TOKEN_NAME && str_eq_c(token.text, "steps")) {
            if (was_dot)
                return false;
            wanted = 1;
        } else if (token.kind == TOKEN_NAME && is_reflective(token.text)) {
            return false;
        }
        if (token.kind == TOKEN_END)
            return wanted == 0;
        was_dot = is_dot;
    }
}

static void write_value(struct buf *out, const struct json *json, const char *mark, bool *is_marked)
{
    if (has_inexact(json)) {
        write_marked(out, json, mark);
        *is_marked = true;
    } else {
        json_write(out, json);
    }
}

static bool write_steps(struct engine_call *call, const struct json *steps)
{
    struct map names = MAP_INIT;
    bool is_known = true;
    bool is_marked = false;
    for (size_t i = 0; i < call->count && is_known; i++)
        is_known = add_steps(call->template->slots[call->slots[i]].text, &names);
    if (!is_known) {
        write_value(&call->steps, steps, call->engine->mark, &is_marked);
    } else {
        buf_add_char(&call->steps, '{');
        for (const struct json *step = json_first(steps); step != NULL; step = json_next(step)) {
            if (map_get(&names, str_from(json_name(step))) == NULL)
                continue;
            if (call->steps.len > 1)
                buf_add_char(&call->steps, ',');
            json_write_string(&call->steps, str_from(json_name(step)));
            buf_add_char(&call->steps, ':');
            write_value(&call->steps, step, call->engine->mark, &is_marked);
        }
        buf_add_char(&call->steps, '}');
    }
    map_release(&names, NULL);
    return is_marked;
}

static void write_expressions(struct buf *out, const struct expr_template *template,
                              const size_t *slots, size_t count)
{
    buf_add_c(out, "\"expressions\":[");
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = &template->slots[slots[i]];
        buf_add_c(out, i > 0 ? ",{\"text\":" : "{\"text\":");
        json_write_string(out, slot->text);
        buf_addf(out, ",\"mixed\":%s}", slot->is_whole ? "false" : "true");
    }
    buf_add_char(out, ']');
}

/* ---- a call */

static void end_call(struct engine_call *call, int code, struct expr_result *result,
                     const struct expr_where *where, const struct err *err)
{
    call->done(call->ctx, code, result, where, err);
    expr_result_release(result);
    compiled_values_free(call->template, call->values);
    union {
        const struct expr_template *constant;
        struct expr_template *counted;
    } both = {.constant = call->template};
    expr_template_free(both.counted);
    buf_release(&call->request);
    buf_release(&call->steps);
    buf_release(&call->env);
    free(call->slots);
    engine_unref(call->engine);
    free(call);
}

static void fail_call(struct engine_call *call, const struct expr_where *where,
                      const struct err *err)
{
    struct expr_result none = {0};
    struct expr_where nowhere = {0};
    end_call(call, err->code, &none, where != NULL ? where : &nowhere, err);
}

static void finish_call(struct engine_call *call)
{
    struct expr_result result = {0};
    struct expr_where nowhere = {0};
    struct err err = ERR_INIT;
    int code = compiled_assemble(call->template, call->values, false, &result, &err);
    end_call(call, code, &result, &nowhere, &err);
}

/* {"failed":…}: where and what. */
static void read_failure(const struct expr_template *template, const size_t *slots, size_t count,
                         const struct json *answer, struct expr_where *ret_where, struct err *err)
{
    int64_t index = json_get_i64(answer, "failed", -1);
    (void)err_set(err, (int)json_get_i64(answer, "code", RN_EFAILED), STR_FMT,
                  STR_ARG(json_get_text(answer, "text")));
    if (index < 0 || (uint64_t)index >= count)
        index = 0; /* reading the steps failed: the first one asked for them */
    compiled_where(&template->slots[slots[index]], ret_where);
    if (ret_where != NULL)
        ret_where->offset += (size_t)json_get_i64(answer, "offset", 0);
}

/* What the prelude's finish() said of one value. */
static int take_value(struct engine_call *call, size_t slot, struct json *words, struct err *err)
{
    struct slot_value *value = &call->values[slot];
    const char *problem = json_get_c(words, "e");
    if (problem != NULL)
        return err_set(err, RN_EFAILED, "%s", problem);
    value->is_ready = true;
    if (json_get_bool(words, "u", false)) {
        const struct slot *of = &call->template->slots[slot];
        value->is_undefined = true;
        value->missing = xmemdup(of->text.ptr, of->text.len);
        return 0;
    }
    const char *text = json_get_c(words, "t");
    value->text = text != NULL ? xstrdup(text) : NULL;
    value->owned = json_take(words, "v");
    if (value->owned == NULL)
        return err_set(err, RN_EPROTOCOL, "the expression host's answer lacks a value");
    struct json *exact =
        json_get_bool(words, "x", false) ? unmark(value->owned, call->engine->mark) : NULL;
    if (exact != NULL) {
        json_free(value->owned);
        value->owned = exact;
    }
    return 0;
}

static void take_answer(struct engine_call *call, const struct frame *frame)
{
    struct expr_where where = {0};
    struct err err = ERR_INIT;
    struct json *answer = NULL;
    struct json *values = NULL;
    int code = json_parse(frame->json, &answer, &err);
    if (code == 0 && json_get(answer, "failed") != NULL) {
        read_failure(call->template, call->slots, call->count, answer, &where, &err);
        code = err.code;
    } else if (code == 0 && frame->section_count == 1) {
        code = json_parse(frame->sections[0], &values, &err);
    } else if (code == 0) {
        code = err_set(&err, RN_EPROTOCOL, "the expression host's answer is not understood");
    }
    for (size_t i = 0; i < call->count && code == 0; i++) {
        struct json *words = json_take_first(values);
        code = take_value(call, call->slots[i], words, &err);
        if (code != 0)
            compiled_where(&call->template->slots[call->slots[i]], &where);
        json_free(words);
    }
    json_free(answer);
    json_free(values);
    if (code == 0)
        finish_call(call);
    else
        fail_call(call, &where, &err);
}

static void send_call(struct engine_call *call);

static void on_result(void *ctx, const struct call_result *result)
{
    struct engine_call *call = ctx;
    atomic_fetch_sub(&call->engine->busy[call->host], 1);
    if (result->code == 0) {
        take_answer(call, result->frame);
    } else if (result->code == RN_EUNKNOWN && result->was_host_lost && !call->is_second_try &&
               !atomic_load(&call->engine->is_closing)) {
        call->is_second_try = true;
        send_call(call);
    } else {
        struct err err = result->err;
        err.code = result->code == RN_EUNKNOWN ? RN_EUNAVAILABLE : result->code;
        fail_call(call, NULL, &err);
    }
}

static void send_call(struct engine_call *call)
{
    struct expr_engine *engine = call->engine;
    call->host = 0;
    for (size_t i = 1; i < ENGINE_HOSTS; i++)
        if (atomic_load(&engine->busy[i]) < atomic_load(&engine->busy[call->host]))
            call->host = i;
    atomic_fetch_add(&engine->busy[call->host], 1);
    struct call out = {
        .frame = {.json = buf_str(&call->request), .sections = call->sections, .section_count = 2},
        .timeout_ms = BACKSTOP_MS,
        .done = on_result,
        .ctx = call};
    (void)host_call(engine->hosts[call->host], &out);
}

void expr_engine_resolve(struct expr_engine *engine, const struct expr_template *template,
                         const struct expr_scope *scope, expr_done done, void *ctx)
{
    struct engine_call *call = xcalloc(1, sizeof(*call));
    struct expr_where where = {0};
    struct err err = ERR_INIT;
    *call = (struct engine_call){.engine = engine,
                                 .template = template,
                                 .values = compiled_values_new(template),
                                 .slots = xcalloc(template->slot_count + 1, sizeof(size_t)),
                                 .request = BUF_INIT(LIMIT_FRAME_BYTES),
                                 .steps = BUF_INIT(LIMIT_FRAME_BYTES),
                                 .env = BUF_INIT(MIB(4)),
                                 .done = done,
                                 .ctx = ctx};
    atomic_fetch_add(&engine->references, 1);
    compiled_ref(template);
    if (compiled_evaluate(template, scope, call->values, &where, &err) != 0) {
        fail_call(call, &where, &err);
        return;
    }
    for (size_t i = 0; i < template->slot_count; i++)
        if (!call->values[i].is_ready)
            call->slots[call->count++] = i;
    if (call->count == 0) {
        finish_call(call);
        return;
    }
    compiled_values_own(template, call->values);
    bool is_marked = write_steps(call, scope->steps != NULL ? scope->steps : template->empty);
    json_write(&call->env, scope->env != NULL ? scope->env : template->empty);
    buf_addf(&call->request, "{\"op\":\"resolve\",\"mark\":\"%s\",\"marked\":%s,", engine->mark,
             is_marked ? "true" : "false");
    write_expressions(&call->request, template, call->slots, call->count);
    buf_add_char(&call->request, '}');
    call->sections[0] = buf_str(&call->steps);
    call->sections[1] = buf_str(&call->env);
    if (buf_is_overflowed(&call->request) || buf_is_overflowed(&call->steps) ||
        buf_is_overflowed(&call->env)) {
        compiled_where(&template->slots[call->slots[0]], &where);
        (void)err_set(&err, RN_ETOOBIG,
                      "steps are too big for an expression that needs JavaScript");
        fail_call(call, &where, &err);
        return;
    }
    send_call(call);
}

int expr_engine_check(struct expr_engine *engine, const struct expr_template *template,
                      struct expr_where *ret_where, struct err *err)
{
    size_t *slots = xcalloc(template->slot_count + 1, sizeof(*slots));
    size_t count = 0;
    int code = 0;
    for (size_t i = 0; i < template->slot_count; i++)
        if (template->slots[i].fast == NULL)
            slots[count++] = i;
    if (count == 0) {
        free(slots);
        return 0;
    }
    struct buf request = BUF_INIT(LIMIT_FRAME_BYTES);
    struct buf bytes = BUF_INIT(LIMIT_FRAME_BYTES);
    struct json *answer = NULL;
    struct str section = STR_NONE;
    struct frame frame = {0};
    buf_add_c(&request, "{\"op\":\"check\",");
    write_expressions(&request, template, slots, count);
    buf_add_char(&request, '}');
    struct call call = {.frame = {.json = buf_str(&request)}, .timeout_ms = BACKSTOP_MS};
    code = host_call_wait(engine->hosts[0], &call, &bytes, &frame, &section, 1, err);
    if (code == 0)
        code = json_parse(frame.json, &answer, err);
    if (code == 0 && json_get(answer, "failed") != NULL) {
        struct err failure = ERR_INIT;
        read_failure(template, slots, count, answer, ret_where, &failure);
        code = err_set(err, failure.code, "%s", failure.text);
    }
    json_free(answer);
    buf_release(&request);
    buf_release(&bytes);
    free(slots);
    return code;
}
