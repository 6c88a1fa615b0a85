/* The write-ahead log's framing: segments of 32 KiB pages of record fragments (docs/formats/tsdb.md; upstream
 * tsdb/wlog). The same for wal/, wbl/, checkpoints and chunk snapshots.
 *
 * Writing: any thread hands over whole batches; one lock (rank 40) orders them. A batch is written with one write(2) when
 * the call returns (it survives the death of the process), and synced when its segment is finished or the log closed.
 * When the disk takes no more, batches stay in memory up to pending_max_bytes and are written as soon as it does again.
 *
 * Reading: one owner, sequential, bounded memory. */
#ifndef TOCSIN_TSDB_WAL_LOG_INT_H
#define TOCSIN_TSDB_WAL_LOG_INT_H

#include "base/lock.h"
#include "tsdb/file_int.h"
#include "tsdb/wal/times_int.h"

#include <stdatomic.h>

#define WAL_PAGE_BYTES       32768u
#define WAL_FRAGMENT_HEADER  7u
#define WAL_SEGMENT_BYTES    (128u << 20)
#define WAL_RECORD_BYTES_MAX (512u << 20) /* what a compressed record may claim */

enum wal_compression { WAL_PLAIN = 0, WAL_SNAPPY = 0x08, WAL_ZSTD = 0x10 };

/* ---- segments of a directory ---- */

struct wal_segments { /* numbers, ascending */
    uint32_t *v;
    size_t n;
};
/* Lists <dir>; ERR_CORRUPT ("segments are not sequential") if a number is missing between first and last. A missing
 * directory has none. */
MUST_CHECK bool wal_segments_list(struct fs *fs, struct str dir, struct wal_segments *out, struct err *err);
void wal_segments_deinit(struct wal_segments *s);
struct str wal_segment_path(struct path *p, struct str dir, uint32_t number);

/* ---- reading ---- */

struct wal_reader {
    struct fs *fs;
    struct str dir;        /* borrowed */
    uint32_t next_segment, last_segment;
    struct fs_file *file;
    struct path path;
    uint32_t segment;      /* being read */
    uint64_t offset;       /* of the next fragment in it */
    uint64_t record_at;    /* where the last record begins */
    uint64_t record_end;   /* after the last whole record in it */
    uint8_t *page;         /* buffer */
    uint64_t buffer_at;    /* its place in the file */
    size_t buffer_n;
    bool file_ended;
    struct buf joined, plain; /* fragments; decompressed */
    bool in_record;
    uint8_t compression;   /* of the last record */
};
/* Reads segments first .. last of dir, starting at byte `offset` of the first. */
MUST_CHECK bool wal_reader_open(struct wal_reader *r, struct fs *fs, struct str dir, uint32_t first, uint32_t last,
                                uint64_t offset, struct err *err);
/* The next record, valid until the next call. *got false: the end. ERR_CORRUPT: damage after r->record_end of r->segment;
 * other codes: the file could not be read. */
MUST_CHECK bool wal_reader_next(struct wal_reader *r, struct str *record, bool *got, struct err *err);
/* The same record as it was logged; r->compression says how to read it. */
MUST_CHECK bool wal_reader_next_packed(struct wal_reader *r, struct str *packed, bool *got, struct err *err);
MUST_CHECK bool wal_reader_unpack(struct wal_reader *r, struct str *record, struct err *err); /* of the last one; in place */
void wal_reader_close(struct wal_reader *r);
void wal_reader_refresh(struct wal_reader *r); /* what was read ahead is read again: the segment has grown */

/* Cuts the log behind the last whole record before the damage: later segments go, the damaged one ends there, padded to a
 * page. `segment` and `record_end` are the reader's. */
MUST_CHECK bool wal_repair(struct fs *fs, struct str dir, uint32_t segment, uint64_t record_end, struct err *err);

/* ---- writing ---- */

struct wal_stats { /* shared counters; written under the lock */
    _Atomic uint64_t records, bytes, syncs, failed_writes, truncations;
};
struct wal {
    struct fs *fs;
    struct path dir;
    struct lock lock;
    struct fs_file *file;
    uint32_t segment;      /* being written */
    uint64_t at;           /* bytes of it on disk */
    struct buf pending;    /* framed, not written: at most one batch unless the disk is full */
    uint64_t segment_bytes;
    uint64_t pending_max_bytes;
    uint64_t write_bytes;
    struct wal_times times;
    bool stalled;          /* the last write failed */
    uint32_t skip;         /* batches to go before the next try while stalled */
    struct fs_file *unsynced[8]; /* finished segments, for wal_maintain() */
    size_t unsynced_count;
    uint32_t left_first, left_end; /* segments that an earlier process left, perhaps unsynced; for wal_maintain() */
    _Atomic uint32_t current_segment;
    _Atomic bool is_stalled;
    struct wal_stats stats;
    struct err last_error;
};
struct wal_options {
    uint64_t segment_bytes;     /* 0: WAL_SEGMENT_BYTES */
    uint64_t pending_max_bytes; /* 0: 256 MiB */
    uint64_t write_bytes;       /* a log that nobody needs before it is closed is written in pieces of so many; 0: at once */
    struct wal_times *times;    /* of the segments that are there; taken over. NULL: nothing is known of them */
};
/* Opens dir (made if missing) for writing at a new segment after the last one and the last checkpoint. */
MUST_CHECK bool wal_open(struct wal *w, struct fs *fs, struct str dir, const struct wal_options *o, struct err *err);
void wal_close(struct wal *w); /* pads, syncs */

struct wal_item {
    struct str bytes;
    uint8_t compression;
    const struct wal_bounds *bounds; /* of its samples, histograms and exemplars; NULL: unknown */
};
/* Compresses a record into `out` if that makes it smaller; the item points into out or at the record itself. */
struct wal_item wal_pack(struct str record, enum wal_compression how, struct buf *out);
/* Writes the batch. ERR_LIMIT: the disk is full and so is the memory for it; nothing of the batch was taken. */
MUST_CHECK bool wal_log(struct wal *w, const struct wal_item *items, size_t n, struct err *err);
/* Ends the segment and begins the next. */
MUST_CHECK bool wal_cut(struct wal *w, struct err *err);
/* Writes what is pending, syncs finished segments and those that were there at opening. False: the disk does not take it. */
bool wal_maintain(struct wal *w, struct err *err);
/* Place where the next record will go, after the pending ones. */
void wal_position(struct wal *w, uint32_t *segment, uint64_t *offset);
/* What is surely in the file: the segment being written and its length. */
void wal_written(struct wal *w, uint32_t *segment, uint64_t *bytes);
/* A copy of what times the log has. */
void wal_times_now(struct wal *w, struct wal_times *out);
/* Removes segments below `number`. */
MUST_CHECK bool wal_truncate(struct wal *w, uint32_t number, struct err *err);
uint64_t wal_dir_bytes(struct fs *fs, struct str dir); /* of all files under it */

#endif
