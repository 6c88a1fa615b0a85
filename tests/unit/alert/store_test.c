#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alert/store.h"
#include "base/mem.h"
#include "base/rng.h"
#include "lib/alloc_count.h"

#include <stdio.h>

static struct wire_time at(int64_t s)
{
    return (struct wire_time){ 1000000 + s, 0 };
}

static struct alert_spec spec_of(struct label *labels, size_t n, int64_t start, int64_t end, int64_t updated)
{
    return (struct alert_spec){
        .labels = labels_normalize(labels, n),
        .generator_url = STR("http://prom/g"),
        .starts_at = at(start),
        .ends_at = at(end),
        .updated_at = at(updated),
    };
}

static struct alert_store *new_store(int64_t limit)
{
    struct alert_store_options o = { .per_alertname_limit = limit };
    return alert_store_new(&o);
}

static enum alert_change put(struct alert_store *st, const char *name, int64_t start, int64_t end, int64_t now,
                             struct alert_slot **slot)
{
    struct label l[] = { { STR("alertname"), str_c(name) } };
    struct alert_spec s = spec_of(l, 1, start, end, now);
    return alert_store_put(st, at(now), &s, slot);
}

static void unchanged_resend_moves_times_and_allocates_nothing(void **state)
{
    (void)state;
    struct alert_store *st = new_store(0);
    struct alert_slot *s;
    assert_int_equal(put(st, "A", 0, 240, 0, &s), ALERT_NEW);
    const struct alert *value = s->value;
    put(st, "A", 0, 270, 30, &s);
    uint64_t version = alert_store_version(st), allocations = alloc_count();
    assert_int_equal(put(st, "A", 0, 300, 60, &s), ALERT_RESENT);
    assert_int_equal(alloc_count() - allocations, 0);
    assert_ptr_equal(s->value, value);
    assert_int_equal(wire_time_cmp(s->ends_at, at(300)), 0);
    assert_int_equal(wire_time_cmp(s->updated_at, at(60)), 0);
    assert_true(alert_store_version(st) > version);
    alert_store_free(st);
}

static void changed_annotation_replaces_the_value(void **state)
{
    (void)state;
    struct alert_store *st = new_store(0);
    struct alert_slot *s;
    put(st, "A", 0, 240, 0, &s);
    struct label l[] = { { STR("alertname"), STR("A") } }, a[] = { { STR("summary"), STR("new") } };
    struct alert_spec spec = spec_of(l, 1, 0, 300, 60);
    spec.annotations = labels_normalize(a, 1);
    assert_int_equal(alert_store_put(st, at(60), &spec, &s), ALERT_CHANGED);
    struct label first;
    struct alert_walk w = alert_walk_annotations(s->value);
    assert_true(alert_walk_next(&w, &first));
    assert_true(str_eq(first.name, STR("summary")) && str_eq(first.value, STR("new")));
    alert_store_free(st);
}

static void resolution_and_return_are_changes(void **state)
{
    (void)state;
    struct alert_store *st = new_store(0);
    struct alert_slot *s;
    put(st, "A", 0, 240, 0, &s);
    assert_int_equal(put(st, "A", 0, 50, 50, &s), ALERT_CHANGED);
    assert_int_equal(alert_slot_state(s, at(50)), ALERT_RESOLVED);
    assert_int_equal(put(st, "A", 60, 300, 60, &s), ALERT_CHANGED);
    assert_int_equal(alert_slot_state(s, at(60)), ALERT_FIRING);
    alert_store_free(st);
}

/* spec 4.1, the table of ends: (stored, fresh) -> end. Both overlap; fresh is younger. */
static void ends_merge_as_the_table_says(void **state)
{
    (void)state;
    static const struct {
        int64_t old_end, new_end, now;
        bool old_timeout;
        int64_t want;
    } rows[] = {
        { 300, 200, 100, false, 300 }, /* both fire, the older is explicit and later: it rules */
        { 300, 200, 100, true, 200 },  /* the older was a guess */
        { 300, 90, 100, false, 90 },   /* the younger resolves */
        { 95, 90, 100, false, 95 },    /* both resolved: the later end */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct alert_store *st = new_store(0);
        struct alert_slot *s;
        struct label l[] = { { STR("alertname"), STR("A") } };
        struct alert_spec old = spec_of(l, 1, 0, rows[i].old_end, 10), fresh = spec_of(l, 1, 20, rows[i].new_end, 100);
        old.timeout = rows[i].old_timeout;
        alert_store_put(st, at(10), &old, &s);
        alert_store_put(st, at(rows[i].now), &fresh, &s);
        assert_int_equal(s->ends_at.s - at(0).s, rows[i].want);
        assert_int_equal(s->value->starts_at.s, at(0).s); /* the earlier start stays */
        alert_store_free(st);
    }
}

static void ranges_that_do_not_overlap_replace(void **state)
{
    (void)state;
    struct alert_store *st = new_store(0);
    struct alert_slot *s;
    put(st, "A", 0, 10, 0, &s);
    put(st, "A", 20, 300, 20, &s);
    assert_int_equal(s->value->starts_at.s, at(20).s);
    alert_store_free(st);
}

static void what_is_said_last_is_newest_whatever_the_clocks_say(void **state)
{
    (void)state;
    struct alert_store *st = new_store(0);
    struct alert_slot *s;
    struct label l[] = { { STR("alertname"), STR("A") } };
    struct alert_spec ahead = spec_of(l, 1, 0, 400, 100);
    alert_store_merge(st, at(50), &ahead, &s); /* a peer whose clock is 50 s ahead */
    put(st, "A", 0, 60, 60, &s);
    assert_int_equal(alert_slot_state(s, at(60)), ALERT_RESOLVED);
    assert_true(wire_time_cmp(s->updated_at, at(100)) > 0);
    alert_store_free(st);
}

static void peers_copies_win_by_updated_at_then_by_end(void **state)
{
    (void)state;
    struct alert_store *st = new_store(0);
    struct alert_slot *s;
    struct label l[] = { { STR("alertname"), STR("A") } };
    struct alert_spec a = spec_of(l, 1, 0, 300, 100), older = spec_of(l, 1, 0, 900, 99);
    assert_int_equal(alert_store_merge(st, at(100), &a, &s), ALERT_NEW);
    assert_int_equal(alert_store_merge(st, at(100), &a, &s), ALERT_OLDER);
    assert_int_equal(alert_store_merge(st, at(100), &older, &s), ALERT_OLDER);
    struct alert_spec longer = spec_of(l, 1, 0, 301, 100);
    assert_int_equal(alert_store_merge(st, at(100), &longer, &s), ALERT_RESENT);
    assert_int_equal(alert_store_merge_times(st, at(100), s->fp, at(350), at(101), &s), ALERT_RESENT);
    assert_int_equal(s->ends_at.s, at(350).s);
    assert_int_equal(alert_store_merge_times(st, at(100), 12345, at(350), at(101), &s), ALERT_UNKNOWN);
    assert_null(s);
    alert_store_free(st);
}

static void referenced_slot_outlives_collection_and_is_reused(void **state)
{
    (void)state;
    struct alert_store *st = new_store(0);
    struct alert_slot *s, *again;
    put(st, "A", 0, 10, 0, &s);
    alert_slot_retain(s);
    uint32_t cursor = 0;
    assert_false(alert_store_gc(st, at(10), &cursor, 100));
    assert_int_equal(alert_store_count(st), 0);
    assert_ptr_equal(alert_store_get(st, s->fp), s);
    assert_false(s->listed);
    assert_int_equal(put(st, "A", 50, 300, 50, &again), ALERT_NEW);
    assert_ptr_equal(again, s);
    assert_int_equal(s->value->starts_at.s, at(50).s); /* nothing is merged with what was collected */
    alert_slot_release(st, s);
    cursor = 0;
    alert_store_gc(st, at(300), &cursor, 100);
    assert_null(alert_store_get(st, again->fp));
    alert_store_free(st);
}

static size_t ends_seen;
static void on_end(void *arg, struct alert_slot *s)
{
    (void)arg;
    s->memo[ALERT_MEMO_DISPATCH] = NULL;
    ends_seen++;
}

static void memo_owner_is_told_of_the_end(void **state)
{
    (void)state;
    struct alert_store *st = new_store(0);
    struct alert_slot *s;
    ends_seen = 0;
    alert_store_on_end(st, ALERT_MEMO_DISPATCH, on_end, NULL);
    put(st, "A", 0, 10, 0, &s);
    put(st, "B", 0, 10, 0, &s);
    s->memo[ALERT_MEMO_DISPATCH] = s;
    uint32_t cursor = 0;
    alert_store_gc(st, at(10), &cursor, 100);
    assert_int_equal(ends_seen, 1);
    alert_store_free(st);
}

static void limit_refuses_unless_the_first_to_end_has_ended(void **state)
{
    (void)state;
    struct alert_store *st = new_store(2);
    struct alert_slot *s;
    char instance[16];
    for (int i = 0; i < 4; i++) {
        (void)snprintf(instance, sizeof instance, "i%d", i);
        struct label l[] = { { STR("alertname"), STR("A") }, { STR("instance"), str_c(instance) } };
        struct alert_spec spec = spec_of(l, 2, 0, i == 0 ? 10 : 300, i);
        enum alert_change c = alert_store_put(st, at(i), &spec, &s);
        assert_int_equal(c, i < 2 ? ALERT_NEW : ALERT_REFUSED);
    }
    assert_int_equal(counter_get(&alert_store_stats(st)->limited), 2);
    struct label l[] = { { STR("alertname"), STR("A") }, { STR("instance"), STR("late") } };
    struct alert_spec spec = spec_of(l, 2, 20, 300, 20);
    assert_int_equal(alert_store_put(st, at(20), &spec, &s), ALERT_NEW); /* i0 has ended: its place is taken */
    assert_int_equal(alert_store_count(st), 3);                          /* and it is visible until collection */
    assert_int_equal(put(st, "B", 0, 300, 20, &s), ALERT_NEW);           /* another name has its own limit */
    alert_store_free(st);
}

static void held_alerts_are_those_that_ran_out_unheard(void **state)
{
    (void)state;
    struct alert_store *st = new_store(0);
    struct alert_slot *resolved, *ahead, *ran_out, *before;
    put(st, "resolved", 0, 90, 95, &resolved); /* a sender resolved it */
    put(st, "ahead", 0, 900, 95, &ahead);
    put(st, "ran_out", 0, 300, 95, &ran_out);
    put(st, "before", 0, 97, 95, &before); /* ran out while the process was alive */
    assert_int_equal(alert_store_restored(st, at(100), at(700)), 1);
    assert_int_equal(alert_slot_state(resolved, at(700)), ALERT_RESOLVED);
    assert_int_equal(alert_slot_state(ahead, at(700)), ALERT_FIRING);
    assert_int_equal(alert_slot_state(ran_out, at(700)), ALERT_HELD);
    assert_int_equal(alert_slot_state(before, at(700)), ALERT_RESOLVED);
    uint32_t cursor = 0;
    alert_store_gc(st, at(700), &cursor, 100);
    assert_true(ran_out->listed); /* it is shown: nobody collects it */
    assert_int_equal(put(st, "ran_out", 0, 1000, 710, &ran_out), ALERT_RESENT);
    assert_int_equal(alert_slot_state(ran_out, at(710)), ALERT_FIRING);
    assert_int_equal(alert_store_held_count(st), 0);
    alert_store_free(st);
}

static void release_of_held_alerts_resolves_them(void **state)
{
    (void)state;
    struct alert_store *st = new_store(0);
    struct alert_slot *s;
    put(st, "A", 0, 300, 95, &s);
    alert_store_restored(st, at(100), at(700));
    assert_int_equal(alert_store_release_held(st), 1);
    assert_int_equal(alert_slot_state(s, at(700)), ALERT_RESOLVED);
    assert_int_equal(alert_store_release_held(st), 0);
    alert_store_free(st);
}

/* Random life of 300 alerts beside a plain array: every listed alert is found by each of its labels, and by walking. */
static void label_index_names_every_alert_through_churn(void **state)
{
    (void)state;
    enum { ALERTS = 300 };
    struct alert_store *st = new_store(0);
    struct alert_slot *slots[ALERTS] = { 0 };
    char instance[ALERTS][16], job[ALERTS][16];
    struct rng rng;
    rng_seed(&rng, 4);
    for (int i = 0; i < ALERTS; i++) {
        (void)snprintf(instance[i], sizeof instance[i], "i%d", i);
        (void)snprintf(job[i], sizeof job[i], "j%d", i % 3);
    }
    for (int step = 0; step < 6000; step++) {
        size_t i = (size_t)rng_below(&rng, ALERTS);
        struct label l[] = { { STR("instance"), str_c(instance[i]) }, { STR("job"), str_c(job[i]) } };
        bool fire = rng_below(&rng, 2);
        struct alert_spec spec = spec_of(l, 2, step - 1, fire ? step + 10000 : step, step);
        alert_store_put(st, at(step), &spec, &slots[i]);
        if (!fire)
            slots[i] = NULL;
        if (step % 50 == 0) {
            uint32_t cursor = 0;
            while (alert_store_gc(st, at(step), &cursor, 64))
                continue;
        }
    }
    uint32_t cursor = 0;
    alert_store_gc(st, at(6000), &cursor, SIZE_MAX);
    size_t alive = 0;
    for (size_t i = 0; i < ALERTS; i++) {
        if (!slots[i])
            continue;
        alive++;
        const char *names[] = { "instance", "job" }, *values[] = { instance[i], job[i] };
        for (size_t k = 0; k < 2; k++) {
            const uint32_t *v;
            size_t n = alert_store_candidates(st, str_c(names[k]), str_c(values[k]), &v), found = 0;
            for (size_t j = 0; j < n; j++)
                found += v[j] == slots[i]->index;
            assert_true(found > 0);
            assert_true(n < ALERTS * 4); /* garbage is swept */
        }
    }
    assert_int_equal(alert_store_count(st), alive);
    const uint32_t *v;
    assert_int_equal(alert_store_candidates(st, STR("job"), STR("none"), &v), 0);
    alert_store_free(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unchanged_resend_moves_times_and_allocates_nothing),
        cmocka_unit_test(changed_annotation_replaces_the_value),
        cmocka_unit_test(resolution_and_return_are_changes),
        cmocka_unit_test(ends_merge_as_the_table_says),
        cmocka_unit_test(ranges_that_do_not_overlap_replace),
        cmocka_unit_test(what_is_said_last_is_newest_whatever_the_clocks_say),
        cmocka_unit_test(peers_copies_win_by_updated_at_then_by_end),
        cmocka_unit_test(referenced_slot_outlives_collection_and_is_reused),
        cmocka_unit_test(memo_owner_is_told_of_the_end),
        cmocka_unit_test(limit_refuses_unless_the_first_to_end_has_ended),
        cmocka_unit_test(held_alerts_are_those_that_ran_out_unheard),
        cmocka_unit_test(release_of_held_alerts_resolves_them),
        cmocka_unit_test(label_index_names_every_alert_through_churn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
