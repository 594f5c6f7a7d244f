/* Recursive descent over the lexer's tokens; one token of look-ahead. Any surprise ends it: the
 * engine has the last word on what is JavaScript. */
#include "expr/fast.h"
#include "expr/lexer.h"

#include <math.h>

struct parser {
    struct lexer lexer;
    struct token token;
    struct arena *arena;
    bool has_failed;
    int depth; /* of the recursion */
};

static const struct node *parse_expression(struct parser *p);

static void advance(struct parser *p)
{
    if (!p->has_failed && lexer_next(&p->lexer, &p->token, NULL) != 0)
        p->has_failed = true;
}

static bool accept(struct parser *p, const char *punctuator)
{
    if (p->has_failed || !token_is(&p->token, punctuator))
        return false;
    advance(p);
    return true;
}

static struct node *fail(struct parser *p)
{
    p->has_failed = true;
    return NULL;
}

static struct node *make(struct parser *p, enum node_kind kind, const struct node *a,
                         const struct node *b, const struct node *c)
{
    int depth = 0;
    const struct node *children[] = {a, b, c};
    for (size_t i = 0; i < COUNT_OF(children); i++)
        if (children[i] != NULL && children[i]->depth > depth)
            depth = children[i]->depth;
    if (p->has_failed || depth >= FAST_DEPTH_MAX)
        return fail(p);
    struct node *node = arena_alloc(p->arena, sizeof(*node));
    node->kind = kind;
    node->depth = depth + 1;
    node->a = a;
    node->b = b;
    node->c = c;
    return node;
}

/* ---- literals */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `count` digits at *at; -1 if they are not there. */
static int32_t read_hex(struct str text, size_t *at, size_t count)
{
    int32_t code = 0;
    for (size_t i = 0; i < count; i++) {
        int digit = *at < text.len ? hex_value(text.ptr[*at]) : -1;
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
        (*at)++;
    }
    return code;
}

/* The code point of \u… behind the u; surrogate pairs are joined; -1: leave it to the engine. */
static int32_t read_unicode_escape(struct str text, size_t *at)
{
    if (*at < text.len && text.ptr[*at] == '{') {
        size_t end = *at + 1;
        while (end < text.len && hex_value(text.ptr[end]) >= 0)
            end++;
        size_t count = end - *at - 1;
        if (count == 0 || count > 6 || end >= text.len || text.ptr[end] != '}')
            return -1;
        (*at)++;
        int32_t code = read_hex(text, at, count);
        (*at)++;
        return code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF) ? -1 : code;
    }
    int32_t code = read_hex(text, at, 4);
    if (code < 0xD800 || code > 0xDFFF)
        return code;
    if (code > 0xDBFF || *at + 1 >= text.len || text.ptr[*at] != '\\' || text.ptr[*at + 1] != 'u')
        return -1;
    *at += 2;
    int32_t low = read_hex(text, at, 4);
    return low < 0xDC00 || low > 0xDFFF ? -1 : 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
}

/* One escape, *at behind the backslash. False: leave it to the engine. */
static bool read_escape(struct str text, size_t *at, struct buf *out)
{
    char c = text.ptr[(*at)++];
    int32_t code = -1;
    switch (c) {
    case 'n':
        code = '\n';
        break;
    case 't':
        code = '\t';
        break;
    case 'r':
        code = '\r';
        break;
    case 'b':
        code = '\b';
        break;
    case 'f':
        code = '\f';
        break;
    case 'v':
        code = '\v';
        break;
    case 'x':
        code = read_hex(text, at, 2);
        break;
    case 'u':
        code = read_unicode_escape(text, at);
        break;
    case '0':
        if (*at < text.len && text.ptr[*at] >= '0' && text.ptr[*at] <= '9')
            return false;
        code = 0;
        break;
    default:
        if ((c >= '1' && c <= '9') || c == '\n' || c == '\r' || (unsigned char)c >= 0x80)
            return false;
        code = c;
    }
    if (code < 0)
        return false;
    char bytes[4];
    buf_add(out, bytes, utf8_encode((uint32_t)code, bytes));
    return true;
}

static bool decode_string(struct parser *p, struct str quoted, struct str *ret)
{
    struct str body = str_n(quoted.ptr + 1, quoted.len - 2);
    struct buf text = BUF_INIT(LIMIT_EXPRESSION_TEXT + 16);
    bool is_good = utf8_is_valid(body);
    for (size_t at = 0; is_good && at < body.len;) {
        if (body.ptr[at] == '\\') {
            at++;
            is_good = at < body.len && read_escape(body, &at, &text);
        } else {
            buf_add_char(&text, body.ptr[at++]);
        }
    }
    is_good = is_good && !buf_is_overflowed(&text);
    if (is_good) {
        ret->len = text.len;
        ret->ptr = arena_dup(p->arena, buf_str(&text));
    }
    buf_release(&text);
    return is_good;
}

/* Decimal numbers as JSON has them, and those with leading or trailing points; no 0x10, 1_000, 10n,
 * 010. */
static bool decode_number(struct str text, double *ret)
{
    size_t digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_digit = c >= '0' && c <= '9';
        bool is_exponent = (c == 'e' || c == 'E') && digits > 0;
        bool is_sign = (c == '+' || c == '-') && i > 0 && (text.ptr[i - 1] | 0x20) == 'e';
        if (!is_digit && c != '.' && !is_exponent && !is_sign)
            return false;
        digits += is_digit;
    }
    if (text.len > 1 && text.ptr[0] == '0' && text.ptr[1] >= '0' && text.ptr[1] <= '9')
        return false;
    char *copy = str_dup(text);
    char *end = NULL;
    *ret = strtod(copy, &end);
    bool is_whole = *end == '\0';
    free(copy);
    return is_whole;
}

static const struct node *literal(struct parser *p, enum value_kind kind, bool boolean)
{
    struct node *node = make(p, NODE_LITERAL, NULL, NULL, NULL);
    if (node != NULL) {
        node->value.kind = kind;
        node->value.boolean = boolean;
    }
    advance(p);
    return node;
}

static const struct node *number_literal(struct parser *p, bool is_negative)
{
    struct node *node = make(p, NODE_LITERAL, NULL, NULL, NULL);
    double number = 0;
    if (node == NULL || !decode_number(p->token.text, &number))
        return fail(p);
    node->value.kind = VALUE_NUMBER;
    node->value.number = is_negative ? -number : number;
    advance(p);
    return node;
}

static const struct node *string_literal(struct parser *p)
{
    struct node *node = make(p, NODE_LITERAL, NULL, NULL, NULL);
    if (node == NULL || !decode_string(p, p->token.text, &node->value.string))
        return fail(p);
    node->value.kind = VALUE_STRING;
    advance(p);
    return node;
}

/* ---- paths */

static const struct node *parse_name(struct parser *p)
{
    struct str name = p->token.text;
    if (str_eq_c(name, "undefined"))
        return literal(p, VALUE_UNDEFINED, false);
    if (str_eq_c(name, "null"))
        return literal(p, VALUE_NULL, false);
    if (str_eq_c(name, "true") || str_eq_c(name, "false"))
        return literal(p, VALUE_BOOLEAN, name.ptr[0] == 't');
    if (str_eq_c(name, "steps")) {
        advance(p);
        return make(p, NODE_STEPS, NULL, NULL, NULL);
    }
    if (!str_eq_c(name, "process"))
        return fail(p);
    advance(p);
    if (!accept(p, ".") && !accept(p, "?."))
        return fail(p);
    if (p->has_failed || p->token.kind != TOKEN_NAME || !str_eq_c(p->token.text, "env"))
        return fail(p);
    advance(p);
    return make(p, NODE_ENV, NULL, NULL, NULL);
}

static const struct node *parse_primary(struct parser *p)
{
    if (p->has_failed)
        return NULL;
    switch (p->token.kind) {
    case TOKEN_NAME:
        return parse_name(p);
    case TOKEN_NUMBER:
        return number_literal(p, false);
    case TOKEN_STRING:
        return string_literal(p);
    default:
        break;
    }
    if (!accept(p, "("))
        return fail(p);
    const struct node *inner = parse_expression(p);
    if (!accept(p, ")"))
        return fail(p);
    return make(p, NODE_GROUP, inner, NULL, NULL);
}

static struct node *member(struct parser *p, const struct node *base, bool is_optional,
                           struct str name)
{
    struct node *node = make(p, NODE_MEMBER, base, NULL, NULL);
    if (node != NULL) {
        node->is_optional = is_optional;
        node->name.len = name.len;
        node->name.ptr = arena_dup(p->arena, name);
    }
    return node;
}

/* Behind the [: a string, a number, a negative number; a computed key is the engine's. */
static const struct node *parse_index(struct parser *p, const struct node *base, bool is_optional)
{
    bool is_negative = accept(p, "-");
    struct buf text = BUF_INIT(64);
    struct node *node = NULL;
    if (!p->has_failed && p->token.kind == TOKEN_STRING && !is_negative) {
        struct str name = STR_NONE;
        if (decode_string(p, p->token.text, &name))
            node = member(p, base, is_optional, name);
    } else if (!p->has_failed && p->token.kind == TOKEN_NUMBER) {
        double number = 0;
        if (decode_number(p->token.text, &number)) {
            number_text(&text, is_negative ? -number : number);
            node = member(p, base, is_optional, buf_str(&text));
        }
        if (node != NULL)
            node->is_numeric = true;
    }
    buf_release(&text);
    advance(p);
    return node != NULL && accept(p, "]") ? node : fail(p);
}

static const struct node *parse_chain(struct parser *p)
{
    const struct node *node = parse_primary(p);
    while (!p->has_failed && node != NULL) {
        bool is_optional = accept(p, "?.");
        if (accept(p, "[")) {
            node = parse_index(p, node, is_optional);
        } else if (is_optional || accept(p, ".")) {
            bool is_name = !p->has_failed && p->token.kind == TOKEN_NAME;
            if (!is_name || strchr("#", p->token.text.ptr[0]) != NULL ||
                memchr(p->token.text.ptr, '\\', p->token.text.len) != NULL)
                return fail(p);
            node = member(p, node, is_optional, p->token.text);
            advance(p);
        } else {
            break;
        }
    }
    return node;
}

/* ---- operators */

static const struct node *parse_unary(struct parser *p)
{
    if (p->depth >= FAST_DEPTH_MAX)
        return fail(p);
    p->depth++;
    const struct node *node = NULL;
    if (accept(p, "!")) {
        const struct node *operand = parse_unary(p);
        node = make(p, NODE_NOT, operand, NULL, NULL);
    } else if (accept(p, "-")) {
        node = !p->has_failed && p->token.kind == TOKEN_NUMBER ? number_literal(p, true) : fail(p);
    } else {
        node = parse_chain(p);
    }
    p->depth--;
    return node;
}

static const struct {
    const char *punctuator;
    enum node_kind kind;
} relations[] = {{"<=", NODE_LESS_EQUAL},
                 {">=", NODE_GREATER_EQUAL},
                 {"<", NODE_LESS},
                 {">", NODE_GREATER}},
  equalities[] = {{"===", NODE_STRICT_EQUAL},
                  {"!==", NODE_STRICT_UNEQUAL},
                  {"==", NODE_EQUAL},
                  {"!=", NODE_UNEQUAL}};

static const struct node *parse_relation(struct parser *p)
{
    const struct node *node = parse_unary(p);
    for (size_t i = 0; !p->has_failed && i < COUNT_OF(relations); i++) {
        if (!accept(p, relations[i].punctuator))
            continue;
        const struct node *right = parse_unary(p);
        node = make(p, relations[i].kind, node, right, NULL);
        i = (size_t)-1;
    }
    return node;
}

static const struct node *parse_equality(struct parser *p)
{
    const struct node *node = parse_relation(p);
    for (size_t i = 0; !p->has_failed && i < COUNT_OF(equalities); i++) {
        if (!accept(p, equalities[i].punctuator))
            continue;
        const struct node *right = parse_relation(p);
        node = make(p, equalities[i].kind, node, right, NULL);
        i = (size_t)-1;
    }
    return node;
}

static const struct node *parse_and(struct parser *p)
{
    const struct node *node = parse_equality(p);
    while (accept(p, "&&")) {
        const struct node *right = parse_equality(p);
        node = make(p, NODE_AND, node, right, NULL);
    }
    return node;
}

/* || and ?? do not mix without parentheses: then the token behind is a surprise, and the engine
 * says that it is wrong. */
static const struct node *parse_or(struct parser *p)
{
    const struct node *node = parse_and(p);
    if (!p->has_failed && node != NULL && node->kind != NODE_AND && token_is(&p->token, "??")) {
        while (accept(p, "??")) {
            const struct node *right = parse_equality(p);
            node = make(p, NODE_COALESCE, node, right, NULL);
        }
        return node;
    }
    while (accept(p, "||")) {
        const struct node *right = parse_and(p);
        node = make(p, NODE_OR, node, right, NULL);
    }
    return node;
}

static const struct node *parse_expression(struct parser *p)
{
    if (p->depth >= FAST_DEPTH_MAX)
        return fail(p);
    p->depth++;
    const struct node *node = parse_or(p);
    if (accept(p, "?")) {
        const struct node *yes = parse_expression(p);
        const struct node *no = accept(p, ":") ? parse_expression(p) : fail(p);
        node = make(p, NODE_TERNARY, node, yes, no);
    }
    p->depth--;
    return node;
}

const struct node *fast_parse(struct str text, struct arena *arena)
{
    struct parser parser = {.arena = arena};
    lexer_init(&parser.lexer, text, 0, false);
    advance(&parser);
    const struct node *node = parse_expression(&parser);
    return parser.has_failed || parser.token.kind != TOKEN_END ? NULL : node;
}
