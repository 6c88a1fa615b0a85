#include "unit/gossip/one_node.h"

#include "lib/alloc_count.h"

static struct one o;

static void raw_step(const struct gossip_event *ev)
{
    gossip_out_reset(&o.out);
    gossip_step(o.g, o.now, ev, &o.out);
}

/* A second in the life of a member: ticks, a probe with its ack, pings of others, a message. */
static void live_a_second(struct str ping, struct str user)
{
    for (unsigned i = 0; i < 20; i++) {
        struct gossip_event ev = { .kind = GOSSIP_TIMER };
        o.now.ms += 50;
        raw_step(&ev);
        if (o.g->probe.phase == PROBE_DIRECT) {
            struct msg_ack ack = { .seq = o.g->probe.seq };
            static struct buf b;
            buf_reset(&b);
            msg_ack_encode(&b, &ack);
            ev = (struct gossip_event){ .kind = GOSSIP_PACKET, .addr = one_addr(2), .bytes = buf_view(&b) };
            raw_step(&ev);
        }
        ev = (struct gossip_event){ .kind = GOSSIP_PACKET, .addr = one_addr(3), .bytes = ping };
        raw_step(&ev);
        ev.bytes = user;
        raw_step(&ev);
        assert_non_null(one_effect(&o, GOSSIP_DELIVER));
    }
}

static void a_warm_node_asks_for_no_memory(void **state)
{
    (void)state;
    struct buf ping = { 0 }, user = { 0 }, plain = { 0 };
    struct msg_ping m = { .node = STR("self"), .seq = 7, .source_node = STR("b"), .source_addr = STR("\x0a\x00\x00\x03"),
                          .source_port = 9094 };
    one_new(&o);
    one_alive(&o, "a", 2, 1);
    one_alive(&o, "b", 3, 1);
    msg_ping_encode(&ping, &m);
    buf_byte(&plain, MSG_USER);
    gossip_part_encode(&plain, STR("sil"), STR("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    packet_seal(&o.seal, &o.scratch, &user, buf_view(&plain), true);
    for (unsigned i = 0; i < 20; i++)
        live_a_second(buf_view(&ping), buf_view(&user));
    uint64_t before = alloc_count();
    for (unsigned i = 0; i < 30; i++)
        live_a_second(buf_view(&ping), buf_view(&user));
    assert_int_equal(alloc_count() - before, 0);
    assert_int_equal(gossip_members_count(o.g), 3);
    buf_deinit(&ping);
    buf_deinit(&user);
    buf_deinit(&plain);
    one_free(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_warm_node_asks_for_no_memory) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
