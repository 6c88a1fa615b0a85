#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/mem.h"

static void content_is_always_nul_terminated(void **state)
{
    (void)state;
    struct buf b = { 0 };
    for (size_t i = 0; i < 3000; i++) {
        buf_byte(&b, 'x');
        assert_int_equal(b.n, i + 1);
        assert_int_equal(b.p[b.n], 0);
        assert_true(b.capacity > b.n);
    }
    buf_reserve(&b, 10000);
    assert_int_equal(b.p[b.n], 0);
    buf_truncate(&b, 5);
    assert_string_equal(b.p, "xxxxx");
    buf_reset(&b);
    assert_string_equal(b.p, "");
    buf_deinit(&b);
}

static void limit_is_exact_and_overflow_sticks(void **state)
{
    (void)state;
    struct buf b = { .limit_bytes = 8 };
    buf_c(&b, "12345678");
    assert_false(b.overflow);
    buf_byte(&b, '9');
    assert_true(b.overflow);
    assert_int_equal(b.n, 8);
    buf_truncate(&b, 0);
    buf_c(&b, "a");
    assert_int_equal(b.n, 0);
    buf_reset(&b);
    buf_c(&b, "a");
    assert_string_equal(b.p, "a");
    assert_int_equal(b.limit_bytes, 8);
    buf_deinit(&b);
}

static void a_piece_that_does_not_fit_is_dropped_whole(void **state)
{
    (void)state;
    struct buf b = { .limit_bytes = 4 };
    buf_c(&b, "ab");
    buf_printf(&b, "%s", "long text");
    assert_true(b.overflow);
    assert_int_equal(b.n, 2);
    buf_deinit(&b);
}

static void printf_takes_any_length(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_printf(&b, "%0300d|%s", 7, "end");
    assert_int_equal(b.n, 304);
    assert_string_equal(b.p + 299, "7|end");
    buf_deinit(&b);
}

static void integers_print_in_full_range(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_i64(&b, INT64_MIN);
    buf_byte(&b, ' ');
    buf_u64(&b, UINT64_MAX);
    buf_byte(&b, ' ');
    buf_i64(&b, 0);
    assert_string_equal(b.p, "-9223372036854775808 18446744073709551615 0");
    buf_deinit(&b);
}

static void fixed_width_integers_have_their_byte_order(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_be16(&b, 0x0102);
    buf_be32(&b, 0x03040506);
    buf_be64(&b, 0x0708090a0b0c0d0eull);
    buf_le32(&b, 0x04030201);
    buf_le64(&b, 0x0807060504030201ull);
    const char want[] = "\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\1\2\3\4\1\2\3\4\5\6\7\x8";
    assert_int_equal(b.n, sizeof want - 1);
    assert_memory_equal(b.p, want, b.n);
    assert_int_equal(get_be16(b.p), 0x0102);
    assert_int_equal(get_be32(b.p + 2), 0x03040506);
    assert_true(get_be64(b.p + 6) == 0x0708090a0b0c0d0eull);
    assert_int_equal(get_le32(b.p + 14), 0x04030201);
    assert_true(get_le64(b.p + 18) == 0x0807060504030201ull);
    buf_deinit(&b);
}

static void erasing_the_front_keeps_the_rest(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_erase_front(&b, 0);
    buf_c(&b, "abcdef");
    buf_erase_front(&b, 4);
    assert_string_equal(b.p, "ef");
    buf_erase_front(&b, 2);
    assert_int_equal(b.n, 0);
    buf_deinit(&b);
}

static void taking_leaves_an_empty_buffer(void **state)
{
    (void)state;
    struct buf b = { .limit_bytes = 100 };
    size_t n;
    char *p = buf_take(&b, &n);
    assert_non_null(p);
    assert_int_equal(n, 0);
    mem_free(p);
    buf_c(&b, "abc");
    p = buf_take(&b, &n);
    assert_int_equal(n, 3);
    assert_string_equal(p, "abc");
    assert_null(b.p);
    assert_int_equal(b.limit_bytes, 100);
    mem_free(p);
}

static void a_borrowed_array_never_grows(void **state)
{
    (void)state;
    char text[8];
    struct buf b = { .p = text, .capacity = sizeof text, .limit_bytes = sizeof text - 1 };
    for (int i = 0; i < 20; i++)
        buf_byte(&b, (char)('a' + i));
    assert_ptr_equal(b.p, text);
    assert_string_equal(text, "abcdefg");
    assert_true(b.overflow);
}

static void growth_at_least_doubles(void **state)
{
    (void)state;
    assert_int_equal(mem_grow(0, 1), 8);
    assert_int_equal(mem_grow(8, 8), 8);
    assert_int_equal(mem_grow(8, 9), 16);
    assert_int_equal(mem_grow(8, 100), 100);
    assert_true(mem_grow(SIZE_MAX / 2 + 1, SIZE_MAX) == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_is_always_nul_terminated),
        cmocka_unit_test(limit_is_exact_and_overflow_sticks),
        cmocka_unit_test(a_piece_that_does_not_fit_is_dropped_whole),
        cmocka_unit_test(printf_takes_any_length),
        cmocka_unit_test(integers_print_in_full_range),
        cmocka_unit_test(fixed_width_integers_have_their_byte_order),
        cmocka_unit_test(erasing_the_front_keeps_the_rest),
        cmocka_unit_test(taking_leaves_an_empty_buffer),
        cmocka_unit_test(a_borrowed_array_never_grows),
        cmocka_unit_test(growth_at_least_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
