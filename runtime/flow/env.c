/* .env files, ${NAME} in runnel.yaml, and the names behind process.env. The process's environment
 * wins over .env. */
#include "flow/load.h"

/* ------------------------------------------------------------------ .env */

struct dotenv {
    const char *file;
    struct str text;
    size_t at;
    int line;
    size_t line_start;
    struct problems *problems;
};

static void complain(const struct dotenv *dotenv, const char *text)
{
    int column = 1;
    for (size_t i = dotenv->line_start; i < dotenv->at; i += utf8_length(dotenv->text, i))
        column++;
    problem_add(dotenv->problems, dotenv->file, dotenv->line, column, "%s", text);
}

static char peek(const struct dotenv *dotenv)
{
    return dotenv->at < dotenv->text.len ? dotenv->text.ptr[dotenv->at] : '\n';
}

static void advance(struct dotenv *dotenv)
{
    if (dotenv->at < dotenv->text.len && dotenv->text.ptr[dotenv->at++] == '\n') {
        dotenv->line++;
        dotenv->line_start = dotenv->at;
    }
}

static void skip_blanks(struct dotenv *dotenv)
{
    while (peek(dotenv) == ' ' || peek(dotenv) == '\t' || peek(dotenv) == '\r')
        advance(dotenv);
}

static void skip_line(struct dotenv *dotenv)
{
    while (dotenv->at < dotenv->text.len && peek(dotenv) != '\n')
        dotenv->at++;
}

static struct str read_name(struct dotenv *dotenv)
{
    size_t start = dotenv->at;
    while (is_identifier(str_n(dotenv->text.ptr + start, dotenv->at - start + 1)) &&
           dotenv->at < dotenv->text.len)
        dotenv->at++;
    return str_n(dotenv->text.ptr + start, dotenv->at - start);
}

/* False if the quote does not end. */
static bool read_quoted(struct dotenv *dotenv, struct buf *out)
{
    char quote = peek(dotenv);
    advance(dotenv);
    while (dotenv->at < dotenv->text.len && peek(dotenv) != quote) {
        char c = peek(dotenv);
        if (quote == '"' && c == '\\' && dotenv->at + 1 < dotenv->text.len) {
            static const char letters[] = "nrt\"\\$", meanings[] = "\n\r\t\"\\$";
            char next = dotenv->text.ptr[dotenv->at + 1];
            const char *known = next ? strchr(letters, next) : NULL;
            if (known)
                buf_add_char(out, meanings[known - letters]);
            else
                buf_add(out, dotenv->text.ptr + dotenv->at, 2);
            advance(dotenv);
            advance(dotenv);
            continue;
        }
        buf_add_char(out, c);
        advance(dotenv);
    }
    if (dotenv->at >= dotenv->text.len)
        return false;
    advance(dotenv);
    return true;
}

static void read_plain(struct dotenv *dotenv, struct buf *out)
{
    size_t start = dotenv->at;
    skip_line(dotenv);
    struct str value = str_n(dotenv->text.ptr + start, dotenv->at - start);
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] == '#' && (i == 0 || value.ptr[i - 1] == ' ' || value.ptr[i - 1] == '\t'))
            value.len = i;
    buf_add_str(out, str_trim(value));
}

static void read_line(struct dotenv *dotenv, struct json *env)
{
    struct buf value = BUF_INIT(LIMIT_YAML_BYTES);
    int line = dotenv->line;
    struct str name = read_name(dotenv);
    if (str_eq_c(name, "export") && (peek(dotenv) == ' ' || peek(dotenv) == '\t')) {
        skip_blanks(dotenv);
        name = read_name(dotenv);
    }
    skip_blanks(dotenv);
    if (name.len == 0 || peek(dotenv) != '=') {
        complain(dotenv, name.len == 0
                             ? "here a name must begin: letters, digits and '_', as in NAME=value"
                             : "\"=\" is missing: a line is NAME=value");
        skip_line(dotenv);
        goto out;
    }
    advance(dotenv);
    skip_blanks(dotenv);
    if (peek(dotenv) == '"' || peek(dotenv) == '\'') {
        struct dotenv start = *dotenv;
        if (!read_quoted(dotenv, &value)) {
            complain(&start, "the quote that opens here is not closed");
            goto out;
        }
        skip_blanks(dotenv);
        if (peek(dotenv) != '\n' && peek(dotenv) != '#')
            complain(dotenv, "text behind the closing quote");
        skip_line(dotenv);
    } else {
        read_plain(dotenv, &value);
    }
    char *key = str_dup(name);
    if (json_get(env, key))
        problem_warn(dotenv->problems, dotenv->file, line, 1,
                     "%s is here twice; this last value counts", key);
    if (!utf8_is_valid(buf_str(&value)) || (value.len && memchr(value.ptr, '\0', value.len)))
        problem_add(dotenv->problems, dotenv->file, line, 1, "the value of %s is not UTF-8 text",
                    key);
    else
        json_set_str(env, key, str_from(buf_c(&value)));
    free(key);
out:
    buf_release(&value);
}

void env_parse(const char *file, struct str text, struct json *env, struct problems *problems)
{
    struct dotenv dotenv = {.file = file, .text = text, .line = 1, .problems = problems};
    if (str_starts(text, "\xEF\xBB\xBF"))
        dotenv.at = dotenv.line_start = 3;
    while (dotenv.at < text.len) {
        skip_blanks(&dotenv);
        if (peek(&dotenv) == '#')
            skip_line(&dotenv);
        else if (peek(&dotenv) != '\n')
            read_line(&dotenv, env);
        advance(&dotenv);
    }
}

/* ------------------------------------------------------------- ${NAME} */

const char *env_value(const struct load *load, const char *name)
{
    const char *value = getenv(name);
    if (value && utf8_is_valid(str_from(value)))
        return value;
    return json_get_c(load->dotenv, name);
}

static void no_value(const struct file *file, struct yaml_place place, const char *name)
{
    for (size_t i = 0; i < file->load->problems->count; i++)
        if (strcmp(file->load->problems->list[i].file, ".env") == 0 &&
            !file->load->problems->list[i].is_warning)
            return; /* most likely it is on the line that cannot be read, which is said already */
    struct nearest nearest;
    nearest_init(&nearest, str_from(name));
    for (const struct json *item = json_first(file->load->dotenv); item; item = json_next(item))
        nearest_offer(&nearest, json_name(item));
    char hint[NEAREST_TEXT_MAX];
    problem_add(file->load->problems, file->name, place.line, place.column,
                "${%s} has no value: set %s in .env or in the environment%s", name, name,
                nearest_text(&nearest, hint));
}

char *env_expand(const struct file *file, const struct json *string)
{
    struct str text = json_str(string);
    struct buf out = BUF_INIT(LIMIT_YAML_BYTES);
    bool ok = true;
    for (size_t at = 0; at < text.len;) {
        struct str rest = str_n(text.ptr + at, text.len - at);
        if (str_starts(rest, "$${")) {
            buf_add_c(&out, "${");
            at += 3;
            continue;
        }
        if (!str_starts(rest, "${")) {
            buf_add_char(&out, text.ptr[at++]);
            continue;
        }
        ptrdiff_t end = str_find(rest, "}", 2);
        struct str name = end < 0 ? STR_NONE : str_n(rest.ptr + 2, (size_t)end - 2);
        struct yaml_place place = yaml_place_in(file->doc, string, at);
        if (!is_identifier(name)) {
            problem_add(file->load->problems, file->name, place.line, place.column,
                        "\"${\" begins the name of a variable, as in ${NAME}; write $${ for these "
                        "characters themselves");
            ok = false;
            break;
        }
        char *key = str_dup(name);
        const char *value = env_value(file->load, key);
        if (value)
            buf_add_c(&out, value);
        else
            no_value(file, place, key);
        ok = ok && value;
        free(key);
        at += (size_t)end + 1;
    }
    char *result = NULL;
    if (ok && !buf_is_overflowed(&out))
        result = buf_take(&out, NULL);
    buf_release(&out);
    return result;
}

/* ----------------------------------------------------------- process.env */

void env_note(struct load *load, struct str name)
{
    map_put(&load->env_names, name, load);
}

void env_note_uses(const struct file *file, const struct json *string)
{
    static const char word[] = "process.env";
    struct str text = json_str(string);
    for (ptrdiff_t at = str_find(text, word, 0); at >= 0;
         at = str_find(text, word, (size_t)at + 1)) {
        size_t i = (size_t)at + sizeof(word) - 1;
        if (i < text.len && text.ptr[i] == '?')
            i++;
        if (i < text.len && text.ptr[i] == '.')
            i++;
        if (i + 1 < text.len && text.ptr[i] == '[' &&
            (text.ptr[i + 1] == '"' || text.ptr[i + 1] == '\''))
            i += 2;
        size_t end = i;
        while (end < text.len && is_identifier(str_n(text.ptr + i, end - i + 1)))
            end++;
        if (end == i)
            continue;
        struct str name = str_n(text.ptr + i, end - i);
        env_note(file->load, name);
        char *key = str_dup(name);
        if (!file->load->is_kept && !env_value(file->load, key) && !json_get(file->env, key)) {
            struct yaml_place place = yaml_place_in(file->doc, string, (size_t)at);
            problem_warn(file->load->problems, file->name, place.line, place.column,
                         "process.env.%s has no value: set %s in .env or in the environment", key,
                         key);
        }
        free(key);
    }
}

struct json *env_collect(const struct load *load)
{
    struct json *env = json_new_object();
    for (const struct json *item = json_first(load->dotenv); item; item = json_next(item))
        json_set_string(env, json_name(item), env_value(load, json_name(item)));
    size_t at = 0;
    for (const struct map_entry *entry = map_next(&load->env_names, &at); entry;
         entry = map_next(&load->env_names, &at))
        json_set_string(env, entry->key, env_value(load, entry->key));
    return env;
}
