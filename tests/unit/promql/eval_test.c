#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "promql/eval_int.h"
#include "promql/promql.h"
#include "promql/scan_int.h"
#include "promql/testscript.h"
#include "storage/memory.h"

#include <math.h>

static void script(const char *text)
{
    struct buf report = { 0 };
    struct testscript_counts counts = { 0 };
    struct err err = { 0 };
    bool ok = testscript_run(str_c(text), &report, &counts, &err);
    if (!ok || counts.failed)
        fail_msg("%s%s", err.text, report.p ? report.p : "");
    assert_true(counts.passed > 0);
    buf_deinit(&report);
}

static void ranges_are_open_on_the_left(void **state)
{
    (void)state;
    script("load 1m\n  x_total 0+60x10\n\n"
           "eval instant at 5m count_over_time(x_total[1m])\n  {} 1\n\n"
           "eval instant at 15m x_total\n\n"
           "eval instant at 14m59s x_total\n  x_total 600\n");
}
static void start_times_make_zero_points(void **state)
{
    (void)state;
    script("load 1m\n  x_total@st -30s -90s -150s\n  x_total 10 20 30\n\n"
           "eval instant at 2m increase(x_total[3m])\n  {} 30\n\n"
           "eval instant at 1m start_timestamp(x_total)\n  {} -30\n");
}
static void anchored_takes_samples_at_the_edges(void **state)
{
    (void)state;
    script("load 15s\n  x 1+1x4 _x9 9+1x4\n\n"
           "eval instant at 45s increase(x[1m] anchored)\n  {} 3\n\n"
           "eval instant at 30s increase(x[30s] anchored)\n  {} 2\n\n"
           "eval instant at 40s x smoothed\n  x 3.6666666666666665\n");
}
static void fill_stands_in_for_the_missing(void **state)
{
    (void)state;
    script("load 5m\n  a{l=\"1\"} 1\n  a{l=\"2\"} 2\n  b{l=\"2\"} 20\n  b{l=\"3\"} 30\n\n"
           "eval instant at 0 a + fill(0) b\n  {l=\"1\"} 1\n  {l=\"2\"} 22\n  {l=\"3\"} 30\n\n"
           "eval instant at 0 a + fill_left(5) b\n  {l=\"2\"} 22\n  {l=\"3\"} 35\n");
}
static void info_joins_by_identity(void **state)
{
    (void)state;
    script("load 5m\n  m{instance=\"a\",job=\"1\"} 0 1 2\n  target_info{instance=\"a\",job=\"1\",data=\"info\"} 1 1 1\n\n"
           "eval range from 0m to 10m step 5m info(m)\n  m{instance=\"a\",job=\"1\",data=\"info\"} 0 1 2\n\n"
           "eval instant at 5m info(m, {nothing=\"x\"})\n");
}
static void duration_expressions_are_seconds(void **state)
{
    (void)state;
    script("load 5m\n  x 0+1x10\n\n"
           "eval instant at 50m count_over_time(x[5m*2])\n  {} 2\n\n"
           "eval instant at 50m x offset (5m + 5m)\n  x 8\n\n"
           "eval range from 0 to 10m step 5m count_over_time(x[step()*2])\n  {} 1 2 2\n");
}
static void equal_labels_are_an_error(void **state)
{
    (void)state;
    script("load 5m\n  a{x=\"1\"} 1\n  a{x=\"2\"} 1\n\n"
           "eval instant at 0 label_replace(a, \"x\", \"\", \"x\", \".*\")\n"
           "  expect fail msg: vector cannot contain metrics with the same labelset\n");
}
static void wrong_expectations_are_found(void **state)
{
    (void)state;
    struct buf report = { 0 };
    struct testscript_counts counts = { 0 };
    struct err err = { 0 };
    assert_true(testscript_run(STR("load 5m\n  a 1\n\neval instant at 0 a\n  a 2\n\neval instant at 0 a\n  expect warn\n  a 1\n"),
                               &report, &counts, &err));
    assert_int_equal(counts.failed, 2);
    buf_deinit(&report);
}

/* ---- limits ---- */

static struct storage *filled(size_t series, size_t samples)
{
    struct storage *st = memory_storage_new();
    struct appender *ap;
    struct arena a;
    struct err err = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    assert_true(storage_appender(st, NULL, &ap, &err));
    for (size_t s = 0; s < series; s++) {
        struct label v[2] = { { STR("__name__"), STR("x") }, { STR("i"), arena_printf(&a, "%zu", s) } };
        struct labels ls = { v, 2 };
        series_ref ref = 0;
        for (size_t i = 0; i < samples; i++)
            assert_int_equal(append_sample(ap, &ref, &ls, (int64_t)i * 1000, (double)i), APPEND_OK);
    }
    assert_true(append_commit(ap, &err));
    arena_deinit(&a);
    return st;
}
static enum err_code run_code(struct storage *st, const char *text, size_t samples_max, size_t memory_max, int stop_value)
{
    struct err err = { 0 };
    _Atomic int stop = stop_value;
    struct promql_expr *e = promql_parse(str_c(text), 0, &err);
    assert_non_null(e);
    const struct promql_run run = { .storage = st, .end_ms = 99000, .step_ms = 1000, .is_range = true, .samples_max = samples_max,
                                    .memory_max_bytes = memory_max, .stop = &stop };
    struct promql_result *r;
    bool ok = promql_run(e, &run, &r, &err);
    if (ok)
        promql_result_free(r);
    promql_expr_free(e);
    return ok ? ERR_NONE : err.code;
}
static void limits_end_queries(void **state)
{
    (void)state;
    struct storage *st = filled(100, 100);
    assert_int_equal(run_code(st, "x", 0, 0, PROMQL_GO_ON), ERR_NONE);
    assert_int_equal(run_code(st, "x", 5000, 0, PROMQL_GO_ON), ERR_LIMIT);
    assert_int_equal(run_code(st, "sum(rate(x[1m]))", 11000, 0, PROMQL_GO_ON), ERR_NONE);
    assert_int_equal(run_code(st, "x * on(i) x", 0, 65536, PROMQL_GO_ON), ERR_LIMIT);
    assert_int_equal(run_code(st, "x", 0, 0, PROMQL_CANCELLED), ERR_CANCELLED);
    assert_int_equal(run_code(st, "x", 0, 0, PROMQL_TIMED_OUT), ERR_TIMEOUT);
    memory_storage_free(st);
}

/* ---- all steps at once ---- */

/* Counters with resets, values with NaN and infinities; series 0 to 2 share their times, 3 has its own, with gaps. */
static struct storage *rough(struct rng *rng)
{
    struct storage *st = memory_storage_new();
    struct appender *ap;
    struct err err = { 0 };
    assert_true(storage_appender(st, NULL, &ap, &err));
    static const char *const names[] = { "a", "b", "c", "d" };
    for (size_t s = 0; s < ARRAY_LEN(names); s++) {
        struct label v[2] = { { STR("__name__"), STR("x_total") }, { STR("i"), str_c(names[s]) } };
        struct labels ls = { v, 2 };
        series_ref ref = 0;
        double value = 0;
        for (size_t i = 0; i < 200; i++) {
            if (s == 3 && rng_below(rng, 4) == 0)
                continue;
            value = rng_below(rng, 20) == 0 ? 0 : value + (double)rng_below(rng, 10);
            double shown = s == 2 && rng_below(rng, 5) == 0 ? (rng_below(rng, 2) ? (double)NAN : -(double)INFINITY) : value;
            int64_t t = (int64_t)i * 1000 + (s == 3 ? (int64_t)rng_below(rng, 300) : 7);
            assert_int_equal(append_sample(ap, &ref, &ls, t, shown), APPEND_OK);
        }
    }
    assert_true(append_commit(ap, &err));
    return st;
}
static struct promql_result *run_over(struct storage *st, const struct promql_expr *e, int64_t start, int64_t end, int64_t step)
{
    struct err err = { 0 };
    struct promql_result *r;
    const struct promql_run run = { .storage = st, .start_ms = start, .end_ms = end, .step_ms = step, .is_range = true };
    assert_true(promql_run(e, &run, &r, &err));
    return r;
}
/* The value of the series with these labels at t; false: there is none. */
static bool value_at(const struct promql_result *r, struct labels ls, int64_t t, double *v)
{
    for (size_t k = 0; k < r->n; k++)
        for (size_t i = 0; labels_eq(r->series[k].labels, ls) && i < r->series[k].n; i++)
            if (r->series[k].t[i] == t) {
                *v = r->series[k].v[i];
                return true;
            }
    return false;
}
static void each_step_of_a_range_is_what_it_is_alone(void **state)
{
    (void)state;
    static const char *const queries[] = {
        "rate(x_total[7s])", "increase(x_total[30s])", "delta(x_total[5s])", "max_over_time(x_total[9s])",
        "min_over_time(x_total[40s])", "count_over_time(x_total[3s])", "last_over_time(x_total[3s])", "sum_over_time(x_total[8s])",
        "rate(x_total[10s] @ 100)", "increase(x_total[20s] offset 30s)", "sum(x_total)", "quantile(0.3, x_total)",
        "quantile_over_time(0.7, x_total[20s])", "max(rate(x_total[9s]))", "avg by (i) (x_total)", "resets(x_total[50s])",
        "max_over_time(rate(x_total[5s])[20s:3s])", "irate(x_total[9s])", "idelta(x_total[9s])",
    };
    struct rng rng;
    rng_seed(&rng, 5);
    struct storage *st = rough(&rng);
    for (size_t q = 0; q < ARRAY_LEN(queries); q++) {
        struct err err = { 0 };
        struct promql_expr *e = promql_parse(str_c(queries[q]), 0, &err);
        struct promql_result *whole = run_over(st, e, 500, 240500, 1700);
        size_t cells = 0, alone = 0;
        for (size_t k = 0; k < whole->n; k++)
            cells += whole->series[k].n;
        for (int64_t t = 500; t <= 240500; t += 1700) {
            struct promql_result *one = run_over(st, e, t, t, 1700);
            for (size_t k = 0; k < one->n; k++, alone++) {
                double v;
                assert_true(value_at(whole, one->series[k].labels, t, &v));
                if (!isnan(v) || !isnan(one->series[k].v[0]))
                    assert_memory_equal(&v, &one->series[k].v[0], sizeof v);
            }
            promql_result_free(one);
        }
        assert_int_equal(cells, alone);
        assert_true(cells > 50);
        promql_result_free(whole);
        promql_expr_free(e);
    }
    memory_storage_free(st);
}

static double sorted_quantile(double q, double *v, size_t n)
{
    for (size_t i = 1; i < n; i++) /* NaN first */
        for (size_t k = i; k > 0 && (isnan(v[k]) ? !isnan(v[k - 1]) : v[k] < v[k - 1]); k--) {
            double t = v[k];
            v[k] = v[k - 1];
            v[k - 1] = t;
        }
    double rank = q * (double)(n - 1), low = floor(rank);
    size_t lo = (size_t)low, hi = lo + 1 < n ? lo + 1 : n - 1;
    return v[lo] * (1 - (rank - low)) + v[hi] * (rank - low);
}
static void quantiles_need_no_order(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 6);
    for (size_t round = 0; round < 20000; round++) {
        double v[40], sorted[40];
        size_t n = 1 + rng_below(&rng, ARRAY_LEN(v)), kinds = 1 + rng_below(&rng, 50);
        for (size_t i = 0; i < n; i++)
            v[i] = sorted[i] = rng_below(&rng, 10) == 0 ? (double)NAN : (double)rng_below(&rng, kinds);
        double q = (double)rng_below(&rng, 101) / 100, want = sorted_quantile(q, sorted, n), got = math_quantile(q, v, n);
        assert_true(want == got || (isnan(want) && isnan(got)));
    }
}

static void falls_and_nans_are_found_wherever_they_are(void **state)
{
    (void)state;
    double v[40] = { 0 };
    for (size_t n = 1; n <= ARRAY_LEN(v); n++) {
        assert_int_equal(scan_fall(v, 1, n), n);
        assert_false(scan_has_nan(v, n));
        for (size_t at = 0; at < n; at++) {
            v[at] = -1;
            for (size_t from = 1; at && from <= at; from++) {
                size_t found = scan_fall(v, from, n);
                assert_true(found <= at && at < found + SCAN_BLOCK && found >= from);
            }
            v[at] = (double)NAN;
            assert_true(scan_has_nan(v, n));
            assert_int_equal(scan_fall(v, 1, n), n);
            v[at] = 0;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_open_on_the_left),      cmocka_unit_test(start_times_make_zero_points),
        cmocka_unit_test(anchored_takes_samples_at_the_edges), cmocka_unit_test(fill_stands_in_for_the_missing),
        cmocka_unit_test(info_joins_by_identity),           cmocka_unit_test(duration_expressions_are_seconds),
        cmocka_unit_test(equal_labels_are_an_error),        cmocka_unit_test(wrong_expectations_are_found),
        cmocka_unit_test(limits_end_queries),               cmocka_unit_test(each_step_of_a_range_is_what_it_is_alone),
        cmocka_unit_test(quantiles_need_no_order),          cmocka_unit_test(falls_and_nans_are_found_wherever_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
