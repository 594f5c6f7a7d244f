/* JavaScript values of the fast path and what the language says about them: truth, equality, order,
 * text. Where it would take more of the language than this room has (an object turned into a
 * primitive, "0x10" as a number, numbers past a double), the answer is RN_EAGAIN: the engine knows.
 * Private to the room. */
#ifndef RUNNEL_EXPR_VALUE_H
#define RUNNEL_EXPR_VALUE_H

#include "base/arena.h"
#include "base/err.h"
#include "json/json.h"

enum value_kind {
    VALUE_UNDEFINED,
    VALUE_NULL,
    VALUE_BOOLEAN,
    VALUE_NUMBER,
    VALUE_STRING,    /* UTF-8, and lone surrogates in three bytes of the same form */
    VALUE_EXACT,     /* a JSON number that a double cannot hold */
    VALUE_CONTAINER, /* an object or array of the scope */
};

struct node;

struct value {
    enum value_kind kind;
    bool boolean;
    double number;
    struct str string;
    const struct json *json;    /* what it was read from, if it was */
    const struct node *missing; /* of undefined: the reading that found nothing */
};

struct value value_of(const struct json *json); /* NULL: undefined */
bool value_is_nullish(const struct value *value);
bool value_is_truthy(const struct value *value);
int value_strictly_equals(const struct value *a, const struct value *b, bool *ret) MUST_USE;
int value_loosely_equals(const struct value *a, const struct value *b, bool *ret) MUST_USE;
/* a < b; *ret is -1 for undefined (a NaN was there), else 0 or 1. */
int value_is_less(const struct value *a, const struct value *b, int *ret) MUST_USE;

/* Number::toString of the language. */
void number_text(struct buf *out, double number);
/* UTF-16 units of a text, and one of them as text (NULL past the end). */
size_t utf16_length(struct str text);
struct str utf16_at(struct arena *arena, struct str text, size_t index);
/* A copy whose lone surrogates are U+FFFD. */
struct json *json_of_utf16_safe(struct str text);

#endif
