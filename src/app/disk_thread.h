/* The disk thread: journal batches and snapshot files of the alert half, off everybody else's path. A disk that hangs delays
 * acknowledgements, never a probe, a flush or a webhook; past DISK_STALL_MS that is logged and shown
 * (tocsin_journal_stalled_seconds).
 *
 * Jobs are done in order. Each is answered by calling its done on the loop it names. Thread: post from that loop. */
#ifndef TOCSIN_APP_DISK_THREAD_H
#define TOCSIN_APP_DISK_THREAD_H

#include "base/buf.h"
#include "base/fs.h"
#include "base/metric.h"
#include "io/loop.h"
#include "io/mailbox.h"
#include "journal/journal.h"

#include <stdatomic.h>
#include <stdbool.h>

#define DISK_STALL_MS 1000

enum disk_job_kind { DISK_JOURNAL, DISK_JOURNAL_SYNC, DISK_SNAPSHOT };
struct disk_file {
    struct str path; /* the job's owner keeps it */
    struct buf bytes;
    bool ok;
};
#define DISK_FILES_MAX 4
struct disk_job {
    struct mail mail;
    enum disk_job_kind kind;
    struct journal_batch batch; /* DISK_JOURNAL */
    bool sync;
    struct disk_file files[DISK_FILES_MAX]; /* DISK_SNAPSHOT: replaced one by one, then the journal is folded */
    size_t files_count;
    struct journal *journal;
    uint64_t drop_before; /* segments below this one are covered by the snapshot */
    bool ok;
    struct err err;
    double seconds;
    void *user;
};

struct disk_stats {
    struct gauge stalled_seconds;
    struct counter failures;
};
extern const struct metric_desc disk_metrics[];
extern const size_t disk_metrics_count;

struct disk_thread;
/* Answers go to `done` on `owner`'s loop. */
MUST_CHECK struct disk_thread *disk_thread_start(struct loop *owner, struct fs *fs, void (*done)(void *arg, struct disk_job *job),
                                                 void *arg, struct err *err);
void disk_thread_post(struct disk_thread *d, struct disk_job *job);
void disk_thread_stop(struct disk_thread *d); /* after the jobs that were posted; joins */
struct disk_stats *disk_thread_stats(struct disk_thread *d);
/* For the metric's collector: how long the job at hand has taken so far. Any thread. */
double disk_thread_stalled(const struct disk_thread *d);

#endif
