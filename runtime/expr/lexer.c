#include "expr/lexer.h"

/* Longest first. */
static const char *const punctuators[] = {
    ">>>=", "...", "===", "!==", "**=", "<<=", ">>=", ">>>", "&&=", "||=", "?\?=",
    "=>",   "==",  "!=",  "<=",  ">=",  "&&",  "||",  "??",  "?.",  "++",  "--",
    "+=",   "-=",  "*=",  "/=",  "%=",  "&=",  "|=",  "^=",  "<<",  ">>",  "**",
};

/* Names behind which a / starts a regular expression. */
static const char *const operators[] = {
    "return", "typeof", "instanceof", "in", "of",   "new",   "delete",
    "void",   "throw",  "case",       "do", "else", "yield", "await",
};

void lexer_init(struct lexer *lexer, struct str text, size_t at, bool stops_at_close)
{
    lexer->text = text;
    lexer->at = at;
    lexer->stops_at_close = stops_at_close;
    lexer->is_after_value = false;
    lexer->is_after_dot = false;
    lexer->depth = 0;
}

bool token_is(const struct token *token, const char *punctuator)
{
    return token->kind == TOKEN_PUNCTUATOR && str_eq_c(token->text, punctuator);
}

static int peek(const struct lexer *lexer, size_t ahead)
{
    size_t at = lexer->at + ahead;
    return at < lexer->text.len ? (unsigned char)lexer->text.ptr[at] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '#' ||
           c == '\\' || c >= 0x80;
}

static bool is_name_part(int c)
{
    return is_name_start(c) || is_digit(c);
}

/* Bytes of the white space at the cursor; 0: none. U+00A0, U+FEFF, U+2028, U+2029 and the Zs
 * category count. */
static size_t space_length(const struct lexer *lexer)
{
    int c = peek(lexer, 0);
    if (c == ' ' || (c >= '\t' && c <= '\r'))
        return 1;
    if (c < 0x80)
        return 0;
    size_t at = lexer->at;
    uint32_t code = utf8_decode(lexer->text, &at);
    if (code == 0xA0 || code == 0xFEFF || code == 0x2028 || code == 0x2029 || code == 0x1680 ||
        (code >= 0x2000 && code <= 0x200A) || code == 0x202F || code == 0x205F || code == 0x3000)
        return at - lexer->at;
    return 0;
}

static int skip_space(struct lexer *lexer, struct err *err)
{
    for (;;) {
        size_t space = space_length(lexer);
        if (space > 0) {
            lexer->at += space;
        } else if (peek(lexer, 0) == '/' && peek(lexer, 1) == '*') {
            ptrdiff_t end = str_find(lexer->text, "*/", lexer->at + 2);
            if (end < 0)
                return err_set(err, RN_EINVAL, "the comment /* is not closed");
            lexer->at = (size_t)end + 2;
        } else if (peek(lexer, 0) == '/' && peek(lexer, 1) == '/') {
            while (peek(lexer, 0) >= 0 && peek(lexer, 0) != '\n') {
                if (lexer->stops_at_close && peek(lexer, 0) == '}' && peek(lexer, 1) == '}')
                    break;
                lexer->at++;
            }
        } else {
            return 0;
        }
    }
}

static int read_string(struct lexer *lexer, struct err *err)
{
    size_t start = lexer->at;
    int quote = peek(lexer, 0);
    lexer->at++;
    for (;;) {
        int c = peek(lexer, 0);
        if (c < 0 || c == '\n' || c == '\r') {
            lexer->at = start;
            return err_set(err, RN_EINVAL, "the string that starts with %c is not closed", quote);
        }
        lexer->at++;
        if (c == quote)
            return 0;
        if (c == '\\' && peek(lexer, 0) >= 0)
            lexer->at++;
    }
}

/* From behind a ` or the } of ${…} to the next ${ or `. */
static int read_template(struct lexer *lexer, struct err *err)
{
    for (;;) {
        int c = peek(lexer, 0);
        if (c < 0) {
            lexer->at = lexer->opened_at[lexer->depth - 1];
            return err_set(err, RN_EINVAL, "the template literal that starts with ` is not closed");
        }
        lexer->at++;
        if (c == '`') {
            lexer->depth--;
            return 0;
        }
        if (c == '\\' && peek(lexer, 0) >= 0)
            lexer->at++;
        if (c == '$' && peek(lexer, 0) == '{') {
            if (lexer->depth == LEXER_NESTING_MAX)
                return err_set(err, RN_EINVAL, "too deeply nested");
            lexer->opened_at[lexer->depth] = lexer->at - 1;
            lexer->nesting[lexer->depth++] = '$';
            lexer->at++;
            return 0;
        }
    }
}

static int read_regex(struct lexer *lexer, struct err *err)
{
    size_t start = lexer->at;
    bool is_in_class = false;
    lexer->at++;
    for (;;) {
        int c = peek(lexer, 0);
        if (c < 0 || c == '\n' || c == '\r') {
            lexer->at = start;
            return err_set(err, RN_EINVAL,
                           "the regular expression that starts with / is not closed");
        }
        lexer->at++;
        if (c == '\\' && peek(lexer, 0) >= 0)
            lexer->at++;
        else if (c == '[')
            is_in_class = true;
        else if (c == ']')
            is_in_class = false;
        else if (c == '/' && !is_in_class)
            break;
    }
    while (is_name_part(peek(lexer, 0)))
        lexer->at++;
    return 0;
}

static int open_bracket(struct lexer *lexer, char c, struct err *err)
{
    if (lexer->depth == LEXER_NESTING_MAX)
        return err_set(err, RN_EINVAL, "too deeply nested");
    lexer->opened_at[lexer->depth] = lexer->at;
    lexer->nesting[lexer->depth++] = c;
    return 0;
}

static int close_bracket(struct lexer *lexer, char c, struct err *err)
{
    if (lexer->depth == 0)
        return err_set(err, RN_EINVAL, "this %c closes nothing", c);
    char open = lexer->nesting[lexer->depth - 1];
    bool does_match =
        (c == ')' && open == '(') || (c == ']' && open == '[') || (c == '}' && open == '{');
    if (!does_match)
        return err_set(err, RN_EINVAL, "%c where %s is still open", c,
                       open == '$' ? "${" : (char[2]){open, 0});
    lexer->depth--;
    return 0;
}

static int read_punctuator(struct lexer *lexer, struct err *err)
{
    struct str rest = str_n(lexer->text.ptr + lexer->at, lexer->text.len - lexer->at);
    for (size_t i = 0; i < COUNT_OF(punctuators); i++) {
        if (!str_starts(rest, punctuators[i]))
            continue;
        if (punctuators[i][0] == '?' && punctuators[i][1] == '.' && is_digit(peek(lexer, 2)))
            continue; /* a ?.5 : 1 */
        lexer->at += strlen(punctuators[i]);
        return 0;
    }
    char c = rest.ptr[0];
    int code = 0;
    if (c == '(' || c == '[' || c == '{')
        code = open_bracket(lexer, c, err);
    else if (c == ')' || c == ']' || c == '}')
        code = close_bracket(lexer, c, err);
    else if ((unsigned char)c < ' ' || c == 0x7F || c == '@')
        code = err_set(err, RN_EINVAL, "a character that JavaScript does not know");
    if (code == 0)
        lexer->at++;
    return code;
}

static int read_end(struct lexer *lexer, struct err *err)
{
    if (lexer->depth > 0) {
        lexer->at = lexer->opened_at[lexer->depth - 1];
        char open = lexer->nesting[lexer->depth - 1];
        return err_set(err, RN_EINVAL, "this %s is not closed",
                       open == '$' ? "${" : (char[2]){open, 0});
    }
    return lexer->stops_at_close ? err_set(err, RN_EINVAL, "{{ is not closed") : 0;
}

static void note_previous(struct lexer *lexer, const struct token *token)
{
    bool was_after_dot = lexer->is_after_dot;
    lexer->is_after_dot = token_is(token, ".") || token_is(token, "?.");
    if (token->kind == TOKEN_PUNCTUATOR) {
        lexer->is_after_value =
            token_is(token, ")") || token_is(token, "]") || token_is(token, "}");
    } else if (token->kind == TOKEN_TEMPLATE) {
        lexer->is_after_value = !str_ends(token->text, "${");
    } else {
        lexer->is_after_value = true;
        for (size_t i = 0; token->kind == TOKEN_NAME && !was_after_dot && i < COUNT_OF(operators);
             i++)
            if (str_eq_c(token->text, operators[i]))
                lexer->is_after_value = false;
    }
}

static int read_token(struct lexer *lexer, struct token *ret, struct err *err)
{
    int c = peek(lexer, 0);
    if (c < 0) {
        ret->kind = TOKEN_END;
        return read_end(lexer, err);
    }
    if (c == '`') {
        ret->kind = TOKEN_TEMPLATE;
        int code = open_bracket(lexer, '`', err);
        lexer->at++;
        return code != 0 ? code : read_template(lexer, err);
    }
    if (c == '}' && lexer->depth > 0 && lexer->nesting[lexer->depth - 1] == '$') {
        ret->kind = TOKEN_TEMPLATE;
        lexer->depth--;
        lexer->at++;
        return read_template(lexer, err);
    }
    if (lexer->stops_at_close && lexer->depth == 0 && c == '}' && peek(lexer, 1) == '}') {
        ret->kind = TOKEN_CLOSE;
        lexer->at += 2;
        return 0;
    }
    if (c == '"' || c == '\'') {
        ret->kind = TOKEN_STRING;
        return read_string(lexer, err);
    }
    if (is_digit(c) || (c == '.' && is_digit(peek(lexer, 1)))) {
        ret->kind = TOKEN_NUMBER;
        for (;; lexer->at++) {
            int d = peek(lexer, 0);
            bool is_exponent_sign = (d == '+' || d == '-') && lexer->at > ret->offset &&
                                    (lexer->text.ptr[lexer->at - 1] | 0x20) == 'e' &&
                                    (lexer->text.ptr[ret->offset + 1] | 0x20) != 'x';
            if (!is_name_part(d) && d != '.' && !is_exponent_sign)
                return 0;
        }
    }
    if (is_name_start(c)) {
        ret->kind = TOKEN_NAME;
        while (is_name_part(peek(lexer, 0)) && space_length(lexer) == 0)
            lexer->at++;
        return 0;
    }
    if (c == '/' && !lexer->is_after_value) {
        ret->kind = TOKEN_REGEX;
        return read_regex(lexer, err);
    }
    ret->kind = TOKEN_PUNCTUATOR;
    return read_punctuator(lexer, err);
}

int lexer_next(struct lexer *lexer, struct token *ret, struct err *err)
{
    struct token token = {0};
    int code = skip_space(lexer, err);
    token.offset = lexer->at;
    if (code == 0)
        code = read_token(lexer, &token, err);
    if (code != 0)
        return code;
    token.text = str_n(lexer->text.ptr + token.offset, lexer->at - token.offset);
    note_previous(lexer, &token);
    *ret = token;
    return 0;
}
