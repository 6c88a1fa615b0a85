#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/fs.h"
#include "lib/memfs.h"

static int setup(void **state)
{
    *state = memfs_new();
    memfs_put(*state, STR("data/file"), STR("old"));
    return 0;
}

static int teardown(void **state)
{
    memfs_free(*state);
    return 0;
}

static bool holds(struct memfs *m, const char *path, struct str want)
{
    struct buf b = { 0 };
    bool same = memfs_get(m, str_c(path), &b) && str_eq(buf_view(&b), want);
    buf_deinit(&b);
    return same;
}

static void a_file_is_read_whole(void **state)
{
    struct memfs *m = *state;
    struct err err;
    struct buf b = { 0 };
    buf_c(&b, "before ");
    assert_true(fs_read_file(memfs_fs(m), STR("data/file"), 3, &b, &err));
    assert_string_equal(b.p, "before old");
    buf_deinit(&b);
}

static void reading_past_the_limit_fails_and_leaves_the_buffer(void **state)
{
    struct memfs *m = *state;
    struct err err;
    struct buf b = { 0 };
    buf_c(&b, "x");
    assert_false(fs_read_file(memfs_fs(m), STR("data/file"), 2, &b, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(b.p, "x");
    assert_false(fs_read_file(memfs_fs(m), STR("data/none"), 2, &b, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.text, "open data/none: no such file or directory");
    buf_deinit(&b);
}

static void replacing_is_all_or_nothing_at_every_cut(void **state)
{
    (void)state;
    const struct str new = STR("the new content");
    for (uint64_t stop = 0;; stop++) {
        for (uint64_t seed = 0; seed < 5; seed++) {
            struct memfs *m = memfs_new();
            memfs_put(m, STR("data/file"), STR("old"));
            struct memfs_faults faults = { .stop_after_ops = stop ? stop : UINT64_MAX };
            memfs_set_faults(m, &faults);
            struct err err;
            bool ok = fs_replace_file(memfs_fs(m), STR("data/file"), new, &err);
            struct rng rng;
            rng_seed(&rng, seed);
            memfs_crash(m, seed ? &rng : NULL);
            bool is_new = holds(m, "data/file", new);
            assert_true(is_new || holds(m, "data/file", STR("old")));
            if (ok)
                assert_true(is_new);
            memfs_free(m);
            if (ok && seed == 4)
                return;
        }
        assert_true(stop < 50);
    }
}

static void a_full_disk_keeps_the_old_file(void **state)
{
    struct memfs *m = *state;
    struct memfs_faults faults = { .capacity_bytes = 10 };
    memfs_set_faults(m, &faults);
    struct err err;
    assert_false(fs_replace_file(memfs_fs(m), STR("data/file"), STR("0123456789"), &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_true(holds(m, "data/file", STR("old")));
    assert_false(fs_exists(memfs_fs(m), STR("data/file.tmp")));
    memfs_set_faults(m, NULL);
    assert_true(fs_replace_file(memfs_fs(m), STR("data/file"), STR("0123456789"), &err));
    assert_true(holds(m, "data/file", STR("0123456789")));
}

static void trees_are_made_and_removed(void **state)
{
    struct memfs *m = *state;
    struct fs *fs = memfs_fs(m);
    struct err err;
    assert_true(fs_mkdir_all(fs, STR("/a/b/c"), &err));
    assert_true(fs_mkdir_all(fs, STR("/a/b/c"), &err));
    memfs_put(m, STR("a/b/f"), STR("1"));
    memfs_put(m, STR("a/b/c/g"), STR("2"));
    assert_true(fs_exists(fs, STR("a/b/c/g")));
    assert_true(fs_remove_tree(fs, STR("a/b"), &err));
    assert_false(fs_exists(fs, STR("a/b/c/g")));
    assert_false(fs_exists(fs, STR("a/b")));
    assert_true(fs_exists(fs, STR("a")));
    assert_true(fs_remove_tree(fs, STR("nowhere"), &err));
    assert_false(fs_mkdir_all(fs, STR("data/file/x"), &err));
}

static void unsynced_changes_are_lost_in_a_crash(void **state)
{
    struct memfs *m = *state;
    struct fs *fs = memfs_fs(m);
    struct err err;
    struct fs_file *f;
    assert_true(fs->open(fs, STR("data/new"), FS_WRITE | FS_CREATE, &f, &err));
    assert_true(fs->write(fs, f, 0, "abc", 3, &err));
    assert_true(fs->sync(fs, f, &err));
    assert_true(fs->sync_dir(fs, STR("data"), &err));
    assert_true(fs->write(fs, f, 3, "def", 3, &err));
    assert_true(holds(m, "data/new", STR("abcdef")));
    memfs_crash(m, NULL);
    assert_true(holds(m, "data/new", STR("abc")));
    assert_false(fs->write(fs, f, 3, "def", 3, &err));
    fs->close(fs, f);
}

static void a_file_is_locked_once(void **state)
{
    struct memfs *m = *state;
    struct fs *fs = memfs_fs(m);
    struct err err;
    struct fs_file *a, *b;
    assert_true(fs->open(fs, STR("data/file"), FS_READ, &a, &err));
    assert_true(fs->open(fs, STR("data/file"), FS_READ, &b, &err));
    assert_true(fs->lock(fs, a, &err));
    assert_false(fs->lock(fs, b, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    fs->close(fs, a);
    assert_true(fs->lock(fs, b, &err));
    fs->close(fs, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_read_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(reading_past_the_limit_fails_and_leaves_the_buffer, setup, teardown),
        cmocka_unit_test(replacing_is_all_or_nothing_at_every_cut),
        cmocka_unit_test_setup_teardown(a_full_disk_keeps_the_old_file, setup, teardown),
        cmocka_unit_test_setup_teardown(trees_are_made_and_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(unsynced_changes_are_lost_in_a_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_is_locked_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
