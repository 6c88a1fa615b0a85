/* A region of memory with one lifetime: a request, a scrape, an evaluation, a config. Allocation moves a pointer;
 * there is no free; reset keeps the first block for the next round and drops the rest.
 *
 * A limit is given at birth. arena_alloc() past it aborts (for sizes that the caller has already bounded);
 * arena_try_alloc() returns NULL, which the caller turns into ERR_LIMIT. Arena memory never enters structs that
 * live longer: those copy. Thread: one owner at a time. All memory is zeroed.
 *
 * An arena that is born by arena_init_recycled() takes its blocks from a small stock that all such arenas share, and gives
 * them back: short-lived work of a few MiB, one piece after the other on whatever thread, finds memory that is mapped. */
#ifndef TOCSIN_BASE_ARENA_H
#define TOCSIN_BASE_ARENA_H

#include "base/str.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct arena_block;
struct arena {
    struct arena_block *head; /* current block, newest first */
    size_t used_bytes;        /* handed out since init or reset */
    size_t limit_bytes;
    size_t block_bytes;       /* size of the next block */
    bool recycles;
};

#define ARENA_NO_LIMIT SIZE_MAX

void arena_init(struct arena *a, size_t limit_bytes);
void arena_init_recycled(struct arena *a, size_t limit_bytes);
void arena_deinit(struct arena *a);
void arena_reset(struct arena *a);

void *arena_alloc(struct arena *a, size_t n); /* aligned for any type */
void *arena_alloc_array(struct arena *a, size_t count, size_t size);
MUST_CHECK void *arena_try_alloc(struct arena *a, size_t n);
MUST_CHECK void *arena_try_alloc_array(struct arena *a, size_t count, size_t size);
#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))

struct str arena_str(struct arena *a, struct str s); /* a copy, NUL-terminated past its length */
struct str arena_concat(struct arena *a, const struct str *parts, size_t count); /* as arena_str() */
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct str arena_vprintf(struct arena *a, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
const char *arena_cstr(struct arena *a, struct str s);

#endif
