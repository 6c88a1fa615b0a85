/* A datagram, at a node that knows two others, and the seconds after it. What the node sends is taken apart again: it must
 * be sound, whatever came in. */
#include "gossip/gossip_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct packet_scratch scratch;
static size_t messages;

static void visit(void *arg, uint8_t type, struct str body)
{
    (void)arg;
    struct msg_alive alive;
    messages++;
    if (type == MSG_ALIVE && (!msg_alive_decode(body, &alive) || alive.vsn.n != VSN_BYTES))
        abort();
}

static void step(struct gossip *g, mono_ms now, const struct gossip_event *ev, struct gossip_out *out)
{
    static const struct seal plain = { .label = { "", 0 } };
    struct str bytes;
    gossip_out_reset(out);
    gossip_step(g, now, ev, out);
    for (size_t i = 0; i < out->count; i++) {
        struct packet_walk walk = { .scratch = &scratch, .visit = visit };
        if (out->effects[i].kind != GOSSIP_SEND_PACKET)
            continue;
        if (packet_open(&plain, &scratch, out->effects[i].bytes, &bytes) != UNSEAL_OK)
            abort();
        packet_walk(&walk, bytes);
        if (walk.bad)
            abort();
    }
}

static void know(struct gossip *g, const char *name, unsigned n, struct str meta, struct gossip_out *out)
{
    struct buf b = { 0 };
    struct gossip_addr a = gossip_addr_v4(0x0a000000u + n, 9094);
    struct msg_alive m = { .node = str_c(name), .addr = str_of((const char *)a.ip, 4), .port = 9094, .incarnation = 1,
                           .meta = meta, .vsn = str_of((const char *)vsn_own, VSN_BYTES) };
    msg_alive_encode(&b, &m);
    struct gossip_event ev = { .kind = GOSSIP_PACKET, .addr = a, .bytes = buf_view(&b) };
    step(g, (mono_ms){ 10 }, &ev, out);
    buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gossip_stats stats;
    static struct gossip_out out;
    struct err err;
    struct gossip_config config = gossip_config_default();
    config.name = STR("self");
    config.advertise = gossip_addr_v4(0x0a000001, 9094);
    struct gossip *g = gossip_new(&config, &stats, &err);
    struct gossip_event ev = { .kind = GOSSIP_START };
    mono_ms now = { 10 };
    step(g, now, &ev, &out);
    know(g, "a", 2, STR_EMPTY, &out);
    know(g, "t", 3, STR(GOSSIP_META), &out);
    ev = (struct gossip_event){ .kind = GOSSIP_PACKET, .addr = gossip_addr_v4(0x0a000009, 7),
                                .bytes = str_of((const char *)data, size) };
    step(g, now, &ev, &out);
    ev = (struct gossip_event){ .kind = GOSSIP_TIMER };
    for (unsigned i = 0; i < 12; i++) {
        now.ms += 250;
        step(g, now, &ev, &out);
    }
    gossip_free(g);
    return 0;
}
