/* An append-only log of typed records, so that what was acknowledged survives the process. Records are framed and
 * checksummed; segments are files `journal.<n>` in one directory, n counting up:
 *
 *     frame = u32 length | u32 crc32c | u8 type | payload      little-endian; length counts the payload,
 *                                                              the checksum covers type and payload
 *
 * Two threads share a journal. The *owner* appends records to a buffer; the *disk* thread takes what is buffered and
 * writes it, so that a slow disk never holds the owner:
 *
 *     owner                                   disk
 *     journal_append(...)  -> ticket
 *     journal_take(...)    -> batch  ------>  journal_write(batch, sync?)
 *                          <------  batch     (ok, or err)
 *     journal_done(batch)  : tickets up to batch->last are on disk; or, after a failure, the bytes are kept and go
 *                            out again, in order, before anything newer
 *
 * One batch is under way at a time: group commit. A failed write (a full disk, say) leaves nothing damaged behind: the
 * next try first cuts the segment back to its last good frame. While the disk fails the buffer grows up to buffer_bytes_max;
 * past that journal_append() refuses with ERR_LIMIT. Recovery needs no restart.
 *
 * Folding: when a snapshot is about to be made, the owner calls journal_rotate(): later records go to a new segment, whose
 * number it returns. Once the snapshot is durable, journal_drop() removes the segments before that number (disk thread).
 *
 * Start: journal_open() replays every frame before a tear in segment order and cuts a torn segment off there. What is behind
 * a tear is lost and counted; replay goes on with the next segment. New records always start a new segment. */
#ifndef TOCSIN_JOURNAL_JOURNAL_H
#define TOCSIN_JOURNAL_JOURNAL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define JOURNAL_RECORD_BYTES_MAX (64u << 20)

struct journal;

struct journal_options {
    size_t buffer_bytes_max; /* unwritten bytes; 0: 256 MiB */
    uint64_t segment_bytes_max; /* a new segment past this; 0: 64 MiB */
};

struct journal_stats { /* of the replay */
    uint64_t segments, records, bytes;
    uint64_t lost_bytes; /* behind tears */
};

/* A record of the replay; the payload is valid during the call only. False with err set stops the replay and fails the
 * open. */
typedef bool journal_replay(void *arg, uint8_t type, struct str payload, struct err *err);

/* Opens or creates the journal in `dir`, which must exist, and replays it. fs and dir's bytes: dir is copied. Before the
 * threads start. Errors: ERR_IO, and what replay returns. *stats is filled in any case. */
MUST_CHECK bool journal_open(struct journal **j, struct fs *fs, struct str dir, const struct journal_options *options,
                             journal_replay *replay, void *arg, struct journal_stats *stats, struct err *err);
/* Closes the file; what is buffered is not written. No batch may be under way. NULL is fine. */
void journal_close(struct journal *j);

/* Owner thread */

/* Buffers a record; *ticket (may be NULL) rises with every record. ERR_LIMIT: buffer full or record too long. */
MUST_CHECK bool journal_append(struct journal *j, uint8_t type, struct str payload, uint64_t *ticket, struct err *err);
/* New records go to a new segment from here on; returns its number. What is buffered before still goes to the old one. If
 * the current segment has no record yet it stays. */
uint64_t journal_rotate(struct journal *j);
size_t journal_buffered_bytes(const struct journal *j); /* not yet taken, or taken and not yet done */
uint64_t journal_last_ticket(const struct journal *j);

struct journal_batch {
    struct journal *j;
    struct buf bytes;     /* frames, in order */
    uint64_t segment;     /* they go to */
    uint64_t last;        /* ticket of the last record in it */
    bool written, synced; /* by journal_write */
};
/* Everything that is buffered for one segment; false if there is nothing or a batch is under way. */
bool journal_take(struct journal *j, struct journal_batch *batch);
/* Gives the batch back. If it was written, its buffer is reused and the tickets up to batch->last are on file; if not,
 * it is the first to be taken again. */
void journal_done(struct journal *j, struct journal_batch *batch);

/* Disk thread */

/* Appends the batch to its segment, opening it if need be, and with `sync` waits until it is on the disk. On failure the
 * batch is unwritten and nothing of it will be replayed: the segment is cut back at once, or before the next write. */
MUST_CHECK bool journal_write(struct journal *j, struct journal_batch *batch, bool sync, struct err *err);
/* Syncs what earlier batches wrote without. As with fsync(2), what a failed sync lost is not known. */
MUST_CHECK bool journal_sync(struct journal *j, struct err *err);
/* Removes segments with numbers below `segment`, and writes no more to them: a batch for one of them counts as written. A
 * failure leaves files for the next call. */
MUST_CHECK bool journal_drop(struct journal *j, uint64_t segment, struct err *err);

#endif
