/* uv_signal handles on the loop that asks. Only that loop's thread has the signals unblocked, so no other thread is ever
 * interrupted by one. */
#include "io/signals.h"

#include "base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <uv.h>

static const int caught_signals[] = { SIGHUP, SIGINT, SIGTERM, SIGQUIT };
#define SIGNALS ARRAY_LEN(caught_signals)

struct signals {
    uv_signal_t handles[SIGNALS];
    void (*caught)(void *arg, int signo);
    void *arg;
    size_t open;
};

static void signal_set(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaddset(set, caught_signals[i]);
}

void signals_block(void)
{
    sigset_t set;
    signal_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

static void on_signal(uv_signal_t *handle, int signo)
{
    struct signals *s = handle->data;
    s->caught(s->arg, signo);
}

static void on_close(uv_handle_t *handle)
{
    struct signals *s = handle->data;
    if (--s->open == 0)
        mem_free(s);
}

struct signals *signals_new(struct loop *l, void (*caught)(void *arg, int signo), void *arg, struct err *err)
{
    struct signals *s = MEM_NEW(struct signals);
    sigset_t set;
    s->caught = caught;
    s->arg = arg;
    for (size_t i = 0; i < SIGNALS; i++) {
        int failed = uv_signal_init(loop_uv(l), &s->handles[i]);
        if (failed == 0) {
            s->open++;
            s->handles[i].data = s;
            failed = uv_signal_start(&s->handles[i], on_signal, caught_signals[i]);
            uv_unref((uv_handle_t *)&s->handles[i]);
        }
        if (failed != 0) {
            err_set(err, ERR_IO, "signal %d: %s", caught_signals[i], uv_strerror(failed));
            signals_free(s);
            return NULL;
        }
    }
    signal_set(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return s;
}

void signals_free(struct signals *s)
{
    if (!s)
        return;
    size_t open = s->open;
    struct uv_loop_s *loop = open ? s->handles[0].loop : NULL;
    if (open == 0) {
        mem_free(s);
        return;
    }
    for (size_t i = 0; i < open; i++)
        uv_close((uv_handle_t *)&s->handles[i], on_close);
    /* The handles are closed in the loop's next turn, which has to happen while they still exist. */
    uv_run(loop, UV_RUN_NOWAIT);
}
