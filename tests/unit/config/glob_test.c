#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/config.h"
#include "lib/memfs.h"

static void matches(const char *pattern, const char *name, bool want)
{
    bool matched;
    struct err err = { 0 };
    if (!config_match_path(str_c(pattern), str_c(name), &matched, &err))
        fail_msg("`%s`: %s", pattern, err.text);
    if (matched != want)
        fail_msg("`%s` %s `%s`", pattern, matched ? "matches" : "does not match", name);
}

static void refuses(const char *pattern, const char *name)
{
    bool matched;
    struct err err = { 0 };
    if (config_match_path(str_c(pattern), str_c(name), &matched, &err))
        fail_msg("`%s` was taken", pattern);
    assert_string_equal(err.text, "syntax error in pattern");
}

/* The cases of Go's path/filepath match_test.go. */
static void patterns_mean_what_go_says(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool match;
    } cases[] = {
        { "abc", "abc", true },
        { "*", "abc", true },
        { "*c", "abc", true },
        { "a*", "a", true },
        { "a*", "abc", true },
        { "a*", "ab/c", false },
        { "a*/b", "abc/b", true },
        { "a*/b", "a/c/b", false },
        { "a*b*c*d*e*/f", "axbxcxdxe/f", true },
        { "a*b*c*d*e*/f", "axbxcxdxexxx/f", true },
        { "a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false },
        { "a*b*c*d*e*/f", "axbxcxdxexxx/fff", false },
        { "a*b?c*x", "abxbbxdbxebxczzx", true },
        { "a*b?c*x", "abxbbxdbxebxczzy", false },
        { "ab[c]", "abc", true },
        { "ab[b-d]", "abc", true },
        { "ab[e-g]", "abc", false },
        { "ab[^c]", "abc", false },
        { "ab[^b-d]", "abc", false },
        { "ab[^e-g]", "abc", true },
        { "a\\*b", "a*b", true },
        { "a\\*b", "ab", false },
        { "a?b",
          "a\xe2\x98\xba"
          "b",
          true },
        { "a[^a]b",
          "a\xe2\x98\xba"
          "b",
          true },
        { "a???b",
          "a\xe2\x98\xba"
          "b",
          false },
        { "a[^a][^a][^a]b",
          "a\xe2\x98\xba"
          "b",
          false },
        { "[a-\xce\xb6]*", "\xce\xb1", true },
        { "*[a-\xce\xb6]", "A", false },
        { "a?b", "a/b", false },
        { "a*b", "a/b", false },
        { "[\\]a]", "]", true },
        { "[\\-]", "-", true },
        { "[x\\-]", "x", true },
        { "[x\\-]", "-", true },
        { "[x\\-]", "z", false },
        { "[\\-x]", "a", false },
        { "*x", "xxx", true },
        { "", "", true },
        { "", "a", false },
        { "*", "", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        matches(cases[i].pattern, cases[i].name, cases[i].match);
    static const char *const bad[] = { "[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refuses(bad[i], "a");
    refuses("a[", "ab");
    refuses("a[", "x");
    refuses("a/b[", "x");
}

static void lists(struct fs *fs, const char *pattern, const char *want)
{
    struct buf out = { 0 };
    struct err err = { 0 };
    if (!config_glob(fs, str_c(pattern), &out, &err))
        fail_msg("`%s`: %s", pattern, err.text);
    for (size_t i = 0; i < out.n; i++)
        if (out.p[i] == '\0')
            out.p[i] = ' ';
    assert_string_equal(out.p ? out.p : "", want);
    buf_deinit(&out);
}

static void globs_list_files_in_order(void **state)
{
    (void)state;
    struct memfs *m = memfs_new();
    static const char *const files[] = { "/t/b.tmpl", "/t/a.tmpl", "/t/c.txt", "/t/sub/x.tmpl", "/t/other/x.tmpl" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        memfs_put(m, str_c(files[i]), STR("x"));
    struct fs *fs = memfs_fs(m);
    lists(fs, "/t/*.tmpl", "/t/a.tmpl /t/b.tmpl ");
    lists(fs, "/t/*/x.tmpl", "/t/other/x.tmpl /t/sub/x.tmpl ");
    lists(fs, "/t/c.txt", "/t/c.txt ");
    lists(fs, "/t/none", "");
    lists(fs, "/nowhere/*", "");
    struct buf out = { 0 };
    struct err err = { 0 };
    assert_false(config_glob(NULL, STR("/t/[x"), &out, &err));
    memfs_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_mean_what_go_says),
        cmocka_unit_test(globs_list_files_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
