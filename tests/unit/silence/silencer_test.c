#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "lib/alloc_count.h"
#include "silence/silence.h"

#include <stdio.h>

enum { ALERTS = 200, IDS = 64 };

struct world {
    struct alert_store *alerts;
    struct silence_store *silences;
    struct silencer *sl;
    struct rng rng;
    struct err err;
    char id[SILENCE_ID_TEXT];
};

static struct wire_time at(int64_t s)
{
    return (struct wire_time){ 1767225600 + s, 0 };
}

static void begin(struct world *w)
{
    struct alert_store_options ao = { 0 };
    struct silence_options so = { .retention_ms = 3600 * 1000 };
    *w = (struct world){ .alerts = alert_store_new(&ao), .silences = silence_store_new(&so) };
    w->sl = silencer_new(w->silences, w->alerts);
    rng_seed(&w->rng, 3);
}

static void end(struct world *w)
{
    silencer_free(w->sl);
    silence_store_free(w->silences);
    alert_store_free(w->alerts);
}

static struct alert_slot *put(struct world *w, int i, int64_t now, int64_t end_s)
{
    char instance[24], job[24];
    (void)snprintf(instance, sizeof instance, "i%d", i);
    (void)snprintf(job, sizeof job, "j%d", i % 5);
    struct label l[] = { { STR("alertname"), STR("A") }, { STR("instance"), str_c(instance) }, { STR("job"), str_c(job) } };
    struct alert_spec spec = { .labels = labels_normalize(l, 3), .generator_url = STR_EMPTY, .starts_at = at(now - 1),
                               .ends_at = at(end_s), .updated_at = at(now) };
    struct alert_slot *s;
    alert_store_put(w->alerts, at(now), &spec, &s);
    return s;
}

static void silence(struct world *w, int64_t now, enum match_op op, const char *name, const char *value, int64_t start,
                    int64_t end_s)
{
    struct matcher m = { .op = op, .name = str_c(name), .value = str_c(value) };
    struct matchers set = { &m, 1 };
    struct silence_spec spec = { .id = STR_EMPTY, .sets = &set, .sets_count = 1, .starts_at = at(start),
                                 .ends_at = at(end_s), .created_by = STR_EMPTY, .comment = STR_EMPTY };
    struct silence_changes c;
    assert_true(silence_store_set(w->silences, at(now), &spec, &w->rng, w->id, &c, &w->err));
    silence_changes_deinit(&c);
}

static size_t muted(struct world *w, int64_t now, struct alert_slot *s)
{
    struct str ids[IDS];
    return silencer_query(w->sl, at(now), s, ids, IDS);
}

static void new_silence_mutes_at_once_even_before_its_slice(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct alert_slot *s = put(&w, 1, 0, 900);
    assert_int_equal(muted(&w, 0, s), 0);
    silence(&w, 1, MATCH_EQ, "instance", "i1", 1, 500);
    assert_true(silencer_pending(w.sl));
    assert_int_equal(muted(&w, 2, s), 1);
    while (silencer_step(w.sl, 10))
        continue;
    assert_int_equal(muted(&w, 2, s), 1);
    assert_int_equal(muted(&w, 501, s), 0);
    end(&w);
}

static void pending_silence_takes_effect_by_the_clock_alone(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct alert_slot *s = put(&w, 1, 0, 900);
    silence(&w, 0, MATCH_RE, "instance", "i.", 100, 500);
    while (silencer_step(w.sl, 10))
        continue;
    assert_int_equal(muted(&w, 99, s), 0);
    assert_int_equal(muted(&w, 100, s), 1);
    end(&w);
}

static void expiring_unmutes_at_once(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct alert_slot *s = put(&w, 1, 0, 900);
    silence(&w, 0, MATCH_EQ, "job", "j1", 0, 500);
    assert_int_equal(muted(&w, 1, s), 1);
    struct silence_changes c;
    assert_true(silence_store_expire(w.silences, at(10), str_of(w.id, sizeof w.id), &c, &w.err));
    silence_changes_deinit(&c);
    assert_int_equal(muted(&w, 11, s), 0);
    end(&w);
}

static void answer_that_is_known_costs_no_search_and_no_memory(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct alert_slot *s = put(&w, 1, 0, 900);
    silence(&w, 0, MATCH_EQ, "instance", "i1", 0, 500);
    while (silencer_step(w.sl, 10))
        continue;
    muted(&w, 1, s);
    uint64_t queries = counter_get(&silence_store_stats(w.silences)->queries), allocations = alloc_count();
    assert_int_equal(muted(&w, 2, s), 1);
    assert_int_equal(counter_get(&silence_store_stats(w.silences)->queries), queries);
    assert_int_equal(alloc_count() - allocations, 0);
    end(&w);
}

static void ids_are_ordered_and_capped(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    struct alert_slot *s = put(&w, 1, 0, 900);
    for (int i = 0; i < 20; i++)
        silence(&w, 0, MATCH_EQ, "instance", "i1", 0, 500 + i);
    struct str ids[5];
    assert_int_equal(silencer_query(w.sl, at(1), s, ids, 5), 20);
    for (size_t i = 1; i < 5; i++)
        assert_true(str_cmp(ids[i - 1], ids[i]) < 0);
    end(&w);
}

static void work_is_cut_into_slices(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    for (int i = 0; i < 5000; i++)
        muted(&w, 0, put(&w, i, 0, 900));
    silence(&w, 0, MATCH_RE, "instance", "i.*7", 0, 500); /* no exact matcher: a walk over all */
    size_t steps = 1;
    while (silencer_step(w.sl, 500))
        steps++;
    assert_true(steps >= 9);
    struct alert_slot *s = put(&w, 17, 0, 900);
    assert_int_equal(muted(&w, 1, s), 1);
    end(&w);
}

/* ---- Against a plain search, through a random life ---- */

static size_t expected(struct world *w, int64_t now, const struct alert_slot *s)
{
    struct silence_view *v = silence_store_view(w->silences);
    struct arena arena;
    size_t n = 0;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct labels ls = alert_labels(s->value, &arena);
    for (size_t i = 0; i < v->n; i++)
        n += silence_state_at(v->v[i], at(now)) == SILENCE_ACTIVE && silence_matches(v->v[i], ls);
    arena_deinit(&arena);
    silence_view_release(v);
    return n;
}

static void random_silence(struct world *w, int64_t now)
{
    char value[24];
    int64_t start = now + (int64_t)rng_below(&w->rng, 30), end_s = start + (int64_t)rng_below(&w->rng, 200);
    switch (rng_below(&w->rng, 6)) {
    case 0:
        (void)snprintf(value, sizeof value, "i%d|i%d", (int)rng_below(&w->rng, ALERTS), (int)rng_below(&w->rng, ALERTS));
        silence(w, now, MATCH_RE, "instance", value, start, end_s);
        break;
    case 1:
        (void)snprintf(value, sizeof value, "i%d.*", (int)rng_below(&w->rng, 20));
        silence(w, now, MATCH_RE, "instance", value, start, end_s);
        break;
    case 2:
        (void)snprintf(value, sizeof value, "j%d", (int)rng_below(&w->rng, 5));
        silence(w, now, MATCH_NE, "job", value, start, end_s);
        break;
    case 3:
        (void)snprintf(value, sizeof value, "j%d", (int)rng_below(&w->rng, 5));
        silence(w, now, MATCH_EQ, "job", value, start, end_s);
        break;
    default:
        (void)snprintf(value, sizeof value, "i%d", (int)rng_below(&w->rng, ALERTS));
        silence(w, now, MATCH_EQ, "instance", value, start, end_s);
        break;
    }
}

/* A known silence ends now, or comes back from a peer with a later end. */
static void random_change(struct world *w, int64_t now)
{
    struct silence_view *v = silence_store_view(w->silences);
    if (v->n) {
        const struct silence *s = v->v[rng_below(&w->rng, v->n)];
        struct silence_changes c = { 0 };
        if (rng_below(&w->rng, 2)) {
            assert_true(silence_store_expire(w->silences, at(now), s->id, &c, &w->err));
            silence_changes_deinit(&c);
        } else {
            struct silence_spec spec = { .id = s->id, .sets = s->sets, .sets_count = s->sets_count,
                                         .starts_at = s->starts_at, .ends_at = at(now + 100),
                                         .created_by = STR_EMPTY, .comment = STR_EMPTY };
            if (silence_store_set(w->silences, at(now), &spec, &w->rng, w->id, &c, &w->err))
                silence_changes_deinit(&c);
        }
    }
    silence_view_release(v);
}

static void answers_agree_with_a_plain_search_through_a_random_life(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    for (int64_t now = 0; now < 2500; now++) {
        int i = (int)rng_below(&w.rng, ALERTS);
        put(&w, i, now, rng_below(&w.rng, 4) ? now + 400 : now);
        if (rng_below(&w.rng, 6) == 0)
            random_silence(&w, now);
        if (rng_below(&w.rng, 10) == 0)
            random_change(&w, now);
        if (rng_below(&w.rng, 3) == 0)
            silencer_step(w.sl, 1 + (size_t)rng_below(&w.rng, 40));
        if (now % 100 == 99) {
            uint32_t cursor = 0;
            alert_store_gc(w.alerts, at(now), &cursor, SIZE_MAX);
            size_t from = 0;
            silence_store_gc(w.silences, at(now), &from, SIZE_MAX);
        }
        uint32_t cursor = (uint32_t)rng_below(&w.rng, ALERTS);
        struct alert_slot *s;
        for (int k = 0; k < 8 && (s = alert_store_next(w.alerts, &cursor)) != NULL; k++)
            assert_int_equal(muted(&w, now, s), expected(&w, now, s));
    }
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_silence_mutes_at_once_even_before_its_slice),
        cmocka_unit_test(pending_silence_takes_effect_by_the_clock_alone),
        cmocka_unit_test(expiring_unmutes_at_once),
        cmocka_unit_test(answer_that_is_known_costs_no_search_and_no_memory),
        cmocka_unit_test(ids_are_ordered_and_capped),
        cmocka_unit_test(work_is_cut_into_slices),
        cmocka_unit_test(answers_agree_with_a_plain_search_through_a_random_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
