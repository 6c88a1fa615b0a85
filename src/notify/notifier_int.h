/* The engine's own structs: a flush, its runs (one per integration), the notifier. Shared by notifier.c (queues, events,
 * life cycle), stages.c (what a stage does) and metrics.c. */
#ifndef TOCSIN_NOTIFY_NOTIFIER_INT_H
#define TOCSIN_NOTIFY_NOTIFIER_INT_H

#include "base/heap.h"
#include "base/map.h"
#include "notify/pipeline.h"

enum stage_result {
    STAGE_PASS, /* on to the next stage */
    STAGE_END,  /* nothing is left to say: a success */
    STAGE_WAIT, /* for a timer, an answer or an event: it has been arranged */
    STAGE_MORE, /* the slice is used up: again at the next step */
    STAGE_FAIL, /* the error text is set */
};

/* A place in a queue of things that can go on. */
struct work {
    struct work *next;
    bool queued;
};
struct work_queue {
    struct work *first, *last;
};

/* What is to be said, as hashes: in flush order for the log, sorted for the decision. */
struct hash_lists {
    uint64_t *log_firing, *log_resolved, *firing, *resolved, *held;
    size_t log_firing_count, resolved_count, firing_count, held_count;
    struct wire_time taken; /* when the alerts were looked at */
};

struct run {
    struct work work;
    struct timer_entry timer;
    struct notify_flush *flush;
    const struct notify_integration *integration;
    struct str key;           /* of the log entry */
    uint64_t claim;           /* claim_key(key) */
    struct run *same, **same_prev; /* runs with this claim key */
    size_t stage;             /* in the table */
    bool begun;               /* the wait stage has been entered */
    bool announced;           /* the others are asked, or told, about the attempt that comes */
    bool asked_late;          /* this process was stopped while it waited for the answers, and waits anew */
    mono_ms announced_at, asked_at;
    int64_t ask_gap_ms;
    bool logged;              /* a peer's entry came under its key since it was decided */
    bool counted;             /* passed dedup once: alertmanager_notifications_total */
    bool over, ok;
    mono_ms begun_at;
    uint64_t attempt;         /* in flight; 0: none */
    uint32_t attempts;        /* made */
    uint32_t tries;           /* attempts, and those that were spared */
    bool admitted;            /* no outage stands against the next attempt */
    bool woken;               /* the next attempt is made before its back-off is over */
    struct outage *outage;    /* in whose list it waits; NULL: none */
    struct run *outage_prev, *outage_next;
    mono_ms attempt_at, next_at;
    double backoff_ms;
    enum send_reason reason;  /* of last_error */
    struct buf last_error;    /* of the last attempt that failed in time; empty: none */
    enum notify_reason why;
    const struct hash_lists *hashes;
    struct wire_time looked_for; /* timestamp of the entry for which the alerts were looked at again */
    const uint8_t *states;    /* enum alert_state of each of the flush's alerts, if looked at again; NULL: as they were */
    struct notification *n;
    struct wire_time n_entry; /* timestamp of the entry that n was made for */
    size_t built;             /* how many of the flush's alerts have been looked at for n */
    const struct receiver_value *data; /* what the attempt left for the entry: in the flush's arena */
    size_t data_count;
};

struct notify_flush {
    struct work work;
    struct timer_entry timer; /* its deadline */
    struct notifier *nt;
    struct notify_flush *next, *prev; /* all flushes */
    struct notify_flush *next_done;
    void *owner;
    bool begun, abandoned, over, ok;
    struct notify_receivers *receivers;
    const struct notify_receiver *receiver;
    struct arena arena;
    struct str group_key, route_id;
    struct labels group_labels, route_labels;
    const struct notify_window *active, *mute;
    size_t active_count, mute_count;
    int64_t repeat_interval_ms, timeout_ms;
    struct wire_time tick;
    mono_ms deadline;
    struct inhibitor *inhibitor;
    struct notify_alert *alerts;
    size_t alerts_count, left; /* left: not muted */
    size_t stage, cursor;
    const struct str *muted_by;
    size_t muted_by_count;
    bool time_ran;
    struct hash_lists hashes; /* of what is left */
    struct wire_time taken;   /* when the group was looked at */
    struct run *runs;
    size_t runs_count, runs_open;
    struct buf errors; /* of the runs, one a line */
};

struct notifier {
    struct notify_options options;
    struct alert_store *alerts;
    struct silencer *silencer;
    struct nflog *log;
    struct rng *rng;
    struct claims *claims;
    struct claim_members members; /* names are copies */
    bool alone;                   /* nobody else takes part in claims */
    bool settled;
    struct work_queue flushes, runs;
    struct timer_heap run_timers, flush_timers;
    struct notify_flush *all, *done, **done_last;
    struct map64 by_attempt;      /* struct run */
    struct map64 by_claim;        /* first of the runs with this key */
    struct map64 outages;         /* struct outage by the address of its notify_integration */
    uint64_t last_attempt;
    struct arena scratch;         /* of one stage */
    struct buf text;
    struct notify_stats stats;
};

/* What a stage is given. */
struct stage_call {
    struct notifier *nt;
    mono_ms now;
    struct wire_time wall;
    size_t *budget;
    struct notify_out *out;
};
struct stage {
    const char *name;
    enum stage_result (*flush)(struct stage_call *c, struct notify_flush *f); /* once per flush */
    enum stage_result (*run)(struct stage_call *c, struct run *r);            /* once per integration */
};
extern const struct stage notify_stages[];
extern const size_t notify_stages_count;
size_t notify_stage_wait(void);   /* the first stage of a run */
size_t notify_stage_record(void);

void notify_notice(struct notify_out *out, enum notify_notice_kind kind, const struct notify_flush *f,
                   const struct run *r, struct str err);
/* Ascending, duplicates stay. Linear in n: a group may have 100,000 alerts. scratch is used up to n words. */
void notify_sort_hashes(struct arena *scratch, uint64_t *v, size_t n);
/* Of what is logged under the key; WIRE_TIME_ZERO: nothing. */
static inline struct wire_time notify_entry_time(const struct notifier *nt, struct str key)
{
    struct wire_time t;
    return nflog_timestamp(nt->log, key, &t) ? t : WIRE_TIME_ZERO;
}

/* To all that take part, or to one. */
void notify_announce(struct notifier *nt, const struct claim_message *m, struct str to, struct notify_out *out);
void notify_work_push(struct work_queue *q, struct work *w);
/* Appends a line to the flush's errors. */
void notify_flush_error(struct notify_flush *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Integrations that fail (outage.c). May an attempt be made now? */
bool notify_outage_admits(struct notifier *nt, mono_ms now, const struct run *r);
void notify_outage_failed(struct notifier *nt, const struct run *r, enum send_reason reason, struct str error);
void notify_outage_succeeded(struct notifier *nt, mono_ms now, const struct run *r); /* wakes some of who waits */
void notify_outage_tell(const struct notifier *nt, struct run *r); /* its last error becomes that of the integration */
void notify_outage_join(struct notifier *nt, struct run *r);       /* it backs off, and would like to be woken */
void notify_outage_leave(struct run *r);                           /* fine if it is in no list */
void notify_outages_end(struct notifier *nt);
/* The attempt that is due counts as failed although it is not made, since the integration fails. */
void notify_spare(struct stage_call *c, struct run *r);

void notify_count_notification(struct notifier *nt, const struct run *r);
void notify_count_failed(struct notifier *nt, const struct run *r, enum send_reason reason);
void notify_count_attempt(struct notifier *nt, const struct run *r, const struct notify_result *res);

#endif
