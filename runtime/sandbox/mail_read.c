/* A message as JSON: its subject and its texts as a mail program would show them, its headers as
 * they came. Knows what runnel's own messages have: encoded words in base64, quoted-printable, one
 * level of multipart. */
#include "base/encode.h"
#include "sandbox/private.h"

static int hex_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void add_quoted(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool has_two = text.ptr[i] == '=' && i + 2 < text.len;
        int high = has_two ? hex_of(text.ptr[i + 1]) : -1;
        int low = has_two ? hex_of(text.ptr[i + 2]) : -1;
        if (has_two && text.ptr[i + 1] == '\r' && text.ptr[i + 2] == '\n') {
            i += 2; /* a line that goes on */
        } else if (high >= 0 && low >= 0) {
            buf_add_char(out, (char)(high << 4 | low));
            i += 2;
        } else if (text.ptr[i] != '\r') {
            buf_add_char(out, text.ptr[i]);
        }
    }
}

/* "=?UTF-8?B?…?= =?UTF-8?B?…?=" */
static void add_words(struct buf *out, struct str text)
{
    static const char start[] = "=?UTF-8?B?";
    while (text.len) {
        ptrdiff_t at = str_find(text, start, 0);
        ptrdiff_t end = at < 0 ? -1 : str_find(text, "?=", (size_t)at + sizeof(start) - 1);
        if (end < 0)
            break;
        if (str_trim(str_n(text.ptr, (size_t)at)).len) /* not the gap between two words */
            buf_add(out, text.ptr, (size_t)at);
        size_t from = (size_t)at + sizeof(start) - 1;
        (void)!decode_base64(out, str_n(text.ptr + from, (size_t)end - from));
        text = str_n(text.ptr + end + 2, text.len - (size_t)end - 2);
    }
    buf_add_str(out, text);
}

static void add_header(struct json *headers, struct str line)
{
    struct str name = STR_NONE;
    struct buf value = BUF_INIT(MIB(1));
    if (!str_cut(&line, ':', &name) || name.len > 100)
        return;
    char *lower = str_dup(name);
    for (char *c = lower; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 32 : *c);
    add_words(&value, str_trim(line));
    json_set_str(headers, lower, buf_str(&value));
    buf_release(&value);
    free(lower);
}

/* The headers up to the empty line, folded ones on one; what follows is left in *text. */
static struct json *read_headers(struct str *text)
{
    struct json *headers = json_new_object();
    struct buf line = BUF_INIT(MIB(1));
    while (text->len) {
        ptrdiff_t end = str_find(*text, "\r\n", 0);
        struct str part = end < 0 ? *text : str_n(text->ptr, (size_t)end);
        size_t size = end < 0 ? text->len : (size_t)end + 2;
        *text = str_n(text->ptr + size, text->len - size);
        bool goes_on = part.len && (part.ptr[0] == ' ' || part.ptr[0] == '\t');
        if (!goes_on && line.len) {
            add_header(headers, buf_str(&line));
            buf_clear(&line);
        }
        if (!part.len)
            break;
        buf_add_str(&line, part);
    }
    buf_release(&line);
    return headers;
}

static void add_part(struct json *mail, struct str text)
{
    struct json *headers = read_headers(&text);
    struct buf body = BUF_INIT(MIB(64));
    add_quoted(&body, text);
    bool is_html = str_starts(json_get_text(headers, "content-type"), "text/html");
    json_set_str(mail, is_html ? "html" : "text", buf_str(&body));
    buf_release(&body);
    json_free(headers);
}

struct json *mail_read(struct str text)
{
    struct str rest = text;
    struct json *mail = json_new_object(), *headers = read_headers(&rest);
    struct str type = json_get_text(headers, "content-type");
    ptrdiff_t at = str_find(type, "boundary=\"", 0);
    json_set_str(mail, "subject", json_get_text(headers, "subject"));
    if (at < 0) {
        add_part(mail, text);
    } else {
        struct str boundary = str_n(type.ptr + at + 10, type.len - (size_t)at - 10), id = STR_NONE;
        (void)str_cut(&boundary, '"', &id);
        char *mark = xasprintf("--" STR_FMT, STR_ARG(id));
        ptrdiff_t from = str_find(rest, mark, 0);
        while (from >= 0) {
            size_t start = (size_t)from + strlen(mark) + 2;
            ptrdiff_t end = start < rest.len ? str_find(rest, mark, start) : -1;
            if (end > 2)
                add_part(mail, str_n(rest.ptr + start, (size_t)end - start - 2));
            from = end;
        }
        free(mark);
    }
    (void)json_set(mail, "headers", headers);
    return mail;
}
