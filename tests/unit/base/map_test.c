#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"

#include <stdio.h>

enum { KEYS = 500 };

static char key_texts[KEYS][16];

static struct str key_of(size_t i)
{
    snprintf(key_texts[i], sizeof key_texts[i], "key%zu", i);
    return str_c(key_texts[i]);
}

/* Random puts and removes beside an array that does the same. */
static void agrees_with_an_array(void **state)
{
    (void)state;
    struct map m = { 0 };
    struct map64 m64 = { 0 };
    void *want[KEYS] = { 0 };
    struct rng rng;
    rng_seed(&rng, 1);
    char values[64];
    for (int step = 0; step < 20000; step++) {
        size_t k = (size_t)rng_below(&rng, KEYS);
        uint64_t key64 = k << 40 | k;
        if (rng_below(&rng, 2)) {
            void *v = &values[rng_below(&rng, sizeof values)];
            assert_ptr_equal(map_put(&m, key_of(k), v), want[k]);
            assert_ptr_equal(map64_put(&m64, key64, v), want[k]);
            want[k] = v;
        } else {
            assert_ptr_equal(map_remove(&m, key_of(k)), want[k]);
            assert_ptr_equal(map64_remove(&m64, key64), want[k]);
            want[k] = NULL;
        }
        size_t probe = (size_t)rng_below(&rng, KEYS);
        assert_ptr_equal(map_get(&m, key_of(probe)), want[probe]);
        assert_ptr_equal(map64_get(&m64, probe << 40 | probe), want[probe]);
    }
    size_t count = 0;
    for (size_t i = 0; i < KEYS; i++)
        count += want[i] != NULL;
    assert_int_equal(m.count, count);
    assert_int_equal(m64.count, count);
    map_deinit(&m);
    map64_deinit(&m64);
}

static void iteration_visits_each_entry_once(void **state)
{
    (void)state;
    struct map m = { 0 };
    struct map64 m64 = { 0 };
    int values[KEYS] = { 0 }, values64[KEYS] = { 0 };
    for (size_t i = 0; i < KEYS; i++) {
        map_put(&m, key_of(i), &values[i]);
        map64_put(&m64, i, &values64[i]);
    }
    int *v;
    for (size_t c = 0; (v = map_next(&m, &c)) != NULL;) {
        assert_true(str_eq(map_key_at(&m, c), key_of((size_t)(v - values))));
        ++*v;
    }
    for (size_t c = 0; (v = map64_next(&m64, &c)) != NULL;) {
        assert_int_equal(map64_key_at(&m64, c), v - values64);
        ++*v;
    }
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(values[i], 1);
        assert_int_equal(values64[i], 1);
    }
    map_reset(&m);
    map64_reset(&m64);
    assert_null(map_get(&m, key_of(1)));
    assert_null(map64_get(&m64, 1));
    size_t c = 0;
    assert_null(map_next(&m, &c));
    map_deinit(&m);
    map64_deinit(&m64);
}

static void an_empty_map_answers(void **state)
{
    (void)state;
    struct map m = { 0 };
    struct map64 m64 = { 0 };
    assert_null(map_get(&m, STR("a")));
    assert_null(map_remove(&m, STR("a")));
    assert_null(map64_get(&m64, 0));
    assert_null(map64_remove(&m64, 0));
    map_deinit(&m);
    map64_deinit(&m64);
}

static void the_empty_key_and_key_zero_are_keys(void **state)
{
    (void)state;
    struct map m = { 0 };
    struct map64 m64 = { 0 };
    int v;
    map_put(&m, STR(""), &v);
    map64_put(&m64, 0, &v);
    assert_ptr_equal(map_get(&m, str_of(NULL, 0)), &v);
    assert_ptr_equal(map64_get(&m64, 0), &v);
    map_deinit(&m);
    map64_deinit(&m64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(iteration_visits_each_entry_once),
        cmocka_unit_test(an_empty_map_answers),
        cmocka_unit_test(the_empty_key_and_key_zero_are_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
