#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/memfs.h"
#include "promql/active_log.h"

static void take(void *arg, struct str json)
{
    buf_str(arg, json);
    buf_byte(arg, '\n');
}

static void what_was_running_is_told_at_the_next_start(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    struct fs *fs = memfs_fs(m);
    struct active_log *l;
    struct err err = { 0 };
    struct buf seen = { 0 };
    assert_true(fs_mkdir_all(fs, STR("d"), &err));
    assert_true(active_log_open(fs, STR("d"), 2, take, &seen, &l, &err));
    assert_int_equal(seen.n, 0);
    size_t a = active_log_begin(l, STR("up"), 5000), b = active_log_begin(l, STR("rate(x[\"5m\"])"), 6000);
    assert_int_equal(active_log_begin(l, STR("third"), 7000), SIZE_MAX);
    assert_int_not_equal(a, b);
    active_log_end(l, a);
    active_log_close(l);
    assert_true(active_log_open(fs, STR("d"), 2, take, &seen, &l, &err));
    assert_string_equal(seen.p, "{\"query\":\"rate(x[\\\"5m\\\"])\",\"timestamp_sec\":6}\n");
    active_log_close(l);
    buf_deinit(&seen);
    memfs_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(what_was_running_is_told_at_the_next_start) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
