/* Label sets: normal form, order, hashes, text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "json/writer.h"
#include "model/labels.h"

#define L(name, value) { STR_INIT(name), STR_INIT(value) }

static void normal_form_is_sorted_unique_and_without_empty_values(void **state)
{
    (void)state;
    struct label v[] = { L("b", "1"), L("a", "old"), L("c", ""), L("a", "new"), L("b", ""), L("d", "x") };
    struct labels ls = labels_normalize(v, ARRAY_LEN(v));
    assert_int_equal(ls.n, 2);
    assert_true(str_eq(ls.v[0].name, STR("a")));
    assert_true(str_eq(ls.v[0].value, STR("new")));
    assert_true(str_eq(ls.v[1].name, STR("d")));
}

static void large_sets_sort_as_small_ones(void **state)
{
    (void)state;
    enum { N = 500 };
    static char names[N][4];
    struct label v[N];
    struct rng rng;
    rng_seed(&rng, 1);
    for (size_t i = 0; i < N; i++) {
        size_t n = 1 + (size_t)rng_below(&rng, 3);
        for (size_t k = 0; k < n; k++)
            names[i][k] = (char)('a' + rng_below(&rng, 6));
        v[i] = (struct label){ str_of(names[i], n), str_of(names[i], n) };
        v[i].value.n = i % 7 == 0 ? 0 : n;
    }
    struct label copy[N];
    memcpy(copy, v, sizeof v);
    struct labels ls = labels_normalize(v, N);
    for (size_t i = 1; i < ls.n; i++)
        assert_true(str_cmp(ls.v[i - 1].name, ls.v[i].name) < 0);
    for (size_t i = 0; i < N; i++) { /* the last of each name decides */
        bool last = true;
        for (size_t k = i + 1; k < N; k++)
            last = last && !str_eq(copy[k].name, copy[i].name);
        if (last)
            assert_true(labels_has(ls, copy[i].name) == (copy[i].value.n > 0));
    }
}

static void order_puts_fewer_labels_first(void **state)
{
    (void)state;
    struct label a[] = { L("z", "9") }, b[] = { L("a", "1"), L("b", "1") }, c[] = { L("a", "1"), L("c", "1") },
                 d[] = { L("a", "2"), L("b", "1") };
    struct labels la = { a, 1 }, lb = { b, 2 }, lc = { c, 2 }, ld = { d, 2 };
    assert_true(labels_cmp(la, lb) < 0);
    assert_true(labels_cmp(lc, lb) < 0); /* lacks "b" */
    assert_true(labels_cmp(lb, ld) < 0);
    assert_int_equal(labels_cmp(lb, lb), 0);
    assert_true(labels_cmp_prometheus(lb, la) < 0);
    assert_true(labels_cmp_prometheus(lb, lc) < 0);
    struct label e[] = { L("a", "1") };
    assert_true(labels_cmp_prometheus((struct labels){ e, 1 }, lb) < 0);
}

static void hashes_are_those_of_upstream(void **state)
{
    (void)state;
    struct label v[] = { L("a", "b") };
    struct labels ls = { v, 1 };
    struct buf b = { 0 };
    fingerprint_write(&b, labels_fingerprint(ls));
    fingerprint_write(&b, labels_fingerprint((struct labels){ NULL, 0 }));
    assert_string_equal(b.p, "d2b371819297f98acbf29ce484222325");
    assert_int_equal(labels_nflog_hash(ls), UINT64_C(6955969838111864200));
    buf_deinit(&b);
}

static void copies_do_not_share(void **state)
{
    (void)state;
    char value[] = "one";
    struct label v[] = { { STR_INIT("a"), { value, 3 } }, { STR_INIT("b"), STR_INIT("two") } };
    struct labels heap = labels_dup((struct labels){ v, 2 });
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    struct labels copy = labels_copy(&a, (struct labels){ v, 2 });
    value[0] = 'X';
    assert_true(str_eq(labels_get(heap, STR("a")), STR("one")));
    assert_true(labels_eq(heap, copy));
    assert_int_equal(labels_get(heap, STR("c")).n, 0);
    labels_free(heap);
    labels_free(labels_dup((struct labels){ NULL, 0 }));
    arena_deinit(&a);
}

static void text_quotes_values_and_odd_names(void **state)
{
    (void)state;
    struct label v[] = { L("a", "x\n\"y\""), L("b.c", "é") };
    struct buf b = { 0 };
    labels_write(&b, (struct labels){ v, 2 });
    buf_byte(&b, ' ');
    labels_write_prometheus(&b, (struct labels){ v, 2 });
    labels_write(&b, (struct labels){ NULL, 0 });
    assert_string_equal(b.p, "{a=\"x\\n\\\"y\\\"\", b.c=\"é\"} {a=\"x\\n\\\"y\\\"\", \"b.c\"=\"é\"}{}");
    buf_deinit(&b);
}

static void json_is_an_object_of_strings(void **state)
{
    (void)state;
    struct label v[] = { L("a", "x\"y"), L("b.c", "é") };
    struct buf b = { 0 };
    struct json_writer w;
    json_writer_init(&w, &b);
    jw_array(&w);
    labels_write_json(&w, (struct labels){ v, 2 });
    labels_write_json(&w, (struct labels){ NULL, 0 });
    jw_array_end(&w);
    assert_string_equal(b.p, "[{\"a\":\"x\\\"y\",\"b.c\":\"é\"},{}]");
    buf_deinit(&b);
}

static void names_follow_both_schemes(void **state)
{
    (void)state;
    assert_true(label_name_is_classic(STR("_a9")));
    assert_false(label_name_is_classic(STR("9a")));
    assert_false(label_name_is_classic(STR("a:b")));
    assert_false(label_name_is_classic(STR_EMPTY));
    assert_true(metric_name_is_classic(STR(":a:b")));
    assert_true(label_name_is_utf8(STR("a b.é")));
    assert_false(label_name_is_utf8(STR("a\xff")));
    assert_false(label_name_is_utf8(STR_EMPTY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_form_is_sorted_unique_and_without_empty_values),
        cmocka_unit_test(large_sets_sort_as_small_ones),
        cmocka_unit_test(order_puts_fewer_labels_first),
        cmocka_unit_test(hashes_are_those_of_upstream),
        cmocka_unit_test(copies_do_not_share),
        cmocka_unit_test(text_quotes_values_and_odd_names),
        cmocka_unit_test(json_is_an_object_of_strings),
        cmocka_unit_test(names_follow_both_schemes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
