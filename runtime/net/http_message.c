/* What a request and a response are made of, without the server: header look-up, response building,
 * status texts, form bodies. */
#include "net/http_server.h"

#include "base/encode.h"
#include "net/http_server_private.h"
#include "json/json.h"

#include <assert.h>

struct str http_request_header(const struct http_request *request, const char *lower_name)
{
    size_t len = strlen(lower_name);
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (header->name.len == len && memcmp(header->name.ptr, lower_name, len) == 0)
            return header->value;
    }
    return STR_NONE;
}

/* RFC 9110 §5.6.2: what a method or a header name may hold. */
bool http_is_token_char(unsigned char c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
           (c != '\0' && strchr(others, c) != NULL);
}

bool http_is_token(const char *text)
{
    if (!text[0])
        return false;
    for (; *text; text++)
        if (!http_is_token_char((unsigned char)*text))
            return false;
    return true;
}

bool http_is_field_value(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

int http_response_header(struct http_response *response, const char *name, struct str value)
{
    static const char *const own[] = {"content-length", "transfer-encoding", "connection", "date",
                                      "keep-alive"};
    if (!http_is_token(name) || !http_is_field_value(value))
        return RN_EINVAL;
    for (size_t i = 0; i < COUNT_OF(own); i++)
        if (str_eq_nocase(str_from(name), str_from(own[i])))
            return RN_EINVAL;
    if (!response->headers.max)
        response->headers.max = LIMIT_HTTP_HEADERS;
    buf_add_c(&response->headers, name);
    buf_add(&response->headers, ": ", 2);
    buf_add_str(&response->headers, value);
    buf_add(&response->headers, "\r\n", 2);
    return buf_is_overflowed(&response->headers) ? RN_ETOOBIG : 0;
}

void http_response_set(struct http_response *response, int status, const char *content_type,
                       struct str body)
{
    response->status = status;
    if (content_type) {
        int code = http_response_header(response, "Content-Type", str_from(content_type));
        assert(code != RN_EINVAL);
        (void)code;
    }
    if (!response->body.max)
        response->body.max = LIMIT_HTTP_RESPONSE;
    buf_clear(&response->body);
    buf_add_str(&response->body, body);
}

void http_response_error(struct http_response *response, int status, const char *word,
                         const char *text)
{
    struct json *body = json_new_object();
    size_t size = 0;
    json_set_string(body, "error", word);
    json_set_string(body, "message", text);
    char *json = json_text(body, &size);
    http_response_set(response, status, "application/json", str_n(json, size));
    free(json);
    json_free(body);
}

const char *http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {207, "Multi-Status"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {418, "I'm a Teapot"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {423, "Locked"},
        {424, "Failed Dependency"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
        {508, "Loop Detected"},
        {511, "Network Authentication Required"},
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "";
}

int http_form_parse(struct str text, void (*each)(void *ctx, struct str name, struct str value),
                    void *ctx)
{
    /* Decoding never makes a text longer. */
    struct buf name = BUF_INIT(text.len), value = BUF_INIT(text.len);
    struct str pair;
    int count = 0, code = 0;
    while (str_cut(&text, '&', &pair)) {
        if (!pair.len)
            continue;
        if (++count > LIMIT_HTTP_QUERY_PARAMS) {
            code = RN_ETOOBIG;
            break;
        }
        const char *equals = memchr(pair.ptr, '=', pair.len);
        size_t name_len = equals ? (size_t)(equals - pair.ptr) : pair.len;
        buf_clear(&name);
        buf_clear(&value);
        code = decode_percent(&name, str_n(pair.ptr, name_len), true);
        if (code == 0 && equals)
            code = decode_percent(&value, str_n(equals + 1, pair.len - name_len - 1), true);
        if (code)
            break;
        each(ctx, buf_str(&name), buf_str(&value));
    }
    buf_release(&name);
    buf_release(&value);
    return code;
}
