/* Files as the TSDB writes them: buffered, appended, synced when asked. And the names of everything on disk, in one
 * place (docs/formats/tsdb.md). */
#ifndef TOCSIN_TSDB_FILE_INT_H
#define TOCSIN_TSDB_FILE_INT_H

#include "base/buf.h"
#include "base/fs.h"

#define NAME_WAL             "wal"
#define NAME_WBL             "wbl"
#define NAME_CHUNKS_HEAD     "chunks_head"
#define NAME_LOCK            "lock"
#define NAME_META            "meta.json"
#define NAME_INDEX           "index"
#define NAME_TOMBSTONES      "tombstones"
#define NAME_CHUNKS          "chunks"
#define NAME_SNAPSHOTS       "snapshots"
#define NAME_CHECKPOINT      "checkpoint."
#define NAME_CHUNK_SNAPSHOT  "chunk_snapshot."
#define NAME_SERIES_STATE    "series_state.json"
#define SUFFIX_CREATION      ".tmp-for-creation"
#define SUFFIX_DELETION      ".tmp-for-deletion"
#define SUFFIX_TMP           ".tmp"

/* A path under construction: the text is NUL-terminated and valid until the next path_set(). */
struct path {
    struct buf text;
};
struct str path_set(struct path *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void path_deinit(struct path *p);

/* Appends through a buffer. Errors stick: the first one is kept and later calls do nothing. */
struct file_out {
    struct fs *fs;
    struct fs_file *file;
    struct buf pending;
    uint64_t at;    /* bytes that are in the file */
    size_t buffer_bytes;
    struct err err; /* code ERR_NONE: fine */
};
#define FILE_OUT_BUFFER (1u << 20)

MUST_CHECK bool file_out_open(struct file_out *o, struct fs *fs, struct str path, struct err *err); /* created or cut */
static inline uint64_t file_out_size(const struct file_out *o)
{
    return o->at + o->pending.n;
}
/* Room to append into `pending` directly; flushes when it is full. */
void file_out_append(struct file_out *o, const void *p, size_t n);
void file_out_flush(struct file_out *o);
/* Flushes, syncs, closes. False: the first error of all. */
MUST_CHECK bool file_out_finish(struct file_out *o, struct err *err);
void file_out_abandon(struct file_out *o); /* closes without caring; fine if not open */

/* A whole file mapped. An empty file gives an empty map. */
struct file_map {
    struct fs *fs;
    struct fs_file *file;
    struct fs_map map;
};
MUST_CHECK bool file_map_open(struct file_map *m, struct fs *fs, struct str path, struct err *err);
void file_map_close(struct file_map *m); /* fine if not open */

/* Walks the names that fs->list gave: "a\0b\0". */
bool names_next(struct str *rest, struct str *name);
/* The whole name as a decimal number of any length up to 2^31. */
bool name_number(struct str name, uint32_t *n);

#endif
