/* Several replicas of the alert half under one virtual clock: the same alerts reach all of them, log records and claims
 * travel between them late, or not at all, and each has its own way to the receivers.
 *
 *     dispatch_peers [--seeds N] [--seed S]
 *
 * Checked in every schedule:
 *   unsaid   what fires is said within the intervals and the time of the positions, as long as one replica lives whose
 *            way out works, whatever the network loses
 * and in calm ones (nothing is lost, nobody dies, no partition):
 *   twice    no state is said by two replicas
 *   together no two attempts for one log entry are in flight at once for longer than a message travels
 *   idle     after a failure somebody tries again by the first back-offs, however the replicas' timers lie to each other
 *
 * A schedule is its seed. Prints seed=0x… first; on failure how to replay it. */
#include "base/mem.h"
#include "base/num.h"
#include "lib/alert_world.h"

#include <stdio.h>
#include <stdlib.h>

enum { NODES_MAX = 4, ALERTS_MAX = 6, TRAVEL_MS = 60, KEYS_MAX = 256 };

struct message {
    mono_ms at;
    size_t to;
    bool is_claim;
    struct str bytes;
};
struct node {
    struct sim *sim;
    size_t index;
    struct alert_world w;
    bool up, broken; /* broken: its way to the receivers */
    size_t seen;     /* of w.sent */
    size_t answered; /* all before are */
};
struct flight { /* attempts in flight for one key */
    struct str key;
    size_t count;
    int64_t together_since_ms;
    uint64_t said_firing; /* the last state that was accepted: alerts that fired in it, as bits of the world */
    bool said;
    int64_t said_ms, failed_ms;
    size_t fails; /* in a row */
};
struct sim {
    struct rng rng;
    uint64_t seed;
    bool calm;
    struct node nodes[NODES_MAX];
    size_t nodes_count;
    struct message *messages;
    size_t messages_count, messages_capacity;
    struct arena arena;
    int loss_percent;
    bool parted; /* node 0 from the rest */
    bool receiver_down;
    int64_t since_ms; /* of the last change that may delay */
    struct flight keys[KEYS_MAX];
    size_t keys_count;
    bool firing[ALERTS_MAX];
    int64_t fires_since_ms[ALERTS_MAX];
    size_t alerts_count;
    const char *failure;
    char detail[256];
};

static int64_t now_ms(const struct sim *s)
{
    return s->nodes[0].w.now.ms - ALERT_WORLD_START;
}

static void fail(struct sim *s, const char *what, struct str detail)
{
    if (s->failure)
        return;
    s->failure = what;
    (void)snprintf(s->detail, sizeof s->detail, "at %lld ms: %.*s", (long long)now_ms(s), STR_ARG(detail));
}

/* ---- Network ---- */

static bool passes(struct sim *s, size_t from, size_t to)
{
    if (!s->nodes[to].up || (s->parted && (from == 0) != (to == 0)))
        return false;
    return rng_below(&s->rng, 100) >= (uint64_t)s->loss_percent;
}

static const struct str names[NODES_MAX] = { STR_INIT("a"), STR_INIT("b"), STR_INIT("c"), STR_INIT("d") };

static void broadcast(struct node *n, struct str name, bool is_claim, struct str bytes)
{
    struct sim *s = n->sim;
    for (size_t to = 0; to < s->nodes_count; to++) {
        if (to == n->index || (name.n && !str_eq(name, names[to])) || !passes(s, n->index, to))
            continue;
        if (s->messages_count == s->messages_capacity) {
            s->messages_capacity = mem_grow(s->messages_capacity, s->messages_count + 1);
            s->messages = mem_realloc_array(s->messages, s->messages_capacity, sizeof *s->messages);
        }
        int64_t travel = 1 + (int64_t)rng_below(&s->rng, TRAVEL_MS - 1);
        s->messages[s->messages_count++] =
            (struct message){ mono_add(n->w.now, travel), to, is_claim, arena_str(&s->arena, bytes) };
    }
}

static void on_claim(void *arg, struct str to, struct str bytes)
{
    broadcast(arg, to, true, bytes);
}

static void on_record(void *arg, struct str bytes)
{
    broadcast(arg, STR_EMPTY, false, bytes);
}

static void deliver(struct sim *s, const struct message *m)
{
    struct node *n = &s->nodes[m->to];
    if (!n->up)
        return;
    if (m->is_claim) {
        struct claim_message claim;
        struct claim_reader r;
        for (claim_reader_init(&r, m->bytes); claim_reader_next(&r, &claim);)
            alert_world_step(&n->w, &(struct dispatch_event){ .kind = DISPATCH_CLAIMS, .claims = &claim, .claims_count = 1 });
        return;
    }
    struct replica r = nflog_replica(n->w.log);
    (void)r.merge(n->w.log, alert_world_wall(&n->w), m->bytes, SIZE_MAX, NULL, NULL);
    alert_world_step(&n->w, NULL);
}

/* What push/pull does: everybody's log to everybody, if the network lets it. */
static void repair(struct sim *s)
{
    for (size_t from = 0; from < s->nodes_count; from++) {
        struct buf all = { 0 };
        struct replica r = nflog_replica(s->nodes[from].w.log);
        replica_encode_all(&r, &all);
        for (size_t to = 0; to < s->nodes_count; to++)
            if (to != from && s->nodes[from].up && s->nodes[to].up && !(s->parted && (from == 0) != (to == 0)))
                deliver(s, &(struct message){ .to = to, .bytes = buf_view(&all) });
        buf_deinit(&all);
    }
}

static void tell_members(struct sim *s)
{
    for (size_t i = 0; i < s->nodes_count; i++) {
        struct claim_member v[NODES_MAX];
        struct claim_members m = { v, 0, 0 };
        for (size_t k = 0; k < s->nodes_count; k++) {
            bool seen = s->nodes[k].up && !(s->parted && (i == 0) != (k == 0));
            if (!seen && k != i)
                continue;
            if (k == i)
                m.self = m.n;
            v[m.n++] = (struct claim_member){ names[k], true, false };
        }
        if (s->nodes[i].up)
            alert_world_peers(&s->nodes[i].w, &m, true);
    }
    s->since_ms = now_ms(s);
}

/* ---- Receivers ---- */

static enum send_verdict answer(void *arg, struct alert_world_sent *sent, int64_t *delay_ms)
{
    struct node *n = arg;
    (void)sent;
    *delay_ms = 5 + (int64_t)rng_below(&n->sim->rng, 100);
    return n->broken || n->sim->receiver_down ? SEND_RETRY : SEND_DONE;
}

static struct flight *flight_of(struct sim *s, const struct alert_world_sent *a)
{
    for (size_t i = 0; i < s->keys_count; i++)
        if (str_eq(s->keys[i].key, a->group_key))
            return &s->keys[i];
    if (s->keys_count == KEYS_MAX)
        return NULL;
    struct flight *f = &s->keys[s->keys_count++];
    *f = (struct flight){ .key = arena_str(&s->arena, a->group_key) };
    return f;
}

static void begin_flight(struct sim *s, const struct alert_world_sent *a)
{
    struct flight *f = flight_of(s, a);
    if (!f)
        return;
    if (++f->count == 2)
        f->together_since_ms = now_ms(s);
    /* The first six back-offs of one node end 5.7 s after the attempt at the latest. A flush that began before the last
     * success may be further on. */
    bool fresh = now_ms(s) - f->said_ms > 120000;
    if (s->calm && fresh && f->fails && f->fails <= 3 && f->count == 1 && now_ms(s) - f->failed_ms > 6500 &&
        now_ms(s) - f->failed_ms < 40000) /* later is another flush: the one before had nothing left to say */
        fail(s, "idle", f->key);
}

static uint64_t state_of(const struct alert_world_sent *a)
{
    uint64_t h = a->firing_count;
    for (size_t i = 0; i < a->firing_count; i++)
        h = h * 1099511628211u ^ a->firing_hashes[i];
    return h;
}

static void end_flight(struct sim *s, const struct alert_world_sent *a)
{
    struct flight *f = flight_of(s, a);
    if (!f)
        return;
    f->count--;
    if (s->calm && f->count == 1 && now_ms(s) - f->together_since_ms > 2 * TRAVEL_MS + 105)
        fail(s, "together", f->key);
    if (a->verdict != SEND_DONE) {
        f->fails++;
        f->failed_ms = now_ms(s);
        return;
    }
    f->fails = 0;
    uint64_t said = state_of(a);
    bool repeat = now_ms(s) - f->said_ms > 300000 - 20000;
    if (s->calm && f->said && f->said_firing == said && a->resolved_count == 0 && !repeat)
        fail(s, "twice", f->key);
    f->said = true;
    f->said_firing = said;
    f->said_ms = now_ms(s);
}

static void observe(struct sim *s)
{
    for (size_t i = 0; i < s->nodes_count; i++) {
        struct node *n = &s->nodes[i];
        for (; n->seen < n->w.sent_count; n->seen++)
            begin_flight(s, &n->w.sent[n->seen]);
        for (size_t k = n->answered; k < n->seen; k++) {
            struct alert_world_sent *a = &n->w.sent[k];
            if (!a->answered || a->data_count == SIZE_MAX)
                continue;
            a->data_count = SIZE_MAX; /* seen */
            end_flight(s, a);
        }
        while (n->answered < n->seen && n->w.sent[n->answered].data_count == SIZE_MAX)
            n->answered++;
    }
}

/* ---- The clock ---- */

static mono_ms next_of_node(const struct node *n)
{
    mono_ms next = n->up ? dispatch_deadline(n->w.d) : MONO_NEVER;
    for (size_t i = 0; n->up && i < n->w.pending_count; i++)
        next = mono_min(next, n->w.pending[i].at);
    return next;
}

static void advance_to(struct sim *s, mono_ms t)
{
    for (size_t i = 0; i < s->nodes_count; i++) {
        struct alert_world *w = &s->nodes[i].w;
        if (s->nodes[i].up)
            alert_world_run(w, t.ms - w->now.ms);
        else
            w->now = t;
    }
    observe(s);
}

static void run(struct sim *s, int64_t ms)
{
    mono_ms end = mono_add(s->nodes[0].w.now, ms);
    while (mono_before(s->nodes[0].w.now, end)) {
        mono_ms next = end;
        for (size_t i = 0; i < s->nodes_count; i++)
            next = mono_min(next, next_of_node(&s->nodes[i]));
        for (size_t i = 0; i < s->messages_count; i++)
            next = mono_min(next, s->messages[i].at);
        if (mono_before(next, s->nodes[0].w.now))
            next = s->nodes[0].w.now;
        advance_to(s, next);
        for (size_t i = 0; i < s->messages_count;) {
            if (mono_before(s->nodes[0].w.now, s->messages[i].at)) {
                i++;
                continue;
            }
            struct message m = s->messages[i];
            s->messages[i] = s->messages[--s->messages_count];
            deliver(s, &m);
            observe(s);
        }
    }
}

/* ---- What happens ---- */

static void configure(struct node *n)
{
    alert_world_configure(&n->w, "route: {receiver: r, group_by: [alertname], group_wait: 5s, group_interval: 1m, "
                                 "repeat_interval: 5m}\n"
                                 "receivers: [{name: r, webhook_configs: [{url: 'http://x/'}]}]\n");
}

static void post(struct sim *s, size_t i)
{
    char labels[48];
    (void)snprintf(labels, sizeof labels, "alertname=A%zu,n=%zu", i % 3, i);
    for (size_t k = 0; k < s->nodes_count; k++)
        if (s->nodes[k].up)
            alert_world_post_at(&s->nodes[k].w, labels, s->fires_since_ms[i] - now_ms(s), s->firing[i] ? 240000 : 0);
}

static void toggle(struct sim *s, size_t i)
{
    s->firing[i] = !s->firing[i];
    if (s->firing[i])
        s->fires_since_ms[i] = now_ms(s);
    post(s, i);
    s->since_ms = now_ms(s);
}

/* A node dies with all that it has in flight, or comes back with an empty memory but for its log. */
static void flip_node(struct sim *s, size_t i)
{
    struct node *n = &s->nodes[i];
    size_t up = 0;
    for (size_t k = 0; k < s->nodes_count; k++)
        up += s->nodes[k].up;
    if (n->up && up == 1)
        return;
    n->up = !n->up;
    if (!n->up) {
        for (size_t k = 0; k < n->w.pending_count; k++) {
            struct alert_world_sent *a = &n->w.sent[n->w.pending[k].sent];
            struct flight *f = flight_of(s, a);
            if (f && a->data_count != SIZE_MAX)
                f->count--;
            a->data_count = SIZE_MAX;
        }
        alert_world_stop_dispatch(&n->w);
    } else {
        alert_world_init_dispatch(&n->w);
        configure(n);
    }
    tell_members(s);
}

static void disturb(struct sim *s)
{
    switch (rng_below(&s->rng, 40)) {
    case 0:
        s->parted = !s->parted;
        tell_members(s);
        break;
    case 1:
        flip_node(s, (size_t)rng_below(&s->rng, s->nodes_count));
        break;
    case 2:
        s->loss_percent = rng_below(&s->rng, 2) ? 0 : 30;
        break;
    default:
        break;
    }
}

static void act(struct sim *s)
{
    if (rng_below(&s->rng, 60) == 0)
        toggle(s, (size_t)rng_below(&s->rng, s->alerts_count));
    if (rng_below(&s->rng, 150) == 0) {
        s->receiver_down = !s->receiver_down;
        s->since_ms = now_ms(s);
    }
    if (!s->calm)
        disturb(s);
}

/* All that fires must have been said when nothing has changed for long. */
static void check_said(struct sim *s)
{
    int64_t bound_ms = 5000 + 2 * (60000 + 4 * 15000) + 130000;
    bool way_out = false;
    for (size_t i = 0; i < s->nodes_count; i++)
        way_out = way_out || (s->nodes[i].up && !s->nodes[i].broken);
    if (s->receiver_down || !way_out || now_ms(s) - s->since_ms < bound_ms)
        return;
    for (size_t i = 0; i < s->alerts_count; i++) {
        char key[48];
        (void)snprintf(key, sizeof key, "{}:{alertname=\"A%zu\"}", i % 3);
        const struct flight *f = NULL;
        for (size_t k = 0; k < s->keys_count; k++)
            if (str_eq(s->keys[k].key, str_c(key)))
                f = &s->keys[k];
        if (s->firing[i] && (!f || !f->said || f->said_firing == 0))
            fail(s, "unsaid", str_c(key));
    }
}

static bool simulate(uint64_t seed, bool verbose)
{
    static struct sim sim; /* large */
    struct sim *s = &sim;
    memset(s, 0, sizeof *s);
    s->seed = seed;
    s->calm = seed % 2 == 0;
    rng_seed(&s->rng, seed);
    arena_init(&s->arena, ARENA_NO_LIMIT);
    s->nodes_count = 2 + (size_t)rng_below(&s->rng, NODES_MAX - 1);
    s->alerts_count = 1 + (size_t)rng_below(&s->rng, ALERTS_MAX);
    for (size_t i = 0; i < s->nodes_count; i++) {
        struct node *n = &s->nodes[i];
        n->sim = s;
        n->index = i;
        n->up = true;
        n->broken = i + 1 < s->nodes_count && rng_below(&s->rng, 4) == 0;
        alert_world_init(&n->w, seed + i);
        n->w.answer = answer;
        n->w.answer_arg = n;
        n->w.on_claim = on_claim;
        n->w.on_record = on_record;
        n->w.peer_arg = n;
        configure(n);
    }
    tell_members(s);
    for (int64_t second = 0; second < 1800 && !s->failure; second++) {
        if (second < 1300)
            act(s);
        if (second == 1300) { /* the end of all trouble: what fires must be said by the remaining nodes */
            s->receiver_down = s->parted = false;
            s->loss_percent = 0;
            tell_members(s);
        }
        for (size_t i = 0; i < s->alerts_count; i++)
            if (s->firing[i] && (second + (int64_t)i) % 60 == 0)
                post(s, i);
        if (second % 60 == 30)
            repair(s);
        run(s, 1000);
        check_said(s);
    }
    size_t attempts = 0;
    for (size_t i = 0; i < s->nodes_count; i++)
        attempts += s->nodes[i].w.sent_count;
    if (s->failure || verbose)
        printf("seed=0x%llx %s %s (%zu nodes, %s, %zu attempts)\n", (unsigned long long)seed,
               s->failure ? s->failure : "passed", s->detail, s->nodes_count, s->calm ? "calm" : "disturbed", attempts);
    for (size_t i = 0; i < s->nodes_count; i++)
        alert_world_deinit(&s->nodes[i].w);
    mem_free(s->messages);
    arena_deinit(&s->arena);
    return !s->failure;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 100, first = 1, passed = 0, failed = 0;
    bool one = false;
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t v;
        if (!num_parse_u64(str_c(argv[i + 1]), 0, &v)) {
            (void)fprintf(stderr, "usage: dispatch_peers [--seeds N] [--seed S]\n");
            return 2;
        }
        if (strcmp(argv[i], "--seeds") == 0)
            seeds = v;
        else if (strcmp(argv[i], "--seed") == 0) {
            first = v;
            one = true;
        }
    }
    if (one && argc == 3)
        seeds = 1;
    printf("seed=0x%llx\n", (unsigned long long)first);
    for (uint64_t i = 0; i < seeds; i++) {
        if (simulate(first + i, seeds == 1)) {
            passed++;
            continue;
        }
        printf("replay: dispatch_peers --seed 0x%llx\n", (unsigned long long)(first + i));
        if (++failed >= 10)
            break;
    }
    printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)failed);
    return failed ? 1 : 0;
}
