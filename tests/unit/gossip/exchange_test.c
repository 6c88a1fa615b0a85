#include "unit/gossip/one_node.h"

static struct one o;
static struct buf b;

static int start(void **state)
{
    (void)state;
    one_new(&o);
    buf_reset(&b);
    return 0;
}
static int stop(void **state)
{
    (void)state;
    one_free(&o);
    return 0;
}

static void put_push_pull(struct buf *out, bool join, const struct msg_node *nodes, size_t count, struct str state)
{
    struct msg_push_pull h = { .join = join, .nodes = (int64_t)count, .user_state_bytes = (int64_t)state.n };
    msg_push_pull_encode(out, &h);
    for (size_t i = 0; i < count; i++)
        msg_node_encode(out, &nodes[i]);
    buf_str(out, state);
}

static struct msg_node node(const char *name, unsigned n, enum gossip_state s)
{
    static struct gossip_addr addrs[64];
    addrs[n] = one_addr(n);
    return (struct msg_node){ .name = str_c(name), .addr = str_of((const char *)addrs[n].ip, 4), .port = 9094, .incarnation = 1,
                              .state = s, .vsn = str_of((const char *)vsn_own, VSN_BYTES) };
}

/* The body of what the node wrote on a stream in the last step. */
static struct stream_reader written;
static struct str wrote(bool opened_by_us)
{
    const struct gossip_effect *e = one_effect(&o, GOSSIP_WRITE);
    stream_reader_deinit(&written);
    assert_non_null(e);
    written.accepted = opened_by_us;
    buf_str(&written.raw, e->bytes);
    assert_int_equal(stream_read(&written, &o.seal), STREAM_DONE);
    return written.body;
}

static struct str full_state(const char *const *keys, size_t count)
{
    static struct buf state;
    buf_reset(&state);
    for (size_t i = 0; i < count; i++)
        gossip_full_state_add(&state, str_c(keys[i]), STR("data"));
    return buf_view(&state);
}

static void a_request_is_answered_with_the_list_as_it_was_before_the_merge(void **state)
{
    (void)state;
    struct msg_node n = node("a", 2, GOSSIP_ALIVE);
    put_push_pull(&b, true, &n, 1, full_state((const char *[]){ "sil" }, 1));
    uint64_t id = one_accept(&o, 2);
    for (size_t i = 0; i < b.n; i++) { /* byte by byte */
        one_stream(&o, GOSSIP_STREAM_BYTES, id, str_of(b.p + i, 1));
        assert_int_equal(one_effects(&o, GOSSIP_NEED_STATE), i + 1 == b.n);
    }
    const struct gossip_effect *need = one_effect(&o, GOSSIP_NEED_STATE);
    assert_false(need->own);
    assert_int_equal(one_node_state(&o, "a"), -1);
    one_state(&o, need->tag, full_state((const char *[]){ "nfl" }, 1));
    struct str body = wrote(false);
    assert_int_equal(body.p[0], MSG_PUSH_PULL);
    assert_true(written.header.join);
    assert_int_equal(written.header.nodes, 1); /* only itself */
    assert_true(str_eq(written.tail, full_state((const char *[]){ "nfl" }, 1)));
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_ALIVE);
    const struct gossip_effect *d = one_effect(&o, GOSSIP_DELIVER);
    assert_non_null(d);
    assert_true(d->full && str_eq(d->key, STR("sil")) && str_eq(d->bytes, STR("data")));
    assert_non_null(one_effect(&o, GOSSIP_CLOSE));
    assert_int_equal(o.g->streams.count, 0);
}

/* What both have need not travel twice: in whatever order the records stand. */
static void an_answer_leaves_out_what_the_request_had(void **state)
{
    (void)state;
    static const struct { const char *own, *answered; } cases[] = {
        { "\1b\1a", "" }, { "\1a\1b", "" }, { "\1a", "\1a" }, { "\1a\1c", "\1a\1c" }, { "\1a\1b\1c", "\1a\1b\1c" }, { "\3a", "\3a" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf request = { 0 }, own = { 0 }, wanted = { 0 };
        gossip_full_state_add(&request, STR("nfl"), STR("\1x"));
        gossip_full_state_add(&request, STR("sil"), STR("\1a\1b"));
        gossip_full_state_add(&own, STR("sil"), str_c(cases[i].own));
        gossip_full_state_add(&own, STR("tocsin.x"), STR("\1a\1b"));
        gossip_full_state_add(&wanted, STR("sil"), str_c(cases[i].answered));
        gossip_full_state_add(&wanted, STR("tocsin.x"), STR("\1a\1b"));
        buf_reset(&b);
        put_push_pull(&b, true, NULL, 0, buf_view(&request));
        uint64_t id = one_accept(&o, 2);
        one_stream(&o, GOSSIP_STREAM_BYTES, id, buf_view(&b));
        one_state(&o, one_effect(&o, GOSSIP_NEED_STATE)->tag, buf_view(&own));
        (void)wrote(false);
        assert_true(str_eq(written.tail, buf_view(&wanted)));
        buf_deinit(&request);
        buf_deinit(&own);
        buf_deinit(&wanted);
    }
}

static void own_keys_are_asked_for_only_if_the_request_has_some(void **state)
{
    (void)state;
    put_push_pull(&b, false, NULL, 0, full_state((const char *[]){ "sil", "tocsin.claim" }, 2));
    uint64_t id = one_accept(&o, 2);
    one_stream(&o, GOSSIP_STREAM_BYTES, id, buf_view(&b));
    assert_true(one_effect(&o, GOSSIP_NEED_STATE)->own);
}

static void our_request_carries_own_keys_only_toward_a_tocsin(void **state)
{
    (void)state;
    one_alive(&o, "am", 2, 1);
    one_tocsin(&o, "tc", 3);
    for (unsigned n = 2; n <= 3; n++) {
        struct gossip_event ev = { .kind = GOSSIP_JOIN, .addr = one_addr(n), .tag = n };
        one_step(&o, &ev);
        uint64_t id = one_effect(&o, GOSSIP_DIAL)->stream;
        one_stream(&o, GOSSIP_STREAM_OPENED, id, STR_EMPTY);
        assert_int_equal(one_effect(&o, GOSSIP_NEED_STATE)->own, n == 3);
    }
}

static uint64_t join(void)
{
    struct gossip_event ev = { .kind = GOSSIP_JOIN, .addr = one_addr(2), .tag = 42 };
    one_step(&o, &ev);
    uint64_t id = one_effect(&o, GOSSIP_DIAL)->stream;
    one_stream(&o, GOSSIP_STREAM_OPENED, id, STR_EMPTY);
    one_state(&o, one_effect(&o, GOSSIP_NEED_STATE)->tag, full_state((const char *[]){ "sil" }, 1));
    struct str body = wrote(true);
    assert_int_equal(body.p[0], MSG_PUSH_PULL);
    return id;
}

static void a_join_merges_the_answer_and_succeeds(void **state)
{
    (void)state;
    struct msg_node nodes[] = { node("a", 2, GOSSIP_ALIVE), node("gone", 3, GOSSIP_GONE), node("s", 4, GOSSIP_SUSPECT) };
    uint64_t id = join();
    assert_true(written.header.join);
    put_push_pull(&b, true, nodes, 3, STR_EMPTY);
    one_stream(&o, GOSSIP_STREAM_BYTES, id, buf_view(&b));
    const struct gossip_effect *e = one_effect(&o, GOSSIP_JOINED);
    assert_non_null(e);
    assert_true(e->ok && e->tag == 42);
    assert_int_equal(one_node_state(&o, "a"), GOSSIP_ALIVE);
    assert_int_equal(one_node_state(&o, "gone"), -1);
    assert_int_equal(one_node_state(&o, "s"), -1);
}

static void joins_fail_with_a_reason(void **state)
{
    (void)state;
    const struct gossip_effect *e;
    uint64_t id = join();
    msg_err_encode(&b, STR("no way"));
    one_stream(&o, GOSSIP_STREAM_BYTES, id, buf_view(&b));
    e = one_effect(&o, GOSSIP_JOINED);
    assert_false(e->ok);
    assert_true(str_eq(e->bytes, STR("remote error: no way")));

    id = join();
    one_stream(&o, GOSSIP_STREAM_EOF, id, STR_EMPTY);
    assert_true(str_eq(one_effect(&o, GOSSIP_JOINED)->bytes, STR("EOF")));

    struct gossip_event ev = { .kind = GOSSIP_JOIN, .addr = one_addr(2), .tag = 1 };
    one_step(&o, &ev);
    one_stream(&o, GOSSIP_STREAM_CLOSED, one_effect(&o, GOSSIP_DIAL)->stream, STR("connection refused"));
    assert_true(str_eq(one_effect(&o, GOSSIP_JOINED)->bytes, STR("connection refused")));

    one_step(&o, &ev);
    o.now.ms += 10000;
    ev.kind = GOSSIP_TIMER;
    one_step(&o, &ev);
    assert_true(str_eq(one_effect(&o, GOSSIP_JOINED)->bytes, STR("i/o timeout")));
    assert_int_equal(o.g->streams.count, 0);
}

/* ---- a refused dial: a process that is only paused would not refuse ---- */

static void refused_by(unsigned n)
{
    struct gossip_event ev = { .kind = GOSSIP_JOIN, .addr = one_addr(n), .tag = 1 };
    one_step(&o, &ev);
    one_stream(&o, GOSSIP_STREAM_REFUSED, one_effect(&o, GOSSIP_DIAL)->stream, STR("connection refused"));
}

static void who_refused_before_it_failed_has_ended(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    one_alive(&o, "b", 3, 1);
    refused_by(2);
    assert_false(one_effect(&o, GOSSIP_JOINED)->ok);
    assert_null(one_effect(&o, GOSSIP_MEMBER_ENDED)); /* it is a member still */
    one_accuse(&o, MSG_DEAD, "a", "b", 1);
    assert_false(one_effect(&o, GOSSIP_MEMBER_LEFT)->dead);
    one_accuse(&o, MSG_DEAD, "b", "a", 1);
    assert_true(one_effect(&o, GOSSIP_MEMBER_LEFT)->dead);
    refused_by(3);
    const struct gossip_effect *e = one_effect(&o, GOSSIP_MEMBER_ENDED);
    assert_non_null(e);
    assert_true(str_eq(e->name, STR("b")));
    refused_by(3);
    assert_null(one_effect(&o, GOSSIP_MEMBER_ENDED)); /* once */
}

static void who_lives_after_it_refused_may_pause_again(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    refused_by(2);
    one_alive(&o, "a", 2, 2);
    one_accuse(&o, MSG_DEAD, "a", "b", 2);
    assert_true(one_effect(&o, GOSSIP_MEMBER_LEFT)->dead);
}

static void other_ends_of_a_stream_prove_nothing(void **state)
{
    (void)state;
    one_alive(&o, "a", 2, 1);
    struct gossip_event ev = { .kind = GOSSIP_JOIN, .addr = one_addr(2), .tag = 1 };
    one_step(&o, &ev);
    one_stream(&o, GOSSIP_STREAM_CLOSED, one_effect(&o, GOSSIP_DIAL)->stream, STR("i/o timeout"));
    one_accuse(&o, MSG_DEAD, "a", "b", 1);
    assert_true(one_effect(&o, GOSSIP_MEMBER_LEFT)->dead);
}

/* ---- GOSSIP_COMPARE ---- */

static size_t compared(void)
{
    struct gossip_event ev = { .kind = GOSSIP_COMPARE };
    size_t n = 0;
    one_step(&o, &ev);
    for (size_t i = 0; i < o.out.count; i++)
        n += o.out.effects[i].kind == GOSSIP_DIAL;
    return n;
}

static void comparison_asks_every_upstream_member_and_two_tocsin_ones(void **state)
{
    (void)state;
    static const char *const upstream[] = { "u1", "u2", "u3" }, *const tocsin[] = { "t1", "t2", "t3", "t4" };
    assert_int_equal(compared(), 0); /* alone */
    for (unsigned i = 0; i < 3; i++)
        one_alive(&o, upstream[i], 10 + i, 1);
    for (unsigned i = 0; i < 4; i++)
        one_tocsin(&o, tocsin[i], 20 + i);
    assert_int_equal(compared(), 3 + 2);
}

/* One that hangs does not stop the next: after 1.5 s it is taken to wait for a host that is gone. */
static void comparison_under_way_is_not_begun_again(void **state)
{
    (void)state;
    one_tocsin(&o, "t", 20);
    one_no_probes(&o);
    assert_int_equal(compared(), 1);
    one_pass(&o, GOSSIP_COMPARE_MS - 1);
    assert_int_equal(compared(), 0);
    one_pass(&o, 1);
    assert_int_equal(compared(), 1);
}

static void versions_without_a_common_range_merge_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = { "\3\5\3\0\0\0", "\1\5\2\1\1\1", "\1\1\1\0\0\0" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct msg_node nodes[] = { node("a", 2, GOSSIP_ALIVE), node("b", 3, GOSSIP_ALIVE) };
        nodes[1].vsn = str_of(bad[i], 6);
        buf_reset(&b);
        uint64_t id = join();
        put_push_pull(&b, true, nodes, 2, full_state((const char *[]){ "sil" }, 1));
        one_stream(&o, GOSSIP_STREAM_BYTES, id, buf_view(&b));
        assert_false(one_effect(&o, GOSSIP_JOINED)->ok);
        assert_int_equal(one_node_state(&o, "a"), -1);
        assert_null(one_effect(&o, GOSSIP_DELIVER));
    }
    assert_int_equal(counter_get(&o.stats.merges_refused), 3);
}

static void dead_nodes_without_a_version_refuse_the_merge_too(void **state)
{
    (void)state;
    static const char names[][3] = { "v0", "v1", "v5" };
    static const unsigned n[] = { 0, 1, 5 };
    for (size_t i = 0; i < 3; i++) {
        struct msg_push_pull h = { .nodes = 2 };
        struct msg_node good = node("a", 2, GOSSIP_ALIVE), dead = node(names[i], 3, GOSSIP_DEAD);
        buf_reset(&b);
        msg_push_pull_encode(&b, &h);
        msg_node_encode(&b, &good);
        msg_node_encode(&b, &dead);
        buf_truncate(&b, b.n - 1 - VSN_BYTES);
        buf_byte(&b, (char)(0xa0 | n[i]));
        buf_append(&b, vsn_own, n[i]);
        uint64_t id = join();
        one_stream(&o, GOSSIP_STREAM_BYTES, id, buf_view(&b));
        assert_false(one_effect(&o, GOSSIP_JOINED)->ok);
        assert_int_equal(one_node_state(&o, "a"), -1);
    }
}

static void outer_layers_that_cannot_be_read_are_answered_with_err(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
        size_t n;
    } cases[] = {
        { "\x09\x82\xa4"
          "Algo\x07\xa3"
          "Buf\xa1x",
          "Cannot decompress unknown algorithm 7", 14 },
        { "\x0a\x00\x00\x00\x20", "Remote state is encrypted and encryption is not configured", 5 },
        { "\x09\x82\xa4"
          "Algo\x00\xa3"
          "Buf\xa1x",
          "lzw: invalid code", 14 },
        { "\x09\xc1", "msgpack decode error", 2 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str text;
        size_t used;
        uint64_t id = one_accept(&o, 2);
        one_stream(&o, GOSSIP_STREAM_BYTES, id, str_of(cases[i].bytes, cases[i].n));
        struct str body = wrote(false);
        assert_int_equal(msg_err_decode(str_from(body, 1), &text, &used), MSG_OK);
        assert_true(str_eq(text, str_c(cases[i].text)));
        assert_non_null(one_effect(&o, GOSSIP_CLOSE));
    }
}

static void bad_content_is_closed_without_an_answer(void **state)
{
    (void)state;
    static const char *const bad[] = { "c", "\xf4\x01x", "\x06\xc1", "\x03\x80", "\x02\x82\xa7Payload\xc0\xa5SeqNo\x01" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t id = one_accept(&o, 2);
        one_stream(&o, GOSSIP_STREAM_BYTES, id, str_c(bad[i]));
        assert_null(one_effect(&o, GOSSIP_WRITE));
        assert_int_equal(one_effects(&o, GOSSIP_CLOSE) + one_effects(&o, GOSSIP_ABORT), 1);
    }
    uint64_t id = one_accept(&o, 2); /* EOF before the first byte: silent */
    one_stream(&o, GOSSIP_STREAM_EOF, id, STR_EMPTY);
    assert_null(one_effect(&o, GOSSIP_WRITE));
    assert_int_equal(o.g->streams.count, 0);
}

static void sizes_that_cannot_be_are_refused_before_they_arrive(void **state)
{
    (void)state;
    static const struct {
        int64_t nodes, bytes;
    } bad[] = { { 1048577, 0 }, { 0, (int64_t)GOSSIP_STREAM_BYTES_MAX + 1 } };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct msg_push_pull h = { .nodes = bad[i].nodes, .user_state_bytes = bad[i].bytes };
        buf_reset(&b);
        msg_push_pull_encode(&b, &h);
        uint64_t id = one_accept(&o, 2);
        one_stream(&o, GOSSIP_STREAM_BYTES, id, buf_view(&b));
        assert_int_equal(o.g->streams.count, 0);
    }
    uint64_t id = one_accept(&o, 2);
    one_stream(&o, GOSSIP_STREAM_BYTES, id, STR("\x06\x81\xa5Nodes\xff"));
    assert_int_equal(o.g->streams.count, 0);
}

static void an_empty_compressed_body_does_no_harm(void **state)
{
    (void)state;
    uint64_t id = one_accept(&o, 2);
    one_stream(&o, GOSSIP_STREAM_BYTES, id,
               str_of("\x09\x82\xa4"
                      "Algo\x00\xa3"
                      "Buf\xa3\x00\x03\x02",
                      16)); /* clear, eof */
    assert_int_equal(o.g->streams.count, 0);
}

static void tcp_pings_are_answered_for_our_name_only(void **state)
{
    (void)state;
    struct msg_ping m = { .node = STR("self"), .seq = 77 };
    struct msg_ack ack;
    msg_ping_encode(&b, &m);
    uint64_t id = one_accept(&o, 2);
    one_stream(&o, GOSSIP_STREAM_BYTES, id, buf_view(&b));
    assert_true(msg_ack_decode(str_from(wrote(false), 1), &ack));
    assert_true(ack.seq == 77 && ack.payload_nil);
    buf_reset(&b);
    m.node = STR("nobody");
    msg_ping_encode(&b, &m);
    id = one_accept(&o, 2);
    one_stream(&o, GOSSIP_STREAM_BYTES, id, buf_view(&b));
    assert_null(one_effect(&o, GOSSIP_WRITE));
    assert_non_null(one_effect(&o, GOSSIP_CLOSE));
}

static void user_messages_by_tcp_are_delivered(void **state)
{
    (void)state;
    struct buf part = { 0 };
    gossip_part_encode(&part, STR("sil"), STR("record"));
    msg_user_header_encode(&b, part.n);
    buf_str(&b, buf_view(&part));
    uint64_t id = one_accept(&o, 2);
    one_stream(&o, GOSSIP_STREAM_BYTES, id, buf_view(&b));
    const struct gossip_effect *e = one_effect(&o, GOSSIP_DELIVER);
    assert_non_null(e);
    assert_true(!e->full && str_eq(e->key, STR("sil")) && str_eq(e->bytes, STR("record")));
    assert_int_equal(counter_get(&o.stats.received_update), 1);
    assert_int_equal(counter_get(&o.stats.received_size_update), part.n);
    buf_deinit(&part);
}

static void accepted_streams_are_bounded_in_number_and_time(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GOSSIP_STREAMS_MAX; i++)
        (void)one_accept(&o, 2);
    assert_null(one_effect(&o, GOSSIP_ABORT));
    (void)one_accept(&o, 2);
    assert_non_null(one_effect(&o, GOSSIP_ABORT));
    assert_int_equal(counter_get(&o.stats.streams_refused), 1);
    o.now.ms += 10000;
    struct gossip_event ev = { .kind = GOSSIP_TIMER };
    one_step(&o, &ev);
    assert_int_equal(one_effects(&o, GOSSIP_ABORT), GOSSIP_STREAMS_MAX);
    assert_int_equal(o.g->streams.count, 0);
    assert_int_equal(o.g->streams_accepted, 0);
}

static void all_streams_together_hold_bounded_memory(void **state)
{
    (void)state;
    struct msg_push_pull h = { .user_state_bytes = GOSSIP_STREAM_BYTES_MAX };
    msg_push_pull_encode(&b, &h);
    buf_fill(&b, 'x', 30u << 20);
    size_t cut = 0;
    for (unsigned i = 0; i < 12; i++) {
        uint64_t id = one_accept(&o, 2);
        one_stream(&o, GOSSIP_STREAM_BYTES, id, buf_view(&b));
        cut += one_effects(&o, GOSSIP_ABORT);
    }
    assert_int_equal(cut, 4);
    assert_true(o.g->stream_bytes <= GOSSIP_STREAMS_BYTES_MAX);
    buf_deinit(&b);
}

static void a_state_that_comes_too_late_is_dropped(void **state)
{
    (void)state;
    put_push_pull(&b, false, NULL, 0, STR_EMPTY);
    uint64_t id = one_accept(&o, 2);
    one_stream(&o, GOSSIP_STREAM_BYTES, id, buf_view(&b));
    uint64_t tag = one_effect(&o, GOSSIP_NEED_STATE)->tag;
    one_pass(&o, 11000);
    one_state(&o, tag, STR("late"));
    assert_int_equal(o.out.count, 0);
}

static void push_pulls_come_in_their_interval(void **state)
{
    (void)state;
    one_no_probes(&o);
    one_alive(&o, "a", 2, 1);
    size_t dials = 0;
    struct gossip_event ev = { .kind = GOSSIP_TIMER };
    int64_t first = 0, second = 0;
    for (int64_t ms = 0; ms < 200000; ms += 100) {
        o.now.ms += 100;
        one_step(&o, &ev);
        if (one_effects(&o, GOSSIP_DIAL) > 0 && ++dials <= 2)
            *(dials == 1 ? &first : &second) = ms + 100;
    }
    assert_in_range(first, 60000, 120100);
    assert_in_range(second - first, 59900, 60100);
}

static void a_node_that_was_lost_is_asked_for_its_state_when_it_is_back(void **state)
{
    (void)state;
    one_no_probes(&o);
    one_alive(&o, "a", 2, 1);
    assert_null(one_effect(&o, GOSSIP_DIAL)); /* a new one has joined us, or will */
    uint32_t inc = 1;
    size_t dials = 0;
    for (unsigned i = 0; i < 10; i++) {
        one_accuse(&o, i % 2 ? MSG_SUSPECT : MSG_DEAD, "a", "b", inc);
        one_alive(&o, "a", 2, ++inc);
        dials += one_effects(&o, GOSSIP_DIAL);
    }
    assert_int_equal(dials, GOSSIP_HEALS_BURST); /* flapping makes no storm */
    one_accuse(&o, MSG_DEAD, "a", "a", inc);
    one_pass(&o, GOSSIP_HEALS_EVERY_MS);
    one_alive(&o, "a", 2, ++inc);
    assert_null(one_effect(&o, GOSSIP_DIAL)); /* it had left, and joins */
    one_accuse(&o, MSG_DEAD, "a", "b", inc);
    one_alive(&o, "a", 2, ++inc);
    assert_true(gossip_addr_eq(one_effect(&o, GOSSIP_DIAL)->addr, one_addr(2)));
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_request_is_answered_with_the_list_as_it_was_before_the_merge),
        T(an_answer_leaves_out_what_the_request_had),
        T(own_keys_are_asked_for_only_if_the_request_has_some),
        T(our_request_carries_own_keys_only_toward_a_tocsin),
        T(a_join_merges_the_answer_and_succeeds),
        T(joins_fail_with_a_reason),
        T(who_refused_before_it_failed_has_ended),
        T(who_lives_after_it_refused_may_pause_again),
        T(other_ends_of_a_stream_prove_nothing),
        T(comparison_asks_every_upstream_member_and_two_tocsin_ones),
        T(comparison_under_way_is_not_begun_again),
        T(versions_without_a_common_range_merge_nothing),
        T(dead_nodes_without_a_version_refuse_the_merge_too),
        T(outer_layers_that_cannot_be_read_are_answered_with_err),
        T(bad_content_is_closed_without_an_answer),
        T(sizes_that_cannot_be_are_refused_before_they_arrive),
        T(an_empty_compressed_body_does_no_harm),
        T(tcp_pings_are_answered_for_our_name_only),
        T(user_messages_by_tcp_are_delivered),
        T(accepted_streams_are_bounded_in_number_and_time),
        T(all_streams_together_hold_bounded_memory),
        T(a_state_that_comes_too_late_is_dropped),
        T(push_pulls_come_in_their_interval),
        T(a_node_that_was_lost_is_asked_for_its_state_when_it_is_back),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    stream_reader_deinit(&written);
    buf_deinit(&b);
    return failed;
}
