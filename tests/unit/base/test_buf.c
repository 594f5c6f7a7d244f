/* The bounded buffer and the arena. */
#include "base/buf.h"

#include "base/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_adding(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(64);
    assert_string_equal(buf_c(&buf), "");
    assert_int_equal(buf_str(&buf).len, 0);
    assert_non_null(buf_str(&buf).ptr);
    buf_add(&buf, "a\0b", 3);
    buf_add(&buf, NULL, 0);
    buf_add_str(&buf, STR("-c"));
    buf_add_str(&buf, STR_NONE);
    buf_add_c(&buf, "d");
    buf_add_char(&buf, 'e');
    buf_addf(&buf, "%d%s", 12, "x");
    assert_int_equal(buf.len, 10);
    assert_memory_equal(buf.ptr, "a\0b-cde12x", 11);
    char *room = buf_reserve(&buf, 3);
    memcpy(room, "xyz", 3);
    buf_grew(&buf, 2);
    assert_int_equal(buf.len, 12);
    assert_memory_equal(buf.ptr + 10, "xy", 3);
    buf_drop(&buf, 3);
    assert_string_equal(buf_c(&buf), "-cde12xxy");
    buf_drop(&buf, 0);
    assert_int_equal(buf.len, 9);
    buf_drop(&buf, 100);
    assert_string_equal(buf_c(&buf), "");
    buf_release(&buf);
    buf_release(NULL);
}

static void test_maximum(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(8);
    buf_add_c(&buf, "12345678");
    assert_false(buf_is_overflowed(&buf));
    buf_add(&buf, "", 0); /* nothing always has room */
    assert_false(buf_is_overflowed(&buf));
    buf_add_char(&buf, '9');
    assert_true(buf_is_overflowed(&buf));
    assert_string_equal(buf_c(&buf), "12345678"); /* nothing is added in part */
    buf_drop(&buf, 4);
    assert_true(buf_is_overflowed(&buf)); /* what was lost stays lost */
    buf_clear(&buf);
    assert_false(buf_is_overflowed(&buf));
    assert_int_equal(buf.len, 0);
    buf_addf(&buf, "%s", "123456789");
    assert_true(buf_is_overflowed(&buf));
    assert_int_equal(buf.len, 0);
    buf_clear(&buf);
    assert_null(buf_reserve(&buf, SIZE_MAX));
    assert_null(buf_reserve(&buf, 9));
    assert_non_null(buf_reserve(&buf, 8));
    buf_release(&buf);
    struct buf none = BUF_INIT(0);
    buf_add_char(&none, 'x');
    assert_true(buf_is_overflowed(&none));
    assert_string_equal(buf_c(&none), "");
    buf_release(&none);
}

static void test_growing(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100000);
    for (int i = 0; i < 100000; i++)
        buf_add_char(&buf, (char)('a' + i % 26));
    assert_int_equal(buf.len, 100000);
    assert_false(buf_is_overflowed(&buf));
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf.ptr[i], 'a' + i % 26);
    size_t size = 0;
    char *data = buf_take(&buf, &size);
    assert_int_equal(size, 100000);
    assert_int_equal(data[size], '\0');
    free(data);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.max, 100000);
    data = buf_take(&buf, NULL);
    assert_string_equal(data, "");
    free(data);
    buf_release(&buf);
}

static void test_arena(void **state)
{
    (void)state;
    struct arena arena = ARENA_INIT;
    static const size_t sizes[] = {1, 0, 15, 16, 17, 4000, 4096, 5000, 100000, 3};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        unsigned char *data = arena_alloc(&arena, sizes[i]);
        assert_int_equal((uintptr_t)data % alignof(max_align_t), 0);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(data[j], 0);
        memset(data, 0xFF, sizes[i]); /* the next one is zeroed all the same */
    }
    assert_memory_equal(arena_dup(&arena, STR("a\0b")), "a\0b", 4);
    assert_string_equal(arena_dup(&arena, STR_NONE), "");
    assert_string_equal(arena_printf(&arena, "%s-%d", "x", 7), "x-7");
    char *longer = arena_printf(&arena, "%*d", 10000, 7);
    assert_int_equal(strlen(longer), 10000);
    arena_release(&arena);
    assert_null(arena.blocks);
    arena_release(&arena);
}

static void test_mem(void **state)
{
    (void)state;
    char *text = xmemdup("a\0b", 3);
    assert_memory_equal(text, "a\0b", 4);
    mem_wipe(text, 3);
    assert_memory_equal(text, "\0\0\0", 4);
    mem_wipe(NULL, 0);
    free(text);
    text = xasprintf("%s=%d", "a", 5);
    assert_string_equal(text, "a=5");
    free(text);
    int *numbers = xcalloc(4, sizeof(int));
    assert_int_equal(numbers[3], 0);
    numbers = xrealloc(numbers, 100 * sizeof(int));
    free(numbers);
    free(xmalloc(0));
    text = xstrdup("dup");
    assert_string_equal(text, "dup");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adding),  cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_growing), cmocka_unit_test(test_arena),
        cmocka_unit_test(test_mem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
