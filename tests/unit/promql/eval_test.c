#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "promql/promql.h"
#include "promql/testscript.h"
#include "storage/memory.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_open_on_the_left),      cmocka_unit_test(start_times_make_zero_points),
        cmocka_unit_test(anchored_takes_samples_at_the_edges), cmocka_unit_test(fill_stands_in_for_the_missing),
        cmocka_unit_test(info_joins_by_identity),           cmocka_unit_test(duration_expressions_are_seconds),
        cmocka_unit_test(equal_labels_are_an_error),        cmocka_unit_test(wrong_expectations_are_found),
        cmocka_unit_test(limits_end_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
