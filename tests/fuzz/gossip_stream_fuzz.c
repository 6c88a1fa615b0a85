/* A stream that a node accepts or that answers its join: the first byte says which, and in what pieces it arrives. Both
 * ways of cutting it must lead to the same reading. */
#include "gossip/gossip_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gossip_stats stats;
static struct gossip_out out;

static void step(struct gossip *g, const struct gossip_event *ev)
{
    gossip_out_reset(&out);
    gossip_step(g, (mono_ms){ 100 }, ev, &out);
    for (size_t i = 0; i < out.count; i++)
        if (out.effects[i].kind == GOSSIP_NEED_STATE) {
            struct gossip_event state = { .kind = GOSSIP_STATE, .tag = out.effects[i].tag, .bytes = STR("\x0a\x05\x0a\x03sil") };
            step(g, &state);
            return;
        }
}

static void feed(struct gossip *g, uint64_t id, struct str bytes, size_t piece)
{
    struct gossip_event ev = { .kind = GOSSIP_STREAM_BYTES, .stream = id };
    for (size_t at = 0; at < bytes.n; at += piece) {
        ev.bytes = str_sub(bytes, at, piece);
        step(g, &ev);
    }
    ev = (struct gossip_event){ .kind = GOSSIP_STREAM_EOF, .stream = id };
    step(g, &ev);
    ev.kind = GOSSIP_STREAM_CLOSED;
    step(g, &ev);
}

static void whole_and_in_pieces(struct str bytes, bool accepted, size_t piece)
{
    static const struct seal plain = { .label = { "", 0 } };
    struct stream_reader whole = { .accepted = accepted }, pieces = { .accepted = accepted };
    enum stream_result a, b = STREAM_MORE;
    buf_str(&whole.raw, bytes);
    a = stream_read(&whole, &plain);
    for (size_t at = 0; at < bytes.n && b == STREAM_MORE; at += piece) {
        buf_str(&pieces.raw, str_sub(bytes, at, piece));
        b = stream_read(&pieces, &plain);
    }
    if (a == STREAM_DONE && (b != STREAM_DONE || !str_eq(whole.tail, pieces.tail) || !str_eq(whole.nodes, pieces.nodes)))
        abort();
    if (a != STREAM_DONE && b == STREAM_DONE && bytes.n > 0 && a == STREAM_MORE)
        abort();
    stream_reader_deinit(&whole);
    stream_reader_deinit(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    if (size == 0)
        return 0;
    bool accepted = data[0] & 1;
    size_t piece = 1 + (data[0] >> 1);
    struct str bytes = str_of((const char *)data + 1, size - 1);
    struct gossip_config config = gossip_config_default();
    config.name = STR("self");
    config.advertise = gossip_addr_v4(0x0a000001, 9094);
    struct gossip *g = gossip_new(&config, &stats, &err);
    struct gossip_event ev = { .kind = GOSSIP_START };
    step(g, &ev);
    if (accepted) {
        ev = (struct gossip_event){ .kind = GOSSIP_STREAM_ACCEPTED, .stream = 2, .addr = config.advertise };
        step(g, &ev);
        feed(g, 2, bytes, piece);
    } else {
        ev = (struct gossip_event){ .kind = GOSSIP_JOIN, .addr = gossip_addr_v4(0x0a000002, 9094), .tag = 1 };
        step(g, &ev);
        ev = (struct gossip_event){ .kind = GOSSIP_STREAM_OPENED, .stream = 1 };
        step(g, &ev);
        feed(g, 1, bytes, piece);
    }
    if (g->streams.count != 0)
        abort();
    gossip_free(g);
    if (size < 2000) /* in pieces of one byte the reading is looked at often */
        whole_and_in_pieces(bytes, accepted, piece);
    return 0;
}
