/* A binary heap of timers. Entries are embedded in what they belong to; equal deadlines fire in the order of
 * arming, which simulations rely on. Thread: one owner. */
#ifndef TOCSIN_BASE_HEAP_H
#define TOCSIN_BASE_HEAP_H

#include "base/clock.h"

#include <stddef.h>
#include <stdint.h>

struct timer_entry {
    mono_ms deadline;
    uint64_t order; /* of arming */
    size_t at;      /* 1-based place in the heap; 0: not armed */
};
struct timer_heap {
    struct timer_entry **entries;
    size_t count, capacity;
    uint64_t next_order;
};
void timer_heap_deinit(struct timer_heap *h);
void timer_arm(struct timer_heap *h, struct timer_entry *t, mono_ms deadline); /* re-arms if armed */
void timer_disarm(struct timer_heap *h, struct timer_entry *t);                /* fine if not armed */
mono_ms timer_next(const struct timer_heap *h);                                /* MONO_NEVER if empty */
/* The first entry that is due at `now`, disarmed; NULL if none. */
struct timer_entry *timer_pop(struct timer_heap *h, mono_ms now);

static inline int timer_is_armed(const struct timer_entry *t)
{
    return t->at != 0;
}

#endif
