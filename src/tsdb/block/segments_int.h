/* Chunk segment files of a block: <dir>/chunks/000001 ... (docs/formats/tsdb.md; upstream tsdb/chunks/chunks.go). A chunk
 * reference is file index << 32 | offset. */
#ifndef TOCSIN_TSDB_BLOCK_SEGMENTS_INT_H
#define TOCSIN_TSDB_BLOCK_SEGMENTS_INT_H

#include "tsdb/file_int.h"

#include <stdint.h>

#define SEGMENT_BYTES_MAX (512u << 20)
#define SEGMENTS_MAX      100000

struct chunk_bytes {
    uint8_t encoding;
    struct str bytes;
};

/* ---- reading: mapped, immutable, any thread ---- */
struct segments_reader {
    struct file_map *files;
    size_t files_count;
    uint64_t bytes;
};
MUST_CHECK bool segments_open(struct segments_reader *r, struct fs *fs, struct str dir, struct err *err);
void segments_close(struct segments_reader *r);
/* The chunk at ref, its checksum compared. The bytes are those of the mapping. */
MUST_CHECK bool segments_chunk(const struct segments_reader *r, uint64_t ref, struct chunk_bytes *out, struct err *err);
/* Asks the processor for the bytes at ref, which are wanted soon. */
static inline void segments_prefetch(const struct segments_reader *r, uint64_t ref)
{
    if (ref >> 32 < r->files_count && (ref & 0xffffffffu) < r->files[ref >> 32].map.n)
        __builtin_prefetch(r->files[ref >> 32].map.p + (ref & 0xffffffffu));
}
/* Who reads many chunks in the order of the files leaves no trail of pages in memory. */
struct segments_scan {
    uint64_t file;       /* + 1; 0: nothing was read yet */
    uint64_t from, upto; /* read, and still in memory */
    bool is_long;
};
void segments_scan_at(const struct segments_reader *r, struct segments_scan *s, uint64_t ref);
void segments_scan_end(const struct segments_reader *r, struct segments_scan *s);

/* ---- writing ---- */
struct segments_writer {
    struct fs *fs;
    struct path path;
    size_t dir_length;
    struct file_out out;
    uint32_t number;      /* of the open file, from 1; 0: none yet */
    uint64_t limit_bytes; /* of a file */
};
MUST_CHECK bool segments_writer_open(struct segments_writer *w, struct fs *fs, struct str dir, struct err *err);
/* Writes the chunks of one series, kept in one file where they fit; refs[i] is set for each. */
MUST_CHECK bool segments_write(struct segments_writer *w, const struct chunk_bytes *chunks, size_t n, uint64_t *refs,
                               struct err *err);
MUST_CHECK bool segments_writer_finish(struct segments_writer *w, struct err *err);
void segments_writer_abandon(struct segments_writer *w);

#endif
