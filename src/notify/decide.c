/* The dedup decision: a pure function over sorted sets of alert hashes (spec/alertmanager.md 6, spec/gossip.md 18).
 *
 * Held alerts (restored, their end passed while nobody listened) were part of what was said before: they count as firing
 * where the question is "does the group still fire?", and are left out where it is "is there news?". */
#include "notify/pipeline.h"

/* Is every element of a in b? Both sorted ascending. */
static bool is_subset(const uint64_t *a, size_t a_count, const uint64_t *b, size_t b_count)
{
    size_t k = 0;
    for (size_t i = 0; i < a_count; i++) {
        while (k < b_count && b[k] < a[i])
            k++;
        if (k == b_count || b[k] != a[i])
            return false;
    }
    return true;
}

enum notify_reason notify_decide(const struct notify_question *q)
{
    bool any_firing = q->firing_count || q->held_count;
    if (!q->has_entry)
        return q->firing_count ? NOTIFY_REASON_FIRST : NOTIFY_REASON_NONE;
    if (!is_subset(q->firing, q->firing_count, q->entry_firing, q->entry_firing_count))
        return q->entry_firing_count ? NOTIFY_REASON_NEW_ALERTS : NOTIFY_REASON_FIRST;
    if (!any_firing)
        return q->entry_firing_count ? NOTIFY_REASON_ALL_RESOLVED : NOTIFY_REASON_NONE;
    if (q->send_resolved && !is_subset(q->resolved, q->resolved_count, q->entry_resolved, q->entry_resolved_count))
        return NOTIFY_REASON_SOME_RESOLVED;
    if (q->firing_count && wire_time_cmp(q->entry_timestamp, wire_time_add_ms(q->now, -q->repeat_interval_ms)) < 0)
        return NOTIFY_REASON_REPEAT;
    return NOTIFY_REASON_NONE;
}
