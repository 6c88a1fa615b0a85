#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/fs_posix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/fs_posix_test.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    struct err err;
    return fs_remove_tree(fs_posix(), str_c(dir), &err) ? 0 : -1;
}

static char *path(const char *name)
{
    static char p[4][128];
    static unsigned at;
    char *out = p[at++ % 4];
    snprintf(out, sizeof p[0], "%s/%s", dir, name);
    return out;
}

static struct fs_file *open_file(const char *name, unsigned flags)
{
    struct fs *fs = fs_posix();
    struct fs_file *f = NULL;
    struct err err;
    if (!fs->open(fs, str_c(path(name)), flags, &f, &err))
        fail_msg("%s", err.text);
    return f;
}

static void what_is_written_is_read_back_at_its_place(void **state)
{
    (void)state;
    struct fs *fs = fs_posix();
    struct err err;
    struct fs_file *f = open_file("a", FS_READ | FS_WRITE | FS_CREATE);
    char got[16];
    size_t n;
    uint64_t size;
    assert_true(fs->write(fs, f, 3, "xyz", 3, &err));
    assert_true(fs->sync(fs, f, &err));
    assert_true(fs->read(fs, f, 0, got, sizeof got, &n, &err));
    assert_int_equal(n, 6);
    assert_memory_equal(got, "\0\0\0xyz", 6);
    assert_true(fs->truncate(fs, f, 4, &err));
    assert_true(fs->size(fs, f, &size, &err));
    assert_int_equal(size, 4);
    struct fs_map m;
    assert_true(fs->map(fs, f, &m, &err));
    assert_int_equal(m.n, 4);
    assert_int_equal(m.p[3], 'x');
    fs->unmap(fs, &m);
    fs->close(fs, f);
}

static void what_is_forgotten_reads_as_before(void **state)
{
    (void)state;
    struct fs *fs = fs_posix();
    struct err err;
    struct fs_file *f = open_file("mapped", FS_READ | FS_WRITE | FS_CREATE);
    struct buf b = { 0 };
    size_t page = (size_t)sysconf(_SC_PAGESIZE), sum = 0, again = 0;
    for (size_t i = 0; i < 64 * page; i++)
        buf_byte(&b, (char)(i / page + 1));
    assert_true(fs->write(fs, f, 0, b.p, b.n, &err));
    struct fs_map m;
    assert_true(fs->map(fs, f, &m, &err));
    for (size_t i = 0; i < m.n; i += page)
        sum += m.p[i];
    fs->forget(fs, &m, 1, 50 * page);
    fs->forget(fs, &m, 0, 1); /* less than a page: nothing */
    for (size_t i = 0; i < m.n; i += page)
        again += m.p[i];
    assert_int_equal(sum, 64 * 65 / 2);
    assert_int_equal(again, sum);
    fs->unmap(fs, &m);
    fs->close(fs, f);
    buf_deinit(&b);
}

static void appending_ignores_the_place(void **state)
{
    (void)state;
    struct fs *fs = fs_posix();
    struct err err;
    struct buf b = { 0 };
    struct fs_file *f = open_file("log", FS_WRITE | FS_CREATE | FS_APPEND);
    assert_true(fs->write(fs, f, 0, "one", 3, &err));
    assert_true(fs->write(fs, f, 0, "two", 3, &err));
    fs->close(fs, f);
    assert_true(fs_read_file(fs, str_c(path("log")), 100, &b, &err));
    assert_string_equal(b.p, "onetwo");
    buf_deinit(&b);
}

static void errors_read_as_gos(void **state)
{
    (void)state;
    struct fs *fs = fs_posix();
    struct fs_file *f;
    struct fs_stat st;
    struct err err;
    char want[256];
    assert_false(fs->open(fs, str_c(path("nope")), FS_READ, &f, &err));
    snprintf(want, sizeof want, "open %s: no such file or directory", path("nope"));
    assert_string_equal(err.text, want);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(fs->stat(fs, str_c(path("nope")), &st, &err));
    snprintf(want, sizeof want, "stat %s: no such file or directory", path("nope"));
    assert_string_equal(err.text, want);
    assert_false(fs->open(fs, str_of("a\0b", 3), FS_READ, &f, &err));
    f = open_file("x", FS_WRITE | FS_CREATE | FS_EXCLUSIVE);
    fs->close(fs, f);
    assert_false(fs->open(fs, str_c(path("x")), FS_WRITE | FS_CREATE | FS_EXCLUSIVE, &f, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
}

static void directories_are_made_listed_in_order_and_removed(void **state)
{
    (void)state;
    struct fs *fs = fs_posix();
    struct err err;
    struct buf b = { 0 };
    assert_true(fs->mkdir(fs, str_c(path("d")), &err));
    assert_true(fs->mkdir(fs, str_c(path("d")), &err));
    fs->close(fs, open_file("d/b", FS_WRITE | FS_CREATE));
    fs->close(fs, open_file("d/a", FS_WRITE | FS_CREATE));
    assert_true(fs->link(fs, str_c(path("d/a")), str_c(path("d/c")), &err));
    assert_true(fs->rename(fs, str_c(path("d/c")), str_c(path("d/e")), &err));
    assert_true(fs->sync_dir(fs, str_c(path("d")), &err));
    assert_true(fs->list(fs, str_c(path("d")), &b, &err));
    assert_int_equal(b.n, 6);
    assert_memory_equal(b.p, "a\0b\0e\0", 6);
    buf_deinit(&b);
    assert_false(fs->remove(fs, str_c(path("d")), &err));
    assert_non_null(strstr(err.text, "directory not empty"));
    assert_true(fs_remove_tree(fs, str_c(path("d")), &err));
}

static void a_lock_that_another_process_holds_is_a_conflict(void **state)
{
    (void)state;
    struct fs *fs = fs_posix();
    struct err err;
    struct fs_file *f = open_file("lock", FS_READ | FS_WRITE | FS_CREATE);
    assert_true(fs->lock(fs, f, &err));
    pid_t child = fork();
    if (child == 0) {
        struct fs_file *g;
        bool refused = fs->open(fs, str_c(path("lock")), FS_READ | FS_WRITE, &g, &err) && !fs->lock(fs, g, &err) &&
                       err.code == ERR_CONFLICT;
        _exit(refused ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fs->close(fs, f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back_at_its_place),
        cmocka_unit_test(what_is_forgotten_reads_as_before),
        cmocka_unit_test(appending_ignores_the_place),
        cmocka_unit_test(errors_read_as_gos),
        cmocka_unit_test(directories_are_made_listed_in_order_and_removed),
        cmocka_unit_test(a_lock_that_another_process_holds_is_a_conflict),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
