/* A binary min-heap ordered by (deadline, order of arming). Every entry knows its own place, so disarming is
 * logarithmic too.
 *
 * H1  entries[i]->at == i + 1 for all i < count; an entry outside the heap has at == 0.
 * H2  No entry is earlier than its parent. */
#include "base/heap.h"

#include "base/mem.h"

void timer_heap_deinit(struct timer_heap *h)
{
    for (size_t i = 0; i < h->count; i++)
        h->entries[i]->at = 0;
    mem_free(h->entries);
    *h = (struct timer_heap){ 0 };
}

static bool earlier(const struct timer_entry *a, const struct timer_entry *b)
{
    return a->deadline.ms != b->deadline.ms ? a->deadline.ms < b->deadline.ms : a->order < b->order;
}

static void place(struct timer_heap *h, size_t i, struct timer_entry *t)
{
    h->entries[i] = t;
    t->at = i + 1;
}

static void sift_up(struct timer_heap *h, size_t i)
{
    struct timer_entry *t = h->entries[i];
    for (; i > 0; i = (i - 1) / 2) {
        struct timer_entry *parent = h->entries[(i - 1) / 2];
        if (!earlier(t, parent))
            break;
        place(h, i, parent);
    }
    place(h, i, t);
}

static void sift_down(struct timer_heap *h, size_t i)
{
    struct timer_entry *t = h->entries[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && earlier(h->entries[child + 1], h->entries[child]))
            child++;
        if (!earlier(h->entries[child], t))
            break;
        place(h, i, h->entries[child]);
        i = child;
    }
    place(h, i, t);
}

void timer_arm(struct timer_heap *h, struct timer_entry *t, mono_ms deadline)
{
    t->deadline = deadline;
    t->order = h->next_order++;
    if (timer_is_armed(t)) {
        size_t i = t->at - 1;
        ASSERT(i < h->count && h->entries[i] == t); /* H1; armed in another heap otherwise */
        sift_up(h, i);
        sift_down(h, t->at - 1);
        return;
    }
    if (h->count == h->capacity) {
        h->capacity = mem_grow(h->capacity, h->count + 1);
        h->entries = mem_realloc_array(h->entries, h->capacity, sizeof(struct timer_entry *));
    }
    place(h, h->count, t);
    h->count++;
    sift_up(h, h->count - 1);
}

void timer_disarm(struct timer_heap *h, struct timer_entry *t)
{
    if (!timer_is_armed(t))
        return;
    size_t i = t->at - 1;
    ASSERT(i < h->count && h->entries[i] == t); /* H1 */
    t->at = 0;
    struct timer_entry *last = h->entries[--h->count];
    if (last == t)
        return;
    place(h, i, last);
    sift_up(h, i);
    sift_down(h, last->at - 1);
}

mono_ms timer_next(const struct timer_heap *h)
{
    return h->count ? h->entries[0]->deadline : MONO_NEVER;
}

struct timer_entry *timer_pop(struct timer_heap *h, mono_ms now)
{
    if (h->count == 0 || mono_before(now, h->entries[0]->deadline))
        return NULL;
    struct timer_entry *t = h->entries[0];
    timer_disarm(h, t);
    return t;
}
