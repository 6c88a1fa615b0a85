/* The arena: a list of blocks, newest first, each twice as large as the one before up to BLOCK_BYTES_MAX; what does not
 * fit the current block's rest opens a new one.
 *
 * A1  All bytes that are handed out are zero. Fresh blocks come zeroed; reset clears what was used of the block it keeps.
 * A2  used_bytes counts rounded sizes since init or reset and never passes limit_bytes.
 * A3  reset keeps the oldest block only, so that a burst does not pin its memory and a steady user allocates nothing.
 * A4  The stock holds at most STOCK_BLOCKS blocks of BLOCK_BYTES_MAX. A block is in one slot or in one arena: who takes it
 *     out by exchange is alone with it, who puts it into an empty slot forgets it. Release on the way in and acquire on the
 *     way out carry its bytes from thread to thread. What was used of it is cleared by who takes it. */
#include "base/arena.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <stdio.h>

#define STOCK_BLOCKS 4 /* what a query over some thousand series takes; more would only pin memory */

struct arena_block {
    struct arena_block *older;
    size_t size, used; /* of data */
    _Alignas(max_align_t) char data[];
};

static const size_t BLOCK_BYTES_MIN = 4096 - sizeof(struct arena_block);
static const size_t BLOCK_BYTES_MAX = 1u << 20;

static _Atomic(struct arena_block *) stock[STOCK_BLOCKS];

static struct arena_block *stock_take(void)
{
    for (size_t i = 0; i < STOCK_BLOCKS; i++) {
        struct arena_block *block = atomic_load_explicit(&stock[i], memory_order_relaxed);
        if (!block || !(block = atomic_exchange_explicit(&stock[i], NULL, memory_order_acquire)))
            continue;
        memset(block->data, 0, block->used);
        block->used = 0;
        return block;
    }
    return NULL;
}

static bool stock_put(struct arena_block *block)
{
    for (size_t i = 0; i < STOCK_BLOCKS; i++) {
        struct arena_block *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&stock[i], &none, block, memory_order_release, memory_order_relaxed))
            return true;
    }
    return false;
}

static void block_free(const struct arena *a, struct arena_block *block)
{
    if (!a->recycles || block->size != BLOCK_BYTES_MAX || !stock_put(block))
        mem_free(block);
}

void arena_init(struct arena *a, size_t limit_bytes)
{
    *a = (struct arena){ .limit_bytes = limit_bytes, .block_bytes = BLOCK_BYTES_MIN };
}

void arena_init_recycled(struct arena *a, size_t limit_bytes)
{
    *a = (struct arena){ .limit_bytes = limit_bytes, .block_bytes = BLOCK_BYTES_MAX, .recycles = true };
}

void arena_deinit(struct arena *a)
{
    struct arena_block *block = a->head;
    while (block) {
        struct arena_block *older = block->older;
        block_free(a, block);
        block = older;
    }
    *a = (struct arena){ .limit_bytes = a->limit_bytes, .block_bytes = a->recycles ? BLOCK_BYTES_MAX : BLOCK_BYTES_MIN,
                         .recycles = a->recycles };
}

void arena_reset(struct arena *a)
{
    a->used_bytes = 0;
    if (!a->head)
        return;
    while (a->head->older) {
        struct arena_block *older = a->head->older;
        block_free(a, a->head);
        a->head = older;
    }
    memset(a->head->data, 0, a->head->used);
    a->head->used = 0;
    a->block_bytes = a->head->size < BLOCK_BYTES_MAX ? a->head->size * 2 : BLOCK_BYTES_MAX;
}

static void *take(struct arena *a, size_t rounded)
{
    struct arena_block *block = a->head;
    if (UNLIKELY(!block || block->size - block->used < rounded)) {
        size_t size = a->block_bytes ? a->block_bytes : BLOCK_BYTES_MIN;
        if (size < rounded)
            size = rounded;
        block = a->recycles && size == BLOCK_BYTES_MAX ? stock_take() : NULL;
        if (!block)
            block = mem_alloc(sizeof *block + size);
        block->size = size;
        block->older = a->head;
        a->head = block;
        a->block_bytes = size < BLOCK_BYTES_MAX / 2 ? size * 2 : BLOCK_BYTES_MAX;
    }
    void *p = block->data + block->used;
    block->used += rounded;
    a->used_bytes += rounded;
    return p;
}

void *arena_try_alloc(struct arena *a, size_t n)
{
    const size_t align = _Alignof(max_align_t);
    if (UNLIKELY(n > SIZE_MAX - 4 * align - sizeof(struct arena_block)))
        return NULL;
    size_t rounded = ((n ? n : 1) + align - 1) & ~(align - 1);
    if (UNLIKELY(rounded > a->limit_bytes || a->used_bytes > a->limit_bytes - rounded))
        return NULL;
    return take(a, rounded);
}

void *arena_try_alloc_array(struct arena *a, size_t count, size_t size)
{
    size_t n;
    return __builtin_mul_overflow(count, size, &n) ? NULL : arena_try_alloc(a, n);
}

void *arena_alloc(struct arena *a, size_t n)
{
    void *p = arena_try_alloc(a, n);
    ASSERT(p != NULL);
    return p;
}

void *arena_alloc_array(struct arena *a, size_t count, size_t size)
{
    void *p = arena_try_alloc_array(a, count, size);
    ASSERT(p != NULL);
    return p;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    return str_of(p, s.n);
}

struct str arena_concat(struct arena *a, const struct str *parts, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += parts[i].n;
    char *p = arena_alloc(a, n + 1), *end = p;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n)
            memcpy(end, parts[i].p, parts[i].n);
        end += parts[i].n;
    }
    return str_of(p, n);
}

struct str arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    ASSERT(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return str_of(p, (size_t)n);
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

const char *arena_cstr(struct arena *a, struct str s)
{
    return arena_str(a, s).p;
}
