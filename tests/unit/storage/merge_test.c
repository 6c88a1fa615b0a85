/* storage/merge.c over stores in memory: what several sources give together. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "storage/memory.h"
#include "storage/merge.h"

struct fixture {
    struct arena arena;
    struct storage *st[3];
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof *f);
    arena_init(&f->arena, ARENA_NO_LIMIT);
    for (size_t i = 0; i < 3; i++)
        f->st[i] = memory_storage_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++)
        memory_storage_free(f->st[i]);
    arena_deinit(&f->arena);
    test_free(f);
    return 0;
}

static void put(struct storage *st, const char *name, int64_t t, double v)
{
    struct err err = { 0 };
    struct appender *a;
    struct label l[] = { { STR("__name__"), str_c(name) } };
    struct labels ls = { l, 1 };
    series_ref ref = 0;
    assert_true(storage_appender(st, NULL, &a, &err));
    assert_int_equal(append_sample(a, &ref, &ls, t, v), APPEND_OK);
    assert_true(append_commit(a, &err));
}

static struct querier *all(struct fixture *f, size_t n, const bool *optional)
{
    struct merge_source src[3];
    struct err err = { 0 };
    for (size_t i = 0; i < n; i++) {
        assert_true(storage_querier(f->st[i], &f->arena, INT64_MIN, INT64_MAX, &src[i].querier, &err));
        src[i].optional = optional && optional[i];
    }
    return merge_querier(&f->arena, src, n, INT64_MIN, INT64_MAX);
}

/* "a:1=1,2=2;b:..." of everything the querier has. */
static struct str dump(struct fixture *f, struct querier *q)
{
    struct err err = { 0 };
    struct matchers none = { 0 };
    struct series_set *set;
    struct series *s;
    struct buf out = { 0 };
    struct columns c = { 0 };
    assert_true(querier_select(q, &none, NULL, &set, &err));
    for (;;) {
        assert_true(series_set_next(set, &s, &err));
        if (!s)
            break;
        columns_reset(&c);
        assert_true(series_read(s, INT64_MIN, INT64_MAX, &c, &err));
        buf_printf(&out, "%.*s:", STR_ARG(s->labels.v[0].value));
        for (size_t i = 0; i < c.n; i++)
            buf_printf(&out, "%d=%g,", (int)c.t[i], c.v[i]);
        buf_byte(&out, ';');
    }
    columns_deinit(&c);
    struct str text = arena_str(&f->arena, buf_view(&out));
    buf_deinit(&out);
    return text;
}

static void check(struct str got, const char *want)
{
    assert_string_equal(got.p, want);
}

static void series_of_all_sources_come_once_in_label_order(void **state)
{
    struct fixture *f = *state;
    put(f->st[0], "b", 1, 1);
    put(f->st[1], "a", 1, 2);
    put(f->st[2], "c", 1, 3);
    put(f->st[2], "b", 5, 4);
    check(dump(f, all(f, 3, NULL)), "a:1=2,;b:1=1,5=4,;c:1=3,;");
}

static void equal_times_are_the_first_sources(void **state)
{
    struct fixture *f = *state;
    put(f->st[0], "a", 2, 20);
    put(f->st[0], "a", 4, 40);
    put(f->st[1], "a", 1, 1);
    put(f->st[1], "a", 2, 2);
    put(f->st[1], "a", 3, 3);
    put(f->st[2], "a", 4, 4);
    put(f->st[2], "a", 5, 5);
    check(dump(f, all(f, 3, NULL)), "a:1=1,2=20,3=3,4=40,5=5,;");
}

static void label_values_are_united_sorted_and_limited(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct strs v;
    put(f->st[0], "b", 1, 1);
    put(f->st[0], "d", 1, 1);
    put(f->st[1], "a", 1, 1);
    put(f->st[1], "b", 1, 1);
    struct querier *q = all(f, 3, NULL);
    assert_true(querier_label_values(q, STR("__name__"), NULL, 0, &v, &err));
    assert_int_equal(v.n, 3);
    assert_true(str_eq(v.v[0], STR("a")) && str_eq(v.v[2], STR("d")));
    assert_true(querier_label_values(q, STR("__name__"), NULL, 2, &v, &err));
    assert_int_equal(v.n, 2);
    assert_true(querier_label_names(q, NULL, 0, &v, &err));
    assert_int_equal(v.n, 1);
}

/* ---- runs of one series ---- */

static void push_any(struct columns *c, int64_t t, bool histogram, double v)
{
    if (!histogram) {
        columns_push(c, t, v);
        return;
    }
    struct float_histogram *h = ARENA_NEW(columns_arena(c), struct float_histogram);
    *h = (struct float_histogram){ .count = v, .hint = RESET_NO };
    columns_push_histogram(c, t, h);
}

/* Two random runs: joined they are what a table by time says, the first run before the second, and a histogram knows of no
 * reset exactly where it follows one of its own run. */
static void runs_join_in_order_of_time(void **state)
{
    (void)state;
    enum { TIMES = 40, FIRST = 1, SECOND = 2 };
    struct rng rng;
    rng_seed(&rng, 5);
    for (int round = 0; round < 3000; round++) {
        struct columns c = { 0 };
        int from[TIMES] = { 0 };
        bool is_histogram[TIMES] = { false };
        int64_t lowest = (int64_t)rng_below(&rng, TIMES), end = (int64_t)rng_below(&rng, TIMES);
        for (int64_t t = 0; t < end; t++) {
            if (rng_below(&rng, 3))
                continue;
            from[t] = FIRST;
            push_any(&c, t, is_histogram[t] = rng_below(&rng, 2), FIRST);
        }
        size_t n1 = c.n, hn1 = c.hn;
        for (int64_t t = lowest; t < TIMES; t++) {
            if (rng_below(&rng, 3))
                continue;
            bool histogram = rng_below(&rng, 2);
            push_any(&c, t, histogram, SECOND);
            if (from[t] == 0) {
                from[t] = SECOND;
                is_histogram[t] = histogram;
            }
        }
        columns_join_runs(&c, 0, 0, n1, hn1);
        size_t n = 0, hn = 0;
        int last = 0;
        for (int64_t t = 0; t < TIMES; t++) {
            if (from[t] == 0)
                continue;
            if (is_histogram[t]) {
                assert_true(hn < c.hn && c.ht[hn] == t && (int)c.h[hn]->count == from[t]);
                assert_true(last == 0 || last == from[t] || c.h[hn]->hint == RESET_UNKNOWN);
                hn++;
            } else {
                assert_true(n < c.n && c.t[n] == t && (int)c.v[n] == from[t]);
                n++;
            }
            last = from[t];
        }
        assert_true(n == c.n && hn == c.hn);
        columns_deinit(&c);
    }
}

/* ---- a source that fails ---- */

static bool fail_select(struct querier *q, const struct matchers *ms, const struct select_hints *h, struct series_set **set,
                        struct err *err)
{
    (void)q, (void)ms, (void)h, (void)set;
    return err_set(err, ERR_UNAVAILABLE, "peer is away");
}
static void nothing(struct querier *q)
{
    (void)q;
}
static const struct querier_ops failing = { .select = fail_select, .close = nothing };

static void optional_source_that_fails_becomes_a_warning(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    put(f->st[0], "a", 1, 1);
    struct querier bad = { .ops = &failing, .arena = &f->arena };
    struct merge_source src[2] = { { .optional = false }, { .querier = &bad, .optional = true } };
    assert_true(storage_querier(f->st[0], &f->arena, 0, 10, &src[0].querier, &err));
    struct querier *q = merge_querier(&f->arena, src, 2, 0, 10);
    check(dump(f, q), "a:1=1,;");
    struct strs w = merge_querier_warnings(q);
    assert_int_equal(w.n, 1);
    assert_string_equal(w.v[0].p, "peer is away");
}

static void needed_source_that_fails_fails_the_select(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct matchers none = { 0 };
    struct series_set *set;
    struct querier bad = { .ops = &failing, .arena = &f->arena };
    struct merge_source src[2] = { { .optional = false }, { .querier = &bad } };
    assert_true(storage_querier(f->st[0], &f->arena, 0, 10, &src[0].querier, &err));
    struct querier *q = merge_querier(&f->arena, src, 2, 0, 10);
    assert_false(querier_select(q, &none, NULL, &set, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
}

/* ---- the store in memory and the iterator ---- */

static void memory_store_refuses_as_the_tsdb_does(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct appender *a;
    struct label l[] = { { STR("__name__"), STR("x") } };
    struct labels ls = { l, 1 };
    series_ref ref = 0;
    assert_true(storage_appender(f->st[0], NULL, &a, &err));
    assert_int_equal(append_sample(a, &ref, NULL, 1, 1), APPEND_UNKNOWN_SERIES);
    assert_int_equal(append_sample(a, &ref, &ls, 10, 1), APPEND_OK);
    assert_int_equal(append_sample(a, &ref, NULL, 9, 1), APPEND_OUT_OF_ORDER);
    assert_int_equal(append_sample(a, &ref, NULL, 10, 2), APPEND_DUPLICATE);
    assert_int_equal(append_sample(a, &ref, NULL, 10, 1), APPEND_OK);
    append_rollback(a);
    check(dump(f, all(f, 1, NULL)), "");
    assert_true(storage_appender(f->st[0], NULL, &a, &err));
    assert_int_equal(append_sample(a, &ref, NULL, 3, 7), APPEND_OK);
    assert_true(append_commit(a, &err));
    check(dump(f, all(f, 1, NULL)), "x:3=7,;");
}

static void iterator_seeks_forward_only(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct matchers none = { 0 };
    struct series_set *set;
    struct series *s;
    struct sample_iter it = { 0 };
    for (int i = 1; i <= 5; i++)
        put(f->st[0], "a", i * 10, i);
    assert_true(querier_select(all(f, 1, NULL), &none, NULL, &set, &err));
    assert_true(series_set_next(set, &s, &err));
    sample_iter_init(&it, s, 0, 40);
    assert_true(sample_iter_seek(&it, 15, &err));
    assert_int_equal(it.t, 20);
    assert_true(sample_iter_seek(&it, 5, &err));
    assert_int_equal(it.t, 20);
    assert_true(sample_iter_next(&it, &err));
    assert_int_equal(it.t, 30);
    assert_true(sample_iter_seek(&it, 41, &err));
    assert_int_equal(it.kind, SAMPLE_NONE);
    sample_iter_deinit(&it);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(series_of_all_sources_come_once_in_label_order),
        T(equal_times_are_the_first_sources),
        T(label_values_are_united_sorted_and_limited),
        T(runs_join_in_order_of_time),
        T(optional_source_that_fails_becomes_a_warning),
        T(needed_source_that_fails_fails_the_select),
        T(memory_store_refuses_as_the_tsdb_does),
        T(iterator_seeks_forward_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
