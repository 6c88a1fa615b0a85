/* Alertmanager's layer above the mesh: which addresses to join and when, which peers have failed, when the cluster has
 * settled, and at which position this node stands. A pure core beside gossip.h: names are looked up and joins are made
 * by whoever performs its effects; the answers come back as events.
 *
 * The owner feeds it what gossip_step() said about members and joins, performs PEER_RESOLVE by DNS and PEER_JOIN by
 * GOSSIP_JOIN, and reads the view. Ownership: everything is copied; effects and views are valid until the next step.
 * Thread: the mesh thread. Upstream: alertmanager cluster/cluster.go.
 *
 * Differs from upstream: failed peers are known by address and leave the list when anybody lives there, so a new name
 * at an old address does not leave a ghost that is "reconnected" for six hours. */
#ifndef TOCSIN_GOSSIP_PEER_H
#define TOCSIN_GOSSIP_PEER_H

#include "gossip/gossip.h"

#define PEER_ADDRS_MAX 256 /* addresses taken of one name */

struct peer_config {
    struct str name;              /* own node name */
    struct gossip_addr advertise; /* own address */
    const struct str *peers;      /* --cluster.peer, "host:port" each */
    size_t peers_count;
    int64_t resolve_timeout_ms, gossip_interval_ms, settle_timeout_ms, reconnect_interval_ms, reconnect_timeout_ms;
    int64_t refresh_interval_ms; /* 15 s upstream, fixed */
    int64_t linger_ms; /* how long one that failed keeps its place in `turns`; 0, the default: not at all */
};
struct peer_config peer_config_default(void);

struct peer_stats {
    struct gauge failed_peers, position;
    struct counter joined, left, updated;
    struct counter reconnections, reconnections_failed, refresh_join, refresh_join_failed;
};
extern const struct metric_desc peer_metrics[];
extern const size_t peer_metrics_count;

enum peer_event_kind {
    PEER_START,        /* once, first: begins to resolve */
    PEER_TIMER,        /* peer_deadline() has come */
    PEER_RESOLVED,     /* answer to PEER_RESOLVE `tag`: ok and addrs (their ports are not looked at), or bytes = why not */
    PEER_JOIN_RESULT,  /* answer to PEER_JOIN `tag`: ok, bytes = why not */
    PEER_MEMBER_JOINED,
    PEER_MEMBER_LEFT,
    PEER_MEMBER_ENDED, /* one that left dead does not run: its turn is free */
    PEER_MEMBER_UPDATED,
    PEER_STOP,         /* no more reconnects, refreshes, settling: we are leaving */
};
struct peer_event {
    enum peer_event_kind kind;
    bool ok;
    bool dead; /* PEER_MEMBER_LEFT: it failed and may be running still */
    uint64_t tag;
    struct str name, bytes;
    struct gossip_addr addr;
    const struct gossip_addr *addrs;
    size_t addrs_count;
};

enum peer_effect_kind {
    PEER_RESOLVE,   /* look `host` up (A and AAAA) and answer with PEER_RESOLVED `tag` */
    PEER_JOIN,      /* push/pull with addr; answer with PEER_JOIN_RESULT `tag` */
    PEER_JOIN_NAME, /* as PEER_JOIN, but `host` could not be looked up: try again now, join every address, answer once */
    PEER_STARTED,   /* the first joins have been tried: the node may serve */
    PEER_READY,     /* settled */
    PEER_CHANGED,   /* the view is new: members or position */
    PEER_FATAL,     /* bytes: start-up fails */
    PEER_LOG,
};
struct peer_effect {
    enum peer_effect_kind kind;
    enum log_level level;
    uint64_t tag;
    struct str host, bytes;
    uint16_t port;
    struct gossip_addr addr;
};
struct peer_out {
    struct peer_effect *effects;
    size_t count, capacity;
    struct buf bytes;
};
void peer_out_reset(struct peer_out *out);
void peer_out_deinit(struct peer_out *out);

/* A verdict comes no sooner than the shortest suspicion after the last sign of life: so much of the peer timeout, which others
 * wait for one that is silent, is over by then. */
int64_t peer_linger_ms(int64_t peer_timeout_ms, int64_t probe_interval_ms);

struct peer;
/* ERR_INVALID: a peer without a port. */
MUST_CHECK struct peer *peer_new(const struct peer_config *config, struct peer_stats *stats, struct err *err);
void peer_free(struct peer *p);
void peer_step(struct peer *p, mono_ms now, const struct peer_event *ev, struct peer_out *out);
mono_ms peer_deadline(const struct peer *p);

/* ---- the view: what others may know -------------------------------------------------------------------------------- */

struct peer_member {
    struct str name, address; /* "ip:port" */
};
struct peer_view {
    struct str name; /* own */
    bool ready;
    size_t position; /* of the own name among members in name order, from 0 */
    const struct peer_member *members; /* self included, by name */
    size_t members_count;
    /* Names of the members, and of those that failed less than linger_ms ago, in order; turn: the own one's index. One that
     * only paused may be sending still, so nobody takes its place before the time that everybody waits for it anyway. One
     * whose address refuses connections has ended and keeps no place. */
    const struct str *turns;
    size_t turns_count, turn;
    size_t failed_count;
};
void peer_view_get(struct peer *p, struct peer_view *view); /* valid until the next step */

#endif
