#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alert/family_int.h"
#include "base/mem.h"
#include "base/rng.h"

#include <stdio.h>

static struct alert *make(struct alert_families *fs, const char *instance, const char *summary, const char *url)
{
    struct label l[] = { { STR("alertname"), STR("A") }, { STR("instance"), str_c(instance) } };
    struct label an[] = { { STR("summary"), str_c(summary) } };
    struct alert_spec spec = { .labels = { l, 2 }, .annotations = { an, 1 }, .generator_url = str_c(url) };
    return alert_new(fs, &spec);
}

/* Of one byte, of as many as one byte of length can say, of one more, of three bytes of length; and an empty one. */
static void texts_of_any_length_come_back(void **state)
{
    (void)state;
    static const size_t lengths[] = { 1, 127, 128, 129, 16383, 16384, 200000 };
    static char text[200000];
    struct label l[ARRAY_LEN(lengths)], an[ARRAY_LEN(lengths) + 1];
    char names[ARRAY_LEN(lengths) + 1][8];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 23);
    for (size_t i = 0; i <= ARRAY_LEN(lengths); i++) {
        (void)snprintf(names[i], sizeof names[i], "n%zu", i);
        size_t n = i < ARRAY_LEN(lengths) ? lengths[ARRAY_LEN(lengths) - 1 - i] : 0;
        an[i] = (struct label){ str_c(names[i]), str_of(text + i, n ? n - i : 0) };
        if (i < ARRAY_LEN(lengths))
            l[i] = (struct label){ str_c(names[i]), str_of(text, lengths[i]) };
    }
    struct labels labels = { l, ARRAY_LEN(l) }, annotations = { an, ARRAY_LEN(an) };
    an[6].value.n = 0;
    struct alert_spec spec = { .labels = labels, .annotations = annotations, .generator_url = STR("u") };
    struct alert *a = alert_new(NULL, &spec);
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    assert_true(labels_eq(alert_labels(a, &arena), labels));
    assert_true(labels_eq(alert_annotations(a, &arena), annotations));
    for (size_t i = 0; i < labels.n; i++)
        assert_true(str_eq(alert_label_value(a, l[i].name), l[i].value));
    assert_int_equal(alert_label_value(a, STR("none")).n, 0);
    assert_int_equal(a->fp, labels_fingerprint(labels));
    assert_int_equal(a->nflog_hash, labels_nflog_hash(labels));
    arena_deinit(&arena);
    alert_release(a);
}

static void alerts_of_one_rule_share_names_and_url(void **state)
{
    (void)state;
    struct alert_families fs = { 0 };
    struct alert *a = make(&fs, "a", "x", "http://p/g"), *b = make(&fs, "b", "y", "http://p/g");
    struct alert *other = make(&fs, "a", "x", "http://p/h");
    assert_ptr_equal(a->family, b->family);
    assert_ptr_not_equal(a->family, other->family);
    assert_true(str_eq(a->family->generator_url, STR("http://p/g")));
    struct label l[] = { { STR("alertname"), STR("A") } }, an[] = { { STR("instance"), STR("a") } };
    struct alert_spec spec = { .labels = { l, 1 }, .annotations = { an, 1 }, .generator_url = STR("http://p/g") };
    struct alert *shifted = alert_new(&fs, &spec);
    an[0].name = STR("summary");
    struct alert *fewer = alert_new(&fs, &spec);
    assert_ptr_not_equal(shifted->family, fewer->family);
    assert_ptr_not_equal(shifted->family, a->family);
    alert_families_deinit(&fs); /* an answer that is being written holds an alert longer than the store lives */
    assert_true(str_eq(alert_label_value(b, STR("instance")), STR("b")));
    alert_release(a);
    alert_release(b);
    alert_release(other);
    alert_release(shifted);
    alert_release(fewer);
}

/* A sender that invents a URL with each send leaves little behind, and what is in use stays shared. */
static void families_without_alerts_go(void **state)
{
    (void)state;
    enum { KEPT = 50, SENDS = 20000 };
    struct alert_families fs = { 0 };
    struct alert *kept[KEPT];
    char url[32];
    for (size_t i = 0; i < KEPT; i++) {
        (void)snprintf(url, sizeof url, "kept%zu", i);
        kept[i] = make(&fs, "k", "", url);
    }
    for (size_t i = 0; i < SENDS; i++) {
        (void)snprintf(url, sizeof url, "%zu", i);
        alert_release(make(&fs, "a", "", url));
        assert_true(fs.by_hash.count <= 4 * KEPT);
    }
    for (size_t i = 0; i < KEPT; i++) {
        (void)snprintf(url, sizeof url, "kept%zu", i);
        struct alert *again = make(&fs, "b", "", url);
        assert_ptr_equal(again->family, kept[i]->family);
        alert_release(again);
        alert_release(kept[i]);
    }
    for (size_t i = 0; i < 4; i++)
        alert_families_sweep(&fs, SIZE_MAX);
    assert_int_equal(fs.by_hash.count, 0);
    alert_families_deinit(&fs);
}

static void order_is_by_job_then_instance_then_labels(void **state)
{
    (void)state;
    static const struct {
        const char *name, *job, *instance;
    } rows[] = {
        { "B", "api", "a" }, { "A", "api", "b" }, { "B", "api", "b" }, { "A", "api", NULL }, { "A", "db", "a" },
        { "A", NULL, "a" },  { "A", NULL, "b" },  { "A", NULL, NULL }, { "B", NULL, NULL },
    };
    struct alert *v[ARRAY_LEN(rows)];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct label l[3] = { { STR("alertname"), str_c(rows[i].name) } };
        size_t n = 1;
        if (rows[i].instance)
            l[n++] = (struct label){ STR("instance"), str_c(rows[i].instance) };
        if (rows[i].job)
            l[n++] = (struct label){ STR("job"), str_c(rows[i].job) };
        struct alert_spec spec = { .labels = labels_normalize(l, n) };
        v[i] = alert_new(NULL, &spec);
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
            int order = alert_compare(v[i], v[k]);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        alert_release(v[i]);
}

/* Where job and instance do not tell, the order is that of label sets. */
static void order_of_packed_labels_is_that_of_sets(void **state)
{
    (void)state;
    enum { ALERTS = 120 };
    struct label l[ALERTS][3];
    struct labels sets[ALERTS];
    struct alert *v[ALERTS];
    static const char *const texts[] = { "", "a", "b", "ab" };
    static const char *const names[] = { "x", "y", "z", "zz" };
    struct rng rng;
    rng_seed(&rng, 9);
    for (size_t i = 0; i < ALERTS; i++) {
        for (size_t k = 0; k < 3; k++)
            l[i][k] = (struct label){ str_c(names[rng_below(&rng, 4)]), str_c(texts[rng_below(&rng, 4)]) };
        sets[i] = labels_normalize(l[i], 3);
        struct alert_spec spec = { .labels = sets[i] };
        v[i] = alert_new(NULL, &spec);
    }
    for (size_t i = 0; i < ALERTS; i++)
        for (size_t k = 0; k < ALERTS; k++) {
            int want = labels_cmp(sets[i], sets[k]), got = alert_compare(v[i], v[k]);
            assert_int_equal((got > 0) - (got < 0), (want > 0) - (want < 0));
        }
    for (size_t i = 0; i < ALERTS; i++)
        alert_release(v[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_any_length_come_back),
        cmocka_unit_test(alerts_of_one_rule_share_names_and_url),
        cmocka_unit_test(families_without_alerts_go),
        cmocka_unit_test(order_is_by_job_then_instance_then_labels),
        cmocka_unit_test(order_of_packed_labels_is_that_of_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
