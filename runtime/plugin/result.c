#include "plugin/result.h"

#include "base/encode.h"
#include "base/limits.h"

/* The result while it is written. */
struct result {
    struct buf json;
    struct str *sections;
    uint32_t count, capacity;
};

static uint32_t add_section(struct result *r, struct str text)
{
    if (r->count == r->capacity) {
        r->capacity = r->capacity ? r->capacity * 2 : 8;
        r->sections = xrealloc(r->sections, r->capacity * sizeof(*r->sections));
    }
    r->sections[r->count] = text;
    return r->count++;
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    if (!text)
        return;
    buf_addf(out, ",\"%s\":", name);
    json_write_string(out, str_from(text));
}

static void write_writes(struct run *run, struct result *r)
{
    if (!run->writes)
        return;
    buf_add_c(&r->json, ",\"writes\":[");
    for (const struct run_write *w = run->writes; w; w = w->next) {
        buf_add_c(&r->json, "{\"key\":");
        json_write_string(&r->json, str_from(w->key));
        if (w->value)
            buf_addf(&r->json, ",\"section\":%u}", add_section(r, run_print(run, w->value)));
        else
            buf_add_c(&r->json, ",\"delete\":true}");
        if (w->next)
            buf_add_char(&r->json, ',');
    }
    buf_add_char(&r->json, ']');
}

/* An event that is a part of the request's body is named by its place there: the runtime has it. */
static void write_event(struct run *run, struct result *r, struct str event)
{
    struct str body = run->request.body;
    if (body.ptr && event.ptr >= body.ptr && event.ptr + event.len <= body.ptr + body.len)
        buf_addf(&r->json, "\"body\":[%zu,%zu]", (size_t)(event.ptr - body.ptr), event.len);
    else
        buf_addf(&r->json, "\"section\":%u", add_section(r, event));
}

static void write_emits(struct run *run, struct result *r)
{
    if (!run->emit_count)
        return;
    run_sort_emits(run);
    buf_add_c(&r->json, ",\"emits\":[");
    for (size_t i = 0; i < run->emit_count; i++) {
        const struct run_emit *e = &run->emits[i];
        buf_add_c(&r->json, i ? ",{" : "{");
        write_event(run, r, e->text);
        add_text(&r->json, "id", e->id);
        add_text(&r->json, "name", e->name);
        add_text(&r->json, "summary", e->summary);
        if (e->ts)
            buf_addf(&r->json, ",\"ts\":%lld", (long long)e->ts);
        buf_add_char(&r->json, '}');
    }
    buf_add_char(&r->json, ']');
}

static void write_response(struct run *run, struct result *r)
{
    const struct run_response *response = &run->response;
    if (!response->is_set)
        return;
    buf_addf(&r->json, ",\"response\":{\"status\":%d,\"headers\":[", response->status);
    for (size_t i = 0; i < response->header_count; i++) {
        buf_add_c(&r->json, i ? ",[" : "[");
        json_write_string(&r->json, str_from(response->headers[i].name));
        buf_add_char(&r->json, ',');
        json_write_string(&r->json, str_from(response->headers[i].value));
        buf_add_char(&r->json, ']');
    }
    buf_addf(&r->json, "],\"section\":%u}", add_section(r, response->body));
}

/* An action's answer for its workflow: as the engine has those of its own "respond" steps. */
static void write_respond(struct run *run, struct result *r)
{
    const struct run_response *response = &run->response;
    if (!response->is_set)
        return;
    struct json *headers = json_new_object();
    for (size_t i = 0; i < response->header_count; i++)
        json_set_string(headers, response->headers[i].name, response->headers[i].value);
    buf_addf(&r->json,
             ",\"respond\":{\"status\":%d,\"immediate\":%s,\"headers\":", response->status,
             response->is_immediate ? "true" : "false");
    json_write(&r->json, headers);
    json_free(headers);
    if (response->body.len == 0) {
    } else if (utf8_is_valid(response->body)) {
        buf_add_c(&r->json, ",\"body\":");
        json_write_string(&r->json, response->body);
    } else {
        buf_add_c(&r->json, ",\"body\":{\"$base64\":\"");
        encode_base64(&r->json, response->body.ptr, response->body.len, false);
        buf_add_c(&r->json, "\"}");
    }
    buf_add_char(&r->json, '}');
}

static void write_action(struct run *run, struct result *r)
{
    struct buf exports = BUF_INIT(LIMIT_FRAME_BYTES);
    run_write_exports(run, &exports);
    struct str text = {arena_dup(&run->arena, buf_str(&exports)), exports.len};
    buf_release(&exports);
    buf_addf(&r->json, ",\"exports\":%u", add_section(r, text));
    if (!run->err.code)
        write_respond(run, r);
    if (!run->err.code && run->files_use.files)
        buf_addf(&r->json, ",\"files\":{\"count\":%llu,\"bytes\":%llu}",
                 (unsigned long long)run->files_use.files,
                 (unsigned long long)run->files_use.bytes);
    if (!run->err.code && run->flow.kind) {
        buf_add_c(&r->json, ",\"flow\":");
        run_write_flow(run, &r->json);
    }
    if (!run->err.code && run->sends) {
        buf_add_c(&r->json, ",\"sends\":");
        run_write_sends(run, &r->json);
    }
    if (!run->exit_reason)
        return;
    buf_add_c(&r->json, ",\"exit\":{\"reason\":");
    json_write_string(&r->json, str_from(run->exit_reason));
    buf_add_char(&r->json, '}');
}

static void write_tree(struct result *r, const char *name, const struct json *value)
{
    if (!value)
        return;
    buf_addf(&r->json, ",\"%s\":", name);
    json_write(&r->json, value);
}

static void write_error(struct run *run, struct result *r)
{
    buf_addf(&r->json, "\"error\":{\"code\":\"%s\",\"text\":", err_name(run->err.code));
    json_write_string(&r->json, str_from(run->err.text));
    if (run->retry_after_ms >= 0)
        buf_addf(&r->json, ",\"retry_after_ms\":%lld", (long long)run->retry_after_ms);
    if (run->http_status)
        buf_addf(&r->json, ",\"status\":%d", run->http_status);
    buf_add_char(&r->json, '}');
}

static void write_success(struct run *run, struct result *r)
{
    buf_add_c(&r->json, "\"ok\":true");
    switch (run->op) {
    case RUN_SOURCE:
    case RUN_HOOK:
        write_writes(run, r);
        write_emits(run, r);
        write_response(run, r);
        break;
    case RUN_OPTIONS:
        write_tree(r, "options", run->options);
        write_tree(r, "context", run->options_context);
        break;
    case RUN_ADDITIONAL_PROPS:
        write_tree(r, "props", run->added_props);
        break;
    case RUN_ACTION:
    case RUN_TEST:
        break;
    }
}

void result_send(struct run *run, int code, struct served_call *call)
{
    struct result r = {.json = BUF_INIT(LIMIT_FRAME_BYTES)};
    if (code && !run->err.code)
        (void)err_set(&run->err, code, "%s", err_sentence(code));
    buf_add_char(&r.json, '{');
    if (code)
        write_error(run, &r);
    else
        write_success(run, &r);
    if (run->op == RUN_ACTION)
        write_action(run, &r);
    buf_add_char(&r.json, '}');
    frame_server_result(call, buf_str(&r.json), r.sections, r.count);
    buf_release(&r.json);
    free(r.sections);
}
