/* Regular expressions: Go's syntax and words, fast paths, replacement. Expectations were checked with Go's regexp. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "regex/regex.h"

#include <pthread.h>

static struct regex *compile(const char *text, unsigned flags)
{
    struct err err = { 0 };
    struct regex *re = regex_compile(str_c(text), flags, &err);
    if (re == NULL)
        fail_msg("%s: %s", text, err.text);
    return re;
}

static bool matches(const char *text, unsigned flags, const char *subject)
{
    struct regex *re = compile(text, flags);
    bool yes = regex_match(re, str_c(subject));
    regex_release(re);
    return yes;
}

static void errors_are_in_gos_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        { "a(", "missing closing ): `^(?:a()$`" },
        { "[a", "missing closing ]: `[a)$`" },
        { "a**", "invalid nested repetition operator: `**`" },
        { "*", "missing argument to repetition operator: `*`" },
        { "a{1001}", "invalid repeat count: `{1001}`" },
        { "(a{1000}){2}", "invalid repeat count: `{2}`" },
        { "(?=a)", "invalid or unsupported Perl syntax: `(?=`" },
        { "(?<n!>a)", "invalid named capture: `(?<n!>`" },
        { "\\C", "invalid escape sequence: `\\C`" },
        { "[z-a]", "invalid character class range: `z-a`" },
        { "\\p{Foo}(", "invalid character class range: `\\p{Foo}`" },
        { "a))", "unexpected ): `^(?:a)))$`" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        assert_null(regex_compile(str_c(cases[i].text), REGEX_ANCHORED, &err));
        assert_int_equal(err.code, ERR_INVALID);
        struct buf want = { 0 };
        buf_printf(&want, "error parsing regexp: %s", cases[i].error);
        assert_string_equal(err.text, want.p);
        buf_deinit(&want);
    }
    struct err err = { 0 };
    assert_null(regex_compile(STR("a\\"), 0, &err));
    assert_string_equal(err.text, "error parsing regexp: trailing backslash at end of expression: ``");
    assert_null(regex_compile(STR("a\xff"), 0, &err));
    assert_int_equal(strncmp(err.text, "error parsing regexp: invalid UTF-8: `", 38), 0);
}

static void syntax_of_go_that_re2_lacks_is_taken(void **state)
{
    (void)state;
    assert_true(matches("(?<n>a)b", REGEX_ANCHORED, "ab"));
    assert_true(matches("\\p{Letter}+", REGEX_ANCHORED, "é"));
    assert_true(matches("a(?i)*", REGEX_ANCHORED, "aaa"));
    assert_true(matches("^\\Qa.b", 0, "a.b"));
    assert_false(matches("^\\Qa.b", 0, "axb"));
}

static void anchored_needs_the_whole_text(void **state)
{
    (void)state;
    assert_false(matches("foo|bar", REGEX_ANCHORED, "xbar"));
    assert_true(matches("foo|bar", 0, "xbar"));
    assert_false(matches("a.*b", REGEX_ANCHORED, "a\nb"));
    assert_true(matches("a.*b", REGEX_ANCHORED | REGEX_DOTALL, "a\nb"));
    assert_true(matches("FOO", REGEX_ANCHORED | REGEX_FOLD, "foo"));
    assert_false(matches("a$", REGEX_ANCHORED, "a\n"));
}

static void literals_of_a_set_are_sorted_and_unique(void **state)
{
    (void)state;
    struct regex *re = compile("prod-(b|a)[12]|x\\.y|prod-a1", REGEX_ANCHORED);
    const struct str *v;
    assert_int_equal(regex_literals(re, &v), 5);
    static const char *const want[] = { "prod-a1", "prod-a2", "prod-b1", "prod-b2", "x.y" };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(str_eq(v[i], str_c(want[i])));
        assert_true(regex_match(re, v[i]));
    }
    assert_false(regex_match(re, STR("prod-a3")));
    regex_release(re);
    re = compile("a(b|c)?", REGEX_ANCHORED);
    assert_int_equal(regex_literals(re, &v), 0);
    assert_true(regex_match(re, STR("a")));
    regex_release(re);
}

static void prefix_is_what_every_match_starts_with(void **state)
{
    (void)state;
    static const struct {
        const char *text, *prefix;
    } cases[] = {
        { "abc.*", "abc" }, { "abc?", "ab" },   { "abé*", "ab" }, { "ab|ac", "a" },  { "ab\\d|c", "" },
        { "(a|b)", "" },    { "a\\.b.+", "a.b" }, { ".*a", "" },  { "ab\\d+", "ab" }, { "a[|]b|c", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct regex *re = compile(cases[i].text, REGEX_ANCHORED);
        struct str prefix = regex_prefix(re);
        if (!str_eq(prefix, str_c(cases[i].prefix)))
            fail_msg("%s: prefix %.*s", cases[i].text, STR_ARG(prefix));
        regex_release(re);
    }
}

static void gaps_respect_newlines_unless_told_otherwise(void **state)
{
    (void)state;
    assert_true(matches(".*", REGEX_ANCHORED, ""));
    assert_false(matches(".+", REGEX_ANCHORED, ""));
    assert_false(matches(".*", REGEX_ANCHORED, "\n"));
    assert_true(matches(".*foo.+", REGEX_ANCHORED, "xfoofoo"));
    assert_false(matches(".*foo.+", REGEX_ANCHORED, "xfoo"));
    assert_false(matches(".*foo.*", REGEX_ANCHORED, "\nfoo"));
    assert_true(matches(".*foo.*", REGEX_ANCHORED | REGEX_DOTALL, "\nfoo\n"));
    assert_true(matches(".+-x", REGEX_ANCHORED, "a-x"));
}

static void matching_empty_is_known(void **state)
{
    (void)state;
    struct regex *yes = compile("a*", REGEX_ANCHORED), *set = compile("|a", REGEX_ANCHORED),
                 *no = compile("a.*", REGEX_ANCHORED);
    assert_true(regex_matches_empty(yes));
    assert_true(regex_matches_empty(set));
    assert_false(regex_matches_empty(no));
    regex_release(yes);
    regex_release(set);
    regex_release(no);
}

static void replace_is(const char *text, const char *subject, const char *replacement, const char *want)
{
    struct regex *re = compile(text, 0);
    struct buf out = { 0 };
    regex_replace_all(re, str_c(subject), str_c(replacement), &out);
    assert_string_equal(buf_view(&out).p, want);
    buf_deinit(&out);
    regex_release(re);
}

static void replacement_follows_gos_expand(void **state)
{
    (void)state;
    replace_is("(a)(b)?", "xaab", "[$1$2]", "x[a][ab]");
    replace_is("a*", "baac", "X", "XbXcX");
    replace_is("a", "a", "$1a${0}$$${x}$-${", "a$$-${");
    replace_is("(?P<n>b)", "abc", "<$n|${n}x|$nx>", "a<b|bx|>c");
    replace_is("é", "aéb", "e", "aeb");
    replace_is("(a)", "a", "$01", "");
    replace_is("(?P<n>a)|(?P<n>b)", "ab", "<$n>", "<a><b>");
}

static void groups_of_a_literal_are_found_too(void **state)
{
    (void)state;
    struct regex *re = compile("(foo)-(bar|baz)", REGEX_ANCHORED);
    const struct str *v;
    assert_int_equal(regex_literals(re, &v), 2);
    assert_int_equal(regex_groups_count(re), 3);
    struct str groups[4];
    assert_true(regex_find(re, STR("foo-baz"), 0, groups, 4));
    assert_true(str_eq(groups[0], STR("foo-baz")));
    assert_true(str_eq(groups[2], STR("baz")));
    assert_null(groups[3].p);
    regex_release(re);
}

static void invalid_bytes_are_one_character_each(void **state)
{
    (void)state;
    struct regex *re = compile("a(.)b", 0);
    struct str groups[2], subject = STR("x\xffya\xff"
                                        "bz");
    assert_true(regex_find(re, subject, 0, groups, 2));
    assert_ptr_equal(groups[0].p, subject.p + 3);
    assert_int_equal(groups[0].n, 3);
    assert_true(str_eq(groups[1], STR("\xff")));
    regex_release(re);
}

static void text_longer_than_the_bound_is_refused(void **state)
{
    (void)state;
    struct buf text = { 0 };
    buf_fill(&text, 'a', REGEX_TEXT_MAX + 1);
    struct err err = { 0 };
    assert_null(regex_compile(buf_view(&text), 0, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    buf_deinit(&text);
}

static void a_program_too_large_is_refused(void **state)
{
    (void)state;
    struct err err = { 0 };
    assert_null(regex_compile(STR("(\\pL{1000})"), 0, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.text, "error parsing regexp: expression too large");
}

static void *find_many(void *arg)
{
    struct regex *re = arg;
    for (int i = 0; i < 200; i++) {
        struct str groups[2];
        if (!regex_find(re, STR("b"), 0, groups, 2) || !regex_match(re, STR("a")))
            return NULL;
    }
    regex_release(re);
    return re;
}

static void one_program_serves_many_threads(void **state)
{
    (void)state;
    struct regex *re = compile("(a|b)", REGEX_ANCHORED);
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, find_many, regex_retain(re)), 0);
    regex_release(re);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_in_gos_words),
        cmocka_unit_test(syntax_of_go_that_re2_lacks_is_taken),
        cmocka_unit_test(anchored_needs_the_whole_text),
        cmocka_unit_test(literals_of_a_set_are_sorted_and_unique),
        cmocka_unit_test(prefix_is_what_every_match_starts_with),
        cmocka_unit_test(gaps_respect_newlines_unless_told_otherwise),
        cmocka_unit_test(matching_empty_is_known),
        cmocka_unit_test(replacement_follows_gos_expand),
        cmocka_unit_test(groups_of_a_literal_are_found_too),
        cmocka_unit_test(invalid_bytes_are_one_character_each),
        cmocka_unit_test(text_longer_than_the_bound_is_refused),
        cmocka_unit_test(a_program_too_large_is_refused),
        cmocka_unit_test(one_program_serves_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
