#include "flow/problem.h"

#include <stdarg.h>

enum { PROBLEM_TEXT_MAX = 2000 };

static void add(struct problems *problems, const char *file, int line, int column, bool is_warning,
                const char *format, va_list args) PRINTF_LIKE(6, 0);
static void add(struct problems *problems, const char *file, int line, int column, bool is_warning,
                const char *format, va_list args)
{
    if (problems->count >= PROBLEMS_MAX)
        return;
    char text[PROBLEM_TEXT_MAX];
    if (problems->count == PROBLEMS_MAX - 1) {
        snprintf(text, sizeof(text),
                 "there are more problems than the %d shown here: mend these first",
                 PROBLEMS_MAX - 1);
        is_warning = false;
    } else {
        vsnprintf(text, sizeof(text), format, args);
    }
    /* Control characters would break the one line that a problem is; a cut text must not end in
     * half a character. */
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
    while (len > 0 && !utf8_is_valid(str_n(text, len)))
        text[--len] = '\0';
    problems->list = xrealloc(problems->list, (problems->count + 1) * sizeof(*problems->list));
    problems->list[problems->count++] = (struct problem){.file = xstrdup(file ? file : ""),
                                                         .line = line,
                                                         .column = column,
                                                         .is_warning = is_warning,
                                                         .text = xstrdup(text)};
}

void problem_add(struct problems *problems, const char *file, int line, int column,
                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(problems, file, line, column, false, format, args);
    va_end(args);
}

void problem_warn(struct problems *problems, const char *file, int line, int column,
                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(problems, file, line, column, true, format, args);
    va_end(args);
}

size_t problems_errors(const struct problems *problems)
{
    size_t count = 0;
    for (size_t i = 0; i < problems->count; i++)
        count += problems->list[i].is_warning ? 0 : 1;
    return count;
}

static int compare(const void *left, const void *right)
{
    const struct problem *a = left, *b = right;
    int order = strcmp(a->file, b->file);
    if (order == 0)
        order = (a->line > b->line) - (a->line < b->line);
    if (order == 0)
        order = (a->column > b->column) - (a->column < b->column);
    if (order == 0)
        order = (int)a->is_warning - (int)b->is_warning;
    return order ? order : strcmp(a->text, b->text);
}

static void release(struct problem *problem)
{
    free(problem->file);
    free(problem->text);
}

void problems_sort(struct problems *problems)
{
    if (problems->count < 2)
        return;
    qsort(problems->list, problems->count, sizeof(*problems->list), compare);
    size_t kept = 1;
    for (size_t i = 1; i < problems->count; i++) {
        if (compare(&problems->list[kept - 1], &problems->list[i]) == 0)
            release(&problems->list[i]);
        else
            problems->list[kept++] = problems->list[i];
    }
    problems->count = kept;
}

void problems_write(struct buf *out, const struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *problem = &problems->list[i];
        buf_add_c(out, problem->file);
        if (problem->line > 0)
            buf_addf(out, ":%d:%d", problem->line, problem->column);
        buf_addf(out, ": %s: %s\n", problem->is_warning ? "warning" : "error", problem->text);
    }
}

struct json *problems_to_json(const struct problems *problems)
{
    struct json *list = json_new_array();
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *problem = &problems->list[i];
        struct json *item = json_append(list, json_new_object());
        json_set_string(item, "file", problem->file);
        json_set_integer(item, "line", problem->line);
        json_set_integer(item, "column", problem->column);
        json_set_string(item, "severity", problem->is_warning ? "warning" : "error");
        json_set_string(item, "text", problem->text);
    }
    return list;
}

void problems_release(struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        release(&problems->list[i]);
    free(problems->list);
    *problems = (struct problems)PROBLEMS_INIT;
}
