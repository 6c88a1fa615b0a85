#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/aead.h"

#include <string.h>

static void unhex(const char *hex, struct buf *out)
{
    for (; hex[0]; hex += 2)
        buf_byte(out, (char)(ascii_xdigit_value(hex[0]) << 4 | ascii_xdigit_value(hex[1])));
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 4, 10 and 16. */
static void published_vectors_hold_for_every_key_size(void **state)
{
    (void)state;
    static const char plain_hex[] = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
                                    "b16aedf5aa0de657ba637b39";
    static const char aad_hex[] = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    static const struct {
        const char *key, *sealed;
    } cases[] = {
        { "feffe9928665731c6d6a8f9467308308",
          "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58"
          "e0915bc94fbc3221a5db94fae95ae7121a47" },
        { "feffe9928665731c6d6a8f9467308308feffe9928665731c",
          "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda"
          "27102519498e80f1478f37ba55bd6d27618c" },
        { "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
          "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9"
          "f66276fc6ece0f4e1768cddf8853bb2d551b" },
    };
    struct buf plain = { 0 }, aad = { 0 }, nonce = { 0 };
    unhex(plain_hex, &plain);
    unhex(aad_hex, &aad);
    unhex("cafebabefacedbaddecaf888", &nonce);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf key = { 0 }, want = { 0 }, got = { 0 }, back = { 0 };
        struct err err;
        unhex(cases[i].key, &key);
        unhex(cases[i].sealed, &want);
        struct aead *a = aead_new(buf_view(&key), &err);
        assert_non_null(a);
        aead_seal(a, (const uint8_t *)nonce.p, buf_view(&aad), buf_view(&plain), &got);
        assert_true(str_eq(buf_view(&got), buf_view(&want)));
        assert_true(aead_open(a, (const uint8_t *)nonce.p, buf_view(&aad), buf_view(&got), &back));
        assert_true(str_eq(buf_view(&back), buf_view(&plain)));
        aead_free(a);
        buf_deinit(&key);
        buf_deinit(&want);
        buf_deinit(&got);
        buf_deinit(&back);
    }
    buf_deinit(&plain);
    buf_deinit(&aad);
    buf_deinit(&nonce);
}

static void any_changed_bit_is_noticed(void **state)
{
    (void)state;
    struct err err;
    struct aead *a = aead_new(STR("0123456789abcdef"), &err);
    uint8_t nonce[AEAD_NONCE_BYTES] = { 1, 2, 3 };
    struct buf sealed = { 0 }, out = { 0 };
    buf_c(&out, "kept");
    aead_seal(a, nonce, STR("label"), STR("plain"), &sealed);
    for (size_t i = 0; i < sealed.n * 8; i++) {
        sealed.p[i / 8] ^= (char)(1 << i % 8);
        assert_false(aead_open(a, nonce, STR("label"), buf_view(&sealed), &out));
        sealed.p[i / 8] ^= (char)(1 << i % 8);
    }
    assert_false(aead_open(a, nonce, STR("labem"), buf_view(&sealed), &out));
    assert_false(aead_open(a, nonce, STR(""), buf_view(&sealed), &out));
    nonce[11] ^= 1;
    assert_false(aead_open(a, nonce, STR("label"), buf_view(&sealed), &out));
    for (size_t n = 0; n < sealed.n; n++)
        assert_false(aead_open(a, nonce, STR("label"), str_of(sealed.p, n), &out));
    assert_string_equal(out.p, "kept");
    aead_free(a);
    buf_deinit(&sealed);
    buf_deinit(&out);
}

static void the_empty_text_can_be_sealed(void **state)
{
    (void)state;
    struct err err;
    struct aead *a = aead_new(STR("0123456789abcdef0123456789abcdef"), &err);
    const uint8_t nonce[AEAD_NONCE_BYTES] = { 0 };
    struct buf sealed = { 0 }, out = { 0 };
    aead_seal(a, nonce, STR(""), STR(""), &sealed);
    assert_int_equal(sealed.n, AEAD_TAG_BYTES);
    assert_true(aead_open(a, nonce, STR(""), buf_view(&sealed), &out));
    assert_int_equal(out.n, 0);
    aead_free(a);
    buf_deinit(&sealed);
    buf_deinit(&out);
}

static void other_key_sizes_are_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < 40; n++) {
        char key[40] = { 0 };
        struct err err;
        struct aead *a = aead_new(str_of(key, n), &err);
        assert_int_equal(a != NULL, n == 16 || n == 24 || n == 32);
        aead_free(a);
    }
}

static void equality_is_of_content(void **state)
{
    (void)state;
    assert_true(crypto_equal(STR("abc"), STR("abc")));
    assert_false(crypto_equal(STR("abc"), STR("abd")));
    assert_false(crypto_equal(STR("abc"), STR("ab")));
    assert_true(crypto_equal(STR(""), str_of(NULL, 0)));
}

static void guarded_secrets_are_copies(void **state)
{
    (void)state;
    struct guarded g = { 0 };
    char secret[] = "secret";
    guarded_set(&g, str_of(secret, 6));
    crypto_wipe(secret, 6);
    assert_memory_equal(secret, "\0\0\0\0\0\0", 6);
    assert_true(str_eq(guarded_view(&g), STR("secret")));
    guarded_set(&g, str_sub(guarded_view(&g), 0, 3)); /* from itself */
    assert_true(str_eq(guarded_view(&g), STR("sec")));
    guarded_set(&g, STR(""));
    assert_int_equal(guarded_view(&g).n, 0);
    guarded_free(&g);
    guarded_free(&g);
}

static void random_bytes_differ(void **state)
{
    (void)state;
    unsigned char a[32] = { 0 }, b[32] = { 0 };
    crypto_random(a, sizeof a);
    crypto_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

static int setup(void **state)
{
    (void)state;
    crypto_init();
    crypto_init(); /* twice does no harm */
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_hold_for_every_key_size),
        cmocka_unit_test(any_changed_bit_is_noticed),
        cmocka_unit_test(the_empty_text_can_be_sealed),
        cmocka_unit_test(other_key_sizes_are_refused),
        cmocka_unit_test(equality_is_of_content),
        cmocka_unit_test(guarded_secrets_are_copies),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
