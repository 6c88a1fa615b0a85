/* Threads: a small stack, a name for top(1), and no signals. */
#include "io/thread.h"

#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const size_t STACK_FACTOR = 4;
#else
static const size_t STACK_FACTOR = 1;
#endif

struct start {
    void (*main)(void *arg);
    void *arg;
    char name[16];
};

static void *run(void *p)
{
    struct start start = *(struct start *)p;
    mem_free(p);
    pthread_setname_np(pthread_self(), start.name);
    start.main(start.arg);
    return NULL;
}

bool thread_start(struct thread *t, const char *name, void (*main)(void *arg), void *arg, struct err *err)
{
    return thread_start_deep(t, name, THREAD_STACK_BYTES, main, arg, err);
}

bool thread_start_deep(struct thread *t, const char *name, size_t stack_bytes, void (*main)(void *arg), void *arg,
                       struct err *err)
{
    struct start *start = MEM_NEW(struct start);
    start->main = main;
    start->arg = arg;
    strncpy(start->name, name, sizeof start->name - 1);

    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);
    ASSERT(rc == 0);
    rc = pthread_attr_setstacksize(&attr, stack_bytes * STACK_FACTOR);
    ASSERT(rc == 0);

    /* The new thread inherits this mask. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&t->id, &attr, run, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (rc != 0) {
        mem_free(start);
        return err_errno(err, rc, "start thread %s", name);
    }
    t->started = true;
    return true;
}

void thread_join(struct thread *t)
{
    if (!t->started)
        return;
    int rc = pthread_join(t->id, NULL);
    ASSERT(rc == 0);
    t->started = false;
}
