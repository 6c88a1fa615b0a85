#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "inhibit/inhibit.h"

struct world {
    struct alert_store *alerts;
    struct inhibitor *in;
    struct matcher source[1], target[1];
    struct str equal[1];
    struct inhibit_rule rule;
};

static struct wire_time at(int64_t s)
{
    return (struct wire_time){ 1000000 + s, 0 };
}

/* s="1" inhibits t="1", perhaps with equal cluster. */
static void begin(struct world *w, bool equal)
{
    struct alert_store_options o = { 0 };
    *w = (struct world){ .alerts = alert_store_new(&o) };
    w->source[0] = (struct matcher){ .op = MATCH_EQ, .name = STR("s"), .value = STR("1") };
    w->target[0] = (struct matcher){ .op = MATCH_EQ, .name = STR("t"), .value = STR("1") };
    w->equal[0] = STR("cluster");
    w->rule = (struct inhibit_rule){ STR("r"), { w->source, 1 }, { w->target, 1 }, w->equal, equal ? 1 : 0 };
    w->in = inhibitor_new(&w->rule, 1, w->alerts);
}

static void end(struct world *w)
{
    inhibitor_free(w->in);
    alert_store_free(w->alerts);
}

/* name, s, t, cluster: empty texts are absent labels */
static struct alert_slot *put(struct world *w, const char *name, const char *s, const char *t, const char *cluster,
                              int64_t end_s, int64_t now)
{
    struct label l[] = { { STR("alertname"), str_c(name) }, { STR("s"), str_c(s) }, { STR("t"), str_c(t) },
                         { STR("cluster"), str_c(cluster) } };
    struct alert_spec spec = { .labels = labels_normalize(l, 4), .generator_url = STR_EMPTY, .starts_at = at(0),
                               .ends_at = at(end_s), .updated_at = at(now) };
    struct alert_slot *slot;
    alert_store_put(w->alerts, at(now), &spec, &slot);
    inhibitor_put(w->in, slot);
    return slot;
}

static bool muted(struct world *w, struct alert_slot *s, int64_t now)
{
    fingerprint by;
    return inhibitor_query(w->in, at(now), s, &by);
}

static void source_mutes_target_until_it_ends(void **state)
{
    (void)state;
    struct world w;
    begin(&w, false);
    struct alert_slot *t = put(&w, "t", "", "1", "", 900, 0);
    assert_false(muted(&w, t, 0));
    struct alert_slot *s = put(&w, "s", "1", "", "", 100, 1);
    fingerprint by;
    assert_true(inhibitor_query(w.in, at(50), t, &by));
    assert_int_equal(by, s->fp);
    assert_false(muted(&w, s, 50));
    assert_false(muted(&w, t, 100)); /* ends_at <= now */
    put(&w, "s", "1", "", "", 300, 60);
    assert_true(muted(&w, t, 200));
    end(&w);
}

static void equal_labels_count_missing_as_empty(void **state)
{
    (void)state;
    struct world w;
    begin(&w, true);
    put(&w, "s", "1", "", "a", 900, 0);
    struct alert_slot *same = put(&w, "t", "", "1", "a", 900, 0), *none = put(&w, "u", "", "1", "", 900, 0);
    assert_true(muted(&w, same, 1));
    assert_false(muted(&w, none, 1));
    put(&w, "s2", "1", "", "", 900, 0);
    assert_true(muted(&w, none, 1));
    end(&w);
}

static void two_sided_alerts_do_not_mute_each_other_nor_themselves(void **state)
{
    (void)state;
    struct world w;
    begin(&w, false);
    struct alert_slot *a = put(&w, "a", "1", "1", "", 900, 0), *b = put(&w, "b", "1", "1", "", 900, 0);
    assert_false(muted(&w, a, 1));
    assert_false(muted(&w, b, 1));
    struct alert_slot *plain = put(&w, "p", "", "1", "", 900, 0);
    assert_true(muted(&w, plain, 1));
    end(&w);
}

/* One source is indexed per value of the equal labels: the one that lasts longest. */
static void longest_source_is_indexed_and_hides_others(void **state)
{
    (void)state;
    struct world w;
    begin(&w, false);
    put(&w, "pure", "1", "", "", 300, 0);
    put(&w, "both", "1", "1", "", 600, 0);
    struct alert_slot *target = put(&w, "tgt", "1", "1", "", 300, 0);
    assert_false(muted(&w, target, 1)); /* "both" is indexed, and matches both sides as the target does */
    end(&w);

    begin(&w, false);
    put(&w, "both", "1", "1", "", 300, 0);
    put(&w, "pure", "1", "", "", 600, 0);
    target = put(&w, "tgt", "1", "1", "", 300, 0);
    assert_true(muted(&w, target, 1));
    end(&w);
}

static void collection_empties_the_slot_of_its_values_even_if_another_was_named(void **state)
{
    (void)state;
    struct world w;
    begin(&w, false);
    put(&w, "short", "1", "", "", 100, 0);
    put(&w, "long", "1", "", "", 900, 0);
    struct alert_slot *t = put(&w, "t", "", "1", "", 900, 0);
    assert_true(muted(&w, t, 50));
    inhibitor_gc(w.in, at(100)); /* "short" goes, and takes the index entry that names "long" */
    assert_int_equal(inhibitor_sources_count(w.in), 1);
    assert_false(muted(&w, t, 100));
    put(&w, "long", "1", "", "", 900, 101); /* received again: indexed again */
    assert_true(muted(&w, t, 101));
    end(&w);
}

static void source_collected_by_the_store_still_mutes_while_it_has_not_ended(void **state)
{
    (void)state;
    struct world w;
    begin(&w, false);
    struct alert_slot *s = put(&w, "s", "1", "", "", 100, 0), *t = put(&w, "t", "", "1", "", 900, 0);
    uint32_t cursor = 0;
    alert_store_gc(w.alerts, at(100), &cursor, 100);
    assert_false(s->listed);
    assert_int_equal(inhibitor_sources_count(w.in), 1); /* its own copy, as upstream */
    assert_true(muted(&w, t, 99));
    inhibitor_gc(w.in, at(100));
    assert_int_equal(inhibitor_sources_count(w.in), 0); /* and the slot is gone with it */
    end(&w);
}

static void held_source_counts_as_firing(void **state)
{
    (void)state;
    struct world w;
    begin(&w, false);
    put(&w, "s", "1", "", "", 100, 0);
    struct alert_slot *t = put(&w, "t", "", "1", "", 900, 0);
    alert_store_restored(w.alerts, at(50), at(200));
    assert_true(muted(&w, t, 200));
    alert_store_release_held(w.alerts);
    assert_false(muted(&w, t, 200));
    end(&w);
}

static void new_rules_forget_what_the_old_ones_remembered(void **state)
{
    (void)state;
    struct world w;
    begin(&w, false);
    struct alert_slot *s = put(&w, "s", "1", "", "", 900, 0), *t = put(&w, "t", "", "1", "", 900, 0),
                      *other = put(&w, "o", "", "", "", 900, 0);
    assert_true(muted(&w, t, 1));
    assert_false(muted(&w, other, 1));
    inhibitor_free(w.in);
    w.source[0] = (struct matcher){ .op = MATCH_EQ, .name = STR("t"), .value = STR("1") };
    w.target[0] = (struct matcher){ .op = MATCH_EQ, .name = STR("alertname"), .value = STR("o") };
    w.in = inhibitor_new(&w.rule, 1, w.alerts);
    inhibitor_put(w.in, s);
    inhibitor_put(w.in, t);
    inhibitor_put(w.in, other);
    assert_false(muted(&w, t, 1));
    assert_true(muted(&w, other, 1));
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(source_mutes_target_until_it_ends),
        cmocka_unit_test(equal_labels_count_missing_as_empty),
        cmocka_unit_test(two_sided_alerts_do_not_mute_each_other_nor_themselves),
        cmocka_unit_test(longest_source_is_indexed_and_hides_others),
        cmocka_unit_test(collection_empties_the_slot_of_its_values_even_if_another_was_named),
        cmocka_unit_test(source_collected_by_the_store_still_mutes_while_it_has_not_ended),
        cmocka_unit_test(held_source_counts_as_firing),
        cmocka_unit_test(new_rules_forget_what_the_old_ones_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
