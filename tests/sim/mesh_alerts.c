/* Alerts between replicas under a seed: senders that each know one replica only, re-sending as Prometheus does, on a mesh
 * that loses packets, splits, and whose members die and come back with or without their memory. Then it heals, and
 *   - all replicas soon hold the same alerts, firing or resolved alike, and
 *   - no alert that is still re-sent to any of them lapses at any of them.
 *
 * mesh_alerts --nodes N --seeds K [--seed S] */
#include "lib/mesh_world.h"

#include "base/bytes.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "crypto/aead.h"
#include "gossip/alert_sync.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NODES_MAX   8
#define ALERTS      60
#define RESEND_MS   60000
#define LASTS       240000 /* endsAt: four re-sends ahead */
#define EPOCH       1700000000000
#define RECORD      24

struct side {
    struct alert_sync *sync;
    struct alert_sync_out out;
    struct alert_sync_stats stats;
    struct map64 alerts;
};

struct source { /* who sends one alert */
    uint64_t fp;
    size_t node; /* to whom */
    bool active;
    int64_t next_ms;
};

static struct side sides[NODES_MAX];
static struct source sources[ALERTS];
static size_t nodes;
static struct world *world;

static wall_ms wall_now(void)
{
    return EPOCH + world_now(world);
}
static bool resolved(const struct alert_sync_entry *e)
{
    return e->ends_at <= wall_now();
}

/* ---- the store --------------------------------------------------------------------------------------------------------- */

static void bucket_hashes(void *arg, wall_ms now, uint64_t out[ALERT_SYNC_BUCKETS])
{
    struct side *s = arg;
    struct alert_sync_entry *e;
    for (size_t at = 0; (e = map64_next(&s->alerts, &at)) != NULL;)
        if (e->ends_at > now - 4 * ALERT_SYNC_INTERVAL_MS)
            out[e->fp >> 56] ^= alert_sync_mix(e->fp, e->ends_at <= now);
}
static void bucket_list(void *arg, wall_ms now, unsigned bucket, void (*visit)(void *, struct alert_sync_entry), void *visit_arg)
{
    struct side *s = arg;
    struct alert_sync_entry *e;
    for (size_t at = 0; (e = map64_next(&s->alerts, &at)) != NULL;)
        if (e->fp >> 56 == bucket && e->ends_at > now - 4 * ALERT_SYNC_INTERVAL_MS)
            visit(visit_arg, *e);
}
static void expiring(void *arg, wall_ms now, wall_ms before, size_t max, void (*visit)(void *, struct alert_sync_entry), void *visit_arg)
{
    struct side *s = arg;
    struct alert_sync_entry *e;
    size_t n = 0;
    for (size_t at = 0; (e = map64_next(&s->alerts, &at)) != NULL && n < max;)
        if (e->ends_at > now && e->ends_at <= before) {
            visit(visit_arg, *e);
            n++;
        }
}
static bool lookup(void *arg, uint64_t fp, struct alert_sync_entry *out)
{
    struct side *s = arg;
    struct alert_sync_entry *e = map64_get(&s->alerts, fp);
    if (e)
        *out = *e;
    return e != NULL;
}
static bool encode(void *arg, uint64_t fp, struct buf *out)
{
    struct alert_sync_entry e;
    if (!lookup(arg, fp, &e))
        return false;
    buf_le64(out, e.fp);
    buf_le64(out, (uint64_t)e.ends_at);
    buf_le64(out, (uint64_t)e.updated_at);
    return true;
}

/* True if it is news: unknown, or resolved where it was firing, or the reverse. */
static bool merge(size_t i, struct alert_sync_entry in)
{
    struct alert_sync_entry *e = map64_get(&sides[i].alerts, in.fp);
    bool news = !e || resolved(e) != (in.ends_at <= wall_now());
    if (!e) {
        e = MEM_NEW(struct alert_sync_entry);
        map64_put(&sides[i].alerts, in.fp, e);
    } else if (e->updated_at >= in.updated_at) {
        return false;
    }
    *e = in;
    return news;
}

static void forget_all(size_t i)
{
    struct alert_sync_entry *e;
    for (size_t at = 0; (e = map64_next(&sides[i].alerts, &at)) != NULL;)
        mem_free(e);
    map64_deinit(&sides[i].alerts);
    sides[i].alerts = (struct map64){ 0 };
}

/* ---- between the store and the mesh ---------------------------------------------------------------------------------------- */

static void sync_step(size_t i, const struct alert_sync_event *ev)
{
    struct side *s = &sides[i];
    struct alert_sync_out out = s->out;
    s->out = (struct alert_sync_out){ 0 };
    alert_sync_out_reset(&out);
    alert_sync_step(s->sync, (mono_ms){ world_now(world) }, wall_now(), ev, &out);
    for (size_t k = 0; k < out.count; k++)
        world_send(world, i, out.msgs[k].to, out.msgs[k].key, out.msgs[k].bytes);
    alert_sync_out_deinit(&s->out);
    s->out = out;
}

static void on_deliver(void *arg, struct world *w, size_t i, struct str key, struct str bytes, bool full)
{
    (void)arg;
    (void)w;
    (void)full;
    if (alert_sync_key(key) && sides[i].sync) {
        struct alert_sync_event ev = { .kind = ALERT_SYNC_MESSAGE, .key = key, .bytes = bytes };
        sync_step(i, &ev);
    } else if (str_eq(key, STR(ALERT_SYNC_NEWS))) {
        for (size_t at = 0; at + RECORD <= bytes.n; at += RECORD)
            (void)merge(i, (struct alert_sync_entry){ get_le64(bytes.p + at), (wall_ms)get_le64(bytes.p + at + 8),
                                                      (wall_ms)get_le64(bytes.p + at + 16) });
    }
}

static void on_state(void *arg, struct world *w, size_t i, bool own, struct buf *out)
{
    (void)arg;
    (void)w;
    (void)i;
    gossip_full_state_add(out, STR("sil"), STR_EMPTY);
    if (own)
        gossip_full_state_add(out, STR("tocsin.here"), STR_EMPTY);
}

static void on_member(void *arg, struct world *w, size_t i, const struct gossip_effect *e)
{
    (void)arg;
    (void)w;
    if (!sides[i].sync) {
        struct alert_sync_config config = { .name = world_name(world, i), .seed = rng_u64(world_rng(world)),
                                            .store = { &sides[i], bucket_hashes, bucket_list, expiring, lookup, encode } };
        sides[i].sync = alert_sync_new(&config, &sides[i].stats);
    }
    if (e->is_self || !e->tocsin)
        return;
    struct alert_sync_event ev = { .kind = e->kind == GOSSIP_MEMBER_LEFT ? ALERT_SYNC_PEER_DOWN : ALERT_SYNC_PEER_UP,
                                   .name = e->name };
    sync_step(i, &ev);
}

static void on_crash(void *arg, struct world *w, size_t i)
{
    (void)arg;
    alert_sync_free(sides[i].sync);
    sides[i].sync = NULL;
    if (rng_below(world_rng(w), 2))
        forget_all(i); /* the disk is gone as well */
}

/* ---- senders --------------------------------------------------------------------------------------------------------------------- */

static void send_alert(struct source *s, bool firing)
{
    if (!world_is_up(world, s->node))
        return;
    struct alert_sync_entry e = { s->fp, wall_now() + (firing ? LASTS : 0), wall_now() };
    if (!merge(s->node, e))
        return;
    struct buf record = { 0 };
    (void)encode(&sides[s->node], s->fp, &record);
    world_broadcast(world, s->node, STR(ALERT_SYNC_NEWS), buf_view(&record));
    buf_deinit(&record);
}

static void pass(int64_t ms)
{
    for (int64_t t = 0; t < ms; t += 250) {
        world_run(world, 250);
        for (size_t k = 0; k < ALERTS; k++)
            if (sources[k].active && sources[k].next_ms <= world_now(world)) {
                send_alert(&sources[k], true);
                sources[k].next_ms = world_now(world) + RESEND_MS;
            }
        for (size_t i = 0; i < nodes; i++) {
            struct alert_sync_event ev = { .kind = ALERT_SYNC_TIMER };
            for (unsigned n = 0; n < 100 && sides[i].sync && alert_sync_deadline(sides[i].sync).ms <= world_now(world); n++)
                sync_step(i, &ev);
        }
    }
}

static void trouble(void)
{
    struct rng *rng = world_rng(world);
    size_t i = rng_below(rng, nodes);
    struct source *s = &sources[rng_below(rng, ALERTS)];
    switch (rng_below(rng, 8)) {
    case 0:
        for (size_t k = 0; k < nodes; k++)
            if (k != i) {
                world_cut(world, i, k, rng_below(rng, 2));
                world_cut(world, k, i, rng_below(rng, 2));
            }
        break;
    case 1:
        world_crash(world, i);
        break;
    case 2:
    case 3:
        if (!world_is_up(world, i))
            world_start(world, i, 0);
        break;
    default:
        s->active = !s->active;
        s->next_ms = world_now(world);
        if (!s->active)
            send_alert(s, false);
    }
}

/* The same alerts everywhere: firing or not, whoever holds them. */
static bool agree(void)
{
    for (size_t k = 0; k < ALERTS; k++) {
        int seen = -1;
        for (size_t i = 0; i < nodes; i++) {
            struct alert_sync_entry e;
            if (!world_is_up(world, i))
                continue;
            int firing = lookup(&sides[i], sources[k].fp, &e) && !resolved(&e);
            if (seen >= 0 && firing != seen)
                return false;
            seen = firing;
        }
    }
    return true;
}

static const char *check(void)
{
    world_heal(world);
    for (size_t i = 0; i < nodes; i++)
        if (!world_is_up(world, i))
            world_start(world, i, 0);
    int64_t start = world_now(world);
    while (!(world_converged(world) && agree())) {
        if (world_now(world) - start > 400000)
            return world_converged(world) ? "alerts differ" : "members differ";
        pass(500);
    }
    /* Every sender that is active is heard by one replica only. */
    for (int64_t t = 0; t < 900000; t += 5000) {
        pass(5000);
        for (size_t k = 0; k < ALERTS; k++)
            for (size_t i = 0; sources[k].active && t > RESEND_MS + 2 * ALERT_SYNC_INTERVAL_MS && i < nodes; i++) {
                struct alert_sync_entry e;
                if (!lookup(&sides[i], sources[k].fp, &e) || resolved(&e))
                    return "an alert that is still sent has lapsed";
            }
    }
    return NULL;
}

static bool run_seed(uint64_t seed)
{
    struct rng pick;
    rng_seed(&pick, seed ^ 0xa1e47);
    struct world_config config = {
        .seed = seed,
        .nodes = nodes,
        .loss_permille = (unsigned)rng_below(&pick, 200),
        .duplicate_permille = (unsigned)rng_below(&pick, 100),
        .delay_min_ms = 1,
        .delay_max_ms = 1 + (int64_t)rng_below(&pick, 60),
        .peers = true,
        .skew = true,
        .app = { .deliver = on_deliver, .state = on_state, .member = on_member, .crashed = on_crash },
    };
    world = world_new(&config);
    for (size_t i = 0; i < nodes; i++)
        world_start(world, i, 0);
    for (size_t k = 0; k < ALERTS; k++)
        sources[k] = (struct source){ .fp = rng_u64(&pick), .node = rng_below(&pick, nodes), .active = rng_below(&pick, 2) };
    for (uint64_t n = 30 + rng_below(&pick, 30); n > 0; n--) {
        trouble();
        pass((int64_t)rng_below(world_rng(world), 10000));
    }
    const char *why = check();
    if (why)
        printf("FAIL seed=0x%llx: %s; replay: mesh_alerts --nodes %zu --seeds 1 --seed 0x%llx\n", (unsigned long long)seed, why, nodes,
               (unsigned long long)seed);
    for (size_t i = 0; i < nodes; i++) {
        alert_sync_free(sides[i].sync);
        alert_sync_out_deinit(&sides[i].out);
        forget_all(i);
        sides[i] = (struct side){ 0 };
    }
    world_free(world);
    return why == NULL;
}

int main(int argc, char **argv)
{
    uint64_t count = 3, seeds = 30, seed = (uint64_t)time(NULL) * 1000003;
    crypto_init();
    for (int i = 1; i + 1 < argc; i += 2) {
        struct str flag = str_c(argv[i]);
        uint64_t *value = str_eq(flag, STR("--nodes"))   ? &count
                          : str_eq(flag, STR("--seeds")) ? &seeds
                          : str_eq(flag, STR("--seed"))  ? &seed
                                                         : NULL;
        if (!value || !num_parse_u64(str_c(argv[i + 1]), 0, value)) {
            fprintf(stderr, "usage: mesh_alerts [--nodes N] [--seeds K] [--seed S]\n");
            return 2;
        }
    }
    nodes = count < 1 ? 1 : count > NODES_MAX ? NODES_MAX : count;
    printf("seed=0x%llx\n", (unsigned long long)seed);
    fflush(stdout);
    uint64_t passed = 0;
    for (uint64_t k = 0; k < seeds; k++)
        passed += run_seed(seed + k);
    printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)(seeds - passed));
    return passed == seeds ? 0 : 1;
}
