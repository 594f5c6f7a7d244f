/* fuzz: expr json */
/* Templates: whatever text a prop holds, compiling it ends in a template or in a refusal with a
 * place inside the text; a template that needs no engine resolves against a fixed scope to a value,
 * a JavaScript error, or a request for the engine. */
#include "fuzz.h"

#include "expr/template.h"

#include <string.h>

#define SCOPE                                                                                      \
    "{\"a\":{\"s\":\"Zo\\u00eb "                                                                   \
    "\\ud83d\\ude00\",\"n\":1.5,\"big\":9007199254740993,\"l\":[1,[2],{\"x\":null}],"              \
    "\"t\":true},\"trigger\":{\"event\":{\"body\":\" 7 \"}}}"

static void check_reference(void *ctx, struct str step, struct str rest,
                            const struct expr_where *where)
{
    const struct str *text = ctx;
    FUZZ_CHECK(step.len <= text->len && rest.len <= text->len + 2);
    FUZZ_CHECK(where->offset <= text->len);
}

static void check_result(int rc, struct expr_result *result, const struct err *err)
{
    if (rc != 0) {
        FUZZ_CHECK(rc == RN_EAGAIN || rc == RN_ETOOBIG ||
                   (rc == RN_EFAILED && strncmp(err->text, "TypeError: ", 11) == 0));
        return;
    }
    FUZZ_CHECK(result->value != NULL || result->missing_count == 1);
    if (result->value != NULL) {
        size_t size = 0;
        char *text = json_text(result->value, &size);
        FUZZ_CHECK(json_check(str_n(text, size), NULL) == 0);
        free(text);
    }
    expr_result_release(result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json *steps;
    static struct json *env;
    if (steps == NULL) {
        FUZZ_CHECK(json_parse(STR(SCOPE), &steps, NULL) == 0);
        FUZZ_CHECK(json_parse(STR("{\"HOME\":\"h\"}"), &env, NULL) == 0);
    }
    struct json *value = json_new_string(str_n(data, size));
    struct str text = json_str(value);
    struct expr_template *template = NULL;
    struct expr_where where = {0};
    struct err err = ERR_INIT;
    int rc = expr_compile(value, &template, &where, &err);
    if (rc != 0) {
        FUZZ_CHECK(rc == RN_EINVAL && err.code == rc && err.text[0] != '\0');
        FUZZ_CHECK(where.offset <= text.len && utf8_is_valid(str_from(where.expression)));
        json_free(value);
        return 0;
    }
    expr_references(template, check_reference, &text);
    struct expr_scope scope = {.steps = steps, .env = env};
    struct expr_result result = {0};
    rc = expr_resolve(template, &scope, &result, &where, &err);
    FUZZ_CHECK(!expr_needs_engine(template) || rc == RN_EAGAIN);
    check_result(rc, &result, &err);
    expr_template_free(template);
    json_free(value);
    return 0;
}
