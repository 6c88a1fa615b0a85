/* One thread-local counter, raised by whichever of the two ways the build allows. */
#include "lib/alloc_count.h"

#include <stddef.h>

static _Thread_local uint64_t count;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED

/* gcc's packages do not carry the sanitizers' header. */
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                              void (*free_hook)(const volatile void *));

static void on_malloc(const volatile void *p, size_t n)
{
    (void)p;
    (void)n;
    count++;
}

static void on_free(const volatile void *p)
{
    (void)p;
}

__attribute__((constructor)) static void install(void)
{
    __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}

#else

/* glibc's own names for what malloc and its kin do. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t items, size_t n);
void *__libc_realloc(void *p, size_t n);
void *malloc(size_t n);
void *calloc(size_t items, size_t n);
void *realloc(void *p, size_t n);

void *malloc(size_t n)
{
    count++;
    return __libc_malloc(n);
}

void *calloc(size_t items, size_t n)
{
    count++;
    return __libc_calloc(items, n);
}

void *realloc(void *p, size_t n)
{
    count++;
    return __libc_realloc(p, n);
}

#endif

uint64_t alloc_count(void)
{
    return count;
}
