/* The alert thread's journal: records gather in its buffer, leave for the disk thread in batches, and who asked for them is
 * answered when their batch has come back.
 *
 * J1  An ask that changed something is answered only after the batch that holds its records was written (silences: synced).
 * J2  One batch at a time, and one that nobody waits for not sooner than GATHER_MS after the last. A batch that holds a
 *     silence is synced; what others left unsynced is, each JOURNAL_SYNC_MS. */
#include "app/alert_thread_int.h"

#include "alert/record.h"
#include "base/log.h"

#define SAVED_INTERVAL_MS 15000
#define GATHER_MS         2 /* that a batch waits for more */
#define GATHER_MIN        4 /* answered by the batch before */

/* ---- who waits ---- */

void alert_thread_answer_when_written(struct alert_thread *t, struct api_ask *q, uint64_t ticket)
{
    if (t->waiting_count == t->waiting_capacity) {
        t->waiting_capacity = mem_grow(t->waiting_capacity, t->waiting_count + 1);
        t->waiting = mem_realloc_array(t->waiting, t->waiting_capacity, sizeof *t->waiting);
    }
    t->waiting[t->waiting_count++] = (struct waiting){ q, ticket };
}

size_t alert_thread_release_waiting(struct alert_thread *t, uint64_t last, const struct err *failure)
{
    size_t n = 0;
    while (n < t->waiting_count && t->waiting[n].ticket <= last)
        n++;
    if (n == 0)
        return 0;
    struct waiting *now = mem_dup(t->waiting, n * sizeof *now);
    memmove(t->waiting, t->waiting + n, (t->waiting_count - n) * sizeof *t->waiting);
    t->waiting_count -= n;
    for (size_t i = 0; i < n; i++) {
        struct api_ask *q = now[i].q;
        if (failure && q->what != API_PUT_ALERTS) {
            q->err = *failure;
            q->err.code = ERR_IO;
            alert_thread_answer(q, false);
        } else {
            alert_thread_answer(q, true);
        }
    }
    mem_free(now);
    return n;
}

/* ---- the journal ---- */

/* An idle node with nothing to keep is not woken. */
static void arm_sync(struct alert_thread *t)
{
    bool due = t->unsynced || t->journal_failing || alert_store_count(t->alerts) > 0;
    if (due && !timer_is_armed(&t->sync_timer.entry))
        loop_timer_in(t->loop, &t->sync_timer, JOURNAL_SYNC_MS);
}

bool alert_thread_journal_add(struct alert_thread *t, enum journal_type type, struct str record, uint64_t *ticket,
                              struct err *err)
{
    if (!journal_append(t->journal, (uint8_t)type, record, ticket, err))
        return false;
    t->batch_needs_sync = t->batch_needs_sync || type == JOURNAL_SILENCE;
    alert_thread_turn_soon(t);
    return true;
}

void alert_thread_journal_note(struct alert_thread *t, enum journal_type type, struct str record)
{
    struct err err = { 0 };
    if (!alert_thread_journal_add(t, type, record, NULL, &err) && !t->journal_failing) {
        t->journal_failing = true;
        log_error("The journal takes no more records; what is not on disk would be lost with the process", LOG_ERR(&err));
        arm_sync(t);
    }
}

void alert_thread_flush_journal(struct alert_thread *t)
{
    if (t->batch_out || !journal_take(t->journal, &t->batch_job.batch))
        return;
    t->batch_job.kind = DISK_JOURNAL;
    t->batch_job.sync = t->batch_needs_sync;
    t->batch_needs_sync = false;
    t->batch_out = true;
    disk_thread_post(t->disk, &t->batch_job);
}

/* Clients that post one silence after the other come in step with the syncs: those that were just answered are about to ask
 * again. A batch that leaves with the first of them makes the others wait for a sync more. It waits for as many as were
 * answered, but not for long.
 * Records that nobody waits for, the log of a burst of notifications, need not wake the disk thread for each. */
static bool gathers(struct alert_thread *t)
{
    bool more = t->waiting_count == 0;
    if (t->batch_needs_sync)
        more = t->gather_count >= GATHER_MIN && t->waiting_count < t->gather_count;
    return more && mono_before(loop_now(t->loop), t->gather_until);
}

void alert_thread_flush_or_gather(struct alert_thread *t)
{
    if (gathers(t))
        loop_timer_at(t->loop, &t->gather_timer, t->gather_until);
    else
        alert_thread_flush_journal(t);
}

void alert_thread_gather_tick(void *arg)
{
    alert_thread_turn_soon(arg);
}

void alert_thread_batch_done(struct alert_thread *t, struct disk_job *job)
{
    t->batch_out = false;
    uint64_t last = job->batch.last;
    bool written = job->batch.written;
    journal_done(t->journal, &job->batch);
    if (job->ok) {
        if (t->journal_failing)
            log_info("The journal is written again");
        t->journal_failing = false;
        t->unsynced = t->unsynced || !job->sync;
        size_t answered = alert_thread_release_waiting(t, last, NULL);
        t->gather_until = mono_add(loop_now(t->loop), GATHER_MS);
        if (job->sync)
            t->gather_count = answered;
    } else {
        if (!t->journal_failing)
            log_error("Writing the journal failed; alerts are kept in memory, silences are refused", LOG_ERR(&job->err));
        t->journal_failing = true;
        t->batch_needs_sync = t->batch_needs_sync || job->sync;
        /* The bytes go out again with the next try; who waits is told now. */
        (void)alert_thread_release_waiting(t, last, written ? NULL : &job->err);
    }
    job->err = (struct err){ 0 };
    arm_sync(t);
    if (!t->journal_failing)
        alert_thread_turn_soon(t);
}

void alert_thread_sync_tick(void *arg)
{
    struct alert_thread *t = arg;
    int64_t now = loop_now(t->loop).ms;
    if (alert_store_count(t->alerts) && now - t->saved_at_ms >= SAVED_INTERVAL_MS) {
        t->saved_at_ms = now;
        buf_reset(&t->scratch);
        alert_record_write_saved(&t->scratch, alert_store_alive(t->alerts, clock_wall()));
        alert_thread_journal_note(t, JOURNAL_ALERT, buf_view(&t->scratch));
    }
    if (t->journal_failing)
        alert_thread_turn_soon(t); /* the next try */
    if (t->unsynced && !t->sync_out && !t->journal_failing) {
        t->unsynced = false;
        t->sync_out = true;
        t->sync_job.kind = DISK_JOURNAL_SYNC;
        t->sync_job.journal = t->journal;
        disk_thread_post(t->disk, &t->sync_job);
    }
    arm_sync(t);
}

void alert_thread_sync_done(struct alert_thread *t, struct disk_job *job)
{
    t->sync_out = false;
    if (!job->ok) {
        t->unsynced = true;
        log_error("Syncing the journal failed", LOG_ERR(&job->err));
        job->err = (struct err){ 0 };
    }
    arm_sync(t);
}
