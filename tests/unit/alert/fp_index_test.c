#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alert/fp_index_int.h"
#include "base/compiler.h"
#include "base/rng.h"

static bool has(const struct fp_index *x, fingerprint fp, uint32_t slot)
{
    uint32_t found;
    for (size_t at = FP_INDEX_START; fp_index_next(x, fp, &at, &found);)
        if (found == slot)
            return true;
    return false;
}

static size_t candidates(const struct fp_index *x, fingerprint fp)
{
    uint32_t found;
    size_t n = 0;
    for (size_t at = FP_INDEX_START; fp_index_next(x, fp, &at, &found);)
        n++;
    return n;
}

static void fingerprints_with_one_tag_are_all_named(void **state)
{
    (void)state;
    struct fp_index x = { 0 };
    const fingerprint low = 0x0123456701234567u, high = 0x0000000100000001u; /* each folds to zero, in one shard */
    assert_int_equal(candidates(&x, low), 0);
    fp_index_add(&x, low, 0);
    fp_index_add(&x, high, 7);
    assert_true(has(&x, low, 0) && has(&x, low, 7) && has(&x, high, 7));
    fp_index_remove(&x, low, 0);
    assert_false(has(&x, low, 0));
    assert_true(has(&x, high, 7));
    fp_index_remove(&x, high, 7);
    assert_int_equal(candidates(&x, high), 0);
    fp_index_deinit(&x);
}

/* Beside a plain array; fingerprints crowd few homes, so that removal shifts over wraps. */
static void every_slot_is_found_through_churn(void **state)
{
    (void)state;
    enum { SLOTS = 400 };
    struct fp_index x = { 0 };
    fingerprint fps[SLOTS];
    bool in[SLOTS] = { false };
    struct rng rng;
    rng_seed(&rng, 11);
    for (size_t i = 0; i < SLOTS; i++)
        fps[i] = ((uint64_t)i << 32) | ((0xFFFFFFF0u + rng_below(&rng, 16)) ^ i);
    for (size_t step = 0; step < 20000; step++) {
        uint32_t i = (uint32_t)rng_below(&rng, SLOTS);
        if (in[i])
            fp_index_remove(&x, fps[i], i);
        else
            fp_index_add(&x, fps[i], i);
        in[i] = !in[i];
        uint32_t k = (uint32_t)rng_below(&rng, SLOTS);
        assert_int_equal(has(&x, fps[k], k), in[k]);
    }
    for (uint32_t i = 0; i < SLOTS; i++)
        assert_int_equal(has(&x, fps[i], i), in[i]);
    fp_index_deinit(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fingerprints_with_one_tag_are_all_named),
        cmocka_unit_test(every_slot_is_found_through_churn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
