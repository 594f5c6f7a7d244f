#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>

enum { BLOCK_BYTES = 4096 };

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t size;
    alignas(max_align_t) unsigned char data[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t align = alignof(max_align_t);
    size = (size + align - 1) / align * align;
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < size) {
        size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        block = xmalloc(sizeof(*block) + room);
        block->used = 0;
        block->size = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *data = block->data + block->used;
    block->used += size;
    memset(data, 0, size);
    return data;
}

char *arena_dup(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.len + 1);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    size_t size = n < 0 ? 0 : (size_t)n;
    char *text = arena_alloc(arena, size + 1);
    (void)vsnprintf(text, size + 1, format, again);
    va_end(again);
    return text;
}

void arena_release(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    arena->blocks = NULL;
    while (block) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}
