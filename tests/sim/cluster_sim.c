/* Five replicas under a seed: the real stores, dispatchers and claims (lib/alert_world.h) on the real mesh (lib/mesh_world.h).
 * Senders tell every replica; silences are made at any of them; one receiver hears all.
 *
 *     cluster_sim [--seeds N] [--seed S] [--jobs J]
 *
 * Three kinds of seeds. A mild one has loss, delay, doubled and reordered packets, skewed clocks, pauses and runs of total loss
 * shorter than the peer timeout, several of these at once. A broken one has all that and a receiver that fails, for all
 * replicas or for one. A wild one has partitions in one direction or both, long pauses, crashes, departures, restarts with the
 * old state, under the old name or a new one, and members of upstream's kind. One replica, any of them, stays alive. At the
 * end everything heals, who is down comes back, and new groups fire. Held against each:
 *   members    who is up agrees on who is up
 *   silence    every acknowledged silence is at every replica
 *   unsaid     what fires and is not muted is said within its bound, also while the cluster is in trouble
 *   twice      the receiver accepts nothing that says only what it has accepted before: in mild and broken seeds all along, in wild ones
 *              of the groups that fire after the end of the trouble
 *   muted      what a silence covers everywhere is not said
 *
 * A schedule is its seed: prints seed=0x… and on failure how to replay it. */
#include "base/bytes.h"
#include "base/mem.h"
#include "base/num.h"
#include "crypto/aead.h"
#include "lib/alert_world.h"
#include "lib/mesh_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    NODES = 5,
    SENDERS = 14,
    FINAL = 3, /* senders that fire only at the end; and one more, silenced */
    SILENCES_MAX = 24,
    ACCEPTED_MAX = 512,
    GROUPS_MAX = 32,
    PEER_TIMEOUT_MS = 15000,
    CLAIM_MS = CLAIM_BOUND_MS,
    RESEND_MS = 15000,
    LIFE_MS = 240000,
    TURN_LEAD_MS = 3000, /* as the alert thread does */
    TURN_EVERY_MS = 2000,
    SETTLE_MAX_MS = 400000,
    SKEW_MS = 5000,
    MILD_PAUSE_MS = 6000,
};

struct replica_node {
    struct alert_world a;
    struct replica states[2];
    int64_t skew_ms, paused_until, turn_told;
    bool alive, ready;
    size_t turns_count;
    unsigned generation;
    struct buf timers;
    struct buf said; /* records and claims that go out when the step is over: to, zero, key, zero, le32 length, bytes */
    bool due[SENDERS + FINAL + 1]; /* told while it was paused */
};
struct sender {
    char labels[96];
    struct labels set;
    uint64_t hash;
    int team;
    bool firing;
    int64_t since_ms, sent_ms;
};
struct accepted { /* by the receiver, at a time to come */
    int64_t at_ms;
    size_t node, sent;
};
struct group { /* what the receiver knows of it */
    struct str key;
    size_t node, sent; /* the last thing accepted, as that replica's attempt */
    bool any, unknown; /* unknown: its sender may not have heard of the last acceptance */
    unsigned count;
};
enum kind { MILD, BROKEN, WILD };
struct sim {
    struct world *world;
    struct rng rng;
    uint64_t seed;
    enum kind kind;
    bool mild; /* not wild */
    size_t survivor;
    struct replica_node nodes[NODES];
    struct sender senders[SENDERS + FINAL + 1];
    struct accepted accepted[ACCEPTED_MAX];
    size_t accepted_count;
    struct group groups[GROUPS_MAX];
    size_t groups_count;
    char silences[SILENCES_MAX][SILENCE_ID_TEXT];
    size_t silences_count;
    bool silenced[3]; /* teams */
    int64_t broken_until, broken_last;
    size_t broken_node; /* NODES: for all */
    int64_t ready_ms;   /* the survivor may send since then */
    int64_t cut_until;
    bool verbose;
    size_t attempts;
    const char *failure;
    char detail[256];
    struct arena arena;
};

static int64_t now_ms(const struct sim *s)
{
    return world_now(s->world);
}

static void fail(struct sim *s, const char *what, struct str detail)
{
    if (s->failure)
        return;
    s->failure = what;
    (void)snprintf(s->detail, sizeof s->detail, "at %lld ms: %.*s", (long long)now_ms(s), STR_ARG(detail));
}

/* One line of the story, for a seed that is looked at alone. */
static void tell(const struct sim *s, const char *what, size_t i, struct str detail)
{
    if (s->verbose)
        printf("%9lld %zu %s %.*s\n", (long long)now_ms(s), i, what, STR_ARG(detail));
}

static struct sim *current; /* callbacks of a replica know only its number */

/* ---- A replica: the glue that app/alert_thread.c is ---- */

static bool awake(const struct sim *s, size_t i)
{
    return s->nodes[i].alive && now_ms(s) >= s->nodes[i].paused_until;
}

static void set_clock(struct sim *s, size_t i)
{
    struct replica_node *n = &s->nodes[i];
    mono_ms now = { ALERT_WORLD_START + SKEW_MS + n->skew_ms + now_ms(s) };
    if (mono_before(n->a.now, now))
        n->a.now = now;
}

/* A broadcast may fire the mesh's timers, which may tell the replica of members: not from inside its step. */
static void say_later(struct sim *s, size_t i, struct str to, struct str key, struct str bytes)
{
    struct buf *said = &s->nodes[i].said;
    buf_str(said, to);
    buf_byte(said, 0);
    buf_str(said, key);
    buf_byte(said, 0);
    buf_le32(said, u32_from_size(bytes.n));
    buf_str(said, bytes);
}

static void say_now(struct sim *s, size_t i)
{
    struct buf said = s->nodes[i].said;
    struct str rest = buf_view(&said);
    s->nodes[i].said = (struct buf){ 0 };
    while (rest.n) {
        struct str to = str_sub(rest, 0, str_find_byte(rest, 0));
        rest = str_from(rest, to.n + 1);
        struct str key = str_sub(rest, 0, str_find_byte(rest, 0));
        rest = str_from(rest, key.n + 1);
        struct str bytes = str_sub(rest, 4, get_le32(rest.p));
        rest = str_from(rest, 4 + bytes.n);
        if (to.n)
            world_send(s->world, i, to, key, bytes);
        else
            world_broadcast(s->world, i, key, bytes);
    }
    buf_deinit(&said);
}

static void on_record(void *arg, struct str bytes)
{
    say_later(current, (size_t)(uintptr_t)arg, STR_EMPTY, STR("nfl"), bytes);
}

static void on_claim(void *arg, struct str to, struct str bytes)
{
    say_later(current, (size_t)(uintptr_t)arg, to, STR(CLAIMS_MESH_KEY), bytes);
}

static void ignore_record(void *arg, struct str record)
{
    bool *news = arg;
    (void)record;
    *news = true;
}

static void merge(struct sim *s, size_t i, const struct replica *r, struct str bytes)
{
    struct str rest = bytes;
    struct err err;
    bool news = false;
    if (!r->check(bytes, &err)) {
        fail(s, "a peer's records do not decode", err_text(&err));
        return;
    }
    while (rest.n)
        rest = str_from(rest, r->merge(r->state, alert_world_wall(&s->nodes[i].a), rest, 500, ignore_record, &news));
    if (news && bytes.n <= GOSSIP_RELAY_BYTES_MAX)
        world_relay(s->world, i, r->key, bytes);
    alert_world_step(&s->nodes[i].a, NULL);
}

static void deliver(void *arg, struct world *w, size_t i, struct str key, struct str bytes, bool full)
{
    struct sim *s = arg;
    struct replica_node *n = &s->nodes[i];
    struct claim_message claim;
    struct claim_reader r;
    (void)w;
    (void)full;
    set_clock(s, i);
    for (size_t k = 0; k < ARRAY_LEN(n->states); k++)
        if (str_eq(n->states[k].key, key))
            merge(s, i, &n->states[k], bytes);
    if (!str_eq(key, STR(CLAIMS_MESH_KEY)))
        return;
    for (claim_reader_init(&r, bytes); claim_reader_next(&r, &claim);)
        alert_world_step(&n->a, &(struct dispatch_event){ .kind = DISPATCH_CLAIMS, .claims = &claim, .claims_count = 1 });
}

static void state(void *arg, struct world *w, size_t i, bool own, struct buf *out)
{
    struct sim *s = arg;
    struct buf data = { 0 };
    (void)w;
    (void)own;
    for (size_t k = 0; k < ARRAY_LEN(s->nodes[i].states); k++) {
        buf_reset(&data);
        replica_encode_all(&s->nodes[i].states[k], &data);
        gossip_full_state_add(out, s->nodes[i].states[k].key, buf_view(&data));
    }
    buf_deinit(&data);
}

/* As app/mesh_thread.c: who failed a short time ago is still in the view, but no member. */
static struct claim_member claims_as(struct sim *s, size_t i, struct str name)
{
    struct gossip *g = world_gossip(s->world, i);
    struct gossip_member m;
    for (size_t k = 0; k < gossip_nodes_count(g); k++) {
        gossip_node_at(g, k, &m);
        bool member = m.state == GOSSIP_ALIVE || m.state == GOSSIP_SUSPECT;
        if (str_eq(m.name, name))
            return (struct claim_member){ name, m.tocsin && member, m.tocsin && !member };
    }
    return (struct claim_member){ .name = name };
}

static void tell_members(struct sim *s, size_t i)
{
    struct peer_view v;
    struct claim_member members[NODES * 4];
    peer_view_get(world_peer(s->world, i), &v);
    size_t n = v.turns_count < ARRAY_LEN(members) ? v.turns_count : ARRAY_LEN(members);
    for (size_t k = 0; k < n; k++)
        members[k] = claims_as(s, i, v.turns[k]);
    const struct claim_members all = { members, n, v.turn };
    s->nodes[i].ready = v.ready;
    char text[40];
    (void)snprintf(text, sizeof text, "is %zu of %zu, %s", v.turn, v.turns_count, v.ready ? "settled" : "settling");
    tell(s, text, i, STR_EMPTY);
    s->nodes[i].turns_count = v.turns_count;
    set_clock(s, i);
    if (n && v.turn < n)
        alert_world_peers(&s->nodes[i].a, &all, v.ready);
}

static void member(void *arg, struct world *w, size_t i, const struct gossip_effect *e)
{
    (void)w;
    (void)e;
    tell_members(arg, i);
}

static void crashed(void *arg, struct world *w, size_t i)
{
    struct sim *s = arg;
    struct replica_node *n = &s->nodes[i];
    size_t cursor = 0;
    (void)w;
    n->alive = n->ready = false;
    tell(s, "dies", i, STR_EMPTY);
    buf_reset(&n->timers);
    if (rng_below(&s->rng, 2))
        (void)dispatch_snapshot_timers(n->a.d, n->a.now, alert_world_wall(&n->a), &cursor, SIZE_MAX, &n->timers);
    alert_world_stop_dispatch(&n->a);
    buf_reset(&n->said);
}

static const char config_text[] = "route:\n"
                                  "  receiver: r\n"
                                  "  group_by: [alertname]\n"
                                  "  group_wait: 2s\n"
                                  "  group_interval: 20s\n"
                                  "  repeat_interval: 4h\n"
                                  "inhibit_rules:\n"
                                  "- source_matchers: ['alertname=\"A0\"']\n"
                                  "  target_matchers: ['alertname=\"A1\"']\n"
                                  "  equal: [team]\n"
                                  "receivers:\n"
                                  "- name: r\n"
                                  "  webhook_configs:\n"
                                  "  - url: http://x/\n";
enum { GROUP_WAIT_MS = 2000, GROUP_INTERVAL_MS = 20000 };

static void start(struct sim *s, size_t i, bool new_name)
{
    struct replica_node *n = &s->nodes[i];
    struct wire_time stopped = alert_world_wall(&n->a);
    struct str rest = buf_view(&n->timers), record;
    struct arena arena;
    set_clock(s, i);
    alert_world_init_dispatch(&n->a);
    (void)alert_store_restored(n->a.alerts, stopped, alert_world_wall(&n->a));
    arena_init(&arena, ARENA_NO_LIMIT);
    while (alert_snapshot_next(&rest, &record)) {
        struct alert_record r;
        struct err err;
        if (alert_record_parse(&arena, record, &r, &err))
            dispatch_restore_timer(n->a.d, &r.timer);
    }
    arena_deinit(&arena);
    alert_world_configure(&n->a, config_text);
    n->alive = true;
    n->paused_until = 0;
    n->generation += new_name;
    tell(s, "starts", i, STR_EMPTY);
    world_start(s->world, i, n->generation);
    if (i == s->survivor)
        s->ready_ms = INT64_MAX;
}

/* ---- What the receiver hears ---- */

static enum send_verdict answer(void *arg, struct alert_world_sent *sent, int64_t *delay_ms)
{
    struct sim *s = current;
    size_t i = (size_t)(uintptr_t)arg;
    *delay_ms = 1 + (int64_t)rng_below(&s->rng, rng_below(&s->rng, 10) ? 100 : 2000);
    s->attempts++;
    tell(s, sent->firing_count ? "tries firing" : "tries resolved", i, sent->group_key);
    tell(s, "   what", (size_t)sent->reason, sent->alerts);
    if (now_ms(s) < s->broken_until && (s->broken_node == NODES || s->broken_node == i))
        return SEND_RETRY;
    if (s->accepted_count == ACCEPTED_MAX)
        fail(s, "too many notifications under way", sent->group_key);
    else
        s->accepted[s->accepted_count++] = (struct accepted){ now_ms(s) + *delay_ms, i,
                                                              (size_t)(sent - s->nodes[i].a.sent) };
    return SEND_DONE;
}

static struct group *group_of(struct sim *s, struct str key)
{
    for (size_t i = 0; i < s->groups_count; i++)
        if (str_eq(s->groups[i].key, key))
            return &s->groups[i];
    ASSERT(s->groups_count < GROUPS_MAX);
    struct group *g = &s->groups[s->groups_count++];
    *g = (struct group){ .key = arena_str(&s->arena, key) };
    return g;
}

static bool has(const uint64_t *v, size_t n, uint64_t x)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] == x)
            return true;
    return false;
}

static bool is_subset(const uint64_t *a, size_t a_count, const uint64_t *b, size_t b_count)
{
    for (size_t i = 0; i < a_count; i++)
        if (!has(b, b_count, a[i]))
            return false;
    return true;
}

static void accept_one(struct sim *s, const struct accepted *x)
{
    const struct alert_world_sent *a = &s->nodes[x->node].a.sent[x->sent];
    struct group *g = group_of(s, a->group_key);
    tell(s, "is accepted:", x->node, a->group_key);
    if (g->any) {
        const struct alert_world_sent *last = &s->nodes[g->node].a.sent[g->sent];
        bool news = !is_subset(a->firing_hashes, a->firing_count, last->firing_hashes, last->firing_count) ||
                    (a->firing_count == 0 && last->firing_count) ||
                    !is_subset(a->resolved_hashes, a->resolved_count, last->resolved_hashes, last->resolved_count);
        bool must_be = s->mild || str_find(g->key, STR("Final")) != STR_NPOS;
        bool given_up = g->unknown || a->cancelled; /* accepted after its flush's time was over: nobody can know */
        if (!news && must_be && !given_up) {
            char text[200];
            int n = snprintf(text, sizeof text, "%.*s by %zu at %lld, before by %zu at %lld", STR_ARG(g->key), x->node,
                             (long long)a->at_ms, g->node, (long long)last->at_ms);
            fail(s, "twice", str_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
        }
    }
    g->any = true;
    g->unknown = a->cancelled;
    g->node = x->node;
    g->sent = x->sent;
    g->count++;
}

static void accept_due(struct sim *s)
{
    for (;;) {
        size_t first = s->accepted_count;
        for (size_t i = 0; i < s->accepted_count; i++)
            if (s->accepted[i].at_ms <= now_ms(s) &&
                (first == s->accepted_count || s->accepted[i].at_ms < s->accepted[first].at_ms))
                first = i;
        if (first == s->accepted_count)
            return;
        struct accepted x = s->accepted[first];
        memmove(&s->accepted[first], &s->accepted[first + 1], (s->accepted_count - first - 1) * sizeof x);
        s->accepted_count--;
        accept_one(s, &x);
    }
}

/* ---- Time ---- */

static int64_t to_world(const struct sim *s, size_t i, mono_ms at)
{
    return at.ms == INT64_MAX ? INT64_MAX : at.ms - ALERT_WORLD_START - SKEW_MS - s->nodes[i].skew_ms;
}

static int64_t turn_due(const struct sim *s, size_t i)
{
    const struct replica_node *n = &s->nodes[i];
    int64_t turn = to_world(s, i, dispatch_next_turn(n->a.d));
    if (turn == INT64_MAX)
        return turn;
    turn -= TURN_LEAD_MS;
    return turn < n->turn_told + TURN_EVERY_MS ? n->turn_told + TURN_EVERY_MS : turn;
}

static int64_t app_next(const struct sim *s, size_t i)
{
    const struct replica_node *n = &s->nodes[i];
    if (!n->alive)
        return INT64_MAX;
    mono_ms next = dispatch_deadline(n->a.d);
    for (size_t k = 0; k < n->a.pending_count; k++)
        next = mono_min(next, n->a.pending[k].at);
    int64_t t = to_world(s, i, next), turn = turn_due(s, i);
    t = turn < t ? turn : t;
    t = t < n->paused_until ? n->paused_until : t;
    return t < now_ms(s) ? now_ms(s) : t;
}

static void post(struct sim *s, size_t i, const struct sender *x)
{
    set_clock(s, i);
    int64_t ago = x->since_ms - now_ms(s);
    if (x->firing)
        (void)alert_world_post_at(&s->nodes[i].a, x->labels, ago, LIFE_MS);
    else
        (void)alert_world_post_at(&s->nodes[i].a, x->labels, ago - 1, ago);
}

static void run_app(struct sim *s, size_t i)
{
    struct replica_node *n = &s->nodes[i];
    set_clock(s, i);
    for (size_t k = 0; k < ARRAY_LEN(n->due); k++)
        if (n->due[k]) {
            n->due[k] = false;
            post(s, i, &s->senders[k]);
        }
    alert_world_run(&n->a, 0);
    if (now_ms(s) >= turn_due(s, i)) {
        n->turn_told = now_ms(s);
        world_compare(s->world, i);
    }
}

static void note_readiness(struct sim *s)
{
    for (size_t i = 0; i < NODES; i++) {
        struct peer_view v;
        if (!awake(s, i))
            continue;
        peer_view_get(world_peer(s->world, i), &v);
        if (v.ready == s->nodes[i].ready && v.turns_count == s->nodes[i].turns_count)
            continue;
        tell_members(s, i);
        if (i == s->survivor && v.ready)
            s->ready_ms = now_ms(s);
    }
}

static void run(struct sim *s, int64_t ms)
{
    int64_t end = now_ms(s) + ms;
    note_readiness(s);
    while (now_ms(s) < end && !s->failure) {
        int64_t t = world_next(s->world);
        for (size_t i = 0; i < NODES; i++) {
            int64_t next = app_next(s, i);
            t = next < t ? next : t;
        }
        t = t < end ? t : end;
        world_run(s->world, t > now_ms(s) ? t - now_ms(s) : 0);
        for (size_t i = 0; i < NODES; i++)
            if (awake(s, i) && app_next(s, i) <= now_ms(s))
                run_app(s, i);
        for (size_t i = 0; i < NODES; i++)
            say_now(s, i);
        accept_due(s);
    }
}

/* ---- What happens ---- */

static void send(struct sim *s, size_t k)
{
    struct sender *x = &s->senders[k];
    x->sent_ms = now_ms(s);
    for (size_t i = 0; i < NODES; i++) {
        if (awake(s, i))
            post(s, i, x);
        else if (s->nodes[i].alive)
            s->nodes[i].due[k] = true;
    }
}

static void set_firing(struct sim *s, size_t k, bool firing)
{
    s->senders[k].firing = firing;
    s->senders[k].since_ms = now_ms(s);
    tell(s, firing ? "fires" : "resolves", k, str_c(s->senders[k].labels));
    send(s, k);
}

static void make_silence(struct sim *s, size_t i, int team)
{
    char value[8], id[SILENCE_ID_TEXT];
    if (s->silences_count == SILENCES_MAX || !awake(s, i))
        return;
    (void)snprintf(value, sizeof value, "t%d", team);
    struct replica_node *n = &s->nodes[i];
    set_clock(s, i);
    const struct matcher m = { .op = MATCH_EQ, .name = STR("team"), .value = str_c(value) };
    const struct matchers set = { (struct matcher *)(uintptr_t)&m, 1 };
    struct silence_spec spec = { .id = STR_EMPTY, .sets = &set, .sets_count = 1, .starts_at = alert_world_at(&n->a, 0),
                                 .ends_at = alert_world_at(&n->a, 7200000), .created_by = STR("me"), .comment = STR("c") };
    struct silence_changes changes;
    struct err err;
    struct buf record = { 0 };
    if (!silence_store_set(n->a.silences, alert_world_wall(&n->a), &spec, &n->a.rng, id, &changes, &err)) {
        fail(s, "a silence is refused", err_text(&err));
        return;
    }
    for (size_t k = 0; k < changes.n; k++) {
        buf_reset(&record);
        silence_record_append(&record, changes.v[k].silence);
        world_broadcast(s->world, i, STR("sil"), buf_view(&record));
    }
    buf_deinit(&record);
    silence_changes_deinit(&changes);
    memcpy(s->silences[s->silences_count++], id, sizeof id);
    s->silenced[team] = true;
    alert_world_step(&n->a, NULL);
}

static void break_receiver(struct sim *s)
{
    if (now_ms(s) < s->broken_until)
        return;
    s->broken_until = now_ms(s) + (int64_t)rng_below(&s->rng, s->mild ? 20000 : 60000);
    s->broken_node = rng_below(&s->rng, 2) ? NODES : (size_t)rng_below(&s->rng, NODES);
    tell(s, "cannot reach the receiver", s->broken_node, STR_EMPTY);
}

static void pause_node(struct sim *s, size_t i, int64_t ms)
{
    if (!awake(s, i))
        return;
    s->nodes[i].paused_until = now_ms(s) + ms;
    tell(s, "pauses", i, STR_EMPTY);
    world_pause(s->world, i, ms);
}

/* Cuts at random; mild ones are short and leave everybody reachable by a detour. */
static void cut(struct sim *s)
{
    if (s->mild) {
        size_t a = (size_t)rng_below(&s->rng, NODES);
        for (size_t b = 0; b < NODES; b++)
            if (a != b && rng_below(&s->rng, 2))
                world_cut(s->world, a, b, true);
        s->cut_until = now_ms(s) + (int64_t)rng_below(&s->rng, MILD_PAUSE_MS);
        tell(s, "is not heard by some", a, STR_EMPTY);
        return;
    }
    uint64_t side = rng_u64(&s->rng), kind = rng_below(&s->rng, 3);
    for (size_t a = 0; a < NODES; a++)
        for (size_t b = 0; b < NODES; b++) {
            bool apart = ((side >> a) & 1) != ((side >> b) & 1);
            if (a != b && (kind == 0 ? apart : kind == 1 ? apart && a < b : rng_below(&s->rng, 4) == 0))
                world_cut(s->world, a, b, true);
        }
    s->cut_until = now_ms(s) + 1000 + (int64_t)rng_below(&s->rng, 60000);
}

static void join_cuts(struct sim *s)
{
    for (size_t a = 0; a < NODES; a++)
        for (size_t b = 0; b < NODES; b++)
            world_cut(s->world, a, b, false);
    s->cut_until = 0;
}

static void trouble(struct sim *s)
{
    size_t i = (size_t)rng_below(&s->rng, NODES);
    switch (rng_below(&s->rng, s->mild ? 12 : 24)) {
    case 0:
        if (s->kind != MILD)
            break_receiver(s);
        break;
    case 1:
    case 2:
        if (s->cut_until == 0)
            cut(s);
        break;
    case 3:
        if (s->mild)
            pause_node(s, i, (int64_t)rng_below(&s->rng, MILD_PAUSE_MS));
        else if (i != s->survivor)
            pause_node(s, i, (int64_t)rng_below(&s->rng, 60000));
        break;
    case 4:
        make_silence(s, i, (int)rng_below(&s->rng, 2));
        break;
    case 12:
    case 13:
        if (i != s->survivor && s->nodes[i].alive)
            world_crash(s->world, i);
        break;
    case 14:
        if (i != s->survivor && awake(s, i))
            world_leave(s->world, i);
        break;
    case 15:
    case 16:
    case 17:
        if (!s->nodes[i].alive)
            start(s, i, rng_below(&s->rng, 2));
        break;
    default:
        break;
    }
}

/* ---- What is expected ---- */

static bool is_muted(const struct sim *s, const struct sender *x)
{
    return s->silenced[x->team] || strncmp(x->labels, "alertname=A1,", 13) == 0;
}

static void check_said(struct sim *s)
{
    /* Its own turn, as upstream counts it, a claim that ends by its bound, a flush that is repeated, an attempt. */
    const int64_t bound_ms = GROUP_WAIT_MS + (NODES - 1) * PEER_TIMEOUT_MS + CLAIM_MS + 2 * GROUP_INTERVAL_MS + 20000;
    if (now_ms(s) < s->broken_until)
        s->broken_last = now_ms(s);
    for (size_t k = 0; k < ARRAY_LEN(s->senders); k++) {
        const struct sender *x = &s->senders[k];
        int64_t since = x->since_ms > s->broken_last ? x->since_ms : s->broken_last;
        since = since > s->ready_ms ? since : s->ready_ms;
        if (!x->firing || is_muted(s, x) || s->ready_ms == INT64_MAX || now_ms(s) - since < bound_ms)
            continue;
        bool said = false;
        for (size_t g = 0; g < s->groups_count; g++) {
            const struct alert_world_sent *a = &s->nodes[s->groups[g].node].a.sent[s->groups[g].sent];
            said = said || has(a->firing_hashes, a->firing_count, x->hash);
        }
        if (!said)
            fail(s, "unsaid", str_c(x->labels));
    }
}

static void tick(struct sim *s, bool calm)
{
    if (!calm)
        trouble(s);
    if (s->cut_until && now_ms(s) >= s->cut_until)
        join_cuts(s);
    for (size_t k = 0; k < SENDERS; k++) {
        if (!calm && rng_below(&s->rng, 40) == 0)
            set_firing(s, k, !s->senders[k].firing);
        else if (s->senders[k].sent_ms && now_ms(s) - s->senders[k].sent_ms >= RESEND_MS)
            send(s, k);
    }
    run(s, 1000);
    check_said(s);
}

static bool silences_everywhere(const struct sim *s)
{
    for (size_t i = 0; i < NODES; i++)
        for (size_t k = 0; k < s->silences_count; k++)
            if (!silence_store_get(s->nodes[i].a.silences, str_of(s->silences[k], SILENCE_ID_TEXT)))
                return false;
    return true;
}

static bool settled(struct sim *s)
{
    for (size_t i = 0; i < NODES; i++)
        if (!s->nodes[i].ready)
            return false;
    return world_converged(s->world) && silences_everywhere(s);
}

static void heal(struct sim *s)
{
    join_cuts(s);
    world_heal(s->world);
    s->broken_until = 0;
    for (size_t i = 0; i < NODES; i++) {
        s->nodes[i].paused_until = 0;
        if (!s->nodes[i].alive)
            start(s, i, rng_below(&s->rng, 2));
    }
    int64_t begun = now_ms(s);
    while (!settled(s) && !s->failure && now_ms(s) - begun < SETTLE_MAX_MS)
        tick(s, true);
    if (!world_converged(s->world))
        fail(s, "members", STR("they do not agree after everything healed"));
    else if (!silences_everywhere(s))
        fail(s, "silence", STR("one has not reached everybody"));
    else if (!settled(s))
        fail(s, "members", STR("somebody never settles"));
}

static void last_groups(struct sim *s)
{
    size_t muted = SENDERS + FINAL;
    size_t at = (size_t)rng_below(&s->rng, NODES);
    make_silence(s, at, 2);
    bool is_silenced = s->silenced[2];
    for (int i = 0; i < 3; i++)
        tick(s, true);
    for (int i = 0; i < 12; i++) /* clocks differ: it is active everywhere only when the last of them says so */
        tick(s, true);
    if (!silences_everywhere(s))
        fail(s, "silence", STR("not heard within 15 s of calm"));
    for (size_t k = SENDERS; k < SENDERS + FINAL; k++)
        set_firing(s, k, true);
    if (is_silenced)
        set_firing(s, muted, true);
    for (int i = 0; i < 70 && !s->failure; i++)
        tick(s, true);
    for (size_t k = SENDERS; k < SENDERS + FINAL && !s->failure; k++) {
        bool said = false;
        for (size_t g = 0; g < s->groups_count; g++) {
            const struct alert_world_sent *a = &s->nodes[s->groups[g].node].a.sent[s->groups[g].sent];
            said = said || has(a->firing_hashes, a->firing_count, s->senders[k].hash);
        }
        if (!said)
            fail(s, "unsaid", str_c(s->senders[k].labels));
    }
    for (size_t g = 0; g < s->groups_count; g++)
        if (str_find(s->groups[g].key, STR("FinalMuted")) != STR_NPOS && s->groups[g].count)
            fail(s, "muted", s->groups[g].key);
}

/* ---- A seed ---- */

static void make_senders(struct sim *s)
{
    for (size_t k = 0; k < ARRAY_LEN(s->senders); k++) {
        struct sender *x = &s->senders[k];
        char name[24];
        x->team = k < SENDERS ? (int)rng_below(&s->rng, 2) : k < SENDERS + FINAL ? 0 : 2;
        if (k < SENDERS)
            (void)snprintf(name, sizeof name, "A%zu", k % 8);
        else if (k < SENDERS + FINAL)
            (void)snprintf(name, sizeof name, "Final%zu", k);
        else
            (void)snprintf(name, sizeof name, "FinalMuted");
        const char *team = k < SENDERS || k == SENDERS + FINAL ? "t" : "free";
        (void)snprintf(x->labels, sizeof x->labels, "alertname=%s,instance=i%zu,team=%s%d", name, k, team, x->team);
        x->set = alert_world_labels(&s->nodes[0].a, x->labels);
        x->hash = labels_nflog_hash(x->set);
    }
}

static void make_world(struct sim *s)
{
    struct world_config config = {
        .seed = s->seed,
        .nodes = NODES,
        .loss_permille = (unsigned)rng_below(&s->rng, s->mild ? 200 : 300),
        .duplicate_permille = (unsigned)rng_below(&s->rng, 100),
        .delay_min_ms = (int64_t)rng_below(&s->rng, 20),
        .upstream = s->mild || rng_below(&s->rng, 2) ? 0 : (size_t)rng_below(&s->rng, NODES),
        .peers = true,
        .peer_timeout_ms = PEER_TIMEOUT_MS,
        .app = { s, deliver, state, member, crashed },
    };
    config.delay_max_ms = config.delay_min_ms + (int64_t)rng_below(&s->rng, s->kind == WILD ? 200 : 100);
    s->world = world_new(&config);
    for (size_t i = 0; i < NODES; i++) {
        struct replica_node *n = &s->nodes[i];
        alert_world_init_stores(&n->a, s->seed * NODES + i);
        n->a.options.peer_timeout_ms = PEER_TIMEOUT_MS;
        n->a.answer = answer;
        n->a.answer_arg = n->a.peer_arg = (void *)(uintptr_t)i;
        n->a.on_claim = on_claim;
        n->a.on_record = on_record;
        n->states[0] = silence_store_replica(n->a.silences);
        n->states[1] = nflog_replica(n->a.log);
        n->skew_ms = (int64_t)rng_below(&s->rng, 2 * SKEW_MS + 1) - SKEW_MS;
    }
    make_senders(s);
}

static void drop_world(struct sim *s)
{
    world_free(s->world);
    for (size_t i = 0; i < NODES; i++) {
        alert_world_deinit(&s->nodes[i].a);
        buf_deinit(&s->nodes[i].timers);
        buf_deinit(&s->nodes[i].said);
    }
    arena_deinit(&s->arena);
}

static bool simulate(uint64_t seed, bool verbose)
{
    static struct sim sim; /* large */
    struct sim *s = current = &sim;
    memset(s, 0, sizeof *s);
    s->seed = seed;
    rng_seed(&s->rng, seed);
    arena_init(&s->arena, ARENA_NO_LIMIT);
    s->verbose = verbose;
    s->kind = (enum kind)rng_below(&s->rng, 3);
    s->mild = s->kind != WILD;
    s->survivor = (size_t)rng_below(&s->rng, NODES);
    make_world(s);
    for (size_t i = 0; i < NODES; i++) {
        start(s, i, false);
        run(s, (int64_t)rng_below(&s->rng, 500));
    }
    for (int64_t i = 0; i < 14; i++)
        tick(s, true);
    int64_t ticks = 30 + (int64_t)rng_below(&s->rng, 120);
    for (int64_t i = 0; i < ticks && !s->failure; i++)
        tick(s, false);
    if (!s->failure)
        heal(s);
    if (!s->failure)
        last_groups(s);
    size_t said = 0;
    for (size_t g = 0; g < s->groups_count; g++)
        said += s->groups[g].count;
    if (s->failure || verbose)
        printf("seed=0x%llx %s %s %s (%zu attempts, %zu accepted, %zu silences, %.0f s)\n", (unsigned long long)seed,
               s->kind == MILD ? "mild" : s->kind == BROKEN ? "broken" : "wild", s->failure ? s->failure : "passed", s->detail, s->attempts, said,
               s->silences_count, (double)now_ms(s) / 1000);
    bool ok = !s->failure;
    drop_world(s);
    return ok;
}

/* ---- Many seeds ---- */

struct counts {
    uint64_t passed, failed;
};

static struct counts run_share(uint64_t first, uint64_t seeds, uint64_t at, uint64_t step)
{
    struct counts c = { 0 };
    for (uint64_t i = at; i < seeds && c.failed < 10; i += step) {
        if (simulate(first + i, seeds == 1)) {
            c.passed++;
            continue;
        }
        printf("replay: cluster_sim --seed 0x%llx\n", (unsigned long long)(first + i));
        fflush(stdout);
        c.failed++;
    }
    return c;
}

/* Each job is a process of its own; a job that dies fails what it had left. */
static struct counts run_jobs(uint64_t first, uint64_t seeds, uint64_t jobs)
{
    struct counts all = { 0 };
    int ends[2];
    if (jobs <= 1 || pipe(ends) != 0)
        return run_share(first, seeds, 0, 1);
    fflush(stdout);
    for (uint64_t j = 0; j < jobs; j++) {
        if (fork() != 0)
            continue;
        struct counts c = run_share(first, seeds, j, jobs);
        fflush(stdout);
        _exit(write(ends[1], &c, sizeof c) == (ssize_t)sizeof c ? 0 : 1);
    }
    close(ends[1]);
    struct counts c;
    while (read(ends[0], &c, sizeof c) == (ssize_t)sizeof c) {
        all.passed += c.passed;
        all.failed += c.failed;
    }
    close(ends[0]);
    int status;
    while (wait(&status) > 0)
        all.failed += status != 0;
    return all;
}

int main(int argc, char **argv)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t seeds = 200, first = 1, jobs = cpus > 1 ? (uint64_t)cpus : 1;
    bool one = false;
    crypto_init();
    log_configure(LOG_ERROR, LOG_LOGFMT);
    for (int i = 1; i < argc; i += 2) {
        struct str flag = str_c(argv[i]);
        uint64_t *value = str_eq(flag, STR("--seeds")) ? &seeds
                          : str_eq(flag, STR("--seed")) ? &first
                          : str_eq(flag, STR("--jobs")) ? &jobs
                                                        : NULL;
        if (!value || i + 1 == argc || !num_parse_u64(str_c(argv[i + 1]), 0, value)) {
            (void)fprintf(stderr, "usage: cluster_sim [--seeds N] [--seed S] [--jobs J]\n");
            return 2;
        }
        one = one || value == &first;
    }
    if (one && argc == 3)
        seeds = 1;
    printf("seed=0x%llx\n", (unsigned long long)first);
    struct counts c = run_jobs(first, seeds, seeds == 1 ? 1 : jobs);
    printf("%llu passed, %llu failed\n", (unsigned long long)c.passed, (unsigned long long)c.failed);
    return c.failed || c.passed == 0 ? 1 : 0;
}
