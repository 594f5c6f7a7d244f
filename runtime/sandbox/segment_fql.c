/* Segment's filter query language, as far as destination triggers use it: `type = "track" and event
 * = "Order Completed"`. A recursive descent over a text of a bounded depth; what cannot be read is
 * refused when the subscription is made. */
#include "sandbox/segment.h"

#include <fnmatch.h>

enum { DEPTH_MAX = 32 };

struct fql {
    struct str rest;
    const struct json *event;
    int depth;
    bool is_bad;
};

static void skip_space(struct fql *fql)
{
    while (fql->rest.len && strchr(" \t\r\n", fql->rest.ptr[0]))
        fql->rest = str_n(fql->rest.ptr + 1, fql->rest.len - 1);
}

static bool take(struct fql *fql, const char *token)
{
    skip_space(fql);
    if (!str_starts(fql->rest, token))
        return false;
    fql->rest = str_n(fql->rest.ptr + strlen(token), fql->rest.len - strlen(token));
    return true;
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c == '-' || c == '.';
}

static struct str peek_word(struct fql *fql)
{
    skip_space(fql);
    size_t n = 0;
    while (n < fql->rest.len && is_word_char(fql->rest.ptr[n]))
        n++;
    return str_n(fql->rest.ptr, n);
}

static bool take_word(struct fql *fql, const char *word)
{
    struct str next = peek_word(fql);
    if (!str_eq_nocase(next, str_from(word)))
        return false;
    fql->rest = str_n(fql->rest.ptr + next.len, fql->rest.len - next.len);
    return true;
}

/* A string, number, boolean or null; the caller frees. NULL: none. */
static struct json *take_literal(struct fql *fql)
{
    struct json *value = NULL;
    skip_space(fql);
    if (fql->rest.len && (fql->rest.ptr[0] == '"' || fql->rest.ptr[0] == '\'')) {
        char quote = fql->rest.ptr[0];
        struct buf text = BUF_INIT(KIB(4));
        size_t i = 1;
        for (; i < fql->rest.len && fql->rest.ptr[i] != quote; i++) {
            i += fql->rest.ptr[i] == '\\' && i + 1 < fql->rest.len;
            buf_add_char(&text, fql->rest.ptr[i]);
        }
        if (i < fql->rest.len) {
            value = json_new_string(buf_str(&text));
            fql->rest = str_n(fql->rest.ptr + i + 1, fql->rest.len - i - 1);
        }
        buf_release(&text);
        return value;
    }
    struct str word = peek_word(fql);
    if (!word.len || json_parse(word, &value, NULL))
        return NULL;
    fql->rest = str_n(fql->rest.ptr + word.len, fql->rest.len - word.len);
    return value;
}

/* properties.plan of the event. */
static const struct json *take_path(struct fql *fql)
{
    struct str path = peek_word(fql), part = STR_NONE;
    const struct json *value = fql->event;
    fql->is_bad |= path.len == 0 || (path.ptr[0] >= '0' && path.ptr[0] <= '9');
    fql->rest = str_n(fql->rest.ptr + path.len, fql->rest.len - path.len);
    while (str_cut(&path, '.', &part))
        value = json_get_str(value, part);
    return value;
}

static bool compare(const struct json *value, const char *op, const struct json *literal)
{
    double a = 0, b = 0;
    if (strcmp(op, "=") == 0)
        return value ? json_equal(value, literal) : json_is(literal, JSON_NULL);
    if (strcmp(op, "!=") == 0)
        return value ? !json_equal(value, literal) : !json_is(literal, JSON_NULL);
    if (!json_to_double(value, &a) || !json_to_double(literal, &b))
        return false;
    return op[1] ? (op[0] == '<' ? a <= b : a >= b) : (op[0] == '<' ? a < b : a > b);
}

/* contains(path, "text"), match(path, "glob*"). */
static bool take_call(struct fql *fql, bool is_match)
{
    fql->is_bad |= !take(fql, "(");
    struct str text = json_str(take_path(fql));
    fql->is_bad |= !take(fql, ",");
    struct json *literal = take_literal(fql);
    const char *part = json_c(literal);
    fql->is_bad |= !part || !take(fql, ")");
    bool result = false;
    if (part && text.ptr) {
        char *whole = str_dup(text);
        result = is_match ? fnmatch(part, whole, 0) == 0 : str_find(text, part, 0) >= 0;
        free(whole);
    }
    json_free(literal);
    return result;
}

static bool either(struct fql *fql);

static bool single(struct fql *fql)
{
    static const char *const ops[] = {"!=", "<=", ">=", "=", "<", ">"};
    if (++fql->depth > DEPTH_MAX)
        fql->is_bad = true;
    bool result = false;
    if (fql->is_bad) {
        return false;
    } else if (take(fql, "(")) {
        result = either(fql);
        fql->is_bad |= !take(fql, ")");
    } else if (take_word(fql, "not") || (!str_starts(fql->rest, "!=") && take(fql, "!"))) {
        result = !single(fql);
    } else if (take_word(fql, "contains")) {
        result = take_call(fql, false);
    } else if (take_word(fql, "match")) {
        result = take_call(fql, true);
    } else {
        const struct json *value = take_path(fql);
        const char *op = NULL;
        for (size_t i = 0; i < COUNT_OF(ops) && !op; i++)
            if (take(fql, ops[i]))
                op = ops[i];
        struct json *literal = op ? take_literal(fql) : NULL;
        fql->is_bad |= op && !literal;
        result = op ? literal && compare(value, op, literal) : value && !json_is(value, JSON_NULL);
        json_free(literal);
    }
    fql->depth--;
    return result;
}

static bool both(struct fql *fql)
{
    bool result = single(fql);
    while (!fql->is_bad && take_word(fql, "and"))
        result &= single(fql);
    return result;
}

static bool either(struct fql *fql)
{
    bool result = both(fql);
    while (!fql->is_bad && take_word(fql, "or"))
        result |= both(fql);
    return result;
}

static bool read_all(struct str statement, const struct json *event, bool *ret_selects)
{
    struct fql fql = {.rest = statement, .event = event};
    *ret_selects = either(&fql);
    skip_space(&fql);
    return !fql.is_bad && fql.rest.len == 0;
}

bool segment_fql_is_good(struct str statement)
{
    bool selects;
    return read_all(statement, NULL, &selects);
}

bool segment_fql_selects(struct str statement, const struct json *event)
{
    bool selects;
    return read_all(statement, event, &selects) && selects;
}
