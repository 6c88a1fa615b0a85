#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "nflog/claims.h"

static const int64_t T = 15000; /* peer timeout */
static const uint64_t KEY = 99;
static const struct wire_time NONE = { -62135596800, 0 }; /* WIRE_TIME_ZERO */

static const struct claim_member abc[] = { { STR_INIT("a"), true, false }, { STR_INIT("b"), true, false },
                                           { STR_INIT("c"), true, false } };

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
    return (struct claim_message){ .kind = kind, .key = KEY, .holder = str_c(holder), .origin = STR_EMPTY, .round = round };
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
    static const struct claim_member mixed[] = { { STR_INIT("a"), true, false }, { STR_INIT("b"), false, false },
                                                 { STR_INIT("c"), true, false } };
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
    claims_take(c, ms(0), KEY, &m, NONE, &take);
    claims_fail(c, ms(100), KEY, &m, &fail);
    assert_int_equal(turn(c, 0, 100, 0), 100 + 2 * T);
    struct claim_message b_fails = say(CLAIM_FAIL, "b", 2), c_fails = say(CLAIM_FAIL, "c", 3);
    claims_hear(c, ms(200), &b_fails, &m);
    claims_hear(c, ms(300), &c_fails, &m);
    assert_int_equal(turn(c, 0, 300, 0), 300); /* round again */
    claims_free(c);
}

static void who_declines_says_so_only_where_somebody_may_wait_for_it(void **state)
{
    (void)state;
    struct claims *a = claims_new(), *b = claims_new(), *c = claims_new();
    struct claim_members ma = as(0), mb = as(1), mc = as(2);
    struct claim_message from_a, from_b, from_c, none;
    assert_true(claims_decline(a, ms(0), KEY, &ma, &from_a)); /* nobody has claimed: b need not wait for a */
    assert_int_equal(from_a.kind, CLAIM_FAIL);
    assert_false(claims_decline(a, ms(1), KEY, &ma, &none)); /* b's turn now */
    assert_int_equal(claims_hear(b, ms(10), &from_a, &mb), CLAIM_OURS);
    assert_int_equal(claims_hear(c, ms(10), &from_a, &mc), CLAIM_NEWS);
    assert_true(claims_decline(b, ms(10), KEY, &mb, &from_b));
    assert_int_equal(from_b.kind, CLAIM_PASS);
    assert_int_equal(claims_hear(c, ms(20), &from_b, &mc), CLAIM_OURS);
    assert_true(claims_decline(c, ms(20), KEY, &mc, &from_c));
    assert_false(claims_decline(c, ms(30), KEY, &mc, &none)); /* open: nobody waits for anybody */
    struct claim_message take = say(CLAIM_TAKE, "a", 2);
    claims_hear(c, ms(40), &take, &mc);
    assert_false(claims_decline(c, ms(50), KEY, &mc, &none));
    claims_free(a);
    claims_free(b);
    claims_free(c);
}

/* Nobody but the one that failed has anything to say: the turn comes round to it at once. */
static void turn_is_passed_on_until_it_is_the_failed_ones_again(void **state)
{
    (void)state;
    struct claims *a = claims_new(), *b = claims_new(), *c = claims_new();
    struct claim_members ma = as(0), mb = as(1), mc = as(2);
    struct claim_message take, fail, pass_b, pass_c;
    claims_take(a, ms(0), KEY, &ma, NONE, &take);
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
        { .kind = CLAIM_PASS, .key = KEY, .holder = STR("b"), .origin = STR("a"), .round = 1 }, say(CLAIM_TAKE, "c", 2),
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
    claims_logged(c, KEY, (struct wire_time){ 1700000000, 5 });
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
        struct claim_message take = say(CLAIM_TAKE, "a", 1);
        take.key = i;
        claims_hear(c, ms(0), &take, &m);
    }
    assert_int_equal(claims_count(c), CLAIMS_MAX);
    claims_free(c);
}

/* ---- Questions ---- */

struct three {
    struct claims *c[3];
    struct claim_members m[3];
};

static void three_begin(struct three *t)
{
    for (size_t i = 0; i < 3; i++) {
        t->c[i] = claims_new();
        t->m[i] = as(i);
    }
}

static void three_end(struct three *t)
{
    for (size_t i = 0; i < 3; i++)
        claims_free(t->c[i]);
}

static struct claim_message question(struct three *t, size_t i, int64_t now)
{
    struct claim_message m;
    claims_ask(t->c[i], ms(now), KEY, &t->m[i], NONE, &m);
    return m;
}

static struct claim_message asked(struct three *t, size_t i, int64_t now, const struct claim_message *m)
{
    struct claim_message answer;
    assert_true(claims_asked(t->c[i], ms(now), m, &t->m[i], &answer));
    return answer;
}

static void who_asks_may_try_when_all_have_said_yes(void **state)
{
    (void)state;
    struct three t;
    three_begin(&t);
    struct claim_message ask = question(&t, 1, 0);
    assert_false(claims_agreed(t.c[1], KEY, &t.m[1]));
    struct claim_message yes = asked(&t, 0, 5, &ask);
    assert_int_equal(yes.kind, CLAIM_YES);
    assert_int_equal(claims_hear(t.c[1], ms(10), &yes, &t.m[1]), CLAIM_OLD);
    assert_int_equal(claims_hear(t.c[1], ms(11), &yes, &t.m[1]), CLAIM_OLD); /* one is not two */
    assert_false(claims_agreed(t.c[1], KEY, &t.m[1]));
    yes = asked(&t, 2, 5, &ask);
    assert_int_equal(claims_hear(t.c[1], ms(12), &yes, &t.m[1]), CLAIM_NEWS);
    assert_true(claims_agreed(t.c[1], KEY, &t.m[1]));
    assert_true(claims_are_ours(t.c[1], ms(12), KEY, &t.m[1]));
    assert_int_equal(turn(t.c[0], 0, 12, 0), 5 + CLAIM_BOUND_MS); /* who said yes waits */
    three_end(&t);
}

/* Whoever failed a moment ago may only pause: its yes is waited for until it has lost its place. */
static void absent_one_is_asked_too(void **state)
{
    (void)state;
    struct claim_member v[2] = { { STR("a"), false, true }, { STR("b"), true, false } };
    struct claim_members m = { v, 2, 1 };
    struct claims *c = claims_new();
    struct claim_message ask;
    claims_ask(c, ms(0), KEY, &m, NONE, &ask);
    assert_false(claims_agreed(c, KEY, &m));
    v[0].absent = false;
    assert_true(claims_agreed(c, KEY, &m));
    claims_free(c);
}

/* In whatever order the two hear of each other, not both are agreed to. */
static void of_two_that_ask_one_gives_way(void **state)
{
    (void)state;
    for (int order = 0; order < 4; order++) {
        struct three t;
        three_begin(&t);
        if (order & 1) { /* c has a higher round */
            struct claim_message fail = say(CLAIM_FAIL, "a", 7);
            (void)claims_hear(t.c[2], ms(0), &fail, &t.m[2]);
        }
        struct claim_message b = question(&t, 1, 0), c = question(&t, 2, 0);
        size_t first = order & 2 ? 1 : 2, second = 3 - first;
        struct claim_message x = asked(&t, first, 5, first == 1 ? &c : &b);
        struct claim_message y = asked(&t, second, 6, second == 1 ? &c : &b);
        assert_true((x.kind == CLAIM_YES) != (y.kind == CLAIM_YES));
        size_t winner = order & 1 ? 2 : 1;
        assert_true(claims_are_ours(t.c[winner], ms(6), KEY, &t.m[winner]));
        assert_false(claims_are_ours(t.c[3 - winner], ms(6), KEY, &t.m[3 - winner]));
        three_end(&t);
    }
}

static void yes_to_an_older_question_is_worth_nothing(void **state)
{
    (void)state;
    struct three t;
    three_begin(&t);
    struct claim_message ask = question(&t, 1, 0), yes_a = asked(&t, 0, 5, &ask), yes_c = asked(&t, 2, 5, &ask);
    struct claim_message better = say(CLAIM_TAKE, "a", 9);
    assert_int_equal(claims_hear(t.c[1], ms(6), &better, &t.m[1]), CLAIM_NEWS);
    (void)question(&t, 1, 70000);
    (void)claims_hear(t.c[1], ms(70001), &yes_a, &t.m[1]);
    (void)claims_hear(t.c[1], ms(70001), &yes_c, &t.m[1]);
    assert_false(claims_agreed(t.c[1], KEY, &t.m[1]));
    three_end(&t);
}

/* a knows of round 9, b asks in round 1: the failure that follows is news to a all the same. */
static void asker_goes_on_in_the_highest_round_that_anybody_knows(void **state)
{
    (void)state;
    struct three t;
    three_begin(&t);
    struct claim_message old = say(CLAIM_FAIL, "c", 9), fail;
    (void)claims_hear(t.c[0], ms(0), &old, &t.m[0]);
    struct claim_message ask = question(&t, 1, 10), yes = asked(&t, 0, 15, &ask);
    (void)claims_hear(t.c[1], ms(20), &yes, &t.m[1]);
    claims_fail(t.c[1], ms(100), KEY, &t.m[1], &fail);
    assert_int_equal(fail.round, 9);
    assert_int_equal(claims_hear(t.c[0], ms(110), &fail, &t.m[0]), CLAIM_NEWS);
    three_end(&t);
}

static void who_tries_says_so_and_that_ends_the_question(void **state)
{
    (void)state;
    struct three t;
    three_begin(&t);
    struct claim_message take, ask = question(&t, 1, 0);
    claims_insist(t.c[0], ms(5), &ask, &t.m[0], NONE, &take);
    assert_int_equal(claims_hear(t.c[1], ms(10), &take, &t.m[1]), CLAIM_NEWS);
    assert_false(claims_are_ours(t.c[1], ms(10), KEY, &t.m[1]));
    assert_int_equal(turn(t.c[1], 1, 10, 0), 10 + CLAIM_BOUND_MS);
    three_end(&t);
}

/* A record that overtakes nothing: c asked when it knew of it. */
static void entry_that_the_asker_knew_does_not_end_its_claim(void **state)
{
    (void)state;
    struct claims *c = claims_new();
    struct claim_members m = as(0);
    struct claim_message ask = say(CLAIM_ASK, "c", 1), answer;
    ask.seen = (struct wire_time){ 1700000000, 5 };
    assert_true(claims_asked(c, ms(0), &ask, &m, &answer));
    claims_logged(c, KEY, ask.seen);
    assert_int_equal(turn(c, 0, 10, 0), CLAIM_BOUND_MS);
    claims_logged(c, KEY, (struct wire_time){ 1700000000, 6 });
    assert_int_equal(turn(c, 0, 10, 0), 0);
    claims_free(c);
}

static void stranger_is_not_answered(void **state)
{
    (void)state;
    struct claims *c = claims_new();
    struct claim_members m = as(0);
    struct claim_message ask = say(CLAIM_ASK, "z", 1), own = say(CLAIM_ASK, "a", 1), answer;
    assert_false(claims_asked(c, ms(0), &ask, &m, &answer));
    assert_false(claims_asked(c, ms(0), &own, &m, &answer));
    assert_int_equal(claims_count(c), 0);
    claims_free(c);
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
        cmocka_unit_test(who_declines_says_so_only_where_somebody_may_wait_for_it),
        cmocka_unit_test(turn_is_passed_on_until_it_is_the_failed_ones_again),
        cmocka_unit_test(failure_of_one_does_not_end_the_attempt_of_another),
        cmocka_unit_test(late_and_strange_messages_change_nothing),
        cmocka_unit_test(view_does_not_depend_on_the_order_of_arrival),
        cmocka_unit_test(logged_entry_ends_the_claim),
        cmocka_unit_test(claims_are_bounded),
        cmocka_unit_test(who_asks_may_try_when_all_have_said_yes),
        cmocka_unit_test(absent_one_is_asked_too),
        cmocka_unit_test(of_two_that_ask_one_gives_way),
        cmocka_unit_test(yes_to_an_older_question_is_worth_nothing),
        cmocka_unit_test(asker_goes_on_in_the_highest_round_that_anybody_knows),
        cmocka_unit_test(who_tries_says_so_and_that_ends_the_question),
        cmocka_unit_test(entry_that_the_asker_knew_does_not_end_its_claim),
        cmocka_unit_test(stranger_is_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
