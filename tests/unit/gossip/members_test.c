#include "unit/gossip/one_node.h"

static struct one o;

static int start(void **state)
{
    (void)state;
    one_new(&o);
    return 0;
}
static int stop(void **state)
{
    (void)state;
    one_free(&o);
    return 0;
}

/* ---- alive ---- */

static void first_alive_has_incarnation_one_and_self_joins(void **state)
{
    (void)state;
    const struct gossip_effect *e = one_effect(&o, GOSSIP_MEMBER_JOINED);
    assert_non_null(e);
    assert_true(e->is_self);
    struct gossip_member m;
    assert_true(one_node(&o, "self", &m));
    assert_int_equal(m.incarnation, 1);
    assert_int_equal(gossip_members_count(o.g), 1);
}

static void alive_of_a_stranger_joins_and_is_passed_on(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    const struct gossip_effect *e = one_effect(&o, GOSSIP_MEMBER_JOINED);
    assert_non_null(e);
    assert_true(str_eq(e->name, STR("a")));
    assert_false(e->tocsin);
    one_forget(&o);
    one_pass(&o, 250);
    assert_true(one_sent(&o, MSG_ALIVE) >= 2); /* its own and a's */
}

static void alive_with_incarnation_zero_is_no_node(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 0);
    assert_int_equal(one_node_state(&o, "a"), -1);
}

static void older_or_equal_alive_is_ignored(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 5);
    one_accuse(&o, MSG_SUSPECT, "a", "b", 5);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_SUSPECT);
    one_alive(&o, "a", 2, 5);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_SUSPECT);
    one_alive(&o, "a", 2, 6);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_ALIVE);
}

static void another_address_is_a_conflict_unless_the_node_has_left(void **state)
{
    (void)state;
    struct gossip_member m;
    one_alive(&o, "a", 2, 1);
    one_alive(&o, "a", 3, 9);
    assert_true(one_node(&o, "a", &m));
    assert_true(gossip_addr_eq(m.addr, one_addr(2)));
    assert_int_equal(counter_get(&o.stats.name_conflicts), 1);

    one_accuse(&o, MSG_DEAD, "a", "b", 1); /* dead: still a conflict */
    one_alive(&o, "a", 3, 9);
    assert_int_equal(counter_get(&o.stats.name_conflicts), 2);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_DEAD);

    one_alive(&o, "c", 4, 3);
    one_accuse(&o, MSG_DEAD, "c", "c", 3); /* left: taken at once, whatever the incarnation */
    one_alive(&o, "c", 5, 1);
    assert_true(one_node(&o, "c", &m));
    assert_int_equal(m.state, GOSSIP_ALIVE);
    assert_true(gossip_addr_eq(m.addr, one_addr(5)));
}

static void a_stranger_with_our_name_is_a_conflict_and_never_refuted(void **state)
{
    (void)state;
    one_forget(&o);
    one_alive(&o, "self", 7, 100);
    assert_int_equal(counter_get(&o.stats.name_conflicts), 1);
    struct gossip_member m;
    assert_true(one_node(&o, "self", &m));
    assert_int_equal(m.incarnation, 1);
}

static void v4_in_16_bytes_is_another_address(void **state)
{
    (void)state;
    struct gossip_addr mapped = { .ip_bytes = 16, .port = 9094 };
    mapped.ip[10] = mapped.ip[11] = 0xff;
    mapped.ip[12] = 10;
    mapped.ip[15] = 2;
    one_alive(&o, "a", 2, 1);
    one_alive_full(&o, STR("a"), mapped, 2, STR_EMPTY, (struct str){ NULL, 0 });
    assert_int_equal(counter_get(&o.stats.name_conflicts), 1);
    one_alive_full(&o, STR("b"), mapped, 1, STR_EMPTY, (struct str){ NULL, 0 });
    struct gossip_member m;
    assert_true(one_node(&o, "b", &m));
    assert_int_equal(m.addr.ip_bytes, 16);
}

static void meta_change_is_an_update(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_alive_full(&o, STR("a"), one_addr(2), 2, STR(GOSSIP_META), (struct str){ NULL, 0 });
    const struct gossip_effect *e = one_effect(&o, GOSSIP_MEMBER_UPDATED);
    assert_non_null(e);
    assert_true(e->tocsin);
    assert_null(one_effect(&o, GOSSIP_MEMBER_JOINED));
}

static void alives_are_counted_by_peer(void **state)
{
    (void)state;
    struct str name = STR("a");
    one_alive(&o, "a", 2, 1);
    one_alive(&o, "a", 2, 1);
    assert_int_equal(counter_get(metric_vec_counter(o.stats.alive_messages, &name)), 2);
}

static void malformed_vsn_is_neither_taken_nor_passed_on(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "\1", "\1\5\2", "\1\5\2\0\0", "\0\0\0\0\0\0", "\5\1\2\0\0\0", "\1\5\7\0\0\0",
                                       "\3\5\4\0\0\0", "\1\1\1\0\0\0", "\1\5\2\1\3\2" };
    static const size_t n[] = { 0, 1, 3, 5, 6, 6, 6, 6, 6, 6 };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        one_alive_full(&o, STR("a"), one_addr(2), 1, STR_EMPTY, str_of(bad[i], n[i]));
        assert_int_equal(one_node_state(&o, "a"), -1);
    }
    one_alive_full(&o, STR("a"), one_addr(2), 1, STR_EMPTY, str_of("\1\5\4\0\0\0", 6));
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_ALIVE);
}

static void names_and_metas_over_their_bounds_are_ignored(void **state)
{
    (void)state;
    char big[600];
    memset(big, 'x', sizeof big);
    one_alive_full(&o, str_of(big, 256), one_addr(2), 1, STR_EMPTY, (struct str){ NULL, 0 });
    one_alive_full(&o, STR("a"), one_addr(2), 1, str_of(big, 513), (struct str){ NULL, 0 });
    one_alive_full(&o, STR("\xff\xfe"), one_addr(2), 1, STR_EMPTY, (struct str){ NULL, 0 });
    one_alive_full(&o, STR_EMPTY, one_addr(2), 1, STR_EMPTY, (struct str){ NULL, 0 });
    assert_int_equal(gossip_nodes_count(o.g), 1);
    one_alive_full(&o, str_of(big, 255), one_addr(2), 1, str_of(big, 512), (struct str){ NULL, 0 });
    assert_int_equal(gossip_nodes_count(o.g), 2);
}

static void the_node_list_is_bounded(void **state)
{
    (void)state;
    char name[32];
    for (unsigned i = 0; i < GOSSIP_NODES_MAX + 50; i++) {
        snprintf(name, sizeof name, "f%u", i);
        one_alive(&o, name, 2 + i, 1);
        one_forget(&o);
    }
    assert_int_equal(gossip_nodes_count(o.g), GOSSIP_NODES_MAX);
    assert_int_equal(counter_get(&o.stats.nodes_refused), 51);
}

/* ---- suspect ---- */

static void suspicion_of_self_is_refuted_with_the_next_incarnation(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_forget(&o);
    one_accuse(&o, MSG_SUSPECT, "self", "a", 1);
    struct gossip_member m;
    assert_true(one_node(&o, "self", &m));
    assert_int_equal(m.incarnation, 2);
    assert_int_equal(m.state, GOSSIP_ALIVE);
    assert_int_equal(gossip_health(o.g), 1);
    one_accuse(&o, MSG_DEAD, "self", "a", 40);
    assert_true(one_node(&o, "self", &m));
    assert_int_equal(m.incarnation, 41);
    one_pass(&o, 250);
    const struct sent *s = one_sent_first(&o, MSG_ALIVE);
    struct msg_alive alive;
    assert_non_null(s);
    bool found = false;
    for (size_t i = 0; i < o.sent_count; i++)
        if (o.sent[i].type == MSG_ALIVE && msg_alive_decode(buf_view(&o.sent[i].body), &alive) &&
            str_eq(alive.node, STR("self")))
            found = alive.incarnation == 41;
    assert_true(found);
}

static void accusation_with_the_last_incarnation_wraps(void **state)
{
    (void)state;
    one_accuse(&o, MSG_SUSPECT, "self", "a", UINT32_MAX);
    struct gossip_member m;
    assert_true(one_node(&o, "self", &m));
    assert_int_equal(m.incarnation, 0);
    assert_int_equal(m.state, GOSSIP_ALIVE);
}

static void suspicion_times_are_upstreams(void **state)
{
    (void)state;
    assert_int_equal(suspicion_timeout_ms(3, 1000), 4000);
    assert_int_equal(suspicion_timeout_ms(10, 1000), 4000);
    assert_int_equal(suspicion_timeout_ms(100, 1000), 8000);
    assert_int_equal(suspicion_timeout_ms(50, 1000), 4 * 1698); /* the factor is cut to thousandths */
    assert_int_equal(suspicion_remaining_ms(1, 2, 0, 4000, 24000), 11381);
    assert_int_equal(suspicion_remaining_ms(2, 2, 0, 4000, 24000), 4000);
    assert_int_equal(suspicion_remaining_ms(1, 2, 12000, 4000, 24000), -619);
}

static void three_nodes_suspect_for_four_seconds(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_alive(&o, "b", 3, 1);
    one_accuse(&o, MSG_SUSPECT, "a", "b", 1);
    one_pass(&o, 3999);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_SUSPECT);
    one_pass(&o, 1);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_DEAD);
}

static void five_nodes(void)
{
    one_no_probes(&o);
    one_alive(&o, "a", 2, 1);
    one_alive(&o, "b", 3, 1);
    one_alive(&o, "c", 4, 1);
    one_alive(&o, "d", 5, 1);
    one_accuse(&o, MSG_SUSPECT, "a", "b", 1);
}

static void confirmations_shorten_the_suspicion(void **state)
{
    (void)state;
    five_nodes();
    one_pass(&o, 1000);
    one_accuse(&o, MSG_SUSPECT, "a", "b", 1); /* the same accuser again counts for nothing */
    one_accuse(&o, MSG_SUSPECT, "a", "c", 1);
    one_pass(&o, 10380);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_SUSPECT);
    one_pass(&o, 1);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_DEAD);
}

static void three_accusers_end_it_after_the_minimum(void **state)
{
    (void)state;
    five_nodes();
    one_accuse(&o, MSG_SUSPECT, "a", "c", 1);
    one_accuse(&o, MSG_SUSPECT, "a", "d", 1);
    one_pass(&o, 3999);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_SUSPECT);
    one_pass(&o, 1);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_DEAD);
}

static void late_third_accuser_ends_it_at_once(void **state)
{
    (void)state;
    five_nodes();
    one_pass(&o, 4500);
    one_accuse(&o, MSG_SUSPECT, "a", "c", 1);
    one_accuse(&o, MSG_SUSPECT, "a", "d", 1);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_DEAD);
}

static void suspicion_of_the_unknown_or_old_is_ignored(void **state)
{
    (void)state;
    one_accuse(&o, MSG_SUSPECT, "nobody", "b", 1);
    assert_int_equal(gossip_nodes_count(o.g), 1);
    one_alive(&o, "a", 2, 5);
    one_accuse(&o, MSG_SUSPECT, "a", "b", 4);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_ALIVE);
}

/* ---- dead, left, reaping ---- */

static void dead_from_itself_is_left_and_neither_becomes_the_other(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_accuse(&o, MSG_DEAD, "a", "a", 1);
    const struct gossip_effect *e = one_effect(&o, GOSSIP_MEMBER_LEFT);
    assert_non_null(e);
    assert_false(e->dead);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_GONE);
    one_accuse(&o, MSG_DEAD, "a", "b", 1);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_GONE);

    one_alive(&o, "b", 3, 1);
    one_accuse(&o, MSG_DEAD, "b", "a", 1);
    e = one_effect(&o, GOSSIP_MEMBER_LEFT);
    assert_non_null(e);
    assert_true(e->dead);
    one_accuse(&o, MSG_DEAD, "b", "b", 1);
    assert_int_equal(one_node_state(&o, "b"), GOSSIP_DEAD);
    assert_int_equal(gossip_members_count(o.g), 1);
}

static void gone_nodes_are_reaped_after_thirty_seconds_and_do_not_come_back(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_accuse(&o, MSG_DEAD, "a", "a", 1);
    one_pass(&o, 29000);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_GONE);
    one_pass(&o, 4000);
    assert_int_equal(one_node_state(&o, "a"), -1);
    one_accuse(&o, MSG_DEAD, "a", "b", 1);
    one_accuse(&o, MSG_SUSPECT, "a", "b", 1);
    assert_int_equal(one_node_state(&o, "a"), -1);
}

static void leaving_waits_until_the_message_is_out(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_pass(&o, 3000); /* earlier broadcasts are through */
    struct gossip_event ev = { .kind = GOSSIP_LEAVE };
    one_forget(&o);
    one_step(&o, &ev);
    assert_null(one_effect(&o, GOSSIP_LEFT));
    bool left = false;
    int64_t ms = 0;
    for (; ms < 3000 && !left; ms++) {
        one_pass(&o, 1);
        left = one_effect(&o, GOSSIP_LEFT) != NULL;
    }
    assert_true(left);
    assert_in_range(ms, 1, 1100); /* four times, on ticks of 200 ms or with pings */
    struct msg_accuse m;
    const struct sent *s = one_sent_first(&o, MSG_DEAD);
    assert_non_null(s);
    assert_true(msg_accuse_decode(buf_view(&s->body), &m));
    assert_true(str_eq(m.node, STR("self")) && str_eq(m.from, STR("self")));
    assert_int_equal(one_sent(&o, MSG_DEAD), 4);
    /* No refutation any more, and no coming back. */
    one_alive(&o, "self", 1, 50);
    assert_int_equal(one_node_state(&o, "self"), GOSSIP_GONE);
}

static void leaving_alone_is_immediate(void **state)
{
    (void)state;
    struct gossip_event ev = { .kind = GOSSIP_LEAVE };
    one_step(&o, &ev);
    assert_non_null(one_effect(&o, GOSSIP_LEFT));
}

static void leaving_ends_after_ten_seconds_whatever_happens(void **state)
{
    (void)state;
    /* The only other member is suspect; nobody hears, but packets go out: so cut the transmissions by an empty tick. */
    one_alive(&o, "a", 2, 1);
    struct gossip_event ev = { .kind = GOSSIP_LEAVE };
    one_step(&o, &ev);
    bool left = false;
    for (int64_t ms = 0; ms < 10100 && !left; ms += 100) {
        one_pass(&o, 100);
        left = one_effect(&o, GOSSIP_LEFT) != NULL;
    }
    assert_true(left || o.g->left);
}

static void transmit_limits_are_upstreams(void **state)
{
    (void)state;
    assert_int_equal(transmit_limit(4, 1), 4);
    assert_int_equal(transmit_limit(4, 9), 4);
    assert_int_equal(transmit_limit(4, 10), 8);
    assert_int_equal(transmit_limit(3, 9), 3);
    assert_int_equal(transmit_limit(3, 100), 9);
}

static void each_membership_message_goes_out_four_times(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_pass(&o, 5000);
    one_forget(&o);
    one_alive(&o, "b", 3, 1);
    one_pass(&o, 5000);
    size_t about_b = 0;
    struct msg_alive m;
    for (size_t i = 0; i < o.sent_count; i++)
        about_b += o.sent[i].type == MSG_ALIVE && msg_alive_decode(buf_view(&o.sent[i].body), &m) &&
                   str_eq(m.node, STR("b"));
    assert_int_equal(about_b, 4);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(first_alive_has_incarnation_one_and_self_joins),
        T(alive_of_a_stranger_joins_and_is_passed_on),
        T(alive_with_incarnation_zero_is_no_node),
        T(older_or_equal_alive_is_ignored),
        T(another_address_is_a_conflict_unless_the_node_has_left),
        T(a_stranger_with_our_name_is_a_conflict_and_never_refuted),
        T(v4_in_16_bytes_is_another_address),
        T(meta_change_is_an_update),
        T(alives_are_counted_by_peer),
        T(malformed_vsn_is_neither_taken_nor_passed_on),
        T(names_and_metas_over_their_bounds_are_ignored),
        T(the_node_list_is_bounded),
        T(suspicion_of_self_is_refuted_with_the_next_incarnation),
        T(accusation_with_the_last_incarnation_wraps),
        T(suspicion_times_are_upstreams),
        T(three_nodes_suspect_for_four_seconds),
        T(confirmations_shorten_the_suspicion),
        T(three_accusers_end_it_after_the_minimum),
        T(late_third_accuser_ends_it_at_once),
        T(suspicion_of_the_unknown_or_old_is_ignored),
        T(dead_from_itself_is_left_and_neither_becomes_the_other),
        T(gone_nodes_are_reaped_after_thirty_seconds_and_do_not_come_back),
        T(leaving_waits_until_the_message_is_out),
        T(leaving_alone_is_immediate),
        T(leaving_ends_after_ten_seconds_whatever_happens),
        T(transmit_limits_are_upstreams),
        T(each_membership_message_goes_out_four_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
