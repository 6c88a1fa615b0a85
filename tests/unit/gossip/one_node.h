/* One gossip core in a test's hand: it gets events, its effects are kept apart by kind, time is the test's. The packets
 * that it sends are taken apart into messages. Each test program includes this once. */
#ifndef TOCSIN_TESTS_UNIT_GOSSIP_ONE_NODE_H
#define TOCSIN_TESTS_UNIT_GOSSIP_ONE_NODE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip/gossip_int.h"

#include <string.h>

#define UNUSED __attribute__((unused))

struct sent { /* one message in a packet that the node sent */
    struct gossip_addr to;
    size_t packet; /* which one */
    uint8_t type;
    struct buf body;
};

struct one {
    struct gossip *g;
    struct gossip_stats stats;
    struct gossip_out out; /* of the last call */
    mono_ms now;
    struct sent sent[4096];
    size_t sent_count, packets_count;
    struct packet_scratch scratch;
    struct gossip_addr packet_to;
    struct seal seal;
    uint64_t next_accept;
};

static void one_collect(void *arg, uint8_t type, struct str body)
{
    struct one *o = arg;
    assert_true(o->sent_count < ARRAY_LEN(o->sent));
    struct sent *s = &o->sent[o->sent_count++];
    s->to = o->packet_to;
    s->packet = o->packets_count;
    s->type = type;
    buf_reset(&s->body);
    buf_str(&s->body, body);
}

static void one_step(struct one *o, const struct gossip_event *ev)
{
    gossip_out_reset(&o->out);
    gossip_step(o->g, o->now, ev, &o->out);
    for (size_t i = 0; i < o->out.count; i++) {
        const struct gossip_effect *e = &o->out.effects[i];
        struct str plain;
        if (e->kind != GOSSIP_SEND_PACKET)
            continue;
        struct packet_walk walk = { .scratch = &o->scratch, .visit = one_collect, .arg = o };
        o->packet_to = e->addr;
        assert_int_equal(packet_open(&o->seal, &o->scratch, e->bytes, &plain), UNSEAL_OK);
        packet_walk(&walk, plain);
        assert_false(walk.bad);
        o->packets_count++;
    }
}

UNUSED static void one_forget(struct one *o)
{
    o->sent_count = o->packets_count = 0;
}

static void one_new_with(struct one *o, struct gossip_config *config)
{
    struct err err;
    memset(o, 0, sizeof *o);
    gossip_stats_init(&o->stats);
    o->now.ms = 1000;
    o->next_accept = 2;
    o->seal = (struct seal){ .label = config->label, .keyring = config->keyring, .nonce = config->nonce };
    o->g = gossip_new(config, &o->stats, &err);
    assert_non_null(o->g);
    struct gossip_event ev = { .kind = GOSSIP_START };
    one_step(o, &ev);
}

static struct gossip_config one_config(void)
{
    struct gossip_config config = gossip_config_default();
    config.name = STR("self");
    config.advertise = gossip_addr_v4(0x0a000001, 9094);
    config.seed = 7;
    return config;
}

UNUSED static void one_new(struct one *o)
{
    struct gossip_config config = one_config();
    one_new_with(o, &config);
}

UNUSED static void one_free(struct one *o)
{
    gossip_free(o->g);
    gossip_out_deinit(&o->out);
    gossip_stats_deinit(&o->stats);
    packet_scratch_deinit(&o->scratch);
    for (size_t i = 0; i < ARRAY_LEN(o->sent); i++)
        buf_deinit(&o->sent[i].body);
}

/* Lets time pass, with every deadline met on the way. */
UNUSED static void one_pass(struct one *o, int64_t ms)
{
    mono_ms end = mono_add(o->now, ms);
    struct gossip_event ev = { .kind = GOSSIP_TIMER };
    while (!mono_before(end, gossip_deadline(o->g))) {
        o->now = mono_before(gossip_deadline(o->g), o->now) ? o->now : gossip_deadline(o->g);
        one_step(o, &ev);
    }
    o->now = end;
}

/* Nobody answers in these tests: where probes would spoil the picture, they stay away. */
UNUSED static void one_no_probes(struct one *o)
{
    timer_disarm(&o->g->timers, &o->g->probe.tick.entry);
}

UNUSED static struct gossip_addr one_addr(unsigned n)
{
    return gossip_addr_v4(0x0a000000u + n, 9094);
}

UNUSED static void one_packet(struct one *o, struct gossip_addr from, struct str bytes)
{
    struct gossip_event ev = { .kind = GOSSIP_PACKET, .addr = from, .bytes = bytes };
    one_step(o, &ev);
}

/* Messages from node n (at one_addr(n)). */
UNUSED static void one_alive_full(struct one *o, struct str name, struct gossip_addr addr, uint32_t inc, struct str meta, struct str vsn)
{
    struct buf b = { 0 };
    struct msg_alive m = { .node = name, .addr = str_of((const char *)addr.ip, addr.ip_bytes), .port = addr.port,
                           .incarnation = inc, .meta = meta, .vsn = str_of((const char *)vsn_own, VSN_BYTES) };
    msg_alive_encode(&b, &m);
    if (vsn.p) { /* any bytes for Vsn: it is the last field */
        buf_truncate(&b, b.n - 1 - VSN_BYTES);
        buf_byte(&b, (char)(0xa0 | vsn.n));
        buf_str(&b, vsn);
    }
    one_packet(o, addr, buf_view(&b));
    buf_deinit(&b);
}
UNUSED static void one_alive(struct one *o, const char *name, unsigned n, uint32_t inc)
{
    one_alive_full(o, str_c(name), one_addr(n), inc, STR_EMPTY, (struct str){ NULL, 0 });
}
UNUSED static void one_tocsin(struct one *o, const char *name, unsigned n)
{
    one_alive_full(o, str_c(name), one_addr(n), 1, STR(GOSSIP_META), (struct str){ NULL, 0 });
}
UNUSED static void one_accuse(struct one *o, enum message_type type, const char *node, const char *from, uint32_t inc)
{
    struct buf b = { 0 };
    struct msg_accuse m = { .node = str_c(node), .from = str_c(from), .incarnation = inc };
    msg_accuse_encode(&b, type, &m);
    one_packet(o, one_addr(99), buf_view(&b));
    buf_deinit(&b);
}

UNUSED static void one_user(struct one *o, struct str key, struct str data)
{
    struct buf b = { 0 };
    buf_byte(&b, MSG_USER);
    gossip_part_encode(&b, key, data);
    one_packet(o, one_addr(99), buf_view(&b));
    buf_deinit(&b);
}

UNUSED static void one_command(struct one *o, enum gossip_event_kind kind, struct str key, struct str bytes)
{
    struct gossip_event ev = { .kind = kind, .key = key, .bytes = bytes };
    one_step(o, &ev);
}

/* Streams. */
UNUSED static uint64_t one_accept(struct one *o, unsigned from)
{
    struct gossip_event ev = { .kind = GOSSIP_STREAM_ACCEPTED, .stream = o->next_accept, .addr = one_addr(from) };
    o->next_accept += 2;
    one_step(o, &ev);
    return ev.stream;
}
UNUSED static void one_stream(struct one *o, enum gossip_event_kind kind, uint64_t stream, struct str bytes)
{
    struct gossip_event ev = { .kind = kind, .stream = stream, .bytes = bytes };
    one_step(o, &ev);
}
UNUSED static void one_state(struct one *o, uint64_t tag, struct str state)
{
    struct gossip_event ev = { .kind = GOSSIP_STATE, .tag = tag, .bytes = state };
    one_step(o, &ev);
}

/* The first effect of a kind in the last step, or NULL. */
UNUSED static const struct gossip_effect *one_effect(const struct one *o, enum gossip_effect_kind kind)
{
    for (size_t i = 0; i < o->out.count; i++)
        if (o->out.effects[i].kind == kind)
            return &o->out.effects[i];
    return NULL;
}
UNUSED static size_t one_effects(const struct one *o, enum gossip_effect_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < o->out.count; i++)
        n += o->out.effects[i].kind == kind;
    return n;
}

UNUSED static size_t one_sent(const struct one *o, uint8_t type)
{
    size_t n = 0;
    for (size_t i = 0; i < o->sent_count; i++)
        n += o->sent[i].type == type;
    return n;
}
UNUSED static const struct sent *one_sent_first(const struct one *o, uint8_t type)
{
    for (size_t i = 0; i < o->sent_count; i++)
        if (o->sent[i].type == type)
            return &o->sent[i];
    return NULL;
}

UNUSED static bool one_node(const struct one *o, const char *name, struct gossip_member *m)
{
    for (size_t i = 0; i < gossip_nodes_count(o->g); i++) {
        gossip_node_at(o->g, i, m);
        if (str_eq(m->name, str_c(name)))
            return true;
    }
    return false;
}
UNUSED static int one_node_state(const struct one *o, const char *name)
{
    struct gossip_member m;
    return one_node(o, name, &m) ? (int)m.state : -1;
}

#endif
