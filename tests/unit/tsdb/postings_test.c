/* tsdb/index: postings combined, and matchers against a table that is searched line by line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/rng.h"
#include "tsdb/head/memindex_int.h"
#include "tsdb/index/postings_int.h"

#include <stdio.h>

#define NUMBERS 4000

/* ---- sets of numbers ---- */

struct set {
    bool has[NUMBERS];
};

static struct postings *make(struct arena *a, const struct set *s, bool big_endian)
{
    uint32_t *v = arena_alloc_array(a, NUMBERS, sizeof *v);
    size_t n = 0;
    for (uint32_t i = 0; i < NUMBERS; i++) {
        if (s->has[i])
            v[n++] = i;
    }
    if (!big_endian)
        return postings_list(a, v, n);
    uint8_t *p = arena_alloc(a, 4 * NUMBERS);
    for (size_t i = 0; i < n; i++)
        put_be32(p + 4 * i, v[i]);
    return postings_be(a, p, n);
}

static void random_set(struct rng *r, struct set *s)
{
    uint64_t of = 1 + rng_below(r, 200), from = rng_below(r, NUMBERS), to = from + rng_below(r, NUMBERS);
    for (uint32_t i = 0; i < NUMBERS; i++)
        s->has[i] = i >= from && i < to && rng_below(r, of) == 0;
}

static void same(struct postings *p, const struct set *want)
{
    uint32_t i = 0;
    while (postings_next(p)) {
        for (; i < p->at; i++)
            assert_false(want->has[i]);
        assert_true(p->at < NUMBERS && want->has[i]);
        i++;
    }
    for (; i < NUMBERS; i++)
        assert_false(want->has[i]);
}

static void combinations_equal_their_definitions(void **state)
{
    (void)state;
    static struct set sets[6], want;
    struct err err = { 0 };
    struct rng r;
    for (uint64_t seed = 1; seed < 300; seed++) {
        struct arena a;
        struct postings *v[6];
        rng_seed(&r, seed);
        arena_init(&a, ARENA_NO_LIMIT);
        size_t n = 1 + rng_below(&r, 6);
        for (size_t i = 0; i < n; i++)
            random_set(&r, &sets[i]);
        for (size_t i = 0; i < n; i++)
            v[i] = make(&a, &sets[i], rng_below(&r, 2));
        uint64_t kind = rng_below(&r, 3);
        struct postings *p;
        for (size_t k = 0; k < NUMBERS; k++) {
            want.has[k] = kind == 0 || (kind == 2 && sets[0].has[k]);
            for (size_t i = kind == 2; i < n; i++)
                want.has[k] = kind == 0 ? want.has[k] && sets[i].has[k] : kind == 1 ? want.has[k] || sets[i].has[k]
                                                                                   : want.has[k] && !sets[i].has[k];
        }
        if (kind == 0) {
            p = postings_and(&a, v, n);
        } else if (kind == 1) {
            p = postings_union(&a, v, n, &err);
        } else {
            p = v[0];
            for (size_t i = 1; i < n; i++)
                p = postings_without(&a, p, v[i]);
        }
        same(p, &want);
        arena_deinit(&a);
    }
}

static void seeking_finds_the_next_and_never_goes_back(void **state)
{
    (void)state;
    static struct set s, t;
    struct rng r;
    struct err err = { 0 };
    for (uint64_t seed = 1; seed < 200; seed++) {
        struct arena a;
        arena_init(&a, ARENA_NO_LIMIT);
        rng_seed(&r, seed);
        random_set(&r, &s);
        random_set(&r, &t);
        struct postings *pair[2] = { make(&a, &s, true), make(&a, &t, false) };
        struct postings *p = postings_union(&a, pair, 2, &err);
        uint32_t at = 0;
        while (at < NUMBERS) {
            uint32_t want = at;
            while (want < NUMBERS && !s.has[want] && !t.has[want])
                want++;
            assert_int_equal(postings_seek(p, at), want < NUMBERS);
            if (want == NUMBERS)
                break;
            assert_int_equal(p->at, want);
            assert_true(postings_seek(p, at / 2));
            assert_int_equal(p->at, want);
            at = want + 1 + (uint32_t)rng_below(&r, 50);
        }
        arena_deinit(&a);
    }
}

/* ---- matchers ---- */

#define SERIES 60

static const char *const names[] = { "a", "b", "c" };
static const char *const values[] = { "", "x", "y", "xy", "yx", "x\ny" };
static const char *const texts[] = { "", "x", "x|y", ".*", ".+", "x.*", "|x", "[xy]", "(x|xy)", "y.+", "x*", ".*y", "z" };

struct table {
    struct pool pool;
    struct memindex ix;
    struct label labels[SERIES][4];
    struct labels sets[SERIES];
    struct sym_pair pairs[SERIES][4];
};

static void table_init(struct table *t, struct rng *r)
{
    pool_init(&t->pool);
    memindex_init(&t->ix, &t->pool);
    for (uint32_t i = 0; i < SERIES; i++) {
        size_t n = 0;
        t->labels[i][n++] = (struct label){ STR("__name__"), STR("m") };
        for (size_t k = 0; k < 3; k++)
            t->labels[i][n++] = (struct label){ str_c(names[k]), str_c(values[rng_below(r, ARRAY_LEN(values))]) };
        t->sets[i] = labels_normalize(t->labels[i], n);
        memindex_intern(&t->ix, t->sets[i], t->pairs[i]);
        memindex_add(&t->ix, i, labels_hash32(t->sets[i]), t->pairs[i], t->sets[i].n);
    }
}

static void table_deinit(struct table *t)
{
    memindex_deinit(&t->ix);
    pool_deinit(&t->pool);
}

static void random_matchers(struct rng *r, struct matcher *v, size_t n)
{
    struct err err = { 0 };
    for (size_t i = 0; i < n; i++) {
        enum match_op op = (enum match_op)rng_below(r, 4);
        struct str text = op == MATCH_RE || op == MATCH_NRE ? str_c(texts[rng_below(r, ARRAY_LEN(texts))])
                                                            : str_c(values[rng_below(r, ARRAY_LEN(values))]);
        v[i] = (struct matcher){ .op = op, .name = str_c(names[rng_below(r, 3)]), .value = text };
        if (op != MATCH_RE && op != MATCH_NRE)
            continue;
        v[i].re = regex_compile(text, REGEX_ANCHORED | REGEX_DOTALL, &err); /* as the query language compiles them */
        assert_non_null(v[i].re);
    }
}

static void matching_by_postings_is_matching_line_by_line(void **state)
{
    (void)state;
    static struct table t;
    struct rng r;
    struct err err = { 0 };
    rng_seed(&r, 5);
    table_init(&t, &r);
    for (int round = 0; round < 3000; round++) {
        struct matcher v[3];
        struct matchers ms = { v, 1 + rng_below(&r, 3) };
        struct arena a;
        arena_init(&a, ARENA_NO_LIMIT);
        random_matchers(&r, v, ms.n);
        struct postings *p = postings_for_matchers(&t.ix.source, &a, &ms, &err);
        assert_non_null(p);
        bool more = postings_next(p);
        for (uint32_t i = 0; i < SERIES; i++) {
            bool want = matchers_match(&ms, t.sets[i]), got = more && p->at == i;
            if (want != got) {
                struct buf text = { 0 };
                matchers_write(&text, &ms);
                labels_write(&text, t.sets[i]);
                fail_msg("%s: by postings %d, by line %d", text.p, got, want);
            }
            if (got)
                more = postings_next(p);
        }
        assert_false(more);
        for (size_t i = 0; i < ms.n; i++)
            matcher_deinit(&v[i]);
        arena_deinit(&a);
    }
    table_deinit(&t);
}

static void removed_series_leave_no_trace(void **state)
{
    (void)state;
    static struct table t;
    struct rng r;
    struct err err = { 0 };
    size_t n;
    rng_seed(&r, 9);
    table_init(&t, &r);
    for (uint32_t i = 0; i < SERIES; i++) {
        if (i % 2)
            memindex_remove(&t.ix, i, i, labels_hash32(t.sets[i]), t.pairs[i], t.sets[i].n);
    }
    memindex_sweep(&t.ix);
    struct arena a;
    struct matchers none = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    struct postings *p = postings_for_matchers(&t.ix.source, &a, &none, &err);
    size_t left = 0;
    while (postings_next(p)) {
        assert_int_equal(p->at % 2, 0);
        left++;
    }
    assert_int_equal(left, SERIES / 2);
    for (uint32_t i = 0; i < SERIES; i += 2) {
        memindex_remove(&t.ix, i, i, labels_hash32(t.sets[i]), t.pairs[i], t.sets[i].n);
        memindex_release_symbols(&t.ix, t.pairs[i], t.sets[i].n);
        memindex_release_symbols(&t.ix, t.pairs[i + 1], t.sets[i + 1].n);
    }
    memindex_sweep(&t.ix);
    assert_int_equal(symtab_count(t.ix.symbols), 0);
    assert_int_equal(t.ix.entries.count, 0);
    assert_int_equal(t.ix.text_bytes, 0);
    memindex_values(&t.ix, STR("a"), &n);
    assert_int_equal(n, 0);
    memindex_values_done(&t.ix);
    arena_deinit(&a);
    table_deinit(&t);
}

static void values_stay_sorted_while_they_grow(void **state)
{
    (void)state;
    struct pool pool;
    struct memindex ix;
    struct rng r;
    char text[16];
    pool_init(&pool);
    memindex_init(&ix, &pool);
    rng_seed(&r, 3);
    for (uint32_t i = 0; i < 2000; i++) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)rng_below(&r, 100000));
        struct label l = { STR("v"), str_c(text) };
        struct sym_pair pair;
        memindex_intern(&ix, (struct labels){ &l, 1 }, &pair);
        memindex_add(&ix, i, 0, &pair, 1);
        if (i % 300 == 0) {
            size_t n;
            struct index_entry **v = memindex_values(&ix, STR("v"), &n);
            for (size_t k = 1; k < n; k++)
                assert_true(str_cmp(memindex_text(&ix, v[k - 1]->value), memindex_text(&ix, v[k]->value)) < 0);
            memindex_values_done(&ix);
        }
    }
    memindex_deinit(&ix);
    pool_deinit(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(combinations_equal_their_definitions),
        cmocka_unit_test(seeking_finds_the_next_and_never_goes_back),
        cmocka_unit_test(matching_by_postings_is_matching_line_by_line),
        cmocka_unit_test(removed_series_leave_no_trace),
        cmocka_unit_test(values_stay_sorted_while_they_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
