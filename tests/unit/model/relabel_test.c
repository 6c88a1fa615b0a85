/* Relabeling: checks of rules, and what the recorded cases do not show: sharing, order, limits of names. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/relabel.h"

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

static const struct str one_source[] = { STR_INIT("a") };
#define FROM_A .source_labels = one_source, .source_labels_count = 1
#define ACTION(name) .action_text = STR_INIT(name), .has_action = true
#define REGEX(text) .regex_text = STR_INIT(text), .has_regex = true
#define REPLACEMENT(text) .replacement = STR_INIT(text), .has_replacement = true
#define TARGET(text) .target_label = STR_INIT(text)

static void bad_rules_are_refused_in_upstreams_words(void **state)
{
    (void)state;
    static const struct {
        struct relabel_rule rule;
        enum name_validation names;
        const char *error;
    } cases[] = {
        { { .action_text = STR_INIT(""), .has_action = true }, NAMES_UTF8, "relabel action cannot be empty" },
        { { ACTION("foo") }, NAMES_UTF8, "unknown relabel action \"foo\"" },
        { { ACTION("hashmod"), TARGET("x") }, NAMES_UTF8, "relabel configuration for hashmod requires non-zero modulus" },
        { { FROM_A }, NAMES_UTF8, "relabel configuration for replace action requires 'target_label' value" },
        { { ACTION("DropEqual") }, NAMES_UTF8, "relabel configuration for dropequal action requires 'target_label' value" },
        { { TARGET("a-b") }, NAMES_LEGACY, "\"a-b\" is invalid 'target_label' for replace action" },
        { { TARGET("${1}-b") }, NAMES_LEGACY, "\"${1}-b\" is invalid 'target_label' for replace action" },
        { { ACTION("lowercase"), TARGET("x"), REPLACEMENT("y") }, NAMES_UTF8,
          "'replacement' can not be set for lowercase action" },
        { { ACTION("labelmap"), REPLACEMENT("a b") }, NAMES_LEGACY, "\"a b\" is invalid 'replacement' for labelmap action" },
        { { ACTION("labelmap"), REPLACEMENT("") }, NAMES_UTF8, "\"\" is invalid 'replacement' for labelmap action" },
        { { ACTION("keepequal"), TARGET("x"), REGEX("(.*)") }, NAMES_UTF8,
          "keepequal action requires only 'source_labels' and `target_label`, and no other fields" },
        { { ACTION("labeldrop"), FROM_A, REGEX("x") }, NAMES_UTF8,
          "labeldrop action requires only 'regex', and no other fields" },
        { { ACTION("keep"), REGEX("a(") }, NAMES_UTF8, "error parsing regexp: missing closing ): `^(?s:a()$`" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct relabel_rule rule = cases[i].rule;
        struct err err = { 0 };
        assert_false(relabel_rule_prepare(&rule, cases[i].names, &err));
        assert_string_equal(err.text, cases[i].error);
        assert_null(rule.re);
    }
}

static void legacy_names_may_hold_variables(void **state)
{
    (void)state;
    struct relabel_rule rule = { TARGET("x_${1}_$name") };
    struct err err = { 0 };
    assert_true(relabel_rule_prepare(&rule, NAMES_LEGACY, &err));
    relabel_rule_deinit(&rule);
}

static struct labels apply(struct relabel_rule rule, enum name_validation names, struct labels in, bool *kept)
{
    struct err err = { 0 };
    struct labels out = { 0 };
    if (!relabel_rule_prepare(&rule, names, &err))
        fail_msg("%s", err.text);
    *kept = relabel_apply(&rule, 1, in, &arena, &out);
    relabel_rule_deinit(&rule);
    return out;
}

static void text_is(struct labels ls, const char *want)
{
    struct buf b = { 0 };
    labels_write_prometheus(&b, ls);
    assert_string_equal(b.p, want);
    buf_deinit(&b);
}

static struct label input_v[] = { { STR_INIT("a"), STR_INIT("x") }, { STR_INIT("c"), STR_INIT("x") } };
static const struct labels input = { input_v, 2 };

static void an_untouched_set_is_given_back_as_it_is(void **state)
{
    (void)state;
    bool kept;
    struct labels out = apply((struct relabel_rule){ ACTION("keep"), FROM_A, REGEX("x|y") }, NAMES_UTF8, input, &kept);
    assert_true(kept);
    assert_ptr_equal(out.v, input.v);
    out = apply((struct relabel_rule){ FROM_A, TARGET("c") }, NAMES_UTF8, input, &kept);
    assert_ptr_equal(out.v, input.v); /* the same value again */
}

static void the_input_is_never_written(void **state)
{
    (void)state;
    bool kept;
    text_is(apply((struct relabel_rule){ FROM_A, TARGET("b") }, NAMES_UTF8, input, &kept), "{a=\"x\", b=\"x\", c=\"x\"}");
    text_is(apply((struct relabel_rule){ TARGET("a"), REPLACEMENT("") }, NAMES_UTF8, input, &kept), "{c=\"x\"}");
    text_is(apply((struct relabel_rule){ ACTION("labeldrop"), REGEX(".") }, NAMES_UTF8, input, &kept), "{}");
    text_is(input, "{a=\"x\", c=\"x\"}");
}

static void a_target_that_expands_to_no_name_is_skipped(void **state)
{
    (void)state;
    bool kept;
    struct relabel_rule rule = { FROM_A, TARGET("${1}-y") };
    text_is(apply(rule, NAMES_UTF8, input, &kept), "{a=\"x\", c=\"x\", \"x-y\"=\"x\"}");
    struct relabel_rule empty = { FROM_A, TARGET("$2") };
    text_is(apply(empty, NAMES_UTF8, input, &kept), "{a=\"x\", c=\"x\"}");
}

static void hashes_are_of_the_last_eight_bytes(void **state)
{
    (void)state;
    bool kept;
    struct relabel_rule rule = { ACTION("hashmod"), FROM_A, TARGET("h"), .modulus = 1000 };
    /* md5("x") = 9dd4e461268c8034 f5c8564e155c67a6 */
    text_is(apply(rule, NAMES_UTF8, input, &kept), "{a=\"x\", c=\"x\", h=\"726\"}");
}

static void case_changes_by_character(void **state)
{
    (void)state;
    bool kept;
    struct label v[] = { { STR_INIT("a"), STR_INIT("stra\xC3\x9F" "e \xC4\xB0\xC7\x86") } };
    struct labels in = { v, 1 };
    text_is(apply((struct relabel_rule){ ACTION("uppercase"), FROM_A, TARGET("a") }, NAMES_UTF8, in, &kept),
            "{a=\"STRA\xC3\x9F" "E \xC4\xB0\xC7\x84\"}");
    text_is(apply((struct relabel_rule){ ACTION("lowercase"), FROM_A, TARGET("a") }, NAMES_UTF8, in, &kept),
            "{a=\"stra\xC3\x9F" "e i\xC7\x86\"}");
}

static void the_first_rejection_ends_the_list(void **state)
{
    (void)state;
    struct relabel_rule rules[] = { { ACTION("drop"), FROM_A, REGEX("x") }, { TARGET("z"), REPLACEMENT("1") } };
    struct err err = { 0 };
    struct labels out;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        assert_true(relabel_rule_prepare(&rules[i], NAMES_UTF8, &err));
    assert_false(relabel_apply(rules, 2, input, &arena, &out));
    assert_true(relabel_apply(rules + 1, 1, input, &arena, &out));
    assert_true(relabel_apply(rules, 0, input, &arena, &out));
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        relabel_rule_deinit(&rules[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_rules_are_refused_in_upstreams_words),
        cmocka_unit_test(legacy_names_may_hold_variables),
        cmocka_unit_test(an_untouched_set_is_given_back_as_it_is),
        cmocka_unit_test(the_input_is_never_written),
        cmocka_unit_test(a_target_that_expands_to_no_name_is_skipped),
        cmocka_unit_test(hashes_are_of_the_last_eight_bytes),
        cmocka_unit_test(case_changes_by_character),
        cmocka_unit_test(the_first_rejection_ends_the_list),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
