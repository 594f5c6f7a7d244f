#include "base/mem.h"

#include <stdarg.h>

static void out_of_memory(size_t size)
{
    fprintf(stderr, "runnel: out of memory (%zu bytes asked for)\n", size);
    abort();
}

void *xmalloc(size_t size)
{
    void *data = malloc(size ? size : 1);
    if (!data)
        out_of_memory(size);
    return data;
}

void *xcalloc(size_t count, size_t size)
{
    void *data = calloc(count ? count : 1, size ? size : 1);
    if (!data)
        out_of_memory(count * size);
    return data;
}

void *xrealloc(void *old, size_t size)
{
    void *data = realloc(old, size ? size : 1);
    if (!data)
        out_of_memory(size);
    return data;
}

char *xmemdup(const void *data, size_t size)
{
    char *copy = xmalloc(size + 1);
    if (size)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

char *xstrdup(const char *text)
{
    return xmemdup(text, strlen(text));
}

char *xasprintf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        out_of_memory(0);
    return text;
}

void mem_wipe(void *data, size_t size)
{
    if (data)
        explicit_bzero(data, size);
}
