/* The loop: libuv for waiting, our own heap for timers.
 *
 * L1  One timerfd is armed for the heap's first deadline whenever the loop goes to sleep, and for nothing else. libuv's own
 *     timers count whole milliseconds from the moment of falling asleep, and so wake up to one late; a receiver would
 *     notice.
 * L2  A posted call is in `posted` (a stack that many push to) until the owner takes the whole stack; it runs in the
 *     order of posting.
 * L3  What a callback frees or disarms is not touched after it returns: timers are popped one by one, and a poll
 *     handle is a struct of ours that outlives the callback until libuv has closed it.
 * L4  lag: the first callback after a sleep marks where the turn begins (loop_turn_begin), the prepare phase where the
 *     next sleep does. Timers run in the check phase, so they count too. */
#include "io/loop.h"

#include "base/mem.h"
#include "io/clock_io.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

static const double lag_bounds[] = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5 };

const struct metric_desc loop_metric_descs[] = {
    METRIC_HIST_VEC(struct loop_metrics, lag, "tocsin_loop_lag_seconds",
                    "How long one turn of an event loop took, which is how long an event may have waited for it.", "loop",
                    lag_bounds),
};
const size_t loop_metric_descs_count = ARRAY_LEN(loop_metric_descs);

/* How long loop_free() waits for requests on libuv's pool. */
static const int64_t CLOSE_WAIT_NS = 1000000000;

struct calls { /* in order */
    struct loop_call *head, *last;
};

struct loop {
    uv_loop_t uv;
    uv_poll_t timer;
    int timer_fd;
    mono_ms armed; /* what timer_fd is set to; INT64_MAX: nothing */
    uv_async_t wake;
    uv_prepare_t prepare;
    uv_check_t check;
    struct timer_heap timers;
    struct calls deferred, at_end;
    _Atomic(struct loop_call *) posted;
    atomic_bool stop;
    pthread_t owner;
    int64_t turn_start_ns; /* 0: asleep */
    mono_ms now;
    bool now_valid;
    struct histogram *lag; /* may be NULL */
};

struct loop_poll {
    uv_poll_t uv; /* first: libuv gives it back by address */
    int events; /* libuv's; what is watched */
    void (*ready)(void *arg, unsigned events);
    void *arg;
};

mono_ms loop_now(struct loop *l)
{
    if (!l->now_valid) {
        l->now = clock_mono();
        l->now_valid = true;
    }
    return l->now;
}

static void calls_add(struct calls *q, struct loop_call *c)
{
    ASSERT(c->run != NULL);
    c->next = NULL;
    *(q->last ? &q->last->next : &q->head) = c;
    q->last = c;
}

static void run_calls(struct loop *l, struct calls *q)
{
    while (q->head) {
        struct loop_call *c = q->head;
        q->head = c->next;
        if (!q->head)
            q->last = NULL;
        c->next = NULL;
        l->now_valid = false;
        c->run(c->arg);
    }
}

static void run_deferred(struct loop *l)
{
    run_calls(l, &l->deferred);
}

static void run_posted(struct loop *l)
{
    struct loop_call *stack = atomic_exchange_explicit(&l->posted, NULL, memory_order_acquire), *list = NULL;
    while (stack) { /* newest first: turn it round */
        struct loop_call *next = stack->next;
        stack->next = list;
        list = stack;
        stack = next;
    }
    while (list) {
        struct loop_call *c = list;
        list = c->next;
        c->next = NULL;
        l->now_valid = false;
        c->run(c->arg);
        run_deferred(l);
    }
}

/* Timers that were due when the round began: one that re-arms itself for now waits for the next turn. */
static void run_timers(struct loop *l)
{
    mono_ms now = clock_mono();
    uint64_t order_end = l->timers.next_order;
    struct timer_entry *e;
    while ((e = timer_pop(&l->timers, now)) != NULL) {
        struct loop_timer *t = container_of(e, struct loop_timer, entry);
        if (e->order >= order_end) {
            timer_arm(&l->timers, e, e->deadline);
            break;
        }
        l->now_valid = false;
        if (t->period_ms > 0) {
            mono_ms next = mono_add(e->deadline, t->period_ms);
            timer_arm(&l->timers, e, mono_before(next, now) ? mono_add(now, t->period_ms) : next);
        }
        t->fire(t->arg);
        run_deferred(l);
    }
}

void loop_turn_begin(struct loop *l)
{
    l->now_valid = false;
    if (l->turn_start_ns == 0)
        l->turn_start_ns = clock_mono_ns();
}

static void on_wake(uv_async_t *h)
{
    struct loop *l = h->data;
    loop_turn_begin(l);
    run_posted(l);
    if (atomic_load_explicit(&l->stop, memory_order_acquire))
        uv_stop(&l->uv);
}

static void on_timer(uv_poll_t *h, int status, int events)
{
    struct loop *l = h->data; /* waking up is enough: the check phase runs what is due */
    uint64_t times;
    (void)status;
    (void)events;
    ssize_t n = read(l->timer_fd, &times, sizeof times);
    ASSERT(n == sizeof times || errno == EAGAIN);
    l->armed = MONO_NEVER;
}

static void arm(struct loop *l, mono_ms deadline)
{
    if (deadline.ms == l->armed.ms)
        return;
    struct itimerspec at = { 0 }; /* disarmed */
    if (deadline.ms != MONO_NEVER.ms) {
        const int64_t ms = deadline.ms > 0 ? deadline.ms : 0;
        at.it_value.tv_sec = ms / 1000;
        at.it_value.tv_nsec = ms % 1000 * 1000000 + 1; /* never 0, which would disarm */
    }
    int rc = timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    ASSERT(rc == 0);
    l->armed = deadline;
}

static void turn_end(struct loop *l)
{
    if (l->turn_start_ns == 0)
        return;
    if (l->lag)
        histogram_observe(l->lag, (double)(clock_mono_ns() - l->turn_start_ns) / 1e9);
    l->turn_start_ns = 0;
}

/* After libuv's I/O callbacks, before it sleeps again. */
static void on_check(uv_check_t *h)
{
    struct loop *l = h->data;
    loop_turn_begin(l);
    run_deferred(l);
    run_timers(l);
}

static void on_prepare(uv_prepare_t *h)
{
    struct loop *l = h->data;
    run_deferred(l);
    while (l->at_end.head) {
        run_calls(l, &l->at_end);
        run_deferred(l);
    }
    arm(l, timer_next(&l->timers));
    turn_end(l);
    l->now_valid = false;
}

struct loop *loop_new(const char *name, struct loop_metrics *metrics)
{
    struct loop *l = MEM_NEW(struct loop);
    l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    l->armed = MONO_NEVER;
    ASSERT(l->timer_fd >= 0);
    int rc = uv_loop_init(&l->uv);
    ASSERT(rc == 0);
    rc = uv_poll_init(&l->uv, &l->timer, l->timer_fd) | uv_async_init(&l->uv, &l->wake, on_wake) |
         uv_prepare_init(&l->uv, &l->prepare) | uv_check_init(&l->uv, &l->check);
    ASSERT(rc == 0);
    l->timer.data = l->wake.data = l->prepare.data = l->check.data = l;
    rc = uv_poll_start(&l->timer, UV_READABLE, on_timer) | uv_prepare_start(&l->prepare, on_prepare) |
         uv_check_start(&l->check, on_check);
    ASSERT(rc == 0);
    l->owner = pthread_self();
    if (metrics)
        l->lag = metric_vec_histogram(metrics->lag, &(struct str){ name, strlen(name) });
    return l;
}

static void assert_closing(uv_handle_t *h, void *arg)
{
    (void)arg;
    ASSERT(uv_is_closing(h)); /* else a poll or a mailbox is still open */
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    uv_close((uv_handle_t *)&l->timer, NULL);
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->check, NULL);
    uv_walk(&l->uv, assert_closing, NULL);
    int64_t end = clock_mono_ns() + CLOSE_WAIT_NS;
    while (uv_run(&l->uv, UV_RUN_NOWAIT) != 0 && clock_mono_ns() < end)
        sched_yield();
    timer_heap_deinit(&l->timers);
    close(l->timer_fd);
    if (uv_loop_close(&l->uv) == 0)
        mem_free(l);
    /* Else a look-up hangs on a pool thread that nothing can interrupt: its loop is left to the end of the process. */
}

void loop_run(struct loop *l)
{
    l->owner = pthread_self();
    while (!atomic_load_explicit(&l->stop, memory_order_acquire))
        uv_run(&l->uv, UV_RUN_DEFAULT);
    turn_end(l);
    atomic_store_explicit(&l->stop, false, memory_order_relaxed);
}

void loop_stop(struct loop *l)
{
    atomic_store_explicit(&l->stop, true, memory_order_release);
    uv_async_send(&l->wake);
}

static void wait_over(void *arg)
{
    (void)arg;
}

void loop_turn(struct loop *l, int64_t timeout_ms)
{
    l->owner = pthread_self();
    if (timeout_ms == 0) {
        uv_run(&l->uv, UV_RUN_NOWAIT);
        return;
    }
    struct loop_timer limit = { .fire = wait_over };
    if (timeout_ms > 0)
        loop_timer_in(l, &limit, timeout_ms);
    uv_run(&l->uv, UV_RUN_ONCE);
    loop_timer_stop(l, &limit);
}

bool loop_is_owner(const struct loop *l)
{
    return pthread_equal(l->owner, pthread_self()) != 0;
}

struct uv_loop_s *loop_uv(struct loop *l)
{
    return &l->uv;
}

void loop_timer_at(struct loop *l, struct loop_timer *t, mono_ms deadline)
{
    ASSERT(t->fire != NULL);
    t->period_ms = 0;
    timer_arm(&l->timers, &t->entry, deadline);
}

void loop_timer_in(struct loop *l, struct loop_timer *t, int64_t delay_ms)
{
    loop_timer_at(l, t, mono_add(clock_mono(), delay_ms > 0 ? delay_ms : 0));
}

void loop_timer_every(struct loop *l, struct loop_timer *t, int64_t period_ms)
{
    ASSERT(period_ms > 0);
    loop_timer_in(l, t, period_ms);
    t->period_ms = period_ms;
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
    timer_disarm(&l->timers, &t->entry);
}

void loop_defer(struct loop *l, struct loop_call *c)
{
    calls_add(&l->deferred, c);
}

void loop_at_turn_end(struct loop *l, struct loop_call *c)
{
    calls_add(&l->at_end, c);
}

void loop_post(struct loop *l, struct loop_call *c)
{
    ASSERT(c->run != NULL);
    struct loop_call *head = atomic_load_explicit(&l->posted, memory_order_relaxed);
    do {
        c->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&l->posted, &head, c, memory_order_release, memory_order_relaxed));
    if (!head)
        uv_async_send(&l->wake);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct loop_poll *p = (struct loop_poll *)h;
    struct loop *l = h->data;
    loop_turn_begin(l);
    unsigned e = 0;
    if (status < 0 && p->events) /* libuv stops watching a socket in error; its owner has yet to read the error */
        uv_poll_start(h, p->events, on_poll);
    if (status < 0 || (events & UV_DISCONNECT))
        e |= LOOP_HANGUP;
    if (events & UV_READABLE)
        e |= LOOP_READ;
    if (events & UV_WRITABLE)
        e |= LOOP_WRITE;
    p->ready(p->arg, e);
    run_deferred(l);
}

struct loop_poll *loop_poll_new(struct loop *l, int fd, void (*ready)(void *arg, unsigned events), void *arg)
{
    struct loop_poll *p = MEM_NEW(struct loop_poll);
    int rc = uv_poll_init(&l->uv, &p->uv, fd);
    ASSERT(rc == 0);
    p->uv.data = l;
    p->ready = ready;
    p->arg = arg;
    return p;
}

void loop_poll_set(struct loop_poll *p, unsigned events)
{
    int e = 0;
    if (events & LOOP_READ)
        e |= UV_READABLE;
    if (events & LOOP_WRITE)
        e |= UV_WRITABLE;
    if (events & LOOP_HANGUP)
        e |= UV_DISCONNECT;
    p->events = e;
    int rc = e ? uv_poll_start(&p->uv, e, on_poll) : uv_poll_stop(&p->uv);
    ASSERT(rc == 0);
}

static void poll_closed(uv_handle_t *h)
{
    mem_free((struct loop_poll *)h);
}

void loop_poll_free(struct loop_poll *p)
{
    if (!p)
        return;
    uv_poll_stop(&p->uv);
    uv_close((uv_handle_t *)&p->uv, poll_closed);
}
