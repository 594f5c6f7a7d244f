/* What a compiled template is, for template.c and engine.c. Private to the room.
 *
 * The expressions of a template stand in `slots`, in the order of the text; the tree of parts says
 * where each belongs. A resolve fills one `slot_value` per slot (here or by the engine), and
 * compiled_assemble() makes the result of them. Immutable after expr_compile(), counted because a
 * call to the engine outlives its caller's interest. */
#ifndef RUNNEL_EXPR_COMPILED_H
#define RUNNEL_EXPR_COMPILED_H

#include "expr/fast.h"

#include <stdatomic.h>

struct slot {
    struct str text;         /* of the expression, trimmed; NUL behind it */
    size_t offset;           /* of it in its string */
    const char *path;        /* of the string in the template */
    bool is_whole;           /* the string is this expression alone: the value keeps its type */
    const struct node *fast; /* NULL: for the engine */
};

enum part_kind { PART_PLAIN, PART_SLOT, PART_TEXT, PART_ARRAY, PART_OBJECT };

struct part {
    enum part_kind kind;
    const char *name;         /* as a member */
    const struct json *plain; /* PART_PLAIN */
    struct str literal;       /* a piece of PART_TEXT that is no slot */
    size_t slot;              /* PART_SLOT */
    struct part *first;       /* pieces, elements, members */
    struct part *next;
};

struct expr_template {
    atomic_int references;
    struct arena arena;
    struct json *source;
    struct json *empty; /* {}: steps or env where the scope has none */
    struct slot *slots;
    size_t slot_count;
    bool needs_engine;
    struct part *root;
};

/* The value of one expression. */
struct slot_value {
    bool is_ready;
    bool is_undefined;
    struct json *owned;          /* one of these two, unless undefined */
    const struct json *borrowed; /* of the scope */
    char *text;                  /* in mixed text instead of the value's own (NaN), or NULL */
    char *missing;               /* of undefined: the path */
};

/* Flag of compiled_compile(): leaves everything to the engine, to test that both ways agree. */
#define COMPILED_ALL_ENGINE (1u << 0)

int compiled_compile(const struct json *value, unsigned flags, struct expr_template **ret,
                     struct expr_where *ret_where, struct err *err) MUST_USE;
void compiled_ref(const struct expr_template *template);
/* Fills the slots that can be evaluated here, leaves the others not ready. RN_EFAILED with
 * *ret_where. */
int compiled_evaluate(const struct expr_template *template, const struct expr_scope *scope,
                      struct slot_value *values, struct expr_where *ret_where,
                      struct err *err) MUST_USE;
/* All slots are ready. `borrows`: see struct expr_scope. RN_ETOOBIG: a text over LIMIT_JSON_BYTES. */
int compiled_assemble(const struct expr_template *template, struct slot_value *values, bool borrows,
                      struct expr_result *ret, struct err *err) MUST_USE;
struct slot_value *compiled_values_new(const struct expr_template *template);
/* Makes the values independent of the scope. */
void compiled_values_own(const struct expr_template *template, struct slot_value *values);
void compiled_values_free(const struct expr_template *template, struct slot_value *values);
void compiled_where(const struct slot *slot, struct expr_where *ret);

#endif
