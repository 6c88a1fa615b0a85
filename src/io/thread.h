/* Named threads with small stacks. A thread starts with all signals blocked: signals belong to the main thread's loop
 * (signals.h).
 *
 * Thread: start and join by the same owner. */
#ifndef TOCSIN_IO_THREAD_H
#define TOCSIN_IO_THREAD_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define THREAD_STACK_BYTES (256 * 1024) /* touched lazily; sanitizer builds take four times as much */

struct thread {
    pthread_t id;
    bool started;
};
/* `name` (at most 15 bytes are shown) is copied; main runs on the new thread. */
MUST_CHECK bool thread_start(struct thread *t, const char *name, void (*main)(void *arg), void *arg, struct err *err);
/* With a stack of so many bytes (sanitizer builds take four times as much): for work that recurses over input. */
MUST_CHECK bool thread_start_deep(struct thread *t, const char *name, size_t stack_bytes, void (*main)(void *arg), void *arg,
                                  struct err *err);
void thread_join(struct thread *t); /* fine if it was never started */

#endif
