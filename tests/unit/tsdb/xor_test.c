/* tsdb/chunkenc/xor.c: what is written is read back, to the bit, and damage is an error. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/rng.h"
#include "model/sample.h"
#include "tsdb/chunkenc/xor_int.h"

#include <stdlib.h>

#define SAMPLES_MAX 4000

struct chunk {
    struct xor_state state;
    uint8_t bytes[SAMPLES_MAX * 20 + 64];
};

static void put(struct chunk *c, int64_t t, uint64_t v)
{
    struct xor_step step;
    size_t n = xor_bytes(&c->state);
    xor_append(&c->state, n ? c->bytes[n - 1] : 0, t, v, &step);
    memcpy(c->bytes + step.at, step.bytes, step.n);
    put_be16(c->bytes, c->state.n);
}

/* A copy of exactly the size, so that a load past the end is seen. Times that are said to ascend do. */
static bool decode_told(const uint8_t *p, size_t n, int64_t *t, double *v, bool *ascends, struct err *err)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, p, n);
    bool ok = xor_decode(copy, n, t, v, ascends, err);
    free(copy);
    for (size_t i = 1; ok && *ascends && i < get_be16(p); i++)
        assert_true(t[i] > t[i - 1]);
    return ok;
}
static bool decode(const uint8_t *p, size_t n, int64_t *t, double *v, struct err *err)
{
    bool ascends;
    return decode_told(p, n, t, v, &ascends, err);
}

static uint64_t random_value(struct rng *r, int kind, uint64_t last)
{
    switch (kind) {
    case 0: return last;
    case 1: return f64_bits((double)rng_below(r, 1000));
    case 2: return rng_u64(r);
    case 3: return f64_bits(rng_unit(r));
    case 4: return STALE_NAN_BITS;
    default: return last ^ (UINT64_C(1) << rng_below(r, 64));
    }
}

static int64_t random_step(struct rng *r, int kind)
{
    static const uint64_t spans[] = { 1, 3, 8191, 8193, 65535, 65537, 524287, 524289, UINT64_C(1) << 40 };
    return kind == 0 ? 15000 : 1 + (int64_t)rng_below(r, spans[rng_below(r, 9)]);
}

static void random_samples_come_back_bit_for_bit(void **state)
{
    (void)state;
    struct rng r;
    struct err err = { 0 };
    static struct chunk c;
    static int64_t want_t[SAMPLES_MAX], t[SAMPLES_MAX];
    static uint64_t want_v[SAMPLES_MAX];
    static double v[SAMPLES_MAX];
    for (uint64_t seed = 1; seed < 400; seed++) {
        rng_seed(&r, seed);
        size_t n = 1 + rng_below(&r, seed % 10 ? 200 : SAMPLES_MAX);
        int64_t at = (int64_t)rng_below(&r, 1u << 30) - (1 << 29);
        uint64_t last = 0;
        c.state = (struct xor_state){ 0 };
        for (size_t i = 0; i < n; i++) {
            at += random_step(&r, (int)rng_below(&r, 3));
            last = random_value(&r, (int)rng_below(&r, 6), last);
            want_t[i] = at;
            want_v[i] = last;
            put(&c, at, last);
        }
        bool ascends;
        assert_true(decode_told(c.bytes, xor_bytes(&c.state), t, v, &ascends, &err));
        assert_true(ascends || n == 1);
        assert_memory_equal(t, want_t, n * sizeof *t);
        assert_memory_equal(v, want_v, n * sizeof *v);
    }
}

static void times_of_damaged_chunks_are_not_said_to_ascend(void **state)
{
    (void)state;
    struct rng r;
    static struct chunk c;
    static int64_t t[65536];
    static double v[65536];
    size_t fell = 0;
    rng_seed(&r, 11);
    for (int round = 0; round < 20000; round++) {
        struct err err = { 0 };
        bool ascends;
        int64_t at = round % 3 ? 1700000000000 : INT64_MAX - 1000000 * (1 + round % 5);
        c.state = (struct xor_state){ 0 };
        for (int i = 0; i < 20; i++)
            put(&c, at += 1 + (int64_t)rng_below(&r, i % 4 ? 3 : 20000), f64_bits(i));
        size_t n = xor_bytes(&c.state), bit = 16 + rng_below(&r, (uint32_t)n * 8 - 16);
        c.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (!decode_told(c.bytes, n, t, v, &ascends, &err))
            continue;
        for (size_t i = 1; i < 20; i++)
            fell += t[i] <= t[i - 1];
    }
    assert_true(fell > 100);
}

static void trailing_bytes_are_ignored(void **state)
{
    (void)state;
    struct err err = { 0 };
    static struct chunk c;
    int64_t t[3];
    double v[3];
    c.state = (struct xor_state){ 0 };
    for (int i = 0; i < 3; i++)
        put(&c, i * 1000, f64_bits(i));
    for (size_t extra = 0; extra < 60; extra++)
        assert_true(decode(c.bytes, xor_bytes(&c.state) + extra, t, v, &err));
    assert_int_equal(t[2], 2000);
}

static void every_cut_is_noticed_or_harmless(void **state)
{
    (void)state;
    struct rng r;
    static struct chunk c;
    static int64_t t[SAMPLES_MAX];
    static double v[SAMPLES_MAX];
    rng_seed(&r, 7);
    c.state = (struct xor_state){ 0 };
    for (int i = 0; i < 120; i++)
        put(&c, i * 15000, rng_u64(&r));
    for (size_t n = 0; n < xor_bytes(&c.state); n++) {
        struct err err = { 0 };
        assert_false(decode(c.bytes, n, t, v, &err));
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void window_that_is_none_is_corrupt(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct buf b = { 0 };
    int64_t t[2];
    double v[2];
    buf_append(&b, "\x00\x02\x02", 3); /* two samples, t0 = 1 */
    buf_fill(&b, 0, 8);
    buf_append(&b, "\x01\xff\xff\xff", 4); /* delta 1, then 11 11111 111111: 31 + 63 bits */
    buf_fill(&b, 0, 8);
    assert_false(decode((const uint8_t *)b.p, b.n, t, v, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    buf_deinit(&b);
}

static void counters_at_a_fixed_interval_stay_small(void **state)
{
    (void)state;
    static struct chunk c;
    c.state = (struct xor_state){ 0 };
    for (int i = 0; i < 120; i++)
        put(&c, 1700000000000 + i * 15000, f64_bits(1000 + i * 60));
    assert_true(xor_bytes(&c.state) < 400);
    c.state = (struct xor_state){ 0 };
    for (int i = 0; i < 120; i++)
        put(&c, 1700000000000 + i * 15000, f64_bits(1));
    assert_true(xor_bytes(&c.state) < 52);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_samples_come_back_bit_for_bit),
        cmocka_unit_test(times_of_damaged_chunks_are_not_said_to_ascend),
        cmocka_unit_test(trailing_bytes_are_ignored),
        cmocka_unit_test(every_cut_is_noticed_or_harmless),
        cmocka_unit_test(window_that_is_none_is_corrupt),
        cmocka_unit_test(counters_at_a_fixed_interval_stay_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
