#include "code/code.h"

#include "base/buf.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

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
    int fds[2], status = 1;
    pid_t pid = 0;
    char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t) "--version", NULL};
    posix_spawn_file_actions_t actions;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return RN_EFAILED;
    posix_spawn_file_actions_init(&actions);
    int error = posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    error = error ? error : posix_spawn(&pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    size_t length = 0;
    for (ssize_t n = 1; !error && n > 0 && length + 1 < size;) {
        n = read(fds[0], out + length, size - 1 - length);
        length += n > 0 ? (size_t)n : 0;
    }
    close(fds[0]);
    out[length] = '\0';
    out[strcspn(out, "\n")] = '\0';
    if (!error && waitpid(pid, &status, 0) < 0)
        error = errno;
    return error || status ? RN_EFAILED : 0;
}
