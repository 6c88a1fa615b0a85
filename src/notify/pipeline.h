/* The pipeline: what happens to a group's alerts from the tick of its timer to the entry in the notification log. A flush
 * walks a table of stages; those up to the silence filter run once per flush, the rest once per integration of the
 * receiver, side by side. A stage passes, ends the walk (nothing is left to say), waits (for a time, a turn, an answer)
 * or fails. Sending is somebody else's work: an attempt is an effect, its result an event.
 *
 *     settle -> inhibit -> time -> silence -> hash -> [ wait -> dedup -> send -> record ] for each integration
 *                                                         ^________________|  failed, worth another attempt
 *
 * One attempt per log key is in flight at any time on this node, and by claims (nflog/claims.h) among tocsin nodes:
 * dedup is decided again before every attempt.
 *
 * Nothing here reads a clock or blocks. Work is cut into slices: notifier_step() handles about `budget` alerts and
 * notifier_deadline() is then `now`. Thread: the alert thread only. Upstream: alertmanager notify/notify.go. */
#ifndef TOCSIN_NOTIFY_PIPELINE_H
#define TOCSIN_NOTIFY_PIPELINE_H

#include "alert/store.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/metric.h"
#include "base/rng.h"
#include "inhibit/inhibit.h"
#include "model/timeinterval.h"
#include "nflog/claims.h"
#include "nflog/nflog.h"
#include "notify/notification.h"
#include "notify/receiver.h"
#include "silence/silence.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- What of the configuration the pipeline uses ---- */

struct notify_integration {
    const struct receiver_row *row;
    const void *config;    /* the row's struct */
    const char *name;      /* row->name: "webhook" */
    uint32_t idx;          /* within the receiver's list of this kind */
    bool send_resolved;
};
struct notify_receiver {
    struct str name;
    const struct notify_integration *v; /* in build order (enum receiver_kind, then idx) */
    size_t n;
};
/* The receivers that the routes of one configuration use, immutable and counted: an attempt in flight keeps them over a
 * reload. */
struct notify_receivers {
    atomic_uint refs;
    const struct notify_receiver *v;
    size_t n;
    struct str external_url;
    void *context;               /* the maker's: what owns all this */
    void (*free)(void *context); /* called once, by whoever lets go last, on any thread */
};
struct notify_receivers *notify_receivers_retain(struct notify_receivers *r);
void notify_receivers_release(struct notify_receivers *r);

/* A named time interval of a route. */
struct notify_window {
    struct str name;
    const struct time_interval *v;
    size_t n;
};

/* ---- Effects ---- */

/* An attempt to be made: render and send n to integration, until deadline. The sender owns one reference of n and of
 * receivers, and answers once with a result, cancelled or not. */
struct notify_attempt {
    uint64_t id;
    struct notification *n;
    struct notify_receivers *receivers;
    const struct notify_receiver *receiver;
    const struct notify_integration *integration;
    mono_ms deadline;
    mono_ms begin_by; /* one that still stands in line then is given back unsent: its turn among the replicas ends; 0: none */
    uint32_t number; /* from 1, within this flush */
};
enum notify_notice_kind {
    NOTIFY_NOTICE_FLUSH_FAILED,    /* error "Notify for alerts failed": aggrGroup, num_alerts, err */
    NOTIFY_NOTICE_FLUSH_CANCELLED, /* debug, the same: a reload or the end */
    NOTIFY_NOTICE_RETRY,           /* warn "Notify attempt failed, will retry later": receiver, integration, aggrGroup,
                                      attempts, err */
    NOTIFY_NOTICE_RECOVERED,       /* info "Notify success": receiver, integration, aggrGroup, attempts, duration */
    NOTIFY_NOTICE_SENT,            /* debug "Notify success" at the first attempt */
    NOTIFY_NOTICE_FLUSHING,        /* debug "flushing": aggrGroup, num_alerts */
    NOTIFY_NOTICE_ALERT_REFUSED,   /* error "error on set alert": err */
};
struct notify_notice {
    enum notify_notice_kind kind;
    struct str group_key, receiver, integration; /* integration as "webhook[0]" */
    size_t alerts;
    uint32_t attempts;
    double seconds;
    struct str err;
};
enum notify_effect_kind {
    NOTIFY_ATTEMPT, /* attempt */
    NOTIFY_CANCEL,  /* attempt.id: nobody waits for it any more; it is still answered */
    NOTIFY_RECORD,  /* bytes: one record of the notification log with its length: journal, and the mesh under "nfl" */
    NOTIFY_RECORD_AGAIN, /* bytes: a record that is in the log; the mesh only: somebody has missed it */
    NOTIFY_CLAIM,   /* claim: to the members that take part or, if `to` has a name, to that one, under CLAIMS_MESH_KEY */
    NOTIFY_NOTICE,  /* notice: to be logged */
};
struct notify_effect {
    enum notify_effect_kind kind;
    struct notify_attempt attempt;
    struct str bytes;
    struct claim_message claim;
    struct str to;
    struct notify_notice notice;
};
/* Appended to by steps; texts live until reset. Attempts hold references that the performer takes over. */
struct notify_out {
    struct notify_effect *v;
    size_t n, capacity;
    struct arena arena;
};
void notify_out_init(struct notify_out *out);
void notify_out_reset(struct notify_out *out);
void notify_out_deinit(struct notify_out *out);
struct notify_effect *notify_out_add(struct notify_out *out, enum notify_effect_kind kind); /* valid until the next */

struct notify_result {
    uint64_t attempt;
    enum send_verdict verdict; /* SEND_DONE, SEND_RETRY, SEND_FAIL */
    enum send_reason reason;   /* of a failure */
    struct str error;          /* of a failure, in upstream's words */
    const struct receiver_value *data; /* of a success: into the log entry */
    size_t data_count;
    double seconds;            /* how long it took */
    uint32_t requests;         /* HTTP requests made in it; 0 counts as one */
};

/* ---- The decision ---- */

/* The dedup table (spec 6). entry NULL: none is stored. Hashes are sets: sorted here, duplicates allowed. `held` are
 * restored alerts nobody has spoken of yet: they count as firing, but start nothing. */
struct notify_question {
    const uint64_t *firing, *resolved, *held; /* sorted ascending; held ones are not in firing */
    size_t firing_count, resolved_count, held_count;
    bool has_entry;
    const uint64_t *entry_firing, *entry_resolved; /* sorted ascending */
    size_t entry_firing_count, entry_resolved_count;
    struct wire_time entry_timestamp;
    bool send_resolved;
    struct wire_time now; /* the tick */
    int64_t repeat_interval_ms;
};
enum notify_reason notify_decide(const struct notify_question *q);

/* ---- The engine ---- */

struct notify_stats {
    struct metric_vec *notifications, *failed, *requests, *requests_failed, *latency;
    struct counter suppressed_silence, suppressed_inhibition, suppressed_mute_time, suppressed_active_time;
    struct gauge receivers, integrations;
    struct counter claims_sent, claims_heard, claims_waited, claims_unanswered;
    struct gauge in_flight; /* attempts */
    struct counter spared;  /* attempts that were not made because the integration failed time and again */
};
extern const struct metric_desc notify_metrics[]; /* without the receiver_name label */
extern const size_t notify_metrics_count;
extern const struct metric_desc notify_metrics_named[]; /* with it: feature receiver-name-in-metrics */
extern const size_t notify_metrics_named_count;

struct notify_options {
    int64_t peer_timeout_ms;
    bool receiver_names_in_metrics;
};
struct notifier;
struct notifier *notifier_new(const struct notify_options *options, struct alert_store *alerts, struct silencer *silencer,
                              struct nflog *log, struct rng *rng);
void notifier_free(struct notifier *nt); /* drops what is in flight */
struct notify_stats *notifier_stats(struct notifier *nt);

/* One alert of a flush, as the group saw it. */
struct notify_alert {
    struct alert_slot *slot; /* the flush holds a reference */
    struct wire_time updated_at;
    enum alert_state state;
    bool muted; /* a stage took it out */
};
/* What the group is told when the flush is over. */
struct notify_flush;
struct notify_flush_spec {
    void *owner; /* the group; NULL once nobody waits for the end */
    struct notify_receivers *receivers; /* retained by the flush */
    size_t receiver;
    struct str group_key, route_id;
    struct labels group_labels, route_labels;
    const struct notify_window *active, *mute;
    size_t active_count, mute_count;
    int64_t repeat_interval_ms, timeout_ms; /* timeout: max(group_interval, 10 s) */
    struct wire_time tick;  /* the scheduled instant of the timer */
    struct wire_time taken; /* when the alerts were looked at: now */
    struct inhibitor *inhibitor;
};
/* Starts a flush. Texts are copied; `alerts` (mem_alloc'd, references counted) is taken. */
struct notify_flush *notifier_flush(struct notifier *nt, mono_ms now, const struct notify_flush_spec *spec,
                                    struct notify_alert *alerts, size_t alerts_count);
/* Nobody waits for this flush any more (reload, stop). Attempts in flight are left to end: a success is still
 * recorded, and the same key is not tried again meanwhile. */
void notifier_abandon(struct notifier *nt, struct notify_flush *f, struct notify_out *out);

/* The receivers from now on: for the metrics. */
void notifier_configure(struct notifier *nt, const struct notify_receivers *receivers);
/* At the end: nobody waits for any attempt any more; each is told so, and still answered. */
void notifier_cancel_all(struct notifier *nt, struct notify_out *out);
size_t notifier_in_flight(const struct notifier *nt);

void notifier_set_peers(struct notifier *nt, mono_ms now, const struct claim_members *members, bool settled);
void notifier_result(struct notifier *nt, mono_ms now, struct wire_time wall, const struct notify_result *r,
                     struct notify_out *out);
void notifier_hear_claim(struct notifier *nt, mono_ms now, const struct claim_message *m, struct notify_out *out);

void notifier_step(struct notifier *nt, mono_ms now, struct wire_time wall, size_t budget, struct notify_out *out);
mono_ms notifier_deadline(const struct notifier *nt);
/* When the next of those who wait for their turn, or to try again, looks at the log again; MONO_NEVER: nobody waits. */
mono_ms notifier_next_turn(const struct notifier *nt);

/* The next flush that is over, or NULL. Its owner reads it, then calls notify_flush_free(). */
struct notify_flush *notifier_done(struct notifier *nt);
void *notify_flush_owner(const struct notify_flush *f);
bool notify_flush_ok(const struct notify_flush *f);
/* Why a time interval muted the group: names, empty if it was not or the stage did not run (*ran says). */
const struct str *notify_flush_muted_by(const struct notify_flush *f, size_t *count, bool *ran);
const struct notify_alert *notify_flush_alerts(const struct notify_flush *f, size_t *count);
void notify_flush_free(struct notifier *nt, struct notify_flush *f);

#endif
