#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/frame.h"
#include "ipc/stream.h"

#include <sys/socket.h>
#include <unistd.h>

static const struct str parts[] = {{"raw\0body", 8}, {"", 0}, {"third", 5}};

static struct frame sample(void)
{
    return (struct frame){.id = 0x0102030405060708u,
                          .kind = FRAME_CALL,
                          .json = STR("{\"op\":\"echo\"}"),
                          .sections = parts,
                          .section_count = COUNT_OF(parts)};
}

static void assert_same(const struct frame *a, const struct frame *b)
{
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->kind, b->kind);
    assert_true(str_eq(a->json, b->json));
    assert_int_equal(a->section_count, b->section_count);
    for (uint32_t i = 0; i < a->section_count; i++)
        assert_true(str_eq(a->sections[i], b->sections[i]));
}

static void test_round_trip(void **state)
{
    (void)state;
    const struct frame frame = sample();
    struct buf bytes = BUF_INIT(KIB(4));
    assert_int_equal(frame_write(&bytes, &frame), 0);
    assert_int_equal(bytes.len, frame_size(&frame));
    assert_int_equal(frame_write(&bytes, &frame), 0);
    struct frame back;
    struct str sections[8];
    size_t size = 0;
    assert_int_equal(frame_read(buf_str(&bytes), &back, sections, 8, &size, NULL), 0);
    assert_int_equal(size, frame_size(&frame));
    assert_same(&frame, &back);
    buf_release(&bytes);
}

static void test_every_truncation_waits_for_more(void **state)
{
    (void)state;
    const struct frame frame = sample();
    struct buf bytes = BUF_INIT(KIB(4));
    assert_int_equal(frame_write(&bytes, &frame), 0);
    for (size_t n = 0; n < bytes.len; n++) {
        /* A copy of exactly n bytes: AddressSanitizer sees every read behind them. */
        char *copy = xmalloc(n ? n : 1);
        memcpy(copy, bytes.ptr, n);
        struct frame back;
        struct str sections[8];
        size_t size = 1;
        assert_int_equal(frame_read(str_n(copy, n), &back, sections, 8, &size, NULL), 0);
        assert_int_equal(size, 0);
        free(copy);
    }
    buf_release(&bytes);
}

/* Reads the sample with the four bytes at `at` replaced. */
static int read_with(size_t at, uint32_t value, uint32_t section_max)
{
    const struct frame frame = sample();
    struct buf bytes = BUF_INIT(KIB(4));
    assert_int_equal(frame_write(&bytes, &frame), 0);
    memcpy(bytes.ptr + at, &value, sizeof(value));
    struct frame back;
    struct str sections[8];
    size_t size = 0;
    struct err err = ERR_INIT;
    int code = frame_read(buf_str(&bytes), &back, sections, section_max, &size, &err);
    assert_int_equal(err.code, code);
    buf_release(&bytes);
    return code;
}

static void test_lying_lengths(void **state)
{
    (void)state;
    const struct frame frame = sample();
    uint32_t length = (uint32_t)frame_size(&frame) - 4;
    assert_int_equal(read_with(0, length, 8), 0);
    assert_int_equal(read_with(0, (uint32_t)LIMIT_FRAME_BYTES + 1, 8), RN_ETOOBIG);
    assert_int_equal(read_with(0, UINT32_MAX, 8), RN_ETOOBIG);
    assert_int_equal(read_with(0, 0, 8), RN_EPROTOCOL);
    assert_int_equal(read_with(0, 19, 8), RN_EPROTOCOL);
    assert_int_equal(read_with(0, length - 1, 8), RN_EPROTOCOL);
    assert_int_equal(read_with(4, 0, 8), RN_EPROTOCOL);
    assert_int_equal(read_with(4, 14, 8), RN_EPROTOCOL);
    assert_int_equal(read_with(4, UINT32_MAX, 8), RN_EPROTOCOL);
    assert_int_equal(read_with(16, 0, 8), RN_EPROTOCOL);
    assert_int_equal(read_with(16, 6, 8), RN_EPROTOCOL);
    assert_int_equal(read_with(16, 0x10002, 8), RN_EPROTOCOL);
    assert_int_equal(read_with(20, 2, 8), RN_EPROTOCOL);
    assert_int_equal(read_with(20, 8, 8), RN_EPROTOCOL);
    assert_int_equal(read_with(20, UINT32_MAX, 8), RN_ETOOBIG);
    assert_int_equal(read_with(20, 3, 2), RN_ETOOBIG);
    assert_int_equal(read_with(24, UINT32_MAX, 8), RN_EPROTOCOL);
    assert_int_equal(read_with(24, 7, 8), RN_EPROTOCOL);
    assert_int_equal(read_with(32, 6, 8), RN_EPROTOCOL);
}

static void test_limits_of_writing(void **state)
{
    (void)state;
    struct buf small = BUF_INIT(16);
    const struct frame frame = sample();
    assert_int_equal(frame_write(&small, &frame), RN_ETOOBIG);
    buf_release(&small);
    char byte = 'x';
    const struct frame json = {.kind = FRAME_CALL, .json = {&byte, LIMIT_FRAME_BYTES - 19}};
    assert_int_equal(frame_size(&json), 0);
    const struct frame just = {.kind = FRAME_CALL, .json = {&byte, LIMIT_FRAME_BYTES - 20}};
    assert_int_equal(frame_size(&just), LIMIT_FRAME_BYTES + 4);
    const struct frame many = {
        .kind = FRAME_CALL, .sections = parts, .section_count = LIMIT_FRAME_SECTIONS + 1};
    assert_int_equal(frame_size(&many), 0);
}

/* Frames of all sizes through an outbox, a small socket and an inbox. */
static void test_stream(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct outbox outbox;
    struct inbox inbox;
    outbox_init(&outbox);
    inbox_init(&inbox);
    static const size_t sizes[] = {0, 1, 1500, 70000, 300000, 3000000, 5, 40000, 262144, 1};
    char *bytes = xmalloc(3000000);
    memset(bytes, 'z', 3000000);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        const struct str section = {bytes, sizes[i]};
        const struct frame frame = {.id = i + 1,
                                    .kind = FRAME_RESULT,
                                    .json = STR("{}"),
                                    .sections = &section,
                                    .section_count = 1};
        outbox_add(&outbox, &frame, frame_size(&frame));
    }
    uint64_t next = 1;
    unsigned rounds = 0;
    while (next <= COUNT_OF(sizes)) {
        int code = outbox_flush(&outbox, &lock, fds[0], MSG_DONTWAIT);
        assert_true(code == 0 || code == RN_EAGAIN);
        bool is_full;
        inbox_make_room(&inbox);
        assert_true(inbox_receive(&inbox, fds[1], MSG_DONTWAIT, &is_full) > 0);
        struct frame frame;
        while (next <= COUNT_OF(sizes) && inbox_next(&inbox, &frame, NULL) == 1) {
            assert_int_equal(frame.id, next);
            assert_int_equal(frame.sections[0].len, sizes[next - 1]);
            for (size_t i = 0; i < frame.sections[0].len; i += 997)
                assert_int_equal(frame.sections[0].ptr[i], 'z');
            next++;
        }
        rounds++;
    }
    assert_true(rounds > 2);
    assert_int_equal(outbox.sent, outbox.added);
    assert_true(outbox_is_empty(&outbox));
    close(fds[1]);
    const struct frame last = sample();
    outbox_add(&outbox, &last, frame_size(&last));
    assert_int_equal(outbox_flush(&outbox, &lock, fds[0], MSG_DONTWAIT), RN_EIO);
    assert_true(outbox.broken);
    pthread_mutex_unlock(&lock);
    free(bytes);
    outbox_release(&outbox);
    inbox_release(&inbox);
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_truncation_waits_for_more),
        cmocka_unit_test(test_lying_lengths),
        cmocka_unit_test(test_limits_of_writing),
        cmocka_unit_test(test_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
