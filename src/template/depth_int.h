/* How deep recursion may go: in bytes of stack, because the threads that render have small ones and frames differ by build
 * (a sanitizer's are several times as large). Each walk has a share; a rendering that compiles a nested text while it
 * runs uses two of them, printing what it got a little more, and all fit THREAD_STACK_BYTES of io/thread.h. */
#ifndef TOCSIN_TEMPLATE_DEPTH_INT_H
#define TOCSIN_TEMPLATE_DEPTH_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __SANITIZE_ADDRESS__
#define DEPTH_FACTOR 4
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DEPTH_FACTOR 4
#endif
#endif
#ifndef DEPTH_FACTOR
#define DEPTH_FACTOR 1
#endif

#define DEPTH_EXEC_BYTES  ((size_t)80 * 1024 * DEPTH_FACTOR)
#define DEPTH_PARSE_BYTES ((size_t)64 * 1024 * DEPTH_FACTOR)

/* The stack pointer, near enough. */
static inline uintptr_t depth_here(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}

static inline bool depth_exceeds(uintptr_t base, size_t bytes)
{
    uintptr_t here = depth_here();
    return (here < base ? base - here : here - base) > bytes;
}

#endif
