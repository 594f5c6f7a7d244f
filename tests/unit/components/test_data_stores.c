/* The data_stores plugin: each action on stores that have the key and on ones that have not. */
#include "component_test.h"

#define KEY(name_) "data_stores-" name_

static struct rn_test *begin(const char *records, const char *props)
{
    struct rn_test *t = start();
    char all[1024];
    rn_test_set_store(t, "visits", records);
    (void)snprintf(all, sizeof(all), "{\"dataStore\":{\"store\":\"visits\"}%s%s}",
                   props[0] ? "," : "", props);
    rn_test_set_props(t, all);
    return t;
}

static void check(struct rn_test *t, const char *key, const char *value, const char *summary,
                  const char *records)
{
    RN_TEST_OK(t, rn_test_action(t, key));
    if (value)
        RN_TEST_JSON(t, rn_test_export(t, "$return_value"), value);
    else
        assert_null(rn_test_export(t, "$return_value"));
    RN_TEST_JSON(t, rn_test_export(t, "$summary"), summary);
    RN_TEST_JSON(t, rn_test_store(t, "visits"), records);
    finish(t);
}

static void fails(struct rn_test *t, int32_t code, int32_t expected, const char *words)
{
    RN_TEST_CODE(t, code, expected);
    RN_TEST_CONTAINS(t, rn_test_error(t), words);
}

static void one_record_is_set(void **state)
{
    (void)state;
    check(begin("{}", "\"key\":\"ada\",\"value\":[1,9007199254740993]"), KEY("add-update-record"),
          "{\"key\":\"ada\",\"value\":[1,9007199254740993],\"ttl\":null}",
          "\"Successfully added the record `ada`\"", "{\"ada\":[1,9007199254740993]}");
    check(begin("{\"ada\":1}", "\"key\":\"ada\",\"value\":\"{\\\"n\\\":2}\",\"ttl\":7200"),
          KEY("add-update-record"), "{\"key\":\"ada\",\"value\":{\"n\":2},\"ttl\":7200}",
          "\"Successfully updated the record `ada` (expires in 2 hours)\"", "{\"ada\":{\"n\":2}}");
    check(begin("{}", "\"key\":\"ada\",\"value\":\"Ada, 36\",\"ttl\":1"), KEY("add-update-record"),
          "{\"key\":\"ada\",\"value\":\"Ada, 36\",\"ttl\":1}",
          "\"Successfully added the record `ada` (expires in 1 second)\"", "{\"ada\":\"Ada, 36\"}");
    struct rn_test *t = begin("{}", "\"key\":\"\",\"value\":1");
    fails(t, rn_test_action(t, KEY("add-update-record")), RN_EINVAL, "1 to 256 bytes");
    finish(t);
    t = begin("{}", "\"key\":\"a\",\"value\":1");
    rn_test_set_prop(t, "dataStore", "{}");
    fails(t, rn_test_action(t, KEY("add-update-record")), RN_EINVAL,
          "\"dataStore\" names no data store");
    finish(t);
}

static void many_records_are_set(void **state)
{
    (void)state;
    check(begin("{\"a\":0,\"z\":0}",
                "\"data\":[{\"a\":1,\"b\":\"true\"},{\"a\":\"two\"}],\"ttl\":90"),
          KEY("add-update-multiple-records"), "{\"a\":\"two\",\"b\":true,\"_ttl\":90}",
          "\"Successfully added or updated 2 records (expires in 90 seconds)\"",
          "{\"a\":\"two\",\"b\":true,\"z\":0}");
    check(begin("{}", "\"data\":\"{\\\"a\\\":1}\""), KEY("add-update-multiple-records"),
          "{\"a\":1,\"_ttl\":null}", "\"Successfully added or updated 1 record\"", "{\"a\":1}");
    check(begin("{}", "\"data\":{}"), KEY("add-update-multiple-records"), "{\"_ttl\":null}",
          "\"There was nothing to add or update\"", "{}");
    struct rn_test *t = begin("{}", "\"data\":5");
    fails(t, rn_test_action(t, KEY("add-update-multiple-records")), RN_EINVAL, "`data`");
    finish(t);
}

static void lists_grow(void **state)
{
    (void)state;
    check(begin("{\"list\":[1]}", "\"key\":\"list\",\"value\":{\"b\":2}"), KEY("append-to-record"),
          "{\"key\":\"list\",\"value\":{\"b\":2},\"ttl\":null}",
          "\"Successfully appended to the record `list`\"", "{\"list\":[1,{\"b\":2}]}");
    check(begin("{}", "\"key\":\"list\",\"value\":\"x\",\"ttl\":86400"), KEY("append-to-record"),
          "{\"key\":\"list\",\"value\":\"x\",\"ttl\":86400}",
          "\"Successfully created the record `list` (expires in 1 day)\"", "{\"list\":[\"x\"]}");
    struct rn_test *t = begin("{\"list\":{}}", "\"key\":\"list\",\"value\":1");
    fails(t, rn_test_action(t, KEY("append-to-record")), RN_ECONFIG, "`list` is no list");
    finish(t);
}

static void counters_count(void **state)
{
    (void)state;
    check(begin("{}", "\"key\":\"ada\""), KEY("increment-record"), "1",
          "\"Successfully counted `ada` to 1\"", "{\"ada\":1}");
    check(begin("{\"ada\":5}", "\"key\":\"ada\",\"by\":-7"), KEY("increment-record"), "-2",
          "\"Successfully counted `ada` to -2\"", "{\"ada\":-2}");
    struct rn_test *t = begin("{\"ada\":\"x\"}", "\"key\":\"ada\"");
    fails(t, rn_test_action(t, KEY("increment-record")), RN_EINVAL, "no integer");
    finish(t);
}

static void records_are_got_or_made(void **state)
{
    (void)state;
    const char *make = "\"key\":\"ada\",\"addRecordIfNotFound\":\"Yes\",\"value\":\"1\"";
    check(begin("{\"ada\":null}", make), KEY("get-record-or-create"), "null",
          "\"Found the record `ada`\"", "{\"ada\":null}");
    check(begin("{}", make), KEY("get-record-or-create"), "1",
          "\"Successfully added the record `ada`\"", "{\"ada\":1}");
    check(begin("{}", "\"key\":\"ada\",\"addRecordIfNotFound\":\"Yes\",\"value\":\"1\",\"ttl\":60"),
          KEY("get-record-or-create"), "{\"value\":1,\"ttl\":60}",
          "\"Successfully added the record `ada` (expires in 1 minute)\"", "{\"ada\":1}");
    check(begin("{}", "\"key\":\"ada\",\"addRecordIfNotFound\":\"No\",\"value\":1"),
          KEY("get-record-or-create"), NULL, "\"There is no record `ada`\"", "{}");
    check(begin("{\"ada\":2}", make), KEY("has-key-or-create"),
          "{\"existingKeyFound\":true,\"newKeyCreated\":false}", "\"The key `ada` exists\"",
          "{\"ada\":2}");
    check(begin("{}", make), KEY("has-key-or-create"),
          "{\"existingKeyFound\":false,\"newKeyCreated\":true,\"value\":1,\"ttl\":null}",
          "\"The key `ada` was not found. Successfully added the record\"", "{\"ada\":1}");
    check(begin("{}", "\"key\":\"ada\""), KEY("has-key-or-create"),
          "{\"existingKeyFound\":false,\"newKeyCreated\":false}",
          "\"The key `ada` does not exist\"", "{}");
    struct rn_test *t = begin("{}", "\"key\":\"ada\",\"addRecordIfNotFound\":\"Yes\"");
    fails(t, rn_test_action(t, KEY("get-record-or-create")), RN_ECONFIG, "the prop `value`");
    finish(t);
}

static void times_are_changed(void **state)
{
    (void)state;
    check(begin("{\"a\":1}", "\"key\":\"a\",\"ttlOption\":\"3600\""), KEY("update-ttl"),
          "{\"success\":true,\"key\":\"a\",\"ttl\":3600}",
          "\"Successfully updated the expiration of `a` (expires in 1 hour)\"", "{\"a\":1}");
    check(begin("{\"a\":1}", "\"key\":\"a\",\"ttlOption\":\"custom\",\"ttl\":0"), KEY("update-ttl"),
          "{\"success\":true,\"key\":\"a\",\"ttl\":null}",
          "\"Successfully removed the expiration of `a`\"", "{\"a\":1}");
    check(begin("{}", "\"key\":\"a\",\"ttlOption\":\"0\""), KEY("update-ttl"),
          "{\"success\":false,\"key\":\"a\"}", "\"There is no record `a`\"", "{}");
    struct rn_test *t = begin("{}", "\"key\":\"a\",\"ttlOption\":\"custom\"");
    fails(t, rn_test_action(t, KEY("update-ttl")), RN_ECONFIG, "the prop `ttl`");
    finish(t);
}

static void records_are_deleted(void **state)
{
    (void)state;
    check(begin("{\"a\":false,\"b\":1}", "\"key\":\"a\""), KEY("delete-single-record"), "false",
          "\"Successfully deleted the record `a`\"", "{\"b\":1}");
    check(begin("{\"b\":1}", "\"key\":\"a\""), KEY("delete-single-record"), NULL,
          "\"There is no record `a`: nothing was deleted\"", "{\"b\":1}");
    check(begin("{\"a\":1,\"b\":1}", ""), KEY("delete-all-records"), NULL,
          "\"Successfully deleted all records\"", "{}");
}

static void records_are_listed(void **state)
{
    (void)state;
    const char *two = "{\"b\":{\"n\":1.50},\"a\":\"\\\"\"}";
    check(begin(two, ""), KEY("list-keys"), "[\"a\",\"b\"]", "\"Found 2 keys\"", two);
    check(begin("{}", ""), KEY("list-keys"), "[]", "\"Found no keys\"", "{}");
    check(begin(two, ""), KEY("list-records"), two, "\"Found 2 records\"", two);
    check(begin(two, "\"keys\":[\"b\",\"none\"],\"returnType\":\"array\""), KEY("list-records"),
          "[{\"key\":\"b\",\"value\":{\"n\":1.50}}]", "\"Found 1 record\"", two);
    check(begin("{}", ""), KEY("list-records"), "{}", "\"Found no records\"", "{}");
    struct rn_test *t = start();
    rn_test_set_store(t, "A", "{\"a\":1,\"b\":2,\"d\":4,\"e\":5}");
    rn_test_set_store(t, "B", "{\"0\":0,\"b\":0,\"c\":0,\"d\":0,\"x\":0}");
    rn_test_set_props(t, "{\"dataStoreA\":{\"store\":\"A\"},\"dataStoreB\":{\"storeId\":\"B\"}}");
    RN_TEST_OK(t, rn_test_action(t, KEY("get-difference")));
    RN_TEST_JSON(t, rn_test_export(t, "$return_value"), "{\"a\":1,\"e\":5}");
    finish(t);
}

/* Stores of more than a page: nothing is left out, nothing comes twice. */
static void pages_are_gone_through(void **state)
{
    (void)state;
    char records[2500 * 16] = "{", odd[2500 * 16] = "{";
    for (int i = 0; i < 2500; i++) {
        size_t size = strlen(records), other = strlen(odd);
        (void)snprintf(records + size, sizeof(records) - size, "%s\"%04d\":%d", i ? "," : "", i, i);
        if (i % 2)
            (void)snprintf(odd + other, sizeof(odd) - other, "%s\"%04d\":0", i > 1 ? "," : "", i);
    }
    (void)snprintf(records + strlen(records), 2, "}");
    (void)snprintf(odd + strlen(odd), 2, "}");
    struct rn_test *t = begin(records, "");
    RN_TEST_OK(t, rn_test_action(t, KEY("list-records")));
    RN_TEST_JSON(t, rn_test_export(t, "$return_value"), records);
    RN_TEST_OK(t, rn_test_action(t, KEY("list-keys")));
    RN_TEST_JSON(t, rn_test_export(t, "$summary"), "\"Found 2500 keys\"");
    rn_test_set_store(t, "odd", odd);
    rn_test_set_props(t,
                      "{\"dataStoreA\":{\"store\":\"visits\"},\"dataStoreB\":{\"store\":\"odd\"}}");
    RN_TEST_OK(t, rn_test_action(t, KEY("get-difference")));
    RN_TEST_JSON(t, rn_test_export(t, "$summary"), "\"Found 1250 records\"");
    finish(t);
}

static void texts_are_found(void **state)
{
    (void)state;
    const char *records =
        "{\"order\":{\"lines\":[{\"film\":\"A New Hope\"},{\"film\":\"a new hope\"}]},"
        "\"n\":42,\"t\":true}";
    check(begin(records, "\"query\":\"a new hope\""), KEY("get-record-keys"),
          "{\"hasRegisteredKeys\":true,\"keys\":[\"order.lines.1.film\"],\"values\":[\"a new "
          "hope\"]}",
          "\"Successfully found 1 key\"", records);
    check(begin(records, "\"query\":\"NEW\",\"contains\":true,\"caseInsensitive\":true"),
          KEY("get-record-keys"),
          "{\"hasRegisteredKeys\":true,\"keys\":[\"order.lines.0.film\",\"order.lines.1.film\"],"
          "\"values\":[\"A New Hope\",\"a new hope\"]}",
          "\"Successfully found 2 keys\"", records);
    check(begin(records, "\"query\":\"42\""), KEY("get-record-keys"),
          "{\"hasRegisteredKeys\":true,\"keys\":[\"n\"],\"values\":[42]}",
          "\"Successfully found 1 key\"", records);
}

static void keys_are_offered(void **state)
{
    (void)state;
    struct rn_test *t = begin("{\"bob\":1,\"ada\":1,\"eve\":1}", "");
    RN_TEST_OK(t, rn_test_options(t, KEY("delete-single-record"), "key", 0, "", NULL));
    RN_TEST_JSON(t, rn_test_offered(t),
                 "[{\"label\":\"ada\",\"value\":\"ada\"},{\"label\":\"bob\",\"value\":\"bob\"},"
                 "{\"label\":\"eve\",\"value\":\"eve\"}]");
    assert_null(rn_test_context(t));
    RN_TEST_OK(t, rn_test_options(t, KEY("list-records"), "keys", 0, "v", NULL));
    RN_TEST_JSON(t, rn_test_offered(t), "[{\"label\":\"eve\",\"value\":\"eve\"}]");
    RN_TEST_OK(t, rn_test_options(t, KEY("list-records"), "keys", 1, "", "{\"after\":\"bob\"}"));
    RN_TEST_JSON(t, rn_test_offered(t), "[{\"label\":\"eve\",\"value\":\"eve\"}]");
    finish(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_record_is_set),
        cmocka_unit_test(many_records_are_set),
        cmocka_unit_test(lists_grow),
        cmocka_unit_test(counters_count),
        cmocka_unit_test(records_are_got_or_made),
        cmocka_unit_test(times_are_changed),
        cmocka_unit_test(records_are_deleted),
        cmocka_unit_test(records_are_listed),
        cmocka_unit_test(pages_are_gone_through),
        cmocka_unit_test(texts_are_found),
        cmocka_unit_test(keys_are_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
