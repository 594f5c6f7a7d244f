#include "code/code.h"

#include "base/str.h"
#include "code/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { VERSION_MAX = 4096 };

static const struct {
    const char *name, *program, *prefix, *hint;
} languages[CODE_LANGUAGES] = {
    [CODE_NODE] = {"node", "node", "nodejs",
                   "install Node.js 20 or newer (https://nodejs.org, or the package `nodejs`)"},
    [CODE_PYTHON] = {"python", "python3", "python3",
                     "install Python 3.9 or newer (https://python.org, or the package `python3`)"},
    [CODE_BASH] = {"bash", "bash", "bash", "install the package `bash`"},
};

const char *code_language_name(enum code_language language)
{
    return languages[language].name;
}

const char *code_install_hint(enum code_language language)
{
    return languages[language].hint;
}

bool code_language_parse(const char *text, enum code_language *ret)
{
    for (size_t i = 0; i < CODE_LANGUAGES; i++) {
        if (strcmp(text, languages[i].name) && strcmp(text, languages[i].program) &&
            !str_starts(str_from(text), languages[i].prefix))
            continue;
        *ret = (enum code_language)i;
        return true;
    }
    return false;
}

char *code_interpreter(enum code_language language, const char *dir)
{
    if (language == CODE_PYTHON && dir) {
        char *own = xasprintf("%s/.venv/bin/python3", dir);
        if (access(own, X_OK) == 0)
            return own;
        free(own);
    }
    const char *path = getenv("PATH");
    struct str rest = str_from(path ? path : "/usr/local/bin:/usr/bin:/bin"), part;
    bool has_more = true;
    while (has_more) {
        has_more = str_cut(&rest, ':', &part);
        if (part.len == 0 || part.ptr[0] != '/')
            continue; /* never from the folder that one happens to be in */
        char *program = xasprintf("%.*s/%s", (int)part.len, part.ptr, languages[language].program);
        if (access(program, X_OK) == 0)
            return program;
        free(program);
    }
    return NULL;
}

int code_version(const char *program, char *out, size_t size)
{
    const char *argv[] = {program, "--version", NULL};
    struct buf answer = BUF_INIT(VERSION_MAX);
    int status = code_ask(argv, STR_NONE, 1, &answer);
    struct str rest = buf_str(&answer), line = STR_NONE;
    (void)str_cut(&rest, '\n', &line);
    (void)snprintf(out, size, STR_FMT, STR_ARG(line));
    buf_release(&answer);
    return status ? RN_EFAILED : 0;
}
