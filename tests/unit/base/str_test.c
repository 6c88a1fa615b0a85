#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"

static const struct str nothing = { NULL, 0 };

static void empty_slices_may_have_no_pointer(void **state)
{
    (void)state;
    assert_true(str_eq(nothing, STR("")));
    assert_int_equal(str_cmp(nothing, STR("")), 0);
    assert_int_equal(str_cmp(nothing, STR("a")), -1);
    assert_true(str_starts(STR("a"), nothing));
    assert_true(str_ends(nothing, nothing));
    assert_int_equal(str_find(nothing, nothing), 0);
    assert_int_equal(str_find_byte(nothing, 'x'), STR_NPOS);
    assert_int_equal(str_trim(nothing).n, 0);
    assert_int_equal(str_hash(nothing, 1), str_hash(STR(""), 1));
}

static void comparison_is_bytewise_and_shorter_first(void **state)
{
    (void)state;
    assert_int_equal(str_cmp(STR("a"), STR("b")), -1);
    assert_int_equal(str_cmp(STR("ab"), STR("a")), 1);
    assert_int_equal(str_cmp(STR("\xff"), STR("a")), 1);
    assert_int_equal(str_cmp(STR("a\0b"), STR("a\0b")), 0);
    assert_int_equal(str_cmp(STR("a\0b"), STR("a\0c")), -1);
}

static void split_gives_every_piece_and_ends(void **state)
{
    (void)state;
    struct str rest = STR("a,,b,"), piece;
    const struct str want[] = { STR_INIT("a"), STR_INIT(""), STR_INIT("b"), STR_INIT("") };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(str_split(&rest, ',', &piece));
        assert_true(str_eq(piece, want[i]));
    }
    assert_false(str_split(&rest, ',', &piece));
    rest = STR("");
    assert_true(str_split(&rest, ',', &piece));
    assert_false(str_split(&rest, ',', &piece));
}

static void slices_are_clipped(void **state)
{
    (void)state;
    assert_true(str_eq(str_sub(STR("hello"), 1, 3), STR("ell")));
    assert_true(str_eq(str_sub(STR("hello"), 4, 9), STR("o")));
    assert_int_equal(str_sub(STR("hello"), 9, 1).n, 0);
    assert_true(str_eq(str_from(STR("hello"), 3), STR("lo")));
    assert_int_equal(str_from(STR("hello"), 5).n, 0);
}

static void trimming_stops_at_the_first_other_byte(void **state)
{
    (void)state;
    assert_true(str_eq(str_trim(STR(" \t\v\f\r\n a b \n")), STR("a b")));
    assert_int_equal(str_trim(STR("  \n")).n, 0);
    assert_true(str_eq(str_trim_set(STR("--a-b--"), STR("-")), STR("a-b")));
}

static void finding_works_from_both_ends(void **state)
{
    (void)state;
    assert_int_equal(str_find(STR("abcabc"), STR("ca")), 2);
    assert_int_equal(str_find(STR("abc"), STR("abcd")), STR_NPOS);
    assert_int_equal(str_find_byte(STR("abca"), 'a'), 0);
    assert_int_equal(str_rfind_byte(STR("abca"), 'a'), 3);
    assert_true(str_contains(STR("abc"), STR("")));
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_false(str_starts(STR("ab"), STR("abc")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("bc"), STR("abc")));
}

static void case_is_ascii_only(void **state)
{
    (void)state;
    assert_true(str_eq_nocase(STR("AbC"), STR("aBc")));
    assert_false(str_eq_nocase(STR("\xc3\x84"), STR("\xc3\xa4")));
    assert_int_equal(ascii_lower('Z'), 'z');
    assert_int_equal(ascii_upper('['), '[');
}

static void ascii_classes_hold_for_every_byte(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        bool digit = i >= '0' && i <= '9';
        bool alpha = (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z');
        assert_int_equal(ascii_is_digit(c), digit);
        assert_int_equal(ascii_is_alpha(c), alpha);
        assert_int_equal(ascii_is_alnum(c), digit || alpha);
        assert_int_equal(ascii_is_space(c), i == ' ' || (i >= 9 && i <= 13));
        bool hex = digit || (i >= 'a' && i <= 'f') || (i >= 'A' && i <= 'F');
        assert_int_equal(ascii_is_xdigit(c), hex);
        assert_int_equal(ascii_xdigit_value(c) >= 0, hex);
    }
    assert_int_equal(ascii_xdigit_value('f'), 15);
    assert_int_equal(ascii_xdigit_value('A'), 10);
}

static void hash_depends_on_every_byte_and_the_length(void **state)
{
    (void)state;
    char text[67] = { 0 };
    for (size_t n = 0; n <= sizeof text; n++) {
        uint64_t h = str_hash(str_of(text, n), 0);
        if (n > 0)
            assert_true(h != str_hash(str_of(text, n - 1), 0));
        assert_true(h != str_hash(str_of(text, n), 1));
        for (size_t i = 0; i < n; i++) {
            text[i] ^= 1;
            assert_true(h != str_hash(str_of(text, n), 0));
            text[i] ^= 1;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_slices_may_have_no_pointer),
        cmocka_unit_test(comparison_is_bytewise_and_shorter_first),
        cmocka_unit_test(split_gives_every_piece_and_ends),
        cmocka_unit_test(slices_are_clipped),
        cmocka_unit_test(trimming_stops_at_the_first_other_byte),
        cmocka_unit_test(finding_works_from_both_ends),
        cmocka_unit_test(case_is_ascii_only),
        cmocka_unit_test(ascii_classes_hold_for_every_byte),
        cmocka_unit_test(hash_depends_on_every_byte_and_the_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
