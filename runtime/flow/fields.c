/* Reading members of a mapping with their types, and saying where one is wrong. */
#include "flow/load.h"

#include <stdarg.h>

enum { TEXT_MAX = 1800 };

static void say(const struct file *file, const struct json *value, bool is_at_name, bool is_warning,
                const char *format, va_list args) PRINTF_LIKE(5, 0);
static void say(const struct file *file, const struct json *value, bool is_at_name, bool is_warning,
                const char *format, va_list args)
{
    char text[TEXT_MAX];
    vsnprintf(text, sizeof(text), format, args);
    struct yaml_place place = yaml_place_of(file->doc, value, is_at_name);
    if (is_warning)
        problem_warn(file->load->problems, file->name, place.line, place.column, "%s", text);
    else
        problem_add(file->load->problems, file->name, place.line, place.column, "%s", text);
}

#define DEFINE_SAY(name_, is_at_name_, is_warning_)                                                \
    void name_(const struct file *file, const struct json *value, const char *format, ...)         \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        say(file, value, is_at_name_, is_warning_, format, args);                                  \
        va_end(args);                                                                              \
    }

DEFINE_SAY(at_value, false, false)
DEFINE_SAY(at_name, true, false)
DEFINE_SAY(warn_value, false, true)
DEFINE_SAY(warn_name, true, true)

void check_keys(const struct file *file, const struct json *object, const char *const *known,
                const char *where)
{
    for (const struct json *member = json_first(object); member; member = json_next(member)) {
        struct nearest nearest;
        nearest_init(&nearest, str_from(json_name(member)));
        bool is_known = false;
        for (size_t i = 0; known[i] && !is_known; i++) {
            is_known = strcmp(known[i], json_name(member)) == 0;
            nearest_offer(&nearest, known[i]);
        }
        if (is_known)
            continue;
        char hint[NEAREST_TEXT_MAX];
        if (nearest.best) {
            at_name(file, member, "unknown key \"%s\" in %s%s", json_name(member), where,
                    nearest_text(&nearest, hint));
            continue;
        }
        struct buf all = BUF_INIT(TEXT_MAX / 2);
        for (size_t i = 0; known[i]; i++)
            buf_addf(&all, "%s%s", i ? ", " : "", known[i]);
        at_name(file, member, "unknown key \"%s\" in %s; there are: %s", json_name(member), where,
                buf_c(&all));
        buf_release(&all);
    }
}

const char *shown(const struct json *value, char out[SHOWN_MAX])
{
    if (!value || json_is(value, JSON_ARRAY) || json_is(value, JSON_OBJECT)) {
        snprintf(out, SHOWN_MAX, "%s",
                 !value                       ? "nothing"
                 : json_is(value, JSON_ARRAY) ? "a list"
                                              : "a mapping");
        return out;
    }
    struct buf text = BUF_INIT(SHOWN_MAX * 8);
    if (json_str(value).len > SHOWN_MAX) {
        struct str start = json_str(value);
        start.len = SHOWN_MAX;
        json_write_string(&text, start);
    } else {
        json_write(&text, value);
    }
    size_t len = text.len;
    if (len > SHOWN_MAX - 5) {
        len = SHOWN_MAX - 5;
        while (len > 0 && !utf8_is_valid(str_n(text.ptr, len)))
            len--;
        snprintf(out, SHOWN_MAX, "%.*s…", (int)len, text.ptr);
    } else {
        snprintf(out, SHOWN_MAX, "%s", buf_c(&text));
    }
    buf_release(&text);
    return out;
}

static const char *kind_words(enum json_kind kind)
{
    static const char *const words[] = {
        [JSON_NULL] = "empty",    [JSON_BOOLEAN] = "true or false", [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a text", [JSON_ARRAY] = "a list",          [JSON_OBJECT] = "a mapping"};
    return words[kind];
}

const struct json *field(const struct file *file, const struct json *object, const char *name,
                         enum json_kind kind)
{
    const struct json *value = json_get(object, name);
    if (!value || json_is(value, JSON_NULL))
        return NULL;
    if (json_is(value, kind))
        return value;
    char text[SHOWN_MAX];
    at_value(file, value, "\"%s\" must be %s, not %s%s", name, kind_words(kind), shown(value, text),
             kind == JSON_STRING && json_is(value, JSON_NUMBER) ? ": put it in quotes" : "");
    return NULL;
}

const char *field_text(const struct file *file, const struct json *object, const char *name)
{
    const struct json *value = field(file, object, name, JSON_STRING);
    if (value && !json_c(value))
        at_value(file, value, "\"%s\" has the character U+0000 in it", name);
    return json_c(value);
}

bool field_bool(const struct file *file, const struct json *object, const char *name,
                bool otherwise)
{
    const struct json *value = field(file, object, name, JSON_BOOLEAN);
    return value ? json_is_true(value) : otherwise;
}

int64_t field_count(const struct file *file, const struct json *object, const char *name,
                    int64_t min, int64_t max, int64_t otherwise)
{
    const struct json *value = json_get(object, name);
    if (!value || json_is(value, JSON_NULL))
        return otherwise;
    int64_t number;
    if (json_is(value, JSON_NUMBER) && json_to_i64(value, &number) && number >= min &&
        number <= max)
        return number;
    char text[SHOWN_MAX];
    at_value(file, value, "\"%s\" must be a whole number from %lld to %lld, not %s", name,
             (long long)min, (long long)max, shown(value, text));
    return otherwise;
}

int64_t field_duration(const struct file *file, const struct json *object, const char *name,
                       int64_t max_ms, int64_t otherwise)
{
    const struct json *value = json_get(object, name);
    if (!value || json_is(value, JSON_NULL))
        return otherwise;
    int64_t ms;
    char text[SHOWN_MAX];
    if (!json_is(value, JSON_STRING) || num_parse_duration(json_str(value), &ms) != 0) {
        at_value(file, value,
                 "\"%s\" must be a time with its unit (500ms, 30s, 5m, 2h, 30d), not %s", name,
                 shown(value, text));
        return otherwise;
    }
    if (ms <= 0 || ms > max_ms) {
        at_value(file, value, "\"%s\" must be more than nothing and at most %llds, not %s", name,
                 (long long)(max_ms / 1000), shown(value, text));
        return otherwise;
    }
    return ms;
}

uint64_t field_bytes(const struct file *file, const struct json *object, const char *name,
                     uint64_t max, uint64_t otherwise)
{
    const struct json *value = json_get(object, name);
    if (!value || json_is(value, JSON_NULL))
        return otherwise;
    uint64_t bytes;
    char text[SHOWN_MAX];
    struct str size = json_is(value, JSON_NUMBER) ? json_literal(value) : json_str(value);
    if (num_parse_bytes(size, &bytes) != 0 || bytes == 0) {
        at_value(file, value, "\"%s\" must be a size (10MiB, 4GiB, 512KiB), not %s", name,
                 shown(value, text));
        return otherwise;
    }
    if (bytes > max) {
        at_value(file, value, "\"%s\" can be %llu bytes at most, not %s", name,
                 (unsigned long long)max, shown(value, text));
        return otherwise;
    }
    return bytes;
}
