#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/rng.h"

static const char *nano(struct wire_time t, int32_t offset_s)
{
    static struct buf b;
    buf_deinit(&b);
    rfc3339_write_nano(&b, t, offset_s);
    return b.p;
}

static void civil_dates_agree_with_a_day_by_day_walk(void **state)
{
    (void)state;
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int year = 1600, month = 1, day = 1, weekday = 6, yearday = 1; /* a Saturday */
    for (int64_t d = -135140; year < 2401; d++) {
        struct civil c;
        civil_from_unix(d * 86400 + 3723, 5, 0, &c);
        if (c.year != year || c.month != month || c.day != day || c.weekday != weekday || c.yearday != yearday)
            fail_msg("day %lld", (long long)d);
        assert_int_equal(c.hour * 3600 + c.minute * 60 + c.second, 3723);
        assert_true(civil_to_unix(&c) == d * 86400 + 3723);
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        weekday = (weekday + 1) % 7;
        yearday++;
        if (++day > lengths[month - 1] + (month == 2 && leap)) {
            day = 1;
            if (++month > 12) {
                month = 1;
                yearday = 1;
                year++;
            }
        }
    }
}

static void out_of_range_fields_carry_over(void **state)
{
    (void)state;
    struct civil c = { .year = 2023, .month = 14, .day = 0 }, got;
    civil_from_unix(civil_to_unix(&c), 0, 0, &got);
    assert_int_equal(got.year, 2024);
    assert_int_equal(got.month, 1);
    assert_int_equal(got.day, 31);
    c = (struct civil){ .year = 2023, .month = 0, .day = 1 };
    civil_from_unix(civil_to_unix(&c), 0, 0, &got);
    assert_int_equal(got.year, 2022);
    assert_int_equal(got.month, 12);
}

static void offsets_move_the_civil_time_only(void **state)
{
    (void)state;
    struct civil c;
    civil_from_unix(0, 0, -5 * 3600, &c);
    assert_int_equal(c.year, 1969);
    assert_int_equal(c.hour, 19);
    assert_int_equal(civil_to_unix(&c), 0);
}

static void rfc3339_is_written_as_go_does(void **state)
{
    (void)state;
    assert_string_equal(nano((struct wire_time){ 0, 0 }, 0), "1970-01-01T00:00:00Z");
    assert_string_equal(nano((struct wire_time){ 1767323045, 678000000 }, 0), "2026-01-02T03:04:05.678Z");
    assert_string_equal(nano((struct wire_time){ 1767323045, 1 }, 3600), "2026-01-02T04:04:05.000000001+01:00");
    assert_string_equal(nano((struct wire_time){ 1767323045, 120000000 }, -12600), "2026-01-01T23:34:05.12-03:30");
    assert_string_equal(nano(WIRE_TIME_ZERO, 0), "0001-01-01T00:00:00Z");
    struct buf b = { 0 };
    rfc3339_write_ms(&b, (struct wire_time){ -1, 999999999 });
    assert_string_equal(b.p, "1969-12-31T23:59:59.999Z");
    buf_deinit(&b);
}

static void rfc3339_is_read_as_go_does(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t s;
        int32_t ns, offset;
    } good[] = {
        { "2026-01-02T03:04:05Z", 1767323045, 0, 0 },
        { "2026-01-02T03:04:05.678Z", 1767323045, 678000000, 0 },
        { "2026-01-02T03:04:05.1234567899Z", 1767323045, 123456789, 0 },
        { "2026-01-02T04:04:05+01:00", 1767323045, 0, 3600 },
        { "2026-01-01T23:34:05-03:30", 1767323045, 0, -12600 },
        { "0001-01-01T00:00:00Z", -62135596800, 0, 0 },
        { "2024-02-29T00:00:00Z", 1709164800, 0, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct wire_time t;
        int32_t offset;
        assert_true(rfc3339_parse(str_c(good[i].text), &t, &offset));
        assert_true(t.s == good[i].s);
        assert_int_equal(t.ns, good[i].ns);
        assert_int_equal(offset, good[i].offset);
    }
    static const char *const bad[] = {
        "",
        "2026-01-02",
        "2026-01-02 03:04:05Z",
        "2026-01-02t03:04:05Z",
        "2026-01-02T03:04:05z",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05.Z",
        "2026-13-02T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:05Z",
        "2026-01-02T03:04:60Z",
        "2026-01-02T03:04:05+0100",
        "2026-01-02T03:04:05+25:00",
        "2026-01-02T03:04:05Zx",
        "26-01-02T03:04:05Z",
        "2026-00-02T03:04:05Z",
        "2026-01-00T03:04:05Z",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct wire_time t;
        if (rfc3339_parse(str_c(bad[i]), &t, NULL))
            fail_msg("%s", bad[i]);
    }
}

static void milliseconds_floor_and_saturate(void **state)
{
    (void)state;
    assert_true(wire_time_to_ms((struct wire_time){ -1, 999999999 }) == -1);
    assert_true(wire_time_to_ms((struct wire_time){ INT64_MAX, 0 }) == INT64_MAX);
    assert_true(wire_time_to_ms((struct wire_time){ INT64_MIN, 0 }) == INT64_MIN);
    struct wire_time t = wire_time_from_ms(-1);
    assert_int_equal(t.s, -1);
    assert_int_equal(t.ns, 999000000);
}

static void arithmetic_is_inverse(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 6);
    for (int i = 0; i < 10000; i++) {
        struct wire_time t = { (int64_t)rng_below(&rng, 8000000000) - 4000000000, (int32_t)rng_below(&rng, 1000000000) };
        int64_t ns = (int64_t)rng_u64(&rng) >> rng_below(&rng, 40);
        struct wire_time u = wire_time_add_ns(t, ns);
        assert_true(u.ns >= 0 && u.ns < 1000000000);
        assert_true(wire_time_sub_ns(u, t) == ns);
        assert_int_equal(wire_time_cmp(u, t), ns < 0 ? -1 : ns > 0);
        int64_t ms = ns / 1000000;
        assert_true(wire_time_sub_ns(wire_time_add_ms(t, ms), t) == ms * 1000000);
    }
    assert_true(wire_time_sub_ns((struct wire_time){ INT64_MAX, 0 }, WIRE_TIME_ZERO) == INT64_MAX);
    assert_true(mono_add(MONO_NEVER, 5).ms == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(civil_dates_agree_with_a_day_by_day_walk),
        cmocka_unit_test(out_of_range_fields_carry_over),
        cmocka_unit_test(offsets_move_the_civil_time_only),
        cmocka_unit_test(rfc3339_is_written_as_go_does),
        cmocka_unit_test(rfc3339_is_read_as_go_does),
        cmocka_unit_test(milliseconds_floor_and_saturate),
        cmocka_unit_test(arithmetic_is_inverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
