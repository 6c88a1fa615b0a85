/* A block: a directory with an index, chunk files and tombstones that never change, but for the tombstones, which are
 * replaced whole. Shared by count between the store's list and open queriers; the last release closes the files.
 *
 * Thread: any. The tombstones' lock (rank 50) guards the pointer only: a set is immutable once published. */
#ifndef TOCSIN_TSDB_BLOCK_BLOCK_INT_H
#define TOCSIN_TSDB_BLOCK_BLOCK_INT_H

#include "base/lock.h"
#include "storage/storage.h"
#include "tsdb/block/meta_int.h"
#include "tsdb/block/segments_int.h"
#include "tsdb/index/reader_int.h"
#include "tsdb/index/writer_int.h"
#include "tsdb/tombstones_int.h"

#include <stdatomic.h>

struct shared_tombstones { /* counted */
    _Atomic uint32_t count;
    struct tombstones t;
};
struct block {
    _Atomic uint32_t count;
    struct fs *fs;
    struct path dir;
    struct block_meta meta;
    struct file_map index_file;
    struct index_reader index;
    struct segments_reader chunks;
    struct lock tombstones_lock;
    struct shared_tombstones *tombstones;
    uint64_t size_bytes; /* of all files */
};
/* Opens <dir>; ERR_CORRUPT where a checksum or a bound is broken. */
MUST_CHECK struct block *block_open(struct fs *fs, struct str dir, struct err *err);
struct block *block_retain(struct block *b);
void block_release(struct block *b);
struct shared_tombstones *block_tombstones(struct block *b); /* retained; tombstones_release() */
void tombstones_release(struct shared_tombstones *t);
/* Marks what the matchers accept in [mint, maxt] as deleted; both files are rewritten. *changed says whether any was. */
MUST_CHECK bool block_delete(struct block *b, const struct matchers *ms, int64_t mint, int64_t maxt, bool *changed,
                             struct err *err);

/* A view of the block for one query; holds a count until it is closed. Never fails. */
struct querier *block_querier(struct block *b, struct arena *a, int64_t mint, int64_t maxt);

/* ---- writing a block ---- */

/* One chunk of a series, as bytes that stay until the call returns. */
struct block_chunk {
    int64_t mint, maxt;
    struct chunk_bytes data;
};
struct block_writer {
    struct fs *fs;
    struct path final, tmp; /* <parent>/<ULID> and the same with .tmp-for-creation */
    struct path scratch;
    struct segments_writer chunks;
    struct index_writer index;
    struct block_stats stats;
    uint64_t *refs;
    struct chunk_bytes *bytes;
    struct index_chunk *index_chunks;
    size_t capacity;
};
MUST_CHECK bool block_writer_open(struct block_writer *w, struct fs *fs, struct str parent, const struct ulid *ulid,
                                  const struct str *symbols, size_t symbols_count, struct err *err);
/* Next series in label order, chunks in order of time; a series without chunks is not written. */
MUST_CHECK bool block_writer_series(struct block_writer *w, const uint32_t *symbols, size_t labels_count,
                                    const struct block_chunk *chunks, size_t chunks_count, struct err *err);
/* Completes the block and moves it into place; meta->stats is filled in. *written is false, and nothing stays on disk, if
 * no sample was written. */
MUST_CHECK bool block_writer_finish(struct block_writer *w, struct block_meta *meta, bool *written, struct err *err);
void block_writer_abandon(struct block_writer *w); /* removes what was written; fine after finish */

#endif
