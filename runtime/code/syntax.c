/* The workers of node and python are started with --check: they read [code, …] and answer with
 * [null | {text, line, column}, …]. Bash is asked for each piece of code with -n. */
#include "code/syntax.h"

#include "base/limits.h"
#include "code/ask.h"
#include "code/worker.h"
#include "json/json.h"

enum { ANSWER_MAX = 1 << 20 };

/* ---- node and python */

static void take_answers(struct str text, enum code_language language, struct syntax_check *checks,
                         size_t count)
{
    struct json *answers = NULL;
    if (json_parse(text, &answers, NULL))
        return;
    const struct json *answer = json_first(answers);
    for (size_t i = 0; i < count; i++) {
        if (checks[i].language != language)
            continue;
        if (json_get_c(answer, "text"))
            checks[i].error = xstrdup(json_get_c(answer, "text"));
        checks[i].line = (size_t)json_get_i64(answer, "line", 0);
        checks[i].column = (size_t)json_get_i64(answer, "column", 0);
        answer = json_next(answer);
    }
    json_free(answers);
}

static void ask_worker(const char *program, enum code_language language,
                       struct syntax_check *checks, size_t count)
{
    struct json *codes = json_new_array();
    for (size_t i = 0; i < count; i++)
        if (checks[i].language == language)
            (void)json_append(codes, json_new_string(checks[i].text));
    const char *node[] = {program,
                          "--experimental-vm-modules",
                          "--no-warnings",
                          "--input-type=module",
                          "-e",
                          code_node_worker,
                          "--",
                          "--check",
                          NULL};
    const char *python[] = {program, "-c", code_python_worker, "--check", NULL};
    const char **argv = language == CODE_NODE ? node : python;
    struct buf answer = BUF_INIT(ANSWER_MAX);
    size_t size = 0;
    char *text = json_text(codes, &size);
    if (code_ask(argv, str_n(text, size), 1, &answer) == 0)
        take_answers(buf_str(&answer), language, checks, count);
    buf_release(&answer);
    free(text);
    json_free(codes);
}

/* ---- bash: "PROGRAM: line 3: syntax error near …" */

static void ask_bash(const char *program, struct syntax_check *check)
{
    const char *argv[] = {program, "-n", NULL};
    struct buf answer = BUF_INIT(ANSWER_MAX);
    int status = code_ask(argv, check->text, 2, &answer);
    struct str rest = buf_str(&answer), line = STR_NONE;
    (void)str_cut(&rest, '\n', &line); /* the first of them */
    ptrdiff_t at = status > 0 ? str_find(line, ": line ", 0) : -1;
    if (at >= 0) {
        struct str where = str_n(line.ptr + at + 7, line.len - (size_t)at - 7), number = STR_NONE;
        uint64_t value = 0;
        if (str_cut(&where, ':', &number) && num_parse_u64(number, &value) == 0) {
            struct str text = str_trim(where);
            check->line = (size_t)value;
            check->error = str_dup(text);
        }
    }
    buf_release(&answer);
}

void syntax_check_all(const char *dir, struct syntax_check *checks, size_t count)
{
    for (int language = 0; language < CODE_LANGUAGES; language++) {
        size_t of_it = 0;
        for (size_t i = 0; i < count; i++)
            of_it += checks[i].language == (enum code_language)language;
        char *program = of_it ? code_interpreter((enum code_language)language, dir) : NULL;
        if (program && language != CODE_BASH)
            ask_worker(program, (enum code_language)language, checks, count);
        for (size_t i = 0; program && language == CODE_BASH && i < count; i++)
            if (checks[i].language == CODE_BASH)
                ask_bash(program, &checks[i]);
        free(program);
    }
}
