/* Templates and the fast path, without the engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cases.h"
#include "expr/fast.h"
#include "expr/template.h"

static struct json *parse(const char *text)
{
    struct json *json = NULL;
    struct err err = ERR_INIT;
    if (json_parse(str_from(text), &json, &err) != 0)
        fail_msg("%s in %s", err.text, text);
    return json;
}

static struct expr_template *compile(const char *json_text)
{
    struct json *value = parse(json_text);
    struct expr_template *template = NULL;
    struct err err = ERR_INIT;
    if (expr_compile(value, &template, NULL, &err) != 0)
        fail_msg("%s in %s", err.text, json_text);
    json_free(value);
    return template;
}

/* "undefined path", "!text" or JSON, as the table writes it. */
static char *describe(int code, const struct expr_result *result, const struct err *err)
{
    if (code != 0)
        return xasprintf("!%s", err->text);
    if (result->value == NULL)
        return xasprintf("undefined %s",
                         result->missing_count == 1 ? result->missing[0].path : "?");
    return json_text(result->value, NULL);
}

static void test_cases(void **state)
{
    (void)state;
    struct json *steps = parse(CASES_STEPS);
    struct json *env = parse(CASES_ENV);
    struct expr_scope scope = {.steps = steps, .env = env};
    for (size_t i = 0; i < COUNT_OF(cases_both); i++) {
        const struct expr_case *c = &cases_both[i];
        struct json *value = json_new_string_c(c->text);
        struct expr_template *template = NULL;
        struct err err = ERR_INIT;
        if (expr_compile(value, &template, NULL, &err) != 0)
            fail_msg("%s: %s", c->text, err.text);
        json_free(value);
        if (expr_needs_engine(template))
            fail_msg("%s: left to the engine", c->text);
        struct expr_result result = {0};
        int code = expr_resolve(template, &scope, &result, NULL, &err);
        if (code == RN_EAGAIN && strstr(c->text, "0x") != NULL)
            code = 0; /* the one case that turns out to need the engine only when it runs */
        else {
            char *got = describe(code, &result, &err);
            if (strcmp(got, c->expected) != 0)
                fail_msg("%s: got %s, want %s", c->text, got, c->expected);
            free(got);
        }
        expr_result_release(&result);
        expr_template_free(template);
    }
    json_free(steps);
    json_free(env);
}

static void test_left_to_engine(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "steps.a.b()",
        "1 + 1",
        "steps.a.map(x => x)",
        "[1,2]",
        "{a: 1}",
        "Date.now()",
        "`t${1}`",
        "/x/.test(1)",
        "typeof steps",
        "-steps.a",
        "steps[steps]",
        "process",
        "process.version",
        "foo",
        "0x10",
        "10n",
        "1_000",
        "010",
        "a ?? b || c",
        "1 ?? 2 || 3",
        "1 || 2 ?? 3",
        "1, 2",
        "steps.a++",
        "x => x",
        "steps.#a",
        "'\\ud800'",
        "'\\1'",
        "NaN",
        "new Date()",
        "this",
        "steps?.()",
        "1 1",
        "steps.",
        "await 1",
        "1 in steps",
        "~1",
        "st\\u0065ps.a",
        "- -1",
        "+1",
        "2 ** 2",
        "async () => 1",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char *text = xasprintf("{{%s}}", texts[i]);
        struct json *value = json_new_string_c(text);
        struct expr_template *template = NULL;
        struct err err = ERR_INIT;
        if (expr_compile(value, &template, NULL, &err) != 0)
            fail_msg("%s: %s", text, err.text);
        if (!expr_needs_engine(template))
            fail_msg("%s: not left to the engine", text);
        struct expr_result result = {0};
        assert_int_equal(expr_resolve(template, &(struct expr_scope){0}, &result, NULL, &err),
                         RN_EAGAIN);
        expr_template_free(template);
        json_free(value);
        free(text);
    }
}

static void test_needs_engine_at_run(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{{steps.l.map}}",    "{{steps.o.toString}}", "{{steps.t.trim}}",   "{{steps.n.toFixed}}",
        "{{steps.l == '1'}}", "{{steps.o > 1}}",      "{{steps.id === 1}}", "{{steps.b.valueOf}}",
    };
    struct json *steps =
        parse("{\"l\":[1],\"o\":{},\"t\":\"x\",\"n\":1,\"b\":true,\"id\":9007199254740993}");
    struct expr_scope scope = {.steps = steps};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct json *value = json_new_string_c(texts[i]);
        struct expr_template *template = NULL;
        assert_int_equal(expr_compile(value, &template, NULL, NULL), 0);
        struct expr_result result = {0};
        if (texts[i][8] == 'i')
            assert_int_equal(expr_resolve(template, &scope, &result, NULL, NULL), 0);
        else
            assert_int_equal(expr_resolve(template, &scope, &result, NULL, NULL), RN_EAGAIN);
        expr_result_release(&result);
        expr_template_free(template);
        json_free(value);
    }
    json_free(steps);
}

static void test_syntax_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t offset;
        const char *says;
    } bad[] = {
        {"a {{ steps.x", 2, "{{ is not closed"},
        {"{{}}", 0, "no expression"},
        {"x{{  }}", 1, "no expression"},
        {"{{ /* c */ }}", 0, "no expression"},
        {"{{ (1 }}", 6, "} where ( is still open"},
        {"{{ [1) }}", 5, ") where [ is still open"},
        {"{{ 1) }}", 4, "closes nothing"},
        {"{{ 'abc }}", 3, "string that starts with '"},
        {"{{ \"a\nb\" }}", 3, "string that starts with \""},
        {"{{ `a${1 }}", 3, "template literal"},
        {"{{ `abc }}", 3, "template literal"},
        {"{{ {a: 1 }}", 10, "closes nothing"},
        {"{{ /[/]abc }}", 3, "regular expression"},
        {"{{ /* a }}", 3, "comment"},
        {"{{ foo( ", 6, "this ( is not closed"},
        {"{{ 1 @ 2 }}", 5, "does not know"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct json *value = json_new_string_c(bad[i].text);
        struct json *object = json_new_object();
        struct json *rows = json_set(object, "rows", json_new_array());
        json_append(rows, json_new_integer(1));
        json_set(json_append(rows, json_new_object()), "c d", value);
        struct expr_template *template = NULL;
        struct expr_where where = {0};
        struct err err = ERR_INIT;
        assert_int_equal(expr_compile(object, &template, &where, &err), RN_EINVAL);
        if (strstr(err.text, bad[i].says) == NULL || where.offset != bad[i].offset)
            fail_msg("%s: %s at %zu", bad[i].text, err.text, where.offset);
        assert_string_equal(where.path, "rows[1][\"c d\"]");
        assert_non_null(strstr(bad[i].text, where.expression));
        json_free(object);
    }
}

static void test_too_long(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(MIB(1));
    buf_add_c(&text, "{{ 1 ");
    for (size_t i = 0; i < LIMIT_EXPRESSION_TEXT; i++)
        buf_add_char(&text, ' ');
    buf_add_c(&text, "}}");
    struct json *value = json_new_string(buf_str(&text));
    struct expr_template *template = NULL;
    assert_int_equal(expr_compile(value, &template, NULL, NULL), RN_EINVAL);
    json_free(value);
    /* deep nesting never grows the stack: refused or left to the engine */
    buf_clear(&text);
    buf_add_c(&text, "{{");
    for (int i = 0; i < 60000; i++)
        buf_add_char(&text, '!');
    buf_add_c(&text, "1}}");
    value = json_new_string(buf_str(&text));
    assert_int_equal(expr_compile(value, &template, NULL, NULL), 0);
    assert_true(expr_needs_engine(template));
    expr_template_free(template);
    json_free(value);
    buf_clear(&text);
    buf_add_c(&text, "{{1");
    for (int i = 0; i < 20000; i++)
        buf_add_c(&text, "||1");
    buf_add_c(&text, "}}");
    value = json_new_string(buf_str(&text));
    assert_int_equal(expr_compile(value, &template, NULL, NULL), 0);
    assert_true(expr_needs_engine(template));
    expr_template_free(template);
    json_free(value);
    buf_clear(&text);
    buf_add_c(&text, "{{");
    for (int i = 0; i < 1000; i++)
        buf_add_char(&text, '(');
    value = json_new_string(buf_str(&text));
    assert_int_equal(expr_compile(value, &template, NULL, NULL), RN_EINVAL);
    json_free(value);
    buf_release(&text);
}

static void test_whole_template(void **state)
{
    (void)state;
    struct expr_template *template = compile(
        "{\"n\":7,\"plain\":\"x\",\"whole\":\"{{steps.a.b}}\",\"gone\":\"{{steps.a.zz}}\","
        "\"deep\":{\"list\":[\"{{steps.a.zz}}\",\"n={{steps.a.n}}\",{\"k\":\"{{steps.q?.r}}\"}]},"
        "\"text\":\"<{{steps.a.zz}}>\",\"big\":12345678901234567890.10}");
    assert_false(expr_is_constant(template));
    assert_false(expr_needs_engine(template));
    struct json *steps = parse("{\"a\":{\"b\":[1.0,\"x\"],\"n\":1.50}}");
    struct expr_scope scope = {.steps = steps};
    struct expr_result result = {0};
    assert_int_equal(expr_resolve(template, &scope, &result, NULL, NULL), 0);
    char *text = json_text(result.value, NULL);
    assert_string_equal(
        text, "{\"n\":7,\"plain\":\"x\",\"whole\":[1.0,\"x\"],\"deep\":{\"list\":[null,"
              "\"n=1.50\",{}]},\"text\":\"<undefined>\",\"big\":12345678901234567890.10}");
    free(text);
    assert_int_equal(result.missing_count, 1);
    assert_string_equal(result.missing[0].member, "gone");
    assert_string_equal(result.missing[0].path, "steps.a.zz");
    expr_result_release(&result);
    /* the same template again, with a scope that makes it throw */
    struct json *other = parse("{}");
    struct expr_where where = {0};
    struct err err = ERR_INIT;
    scope.steps = other;
    assert_int_equal(expr_resolve(template, &scope, &result, &where, &err), RN_EFAILED);
    assert_string_equal(err.text, "TypeError: Cannot read properties of undefined (reading 'b')");
    assert_string_equal(where.path, "whole");
    assert_string_equal(where.expression, "steps.a.b");
    assert_int_equal(where.offset, 2);
    json_free(other);
    json_free(steps);
    expr_template_free(template);

    template = compile("{\"a\":[1,{\"b\":\"c\"}]}");
    assert_true(expr_is_constant(template));
    assert_int_equal(expr_resolve(template, &(struct expr_scope){0}, &result, NULL, NULL), 0);
    text = json_text(result.value, NULL);
    assert_string_equal(text, "{\"a\":[1,{\"b\":\"c\"}]}");
    free(text);
    expr_result_release(&result);
    expr_template_free(template);
}

static void collect(void *ctx, struct str step, struct str rest, const struct expr_where *where)
{
    buf_addf(ctx, "%s@%zu:" STR_FMT ">" STR_FMT "\n", where->path, where->offset, STR_ARG(step),
             STR_ARG(rest));
}

static void test_references(void **state)
{
    (void)state;
    struct expr_template *template = compile(
        "{\"a\":\"{{steps.x.y[0].z}} {{ steps['q r'].s?.t }}\","
        "\"b\":\"{{ `${steps.in.tpl} steps.not` + 'steps.no' + foo.steps.no /* steps.no */ }}\","
        "\"c\":\"{{ steps.l.$return_value.map(s => s.id + steps.m.n) }}\","
        "\"d\":\"{{ steps[name].a || steps || /steps.no/.test(steps.o[i].p) || steps.bare }}\"}");
    struct buf got = BUF_INIT(KIB(8));
    expr_references(template, collect, &got);
    assert_string_equal(buf_c(&got), "a@2:x>y[0].z\n"
                                     "a@22:q r>s.t\n"
                                     "b@6:in>tpl\n"
                                     "c@3:l>$return_value\n"
                                     "c@41:m>n\n"
                                     "d@45:o>\n"
                                     "d@62:bare>\n");
    buf_release(&got);
    expr_template_free(template);
}

static void collect_name(void *ctx, struct str name, const struct expr_where *where)
{
    buf_addf(ctx, "%s@%zu:" STR_FMT "\n", where->path, where->offset, STR_ARG(name));
}

static void must_be_free(const char *expression, const char *expected)
{
    char *json = xasprintf("{\"a\":\"{{%s}}\"}", expression);
    struct expr_template *template = compile(json);
    struct buf got = BUF_INIT(KIB(8));
    expr_free_names(template, collect_name, &got);
    assert_string_equal(buf_c(&got), expected);
    buf_release(&got);
    expr_template_free(template);
    free(json);
}

static void test_free_names(void **state)
{
    (void)state;
    must_be_free("step.trigger.event.id", "a@2:step\n");
    must_be_free(" foo", "a@3:foo\n");
    must_be_free("steps.a.b + `${body.x}`", "a@17:body\n");
    must_be_free("fetch('x')", "a@2:fetch\n");
    must_be_free("$json?.x || 1", "a@2:$json\n");
    /* declared, members, words, or not sure */
    static const char *const good[] = {
        "steps.a.map(step => step.x + step)",
        "steps.a.map((step, i) => step.x + i)",
        "steps.a.map(({x, y: z}) => x + z)",
        "(() => { const o = {step: 1, f() { return 2 }}; for (const k of [1]) o.step += k; "
        "return o.step + o.f() })()",
        "(function sum(n) { return n > 0 ? n + sum(n - 1) : 0 })(3)",
        "(() => { try { throw 1 } catch (e) { return e.x } })()",
        "[1].reduce((all, n) => all + n, 0) / Math.max(1, NaN) + new Date().getTime()",
        "typeof foo === 'undefined' ? steps.foo.bar : process.env.X",
        "'step.x' + /step.x/.source + steps?.['step'].x",
        "({step: 1, ['x']: 2}).step"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        must_be_free(good[i], "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_left_to_engine),
        cmocka_unit_test(test_needs_engine_at_run),
        cmocka_unit_test(test_syntax_errors),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_whole_template),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_free_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
