#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/num.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static void check_form(double v, char fmt, int precision, const char *want)
{
    struct buf b = { 0 };
    num_write_f64(&b, v, fmt, precision);
    assert_string_equal(b.p, want);
    buf_deinit(&b);
}

static void shortest_forms_are_gos(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *g, *e, *f;
    } cases[] = {
        { 0, "0", "0e+00", "0" },
        { -0.0, "-0", "-0e+00", "-0" },
        { 1, "1", "1e+00", "1" },
        { 100000, "100000", "1e+05", "100000" },
        { 1e6, "1e+06", "1e+06", "1000000" },
        { 123456.5, "123456.5", "1.234565e+05", "123456.5" },
        { 123456789, "1.23456789e+08", "1.23456789e+08", "123456789" },
        { 0.0001, "0.0001", "1e-04", "0.0001" },
        { 0.00001, "1e-05", "1e-05", "0.00001" },
        { 0.1 + 0.2, "0.30000000000000004", "3.0000000000000004e-01", "0.30000000000000004" },
        { 1e23, "1e+23", "1e+23", "100000000000000000000000" },
        { 5e-324, "5e-324", "5e-324", NULL },
        { 2.2250738585072014e-308, "2.2250738585072014e-308", "2.2250738585072014e-308", NULL },
        { 1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308", NULL },
        { 9007199254740992, "9.007199254740992e+15", "9.007199254740992e+15", "9007199254740992" },
        { 0x1p-44, "5.684341886080802e-14", "5.684341886080802e-14", NULL }, /* a power of two: uneven interval */
        { (double)NAN, "NaN", "NaN", "NaN" },
        { HUGE_VAL, "+Inf", "+Inf", "+Inf" },
        { -HUGE_VAL, "-Inf", "-Inf", "-Inf" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check_form(cases[i].v, 'g', -1, cases[i].g);
        check_form(cases[i].v, 'e', -1, cases[i].e);
        if (cases[i].f)
            check_form(cases[i].v, 'f', -1, cases[i].f);
        char out[NUM_F64_MAX];
        size_t n = num_format_f64(out, cases[i].v);
        assert_true(str_eq(str_of(out, n), str_c(cases[i].g)));
    }
    check_form(1e-7, 'G', -1, "1E-07");
}

static void given_precisions_round_half_to_even(void **state)
{
    (void)state;
    check_form(2.5, 'f', 0, "2");
    check_form(3.5, 'f', 0, "4");
    check_form(1234.5678, 'f', 2, "1234.57");
    check_form(1234.5678, 'e', 3, "1.235e+03");
    check_form(1234.5678, 'g', 3, "1.23e+03");
    check_form(0.1, 'f', 20, "0.10000000000000000555");
    check_form(100000, 'g', 3, "1e+05");
}

static void json_floats_change_form_where_gos_encoder_does(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *want;
    } cases[] = {
        { 0, "0" },        { 1e20, "100000000000000000000" }, { 1e21, "1e+21" }, { 1e-6, "0.000001" },
        { 1e-7, "1e-7" },  { -1.5e-9, "-1.5e-9" },            { 1e-10, "1e-10" }, { 1e-100, "1e-100" },
        { -0.0, "-0" },    { 3.14, "3.14" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = { 0 };
        num_write_json_f64(&b, cases[i].v);
        assert_string_equal(b.p, cases[i].want);
        buf_deinit(&b);
    }
}

static void plain_is_f_in_the_middle_and_e_outside(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 12);
    static const double edges[] = { 0, -0.0, 1, -1, 0.1, 1e-6, 9.99e-7, 1e15, 1e15 - 1, 1e15 + 0.5, 1e20, 1e21, 5e-324, 123456.5 };
    for (size_t i = 0; i < 40000; i++) {
        double v = i < ARRAY_LEN(edges) ? edges[i] : double_of(rng_u64(&rng));
        if (i >= ARRAY_LEN(edges) && i % 2)
            v = (double)(int64_t)rng_below(&rng, 1000000000) / 1000; /* what samples are like */
        char text[NUM_PLAIN_MAX];
        struct buf b = { 0 };
        bool plain = v == 0 || (fabs(v) >= 1e-6 && fabs(v) < 1e21);
        num_write_f64(&b, v, plain ? 'f' : 'e', -1);
        assert_true(str_eq(str_of(text, (size_t)(num_put_plain(text, v) - text)), buf_view(&b)));
        buf_deinit(&b);
    }
}

/* What is written reads back as the same bits, and no shorter text does. */
static void shortest_is_exact_and_shortest(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 11);
    for (int i = 0; i < 40000; i++) {
        uint64_t bits = rng_u64(&rng);
        if (i % 4 == 0)
            bits >>= 12 + rng_below(&rng, 50); /* subnormals */
        double v = fabs(double_of(bits)), back;
        if (isnan(v) || isinf(v))
            continue;
        struct buf b = { 0 };
        num_write_f64(&b, v, 'e', -1);
        assert_true(num_parse_f64(buf_view(&b), &back, NULL));
        assert_true(bits_of(back) == bits_of(v));
        size_t mark = str_find_byte(buf_view(&b), 'e');
        if (mark > 1) {
            char shorter[40];
            snprintf(shorter, sizeof shorter, "%.*e", (int)mark - 3, v);
            assert_true(num_parse_f64(str_c(shorter), &back, NULL));
            assert_true(bits_of(back) != bits_of(v));
        }
        buf_deinit(&b);
    }
}

static void floats_parse_to_the_nearest_double(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bits;
    } cases[] = {
        { "0", 0 },
        { "-0", 0x8000000000000000 },
        { "1", 0x3ff0000000000000 },
        { "+.5", 0x3fe0000000000000 },
        { "5.", 0x4014000000000000 },
        { "1e23", 0x44b52d02c7e14af6 },
        { "9007199254740993", 0x4340000000000000 },                                /* half-way, to even */
        { "9007199254740993.00000000000000000000000000000000000001", 0x4340000000000001 }, /* just above */
        { "2.2250738585072011e-308", 0x000fffffffffffff },
        { "2.4703282292062327208e-324", 0 },
        { "2.4703282292062328e-324", 1 },
        { "1.7976931348623158e308", 0x7fefffffffffffff },
        { "0.0000000000000000000000000000000000000000000000000000001e55", 0x3ff0000000000000 },
        { "10000000000000000000000000000000000000000e-40", 0x3ff0000000000000 },
        { "0e999999999999999999999", 0 },
        { "1e-99999999999", 0 },
        { "0x1p-2", 0x3fd0000000000000 },
        { "-0X1.8P1", 0xc008000000000000 },
        { "0x1.fffffffffffff8p0", 0x4000000000000000 },
        { "0x1p-1074", 1 },
        { "0x1p-1075", 0 },
        { "0x1.8p-1075", 1 },
        { "inf", 0x7ff0000000000000 },
        { "-Infinity", 0xfff0000000000000 },
        { "nAn", 0x7ff8000000000001 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double v = 42;
        bool range = true;
        assert_true(num_parse_f64(str_c(cases[i].text), &v, &range));
        assert_true(bits_of(v) == cases[i].bits);
        assert_false(range);
    }
}

static void what_is_no_float_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = { "",    "+",   ".",    "e5",   "1e",   "1e+",   "1.2.3", " 1",  "1 ",
                                         "1_0", "0x1", "0xp1", "0x1p", "+nan", "infin", "1e5x",  "--1", "0x1.2.3p1" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        double v = 42;
        bool range;
        assert_false(num_parse_f64(str_c(texts[i]), &v, &range));
        assert_false(range);
        assert_true(v > 41 && v < 43);
    }
}

static void too_large_is_infinite_and_says_so(void **state)
{
    (void)state;
    static const char *const texts[] = { "1e309", "-1e309", "1.7976931348623159e308", "0x1p1024", "1e99999999999" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        double v = 0;
        bool range;
        assert_false(num_parse_f64(str_c(texts[i]), &v, &range));
        assert_true(range);
        assert_true(isinf(v));
        assert_int_equal(v < 0, texts[i][0] == '-');
    }
}

static void integers_parse_in_full_range_and_not_beyond(void **state)
{
    (void)state;
    int64_t i;
    uint64_t u;
    assert_true(num_parse_i64(STR("-9223372036854775808"), 10, &i));
    assert_true(i == INT64_MIN);
    assert_true(num_parse_i64(STR("+9223372036854775807"), 10, &i));
    assert_true(i == INT64_MAX);
    assert_false(num_parse_i64(STR("9223372036854775808"), 10, &i));
    assert_false(num_parse_i64(STR("-9223372036854775809"), 10, &i));
    assert_true(num_parse_u64(STR("18446744073709551615"), 10, &u));
    assert_true(u == UINT64_MAX);
    assert_false(num_parse_u64(STR("18446744073709551616"), 10, &u));
    assert_true(num_parse_u64(STR("ff"), 16, &u));
    assert_int_equal(u, 255);
    const char *const bad[] = { "", "-", "+", "1a", " 1", "1 ", "--1", "1_0", "0x10" };
    for (size_t k = 0; k < ARRAY_LEN(bad); k++)
        assert_false(num_parse_i64(str_c(bad[k]), 10, &i));
    assert_false(num_parse_u64(STR("+1"), 10, &u));
}

static void base_zero_reads_go_literals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } good[] = { { "0x_1F", 31 }, { "0b101", 5 }, { "0o17", 15 }, { "017", 15 }, { "0_10", 8 },
                 { "1_000", 1000 }, { "-0X10", -16 }, { "0", 0 } };
    int64_t v;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(num_parse_i64(str_c(good[i].text), 0, &v));
        assert_int_equal(v, good[i].want);
    }
    const char *const bad[] = { "_1", "1_", "1__0", "0x", "0x_", "08", "0b2", "0_" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(num_parse_i64(str_c(bad[i]), 0, &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shortest_forms_are_gos),
        cmocka_unit_test(given_precisions_round_half_to_even),
        cmocka_unit_test(json_floats_change_form_where_gos_encoder_does),
        cmocka_unit_test(plain_is_f_in_the_middle_and_e_outside),
        cmocka_unit_test(shortest_is_exact_and_shortest),
        cmocka_unit_test(floats_parse_to_the_nearest_double),
        cmocka_unit_test(what_is_no_float_is_refused),
        cmocka_unit_test(too_large_is_infinite_and_says_so),
        cmocka_unit_test(integers_parse_in_full_range_and_not_beyond),
        cmocka_unit_test(base_zero_reads_go_literals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
