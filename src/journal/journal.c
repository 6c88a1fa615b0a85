/* The journal.
 *
 *     owner:  append -> pending[] -> take ---- batch ----> disk: write, sync
 *                          ^                                        |
 *                          +---- unwritten ---- done <--------------+
 *
 * J1  Fields are the owner's, the disk thread's, or constant after open; none is shared. A batch is the only thing that
 *     goes back and forth, and there is one.
 * J2  Bytes reach a segment in ticket order: pending is a queue, an unwritten batch returns to its front.
 * J3  A segment file is good up to good_bytes. While `torn` it may hold more, which is cut off before anything is written,
 *     so that a frame never follows garbage.
 * J4  A batch counts as synced only after its segment, every earlier one, and the directory entry of each were synced.
 * J5  Once warm, appending and taking allocate nothing: the buffer of a written batch becomes the next pending one.
 *
 * Bounds: buffer_bytes_max unwritten bytes, JOURNAL_RECORD_BYTES_MAX a record, SEGMENTS_MAX files at start. */
#include "journal/journal.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "base/num.h"
#include "wire/crc.h"

#include <stdlib.h>

enum { HEAD_BYTES = 9, SEGMENTS_MAX = 100000 };

static const struct str name_prefix = STR_INIT("journal.");

/* Records of one segment that wait to be taken. */
struct pending {
    struct buf bytes;
    uint64_t segment, last;
};

struct journal {
    /* constant */
    struct fs *fs;
    struct buf dir;
    struct journal_options options;

    /* owner */
    struct pending *pending; /* oldest first */
    size_t pending_count, pending_capacity;
    struct buf spare;         /* J5 */
    uint64_t ticket;          /* of the last record */
    uint64_t segment;         /* that new records go to */
    uint64_t segment_bytes;   /* given to it so far */
    size_t buffered_bytes;
    bool under_way;

    /* disk */
    struct fs_file *file; /* of file_segment; NULL: none is open */
    uint64_t file_segment;
    uint64_t good_bytes;
    bool torn;          /* J3 */
    bool unsynced;      /* file has bytes that were not synced */
    bool dir_unsynced;  /* a segment was created since the directory was synced */
    uint64_t dropped;   /* segments below this are gone */
};

/* Names */

static void segment_path(const struct journal *j, uint64_t segment, struct buf *path)
{
    buf_str(path, buf_view(&j->dir));
    buf_byte(path, '/');
    buf_str(path, name_prefix);
    buf_u64(path, segment);
}

static bool segment_of_name(struct str name, uint64_t *segment)
{
    struct str digits = str_from(name, name_prefix.n);
    if (!str_starts(name, name_prefix) || (digits.n > 1 && digits.p[0] == '0'))
        return false;
    return num_parse_u64(digits, 10, segment) && *segment < UINT64_MAX;
}

static int compare_segments(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

struct segments {
    uint64_t *numbers; /* ascending */
    size_t count;
};

static bool list_segments(struct journal *j, struct segments *found, struct err *err)
{
    struct buf names = { 0 };
    bool ok = j->fs->list(j->fs, buf_view(&j->dir), &names, err);
    struct str rest = buf_view(&names), name;
    size_t capacity = 0;
    *found = (struct segments){ 0 };
    while (ok && rest.n && str_split(&rest, '\0', &name)) {
        uint64_t segment;
        if (!segment_of_name(name, &segment))
            continue;
        if (found->count == SEGMENTS_MAX) {
            ok = err_set(err, ERR_LIMIT, "more than %d segments", SEGMENTS_MAX);
            break;
        }
        if (found->count == capacity) {
            capacity = mem_grow(capacity, found->count + 1);
            found->numbers = mem_realloc_array(found->numbers, capacity, sizeof *found->numbers);
        }
        found->numbers[found->count++] = segment;
    }
    if (found->count)
        qsort(found->numbers, found->count, sizeof *found->numbers, compare_segments);
    buf_deinit(&names);
    return ok;
}

/* Replay */

/* The first frame of `rest`; false if there is no whole and sound one. */
static bool read_frame(struct str rest, uint8_t *type, struct str *payload)
{
    if (rest.n < HEAD_BYTES)
        return false;
    uint32_t length = get_le32(rest.p), crc = get_le32(rest.p + 4);
    if (length > JOURNAL_RECORD_BYTES_MAX || length > rest.n - HEAD_BYTES)
        return false;
    if (crc32c(0, rest.p + 8, 1 + (size_t)length) != crc)
        return false;
    *type = (uint8_t)rest.p[8];
    *payload = str_of(rest.p + HEAD_BYTES, length);
    return true;
}

/* Hands the frames before a tear to `replay`; *good is where they end. */
static bool replay_bytes(struct str bytes, journal_replay *replay, void *arg, struct journal_stats *stats,
                         uint64_t *good, struct err *err)
{
    struct str rest = bytes, payload;
    uint8_t type;
    bool ok = true;
    while (ok && read_frame(rest, &type, &payload)) {
        ok = replay(arg, type, payload, err);
        stats->records += ok;
        rest = str_from(rest, HEAD_BYTES + payload.n);
    }
    *good = bytes.n - rest.n;
    stats->bytes += *good;
    return ok;
}

static bool replay_segment(struct journal *j, uint64_t segment, journal_replay *replay, void *arg,
                           struct journal_stats *stats, struct err *err)
{
    struct fs *fs = j->fs;
    struct buf path = { 0 };
    segment_path(j, segment, &path);
    struct fs_file *f = NULL;
    struct fs_map map = { 0 };
    uint64_t good = 0;
    bool ok = fs->open(fs, buf_view(&path), FS_READ | FS_WRITE, &f, err);
    bool mapped = ok && fs->map(fs, f, &map, err);
    ok = mapped && replay_bytes(str_of((const char *)map.p, map.n), replay, arg, stats, &good, err);
    if (ok && good < map.n) {
        stats->lost_bytes += map.n - good;
        ok = fs->truncate(fs, f, good, err) && fs->sync(fs, f, err);
    }
    if (mapped)
        fs->unmap(fs, &map);
    if (f)
        fs->close(fs, f);
    if (!ok)
        err_wrap(err, "journal segment %.*s", STR_ARG(buf_view(&path)));
    buf_deinit(&path);
    stats->segments += ok;
    return ok;
}

bool journal_open(struct journal **out, struct fs *fs, struct str dir, const struct journal_options *options,
                  journal_replay *replay, void *arg, struct journal_stats *stats, struct err *err)
{
    struct journal *j = MEM_NEW(struct journal);
    j->fs = fs;
    buf_str(&j->dir, dir);
    if (options)
        j->options = *options;
    if (j->options.buffer_bytes_max == 0)
        j->options.buffer_bytes_max = 256u << 20;
    if (j->options.segment_bytes_max == 0)
        j->options.segment_bytes_max = 64u << 20;
    *stats = (struct journal_stats){ 0 };
    struct segments found;
    bool ok = list_segments(j, &found, err);
    for (size_t i = 0; ok && i < found.count; i++)
        ok = replay_segment(j, found.numbers[i], replay, arg, stats, err);
    j->segment = found.count ? found.numbers[found.count - 1] + 1 : 0;
    mem_free(found.numbers);
    if (!ok) {
        journal_close(j);
        j = NULL;
    }
    *out = j;
    return ok;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    ASSERT(!j->under_way);
    if (j->file)
        j->fs->close(j->fs, j->file);
    for (size_t i = 0; i < j->pending_count; i++)
        buf_deinit(&j->pending[i].bytes);
    mem_free(j->pending);
    buf_deinit(&j->spare);
    buf_deinit(&j->dir);
    mem_free(j);
}

/* Owner */

/* Where a new record goes: the last pending entry, if it is of the current segment. */
static struct pending *pending_tail(struct journal *j)
{
    if (j->pending_count && j->pending[j->pending_count - 1].segment == j->segment)
        return &j->pending[j->pending_count - 1];
    if (j->pending_count == j->pending_capacity) {
        j->pending_capacity = mem_grow(j->pending_capacity, j->pending_count + 1);
        j->pending = mem_realloc_array(j->pending, j->pending_capacity, sizeof *j->pending);
    }
    struct pending *p = &j->pending[j->pending_count++];
    *p = (struct pending){ .bytes = j->spare, .segment = j->segment };
    j->spare = (struct buf){ 0 };
    return p;
}

bool journal_append(struct journal *j, uint8_t type, struct str payload, uint64_t *ticket, struct err *err)
{
    if (payload.n > JOURNAL_RECORD_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "journal: record of %zu bytes is larger than %u", payload.n,
                       JOURNAL_RECORD_BYTES_MAX);
    size_t frame_bytes = HEAD_BYTES + payload.n;
    if (j->buffered_bytes + frame_bytes > j->options.buffer_bytes_max)
        return err_set(err, ERR_LIMIT, "journal: %zu bytes wait for the disk, no more are taken", j->buffered_bytes);
    if (j->segment_bytes > 0 && j->segment_bytes + frame_bytes > j->options.segment_bytes_max)
        journal_rotate(j);
    struct pending *p = pending_tail(j);
    uint32_t crc = crc32c(crc32c(0, &type, 1), payload.p, payload.n);
    buf_reserve(&p->bytes, frame_bytes);
    buf_le32(&p->bytes, u32_from_size(payload.n));
    buf_le32(&p->bytes, crc);
    buf_byte(&p->bytes, (char)type);
    buf_str(&p->bytes, payload);
    p->last = ++j->ticket;
    j->segment_bytes += frame_bytes;
    j->buffered_bytes += frame_bytes;
    if (ticket)
        *ticket = j->ticket;
    return true;
}

uint64_t journal_rotate(struct journal *j)
{
    if (j->segment_bytes > 0) {
        j->segment++;
        j->segment_bytes = 0;
    }
    return j->segment;
}

size_t journal_buffered_bytes(const struct journal *j)
{
    return j->buffered_bytes;
}

uint64_t journal_last_ticket(const struct journal *j)
{
    return j->ticket;
}

static void pending_drop_first(struct journal *j)
{
    j->pending_count--;
    memmove(j->pending, j->pending + 1, j->pending_count * sizeof *j->pending);
}

bool journal_take(struct journal *j, struct journal_batch *batch)
{
    if (j->under_way || j->pending_count == 0)
        return false;
    struct pending *p = &j->pending[0];
    *batch = (struct journal_batch){ .j = j, .bytes = p->bytes, .segment = p->segment, .last = p->last };
    pending_drop_first(j);
    j->under_way = true;
    return true;
}

/* J2: back to the front of the queue, joined with what came in meanwhile for the same segment. */
static void take_back(struct journal *j, struct journal_batch *batch)
{
    struct pending back = { .bytes = batch->bytes, .segment = batch->segment, .last = batch->last };
    if (j->pending_count && j->pending[0].segment == back.segment) {
        buf_str(&back.bytes, buf_view(&j->pending[0].bytes));
        back.last = j->pending[0].last;
        buf_deinit(&j->pending[0].bytes);
        j->pending[0] = back;
        return;
    }
    if (j->pending_count == j->pending_capacity) {
        j->pending_capacity = mem_grow(j->pending_capacity, j->pending_count + 1);
        j->pending = mem_realloc_array(j->pending, j->pending_capacity, sizeof *j->pending);
    }
    memmove(j->pending + 1, j->pending, j->pending_count * sizeof *j->pending);
    j->pending[0] = back;
    j->pending_count++;
}

void journal_done(struct journal *j, struct journal_batch *batch)
{
    ASSERT(j->under_way);
    ASSERT(batch->j == j);
    j->under_way = false;
    if (batch->written) {
        ASSERT(j->buffered_bytes >= batch->bytes.n);
        j->buffered_bytes -= batch->bytes.n;
        buf_deinit(&j->spare);
        j->spare = batch->bytes;
        buf_reset(&j->spare);
    } else {
        take_back(j, batch);
    }
    batch->bytes = (struct buf){ 0 };
}

/* Disk */

static bool sync_all(struct journal *j, struct err *err)
{
    struct fs *fs = j->fs;
    if (j->file && j->unsynced) {
        if (!fs->sync(fs, j->file, err))
            return false;
        j->unsynced = false;
    }
    if (j->dir_unsynced) {
        if (!fs->sync_dir(fs, buf_view(&j->dir), err))
            return false;
        j->dir_unsynced = false;
    }
    return true;
}

static void close_file(struct journal *j)
{
    if (j->file)
        j->fs->close(j->fs, j->file);
    j->file = NULL;
    j->unsynced = j->torn = false;
}

/* Makes the segment the open one. The one before is synced first (J4) and left without a torn end (J3). */
static bool open_segment(struct journal *j, uint64_t segment, struct err *err)
{
    struct fs *fs = j->fs;
    if (j->file && j->file_segment == segment)
        return true;
    if (j->torn && !fs->truncate(fs, j->file, j->good_bytes, err))
        return false;
    j->torn = false;
    if (!sync_all(j, err))
        return false;
    close_file(j);
    struct buf path = { 0 };
    segment_path(j, segment, &path);
    struct fs_file *f;
    bool ok = fs->open(fs, buf_view(&path), FS_READ | FS_WRITE | FS_CREATE | FS_TRUNCATE, &f, err);
    buf_deinit(&path);
    if (!ok)
        return false;
    j->file = f;
    j->file_segment = segment;
    j->good_bytes = 0;
    j->dir_unsynced = true;
    return true;
}

static bool cut_torn_end(struct journal *j, struct err *err)
{
    if (!j->torn)
        return true;
    if (!j->fs->truncate(j->fs, j->file, j->good_bytes, err))
        return false;
    j->torn = false;
    return true;
}

static bool write_bytes(struct journal *j, const struct journal_batch *batch, bool sync, struct err *err)
{
    struct fs *fs = j->fs;
    if (!open_segment(j, batch->segment, err) || !cut_torn_end(j, err))
        return false;
    bool unsynced_before = j->unsynced;
    j->torn = true; /* until all of it is there */
    bool ok = fs->write(fs, j->file, j->good_bytes, batch->bytes.p, batch->bytes.n, err);
    if (ok) {
        j->unsynced = true;
        ok = !sync || sync_all(j, err);
    }
    if (!ok) {
        struct err ignored; /* cut now if it can be, else before the next write */
        if (!cut_torn_end(j, &ignored))
            ASSERT(j->torn);
        j->unsynced |= unsynced_before;
        return false;
    }
    j->torn = false;
    j->good_bytes += batch->bytes.n;
    return true;
}

bool journal_write(struct journal *j, struct journal_batch *batch, bool sync, struct err *err)
{
    ASSERT(batch->j == j);
    ASSERT(!batch->written);
    if (batch->segment < j->dropped) {
        batch->written = batch->synced = true; /* a durable snapshot has it */
        return true;
    }
    if (!write_bytes(j, batch, sync, err))
        return err_wrap(err, "journal");
    batch->written = true;
    batch->synced = sync;
    return true;
}

bool journal_sync(struct journal *j, struct err *err)
{
    return sync_all(j, err) || err_wrap(err, "journal");
}

bool journal_drop(struct journal *j, uint64_t segment, struct err *err)
{
    if (segment > j->dropped)
        j->dropped = segment;
    if (j->file && j->file_segment < segment)
        close_file(j);
    struct segments found;
    bool ok = list_segments(j, &found, err);
    for (size_t i = 0; ok && i < found.count && found.numbers[i] < segment; i++) {
        struct buf path = { 0 };
        segment_path(j, found.numbers[i], &path);
        ok = j->fs->remove(j->fs, buf_view(&path), err);
        buf_deinit(&path);
    }
    mem_free(found.numbers);
    return ok || err_wrap(err, "journal");
}
