/* The UTF-8 matcher parser: positions and words of its errors, quoting, braces. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/matcher.h"

static void error_is(const char *text, const char *want)
{
    struct arena a;
    struct matchers ms;
    struct err err = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    if (matchers_parse(&a, MATCHER_UTF8, str_c(text), &ms, NULL, &err))
        fail_msg("taken: %s", text);
    assert_string_equal(err.text, want);
    arena_deinit(&a);
}

static void printed_is(const char *text, const char *want)
{
    struct arena a;
    struct matchers ms;
    struct err err = { 0 };
    struct buf b = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    if (!matchers_parse(&a, MATCHER_UTF8, str_c(text), &ms, NULL, &err))
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(err.code, ERR_NONE);
    matchers_write(&b, &ms);
    assert_string_equal(b.p, want);
    matchers_deinit(&ms);
    buf_deinit(&b);
    arena_deinit(&a);
}

static void good_lists_are_taken(void **state)
{
    (void)state;
    printed_is("", "{}");
    printed_is(" { } ", "{}");
    printed_is("{a=b,}", "{a=\"b\"}");
    printed_is("a = b , \"c d\" !~ \"e\\u00e9\\n\"", "{a=\"b\",\"c d\"!~\"e\xC3\xA9\\n\"}");
    printed_is("\xC3\xA9=\xC3\xA9\xE2\x80\x83", "{\xC3\xA9=\"\xC3\xA9\"}"); /* an em space ends the value */
}

static void errors_say_where_and_what(void **state)
{
    (void)state;
    error_is("=", "0:1: unexpected =: expected label name");
    error_is("a", "end of input: expected an operator such as '=', '!=', '=~' or '!~'");
    error_is("a b", "2:3: unexpected b: expected an operator such as '=', '!=', '=~' or '!~'");
    error_is("\xC3\xA9=\xC3\xA9 x", "4:5: unexpected x: expected a comma or close brace"); /* columns are runes */
    error_is("a=b,=", "4:5: unexpected =: expected a matcher or close brace after comma");
    error_is("a!b", "1:2: !: expected one of '=~': expected an operator such as '=', '!=', '=~' or '!~'");
    error_is("a!", "1:2: unexpected end of input, expected one of '=~': "
                   "expected an operator such as '=', '!=', '=~' or '!~'");
    error_is("a=\"b", "2:4: \"b: missing end \": expected label value");
    error_is("~a", "0:1: ~: invalid input");
    error_is("a=\"\\z\"", "2:6: \"\\z\": invalid input");
    error_is("a=\"\\xff\"", "2:8: \"\\xff\": invalid input");
    error_is("{a=b", "0:4: end of input: expected close brace");
    error_is("a=b}", "0:4: }: expected opening brace");
    error_is("{a=b} c", "6:7: c: expected end of input");
    error_is("{", "0:1: end of input: expected close brace");
}

static void a_single_matcher_is_one(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "no matchers" },
        { "a=b,c=~\"d.\"", "expected 1 matcher, found 2" },
        { "{a=b}", "unexpected open or close brace: {a=b}" },
    };
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct matcher m;
        struct err err = { 0 };
        assert_false(matcher_parse(&a, MATCHER_UTF8, str_c(cases[i][0]), &m, NULL, &err));
        assert_string_equal(err.text, cases[i][1]);
    }
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_lists_are_taken),
        cmocka_unit_test(errors_say_where_and_what),
        cmocka_unit_test(a_single_matcher_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
