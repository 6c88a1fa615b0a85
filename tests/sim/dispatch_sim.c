/* Dispatch under a virtual clock and random schedules: alerts that fire, are re-sent, resolve and return; silences; an
 * inhibition rule; receivers that break for a while or refuse; reloads of the configuration; restarts of the process.
 *
 *     dispatch_sim [--seeds N] [--seed S]
 *
 * Checked all along:
 *   twice      an attempt says something that the receiver has not been told: by the table of the log, held against what
 *              the receiver has accepted so far; and no two attempts for one log entry are in flight at once
 *   false      nothing is said to be resolved that its sender still fires
 *   unsaid     what fires, is not muted and has a healthy receiver has been said within the route's intervals
 *   unresolved what has been resolved for long, and was never muted meanwhile, has been said to be
 *
 * A schedule is its seed. Prints seed=0x… first; on failure how to replay it. */
#include "base/num.h"
#include "lib/alert_world.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ALERTS_MAX = 24,
    RECEIVERS = 3,
    SILENCES_MAX = 16,
    KEYS_MAX = 4096,
    STEP_MS = 1000,
    RESEND_MS = 60000,
    LIFE_MS = 240000, /* what a sender adds to each re-send */
};

struct sender { /* one alert, as its sender sees it */
    char labels[96];
    struct labels set;
    uint64_t hash;
    bool firing, ever;
    int64_t since_ms;      /* of the present state */
    int64_t sent_ms;       /* the last re-send */
    int64_t end_ms;        /* what the last re-send said */
    int64_t lapsed_ms;     /* the last re-send that came too late (after a restart) */
    int64_t muted_ms;      /* last seen muted, or not seen at all (the process was down) */
};
struct told { /* what a receiver has accepted under one log key */
    struct str key;
    const struct alert_world_sent *last;
    size_t last_index;
    bool any;
    bool unknown; /* whether the last attempt was accepted: the process died over it */
    size_t in_flight;
};
struct sim {
    struct alert_world w;
    struct rng rng;
    uint64_t seed;
    struct sender senders[ALERTS_MAX];
    size_t senders_count;
    struct str silences[SILENCES_MAX];
    size_t silences_count;
    int64_t broken_until_ms[RECEIVERS], last_broken_ms[RECEIVERS];
    bool refuses[RECEIVERS];
    bool send_resolved[RECEIVERS];
    struct told told[KEYS_MAX];
    size_t told_count;
    size_t checked; /* of w.sent */
    size_t oldest;  /* of w.sent, not answered yet */
    int64_t configured_ms, stopped_ms, restarted_ms;
    bool inhibits;
    int64_t repeat_ms;
    const char *failure;
    char detail[256];
};

static int64_t now_ms(const struct sim *s)
{
    return s->w.now.ms - ALERT_WORLD_START;
}

static void fail(struct sim *s, const char *what, struct str detail)
{
    if (s->failure)
        return;
    s->failure = what;
    (void)snprintf(s->detail, sizeof s->detail, "at %lld ms: %.*s", (long long)now_ms(s), STR_ARG(detail));
}

/* ---- Configuration ---- */

static const char *pick(struct rng *rng, const char *const *v, size_t n)
{
    return v[rng_below(rng, n)];
}

static void write_route(struct buf *b, struct rng *rng)
{
    static const char *const waits[] = { "0s", "1s", "10s", "30s" };
    static const char *const intervals[] = { "10s", "20s", "1m" };
    static const char *const groups[] = { "[team]", "[alertname]", "[alertname, team]", "['...']", "[]" };
    buf_printf(b, "  group_wait: %s\n  group_interval: %s\n  group_by: %s\n", pick(rng, waits, 4),
               pick(rng, intervals, 3), pick(rng, groups, 5));
}

static void configure(struct sim *s)
{
    struct buf b = { 0 };
    struct rng *rng = &s->rng;
    static const char *const repeats[] = { "2m", "5m", "1h" };
    static const int64_t repeat_values[] = { 120000, 300000, 3600000 };
    size_t repeat = rng_below(rng, 3);
    s->repeat_ms = repeat_values[repeat];
    buf_printf(&b, "route:\n  receiver: r0\n  repeat_interval: %s\n", repeats[repeat]);
    write_route(&b, rng);
    buf_c(&b, "  routes:\n  - receiver: r1\n    matchers: ['team=\"t1\"']\n");
    buf_printf(&b, "    continue: %s\n", rng_below(rng, 2) ? "true" : "false");
    buf_c(&b, "  - receiver: r2\n    matchers: ['team=~\"t[12]\"']\n    group_interval: 15s\n    group_by: [alertname]\n");
    s->inhibits = rng_below(rng, 2);
    if (s->inhibits)
        buf_c(&b, "inhibit_rules:\n- source_matchers: ['alertname=\"A0\"']\n  target_matchers: ['alertname=\"A1\"']\n"
                  "  equal: [team]\n");
    buf_c(&b, "receivers:\n");
    for (int i = 0; i < RECEIVERS; i++) {
        s->send_resolved[i] = i != 2;
        buf_printf(&b, "- name: r%d\n  webhook_configs:\n  - url: http://x/\n    send_resolved: %s\n", i,
                   s->send_resolved[i] ? "true" : "false");
    }
    alert_world_configure(&s->w, b.p);
    s->configured_ms = now_ms(s);
    buf_deinit(&b);
}

/* ---- What receivers hear ---- */

static size_t receiver_number(struct str name)
{
    return (size_t)(name.p[1] - '0');
}

static enum send_verdict answer(void *arg, struct alert_world_sent *sent, int64_t *delay_ms)
{
    struct sim *s = arg;
    size_t r = receiver_number(sent->receiver);
    *delay_ms = 1 + (int64_t)rng_below(&s->rng, rng_below(&s->rng, 20) ? 200 : 8000);
    if (now_ms(s) >= s->broken_until_ms[r])
        return SEND_DONE;
    return s->refuses[r] ? SEND_FAIL : SEND_RETRY;
}

static struct told *told_of(struct sim *s, const struct alert_world_sent *sent)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%.*s:%.*s", STR_ARG(sent->group_key), STR_ARG(sent->receiver));
    struct str key = str_of(text, (size_t)n);
    for (size_t i = 0; i < s->told_count; i++)
        if (str_eq(s->told[i].key, key))
            return &s->told[i];
    if (s->told_count == KEYS_MAX)
        return NULL;
    struct told *t = &s->told[s->told_count++];
    *t = (struct told){ .key = arena_str(&s->w.arena, key) };
    return t;
}

static bool is_subset(const uint64_t *a, size_t a_count, const uint64_t *b, size_t b_count)
{
    for (size_t i = 0; i < a_count; i++) {
        bool found = false;
        for (size_t k = 0; !found && k < b_count; k++)
            found = a[i] == b[k];
        if (!found)
            return false;
    }
    return true;
}

/* A receiver that is not told of resolutions may be told again of what fires, if anything in the group changed. */
static bool anything_changed_since(const struct sim *s, int64_t at_ms)
{
    for (size_t i = 0; i < s->senders_count; i++)
        if (s->senders[i].since_ms >= at_ms || s->senders[i].muted_ms >= at_ms || s->senders[i].lapsed_ms >= at_ms)
            return true;
    return false;
}

/* By what its sender said lately (a retry repeats an older view), the alert fires: its end is ahead, or fell into the time when the process was down. */
static bool must_fire(const struct sim *s, const struct sender *x, int64_t at_ms)
{
    bool ahead = x->end_ms > at_ms;
    bool unheard = x->end_ms > s->stopped_ms && x->end_ms <= s->restarted_ms && at_ms - s->restarted_ms < LIFE_MS;
    return x->firing && at_ms - x->since_ms > 120000 && at_ms - x->lapsed_ms > 120000 && (ahead || unheard);
}

static void check_attempt(struct sim *s, const struct alert_world_sent *a)
{
    struct told *t = told_of(s, a);
    if (!t)
        return;
    if (t->in_flight++)
        fail(s, "twice: two attempts at once", t->key);
    if (t->any) {
        const struct alert_world_sent *last = &s->w.sent[t->last_index];
        bool news = !is_subset(a->firing_hashes, a->firing_count, last->firing_hashes, last->firing_count) ||
                    (a->firing_count == 0 && last->firing_count) ||
                    !is_subset(a->resolved_hashes, a->resolved_count, last->resolved_hashes, last->resolved_count);
        news = news || (!s->send_resolved[receiver_number(a->receiver)] && anything_changed_since(s, last->at_ms));
        if (!news && !t->unknown && a->at_ms - last->at_ms < s->repeat_ms - 10000)
            fail(s, "twice: said again", t->key);
    } else if (a->firing_count == 0 && !t->unknown) {
        fail(s, "twice: resolved before it was said to fire", t->key);
    }
    for (size_t i = 0; i < s->senders_count; i++) {
        const struct sender *x = &s->senders[i];
        if (must_fire(s, x, a->at_ms) && is_subset(&x->hash, 1, a->resolved_hashes, a->resolved_count))
            fail(s, "false: said to be resolved", str_c(x->labels));
    }
}

/* Takes notice of what was attempted and answered since the last look. */
static void observe(struct sim *s)
{
    for (; s->checked < s->w.sent_count; s->checked++)
        check_attempt(s, &s->w.sent[s->checked]);
}

static const size_t SEEN = SIZE_MAX; /* in data_count, which is not used here */

static void observe_answers(struct sim *s)
{
    while (s->oldest < s->checked && s->w.sent[s->oldest].data_count == SEEN)
        s->oldest++;
    for (size_t i = s->oldest; i < s->w.sent_count; i++) {
        struct alert_world_sent *a = &s->w.sent[i];
        if (!a->answered || a->data_count == SEEN)
            continue;
        a->data_count = SEEN;
        struct told *t = told_of(s, a);
        if (!t)
            continue;
        t->in_flight--;
        if (a->verdict == SEND_DONE) {
            t->any = true;
            t->unknown = false;
            t->last_index = i;
        }
    }
}

/* One millisecond of the clock at a time would be slow: run to the next answer or attempt instead. */
static void run(struct sim *s, int64_t ms)
{
    mono_ms end = mono_add(s->w.now, ms);
    observe(s);
    while (mono_before(s->w.now, end)) {
        mono_ms next = dispatch_deadline(s->w.d);
        for (size_t i = 0; i < s->w.pending_count; i++)
            next = mono_min(next, s->w.pending[i].at);
        if (mono_before(next, s->w.now))
            next = s->w.now;
        next = mono_min(next, end);
        alert_world_run(&s->w, next.ms - s->w.now.ms);
        observe_answers(s);
        observe(s);
        if (next.ms == end.ms)
            return;
    }
}

/* ---- What is expected ---- */

static bool is_muted_now(struct sim *s, const struct sender *x)
{
    struct alert_slot *slot = alert_store_get(s->w.alerts, labels_fingerprint(x->set));
    if (silence_store_match(s->w.silences, alert_world_wall(&s->w), x->set, NULL, 0))
        return true;
    if (!slot || !s->inhibits || !str_eq(labels_get(x->set, STR("alertname")), STR("A1")))
        return false;
    for (size_t i = 0; i < s->senders_count; i++) {
        const struct sender *o = &s->senders[i];
        bool may_inhibit = str_eq(labels_get(o->set, STR("alertname")), STR("A0")) &&
                           str_eq(labels_get(o->set, STR("team")), labels_get(x->set, STR("team")));
        if (may_inhibit && o->ever && (o->firing || now_ms(s) - o->since_ms < LIFE_MS))
            return true;
    }
    return false;
}

static void check_said(struct sim *s, const struct sender *x, const struct route *r)
{
    size_t number = receiver_number(r->receiver);
    int64_t bound_ms = r->group_wait_ms + 2 * r->group_interval_ms + 120000, since_ms = x->since_ms;
    if (since_ms < s->configured_ms)
        since_ms = s->configured_ms;
    if (since_ms < x->muted_ms)
        since_ms = x->muted_ms;
    if (since_ms < s->last_broken_ms[number])
        since_ms = s->last_broken_ms[number];
    if (now_ms(s) - since_ms < bound_ms)
        return;
    struct arena a;
    struct buf key = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    route_group_key_write(&key, r, route_group_labels(&a, r, x->set));
    buf_printf(&key, ":%.*s", STR_ARG(r->receiver));
    const struct told *t = NULL;
    for (size_t i = 0; !t && i < s->told_count; i++)
        if (str_eq(s->told[i].key, buf_view(&key)))
            t = &s->told[i];
    bool said_firing = t && t->any &&
                       is_subset(&x->hash, 1, s->w.sent[t->last_index].firing_hashes, s->w.sent[t->last_index].firing_count);
    if (x->firing && !said_firing)
        fail(s, "unsaid", buf_view(&key));
    /* A flush that finds it resolved and muted takes it out of the group without a word: upstream's way. */
    bool muted_since = said_firing && x->muted_ms >= s->w.sent[t->last_index].at_ms;
    if (!x->firing && said_firing && !muted_since && s->send_resolved[number])
        fail(s, "unresolved", buf_view(&key));
    buf_deinit(&key);
    arena_deinit(&a);
}

static void check_all_said(struct sim *s)
{
    uint32_t routes[16];
    for (size_t i = 0; i < s->senders_count; i++) {
        struct sender *x = &s->senders[i];
        if (!x->ever)
            continue;
        if (is_muted_now(s, x))
            x->muted_ms = now_ms(s);
        size_t n = route_tree_match(s->w.routes, x->set, routes, ARRAY_LEN(routes));
        for (size_t k = 0; k < n && k < ARRAY_LEN(routes); k++)
            check_said(s, x, route_tree_at(s->w.routes, routes[k]));
    }
}

/* ---- What happens ---- */

static void send(struct sim *s, struct sender *x)
{
    if (x->end_ms < now_ms(s))
        x->lapsed_ms = now_ms(s);
    x->sent_ms = now_ms(s);
    x->end_ms = now_ms(s) + LIFE_MS;
    alert_world_post_at(&s->w, x->labels, x->since_ms - now_ms(s), LIFE_MS);
}

static void note_mutes(struct sim *s)
{
    for (size_t i = 0; i < s->senders_count; i++)
        if (is_muted_now(s, &s->senders[i]))
            s->senders[i].muted_ms = now_ms(s);
}

static void toggle(struct sim *s, struct sender *x)
{
    if (!x->ever && x->firing)
        return;
    int64_t before_ms = x->since_ms;
    x->firing = !x->firing;
    x->ever = true;
    if (x->firing) {
        x->since_ms = now_ms(s);
        send(s, x);
        note_mutes(s);
        return;
    }
    x->sent_ms = now_ms(s);
    alert_world_post_at(&s->w, x->labels, before_ms - now_ms(s), 0);
    x->since_ms = now_ms(s);
}

static void restart(struct sim *s)
{
    struct buf timers = { 0 };
    size_t cursor = 0;
    dispatch_snapshot_timers(s->w.d, s->w.now, alert_world_wall(&s->w), &cursor, SIZE_MAX, &timers);
    /* What is in flight when a process dies may or may not have been accepted: the receiver's word counts. */
    for (size_t i = 0; i < s->w.pending_count; i++) {
        struct alert_world_sent *a = &s->w.sent[s->w.pending[i].sent];
        struct told *t = told_of(s, a);
        if (t) {
            t->unknown = true;
            t->in_flight = 0;
        }
        a->data_count = SEEN;
    }
    struct wire_time alive = alert_world_wall(&s->w);
    s->stopped_ms = now_ms(s);
    alert_world_stop_dispatch(&s->w);
    s->w.now = mono_add(s->w.now, (int64_t)rng_below(&s->rng, 600000));
    s->restarted_ms = now_ms(s);
    alert_world_init_dispatch(&s->w);
    alert_store_restored(s->w.alerts, alive, alert_world_wall(&s->w));
    struct str rest = buf_view(&timers), record;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    while (alert_snapshot_next(&rest, &record)) {
        struct alert_record r;
        struct err err;
        if (alert_record_parse(&a, record, &r, &err))
            dispatch_restore_timer(s->w.d, &r.timer);
    }
    arena_deinit(&a);
    buf_deinit(&timers);
    alert_world_peers(&s->w, NULL, true);
    configure(s);
    for (size_t i = 0; i < s->senders_count; i++) /* senders come back within a minute */
        s->senders[i].sent_ms = now_ms(s) - (int64_t)rng_below(&s->rng, RESEND_MS);
}

static void add_silence(struct sim *s)
{
    if (s->silences_count == SILENCES_MAX)
        return;
    char text[32];
    if (rng_below(&s->rng, 2))
        (void)snprintf(text, sizeof text, "team=t%d", (int)rng_below(&s->rng, 4));
    else
        (void)snprintf(text, sizeof text, "alertname=A%d", (int)rng_below(&s->rng, 4));
    s->silences[s->silences_count++] = alert_world_silence(&s->w, text, 0, 1000 + (int64_t)rng_below(&s->rng, 600000));
    note_mutes(s);
}

static void expire_silence(struct sim *s)
{
    if (s->silences_count == 0)
        return;
    note_mutes(s);
    struct silence_changes changes;
    struct err err;
    if (silence_store_expire(s->w.silences, alert_world_wall(&s->w), s->silences[rng_below(&s->rng, s->silences_count)],
                             &changes, &err))
        silence_changes_deinit(&changes);
}

static void break_receiver(struct sim *s)
{
    size_t r = (size_t)rng_below(&s->rng, RECEIVERS);
    s->broken_until_ms[r] = now_ms(s) + (int64_t)rng_below(&s->rng, 300000);
    s->refuses[r] = rng_below(&s->rng, 2);
}

static void act(struct sim *s)
{
    switch (rng_below(&s->rng, 400)) {
    case 0:
        configure(s);
        break;
    case 1:
        restart(s);
        break;
    case 2:
    case 3:
        break_receiver(s);
        break;
    case 4:
    case 5:
        add_silence(s);
        break;
    case 6:
        expire_silence(s);
        break;
    default:
        if (rng_below(&s->rng, 20) == 0)
            toggle(s, &s->senders[rng_below(&s->rng, s->senders_count)]);
        break;
    }
}

static void tick(struct sim *s, bool calm)
{
    if (!calm)
        act(s);
    for (size_t i = 0; i < s->senders_count; i++) {
        struct sender *x = &s->senders[i];
        if (x->firing && now_ms(s) - x->sent_ms >= RESEND_MS)
            send(s, x);
    }
    for (size_t r = 0; r < RECEIVERS; r++)
        if (now_ms(s) < s->broken_until_ms[r])
            s->last_broken_ms[r] = now_ms(s);
    run(s, STEP_MS);
    if (now_ms(s) / STEP_MS % 8 == 0)
        check_all_said(s);
}

static bool simulate(uint64_t seed, bool verbose)
{
    static struct sim sim; /* large */
    struct sim *s = &sim;
    memset(s, 0, sizeof *s);
    s->seed = seed;
    rng_seed(&s->rng, seed);
    alert_world_init(&s->w, seed);
    s->w.answer = answer;
    s->w.answer_arg = s;
    s->senders_count = 1 + (size_t)rng_below(&s->rng, ALERTS_MAX);
    for (size_t i = 0; i < s->senders_count; i++) {
        struct sender *x = &s->senders[i];
        (void)snprintf(x->labels, sizeof x->labels, "alertname=A%d,instance=i%zu,team=t%d", (int)rng_below(&s->rng, 4), i,
                       (int)rng_below(&s->rng, 4));
        x->set = alert_world_labels(&s->w, x->labels);
        x->hash = labels_nflog_hash(x->set);
        x->muted_ms = -1;
    }
    for (size_t r = 0; r < RECEIVERS; r++)
        s->last_broken_ms[r] = -1;
    configure(s);
    int64_t ticks = 60 + (int64_t)rng_below(&s->rng, 1500), calm = 420;
    for (int64_t i = 0; i < ticks + calm && !s->failure; i++)
        tick(s, i >= ticks);
    if (s->failure || verbose)
        printf("seed=0x%llx %s %s (%zu attempts, %zu steps, %.0f minutes)\n", (unsigned long long)seed,
               s->failure ? s->failure : "passed", s->detail, s->w.sent_count, s->w.steps, (double)now_ms(s) / 60000);
    bool ok = !s->failure;
    alert_world_deinit(&s->w);
    return ok;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 200, first = 1, passed = 0, failed = 0;
    bool one = false;
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t v;
        if (!num_parse_u64(str_c(argv[i + 1]), 0, &v)) {
            (void)fprintf(stderr, "usage: dispatch_sim [--seeds N] [--seed S]\n");
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
        printf("replay: dispatch_sim --seed 0x%llx\n", (unsigned long long)(first + i));
        if (++failed >= 10)
            break;
    }
    printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)failed);
    return failed ? 1 : 0;
}
