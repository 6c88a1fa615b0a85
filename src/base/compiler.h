/* What the compiler is told: attributes, asserts, sizes. No code.
 *
 * ASSERT is on in every build: it states an invariant, and a broken one ends the process before it can do harm.
 * ASSERT_SLOW walks whole structures and is on in the dev build and the simulator only. Neither is ever used on
 * input: bytes from outside are errors (err.h), not bugs. */
#ifndef TOCSIN_BASE_COMPILER_H
#define TOCSIN_BASE_COMPILER_H

#include <stddef.h>

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NORETURN          __attribute__((noreturn))
#define LIKELY(x)         __builtin_expect(!!(x), 1)
#define UNLIKELY(x)       __builtin_expect(!!(x), 0)

#define ARRAY_LEN(a)                 (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, field) ((type *)(void *)((char *)(p)-offsetof(type, field)))

/* Prints the expression and its place on stderr and aborts. */
NORETURN void assert_failed(const char *expr, const char *file, int line);

#define ASSERT(x)                                                                                  \
    do {                                                                                           \
        if (UNLIKELY(!(x)))                                                                        \
            assert_failed(#x, __FILE__, __LINE__);                                                 \
    } while (0)

#ifdef TOCSIN_ASSERT_SLOW
#define ASSERT_SLOW(x) ASSERT(x)
#else
#define ASSERT_SLOW(x)                                                                             \
    do {                                                                                           \
    } while (0)
#endif

#endif
