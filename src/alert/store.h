/* The alerts that are known, by fingerprint. One slot per alert: it points at the immutable value (labels, annotations,
 * start; alert.h) and holds the times that every re-send moves, so that an unchanged re-send is a hash lookup and two
 * stores. Groups, the inhibitor and the silencer refer to slots; they copy nothing.
 *
 * A slot lives while the store lists it or somebody holds a reference. Garbage collection takes a resolved alert off the
 * list; a slot that is still referenced stays findable by fingerprint, and an alert that comes back under it reuses it,
 * so one fingerprint is one slot, always. `memo` words belong to the higher folders named by enum alert_memo.
 *
 * Times: wall, nanoseconds. Thread: the alert thread only; other threads get views (dispatch/view.h).
 * Bounds: ALERT_SLOTS_MAX alerts; a limit per alertname if one is set. Upstream: alertmanager provider/mem, store, limit. */
#ifndef TOCSIN_ALERT_STORE_H
#define TOCSIN_ALERT_STORE_H

#include "alert/alert.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/metric.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ALERT_SLOTS_MAX (1u << 24)

enum alert_memo { ALERT_MEMO_SILENCE, ALERT_MEMO_INHIBIT, ALERT_MEMO_DISPATCH, ALERT_MEMOS };

enum alert_mark { ALERT_UNPROCESSED, ALERT_ACTIVE, ALERT_SUPPRESSED };

struct alert_slot {
    const struct alert *value;
    struct wire_time ends_at, updated_at;
    fingerprint fp;
    uint32_t index;       /* dense number of the slot, reused after its end */
    uint32_t refs;        /* of groups and the inhibitor */
    bool timeout;         /* ends_at was derived from resolve_timeout */
    bool listed;          /* false: collected, only referenced */
    bool held;            /* restored, ran out while nobody was listening; see alert_store_restored() */
    enum alert_mark mark; /* what the last flush found, for metrics */
    void *memo[ALERT_MEMOS];
};

enum alert_state { ALERT_FIRING, ALERT_HELD, ALERT_RESOLVED };
enum alert_state alert_slot_state(const struct alert_slot *s, struct wire_time now);

struct alert_stats {
    struct counter limited;           /* alertmanager_alerts_limited_total */
    struct metric_vec *limited_named; /* the same by alertname */
    struct gauge limit;
};
extern const struct metric_desc alert_metrics[];
extern const size_t alert_metrics_count;
extern const struct metric_desc alert_metrics_named[]; /* feature alert-names-in-metrics */
extern const size_t alert_metrics_named_count;

struct alert_store_options {
    int64_t per_alertname_limit; /* <= 0: none */
    bool names_in_metrics;       /* feature alert-names-in-metrics */
};
struct alert_store;
struct alert_store *alert_store_new(const struct alert_store_options *options);
void alert_store_free(struct alert_store *st); /* every reference must have been given back */
struct alert_stats *alert_store_stats(struct alert_store *st);
/* A number never given before: what a folder's memo words are stamped with, to tell its generations apart. */
uint64_t alert_store_stamp(struct alert_store *st);
/* Called when a slot ends, with what the word holds if that is not NULL. */
void alert_store_on_end(struct alert_store *st, enum alert_memo which, void (*end)(void *arg, struct alert_slot *s),
                        void *arg);

/* ---- What happens to alerts ---- */

enum alert_change {
    ALERT_RESENT,   /* known; only its times moved */
    ALERT_CHANGED,  /* known; the value was replaced, or it is firing or resolved other than before */
    ALERT_NEW,      /* not listed before */
    ALERT_OLDER,    /* a peer's copy that is not newer than ours: nothing was done */
    ALERT_REFUSED,  /* the limit: nothing was done; log "error on set alert" */
    ALERT_UNKNOWN,  /* times of an alert that we do not have */
};
/* From a sender: merged with what is stored by spec 4.1. spec->updated_at is the time of receipt, ends_at is set. */
enum alert_change alert_store_put(struct alert_store *st, struct wire_time now, const struct alert_spec *spec,
                                  struct alert_slot **slot);
/* From a peer, the journal or a snapshot: the later updated_at wins whole, then the later ends_at. */
enum alert_change alert_store_merge(struct alert_store *st, struct wire_time now, const struct alert_spec *spec,
                                    struct alert_slot **slot);
enum alert_change alert_store_merge_times(struct alert_store *st, struct wire_time now, fingerprint fp,
                                          struct wire_time ends_at, struct wire_time updated_at, struct alert_slot **slot);

/* Restoring is over. Alerts whose end lies after `alive` (the last sign of life of the process before: what the files
 * say) and not after `now`, and that no sender resolved, are held: shown as firing, they start no notification, and
 * their group sends no resolved one, until a sender or a peer speaks of them. Returns how many. */
size_t alert_store_restored(struct alert_store *st, struct wire_time alive, struct wire_time now);
/* The sign of life to be written to files (ALERT_RECORD_SAVED): `now`, but as long as alerts are held the one of the
 * process before, so that they are held again if this process ends, too. */
struct wire_time alert_store_alive(const struct alert_store *st, struct wire_time now);
/* The grace is over (resolve_timeout after the node was ready): what is still held is resolved from now on. */
size_t alert_store_release_held(struct alert_store *st);

/* Takes resolved alerts (ends_at <= now) off the list, looking at no more than slots_max slots from *cursor on (0 at
 * first). True while there is more to look at. */
bool alert_store_gc(struct alert_store *st, struct wire_time now, uint32_t *cursor, size_t slots_max);

void alert_slot_retain(struct alert_slot *s);
void alert_slot_release(struct alert_store *st, struct alert_slot *s);

/* ---- Queries ---- */

struct alert_slot *alert_store_get(const struct alert_store *st, fingerprint fp); /* listed or referenced; or NULL */
size_t alert_store_count(const struct alert_store *st);      /* listed ones */
size_t alert_store_held_count(const struct alert_store *st);
uint64_t alert_store_version(const struct alert_store *st);  /* moves with every change, re-sends included */
/* Walks the listed slots in order of index; NULL at the end. Slots may be added or taken off in between. */
struct alert_slot *alert_store_next(const struct alert_store *st, uint32_t *cursor);
/* At least all listed slots that have this label, and perhaps some that have not (the index keeps hashes): the caller
 * verifies. Valid until the next change of the store. */
size_t alert_store_candidates(const struct alert_store *st, struct str name, struct str value, const uint32_t **indexes);
struct alert_slot *alert_store_at(const struct alert_store *st, uint32_t index); /* NULL if it is not listed */
uint32_t alert_store_slots(const struct alert_store *st); /* every slot's index is below this */

#endif
