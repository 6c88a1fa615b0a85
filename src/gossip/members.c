/* Who is a member (spec 9.1-9.5, 9.9; memberlist state.go). Every rule about a node's record is here, and only here.
 *
 *                 alive(inc > known)                     alive(inc > known)
 *        +------------------------------------+   +--------------------------+
 *        v                                    |   v                          |
 *      ALIVE --suspect(inc >= known)--> SUSPECT / ALIVE/SUSPECT --dead--> DEAD or GONE --30 s, at a wrap--> reaped
 *                                        |  timer: dead by us                 (GONE: it said so itself)
 *                                        +---------------------> DEAD
 *
 * M1  nodes[n->at] == n for every node, and by_name finds it. self is always in the list.
 * M2  members_count is the number of nodes that are ALIVE or SUSPECT.
 * M3  A suspicion timer runs only while the state is SUSPECT, and every SUSPECT node has one.
 * M4  No record is stored, and so none is passed on, whose Vsn is not six bytes that agree with ours, whose address is
 *     not 4 or 16 bytes, or whose name or Meta is too long: what crashes or poisons others stops here (spec 22).
 * M5  At most GOSSIP_NODES_MAX nodes. A full list takes no strangers until something is reaped. */
#include "gossip/gossip_int.h"

#include "base/utf8.h"

#include <math.h>

struct node *node_find(const struct gossip *g, struct str name)
{
    return map_get(&g->by_name, name);
}

struct node *node_by_addr(const struct gossip *g, struct gossip_addr addr)
{
    for (size_t i = 0; i < g->nodes_count; i++)
        if (node_is_member(g->nodes[i]) && gossip_addr_eq(g->nodes[i]->addr, addr))
            return g->nodes[i];
    return NULL;
}

struct node_extra *node_extra(struct node *n)
{
    if (!n->extra)
        n->extra = MEM_NEW(struct node_extra);
    return n->extra;
}

static void swap_nodes(struct gossip *g, size_t a, size_t b)
{
    struct node *t = g->nodes[a];
    g->nodes[a] = g->nodes[b];
    g->nodes[b] = t;
    g->nodes[a]->at = (uint32_t)a;
    g->nodes[b]->at = (uint32_t)b;
}

void members_shuffle(struct gossip *g)
{
    for (size_t i = g->nodes_count; i > 1; i--)
        swap_nodes(g, i - 1, rng_below(&g->rng, i));
}

static bool is_tocsin(struct str meta)
{
    return meta.n >= GOSSIP_META_BYTES && memcmp(meta.p, GOSSIP_META, GOSSIP_META_BYTES - 1) == 0 && meta.p[2] != 0;
}

static void set_meta(struct gossip *g, struct node *n, struct str meta)
{
    ASSERT(meta.n <= GOSSIP_META_BYTES_MAX);
    const char *shared = g->config.meta.p;
    if (n->meta != shared)
        mem_free(n->meta);
    if (str_eq(meta, g->config.meta)) {
        union {
            const char *in;
            char *out;
        } same = { .in = shared }; /* never written through: set_meta and node_free compare it first */
        n->meta = same.out;
    } else {
        n->meta = meta.n != 0 ? mem_dup(meta.p, meta.n) : NULL;
    }
    n->meta_bytes = (uint16_t)meta.n;
    n->tocsin = is_tocsin(meta);
}

static struct node *node_add(struct gossip *g, struct str name)
{
    ASSERT(name.n > 0 && name.n <= GOSSIP_NAME_BYTES_MAX);
    struct node *n = mem_alloc(sizeof *n + name.n);
    memcpy(n->name, name.p, name.n);
    n->name_bytes = (uint8_t)name.n;
    n->state = GOSSIP_DEAD;
    n->changed = g->now;
    if (g->nodes_count == g->nodes_capacity) {
        g->nodes_capacity = mem_grow(g->nodes_capacity, g->nodes_count + 1);
        g->nodes = mem_realloc_array(g->nodes, g->nodes_capacity, sizeof(struct node *));
    }
    n->at = (uint32_t)g->nodes_count;
    g->nodes[g->nodes_count++] = n;
    swap_nodes(g, n->at, rng_below(&g->rng, g->nodes_count));
    void *before = map_put(&g->by_name, node_name(n), n);
    ASSERT(before == NULL);
    return n;
}

static void suspicion_drop(struct gossip *g, struct node *n)
{
    if (!n->extra || !n->extra->suspicion)
        return;
    timer_disarm(&g->timers, &n->extra->suspicion->timer.entry);
    mem_free(n->extra->suspicion);
    n->extra->suspicion = NULL;
}

static void node_free(struct gossip *g, struct node *n)
{
    suspicion_drop(g, n);
    outbox_drop(g, n);
    mem_free(n->extra);
    if (n->meta != g->config.meta.p)
        mem_free(n->meta);
    mem_free(n);
}

void members_deinit(struct gossip *g)
{
    for (size_t i = 0; i < g->nodes_count; i++)
        node_free(g, g->nodes[i]);
    mem_free(g->nodes);
    map_deinit(&g->by_name);
    g->nodes = NULL;
    g->nodes_count = 0;
    g->self = NULL;
}

/* ---- events and broadcasts ------------------------------------------------------------------------------------------ */

static void set_state(struct gossip *g, struct node *n, enum gossip_state state)
{
    bool was = node_is_member(n);
    n->state = (uint8_t)state;
    n->changed = g->now;
    bool is = node_is_member(n);
    if (is && !was)
        g->members_count++;
    if (was && !is)
        g->members_count--;
    gauge_set(&g->stats->members, (double)g->members_count);
}

static void emit(struct gossip *g, enum gossip_effect_kind kind, const struct node *n)
{
    struct gossip_effect *e = effect_add(g, kind);
    e->name = effect_bytes(g, node_name(n));
    e->bytes = effect_bytes(g, node_meta(n));
    e->addr = n->addr;
    e->tocsin = n->tocsin;
    e->dead = n->state == GOSSIP_DEAD && !n->ended;
    e->is_self = n == g->self;
}

static void broadcast(struct gossip *g, struct str about, struct buf *message, bool notify)
{
    struct queue_item *item = queue_put(&g->membership, about, STR_EMPTY, buf_view(message));
    item->notify = notify;
}

static void broadcast_alive(struct gossip *g, const struct node *n)
{
    struct msg_alive m = {
        .node = node_name(n),
        .addr = str_of((const char *)n->addr.ip, n->addr.ip_bytes),
        .port = n->addr.port,
        .meta = node_meta(n),
        .incarnation = n->incarnation,
        .vsn = str_of((const char *)n->vsn, VSN_BYTES),
    };
    buf_reset(&g->message);
    msg_alive_encode(&g->message, &m);
    broadcast(g, m.node, &g->message, false);
}

static void broadcast_accusation(struct gossip *g, enum message_type type, const struct msg_accuse *m, bool notify)
{
    buf_reset(&g->message);
    msg_accuse_encode(&g->message, type, m);
    broadcast(g, m->node, &g->message, notify);
}

void health_add(struct gossip *g, int delta)
{
    int h = (int)g->health + delta;
    g->health = (unsigned)(h < 0 ? 0 : h > HEALTH_MAX ? HEALTH_MAX : h);
    gauge_set(&g->stats->health_score, (double)g->health);
}

/* Spec 9.5. An accusation of 2^32-1 makes the answer wrap to 0, as upstream. */
static void refute(struct gossip *g, uint32_t accused)
{
    uint32_t inc = ++g->incarnation;
    if (accused >= inc)
        inc = g->incarnation = accused + 1;
    g->self->incarnation = inc;
    health_add(g, 1);
    broadcast_alive(g, g->self);
}

/* ---- alive (9.2) ------------------------------------------------------------------------------------------------------ */

static bool name_ok(struct str name)
{
    return name.n > 0 && name.n <= GOSSIP_NAME_BYTES_MAX && utf8_valid(name);
}

/* M4. Upstream takes any current version; one that our own list cannot agree with would make every push/pull fail. */
static bool vsn_ok(struct str vsn)
{
    if (vsn.n < VSN_BYTES)
        return false;
    const uint8_t *v = (const uint8_t *)vsn.p;
    for (size_t i = 0; i < VSN_BYTES; i += 3) {
        uint8_t min = v[i], max = v[i + 1], current = v[i + 2];
        if (min > max || current < min || current > max || vsn_own[i + 2] < min || vsn_own[i + 2] > max)
            return false;
        if (current < vsn_own[i] || current > vsn_own[i + 1])
            return false;
    }
    return v[1] != 0; /* min = max = 0: not a version */
}

/* Only names that are or become nodes get a series, so that forged names cannot make the metric grow. */
static void count_alive(struct gossip *g, struct str name)
{
    if (g->stats->alive_messages)
        counter_add(metric_vec_counter(g->stats->alive_messages, &name), 1);
}

static void alive_conflict(struct gossip *g, const struct node *n, struct gossip_addr theirs)
{
    char a[GOSSIP_ADDR_TEXT_MAX], b[GOSSIP_ADDR_TEXT_MAX];
    counter_add(&g->stats->name_conflicts, 1);
    effect_log(g, LOG_WARN, "Conflicting address for peer %.*s: ours %.*s, theirs %.*s", STR_ARG(node_name(n)),
               STR_ARG(gossip_addr_text(n->addr, a)), STR_ARG(gossip_addr_text(theirs, b)));
}

/* Everything that an alive about another node changes, once it is known to be newer. */
static void alive_store(struct gossip *g, struct node *n, const struct msg_alive *m, struct gossip_addr addr)
{
    enum gossip_state before = (enum gossip_state)n->state;
    bool known = n->incarnation != 0; /* a new node was put in with 0 */
    bool meta_changed = !str_eq(node_meta(n), m->meta);
    bool addr_changed = !gossip_addr_eq(n->addr, addr);
    memcpy(n->vsn, m->vsn.p, VSN_BYTES);
    n->incarnation = m->incarnation;
    n->addr = addr;
    n->ended = false;
    if (meta_changed || n->meta == NULL)
        set_meta(g, n, m->meta);
    if (before != GOSSIP_ALIVE)
        set_state(g, n, GOSSIP_ALIVE);
    broadcast_alive(g, n);
    if (before == GOSSIP_DEAD || before == GOSSIP_GONE)
        emit(g, GOSSIP_MEMBER_JOINED, n);
    else if (meta_changed || addr_changed)
        emit(g, GOSSIP_MEMBER_UPDATED, n);
    if (known && (before == GOSSIP_DEAD || before == GOSSIP_SUSPECT))
        exchange_heal(g, n);
}

void members_alive(struct gossip *g, const struct msg_alive *m)
{
    struct gossip_addr addr;
    struct node *n = name_ok(m->node) ? node_find(g, m->node) : NULL;
    bool is_self = n != NULL && n == g->self;
    if (is_self && g->leaving)
        return;
    if (!name_ok(m->node) || !vsn_ok(m->vsn) || m->meta.n > GOSSIP_META_BYTES_MAX ||
        !msg_addr(m->addr, m->port, g->config.advertise.port, &addr))
        return;
    if (!n) {
        if (m->incarnation == 0)
            return; /* upstream lists it as dead until it is reaped: nothing to keep */
        if (g->nodes_count >= GOSSIP_NODES_MAX) {
            counter_add(&g->stats->nodes_refused, 1); /* M5 */
            return;
        }
        n = node_add(g, m->node);
        n->addr = addr;
        memcpy(n->vsn, m->vsn.p, VSN_BYTES);
    }
    count_alive(g, m->node);
    bool moved = !gossip_addr_eq(n->addr, addr);
    if (moved && n->state != GOSSIP_GONE) {
        alive_conflict(g, n, addr);
        return;
    }
    if (is_self ? m->incarnation < n->incarnation : m->incarnation <= n->incarnation && !moved)
        return;
    suspicion_drop(g, n);
    if (is_self) {
        if (m->incarnation != n->incarnation || !str_eq(m->meta, node_meta(n)) ||
            memcmp(m->vsn.p, n->vsn, VSN_BYTES) != 0)
            refute(g, m->incarnation);
        return;
    }
    alive_store(g, n, m, addr);
}

void members_start(struct gossip *g)
{
    ASSERT(g->self == NULL);
    struct node *n = node_add(g, g->config.name);
    g->self = n;
    n->addr = g->config.advertise;
    n->incarnation = ++g->incarnation;
    memcpy(n->vsn, vsn_own, VSN_BYTES);
    set_meta(g, n, g->config.meta);
    count_alive(g, node_name(n));
    set_state(g, n, GOSSIP_ALIVE);
    broadcast_alive(g, n);
    emit(g, GOSSIP_MEMBER_JOINED, n);
}

/* ---- suspect (9.3) ----------------------------------------------------------------------------------------------------- */

int64_t suspicion_timeout_ms(size_t nodes, int64_t probe_interval_ms)
{
    double scale = log10(nodes < 1 ? 1.0 : (double)nodes);
    int64_t thousandths = (int64_t)((scale < 1.0 ? 1.0 : scale) * 1000.0);
    return SUSPICION_MULT * thousandths * probe_interval_ms / 1000;
}

int64_t suspicion_remaining_ms(unsigned n, unsigned k, int64_t elapsed_ms, int64_t min_ms, int64_t max_ms)
{
    ASSERT(k > 0);
    double part = log((double)n + 1.0) / log((double)k + 1.0);
    double seconds = (double)max_ms / 1000.0 - part * ((double)max_ms - (double)min_ms) / 1000.0;
    int64_t timeout = (int64_t)floor(1000.0 * seconds);
    return (timeout < min_ms ? min_ms : timeout) - elapsed_ms;
}

static void suspicion_fire(struct gossip *g, struct gtimer *t)
{
    struct suspicion *s = container_of(t, struct suspicion, timer);
    struct node *n = s->node;
    ASSERT(n->state == GOSSIP_SUSPECT); /* M3: whatever ends the suspicion drops the timer */
    effect_log(g, LOG_INFO, "Marking %.*s as failed, suspect timeout reached (%u peer confirmations)",
               STR_ARG(node_name(n)), s->n);
    struct msg_accuse dead = { .node = node_name(n), .from = g->config.name, .incarnation = n->incarnation };
    members_dead(g, &dead);
}

/* One more accuser; false if it is none of the first few, or not new. */
static bool suspicion_confirm(struct gossip *g, struct suspicion *s, struct str from)
{
    uint64_t who = str_hash(from, g->hash_seed);
    if (s->n >= s->k)
        return false;
    for (unsigned i = 0; i < s->from_count; i++)
        if (s->from[i] == who)
            return false;
    ASSERT(s->from_count < ARRAY_LEN(s->from));
    s->from[s->from_count++] = who;
    s->n++;
    int64_t left = suspicion_remaining_ms(s->n, s->k, g->now.ms - s->start.ms, s->min_ms, s->max_ms);
    gtimer_in(&g->timers, &s->timer, g->now, left);
    return true;
}

static void suspicion_start(struct gossip *g, struct node *n, struct str from)
{
    struct suspicion *s = MEM_NEW(struct suspicion);
    s->timer.fire = suspicion_fire;
    s->node = n;
    s->start = g->now;
    s->k = SUSPICION_MULT - 2;
    if (g->nodes_count < s->k + 2)
        s->k = 0;
    s->min_ms = suspicion_timeout_ms(g->nodes_count, g->config.probe_interval_ms);
    s->max_ms = SUSPICION_MAX_MULT * s->min_ms;
    s->from[s->from_count++] = str_hash(from, g->hash_seed);
    gtimer_in(&g->timers, &s->timer, g->now, s->k == 0 ? s->min_ms : s->max_ms);
    node_extra(n)->suspicion = s;
}

void members_suspect(struct gossip *g, const struct msg_accuse *m)
{
    struct node *n = node_find(g, m->node);
    if (!n || m->incarnation < n->incarnation || m->from.n > GOSSIP_NAME_BYTES_MAX)
        return;
    if (n->extra && n->extra->suspicion) {
        if (suspicion_confirm(g, n->extra->suspicion, m->from))
            broadcast_accusation(g, MSG_SUSPECT, m, false);
        return;
    }
    if (n->state != GOSSIP_ALIVE)
        return;
    if (n == g->self) {
        refute(g, m->incarnation);
        return;
    }
    broadcast_accusation(g, MSG_SUSPECT, m, false);
    n->incarnation = m->incarnation;
    set_state(g, n, GOSSIP_SUSPECT);
    suspicion_start(g, n, m->from);
}

/* ---- dead (9.4) --------------------------------------------------------------------------------------------------------- */

void members_dead(struct gossip *g, const struct msg_accuse *m)
{
    struct node *n = node_find(g, m->node);
    if (!n || m->incarnation < n->incarnation || m->from.n > GOSSIP_NAME_BYTES_MAX)
        return;
    struct msg_accuse copy = { .node = node_name(n), .from = m->from, .incarnation = m->incarnation };
    bool said_itself = str_eq(node_name(n), m->from);
    suspicion_drop(g, n); /* m->from may not point into it: it holds hashes */
    if (!node_is_member(n))
        return;
    if (n == g->self) {
        if (!g->leaving) {
            refute(g, m->incarnation);
            return;
        }
        broadcast_accusation(g, MSG_DEAD, &copy, true);
    } else {
        broadcast_accusation(g, MSG_DEAD, &copy, false);
    }
    n->incarnation = m->incarnation;
    set_state(g, n, said_itself ? GOSSIP_GONE : GOSSIP_DEAD);
    outbox_drop(g, n);
    emit(g, GOSSIP_MEMBER_LEFT, n);
}

void members_refused(struct gossip *g, struct gossip_addr addr)
{
    for (size_t i = 0; i < g->nodes_count; i++) {
        struct node *n = g->nodes[i];
        if (n == g->self || n->ended || !gossip_addr_eq(n->addr, addr))
            continue;
        n->ended = true;
        if (n->state == GOSSIP_DEAD)
            emit(g, GOSSIP_MEMBER_ENDED, n);
    }
}

/* ---- leaving (9.11) -------------------------------------------------------------------------------------------------------- */

void leave_done(struct gossip *g)
{
    if (g->left)
        return;
    g->left = true;
    timer_disarm(&g->timers, &g->leave_timer.entry);
    effect_add(g, GOSSIP_LEFT);
}

static void leave_timeout(struct gossip *g, struct gtimer *t)
{
    (void)t;
    leave_done(g);
}

void members_leave(struct gossip *g)
{
    if (g->leaving)
        return;
    g->leaving = true;
    g->leave_timer.fire = leave_timeout;
    gtimer_in(&g->timers, &g->leave_timer, g->now, LEAVE_MS);
    struct str name = node_name(g->self);
    struct msg_accuse dead = { .node = name, .from = name, .incarnation = g->self->incarnation };
    members_dead(g, &dead);
    if (g->members_count == 0)
        leave_done(g);
}

/* ---- push/pull (6, 9.8) -------------------------------------------------------------------------------------------------------- */

struct vsn_range {
    unsigned max_min, min_max; /* the highest minimum, the lowest maximum */
};

static void range_add(struct vsn_range r[2], const uint8_t *vsn)
{
    for (size_t i = 0; i < 2; i++) {
        if (vsn[3 * i] > r[i].max_min)
            r[i].max_min = vsn[3 * i];
        if (vsn[3 * i + 1] < r[i].min_max)
            r[i].min_max = vsn[3 * i + 1];
    }
}
static bool range_has(const struct vsn_range r[2], const uint8_t *vsn)
{
    for (size_t i = 0; i < 2; i++)
        if (vsn[3 * i + 2] < r[i].max_min || vsn[3 * i + 2] > r[i].min_max)
            return false;
    return true;
}

/* memberlist's verifyProtocol. Node records without Vsn count as version 0, and fail it. */
bool members_compatible(struct gossip *g, struct str nodes, const char **why)
{
    static const uint8_t none[VSN_BYTES] = { 0 };
    struct vsn_range r[2] = { { 0, 255 }, { 0, 255 } };
    struct msg_node m;
    size_t used;
    for (struct str rest = nodes; rest.n > 0; rest = str_from(rest, used)) {
        if (msg_node_decode(rest, &m, &used) != MSG_OK || (m.vsn.n != 0 && m.vsn.n < VSN_BYTES)) {
            *why = "node record without a whole protocol version";
            return false;
        }
        if (m.state == GOSSIP_ALIVE && m.vsn.n != 0)
            range_add(r, (const uint8_t *)m.vsn.p);
    }
    for (size_t i = 0; i < g->nodes_count; i++)
        if (g->nodes[i]->state == GOSSIP_ALIVE)
            range_add(r, g->nodes[i]->vsn);
    *why = "protocol versions have no common range";
    for (struct str rest = nodes; rest.n > 0; rest = str_from(rest, used)) {
        if (msg_node_decode(rest, &m, &used) != MSG_OK)
            return false;
        if (!range_has(r, m.vsn.n != 0 ? (const uint8_t *)m.vsn.p : none))
            return false;
    }
    for (size_t i = 0; i < g->nodes_count; i++)
        if (!range_has(r, g->nodes[i]->vsn))
            return false;
    return true;
}

void members_merge(struct gossip *g, struct str nodes)
{
    struct msg_node m;
    size_t used;
    for (struct str rest = nodes; rest.n > 0; rest = str_from(rest, used)) {
        if (msg_node_decode(rest, &m, &used) != MSG_OK)
            return;
        if (m.state == GOSSIP_ALIVE) {
            struct msg_alive alive = { .node = m.name, .addr = m.addr, .meta = m.meta, .vsn = m.vsn,
                                       .incarnation = m.incarnation, .port = m.port };
            members_alive(g, &alive);
        } else if (m.state == GOSSIP_GONE) {
            struct msg_accuse left = { .node = m.name, .from = m.name, .incarnation = m.incarnation };
            members_dead(g, &left);
        } else if (m.state == GOSSIP_DEAD || m.state == GOSSIP_SUSPECT) {
            struct msg_accuse suspect = { .node = m.name, .from = g->config.name, .incarnation = m.incarnation };
            members_suspect(g, &suspect);
        }
    }
}

void members_encode(struct gossip *g, struct buf *out)
{
    for (size_t i = 0; i < g->nodes_count; i++) {
        const struct node *n = g->nodes[i];
        struct msg_node m = {
            .name = node_name(n),
            .addr = str_of((const char *)n->addr.ip, n->addr.ip_bytes),
            .port = n->addr.port,
            .meta = node_meta(n),
            .incarnation = n->incarnation,
            .state = n->state,
            .vsn = str_of((const char *)n->vsn, VSN_BYTES),
        };
        msg_node_encode(out, &m);
    }
}

/* ---- reaping and choosing (9.6, 9.9) --------------------------------------------------------------------------------------------- */

void members_reap(struct gossip *g)
{
    for (size_t i = g->nodes_count; i-- > 0;) {
        struct node *n = g->nodes[i];
        if (node_is_member(n) || n == g->self || g->now.ms - n->changed.ms <= GOSSIP_TO_DEAD_MS)
            continue;
        swap_nodes(g, i, g->nodes_count - 1);
        g->nodes_count--;
        map_remove(&g->by_name, node_name(n));
        exchange_forget_node(g, n);
        if (g->stats->alive_messages) {
            struct str name = node_name(n);
            metric_vec_remove(g->stats->alive_messages, &name);
            metric_vec_remove(g->stats->pings_seconds, &name);
        }
        node_free(g, n);
    }
}

size_t members_pick(struct gossip *g, size_t k, bool (*accept)(const struct gossip *g, const struct node *n, const void *arg),
                    const void *arg, struct node **picked)
{
    size_t n = g->nodes_count, count = 0;
    if (n < 3 * k) {
        uint32_t order[3 * GOSSIP_DIRECT_MEMBERS];
        ASSERT(k <= GOSSIP_DIRECT_MEMBERS);
        for (size_t i = 0; i < n; i++)
            order[i] = (uint32_t)i;
        for (size_t i = 0; i < n && count < k; i++) {
            size_t j = i + rng_below(&g->rng, n - i);
            uint32_t t = order[i];
            order[i] = order[j];
            order[j] = t;
            if (accept(g, g->nodes[order[i]], arg))
                picked[count++] = g->nodes[order[i]];
        }
        return count;
    }
    for (size_t tries = 0; tries < 3 * n && count < k; tries++) {
        struct node *c = g->nodes[rng_below(&g->rng, n)];
        bool again = false;
        for (size_t i = 0; i < count; i++)
            again |= picked[i] == c;
        if (!again && accept(g, c, arg))
            picked[count++] = c;
    }
    return count;
}

uint32_t transmit_limit(unsigned mult, size_t nodes)
{
    return mult * (uint32_t)ceil(log10((double)nodes + 1.0));
}
