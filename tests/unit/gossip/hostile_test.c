/* What crashes or poisons other implementations (spec 22), thrown at a node from every side; and then everything that the
 * node says, to anyone, is looked at: nothing of it may be of that kind. */
#include "unit/gossip/one_node.h"

#include "wire/crc.h"
#include "wire/lzw.h"

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

/* ---- the watch ----------------------------------------------------------------------------------------------------- */

static void watch_unit(struct str unit, unsigned depth);

static void watch_node(struct str vsn, struct str addr, struct str name, struct str meta)
{
    assert_int_equal(vsn.n, VSN_BYTES);
    assert_true(addr.n == 4 || addr.n == 16);
    assert_in_range(name.n, 1, GOSSIP_NAME_BYTES_MAX);
    assert_true(meta.n <= GOSSIP_META_BYTES_MAX);
}

static void watch_compress(struct str body, unsigned depth)
{
    uint64_t algo;
    struct str packed;
    size_t used;
    struct err err;
    struct buf plain = { 0 };
    assert_int_equal(msg_compress_decode(body, &algo, &packed, &used), MSG_OK);
    assert_int_equal(algo, 0);
    assert_int_equal(used, body.n);
    assert_true(lzw_decode(packed, GOSSIP_STREAM_BYTES_MAX, &plain, &err));
    watch_unit(buf_view(&plain), depth + 1);
    buf_deinit(&plain);
}

static void watch_compound(struct str body, unsigned depth)
{
    size_t n = (uint8_t)body.p[0], at = 1 + 2 * n;
    assert_in_range(n, 2, GOSSIP_PARTS_MAX);
    assert_true(body.n > at);
    for (size_t i = 0; i < n; i++) {
        size_t len = (size_t)((uint8_t)body.p[1 + 2 * i] << 8 | (uint8_t)body.p[2 + 2 * i]);
        assert_in_range(len, 1, body.n - at);
        watch_unit(str_sub(body, at, len), depth + 1);
        at += len;
    }
    assert_int_equal(at, body.n);
}

static void watch_push_pull(struct str body)
{
    struct msg_push_pull h;
    struct msg_node m;
    size_t at, used;
    assert_int_equal(msg_push_pull_decode(body, &h, &at), MSG_OK);
    assert_true(h.nodes >= 1);
    for (int64_t i = 0; i < h.nodes; i++, at += used) {
        assert_int_equal(msg_node_decode(str_from(body, at), &m, &used), MSG_OK);
        assert_in_range(m.state, 0, 3);
        watch_node(m.vsn, m.addr, m.name, m.meta);
    }
    assert_int_equal(body.n - at, h.user_state_bytes);
}

static void watch_unit(struct str unit, unsigned depth)
{
    assert_true(depth < 4);
    assert_true(unit.n >= 2);
    struct str body = str_from(unit, 1);
    struct msg_alive alive;
    struct msg_ping ping;
    struct msg_ack ack;
    struct msg_accuse accuse;
    switch ((uint8_t)unit.p[0]) {
    case MSG_HAS_CRC:
        assert_int_equal(depth, 0);
        assert_true(body.n > 4);
        watch_unit(str_from(body, 4), depth + 1);
        break;
    case MSG_COMPOUND:
        watch_compound(body, depth);
        break;
    case MSG_COMPRESS:
        watch_compress(body, depth);
        break;
    case MSG_ALIVE:
        assert_true(msg_alive_decode(body, &alive));
        watch_node(alive.vsn, alive.addr, alive.node, alive.meta);
        break;
    case MSG_PUSH_PULL:
        watch_push_pull(body);
        break;
    case MSG_PING:
        assert_true(msg_ping_decode(body, &ping));
        break;
    case MSG_ACK:
        assert_true(msg_ack_decode(body, &ack));
        break;
    case MSG_SUSPECT:
    case MSG_DEAD:
        assert_true(msg_accuse_decode(body, &accuse));
        assert_true(accuse.node.n <= GOSSIP_NAME_BYTES_MAX && accuse.from.n <= GOSSIP_NAME_BYTES_MAX);
        break;
    case MSG_INDIRECT_PING:
    case MSG_NACK:
    case MSG_USER:
    case MSG_ERR:
        break;
    default:
        fail_msg("a message of type %u", (uint8_t)unit.p[0]);
    }
}

static size_t watched;

static void watch(void)
{
    for (size_t i = 0; i < o.out.count; i++) {
        const struct gossip_effect *e = &o.out.effects[i];
        if (e->kind != GOSSIP_SEND_PACKET && e->kind != GOSSIP_WRITE)
            continue;
        watch_unit(e->bytes, 0);
        watched++;
    }
}

/* Lets time pass and watches; answers what the node asks of its owner; opens its dials. */
static void live(int64_t ms)
{
    struct gossip_event ev = { .kind = GOSSIP_TIMER };
    for (int64_t t = 0; t < ms; t += 50) {
        o.now.ms += 50;
        one_step(&o, &ev);
        one_forget(&o);
        watch();
        uint64_t dials[64];
        size_t count = 0;
        for (size_t i = 0; i < o.out.count && count < ARRAY_LEN(dials); i++)
            if (o.out.effects[i].kind == GOSSIP_DIAL)
                dials[count++] = o.out.effects[i].stream;
        for (size_t i = 0; i < count; i++) {
            one_stream(&o, GOSSIP_STREAM_OPENED, dials[i], STR_EMPTY);
            watch();
            const struct gossip_effect *need = one_effect(&o, GOSSIP_NEED_STATE);
            if (need) {
                one_state(&o, need->tag, STR_EMPTY);
                watch();
            }
        }
    }
}

static void throw_packet(struct str bytes)
{
    struct buf crc = { 0 };
    one_packet(&o, one_addr(50), bytes);
    one_forget(&o);
    watch();
    buf_byte(&crc, MSG_HAS_CRC); /* and again with a CRC */
    buf_be32(&crc, crc32_ieee(0, bytes.p, bytes.n));
    buf_str(&crc, bytes);
    one_packet(&o, one_addr(50), buf_view(&crc));
    one_forget(&o);
    watch();
    buf_deinit(&crc);
}

static void throw_stream(struct str bytes)
{
    uint64_t id = one_accept(&o, 50);
    one_stream(&o, GOSSIP_STREAM_BYTES, id, bytes);
    watch();
    const struct gossip_effect *need = one_effect(&o, GOSSIP_NEED_STATE);
    if (need) {
        one_state(&o, need->tag, STR_EMPTY);
        watch();
    } else if (map64_get(&o.g->streams, id)) {
        one_stream(&o, GOSSIP_STREAM_EOF, id, STR_EMPTY);
        watch();
    }
    one_forget(&o);
}

/* ---- what is thrown ---------------------------------------------------------------------------------------------------- */

static void the_known_killers_change_nothing_that_is_passed_on(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } packets[] = {
        { "\x07\x01\x00\x00", 4 },                                        /* an empty part */
        { "\x07\x03\x00\x00\x00\x02\x00\x00\x0b\x80", 10 },               /* between whole ones */
        { "\x07\xff\x00", 3 },                                            /* too few lengths for many parts */
        { "\x07\x80", 2 },                                                /* 128, none */
        { "\x07\x00", 2 },                                                /* none at all */
        { "\x0c\x00\x00\x00\x00", 5 },                                    /* an empty CRC body */
        { "\x09\x82\xa4" "Algo\x00\xa3" "Buf\xa0", 13 },                  /* an empty compressed unit */
        { "\x09\x82\xa4" "Algo\x00\xa3" "Buf\xa3\x00\x03\x02", 16 },      /* that holds nothing */
        { "\x09\x80", 2 },
        { "\x08", 1 },
        { "\xf4\x00", 2 },
        { "\xff", 1 },
        { "\x00\xc1", 2 },
        { "\x04\x80", 2 },
        { "\x03\x80", 2 },
        { "\x05\x80", 2 },
        { "\x01\x80", 2 },
    };
    one_alive(&o, "a", 2, 1);
    for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
        throw_packet(str_of(packets[i].bytes, packets[i].n));
        throw_stream(str_of(packets[i].bytes, packets[i].n));
    }
    live(3000);
    assert_int_equal(gossip_nodes_count(o.g), 2);
    assert_true(watched > 5);
}

static void put_alive(struct buf *b, const char *name, struct str addr, struct str meta, struct str vsn)
{
    struct msg_alive m = { .node = str_c(name), .addr = addr, .port = 9094, .incarnation = 3, .meta = meta,
                           .vsn = str_of((const char *)vsn_own, VSN_BYTES) };
    buf_reset(b);
    msg_alive_encode(b, &m);
    buf_truncate(b, b->n - 1 - VSN_BYTES);
    if (vsn.n < 32)
        buf_byte(b, (char)(0xa0 | vsn.n));
    else
        buf_append(b, (char[]){ (char)0xda, (char)(vsn.n >> 8), (char)vsn.n }, 3);
    buf_str(b, vsn);
}

static void malformed_nodes_are_never_passed_on(void **state)
{
    (void)state;
    static const uint8_t vsn[64] = { 1, 5, 2 };
    struct buf b = { 0 };
    char big[2000];
    memset(big, 'x', sizeof big);
    struct str good_vsn = str_of((const char *)vsn_own, VSN_BYTES), ip = str_of("\x0a\x00\x00\x09", 4);
    for (size_t n = 0; n < 6; n++) {
        put_alive(&b, "short", ip, STR_EMPTY, str_of((const char *)vsn, n));
        throw_packet(buf_view(&b));
    }
    put_alive(&b, "long-vsn", ip, STR_EMPTY, str_of((const char *)vsn, 64));
    throw_packet(buf_view(&b));
    for (size_t n = 0; n < 20; n++) {
        if (n == 4 || n == 16)
            continue;
        put_alive(&b, "addr", str_of(big, n), STR_EMPTY, good_vsn);
        throw_packet(buf_view(&b));
    }
    put_alive(&b, "meta", ip, str_of(big, 513), good_vsn);
    throw_packet(buf_view(&b));
    put_alive(&b, "", ip, STR_EMPTY, good_vsn);
    throw_packet(buf_view(&b));
    live(3000);
    /* More than six bytes of Vsn are taken, as upstream takes them, and passed on as six. */
    assert_int_equal(one_node_state(&o, "long-vsn") >= 0, 1);
    assert_int_equal(gossip_nodes_count(o.g), 2);
    buf_deinit(&b);
}

static void malformed_push_pulls_are_neither_merged_nor_repeated(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct msg_node m = { .name = STR("x"), .addr = STR("\x0a\x01\x01\x01"), .port = 1, .incarnation = 1,
                          .vsn = str_of((const char *)vsn_own, VSN_BYTES) };
    for (size_t n = 0; n <= 6; n++)
        for (int64_t s = 0; s < 6; s++) {
            struct msg_push_pull h = { .join = true, .nodes = 1 };
            buf_reset(&b);
            msg_push_pull_encode(&b, &h);
            m.state = s;
            msg_node_encode(&b, &m);
            buf_truncate(&b, b.n - 1 - VSN_BYTES);
            buf_byte(&b, (char)(0xa0 | n));
            buf_append(&b, vsn_own, n);
            throw_stream(buf_view(&b));
            if (n < 6)
                assert_int_equal(one_node_state(&o, "x"), -1);
        }
    throw_stream(STR("\x06\x81\xa5Nodes\xff"));
    throw_stream(STR("\x06\x81\xacUserStateLen\xff"));
    throw_stream(STR("\x08\x81\xaaUserMsgLen\xff"));
    live(3000);
    assert_int_equal(gossip_nodes_count(o.g), 2);
    buf_deinit(&b);
}

static void forged_deaths_are_answered_by_the_living_and_bounded(void **state)
{
    (void)state;
    char name[64];
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "ghost%u", i);
        one_accuse(&o, MSG_DEAD, name, "liar", 1);
        one_forget(&o);
    }
    assert_int_equal(gossip_nodes_count(o.g), 1);
    for (uint32_t i = 0; i < 100; i++) {
        one_accuse(&o, MSG_DEAD, "self", "liar", i * 3);
        one_forget(&o);
        watch();
    }
    assert_int_equal(one_node_state(&o, "self"), GOSSIP_ALIVE);
    assert_int_equal(o.g->membership.count, 1); /* the last refutation replaces the others */
    live(2000);
}

static void mutated_traffic_does_no_harm(void **state)
{
    (void)state;
    struct rng rng;
    struct buf samples[8] = { 0 }, b = { 0 };
    rng_seed(&rng, 99);
    struct msg_ping ping = { .node = STR("self"), .seq = 5, .source_addr = STR("\x0a\x01\x01\x01"), .source_port = 7, .source_node = STR("q") };
    struct msg_indirect_ping ind = { .node = STR("z"), .seq = 5, .nack = true, .target = STR("\x0a\x01\x01\x02"), .port = 7 };
    struct msg_accuse accuse = { .node = STR("a"), .from = STR("b"), .incarnation = 2 };
    struct msg_node node = { .name = STR("a"), .addr = STR("\x0a\x00\x00\x02"), .port = 9094, .incarnation = 4,
                             .vsn = str_of((const char *)vsn_own, VSN_BYTES) };
    struct msg_push_pull h = { .join = true, .nodes = 1, .user_state_bytes = 0 };
    msg_ping_encode(&samples[0], &ping);
    msg_indirect_ping_encode(&samples[1], &ind);
    msg_accuse_encode(&samples[2], MSG_SUSPECT, &accuse);
    msg_accuse_encode(&samples[3], MSG_DEAD, &accuse);
    put_alive(&samples[4], "a", STR("\x0a\x00\x00\x02"), STR(GOSSIP_META), str_of((const char *)vsn_own, 6));
    msg_push_pull_encode(&samples[5], &h);
    msg_node_encode(&samples[5], &node);
    packet_seal(&o.seal, &o.scratch, &samples[6], buf_view(&samples[5]), true);
    buf_append(&samples[7], "\x07\x02", 2);
    buf_be16(&samples[7], (uint16_t)samples[0].n);
    buf_be16(&samples[7], (uint16_t)samples[4].n);
    buf_str(&samples[7], buf_view(&samples[0]));
    buf_str(&samples[7], buf_view(&samples[4]));
    one_alive(&o, "a", 2, 1);
    for (unsigned i = 0; i < 6000; i++) {
        buf_reset(&b);
        buf_str(&b, buf_view(&samples[rng_below(&rng, ARRAY_LEN(samples))]));
        for (uint64_t k = 1 + rng_below(&rng, 4); k > 0; k--)
            b.p[rng_below(&rng, b.n)] = (char)rng_u64(&rng);
        if (rng_below(&rng, 4) == 0)
            buf_truncate(&b, rng_below(&rng, b.n));
        if (rng_below(&rng, 2))
            throw_packet(buf_view(&b));
        else
            throw_stream(buf_view(&b));
        if (i % 50 == 0)
            live(200);
    }
    live(60000);
    assert_int_equal(one_node_state(&o, "self"), GOSSIP_ALIVE);
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        buf_deinit(&samples[i]);
    buf_deinit(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_known_killers_change_nothing_that_is_passed_on),
        T(malformed_nodes_are_never_passed_on),
        T(malformed_push_pulls_are_neither_merged_nor_repeated),
        T(forged_deaths_are_answered_by_the_living_and_bounded),
        T(mutated_traffic_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
