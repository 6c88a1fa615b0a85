/* Alertmanager's peer layer (spec 12; alertmanager cluster/cluster.go).
 *
 *   RESOLVING --all names answered, or resolve timeout--> JOINING --all first joins answered--> RUNNING --stop--> STOPPED
 *       | a name stayed empty: fatal                                  reconnect, refresh, settle run here
 *
 * L1  members is sorted by name, without duplicates; position is the own name's index in it, or 0 while it is not there.
 * L2  failed holds each address at most once, and none at which a member lives.
 * L3  Every join that was asked for is in joins until its answer comes; at most JOINS_MAX are, further ones wait for the
 *     next round of their task.
 * L4  ghosts holds no name that a member has; at most GHOSTS_MAX, further ones are forgotten at once.
 * L5  At most FAILED_MAX failed peers are kept; the one that failed first goes. A node list full of forged names must
 *     not become a list of addresses that we dial for six hours. */
#include "gossip/peer.h"

#include "base/mem.h"
#include "base/num.h"
#include "gossip/gossip_int.h"
#include "http/ip.h"

#include <stdio.h>

#define RESOLVE_RETRY_MS  2000
#define FORGET_EVERY_MS   (5 * 60 * 1000)
#define SETTLE_OKAY       3
#define SETTLE_INTERVALS  10 /* of gossip, between two polls */
#define JOINS_MAX         256
#define FAILED_MAX        1024
#define GHOSTS_MAX        64
#define RECONNECTS_MAX    128 /* in one round */

enum phase { PEER_NEW, PEER_RESOLVING, PEER_JOINING, PEER_RUNNING, PEER_STOPPED };
enum join_kind { JOIN_FIRST, JOIN_RECONNECT, JOIN_REFRESH };

struct target { /* one --cluster.peer */
    struct str text, host;
    uint16_t port;
    uint64_t tag;  /* of the look-up in progress; 0: none */
    bool answered; /* at start-up */
    bool empty;    /* answered with no address: asked again */
    bool as_text;  /* could not be looked up */
    struct gossip_addr *addrs;
    size_t addrs_count;
};

struct join {
    uint64_t tag;
    enum join_kind kind;
    struct gossip_addr addr; /* ip_bytes 0: by name */
};

struct member {
    struct str name;
    struct gossip_addr addr;
    char address[GOSSIP_ADDR_TEXT_MAX];
};

struct ghost { /* a member that failed: keeps its turn for a while */
    struct member *member;
    mono_ms until;
};

struct failed_peer {
    struct gossip_addr addr;
    mono_ms since;
};

struct peer {
    struct peer_config config;
    struct peer_stats *stats;
    struct str name;
    enum phase phase;
    struct target *targets;
    size_t targets_count;
    uint64_t next_tag;
    struct join joins[JOINS_MAX];
    size_t joins_count;

    struct member **members;
    size_t members_count, members_capacity, position;
    struct ghost ghosts[GHOSTS_MAX];
    size_t ghosts_count;
    struct failed_peer *failed;
    size_t failed_count, failed_capacity, reconnect_at;

    mono_ms now, started_at, settle_start;
    mono_ms retry_at, reconnect_next, forget_next, refresh_next, settle_next, settle_end;
    size_t settle_peers;
    unsigned settle_okay;
    bool ready;

    struct peer_member *view;
    struct str *turns;
    size_t view_capacity, turns_capacity;
    struct peer_out *out;
};

struct peer_config peer_config_default(void)
{
    return (struct peer_config){
        .resolve_timeout_ms = 15000,
        .gossip_interval_ms = 200,
        .settle_timeout_ms = 60000,
        .reconnect_interval_ms = 10000,
        .reconnect_timeout_ms = 6 * 3600 * 1000,
        .refresh_interval_ms = 15000,
    };
}

/* ---- effects ------------------------------------------------------------------------------------------------------- */

void peer_out_reset(struct peer_out *out)
{
    out->count = 0;
    buf_reset(&out->bytes);
}

void peer_out_deinit(struct peer_out *out)
{
    mem_free(out->effects);
    buf_deinit(&out->bytes);
    *out = (struct peer_out){ 0 };
}

static struct peer_effect *add(struct peer *p, enum peer_effect_kind kind)
{
    struct peer_out *out = p->out;
    if (out->count == out->capacity) {
        out->capacity = mem_grow(out->capacity, out->count + 1);
        out->effects = mem_realloc_array(out->effects, out->capacity, sizeof *out->effects);
    }
    struct peer_effect *e = &out->effects[out->count++];
    *e = (struct peer_effect){ .kind = kind, .host = STR_EMPTY, .bytes = STR_EMPTY };
    return e;
}

static void say(struct peer *p, enum peer_effect_kind kind, enum log_level level, const char *fmt, ...) PRINTF_LIKE(4, 5);
static void say(struct peer *p, enum peer_effect_kind kind, enum log_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    size_t at = p->out->bytes.n;
    buf_vprintf(&p->out->bytes, fmt, ap);
    va_end(ap);
    struct peer_effect *e = add(p, kind);
    e->level = level;
    e->bytes = (struct str){ (const char *)(uintptr_t)at, p->out->bytes.n - at }; /* an offset until the step ends */
}

/* Texts of log effects are offsets while the buffer may still move. */
static void out_fix(struct peer_out *out, size_t from)
{
    for (size_t i = from; i < out->count; i++) {
        struct str *s = &out->effects[i].bytes;
        if (out->effects[i].kind == PEER_LOG || out->effects[i].kind == PEER_FATAL)
            s->p = s->n ? out->bytes.p + (uintptr_t)s->p : "";
    }
}
static void out_unfix(struct peer_out *out)
{
    for (size_t i = 0; i < out->count; i++) {
        struct str *s = &out->effects[i].bytes;
        if (out->effects[i].kind == PEER_LOG || out->effects[i].kind == PEER_FATAL)
            s->p = s->n ? (const char *)(uintptr_t)(s->p - out->bytes.p) : NULL;
    }
}

/* ---- life cycle ------------------------------------------------------------------------------------------------------ */

static struct str copy(struct str s)
{
    return s.n ? str_of(mem_dup(s.p, s.n), s.n) : STR_EMPTY;
}
static void copy_free(struct str s)
{
    union {
        const char *in;
        char *out;
    } u = { .in = s.p };
    if (s.n)
        mem_free(u.out);
}

int64_t peer_linger_ms(int64_t peer_timeout_ms, int64_t probe_interval_ms)
{
    int64_t left_ms = peer_timeout_ms - suspicion_timeout_ms(1, probe_interval_ms);
    return left_ms > 0 ? left_ms : 0;
}

struct peer *peer_new(const struct peer_config *config, struct peer_stats *stats, struct err *err)
{
    struct peer *p = MEM_NEW(struct peer);
    p->config = *config;
    p->config.peers = NULL;
    p->stats = stats;
    p->name = copy(config->name);
    p->targets = mem_alloc_array(config->peers_count, sizeof *p->targets);
    for (size_t i = 0; i < config->peers_count; i++) {
        struct target *t = &p->targets[p->targets_count];
        const char *why;
        struct str port;
        uint64_t n;
        t->text = copy(config->peers[i]);
        p->targets_count++;
        if (!host_port_split(t->text, &t->host, &port, &why)) {
            err_set(err, ERR_INVALID, "split host/port for peer %.*s: address %.*s: %s", STR_ARG(t->text),
                    STR_ARG(t->text), why);
            peer_free(p);
            return NULL;
        }
        if (!num_parse_u64(port, 10, &n) || n == 0 || n > 65535) {
            err_set(err, ERR_INVALID, "peer %.*s: invalid port \"%.*s\"", STR_ARG(t->text), STR_ARG(port));
            peer_free(p);
            return NULL;
        }
        t->port = (uint16_t)n;
    }
    p->retry_at = p->reconnect_next = p->forget_next = p->refresh_next = p->settle_next = p->settle_end = MONO_NEVER;
    return p;
}

void peer_free(struct peer *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->targets_count; i++) {
        copy_free(p->targets[i].text);
        mem_free(p->targets[i].addrs);
    }
    for (size_t i = 0; i < p->members_count; i++)
        mem_free(p->members[i]);
    for (size_t i = 0; i < p->ghosts_count; i++)
        mem_free(p->ghosts[i].member);
    copy_free(p->name);
    mem_free(p->targets);
    mem_free(p->members);
    mem_free(p->failed);
    mem_free(p->view);
    mem_free(p->turns);
    mem_free(p);
}

/* ---- members and failed peers ------------------------------------------------------------------------------------------ */

static size_t member_place(const struct peer *p, struct str name, bool *there)
{
    size_t lo = 0, hi = p->members_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = str_cmp(p->members[mid]->name, name);
        if (order == 0) {
            *there = true;
            return mid;
        }
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *there = false;
    return lo;
}

static bool lives_at(const struct peer *p, struct gossip_addr addr)
{
    for (size_t i = 0; i < p->members_count; i++)
        if (gossip_addr_eq(p->members[i]->addr, addr))
            return true;
    return false;
}

static void failed_remove_at(struct peer *p, size_t i)
{
    memmove(p->failed + i, p->failed + i + 1, (p->failed_count - i - 1) * sizeof *p->failed);
    p->failed_count--;
    gauge_set(&p->stats->failed_peers, (double)p->failed_count);
}

static void failed_remove(struct peer *p, struct gossip_addr addr)
{
    for (size_t i = 0; i < p->failed_count; i++)
        if (gossip_addr_eq(p->failed[i].addr, addr)) {
            failed_remove_at(p, i);
            return;
        }
}

static void failed_add(struct peer *p, struct gossip_addr addr)
{
    if (gossip_addr_eq(addr, p->config.advertise) || lives_at(p, addr))
        return; /* L2 */
    failed_remove(p, addr);
    if (p->failed_count == FAILED_MAX)
        failed_remove_at(p, 0); /* L5 */
    if (p->failed_count == p->failed_capacity) {
        p->failed_capacity = mem_grow(p->failed_capacity, p->failed_count + 1);
        p->failed = mem_realloc_array(p->failed, p->failed_capacity, sizeof *p->failed);
    }
    p->failed[p->failed_count++] = (struct failed_peer){ addr, p->now };
    gauge_set(&p->stats->failed_peers, (double)p->failed_count);
}

static void changed(struct peer *p)
{
    bool there;
    size_t at = member_place(p, p->name, &there);
    p->position = there ? at : 0; /* L1 */
    gauge_set(&p->stats->position, (double)p->position);
    add(p, PEER_CHANGED);
}

static void ghost_remove_at(struct peer *p, size_t i)
{
    mem_free(p->ghosts[i].member);
    p->ghosts[i] = p->ghosts[--p->ghosts_count];
}

static void ghosts_expire(struct peer *p)
{
    size_t before = p->ghosts_count;
    for (size_t i = p->ghosts_count; i-- > 0;)
        if (!mono_before(p->now, p->ghosts[i].until))
            ghost_remove_at(p, i);
    if (p->ghosts_count < before)
        changed(p);
}

static bool ghost_forget(struct peer *p, struct str name)
{
    for (size_t i = p->ghosts_count; i-- > 0;) {
        if (str_eq(p->ghosts[i].member->name, name)) {
            ghost_remove_at(p, i);
            return true;
        }
    }
    return false;
}

static void member_joined(struct peer *p, struct str name, struct gossip_addr addr)
{
    bool there;
    size_t at = member_place(p, name, &there);
    if (!there) {
        struct member *m = mem_alloc(sizeof *m + name.n);
        memcpy(m + 1, name.p, name.n);
        m->name = str_of((const char *)(m + 1), name.n);
        if (p->members_count == p->members_capacity) {
            p->members_capacity = mem_grow(p->members_capacity, p->members_count + 1);
            p->members = mem_realloc_array(p->members, p->members_capacity, sizeof(struct member *));
        }
        memmove(p->members + at + 1, p->members + at, (p->members_count - at) * sizeof(struct member *));
        p->members[at] = m;
        p->members_count++;
    }
    (void)ghost_forget(p, name); /* L4 */
    p->members[at]->addr = addr;
    (void)gossip_addr_text(addr, p->members[at]->address);
    failed_remove(p, addr);
    changed(p);
}

static void member_left(struct peer *p, struct str name, bool dead)
{
    bool there;
    size_t at = member_place(p, name, &there);
    if (!there)
        return;
    struct gossip_addr addr = p->members[at]->addr;
    if (dead && p->config.linger_ms > 0 && p->ghosts_count < GHOSTS_MAX)
        p->ghosts[p->ghosts_count++] = (struct ghost){ p->members[at], mono_add(p->now, p->config.linger_ms) };
    else
        mem_free(p->members[at]);
    memmove(p->members + at, p->members + at + 1, (p->members_count - at - 1) * sizeof(struct member *));
    p->members_count--;
    failed_add(p, addr);
    changed(p);
}

/* ---- joins -------------------------------------------------------------------------------------------------------------- */

static bool joining(const struct peer *p, struct gossip_addr addr)
{
    for (size_t i = 0; i < p->joins_count; i++)
        if (p->joins[i].addr.ip_bytes != 0 && gossip_addr_eq(p->joins[i].addr, addr))
            return true;
    return false;
}

static struct peer_effect *join_begin(struct peer *p, enum peer_effect_kind effect, enum join_kind kind, struct gossip_addr addr)
{
    if (p->joins_count == JOINS_MAX)
        return NULL; /* L3 */
    p->joins[p->joins_count++] = (struct join){ .tag = ++p->next_tag, .kind = kind, .addr = addr };
    struct peer_effect *e = add(p, effect);
    e->tag = p->next_tag;
    e->addr = addr;
    return e;
}

static void join_addr(struct peer *p, enum join_kind kind, struct gossip_addr addr)
{
    if (!joining(p, addr))
        (void)join_begin(p, PEER_JOIN, kind, addr);
}

static void join_name(struct peer *p, enum join_kind kind, const struct target *t)
{
    struct peer_effect *e = join_begin(p, PEER_JOIN_NAME, kind, (struct gossip_addr){ 0 });
    if (e) {
        e->host = t->host;
        e->port = t->port;
    }
}

static void run(struct peer *p)
{
    p->phase = PEER_RUNNING;
    if (p->config.reconnect_interval_ms > 0)
        p->reconnect_next = mono_add(p->now, p->config.reconnect_interval_ms);
    if (p->config.reconnect_timeout_ms > 0)
        p->forget_next = mono_add(p->now, FORGET_EVERY_MS);
    if (p->config.refresh_interval_ms > 0)
        p->refresh_next = mono_add(p->now, p->config.refresh_interval_ms);
    p->settle_start = p->now;
    p->settle_next = mono_add(p->now, SETTLE_INTERVALS * p->config.gossip_interval_ms);
    p->settle_end = mono_add(p->now, p->config.settle_timeout_ms);
    add(p, PEER_STARTED);
    say(p, PEER_LOG, LOG_INFO, "Waiting for gossip to settle...");
}

static void join_result(struct peer *p, uint64_t tag, bool ok, struct str why)
{
    size_t i = 0;
    while (i < p->joins_count && p->joins[i].tag != tag)
        i++;
    if (i == p->joins_count)
        return;
    struct join j = p->joins[i];
    p->joins[i] = p->joins[--p->joins_count];
    char text[GOSSIP_ADDR_TEXT_MAX] = "";
    if (j.addr.ip_bytes != 0)
        (void)gossip_addr_text(j.addr, text);
    switch (j.kind) {
    case JOIN_FIRST:
        if (!ok)
            say(p, PEER_LOG, LOG_WARN, "failed to join cluster %s: %.*s", text, STR_ARG(why));
        if (p->phase == PEER_JOINING && p->joins_count == 0)
            run(p);
        break;
    case JOIN_RECONNECT:
        counter_add(ok ? &p->stats->reconnections : &p->stats->reconnections_failed, 1);
        say(p, PEER_LOG, LOG_DEBUG, "reconnect %s to %s %.*s", ok ? "success" : "failure", text, STR_ARG(why));
        break;
    case JOIN_REFRESH:
        counter_add(ok ? &p->stats->refresh_join : &p->stats->refresh_join_failed, 1);
        say(p, PEER_LOG, ok ? LOG_DEBUG : LOG_WARN, "refresh %s for %s %.*s", ok ? "success" : "failure", text, STR_ARG(why));
        break;
    }
}

/* ---- resolution ------------------------------------------------------------------------------------------------------------ */

static void resolve(struct peer *p, struct target *t)
{
    t->tag = ++p->next_tag;
    struct peer_effect *e = add(p, PEER_RESOLVE);
    e->tag = t->tag;
    e->host = t->host;
    e->port = t->port;
}

/* Everything that start-up waits for has come, or will not come. */
static void first_joins(struct peer *p)
{
    p->phase = PEER_JOINING;
    p->retry_at = MONO_NEVER;
    for (size_t i = 0; i < p->targets_count; i++) {
        struct target *t = &p->targets[i];
        for (size_t k = 0; k < t->addrs_count; k++)
            failed_add(p, t->addrs[k]);
    }
    for (size_t i = 0; i < p->targets_count; i++) {
        struct target *t = &p->targets[i];
        if (t->as_text)
            join_name(p, JOIN_FIRST, t);
        for (size_t k = 0; k < t->addrs_count; k++)
            join_addr(p, JOIN_FIRST, t->addrs[k]);
    }
    if (p->joins_count == 0)
        run(p);
}

static void resolve_timeout(struct peer *p)
{
    for (size_t i = 0; i < p->targets_count; i++) {
        struct target *t = &p->targets[i];
        if (t->answered)
            continue;
        if (t->empty) {
            p->phase = PEER_STOPPED;
            p->retry_at = MONO_NEVER;
            say(p, PEER_FATAL, LOG_ERROR, "unable to initialize gossip mesh: no address for peer %.*s", STR_ARG(t->text));
            return;
        }
        t->as_text = t->answered = true;
        t->tag = 0;
    }
    first_joins(p);
}

static void resolved_at_start(struct peer *p, struct target *t, const struct peer_event *ev)
{
    size_t count = ev->addrs_count < PEER_ADDRS_MAX ? ev->addrs_count : PEER_ADDRS_MAX;
    if (!ev->ok) {
        t->as_text = t->answered = true;
    } else {
        t->addrs = mem_alloc_array(count, sizeof *t->addrs);
        for (size_t i = 0; i < count; i++) {
            struct gossip_addr a = ev->addrs[i];
            a.port = t->port;
            if (t->empty && gossip_addr_eq(a, p->config.advertise))
                continue; /* as upstream: only where it had to wait */
            t->addrs[t->addrs_count++] = a;
        }
        t->answered = t->addrs_count > 0;
        t->empty = !t->answered;
        if (t->empty) {
            mem_free(t->addrs);
            t->addrs = NULL;
        }
    }
    bool all = true;
    for (size_t i = 0; i < p->targets_count; i++)
        all = all && p->targets[i].answered;
    if (all)
        first_joins(p);
    else if (t->empty)
        p->retry_at = mono_min(p->retry_at, mono_add(p->now, RESOLVE_RETRY_MS));
}

static void resolved(struct peer *p, const struct peer_event *ev)
{
    struct target *t = NULL;
    for (size_t i = 0; i < p->targets_count; i++)
        if (p->targets[i].tag == ev->tag && ev->tag != 0)
            t = &p->targets[i];
    if (!t)
        return;
    t->tag = 0;
    if (p->phase == PEER_RESOLVING) {
        resolved_at_start(p, t, ev);
        return;
    }
    if (p->phase != PEER_RUNNING)
        return;
    if (!ev->ok) {
        join_name(p, JOIN_REFRESH, t);
        return;
    }
    for (size_t i = 0; i < ev->addrs_count && i < PEER_ADDRS_MAX; i++) {
        struct gossip_addr a = ev->addrs[i];
        a.port = t->port;
        if (!lives_at(p, a))
            join_addr(p, JOIN_REFRESH, a);
    }
}

/* ---- tasks --------------------------------------------------------------------------------------------------------------------- */

static bool due(struct peer *p, mono_ms *next, int64_t interval_ms)
{
    if (mono_before(p->now, *next))
        return false;
    *next = interval_ms > 0 ? mono_add(p->now, interval_ms) : MONO_NEVER;
    return true;
}

static void reconnect(struct peer *p)
{
    size_t n = p->failed_count < RECONNECTS_MAX ? p->failed_count : RECONNECTS_MAX;
    for (size_t i = 0; i < n; i++)
        join_addr(p, JOIN_RECONNECT, p->failed[p->reconnect_at++ % p->failed_count].addr);
}

static void forget(struct peer *p)
{
    for (size_t i = p->failed_count; i-- > 0;)
        if (p->now.ms - p->failed[i].since.ms >= p->config.reconnect_timeout_ms) {
            char text[GOSSIP_ADDR_TEXT_MAX];
            say(p, PEER_LOG, LOG_DEBUG, "failed peer has timed out: %.*s", STR_ARG(gossip_addr_text(p->failed[i].addr, text)));
            failed_remove_at(p, i);
        }
}

static void be_ready(struct peer *p, const char *how)
{
    p->ready = true;
    p->settle_next = p->settle_end = MONO_NEVER;
    say(p, PEER_LOG, LOG_INFO, "%s elapsed=%.3fs", how, (double)(p->now.ms - p->settle_start.ms) / 1000.0);
    add(p, PEER_READY);
}

static void settle(struct peer *p)
{
    if (!mono_before(p->now, p->settle_end)) {
        be_ready(p, "gossip not settled but continuing anyway");
        return;
    }
    if (!due(p, &p->settle_next, SETTLE_INTERVALS * p->config.gossip_interval_ms))
        return;
    if (p->settle_okay >= SETTLE_OKAY) {
        be_ready(p, "gossip settled; proceeding");
        return;
    }
    p->settle_okay = p->members_count == p->settle_peers ? p->settle_okay + 1 : 0;
    p->settle_peers = p->members_count;
}

static void run_tasks(struct peer *p)
{
    if (p->phase == PEER_RESOLVING) {
        if (p->now.ms - p->started_at.ms >= p->config.resolve_timeout_ms) {
            resolve_timeout(p);
        } else if (due(p, &p->retry_at, 0)) {
            for (size_t i = 0; i < p->targets_count; i++)
                if (p->targets[i].empty && p->targets[i].tag == 0)
                    resolve(p, &p->targets[i]);
        }
    }
    if (p->phase != PEER_RUNNING)
        return;
    if (due(p, &p->reconnect_next, p->config.reconnect_interval_ms))
        reconnect(p);
    if (due(p, &p->forget_next, FORGET_EVERY_MS))
        forget(p);
    if (due(p, &p->refresh_next, p->config.refresh_interval_ms))
        for (size_t i = 0; i < p->targets_count; i++)
            if (p->targets[i].tag == 0)
                resolve(p, &p->targets[i]);
    if (!p->ready)
        settle(p);
}

static void start(struct peer *p)
{
    if (p->phase != PEER_NEW)
        return;
    p->phase = PEER_RESOLVING;
    p->started_at = p->now;
    for (size_t i = 0; i < p->targets_count; i++)
        resolve(p, &p->targets[i]);
    if (p->targets_count == 0)
        first_joins(p);
}

void peer_step(struct peer *p, mono_ms now, const struct peer_event *ev, struct peer_out *out)
{
    ASSERT(!mono_before(now, p->now));
    p->now = now;
    p->out = out;
    out_unfix(out);
    switch (ev->kind) {
    case PEER_START:
        start(p);
        break;
    case PEER_TIMER:
        break;
    case PEER_RESOLVED:
        resolved(p, ev);
        break;
    case PEER_JOIN_RESULT:
        join_result(p, ev->tag, ev->ok, ev->bytes);
        break;
    case PEER_MEMBER_JOINED:
        counter_add(&p->stats->joined, 1);
        member_joined(p, ev->name, ev->addr);
        break;
    case PEER_MEMBER_LEFT:
        counter_add(&p->stats->left, 1);
        member_left(p, ev->name, ev->dead);
        break;
    case PEER_MEMBER_ENDED:
        if (ghost_forget(p, ev->name))
            changed(p);
        break;
    case PEER_MEMBER_UPDATED:
        counter_add(&p->stats->updated, 1);
        member_joined(p, ev->name, ev->addr);
        break;
    case PEER_STOP:
        p->phase = PEER_STOPPED;
        p->retry_at = p->reconnect_next = p->forget_next = p->refresh_next = MONO_NEVER;
        p->settle_next = p->settle_end = MONO_NEVER;
        break;
    }
    ghosts_expire(p);
    run_tasks(p);
    out_fix(out, 0);
    p->out = NULL;
}

mono_ms peer_deadline(const struct peer *p)
{
    mono_ms next = MONO_NEVER;
    for (size_t i = 0; i < p->ghosts_count; i++)
        next = mono_min(next, p->ghosts[i].until);
    if (p->phase == PEER_RESOLVING)
        next = mono_min(next, mono_min(p->retry_at, mono_add(p->started_at, p->config.resolve_timeout_ms)));
    if (p->phase != PEER_RUNNING)
        return next;
    next = mono_min(next, mono_min(mono_min(p->reconnect_next, p->forget_next), p->refresh_next));
    return p->ready ? next : mono_min(next, mono_min(p->settle_next, p->settle_end));
}

/* Members and ghosts by name; returns the own one's index. */
static size_t fill_turns(struct peer *p)
{
    size_t n = p->members_count;
    if (p->turns_capacity < n + p->ghosts_count) {
        p->turns_capacity = mem_grow(p->turns_capacity, n + p->ghosts_count);
        p->turns = mem_realloc_array(p->turns, p->turns_capacity, sizeof *p->turns);
    }
    for (size_t i = 0; i < n; i++)
        p->turns[i] = p->members[i]->name;
    size_t own = p->position;
    for (size_t k = 0; k < p->ghosts_count; k++) {
        struct str name = p->ghosts[k].member->name;
        size_t at = n++;
        for (; at > 0 && str_cmp(name, p->turns[at - 1]) < 0; at--)
            p->turns[at] = p->turns[at - 1];
        p->turns[at] = name;
        own += str_cmp(name, p->name) < 0;
    }
    return own;
}

void peer_view_get(struct peer *p, struct peer_view *view)
{
    if (p->view_capacity < p->members_count) {
        p->view_capacity = mem_grow(p->view_capacity, p->members_count);
        p->view = mem_realloc_array(p->view, p->view_capacity, sizeof *p->view);
    }
    for (size_t i = 0; i < p->members_count; i++)
        p->view[i] = (struct peer_member){ p->members[i]->name, str_c(p->members[i]->address) };
    *view = (struct peer_view){
        .name = p->name,
        .ready = p->ready,
        .position = p->position,
        .members = p->view,
        .members_count = p->members_count,
        .turn = fill_turns(p),
        .turns_count = p->members_count + p->ghosts_count,
        .failed_count = p->failed_count,
    };
    view->turns = p->turns;
}
