/* A request as the event of a native HTTP trigger. The body stands in it as it came where that is
 * JSON; forms and multipart bodies become objects, bytes that are no text {"$base64": …}. The body
 * as it was sent is kept beside the event (bodyRaw). [any thread] */
#include "base/encode.h"
#include "base/redact.h"
#include "engine/ingest.h"
#include "net/http_multipart.h"

/* Takes `value`. */
static void add_value(struct json *object, struct str name, struct json *value)
{
    char *key = str_dup(name);
    struct json *before = json_get_mut(object, key);
    if (memchr(key, '\0', name.len)) {
        json_free(value);
    } else if (!before) {
        (void)json_set(object, key, value);
    } else if (json_is(before, JSON_ARRAY)) {
        (void)json_append(before, value);
    } else {
        struct json *list = json_new_array();
        (void)json_append(list, json_copy(before));
        (void)json_append(list, value);
        (void)json_set(object, key, list);
    }
    free(key);
}

void http_event_add_pair(void *object, struct str name, struct str value)
{
    add_value(object, name, json_new_string(value));
}

/* ---- multipart */

static struct json *bytes_of(struct str data)
{
    struct buf text = BUF_INIT(LIMIT_JSON_BYTES);
    struct json *bytes = json_new_object();
    encode_base64(&text, data.ptr, data.len, false);
    json_set_str(bytes, "$base64", buf_str(&text));
    buf_release(&text);
    return bytes;
}

/* A file is an object that also serves as its bytes; a field is its text. */
static int add_part(void *object, const struct http_part *part)
{
    if (!part->filename.ptr) {
        add_value(object, part->name,
                  utf8_is_valid(part->data) ? json_new_string(part->data) : bytes_of(part->data));
        return 0;
    }
    struct json *file = json_new_object();
    json_set_str(file, "filename", part->filename);
    json_set_str(file, "mimetype",
                 part->content_type.len ? part->content_type : STR("application/octet-stream"));
    json_set_integer(file, "size", (int64_t)part->data.len);
    struct json *bytes = bytes_of(part->data);
    (void)json_set(file, "$base64", json_take(bytes, "$base64"));
    json_free(bytes);
    add_value(object, part->name, file);
    return 0;
}

static int add_multipart(struct buf *out, struct str type, struct str body, struct err *err)
{
    struct json *object = json_new_object();
    int rc = http_multipart_parse(type, body, add_part, object, err);
    if (rc == 0)
        json_write(out, object);
    json_free(object);
    return rc;
}

static struct str type_name(struct str type)
{
    ptrdiff_t end = str_find(type, ";", 0);
    return str_trim(end >= 0 ? str_n(type.ptr, (size_t)end) : type);
}

static bool is_type(struct str type, const char *name)
{
    return str_eq_nocase(type_name(type), str_from(name));
}

static bool is_json_type(struct str type)
{
    struct str name = type_name(type);
    return str_eq_nocase(name, STR("application/json")) || str_ends(name, "+json");
}

/* The event's body: JSON stands in the event as it came, character for character; forms become
 * objects, other text a string, other bytes {"$base64": …}. */
static int add_body(struct buf *out, const struct http_request *request, bool *ret_is_verbatim,
                    struct err *err)
{
    struct str type = http_request_header(request, "content-type");
    struct str body = request->body;
    struct str trimmed = str_trim(body);
    buf_add_c(out, ",\"body\":");
    if (body.len == 0) {
        buf_add_c(out, "null");
        return 0;
    }
    if (is_json_type(type) || (type.len == 0 && (trimmed.ptr[0] == '{' || trimmed.ptr[0] == '['))) {
        int rc = json_check(body, err);
        if (rc == 0) {
            buf_add_str(out, trimmed);
            *ret_is_verbatim = trimmed.len == body.len;
            return 0;
        }
        if (type.len)
            return err_prefix(err, "the body is not the JSON that its content-type announces");
    }
    if (is_type(type, "application/x-www-form-urlencoded")) {
        struct json *form = json_new_object();
        int rc = http_form_parse(body, http_event_add_pair, form);
        if (rc == 0)
            json_write(out, form);
        json_free(form);
        return rc ? err_set(err, rc, "the form in the body cannot be read") : 0;
    }
    if (is_type(type, "multipart/form-data"))
        return add_multipart(out, type, body, err);
    if (utf8_is_valid(body)) {
        json_write_string(out, body);
    } else {
        buf_add_c(out, "{\"$base64\":\"");
        encode_base64(out, body.ptr, body.len, false);
        buf_add_c(out, "\"}");
    }
    return 0;
}

void http_event_add_place(struct buf *out, const struct http_request *request, bool hides_token)
{
    struct buf url = BUF_INIT(KIB(64));
    buf_addf(&url, "%s://" STR_FMT STR_FMT "%s" STR_FMT, request->is_tls ? "https" : "http",
             STR_ARG(request->host), STR_ARG(request->path), request->query.len ? "?" : "",
             STR_ARG(request->query));
    buf_add_c(out, ",\"url\":");
    json_write_string(out, buf_str(&url));
    buf_release(&url);
    buf_add_c(out, ",\"headers\":{");
    for (size_t i = 0; i < request->header_count; i++) {
        if (i)
            buf_add_char(out, ',');
        json_write_string(out, request->headers[i].name);
        buf_add_char(out, ':');
        bool is_secret = hides_token && str_eq_c(request->headers[i].name, "authorization");
        json_write_string(out, is_secret ? STR("Bearer " REDACTED) : request->headers[i].value);
    }
    buf_add_char(out, '}');
}

int http_event_write(struct buf *out, struct str path, const struct http_request *request,
                     bool hides_token, struct str *ret_raw, struct err *err)
{
    bool is_verbatim = false;
    struct json *query = json_new_object();
    if (http_form_parse(request->query, http_event_add_pair, query)) {
        json_free(query);
        return err_set(err, RN_EINVAL, "the query string cannot be read");
    }
    buf_add_c(out, "{\"method\":");
    json_write_string(out, str_from(request->method));
    buf_add_c(out, ",\"path\":");
    json_write_string(out, path);
    buf_add_c(out, ",\"query\":");
    json_write(out, query);
    json_free(query);
    buf_add_c(out, ",\"client_ip\":");
    json_write_string(out, request->client_ip);
    http_event_add_place(out, request, hides_token);
    int rc = add_body(out, request, &is_verbatim, err);
    buf_add_char(out, '}');
    if (rc == 0 && buf_is_overflowed(out))
        rc = err_set(err, RN_ETOOBIG, "the event that the request makes is larger than %zu bytes",
                     out->max);
    if (rc)
        return rc;
    *ret_raw = request->body;
    if (is_verbatim)
        ret_raw->ptr = out->ptr + out->len - 1 - ret_raw->len;
    return 0;
}
