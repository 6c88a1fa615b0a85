/* Signals through a signalfd: they are blocked everywhere, so the only way they show is this descriptor. */
#include "io/signals.h"

#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct signals {
    int fd;
    struct loop_poll *poll;
    void (*caught)(void *arg, int signo);
    void *arg;
};

static void ours(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGQUIT);
}

void signals_block(void)
{
    sigset_t set;
    ours(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void on_ready(void *arg, unsigned events)
{
    struct signals *s = arg;
    struct signalfd_siginfo info;
    (void)events;
    if (read(s->fd, &info, sizeof info) == sizeof info)
        s->caught(s->arg, (int)info.ssi_signo);
}

struct signals *signals_new(struct loop *l, void (*caught)(void *arg, int signo), void *arg, struct err *err)
{
    sigset_t set;
    ours(&set);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        err_errno(err, errno, "signalfd");
        return NULL;
    }
    struct signals *s = MEM_NEW(struct signals);
    s->fd = fd;
    s->caught = caught;
    s->arg = arg;
    s->poll = loop_poll_new(l, fd, on_ready, s);
    loop_poll_set(s->poll, LOOP_READ);
    return s;
}

void signals_free(struct signals *s)
{
    if (!s)
        return;
    loop_poll_free(s->poll);
    close(s->fd);
    mem_free(s);
}
