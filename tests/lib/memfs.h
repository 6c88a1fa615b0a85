/* A struct fs in memory that can fail, fill up, stop and lose what was not synced: the other side of the seam in base/fs.h.
 *
 * Durability is strict, as POSIX allows it: a file's bytes survive a crash once the file was synced, a name (created,
 * renamed, linked, removed) once its directory was. memfs_crash() forgets the rest, or with a struct rng keeps a random
 * prefix of it: of each file's unsynced writes, the last one perhaps cut, and of each directory's unsynced changes.
 *
 * Operations that change something (open that creates or truncates, write, sync, truncate, rename, remove, mkdir, sync_dir,
 * link) are counted. A test that cuts at every one runs its scenario once to learn the count and then, for each n, with
 * stop_after_ops = n: everything after the n-th fails as on a dead machine, memfs_crash() brings it back.
 *
 * Thread: any (one lock). Handles that were open at a crash only fail and can be closed. */
#ifndef TOCSIN_TESTS_LIB_MEMFS_H
#define TOCSIN_TESTS_LIB_MEMFS_H

#include "base/fs.h"
#include "base/rng.h"

#include <stdbool.h>
#include <stdint.h>

struct memfs;

struct memfs_faults {       /* 0 switches each off; counts start when the faults are set */
    uint64_t fail_write_at; /* the n-th write fails ... */
    size_t fail_write_keep; /* ... after this many of its bytes */
    uint64_t fail_writes;   /* and so do the following, this many in all; 0 counts as 1 */
    uint64_t fail_sync_at;  /* the n-th sync of a file */
    uint64_t capacity_bytes; /* of all files together: past it a write is cut and gives ENOSPC */
    uint64_t stop_after_ops; /* after this many changing operations all fail; UINT64_MAX: at once */
};

struct memfs *memfs_new(void);
void memfs_free(struct memfs *m); /* every handle has been closed */
struct fs *memfs_fs(struct memfs *m);

void memfs_set_faults(struct memfs *m, const struct memfs_faults *faults); /* NULL: none */
uint64_t memfs_ops(struct memfs *m);    /* changing operations so far */
uint64_t memfs_writes(struct memfs *m);
uint64_t memfs_syncs(struct memfs *m);  /* of files */
uint64_t memfs_bytes(struct memfs *m);  /* in all files */

/* The machine died and is back: unsynced changes are gone (rng NULL) or cut at random, faults are off. */
void memfs_crash(struct memfs *m, struct rng *rng);

/* Time passed: the kernel made all durable by itself, synced or not. */
void memfs_write_back(struct memfs *m);

/* Files as a test sees them, without faults or counting; what memfs_put writes is durable, folders are made. */
void memfs_put(struct memfs *m, struct str path, struct str bytes);
bool memfs_get(struct memfs *m, struct str path, struct buf *out); /* false if there is no such file */

#endif
