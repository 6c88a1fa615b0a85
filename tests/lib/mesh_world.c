/* The simulated world of meshes. One heap of events orders everything; equal times fire in the order of arming, so a run
 * depends on nothing but the seed.
 *
 * W1  A node's clock never goes back: offset + t * (1 + drift), drift within 1 %.
 * W2  A stream's bytes arrive in order and whole, or the stream stays silent (cut), or both ends learn of its end.
 * W3  What reaches a paused node waits until it wakes; what reaches a crashed one is lost, and streams to it are refused. */
#include "lib/mesh_world.h"

#include "base/heap.h"
#include "base/map.h"
#include "base/mem.h"
#include "gossip/gossip_int.h"
#include "wire/pb.h"

#include <stdio.h>

enum event_kind { EV_WAKE, EV_PACKET, EV_DIALLED, EV_OPENED, EV_BYTES, EV_EOF, EV_CLOSED, EV_REFUSED, EV_RESOLVED, EV_CRASH };

struct event {
    struct timer_entry entry;
    enum event_kind kind;
    size_t node, from;
    unsigned life; /* of the node it is for: a restart makes it void */
    uint64_t stream, tag;
    struct gossip_addr addr;
    size_t bytes_n;
    char bytes[];
};

struct link { /* one stream between two nodes */
    size_t a, b; /* who dialled, who accepted */
    uint64_t id_a, id_b;
    int64_t busy_until[2]; /* keeps the order: toward b, toward a */
    bool gone;
};

struct vnode {
    struct gossip *gossip;
    struct peer *peer;
    struct event *wake;
    unsigned life, generation;
    bool up;
    int64_t paused_until;
    int64_t offset_ms;
    int64_t drift_ppm;
    uint64_t next_accept;
    char name[32];
    struct peer_stats peer_stats;
};

struct world {
    struct world_config config;
    struct rng rng;
    int64_t now;
    struct timer_heap events;
    struct vnode *nodes;
    uint8_t *cuts; /* nodes x nodes */
    struct map64 links; /* (node << 40 | stream id) -> link */
    struct link **all_links;
    size_t links_count, links_capacity;
    struct gossip_stats stats;
    struct world_traffic traffic;
    struct gossip_out out;
    struct peer_out peer_out;
    size_t depth;
};

int64_t world_now(const struct world *w)
{
    return w->now;
}
struct rng *world_rng(struct world *w)
{
    return &w->rng;
}
size_t world_nodes(const struct world *w)
{
    return w->config.nodes;
}
bool world_is_up(const struct world *w, size_t i)
{
    return w->nodes[i].up;
}
struct gossip *world_gossip(struct world *w, size_t i)
{
    return w->nodes[i].gossip;
}
struct peer *world_peer(struct world *w, size_t i)
{
    return w->nodes[i].peer;
}
struct str world_name(const struct world *w, size_t i)
{
    return str_c(w->nodes[i].name);
}
struct world_traffic world_traffic(const struct world *w)
{
    return w->traffic;
}

static mono_ms clock_of(const struct world *w, const struct vnode *n)
{
    return (mono_ms){ n->offset_ms + w->now + w->now * n->drift_ppm / 1000000 };
}

/* The world's time at which the node's clock shows `at`. */
static int64_t world_time(const struct vnode *n, mono_ms at)
{
    int64_t local = at.ms - n->offset_ms;
    int64_t t = local - local * n->drift_ppm / (1000000 + n->drift_ppm);
    while (n->offset_ms + t + t * n->drift_ppm / 1000000 < at.ms)
        t++;
    return t;
}

static struct gossip_addr addr_of(size_t i)
{
    return gossip_addr_v4(0x0a000000u + (uint32_t)i + 1, 9094);
}

static size_t node_at(const struct world *w, struct gossip_addr a)
{
    if (a.ip_bytes != 4 || a.port != 9094)
        return SIZE_MAX;
    size_t i = ((size_t)a.ip[1] << 16 | (size_t)a.ip[2] << 8 | a.ip[3]) - 1;
    return i < w->config.nodes ? i : SIZE_MAX;
}

static bool is_cut(const struct world *w, size_t a, size_t b)
{
    return w->cuts[a * w->config.nodes + b] != 0;
}

static bool chance(struct world *w, unsigned permille)
{
    return permille > 0 && rng_below(&w->rng, 1000) < permille;
}

static int64_t delay(struct world *w)
{
    int64_t range = w->config.delay_max_ms - w->config.delay_min_ms;
    return w->config.delay_min_ms + (range > 0 ? (int64_t)rng_below(&w->rng, (uint64_t)range + 1) : 0);
}

static struct event *event_new(struct world *w, enum event_kind kind, size_t node, struct str bytes)
{
    struct event *e = mem_alloc(sizeof *e + bytes.n);
    e->kind = kind;
    e->node = node;
    e->life = w->nodes[node].life;
    e->bytes_n = bytes.n;
    if (bytes.n)
        memcpy(e->bytes, bytes.p, bytes.n);
    return e;
}

static void event_at(struct world *w, struct event *e, int64_t t)
{
    timer_arm(&w->events, &e->entry, (mono_ms){ t < w->now ? w->now : t });
}

/* ---- links ------------------------------------------------------------------------------------------------------------ */

static uint64_t link_key(size_t node, uint64_t id)
{
    return (uint64_t)node << 40 | id;
}

static struct link *link_find(struct world *w, size_t node, uint64_t id)
{
    return map64_get(&w->links, link_key(node, id));
}

static void link_forget(struct world *w, size_t node, uint64_t id)
{
    map64_remove(&w->links, link_key(node, id));
}

/* The other end, and its id; false if that end is not there (yet, or any more). */
static bool link_peer(const struct link *l, size_t node, uint64_t id, size_t *other, uint64_t *other_id)
{
    bool from_a = node == l->a && id == l->id_a;
    *other = from_a ? l->b : l->a;
    *other_id = from_a ? l->id_b : l->id_a;
    return *other_id != 0;
}

static void link_send(struct world *w, struct link *l, size_t node, uint64_t id, enum event_kind kind, struct str bytes)
{
    size_t other;
    uint64_t other_id;
    if (!link_peer(l, node, id, &other, &other_id) || is_cut(w, node, other))
        return;
    struct event *e = event_new(w, kind, other, bytes);
    e->stream = other_id;
    int64_t *busy = &l->busy_until[node == l->a && id == l->id_a ? 0 : 1];
    int64_t t = w->now + delay(w);
    if (t < *busy)
        t = *busy;
    *busy = t;
    event_at(w, e, t);
}

/* ---- one node's step ---------------------------------------------------------------------------------------------------- */

static void step(struct world *w, size_t i, const struct gossip_event *ev);

static void peer_do(struct world *w, size_t i, const struct peer_event *ev);

static void wake_soon(struct world *w, size_t i)
{
    struct vnode *n = &w->nodes[i];
    mono_ms next = gossip_deadline(n->gossip);
    if (n->peer)
        next = mono_min(next, peer_deadline(n->peer));
    if (next.ms == INT64_MAX)
        return;
    int64_t t = world_time(n, next);
    if (t <= w->now && mono_before(clock_of(w, n), next))
        t = w->now + 1;
    n->wake->life = n->life;
    event_at(w, n->wake, t);
}

static void send_packet(struct world *w, size_t i, const struct gossip_effect *e)
{
    size_t to = node_at(w, e->addr);
    w->traffic.packets++;
    w->traffic.packet_bytes += e->bytes.n;
    if (to == SIZE_MAX)
        return;
    unsigned copies = 1 + (chance(w, w->config.duplicate_permille) ? 1u : 0u);
    for (unsigned k = 0; k < copies; k++) {
        if (is_cut(w, i, to) || chance(w, w->config.loss_permille))
            continue;
        struct event *p = event_new(w, EV_PACKET, to, e->bytes);
        p->addr = addr_of(i);
        event_at(w, p, w->now + delay(w));
    }
}

static void dial(struct world *w, size_t i, const struct gossip_effect *e)
{
    size_t to = node_at(w, e->addr);
    w->traffic.streams++;
    if (to == SIZE_MAX || is_cut(w, i, to))
        return; /* silence: the core's own timer ends it */
    struct link *l = MEM_NEW(struct link);
    *l = (struct link){ .a = i, .b = to, .id_a = e->stream };
    if (w->links_count == w->links_capacity) {
        w->links_capacity = mem_grow(w->links_capacity, w->links_count + 1);
        w->all_links = mem_realloc_array(w->all_links, w->links_capacity, sizeof(struct link *));
    }
    w->all_links[w->links_count++] = l;
    map64_put(&w->links, link_key(i, e->stream), l);
    struct event *d = event_new(w, EV_DIALLED, to, STR_EMPTY);
    d->from = i;
    d->stream = e->stream;
    event_at(w, d, w->now + delay(w));
}

static void end_stream(struct world *w, size_t i, uint64_t id, enum event_kind kind)
{
    struct link *l = link_find(w, i, id);
    if (!l)
        return;
    link_send(w, l, i, id, kind, STR_EMPTY);
    link_forget(w, i, id);
}

static void need_state(struct world *w, size_t i, uint64_t tag, bool own)
{
    struct buf state = { 0 };
    w->config.app.state(w->config.app.arg, w, i, own, &state);
    struct gossip_event ev = { .kind = GOSSIP_STATE, .tag = tag, .bytes = buf_view(&state) };
    step(w, i, &ev);
    buf_deinit(&state);
}

static void tell_peer(struct world *w, size_t i, enum peer_event_kind kind, const struct gossip_effect *e)
{
    struct peer_event ev = { .kind = kind, .name = e->name, .addr = e->addr, .tag = e->tag, .ok = e->ok, .dead = e->dead,
                             .bytes = e->bytes };
    if (w->nodes[i].peer)
        peer_do(w, i, &ev);
}

static void perform(struct world *w, size_t i, const struct gossip_effect *e)
{
    const struct world_app *app = &w->config.app;
    switch (e->kind) {
    case GOSSIP_SEND_PACKET:
        send_packet(w, i, e);
        break;
    case GOSSIP_DIAL:
        dial(w, i, e);
        break;
    case GOSSIP_WRITE: {
        struct link *l = link_find(w, i, e->stream);
        w->traffic.stream_bytes += e->bytes.n;
        if (l)
            link_send(w, l, i, e->stream, EV_BYTES, e->bytes);
        break;
    }
    case GOSSIP_CLOSE:
        end_stream(w, i, e->stream, EV_EOF);
        break;
    case GOSSIP_ABORT:
        end_stream(w, i, e->stream, EV_CLOSED);
        break;
    case GOSSIP_DELIVER:
        app->deliver(app->arg, w, i, e->key, e->bytes, e->full);
        break;
    case GOSSIP_NEED_STATE:
        need_state(w, i, e->tag, e->own);
        break;
    case GOSSIP_MEMBER_JOINED:
    case GOSSIP_MEMBER_LEFT:
    case GOSSIP_MEMBER_UPDATED:
        tell_peer(w, i, e->kind == GOSSIP_MEMBER_JOINED ? PEER_MEMBER_JOINED
                        : e->kind == GOSSIP_MEMBER_LEFT ? PEER_MEMBER_LEFT
                                                        : PEER_MEMBER_UPDATED, e);
        if (app->member)
            app->member(app->arg, w, i, e);
        break;
    case GOSSIP_MEMBER_ENDED:
        tell_peer(w, i, PEER_MEMBER_ENDED, e);
        break;
    case GOSSIP_JOINED:
        tell_peer(w, i, PEER_JOIN_RESULT, e);
        break;
    case GOSSIP_LEFT: {
        struct event *c = event_new(w, EV_CRASH, i, STR_EMPTY);
        event_at(w, c, w->now);
        break;
    }
    case GOSSIP_LOG:
        break;
    }
}

/* Effects may cause further steps of the same node: each depth has its own list. */
static void step(struct world *w, size_t i, const struct gossip_event *ev)
{
    struct vnode *n = &w->nodes[i];
    struct gossip_out out = w->out;
    w->out = (struct gossip_out){ 0 };
    gossip_out_reset(&out);
    gossip_step(n->gossip, clock_of(w, n), ev, &out);
    for (size_t k = 0; k < out.count && n->up; k++)
        perform(w, i, &out.effects[k]);
    gossip_out_deinit(&w->out);
    w->out = out;
    if (n->up)
        wake_soon(w, i);
}

static void perform_peer(struct world *w, size_t i, const struct peer_effect *e)
{
    switch (e->kind) {
    case PEER_RESOLVE: { /* names are "n<index>": one address each */
        struct event *r = event_new(w, EV_RESOLVED, i, e->host);
        r->tag = e->tag;
        event_at(w, r, w->now + 1);
        break;
    }
    case PEER_JOIN: {
        struct gossip_event ev = { .kind = GOSSIP_JOIN, .addr = e->addr, .tag = e->tag };
        step(w, i, &ev);
        break;
    }
    case PEER_JOIN_NAME: {
        struct peer_event ev = { .kind = PEER_JOIN_RESULT, .tag = e->tag };
        peer_do(w, i, &ev);
        break;
    }
    case PEER_STARTED:
    case PEER_READY:
    case PEER_CHANGED:
    case PEER_FATAL:
    case PEER_LOG:
        break;
    }
}

static void peer_do(struct world *w, size_t i, const struct peer_event *ev)
{
    struct vnode *n = &w->nodes[i];
    struct peer_out out = w->peer_out;
    w->peer_out = (struct peer_out){ 0 };
    peer_out_reset(&out);
    peer_step(n->peer, clock_of(w, n), ev, &out);
    for (size_t k = 0; k < out.count && n->up; k++)
        perform_peer(w, i, &out.effects[k]);
    peer_out_deinit(&w->peer_out);
    w->peer_out = out;
}

/* ---- life and death --------------------------------------------------------------------------------------------------------- */

static void sim_nonce(void *arg, uint8_t nonce[12])
{
    rng_bytes(arg, nonce, 12);
}

struct world *world_new(const struct world_config *config)
{
    struct world *w = MEM_NEW(struct world);
    w->config = *config;
    rng_seed(&w->rng, config->seed);
    w->nodes = mem_alloc_array(config->nodes, sizeof *w->nodes);
    w->cuts = mem_alloc(config->nodes * config->nodes);
    for (size_t i = 0; i < config->nodes; i++) {
        struct vnode *n = &w->nodes[i];
        n->wake = event_new(w, EV_WAKE, i, STR_EMPTY);
        if (config->skew) {
            n->offset_ms = (int64_t)rng_below(&w->rng, 1000000000);
            n->drift_ppm = (int64_t)rng_below(&w->rng, 20001) - 10000;
        }
    }
    return w;
}

static void node_down(struct world *w, size_t i)
{
    struct vnode *n = &w->nodes[i];
    timer_disarm(&w->events, &n->wake->entry);
    gossip_free(n->gossip);
    peer_free(n->peer);
    n->gossip = NULL;
    n->peer = NULL;
    n->up = false;
    n->life++;
}

void world_free(struct world *w)
{
    struct timer_entry *t;
    while ((t = timer_pop(&w->events, (mono_ms){ INT64_MAX })) != NULL) {
        struct event *e = container_of(t, struct event, entry);
        if (e->kind != EV_WAKE)
            mem_free(e);
    }
    for (size_t i = 0; i < w->config.nodes; i++) {
        if (w->nodes[i].up)
            node_down(w, i);
        mem_free(w->nodes[i].wake);
    }
    for (size_t i = 0; i < w->links_count; i++)
        mem_free(w->all_links[i]);
    mem_free(w->all_links);
    map64_deinit(&w->links);
    timer_heap_deinit(&w->events);
    gossip_out_deinit(&w->out);
    peer_out_deinit(&w->peer_out);
    mem_free(w->cuts);
    mem_free(w->nodes);
    mem_free(w);
}

static void peer_begin(struct world *w, size_t i)
{
    struct vnode *n = &w->nodes[i];
    struct err err;
    char (*texts)[32] = mem_alloc_array(w->config.nodes, sizeof *texts);
    struct str *peers = mem_alloc_array(w->config.nodes, sizeof *peers);
    for (size_t k = 0; k < w->config.nodes; k++) {
        snprintf(texts[k], sizeof texts[k], "%zu:9094", k);
        peers[k] = str_c(texts[k]);
    }
    struct peer_config config = peer_config_default();
    config.name = str_c(n->name);
    config.advertise = addr_of(i);
    config.peers = peers;
    config.peers_count = w->config.nodes;
    config.linger_ms = w->config.peer_timeout_ms ? peer_linger_ms(w->config.peer_timeout_ms, 1000) : 0;
    n->peer = peer_new(&config, &n->peer_stats, &err);
    ASSERT(n->peer != NULL);
    mem_free(peers);
    mem_free(texts);
}

void world_start(struct world *w, size_t i, unsigned generation)
{
    struct vnode *n = &w->nodes[i];
    struct err err;
    ASSERT(!n->up);
    snprintf(n->name, sizeof n->name, generation ? "n%05zu.%u" : "n%05zu", i, generation);
    struct gossip_config config = gossip_config_default();
    config.name = str_c(n->name);
    config.advertise = addr_of(i);
    config.seed = rng_u64(&w->rng);
    config.peers_configured = w->config.peers ? w->config.nodes : 0;
    if (i < w->config.upstream)
        config.meta = STR_EMPTY;
    if (w->config.probe_interval_ms)
        config.probe_interval_ms = w->config.probe_interval_ms;
    if (w->config.pushpull_interval_ms)
        config.pushpull_interval_ms = w->config.pushpull_interval_ms;
    if (w->config.encrypted) {
        struct str key = STR("0123456789abcdef");
        config.keyring = gossip_keyring_of(&key, 1, &err);
        config.nonce = sim_nonce;
        config.nonce_arg = &w->rng;
    }
    n->gossip = gossip_new(&config, &w->stats, &err);
    ASSERT(n->gossip != NULL);
    n->generation = generation;
    n->up = true;
    n->paused_until = 0;
    n->next_accept = 2;
    if (w->config.peers)
        peer_begin(w, i);
    struct gossip_event ev = { .kind = GOSSIP_START };
    step(w, i, &ev);
    if (n->peer) {
        struct peer_event pev = { .kind = PEER_START };
        peer_do(w, i, &pev);
        wake_soon(w, i);
    }
}

void world_crash(struct world *w, size_t i)
{
    if (!w->nodes[i].up)
        return;
    for (size_t k = 0; k < w->links_count; k++) {
        struct link *l = w->all_links[k];
        if (l->gone || (l->a != i && l->b != i))
            continue;
        uint64_t id = l->a == i ? l->id_a : l->id_b;
        if (link_find(w, i, id) == l) {
            link_send(w, l, i, id, EV_CLOSED, STR("connection reset by peer"));
            link_forget(w, i, id);
        }
    }
    node_down(w, i);
    if (w->config.app.crashed)
        w->config.app.crashed(w->config.app.arg, w, i);
}

void world_leave(struct world *w, size_t i)
{
    if (!w->nodes[i].up)
        return;
    if (w->nodes[i].peer) {
        struct peer_event pev = { .kind = PEER_STOP };
        peer_do(w, i, &pev);
    }
    struct gossip_event ev = { .kind = GOSSIP_LEAVE };
    step(w, i, &ev);
}

void world_pause(struct world *w, size_t i, int64_t ms)
{
    w->nodes[i].paused_until = w->now + ms;
}

void world_cut(struct world *w, size_t a, size_t b, bool cut)
{
    w->cuts[a * w->config.nodes + b] = cut;
}

void world_heal(struct world *w)
{
    memset(w->cuts, 0, w->config.nodes * w->config.nodes);
    w->config.loss_permille = w->config.duplicate_permille = 0;
    for (size_t i = 0; i < w->config.nodes; i++)
        w->nodes[i].paused_until = 0;
}

/* ---- running ------------------------------------------------------------------------------------------------------------------ */

static void links_sweep(struct world *w)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->links_count; i++) {
        struct link *l = w->all_links[i];
        if (link_find(w, l->a, l->id_a) == l || (l->id_b && link_find(w, l->b, l->id_b) == l) ||
            (!l->id_b && w->now - l->busy_until[0] < 60000))
            w->all_links[kept++] = l;
        else
            mem_free(l);
    }
    w->links_count = kept;
}

static void dialled(struct world *w, struct event *e)
{
    struct link *l = link_find(w, e->from, e->stream);
    if (!l || l->b != e->node)
        return;
    struct vnode *n = &w->nodes[e->node];
    if (!n->up) {
        struct event *refused = event_new(w, EV_REFUSED, e->from, STR("connection refused"));
        refused->stream = e->stream;
        link_forget(w, e->from, e->stream);
        event_at(w, refused, w->now + delay(w));
        return;
    }
    l->id_b = n->next_accept;
    n->next_accept += 2;
    map64_put(&w->links, link_key(e->node, l->id_b), l);
    struct gossip_event ev = { .kind = GOSSIP_STREAM_ACCEPTED, .stream = l->id_b, .addr = addr_of(e->from) };
    link_send(w, l, e->node, l->id_b, EV_OPENED, STR_EMPTY);
    step(w, e->node, &ev);
}

static void resolved(struct world *w, struct event *e)
{
    uint64_t index = 0;
    for (size_t i = 0; i < e->bytes_n; i++)
        index = index * 10 + (uint64_t)(e->bytes[i] - '0');
    struct gossip_addr a = addr_of(index);
    struct peer_event ev = { .kind = PEER_RESOLVED, .tag = e->tag, .ok = true, .addrs = &a, .addrs_count = 1 };
    peer_do(w, e->node, &ev);
    wake_soon(w, e->node);
}

static void wake(struct world *w, size_t i)
{
    struct vnode *n = &w->nodes[i];
    mono_ms now = clock_of(w, n);
    if (!mono_before(now, gossip_deadline(n->gossip))) {
        struct gossip_event ev = { .kind = GOSSIP_TIMER };
        step(w, i, &ev);
    }
    if (n->up && n->peer && !mono_before(now, peer_deadline(n->peer))) {
        struct peer_event ev = { .kind = PEER_TIMER };
        peer_do(w, i, &ev);
    }
    if (n->up)
        wake_soon(w, i);
}

static void happen(struct world *w, struct event *e)
{
    static const enum gossip_event_kind stream_events[] = {
        [EV_OPENED] = GOSSIP_STREAM_OPENED,
        [EV_BYTES] = GOSSIP_STREAM_BYTES,
        [EV_EOF] = GOSSIP_STREAM_EOF,
        [EV_CLOSED] = GOSSIP_STREAM_CLOSED,
        [EV_REFUSED] = GOSSIP_STREAM_REFUSED,
    };
    struct gossip_event ev = { .addr = e->addr, .stream = e->stream, .bytes = str_of(e->bytes, e->bytes_n) };
    switch (e->kind) {
    case EV_WAKE:
        wake(w, e->node);
        break;
    case EV_PACKET:
        ev.kind = GOSSIP_PACKET;
        step(w, e->node, &ev);
        break;
    case EV_DIALLED:
        dialled(w, e);
        break;
    case EV_OPENED:
    case EV_BYTES:
    case EV_EOF:
    case EV_CLOSED:
    case EV_REFUSED:
        if (e->kind == EV_CLOSED || e->kind == EV_REFUSED)
            link_forget(w, e->node, e->stream);
        ev.kind = stream_events[e->kind];
        step(w, e->node, &ev);
        break;
    case EV_RESOLVED:
        resolved(w, e);
        break;
    case EV_CRASH:
        world_crash(w, e->node);
        break;
    }
}

void world_run(struct world *w, int64_t ms)
{
    int64_t end = w->now + ms;
    struct timer_entry *t;
    while ((t = timer_pop(&w->events, (mono_ms){ end })) != NULL) {
        struct event *e = container_of(t, struct event, entry);
        struct vnode *n = &w->nodes[e->node];
        w->now = t->deadline.ms;
        bool for_us = e->kind == EV_DIALLED || (n->up && e->life == n->life);
        if (for_us && n->up && n->paused_until > w->now) {
            event_at(w, e, n->paused_until); /* W3 */
            continue;
        }
        if (for_us)
            happen(w, e);
        if (e->kind != EV_WAKE)
            mem_free(e);
        if (w->links_count > 4096)
            links_sweep(w);
    }
    w->now = end;
}

int64_t world_next(const struct world *w)
{
    return timer_next(&w->events).ms;
}

bool world_run_until(struct world *w, int64_t ms, int64_t step_ms, bool (*done)(void *arg, struct world *w), void *arg)
{
    for (int64_t passed = 0; passed < ms; passed += step_ms) {
        if (done(arg, w))
            return true;
        world_run(w, step_ms);
    }
    return done(arg, w);
}

static void command(struct world *w, size_t i, const struct gossip_event *ev)
{
    if (w->nodes[i].up)
        step(w, i, ev);
}

void world_broadcast(struct world *w, size_t i, struct str key, struct str bytes)
{
    struct gossip_event ev = { .kind = GOSSIP_BROADCAST, .key = key, .bytes = bytes };
    command(w, i, &ev);
}

void world_relay(struct world *w, size_t i, struct str key, struct str bytes)
{
    struct gossip_event ev = { .kind = GOSSIP_BROADCAST, .relay = true, .key = key, .bytes = bytes };
    command(w, i, &ev);
}

void world_send(struct world *w, size_t i, struct str name, struct str key, struct str bytes)
{
    struct gossip_event ev = { .kind = GOSSIP_SEND, .name = name, .key = key, .bytes = bytes };
    command(w, i, &ev);
}

void world_compare(struct world *w, size_t i)
{
    struct gossip_event ev = { .kind = GOSSIP_COMPARE };
    command(w, i, &ev);
}

bool world_converged(struct world *w)
{
    size_t up = 0;
    for (size_t i = 0; i < w->config.nodes; i++)
        up += w->nodes[i].up;
    for (size_t i = 0; i < w->config.nodes; i++) {
        struct gossip *g = w->nodes[i].gossip;
        if (!w->nodes[i].up)
            continue;
        if (gossip_members_count(g) != up)
            return false;
        for (size_t k = 0; k < gossip_nodes_count(g); k++) {
            struct gossip_member m;
            gossip_node_at(g, k, &m);
            if (m.state == GOSSIP_DEAD || m.state == GOSSIP_GONE)
                continue;
            size_t who = node_at(w, m.addr);
            if (m.state != GOSSIP_ALIVE || who == SIZE_MAX || !w->nodes[who].up || !str_eq(m.name, world_name(w, who)))
                return false;
        }
    }
    return true;
}

void world_prefill(struct world *w)
{
    for (size_t i = 0; i < w->config.nodes; i++) {
        struct gossip *g = w->nodes[i].gossip;
        if (!g)
            continue;
        struct gossip_out out = { 0 };
        out_begin(g, &out);
        for (size_t k = 0; k < w->config.nodes; k++) {
            struct gossip_addr a = addr_of(k);
            struct msg_alive m = { .node = world_name(w, k),
                                   .addr = str_of((const char *)a.ip, 4),
                                   .port = a.port,
                                   .meta = k < w->config.upstream ? STR_EMPTY : STR(GOSSIP_META),
                                   .incarnation = 1,
                                   .vsn = str_of((const char *)vsn_own, VSN_BYTES) };
            if (k == i || !w->nodes[k].up)
                continue;
            members_alive(g, &m);
            (void)queue_prune(&g->membership, 0);
            gossip_out_reset(&out);
        }
        (void)queue_prune(&g->membership, 0);
        out_end(g);
        gossip_out_deinit(&out);
    }
}

/* ---- the default application: sets of records ----------------------------------------------------------------------------------- */

struct record {
    struct str key, framed, body; /* framed: with its length before it */
};
struct world_sets {
    size_t nodes;
    struct map *sets; /* per node: "key/body" -> record */
};

struct world_sets *world_sets_new(size_t nodes)
{
    struct world_sets *s = MEM_NEW(struct world_sets);
    s->nodes = nodes;
    s->sets = mem_alloc_array(nodes, sizeof *s->sets);
    return s;
}

static void set_clear(struct map *m)
{
    struct record *r;
    for (size_t at = 0; (r = map_next(m, &at)) != NULL;)
        mem_free(r);
    map_deinit(m);
    *m = (struct map){ 0 };
}

void world_sets_free(struct world_sets *s)
{
    for (size_t i = 0; i < s->nodes; i++)
        set_clear(&s->sets[i]);
    mem_free(s->sets);
    mem_free(s);
}

/* Keys and bodies share one map: the identity of a record is its key, a slash, its body. */
static bool set_add(struct map *m, struct str key, struct str body, struct record **added)
{
    struct record *r = mem_alloc(sizeof *r + key.n + 1 + 10 + body.n);
    char *p = (char *)(r + 1);
    memcpy(p, key.p, key.n);
    p[key.n] = '/';
    memcpy(p + key.n + 1, body.p, body.n);
    struct str id = str_of(p, key.n + 1 + body.n);
    if (map_get(m, id)) {
        mem_free(r);
        return false;
    }
    r->key = str_of(p, key.n);
    r->body = str_of(p + key.n + 1, body.n);
    map_put(m, id, r);
    *added = r;
    return true;
}

static void frame(struct buf *out, struct str body)
{
    size_t mark = pb_begin_delimited(out);
    buf_str(out, body);
    pb_end(out, mark);
}

static void sets_deliver(void *arg, struct world *w, size_t node, struct str key, struct str bytes, bool full)
{
    struct world_sets *s = arg;
    struct str rest = bytes, body;
    bool failed = false, news = false;
    (void)full;
    struct record *r;
    while (pb_delimited(&rest, &body, &failed))
        news |= set_add(&s->sets[node], key, body, &r);
    if (news && bytes.n <= 700)
        world_relay(w, node, key, bytes);
}

static void sets_state(void *arg, struct world *w, size_t node, bool own, struct buf *out)
{
    static const char *const keys[] = { "nfl", "sil" };
    struct world_sets *s = arg;
    (void)w;
    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        struct buf data = { 0 };
        struct record *r;
        for (size_t at = 0; (r = map_next(&s->sets[node], &at)) != NULL;)
            if (str_eq(r->key, str_c(keys[k])))
                frame(&data, r->body);
        gossip_full_state_add(out, str_c(keys[k]), buf_view(&data));
        buf_deinit(&data);
    }
    if (own)
        gossip_full_state_add(out, STR("tocsin.here"), STR_EMPTY);
}

static void sets_crashed(void *arg, struct world *w, size_t node)
{
    (void)arg;
    (void)w;
    (void)node; /* records are on disk */
}

struct world_app world_sets_app(struct world_sets *s)
{
    return (struct world_app){ .arg = s, .deliver = sets_deliver, .state = sets_state, .crashed = sets_crashed };
}

void world_sets_add(struct world *w, struct world_sets *s, size_t i, struct str key, struct str record)
{
    struct record *r;
    struct buf framed = { 0 };
    (void)set_add(&s->sets[i], key, record, &r);
    frame(&framed, record);
    world_broadcast(w, i, key, buf_view(&framed));
    buf_deinit(&framed);
}

bool world_sets_has(const struct world_sets *s, size_t i, struct str key, struct str record)
{
    struct buf id = { 0 };
    buf_str(&id, key);
    buf_byte(&id, '/');
    buf_str(&id, record);
    bool has = map_get(&s->sets[i], buf_view(&id)) != NULL;
    buf_deinit(&id);
    return has;
}

size_t world_sets_count(const struct world_sets *s, size_t i)
{
    return s->sets[i].count;
}

bool world_sets_agree(const struct world_sets *s, const struct world *w)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < s->nodes; i++) {
        if (!world_is_up(w, i))
            continue;
        if (first == SIZE_MAX)
            first = i;
        if (s->sets[i].count != s->sets[first].count)
            return false;
        for (size_t at = 0; map_next(&s->sets[i], &at) != NULL;)
            if (!map_get(&s->sets[first], map_key_at(&s->sets[i], at)))
                return false;
    }
    return true;
}
