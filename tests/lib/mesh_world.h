/* A simulated world for meshes: N virtual nodes, each a gossip core and a peer layer, on a network and clocks that a seed
 * decides: loss, delay, duplication, reordering, asymmetric partitions, skewed and drifting clocks, pauses, crashes,
 * restarts. One thread, no real time; the same seed gives the same run.
 *
 *     struct world *w = world_new(&config);
 *     for (i...) world_start(w, i, 0);
 *     world_run(w, 20000);                       // 20 s
 *     world_broadcast(w, 0, STR("sil"), record);
 *     ...
 *     world_free(w);
 *
 * The state that nodes replicate is behind struct world_app, so that the real stores can stand there. The default one
 * keeps a set of records per key and merges by "unknown is new". */
#ifndef TOCSIN_TESTS_LIB_MESH_WORLD_H
#define TOCSIN_TESTS_LIB_MESH_WORLD_H

#include "base/rng.h"
#include "base/str.h"
#include "gossip/gossip.h"
#include "gossip/peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;

/* What sits above the mesh on a node. All calls come from inside world_run() and friends. */
struct world_app {
    void *arg;
    /* Bytes under a key arrived. Answer with world_relay() for what was news. */
    void (*deliver)(void *arg, struct world *w, size_t node, struct str key, struct str bytes, bool full);
    /* Append a FullState. */
    void (*state)(void *arg, struct world *w, size_t node, bool own, struct buf *out);
    void (*member)(void *arg, struct world *w, size_t node, const struct gossip_effect *e); /* may be NULL */
    void (*crashed)(void *arg, struct world *w, size_t node);                               /* may be NULL */
};

struct world_config {
    uint64_t seed;
    size_t nodes;
    unsigned loss_permille, duplicate_permille;
    int64_t delay_min_ms, delay_max_ms; /* one way; a range reorders */
    size_t upstream;                    /* the first so many nodes have an empty Meta, as Alertmanager has */
    int64_t probe_interval_ms, pushpull_interval_ms; /* 0: the defaults */
    bool peers;                         /* run the peer layer: joins, reconnects, refreshes */
    int64_t peer_timeout_ms;            /* how long one that fell silent keeps its turn */
    bool skew;                          /* clocks differ and drift by up to 1 % */
    bool encrypted;
    struct world_app app;
};

struct world *world_new(const struct world_config *config);
void world_free(struct world *w);

int64_t world_now(const struct world *w); /* ms of the world's own clock */
struct rng *world_rng(struct world *w);
size_t world_nodes(const struct world *w);

/* Starts or restarts node i. generation 0: same name as ever; else a new name at the same address. */
void world_start(struct world *w, size_t i, unsigned generation);
void world_crash(struct world *w, size_t i);  /* as kill -9; open streams break */
void world_leave(struct world *w, size_t i);  /* says good-bye, then crashes */
void world_pause(struct world *w, size_t i, int64_t ms); /* as SIGSTOP: hears nothing, then everything */
bool world_is_up(const struct world *w, size_t i);
/* Packets and streams from a to b are lost from now on, or not. */
void world_cut(struct world *w, size_t a, size_t b, bool cut);
void world_heal(struct world *w);             /* no cuts, no loss, no duplicates, no pauses */

void world_run(struct world *w, int64_t ms);
int64_t world_next(const struct world *w); /* when something happens next; INT64_MAX: never */
/* Runs until done() says so, at most ms; false if it did not. Asked every step_ms. */
bool world_run_until(struct world *w, int64_t ms, int64_t step_ms, bool (*done)(void *arg, struct world *w), void *arg);

void world_broadcast(struct world *w, size_t i, struct str key, struct str bytes);
void world_relay(struct world *w, size_t i, struct str key, struct str bytes);
void world_send(struct world *w, size_t i, struct str name, struct str key, struct str bytes);
void world_compare(struct world *w, size_t i); /* GOSSIP_COMPARE */

struct gossip *world_gossip(struct world *w, size_t i); /* NULL if down */
struct peer *world_peer(struct world *w, size_t i);     /* NULL if down or without peers */
struct str world_name(const struct world *w, size_t i);

/* Every node that is up lists exactly the nodes that are up as alive members, by their present names. */
bool world_converged(struct world *w);

/* Puts everyone into everyone's list without a word on the network, for measuring large meshes. */
void world_prefill(struct world *w);

struct world_traffic {
    uint64_t packets, packet_bytes, streams, stream_bytes;
};
struct world_traffic world_traffic(const struct world *w);

/* The default application: sets of records. A record's bytes are its identity. */
struct world_sets;
struct world_sets *world_sets_new(size_t nodes);
void world_sets_free(struct world_sets *s);
struct world_app world_sets_app(struct world_sets *s);
/* Adds a record (without its length before it) at node i and broadcasts it under `key`. */
void world_sets_add(struct world *w, struct world_sets *s, size_t i, struct str key, struct str record);
bool world_sets_has(const struct world_sets *s, size_t i, struct str key, struct str record);
size_t world_sets_count(const struct world_sets *s, size_t i);
/* All nodes that are up hold the same records. */
bool world_sets_agree(const struct world_sets *s, const struct world *w);

#endif
