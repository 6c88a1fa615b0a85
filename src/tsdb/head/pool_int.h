/* Small blocks of memory for open chunks, label arrays and lists of chunks: size classes carved from slabs, so that ten
 * million of them cost no header each and do not fragment the heap. Freed blocks are used again by their class.
 *
 * Thread: any; a lock a class (rank 60, nothing is taken inside). Slabs are given back when the pool is freed. */
#ifndef TOCSIN_TSDB_HEAD_POOL_INT_H
#define TOCSIN_TSDB_HEAD_POOL_INT_H

#include "base/lock.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_CLASSES   22
#define POOL_LINE      64 /* blocks of so many bytes begin at multiples of it */
#define POOL_BLOCK_MAX 1536 /* larger blocks come from the heap */

struct pool_class {
    _Alignas(64) struct lock lock;
    void *free;          /* list through the blocks */
    uint8_t *slab;       /* rest of the newest slab */
    size_t slab_left;
};
struct pool {
    struct pool_class classes[POOL_CLASSES];
    struct lock slabs_lock;
    void **slabs;
    size_t slabs_count;
    _Atomic uint64_t bytes; /* of slabs */
};
void pool_init(struct pool *p);
void pool_deinit(struct pool *p);
/* At least `size` bytes, not zeroed; *got is what there really is (give it back with that). */
void *pool_take(struct pool *p, size_t size, size_t *got);
void pool_give(struct pool *p, void *block, size_t got);

#endif
