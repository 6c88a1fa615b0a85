/* The notification log: what was last said about a group to one integration, so that nothing is said twice, by this node
 * or by a peer. An entry is kept as the bytes that peers sent or that we wrote (unknown fields survive), with the few
 * numbers that decisions need beside it.
 *
 * Times: wall, nanoseconds. Thread: the alert thread only. Bounds: NFLOG_RECORD_BYTES_MAX a record.
 * Upstream: alertmanager nflog/nflog.go, spec alertmanager 6, 13, gossip 14, 16, 17. */
#ifndef TOCSIN_NFLOG_NFLOG_H
#define TOCSIN_NFLOG_NFLOG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/metric.h"
#include "model/replica.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NFLOG_RECORD_BYTES_MAX (4u << 20)
#define NFLOG_DATA_MAX         1024 /* keys of receiver data in one entry */

struct nflog_receiver {
    struct str name, integration;
    uint32_t idx;
};
enum nflog_value_kind { NFLOG_STR, NFLOG_INT, NFLOG_DOUBLE };
struct nflog_value { /* one key of the receiver's own memory */
    struct str key;
    enum nflog_value_kind kind;
    struct str s;
    int64_t i;
    double d;
};

/* An entry as read: borrowed from the log until its next change; lists are in the arena. */
struct nflog_entry {
    struct str group_key;
    struct nflog_receiver receiver;
    struct wire_time timestamp, expires_at;
    const uint64_t *firing, *resolved; /* hashes, in stored order */
    size_t firing_count, resolved_count;
    const struct nflog_value *data;
    size_t data_count;
};

struct nflog_stats {
    struct gauge snapshot_size;
    struct counter maintenance, maintenance_errors, queries, query_errors, propagated;
    struct histogram gc_duration, snapshot_duration, query_duration;
};
extern const struct metric_desc nflog_metrics[];
extern const size_t nflog_metrics_count;

struct nflog;
struct nflog *nflog_new(int64_t retention_ms);
void nflog_free(struct nflog *l);
struct nflog_stats *nflog_stats(struct nflog *l);
size_t nflog_count(const struct nflog *l);

/* Called with the key of each entry that a peer's record brought or replaced: whoever waits to say the same asks again. */
void nflog_on_merge(struct nflog *l, void (*merged)(void *arg, struct str key), void *arg);

/* "<group key>:<receiver>/<integration>/<idx>": the name of an entry and of a claim. */
void nflog_key_write(struct buf *out, struct str group_key, const struct nflog_receiver *r);

/* False if there is none. An expired entry that was not collected yet still counts. */
MUST_CHECK bool nflog_query(struct nflog *l, struct arena *a, struct str key, struct nflog_entry *e);
/* Only its timestamp; false if there is none. No allocation. */
MUST_CHECK bool nflog_timestamp(const struct nflog *l, struct str key, struct wire_time *timestamp);

/* By claim_key() of its key the record, with its length before it, is appended; false if there is none later than `seen`. */
MUST_CHECK bool nflog_newer(const struct nflog *l, uint64_t claim, struct wire_time seen, struct buf *record);

/* What was said. The timestamp becomes max(now, stored + 1 ns), expiry min(retention, 2 * repeat interval) after it.
 * entry->timestamp and expires_at are ignored. The record with its length before it is appended to `record`. */
void nflog_log(struct nflog *l, struct wire_time now, const struct nflog_entry *entry, int64_t repeat_interval_ms,
               struct buf *record);
/* Drops expired entries, looking at no more than count_max from *cursor on; true while there is more. */
bool nflog_gc(struct nflog *l, struct wire_time now, size_t *cursor, size_t count_max);

/* Replication and files; the row's key is "nfl". */
struct replica nflog_replica(struct nflog *l);
MUST_CHECK bool nflog_load(struct nflog *l, struct str bytes, struct err *err);

#endif
