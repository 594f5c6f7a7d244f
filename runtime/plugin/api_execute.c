/* An RN_HTTP_REQUEST prop: a whole request as one value, in Pipedream's shape:
 * {method, url, headers:[{name,value}], params:[{name,value}],
 * auth:{type:"none"|"basic"|"bearer",username,password,token}, body:{type|mode:"fields"|"raw",
 * contentType, fields:[{name,value}], raw}}. */
#include "plugin/run.h"

enum { PAIRS_MAX = 256 };

static const char *text_of(struct run *run, const struct json *value)
{
    if (!value || json_is(value, JSON_NULL))
        return "";
    const char *text = json_c(value);
    return text ? text : run_print(run, value).ptr;
}

/* A list of {name, value}; an object of names and values will do too. */
static int32_t read_pairs(struct run *run, const struct json *list, const char *what,
                          struct rn_pair **ret, size_t *ret_count)
{
    *ret = NULL;
    *ret_count = 0;
    if (!list || json_is(list, JSON_NULL))
        return 0;
    bool is_list = json_is(list, JSON_ARRAY);
    size_t count = json_count(list);
    if ((!is_list && !json_is(list, JSON_OBJECT)) || count > PAIRS_MAX)
        return run_fail(run, RN_ECONFIG, "the request's %s are no list of {name, value}", what);
    struct rn_pair *pairs = arena_alloc(&run->arena, (count + 1) * sizeof(*pairs));
    for (const struct json *v = json_first(list); v; v = json_next(v)) {
        const char *name = is_list ? json_get_c(v, "name") : json_name(v);
        if (!name || !name[0])
            continue;
        pairs[*ret_count].name = name;
        pairs[(*ret_count)++].value = text_of(run, is_list ? json_get(v, "value") : v);
    }
    *ret = pairs;
    return 0;
}

static int32_t read_auth(struct run *run, const struct json *auth, struct rn_http_request *request)
{
    const char *type = json_get_c(auth, "type");
    if (!type || strcmp(type, "none") == 0)
        return 0;
    if (strcmp(type, "bearer") == 0) {
        request->bearer = text_of(run, json_get(auth, "token"));
        return 0;
    }
    if (strcmp(type, "basic") == 0) {
        request->basic_user = text_of(run, json_get(auth, "username"));
        request->basic_password = text_of(run, json_get(auth, "password"));
        return 0;
    }
    return run_fail(run, RN_ECONFIG, "the request's auth type \"%s\" is not none, basic or bearer",
                    type);
}

static int32_t read_fields(struct run *run, const struct json *body, bool is_json,
                           struct rn_http_request *request)
{
    struct rn_pair *fields = NULL;
    size_t count = 0;
    int32_t code = read_pairs(run, json_get(body, "fields"), "body fields", &fields, &count);
    if (code)
        return code;
    if (!is_json) {
        request->form = fields;
        request->form_count = count;
        return 0;
    }
    struct json *object = json_new_object();
    run_track(run, object);
    for (size_t i = 0; i < count; i++)
        json_set(object, fields[i].name, json_new_string_c(fields[i].value));
    request->json = rn_of(object);
    return 0;
}

static int32_t read_body(struct run *run, const struct json *body, struct rn_http_request *request,
                         const char **ret_type)
{
    if (!body || json_is(body, JSON_NULL))
        return 0;
    const char *mode = json_get_c(body, "mode"), *type = json_get_c(body, "contentType");
    mode = mode ? mode : json_get_c(body, "type");
    if (type && type[0] && strcmp(type, "none") != 0)
        *ret_type = type;
    bool is_form = type && strcmp(type, "application/x-www-form-urlencoded") == 0;
    if (mode && strcmp(mode, "fields") == 0)
        return read_fields(run, body, !is_form, request);
    struct str raw = json_get_text(body, "raw");
    if (raw.ptr && raw.len) {
        request->body = raw.ptr;
        request->body_size = raw.len;
    }
    return 0;
}

int32_t api_execute(struct rn_run *rn, const char *prop, const struct rn_http_response **ret)
{
    struct run *run = run_of(rn);
    const struct json *value = prop ? run_prop(run, prop) : NULL;
    if (!json_is(value, JSON_OBJECT))
        return run_fail(run, RN_ECONFIG, "the prop \"%s\" holds no request",
                        prop ? prop : "(NULL)");
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(json_get_c(value, "url"));
    if (!request.url || !request.url[0])
        return run_fail(run, RN_ECONFIG, "the request of the prop \"%s\" has no url", prop);
    const char *method = json_get_c(value, "method"), *type = NULL;
    request.method = method && method[0] ? method : NULL;
    struct rn_pair *headers = NULL, *query = NULL;
    size_t header_count = 0, query_count = 0;
    int32_t code = read_pairs(run, json_get(value, "headers"), "headers", &headers, &header_count);
    if (!code)
        code = read_pairs(run, json_get(value, "params"), "params", &query, &query_count);
    if (!code)
        code = read_auth(run, json_get(value, "auth"), &request);
    if (!code)
        code = read_body(run, json_get(value, "body"), &request, &type);
    if (code)
        return code;
    bool has_type = false;
    for (size_t i = 0; i < header_count; i++)
        has_type = has_type || str_eq_nocase(str_from(headers[i].name), STR("content-type"));
    if (type && !has_type && (request.body || request.form || request.json)) {
        struct rn_pair *more = arena_alloc(&run->arena, (header_count + 1) * sizeof(*more));
        if (header_count)
            memcpy(more, headers, header_count * sizeof(*more));
        more[header_count++] = (struct rn_pair){"Content-Type", type};
        headers = more;
    }
    request.headers = headers;
    request.header_count = header_count;
    request.query = query;
    request.query_count = query_count;
    return api_http(rn, &request, ret);
}
