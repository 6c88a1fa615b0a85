#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "nflog/claim_message.h"

static const struct claim_message said[] = {
    { .kind = CLAIM_TAKE, .key = 99, .holder = STR_INIT("node-1"), .origin = STR_INIT(""), .round = 300, .seen = { 1700000000, 999999999 } },
    { .kind = CLAIM_FAIL, .key = UINT64_MAX, .holder = STR_INIT("node-1"), .origin = STR_INIT(""), .round = 1, .seen = { -62135596800, 0 } },
    { .kind = CLAIM_PASS, .key = 1, .holder = STR_INIT("node-1"), .origin = STR_INIT("node-2"), .round = 7, .seen = { -62135596800, 0 } },
    { .kind = CLAIM_PASS, .key = 2, .holder = STR_INIT("node-1"), .origin = STR_INIT("node-2"), .round = 7, .seen = { -62135596800, 0 } },
    { .kind = CLAIM_PASS, .key = 3, .holder = STR_INIT("node-1"), .origin = STR_INIT("c"), .round = 7, .seen = { -62135596800, 0 } },
    { .kind = CLAIM_ASK, .key = 4, .holder = STR_INIT("node-1"), .origin = STR_INIT(""), .round = 2, .serial = 4000000000, .seen = { -62135596800, 0 } },
    { .kind = CLAIM_YES, .key = 5, .holder = STR_INIT("node-1"), .origin = STR_INIT(""), .round = CLAIM_ROUND_MAX, .serial = 6, .seen = { -62135596800, 0 } },
};

static void same(const struct claim_message *a, const struct claim_message *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_true(a->key == b->key);
    assert_true(str_eq(a->holder, b->holder));
    assert_true(str_eq(a->origin, b->origin));
    assert_int_equal(a->round, b->round);
    assert_int_equal(a->serial, b->serial);
    assert_int_equal(wire_time_cmp(a->seen, b->seen), 0);
}

static void batch_survives_the_wire(void **state)
{
    (void)state;
    struct claim_batch b = { 0 };
    struct claim_reader r;
    struct claim_message m;
    for (size_t i = 0; i < 7; i++)
        assert_true(claim_batch_add(&b, &said[i]));
    claim_reader_init(&r, buf_view(&b.bytes));
    for (size_t i = 0; i < 7; i++) {
        assert_true(claim_reader_next(&r, &m));
        same(&m, &said[i]);
    }
    assert_false(claim_reader_next(&r, &m));
    assert_false(r.failed);
    claim_batch_deinit(&b);
}

/* What was cut is read up to the cut, and no message is invented. */
static void cut_batch_is_read_up_to_the_cut(void **state)
{
    (void)state;
    struct claim_batch b = { 0 };
    struct claim_message m;
    for (size_t i = 0; i < 7; i++)
        assert_true(claim_batch_add(&b, &said[i]));
    for (size_t n = 0; n < b.bytes.n; n++) {
        struct claim_reader r;
        size_t i = 0;
        for (claim_reader_init(&r, str_of(b.bytes.p, n)); claim_reader_next(&r, &m); i++)
            same(&m, &said[i]);
        assert_true(i < 7);
    }
    claim_batch_deinit(&b);
}

static void full_batch_is_a_packet_and_says_so(void **state)
{
    (void)state;
    struct claim_batch b = { 0 };
    size_t n = 0;
    while (claim_batch_add(&b, &said[1]))
        n++;
    assert_true(b.bytes.n <= CLAIM_BYTES_MAX);
    assert_true(n > 50); /* and a failure costs 10 bytes */
    claim_batch_reset(&b);
    assert_true(claim_batch_add(&b, &said[1]));
    claim_batch_deinit(&b);
}

static void strange_bytes_are_refused(void **state)
{
    (void)state;
    static const struct str bad[] = { STR_INIT(""), STR_INIT("\2\1a"), STR_INIT("\1\0"), STR_INIT("\1\1a\6........\1"),
                                      STR_INIT("\1\1a\3........\1\0") }; /* a pass whose origin is the one before, of which there is none */
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct claim_reader r;
        struct claim_message m;
        claim_reader_init(&r, bad[i]);
        assert_false(claim_reader_next(&r, &m));
        assert_true(r.failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_survives_the_wire),
        cmocka_unit_test(cut_batch_is_read_up_to_the_cut),
        cmocka_unit_test(full_batch_is_a_packet_and_says_so),
        cmocka_unit_test(strange_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
