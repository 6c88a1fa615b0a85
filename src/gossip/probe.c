/* Is everybody still there? (spec 9.6; memberlist state.go, awareness.go.) One node is probed at a time.
 *
 *   IDLE --tick: ping--> DIRECT --probe timeout, or write error: 3 indirect pings + TCP ping--> INDIRECT
 *     ^                    | ack: health better                  | ack or TCP ack: health better
 *     +--------------------+-------------------------------------+ deadline: health worse, suspect
 *
 * B1  phase == PROBE_IDLE if and only if node == NULL. The node cannot be reaped under a probe: reaping happens at the
 *     wrap of the walk, before one begins.
 * B2  Of the ticks that pass during a probe one is remembered and starts the next probe at once; others are dropped.
 * B3  A relay answers once: with an ack, or after the probe timeout with a nack if one was asked for. At most
 *     GOSSIP_RELAYS_MAX of them run. */
#include "gossip/gossip_int.h"

static void tick(struct gossip *g, struct gtimer *t);
static void direct_over(struct gossip *g, struct gtimer *t);
static void round_over(struct gossip *g, struct gtimer *t);
static void probe_next(struct gossip *g);

static uint32_t next_seq(struct gossip *g)
{
    return ++g->seq;
}

static struct str own_ip(const struct gossip *g)
{
    return str_of((const char *)g->self->addr.ip, g->self->addr.ip_bytes);
}

static struct msg_ping ping_to(const struct gossip *g, struct str node, uint32_t seq)
{
    return (struct msg_ping){ .node = node,
                              .seq = seq,
                              .source_addr = own_ip(g),
                              .source_port = g->self->addr.port,
                              .source_node = g->config.name };
}

void probe_start(struct gossip *g)
{
    g->probe.tick.fire = tick;
    gtimer_in(&g->timers, &g->probe.tick, g->now, g->config.probe_interval_ms);
}

void probe_deinit(struct gossip *g)
{
    while (g->relays) {
        struct relay *r = g->relays;
        g->relays = r->next;
        mem_free(r);
    }
}

static void tick(struct gossip *g, struct gtimer *t)
{
    /* On a fixed beat; beats that a late step missed are not made up for. */
    int64_t interval = g->config.probe_interval_ms;
    int64_t late = g->now.ms - t->entry.deadline.ms;
    timer_arm(&g->timers, &t->entry, mono_add(t->entry.deadline, interval * (1 + (late > 0 ? late / interval : 0))));
    if (g->probe.phase != PROBE_IDLE)
        g->probe.tick_missed = true; /* B2 */
    else
        probe_next(g);
}

/* ---- the probe -------------------------------------------------------------------------------------------------------- */

static void finish(struct gossip *g)
{
    struct probe *p = &g->probe;
    ASSERT(p->phase != PROBE_IDLE);
    timer_disarm(&g->timers, &p->timer.entry);
    if (p->stream != 0)
        exchange_abort(g, p->stream);
    p->stream = 0;
    p->phase = PROBE_IDLE;
    p->node = NULL;
    if (p->tick_missed) {
        p->tick_missed = false;
        probe_next(g);
    }
}

static void succeed(struct gossip *g)
{
    if (!g->probe.health_kept)
        health_add(g, -1);
    finish(g);
}

/* A suspect is told of the suspicion in the same packet, so that it can refute at once. */
static void ping_suspect(struct gossip *g, const struct node *n, const struct msg_ping *ping)
{
    struct msg_accuse suspect = { .node = node_name(n), .from = g->config.name, .incarnation = n->incarnation };
    packet_parts_reset(&g->parts);
    buf_reset(&g->message);
    msg_ping_encode(&g->message, ping);
    packet_parts_add(&g->parts, -1, buf_view(&g->message));
    buf_reset(&g->message);
    msg_accuse_encode(&g->message, MSG_SUSPECT, &suspect);
    packet_parts_add(&g->parts, -1, buf_view(&g->message));
    spread_send_plain(g, n->addr, packet_parts_join(&g->parts, &g->packet), n->vsn[1] >= 5);
}

static void probe_node(struct gossip *g, struct node *n)
{
    struct probe *p = &g->probe;
    int64_t round_ms = g->config.probe_interval_ms * (int64_t)(g->health + 1);
    p->phase = PROBE_DIRECT;
    p->node = n;
    p->seq = next_seq(g);
    p->sent = g->now;
    p->deadline = mono_add(g->now, round_ms);
    p->nacks = p->nacks_expected = 0;
    p->tcp_acked = p->health_kept = false;
    p->timer.fire = direct_over;
    int64_t wait = g->config.probe_timeout_ms < round_ms ? g->config.probe_timeout_ms : round_ms;
    gtimer_in(&g->timers, &p->timer, g->now, wait);

    struct msg_ping ping = ping_to(g, node_name(n), p->seq);
    if (n->state == GOSSIP_ALIVE) {
        buf_reset(&g->message);
        msg_ping_encode(&g->message, &ping);
        spread_send(g, n->addr, buf_view(&g->message), true);
    } else {
        ping_suspect(g, n, &ping);
    }
}

static void probe_next(struct gossip *g)
{
    struct probe *p = &g->probe;
    for (size_t checked = 0; checked < g->nodes_count;) {
        if (p->index >= g->nodes_count) {
            members_reap(g);
            members_shuffle(g);
            p->index = 0;
            checked++; /* as upstream: the wrap costs one of the tries */
            continue;
        }
        struct node *n = g->nodes[p->index++];
        if (n != g->self && node_is_member(n)) {
            probe_node(g, n);
            return;
        }
        checked++;
    }
}

struct indirect_arg {
    const struct node *target;
};
static bool may_relay(const struct gossip *g, const struct node *n, const void *arg)
{
    const struct indirect_arg *a = arg;
    return n != g->self && n != a->target && n->state == GOSSIP_ALIVE;
}

static void direct_over(struct gossip *g, struct gtimer *t)
{
    (void)t;
    struct probe *p = &g->probe;
    ASSERT(p->phase == PROBE_DIRECT);
    struct node *n = p->node, *peers[INDIRECT_CHECKS];
    struct indirect_arg arg = { n };
    size_t count = members_pick(g, INDIRECT_CHECKS, may_relay, &arg, peers);
    for (size_t i = 0; i < count; i++) {
        struct msg_indirect_ping m = {
            .node = node_name(n),
            .target = str_of((const char *)n->addr.ip, n->addr.ip_bytes),
            .port = n->addr.port,
            .seq = p->seq,
            .nack = peers[i]->vsn[1] >= 4,
            .source_addr = own_ip(g),
            .source_port = g->self->addr.port,
            .source_node = g->config.name,
        };
        p->nacks_expected += m.nack;
        buf_reset(&g->message);
        msg_indirect_ping_encode(&g->message, &m);
        spread_send(g, peers[i]->addr, buf_view(&g->message), true);
    }
    p->phase = PROBE_INDIRECT;
    p->timer.fire = round_over;
    timer_arm(&g->timers, &p->timer.entry, p->deadline);
    if (n->vsn[1] >= 3)
        p->stream = exchange_ping(g, n, p->seq, p->deadline);
}

static void round_over(struct gossip *g, struct gtimer *t)
{
    (void)t;
    struct probe *p = &g->probe;
    struct node *n = p->node;
    ASSERT(p->phase == PROBE_INDIRECT);
    if (p->tcp_acked) {
        effect_log(g, LOG_WARN, "Was able to connect to %.*s over TCP but UDP probes failed, network may be misconfigured",
                   STR_ARG(node_name(n)));
        succeed(g);
        return;
    }
    if (p->nacks_expected > 0)
        health_add(g, p->nacks < p->nacks_expected ? (int)(p->nacks_expected - p->nacks) : 0);
    else
        health_add(g, 1);
    effect_log(g, LOG_INFO, "Suspect %.*s has failed, no acks received", STR_ARG(node_name(n)));
    struct msg_accuse suspect = { .node = node_name(n), .from = g->config.name, .incarnation = n->incarnation };
    members_suspect(g, &suspect);
    finish(g);
}

void probe_tcp_result(struct gossip *g, uint64_t stream, bool acked)
{
    struct probe *p = &g->probe;
    if (p->phase != PROBE_INDIRECT || p->stream != stream)
        return;
    p->stream = 0;
    p->tcp_acked = acked; /* counts at the end of the round: a UDP ack is still better news */
}

void probe_packet_failed(struct gossip *g, struct gossip_addr to)
{
    struct probe *p = &g->probe;
    if (p->phase != PROBE_DIRECT || !gossip_addr_eq(p->node->addr, to))
        return;
    p->health_kept = true;
    timer_disarm(&g->timers, &p->timer.entry);
    direct_over(g, &p->timer);
}

/* ---- answers ------------------------------------------------------------------------------------------------------------ */

static void observe_ping(struct gossip *g, const struct node *n)
{
    struct str name = node_name(n);
    if (g->stats->pings_seconds)
        histogram_observe(metric_vec_histogram(g->stats->pings_seconds, &name),
                          (double)(g->now.ms - g->probe.sent.ms) / 1000.0);
}

static void relay_free(struct gossip *g, struct relay *r)
{
    struct relay **at = &g->relays;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    timer_disarm(&g->timers, &r->timer.entry);
    g->relays_count--;
    mem_free(r);
}

void probe_ack(struct gossip *g, const struct msg_ack *m)
{
    struct probe *p = &g->probe;
    if (p->phase != PROBE_IDLE && p->seq == m->seq) {
        if (p->phase == PROBE_DIRECT)
            observe_ping(g, p->node);
        succeed(g);
        return;
    }
    for (struct relay *r = g->relays; r; r = r->next) {
        if (r->seq != m->seq)
            continue;
        struct msg_ack ack = { .seq = r->their_seq, .payload_nil = true };
        struct gossip_addr to = r->to;
        bool piggyback = r->piggyback;
        relay_free(g, r);
        buf_reset(&g->message);
        msg_ack_encode(&g->message, &ack);
        spread_send(g, to, buf_view(&g->message), piggyback);
        return;
    }
}

void probe_nack(struct gossip *g, const struct msg_nack *m)
{
    struct probe *p = &g->probe;
    if (p->phase == PROBE_INDIRECT && p->seq == m->seq && p->nacks < p->nacks_expected)
        p->nacks++;
}

/* ---- pings of others ------------------------------------------------------------------------------------------------------ */

/* Where the sender of a ping wants its answer. An address that neither sent the packet nor belongs to a member may be a
 * victim: it gets few answers, and none bigger than the question. */
static bool reply_to(struct gossip *g, struct str addr, uint16_t port, struct gossip_addr *to, bool *piggyback)
{
    *to = g->packet_from;
    *piggyback = true;
    if (g->replies++ >= GOSSIP_REPLIES_MAX)
        return false;
    if (addr.n == 0 || port == 0)
        return true;
    if (!msg_addr(addr, port, 0, to))
        return false;
    if (to->ip_bytes == g->packet_from.ip_bytes && memcmp(to->ip, g->packet_from.ip, to->ip_bytes) == 0)
        return true;
    if (node_by_addr(g, *to))
        return true;
    *piggyback = false;
    return spread_stranger(g);
}

void probe_ping(struct gossip *g, const struct msg_ping *m)
{
    struct gossip_addr to;
    bool piggyback;
    if (m->node.n != 0 && !str_eq(m->node, g->config.name))
        return;
    if (!reply_to(g, m->source_addr, m->source_port, &to, &piggyback))
        return;
    struct msg_ack ack = { .seq = m->seq };
    buf_reset(&g->message);
    msg_ack_encode(&g->message, &ack);
    spread_send(g, to, buf_view(&g->message), piggyback);
}

static void relay_over(struct gossip *g, struct gtimer *t)
{
    struct relay *r = container_of(t, struct relay, timer);
    struct msg_nack nack = { .seq = r->their_seq };
    struct gossip_addr to = r->to;
    bool wanted = r->nack, piggyback = r->piggyback;
    relay_free(g, r);
    if (!wanted)
        return;
    buf_reset(&g->message);
    msg_nack_encode(&g->message, &nack);
    spread_send(g, to, buf_view(&g->message), piggyback);
}

void probe_indirect_ping(struct gossip *g, const struct msg_indirect_ping *m)
{
    struct gossip_addr to, target;
    bool piggyback;
    if (g->relays_count >= GOSSIP_RELAYS_MAX || m->node.n > GOSSIP_NAME_BYTES_MAX ||
        !reply_to(g, m->source_addr, m->source_port, &to, &piggyback) ||
        !msg_addr(m->target, m->port, g->config.advertise.port, &target))
        return;
    bool known = node_by_addr(g, target) != NULL;
    if (!known && !spread_stranger(g))
        return;
    struct relay *r = MEM_NEW(struct relay);
    r->seq = next_seq(g);
    r->their_seq = m->seq;
    r->nack = m->nack;
    r->piggyback = piggyback;
    r->to = to;
    r->timer.fire = relay_over;
    r->next = g->relays;
    g->relays = r;
    g->relays_count++;
    gtimer_in(&g->timers, &r->timer, g->now, g->config.probe_timeout_ms);
    struct msg_ping ping = ping_to(g, m->node, r->seq);
    buf_reset(&g->message);
    msg_ping_encode(&g->message, &ping);
    spread_send(g, target, buf_view(&g->message), known);
}
