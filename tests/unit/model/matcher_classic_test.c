/* The classic matcher parser: forgiving about quotes and braces, strict about names. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/matcher.h"

/* The list as it prints, or the error. */
static void outcome_is(const char *text, size_t n, const char *want)
{
    struct arena a;
    struct matchers ms;
    struct err err = { 0 };
    struct buf b = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    if (matchers_parse(&a, MATCHER_CLASSIC, str_of(text, n), &ms, NULL, &err))
        matchers_write(&b, &ms);
    else
        buf_str(&b, err_text(&err));
    assert_string_equal(b.p, want);
    matchers_deinit(&ms);
    buf_deinit(&b);
    arena_deinit(&a);
}
#define OUTCOME(text, want) outcome_is(text, sizeof(text) - 1, want)

static void braces_are_optional_each(void **state)
{
    (void)state;
    OUTCOME("", "{}");
    OUTCOME("{a=b", "{a=\"b\"}");
    OUTCOME("a=b}", "{a=\"b\"}");
    OUTCOME("{}", "{}");
    OUTCOME("a=b,", "{a=\"b\"}");
    OUTCOME("a=b,\xE2\x80\x83", "{a=\"b\"}");
    OUTCOME(",a=b", "bad matcher format: ");
}

static void the_first_operator_that_fits_wins(void **state)
{
    (void)state;
    OUTCOME("a==b", "{a=\"=b\"}");
    OUTCOME("a=~b", "{a=~\"b\"}");
    OUTCOME("a != b c ", "{a!=\"b c\"}");
    OUTCOME("a", "bad matcher format: a");
    OUTCOME("\"a\"=b", "bad matcher format: \"a\"=b");
    OUTCOME("9a=b", "bad matcher format: 9a=b");
    OUTCOME("a:b=c", "{a:b=\"c\"}");
    OUTCOME("\va=b,c=d", "bad matcher format: \va=b");
    OUTCOME("a=~(", "error parsing regexp: missing closing ): `^(?:()$`");
}

static void quotes_protect_commas(void **state)
{
    (void)state;
    OUTCOME("a=\"b,c\",d=e", "{a=\"b,c\",d=\"e\"}");
    OUTCOME("a=\"b\\\",c\",d=e", "{a=\"b\\\",c\",d=\"e\"}");
    OUTCOME("a=b\\,c=d", "{a=\"b\\\\\",c=\"d\"}");
}

static void escapes_are_few(void **state)
{
    (void)state;
    OUTCOME("a=\\n\\\"\\\\\\x\\", "{a=\"\\n\\\"\\\\\\\\x\\\\\"}");
    OUTCOME("a=b\"c", "matcher value contains unescaped double quote: b\"c");
    OUTCOME("a=\"b", "matcher value contains unescaped double quote: \"b");
    OUTCOME("a=b\"", "matcher value contains unescaped double quote: b\"");
    OUTCOME("a=\"\"", "{a=\"\"}");
    OUTCOME("a=\xFF", "{a=\"\xEF\xBF\xBD\"}");
}

static void a_single_matcher_minds_utf8(void **state)
{
    (void)state;
    struct arena a;
    struct matcher m;
    struct err err = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    assert_false(matcher_parse(&a, MATCHER_CLASSIC, STR("a=\"\xFF\""), &m, NULL, &err));
    assert_string_equal(err.text, "matcher value not valid UTF-8: \"\xFF\"");
    assert_true(matcher_parse(&a, MATCHER_CLASSIC, STR("a={b}"), &m, NULL, &err));
    assert_true(str_eq(m.value, STR("{b}")));
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(braces_are_optional_each),
        cmocka_unit_test(the_first_operator_that_fits_wins),
        cmocka_unit_test(quotes_protect_commas),
        cmocka_unit_test(escapes_are_few),
        cmocka_unit_test(a_single_matcher_minds_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
