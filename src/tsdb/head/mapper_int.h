/* Full chunks of the head on disk: chunks_head/000001 ... (docs/formats/tsdb.md; upstream tsdb/chunks/head_chunks.go).
 * A chunk is written once, through a buffer, and read by reference: from the buffer, from the open file, or from the
 * mapping of a finished one. Nothing here is needed to be durable: the log has every sample, too.
 *
 * When the disk takes no more, chunks stay in the buffer (mapper_pending_bytes) until it does again.
 * Thread: any; one lock (rank 30). A file that was dropped stays readable until mapper_free_dropped(). */
#ifndef TOCSIN_TSDB_HEAD_MAPPER_INT_H
#define TOCSIN_TSDB_HEAD_MAPPER_INT_H

#include "base/lock.h"
#include "tsdb/file_int.h"

#include <stdatomic.h>

#define MAPPER_FILE_BYTES_MAX (128u << 20)
#define MAPPER_BUFFER_BYTES   (512u << 10)

struct mapper_file {
    uint32_t number;
    struct fs_file *file;
    uint64_t size; /* written */
    struct fs_map map;
    bool finished; /* nothing is appended any more */
    bool synced;
};
struct mapper {
    struct fs *fs;
    struct path dir;
    struct lock lock;
    struct mapper_file **files; /* ascending; the last is open for writing unless finished */
    size_t files_count;
    struct mapper_file **dropped;
    size_t dropped_count;
    struct buf pending;  /* of the open file, from its `size` on */
    bool cut_next;       /* begin a new file with the next chunk */
    bool stalled;
    bool read_only;      /* nothing on disk changes: what is written stays in memory */
    uint32_t skip;
    _Atomic uint64_t pending_bytes;
    uint64_t file_bytes;
};
MUST_CHECK bool mapper_open(struct mapper *m, struct fs *fs, struct str dir, bool read_only, struct err *err);
void mapper_close(struct mapper *m); /* flushes */

struct mapped_chunk {
    uint64_t series_ref, ref;
    int64_t mint, maxt;
    uint16_t samples;
    uint8_t encoding;
    bool out_of_order;
};
typedef void mapped_visit(void *arg, const struct mapped_chunk *c);
/* Shows all chunks in file order. ERR_CORRUPT: damage in file *bad; chunks before it were shown. */
MUST_CHECK bool mapper_walk(struct mapper *m, mapped_visit *visit, void *arg, uint32_t *bad, struct err *err);
/* Removes file `number` and all later ones, or, with number 0, all. */
MUST_CHECK bool mapper_remove_from(struct mapper *m, uint32_t number, struct err *err);

/* Writes a chunk; its reference. Never fails: what the disk does not take stays in memory. */
uint64_t mapper_write(struct mapper *m, const struct mapped_chunk *c, struct str bytes);
/* The chunk at ref: encoding and bytes, which point into a mapping or into scratch. */
MUST_CHECK bool mapper_read(struct mapper *m, uint64_t ref, struct buf *scratch, uint8_t *encoding, struct str *bytes,
                            struct err *err);
/* Drops files below the one that `lowest` (a file number) names; the open one stays, but the next chunk begins another. */
void mapper_truncate(struct mapper *m, uint32_t lowest);
void mapper_free_dropped(struct mapper *m); /* no reader has references to them any more */
bool mapper_flush(struct mapper *m, struct err *err); /* false: stalled. Syncs finished files */
static inline uint64_t mapper_pending_bytes(struct mapper *m)
{
    return atomic_load_explicit(&m->pending_bytes, memory_order_relaxed);
}

#endif
