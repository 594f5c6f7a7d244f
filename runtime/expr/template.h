/* Prop values with {{ … }} in them: compiled once per workflow version, resolved per step.
 *
 * A template is a JSON value in whose strings, at any depth, {{ expression }} may stand. A string
 * that is one whole {{…}} keeps the value's type; in mixed text each value becomes text: a string
 * as it is, a number by its literal, true/false/null/undefined by their names, objects and arrays
 * as JSON. A missing path is undefined: as a whole value it leaves the member out (null in an
 * array). Inside an expression strings and template literals may hold }}; `{{{{` writes a literal
 * {{.
 *
 * Plain paths (steps.a.$return_value.b[0]["c d"]?.e, process.env.X), literals, ?., ??, ===, !==,
 * ==, !=, <, <=, >, >=, &&, ||, !, ?: and parentheses of these are resolved here in C, with
 * JavaScript's results. Everything else needs the engine (engine.h); what is not JavaScript at all
 * is an error at compile time where this room can see it. [any thread]; a compiled template is
 * immutable.
 */
#ifndef RUNNEL_EXPR_TEMPLATE_H
#define RUNNEL_EXPR_TEMPLATE_H

#include "base/err.h"
#include "base/limits.h"
#include "json/json.h"

struct expr_template;

/* What names mean during a resolve; borrowed. */
struct expr_scope {
    const struct json *steps; /* object: {trigger: {event, context}, <namespace>: {…}} */
    const struct json *env;   /* object of strings: process.env */
    /* Lists and objects of the result may be views into `steps` (json_borrow()), which then has to
     * outlive it. */
    bool borrows;
};

/* Where in the template something is: "message", "rows[0].name"; and the offset of the expression
 * in that string. */
struct expr_where {
    char path[256];
    size_t offset;
    char expression[256]; /* its text, cut */
};

/* `value` is copied as far as needed. RN_EINVAL, and *ret_where (may be NULL) says where. */
int expr_compile(const struct json *value, struct expr_template **ret, struct expr_where *ret_where,
                 struct err *err) MUST_USE;
void expr_template_free(struct expr_template *template);
bool expr_is_constant(const struct expr_template *template); /* no {{…}} in it */
bool expr_needs_engine(const struct expr_template *template);

/* Calls `each` for every reference steps.<name>… in the template whose name can be read off the
 * text (also inside expressions for the engine). `rest` is the path behind the name:
 * "event.body.id"; `where` says where. For `runnel check`. */
void expr_references(const struct expr_template *template,
                     void (*each)(void *ctx, struct str step, struct str rest,
                                  const struct expr_where *where),
                     void *ctx);

/* Calls `each` for every name that an expression reads, that nothing in it declares, and that
 * neither the scope nor JavaScript has: `step` in {{step.a}}. Not all of them are found. */
void expr_free_names(const struct expr_template *template,
                     void (*each)(void *ctx, struct str name, const struct expr_where *where),
                     void *ctx);

/* A member (top level of the template's object) that came out undefined, and the path that was
 * missing. */
struct expr_missing {
    char *member; /* "worksheetId" */
    char *path;   /* "steps.trigger.event.body.sheet": the longest prefix that is missing */
};

struct expr_result {
    struct json *value; /* owned by the caller */
    struct expr_missing *missing;
    size_t missing_count;
};

void expr_result_release(struct expr_result *result);

/* Resolves a template that does not need the engine. RN_EAGAIN if it does (call expr_engine_resolve
 * instead). RN_EFAILED when it throws (reading a member of undefined or null without ?.): text as
 * JavaScript has it, with expression and place. */
int expr_resolve(const struct expr_template *template, const struct expr_scope *scope,
                 struct expr_result *ret, struct expr_where *ret_where, struct err *err) MUST_USE;

/* How a value reads in mixed text (see above). `value` NULL is undefined. */
void expr_to_text(struct buf *out, const struct json *value);

#endif
