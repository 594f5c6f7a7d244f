/* The {{ … }} of a file: each compiles, and each steps.<name> in it has run when its step does. */
#include "flow/load.h"

#include "expr/engine.h"

#include <stdarg.h>

bool has_expression(struct str text)
{
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.ptr[i] != '{' || text.ptr[i + 1] != '{')
            continue;
        if (i + 3 >= text.len || text.ptr[i + 2] != '{' || text.ptr[i + 3] != '{')
            return true;
        i += 3; /* {{{{ is a literal {{ */
    }
    return false;
}

bool is_whole_expression(struct str text)
{
    if (!str_starts(text, "{{") || !str_ends(text, "}}") || str_starts(text, "{{{{"))
        return false;
    /* More than one {{ … }} is mixed text; }} and {{ inside strings are not, but then the engine
     * decides. */
    ptrdiff_t end = str_find(text, "}}", 2);
    return end < 0 || str_find(text, "{{", (size_t)end) < 0;
}

struct check {
    const struct file *file;
    const struct names *known;
    const struct json *string;
    bool ok;
};

static bool is_name_char(char c)
{
    return is_identifier(str_n(&c, 1)) || (c >= '0' && c <= '9') || c == '$';
}

/* Where `steps.<name>` stands in the string, at or behind `from`. */
static size_t find_reference(struct str text, struct str name, size_t from)
{
    for (ptrdiff_t at = str_find(text, "steps", from); at >= 0;
         at = str_find(text, "steps", (size_t)at + 1)) {
        size_t i = (size_t)at + 5;
        while (i < text.len && strchr("?.[\"'`", text.ptr[i]))
            i++;
        struct str rest = str_n(text.ptr + i, text.len - i);
        if (rest.len >= name.len && memcmp(rest.ptr, name.ptr, name.len) == 0 &&
            (rest.len == name.len || !is_name_char(rest.ptr[name.len])))
            return (size_t)at;
    }
    return from;
}

static void say(struct check *check, size_t offset, bool is_warning, const char *format, ...)
    PRINTF_LIKE(4, 5);

static void say(struct check *check, size_t offset, bool is_warning, const char *format, ...)
{
    char text[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    const struct file *file = check->file;
    struct yaml_place place = yaml_place_in(file->doc, check->string, offset);
    if (is_warning) {
        if (!file->load->is_kept)
            problem_warn(file->load->problems, file->name, place.line, place.column, "%s", text);
        return;
    }
    problem_add(file->load->problems, file->name, place.line, place.column, "%s", text);
    check->ok = false;
}

static void check_trigger_path(struct check *check, struct str rest, size_t offset)
{
    struct str first = rest;
    for (size_t i = 0; i < rest.len; i++) {
        if (strchr(".[?", rest.ptr[i])) {
            first.len = i;
            break;
        }
    }
    if (first.len == 0 || str_eq_c(first, "event") || str_eq_c(first, "context"))
        return;
    say(check, offset, true,
        "steps.trigger has \"event\" and \"context\", no \"" STR_FMT
        "\": did you mean steps.trigger.event." STR_FMT "?",
        STR_ARG(first), STR_ARG(rest));
}

static void check_loop_path(struct check *check, const char *name, struct str rest, size_t offset)
{
    struct str first = rest;
    for (size_t i = 0; i < rest.len; i++) {
        if (strchr(".[?", rest.ptr[i])) {
            first.len = i;
            break;
        }
    }
    if (first.len && !str_eq_c(first, "item") && !str_eq_c(first, "index"))
        say(check, offset, true,
            "inside the loop, steps.%s has \"item\" and \"index\", no \"" STR_FMT "\"", name,
            STR_ARG(first));
}

static void on_reference(void *ctx, struct str step, struct str rest,
                         const struct expr_where *where)
{
    struct check *check = ctx;
    size_t offset = find_reference(json_str(check->string), step, where ? where->offset : 0);
    if (!check->known) {
        say(check, offset, false,
            "a source runs before there are steps: its props can use process.env only, not "
            "steps." STR_FMT,
            STR_ARG(step));
        return;
    }
    struct nearest nearest;
    nearest_init(&nearest, step);
    for (size_t i = 0; i < check->known->count; i++) {
        const struct known_name *name = &check->known->list[i];
        if (!str_eq_c(step, name->name)) {
            if (name->state == NAME_READY)
                nearest_offer(&nearest, name->name);
            continue;
        }
        if (name->state == NAME_SELF)
            say(check, offset, false, "steps.%s is this step itself: it has no result yet",
                name->name);
        else if (name->state == NAME_LATER)
            say(check, offset, false,
                "steps.%s has not run here: the step \"%s\" comes later in the file", name->name,
                name->name);
        else if (name->state == NAME_INSIDE)
            say(check, offset, false,
                "steps.%s is inside the block \"%s\" and not seen behind it: use "
                "steps.%s.$return_value",
                name->name, name->block, name->block);
        else if (name->state == NAME_BESIDE)
            say(check, offset, false,
                "steps.%s is in another branch of \"%s\": one branch does not see another",
                name->name, name->block);
        else if (name->state == NAME_LOOP)
            check_loop_path(check, name->name, rest, offset);
        else if (name->state == NAME_DISABLED)
            say(check, offset, false, "steps.%s has no result: the step \"%s\" is disabled",
                name->name, name->name);
        else if (str_eq_c(step, "trigger"))
            check_trigger_path(check, rest, offset);
        return;
    }
    char hint[NEAREST_TEXT_MAX];
    say(check, offset, false, "there is no step or trigger \"" STR_FMT "\" before this%s",
        STR_ARG(step), nearest_text(&nearest, hint));
}

/* A name that the expression will not find. */
static void on_free_name(void *ctx, struct str name, const struct expr_where *where)
{
    static const char *const missing[] = {"fetch",       "require", "Buffer",
                                          "URL",         "Intl",    "setTimeout",
                                          "setInterval", "console", "URLSearchParams"};
    struct check *check = ctx;
    struct nearest nearest;
    nearest_init(&nearest, name);
    nearest_offer(&nearest, "steps");
    nearest_offer(&nearest, "process");
    for (size_t i = 0; i < COUNT_OF(missing); i++) {
        if (str_eq_c(name, missing[i])) {
            say(check, where->offset, true,
                "there is no " STR_FMT " in expressions: a code step has it", STR_ARG(name));
            return;
        }
    }
    static const char *const of_event[] = {"event", "body", "headers", "query"};
    for (size_t i = 0; check->known && i < COUNT_OF(of_event); i++) {
        if (str_eq_c(name, of_event[i])) {
            say(check, where->offset, true,
                "\"%s\" is no name here: did you mean steps.trigger.event%s%s?", of_event[i],
                i ? "." : "", i ? of_event[i] : "");
            return;
        }
    }
    for (size_t i = 0; check->known && i < check->known->count; i++) {
        const struct known_name *step = &check->known->list[i];
        if (str_eq_c(name, step->name)) {
            say(check, where->offset, true,
                "\"" STR_FMT "\" is no name here: did you mean steps." STR_FMT "?", STR_ARG(name),
                STR_ARG(name));
            return;
        }
    }
    char hint[NEAREST_TEXT_MAX];
    say(check, where->offset, true,
        "\"" STR_FMT "\" is no name here; there are steps, process.env and JavaScript's own%s",
        STR_ARG(name), nearest_text(&nearest, hint));
}

static void check_string(struct check *check)
{
    struct expr_template *template = NULL;
    struct expr_where where = {.path = "", .offset = 0, .expression = ""};
    struct err err = ERR_INIT;
    if (expr_compile(check->string, &template, &where, &err) != 0) {
        say(check, where.offset, false, "%s%s%s%s", err.text, where.expression[0] ? " in {{" : "",
            where.expression, where.expression[0] ? "}}" : "");
        return;
    }
    env_note_uses(check->file, check->string);
    expr_references(template, on_reference, check);
    struct expr_engine *engine = check->file->load->expressions;
    if (engine && check->ok && expr_needs_engine(template) &&
        expr_engine_check(engine, template, &where, &err) == RN_EINVAL)
        say(check, where.offset, false, "%s", err.text);
    else if (check->ok)
        expr_free_names(template, on_free_name, check);
    expr_template_free(template);
}

bool templates_check(const struct file *file, const struct json *value, const struct names *known)
{
    if (json_is(value, JSON_STRING)) {
        struct check check = {.file = file, .known = known, .string = value, .ok = true};
        if (has_expression(json_str(value)))
            check_string(&check);
        return check.ok;
    }
    bool ok = true;
    if (json_is(value, JSON_ARRAY) || json_is(value, JSON_OBJECT))
        for (const struct json *item = json_first(value); item; item = json_next(item))
            ok = templates_check(file, item, known) && ok;
    return ok;
}
