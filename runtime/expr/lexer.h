/* JavaScript's tokens, as far as one must know them to find where an expression ends, which names
 * it reads, and whether its brackets and quotes close. It is not a validator: what it lets through
 * may still be no JavaScript, what it refuses is none. Private to the room. */
#ifndef RUNNEL_EXPR_LEXER_H
#define RUNNEL_EXPR_LEXER_H

#include "base/err.h"
#include "base/str.h"

#define LEXER_NESTING_MAX 256

enum token_kind {
    TOKEN_END,
    TOKEN_CLOSE, /* the }} that ends the expression; only with `stops_at_close` */
    TOKEN_NAME,
    TOKEN_NUMBER,
    TOKEN_STRING,   /* with its quotes */
    TOKEN_TEMPLATE, /* a piece of a template literal, with its ` or } and ` or ${ */
    TOKEN_REGEX,
    TOKEN_PUNCTUATOR,
};

struct token {
    enum token_kind kind;
    size_t offset;
    struct str text;
};

struct lexer {
    struct str text;
    size_t at;
    bool stops_at_close;
    bool is_after_value; /* then / divides; else it starts a regular expression */
    bool is_after_dot;
    size_t depth;
    char nesting[LEXER_NESTING_MAX]; /* ( [ { ` and $ for ${ */
    size_t opened_at[LEXER_NESTING_MAX];
};

void lexer_init(struct lexer *lexer, struct str text, size_t at, bool stops_at_close);
/* RN_EINVAL with what is wrong; lexer->at is then where. */
int lexer_next(struct lexer *lexer, struct token *ret, struct err *err) MUST_USE;
bool token_is(const struct token *token, const char *punctuator);

#endif
