#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "wire/pb.h"

#include <math.h>

static void fields_round_trip(void **state)
{
    (void)state;
    struct buf b = { 0 };
    pb_write_u64(&b, 1, 300);
    pb_write_i64(&b, 2, -1);
    pb_write_s64(&b, 3, -2);
    pb_write_bool(&b, 4, true);
    pb_write_f64(&b, 5, 1.5);
    pb_write_fixed32(&b, 6, 7);
    pb_write_str(&b, 536870911, STR("text"));
    struct pb_reader r;
    struct pb_field f;
    pb_reader_init(&r, buf_view(&b));
    assert_true(pb_next(&r, &f) && f.number == 1 && pb_u64(&f) == 300);
    assert_true(pb_next(&r, &f) && f.number == 2 && pb_i64(&f) == -1);
    assert_true(pb_next(&r, &f) && f.number == 3 && pb_s64(&f) == -2);
    assert_true(pb_next(&r, &f) && f.number == 4 && pb_bool(&f));
    assert_true(pb_next(&r, &f) && f.type == PB_I64 && fabs(pb_f64(&f) - 1.5) < 1e-12);
    assert_true(pb_next(&r, &f) && f.type == PB_I32 && pb_u64(&f) == 7);
    assert_true(pb_next(&r, &f) && f.number == 536870911 && str_eq(f.bytes, STR("text")));
    assert_false(pb_next(&r, &f));
    assert_false(r.failed);
    buf_deinit(&b);
}

static void known_bytes_are_protobufs(void **state)
{
    (void)state;
    struct buf b = { 0 };
    pb_write_u64(&b, 1, 150);
    pb_write_str(&b, 2, STR("testing"));
    assert_int_equal(b.n, 12);
    assert_memory_equal(b.p, "\x08\x96\x01\x12\x07testing", 12);
    buf_deinit(&b);
}

static void nesting_works_for_any_length(void **state)
{
    (void)state;
    const size_t lengths[] = { 0, 1, 120, 127, 128, 129, 16383, 16384, 300000 };
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct buf b = { 0 };
        pb_write_u64(&b, 9, 1);
        size_t outer = pb_begin(&b, 1);
        size_t inner = pb_begin(&b, 2);
        buf_fill(&b, 'x', lengths[i]);
        pb_end(&b, inner);
        pb_write_u64(&b, 3, 4);
        pb_end(&b, outer);
        pb_write_u64(&b, 10, 1);
        struct pb_reader r, sub;
        struct pb_field f, g;
        pb_reader_init(&r, buf_view(&b));
        assert_true(pb_next(&r, &f) && f.number == 9);
        assert_true(pb_next(&r, &f) && f.number == 1 && f.type == PB_LEN);
        pb_reader_init(&sub, f.bytes);
        assert_true(pb_next(&sub, &g) && g.number == 2 && g.bytes.n == lengths[i]);
        for (size_t k = 0; k < g.bytes.n; k++)
            assert_int_equal(g.bytes.p[k], 'x');
        assert_true(pb_next(&sub, &g) && g.number == 3 && g.value == 4);
        assert_false(pb_next(&sub, &g));
        assert_true(pb_next(&r, &f) && f.number == 10);
        assert_false(pb_next(&r, &f) || r.failed || sub.failed);
        buf_deinit(&b);
    }
}

static void delimited_streams_come_apart_again(void **state)
{
    (void)state;
    struct buf b = { 0 };
    for (uint64_t i = 0; i < 3; i++) {
        size_t mark = pb_begin_delimited(&b);
        pb_write_u64(&b, 1, i);
        buf_fill(&b, 0, 0);
        pb_end(&b, mark);
    }
    struct str rest = buf_view(&b), message;
    bool failed = false;
    for (uint64_t i = 0; i < 3; i++) {
        struct pb_reader r;
        struct pb_field f;
        assert_true(pb_delimited(&rest, &message, &failed));
        pb_reader_init(&r, message);
        assert_true(pb_next(&r, &f) && f.value == i);
    }
    assert_false(pb_delimited(&rest, &message, &failed) || failed);
    rest = str_of(b.p, b.n - 1);
    while (pb_delimited(&rest, &message, &failed)) {
    }
    assert_true(failed);
    buf_deinit(&b);
}

static void damaged_messages_fail(void **state)
{
    (void)state;
    const struct str bad[] = {
        STR("\x08"), STR("\x08\x80"), STR("\x12\x05" "abcd"), STR("\x09" "1234567"), STR("\x0d" "123"), STR("\x00\x01"),
        STR("\x0c"), STR("\x0b"), STR("\x0b\x14"), STR("\x0e\x01"), STR("\x0f\x01"),
        STR("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), STR("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x01"),
        STR("\x88\x80\x80\x80\x10\x01"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct pb_reader r;
        struct pb_field f;
        pb_reader_init(&r, bad[i]);
        while (pb_next(&r, &f)) {
        }
        assert_true(r.failed);
        assert_false(pb_next(&r, &f));
    }
}

static void groups_are_passed_over(void **state)
{
    (void)state;
    struct pb_reader r;
    struct pb_field f;
    pb_reader_init(&r, STR("\x0b\x10\x01\x1b\x22\x01x\x1c\x0c\x28\x07"));
    assert_true(pb_next(&r, &f));
    assert_int_equal(f.number, 5);
    assert_int_equal(f.value, 7);
    assert_false(pb_next(&r, &f) || r.failed);
}

static void packed_fields_walk_to_their_end(void **state)
{
    (void)state;
    bool failed = false;
    uint64_t v;
    double d;
    struct str packed = STR("\x01\xac\x02\x03");
    assert_true(pb_packed_varint(&packed, &v, &failed) && v == 1);
    assert_true(pb_packed_varint(&packed, &v, &failed) && v == 300);
    assert_true(pb_packed_varint(&packed, &v, &failed) && v == 3);
    assert_false(pb_packed_varint(&packed, &v, &failed) || failed);
    packed = STR("\x80");
    assert_false(pb_packed_varint(&packed, &v, &failed));
    assert_true(failed);
    failed = false;
    packed = STR("\0\0\0\0\0\0\xf8\x3f" "1234");
    assert_true(pb_packed_f64(&packed, &d, &failed) && fabs(d - 1.5) < 1e-12);
    assert_false(pb_packed_f64(&packed, &d, &failed));
    assert_true(failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_round_trip),
        cmocka_unit_test(known_bytes_are_protobufs),
        cmocka_unit_test(nesting_works_for_any_length),
        cmocka_unit_test(delimited_streams_come_apart_again),
        cmocka_unit_test(damaged_messages_fail),
        cmocka_unit_test(groups_are_passed_over),
        cmocka_unit_test(packed_fields_walk_to_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
