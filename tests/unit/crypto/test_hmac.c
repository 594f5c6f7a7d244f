/* The vectors of RFC 2202, RFC 4231 and FIPS 180-4, Segment's signatures, comparing, files. */
#include "crypto/hmac.h"

#include "base/encode.h"
#include "json/json.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT_MAX = 256 };

/* `text`, or `count` times the byte `fill`. */
struct input {
    const char *text;
    int fill;
    size_t count;
};

static struct str expand(const struct input *input, char out[TEXT_MAX])
{
    if (input->text)
        return str_from(input->text);
    memset(out, input->fill, input->count);
    return str_n(out, input->count);
}

struct vector {
    enum crypto_digest digest;
    struct input key;
    struct input data;
    const char *hex;
};

#define COUNTING                                                                                   \
    "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17" \
    "\x18\x19"
#define LARGER "Test Using Larger Than Block-Size Key"
#define LARGER_TEXT                                                                                \
    "This is a test using a larger than block-size key and a larger than block-size data. The "    \
    "key needs to be "                                                                             \
    "hashed before being used by the HMAC algorithm."

static const struct vector vectors[] = {
    /* RFC 2202, 3 */
    {CRYPTO_SHA1, {NULL, 0x0b, 20}, {"Hi There", 0, 0}, "b617318655057264e28bc0b6fb378c8ef146be00"},
    {CRYPTO_SHA1,
     {"Jefe", 0, 0},
     {"what do ya want for nothing?", 0, 0},
     "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
    {CRYPTO_SHA1,
     {NULL, 0xaa, 80},
     {LARGER " - Hash Key First", 0, 0},
     "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
    {CRYPTO_SHA1,
     {NULL, 0xaa, 80},
     {LARGER " and Larger Than One Block-Size Data", 0, 0},
     "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"},
    /* RFC 4231, 4.2 to 4.8 */
    {CRYPTO_SHA256,
     {NULL, 0x0b, 20},
     {"Hi There", 0, 0},
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {CRYPTO_SHA512,
     {NULL, 0x0b, 20},
     {"Hi There", 0, 0},
     "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
     "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
    {CRYPTO_SHA256,
     {"Jefe", 0, 0},
     {"what do ya want for nothing?", 0, 0},
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {CRYPTO_SHA512,
     {"Jefe", 0, 0},
     {"what do ya want for nothing?", 0, 0},
     "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
     "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
    {CRYPTO_SHA256,
     {NULL, 0xaa, 20},
     {NULL, 0xdd, 50},
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {CRYPTO_SHA256,
     {COUNTING, 0, 0},
     {NULL, 0xcd, 50},
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {CRYPTO_SHA256,
     {NULL, 0xaa, 131},
     {LARGER " - Hash Key First", 0, 0},
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {CRYPTO_SHA512,
     {NULL, 0xaa, 131},
     {LARGER " - Hash Key First", 0, 0},
     "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
     "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
    {CRYPTO_SHA256,
     {NULL, 0xaa, 131},
     {LARGER_TEXT, 0, 0},
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    {CRYPTO_SHA512,
     {NULL, 0xaa, 131},
     {LARGER_TEXT, 0, 0},
     "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
     "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"},
    /* nothing at all */
    {CRYPTO_SHA1, {NULL, 0, 0}, {NULL, 0, 0}, "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d"},
    {CRYPTO_SHA256,
     {NULL, 0, 0},
     {NULL, 0, 0},
     "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
};

static void check_vectors(void)
{
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        const struct vector *v = &vectors[i];
        char key[TEXT_MAX], data[TEXT_MAX], hex[CRYPTO_HEX_MAX];
        unsigned char bytes[CRYPTO_DIGEST_MAX], expected[CRYPTO_DIGEST_MAX];
        size_t size = 0;
        crypto_hmac_hex(v->digest, expand(&v->key, key), expand(&v->data, data), hex);
        assert_string_equal(hex, v->hex);
        crypto_hmac(v->digest, expand(&v->key, key), expand(&v->data, data), bytes, &size);
        assert_int_equal(size, crypto_digest_size(v->digest));
        assert_int_equal(decode_hex(str_from(v->hex), expected), 0);
        assert_memory_equal(bytes, expected, size);
    }
    char hex[CRYPTO_HEX_MAX];
    crypto_hmac_hex(CRYPTO_SHA1, STR_NONE, STR_NONE, hex);
    assert_string_equal(hex, "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
}

static void test_hmac(void **state)
{
    (void)state;
    check_vectors();
}

static void *check_in_thread(void *arg)
{
    for (int i = 0; i < 20; i++)
        check_vectors();
    return arg;
}

/* The algorithms are shared by all threads. */
static void test_hmac_on_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    int done = 0;
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, check_in_thread, &done), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *ret = NULL;
        assert_int_equal(pthread_join(threads[i], &ret), 0);
        assert_ptr_equal(ret, &done);
    }
}

static void test_segment_signatures(void **state)
{
    (void)state;
    char hex[CRYPTO_HEX_MAX];
    crypto_hmac_hex(CRYPTO_SHA1, STR("abc123"), STR("{\"cool\":true}"), hex);
    assert_string_equal(hex, "5099cab379b3be52908387457007040cc934ef86");
    crypto_hmac_hex(CRYPTO_SHA1, STR("abc123"), STR("{\"cool\":false}"), hex);
    assert_string_equal(hex, "c702b94a2569dd8d2f7185ce0ae951021bef4706");
    /* a batch carries the signature of its first element */
    struct str batch = STR("[{\"cool\":false},{\"cool\":true}]");
    size_t offset = 0, size = 0;
    assert_int_equal(json_element_span(batch, 0, &offset, &size), 0);
    crypto_hmac_hex(CRYPTO_SHA1, STR("abc123"), str_n(batch.ptr + offset, size), hex);
    assert_string_equal(hex, "c702b94a2569dd8d2f7185ce0ae951021bef4706");
}

static void test_hash(void **state)
{
    (void)state;
    char hex[CRYPTO_HEX_MAX];
    unsigned char bytes[CRYPTO_DIGEST_MAX];
    size_t size = 0;
    crypto_hash_hex(CRYPTO_SHA1, STR("abc"), hex);
    assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    crypto_hash_hex(CRYPTO_SHA256, STR("abc"), hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_hash_hex(CRYPTO_SHA512, STR("abc"), hex);
    assert_string_equal(hex, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                             "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    crypto_hash_hex(CRYPTO_SHA256, STR_NONE, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    crypto_hash(CRYPTO_SHA1, STR("abc"), bytes, &size);
    assert_int_equal(size, 20);
    assert_int_equal(bytes[0], 0xa9);
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(crypto_equal(STR("abc"), STR("abc")));
    assert_true(crypto_equal(STR(""), STR_NONE));
    assert_true(crypto_equal(STR("a\0b"), STR("a\0b")));
    assert_false(crypto_equal(STR("a\0b"), STR("a\0c")));
    assert_false(crypto_equal(STR("abc"), STR("abd")));
    assert_false(crypto_equal(STR("abc"), STR("Abc")));
    assert_false(crypto_equal(STR("abc"), STR("ab")));
    assert_false(crypto_equal(STR("abc"), STR_NONE));
}

static void test_hash_file(void **state)
{
    (void)state;
    char folder[] = "/tmp/runnel-crypto-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = xasprintf("%s/file", folder);
    char hex[65] = "untouched", expected[CRYPTO_HEX_MAX];
    struct err err = ERR_INIT;
    assert_int_equal(crypto_hash_file(path, hex, &err), RN_ENOTFOUND);
    assert_non_null(strstr(err.text, path));
    assert_string_equal(hex, "untouched");
    assert_int_equal(crypto_hash_file(folder, hex, NULL), RN_EIO);
    /* more than one block, and not a multiple of it */
    char *data = xmalloc(100001);
    memset(data, 'x', 100001);
    static const size_t sizes[] = {0, 3, 16384, 100001};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(data, 1, sizes[i], file), sizes[i]);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(crypto_hash_file(path, hex, NULL), 0);
        crypto_hash_hex(CRYPTO_SHA256, str_n(data, sizes[i]), expected);
        assert_string_equal(hex, expected);
    }
    free(data);
    (void)unlink(path);
    (void)rmdir(folder);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_hmac_on_threads),
        cmocka_unit_test(test_segment_signatures),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_hash_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
