/* fuzz: json */
/* The JSON reader and writer: what the reader takes is written, and what was written reads back as
 * an equal tree and the same text. What it refuses has an error with a place. */
#include "fuzz.h"

#include "json/json.h"

#include <string.h>

static void check_refusal(struct str text, int rc, const struct err *err)
{
    FUZZ_CHECK(rc == RN_EPROTOCOL || rc == RN_ETOOBIG);
    FUZZ_CHECK(err->code == rc);
    FUZZ_CHECK(strncmp(err->text, "line ", 5) == 0);
    FUZZ_CHECK(utf8_is_valid(str_from(err->text)));
    FUZZ_CHECK(json_check(text, NULL) == rc);
}

/* Numbers convert without fault, and the exact ones come back. */
static void check_numbers(const struct json *value)
{
    for (const struct json *child = json_first(value); child; child = json_next(child))
        check_numbers(child);
    if (!json_is(value, JSON_NUMBER))
        return;
    int64_t integer;
    uint64_t natural;
    double number;
    if (json_to_i64(value, &integer)) {
        struct json *again = json_new_integer(integer);
        FUZZ_CHECK(json_equal(value, again));
        json_free(again);
    }
    if (json_to_u64(value, &natural)) {
        struct json *again = json_new_unsigned(natural);
        FUZZ_CHECK(json_equal(value, again));
        json_free(again);
    }
    bool fits = json_to_double(value, &number);
    if (json_is_exact_double(value)) {
        FUZZ_CHECK(fits);
        struct json *again = json_new_double(number);
        FUZZ_CHECK(json_equal(value, again));
        json_free(again);
    }
}

static void check_span(struct str text, const struct json *value)
{
    size_t offset = 0, size = 0;
    int rc = json_element_span(text, 0, &offset, &size);
    if (!json_is(value, JSON_ARRAY)) {
        FUZZ_CHECK(rc == RN_EINVAL);
        return;
    }
    if (json_count(value) == 0) {
        FUZZ_CHECK(rc == RN_ENOTFOUND);
        return;
    }
    FUZZ_CHECK(rc == 0 && offset + size <= text.len);
    struct json *element = NULL;
    FUZZ_CHECK(json_parse(str_n(text.ptr + offset, size), &element, NULL) == 0);
    FUZZ_CHECK(json_equal(element, json_at(value, 0)));
    json_free(element);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_n(data, size);
    struct err err = ERR_INIT;
    struct json *first = NULL, *second = NULL;
    int rc = json_parse(text, &first, &err);
    if (rc) {
        FUZZ_CHECK(first == NULL);
        check_refusal(text, rc, &err);
        return 0;
    }
    size_t first_size, second_size;
    char *first_text = json_text(first, &first_size);
    FUZZ_CHECK(utf8_is_valid(str_n(first_text, first_size)));
    FUZZ_CHECK(json_parse(str_n(first_text, first_size), &second, NULL) == 0);
    FUZZ_CHECK(json_equal(first, second));
    char *second_text = json_text(second, &second_size);
    FUZZ_CHECK(str_eq(str_n(first_text, first_size), str_n(second_text, second_size)));
    struct json *copy = json_copy(first);
    FUZZ_CHECK(json_equal(copy, second));
    struct buf pretty = BUF_INIT(SIZE_MAX / 4);
    json_write_pretty(&pretty, copy);
    json_free(second);
    FUZZ_CHECK(json_parse(buf_str(&pretty), &second, NULL) == 0);
    FUZZ_CHECK(json_equal(first, second));
    check_numbers(first);
    check_span(text, first);
    buf_release(&pretty);
    json_free(copy);
    json_free(second);
    json_free(first);
    free(second_text);
    free(first_text);
    return 0;
}
