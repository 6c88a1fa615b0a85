#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "base/symtab.h"

#include <stdio.h>

static void equal_bytes_give_equal_numbers(void **state)
{
    (void)state;
    struct symtab *t = symtab_new();
    sym a = symtab_intern(t, STR("job"));
    assert_int_equal(symtab_intern(t, STR("job")), a);
    assert_true(symtab_intern(t, STR("jo")) != a);
    assert_true(str_eq(symtab_str(t, a), STR("job")));
    assert_int_equal(symtab_find(t, STR("job")), a);
    assert_int_equal(symtab_find(t, STR("none")), UINT32_MAX);
    assert_int_equal(symtab_count(t), 2);
    symtab_free(t);
}

static void the_empty_string_is_zero_and_uncounted(void **state)
{
    (void)state;
    struct symtab *t = symtab_new();
    assert_int_equal(symtab_intern(t, STR("")), 0);
    assert_int_equal(symtab_find(t, STR("")), 0);
    symtab_release(t, 0);
    assert_int_equal(symtab_str(t, 0).n, 0);
    assert_int_equal(symtab_count(t), 0);
    symtab_free(t);
}

static void the_last_release_frees_and_numbers_are_reused(void **state)
{
    (void)state;
    struct symtab *t = symtab_new();
    sym a = symtab_intern(t, STR("a"));
    symtab_intern(t, STR("a"));
    symtab_release(t, a);
    assert_int_equal(symtab_find(t, STR("a")), a);
    symtab_release(t, a);
    assert_int_equal(symtab_find(t, STR("a")), UINT32_MAX);
    assert_int_equal(symtab_intern(t, STR("b")), a);
    symtab_free(t);
}

static void random_use_agrees_with_counts(void **state)
{
    (void)state;
    enum { NAMES = 300 };
    struct symtab *t = symtab_new();
    unsigned refs[NAMES] = { 0 };
    sym ids[NAMES] = { 0 };
    struct rng rng;
    rng_seed(&rng, 5);
    for (int step = 0; step < 30000; step++) {
        size_t i = (size_t)rng_below(&rng, NAMES);
        char text[16];
        snprintf(text, sizeof text, "n%zu", i);
        if (refs[i] == 0 || rng_below(&rng, 2)) {
            sym s = symtab_intern(t, str_c(text));
            if (refs[i])
                assert_int_equal(s, ids[i]);
            ids[i] = s;
            refs[i]++;
        } else {
            symtab_release(t, ids[i]);
            refs[i]--;
        }
        assert_int_equal(symtab_find(t, str_c(text)), refs[i] ? ids[i] : UINT32_MAX);
        if (refs[i])
            assert_true(str_eq(symtab_str(t, ids[i]), str_c(text)));
    }
    symtab_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_bytes_give_equal_numbers),
        cmocka_unit_test(the_empty_string_is_zero_and_uncounted),
        cmocka_unit_test(the_last_release_frees_and_numbers_are_reused),
        cmocka_unit_test(random_use_agrees_with_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
