#include "base/buf.h"

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf)BUF_INIT(max);
}

void buf_release(struct buf *buf)
{
    if (!buf)
        return;
    free(buf->ptr);
    buf->ptr = NULL;
    buf->len = buf->capacity = 0;
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->overflowed = false;
    if (buf->ptr)
        buf->ptr[0] = '\0';
}

char *buf_reserve(struct buf *buf, size_t size)
{
    if (size > buf->max || buf->len > buf->max - size) {
        buf->overflowed = true;
        return NULL;
    }
    size_t needed = buf->len + size + 1;
    if (needed > buf->capacity) {
        size_t capacity = buf->capacity ? buf->capacity : 64;
        while (capacity < needed)
            capacity *= 2;
        buf->ptr = xrealloc(buf->ptr, capacity);
        buf->capacity = capacity;
    }
    return buf->ptr + buf->len;
}

void buf_grew(struct buf *buf, size_t size)
{
    buf->len += size;
    buf->ptr[buf->len] = '\0';
}

void buf_add(struct buf *buf, const void *data, size_t size)
{
    char *to = buf_reserve(buf, size);
    if (!to)
        return;
    if (size)
        memcpy(to, data, size);
    buf_grew(buf, size);
}

void buf_add_str(struct buf *buf, struct str text)
{
    buf_add(buf, text.ptr, text.len);
}

void buf_add_c(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_addf(struct buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    /* Most texts fit into the room that there is: then formatting once is enough. */
    size_t room = buf->capacity > buf->len ? buf->capacity - buf->len : 0;
    if (room > buf->max - buf->len)
        room = buf->max - buf->len + 1;
    int n = vsnprintf(room ? buf->ptr + buf->len : NULL, room, format, args);
    va_end(args);
    bool fits = n >= 0 && (size_t)n < room;
    char *to = fits ? buf->ptr + buf->len : n < 0 ? NULL : buf_reserve(buf, (size_t)n);
    if (to && !fits)
        (void)vsnprintf(to, (size_t)n + 1, format, again);
    if (to)
        buf_grew(buf, (size_t)n);
    else if (buf->ptr)
        buf->ptr[buf->len] = '\0'; /* the first try has written there */
    va_end(again);
}

void buf_drop(struct buf *buf, size_t size)
{
    if (size >= buf->len) {
        buf->len = 0;
    } else {
        memmove(buf->ptr, buf->ptr + size, buf->len - size);
        buf->len -= size;
    }
    if (buf->ptr)
        buf->ptr[buf->len] = '\0';
}

struct str buf_str(const struct buf *buf)
{
    return str_n(buf->ptr ? buf->ptr : "", buf->len);
}

const char *buf_c(const struct buf *buf)
{
    return buf->ptr ? buf->ptr : "";
}

char *buf_take(struct buf *buf, size_t *ret_size)
{
    char *data = buf->ptr ? buf->ptr : xmemdup("", 0);
    if (ret_size)
        *ret_size = buf->len;
    size_t max = buf->max;
    buf_init(buf, max);
    return data;
}

bool buf_is_overflowed(const struct buf *buf)
{
    return buf->overflowed;
}
