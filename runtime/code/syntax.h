/* Whether the code of steps can be parsed, by their own interpreters, without running any of it. */
#ifndef RUNNEL_CODE_SYNTAX_H
#define RUNNEL_CODE_SYNTAX_H

#include "code/code.h"

#include "base/str.h"

struct syntax_check {
    enum code_language language;
    struct str text;
    /* out */
    char *error; /* what is wrong, "SyntaxError: …"; NULL: nothing, or nobody could be asked. The
                  * caller frees. */
    size_t line; /* of the code, from 1; 0: not known */
    size_t column;
};

/* Asks one process per language that is among the checks; it has LIMIT_CODE_ASK_MS. What has no
 * interpreter, or one that gives no answer, counts as good: the run will say it. `dir` is the
 * project's folder. */
void syntax_check_all(const char *dir, struct syntax_check *checks, size_t count);

#endif
