/* The files that a bash step reads and writes. Private to the room. */
#ifndef RUNNEL_CODE_BASH_H
#define RUNNEL_CODE_BASH_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

struct bash_files {
    char *dir, *steps, *exports;
    char *script; /* NULL: the code is short enough for an argument */
};

int bash_files_make(struct bash_files *ret, struct str steps, struct str code,
                    struct err *err) MUST_USE;
/* The exports as a JSON object. RN_EINVAL names the line that is none. */
int bash_files_exports(const struct bash_files *files, struct buf *out, struct err *err) MUST_USE;
/* The same from a text. */
int bash_exports_parse(struct str text, struct buf *out, struct err *err) MUST_USE;
void bash_files_remove(struct bash_files *files);

#endif
