/* The strict reader: RFC 8259 to the letter, and what the letter leaves open (duplicate names,
 * U+0000 in names, lone surrogates) refused, because no value that the tree cannot give back
 * unchanged may get in.
 *
 * Recursive descent; the depth is checked before each container, so the stack is bounded by
 * LIMIT_JSON_DEPTH. A string is read in two passes: the first finds its end and checks it, which
 * gives an upper bound of its length (an escape is never shorter than its character), the second
 * copies it into the node. Lines and columns are counted only when there is an error.
 *
 * Duplicate names are looked for when an object ends: pair by pair while it is small, by sorting
 * its members when it is not, so that a body of a million members costs n log n. */
#include "json/node.h"

#include "base/limits.h"

#include <stdarg.h>

enum { FEW_MEMBERS = 16, OWN_DEPTH = LIMIT_JSON_DEPTH + 32, OWN_NODES = LIMIT_JSON_NODES * 2 };

struct reader {
    const char *start;
    const char *at;
    const char *end;
    size_t nodes;
    size_t nodes_max;
    int depth;
    int depth_max;
    int rc; /* of the first error */
    struct err *err;
};

/* A string in the text, without its quotes; checked. */
struct span {
    const char *ptr; /* NULL: none */
    size_t size;
    bool escaped;
};

static cJSON *read_value(struct reader *r, struct span name);

static void *fail(struct reader *r, int code, const char *at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void *fail(struct reader *r, int code, const char *at, const char *format, ...)
{
    r->rc = code;
    if (!r->err)
        return NULL;
    size_t line = 1, column = 1;
    for (const char *p = r->start; p < at; p++) {
        if (*p == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*p & 0xC0) != 0x80) {
            column++;
        }
    }
    char text[ERR_TEXT_MAX / 2];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)err_set(r->err, code, "line %zu, column %zu: %s", line, column, text);
    return NULL;
}

static void *fail_expected(struct reader *r, const char *expected)
{
    if (r->at >= r->end)
        return fail(r, RN_EPROTOCOL, r->at, "the text ends where there should be %s", expected);
    unsigned char c = (unsigned char)*r->at;
    if (c > 0x20 && c < 0x7F)
        return fail(r, RN_EPROTOCOL, r->at, "there should be %s, not %c", expected, c);
    return fail(r, RN_EPROTOCOL, r->at, "there should be %s, not the byte 0x%02X", expected, c);
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

static bool take(struct reader *r, char c)
{
    if (r->at >= r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

/* ---------------------------------------------------------------- strings */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits at `at`, or -1. */
static int32_t hex4(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Checks the escape at *at (its backslash) and moves behind it. */
static bool check_escape(struct reader *r, const char **at)
{
    const char *start = *at, *p = start + 1;
    if (p < r->end && *p != 'u') {
        if (!memchr("\"\\/bfnrt", *p, 8)) {
            fail(r, RN_EPROTOCOL, start, "a backslash with what JSON has no escape for");
            return false;
        }
        *at = p + 1;
        return true;
    }
    int32_t unit = p < r->end ? hex4(p + 1, r->end) : -1;
    if (unit < 0) {
        fail(r, RN_EPROTOCOL, start, "an escape should be \\u with four hexadecimal digits");
        return false;
    }
    p += 5;
    if (unit >= 0xD800 && unit <= 0xDFFF) {
        int32_t low = -1;
        if (unit < 0xDC00 && r->end - p >= 6 && p[0] == '\\' && p[1] == 'u')
            low = hex4(p + 2, r->end);
        if (low < 0xDC00 || low > 0xDFFF) {
            fail(r, RN_EPROTOCOL, start, "half of a surrogate pair stands for no character");
            return false;
        }
        p += 6;
    }
    *at = p;
    return true;
}

/* Reads a string whose opening quote has been taken. */
static bool read_span(struct reader *r, struct span *ret)
{
    const char *start = r->at, *p = start;
    bool escaped = false;
    for (;;) {
        p += plain_run(p, (size_t)(r->end - p));
        if (p >= r->end) {
            fail(r, RN_EPROTOCOL, start - 1, "the string does not end");
            return false;
        }
        unsigned char c = (unsigned char)*p;
        if (c == '"')
            break;
        if (c == '\\') {
            escaped = true;
            if (!check_escape(r, &p))
                return false;
        } else if (c < 0x20) {
            fail(r, RN_EPROTOCOL, p, "a control character (0x%02X) in a string must be escaped", c);
            return false;
        } else if (c >= 0x80) {
            size_t n = utf8_length(str_n(p, (size_t)(r->end - p)), 0);
            if (n < 2) {
                fail(r, RN_EPROTOCOL, p, "the byte 0x%02X is not UTF-8 here", c);
                return false;
            }
            p += n;
        } else {
            p++; /* DEL */
        }
    }
    *ret = (struct span){start, (size_t)(p - start), escaped};
    r->at = p + 1;
    return true;
}

static char unescaped(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

/* Copies a checked string and a NUL to `out`; returns its length. */
static size_t decode_span(struct span span, char *out)
{
    if (!span.escaped) {
        memcpy(out, span.ptr, span.size);
        out[span.size] = '\0';
        return span.size;
    }
    char *to = out;
    const char *p = span.ptr, *end = p + span.size;
    while (p < end) {
        const char *backslash = memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((backslash ? backslash : end) - p);
        memcpy(to, p, run);
        to += run;
        if (!backslash)
            break;
        p = backslash + 2;
        if (p[-1] != 'u') {
            *to++ = unescaped(p[-1]);
            continue;
        }
        uint32_t c = (uint32_t)hex4(p, end);
        p += 4;
        if (c >= 0xD800 && c <= 0xDBFF) {
            c = 0x10000 + ((c - 0xD800) << 10) + ((uint32_t)hex4(p + 2, end) - 0xDC00);
            p += 6;
        }
        to += utf8_encode(c, to);
    }
    *to = '\0';
    return (size_t)(to - out);
}

/* ---------------------------------------------------------------- scalars */

static cJSON *new_named(int type, struct span name, size_t text_length)
{
    cJSON *node = node_new(type, name.ptr ? name.size : NODE_NONE, text_length);
    if (name.ptr)
        (void)decode_span(name, node->string);
    return node;
}

static cJSON *read_string(struct reader *r, struct span name)
{
    struct span span;
    if (!read_span(r, &span))
        return NULL;
    cJSON *node = new_named(cJSON_String, name, span.size);
    node->valueint = (int)decode_span(span, node->valuestring);
    return node;
}

static bool read_digits(struct reader *r)
{
    const char *start = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    if (r->at > start)
        return true;
    fail_expected(r, "a digit");
    return false;
}

static bool scan_number(struct reader *r)
{
    (void)take(r, '-');
    if (take(r, '0')) {
        if (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
            fail(r, RN_EPROTOCOL, r->at, "a number does not start with 0");
            return false;
        }
    } else if (!read_digits(r)) {
        return false;
    }
    if (take(r, '.') && !read_digits(r))
        return false;
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+'))
            (void)take(r, '-');
        return read_digits(r);
    }
    return true;
}

static cJSON *read_number(struct reader *r, struct span name)
{
    const char *start = r->at;
    if (!scan_number(r))
        return NULL;
    size_t size = (size_t)(r->at - start);
    cJSON *node = new_named(cJSON_Number, name, size);
    memcpy(node->valuestring, start, size);
    node->valueint = (int)size;
    return node;
}

static cJSON *read_word(struct reader *r, struct span name, const char *word, int type)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
        return fail(r, RN_EPROTOCOL, r->at, "there should be a value: did you mean %s?", word);
    r->at += n;
    return new_named(type, name, NODE_NONE);
}

/* ------------------------------------------------------------- containers */

static int by_name_and_place(const void *a, const void *b)
{
    const cJSON *left = *(const cJSON *const *)a, *right = *(const cJSON *const *)b;
    int order = strcmp(left->string, right->string);
    if (order)
        return order;
    return left->valuedouble < right->valuedouble ? -1 : left->valuedouble > right->valuedouble;
}

/* The first member whose name has been there before, or NULL. While an object is read, the
 * valuedouble of a member is the offset of its name in the text: offsets are below 2^53. */
static const cJSON *find_duplicate(const cJSON *object, size_t count)
{
    const cJSON *found = NULL;
    if (count <= FEW_MEMBERS) {
        for (const cJSON *m = object->child; m; m = m->next)
            for (const cJSON *before = object->child; before != m; before = before->next)
                if (before->string[0] == m->string[0] && strcmp(before->string, m->string) == 0)
                    return m;
        return NULL;
    }
    const cJSON **members = xcalloc(count, sizeof(const cJSON *));
    size_t n = 0;
    for (const cJSON *m = object->child; m; m = m->next)
        members[n++] = m;
    qsort(members, n, sizeof(const cJSON *), by_name_and_place);
    for (size_t i = 1; i < n; i++)
        if (strcmp(members[i - 1]->string, members[i]->string) == 0 &&
            (!found || members[i]->valuedouble < found->valuedouble))
            found = members[i];
    free(members);
    return found;
}

static bool check_names(struct reader *r, const cJSON *object, size_t count)
{
    const cJSON *again = find_duplicate(object, count);
    if (!again)
        return true;
    struct str name = str_from(again->string);
    struct buf quoted = BUF_INIT(256);
    if (name.len > 40) {
        size_t cut = 40;
        while (cut > 0 && ((unsigned char)name.ptr[cut] & 0xC0) == 0x80)
            cut--;
        json_write_string(&quoted, str_n(name.ptr, cut));
        buf_add_c(&quoted, "…");
    } else {
        json_write_string(&quoted, name);
    }
    fail(r, RN_EPROTOCOL, r->start + (size_t)again->valuedouble, "the name %s is there twice",
         buf_c(&quoted));
    buf_release(&quoted);
    return false;
}

static bool enter(struct reader *r)
{
    if (r->depth >= r->depth_max) {
        fail(r, RN_ETOOBIG, r->at, "arrays and objects nest deeper than %d", r->depth_max);
        return false;
    }
    r->depth++;
    r->at++;
    skip_space(r);
    return true;
}

static cJSON *read_array(struct reader *r, struct span name)
{
    if (!enter(r))
        return NULL;
    cJSON *array = new_named(cJSON_Array, name, NODE_NONE);
    while (!take(r, ']')) {
        if (array->child) {
            if (!take(r, ',')) {
                fail_expected(r, "a comma or the end of the array");
                goto out;
            }
            skip_space(r);
        }
        cJSON *element = read_value(r, (struct span){NULL, 0, false});
        if (!element)
            goto out;
        (void)cJSON_AddItemToArray(array, element);
        skip_space(r);
    }
    r->depth--;
    return array;
out:
    cJSON_Delete(array);
    return NULL;
}

static bool read_name(struct reader *r, struct span *ret)
{
    const char *start = r->at;
    if (!take(r, '"')) {
        fail_expected(r, "a name in double quotes");
        return false;
    }
    if (!read_span(r, ret))
        return false;
    if (ret->escaped) {
        /* \u0000 behind an even number of backslashes; a pair is skipped as one */
        for (const char *p = ret->ptr, *end = p + ret->size; p < end; p++) {
            if (*p != '\\')
                continue;
            if (p[1] == 'u' && memcmp(p + 2, "0000", 4) == 0) {
                fail(r, RN_EPROTOCOL, start, "a name with U+0000 is not taken");
                return false;
            }
            p++;
        }
    }
    skip_space(r);
    if (!take(r, ':')) {
        fail_expected(r, "a colon");
        return false;
    }
    skip_space(r);
    return true;
}

static cJSON *read_object(struct reader *r, struct span name)
{
    if (!enter(r))
        return NULL;
    cJSON *object = new_named(cJSON_Object, name, NODE_NONE);
    size_t count = 0;
    while (!take(r, '}')) {
        if (count) {
            if (!take(r, ',')) {
                fail_expected(r, "a comma or the end of the object");
                goto out;
            }
            skip_space(r);
        }
        struct span member_name;
        if (!read_name(r, &member_name))
            goto out;
        cJSON *member = read_value(r, member_name);
        if (!member)
            goto out;
        member->valuedouble = (double)(member_name.ptr - 1 - r->start);
        (void)cJSON_AddItemToArray(object, member);
        count++;
        skip_space(r);
    }
    if (!check_names(r, object, count))
        goto out;
    r->depth--;
    return object;
out:
    cJSON_Delete(object);
    return NULL;
}

static cJSON *read_value(struct reader *r, struct span name)
{
    if (r->at >= r->end)
        return fail_expected(r, "a value");
    if (++r->nodes > r->nodes_max)
        return fail(r, RN_ETOOBIG, r->at, "more than %zu values", r->nodes_max);
    switch (*r->at) {
    case '{':
        return read_object(r, name);
    case '[':
        return read_array(r, name);
    case '"':
        r->at++;
        return read_string(r, name);
    case 't':
        return read_word(r, name, "true", cJSON_True);
    case 'f':
        return read_word(r, name, "false", cJSON_False);
    case 'n':
        return read_word(r, name, "null", cJSON_NULL);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return read_number(r, name);
    default:
        return fail_expected(r, "a value");
    }
}

/* ------------------------------------------------------------------ texts */

static int reader_init(struct reader *r, struct str text, bool own, struct err *err)
{
    size_t bytes_max = own ? LIMIT_FRAME_BYTES : LIMIT_JSON_BYTES;
    *r = (struct reader){.start = text.len ? text.ptr : "",
                         .nodes_max = own ? OWN_NODES : LIMIT_JSON_NODES,
                         .depth_max = own ? OWN_DEPTH : LIMIT_JSON_DEPTH,
                         .err = err};
    r->at = r->start;
    r->end = r->start + text.len;
    if (text.len > bytes_max) {
        r->end = r->start;
        (void)fail(r, RN_ETOOBIG, r->start, "the text has %zu bytes; at most %zu are taken",
                   text.len, bytes_max);
        return RN_ETOOBIG;
    }
    if (text.len >= 3 && memcmp(text.ptr, "\xEF\xBB\xBF", 3) == 0) {
        (void)fail(r, RN_EPROTOCOL, r->start, "a byte order mark stands before the value");
        return RN_EPROTOCOL;
    }
    skip_space(r);
    return 0;
}

static int parse(struct str text, bool own, struct json **ret, struct err *err)
{
    struct reader r;
    int rc = reader_init(&r, text, own, err);
    if (rc)
        return rc;
    cJSON *root = read_value(&r, (struct span){NULL, 0, false});
    if (!root)
        return r.rc;
    skip_space(&r);
    if (r.at < r.end) {
        cJSON_Delete(root);
        (void)fail_expected(&r, "nothing more behind the value");
        return r.rc;
    }
    *ret = json_of(root);
    return 0;
}

int json_parse(struct str text, struct json **ret, struct err *err)
{
    return parse(text, false, ret, err);
}

int json_parse_own(struct str text, struct json **ret, struct err *err)
{
    return parse(text, true, ret, err);
}

int json_check(struct str text, struct err *err)
{
    struct json *value = NULL;
    int rc = json_parse(text, &value, err);
    if (rc == 0)
        json_free(value);
    return rc;
}

int json_element_span(struct str text, size_t index, size_t *ret_offset, size_t *ret_size)
{
    struct reader r;
    if (reader_init(&r, text, false, NULL))
        return RN_EPROTOCOL;
    if (r.at >= r.end || *r.at != '[')
        return RN_EINVAL;
    (void)enter(&r);
    for (size_t i = 0; !take(&r, ']'); i++) {
        if (i > 0) {
            if (!take(&r, ','))
                return RN_EPROTOCOL;
            skip_space(&r);
        }
        const char *start = r.at;
        cJSON *element = read_value(&r, (struct span){NULL, 0, false});
        if (!element)
            return RN_EPROTOCOL;
        cJSON_Delete(element);
        if (i == index) {
            *ret_offset = (size_t)(start - r.start);
            *ret_size = (size_t)(r.at - start);
            return 0;
        }
        skip_space(&r);
    }
    return RN_ENOTFOUND;
}

bool number_is_valid(struct str literal)
{
    struct reader r = {.start = literal.ptr, .at = literal.ptr, .end = literal.ptr + literal.len};
    return literal.len > 0 && literal.len <= LIMIT_JSON_BYTES && scan_number(&r) && r.at == r.end;
}
