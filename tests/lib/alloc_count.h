/* How often did this thread ask the heap for memory? For the promise that a hot path allocates nothing once warm:
 *
 *     uint64_t before = alloc_count();
 *     gossip_step(...);
 *     assert_int_equal(alloc_count() - before, 0);
 *
 * Counts malloc, calloc and realloc of the calling thread, in plain builds by taking libc's place, in sanitized ones by
 * the sanitizer's hooks. Calls made inside shared libraries count as well. */
#ifndef TOCSIN_TESTS_LIB_ALLOC_COUNT_H
#define TOCSIN_TESTS_LIB_ALLOC_COUNT_H

#include <stdint.h>

uint64_t alloc_count(void);

#endif
