/* Messages by TCP: what is too long for a packet, and bursts. A message is sealed once into a blob that all receivers
 * share; each member takes its blobs in order over at most GOSSIP_OUTBOX_STREAMS connections at a time, so that one
 * that is slow or gone holds up nobody else and costs a bounded queue (upstream: one worker that waits for all).
 *
 * O1  A blob is freed with its last reference: outboxes and streams hold one each.
 * O2  A member's outbox holds at most GOSSIP_OUTBOX_MAX blobs, all blobs together GOSSIP_OUTBOX_BYTES_MAX bytes; what is
 *     over is dropped and counted. The push/pull repairs it.
 * There is no retry: a failed message is repaired by push/pull, as upstream. */
#include "gossip/gossip_int.h"

struct blob *blob_new(struct gossip *g, struct str key, struct str data)
{
    bool own = gossip_key_is_own(key);
    size_t n = key.n + data.n;
    if (n > GOSSIP_STATE_BYTES_MAX || g->blob_bytes + n > GOSSIP_OUTBOX_BYTES_MAX) {
        counter_add(own ? &g->stats->outbox_dropped : stats_by_key(g->stats->oversized_dropped, key), 1);
        return NULL;
    }
    struct buf part = { 0 }, plain = { 0 };
    gossip_part_encode(&part, key, data);
    msg_user_header_encode(&plain, part.n);
    buf_str(&plain, buf_view(&part));
    buf_deinit(&part);
    struct blob *b = mem_alloc(sizeof *b + key.n);
    char *p = (char *)(b + 1);
    memcpy(p, key.p, key.n);
    b->key = str_of(p, key.n);
    b->refs = 1;
    stream_seal(&g->seal, &g->scratch, &b->bytes, buf_view(&plain), true);
    buf_deinit(&plain);
    g->blob_bytes += b->bytes.n;
    return b;
}

void blob_release(struct gossip *g, struct blob *b)
{
    ASSERT(b->refs > 0);
    if (--b->refs > 0)
        return;
    ASSERT(g->blob_bytes >= b->bytes.n);
    g->blob_bytes -= b->bytes.n;
    buf_deinit(&b->bytes);
    mem_free(b);
}

size_t outbox_backlog(const struct node *n)
{
    return n->extra ? n->extra->outbox.count + n->extra->outbox.streams : 0;
}

static void drain(struct gossip *g, struct node *n)
{
    struct outbox *o = &n->extra->outbox;
    while (o->count > 0 && o->streams < GOSSIP_OUTBOX_STREAMS) {
        struct blob *b = o->ring[o->head];
        if (!exchange_user(g, n, b))
            return; /* too many streams; the next one that ends comes back here */
        o->head = (o->head + 1) % GOSSIP_OUTBOX_MAX;
        o->count--;
        o->streams++;
        blob_release(g, b);
    }
}

void outbox_put(struct gossip *g, struct node *n, struct blob *b)
{
    struct outbox *o = &node_extra(n)->outbox;
    if (o->count == GOSSIP_OUTBOX_MAX) {
        counter_add(gossip_key_is_own(b->key) ? &g->stats->outbox_dropped
                                              : stats_by_key(g->stats->oversized_dropped, b->key),
                    1);
        return;
    }
    if (!o->ring)
        o->ring = mem_alloc_array(GOSSIP_OUTBOX_MAX, sizeof(struct blob *));
    o->ring[(o->head + o->count++) % GOSSIP_OUTBOX_MAX] = b;
    b->refs++;
    drain(g, n);
}

void outbox_sent(struct gossip *g, struct node *n, struct blob *b, bool ok, int64_t ms)
{
    struct outbox *o = &n->extra->outbox;
    ASSERT(o->streams > 0);
    o->streams--;
    if (!gossip_key_is_own(b->key)) {
        counter_add(stats_by_key(ok ? g->stats->oversized_sent : g->stats->oversized_failed, b->key), 1);
        if (ok && g->stats->oversize_seconds)
            histogram_observe(metric_vec_histogram(g->stats->oversize_seconds, &b->key), (double)ms / 1000.0);
    }
    drain(g, n);
    if (g->user_streams + 1 >= GOSSIP_DIALS_MAX) /* others may have been held back by the common bound */
        for (size_t i = 0; i < g->nodes_count; i++)
            if (g->nodes[i]->extra && g->nodes[i]->extra->outbox.count > 0)
                drain(g, g->nodes[i]);
}

void outbox_drop(struct gossip *g, struct node *n)
{
    if (!n->extra)
        return;
    struct outbox *o = &n->extra->outbox;
    while (o->count > 0) {
        blob_release(g, o->ring[o->head]);
        o->head = (o->head + 1) % GOSSIP_OUTBOX_MAX;
        o->count--;
    }
    mem_free(o->ring);
    o->ring = NULL;
    o->head = 0;
}
