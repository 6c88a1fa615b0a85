/* What the parts of the alert thread share: its state, grouped by the part that keeps it, and what each part does for the
 * others. alert_thread.c is the thread itself: mail, turns, effects. The parts:
 *
 *     alert_journal.c    what must be on disk before it is answered
 *     alert_asks.c       what the API asks: alerts, silences, questions
 *     alert_peers.c      what peers say
 *     alert_snapshot.c   collection, the files
 *     alert_restore.c    the files and the journal, at start
 *
 * Thread: the alert thread, but for alert_thread_restore(): before it starts. */
#ifndef TOCSIN_APP_ALERT_THREAD_INT_H
#define TOCSIN_APP_ALERT_THREAD_INT_H

#include "app/alert_thread.h"
#include "app/claim_outbox.h"
#include "app/disk_thread.h"
#include "base/mem.h"
#include "base/stopwatch.h"
#include "io/clock_io.h"
#include "io/loop.h"
#include "io/mailbox.h"
#include "io/thread.h"
#include "journal/journal.h"

#define SLICE_RECORDS 500 /* merged or collected in one go */

enum journal_type { JOURNAL_SILENCE = 1, JOURNAL_NFLOG = 2, JOURNAL_ALERT = 3 };

enum mail_kind { MAIL_ASK, MAIL_RESULT, MAIL_MEMBERS, MAIL_DELIVER, MAIL_CONFIG, MAIL_CALL, MAIL_QUIESCE, MAIL_STOP };
struct alert_mail {
    struct mail mail;
    enum mail_kind kind;
    bool in_arena; /* not ours to free */
    struct api_ask *ask;
    struct notify_result result;
    struct arena arena; /* texts of result, members */
    struct claim_members members;
    bool settled;
    struct str key, bytes;
    struct alert_mail *next_merge; /* a peer's state that is being merged */
    const struct dispatch_config *config;
    void (*applied)(void *arg);
    void (*run)(struct alert_thread *t, void *arg);
    void *arg;
};

/* An ask that waits for the disk. */
struct waiting {
    struct api_ask *q;
    uint64_t ticket;
};

enum snapshot_phase { SNAP_IDLE, SNAP_GC_SILENCES, SNAP_GC_NFLOG, SNAP_SILENCES, SNAP_NFLOG, SNAP_ALERTS, SNAP_TIMERS,
                      SNAP_WRITING };
enum { FILE_SILENCES, FILE_NFLOG, FILE_ALERTS, FILES };

struct alert_thread {
    struct alert_thread_options o;
    struct alert_thread_hooks hooks;
    struct loop *loop;
    struct thread thread;
    struct mailbox *inbox;
    struct mail_bundle results; /* the send thread's, of its turn */
    struct loop_call turn;
    bool turn_due;
    struct loop_timer step_timer, sync_timer, maintenance_timer, gc_timer, slice_timer, gc_slice_timer, turn_timer,
                      claims_timer, gather_timer, merge_timer;
    void (*on_turn)(void *arg);
    void *on_turn_arg;
    mono_ms turn_told; /* when on_turn was called last */

    /* what it owns */
    struct alert_store *alerts;
    struct silence_store *silences;
    struct nflog *nflog;
    struct dispatch *dispatch;
    struct replica replicas[2];
    struct rng rng;
    struct notify_out out;
    struct claim_outbox claims;
    mono_ms claims_sent; /* when a batch went last */
    struct buf scratch;

    /* alert_journal.c */
    struct journal *journal;
    struct disk_thread *disk;
    struct disk_job batch_job, sync_job, snapshot_job;
    bool batch_out, sync_out, batch_needs_sync, unsynced;
    bool journal_failing;
    struct waiting *waiting;
    size_t waiting_count, waiting_capacity;
    size_t gather_count;   /* how many the last synced batch answered */
    mono_ms gather_until;
    int64_t saved_at_ms;

    /* alert_snapshot.c */
    enum snapshot_phase phase;
    uint64_t replica_cursor;
    uint32_t alert_cursor;
    size_t cursor;
    struct stopwatch phase_watch;
    double encode_seconds[FILES];
    struct str paths[FILES];
    struct arena arena; /* paths */
    uint32_t gc_cursor;

    /* alert_asks.c, alert_peers.c, alert_thread.c */
    struct api_ask **groups_waiting; /* until the dispatcher has loaded */
    size_t groups_waiting_count, groups_waiting_capacity;
    struct alert_mail *merging, **merging_last; /* the first is under way */
    struct alert_mail *applying; /* a configuration whose alerts are being routed */
    bool stopping;
};

/* ---- alert_thread.c ---- */

void alert_thread_feed(struct alert_thread *t, const struct dispatch_event *ev); /* a step of the dispatcher, and its effects */
void alert_thread_turn_soon(struct alert_thread *t);
void alert_thread_broadcast(struct alert_thread *t, struct str key, struct str record, bool relay);
void alert_thread_mail_free(struct alert_mail *m);

/* ---- alert_journal.c ---- */

/* The record goes out with the next batch; *ticket names the batch. False: the journal takes no more. */
bool alert_thread_journal_add(struct alert_thread *t, enum journal_type type, struct str record, uint64_t *ticket,
                              struct err *err);
/* For records whose loss is made good by others: alerts are sent again, log entries are held by the peers. */
void alert_thread_journal_note(struct alert_thread *t, enum journal_type type, struct str record);
void alert_thread_flush_journal(struct alert_thread *t);   /* if no batch is under way */
void alert_thread_flush_or_gather(struct alert_thread *t); /* the same, or a moment later */
void alert_thread_gather_tick(void *arg);
void alert_thread_sync_tick(void *arg);
void alert_thread_batch_done(struct alert_thread *t, struct disk_job *job);
void alert_thread_sync_done(struct alert_thread *t, struct disk_job *job);
void alert_thread_answer_when_written(struct alert_thread *t, struct api_ask *q, uint64_t ticket);
/* Answers who waits for tickets up to `last`; returns how many. failure NULL: all went well. */
size_t alert_thread_release_waiting(struct alert_thread *t, uint64_t last, const struct err *failure);

/* ---- alert_asks.c ---- */

void alert_thread_answer(struct api_ask *q, bool ok);
void alert_thread_answer_unavailable(struct api_ask *q);
void alert_thread_handle_ask(struct alert_thread *t, struct api_ask *q);
void alert_thread_answer_groups(struct alert_thread *t); /* who waits for the dispatcher to have loaded, if it has */

/* ---- alert_peers.c ---- */

/* Can what a peer says under the key be decoded? Any thread; logged. */
bool alert_thread_can_merge(const struct alert_thread *t, struct str key, struct str bytes);
bool alert_thread_handle_deliver(struct alert_thread *t, struct alert_mail *m); /* true if the mail is kept */
void alert_thread_merge_tick(void *arg);

/* ---- alert_snapshot.c ---- */

void alert_thread_maintenance(struct alert_thread *t); /* begins one, if none is under way */
void alert_thread_maintenance_tick(void *arg);
void alert_thread_slice_tick(void *arg);
void alert_thread_snapshot_done(struct alert_thread *t, struct disk_job *job);
void alert_thread_gc_tick(void *arg);
void alert_thread_gc_slice(void *arg);

/* ---- alert_restore.c ---- */

MUST_CHECK bool alert_thread_restore(struct alert_thread *t, struct err *err);

#endif
