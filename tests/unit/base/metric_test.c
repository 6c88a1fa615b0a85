#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/metric.h"
#include "base/num.h"

#include <math.h>
#include <pthread.h>

static const double bounds[] = { 0.1, 1, 10 };

struct stats {
    struct counter queries;
    struct gauge active, expired;
    struct fcounter seconds;
    struct histogram sizes;
    struct metric_vec *failures, *latency;
};

static const struct metric_desc descs[] = {
    METRIC(COUNTER, struct stats, queries, "b_queries_total", "Queries."),
    METRIC(GAUGE, struct stats, active, "c_silences", "Silences by state.", "state=active,version=v2"),
    METRIC(GAUGE, struct stats, expired, "c_silences", "Silences by state.", "state=expired,version=v2"),
    METRIC(FCOUNTER, struct stats, seconds, "a_seconds_total", "Seconds."),
    METRIC(HISTOGRAM, struct stats, sizes, "d_sizes", "Sizes."),
    METRIC_VEC(COUNTER, struct stats, failures, "e_failures_total", "Failures.", "integration,reason"),
    METRIC_HIST_VEC(struct stats, latency, "f_latency", "Latency.", "integration", bounds),
};

static void visit(void *arg, const struct metric_sample *s)
{
    struct buf *b = arg;
    buf_c(b, s->desc->name);
    for (size_t i = 0; i < s->labels_count; i++)
        buf_printf(b, " %.*s=%.*s", STR_ARG(s->label_names[i]), STR_ARG(s->label_values[i]));
    buf_byte(b, ' ');
    if (s->histogram) {
        for (size_t i = 0; i <= s->histogram->bounds_count; i++)
            buf_printf(b, "%llu,", (unsigned long long)s->histogram->buckets[i]);
    } else {
        num_write_f64(b, s->value, 'g', -1);
    }
    buf_byte(b, '\n');
}

static void collect(void *stats, void *arg)
{
    gauge_set(&((struct stats *)stats)->expired, *(double *)arg);
}

static void a_walk_lists_families_by_name(void **state)
{
    (void)state;
    struct stats stats = { 0 };
    metric_stats_init(descs, ARRAY_LEN(descs), &stats);
    histogram_init(&stats.sizes, bounds, ARRAY_LEN(bounds));
    struct metric_registry *r = metric_registry_new();
    double expired = 9;
    metric_registry_add(r, descs, ARRAY_LEN(descs), &stats, collect, &expired);
    counter_add(&stats.queries, 3);
    counter_add_shared(&stats.queries, 1);
    gauge_add(&stats.active, 2.5);
    fcounter_add(&stats.seconds, 0.25);
    fcounter_add(&stats.seconds, 0.5);
    histogram_observe(&stats.sizes, 0.1);
    histogram_observe(&stats.sizes, 0.11);
    histogram_observe(&stats.sizes, 11);
    histogram_observe(&stats.sizes, (double)NAN);
    struct counter *c = metric_vec_counter(stats.failures, (const struct str[]){ STR("webhook"), STR("other") });
    counter_add(c, 7);
    metric_vec_counter(stats.failures, (const struct str[]){ STR("email"), STR("") });
    assert_ptr_equal(metric_vec_counter(stats.failures, (const struct str[]){ STR("webhook"), STR("other") }), c);
    histogram_observe(metric_vec_histogram(stats.latency, (const struct str[]){ STR("x") }), 5);
    struct buf b = { 0 };
    metric_registry_walk(r, visit, &b);
    assert_string_equal(b.p, "a_seconds_total 0.75\n"
                             "b_queries_total 4\n"
                             "c_silences state=active version=v2 2.5\n"
                             "c_silences state=expired version=v2 9\n"
                             "d_sizes 1,1,0,2,\n"
                             "e_failures_total integration=email reason= 0\n"
                             "e_failures_total integration=webhook reason=other 7\n"
                             "f_latency integration=x 0,0,1,0,\n");
    buf_deinit(&b);
    metric_registry_free(r);
    metric_stats_deinit(descs, ARRAY_LEN(descs), &stats);
    assert_null(stats.failures);
}

static void families_of_several_groups_are_contiguous(void **state)
{
    (void)state;
    struct stats one = { 0 }, two = { 0 };
    const struct metric_desc more[] = {
        METRIC(COUNTER, struct stats, queries, "b_queries_total", "Queries.", "half=two"),
        METRIC(GAUGE, struct stats, active, "a_first", "First."),
    };
    struct metric_registry *r = metric_registry_new();
    metric_registry_add(r, descs, 1, &one, NULL, NULL);
    metric_registry_add(r, more, ARRAY_LEN(more), &two, NULL, NULL);
    struct buf b = { 0 };
    metric_registry_walk(r, visit, &b);
    assert_string_equal(b.p, "a_first 0\nb_queries_total 0\nb_queries_total half=two 0\n");
    buf_deinit(&b);
    metric_registry_free(r);
}

static void children_stay_where_they_are_until_removed(void **state)
{
    (void)state;
    struct stats stats = { 0 };
    metric_stats_init(descs, ARRAY_LEN(descs), &stats);
    struct counter *kept = metric_vec_counter(stats.failures, (const struct str[]){ STR("m"), STR("m") });
    counter_add(kept, 5);
    for (char a = 'a'; a <= 'z'; a++)
        metric_vec_counter(stats.failures, (const struct str[]){ str_of(&a, 1), STR("x") });
    metric_vec_remove(stats.failures, (const struct str[]){ STR("a"), STR("x") });
    metric_vec_remove(stats.failures, (const struct str[]){ STR("none"), STR("x") });
    assert_ptr_equal(metric_vec_counter(stats.failures, (const struct str[]){ STR("m"), STR("m") }), kept);
    assert_int_equal(counter_get(kept), 5);
    metric_vec_clear(stats.failures);
    assert_int_equal(counter_get(metric_vec_counter(stats.failures, (const struct str[]){ STR("m"), STR("m") })), 0);
    metric_stats_deinit(descs, ARRAY_LEN(descs), &stats);
}

static void *hammer(void *arg)
{
    struct stats *s = arg;
    for (int i = 0; i < 20000; i++) {
        counter_add_shared(&s->queries, 1);
        fcounter_add(&s->seconds, 1);
        histogram_observe(&s->sizes, 1);
        counter_add_shared(metric_vec_counter(s->failures, (const struct str[]){ STR("a"), STR("b") }), 1);
    }
    return NULL;
}

static void shared_values_lose_nothing(void **state)
{
    (void)state;
    struct stats stats = { 0 };
    metric_stats_init(descs, ARRAY_LEN(descs), &stats);
    histogram_init(&stats.sizes, bounds, ARRAY_LEN(bounds));
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &stats), 0);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counter_get(&stats.queries), 40000);
    assert_true(fcounter_get(&stats.seconds) > 39999.5 && fcounter_get(&stats.seconds) < 40000.5);
    assert_int_equal(stats.sizes.buckets[1], 40000);
    assert_int_equal(counter_get(metric_vec_counter(stats.failures, (const struct str[]){ STR("a"), STR("b") })), 40000);
    metric_stats_deinit(descs, ARRAY_LEN(descs), &stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_walk_lists_families_by_name),
        cmocka_unit_test(families_of_several_groups_are_contiguous),
        cmocka_unit_test(children_stay_where_they_are_until_removed),
        cmocka_unit_test(shared_values_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
