/* The notification value and the small names around it: see notification.h. */
#include "notify/notification.h"

#include "base/mem.h"

/* Most notifications are about one alert or two: their texts fit here, and 20,000 may wait at once. */
static const size_t FIRST_BLOCK_BYTES = 208;

struct str notify_reason_text(enum notify_reason r)
{
    static const struct str texts[] = {
        [NOTIFY_REASON_NONE] = STR_INIT(""),
        [NOTIFY_REASON_FIRST] = STR_INIT("first notification"),
        [NOTIFY_REASON_NEW_ALERTS] = STR_INIT("new alerts added"),
        [NOTIFY_REASON_ALL_RESOLVED] = STR_INIT("all alerts resolved"),
        [NOTIFY_REASON_SOME_RESOLVED] = STR_INIT("some alerts resolved"),
        [NOTIFY_REASON_REPEAT] = STR_INIT("repeat interval elapsed"),
        [NOTIFY_REASON_UNKNOWN] = STR_INIT("unknown"),
    };
    return texts[r];
}

struct notification *notification_new(void)
{
    struct notification *n = MEM_NEW(struct notification);
    atomic_init(&n->refs, 1);
    arena_init(&n->arena, ARENA_NO_LIMIT);
    n->arena.block_bytes = FIRST_BLOCK_BYTES;
    return n;
}

struct notification *notification_retain(struct notification *n)
{
    unsigned before = atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return n;
}

void notification_release(struct notification *n)
{
    if (!n)
        return;
    unsigned before = atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before != 1)
        return;
    for (size_t i = 0; i < n->alerts_count; i++)
        alert_release(n->alerts[i].alert);
    arena_deinit(&n->arena);
    mem_free(n);
}
