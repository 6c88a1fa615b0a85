/* How messages travel in packets: what arrives is taken apart, what is queued rides on whatever is sent, the gossip tick
 * sends the rest, and a change of our own does not wait for the tick (spec 9.7, 9.10, 10, 13; memberlist net.go).
 *
 * A change of our own (spread_broadcast) becomes "fresh" and is flushed in the same step, or GOSSIP_FLUSH_GAP_MS after
 * the flush before: a trickle leaves at once, a burst gathers. A flush sends
 *   - little: packets of single records straight to every member (GOSSIP_DIRECT_MEMBERS of them in a larger mesh); the
 *     records then enter the queue as sent once, and the gossip tick sends them the other times, against loss;
 *   - much: Parts of many records, over 700 bytes, by TCP to every member. Upstream does not re-gossip those, so that a
 *     burst is not multiplied by the number of its members.
 * Messages under tocsin's own keys go to tocsin members only, by packet or, gathered under BATCH_KEY, by TCP.
 *
 * What is passed on for others (relay) only enters the queue, except in a small mesh with upstream members: there it is
 * flushed like a change of our own, since upstream's own gossip is slow and leaves gaps.
 *
 * X1  Slices that a handler of a received message gets point into scratch.plain and scratch.inflated; sending uses the
 *     other scratch buffers, so a handler may send. */
#include "gossip/gossip_int.h"

#define PART_OVERHEAD 2 /* the length of a compound's part */
#define USER_OVERHEAD 3 /* and the type byte of a user message */
#define PACKET_HEADER 2 /* of a compound */

/* ---- receiving ---------------------------------------------------------------------------------------------------------- */

static void deliver(struct gossip *g, struct gossip_addr from, struct str key, struct str data, bool full)
{
    struct gossip_effect *e = effect_add(g, GOSSIP_DELIVER);
    e->addr = from;
    e->full = full;
    e->key = effect_bytes(g, key);
    e->bytes = effect_bytes(g, data);
}

void spread_user(struct gossip *g, struct gossip_addr from, struct str payload)
{
    struct str key, data;
    counter_add(&g->stats->received_update, 1);
    counter_add(&g->stats->received_size_update, payload.n);
    if (!gossip_part_decode(payload, &key, &data)) {
        counter_add(&g->stats->packets_dropped_bad, 1);
        return;
    }
    if (!str_eq(key, STR(BATCH_KEY))) {
        deliver(g, from, key, data, false);
        return;
    }
    bool bad = false;
    struct str rest = data;
    while (gossip_full_state_next(&rest, &key, &data, &bad))
        if (gossip_key_is_own(key) && !str_eq(key, STR(BATCH_KEY)))
            deliver(g, from, key, data, false);
}

void spread_full_state(struct gossip *g, struct gossip_addr from, struct str state)
{
    struct str rest = state, key, data;
    bool bad = false;
    counter_add(&g->stats->received_full, 1);
    counter_add(&g->stats->received_size_full, state.n);
    while (gossip_full_state_next(&rest, &key, &data, &bad))
        deliver(g, from, key, data, true);
    if (bad)
        effect_log(g, LOG_WARN, "Received a full state that does not decode");
}

static bool dispatch_known(struct gossip *g, uint8_t type, struct str body)
{
    switch (type) {
    case MSG_PING: {
        struct msg_ping m;
        if (!msg_ping_decode(body, &m))
            return false;
        probe_ping(g, &m);
        return true;
    }
    case MSG_INDIRECT_PING: {
        struct msg_indirect_ping m;
        if (!msg_indirect_ping_decode(body, &m))
            return false;
        probe_indirect_ping(g, &m);
        return true;
    }
    case MSG_ACK: {
        struct msg_ack m;
        if (!msg_ack_decode(body, &m))
            return false;
        probe_ack(g, &m);
        return true;
    }
    case MSG_NACK: {
        struct msg_nack m;
        if (!msg_nack_decode(body, &m))
            return false;
        probe_nack(g, &m);
        return true;
    }
    case MSG_SUSPECT:
    case MSG_DEAD: {
        struct msg_accuse m;
        if (!msg_accuse_decode(body, &m))
            return false;
        if (type == MSG_SUSPECT)
            members_suspect(g, &m);
        else
            members_dead(g, &m);
        return true;
    }
    case MSG_ALIVE: {
        struct msg_alive m;
        if (!msg_alive_decode(body, &m))
            return false;
        members_alive(g, &m);
        return true;
    }
    case MSG_USER:
        spread_user(g, g->packet_from, body);
        return true;
    default:
        return false;
    }
}

static void dispatch(void *arg, uint8_t type, struct str body)
{
    struct gossip *g = arg;
    if (!dispatch_known(g, type, body))
        counter_add(&g->stats->packets_dropped_bad, 1);
}

void spread_packet(struct gossip *g, struct gossip_addr from, struct str datagram)
{
    struct str plain;
    counter_add(&g->stats->packets_received, 1);
    if (datagram.n == 0 || datagram.n > GOSSIP_PACKET_BYTES_MAX) {
        counter_add(&g->stats->packets_dropped_bad, 1);
        return;
    }
    switch (packet_open(&g->seal, &g->scratch, datagram, &plain)) {
    case UNSEAL_OK:
        break;
    case UNSEAL_LABEL:
        counter_add(&g->stats->packets_dropped_label, 1);
        return;
    case UNSEAL_CRYPT:
        counter_add(&g->stats->packets_dropped_crypt, 1);
        return;
    case UNSEAL_BAD:
        counter_add(&g->stats->packets_dropped_bad, 1);
        return;
    }
    g->packet_from = from;
    g->replies = 0;
    struct packet_walk walk = { .scratch = &g->scratch, .visit = dispatch, .arg = g };
    packet_walk(&walk, plain);
    if (walk.bad)
        counter_add(&g->stats->packets_dropped_bad, 1);
}

bool spread_stranger(struct gossip *g)
{
    double earned = (double)(g->now.ms - g->stranger_at.ms) * GOSSIP_STRANGERS_PER_S / 1000.0;
    g->stranger_at = g->now;
    g->stranger_tokens += earned;
    if (g->stranger_tokens > GOSSIP_STRANGERS_PER_S)
        g->stranger_tokens = GOSSIP_STRANGERS_PER_S;
    if (g->stranger_tokens < 1.0)
        return false;
    g->stranger_tokens -= 1.0;
    return true;
}

/* ---- sending -------------------------------------------------------------------------------------------------------------- */

static size_t budget(const struct gossip *g)
{
    return GOSSIP_PACKET_BUDGET - PACKET_HEADER - seal_overhead(&g->seal);
}

void spread_send_plain(struct gossip *g, struct gossip_addr to, struct str plain, bool crc)
{
    struct gossip_effect *e = effect_add(g, GOSSIP_SEND_PACKET);
    struct buf *out = &g->out->bytes;
    size_t at = out->n;
    packet_seal(&g->seal, &g->scratch, out, plain, crc);
    e->addr = to;
    e->bytes = (struct str){ (const char *)(uintptr_t)at, out->n - at };
    counter_add(&g->stats->packets_sent, 1);
}

static uint32_t user_limit(const struct gossip *g)
{
    unsigned mult = g->config.peers_configured / 2 > 3 ? (unsigned)(g->config.peers_configured / 2) : 3;
    return transmit_limit(mult, g->members_count);
}

static void take_membership(void *arg, const struct queue_item *item)
{
    struct gossip *g = arg;
    packet_parts_add(&g->parts, -1, item->bytes);
}

static void take_user(void *arg, const struct queue_item *item)
{
    struct gossip *g = arg;
    packet_parts_add(&g->parts, MSG_USER, item->bytes);
    counter_add(&g->stats->sent_update, 1);
    counter_add(&g->stats->sent_size_update, item->bytes.n);
}

/* Adds to g->parts what the queues have for `limit` bytes: membership first. */
static void gather(struct gossip *g, size_t limit)
{
    size_t used = queue_fill(&g->membership, limit, PART_OVERHEAD, GOSSIP_PARTS_MAX - g->parts.count,
                             transmit_limit(RETRANSMIT_MULT, g->nodes_count), take_membership, g);
    size_t left = limit > used ? limit - used : 0;
    if (left > USER_OVERHEAD)
        queue_fill(&g->user, left, USER_OVERHEAD, GOSSIP_PARTS_MAX - g->parts.count, user_limit(g), take_user, g);
}

void spread_send(struct gossip *g, struct gossip_addr to, struct str message, bool piggyback)
{
    packet_parts_reset(&g->parts);
    packet_parts_add(&g->parts, -1, message);
    size_t room = budget(g);
    if (piggyback && message.n < room)
        gather(g, room - message.n);
    spread_send_plain(g, to, packet_parts_join(&g->parts, &g->packet), false);
}

static bool gossip_target(const struct gossip *g, const struct node *n, const void *arg)
{
    (void)arg;
    return n != g->self && (node_is_member(n) || (n->state == GOSSIP_DEAD &&
                                                  g->now.ms - n->changed.ms <= GOSSIP_TO_DEAD_MS));
}

void spread_gossip(struct gossip *g)
{
    struct node *targets[GOSSIP_DIRECT_MEMBERS];
    if (g->membership.count == 0 && g->user.count == 0)
        return;
    size_t count = members_pick(g, g->gossip_nodes, gossip_target, NULL, targets);
    for (size_t i = 0; i < count; i++) {
        /* While the queue is longer than a packet, several packets, each with messages that the ones before had not. */
        size_t queued = g->membership.count + g->user.count, taken = 0;
        for (size_t packets = 0; packets < GOSSIP_TICK_PACKETS && taken < queued; packets++) {
            packet_parts_reset(&g->parts);
            gather(g, budget(g));
            if (g->parts.count == 0)
                return;
            taken += g->parts.count;
            spread_send_plain(g, targets[i]->addr, packet_parts_join(&g->parts, &g->packet), targets[i]->vsn[1] >= 5);
        }
    }
}

/* ---- changes of our own ------------------------------------------------------------------------------------------------------ */

static void fresh_add(struct fresh_list *l, struct str key, struct str data)
{
    struct fresh *f = mem_alloc(sizeof *f + key.n + data.n);
    char *p = (char *)(f + 1);
    f->key = str_of(p, key.n);
    f->data = str_of(p + key.n, data.n);
    memcpy(p, key.p, key.n);
    if (data.n != 0)
        memcpy(p + key.n, data.p, data.n);
    if (l->count == l->capacity) {
        l->capacity = mem_grow(l->capacity, l->count + 1);
        l->items = mem_realloc_array(l->items, l->capacity, sizeof(struct fresh *));
    }
    l->items[l->count++] = f;
    l->bytes += key.n + data.n;
}

static void fresh_clear(struct fresh_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        mem_free(l->items[i]);
    l->count = l->bytes = 0;
}

static bool any_member(const struct gossip *g, const struct node *n, const void *arg)
{
    (void)arg;
    return n != g->self && node_is_member(n);
}

/* One packet, sealed once, to each of them. */
static void send_to_all(struct gossip *g, struct node *const *targets, size_t count)
{
    struct str plain = packet_parts_join(&g->parts, &g->packet);
    struct buf *out = &g->out->bytes;
    size_t at = out->n;
    bool crc = true;
    for (size_t i = 0; i < count; i++)
        crc = crc && targets[i]->vsn[1] >= 5;
    packet_seal(&g->seal, &g->scratch, out, plain, crc);
    struct str sealed = { (const char *)(uintptr_t)at, out->n - at };
    for (size_t i = 0; i < count; i++) {
        struct gossip_effect *e = effect_add(g, GOSSIP_SEND_PACKET);
        e->addr = targets[i]->addr;
        e->bytes = sealed;
        counter_add(&g->stats->packets_sent, 1);
    }
}

/* Sends the items that are not bulk, as single user messages, in as few packets as they fit into. */
static void flush_packets(struct gossip *g, const struct fresh_list *l, struct node *const *targets, size_t count)
{
    size_t used = 0, room = budget(g);
    packet_parts_reset(&g->parts);
    for (size_t i = 0; i < l->count; i++) {
        const struct fresh *f = l->items[i];
        if (f->bulk)
            continue;
        buf_reset(&g->message);
        gossip_part_encode(&g->message, f->key, f->data);
        size_t need = USER_OVERHEAD + g->message.n;
        if (g->parts.count == GOSSIP_PARTS_MAX || (g->parts.count > 0 && used + need > room)) {
            send_to_all(g, targets, count);
            packet_parts_reset(&g->parts);
            used = 0;
        }
        packet_parts_add(&g->parts, MSG_USER, buf_view(&g->message));
        used += need;
        counter_add(&g->stats->sent_update, count);
        counter_add(&g->stats->sent_size_update, count * g->message.n);
    }
    if (g->parts.count > 0)
        send_to_all(g, targets, count);
}

static void send_blob(struct gossip *g, struct str key, struct str data, bool tocsin_only)
{
    struct blob *b = blob_new(g, key, data);
    if (!b)
        return;
    for (size_t i = 0; i < g->nodes_count; i++) {
        struct node *n = g->nodes[i];
        if (any_member(g, n, NULL) && (n->tocsin || !tocsin_only))
            outbox_put(g, n, b);
    }
    blob_release(g, b);
}

/* How much of a list goes by TCP: all of a key that does not fit into a few packets, and what is too long for one. */
static size_t mark_bulk(struct gossip *g, struct fresh_list *l, size_t single_max)
{
    size_t packets_bytes = GOSSIP_DIRECT_PACKETS * (budget(g) - 64), bulk = 0;
    for (size_t i = 0; i < l->count; i++) {
        struct fresh *f = l->items[i];
        size_t total = 0;
        for (size_t j = 0; j < l->count && total <= packets_bytes; j++)
            if (str_eq(l->items[j]->key, f->key))
                total += l->items[j]->data.n + f->key.n + 8;
        f->bulk = total > packets_bytes;
        buf_reset(&g->message);
        if (!f->bulk) {
            gossip_part_encode(&g->message, f->key, f->data);
            f->bulk = g->message.n > single_max;
        }
        bulk += f->bulk;
    }
    return bulk;
}

/* Upstream's keys: the records of one key one after another, as many as make a Part of the right size. */
static void flush_bulk_records(struct gossip *g, struct fresh_list *l)
{
    for (size_t first = 0; first < l->count; first++) {
        if (!l->items[first]->bulk)
            continue;
        struct str key = l->items[first]->key;
        size_t left = 0;
        for (size_t i = first; i < l->count; i++)
            if (l->items[i]->bulk && str_eq(l->items[i]->key, key))
                left += l->items[i]->data.n;
        buf_reset(&g->body);
        for (size_t i = first; i < l->count; i++) {
            struct fresh *f = l->items[i];
            if (!f->bulk || !str_eq(f->key, key))
                continue;
            buf_str(&g->body, f->data);
            left -= f->data.n;
            f->bulk = false;
            /* A rest that upstream would gossip on stays with what went before. */
            if (left == 0 || (g->body.n >= GOSSIP_BULK_BYTES && left > GOSSIP_OVERSIZE_BYTES)) {
                send_blob(g, key, buf_view(&g->body), false);
                buf_reset(&g->body);
            }
        }
    }
}

/* Our own keys: several messages in a FullState under BATCH_KEY. */
static void flush_bulk_own(struct gossip *g, struct fresh_list *l)
{
    buf_reset(&g->body);
    for (size_t i = 0; i < l->count; i++) {
        const struct fresh *f = l->items[i];
        if (!f->bulk)
            continue;
        gossip_full_state_add(&g->body, f->key, f->data);
        if (g->body.n >= GOSSIP_BULK_BYTES) {
            send_blob(g, STR(BATCH_KEY), buf_view(&g->body), true);
            buf_reset(&g->body);
        }
    }
    if (g->body.n > 0)
        send_blob(g, STR(BATCH_KEY), buf_view(&g->body), true);
}

static void flush_own(struct gossip *g)
{
    size_t count = 0;
    struct node **targets = NULL;
    for (size_t i = 0; i < g->nodes_count; i++)
        count += any_member(g, g->nodes[i], NULL) && g->nodes[i]->tocsin;
    if (count > 0) {
        targets = mem_alloc_array(count, sizeof(struct node *));
        size_t k = 0;
        for (size_t i = 0; i < g->nodes_count; i++)
            if (any_member(g, g->nodes[i], NULL) && g->nodes[i]->tocsin)
                targets[k++] = g->nodes[i];
        ASSERT(k == count);
        size_t bulk = mark_bulk(g, &g->own, budget(g) - USER_OVERHEAD);
        flush_packets(g, &g->own, targets, count);
        if (bulk > 0)
            flush_bulk_own(g, &g->own);
    }
    mem_free(targets);
    fresh_clear(&g->own);
}

static void flush_records(struct gossip *g)
{
    struct fresh_list *l = &g->fresh;
    struct node *targets[GOSSIP_DIRECT_MEMBERS];
    size_t bulk = mark_bulk(g, l, GOSSIP_OVERSIZE_BYTES);
    size_t count = members_pick(g, GOSSIP_DIRECT_MEMBERS, any_member, NULL, targets);
    if (count > 0)
        flush_packets(g, l, targets, count);
    for (size_t i = 0; i < l->count; i++) {
        if (l->items[i]->bulk)
            continue;
        buf_reset(&g->message);
        gossip_part_encode(&g->message, l->items[i]->key, l->items[i]->data);
        struct queue_item *item = queue_put(&g->user, STR_EMPTY, l->items[i]->key, buf_view(&g->message));
        if (count > 0)
            queue_sent(&g->user, item, user_limit(g));
    }
    if (bulk > 0)
        flush_bulk_records(g, l);
    fresh_clear(l);
}

static void flush(struct gossip *g, struct gtimer *t)
{
    (void)t;
    g->flushed_at = g->now;
    if (g->own.count > 0)
        flush_own(g);
    if (g->fresh.count > 0)
        flush_records(g);
    gauge_set(&g->stats->messages_queued, (double)g->user.count);
}

/* While a member is behind with its streams, flushes are rarer and bigger. */
static int64_t flush_gap(const struct gossip *g)
{
    for (size_t i = 0; i < g->nodes_count; i++)
        if (outbox_backlog(g->nodes[i]) >= GOSSIP_OUTBOX_STREAMS)
            return GOSSIP_FLUSH_SLOW_MS;
    return GOSSIP_FLUSH_GAP_MS;
}

static void flush_soon(struct gossip *g)
{
    if (timer_is_armed(&g->flush_timer.entry))
        return;
    mono_ms at = mono_add(g->flushed_at, flush_gap(g));
    g->flush_timer.fire = flush;
    timer_arm(&g->timers, &g->flush_timer.entry, mono_before(at, g->now) ? g->now : at);
}

static bool relays_at_once(const struct gossip *g)
{
    bool upstream = false;
    for (size_t i = 0; i < g->nodes_count && !upstream; i++)
        upstream = any_member(g, g->nodes[i], NULL) && !g->nodes[i]->tocsin;
    return upstream && g->members_count <= GOSSIP_RELAY_MEMBERS;
}

void spread_broadcast(struct gossip *g, struct str key, struct str data, bool relay)
{
    if (key.n == 0 || key.n > GOSSIP_NAME_BYTES_MAX)
        return;
    if (relay && (data.n > GOSSIP_RELAY_BYTES_MAX || gossip_key_is_own(key)))
        return;
    if (relay && !relays_at_once(g)) {
        buf_reset(&g->message);
        gossip_part_encode(&g->message, key, data);
        if (g->message.n <= GOSSIP_OVERSIZE_BYTES) {
            queue_put(&g->user, STR_EMPTY, key, buf_view(&g->message));
            if (g->user.count > GOSSIP_QUEUE_MAX || g->user.bytes > GOSSIP_QUEUE_BYTES_MAX)
                counter_add(&g->stats->messages_pruned, queue_prune(&g->user, GOSSIP_QUEUE_PRUNE));
            gauge_set(&g->stats->messages_queued, (double)g->user.count);
        } else {
            send_blob(g, key, data, false);
        }
        return;
    }
    struct fresh_list *l = gossip_key_is_own(key) ? &g->own : &g->fresh;
    fresh_add(l, key, data);
    if (l->count >= GOSSIP_QUEUE_MAX || l->bytes >= GOSSIP_QUEUE_BYTES_MAX) {
        timer_disarm(&g->timers, &g->flush_timer.entry);
        flush(g, &g->flush_timer);
        return;
    }
    flush_soon(g);
}

void spread_direct(struct gossip *g, struct str name, struct str key, struct str data)
{
    struct node *n = node_find(g, name);
    if (!n || n == g->self || !n->tocsin || !node_is_member(n) || !gossip_key_is_own(key))
        return;
    buf_reset(&g->message);
    gossip_part_encode(&g->message, key, data);
    if (g->message.n + 1 > budget(g)) {
        struct blob *b = blob_new(g, key, data);
        if (b) {
            outbox_put(g, n, b);
            blob_release(g, b);
        }
        return;
    }
    packet_parts_reset(&g->parts);
    packet_parts_add(&g->parts, MSG_USER, buf_view(&g->message));
    spread_send_plain(g, n->addr, packet_parts_join(&g->parts, &g->packet), true);
}

/* ---- ticks -------------------------------------------------------------------------------------------------------------------- */

static void gossip_tick(struct gossip *g, struct gtimer *t)
{
    (void)t;
    g->gossip_beat = g->now;
    spread_gossip(g);
    gauge_set(&g->stats->messages_queued, (double)g->user.count);
}

/* The beat goes on while there is nothing to say, but nobody is woken for it. */
void spread_arm(struct gossip *g)
{
    int64_t interval = g->config.gossip_interval_ms, since = g->now.ms - g->gossip_beat.ms;
    if (g->membership.count + g->user.count == 0 || timer_is_armed(&g->gossip_timer.entry))
        return;
    timer_arm(&g->timers, &g->gossip_timer.entry, mono_add(g->gossip_beat, interval * (since / interval + 1)));
}

static void prune_tick(struct gossip *g, struct gtimer *t)
{
    gtimer_in(&g->timers, t, g->now, GOSSIP_PRUNE_MS);
    counter_add(&g->stats->messages_pruned, queue_prune(&g->user, GOSSIP_QUEUE_PRUNE));
}

void spread_start(struct gossip *g)
{
    g->gossip_timer.fire = gossip_tick;
    g->gossip_beat = g->now;
    g->prune_timer.fire = prune_tick;
    gtimer_in(&g->timers, &g->prune_timer, g->now, GOSSIP_PRUNE_MS);
    g->flushed_at = mono_add(g->now, -GOSSIP_FLUSH_GAP_MS);
    g->stranger_at = g->now;
    g->stranger_tokens = GOSSIP_STRANGERS_PER_S;
}

void spread_deinit(struct gossip *g)
{
    fresh_clear(&g->fresh);
    fresh_clear(&g->own);
    mem_free(g->fresh.items);
    mem_free(g->own.items);
    queue_deinit(&g->membership);
    queue_deinit(&g->user);
}
