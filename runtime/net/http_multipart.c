#include "net/http_multipart.h"

enum { BOUNDARY_MAX = 70 };

static ptrdiff_t find_bytes(struct str text, size_t from, struct str needle)
{
    if (from > text.len)
        return -1;
    const char *at = memmem(text.ptr + from, text.len - from, needle.ptr, needle.len);
    return at ? at - text.ptr : -1;
}

/* The value of `name` among the parameters behind the first ';', quoted or not; ptr NULL: absent. */
static struct str parameter(struct str header, const char *name)
{
    ptrdiff_t start = str_find(header, ";", 0);
    size_t at = start < 0 ? header.len : (size_t)start;
    while (at < header.len) {
        while (at < header.len &&
               (header.ptr[at] == ';' || header.ptr[at] == ' ' || header.ptr[at] == '\t'))
            at++;
        size_t key = at;
        while (at < header.len && header.ptr[at] != '=' && header.ptr[at] != ';')
            at++;
        struct str found = str_trim(str_n(header.ptr + key, at - key));
        if (at >= header.len || header.ptr[at] == ';')
            continue;
        struct str value;
        at++;
        if (at < header.len && header.ptr[at] == '"') {
            size_t begin = ++at;
            while (at < header.len && header.ptr[at] != '"')
                at += header.ptr[at] == '\\' && at + 1 < header.len ? 2 : 1;
            if (at >= header.len)
                return STR_NONE;
            value = str_n(header.ptr + begin, at - begin);
            at++;
        } else {
            size_t begin = at;
            while (at < header.len && header.ptr[at] != ';')
                at++;
            value = str_trim(str_n(header.ptr + begin, at - begin));
        }
        if (str_eq_nocase(found, str_from(name)))
            return value;
    }
    return STR_NONE;
}

static int read_part(struct str head, struct str data, struct http_part *ret, struct err *err)
{
    struct str rest = head, line;
    struct http_part part = {.data = data};
    bool has_disposition = false;
    while (str_cut(&rest, '\n', &line)) {
        struct str value = str_trim(line), name;
        (void)str_cut(&value, ':', &name);
        if (str_eq_nocase(str_trim(name), STR("content-type")))
            part.content_type = str_trim(value);
        if (!str_eq_nocase(str_trim(name), STR("content-disposition")))
            continue;
        has_disposition = true;
        part.name = parameter(value, "name");
        part.filename = parameter(value, "filename");
    }
    if (!has_disposition || !part.name.ptr)
        return err_set(err, RN_EINVAL,
                       "a part of the multipart body has no Content-Disposition with a name");
    if (!utf8_is_valid(part.name) || !utf8_is_valid(part.filename) ||
        !utf8_is_valid(part.content_type))
        return err_set(err, RN_EINVAL, "a part's name, file name or type is not UTF-8");
    *ret = part;
    return 0;
}

int http_multipart_parse(struct str content_type, struct str body,
                         int (*each)(void *ctx, const struct http_part *part), void *ctx,
                         struct err *err)
{
    struct str boundary = parameter(content_type, "boundary");
    char delimiter[BOUNDARY_MAX + 5];
    if (boundary.len < 1 || boundary.len > BOUNDARY_MAX)
        return err_set(err, RN_EINVAL,
                       "the multipart content-type has no boundary of 1 to %d bytes", BOUNDARY_MAX);
    struct str mark = {delimiter, boundary.len + 4};
    memcpy(delimiter, "\r\n--", 4);
    memcpy(delimiter + 4, boundary.ptr, boundary.len);
    struct str first = {delimiter + 2, boundary.len + 2}; /* the first may begin the body */
    ptrdiff_t found = body.len >= first.len && memcmp(body.ptr, first.ptr, first.len) == 0
                          ? -2
                          : find_bytes(body, 0, mark);
    if (found == -1)
        return err_set(err, RN_EINVAL, "the multipart body does not have its boundary in it");
    size_t at = (size_t)(found + (ptrdiff_t)mark.len);
    for (int count = 0;; count++) {
        if (at + 2 <= body.len && memcmp(body.ptr + at, "--", 2) == 0)
            return 0;
        while (at < body.len && (body.ptr[at] == ' ' || body.ptr[at] == '\t'))
            at++;
        if (at + 2 > body.len || memcmp(body.ptr + at, "\r\n", 2) != 0)
            return err_set(err, RN_EINVAL, "the multipart body breaks off behind a boundary");
        if (count == LIMIT_MULTIPART_PARTS)
            return err_set(err, RN_ETOOBIG, "the multipart body has more than %d parts",
                           LIMIT_MULTIPART_PARTS);
        at += 2;
        ptrdiff_t head_end = find_bytes(body, at, STR("\r\n\r\n"));
        ptrdiff_t end = head_end < 0 ? -1 : find_bytes(body, (size_t)head_end + 2, mark);
        if (end < 0)
            return err_set(err, RN_EINVAL, "the multipart body ends in the middle of a part");
        /* an empty part: its head's end and the mark share a line break */
        size_t data = (size_t)head_end + 4 < (size_t)end ? (size_t)head_end + 4 : (size_t)end;
        struct http_part part;
        int rc = read_part(str_n(body.ptr + at, (size_t)head_end - at),
                           str_n(body.ptr + data, (size_t)end - data), &part, err);
        rc = rc ? rc : each(ctx, &part);
        if (rc)
            return rc;
        at = (size_t)end + mark.len;
    }
}
