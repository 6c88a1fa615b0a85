/* Who may see what, and when memory may go.
 *
 * Commits get numbers. A reader notes at its opening which numbers were done; series remember the number of their newest
 * two commits and how many samples there were before each, so a reader can leave off what came later (a fixed cut, and a
 * scrape all or nothing). Numbers wrap: they are compared by difference, and the head forgets old ones at each collection.
 *
 * Readers and appenders are registered with an epoch. What is taken out of shared structures is kept aside with the epoch
 * of that moment and freed when everybody who was there then has gone.
 *
 * Thread: any; one lock (rank 10). */
#ifndef TOCSIN_TSDB_HEAD_ISOLATION_INT_H
#define TOCSIN_TSDB_HEAD_ISOLATION_INT_H

#include "base/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPEN_COMMITS_MAX 64 /* at the same time: threads that append */

struct isolation_user { /* a reader or an appender; the embedder's memory */
    struct isolation_user *prev, *next;
    uint64_t epoch;
    int64_t mint;            /* readers: from when they read; appenders: lowest time they may write */
    uint32_t low, high;      /* readers: below low all is visible, from high on nothing */
    uint32_t open[OPEN_COMMITS_MAX]; /* in between: these are not */
    uint32_t open_count;
};
struct isolation {
    struct lock lock;
    uint32_t next_commit;
    uint32_t open[OPEN_COMMITS_MAX];
    uint32_t open_count;
    struct isolation_user *readers, *appenders;
    uint64_t epoch;
    _Atomic uint32_t watermark; /* commits before it are visible to all, now and later */
};
void isolation_init(struct isolation *iso);
void isolation_deinit(struct isolation *iso);
void isolation_reader_open(struct isolation *iso, struct isolation_user *r, int64_t mint);
void isolation_reader_close(struct isolation *iso, struct isolation_user *r);
void isolation_appender_open(struct isolation *iso, struct isolation_user *a, int64_t lowest);
void isolation_appender_close(struct isolation *iso, struct isolation_user *a);

/* Never 0. Blocks (by yielding) in the unheard-of case that OPEN_COMMITS_MAX others are open. */
uint32_t isolation_commit_begin(struct isolation *iso);
void isolation_commit_end(struct isolation *iso, uint32_t commit);

static inline bool isolation_visible(const struct isolation_user *r, uint32_t commit)
{
    if (commit == 0 || (int32_t)(commit - r->low) < 0)
        return true;
    if ((int32_t)(commit - r->high) >= 0)
        return false;
    for (uint32_t i = 0; i < r->open_count; i++) {
        if (r->open[i] == commit)
            return false;
    }
    return true;
}
/* Must a commit's place still be remembered? */
static inline bool isolation_needed(struct isolation *iso, uint32_t commit)
{
    return commit != 0 &&
           (int32_t)(commit - atomic_load_explicit(&iso->watermark, memory_order_acquire)) >= 0;
}

/* Ends the epoch and returns its number: what was taken out before this call is free for all when no user of that epoch
 * or an earlier one is left. */
uint64_t isolation_next_epoch(struct isolation *iso);
bool isolation_readers_gone(struct isolation *iso, uint64_t epoch);
bool isolation_appenders_gone(struct isolation *iso, uint64_t epoch);
/* No reader that was opened in `epoch` or before reads from below mint. */
bool isolation_no_reader_below(struct isolation *iso, uint64_t epoch, int64_t mint);
/* No open appender may write below mint. */
bool isolation_no_appender_below(struct isolation *iso, int64_t mint);
size_t isolation_appenders_count(struct isolation *iso);

#endif
