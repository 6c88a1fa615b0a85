/* Dispatch: alerts into groups, groups into flushes. The owner of everything that happens to an alert between its
 * arrival and its notification: it feeds the store, the inhibitor and the groups in this order, keeps one timer a
 * group, starts flushes in the notification pipeline (notify/pipeline.h), and takes resolved alerts out of groups when
 * a flush has gone well (spec/alertmanager.md 4).
 *
 *     event, now -> dispatch_step() -> effects (attempts, log records, claims, notices), deadline
 *
 * It never reads a clock, never blocks and never works longer than a slice: when there is more to do (20,000 groups due
 * at once, a reload with 100,000 alerts, a new silence), dispatch_deadline() is `now`, and the owner looks into its
 * mailbox before it steps again.
 *
 * No group is flushed before the dispatcher has a configuration whose alerts are all routed, the cluster has settled
 * (DISPATCH_PEERS) and the start delay is over; timers count meanwhile.
 *
 * A reload makes new groups from the stored alerts. What was in flight is left to end: its success is still logged,
 * and nobody tries the same key meanwhile.
 *
 * Thread: the alert thread only, but for the views. */
#ifndef TOCSIN_DISPATCH_DISPATCH_H
#define TOCSIN_DISPATCH_DISPATCH_H

#include "alert/record.h"
#include "alert/store.h"
#include "dispatch/route.h"
#include "inhibit/inhibit.h"
#include "nflog/nflog.h"
#include "notify/pipeline.h"
#include "silence/silence.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dispatch_options {
    int64_t start_delay_ms;  /* after dispatch_new() */
    int64_t peer_timeout_ms;
    bool receiver_names_in_metrics;
    bool group_keys_in_metrics;
    struct rng rng;          /* jitter of retries */
};

/* What of the configuration is used, immutable and counted. Rules borrow from whatever `receivers->context` keeps. */
struct dispatch_config {
    struct route_tree *routes;          /* retained by the dispatcher */
    struct notify_receivers *receivers; /* retained by the dispatcher */
    const struct inhibit_rule *rules;
    size_t rules_count;
    int64_t resolve_timeout_ms;         /* the grace of held alerts */
};

struct dispatch_stats {
    struct metric_vec *alerts;          /* alertmanager_alerts{state}, with group_key if the feature is on */
    struct gauge groups;
    struct histogram processing;        /* summary: seconds per alert */
    struct counter group_limit_reached, group_creation_retries, group_creation_given_up;
    struct counter writes_dispatcher, writes_inhibitor; /* alertmanager_alerts_subscriber_channel_writes_total */
    struct gauge held;                  /* tocsin_alerts_held */
};
extern const struct metric_desc dispatch_metrics[];
extern const size_t dispatch_metrics_count;
extern const struct metric_desc dispatch_metrics_keyed[]; /* feature group-key-in-metrics */
extern const size_t dispatch_metrics_keyed_count;

struct dispatch;
struct dispatch *dispatch_new(const struct dispatch_options *options, mono_ms now, struct alert_store *alerts,
                              struct silence_store *silences, struct nflog *log);
void dispatch_free(struct dispatch *d);
struct dispatch_stats *dispatch_stats(struct dispatch *d);
struct notify_stats *dispatch_notify_stats(struct dispatch *d);
struct inhibit_stats *dispatch_inhibit_stats(struct dispatch *d); /* one place over all reloads */
void dispatch_collect(struct dispatch *d, struct wire_time now);  /* the gauges that need a walk: about 1 ms for 100,000 */

/* One alert that arrived: from a sender (put) or a peer (merge). */
struct dispatch_alert {
    const struct alert_spec *spec; /* NULL (from a peer only): `times` of an alert that is known */
    struct alert_times times;
    enum alert_change change;      /* out */
    struct alert_slot *slot;       /* out: valid until the next step; NULL if it was refused or is unknown */
};
enum dispatch_event_kind {
    DISPATCH_TIMER,     /* dispatch_deadline() has come, or silences changed */
    DISPATCH_CONFIG,    /* config: replaces the one before; the first starts the dispatcher */
    DISPATCH_ALERTS,    /* alerts: from a sender, or from rules. A slice: at most DISPATCH_ALERTS_MAX */
    DISPATCH_PEER_ALERTS, /* alerts: a peer's copies */
    DISPATCH_PEERS,     /* members, settled */
    DISPATCH_RESULT,    /* result of an attempt */
    DISPATCH_CLAIMS,    /* claims, from a peer: a batch in one event, since each step does a slice of other work too */
    DISPATCH_STOP,      /* no more flushes; what is in flight may end and is recorded. A second one cancels it */
};
#define DISPATCH_ALERTS_MAX 500 /* new ones take 3 ms */

struct dispatch_event {
    enum dispatch_event_kind kind;
    const struct dispatch_config *config;
    struct dispatch_alert *alerts;
    size_t alerts_count;
    const struct claim_members *members; /* copied */
    bool settled;
    const struct notify_result *result;
    const struct claim_message *claims;
    size_t claims_count;
};
/* One step. `now` and `wall` are the same instant. Appends to out. ev NULL is DISPATCH_TIMER. */
void dispatch_step(struct dispatch *d, mono_ms now, struct wire_time wall, const struct dispatch_event *ev,
                   struct notify_out *out);
/* When to step again if nothing happens; `now` while there is work left. MONO_NEVER: not by itself. */
mono_ms dispatch_deadline(const struct dispatch *d);
/* When the next notification that waits for its turn will be decided; MONO_NEVER: none waits. What peers have logged should
 * be here by then. */
mono_ms dispatch_next_turn(const struct dispatch *d);
/* All stored alerts are routed: the groups are as the configuration says (GET /alerts/groups waits for the first). */
bool dispatch_loaded(const struct dispatch *d);
size_t dispatch_groups_count(const struct dispatch *d);

/* ---- Restart ---- */

/* Before the first DISPATCH_CONFIG: a group timer from the snapshot. */
void dispatch_restore_timer(struct dispatch *d, const struct alert_timer *timer);
/* Appends the timers of all groups as framed records (alert_snapshot_add), from *cursor on, at most groups_max of them;
 * true while there is more. A group that is being flushed is due now: whether that ends well is not known. Works after
 * DISPATCH_STOP, too. */
bool dispatch_snapshot_timers(const struct dispatch *d, mono_ms now, struct wire_time wall, size_t *cursor,
                              size_t groups_max, struct buf *out);

/* ---- Views, for other threads ---- */

/* One alert as clients see it, at the view's time. */
struct dispatch_alert_row {
    const struct alert *alert;   /* retained; its times may be old: use these */
    struct wire_time ends_at, updated_at;
    fingerprint inhibited_by;
    const struct str *silenced_by; /* ids, ordered */
    const struct route_set *routes; /* NULL: not routed yet */
    uint32_t silenced_by_count;
    bool held;                   /* shown although ends_at has passed */
    bool inhibited;
};
struct dispatch_group_row {
    const struct route *route;
    struct labels labels;
    struct str key;
    const uint32_t *alerts; /* indexes of rows, those that are listed */
    size_t alerts_count;
    const struct str *muted_by; /* time intervals, as the last flush found */
    size_t muted_by_count;
};
/* Everything at one moment. Immutable and counted. */
struct dispatch_view {
    atomic_uint refs;
    struct wire_time now;
    struct route_tree *routes;          /* retained */
    struct notify_receivers *receivers; /* retained */
    struct dispatch_alert_row *alerts;  /* listed alerts, in no order */
    size_t alerts_count;
    struct dispatch_group_row *groups;  /* NULL if not asked for; in no order */
    size_t groups_count;
    struct arena arena;
    uint64_t version;
};
/* The view of now, retained for the caller; the one made before if nothing has changed since. NULL before the first
 * configuration. */
struct dispatch_view *dispatch_view(struct dispatch *d, struct wire_time now, bool groups);
void dispatch_view_release(struct dispatch_view *v); /* any thread */

#endif
