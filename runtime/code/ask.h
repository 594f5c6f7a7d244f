/* Asking an interpreter something about code, or about itself, without running a step. */
#ifndef RUNNEL_CODE_ASK_H
#define RUNNEL_CODE_ASK_H

#include "base/buf.h"

/* Runs argv[0], a path, with `text` as its standard input and nothing of our environment but PATH,
 * and adds what it prints to descriptor `answer_fd` (1 or 2) to the answer. Returns its exit
 * status; -1: it could not be started, or did not come to its end within LIMIT_CODE_ASK_MS. */
int code_ask(const char *const *argv, struct str text, int answer_fd, struct buf *answer);

#endif
