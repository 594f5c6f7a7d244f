/* The part of JavaScript that is evaluated here, without the engine: paths, literals, ?., ??,
 * comparisons, &&, ||, !, ?: and parentheses. What it cannot read it leaves to the engine; it never
 * guesses. Private to the room. [any thread] */
#ifndef RUNNEL_EXPR_FAST_H
#define RUNNEL_EXPR_FAST_H

#include "expr/template.h"
#include "expr/value.h"

#define FAST_DEPTH_MAX 200 /* of a tree; deeper ones are the engine's */

enum node_kind {
    NODE_LITERAL,
    NODE_STEPS,
    NODE_ENV,    /* process.env */
    NODE_MEMBER, /* a.name, a["name"], a[0], a?.name */
    NODE_GROUP,  /* (a): ends an optional chain */
    NODE_NOT,
    NODE_AND,
    NODE_OR,
    NODE_COALESCE,
    NODE_TERNARY, /* a ? b : c */
    NODE_STRICT_EQUAL,
    NODE_STRICT_UNEQUAL,
    NODE_EQUAL,
    NODE_UNEQUAL,
    NODE_LESS,
    NODE_LESS_EQUAL,
    NODE_GREATER,
    NODE_GREATER_EQUAL,
};

struct node {
    enum node_kind kind;
    int depth;
    bool is_optional; /* of a member: ?. */
    bool is_numeric;  /* of a member: written as [0] */
    struct str name;  /* of a member */
    struct value value;
    const struct node *a;
    const struct node *b;
    const struct node *c;
};

/* The tree of `text`, in `arena`; NULL: this is for the engine (or no JavaScript). */
const struct node *fast_parse(struct str text, struct arena *arena);
/* RN_EAGAIN: the engine must do it after all (a method's name on an array, …). RN_EFAILED: it
 * throws. Texts live in `arena`. */
int fast_eval(const struct node *node, const struct expr_scope *scope, struct arena *arena,
              struct value *ret, struct err *err) MUST_USE;
/* steps.a["b c"][0] of a chain of members. */
void fast_path_text(struct buf *out, const struct node *node);
/* Whether objects, arrays, strings, numbers or booleans inherit a member of this name. */
bool fast_is_inherited(enum json_kind kind, struct str name);

#endif
