/* Visibility of commits and epochs of users.
 *
 * V1  watermark = the least of: open commits, the next commit, and every reader's `low`. It never moves back.
 * V2  A commit is visible to a reader if it had ended when the reader was opened. */
#include "tsdb/head/isolation_int.h"

#include "base/compiler.h"

#include <sched.h>
#include <string.h>

void isolation_init(struct isolation *iso)
{
    *iso = (struct isolation){ .next_commit = 1, .epoch = 1 };
    lock_init(&iso->lock);
    atomic_init(&iso->watermark, 1);
}

void isolation_deinit(struct isolation *iso)
{
    ASSERT(!iso->readers);
    ASSERT(!iso->appenders);
    lock_deinit(&iso->lock);
}

static uint32_t lowest_open(const struct isolation *iso)
{
    uint32_t low = iso->next_commit;
    for (uint32_t i = 0; i < iso->open_count; i++) {
        if ((int32_t)(iso->open[i] - low) < 0)
            low = iso->open[i];
    }
    return low;
}

static void update_watermark(struct isolation *iso)
{
    uint32_t low = lowest_open(iso);
    for (const struct isolation_user *r = iso->readers; r; r = r->next) {
        if ((int32_t)(r->low - low) < 0)
            low = r->low;
    }
    atomic_store_explicit(&iso->watermark, low, memory_order_release);
}

static void add(struct isolation_user **list, struct isolation_user *u)
{
    u->prev = NULL;
    u->next = *list;
    if (*list)
        (*list)->prev = u;
    *list = u;
}

static void take_out(struct isolation_user **list, struct isolation_user *u)
{
    if (u->prev)
        u->prev->next = u->next;
    else
        *list = u->next;
    if (u->next)
        u->next->prev = u->prev;
}

void isolation_reader_open(struct isolation *iso, struct isolation_user *r, int64_t mint)
{
    lock_take(&iso->lock);
    r->epoch = iso->epoch;
    r->mint = mint;
    r->low = lowest_open(iso);
    r->high = iso->next_commit;
    r->open_count = iso->open_count;
    memcpy(r->open, iso->open, iso->open_count * sizeof iso->open[0]);
    add(&iso->readers, r);
    update_watermark(iso);
    lock_give(&iso->lock);
}

void isolation_reader_close(struct isolation *iso, struct isolation_user *r)
{
    lock_take(&iso->lock);
    take_out(&iso->readers, r);
    update_watermark(iso);
    lock_give(&iso->lock);
}

void isolation_appender_open(struct isolation *iso, struct isolation_user *a, int64_t lowest)
{
    lock_take(&iso->lock);
    a->epoch = iso->epoch;
    a->mint = lowest;
    add(&iso->appenders, a);
    lock_give(&iso->lock);
}

void isolation_appender_close(struct isolation *iso, struct isolation_user *a)
{
    lock_take(&iso->lock);
    take_out(&iso->appenders, a);
    lock_give(&iso->lock);
}

uint32_t isolation_commit_begin(struct isolation *iso)
{
    lock_take(&iso->lock);
    while (iso->open_count == OPEN_COMMITS_MAX) {
        lock_give(&iso->lock);
        sched_yield();
        lock_take(&iso->lock);
    }
    uint32_t commit = iso->next_commit++;
    if (iso->next_commit == 0) /* 0 means "none" */
        iso->next_commit = 1;
    iso->open[iso->open_count++] = commit;
    lock_give(&iso->lock);
    return commit;
}

void isolation_commit_end(struct isolation *iso, uint32_t commit)
{
    lock_take(&iso->lock);
    for (uint32_t i = 0; i < iso->open_count; i++) {
        if (iso->open[i] == commit) {
            iso->open[i] = iso->open[--iso->open_count];
            break;
        }
    }
    update_watermark(iso);
    lock_give(&iso->lock);
}

uint64_t isolation_next_epoch(struct isolation *iso)
{
    lock_take(&iso->lock);
    uint64_t epoch = iso->epoch++;
    lock_give(&iso->lock);
    return epoch;
}

static bool gone(struct isolation *iso, struct isolation_user *const *list, uint64_t epoch)
{
    bool none = true;
    lock_take(&iso->lock);
    for (const struct isolation_user *u = *list; u && none; u = u->next)
        none = u->epoch > epoch;
    lock_give(&iso->lock);
    return none;
}

bool isolation_readers_gone(struct isolation *iso, uint64_t epoch)
{
    return gone(iso, &iso->readers, epoch);
}

bool isolation_appenders_gone(struct isolation *iso, uint64_t epoch)
{
    return gone(iso, &iso->appenders, epoch);
}

bool isolation_no_reader_below(struct isolation *iso, uint64_t epoch, int64_t mint)
{
    bool none = true;
    lock_take(&iso->lock);
    for (const struct isolation_user *u = iso->readers; u && none; u = u->next)
        none = u->epoch > epoch || u->mint >= mint;
    lock_give(&iso->lock);
    return none;
}

bool isolation_no_appender_below(struct isolation *iso, int64_t mint)
{
    bool none = true;
    lock_take(&iso->lock);
    for (const struct isolation_user *u = iso->appenders; u && none; u = u->next)
        none = u->mint >= mint;
    lock_give(&iso->lock);
    return none;
}

size_t isolation_appenders_count(struct isolation *iso)
{
    size_t n = 0;
    lock_take(&iso->lock);
    for (const struct isolation_user *u = iso->appenders; u; u = u->next)
        n++;
    lock_give(&iso->lock);
    return n;
}
