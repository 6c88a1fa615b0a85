#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/varint.h"

static void every_size_round_trips(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 64; shift++) {
        for (uint64_t below = 0; below <= 2; below++) {
            uint64_t v = ((uint64_t)1 << shift) + 1 - below, back;
            uint8_t raw[VARINT_BYTES_MAX];
            size_t n = uvarint_put(raw, v);
            assert_int_equal(n, uvarint_size(v));
            assert_int_equal(uvarint_read(str_of((const char *)raw, n), &back), n);
            assert_true(back == v);
            if (n > 1)
                assert_int_equal(uvarint_read(str_of((const char *)raw, n - 1), &back), 0);
            struct buf b = { 0 };
            int64_t sback;
            varint_write(&b, (int64_t)v);
            struct str rest = buf_view(&b);
            assert_true(varint_take(&rest, &sback));
            assert_true(sback == (int64_t)v);
            assert_int_equal(rest.n, 0);
            assert_false(varint_take(&rest, &sback));
            buf_deinit(&b);
        }
    }
}

static void more_than_64_bits_are_refused(void **state)
{
    (void)state;
    uint64_t v;
    assert_int_equal(uvarint_read(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &v), 10);
    assert_true(v == UINT64_MAX);
    assert_int_equal(uvarint_read(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), &v), 0);
    assert_int_equal(uvarint_read(STR("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), &v), 0);
    assert_int_equal(uvarint_read(STR(""), &v), 0);
}

static void zigzag_keeps_small_numbers_small(void **state)
{
    (void)state;
    assert_int_equal(zigzag_encode(0), 0);
    assert_int_equal(zigzag_encode(-1), 1);
    assert_int_equal(zigzag_encode(1), 2);
    assert_true(zigzag_decode(UINT64_MAX) == INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_round_trips),
        cmocka_unit_test(more_than_64_bits_are_refused),
        cmocka_unit_test(zigzag_keeps_small_numbers_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
