/* The heap, with failure taken out of the callers' hands: every allocator either returns memory or ends the process
 * with the size that could not be had. Zero-sized requests give a valid, unique pointer, so that "NULL" always means
 * "nothing was made". Bounds: none here; sizes that come from outside are bounded by who reads them. */
#include "base/mem.h"

#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static NORETURN void out_of_memory(size_t n)
{
    fprintf(stderr, "fatal: out of memory: %zu bytes\n", n);
    abort();
}

void assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "fatal: assertion failed: %s at %s:%d\n", expr, file, line);
    abort();
}

static size_t array_bytes(size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        out_of_memory(SIZE_MAX);
    return n;
}

void mem_return_large(void)
{
    /* Said explicitly: else glibc raises the threshold to what was freed last. */
    mallopt(M_MMAP_THRESHOLD, (int)MEM_LARGE_BYTES);
    mallopt(M_TRIM_THRESHOLD, (int)(4 * MEM_LARGE_BYTES));
}

void mem_share_heaps(void)
{
    mallopt(M_ARENA_MAX, 2);
}

void *mem_alloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (UNLIKELY(!p))
        out_of_memory(n);
    return p;
}

void *mem_alloc_array(size_t count, size_t size)
{
    return mem_alloc(array_bytes(count, size));
}

void *mem_alloc_aligned(size_t alignment, size_t n)
{
    ASSERT(alignment && (alignment & (alignment - 1)) == 0 && n % alignment == 0);
    void *p = aligned_alloc(alignment, n);
    if (UNLIKELY(!p))
        out_of_memory(n);
    if (alignment >= MEM_HUGE_BYTES)
        madvise(p, n, MADV_HUGEPAGE); /* a wish: without it all is as before */
    return p;
}

void *mem_realloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (UNLIKELY(!q))
        out_of_memory(n);
    return q;
}

void *mem_realloc_array(void *p, size_t count, size_t size)
{
    return mem_realloc(p, array_bytes(count, size));
}

void *mem_dup(const void *p, size_t n)
{
    void *q = malloc(n ? n : 1);
    if (UNLIKELY(!q))
        out_of_memory(n);
    if (n)
        memcpy(q, p, n);
    return q;
}

void mem_free(void *p)
{
    free(p);
}

size_t mem_grow(size_t capacity, size_t need)
{
    if (need <= capacity)
        return capacity;
    size_t doubled = capacity > SIZE_MAX / 2 ? SIZE_MAX : capacity * 2;
    if (doubled < 8)
        doubled = 8;
    return doubled < need ? need : doubled;
}

uint32_t u32_from_size(size_t n)
{
    ASSERT(n <= UINT32_MAX);
    return (uint32_t)n;
}

uint16_t u16_from_size(size_t n)
{
    ASSERT(n <= UINT16_MAX);
    return (uint16_t)n;
}

uint8_t u8_from_int(int n)
{
    ASSERT(n >= 0 && n <= UINT8_MAX);
    return (uint8_t)n;
}

int int_from_size(size_t n)
{
    ASSERT(n <= INT_MAX);
    return (int)n;
}

size_t size_from_i64(int64_t n)
{
    ASSERT(n >= 0);
    return (size_t)n;
}
