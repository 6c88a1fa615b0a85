#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "dispatch/members_int.h"

#include <stdio.h>

static struct alert_slot *put(struct alert_store *st, const char *name, const char *job, const char *instance)
{
    struct label l[] = { { STR("alertname"), str_c(name) }, { STR("job"), str_c(job) }, { STR("instance"), str_c(instance) } };
    struct alert_spec spec = { .labels = labels_normalize(l, 3), .generator_url = STR_EMPTY, .ends_at = { 100, 0 } };
    struct alert_slot *s;
    alert_store_put(st, (struct wire_time){ 1, 0 }, &spec, &s);
    return s;
}

static void order_is_job_then_instance_those_without_last(void **state)
{
    (void)state;
    struct alert_store_options o = { 0 };
    struct alert_store *st = alert_store_new(&o);
    struct alert_slot *want[] = { put(st, "Z", "a", "1"), put(st, "A", "a", "2"), put(st, "A", "a", ""),
                                  put(st, "A", "b", "1"), put(st, "A", "", "0"),  put(st, "A", "", ""),
                                  put(st, "B", "", "") };
    struct members m = { 0 };
    for (size_t i = 7; i-- > 0;)
        group_members_add(&m, want[i]);
    struct member_at at = { 0 };
    for (size_t i = 0; i < 7; i++)
        assert_ptr_equal(group_members_next(&m, &at), want[i]);
    assert_null(group_members_next(&m, &at));
    group_members_deinit(&m);
    alert_store_free(st);
}

static void stays_in_order_through_churn(void **state)
{
    (void)state;
    enum { SLOTS = 3000 };
    static struct alert_slot *slots[SLOTS];
    static bool in[SLOTS];
    struct alert_store_options o = { 0 };
    struct alert_store *st = alert_store_new(&o);
    struct rng rng;
    struct members m = { 0 };
    size_t count = 0;
    rng_seed(&rng, 5);
    for (size_t i = 0; i < SLOTS; i++) {
        char instance[32];
        (void)snprintf(instance, sizeof instance, "i%zu", i);
        slots[i] = put(st, "A", i % 2 ? "x" : "y", instance);
    }
    for (int step = 0; step < 20000; step++) {
        size_t i = (size_t)rng_below(&rng, SLOTS);
        if (in[i]) {
            if (rng_below(&rng, 3))
                continue;
            assert_true(group_members_remove(&m, slots[i]));
            count--;
        } else {
            group_members_add(&m, slots[i]);
            count++;
        }
        in[i] = !in[i];
    }
    assert_int_equal(m.count, count);
    struct member_at at = { 0 };
    struct alert_slot *s, *before = NULL;
    size_t seen = 0;
    while ((s = group_members_next(&m, &at)) != NULL) {
        if (before)
            assert_true(alert_compare(before->value, s->value) < 0);
        before = s;
        seen++;
    }
    assert_int_equal(seen, count);
    for (size_t i = 0; i < SLOTS; i++)
        assert_int_equal(group_members_remove(&m, slots[i]), in[i]);
    assert_int_equal(m.count, 0);
    group_members_deinit(&m);
    alert_store_free(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_job_then_instance_those_without_last),
        cmocka_unit_test(stays_in_order_through_churn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
