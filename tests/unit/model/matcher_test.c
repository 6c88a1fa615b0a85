/* Matchers: what they match, how they print, which parser decides, what lists own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/matcher.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, ARENA_NO_LIMIT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static struct matchers parse(enum matcher_mode mode, const char *text, struct matcher_notice *notice)
{
    struct matchers ms;
    struct err err = { 0 };
    if (!matchers_parse(&arena, mode, str_c(text), &ms, notice, &err))
        fail_msg("%s: %s", text, err.text);
    return ms;
}

static void error_is(enum matcher_mode mode, const char *text, const char *want)
{
    struct matchers ms;
    struct err err = { 0 };
    assert_false(matchers_parse(&arena, mode, str_c(text), &ms, NULL, &err));
    assert_string_equal(err.text, want);
    assert_int_equal(ms.n, 0);
}

static void a_missing_label_is_the_empty_value(void **state)
{
    (void)state;
    struct label v[] = { { STR_INIT("a"), STR_INIT("xy") } };
    struct labels ls = { v, 1 };
    static const struct {
        const char *text;
        bool matches;
    } cases[] = {
        { "b=\"\"", true },  { "b!=\"\"", false }, { "b=~\".*\"", true }, { "b!~\".+\"", true },
        { "a=xy", true },    { "a=~x", false },    { "a=~\"x.\"", true }, { "a!~\"x.\"", false },
        { "a=xy,b=c", false }, { "", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct matchers ms = parse(MATCHER_UTF8, cases[i].text, NULL);
        if (matchers_match(&ms, ls) != cases[i].matches)
            fail_msg("%s", cases[i].text);
        matchers_deinit(&ms);
    }
}

static void a_dot_does_not_match_a_newline(void **state)
{
    (void)state;
    struct matchers ms = parse(MATCHER_UTF8, "a=~\".*\"", NULL);
    assert_false(matcher_matches_value(&ms.v[0], STR("x\ny")));
    matchers_deinit(&ms);
}

static void names_with_reserved_runes_are_printed_quoted(void **state)
{
    (void)state;
    struct matchers ms = parse(MATCHER_UTF8, "\"a b\"=\"\\t\\n\",c=\"\\t\\n\\\"\\\\\",d=~\"x|y\"", NULL);
    struct buf b = { 0 };
    matchers_write(&b, &ms);
    assert_string_equal(b.p, "{\"a b\"=\"\\t\\n\",c=\"\t\\n\\\"\\\\\",d=~\"x|y\"}");
    buf_deinit(&b);
    matchers_deinit(&ms);
}

static void the_classic_result_wins_with_a_notice(void **state)
{
    (void)state;
    struct matcher_notice notice;
    struct matchers ms = parse(MATCHER_FALLBACK, "{foo=bar", &notice);
    assert_true(notice.classic_used);
    assert_false(notice.disagreement);
    assert_true(str_eq(notice.suggestion, STR("foo=\"bar\"")));
    assert_string_equal(notice.utf8_err.text, "0:8: end of input: expected close brace");
    matchers_deinit(&ms);
    ms = parse(MATCHER_FALLBACK, "foo=\"\\x62\"", &notice);
    assert_true(notice.disagreement);
    assert_true(str_eq(ms.v[0].value, STR("\\x62")));
    matchers_deinit(&ms);
    ms = parse(MATCHER_FALLBACK, "\"foo.bar\"=~\"a|b\"", &notice);
    assert_false(notice.disagreement || notice.classic_used);
    matchers_deinit(&ms);
}

static void a_failing_list_holds_no_regex(void **state)
{
    (void)state; /* leaks would be the sanitizer's to report */
    error_is(MATCHER_UTF8, "a=~\"x|.y\",b=~\"(\"",
             "failed to create matcher: error parsing regexp: missing closing ): `^(?:()$`");
    error_is(MATCHER_CLASSIC, "a=~\"x|.y\",b", "bad matcher format: b");
    error_is(MATCHER_FALLBACK, "a=~\"x|.y\",b", "bad matcher format: b");
}

static void a_copy_outlives_its_source(void **state)
{
    (void)state;
    struct matchers ms = parse(MATCHER_UTF8, "b=~\"x.*|y.*\",a!=c", NULL);
    struct matchers copy = matchers_dup(&ms);
    assert_true(matchers_eq(&ms, &copy));
    matchers_deinit(&ms);
    arena_reset(&arena);
    matchers_sort(&copy);
    assert_true(str_eq(copy.v[0].name, STR("a")));
    assert_true(matcher_matches_value(&copy.v[1], STR("yes")));
    matchers_free(&copy);
    assert_null(copy.v);
}

static void order_is_name_value_operator(void **state)
{
    (void)state;
    struct matchers ms = parse(MATCHER_UTF8, "b=a,a!~b,a=~b,a!=b,a=b,a!~a", NULL);
    matchers_sort(&ms);
    struct buf b = { 0 };
    matchers_write(&b, &ms);
    assert_string_equal(b.p, "{a!~\"a\",a=\"b\",a!=\"b\",a=~\"b\",a!~\"b\",b=\"a\"}");
    buf_deinit(&b);
    matchers_deinit(&ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_label_is_the_empty_value),
        cmocka_unit_test(a_dot_does_not_match_a_newline),
        cmocka_unit_test(names_with_reserved_runes_are_printed_quoted),
        cmocka_unit_test(the_classic_result_wins_with_a_notice),
        cmocka_unit_test(a_failing_list_holds_no_regex),
        cmocka_unit_test(a_copy_outlives_its_source),
        cmocka_unit_test(order_is_name_value_operator),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
