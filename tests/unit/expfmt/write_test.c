/* The registry as text: order, escaping, numbers, histograms; and which format a client gets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "expfmt/write.h"

struct stats {
    struct counter requests, odd;
    struct gauge active, pending;
    struct fcounter seconds;
    struct histogram latency, gc;
    struct metric_vec *sent;
};

static const double bounds[] = { 0.005, 1, 2.5 };
static const struct metric_desc rows[] = {
    METRIC(GAUGE, struct stats, pending, "x_silences", "Silences by \"state\".\nTwo \\ lines.", "state=pending"),
    METRIC(GAUGE, struct stats, active, "x_silences", "Silences by \"state\".\nTwo \\ lines.", "state=active"),
    METRIC(COUNTER, struct stats, requests, "x_requests_total", "Requests."),
    METRIC(COUNTER, struct stats, odd, "x_odd", "A counter of an odd name."),
    METRIC(FCOUNTER, struct stats, seconds, "x_seconds_total", ""),
    METRIC(HISTOGRAM, struct stats, latency, "x_latency_seconds", "Latency.", "b=2,a=1"),
    METRIC(SUMMARY, struct stats, gc, "x_gc_seconds", "Pauses."),
    METRIC_VEC(COUNTER, struct stats, sent, "x_sent_total", "Sent.", "z,a"),
};

struct fixture {
    struct stats stats;
    struct metric_registry *registry;
    struct buf out;
};

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .registry = metric_registry_new() };
    metric_stats_init(rows, ARRAY_LEN(rows), &f.stats);
    histogram_init(&f.stats.latency, bounds, ARRAY_LEN(bounds));
    histogram_init(&f.stats.gc, NULL, 0);
    metric_registry_add(f.registry, rows, ARRAY_LEN(rows), &f.stats, NULL, NULL);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    metric_registry_free(f->registry);
    metric_stats_deinit(rows, ARRAY_LEN(rows), &f->stats);
    buf_deinit(&f->out);
    return 0;
}

static void fill(struct fixture *f)
{
    counter_add(&f->stats.requests, 1234567);
    gauge_set(&f->stats.active, -0.0);
    gauge_set(&f->stats.pending, 2);
    fcounter_add(&f->stats.seconds, 0.25);
    histogram_observe(&f->stats.latency, 0.001);
    histogram_observe(&f->stats.latency, 2);
    histogram_observe(&f->stats.latency, 7);
    histogram_observe(&f->stats.gc, 0.5);
    const struct str one[] = { STR_INIT("b"), STR_INIT("q\"\\\n") }, two[] = { STR_INIT("a"), STR_INIT("x") },
                     three[] = { STR_INIT("c"), STR_INIT("a") };
    counter_add(metric_vec_counter(f->stats.sent, one), 1);
    counter_add(metric_vec_counter(f->stats.sent, two), 2);
    counter_add(metric_vec_counter(f->stats.sent, three), 3);
}

static void text_is_client_golangs(void **state)
{
    struct fixture *f = *state;
    fill(f);
    expfmt_write(&f->out, EXPFMT_TEXT_0_0_4, f->registry);
    assert_string_equal(buf_view(&f->out).p,
                        "# HELP x_gc_seconds Pauses.\n"
                        "# TYPE x_gc_seconds summary\n"
                        "x_gc_seconds_sum 0.5\n"
                        "x_gc_seconds_count 1\n"
                        "# HELP x_latency_seconds Latency.\n"
                        "# TYPE x_latency_seconds histogram\n"
                        "x_latency_seconds_bucket{a=\"1\",b=\"2\",le=\"0.005\"} 1\n"
                        "x_latency_seconds_bucket{a=\"1\",b=\"2\",le=\"1\"} 1\n"
                        "x_latency_seconds_bucket{a=\"1\",b=\"2\",le=\"2.5\"} 2\n"
                        "x_latency_seconds_bucket{a=\"1\",b=\"2\",le=\"+Inf\"} 3\n"
                        "x_latency_seconds_sum{a=\"1\",b=\"2\"} 9.001\n"
                        "x_latency_seconds_count{a=\"1\",b=\"2\"} 3\n"
                        "# HELP x_odd A counter of an odd name.\n"
                        "# TYPE x_odd counter\n"
                        "x_odd 0\n"
                        "# HELP x_requests_total Requests.\n"
                        "# TYPE x_requests_total counter\n"
                        "x_requests_total 1.234567e+06\n"
                        "# HELP x_seconds_total \n"
                        "# TYPE x_seconds_total counter\n"
                        "x_seconds_total 0.25\n"
                        "# HELP x_sent_total Sent.\n"
                        "# TYPE x_sent_total counter\n"
                        "x_sent_total{a=\"a\",z=\"c\"} 3\n"
                        "x_sent_total{a=\"q\\\"\\\\\\n\",z=\"b\"} 1\n"
                        "x_sent_total{a=\"x\",z=\"a\"} 2\n"
                        "# HELP x_silences Silences by \"state\".\\nTwo \\\\ lines.\n"
                        "# TYPE x_silences gauge\n"
                        "x_silences{state=\"active\"} 0\n"
                        "x_silences{state=\"pending\"} 2\n");
}

static bool has(const struct fixture *f, const char *text)
{
    return str_contains(buf_view(&f->out), str_c(text));
}

static void openmetrics_has_its_own_rules(void **state)
{
    struct fixture *f = *state;
    fill(f);
    expfmt_write(&f->out, EXPFMT_OPENMETRICS_1_0_0, f->registry);
    assert_true(has(f, "# TYPE x_requests counter\nx_requests_total 1.234567e+06\n"));
    assert_true(has(f, "# TYPE x_odd counter\nx_odd_total 0.0\n"));
    assert_true(has(f, "le=\"1.0\"} 1\n"));
    assert_true(has(f, "le=\"+Inf\"} 3\n"));
    assert_true(has(f, "x_latency_seconds_count{a=\"1\",b=\"2\"} 3\n"));
    assert_true(has(f, "# HELP x_silences Silences by \\\"state\\\".\\nTwo \\\\ lines.\n"));
    assert_true(has(f, "x_silences{state=\"pending\"} 2.0\n"));
    assert_true(str_ends(buf_view(&f->out), STR("\n# EOF\n")));
}

static void a_family_without_series_is_left_out(void **state)
{
    struct fixture *f = *state;
    expfmt_write(&f->out, EXPFMT_TEXT_0_0_4, f->registry);
    assert_false(has(f, "x_sent_total"));
    assert_true(has(f, "x_requests_total 0\n"));
    assert_false(has(f, "# EOF"));
}

static void the_client_chooses_the_format(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool openmetrics;
        enum expfmt_format format;
        const char *content_type;
    } cases[] = {
        { "", true, EXPFMT_TEXT_0_0_4, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores" },
        { "*/*", true, EXPFMT_TEXT_0_0_4, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores" },
        { "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true,
          EXPFMT_OPENMETRICS_1_0_0, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores" },
        { "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", false,
          EXPFMT_TEXT_0_0_4, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores" },
        { "application/openmetrics-text", true, EXPFMT_OPENMETRICS_0_0_1,
          "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=underscores" },
        { "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6, "
          "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3",
          false, EXPFMT_TEXT_1_0_0, "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8" },
        { "text/plain;version=9;q=1,text/plain;q=0.2, application/openmetrics-text;version=0.0.1;q=0.3", true,
          EXPFMT_OPENMETRICS_0_0_1, "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=underscores" },
        { ";;,=,q=;q=x", true, EXPFMT_TEXT_0_0_4, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str accept = str_c(cases[i].accept);
        struct expfmt_choice choice =
            cases[i].openmetrics ? expfmt_negotiate_openmetrics(accept) : expfmt_negotiate(accept);
        assert_int_equal(choice.format, cases[i].format);
        assert_true(str_eq(choice.content_type, str_c(cases[i].content_type)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_is_client_golangs, setup, teardown),
        cmocka_unit_test_setup_teardown(openmetrics_has_its_own_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(a_family_without_series_is_left_out, setup, teardown),
        cmocka_unit_test(the_client_chooses_the_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
