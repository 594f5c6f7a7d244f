/* The conditions. Texts are compared without regard to case (of ASCII letters) unless the prop
 * `caseSensitive` is true; what is null or undefined has no text, so it contains nothing and equals
 * nothing. Numbers that are integers are compared as such, digit for digit. */
#include "filter.h"

#include <string.h>

enum kind { TEXT, NUMBER, ARRAY, KEY, TRUTH, NULLNESS };
enum test { CONTAINS, EQUALS, STARTS, ENDS, GREATER, GREATER_EQUALS, LESS, LESS_EQUALS };

static const struct condition {
    const char *name;
    enum kind kind;
    enum test test; /* of texts and numbers */
    bool is_negated;
} conditions[] = {
    {"CONTAINS", TEXT, CONTAINS, false},
    {"NOT_CONTAINS", TEXT, CONTAINS, true},
    {"TEXT_EQUALS", TEXT, EQUALS, false},
    {"TEXT_NOT_EQUALS", TEXT, EQUALS, true},
    {"STARTS_WITH", TEXT, STARTS, false},
    {"NOT_STARTS_WITH", TEXT, STARTS, true},
    {"ENDS_WITH", TEXT, ENDS, false},
    {"NOT_ENDS_WITH", TEXT, ENDS, true},
    {"GREATER_THAN", NUMBER, GREATER, false},
    {"GREATER_THAN_EQUALS", NUMBER, GREATER_EQUALS, false},
    {"LESS_THAN", NUMBER, LESS, false},
    {"LESS_THAN_EQUALS", NUMBER, LESS_EQUALS, false},
    {"EQUALS", NUMBER, EQUALS, false},
    {"IN_ARRAY", ARRAY, EQUALS, false},
    {"NOT_IN_ARRAY", ARRAY, EQUALS, true},
    {"KEY_EXISTS", KEY, EQUALS, false},
    {"KEY_NOT_EXISTS", KEY, EQUALS, true},
    {"TRUE", TRUTH, EQUALS, false},
    {"FALSE", TRUTH, EQUALS, true},
    {"IS_NULL", NULLNESS, EQUALS, false},
    {"NOT_NULL", NULLNESS, EQUALS, true},
};

/* ---- values */

static bool is_word(struct rn_run *run, const struct rn_json *value, const char *word)
{
    const char *text = rn_json_text(run, value, NULL);
    return text && strcmp(text, word) == 0;
}

/* The words too, as Pipedream has it: that is what a mixed text makes of a missing value. */
static bool is_null(struct rn_run *run, const struct rn_json *value)
{
    return !value || rn_json_kind(run, value) == RN_JSON_NULL || is_word(run, value, "null") ||
           is_word(run, value, "undefined");
}

struct text {
    const char *ptr;
    size_t size;
};

/* The characters of a value: of a string its own, else its JSON. False: it is null. */
static bool text_of(struct rn_run *run, const struct rn_json *value, struct text *ret)
{
    if (!value || rn_json_kind(run, value) == RN_JSON_NULL)
        return false;
    ret->ptr = rn_json_text(run, value, &ret->size);
    if (!ret->ptr)
        ret->ptr = rn_json_print(run, value, &ret->size);
    return true;
}

static unsigned char folded(char c, bool is_case_sensitive)
{
    bool is_upper = c >= 'A' && c <= 'Z';
    return (unsigned char)(is_upper && !is_case_sensitive ? c + ('a' - 'A') : c);
}

static bool stands_at(struct text text, size_t at, struct text part, bool is_case_sensitive)
{
    if (part.size > text.size || at > text.size - part.size)
        return false;
    for (size_t i = 0; i < part.size; i++)
        if (folded(text.ptr[at + i], is_case_sensitive) != folded(part.ptr[i], is_case_sensitive))
            return false;
    return true;
}

static bool contains(struct text text, struct text part, bool is_case_sensitive)
{
    for (size_t at = 0; part.size <= text.size && at <= text.size - part.size; at++)
        if (stands_at(text, at, part, is_case_sensitive))
            return true;
    return false;
}

static bool compare_texts(struct rn_run *run, enum test test, const struct rn_json *first,
                          const struct rn_json *second)
{
    struct text text, part;
    bool is_case_sensitive = rn_prop_boolean(run, "caseSensitive");
    if (!text_of(run, first, &text) || !text_of(run, second, &part))
        return false;
    switch (test) {
    case CONTAINS:
        return contains(text, part, is_case_sensitive);
    case STARTS:
        return stands_at(text, 0, part, is_case_sensitive);
    case ENDS:
        return text.size >= part.size &&
               stands_at(text, text.size - part.size, part, is_case_sensitive);
    default:
        return text.size == part.size && stands_at(text, 0, part, is_case_sensitive);
    }
}

/* ---- numbers */

/* A number, or a text that is one. */
static int32_t number_of(struct rn_run *run, const char *which, const struct rn_json *value,
                         const struct rn_json **ret)
{
    size_t size = 0;
    const char *text = rn_json_text(run, value, &size);
    if (text)
        value = rn_json_parse(run, text, size);
    if (!value || rn_json_kind(run, value) != RN_JSON_NUMBER)
        return rn_fail(run, RN_EINVAL,
                       RN_TEXT(run, "the ", which, " value is no number, which the condition needs",
                               text ? ": " : NULL, text));
    *ret = value;
    return 0;
}

/* -1, 0 or 1. */
static int order_of(struct rn_run *run, const struct rn_json *a, const struct rn_json *b)
{
    int64_t x = 0, y = 0;
    double f = 0, g = 0;
    if (rn_json_to_integer(run, a, &x) && rn_json_to_integer(run, b, &y))
        return x < y ? -1 : x > y;
    (void)rn_json_to_double(run, a, &f);
    (void)rn_json_to_double(run, b, &g);
    return f < g ? -1 : f > g;
}

static int32_t compare_numbers(struct rn_run *run, enum test test, const struct rn_json *first,
                               const struct rn_json *second, bool *ret)
{
    const struct rn_json *a = NULL, *b = NULL;
    int32_t err = number_of(run, "first", first, &a);
    if (!err)
        err = number_of(run, "second", second, &b);
    if (err)
        return err;
    int order = order_of(run, a, b);
    *ret = test == GREATER          ? order > 0
           : test == GREATER_EQUALS ? order >= 0
           : test == LESS           ? order < 0
           : test == LESS_EQUALS    ? order <= 0
                                    : order == 0;
    return 0;
}

/* ---- lists and objects */

/* A value of the kind, or a text that holds one. */
static int32_t container_of(struct rn_run *run, const struct rn_json *value, int32_t kind,
                            const struct rn_json **ret)
{
    size_t size = 0;
    const char *text = rn_json_text(run, value, &size);
    if (text)
        value = rn_json_parse(run, text, size);
    if (!value || rn_json_kind(run, value) != kind)
        return rn_fail(run, RN_EINVAL,
                       kind == RN_JSON_ARRAY
                           ? "the second value is no list, which the condition needs"
                           : "the second value is no object, which the condition needs");
    *ret = value;
    return 0;
}

static bool is_same(struct rn_run *run, const struct rn_json *a, const struct rn_json *b)
{
    int32_t kind = a ? rn_json_kind(run, a) : RN_JSON_NULL;
    if (kind != rn_json_kind(run, b))
        return false;
    if (kind == RN_JSON_NULL)
        return true;
    if (kind == RN_JSON_NUMBER)
        return order_of(run, a, b) == 0;
    size_t size = 0, other = 0;
    const char *text = rn_json_print(run, a, &size), *others = rn_json_print(run, b, &other);
    return size == other && memcmp(text, others, size) == 0;
}

static int32_t look_in_array(struct rn_run *run, const struct rn_json *first,
                             const struct rn_json *second, bool *ret)
{
    const struct rn_json *list = NULL;
    int32_t err = container_of(run, second, RN_JSON_ARRAY, &list);
    if (err)
        return err;
    *ret = false;
    for (const struct rn_json *v = rn_json_first(run, list); v && !*ret; v = rn_json_next(run, v))
        *ret = is_same(run, first, v);
    return 0;
}

static int32_t look_for_key(struct rn_run *run, const struct rn_json *first,
                            const struct rn_json *second, bool *ret)
{
    const struct rn_json *object = NULL;
    struct text key;
    int32_t err = container_of(run, second, RN_JSON_OBJECT, &object);
    if (err)
        return err;
    if (!text_of(run, first, &key))
        return rn_fail(run, RN_EINVAL, "the first value is null; the condition needs a key");
    *ret = !is_null(run, rn_json_get(run, object, key.ptr));
    return 0;
}

static bool is_truthy(struct rn_run *run, const struct rn_json *value)
{
    size_t size = 0;
    double number = 0;
    switch (value ? rn_json_kind(run, value) : RN_JSON_NULL) {
    case RN_JSON_NULL:
        return false;
    case RN_JSON_BOOLEAN:
        return rn_json_is_true(run, value);
    case RN_JSON_NUMBER:
        return !rn_json_to_double(run, value, &number) || number < 0 || number > 0;
    case RN_JSON_STRING:
        (void)rn_json_text(run, value, &size);
        return size > 0;
    default:
        return true;
    }
}

int32_t filter_check(struct rn_run *run, bool *ret)
{
    const char *name = rn_prop_string(run, "condition");
    const struct condition *found = NULL;
    for (size_t i = 0; name && i < RN_COUNT(conditions); i++)
        if (strcmp(conditions[i].name, name) == 0)
            found = &conditions[i];
    if (!found)
        return rn_fail(run, RN_ECONFIG,
                       RN_TEXT(run, "there is no condition \"", name ? name : "", "\""));
    const struct rn_json *first = rn_prop(run, "initialValue"),
                         *second = rn_prop(run, "secondValue");
    bool holds = false;
    int32_t err = 0;
    switch (found->kind) {
    case TEXT:
        holds = compare_texts(run, found->test, first, second);
        break;
    case NUMBER:
        err = compare_numbers(run, found->test, first, second, &holds);
        break;
    case ARRAY:
        err = look_in_array(run, first, second, &holds);
        break;
    case KEY:
        err = look_for_key(run, first, second, &holds);
        break;
    case TRUTH:
        holds = is_truthy(run, first);
        break;
    case NULLNESS:
        holds = is_null(run, first);
        break;
    }
    *ret = holds != found->is_negated;
    return err;
}
