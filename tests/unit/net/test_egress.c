/* The egress policy: what is refused, what can be allowed, where requests are sent instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "net/egress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static int check(const struct egress *egress, const char *text, int port, struct err *err)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to = {.any.sa_family = AF_UNSPEC};
    if (inet_pton(AF_INET, text, &to.v4.sin_addr) == 1) {
        to.v4.sin_family = AF_INET;
        to.v4.sin_port = htons((uint16_t)port);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &to.v6.sin6_addr), 1);
        to.v6.sin6_family = AF_INET6;
        to.v6.sin6_port = htons((uint16_t)port);
    }
    return egress_check(egress, &to.any, err);
}

static const char *const always_refused[] = {
    "169.254.0.1",
    "169.254.169.254",
    "169.254.255.255",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.0.1",
    "168.63.129.16",
    "100.100.100.200",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "::",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "::169.254.169.254",
    "64:ff9b:1::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "2001:0:a9fe:a9fe::1",             /* Teredo: the server */
    "2001:0:101:101:0:0:5601:5601",    /* Teredo: the client, 169.254.169.254 with bits flipped */
    "2606:4700::5efe:169.254.169.254", /* ISATAP */
    "2606:4700::200:5efe:a9fe:a9fe",
    "fd20:ce::254",
    "fd00:42::42",
};

static const char *const refused_unless_allowed[] = {
    "127.0.0.1",
    "127.255.255.255",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "198.18.0.1",
    "::1",
    "fc00::1",
    "fdff::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:192.168.1.1",
    "64:ff9b::10.0.0.1",
    "2002:7f00:1::",
    "::127.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "2001:0:808:808:0:0:80ff:fffe", /* Teredo: 127.0.0.1 */
    "2606:4700::5efe:10.0.0.1",
};

static const char *const open_addresses[] = {
    "1.1.1.1",
    "8.8.8.8",
    "126.255.255.255",
    "128.0.0.1",
    "9.255.255.255",
    "11.0.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "192.167.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "169.253.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2606:4700::5efe:8.8.8.8",
};

static void test_ranges(void **state)
{
    (void)state;
    struct egress *none = egress_new(), *all = egress_new();
    struct err err = ERR_INIT;
    assert_int_equal(egress_allow(all, STR("0.0.0.0/0"), &err), 0);
    assert_int_equal(egress_allow(all, STR("::/0"), &err), 0);
    for (size_t i = 0; i < COUNT_OF(always_refused); i++) {
        assert_int_equal(check(none, always_refused[i], 80, &err), RN_EPERM);
        assert_int_equal(check(all, always_refused[i], 80, &err), RN_EPERM);
    }
    for (size_t i = 0; i < COUNT_OF(refused_unless_allowed); i++) {
        assert_int_equal(check(none, refused_unless_allowed[i], 80, &err), RN_EPERM);
        assert_non_null(strstr(err.text, "egress.allow"));
        assert_int_equal(check(all, refused_unless_allowed[i], 80, &err), 0);
    }
    for (size_t i = 0; i < COUNT_OF(open_addresses); i++)
        assert_int_equal(check(none, open_addresses[i], 80, &err), 0);
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    assert_int_equal(egress_check(all, (struct sockaddr *)&local, &err), RN_EPERM);
    egress_free(none);
    egress_free(all);
}

static void test_allow(void **state)
{
    (void)state;
    struct egress *egress = egress_new();
    struct err err = ERR_INIT;
    /* what is allowed is so inside another address, too */
    assert_int_equal(egress_allow(egress, STR("10.9.0.0/16"), &err), 0);
    assert_int_equal(check(egress, "64:ff9b::10.9.0.1", 80, &err), 0);
    assert_int_equal(check(egress, "64:ff9b::10.8.0.1", 80, &err), RN_EPERM);
    assert_int_equal(egress_allow(egress, STR("127.0.0.1:9400"), &err), 0);
    assert_int_equal(egress_allow(egress, STR("10.1.0.0/16"), &err), 0);
    assert_int_equal(egress_allow(egress, STR("192.168.0.0/24:443"), &err), 0);
    assert_int_equal(egress_allow(egress, STR("[::1]:8080"), &err), 0);
    assert_int_equal(egress_allow(egress, STR("fd12:3456::/32"), &err), 0);
    assert_int_equal(check(egress, "127.0.0.1", 9400, &err), 0);
    assert_int_equal(check(egress, "::ffff:127.0.0.1", 9400, &err), 0);
    assert_int_equal(check(egress, "127.0.0.1", 9401, &err), RN_EPERM);
    assert_non_null(strstr(err.text, "127.0.0.1:9401"));
    assert_int_equal(check(egress, "127.0.0.2", 9400, &err), RN_EPERM);
    assert_int_equal(check(egress, "10.1.255.255", 1, &err), 0);
    assert_int_equal(check(egress, "10.2.0.0", 1, &err), RN_EPERM);
    assert_int_equal(check(egress, "192.168.0.9", 443, &err), 0);
    assert_int_equal(check(egress, "192.168.0.9", 80, &err), RN_EPERM);
    assert_int_equal(check(egress, "::1", 8080, &err), 0);
    assert_int_equal(check(egress, "::1", 8081, &err), RN_EPERM);
    assert_int_equal(check(egress, "fd12:3456::1", 1, &err), 0);
    assert_int_equal(check(egress, "fd12:3457::1", 1, &err), RN_EPERM);
    static const char *const bad[] = {"",
                                      "localhost",
                                      "127.0.0.1/33",
                                      "127.0.0.1/-1",
                                      "127.0.0",
                                      "127.0.0.1:0",
                                      "127.0.0.1:70000",
                                      "127.0.0.1:",
                                      "::1/129",
                                      "[::1",
                                      "[127.0.0.1]:80",
                                      "[::1]80",
                                      "127.0.0.1 ",
                                      "10.0.0.0/8/8",
                                      "[]",
                                      ":80"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(egress_allow(egress, str_from(bad[i]), &err), RN_EINVAL);
    egress_free(egress);
}

static void expect_url(const struct egress *egress, const char *url, const char *expected)
{
    struct err err = ERR_INIT;
    char *got = NULL;
    assert_int_equal(egress_apply(egress, url, &got, &err), 0);
    assert_string_equal(got, expected);
    free(got);
}

static void test_rewrite(void **state)
{
    (void)state;
    struct egress *egress = egress_new();
    struct err err = ERR_INIT;
    assert_int_equal(egress_rewrite(egress, STR("https://discord.com"),
                                    STR("http://127.0.0.1:9400/discord/"), &err),
                     0);
    assert_int_equal(
        egress_rewrite(egress, STR("http://Api.Example:8080/"), STR("https://other:1"), &err), 0);
    expect_url(egress, "https://discord.com/api/webhooks/1/x?wait=true&a=%20",
               "http://127.0.0.1:9400/discord/api/webhooks/1/x?wait=true&a=%20");
    expect_url(egress, "https://discord.com", "http://127.0.0.1:9400/discord/");
    expect_url(egress, "https://discord.com:443?a", "http://127.0.0.1:9400/discord/?a");
    expect_url(egress, "HTTPS://DISCORD.com/a", "http://127.0.0.1:9400/discord/a");
    expect_url(egress, "https://key:@discord.com/v1", "http://key:@127.0.0.1:9400/discord/v1");
    expect_url(egress, "http://discord.com/a", "http://discord.com/a");
    expect_url(egress, "https://discord.com:444/a", "https://discord.com:444/a");
    expect_url(egress, "https://discord.com.evil.example/a", "https://discord.com.evil.example/a");
    expect_url(egress, "https://discord.com@evil.example/a", "https://discord.com@evil.example/a");
    expect_url(egress, "http://api.example:8080/a", "https://other:1/a");
    /* the one added last wins */
    assert_int_equal(egress_rewrite(egress, STR("https://discord.com"), STR("http://b"), &err), 0);
    expect_url(egress, "https://discord.com/a", "http://b/a");
    static const char *const bad[][2] = {
        {"discord.com", "http://a"}, {"https://a/path", "http://a"}, {"ftp://a", "http://a"},
        {"https://a", "ftp://b"},    {"https://a", "http://b/?q"},   {"https://a", "b"},
        {"https://u@a", "http://b"}, {"https://", "http://b"}};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(egress_rewrite(egress, str_from(bad[i][0]), str_from(bad[i][1]), &err),
                         RN_EINVAL);
    egress_free(egress);
}

static void test_urls(void **state)
{
    (void)state;
    struct egress *egress = egress_new();
    struct err err = ERR_INIT;
    char *got = NULL;
    static const char *const schemes[] = {"file:///etc/passwd", "ftp://a/b", "gopher://a",
                                          "file:/x", "javascript:x"};
    static const char *const none[] = {"",
                                       "a",
                                       "/a",
                                       "http//a",
                                       "http://",
                                       "http://a b/",
                                       "http://a:x/",
                                       "http://a:70000/",
                                       "http://[::1/",
                                       "http://a\\@b/",
                                       "http://a\n/",
                                       "://a",
                                       "http://a@b@c/"};
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        assert_int_equal(egress_apply(egress, schemes[i], &got, &err), RN_EPERM);
    for (size_t i = 0; i < COUNT_OF(none); i++)
        assert_int_equal(egress_apply(egress, none[i], &got, &err), RN_EINVAL);
    assert_null(got);
    egress_free(egress);
}

static void test_json(void **state)
{
    (void)state;
    struct egress *egress = egress_new(), *copy = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(egress_allow(egress, STR("127.0.0.0/8:9400"), &err), 0);
    assert_int_equal(egress_allow(egress, STR("::1"), &err), 0);
    assert_int_equal(
        egress_rewrite(egress, STR("https://a.example"), STR("http://127.0.0.1:9400/a"), &err), 0);
    assert_int_equal(
        egress_rewrite(egress, STR("https://a.example"), STR("http://127.0.0.1:9400/b"), &err), 0);
    char *text = egress_to_json(egress);
    assert_int_equal(egress_from_json(str_from(text), &copy, &err), 0);
    char *again = egress_to_json(copy);
    assert_string_equal(text, again);
    assert_int_equal(check(copy, "127.1.2.3", 9400, &err), 0);
    assert_int_equal(check(copy, "127.1.2.3", 9401, &err), RN_EPERM);
    expect_url(copy, "https://a.example/x", "http://127.0.0.1:9400/b/x");
    free(text);
    free(again);
    egress_free(egress);
    egress_free(copy);
    copy = NULL;
    assert_int_not_equal(egress_from_json(STR("[]"), &copy, &err), 0);
    assert_int_not_equal(egress_from_json(STR("{"), &copy, &err), 0);
    assert_int_equal(egress_from_json(STR("{\"allow\":[\"x\"]}"), &copy, &err), RN_EINVAL);
    assert_int_equal(egress_from_json(STR("{\"rewrite\":[[\"https://a\"]]}"), &copy, &err),
                     RN_EINVAL);
    assert_null(copy);
    assert_int_equal(egress_from_json(STR("{}"), &copy, &err), 0);
    egress_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges), cmocka_unit_test(test_allow), cmocka_unit_test(test_rewrite),
        cmocka_unit_test(test_urls),   cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
