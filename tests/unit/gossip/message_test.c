#include "unit/gossip/one_node.h"

static struct buf out;

static int reset(void **state)
{
    (void)state;
    buf_reset(&out);
    return 0;
}

static struct str bytes(const char *p, size_t n)
{
    return str_of(p, n);
}
#define B(literal) bytes("" literal, sizeof(literal) - 1)

static void keys_are_written_in_byte_order_and_strings_raw(void **state)
{
    (void)state;
    struct msg_ack ack = { .seq = 1 };
    msg_ack_encode(&out, &ack);
    assert_true(str_eq(buf_view(&out), B("\x02\x82\xa7Payload\xa0\xa5SeqNo\x01")));
    buf_reset(&out);
    ack.payload_nil = true;
    ack.seq = 300;
    msg_ack_encode(&out, &ack);
    assert_true(str_eq(buf_view(&out), B("\x02\x82\xa7Payload\xc0\xa5SeqNo\xcd\x01\x2c")));
    buf_reset(&out);
    msg_err_encode(&out, STR("0123456789012345678901234567890123456789"));
    assert_true(str_eq(buf_view(&out), B("\x0d\x81\xa5"
                                         "Error\xda\x00\x28"
                                         "0123456789012345678901234567890123456789")));
}

static void empty_source_fields_are_left_out(void **state)
{
    (void)state;
    struct msg_ping m = { .node = STR("a"), .seq = 1, .source_addr = STR_EMPTY, .source_node = STR_EMPTY };
    msg_ping_encode(&out, &m);
    assert_true(str_eq(buf_view(&out), B("\x00\x82\xa4Node\xa1"
                                         "a\xa5SeqNo\x01")));
}

/* go-msgpack 2 writes ints from 128 on as signed (Alertmanager 0.28 and later). */
static void every_integer_form_is_read(void **state)
{
    (void)state;
    struct msg_push_pull m;
    size_t used;
    struct str signed16 = B("\x83\xa4Join\xc3\xa5Nodes\xd1\x01\x2c\xacUserStateLen\xd2\x00\x01\x00\x00");
    assert_int_equal(msg_push_pull_decode(signed16, &m, &used), MSG_OK);
    assert_true(m.join);
    assert_int_equal(m.nodes, 300);
    assert_int_equal(m.user_state_bytes, 65536);
    assert_int_equal(used, signed16.n);
    struct str mixed = B("\xde\x00\x03\xd9\x05Nodes\xd3\x00\x00\x00\x00\x00\x00\x00\x05\xacUserStateLen\xcf\x00\x00\x00\x00\x00\x00\x00\x09\xa4Join\x01");
    assert_int_equal(msg_push_pull_decode(mixed, &m, &used), MSG_OK);
    assert_int_equal(m.nodes, 5);
    assert_int_equal(m.user_state_bytes, 9);
    assert_true(m.join);
}

static void strings_come_raw_str8_bin_or_nil_and_unknown_keys_are_skipped(void **state)
{
    (void)state;
    struct msg_alive m;
    struct str odd = B("\x88\xa4Node\xc4\x01"
                       "a\xa4"
                       "Addr\xc5\x00\x04\x0a\x00\x00\x01\xa5Other\x82\x01\x93\x01\x02\xc0\x02\xcb\x00\x00\x00\x00\x00\x00\x00\x00"
                       "\xabIncarnation\xd0\x05\xa4Meta\xc0\xa4Port\xcd\x23\x86\xa3Vsn\xd9\x06\x01\x05\x02\x00\x00\x00\xa1z\xc2");
    assert_true(msg_alive_decode(odd, &m));
    assert_true(str_eq(m.node, STR("a")));
    assert_int_equal(m.addr.n, 4);
    assert_int_equal(m.incarnation, 5);
    assert_int_equal(m.port, 9094);
    assert_true(m.meta_nil);
    assert_int_equal(m.vsn.n, 6);
}

static void negative_and_oversized_numbers_are_errors(void **state)
{
    (void)state;
    struct msg_ack ack;
    struct msg_alive alive;
    assert_false(msg_ack_decode(B("\x81\xa5SeqNo\xff"), &ack));
    assert_false(msg_ack_decode(B("\x81\xa5SeqNo\xcf\x00\x00\x00\x01\x00\x00\x00\x00"), &ack));
    assert_false(msg_alive_decode(B("\x81\xa4Port\xce\x00\x01\x00\x00"), &alive));
    assert_true(msg_ack_decode(B("\x80"), &ack));
    assert_int_equal(ack.seq, 0);
}

static void cut_messages_are_short_and_wrong_ones_bad(void **state)
{
    (void)state;
    struct msg_node node;
    struct msg_node m = { .name = STR("a"), .addr = B("\x0a\x00\x00\x01"), .port = 9094, .incarnation = 200, .state = 3,
                          .vsn = str_of((const char *)vsn_own, VSN_BYTES) };
    size_t used;
    msg_node_encode(&out, &m);
    for (size_t n = 0; n < out.n; n++)
        assert_int_equal(msg_node_decode(str_of(out.p, n), &node, &used), MSG_SHORT);
    buf_c(&out, "rest");
    assert_int_equal(msg_node_decode(buf_view(&out), &node, &used), MSG_OK);
    assert_int_equal(used, out.n - 4);
    assert_int_equal(node.state, 3);
    assert_int_equal(node.incarnation, 200);
    assert_int_equal(msg_node_decode(B("\xc1"), &node, &used), MSG_BAD);
    assert_int_equal(msg_node_decode(B("\xa1x"), &node, &used), MSG_BAD); /* no map */
}

static void a_map_that_never_ends_is_refused(void **state)
{
    (void)state;
    struct msg_node node;
    size_t used;
    buf_append(&out, "\xdf\xff\xff\xff\xff", 5);
    assert_int_equal(msg_node_decode(buf_view(&out), &node, &used), MSG_BAD);
    buf_reset(&out);
    buf_append(&out, "\xde\x0f\xff", 3);
    buf_fill(&out, '\x01', 9000);
    assert_int_equal(msg_node_decode(buf_view(&out), &node, &used), MSG_BAD);
}

static void parts_and_full_states_round_trip(void **state)
{
    (void)state;
    struct str key, data, rest;
    bool bad = false;
    gossip_full_state_add(&out, STR("sil"), STR_EMPTY);
    gossip_full_state_add(&out, STR("nfl"), STR_EMPTY);
    assert_true(str_eq(buf_view(&out), B("\x0a\x05\x0a\x03sil\x0a\x05\x0a\x03nfl")));
    gossip_full_state_add(&out, STR("x"), STR("data"));
    rest = buf_view(&out);
    assert_true(gossip_full_state_next(&rest, &key, &data, &bad) && str_eq(key, STR("sil")) && data.n == 0);
    assert_true(gossip_full_state_next(&rest, &key, &data, &bad) && str_eq(key, STR("nfl")));
    assert_true(gossip_full_state_next(&rest, &key, &data, &bad) && str_eq(key, STR("x")) && str_eq(data, STR("data")));
    assert_false(gossip_full_state_next(&rest, &key, &data, &bad));
    assert_false(bad);
    assert_false(gossip_part_decode(B("\x0a\x05"), &key, &data));
    assert_false(gossip_part_decode(B("\x08\x05"), &key, &data)); /* field 1 as a number */
    assert_true(gossip_part_decode(B("\x0a\x01k\x1a\x01z\x12\x01"
                                     "d"), &key, &data)); /* field 3 is skipped */
    assert_true(str_eq(key, STR("k")) && str_eq(data, STR("d")));
}

static void addresses_print_as_go_does(void **state)
{
    (void)state;
    char text[GOSSIP_ADDR_TEXT_MAX];
    struct gossip_addr a;
    static const char *const same[] = { "127.0.0.1:9094", "[::1]:9094", "[2001:db8::1:0:0:1]:65535", "0.0.0.0:0",
                                        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" };
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        assert_true(gossip_addr_parse(str_c(same[i]), &a));
        assert_string_equal(gossip_addr_text(a, text).p, same[i]);
    }
    assert_true(gossip_addr_parse(STR("[::ffff:10.1.2.3]:1"), &a));
    assert_int_equal(a.ip_bytes, 4);
    static const char *const bad[] = { "", "1.2.3.4", "host:1", "1.2.3.4:65536", "1.2.3.4:-1", "[::1:1", ":9094", "1.2.3:1" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(gossip_addr_parse(str_c(bad[i]), &a));
}

#define T(f) cmocka_unit_test_setup(f, reset)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(keys_are_written_in_byte_order_and_strings_raw),
        T(empty_source_fields_are_left_out),
        T(every_integer_form_is_read),
        T(strings_come_raw_str8_bin_or_nil_and_unknown_keys_are_skipped),
        T(negative_and_oversized_numbers_are_errors),
        T(cut_messages_are_short_and_wrong_ones_bad),
        T(a_map_that_never_ends_is_refused),
        T(parts_and_full_states_round_trip),
        T(addresses_print_as_go_does),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_deinit(&out);
    return failed;
}
