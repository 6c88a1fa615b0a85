/* Meshes under a seed: nodes join, networks lose, delay, double, reorder and split, clocks disagree, nodes stall, die,
 * come back, leave. At the end the network heals, and then
 *   - every node that is up lists exactly the nodes that are up, and
 *   - every record that any of them holds, each of them holds: in particular every record that a node of them broadcast;
 * and from then on, while it stays calm,
 *   - nobody is taken for dead, and what one says is heard by all within a second;
 *   - a node that dies is found out by all.
 *
 * mesh_sim --nodes N --seeds K [--seed S]    K seeds from S on (or from a random place); prints the first seed at once
 * mesh_sim --table                           rounds and bytes until one record is everywhere, by size of the mesh */
#include "lib/mesh_world.h"

#include "base/num.h"
#include "crypto/aead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct run {
    struct world *world;
    struct world_sets *sets;
    size_t nodes;
    unsigned records;
    unsigned generations[64];
    bool upstream; /* some nodes speak as upstream does */
};

static void random_record(struct run *r, size_t node)
{
    struct rng *rng = world_rng(r->world);
    char text[3000];
    int n = snprintf(text, sizeof text, "record %u of %zu ", r->records++, node);
    size_t size = (size_t)n + rng_below(rng, 200);
    if (rng_below(rng, 20) == 0)
        size += 600 + rng_below(rng, 2000);
    if (size > sizeof text)
        size = sizeof text;
    memset(text + n, 'x', size - (size_t)n);
    world_sets_add(r->world, r->sets, node, rng_below(rng, 2) ? STR("sil") : STR("nfl"), str_of(text, size));
}

static void split(struct run *r)
{
    struct rng *rng = world_rng(r->world);
    uint64_t side = rng_u64(rng);
    unsigned kind = (unsigned)rng_below(rng, 3);
    for (size_t a = 0; a < r->nodes; a++)
        for (size_t b = 0; b < r->nodes; b++) {
            bool apart = ((side >> a) & 1) != ((side >> b) & 1);
            if (kind == 0 && apart) /* two halves */
                world_cut(r->world, a, b, true);
            else if (kind == 1 && apart && a < b) /* deaf in one direction */
                world_cut(r->world, a, b, true);
            else if (kind == 2 && a != b && rng_below(rng, 4) == 0) /* holes anywhere */
                world_cut(r->world, a, b, true);
        }
}

static void trouble(struct run *r)
{
    struct world *w = r->world;
    struct rng *rng = world_rng(w);
    size_t i = rng_below(rng, r->nodes);
    switch (rng_below(rng, 10)) {
    case 0:
        split(r);
        break;
    case 1:
        for (size_t a = 0; a < r->nodes; a++)
            for (size_t b = 0; b < r->nodes; b++)
                world_cut(w, a, b, false);
        break;
    case 2:
        world_crash(w, i);
        break;
    case 3:
        world_leave(w, i);
        break;
    case 4:
        if (world_is_up(w, i))
            world_pause(w, i, (int64_t)rng_below(rng, 12000));
        break;
    case 5:
    case 6:
        if (!world_is_up(w, i))
            world_start(w, i, rng_below(rng, 3) ? r->generations[i] : ++r->generations[i]);
        break;
    default:
        for (uint64_t k = rng_below(rng, 4) == 0 ? 60 : 1; k > 0; k--)
            if (world_is_up(w, i))
                random_record(r, i);
        break;
    }
}

static unsigned departures; /* of members that are up, since it was last set to 0 */

static void on_member(void *arg, struct world *w, size_t node, const struct gossip_effect *e)
{
    (void)arg;
    (void)node;
    if (e->kind != GOSSIP_MEMBER_LEFT)
        return;
    for (size_t i = 0; i < world_nodes(w); i++) /* a name of the past may be heard of once more, and die again */
        departures += world_is_up(w, i) && str_eq(world_name(w, i), e->name);
}

static bool settled(void *arg, struct world *w)
{
    struct run *r = arg;
    return world_converged(w) && world_sets_agree(r->sets, w);
}

static struct {
    int64_t calm_longest_ms, calm_total_ms;
    uint64_t records, packets, up;
} totals;

#define HEARD_MS  1000
#define BEHIND_MS 5000 /* where upstream's queues may still be full: 1,400 bytes a gossip interval */
#define CALM_MS   20000
#define DEATH_MS  60000 /* a round of probes, the longest suspicion of a small mesh (24 s), and what health adds */

/* What must hold once all agree. NULL, or what does not. */
static const char *check_calm(struct run *r)
{
    struct world *w = r->world;
    size_t alive = 0, last = 0;
    for (size_t i = 0; i < r->nodes; i++)
        if (world_is_up(w, i)) {
            random_record(r, i);
            alive++;
            last = i;
        }
    world_run(w, r->upstream ? BEHIND_MS : HEARD_MS);
    if (!world_sets_agree(r->sets, w))
        return "a record is not heard in time";
    world_run(w, 30000); /* those who doubt their own health come to rest */
    departures = 0;
    world_run(w, CALM_MS);
    if (departures > 0)
        return "somebody is taken for dead";
    if (alive < 2)
        return NULL;
    world_crash(w, last);
    if (!world_run_until(w, DEATH_MS, 500, settled, r))
        return "a death is not found out";
    return NULL;
}

/* Prints why on failure. */
static bool run_seed(uint64_t seed, size_t nodes)
{
    struct rng pick;
    rng_seed(&pick, seed ^ 0x6d657368);
    struct run r = { .nodes = nodes, .sets = world_sets_new(nodes) };
    struct world_config config = {
        .seed = seed,
        .nodes = nodes,
        .loss_permille = (unsigned)rng_below(&pick, 150),
        .duplicate_permille = (unsigned)rng_below(&pick, 100),
        .delay_min_ms = (int64_t)rng_below(&pick, 5),
        .upstream = rng_below(&pick, nodes + 1),
        .peers = true,
        .skew = rng_below(&pick, 2) == 0,
        .encrypted = rng_below(&pick, 16) == 0,
        .app = world_sets_app(r.sets),
    };
    r.upstream = config.upstream > 0;
    config.delay_max_ms = config.delay_min_ms + (int64_t)rng_below(&pick, 60);
    config.app.member = on_member;
    r.world = world_new(&config);
    struct rng *rng = world_rng(r.world);
    for (size_t i = 0; i < nodes; i++) {
        world_start(r.world, i, 0);
        world_run(r.world, (int64_t)rng_below(rng, 3000));
    }
    uint64_t troubles = 10 + rng_below(rng, 20);
    for (uint64_t k = 0; k < troubles; k++) {
        trouble(&r);
        world_run(r.world, (int64_t)rng_below(rng, 3000));
    }
    world_heal(r.world);
    for (size_t i = 0; i < nodes; i++)
        if (world_is_up(r.world, i))
            random_record(&r, i);
    /* Detection of the last deaths (24 s at most), reaping (30 s and a round of probes), reconnects (10 s), push/pull. */
    int64_t calm = world_now(r.world);
    bool ok = world_run_until(r.world, 400000, 500, settled, &r);
    calm = world_now(r.world) - calm;
    totals.calm_longest_ms = calm > totals.calm_longest_ms ? calm : totals.calm_longest_ms;
    totals.calm_total_ms += calm;
    totals.records += r.records;
    totals.packets += world_traffic(r.world).packets;
    for (size_t i = 0; i < nodes; i++)
        totals.up += world_is_up(r.world, i);
    const char *why = ok ? check_calm(&r) : world_converged(r.world) ? "records differ" : "members differ";
    if (why) {
        ok = false;
        printf("FAIL seed=0x%llx: %s; replay: mesh_sim --nodes %zu --seeds 1 --seed 0x%llx\n", (unsigned long long)seed, why,
               nodes, (unsigned long long)seed);
    }
    world_free(r.world);
    world_sets_free(r.sets);
    return ok;
}

/* ---- the table ------------------------------------------------------------------------------------------------------------- */

struct spread {
    struct world_sets *sets;
    size_t nodes;
    struct str record;
};

static bool everywhere(void *arg, struct world *w)
{
    struct spread *s = arg;
    (void)w;
    for (size_t i = 0; i < s->nodes; i++)
        if (!world_sets_has(s->sets, i, STR("nfl"), s->record))
            return false;
    return true;
}

static void table_row(size_t nodes, unsigned loss_permille)
{
    struct spread s = { .sets = world_sets_new(nodes), .nodes = nodes };
    struct world_config config = {
        .seed = 42 + nodes,
        .nodes = nodes,
        .loss_permille = loss_permille,
        .delay_min_ms = 1,
        .delay_max_ms = 5,
        .probe_interval_ms = 3600 * 1000, /* nothing but the record is on the wire */
        .pushpull_interval_ms = 3600 * 1000,
        .app = world_sets_app(s.sets),
    };
    struct world *w = world_new(&config);
    for (size_t i = 0; i < nodes; i++) {
        world_start(w, i, 0);
        world_run(w, (int64_t)rng_below(world_rng(w), 2) + (nodes < 1000 ? 7 : 0)); /* gossip ticks are not in step */
    }
    world_prefill(w);
    world_run(w, 1000);
    char record[120];
    rng_bytes(world_rng(w), record, sizeof record);
    s.record = str_of(record, sizeof record);
    struct world_traffic before = world_traffic(w);
    int64_t start = world_now(w);
    world_sets_add(w, s.sets, 0, STR("nfl"), s.record);
    bool ok = world_run_until(w, 20000, 5, everywhere, &s);
    struct world_traffic after = world_traffic(w);
    size_t have = 0;
    for (size_t i = 0; i < nodes; i++)
        have += world_sets_has(s.sets, i, STR("nfl"), s.record);
    int64_t took = world_now(w) - start;
    printf("%6zu nodes  %3u%% loss  %s %6.1f rounds (%5lld ms)  %8llu packets  %10llu bytes  %6.1f packets a node\n", nodes,
           loss_permille / 10, ok ? "everywhere after" : "NOT everywhere after", (double)took / 200.0, (long long)took,
           (unsigned long long)(after.packets - before.packets),
           (unsigned long long)(after.packet_bytes - before.packet_bytes),
           (double)(after.packets - before.packets) / (double)nodes);
    if (!ok)
        printf("        %zu of %zu have it\n", have, nodes);
    fflush(stdout);
    world_free(w);
    world_sets_free(s.sets);
}

static void table(void)
{
    static const size_t sizes[] = { 10, 100, 1000, 5000 };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        table_row(sizes[i], 0);
        table_row(sizes[i], 100);
    }
}

int main(int argc, char **argv)
{
    uint64_t nodes = 5, seeds = 100, seed = 0;
    bool seed_given = false;
    crypto_init();
    log_configure(LOG_ERROR, LOG_LOGFMT);
    for (int i = 1; i < argc; i++) {
        struct str flag = str_c(argv[i]);
        if (str_eq(flag, STR("--table"))) {
            table();
            return 0;
        }
        uint64_t *value = str_eq(flag, STR("--nodes"))   ? &nodes
                          : str_eq(flag, STR("--seeds")) ? &seeds
                          : str_eq(flag, STR("--seed"))  ? &seed
                                                         : NULL;
        if (!value || i + 1 == argc || !num_parse_u64(str_c(argv[i + 1]), 0, value)) {
            fprintf(stderr, "usage: mesh_sim [--nodes N] [--seeds K] [--seed S] | --table\n");
            return 2;
        }
        seed_given = seed_given || value == &seed;
        i++;
    }
    if (nodes < 1 || nodes > 64) {
        fprintf(stderr, "--nodes: 1 to 64\n");
        return 2;
    }
    if (!seed_given)
        seed = (uint64_t)time(NULL) * 1000003;
    printf("seed=0x%llx\n", (unsigned long long)seed);
    fflush(stdout);
    uint64_t passed = 0;
    for (uint64_t k = 0; k < seeds; k++)
        passed += run_seed(seed + k, nodes);
    if (seeds > 0)
        printf("calm until all agree: mean %.1f s, longest %.1f s; per seed %.1f records, %.1f nodes left, %.0f packets\n",
               (double)totals.calm_total_ms / 1000.0 / (double)seeds, (double)totals.calm_longest_ms / 1000.0,
               (double)totals.records / (double)seeds, (double)totals.up / (double)seeds,
               (double)totals.packets / (double)seeds);
    printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)(seeds - passed));
    return passed == seeds ? 0 : 1;
}
