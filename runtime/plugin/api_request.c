/* The event of a source: the HTTP request, piece by piece and as the JSON that Pipedream's
 * components know. Everything is parsed when it is first asked for: a source that needs one header
 * and the raw body pays for nothing else. */
#include "plugin/run.h"

#include "base/encode.h"
#include "base/limits.h"
#include "plugin/form.h"

const char *api_request_method(struct rn_run *rn)
{
    return run_of(rn)->request.method;
}

const char *api_request_path(struct rn_run *rn)
{
    return run_of(rn)->request.path;
}

static const struct json *query_json(struct run *run)
{
    if (!run->request.query_json) {
        run->request.query_json = form_parse(run->request.query);
        run_track(run, run->request.query_json);
    }
    return run->request.query_json;
}

const char *api_request_query(struct rn_run *rn, const char *name)
{
    struct run *run = run_of(rn);
    if (!run->request.method || !name)
        return NULL;
    const struct json *value = json_get(query_json(run), name);
    return json_str(json_is(value, JSON_ARRAY) ? json_first(value) : value).ptr;
}

const char *api_request_header(struct rn_run *rn, const char *name)
{
    struct run *run = run_of(rn);
    if (!run->request.method || !name)
        return NULL;
    char lower[128];
    size_t size = strlen(name);
    if (size >= sizeof(lower))
        return NULL;
    for (size_t i = 0; i < size; i++)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + ('a' - 'A') : name[i]);
    lower[size] = '\0';
    return json_str(json_get_str(run->request.headers, str_n(lower, size))).ptr;
}

const void *api_request_body_raw(struct rn_run *rn, size_t *ret_size)
{
    struct run *run = run_of(rn);
    if (ret_size)
        *ret_size = run->request.method ? run->request.body.len : 0;
    if (!run->request.method)
        return NULL;
    return run->request.body.ptr ? run->request.body.ptr : "";
}

/* ------------------------------------------------------------------- body */

enum body_kind { BODY_JSON, BODY_FORM, BODY_MULTIPART, BODY_TEXT, BODY_UNSAID };

static enum body_kind body_kind(struct str content_type)
{
    struct str left = content_type, type;
    if (!str_cut(&left, ';', &type))
        type = content_type;
    type = str_trim(type);
    if (!type.len)
        return BODY_UNSAID;
    if (str_eq_nocase(type, STR("application/json")) ||
        (type.len > 5 && str_eq_nocase(str_n(type.ptr + type.len - 5, 5), STR("+json"))))
        return BODY_JSON;
    if (str_eq_nocase(type, STR("application/x-www-form-urlencoded")))
        return BODY_FORM;
    if (str_eq_nocase(type, STR("multipart/form-data")))
        return BODY_MULTIPART;
    return BODY_TEXT;
}

/* Text as it is; bytes that are no text in base64, which nothing alters. */
static struct json *body_text(struct str body)
{
    if (utf8_is_valid(body))
        return json_new_string(body);
    struct buf out = BUF_INIT(LIMIT_HTTP_BODY_MAX * 2);
    encode_base64(&out, body.ptr, body.len, false);
    struct json *text = json_new_string(buf_str(&out));
    buf_release(&out);
    return text;
}

static struct json *parse_body(struct run *run)
{
    struct run_request *request = &run->request;
    struct str type = json_get_text(request->headers, "content-type");
    enum body_kind kind = body_kind(type);
    struct str text = str_trim(request->body);
    struct json *value = NULL;
    struct err why = ERR_INIT;
    bool looks_like_json = text.len && strchr("{[", text.ptr[0]);
    if (kind == BODY_JSON || (kind == BODY_UNSAID && looks_like_json)) {
        if (!json_parse(request->body, &value, &why)) {
            request->body_is_text_json = true;
            return value;
        }
        if (kind == BODY_JSON) {
            (void)run_fail(run, RN_EPROTOCOL, "the body says that it is JSON and is not: %s",
                           why.text);
            return NULL;
        }
    }
    if (kind == BODY_FORM)
        return form_parse(request->body);
    if (kind == BODY_MULTIPART && (value = form_parse_multipart(type, request->body)))
        return value;
    return body_text(request->body);
}

const struct json *run_request_body(struct run *run)
{
    struct run_request *request = &run->request;
    if (request->method && !request->is_parsed && request->body.len) {
        request->body_json = parse_body(run);
        run_track(run, request->body_json);
    }
    request->is_parsed = true;
    return request->body_json;
}

const struct rn_json *api_request_body(struct rn_run *rn)
{
    return rn_of(run_request_body(run_of(rn)));
}

int32_t api_request_element_span(struct rn_run *rn, size_t index, size_t *ret_offset,
                                 size_t *ret_size)
{
    struct run *run = run_of(rn);
    if (!run->request.method)
        return run_fail(run, RN_EINVAL, "the event is no HTTP request");
    int code = json_element_span(run->request.body, index, ret_offset, ret_size);
    if (code == RN_EINVAL || code == RN_EPROTOCOL)
        return run_fail(run, RN_EINVAL, "the body is no JSON array");
    if (code)
        return run_fail(run, code, "the body has no element %zu", index);
    return 0;
}

/* ------------------------------------------------------------------ event */

static struct json *build_event(struct run *run)
{
    const struct run_request *request = &run->request;
    struct json *event = json_new_object();
    json_add(event, "method", json_new_string_c(request->method));
    json_add(event, "path", json_new_string_c(request->path));
    json_add(event, "query", json_copy(query_json(run)));
    json_add(event, "headers", request->headers ? json_copy(request->headers) : json_new_object());
    const struct json *body = run_request_body(run);
    if (body)
        json_add(event, "body", json_copy(body));
    else if (request->body.len)
        json_add(event, "body", body_text(request->body));
    else
        json_add(event, "body", json_new_null());
    json_add(event, "bodyRaw", body_text(request->body));
    if (!utf8_is_valid(request->body))
        json_set_boolean(event, "isBase64Encoded", true);
    json_add(event, "url", json_new_string_c(request->url));
    json_add(event, "client_ip", json_new_string_c(request->client_ip));
    return event;
}

const struct rn_json *api_event(struct rn_run *rn)
{
    struct run *run = run_of(rn);
    if (!run->event && run->request.method) {
        struct json *event = build_event(run);
        run_track(run, event);
        run->event = event;
    }
    return rn_of(run->event);
}
