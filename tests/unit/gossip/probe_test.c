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

static struct msg_ping sent_ping(void)
{
    struct msg_ping m;
    const struct sent *s = one_sent_first(&o, MSG_PING);
    assert_non_null(s);
    assert_true(msg_ping_decode(buf_view(&s->body), &m));
    return m;
}

static void ack(uint32_t seq)
{
    struct buf b = { 0 };
    struct msg_ack m = { .seq = seq };
    msg_ack_encode(&b, &m);
    one_packet(&o, one_addr(2), buf_view(&b));
    buf_deinit(&b);
}

static void ping_from(struct gossip_addr from, struct msg_ping m)
{
    struct buf b = { 0 };
    msg_ping_encode(&b, &m);
    one_packet(&o, from, buf_view(&b));
    buf_deinit(&b);
}

/* To the point at which a's first ping has gone out; returns its number. */
static uint32_t until_ping(void)
{
    for (int i = 0; i < 5000 && one_sent(&o, MSG_PING) == 0; i++)
        one_pass(&o, 1);
    return sent_ping().seq;
}

static void an_acked_probe_is_the_end_of_it(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_forget(&o);
    struct msg_ping m;
    uint32_t seq = until_ping();
    m = sent_ping();
    assert_true(str_eq(m.node, STR("a")) && str_eq(m.source_node, STR("self")));
    assert_int_equal(m.source_port, 9094);
    assert_int_equal(m.source_addr.n, 4);
    one_pass(&o, 20);
    ack(seq);
    one_forget(&o);
    one_pass(&o, 900);
    assert_int_equal(one_sent(&o, MSG_INDIRECT_PING), 0);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_ALIVE);
    struct str name = STR("a");
    struct histogram *h = metric_vec_histogram(o.stats.pings_seconds, &name);
    assert_int_equal(atomic_load(&h->buckets[2]), 1); /* 20 ms: up to 0.025 s */
}

static void an_unanswered_probe_asks_others_then_suspects(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_forget(&o);
    uint32_t seq = until_ping();
    /* Now others join: they are asked, and not yet probed. */
    one_alive(&o, "b", 3, 1);
    one_alive(&o, "c", 4, 1);
    one_alive(&o, "d", 5, 1);
    one_alive(&o, "e", 6, 1);
    one_pass(&o, 499);
    assert_int_equal(one_sent(&o, MSG_INDIRECT_PING), 0);
    one_forget(&o);
    one_pass(&o, 1);
    assert_int_equal(one_sent(&o, MSG_INDIRECT_PING), 3);
    struct msg_indirect_ping m;
    assert_true(msg_indirect_ping_decode(buf_view(&one_sent_first(&o, MSG_INDIRECT_PING)->body), &m));
    assert_int_equal(m.seq, seq);
    assert_true(m.nack && str_eq(m.node, STR("a")) && m.port == 9094);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_ALIVE);
    one_pass(&o, 499);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_ALIVE);
    one_pass(&o, 1);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_SUSPECT);
    assert_int_equal(gossip_health(o.g), 3); /* three nacks expected, none came */
}

static void nacks_spare_the_health(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_forget(&o);
    uint32_t seq = until_ping();
    one_alive(&o, "b", 3, 1);
    one_alive(&o, "c", 4, 1);
    one_pass(&o, 500);
    struct buf b = { 0 };
    struct msg_nack m = { .seq = seq };
    msg_nack_encode(&b, &m);
    one_packet(&o, one_addr(3), buf_view(&b));
    buf_deinit(&b);
    one_pass(&o, 500);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_SUSPECT);
    assert_int_equal(gossip_health(o.g), 1);
}

static void a_late_ack_through_a_relay_counts(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_forget(&o);
    uint32_t seq = until_ping();
    one_pass(&o, 990);
    ack(seq);
    one_pass(&o, 100);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_ALIVE);
}

static void a_tcp_ping_saves_a_node_whose_packets_are_lost(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_forget(&o);
    uint32_t seq = until_ping();
    one_pass(&o, 499);
    o.now.ms++;
    struct gossip_event timer = { .kind = GOSSIP_TIMER };
    one_step(&o, &timer);
    const struct gossip_effect *e = one_effect(&o, GOSSIP_DIAL);
    assert_non_null(e);
    assert_true(gossip_addr_eq(e->addr, one_addr(2)));
    uint64_t id = e->stream;
    one_stream(&o, GOSSIP_STREAM_OPENED, id, STR_EMPTY);
    assert_non_null(one_effect(&o, GOSSIP_WRITE));
    struct buf b = { 0 };
    struct msg_ack m = { .seq = seq, .payload_nil = true };
    msg_ack_encode(&b, &m);
    one_stream(&o, GOSSIP_STREAM_BYTES, id, buf_view(&b));
    buf_deinit(&b);
    assert_non_null(one_effect(&o, GOSSIP_CLOSE));
    one_pass(&o, 600);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_ALIVE);
    assert_int_equal(gossip_health(o.g), 0);
}

static void the_tcp_ping_ends_with_the_round(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_forget(&o);
    (void)until_ping();
    one_pass(&o, 501);
    assert_true(o.g->streams.count == 1);
    one_pass(&o, 600);
    assert_int_equal(o.g->streams.count, 0);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_SUSPECT);
}

static void a_write_error_skips_the_wait(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_forget(&o);
    (void)until_ping();
    struct gossip_event ev = { .kind = GOSSIP_PACKET_FAILED, .addr = one_addr(2) };
    one_step(&o, &ev);
    assert_non_null(one_effect(&o, GOSSIP_DIAL));
}

static void a_suspect_is_told_in_the_same_packet(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_accuse(&o, MSG_SUSPECT, "a", "b", 1);
    one_pass(&o, 900);
    one_forget(&o);
    (void)until_ping();
    const struct sent *ping = one_sent_first(&o, MSG_PING);
    bool together = false;
    for (size_t i = 0; i < o.sent_count; i++)
        together |= o.sent[i].type == MSG_SUSPECT && o.sent[i].packet == ping->packet;
    assert_true(together);
}

static void health_stretches_the_round(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    health_add(o.g, 2);
    one_forget(&o);
    (void)until_ping();
    one_pass(&o, 2999);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_ALIVE);
    one_pass(&o, 1);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_SUSPECT);
    health_add(o.g, 100);
    assert_int_equal(gossip_health(o.g), 7);
    health_add(o.g, -100);
    assert_int_equal(gossip_health(o.g), 0);
}

static void pings_for_another_name_are_ignored(void **state)
{
    (void)state;
    struct msg_ping m = { .node = STR("other"), .seq = 9 };
    ping_from(one_addr(3), m);
    assert_int_equal(one_sent(&o, MSG_ACK), 0);
    m.node = STR_EMPTY;
    ping_from(one_addr(3), m);
    assert_int_equal(one_sent(&o, MSG_ACK), 1);
    m.node = STR("self");
    ping_from(one_addr(3), m);
    assert_int_equal(one_sent(&o, MSG_ACK), 2);
}

static void acks_go_to_the_source_that_the_ping_names(void **state)
{
    (void)state;
    struct gossip_addr there = one_addr(3);
    struct msg_ping m = { .node = STR("self"), .seq = 9 };
    ping_from(there, m);
    assert_true(gossip_addr_eq(one_sent_first(&o, MSG_ACK)->to, there));
    one_forget(&o);
    m.source_addr = str_of((const char *)there.ip, 4);
    m.source_port = 1234;
    ping_from(there, m);
    there.port = 1234;
    assert_true(gossip_addr_eq(one_sent_first(&o, MSG_ACK)->to, there));
}

static void a_third_partys_address_gets_few_and_small_answers(void **state)
{
    (void)state;
    struct gossip_addr victim = gossip_addr_v4(0x08080808, 53);
    struct msg_ping m = { .node = STR("self"), .seq = 9, .source_addr = str_of((const char *)victim.ip, 4), .source_port = 53 };
    for (unsigned i = 0; i < 20; i++)
        one_alive(&o, (char[]){ 'n', (char)('a' + i), 0 }, 10 + i, 1); /* plenty to piggyback */
    one_forget(&o);
    size_t bytes = 0;
    for (unsigned i = 0; i < 500; i++) {
        ping_from(one_addr(3), m);
        for (size_t k = 0; k < o.out.count; k++)
            if (o.out.effects[k].kind == GOSSIP_SEND_PACKET && gossip_addr_eq(o.out.effects[k].addr, victim))
                bytes += o.out.effects[k].bytes.n;
    }
    assert_true(one_sent(&o, MSG_ACK) <= GOSSIP_STRANGERS_PER_S);
    assert_int_equal(one_sent(&o, MSG_ALIVE), 0);
    assert_true(bytes <= 500);
}

static void one_packet_gets_a_bounded_number_of_answers(void **state)
{
    (void)state;
    struct buf ping = { 0 }, compound = { 0 };
    struct msg_ping m = { .node = STR_EMPTY, .seq = 1 };
    msg_ping_encode(&ping, &m);
    buf_byte(&compound, MSG_COMPOUND);
    buf_byte(&compound, (char)255);
    for (unsigned i = 0; i < 255; i++)
        buf_be16(&compound, (uint16_t)ping.n);
    for (unsigned i = 0; i < 255; i++)
        buf_str(&compound, buf_view(&ping));
    one_packet(&o, one_addr(3), buf_view(&compound));
    assert_int_equal(one_sent(&o, MSG_ACK), GOSSIP_REPLIES_MAX);
    buf_deinit(&ping);
    buf_deinit(&compound);
}

/* ---- relays ---- */

static void indirect_ping(uint32_t seq, bool nack, unsigned from, struct gossip_addr target)
{
    struct buf b = { 0 };
    struct msg_indirect_ping m = { .node = STR("x"), .seq = seq, .nack = nack, .port = target.port,
                                   .target = str_of((const char *)target.ip, 4) };
    msg_indirect_ping_encode(&b, &m);
    one_packet(&o, one_addr(from), buf_view(&b));
    buf_deinit(&b);
}

static void a_relay_pings_with_a_number_of_its_own_and_passes_the_ack_on(void **state)
{
    (void)state;
    indirect_ping(777, true, 3, one_addr(8));
    struct msg_ping ping = sent_ping();
    assert_true(gossip_addr_eq(one_sent_first(&o, MSG_PING)->to, one_addr(8)));
    assert_int_not_equal(ping.seq, 777);
    assert_true(str_eq(ping.source_node, STR("self")));
    one_pass(&o, 100);
    one_forget(&o);
    ack(ping.seq);
    struct msg_ack m;
    const struct sent *s = one_sent_first(&o, MSG_ACK);
    assert_non_null(s);
    assert_true(msg_ack_decode(buf_view(&s->body), &m));
    assert_int_equal(m.seq, 777);
    assert_true(m.payload_nil);
    assert_true(gossip_addr_eq(s->to, one_addr(3)));
    one_forget(&o);
    one_pass(&o, 1000);
    assert_int_equal(one_sent(&o, MSG_NACK), 0); /* once is enough */
    ack(ping.seq);
    assert_int_equal(one_sent(&o, MSG_ACK), 0);
}

static void a_relay_says_nack_after_the_probe_timeout_if_asked(void **state)
{
    (void)state;
    indirect_ping(5, true, 3, one_addr(8));
    indirect_ping(6, false, 3, one_addr(8));
    one_forget(&o);
    one_pass(&o, 499);
    assert_int_equal(one_sent(&o, MSG_NACK), 0);
    one_pass(&o, 1);
    assert_int_equal(one_sent(&o, MSG_NACK), 1);
    assert_int_equal(o.g->relays_count, 0);
}

static void relays_are_bounded(void **state)
{
    (void)state;
    one_alive(&o, "x", 8, 1);
    for (unsigned i = 0; i < 1000; i++) {
        indirect_ping(i, true, 3, one_addr(8));
        one_forget(&o);
    }
    assert_int_equal(o.g->relays_count, GOSSIP_RELAYS_MAX);
}

static void strangers_are_pinged_for_others_only_so_often(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++)
        indirect_ping(i, false, 3, gossip_addr_v4(0x08080000u + i, 53));
    assert_true(one_sent(&o, MSG_PING) <= GOSSIP_STRANGERS_PER_S);
}

static void one_missed_tick_is_made_up_for(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_alive(&o, "b", 3, 1);
    health_add(o.g, 1); /* a failing round takes 2 s, so a tick passes under it */
    one_forget(&o);
    (void)until_ping();
    one_pass(&o, 1999);
    size_t before = one_sent(&o, MSG_PING);
    one_pass(&o, 1);
    assert_int_equal(one_sent(&o, MSG_PING), before + 1); /* at once, not at the next tick */
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_acked_probe_is_the_end_of_it),
        T(an_unanswered_probe_asks_others_then_suspects),
        T(nacks_spare_the_health),
        T(a_late_ack_through_a_relay_counts),
        T(a_tcp_ping_saves_a_node_whose_packets_are_lost),
        T(the_tcp_ping_ends_with_the_round),
        T(a_write_error_skips_the_wait),
        T(a_suspect_is_told_in_the_same_packet),
        T(health_stretches_the_round),
        T(pings_for_another_name_are_ignored),
        T(acks_go_to_the_source_that_the_ping_names),
        T(a_third_partys_address_gets_few_and_small_answers),
        T(one_packet_gets_a_bounded_number_of_answers),
        T(a_relay_pings_with_a_number_of_its_own_and_passes_the_ack_on),
        T(a_relay_says_nack_after_the_probe_timeout_if_asked),
        T(relays_are_bounded),
        T(strangers_are_pinged_for_others_only_so_often),
        T(one_missed_tick_is_made_up_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
