/* Names in expressions that nothing declares: read off the tokens, without a parser. A name counts
 * only if all of its places look like reading it; one that could be a parameter, a variable or a
 * member is left alone, so that what is said is right, at the price of not saying all. */
#include "expr/compiled.h"
#include "expr/lexer.h"

#include "base/map.h"

static const char *const known[] = {
    "steps", "process", "btoa", "atob", "structuredClone", "undefined", "NaN", "Infinity",
    "globalThis", "Object", "Function", "Array", "String", "Number", "Boolean", "Symbol", "BigInt",
    "Math", "JSON", "Date", "RegExp", "Map", "Set", "WeakMap", "WeakSet", "WeakRef",
    "FinalizationRegistry", "Promise", "Proxy", "Reflect", "Iterator", "Error", "EvalError",
    "RangeError", "ReferenceError", "SyntaxError", "TypeError", "URIError", "AggregateError",
    "InternalError", "ArrayBuffer", "SharedArrayBuffer", "DataView", "Atomics", "Int8Array",
    "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array", "Uint32Array",
    "BigInt64Array", "BigUint64Array", "Float16Array", "Float32Array", "Float64Array", "parseInt",
    "parseFloat", "isNaN", "isFinite", "decodeURI", "decodeURIComponent", "encodeURI",
    "encodeURIComponent", "escape", "unescape", "eval",
    /* words of the language */
    "true", "false", "null", "this", "arguments", "new", "typeof", "void", "delete", "in", "of",
    "instanceof", "await", "async", "yield", "function", "return", "if", "else", "for", "while",
    "do", "switch", "case", "default", "break", "continue", "try", "catch", "finally", "throw",
    "let", "const", "var", "class", "extends", "super", "import", "export", "static", "get", "set",
    "with", "debugger", "enum"};

struct seen {
    size_t offset; /* of its first place */
    bool is_only_read;
};

static bool is_known(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (str_eq_c(name, known[i]))
            return true;
    return false;
}

static bool is_one_of(const struct token *token, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_c(token->text, texts[i]))
            return true;
    return false;
}

/* Whether the name between these two tokens is surely read. */
static bool looks_read(const struct token *before, const struct token *after)
{
    static const char *const declaring[] = {"let",   "const",  "var", "function", "class",
                                            "catch", "typeof", "...", "get",      "set"};
    static const char *const reading[] = {".",   "?.",  "[",  "+",  "-",  "*", "/",  "%",
                                          "===", "!==", "==", "!=", "<",  ">", "<=", ">=",
                                          "&&",  "||",  "??", "?",  "**", "&", "|",  "^"};
    static const char *const of_methods[] = {"{", ",", "*", "async"};
    if (before->kind != TOKEN_STRING && is_one_of(before, declaring, COUNT_OF(declaring)))
        return false;
    if (after->kind == TOKEN_END || after->kind == TOKEN_CLOSE || after->kind == TOKEN_TEMPLATE)
        return true;
    if (token_is(after, "(")) /* a call, or a method's name */
        return !is_one_of(before, of_methods, COUNT_OF(of_methods));
    return after->kind == TOKEN_PUNCTUATOR && is_one_of(after, reading, COUNT_OF(reading));
}

static void note(struct map *names, const struct token *name, bool is_read)
{
    struct seen *seen = map_get(names, name->text);
    if (!seen) {
        seen = xcalloc(1, sizeof(*seen));
        *seen = (struct seen){name->offset, true};
        (void)map_put(names, name->text, seen);
    }
    seen->is_only_read &= is_read;
}

static void read_names(struct str text, struct map *names)
{
    struct token before = {.kind = TOKEN_PUNCTUATOR}, name = before, after = before;
    struct lexer lexer;
    lexer_init(&lexer, text, 0, false);
    while (lexer_next(&lexer, &after, NULL) == 0) {
        bool is_member = token_is(&before, ".") || token_is(&before, "?.");
        if (name.kind == TOKEN_NAME && !is_member && !is_known(name.text))
            note(names, &name, looks_read(&before, &after));
        before = name;
        name = after;
        if (after.kind == TOKEN_END)
            break;
    }
}

void expr_free_names(const struct expr_template *template,
                     void (*each)(void *ctx, struct str name, const struct expr_where *where),
                     void *ctx)
{
    for (size_t i = 0; i < template->slot_count; i++) {
        struct map names = MAP_INIT;
        size_t at = 0;
        read_names(template->slots[i].text, &names);
        for (const struct map_entry *e; (e = map_next(&names, &at));) {
            const struct seen *seen = e->value;
            struct expr_where where = {0};
            compiled_where(&template->slots[i], &where);
            where.offset += seen->offset;
            if (seen->is_only_read)
                each(ctx, str_n(e->key, e->key_len), &where);
        }
        map_release(&names, free);
    }
}
