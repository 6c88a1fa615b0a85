/* Durations as text: both dialects, their errors, their printed forms. Go's side was compared with Go's time package. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/duration.h"

static void prometheus_texts_parse_and_print(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
        const char *printed;
    } cases[] = {
        { "0", 0, "0s" },           { "90s", 90000, "1m30s" },
        { "8d", 691200000, "8d" },  { "14d", 1209600000, "2w" },
        { "1y1d", 31622400000, "366d" }, { "1w1d1h1m1s1ms", 694861001, "8d1h1m1s1ms" },
        { "292y", INT64_C(9208512000000), "292y" }, { "9223372036854ms", DURATION_MS_MAX, "106751d23h47m16s854ms" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        int64_t ms = -1;
        assert_true(duration_parse(str_c(cases[i].text), &ms, &err));
        assert_int_equal(ms, cases[i].ms);
        struct buf b = { 0 };
        duration_write(&b, ms);
        assert_string_equal(b.p, cases[i].printed);
        buf_deinit(&b);
    }
}

static void prometheus_errors_name_the_text(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "empty duration string" },
        { "5", "not a valid duration string: \"5\"" },
        { "1s1m", "not a valid duration string: \"1s1m\"" },
        { "1h1h", "not a valid duration string: \"1h1h\"" },
        { "-1m", "not a valid duration string: \"-1m\"" },
        { "99999999999999999999s", "not a valid duration string: \"99999999999999999999s\"" },
        { "1.5h", "unknown unit \".\" in duration \"1.5h\"" },
        { "1M", "unknown unit \"M\" in duration \"1M\"" },
        { "293y", "duration out of range" },
        { "9223372036855ms", "duration out of range" },
        { "292y200d", "duration out of range" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        int64_t ms = 7;
        assert_false(duration_parse(str_c(cases[i][0]), &ms, &err));
        assert_string_equal(err.text, cases[i][1]);
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(ms, 7);
    }
}

static void a_sign_is_taken_where_it_is_allowed(void **state)
{
    (void)state;
    struct err err = { 0 };
    int64_t ms;
    assert_true(duration_parse_signed(STR("-1m30s"), &ms, &err));
    assert_int_equal(ms, -90000);
    struct buf b = { 0 };
    duration_write(&b, ms);
    assert_string_equal(b.p, "-1m30s");
    buf_deinit(&b);
}

static void go_texts_parse_and_print(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
        const char *printed;
    } cases[] = {
        { "0", 0, "0s" }, { "+5s", 5000000000, "5s" }, { "3h30m", 12600000000000, "3h30m0s" },
        { "1.5s", 1500000000, "1.5s" }, { "100ms", 100000000, "100ms" }, { "1500us", 1500000, "1.5ms" },
        { "7ns", 7, "7ns" }, { "1.5\xC2\xB5s", 1500, "1.5\xC2\xB5s" }, { "-.5m", -30000000000, "-30s" },
        { "0.3333333333333333333h", 1200000000000, "20m0s" },
        { "-2562047h47m16.854775808s", INT64_MIN, "-2562047h47m16.854775808s" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        int64_t ns = -1;
        if (!go_duration_parse(str_c(cases[i].text), &ns, &err))
            fail_msg("%s", err.text);
        assert_int_equal(ns, cases[i].ns);
        struct buf b = { 0 };
        go_duration_write(&b, ns);
        assert_string_equal(b.p, cases[i].printed);
        buf_deinit(&b);
    }
}

static void go_errors_are_gos(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "time: invalid duration \"\"" },
        { "5", "time: missing unit in duration \"5\"" },
        { "1d", "time: unknown unit \"d\" in duration \"1d\"" },
        { ".s", "time: invalid duration \".s\"" },
        { "1\xC3\xA9", "time: unknown unit \"\\xc3\\xa9\" in duration \"1\\xc3\\xa9\"" },
        { "2562047h47m16.854775808s", "time: invalid duration \"2562047h47m16.854775808s\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        int64_t ns;
        assert_false(go_duration_parse(str_c(cases[i][0]), &ns, &err));
        assert_string_equal(err.text, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prometheus_texts_parse_and_print),
        cmocka_unit_test(prometheus_errors_name_the_text),
        cmocka_unit_test(a_sign_is_taken_where_it_is_allowed),
        cmocka_unit_test(go_texts_parse_and_print),
        cmocka_unit_test(go_errors_are_gos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
