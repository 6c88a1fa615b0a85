#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "lib/alloc_count.h"

#include <pthread.h>

static bool all_zero(const void *p, size_t n)
{
    const char *c = p;
    for (size_t i = 0; i < n; i++)
        if (c[i])
            return false;
    return true;
}

static void memory_is_aligned_and_zero_also_after_reset(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    for (int round = 0; round < 3; round++) {
        for (size_t n = 0; n < 300; n++) {
            char *p = arena_alloc(&a, n);
            assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
            assert_true(all_zero(p, n));
            memset(p, 0xAA, n);
        }
        arena_reset(&a);
    }
    arena_deinit(&a);
}

/* Dirties what it takes; whoever gets the blocks next must see nothing of it. */
static void *recycle_blocks(void *arg)
{
    bool *clean = arg;
    *clean = true;
    for (size_t round = 0; round < 200; round++) {
        struct arena a;
        arena_init_recycled(&a, ARENA_NO_LIMIT);
        for (size_t i = 0; i < round % 7; i++) {
            size_t n = i % 2 ? 1u << 19 : (round * 977) % 65536;
            char *p = arena_alloc(&a, n);
            *clean &= all_zero(p, n);
            memset(p, 0xAA, n);
        }
        if (round % 5 == 0)
            arena_reset(&a);
        arena_deinit(&a);
    }
    return NULL;
}
static void recycled_memory_is_zero_whoever_used_it(void **state)
{
    (void)state;
    pthread_t other;
    bool mine, theirs;
    assert_int_equal(pthread_create(&other, NULL, recycle_blocks, &theirs), 0);
    recycle_blocks(&mine);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_true(mine);
    assert_true(theirs);
}

static void limit_is_kept(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 4096);
    assert_non_null(arena_try_alloc(&a, 4000));
    assert_null(arena_try_alloc(&a, 4000));
    assert_non_null(arena_try_alloc(&a, 64));
    assert_true(a.used_bytes <= 4096);
    arena_reset(&a);
    assert_non_null(arena_try_alloc(&a, 4096));
    assert_null(arena_try_alloc(&a, 1));
    arena_deinit(&a);
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    assert_null(arena_try_alloc(&a, SIZE_MAX));
    assert_null(arena_try_alloc(&a, SIZE_MAX - 8));
    assert_null(arena_try_alloc_array(&a, SIZE_MAX / 2, 3));
    arena_deinit(&a);
}

static void a_warm_arena_allocates_nothing(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    arena_alloc(&a, 2000);
    arena_reset(&a);
    uint64_t before = alloc_count();
    for (int i = 0; i < 100; i++) {
        for (int k = 0; k < 10; k++)
            arena_alloc(&a, 200);
        arena_reset(&a);
    }
    assert_int_equal(alloc_count() - before, 0);
    arena_deinit(&a);
}

static void strings_are_copies_with_a_nul(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    char text[] = "abc";
    struct str s = arena_str(&a, str_of(text, 3));
    text[0] = 'x';
    assert_string_equal(s.p, "abc");
    assert_string_equal(arena_cstr(&a, str_of(NULL, 0)), "");
    s = arena_concat(&a, (struct str[]){ STR("a"), STR_EMPTY, STR("bc") }, 3);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.p, "abc");
    s = arena_printf(&a, "%s-%05d", "n", 42);
    assert_true(str_eq(s, STR("n-00042")));
    arena_deinit(&a);
}

static void large_requests_get_their_own_block(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    char *p = arena_alloc(&a, 10u << 20);
    p[(10u << 20) - 1] = 1;
    char *q = arena_alloc(&a, 16);
    *q = 1;
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_and_zero_also_after_reset),
        cmocka_unit_test(recycled_memory_is_zero_whoever_used_it),
        cmocka_unit_test(limit_is_kept),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(a_warm_arena_allocates_nothing),
        cmocka_unit_test(strings_are_copies_with_a_nul),
        cmocka_unit_test(large_requests_get_their_own_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
