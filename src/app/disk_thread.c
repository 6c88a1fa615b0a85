/* One loop, one mailbox, jobs in order. The owner never waits: it posts and is told. */
#include "app/disk_thread.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/stopwatch.h"
#include "io/clock_io.h"
#include "io/thread.h"

#define JOBS_MAX 1024

const struct metric_desc disk_metrics[] = {
    METRIC(GAUGE, struct disk_stats, stalled_seconds, "tocsin_journal_stalled_seconds",
           "How long the write that is under way has been waiting for the disk."),
    METRIC(COUNTER, struct disk_stats, failures, "tocsin_journal_failures_total",
           "Writes of the journal or a snapshot that failed."),
};
const size_t disk_metrics_count = ARRAY_LEN(disk_metrics);

struct disk_thread {
    struct loop *loop;
    struct thread thread;
    struct mailbox *inbox, *outbox;
    struct fs *fs;
    void (*done)(void *arg, struct disk_job *job);
    void *arg;
    struct disk_stats stats;
    _Atomic int64_t busy_since_ns; /* 0: idle */
    atomic_bool stopping;
};

static void snapshot(struct disk_thread *d, struct disk_job *job)
{
    job->ok = true;
    for (size_t i = 0; i < job->files_count; i++) {
        struct disk_file *f = &job->files[i];
        f->ok = fs_replace_file(d->fs, f->path, buf_view(&f->bytes), &job->err);
        job->ok = job->ok && f->ok;
    }
    if (job->ok && job->journal && !journal_drop(job->journal, job->drop_before, &job->err))
        job->ok = false;
}

static void perform(void *arg, struct mail *m)
{
    struct disk_thread *d = arg;
    struct disk_job *job = container_of(m, struct disk_job, mail);
    struct stopwatch watch = stopwatch_start();
    atomic_store(&d->busy_since_ns, clock_mono_ns());
    switch (job->kind) {
    case DISK_JOURNAL:
        job->ok = journal_write(job->batch.j, &job->batch, job->sync, &job->err);
        break;
    case DISK_JOURNAL_SYNC:
        job->ok = journal_sync(job->journal, &job->err);
        break;
    case DISK_SNAPSHOT:
        snapshot(d, job);
        break;
    }
    atomic_store(&d->busy_since_ns, 0);
    job->seconds = stopwatch_seconds(watch);
    if (!job->ok)
        counter_add(&d->stats.failures, 1);
    if (job->seconds * 1000 > DISK_STALL_MS)
        log_warn("The disk was slow to take what was written", LOG_F64("seconds", job->seconds));
    if (!mailbox_post_answer(d->outbox, &job->mail))
        ASSERT(!"the owner of the disk thread stops it before it closes its own mailbox");
}

static void answered(void *arg, struct mail *m)
{
    struct disk_thread *d = arg;
    d->done(d->arg, container_of(m, struct disk_job, mail));
}

static void main_loop(void *arg)
{
    struct disk_thread *d = arg;
    loop_run(d->loop);
}

struct disk_thread *disk_thread_start(struct loop *owner, struct fs *fs, void (*done)(void *arg, struct disk_job *job),
                                      void *arg, struct err *err)
{
    struct disk_thread *d = MEM_NEW(struct disk_thread);
    d->loop = loop_new("disk", NULL);
    d->fs = fs;
    d->done = done;
    d->arg = arg;
    d->inbox = mailbox_new(d->loop, "disk", JOBS_MAX, NULL, perform, d);
    d->outbox = mailbox_new(owner, "disk-done", JOBS_MAX, NULL, answered, d);
    if (thread_start(&d->thread, "disk", main_loop, d, err))
        return d;
    mailbox_close(d->inbox);
    mailbox_close(d->outbox);
    mailbox_free(d->inbox);
    mailbox_free(d->outbox);
    loop_free(d->loop);
    mem_free(d);
    return NULL;
}

void disk_thread_post(struct disk_thread *d, struct disk_job *job)
{
    /* The owner has at most one batch, one sync and one snapshot under way. */
    if (!mailbox_post_answer(d->inbox, &job->mail))
        ASSERT(!"posted to a disk thread that was stopped");
}

static void end_loop(void *arg)
{
    struct disk_thread *d = arg;
    mailbox_close(d->inbox); /* what is queued is performed first */
    loop_stop(d->loop);
}

void disk_thread_stop(struct disk_thread *d)
{
    if (!d)
        return;
    struct loop_call stop = { .run = end_loop, .arg = d };
    loop_post(d->loop, &stop);
    thread_join(&d->thread);
    mailbox_close(d->outbox); /* delivers the last answers, on the owner's thread: ours */
    mailbox_free(d->outbox);
    mailbox_free(d->inbox);
    loop_free(d->loop);
    mem_free(d);
}

struct disk_stats *disk_thread_stats(struct disk_thread *d)
{
    return &d->stats;
}

double disk_thread_stalled(const struct disk_thread *d)
{
    int64_t since = atomic_load(&d->busy_since_ns);
    return since ? (double)(clock_mono_ns() - since) / 1e9 : 0;
}
