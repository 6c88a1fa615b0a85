#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/heap.h"
#include "base/rng.h"

#include "base/compiler.h"

enum { TIMERS = 200 };

static mono_ms at(int64_t ms)
{
    return (mono_ms){ ms };
}

static void equal_deadlines_fire_in_order_of_arming(void **state)
{
    (void)state;
    struct timer_heap h = { 0 };
    struct timer_entry t[TIMERS] = { 0 };
    for (size_t i = 0; i < TIMERS; i++)
        timer_arm(&h, &t[i], at(5));
    timer_arm(&h, &t[0], at(5)); /* armed again: now the last */
    for (size_t i = 1; i < TIMERS; i++)
        assert_ptr_equal(timer_pop(&h, at(5)), &t[i]);
    assert_ptr_equal(timer_pop(&h, at(5)), &t[0]);
    assert_null(timer_pop(&h, at(5)));
    timer_heap_deinit(&h);
}

static void nothing_fires_before_its_time(void **state)
{
    (void)state;
    struct timer_heap h = { 0 };
    struct timer_entry t = { 0 };
    assert_true(timer_next(&h).ms == MONO_NEVER.ms);
    timer_arm(&h, &t, at(10));
    assert_int_equal(timer_next(&h).ms, 10);
    assert_null(timer_pop(&h, at(9)));
    assert_ptr_equal(timer_pop(&h, at(10)), &t);
    assert_false(timer_is_armed(&t));
    timer_disarm(&h, &t);
    timer_heap_deinit(&h);
}

static void random_arming_keeps_the_order(void **state)
{
    (void)state;
    struct timer_heap h = { 0 };
    struct timer_entry t[TIMERS] = { 0 };
    struct rng rng;
    rng_seed(&rng, 4);
    for (int step = 0; step < 20000; step++) {
        struct timer_entry *e = &t[rng_below(&rng, TIMERS)];
        if (rng_below(&rng, 3))
            timer_arm(&h, e, at((int64_t)rng_below(&rng, 1000)));
        else
            timer_disarm(&h, e);
        struct timer_entry *first = NULL;
        size_t armed = 0;
        for (size_t i = 0; i < TIMERS; i++) {
            if (!timer_is_armed(&t[i]))
                continue;
            armed++;
            if (!first || t[i].deadline.ms < first->deadline.ms ||
                (t[i].deadline.ms == first->deadline.ms && t[i].order < first->order))
                first = &t[i];
        }
        assert_int_equal(h.count, armed);
        if (first)
            assert_int_equal(timer_next(&h).ms, first->deadline.ms);
        if (first && step % 7 == 0)
            assert_ptr_equal(timer_pop(&h, first->deadline), first);
    }
    timer_heap_deinit(&h);
    for (size_t i = 0; i < TIMERS; i++)
        assert_false(timer_is_armed(&t[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_deadlines_fire_in_order_of_arming),
        cmocka_unit_test(nothing_fires_before_its_time),
        cmocka_unit_test(random_arming_keeps_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
