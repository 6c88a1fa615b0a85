/* Silences: who muted what, until when. The store keeps each silence as an immutable counted value that other threads
 * may hold, an index from (name, value) of exact matchers to silences, and the bytes that peers and the snapshot file
 * see. Unknown fields of a peer's record are kept; matchers of an id never change.
 *
 * Muting: each alert remembers which silences match its labels (in its slot's ALERT_MEMO_SILENCE word), whatever their
 * state; whether one is active is asked when the answer is used. A new silence is matched once against the alerts that
 * the store's label index names, in slices (silencer_step); an alert that has not had its turn yet is answered from the
 * silences' own index.
 *
 * Times: wall, nanoseconds. Thread: the alert thread only, but for values and views. Bounds: SILENCE_*_MAX below and the
 * limits of the options. Upstream: alertmanager silence/silence.go, spec alertmanager 5.2, gossip 14, 15, 17. */
#ifndef TOCSIN_SILENCE_SILENCE_H
#define TOCSIN_SILENCE_SILENCE_H

#include "alert/store.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/metric.h"
#include "base/rng.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/replica.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SILENCE_RECORD_BYTES_MAX (4u << 20) /* upstream's bound of one record */
#define SILENCE_MATCHERS_MAX     16384      /* of one record */
#define SILENCE_SETS_MAX         1024
#define SILENCE_ANNOTATIONS_MAX  4096
#define SILENCE_ID_TEXT 36

enum silence_state { SILENCE_ACTIVE, SILENCE_PENDING, SILENCE_EXPIRED };
struct str silence_state_text(enum silence_state s); /* "active", "pending", "expired" */

/* An immutable silence in one block. Texts and lists belong to it. Any thread may hold one. */
struct silence {
    atomic_uint refs;
    bool inert;                    /* has no set, or one that is empty, or does not compile: matches nothing */
    bool uncompiled;               /* a matcher does not compile: kept and passed on, never listed */
    bool unsendable;               /* no set, or an empty one, which peers would let match everything: never sent */
    struct str id;
    const struct matchers *sets;   /* OR of ANDs, in stored order; usually one */
    size_t sets_count;
    struct wire_time starts_at, ends_at, updated_at;
    struct str created_by, comment;
    struct labels annotations;     /* sorted by name; values may be empty */
    struct str record;             /* MeshSilence, as it is sent, without the length before it */
};
const struct silence *silence_retain(const struct silence *s); /* any thread */
void silence_release(const struct silence *s);
enum silence_state silence_state_at(const struct silence *s, struct wire_time t);
bool silence_matches(const struct silence *s, struct labels ls); /* whatever its state */

struct silence_stats {
    struct gauge active, pending, expired; /* by silence_store_collect() */
    struct gauge snapshot_size, state_size, matcher_index_size, version_index_size;
    struct counter queries, query_errors, scanned, skipped, propagated;
    struct counter maintenance, maintenance_errors, gc_errors, compile_errors_index, compile_errors_load;
    struct histogram gc_duration, snapshot_duration, query_duration;
};
extern const struct metric_desc silence_metrics[];
extern const size_t silence_metrics_count;

struct silence_options {
    int64_t retention_ms;
    int64_t silences_max;   /* <= 0: none */
    int64_t size_bytes_max; /* <= 0: none */
    enum matcher_mode mode; /* which label names are valid */
};
struct silence_store;
struct silence_store *silence_store_new(const struct silence_options *options);
void silence_store_free(struct silence_store *st);
struct silence_stats *silence_store_stats(struct silence_store *st);
void silence_store_collect(struct silence_store *st, struct wire_time now); /* the gauges that need a walk */

/* ---- Commands ---- */

/* What a client asks for. Borrowed. */
struct silence_spec {
    struct str id; /* empty: a new one */
    const struct matchers *sets; /* their regexes need not be compiled: re may be NULL */
    size_t sets_count;
    struct wire_time starts_at, ends_at; /* WIRE_TIME_ZERO: not given */
    struct str created_by, comment;
    struct labels annotations;
};
/* What a command did: for the journal, the mesh and the log lines of --log.silences. */
struct silence_change {
    enum { SILENCE_CREATED, SILENCE_UPDATED, SILENCE_EXPIRED_NOW } kind;
    const struct silence *silence; /* retained: silence_changes_deinit() */
};
struct silence_changes {
    struct silence_change v[2]; /* a replacement expires one and creates one, in this order */
    size_t n;
};
void silence_changes_deinit(struct silence_changes *c);
void silence_record_append(struct buf *out, const struct silence *s); /* with its length before it: journal and mesh */

/* Create, update in place or replace (spec 5.2). On success id_out is the resulting id. rng makes the new id.
 * Errors: ERR_NOT_FOUND "silence not found", ERR_INVALID "invalid silence: ...", ERR_LIMIT. Nothing changed then. */
MUST_CHECK bool silence_store_set(struct silence_store *st, struct wire_time now, const struct silence_spec *spec,
                                  struct rng *rng, char id_out[SILENCE_ID_TEXT], struct silence_changes *changes,
                                  struct err *err);
/* ERR_NOT_FOUND. Already expired: true and no change. */
MUST_CHECK bool silence_store_expire(struct silence_store *st, struct wire_time now, struct str id,
                                     struct silence_changes *changes, struct err *err);
/* Drops what is past retention, looking at no more than count_max silences from *cursor on; true while there is more. */
bool silence_store_gc(struct silence_store *st, struct wire_time now, size_t *cursor, size_t count_max);

/* Replication. The row's key is "sil". */
struct replica silence_store_replica(struct silence_store *st);
/* The snapshot file: the same records, with those that are never sent. From *cursor on (0 at first) until all are written
 * or `out` has grown by bytes_max; true while there is more. */
bool silence_store_snapshot(const struct silence_store *st, uint64_t *cursor, size_t bytes_max, struct buf *out);
/* A snapshot or journal read at start: takes every record, expired ones too. ERR_CORRUPT: nothing was taken. Silences
 * that do not compile are kept, match nothing, and are reported to `bad` (may be NULL) for the log. */
MUST_CHECK bool silence_store_load(struct silence_store *st, struct str bytes,
                                   void (*bad)(void *arg, struct str id, const struct err *why), void *arg,
                                   struct err *err);

/* ---- Queries ---- */

const struct silence *silence_store_get(const struct silence_store *st, struct str id); /* borrowed; NULL: none that
                                                                                           can be shown */
size_t silence_store_count(const struct silence_store *st);   /* expired ones included */
uint64_t silence_store_version(const struct silence_store *st);
/* The next instant after `now` at which a silence changes its state by itself; year 9999 if there is none. */
struct wire_time silence_store_next_edge(struct silence_store *st, struct wire_time now);
/* All active silences that match, found by the index, each appended to ids (borrowed until the next change), ordered by
 * id; at most ids_max. Returns how many there are. */
size_t silence_store_match(const struct silence_store *st, struct wire_time now, struct labels ls, struct str *ids,
                           size_t ids_max);

/* Every silence at one moment, for other threads; made at most once per change of the store. */
struct silence_view {
    atomic_uint refs;
    uint64_t version;
    const struct silence **v; /* in no order; silence_list_sort() */
    size_t n;
};
struct silence_view *silence_store_view(struct silence_store *st); /* retained for the caller */
void silence_view_release(struct silence_view *v);                 /* any thread */
/* For GET /silences: does the silence carry these filters (same name, operator and value)? Any thread. */
bool silence_has_matchers(const struct silence *s, const struct matchers *filters);
/* Active by end, pending by start, expired by end descending (spec 9.2). Any thread. */
void silence_list_sort(const struct silence **v, size_t n, struct wire_time now);

/* ---- Muting of alerts ---- */

struct silencer;
struct silencer *silencer_new(struct silence_store *silences, struct alert_store *alerts);
void silencer_free(struct silencer *sl);
bool silencer_pending(const struct silencer *sl); /* is there anything for silencer_step() to do? */
/* Matches silences that came since, touching at most about slots_max alerts; true while there is more to do. */
bool silencer_step(struct silencer *sl, size_t slots_max);
/* The active silences that mute this alert, ordered by id: ids borrowed until the next change. Returns their number
 * (ids_max caps what is written). ids may be NULL with ids_max 0. */
size_t silencer_query(struct silencer *sl, struct wire_time now, struct alert_slot *s, struct str *ids, size_t ids_max);

#endif
