#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "wire/base64.h"
#include "wire/lzw.h"

static void small_texts_encode_to_gos_bytes(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *hex;
    } cases[] = {
        { STR_INIT(""), "000302" },
        { STR_INIT("a"), "00c30404" },
        { STR_INIT("aaaaaaaaaaaaaaaa"), "00c3081c48b0609880" },
        { STR_INIT("TOBEORNOTTOBEORTOBEORNOT"), "00a93c1152e48914274fa80824687061c183090302" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = { 0 }, hex = { 0 };
        lzw_encode(cases[i].text, &out);
        hex_encode(buf_view(&out), &hex);
        assert_string_equal(hex.p, cases[i].hex);
        buf_deinit(&out);
        buf_deinit(&hex);
    }
}

/* Length and FNV-1a of what Go's encoder makes of a generated text: past one or several full tables. */
static void long_texts_encode_to_gos_bytes(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint32_t variety;
        size_t out_n;
        uint64_t hash;
    } cases[] = {
        { 5000, 4, 1624, 140648571597156328ull },     { 100000, 256, 136843, 10940678023426061998ull },
        { 200000, 3, 47399, 9275296095851668788ull }, { 4000, 256, 5475, 15898071078707807577ull },
        { 3837, 256, 5257, 15310677669321701616ull }, { 3838, 256, 5258, 18236663730387846028ull },
        { 3839, 256, 5260, 14666596501002338981ull },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text = { 0 }, packed = { 0 }, out = { 0 };
        struct err err;
        uint32_t x = 12345;
        for (size_t k = 0; k < cases[i].n; k++) {
            x = x * 1664525 + 1013904223;
            buf_byte(&text, (char)((x >> 24) % cases[i].variety));
        }
        lzw_encode(buf_view(&text), &packed);
        uint64_t h = 14695981039346656037ull;
        for (size_t k = 0; k < packed.n; k++)
            h = (h ^ (uint8_t)packed.p[k]) * 1099511628211ull;
        assert_int_equal(packed.n, cases[i].out_n);
        assert_true(h == cases[i].hash);
        assert_true(lzw_decode(buf_view(&packed), cases[i].n, &out, &err));
        assert_true(str_eq(buf_view(&out), buf_view(&text)));
        buf_reset(&out);
        assert_false(lzw_decode(buf_view(&packed), cases[i].n - 1, &out, &err));
        assert_int_equal(err.code, ERR_LIMIT);
        assert_int_equal(out.n, 0);
        buf_deinit(&text);
        buf_deinit(&packed);
        buf_deinit(&out);
    }
}

static void put_code(struct buf *b, uint32_t *bits, unsigned *count, uint32_t code, unsigned width)
{
    *bits |= code << *count;
    *count += width;
    for (; *count >= 8; *count -= 8, *bits >>= 8)
        buf_byte(b, (char)*bits);
}

/* An encoder that never clears: the table fills up and the decoder goes on without adding. */
static void a_full_table_is_used_until_the_end(void **state)
{
    (void)state;
    struct buf packed = { 0 }, out = { 0 };
    struct err err;
    uint32_t bits = 0, hi = 257, overflow = 512;
    unsigned count = 0, width = 9;
    for (int i = 0; i < 6000; i++) {
        put_code(&packed, &bits, &count, (uint32_t)('a' + i % 7), width);
        if (hi < 4095 || width < 12) {
            hi++;
            if (hi >= overflow && width < 12) {
                width++;
                overflow <<= 1;
            }
        }
    }
    put_code(&packed, &bits, &count, 4095, width); /* the last entry of a full table */
    put_code(&packed, &bits, &count, 257, width);
    put_code(&packed, &bits, &count, 0, 8);
    assert_true(lzw_decode(buf_view(&packed), 10000, &out, &err));
    assert_int_equal(out.n, 6002);
    for (int i = 0; i < 6000; i++)
        assert_int_equal(out.p[i], 'a' + i % 7);
    /* entry 4095 was made when the 3839th code was read, index 3838: the one before it and its first byte */
    assert_int_equal(out.p[6000], 'a' + 3837 % 7);
    assert_int_equal(out.p[6001], 'a' + 3838 % 7);
    buf_deinit(&packed);
    buf_deinit(&out);
}

static void damaged_texts_fail(void **state)
{
    (void)state;
    struct buf out = { 0 };
    struct err err;
    assert_false(lzw_decode(STR(""), 100, &out, &err));
    assert_false(lzw_decode(STR("\x00"), 100, &out, &err));
    assert_false(lzw_decode(STR("\x61\x00"), 100, &out, &err)); /* no end */
    assert_string_equal(err.text, "lzw: unexpected EOF");
    assert_false(lzw_decode(STR("\xff\xff"), 100, &out, &err)); /* a code above what there can be */
    assert_string_equal(err.text, "lzw: invalid code");
    assert_int_equal(out.n, 0);
    assert_true(lzw_decode(STR("\x00\xc3\x04\x04trailing"), 100, &out, &err));
    assert_string_equal(out.p, "a");
    buf_deinit(&out);
}

static void random_bytes_are_survived(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 8);
    for (int i = 0; i < 20000; i++) {
        char bytes[64];
        size_t n = (size_t)rng_below(&rng, sizeof bytes);
        rng_bytes(&rng, bytes, n);
        struct buf out = { 0 };
        struct err err;
        if (lzw_decode(str_of(bytes, n), 1000, &out, &err))
            assert_true(out.n <= 1000);
        buf_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_texts_encode_to_gos_bytes),
        cmocka_unit_test(long_texts_encode_to_gos_bytes),
        cmocka_unit_test(a_full_table_is_used_until_the_end),
        cmocka_unit_test(damaged_texts_fail),
        cmocka_unit_test(random_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
