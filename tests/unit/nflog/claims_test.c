#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "nflog/claims.h"

static const int64_t T = 15000; /* peer timeout */
static const uint64_t KEY = 99;

static const struct claim_member abc[] = { { STR_INIT("a"), true }, { STR_INIT("b"), true }, { STR_INIT("c"), true } };

static struct claim_members as(size_t self)
{
    return (struct claim_members){ abc, 3, self };
}

static mono_ms ms(int64_t v)
{
    return (mono_ms){ v };
}

static struct claim_message say(enum claim_kind kind, const char *holder, uint32_t round)
{
    return (struct claim_message){ kind, KEY, str_c(holder), STR_EMPTY, round };
}

static int64_t turn(struct claims *c, size_t self, int64_t now, int64_t base)
{
    struct claim_members m = as(self);
    return claims_turn(c, ms(now), KEY, ms(base), T, &m).ms;
}

static void without_a_claim_upstreams_rule_runs(void **state)
{
    (void)state;
    struct claims *c = claims_new();
    assert_int_equal(turn(c, 1, 1000, 16000), 16000);
    claims_free(c);
}

static void others_wait_while_an_attempt_is_in_flight_but_not_for_ever(void **state)
{
    (void)state;
    struct claims *c = claims_new();
    struct claim_members m = as(1);
    struct claim_message take = say(CLAIM_TAKE, "a", 1);
    assert_int_equal(claims_hear(c, ms(1000), &take, &m), CLAIM_NEWS);
    assert_int_equal(turn(c, 1, 1000, 1000), 1000 + CLAIM_BOUND_MS);
    assert_int_equal(turn(c, 1, 1000 + CLAIM_BOUND_MS, 1000), 1000); /* the turn is free */
    claims_free(c);
}

static void dead_holder_frees_the_turn(void **state)
{
    (void)state;
    struct claims *c = claims_new();
    struct claim_members m = as(1), without_a = { abc + 1, 2, 0 };
    struct claim_message take = say(CLAIM_TAKE, "a", 1);
    claims_hear(c, ms(1000), &take, &m);
    assert_int_equal(claims_turn(c, ms(1000), KEY, ms(500), T, &without_a).ms, 500);
    claims_free(c);
}

static void failure_passes_the_turn_to_the_next(void **state)
{
    (void)state;
    struct claims *c = claims_new();
    struct claim_members m = as(1);
    struct claim_message take = say(CLAIM_TAKE, "a", 1), fail = say(CLAIM_FAIL, "a", 2);
    claims_hear(c, ms(1000), &take, &m);
    assert_int_equal(claims_hear(c, ms(2000), &fail, &m), CLAIM_OURS);
    assert_int_equal(turn(c, 1, 2000, 50000), 2000);         /* b: at once, whatever its position */
    assert_int_equal(turn(c, 2, 2000, 0), 2000 + T);         /* c: after b had its chance */
    assert_int_equal(turn(c, 0, 2000, 0), 2000 + 2 * T);     /* a: last */
    claims_free(c);
}

static void members_that_take_no_part_are_passed_over(void **state)
{
    (void)state;
    static const struct claim_member mixed[] = { { STR_INIT("a"), true }, { STR_INIT("b"), false },
                                                 { STR_INIT("c"), true } };
    struct claims *c = claims_new();
    struct claim_members m = { mixed, 3, 2 };
    struct claim_message fail = say(CLAIM_FAIL, "a", 1);
    claims_hear(c, ms(2000), &fail, &m);
    assert_int_equal(claims_turn(c, ms(2000), KEY, ms(30000), T, &m).ms, 2000);
    claims_free(c);
}

static void own_failure_yields_to_the_others(void **state)
{
    (void)state;
    struct claims *c = claims_new();
    struct claim_members m = as(0);
    struct claim_message take, fail;
    claims_take(c, ms(0), KEY, &m, &take);
    claims_fail(c, ms(100), KEY, &m, &fail);
    assert_int_equal(turn(c, 0, 100, 0), 100 + 2 * T);
    struct claim_message b_fails = say(CLAIM_FAIL, "b", 2), c_fails = say(CLAIM_FAIL, "c", 3);
    claims_hear(c, ms(200), &b_fails, &m);
    claims_hear(c, ms(300), &c_fails, &m);
    assert_int_equal(turn(c, 0, 300, 0), 300); /* round again */
    claims_free(c);
}

/* Nobody but the one that failed has anything to say: the turn comes round to it at once. */
static void turn_is_passed_on_until_it_is_the_failed_ones_again(void **state)
{
    (void)state;
    struct claims *a = claims_new(), *b = claims_new(), *c = claims_new();
    struct claim_members ma = as(0), mb = as(1), mc = as(2);
    struct claim_message take, fail, pass_b, pass_c;
    claims_take(a, ms(0), KEY, &ma, &take);
    claims_fail(a, ms(100), KEY, &ma, &fail);
    assert_int_equal(claims_hear(b, ms(100), &fail, &mb), CLAIM_OURS);
    assert_int_equal(claims_hear(c, ms(100), &fail, &mc), CLAIM_NEWS);
    claims_pass(b, ms(100), KEY, &mb, &pass_b);
    assert_int_equal(claims_hear(a, ms(110), &pass_b, &ma), CLAIM_NEWS);
    assert_int_equal(claims_hear(c, ms(110), &pass_b, &mc), CLAIM_OURS);
    claims_pass(c, ms(110), KEY, &mc, &pass_c);
    assert_true(str_eq(pass_c.origin, STR("a")));
    assert_int_equal(claims_hear(b, ms(120), &pass_c, &mb), CLAIM_NEWS);
    assert_int_equal(claims_hear(a, ms(120), &pass_c, &ma), CLAIM_NEWS); /* not passed on: it began here */
    assert_int_equal(claims_turn(b, ms(120), KEY, ms(0), T, &mb).ms, 120); /* open: to each as its own back-off ends */
    assert_int_equal(claims_turn(a, ms(120), KEY, ms(0), T, &ma).ms, 120);
    claims_free(a);
    claims_free(b);
    claims_free(c);
}

static void failure_of_one_does_not_end_the_attempt_of_another(void **state)
{
    (void)state;
    struct claims *c = claims_new();
    struct claim_members m = as(2);
    struct claim_message take = say(CLAIM_TAKE, "a", 3), fail = say(CLAIM_FAIL, "b", 1);
    claims_hear(c, ms(1000), &take, &m);
    assert_int_equal(claims_hear(c, ms(1100), &fail, &m), CLAIM_OLD);
    assert_int_equal(turn(c, 2, 1100, 0), 1000 + CLAIM_BOUND_MS);
    claims_free(c);
}

static void late_and_strange_messages_change_nothing(void **state)
{
    (void)state;
    struct claims *c = claims_new();
    struct claim_members m = as(1);
    struct claim_message fail = say(CLAIM_FAIL, "a", 2), late = say(CLAIM_TAKE, "a", 2), own = say(CLAIM_TAKE, "b", 1),
                         stranger = say(CLAIM_TAKE, "z", 1);
    assert_int_equal(claims_hear(c, ms(10), &fail, &m), CLAIM_OURS);
    assert_int_equal(claims_hear(c, ms(20), &late, &m), CLAIM_OLD);
    assert_int_equal(claims_hear(c, ms(20), &fail, &m), CLAIM_OLD);
    assert_int_equal(claims_hear(c, ms(20), &own, &m), CLAIM_OLD);
    assert_int_equal(claims_hear(c, ms(20), &stranger, &m), CLAIM_OLD);
    assert_int_equal(turn(c, 1, 20, 90000), 10);
    claims_free(c);
}

/* Two take at one instant, the earlier fails, the next one answers: in whatever order this is heard, the view is one. */
static void view_does_not_depend_on_the_order_of_arrival(void **state)
{
    (void)state;
    const struct claim_message said[] = {
        say(CLAIM_TAKE, "a", 1), say(CLAIM_TAKE, "c", 1), say(CLAIM_FAIL, "a", 1),
        { CLAIM_PASS, KEY, STR("b"), STR("a"), 1 }, say(CLAIM_TAKE, "c", 2),
    };
    struct claim_members m = as(1);
    for (int order = 0; order < 120; order++) {
        struct claims *c = claims_new();
        struct claim_message left[5];
        memcpy(left, said, sizeof said);
        int code = order;
        for (int n = 5; n > 0; n--) { /* the order-th permutation */
            int i = code % n;
            code /= n;
            if (!str_eq(left[i].holder, STR("b"))) /* not from ourselves */
                claims_hear(c, ms(1000), &left[i], &m);
            memmove(left + i, left + i + 1, (size_t)(n - 1 - i) * sizeof left[0]);
        }
        assert_int_equal(turn(c, 1, 1000, 0), 1000 + CLAIM_BOUND_MS); /* c is trying */
        struct claim_message fail = say(CLAIM_FAIL, "c", 2);
        assert_int_equal(claims_hear(c, ms(2000), &fail, &m), CLAIM_NEWS); /* next is a */
        claims_free(c);
    }
}

static void logged_entry_ends_the_claim(void **state)
{
    (void)state;
    struct claims *c = claims_new();
    struct claim_members m = as(1);
    struct claim_message take = say(CLAIM_TAKE, "a", 1);
    claims_hear(c, ms(0), &take, &m);
    claims_logged(c, KEY);
    assert_int_equal(claims_count(c), 0);
    assert_int_equal(turn(c, 1, 0, 7), 7);
    claims_free(c);
}

static void claims_are_bounded(void **state)
{
    (void)state;
    struct claims *c = claims_new();
    struct claim_members m = as(1);
    for (uint64_t i = 0; i < CLAIMS_MAX + 10; i++) {
        struct claim_message take = { CLAIM_TAKE, i, STR("a"), STR_EMPTY, 1 };
        claims_hear(c, ms(0), &take, &m);
    }
    assert_int_equal(claims_count(c), CLAIMS_MAX);
    claims_free(c);
}

static void messages_survive_the_wire_and_cuts_are_noticed(void **state)
{
    (void)state;
    struct claim_message m = say(CLAIM_FAIL, "node-1", 300), got;
    struct buf b = { 0 };
    struct err err;
    claim_message_write(&b, &m);
    assert_true(claim_message_parse(buf_view(&b), &got, &err));
    assert_int_equal(got.kind, CLAIM_FAIL);
    assert_int_equal(got.key, KEY);
    assert_int_equal(got.round, 300);
    assert_true(str_eq(got.holder, STR("node-1")));
    for (size_t n = 0; n < b.n; n++)
        assert_false(claim_message_parse(str_of(b.p, n), &got, &err));
    struct claim_message pass = { CLAIM_PASS, KEY, STR("b"), STR("node-1"), 7 };
    buf_reset(&b);
    claim_message_write(&b, &pass);
    assert_true(claim_message_parse(buf_view(&b), &got, &err));
    assert_true(str_eq(got.origin, STR("node-1")));
    for (size_t n = 0; n < b.n; n++)
        assert_false(claim_message_parse(str_of(b.p, n), &got, &err));
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_claim_upstreams_rule_runs),
        cmocka_unit_test(others_wait_while_an_attempt_is_in_flight_but_not_for_ever),
        cmocka_unit_test(dead_holder_frees_the_turn),
        cmocka_unit_test(failure_passes_the_turn_to_the_next),
        cmocka_unit_test(members_that_take_no_part_are_passed_over),
        cmocka_unit_test(own_failure_yields_to_the_others),
        cmocka_unit_test(turn_is_passed_on_until_it_is_the_failed_ones_again),
        cmocka_unit_test(failure_of_one_does_not_end_the_attempt_of_another),
        cmocka_unit_test(late_and_strange_messages_change_nothing),
        cmocka_unit_test(view_does_not_depend_on_the_order_of_arrival),
        cmocka_unit_test(logged_entry_ends_the_claim),
        cmocka_unit_test(claims_are_bounded),
        cmocka_unit_test(messages_survive_the_wire_and_cuts_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
