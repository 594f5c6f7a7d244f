/* Forms. Nothing here fails on what a browser would send; limits are those of the body. */
#include "plugin/form.h"

#include "base/encode.h"
#include "base/limits.h"

enum { FORM_FIELDS_MAX = 1000 };

static void add_value(struct json *object, struct str name, struct json *value)
{
    if (memchr(name.ptr ? name.ptr : "", '\0', name.len) || !utf8_is_valid(name)) {
        json_free(value); /* a member's name cannot hold it */
        return;
    }
    char *key = str_dup(name);
    struct json *old = json_get_mut(object, key);
    if (!old) {
        json_add(object, key, value);
    } else if (json_is(old, JSON_ARRAY)) {
        json_append(old, value);
    } else {
        struct json *list = json_new_array();
        json_append(list, json_copy(old));
        json_append(list, value);
        json_set(object, key, list);
    }
    free(key);
}

static void decode(struct buf *out, struct str text)
{
    buf_clear(out);
    if (decode_percent(out, text, true)) {
        buf_clear(out);
        buf_add_str(out, text);
    }
}

struct json *form_parse(struct str text)
{
    struct json *object = json_new_object();
    struct buf name = BUF_INIT(LIMIT_HTTP_BODY_MAX), value = BUF_INIT(LIMIT_HTTP_BODY_MAX);
    struct str part;
    int fields = 0;
    while (fields < FORM_FIELDS_MAX && str_cut(&text, '&', &part)) {
        struct str left = part, key = STR_NONE;
        if (!part.len || !str_cut(&left, '=', &key))
            continue;
        decode(&name, key);
        decode(&value, left);
        add_value(object, buf_str(&name), json_new_string(buf_str(&value)));
        fields++;
    }
    buf_release(&name);
    buf_release(&value);
    return object;
}

/* The parameter of a header: name="value" or name=value. */
static struct str parameter(struct str header, const char *name)
{
    struct str part;
    bool is_first = true;
    while (str_cut(&header, ';', &part)) {
        struct str left = str_trim(part), key = STR_NONE;
        bool has_value = !is_first && str_cut(&left, '=', &key) && left.ptr;
        is_first = false;
        if (!has_value || !str_eq_nocase(str_trim(key), str_from(name)))
            continue;
        left = str_trim(left);
        if (left.len >= 2 && left.ptr[0] == '"' && left.ptr[left.len - 1] == '"')
            left = str_n(left.ptr + 1, left.len - 2);
        return left;
    }
    return STR_NONE;
}

static ptrdiff_t find_bytes(struct str text, struct str needle, size_t from)
{
    if (from > text.len)
        return -1;
    const char *at = memmem(text.ptr + from, text.len - from, needle.ptr, needle.len);
    return at ? at - text.ptr : -1;
}

static void add_part(struct json *object, struct str head, struct str data)
{
    struct str line, name = STR_NONE, filename = STR_NONE, type = STR_NONE;
    while (str_cut(&head, '\n', &line)) {
        struct str value = str_trim(line), key = STR_NONE;
        if (!str_cut(&value, ':', &key) || !value.ptr)
            continue;
        if (str_eq_nocase(key, STR("content-disposition"))) {
            name = parameter(value, "name");
            filename = parameter(value, "filename");
        } else if (str_eq_nocase(key, STR("content-type"))) {
            type = str_trim(value);
        }
    }
    if (!name.ptr)
        return;
    if (!filename.ptr) {
        add_value(object, name, json_new_string(data));
        return;
    }
    struct json *file = json_new_object();
    json_set_str(file, "filename", filename);
    json_set_str(file, "mimetype", type.ptr ? type : STR("application/octet-stream"));
    struct buf text = BUF_INIT(LIMIT_HTTP_BODY_MAX * 2);
    encode_base64(&text, data.ptr, data.len, false);
    json_set_str(file, "data", buf_str(&text));
    buf_release(&text);
    add_value(object, name, file);
}

struct json *form_parse_multipart(struct str content_type, struct str body)
{
    struct str boundary = parameter(content_type, "boundary");
    if (!boundary.len || boundary.len > 70)
        return NULL;
    struct buf mark = BUF_INIT(128);
    buf_addf(&mark, "--" STR_FMT, STR_ARG(boundary));
    struct json *object = json_new_object();
    ptrdiff_t at = find_bytes(body, buf_str(&mark), 0);
    bool is_whole = at == 0;
    for (int parts = 0; is_whole && parts < FORM_FIELDS_MAX; parts++) {
        size_t start = (size_t)at + mark.len;
        if (body.len - start >= 2 && memcmp(body.ptr + start, "--", 2) == 0)
            break;
        ptrdiff_t head_end = find_bytes(body, STR("\r\n\r\n"), start);
        ptrdiff_t next = find_bytes(body, buf_str(&mark), start);
        is_whole = head_end >= 0 && next >= head_end + 6;
        if (!is_whole)
            break;
        size_t data = (size_t)head_end + 4;
        add_part(object, str_n(body.ptr + start, (size_t)head_end - start),
                 str_n(body.ptr + data, (size_t)next - 2 - data));
        at = next;
    }
    buf_release(&mark);
    if (!is_whole) {
        json_free(object);
        return NULL;
    }
    return object;
}
