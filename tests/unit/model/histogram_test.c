/* Native histograms: bounds, walks, text, arithmetic, resets, checks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "model/histogram.h"
#include "model/sample.h"

#include <float.h>
#include <math.h>

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

/* A side from (index, count) pairs, one span each. */
static struct float_side side(size_t n, const double pairs[][2])
{
    struct histogram_span *spans = arena_alloc_array(&arena, n + 1, sizeof *spans);
    struct float_side s = { .spans = spans, .spans_count = n, .buckets_count = n };
    s.buckets = arena_alloc_array(&arena, n + 1, sizeof *s.buckets);
    int32_t end = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t index = (int32_t)pairs[i][0];
        spans[i] = (struct histogram_span){ index - end, 1 };
        s.buckets[i] = pairs[i][1];
        end = index + 1;
    }
    return s;
}
#define SIDE(...)                                                                                  \
    side(sizeof((const double[][2]){ __VA_ARGS__ }) / sizeof(double[2]), (const double[][2]){ __VA_ARGS__ })

static void text_is(const struct float_histogram *h, const char *want)
{
    struct buf b = { 0 };
    float_histogram_write(&b, h);
    assert_string_equal(b.p, want);
    buf_deinit(&b);
}

static void bounds_are_those_of_prometheus(void **state)
{
    (void)state;
    assert_true(histogram_bound(0, 0, NULL, 0) == 1);
    assert_true(histogram_bound(0, 3, NULL, 0) == 8);
    assert_true(histogram_bound(-4, 1, NULL, 0) == 65536);
    assert_true(histogram_bound(-4, -2, NULL, 0) == 0x1p-32);
    assert_true(histogram_bound(1, 1, NULL, 0) == 1.414213562373095); /* not the nearest double of the root of 2 */
    assert_true(histogram_bound(8, -255, NULL, 0) == 0x1.00b1afa5abcbfp-1);
    assert_true(histogram_bound(0, 1024, NULL, 0) == DBL_MAX);
    assert_true(isinf(histogram_bound(0, 1025, NULL, 0)));
    assert_true(histogram_bound(8, 1024 * 256, NULL, 0) == DBL_MAX);
    assert_true(histogram_bound(-4, 64, NULL, 0) == DBL_MAX);
    assert_true(histogram_bound(-4, -1000, NULL, 0) == 0);
    const double bounds[] = { -1, 5 };
    assert_true(histogram_bound(HISTOGRAM_SCHEMA_CUSTOM, 1, bounds, 2) == 5);
    assert_true(isinf(histogram_bound(HISTOGRAM_SCHEMA_CUSTOM, 2, bounds, 2)));
    assert_true(isinf(histogram_bound(HISTOGRAM_SCHEMA_CUSTOM, -1, bounds, 2)));
}

static struct float_histogram two_sided(void)
{
    return (struct float_histogram){
        .zero_threshold = 0.6, .zero_count = 2, .count = 12, .sum = 18.4,
        .positive = SIDE({ 0, 4 }, { 1, 0 }, { 3, 1 }), .negative = SIDE({ 0, 3 }, { 2, 2 }),
    };
}

static void walks_go_both_ways_and_mind_the_zero_bucket(void **state)
{
    (void)state;
    struct float_histogram h = two_sided();
    static const struct {
        double lower, upper, count;
        int32_t index;
    } want[] = { { -4, -2, 2, 2 }, { -1, -0.6, 3, 0 }, { -0.6, 0.6, 2, 0 }, { 0.6, 1, 4, 0 }, { 1, 2, 0, 1 }, { 4, 8, 1, 3 } };
    for (int descending = 0; descending < 2; descending++) {
        struct histogram_walk w;
        struct histogram_bucket b;
        histogram_walk_start(&w, &h, descending);
        size_t n = 0;
        for (; histogram_walk_next(&w, &b); n++) {
            size_t i = descending ? ARRAY_LEN(want) - 1 - n : n;
            assert_true(b.lower == want[i].lower && b.upper == want[i].upper && b.count == want[i].count);
            assert_int_equal(b.index, want[i].index);
        }
        assert_int_equal(n, ARRAY_LEN(want));
        assert_false(histogram_walk_next(&w, &b));
    }
}

static void text_shows_populated_buckets(void **state)
{
    (void)state;
    struct float_histogram h = two_sided();
    text_is(&h, "{count:12, sum:18.4, [-4,-2):2, [-1,-0.5):3, [-0.6,0.6]:2, (0.5,1]:4, (4,8]:1}");
    const double bounds[] = { -1, 5 };
    struct float_histogram custom = { .schema = HISTOGRAM_SCHEMA_CUSTOM, .count = 6, .sum = 1e21,
                                      .positive = SIDE({ 0, 1 }, { 1, 2 }, { 2, 3 }),
                                      .custom_values = bounds, .custom_values_count = 2 };
    text_is(&custom, "{count:6, sum:1e+21, [-Inf,-1]:1, (-1,5]:2, (5,+Inf]:3}");
    struct histogram_span span = { 0, 2 };
    int64_t deltas[] = { 1, 1 };
    struct int_histogram ints = { .count = 4, .zero_count = 1, .zero_threshold = 0.001, .sum = 2,
                                  .positive = { &span, 1, deltas, 2 } };
    struct buf b = { 0 };
    int_histogram_write(&b, &ints);
    assert_string_equal(b.p, "{count:4, sum:2, [-0.001,0.001]:1, (0.5,1]:1, (1,2]:2}");
    buf_deinit(&b);
}

static void equal_layouts_add_in_place(void **state)
{
    (void)state;
    struct float_histogram h = two_sided(), other = two_sided();
    struct histogram_notes notes;
    double *buckets = h.positive.buckets;
    assert_true(float_histogram_add(&arena, &h, &other, &notes));
    assert_ptr_equal(h.positive.buckets, buckets);
    text_is(&h, "{count:24, sum:36.8, [-4,-2):4, [-1,-0.5):6, [-0.6,0.6]:4, (0.5,1]:8, (4,8]:2}");
    assert_true(float_histogram_sub(&arena, &h, &other, &notes));
    assert_true(float_histogram_eq(&h, &other));
}

static void other_layouts_and_schemas_meet_at_the_lower(void **state)
{
    (void)state;
    struct float_histogram h = { .schema = 1, .count = 6, .sum = 1, .positive = SIDE({ 1, 1 }, { 2, 2 }, { 3, 3 }) };
    struct float_histogram other = { .schema = 0, .count = 15, .sum = 2, .positive = SIDE({ -1, 4 }, { 1, 5 }, { 7, 6 }) };
    assert_true(float_histogram_add(&arena, &h, &other, NULL));
    assert_int_equal(h.schema, 0);
    text_is(&h, "{count:21, sum:3, (0.25,0.5]:4, (1,2]:8, (2,4]:3, (64,128]:6}");
    assert_int_equal(h.positive.spans_count, 3);
    assert_int_equal(h.positive.spans[1].offset, 1);
    assert_int_equal(h.positive.spans[1].length, 2);
}

static void zero_thresholds_are_raised_past_populated_buckets(void **state)
{
    (void)state;
    struct float_histogram h = { .zero_threshold = 1e-3, .zero_count = 1, .count = 10,
                                 .positive = SIDE({ 0, 2 }, { 1, 3 }), .negative = SIDE({ 2, 4 }) };
    struct float_histogram other = { .zero_threshold = 0.6, .zero_count = 5, .count = 7, .positive = SIDE({ 2, 2 }) };
    assert_true(float_histogram_add(&arena, &h, &other, NULL));
    text_is(&h, "{count:17, sum:0, [-4,-2):4, [-1,1]:8, (1,2]:3, (2,4]:2}");
    /* A bucket that is there but empty does not push the threshold. */
    struct float_histogram empty = { .zero_threshold = 1e-3, .positive = SIDE({ 0, 0 }, { 1, 3 }) };
    struct float_histogram wide = { .zero_threshold = 0.6 };
    assert_true(float_histogram_add(&arena, &empty, &wide, NULL));
    assert_true(empty.zero_threshold == 0.6);
}

static void custom_bounds_are_intersected(void **state)
{
    (void)state;
    const double x[] = { 1, 2, 3, 5 }, y[] = { 2, 4, 5 };
    struct float_histogram h = { .schema = HISTOGRAM_SCHEMA_CUSTOM, .count = 15, .custom_values = x, .custom_values_count = 4,
                                 .positive = SIDE({ 0, 1 }, { 1, 2 }, { 2, 3 }, { 3, 4 }, { 4, 5 }) };
    struct float_histogram other = { .schema = HISTOGRAM_SCHEMA_CUSTOM, .count = 100, .custom_values = y,
                                     .custom_values_count = 3, .positive = SIDE({ 0, 10 }, { 1, 20 }, { 3, 70 }) };
    struct histogram_notes notes;
    struct float_histogram before;
    float_histogram_copy(&arena, &h, &before);
    assert_true(float_histogram_add(&arena, &h, &other, &notes));
    assert_true(notes.bounds_reconciled);
    text_is(&h, "{count:115, sum:0, [-Inf,2]:13, (2,5]:27, (5,+Inf]:75}");
    struct float_histogram exponential = two_sided();
    assert_false(float_histogram_add(&arena, &before, &exponential, &notes));
    assert_true(before.count == 15);
}

static void hints_are_joined(void **state)
{
    (void)state;
    static const struct {
        enum counter_reset_hint x, y, want;
        bool collision;
    } cases[] = {
        { RESET_NO, RESET_NO, RESET_NO, false },          { RESET_GAUGE, RESET_YES, RESET_GAUGE, false },
        { RESET_UNKNOWN, RESET_YES, RESET_UNKNOWN, false }, { RESET_NO, RESET_YES, RESET_UNKNOWN, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct float_histogram x = two_sided(), y = two_sided();
        struct histogram_notes notes;
        x.hint = cases[i].x;
        y.hint = cases[i].y;
        assert_true(float_histogram_add(&arena, &x, &y, &notes));
        assert_int_equal(x.hint, cases[i].want);
        assert_int_equal(notes.reset_collision, cases[i].collision);
    }
}

static void compensation_keeps_what_rounding_loses(void **state)
{
    (void)state;
    struct float_histogram h = { .zero_threshold = 0.001, .count = 1e16, .zero_count = 1e16, .sum = 1e16,
                                 .positive = SIDE({ 1, 1e16 }) };
    struct float_histogram one = { .schema = 1, .zero_threshold = 0.001, .count = 1, .zero_count = 1, .sum = 1,
                                   .positive = SIDE({ 1, 1 }, { 3, 1 }) };
    struct float_histogram c;
    float_histogram_kahan_init(&arena, &h, &c);
    for (int i = 0; i < 10; i++)
        assert_true(float_histogram_kahan_add(&arena, &h, &c, &one, NULL));
    float_histogram_kahan_finish(&h, &c);
    text_is(&h, "{count:1.000000000000001e+16, sum:1.000000000000001e+16, [-0.001,0.001]:1.000000000000001e+16, "
                "(1,2]:1.000000000000001e+16, (2,4]:10}");
}

static void scaling_by_a_negative_number_makes_a_gauge(void **state)
{
    (void)state;
    struct float_histogram h = two_sided();
    float_histogram_mul(&h, -0.5);
    assert_int_equal(h.hint, RESET_GAUGE);
    assert_true(h.count == -6 && h.positive.buckets[0] == -2);
    h = two_sided();
    float_histogram_div(&h, 0);
    assert_int_equal(h.hint, RESET_UNKNOWN);
    assert_true(isinf(h.count));
    assert_int_equal(h.positive.buckets_count + h.negative.spans_count, 0);
}

static void compacting_drops_empty_buckets_and_joins_spans(void **state)
{
    (void)state;
    struct float_histogram h = two_sided();
    struct float_side packed = SIDE({ -3, 0 }, { -2, 1 }, { -1, 2 }, { 0, 0 }, { 5, 3 }, { 6, 0 });
    h.positive = packed;
    float_histogram_compact(&arena, &h);
    assert_int_equal(h.positive.spans_count, 2);
    assert_int_equal(h.positive.spans[0].offset, -2);
    assert_int_equal(h.positive.spans[0].length, 2);
    assert_int_equal(h.positive.spans[1].offset, 5);
    assert_int_equal(h.positive.buckets_count, 3);
}

static void int_and_float_forms_reduce_alike(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < 200; round++) {
        struct histogram_span spans[4] = { { (int32_t)rng_below(&rng, 40) - 20, (uint32_t)rng_below(&rng, 5) } };
        for (size_t i = 1; i < ARRAY_LEN(spans); i++)
            spans[i] = (struct histogram_span){ (int32_t)rng_below(&rng, 4), (uint32_t)rng_below(&rng, 5) };
        int64_t deltas[16], count = 0, total = 0;
        size_t n = 0;
        for (size_t i = 0; i < ARRAY_LEN(spans); i++)
            for (uint32_t k = 0; k < spans[i].length; k++) {
                int64_t next = (int64_t)rng_below(&rng, 9);
                deltas[n++] = next - count;
                total += count = next;
            }
        struct int_histogram ints = { .schema = 3, .count = (uint64_t)total, .positive = { spans, 4, deltas, n } };
        struct err err = { 0 };
        assert_true(int_histogram_check(&ints, &err));
        int32_t to = (int32_t)rng_below(&rng, 6) - 2;
        struct float_histogram floats, expected;
        float_histogram_from_int(&arena, &ints, &floats);
        float_histogram_reduce(&arena, &floats, to);
        int_histogram_reduce(&arena, &ints, to);
        assert_true(int_histogram_check(&ints, &err));
        float_histogram_from_int(&arena, &ints, &expected);
        assert_true(float_histogram_eq(&floats, &expected));
        struct int_histogram copy;
        int_histogram_copy(&arena, &ints, &copy);
        assert_true(int_histogram_eq(&ints, &copy));
    }
}

static bool is_reset(struct float_histogram cur, struct float_histogram prev)
{
    return float_histogram_is_reset(&arena, &cur, &prev);
}

static void resets_are_seen(void **state)
{
    (void)state;
    struct float_histogram base = { .zero_threshold = 0.001, .zero_count = 1, .count = 10,
                                    .positive = SIDE({ 1, 4 }, { 2, 5 }) };
    assert_false(is_reset(base, base));
    struct float_histogram cur = base;
    cur.hint = RESET_YES;
    assert_true(is_reset(cur, base));
    cur = base;
    cur.count = 9;
    assert_true(is_reset(cur, base));
    cur.hint = RESET_NO;
    assert_false(is_reset(cur, base));
    cur = base;
    cur.positive = SIDE({ 1, 9 });
    assert_true(is_reset(cur, base)); /* bucket 2 is gone */
    struct float_histogram with_empty = base;
    with_empty.positive = SIDE({ 1, 4 }, { 2, 0 });
    with_empty.count = 5;
    cur.positive = SIDE({ 1, 4 });
    assert_false(is_reset(cur, with_empty)); /* an empty one may go */
    cur = base;
    cur.schema = 1;
    assert_true(is_reset(cur, base));
    assert_true(is_reset(base, cur)); /* reduced, both buckets land in index 1 */
    cur.positive = SIDE({ 1, 1 }, { 2, 2 });
    cur.count = 4;
    assert_false(is_reset(base, cur));
    cur = base;
    cur.zero_threshold = 1.5;
    cur.zero_count = 5;
    assert_true(is_reset(cur, base)); /* cuts through (1,2] */
    cur.zero_threshold = 2;
    cur.positive = SIDE({ 2, 5 });
    assert_false(is_reset(cur, base));
    cur.zero_count = 4;
    assert_true(is_reset(cur, base));
}

static void resets_of_custom_buckets_compare_common_bounds(void **state)
{
    (void)state;
    const double x[] = { 1, 2 }, y[] = { 2, 3 };
    struct float_histogram cur = { .schema = HISTOGRAM_SCHEMA_CUSTOM, .count = 10, .custom_values = x,
                                   .custom_values_count = 2, .positive = SIDE({ 0, 3 }, { 1, 3 }, { 2, 4 }) };
    struct float_histogram prev = { .schema = HISTOGRAM_SCHEMA_CUSTOM, .count = 9, .custom_values = y,
                                    .custom_values_count = 2, .positive = SIDE({ 0, 6 }, { 1, 1 }, { 2, 2 }) };
    assert_false(is_reset(cur, prev));
    prev.positive.buckets[0] = 7;
    assert_true(is_reset(cur, prev));
    struct float_histogram exponential = { .count = 1 };
    assert_true(is_reset(cur, exponential));
}

static void check_refuses(struct float_histogram h, const char *want)
{
    struct err err = { 0 };
    assert_false(float_histogram_check(&h, &err));
    assert_string_equal(err.text, want);
}

static void outside_data_is_checked(void **state)
{
    (void)state;
    struct float_histogram h = two_sided();
    struct err err = { 0 };
    assert_true(float_histogram_check(&h, &err));
    h.positive.buckets_count = 2;
    check_refuses(h, "positive side: spans need 3 buckets, have 2 buckets: histogram spans specify different number "
                     "of buckets than provided");
    h = two_sided();
    h.negative.buckets[1] = -1;
    check_refuses(h, "negative side: bucket number 2 has observation count of -1: histogram has a bucket whose "
                     "observation count is negative");
    h = two_sided();
    h.schema = 9;
    check_refuses(h, "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 "
                     "for custom buckets, got schema 9");
    const double falling[] = { 2, 1 };
    h = (struct float_histogram){ .schema = HISTOGRAM_SCHEMA_CUSTOM, .custom_values = falling, .custom_values_count = 2 };
    check_refuses(h, "custom buckets: previous bound is 2.000000 and current is 1.000000: histogram custom bounds must "
                     "be in strictly increasing order");
    int64_t deltas[] = { 2, -1 };
    struct histogram_span span = { 0, 2 };
    struct int_histogram ints = { .count = 4, .positive = { &span, 1, deltas, 2 } };
    assert_false(int_histogram_check(&ints, &err));
    assert_string_equal(err.text, "3 observations found in buckets, but the Count field is 4: histogram's observation "
                                  "count should equal the number of observations found in the buckets (in absence of NaN)");
    ints.sum = normal_nan();
    assert_true(int_histogram_check(&ints, &err));
}

static void a_stale_marker_is_a_sum(void **state)
{
    (void)state;
    struct float_histogram h = { .sum = stale_nan() };
    assert_true(float_histogram_is_stale(&h));
    h.sum = normal_nan();
    assert_false(float_histogram_is_stale(&h));
}

static void size_counts_what_upstream_counts(void **state)
{
    (void)state;
    struct float_histogram h = two_sided();
    assert_int_equal(float_histogram_size(&h), 168 + 8 * (3 + 3 + 2 + 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_are_those_of_prometheus),
        cmocka_unit_test(walks_go_both_ways_and_mind_the_zero_bucket),
        cmocka_unit_test(text_shows_populated_buckets),
        cmocka_unit_test(equal_layouts_add_in_place),
        cmocka_unit_test(other_layouts_and_schemas_meet_at_the_lower),
        cmocka_unit_test(zero_thresholds_are_raised_past_populated_buckets),
        cmocka_unit_test(custom_bounds_are_intersected),
        cmocka_unit_test(hints_are_joined),
        cmocka_unit_test(compensation_keeps_what_rounding_loses),
        cmocka_unit_test(scaling_by_a_negative_number_makes_a_gauge),
        cmocka_unit_test(compacting_drops_empty_buckets_and_joins_spans),
        cmocka_unit_test(int_and_float_forms_reduce_alike),
        cmocka_unit_test(resets_are_seen),
        cmocka_unit_test(resets_of_custom_buckets_compare_common_bounds),
        cmocka_unit_test(outside_data_is_checked),
        cmocka_unit_test(a_stale_marker_is_a_sum),
        cmocka_unit_test(size_counts_what_upstream_counts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
