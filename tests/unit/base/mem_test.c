#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/stopwatch.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void memory_is_zeroed_and_never_null(void **state)
{
    (void)state;
    unsigned char *p = mem_alloc_array(100, 3);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(p[i], 0);
    void *a = mem_alloc(0), *b = mem_dup(NULL, 0), *c = mem_realloc(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    char *d = mem_dup("abc", 4);
    assert_string_equal(d, "abc");
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(d);
    mem_free(p);
    mem_free(NULL);
}

/* Runs what must not return in a child whose complaint goes nowhere; true if it was aborted. */
static bool aborts(void (*act)(void))
{
    pid_t child = fork();
    if (child == 0) {
        close(2);
        act();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void narrow_too_much(void)
{
    (void)u16_from_size(65536);
}

static void narrow_negative(void)
{
    (void)size_from_i64(-1);
}

static void overflow_array(void)
{
    mem_free(mem_alloc_array(SIZE_MAX / 2, 3));
}

static void what_does_not_fit_ends_the_process(void **state)
{
    (void)state;
    assert_true(aborts(narrow_too_much));
    assert_true(aborts(narrow_negative));
    assert_true(aborts(overflow_array));
}

static void what_fits_is_narrowed(void **state)
{
    (void)state;
    assert_int_equal(u32_from_size(UINT32_MAX), UINT32_MAX);
    assert_int_equal(u16_from_size(65535), 65535);
    assert_int_equal(u8_from_int(255), 255);
    assert_int_equal(int_from_size(5), 5);
    assert_int_equal(size_from_i64(7), 7);
}

static void a_stopwatch_never_runs_backwards(void **state)
{
    (void)state;
    struct stopwatch s = stopwatch_start();
    double last = 0;
    for (int i = 0; i < 1000; i++) {
        double now = stopwatch_seconds(s);
        assert_true(now >= last);
        last = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_never_null),
        cmocka_unit_test(what_does_not_fit_ends_the_process),
        cmocka_unit_test(what_fits_is_narrowed),
        cmocka_unit_test(a_stopwatch_never_runs_backwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
