/* JSON values: a strict reader, a tree, a writer. The only room that knows cJSON.
 *
 * Invariants of a tree: strings are valid UTF-8 and may hold U+0000 (length counts); member names
 * hold none and are unique in their object; a number keeps the literal it was read from, so that it
 * is written back digit for digit. Life cycle: json_parse or json_new_… → verbs → json_free of the
 * root. A value has one parent at most; json_set and json_append take ownership. Not for threads to
 * share while one of them changes it; reading is free. */
#ifndef RUNNEL_JSON_JSON_H
#define RUNNEL_JSON_JSON_H

#include "base/buf.h"
#include "base/err.h"

struct json;

enum json_kind { JSON_NULL, JSON_BOOLEAN, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Parses exactly one text: RFC 8259, valid UTF-8, no duplicate names, no U+0000 in names, at most
 * LIMIT_JSON_BYTES, _DEPTH, _NODES. RN_EPROTOCOL or RN_ETOOBIG with "line L, column C: …"
 * otherwise. The caller frees *ret. */
int json_parse(struct str text, struct json **ret, struct err *err) MUST_USE;
/* The same for what runnel itself has written (frames, records of the store): room for the wrapping
 * of a value that json_parse has let in, so LIMIT_FRAME_BYTES, 32 levels more, twice the nodes. */
int json_parse_own(struct str text, struct json **ret, struct err *err) MUST_USE;
/* Only checks; the same rules. */
int json_check(struct str text, struct err *err) MUST_USE;
/* Where element `index` of a top-level array stands in the text, without white space around it. The
 * whole text must be valid up to the end of that element. RN_EINVAL: no array; RN_ENOTFOUND: too
 * short; RN_EPROTOCOL. */
int json_element_span(struct str text, size_t index, size_t *ret_offset, size_t *ret_size) MUST_USE;

void json_free(struct json *value); /* NULL is fine */
struct json *json_copy(const struct json *value);
/* A value that shows the members or elements of `value` without copying them: `value` must outlive
 * it and stay as it is, and what is seen through it is read only. What is no container is copied. */
struct json *json_borrow(const struct json *value);
bool json_equal(const struct json *a,
                const struct json *b); /* members in any order; numbers by value */

struct json *json_new_null(void);
struct json *json_new_boolean(bool value);
struct json *json_new_integer(int64_t value);
struct json *json_new_unsigned(uint64_t value);
struct json *
json_new_double(double value); /* shortest text that reads back the same; NaN, infinities: null */
/* A number by its literal, which must be one (RN's own texts); returns NULL if it is none. */
struct json *json_new_number(struct str literal);
struct json *json_new_string(struct str text);    /* bytes that are not UTF-8 become U+FFFD */
struct json *json_new_string_c(const char *text); /* NULL: null */
struct json *json_new_array(void);
struct json *json_new_object(void);

/* Take `value` (also on failure) and return it borrowed; `value` NULL is ignored. json_set replaces
 * a member in its place. The wrong kind of container is our bug (assert). O(n) in the members for
 * json_set, O(1) for json_append. */
struct json *json_set(struct json *object, const char *name, struct json *value);
struct json *json_append(struct json *array, struct json *value);
/* As json_set, for a name that is known not to be there yet: O(1). */
struct json *json_add(struct json *object, const char *name, struct json *value);
/* Shorthands of json_set. */
void json_set_string(struct json *object, const char *name, const char *text); /* NULL: not set */
void json_set_str(struct json *object, const char *name, struct str text);
void json_set_integer(struct json *object, const char *name, int64_t value);
void json_set_boolean(struct json *object, const char *name, bool value);
/* Takes a member or element out; the caller owns it. NULL if it is not there. */
struct json *json_take(struct json *object, const char *name);
struct json *json_take_first(struct json *container);
void json_remove(struct json *object, const char *name);

/* Reading. All accept NULL (undefined) and the wrong kind, and then return the neutral value. */
enum json_kind json_kind(const struct json *value); /* `value` not NULL */
bool json_is(const struct json *value, enum json_kind kind);
const char *
json_kind_name(enum json_kind kind); /* "null", "boolean", "number", "string", "array", "object" */
bool json_is_true(const struct json *value);
struct str json_str(const struct json *value); /* of a string; {NULL, 0} otherwise. NUL behind it */
const char *json_c(const struct json *value);  /* of a string without U+0000; NULL otherwise */
struct str json_literal(const struct json *value);        /* of a number */
bool json_to_i64(const struct json *value, int64_t *ret); /* exact integers only: 1, 1.0, 1e3 */
bool json_to_u64(const struct json *value, uint64_t *ret);
bool json_to_double(const struct json *value,
                    double *ret); /* the nearest; false where that is an infinity */
/* Whether a double holds the number as written: the shortest text of the nearest double has the
 * same decimal value. True for 0.1 and 1e3; false for 9007199254740993, 1e400 and
 * 0.1000000000000000055511151231257827. */
bool json_is_exact_double(const struct json *value);
size_t json_count(const struct json *value);
const struct json *json_get(const struct json *object, const char *name);
const struct json *json_get_str(const struct json *object, struct str name);
const struct json *json_at(const struct json *array,
                           size_t index); /* O(n): loops use json_first and json_next */
const struct json *json_first(const struct json *value);
const struct json *json_next(const struct json *value);
const char *json_name(const struct json *member); /* NULL for an element */
/* The same for those who own the tree. */
struct json *json_get_mut(struct json *object, const char *name);
struct json *json_first_mut(struct json *value);
struct json *json_next_mut(struct json *value);

/* Shorthands of json_get + conversion. */
struct str json_get_text(const struct json *object, const char *name); /* {NULL, 0} if absent */
const char *json_get_c(const struct json *object, const char *name);   /* NULL if absent */
int64_t json_get_i64(const struct json *object, const char *name, int64_t otherwise);
bool json_get_bool(const struct json *object, const char *name, bool otherwise);

/* Writes compact JSON: names in their order, numbers as their literals, strings with the escapes
 * that RFC 8259 demands (control characters as \u00XX or their short forms) and everything else as
 * UTF-8. */
void json_write(struct buf *out, const struct json *value);
/* The same, indented by two spaces. */
void json_write_pretty(struct buf *out, const struct json *value);
/* The compact text; the caller frees. *ret_size may be NULL. */
char *json_text(const struct json *value, size_t *ret_size);
/* Only a string's text as a JSON string, with its quotes: for writing JSON by hand on a hot path.
 * Bytes that are not UTF-8 become U+FFFD. */
void json_write_string(struct buf *out, struct str text);

#endif
