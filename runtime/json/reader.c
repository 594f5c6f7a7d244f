/* The strict reader: RFC 8259 to the letter, and what the letter leaves open (duplicate names,
 * U+0000 in names, lone surrogates) refused, because no value that the tree cannot give back
 * unchanged may get in.
 *
 * Recursive descent; the depth is checked before each container, so the stack is bounded by
 * LIMIT_JSON_DEPTH. A string is read in two passes: the first finds its end and checks it, which
 * gives an upper bound of its length (an escape is never shorter than its character), the second
 * copies it into the node. Lines and columns are counted only when there is an error. A text that
 * is only checked makes no nodes: a value is then "there", and nothing more is known of it.
 *
 * The names of all objects that are open stand on one stack, those of the innermost on its top.
 * Duplicates are looked for when an object ends: pair by pair while it is small, by sorting its
 * names when it is not, so that a body of a million members costs n log n. */
#include "json/node.h"

#include "base/limits.h"

#include <stdarg.h>

enum { FEW_MEMBERS = 16, OWN_DEPTH = LIMIT_JSON_DEPTH + 32, OWN_NODES = LIMIT_JSON_NODES * 2 };

/* A string in the text, without its quotes; checked. */
struct span {
    const char *ptr; /* NULL: none */
    size_t size;
    bool escaped;
};

static const struct span UNNAMED = {NULL, 0, false};

/* A member's name: as it stands in the text or, where that has escapes, a copy without them. */
struct name {
    const char *ptr;
    size_t size;
    const char *at; /* in the text; equal to ptr where there is no copy */
};

struct reader {
    const char *start;
    const char *at;
    const char *end;
    size_t nodes;
    size_t nodes_max;
    int depth;
    int depth_max;
    bool checks_only; /* makes no nodes */
    int rc;           /* of the first error */
    struct err *err;
    struct node_pool pool;
    struct name *names;
    size_t name_count, name_capacity;
};

/* What a value is when it is only checked: shared, never looked into, never freed. */
static cJSON checked_value;

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

static cJSON *new_named(struct reader *r, int type, struct span name, size_t text_length)
{
    if (r->checks_only)
        return &checked_value;
    cJSON *node = node_new(&r->pool, type, name.ptr ? name.size : NODE_NONE, text_length);
    if (name.ptr)
        (void)decode_span(name, node->string);
    return node;
}

static cJSON *read_string(struct reader *r, struct span name)
{
    struct span span;
    if (!read_span(r, &span))
        return NULL;
    cJSON *node = new_named(r, cJSON_String, name, span.size);
    if (!r->checks_only)
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
    cJSON *node = new_named(r, cJSON_Number, name, size);
    if (!r->checks_only) {
        memcpy(node->valuestring, start, size);
        node->valueint = (int)size;
    }
    return node;
}

static cJSON *read_word(struct reader *r, struct span name, const char *word, int type)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
        return fail(r, RN_EPROTOCOL, r->at, "there should be a value: did you mean %s?", word);
    r->at += n;
    return new_named(r, type, name, NODE_NONE);
}

/* ------------------------------------------------------------- containers */

static void push_name(struct reader *r, struct span span)
{
    if (r->name_count == r->name_capacity) {
        r->name_capacity = r->name_capacity ? r->name_capacity * 2 : 32;
        r->names = xrealloc(r->names, r->name_capacity * sizeof(*r->names));
    }
    struct name name = {.ptr = span.ptr, .size = span.size, .at = span.ptr};
    if (span.escaped) {
        char *copy = xmalloc(span.size + 1);
        name.size = decode_span(span, copy);
        name.ptr = copy;
    }
    r->names[r->name_count++] = name;
}

static void pop_names(struct reader *r, size_t count)
{
    while (r->name_count > count) {
        const struct name *name = &r->names[--r->name_count];
        if (name->ptr != name->at)
            free((void *)(uintptr_t)name->ptr);
    }
}

static int by_name_and_place(const void *a, const void *b)
{
    const struct name *left = a, *right = b;
    if (left->size != right->size)
        return left->size < right->size ? -1 : 1;
    int order = memcmp(left->ptr, right->ptr, left->size);
    if (order)
        return order;
    return left->at < right->at ? -1 : left->at > right->at;
}

static bool is_same_name(const struct name *a, const struct name *b)
{
    return a->size == b->size && memcmp(a->ptr, b->ptr, a->size) == 0;
}

/* The first of the names that has been there before, or NULL. Changes their order. */
static const struct name *find_duplicate(struct name *names, size_t count)
{
    const struct name *found = NULL;
    if (count <= FEW_MEMBERS) {
        for (size_t i = 1; i < count; i++)
            for (size_t before = 0; before < i; before++)
                if (is_same_name(&names[i], &names[before]))
                    return &names[i];
        return NULL;
    }
    qsort(names, count, sizeof(*names), by_name_and_place);
    for (size_t i = 1; i < count; i++)
        if (is_same_name(&names[i - 1], &names[i]) && (!found || names[i].at < found->at))
            found = &names[i];
    return found;
}

/* Of the object whose names begin at `first`, and takes them off the stack. */
static bool check_names(struct reader *r, size_t first)
{
    const struct name *again = find_duplicate(r->names + first, r->name_count - first);
    if (again) {
        struct str name = str_n(again->ptr, again->size);
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
        fail(r, RN_EPROTOCOL, again->at - 1, "the name %s is there twice", buf_c(&quoted));
        buf_release(&quoted);
    }
    pop_names(r, first);
    return !again;
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

static void add_child(const struct reader *r, cJSON *container, cJSON *child)
{
    if (!r->checks_only)
        (void)cJSON_AddItemToArray(container, child);
}

static void drop(const struct reader *r, cJSON *value)
{
    if (!r->checks_only)
        node_free(value);
}

static cJSON *read_array(struct reader *r, struct span name)
{
    if (!enter(r))
        return NULL;
    cJSON *array = new_named(r, cJSON_Array, name, NODE_NONE);
    for (size_t count = 0; !take(r, ']'); count++) {
        if (count) {
            if (!take(r, ',')) {
                fail_expected(r, "a comma or the end of the array");
                goto out;
            }
            skip_space(r);
        }
        cJSON *element = read_value(r, UNNAMED);
        if (!element)
            goto out;
        add_child(r, array, element);
        skip_space(r);
    }
    r->depth--;
    return array;
out:
    drop(r, array);
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
    cJSON *object = new_named(r, cJSON_Object, name, NODE_NONE);
    size_t first = r->name_count;
    while (!take(r, '}')) {
        if (r->name_count > first) {
            if (!take(r, ',')) {
                fail_expected(r, "a comma or the end of the object");
                goto out;
            }
            skip_space(r);
        }
        struct span member_name;
        if (!read_name(r, &member_name))
            goto out;
        push_name(r, member_name);
        cJSON *member = read_value(r, member_name);
        if (!member)
            goto out;
        add_child(r, object, member);
        skip_space(r);
    }
    if (!check_names(r, first))
        goto out;
    r->depth--;
    return object;
out:
    drop(r, object);
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

static void reader_release(struct reader *r)
{
    node_pool_close(&r->pool);
    pop_names(r, 0);
    free(r->names);
}

/* The one value of the text, or NULL and r->rc. */
static cJSON *read_text(struct reader *r)
{
    cJSON *root = read_value(r, UNNAMED);
    if (!root)
        return NULL;
    skip_space(r);
    if (r->at >= r->end)
        return root;
    drop(r, root);
    return fail_expected(r, "nothing more behind the value");
}

static int parse(struct str text, bool own, struct json **ret, struct err *err)
{
    struct reader r;
    int rc = reader_init(&r, text, own, err);
    if (rc)
        return rc;
    cJSON *root = read_text(&r);
    reader_release(&r);
    if (!root)
        return r.rc;
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
    struct reader r;
    int rc = reader_init(&r, text, false, err);
    if (rc)
        return rc;
    r.checks_only = true;
    bool is_good = read_text(&r) != NULL;
    reader_release(&r);
    return is_good ? 0 : r.rc;
}

static int find_element(struct reader *r, size_t index, size_t *ret_offset, size_t *ret_size)
{
    if (r->at >= r->end || *r->at != '[')
        return RN_EINVAL;
    (void)enter(r);
    for (size_t i = 0; !take(r, ']'); i++) {
        if (i > 0) {
            if (!take(r, ','))
                return RN_EPROTOCOL;
            skip_space(r);
        }
        const char *start = r->at;
        if (!read_value(r, UNNAMED))
            return RN_EPROTOCOL;
        if (i == index) {
            *ret_offset = (size_t)(start - r->start);
            *ret_size = (size_t)(r->at - start);
            return 0;
        }
        skip_space(r);
    }
    return RN_ENOTFOUND;
}

int json_element_span(struct str text, size_t index, size_t *ret_offset, size_t *ret_size)
{
    struct reader r;
    if (reader_init(&r, text, false, NULL))
        return RN_EPROTOCOL;
    r.checks_only = true;
    int rc = find_element(&r, index, ret_offset, ret_size);
    reader_release(&r);
    return rc;
}

bool number_is_valid(struct str literal)
{
    struct reader r = {.start = literal.ptr, .at = literal.ptr, .end = literal.ptr + literal.len};
    return literal.len > 0 && literal.len <= LIMIT_JSON_BYTES && scan_number(&r) && r.at == r.end;
}
