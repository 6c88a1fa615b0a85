/* Size classes over slabs. A class' step is at most a third of its size, so that little is wasted inside blocks. */
#include "tsdb/head/pool_int.h"

#include "base/mem.h"

#include <stdbool.h>
#include <string.h>

#define SLAB_BYTES (64u << 10)
#define LARGE_POOL (64u << 20) /* from here on slabs are huge pages: what is in them is met in no order */

_Static_assert(SLAB_BYTES % POOL_LINE == 0, "blocks of a line do not cross one");

static const uint16_t class_bytes[POOL_CLASSES] = { 16,  32,  48,  64,  80,  96,  112, 128,  160,  192,  224,
                                                    256, 320, 384, 448, 512, 640, 768, 896, 1024, 1152, POOL_BLOCK_MAX };

static size_t class_of(size_t size)
{
    if (size <= 128)
        return size ? (size - 1) / 16 : 0;
    size_t i = 8;
    while (class_bytes[i] < size)
        i++;
    return i;
}

void pool_init(struct pool *p)
{
    *p = (struct pool){ 0 };
    for (size_t i = 0; i < POOL_CLASSES; i++)
        lock_init(&p->classes[i].lock);
    lock_init(&p->slabs_lock);
}

void pool_deinit(struct pool *p)
{
    for (size_t i = 0; i < p->slabs_count; i++)
        mem_free(p->slabs[i]);
    mem_free(p->slabs);
    for (size_t i = 0; i < POOL_CLASSES; i++)
        lock_deinit(&p->classes[i].lock);
    lock_deinit(&p->slabs_lock);
}

static uint8_t *new_slab(struct pool *p, size_t *bytes)
{
    bool large = atomic_load_explicit(&p->bytes, memory_order_relaxed) >= LARGE_POOL;
    *bytes = large ? MEM_HUGE_BYTES : SLAB_BYTES;
    uint8_t *slab = mem_alloc_aligned(large ? MEM_HUGE_BYTES : POOL_LINE, *bytes);
    lock_take(&p->slabs_lock);
    if ((p->slabs_count & (p->slabs_count - 1)) == 0)
        p->slabs = mem_realloc_array(p->slabs, p->slabs_count ? 2 * p->slabs_count : 1, sizeof(void *));
    p->slabs[p->slabs_count++] = slab;
    lock_give(&p->slabs_lock);
    atomic_fetch_add_explicit(&p->bytes, *bytes, memory_order_relaxed);
    return slab;
}

void *pool_take(struct pool *p, size_t size, size_t *got)
{
    if (size > POOL_BLOCK_MAX) {
        *got = size;
        return mem_realloc(NULL, size);
    }
    size_t k = class_of(size), bytes = class_bytes[k];
    struct pool_class *c = &p->classes[k];
    *got = bytes;
    lock_take(&c->lock);
    void *block = c->free;
    if (block) {
        memcpy(&c->free, block, sizeof c->free);
    } else {
        if (c->slab_left < bytes) {
            c->slab = new_slab(p, &c->slab_left);
        }
        block = c->slab;
        c->slab += bytes;
        c->slab_left -= bytes;
    }
    lock_give(&c->lock);
    return block;
}

void pool_give(struct pool *p, void *block, size_t got)
{
    if (!block)
        return;
    if (got > POOL_BLOCK_MAX) {
        mem_free(block);
        return;
    }
    struct pool_class *c = &p->classes[class_of(got)];
    lock_take(&c->lock);
    memcpy(block, &c->free, sizeof c->free);
    c->free = block;
    lock_give(&c->lock);
}
