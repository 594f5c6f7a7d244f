/* Seals that were tampered with, keys that do not fit, and how the key's file is made and guarded.
 */
#include "crypto/seal.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char variable[] = "RUNNEL_TEST_SEAL_KEY";
static const char digits[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

struct fixture {
    char folder[64];
    char path[128];
    char other[128];
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/runnel-seal-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    (void)snprintf(f->path, sizeof(f->path), "%s/key", f->folder);
    (void)snprintf(f->other, sizeof(f->other), "%s/other", f->folder);
    (void)unsetenv(variable);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)unlink(f->path);
    (void)unlink(f->other);
    int rc = rmdir(f->folder); /* fails if anything was left behind */
    free(f);
    return rc;
}

static struct seal_key *load(const char *path, const char *env_name)
{
    struct seal_key *key = NULL;
    struct err err = ERR_INIT;
    if (seal_key_load(path, env_name, &key, &err))
        fail_msg("%s", err.text);
    return key;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void check_load_fails(const char *path, const char *env_name, int code, const char *part)
{
    struct seal_key *key = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(seal_key_load(path, env_name, &key, &err), code);
    assert_null(key);
    assert_int_equal(err.code, code);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" does not say \"%s\"", err.text, part);
}

/* Whether what one key seals the other opens. */
static bool same_key(const struct seal_key *a, const struct seal_key *b)
{
    struct buf sealed = BUF_INIT(1024), plain = BUF_INIT(1024);
    assert_int_equal(seal(a, STR("x"), STR_NONE, &sealed, NULL), 0);
    bool same = unseal(b, buf_str(&sealed), STR_NONE, &plain, NULL) == 0;
    buf_release(&sealed);
    buf_release(&plain);
    return same;
}

static void test_round_trip(void **state)
{
    struct fixture *f = *state;
    struct seal_key *key = load(f->path, variable);
    static const struct str texts[] = {{"", 0}, {NULL, 0}, {"secret", 6}, {"a\0b", 3}};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct buf first = BUF_INIT(1024), second = BUF_INIT(1024), plain = BUF_INIT(1024);
        buf_add_c(&plain, "before ");
        assert_int_equal(seal(key, texts[i], STR("account/a"), &first, NULL), 0);
        assert_int_equal(seal(key, texts[i], STR("account/a"), &second, NULL), 0);
        assert_int_equal(first.len, texts[i].len + SEAL_OVERHEAD);
        assert_int_equal(first.ptr[0], 1);
        assert_memory_not_equal(first.ptr, second.ptr,
                                first.len); /* the nonce is another each time */
        assert_int_equal(unseal(key, buf_str(&first), STR("account/a"), &plain, NULL), 0);
        assert_int_equal(plain.len, 7 + texts[i].len);
        assert_memory_equal(plain.ptr, "before ", 7);
        if (texts[i].len)
            assert_memory_equal(plain.ptr + 7, texts[i].ptr, texts[i].len);
        buf_release(&first);
        buf_release(&second);
        buf_release(&plain);
    }
    seal_key_free(key);
    seal_key_free(NULL);
}

static void check_unseal_fails(const struct seal_key *key, struct str sealed, struct str aad,
                               int code)
{
    struct buf plain = BUF_INIT(1024);
    struct err err = ERR_INIT;
    buf_add_c(&plain, "kept");
    assert_int_equal(unseal(key, sealed, aad, &plain, &err), code);
    assert_true(err.text[0] != '\0');
    assert_string_equal(buf_c(&plain), "kept");
    buf_release(&plain);
}

static void test_tampered(void **state)
{
    struct fixture *f = *state;
    struct seal_key *key = load(f->path, NULL), *other = load(f->other, NULL);
    struct buf sealed = BUF_INIT(1024);
    assert_int_equal(seal(key, STR("a secret of some length"), STR("here"), &sealed, NULL), 0);
    for (size_t i = 0; i < sealed.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            sealed.ptr[i] = (char)(sealed.ptr[i] ^ (1 << bit));
            check_unseal_fails(key, buf_str(&sealed), STR("here"),
                               i == 0 ? RN_EPROTOCOL : RN_EAUTH);
            sealed.ptr[i] = (char)(sealed.ptr[i] ^ (1 << bit));
        }
    }
    for (size_t n = 0; n < sealed.len; n++)
        check_unseal_fails(key, str_n(sealed.ptr, n), STR("here"),
                           n < SEAL_OVERHEAD ? RN_EPROTOCOL : RN_EAUTH);
    check_unseal_fails(key, buf_str(&sealed), STR("there"), RN_EAUTH);
    check_unseal_fails(key, buf_str(&sealed), STR_NONE, RN_EAUTH);
    check_unseal_fails(other, buf_str(&sealed), STR("here"), RN_EAUTH);
    struct err err = ERR_INIT;
    struct buf plain = BUF_INIT(1024);
    assert_int_equal(unseal(other, buf_str(&sealed), STR("here"), &plain, &err), RN_EAUTH);
    assert_non_null(strstr(err.text, "sealed with another key"));
    assert_int_equal(unseal(key, buf_str(&sealed), STR("here"), &plain, &err), 0);
    buf_release(&plain);
    buf_release(&sealed);
    seal_key_free(key);
    seal_key_free(other);
}

static void test_room(void **state)
{
    struct fixture *f = *state;
    struct seal_key *key = load(f->path, NULL);
    struct buf exact = BUF_INIT(SEAL_OVERHEAD + 3), small = BUF_INIT(SEAL_OVERHEAD + 2),
               tiny = BUF_INIT(2);
    assert_int_equal(seal(key, STR("abc"), STR_NONE, &exact, NULL), 0);
    assert_int_equal(seal(key, STR("abc"), STR_NONE, &small, NULL), RN_ETOOBIG);
    assert_int_equal(small.len, 0);
    assert_int_equal(unseal(key, buf_str(&exact), STR_NONE, &tiny, NULL), RN_ETOOBIG);
    buf_release(&exact);
    buf_release(&small);
    buf_release(&tiny);
    seal_key_free(key);
}

static void test_key_file(void **state)
{
    struct fixture *f = *state;
    mode_t mask = umask(0); /* the mode does not hang on it */
    struct seal_key *made = load(f->path, variable);
    (void)umask(mask);
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 65);
    assert_int_equal(st.st_nlink, 1);
    struct seal_key *again = load(f->path, variable), *other = load(f->other, variable);
    assert_true(same_key(made, again));
    assert_false(same_key(made, other));
    seal_key_free(made);
    seal_key_free(again);
    seal_key_free(other);
}

static void test_key_file_modes(void **state)
{
    struct fixture *f = *state;
    static const mode_t open_modes[] = {0640, 0604, 0620, 0602, 0610, 0644, 0666, 0777};
    for (size_t i = 0; i < COUNT_OF(open_modes); i++) {
        write_file(f->path, digits, open_modes[i]);
        check_load_fails(f->path, NULL, RN_ECONFIG, "chmod 600");
    }
    static const mode_t closed_modes[] = {0600, 0400, 0700};
    for (size_t i = 0; i < COUNT_OF(closed_modes); i++) {
        (void)unlink(f->path);
        write_file(f->path, digits, closed_modes[i]);
        seal_key_free(load(f->path, NULL));
    }
}

static void test_key_file_content(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {
        "",
        "\n",
        "0001",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f00",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n\n",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        write_file(f->path, bad[i], 0600);
        check_load_fails(f->path, NULL, RN_ECONFIG, "64 hexadecimal digits");
        struct stat st;
        assert_int_equal(stat(f->path, &st), 0);
        assert_int_equal(st.st_size, strlen(bad[i])); /* what is there is never overwritten */
    }
    check_load_fails(f->folder, NULL, RN_ECONFIG, "not a file");
    char missing[192];
    (void)snprintf(missing, sizeof(missing), "%s/no/such/key", f->folder);
    check_load_fails(missing, NULL, RN_EIO, missing);
}

static void test_key_variable(void **state)
{
    struct fixture *f = *state;
    write_file(f->path, digits, 0600);
    struct seal_key *file = load(f->path, NULL);
    static const char *const same[] = {
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    };
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        assert_int_equal(setenv(variable, same[i], 1), 0);
        struct seal_key *key = load(f->other, variable);
        assert_true(same_key(file, key));
        assert_int_equal(access(f->other, F_OK), -1); /* the variable alone is enough */
        seal_key_free(key);
    }
    static const char *const bad[] = {
        "hunter2-hunter2",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g",
        "AAECAwQFBgcICQoLDA0ODw==",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj",
        " 0102",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(setenv(variable, bad[i], 1), 0);
        struct err err = ERR_INIT;
        struct seal_key *key = NULL;
        assert_int_equal(seal_key_load(f->path, variable, &key, &err), RN_ECONFIG);
        assert_non_null(strstr(err.text, variable));
        assert_null(strstr(err.text, bad[i]));
    }
    assert_int_equal(setenv(variable, "", 1), 0); /* empty counts as not set */
    struct seal_key *key = load(f->path, variable);
    assert_true(same_key(file, key));
    (void)unsetenv(variable);
    seal_key_free(key);
    seal_key_free(file);
}

static void *load_in_thread(void *path)
{
    return load(path, NULL);
}

/* Two that start at once: one key, and no drafts left (tear_down sees to that). */
static void test_race(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[8];
    struct seal_key *keys[8];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_in_thread, f->path), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *key = NULL;
        assert_int_equal(pthread_join(threads[i], &key), 0);
        keys[i] = key;
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_true(same_key(keys[0], keys[i]));
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        seal_key_free(keys[i]);
}

#define WITH_FOLDER(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_round_trip),     WITH_FOLDER(test_tampered),
        WITH_FOLDER(test_room),           WITH_FOLDER(test_key_file),
        WITH_FOLDER(test_key_file_modes), WITH_FOLDER(test_key_file_content),
        WITH_FOLDER(test_key_variable),   WITH_FOLDER(test_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
