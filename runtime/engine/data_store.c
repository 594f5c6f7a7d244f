/* Data stores: a host's ask, or a person's request, becomes one read of a snapshot or one operation
 * of the store's writer. An ask may touch the stores that the props of its step name and no others:
 * the runtime checks it here, whatever the host sends. Threads: step_ask() on the host's reader
 * thread, which does not wait (a read is one short view); answers of writes leave on the writer
 * thread. */
#include "engine/data_store.h"

#include "base/clock.h"
#include "engine/run.h"
#include "store/data_store.h"

static const struct {
    const char *op;
    enum data_verb verb;
} verbs[] = {
    {"store_get", DATA_GET},
    {"store_has", DATA_HAS},
    {"store_keys", DATA_KEYS},
    {"store_items", DATA_ITEMS},
    {"store_set", DATA_SET},
    {"store_set_ttl", DATA_SET_TTL},
    {"store_delete", DATA_DELETE},
    {"store_clear", DATA_CLEAR},
    {"store_increment", DATA_INCREMENT},
    {"store_compare_and_set", DATA_COMPARE_AND_SET},
};

static bool is_page(enum data_verb verb)
{
    return verb == DATA_KEYS || verb == DATA_ITEMS;
}

/* The request without its values; its texts are views into `json`. */
static int read_request(const struct json *json, struct data_request *ret, struct err *err)
{
    struct str op = json_get_text(json, "op");
    size_t i = 0;
    while (i < COUNT_OF(verbs) && !str_eq_c(op, verbs[i].op))
        i++;
    if (i == COUNT_OF(verbs))
        return err_set(err, RN_EPROTOCOL, "there is no request \"" STR_FMT "\"", STR_ARG(op));
    enum data_verb verb = verbs[i].verb;
    bool keeps_ttl = verb == DATA_INCREMENT || verb == DATA_COMPARE_AND_SET;
    *ret = (struct data_request){
        .verb = verb,
        .store = json_get_text(json, "store"),
        .key = json_get_text(json, is_page(verb) ? "after" : "key"),
        .ttl_ms = json_get_i64(json, "ttl_ms", keeps_ttl ? -1 : 0),
        .prefix = is_page(verb) ? json_get_text(json, "prefix") : STR_NONE,
        .by = json_get_i64(json, "by", 1),
        .limit = (size_t)json_get_i64(json, "limit", LIMIT_DATA_PAGE),
        .now_ms = clock_now_ms(),
    };
    return 0;
}

/* Refused at the quota: what may take much room. */
static bool is_new_work(const struct data_request *request)
{
    return request->verb == DATA_SET ||
           (request->verb == DATA_COMPARE_AND_SET && request->value.ptr);
}

/* ---- what both sides answer with; the value is not among it */

static struct json *answer_of(const struct data_request *request, const struct data_result *result)
{
    struct json *answer = json_new_object();
    json_set_boolean(answer, "ok", true);
    switch (request->verb) {
    case DATA_KEYS:
    case DATA_ITEMS:
        json_set_boolean(answer, "more", result->has_more);
        break;
    case DATA_INCREMENT:
        json_set_integer(answer, "value", result->number);
        break;
    case DATA_CLEAR:
        json_set_integer(answer, "count", result->number);
        break;
    case DATA_SET:
        break;
    case DATA_COMPARE_AND_SET:
        json_set_boolean(answer, "swapped", result->is_swapped);
        json_set_boolean(answer, "found", result->is_found);
        break;
    default:
        json_set_boolean(answer, "found", result->is_found);
        if (result->is_found && result->expires_ms && request->verb == DATA_GET)
            json_set_integer(answer, "expires_ms", result->expires_ms);
        break;
    }
    return answer;
}

/* ---- asks of hosts */

struct data_ask {
    struct store_op op;
    struct ask *ask;
    struct json *json; /* what the request's texts are views of */
    struct data_request request;
    struct data_result result;
    char *value, *expected; /* copies */
};

static void ask_free(struct data_ask *ask)
{
    json_free(ask->json);
    buf_release(&ask->result.text);
    free(ask->value);
    free(ask->expected);
    free(ask);
}

static void tell(struct data_ask *ask, int code, const struct err *err)
{
    if (code) {
        ask_refuse(ask->ask, code, err->text);
    } else {
        size_t size = 0;
        struct json *answer = answer_of(&ask->request, &ask->result);
        char *text = json_text(answer, &size);
        const struct str section = buf_str(&ask->result.text);
        ask_answer(ask->ask, str_n(text, size), &section, section.len ? 1 : 0);
        free(text);
        json_free(answer);
    }
    ask_free(ask);
}

static int apply_write(struct store_tx *tx, void *ctx, struct err *err)
{
    struct data_ask *ask = ctx;
    return data_write(tx, &ask->request, &ask->result, err);
}

static void written(void *ctx, int code, const struct err *err)
{
    tell(ctx, code, err);
}

static bool names(const struct json *value, struct str store)
{
    if (json_is(value, JSON_STRING))
        return str_eq(json_str(value), store);
    struct str name = json_get_text(value, "store");
    return str_eq(name.ptr ? name : json_get_text(value, "storeId"), store);
}

static bool component_names(const struct component_def *component, const struct json *props,
                            struct str store)
{
    bool is_found = false;
    for (size_t i = 0; i < component->prop_count && !is_found; i++)
        is_found = component->props[i].type == RN_DATA_STORE &&
                   names(json_get(props, component->props[i].name), store);
    return is_found;
}

/* Whether a prop of the step names the store: of an action one that is a data_store, of code one
 * that is written { store: … } in the file. */
static bool is_allowed(const struct strand *strand, struct str store)
{
    const struct use *use = &strand_step(strand)->use;
    bool is_found = false;
    if (!store.len)
        return false;
    if (!use->component) {
        for (const struct json *p = json_first(use->props); p && !is_found; p = json_next(p))
            is_found = data_store_name(p) && names(json_get(strand->props, json_name(p)), store);
        return is_found;
    }
    is_found = component_names(use->component, strand->props, store);
    for (size_t i = 0; i < use->dynamic_count && !is_found; i++)
        is_found = use->dynamic[i].type == RN_DATA_STORE &&
                   names(json_get(strand->props, use->dynamic[i].name), store);
    return is_found;
}

/* The values of a request, from the frame's sections. */
static int take_values(struct data_ask *ask, const struct frame *frame, struct err *err)
{
    struct data_request *request = &ask->request;
    bool is_swap = request->verb == DATA_COMPARE_AND_SET;
    int64_t value = json_get_i64(ask->json, "value", is_swap ? -1 : 0),
            expected = json_get_i64(ask->json, "expected", -1);
    if (request->verb != DATA_SET && !is_swap)
        return 0;
    if (value >= (int64_t)frame->section_count || expected >= (int64_t)frame->section_count)
        return err_set(err, RN_EPROTOCOL, "the request names a section that it has not got");
    if (value >= 0) {
        ask->value = str_dup(frame->sections[value]);
        request->value = str_n(ask->value, frame->sections[value].len);
    }
    if (expected >= 0) {
        ask->expected = str_dup(frame->sections[expected]);
        request->expected = str_n(ask->expected, frame->sections[expected].len);
    }
    return 0;
}

static struct data_ask *ask_new(struct ask *token)
{
    struct data_ask *ask = xcalloc(1, sizeof(*ask));
    ask->ask = token;
    ask->result = (struct data_result)DATA_RESULT_INIT;
    return ask;
}

static int read_ask(struct data_ask *ask, const struct frame *frame, struct err *err)
{
    int rc = json_parse(frame->json, &ask->json, err);
    if (!rc)
        rc = read_request(ask->json, &ask->request, err);
    if (!rc)
        rc = take_values(ask, frame, err);
    return rc ? rc : data_check(&ask->request, err);
}

static int read_now(struct engine *engine, const struct data_request *request,
                    struct data_result *ret, struct err *err)
{
    struct store_view *view = NULL;
    int rc = store_view_begin(engine->store, &view, err);
    if (!rc)
        rc = data_read(STORE_VIEW(view), request, ret, err);
    store_view_end(view);
    return rc;
}

void step_ask(void *ctx, struct ask *token, const struct frame *frame)
{
    const struct strand *strand = ctx;
    struct engine *engine = strand->run->engine;
    struct data_ask *ask = ask_new(token);
    struct err err = ERR_INIT;
    int rc = read_ask(ask, frame, &err);
    if (!rc && !is_allowed(strand, ask->request.store))
        rc = err_set(&err, RN_EPERM,
                     "no data store prop of the step names the store \"" STR_FMT "\"",
                     STR_ARG(ask->request.store));
    if (!rc && ask->request.verb >= DATA_SET) {
        ask->op = (struct store_op){.apply = apply_write,
                                    .done = written,
                                    .ctx = ask,
                                    .is_new_work = is_new_work(&ask->request)};
        rc = store_submit(engine->store, &ask->op);
        if (!rc)
            return;
        (void)err_set(&err, rc, "the store takes no more work now");
    } else if (!rc) {
        rc = read_now(engine, &ask->request, &ask->result, &err);
    }
    tell(ask, rc, &err);
}

void configure_ask(void *ctx, struct ask *token, const struct frame *frame)
{
    const struct configuring *c = ctx;
    struct data_ask *ask = ask_new(token);
    struct err err = ERR_INIT;
    int rc = read_ask(ask, frame, &err);
    if (!rc && !component_names(c->component, c->props, ask->request.store))
        rc = err_set(&err, RN_EPERM, "no data store prop names the store \"" STR_FMT "\"",
                     STR_ARG(ask->request.store));
    if (!rc && ask->request.verb >= DATA_SET)
        rc = err_set(&err, RN_EPERM, "what offers options only reads");
    if (!rc)
        rc = read_now(c->engine, &ask->request, &ask->result, &err);
    tell(ask, rc, &err);
}

/* ---- people */

struct data_call {
    const struct data_request *request;
    struct data_result *result;
};

static int apply_call(struct store_tx *tx, void *ctx, struct err *err)
{
    struct data_call *call = ctx;
    return data_write(tx, call->request, call->result, err);
}

int engine_data(struct engine *engine, const struct json *json, struct json **ret, struct err *err)
{
    struct data_request request;
    struct data_result result = DATA_RESULT_INIT;
    struct data_call call = {&request, &result};
    int rc = read_request(json, &request, err);
    if (rc)
        return rc;
    size_t size = 0;
    char *value = json_get(json, "value") ? json_text(json_get(json, "value"), &size) : NULL;
    request.value = str_n(value, size);
    char *expected =
        json_get(json, "expected") ? json_text(json_get(json, "expected"), &size) : NULL;
    request.expected = str_n(expected, expected ? size : 0);
    rc = data_check(&request, err);
    if (!rc && request.verb >= DATA_SET)
        rc = store_run(engine->store, apply_call, &call, is_new_work(&request), err);
    else if (!rc)
        rc = read_now(engine, &request, &result, err);
    struct json *content = NULL;
    if (!rc && result.text.len)
        rc = json_parse_own(buf_str(&result.text), &content, err);
    if (!rc) {
        *ret = answer_of(&request, &result);
        (void)json_set(*ret,
                       request.verb == DATA_KEYS    ? "keys"
                       : request.verb == DATA_ITEMS ? "items"
                                                    : "value",
                       content);
    }
    free(value);
    free(expected);
    buf_release(&result.text);
    return rc;
}

static int sweep(struct store_tx *tx, void *ctx, struct err *err)
{
    return data_sweep(tx, *(int64_t *)ctx, LIMIT_DATA_PAGE, NULL, err);
}

static int add_store(void *ctx, struct str store, uint64_t count, uint64_t bytes)
{
    struct json *item = json_append(ctx, json_new_object());
    json_set_str(item, "name", store);
    json_set_integer(item, "keys", (int64_t)count);
    json_set_integer(item, "bytes", (int64_t)bytes);
    return 0;
}

int engine_data_stores(struct engine *engine, struct json **ret, struct err *err)
{
    struct store_view *view = NULL;
    struct json *list = json_new_array();
    int64_t now = clock_now_ms();
    int rc = store_run(engine->store, sweep, &now, false, err);
    if (!rc)
        rc = store_view_begin(engine->store, &view, err);
    if (!rc && data_each(STORE_VIEW(view), add_store, list))
        rc = err_set(err, RN_EIO, "the data stores cannot be read");
    store_view_end(view);
    if (rc)
        json_free(list);
    else
        *ret = list;
    return rc;
}
