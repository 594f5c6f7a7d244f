#include "expr/fast.h"

#include <math.h>

struct eval {
    const struct expr_scope *scope;
    struct arena *arena;
    struct err *err;
};

/* What a value of each kind inherits (ECMAScript 2023 and what QuickJS adds); a test compares the
 * lists with the engine's. Reading such a member gives a function, and that is the engine's
 * business. */
static const char *const object_names[] = {
    "__defineGetter__", "__defineSetter__",     "__lookupGetter__", "__lookupSetter__",
    "__proto__",        "constructor",          "hasOwnProperty",   "isPrototypeOf",
    "toLocaleString",   "propertyIsEnumerable", "toString",         "valueOf",
};
static const char *const array_names[] = {
    "at",       "concat",    "copyWithin", "entries",       "every",       "fill",      "filter",
    "find",     "findIndex", "findLast",   "findLastIndex", "flat",        "flatMap",   "forEach",
    "includes", "indexOf",   "join",       "keys",          "lastIndexOf", "length",    "map",
    "pop",      "push",      "reduce",     "reduceRight",   "reverse",     "shift",     "slice",
    "some",     "sort",      "splice",     "toReversed",    "toSorted",    "toSpliced", "unshift",
    "values",   "with",
};
static const char *const string_names[] = {
    "anchor",
    "at",
    "big",
    "blink",
    "bold",
    "charAt",
    "charCodeAt",
    "codePointAt",
    "concat",
    "endsWith",
    "fixed",
    "fontcolor",
    "fontsize",
    "includes",
    "indexOf",
    "isWellFormed",
    "italics",
    "lastIndexOf",
    "length",
    "link",
    "localeCompare",
    "match",
    "matchAll",
    "normalize",
    "padEnd",
    "padStart",
    "repeat",
    "replace",
    "replaceAll",
    "search",
    "slice",
    "small",
    "split",
    "startsWith",
    "strike",
    "sub",
    "substr",
    "substring",
    "sup",
    "toLocaleLowerCase",
    "toLocaleUpperCase",
    "toLowerCase",
    "toUpperCase",
    "toWellFormed",
    "trim",
    "trimEnd",
    "trimLeft",
    "trimRight",
    "trimStart",
};
static const char *const number_names[] = {"toExponential", "toFixed", "toPrecision"};

static bool is_in(const char *const *names, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_c(name, names[i]))
            return true;
    return false;
}

bool fast_is_inherited(enum json_kind kind, struct str name)
{
    if (is_in(object_names, COUNT_OF(object_names), name))
        return true;
    switch (kind) {
    case JSON_ARRAY:
        return is_in(array_names, COUNT_OF(array_names), name);
    case JSON_STRING:
        return is_in(string_names, COUNT_OF(string_names), name);
    case JSON_NUMBER:
        return is_in(number_names, COUNT_OF(number_names), name);
    default:
        return false;
    }
}

/* "0", "17": an index as JavaScript writes it, not "01". */
static bool parse_index(struct str name, uint64_t *ret)
{
    if (name.len == 0 || name.len > 10 || (name.len > 1 && name.ptr[0] == '0'))
        return false;
    return num_parse_u64(name, ret) == 0;
}

static struct value number_value(double number)
{
    return (struct value){.kind = VALUE_NUMBER, .number = number};
}

static int string_member(struct eval *e, struct str text, struct str name, struct value *ret)
{
    uint64_t index = 0;
    if (str_eq_c(name, "length")) {
        *ret = number_value((double)utf16_length(text));
        return 0;
    }
    *ret = (struct value){.kind = VALUE_UNDEFINED};
    if (parse_index(name, &index)) {
        struct str unit = index < text.len ? utf16_at(e->arena, text, (size_t)index) : STR_NONE;
        if (unit.ptr != NULL)
            *ret = (struct value){.kind = VALUE_STRING, .string = unit};
        return 0;
    }
    return fast_is_inherited(JSON_STRING, name) ? RN_EAGAIN : 0;
}

static int container_member(const struct json *json, struct str name, struct value *ret)
{
    uint64_t index = 0;
    if (json_is(json, JSON_OBJECT)) {
        *ret = value_of(json_get_str(json, name));
        return ret->kind == VALUE_UNDEFINED && fast_is_inherited(JSON_OBJECT, name) ? RN_EAGAIN : 0;
    }
    if (str_eq_c(name, "length")) {
        *ret = number_value((double)json_count(json));
        return 0;
    }
    *ret = (struct value){.kind = VALUE_UNDEFINED};
    if (parse_index(name, &index)) {
        *ret = value_of(json_at(json, (size_t)index));
        return 0;
    }
    return fast_is_inherited(JSON_ARRAY, name) ? RN_EAGAIN : 0;
}

static int value_member(struct eval *e, const struct value *base, struct str name,
                        struct value *ret)
{
    switch (base->kind) {
    case VALUE_UNDEFINED:
    case VALUE_NULL:
        return err_set(e->err, RN_EFAILED,
                       "TypeError: Cannot read properties of %s (reading '" STR_FMT "')",
                       base->kind == VALUE_NULL ? "null" : "undefined", STR_ARG(name));
    case VALUE_STRING:
        return string_member(e, base->string, name, ret);
    case VALUE_CONTAINER:
        return container_member(base->json, name, ret);
    case VALUE_EXACT:
        return RN_EAGAIN;
    case VALUE_BOOLEAN:
    case VALUE_NUMBER:
        break;
    }
    *ret = (struct value){.kind = VALUE_UNDEFINED};
    return fast_is_inherited(base->kind == VALUE_NUMBER ? JSON_NUMBER : JSON_BOOLEAN, name)
               ? RN_EAGAIN
               : 0;
}

static int eval(struct eval *e, const struct node *node, struct value *ret);

/* *is_cut: an earlier ?. of this chain found nothing, and the rest of the chain is not looked at.
 */
static int eval_chain(struct eval *e, const struct node *node, bool *is_cut, struct value *ret)
{
    if (node->kind != NODE_MEMBER)
        return eval(e, node, ret);
    struct value base = {0};
    int code = eval_chain(e, node->a, is_cut, &base);
    if (code == 0 && !*is_cut && node->is_optional && value_is_nullish(&base)) {
        *is_cut = true;
        if (base.kind == VALUE_NULL)
            base = (struct value){.kind = VALUE_UNDEFINED, .missing = node};
    }
    if (code == 0 && *is_cut) {
        *ret = base;
        return 0;
    }
    if (code == 0)
        code = value_member(e, &base, node->name, ret);
    if (code == 0 && ret->kind == VALUE_UNDEFINED)
        ret->missing = node;
    return code;
}

static int eval_compare(struct eval *e, const struct node *node, struct value *ret)
{
    struct value a = {0};
    struct value b = {0};
    int code = eval(e, node->a, &a);
    if (code == 0)
        code = eval(e, node->b, &b);
    if (code != 0)
        return code;
    bool is_equal = false;
    int is_less = 0;
    ret->kind = VALUE_BOOLEAN;
    switch (node->kind) {
    case NODE_STRICT_EQUAL:
    case NODE_STRICT_UNEQUAL:
        code = value_strictly_equals(&a, &b, &is_equal);
        ret->boolean = is_equal == (node->kind == NODE_STRICT_EQUAL);
        break;
    case NODE_EQUAL:
    case NODE_UNEQUAL:
        code = value_loosely_equals(&a, &b, &is_equal);
        ret->boolean = is_equal == (node->kind == NODE_EQUAL);
        break;
    case NODE_LESS:
        code = value_is_less(&a, &b, &is_less);
        ret->boolean = is_less == 1;
        break;
    case NODE_GREATER:
        code = value_is_less(&b, &a, &is_less);
        ret->boolean = is_less == 1;
        break;
    case NODE_LESS_EQUAL:
        code = value_is_less(&b, &a, &is_less);
        ret->boolean = is_less == 0;
        break;
    default:
        code = value_is_less(&a, &b, &is_less);
        ret->boolean = is_less == 0;
        break;
    }
    return code;
}

static int eval(struct eval *e, const struct node *node, struct value *ret)
{
    bool is_cut = false;
    int code = 0;
    *ret = (struct value){.kind = VALUE_UNDEFINED};
    switch (node->kind) {
    case NODE_LITERAL:
        *ret = node->value;
        return 0;
    case NODE_STEPS:
    case NODE_ENV:
        ret->json = node->kind == NODE_STEPS ? e->scope->steps : e->scope->env;
        ret->kind = VALUE_CONTAINER;
        return ret->json != NULL ? 0 : RN_EAGAIN;
    case NODE_MEMBER:
        return eval_chain(e, node, &is_cut, ret);
    case NODE_GROUP:
        return eval(e, node->a, ret);
    case NODE_NOT:
        code = eval(e, node->a, ret);
        *ret = (struct value){.kind = VALUE_BOOLEAN, .boolean = !value_is_truthy(ret)};
        return code;
    case NODE_AND:
        code = eval(e, node->a, ret);
        return code != 0 || !value_is_truthy(ret) ? code : eval(e, node->b, ret);
    case NODE_OR:
        code = eval(e, node->a, ret);
        return code != 0 || value_is_truthy(ret) ? code : eval(e, node->b, ret);
    case NODE_COALESCE:
        code = eval(e, node->a, ret);
        return code != 0 || !value_is_nullish(ret) ? code : eval(e, node->b, ret);
    case NODE_TERNARY:
        code = eval(e, node->a, ret);
        return code != 0 ? code : eval(e, value_is_truthy(ret) ? node->b : node->c, ret);
    default:
        return eval_compare(e, node, ret);
    }
}

int fast_eval(const struct node *node, const struct expr_scope *scope, struct arena *arena,
              struct value *ret, struct err *err)
{
    struct eval e = {.scope = scope, .arena = arena, .err = err};
    return eval(&e, node, ret);
}

static bool is_plain_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        bool is_digit = c >= '0' && c <= '9' && i > 0;
        if (!is_letter && !is_digit && c != '_' && c != '$' && c < 0x80)
            return false;
    }
    return name.len > 0;
}

void fast_path_text(struct buf *out, const struct node *node)
{
    switch (node->kind) {
    case NODE_STEPS:
        buf_add_c(out, "steps");
        return;
    case NODE_ENV:
        buf_add_c(out, "process.env");
        return;
    case NODE_GROUP:
        fast_path_text(out, node->a);
        return;
    case NODE_MEMBER:
        break;
    default:
        buf_add_c(out, "(…)");
        return;
    }
    fast_path_text(out, node->a);
    if (node->is_numeric) {
        buf_addf(out, "[" STR_FMT "]", STR_ARG(node->name));
    } else if (is_plain_name(node->name)) {
        buf_addf(out, "." STR_FMT, STR_ARG(node->name));
    } else {
        buf_add_char(out, '[');
        json_write_string(out, node->name);
        buf_add_char(out, ']');
    }
}
