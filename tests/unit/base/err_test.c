#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/utf8.h"

#include <errno.h>

static void wrapping_reads_from_outer_to_cause(void **state)
{
    (void)state;
    struct err err;
    assert_false(err_set(&err, ERR_INVALID, "bad %s", "value"));
    assert_false(err_wrap(&err, "field %d", 3));
    assert_false(err_wrap(&err, "%s", err.text));
    assert_string_equal(err.text, "field 3: bad value: field 3: bad value");
    assert_int_equal(err.code, ERR_INVALID);
}

static void place_is_kept_by_wrapping_and_dropped_by_set(void **state)
{
    (void)state;
    struct err err;
    err_set_at(&err, ERR_CORRUPT, 7, 9, "x");
    err_wrap(&err, "file");
    assert_int_equal(err.line, 7);
    assert_int_equal(err.column, 9);
    err_set(&err, ERR_IO, "y");
    assert_int_equal(err.line, 0);
}

static void system_errors_read_as_in_go(void **state)
{
    (void)state;
    struct err err;
    assert_false(err_errno(&err, ENOENT, "open %s", "a.yml"));
    assert_string_equal(err.text, "open a.yml: no such file or directory");
    assert_int_equal(err.code, ERR_NOT_FOUND);
    err_errno(&err, EACCES, "open");
    assert_string_equal(err.text, "open: permission denied");
    assert_int_equal(err.code, ERR_IO);
    err_errno(&err, EISDIR, "read");
    assert_string_equal(err.text, "read: is a directory");
    err_errno(&err, ENOSPC, "write");
    assert_int_equal(err.code, ERR_LIMIT);
    err_errno(&err, 9999, "x");
    assert_string_equal(err.text, "x: errno 9999");
}

static void long_texts_are_cut_between_runes(void **state)
{
    (void)state;
    for (int shift = 0; shift < 4; shift++) {
        struct err err;
        char text[3000];
        size_t n = 0;
        for (int i = 0; i < shift; i++)
            text[n++] = 'a';
        while (n + 4 < sizeof text) {
            memcpy(text + n, "\xf0\x9f\x98\x80", 4);
            n += 4;
        }
        text[n] = 0;
        err_set(&err, ERR_INVALID, "%s", text);
        assert_true(utf8_valid(err_text(&err)));
        assert_true(err_text(&err).n > ERR_TEXT_MAX - 8);
        err_wrap(&err, "é%d", shift);
        assert_true(utf8_valid(err_text(&err)));
    }
}

static void every_code_has_a_name(void **state)
{
    (void)state;
    for (int i = ERR_NONE; i <= ERR_CANCELLED; i++)
        assert_true(err_code_name((enum err_code)i)[0] != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrapping_reads_from_outer_to_cause),
        cmocka_unit_test(place_is_kept_by_wrapping_and_dropped_by_set),
        cmocka_unit_test(system_errors_read_as_in_go),
        cmocka_unit_test(long_texts_are_cut_between_runes),
        cmocka_unit_test(every_code_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
