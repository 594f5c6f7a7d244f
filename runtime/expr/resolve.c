/* Resolving: the expressions' values first, then the result made of them. */
#include "expr/compiled.h"

#include <math.h>

struct slot_value *compiled_values_new(const struct expr_template *template)
{
    return xcalloc(template->slot_count + 1, sizeof(struct slot_value));
}

void compiled_values_free(const struct expr_template *template, struct slot_value *values)
{
    for (size_t i = 0; values != NULL && i < template->slot_count; i++) {
        json_free(values[i].owned);
        free(values[i].text);
        free(values[i].missing);
    }
    free(values);
}

void compiled_values_own(const struct expr_template *template, struct slot_value *values)
{
    for (size_t i = 0; i < template->slot_count; i++) {
        if (values[i].borrowed != NULL && values[i].owned == NULL)
            values[i].owned = json_copy(values[i].borrowed);
        values[i].borrowed = NULL;
    }
}

static char *missing_path(const struct node *missing, const struct slot *slot)
{
    if (missing == NULL)
        return xmemdup(slot->text.ptr, slot->text.len);
    struct buf path = BUF_INIT(LIMIT_EXPRESSION_TEXT * 2);
    fast_path_text(&path, missing);
    return buf_take(&path, NULL);
}

static void store_value(const struct slot *slot, const struct value *value, struct slot_value *ret)
{
    ret->is_ready = true;
    ret->borrowed = value->json;
    if (value->json != NULL)
        return;
    switch (value->kind) {
    case VALUE_UNDEFINED:
        ret->is_undefined = true;
        if (slot->is_whole)
            ret->missing = missing_path(value->missing, slot);
        return;
    case VALUE_BOOLEAN:
        ret->owned = json_new_boolean(value->boolean);
        return;
    case VALUE_STRING:
        ret->owned = json_of_utf16_safe(value->string);
        return;
    case VALUE_NUMBER: {
        struct buf text = BUF_INIT(64);
        number_text(&text, value->number);
        ret->owned = isfinite(value->number) ? json_new_number(buf_str(&text)) : json_new_null();
        ret->text = buf_take(&text, NULL);
        return;
    }
    case VALUE_NULL:
    case VALUE_EXACT:
    case VALUE_CONTAINER:
        ret->owned = json_new_null();
        return;
    }
}

int compiled_evaluate(const struct expr_template *template, const struct expr_scope *scope,
                      struct slot_value *values, struct expr_where *ret_where, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct expr_scope whole = {.steps = scope->steps != NULL ? scope->steps : template->empty,
                               .env = scope->env != NULL ? scope->env : template->empty};
    int code = 0;
    for (size_t i = 0; i < template->slot_count && code == 0; i++) {
        const struct slot *slot = &template->slots[i];
        struct value value = {0};
        if (slot->fast == NULL)
            continue;
        code = fast_eval(slot->fast, &whole, &arena, &value, err);
        if (code == 0)
            store_value(slot, &value, &values[i]);
        else if (code == RN_EAGAIN)
            code = 0;
        else
            compiled_where(slot, ret_where);
    }
    arena_release(&arena);
    return code;
}

static void add_slot_text(struct buf *out, const struct slot_value *value)
{
    if (value->text != NULL)
        buf_add_c(out, value->text);
    else
        expr_to_text(out, value->is_undefined    ? NULL
                          : value->owned != NULL ? value->owned
                                                 : value->borrowed);
}

/* NULL: undefined. */
static struct json *assemble(const struct part *part, struct slot_value *values, bool borrows,
                             bool *ret_too_big)
{
    switch (part->kind) {
    case PART_PLAIN:
        return part->literal.ptr != NULL ? json_new_string(part->literal) : json_copy(part->plain);
    case PART_SLOT: {
        struct slot_value *value = &values[part->slot];
        if (value->is_undefined)
            return NULL;
        struct json *json = value->owned ? value->owned
                            : borrows    ? json_borrow(value->borrowed)
                                         : json_copy(value->borrowed);
        value->owned = NULL;
        return json;
    }
    case PART_TEXT: {
        struct buf text = BUF_INIT(LIMIT_JSON_BYTES);
        for (const struct part *piece = part->first; piece != NULL; piece = piece->next) {
            if (piece->kind == PART_SLOT)
                add_slot_text(&text, &values[piece->slot]);
            else
                buf_add_str(&text, piece->literal);
        }
        struct json *json = json_new_string(buf_str(&text));
        *ret_too_big |= buf_is_overflowed(&text);
        buf_release(&text);
        return json;
    }
    case PART_ARRAY: {
        struct json *array = json_new_array();
        for (const struct part *element = part->first; element != NULL; element = element->next) {
            struct json *json = assemble(element, values, borrows, ret_too_big);
            json_append(array, json != NULL ? json : json_new_null());
        }
        return array;
    }
    case PART_OBJECT: {
        struct json *object = json_new_object();
        for (const struct part *member = part->first; member != NULL; member = member->next)
            json_add(object, member->name,
                     assemble(member, values, borrows, ret_too_big)); /* NULL is left out */
        return object;
    }
    }
    return NULL;
}

static void add_missing(struct expr_result *result, const char *member, struct slot_value *value)
{
    result->missing =
        xrealloc(result->missing, (result->missing_count + 1) * sizeof(*result->missing));
    struct expr_missing *missing = &result->missing[result->missing_count++];
    missing->member = xstrdup(member);
    missing->path = value->missing != NULL ? value->missing : xstrdup("");
    value->missing = NULL;
}

int compiled_assemble(const struct expr_template *template, struct slot_value *values, bool borrows,
                      struct expr_result *ret, struct err *err)
{
    const struct part *root = template->root;
    bool is_too_big = false;
    struct json *value = assemble(root, values, borrows, &is_too_big);
    if (is_too_big) {
        json_free(value);
        return err_set(err, RN_ETOOBIG, "a text with expressions is longer than %zu MiB",
                       LIMIT_JSON_BYTES >> 20);
    }
    *ret = (struct expr_result){.value = value};
    if (root->kind == PART_SLOT && values[root->slot].is_undefined)
        add_missing(ret, "", &values[root->slot]);
    for (const struct part *part = root->kind == PART_OBJECT ? root->first : NULL; part != NULL;
         part = part->next)
        if (part->kind == PART_SLOT && values[part->slot].is_undefined)
            add_missing(ret, part->name, &values[part->slot]);
    return 0;
}

int expr_resolve(const struct expr_template *template, const struct expr_scope *scope,
                 struct expr_result *ret, struct expr_where *ret_where, struct err *err)
{
    if (template->needs_engine)
        return RN_EAGAIN;
    struct slot_value *values = compiled_values_new(template);
    int code = compiled_evaluate(template, scope, values, ret_where, err);
    for (size_t i = 0; i < template->slot_count && code == 0; i++)
        if (!values[i].is_ready)
            code = RN_EAGAIN;
    if (code == 0)
        code = compiled_assemble(template, values, scope->borrows, ret, err);
    compiled_values_free(template, values);
    return code;
}

void expr_result_release(struct expr_result *result)
{
    if (result == NULL)
        return;
    json_free(result->value);
    for (size_t i = 0; i < result->missing_count; i++) {
        free(result->missing[i].member);
        free(result->missing[i].path);
    }
    free(result->missing);
    *result = (struct expr_result){0};
}

void expr_to_text(struct buf *out, const struct json *value)
{
    if (value == NULL)
        buf_add_c(out, "undefined");
    else if (json_is(value, JSON_STRING))
        buf_add_str(out, json_str(value));
    else
        json_write(out, value);
}
