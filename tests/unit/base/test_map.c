/* The map, above all its deletion, against a model that cannot be wrong. */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_verbs(void **state)
{
    (void)state;
    struct map map = MAP_INIT;
    int one = 1, two = 2;
    size_t at = 0;
    assert_null(map_get(&map, STR("a")));
    assert_null(map_remove(&map, STR("a")));
    assert_null(map_next(&map, &at));
    assert_null(map_put(&map, STR("a"), &one));
    assert_ptr_equal(map_put(&map, STR("a"), &two), &one);
    assert_int_equal(map.count, 1);
    assert_ptr_equal(map_get(&map, STR("a")), &two);
    assert_null(map_get(&map, STR("A")));
    assert_null(map_get(&map, STR("ab")));
    /* keys are bytes: a NUL counts, and none is a key too */
    assert_null(map_put(&map, STR("a\0b"), &one));
    assert_null(map_put(&map, STR_NONE, &one));
    assert_ptr_equal(map_get(&map, STR("a\0b")), &one);
    assert_null(map_get(&map, STR("a\0c")));
    assert_ptr_equal(map_get(&map, STR("")), &one);
    assert_int_equal(map.count, 3);
    assert_ptr_equal(map_remove(&map, STR("a")), &two);
    assert_null(map_get(&map, STR("a")));
    assert_int_equal(map.count, 2);
    map_release(&map, NULL);
    assert_int_equal(map.count, 0);
    assert_null(map_get(&map, STR("")));
    map_release(&map, NULL);
}

enum { KEYS = 2000, ROUNDS = 60000 };

/* Random puts and removes; an array of the same keys says what should be there. Deletion by
 * shifting goes wrong at clusters that wrap around the end, which a nearly full map has. */
static void test_deletion(void **state)
{
    (void)state;
    struct map map = MAP_INIT;
    static int values[KEYS];
    static bool there[KEYS];
    size_t count = 0;
    uint64_t x = 88172645463325252u;
    for (int round = 0; round < ROUNDS; round++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        size_t k = (size_t)(x >> 8) % KEYS;
        char key[32];
        (void)snprintf(key, sizeof(key), "key-%zu", k);
        if (x % 5 < 3) {
            assert_ptr_equal(map_put(&map, str_from(key), &values[k]),
                             there[k] ? &values[k] : NULL);
            count += !there[k];
            there[k] = true;
        } else {
            assert_ptr_equal(map_remove(&map, str_from(key)), there[k] ? &values[k] : NULL);
            count -= there[k];
            there[k] = false;
        }
        assert_int_equal(map.count, count);
        if (round % 1000 != 0)
            continue;
        for (size_t i = 0; i < KEYS; i++) {
            (void)snprintf(key, sizeof(key), "key-%zu", i);
            assert_ptr_equal(map_get(&map, str_from(key)), there[i] ? &values[i] : NULL);
        }
    }
    map_release(&map, NULL);
}

static void test_iteration(void **state)
{
    (void)state;
    struct map map = MAP_INIT;
    for (int i = 0; i < 100; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "%d", i);
        assert_null(map_put(&map, str_from(key), xmalloc(1)));
    }
    size_t at = 0, seen = 0;
    for (const struct map_entry *entry; (entry = map_next(&map, &at)); seen++)
        assert_ptr_equal(map_get(&map, str_n(entry->key, entry->key_len)), entry->value);
    assert_int_equal(seen, 100);
    assert_null(map_next(&map, &at));
    map_release(&map, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verbs),
        cmocka_unit_test(test_deletion),
        cmocka_unit_test(test_iteration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
