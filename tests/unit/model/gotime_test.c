/* Go's layouts. Expectations are Go's own answers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/gotime.h"

static const struct wire_time moment = { 1136239445, 123456000 }; /* 2006-01-02 22:04:05.123456 UTC */

static void format_is(const struct go_time *t, const char *layout, const char *want)
{
    struct buf b = { 0 };
    go_time_format(&b, str_c(layout), t);
    assert_string_equal(buf_view(&b).p, want);
    buf_deinit(&b);
}

static void every_element_formats(void **state)
{
    (void)state;
    struct go_time t = { .t = moment, .fixed = true, .offset_s = -25200, .abbreviation = STR("MST") };
    static const char *const cases[][2] = {
        { "January Jan 1 01", "January Jan 1 01" },
        { "Monday Mon 2 _2 02 __2 002", "Monday Mon 2  2 02   2 002" },
        { "15 3 03 PM pm 4 04 5 05", "15 3 03 PM pm 4 04 5 05" },
        { "2006 06 _2006", "2006 06 _2006" },
        { "MST -0700 -07:00 -07 -070000 -07:00:00", "MST -0700 -07:00 -07 -070000 -07:00:00" },
        { "Z0700 Z07:00 Z07 Z070000 Z07:00:00", "-0700 -07:00 -07 -070000 -07:00:00" },
        { "5.000 5,000 5.999 5.999999999 5.00000", "5.123 5,123 5.123 5.123456 5.12345" },
        { "Janet Monk 7 20 .01", "Janet Monk 7 20 .01" },
        { "", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        format_is(&t, cases[i][0], cases[i][1]);
}

static void zones_without_a_name_show_their_offset(void **state)
{
    (void)state;
    struct go_time t = { .t = moment, .fixed = true, .offset_s = 7200 };
    format_is(&t, "2006-01-02 15:04:05.999999999 -0700 MST", "2006-01-03 00:04:05.123456 +0200 +0200");
    t = (struct go_time){ .t = moment };
    format_is(&t, "2006-01-02T15:04:05Z07:00 MST", "2006-01-02T22:04:05Z UTC");
    t = (struct go_time){ .t = { WIRE_TIME_ZERO.s, 0 } };
    format_is(&t, "2006-01-02 15:04:05 Mon 06", "0001-01-01 00:00:00 Mon 01");
}

static void parse_is(const char *layout, const char *text, int64_t s, int32_t ns, const char *printed)
{
    struct go_time t;
    struct err err = { 0 };
    if (!go_time_parse(str_c(layout), str_c(text), NULL, &t, &err))
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(t.t.s, s);
    assert_int_equal(t.t.ns, ns);
    format_is(&t, "2006-01-02 15:04:05.999999999 -0700 MST", printed);
}

static void texts_parse_by_their_layout(void **state)
{
    (void)state;
    parse_is("2006-01-02", "2024-02-29", 1709164800, 0, "2024-02-29 00:00:00 +0000 UTC");
    parse_is("2006-01-02T15:04:05Z07:00", "2024-02-29T12:00:00.5+02:00", 1709200800, 500000000,
             "2024-02-29 12:00:00.5 +0200 +0200");
    parse_is("Mon, 02 Jan 2006 15:04:05 MST", "thu, 29 FEB 2024 12:00:00 CET", 1709208000, 0,
             "2024-02-29 12:00:00 +0000 CET");
    parse_is("2006-002", "2024-060", 1709164800, 0, "2024-02-29 00:00:00 +0000 UTC");
    parse_is("3:04PM", "12:30AM", -62167217400, 0, "0000-01-01 00:30:00 +0000 UTC");
    parse_is("Jan _2 06", "Feb  3 70", 2851200, 0, "1970-02-03 00:00:00 +0000 UTC");
    parse_is("15:04 GMT-7", "10:00 GMT-7", -62167183200, 0, "0000-01-01 10:00:00 +0000 UTC");
    parse_is("15:04 MST", "10:00 GMT+3", -62167183200, 0, "0000-01-01 13:00:00 +0300 GMT+3");
}

static void errors_are_gos(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        { "2006-01-02", "2024-13-01", "parsing time \"2024-13-01\": month out of range" },
        { "2006-01-02", "2023-02-29", "parsing time \"2023-02-29\": day out of range" },
        { "2006-01-02", "x", "parsing time \"x\" as \"2006-01-02\": cannot parse \"x\" as \"2006\"" },
        { "2006-01-02", "2024-1", "parsing time \"2024-1\" as \"2006-01-02\": cannot parse \"1\" as \"01\"" },
        { "2006-01-02", "2024/", "parsing time \"2024/\" as \"2006-01-02\": cannot parse \"/\" as \"-\"" },
        { "2006", "2024 \xC3\xA9", "parsing time \"2024 \\xc3\\xa9\": extra text: \" \\xc3\\xa9\"" },
        { "-0700", "+2500", "parsing time \"+2500\": time zone offset hour out of range" },
        { "__2", "400", "parsing time \"400\": day-of-year out of range" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct go_time t;
        struct err err = { 0 };
        assert_false(go_time_parse(str_c(cases[i][0]), str_c(cases[i][1]), NULL, &t, &err));
        assert_string_equal(err.text, cases[i][2]);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void long_layouts_are_refused(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_fill(&b, '1', GO_TIME_LAYOUT_MAX + 1);
    struct go_time t;
    struct err err = { 0 };
    assert_false(go_time_parse(buf_view(&b), STR("1"), NULL, &t, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_element_formats),
        cmocka_unit_test(zones_without_a_name_show_their_offset),
        cmocka_unit_test(texts_parse_by_their_layout),
        cmocka_unit_test(errors_are_gos),
        cmocka_unit_test(long_layouts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
