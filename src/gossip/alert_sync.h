/* Alerts between tocsin nodes: what each of them was sent, the others get too. A pure state machine on the alert
 * thread; the store is behind a small callback interface and the mesh behind messages (key, bytes, node name).
 *
 * News (an alert that is new, changed or resolved) is the owner's to broadcast under ALERT_SYNC_NEWS at once: encoded
 * records, as encode() makes them. What got lost, and re-sends, which are no news, are repaired here: every
 * ALERT_SYNC_INTERVAL_MS this node tells its tocsin peers, some in a large mesh (ALERT_SYNC_DIGEST) one hash for each bucket of
 * fingerprints, and which of its alerts would expire before the next exchange. The peer answers (ALERT_SYNC_LIST) with
 * fingerprint, endsAt and updatedAt of the buckets that differ, and of those of the expiring that it knows to last
 * longer; this node then asks (ALERT_SYNC_FETCH) for what it lacks or would lose, and gets records (ALERT_SYNC_NEWS).
 * Everything is pull: each node repairs itself.
 *
 * Times in the messages are wall times of the peers' clocks, as in the alerts themselves. Bounds: work per step is
 * cut to slices; alert_sync_deadline() is then `now`. Messages over a bound are cut, the next exchange continues.
 * Names in a message are checked against the members given. Thread: the alert thread. Upstream: none. */
#ifndef TOCSIN_GOSSIP_ALERT_SYNC_H
#define TOCSIN_GOSSIP_ALERT_SYNC_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/metric.h"
#include "base/rng.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ALERT_SYNC_NEWS   "tocsin.alert" /* records of alerts */
#define ALERT_SYNC_DIGEST "tocsin.alert.digest"
#define ALERT_SYNC_LIST   "tocsin.alert.list"
#define ALERT_SYNC_FETCH  "tocsin.alert.fetch"

#define ALERT_SYNC_INTERVAL_MS 15000
#define ALERT_SYNC_BUCKETS     256 /* fingerprint >> 56 */

struct alert_sync_entry {
    uint64_t fp;
    wall_ms ends_at, updated_at;
};

/* The store. All calls come from inside alert_sync_step(). */
struct alert_sync_store {
    void *arg;
    /* For each alert that is firing at now_wall, or was resolved less than ALERT_SYNC_INTERVAL_MS * 4 ago:
     * out[fp >> 56] ^= alert_sync_mix(fp, resolved). Kept up to date or computed, as the store likes. */
    void (*bucket_hashes)(void *arg, wall_ms now_wall, uint64_t out[ALERT_SYNC_BUCKETS]);
    /* Calls visit for every alert of the bucket that bucket_hashes() counts. */
    void (*bucket_list)(void *arg, wall_ms now_wall, unsigned bucket,
                        void (*visit)(void *visit_arg, struct alert_sync_entry e), void *visit_arg);
    /* Calls visit for firing alerts with ends_at <= before, at most `max` of them. */
    void (*expiring)(void *arg, wall_ms now_wall, wall_ms before, size_t max,
                     void (*visit)(void *visit_arg, struct alert_sync_entry e), void *visit_arg);
    bool (*lookup)(void *arg, uint64_t fp, struct alert_sync_entry *e);
    /* Appends the length-delimited record of the alert; false if it is not there. */
    bool (*encode)(void *arg, uint64_t fp, struct buf *out);
};
/* What a store XORs per alert. On the wire: never change it. */
uint64_t alert_sync_mix(uint64_t fp, bool resolved);

struct alert_sync_stats {
    struct counter digests_sent, digests_received, lists_sent, fetches_sent, alerts_fetched, alerts_served, refused;
};
extern const struct metric_desc alert_sync_metrics[];
extern const size_t alert_sync_metrics_count;

struct alert_sync_config {
    struct str name; /* own node name */
    uint64_t seed;
    struct alert_sync_store store;
};

/* Messages to send: to the node `to` under `key` (GOSSIP_SEND). */
struct alert_sync_msg {
    struct str to, key, bytes; /* valid until the next step or reset */
};
struct alert_sync_out {
    struct alert_sync_msg *msgs;
    size_t count, capacity;
    struct buf bytes;
};
void alert_sync_out_reset(struct alert_sync_out *out);
void alert_sync_out_deinit(struct alert_sync_out *out);

enum alert_sync_event_kind {
    ALERT_SYNC_TIMER,
    ALERT_SYNC_PEER_UP,   /* name: a tocsin member that is not this node */
    ALERT_SYNC_PEER_DOWN,
    ALERT_SYNC_MESSAGE,   /* key (digest, list or fetch), bytes */
};
struct alert_sync_event {
    enum alert_sync_event_kind kind;
    struct str name, key, bytes;
};

struct alert_sync;
struct alert_sync *alert_sync_new(const struct alert_sync_config *config, struct alert_sync_stats *stats);
void alert_sync_free(struct alert_sync *s);
void alert_sync_step(struct alert_sync *s, mono_ms now, wall_ms now_wall, const struct alert_sync_event *ev,
                     struct alert_sync_out *out);
mono_ms alert_sync_deadline(const struct alert_sync *s);
bool alert_sync_key(struct str key); /* one of the three that alert_sync_step() takes as ALERT_SYNC_MESSAGE */

#endif
