/* The alert thread: owner of the alert store, silences, notification log, inhibition and dispatch. Everybody else asks it by
 * mail: the API (api/backend.h), the send thread (results), the disk thread (what is written), the mesh (what peers say),
 * main (a new configuration). It never waits for any of them.
 *
 * What was acknowledged: a silence is answered when the journal has it synced; alerts when the journal has them written, and
 * they are synced within JOURNAL_SYNC_MS. At start the snapshots are read, then the journal is replayed over them.
 *
 * Thread: start and stop on main; the posting functions on any. */
#ifndef TOCSIN_APP_ALERT_THREAD_H
#define TOCSIN_APP_ALERT_THREAD_H

#include "api/backend.h"
#include "app/options.h"
#include "base/fs.h"
#include "base/metric.h"
#include "dispatch/dispatch.h"
#include "nflog/claims.h"
#include "notify/pipeline.h"

#include <stdbool.h>

#define JOURNAL_SYNC_MS 1000

struct alert_thread;

/* Where effects go. All are called on the alert thread and must not block. */
struct alert_thread_hooks {
    void *arg;
    void (*attempt)(void *arg, const struct notify_attempt *a); /* takes its references over */
    void (*cancel)(void *arg, uint64_t attempt);
    /* News for the peers; relay: heard from one. NULL: no mesh. */
    void (*broadcast)(void *arg, struct str key, struct str record, bool relay);
    void (*claim)(void *arg, struct str to, struct str bytes); /* to: one member, or empty: all that take part */
    void (*alerts_changed)(void *arg, const struct dispatch_alert *alerts, size_t n); /* news from senders, for tocsin peers */
    void (*cluster)(void *arg, struct arena *a, struct api_cluster *out); /* for the status; NULL: disabled */
    bool (*reload)(void *arg, struct api_ask *q); /* answers q itself, later; true if it took it */
};

struct alert_thread_options {
    const struct options *options;
    struct fs *fs;
    enum matcher_mode mode;
    bool receiver_names_in_metrics, group_keys_in_metrics, alert_names_in_metrics;
    bool clustered; /* false: settled and alone from the start */
    uint64_t seed;
    struct metric_registry *registry;
    struct loop_metrics *loop_metrics;
    struct mailbox_metrics *mailbox_metrics;
};

/* Reads the directory and starts the thread. Errors: a snapshot that cannot be read, a journal that cannot be opened. */
MUST_CHECK struct alert_thread *alert_thread_start(const struct alert_thread_options *options,
                                                   const struct alert_thread_hooks *hooks, struct err *err);
/* A new configuration; main keeps it alive until `applied` has been called (on the alert thread, once all stored alerts are
 * routed) or the thread has stopped. */
void alert_thread_configure(struct alert_thread *t, const struct dispatch_config *config, void (*applied)(void *arg),
                            void *arg);
void alert_thread_ask(struct alert_thread *t, struct api_ask *q);           /* any thread */
/* On the send thread. Copied; results are not seen before alert_thread_results_end(), which wakes the alert thread once. */
void alert_thread_result(struct alert_thread *t, struct notify_result *r);
void alert_thread_results_end(struct alert_thread *t);
/* From the mesh. Bytes are copied. */
void alert_thread_members(struct alert_thread *t, const struct claim_members *members, bool settled);
void alert_thread_deliver(struct alert_thread *t, struct str key, struct str bytes);
/* Has `run` called on the alert thread; false once that has stopped. Any thread. */
MUST_CHECK bool alert_thread_call(struct alert_thread *t, void (*run)(struct alert_thread *t, void *arg), void *arg);
const struct replica *alert_thread_replica(const struct alert_thread *t, struct str key); /* any thread; or NULL */
struct alert_store *alert_thread_alerts(struct alert_thread *t);                    /* on the alert thread */
struct loop *alert_thread_loop(struct alert_thread *t);
/* On the alert thread: `turn` is called there shortly before a notification that waits for its turn is decided, and again
 * while others follow: time to hear what peers have sent. */
void alert_thread_on_turn(struct alert_thread *t, void (*turn)(void *arg), void *arg);
/* Alerts that a peer told us: merged, journalled. On the alert thread. */
void alert_thread_merge_alerts(struct alert_thread *t, struct dispatch_alert *alerts, size_t n);
void alert_thread_merge_times(struct alert_thread *t, fingerprint fp, struct wire_time ends_at, struct wire_time updated_at);

/* No more flushes begin; what is in flight may still end and is recorded. */
void alert_thread_quiesce(struct alert_thread *t);
/* Final snapshots are written; joins. Asks that are still waiting are answered with ERR_UNAVAILABLE. */
void alert_thread_stop(struct alert_thread *t);
void alert_thread_free(struct alert_thread *t);

#endif
