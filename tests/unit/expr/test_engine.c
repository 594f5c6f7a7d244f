/* The expression host, driven as the runtime drives it: a process of its own. This program is also
 * that host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cases.h"
#include "expr/compiled.h"
#include "expr/engine.h"
#include "expr/lexer.h"

#include <pthread.h>

static struct supervisor *supervisor;
static struct expr_engine *engine;
static struct json *steps;
static struct json *env;

static struct json *parse(const char *text)
{
    struct json *json = NULL;
    struct err err = ERR_INIT;
    if (json_parse(str_from(text), &json, &err) != 0)
        fail_msg("%s in %s", err.text, text);
    return json;
}

struct answer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_there;
    int code;
    struct expr_result result;
    struct expr_where where;
    struct err err;
};

#define ANSWER_INIT                                                                                \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

static void on_done(void *ctx, int code, struct expr_result *result, const struct expr_where *where,
                    const struct err *err)
{
    struct answer *answer = ctx;
    pthread_mutex_lock(&answer->lock);
    answer->code = code;
    answer->result = *result;
    *result = (struct expr_result){0};
    answer->where = *where;
    answer->err = *err;
    answer->is_there = true;
    pthread_cond_signal(&answer->changed);
    pthread_mutex_unlock(&answer->lock);
}

static void wait_for(struct answer *answer)
{
    pthread_mutex_lock(&answer->lock);
    while (!answer->is_there)
        pthread_cond_wait(&answer->changed, &answer->lock);
    pthread_mutex_unlock(&answer->lock);
}

/* As the table writes results. */
static char *describe(const struct answer *answer)
{
    if (answer->code != 0)
        return xasprintf("!%s", answer->err.text);
    if (answer->result.value == NULL)
        return xasprintf("undefined %s",
                         answer->result.missing_count == 1 ? answer->result.missing[0].path : "?");
    return json_text(answer->result.value, NULL);
}

static void resolve(const char *text, unsigned flags, struct answer *answer)
{
    struct json *value = json_new_string_c(text);
    struct expr_template *template = NULL;
    struct err err = ERR_INIT;
    if (compiled_compile(value, flags, &template, NULL, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    struct expr_scope scope = {.steps = steps, .env = env};
    expr_engine_resolve(engine, template, &scope, on_done, answer);
    expr_template_free(template); /* the call keeps what it needs */
    json_free(value);
    wait_for(answer);
}

static void expect_case(const struct expr_case *c, unsigned flags)
{
    struct answer answer = ANSWER_INIT;
    resolve(c->text, flags, &answer);
    char *got = describe(&answer);
    /* the engine does not say which index was read; everything before that is the same */
    const char *reading = NULL;
    if (flags != 0 && (strstr(c->text, "[0]}}") || strstr(c->text, "['a b']}}")))
        reading = strstr(c->expected, " (reading ");
    if (reading != NULL) {
        assert_int_equal(strlen(got), reading - c->expected);
        assert_memory_equal(got, c->expected, strlen(got));
        free(got);
        expr_result_release(&answer.result);
        return;
    }
    bool is_undefined = strncmp(c->expected, "undefined ", 10) == 0;
    if (is_undefined && flags != 0 ? strncmp(got, c->expected, 10) != 0
                                   : strcmp(got, c->expected) != 0)
        fail_msg("%s: got %s, want %s", c->text, got, c->expected);
    free(got);
    expr_result_release(&answer.result);
}

static void expect(const char *text, const char *expected)
{
    expect_case(&(struct expr_case){text, expected}, 0);
}

static void test_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases_both); i++)
        expect_case(&cases_both[i], COMPILED_ALL_ENGINE);
}

static void test_mixed_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases_both); i++)
        expect_case(&cases_both[i], 0);
}

static const struct expr_case cases_language[] = {
    {"{{" B ".items.map(i => i.sku)}}", "[\"a\",\"b\"]"},
    {"{{" B ".items.reduce((n, i) => n + i.qty, 0)}}", "5"},
    {"{{" B ".html.replace(/<.*?>/g,'')}}", "\"bold\""},
    {"{{" B ".html.replaceAll('b', 'i')}}", "\"<i>iold</i>\""},
    {"{{`${" B ".price * 2} ${steps.s.text}`}}", "\"3 hello world\""},
    {"{{[...steps.code.$return_value.list, 9]}}", "[3,1,2,9]"},
    {"{{({...steps.code.$return_value, a: 1})}}", "{\"ok\":true,\"list\":[3,1,2],\"a\":1}"},
    {"{{ {a: {b: 1}} }}", "{\"a\":{\"b\":1}}"},
    {"{{{a: 1}}}", "{\"a\":1}"},
    {"{{Object.groupBy(" B ".items, i => i.qty > 2 ? 'many' : 'few')}}",
     "{\"few\":[{\"sku\":\"a\",\"qty\":2}],\"many\":[{\"sku\":\"b\",\"qty\":3}]}"},
    {"{{" B ".date.match(/(?<y>\\d+)-(?<m>\\d+)/).groups.m}}", "\"11\""},
    {"{{steps.code.$return_value.list.toSorted().at(-1)}}", "3"},
    {"{{Object.fromEntries(Object.entries({a: 1}).map(([k, v]) => [k + k, v]))}}", "{\"aa\":1}"},
    {"{{[1,[2,[3]]].flat(Infinity)}}", "[1,2,3]"},
    {"{{steps.nope?.f?.() ?? 'none'}}", "\"none\""},
    {"{{[...new Set([1,1,2])]}}", "[1,2]"},
    {"{{(() => { let s = 0; for (const x of [1,2]) s += x; try { null.x } catch { s += 10 } return "
     "s })()}}",
     "13"},
    {"{{new Date('2026-11-23T10:00:00Z').toISOString()}}", "\"2026-11-23T10:00:00.000Z\""},
    {"{{new Date(0)}}", "\"1970-01-01T00:00:00.000Z\""},
    {"on {{new Date(0)}}", "\"on 1970-01-01T00:00:00.000Z\""},
    {"{{Math.abs(Date.now() - 1e12) > 1e11}}", "true"},
    {"{{JSON.parse('{\"a\":[1]}').a[0]}}", "1"},
    {"{{encodeURIComponent('a b&')}}", "\"a%20b%26\""},
    {"{{'7'.padStart(3, '0')}}", "\"007\""},
    {"{{btoa('hello')}} {{atob('aGVsbG8=')}}", "\"aGVsbG8= hello\""},
    {"{{structuredClone(steps.s)}}", "{\"text\":\"hello world\"}"},
    {"{{process.env.NAME.toUpperCase()}}", "\"PROD\""},
    {"{{typeof steps + typeof nope}}", "\"objectundefined\""},
    {"{{0/0}}", "null"},
    {"{{0/0}} {{1/0}} {{-1/0}}", "\"NaN Infinity -Infinity\""},
    {"{{[undefined, () => 1, NaN]}}", "[null,null,null]"},
    {"{{ {a: undefined, b: 2} }}", "{\"b\":2}"},
    {"{{'\\ud83d'}}|", "\"\xef\xbf\xbd|\""},
    {"{{'\\\\ud83d'}}|", "\"\\\\ud83d|\""},
    {"{{['\\udc00x']}}", "[\"\xef\xbf\xbdx\"]"},
    {"{{/}}/.test('}}') && '}}'}}", "\"}}\""},
    {"{{steps.s.text.length // comment\n}}", "11"},
    {"{{undefined}} {{[].length + 0}}", "\"undefined 0\""},
    {"{{void 0}}", "undefined void 0"},
    {"{{[1,2].find(x => x > 2)}}", "undefined [1,2].find(x => x > 2)"},
    {"{{globalThis.steps.s.text}}", "\"hello world\""},
    {"{{Object.keys(steps).length}}", "3"},
    {"{{steps['s'].text.at(0)}}", "\"h\""},
    {"{{Math.random() >= 0 && Math.random() < 1}}", "true"},
    /* numbers that a double cannot hold */
    {"{{ {id: " B ".id} }}", "{\"id\":9007199254740993}"},
    {"{{ [" B ".big, " B ".pi, " B ".huge, " B ".price] }}",
     "[123456789012345678901234567890,3.14159265358979323846264338,1e400,1.5]"},
    {"{{JSON.stringify({a: " B ".id, b: [" B ".pi]})}}",
     "\"{\\\"a\\\":9007199254740993,\\\"b\\\":[3.14159265358979323846264338]}\""},
    {"{{JSON.stringify({a: " B ".id}, (k, v) => typeof v === 'bigint' ? 'big ' + v : v)}}",
     "\"{\\\"a\\\":\\\"big 9007199254740993\\\"}\""},
    {"{{JSON.stringify([" B ".id, {b: 1}], null, 1)}}",
     "\"[\\n 9007199254740993,\\n {\\n  \\\"b\\\": 1\\n }\\n]\""},
    {"{{`${" B ".id} ${" B ".pi}` + ' ' + " B ".id}}",
     "\"9007199254740993 3.14159265358979323846264338 9007199254740993\""},
    {"{{String(" B ".id).endsWith('993')}}", "true"},
    {"{{" B ".id + 1n}}", "9007199254740994"},
    {"{{" B ".id === 9007199254740993n}}", "true"},
    {"{{" B ".id > 9007199254740992}}", "true"},
    {"{{" B ".id === " B ".id && " B ".pi === " B ".pi}}", "true"},
    {"{{" B ".pi > 3.14 && " B ".pi < 3.15}}", "true"},
    {"{{2n ** 100n}}", "1267650600228229401496703205376"},
    {"{{structuredClone({a: " B ".pi, b: " B ".id})}}",
     "{\"a\":3.14159265358979323846264338,\"b\":9007199254740993}"},
    /* errors */
    {"{{steps.nope.f()}}", "!TypeError: Cannot read properties of undefined (reading 'f')"},
    {"{{null.x()}}", "!TypeError: Cannot read properties of null (reading 'x')"},
    {"{{foo.bar()}}", "!ReferenceError: foo is not defined"},
    {"{{Buffer.from('x')}}", "!ReferenceError: Buffer is not defined (expressions have JavaScript "
                             "only: use a code step for it)"},
    {"{{require('fs')}}", "!ReferenceError: require is not defined (expressions have JavaScript "
                          "only: use a code step for it)"},
    {"{{steps.code.$return_value.list.map}}",
     "!the value is a function: is a call with () missing?"},
    {"{{Symbol('x')}}", "!the value is a symbol"},
    {"{{(async () => 1)()}}",
     "!TypeError: the value is a promise: an expression cannot wait (use a code step)"},
    {"{{[1].map(async x => x)}}",
     "!TypeError: the value is a promise: an expression cannot wait (use a code step)"},
    {"{{(() => { throw {a: 1} })()}}", "!it threw {\"a\":1}"},
    {"{{(() => { throw new RangeError('no') })()}}", "!RangeError: no"},
    {"{{(x => x(x))(x => x(x))}}", "!RangeError: Maximum call stack size exceeded"},
    {"{{" B ".id + 1}}", "!TypeError: cannot convert bigint to number"},
};

static void test_language(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases_language); i++)
        expect_case(&cases_language[i], 0);
}

/* Left-overs of one expression are not seen by the next. */
static void test_no_traces(void **state)
{
    (void)state;
    expect("{{(globalThis.left = 1, Array.prototype.map = () => 'broken', steps.s.text = 2)}}",
           "2");
    expect("{{typeof left + [1].map(x => x + 1) + steps.s.text}}", "\"undefined2hello world\"");
    struct answer a = ANSWER_INIT;
    struct answer b = ANSWER_INIT;
    resolve("{{Math.random() + 0}}", 0, &a);
    resolve("{{Math.random() + 0}}", 0, &b);
    assert_false(json_equal(a.result.value, b.result.value));
    expr_result_release(&a.result);
    expr_result_release(&b.result);
}

static void test_places(void **state)
{
    (void)state;
    struct json *value =
        parse("{\"a\":\"x\",\"rows\":[{\"n\":\"say \xc3\xab {{ steps.s.text.f(1) }}\"}]}");
    struct expr_template *template = NULL;
    assert_int_equal(expr_compile(value, &template, NULL, NULL), 0);
    struct expr_scope scope = {.steps = steps, .env = env};
    struct answer answer = ANSWER_INIT;
    expr_engine_resolve(engine, template, &scope, on_done, &answer);
    wait_for(&answer);
    assert_int_equal(answer.code, RN_EFAILED);
    assert_string_equal(answer.where.path, "rows[0].n");
    assert_string_equal(answer.where.expression, "steps.s.text.f(1)");
    assert_true(answer.where.offset >= 10 && answer.where.offset <= 27);
    expr_template_free(template);
    json_free(value);

    value = parse("{\"good\":\"{{[1].map(x => x)}}\",\"bad\":\"{{ 1 + + }}\"}");
    struct expr_where where = {0};
    struct err err = ERR_INIT;
    assert_int_equal(expr_compile(value, &template, NULL, NULL), 0);
    assert_int_equal(expr_engine_check(engine, template, &where, &err), RN_EINVAL);
    assert_string_equal(where.path, "bad");
    assert_non_null(strstr(err.text, "SyntaxError"));
    expr_template_free(template);
    json_free(value);

    /* compiling runs nothing: an endless one is fine, and so is a name that is not there */
    value = parse("[\"{{(() => { while (true); })()}}\",\"{{nope.x()}}\",\"{{steps.a}}\"]");
    assert_int_equal(expr_compile(value, &template, NULL, NULL), 0);
    assert_int_equal(expr_engine_check(engine, template, &where, &err), 0);
    expr_template_free(template);
    json_free(value);

    static const char *const wrong[] = {"{{1 ?? 2 || 3}}", "{{if (1) 2}}", "{{a b}}", "{{await 1}}",
                                        "{{010n}}"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        value = json_new_string_c(wrong[i]);
        assert_int_equal(expr_compile(value, &template, NULL, NULL), 0);
        if (expr_engine_check(engine, template, NULL, &err) != RN_EINVAL)
            fail_msg("%s passed", wrong[i]);
        expr_template_free(template);
        json_free(value);
    }
}

static void test_runaways(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code, other;
    } bad[] = {
        {"{{(() => { while (true); })()}}", RN_ETIMEDOUT, 0},
        {"{{(() => { try { while (true); } catch { } finally { while (true); } })()}}",
         RN_ETIMEDOUT, 0},
        {"{{/^(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!')}}", RN_ETIMEDOUT, 0},
        {"{{Array(5e7).fill(0)}}", RN_ETIMEDOUT, RN_ENOMEM},
        {"{{'x'.repeat(2**29)}}", RN_ENOMEM, RN_ETIMEDOUT},
        {"{{(() => { const a = []; for (;;) a.push('y'.repeat(1000) + a.length); })()}}", RN_ENOMEM,
         RN_ETIMEDOUT},
        {"{{(function f() { return f() + 1; })()}}", RN_EFAILED, 0},
        {"{{JSON.stringify((() => { let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a; "
         "})())}}",
         RN_EFAILED, RN_ETIMEDOUT},
        {"{{JSON.parse('['.repeat(1e6))}}", RN_EFAILED, 0},
        {"{{new RegExp('('.repeat(1e5)).test('x')}}", RN_EFAILED, 0},
        {"{{[].concat(...Array(1e6).fill([1])).length < 0 || (() => { for (;;) [1].sort(); })()}}",
         RN_ETIMEDOUT, RN_EFAILED},
        {"{{2n ** 100000000n}}", RN_ETIMEDOUT, RN_EFAILED},
        {"{{'a'.repeat(1e7).split('').map(x => x + x).join('')}}", RN_ENOMEM, RN_ETIMEDOUT},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct answer answer = ANSWER_INIT;
        resolve(bad[i].text, 0, &answer);
        if (answer.code == 0 || (answer.code != bad[i].code && answer.code != bad[i].other))
            fail_msg("%s: %d %s", bad[i].text, answer.code, answer.err.text);
        expr_result_release(&answer.result);
        expect("{{[1, 2].map(x => x * 2)}}", "[2,4]");
    }
}

/* What fails does not harm calls that are under way beside it. */
static void test_beside(void **state)
{
    (void)state;
    enum { CALLS = 20 };
    struct answer *answers = xcalloc(CALLS, sizeof(*answers));
    struct json *good = json_new_string_c("{{[1].map(x => steps.s.text + x)}}");
    struct json *bad = json_new_string_c("{{(() => { while (true); })()}}");
    struct expr_template *templates[2] = {NULL, NULL};
    assert_int_equal(expr_compile(good, &templates[0], NULL, NULL), 0);
    assert_int_equal(expr_compile(bad, &templates[1], NULL, NULL), 0);
    struct expr_scope scope = {.steps = steps, .env = env};
    for (int i = 0; i < CALLS; i++) {
        answers[i] = (struct answer)ANSWER_INIT;
        expr_engine_resolve(engine, templates[i == 3], &scope, on_done, &answers[i]);
    }
    for (int i = 0; i < CALLS; i++) {
        wait_for(&answers[i]);
        assert_int_equal(answers[i].code, i == 3 ? RN_ETIMEDOUT : 0);
        expr_result_release(&answers[i].result);
    }
    expr_template_free(templates[0]);
    expr_template_free(templates[1]);
    json_free(good);
    json_free(bad);
    free(answers);
}

/* The lists of the fast path are the engine's. */
static void test_inherited_names(void **state)
{
    (void)state;
    static const struct {
        enum json_kind kind;
        const char *prototype;
    } kinds[] = {{JSON_OBJECT, "Object"},
                 {JSON_ARRAY, "Array"},
                 {JSON_STRING, "String"},
                 {JSON_NUMBER, "Number"},
                 {JSON_BOOLEAN, "Boolean"}};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        char *text = xasprintf("{{Object.getOwnPropertyNames(%s.prototype)}}", kinds[i].prototype);
        struct answer answer = ANSWER_INIT;
        resolve(text, 0, &answer);
        assert_int_equal(answer.code, 0);
        assert_true(json_count(answer.result.value) > 0);
        for (const struct json *name = json_first(answer.result.value); name != NULL;
             name = json_next(name))
            if (!fast_is_inherited(kinds[i].kind, json_str(name)))
                fail_msg("%s.prototype.%s", kinds[i].prototype, json_c(name));
        expr_result_release(&answer.result);
        free(text);
    }
}

static void test_big_steps(void **state)
{
    (void)state;
    struct json *big = json_new_object();
    struct json *list = json_set(big, "list", json_new_array());
    for (int i = 0; i < 20000; i++)
        json_append(list, json_new_integer(i));
    struct json *other = json_set(big, "unused", json_new_array());
    json_append(other, json_new_string_c("never sent"));
    struct json *value = json_new_string_c("{{steps.list.filter(x => x % 2).length}}");
    struct expr_template *template = NULL;
    assert_int_equal(expr_compile(value, &template, NULL, NULL), 0);
    struct answer answer = ANSWER_INIT;
    struct expr_scope scope = {.steps = big};
    expr_engine_resolve(engine, template, &scope, on_done, &answer);
    wait_for(&answer);
    char *got = describe(&answer);
    assert_string_equal(got, "10000");
    free(got);
    expr_result_release(&answer.result);
    expr_template_free(template);
    json_free(value);
    json_free(big);
}

static int set_up(void **state)
{
    (void)state;
    supervisor = supervisor_new(NULL);
    engine = expr_engine_new(supervisor);
    steps = parse(CASES_STEPS);
    env = parse(CASES_ENV);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    expr_engine_free(engine);
    supervisor_free(supervisor, 1000);
    json_free(steps);
    json_free(env);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "expression-host") == 0)
        return expression_host_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways), cmocka_unit_test(test_mixed_ways),
        cmocka_unit_test(test_language),  cmocka_unit_test(test_no_traces),
        cmocka_unit_test(test_places),    cmocka_unit_test(test_runaways),
        cmocka_unit_test(test_beside),    cmocka_unit_test(test_inherited_names),
        cmocka_unit_test(test_big_steps),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
