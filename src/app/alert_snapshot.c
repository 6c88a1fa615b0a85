/* Collection of what is over, and the files that make the journal's old segments needless.
 *
 * S1  One snapshot at a time; nothing here takes longer than a slice.
 * S2  The journal's segment is rotated before the first byte of a snapshot is encoded, so that what changes meanwhile is in
 *     the segments that stay. */
#include "app/alert_thread_int.h"

#include "alert/record.h"
#include "base/log.h"

#define SLICE_BYTES (256 * 1024)
#define SLICE_SLOTS 2000

static void slice_soon(struct alert_thread *t)
{
    loop_timer_in(t->loop, &t->slice_timer, 0);
}

void alert_thread_maintenance(struct alert_thread *t)
{
    if (t->phase != SNAP_IDLE)
        return;
    t->phase = SNAP_GC_SILENCES;
    t->cursor = 0;
    t->phase_watch = stopwatch_start();
    counter_add(&silence_store_stats(t->silences)->maintenance, 1);
    counter_add(&nflog_stats(t->nflog)->maintenance, 1);
    slice_soon(t);
}

void alert_thread_maintenance_tick(void *arg)
{
    alert_thread_maintenance(arg);
}

static void begin_encoding(struct alert_thread *t)
{
    struct disk_job *job = &t->snapshot_job;
    job->kind = DISK_SNAPSHOT;
    job->files_count = FILES;
    job->journal = t->journal;
    job->drop_before = journal_rotate(t->journal);
    for (size_t i = 0; i < FILES; i++) {
        job->files[i].path = t->paths[i];
        buf_reset(&job->files[i].bytes);
    }
}

static void add_alert(struct alert_thread *t, const struct alert_slot *s)
{
    buf_reset(&t->scratch);
    alert_record_write(&t->scratch, s);
    alert_snapshot_add(&t->snapshot_job.files[FILE_ALERTS].bytes, buf_view(&t->scratch));
}

static void next_phase(struct alert_thread *t, enum snapshot_phase next)
{
    t->phase = next;
    t->cursor = 0;
    t->replica_cursor = 0;
    t->alert_cursor = 0;
    t->phase_watch = stopwatch_start();
}

static bool encode_alerts(struct alert_thread *t)
{
    struct buf *out = &t->snapshot_job.files[FILE_ALERTS].bytes;
    if (t->alert_cursor == 0 && out->n == 0) {
        alert_snapshot_begin(out);
        buf_reset(&t->scratch);
        alert_record_write_saved(&t->scratch, alert_store_alive(t->alerts, clock_wall()));
        alert_snapshot_add(out, buf_view(&t->scratch));
    }
    for (size_t i = 0; i < SLICE_SLOTS; i++) {
        struct alert_slot *s = alert_store_next(t->alerts, &t->alert_cursor);
        if (!s)
            return false;
        add_alert(t, s);
    }
    return true;
}

/* One slice; true when the files are complete. */
static bool snapshot_slice(struct alert_thread *t)
{
    struct disk_job *job = &t->snapshot_job;
    switch (t->phase) {
    case SNAP_GC_SILENCES:
        if (silence_store_gc(t->silences, clock_wall(), &t->cursor, SLICE_RECORDS))
            return false;
        histogram_observe(&silence_store_stats(t->silences)->gc_duration, stopwatch_seconds(t->phase_watch));
        next_phase(t, SNAP_GC_NFLOG);
        return false;
    case SNAP_GC_NFLOG:
        if (nflog_gc(t->nflog, clock_wall(), &t->cursor, SLICE_RECORDS))
            return false;
        histogram_observe(&nflog_stats(t->nflog)->gc_duration, stopwatch_seconds(t->phase_watch));
        begin_encoding(t);
        next_phase(t, SNAP_SILENCES);
        return false;
    case SNAP_SILENCES:
        if (silence_store_snapshot(t->silences, &t->replica_cursor, SLICE_BYTES, &job->files[FILE_SILENCES].bytes))
            return false;
        t->encode_seconds[FILE_SILENCES] = stopwatch_seconds(t->phase_watch);
        next_phase(t, SNAP_NFLOG);
        return false;
    case SNAP_NFLOG:
        if (t->replicas[1].encode(t->replicas[1].state, &t->replica_cursor, SLICE_BYTES, &job->files[FILE_NFLOG].bytes))
            return false;
        t->encode_seconds[FILE_NFLOG] = stopwatch_seconds(t->phase_watch);
        next_phase(t, SNAP_ALERTS);
        return false;
    case SNAP_ALERTS:
        if (!encode_alerts(t))
            next_phase(t, SNAP_TIMERS);
        return false;
    case SNAP_TIMERS:
        if (dispatch_snapshot_timers(t->dispatch, loop_now(t->loop), clock_wall(), &t->cursor, SLICE_SLOTS,
                                     &job->files[FILE_ALERTS].bytes))
            return false;
        alert_snapshot_end(&job->files[FILE_ALERTS].bytes);
        next_phase(t, SNAP_WRITING);
        return true;
    case SNAP_IDLE:
    case SNAP_WRITING:
        return false;
    }
    return false;
}

void alert_thread_slice_tick(void *arg)
{
    struct alert_thread *t = arg;
    if (t->phase == SNAP_IDLE || t->phase == SNAP_WRITING)
        return;
    if (snapshot_slice(t)) {
        /* What is buffered belongs to the segments before: it is written first, by order of the disk's mailbox. */
        alert_thread_flush_journal(t);
        disk_thread_post(t->disk, &t->snapshot_job);
    } else {
        slice_soon(t);
    }
}

void alert_thread_snapshot_done(struct alert_thread *t, struct disk_job *job)
{
    struct silence_stats *sil = silence_store_stats(t->silences);
    struct nflog_stats *nfl = nflog_stats(t->nflog);
    t->phase = SNAP_IDLE;
    if (!job->ok) {
        counter_add(&sil->maintenance_errors, 1);
        counter_add(&nfl->maintenance_errors, 1);
        log_error("Running maintenance failed", LOG_ERR(&job->err));
        job->err = (struct err){ 0 };
    } else {
        gauge_set(&sil->snapshot_size, (double)job->files[FILE_SILENCES].bytes.n);
        gauge_set(&nfl->snapshot_size, (double)job->files[FILE_NFLOG].bytes.n);
        histogram_observe(&sil->snapshot_duration, t->encode_seconds[FILE_SILENCES] + job->seconds / FILES);
        histogram_observe(&nfl->snapshot_duration, t->encode_seconds[FILE_NFLOG] + job->seconds / FILES);
    }
    for (size_t i = 0; i < FILES; i++)
        buf_deinit(&job->files[i].bytes); /* idle memory counts; maintenance is rare */
    if (t->stopping)
        loop_stop(t->loop);
}

void alert_thread_gc_slice(void *arg)
{
    struct alert_thread *t = arg;
    if (alert_store_gc(t->alerts, clock_wall(), &t->gc_cursor, SLICE_SLOTS))
        loop_timer_in(t->loop, &t->gc_slice_timer, 0);
    else
        t->gc_cursor = 0;
}

void alert_thread_gc_tick(void *arg)
{
    struct alert_thread *t = arg;
    if (t->gc_cursor == 0)
        alert_thread_gc_slice(t);
}
