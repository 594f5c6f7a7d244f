/* Compiling: the JSON tree is walked once, each string is cut at its {{ }} by the lexer (which
 * knows strings, template literals, regular expressions and comments, so that }} inside them does
 * not count). */
#include "expr/template.h"

#include "expr/compiled.h"
#include "expr/lexer.h"

struct compile {
    struct expr_template *template;
    unsigned flags;
    size_t slot_capacity;
    struct buf path;
    struct expr_where *where;
    struct err *err;
};

/* `text` cut at a character's border. */
static void copy_cut(char *out, size_t size, struct str text)
{
    size_t length = text.len < size - 1 ? text.len : size - 1;
    while (length > 0 && length < text.len && ((unsigned char)text.ptr[length] & 0xC0) == 0x80)
        length--;
    if (length > 0)
        memcpy(out, text.ptr, length);
    out[length] = '\0';
}

void compiled_where(const struct slot *slot, struct expr_where *ret)
{
    if (ret == NULL)
        return;
    copy_cut(ret->path, sizeof(ret->path), str_from(slot->path));
    copy_cut(ret->expression, sizeof(ret->expression), slot->text);
    ret->offset = slot->offset;
}

static int refuse(struct compile *c, struct str text, size_t from, size_t offset, int code)
{
    if (c->where != NULL) {
        struct str rest = str_n(text.ptr + from, text.len - from);
        ptrdiff_t end = str_find(rest, "}}", 0);
        if (end >= 0)
            rest.len = (size_t)end + 2;
        copy_cut(c->where->path, sizeof(c->where->path), buf_str(&c->path));
        copy_cut(c->where->expression, sizeof(c->where->expression), rest);
        c->where->offset = offset;
    }
    return code;
}

static struct part *add_part(struct compile *c, struct part *parent, struct part **last,
                             enum part_kind kind)
{
    struct part *part = arena_alloc(&c->template->arena, sizeof(*part));
    part->kind = kind;
    if (parent != NULL) {
        if (*last == NULL)
            parent->first = part;
        else
            (*last)->next = part;
        *last = part;
    }
    return part;
}

static size_t add_slot(struct compile *c, struct str expression, size_t offset, bool is_whole)
{
    struct expr_template *template = c->template;
    if (template->slot_count == c->slot_capacity) {
        c->slot_capacity = c->slot_capacity > 0 ? c->slot_capacity * 2 : 8;
        template->slots = xrealloc(template->slots, c->slot_capacity * sizeof(*template->slots));
    }
    struct slot *slot = &template->slots[template->slot_count];
    *slot = (struct slot){.offset = offset, .is_whole = is_whole};
    slot->text.ptr = arena_dup(&template->arena, expression);
    slot->text.len = expression.len;
    slot->path = arena_dup(&template->arena, buf_str(&c->path));
    if ((c->flags & COMPILED_ALL_ENGINE) == 0)
        slot->fast = fast_parse(slot->text, &template->arena);
    template->needs_engine |= slot->fast == NULL;
    return template->slot_count++;
}

/* From behind {{ at `start` to behind }}. */
static int scan_expression(struct compile *c, struct str text, size_t start, size_t *ret_end)
{
    struct lexer lexer;
    struct token token;
    lexer_init(&lexer, text, start, true);
    for (size_t count = 0;; count++) {
        int code = lexer_next(&lexer, &token, c->err);
        if (code != 0) {
            bool is_unclosed = lexer.at >= text.len && lexer.depth == 0;
            return refuse(c, text, start - 2, is_unclosed ? start - 2 : lexer.at, code);
        }
        if (token.kind != TOKEN_CLOSE)
            continue;
        if (count == 0)
            return refuse(c, text, start - 2, start - 2,
                          err_set(c->err, RN_EINVAL, "there is no expression between {{ and }}"));
        break;
    }
    *ret_end = lexer.at;
    if (lexer.at - 2 - start > LIMIT_EXPRESSION_TEXT)
        return refuse(c, text, start - 2, start - 2,
                      err_set(c->err, RN_EINVAL, "the expression is longer than %zu KiB",
                              LIMIT_EXPRESSION_TEXT / 1024));
    return 0;
}

static int compile_string(struct compile *c, const struct json *value, struct part *part)
{
    struct str text = json_str(value);
    struct buf literal = BUF_INIT(text.len + 1);
    struct part *last = NULL;
    int code = 0;
    part->kind = PART_TEXT;
    for (size_t at = 0; at < text.len && code == 0;) {
        ptrdiff_t found = str_find(text, "{{", at);
        size_t open = found >= 0 ? (size_t)found : text.len;
        buf_add(&literal, text.ptr + at, open - at);
        at = open;
        if (open == text.len)
            break;
        if (str_starts(str_n(text.ptr + open, text.len - open), "{{{{")) {
            buf_add_c(&literal, "{{");
            at = open + 4;
            continue;
        }
        code = scan_expression(c, text, open + 2, &at);
        if (code != 0)
            break;
        if (literal.len > 0) {
            struct part *piece = add_part(c, part, &last, PART_TEXT);
            piece->literal = str_n(arena_dup(&c->template->arena, buf_str(&literal)), literal.len);
            buf_clear(&literal);
        }
        size_t start = open + 2;
        struct str expression = str_n(text.ptr + start, at - 2 - start);
        struct str trimmed = str_trim(expression);
        bool is_whole = open == 0 && at == text.len;
        struct part *piece = is_whole ? part : add_part(c, part, &last, PART_SLOT);
        piece->kind = PART_SLOT;
        piece->slot = add_slot(c, trimmed, (size_t)(trimmed.ptr - text.ptr), is_whole);
    }
    if (code == 0 && part->kind == PART_TEXT && part->first == NULL) {
        part->kind = PART_PLAIN; /* no expression in it; {{{{ may have been */
        part->literal = str_n(arena_dup(&c->template->arena, buf_str(&literal)), literal.len);
    } else if (code == 0 && literal.len > 0) {
        struct part *piece = add_part(c, part, &last, PART_TEXT);
        piece->literal = str_n(arena_dup(&c->template->arena, buf_str(&literal)), literal.len);
    }
    buf_release(&literal);
    return code;
}

static void add_path_name(struct buf *path, const char *name)
{
    bool is_plain = name[0] != '\0';
    for (const char *p = name; *p != '\0'; p++)
        is_plain = is_plain && strchr(" .[]\"'", *p) == NULL;
    if (is_plain) {
        buf_addf(path, "%s%s", path->len > 0 ? "." : "", name);
    } else {
        buf_add_char(path, '[');
        json_write_string(path, str_from(name));
        buf_add_char(path, ']');
    }
}

static bool has_expression(const struct json *value)
{
    if (json_is(value, JSON_STRING))
        return str_find(json_str(value), "{{", 0) >= 0;
    for (const struct json *child = json_first(value); child != NULL; child = json_next(child))
        if (has_expression(child))
            return true;
    return false;
}

static int compile_value(struct compile *c, const struct json *value, struct part *part)
{
    part->kind = PART_PLAIN;
    part->plain = value;
    if (!has_expression(value))
        return 0;
    if (json_is(value, JSON_STRING))
        return compile_string(c, value, part);
    bool is_array = json_is(value, JSON_ARRAY);
    part->kind = is_array ? PART_ARRAY : PART_OBJECT;
    struct part *last = NULL;
    size_t index = 0;
    int code = 0;
    for (const struct json *child = json_first(value); child != NULL && code == 0;
         child = json_next(child)) {
        size_t length = c->path.len;
        struct part *piece = add_part(c, part, &last, PART_PLAIN);
        piece->name = is_array ? NULL : json_name(child);
        if (is_array)
            buf_addf(&c->path, "[%zu]", index++);
        else
            add_path_name(&c->path, piece->name);
        code = compile_value(c, child, piece);
        c->path.len = length;
    }
    return code;
}

int compiled_compile(const struct json *value, unsigned flags, struct expr_template **ret,
                     struct expr_where *ret_where, struct err *err)
{
    struct expr_template *template = xcalloc(1, sizeof(*template));
    atomic_init(&template->references, 1);
    template->source = json_copy(value);
    template->empty = json_new_object();
    template->root = arena_alloc(&template->arena, sizeof(*template->root));
    struct compile c = {.template = template,
                        .flags = flags,
                        .path = BUF_INIT(KIB(16)),
                        .where = ret_where,
                        .err = err};
    buf_add_c(&c.path, "");
    int code = compile_value(&c, template->source, template->root);
    buf_release(&c.path);
    if (code == 0)
        *ret = template;
    else
        expr_template_free(template);
    return code;
}

int expr_compile(const struct json *value, struct expr_template **ret, struct expr_where *ret_where,
                 struct err *err)
{
    return compiled_compile(value, 0, ret, ret_where, err);
}

/* The only thing in a template that changes. */
void compiled_ref(const struct expr_template *template)
{
    union {
        const struct expr_template *constant;
        struct expr_template *counted;
    } both = {.constant = template};
    atomic_fetch_add(&both.counted->references, 1);
}

void expr_template_free(struct expr_template *template)
{
    if (template == NULL || atomic_fetch_sub(&template->references, 1) != 1)
        return;
    arena_release(&template->arena);
    json_free(template->source);
    json_free(template->empty);
    free(template->slots);
    free(template);
}

bool expr_is_constant(const struct expr_template *template)
{
    return template->slot_count == 0;
}

bool expr_needs_engine(const struct expr_template *template)
{
    return template->needs_engine;
}

/* ---- references */

struct reference {
    bool is_open; /* `steps` was read */
    bool has_name;
    struct str step;
    struct buf rest;
    size_t last_member; /* length of `rest` before its last member: a called method is no path */
    bool wants_name;    /* behind a . */
    bool wants_key;     /* behind a [ */
    bool has_key;       /* and the key was read */
    size_t offset;
};

struct report {
    const struct slot *slot;
    void (*each)(void *ctx, struct str step, struct str rest, const struct expr_where *where);
    void *ctx;
};

static void end_reference(struct reference *r, const struct report *report, bool is_called)
{
    if (r->is_open && r->has_name) {
        struct expr_where where = {0};
        compiled_where(report->slot, &where);
        where.offset += r->offset;
        if (is_called)
            r->rest.len = r->last_member;
        report->each(report->ctx, r->step, buf_str(&r->rest), &where);
    }
    r->is_open = false;
    r->has_name = false;
}

static void add_name(struct reference *r, struct str name, bool is_index)
{
    r->wants_name = r->wants_key = false;
    if (!r->has_name) {
        r->step = name;
        r->has_name = true;
        return;
    }
    r->last_member = r->rest.len;
    if (is_index)
        buf_addf(&r->rest, "[" STR_FMT "]", STR_ARG(name));
    else
        buf_addf(&r->rest, "%s" STR_FMT, r->rest.len > 0 ? "." : "", STR_ARG(name));
}

/* Takes the token if it goes on with the path. */
static bool follow_reference(struct reference *r, const struct token *token)
{
    struct str text = token->text;
    if (r->has_key) {
        r->has_key = false;
        return token_is(token, "]");
    }
    if (r->wants_key) {
        bool is_text = token->kind == TOKEN_STRING && memchr(text.ptr, '\\', text.len) == NULL;
        if (is_text)
            add_name(r, str_n(text.ptr + 1, text.len - 2), false);
        else if (token->kind == TOKEN_NUMBER && r->has_name)
            add_name(r, text, true);
        else
            return false;
        r->has_key = true;
        return true;
    }
    if (r->wants_name && token->kind == TOKEN_NAME) {
        add_name(r, text, false);
        return true;
    }
    if (token_is(token, "[")) {
        r->wants_name = false;
        r->wants_key = true;
        return true;
    }
    if (!r->wants_name && (token_is(token, ".") || token_is(token, "?."))) {
        r->wants_name = true;
        return true;
    }
    return false;
}

static void find_references(const struct report *report)
{
    struct lexer lexer;
    struct token token = {.kind = TOKEN_PUNCTUATOR};
    struct reference r = {.rest = BUF_INIT(LIMIT_EXPRESSION_TEXT)};
    lexer_init(&lexer, report->slot->text, 0, false);
    for (bool was_dot = false;;) {
        if (lexer_next(&lexer, &token, NULL) != 0)
            break;
        if (!r.is_open || !follow_reference(&r, &token)) {
            end_reference(&r, report, token_is(&token, "("));
            if (token.kind == TOKEN_NAME && !was_dot && str_eq_c(token.text, "steps")) {
                r.is_open = true;
                r.wants_name = r.wants_key = r.has_key = false;
                r.last_member = 0;
                r.offset = token.offset;
                buf_clear(&r.rest);
            }
        }
        if (token.kind == TOKEN_END)
            break;
        was_dot = token_is(&token, ".") || token_is(&token, "?.");
    }
    buf_release(&r.rest);
}

void expr_references(const struct expr_template *template,
                     void (*each)(void *ctx, struct str step, struct str rest,
                                  const struct expr_where *where),
                     void *ctx)
{
    for (size_t i = 0; i < template->slot_count; i++) {
        struct report report = {.slot = &template->slots[i], .each = each, .ctx = ctx};
        find_references(&report);
    }
}
