/* What snappy, zstd, gzip and deflate promise alike: round trips, limits, refusals. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "lib/alloc_count.h"
#include "wire/gzip.h"
#include "wire/snappy.h"
#include "wire/zstd.h"

static void encode_zstd(struct str in, struct buf *out)
{
    zstd_encode(in, 3, out);
}

static void encode_gzip(struct str in, struct buf *out)
{
    gzip_encode(in, -1, out);
}

static void encode_deflate(struct str in, struct buf *out)
{
    deflate_encode(in, 6, out);
}

static const struct codec {
    void (*encode)(struct str in, struct buf *out);
    bool (*decode)(struct str in, size_t limit_bytes, struct buf *out, struct err *err);
} codecs[] = {
    { snappy_encode, snappy_decode },
    { encode_zstd, zstd_decode },
    { encode_gzip, gzip_decode },
    { encode_deflate, deflate_decode },
};

static void fill(struct rng *rng, struct buf *b, size_t n, unsigned variety)
{
    buf_reset(b);
    for (size_t i = 0; i < n; i++)
        buf_byte(b, (char)rng_below(rng, variety));
}

static void texts_round_trip_and_are_appended(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 2);
    const size_t sizes[] = { 0, 1, 10, 1000, 65536, 300000 };
    struct buf text = { 0 };
    for (size_t c = 0; c < ARRAY_LEN(codecs); c++) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            struct buf packed = { 0 }, out = { 0 };
            struct err err;
            fill(&rng, &text, sizes[i], i % 2 ? 3 : 256);
            buf_c(&packed, "ab");
            codecs[c].encode(buf_view(&text), &packed);
            buf_c(&out, "cd");
            assert_true(codecs[c].decode(str_from(buf_view(&packed), 2), sizes[i], &out, &err));
            assert_int_equal(out.n, sizes[i] + 2);
            assert_memory_equal(out.p, "cd", 2);
            assert_true(str_eq(str_from(buf_view(&out), 2), buf_view(&text)));
            assert_int_equal(out.p[out.n], 0);
            buf_deinit(&packed);
            buf_deinit(&out);
        }
    }
    buf_deinit(&text);
}

static void one_byte_over_the_limit_is_refused(void **state)
{
    (void)state;
    struct buf text = { 0 };
    buf_fill(&text, 'x', 200000);
    for (size_t c = 0; c < ARRAY_LEN(codecs); c++) {
        struct buf packed = { 0 }, out = { 0 };
        struct err err;
        codecs[c].encode(buf_view(&text), &packed);
        buf_c(&out, "kept");
        assert_false(codecs[c].decode(buf_view(&packed), text.n - 1, &out, &err));
        assert_int_equal(err.code, ERR_LIMIT);
        assert_string_equal(out.p, "kept");
        assert_false(codecs[c].decode(buf_view(&packed), 0, &out, &err));
        assert_true(codecs[c].decode(buf_view(&packed), text.n, &out, &err));
        buf_deinit(&packed);
        buf_deinit(&out);
    }
    buf_deinit(&text);
}

static void cut_and_changed_texts_never_decode_to_more(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 3);
    struct buf text = { 0 };
    fill(&rng, &text, 2000, 5);
    for (size_t c = 0; c < ARRAY_LEN(codecs); c++) {
        struct buf packed = { 0 };
        codecs[c].encode(buf_view(&text), &packed);
        for (size_t n = 0; n < packed.n; n++) {
            struct buf out = { 0 };
            struct err err;
            bool ok = codecs[c].decode(str_of(packed.p, n), 4000, &out, &err);
            assert_false(ok);
            assert_int_equal(out.n, 0);
            buf_deinit(&out);
        }
        for (int i = 0; i < 2000; i++) {
            struct buf out = { 0 }, bad = { 0 };
            struct err err;
            buf_str(&bad, buf_view(&packed));
            bad.p[rng_below(&rng, bad.n)] ^= (char)(1 + rng_below(&rng, 255));
            if (codecs[c].decode(buf_view(&bad), 4000, &out, &err))
                assert_true(out.n <= 4000);
            else
                assert_int_equal(out.n, 0);
            buf_deinit(&out);
            buf_deinit(&bad);
        }
        buf_deinit(&packed);
    }
    buf_deinit(&text);
}

static void snappy_refuses_a_huge_claim_before_allocating(void **state)
{
    (void)state;
    struct buf out = { 0 };
    struct err err;
    uint64_t before = alloc_count();
    assert_false(snappy_decode(STR("\xff\xff\xff\xff\x0f\x00"), 1u << 20, &out, &err));
    assert_int_equal(alloc_count() - before, 0);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_false(snappy_decode(STR(""), 1u << 20, &out, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

static void members_in_a_row_are_one_text(void **state)
{
    (void)state;
    struct buf packed = { 0 }, out = { 0 };
    struct err err;
    gzip_encode(STR("hello "), 1, &packed);
    gzip_encode(STR("world"), 9, &packed);
    assert_true(gzip_decode(buf_view(&packed), 100, &out, &err));
    assert_string_equal(out.p, "hello world");
    buf_reset(&packed);
    buf_reset(&out);
    zstd_encode(STR("hello "), 1, &packed);
    zstd_encode(STR("world"), 9, &packed);
    assert_true(zstd_decode(buf_view(&packed), 100, &out, &err));
    assert_string_equal(out.p, "hello world");
    buf_deinit(&packed);
    buf_deinit(&out);
}

static void raw_deflate_is_read_too(void **state)
{
    (void)state;
    struct buf packed = { 0 }, out = { 0 };
    struct err err;
    deflate_encode(STR("hello hello hello"), 6, &packed);
    assert_true(deflate_decode(str_sub(buf_view(&packed), 2, packed.n - 6), 100, &out, &err));
    assert_string_equal(out.p, "hello hello hello");
    buf_deinit(&packed);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_round_trip_and_are_appended),
        cmocka_unit_test(one_byte_over_the_limit_is_refused),
        cmocka_unit_test(cut_and_changed_texts_never_decode_to_more),
        cmocka_unit_test(snappy_refuses_a_huge_claim_before_allocating),
        cmocka_unit_test(members_in_a_row_are_one_text),
        cmocka_unit_test(raw_deflate_is_read_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
