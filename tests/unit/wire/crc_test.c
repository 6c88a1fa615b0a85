#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "wire/crc.h"

static void published_values_hold(void **state)
{
    (void)state;
    assert_int_equal(crc32_ieee(0, "123456789", 9), 0xCBF43926);
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
    unsigned char block[32] = { 0 };
    assert_int_equal(crc32c(0, block, 32), 0x8A9136AA); /* RFC 3720, B.4 */
    for (size_t i = 0; i < 32; i++)
        block[i] = (unsigned char)i;
    assert_int_equal(crc32c(0, block, 32), 0x46DD794E);
    assert_int_equal(crc32c(0, NULL, 0), 0);
    assert_int_equal(crc32_ieee(0, NULL, 0), 0);
}

static void both_forms_agree_and_continue(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    unsigned char bytes[300];
    rng_bytes(&rng, bytes, sizeof bytes);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        size_t cut = n ? (size_t)rng_below(&rng, n) : 0;
        uint32_t whole = crc32c_portable(0, bytes, n);
        assert_int_equal(crc32c(0, bytes, n), whole);
        assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, n - cut), whole);
        assert_int_equal(crc32c_portable(crc32c_portable(0, bytes, cut), bytes + cut, n - cut), whole);
        assert_int_equal(crc32_ieee(crc32_ieee(0, bytes, cut), bytes + cut, n - cut), crc32_ieee(0, bytes, n));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values_hold),
        cmocka_unit_test(both_forms_agree_and_continue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
