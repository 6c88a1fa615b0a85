#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "promql/promql.h"

#define ALL (PROMQL_EXPERIMENTAL_FUNCTIONS | PROMQL_EXTENDED_RANGES | PROMQL_FILL_MODIFIERS)

static void prints_as(const char *text, const char *want)
{
    struct err err = { 0 };
    struct promql_expr *e = promql_parse(str_c(text), ALL, &err);
    struct buf b = { 0 };
    if (!e)
        fail_msg("%s: %s", text, err.text);
    promql_print(&b, promql_root(e));
    assert_string_equal(b.p, want);
    buf_deinit(&b);
    promql_expr_free(e);
}
static void fails_with(const char *text, unsigned features, const char *want)
{
    struct err err = { 0 };
    struct promql_expr *e = promql_parse(str_c(text), features, &err);
    assert_null(e);
    assert_string_equal(err.text, want);
}

static void precedence_is_upstreams(void **state)
{
    (void)state;
    prints_as("-1 ^ 2", "-1 ^ 2");
    prints_as("a + b * c ^ d", "a + b * c ^ d");
    prints_as("-x offset 5m", "-x offset 5m");
    prints_as("x offset -2 ^ 2", "x offset -2s ^ 2");
    prints_as("x offset (1) + 2", "x offset (1) + 2");
}
static void canonical_text_sorts_and_quotes(void **state)
{
    (void)state;
    prints_as("x{b=\"2\",a='1'}", "x{a=\"1\",b=\"2\"}");
    prints_as("{\"my.metric\", \"l.x\"=\"v\"}", "{\"l.x\"=\"v\",__name__=\"my.metric\"}");
    prints_as("SUM (x) BY (y,)", "sum by (y) (x)");
    prints_as("x[300] @ 1.5 offset 90", "x[5m] @ 1.500 offset 1m30s");
    prints_as("a / on() group_left b", "a / on () group_left () b");
    prints_as("a + fill(1) b", "a + fill (1) b");
    prints_as("x[5m:]", "x[5m:]");
}
static void numbers_have_their_forms(void **state)
{
    (void)state;
    prints_as("0x1F", "31");
    prints_as("1_000", "1000");
    prints_as("017", "15");
    prints_as("08", "8");
    prints_as("5m", "5m");
    prints_as("9223372036854775808", "9223372036854776000");
}
static void errors_say_where(void **state)
{
    (void)state;
    fails_with("", ALL, "1:1: parse error: no expression found in input");
    fails_with("foo{a=}", ALL, "1:7: parse error: unexpected \"}\" in label matching, expected string");
    fails_with("1 == 2", ALL, "1:3: parse error: comparisons between scalars must use BOOL modifier");
    fails_with("sum(x", ALL, "1:6: parse error: unclosed left parenthesis");
    fails_with("rate(x)", ALL, "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector");
    fails_with("\n  nosuch(x)", ALL, "2:3: parse error: unknown function with name \"nosuch\"");
    fails_with("x[1/0]", ALL, "1:5: parse error: division by zero");
}
static void features_open_what_they_name(void **state)
{
    (void)state;
    fails_with("mad_over_time(x[5m])", 0, "1:1: parse error: function \"mad_over_time\" is not enabled");
    fails_with("limitk(1, x)", 0,
               "1:1: parse error: limitk() is experimental and must be enabled with "
               "--enable-feature=promql-experimental-functions");
    fails_with("a + fill(1) b", 0, "1:5: parse error: binop fill modifiers are experimental and not enabled");
}
static void depth_is_bounded(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct err err = { 0 };
    buf_fill(&b, '(', 100000);
    assert_null(promql_parse(buf_view(&b), ALL, &err));
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precedence_is_upstreams),      cmocka_unit_test(canonical_text_sorts_and_quotes),
        cmocka_unit_test(numbers_have_their_forms),     cmocka_unit_test(errors_say_where),
        cmocka_unit_test(features_open_what_they_name), cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
