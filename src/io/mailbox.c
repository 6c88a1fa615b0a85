/* Mailboxes.
 *
 * M1  Posting pushes onto a lock-free stack; the reader takes the whole stack at once and turns it round, so that each
 *     sender's messages come out in its order.
 * M2  `count` is what was accepted and not yet given to deliver; it is raised before the push and lowered before
 *     the delivery, so it never wraps. A post is accepted if the raised count is at most `capacity`.
 * M3  Whoever pushes onto an empty stack wakes the loop. The reader takes the stack again until it finds it empty, or
 *     wakes itself when its slice of time is over: no message waits without a wake-up on its way.
 * M4  `closed` is read after the count was raised; close() drains until the count is zero, so that a post that was
 *     accepted is delivered, and none is lost. */
#include "io/mailbox.h"

#include "base/mem.h"
#include "io/clock_io.h"

#include <sched.h>
#include <stdatomic.h>
#include <uv.h>

const struct metric_desc mailbox_metric_descs[] = {
    METRIC_VEC(COUNTER, struct mailbox_metrics, delivered, "tocsin_mailbox_messages_total",
               "Messages that a mailbox has delivered to its thread.", "mailbox"),
    METRIC_VEC(COUNTER, struct mailbox_metrics, refused, "tocsin_mailbox_refused_total",
               "Messages that a full or closed mailbox has refused.", "mailbox"),
    METRIC_VEC(GAUGE, struct mailbox_metrics, queued, "tocsin_mailbox_queued",
               "Messages that waited when a mailbox was last looked into.", "mailbox"),
};
const size_t mailbox_metric_descs_count = ARRAY_LEN(mailbox_metric_descs);

struct mailbox {
    uv_async_t wake; /* first: freed with it */
    _Atomic(struct mail *) stack;
    atomic_size_t count;
    atomic_bool closed;
    size_t capacity;
    struct mail *list; /* taken off the stack, in order */
    void (*deliver)(void *arg, struct mail *m);
    void *arg;
    struct counter *delivered, *refused; /* may be NULL */
    struct gauge *queued;
    struct loop *loop;
};

/* Moves what was posted to the end of the list; false if there is nothing at all. */
static bool take(struct mailbox *mb)
{
    if (mb->list)
        return true;
    struct mail *stack = atomic_exchange_explicit(&mb->stack, NULL, memory_order_acquire);
    while (stack) {
        struct mail *next = stack->next;
        stack->next = mb->list;
        mb->list = stack;
        stack = next;
    }
    return mb->list != NULL;
}

static void deliver_one(struct mailbox *mb)
{
    struct mail *m = mb->list;
    mb->list = m->next;
    m->next = NULL;
    size_t before = atomic_fetch_sub_explicit(&mb->count, 1, memory_order_relaxed);
    ASSERT(before > 0);
    if (mb->delivered)
        counter_add(mb->delivered, 1);
    mb->deliver(mb->arg, m);
}

static void on_wake(uv_async_t *h)
{
    struct mailbox *mb = h->data;
    loop_turn_begin(mb->loop);
    int64_t end = clock_mono_ns() + (int64_t)MAILBOX_SLICE_MS * 1000000;
    if (mb->queued)
        gauge_set(mb->queued, (double)mailbox_count(mb));
    while (take(mb)) {
        deliver_one(mb);
        if (atomic_load_explicit(&mb->closed, memory_order_relaxed))
            return; /* close() has delivered the rest */
        if (clock_mono_ns() >= end) { /* after each: one may have been a thousand alerts */
            uv_async_send(&mb->wake);
            return;
        }
    }
}

struct mailbox *mailbox_new(struct loop *l, const char *name, size_t capacity, struct mailbox_metrics *metrics,
                            void (*deliver)(void *arg, struct mail *m), void *arg)
{
    ASSERT(capacity > 0);
    struct mailbox *mb = MEM_NEW(struct mailbox);
    int rc = uv_async_init(loop_uv(l), &mb->wake, on_wake);
    ASSERT(rc == 0);
    mb->wake.data = mb;
    mb->capacity = capacity;
    mb->deliver = deliver;
    mb->arg = arg;
    mb->loop = l;
    if (metrics) {
        struct str label = str_c(name);
        mb->delivered = metric_vec_counter(metrics->delivered, &label);
        mb->refused = metric_vec_counter(metrics->refused, &label);
        mb->queued = metric_vec_gauge(metrics->queued, &label);
    }
    return mb;
}

static bool refuse(struct mailbox *mb, size_t n)
{
    atomic_fetch_sub_explicit(&mb->count, n, memory_order_seq_cst);
    if (mb->refused)
        counter_add_shared(mb->refused, n);
    return false;
}

static bool post(struct mailbox *mb, const struct mail_bundle *b, size_t capacity)
{
    size_t before = atomic_fetch_add_explicit(&mb->count, b->n, memory_order_seq_cst);
    if (before >= capacity || atomic_load_explicit(&mb->closed, memory_order_seq_cst))
        return refuse(mb, b->n);
    struct mail *head = atomic_load_explicit(&mb->stack, memory_order_relaxed);
    do {
        b->oldest->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&mb->stack, &head, b->newest, memory_order_release,
                                                    memory_order_relaxed));
    if (!head)
        uv_async_send(&mb->wake);
    return true;
}

bool mailbox_post(struct mailbox *mb, struct mail *m)
{
    return post(mb, &(struct mail_bundle){ m, m, 1 }, mb->capacity);
}

bool mailbox_post_answer(struct mailbox *mb, struct mail *m)
{
    return post(mb, &(struct mail_bundle){ m, m, 1 }, SIZE_MAX);
}

void mail_bundle_add(struct mail_bundle *b, struct mail *m)
{
    m->next = b->newest;
    b->newest = m;
    if (!b->oldest)
        b->oldest = m;
    b->n++;
}

bool mailbox_post_bundle(struct mailbox *mb, struct mail_bundle *b)
{
    if (b->n > 0 && !post(mb, b, SIZE_MAX))
        return false;
    *b = (struct mail_bundle){ 0 };
    return true;
}

size_t mailbox_count(const struct mailbox *mb)
{
    return atomic_load_explicit(&mb->count, memory_order_relaxed);
}

void mailbox_close(struct mailbox *mb)
{
    if (atomic_exchange_explicit(&mb->closed, true, memory_order_seq_cst))
        return;
    while (atomic_load_explicit(&mb->count, memory_order_seq_cst) > 0) {
        if (take(mb))
            deliver_one(mb);
        else
            sched_yield(); /* a sender is between its count and its push */
    }
}

static void wake_closed(uv_handle_t *h)
{
    mem_free(h->data);
}

void mailbox_free(struct mailbox *mb)
{
    if (!mb)
        return;
    mailbox_close(mb);
    ASSERT(mb->list == NULL);
    uv_close((uv_handle_t *)&mb->wake, wake_closed);
}
