/* Life cycle of a mesh, its events and timers. The rules are in the files beside (gossip_int.h lists them); here an
 * event finds its rule, and then everything that is due at this instant runs.
 *
 * G1  now never goes back. A step runs the timers that are due before it returns, so a deadline in the past exists only
 *     until the next step.
 * G2  Before GOSSIP_START nothing but a keyring is taken; effects are empty.
 * G3  Between steps g->out is NULL: no effect can be added outside. */
#include "gossip/gossip_int.h"

#include "base/utf8.h"

struct gossip_config gossip_config_default(void)
{
    return (struct gossip_config){
        .meta = STR(GOSSIP_META),
        .label = STR_EMPTY,
        .gossip_interval_ms = 200,
        .probe_interval_ms = 1000,
        .probe_timeout_ms = 500,
        .pushpull_interval_ms = 60000,
        .tcp_timeout_ms = 10000,
    };
}

static bool config_check(const struct gossip_config *c, struct err *err)
{
    if (c->name.n == 0 || c->name.n > GOSSIP_NAME_BYTES_MAX || !utf8_valid(c->name))
        return err_set(err, ERR_INVALID, "node name must be 1 to %d bytes of UTF-8", GOSSIP_NAME_BYTES_MAX);
    if (c->meta.n > GOSSIP_META_BYTES_MAX)
        return err_set(err, ERR_INVALID, "node meta data is longer than %d bytes", GOSSIP_META_BYTES_MAX);
    if (c->label.n > GOSSIP_LABEL_BYTES_MAX)
        return err_set(err, ERR_INVALID, "label is longer than %d bytes", GOSSIP_LABEL_BYTES_MAX);
    if (c->advertise.ip_bytes != 4 && c->advertise.ip_bytes != 16)
        return err_set(err, ERR_INVALID, "no advertise address");
    if (c->gossip_interval_ms <= 0 || c->probe_interval_ms <= 0 || c->probe_timeout_ms <= 0 || c->tcp_timeout_ms <= 0)
        return err_set(err, ERR_INVALID, "intervals and timeouts of the cluster must be positive");
    if (c->keyring && !c->nonce)
        return err_set(err, ERR_INVALID, "encryption without a source of nonces");
    return true;
}

static void queue_finished(void *arg, struct queue_item *item)
{
    if (item->notify)
        leave_done(arg);
}

static struct str copy(struct str s)
{
    return s.n == 0 ? STR_EMPTY : str_of(mem_dup(s.p, s.n), s.n);
}

static void copy_free(struct str s)
{
    union {
        const char *in;
        char *out;
    } p = { .in = s.p }; /* made by copy() */
    if (s.n != 0)
        mem_free(p.out);
}

struct gossip *gossip_new(const struct gossip_config *config, struct gossip_stats *stats, struct err *err)
{
    if (!config_check(config, err))
        return NULL;
    struct gossip *g = MEM_NEW(struct gossip);
    g->config = *config;
    g->config.name = copy(config->name);
    g->config.meta = copy(config->meta);
    g->config.label = copy(config->label);
    g->stats = stats;
    g->seal = (struct seal){ .label = g->config.label,
                             .keyring = config->keyring,
                             .nonce = config->nonce,
                             .nonce_arg = config->nonce_arg };
    rng_seed(&g->rng, config->seed);
    g->hash_seed = rng_u64(&g->rng);
    size_t half = config->peers_configured / 2;
    g->gossip_nodes = half <= 3 ? 3 : half > GOSSIP_DIRECT_MEMBERS ? GOSSIP_DIRECT_MEMBERS : (unsigned)half;
    g->membership.finished = queue_finished;
    g->membership.arg = g;
    g->next_stream = 1;
    gauge_set(&stats->enabled, 1);
    if (stats->peer_info)
        gauge_set(metric_vec_gauge(stats->peer_info, &g->config.name), 1);
    return g;
}

void gossip_free(struct gossip *g)
{
    if (!g)
        return;
    g->membership.finished = NULL;
    timer_heap_deinit(&g->timers); /* before what the timers are part of */
    exchange_deinit(g);
    probe_deinit(g);
    members_deinit(g);
    spread_deinit(g);
    packet_scratch_deinit(&g->scratch);
    packet_parts_deinit(&g->parts);
    buf_deinit(&g->message);
    buf_deinit(&g->packet);
    buf_deinit(&g->body);
    gossip_keyring_free(g->seal.keyring);
    copy_free(g->config.name);
    copy_free(g->config.meta);
    copy_free(g->config.label);
    mem_free(g);
}

static void start(struct gossip *g)
{
    if (g->started)
        return;
    g->started = true;
    members_start(g);
    spread_start(g);
    probe_start(g);
    exchange_start(g);
}

static void take_keyring(struct gossip *g, struct gossip_keyring *keyring)
{
    ASSERT(keyring == NULL || g->seal.nonce != NULL);
    gossip_keyring_free(g->seal.keyring);
    g->seal.keyring = keyring;
}

static void take_event(struct gossip *g, const struct gossip_event *ev)
{
    switch (ev->kind) {
    case GOSSIP_START:
    case GOSSIP_TIMER:
        break;
    case GOSSIP_PACKET:
        spread_packet(g, ev->addr, ev->bytes);
        break;
    case GOSSIP_PACKET_FAILED:
        probe_packet_failed(g, ev->addr);
        break;
    case GOSSIP_STREAM_ACCEPTED:
        exchange_accepted(g, ev->stream, ev->addr);
        break;
    case GOSSIP_STREAM_OPENED:
        exchange_opened(g, ev->stream);
        break;
    case GOSSIP_STREAM_BYTES:
        exchange_bytes(g, ev->stream, ev->bytes);
        break;
    case GOSSIP_STREAM_EOF:
        exchange_eof(g, ev->stream);
        break;
    case GOSSIP_STREAM_CLOSED:
        exchange_closed(g, ev->stream, ev->bytes);
        break;
    case GOSSIP_STREAM_REFUSED:
        exchange_refused(g, ev->stream, ev->bytes);
        break;
    case GOSSIP_BROADCAST:
        spread_broadcast(g, ev->key, ev->bytes, ev->relay);
        break;
    case GOSSIP_SEND:
        spread_direct(g, ev->name, ev->key, ev->bytes);
        break;
    case GOSSIP_STATE:
        exchange_state(g, ev->tag, ev->bytes);
        break;
    case GOSSIP_JOIN:
        exchange_join(g, ev->addr, ev->tag);
        break;
    case GOSSIP_COMPARE:
        exchange_compare(g);
        break;
    case GOSSIP_LEAVE:
        members_leave(g);
        break;
    case GOSSIP_KEYRING:
        take_keyring(g, ev->keyring);
        break;
    }
}

#ifdef TOCSIN_ASSERT_SLOW
/* Structures agree with each other: M1, M2, M3, B1. */
static bool consistent(const struct gossip *g)
{
    size_t members = 0;
    for (size_t i = 0; i < g->nodes_count; i++) {
        const struct node *n = g->nodes[i];
        bool suspicion = n->extra && n->extra->suspicion;
        members += node_is_member(n);
        if (n->at != i || node_find(g, node_name(n)) != n || suspicion != (n->state == GOSSIP_SUSPECT))
            return false;
    }
    return members == g->members_count && (g->probe.phase == PROBE_IDLE) == (g->probe.node == NULL);
}
#endif

void gossip_step(struct gossip *g, mono_ms now, const struct gossip_event *ev, struct gossip_out *out)
{
    ASSERT(g->out == NULL); /* G3 */
    ASSERT(!mono_before(now, g->now)); /* G1 */
    g->now = now;
    out_begin(g, out);
    if (ev->kind == GOSSIP_START)
        start(g);
    if (g->started || ev->kind == GOSSIP_KEYRING)
        take_event(g, ev); /* G2 */
    struct timer_entry *t;
    while ((t = timer_pop(&g->timers, now)) != NULL) {
        struct gtimer *timer = container_of(t, struct gtimer, entry);
        timer->fire(g, timer);
    }
    if (g->started)
        spread_arm(g);
    ASSERT_SLOW(consistent(g));
    out_end(g);
}

mono_ms gossip_deadline(const struct gossip *g)
{
    return timer_next(&g->timers);
}

/* ---- queries ------------------------------------------------------------------------------------------------------------ */

size_t gossip_nodes_count(const struct gossip *g)
{
    return g->nodes_count;
}

size_t gossip_members_count(const struct gossip *g)
{
    return g->members_count;
}

void gossip_node_at(const struct gossip *g, size_t i, struct gossip_member *m)
{
    ASSERT(i < g->nodes_count);
    const struct node *n = g->nodes[i];
    *m = (struct gossip_member){
        .name = node_name(n),
        .meta = node_meta(n),
        .addr = n->addr,
        .state = (enum gossip_state)n->state,
        .incarnation = n->incarnation,
        .tocsin = n->tocsin,
        .is_self = n == g->self,
    };
}

unsigned gossip_health(const struct gossip *g)
{
    return g->health;
}

size_t gossip_queued_count(const struct gossip *g)
{
    return g->user.count + g->fresh.count;
}
