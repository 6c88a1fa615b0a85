/* Time intervals: texts, errors, containment at the edges, printed forms. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/timeinterval.h"

typedef bool parse_text(struct str text, struct interval_range *r, struct err *err);

static void error_is(parse_text *parse, const char *text, const char *want)
{
    struct interval_range r;
    struct err err = { 0 };
    assert_false(parse(str_c(text), &r, &err));
    assert_string_equal(err.text, want);
}

static void errors_are_upstreams(void **state)
{
    (void)state;
    error_is(interval_parse_weekdays, "Funday", "funday is not a valid weekday");
    error_is(interval_parse_weekdays, "1", "1 is not a valid weekday");
    error_is(interval_parse_weekdays, "friday:monday", "start day cannot be before end day");
    error_is(interval_parse_weekdays, "Monday:friday:sunday",
             "couldn't parse range monday:friday:sunday, invalid format");
    error_is(interval_parse_days_of_month, "0", "0 is not a valid day of the month: out of range");
    error_is(interval_parse_days_of_month, "1:32", "32 is not a valid day of the month: out of range");
    error_is(interval_parse_days_of_month, "-1:5", "end day must be negative if start day is negative");
    error_is(interval_parse_days_of_month, "28:-1", "end day -1 is always before start day 28");
    error_is(interval_parse_days_of_month, "X", "strconv.Atoi: parsing \"x\": invalid syntax");
    error_is(interval_parse_days_of_month, "99999999999999999999",
             "strconv.Atoi: parsing \"99999999999999999999\": value out of range");
    error_is(interval_parse_months, "Jan", "jan is not a valid month");
    error_is(interval_parse_months, "May:13:1", "couldn't parse range may:13:1, invalid format");
    error_is(interval_parse_months, "may:JANUARY", "end month january is before start month may");
    error_is(interval_parse_months, "14:13", "end month  is before start month ");
    error_is(interval_parse_years, "2021:2020", "end year 2020 is before start year 2021");
    struct interval_range r;
    struct err err = { 0 };
    assert_false(interval_parse_times(STR("9:00"), STR("10:00"), &r, &err));
    assert_string_equal(err.text, "couldn't parse timestamp 9:00, invalid format");
    assert_false(interval_parse_times(STR("09:00"), STR("24:01"), &r, &err));
    assert_false(interval_parse_times(STR("09:00"), STR("09:00"), &r, &err));
    assert_string_equal(err.text, "start time cannot be equal or greater than end time");
    assert_false(interval_parse_times(STR(""), STR("09:00"), &r, &err));
    assert_string_equal(err.text, "both start and end times must be provided");
}

static void texts_round_trip(void **state)
{
    (void)state;
    struct interval_range r;
    struct err err = { 0 };
    struct buf b = { 0 };
    assert_true(interval_parse_weekdays(STR("Monday:FRIDAY"), &r, &err));
    interval_write_weekdays(&b, r);
    assert_true(interval_parse_weekdays(STR("sunday"), &r, &err));
    buf_byte(&b, ' ');
    interval_write_weekdays(&b, r);
    assert_true(interval_parse_months(STR("january:3"), &r, &err));
    buf_byte(&b, ' ');
    interval_write_numbers(&b, r);
    assert_true(interval_parse_days_of_month(STR("-3:-1"), &r, &err));
    buf_byte(&b, ' ');
    interval_write_numbers(&b, r);
    assert_true(interval_parse_times(STR("09:05"), STR("24:00"), &r, &err));
    buf_byte(&b, ' ');
    interval_write_minute(&b, r.begin);
    buf_byte(&b, '-');
    interval_write_minute(&b, r.end);
    assert_string_equal(b.p, "monday:friday sunday 1:3 -3:-1 09:05-24:00");
    buf_deinit(&b);
}

static void absent_allows_all_and_empty_allows_none(void **state)
{
    (void)state;
    struct time_interval iv = { 0 };
    assert_true(time_interval_contains(&iv, 0));
    iv.years.present = true;
    assert_false(time_interval_contains(&iv, 0));
}

static bool on_day(struct interval_range r, int64_t unix_s)
{
    struct time_interval iv = { .days_of_month = { &r, 1, true } };
    return time_interval_contains(&iv, unix_s);
}

static void days_count_from_both_ends_of_the_month(void **state)
{
    (void)state;
    const int64_t feb_28 = 1709078400, feb_29 = 1709164800, mar_1 = 1709251200; /* 2024 */
    assert_true(on_day((struct interval_range){ -1, -1 }, feb_29));
    assert_false(on_day((struct interval_range){ -1, -1 }, feb_28));
    assert_true(on_day((struct interval_range){ 28, 31 }, feb_29));
    assert_false(on_day((struct interval_range){ 30, 31 }, feb_29)); /* begins after the month: skipped */
    assert_true(on_day((struct interval_range){ -31, -31 + 2 }, mar_1));
    assert_false(on_day((struct interval_range){ -31, -30 }, feb_28 - 27 * 86400));
}

static void the_zone_decides_what_day_it_is(void **state)
{
    (void)state;
    struct interval_range sunday = { 0, 0 }, hour = { 0, 60 };
    struct time_interval iv = { .weekdays = { &sunday, 1, true }, .times = { &hour, 1, true },
                                .zone = zone_fixed(STR("X"), 3600) };
    const int64_t sunday_midnight_utc = 1704585600; /* 2024-01-07 */
    assert_false(time_interval_contains(&iv, sunday_midnight_utc));
    assert_true(time_interval_contains(&iv, sunday_midnight_utc - 3600));
    assert_true(time_interval_contains(&iv, sunday_midnight_utc - 1));
    assert_false(time_interval_contains(&iv, sunday_midnight_utc - 3601));
    time_interval_deinit(&iv);
    assert_null(iv.zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_upstreams),
        cmocka_unit_test(texts_round_trip),
        cmocka_unit_test(absent_allows_all_and_empty_allows_none),
        cmocka_unit_test(days_count_from_both_ends_of_the_month),
        cmocka_unit_test(the_zone_decides_what_day_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
