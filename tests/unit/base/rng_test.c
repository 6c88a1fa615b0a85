#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"

#include <string.h>

static void matches_the_published_generator(void **state)
{
    (void)state;
    /* xoshiro256** from the state 1, 2, 3, 4 */
    struct rng r = { { 1, 2, 3, 4 } };
    const uint64_t want[] = { 11520, 0, 1509978240, 1215971899390074240 };
    for (size_t i = 0; i < 4; i++)
        assert_true(rng_u64(&r) == want[i]);
}

static void equal_seeds_replay_and_others_differ(void **state)
{
    (void)state;
    struct rng a, b, c;
    rng_seed(&a, 7);
    rng_seed(&b, 7);
    rng_seed(&c, 8);
    size_t same = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t v = rng_u64(&a);
        assert_true(v == rng_u64(&b));
        same += v == rng_u64(&c);
    }
    assert_int_equal(same, 0);
}

static void below_covers_its_range_evenly(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1);
    size_t counts[7] = { 0 };
    for (int i = 0; i < 70000; i++) {
        uint64_t v = rng_below(&r, 7);
        assert_true(v < 7);
        counts[v]++;
    }
    for (size_t i = 0; i < 7; i++)
        assert_in_range(counts[i], 9500, 10500);
    assert_int_equal(rng_below(&r, 1), 0);
    for (int i = 0; i < 100; i++)
        assert_true(rng_below(&r, UINT64_MAX) < UINT64_MAX);
}

static void unit_is_below_one(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 2);
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        double v = rng_unit(&r);
        assert_true(v >= 0 && v < 1);
        sum += v;
    }
    assert_true(sum > 4800 && sum < 5200);
}

static void bytes_fill_exactly(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 3);
    unsigned char out[21] = { 0 };
    rng_bytes(&r, out, 20);
    assert_int_equal(out[20], 0);
    unsigned char zero[20] = { 0 };
    assert_memory_not_equal(out, zero, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_the_published_generator),
        cmocka_unit_test(equal_seeds_replay_and_others_differ),
        cmocka_unit_test(below_covers_its_range_evenly),
        cmocka_unit_test(unit_is_below_one),
        cmocka_unit_test(bytes_fill_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
