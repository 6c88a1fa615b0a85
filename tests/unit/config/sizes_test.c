#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/sizes.h"

static void is(const char *text, int64_t want, const char *printed)
{
    int64_t bytes;
    struct err err = { 0 };
    struct buf out = { 0 };
    if (!size_parse(str_c(text), &bytes, &err))
        fail_msg("`%s`: %s", text, err.text);
    assert_int_equal(bytes, want);
    size_write(&out, bytes);
    assert_string_equal(out.p, printed);
    buf_deinit(&out);
}

static void refuses(const char *text, const char *want)
{
    int64_t bytes;
    struct err err = { 0 };
    assert_false(size_parse(str_c(text), &bytes, &err));
    assert_string_equal(err.text, want);
}

static void units_are_powers_of_1024(void **state)
{
    (void)state;
    is("0", 0, "0B");
    is("512MB", INT64_C(512) << 20, "512MiB");
    is("1.5GiB", INT64_C(1536) << 20, "1GiB512MiB");
    is("1KiB1B", 1025, "1KiB1B");
    is("-1KB", -1024, "-1KiB");
}

static void bare_numbers_need_a_unit(void **state)
{
    (void)state;
    refuses("5", "units: missing unit in 5");
    refuses("5X", "units: unknown unit X in 5X");
    refuses("", "units: invalid ");
    refuses("MB", "units: invalid MB");
    refuses("16EiB", "units: overflow parsing unit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_are_powers_of_1024),
        cmocka_unit_test(bare_numbers_need_a_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
