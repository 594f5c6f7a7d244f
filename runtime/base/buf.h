/* A growable byte buffer with a maximum given at init. Past it nothing is added and the buffer is
 * marked as overflowed: check once, at the end, with buf_is_overflowed(). There is always a NUL
 * behind the bytes. Life cycle: BUF_INIT(max) or buf_init → verbs → buf_release. */
#ifndef RUNNEL_BASE_BUF_H
#define RUNNEL_BASE_BUF_H

#include "base/str.h"

#include <stdarg.h>

struct buf {
    char *ptr; /* NULL while nothing was added */
    size_t len;
    size_t capacity;
    size_t max;
    bool overflowed;
};

#define BUF_INIT(max_)                                                                             \
    {                                                                                              \
        .ptr = NULL, .len = 0, .capacity = 0, .max = (max_), .overflowed = false                   \
    }

void buf_init(struct buf *buf, size_t max);
void buf_release(struct buf *buf);
/* Empties it and keeps the memory. */
void buf_clear(struct buf *buf);
void buf_add(struct buf *buf, const void *data, size_t size);
void buf_add_str(struct buf *buf, struct str text);
void buf_add_c(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_addf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Room for `size` more bytes, to be written by the caller, who then calls buf_grew(). NULL past the
 * maximum. */
char *buf_reserve(struct buf *buf, size_t size);
void buf_grew(struct buf *buf, size_t size);
/* Drops the first `size` bytes. */
void buf_drop(struct buf *buf, size_t size);
struct str buf_str(const struct buf *buf);
/* The text with its NUL, "" if empty; owned by the buffer. */
const char *buf_c(const struct buf *buf);
/* Hands the memory to the caller, who frees it; the buffer is empty afterwards. Never NULL. */
char *buf_take(struct buf *buf, size_t *ret_size);
bool buf_is_overflowed(const struct buf *buf);

#endif
