#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/utf8.h"

static void every_rune_round_trips(void **state)
{
    (void)state;
    struct buf b = { 0 };
    for (rune r = 0; r <= 0x10FFFF; r++) {
        if (r >= 0xD800 && r <= 0xDFFF)
            continue;
        buf_reset(&b);
        utf8_append(&b, r);
        size_t size;
        if (utf8_decode(buf_view(&b), &size) != r || size != b.n || utf8_decode_last(buf_view(&b), &size) != r ||
            size != b.n || !utf8_valid(buf_view(&b)))
            fail_msg("rune %x", r);
    }
    buf_deinit(&b);
}

static void what_is_no_rune_is_written_as_the_replacement(void **state)
{
    (void)state;
    struct buf b = { 0 };
    utf8_append(&b, 0xD800);
    utf8_append(&b, 0x110000);
    assert_string_equal(b.p, "\xef\xbf\xbd\xef\xbf\xbd");
    buf_deinit(&b);
}

static void bad_bytes_stand_alone(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t runes;
    } cases[] = {
        { "\xff", 1 },         { "\xc3", 1 },             { "\xe2\x98", 2 },         { "\xed\xa0\x80", 3 },
        { "\xf4\x90\x80\x80", 4 }, { "\xc0\x80", 2 },     { "\xe0\x80\x80", 3 },     { "\xf0\x80\x80\x80", 4 },
        { "\x80", 1 },         { "a\xffz", 3 },           { "\xe2\x98\x83\xe2", 2 }, { "\xf8\x88\x80\x80\x80", 5 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str s = str_c(cases[i].text);
        assert_int_equal(utf8_count(s), cases[i].runes);
        assert_false(utf8_valid(s));
    }
    size_t size;
    assert_int_equal(utf8_decode_last(STR("a\x80"), &size), RUNE_ERROR);
    assert_int_equal(size, 1);
    assert_int_equal(utf8_decode_last(STR("\x80\x80\x80\x80\x80"), &size), RUNE_ERROR);
    assert_int_equal(size, 1);
}

static void replacing_keeps_what_is_good(void **state)
{
    (void)state;
    struct buf b = { 0 };
    utf8_append_valid(&b, STR("a\xff" "b\xe2\x98\x83\xc3"));
    assert_string_equal(b.p, "a\xef\xbf\xbd" "b\xe2\x98\x83\xef\xbf\xbd");
    buf_deinit(&b);
}

static void prefixes_count_runes(void **state)
{
    (void)state;
    assert_true(str_eq(utf8_prefix(STR("aé☃z"), 3), STR("aé☃")));
    assert_true(str_eq(utf8_prefix(STR("ab"), 9), STR("ab")));
    assert_int_equal(utf8_prefix(STR("ab"), 0).n, 0);
}

static void printable_is_unicode_15_as_in_go(void **state)
{
    (void)state;
    const rune yes[] = { ' ', '~', 0xA1, 0xE9, 0x2603, 0x1F600, 0x3042, 0xAC00, 0x31350, 0x1FADD - 8, 0xFFFD, 0x300 };
    const rune no[] = { 0, 0x1F, 0x7F, 0xA0, 0xAD, 0x2028, 0x3000, 0xE000, 0x378, 0x10FFFF, 0xD800, 0xFEFF, 0x323B0 };
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(rune_is_printable(yes[i]));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(rune_is_printable(no[i]));
}

static void white_space_is_the_property(void **state)
{
    (void)state;
    size_t count = 0;
    for (rune r = 0; r <= 0x10FFFF; r++)
        count += rune_is_white_space(r);
    assert_int_equal(count, 25);
    assert_true(rune_is_white_space(0x85));
    assert_true(rune_is_white_space(0x3000));
    assert_false(rune_is_white_space(0x200B));
}

static void quoting_is_strconvs(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *want;
    } cases[] = {
        { STR_INIT(""), "\"\"" },
        { STR_INIT("a\"b\\c"), "\"a\\\"b\\\\c\"" },
        { STR_INIT("\a\b\f\n\r\t\v"), "\"\\a\\b\\f\\n\\r\\t\\v\"" },
        { STR_INIT("\0\x01\x7f"), "\"\\x00\\x01\\x7f\"" },
        { STR_INIT("\xc2\xa0\xe2\x80\xa8"), "\"\\u00a0\\u2028\"" },
        { STR_INIT("é☃😀\xef\xbf\xbd"), "\"é☃😀\xef\xbf\xbd\"" },
        { STR_INIT("\xff\xe2\x98"), "\"\\xff\\xe2\\x98\"" },
        { STR_INIT("\xf4\x8f\xbf\xbf"), "\"\\U0010ffff\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = { 0 }, back = { 0 };
        go_quote(&b, cases[i].text);
        assert_string_equal(b.p, cases[i].want);
        assert_true(go_unquote(&back, buf_view(&b), false));
        assert_true(str_eq(buf_view(&back), cases[i].text));
        buf_deinit(&b);
        buf_deinit(&back);
    }
}

static void unquoting_reads_every_escape(void **state)
{
    (void)state;
    struct buf b = { 0 };
    assert_true(go_unquote(&b, STR("\"\\x41\\102\\u00e9\\U0001F600\\n\\\\\\\"\""), false));
    assert_string_equal(b.p, "AB\xc3\xa9\xf0\x9f\x98\x80\n\\\"");
    buf_reset(&b);
    assert_true(go_unquote(&b, STR("`a\\n\rb`"), true));
    assert_string_equal(b.p, "a\\nb");
    buf_reset(&b);
    assert_true(go_unquote(&b, STR("\"\xff\""), false));
    assert_string_equal(b.p, "\xef\xbf\xbd");
    buf_deinit(&b);
}

static void what_is_not_quoted_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",        "\"",        "a",         "\"a",      "\"a\"b\"",     "\"\\q\"",
                                       "\"\\'\"", "\"\n\"",    "\"\\\"",    "\"\\x4\"", "\"\\400\"",    "\"\\ud800\"",
                                       "'a'",     "\"\\u12\"", "\"a`",      "\"\\0\"",  "\"\\U00110000\"" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf b = { 0 };
        assert_false(go_unquote(&b, str_c(bad[i]), true));
        buf_deinit(&b);
    }
    struct buf b = { 0 };
    assert_false(go_unquote(&b, STR("`a`"), false));
    assert_false(go_unquote(&b, STR("`a`b`"), true));
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rune_round_trips),
        cmocka_unit_test(what_is_no_rune_is_written_as_the_replacement),
        cmocka_unit_test(bad_bytes_stand_alone),
        cmocka_unit_test(replacing_keeps_what_is_good),
        cmocka_unit_test(prefixes_count_runes),
        cmocka_unit_test(printable_is_unicode_15_as_in_go),
        cmocka_unit_test(white_space_is_the_property),
        cmocka_unit_test(quoting_is_strconvs),
        cmocka_unit_test(unquoting_reads_every_escape),
        cmocka_unit_test(what_is_not_quoted_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
