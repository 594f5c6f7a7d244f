/* The tree: making, changing and reading values. node.h has the rules that a node keeps. */
#include "json/node.h"

#include <assert.h>
#include <limits.h>
#include <math.h>

/* ------------------------------------------------------------------ texts */

/* Eight bytes at a time while none of them is special; the tests are the well-known ones for "a
 * byte is zero" and "a byte is less than n". */
size_t plain_run(const char *text, size_t size)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    size_t at = 0;
    while (size - at >= 8) {
        uint64_t x;
        memcpy(&x, text + at, 8);
        uint64_t quote = x ^ (ones * '"'), backslash = x ^ (ones * '\\');
        uint64_t special = x | ((x - ones * 0x20) & ~x) | ((quote - ones) & ~quote) |
                           ((backslash - ones) & ~backslash);
        if (special & high)
            break;
        at += 8;
    }
    while (at < size) {
        unsigned char c = (unsigned char)text[at];
        if (c < 0x20 || c >= 0x7F || c == '"' || c == '\\')
            break;
        at++;
    }
    return at;
}

static cJSON *new_text(int type, struct str text)
{
    cJSON *node = node_new(NULL, type, NODE_NONE, text.len);
    if (text.len)
        memcpy(node->valuestring, text.ptr, text.len);
    node->valueint = (int)text.len;
    return node;
}

/* Bytes as UTF-8: what is none becomes U+FFFD. The caller releases *out. */
static void mend(struct buf *out, struct str text)
{
    size_t at = 0;
    while (at < text.len) {
        size_t n = utf8_length(text, at);
        if (n == 1 && (unsigned char)text.ptr[at] >= 0x80)
            buf_add(out, "\xEF\xBF\xBD", 3);
        else
            buf_add(out, text.ptr + at, n);
        at += n;
    }
}

static bool is_utf8(struct str text)
{
    return plain_run(text.ptr, text.len) == text.len || utf8_is_valid(text);
}

void json_free(struct json *value)
{
    node_free(node_of_mut(value));
}

static cJSON *copy_node(struct node_pool *pool, const cJSON *node, bool named)
{
    bool is_text = node->valuestring != NULL;
    size_t name_length = named && node->string ? strlen(node->string) : NODE_NONE;
    cJSON *copy =
        node_new(pool, node_type(node), name_length, is_text ? (size_t)node->valueint : NODE_NONE);
    if (name_length != NODE_NONE)
        memcpy(copy->string, node->string, name_length);
    if (is_text)
        memcpy(copy->valuestring, node->valuestring, (size_t)node->valueint);
    copy->valueint = node->valueint;
    for (const cJSON *child = node->child; child; child = child->next)
        (void)cJSON_AddItemToArray(copy, copy_node(pool, child, true));
    return copy;
}

struct json *json_borrow(const struct json *value)
{
    const cJSON *node = node_of(value);
    if (!json_is(value, JSON_ARRAY) && !json_is(value, JSON_OBJECT))
        return json_copy(value);
    cJSON *view = node_new(NULL, node_type(node), NODE_NONE, NODE_NONE);
    view->type |= cJSON_IsReference; /* the children are not its to free */
    view->child = node->child;
    return json_of(view);
}

struct json *json_copy(const struct json *value)
{
    if (!value)
        return NULL;
    struct node_pool pool = {0};
    cJSON *copy = copy_node(&pool, node_of(value), false);
    node_pool_close(&pool);
    return json_of(copy);
}

/* --------------------------------------------------------------- equality */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static const cJSON **sorted_members(const cJSON *object, size_t count)
{
    const cJSON **members = xcalloc(count, sizeof(const cJSON *));
    size_t n = 0;
    for (const cJSON *m = object->child; m; m = m->next)
        members[n++] = m;
    qsort(members, n, sizeof(const cJSON *), by_name);
    return members;
}

static bool node_equal(const cJSON *a, const cJSON *b);

static bool objects_equal(const cJSON *a, const cJSON *b)
{
    size_t count = json_count((const struct json *)(const void *)a);
    if (count != json_count((const struct json *)(const void *)b))
        return false;
    const cJSON *left = a->child, *right = b->child;
    while (left && strcmp(left->string, right->string) == 0) {
        if (!node_equal(left, right))
            return false;
        left = left->next;
        right = right->next;
    }
    if (!left)
        return true;
    const cJSON **as = sorted_members(a, count), **bs = sorted_members(b, count);
    bool equal = true;
    for (size_t i = 0; equal && i < count; i++)
        equal = strcmp(as[i]->string, bs[i]->string) == 0 && node_equal(as[i], bs[i]);
    free(as);
    free(bs);
    return equal;
}

static bool node_equal(const cJSON *a, const cJSON *b)
{
    if (node_type(a) != node_type(b))
        return false;
    switch (node_type(a)) {
    case cJSON_Object:
        return objects_equal(a, b);
    case cJSON_Array: {
        const cJSON *left = a->child, *right = b->child;
        for (; left && right; left = left->next, right = right->next)
            if (!node_equal(left, right))
                return false;
        return !left && !right;
    }
    case cJSON_String:
        return a->valueint == b->valueint &&
               memcmp(a->valuestring, b->valuestring, (size_t)a->valueint) == 0;
    case cJSON_Number:
        return number_is_equal(str_n(a->valuestring, (size_t)a->valueint),
                               str_n(b->valuestring, (size_t)b->valueint));
    default:
        return true;
    }
}

bool json_equal(const struct json *a, const struct json *b)
{
    if (!a || !b)
        return a == b;
    return node_equal(node_of(a), node_of(b));
}

/* ----------------------------------------------------------------- making */

struct json *json_new_null(void)
{
    return json_of(node_new(NULL, cJSON_NULL, NODE_NONE, NODE_NONE));
}

struct json *json_new_boolean(bool value)
{
    return json_of(node_new(NULL, value ? cJSON_True : cJSON_False, NODE_NONE, NODE_NONE));
}

static struct json *new_whole(uint64_t magnitude, bool negative)
{
    char text[24];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude);
    if (negative)
        text[--at] = '-';
    return json_of(new_text(cJSON_Number, str_n(text + at, sizeof(text) - at)));
}

struct json *json_new_integer(int64_t value)
{
    return new_whole(value < 0 ? 0u - (uint64_t)value : (uint64_t)value, value < 0);
}

struct json *json_new_unsigned(uint64_t value)
{
    return new_whole(value, false);
}

struct json *json_new_double(double value)
{
    if (!isfinite(value))
        return json_new_null();
    char text[NUMBER_TEXT_MAX];
    number_format(value, text);
    return json_of(new_text(cJSON_Number, str_from(text)));
}

struct json *json_new_number(struct str literal)
{
    return number_is_valid(literal) ? json_of(new_text(cJSON_Number, literal)) : NULL;
}

struct json *json_new_string(struct str text)
{
    if (is_utf8(text))
        return json_of(new_text(cJSON_String, text));
    struct buf mended = BUF_INIT(SIZE_MAX / 4);
    mend(&mended, text);
    cJSON *node = new_text(cJSON_String, buf_str(&mended));
    buf_release(&mended);
    return json_of(node);
}

struct json *json_new_string_c(const char *text)
{
    return text ? json_new_string(str_from(text)) : json_new_null();
}

struct json *json_new_array(void)
{
    return json_of(node_new(NULL, cJSON_Array, NODE_NONE, NODE_NONE));
}

struct json *json_new_object(void)
{
    return json_of(node_new(NULL, cJSON_Object, NODE_NONE, NODE_NONE));
}

/* --------------------------------------------------------------- changing */

/* Gives the node a name of its own (NULL: none); the old one goes. */
static void rename_node(cJSON *node, char *name)
{
    if (!(node->type & cJSON_StringIsConst))
        free(node->string);
    node->type &= ~cJSON_StringIsConst;
    node->string = name;
}

/* A name as the tree may hold it. The caller frees. */
static char *new_name(const char *name)
{
    struct str text = str_from(name);
    if (is_utf8(text))
        return xmemdup(text.ptr, text.len);
    struct buf mended = BUF_INIT(SIZE_MAX / 4);
    mend(&mended, text);
    return buf_take(&mended, NULL);
}

static cJSON *find(const cJSON *object, const char *name)
{
    for (cJSON *m = object->child; m; m = m->next)
        if (m->string[0] == name[0] && strcmp(m->string, name) == 0)
            return m;
    return NULL;
}

struct json *json_add(struct json *object, const char *name, struct json *value)
{
    assert(json_is(object, JSON_OBJECT));
    if (!value)
        return NULL;
    cJSON *node = node_of_mut(value);
    rename_node(node, new_name(name));
    (void)cJSON_AddItemToArray(node_of_mut(object), node);
    return value;
}

struct json *json_set(struct json *object, const char *name, struct json *value)
{
    assert(json_is(object, JSON_OBJECT));
    if (!value)
        return NULL;
    cJSON *parent = node_of_mut(object), *node = node_of_mut(value);
    rename_node(node, new_name(name));
    cJSON *before = find(parent, node->string);
    if (before)
        node_replace(parent, before, node);
    else
        (void)cJSON_AddItemToArray(parent, node);
    return value;
}

struct json *json_append(struct json *array, struct json *value)
{
    assert(json_is(array, JSON_ARRAY));
    if (!value)
        return NULL;
    cJSON *node = node_of_mut(value);
    rename_node(node, NULL);
    (void)cJSON_AddItemToArray(node_of_mut(array), node);
    return value;
}

void json_set_string(struct json *object, const char *name, const char *text)
{
    if (text)
        (void)json_set(object, name, json_new_string_c(text));
}

void json_set_str(struct json *object, const char *name, struct str text)
{
    (void)json_set(object, name, json_new_string(text));
}

void json_set_integer(struct json *object, const char *name, int64_t value)
{
    (void)json_set(object, name, json_new_integer(value));
}

void json_set_boolean(struct json *object, const char *name, bool value)
{
    (void)json_set(object, name, json_new_boolean(value));
}

struct json *json_take(struct json *object, const char *name)
{
    if (!json_is(object, JSON_OBJECT))
        return NULL;
    cJSON *parent = node_of_mut(object);
    cJSON *member = find(parent, name);
    return member ? json_of(cJSON_DetachItemViaPointer(parent, member)) : NULL;
}

struct json *json_take_first(struct json *container)
{
    if (!json_is(container, JSON_ARRAY) && !json_is(container, JSON_OBJECT))
        return NULL;
    cJSON *parent = node_of_mut(container);
    return parent->child ? json_of(cJSON_DetachItemViaPointer(parent, parent->child)) : NULL;
}

void json_remove(struct json *object, const char *name)
{
    json_free(json_take(object, name));
}

/* ---------------------------------------------------------------- reading */

enum json_kind json_kind(const struct json *value)
{
    switch (node_type(node_of(value))) {
    case cJSON_True:
    case cJSON_False:
        return JSON_BOOLEAN;
    case cJSON_Number:
        return JSON_NUMBER;
    case cJSON_String:
        return JSON_STRING;
    case cJSON_Array:
        return JSON_ARRAY;
    case cJSON_Object:
        return JSON_OBJECT;
    default:
        return JSON_NULL;
    }
}

bool json_is(const struct json *value, enum json_kind kind)
{
    return value && json_kind(value) == kind;
}

const char *json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};
    assert((size_t)kind < COUNT_OF(names));
    return names[kind];
}

bool json_is_true(const struct json *value)
{
    return value && node_type(node_of(value)) == cJSON_True;
}

struct str json_str(const struct json *value)
{
    if (!json_is(value, JSON_STRING))
        return STR_NONE;
    return str_n(node_of(value)->valuestring, (size_t)node_of(value)->valueint);
}

const char *json_c(const struct json *value)
{
    struct str text = json_str(value);
    return text.ptr && !memchr(text.ptr, '\0', text.len) ? text.ptr : NULL;
}

struct str json_literal(const struct json *value)
{
    if (!json_is(value, JSON_NUMBER))
        return STR_NONE;
    return str_n(node_of(value)->valuestring, (size_t)node_of(value)->valueint);
}

size_t json_count(const struct json *value)
{
    size_t count = 0;
    for (const struct json *child = json_first(value); child; child = json_next(child))
        count++;
    return count;
}

const struct json *json_get(const struct json *object, const char *name)
{
    if (!json_is(object, JSON_OBJECT))
        return NULL;
    return (const struct json *)(const void *)find(node_of(object), name);
}

const struct json *json_get_str(const struct json *object, struct str name)
{
    if (!json_is(object, JSON_OBJECT) || (name.len && memchr(name.ptr, '\0', name.len)))
        return NULL;
    for (const cJSON *m = node_of(object)->child; m; m = m->next)
        if (strncmp(m->string, name.ptr ? name.ptr : "", name.len) == 0 &&
            m->string[name.len] == '\0')
            return (const struct json *)(const void *)m;
    return NULL;
}

const struct json *json_at(const struct json *array, size_t index)
{
    if (!json_is(array, JSON_ARRAY))
        return NULL;
    const struct json *element = json_first(array);
    while (element && index-- > 0)
        element = json_next(element);
    return element;
}

const struct json *json_first(const struct json *value)
{
    return value ? (const struct json *)(const void *)node_of(value)->child : NULL;
}

const struct json *json_next(const struct json *value)
{
    return value ? (const struct json *)(const void *)node_of(value)->next : NULL;
}

const char *json_name(const struct json *member)
{
    return member ? node_of(member)->string : NULL;
}

struct json *json_get_mut(struct json *object, const char *name)
{
    return json_is(object, JSON_OBJECT) ? json_of(find(node_of(object), name)) : NULL;
}

struct json *json_first_mut(struct json *value)
{
    return value ? json_of(node_of_mut(value)->child) : NULL;
}

struct json *json_next_mut(struct json *value)
{
    return value ? json_of(node_of_mut(value)->next) : NULL;
}

struct str json_get_text(const struct json *object, const char *name)
{
    return json_str(json_get(object, name));
}

const char *json_get_c(const struct json *object, const char *name)
{
    return json_c(json_get(object, name));
}

int64_t json_get_i64(const struct json *object, const char *name, int64_t otherwise)
{
    int64_t value = otherwise;
    return json_to_i64(json_get(object, name), &value) ? value : otherwise;
}

bool json_get_bool(const struct json *object, const char *name, bool otherwise)
{
    const struct json *value = json_get(object, name);
    return json_is(value, JSON_BOOLEAN) ? json_is_true(value) : otherwise;
}
