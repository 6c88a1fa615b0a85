#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "wire/msgpack.h"

static void check_bytes(const struct buf *b, struct str want)
{
    assert_int_equal(b->n, want.n);
    assert_memory_equal(b->p, want.p, want.n);
}

static void integers_are_written_in_the_smallest_form(void **state)
{
    (void)state;
    static const struct {
        uint64_t v;
        struct str want;
    } cases[] = {
        { 0, STR_INIT("\0") },
        { 127, STR_INIT("\x7f") },
        { 128, STR_INIT("\xcc\x80") },
        { 255, STR_INIT("\xcc\xff") },
        { 256, STR_INIT("\xcd\x01\x00") },
        { 65536, STR_INIT("\xce\x00\x01\x00\x00") },
        { 1ull << 32, STR_INIT("\xcf\x00\x00\x00\x01\x00\x00\x00\x00") },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = { 0 };
        msgpack_write_u64(&b, cases[i].v);
        check_bytes(&b, cases[i].want);
        buf_reset(&b);
        msgpack_write_i64(&b, (int64_t)cases[i].v);
        check_bytes(&b, cases[i].want);
        buf_deinit(&b);
    }
}

static void signed_integers_round_trip(void **state)
{
    (void)state;
    const int64_t values[] = { -1, -32, -33, -128, -129, -32768, -32769, INT32_MIN, (int64_t)INT32_MIN - 1, INT64_MIN,
                               INT64_MAX, 0 };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct buf b = { 0 };
        struct msgpack_reader r;
        int64_t v;
        uint64_t u;
        msgpack_write_i64(&b, values[i]);
        msgpack_reader_init(&r, buf_view(&b));
        assert_true(msgpack_i64(&r, &v));
        assert_true(v == values[i]);
        assert_int_equal(r.rest.n, 0);
        msgpack_reader_init(&r, buf_view(&b));
        assert_int_equal(msgpack_u64(&r, UINT64_MAX, &u), values[i] >= 0);
        buf_deinit(&b);
    }
}

static void strings_are_raw_only(void **state)
{
    (void)state;
    const size_t sizes[] = { 0, 31, 32, 255, 256, 65535, 65536 };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf b = { 0 };
        char *text = mem_alloc(sizes[i] + 1);
        memset(text, 'x', sizes[i]);
        msgpack_write_str(&b, str_of(text, sizes[i]));
        uint8_t type = (uint8_t)b.p[0];
        assert_int_equal(type, sizes[i] < 32 ? 0xA0 + sizes[i] : sizes[i] < 65536 ? 0xDA : 0xDB);
        struct msgpack_reader r;
        struct str s;
        msgpack_reader_init(&r, buf_view(&b));
        assert_true(msgpack_str(&r, &s));
        assert_true(str_eq(s, str_of(text, sizes[i])));
        buf_deinit(&b);
        mem_free(text);
    }
}

static void readers_take_every_form(void **state)
{
    (void)state;
    struct msgpack_reader r;
    struct str s;
    const struct str strings[] = {
        STR("\xa2" "ab"), STR("\xd9\x02" "ab"), STR("\xda\x00\x02" "ab"), STR("\xdb\x00\x00\x00\x02" "ab"),
        STR("\xc4\x02" "ab"), STR("\xc5\x00\x02" "ab"), STR("\xc6\x00\x00\x00\x02" "ab"),
    };
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        msgpack_reader_init(&r, strings[i]);
        assert_true(msgpack_str(&r, &s));
        assert_true(str_eq(s, STR("ab")));
        assert_int_equal(r.rest.n, 0);
    }
    msgpack_reader_init(&r, STR("\xc0"));
    assert_true(msgpack_str(&r, &s));
    assert_int_equal(s.n, 0);
    assert_null(s.p);

    const struct str numbers[] = {
        STR("\xcc\x2a"), STR("\xcd\x00\x2a"), STR("\xce\x00\x00\x00\x2a"), STR("\xcf\0\0\0\0\0\0\0\x2a"), STR("\x2a"),
        STR("\xd0\x2a"), STR("\xd1\x00\x2a"), STR("\xd2\x00\x00\x00\x2a"), STR("\xd3\0\0\0\0\0\0\0\x2a"),
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        uint64_t u;
        int64_t v;
        msgpack_reader_init(&r, numbers[i]);
        assert_true(msgpack_u64(&r, 42, &u));
        assert_int_equal(u, 42);
        msgpack_reader_init(&r, numbers[i]);
        assert_true(msgpack_i64(&r, &v));
        assert_int_equal(v, 42);
        msgpack_reader_init(&r, numbers[i]);
        assert_false(msgpack_u64(&r, 41, &u));
    }
    const struct {
        struct str text;
        bool want;
    } bools[] = { { STR("\xc3"), true }, { STR("\xc2"), false }, { STR("\x01"), true }, { STR("\x00"), false } };
    for (size_t i = 0; i < ARRAY_LEN(bools); i++) {
        bool b;
        msgpack_reader_init(&r, bools[i].text);
        assert_true(msgpack_bool(&r, &b));
        assert_int_equal(b, bools[i].want);
    }
}

static void a_negative_number_is_no_unsigned_one(void **state)
{
    (void)state;
    const struct str texts[] = { STR("\xff"), STR("\xd0\x80"), STR("\xd1\xff\xff"), STR("\xd2\xff\xff\xff\xff"),
                                 STR("\xd3\xff\xff\xff\xff\xff\xff\xff\xff") };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct msgpack_reader r;
        uint64_t u;
        int64_t v;
        msgpack_reader_init(&r, texts[i]);
        assert_false(msgpack_u64(&r, UINT64_MAX, &u));
        assert_true(r.failed);
        msgpack_reader_init(&r, texts[i]);
        assert_true(msgpack_i64(&r, &v) && v < 0);
    }
}

static void a_map_is_walked_in_any_order_past_unknown_keys(void **state)
{
    (void)state;
    struct buf b = { 0 };
    msgpack_write_map(&b, 4);
    msgpack_write_str(&b, STR("Later"));
    buf_str(&b, STR("\x82\xa1" "a\x93\x01\xca" "1234\xcb" "12345678\xa1" "b\x81\x01\xc4\x01z")); /* nested */
    msgpack_write_str(&b, STR("SeqNo"));
    msgpack_write_u64(&b, 7);
    msgpack_write_str(&b, STR("Ext"));
    buf_str(&b, STR("\xd4\x05" "x"));
    msgpack_write_str(&b, STR("Node"));
    msgpack_write_str(&b, STR("n1"));
    buf_c(&b, "rest");
    struct msgpack_reader r;
    struct str key, node = STR_EMPTY;
    uint64_t seq = 0;
    msgpack_reader_init(&r, buf_view(&b));
    size_t pairs = msgpack_map(&r);
    assert_int_equal(pairs, 4);
    for (; pairs > 0 && msgpack_str(&r, &key); pairs--) {
        if (str_eq(key, STR("SeqNo")))
            msgpack_u64(&r, UINT32_MAX, &seq);
        else if (str_eq(key, STR("Node")))
            msgpack_str(&r, &node);
        else
            msgpack_skip(&r);
    }
    assert_false(r.failed);
    assert_int_equal(seq, 7);
    assert_true(str_eq(node, STR("n1")));
    assert_true(str_eq(r.rest, STR("rest")));
    buf_deinit(&b);
}

static void counts_of_containers_have_all_sizes(void **state)
{
    (void)state;
    const uint32_t counts[] = { 0, 15, 16, 65535, 65536 };
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        struct buf b = { 0 };
        struct msgpack_reader r;
        msgpack_write_map(&b, counts[i]);
        buf_fill(&b, 1, 2 * (size_t)counts[i]);
        msgpack_reader_init(&r, buf_view(&b));
        assert_true(msgpack_skip(&r) && r.rest.n == 0);
        msgpack_reader_init(&r, buf_view(&b));
        assert_int_equal(msgpack_map(&r), counts[i]);
        buf_reset(&b);
        msgpack_write_array(&b, counts[i]);
        buf_fill(&b, 1, counts[i]);
        msgpack_reader_init(&r, buf_view(&b));
        assert_int_equal(msgpack_array(&r), counts[i]);
        assert_false(r.failed);
        buf_deinit(&b);
    }
}

static void what_is_cut_or_claims_too_much_fails(void **state)
{
    (void)state;
    const struct str bad[] = {
        STR(""), STR("\xdf\xff\xff\xff\xff"), STR("\xdd\xff\xff\xff\xff"), STR("\x81\x01"), STR("\x91"), STR("\xc1"),
        STR("\xa5" "ab"), STR("\xdb\xff\xff\xff\xff"), STR("\xcf\x01"), STR("\xc9\xff\xff\xff\xff"), STR("\xd8" "1234"),
        STR("\xcb" "1234"), STR("\xde\x00"), STR("\xd9"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct msgpack_reader r;
        msgpack_reader_init(&r, bad[i]);
        assert_false(msgpack_skip(&r));
        assert_true(r.failed);
    }
    struct buf deep = { 0 };
    struct msgpack_reader r;
    buf_fill(&deep, (char)0x91, 100000);
    msgpack_reader_init(&r, buf_view(&deep));
    assert_false(msgpack_skip(&r));
    buf_deinit(&deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_written_in_the_smallest_form),
        cmocka_unit_test(signed_integers_round_trip),
        cmocka_unit_test(strings_are_raw_only),
        cmocka_unit_test(readers_take_every_form),
        cmocka_unit_test(a_negative_number_is_no_unsigned_one),
        cmocka_unit_test(a_map_is_walked_in_any_order_past_unknown_keys),
        cmocka_unit_test(counts_of_containers_have_all_sizes),
        cmocka_unit_test(what_is_cut_or_claims_too_much_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
