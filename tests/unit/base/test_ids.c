/* Ids, keys, UUIDs. */
#include "base/ids.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_next(void **state)
{
    (void)state;
    uint64_t id = id_next(0, 1700000000123);
    assert_int_equal(id_ms(id), 1700000000123);
    uint64_t same = id_next(id, 1700000000123);
    assert_true(same == id + 1);
    assert_true(id_next(same, 1600000000000) ==
                same + 1); /* the clock went back: the order stays */
    assert_true(id_next(same, 1700000000124) > same);
    assert_int_equal(id_ms(id_next(same, 1700000000124)), 1700000000124);
    /* more than a million in one ms run into the next one, still in order */
    uint64_t last = ((uint64_t)5 << ID_COUNTER_BITS | ((1u << ID_COUNTER_BITS) - 1));
    assert_true(id_next(last, 5) == (uint64_t)6 << ID_COUNTER_BITS);
    assert_true(id_next(0, 0) > 0);
}

static void test_text(void **state)
{
    (void)state;
    static const uint64_t ids[] = {
        0, 1, 31, 32, 1700000000123u << 4, UINT64_MAX, UINT64_MAX - 1, (uint64_t)1 << 63};
    char before[ID_TEXT_MAX] = "";
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        char text[ID_TEXT_MAX];
        uint64_t back = 77;
        id_format("evt", ids[i], text);
        assert_int_equal(strlen(text), 17);
        assert_int_equal(id_parse("evt", str_from(text), &back), 0);
        assert_true(back == ids[i]);
        memcpy(before, text, sizeof(before));
    }
    char text[ID_TEXT_MAX];
    id_format("run", UINT64_MAX, text);
    assert_string_equal(text, "run_fzzzzzzzzzzzz");
    id_format("run", 33, text);
    assert_string_equal(text, "run_0000000000011");
    static const char *const bad[] = {
        "",
        "run",
        "run_",
        "run_000000000001",
        "run_00000000000011",
        "evt_0000000000011",
        "run-0000000000011",
        "0000000000011",
        "run_000000000001i",
        "run_000000000001l",
        "run_000000000001o",
        "run_000000000001u",
        "run_000000000001A",
        "run_g000000000000",
        "run_zzzzzzzzzzzzz",
        "run_ 000000000011",
        " run_0000000000011",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint64_t id = 77;
        assert_int_equal(id_parse("run", str_from(bad[i]), &id), RN_EINVAL);
        assert_int_equal(id, 77);
    }
    uint64_t id;
    assert_int_equal(id_parse("run", STR("run_000000000001\0"), &id), RN_EINVAL);
}

/* Ids sort by time as texts too. */
static void test_order(void **state)
{
    (void)state;
    char before[ID_TEXT_MAX] = "evt_", text[ID_TEXT_MAX];
    uint64_t id = 0;
    for (int64_t ms = 1; ms < 4000000000000; ms = ms * 3 + 1) {
        id = id_next(id, ms);
        id_format("evt", id, text);
        assert_true(strcmp(before, text) < 0);
        memcpy(before, text, sizeof(before));
    }
}

static void test_random(void **state)
{
    (void)state;
    char a[33], b[33], none[1];
    random_key(a, 32);
    random_key(b, 32);
    assert_int_equal(strlen(a), 32);
    assert_string_not_equal(a, b);
    assert_int_equal(strspn(a, "0123456789abcdefghjkmnpqrstvwxyz"), 32);
    random_key(none, 0);
    assert_string_equal(none, "");
    unsigned char bytes[1000], zero[1000] = {0};
    memset(bytes, 0, sizeof(bytes));
    random_bytes(bytes, sizeof(bytes));
    assert_memory_not_equal(bytes, zero, sizeof(bytes));
    assert_memory_not_equal(bytes + 500, zero, 500);
    for (int i = 0; i < 50; i++) {
        char uuid[37], other[37];
        random_uuid(uuid);
        random_uuid(other);
        assert_int_equal(strlen(uuid), 36);
        assert_int_equal(strspn(uuid, "0123456789abcdef-"), 36);
        assert_true(uuid[8] == '-' && uuid[13] == '-' && uuid[18] == '-' && uuid[23] == '-');
        assert_int_equal(uuid[14], '4');
        assert_non_null(memchr("89ab", uuid[19], 4));
        assert_string_not_equal(uuid, other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
