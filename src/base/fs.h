/* Files as a seam with two real sides: the posix one (io/fs_posix.c) and the faulty memory one of the tests, which
 * can cut, tear, fill up or lose what was not synced. Stores take a `struct fs *` and never call open(2).
 *
 * Paths are relative to the process; errors carry the path. Writes are at offsets or appended; nothing buffers.
 * Thread: a file has one writer; fs itself may be used from any thread. */
#ifndef TOCSIN_BASE_FS_H
#define TOCSIN_BASE_FS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fs_file; /* open file, made by the fs */

enum fs_open_flags {
    FS_READ = 1,
    FS_WRITE = 2,
    FS_CREATE = 4,
    FS_TRUNCATE = 8,
    FS_EXCLUSIVE = 16, /* with FS_CREATE: fail if it exists */
    FS_APPEND = 32,
};

struct fs_stat {
    uint64_t size_bytes;
    bool is_dir;
    int64_t mtime_ms;
};
struct fs_map { /* a read-only mapping, or a copy where there is no mmap */
    const uint8_t *p;
    size_t n;
};

struct fs {
    MUST_CHECK bool (*open)(struct fs *fs, struct str path, unsigned flags, struct fs_file **f, struct err *err);
    void (*close)(struct fs *fs, struct fs_file *f);
    /* Short reads only at the end of the file; *got says how much. */
    MUST_CHECK bool (*read)(struct fs *fs, struct fs_file *f, uint64_t at, void *p, size_t n, size_t *got, struct err *err);
    /* All or an error; with FS_APPEND `at` is ignored. ENOSPC gives ERR_LIMIT. */
    MUST_CHECK bool (*write)(struct fs *fs, struct fs_file *f, uint64_t at, const void *p, size_t n, struct err *err);
    MUST_CHECK bool (*sync)(struct fs *fs, struct fs_file *f, struct err *err);
    MUST_CHECK bool (*truncate)(struct fs *fs, struct fs_file *f, uint64_t size, struct err *err);
    MUST_CHECK bool (*size)(struct fs *fs, struct fs_file *f, uint64_t *size, struct err *err);
    MUST_CHECK bool (*map)(struct fs *fs, struct fs_file *f, struct fs_map *m, struct err *err);
    void (*unmap)(struct fs *fs, struct fs_map *m);
    /* These bytes of a mapping will not be read soon: their pages may leave the process. Reading them stays right. May be
     * NULL, where there are no pages. */
    void (*forget)(struct fs *fs, const struct fs_map *m, size_t from, size_t n);

    MUST_CHECK bool (*stat)(struct fs *fs, struct str path, struct fs_stat *st, struct err *err);
    MUST_CHECK bool (*rename)(struct fs *fs, struct str from, struct str to, struct err *err);
    MUST_CHECK bool (*remove)(struct fs *fs, struct str path, struct err *err); /* file or empty directory */
    MUST_CHECK bool (*mkdir)(struct fs *fs, struct str path, struct err *err);  /* fine if it is there */
    MUST_CHECK bool (*sync_dir)(struct fs *fs, struct str path, struct err *err);
    MUST_CHECK bool (*link)(struct fs *fs, struct str from, struct str to, struct err *err); /* hard link */
    /* Names in the directory without . and .., sorted, each followed by NUL, appended to out. */
    MUST_CHECK bool (*list)(struct fs *fs, struct str path, struct buf *out, struct err *err);
    /* flock-style exclusive lock, held until close. ERR_CONFLICT if another process has it. */
    MUST_CHECK bool (*lock)(struct fs *fs, struct fs_file *f, struct err *err);
};

/* Over any fs. */
MUST_CHECK bool fs_read_file(struct fs *fs, struct str path, size_t limit_bytes, struct buf *out, struct err *err);
/* Write-temp, sync, rename, sync directory: the file is either as before or as given. */
MUST_CHECK bool fs_replace_file(struct fs *fs, struct str path, struct str bytes, struct err *err);
MUST_CHECK bool fs_remove_tree(struct fs *fs, struct str path, struct err *err);
MUST_CHECK bool fs_mkdir_all(struct fs *fs, struct str path, struct err *err);
bool fs_exists(struct fs *fs, struct str path);

#endif
