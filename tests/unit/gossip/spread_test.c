#include "unit/gossip/one_node.h"

#include "wire/pb.h"

static struct one o;

static int start(void **state)
{
    (void)state;
    one_new(&o);
    one_no_probes(&o);
    return 0;
}
static int stop(void **state)
{
    (void)state;
    one_free(&o);
    return 0;
}

/* Three members, a and b upstream's, t a tocsin; earlier broadcasts are through. */
static void three_members(void)
{
    one_alive(&o, "a", 2, 1);
    one_alive(&o, "b", 3, 1);
    one_tocsin(&o, "t", 4);
    one_pass(&o, 5000);
    one_forget(&o);
}

static struct str record(char fill, size_t n)
{
    static char bytes[1 << 20];
    assert_true(n <= sizeof bytes);
    memset(bytes, fill, n);
    for (size_t i = 0; i < n; i++) /* LZW shall not make packets of it that hold anything */
        bytes[i] = (char)(fill + (char)(i * 37 % 11));
    return str_of(bytes, n);
}

static void broadcast(struct str key, struct str data)
{
    one_command(&o, GOSSIP_BROADCAST, key, data);
}

static size_t sent_to(unsigned n, uint8_t type)
{
    size_t count = 0;
    for (size_t i = 0; i < o.sent_count; i++)
        count += o.sent[i].type == type && gossip_addr_eq(o.sent[i].to, one_addr(n));
    return count;
}

static void a_change_goes_to_every_member_in_the_same_step(void **state)
{
    (void)state;
    three_members();
    broadcast(STR("sil"), record('r', 100));
    for (unsigned n = 2; n <= 4; n++)
        assert_int_equal(sent_to(n, MSG_USER), 1);
    struct str key, data;
    assert_true(gossip_part_decode(buf_view(&one_sent_first(&o, MSG_USER)->body), &key, &data));
    assert_true(str_eq(key, STR("sil")) && str_eq(data, record('r', 100)));
}

static void it_is_sent_three_rounds_in_all(void **state)
{
    (void)state;
    three_members();
    broadcast(STR("sil"), record('r', 100));
    one_forget(&o);
    one_pass(&o, 5000);
    assert_int_equal(one_sent(&o, MSG_USER), 2); /* with the one at once: 3 transmissions */
    assert_int_equal(gossip_queued_count(o.g), 0);
}

static void without_members_it_waits_for_one(void **state)
{
    (void)state;
    broadcast(STR("sil"), record('r', 100));
    one_pass(&o, 2000);
    assert_int_equal(one_sent(&o, MSG_USER), 0);
    one_alive(&o, "a", 2, 1);
    one_pass(&o, 2000);
    assert_int_equal(one_sent(&o, MSG_USER), 3);
}

static void what_is_passed_on_goes_out_in_the_same_step(void **state)
{
    (void)state;
    three_members();
    struct gossip_event ev = { .kind = GOSSIP_BROADCAST, .relay = true, .key = STR("sil"), .bytes = record('r', 100) };
    one_step(&o, &ev);
    assert_int_equal(one_sent(&o, MSG_USER), 3);
    one_pass(&o, 3000); /* its repetitions are over */
    one_forget(&o);
    ev.bytes = record('r', 701); /* too large to be passed on */
    one_step(&o, &ev);
    one_forget(&o);
    one_pass(&o, 1000);
    assert_int_equal(one_sent(&o, MSG_USER), 0);
    assert_int_equal(o.g->streams.count, 0);
    ev.bytes = record('r', 698); /* small, but its Part is over 700 */
    one_step(&o, &ev);
    assert_int_equal(one_effects(&o, GOSSIP_DIAL), 3);
    ev.key = STR("tocsin.x");
    ev.bytes = record('r', 10);
    one_step(&o, &ev);
    one_pass(&o, 1000);
    assert_int_equal(one_sent(&o, MSG_USER), 0);
}

static void over_700_bytes_it_goes_by_tcp_to_each(void **state)
{
    (void)state;
    three_members();
    broadcast(STR("sil"), record('r', 694)); /* Part: 5 + 3 + 694 = 702 */
    assert_int_equal(one_effects(&o, GOSSIP_DIAL), 3);
    assert_int_equal(one_sent(&o, MSG_USER), 0);
    uint64_t id = one_effect(&o, GOSSIP_DIAL)->stream;
    one_stream(&o, GOSSIP_STREAM_OPENED, id, STR_EMPTY);
    const struct gossip_effect *e = one_effect(&o, GOSSIP_WRITE);
    assert_non_null(e);
    struct stream_reader r = { .accepted = true };
    struct str key, data;
    buf_str(&r.raw, e->bytes);
    assert_int_equal(stream_read(&r, &o.seal), STREAM_DONE);
    assert_int_equal(r.body.p[0], MSG_USER);
    assert_true(gossip_part_decode(r.tail, &key, &data));
    assert_true(str_eq(key, STR("sil")) && str_eq(data, record('r', 694)));
    stream_reader_deinit(&r);
    struct str sil = STR("sil");
    o.now.ms += 30;
    one_stream(&o, GOSSIP_STREAM_EOF, id, STR_EMPTY);
    assert_int_equal(counter_get(metric_vec_counter(o.stats.oversized_sent, &sil)), 1);
    one_pass(&o, 11000);
    assert_int_equal(counter_get(metric_vec_counter(o.stats.oversized_failed, &sil)), 2);
    assert_int_equal(o.g->streams.count, 0);
    assert_int_equal(o.g->blob_bytes, 0);
}

static void one_byte_less_goes_by_packet(void **state)
{
    (void)state;
    three_members();
    struct buf part = { 0 };
    gossip_part_encode(&part, STR("sil"), record('r', 692));
    assert_int_equal(part.n, 700);
    buf_deinit(&part);
    broadcast(STR("sil"), record('r', 692));
    assert_int_equal(one_effects(&o, GOSSIP_DIAL), 0);
    assert_int_equal(one_sent(&o, MSG_USER), 3);
}

static void a_small_burst_takes_several_packets_at_once(void **state)
{
    (void)state;
    three_members();
    for (unsigned i = 0; i < 40; i++) {
        struct buf data = { 0 };
        buf_printf(&data, "record %u", i);
        buf_fill(&data, 'x', 80);
        broadcast(STR("nfl"), buf_view(&data));
        buf_deinit(&data);
    }
    one_pass(&o, GOSSIP_FLUSH_GAP_MS);
    for (unsigned n = 2; n <= 4; n++)
        assert_int_equal(sent_to(n, MSG_USER), 40);
    assert_true(o.packets_count <= 3 * (1 + GOSSIP_DIRECT_PACKETS));
    assert_int_equal(o.g->streams.count, 0);
    /* The queue of 40 drains several packets a tick. */
    one_pass(&o, 1000);
    assert_int_equal(gossip_queued_count(o.g), 0);
}

/* Reads what was written to the first stream that was dialled, and lets every stream succeed. */
static void drain_streams(struct buf *records, size_t *parts)
{
    for (unsigned rounds = 0; rounds < 50; rounds++) {
        uint64_t ids[64];
        struct gossip_addr addrs[64];
        size_t count = 0, at = 0;
        struct stream *s;
        while (count < ARRAY_LEN(ids) && (s = map64_next(&o.g->streams, &at)) != NULL) {
            size_t k = count++;
            for (; k > 0 && ids[k - 1] > s->id; k--) { /* in the order of dialling */
                ids[k] = ids[k - 1];
                addrs[k] = addrs[k - 1];
            }
            addrs[k] = s->addr;
            ids[k] = s->id;
        }
        for (size_t i = 0; i < count; i++) {
            one_stream(&o, GOSSIP_STREAM_OPENED, ids[i], STR_EMPTY);
            const struct gossip_effect *e = one_effect(&o, GOSSIP_WRITE);
            if (e && gossip_addr_eq(addrs[i], one_addr(2))) {
                struct stream_reader r = { .accepted = true };
                struct str key, data;
                buf_str(&r.raw, e->bytes);
                assert_int_equal(stream_read(&r, &o.seal), STREAM_DONE);
                assert_true(r.tail.n > GOSSIP_OVERSIZE_BYTES); /* upstream does not pass it on */
                assert_true(gossip_part_decode(r.tail, &key, &data));
                buf_str(records, data);
                ++*parts;
                stream_reader_deinit(&r);
            }
            one_stream(&o, GOSSIP_STREAM_EOF, ids[i], STR_EMPTY);
        }
        one_pass(&o, GOSSIP_FLUSH_GAP_MS);
    }
}

static void a_large_burst_goes_by_tcp_in_large_parts(void **state)
{
    (void)state;
    struct buf want = { 0 }, got = { 0 };
    size_t parts = 0;
    three_members();
    for (unsigned i = 0; i < 20000; i++) {
        struct buf body = { 0 };
        size_t mark = pb_begin_delimited(&body);
        buf_printf(&body, "record %u ", i);
        pb_end(&body, mark);
        broadcast(STR("nfl"), buf_view(&body));
        if (i > 0) /* the first has gone by packet */
            buf_str(&want, buf_view(&body));
        buf_deinit(&body);
    }
    assert_int_equal(sent_to(2, MSG_USER), 1);
    one_pass(&o, GOSSIP_FLUSH_GAP_MS);
    drain_streams(&got, &parts);
    assert_true(str_eq(buf_view(&got), buf_view(&want)));
    assert_in_range(parts, 1, 10);
    assert_int_equal(o.g->streams.count, 0);
    assert_int_equal(o.g->blob_bytes, 0);
    one_forget(&o);
    one_pass(&o, 3000);
    assert_true(one_sent(&o, MSG_USER) <= 3); /* none of the bulk is gossiped */
    buf_deinit(&want);
    buf_deinit(&got);
}

static void a_member_that_does_not_answer_holds_up_nobody(void **state)
{
    (void)state;
    three_members();
    struct str sil = STR("sil");
    for (unsigned i = 0; i < 300; i++) {
        broadcast(STR("sil"), record((char)('a' + i % 20), 4000));
        one_pass(&o, GOSSIP_FLUSH_GAP_MS);
        struct stream *s;
        for (size_t at = 0; (s = map64_next(&o.g->streams, &at)) != NULL;) {
            uint64_t id = s->id;
            if (gossip_addr_eq(s->addr, one_addr(3)))
                continue; /* b takes the connection and says nothing */
            one_stream(&o, GOSSIP_STREAM_OPENED, id, STR_EMPTY);
            one_stream(&o, GOSSIP_STREAM_EOF, id, STR_EMPTY);
            at = 0;
        }
    }
    struct node *b = node_find(o.g, STR("b"));
    assert_int_equal(b->extra->outbox.streams, GOSSIP_OUTBOX_STREAMS);
    assert_true(outbox_backlog(b) <= GOSSIP_OUTBOX_MAX + GOSSIP_OUTBOX_STREAMS);
    assert_int_equal(outbox_backlog(node_find(o.g, STR("a"))), 0);
    assert_true(o.g->blob_bytes <= GOSSIP_OUTBOX_BYTES_MAX);
    assert_true(counter_get(metric_vec_counter(o.stats.oversized_sent, &sil)) > 0);
    /* When it dies, what waited for it is forgotten. */
    one_accuse(&o, MSG_DEAD, "b", "a", 1);
    one_pass(&o, 11000);
    assert_int_equal(o.g->blob_bytes, 0);
    assert_int_equal(o.g->streams.count, 0);
}

static void own_keys_go_to_tocsin_members_only(void **state)
{
    (void)state;
    three_members();
    broadcast(STR("tocsin.claim"), STR("mine"));
    assert_int_equal(sent_to(4, MSG_USER), 1);
    assert_int_equal(one_sent(&o, MSG_USER), 1);
    one_pass(&o, 2000);
    assert_int_equal(one_sent(&o, MSG_USER), 1);
    broadcast(STR("tocsin.alert"), record('a', 100000));
    one_pass(&o, GOSSIP_FLUSH_GAP_MS);
    struct stream *s;
    size_t count = 0;
    for (size_t at = 0; (s = map64_next(&o.g->streams, &at)) != NULL; count++)
        assert_true(gossip_addr_eq(s->addr, one_addr(4)));
    assert_int_equal(count, 1);
}

static void own_messages_in_a_burst_are_gathered_and_taken_apart_again(void **state)
{
    (void)state;
    three_members();
    for (unsigned i = 0; i < 500; i++)
        broadcast(STR("tocsin.alert"), record((char)('a' + i % 20), 100));
    one_pass(&o, GOSSIP_FLUSH_GAP_MS);
    assert_int_equal(o.g->streams.count, 1);
    struct stream *s;
    size_t at = 0;
    s = map64_next(&o.g->streams, &at);
    uint64_t id = s->id;
    one_stream(&o, GOSSIP_STREAM_OPENED, id, STR_EMPTY);
    struct buf written = { 0 };
    buf_str(&written, one_effect(&o, GOSSIP_WRITE)->bytes);
    /* The same bytes, received. */
    uint64_t accepted = one_accept(&o, 4);
    one_stream(&o, GOSSIP_STREAM_BYTES, accepted, buf_view(&written));
    assert_int_equal(one_effects(&o, GOSSIP_DELIVER), 499); /* the first went by packet */
    assert_true(str_eq(one_effect(&o, GOSSIP_DELIVER)->key, STR("tocsin.alert")));
    buf_deinit(&written);
}

static void a_batch_cannot_smuggle_upstreams_keys_or_batches(void **state)
{
    (void)state;
    struct buf inner = { 0 }, batch = { 0 };
    gossip_full_state_add(&inner, STR("tocsin.x"), STR("1"));
    gossip_full_state_add(&batch, STR("sil"), STR("1"));
    gossip_full_state_add(&batch, STR(BATCH_KEY), buf_view(&inner));
    one_user(&o, STR(BATCH_KEY), buf_view(&batch));
    assert_int_equal(one_effects(&o, GOSSIP_DELIVER), 0);
    one_user(&o, STR(BATCH_KEY), buf_view(&inner));
    assert_int_equal(one_effects(&o, GOSSIP_DELIVER), 1);
    buf_deinit(&inner);
    buf_deinit(&batch);
}

static void direct_messages_reach_one_tocsin_and_no_upstream(void **state)
{
    (void)state;
    three_members();
    struct gossip_event ev = { .kind = GOSSIP_SEND, .name = STR("t"), .key = STR("tocsin.x"), .bytes = STR("hello") };
    one_step(&o, &ev);
    assert_int_equal(sent_to(4, MSG_USER), 1);
    ev.bytes = record('x', 5000);
    one_step(&o, &ev);
    assert_int_equal(one_effects(&o, GOSSIP_DIAL), 1);
    ev.name = STR("a");
    one_step(&o, &ev);
    assert_int_equal(o.out.count, 0);
    ev.name = STR("t");
    ev.key = STR("sil");
    one_step(&o, &ev);
    assert_int_equal(o.out.count, 0);
}

static void packets_keep_to_their_budget_and_part_count(void **state)
{
    (void)state;
    struct gossip_event ev = { .kind = GOSSIP_BROADCAST, .relay = true, .key = STR("k"), .bytes = STR_EMPTY };
    three_members();
    for (unsigned i = 0; i < 2000; i++) {
        char tiny[2] = { (char)i, (char)(i >> 8) };
        ev.bytes = str_of(tiny, i % 3);
        one_step(&o, &ev);
    }
    for (unsigned tick = 0; tick < 20; tick++) {
        one_forget(&o);
        one_pass(&o, 200);
        for (size_t i = 0; i < o.out.count; i++)
            assert_true(o.out.effects[i].bytes.n <= GOSSIP_PACKET_BUDGET + 7);
        for (size_t p = 0; p < o.packets_count; p++) {
            size_t parts = 0, bytes = 0;
            for (size_t i = 0; i < o.sent_count; i++)
                if (o.sent[i].packet == p) {
                    parts++;
                    bytes += 3 + o.sent[i].body.n;
                }
            assert_in_range(parts, 1, GOSSIP_PARTS_MAX);
            assert_true(bytes <= GOSSIP_PACKET_BUDGET);
        }
    }
}

static void a_label_and_encryption_take_their_room(void **state)
{
    (void)state;
    one_free(&o);
    struct gossip_config config = one_config();
    char label[256];
    memset(label, 'l', 255);
    config.label = str_of(label, 255);
    one_new_with(&o, &config);
    one_no_probes(&o);
    struct buf b = { 0 };
    struct gossip_event ev = { .kind = GOSSIP_PACKET, .addr = one_addr(2) };
    struct msg_alive m = { .node = STR("a"), .addr = str_of("\x0a\x00\x00\x02", 4), .port = 9094, .incarnation = 1,
                           .vsn = str_of((const char *)vsn_own, VSN_BYTES) };
    struct buf plain = { 0 };
    msg_alive_encode(&plain, &m);
    packet_seal(&o.seal, &o.scratch, &b, buf_view(&plain), true);
    ev.bytes = buf_view(&b);
    one_step(&o, &ev);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_ALIVE);
    ev.bytes = buf_view(&plain);
    one_step(&o, &ev);
    assert_int_equal(counter_get(&o.stats.packets_dropped_label), 1);
    for (unsigned i = 0; i < 50; i++) {
        broadcast(STR("sil"), record((char)('a' + i % 20), 300));
        for (size_t k = 0; k < o.out.count; k++)
            assert_true(o.out.effects[k].kind != GOSSIP_SEND_PACKET || o.out.effects[k].bytes.n <= GOSSIP_PACKET_BUDGET + 7);
        one_pass(&o, 10);
    }
    buf_deinit(&b);
    buf_deinit(&plain);
}

static void the_queue_is_pruned_and_bounded(void **state)
{
    (void)state;
    struct gossip_event ev = { .kind = GOSSIP_BROADCAST, .relay = true, .key = STR("sil"), .bytes = STR("x") };
    for (unsigned i = 0; i < GOSSIP_QUEUE_MAX + 10; i++)
        one_step(&o, &ev);
    assert_true(gossip_queued_count(o.g) <= GOSSIP_QUEUE_MAX);
    assert_true(counter_get(&o.stats.messages_pruned) >= GOSSIP_QUEUE_MAX - GOSSIP_QUEUE_PRUNE);
    for (unsigned i = 0; i < 6000; i++)
        one_step(&o, &ev);
    one_pass(&o, GOSSIP_PRUNE_MS);
    assert_int_equal(gossip_queued_count(o.g), GOSSIP_QUEUE_PRUNE);
}

static void sends_and_sizes_are_counted_by_transmission(void **state)
{
    (void)state;
    three_members();
    broadcast(STR("sil"), record('r', 92));
    assert_int_equal(counter_get(&o.stats.sent_update), 3);
    assert_int_equal(counter_get(&o.stats.sent_size_update), 3 * 99);
    one_user(&o, STR("sil"), STR("x"));
    assert_int_equal(counter_get(&o.stats.received_update), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_change_goes_to_every_member_in_the_same_step),
        T(it_is_sent_three_rounds_in_all),
        T(without_members_it_waits_for_one),
        T(what_is_passed_on_goes_out_in_the_same_step),
        T(over_700_bytes_it_goes_by_tcp_to_each),
        T(one_byte_less_goes_by_packet),
        T(a_small_burst_takes_several_packets_at_once),
        T(a_large_burst_goes_by_tcp_in_large_parts),
        T(a_member_that_does_not_answer_holds_up_nobody),
        T(own_keys_go_to_tocsin_members_only),
        T(own_messages_in_a_burst_are_gathered_and_taken_apart_again),
        T(a_batch_cannot_smuggle_upstreams_keys_or_batches),
        T(direct_messages_reach_one_tocsin_and_no_upstream),
        T(packets_keep_to_their_budget_and_part_count),
        T(a_label_and_encryption_take_their_room),
        T(the_queue_is_pruned_and_bounded),
        T(sends_and_sizes_are_counted_by_transmission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
