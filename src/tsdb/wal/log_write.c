/* Writing a log.
 *
 * G1  Only whole batches are taken: wal_log() either frames all items into `pending` or none.
 * G2  `at` is what the file surely has; after a failed write the same bytes are written again at the same place, so a
 *     write that was cut short does no harm.
 * G3  While the disk takes nothing (stalled) no segment is cut, and tries are spaced by SKIP batches, because a full disk
 *     answers slowly and there may be thousands of batches a second.
 * G4  A finished segment is synced by wal_maintain(), off the path of who appends. So are, once, those that are there at
 *     opening: who wrote them may have been killed, and a snapshot may only be written behind a log that is durable. */
#include "tsdb/wal/log_int.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "tsdb/wal/checkpoint_int.h"
#include "wire/crc.h"
#include "wire/snappy.h"
#include "wire/zstd.h"

#define SKIP             64
#define PENDING_BYTES    (256u << 20)
#define ZSTD_LEVEL       1
#define PACK_BYTES_MIN   32 /* shorter records do not get smaller */
#define KEEP_BYTES       (4u << 20) /* of the buffer's memory, once a backlog was written */

static bool segment_open(struct wal *w, uint32_t number, struct err *err)
{
    struct path path = { 0 };
    struct fs_file *f;
    bool ok = w->fs->open(w->fs, wal_segment_path(&path, buf_view(&w->dir.text), number),
                          FS_READ | FS_WRITE | FS_CREATE | FS_TRUNCATE, &f, err);
    path_deinit(&path);
    if (!ok)
        return false;
    w->file = f;
    w->segment = number;
    w->at = 0;
    atomic_store_explicit(&w->current_segment, number, memory_order_relaxed);
    return true;
}

/* Segments up to a checkpoint's number are never read again: the first one to write comes after it. Where all that is
 * there ends before the checkpoint it goes, so that no number is missing between what was and what comes. */
static bool first_segment(struct wal *w, struct str dir, uint32_t *number, struct err *err)
{
    struct wal_segments s = { 0 };
    struct path path = { 0 };
    bool found;
    uint32_t checkpoint = 0;
    bool ok = checkpoint_last(w->fs, dir, &found, &checkpoint, err) && wal_segments_list(w->fs, dir, &s, err);
    *number = s.n ? s.v[s.n - 1] + 1 : 0;
    if (ok && found && *number <= checkpoint) {
        for (size_t i = 0; ok && i < s.n; i++)
            ok = w->fs->remove(w->fs, wal_segment_path(&path, dir, s.v[i]), err);
        *number = checkpoint + 1;
    } else if (s.n) {
        w->left_first = s.v[0];
        w->left_end = *number;
    }
    path_deinit(&path);
    wal_segments_deinit(&s);
    return ok;
}

bool wal_open(struct wal *w, struct fs *fs, struct str dir, const struct wal_options *o, struct err *err)
{
    uint32_t number;
    *w = (struct wal){ .fs = fs, .segment_bytes = WAL_SEGMENT_BYTES, .pending_max_bytes = PENDING_BYTES };
    lock_init(&w->lock);
    path_set(&w->dir, "%.*s", STR_ARG(dir));
    if (o && o->segment_bytes)
        w->segment_bytes = o->segment_bytes;
    if (o && o->pending_max_bytes)
        w->pending_max_bytes = o->pending_max_bytes;
    if (o)
        w->write_bytes = o->write_bytes;
    if (o && o->times) {
        w->times = *o->times;
        *o->times = (struct wal_times){ 0 };
    }
    bool ok = fs->mkdir(fs, dir, err) && first_segment(w, dir, &number, err) && segment_open(w, number, err) &&
              fs->sync_dir(fs, dir, err);
    if (!ok)
        wal_close(w);
    return ok;
}

static void stall(struct wal *w, const struct err *why)
{
    atomic_fetch_add_explicit(&w->stats.failed_writes, 1, memory_order_relaxed);
    w->last_error = *why;
    w->stalled = true;
    w->skip = SKIP;
    atomic_store_explicit(&w->is_stalled, true, memory_order_relaxed);
}

/* Tries to write what is pending. Lock held. */
static bool flush(struct wal *w)
{
    struct err err = { 0 };
    if (w->pending.n == 0)
        return true;
    if (!w->fs->write(w->fs, w->file, w->at, w->pending.p, w->pending.n, &err)) {
        stall(w, &err);
        return false;
    }
    atomic_fetch_add_explicit(&w->stats.bytes, w->pending.n, memory_order_relaxed);
    w->at += w->pending.n;
    if (w->pending.capacity > KEEP_BYTES)
        buf_deinit(&w->pending);
    else
        buf_reset(&w->pending);
    w->stalled = false;
    atomic_store_explicit(&w->is_stalled, false, memory_order_relaxed);
    return true;
}

static uint64_t end_of(const struct wal *w)
{
    return w->at + w->pending.n;
}

static void pad_page(struct wal *w)
{
    size_t over = (size_t)(end_of(w) % WAL_PAGE_BYTES);
    if (over)
        buf_fill(&w->pending, 0, WAL_PAGE_BYTES - over);
}

static void sync_finished(struct wal *w, struct fs_file *f)
{
    struct err err;
    if (w->fs->sync(w->fs, f, &err))
        atomic_fetch_add_explicit(&w->stats.syncs, 1, memory_order_relaxed);
    w->fs->close(w->fs, f);
}

/* Lock held. The old segment's file goes to the list of those to sync. */
static bool cut(struct wal *w, struct err *err)
{
    pad_page(w);
    if (!flush(w)) {
        *err = w->last_error;
        return false;
    }
    struct fs_file *old = w->file;
    if (!segment_open(w, w->segment + 1, err))
        return false;
    if (w->unsynced_count < ARRAY_LEN(w->unsynced))
        w->unsynced[w->unsynced_count++] = old;
    else
        sync_finished(w, old); /* nobody maintains the log: sync here */
    return true;
}

void wal_close(struct wal *w)
{
    if (w->file) {
        pad_page(w);
        flush(w);
        sync_finished(w, w->file);
    }
    for (size_t i = 0; i < w->unsynced_count; i++)
        sync_finished(w, w->unsynced[i]);
    w->unsynced_count = 0;
    w->file = NULL;
    buf_deinit(&w->pending);
    wal_times_deinit(&w->times);
    path_deinit(&w->dir);
    lock_deinit(&w->lock);
}

struct wal_item wal_pack(struct str record, enum wal_compression how, struct buf *out)
{
    size_t from = out->n;
    if (how == WAL_PLAIN || record.n < PACK_BYTES_MIN)
        return (struct wal_item){ record, WAL_PLAIN, NULL };
    if (how == WAL_SNAPPY)
        snappy_encode(record, out);
    else
        zstd_encode(record, ZSTD_LEVEL, out);
    if (out->n - from >= record.n) {
        buf_truncate(out, from);
        return (struct wal_item){ record, WAL_PLAIN, NULL };
    }
    return (struct wal_item){ str_of(out->p + from, out->n - from), (uint8_t)how, NULL };
}

/* Frames one record at the end of `pending`. */
static void frame(struct wal *w, const struct wal_item *item)
{
    struct str rest = item->bytes;
    wal_times_note(&w->times, w->segment, end_of(w), item->bounds ? *item->bounds : WAL_BOUNDS_UNKNOWN);
    for (bool first = true; first || rest.n > 0; first = false) {
        size_t room = WAL_PAGE_BYTES - (size_t)(end_of(w) % WAL_PAGE_BYTES);
        ASSERT(room >= WAL_FRAGMENT_HEADER);
        size_t n = room - WAL_FRAGMENT_HEADER;
        n = rest.n < n ? rest.n : n;
        bool last = n == rest.n;
        uint8_t head[WAL_FRAGMENT_HEADER];
        head[0] = (uint8_t)((first ? last ? 1 : 2 : last ? 4 : 3) | item->compression);
        put_be16(head + 1, (uint16_t)n);
        put_be32(head + 3, crc32c(0, rest.p, n));
        buf_append(&w->pending, head, sizeof head);
        buf_append(&w->pending, rest.p, n);
        rest = str_from(rest, n);
        size_t left = WAL_PAGE_BYTES - (size_t)(end_of(w) % WAL_PAGE_BYTES);
        if (left < WAL_FRAGMENT_HEADER)
            buf_fill(&w->pending, 0, left);
    }
}

static bool fits(const struct wal *w, size_t n)
{
    uint64_t end = end_of(w), pages = w->segment_bytes / WAL_PAGE_BYTES, done = end / WAL_PAGE_BYTES;
    if (done >= pages)
        return false;
    uint64_t left = WAL_PAGE_BYTES - end % WAL_PAGE_BYTES - WAL_FRAGMENT_HEADER;
    left += (WAL_PAGE_BYTES - WAL_FRAGMENT_HEADER) * (pages - done - 1);
    return n <= left;
}

bool wal_log(struct wal *w, const struct wal_item *items, size_t n, struct err *err)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += items[i].bytes.n + WAL_FRAGMENT_HEADER;
    lock_take(&w->lock);
    bool ok = !w->stalled || w->pending.n + total <= w->pending_max_bytes || flush(w);
    if (ok) {
        for (size_t i = 0; i < n; i++) {
            struct err why = { 0 };
            if (!w->stalled && end_of(w) > 0 && !fits(w, items[i].bytes.n) && !cut(w, &why))
                stall(w, &why);
            frame(w, &items[i]);
        }
        atomic_fetch_add_explicit(&w->stats.records, n, memory_order_relaxed);
        if (w->stalled ? w->skip-- == 0 : w->pending.n >= w->write_bytes)
            flush(w);
    } else {
        err_set(err, ERR_LIMIT, "write to WAL: %s", w->last_error.text);
    }
    lock_give(&w->lock);
    return ok;
}

bool wal_cut(struct wal *w, struct err *err)
{
    lock_take(&w->lock);
    bool ok = cut(w, err);
    lock_give(&w->lock);
    return ok;
}

static bool sync_left(struct wal *w, struct err *err)
{
    struct path path = { 0 };
    struct str dir = buf_view(&w->dir.text);
    bool ok = true;
    while (ok && w->left_first < w->left_end) {
        struct fs_file *f;
        struct err own = { 0 };
        if (w->fs->open(w->fs, wal_segment_path(&path, dir, w->left_first), FS_READ, &f, &own)) {
            ok = w->fs->sync(w->fs, f, err);
            w->fs->close(w->fs, f);
        } else if (own.code != ERR_NOT_FOUND) { /* a checkpoint may have replaced it */
            *err = own;
            ok = false;
        }
        w->left_first += ok;
    }
    path_deinit(&path);
    return ok;
}

bool wal_maintain(struct wal *w, struct err *err)
{
    struct fs_file *finished[ARRAY_LEN(w->unsynced)];
    lock_take(&w->lock);
    bool ok = flush(w);
    if (!ok)
        *err = w->last_error;
    size_t n = w->unsynced_count;
    memcpy(finished, w->unsynced, n * sizeof finished[0]);
    w->unsynced_count = 0;
    lock_give(&w->lock);
    for (size_t i = 0; i < n; i++)
        sync_finished(w, finished[i]);
    return ok && sync_left(w, err);
}

void wal_position(struct wal *w, uint32_t *segment, uint64_t *offset)
{
    lock_take(&w->lock);
    *segment = w->segment;
    *offset = end_of(w);
    lock_give(&w->lock);
}

void wal_written(struct wal *w, uint32_t *segment, uint64_t *bytes)
{
    lock_take(&w->lock);
    *segment = w->segment;
    *bytes = w->at;
    lock_give(&w->lock);
}

void wal_times_now(struct wal *w, struct wal_times *out)
{
    lock_take(&w->lock);
    wal_times_copy(&w->times, out);
    lock_give(&w->lock);
}

bool wal_truncate(struct wal *w, uint32_t number, struct err *err)
{
    struct wal_segments s;
    struct path path = { 0 };
    struct str dir = buf_view(&w->dir.text);
    bool ok = wal_segments_list(w->fs, dir, &s, err);
    for (size_t i = 0; ok && i < s.n && s.v[i] < number; i++)
        ok = w->fs->remove(w->fs, wal_segment_path(&path, dir, s.v[i]), err);
    if (ok)
        atomic_fetch_add_explicit(&w->stats.truncations, 1, memory_order_relaxed);
    lock_take(&w->lock);
    wal_times_forget(&w->times, number);
    lock_give(&w->lock);
    wal_segments_deinit(&s);
    path_deinit(&path);
    return ok;
}

uint64_t wal_dir_bytes(struct fs *fs, struct str dir)
{
    struct buf names = { 0 };
    struct path path = { 0 };
    struct str rest, name;
    struct err ignored;
    uint64_t total = 0;
    if (!fs->list(fs, dir, &names, &ignored)) {
        buf_deinit(&names);
        return 0;
    }
    for (rest = buf_view(&names); names_next(&rest, &name);) {
        struct fs_stat st;
        struct str p = path_set(&path, "%.*s/%.*s", STR_ARG(dir), STR_ARG(name));
        if (fs->stat(fs, p, &st, &ignored))
            total += st.is_dir ? wal_dir_bytes(fs, p) : st.size_bytes;
    }
    buf_deinit(&names);
    path_deinit(&path);
    return total;
}
