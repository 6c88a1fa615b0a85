/* The heap. Allocation never returns NULL: it aborts and names the size, because a monitoring server that is out
 * of memory has nothing better to do. Sizes that come from outside are therefore bounded before they get here, or
 * go through arena_try_alloc(), whose NULL becomes ERR_LIMIT.
 *
 * Thread: any. mem_free(NULL) is fine. Memory from mem_alloc is zeroed; the rest of a grown block is not. */
#ifndef TOCSIN_BASE_MEM_H
#define TOCSIN_BASE_MEM_H

#include "base/compiler.h"

#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t n);                              /* n may be 0; zeroed */
void *mem_alloc_array(size_t count, size_t size);       /* overflow aborts; zeroed */
void *mem_alloc_aligned(size_t alignment, size_t n);    /* not zeroed; a power of two that divides n */
#define MEM_HUGE_BYTES (2u << 20) /* aligned to it, and so long, memory is asked for in huge pages */
void *mem_realloc(void *p, size_t n);                   /* new part not zeroed */
void *mem_realloc_array(void *p, size_t count, size_t size);
void *mem_dup(const void *p, size_t n);
void mem_free(void *p);
/* From now on threads share two heaps instead of having up to eight for each core: what one thread allocates and another
 * frees is found again by the first. For a process whose threads hand everything on; once, before they start. */
void mem_share_heaps(void);
/* From now on blocks of MEM_LARGE_BYTES and more go back to the system when they are freed, whatever was allocated before:
 * a burst leaves nothing behind. Once, before other threads start. */
#define MEM_LARGE_BYTES (256u << 10)
void mem_return_large(void);

#define MEM_NEW(type) ((type *)mem_alloc(sizeof(type)))

/* Growth for arrays that double: returns the new capacity for at least `need` elements. */
size_t mem_grow(size_t capacity, size_t need);

/* Narrowing that asserts instead of wrapping. */
uint32_t u32_from_size(size_t n);
uint16_t u16_from_size(size_t n);
uint8_t u8_from_int(int n);
int int_from_size(size_t n);
size_t size_from_i64(int64_t n);

#endif
