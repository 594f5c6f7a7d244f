/* Turns down every head that two readers could understand differently (library-traps.md §1).
 * civetweb replaces the ends of words and lines in its buffer by NULs and hands out pointers into
 * it, so whether it skipped something shows in the distances between them: a folded line makes it
 * drop the rest of the headers, a bare LF ends a line, several spaces are taken for one. */
#include "net/http_head.h"

#include "base/encode.h"
#include "net/http_server_private.h"

#include <civetweb.h>
#include <stdalign.h>

_Static_assert(MG_MAX_HEADERS == LIMIT_HTTP_HEADER_COUNT, "civetweb drops headers past this one");

/* The request line is "METHOD target HTTP/1.x" CR LF with single spaces, and nothing stands before
 * it. */
static bool is_request_line_clean(const struct mg_request_info *info)
{
    const char *at = info->request_method;
    /* civetweb's buffer comes from malloc and a request starts at its beginning. civetweb skips
     * white space there, but counts the length of the head as if it had not. */
    if ((uintptr_t)at % alignof(max_align_t))
        return false;
    at += strlen(at) + 1;
    if (at != info->request_uri)
        return false;
    at += strlen(at);
    if (info->query_string) {
        if (at + 1 != info->query_string)
            return false;
        at = info->query_string + strlen(info->query_string);
    }
    if (at + 1 + strlen("HTTP/") != info->http_version)
        return false;
    at = info->http_version + strlen(info->http_version) + 2;
    return info->num_headers == 0 || at == info->http_headers[0].name;
}

/* Every line ends with CR LF, no name is followed by a space, and the empty line follows the last
 * one. */
static bool are_lines_clean(const struct mg_request_info *info)
{
    for (int i = 0; i < info->num_headers; i++) {
        const struct mg_header *header = &info->http_headers[i];
        const char *colon = header->name + strlen(header->name);
        const char *end = header->value + strlen(header->value);
        if (colon[1] == '\0' && header->value != colon + 1)
            return false;
        if (i + 1 < info->num_headers ? end + 2 != info->http_headers[i + 1].name
                                      : end[1] != '\0' || end[2] != '\r' || end[3] != '\0')
            return false;
    }
    return true;
}

static size_t head_size(const struct mg_request_info *info)
{
    if (!info->num_headers)
        return 0;
    const char *value = info->http_headers[info->num_headers - 1].value;
    return (size_t)(value + strlen(value) + strlen("\r\n\r\n") - info->request_method);
}

static struct str add_lower(struct buf *text, const char *name)
{
    size_t size = strlen(name);
    char *to = buf_reserve(text, size);
    for (size_t i = 0; i < size; i++)
        to[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 32 : name[i]);
    buf_grew(text, size);
    return str_n(to, size);
}

static bool is_same_name(struct str lower, const char *name)
{
    return strlen(name) == lower.len && mg_strncasecmp(lower.ptr, name, lower.len) == 0;
}

static int count_named(const struct mg_request_info *info, const char *name)
{
    int count = 0;
    for (int i = 0; i < info->num_headers; i++)
        count += mg_strcasecmp(info->http_headers[i].name, name) == 0;
    return count;
}

/* `size` is more than all names and values together need, so the buffer does not move under the
 * views. */
static int collect_headers(const struct mg_request_info *info, struct http_head *head, size_t size,
                           const char **ret_why)
{
    struct http_request *request = &head->request;
    uint64_t joined = 0;
    head->text.max = 2 * LIMIT_HTTP_HEADERS;
    buf_clear(&head->text);
    if (!buf_reserve(&head->text, size + 2 * LIMIT_HTTP_HEADER_COUNT))
        return 431;
    request->headers = head->headers;
    request->header_count = 0;
    for (int i = 0; i < info->num_headers; i++) {
        const struct mg_header *raw = &info->http_headers[i];
        struct str value = str_trim(str_from(raw->value));
        if (!http_is_token(raw->name) || !http_is_field_value(value)) {
            *ret_why = "a header's name or value holds a character that is not allowed there";
            return 400;
        }
        if (joined >> i & 1)
            continue;
        struct http_header *header = &head->headers[request->header_count++];
        header->name = add_lower(&head->text, raw->name);
        header->value = value;
        const char *separator = str_eq_c(header->name, "cookie") ? "; " : ", ";
        char *start = NULL;
        for (int j = i + 1; j < info->num_headers; j++) {
            if (!is_same_name(header->name, info->http_headers[j].name))
                continue;
            joined |= (uint64_t)1 << j;
            if (!start) {
                start = buf_reserve(&head->text, 0);
                buf_add_str(&head->text, value);
            }
            buf_add_c(&head->text, separator);
            buf_add_str(&head->text, str_trim(str_from(info->http_headers[j].value)));
        }
        if (start)
            header->value = str_n(start, (size_t)(head->text.ptr + head->text.len - start));
    }
    return 0;
}

static int read_length(struct str text, uint64_t *ret)
{
    if (text.len == 0 || text.len > 18)
        return RN_EINVAL;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return RN_EINVAL;
    return num_parse_u64(text, ret);
}

static int read_framing(const struct mg_request_info *info, struct http_head *head,
                        const char **ret_why)
{
    struct str length = http_request_header(&head->request, "content-length");
    struct str coding = http_request_header(&head->request, "transfer-encoding");
    const char *method = head->request.method;
    head->is_chunked = coding.ptr != NULL;
    head->has_length = length.ptr != NULL;
    head->length = 0;
    if (count_named(info, "content-length") > 1 || count_named(info, "transfer-encoding") > 1) {
        *ret_why = "Content-Length or Transfer-Encoding is given twice";
        return 400;
    }
    if (head->is_chunked && head->has_length) {
        *ret_why = "Content-Length and Transfer-Encoding exclude each other";
        return 400;
    }
    if (head->is_chunked && !str_eq_nocase(coding, STR("chunked"))) {
        *ret_why = "the only Transfer-Encoding understood here is chunked";
        return 501;
    }
    if (head->is_chunked && head->is_http10) {
        *ret_why = "HTTP/1.0 has no Transfer-Encoding";
        return 400;
    }
    if (head->has_length && read_length(length, &head->length)) {
        *ret_why = "Content-Length is not a number";
        return 400;
    }
    if (!head->is_chunked && !head->has_length &&
        (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
         strcmp(method, "PATCH") == 0)) {
        *ret_why = "Content-Length is missing (of an empty body it is 0; curl says so with -d '')";
        return 411;
    }
    return 0;
}

static bool is_path_good(struct str path)
{
    if (!path.len || path.ptr[0] != '/')
        return false;
    for (size_t i = 0; i < path.len; i++) {
        unsigned char byte;
        if (path.ptr[i] != '%')
            continue;
        if (path.len - i < 3 || decode_hex(str_n(path.ptr + i + 1, 2), &byte) || byte == 0)
            return false;
    }
    return true;
}

/* civetweb goes by the first Connection header and takes any other word than keep-alive for close;
 * so must we. */
static bool keeps_alive(const struct mg_request_info *info, bool is_http10)
{
    for (int i = 0; i < info->num_headers; i++) {
        if (mg_strcasecmp(info->http_headers[i].name, "connection") != 0)
            continue;
        struct str words = str_from(info->http_headers[i].value), word;
        while (str_cut(&words, ',', &word))
            if (str_eq_nocase(str_trim(word), STR("keep-alive")))
                return true;
        return false;
    }
    return !is_http10;
}

static int read_line(const struct mg_request_info *info, struct http_head *head,
                     const char **ret_why)
{
    struct http_request *request = &head->request;
    request->method = info->request_method;
    request->path = str_from(info->local_uri_raw);
    request->query = info->query_string ? str_from(info->query_string) : STR("");
    request->client_ip = str_from(info->remote_addr);
    request->is_tls = info->is_ssl;
    request->body = STR("");
    head->is_http10 = strcmp(info->http_version, "1.0") == 0;
    head->keeps_alive = keeps_alive(info, head->is_http10);
    if (!is_path_good(request->path)) {
        *ret_why = "the path is not one: it starts with / and %XX stands for a byte but 0";
        return 400;
    }
    request->host = http_request_header(request, "host");
    if (count_named(info, "host") != 1 || !request->host.len) {
        *ret_why = "there must be one Host header";
        return 400;
    }
    struct str expect = http_request_header(request, "expect");
    head->expects_continue = expect.ptr != NULL && !head->is_http10;
    if (expect.ptr && !str_eq_nocase(expect, STR("100-continue"))) {
        *ret_why = "the only Expect understood here is 100-continue";
        return 417;
    }
    return 0;
}

int http_head_read(const struct mg_request_info *info, struct http_head *head, const char **ret_why)
{
    size_t size = head_size(info);
    *ret_why = "the head of the request is too large: 63 headers and 16 KiB at most";
    if (info->num_headers >= LIMIT_HTTP_HEADER_COUNT || size > LIMIT_HTTP_HEADERS)
        return 431;
    if (!is_request_line_clean(info) || !are_lines_clean(info)) {
        *ret_why =
            "the head of the request does not follow HTTP/1.1: spaces, folded lines or line ends";
        return 400;
    }
    int status = collect_headers(info, head, size, ret_why);
    if (!status)
        status = read_line(info, head, ret_why);
    if (!status)
        status = read_framing(info, head, ret_why);
    return status;
}
