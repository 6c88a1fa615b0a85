#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "crypto/hash.h"

static const char *hex_of(const uint8_t *bytes, size_t n)
{
    static char text[2 * SHA512_BYTES + 1];
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    text[2 * n] = 0;
    return text;
}

static void published_digests_hold(void **state)
{
    (void)state;
    uint8_t out[SHA512_BYTES];
    hash_md5(STR("abc"), out);
    assert_string_equal(hex_of(out, MD5_BYTES), "900150983cd24fb0d6963f7d28e17f72");
    hash_md5(str_of(NULL, 0), out);
    assert_string_equal(hex_of(out, MD5_BYTES), "d41d8cd98f00b204e9800998ecf8427e");
    hash_sha1(STR("abc"), out);
    assert_string_equal(hex_of(out, SHA1_BYTES), "a9993e364706816aba3e25717850c26c9cd0d89d");
    hash_sha256(STR("abc"), out);
    assert_string_equal(hex_of(out, SHA256_BYTES), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_sha256(str_of(NULL, 0), out);
    assert_string_equal(hex_of(out, SHA256_BYTES), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    hash_sha512(STR("abc"), out);
    assert_string_equal(hex_of(out, SHA512_BYTES),
                        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
                        "454d4423643ce80e2a9ac94fa54ca49f");
    struct buf b = { 0 };
    buf_byte(&b, '>');
    hash_sha256_hex(STR("abc"), &b);
    assert_string_equal(b.p, ">ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    buf_deinit(&b);
}

static void published_macs_hold(void **state)
{
    (void)state;
    uint8_t out[SHA256_BYTES];
    /* RFC 2195: CRAM-MD5's example */
    hmac_md5(STR("tanstaaftanstaaf"), STR("<1896.697170952@postoffice.reston.mci.net>"), out);
    assert_string_equal(hex_of(out, MD5_BYTES), "b913a602c7eda7a495b4e6e7334d3890");
    hmac_sha256(STR("key"), STR("The quick brown fox jumps over the lazy dog"), out);
    assert_string_equal(hex_of(out, SHA256_BYTES), "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
    hmac_sha256(str_of(NULL, 0), str_of(NULL, 0), out);
    assert_string_equal(hex_of(out, SHA256_BYTES), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void xxh64_is_that_of_the_alert_hash(void **state)
{
    (void)state;
    assert_true(hash_xxh64(STR("")) == 0xef46db3751d8e999ull);
    assert_true(hash_xxh64(str_of(NULL, 0)) == 0xef46db3751d8e999ull);
    assert_true(hash_xxh64(STR("a")) == 0xd24ec4f1a98c6e5bull);
    assert_true(hash_xxh64(STR("A\xff" "4\xff" "a\xff" "1\xff" "a1\xff" "2\xff" "a_b\xff" "3\xff" "alertname\xff" "pfx\xff")) ==
                0x75e3615155a134e0ull);
}

static void a_stream_agrees_with_one_shot_however_it_is_cut(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    char bytes[300];
    rng_bytes(&rng, bytes, sizeof bytes);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        struct xxh64_stream x;
        xxh64_start(&x);
        for (size_t at = 0; at < n;) {
            size_t piece = 1 + (size_t)rng_below(&rng, 70);
            if (piece > n - at)
                piece = n - at;
            xxh64_add(&x, str_of(bytes + at, piece));
            xxh64_add(&x, str_of(NULL, 0));
            at += piece;
            assert_true(xxh64_value(&x) == hash_xxh64(str_of(bytes, at)));
        }
        assert_true(xxh64_value(&x) == hash_xxh64(str_of(bytes, n)));
    }
}

static void fnv1a_is_that_of_the_fingerprint(void **state)
{
    (void)state;
    assert_true(fnv1a64_add(FNV1A64_START, STR("")) == 0xcbf29ce484222325ull);
    assert_true(fnv1a64_add(FNV1A64_START, STR("a")) == 0xaf63dc4c8601ec8cull);
    assert_true(fnv1a64_add(FNV1A64_START, STR("foobar")) == 0x85944171f73967e8ull);
    assert_true(fnv1a64_add(fnv1a64_add(FNV1A64_START, STR("foo")), STR("bar")) == 0x85944171f73967e8ull);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_digests_hold),
        cmocka_unit_test(published_macs_hold),
        cmocka_unit_test(xxh64_is_that_of_the_alert_hash),
        cmocka_unit_test(a_stream_agrees_with_one_shot_however_it_is_cut),
        cmocka_unit_test(fnv1a_is_that_of_the_fingerprint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
