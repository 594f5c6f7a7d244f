/* An error as a person reads it: a code of runnel/errors.h and a bounded text. Functions take it as
 * their last argument, leave it untouched on success, and return its code. NULL is allowed: the
 * text is dropped. A function returns an error or logs it, never both. */
#ifndef RUNNEL_BASE_ERR_H
#define RUNNEL_BASE_ERR_H

#include "base/mem.h"

#include <runnel/errors.h>

#define ERR_TEXT_MAX 1024

struct err {
    int code;
    char text[ERR_TEXT_MAX];
};

#define ERR_INIT                                                                                   \
    {                                                                                              \
        .code = 0, .text = ""                                                                      \
    }

/* Sets the error and returns `code`, so that `return err_set(err, RN_EINVAL, "…")` reads well.
 * Longer texts are cut at a character's border. */
int err_set(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* Puts "what: " before the text; returns the code. */
int err_prefix(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);
/* "RN_EINVAL" … for logs and JSON; "RN_E?" for a code that is none. */
const char *err_name(int code);
/* The short word for JSON and tables: "invalid", "rate_limited", "unknown" … */
const char *err_word(int code);
/* A sentence for a code that comes without a text. */
const char *err_sentence(int code);
/* The code of err_name()'s text, or RN_EFAILED. */
int err_from_name(const char *name);

#endif
