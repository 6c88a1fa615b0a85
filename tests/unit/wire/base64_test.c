#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "wire/base64.h"

static void rfc_4648_vectors_hold(void **state)
{
    (void)state;
    static const char *const pairs[][2] = { { "", "" },         { "f", "Zg==" },         { "fo", "Zm8=" },
                                            { "foo", "Zm9v" },  { "foob", "Zm9vYg==" },  { "fooba", "Zm9vYmE=" },
                                            { "foobar", "Zm9vYmFy" } };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct buf b = { 0 };
        base64_encode(str_c(pairs[i][0]), BASE64_STD, &b);
        assert_true(str_eq(buf_view(&b), str_c(pairs[i][1])));
        buf_deinit(&b);
    }
}

static void every_shape_round_trips(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    for (int shape = BASE64_STD; shape <= BASE64_URL_RAW; shape++) {
        for (size_t n = 0; n < 200; n++) {
            char bytes[200];
            rng_bytes(&rng, bytes, n);
            struct buf text = { 0 }, back = { 0 };
            base64_encode(str_of(bytes, n), (enum base64_shape)shape, &text);
            assert_true(base64_decode(buf_view(&text), (enum base64_shape)shape, &back));
            assert_true(str_eq(buf_view(&back), str_of(bytes, n)));
            buf_deinit(&text);
            buf_deinit(&back);
        }
    }
}

static void alphabets_differ_in_two_characters(void **state)
{
    (void)state;
    struct buf b = { 0 };
    base64_encode(STR("\xfb\xff"), BASE64_STD, &b);
    buf_byte(&b, ' ');
    base64_encode(STR("\xfb\xff"), BASE64_URL_RAW, &b);
    assert_string_equal(b.p, "+/8= -_8");
    buf_deinit(&b);
}

static void decoding_is_as_strict_as_gos(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum base64_shape shape;
        bool ok;
    } cases[] = {
        { "Zm9v\r\nYg=\n=\n", BASE64_STD, true }, { "Zg", BASE64_STD, false },     { "Zg=", BASE64_STD, false },
        { "Zg==x", BASE64_STD, false },           { "Zg===", BASE64_STD, false },  { "Z", BASE64_STD_RAW, false },
        { "Zg", BASE64_STD_RAW, true },           { "Zg==", BASE64_STD_RAW, false }, { "Zm9v ", BASE64_STD, false },
        { "Zm-v", BASE64_STD, false },            { "Zm-v", BASE64_URL, true },    { "=", BASE64_STD, false },
        { "====", BASE64_STD, false },            { "Z===", BASE64_STD, false },   { "Zh==", BASE64_STD, true },
        { "Zm9v====", BASE64_STD, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = { 0 };
        buf_c(&b, "kept");
        if (base64_decode(str_c(cases[i].text), cases[i].shape, &b) != cases[i].ok)
            fail_msg("%s", cases[i].text);
        if (!cases[i].ok)
            assert_string_equal(b.p, "kept");
        buf_deinit(&b);
    }
}

static void hex_reads_either_case(void **state)
{
    (void)state;
    struct buf b = { 0 };
    assert_true(hex_decode(STR("00fFA5"), &b));
    assert_int_equal(b.n, 3);
    assert_memory_equal(b.p, "\x00\xff\xa5", 3);
    assert_false(hex_decode(STR("0"), &b));
    assert_false(hex_decode(STR("000g"), &b));
    assert_int_equal(b.n, 3);
    buf_reset(&b);
    hex_encode(STR("\x00\xff\xa5"), &b);
    assert_string_equal(b.p, "00ffa5");
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_4648_vectors_hold),
        cmocka_unit_test(every_shape_round_trips),
        cmocka_unit_test(alphabets_differ_in_two_characters),
        cmocka_unit_test(decoding_is_as_strict_as_gos),
        cmocka_unit_test(hex_reads_either_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
