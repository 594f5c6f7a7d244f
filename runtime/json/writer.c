/* The writer. A tree's strings are known to be UTF-8 and are copied in runs; json_write_string()
 * takes bytes from anywhere and mends them. */
#include "json/node.h"

/* of json_text(), so that the usual text grows once or not at all */
enum { FIRST_BYTES = 255 };

static void write_escape(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        buf_add(out, "\\\"", 2);
        break;
    case '\\':
        buf_add(out, "\\\\", 2);
        break;
    case '\b':
        buf_add(out, "\\b", 2);
        break;
    case '\f':
        buf_add(out, "\\f", 2);
        break;
    case '\n':
        buf_add(out, "\\n", 2);
        break;
    case '\r':
        buf_add(out, "\\r", 2);
        break;
    case '\t':
        buf_add(out, "\\t", 2);
        break;
    default: {
        static const char digits[] = "0123456789abcdef";
        char text[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        buf_add(out, text, sizeof(text));
    }
    }
}

static bool needs_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

/* Most strings need no escape: they go out in one piece. */
static bool write_plain(struct buf *out, struct str text)
{
    if (plain_run(text.ptr, text.len) < text.len)
        return false;
    char *to = buf_reserve(out, text.len + 2);
    if (!to)
        return true; /* marked as overflowed */
    to[0] = '"';
    if (text.len)
        memcpy(to + 1, text.ptr, text.len);
    to[1 + text.len] = '"';
    buf_grew(out, text.len + 2);
    return true;
}

static void write_text(struct buf *out, struct str text, bool trusted)
{
    size_t at = 0, copied = 0;
    if (write_plain(out, text))
        return;
    buf_add_char(out, '"');
    while (at < text.len) {
        at += plain_run(text.ptr + at, text.len - at);
        if (at >= text.len)
            break;
        unsigned char c = (unsigned char)text.ptr[at];
        if (needs_escape(c)) {
            buf_add(out, text.ptr + copied, at - copied);
            write_escape(out, c);
            copied = ++at;
        } else if (c < 0x80 || trusted) {
            at++;
        } else {
            size_t n = utf8_length(text, at);
            if (n < 2) {
                buf_add(out, text.ptr + copied, at - copied);
                buf_add(out, "\xEF\xBF\xBD", 3);
                copied = at + 1;
            }
            at += n;
        }
    }
    if (text.len > copied)
        buf_add(out, text.ptr + copied, text.len - copied);
    buf_add_char(out, '"');
}

void json_write_string(struct buf *out, struct str text)
{
    write_text(out, text, false);
}

static void new_line(struct buf *out, int indent)
{
    if (indent < 0)
        return;
    buf_add_char(out, '\n');
    for (int i = 0; i < indent; i++)
        buf_add(out, "  ", 2);
}

/* `indent` is the level of the value, or -1 for compact text. */
static void write_node(struct buf *out, const cJSON *node, int indent)
{
    switch (node_type(node)) {
    case cJSON_True:
        buf_add(out, "true", 4);
        return;
    case cJSON_False:
        buf_add(out, "false", 5);
        return;
    case cJSON_Number:
        buf_add(out, node->valuestring, (size_t)node->valueint);
        return;
    case cJSON_String:
        write_text(out, str_n(node->valuestring, (size_t)node->valueint), true);
        return;
    case cJSON_Array:
    case cJSON_Object:
        break;
    default:
        buf_add(out, "null", 4);
        return;
    }
    bool is_object = node_type(node) == cJSON_Object;
    int inner = indent < 0 ? -1 : indent + 1;
    buf_add_char(out, is_object ? '{' : '[');
    for (const cJSON *child = node->child; child; child = child->next) {
        if (child != node->child)
            buf_add_char(out, ',');
        new_line(out, inner);
        if (is_object) {
            write_text(out, str_from(child->string), true);
            buf_add(out, ": ", indent < 0 ? 1 : 2);
        }
        write_node(out, child, inner);
    }
    if (node->child)
        new_line(out, indent);
    buf_add_char(out, is_object ? '}' : ']');
}

void json_write(struct buf *out, const struct json *value)
{
    write_node(out, node_of(value), -1);
}

void json_write_pretty(struct buf *out, const struct json *value)
{
    write_node(out, node_of(value), 0);
}

char *json_text(const struct json *value, size_t *ret_size)
{
    struct buf out = BUF_INIT(SIZE_MAX / 4);
    (void)buf_reserve(&out, FIRST_BYTES);
    json_write(&out, value);
    return buf_take(&out, ret_size);
}
