/* One table for both ways: what the fast path takes must come out of the engine the same. */
#ifndef TEST_EXPR_CASES_H
#define TEST_EXPR_CASES_H

#include <stddef.h>

#define CASES_STEPS                                                                                \
    "{\"trigger\":{\"event\":{\"body\":{\"id\":9007199254740993,\"price\":1.5,\"zero\":0,"         \
    "\"empty\":\"\","                                                                              \
    "\"pi\":3.14159265358979323846264338,\"huge\":1e400,"                                          \
    "\"name\":\"Zo\\u00eb \\ud83d\\ude00!\",\"n\":null,\"yes\":true,\"no\":false,\"ten\":\"10\","  \
    "\"two\":\"2\",\"sp\":\"  7 "                                                                  \
    "\",\"items\":[{\"sku\":\"a\",\"qty\":2},{\"sku\":\"b\",\"qty\":3}],"                          \
    "\"c "                                                                                         \
    "d\":{\"e\":[1,[2,3]]},\"values\":[\"v\"],\"length\":\"mine\",\"$x_1\":5,\"nul\":"             \
    "\"a\\u0000b\","                                                                               \
    "\"html\":\"<b>bold</"                                                                         \
    "b>\",\"date\":\"2026-11-23T10:00:00.000Z\",\"neg\":-4,\"big\":"                               \
    "123456789012345678901234567890}}},"                                                           \
    "\"code\":{\"$return_value\":{\"ok\":true,\"list\":[3,1,2]}},\"s\":{\"text\":\"hello "         \
    "world\"}}"

#define CASES_ENV "{\"NAME\":\"prod\",\"EMPTY\":\"\"}"

struct expr_case {
    const char *text;     /* the whole prop */
    const char *expected; /* JSON; "undefined <missing path>"; "!" and the error's text */
};

#define B "steps.trigger.event.body"
#define IN_B(tail_) "{{" B tail_ "}}"

/* Both ways. */
static const struct expr_case cases_both[] = {
    {"{{steps.code.$return_value.ok}}", "true"},
    {IN_B(".id"), "9007199254740993"},
    {IN_B(".pi"), "3.14159265358979323846264338"},
    {IN_B(".huge"), "1e400"},
    {IN_B(".big"), "123456789012345678901234567890"},
    {"id " IN_B(".id"), "\"id 9007199254740993\""},
    {"pi " IN_B(".pi") ".", "\"pi 3.14159265358979323846264338.\""},
    {IN_B(".price"), "1.5"},
    {IN_B(".price") "", "1.5"},
    {IN_B(".items"), "[{\"sku\":\"a\",\"qty\":2},{\"sku\":\"b\",\"qty\":3}]"},
    {"all: " IN_B(".items"),
     "\"all: [{\\\"sku\\\":\\\"a\\\",\\\"qty\\\":2},{\\\"sku\\\":\\\"b\\\",\\\"qty\\\":3}]\""},
    {IN_B(".items[1].sku"), "\"b\""},
    {IN_B(".items[\"1\"]['sku']"), "\"b\""},
    {IN_B(".items[2]"), "undefined " B ".items[2]"},
    {IN_B(".items[-1]"), "undefined " B ".items[-1]"},
    {IN_B(".items[1.5]"), "undefined " B ".items[1.5]"},
    {IN_B(".items['01']"), "undefined " B ".items[\"01\"]"},
    {IN_B(".items.length"), "2"},
    {IN_B(".items.nope"), "undefined " B ".items.nope"},
    {IN_B("['c d'].e[1][0]"), "2"},
    {IN_B(".length"), "\"mine\""},
    {IN_B(".values[0]"), "\"v\""},
    {IN_B(".$x_1"), "5"},
    {IN_B(".nul"), "\"a\\u0000b\""},
    {IN_B(".nul.length"), "3"},
    {IN_B(".name.length"), "7"},
    {IN_B(".name[2]"), "\"\xc3\xab\""},
    {IN_B(".name[6]"), "\"!\""},
    {IN_B(".name[4]"), "\"\xef\xbf\xbd\""},
    {IN_B(".name[7]"), "undefined " B ".name[7]"},
    {IN_B(".name[4]===" B ".name[5]"), "false"},
    {IN_B(".sheet"), "undefined " B ".sheet"},
    {"{{steps.nope}}", "undefined steps.nope"},
    {"{{steps.nope?.a.b.c}}", "undefined steps.nope"},
    {"{{steps.nope?.['a b'][0]}}", "undefined steps.nope"},
    {"{{steps.nope?.a ?? steps.no2?.x}}", "undefined steps.no2"},
    {"{{steps.nope.a}}", "!TypeError: Cannot read properties of undefined (reading 'a')"},
    {"{{steps.nope[0]}}", "!TypeError: Cannot read properties of undefined (reading '0')"},
    {"{{(steps.nope?.a).b}}", "!TypeError: Cannot read properties of undefined (reading 'b')"},
    {IN_B(".n.x"), "!TypeError: Cannot read properties of null (reading 'x')"},
    {IN_B(".n['a b']"), "!TypeError: Cannot read properties of null (reading 'a b')"},
    {IN_B(".n?.x"), "undefined " B ".n.x"},
    {IN_B(".n"), "null"},
    {IN_B(".price.x"), "undefined " B ".price.x"},
    {IN_B(".yes.x"), "undefined " B ".yes.x"},
    {"{{process.env.NAME}}", "\"prod\""},
    {"{{process.env['EMPTY'] || 'x'}}", "\"x\""},
    {"{{process.env['EMPTY'] ?? 'x'}}", "\"\""},
    {"{{process.env.NOPE}}", "undefined process.env.NOPE"},
    {"{{process.env.NOPE ?? \"d\"}}-{{process.env.NAME}}", "\"d-prod\""},
    {"{{undefined}}", "undefined undefined"},
    {"a{{undefined}}b{{null}}c{{true}}d{{false}}", "\"aundefinedbnullctruedfalse\""},
    {"{{null}}", "null"},
    {"{{1.50}}", "1.5"},
    {"{{-0}}", "0"},
    {"{{ 1e21 }} {{1e-7}} {{0.000001}} {{123456789012345680000}} {{-1.5e300}} {{100}}",
     "\"1e+21 1e-7 0.000001 123456789012345680000 -1.5e+300 100\""},
    {"{{12345678901234567890}} x", "\"12345678901234567000 x\""},
    {"{{5e-324}},{{.5}},{{1.7976931348623157e308}}", "\"5e-324,0.5,1.7976931348623157e+308\""},
    {"{{'a\\'b\"\\n\\t\\x41\\u0042\\u{1F600}\\ud83d\\ude00\\q\\0'}}",
     "\"a'b\\\"\\n\\tAB\xf0\x9f\x98\x80\xf0\x9f\x98\x80q\\u0000\""},
    {"{{ \"}}\" }}", "\"}}\""},
    {"{{'{{'}}", "\"{{\""},
    {"{{/* }} */ 1 // two\n}}", "1"},
    {"{{(((1)))}}", "1"},
    {"{{!0}}{{!''}}{{!'a'}}{{!!" B ".id}}{{!" B ".items}}{{!null}}{{!undefined}}{{!-0}}",
     "\"truetruefalsetruefalsetruetruetrue\""},
    /* values of the operators */
    {"{{0 || 'a'}}{{'' ?? 'b'}}{{0 && 'c'}}{{1 && 'd'}}{{null ?? 'e'}}{{false ?? 'f'}}",
     "\"a0defalse\""},
    {IN_B(".zero || 5"), "5"},
    {IN_B(".zero ?? 5"), "0"},
    {IN_B(".no && " B ".x.y"), "false"},
    {IN_B(".yes || " B ".x.y"), "true"},
    {"{{1 || 2 && 0}}{{(1 || 2) && 0}}{{0 || null || ''}}|", "\"10|\""},
    {"{{null ?? undefined ?? 3}}", "3"},
    {"{{(0 || null) ?? 7}}", "7"},
    {IN_B(".yes ? 'y' : " B ".q.r"), "\"y\""},
    {"{{0 ? 1 : '' ? 2 : 3}}", "3"},
    {"{{1?.5:1}}", "0.5"},
    /* comparisons */
    {"{{1 < 2}}{{2 <= 2}}{{3 > 4}}{{4 >= 5}}", "\"truetruefalsefalse\""},
    {"{{3 > 2 > 1}}", "false"},
    {"{{1 < 2 === true}}", "true"},
    {"{{1 == 1 != 0}}", "true"},
    {IN_B(".ten < " B ".two"), "true"},
    {IN_B(".ten < 2"), "false"},
    {IN_B(".ten == 10"), "true"},
    {IN_B(".ten === 10"), "false"},
    {IN_B(".sp == 7"), "true"},
    {IN_B(".empty == 0"), "true"},
    {IN_B(".empty == false"), "true"},
    {IN_B(".empty == null"), "false"},
    {IN_B(".n == undefined"), "true"},
    {IN_B(".n === undefined"), "false"},
    {IN_B(".n == 0"), "false"},
    {IN_B(".n >= 0"), "true"},
    {IN_B(".n > 0"), "false"},
    {IN_B(".x >= 0"), "false"},
    {IN_B(".x < 0 || " B ".x > 0 || " B ".x == 0"), "false"},
    {IN_B(".name < 1"), "false"},
    {IN_B(".name >= 1"), "false"},
    {IN_B(".yes == 1"), "true"},
    {IN_B(".yes == 'true'"), "false"},
    {IN_B(".yes > " B ".no"), "true"},
    {IN_B(".name === 'Zo\xc3\xab \xf0\x9f\x98\x80!'"), "true"},
    {IN_B(".name !== 'Zo'"), "true"},
    {"{{'\\u{1F600}' < '\\uFFFD'}}", "true"},
    {"{{'a' < 'B'}}{{'a' < 'ab'}}{{'' < 'a'}}{{'a' <= 'a'}}", "\"falsetruetruetrue\""},
    {"{{' 12e1 ' == 120}}{{'.5' == .5}}{{'5.' == 5}}{{'+3' == 3}}{{'1,5' == 1.5}}{{'-Infinity' < "
     "0}}{{'1e' == 1}}{{'0x10' == 16}}",
     "\"truetruetruetruefalsetruefalsetrue\""},
    {IN_B(".items === " B ".items"), "true"},
    {IN_B(".items === " B ".values"), "false"},
    {IN_B(".items == null"), "false"},
    {IN_B(".items.length >= 1 || " B ".values.length >= 1"), "true"},
    {"{{steps.trigger?.event?.body?.items?.[0]?.qty}}", "2"},
    {"{{0.1 == 0.1000000000000000055511151231257827}}", "true"},
    {IN_B(".neg"), "-4"},
    {IN_B(".neg < -3.5"), "true"},
    {"{{{{ not }} {{1}}", "\"{{ not }} 1\""},
    {"{{{{", "\"{{\""},
    {"plain }} text", "\"plain }} text\""},
    {"{{steps.s.text}} / {{steps.s.text[0]}}", "\"hello world / h\""},
};

#undef IN_B
#endif
