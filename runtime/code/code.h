/* Code steps: node, python and bash, each in processes of their own.
 *
 * `runnel code-host` is one host process (ipc/supervisor.h). It starts the interpreters, keeps
 * those of node and python warm (pool.c), gives them one call at a time (call.c), takes what they
 * print as the step's log, and says how they ended. The runtime never runs user code, and the code
 * host does not either: whatever the code does to its process costs that process only.
 *
 *   {"op":"code_run","language":…,"workflow":…,"memory":bytes,"timeout_ms":…,"dir":project folder,
 *    "name":what tracebacks call the code,"base":file whose imports these are, "context":{…},
 *    "resume_url":…, "files":{"dir":the run's folder, "limit":bytes}}
 *   sections: code, inputs (object), steps (object), env (object of strings)
 *   answer: as an action's: {"ok":true | "error":{code,text}, "exports":0, "exit", "flow",
 *   "respond", "files"} and a section with the exports. */
#ifndef RUNNEL_CODE_CODE_H
#define RUNNEL_CODE_CODE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum code_language { CODE_NODE, CODE_PYTHON, CODE_BASH };

#define CODE_LANGUAGES 3

/* "node", "python", "bash". */
const char *code_language_name(enum code_language language);
/* From `language: …`, "nodejs20.x", "python3.12" …; false if it is none. */
bool code_language_parse(const char *text, enum code_language *ret);
/* The interpreter's path: the project's own .venv for python, else as PATH has it. The caller
 * frees; NULL: it is not there. `dir` may be NULL. */
char *code_interpreter(enum code_language language, const char *dir);
/* "v20.1.0": the first line of what `program --version` prints. RN_EFAILED. */
int code_version(const char *program, char *out, size_t size) MUST_USE;
/* What to do when it is not there. */
const char *code_install_hint(enum code_language language);

#define CODE_HOST_COMMAND "code-host"

int code_host_main(int argc, char **argv);

#endif
